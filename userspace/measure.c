// SPDX-License-Identifier: GPL-2.0
/*
 * measure: rounds, whoever needs them and for whatever purpose
 *
 * The master probes its members in every round, but for those that probe it and
 * report. The first standby probes everybody now and then, so that it knows them
 * when its time comes; other slaves probe two witnesses, even less often. Whoever
 * reports probes the master, and in between its witnesses.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node_priv.h"

#define SPACING_MAX	20000000LL	/* ns between probes of one peer... */
#define SPACING_MIN	5000000LL	/* ...which should not overtake each other */
#define SPREADS		4	/* of delays, that they are apart for that */
#define REPLY_MAX	(SECOND / 2)	/* ns to wait for answers... */
#define REPLY_MIN	(SECOND / 20)	/* ...when all are known to be near */
#define REPLY_DELAYS	4	/* times the longest round trip */
#define URGENT		3	/* probes: two samples are complete at once */
#define QUICK_REPORTS	6	/* at first */
#define REPORT_LEAD	(SECOND / 5)	/* ns before the correction that it is part of */
#define SKEW_MAX	10000000LL	/* ns: what slewing can do to a stamp of late */
#define RECENT		2	/* periods */
#define STANDBY_EVERY	3	/* intervals */
#define WITNESS_EVERY	8	/* intervals */

static bool reporting(const struct node *node)
{
	return node->conf.mode == NODE_MODE_REPORT && node->elect.stance != LEADING;
}

static uint64_t master_of(const struct node *node)
{
	return node->elect.stance == FOLLOWING ? node->follow.master_id : node->elect.master_id;
}

/* Reports are made every interval, and in the middle between two there is time for others. */
static bool report_due(const struct node *node)
{
	const struct measure *me = &node->measure;

	return reporting(node) && !me->urgent && (me->turn < QUICK_REPORTS || me->turn % 2 == 0);
}

static unsigned int check_every(const struct node *node)
{
	return node->elect.rank == 1 ? STANDBY_EVERY : WITNESS_EVERY;
}

static int64_t period(struct node *node)
{
	if (node->elect.stance == LEADING)
		return master_period(node);
	if (reporting(node))
		return follow_interval(node) / (node->measure.turn < QUICK_REPORTS ? 4 : 2);
	return check_every(node) * follow_interval(node);
}

static bool wanted(const struct node *node, const struct peer *peer)
{
	uint64_t master = master_of(node);

	if (!peer->indexed)
		return false;
	if (node->measure.urgent)
		return peer->node_id != master && peer->missed < MISSED && peer->track.started;
	if (node->elect.stance == LEADING)
		return !peer->reports;
	if (report_due(node))
		return master && peer->node_id == master;
	if (node->elect.stance != FOLLOWING ||
	    (reporting(node) && node->measure.turn % (2 * check_every(node)) != 1))
		return false;
	return node->elect.rank == 1 || peer->witness;
}

static void choose(struct node *node)
{
	struct measure *me = &node->measure;
	const struct master *m = &node->master;

	me->n = 0;
	for (size_t i = 0; i < m->n; i++) {
		m->peer[i]->probed = wanted(node, m->peer[i]) &&
				     (!me->urgent || me->n < WITNESSES_MAX);
		if (m->peer[i]->probed)
			me->list[me->n++] = m->peer[i]->index;
	}
}

/* Whoever does not answer must not hold up the corrections of the others for long. */
static int64_t reply_time(const struct node *node)
{
	const struct master *m = &node->master;
	double longest = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		if (!peer->probed || peer->missed >= MISSED)
			continue;
		if (!peer->track.ready)
			return REPLY_MAX;
		longest = fmax(longest, peer->track.delay_ns + peer->track.window.spread_u +
					peer->track.window.spread_v);
	}
	return llrint(fmin(REPLY_MIN + REPLY_DELAYS * longest, REPLY_MAX));
}

/* Of a budget that is no whole number. */
static unsigned int share(struct node *node)
{
	struct measure *me = &node->measure;
	unsigned int burst;

	me->carry += node->conf.burst;
	burst = (unsigned int)me->carry;
	me->carry -= burst;
	return burst;
}

