// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ensemble.c"

static struct ensemble e;
static double seen[8];

static int setup(void **state)
{
	(void)state;
	return ensemble_reserve(&e, 8);
}

static int teardown(void **state)
{
	(void)state;
	ensemble_free(&e);
	return 0;
}

static void fill(size_t n, const double *offset, double sigma)
{
	e.n = n;
	for (size_t i = 0; i < n; i++) {
		seen[i] = NAN;
		e.member[i] = (struct ensemble_member){
			.known = true, .eligible = true, .offset_ns = offset[i], .sigma_ns = sigma,
			.rate_seen = &seen[i],
		};
	}
}

static double weights(void)
{
	double sum = 0;

	for (size_t i = 0; i < e.n; i++)
		sum += e.member[i].weight;
	return sum;
}

static void test_gather(void **state)
{
	static const double two[] = { 0, 10e9 };
	static const double three[] = { 1e9, -1e18, 2e9 };
	static const double four[] = { 0, 1e9, 2e9, -1e18 };
	static const double seven[] = { 0, 1, 2, 3, 4, 1e15, -1e15 };

	(void)state;
	fill(2, two, 1);
	assert_true(ensemble_gather(&e));
	assert_float_equal(e.offset_ns, 5e9, 1e-3);
	assert_int_equal(e.used, 2);

	fill(3, three, 1);
	assert_true(ensemble_gather(&e));
	assert_float_equal(e.offset_ns, 1e9, 1e-3);
	assert_int_equal(e.used, 3);

	fill(4, four, 1);
	assert_true(ensemble_gather(&e));
	assert_float_equal(e.offset_ns, 0.5e9, 1e-3);
	assert_float_equal(weights(), 1, 1e-12);

	fill(7, seven, 1);
	assert_true(ensemble_gather(&e));
	assert_float_equal(e.offset_ns, 2, 1e-9);

	fill(7, seven, 1);
	for (size_t i = 0; i < 7; i++)
		e.member[i].eligible = i == 3;
	assert_true(ensemble_gather(&e));
	assert_float_equal(e.offset_ns, 3, 1e-9);
	e.member[3].eligible = false;
	assert_false(ensemble_gather(&e));
}

/* Equal offsets may put more than n - 2f members between the bounds. */
static void test_gather_ties(void **state)
{
	static const double same[] = { 5, 5, 5, 5 };

	(void)state;
	fill(4, same, 1);
	assert_true(ensemble_gather(&e));
	assert_float_equal(e.offset_ns, 5, 0);
	assert_float_equal(weights(), 1, 1e-12);
}

static void test_falseticker(void **state)
{
	static const double offset[] = { 0, 100, -100, 50, 2e9 };

	(void)state;
	fill(5, offset, 100);
	assert_true(ensemble_agree(&e, 1000, NAN));
	assert_float_equal(e.offset_ns, 12.5, 1e-6);
	assert_int_equal(e.used, 4);
	assert_true(e.member[4].weight == 0);
	assert_float_equal(weights(), 1, 1e-12);
}

/* The measuring node itself may be the one that is wrong. */
static void test_self_false(void **state)
{
	static const double offset[] = { 0, 2e9, 2e9 + 10, 2e9 - 10 };

	(void)state;
	fill(4, offset, 100);
	e.member[0].sigma_ns = 0;
	assert_true(ensemble_agree(&e, 1000, NAN));
	assert_float_equal(e.offset_ns, 2e9, 1e-3);
	assert_true(e.member[0].weight == 0);
}

static void test_two(void **state)
{
	static const double near[] = { 0, 300 }, apart[] = { 0, 2e9 };

	(void)state;
	fill(2, near, 100);
	e.member[0].sigma_ns = 0;
	assert_true(ensemble_agree(&e, 1000, NAN));
	assert_float_equal(e.offset_ns, 150, 1e-9);	/* the cap makes them equal */

	fill(2, apart, 100);
	assert_false(ensemble_agree(&e, 1000, NAN));
	assert_float_equal(weights(), 0, 0);
	/* the group's past decides */
	assert_true(ensemble_agree(&e, 1000, 2e9 + 5));
	assert_float_equal(e.offset_ns, 2e9, 1e-3);
	assert_true(ensemble_agree(&e, 1000, 3));
	assert_float_equal(e.offset_ns, 0, 1e-9);
	assert_false(ensemble_agree(&e, 1000, 1e9));
}

