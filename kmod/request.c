// SPDX-License-Identifier: GPL-2.0
/* Carrying out requests. What they contain has passed the policy in netlink.c. */
#include <net/genetlink.h>
#include <net/ipv6.h>
#include <net/netlink.h>

#include "berk.h"

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

int berk_do_status_get(struct sk_buff *request, struct genl_info *info)
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

int berk_do_conf_set(struct sk_buff *request, struct genl_info *info)
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

int berk_do_peer_set(struct sk_buff *request, struct genl_info *info)
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

int berk_do_peer_del(struct sk_buff *request, struct genl_info *info)
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

int berk_do_peer_note(struct sk_buff *request, struct genl_info *info)
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

int berk_do_round_start(struct sk_buff *request, struct genl_info *info)
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
	err = berk_group_join(bn, addr, ifindex);
	if (err)
		NL_SET_ERR_MSG_ATTR(info->extack, attr, "no group on this device");
	return err;
}

int berk_do_ctrl_send(struct sk_buff *request, struct genl_info *info)
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

int berk_do_publish(struct sk_buff *request, struct genl_info *info)
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
