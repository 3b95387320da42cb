// SPDX-License-Identifier: GPL-2.0
#include "addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 253	/* of a DNS name */

static bool parse_number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	if (!isdigit((unsigned char)text[0]) || strlen(text) > 10)
		return false;
	*value = strtoul(text, &end, 10);
	return !*end && *value > 0 && *value <= max;
}

static const char *parse_scope(const char *dev, struct sockaddr_in6 *in6)
{
	bool local = IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) ||
		     IN6_IS_ADDR_MC_LINKLOCAL(&in6->sin6_addr);
	unsigned long index;

	/* The kernel drops the scope of other addresses: they would not compare equal. */
	if (dev && !local)
		return "%DEVICE belongs to link-local addresses only";
	if (!dev)
		return local ? "a link-local address needs %DEVICE" : NULL;
	index = if_nametoindex(dev);
	if (!index && !parse_number(dev, UINT32_MAX, &index))
		return "no such device";
	in6->sin6_scope_id = index;
	return NULL;
}

static void unmap_v4(union node_addr *addr)
{
	union node_addr v4 = { .in = { .sin_family = AF_INET, .sin_port = addr->in6.sin6_port } };

	if (addr->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&addr->in6.sin6_addr))
		return;
	memcpy(&v4.in.sin_addr, &addr->in6.sin6_addr.s6_addr[12], sizeof(v4.in.sin_addr));
	memset(addr, 0, sizeof(*addr));
	addr->in = v4.in;
}

const char *addr_parse_host(const char *text, union node_addr *addr)
{
	union node_addr out;
	char host[HOST_MAX + 1], *dev;
	const char *wrong;

	memset(&out, 0, sizeof(out));
	if (strlen(text) > HOST_MAX)
		return "too long";
	strcpy(host, text);
	if (inet_pton(AF_INET, host, &out.in.sin_addr) == 1) {
		out.in.sin_family = AF_INET;
		*addr = out;
		return NULL;
	}
	dev = strchr(host, '%');
	if (dev)
		*dev++ = '\0';
	if (inet_pton(AF_INET6, host, &out.in6.sin6_addr) != 1)
		return "not an IPv4 or IPv6 address";
	out.in6.sin6_family = AF_INET6;
	wrong = parse_scope(dev, &out.in6);
	if (wrong)
		return wrong;
	unmap_v4(&out);
	*addr = out;
	return NULL;
}

/*
 * Splits "HOST:PORT", "[V6]:PORT" and their forms without port. *v6: in brackets
 * or with several colons, so that it cannot be a name.
 */
static const char *split(char *text, char **host, char **port, bool *v6)
{
	char *colon = strchr(text, ':'), *end;

	*host = text;
	*port = NULL;
	*v6 = text[0] == '[' || (colon && strchr(colon + 1, ':'));
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end)
			return "no ]";
		*host = text + 1;
		*end++ = '\0';
		if (*end && *end != ':')
			return "something other than :PORT after ]";
		if (*end)
			*port = end + 1;
	} else if (colon && !*v6) {
		*colon = '\0';
		*port = colon + 1;
	}
	return NULL;
}

/*
 * A last label of digits alone is a mistyped address, never a name (RFC 3696); so
 * is what a resolver would take for one of the old notations (0x7f000001).
 */
static bool is_name(const char *host)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
	const char *last = strrchr(host, '.');
	struct in_addr old;

	last = last && last[1] ? last + 1 : host;
	return isalnum((unsigned char)host[0]) && strspn(host, allowed) == strlen(host) &&
	       strspn(last, "0123456789") != strlen(last) && !inet_aton(host, &old);
}

static const char *look_up(const char *name, union node_addr *addr)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM }, *list;
	int err = getaddrinfo(name, NULL, &hints, &list);
	bool ok;

	if (err)
		return gai_strerror(err);
	ok = addr_from_bytes(addr, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	return ok ? NULL : "the name has no IPv4 or IPv6 address";
}

static bool is_one_node(const union node_addr *addr)
{
	if (addr->sa.sa_family == AF_INET6)
		return !IN6_IS_ADDR_MULTICAST(&addr->in6.sin6_addr) &&
		       !IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr);
	return !IN_MULTICAST(ntohl(addr->in.sin_addr.s_addr)) &&
	       addr->in.sin_addr.s_addr != htonl(INADDR_ANY) &&
	       addr->in.sin_addr.s_addr != htonl(INADDR_BROADCAST);
}

