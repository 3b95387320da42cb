// SPDX-License-Identifier: GPL-2.0
/* servo: a loop from clock readings to frequency and step; see servo.h */
#include <math.h>

#include "servo.h"

#define FREQ_LIMIT	500000.0	/* ppb: of the kernel */
#define RUN_MIN		50000000LL	/* ns between two turns */
#define RUN_MAX		250000000LL
#define CONFIRM		10000000LL	/* ns until a surprising reading is repeated */
#define SLEW_MAX	8000000000LL	/* ns over which a small difference is slewed away */
#define FAR		2e3		/* ns: more than that is slewed away at once */
#define READING_VAR	(200.0 * 200.0)	/* ns^2 */
#define SURPRISE	5.0		/* sigmas */
#define STEP_MIN	100e3		/* ns: a smaller jump is no step */
#define STEP_SLOPE	500e3		/* ppb: nor is one that a frequency can have made */
#define LATENCY		4e-3		/* s: until a command takes effect, about a tick */
#define BIAS_START	300e3		/* ppb: the tick may be far from nominal */
#define BIAS_KNOWN	1e3		/* ppb */
#define STEPS		3	/* lines */
#define FOREIGN_FREQ	5e3		/* ppb: a smaller change is not worth a word */

/* The clock obeys; these cover granularity and late wake-ups of the kernel's own loop. */
static const struct kalman_noise noise = { .white_fm = 100, .random_walk = 25 };

void servo_init(struct servo *s, const struct servo_conf *conf, double freq_ppb)
{
	*s = (struct servo){
		.conf = *conf,
		.line_ppb = freq_ppb,
		.cmd_ppb = freq_ppb,
		.may_step = STEPS,
		.settled_ppb = NAN,
		.interval_ns = RUN_MAX,
	};
}

void servo_set_line(struct servo *s, int64_t raw_ns, int64_t real_ns, double freq_ppb,
		    bool rate_known, int64_t interval_ns, bool may_step)
{
	s->have_line = true;
	s->line_raw = raw_ns;
	s->line_real = real_ns;
	if (rate_known)
		s->line_ppb = freq_ppb;
	s->interval_ns = interval_ns;
	if (may_step)
		servo_allow_step(s);
	else if (s->may_step)
		s->may_step--;
}

void servo_allow_step(struct servo *s)
{
	s->may_step = STEPS;
}

void servo_forget(struct servo *s, bool line)
{
	s->started = s->step_due = false;
	servo_allow_step(s);
	if (line)
		s->have_line = false;
}

static int64_t advance(int64_t raw, double ppb)
{
	return raw + llrint((double)raw * ppb * 1e-9);
}

int64_t servo_line(const struct servo *s, int64_t raw_ns)
{
	return s->line_real + advance(raw_ns - s->line_raw, s->line_ppb);
}

static double pending_at(const struct servo *s, int64_t raw_ns, double phase)
{
	return (double)(s->real - servo_line(s, raw_ns)) + phase;
}

double servo_pending(const struct servo *s, int64_t raw_ns)
{
	int64_t dt = raw_ns - s->raw;

	if (!s->have_line || !s->started)
		return 0;
	return pending_at(s, raw_ns, s->kf.phase + (double)dt +
			  (s->cmd_ppb + s->kf.rate) * (double)dt * 1e-9);
}

double servo_base_ppb(const struct servo *s)
{
	double ppb = s->line_ppb - s->kf.rate, limit = fmin(s->conf.max_rate_ppb, FREQ_LIMIT);

	return fmax(fmin(ppb, limit), -limit);
}

static void restart(struct servo *s, int64_t raw_ns, int64_t real_ns)
{
	s->raw = raw_ns;
	s->real = real_ns;
	s->agreed_raw = raw_ns;
	s->surprise_ns = 0;
	s->kf.phase = 0;
	s->kf.p00 = READING_VAR;
	s->kf.p01 = 0;
}

/* Brings the state to raw_ns; whole nanoseconds go to s->real. */
static void predict(struct servo *s, int64_t raw_ns)
{
	int64_t dt = raw_ns - s->raw;
	double whole;

	kalman_predict(&s->kf, &noise, (double)dt * 1e-9);
	s->kf.phase = modf(s->kf.phase + s->cmd_ppb * (double)dt * 1e-9, &whole);
	s->real += dt + (int64_t)whole;
	s->raw = raw_ns;
}

