// SPDX-License-Identifier: GPL-2.0
/* ensemble: fault-tolerant averages of offsets and rates; see ensemble.h */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "ensemble.h"

#define SIGMAS		5.0		/* in an interval's half-width */
#define RATE_SIGMA_SETTLED	200.0	/* ppb: of all; from here on the rate moves slowly */
#define RATE_TIME	30.0		/* s */
#define RATE_JUMP	200.0	/* ppb from one round to the next: no crystal does that */
#define RATE_YOUNG	60.0	/* s: members are still turning up */
#define RATE_PULL_TIME	900.0	/* s */
#define RATE_PULL	0.1	/* ppb per s: 0.2 us in a minute */
#define HAMPEL		4.0	/* sigmas */
#define MAD_SIGMA	1.4826	/* sigmas of a Gaussian in its median absolute deviation */

int ensemble_reserve(struct ensemble *e, size_t n)
{
	struct ensemble_member *member;
	struct ensemble_edge *edge;
	double *sorted;

	if (n <= e->size)
		return 0;
	n += n / 2;
	member = calloc(n, sizeof(*member));
	sorted = calloc(n, sizeof(*sorted));
	edge = calloc(2 * n, sizeof(*edge));
	if (!member || !sorted || !edge) {
		free(member);
		free(sorted);
		free(edge);
		return -ENOMEM;
	}
	free(e->member);
	free(e->sorted);
	free(e->edge);
	e->member = member;
	e->sorted = sorted;
	e->edge = edge;
	e->n = 0;
	e->size = n;
	return 0;
}

void ensemble_free(struct ensemble *e)
{
	free(e->member);
	free(e->sorted);
	free(e->edge);
	*e = (struct ensemble){ 0 };
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * How many to drop at either end of n. One averages for all, so nobody is
 * two-faced and of three one can be spared.
 */
static size_t trim(size_t n)
{
	return n == 3 ? 1 : (n - 1) / 3;
}

/* Sorts values; drops the f lowest and highest of them. */
static double trimmed_mean(double *value, size_t n)
{
	size_t f = trim(n);
	double sum = 0;

	qsort(value, n, sizeof(*value), by_value);
	for (size_t i = f; i < n - f; i++)
		sum += (value[i] - value[f]) / (double)(n - 2 * f);
	return value[f] + sum;
}

/*
 * Uncertainties of the mean, from the weights. Whoever is left out for its noise in one round
 * is in the group's time all the same, so its path counts in the bound.
 */
static void summarise(struct ensemble *e)
{
	double var = 0, weighted = 0, all = 0;
	size_t n = 0;

	e->used = 0;
	for (size_t i = 0; i < e->n; i++) {
		const struct ensemble_member *m = &e->member[i];

		e->used += m->weight > 0;
		var += m->weight * m->weight * m->sigma_ns * m->sigma_ns;
		weighted += m->weight * m->bound_ns;
		if (m->agrees) {
			all += m->bound_ns;
			n++;
		}
	}
	e->sigma_ns = sqrt(var);
	e->bound_ns = n ? fmax(weighted, all / (double)n) : weighted;
}

bool ensemble_gather(struct ensemble *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++)
		if (e->member[i].eligible)
			e->sorted[n++] = e->member[i].offset_ns;
	if (!n)
		return false;
	e->offset_ns = trimmed_mean(e->sorted, n);
	/* From now on all are averaged: that is how well the result is known. */
	for (size_t i = 0; i < e->n; i++) {
		struct ensemble_member *m = &e->member[i];

		m->agrees = m->eligible;
		m->weight = m->eligible ? 1 / (double)n : 0;
	}
	summarise(e);
	return true;
}

double ensemble_half_width(const struct ensemble_member *m, double tolerance_ns)
{
	return SIGMAS * m->sigma_ns + tolerance_ns;
}

static int by_place(const void *a, const void *b)
{
	const struct ensemble_edge *x = a, *y = b;

	if (x->at != y->at)
		return x->at > y->at ? 1 : -1;
	return y->opens - x->opens;	/* touching intervals intersect */
}

static double distance(double low, double high, double at)
{
	return at < low ? low - at : at > high ? at - high : 0;
}

