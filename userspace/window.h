/* SPDX-License-Identifier: GPL-2.0 */
/*
 * window: the newest delays of both directions, and what they say together of
 * phase and rate
 *
 * u is what a packet took to the peer, as read from both RAW clocks: its delay
 * plus the phase. v is what one took back: its delay minus the phase. The
 * delays are a floor, which is the path's, plus what queues and stamps added.
 */
#ifndef BERK_WINDOW_H
#define BERK_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_POINTS 512

static inline double seconds(int64_t ns)
{
	return (double)ns * 1e-9;
}

/* One exchange; a direction without a usable value is INFINITY. */
struct window_point {
	int64_t t1, t4;		/* local raw */
	double u, v;		/* ns */
};

struct window {
	struct window_point ring[WINDOW_POINTS];	/* by t1 */
	unsigned int head, count;
	unsigned int suspect;	/* the newest points that contradict the others: they wait */
	double spread_u, spread_v;	/* ns: mean delay above the floor, learned here */
};

/* The smallest delay of one direction. */
struct floor {
	double value;		/* ns, brought to the common instant; INFINITY: none */
	double mean;		/* of all n, ns */
	unsigned int n;
};

/* What is known of the rate beforehand, and of the two crystals. */
struct window_prior {
	double rate_ppb, rate_sigma_ppb;
	double wander;		/* ppb per sqrt(s) */
};

struct window_estimate {
	double phase, sigma_ns;
	double rate_ppb, rate_sigma_ppb;
	double delay_ns;	/* smallest round trip */
	double room_ns;		/* the largest that the points allow; below 0 they contradict */
};

/* The i-th newest point, from 1. */
const struct window_point *window_point(const struct window *w, unsigned int i);
void window_add(struct window *w, const struct window_point *p);
/* Forgets all points but the n newest. */
void window_keep(struct window *w, unsigned int n);
/* Makes n points useless; the first of them is the first-th newest. */
void window_drop(struct window *w, unsigned int first, unsigned int n);
/* The path has changed: all points but the n newest are moved to its new floors. */
void window_shift(struct window *w, unsigned int n, double du, double dv);

/*
 * Both floors of the points from the first-th to the last-th newest, de-trended
 * with rate (ppb) to the local raw time `at`. False if a direction has none.
 */
bool window_floors(const struct window *w, unsigned int first, unsigned int last, int64_t at,
		   double rate, struct floor *u, struct floor *v);

/* Variance, in ns^2, of (u - v) / 2 of such floors. */
double window_floor_var(const struct window *w, const struct floor *u, const struct floor *v);

/*
 * How far, in ns, the wander of the crystals (ppb per sqrt(s)) leads a prediction
 * over dt seconds astray, 1 sigma.
 */
double window_walk(double wander, double dt);

/*
 * Learns how far the delays of the n newest points are spread, at most as far
 * back as the estimate reaches. To be called before anything else is asked.
 */
void window_learn(struct window *w, unsigned int n, int64_t now, const struct window_prior *prior);

/*
 * Phase and rate at local raw time now. False if a direction has no point, or if they are
 * of such nonsense that nothing comes of them.
 */
bool window_estimate(const struct window *w, int64_t now, const struct window_prior *prior,
		     struct window_estimate *e);

#endif /* BERK_WINDOW_H */
