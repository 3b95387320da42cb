// SPDX-License-Identifier: GPL-2.0
/* The peer table: by address for packets, by index for rounds and stamps. */
#include <linux/jhash.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <net/ipv6.h>

#include "berk.h"

/**
 * berk_addr_from() - take over a socket address from outside
 * @to: where to; every byte that does not matter becomes 0
 * @sockaddr: struct sockaddr_in or sockaddr_in6, any alignment
 * @len: its length; more than the family needs is ignored
 *
 * A scope is kept for link-local addresses only, where it means something.
 *
 * Return: 0, -EINVAL if too short, -EAFNOSUPPORT for other families and for
 * IPv4 addresses in IPv6 clothes.
 */
int berk_addr_from(union berk_addr *to, const void *sockaddr, size_t len)
{
	union berk_addr a = {};

	memcpy(&a, sockaddr, min(len, sizeof(a)));
	memset(to, 0, sizeof(*to));
	if (len < sizeof(a.sa.sa_family))
		return -EINVAL;
	switch (a.sa.sa_family) {
	case AF_INET:
		if (len < sizeof(a.in))
			return -EINVAL;
		to->in.sin_family = AF_INET;
		to->in.sin_port = a.in.sin_port;
		to->in.sin_addr = a.in.sin_addr;
		return 0;
	case AF_INET6:
		if (len < sizeof(a.in6))
			return -EINVAL;
		if (ipv6_addr_v4mapped(&a.in6.sin6_addr))
			return -EAFNOSUPPORT;
		to->in6.sin6_family = AF_INET6;
		to->in6.sin6_port = a.in6.sin6_port;
		to->in6.sin6_addr = a.in6.sin6_addr;
		if (ipv6_addr_type(&a.in6.sin6_addr) & IPV6_ADDR_LINKLOCAL)
			to->in6.sin6_scope_id = a.in6.sin6_scope_id;
		return 0;
	}
	return -EAFNOSUPPORT;
}

bool berk_addr_is_unicast(const union berk_addr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return !ipv4_is_zeronet(addr->in.sin_addr.s_addr) &&
		       !ipv4_is_multicast(addr->in.sin_addr.s_addr) &&
		       !ipv4_is_lbcast(addr->in.sin_addr.s_addr);
	return !ipv6_addr_any(&addr->in6.sin6_addr) &&
	       !ipv6_addr_is_multicast(&addr->in6.sin6_addr);
}

/* BERK_MCAST_IN6 */
const struct in6_addr berk_group_in6 = {
	.s6_addr = { [0] = 0xff, [1] = 0x12, [14] = 0x55, [15] = 0x25 },
};

/* Is this the group that all nodes of a network hear? */
bool berk_addr_is_group(const union berk_addr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return addr->in.sin_addr.s_addr == htonl(BERK_MCAST_IN4);
	return ipv6_addr_equal(&addr->in6.sin6_addr, &berk_group_in6);
}

static u32 addr_hash(const union berk_addr *addr)
{
	BUILD_BUG_ON(sizeof(*addr) % sizeof(u32));
	return jhash2((const u32 *)addr, sizeof(*addr) / sizeof(u32), 0);
}

void berk_peers_init(struct berk_peers *peers)
{
	mutex_init(&peers->lock);
	hash_init(peers->by_addr);
	xa_init(&peers->by_index);
	peers->next = 1;
	peers->count = 0;
	peers->noter = 0;
}

/* Under RCU, or peers->lock. */
struct berk_peer *berk_peer_find(struct berk_peers *peers, const union berk_addr *addr)
{
	struct berk_peer *peer;

	hash_for_each_possible_rcu(peers->by_addr, peer, by_addr, addr_hash(addr),
				   lockdep_is_held(&peers->lock))
		if (!memcmp(&peer->addr, addr, sizeof(*addr)))
			return peer;
	return NULL;
}

/* Under RCU, or peers->lock. */
struct berk_peer *berk_peer_at(struct berk_peers *peers, u32 index)
{
	return xa_load(&peers->by_index, index);
}

/* The first peer whose index is at least *index, which is set to it; or NULL. */
struct berk_peer *berk_peer_next(struct berk_peers *peers, unsigned long *index)
{
	lockdep_assert_held(&peers->lock);
	return xa_find(&peers->by_index, index, ULONG_MAX, XA_PRESENT);
}

/**
 * berk_peer_set() - add a peer, or find it
 * @peers: the table; lock held
 * @addr: where it answers
 * @index: where to put its index, which is never given to another
 *
 * Return: 0, -ENOSPC when the table or the indices are used up, -ENOMEM.
 */
int berk_peer_set(struct berk_peers *peers, const union berk_addr *addr, u32 *index)
{
	struct berk_peer *peer;
	int err;

	lockdep_assert_held(&peers->lock);
	peer = berk_peer_find(peers, addr);
	if (peer) {
		*index = peer->index;
		return 0;
	}
	if (peers->count >= BERK_PEERS_MAX || peers->next == U32_MAX)
		return -ENOSPC;

	peer = kvmalloc(sizeof(*peer), GFP_KERNEL_ACCOUNT);
	if (!peer)
		return -ENOMEM;
	peer->addr = *addr;
	peer->index = peers->next;
	peer->in_round = false;
	memset(&peer->note, 0, sizeof(peer->note));
	berk_exchange_init(&peer->x);
	err = xa_insert(&peers->by_index, peer->index, peer, GFP_KERNEL_ACCOUNT);
	if (err) {
		kvfree(peer);
		return err;
	}
	hash_add_rcu(peers->by_addr, &peer->by_addr, addr_hash(addr));
	peers->next++;
	peers->count++;
	*index = peer->index;
	return 0;
}

static void remove(struct berk_peers *peers, struct berk_peer *peer)
{
	xa_erase(&peers->by_index, peer->index);
	hash_del_rcu(&peer->by_addr);
	peers->count--;
	kvfree_rcu(peer, rcu);
}

/* Return: 0, or -ENOENT. Lock held. */
int berk_peer_del(struct berk_peers *peers, const union berk_addr *addr)
{
	struct berk_peer *peer;

	lockdep_assert_held(&peers->lock);
	peer = berk_peer_find(peers, addr);
	if (!peer)
		return -ENOENT;
	remove(peers, peer);
	return 0;
}

/* Removes all peers. Lock held. */
void berk_peers_clear(struct berk_peers *peers)
{
	struct berk_peer *peer;
	unsigned long index;

	lockdep_assert_held(&peers->lock);
	xa_for_each(&peers->by_index, index, peer)
		remove(peers, peer);
}

/**
 * berk_peer_note() - keep what a daemon thinks of a peer
 * @peers: the table; lock held
 * @index: which peer
 * @note: replaces what was noted before
 * @portid: netlink socket of the daemon
 *
 * Return: 0, or -ENOENT.
 */
int berk_peer_note(struct berk_peers *peers, u32 index, const struct berk_note *note,
		   u32 portid)
{
	struct berk_peer *peer;

	lockdep_assert_held(&peers->lock);
	peer = berk_peer_at(peers, index);
	if (!peer)
		return -ENOENT;
	peer->note = *note;
	peers->noter = portid;
	return 0;
}

/* The netlink socket is gone, and with it what it noted. Lock held. */
void berk_peers_forget(struct berk_peers *peers, u32 portid)
{
	struct berk_peer *peer;
	unsigned long index;

	lockdep_assert_held(&peers->lock);
	if (!portid || peers->noter != portid)
		return;
	xa_for_each(&peers->by_index, index, peer)
		memset(&peer->note, 0, sizeof(peer->note));
	peers->noter = 0;
}
