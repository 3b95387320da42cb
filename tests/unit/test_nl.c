// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netlink/netlink.h>

static int fake_send_auto(struct nl_sock *sock, struct nl_msg *msg);
static int fake_recvmsgs(struct nl_sock *sock, struct nl_cb *cb);
#define nl_send_auto fake_send_auto
#define nl_recvmsgs fake_recvmsgs
#include "nl.c"
#undef nl_send_auto
#undef nl_recvmsgs

#include "addr.h"

#define FAMILY 42

/* --- a module: what it was sent, and a script of what it says */

struct says {
	enum { REPLY, ACK, DONE, ERROR, FAILURE, NOTIFY } what;
	struct nl_msg *msg;	/* REPLY, DONE, ERROR, NOTIFY */
	int nle;		/* FAILURE: what nl_recvmsgs() returns */
};

static struct bnl nl;
static struct {
	struct nlmsghdr *sent;
	struct nlattr *attrs[BERK_A_MAX + 1];
	uint32_t seq;
	int requests;
	int send_nle;		/* what nl_send_auto() returns, if not 0 */
	bool real;		/* libnl takes the script apart itself */
	struct says script[300];
	int said, n;
} module;

static int fake_send_auto(struct nl_sock *sock, struct nl_msg *msg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);

	(void)sock;
	hdr->nlmsg_seq = ++module.seq;
	if (module.send_nle)
		return module.send_nle;
	free(module.sent);
	module.sent = malloc(hdr->nlmsg_len);
	memcpy(module.sent, hdr, hdr->nlmsg_len);
	assert_int_equal(bnl_parse(module.sent, module.attrs), 0);
	module.requests++;
	return hdr->nlmsg_len;
}

static int fake_recvmsgs(struct nl_sock *sock, struct nl_cb *cb)
{
	struct says *s = &module.script[module.said];

	if (module.real)
		return nl_recvmsgs(sock, cb);
	if (module.said == module.n)
		return -NLE_AGAIN;
	module.said++;
	switch (s->what) {
	case REPLY:
		on_reply(s->msg, &nl);
		break;
	case ACK:
		on_ack(NULL, &nl);
		break;
	case DONE:
		on_finish(s->msg, &nl);
		break;
	case ERROR:
		on_error(NULL, nlmsg_data(nlmsg_hdr(s->msg)), &nl);
		break;
	case NOTIFY:
		on_notification(s->msg, &nl);
		break;
	case FAILURE:
		break;
	}
	nlmsg_free(s->msg);
	s->msg = NULL;
	return s->nle;
}

static struct says *say(int what, struct nl_msg *msg, int nle)
{
	struct says *s = &module.script[module.n++];

	*s = (struct says){ .what = what, .msg = msg, .nle = nle };
	return s;
}

static struct nl_msg *message(int cmd)
{
	struct nl_msg *msg = nlmsg_alloc();

	genlmsg_put(msg, 0, 0, FAMILY, 0, 0, cmd, 1);
	return msg;
}

static int setup(void **state)
{
	(void)state;
	free(module.sent);
	memset(&module, 0, sizeof(module));
	memset(&nl, 0, sizeof(nl));
	nl.family = FAMILY;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(module.said, module.n);
	free(module.sent);
	module.sent = NULL;
	return 0;
}

static int sent_cmd(void)
{
	return genlmsg_hdr(module.sent)->cmd;
}

static union node_addr addr_of(const char *text)
{
	union node_addr addr;

	assert_null(addr_parse_peer(text, 5525, &addr));
	return addr;
}

/* --- requests */

