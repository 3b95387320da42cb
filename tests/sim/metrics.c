// SPDX-License-Identifier: GPL-2.0
/*
 * metrics: what an observer of the true clocks sees
 *
 * The spread is over all machines that run with their daemons and do not lie.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

#define MOVED_FOR (60 * SIM_S)	/* after a fault */
#define TOLERANCE 1e3	/* ns: by which the mean may not be the group's time */
#define RATE_OVER (100 * SIM_S)

static const double limits[METRICS_LIMITS] = { 100e3, 10e3, 1e3 };	/* ns */

/* --- looking */

static void on_exchange(struct world *w, const struct berk_sample *s)
{
	struct metrics *m = w->arg;

	if (w->now >= m->s->settle && !s->flags)
		hist_add(&m->round_trip, (double)(s->t4.raw_ns - s->t1.raw_ns -
						  (s->t3.raw_ns - s->t2.raw_ns)));
}

/* error: of its clock, ns */
static void judge_bound(struct metrics *m, int i, double error)
{
	const struct host *h = &m->w->host[i];
	double bound = m->g->bound[i];

	if (error <= bound + TOLERANCE || !world_healthy(m->w, h))
		return;
	if (world_misled(m->w, h))
		m->misled = fmax(m->misled, error - bound);
	else
		watch_breach(m->w, BREACH_BOUND, h,
			     "is off by %.3f us, its bound is %.3f us", error * 1e-3, bound * 1e-3);
}

/* A new bound is true from its first moment on. */
static void on_publish(struct world *w, struct host *h)
{
	struct metrics *m = w->arg;
	struct groups *g = m->g;

	groups_look(g, w);
	if (g->of[h->id] >= 0 && !isnan(g->mean[g->of[h->id]]))
		judge_bound(m, h->id, fabs(g->offset[h->id] - g->mean[g->of[h->id]]));
}

struct metrics *metrics_new(const struct scenario *s, struct world *w, FILE *csv)
{
	struct metrics *m = world_alloc(NULL, 1, sizeof(*m));
	size_t n = (size_t)s->n;

	*m = (struct metrics){ .s = s, .w = w, .csv = csv, .last_action = -1, .moved = NAN,
			       .peak = NAN, .rate_error = NAN, .master = -1 };
	m->g = groups_new(s->n);
	m->rate = rate_new(s->n);
	m->offset = m->g->offset;
	m->square = memset(world_alloc(NULL, n, sizeof(double)), 0, n * sizeof(double));
	m->squares = memset(world_alloc(NULL, n, sizeof(uint64_t)), 0, n * sizeof(uint64_t));
	for (int k = 0; k < METRICS_LIMITS; k++)
		m->last_above[k] = -1;
	for (size_t i = 0; i < s->n_actions; i++) {
		const struct action *a = &s->action[i];

		if (a->at > m->last_action)
			m->last_action = a->at;
		if (!a->fault)
			continue;
		m->fault = world_alloc(m->fault, m->n_faults + 1, sizeof(*m->fault));
		m->fault[m->n_faults++] = a->at;
	}
	w->arg = m;
	w->on_exchange = on_exchange;
	w->on_publish = on_publish;
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	groups_free(m->g);
	rate_free(m->rate);
	free(m->square);
	free(m->squares);
	free(m->seen);
	free(m->fault);
	free(m);
}

/* Returns the spread, ns; the mean of the clocks in *mean. */
static double look_at_clocks(struct metrics *m, double *mean)
{
	double low = INFINITY, high = -INFINITY, sum = 0;
	int n = 0;

	for (int i = 0; i < m->s->n; i++) {
		double off = m->offset[i];

		if (isnan(off))
			continue;
		low = fmin(low, off);
		high = fmax(high, off);
		sum += off;
		n++;
	}
	*mean = sum / n;
	return n ? high - low : 0;
}

static void look_at_spread(struct metrics *m, double spread, double mean)
{
	for (int k = 0; k < METRICS_LIMITS; k++)
		if (spread >= limits[k])
			m->last_above[k] = m->w->now;
	if (m->w->now < m->s->settle)
		return;
	hist_add(&m->spread, spread);
	m->spread_max = fmax(m->spread_max, spread);
	for (int i = 0; i < m->s->n; i++)
		if (!isnan(m->offset[i])) {
			m->square[i] += (m->offset[i] - mean) * (m->offset[i] - mean);
			m->squares[i]++;
		}
}

/* The mean clock against true time, minus the same of the crystals, window by window. */
static void look_at_rate(struct metrics *m, double mean)
{
	double crystals = 0, ppb;
	int n = 0;

	for (int i = 0; i < m->s->n; i++)
		if (!isnan(m->offset[i])) {
			crystals += osc_phase(&host_clock(m->w, &m->w->host[i])->osc, m->w->now);
			n++;
		}
	if (m->w->now < m->s->settle)
		return;
	if (m->rate_nodes == n && m->w->now - m->rate_since < RATE_OVER)
		return;
	crystals /= n;
	ppb = ((mean - m->rate_clocks) - (crystals - m->rate_crystals)) /
	      ((double)(m->w->now - m->rate_since) * 1e-9);
	if (m->rate_nodes == n)
		m->rate_error = fmax(m->rate_error, fabs(ppb));
	m->rate_since = m->w->now;
	m->rate_nodes = n;
	m->rate_clocks = mean;
	m->rate_crystals = crystals;
}

