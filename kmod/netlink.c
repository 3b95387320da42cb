// SPDX-License-Identifier: GPL-2.0
/* The generic netlink family. What the messages are is drawn in linux/berk.h. */
#include <linux/module.h>
#include <net/genetlink.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "berk.h"

#define SAMPLES_PER_MSG	28	/* fits in one page with its headers */

enum { GROUP_EVENTS, GROUP_SAMPLES, GROUP_CTRL };

static struct genl_family family;

/* Not const: 6.1's struct nla_policy points to them without. */
static struct netlink_range_validation spacing_range = { .max = BERK_SPACING_MAX };
static struct netlink_range_validation deadline_range = {
	.min = 1, .max = BERK_DEADLINE_MAX
};

static struct netlink_range_validation id_range = { .min = 1, .max = U64_MAX };

static int check_addr(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	union berk_addr addr;

	if (berk_addr_from(&addr, nla_data(attr), nla_len(attr)) == 0)
		return 0;
	NL_SET_ERR_MSG_ATTR(extack, attr, "not a sockaddr_in or sockaddr_in6");
	return -EINVAL;
}

static const struct nla_policy policy[BERK_A_MAX + 1] = {
	[BERK_A_NODE_ID] = NLA_POLICY_FULL_RANGE(NLA_U64, &id_range),
	[BERK_A_CLUSTER] = { .type = NLA_U64 },
	[BERK_A_PORT] = { .type = NLA_U16 },
	[BERK_A_BIND] = NLA_POLICY_VALIDATE_FN(NLA_BINARY, check_addr, 64),
	[BERK_A_IFINDEX] = NLA_POLICY_RANGE(NLA_U32, 0, S16_MAX),
	[BERK_A_STATE] = NLA_POLICY_MAX(NLA_U8, __BERK_STATE_MAX - 1),
	[BERK_A_ROLE] = NLA_POLICY_MAX(NLA_U8, __BERK_ROLE_MAX - 1),
	[BERK_A_MASTER_ID] = { .type = NLA_U64 },
	[BERK_A_TERM] = { .type = NLA_U32 },
	[BERK_A_ROUND] = { .type = NLA_U32 },
	[BERK_A_OFFSET_NS] = { .type = NLA_S64 },
	[BERK_A_ERROR_BOUND_NS] = { .type = NLA_U64 },
	[BERK_A_FREQ_PPB] = { .type = NLA_S32 },
	[BERK_A_VALID_MS] = { .type = NLA_U32 },
	[BERK_A_SEQ] = { .type = NLA_U64 },
	[BERK_A_ADDR] = NLA_POLICY_VALIDATE_FN(NLA_BINARY, check_addr, 64),
	[BERK_A_PEER_LIST] = { .type = NLA_BINARY, .len = BERK_PEERS_MAX * sizeof(u32) },
	[BERK_A_BURST] = NLA_POLICY_RANGE(NLA_U8, 1, BERK_BURST_MAX),
	[BERK_A_SPACING_NS] = NLA_POLICY_FULL_RANGE(NLA_U64, &spacing_range),
	[BERK_A_DEADLINE_NS] = NLA_POLICY_FULL_RANGE(NLA_U64, &deadline_range),
	[BERK_A_PAYLOAD] = NLA_POLICY_RANGE(NLA_BINARY, 1, BERK_PAYLOAD_MAX),
};

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

static int put_status(struct sk_buff *skb, struct berk_net *bn)
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
	       nla_put_s32(skb, BERK_A_FREQ_PPB, status.freq_ppb) ||
	       nla_put_u32(skb, BERK_A_PEERS, READ_ONCE(bn->peers.count)) ||
	       put_u64(skb, BERK_A_SEQ, bn->ring.size ? berk_ring_next(&bn->ring) : 0) ||
	       put_counters(skb, bn);
}

/* A message that answers @info; room for one page. */
static struct sk_buff *answer_new(struct genl_info *info, int cmd, void **hdr)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!skb)
		return NULL;
	*hdr = genlmsg_put_reply(skb, info, &family, 0, cmd);
	if (!*hdr) {
		nlmsg_free(skb);
		return NULL;
	}
	return skb;
}

