// SPDX-License-Identifier: GPL-2.0
/* HELLO, and the addresses in messages. */
#include <errno.h>

#include "msg_priv.h"

#define HELLO_LEN	80

#define FLAG_ELIGIBLE	0x0001
#define FLAG_MASTER	0x0002
#define FLAG_REFERENCE	0x0004
#define FLAG_REPORT	0x0008
#define FLAG_SYNCED	0x0010
#define FLAGS		(FLAG_ELIGIBLE | FLAG_MASTER | FLAG_REFERENCE | FLAG_REPORT | FLAG_SYNCED)

/* --- addresses: u16 4 or 6, u16 port, u32 0, then as in IP, rest 0 */

void msg_put_addr(unsigned char *p, const union node_addr *addr)
{
	memset(p, 0, MSG_ADDR_LEN);
	if (addr->sa.sa_family == AF_INET) {
		put16(p, 4);
		memcpy(p + 2, &addr->in.sin_port, 2);
		memcpy(p + 8, &addr->in.sin_addr, 4);
	} else if (addr->sa.sa_family == AF_INET6) {
		put16(p, 6);
		memcpy(p + 2, &addr->in6.sin6_port, 2);
		memcpy(p + 8, &addr->in6.sin6_addr, 16);
	}
}

static bool is_unicast4(in_addr_t a)
{
	return a != INADDR_ANY && a != INADDR_BROADCAST && !IN_MULTICAST(a);
}

/* A mapped address would be a second name for an IPv4 node. */
static bool is_unicast6(const struct in6_addr *a)
{
	return !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_MULTICAST(a) && !IN6_IS_ADDR_V4MAPPED(a);
}

bool msg_get_addr(union node_addr *addr, const unsigned char *p)
{
	memset(addr, 0, sizeof(*addr));
	if (all_zero(p, MSG_ADDR_LEN))
		return true;
	if (!get16(p + 2) || get32(p + 4))
		return false;
	switch (get16(p)) {
	case 4:
		addr->in.sin_family = AF_INET;
		memcpy(&addr->in.sin_port, p + 2, 2);
		memcpy(&addr->in.sin_addr, p + 8, 4);
		return is_unicast4(get32(p + 8)) && all_zero(p + 12, 12);
	case 6:
		addr->in6.sin6_family = AF_INET6;
		memcpy(&addr->in6.sin6_port, p + 2, 2);
		memcpy(&addr->in6.sin6_addr, p + 8, 16);
		return is_unicast6(&addr->in6.sin6_addr);
	default:
		return false;
	}
}

/* --- HELLO */

size_t msg_encode_hello(const struct msg_hello *h, unsigned char *buf)
{
	put16(buf + 2, (h->eligible ? FLAG_ELIGIBLE : 0) | (h->master ? FLAG_MASTER : 0) |
		       (h->reference ? FLAG_REFERENCE : 0) | (h->report ? FLAG_REPORT : 0) |
		       (h->synced ? FLAG_SYNCED : 0));
	put32(buf + 4, h->term);
	put32(buf + 8, h->claimed);
	put32(buf + 12, h->size);
	put64(buf + 16, h->instance);
	put64(buf + 24, h->master_id);
	put64(buf + 32, h->successor_id);
	buf[40] = h->kind;
	buf[41] = h->priority;
	put16(buf + 42, 0);
	put32(buf + 44, 0);
	msg_put_addr(buf + 48, &h->master_addr);
	put64(buf + 72, h->origin);
	return HELLO_LEN;
}

int msg_decode_hello(struct msg_hello *h, const unsigned char *p, size_t len)
{
	uint16_t flags;

	if (len != HELLO_LEN || p[40] > MSG_RESIGN || !all_zero(p + 42, 6))
		return -EBADMSG;
	flags = get16(p + 2);
	*h = (struct msg_hello){
		.kind = p[40],
		.eligible = flags & FLAG_ELIGIBLE,
		.master = flags & FLAG_MASTER,
		.reference = flags & FLAG_REFERENCE,
		.report = flags & FLAG_REPORT,
		.synced = flags & FLAG_SYNCED,
		.priority = p[41],
		.term = get32(p + 4),
		.claimed = get32(p + 8),
		.size = get32(p + 12),
		.instance = get64(p + 16),
		.master_id = get64(p + 24),
		.successor_id = get64(p + 32),
		.origin = get64(p + 72),
	};
	if (flags & ~FLAGS || !h->instance || !msg_get_addr(&h->master_addr, p + 48))
		return -EBADMSG;
	return 0;
}
