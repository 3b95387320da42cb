// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "window.c"

#define S	1000000000LL
#define MS	1000000LL
#define START	(1000 * S)

static uint64_t rng;

static double uniform(void)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return ((double)(rng >> 11) + 0.5) / 9007199254740992.0;
}

static double exponential(double mean)
{
	return -mean * log(uniform());
}

/* Delays above a floor of 30 us. */
static double quiet(void)
{
	return 30e3 + exponential(5e3);
}

static double busy(void)
{
	return 30e3 + exponential(20e3) + (uniform() < 0.05 ? 500e3 * uniform() : 0);
}

static double heavy(void)
{
	return 30e3 + 50e3 * (1 / sqrt(uniform()) - 1);	/* Lomax of shape 2: no variance */
}

static struct window_point exchange(int64_t at, double phase, double rate, double (*delay)(void))
{
	double there = delay(), back = delay();
	int64_t t4 = at + llrint(there + back);

	return (struct window_point){
		.t1 = at, .t4 = t4,
		.u = there + phase + rate * seconds(at - START),
		.v = back - phase - rate * seconds(t4 - START),
	};
}

/* n points, eight in every second; the phase is that at START. Returns the time of the last. */
static int64_t fill(struct window *w, int n, double phase, double rate, double (*delay)(void))
{
	int64_t at = START;

	*w = (struct window){ 0 };
	for (int i = 0; i < n; i++) {
		struct window_point p;

		at = START + i / 8 * S + i % 8 * 20 * MS;
		p = exchange(at, phase, rate, delay);
		window_add(w, &p);
	}
	return at + MS;
}

static void test_order(void **state)
{
	static const int64_t t1[] = { 5, 1, 4, 2, 9, 3, 3, 8 };
	static const int64_t sorted[] = { 9, 8, 5, 4, 3, 3, 2, 1 };
	struct window w = { 0 };

	(void)state;
	for (int i = 0; i < 8; i++)
		window_add(&w, &(struct window_point){ .t1 = t1[i], .u = (double)t1[i] });
	assert_int_equal(w.count, 8);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(window_point(&w, i + 1)->t1, sorted[i]);
		assert_true(window_point(&w, i + 1)->u == (double)sorted[i]);
	}
}

/* The ring wraps, and so does the counter of its head. */
static void test_full_ring(void **state)
{
	struct window w = { .head = UINT32_MAX - 700 };
	int n = 3 * WINDOW_POINTS;

	(void)state;
	for (int64_t i = 0; i < n; i++) {
		int64_t t1 = i % 5 ? i : i - 7;	/* every fifth one is late */

		window_add(&w, &(struct window_point){ .t1 = t1, .u = (double)t1 });
	}
	assert_int_equal(w.count, WINDOW_POINTS);
	for (unsigned int i = 2; i <= w.count; i++)
		assert_true(window_point(&w, i)->t1 <= window_point(&w, i - 1)->t1);
	assert_int_equal(window_point(&w, 1)->t1, n - 2);
	/* older than all: it takes the place of the one that it pushed out */
	window_add(&w, &(struct window_point){ .t1 = -100 });
	assert_int_equal(window_point(&w, WINDOW_POINTS)->t1, -100);
	assert_int_equal(window_point(&w, 1)->t1, n - 2);
}

