// SPDX-License-Identifier: GPL-2.0
/*
 * rate: how fast the groups run, in windows of 10 s
 *
 * The rate of a group is that of the mean of its clocks that were settled all the
 * time, and not stepped. No group is to run faster than the fastest crystal or
 * slower than the slowest, whoever is still in it; those that jumped do not count.
 */
#include <math.h>
#include <stdlib.h>

#include "scenario.h"

#define OVER (10 * SIM_S)
#define TOLERANCE 1000.0	/* ppb: what slewing moves */

struct rate *rate_new(int n)
{
	struct rate *r = world_alloc(NULL, 1, sizeof(*r));

	*r = (struct rate){ .last = NAN, .jump = NAN, .excess = NAN };
	r->clock = world_alloc(NULL, (size_t)n, sizeof(double));
	r->crystal = world_alloc(NULL, (size_t)n, sizeof(double));
	r->set_seq = world_alloc(NULL, (size_t)n, sizeof(*r->set_seq));
	return r;
}

void rate_free(struct rate *r)
{
	free(r->clock);
	free(r->crystal);
	free(r->set_seq);
	free(r);
}

/* ppb of the crystals, over the window */
static void range(const struct rate *r, struct world *w, double *low, double *high)
{
	double seconds = (double)(w->now - r->since) * 1e-9;

	*low = INFINITY;
	*high = -INFINITY;
	for (int i = 0; i < w->n; i++) {
		struct osc *osc = &host_clock(w, &w->host[i])->osc;
		double ppb = (osc_phase(osc, w->now) - r->crystal[i]) / seconds;

		if (world_lately(w, w->host[i].jumped))
			continue;
		*low = fmin(*low, ppb);
		*high = fmax(*high, ppb);
	}
}

static void judge(struct rate *r, struct world *w, int node, double ppb)
{
	double low, high, excess;

	range(r, w, &low, &high);
	excess = fmax(fmax(ppb - high, low - ppb), 0);
	r->excess = fmax(r->excess, excess);
	if (excess > TOLERANCE)
		watch_breach(w, BREACH_RATE, &w->host[node],
			     "runs with its group at %.3f ppm, its crystals at %.3f to %.3f",
			     ppb * 1e-3, low * 1e-3, high * 1e-3);
}

static void end_window(struct rate *r, const struct groups *g, struct world *w)
{
	double rate = NAN;
	int most = 0;

	for (int k = 0; k < g->count; k++) {
		double sum = 0;
		int n = 0, node = 0;

		for (int i = 0; i < g->n; i++)
			if (g->of[i] == k && !isnan(r->clock[i])) {
				sum += g->offset[i] - r->clock[i];
				node = i;
				n++;
			}
		if (!n)
			continue;
		sum /= n * (double)(w->now - r->since) * 1e-9;
		judge(r, w, node, sum);
		if (n > most)
			rate = sum;
		most = n > most ? n : most;
	}
	if (!isnan(rate) && !isnan(r->last))
		r->jump = fmax(r->jump, fabs(rate - r->last));
	r->last = rate;
}

void rate_look(struct rate *r, const struct groups *g, struct world *w)
{
	for (int i = 0; r->since && i < g->n; i++)
		if (!g->settled[i] || host_clock(w, &w->host[i])->set_seq != r->set_seq[i])
			r->clock[i] = NAN;
	if (r->since && w->now - r->since < OVER)
		return;
	if (r->since)
		end_window(r, g, w);
	r->since = w->now;
	for (int i = 0; i < g->n; i++) {
		r->set_seq[i] = host_clock(w, &w->host[i])->set_seq;
		r->clock[i] = g->settled[i] ? g->offset[i] : NAN;
		r->crystal[i] = osc_phase(&host_clock(w, &w->host[i])->osc, w->now);
	}
}
