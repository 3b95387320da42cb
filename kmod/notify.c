// SPDX-License-Identifier: GPL-2.0
/* What goes out through netlink: status, dumps, notifications. */
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "berk.h"

#define SAMPLES_PER_MSG	28	/* fits in one page with its headers */

static int put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, BERK_A_PAD);
}

static int put_addr(struct sk_buff *skb, int attr, const union berk_addr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return nla_put(skb, attr, sizeof(addr->in), &addr->in);
	return nla_put(skb, attr, sizeof(addr->in6), &addr->in6);
}

static int put_counters(struct sk_buff *skb, struct berk_net *bn)
{
	struct nlattr *nest = nla_nest_start(skb, BERK_A_COUNTERS);
	int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 1; i <= BERK_CNT_MAX; i++)
		if (nla_put_u64_64bit(skb, i, atomic64_read(&bn->counter[i]), BERK_CNT_UNSPEC))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_sync(struct sk_buff *skb, const struct berk_status *status)
{
	return nla_put_u8(skb, BERK_A_STATE, status->state) ||
	       nla_put_u8(skb, BERK_A_ROLE, status->role) ||
	       put_u64(skb, BERK_A_MASTER_ID, status->master_id) ||
	       nla_put_u32(skb, BERK_A_TERM, status->term);
}

/* What STATUS_GET answers; conf_lock held. Return: 0, or not if there is no room. */
int berk_put_status(struct sk_buff *skb, struct berk_net *bn)
{
	struct berk_status status;
	union berk_addr any = { .in.sin_family = AF_INET };
	s64 age;

	berk_status_get(bn, &status);
	age = berk_status_round_age_ms(&status);
	return nla_put_string(skb, BERK_A_VERSION, BERK_VERSION) ||
	       put_u64(skb, BERK_A_NODE_ID, bn->conf.node_id) ||
	       put_u64(skb, BERK_A_CLUSTER, bn->conf.cluster) ||
	       nla_put_u16(skb, BERK_A_PORT, bn->conf.port) ||
	       put_addr(skb, BERK_A_BIND, bn->conf.bind.sa.sa_family ? &bn->conf.bind : &any) ||
	       nla_put_u32(skb, BERK_A_IFINDEX, bn->conf.ifindex) ||
	       put_sync(skb, &status) ||
	       nla_put_u32(skb, BERK_A_ROUND, status.round) ||
	       (age >= 0 && put_u64(skb, BERK_A_ROUND_AGE_MS, age)) ||
	       nla_put_s64(skb, BERK_A_OFFSET_NS, status.offset_ns, BERK_A_PAD) ||
	       put_u64(skb, BERK_A_ERROR_BOUND_NS, status.error_bound_ns) ||
	       nla_put_u32(skb, BERK_A_ERROR_GROWTH_PPB, status.error_growth_ppb) ||
	       nla_put_s32(skb, BERK_A_FREQ_PPB, status.freq_ppb) ||
	       nla_put_u32(skb, BERK_A_VALID_MS, status.valid_ms) ||
	       nla_put_u32(skb, BERK_A_PEERS, READ_ONCE(bn->peers.count)) ||
	       put_u64(skb, BERK_A_SEQ, bn->ring.size ? berk_ring_next(&bn->ring) : 0) ||
	       put_counters(skb, bn);
}

static int put_note(struct sk_buff *skb, const struct berk_note *note)
{
	if (!note->noted)
		return 0;
	if (nla_put_u8(skb, BERK_A_PEER_STATE, note->state) ||
	    nla_put_u8(skb, BERK_A_PEER_REASON, note->reason) ||
	    nla_put_u8(skb, BERK_A_PEER_RANK, note->rank))
		return -EMSGSIZE;
	if (!note->known)
		return 0;
	return nla_put_s64(skb, BERK_A_OFFSET_NS, note->offset_ns, BERK_A_PAD) ||
	       put_u64(skb, BERK_A_SIGMA_NS, note->sigma_ns) ||
	       put_u64(skb, BERK_A_DELAY_NS, note->delay_ns) ||
	       nla_put_s32(skb, BERK_A_FREQ_PPB, note->freq_ppb);
}

