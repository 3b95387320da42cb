/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wander: phase and rate of one crystal against another, while how much they
 * wander is not known and changes
 *
 * One Kalman filter for each of a few assumptions, weighed by how well each
 * one predicted what came (multiple-model estimation: Magill, IEEE Trans. Autom.
 * Control 10(4), 1965). Measurement noise is the caller's and comes from the
 * spread of the delays, so it is not confused with wander.
 */
#ifndef BERK_WANDER_H
#define BERK_WANDER_H

#include "kalman.h"

#define WANDER_MODELS 6

struct wander {
	struct kalman kf[WANDER_MODELS];
	double score[WANDER_MODELS];	/* log likelihood of what lies not too far back */
	/* All of them together, weighed: the mean, and its variance. */
	struct kalman mean;
	double ppb;		/* random walk of the rate, per sqrt(s) */
};

/* Units as in kalman.h. Forgets everything. */
void wander_init(struct wander *w, double phase, double phase_sigma, double rate,
		 double rate_sigma);
/* dt may be 0 but not negative. */
void wander_predict(struct wander *w, double dt);
/* innovation: measured minus w->mean.phase; r: variance of the measurement. */
void wander_update(struct wander *w, double innovation, double r);
/* Phase and rate may have changed by so much, in any direction. */
void wander_doubt(struct wander *w, double phase, double rate);

#endif /* BERK_WANDER_H */
