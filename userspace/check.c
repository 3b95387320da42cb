// SPDX-License-Identifier: GPL-2.0
/*
 * check: slaves check their master
 *
 * A slave knows how its own crystal runs, and measures a few other members, the
 * witnesses. So it can tell when the master's corrections move the group:
 *  - at once: the new line is elsewhere than the old one, and the clocks of the
 *    witnesses, which follow the same master, are still where the old one is;
 *  - slowly: the line leaves the course that it has had until now, seen from this
 *    node's crystal as well as from those of the witnesses. If only one of the two
 *    says so, some crystal has changed.
 */
#include <inttypes.h>
#include <math.h>

#include "node_priv.h"

#define SLACK		10e3	/* ns */
#define SIGMAS		8.0
#define LEAK		64.0	/* s: over which a departure is remembered... */
#define COURSE		256.0	/* s: ...and over which it becomes the course */
#define SETTLED		150	/* s: a young group still finds its rate */
#define WITNESSES	8	/* more are not asked */
#define TWICE		2	/* corrections in a row */

struct witness {
	double place;		/* ns: where its clock is, seen from ours */
	double sigma;		/* ns */
};

struct witnesses {
	size_t n;
	struct witness w[WITNESSES];
	uint64_t ids;		/* of all: shows when they are not the same any more */
	double rate;		/* ppb: mean of their crystals, seen from ours */
};

static void ask(const struct node *node, struct witnesses *w)
{
	const struct master *m = &node->master;
	struct track_ref ref;

	*w = (struct witnesses){ 0 };
	for (size_t i = 0; i < m->n && w->n < WITNESSES; i++) {
		const struct peer *peer = m->peer[i];
		const struct track *t = &peer->track;

		if (peer->missed || peer->node_id == node->follow.master_id ||
		    !(peer->flags & BERK_F_DRIVEN) || !t->ready || !track_ref(t, &ref))
			continue;
		w->w[w->n++] = (struct witness){
			.place = (double)(ref.peer.real_ns - ref.local.real_ns),
			.sigma = t->sigma_ns,
		};
		w->rate += t->rate_ppb;
		w->ids ^= peer->node_id * 0x9e3779b97f4a7c15ULL;
	}
	if (w->n)
		w->rate /= (double)w->n;
}

/* True if more of them are at the old line than at one that is shifted. */
static bool object(const struct witnesses *w, double shift, double may)
{
	int stay = 0;

	for (size_t i = 0; i < w->n; i++) {
		double limit = may + SIGMAS * w->w[i].sigma;
		bool at_old = fabs(w->w[i].place) <= limit;
		bool at_new = fabs(w->w[i].place - shift) <= limit;

		stay += at_old - at_new;
	}
	return stay > 0;
}

static double tolerance(const struct node *node, struct node_now now, const struct msg_correct *c)
{
	return SLACK + (double)node->follow.last.bound_ns / 2 +
	       SIGMAS * hypot(follow_sigma(node, now), (double)c->sigma_ns);
}

/* Unsigned: a message may say anything. */
static double shift(const struct node *node, const struct msg_correct *c)
{
	return (double)(int64_t)((uint64_t)(c->ref_real_ns - c->offset_ns) -
				 (uint64_t)servo_line(&node->servo, c->ref_raw_ns));
}

/* ns by which the correction is wrong as far as this node can tell, or 0. */
static double at_fault(const struct node *node, struct node_now now, const struct msg_correct *c,
		       size_t *n)
{
	const struct check *k = &node->check;
	double by = shift(node, c), may = tolerance(node, now, c);
	struct witnesses w;

	ask(node, &w);
	*n = w.n;
	if (fabs(by) > may && object(&w, by, may))
		return by;
	if (!w.n || c->steered)
		return 0;
	return fmin(fabs(k->own_ns), fabs(k->all_ns)) > may / 2 && k->own_ns * k->all_ns > 0 ?
	       k->own_ns : 0;
}

/* Back onto the course that the line had before the master led it astray. */
static void revert(struct node *node, struct node_now now)
{
	struct servo *s = &node->servo;
	struct check *k = &node->check;
	int64_t real = servo_line(s, now.raw_ns) - llrint(k->own_ns);

	if (now.raw_ns - k->since < SETTLED * SECOND)
		return;
	servo_set_line(s, now.raw_ns, real, k->own_ppb, true, s->interval_ns, false);
	k->raw = now.raw_ns;
	k->real = real;
}

bool check_correction(struct node *node, struct node_now now, uint64_t from_id,
		      const struct msg_correct *c)
{
	struct follow *f = &node->follow;
	struct check *k = &node->check;
	double by;
	size_t n;

	if (f->master_id != from_id)
		k->own_ns = k->all_ns = 0;	/* that was of the one before */
	if (!f->heard || f->master_id != from_id ||
	    (f->state == BERK_STATE_UNSYNCHRONISED && !f->withdrawn) ||
	    !node->servo.have_line) {
		k->wrong = 0;
		return true;
	}
	by = at_fault(node, now, c, &n);
	if (by == 0) {
		k->wrong = 0;
		return true;
	}
	if (++k->wrong < TWICE)
		return false;
	node_say(node, now.raw_ns, LOG_ERR, "master %016" PRIx64 " moves the group by %+.1f us, which"
		 " neither this clock nor %zu others can confirm: not followed any more",
		 from_id, by * 1e-3, n);
	revert(node, now);
	k->own_ns = k->all_ns = 0;
	elect_distrust(node, now, from_id);
	return false;
}

void check_restart(struct node *node)
{
	node->check = (struct check){ 0 };
}

/* How the line has gone on since the last correction, against its course until then. */
void check_applied(struct node *node, struct node_now now)
{
	const struct servo *s = &node->servo;
	struct check *k = &node->check;
	double dt, slope, leak;
	struct witnesses w;

	ask(node, &w);
	if (w.ids != k->ids)	/* others: they see the same line */
		k->all_ppb += k->rate_ppb - w.rate;
	k->ids = w.ids;
	k->rate_ppb = w.rate;
	if (!k->anchored) {
		k->anchored = true;
		k->since = now.raw_ns;
	}
	if (now.raw_ns - k->since < SETTLED * SECOND) {
		k->own_ppb = s->line_ppb;
		k->all_ppb = s->line_ppb - w.rate;
	} else if (s->line_raw > k->raw) {
		dt = (double)(s->line_raw - k->raw) * 1e-9;
		slope = (double)((s->line_real - k->real) - (s->line_raw - k->raw)) / dt;
		leak = exp(-dt / LEAK);
		k->own_ns = k->own_ns * leak + (slope - k->own_ppb) * dt;
		k->all_ns = k->all_ns * leak + (slope - w.rate - k->all_ppb) * dt;
		k->own_ppb += (slope - k->own_ppb) * fmin(dt / COURSE, 1);
		k->all_ppb += (slope - w.rate - k->all_ppb) * fmin(dt / COURSE, 1);
	}
	k->raw = s->line_raw;
	k->real = s->line_real;
}
