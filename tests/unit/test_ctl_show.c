// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_module.h"

#include "ctl_show.c"

static const struct ctl text, json = { .json = true };

static void add_sample(uint32_t peer, uint32_t round, int64_t offset, int64_t delay, int flags)
{
	struct berk_sample *s = &module.samples[module.nsamples];

	*s = (struct berk_sample){ .seq = module.nsamples++, .peer = peer, .round = round,
				   .flags = flags };
	s->t1.real_ns = 1000000;
	s->t2.real_ns = s->t1.real_ns + delay / 2 + offset;
	s->t3.real_ns = s->t2.real_ns + 77;
	s->t4.real_ns = s->t3.real_ns + delay / 2 - offset;
}

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
	add_peer("192.0.2.2");
	module.peers[0].flags = BERK_F_DRIVEN | BERK_F_SYNCED;
	module.peers[0].age_ms = 5;
	module.peers[0].node_id = 0xabc;
	module.peers[0].probes = 200;
	module.peers[0].replies = 150;
	/* Of the newest round, the one of the least delay; none that saw a step. */
	add_sample(1, 1, 9, 10, 0);
	add_sample(1, 2, 500, 3000, 0);
	add_sample(1, 2, -400, 2000, 0);
	add_sample(1, 2, 600, 2600, 0);
	add_sample(1, 2, 1, 1, BERK_SAMPLE_LOCAL_STEP);
	add_sample(1, 3, 1, 1, BERK_SAMPLE_PEER_STEP);
	add_sample(9, 3, 1, 1, 0);	/* a peer that is no more */
	return 0;
}

static void test_peers(void **state)
{
	(void)state;
	assert_int_equal(run_verb(ctl_peers, text, 0, NULL), CTL_OK);
	assert_string_equal(printed,
		"address         node id           clock         probes  replies    loss   age"
		"   offset    delay\n"
		"192.0.2.1:5525  0000000000000abc  synchronised     200      150  25.0 %  5 ms"
		"  -400 ns  2.00 us\n"
		"192.0.2.2:5525  -                 silent             0        0   0.0 %     -"
		"        -        -\n");
	module.peers[0].flags = BERK_F_DRIVEN;
	module.peers[1].age_ms = 1;
	/* A peer may send any time as T2 and T3. */
	module.nsamples = 1;
	module.samples[0].t2.real_ns = INT64_MIN;
	module.samples[0].t3.real_ns = INT64_MAX;
	assert_int_equal(run_verb(ctl_peers, text, 0, NULL), CTL_OK);
	module.samples_err = -EPERM;
	assert_int_equal(run_verb(ctl_peers, text, 0, NULL), CTL_OK);
	assert_non_null(strstr(printed, "  driven  "));
	assert_non_null(strstr(printed, "  free  "));
	assert_null(strstr(printed, "us\n"));
	module.npeers = 0;
	assert_int_equal(run_verb(ctl_peers, text, 0, NULL), CTL_OK);
	assert_string_equal(printed, "no peers\n");
	assert_int_equal(run_verb(ctl_peers, text, 1, NULL), CTL_USAGE);
}

static void test_peers_json(void **state)
{
	struct json_object *list, *peer;

	(void)state;
	assert_int_equal(run_verb(ctl_peers, json, 0, NULL), CTL_OK);
	list = json_tokener_parse(printed);
	assert_int_equal(json_object_array_length(list), 2);
	peer = json_object_array_get_idx(list, 0);
	assert_int_equal(json_object_get_int(json_object_object_get(peer, "offset_ns")), -400);
	assert_int_equal(json_object_get_int(json_object_object_get(peer, "delay_ns")), 2000);
	assert_string_equal(json_object_get_string(json_object_object_get(peer, "node_id")),
			    "0000000000000abc");
	peer = json_object_array_get_idx(list, 1);
	assert_null(json_object_object_get(peer, "offset_ns"));
	assert_null(json_object_object_get(peer, "age_ms"));
	json_object_put(list);
	module.npeers = 0;
	assert_int_equal(run_verb(ctl_peers, json, 0, NULL), CTL_OK);
	list = json_tokener_parse(printed);
	assert_int_equal(json_object_array_length(list), 0);
	json_object_put(list);
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
		cmocka_unit_test_setup_teardown(test_peers, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_peers_json, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_status, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_status_json, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_version, setup, reset_module),
	};

	return cmocka_run_group_tests_name("ctl_show", tests, NULL, NULL);
}
