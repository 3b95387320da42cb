// SPDX-License-Identifier: GPL-2.0
/*
 * reference: outside time, where there is some
 *
 * A reference is measured like any other clock, but not corrected, and not
 * averaged with the others. The group follows it: its rate moves towards that of
 * the reference, and a little beyond to bring the phase along, but slowly, so
 * that the members, which all follow one line, keep their differences. Only a new
 * group has that rate as soon as it is known. When there is no reference, the rate
 * stays.
 */
#include <math.h>
#include <stdlib.h>

#include "node_priv.h"

#define PULL_TIME	16.0	/* s: over which a phase is pulled in */
#define FREE_PULL	10e3	/* ppb: while a new group is not held back... */
#define FREE_TIME	1.0	/* s: ...and has the rate after that */
#define RATE_KNOWN	200.0	/* ppb, 1 sigma */
#define DISAGREE	100e3	/* ns: two references that are further apart contradict */
#define JUMP		100e3	/* ns from one round to the next */
#define RATE_MAX	300e3	/* ppb beyond the crystals' */
#define RATE_JUMP	20e3	/* ppb from one round to the next */
#define RATE_SIGMAS	5.0
#define KNOWN		60	/* rounds: who has been right for so long... */
#define PROBATION	600	/* ...and then is not, is doubted for long, */
#define FIRST		10	/* others not */
#define REFERENCES	16	/* more than anybody has */

/* Where it is, seen from the group's time, and how fast it runs in our RAW time. */
struct seen {
	double offset, rate, rate_sigma;
};

static void doubt(struct node *node, struct node_now now, struct peer *peer,
		  enum berk_peer_reason why)
{
	unsigned int probation = peer->standing.close < KNOWN ? FIRST : PROBATION;
	char text[PEER_TEXT];

	if (peer->standing.state == BERK_PEER_REFERENCE) {
		peer->standing.distance = probation;
		node_say(node, now.raw_ns, LOG_WARNING,
			 "reference %s %s: not followed until it is steady", peer_text(peer, text),
			 why == BERK_WHY_STEPPED ? "jumped" : "runs at an impossible rate");
	}
	peer->standing.state = BERK_PEER_FALSETICKER;
	peer->standing.why = why;
	peer->standing.close = 0;
}

/* drift_ns: its offset a round ago. */
static bool steady(struct node *node, struct node_now now, struct peer *peer,
		   const struct seen *s)
{
	const struct master *m = &node->master;
	double moved = s->offset - peer->drift_ns;
	double may = JUMP + fabs(s->rate - group_rate(m)) * (double)m->period_ns * 2e-9;
	double turned = s->rate - peer->standing.rate_seen;
	double may_turn = RATE_JUMP + RATE_SIGMAS * s->rate_sigma;
	bool first = isnan(turned), known = peer->standing.close >= FIRST;

	peer->drift_ns = s->offset;
	peer->standing.rate_seen = s->rate;
	if (fabs(s->rate - m->ensemble.rate_ppb) > RATE_MAX + RATE_SIGMAS * s->rate_sigma ||
	    (known && fabs(turned) > may_turn))
		doubt(node, now, peer, BERK_WHY_DRIFT);
	else if (!first && fabs(moved) > may)
		doubt(node, now, peer, BERK_WHY_STEPPED);
	else if (++peer->standing.close >= peer->standing.distance &&
		 peer->standing.state == BERK_PEER_FALSETICKER)
		standing_lower(&peer->standing, BERK_PEER_REFERENCE, BERK_WHY_NONE);
	return peer->standing.state == BERK_PEER_REFERENCE;
}

static int by_offset(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* The median reference, or the mean of the two in the middle. False if no majority is near. */
static bool agreed(struct seen *seen, size_t n, struct seen *middle)
{
	size_t near = 0;

	if (!n)
		return false;
	qsort(seen, n, sizeof(*seen), by_offset);
	*middle = (struct seen){
		.offset = (seen[(n - 1) / 2].offset + seen[n / 2].offset) / 2,
		.rate = (seen[(n - 1) / 2].rate + seen[n / 2].rate) / 2,
		.rate_sigma = fmax(seen[(n - 1) / 2].rate_sigma, seen[n / 2].rate_sigma),
	};
	for (size_t i = 0; i < n; i++)
		near += fabs(seen[i].offset - middle->offset) <= DISAGREE;
	return 2 * near > n;
}

/* How fast our own REALTIME runs in our RAW time, as the stamps show it. */
static double own_rate(const struct master *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->peer[i]->have_ref)
			return m->peer[i]->ref.local_slope_ppb;
	return m->ensemble.rate_ppb;
}

