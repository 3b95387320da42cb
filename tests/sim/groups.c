// SPDX-License-Identifier: GPL-2.0
/*
 * groups: the nodes that follow the same master, and their time
 *
 * A group's time is the mean of its members' clocks: of those that say they are
 * synchronised; if there is none, of those in holdover. Left out are those that
 * are not healthy, and those that are still on their way to the others: whose bound
 * is much wider than the median, or who say that they have far to go. If there are references among
 * them, the group's time is theirs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

#define ON_ITS_WAY 3	/* times the median bound */
#define FAR 0.1		/* of the bound: still to be slewed */

struct groups *groups_new(int n)
{
	struct groups *g = world_alloc(NULL, 1, sizeof(*g));
	size_t size = (size_t)n;

	*g = (struct groups){ .n = n };
	g->offset = world_alloc(NULL, size, sizeof(double));
	g->bound = world_alloc(NULL, size, sizeof(double));
	g->of = world_alloc(NULL, size, sizeof(int));
	g->settled = world_alloc(NULL, size, sizeof(bool));
	g->mean = world_alloc(NULL, size, sizeof(double));
	g->sorted = world_alloc(NULL, size, sizeof(double));
	return g;
}

void groups_free(struct groups *g)
{
	free(g->offset);
	free(g->bound);
	free(g->of);
	free(g->settled);
	free(g->mean);
	free(g->sorted);
	free(g);
}

/* A liar's clock is not what it says, whatever it is. */
static bool counts(const struct host *h)
{
	return h->up && h->node && !h->paused && h->lie.kind == LIE_NONE;
}

static bool same_group(const struct host *a, const struct host *b)
{
	return a->state.master_id == b->state.master_id && a->wish.cluster == b->wish.cluster;
}

static void assign(struct groups *g, struct world *w)
{
	g->count = 0;
	for (int i = 0; i < g->n; i++) {
		g->of[i] = -1;
		if (isnan(g->offset[i]) || !w->host[i].state.master_id)
			continue;
		for (int k = 0; k < i && g->of[i] < 0; k++)
			if (g->of[k] >= 0 && same_group(&w->host[i], &w->host[k]))
				g->of[i] = g->of[k];
		if (g->of[i] < 0)
			g->of[i] = g->count++;
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static bool is_member(const struct groups *g, struct world *w, int i, int group,
		      enum berk_state state)
{
	return g->of[i] == group && host_state(w, &w->host[i]) == state &&
	       world_healthy(w, &w->host[i]);
}

/* A reference is where it is. */
static bool has_arrived(const struct groups *g, const struct world *w, int i, double median)
{
	double left = fabs((double)w->host[i].state.offset_ns);

	if (w->host[i].node_conf.reference)
		return true;
	return g->bound[i] <= ON_ITS_WAY * median && left <= FAR * g->bound[i];
}

/* Marks the settled ones. NAN: there are none. */
static double time_of(struct groups *g, struct world *w, int group, enum berk_state state)
{
	double sum[2] = { 0 }, median;
	size_t members = 0;
	int n[2] = { 0 };

	for (int i = 0; i < g->n; i++)
		if (is_member(g, w, i, group, state))
			g->sorted[members++] = g->bound[i];
	if (!members)
		return NAN;
	qsort(g->sorted, members, sizeof(double), by_size);
	median = g->sorted[(members - 1) / 2];
	for (int i = 0; i < g->n; i++)
		if (is_member(g, w, i, group, state) && has_arrived(g, w, i, median)) {
			bool reference = w->host[i].node_conf.reference;

			g->settled[i] = state == BERK_STATE_SYNCHRONISED;
			sum[reference] += g->offset[i];
			n[reference]++;
		}
	return n[1] ? sum[1] / n[1] : sum[0] / n[0];	/* NAN of nothing */
}

void groups_look(struct groups *g, struct world *w)
{
	for (int i = 0; i < g->n; i++) {
		struct host *h = &w->host[i];
		double offset = vclock_offset(host_clock(w, h), w->now);

		g->offset[i] = counts(h) ? offset : NAN;
		g->bound[i] = host_bound(w, h);
		g->settled[i] = false;
	}
	assign(g, w);
	for (int k = 0; k < g->count; k++) {
		g->mean[k] = time_of(g, w, k, BERK_STATE_SYNCHRONISED);
		if (isnan(g->mean[k]))
			g->mean[k] = time_of(g, w, k, BERK_STATE_HOLDOVER);
	}
}

double groups_spread(const struct groups *g)
{
	double most = 0;

	for (int k = 0; k < g->count; k++) {
		double low = INFINITY, high = -INFINITY;

		for (int i = 0; i < g->n; i++)
			if (g->of[i] == k && g->settled[i]) {
				low = fmin(low, g->offset[i]);
				high = fmax(high, g->offset[i]);
			}
		most = fmax(most, high - low);
	}
	return most;
}
