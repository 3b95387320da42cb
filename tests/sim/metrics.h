/* SPDX-License-Identifier: GPL-2.0 */
/* metrics: what metrics.c sees, and figures.c makes of it; nobody else includes it */
#ifndef BERK_SIM_METRICS_H
#define BERK_SIM_METRICS_H

#include "scenario.h"

#define METRICS_LIMITS 3	/* 100, 10 and 1 us */

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
	int64_t last_above[METRICS_LIMITS], last_action;
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
	double misled;		/* by how much a bound was untrue that a liar told */
	char note[120];
};

#endif /* BERK_SIM_METRICS_H */