/* The place where most intervals overlap; how many do. */
static size_t largest_overlap(struct ensemble *e, size_t edges, double expected,
			      double *low, double *high)
{
	size_t depth = 0, most = 0;
	double best = INFINITY;

	qsort(e->edge, edges, sizeof(*e->edge), by_place);
	for (size_t i = 0; i + 1 < edges; i++) {
		double a = e->edge[i].at, b = e->edge[i + 1].at, d;

		depth += e->edge[i].opens;
		if (e->edge[i].opens < 0 || e->edge[i + 1].opens > 0 || depth < most)
			continue;	/* not a local maximum, or a lower one */
		d = isnan(expected) ? 0 : distance(a, b, expected);
		if (depth > most || d < best) {
			most = depth;
			best = d;
			*low = a;
			*high = b;
		}
	}
	return most;
}

static double median(double *value, size_t n)
{
	qsort(value, n, sizeof(*value), by_value);
	return (value[(n - 1) / 2] + value[n / 2]) / 2;
}

/* How far those that agree are spread around their median, 1 sigma. */
static double scatter(struct ensemble *e, double *middle)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++)
		if (e->member[i].agrees)
			e->sorted[n++] = e->member[i].offset_ns;
	*middle = median(e->sorted, n);
	for (size_t i = 0; i < n; i++)
		e->sorted[i] = fabs(e->sorted[i] - *middle);
	return MAD_SIGMA * median(e->sorted, n);
}

static void weigh(struct ensemble *e)
{
	double middle, sigma, cap, sum = 0;
	size_t n = 0;

	sigma = scatter(e, &middle);
	for (size_t i = 0; i < e->n; i++)
		if (e->member[i].agrees)
			e->sorted[n++] = e->member[i].sigma_ns;
	qsort(e->sorted, n, sizeof(*e->sorted), by_value);
	cap = fmax(e->sorted[n / 2], 1);
	for (size_t i = 0; i < e->n; i++) {
		struct ensemble_member *m = &e->member[i];
		double own = fmax(m->sigma_ns, cap);

		if (m->agrees && fabs(m->offset_ns - middle) <= HAMPEL * fmax(sigma, own))
			m->weight = 1 / (own * own);
		sum += m->weight;
	}
	e->offset_ns = 0;
	for (size_t i = 0; i < e->n; i++) {
		e->member[i].weight /= sum;
		e->offset_ns += e->member[i].weight * e->member[i].offset_ns;
	}
	summarise(e);
}

bool ensemble_agree(struct ensemble *e, double tolerance_ns, double expected_ns)
{
	size_t voters = 0, most, edges = 0;
	double low = 0, high = 0;

	for (size_t i = 0; i < e->n; i++) {
		struct ensemble_member *m = &e->member[i];
		double half = ensemble_half_width(m, tolerance_ns);

		m->weight = 0;
		m->agrees = false;
		if (!m->eligible)
			continue;
		e->edge[edges++] = (struct ensemble_edge){ m->offset_ns - half, 1 };
		e->edge[edges++] = (struct ensemble_edge){ m->offset_ns + half, -1 };
		voters++;
	}
	most = largest_overlap(e, edges, expected_ns, &low, &high);
	if (!most)
		return false;
	if (!isnan(expected_ns)) {
		voters++;
		if (distance(low, high, expected_ns) <= tolerance_ns)
			most++;
	}
	if (2 * most <= voters)
		return false;
	for (size_t i = 0; i < e->n; i++) {
		struct ensemble_member *m = &e->member[i];
		double half = ensemble_half_width(m, tolerance_ns);

		m->agrees = m->eligible && m->offset_ns - half <= low &&
			    m->offset_ns + half >= high;
	}
	weigh(e);
	return true;
}

static bool rate_counts(const struct ensemble *e, const struct ensemble_member *m)
{
	return m->weight > 0 || (m->joining && !e->rate_settled);
}

static bool rate_usable(const struct ensemble *e, const struct ensemble_member *m)
{
	return rate_counts(e, m) &&
	       m->rate_sigma_ppb < (e->rate_settled ? RATE_SIGMA_SETTLED : RATE_USABLE);
}

/*
 * The mean, within what f liars cannot reach; how many are usable, and the worst
 * sigma. While the group is young, whoever has gone again counts as well.
 */
