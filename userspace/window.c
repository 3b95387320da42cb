// SPDX-License-Identifier: GPL-2.0
/*
 * window: maximum likelihood of phase and rate from the delays of a window
 *
 * For symmetric exponential delays (min u - min v) / 2 is the maximum
 * likelihood estimator of the phase (Jeske, IEEE Trans. Commun. 53(1), 2005).
 * Minima over a long window are the most precise but need the rate to bring
 * old points to the present, so both are estimated together: the candidates
 * for the rate are weighed by the likelihood of all delays.
 *
 * The smallest delay at a given rate is that of a point on the lower convex
 * hull of the points, which are few (as in Moon, Skelly & Towsley, INFOCOM
 * 1999); the mean delay is linear in the rate. So a candidate costs little.
 */
#include <math.h>
#include <string.h>

#include "window.h"

#define STAMP_VAR	(30.0 * 30.0)	/* ns^2: of a stamp, however short the delay */
#define SPREAD_MIN	20.0		/* ns */
#define SLACK		0.7		/* sigmas of wander that age costs a point */
#define FEW		8.0	/* squared: of so few points the spread is not known well */
#define TAIL		5.0		/* spreads above the floor: not of the exponential */
#define RATES		8		/* candidates on either side, up to 3 sigma */
#define ZOOM		4		/* how much closer they are moved together */
#define ZOOMS		10		/* at most */
#define REACH		3.0		/* see reach() */
#define ROOM		5.0	/* sigmas of wander */
#define POINTS_MIN	16

const struct window_point *window_point(const struct window *w, unsigned int i)
{
	return &w->ring[(w->head - i) % WINDOW_POINTS];
}

static struct window_point *point(struct window *w, unsigned int i)
{
	return &w->ring[(w->head - i) % WINDOW_POINTS];
}

void window_add(struct window *w, const struct window_point *p)
{
	unsigned int i = 1;

	w->head++;
	if (w->count < WINDOW_POINTS)
		w->count++;
	for (; i < w->count && point(w, i + 1)->t1 > p->t1; i++)
		*point(w, i) = *point(w, i + 1);
	*point(w, i) = *p;
}

void window_keep(struct window *w, unsigned int n)
{
	if (n < w->count)
		w->count = n;
}

void window_drop(struct window *w, unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < first + n && i <= w->count; i++)
		point(w, i)->u = point(w, i)->v = INFINITY;
}

void window_shift(struct window *w, unsigned int n, double du, double dv)
{
	for (unsigned int i = n + 1; i <= w->count; i++) {
		point(w, i)->u += du;
		point(w, i)->v += dv;
	}
}

static void floor_add(struct floor *f, double delay)
{
	if (!isfinite(delay))
		return;
	f->n++;
	f->mean += (delay - f->mean) / f->n;
	f->value = fmin(f->value, delay);
}

bool window_floors(const struct window *w, unsigned int first, unsigned int last, int64_t at,
		   double rate, struct floor *u, struct floor *v)
{
	*u = *v = (struct floor){ .value = INFINITY };
	for (unsigned int i = first; i <= last && i <= w->count; i++) {
		const struct window_point *p = window_point(w, i);

		floor_add(u, p->u + rate * seconds(at - p->t1));
		floor_add(v, p->v - rate * seconds(at - p->t4));
	}
	return u->n && v->n;
}

/*
 * For exponential delays of mean `spread`, the smallest of n exceeds the least
 * possible one by spread / n, and that is its standard deviation, too.
 */
double window_floor_var(const struct window *w, const struct floor *u, const struct floor *v)
{
	double su = w->spread_u / u->n, sv = w->spread_v / v->n;

	return (su * su + sv * sv) / 4 + STAMP_VAR;
}

double window_walk(double wander, double dt)
{
	return wander * dt * sqrt(dt / 3);
}

/*
 * How many points are of use: with age a floor grows more precise by the number
 * of points below it, and less by the wander. The two meet at
 *
 *	t^2.5 = sqrt(3) * spread / (wander * points per second)
 *
 * and some more do no harm, as the old ones pay for their age.
 */
