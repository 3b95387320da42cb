/* SPDX-License-Identifier: GPL-2.0 */
/*
 * near: everybody on the local networks, by multicast
 *
 * What they are called: one group for each device that is up and each family that
 * has an address there.
 */
#ifndef BERK_NEAR_H
#define BERK_NEAR_H

#include "node.h"

#define NEAR_MAX 64	/* groups; whoever has more networks sends to the first */

struct near_group {
	union node_addr addr;
	uint32_t ifindex;
};

struct near {
	uint16_t port;		/* set by the caller... */
	uint32_t only_ifindex;	/* ...0 = every device */
	size_t n;
	struct near_group group[NEAR_MAX];
	int64_t good_until_ns;	/* 0 at first */
};

/*
 * Brings group up to date, which costs something only every other second. now_ns:
 * any clock that does not go back. Those of devices that are not fit to send yet
 * may be among them.
 */
void near_list(struct near *near, int64_t now_ns);

#endif /* BERK_NEAR_H */