static int status_get(struct sk_buff *request, struct genl_info *info)
{
	struct berk_net *bn = berk_net(genl_info_net(info));
	struct sk_buff *skb;
	void *hdr;
	int err;

	skb = answer_new(info, BERK_CMD_STATUS_GET, &hdr);
	if (!skb)
		return -ENOMEM;
	mutex_lock(&bn->conf_lock);
	err = put_status(skb, bn);
	mutex_unlock(&bn->conf_lock);
	if (err) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

static void conf_from(struct berk_conf *conf, struct nlattr **attrs)
{
	if (attrs[BERK_A_NODE_ID])
		conf->node_id = nla_get_u64(attrs[BERK_A_NODE_ID]);
	if (attrs[BERK_A_CLUSTER])
		conf->cluster = nla_get_u64(attrs[BERK_A_CLUSTER]);
	if (attrs[BERK_A_PORT])
		conf->port = nla_get_u16(attrs[BERK_A_PORT]);
	if (attrs[BERK_A_IFINDEX])
		conf->ifindex = nla_get_u32(attrs[BERK_A_IFINDEX]);
	if (attrs[BERK_A_BIND]) {
		union berk_addr *a = &conf->bind;

		berk_addr_from(a, nla_data(attrs[BERK_A_BIND]), nla_len(attrs[BERK_A_BIND]));
		if (a->sa.sa_family == AF_INET ? !a->in.sin_addr.s_addr :
						 ipv6_addr_any(&a->in6.sin6_addr))
			memset(a, 0, sizeof(*a));
	}
}

static int conf_set(struct sk_buff *request, struct genl_info *info)
{
	struct berk_net *bn = berk_net(genl_info_net(info));
	struct berk_conf conf;
	int err;

	mutex_lock(&bn->conf_lock);
	conf = bn->conf;
	conf_from(&conf, info->attrs);
	if (conf.port && !conf.node_id) {
		NL_SET_ERR_MSG(info->extack, "a node id is needed to open the port");
		err = -EINVAL;
	} else {
		err = berk_conf_apply(bn, &conf);
		if (err)
			NL_SET_ERR_MSG(info->extack, "cannot open this port here");
	}
	mutex_unlock(&bn->conf_lock);
	return err;
}

/* A peer's address must be one that can be sent to. */
static int peer_addr(union berk_addr *addr, struct genl_info *info)
{
	const struct nlattr *attr = info->attrs[BERK_A_ADDR];
	bool ok;

	if (GENL_REQ_ATTR_CHECK(info, BERK_A_ADDR))
		return -EINVAL;
	berk_addr_from(addr, nla_data(attr), nla_len(attr));
	if (addr->sa.sa_family == AF_INET)
		ok = !ipv4_is_zeronet(addr->in.sin_addr.s_addr) &&
		     !ipv4_is_multicast(addr->in.sin_addr.s_addr) &&
		     !ipv4_is_lbcast(addr->in.sin_addr.s_addr) && addr->in.sin_port;
	else
		ok = !ipv6_addr_any(&addr->in6.sin6_addr) &&
		     !ipv6_addr_is_multicast(&addr->in6.sin6_addr) && addr->in6.sin6_port;
	if (ok)
		return 0;
	NL_SET_ERR_MSG_ATTR(info->extack, attr, "needs a unicast address and a port");
	return -EINVAL;
}

static int peer_set(struct sk_buff *request, struct genl_info *info)
{
	struct berk_net *bn = berk_net(genl_info_net(info));
	union berk_addr addr;
	struct sk_buff *skb;
	void *hdr;
	u32 index;
	int err;

	err = peer_addr(&addr, info);
	if (err)
		return err;
	skb = answer_new(info, BERK_CMD_PEER_SET, &hdr);
	if (!skb)
		return -ENOMEM;
	mutex_lock(&bn->peers.lock);
	err = berk_peer_set(&bn->peers, &addr, &index);
	mutex_unlock(&bn->peers.lock);
	if (!err)
		err = nla_put_u32(skb, BERK_A_PEER, index);
	if (err) {
		nlmsg_free(skb);
		return err;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

static int peer_del(struct sk_buff *request, struct genl_info *info)
{
	struct berk_net *bn = berk_net(genl_info_net(info));
	union berk_addr addr;
	int err = 0;

	if (info->attrs[BERK_A_ADDR]) {
		err = peer_addr(&addr, info);
		if (err)
			return err;
	}
	mutex_lock(&bn->peers.lock);
	if (info->attrs[BERK_A_ADDR])
		err = berk_peer_del(&bn->peers, &addr);
	else
		berk_peers_clear(&bn->peers);
	mutex_unlock(&bn->peers.lock);
	return err;
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

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &family,
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
				 div_u64(ktime_get_boottime_ns() - answered, NSEC_PER_MSEC)))) {
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

static int peer_dump(struct sk_buff *skb, struct netlink_callback *cb)
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
	struct nlattr *attr = nla_reserve(skb, BERK_A_SAMPLES, max * sizeof(struct berk_sample));
	u32 n;

	if (!attr)
		return -EMSGSIZE;
	n = berk_ring_get(ring, from, nla_data(attr), max);
	/* Give back what was not needed; the size of a sample is a multiple of NLA_ALIGNTO. */
	attr->nla_len = nla_attr_size(n * sizeof(struct berk_sample));
	skb_trim(skb, skb->len - (max - n) * sizeof(struct berk_sample));
	return n;
}

static int sample_dump(struct sk_buff *skb, struct netlink_callback *cb)
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
					&family, NLM_F_MULTI, BERK_CMD_SAMPLE_GET);

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

