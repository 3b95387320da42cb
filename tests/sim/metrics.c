// SPDX-License-Identifier: GPL-2.0
/*
 * metrics: what an observer of the true clocks sees
 *
 * The spread is over all machines that run with their daemons and do not lie.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define MOVED_FOR (60 * SIM_S)	/* after a fault */
#define RATE_OVER (100 * SIM_S)
#define LIMITS 3

static const double limits[LIMITS] = { 100e3, 10e3, 1e3 };	/* ns */

struct metrics {
	const struct scenario *s;
	struct world *w;
	FILE *csv;
	int64_t looked;
	struct groups *g;
	struct rate *rate;
	const double *offset;	/* of the clocks that count, else NAN */

	struct hist spread, width, round_trip;
	double spread_max;
	int64_t last_above[LIMITS], last_action;
	double *square;		/* sum by node, from the mean */
	uint64_t *squares;
	uint64_t packets;	/* before settling */
	double moved, peak;
	double *seen;		/* offsets after faults, look by look */
	size_t n_seen;
	int64_t *fault;		/* when they happen */
	size_t n_faults;
	double group_spread, astray;
	int master, changes;	/* the present one; how often there was another */

	int64_t rate_since;
	int rate_nodes;
	double rate_clocks, rate_crystals, rate_error;

	uint64_t bounds, true_bounds;
	char note[120];
};

/* --- the table of figures */

/* s, from then until the spread went below limits[i] for good */
static double since(const struct metrics *m, int i, int64_t start)
{
	if (m->last_above[i] >= m->looked)
		return INFINITY;
	return m->last_above[i] < start ? 0 : (double)(m->last_above[i] + SIM_LOOK - start) * 1e-9;
}

static double get_to(const struct metrics *m, double limit)
{
	return since(m, (int)limit, 0);
}

static double get_recovery(const struct metrics *m, double limit)
{
	return m->last_action < 0 ? NAN : since(m, (int)limit, m->last_action);
}

static double get_spread(const struct metrics *m, double quantile)
{
	return (quantile < 1 ? hist_quantile(&m->spread, quantile) : m->spread_max) * 1e-3;
}

double metrics_rms(const struct metrics *m, int host)
{
	return sqrt(m->square[host] / (double)m->squares[host]) * 1e-3;
}

static double get_rms(const struct metrics *m, double unused)
{
	double worst = NAN;

	(void)unused;
	for (int i = 0; i < m->s->n; i++)
		worst = fmax(worst, metrics_rms(m, i));
	return worst;
}

static double get_rate(const struct metrics *m, double unused)
{
	(void)unused;
	return m->rate_error * 1e-3;
}

static double get_coverage(const struct metrics *m, double unused)
{
	(void)unused;
	return m->bounds ? 100 * (double)m->true_bounds / (double)m->bounds : NAN;
}

static double get_width(const struct metrics *m, double unused)
{
	(void)unused;
	return hist_quantile(&m->width, 0.5) * 1e-3;
}

static double get_excess(const struct metrics *m, double unused)
{
	(void)unused;
	return get_width(m, 0) - 0.5 * hist_quantile(&m->round_trip, 0.5) * 1e-3;
}

static double get_packets(const struct metrics *m, double unused)
{
	(void)unused;
	return (double)(m->w->packets - m->packets) /
	       ((double)(m->w->now - m->s->settle) * 1e-9) / m->s->n;
}

static double get_moved(const struct metrics *m, double unused)
{
	(void)unused;
	return m->moved * 1e-3;
}

static double get_steps(const struct metrics *m, double unused)
{
	int steps = 0;

	(void)unused;
	for (int i = 0; i < m->s->n; i++)
		if (m->w->host[i].lied < 0)
			steps += m->w->host[i].steps;
	return steps;
}

static double get_backward(const struct metrics *m, double unused)
{
	int64_t most = 0;

	(void)unused;
	for (int i = 0; i < m->s->n; i++)
		if (m->w->host[i].backward > most)
			most = m->w->host[i].backward;
	return (double)most * 1e-3;
}

