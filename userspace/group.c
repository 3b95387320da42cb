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
#define CLOSE		10	/* rounds a falseticker must agree before it is let back */
#define PATIENCE	16	/* rounds: who is near for so long is in, if not quite on the line */
#define ADMIT		2e3	/* ns: distance at which a newcomer moves nobody */
#define DRIFT_MIN	1e3	/* ns: a clock that is so far from the line on average... */
#define DRIFT_SIGMAS	6	/* ...and so much beyond its noise does not follow */
#define DRIFT_ROUNDS	8
#define SLOPE		10e3	/* ppb: a clock that leaves with that slope drifts */
#define ASYMMETRIC	20e3	/* ns: worth a remark */
#define DISCORD		10	/* rounds without a majority: start over */
#define AGREED		30	/* rounds with one: that was no mere chance */
#define TOLERANCE_MIN	20e3	/* ns: smaller differences are no contradiction */
#define TOLERANCE_PART	8	/* of the step threshold */
#define RATE_SIGMAS	5
#define REFERENCE_ROUNDS	40	/* to wait for a reference that is not right yet */

/*
 * Offset to our clock at the instant m->own. Where its clock has got to since it was read
 * last is known by our RAW clock, which nobody slews.
 */
static double offset_at_own(const struct master *m, const struct peer *peer)
{
	const struct track_ref *r = &peer->ref;
	int64_t dt = m->own.raw_ns - r->local.raw_ns;
	double slope = r->peer_slope_ppb + peer->track.rate_ppb;

	return (double)(r->peer.real_ns - m->own.real_ns + dt) + slope * (double)dt * 1e-9;
}

/* Slot 0 is this node, slot i + 1 is peer i. */
void group_fill(struct node *node)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;

	e->n = m->n + 1;
	e->member[0] = (struct ensemble_member){
		.known = true,
		.eligible = m->self.state == BERK_PEER_MEMBER && !node->conf.reference,
		.joining = m->self.state == BERK_PEER_CANDIDATE && !node->conf.reference,
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
			.eligible = peer->standing.state == BERK_PEER_MEMBER,
			.joining = peer->standing.state == BERK_PEER_CANDIDATE &&
				   peer->standing.why == BERK_WHY_JOINING,
			.offset_ns = offset_at_own(m, peer),
			.sigma_ns = t->sigma_ns,
			.bound_ns = t->bound_ns,
			.rate_ppb = t->rate_ppb,
			.rate_sigma_ppb = t->rate_sigma_ppb,
			.rate_seen = &peer->standing.rate_seen,
		};
	}
}

double group_rate(const struct master *m)
{
	return m->ensemble.rate_ppb + m->steer_ppb;
}

int64_t group_real(const struct master *m, int64_t raw)
{
	double dt = (double)(raw - m->group_raw);

	return m->group_real + (raw - m->group_raw) + llrint(dt * group_rate(m) * 1e-9);
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
static double rate_of_veterans(const struct master *m, double *sigma, size_t *count)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		if (!m->ensemble.member[i + 1].agrees)
			continue;
		sum += peer->track.rate_ppb + peer->ref.peer_slope_ppb;
		*sigma = fmax(*sigma, peer->track.rate_sigma_ppb);
		n++;
	}
	*count = n;
	return sum / (double)n;
}

/* Peers that were in a group before bring its time and its rate with them; this node joins. */
static bool found_on_veterans(struct node *node)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;
	double rate, sigma = 0;
	size_t n;

	e->member[0].eligible = false;
	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		e->member[i + 1].eligible = members_corrigible(node, peer) && !peer->reference &&
					    (peer->flags & BERK_F_SYNCED || peer->term);
	}
	if (!ensemble_agree(e, tolerance(node), NAN))
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (e->member[i + 1].agrees)
			m->peer[i]->standing.state = BERK_PEER_MEMBER;
	rate = rate_of_veterans(m, &sigma, &n);
	ensemble_inherit_rate(e, rate, sigma, n);
	return true;
}

/* Where there is outside time, a new group begins with it. */
static bool found_on_references(struct node *node)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;
	bool any = node->conf.reference && node->right;

	for (size_t i = 0; i < m->n; i++)
		any |= reference_usable(node, m->peer[i]);
	if (!any)
		return false;
	for (size_t i = 0; i < e->n; i++) {
		const struct peer *peer = i ? m->peer[i - 1] : NULL;

		e->member[i].eligible = peer ? reference_usable(node, peer) :
					       node->conf.reference && node->right;
	}
	return ensemble_gather(e);
}

/* Clocks that may be anywhere: everyone is averaged, everyone may step. */
static void found_on_all(struct node *node)
{
	struct master *m = &node->master;
	struct ensemble *e = &m->ensemble;

	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		peer->may_step = true;
		if (peer->standing.state == BERK_PEER_MEMBER)
			standing_lower(&peer->standing, BERK_PEER_CANDIDATE, BERK_WHY_JOINING);
		e->member[i + 1].eligible = members_corrigible(node, peer);
	}
	e->member[0].eligible = true;
	if (!found_on_references(node))
		ensemble_gather(e);
	standing_lower(&m->self, BERK_PEER_CANDIDATE, BERK_WHY_JOINING);
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
	if (!veterans && reference_coming(node) && ++m->waited < REFERENCE_ROUNDS)
		return false;
	if (!veterans)
		found_on_all(node);
	m->have_group = true;
	m->steer_ppb = 0;
	m->steer_free = !veterans;
	m->fast = FAST_ROUNDS;
	return true;
}

/* How many rounds in a row a clock must have been near before it takes part. */
static unsigned int probation(const struct standing *s, bool arrived)
{
	if (s->state == BERK_PEER_FALSETICKER)
		return CLOSE;
	return arrived ? 1 : PATIENCE;
}