static int round_start(struct sk_buff *request, struct genl_info *info)
{
	struct berk_net *bn = berk_net(genl_info_net(info));
	struct nlattr **attrs = info->attrs, *list = attrs[BERK_A_PEER_LIST];
	u64 spacing_ns = 10 * NSEC_PER_MSEC, deadline_ns = 500 * NSEC_PER_MSEC;
	u8 burst = 8;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, BERK_A_ROUND))
		return -EINVAL;
	if (list && nla_len(list) % sizeof(u32)) {
		NL_SET_ERR_MSG_ATTR(info->extack, list, "not an array of u32");
		return -EINVAL;
	}
	if (attrs[BERK_A_BURST])
		burst = nla_get_u8(attrs[BERK_A_BURST]);
	if (attrs[BERK_A_SPACING_NS])
		spacing_ns = nla_get_u64(attrs[BERK_A_SPACING_NS]);
	if (attrs[BERK_A_DEADLINE_NS])
		deadline_ns = nla_get_u64(attrs[BERK_A_DEADLINE_NS]);

	mutex_lock(&bn->conf_lock);
	err = berk_round_start(bn, nla_get_u32(attrs[BERK_A_ROUND]), burst, spacing_ns,
			       deadline_ns, list ? nla_data(list) : NULL,
			       list ? nla_len(list) / sizeof(u32) : 0);
	mutex_unlock(&bn->conf_lock);
	if (err == -EBUSY)
		NL_SET_ERR_MSG(info->extack, "the round before has not ended yet");
	else if (err == -ENOTCONN)
		NL_SET_ERR_MSG(info->extack, "no port is open: set one first");
	return err;
}

static int ctrl_send(struct sk_buff *request, struct genl_info *info)
{
	struct berk_net *bn = berk_net(genl_info_net(info));
	const struct nlattr *payload = info->attrs[BERK_A_PAYLOAD];
	struct berk_msg msg = { .type = BERK_WIRE_T_CTRL };
	union berk_addr addr;
	int err;

	err = peer_addr(&addr, info);
	if (err)
		return err;
	if (GENL_REQ_ATTR_CHECK(info, BERK_A_PAYLOAD))
		return -EINVAL;
	msg.payload = nla_data(payload);
	msg.len = nla_len(payload);
	msg.nonce = berk_nonce();

	mutex_lock(&bn->conf_lock);
	if (bn->thread) {
		err = berk_sock_send(bn, &addr, NULL, &msg, 0);
	} else {
		NL_SET_ERR_MSG(info->extack, "no port is open: set one first");
		err = -ENOTCONN;
	}
	mutex_unlock(&bn->conf_lock);
	if (!err)
		berk_count(bn, BERK_CNT_CTRL_TX);
	return err;
}

