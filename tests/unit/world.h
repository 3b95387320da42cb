/* SPDX-License-Identifier: GPL-2.0 */
/*
 * world: a few nodes in virtual time, for tests of the state machine
 *
 * Crystals with an error and a random walk; a CLOCK_REALTIME on top of each
 * RAW clock, driven by step and frequency; links with exponential delays, loss,
 * duplicates and reordering. What the module does is done in short: probes,
 * replies, samples that appear with the reply after them, rounds.
 *
 * Included by one test program, which defines its main().
 */
#ifndef BERK_TEST_WORLD_H
#define BERK_TEST_WORLD_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"

#define WORLD_NODES 8
#define WORLD_EVENTS 4096
#define MS 1000000LL
#define S 1000000000LL
#define ANSWER_TIME 20000LL	/* ns between T2 and T3 */
#define EPOCH 1700000000000000000LL	/* ns: REALTIME when the world begins */

struct profile {
	double base, jitter;	/* ns, one way */
	double tail;		/* ns: mean of what 1 % of packets suffer on top */
	double loss, duplicate;	/* probability */
};

static const struct profile lan = { .base = 50e3, .jitter = 10e3 };
static const struct profile busy = { .base = 100e3, .jitter = 100e3, .tail = 5e6, .loss = 0.01 };
static const struct profile rough = {
	.base = 200e3, .jitter = 10e6, .loss = 0.3, .duplicate = 0.2,
};

enum event_type { EV_TIMER, EV_PROBE, EV_AT_PEER, EV_ANSWER, EV_REPLY, EV_ROUND_END, EV_CTRL };

struct event {
	int64_t at;
	uint64_t order;		/* of creation, for equal times */
	enum event_type type;
	int from, to;
	unsigned int life;	/* of the node whose timer it is */
	uint32_t round;
	struct berk_sample sample;
	size_t len;
	unsigned char payload[96];
};

struct machine {
	struct node *node;	/* NULL: no daemon */
	struct node_conf conf;
	unsigned int life;	/* counts restarts of the daemon */
	bool up;
	int64_t timer;

	/* The crystal, at true time `at` */
	int64_t at, raw;
	double raw_part, ppb, walk;
	/* REALTIME */
	int64_t set_raw, set_real;
	double set_part, freq_ppb;
	uint32_t set_seq;

	struct node_publish state;
	struct node_clock clock;
	struct berk_sample waiting[WORLD_NODES];	/* as a master, by peer */
	bool have_waiting[WORLD_NODES];
	struct berk_sample ring[1024];	/* of this round */
	unsigned int n_ring, probes_left;
	uint32_t round;
	bool deaf;		/* control messages do not arrive */
	int logs;
	char log_text[2000];	/* the first of them */
};

static struct world {
	uint64_t rng;
	int64_t now;
	uint64_t order;
	struct profile link;
	double reading;		/* ns: error of a reading of both clocks */
	struct machine m[WORLD_NODES];
	int n;
	struct event *heap[WORLD_EVENTS];
	int n_heap;
	bool chatty;
} w;

/* --- chance: xorshift64*, Vigna 2014 */

static double uniform(void)
{
	w.rng ^= w.rng >> 12;
	w.rng ^= w.rng << 25;
	w.rng ^= w.rng >> 27;
	return ((double)((w.rng * 2685821657736338717ULL) >> 11) + 0.5) / 9007199254740992.0;
}

