/* SPDX-License-Identifier: GPL-2.0 */
/*
 * clock: the only file that reads and sets the system clock
 *
 * It also looks for rivals: before each setting it reads back what the kernel
 * has, and anything that differs from what was last written here was done by
 * somebody else (as chrony's sys_timex.c does). What it has to say is left in
 * clock->note, for the caller to log.
 */
#ifndef BERK_CLOCK_H
#define BERK_CLOCK_H

#include <sys/timex.h>

#include "node.h"

#define CLOCK_FREQ_MAX_PPB 500000.0	/* of the kernel */

struct clock {
	long freq;		/* last written, scaled ppm */
	int status;		/* last written, without the read-only bits */
	char note[240];		/* "" if there is nothing to say */
};

/*
 * Both clocks at one instant. Returns the uncertainty: half the width in raw ns
 * of the interval that both readings fall into.
 */
int64_t clock_read(struct node_now *now);

/*
 * What the kernel says (STA_UNSYNC): false once anybody has stepped the clock, until
 * clock_set() says otherwise. Needs no privilege; false if it cannot be read.
 */
bool clock_is_synchronised(void);

/*
 * Takes the clock over: switches off the kernel's own PLL, an armed leap second
 * and a running adjtime(3), brings a tick that is not nominal back and folds the
 * difference into the frequency, and marks the clock unsynchronised. Returns 0
 * and the frequency in force in ppb (positive = runs faster), or -errno (-EPERM:
 * CAP_SYS_TIME is missing). note says what was found.
 */
int clock_start(struct clock *clock, double *freq_ppb);

/*
 * Steps (if step_ns is not 0), then sets frequency, error bounds and status, in
 * one system call. The frequency is limited to +-500 ppm; *freq_ppb gets what is
 * in force afterwards. note names a rival's effect. Returns 0 or -errno; on error
 * nothing has changed.
 */
int clock_set(struct clock *clock, const struct node_clock *want, double *freq_ppb);

#endif /* BERK_CLOCK_H */
