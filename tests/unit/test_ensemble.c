// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ensemble.c"

static struct ensemble e;

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
	for (size_t i = 0; i < n; i++)
		e.member[i] = (struct ensemble_member){
			.eligible = true, .offset_ns = offset[i], .sigma_ns = sigma,
		};
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
	assert_int_equal(e.used, 1);

	fill(4, four, 1);
	assert_true(ensemble_gather(&e));
	assert_float_equal(e.offset_ns, 0.5e9, 1e-3);
	assert_float_equal(weights(), 1, 1e-12);
	assert_true(e.member[2].weight == 0 && e.member[3].weight == 0);

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
	assert_float_equal(ensemble_member_bound(&e, 1), 500, 1e-6);
}

static void test_rate(void **state)
{
	static const double offset[] = { 0, 0, 0, 0, 0 };
	static const double rate[] = { 0, 10e3, -20e3, 30e3, 500e3 };

	(void)state;
	fill(5, offset, 1);
	for (size_t i = 0; i < 5; i++) {
		e.member[i].rate_ppb = rate[i];
		e.member[i].rate_sigma_ppb = 1e9;
	}
	e.member[0].rate_sigma_ppb = 0;
	assert_true(ensemble_agree(&e, 1000, NAN));
	e.rate_known = e.rate_settled = false;
	ensemble_rate(&e, INT64_C(1000000000));
	assert_false(e.rate_known);	/* one of five */

	for (size_t i = 0; i < 5; i++)
		e.member[i].rate_sigma_ppb = 1000;
	ensemble_rate(&e, INT64_C(2000000000));
	assert_true(e.rate_known);
	assert_false(e.rate_settled);
	assert_float_equal(e.rate_ppb, 40e3 / 3, 1e-6);

	for (size_t i = 0; i < 5; i++)
		e.member[i].rate_sigma_ppb = 10;
	ensemble_rate(&e, INT64_C(3000000000));
	assert_true(e.rate_settled);

	/* all crystals change: that is followed within a minute or two */
	for (size_t i = 0; i < 5; i++)
		e.member[i].rate_ppb += 300;
	for (int64_t s = 4; s < 304; s++)
		ensemble_rate(&e, s * 1000000000);
	assert_float_equal(e.rate_ppb, 40e3 / 3 + 300, 1);

	/* one leaves: the rate stays, for those that have left, and follows in the end */
	e.member[3].weight = 0;
	ensemble_rate(&e, INT64_C(304000000000));
	assert_float_equal(e.rate_ppb, 40e3 / 3 + 300, 1);
	for (int64_t s = 305; s < 314; s++)
		ensemble_rate(&e, s * 1000000000);
	assert_true(fabs(e.rate_ppb - 40e3 / 3 - 300) < 30);
	for (int64_t s = 314; s < 10000; s++)
		ensemble_rate(&e, s * 1000000000);
	assert_float_equal(e.rate_ppb, 5300, 5);
}

static void test_many(void **state)
{
	(void)state;
	assert_int_equal(ensemble_reserve(&e, 5001), 0);
	e.n = 5001;
	for (size_t i = 0; i < e.n; i++)
		e.member[i] = (struct ensemble_member){
			.eligible = true, .offset_ns = i % 3 ? (double)i : 1e12 * (double)i,
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
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
