// SPDX-License-Identifier: GPL-2.0
/* The multicast group of all nodes near: hearing it, and sending to it. */
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <net/sock.h>

#include "berk.h"

static int membership(struct berk_sock *bs, bool join, u32 ifindex)
{
	struct ip_mreqn in4 = {
		.imr_multiaddr.s_addr = htonl(BERK_MCAST_IN4),
		.imr_ifindex = ifindex,
	};
	struct ipv6_mreq in6 = { .ipv6mr_multiaddr = berk_group_in6, .ipv6mr_ifindex = ifindex };

	if (bs->sock->sk->sk_family == AF_INET)
		return berk_sock_option(bs->sock, SOL_IP,
					join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
					&in4, sizeof(in4));
	return berk_sock_option(bs->sock, SOL_IPV6,
				join ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP,
				&in6, sizeof(in6));
}

static bool device_exists(struct net *net, u32 ifindex)
{
	bool exists;

	rcu_read_lock();
	exists = dev_get_by_index_rcu(net, ifindex);
	rcu_read_unlock();
	return exists;
}

/* How many groups a socket may be in is limited: those of devices that went are left. */
static int join(struct berk_sock *bs, u32 ifindex)
{
	unsigned long old;
	void *entry;
	int err;

	if (xa_load(&bs->joined, ifindex))
		return 0;
	xa_for_each(&bs->joined, old, entry) {
		if (!device_exists(bs->bn->net, old)) {
			membership(bs, false, old);
			xa_erase(&bs->joined, old);
		}
	}
	err = membership(bs, true, ifindex);
	if (err && err != -EADDRINUSE)
		return err;
	return xa_err(xa_store(&bs->joined, ifindex, xa_mk_value(1), GFP_KERNEL_ACCOUNT));
}

/* An address of the device, or 0: one of another would lead the answers elsewhere. */
static __be32 address_on(struct net *net, u32 ifindex)
{
	const struct in_device *in_dev;
	const struct in_ifaddr *ifa;
	struct net_device *dev;
	__be32 address = 0;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(net, ifindex);
	in_dev = dev ? __in_dev_get_rcu(dev) : NULL;
	ifa = in_dev ? rcu_dereference(in_dev->ifa_list) : NULL;
	if (ifa)
		address = ifa->ifa_local;
	rcu_read_unlock();
	return address;
}

/**
 * berk_group_join() - hear the group on a device, and send what goes to it there
 * @bn: conf_lock held
 * @group: the group's address; for IPv6, its scope is filled in
 * @ifindex: the device
 *
 * To be called before each sending to the group. Only the first call for a
 * device takes the rtnl lock.
 *
 * Return: 0, -EAFNOSUPPORT without a socket of the family, -ENODEV,
 * -EADDRNOTAVAIL if the device has no IPv4 address, or what joining returned.
 */
int berk_group_join(struct berk_net *bn, union berk_addr *group, u32 ifindex)
{
	struct berk_sock *bs = bn->sock[group->sa.sa_family == AF_INET6];
	struct ip_mreqn out = { .imr_ifindex = ifindex };
	int err;

	lockdep_assert_held(&bn->conf_lock);
	if (!bs)
		return -EAFNOSUPPORT;
	err = join(bs, ifindex);
	if (err)
		return err;
	if (group->sa.sa_family == AF_INET6) {
		group->in6.sin6_scope_id = ifindex;
		return 0;
	}
	out.imr_address.s_addr = address_on(bn->net, ifindex);
	if (!out.imr_address.s_addr)
		return -EADDRNOTAVAIL;
	return berk_sock_option(bs->sock, SOL_IP, IP_MULTICAST_IF, &out, sizeof(out));
}