/* What is measured closely together is newer when it is used. */
static int64_t spacing_wanted(const struct node *node)
{
	const struct master *m = &node->master;
	double widest = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		if (!peer->probed || peer->missed >= MISSED)
			continue;
		if (!peer->track.ready)
			return SPACING_MAX;
		widest = fmax(widest, fmax(peer->track.window.spread_u,
					   peer->track.window.spread_v));
	}
	return llrint(fmin(fmax(SPREADS * widest, SPACING_MIN), SPACING_MAX));
}

static void start_round(struct node *node, struct node_now now, int64_t length)
{
	struct measure *me = &node->measure;
	bool full = node->elect.stance == LEADING || report_due(node);
	unsigned int burst = full ? share(node) : me->urgent ? URGENT : 1;
	int64_t spacing = length / (4 * (int64_t)burst), deadline;

	if (spacing > spacing_wanted(node))
		spacing = spacing_wanted(node);
	deadline = spacing * burst + reply_time(node);
	if (deadline > length * 3 / 4)
		deadline = length * 3 / 4;
	me->in_round = true;
	me->round_ends = now.raw_ns + deadline;
	node->do_round = true;
	node->round = (struct node_round){
		.round = me->round,
		.burst = burst,
		.spacing_ns = spacing,
		.deadline_ns = deadline,
		.peer = me->list,
		.n_peers = me->n,
	};
}

/* Slaves only keep what they know up to date. */
static void finish_check(struct node *node, struct node_now now)
{
	struct master *m = &node->master;

	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		if (!peer->probed)
			continue;
		peer->probed = false;
		track_update(&peer->track, now.raw_ns);
		if (peer->restarted || peer->track.upset)	/* it, or we */
			check_course(node);
		peer->restarted = false;
		if (!peer->answered) {
			peer->missed += peer->missed < MISSED;
			continue;
		}
		peer->missed = 0;
		peer->answered = peer->fresh = false;
		peer_identify(node, peer);
	}
	peers_forget(node, now);
	members_note(node);
	check_witnessed(node, now);
}

static void finish(struct node *node, struct node_now now)
{
	node->measure.in_round = false;
	if (node->elect.stance == LEADING)
		master_finish(node, now);
	else
		finish_check(node, now);
}

void measure_from(struct node *node, int64_t raw_ns)
{
	struct measure *me = &node->measure;

	if (me->in_round && raw_ns < me->round_ends)
		raw_ns = me->round_ends;
	me->round_next = raw_ns;
	me->turn = 0;
}

void measure_urgent(struct node *node, struct node_now now)
{
	struct measure *me = &node->measure;

	me->urgent = true;
	me->round_next = me->in_round ? me->round_ends : now.raw_ns;
}

void measure_align(struct node *node, struct node_now now)
{
	struct measure *me = &node->measure;
	int64_t interval = follow_interval(node);
	int64_t lead = SPACING_MAX * (int64_t)node->conf.burst + REPORT_LEAD;

	/* quick rounds come between reports, and do not put them off */
	if (!reporting(node) || me->turn < QUICK_REPORTS || me->urgent || me->in_round ||
	    node->follow.last.interval_ns < interval)
		return;
	if (lead > interval / 2)
		lead = interval / 2;
	if (me->turn % (2 * check_every(node)) == 1) {	/* the witnesses, in between */
		me->round_next = now.raw_ns + interval / 5;
		return;
	}
	me->turn += me->turn % 2;
	me->round_next = now.raw_ns + interval - lead;
}

void measure_timer(struct node *node, struct node_now now)
{
	struct measure *me = &node->measure;
	int64_t length;

	if (now.raw_ns < me->round_next)
		return;
	if (me->in_round)	/* its end was never told */
		finish(node, now);
	length = period(node);
	me->round_next += length;
	if (me->round_next <= now.raw_ns)
		me->round_next = now.raw_ns + length;
	choose(node);
	me->round++;
	if (me->n)
		start_round(node, now, length);
	me->turn += !me->urgent;
	me->urgent = false;
	if (me->n)
		return;
	if (node->elect.stance == LEADING)
		master_finish(node, now);
}

void measure_round_done(struct node *node, struct node_now now, uint32_t round)
{
	if (node->measure.in_round && round == node->measure.round)
		finish(node, now);
}

/*
 * ns: an older sample is no sign of life. It comes with the next reply, so of single
 * probes it is as old as a period.
 */
