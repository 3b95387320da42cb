// SPDX-License-Identifier: GPL-2.0
/* The generic netlink family: requests. The messages are drawn in linux/berk.h. */
#include <linux/module.h>
#include <net/genetlink.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "berk.h"

/* Not const: 6.1's struct nla_policy points to them without. */
static struct netlink_range_validation spacing_range = { .max = BERK_SPACING_MAX };
static struct netlink_range_validation deadline_range = {
	.min = 1, .max = BERK_DEADLINE_MAX
};

static struct netlink_range_validation ifindex_range = { .max = S32_MAX };
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
	[BERK_A_IFINDEX] = NLA_POLICY_FULL_RANGE(NLA_U32, &ifindex_range),
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
	[BERK_A_ERROR_GROWTH_PPB] = { .type = NLA_U32 },
	[BERK_A_PEER] = { .type = NLA_U32 },
	[BERK_A_PEER_STATE] = NLA_POLICY_MAX(NLA_U8, __BERK_PEER_STATE_MAX - 1),
	[BERK_A_PEER_REASON] = NLA_POLICY_MAX(NLA_U8, __BERK_WHY_MAX - 1),
	[BERK_A_PEER_RANK] = { .type = NLA_U8 },
	[BERK_A_SIGMA_NS] = { .type = NLA_U64 },
	[BERK_A_DELAY_NS] = { .type = NLA_U64 },
};

/* Is one of these attributes not there? The answer then says which. */
static bool missing(struct genl_info *info, const u8 *attr, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (GENL_REQ_ATTR_CHECK(info, attr[i]))
			return true;
	return false;
}

/* A message that answers @info; room for one page. */
static struct sk_buff *answer_new(struct genl_info *info, int cmd, void **hdr)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!skb)
		return NULL;
	*hdr = genlmsg_put_reply(skb, info, &berk_family, 0, cmd);
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
	err = berk_put_status(skb, bn);
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

/* An address that can be sent to. @group: also that of all nodes near. */
static int target(union berk_addr *addr, struct genl_info *info, bool group)
{
	const struct nlattr *attr = info->attrs[BERK_A_ADDR];

	if (GENL_REQ_ATTR_CHECK(info, BERK_A_ADDR))
		return -EINVAL;
	berk_addr_from(addr, nla_data(attr), nla_len(attr));
	/* The port lies in the same place in both. */
	if (addr->in.sin_port &&
	    (berk_addr_is_unicast(addr) || (group && berk_addr_is_group(addr))))
		return 0;
	NL_SET_ERR_MSG_ATTR(info->extack, attr, "needs a unicast address and a port");
	return -EINVAL;
}