static void test_no_majority(void **state)
{
	static const double offset[] = { 0, 1, 1e6, 2e6, 3e6 };

	(void)state;
	fill(5, offset, 1);
	assert_false(ensemble_agree(&e, 10, NAN));
	assert_false(ensemble_agree(&e, 10, 2e6));
	fill(5, offset, 1);
	for (size_t i = 0; i < 5; i++)
		e.member[i].eligible = false;
	assert_false(ensemble_agree(&e, 10, 0));
}

/* A set of three is larger than one of two, wherever the past points. */
static void test_past_has_no_weight(void **state)
{
	static const double offset[] = { 0, 1, 1e6, 1e6 + 1, 1e6 + 2 };

	(void)state;
	fill(5, offset, 1);
	assert_true(ensemble_agree(&e, 10, 1e6 + 20));
	assert_float_equal(e.offset_ns, 1e6 + 1, 1e-6);
	assert_int_equal(e.used, 3);
}

static void test_cap(void **state)
{
	static const double offset[] = { 0, 10, 20, 30 };

	(void)state;
	fill(4, offset, 10);
	e.member[0].sigma_ns = 0.001;	/* would be all of a plain weighted mean */
	assert_true(ensemble_agree(&e, 1000, NAN));
	assert_float_equal(e.offset_ns, 15, 1e-9);
	fill(4, offset, 10);
	e.member[3].sigma_ns = 20;
	assert_true(ensemble_agree(&e, 1000, NAN));
	assert_float_equal(e.member[3].weight, 0.25 / 3.25, 1e-9);
}

static void test_uncertainty(void **state)
{
	static const double offset[] = { 0, 0 };

	(void)state;
	fill(2, offset, 100);
	e.member[0].sigma_ns = 0;
	e.member[1].bound_ns = 1000;
	assert_true(ensemble_agree(&e, 1000, NAN));
	/* group = e1 / 2: both are half its error away from it */
	assert_float_equal(ensemble_member_sigma(&e, 0), 50, 1e-6);
	assert_float_equal(ensemble_member_sigma(&e, 1), 50, 1e-6);
	assert_float_equal(ensemble_member_bound(&e, 0), 500, 1e-6);
	/* a slave's own path, the master's mean of all of them */
	assert_float_equal(ensemble_member_bound(&e, 1), 1000, 1e-6);
}

/* One that begins to go wrong, within the tolerance, is not averaged; it stays a member. */
static void test_outlier(void **state)
{
	static const double offset[] = { 0, 100, -100, 50, 20e3 };

	(void)state;
	fill(5, offset, 100);
	assert_true(ensemble_agree(&e, 100e3, 0));
	assert_float_equal(e.offset_ns, 12.5, 1e-6);
	assert_true(e.member[4].agrees && e.member[4].weight == 0);
	/* but if all are scattered like that, it is one of them */
	e.member[0].offset_ns = -21e3;
	e.member[1].offset_ns = 13e3;
	e.member[2].offset_ns = -9e3;
	assert_true(ensemble_agree(&e, 100e3, 0));
	assert_int_equal(e.used, 5);
}

static int64_t now;

static void rates(size_t n, const double *rate, double sigma)
{
	static const double together[8];

	fill(n, together, 1);
	for (size_t i = 0; i < n; i++) {
		e.member[i].rate_ppb = rate[i];
		e.member[i].rate_sigma_ppb = sigma;
	}
	assert_true(ensemble_agree(&e, 1000, NAN));
	e.rate_known = e.rate_settled = false;
	e.rate_age = 0;
	now = 0;
}

static void rounds(unsigned int n)
{
	while (n--)
		ensemble_rate(&e, now += INT64_C(1000000000));
}

