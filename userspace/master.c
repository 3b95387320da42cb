// SPDX-License-Identifier: GPL-2.0
/*
 * master: rounds, the group's time out of their samples, and corrections
 *
 * The group's time is the mean of the members' clocks at one instant of the
 * round, so the corrections of a round sum to zero over the members and noise
 * of the measurements does not walk the group. Every round finds it anew; in
 * between it is a line in the master's RAW time.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "node_priv.h"

#define FAST_ROUNDS	5	/* quick ones at the start */
#define FAST_MIN	62500000LL	/* ns between quick rounds */
#define FAST_MAX	SECOND
#define SPACING_MAX	20000000LL	/* ns between probes of one peer */
#define REPLY_TIME	(SECOND / 2)	/* ns after the last probe */
#define RECENT		2	/* intervals: an older sample is no sign of life */
#define MISSED		2	/* rounds without an answer: silent */
#define UNACKED		10	/* corrections without acknowledgement: no member */
#define ACKED		2	/* at most that many: may become one */
#define CLOSE		2	/* rounds a falseticker must agree before it is let back */
#define DISCORD		10	/* rounds without a majority: start over */
#define TOLERANCE_MIN	20e3	/* ns: smaller differences are no contradiction */
#define TOLERANCE_PART	8	/* of the step threshold */
#define RATE_UNKNOWN	100e3	/* ppb */
#define RATE_USABLE	20e3	/* ppb, 1 sigma: worth setting a frequency by */
#define RATE_SIGMAS	5
#define TERM_LEAP	(UINT32_C(1) << 30)	/* a term further ahead is not believed */

void master_start(struct node *node, struct node_now now)
{
	struct master *m = &node->master;

	m->fast = FAST_ROUNDS;
	m->self.status = PEER_CANDIDATE;
	m->round_next = now.raw_ns;
}

/* Terms fence off former masters, an earlier life of this one included. */
static void raise_term(struct node *node, uint32_t seen)
{
	if (seen >= node->term && seen - node->term < TERM_LEAP)
		node->term = seen + 1;
}

static int64_t period(struct master *m, int64_t interval)
{
	int64_t fast = interval / 4;

	if (!m->fast)
		return interval;
	m->fast--;
	fast = fast < FAST_MIN ? FAST_MIN : fast > FAST_MAX ? FAST_MAX : fast;
	return fast < interval ? fast : interval;
}

static void start_round(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	unsigned int burst = node->conf.burst;
	int64_t spacing, deadline;

	m->period_ns = period(m, node->conf.interval_ns);
	m->round_next += m->period_ns;
	if (m->round_next <= now.raw_ns)
		m->round_next = now.raw_ns + m->period_ns;
	spacing = m->period_ns / (4 * (int64_t)burst);
	spacing = spacing < SPACING_MAX ? spacing : SPACING_MAX;
	deadline = spacing * burst + REPLY_TIME;
	m->round++;
	m->in_round = true;
	node->do_round = true;
	node->round = (struct node_round){
		.round = m->round,
		.burst = burst,
		.spacing_ns = spacing,
		.deadline_ns = deadline < m->period_ns * 3 / 4 ? deadline : m->period_ns * 3 / 4,
	};
}

static void note_own(struct master *m, const struct berk_sample *s)
{
	if (s->flags & BERK_SAMPLE_LOCAL_STEP ||
	    (m->have_own && s->t4.raw_ns <= m->own.raw_ns))
		return;
	m->have_own = true;
	m->own = s->t4;
	m->own_set_seq = s->local_set_seq;
}

void master_sample(struct node *node, struct node_now now, const struct berk_sample *sample)
{
	struct peer *peer = peer_by_index(node, sample->peer);
	enum track_verdict verdict;

	if (!peer)
		return;
	verdict = track_sample(&peer->track, sample);
	/* those that an earlier life of this daemon left in the module teach the rate */
	if (verdict == TRACK_DROPPED ||
	    sample->t4.raw_ns < now.raw_ns - RECENT * node->conf.interval_ns)
		return;
	note_own(&node->master, sample);
	peer->answered = true;
	peer->restarted |= verdict == TRACK_RESTARTED;
	peer->term = sample->term;
	peer->flags = sample->peer_flags;
}

static void lower(struct standing *s, enum peer_status status)
{
	s->status = status;
	s->close = 0;
}

static void missed(struct node *node, struct node_now now, struct peer *peer)
{
	char text[PEER_TEXT];

	if (++peer->missed < MISSED || peer->standing.status == PEER_SILENT)
		return;
	lower(&peer->standing, PEER_SILENT);
	node_say(node, now.raw_ns, LOG_WARNING, "peer %s is silent: left out",
		 peer_text(peer, text));
}