static void test_status(void **state)
{
	union node_addr bind = addr_of("192.0.2.1:99");
	struct nl_msg *msg = message(BERK_CMD_STATUS_GET);
	struct bnl_status s;
	struct nlattr *nest;

	(void)state;
	nla_put_string(msg, BERK_A_VERSION, "1.2.3");
	nla_put_u64(msg, BERK_A_NODE_ID, 0xfedcba9876543210);
	nla_put_u16(msg, BERK_A_PORT, 5525);
	bnl_put_addr(msg, BERK_A_BIND, &bind);
	nla_put_u8(msg, BERK_A_STATE, BERK_STATE_HOLDOVER);
	nla_put_u8(msg, BERK_A_ROLE, BERK_ROLE_MASTER);
	nla_put_s64(msg, BERK_A_OFFSET_NS, -350);
	nla_put_u64(msg, BERK_A_ERROR_BOUND_NS, UINT64_MAX);
	nla_put_u32(msg, BERK_A_ERROR_GROWTH_PPB, 300);
	nla_put_s32(msg, BERK_A_FREQ_PPB, -100000);
	nla_put_u32(msg, BERK_A_VALID_MS, UINT32_MAX);
	nest = nla_nest_start(msg, BERK_A_COUNTERS);
	nla_put_u64(msg, BERK_CNT_REJECTED, 7);
	nla_put_u64(msg, BERK_CNT_MAX + 5, 9);	/* of a newer module */
	nla_put_u32(msg, BERK_CNT_SAMPLES, 9);	/* of a wrong size */
	nla_nest_end(msg, nest);
	say(REPLY, msg, 0);
	say(ACK, NULL, 0);

	assert_int_equal(bnl_status(&nl, &s), 0);
	assert_int_equal(sent_cmd(), BERK_CMD_STATUS_GET);
	assert_string_equal(s.version, "1.2.3");
	assert_true(s.node_id == 0xfedcba9876543210);
	assert_int_equal(s.port, 5525);
	assert_int_equal(ntohs(s.bind.in.sin_port), 0);
	assert_int_equal(s.bind.sa.sa_family, AF_INET);
	assert_int_equal(s.state, BERK_STATE_HOLDOVER);
	assert_int_equal(s.role, BERK_ROLE_MASTER);
	assert_int_equal(s.offset_ns, -350);
	assert_true(s.error_bound_ns == UINT64_MAX);
	assert_true(s.round_age_ms == UINT64_MAX);	/* absent */
	assert_int_equal(s.error_growth_ppb, 300);
	assert_int_equal(s.freq_ppb, -100000);
	assert_true(s.void_after_ms == UINT32_MAX);
	assert_int_equal(s.counters[BERK_CNT_REJECTED], 7);
	assert_int_equal(s.counters[BERK_CNT_SAMPLES], 0);
}

/* The unspecified address of either family is "any". */
static void test_status_bind_any(void **state)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in any4 = { .sin_family = AF_INET };
	struct nl_msg *msg;
	struct bnl_status s;

	(void)state;
	for (int i = 0; i < 2; i++) {
		msg = message(BERK_CMD_STATUS_GET);
		if (i)
			nla_put(msg, BERK_A_BIND, sizeof(any6), &any6);
		else
			nla_put(msg, BERK_A_BIND, sizeof(any4), &any4);
		say(REPLY, msg, 0);
		say(ACK, NULL, 0);
		assert_int_equal(bnl_status(&nl, &s), 0);
		assert_int_equal(s.bind.sa.sa_family, 0);
	}
}

static void test_malformed_answer(void **state)
{
	struct nl_msg *msg = message(BERK_CMD_STATUS_GET);
	struct bnl_status s;

	(void)state;
	nla_put_u16(msg, BERK_A_NODE_ID, 1);
	say(REPLY, msg, 0);
	say(ACK, NULL, 0);
	assert_int_equal(bnl_status(&nl, &s), -EPROTO);
	assert_non_null(strstr(bnl_error(&nl), "one version"));
}

