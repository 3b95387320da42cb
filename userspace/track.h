/* SPDX-License-Identifier: GPL-2.0 */
/*
 * track: what the master knows of one peer's clock
 *
 * Phase and rate are estimated from CLOCK_MONOTONIC_RAW of both ends, which
 * no correction disturbs:
 *
 *	peer_raw = local_raw + base + phase,   rate = d(phase) / d(local_raw)
 *
 * positive rate = the peer's crystal runs faster than ours. The peer's
 * REALTIME follows without network noise from its own stamps, each of which
 * carries both clocks.
 */
#ifndef BERK_TRACK_H
#define BERK_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/berk.h>

#include "wander.h"
#include "window.h"

struct track {
	bool started;		/* base is set */
	bool ready;		/* the estimate below is valid */
	uint64_t node_id;
	int64_t base;		/* first T2 - T1 */
	unsigned int contradictions;	/* in a row; see track_sample() */
	int jumped;		/* its RAW clock, before this estimate: 1 ahead, -1 back */

	struct window window;	/* u: (T2 - T1) - base, v: (T4 - T3) + base */
	unsigned int fresh;	/* points of the round under way */
	uint32_t round;
	int64_t exact_u, exact_v;	/* local raw of the last exact stamps, or INT64_MIN */

	struct wander wander;	/* at local raw wander_raw */
	int64_t wander_raw, agreed_raw;
	double asymmetry_ns;	/* half the difference of the paths, as far as seen to change */
	double asymmetry_bound_ns;	/* of what was there before, and of those changes */
	double home_delay_ns;	/* round trip while no change had been seen */
	double doubt_ns;	/* by how much the suspects disagree */
	unsigned int mixed;	/* the first of them: from before and after the change */
	bool upset;		/* its clock turned out not to be what it was, in this round */
	double rerouted_ns;	/* by how much it changed in this round, or 0 */

	struct berk_sample first, last;	/* of the round, clocks not set in between */
	struct berk_sample before;	/* last of the round before, likewise */
	bool have_pair, have_before;

	/* The estimate, at local raw time raw. */
	int64_t raw;
	double phase, sigma_ns;
	double rate_ppb, rate_sigma_ppb;
	double delay_ns;	/* smallest round trip */
	double bound_ns;	/* of the phase: what asymmetry of the paths can do */
};

/* One instant on all clocks of both ends, and how fast the REALTIMEs run. */
struct track_ref {
	struct berk_stamp peer, local;
	double peer_slope_ppb, local_slope_ppb;	/* REALTIME per own RAW, minus 1 */
};

enum track_verdict {
	TRACK_DROPPED,		/* unusable; nothing changed */
	TRACK_TAKEN,
	TRACK_RESTARTED,	/* its RAW clock jumped: a reboot, a pause */
};

void track_init(struct track *t);

/* Stamps that can be computed with, and a round trip that can be. */
bool track_sane(const struct berk_sample *s);

/* Any order, duplicates and nonsense allowed. */
enum track_verdict track_sample(struct track *t, const struct berk_sample *s);

/*
 * At the end of a round: brings the estimate to local raw time `now`. False
 * if there never was a sample. A round without samples only lets the
 * uncertainty grow.
 */
bool track_update(struct track *t, int64_t now);

/* How the round under way contradicts the estimate, whatever it was that changed. */
struct track_surprise {
	double phase_ns;	/* positive: the peer's clock is further ahead */
	double delay_ns;	/* of the round trip */
	double sigma_ns;	/* of the phase */
};

/* Before track_update(). False if there is nothing to compare. */
bool track_surprise(const struct track *t, int64_t now, struct track_surprise *s);

/* Before track_update(): the phase is off by about so much, since a rate changed. */
void track_doubt(struct track *t, double phase_ns, int64_t now);

/* The peer's raw time at a local raw time, and back. Need t->ready. */
int64_t track_peer_raw(const struct track *t, int64_t local_raw);
int64_t track_local_raw(const struct track *t, int64_t peer_raw);

/*
 * The latest instant at which the peer's REALTIME is known. False if there is
 * none, or none in which neither clock was being set.
 */
bool track_ref(const struct track *t, struct track_ref *ref);

#endif /* BERK_TRACK_H */
