// SPDX-License-Identifier: GPL-2.0
#include "nl_msg.h"

#include <math.h>
#include <string.h>

#include <netlink/attr.h>
#include <netlink/genl/genl.h>

#include "addr.h"

static struct nla_policy policy[BERK_A_MAX + 1] = {
	[BERK_A_VERSION] = { .type = NLA_STRING },
	[BERK_A_NODE_ID] = { .type = NLA_U64 },
	[BERK_A_CLUSTER] = { .type = NLA_U64 },
	[BERK_A_PORT] = { .type = NLA_U16 },
	[BERK_A_BIND] = { .minlen = sizeof(struct sockaddr_in) },
	[BERK_A_IFINDEX] = { .type = NLA_U32 },
	[BERK_A_STATE] = { .type = NLA_U8 },
	[BERK_A_ROLE] = { .type = NLA_U8 },
	[BERK_A_MASTER_ID] = { .type = NLA_U64 },
	[BERK_A_TERM] = { .type = NLA_U32 },
	[BERK_A_ROUND] = { .type = NLA_U32 },
	[BERK_A_ROUND_AGE_MS] = { .type = NLA_U64 },
	[BERK_A_OFFSET_NS] = { .type = NLA_S64 },
	[BERK_A_ERROR_BOUND_NS] = { .type = NLA_U64 },
	[BERK_A_FREQ_PPB] = { .type = NLA_S32 },
	[BERK_A_VALID_MS] = { .type = NLA_U32 },
	[BERK_A_PEERS] = { .type = NLA_U32 },
	[BERK_A_SEQ] = { .type = NLA_U64 },
	[BERK_A_COUNTERS] = { .type = NLA_NESTED },
	[BERK_A_ADDR] = { .minlen = sizeof(struct sockaddr_in) },
	[BERK_A_PEER] = { .type = NLA_U32 },
	[BERK_A_PEER_FLAGS] = { .type = NLA_U16 },
	[BERK_A_PEER_PROBES] = { .type = NLA_U64 },
	[BERK_A_PEER_REPLIES] = { .type = NLA_U64 },
	[BERK_A_PEER_AGE_MS] = { .type = NLA_U64 },
	[BERK_A_PROBES] = { .type = NLA_U32 },
	[BERK_A_REPLIES] = { .type = NLA_U32 },
	[BERK_A_ERROR_GROWTH_PPB] = { .type = NLA_U32 },
	[BERK_A_PEER_STATE] = { .type = NLA_U8 },
	[BERK_A_PEER_REASON] = { .type = NLA_U8 },
	[BERK_A_PEER_RANK] = { .type = NLA_U8 },
	[BERK_A_SIGMA_NS] = { .type = NLA_U64 },
	[BERK_A_DELAY_NS] = { .type = NLA_U64 },
};

int bnl_parse(struct nlmsghdr *hdr, struct nlattr **attrs)
{
	return genlmsg_parse(hdr, 0, attrs, BERK_A_MAX, policy);
}

static uint64_t get_u64(struct nlattr **attrs, enum berk_attr a)
{
	return attrs[a] ? nla_get_u64(attrs[a]) : 0;
}

uint32_t bnl_get_u32(struct nlattr **attrs, enum berk_attr a)
{
	return attrs[a] ? nla_get_u32(attrs[a]) : 0;
}

static uint16_t get_u16(struct nlattr **attrs, enum berk_attr a)
{
	return attrs[a] ? nla_get_u16(attrs[a]) : 0;
}

static uint8_t get_u8(struct nlattr **attrs, enum berk_attr a)
{
	return attrs[a] ? nla_get_u8(attrs[a]) : 0;
}

static void get_addr(struct nlattr **attrs, enum berk_attr a, union node_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	if (attrs[a])
		addr_from_bytes(addr, nla_data(attrs[a]), nla_len(attrs[a]));
}

/* The unspecified address of either family means any address of both. */
static void get_bind(struct nlattr **attrs, union node_addr *addr)
{
	get_addr(attrs, BERK_A_BIND, addr);
	addr->in.sin_port = 0;
	if (addr->sa.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr) :
					     !addr->in.sin_addr.s_addr)
		memset(addr, 0, sizeof(*addr));
}

static uint64_t get_u64_or_never(struct nlattr **attrs, enum berk_attr a)
{
	return attrs[a] ? nla_get_u64(attrs[a]) : UINT64_MAX;
}

static void decode_counters(struct nlattr *nest, uint64_t *counters)
{
	struct nlattr *attr;
	int left;

	if (!nest)
		return;
	nla_for_each_nested(attr, nest, left)
		if (nla_type(attr) <= BERK_CNT_MAX && nla_len(attr) == sizeof(uint64_t))
			counters[nla_type(attr)] = nla_get_u64(attr);
}

