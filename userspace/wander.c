// SPDX-License-Identifier: GPL-2.0
/* wander: a bank of Kalman filters; see wander.h */
#include <math.h>
#include <stdlib.h>

#include "wander.h"

#define WHITE_FM	1.0	/* ns^2 per s */
#define MEMORY		300.0	/* s: how far back the score looks */
#define CLIP		9.0	/* sigmas^2: an innovation tells at most that much */
#define BEHIND		8.0	/* no model is further behind: what was, may change at once */
#define TYPICAL		2	/* index: quartz without an oven */
#define DOUBT		0.5	/* log likelihood that each step from the typical one costs */
#define RATE_SIGMA_MAX	100e3	/* ppb: any crystal in use */

/* ppb per sqrt(s): from a good oven to what is hardly a clock */
static const double walk[WANDER_MODELS] = { 0.3, 1, 3, 10, 30, 100 };

/* The models' mean and variance, and what they say of the wander. */
static void combine(struct wander *w)
{
	double p[WANDER_MODELS], best = -INFINITY, sum = 0, log_walk = 0;
	struct kalman m = { 0 };

	for (int i = 0; i < WANDER_MODELS; i++) {
		p[i] = w->score[i] - DOUBT * abs(i - TYPICAL);
		best = fmax(best, p[i]);
	}
	for (int i = 0; i < WANDER_MODELS; i++) {
		p[i] = exp(p[i] - best);
		sum += p[i];
	}
	for (int i = 0; i < WANDER_MODELS; i++) {
		p[i] /= sum;
		log_walk += p[i] * log(walk[i]);
		m.phase += p[i] * w->kf[i].phase;
		m.rate += p[i] * w->kf[i].rate;
	}
	for (int i = 0; i < WANDER_MODELS; i++) {
		double dp = w->kf[i].phase - m.phase, dr = w->kf[i].rate - m.rate;

		m.p00 += p[i] * (w->kf[i].p00 + dp * dp);
		m.p01 += p[i] * (w->kf[i].p01 + dp * dr);
		m.p11 += p[i] * (w->kf[i].p11 + dr * dr);
	}
	w->mean = m;
	w->ppb = exp(log_walk);
}

void wander_init(struct wander *w, double phase, double phase_sigma, double rate,
		 double rate_sigma)
{
	for (int i = 0; i < WANDER_MODELS; i++) {
		kalman_init(&w->kf[i], phase, phase_sigma, rate, rate_sigma);
		w->score[i] = 0;
	}
	combine(w);
}

void wander_predict(struct wander *w, double dt)
{
	for (int i = 0; i < WANDER_MODELS; i++) {
		struct kalman_noise noise = { WHITE_FM, walk[i] * walk[i] };

		kalman_predict(&w->kf[i], &noise, dt);
		w->score[i] *= exp(-dt / MEMORY);
	}
	combine(w);
}

void wander_update(struct wander *w, double innovation, double r)
{
	double phase = w->mean.phase + innovation, best = -INFINITY;

	for (int i = 0; i < WANDER_MODELS; i++) {
		struct kalman *k = &w->kf[i];
		double e = phase - k->phase, s = k->p00 + r;

		w->score[i] -= (fmin(e * e / s, CLIP) + log(s)) / 2;
		best = fmax(best, w->score[i]);
		kalman_update(k, e, r);
	}
	for (int i = 0; i < WANDER_MODELS; i++)
		w->score[i] = fmax(w->score[i] - best, -BEHIND);
	combine(w);
}

void wander_doubt(struct wander *w, double phase, double rate)
{
	for (int i = 0; i < WANDER_MODELS; i++) {
		struct kalman *k = &w->kf[i];

		k->p00 += phase * phase;
		k->p11 = fmin(k->p11 + rate * rate, RATE_SIGMA_MAX * RATE_SIGMA_MAX);
	}
	combine(w);
}
