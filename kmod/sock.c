// SPDX-License-Identifier: GPL-2.0
/* The sockets: what arrives, what is sent, and the stamps of both. */
#include <linux/errqueue.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/log2.h>
#include <linux/net_tstamp.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/udp.h>
#include <net/ipv6.h>
#include <net/sock.h>
#include <net/udp_tunnel.h>

#include "berk.h"

#define SNDBUF	(4 << 20)	/* a probe to each of thousands of peers at once */

static struct berk_mark mark_of(const struct system_time_snapshot *now, u8 src)
{
	return (struct berk_mark) {
		.at = { .real_ns = now->real, .raw_ns = now->raw },
		.set_seq = now->clock_was_set_seq,
		.src = src,
	};
}

/* The present moment as a stamp. */
struct berk_mark berk_sock_now(u8 src)
{
	struct system_time_snapshot now;

	ktime_get_snapshot(&now);
	return mark_of(&now, src);
}

/*
 * A moment shortly ago, known in CLOCK_REALTIME, on both clocks. One that is
 * missing, lies ahead or is older than a second (the clock was set in between)
 * becomes the present moment and is marked @otherwise.
 */
static struct berk_mark mark_at(ktime_t when, u8 otherwise)
{
	struct system_time_snapshot now;
	struct berk_mark mark;
	s64 age;

	ktime_get_snapshot(&now);
	age = ktime_sub(now.real, when);
	if (!when || age < 0 || age > NSEC_PER_SEC)
		return mark_of(&now, otherwise);
	mark = mark_of(&now, BERK_STAMP_DRIVER);
	mark.at.real_ns -= age;
	mark.at.raw_ns -= age;
	return mark;
}

static void addresses(const struct sk_buff *skb, union berk_addr *src, union berk_addr *dst)
{
	memset(src, 0, sizeof(*src));
	memset(dst, 0, sizeof(*dst));
	if (skb->protocol == htons(ETH_P_IP)) {
		src->in.sin_family = AF_INET;
		src->in.sin_port = udp_hdr(skb)->source;
		src->in.sin_addr.s_addr = ip_hdr(skb)->saddr;
		dst->in.sin_family = AF_INET;
		dst->in.sin_addr.s_addr = ip_hdr(skb)->daddr;
		return;
	}
	src->in6.sin6_family = AF_INET6;
	src->in6.sin6_port = udp_hdr(skb)->source;
	src->in6.sin6_addr = ipv6_hdr(skb)->saddr;
	src->in6.sin6_scope_id = ipv6_iface_scope_id(&ipv6_hdr(skb)->saddr, skb->skb_iif);
	dst->in6.sin6_family = AF_INET6;
	dst->in6.sin6_addr = ipv6_hdr(skb)->daddr;
	dst->in6.sin6_scope_id = ipv6_iface_scope_id(&ipv6_hdr(skb)->daddr, skb->skb_iif);
}

static bool receive_probe(struct berk_net *bn, const struct berk_msg *msg,
			  const union berk_addr *from, const union berk_addr *to,
			  const struct berk_mark *t2)
{
	struct berk_answer answer = {
		.to = *from,
		.from = *to,
		.nonce = msg->nonce,
		.seq = msg->seq,
		.t2 = *t2,
	};

	berk_count(bn, BERK_CNT_PROBES_RX);
	if (berk_answer_queue(&bn->answers, &answer))
		wake_up(&bn->wait);
	else
		berk_count(bn, BERK_CNT_OVERRUN);
	return true;
}

static bool receive_reply(struct berk_net *bn, const struct berk_msg *msg,
			  const union berk_addr *from, const struct berk_mark *t4)
{
	struct berk_sample sample;
	struct berk_peer *peer;
	int got = -ENOENT;
	u32 round;

	rcu_read_lock();
	peer = berk_peer_find(&bn->peers, from);
	if (peer) {
		got = berk_exchange_reply(&peer->x, msg, t4, ktime_get_boottime_ns(), &round,
					  &sample);
		sample.peer = peer->index;
	}
	rcu_read_unlock();
	if (got < 0)
		return false;

	berk_count(bn, BERK_CNT_REPLIES_RX);
	if (got) {
		if (sample.src[0] != BERK_STAMP_DRIVER)
			berk_count(bn, BERK_CNT_TX_STAMPS_MISSING);
		berk_ring_put(&bn->ring, &sample);
		berk_count(bn, BERK_CNT_SAMPLES);
	}
	berk_round_replied(bn, round);
	return true;
}

