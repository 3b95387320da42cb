// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wander.c"

#define R	(100.0 * 100.0)	/* ns^2: of a measurement */

/* A crystal whose rate walks by so much per sqrt(s), measured once a second */
static struct {
	struct wander w;
	double phase, rate;
	uint64_t rng;
} c;

static double uniform(void)
{
	c.rng = c.rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return ((double)(c.rng >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

static void begin(uint64_t seed)
{
	c.rng = seed * 7919;
	c.phase = 100 * normal();
	c.rate = 10e3;
	wander_init(&c.w, 0, 100, 0, 100e3);
}

static void assert_sane(const struct kalman *k)
{
	assert_true(isfinite(k->phase) && isfinite(k->rate));
	assert_true(k->p00 > 0 && k->p11 > 0);
	assert_true(k->p00 * k->p11 - k->p01 * k->p01 >= -1e-9 * k->p00 * k->p11);
}

static void assert_all_sane(void)
{
	for (int i = 0; i < WANDER_MODELS; i++)
		assert_sane(&c.w.kf[i]);
	assert_sane(&c.w.mean);
	assert_true(c.w.ppb >= walk[0] && c.w.ppb <= walk[WANDER_MODELS - 1]);
}

static void run(int seconds, double ppb)
{
	for (int i = 0; i < seconds; i++) {
		double before = c.rate;

		c.rate += ppb * normal();
		c.phase += (before + c.rate) / 2;
		wander_predict(&c.w, 1);
		wander_update(&c.w, c.phase + 100 * normal() - c.w.mean.phase, R);
		assert_all_sane();
	}
}

static void test_finds_the_wander(void **state)
{
	static const double fed[] = { 1, 10, 30 };

	(void)state;
	for (size_t i = 0; i < sizeof(fed) / sizeof(*fed); i++) {
		double sum = 0;
		int close = 0;

		for (uint64_t seed = 1; seed <= 20; seed++) {
			begin(seed);
			run(300, fed[i]);
			sum += log(c.w.ppb / fed[i]);
			close += fabs(log(c.w.ppb / fed[i])) < log(2);
		}
		print_message("%g ppb: found %.2f of it\n", fed[i], exp(sum / 20));
		assert_true(fabs(sum / 20) < log(1.5));
		assert_true(close >= 17);
	}
}

static void test_sigma_is_honest(void **state)
{
	static const double fed[] = { 1, 10, 30 };

	(void)state;
	for (size_t i = 0; i < sizeof(fed) / sizeof(*fed); i++) {
		double phase = 0, rate = 0;

		for (uint64_t seed = 1; seed <= 200; seed++) {
			begin(seed);
			run(100, fed[i]);
			phase += pow(c.w.mean.phase - c.phase, 2) / c.w.mean.p00 / 200;
			rate += pow(c.w.mean.rate - c.rate, 2) / c.w.mean.p11 / 200;
		}
		print_message("%g ppb: error / sigma %.2f of phase, %.2f of rate\n", fed[i],
			      sqrt(phase), sqrt(rate));
		assert_true(sqrt(phase) > 0.7 && sqrt(phase) < 1.3);
		assert_true(sqrt(rate) > 0.6 && sqrt(rate) < 1.4);
	}
}

/* No model is far enough behind to take long. */
static void test_sudden_change(void **state)
{
	int slowest = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		int n = 0;

		begin(seed);
		run(1000, 1);
		assert_true(c.w.ppb < 5);
		while (c.w.ppb < 20) {
			run(1, 100);
			assert_true(++n <= 30);
		}
		slowest = n > slowest ? n : slowest;
	}
	print_message("from 1 to 100 ppb: noticed within %d s\n", slowest);
}

static void test_doubt(void **state)
{
	struct kalman before;

	(void)state;
	begin(1);
	run(100, 1);
	before = c.w.mean;
	wander_doubt(&c.w, 1000, 500);
	assert_all_sane();
	assert_float_equal(c.w.mean.phase, before.phase, 1e-6);
	assert_float_equal(c.w.mean.p00, before.p00 + 1e6, 1);
	assert_float_equal(c.w.mean.p11, before.p11 + 25e4, 1);
	/* a new rate is learned at once */
	c.rate += 400;
	run(5, 1);
	assert_float_equal(c.w.mean.rate, c.rate, 200);
	wander_doubt(&c.w, 0, 1e300);	/* no crystal is that bad */
	assert_true(c.w.mean.p11 < 1.1e10);
	assert_all_sane();
}

/* Long silence, no time at all, an exact measurement, and one beyond all reason */
static void test_extremes(void **state)
{
	(void)state;
	begin(1);
	run(10, 1);
	wander_predict(&c.w, 0);
	assert_all_sane();
	wander_predict(&c.w, 86400 * 365.0);
	assert_all_sane();
	wander_update(&c.w, 1e15, 1);
	assert_all_sane();
	for (int i = 0; i < 1000; i++) {
		wander_predict(&c.w, 0);
		wander_update(&c.w, 0, 1e-3);
		assert_all_sane();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_the_wander),
		cmocka_unit_test(test_sigma_is_honest),
		cmocka_unit_test(test_sudden_change),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
