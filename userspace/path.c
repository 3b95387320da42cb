// SPDX-License-Identifier: GPL-2.0
/* path: what changed, the way to a peer or its clock; see path.h */
#include <math.h>

#include "path.h"
#include "track.h"

#define OUTLIER		5.0		/* sigmas */
#define CHANGE		8.0		/* sigmas: it must be rarer than once a month */
#define RECENT		24	/* newest points, among which a change of the path is looked for */
#define KNOWN		48	/* older points, at least, of a path that is known */
#define REFERENCE	3	/* times as many older points to compare with */
#define SUSPECTS_MAX	128	/* points that may wait for a decision */
#define TIGHT		3.0	/* spreads: delays further apart say little of the path */

/* By how much the floors of some points differ from older ones', and how surely. */
struct change {
	double du, dv, sigma;
	bool tight;
};

/* Old points that the rate does not bring to the present precisely enough tell nothing. */
static unsigned int comparable(const struct track *t, unsigned int last, int64_t now)
{
	const struct window *w = &t->window;
	double sigma = sqrt(t->wander.mean.p11), limit = fmax(w->spread_u, w->spread_v);

	last = last < w->count ? last : w->count;
	while (last && sigma * seconds(now - window_point(w, last)->t1) > limit)
		last--;
	return last;
}

/* The n newest points, and those that are older than the newest `doubtful` ones. */
static bool compare(const struct track *t, unsigned int n, unsigned int doubtful, int64_t now,
		    struct change *c)
{
	const struct window *w = &t->window;
	unsigned int last = comparable(t, doubtful + REFERENCE * n, now);
	struct floor u, v, old_u, old_v;
	double su, sv, rate = t->wander.mean.rate;

	if (last < doubtful + n || w->count < doubtful + KNOWN ||
	    !window_floors(w, 1, n, now, rate, &u, &v) ||
	    !window_floors(w, doubtful + 1, last, now, rate, &old_u, &old_v))
		return false;
	su = fmax(u.mean - u.value, w->spread_u);
	sv = fmax(v.mean - v.value, w->spread_v);
	c->tight = su < TIGHT * w->spread_u && sv < TIGHT * w->spread_v;
	c->du = u.value - su / u.n - old_u.value + w->spread_u / old_u.n;
	c->dv = v.value - sv / v.n - old_v.value + w->spread_v / old_v.n;
	c->sigma = hypot(su / u.n, sv / v.n) + 2 * sqrt(t->wander.mean.p00) +
		   window_walk(t->wander.ppb, seconds(now - window_point(w, last)->t1));
	return true;
}

/* A clock's phase adds to one direction what it takes from the other; a path does not. */
static bool of_path(const struct change *c)
{
	return fabs(c->du + c->dv) > fabs(c->du - c->dv) / 2;
}

static bool significant(const struct change *c)
{
	return fabs(c->du - c->dv) > CHANGE * c->sigma;
}

static double within(double v, double limit)
{
	return fmax(fmin(v, limit), -limit);
}

/*
 * No RAW clock jumps. So where the delays of one direction did, the path has
 * changed, and the asymmetry that this means is known: the phase stays. When
 * the round trip is what it was at first, so is the path: errors do not add up.
 * Nor can they exceed what would make one direction faster than nothing.
 */
static void reroute(struct track *t, unsigned int n, const struct change *c)
{
	double delay = fmax(t->delay_ns + c->du + c->dv, 0);
	double seen = t->asymmetry_ns + (c->du - c->dv) / 2, asymmetry = within(seen, delay / 2);

	if (t->asymmetry_ns != 0 && fabs(delay - t->home_delay_ns) < OUTLIER * c->sigma) {
		asymmetry = 0;
		t->asymmetry_bound_ns = INFINITY;
	} else {
		if (t->home_delay_ns == 0)
			t->home_delay_ns = t->delay_ns;
		t->asymmetry_bound_ns = t->bound_ns + OUTLIER * c->sigma;
	}
	t->rerouted_ns = asymmetry - t->asymmetry_ns;
	t->asymmetry_ns = asymmetry;
	window_shift(&t->window, n, c->du, c->dv);
	wander_doubt(&t->wander, hypot(c->sigma, seen - asymmetry), 0);
	t->window.suspect = 0;
}

/* Changes of the path too small for a single round. */
static void look_for_change(struct track *t, int64_t now)
{
	struct change c;

	if (compare(t, RECENT, RECENT, now, &c) && c.tight && of_path(&c) && significant(&c))
		reroute(t, RECENT, &c);
}

void path_clock_changed(struct track *t, double innovation, int64_t now)
{
	wander_doubt(&t->wander, innovation,
		     innovation / fmax(seconds(now - t->agreed_raw), 1e-3));
	/* The round before may have begun with the old clock. */
	window_keep(&t->window, t->fresh);
	t->window.suspect = 0;
}

/*
 * Rounds in a row contradict all that came before: did the path change, or the
 * clock? A new rate shows in the newest round as a phase. A path is measured
 * when there are enough points, without those of the first round: a single one
 * that took the old path would be the smallest of all.
 */
static void resolve(struct track *t, double innovation, int64_t now)
{
	struct window *w = &t->window;
	unsigned int n = w->suspect - t->mixed;
	bool patient = w->suspect < SUSPECTS_MAX;
	struct change c, all;

	if (compare(t, n, w->suspect, now, &all)) {
		if (!compare(t, t->fresh, w->suspect, now, &c) || !significant(&c))
			c = all;
		if (of_path(&c) && (!patient || (n >= RECENT / 2 && all.tight &&
						 of_path(&all) && significant(&all)))) {
			window_drop(w, n + 1, t->mixed);
			return reroute(t, n, &all);
		}
		if (patient && (of_path(&c) || !significant(&c)))
			return;
	}
	path_clock_changed(t, innovation, now);
	/* It may have been both paths after all: of these only the round trip is known. */
	t->asymmetry_bound_ns = INFINITY;
	t->upset = true;
}

/*
 * A round that contradicts is not averaged in until it is clear what happened;
 * until then the estimate goes on as it was. If the next one agrees, it was
 * the round.
 */
bool path_or_clock(struct track *t, double innovation, double r, int64_t now)
{
	struct window *w = &t->window;

	t->doubt_ns = 0;
	if (fabs(innovation) > OUTLIER * sqrt(t->wander.mean.p00 + r)) {
		t->doubt_ns = fabs(innovation);
		if (!w->suspect)
			t->mixed = t->fresh;
		w->suspect += t->fresh;
		if (w->suspect > t->fresh)
			resolve(t, innovation, now);
		return w->suspect;
	}
	if (w->suspect)
		window_drop(w, t->fresh + 1, w->suspect);
	else
		look_for_change(t, now);
	w->suspect = 0;
	return false;
}
