// SPDX-License-Identifier: GPL-2.0
/*
 * osc: a crystal, advanced in cells of 100 ms
 *
 * Phase and frequency at the ends of a cell have exactly the joint distribution
 * of integrated white and random-walk FM; inside it phase is a straight line,
 * which is wrong by 0.3 ns if the frequency walks by 1e-8 per sqrt(s). The cells
 * lie fixed in true time, so that chance does not depend on who looks when.
 */
#include <math.h>

#include "sim.h"

#define CELL	(100 * SIM_MS)
#define CELL_S	0.1

static double sine_at(const struct osc *o, int64_t t)
{
	return cos(2 * M_PI * (double)t / o->conf.temp_period + o->sine_phase);
}

static double sine_part(struct osc *o, int64_t t)
{
	double before = o->sine_cos;

	o->sine_cos = sine_at(o, t);
	return o->conf.temp_ampl * o->conf.temp_period * 1e-9 / (2 * M_PI) * (before - o->sine_cos);
}

/* The frequency relaxes towards warm_to. Returns the phase gained. */
static double warm_part(struct osc *o)
{
	double left = (o->warm - o->warm_to) * exp(-CELL_S / o->warm_tau);
	double gained = o->warm_to * CELL_S + (o->warm - o->warm_to - left) * o->warm_tau;

	o->warm = o->warm_to + left;
	return gained;
}

static void next_cell(struct osc *o)
{
	double z[2], phase = o->ppb * CELL_S;	/* 1 ppb is 1 ns per s */

	if (o->conf.walk > 0) {
		rng_normal2(&o->rng, z);
		phase += o->conf.walk * CELL_S * sqrt(CELL_S) * (z[0] / 2 + z[1] / (2 * sqrt(3)));
		o->ppb += o->conf.walk * sqrt(CELL_S) * z[0];
	}
	if (o->conf.white > 0)
		phase += o->conf.white * sqrt(CELL_S) * rng_normal(&o->rng);
	o->t0 = o->t1;
	o->t1 += CELL;
	if (o->conf.temp_ampl > 0 && o->conf.temp_period > 0)
		phase += sine_part(o, o->t1);
	if (o->warm_tau > 0)
		phase += warm_part(o);
	o->x0 = o->x1;
	o->x1 += phase;
}

void osc_init(struct osc *o, const struct osc_conf *conf, struct rng rng)
{
	*o = (struct osc){ .conf = *conf, .rng = rng, .ppb = conf->freq };
	o->sine_phase = 2 * M_PI * rng_uniform(&o->rng);
	if (conf->temp_ampl > 0 && conf->temp_period > 0)
		o->sine_cos = sine_at(o, 0);
	next_cell(o);
}

double osc_phase(struct osc *o, int64_t t)
{
	while (t > o->t1)
		next_cell(o);
	return o->x0 + (o->x1 - o->x0) * (double)(t - o->t0) / (double)(o->t1 - o->t0);
}

double osc_rate(const struct osc *o)
{
	return (o->x1 - o->x0) / (double)(o->t1 - o->t0) * 1e9;
}

/* The rest of the cell is bent. */
void osc_freq_step(struct osc *o, int64_t t, double ppb)
{
	while (t >= o->t1)
		next_cell(o);
	o->x0 = osc_phase(o, t);
	o->t0 = t;
	o->x1 += ppb * (double)(o->t1 - t) * 1e-9;
	o->ppb += ppb;
}

void osc_change(struct osc *o, size_t field, double value)
{
	((double *)&o->conf)[field] = value;
	if (o->conf.temp_ampl > 0 && o->conf.temp_period > 0)
		o->sine_cos = sine_at(o, o->t1);
}

void osc_temp_step(struct osc *o, double ppb, double tau)
{
	o->warm_to += ppb;
	o->warm_tau = fmax(tau * 1e-9, 1e-3);
}
