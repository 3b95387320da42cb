// SPDX-License-Identifier: GPL-2.0
/* The generic netlink family: what can be asked, and who may. See linux/berk.h. */
#include <linux/module.h>
#include <net/genetlink.h>
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

static const struct genl_small_ops ops[] = {
	{ .cmd = BERK_CMD_STATUS_GET, .doit = berk_do_status_get },
	{ .cmd = BERK_CMD_CONF_SET, .doit = berk_do_conf_set, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_SET, .doit = berk_do_peer_set, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_DEL, .doit = berk_do_peer_del, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_GET, .dumpit = berk_dump_peers },
	{ .cmd = BERK_CMD_ROUND, .doit = berk_do_round_start, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_SAMPLE_GET, .dumpit = berk_dump_samples, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_SEND, .doit = berk_do_ctrl_send, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PUBLISH, .doit = berk_do_publish, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = BERK_CMD_PEER_NOTE, .doit = berk_do_peer_note, .flags = GENL_UNS_ADMIN_PERM },
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
