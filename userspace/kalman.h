/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kalman: the two-state filter (phase, rate) of one clock against another
 *
 * Phase in ns, rate in ppb, time in s: then ppb * s = ns without factors.
 * Process noise as in Zucca & Tavella, "The clock model and its relationship
 * with the Allan and related variances", IEEE UFFC 52(2), 2005.
 */
#ifndef BERK_KALMAN_H
#define BERK_KALMAN_H

struct kalman {
	double phase, rate;
	double p00, p01, p11;	/* covariance */
};

struct kalman_noise {
	double white_fm;	/* ns^2 per s: of the phase */
	double random_walk;	/* ppb^2 per s: of the rate */
};

static inline void kalman_init(struct kalman *k, double phase, double phase_sigma,
			       double rate, double rate_sigma)
{
	*k = (struct kalman){
		.phase = phase, .rate = rate,
		.p00 = phase_sigma * phase_sigma, .p11 = rate_sigma * rate_sigma,
	};
}

/* dt may be 0 but not negative. */
static inline void kalman_predict(struct kalman *k, const struct kalman_noise *q, double dt)
{
	k->phase += k->rate * dt;
	k->p00 += dt * (2 * k->p01 + dt * k->p11) +
		  dt * (q->white_fm + q->random_walk * dt * dt / 3);
	k->p01 += dt * k->p11 + q->random_walk * dt * dt / 2;
	k->p11 += q->random_walk * dt;
}

/* innovation: measured minus predicted phase; r: variance of the measurement, > 0. */
static inline void kalman_update(struct kalman *k, double innovation, double r)
{
	double s = k->p00 + r, g0 = k->p00 / s, g1 = k->p01 / s, left = r / s;

	k->phase += g0 * innovation;
	k->rate += g1 * innovation;
	k->p11 -= g1 * k->p01;
	k->p01 *= left;	/* 1 - g0, but not 0 after a long silence */
	k->p00 *= left;
}

#endif /* BERK_KALMAN_H */