static void test_keep_drop_shift(void **state)
{
	struct window w = { 0 };

	(void)state;
	for (int i = 1; i <= 10; i++)
		window_add(&w, &(struct window_point){ .t1 = i, .u = i, .v = -i });
	window_keep(&w, 20);
	assert_int_equal(w.count, 10);
	window_keep(&w, 8);		/* 10..3 */
	assert_int_equal(w.count, 8);
	window_drop(&w, 2, 2);		/* 9, 8 */
	assert_true(isfinite(window_point(&w, 1)->u));
	assert_true(isinf(window_point(&w, 2)->u) && isinf(window_point(&w, 3)->v));
	assert_true(isfinite(window_point(&w, 4)->u));
	window_shift(&w, 4, 100, -5);	/* 6..3, and what is useless stays it */
	assert_true(window_point(&w, 4)->u == 7 && window_point(&w, 5)->u == 106);
	assert_true(window_point(&w, 8)->u == 103 && window_point(&w, 8)->v == -8);
	assert_true(isinf(window_point(&w, 2)->u));
	window_drop(&w, 8, 100);	/* beyond the end */
	assert_true(isinf(window_point(&w, 8)->u));
	window_shift(&w, 100, 1, 1);
	assert_true(window_point(&w, 1)->u == 10);
}

static void test_floors(void **state)
{
	struct window w = { .spread_u = 1000, .spread_v = 2000 };
	struct floor u, v;

	(void)state;
	for (int i = 0; i < 4; i++)
		window_add(&w, &(struct window_point){
			.t1 = START + i * S, .t4 = START + i * S, .u = 100 + i, .v = 200 - i });
	assert_true(window_floors(&w, 2, 9, START + 4 * S, 10, &u, &v));
	assert_int_equal(u.n, 3);
	assert_float_equal(u.value, 122, 1e-9);		/* 2 s old */
	assert_float_equal(u.mean, 131, 1e-9);
	assert_float_equal(v.value, 160, 1e-9);		/* 4 s old */
	assert_float_equal(window_floor_var(&w, &u, &v), (1e6 + 4e6) / 36 + STAMP_VAR, 1e-6);
	window_drop(&w, 1, 4);
	assert_false(window_floors(&w, 1, 4, START, 0, &u, &v));
	assert_true(isinf(u.value) && !u.n);
	assert_false(window_floors(&w, 3, 2, START, 0, &u, &v));
}

