// SPDX-License-Identifier: GPL-2.0
#include "near.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#define GOOD_NS	2000000000	/* a new network may wait for that long */
#define FIT	(IFF_UP | IFF_RUNNING | IFF_MULTICAST)

static void put(struct near *near, sa_family_t family, uint32_t ifindex)
{
	struct near_group *g = &near->group[near->n];

	for (size_t i = 0; i < near->n; i++)
		if (near->group[i].ifindex == ifindex &&
		    near->group[i].addr.sa.sa_family == family)
			return;
	if (near->n == NEAR_MAX)
		return;
	memset(g, 0, sizeof(*g));
	g->ifindex = ifindex;
	g->addr.sa.sa_family = family;
	g->addr.in.sin_port = htons(near->port);	/* sin6_port is in the same place */
	if (family == AF_INET) {
		g->addr.in.sin_addr.s_addr = htonl(BERK_MCAST_IN4);
	} else {
		inet_pton(AF_INET6, BERK_MCAST_IN6, &g->addr.in6.sin6_addr);
		g->addr.in6.sin6_scope_id = ifindex;
	}
	near->n++;
}

void near_list(struct near *near, int64_t now_ns)
{
	struct ifaddrs *list;

	if (now_ns < near->good_until_ns || getifaddrs(&list) < 0)
		return;
	near->n = 0;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		sa_family_t family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
		uint32_t ifindex = if_nametoindex(i->ifa_name);

		if ((family == AF_INET || family == AF_INET6) && ifindex &&
		    (i->ifa_flags & FIT) == FIT && !(i->ifa_flags & IFF_LOOPBACK) &&
		    (!near->only_ifindex || near->only_ifindex == ifindex))
			put(near, family, ifindex);
	}
	freeifaddrs(list);
	near->good_until_ns = now_ns + GOOD_NS;
}
