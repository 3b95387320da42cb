// SPDX-License-Identifier: GPL-2.0
/*
 * master: rounds, and corrections out of their samples
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

#define FAST_MIN	62500000LL	/* ns between quick rounds */
#define FAST_MAX	SECOND
#define SPACING_MAX	20000000LL	/* ns between probes of one peer */
#define REPLY_TIME	(SECOND / 2)	/* ns after the last probe */
#define RECENT		2	/* intervals: an older sample is no sign of life */
#define ACK_EVERY	8	/* corrections */
#define RATE_USABLE	20e3	/* ppb, 1 sigma: worth setting a frequency by */

void master_start(struct node *node, struct node_now now)
{
	struct master *m = &node->master;

	m->fast = FAST_ROUNDS;
	m->self.status = PEER_CANDIDATE;
	m->self.rate_seen = NAN;
	m->round_next = now.raw_ns;
}

/* Terms fence off former masters, an earlier life of this one included. */
static void raise_term(struct node *node, uint32_t seen)
{
	if (seen >= node->term && seen - node->term < TERM_LEAP && seen < UINT32_MAX)
		node->term = seen + 1;
}

/*
 * A peer has seen a higher term. If it is kept in time by it, another master
 * is at work, and to outbid each other for ever would help nobody; otherwise
 * that master is history.
 */
void master_outbid(struct node *node, struct node_now now, const struct peer *peer, uint32_t seen)
{
	struct master *m = &node->master;
	char text[PEER_TEXT];

	if (!m->have_group || !(peer->flags & BERK_F_SYNCED)) {
		raise_term(node, seen);
		m->contested = false;
		return;
	}
	if (!m->contested)
		node_say(node, now.raw_ns, LOG_ERR, "peer %s follows another master (term %" PRIu32
			 "): configure only one", peer_text(peer, text), seen);
	m->contested = true;
}

void master_forget(struct node *node)
{
	node->master.have_group = false;
	node->master.discord = 0;
	node->master.waited = 0;
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
	c.anew = peer->anew;
	c.want_ack = peer->standing.status != PEER_MEMBER || peer->may_step || peer->anew ||
		     peer->unacked + 1 >= ACK_EVERY;
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
	c.anew = m->self.status != PEER_MEMBER;
	c.rate_known = m->ensemble.rate_known;
	c.freq_ppb = m->ensemble.rate_ppb;
	c.rate_sigma_ppb = m->ensemble.rate_sigma_ppb;
	follow_apply(node, now, node->conf.node_id, &c);
}

/* A group of which only this node is left keeps the time that all of them had. */
static void note_uncertainty(struct master *m)
{
	struct ensemble *e = &m->ensemble;

	if (e->used > 1) {
		m->sigma_ns = e->sigma_ns;
		m->bound_ns = e->bound_ns;
	} else {
		e->sigma_ns = fmax(e->sigma_ns, m->sigma_ns);
		e->bound_ns = fmax(e->bound_ns, m->bound_ns);
	}
}

static void correct_all(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;

	m->group_real = m->own.real_ns + llrint(e->offset_ns);
	m->group_raw = m->own.raw_ns;
	note_uncertainty(m);
	if (m->n)
		ensemble_rate(e, m->own.raw_ns);
	if (m->hold)
		m->hold--;
	for (size_t i = 0; i < m->n && !m->hold; i++)
		if (members_corrigible(m->peer[i]) && m->peer[i]->changed < 2)
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
	present = members_take_stock(node, now);
	paused = members_check_restarts(node, now);
	say_alone(node, now, m->n && !present);
	if (m->have_own && (present || !m->n)) {
		if (!node->term)
			raise_term(node, 0);
		group_fill(node);
		if (m->have_group && !paused)
			expected = (double)(group_real(m, m->own.raw_ns) - m->own.real_ns);
		if (m->have_group ? group_agree(node, now, expected) : group_found(node, present))
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

/* A node with several addresses may answer from another than the one probed. */
static struct peer *sender(const struct node *node, const union node_addr *from, uint64_t from_id)
{
	const struct master *m = &node->master;
	struct peer *peer = peer_by_addr(node, from);

	for (size_t i = 0; !peer && i < m->n; i++)
		if (m->peer[i]->track.started && m->peer[i]->track.node_id == from_id)
			peer = m->peer[i];
	return peer;
}

void master_ack(struct node *node, struct node_now now, const union node_addr *from,
		uint64_t from_id, const struct msg_ack *ack)
{
	struct peer *peer = sender(node, from, from_id);

	if (!peer || ack->term != node->term || ack->round > node->master.round)
		return;
	switch (ack->status) {
	case MSG_APPLIED:
	case MSG_DUPLICATE:
		peer->acked = true;
		peer->unacked = 0;
		peer->may_step = false;
		peer->anew = false;
		break;
	case MSG_STALE:
		if (ack->current_term > node->term)
			master_outbid(node, now, peer, ack->current_term);
		else if (ack->current_round > node->master.round)
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