static void answered(struct node *node, struct node_now now, struct peer *peer)
{
	enum peer_status was = peer->standing.status;
	bool driven = peer->flags & BERK_F_DRIVEN;
	char text[PEER_TEXT];

	peer->missed = 0;
	if (!driven && was != PEER_IDLE) {
		lower(&peer->standing, PEER_IDLE);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "peer %s answers, but berkd does not run there: left out",
			 peer_text(peer, text));
	} else if (driven && (was == PEER_SILENT || was == PEER_IDLE)) {
		lower(&peer->standing, PEER_CANDIDATE);
		peer->unacked = 0;
		peer->acked = false;
		node_say(node, now.raw_ns, LOG_INFO, "peer %s answers", peer_text(peer, text));
	}
	if (peer->unacked == UNACKED) {
		lower(&peer->standing, PEER_CANDIDATE);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "peer %s acknowledges no correction: left out", peer_text(peer, text));
	}
	if (driven && peer->term > node->term)
		raise_term(node, peer->term);
}

/* One peer's RAW clock jumped: it was rebooted or paused. Most of them: we were paused. */
static bool check_restarts(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	size_t restarted = 0, present = 0;
	char text[PEER_TEXT];

	for (size_t i = 0; i < m->n; i++) {
		present += m->peer[i]->answered;
		restarted += m->peer[i]->restarted;
	}
	if (present > 1 && 2 * restarted > present) {
		lower(&m->self, PEER_CANDIDATE);
		node->servo.may_step = true;
		node_say(node, now.raw_ns, LOG_WARNING,
			 "this node was paused: asking the others for the time");
		return true;
	}
	for (size_t i = 0; i < m->n && restarted; i++) {
		struct peer *peer = m->peer[i];

		if (!peer->restarted)
			continue;
		peer->may_step = true;
		if (peer->standing.status == PEER_MEMBER)
			lower(&peer->standing, PEER_CANDIDATE);
		node_say(node, now.raw_ns, LOG_NOTICE,
			 "peer %s was rebooted or paused: measuring it anew", peer_text(peer, text));
	}
	return false;
}

static bool corrigible(const struct peer *peer)
{
	return peer->have_ref && peer->flags & BERK_F_DRIVEN;
}

/* Brings every peer up to date. Returns how many can be corrected. */
static size_t take_stock(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	size_t present = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		track_update(&peer->track, now.raw_ns);
		peer->have_ref = peer->answered && track_ref(&peer->track, &peer->ref) &&
				 m->have_own && peer->ref.local_set_seq == m->own_set_seq;
		if (peer->answered)
			answered(node, now, peer);
		else
			missed(node, now, peer);
		present += corrigible(peer);
	}
	return present;
}

/* Offset to our clock at the instant m->own; clocks in mid-slew diverge until then. */
static double offset_at_own(const struct master *m, const struct peer *peer)
{
	const struct track_ref *r = &peer->ref;
	double dt = (double)(m->own.raw_ns - r->local.raw_ns) * 1e-9;
	double slope = r->peer_slope_ppb + peer->track.rate_ppb - r->local_slope_ppb;

	return (double)(r->peer.real_ns - r->local.real_ns) + slope * dt;
}

/* Slot 0 is this node, slot i + 1 is peer i. */
static void fill_ensemble(struct node *node)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;

	e->n = m->n + 1;
	e->member[0] = (struct ensemble_member){ .eligible = m->self.status == PEER_MEMBER };
	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];
		struct track *t = &peer->track;

		e->member[i + 1] = (struct ensemble_member){ 0 };
		if (!peer->have_ref)
			continue;
		e->member[i + 1] = (struct ensemble_member){
			.eligible = peer->standing.status == PEER_MEMBER,
			.offset_ns = offset_at_own(m, peer),
			.sigma_ns = t->sigma_ns,
			.bound_ns = t->delay_ns / 2,
			.rate_ppb = t->rate_ppb,
			.rate_sigma_ppb = t->rate_sigma_ppb,
		};
	}
}

static int64_t group_real(const struct master *m, int64_t raw)
{
	double dt = (double)(raw - m->group_raw);

	return m->group_real + (raw - m->group_raw) + llrint(dt * m->ensemble.rate_ppb * 1e-9);
}

/* How far members may be apart without contradicting each other, ns. */
static double tolerance(const struct node *node)
{
	const struct master *m = &node->master;
	const struct ensemble *e = &m->ensemble;
	double tol = fmax(TOLERANCE_MIN, (double)node->conf.step_threshold_ns / TOLERANCE_PART);
	double rate = e->rate_known ? RATE_SIGMAS * e->rate_sigma_ppb : RATE_UNKNOWN;

	return tol + rate * fmin((double)m->period_ns * 1e-9, 1);
}

