// SPDX-License-Identifier: GPL-2.0
/* The sockets: opening, closing, sending. What they receive: receive.c. */
#include <linux/net_tstamp.h>
#include <linux/slab.h>
#include <net/sock.h>
#include <net/udp_tunnel.h>

#include "berk.h"

#define SNDBUF	(4 << 20)	/* a probe to each of thousands of peers at once */

static void set_error_report(struct sock *sk, void (*report)(struct sock *sk))
{
	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_error_report = report;
	write_unlock_bh(&sk->sk_callback_lock);
}

/* As setsockopt(); @value lies in the kernel. */
int berk_sock_option(struct socket *sock, int level, int option, void *value, size_t size)
{
	return sock_common_setsockopt(sock, level, option, KERNEL_SOCKPTR(value), size);
}

static void close_one(struct berk_sock *bs)
{
	if (!bs)
		return;
	/* ORDER: then the release, which waits for RCU, then the memory. */
	set_error_report(bs->sock->sk, bs->saved_error_report);
	udp_tunnel_sock_release(bs->sock);
	xa_destroy(&bs->joined);
	kfree(bs->tx_buf);
	kvfree(bs);
}

static int create(struct berk_net *bn, sa_family_t family, struct socket **sock)
{
	const struct berk_conf *conf = &bn->conf;
	struct so_timestamping ts = {
		.flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_TX_SOFTWARE |
			 SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
			 SOF_TIMESTAMPING_OPT_TSONLY,
	};
	struct udp_port_cfg cfg = {
		.family = family,
		.local_udp_port = htons(conf->port),
		.bind_ifindex = conf->ifindex,
		.use_udp_checksums = true,
		.use_udp6_tx_checksums = true,
		.use_udp6_rx_checksums = true,
		.ipv6_v6only = true,
	};
	int no_loop = 0;
	int err;

	if (conf->bind.sa.sa_family == AF_INET)
		cfg.local_ip = conf->bind.in.sin_addr;
#if IS_ENABLED(CONFIG_IPV6)
	if (conf->bind.sa.sa_family == AF_INET6) {
		cfg.local_ip6 = conf->bind.in6.sin6_addr;
		if (!cfg.bind_ifindex)	/* a link-local address needs its link */
			cfg.bind_ifindex = conf->bind.in6.sin6_scope_id;
	}
#endif
	err = udp_sock_create(bn->net, &cfg, sock);
	if (err)
		return err;
	(*sock)->sk->sk_sndbuf = SNDBUF;
	err = sock_setsockopt(*sock, SOL_SOCKET, SO_TIMESTAMPING_NEW, KERNEL_SOCKPTR(&ts),
			      sizeof(ts));
	/* What we send to the group is not for us. IPv4: setup_udp_tunnel_sock() does it. */
	if (!err && family == AF_INET6)
		err = berk_sock_option(*sock, SOL_IPV6, IPV6_MULTICAST_LOOP,
				       &no_loop, sizeof(no_loop));
	if (err)
		udp_tunnel_sock_release(*sock);
	return err;
}

static int open_one(struct berk_net *bn, sa_family_t family, struct berk_sock **to)
{
	struct udp_tunnel_sock_cfg tunnel = { .encap_type = 1, .encap_rcv = berk_receive };
	struct berk_sock *bs;
	int err = -ENOMEM;

	bs = kvzalloc(sizeof(*bs), GFP_KERNEL_ACCOUNT);
	if (!bs)
		return err;
	bs->tx_buf = kmalloc(BERK_WIRE_MAX, GFP_KERNEL_ACCOUNT);
	if (!bs->tx_buf)
		goto free;
	bs->bn = bn;
	mutex_init(&bs->tx_lock);
	spin_lock_init(&bs->pending_lock);
	xa_init(&bs->joined);
	err = create(bn, family, &bs->sock);
	if (err)
		goto free;

	bs->saved_error_report = bs->sock->sk->sk_error_report;
	tunnel.sk_user_data = bs;
	setup_udp_tunnel_sock(bn->net, bs->sock, &tunnel);
	set_error_report(bs->sock->sk, berk_error_report);
	*to = bs;
	return 0;
free:
	kfree(bs->tx_buf);
	kvfree(bs);
	return err;
}

/**
 * berk_sock_open() - open what bn->conf says
 * @bn: conf_lock held, sockets closed
 *
 * Return: 0 with at least one socket open, or a negative error with none.
 */