/* A slow check of a fast search: the same floor as the smallest of all points. */
static void test_hull(void **state)
{
	static struct side s;
	static struct hull h;

	(void)state;
	rng = 1;
	for (int run = 0; run < 300; run++) {
		struct window_prior prior = { .rate_sigma_ppb = 100, .wander = run % 3 * 5 };

		s.n = 0;
		for (unsigned int i = 0, n = 1 + (unsigned int)(uniform() * 511); i < n; i++) {
			double x = s.n ? s.x[s.n - 1] + 0.2 * uniform() : -0.05;

			side_add(&s, x, run % 2 ? heavy() : quiet());
		}
		hull_make(&h, &s, &prior, 5e3);
		assert_true(h.n >= 1 && h.counted >= 1 && h.counted <= s.n);
		for (double slope = -3e3; slope <= 3e3; slope += 100) {
			double least = INFINITY, walk;

			for (unsigned int i = 0; i < s.n; i++)
				least = fmin(least, s.y[i] + slope * s.x[i] + SLACK *
					     window_walk(prior.wander, fmax(s.x[i], 0)));
			assert_float_equal(hull_floor(&h, slope, prior.wander, &walk), least, 1e-3);
			assert_true(walk >= 0);
		}
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void test_kth(void **state)
{
	(void)state;
	rng = 2;
	for (int run = 0; run < 2000; run++) {
		double value[40], sorted[40];
		unsigned int n = 1 + (unsigned int)(uniform() * 40);
		unsigned int k = (unsigned int)(uniform() * n);

		for (unsigned int i = 0; i < n; i++)	/* many are equal, or in order */
			value[i] = run % 4 == 0 ? i : run % 4 == 1 ? n - i : floor(uniform() * 8);
		memcpy(sorted, value, sizeof(value));
		qsort(sorted, n, sizeof(*sorted), by_value);
		assert_true(kth(value, n, k) == sorted[k]);
	}
}

/* The spread of the bulk, whatever the tail. */
static void test_spread(void **state)
{
	static const struct {
		double (*delay)(void);
		double low, high;
	} of[] = { { quiet, 3.5e3, 6.5e3 }, { busy, 15e3, 28e3 }, { heavy, 20e3, 42e3 } };
	struct window_prior prior = { .rate_sigma_ppb = 10, .wander = 1 };
	struct window w;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		for (int i = 0; i < 3; i++) {
			int64_t now;

			rng = seed * 7919;
			now = fill(&w, 256, 0, 0, of[i].delay);
			for (int k = 0; k < 4; k++)	/* each one looks further back */
				window_learn(&w, w.count, now, &prior);
			assert_true(w.spread_u > of[i].low && w.spread_u < of[i].high);
			assert_true(w.spread_v > of[i].low && w.spread_v < of[i].high);
		}
	}
}

/* How many points are of use: more for a quiet crystal, never fewer than a few. */
static void test_reach(void **state)
{
	struct window w;
	int64_t now;
	unsigned int last = WINDOW_POINTS + 1;

	(void)state;
	rng = 3;
	now = fill(&w, WINDOW_POINTS, 0, 0, quiet);
	w.spread_u = w.spread_v = 5e3;
	assert_int_equal(reach(&w, now, 0), WINDOW_POINTS);
	for (double wander = 0.1; wander < 1e4; wander *= 3) {
		unsigned int n = reach(&w, now, wander);
		double t = seconds(now - window_point(&w, n)->t1);

		assert_true(n <= last && n >= POINTS_MIN);
		if (n < w.count && n > POINTS_MIN)	/* as the formula says */
			assert_float_equal(t, REACH * pow(sqrt(3) * 5e3 / (wander * 8), 0.4), 1.2);
		last = n;
	}
	assert_int_equal(last, POINTS_MIN);
	w.suspect = 100;
	assert_int_equal(reach(&w, now, 1e4), 100 + POINTS_MIN);
	w.suspect = WINDOW_POINTS;
	assert_int_equal(reach(&w, now, 1e4), WINDOW_POINTS);
	w.suspect = 0;
	window_keep(&w, 1);
	assert_int_equal(reach(&w, now, 1e4), 1);
	assert_int_equal(reach(&w, window_point(&w, 1)->t1, 1), 1);
}

/* Errors over many seeds against the sigma that is claimed. */
static void honest(const char *name, double (*delay)(void), int n)
{
	double phase = 0, rate = 0, sigma = 0;
	const int seeds = 200;

	for (uint64_t seed = 1; seed <= seeds; seed++) {
		struct window_prior prior = { .rate_sigma_ppb = 200, .wander = 1 };
		struct window_estimate e;
		struct window w;
		int64_t now;

		rng = seed * 7919;
		now = fill(&w, n, 5e3, -300, delay);
		prior.rate_ppb = -300 + 200 * (uniform() + uniform() + uniform() - 1.5) * 2;
		window_learn(&w, w.count, now, &prior);
		assert_true(window_estimate(&w, now, &prior, &e));
		phase += pow((e.phase - 5e3 + 300 * seconds(now - START)) / e.sigma_ns, 2) / seeds;
		rate += pow((e.rate_ppb + 300) / e.rate_sigma_ppb, 2) / seeds;
		sigma += e.sigma_ns / seeds;
		assert_true(e.delay_ns > 55e3 && e.delay_ns < 120e3);
	}
	print_message("%s, %d points: error / sigma %.2f of phase, %.2f of rate; sigma %.0f ns\n",
		      name, n, sqrt(phase), sqrt(rate), sigma);
	assert_true(sqrt(phase) < 1.3 && sqrt(rate) < 1.3);
	/* not to be had by claiming little */
	assert_true(sqrt(phase) > 0.4);
}

static void test_sigma_is_honest(void **state)
{
	(void)state;
	honest("quiet", quiet, 16);
	honest("quiet", quiet, 64);
	honest("quiet", quiet, 400);
	honest("busy", busy, 16);
	honest("busy", busy, 64);
	honest("busy", busy, 400);
}

static void assert_finite(const struct window_estimate *e)
{
	assert_true(isfinite(e->phase) && isfinite(e->rate_ppb) && isfinite(e->delay_ns));
	assert_true(e->sigma_ns > 0 && isfinite(e->sigma_ns) && e->delay_ns >= 0);
	assert_true(e->rate_sigma_ppb >= 0 && isfinite(e->rate_sigma_ppb));
}

static void test_few(void **state)
{
	struct window_prior prior = { .rate_sigma_ppb = 100e3, .wander = 3 };
	struct window_estimate e;
	struct window w = { 0 };

	(void)state;
	/* one that had no delay whatever, in an instant that is the present */
	window_add(&w, &(struct window_point){ .t1 = START, .t4 = START });
	window_learn(&w, w.count, START, &prior);
	assert_true(window_estimate(&w, START, &prior, &e));
	assert_finite(&e);
	assert_float_equal(e.phase, 0, 1e-6);
	/* nothing is of use; or one direction only */
	window_drop(&w, 1, 1);
	window_learn(&w, w.count, START, &prior);
	assert_true(w.spread_u >= SPREAD_MIN);
	assert_false(window_estimate(&w, START, &prior, &e));
	window_add(&w, &(struct window_point){ .t1 = START, .t4 = START, .v = INFINITY });
	assert_false(window_estimate(&w, START, &prior, &e));
	window_add(&w, &(struct window_point){ .t1 = START + 1, .t4 = START + 1, .u = INFINITY });
	window_learn(&w, w.count, START + S, &prior);
	assert_true(window_estimate(&w, START + S, &prior, &e));
	assert_finite(&e);
}

/* Stamps that were wrong may be of the future. */
static void test_the_future(void **state)
{
	struct window_prior prior = { .rate_sigma_ppb = 350e3, .wander = 4 };
	struct window_estimate e;
	struct window w = { 0 };

	(void)state;
	rng = 5;
	for (int i = 0; i < 6; i++) {
		struct window_point p = exchange(START + i * 5000000LL, 1e6, 0, quiet);

		window_add(&w, &p);
	}
	window_learn(&w, w.count, START - 10 * S, &prior);
	assert_true(window_estimate(&w, START - 10 * S, &prior, &e));
	assert_finite(&e);
}

/* All at one instant, years apart, phases of centuries, priors of nothing and of anything */
static void test_extremes(void **state)
{
	static const int64_t apart[] = { 0, 1, 100 * S, 10000000 * S };
	static const double phase[] = { 0, 1e9, 4e18 }, sigma[] = { 1e-6, 1, 1e5, 1e7 },
			    wander[] = { 0.3, 100 };

	(void)state;
	rng = 4;
	for (int k = 0; k < 4 * 3 * 4 * 2; k++) {
		struct window_prior prior = {
			.rate_ppb = k % 5 ? 500e3 : -500e3, .rate_sigma_ppb = sigma[k / 12 % 4],
			.wander = wander[k / 48],
		};
		struct window_estimate e;
		struct window w = { 0 };
		int64_t at = START;

		for (int i = 0; i < WINDOW_POINTS; i++, at += apart[k % 4] / (i < 500 ? 100 : 1)) {
			struct window_point p = exchange(START, phase[k / 4 % 3], 0,
							 k & 1 ? heavy : quiet);

			p.t1 = p.t4 = at;
			window_add(&w, &p);
		}
		window_learn(&w, w.count, at, &prior);
		assert_true(window_estimate(&w, at, &prior, &e));
		assert_finite(&e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_full_ring),
		cmocka_unit_test(test_keep_drop_shift),
		cmocka_unit_test(test_floors),
		cmocka_unit_test(test_hull),
		cmocka_unit_test(test_kth),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_sigma_is_honest),
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_the_future),
		cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