static void look_at_bound(struct metrics *m, int i, double group)
{
	double error = fabs(m->offset[i] - group), bound = m->g->bound[i];

	if (bound == INFINITY || world_lately(m->w, m->w->host[i].ended))
		return;
	m->bounds++;
	m->true_bounds += error <= bound;
	if (error > bound && !m->note[0])
		snprintf(m->note, sizeof(m->note),
			 "at %.1f s node %d was off by %.3f us, its bound %.3f us",
			 (double)m->w->now * 1e-9, i, error * 1e-3, bound * 1e-3);
	judge_bound(m, i, error);
	if (m->w->now >= m->s->settle)
		hist_add(&m->width, bound);
}

static void look_at_groups(struct metrics *m)
{
	struct groups *g = m->g;
	int master = world_master(m->w);

	for (int i = 0; i < g->n; i++)
		if (g->of[i] >= 0 && !isnan(g->mean[g->of[i]]))
			look_at_bound(m, i, g->mean[g->of[i]]);
	if (m->w->now < m->s->settle)
		return;
	m->group_spread = fmax(m->group_spread, groups_spread(g));
	for (int i = 0; i < g->n; i++)
		if (g->settled[i])
			m->astray = fmax(m->astray, fabs(g->offset[i]));
	rate_look(m->rate, g, m->w);
	m->changes += master >= 0 && m->master >= 0 && master != m->master;
	m->master = master >= 0 ? master : m->master;
}

/* For the comparison with a run without faults. */
static void remember(struct metrics *m)
{
	bool soon = false;

	for (size_t k = 0; k < m->n_faults; k++)
		soon |= m->w->now > m->fault[k] && m->w->now <= m->fault[k] + MOVED_FOR;
	if (!soon)
		return;
	m->seen = world_alloc(m->seen, m->n_seen + (size_t)m->s->n, sizeof(double));
	for (int i = 0; i < m->s->n; i++)
		m->seen[m->n_seen++] = m->offset[i];
}

static void write_csv(struct metrics *m, double spread, double mean)
{
	fprintf(m->csv, "%.1f,%.4f", (double)m->w->now * 1e-9, spread * 1e-3);
	for (int i = 0; i < m->s->n; i++)
		if (isnan(m->offset[i]))
			fprintf(m->csv, ",");
		else
			fprintf(m->csv, ",%.4f", (m->offset[i] - mean) * 1e-3);
	fputc('\n', m->csv);
}

static void look(struct metrics *m)
{
	double mean, spread;

	groups_look(m->g, m->w);
	spread = look_at_clocks(m, &mean);
	look_at_spread(m, spread, mean);
	look_at_rate(m, mean);
	look_at_groups(m);
	remember(m);
	if (m->csv)
		write_csv(m, spread, mean);
	if (m->looked < m->s->settle && m->w->now >= m->s->settle)
		m->packets = m->w->packets;
	m->looked = m->w->now;
}

void metrics_run(struct metrics *m, int64_t until)
{
	if (m->csv) {
		fprintf(m->csv, "t_s,spread_us");
		for (int i = 0; i < m->s->n; i++)
			fprintf(m->csv, ",offset%d_us", i);
		fputc('\n', m->csv);
	}
	for (int64_t t = 0; t <= until; t += SIM_LOOK) {
		world_run(m->w, t);
		look(m);
	}
}

/* At one moment: how far the clocks that no fault hit moved; in *high, their spread. */
static double compare(const struct metrics *m, const double *seen, const double *twin, double *high)
{
	double moved = NAN, least = INFINITY, most = -INFINITY;

	for (int i = 0; i < m->s->n; i++) {
		if (m->w->host[i].hit < INT64_MAX || isnan(seen[i]))
			continue;
		moved = fmax(moved, fabs(seen[i] - twin[i]));
		least = fmin(least, seen[i]);
		most = fmax(most, seen[i]);
	}
	*high = fmax(*high, most - least);
	return moved;
}

void metrics_compare(struct metrics *m, const struct metrics *twin)
{
	double high = NAN, high_twin = NAN;
	size_t n = (size_t)m->s->n;

	for (size_t k = 0; k + n <= m->n_seen && k + n <= twin->n_seen; k += n) {
		m->moved = fmax(m->moved, compare(m, &m->seen[k], &twin->seen[k], &high));
		compare(m, &twin->seen[k], &m->seen[k], &high_twin);
	}
	m->peak = high - high_twin;
}