static int peer_addr(union berk_addr *addr, struct genl_info *info)
{
	return target(addr, info, false);
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

static int peer_note(struct sk_buff *request, struct genl_info *info)
{
	static const u8 needed[] = {
		BERK_A_PEER, BERK_A_PEER_STATE, BERK_A_PEER_REASON, BERK_A_PEER_RANK,
	}, known[] = {
		BERK_A_OFFSET_NS, BERK_A_SIGMA_NS, BERK_A_DELAY_NS, BERK_A_FREQ_PPB,
	};
	struct berk_net *bn = berk_net(genl_info_net(info));
	struct nlattr **a = info->attrs;
	struct berk_note note = { .noted = true };
	int err;

	if (missing(info, needed, ARRAY_SIZE(needed)))
		return -EINVAL;
	note.state = nla_get_u8(a[BERK_A_PEER_STATE]);
	note.reason = nla_get_u8(a[BERK_A_PEER_REASON]);
	note.rank = nla_get_u8(a[BERK_A_PEER_RANK]);
	if (a[BERK_A_OFFSET_NS] || a[BERK_A_SIGMA_NS] || a[BERK_A_DELAY_NS] || a[BERK_A_FREQ_PPB]) {
		if (missing(info, known, ARRAY_SIZE(known)))
			return -EINVAL;
		note.known = true;
		note.offset_ns = nla_get_s64(a[BERK_A_OFFSET_NS]);
		note.sigma_ns = nla_get_u64(a[BERK_A_SIGMA_NS]);
		note.delay_ns = nla_get_u64(a[BERK_A_DELAY_NS]);
		note.freq_ppb = nla_get_s32(a[BERK_A_FREQ_PPB]);
	}
	mutex_lock(&bn->peers.lock);
	err = berk_peer_note(&bn->peers, nla_get_u32(a[BERK_A_PEER]), &note, info->snd_portid);
	mutex_unlock(&bn->peers.lock);
	if (err)
		NL_SET_ERR_MSG(info->extack, "there is no such peer");
	return err;
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

/* Gets ready to send to all nodes near; conf_lock held, port open. */
static int to_group(struct berk_net *bn, union berk_addr *addr, struct genl_info *info)
{
	const struct nlattr *attr = info->attrs[BERK_A_IFINDEX];
	u32 ifindex = attr ? nla_get_u32(attr) : 0;
	int err;

	if (!ifindex) {
		NL_SET_ERR_MSG(info->extack, "sending to the group needs a device");
		return -EINVAL;
	}
	if (bn->conf.ifindex && bn->conf.ifindex != ifindex) {
		NL_SET_ERR_MSG_ATTR(info->extack, attr, "the port is bound to another device");
		return -EINVAL;
	}
	if (bn->conf.bind.sa.sa_family) {
		NL_SET_ERR_MSG(info->extack, "the port is bound to one address: it hears no group");
		return -EINVAL;
	}
	err = berk_sock_join(bn, addr, ifindex);
	if (err)
		NL_SET_ERR_MSG_ATTR(info->extack, attr, "no group on this device");
	return err;
}

static int ctrl_send(struct sk_buff *request, struct genl_info *info)
{
	struct berk_net *bn = berk_net(genl_info_net(info));
	const struct nlattr *payload = info->attrs[BERK_A_PAYLOAD];
	struct berk_msg msg = { .type = BERK_WIRE_T_CTRL };
	union berk_addr addr;
	int err;

	err = target(&addr, info, true);
	if (err)
		return err;
	if (GENL_REQ_ATTR_CHECK(info, BERK_A_PAYLOAD))
		return -EINVAL;
	msg.payload = nla_data(payload);
	msg.len = nla_len(payload);
	msg.nonce = berk_nonce();

	mutex_lock(&bn->conf_lock);
	if (!bn->thread) {
		NL_SET_ERR_MSG(info->extack, "no port is open: set one first");
		err = -ENOTCONN;
	} else if (berk_addr_is_group(&addr)) {
		err = to_group(bn, &addr, info);
	}
	if (!err)
		err = berk_sock_send(bn, &addr, NULL, &msg, 0);
	mutex_unlock(&bn->conf_lock);
	if (!err)
		berk_count(bn, BERK_CNT_CTRL_TX);
	return err;
}

static int publish(struct sk_buff *request, struct genl_info *info)
{
	static const u8 needed[] = {
		BERK_A_STATE, BERK_A_ROLE, BERK_A_MASTER_ID, BERK_A_TERM, BERK_A_ROUND,
		BERK_A_OFFSET_NS, BERK_A_ERROR_BOUND_NS, BERK_A_ERROR_GROWTH_PPB,
		BERK_A_FREQ_PPB, BERK_A_VALID_MS,
	};
	struct berk_net *bn = berk_net(genl_info_net(info));
	struct nlattr **a = info->attrs;
	struct berk_status status = { .portid = info->snd_portid };

	if (missing(info, needed, ARRAY_SIZE(needed)))
		return -EINVAL;
	status.state = nla_get_u8(a[BERK_A_STATE]);
	status.role = nla_get_u8(a[BERK_A_ROLE]);
	status.master_id = nla_get_u64(a[BERK_A_MASTER_ID]);
	status.term = nla_get_u32(a[BERK_A_TERM]);
	status.round = nla_get_u32(a[BERK_A_ROUND]);
	status.offset_ns = nla_get_s64(a[BERK_A_OFFSET_NS]);
	status.error_bound_ns = nla_get_u64(a[BERK_A_ERROR_BOUND_NS]);
	status.error_growth_ppb = nla_get_u32(a[BERK_A_ERROR_GROWTH_PPB]);
	status.freq_ppb = nla_get_s32(a[BERK_A_FREQ_PPB]);
	status.valid_ms = nla_get_u32(a[BERK_A_VALID_MS]);
	if (berk_status_set(bn, &status))
		berk_notify_state(bn);
	return 0;
}

static const struct genl_small_ops ops[] = {
	{ .cmd = BERK_CMD_STATUS_GET, .doit = status_get },
	{ .cmd = BERK_CMD_CONF_SET, .doit = conf_set, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_SET, .doit = peer_set, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_DEL, .doit = peer_del, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_GET, .dumpit = berk_dump_peers },
	{ .cmd = BERK_CMD_ROUND, .doit = round_start, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_SAMPLE_GET, .dumpit = berk_dump_samples, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_SEND, .doit = ctrl_send, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PUBLISH, .doit = publish, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_NOTE, .doit = peer_note, .flags = GENL_UNS_ADMIN_PERM },
};

static const struct genl_multicast_group groups[] = {
	[BERK_GROUP_EVENTS] = { .name = BERK_MCGRP_EVENTS },
	[BERK_GROUP_SAMPLES] = { .name = BERK_MCGRP_SAMPLES, .flags = GENL_MCAST_CAP_NET_ADMIN },
	[BERK_GROUP_CTRL] = { .name = BERK_MCGRP_CTRL, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

struct genl_family berk_family __ro_after_init = {
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

/* A daemon that goes away, however, takes its state and its notes with it. */
static int released(struct notifier_block *nb, unsigned long event, void *data)
{
	struct netlink_notify *notify = data;
	struct berk_net *bn;

	if (event != NETLINK_URELEASE || notify->protocol != NETLINK_GENERIC)
		return NOTIFY_DONE;
	bn = berk_net(notify->net);
	if (berk_status_drop(bn, notify->portid))
		berk_notify_state(bn);
	mutex_lock(&bn->peers.lock);
	berk_peers_forget(&bn->peers, notify->portid);
	mutex_unlock(&bn->peers.lock);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = released };

int __init berk_netlink_init(void)
{
	int err = genl_register_family(&berk_family);

	if (err)
		return err;
	err = netlink_register_notifier(&notifier);
	if (err)
		genl_unregister_family(&berk_family);
	else
		berk_notify_enable(true);
	return err;
}

void berk_netlink_exit(void)
{
	netlink_unregister_notifier(&notifier);
	/* ORDER: the threads still run, and the groups may soon be another family's. */
	berk_notify_enable(false);
	genl_unregister_family(&berk_family);
}

MODULE_ALIAS_GENL_FAMILY(BERK_GENL_NAME);