static int put_peer(struct sk_buff *skb, struct berk_peer *peer, struct netlink_callback *cb)
{
	struct berk_exchange *x = &peer->x;
	u64 node_id, probes, replies, answered;
	u16 peer_flags;
	void *hdr;

	spin_lock_irq(&x->lock);
	node_id = x->node_id;
	probes = x->probes;
	replies = x->replies;
	answered = x->answered_ns;
	peer_flags = x->peer_flags;
	spin_unlock_irq(&x->lock);

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &berk_family,
			  NLM_F_MULTI, BERK_CMD_PEER_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, BERK_A_PEER, peer->index) ||
	    put_addr(skb, BERK_A_ADDR, &peer->addr) ||
	    put_u64(skb, BERK_A_NODE_ID, node_id) ||
	    nla_put_u16(skb, BERK_A_PEER_FLAGS, peer_flags) ||
	    put_u64(skb, BERK_A_PEER_PROBES, probes) ||
	    put_u64(skb, BERK_A_PEER_REPLIES, replies) ||
	    (answered && put_u64(skb, BERK_A_PEER_AGE_MS,
				 div_u64(ktime_get_boottime_ns() - answered, NSEC_PER_MSEC))) ||
	    put_note(skb, &peer->note)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* Where a dump goes on, in cb->ctx. */
struct dump {
	u64 next;
	bool begun;
};

int berk_dump_peers(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct berk_net *bn = berk_net(sock_net(skb->sk));
	struct dump *dump = (void *)cb->ctx;
	unsigned long index = dump->next;
	struct berk_peer *peer;

	mutex_lock(&bn->peers.lock);
	while ((peer = berk_peer_next(&bn->peers, &index))) {
		if (put_peer(skb, peer, cb))
			break;
		index++;
	}
	mutex_unlock(&bn->peers.lock);
	dump->next = index;
	return skb->len;
}

/* Return: how many samples were put, or -EMSGSIZE. */
static int put_samples(struct sk_buff *skb, struct berk_ring *ring, u64 *from, u32 max)
{
	struct nlattr *attr = nla_reserve_64bit(skb, BERK_A_SAMPLES,
						max * sizeof(struct berk_sample), BERK_A_PAD);
	u32 n;

	if (!attr)
		return -EMSGSIZE;
	n = berk_ring_get(ring, from, nla_data(attr), max);
	/* Give back what was not needed; the size of a sample is a multiple of NLA_ALIGNTO. */
	attr->nla_len = nla_attr_size(n * sizeof(struct berk_sample));
	skb_trim(skb, skb->len - (max - n) * sizeof(struct berk_sample));
	return n;
}

int berk_dump_samples(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct berk_net *bn = berk_net(sock_net(skb->sk));
	struct dump *dump = (void *)cb->ctx;
	int n;

	if (!dump->begun) {
		const struct nlattr *from = nlmsg_find_attr(cb->nlh, GENL_HDRLEN, BERK_A_SEQ);

		dump->next = from ? nla_get_u64(from) : 0;
		dump->begun = true;
	}
	do {
		void *hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
					&berk_family, NLM_F_MULTI, BERK_CMD_SAMPLE_GET);

		if (!hdr)
			break;
		n = put_samples(skb, &bn->ring, &dump->next, SAMPLES_PER_MSG);
		if (n <= 0) {
			genlmsg_cancel(skb, hdr);
			break;
		}
		genlmsg_end(skb, hdr);
	} while (n == SAMPLES_PER_MSG);
	return skb->len;
}

static bool enabled;	/* written by module init and exit */

void berk_notify_enable(bool on)
{
	WRITE_ONCE(enabled, on);
}