static void say(struct node *node, struct node_now now, size_t n, bool follow)
{
	struct master *m = &node->master;

	if (follow && !m->steered)
		node_say(node, now.raw_ns, LOG_NOTICE, "following %zu reference%s", n,
			 n == 1 ? "" : "s");
	else if (!follow && m->steered)
		node_say(node, now.raw_ns, LOG_WARNING, n ?
			 "the references contradict each other: the group goes on by itself" :
			 "no reference any more: the group goes on by itself");
	m->steered = follow;
}

/* Time of that origin is our own. */
static bool from_us(const struct node *node, uint64_t origin)
{
	return origin && origin == node->conf.cluster;
}

bool reference_usable(const struct node *node, const struct peer *peer)
{
	return peer->reference && peer->have_ref && peer->flags & BERK_F_SYNCED &&
	       !from_us(node, peer->origin);
}

bool reference_coming(const struct node *node)
{
	const struct master *m = &node->master;
	bool coming = node->conf.reference && !node->right;

	for (size_t i = 0; i < m->n; i++) {
		if (reference_usable(node, m->peer[i]))
			return false;
		coming |= m->peer[i]->reference && m->peer[i]->missed < MISSED;
	}
	return coming && !(node->conf.reference && node->right);
}

static void say_cycle(struct node *node, struct node_now now, const struct peer *peer)
{
	struct master *m = &node->master;
	char text[PEER_TEXT];

	if (from_us(node, peer->origin) && !m->cycle_logged) {
		node_say(node, now.raw_ns, LOG_WARNING, "reference %s has its time from this very"
			 " cluster: not followed", peer_text(peer, text));
		m->cycle_logged = true;
	}
}

void reference_steer(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	const struct ensemble *e = &m->ensemble;
	double limit = node->conf.reference_limit_ppb, dt = (double)m->period_ns * 1e-9;
	bool unbound = m->steer_free, follow;
	double pull, turn;
	struct seen seen[REFERENCES], mean = { 0 };
	uint64_t origin = 0;
	size_t n = 0;

	if (node->conf.reference && node->right && !from_us(node, node->origin)) {
		origin = node->origin;
		seen[n].offset = -e->offset_ns;
		seen[n].rate_sigma = 0;
		seen[n++].rate = own_rate(m);
	}
	for (size_t i = 0; i < m->n && n < REFERENCES; i++) {
		struct peer *peer = m->peer[i];

		if (peer->reference && peer->have_ref)
			say_cycle(node, now, peer);
		if (!reference_usable(node, peer))
			continue;
		origin = origin ? origin : peer->origin;
		seen[n].offset = e->member[i + 1].offset_ns - e->offset_ns;
		seen[n].rate = peer->track.rate_ppb + peer->ref.peer_slope_ppb;
		seen[n].rate_sigma = peer->track.rate_sigma_ppb;
		n += steady(node, now, peer, &seen[n]);
	}
	follow = e->rate_known && agreed(seen, n, &mean);
	m->astray_ns = follow ? fabs(mean.offset) : 0;
	m->origin = follow ? origin : node->conf.cluster;
	say(node, now, n, follow);
	if (e->rate_settled && mean.rate_sigma < RATE_KNOWN)	/* or there is none */
		m->steer_free = false;
	if (!follow || mean.rate_sigma > RATE_USABLE)
		return;
	pull = unbound ? FREE_PULL : limit;
	pull = fmax(fmin(mean.offset / PULL_TIME, pull), -pull);
	turn = mean.rate - e->rate_ppb + pull - m->steer_ppb;
	if (unbound)
		m->steer_ppb += turn * fmin(dt / FREE_TIME, 1);
	else
		m->steer_ppb += fmax(fmin(turn, limit * dt), -limit * dt);
}
