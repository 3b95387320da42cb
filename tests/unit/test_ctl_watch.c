// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_module.h"

#include "ctl_watch.c"

static const struct ctl text, json = { .json = true };

static int setup(void **state)
{
	reset_module(state);
	for (int i = 0; i < 3; i++)
		module.samples[i] = (struct berk_sample){
			.seq = 10 + i, .peer = 1, .round = 2, .node_id = 0xab,
			.t1 = { 1000, 1 }, .t2 = { 1300, 2 }, .t3 = { 1400, 3 }, .t4 = { 1500, 4 },
			.src = { BERK_STAMP_DRIVER, BERK_STAMP_LATE, BERK_STAMP_SOFT, 99 },
			.flags = i,
		};
	module.nsamples = 3;
	return 0;
}

static int lines(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static void test_samples(void **state)
{
	(void)state;
	assert_int_equal(run_verb(ctl_samples, text, 0, NULL), CTL_OK);
	assert_int_equal(lines(printed), 4);
	assert_int_equal(strncmp(printed, "seq\tpeer\tround\tnode_id\toffset_ns\t", 32), 0);
	assert_non_null(strstr(printed, "\n10\t1\t2\t00000000000000ab\t100\t400\tdls?\t-\t"
			       "1000\t1300\t1400\t1500\t1\t2\t3\t4\n11\t"));
	assert_non_null(strstr(printed, "\tlocal_step\t"));
	assert_non_null(strstr(printed, "\tpeer_step\t"));
	module.samples_err = -EPERM;
	assert_int_equal(run_verb(ctl_samples, text, 0, NULL), CTL_FAILED);
	assert_int_equal(run_verb(ctl_samples, text, 1, NULL), CTL_USAGE);
}

/* A peer may send any time as T2 and T3. */
static void test_absurd_times(void **state)
{
	(void)state;
	module.nsamples = 1;
	module.samples[0].t2.real_ns = INT64_MIN;
	module.samples[0].t3.real_ns = INT64_MAX;
	assert_int_equal(run_verb(ctl_samples, text, 0, NULL), CTL_OK);
	assert_non_null(strstr(printed, "\t-9223372036854775808\t9223372036854775807\t1500\t"));
}

static void test_samples_json(void **state)
{
	struct json_object *list;

	(void)state;
	assert_int_equal(run_verb(ctl_samples, json, 0, NULL), CTL_OK);
	list = json_tokener_parse(printed);
	assert_int_equal(json_object_array_length(list), 3);
	json_object_put(list);
	module.samples_err = -EPERM;
	assert_int_equal(run_verb(ctl_samples, json, 0, NULL), CTL_FAILED);
	assert_string_equal(printed, "");
}

/* Dump, notifications and the dump after an overrun overlap; each comes once. */
static void test_follow(void **state)
{
	struct ctl follower = { .json = true, .follow = true };
	struct berk_sample more[] = { { .seq = 11 }, { .seq = 12 }, { .seq = 13 } };
	char *rest;

	(void)state;
	module.events[0] = (struct bnl_event){ .type = BNL_EV_SAMPLES,
					       .samples = { .data = more, .n = 3 } };
	module.events[1] = (struct bnl_event){ .type = BNL_EV_OVERRUN };
	module.events[2] = (struct bnl_event){ .type = BNL_EV_ROUND };
	module.nevents = 3;
	assert_int_equal(run_verb(ctl_samples, follower, 0, NULL), CTL_FAILED);
	assert_int_equal(module.groups, BNL_GROUP_SAMPLES);
	assert_non_null(strstr(complained, "unloaded"));
	assert_int_equal(lines(printed), 4);
	rest = printed;
	for (int seq = 10; seq < 14; seq++) {
		char *line = strsep(&rest, "\n");
		struct json_object *sample = json_tokener_parse(line);

		assert_int_equal(json_object_get_int(json_object_object_get(sample, "seq")), seq);
		json_object_put(sample);
	}
}

static void put_events(void)
{
	module.events[0] = (struct bnl_event){ .type = BNL_EV_ROUND, .round = { 4, 32, 31, 99 } };
	module.events[1] = (struct bnl_event){ .type = BNL_EV_STATE, .state = {
		BERK_STATE_SYNCHRONISED, BERK_ROLE_SLAVE, 0x17, 3 } };
	module.events[2] = (struct bnl_event){ .type = BNL_EV_CTRL, .ctrl = {
		.node_id = 5, .term = 3, .payload = "x", .len = 1 } };
	assert_null(addr_parse_peer("192.0.2.1", 5525, &module.events[2].ctrl.addr));
	module.events[3] = (struct bnl_event){ .type = BNL_EV_OVERRUN };
	module.nevents = 4;
}

static void test_monitor(void **state)
{
	(void)state;
	put_events();
	assert_int_equal(run_verb(ctl_monitor, text, 0, NULL), CTL_FAILED);
	assert_int_equal(module.groups, BNL_GROUP_EVENTS | BNL_GROUP_CTRL);
	assert_int_equal(lines(printed), 4);
	assert_int_equal(strncmp(printed, "time=20", 7), 0);
	assert_non_null(strstr(printed, "Z event=round round=4 probes=32 replies=31 seq=99\n"));
	assert_non_null(strstr(printed, " event=state state=synchronised role=slave "
			       "master_id=0000000000000017 term=3\n"));
	assert_non_null(strstr(printed, " event=ctrl address=192.0.2.1:5525 "
			       "node_id=0000000000000005 term=3 bytes=1\n"));
	assert_non_null(strstr(printed, " event=lost\n"));
}

static void test_monitor_json(void **state)
{
	char *rest;

	(void)state;
	put_events();
	module.not_permitted = BNL_GROUP_CTRL;
	assert_int_equal(run_verb(ctl_monitor, json, 0, NULL), CTL_FAILED);
	assert_int_equal(module.groups, BNL_GROUP_EVENTS);
	assert_non_null(strstr(complained, "need root"));
	rest = printed;
	for (int i = 0; i < 4; i++) {
		struct json_object *event = json_tokener_parse(strsep(&rest, "\n"));

		assert_non_null(event);
		assert_non_null(json_object_object_get(event, "event"));
		json_object_put(event);
	}
	assert_string_equal(rest, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_samples, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_absurd_times, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_samples_json, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_follow, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_monitor, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_monitor_json, setup, reset_module),
	};

	return cmocka_run_group_tests_name("ctl_watch", tests, NULL, NULL);
}
