// SPDX-License-Identifier: GPL-2.0
/*
 * reference: outside time, where there is some
 *
 * A reference is measured like any other clock, but not corrected, and not
 * averaged with the others. The group follows it: its rate moves towards that of
 * the reference, and a little beyond to bring the phase along, but slowly, so
 * that the members, which all follow one line, keep their differences. When there
 * is no reference, the rate stays.
 */
#include <math.h>

#include "node_priv.h"

#define PULL_TIME	16.0	/* s: over which a phase is pulled in */
#define DISAGREE	100e3	/* ns: two references that are further apart contradict */
#define JUMP		100e3	/* ns from one round to the next */
#define RATE_MAX	300e3	/* ppb beyond the crystals' */
#define PROBATION	30	/* rounds */
#define REFERENCES	16	/* more than anybody has */

/* Where it is, seen from the group's time, and how fast it runs in our RAW time. */
struct seen {
	double offset, rate;
};

static void doubt(struct node *node, struct node_now now, struct peer *peer,
		  enum berk_peer_reason why)
{
	char text[PEER_TEXT];

	if (peer->standing.state == BERK_PEER_REFERENCE)
		node_say(node, now.raw_ns, LOG_WARNING,
			 "reference %s %s: not followed until it is steady", peer_text(peer, text),
			 why == BERK_WHY_STEPPED ? "jumped" : "runs at an impossible rate");
	standing_lower(&peer->standing, BERK_PEER_FALSETICKER, why);
}

/* drift_ns: its offset a round ago. */
static bool steady(struct node *node, struct node_now now, struct peer *peer,
		   const struct seen *s)
{
	const struct master *m = &node->master;
	double moved = s->offset - peer->drift_ns;
	double may = JUMP + fabs(s->rate - group_rate(m)) * (double)m->period_ns * 2e-9;
	bool first = peer->standing.rate_seen != peer->standing.rate_seen;

	peer->drift_ns = s->offset;
	peer->standing.rate_seen = s->rate;
	if (fabs(s->rate - m->ensemble.rate_ppb) > RATE_MAX)
		doubt(node, now, peer, BERK_WHY_DRIFT);
	else if (!first && fabs(moved) > may)
		doubt(node, now, peer, BERK_WHY_STEPPED);
	else if (peer->standing.state == BERK_PEER_FALSETICKER &&
		 ++peer->standing.close >= PROBATION)
		standing_lower(&peer->standing, BERK_PEER_REFERENCE, BERK_WHY_NONE);
	return peer->standing.state == BERK_PEER_REFERENCE;
}

/*
 * What the references say, on average of the largest part that agrees; each in turn
 * is asked how many are with it. False if no majority is.
 */
static bool agreed(const struct seen *seen, size_t n, struct seen *mean)
{
	size_t most = 0;

	for (size_t i = 0; i < n; i++) {
		struct seen sum = { 0 };
		size_t with = 0;

		for (size_t k = 0; k < n; k++) {
			if (fabs(seen[k].offset - seen[i].offset) > DISAGREE)
				continue;
			sum.offset += seen[k].offset;
			sum.rate += seen[k].rate;
			with++;
		}
		if (with <= most)
			continue;
		most = with;
		*mean = (struct seen){ sum.offset / (double)with, sum.rate / (double)with };
	}
	return 2 * most > n;
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

void reference_steer(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	const struct ensemble *e = &m->ensemble;
	double limit = node->conf.reference_limit_ppb, dt = (double)m->period_ns * 1e-9, want;
	struct seen seen[REFERENCES], mean = { 0 };
	size_t n = 0;
	bool follow;

	if (node->conf.reference) {
		seen[n].offset = -e->offset_ns;
		seen[n++].rate = own_rate(m);
	}
	for (size_t i = 0; i < m->n && n < REFERENCES; i++) {
		struct peer *peer = m->peer[i];

		if (!peer->reference || !peer->have_ref)
			continue;
		seen[n].offset = e->member[i + 1].offset_ns - e->offset_ns;
		seen[n].rate = peer->track.rate_ppb + peer->ref.peer_slope_ppb;
		n += steady(node, now, peer, &seen[n]);
	}
	follow = e->rate_known && agreed(seen, n, &mean);
	say(node, now, n, follow);
	if (!follow)
		return;
	want = mean.rate - e->rate_ppb + fmax(fmin(mean.offset / PULL_TIME, limit), -limit);
	m->steer_ppb += fmax(fmin(want - m->steer_ppb, limit * dt), -limit * dt);
}