/*
 * Into a group that is there already a newcomer is let when it has arrived on its
 * line: then nobody notices.
 */
static bool promote(struct standing *s, const struct ensemble_member *member, bool acks,
		    double tol, double expected, bool strict)
{
	double distance = fabs(member->offset_ns - expected);
	bool was_false = s->state == BERK_PEER_FALSETICKER;
	double there = strict || was_false ? ADMIT : TOLERANCE_MIN;
	bool arrived = distance <= ensemble_half_width(member, there);
	bool near = arrived || (!was_false && distance <= ensemble_half_width(member, tol));

	if (s->state != BERK_PEER_CANDIDATE && s->state != BERK_PEER_FALSETICKER)
		return false;
	s->close = near && acks ? s->close + 1 : 0;
	if (s->close < probation(s, arrived))
		return false;
	s->state = BERK_PEER_MEMBER;
	s->why = BERK_WHY_NONE;
	return true;
}

static size_t present(const struct ensemble *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++)
		n += e->member[i].known;
	return n;
}

/* Those that are where the group should be, and follow it, take part. */
static void admit(struct node *node, struct node_now now, double tol, double expected)
{
	struct master *m = &node->master;
	struct ensemble_member *member = m->ensemble.member;
	bool strict = 2 * m->ensemble.used > present(&m->ensemble);
	char text[PEER_TEXT];

	if (!node->conf.reference && promote(&m->self, &member[0], true, tol, expected, strict))
		member[0].eligible = true;
	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];
		bool was_false = peer->standing.state == BERK_PEER_FALSETICKER;

		if (!peer->have_ref || peer->reference || !promote(&peer->standing, &member[i + 1],
						peer->acked && peer->unacked <= ACKED &&
						!peer->restarts, tol, expected, strict))
			continue;
		member[i + 1].eligible = true;
		peer->drift_ns = 0;
		if (was_false)
			node_say(node, now.raw_ns, LOG_NOTICE, "peer %s agrees again: back in",
				 peer_text(peer, text));
	}
}

static enum berk_peer_reason reason(const struct master *m, const struct peer *peer,
				    double distance)
{
	double slope = peer->track.rate_ppb + peer->ref.peer_slope_ppb - group_rate(m);

	if (fabs(slope) > SLOPE && (slope > 0) == (distance > 0))
		return BERK_WHY_DRIFT;
	return BERK_WHY_STEPPED;
}

static void lower(struct node *node, struct node_now now, struct peer *peer,
		  enum berk_peer_reason why, double distance)
{
	char text[PEER_TEXT];

	standing_lower(&peer->standing, BERK_PEER_FALSETICKER, why);
	node_say(node, now.raw_ns, LOG_WARNING, "peer %s is a falseticker, off by %+.1f us%s: left out",
		 peer_text(peer, text), distance * 1e-3,
		 why == BERK_WHY_DRIFT ? ", and does not follow" : "");
}

/* One that was let in too early is still on its way. */
static void expel_peer(struct node *node, struct node_now now, struct peer *peer, double offset)
{
	if (peer->standing.close < CLOSE)
		standing_lower(&peer->standing, BERK_PEER_CANDIDATE, BERK_WHY_JOINING);
	else
		lower(node, now, peer, reason(&node->master, peer, offset), offset);
}

/* True if a member has kept away from the line where it is told to be. */
static bool strays(struct peer *peer, const struct ensemble_member *member, double offset)
{
	double limit = fmax(DRIFT_MIN, DRIFT_SIGMAS * member->sigma_ns);

	peer->drift_ns += (offset - peer->drift_ns) / DRIFT_ROUNDS;
	return fabs(peer->drift_ns) > limit && fabs(offset) > limit;
}

/* Its path has changed, or is about to be found to have. */
static bool asymmetric(const struct track *t)
{
	return fabs(t->asymmetry_ns) > ASYMMETRIC ||
	       (t->window.suspect && t->doubt_ns > ASYMMETRIC);
}

static void expel(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	const struct ensemble *e = &m->ensemble;

	if (e->member[0].eligible && !e->member[0].agrees) {
		standing_lower(&m->self, BERK_PEER_FALSETICKER, BERK_WHY_OFFSET);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "this clock is off by %+.1f us against the majority: left out",
			 -e->offset_ns * 1e-3);
	}
	for (size_t i = 0; i < m->n; i++) {
		const struct ensemble_member *member = &e->member[i + 1];
		double offset = member->offset_ns - e->offset_ns;
		struct peer *peer = m->peer[i];

		if (!member->eligible)
			continue;
		peer->standing.close++;
		if (!member->agrees)
			expel_peer(node, now, peer, offset);
		else if (strays(peer, member, offset) && e->used > 2)
			lower(node, now, peer, BERK_WHY_DRIFT, offset);
		else
			peer->standing.why = asymmetric(&peer->track) ? BERK_WHY_ASYMMETRY :
								       BERK_WHY_NONE;
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
		m->agreed++;
		return true;
	}
	if (!m->discord++)
		node_say(node, now.raw_ns, LOG_ERR,
			 "the clocks contradict each other and no majority agrees: correcting nothing");
	if (m->agreed >= AGREED && m->discord >= DISCORD / 2) {	/* more likely it is us */
		node_say(node, now.raw_ns, LOG_ERR, "still no majority: somebody else shall lead");
		elect_hand_over(node, now);
	} else if (m->discord >= DISCORD) {
		master_forget(node);
		node_say(node, now.raw_ns, LOG_ERR, "still no majority: starting over with all clocks");
	}
	return false;
}