static int publish(struct sk_buff *request, struct genl_info *info)
{
	static const u8 needed[] = {
		BERK_A_STATE, BERK_A_ROLE, BERK_A_MASTER_ID, BERK_A_TERM, BERK_A_ROUND,
		BERK_A_OFFSET_NS, BERK_A_ERROR_BOUND_NS, BERK_A_FREQ_PPB, BERK_A_VALID_MS,
	};
	struct berk_net *bn = berk_net(genl_info_net(info));
	struct nlattr **a = info->attrs;
	struct berk_status status = { .portid = info->snd_portid };
	int i;

	for (i = 0; i < ARRAY_SIZE(needed); i++)
		if (GENL_REQ_ATTR_CHECK(info, needed[i]))
			return -EINVAL;
	status.state = nla_get_u8(a[BERK_A_STATE]);
	status.role = nla_get_u8(a[BERK_A_ROLE]);
	status.master_id = nla_get_u64(a[BERK_A_MASTER_ID]);
	status.term = nla_get_u32(a[BERK_A_TERM]);
	status.round = nla_get_u32(a[BERK_A_ROUND]);
	status.offset_ns = nla_get_s64(a[BERK_A_OFFSET_NS]);
	status.error_bound_ns = nla_get_u64(a[BERK_A_ERROR_BOUND_NS]);
	status.freq_ppb = nla_get_s32(a[BERK_A_FREQ_PPB]);
	status.void_boot_ns = ktime_get_boottime_ns() +
			      (u64)nla_get_u32(a[BERK_A_VALID_MS]) * NSEC_PER_MSEC;
	if (berk_status_set(bn, &status))
		berk_netlink_state(bn);
	return 0;
}

static const struct genl_small_ops ops[] = {
	{ .cmd = BERK_CMD_STATUS_GET, .doit = status_get },
	{ .cmd = BERK_CMD_CONF_SET, .doit = conf_set, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_SET, .doit = peer_set, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_DEL, .doit = peer_del, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_GET, .dumpit = peer_dump },
	{ .cmd = BERK_CMD_ROUND, .doit = round_start, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_SAMPLE_GET, .dumpit = sample_dump, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_SEND, .doit = ctrl_send, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PUBLISH, .doit = publish, .flags = GENL_UNS_ADMIN_PERM },
};

static const struct genl_multicast_group groups[] = {
	[GROUP_EVENTS] = { .name = BERK_MCGRP_EVENTS },
	[GROUP_SAMPLES] = { .name = BERK_MCGRP_SAMPLES, .flags = GENL_UNS_ADMIN_PERM },
	[GROUP_CTRL] = { .name = BERK_MCGRP_CTRL, .flags = GENL_UNS_ADMIN_PERM },
};

static struct genl_family family __ro_after_init = {
	.name = BERK_GENL_NAME,
	.version = BERK_GENL_VERSION,
	.maxattr = BERK_A_MAX,
	.policy = policy,
	.netnsok = true,
	.module = THIS_MODULE,
	.small_ops = ops,
	.n_small_ops = ARRAY_SIZE(ops),
	.resv_start_op = BERK_CMD_EV_ROUND,
	.mcgrps = groups,
	.n_mcgrps = ARRAY_SIZE(groups),
};

/* A notification for a group, or NULL if nobody listens or there is no memory. */
static struct sk_buff *event_new(struct berk_net *bn, int group, int cmd, gfp_t gfp, void **hdr)
{
	struct sk_buff *skb;

	if (!genl_has_listeners(&family, bn->net, group))
		return NULL;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, gfp);
	if (!skb)
		return NULL;
	*hdr = genlmsg_put(skb, 0, 0, &family, 0, cmd);
	return skb;
}

static void event_send(struct berk_net *bn, int group, struct sk_buff *skb, void *hdr, gfp_t gfp)
{
	genlmsg_end(skb, hdr);
	genlmsg_multicast_netns(&family, bn->net, skb, 0, group, gfp);
}

