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
#define FAST_AGAIN	16	/* intervals between two times of quick rounds */
#define VOTES_HOLD	4	/* intervals */
#define USELESS		24	/* intervals */
#define HEARD		3	/* intervals */
#define ACK_EVERY	8	/* corrections */

/*
 * A node that was in the group takes it over as it knows it: its own line is the
 * group's time. Only where there was none, one has to be found.
 */
static void inherit(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;
	const struct follow *f = &node->follow;

	m->have_group = f->heard && f->state != BERK_STATE_UNSYNCHRONISED &&
			node->servo.have_line;
	if (!m->have_group)
		return;
	ensemble_inherit_rate(e, node->servo.line_ppb, f->rate_sigma_ppb, f->last.members);
	e->rate_raw = now.raw_ns;
	e->used = f->last.members;
	m->group_raw = now.raw_ns;
	m->group_real = servo_line(&node->servo, now.raw_ns);
	m->sigma_ns = follow_sigma(node, now);
	m->bound_ns = (double)f->last.bound_ns;
	m->self.state = BERK_PEER_MEMBER;
}

void master_begin(struct node *node, struct node_now now)
{
	struct master *m = &node->master;

	m->fast = FAST_ROUNDS;
	m->fast_raw = m->served_raw = now.raw_ns;
	m->self = (struct standing){ .state = BERK_PEER_CANDIDATE, .rate_seen = NAN };
	m->have_own = m->alone = m->stood_still = m->outnumbered = false;
	m->steered = m->steer_free = false;
	m->steer_ppb = m->astray_ns = 0;
	m->origin = node->conf.cluster;
	m->waited = m->discord = m->agreed = m->hold = m->restarts = 0;
	m->ensemble.rate_known = m->ensemble.rate_settled = false;
	m->ensemble.rate_members = 0;
	m->ensemble.rate_age = 0;
	inherit(node, now);
	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		if (peer->missed < MISSED && peer->track.started)
			standing_lower(&peer->standing, BERK_PEER_CANDIDATE, BERK_WHY_JOINING);
		else
			standing_lower(&peer->standing, BERK_PEER_SILENT, BERK_WHY_NONE);
		peer->standing.rate_seen = NAN;
		peer->acked = peer->vote == node->term;
		peer->restarted = peer->may_step = peer->anew = peer->here = false;
		/* who reports does so to the master before us until it is corrected */
		peer->answered = peer->reports && !peer->missed && peer->track.ready;
		peer->unacked = peer->changed = peer->given = peer->rank = 0;
		peer->drift_ns = 0;
	}
	node_say(node, now.raw_ns, LOG_NOTICE, "this node leads in term %" PRIu32 "%s", node->term,
		 m->have_group ? ": the group goes on as it was" : "");
	measure_from(node, now.raw_ns);
	follow_publish(node, now);
}

void master_end(struct node *node, struct node_now now)
{
	struct master *m = &node->master;

	m->have_group = m->have_own = false;
	m->followers = 0;
	for (size_t i = 0; i < m->n; i++) {
		m->peer[i]->answered = m->peer[i]->restarted = false;
		m->peer[i]->send = false;
		m->peer[i]->witness = false;
	}
	node_say(node, now.raw_ns, LOG_NOTICE, "this node does not lead any more");
	follow_publish(node, now);
}

void master_forget(struct node *node)
{
	node->master.have_group = false;
	node->master.discord = 0;
	node->master.waited = 0;
}

void master_hurry(struct node *node, struct node_now now)
{
	struct master *m = &node->master;

	if (now.raw_ns - m->fast_raw < FAST_AGAIN * node->conf.interval_ns)
		return;
	m->fast = FAST_ROUNDS;
	m->fast_raw = now.raw_ns;
	measure_from(node, now.raw_ns);
}

int64_t master_period(struct node *node)
{
	struct master *m = &node->master;
	int64_t interval = node->conf.interval_ns, fast = interval / 4;

	m->period_ns = interval;
	if (m->fast) {
		m->fast--;
		fast = fast < FAST_MIN ? FAST_MIN : fast > FAST_MAX ? FAST_MAX : fast;
		m->period_ns = fast < interval ? fast : interval;
	}
	return m->period_ns;
}

