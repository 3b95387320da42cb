// SPDX-License-Identifier: GPL-2.0
/*
 * group: the group's time, and who belongs to it
 *
 * It is founded once, on the clocks that were together before or else on all
 * of them; from then on only those take part that are where it should be.
 */
#include <math.h>

#include "node_priv.h"

#define ACKED		2	/* at most that many: may become one */
#define CLOSE		2	/* rounds a falseticker must agree before it is let back */
#define DISCORD		10	/* rounds without a majority: start over */
#define TOLERANCE_MIN	20e3	/* ns: smaller differences are no contradiction */
#define TOLERANCE_PART	8	/* of the step threshold */
#define RATE_SIGMAS	5

/* Offset to our clock at the instant m->own; clocks in mid-slew diverge until then. */
static double offset_at_own(const struct master *m, const struct peer *peer)
{
	const struct track_ref *r = &peer->ref;
	double dt = (double)(m->own.raw_ns - r->local.raw_ns) * 1e-9;
	double slope = r->peer_slope_ppb + peer->track.rate_ppb - r->local_slope_ppb;

	return (double)(r->peer.real_ns - r->local.real_ns) + slope * dt;
}

/* Slot 0 is this node, slot i + 1 is peer i. */
void group_fill(struct node *node)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;

	e->n = m->n + 1;
	e->member[0] = (struct ensemble_member){
		.known = true,
		.eligible = m->self.status == PEER_MEMBER,
		.rate_seen = &m->self.rate_seen,
	};
	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];
		struct track *t = &peer->track;

		e->member[i + 1] = (struct ensemble_member){
			.rate_seen = &peer->standing.rate_seen,
		};
		if (!peer->have_ref)
			continue;
		e->member[i + 1] = (struct ensemble_member){
			.known = true,
			.eligible = peer->standing.status == PEER_MEMBER,
			.offset_ns = offset_at_own(m, peer),
			.sigma_ns = t->sigma_ns,
			.bound_ns = t->bound_ns,
			.rate_ppb = t->rate_ppb,
			.rate_sigma_ppb = t->rate_sigma_ppb,
			.rate_seen = &peer->standing.rate_seen,
		};
	}
}

int64_t group_real(const struct master *m, int64_t raw)
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

/* What the rates of the clocks that agree are on average, in our RAW time. */
static double rate_of_veterans(const struct master *m)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		if (!m->ensemble.member[i + 1].agrees)
			continue;
		sum += peer->track.rate_ppb + peer->ref.peer_slope_ppb;
		n++;
	}
	return sum / (double)n;
}

/* Peers that were in a group before bring its time and its rate with them; this node joins. */
static bool found_on_veterans(struct node *node)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;

	e->member[0].eligible = false;
	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		e->member[i + 1].eligible = members_corrigible(peer) &&
					    (peer->flags & BERK_F_SYNCED || peer->term);
	}
	if (!ensemble_agree(e, tolerance(node), NAN))
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (e->member[i + 1].agrees)
			m->peer[i]->standing.status = PEER_MEMBER;
	ensemble_inherit_rate(e, rate_of_veterans(m));
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
			standing_lower(&peer->standing, PEER_CANDIDATE);
		e->member[i + 1].eligible = members_corrigible(peer);
	}
	e->member[0].eligible = true;
	ensemble_gather(e);
	m->self.status = PEER_MEMBER;
	servo_allow_step(&node->servo);
}

/*
 * False while it is too early: for a few rounds, clocks that are together are
 * only measured, so as not to disturb them with first guesses; otherwise those
 * rounds are waited for all peers to turn up.
 */
bool group_found(struct node *node, size_t present)
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

	if (e->member[0].eligible && !e->member[0].agrees) {
		standing_lower(&m->self, PEER_FALSETICKER);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "this clock is off by %+.1f us against the majority: left out",
			 -e->offset_ns * 1e-3);
	}
	for (size_t i = 0; i < m->n; i++) {
		const struct ensemble_member *member = &e->member[i + 1];

		if (!member->eligible || member->agrees)
			continue;
		standing_lower(&m->peer[i]->standing, PEER_FALSETICKER);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "peer %s is a falseticker, off by %+.1f us: left out",
			 peer_text(m->peer[i], text), (member->offset_ns - e->offset_ns) * 1e-3);
	}
}

/* The group's offset to our clock; false if it cannot be told. */
bool group_agree(struct node *node, struct node_now now, double expected)
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
		master_forget(node);
		node_say(node, now.raw_ns, LOG_ERR, "still no majority: starting over with all clocks");
	}
	return false;
}
