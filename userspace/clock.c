// SPDX-License-Identifier: GPL-2.0
#include "clock.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000LL
#define READ_TRIES 5
#define SCALED_PPM 65536.0		/* timex.freq: ppm * 2^16 */
#define FREQ_MAX (500 * 65536L)
#define STATUS_RIVAL (STA_PLL | STA_FLL | STA_PPSFREQ | STA_PPSTIME | STA_FREQHOLD | \
		      STA_INS | STA_DEL)

static int64_t to_ns(const struct timespec *ts)
{
	return ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
}

int64_t clock_read(struct node_now *now)
{
	struct timespec before, real, after;
	int64_t width, best = INT64_MAX;

	for (int i = 0; i < READ_TRIES; i++) {
		clock_gettime(CLOCK_MONOTONIC_RAW, &before);
		clock_gettime(CLOCK_REALTIME, &real);
		clock_gettime(CLOCK_MONOTONIC_RAW, &after);
		width = to_ns(&after) - to_ns(&before);
		if (width < best) {
			best = width;
			now->real_ns = to_ns(&real);
			now->raw_ns = to_ns(&before) + width / 2;
		}
	}
	return (best + 1) / 2;
}

static int adjtime_call(struct timex *tx)
{
	return clock_adjtime(CLOCK_REALTIME, tx) < 0 ? -errno : 0;
}

bool clock_is_synchronised(void)
{
	struct timex tx = { .modes = 0 };

	return adjtime_call(&tx) == 0 && !(tx.status & STA_UNSYNC);
}

__attribute__((format(printf, 2, 3)))
static void note(struct clock *clock, const char *fmt, ...)
{
	size_t len = strlen(clock->note);
	va_list args;

	if (len) {
		snprintf(clock->note + len, sizeof(clock->note) - len, ", ");
		len = strlen(clock->note);
	}
	va_start(args, fmt);
	vsnprintf(clock->note + len, sizeof(clock->note) - len, fmt, args);
	va_end(args);
}

/* A mode of its own, which reads everything and changes nothing: offset is what
 * adjtime(3) still has to slew, in us; all else is as with modes 0.
 */
static int read_back(struct timex *tx)
{
	*tx = (struct timex){ .modes = ADJ_OFFSET_SS_READ };
	return adjtime_call(tx);
}

static long nominal_tick(void)
{
	return 1000000 / sysconf(_SC_CLK_TCK);
}

static void note_status(struct clock *clock, int status)
{
	if (status & (STA_PLL | STA_FLL))
		note(clock, "the kernel's PLL was on");
	if (status & (STA_PPSFREQ | STA_PPSTIME))
		note(clock, "PPS discipline was on");
	if (status & (STA_INS | STA_DEL))
		note(clock, "a leap second was armed");
	if (status & STA_FREQHOLD)
		note(clock, "the frequency was held");
}

int clock_start(struct clock *clock, double *freq_ppb)
{
	struct timex tx;
	long off_tick;
	double freq;
	int err;

	clock->note[0] = '\0';
	err = read_back(&tx);
	if (err)
		return err;
	note_status(clock, tx.status);
	if (tx.offset) {
		note(clock, "adjtime() was slewing %+ld us", tx.offset);
		err = adjtime_call(&(struct timex){ .modes = ADJ_OFFSET_SINGLESHOT });
		if (err)
			return err;
	}
	freq = tx.freq;
	off_tick = tx.tick - nominal_tick();
	if (off_tick) {
		freq += off_tick * 1e6 / nominal_tick() * SCALED_PPM;
		note(clock, "the tick was %ld instead of %ld: now nominal, %+.3f ppm %s", tx.tick,
		     nominal_tick(), off_tick * 1e6 / nominal_tick(),
		     fabs(freq) <= FREQ_MAX ? "moved into the frequency" :
		     "are more than the frequency can take, it starts at its limit");
	}
	tx = (struct timex){
		.modes = ADJ_FREQUENCY | ADJ_STATUS | ADJ_TICK,
		.freq = lround(fmax(-FREQ_MAX, fmin(FREQ_MAX, freq))),
		.status = STA_UNSYNC,
		.tick = nominal_tick(),
	};
	err = adjtime_call(&tx);
	if (err)
		return err;
	clock->freq = tx.freq;
	clock->status = STA_UNSYNC;
	*freq_ppb = tx.freq / SCALED_PPM * 1000;
	return 0;
}

static void notice_rivals(struct clock *clock, const struct timex *tx)
{
	int status = tx->status & (STATUS_RIVAL | STA_UNSYNC);
	int changed = status ^ clock->status;

	if (tx->freq != clock->freq)
		note(clock, "frequency changed from %+.3f to %+.3f ppm", clock->freq / SCALED_PPM,
		     tx->freq / SCALED_PPM);
	if (tx->tick != nominal_tick())
		note(clock, "tick changed to %ld", tx->tick);
	if (tx->offset)
		note(clock, "adjtime() slews %+ld us", tx->offset);
	note_status(clock, changed & status);
	/* The other way round it was stepped, which the servo sees, and by how much. */
	if (changed & clock->status & STA_UNSYNC)
		note(clock, "it was marked synchronised");
}

static long us_round_up(int64_t ns)
{
	return ns / 1000 + (ns % 1000 > 0);
}

int clock_set(struct clock *clock, const struct node_clock *want, double *freq_ppb)
{
	struct timex tx;
	int err;

	clock->note[0] = '\0';
	err = read_back(&tx);
	if (err)
		return err;
	notice_rivals(clock, &tx);
	/* A slew left over by a rival would go on beside ours. */
	if (tx.offset)
		adjtime_call(&(struct timex){ .modes = ADJ_OFFSET_SINGLESHOT });

	tx = (struct timex){
		.modes = ADJ_FREQUENCY | ADJ_MAXERROR | ADJ_ESTERROR | ADJ_STATUS | ADJ_TICK,
		.freq = lround(fmax(-FREQ_MAX, fmin(FREQ_MAX, want->freq_ppb / 1000 * SCALED_PPM))),
		.maxerror = us_round_up(want->maxerror_ns),
		.esterror = us_round_up(want->esterror_ns),
		.status = want->synchronised ? 0 : STA_UNSYNC,
		.tick = nominal_tick(),
	};
	if (want->step_ns) {
		tx.modes |= ADJ_SETOFFSET | ADJ_NANO;
		/* The nanoseconds must not be negative: -0.3 s is -1 s + 0.7 s. */
		tx.time.tv_sec = want->step_ns / NSEC_PER_SEC;
		tx.time.tv_usec = want->step_ns % NSEC_PER_SEC;
		if (tx.time.tv_usec < 0) {
			tx.time.tv_sec--;
			tx.time.tv_usec += NSEC_PER_SEC;
		}
	}
	err = adjtime_call(&tx);
	if (err)
		return err;
	clock->freq = tx.freq;
	clock->status = want->synchronised ? 0 : STA_UNSYNC;
	*freq_ppb = tx.freq / SCALED_PPM * 1000;
	return 0;
}
