// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "fake_module.h"

#define T0 1795429825000000000	/* 2026-11-23T10:30:25Z */

/* A clock that is read before and after each status. */
static struct {
	int64_t reads[10];
	int n;
	bool stepped;
} clk;

static int64_t fake_clock_read(struct node_now *now)
{
	now->real_ns = clk.reads[clk.n++];
	return 0;
}

static bool fake_clock_is_synchronised(void)
{
	return !clk.stepped;
}

#define clock_read fake_clock_read
#define clock_is_synchronised fake_clock_is_synchronised
#include "ctl_now.c"

static const struct ctl text, json = { .json = true };

static int setup(void **state)
{
	reset_module(state);
	module.status = (struct bnl_status){
		.state = BERK_STATE_SYNCHRONISED, .role = BERK_ROLE_SLAVE,
		.error_bound_ns = 12000, .error_growth_ppb = 300, .void_after_ms = 4800,
	};
	memset(&clk, 0, sizeof(clk));
	/* The third takes 601 ns, the others 5 us. */
	for (int i = 0; i < 10; i++)
		clk.reads[i] = T0 + i * 5000;
	clk.reads[5] = clk.reads[4] + 601;
	return 0;
}

static int now(struct ctl ctl)
{
	clk.n = 0;
	return run_verb(ctl_now, ctl, 0, NULL);
}

static void test_text(void **state)
{
	(void)state;
	assert_int_equal(now(text), CTL_OK);
	/* T0 + 20 us - 12 us; T0 + 20.601 us + 12 us */
	assert_string_equal(printed,
		"earliest      2026-11-23T10:30:25.000008000Z\n"
		"latest        2026-11-23T10:30:25.000032601Z\n"
		"error bound   +-12.31 us\n"
		"error growth  300 ns/s\n"
		"state         synchronised\n"
		"void after    4.8 s\n");
	assert_string_equal(complained, "");
	assert_int_equal(run_verb(ctl_now, text, 1, NULL), CTL_USAGE);
}

static int64_t number(struct json_object *parsed, const char *name)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(parsed, name, &value));
	assert_true(json_object_is_type(value, json_type_int));
	return json_object_get_int64(value);
}

static void test_json(void **state)
{
	struct json_object *parsed;

	(void)state;
	assert_int_equal(now(json), CTL_OK);
	parsed = json_tokener_parse(printed);
	assert_true(number(parsed, "earliest_ns") == T0 + 8000);
	assert_true(number(parsed, "latest_ns") == T0 + 32601);
	assert_int_equal(number(parsed, "error_bound_ns"), 12301);
	assert_int_equal(number(parsed, "error_growth_ppb"), 300);
	assert_int_equal(number(parsed, "void_after_ms"), 4800);
	assert_string_equal(json_object_get_string(json_object_object_get(parsed, "earliest")),
			    "2026-11-23T10:30:25.000008000Z");
	assert_string_equal(json_object_get_string(json_object_object_get(parsed, "state")),
			    "synchronised");
	json_object_put(parsed);
}

/* The interval is as good as the bound; but a script is to know. */
static void test_holdover(void **state)
{
	(void)state;
	module.status.state = BERK_STATE_HOLDOVER;
	assert_int_equal(now(text), CTL_NOT_SYNCHRONISED);
	assert_non_null(strstr(printed, "latest        2026-11-23T10:30:25.000032601Z\n"));
	assert_non_null(strstr(printed, "state         holdover\n"));
	assert_non_null(strstr(complained, "berkctl: holdover: "));
}

static void no_interval(const char *why)
{
	struct json_object *parsed;

	assert_int_equal(now(text), CTL_NOT_SYNCHRONISED);
	assert_string_equal(printed, "state  unsynchronised\n");
	assert_non_null(strstr(complained, why));
	assert_int_equal(now(json), CTL_NOT_SYNCHRONISED);
	assert_non_null(strstr(complained, why));
	parsed = json_tokener_parse(printed);
	assert_int_equal(json_object_object_length(parsed), 8);
	assert_null(json_object_object_get(parsed, "earliest_ns"));
	assert_null(json_object_object_get(parsed, "earliest"));
	assert_null(json_object_object_get(parsed, "latest_ns"));
	assert_null(json_object_object_get(parsed, "error_bound_ns"));
	assert_null(json_object_object_get(parsed, "error_growth_ppb"));
	json_object_put(parsed);
}

static void test_unsynchronised(void **state)
{
	(void)state;
	module.status.state = BERK_STATE_UNSYNCHRONISED;
	no_interval("the group's time is not known");
	module.status.role = BERK_ROLE_NONE;
	no_interval("start berkd");
}

/* Unknown, or so large that the ends would not fit. */
static void test_unknown_bound(void **state)
{
	(void)state;
	module.status.error_bound_ns = UINT64_MAX;
	no_interval("the group's time is not known");
	module.status.error_bound_ns = INT64_MAX - T0;
	no_interval("the group's time is not known");
}

static void test_stepped(void **state)
{
	(void)state;
	clk.stepped = true;
	no_interval("another program has just set this clock");
	module.status.state = BERK_STATE_HOLDOVER;
	no_interval("another program has just set this clock");
}

/* In the middle of every reading: the interval contains both times. */
static void test_set_back(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		clk.reads[i] = i % 2 ? T0 - 1000000 : T0;
	assert_int_equal(now(text), CTL_OK);
	assert_non_null(strstr(printed, "earliest      2026-11-23T10:30:24.998988000Z\n"
			       "latest        2026-11-23T10:30:25.000012000Z\n"
			       "error bound   +-512.00 us\n"));
}

static void test_failures(void **state)
{
	(void)state;
	module.status_err = -EPROTO;
	assert_int_equal(now(text), CTL_FAILED);
	assert_string_equal(complained, "berkctl: reading the status: the reason\n");
	module.open = -ENOENT;
	assert_int_equal(now(text), CTL_FAILED);
	assert_non_null(strstr(complained, "modprobe berk"));
	assert_string_equal(printed, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_json, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_holdover, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_unsynchronised, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_unknown_bound, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_stepped, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_set_back, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_failures, setup, reset_module),
	};

	return cmocka_run_group_tests_name("ctl_now", tests, NULL, NULL);
}