/* Peers that were in a group before bring its time with them; this node joins. */
static bool found_on_veterans(struct node *node)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;

	e->member[0].eligible = false;
	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		e->member[i + 1].eligible = corrigible(peer) &&
					    (peer->flags & BERK_F_SYNCED || peer->term);
	}
	if (!ensemble_agree(e, tolerance(node), NAN))
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (e->member[i + 1].weight > 0)
			m->peer[i]->standing.status = PEER_MEMBER;
	return true;
}

/* Clocks that may be anywhere: everyone is averaged, everyone may step. */
static void found_on_all(struct node *node)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;

	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		peer->may_step = true;
		if (peer->standing.status == PEER_MEMBER)
			lower(&peer->standing, PEER_CANDIDATE);
		e->member[i + 1].eligible = corrigible(peer);
	}
	e->member[0].eligible = true;
	ensemble_gather(e);
	m->self.status = PEER_MEMBER;
	node->servo.may_step = true;
}

/*
 * False while it is too early: for a few rounds, clocks that are together are
 * only measured, so as not to disturb them with first guesses; otherwise those
 * rounds are waited for all peers to turn up.
 */
static bool found_group(struct node *node, size_t present)
{
	struct master *m = &node->master;
	bool veterans = found_on_veterans(node);

	if ((veterans || present < m->n) && ++m->waited < FAST_ROUNDS)
		return false;
	if (!veterans)
		found_on_all(node);
	m->have_group = true;
	m->fast = FAST_ROUNDS;
	return true;
}

static bool promote(struct standing *s, const struct ensemble_member *member, bool acks,
		    double tol, double expected)
{
	bool near = fabs(member->offset_ns - expected) <= ensemble_half_width(member, tol);

	if (s->status != PEER_CANDIDATE && s->status != PEER_FALSETICKER)
		return false;
	s->close = near && acks ? s->close + 1 : 0;
	if (s->close < (s->status == PEER_FALSETICKER ? CLOSE : 1))
		return false;
	s->status = PEER_MEMBER;
	return true;
}

/* Those that are where the group should be, and follow it, take part. */
static void admit(struct node *node, struct node_now now, double tol, double expected)
{
	struct master *m = &node->master;
	struct ensemble_member *member = m->ensemble.member;
	char text[PEER_TEXT];

	if (promote(&m->self, &member[0], true, tol, expected))
		member[0].eligible = true;
	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];
		bool was_false = peer->standing.status == PEER_FALSETICKER;

		if (!peer->have_ref || !promote(&peer->standing, &member[i + 1],
						peer->acked && peer->unacked <= ACKED,
						tol, expected))
			continue;
		member[i + 1].eligible = true;
		if (was_false)
			node_say(node, now.raw_ns, LOG_NOTICE, "peer %s agrees again: back in",
				 peer_text(peer, text));
	}
}

static void expel(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	const struct ensemble *e = &m->ensemble;
	char text[PEER_TEXT];

	if (e->member[0].eligible && e->member[0].weight == 0) {
		lower(&m->self, PEER_FALSETICKER);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "this clock is off by %+.1f us against the majority: left out",
			 -e->offset_ns * 1e-3);
	}
	for (size_t i = 0; i < m->n; i++) {
		const struct ensemble_member *member = &e->member[i + 1];

		if (!member->eligible || member->weight > 0)
			continue;
		lower(&m->peer[i]->standing, PEER_FALSETICKER);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "peer %s is a falseticker, off by %+.1f us: left out",
			 peer_text(m->peer[i], text), (member->offset_ns - e->offset_ns) * 1e-3);
	}
}

/* The group's offset to our clock; false if it cannot be told. */
static bool agree(struct node *node, struct node_now now, double expected)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;
	double tol = tolerance(node);
	bool any = false;

	if (!isnan(expected))
		admit(node, now, tol, expected);
	for (size_t i = 0; i < e->n; i++)
		any |= e->member[i].eligible;
	if (!any && !isnan(expected)) {
		e->offset_ns = expected;	/* go on as before until someone is close */
		e->used = 0;
		return true;
	}
	if (ensemble_agree(e, tol, expected)) {
		expel(node, now);
		m->discord = 0;
		return true;
	}
	if (!m->discord++)
		node_say(node, now.raw_ns, LOG_ERR,
			 "the clocks contradict each other and no majority agrees: correcting nothing");
	if (m->discord >= DISCORD) {
		m->have_group = false;
		m->discord = 0;
		m->waited = 0;
		node_say(node, now.raw_ns, LOG_ERR, "still no majority: starting over with all clocks");
	}
	return false;
}

static int64_t at_least_0(double ns)
{
	return llrint(fmin(fmax(ns, 0), 1e18));
}

static struct msg_correct correction(const struct node *node, size_t slot)
{
	const struct master *m = &node->master;
	const struct ensemble *e = &m->ensemble;