static unsigned int reach(const struct window *w, int64_t now, double wander)
{
	double span = seconds(now - window_point(w, w->count)->t1), t;
	unsigned int low = w->suspect + POINTS_MIN, high = w->count;

	if (high <= low || span <= 0 || wander <= 0)
		return high;
	t = REACH * pow(sqrt(3) * (w->spread_u + w->spread_v) / 2 / (wander * high / span), 0.4);
	while (low < high) {
		unsigned int mid = (low + high + 1) / 2;

		if (seconds(now - window_point(w, mid)->t1) <= t)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/* The delays of one direction as a function of the rate: y + x * (rate - the prior's). */
struct side {
	double x[WINDOW_POINTS], y[WINDOW_POINTS];	/* s, rising; ns */
	unsigned int n;
};

/* Brings a point's delays to the present. */
static void side_add(struct side *s, double x, double y)
{
	if (!isfinite(y))
		return;
	s->x[s->n] = x;
	s->y[s->n++] = y;
}

static void sides(const struct window *w, unsigned int n, int64_t now,
		  const struct window_prior *prior, struct side *u, struct side *v)
{
	unsigned int last = reach(w, now, prior->wander);
	double rate = prior->rate_ppb;

	u->n = v->n = 0;
	for (unsigned int i = w->suspect + 1; i <= last && i <= n; i++) {
		const struct window_point *p = window_point(w, i);
		double x = seconds(now - p->t1);

		side_add(u, x, p->u + rate * x);
		side_add(v, x, p->v - rate * seconds(now - p->t4));
	}
}

/* Hoare's selection; disorders value. */
static double kth(double *value, unsigned int n, unsigned int k)
{
	unsigned int low = 0, high = n - 1;

	while (low < high) {
		double pivot = value[(low + high) / 2];
		unsigned int i = low, j = high;

		do {
			while (value[i] < pivot)
				i++;
			while (pivot < value[j])
				j--;
			if (i <= j) {
				double swap = value[i];

				value[i++] = value[j];
				value[j--] = swap;
			}
		} while (i <= j && j != UINT32_MAX);
		if (k <= j && j != UINT32_MAX)
			high = j;
		else if (k >= i)
			low = i;
		else
			break;
	}
	return value[k];
}

/*
 * The median tells the spread of an exponential, whatever its tail is like. Half of
 * the points or more may be worth nothing (all that waited for a machine that stood
 * still); then the first quartile, which is less precise, is far below it.
 */
static double spread_of(const struct side *s)
{
	double excess[WINDOW_POINTS], least = INFINITY, quartile;

	for (unsigned int i = 0; i < s->n; i++)
		least = fmin(least, s->y[i]);
	if (s->n == 1)
		return fmax(fabs(least), SPREAD_MIN);	/* nothing to compare with */
	memcpy(excess, s->y, s->n * sizeof(*excess));
	quartile = s->n < POINTS_MIN ? INFINITY :
		   2 * (kth(excess, s->n, s->n / 4) - least) / log(4. / 3);
	return fmax(fmin((kth(excess, s->n, s->n / 2) - least) / M_LN2, quartile), SPREAD_MIN);
}

static double least_of(const struct side *s)
{
	double least = INFINITY;

	for (unsigned int i = 0; i < s->n; i++)
		least = fmin(least, s->y[i]);
	return least;
}

/*
 * The rate has been fitted to the same points, and of a few it leaves nothing to be
 * seen; then the round trip says what the spread may be.
 */
static double spread_of_few(const struct side *s, double delay)
{
	double n2 = (double)s->n * s->n;

	if (s->n == 1)
		return fmax(delay / 2, SPREAD_MIN);	/* nothing is known of how they differ */
	return fmax(spread_of(s) * (1 + FEW / n2), delay / n2);
}

void window_learn(struct window *w, unsigned int n, int64_t now, const struct window_prior *prior)
{
	struct side u, v;
	double delay;

	sides(w, n, now, prior, &u, &v);
	delay = u.n && v.n ? fmax(least_of(&u) + least_of(&v), 0) : 0;
	if (u.n)
		w->spread_u = spread_of_few(&u, delay);
	if (v.n)
		w->spread_v = spread_of_few(&v, delay);
}

/* The lower hull of one direction, and the mean of what is not in the tail. */
struct hull {
	double x[WINDOW_POINTS], y[WINDOW_POINTS];
	unsigned int n;		/* on the hull */
	double spread, mean_x, mean_y;
	unsigned int counted;
};

static double turn(const struct hull *h, double x, double y)
{
	unsigned int n = h->n;

	return (h->x[n - 1] - h->x[n - 2]) * (y - h->y[n - 2]) -
	       (h->y[n - 1] - h->y[n - 2]) * (x - h->x[n - 2]);
}

/* Andrew's monotone chain; and the mean, without what is a tail at any likely rate. */
static void hull_make(struct hull *h, const struct side *s, const struct window_prior *prior,
		      double spread)
{
	double tail = TAIL * spread + 3 * prior->rate_sigma_ppb * fabs(s->x[s->n - 1]);
	double least = INFINITY;

	h->n = h->counted = 0;
	h->mean_x = h->mean_y = 0;
	h->spread = spread;
	for (unsigned int i = 0; i < s->n; i++) {
		double x = s->x[i];
		double y = s->y[i] + SLACK * window_walk(prior->wander, fmax(x, 0));

		while (h->n > 1 && turn(h, x, y) <= 0)
			h->n--;
		h->x[h->n] = x;
		h->y[h->n++] = y;
		least = fmin(least, s->y[i]);
	}
	for (unsigned int i = 0; i < s->n; i++) {
		if (s->y[i] > least + tail)
			continue;
		h->counted++;
		h->mean_x += (s->x[i] - h->mean_x) / h->counted;
		h->mean_y += (s->y[i] - h->mean_y) / h->counted;
	}
}

/* The floor if the rate differs by slope from the prior's. */
static double hull_floor(const struct hull *h, double slope, double wander, double *walk)
{
	double best = INFINITY, x = 0;

	for (unsigned int i = 0; i < h->n; i++) {
		double y = h->y[i] + slope * h->x[i];

		if (y >= best)
			break;	/* convex: from here on it rises */
		best = y;
		x = h->x[i];
	}
	*walk = window_walk(wander, fmax(x, 0));
	return best;
}

/* What both floors say if the rate is the given one. */
struct candidate {
	double weight;	/* log likelihood */
	double phase;	/* ns */
	double walk;	/* ns, 1 sigma */
	double delay;	/* ns */
	double room;	/* ns: delay, had the crystals wandered that much */
};

static void judge(const struct hull *u, const struct hull *v, double slope,
		  const struct window_prior *prior, struct candidate *c)
{
	double walk_u, walk_v, sigmas = slope / prior->rate_sigma_ppb;
	double fu = hull_floor(u, slope, prior->wander, &walk_u);
	double fv = hull_floor(v, -slope, prior->wander, &walk_v);

	c->weight = u->counted * (fu - u->mean_y - slope * u->mean_x) / u->spread +
		    v->counted * (fv - v->mean_y + slope * v->mean_x) / v->spread -
		    sigmas * sigmas / 2;
	c->phase = (fu - u->spread / u->counted - fv + v->spread / v->counted) / 2;
	c->walk = (walk_u + walk_v) / 2;
	c->delay = fu - SLACK * walk_u + fv - SLACK * walk_v;
	c->room = c->delay + ROOM * (walk_u + walk_v);
}

/* The candidates for the rate, weighed: their mean and variance. */
struct posterior {
	struct candidate best;
	double best_slope;
	double phase, phase_var, slope, slope_var;
	double room;	/* the most of any */
};

static void weigh(const struct hull *u, const struct hull *v, double centre, double step,
		  const struct window_prior *prior, struct posterior *p)
{
	struct candidate c[2 * RATES + 1];
	double sum = 0;

	*p = (struct posterior){ .best.weight = -INFINITY, .room = -INFINITY };
	for (int i = 0; i <= 2 * RATES; i++) {
		double slope = centre + (i - RATES) * step;

		judge(u, v, slope, prior, &c[i]);
		p->room = fmax(p->room, c[i].room);
		if (c[i].weight > p->best.weight) {
			p->best = c[i];
			p->best_slope = slope;
		}
	}
	for (int i = 0; i <= 2 * RATES; i++) {
		double weight = exp(c[i].weight - p->best.weight);
		double d = c[i].phase - p->best.phase;
		double r = centre + (i - RATES) * step - p->best_slope;

		sum += weight;
		p->phase += weight * d;
		p->phase_var += weight * d * d;
		p->slope += weight * r;
		p->slope_var += weight * r * r;
	}
	p->phase /= sum;
	p->slope /= sum;
	p->phase_var = fmax(p->phase_var / sum - p->phase * p->phase, 0);
	p->slope_var = fmax(p->slope_var / sum - p->slope * p->slope, 0);
}

/*
 * The mean over the candidates is the estimate, with the uncertainty of the rate
 * integrated out. The prior comes from the same delays, so its agreement counts
 * for half: hence the factors 2.
 *
 * The weight is concave in the rate: where it is sharper than the candidates
 * are apart, they can safely be moved together.
 */
bool window_estimate(const struct window *w, int64_t now, const struct window_prior *prior,
		     struct window_estimate *e)
{
	double centre = 0, step = 3 * prior->rate_sigma_ppb / RATES, room = -INFINITY, su, sv;
	struct side su_, sv_;
	struct hull u, v;
	struct posterior p;

	sides(w, w->count, now, prior, &su_, &sv_);
	if (!su_.n || !sv_.n)
		return false;
	hull_make(&u, &su_, prior, w->spread_u);
	hull_make(&v, &sv_, prior, w->spread_v);
	for (int i = 0; i < ZOOMS; i++) {
		weigh(&u, &v, centre, step, prior, &p);
		room = fmax(room, p.room);
		if (4 * p.slope_var >= step * step)
			break;
		centre = p.best_slope;
		step /= ZOOM;
	}
	su = u.spread / u.counted;
	sv = v.spread / v.counted;
	e->phase = p.best.phase + p.phase;
	e->sigma_ns = sqrt(2 * p.phase_var + p.best.walk * p.best.walk +
			   (su * su + sv * sv) / 4 + STAMP_VAR);
	e->rate_ppb = prior->rate_ppb + p.best_slope + p.slope;
	e->rate_sigma_ppb = sqrt(2 * p.slope_var + prior->wander * prior->wander *
				 fabs(u.mean_x + v.mean_x) / 2);
	e->delay_ns = fmax(p.best.delay, 0);
	e->room_ns = room;
	return isfinite(e->phase) && isfinite(e->sigma_ns);
}
