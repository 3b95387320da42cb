// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_module.h"

#include "ctl_peers.c"
#include "ctl_show.c"

static const struct ctl text, json = { .json = true };

static int setup(void **state)
{
	reset_module(state);
	module.status = (struct bnl_status){
		.version = "1.2.3", .node_id = 0xff, .port = 5525,
		.state = BERK_STATE_SYNCHRONISED, .role = BERK_ROLE_MASTER,
		.offset_ns = 350, .error_bound_ns = UINT64_MAX, .round_age_ms = 20,
		.error_growth_ppb = 300, .void_after_ms = 5000,
	};
	module.status.counters[BERK_CNT_REJECTED] = 7;
	add_peer("192.0.2.1");
	return 0;
}

static void test_status(void **state)
{
	(void)state;
	assert_int_equal(run_verb(ctl_status, text, 0, NULL), CTL_OK);
	assert_non_null(strstr(printed, "state         synchronised\n"));
	assert_non_null(strstr(printed, "offset        -\nerror bound   -\n"
			       "error growth  -\nvoid after    5.0 s\n"));
	assert_non_null(strstr(printed, "\n\nrejected  7\n\naddress "));
	assert_null(strstr(printed, "probes tx"));
	assert_string_equal(complained, "");
	module.status.role = BERK_ROLE_STANDBY;
	module.status.master_id = 0xabc;
	module.status.term = 77;
	module.status.counters[BERK_CNT_FOREIGN] = 3;
	assert_int_equal(run_verb(ctl_status, text, 0, NULL), CTL_OK);
	assert_non_null(strstr(printed, "role          standby\n"));
	assert_non_null(strstr(printed, "master id     0000000000000abc\nterm          77\n"));
	assert_non_null(strstr(printed, "\nforeign   3\n"));
	assert_non_null(strstr(complained, "another cluster"));
	module.status.error_bound_ns = 1500;
	assert_int_equal(run_verb(ctl_status, text, 0, NULL), CTL_OK);
	assert_non_null(strstr(printed, "offset        +350 ns\nerror bound   +-1.50 us\n"
			       "error growth  300 ns/s\nvoid after    5.0 s\n"));
	module.status.role = BERK_ROLE_NONE;
	assert_int_equal(run_verb(ctl_status, text, 0, NULL), CTL_OK);
	assert_non_null(strstr(complained, "start berkd"));
	module.status_err = -EPROTO;
	assert_int_equal(run_verb(ctl_status, text, 0, NULL), CTL_FAILED);
	assert_string_equal(printed, "");
	assert_string_equal(complained, "berkctl: reading the status: the reason\n");
}

static void test_status_json(void **state)
{
	struct json_object *parsed, *counters;

	(void)state;
	assert_int_equal(run_verb(ctl_status, json, 0, NULL), CTL_OK);
	parsed = json_tokener_parse(printed);
	counters = json_object_object_get(parsed, "counters");
	assert_int_equal(json_object_object_length(counters), BERK_CNT_MAX);
	assert_int_equal(json_object_get_int(json_object_object_get(counters, "rejected")), 7);
	assert_string_equal(json_object_get_string(json_object_object_get(parsed, "role")),
			    "master");
	assert_null(json_object_object_get(parsed, "error_bound_ns"));
	assert_null(json_object_object_get(parsed, "error_growth_ppb"));
	assert_int_equal(json_object_get_int(json_object_object_get(parsed, "void_after_ms")), 5000);
	json_object_put(parsed);
}

static void test_version(void **state)
{
	(void)state;
	assert_int_equal(run_verb(ctl_version, text, 0, NULL), CTL_OK);
	assert_string_equal(printed, "berkctl " BERK_VERSION "\nmodule  1.2.3\n");
	module.open = -ENOENT;
	assert_int_equal(run_verb(ctl_version, text, 0, NULL), CTL_OK);
	assert_string_equal(printed, "berkctl " BERK_VERSION "\nmodule  not loaded\n");
	assert_int_equal(run_verb(ctl_status, text, 0, NULL), CTL_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_status, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_status_json, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_version, setup, reset_module),
	};

	return cmocka_run_group_tests_name("ctl_show", tests, NULL, NULL);
}
