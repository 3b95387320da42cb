// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#include <cmocka.h>

static int fake_clock_adjtime(clockid_t id, struct timex *tx);
static int fake_clock_gettime(clockid_t id, struct timespec *ts);
#define clock_adjtime fake_clock_adjtime
#define clock_gettime fake_clock_gettime
#include "clock.c"
#undef clock_adjtime
#undef clock_gettime

/* --- a kernel */

static struct {
	struct timex now;	/* offset: what adjtime() has left, us */
	int64_t step_ns;
	int writes, error;
	int64_t raw_ns;
	const int64_t *cost;	/* of one read, each */
	int reads;
} kernel;

static void change(const struct timex *tx)
{
	kernel.writes++;
	if (tx->modes == ADJ_OFFSET_SINGLESHOT) {
		kernel.now.offset = tx->offset;
		return;
	}
	if (tx->modes & ADJ_SETOFFSET) {
		assert_true(tx->modes & ADJ_NANO);
		assert_in_range(tx->time.tv_usec, 0, NSEC_PER_SEC - 1);
		kernel.step_ns += tx->time.tv_sec * NSEC_PER_SEC + tx->time.tv_usec;
		kernel.now.status |= STA_UNSYNC;
		kernel.now.maxerror = 16000000;
	}
	if (tx->modes & ADJ_FREQUENCY) {
		assert_true(labs(tx->freq) <= 500 << 16);
		kernel.now.freq = tx->freq;
	}
	if (tx->modes & ADJ_STATUS)
		kernel.now.status = (kernel.now.status & STA_RONLY) | (tx->status & ~STA_RONLY);
	if (tx->modes & ADJ_NANO)
		kernel.now.status |= STA_NANO;
	if (tx->modes & ADJ_MAXERROR)
		kernel.now.maxerror = tx->maxerror;
	if (tx->modes & ADJ_ESTERROR)
		kernel.now.esterror = tx->esterror;
	if (tx->modes & ADJ_TICK)
		kernel.now.tick = tx->tick;
}

static int fake_clock_adjtime(clockid_t id, struct timex *tx)
{
	long left = kernel.now.offset;

	assert_int_equal(id, CLOCK_REALTIME);
	if (tx->modes != ADJ_OFFSET_SS_READ && tx->modes != 0) {
		if (kernel.error) {
			errno = kernel.error;
			return -1;
		}
		change(tx);
	}
	*tx = kernel.now;
	tx->offset = left;
	return kernel.now.status & STA_UNSYNC ? TIME_ERROR : TIME_OK;
}

static int fake_clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t ns = kernel.raw_ns + (id == CLOCK_REALTIME ? 1000 * NSEC_PER_SEC : 0);

	*ts = (struct timespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
	kernel.raw_ns += kernel.cost ? kernel.cost[kernel.reads++] : 50;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.now.tick = nominal_tick();
	kernel.now.status = STA_UNSYNC;
	kernel.raw_ns = 5 * NSEC_PER_SEC;
	return 0;
}

static struct clock started(void)
{
	struct clock clock;
	double freq;

	assert_int_equal(clock_start(&clock, &freq), 0);
	kernel.writes = 0;
	return clock;
}

/* --- reading */

static void test_read_takes_narrowest(void **state)
{
	/* RAW, REAL, RAW in each of five tries; the third is the best. */
	static const int64_t cost[] = {
		900, 900, 10,	500, 20, 10,	30, 30, 10,	5000, 10, 10,	40, 40, 10,
	};
	struct node_now now;

	(void)state;
	kernel.cost = cost;
	assert_int_equal(clock_read(&now), 30);
	assert_int_equal(now.raw_ns, 5 * NSEC_PER_SEC + 1810 + 530 + 30);
	assert_int_equal(now.real_ns - now.raw_ns, 1000 * NSEC_PER_SEC);
}

/* --- starting */

static void test_start_quiet(void **state)
{
	struct clock clock;
	double freq;

	(void)state;
	kernel.now.freq = -(12 << 16);
	assert_int_equal(clock_start(&clock, &freq), 0);
	assert_true(freq == -12000);
	assert_string_equal(clock.note, "");
	assert_int_equal(kernel.now.freq, -(12 << 16));
	assert_int_equal(kernel.now.status, STA_UNSYNC);
}

static void test_start_takes_over(void **state)
{
	struct clock clock;
	double freq;

	(void)state;
	kernel.now.status = STA_PLL | STA_INS;
	kernel.now.offset = -700;
	assert_int_equal(clock_start(&clock, &freq), 0);
	assert_non_null(strstr(clock.note, "PLL"));
	assert_non_null(strstr(clock.note, "leap second"));
	assert_non_null(strstr(clock.note, "-700 us"));
	assert_int_equal(kernel.now.status, STA_UNSYNC);
	assert_int_equal(kernel.now.offset, 0);
}

static void test_start_folds_tick(void **state)
{
	struct clock clock;
	double freq;

	(void)state;
	kernel.now.tick += 2;	/* 200 ppm at USER_HZ 100 */
	kernel.now.freq = 50 << 16;
	assert_int_equal(clock_start(&clock, &freq), 0);
	assert_int_equal(kernel.now.tick, nominal_tick());
	assert_true(freq == 250000);
	assert_non_null(strstr(clock.note, "tick"));

	kernel.now.tick -= 7;
	assert_int_equal(clock_start(&clock, &freq), 0);
	assert_true(freq == -450000);

	kernel.now.tick -= 7;
	assert_int_equal(clock_start(&clock, &freq), 0);
	assert_true(freq == -500000);
	assert_non_null(strstr(clock.note, "limit"));
}

static void test_start_not_permitted(void **state)
{
	struct clock clock;
	double freq;

	(void)state;
	kernel.error = EPERM;
	assert_int_equal(clock_start(&clock, &freq), -EPERM);
}