	return (struct msg_correct){
		.term = node->term,
		.round = m->round,
		.members = e->used ? (uint32_t)e->used : 1,
		.sigma_ns = at_least_0(ensemble_member_sigma(e, slot)),
		.bound_ns = at_least_0(ensemble_member_bound(e, slot)),
		.interval_ns = m->period_ns,
	};
}

static void correct_peer(struct node *node, size_t i)
{
	struct master *m = &node->master;
	struct peer *peer = m->peer[i];
	const struct track *t = &peer->track;
	const struct ensemble *e = &m->ensemble;
	struct msg_correct c = correction(node, i + 1);

	c.may_step = peer->may_step;
	c.ref_raw_ns = peer->ref.peer.raw_ns;
	c.ref_real_ns = peer->ref.peer.real_ns;
	c.offset_ns = c.ref_real_ns - group_real(m, peer->ref.local.raw_ns);
	c.rate_known = e->rate_known && t->rate_sigma_ppb < RATE_USABLE;
	c.freq_ppb = (e->rate_ppb - t->rate_ppb) / (1 + t->rate_ppb * 1e-9);
	c.rate_sigma_ppb = fmin(hypot(t->rate_sigma_ppb, e->rate_sigma_ppb), RATE_UNKNOWN);
	peer->correct = c;
	peer->send = true;
	peer->unacked++;
	m->scan = 0;
}

static void correct_self(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	struct msg_correct c = correction(node, 0);

	c.ref_raw_ns = m->own.raw_ns;
	c.ref_real_ns = m->own.real_ns;
	c.offset_ns = m->own.real_ns - m->group_real;
	c.rate_known = m->ensemble.rate_known;
	c.freq_ppb = m->ensemble.rate_ppb;
	c.rate_sigma_ppb = m->ensemble.rate_sigma_ppb;
	follow_apply(node, now, node->conf.node_id, &c);
}

static void correct_all(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;

	m->group_real = m->own.real_ns + llrint(e->offset_ns);
	m->group_raw = m->own.raw_ns;
	if (m->n)
		ensemble_rate(e, m->own.raw_ns);
	for (size_t i = 0; i < m->n; i++)
		if (corrigible(m->peer[i]))
			correct_peer(node, i);
	correct_self(node, now);
}

static void say_alone(struct node *node, struct node_now now, bool alone)
{
	struct master *m = &node->master;

	if (alone && !m->alone)
		node_say(node, now.raw_ns, LOG_WARNING,
			 "no peer to keep time with: holding the frequency");
	m->alone = alone;
}

static void finish_round(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	double expected = NAN;
	bool paused;
	size_t present;

	m->in_round = false;
	if (!m->n) {	/* a group of one */
		m->have_own = true;
		m->own = (struct berk_stamp){ .real_ns = now.real_ns, .raw_ns = now.raw_ns };
	}
	present = take_stock(node, now);
	paused = check_restarts(node, now);
	say_alone(node, now, m->n && !present);
	if (m->have_own && (present || !m->n)) {
		if (!node->term)
			raise_term(node, 0);
		fill_ensemble(node);
		if (m->have_group && !paused)
			expected = (double)(group_real(m, m->own.raw_ns) - m->own.real_ns);
		if (m->have_group ? agree(node, now, expected) : found_group(node, present))
			correct_all(node, now);
	}
	m->have_own = false;
	for (size_t i = 0; i < m->n; i++) {
		m->peer[i]->answered = false;
		m->peer[i]->restarted = false;
	}
}

void master_round_done(struct node *node, struct node_now now, uint32_t round)
{
	if (node->master.in_round && round == node->master.round)
		finish_round(node, now);
}

void master_timer(struct node *node, struct node_now now)
{
	struct master *m = &node->master;

	if (now.raw_ns < m->round_next)
		return;
	if (m->in_round)	/* its end was never told */
		finish_round(node, now);
	start_round(node, now);
}

void master_ack(struct node *node, struct node_now now, const union node_addr *from,
		const struct msg_ack *ack)
{
	struct peer *peer = peer_by_addr(node, from);

	if (!peer || ack->term != node->term || ack->round > node->master.round)
		return;
	switch (ack->status) {
	case MSG_APPLIED:
	case MSG_DUPLICATE:
		peer->acked = true;
		peer->unacked = 0;
		peer->may_step = false;
		break;
	case MSG_STALE:
		if (ack->current_term > node->term || ack->current_round > node->master.round)
			raise_term(node, ack->current_term);
		break;
	case MSG_REFUSED:
		if (peer->unacked == UNACKED - 1) {
			char text[PEER_TEXT];

			node_say(node, now.raw_ns, LOG_WARNING, "peer %s refuses corrections: it"
				 " follows another master, or its clock jumped", peer_text(peer, text));
		}
		break;
	}
}