static void test_rate(void **state)
{
	static const double rate[] = { 0, 10e3, -20e3, 30e3, 25e3 };

	(void)state;
	rates(5, rate, 1e9);
	e.member[0].rate_sigma_ppb = 0;
	rounds(1);
	assert_false(e.rate_known);	/* one of five */

	rates(5, rate, 1000);
	rounds(1);
	assert_true(e.rate_known);
	assert_false(e.rate_settled);
	assert_float_equal(e.rate_ppb, 9e3, 1e-6);	/* the plain mean */

	rates(5, rate, 10);
	rounds(200);
	assert_true(e.rate_settled);
	/* all of the others' crystals change, little by little: that is followed */
	for (int k = 0; k < 300; k++) {
		for (size_t i = 0; i < 5; i++)
			e.member[i].rate_ppb += 1;
		rounds(1);
	}
	rounds(200);
	assert_float_equal(e.rate_ppb, 9300, 1);

	/* one leaves: the rate stays, for those that have left, and follows in the end */
	e.member[3].weight = 0;
	rounds(60);
	assert_true(fabs(e.rate_ppb - 9300) < 6);
	rounds(100000);
	assert_float_equal(e.rate_ppb, 4050, 5);
}

/* A liar moves the rate no further than the others are spread. */
static void test_rate_liar(void **state)
{
	static const double rate[] = { 0, 1e3, 2e3, 3e3, 500e3 };

	(void)state;
	rates(5, rate, 10);
	rounds(10);
	assert_float_equal(e.rate_ppb, 3e3, 1e-6);
}

/* One crystal jumps: its own affair. All the others do: it was the local one. */
static void test_rate_jump(void **state)
{
	static const double rate[] = { 0, 10e3, -20e3, 30e3, 25e3 };

	(void)state;
	rates(5, rate, 10);
	rounds(200);
	e.member[2].rate_ppb += 200e3;
	rounds(60);
	assert_true(fabs(e.rate_ppb - 9e3) < 6);

	rates(5, rate, 10);
	rounds(200);
	for (size_t i = 1; i < 5; i++)
		e.member[i].rate_ppb -= 200e3;
	rounds(1);
	assert_float_equal(e.rate_ppb, 9e3 - 200e3, 1);
	rounds(60);
	assert_true(fabs(e.rate_ppb - 9e3 + 200e3) < 6);
}

/* A group that was there before is taken over with the rate that it had. */
static void test_rate_inherited(void **state)
{
	static const double rate[] = { 0, 10e3, -20e3, 30e3, 25e3 };

	(void)state;
	rates(5, rate, 10);
	ensemble_inherit_rate(&e, 12e3, 10, 5);
	assert_true(e.rate_known);
	rounds(1);
	assert_float_equal(e.rate_ppb, 12e3, 1);	/* whatever the mean is now */
	for (size_t i = 1; i < 5; i++)
		e.member[i].rate_ppb -= 5e3;	/* our crystal's change */
	rounds(60);
	assert_float_equal(e.rate_ppb, 7e3, 10);
}

/* If that was not sure, it is kept only until most members' rates are known. */
static void test_unsure_rate_inherited(void **state)
{
	static const double rate[] = { 0, 10e3, -20e3, 30e3, 25e3 };

	(void)state;
	rates(5, rate, 10);
	for (size_t i = 2; i < 5; i++)
		e.member[i].rate_sigma_ppb = 50e3;
	ensemble_inherit_rate(&e, 12e3, 1000, 5);
	rounds(10);
	assert_float_equal(e.rate_ppb, 12e3, 1);
	for (size_t i = 2; i < 5; i++)
		e.member[i].rate_sigma_ppb = 10;
	rounds(60);
	assert_float_equal(e.rate_ppb, 9e3, 10);
}

static void test_many(void **state)
{
	(void)state;
	assert_int_equal(ensemble_reserve(&e, 5001), 0);
	e.n = 5001;
	for (size_t i = 0; i < e.n; i++)
		e.member[i] = (struct ensemble_member){
			.known = true, .eligible = true,
			.offset_ns = i % 3 ? (double)i : 1e12 * (double)i,
			.sigma_ns = 2000,
		};
	assert_true(ensemble_agree(&e, 1000, NAN));
	assert_int_equal(e.used, 3335);	/* 0 of the wrong third is right by chance */
	assert_float_equal(weights(), 1, 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_gather_ties),
		cmocka_unit_test(test_falseticker),
		cmocka_unit_test(test_self_false),
		cmocka_unit_test(test_two),
		cmocka_unit_test(test_no_majority),
		cmocka_unit_test(test_past_has_no_weight),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_uncertainty),
		cmocka_unit_test(test_outlier),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_rate_liar),
		cmocka_unit_test(test_rate_jump),
		cmocka_unit_test(test_rate_inherited),
		cmocka_unit_test(test_unsure_rate_inherited),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