/*
 * A surprising reading may be a bad one (preempted between two clocks), so
 * only its repetition is believed. Returns false while it awaits that.
 */
static bool observe(struct servo *s, int64_t real_ns, struct servo_cmd *cmd)
{
	double error = (double)(real_ns - s->real) - s->kf.phase;
	double limit = SURPRISE * sqrt(s->kf.p00 + READING_VAR);
	double dt = (double)(s->raw - s->agreed_raw) * 1e-9, rate;

	if (fabs(error) <= limit) {
		s->surprise_ns = 0;
		s->agreed_raw = s->raw;
		kalman_update(&s->kf, error, READING_VAR);
		return true;
	}
	if (s->surprise_ns == 0 || fabs(error - s->surprise_ns) > fabs(error) / 2) {
		s->surprise_ns = error;
		return false;
	}
	if (fabs(error) > STEP_MIN + limit + STEP_SLOPE * dt) {
		cmd->foreign_step_ns = llrint(error);
		servo_allow_step(s);
		restart(s, s->raw, real_ns);
		return true;
	}
	rate = error / fmax(dt, 1e-3);
	s->kf.p00 += error * error;
	s->kf.p11 = fmin(s->kf.p11 + rate * rate, BIAS_START * BIAS_START);
	s->surprise_ns = 0;
	s->agreed_raw = s->raw;
	kalman_update(&s->kf, error, READING_VAR);
	return true;
}

static void notice_frequency(struct servo *s, struct servo_cmd *cmd)
{
	double change = s->kf.rate - s->settled_ppb;

	if (s->kf.p11 > BIAS_KNOWN * BIAS_KNOWN)
		return;
	if (isnan(s->settled_ppb)) {
		s->settled_ppb = s->kf.rate;
	} else if (fabs(change) > FOREIGN_FREQ) {
		cmd->foreign_freq_ppb = change;
		s->settled_ppb = s->kf.rate;
	}
}

static void command(struct servo *s, double freq_ppb)
{
	double late = (freq_ppb - s->cmd_ppb) * LATENCY;

	s->kf.p00 += late * late;
	s->cmd_ppb = freq_ppb;
}

static int64_t run_interval(const struct servo *s)
{
	int64_t ns = s->interval_ns / 4;

	return ns < RUN_MIN ? RUN_MIN : ns > RUN_MAX ? RUN_MAX : ns;
}

/* The frequency that brings the clock to the line in due time. */
static double steer(const struct servo *s, double pending, int64_t run)
{
	double limit = fmin(s->conf.max_rate_ppb, FREQ_LIMIT);
	int64_t over = s->interval_ns * 3 / 4 < SLEW_MAX ? s->interval_ns * 3 / 4 : SLEW_MAX;
	double ppb;

	if (fabs(pending) > FAR || over < 2 * run)
		over = 2 * run;
	ppb = s->line_ppb - s->kf.rate - pending / ((double)over * 1e-9);
	return fmax(fmin(ppb, limit), -limit);
}

struct servo_cmd servo_run(struct servo *s, int64_t raw_ns, int64_t real_ns)
{
	int64_t run = run_interval(s);
	struct servo_cmd cmd = { .freq_ppb = s->cmd_ppb, .next_raw_ns = raw_ns + run };
	double pending;

	if (!s->started) {
		kalman_init(&s->kf, 0, 0, 0, BIAS_START);
		restart(s, raw_ns, real_ns);
		s->started = true;
	} else {
		predict(s, raw_ns);
		if (!observe(s, real_ns, &cmd)) {
			cmd.next_raw_ns = raw_ns + CONFIRM;
			return cmd;
		}
		notice_frequency(s, &cmd);
	}
	if (!s->have_line)
		return cmd;
	pending = pending_at(s, raw_ns, s->kf.phase);
	if (s->may_step && fabs(pending) > (double)s->conf.step_threshold_ns) {
		if (!s->step_due) {	/* first everybody is to know that this clock is wrong */
			s->step_due = true;
			cmd.next_raw_ns = raw_ns + CONFIRM;
			return cmd;
		}
		cmd.step_ns = -llrint(pending);
		s->real += cmd.step_ns;
		pending += (double)cmd.step_ns;
	}
	s->step_due = false;
	cmd.freq_ppb = steer(s, pending, run);
	command(s, cmd.freq_ppb);
	return cmd;
}