static double get_group_spread(const struct metrics *m, double unused)
{
	(void)unused;
	return m->group_spread * 1e-3;
}

static double get_peak(const struct metrics *m, double unused)
{
	(void)unused;
	return m->peak * 1e-3;
}

static double get_astray(const struct metrics *m, double unused)
{
	(void)unused;
	return m->astray * 1e-3;
}

static double get_rate_jump(const struct metrics *m, double unused)
{
	(void)unused;
	return m->rate->jump * 1e-3;
}

static double get_rate_excess(const struct metrics *m, double unused)
{
	(void)unused;
	return m->rate->excess * 1e-3;
}

static double get_failover(const struct metrics *m, double unused)
{
	(void)unused;
	return m->w->watch.fault_at >= 0 ? INFINITY : m->w->watch.failover * 1e-9;
}

static double get_terms(const struct metrics *m, double unused)
{
	(void)unused;
	return (double)m->w->watch.n_terms;
}

static double get_claims(const struct metrics *m, double unused)
{
	(void)unused;
	return (double)m->w->watch.claims;
}

static double get_changes(const struct metrics *m, double unused)
{
	(void)unused;
	return m->changes;
}

static double get_masters(const struct metrics *m, double unused)
{
	int masters = 0;

	(void)unused;
	for (int i = 0; i < m->s->n; i++)
		masters += m->w->host[i].state.role == BERK_ROLE_MASTER &&
			   host_state(m->w, &m->w->host[i]) == BERK_STATE_SYNCHRONISED;
	return masters;
}

static double get_master(const struct metrics *m, double unused)
{
	(void)unused;
	return world_master(m->w);
}

static double get_synchronised(const struct metrics *m, double unused)
{
	int n = 0;

	(void)unused;
	for (int i = 0; i < m->s->n; i++)
		n += host_state(m->w, &m->w->host[i]) == BERK_STATE_SYNCHRONISED;
	return n;
}

static double get_said(const struct metrics *m, double unused)
{
	int n = 0;

	(void)unused;
	for (int i = 0; i < m->s->n; i++)
		n += m->w->host[i].said;
	return n;
}

static double get_breaches(const struct metrics *m, double what)
{
	int breaches = 0;

	for (int i = 0; i < BREACHES; i++)
		breaches += i == (int)what || what < 0 ? m->w->watch.breaches[i] : 0;
	return breaches;
}

static double get_accused(const struct metrics *m, double unused)
{
	(void)unused;
	return m->w->watch.accused;
}

/* In intervals; of the liar that it took longest with. */
static double get_named(const struct metrics *m, double unused)
{
	double worst = NAN;

	(void)unused;
	for (int i = 0; i < m->s->n; i++) {
		const struct host *h = &m->w->host[i];

		if (h->lied >= 0)
			worst = fmax(worst, h->named < 0 ? INFINITY : (double)(h->named - h->lied) /
						   (double)m->s->conf.interval_ns);
	}
	return worst;
}

static double get_readmitted(const struct metrics *m, double unused)
{
	double worst = NAN;

	(void)unused;
	for (int i = 0; i < m->s->n; i++) {
		const struct host *h = &m->w->host[i];

		if (h->ended >= 0)
			worst = fmax(worst, h->readmitted < 0 ? INFINITY :
					    (double)(h->readmitted - h->ended) * 1e-9);
	}
	return worst;
}

