/* SPDX-License-Identifier: GPL-2.0 */
/*
 * alone: one node, told everything by hand, among others that have no noise
 *
 * Node k has the id k and the address 10.0.0.k. Our REALTIME is EPOCH + RAW: what the
 * node commands is looked at, but only carried out where a test wants that.
 */
#ifndef BERK_TEST_ALONE_H
#define BERK_TEST_ALONE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node_priv.h"

#define UNUSED __attribute__((unused))
#define S 1000000000LL
#define MS 1000000LL
#define EPOCH 1700000000000000000LL
#define ME 9			/* our id */
#define SENT_MAX 512

struct other {
	uint64_t id;
	union node_addr addr;
	int64_t ahead;		/* ns: of its REALTIME to EPOCH + our RAW... */
	double real_ppb;	/* ...which changes by that... */
	int64_t since;		/* ...from then on */
	int64_t raw_ahead;	/* ns: of its RAW to what it was at first */
	double ppb;		/* its crystal against ours */
	uint32_t term;
	uint16_t flags;		/* BERK_F_* */
	bool silent;		/* answers no probe */
	bool mute;		/* acknowledges no correction */
};

static struct {
	struct node *node;
	int64_t raw;
	bool obeys;		/* our clock does what the node commands */
	int64_t ahead, since;	/* then, as of the others */
	uint32_t indices;
	struct other other[16];
	int n_others;

	/* What came of the last event */
	struct { union node_addr to; struct msg msg; } sent[SENT_MAX];
	int n_sent;		/* all; the first SENT_MAX are kept */
	int clocks, publishes, rounds, steps, forgotten, notes;
	struct node_clock clock;
	struct node_publish publish;
	struct node_note note;	/* the last */
	struct node_round round;
	uint32_t probed[64];
	char log[4000];
} me;

static const UNUSED struct node_conf plain = {
	.node_id = ME, .seed = 1, .eligible = true, .priority = 100, .interval_ns = S, .burst = 5,
	.step_threshold_ns = MS, .max_rate_ppb = 500e3, .reference_limit_ppb = 1000,
};

static UNUSED union node_addr addr_of(uint64_t id)
{
	union node_addr a = { .in = { .sin_family = AF_INET, .sin_port = htons(5525) } };

	a.in.sin_addr.s_addr = htonl(0x0a000000U + (uint32_t)id);
	return a;
}

static UNUSED int64_t gained(double ppb, int64_t since, int64_t raw)
{
	return llrint((double)(raw - since) * ppb * 1e-9);
}

static UNUSED struct berk_stamp our_stamp(int64_t raw)
{
	int64_t ahead = me.obeys ? me.ahead + gained(me.clock.freq_ppb, me.since, raw) : 0;

	return (struct berk_stamp){ .real_ns = EPOCH + raw + ahead, .raw_ns = raw };
}

static UNUSED struct node_now now_at(int64_t raw)
{
	return (struct node_now){ .real_ns = our_stamp(raw).real_ns, .raw_ns = raw };
}

static UNUSED struct node_now now(void)
{
	return now_at(me.raw);
}

static UNUSED void hush(void)
{
	me.n_sent = me.clocks = me.publishes = me.rounds = me.steps = me.forgotten = me.notes = 0;
	me.log[0] = '\0';
}

static UNUSED void take_send(const struct node_send *s)
{
	struct msg msg;

	assert_int_equal(msg_decode(&msg, s->payload, s->len), 0);
	if (me.n_sent < SENT_MAX) {
		me.sent[me.n_sent].to = s->addr;
		me.sent[me.n_sent].msg = msg;
	}
	me.n_sent++;
}

static UNUSED void take_round(const struct node_round *r)
{
	me.rounds++;
	me.round = *r;
	assert_in_range(r->n_peers, 1, me.node->master.n);
	for (size_t i = 0; i < r->n_peers && i < 64; i++)
		me.probed[i] = r->peer[i];
}

/* Carries out what the node wants; it accumulates until hush(). */
static UNUSED void carry_out(void)
{
	struct node_action a;

	while (node_next_action(me.node, &a)) {
		switch (a.type) {
		case NODE_ACT_PEER:
			node_peer_index(me.node, &a.peer, ++me.indices);
			break;
		case NODE_ACT_FORGET:
			me.forgotten++;
			break;
		case NODE_ACT_ROUND:
			take_round(&a.round);
			break;
		case NODE_ACT_SEND:
			take_send(&a.send);
			break;
		case NODE_ACT_NOTE:
			me.notes++;
			me.note = a.note;
			break;
		case NODE_ACT_CLOCK:
			me.ahead += gained(me.clock.freq_ppb, me.since, me.raw) + a.clock.step_ns;
			me.since = me.raw;
			me.clocks++;
			me.steps += a.clock.step_ns != 0;
			me.clock = a.clock;
			break;
		case NODE_ACT_PUBLISH:
			me.publishes++;
			me.publish = a.publish;
			break;
		case NODE_ACT_LOG:
			if (strlen(me.log) + strlen(a.log.text) + 2 < sizeof(me.log))
				strcat(strcat(me.log, a.log.text), "\n");
			break;
		}
	}
}