int berk_sock_open(struct berk_net *bn)
{
	sa_family_t bind = bn->conf.bind.sa.sa_family;
	int err = 0;

	lockdep_assert_held(&bn->conf_lock);
	if (bind != AF_INET6)
		err = open_one(bn, AF_INET, &bn->sock[0]);
	if (!err && bind != AF_INET && IS_ENABLED(CONFIG_IPV6)) {
		err = open_one(bn, AF_INET6, &bn->sock[1]);
		/* A machine without IPv6 is a machine without IPv6 peers. */
		if (err == -EAFNOSUPPORT && bn->sock[0])
			err = 0;
	}
	if (err)
		berk_sock_close(bn);
	return err;
}

/* conf_lock held, or nobody else left; the thread does not run. */
void berk_sock_close(struct berk_net *bn)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bn->sock); i++) {
		close_one(bn->sock[i]);
		bn->sock[i] = NULL;
	}
}

/* The source address to send from, as a control message. Return: its length. */
static size_t put_pktinfo(struct cmsghdr *cmsg, const union berk_addr *from)
{
	struct in6_pktinfo *info6 = CMSG_DATA(cmsg);
	struct in_pktinfo *info = CMSG_DATA(cmsg);

	if (from->sa.sa_family == AF_INET) {
		cmsg->cmsg_level = IPPROTO_IP;
		cmsg->cmsg_type = IP_PKTINFO;
		cmsg->cmsg_len = CMSG_LEN(sizeof(*info));
		*info = (struct in_pktinfo) { .ipi_spec_dst = from->in.sin_addr };
		return CMSG_SPACE(sizeof(*info));
	}
	cmsg->cmsg_level = IPPROTO_IPV6;
	cmsg->cmsg_type = IPV6_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(*info6));
	info6->ipi6_addr = from->in6.sin6_addr;
	info6->ipi6_ifindex = from->in6.sin6_scope_id;
	return CMSG_SPACE(sizeof(*info6));
}

/* A transmit stamp with this id will belong to @msg. */
static void foretell(struct berk_sock *bs, const struct berk_msg *msg, u32 owner)
{
	u32 id = atomic_read(&bs->sock->sk->sk_tskey);
	unsigned long flags;

	lockdep_assert_held(&bs->tx_lock);
	spin_lock_irqsave(&bs->pending_lock, flags);
	bs->pending[id & (BERK_PENDING - 1)] = (struct berk_pending) {
		.nonce = msg->nonce,
		.id = id,
		.owner = owner,
		.seq = msg->seq,
		.type = msg->type,
	};
	spin_unlock_irqrestore(&bs->pending_lock, flags);
}

/**
 * berk_sock_send() - send a message
 * @bn: from the thread, or with conf_lock held
 * @to: where to
 * @from: which of our addresses to send from, or NULL
 * @msg: cluster, sender, term and flags are filled in here
 * @owner: who is to have the transmit stamp: see struct berk_pending
 *
 * Process context. Never waits for room: what the device cannot take is lost.
 *
 * Return: 0 or a negative error of sendmsg(); -EAFNOSUPPORT without a socket.
 */
int berk_sock_send(struct berk_net *bn, const union berk_addr *to,
		   const union berk_addr *from, struct berk_msg *msg, u32 owner)
{
	struct berk_sock *bs = bn->sock[to->sa.sa_family == AF_INET6];
	u8 control[CMSG_SPACE(sizeof(struct in6_pktinfo))] __aligned(8) = {};
	union berk_addr name = *to;
	struct msghdr hdr = {
		.msg_name = &name,
		.msg_namelen = name.sa.sa_family == AF_INET6 ? sizeof(name.in6) : sizeof(name.in),
		.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
	};
	struct berk_status status;
	struct kvec iov;
	int ret;

	if (!bs)
		return -EAFNOSUPPORT;
	if (from) {
		hdr.msg_control = control;
		hdr.msg_controllen = put_pktinfo((struct cmsghdr *)control, from);
	}
	msg->flags = berk_status_get(bn, &status);
	msg->term = status.term;
	msg->cluster = READ_ONCE(bn->conf.cluster);
	msg->sender = READ_ONCE(bn->conf.node_id);

	mutex_lock(&bs->tx_lock);
	ret = berk_wire_encode(bs->tx_buf, BERK_WIRE_MAX, msg);
	if (ret > 0) {
		iov = (struct kvec) { .iov_base = bs->tx_buf, .iov_len = ret };
		foretell(bs, msg, owner);
		ret = kernel_sendmsg(bs->sock, &hdr, &iov, 1, iov.iov_len);
	}
	mutex_unlock(&bs->tx_lock);
	return ret < 0 ? ret : 0;
}
