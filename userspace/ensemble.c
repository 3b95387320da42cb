// SPDX-License-Identifier: GPL-2.0
/* ensemble: fault-tolerant averages of offsets and rates; see ensemble.h */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "ensemble.h"

#define SIGMAS		5.0		/* in an interval's half-width */
#define RATE_SIGMA_MAX	20e3		/* ppb: a rate less certain than that is none */
#define RATE_SIGMA_SETTLED	200.0	/* ppb: of all; from here on the rate moves slowly */
#define RATE_TIME	30.0		/* s */
#define RATE_BIAS_TIME	900.0		/* s */

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

/* Uncertainties of the mean, from the weights. */
static void summarise(struct ensemble *e)
{
	double var = 0;

	e->used = 0;
	e->bound_ns = 0;
	for (size_t i = 0; i < e->n; i++) {
		const struct ensemble_member *m = &e->member[i];

		e->used += m->weight > 0;
		var += m->weight * m->weight * m->sigma_ns * m->sigma_ns;
		e->bound_ns += m->weight * m->bound_ns;
	}
	e->sigma_ns = sqrt(var);
}

bool ensemble_gather(struct ensemble *e)
{
	size_t n = 0, used = 0, f;
	double low, high;

	for (size_t i = 0; i < e->n; i++) {
		e->member[i].weight = 0;
		if (e->member[i].eligible)
			e->sorted[n++] = e->member[i].offset_ns;
	}
	if (!n)
		return false;
	e->offset_ns = trimmed_mean(e->sorted, n);
	f = trim(n);
	low = e->sorted[f];
	high = e->sorted[n - 1 - f];
	for (size_t i = 0; i < e->n; i++) {
		struct ensemble_member *m = &e->member[i];

		if (m->eligible && m->offset_ns >= low && m->offset_ns <= high) {
			m->weight = 1;
			used++;
		}
	}
	for (size_t i = 0; i < e->n; i++)
		e->member[i].weight /= (double)used;
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

static void weigh(struct ensemble *e, double low, double high, double tolerance)
{
	double median, sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		struct ensemble_member *m = &e->member[i];
		double half = ensemble_half_width(m, tolerance);

		if (m->eligible && m->offset_ns - half <= low && m->offset_ns + half >= high) {
			m->weight = 1;
			e->sorted[n++] = m->sigma_ns;
		}
	}
	qsort(e->sorted, n, sizeof(*e->sorted), by_value);
	median = fmax(e->sorted[n / 2], 1);
	for (size_t i = 0; i < e->n; i++) {
		struct ensemble_member *m = &e->member[i];
		double sigma = fmax(m->sigma_ns, median);

		m->weight /= sigma * sigma;
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
	weigh(e, low, high, tolerance_ns);
	return true;
}

/* A number of which no few others sum up to the same: the finaliser of splitmix64. */
static uint64_t scatter(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void ensemble_rate(struct ensemble *e, int64_t now)
{
	double dt = fmax((double)(now - e->rate_raw) * 1e-9, 0), mean, worst = 0, gain;
	uint64_t set = 0;
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		const struct ensemble_member *m = &e->member[i];

		if (m->weight == 0 || m->rate_sigma_ppb > RATE_SIGMA_MAX)
			continue;
		e->sorted[n++] = m->rate_ppb;
		set += scatter(i + 1);
		worst = fmax(worst, m->rate_sigma_ppb);
	}
	if (2 * n <= e->used)
		return;
	mean = trimmed_mean(e->sorted, n);
	if (!e->rate_settled)
		e->rate_bias_ppb = 0;
	else if (set != e->rate_set)
		e->rate_bias_ppb = e->rate_ppb - mean;
	else
		e->rate_bias_ppb *= exp(-dt / RATE_BIAS_TIME);
	gain = e->rate_settled ? 1 - exp(-dt / RATE_TIME) : 1;
	e->rate_ppb += gain * (mean + e->rate_bias_ppb - e->rate_ppb);
	e->rate_set = set;
	e->rate_sigma_ppb = worst / sqrt((double)n);
	e->rate_settled = e->rate_settled || worst < RATE_SIGMA_SETTLED;
	e->rate_known = true;
	e->rate_raw = now;
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
	const struct ensemble_member *m = &e->member[i];

	return e->bound_ns + m->bound_ns * (1 - 2 * fmin(m->weight, 0.5));
}