void bnl_get_status(struct nlattr **attrs, struct bnl_status *s)
{
	memset(s, 0, sizeof(*s));
	if (attrs[BERK_A_VERSION])
		nla_strlcpy(s->version, attrs[BERK_A_VERSION], sizeof(s->version));
	s->node_id = get_u64(attrs, BERK_A_NODE_ID);
	s->cluster = get_u64(attrs, BERK_A_CLUSTER);
	s->port = get_u16(attrs, BERK_A_PORT);
	get_bind(attrs, &s->bind);
	s->ifindex = bnl_get_u32(attrs, BERK_A_IFINDEX);
	s->state = get_u8(attrs, BERK_A_STATE);
	s->role = get_u8(attrs, BERK_A_ROLE);
	s->master_id = get_u64(attrs, BERK_A_MASTER_ID);
	s->term = bnl_get_u32(attrs, BERK_A_TERM);
	s->round = bnl_get_u32(attrs, BERK_A_ROUND);
	s->round_age_ms = get_u64_or_never(attrs, BERK_A_ROUND_AGE_MS);
	s->offset_ns = (int64_t)get_u64(attrs, BERK_A_OFFSET_NS);
	s->error_bound_ns = get_u64_or_never(attrs, BERK_A_ERROR_BOUND_NS);
	s->error_growth_ppb = bnl_get_u32(attrs, BERK_A_ERROR_GROWTH_PPB);
	s->void_after_ms = bnl_get_u32(attrs, BERK_A_VALID_MS);
	s->freq_ppb = (int32_t)bnl_get_u32(attrs, BERK_A_FREQ_PPB);
	s->peers = bnl_get_u32(attrs, BERK_A_PEERS);
	s->seq = get_u64(attrs, BERK_A_SEQ);
	decode_counters(attrs[BERK_A_COUNTERS], s->counters);
}

void bnl_get_peer(struct nlattr **attrs, struct bnl_peer *p)
{
	memset(p, 0, sizeof(*p));
	p->index = bnl_get_u32(attrs, BERK_A_PEER);
	get_addr(attrs, BERK_A_ADDR, &p->addr);
	p->node_id = get_u64(attrs, BERK_A_NODE_ID);
	p->flags = get_u16(attrs, BERK_A_PEER_FLAGS);
	p->probes = get_u64(attrs, BERK_A_PEER_PROBES);
	p->replies = get_u64(attrs, BERK_A_PEER_REPLIES);
	p->age_ms = get_u64_or_never(attrs, BERK_A_PEER_AGE_MS);
	p->noted = attrs[BERK_A_PEER_STATE];
	p->state = get_u8(attrs, BERK_A_PEER_STATE);
	p->reason = get_u8(attrs, BERK_A_PEER_REASON);
	p->rank = get_u8(attrs, BERK_A_PEER_RANK);
	p->known = attrs[BERK_A_OFFSET_NS];
	p->offset_ns = (int64_t)get_u64(attrs, BERK_A_OFFSET_NS);
	p->sigma_ns = (int64_t)get_u64(attrs, BERK_A_SIGMA_NS);
	p->delay_ns = (int64_t)get_u64(attrs, BERK_A_DELAY_NS);
	p->freq_ppb = (int32_t)bnl_get_u32(attrs, BERK_A_FREQ_PPB);
}

bool bnl_get_event(int cmd, struct nlattr **attrs, struct bnl_event *ev)
{
	memset(ev, 0, sizeof(*ev));
	switch (cmd) {
	case BERK_CMD_EV_ROUND:
		ev->type = BNL_EV_ROUND;
		ev->round.round = bnl_get_u32(attrs, BERK_A_ROUND);
		ev->round.probes = bnl_get_u32(attrs, BERK_A_PROBES);
		ev->round.replies = bnl_get_u32(attrs, BERK_A_REPLIES);
		ev->round.seq = get_u64(attrs, BERK_A_SEQ);
		return true;
	case BERK_CMD_EV_STATE:
		ev->type = BNL_EV_STATE;
		ev->state.state = get_u8(attrs, BERK_A_STATE);
		ev->state.role = get_u8(attrs, BERK_A_ROLE);
		ev->state.master_id = get_u64(attrs, BERK_A_MASTER_ID);
		ev->state.term = bnl_get_u32(attrs, BERK_A_TERM);
		return true;
	case BERK_CMD_EV_SAMPLES:
		if (!attrs[BERK_A_SAMPLES])
			return false;
		ev->type = BNL_EV_SAMPLES;
		ev->samples.data = nla_data(attrs[BERK_A_SAMPLES]);
		ev->samples.n = nla_len(attrs[BERK_A_SAMPLES]) / sizeof(struct berk_sample);
		return true;
	case BERK_CMD_EV_CTRL:
		if (!attrs[BERK_A_PAYLOAD])
			return false;
		ev->type = BNL_EV_CTRL;
		get_addr(attrs, BERK_A_ADDR, &ev->ctrl.addr);
		ev->ctrl.node_id = get_u64(attrs, BERK_A_NODE_ID);
		ev->ctrl.term = bnl_get_u32(attrs, BERK_A_TERM);
		ev->ctrl.payload = nla_data(attrs[BERK_A_PAYLOAD]);
		ev->ctrl.len = nla_len(attrs[BERK_A_PAYLOAD]);
		return true;
	default:
		return false;
	}
}