static int64_t recent(const struct node *node)
{
	return RECENT * follow_interval(node) *
	       (node->elect.stance == LEADING ? 1 : check_every(node));
}

static void take(struct node *node, struct node_now now, struct peer *peer,
		 const struct berk_sample *sample)
{
	enum track_verdict verdict = track_sample(&peer->track, sample);

	/* those that an earlier life of this daemon left in the module teach the rate */
	if (sample->t4.raw_ns < now.raw_ns - recent(node))
		return;
	if (verdict == TRACK_DROPPED) {
		peer->dropped++;
		return;
	}
	if (!peer->reports)	/* it says what our clock was: only it shall suffer from that */
		master_own(&node->master, sample);
	peer->answered = peer->fresh = true;
	peer->heard_raw = peer->sampled_raw = now.raw_ns;
	peer->restarted |= verdict == TRACK_RESTARTED;
	peer->term = sample->term;
	peer->flags = sample->peer_flags;
}

void measure_sample(struct node *node, struct node_now now, const struct berk_sample *sample)
{
	struct measure *me = &node->measure;
	struct peer *peer = peer_by_index(node, sample->peer);

	if (!peer)
		return;
	if (reporting(node) && peer->node_id == master_of(node)) {
		if (me->n_sent == me->n_reported || me->reported_of != peer->node_id)
			me->n_sent = me->n_reported = 0;
		me->reported_of = peer->node_id;
		if (me->n_reported < REPORTED)
			me->reported[me->n_reported++] = *sample;
	}
	if (node->check.holding || node->check.trips)
		check_sample(node, peer, sample);
	take(node, now, peer, sample);
}

bool measure_report(struct node *node, struct msg_report *report)
{
	struct measure *me = &node->measure;

	if (me->n_sent == me->n_reported || me->reported_of != master_of(node))
		return false;
	*report = (struct msg_report){ .term = node->term, .round = me->round };
	while (report->n < MSG_SAMPLES && me->n_sent < me->n_reported)
		report->sample[report->n++] = me->reported[me->n_sent++];
	return true;
}

/* What the other end began, as if we had. T1 then comes after T4, T2 after T3. */
static struct berk_sample mirrored(const struct berk_sample *s)
{
	struct berk_sample m = *s;

	m.t1 = s->t3;
	m.t2 = s->t4;
	m.t3 = s->t1;
	m.t4 = s->t2;
	for (int i = 0; i < 4; i++)
		m.src[i] = s->src[(i + 2) % 4];
	m.local_set_seq = s->peer_set_seq;
	m.peer_set_seq = s->local_set_seq;
	m.flags = (s->flags & BERK_SAMPLE_LOCAL_STEP ? BERK_SAMPLE_PEER_STEP : 0) |
		  (s->flags & BERK_SAMPLE_PEER_STEP ? BERK_SAMPLE_LOCAL_STEP : 0);
	return m;
}

/* Is that a stamp of this machine, and of no other? Unsigned: it may say anything. */
static bool ours(const struct berk_stamp *s, struct node_now now)
{
	int64_t skew = (int64_t)(((uint64_t)s->real_ns - (uint64_t)s->raw_ns) -
				 ((uint64_t)now.real_ns - (uint64_t)now.raw_ns));

	return s->raw_ns >= 0 && s->raw_ns <= now.raw_ns && llabs(skew) < SKEW_MAX;
}

void measure_reported(struct node *node, struct node_now now, const union node_addr *from,
		      uint64_t from_id, const struct msg_report *report)
{
	struct peer *peer = peer_by_id(node, from_id);

	if (node->elect.stance != LEADING)
		return;
	if (!peer || !peer->reports) {
		hello_send(node, from, MSG_ASK, 0);
		return;
	}
	if (memcmp(&peer->addr, from, sizeof(*from)))	/* the way back is open there */
		peer_move(node, peer, from);
	peer = peer_by_id(node, from_id);	/* which may have been another */
	for (unsigned int i = 0; i < report->n; i++) {
		struct berk_sample s = mirrored(&report->sample[i]);

		if (!ours(&s.t1, now) || !ours(&s.t4, now))
			continue;
		s.node_id = from_id;
		s.term = report->term;
		s.peer_flags = BERK_F_DRIVEN | (report->term ? BERK_F_SYNCED : 0);
		take(node, now, peer, &s);
	}
}