/* A notification for a group, or NULL if nobody listens or there is no memory. */
static struct sk_buff *event_new(struct berk_net *bn, int group, int cmd, gfp_t gfp, void **hdr)
{
	struct sk_buff *skb;

	if (!READ_ONCE(enabled) || !genl_has_listeners(&berk_family, bn->net, group))
		return NULL;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, gfp);
	if (!skb)
		return NULL;
	*hdr = genlmsg_put(skb, 0, 0, &berk_family, 0, cmd);
	return skb;
}

static void event_send(struct berk_net *bn, int group, struct sk_buff *skb, void *hdr, gfp_t gfp)
{
	genlmsg_end(skb, hdr);
	genlmsg_multicast_netns(&berk_family, bn->net, skb, 0, group, gfp);
}

static void samples_event(struct berk_net *bn, u64 from, u64 end)
{
	struct sk_buff *skb;
	void *hdr;

	while (from < end) {
		skb = event_new(bn, BERK_GROUP_SAMPLES, BERK_CMD_EV_SAMPLES, GFP_KERNEL, &hdr);
		if (!skb)
			return;
		if (put_samples(skb, &bn->ring, &from, SAMPLES_PER_MSG) <= 0) {
			nlmsg_free(skb);
			return;
		}
		event_send(bn, BERK_GROUP_SAMPLES, skb, hdr, GFP_KERNEL);
	}
}

/* The round has ended. The thread, peers.lock held. */
void berk_notify_round(struct berk_net *bn)
{
	struct berk_round *r = &bn->round;
	u64 next = berk_ring_next(&bn->ring);
	struct sk_buff *skb;
	void *hdr;

	samples_event(bn, r->first_seq, next);
	skb = event_new(bn, BERK_GROUP_EVENTS, BERK_CMD_EV_ROUND, GFP_KERNEL, &hdr);
	if (!skb)
		return;
	if (nla_put_u32(skb, BERK_A_ROUND, r->id) ||
	    nla_put_u32(skb, BERK_A_PROBES, atomic_read(&r->probes)) ||
	    nla_put_u32(skb, BERK_A_REPLIES, atomic_read(&r->replies)) ||
	    put_u64(skb, BERK_A_SEQ, next))
		nlmsg_free(skb);
	else
		event_send(bn, BERK_GROUP_EVENTS, skb, hdr, GFP_KERNEL);
}

/* What was published has changed, or is no longer true. Process context. */
void berk_notify_state(struct berk_net *bn)
{
	struct berk_status status;
	struct sk_buff *skb;
	void *hdr;

	skb = event_new(bn, BERK_GROUP_EVENTS, BERK_CMD_EV_STATE, GFP_KERNEL, &hdr);
	if (!skb)
		return;
	berk_status_get(bn, &status);
	if (put_sync(skb, &status))
		nlmsg_free(skb);
	else
		event_send(bn, BERK_GROUP_EVENTS, skb, hdr, GFP_KERNEL);
}

/*
 * A control message came; softirq. The message is copied into one netlink
 * buffer: rare traffic, a few per round, and none unless a daemon listens,
 * whose receive buffer is the bound.
 */
void berk_notify_ctrl(struct berk_net *bn, const union berk_addr *from,
		      const struct berk_msg *msg)
{
	struct sk_buff *skb;
	void *hdr;

	skb = event_new(bn, BERK_GROUP_CTRL, BERK_CMD_EV_CTRL, GFP_ATOMIC, &hdr);
	if (!skb)
		return;
	if (put_addr(skb, BERK_A_ADDR, from) ||
	    put_u64(skb, BERK_A_NODE_ID, msg->sender) ||
	    nla_put_u32(skb, BERK_A_TERM, msg->term) ||
	    nla_put(skb, BERK_A_PAYLOAD, msg->len, msg->payload))
		nlmsg_free(skb);
	else
		event_send(bn, BERK_GROUP_CTRL, skb, hdr, GFP_ATOMIC);
}