static double exponential(double mean)
{
	return -mean * log(uniform());
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

static int64_t delay(void)
{
	double d = w.link.base + exponential(w.link.jitter);

	if (w.link.tail > 0 && uniform() < 0.01)
		d += exponential(w.link.tail);
	return llrint(d);
}

/* --- clocks */

static int64_t split(double *part)
{
	double whole = floor(*part);

	*part -= whole;
	return (int64_t)whole;
}

/* Brings the crystal to the present; its frequency walks in steps of 10 ms at most. */
static void tick(struct machine *m)
{
	while (m->at < w.now) {
		int64_t dt = w.now - m->at < 10 * MS ? w.now - m->at : 10 * MS;

		m->raw_part += (double)dt * m->ppb * 1e-9;
		m->raw += dt + split(&m->raw_part);
		m->ppb += m->walk * sqrt((double)dt * 1e-9) * normal();
		m->at += dt;
	}
}

static struct berk_stamp stamp(struct machine *m)
{
	struct berk_stamp s;
	double part;

	tick(m);
	part = m->set_part + (double)(m->raw - m->set_raw) * m->freq_ppb * 1e-9;
	s.raw_ns = m->raw;
	s.real_ns = m->set_real + (m->raw - m->set_raw) + split(&part);
	return s;
}

static void set_clock(struct machine *m, int64_t step, double freq_ppb)
{
	struct berk_stamp s = stamp(m);

	m->set_part += (double)(s.raw_ns - m->set_raw) * m->freq_ppb * 1e-9;
	split(&m->set_part);
	m->set_raw = s.raw_ns;
	m->set_real = s.real_ns + step;
	m->freq_ppb = fmax(fmin(rint(freq_ppb * 65.536) / 65.536, 500e3), -500e3);
	m->set_seq += step != 0;
}

static struct node_now reading(struct machine *m)
{
	struct berk_stamp s = stamp(m);

	return (struct node_now){
		.raw_ns = s.raw_ns,
		.real_ns = s.real_ns + llrint(w.reading * normal()),
	};
}

/* Largest difference of two clocks of running machines, ns. */
static double spread(void)
{
	int64_t low = INT64_MAX, high = INT64_MIN;

	for (int i = 0; i < w.n; i++) {
		int64_t real;

		if (!w.m[i].node || !w.m[i].up)
			continue;
		real = stamp(&w.m[i]).real_ns;
		low = real < low ? real : low;
		high = real > high ? real : high;
	}
	return (double)(high - low);
}

/* --- events */

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static struct event *schedule(int64_t at, enum event_type type, int from, int to)
{
	struct event *ev = calloc(1, sizeof(*ev));
	int i = w.n_heap++;

	if (!ev || w.n_heap > WORLD_EVENTS)
		abort();
	ev->at = at;
	ev->order = w.order++;
	ev->type = type;
	ev->from = from;
	ev->to = to;
	for (; i && before(ev, w.heap[(i - 1) / 2]); i = (i - 1) / 2)
		w.heap[i] = w.heap[(i - 1) / 2];
	w.heap[i] = ev;
	return ev;
}

static struct event *next_event(void)
{
	struct event *first = w.heap[0], *last = w.heap[--w.n_heap];
	int i = 0, child;

	while ((child = 2 * i + 1) < w.n_heap) {
		if (child + 1 < w.n_heap && before(w.heap[child + 1], w.heap[child]))
			child++;
		if (!before(w.heap[child], last))
			break;
		w.heap[i] = w.heap[child];
		i = child;
	}
	w.heap[i] = last;
	return first;
}

static union node_addr addr_of(int i)
{
	union node_addr a = { .in = { .sin_family = AF_INET, .sin_port = htons(5525) } };

	a.in.sin_addr.s_addr = htonl(0x0a000001U + (uint32_t)i);
	return a;
}

static int machine_at(const union node_addr *a)
{
	return (int)(ntohl(a->in.sin_addr.s_addr) - 0x0a000001U);
}

/* --- what the module does */

/* A packet on its way, or not; perhaps twice. Overtaking comes by itself. */
static void transmit(enum event_type type, int from, int to, const struct event *copy)
{
	int copies = uniform() < w.link.loss ? 0 : uniform() < w.link.duplicate ? 2 : 1;

	for (int i = 0; i < copies; i++) {
		struct event *ev = schedule(w.now + delay(), type, from, to);

		ev->sample = copy->sample;
		ev->round = copy->round;
		ev->len = copy->len;
		memcpy(ev->payload, copy->payload, sizeof(ev->payload));
	}
}

static void act(int i);

static void end_round(int i)
{
	struct machine *m = &w.m[i];

	if (!m->round || !m->node)
		return;
	for (unsigned int k = 0; k < m->n_ring; k++)
		node_sample(m->node, reading(m), &m->ring[k]);
	m->n_ring = 0;
	node_round_done(m->node, reading(m), m->round);
	m->round = 0;
	act(i);
}

static void begin_round(int i, const struct node_round *r)
{
	struct machine *m = &w.m[i];
	struct event *ev;

	m->round = r->round;
	m->probes_left = 0;
	m->n_ring = 0;
	for (int k = 0; k < w.n; k++) {
		if (k == i)
			continue;
		for (unsigned int b = 0; b < r->burst; b++) {
			ev = schedule(w.now + b * r->spacing_ns, EV_PROBE, i, k);
			ev->round = r->round;
			m->probes_left++;
		}
	}
	ev = schedule(w.now + r->deadline_ns, EV_ROUND_END, i, i);
	ev->round = r->round;
}

static void on_probe(struct event *ev)
{
	struct berk_sample *s = &ev->sample;

	s->t1 = stamp(&w.m[ev->from]);
	s->local_set_seq = w.m[ev->from].set_seq;
	s->src[0] = BERK_STAMP_DRIVER;
	transmit(EV_AT_PEER, ev->from, ev->to, ev);
}

static void on_probe_at_peer(struct event *ev)
{
	struct machine *m = &w.m[ev->to];
	struct event *answer;

	if (!m->up)
		return;
	answer = schedule(w.now + ANSWER_TIME, EV_ANSWER, ev->from, ev->to);
	answer->round = ev->round;
	answer->sample = ev->sample;
	answer->sample.t2 = stamp(m);
	answer->sample.src[1] = BERK_STAMP_DRIVER;
	answer->sample.peer_set_seq = m->set_seq;
}

static void on_answer(struct event *ev)
{
	struct machine *m = &w.m[ev->to];
	struct berk_sample *s = &ev->sample;

	if (!m->up)
		return;
	s->t3 = stamp(m);
	s->flags = s->peer_set_seq != m->set_seq ? BERK_SAMPLE_PEER_STEP : 0;
	s->src[2] = BERK_STAMP_DRIVER;
	s->node_id = m->conf.node_id;
	s->peer_set_seq = m->set_seq;
	s->term = m->node ? m->state.term : 0;
	s->peer_flags = (m->node ? BERK_F_DRIVEN : 0) |
			(m->node && m->state.state == BERK_STATE_SYNCHRONISED ? BERK_F_SYNCED : 0);
	transmit(EV_REPLY, ev->to, ev->from, ev);
}

static void on_reply(struct event *ev)
{
	struct machine *m = &w.m[ev->to];
	struct berk_sample *s = &ev->sample;
	int k = ev->from;

	if (!m->up)
		return;
	s->t4 = stamp(m);
	s->src[3] = BERK_STAMP_DRIVER;
	s->flags |= s->local_set_seq != m->set_seq ? BERK_SAMPLE_LOCAL_STEP : 0;
	s->local_set_seq = m->set_seq;
	s->peer = (uint32_t)k;
	s->round = ev->round;
	if (m->have_waiting[k] && m->n_ring < 1024)
		m->ring[m->n_ring++] = m->waiting[k];
	m->waiting[k] = *s;
	m->have_waiting[k] = true;
	if (m->probes_left && !--m->probes_left)
		end_round(ev->to);
}

/* Carries out what a node wants. */
static void act(int i)
{
	struct machine *m = &w.m[i];
	struct node_action a;
	int64_t next;

	while (node_next_action(m->node, &a)) {
		struct event out = { .len = a.type == NODE_ACT_SEND ? a.send.len : 0 };

		switch (a.type) {
		case NODE_ACT_PEER:
			node_peer_index(m->node, &a.peer, (uint32_t)machine_at(&a.peer));
			break;
		case NODE_ACT_ROUND:
			begin_round(i, &a.round);
			break;
		case NODE_ACT_SEND:
			memcpy(out.payload, a.send.payload, out.len);
			transmit(EV_CTRL, i, machine_at(&a.send.addr), &out);
			break;
		case NODE_ACT_CLOCK:
			set_clock(m, a.clock.step_ns, a.clock.freq_ppb);
			m->clock = a.clock;
			break;
		case NODE_ACT_PUBLISH:
			m->state = a.publish;
			break;
		case NODE_ACT_LOG:
			m->logs++;
			if (strlen(m->log_text) + strlen(a.log.text) < sizeof(m->log_text))
				strcat(m->log_text, a.log.text);
			if (w.chatty)
				printf("%10.3f node %d: %s\n", (double)w.now * 1e-9, i, a.log.text);
			break;
		}
	}
	next = w.now + (node_next_timer(m->node) - stamp(m).raw_ns);
	if (next <= w.now)
		next = w.now + 1000;
	if (next != m->timer)
		schedule(next, EV_TIMER, i, i)->life = m->life;
	m->timer = next;
}

static void on_timer(struct event *ev)
{
	struct machine *m = &w.m[ev->to];

	if (!m->node || !m->up || ev->life != m->life || ev->at != m->timer)
		return;
	m->timer = 0;
	node_timer(m->node, reading(m));
	act(ev->to);
}

static void on_ctrl(struct event *ev)
{
	struct machine *m = &w.m[ev->to];
	union node_addr from = addr_of(ev->from);

	if (!m->node || !m->up || m->deaf)
		return;
	node_ctrl(m->node, reading(m), &from, w.m[ev->from].conf.node_id, 0, ev->payload, ev->len);
	act(ev->to);
}

/* --- for the tests */

static void world_init(uint64_t seed, struct profile link)
{
	memset(&w, 0, sizeof(w));
	w.rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	w.link = link;
	w.reading = 50;
	for (int i = 0; i < 16; i++)
		uniform();
}

/* offset in ns; the crystal's error in ppb, and its walk in ppb per sqrt(s). */
static int world_add(double offset, double ppb, double walk)
{
	int i = w.n++;
	struct machine *m = &w.m[i];

	m->at = w.now;
	m->raw = 100 * S + i * 7 * S;
	m->ppb = ppb;
	m->walk = walk;
	m->set_raw = m->raw;
	m->set_real = EPOCH + w.now + llrint(offset);
	m->up = true;
	m->conf = (struct node_conf){
		.role = i ? BERK_ROLE_SLAVE : BERK_ROLE_MASTER,
		.node_id = 0x100U + (uint64_t)i,
		.interval_ns = S,
		.burst = 5,
		.step_threshold_ns = MS,
		.max_rate_ppb = 500e3,
	};
	return i;
}

static void world_start(int i)
{
	struct machine *m = &w.m[i];

	m->life++;
	m->conf.freq_ppb = m->freq_ppb;
	m->node = node_init(&m->conf);
	for (int k = 0; !i && k < w.n; k++) {
		union node_addr a = addr_of(k);

		if (k != i && node_peer_add(m->node, &a))
			abort();
	}
	node_start(m->node, reading(m));
	act(i);
}

/* The daemon goes; the clock runs on. */
static void world_stop(int i)
{
	struct machine *m = &w.m[i];

	node_free(m->node);
	m->node = NULL;
	m->life++;
	m->round = 0;
	memset(&m->state, 0, sizeof(m->state));
}

/* Power off and on: RAW starts again, the module has forgotten everything. */
static void world_reboot(int i, int64_t raw, int64_t real)
{
	struct machine *m = &w.m[i];

	m->raw = raw;
	m->set_raw = raw;
	m->set_real = real;
	m->freq_ppb = 0;
	memset(m->have_waiting, 0, sizeof(m->have_waiting));
}

static void world_run(double until)
{
	int64_t end = llrint(until * 1e9);

	while (w.n_heap && w.heap[0]->at <= end) {
		struct event *ev = next_event();

		w.now = ev->at;
		switch (ev->type) {
		case EV_TIMER:
			on_timer(ev);
			break;
		case EV_PROBE:
			if (w.m[ev->from].round == ev->round)
				on_probe(ev);
			break;
		case EV_AT_PEER:
			on_probe_at_peer(ev);
			break;
		case EV_ANSWER:
			on_answer(ev);
			break;
		case EV_REPLY:
			on_reply(ev);
			break;
		case EV_ROUND_END:
			if (w.m[ev->to].round == ev->round)
				end_round(ev->to);
			break;
		case EV_CTRL:
			on_ctrl(ev);
			break;
		}
		free(ev);
	}
	w.now = end;
}

static void world_free(void)
{
	while (w.n_heap)
		free(next_event());
	for (int i = 0; i < w.n; i++)
		node_free(w.m[i].node);
}

#endif /* BERK_TEST_WORLD_H */
