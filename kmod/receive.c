// SPDX-License-Identifier: GPL-2.0
/* What arrives: packets, and the transmit stamps of those we sent. */
#include <linux/errqueue.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/net_tstamp.h>
#include <linux/timekeeping.h>
#include <linux/udp.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "berk.h"

#define AGE_MAX	(20 * NSEC_PER_MSEC)	/* from the wire to us */

static struct berk_mark mark_of(const struct system_time_snapshot *now, u8 src)
{
	return (struct berk_mark) {
		.at = { .real_ns = now->real, .raw_ns = now->raw },
		.set_seq = now->clock_was_set_seq,
		.src = src,
	};
}

/* The present moment as a stamp. */
struct berk_mark berk_now(u8 src)
{
	struct system_time_snapshot now;

	ktime_get_snapshot(&now);
	return mark_of(&now, src);
}

/*
 * A moment shortly ago, known in CLOCK_REALTIME, on both clocks. One that is
 * missing, lies ahead or is older than AGE_MAX (the clock was set in between)
 * becomes the present moment and is marked @otherwise.
 */
static struct berk_mark mark_at(ktime_t when, u8 otherwise)
{
	struct system_time_snapshot now;
	struct berk_mark mark;
	s64 age;

	ktime_get_snapshot(&now);
	age = ktime_sub(now.real, when);
	if (!when || age < 0 || age > AGE_MAX)
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
		.ends = { .to = *from, .from = *to },
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
	bool to_us;

	if (len > BERK_WIRE_MAX || !pskb_may_pull(skb, skb->len))
		return false;
	at = mark_at(skb_tstamp(skb), BERK_STAMP_LATE);
	addresses(skb, &from, &to);
	to_us = skb->pkt_type == PACKET_HOST && berk_addr_is_unicast(&to);
	if (!to_us && !berk_addr_is_group(&to))
		return false;
	if (berk_wire_decode(&msg, skb->data + sizeof(struct udphdr), len))
		return false;
	if (msg.cluster != READ_ONCE(bn->conf.cluster)) {
		berk_count(bn, BERK_CNT_FOREIGN);
		return true;
	}
	/* Also from our own node id, which another may use as well: the daemon can tell. */
	if (msg.type == BERK_WIRE_T_CTRL) {
		berk_count(bn, BERK_CNT_CTRL_RX);
		berk_notify_ctrl(bn, &from, &msg);
		return true;
	}
	/* Probes to the group would be answered by everybody at once. */
	if (!to_us || msg.sender == READ_ONCE(bn->conf.node_id))
		return false;
	if (at.src == BERK_STAMP_LATE)
		berk_count(bn, BERK_CNT_RX_STAMPS_LATE);
	if (msg.type == BERK_WIRE_T_PROBE)
		return receive_probe(bn, &msg, &from, &to, &at);
	return receive_reply(bn, &msg, &from, &at);
}

/* encap_rcv: softirq, under RCU, skb->data at the UDP header, checksum verified. */
int berk_receive(struct sock *sk, struct sk_buff *skb)
{
	struct berk_sock *bs = rcu_dereference_sk_user_data(sk);

	if (bs && receive_packet(bs->bn, skb)) {
		consume_skb(skb);
		return 0;
	}
	if (bs)
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
void berk_error_report(struct sock *sk)
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