void master_own(struct master *m, const struct berk_sample *s)
{
	if (s->flags & BERK_SAMPLE_LOCAL_STEP ||
	    (m->have_own && s->t4.raw_ns <= m->own.raw_ns))
		return;
	m->have_own = true;
	m->own = s->t4;
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
		.round = node->measure.round,
		.members = e->used ? (uint32_t)e->used : 1,
		.sigma_ns = at_least_0(ensemble_member_sigma(e, slot)),
		.bound_ns = at_least_0(ensemble_member_bound(e, slot) + m->astray_ns),
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
	c.want_ack = peer->standing.state != BERK_PEER_MEMBER || peer->may_step || peer->anew ||
		     peer->unacked + 1 >= ACK_EVERY;
	c.ref_raw_ns = peer->ref.peer.raw_ns;
	c.ref_real_ns = peer->ref.peer.real_ns;
	c.offset_ns = c.ref_real_ns - group_real(m, peer->ref.local.raw_ns);
	c.rate_known = e->rate_known && t->rate_sigma_ppb < RATE_USABLE;
	c.freq_ppb = (group_rate(m) - t->rate_ppb) / (1 + t->rate_ppb * 1e-9);
	c.rate_sigma_ppb = fmin(hypot(t->rate_sigma_ppb, e->rate_sigma_ppb), RATE_UNKNOWN);
	c.rank = peer->rank;
	c.steered = m->steered;
	c.origin = m->origin;
	members_tell(node, i, &c);
	peer->correct = c;
	peer->given = node->term;
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
	c.anew = m->self.state != BERK_PEER_MEMBER;
	c.rate_known = m->ensemble.rate_known;
	c.freq_ppb = group_rate(m);
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
	if (e->used > 1 && m->self.state == BERK_PEER_MEMBER)
		m->stood_still = false;
	if (m->n)
		ensemble_rate(e, m->own.raw_ns);
	reference_steer(node, now);
	members_rank(node, now);
	if (m->hold && --m->hold)	/* that nobody thinks we are gone */
		hello_all(node, MSG_ANNOUNCE);
	for (size_t i = 0; i < m->n && !m->hold; i++)
		if (members_corrigible(node, m->peer[i]) && m->peer[i]->changed < 2)
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

/* A round that is lost makes no group smaller. */
static uint32_t count_clocks(const struct master *m)
{
	uint32_t n = 1;

	for (size_t i = 0; i < m->n; i++)
		n += m->peer[i]->here;
	return n;
}

/* With a majority as quorum, less than that corrects nobody, not even itself. */
static bool quorate(struct node *node, struct node_now now, uint32_t clocks)
{
	struct master *m = &node->master;
	/* who has voted is there, even if its report is still on the way */
	bool few = node->conf.quorum == NODE_QUORUM_MAJORITY &&
		   now.raw_ns - node->elect.since > VOTES_HOLD * follow_interval(node) &&
		   2 * clocks <= elect_whole(node);

	if (few && !m->outnumbered)
		node_say(node, now.raw_ns, LOG_WARNING,
			 "%" PRIu32 " of %zu nodes are left, no majority: correcting nothing",
			 clocks, elect_whole(node));
	m->outnumbered = few;
	return !few;
}

/* Others are there, but something is wrong with this node, or with all. */
static bool useless(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	size_t others = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		/* whose hellos come through cannot be measured for some other reason */
		others += (peer->missed < MISSED && peer->flags & BERK_F_DRIVEN) ||
			  now.raw_ns - peer->heard_raw < HEARD * follow_interval(node);
	}
	if (!others || m->outnumbered)	/* then there is nothing to be done */
		m->served_raw = now.raw_ns;
	return m->have_group &&
	       now.raw_ns - m->served_raw > USELESS * follow_interval(node);
}

void master_finish(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	double expected = NAN;
	bool paused;
	uint32_t clocks;
	size_t present;

	if (!m->have_own) {	/* nobody answered, or whoever is there reports */
		m->have_own = true;
		m->own = (struct berk_stamp){ .real_ns = now.real_ns, .raw_ns = now.raw_ns };
	}
	present = members_take_stock(node, now);
	paused = members_check_restarts(node, now);
	clocks = count_clocks(m);
	say_alone(node, now, m->n && clocks == 1);
	m->followers = m->have_group ? clocks : 0;
	elect_round(node, now);
	if (node->elect.stance != LEADING)
		return;
	if (useless(node, now)) {
		node_say(node, now.raw_ns, LOG_ERR, "nobody could be corrected for %d intervals:"
			 " somebody else shall lead", USELESS);
		elect_hand_over(node, now);
		return;
	}
	/* where there is a group already, none is founded beside it */
	if (quorate(node, now, clocks) &&
	    (m->have_group || (present && !node->elect.rival_id))) {
		group_fill(node);
		if (m->have_group && !paused)
			expected = (double)(group_real(m, m->own.raw_ns) - m->own.real_ns);
		if (m->have_group ? group_agree(node, now, expected) : group_found(node, present))
			correct_all(node, now);
	}
	members_note(node);
	m->have_own = false;
	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		/* Quick rounds come more often than reports. */
		peer->answered = peer->reports &&
				 now.raw_ns - peer->sampled_raw < follow_interval(node) * 5 / 4;
		peer->restarted = peer->fresh = false;
	}
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

static void refused(struct node *node, struct node_now now, struct peer *peer)
{
	char text[PEER_TEXT];

	if (peer->unacked != UNACKED - 1)
		return;
	peer->standing.why = BERK_WHY_REFUSES;
	node_say(node, now.raw_ns, LOG_WARNING, "peer %s refuses corrections: it"
		 " follows another master, or its clock jumped", peer_text(peer, text));
}

void master_ack(struct node *node, struct node_now now, const union node_addr *from,
		uint64_t from_id, const struct msg_ack *ack)
{
	struct peer *peer = sender(node, from, from_id);

	if (!peer || ack->term != node->term)
		return;
	switch (ack->status) {
	case MSG_APPLIED:
	case MSG_DUPLICATE:
		node->master.served_raw = now.raw_ns;
		if (from_id == node->elect.rival_id)
			node->elect.rival_id = 0;	/* it follows us */
		peer->acked = true;
		peer->unacked = 0;
		peer->may_step = false;
		peer->anew = false;
		break;
	case MSG_STALE:
		/* It has a newer master: that one's group may be larger, or not. */
		if (term_newer(ack->current_term, node->term))
			hello_send(node, from, MSG_ASK, 0);
		break;
	case MSG_REFUSED:
		refused(node, now, peer);
		break;
	}
}