static void test_conf_set(void **state)
{
	struct bnl_conf conf = { .set = BNL_CONF_PORT, .port = 99, .node_id = 5 };

	(void)state;
	say(ACK, NULL, 0);
	assert_int_equal(bnl_conf_set(&nl, &conf), 0);
	assert_int_equal(sent_cmd(), BERK_CMD_CONF_SET);
	assert_int_equal(nla_get_u16(module.attrs[BERK_A_PORT]), 99);
	for (int a = 0; a <= BERK_A_MAX; a++)
		if (a != BERK_A_PORT)
			assert_null(module.attrs[a]);

	conf.set = 31;
	say(ACK, NULL, 0);
	assert_int_equal(bnl_conf_set(&nl, &conf), 0);
	assert_int_equal(nla_get_u64(module.attrs[BERK_A_NODE_ID]), 5);
	assert_non_null(module.attrs[BERK_A_CLUSTER]);
	assert_non_null(module.attrs[BERK_A_IFINDEX]);
	/* "any" goes as an unspecified address */
	assert_int_equal(nla_len(module.attrs[BERK_A_BIND]), sizeof(struct sockaddr_in6));
}

static void test_peer_set(void **state)
{
	union node_addr v4 = addr_of("192.0.2.1"), v6 = addr_of("[2001:db8::1]:9"), got;
	struct nl_msg *msg = message(BERK_CMD_PEER_SET);
	uint32_t index = 0;

	(void)state;
	nla_put_u32(msg, BERK_A_PEER, 17);
	say(REPLY, msg, 0);
	say(ACK, NULL, 0);
	assert_int_equal(bnl_peer_set(&nl, &v4, &index), 0);
	assert_int_equal(index, 17);
	assert_int_equal(nla_len(module.attrs[BERK_A_ADDR]), sizeof(struct sockaddr_in));

	say(ACK, NULL, 0);
	assert_int_equal(bnl_peer_del(&nl, &v6), 0);
	assert_int_equal(sent_cmd(), BERK_CMD_PEER_DEL);
	assert_int_equal(nla_len(module.attrs[BERK_A_ADDR]), sizeof(struct sockaddr_in6));
	assert_true(addr_from_bytes(&got, nla_data(module.attrs[BERK_A_ADDR]),
				    nla_len(module.attrs[BERK_A_ADDR])));
	assert_true(addr_equal(&got, &v6));

	say(ACK, NULL, 0);
	assert_int_equal(bnl_peer_del(&nl, NULL), 0);
	assert_null(module.attrs[BERK_A_ADDR]);
}