static void samples_event(struct berk_net *bn, u64 from, u64 end)
{
	struct sk_buff *skb;
	void *hdr;

	while (from < end) {
		skb = event_new(bn, GROUP_SAMPLES, BERK_CMD_EV_SAMPLES, GFP_KERNEL, &hdr);
		if (!skb)
			return;
		if (put_samples(skb, &bn->ring, &from, SAMPLES_PER_MSG) <= 0) {
			nlmsg_free(skb);
			return;
		}
		event_send(bn, GROUP_SAMPLES, skb, hdr, GFP_KERNEL);
	}
}

/* The round has ended. The thread, peers.lock held. */
void berk_netlink_round(struct berk_net *bn)
{
	struct berk_round *r = &bn->round;
	u64 next = berk_ring_next(&bn->ring);
	struct sk_buff *skb;
	void *hdr;

	samples_event(bn, r->first_seq, next);
	skb = event_new(bn, GROUP_EVENTS, BERK_CMD_EV_ROUND, GFP_KERNEL, &hdr);
	if (!skb)
		return;
	if (nla_put_u32(skb, BERK_A_ROUND, r->id) ||
	    nla_put_u32(skb, BERK_A_PROBES, atomic_read(&r->probes)) ||
	    nla_put_u32(skb, BERK_A_REPLIES, atomic_read(&r->replies)) ||
	    put_u64(skb, BERK_A_SEQ, next))
		nlmsg_free(skb);
	else
		event_send(bn, GROUP_EVENTS, skb, hdr, GFP_KERNEL);
}

/* What was published has changed, or is no longer true. Process context. */
void berk_netlink_state(struct berk_net *bn)
{
	struct berk_status status;
	struct sk_buff *skb;
	void *hdr;

	skb = event_new(bn, GROUP_EVENTS, BERK_CMD_EV_STATE, GFP_KERNEL, &hdr);
	if (!skb)
		return;
	berk_status_get(bn, &status);
	if (put_sync(skb, &status))
		nlmsg_free(skb);
	else
		event_send(bn, GROUP_EVENTS, skb, hdr, GFP_KERNEL);
}

/*
 * A control message came; softirq. The message is copied into one netlink
 * buffer: rare traffic, a few per round, and none unless a daemon listens,
 * whose receive buffer is the bound.
 */
void berk_netlink_ctrl(struct berk_net *bn, const union berk_addr *from,
		       const struct berk_msg *msg)
{
	struct sk_buff *skb;
	void *hdr;

	skb = event_new(bn, GROUP_CTRL, BERK_CMD_EV_CTRL, GFP_ATOMIC, &hdr);
	if (!skb)
		return;
	if (put_addr(skb, BERK_A_ADDR, from) ||
	    put_u64(skb, BERK_A_NODE_ID, msg->sender) ||
	    nla_put_u32(skb, BERK_A_TERM, msg->term) ||
	    nla_put(skb, BERK_A_PAYLOAD, msg->len, msg->payload))
		nlmsg_free(skb);
	else
		event_send(bn, GROUP_CTRL, skb, hdr, GFP_ATOMIC);
}

/* A daemon that goes away, however, takes its state with it. */
static int released(struct notifier_block *nb, unsigned long event, void *data)
{
	struct netlink_notify *notify = data;
	struct berk_net *bn;

	if (event != NETLINK_URELEASE || notify->protocol != NETLINK_GENERIC)
		return NOTIFY_DONE;
	bn = berk_net(notify->net);
	if (berk_status_drop(bn, notify->portid))
		berk_netlink_state(bn);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = released };

int __init berk_netlink_init(void)
{
	int err = genl_register_family(&family);

	if (err)
		return err;
	err = netlink_register_notifier(&notifier);
	if (err)
		genl_unregister_family(&family);
	return err;
}

void berk_netlink_exit(void)
{
	netlink_unregister_notifier(&notifier);
	genl_unregister_family(&family);
}

MODULE_ALIAS_GENL_FAMILY(BERK_GENL_NAME);