static UNUSED void begin(const struct node_conf *conf)
{
	node_free(me.node);	/* of a test that failed */
	memset(&me, 0, sizeof(me));
	me.raw = 100 * S;
	me.node = node_init(conf);
	assert_non_null(me.node);
}

/* begin(), and the daemon starts. */
static UNUSED void start(const struct node_conf *conf)
{
	begin(conf);
	node_start(me.node, now());
	carry_out();
	hush();
}

static UNUSED void end(void)
{
	node_free(me.node);
	me.node = NULL;
}

/* --- what it said */

static UNUSED bool is_to(const union node_addr *to, uint64_t id)
{
	union node_addr a = addr_of(id);

	return !memcmp(to, &a, sizeof(a));
}

static UNUSED bool is_to_all(const union node_addr *to)
{
	return to->sa.sa_family == AF_UNSPEC;
}

/* The last HELLO of that kind, or NULL. */
static UNUSED const struct msg_hello *said(enum msg_hello_kind kind)
{
	for (int i = me.n_sent < SENT_MAX ? me.n_sent : SENT_MAX; i-- > 0;)
		if (me.sent[i].msg.type == MSG_HELLO && me.sent[i].msg.hello.kind == kind)
			return &me.sent[i].msg.hello;
	return NULL;
}

/* The same, to one node; id 0: to everybody near. */
static UNUSED const struct msg_hello *said_to(uint64_t id, enum msg_hello_kind kind)
{
	for (int i = me.n_sent < SENT_MAX ? me.n_sent : SENT_MAX; i-- > 0;)
		if (me.sent[i].msg.type == MSG_HELLO && me.sent[i].msg.hello.kind == kind &&
		    (id ? is_to(&me.sent[i].to, id) : is_to_all(&me.sent[i].to)))
			return &me.sent[i].msg.hello;
	return NULL;
}

static UNUSED int count_said(enum msg_hello_kind kind)
{
	int n = 0;

	for (int i = 0; i < me.n_sent && i < SENT_MAX; i++)
		n += me.sent[i].msg.type == MSG_HELLO && me.sent[i].msg.hello.kind == kind;
	return n;
}

static UNUSED const struct msg_ack *acked(void)
{
	for (int i = me.n_sent < SENT_MAX ? me.n_sent : SENT_MAX; i-- > 0;)
		if (me.sent[i].msg.type == MSG_ACK)
			return &me.sent[i].msg.ack;
	return NULL;
}

static UNUSED const struct msg_correct *corrected(uint64_t id)
{
	for (int i = me.n_sent < SENT_MAX ? me.n_sent : SENT_MAX; i-- > 0;)
		if (me.sent[i].msg.type == MSG_CORRECT && is_to(&me.sent[i].to, id))
			return &me.sent[i].msg.correct;
	return NULL;
}

static UNUSED bool logged(const char *text)
{
	return strstr(me.log, text) != NULL;
}

static UNUSED struct peer *peer_of(uint64_t id)
{
	union node_addr addr = addr_of(id);

	return peer_by_addr(me.node, &addr);
}

/* --- what it hears */

static UNUSED void hear_from(const union node_addr *from, uint64_t id, const struct msg *msg)
{
	unsigned char buf[MSG_MAX];
	size_t len = msg_encode(msg, buf);

	hush();
	node_ctrl(me.node, now(), from, id, 0, buf, len);
	carry_out();
}

static UNUSED void hear(uint64_t id, struct msg_hello h)
{
	union node_addr from = addr_of(id);
	struct msg msg = { .type = MSG_HELLO, .hello = h };

	if (!h.instance)
		msg.hello.instance = 1000 + id;
	hear_from(&from, id, &msg);
}

/* A correction by which this clock is right; round after round. */
static UNUSED struct msg_correct agreeing(uint32_t term)
{
	static uint32_t round;

	return (struct msg_correct){
		.term = term, .round = ++round, .members = 3, .rate_known = true,
		.ref_raw_ns = me.raw, .ref_real_ns = EPOCH + me.raw,
		.sigma_ns = 100, .bound_ns = 1000, .rate_sigma_ppb = 10, .interval_ns = S,
	};
}

/* Returns the status of the ack, or -1. */
static UNUSED int told_by(uint64_t master, struct msg_correct c)
{
	union node_addr from = addr_of(master);
	struct msg msg = { .type = MSG_CORRECT, .correct = c };
	const struct msg_ack *ack;

	hear_from(&from, master, &msg);
	ack = acked();
	if (ack) {
		assert_int_equal(ack->term, c.term);
		assert_int_equal(ack->round, c.round);
	}
	return ack ? (int)ack->status : -1;
}

/* --- time */

static UNUSED struct other *other_at(const union node_addr *addr)
{
	for (int i = 0; i < me.n_others; i++)
		if (!memcmp(&me.other[i].addr, addr, sizeof(*addr)))
			return &me.other[i];
	return NULL;
}