static double mean_rate(struct ensemble *e, size_t *usable, double *worst)
{
	double sum = 0;
	size_t n = 0, f;

	*usable = 0;
	*worst = 0;
	for (size_t i = 0; i < e->n; i++) {
		const struct ensemble_member *m = &e->member[i];

		if (rate_usable(e, m)) {
			e->sorted[n] = m->rate_ppb;
			*worst = fmax(*worst, m->rate_sigma_ppb);
			++*usable;
		} else if (e->rate_age < RATE_YOUNG && !isnan(*m->rate_seen)) {
			e->sorted[n] = *m->rate_seen;
		} else {
			continue;
		}
		sum += e->sorted[n++];
	}
	if (!n)
		return 0;
	qsort(e->sorted, n, sizeof(*e->sorted), by_value);
	f = (n - 1) / 3;
	return fmin(fmax(sum / (double)n, e->sorted[f]), e->sorted[n - 1 - f]);
}

/* What most rates seem to have done: that was the local crystal, with the sign reversed. */
static double common_change(struct ensemble *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		const struct ensemble_member *m = &e->member[i];

		if (m->known && m->rate_sigma_ppb < RATE_USABLE && !isnan(*m->rate_seen))
			e->sorted[n++] = m->rate_ppb - *m->rate_seen;
	}
	return n > 2 ? median(e->sorted, n) : 0;
}

/* The mean of what the crystals did by themselves, unless it was a jump. Remembers the rates. */
static double own_changes(struct ensemble *e, double common)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		const struct ensemble_member *m = &e->member[i];
		double change = m->rate_ppb - *m->rate_seen - common;

		if (!rate_usable(e, m)) {
			*m->rate_seen += common;
			continue;
		}
		if (!isnan(change) && (!e->rate_settled || fabs(change) < RATE_JUMP))
			sum += change;
		*m->rate_seen = m->rate_ppb;
		n++;
	}
	return n ? sum / (double)n : 0;
}

void ensemble_inherit_rate(struct ensemble *e, double rate_ppb, double sigma_ppb,
			   size_t members)
{
	bool sure = sigma_ppb < RATE_SIGMA_SETTLED;

	e->rate_ppb = e->rate_goal_ppb = rate_ppb;
	e->rate_sigma_ppb = sigma_ppb;
	e->rate_known = sigma_ppb < RATE_USABLE;
	e->rate_settled = sure;
	e->rate_age = sure ? RATE_YOUNG : 0;
	e->rate_members = members;
}

void ensemble_rate(struct ensemble *e, int64_t now)
{
	double dt = fmax((double)(now - e->rate_raw) * 1e-9, 0), mean, worst, common, pull, tau;
	size_t n, whole = 0;

	for (size_t i = 0; i < e->n; i++)
		whole += rate_counts(e, &e->member[i]);
	common = common_change(e);
	e->rate_ppb += common;
	e->rate_goal_ppb += common + own_changes(e, common);
	mean = mean_rate(e, &n, &worst);
	e->rate_raw = now;
	if (2 * n <= whole || 2 * n <= e->rate_members)
		return;
	e->rate_members = 0;
	pull = mean - e->rate_goal_ppb;
	if (e->rate_age >= RATE_YOUNG)
		pull = fmax(fmin(pull * dt / RATE_PULL_TIME, RATE_PULL * dt), -RATE_PULL * dt);
	e->rate_goal_ppb += pull;
	tau = e->rate_settled ? fmin(e->rate_age / 4, RATE_TIME) : 0;
	e->rate_ppb += (tau > 0 ? 1 - exp(-dt / tau) : 1) * (e->rate_goal_ppb - e->rate_ppb);
	e->rate_sigma_ppb = worst / sqrt((double)n);
	e->rate_age += e->rate_settled ? dt : 0;
	e->rate_settled = e->rate_settled || worst < RATE_SIGMA_SETTLED;
	e->rate_known = true;
}

double ensemble_member_sigma(const struct ensemble *e, size_t i)
{
	const struct ensemble_member *m = &e->member[i];
	double own = m->sigma_ns * m->sigma_ns;

	/* the mean contains the member's own error: (1 - w)^2 instead of w^2 */
	return sqrt(fmax(e->sigma_ns * e->sigma_ns + own * (1 - 2 * m->weight), 0));
}

double ensemble_member_bound(const struct ensemble *e, size_t i)
{
	return fmax(e->bound_ns, e->member[i].bound_ns);
}