static void test_round_send_publish(void **state)
{
	static const uint32_t list[BNL_ROUND_PEERS + 1] = { [1] = 9, [BNL_ROUND_PEERS - 1] = 7 };
	struct node_round round = {
		.round = 3, .burst = 64, .spacing_ns = 5, .deadline_ns = 6, .peer = list,
		.n_peers = 2,
	};
	struct node_publish publish = {
		.state = BERK_STATE_SYNCHRONISED, .role = BERK_ROLE_SLAVE, .master_id = 9,
		.term = 1, .round = 2, .offset_ns = -3, .error_bound_ns = UINT64_MAX,
		.error_growth_ppb = UINT32_MAX, .freq_ppb = -4.6, .valid_ms = 5,
	};
	unsigned char payload[BERK_PAYLOAD_MAX] = { 1, 2, 3 };
	union node_addr to = addr_of("192.0.2.1");

	(void)state;
	say(ACK, NULL, 0);
	assert_int_equal(bnl_round(&nl, &round), 0);
	assert_int_equal(sent_cmd(), BERK_CMD_ROUND);
	assert_int_equal(nla_get_u32(module.attrs[BERK_A_ROUND]), 3);
	assert_int_equal(nla_get_u8(module.attrs[BERK_A_BURST]), 64);
	assert_int_equal(nla_get_u64(module.attrs[BERK_A_SPACING_NS]), 5);
	assert_int_equal(nla_get_u64(module.attrs[BERK_A_DEADLINE_NS]), 6);
	assert_int_equal(nla_len(module.attrs[BERK_A_PEER_LIST]), 2 * sizeof(list[0]));
	assert_memory_equal(nla_data(module.attrs[BERK_A_PEER_LIST]), list, 2 * sizeof(list[0]));

	round.n_peers = BNL_ROUND_PEERS;
	say(ACK, NULL, 0);
	assert_int_equal(bnl_round(&nl, &round), 0);
	assert_int_equal(nla_len(module.attrs[BERK_A_PEER_LIST]),
			 BNL_ROUND_PEERS * sizeof(list[0]));
	assert_memory_equal(nla_data(module.attrs[BERK_A_PEER_LIST]), list,
			    BNL_ROUND_PEERS * sizeof(list[0]));
	/* What the kernel refuses to take of a socket: twice libnl's 32 KiB. */
	assert_in_range(module.sent->nlmsg_len, 1, 2 * 32768 - 32);
	round.n_peers++;
	assert_int_equal(bnl_round(&nl, &round), -E2BIG);
	assert_int_equal(module.requests, 2);

	say(ACK, NULL, 0);
	assert_int_equal(bnl_send(&nl, &to, 0, payload, sizeof(payload)), 0);
	assert_null(module.attrs[BERK_A_IFINDEX]);
	assert_int_equal(nla_len(module.attrs[BERK_A_PAYLOAD]), sizeof(payload));
	assert_memory_equal(nla_data(module.attrs[BERK_A_PAYLOAD]), payload, sizeof(payload));
	say(ACK, NULL, 0);
	assert_int_equal(bnl_send(&nl, &to, 3, payload, 1), 0);
	assert_int_equal(nla_get_u32(module.attrs[BERK_A_IFINDEX]), 3);

	say(ACK, NULL, 0);
	assert_int_equal(bnl_publish(&nl, &publish), 0);
	assert_int_equal(nla_get_s64(module.attrs[BERK_A_OFFSET_NS]), -3);
	assert_int_equal(nla_get_s32(module.attrs[BERK_A_FREQ_PPB]), -5);
	assert_true(nla_get_u64(module.attrs[BERK_A_ERROR_BOUND_NS]) == UINT64_MAX);
	assert_true(nla_get_u32(module.attrs[BERK_A_ERROR_GROWTH_PPB]) == UINT32_MAX);
	assert_int_equal(nla_get_u32(module.attrs[BERK_A_VALID_MS]), 5);
}

/* What is noted of a peer comes back as it was. */
static void test_note(void **state)
{
	struct node_note note = {
		.peer = 7, .state = BERK_PEER_FALSETICKER, .reason = BERK_WHY_DRIFT, .rank = 2,
		.known = true, .offset_ns = -5, .sigma_ns = 6, .delay_ns = INT64_MAX,
		.freq_ppb = -12345.6,
	};
	struct bnl_peer peer;

	(void)state;
	say(ACK, NULL, 0);
	assert_int_equal(bnl_note(&nl, &note), 0);
	assert_int_equal(sent_cmd(), BERK_CMD_PEER_NOTE);
	bnl_get_peer(module.attrs, &peer);
	assert_int_equal(peer.index, 7);
	assert_true(peer.noted && peer.known);
	assert_int_equal(peer.state, BERK_PEER_FALSETICKER);
	assert_int_equal(peer.reason, BERK_WHY_DRIFT);
	assert_int_equal(peer.rank, 2);
	assert_int_equal(peer.offset_ns, -5);
	assert_int_equal(peer.sigma_ns, 6);
	assert_true(peer.delay_ns == INT64_MAX);
	assert_int_equal(peer.freq_ppb, -12346);

	note.known = false;
	say(ACK, NULL, 0);
	assert_int_equal(bnl_note(&nl, &note), 0);
	bnl_get_peer(module.attrs, &peer);
	assert_true(peer.noted && !peer.known);
	assert_null(module.attrs[BERK_A_FREQ_PPB]);
}

/* --- errors */

