// SPDX-License-Identifier: GPL-2.0
#include <math.h>

#include "sim.h"

#define TICK 4e6	/* ns: HZ = 250 */

void vclock_init(struct vclock *c, const struct osc_conf *osc, struct rng rng, int64_t raw,
		 double offset)
{
	*c = (struct vclock){ .raw_base = raw, .corr = offset, .next_at = INFINITY };
	osc_init(&c->osc, osc, rng);
}

/* REALTIME minus RAW, without the constants, at that moment and phase */
static double correction(struct vclock *c, int64_t t, double phase)
{
	double raw = (double)(t - c->t) + (phase - c->x) - c->done;

	if (raw >= c->next_at) {
		c->corr += c->next_at * c->freq_ppb * 1e-9;
		c->done += c->next_at;
		raw -= c->next_at;
		c->freq_ppb = c->next_ppb;
		c->next_at = INFINITY;
	}
	return c->corr + raw * c->freq_ppb * 1e-9;
}

double vclock_offset(struct vclock *c, int64_t t)
{
	double phase = osc_phase(&c->osc, t);

	return phase + correction(c, t, phase);
}

struct berk_stamp vclock_read(struct vclock *c, int64_t t)
{
	double phase = osc_phase(&c->osc, t);

	return (struct berk_stamp){
		.raw_ns = c->raw_base + t + (int64_t)floor(phase),
		.real_ns = SIM_EPOCH + t + (int64_t)floor(phase + correction(c, t, phase)),
	};
}

/* The present becomes the moment that everything is counted from. */
static void rebase(struct vclock *c, int64_t t)
{
	double phase = osc_phase(&c->osc, t);
	double raw = (double)(t - c->t) + (phase - c->x) - c->done;

	c->corr = correction(c, t, phase);
	if (c->next_at < INFINITY)
		c->next_at -= raw;
	c->t = t;
	c->x = phase;
	c->done = 0;
}

void vclock_set(struct vclock *c, int64_t t, int64_t step_ns, double freq_ppb)
{
	rebase(c, t);
	c->corr += (double)step_ns;
	c->set_seq += step_ns != 0;
	c->next_ppb = fmax(fmin(rint(freq_ppb * 65.536) / 65.536, 500e3), -500e3);
	c->next_at = TICK - fmod((double)(c->raw_base + t) + c->x, TICK);
}

void vclock_stall(struct vclock *c, int64_t t, int64_t ns)
{
	rebase(c, t);
	c->raw_base -= ns;
	/* nor has the frequency corrected anything while nothing passed */
	c->corr -= (double)ns * (1 + c->freq_ppb * 1e-9);
}

void vclock_boot(struct vclock *c, int64_t t, int64_t raw, double offset)
{
	rebase(c, t);
	c->raw_base = raw - t - (int64_t)floor(c->x);
	c->corr = offset - c->x;
	c->freq_ppb = 0;
	c->next_at = INFINITY;
	c->set_seq = 0;
}