static UNUSED struct berk_stamp its_stamp(const struct other *o, int64_t raw)
{
	int64_t its = raw + llrint((double)raw * o->ppb * 1e-9);

	return (struct berk_stamp){ EPOCH + raw + o->ahead + gained(o->real_ppb, o->since, raw),
				    its + o->raw_ahead + (int64_t)o->id * 1000 * S };
}

/* The k-th exchange of a round with it; symmetric, 100 us, at raw. */
static UNUSED struct berk_sample exchange(const struct other *o, uint32_t index, int64_t raw)
{
	return (struct berk_sample){
		.node_id = o->id, .peer = index, .term = o->term, .peer_flags = o->flags,
		.t1 = our_stamp(raw),
		.t2 = its_stamp(o, raw + 50000), .t3 = its_stamp(o, raw + 70000),
		.t4 = our_stamp(raw + 120000),
		.src = { 1, 1, 1, 1 },
	};
}

/* The round wanted last, as if the others had been probed. */
static UNUSED void answer_round(void)
{
	const struct node_round r = me.round;
	uint32_t probed[64];

	memcpy(probed, me.probed, sizeof(probed));
	for (unsigned int k = 0; k < r.burst; k++) {
		for (size_t i = 0; i < r.n_peers && i < 64; i++) {
			struct peer *peer = peer_by_index(me.node, probed[i]);
			struct other *o = peer ? other_at(&peer->addr) : NULL;
			struct berk_sample s;

			if (!o || o->silent)
				continue;
			s = exchange(o, probed[i], me.raw);
			s.round = r.round;
			node_sample(me.node, now_at(me.raw + MS), &s);
		}
		me.raw += r.spacing_ns > MS ? r.spacing_ns : MS;
	}
	node_round_done(me.node, now(), r.round);
}

/* It does what it is told, at once. */
static UNUSED void follow_correction(struct other *o, const struct msg_correct *c)
{
	o->ahead += gained(o->real_ppb, o->since, me.raw) - c->offset_ns;
	o->since = me.raw;
	o->real_ppb = c->freq_ppb + o->ppb;
	o->term = c->term;
	o->flags |= BERK_F_SYNCED;
}

/* What was sent since `first' is followed and acknowledged. */
static UNUSED void obey(int first)
{
	for (int i = first; i < me.n_sent && i < SENT_MAX; i++) {
		const struct msg_correct *c = &me.sent[i].msg.correct;
		struct other *o = other_at(&me.sent[i].to);
		struct msg ack = { .type = MSG_ACK, .ack = { .term = c->term, .round = c->round } };
		unsigned char buf[MSG_MAX];
		size_t len;

		if (!o || o->mute || me.sent[i].msg.type != MSG_CORRECT)
			continue;
		follow_correction(o, c);
		len = msg_encode(&ack, buf);
		node_ctrl(me.node, now(), &o->addr, o->id, 0, buf, len);
	}
}

/* Time passes; rounds are answered by the others, if there are any. */
static UNUSED void pass(int64_t ns)
{
	int64_t until = me.raw + ns;
	int turns = 0;

	hush();
	while (node_next_timer(me.node) <= until) {
		int rounds = me.rounds, first = me.n_sent;

		assert_true(turns++ < 100000);	/* or it never sleeps */
		me.raw = node_next_timer(me.node) > me.raw ? node_next_timer(me.node) : me.raw;
		node_timer(me.node, now());
		carry_out();
		if (me.rounds > rounds && me.n_others) {
			answer_round();
			carry_out();
			obey(first);
		}
	}
	me.raw = until > me.raw ? until : me.raw;
}

/* A node with a daemon, not yet in any group, that says hello. */
static UNUSED struct other *meet_other(uint64_t id)
{
	struct other *o = &me.other[me.n_others++];

	*o = (struct other){ .id = id, .addr = addr_of(id), .flags = BERK_F_DRIVEN };
	hear(id, (struct msg_hello){ .kind = MSG_ANNOUNCE, .eligible = true, .priority = 100 });
	return o;
}

/* Leads alone, or over n others with the ids 1..n. */
static UNUSED void lead(const struct node_conf *conf, int n)
{
	start(conf);
	pass(S);
	assert_int_equal(me.node->elect.stance, LEADING);
	for (int i = 1; i <= n; i++)
		meet_other((uint64_t)i);
	pass(20 * S);
	hush();
}

/* Has followed master 1 for that many s in term 3, with that rank. */
static UNUSED void follow(const struct node_conf *conf, int seconds, uint8_t rank)
{
	start(conf);
	for (int i = 0; i < seconds; i++) {
		struct msg_correct c;

		pass(i ? S : MS);
		c = agreeing(3);
		c.rank = rank;
		told_by(1, c);
	}
	assert_int_equal(me.node->elect.stance, FOLLOWING);
	hush();
}

#endif /* BERK_TEST_ALONE_H */