void bnl_sample(const struct bnl_event *event, size_t i, struct berk_sample *sample)
{
	memcpy(sample, (const char *)event->samples.data + i * sizeof(*sample), sizeof(*sample));
}

bool bnl_get_error_text(struct nlmsghdr *hdr, size_t fixed_len, char *buf, size_t size)
{
	struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1];
	struct nlattr *text;
	int left = nlmsg_datalen(hdr) - (int)NLMSG_ALIGN(fixed_len);

	if (!(hdr->nlmsg_flags & NLM_F_ACK_TLVS) || left <= 0)
		return false;
	nla_parse(attrs, NLMSGERR_ATTR_MAX,
		  (struct nlattr *)((char *)nlmsg_data(hdr) + NLMSG_ALIGN(fixed_len)), left, NULL);
	text = attrs[NLMSGERR_ATTR_MSG];
	if (!text || !nla_len(text))
		return false;
	nla_strlcpy(buf, text, size);
	return true;
}

int bnl_put_addr(struct nl_msg *msg, enum berk_attr a, const union node_addr *addr)
{
	return nla_put(msg, a, addr_len(addr), addr);
}

int bnl_put_conf(struct nl_msg *msg, const struct bnl_conf *conf)
{
	const union node_addr any = { .in6 = { .sin6_family = AF_INET6 } };
	int bad = 0;

	if (conf->set & BNL_CONF_NODE_ID)
		bad |= nla_put_u64(msg, BERK_A_NODE_ID, conf->node_id);
	if (conf->set & BNL_CONF_CLUSTER)
		bad |= nla_put_u64(msg, BERK_A_CLUSTER, conf->cluster);
	if (conf->set & BNL_CONF_PORT)
		bad |= nla_put_u16(msg, BERK_A_PORT, conf->port);
	if (conf->set & BNL_CONF_BIND)
		bad |= bnl_put_addr(msg, BERK_A_BIND, conf->bind.sa.sa_family ? &conf->bind : &any);
	if (conf->set & BNL_CONF_IFINDEX)
		bad |= nla_put_u32(msg, BERK_A_IFINDEX, conf->ifindex);
	return bad;
}

int bnl_put_note(struct nl_msg *msg, const struct node_note *note)
{
	int bad = nla_put_u32(msg, BERK_A_PEER, note->peer) |
		  nla_put_u8(msg, BERK_A_PEER_STATE, note->state) |
		  nla_put_u8(msg, BERK_A_PEER_REASON, note->reason) |
		  nla_put_u8(msg, BERK_A_PEER_RANK, note->rank);

	if (!note->known)
		return bad;
	return bad | nla_put_s64(msg, BERK_A_OFFSET_NS, note->offset_ns) |
	       nla_put_u64(msg, BERK_A_SIGMA_NS, note->sigma_ns) |
	       nla_put_u64(msg, BERK_A_DELAY_NS, note->delay_ns) |
	       nla_put_s32(msg, BERK_A_FREQ_PPB, lround(note->freq_ppb));
}

int bnl_put_round(struct nl_msg *msg, const struct node_round *round)
{
	return nla_put_u32(msg, BERK_A_ROUND, round->round) |
	       nla_put(msg, BERK_A_PEER_LIST, round->n_peers * sizeof(*round->peer),
		       round->peer) |
	       nla_put_u8(msg, BERK_A_BURST, round->burst) |
	       nla_put_u64(msg, BERK_A_SPACING_NS, round->spacing_ns) |
	       nla_put_u64(msg, BERK_A_DEADLINE_NS, round->deadline_ns);
}

int bnl_put_publish(struct nl_msg *msg, const struct node_publish *p)
{
	return nla_put_u8(msg, BERK_A_STATE, p->state) |
	       nla_put_u8(msg, BERK_A_ROLE, p->role) |
	       nla_put_u64(msg, BERK_A_MASTER_ID, p->master_id) |
	       nla_put_u32(msg, BERK_A_TERM, p->term) |
	       nla_put_u32(msg, BERK_A_ROUND, p->round) |
	       nla_put_s64(msg, BERK_A_OFFSET_NS, p->offset_ns) |
	       nla_put_u64(msg, BERK_A_ERROR_BOUND_NS, p->error_bound_ns) |
	       nla_put_u32(msg, BERK_A_ERROR_GROWTH_PPB, p->error_growth_ppb) |
	       nla_put_s32(msg, BERK_A_FREQ_PPB, lround(p->freq_ppb)) |
	       nla_put_u32(msg, BERK_A_VALID_MS, p->valid_ms);
}