/* Return: whether the packet was of any use. */
static bool receive_packet(struct berk_net *bn, struct sk_buff *skb)
{
	unsigned int len = skb->len - sizeof(struct udphdr);
	union berk_addr from, to;
	struct berk_msg msg;
	struct berk_mark at;

	/* Broadcasts would be answered by everybody at once. */
	if (skb->pkt_type != PACKET_HOST || len > BERK_WIRE_MAX || !pskb_may_pull(skb, skb->len))
		return false;
	at = mark_at(skb_tstamp(skb), BERK_STAMP_LATE);
	if (berk_wire_decode(&msg, skb->data + sizeof(struct udphdr), len))
		return false;
	if (msg.cluster != READ_ONCE(bn->conf.cluster) ||
	    msg.sender == READ_ONCE(bn->conf.node_id))
		return false;
	if (at.src == BERK_STAMP_LATE)
		berk_count(bn, BERK_CNT_RX_STAMPS_LATE);

	addresses(skb, &from, &to);
	switch (msg.type) {
	case BERK_WIRE_T_PROBE:
		return receive_probe(bn, &msg, &from, &to, &at);
	case BERK_WIRE_T_REPLY:
		return receive_reply(bn, &msg, &from, &at);
	}
	berk_count(bn, BERK_CNT_CTRL_RX);
	berk_netlink_ctrl(bn, &from, &msg);
	return true;
}

/* encap_rcv: softirq, under RCU, skb->data at the UDP header, checksum good. */
static int receive(struct sock *sk, struct sk_buff *skb)
{
	struct berk_sock *bs = rcu_dereference_sk_user_data(sk);

	if (bs && !receive_packet(bs->bn, skb))
		berk_count(bs->bn, BERK_CNT_REJECTED);
	kfree_skb(skb);
	return 0;
}

static void stamped(struct berk_sock *bs, const struct sk_buff *skb)
{
	const struct sock_extended_err *ee = &SKB_EXT_ERR(skb)->ee;
	struct berk_pending pending = {}, *p;
	struct berk_mark mark;
	unsigned long flags;

	if (ee->ee_origin != SO_EE_ORIGIN_TIMESTAMPING || ee->ee_info != SCM_TSTAMP_SND)
		return;
	mark = mark_at(skb->tstamp, BERK_STAMP_NONE);
	if (mark.src == BERK_STAMP_NONE)
		return;

	p = &bs->pending[ee->ee_data & (BERK_PENDING - 1)];
	spin_lock_irqsave(&bs->pending_lock, flags);
	if (p->id == ee->ee_data) {
		pending = *p;
		p->nonce = 0;
	}
	spin_unlock_irqrestore(&bs->pending_lock, flags);
	if (!pending.nonce)
		return;

	if (pending.type == BERK_WIRE_T_PROBE) {
		struct berk_peer *peer = berk_peer_at(&bs->bn->peers, pending.owner);

		if (peer)
			berk_exchange_stamp(&peer->x, pending.seq, pending.nonce, &mark);
	} else if (pending.type == BERK_WIRE_T_REPLY) {
		berk_answer_stamp(&bs->bn->answers, pending.owner, pending.nonce, &mark);
	}
}

/* sk_error_report: any context, also inside our own send. */
static void error_report(struct sock *sk)
{
	struct berk_sock *bs;
	struct sk_buff *skb;

	rcu_read_lock();
	bs = rcu_dereference_sk_user_data(sk);
	while ((skb = skb_dequeue(&sk->sk_error_queue))) {
		if (bs)
			stamped(bs, skb);
		dev_kfree_skb_any(skb);
	}
	rcu_read_unlock();
}

static void set_error_report(struct sock *sk, void (*report)(struct sock *sk))
{
	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_error_report = report;
	write_unlock_bh(&sk->sk_callback_lock);
}

static void close_one(struct berk_sock *bs)
{
	if (!bs)
		return;
	/* ORDER: then the release, which waits for RCU, then the memory. */
	set_error_report(bs->sock->sk, bs->saved_error_report);
	udp_tunnel_sock_release(bs->sock);
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
	int err;

	if (conf->bind.sa.sa_family == AF_INET)
		cfg.local_ip = conf->bind.in.sin_addr;
#if IS_ENABLED(CONFIG_IPV6)
	if (conf->bind.sa.sa_family == AF_INET6)
		cfg.local_ip6 = conf->bind.in6.sin6_addr;
#endif
	err = udp_sock_create(bn->net, &cfg, sock);
	if (err)
		return err;
	(*sock)->sk->sk_sndbuf = SNDBUF;
	err = sock_setsockopt(*sock, SOL_SOCKET, SO_TIMESTAMPING_NEW, KERNEL_SOCKPTR(&ts),
			      sizeof(ts));
	if (err)
		udp_tunnel_sock_release(*sock);
	return err;
}

static int open_one(struct berk_net *bn, sa_family_t family, struct berk_sock **to)
{
	struct udp_tunnel_sock_cfg tunnel = { .encap_type = 1, .encap_rcv = receive };
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
	err = create(bn, family, &bs->sock);
	if (err)
		goto free;

	bs->saved_error_report = bs->sock->sk->sk_error_report;
	tunnel.sk_user_data = bs;
	setup_udp_tunnel_sock(bn->net, bs->sock, &tunnel);
	set_error_report(bs->sock->sk, error_report);
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
