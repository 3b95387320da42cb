/* SPDX-License-Identifier: GPL-2.0 */
/*
 * servo: steers the local CLOCK_REALTIME onto a line in local RAW time
 *
 *	group(raw) = line_real + (raw - line_raw) * (1 + line_ppb * 1e-9)
 *
 * A closed loop inside one machine, without any network noise: it compares
 * readings of both clocks with the line. What it commands and what the clock
 * then does differ a little (granularity, latency, a tick that is not
 * nominal), so it learns the difference as a bias of the slope; a difference
 * that no command explains was made by somebody else.
 */
#ifndef BERK_SERVO_H
#define BERK_SERVO_H

#include <stdbool.h>
#include <stdint.h>

#include "kalman.h"

struct servo_conf {
	int64_t step_threshold_ns;	/* a larger difference is stepped, when a step is allowed */
	double max_rate_ppb;		/* limit of the frequency commanded */
};

struct servo {
	struct servo_conf conf;

	bool have_line;
	int64_t line_raw, line_real;
	double line_ppb;	/* REALTIME per RAW, minus 1 */
	int64_t interval_ns;	/* until the next line is expected */
	unsigned int may_step;	/* lines, with this one, onto which it may step */
	bool step_due;		/* in the next turn: in this one, that is known */

	double cmd_ppb;		/* frequency commanded last */
	bool started;
	int64_t raw, real;	/* REALTIME was real + kf.phase at raw */
	struct kalman kf;	/* rate: what the clock does beyond cmd_ppb */
	int64_t agreed_raw;	/* last reading that was as expected */
	double surprise_ns;	/* the last reading's error if it was not, else 0 */
	double settled_ppb;	/* bias as it was when well known, or NAN */
};

struct servo_cmd {
	int64_t step_ns;	/* add to REALTIME, first; 0 = none */
	double freq_ppb;	/* absolute, positive = faster */
	int64_t next_raw_ns;	/* call servo_run() again then */
	/* What somebody else did to the clock, noticed just now; 0 = nothing. */
	int64_t foreign_step_ns;
	double foreign_freq_ppb;
};

/* freq_ppb: correction in force. Until there is a line it stays. */
void servo_init(struct servo *s, const struct servo_conf *conf, double freq_ppb);

/*
 * rate_known false: the slope in force is kept. may_step: as servo_allow_step(),
 * in addition to what was allowed before.
 */
void servo_set_line(struct servo *s, int64_t raw_ns, int64_t real_ns, double freq_ppb,
		    bool rate_known, int64_t interval_ns, bool may_step);

/*
 * At a start the clock may be stepped, onto this line and the next few: the
 * first measurement is the poorest.
 */
void servo_allow_step(struct servo *s);

/*
 * Readings of before mean nothing any more; with line, the line does not
 * either. The clock may be stepped to the next one.
 */
void servo_forget(struct servo *s, bool line);

/*
 * One turn of the loop, with both clocks as they are now. The command is
 * taken to be in force from now on. raw_ns must not be before the last one.
 */
struct servo_cmd servo_run(struct servo *s, int64_t raw_ns, int64_t real_ns);

/* The line at raw_ns. Needs one. */
int64_t servo_line(const struct servo *s, int64_t raw_ns);

/* REALTIME minus the line at raw_ns, as far as known: positive = ahead. 0 without a line. */
double servo_pending(const struct servo *s, int64_t raw_ns);

/* The command that would hold the line's slope, without any slew. */
double servo_base_ppb(const struct servo *s);

#endif /* BERK_SERVO_H */