static const struct {
	const char *name;
	enum metric_unit unit;
	double (*get)(const struct metrics *m, double arg);
	double arg;
} table[] = {
	{ "spread_p50", METRIC_US, get_spread, 0.5 },
	{ "spread_p99", METRIC_US, get_spread, 0.99 },
	{ "spread_max", METRIC_US, get_spread, 1 },
	{ "rms", METRIC_US, get_rms, 0 },		/* of the worst node */
	{ "to_100us", METRIC_S, get_to, 0 },
	{ "to_10us", METRIC_S, get_to, 1 },
	{ "to_1us", METRIC_S, get_to, 2 },
	{ "recover_100us", METRIC_S, get_recovery, 0 },	/* after the last that happened */
	{ "recover_10us", METRIC_S, get_recovery, 1 },
	{ "recover_1us", METRIC_S, get_recovery, 2 },
	{ "rate_error", METRIC_PPM, get_rate, 0 },	/* from the crystals' mean */
	{ "coverage", METRIC_PERCENT, get_coverage, 0 },	/* how often a bound was true */
	{ "width", METRIC_US, get_width, 0 },		/* median half-width of the bound */
	{ "excess", METRIC_US, get_excess, 0 },		/* less half the median round trip */
	{ "packets", METRIC_COUNT, get_packets, 0 },	/* sent per s and node */
	{ "moved", METRIC_US, get_moved, 0 },		/* the others, by the faults */
	{ "peak", METRIC_US, get_peak, 0 },		/* of the spread, by the faults */
	{ "group_spread", METRIC_US, get_group_spread, 0 },	/* largest inside a group */
	{ "astray", METRIC_US, get_astray, 0 },		/* farthest from true time */
	{ "rate_jump", METRIC_PPM, get_rate_jump, 0 },	/* from 10 s to the next */
	{ "rate_excess", METRIC_PPM, get_rate_excess, 0 },	/* beyond all crystals */
	{ "failover", METRIC_S, get_failover, 0 },	/* to a new master's correction */
	{ "changes", METRIC_COUNT, get_changes, 0 },	/* of the master, once settled */
	{ "masters", METRIC_COUNT, get_masters, 0 },	/* at the end, synchronised */
	{ "master", METRIC_COUNT, get_master, 0 },	/* at the end; -1: none */
	{ "synchronised", METRIC_COUNT, get_synchronised, 0 },	/* at the end */
	{ "said", METRIC_COUNT, get_said, 0 },		/* lines that were listened for */
	{ "terms", METRIC_COUNT, get_terms, 0 },	/* in which corrections were sent */
	{ "claims", METRIC_COUNT, get_claims, 0 },	/* sent */
	{ "named", METRIC_COUNT, get_named, 0 },	/* intervals until each liar is */
	{ "readmitted", METRIC_S, get_readmitted, 0 },	/* after its last lie */
	{ "accused", METRIC_COUNT, get_accused, 0 },	/* healthy nodes, and how often */
	{ "two_masters", METRIC_COUNT, get_breaches, BREACH_TERM },	/* in one term */
	{ "corrected_by_two", METRIC_COUNT, get_breaches, BREACH_TWO },
	{ "breaches", METRIC_COUNT, get_breaches, -1 },	/* of what must never happen */
	{ "steps", METRIC_COUNT, get_steps, 0 },	/* once synchronised */
	{ "backward", METRIC_US, get_backward, 0 },	/* the longest of those */
};

size_t metrics_count(void)
{
	return sizeof(table) / sizeof(*table);
}

size_t metrics_find(const char *name)
{
	size_t i = 0;

	while (i < metrics_count() && strcmp(table[i].name, name))
		i++;
	return i;
}

const char *metrics_name(size_t i)
{
	return table[i].name;
}

enum metric_unit metrics_unit(size_t i)
{
	return table[i].unit;
}

double metrics_value(const struct metrics *m, size_t i)
{
	return table[i].get(m, table[i].arg);
}

const char *metrics_note(const struct metrics *m)
{
	return m->w->watch.first[0] ? m->w->watch.first : m->note;
}

/* --- looking */

static void on_exchange(struct world *w, const struct berk_sample *s)
{
	struct metrics *m = w->arg;

	if (w->now >= m->s->settle && !s->flags)
		hist_add(&m->round_trip, (double)(s->t4.raw_ns - s->t1.raw_ns -
						  (s->t3.raw_ns - s->t2.raw_ns)));
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
	for (int k = 0; k < LIMITS; k++)
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
	for (int k = 0; k < LIMITS; k++)
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
			crystals += osc_phase(&m->w->host[i].clock.osc, m->w->now);
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
	if (error > bound && world_healthy(m->w, &m->w->host[i]))
		watch_breach(m->w, BREACH_BOUND, &m->w->host[i],
			     "is off by %.3f us, its bound is %.3f us", error * 1e-3, bound * 1e-3);
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