/* --- setting */

static void test_step(void **state)
{
	static const int64_t steps[] = {
		1, -1, -300000000, -1000000000, -1000000001, 2500000000, -4999999999, 999999999,
	};
	struct clock clock = started();
	double freq;

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct node_clock want = { .step_ns = steps[i], .synchronised = true,
					   .maxerror_ns = 1000 };

		kernel.step_ns = 0;
		kernel.writes = 0;
		assert_int_equal(clock_set(&clock, &want, &freq), 0);
		assert_int_equal(kernel.step_ns, steps[i]);
		assert_int_equal(kernel.writes, 1);
		/* The step comes first: it does not undo status and error. */
		assert_int_equal(kernel.now.maxerror, 1);
		assert_false(kernel.now.status & STA_UNSYNC);
		assert_string_equal(clock.note, "");
	}
}

static void test_frequency(void **state)
{
	struct clock clock = started();
	struct node_clock want = { .freq_ppb = 1000, .maxerror_ns = 1, .esterror_ns = 2001 };
	double freq;

	(void)state;
	assert_int_equal(clock_set(&clock, &want, &freq), 0);
	assert_int_equal(kernel.now.freq, 65536);
	assert_true(freq == 1000);
	assert_int_equal(kernel.now.maxerror, 1);
	assert_int_equal(kernel.now.esterror, 3);
	assert_int_equal(kernel.step_ns, 0);
	assert_true(kernel.now.status & STA_UNSYNC);

	want.freq_ppb = -17.3;
	assert_int_equal(clock_set(&clock, &want, &freq), 0);
	assert_true(fabs(freq + 17.3) < 0.008);	/* half a unit of 2^-16 ppm */

	want.freq_ppb = 7e5;
	assert_int_equal(clock_set(&clock, &want, &freq), 0);
	assert_true(freq == 500000);
	want.freq_ppb = -7e5;
	assert_int_equal(clock_set(&clock, &want, &freq), 0);
	assert_true(freq == -500000);
	assert_string_equal(clock.note, "");
}

static void test_huge_error(void **state)
{
	struct clock clock = started();
	struct node_clock want = { .maxerror_ns = INT64_MAX, .esterror_ns = INT64_MAX };
	double freq;

	(void)state;
	assert_int_equal(clock_set(&clock, &want, &freq), 0);
	assert_int_equal(kernel.now.maxerror, INT64_MAX / 1000 + 1);
}

static void test_set_fails(void **state)
{
	struct clock clock = started();
	struct node_clock want = { .freq_ppb = 1000 };
	double freq = 42;

	(void)state;
	kernel.error = EPERM;
	assert_int_equal(clock_set(&clock, &want, &freq), -EPERM);
	assert_true(freq == 42);
	kernel.error = 0;
	assert_int_equal(clock_set(&clock, &want, &freq), 0);
	assert_string_equal(clock.note, "");
}

/* --- rivals */

static void noticed(struct clock *clock, const char *word)
{
	struct node_clock want = { .freq_ppb = 5000, .synchronised = true };
	double freq;

	assert_int_equal(clock_set(clock, &want, &freq), 0);
	if (!strstr(clock->note, word))
		fail_msg("\"%s\" does not say \"%s\"", clock->note, word);
	assert_int_equal(kernel.now.freq, 5 << 16);
	assert_int_equal(kernel.now.tick, nominal_tick());
	assert_int_equal(kernel.now.status & ~STA_RONLY, 0);
	/* Put right, it is not said again. */
	assert_int_equal(clock_set(clock, &want, &freq), 0);
	assert_string_equal(clock->note, "");
}

static void test_rivals(void **state)
{
	struct clock clock = started();
	struct node_clock want = { .freq_ppb = 5000, .synchronised = true };
	double freq;

	(void)state;
	assert_int_equal(clock_set(&clock, &want, &freq), 0);
	assert_string_equal(clock.note, "");

	kernel.now.freq = -(3 << 16);
	noticed(&clock, "frequency changed from +5.000 to -3.000 ppm");
	kernel.now.status |= STA_PLL;
	noticed(&clock, "PLL");
	kernel.now.tick++;
	noticed(&clock, "tick");
	kernel.now.offset = 1234;
	noticed(&clock, "+1234 us");
	kernel.now.status |= STA_PLL | STA_FREQHOLD;
	kernel.now.freq++;
	noticed(&clock, "PLL was on, the frequency was held");
	/* A step is the servo's to tell. */
	kernel.now.status |= STA_UNSYNC;
	noticed(&clock, "");
	want.synchronised = false;
	assert_int_equal(clock_set(&clock, &want, &freq), 0);
	kernel.now.status &= ~STA_UNSYNC;
	noticed(&clock, "marked synchronised");
}

static void test_is_synchronised(void **state)
{
	(void)state;
	kernel.now.status = STA_NANO;
	assert_true(clock_is_synchronised());
	kernel.now.status |= STA_UNSYNC;
	assert_false(clock_is_synchronised());
	assert_int_equal(kernel.writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_read_takes_narrowest, setup),
		cmocka_unit_test_setup(test_start_quiet, setup),
		cmocka_unit_test_setup(test_start_takes_over, setup),
		cmocka_unit_test_setup(test_start_folds_tick, setup),
		cmocka_unit_test_setup(test_start_not_permitted, setup),
		cmocka_unit_test_setup(test_step, setup),
		cmocka_unit_test_setup(test_frequency, setup),
		cmocka_unit_test_setup(test_huge_error, setup),
		cmocka_unit_test_setup(test_set_fails, setup),
		cmocka_unit_test_setup(test_rivals, setup),
		cmocka_unit_test_setup(test_is_synchronised, setup),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