/* An NLMSG_ERROR; capped: without a copy of the request. */
static struct nl_msg *error_message(int err, const char *text, bool capped)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlmsghdr *hdr = nlmsg_put(msg, 0, 0, NLMSG_ERROR, 0, 0);
	struct nlmsgerr e = { .error = err, .msg = { .nlmsg_len = NLMSG_HDRLEN + 24 } };

	nlmsg_append(msg, &e, sizeof(e), NLMSG_ALIGNTO);
	if (!capped)
		nlmsg_reserve(msg, 24, NLMSG_ALIGNTO);
	hdr->nlmsg_flags |= capped ? NLM_F_CAPPED : 0;
	if (text) {
		hdr->nlmsg_flags |= NLM_F_ACK_TLVS;
		nla_put_u32(msg, NLMSGERR_ATTR_OFFS, 20);
		nla_put_string(msg, NLMSGERR_ATTR_MSG, text);
	}
	return msg;
}

static void test_errors(void **state)
{
	struct node_round round = { .burst = 1 };

	(void)state;
	for (int capped = 0; capped < 2; capped++) {
		say(ERROR, error_message(-EBUSY, "the round before has not ended", capped), 0);
		assert_int_equal(bnl_round(&nl, &round), -EBUSY);
		assert_string_equal(bnl_error(&nl), "the round before has not ended: "
				    "Device or resource busy");
		say(ERROR, error_message(-ENETUNREACH, NULL, capped), 0);
		assert_int_equal(bnl_round(&nl, &round), -ENETUNREACH);
		assert_string_equal(bnl_error(&nl), strerror(ENETUNREACH));
	}
	say(FAILURE, NULL, -NLE_INTR);
	say(ACK, NULL, 0);
	assert_int_equal(bnl_round(&nl, &round), 0);
	say(FAILURE, NULL, -NLE_MSG_TRUNC);
	assert_int_equal(bnl_round(&nl, &round), -EIO);
	assert_true(strlen(bnl_error(&nl)) > 0);
}

/* --- dumps */

static struct nl_msg *done_message(int err)
{
	struct nl_msg *msg = nlmsg_alloc();

	nlmsg_put(msg, 0, 0, NLMSG_DONE, 0, 0);
	nlmsg_append(msg, &err, sizeof(err), NLMSG_ALIGNTO);
	return msg;
}

static struct nl_msg *samples_message(int cmd, uint64_t first, int n, size_t extra)
{
	struct berk_sample samples[20] = { 0 };
	struct nl_msg *msg = message(cmd);

	for (int i = 0; i < n; i++)
		samples[i].seq = first + i;
	nla_put(msg, BERK_A_SAMPLES, n * sizeof(samples[0]) + extra, samples);
	return msg;
}

static uint64_t seen[100];
static int nseen;

static void see(void *arg, const struct berk_sample *sample)
{
	assert_ptr_equal(arg, seen);
	seen[nseen++] = sample->seq;
}

/* An interrupted dump goes on behind what was seen; nothing comes twice. */
static void test_samples(void **state)
{
	(void)state;
	nseen = 0;
	say(REPLY, samples_message(BERK_CMD_SAMPLE_GET, 5, 3, 0), 0);
	say(REPLY, samples_message(BERK_CMD_SAMPLE_GET, 8, 2, 0), 0);
	say(DONE, done_message(0), -NLE_DUMP_INTR);
	say(REPLY, samples_message(BERK_CMD_SAMPLE_GET, 9, 3, 40), 0);
	say(DONE, done_message(0), 0);
	assert_int_equal(bnl_samples(&nl, 5, see, seen), 0);
	assert_int_equal(module.requests, 2);
	assert_int_equal(nla_get_u64(module.attrs[BERK_A_SEQ]), 10);
	assert_true(module.sent->nlmsg_flags & NLM_F_DUMP);
	assert_int_equal(nseen, 7);
	for (int i = 0; i < nseen; i++)
		assert_int_equal(seen[i], 5 + i);

	say(DONE, done_message(-EPERM), 0);
	assert_int_equal(bnl_samples(&nl, 0, see, seen), -EPERM);
}