const char *addr_parse_peer(const char *text, uint16_t port, union node_addr *addr)
{
	char copy[HOST_MAX + 16], *host, *port_text;
	unsigned long number = port;
	union node_addr out;
	const char *wrong;
	bool v6;

	if (strlen(text) >= sizeof(copy))
		return "too long";
	strcpy(copy, text);
	wrong = split(copy, &host, &port_text, &v6);
	if (wrong)
		return wrong;
	if (port_text && !parse_number(port_text, UINT16_MAX, &number))
		return "the port is not 1..65535";
	wrong = addr_parse_host(host, &out);
	if (wrong && !v6 && is_name(host))
		wrong = look_up(host, &out);
	if (wrong)
		return wrong;
	if (!is_one_node(&out))
		return "not the address of one node";
	out.in.sin_port = htons(number);	/* sin6_port is in the same place */
	*addr = out;
	return NULL;
}

bool addr_from_bytes(union node_addr *addr, const void *bytes, size_t len)
{
	union node_addr out;

	memset(&out, 0, sizeof(out));
	memcpy(&out, bytes, len < sizeof(out) ? len : sizeof(out));
	if (out.sa.sa_family == AF_INET && len >= sizeof(out.in)) {
		memset(&out.in.sin_zero, 0, sizeof(out) - offsetof(struct sockaddr_in, sin_zero));
	} else if (out.sa.sa_family == AF_INET6 && len >= sizeof(out.in6)) {
		out.in6.sin6_flowinfo = 0;
		unmap_v4(&out);
	} else {
		return false;
	}
	*addr = out;
	return true;
}

static bool is_host(const union node_addr *addr, const struct sockaddr *host)
{
	const struct sockaddr_in6 *in6 = (const void *)host;
	const struct sockaddr_in *in = (const void *)host;

	if (!host || host->sa_family != addr->sa.sa_family)
		return false;
	if (host->sa_family == AF_INET)
		return in->sin_addr.s_addr == addr->in.sin_addr.s_addr;
	return host->sa_family == AF_INET6 && in6->sin6_scope_id == addr->in6.sin6_scope_id &&
	       IN6_ARE_ADDR_EQUAL(&in6->sin6_addr, &addr->in6.sin6_addr);
}

bool addr_is_own(const union node_addr *addr)
{
	struct ifaddrs *list, *i;

	if (getifaddrs(&list) < 0)
		return false;
	for (i = list; i && !is_host(addr, i->ifa_addr); i = i->ifa_next)
		;
	freeifaddrs(list);
	return i;
}

size_t addr_len(const union node_addr *addr)
{
	return addr->sa.sa_family == AF_INET6 ? sizeof(addr->in6) : sizeof(addr->in);
}

bool addr_equal(const union node_addr *a, const union node_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

const char *addr_format(const union node_addr *addr, char buf[ADDR_TEXT_MAX])
{
	bool v6 = addr->sa.sa_family == AF_INET6;
	char host[INET6_ADDRSTRLEN] = "?", scope[IF_NAMESIZE + 1] = "";
	char name[IF_NAMESIZE];
	uint16_t port = ntohs(addr->in.sin_port);

	if (v6)
		inet_ntop(AF_INET6, &addr->in6.sin6_addr, host, sizeof(host));
	else
		inet_ntop(AF_INET, &addr->in.sin_addr, host, sizeof(host));
	if (v6 && addr->in6.sin6_scope_id) {
		if (if_indextoname(addr->in6.sin6_scope_id, name))
			snprintf(scope, sizeof(scope), "%%%s", name);
		else
			snprintf(scope, sizeof(scope), "%%%u", addr->in6.sin6_scope_id);
	}
	if (!port)
		snprintf(buf, ADDR_TEXT_MAX, "%s%s", host, scope);
	else
		snprintf(buf, ADDR_TEXT_MAX, v6 ? "[%s%s]:%u" : "%s%s:%u", host, scope, port);
	return buf;
}
