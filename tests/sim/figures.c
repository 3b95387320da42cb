// SPDX-License-Identifier: GPL-2.0
/* figures: the names of what is measured, and its values */
#include <math.h>
#include <string.h>

#include "metrics.h"

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

static double get_misled(const struct metrics *m, double unused)
{
	(void)unused;
	return m->misled * 1e-3;
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
	{ "misled", METRIC_US, get_misled, 0 },		/* outside a bound told by a liar */
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