static struct nl_msg *peer_message(uint32_t index, bool answered)
{
	struct nl_msg *msg = message(BERK_CMD_PEER_GET);
	union node_addr addr = addr_of("192.0.2.5");

	nla_put_u32(msg, BERK_A_PEER, index);
	bnl_put_addr(msg, BERK_A_ADDR, &addr);
	nla_put_u64(msg, BERK_A_PEER_PROBES, 10);
	nla_put_u16(msg, BERK_A_PEER_FLAGS, BERK_F_SYNCED);
	if (answered)
		nla_put_u64(msg, BERK_A_PEER_AGE_MS, 3);
	return msg;
}

static void test_peers(void **state)
{
	union node_addr addr = addr_of("192.0.2.5");
	struct bnl_peer *peers;
	size_t n;

	(void)state;
	say(REPLY, peer_message(1, true), 0);
	say(DONE, done_message(0), -NLE_DUMP_INTR);
	say(REPLY, peer_message(1, true), 0);
	say(REPLY, peer_message(2, false), 0);
	say(DONE, done_message(0), 0);
	assert_int_equal(bnl_peers(&nl, &peers, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(peers[0].index, 1);
	assert_true(addr_equal(&peers[0].addr, &addr));
	assert_int_equal(peers[0].age_ms, 3);
	assert_int_equal(peers[0].flags, BERK_F_SYNCED);
	assert_int_equal(peers[1].index, 2);
	assert_true(peers[1].age_ms == UINT64_MAX);
	assert_false(peers[1].noted || peers[1].known);
	free(peers);

	say(REPLY, peer_message(1, true), 0);
	say(ERROR, error_message(-EPERM, NULL, true), 0);
	assert_int_equal(bnl_peers(&nl, &peers, &n), -EPERM);
}

/* --- libnl's own reading */

static int scripted_recv(struct nl_sock *sock, struct sockaddr_nl *from, unsigned char **buf,
			 struct ucred **creds)
{
	struct says *s = &module.script[module.said];
	int len = s->nle;

	(void)sock;
	(void)from;
	(void)creds;
	if (module.said == module.n)
		return -NLE_AGAIN;
	module.said++;
	if (s->msg) {
		len = nlmsg_hdr(s->msg)->nlmsg_len;
		*buf = malloc(len);
		memcpy(*buf, nlmsg_hdr(s->msg), len);
		nlmsg_free(s->msg);
	}
	return len;
}

static void say_numbered(struct nl_msg *msg, uint32_t seq, int flags)
{
	nlmsg_hdr(msg)->nlmsg_seq = seq;
	nlmsg_hdr(msg)->nlmsg_flags |= flags;
	say(REPLY, msg, 0);
}

/* Neither a request that was not sent nor answers left over spoil the next one. */
static void test_sequence(void **state)
{
	struct node_round round = { .burst = 1 };
	struct bnl_peer *peers;
	struct bnl *real;
	size_t n;

	(void)state;
	bnl_open(&real, 0);
	assert_non_null(real->req_cb);
	nl_cb_overwrite_recv(real->req_cb, scripted_recv);
	real->family = FAMILY;
	module.real = true;

	module.send_nle = -NLE_NOMEM;
	assert_int_equal(bnl_round(real, &round), -ENOMEM);
	module.send_nle = 0;
	say_numbered(error_message(0, NULL, true), 2, 0);
	assert_int_equal(bnl_round(real, &round), 0);

	say_numbered(peer_message(1, true), 3, NLM_F_MULTI);
	say(FAILURE, NULL, -NLE_MSG_TRUNC);
	assert_int_equal(bnl_peers(real, &peers, &n), -EIO);

	say_numbered(peer_message(2, true), 3, NLM_F_MULTI);
	say_numbered(done_message(-EPERM), 3, NLM_F_MULTI);
	say_numbered(peer_message(3, true), 4, NLM_F_MULTI);
	say_numbered(done_message(0), 4, NLM_F_MULTI);
	assert_int_equal(bnl_peers(real, &peers, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(peers[0].index, 3);
	free(peers);
	bnl_close(real);
}

/* --- notifications */

static struct bnl_event events[20];
static struct berk_sample last;
static char payload_copy[100];
static int nevents;

static void on_event(void *arg, const struct bnl_event *ev)
{
	assert_ptr_equal(arg, events);
	events[nevents++] = *ev;
	if (ev->type == BNL_EV_SAMPLES)
		bnl_sample(ev, ev->samples.n - 1, &last);
	if (ev->type == BNL_EV_CTRL)
		memcpy(payload_copy, ev->ctrl.payload, ev->ctrl.len);
}

static struct nl_msg *family_message(int cmd, int family)
{
	struct nl_msg *msg = nlmsg_alloc();

	genlmsg_put(msg, 0, 0, GENL_ID_CTRL, 0, 0, cmd, 1);
	nla_put_u16(msg, CTRL_ATTR_FAMILY_ID, family);
	return msg;
}

static void test_events(void **state)
{
	union node_addr from = addr_of("[2001:db8::1]:5525");
	struct nl_msg *msg;

	(void)state;
	nevents = 0;
	msg = message(BERK_CMD_EV_ROUND);
	nla_put_u32(msg, BERK_A_ROUND, 4);
	nla_put_u32(msg, BERK_A_REPLIES, 31);
	nla_put_u64(msg, BERK_A_SEQ, 99);
	say(NOTIFY, msg, 0);
	msg = message(BERK_CMD_EV_CTRL);
	bnl_put_addr(msg, BERK_A_ADDR, &from);
	nla_put_u64(msg, BERK_A_NODE_ID, 77);
	nla_put(msg, BERK_A_PAYLOAD, 3, "abc");
	say(NOTIFY, msg, 0);
	say(NOTIFY, samples_message(BERK_CMD_EV_SAMPLES, 20, 2, 0), 0);
	msg = message(BERK_CMD_EV_STATE);
	nla_put_u8(msg, BERK_A_ROLE, BERK_ROLE_SLAVE);
	say(NOTIFY, msg, 0);
	say(NOTIFY, message(BERK_CMD_EV_CTRL), 0);	/* nothing in it */
	say(NOTIFY, message(BERK_CMD_EV_SAMPLES), 0);	/* nothing in it */
	say(NOTIFY, message(200), 0);			/* of a newer module */
	msg = message(BERK_CMD_EV_ROUND);
	nla_put_u8(msg, BERK_A_ROUND, 4);		/* malformed */
	say(NOTIFY, msg, 0);
	say(NOTIFY, family_message(CTRL_CMD_DELFAMILY, FAMILY + 1), 0);
	say(NOTIFY, family_message(CTRL_CMD_NEWFAMILY, FAMILY), 0);
	assert_int_equal(bnl_events(&nl, on_event, events), 0);

	assert_int_equal(nevents, 4);
	assert_int_equal(events[0].type, BNL_EV_ROUND);
	assert_int_equal(events[0].round.round, 4);
	assert_int_equal(events[0].round.replies, 31);
	assert_int_equal(events[0].round.seq, 99);
	assert_int_equal(events[1].type, BNL_EV_CTRL);
	assert_true(addr_equal(&events[1].ctrl.addr, &from));
	assert_int_equal(events[1].ctrl.node_id, 77);
	assert_int_equal(events[1].ctrl.len, 3);
	assert_memory_equal(payload_copy, "abc", 3);
	assert_int_equal(events[2].type, BNL_EV_SAMPLES);
	assert_int_equal(last.seq, 21);
	assert_int_equal(events[3].state.role, BERK_ROLE_SLAVE);
}

/* The queue is drained before the overrun is told, and it is told once. */
static void test_overrun_and_gone(void **state)
{
	(void)state;
	nevents = 0;
	say(FAILURE, NULL, -NLE_NOMEM);
	say(NOTIFY, message(BERK_CMD_EV_ROUND), 0);
	say(FAILURE, NULL, -NLE_NOMEM);
	say(NOTIFY, family_message(CTRL_CMD_DELFAMILY, FAMILY), 0);
	assert_int_equal(bnl_events(&nl, on_event, events), 0);
	assert_int_equal(nevents, 3);
	assert_int_equal(events[0].type, BNL_EV_ROUND);
	assert_int_equal(events[1].type, BNL_EV_GONE);
	assert_int_equal(events[2].type, BNL_EV_OVERRUN);

	say(FAILURE, NULL, -NLE_BAD_SOCK);
	assert_int_equal(bnl_events(&nl, on_event, events), -EIO);
}

/* However much there is, each call ends; an overrun is still told behind all of it. */
static void test_flood(void **state)
{
	(void)state;
	nevents = 0;
	say(FAILURE, NULL, -NLE_NOMEM);
	for (int i = 0; i < EVENTS_BATCH; i++)
		say(NOTIFY, message(200), 0);
	say(NOTIFY, message(BERK_CMD_EV_ROUND), 0);
	assert_int_equal(bnl_events(&nl, on_event, events), 0);
	assert_int_equal(module.said, EVENTS_BATCH);
	assert_int_equal(nevents, 0);
	assert_int_equal(bnl_events(&nl, on_event, events), 0);
	assert_int_equal(nevents, 2);
	assert_int_equal(events[0].type, BNL_EV_ROUND);
	assert_int_equal(events[1].type, BNL_EV_OVERRUN);
	assert_int_equal(bnl_events(&nl, on_event, events), 0);
	assert_int_equal(nevents, 2);
}

/* No message, whatever its bytes are, is read beyond its end. */
static void test_fuzz(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		int cmd = BERK_CMD_STATUS_GET + rand_r(&seed) % BERK_CMD_PEER_NOTE;
		struct nlattr *attrs[BERK_A_MAX + 1];
		struct nl_msg *msg = message(cmd);
		struct bnl_status status;
		struct bnl_event event;
		struct bnl_peer peer;

		for (int k = rand_r(&seed) % 8; k > 0; k--) {
			unsigned char bytes[64];
			int len = rand_r(&seed) % 2 ? 8 : rand_r(&seed) % 40;

			for (size_t b = 0; b < sizeof(bytes); b++)
				bytes[b] = rand_r(&seed);
			if (rand_r(&seed) % 2)
				bytes[0] = rand_r(&seed) % 2 ? AF_INET : AF_INET6, bytes[1] = 0;
			nla_put(msg, rand_r(&seed) % (BERK_A_MAX + 2), len, bytes);
		}
		if (bnl_parse(nlmsg_hdr(msg), attrs) == 0) {
			bnl_get_status(attrs, &status);
			bnl_get_peer(attrs, &peer);
			if (bnl_get_event(cmd, attrs, &event) && event.type == BNL_EV_SAMPLES)
				for (size_t s = 0; s < event.samples.n; s++)
					bnl_sample(&event, s, &last);
		}
		nlmsg_free(msg);
	}
}

static void test_no_module(void **state)
{
	struct bnl *real;
	int err;

	(void)state;
	bnl_close(NULL);
	assert_non_null(bnl_error(NULL));
	/* Whether the machine has the module or not: no leak, and words for it. */
	err = bnl_open(&real, 0);
	assert_non_null(real);
	assert_true(!err || *bnl_error(real));
	bnl_close(real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status_bind_any, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conf_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_send_publish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_note, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_samples, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sequence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overrun_and_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fuzz, setup, teardown),
		cmocka_unit_test(test_no_module),
	};

	return cmocka_run_group_tests_name("nl", tests, NULL, NULL);
}
