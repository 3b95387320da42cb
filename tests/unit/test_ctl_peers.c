// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_module.h"

#include "ctl_peers.c"
#include "ctl_live.c"

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
		.node_id = 0xff, .state = BERK_STATE_SYNCHRONISED, .role = BERK_ROLE_STANDBY,
		.master_id = 0xabc, .term = 5, .error_bound_ns = UINT64_MAX,
	};
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

static void note_peers(void)
{
	module.peers[0].noted = module.peers[0].known = true;
	module.peers[0].state = BERK_PEER_FALSETICKER;
	module.peers[0].reason = BERK_WHY_STEPPED;
	module.peers[0].rank = 1;
	module.peers[0].offset_ns = 12345;
	module.peers[0].sigma_ns = 678;
	module.peers[0].delay_ns = 98765;
	module.peers[0].freq_ppb = -4321;
	module.peers[1].noted = true;
	module.peers[1].state = BERK_PEER_SILENT;
	module.peers[1].offset_ns = 99;		/* but it is not known */
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

static void test_noted(void **state)
{
	(void)state;
	note_peers();
	add_peer("192.0.2.3");
	assert_int_equal(run_verb(ctl_peers, text, 0, NULL), CTL_OK);
	assert_string_equal(printed,
		"address         node id           state               rank     offset   sigma"
		"     delay    loss   age\n"
		"192.0.2.1:5525  0000000000000abc  falseticker: steps     1  +12.35 us  678 ns"
		"  98.77 us  25.0 %  5 ms\n"
		"192.0.2.2:5525  -                 silent                 -          -       -"
		"         -   0.0 %     -\n"
		"192.0.2.3:5525  -                 -                      -          -       -"
		"         -   0.0 %     -\n");
}

static void test_noted_json(void **state)
{
	static const char *const first[] = { "address", "node_id", "state", "reason", "rank" };
	struct json_object *list, *peer;
	struct json_object_iterator at;

	(void)state;
	note_peers();
	assert_int_equal(run_verb(ctl_peers, json, 0, NULL), CTL_OK);
	list = json_tokener_parse(printed);
	peer = json_object_array_get_idx(list, 0);
	at = json_object_iter_begin(peer);
	for (int i = 0; i < 5; i++) {
		assert_string_equal(json_object_iter_peek_name(&at), first[i]);
		json_object_iter_next(&at);
	}
	assert_string_equal(json_object_get_string(json_object_object_get(peer, "state")),
			    "falseticker");
	assert_string_equal(json_object_get_string(json_object_object_get(peer, "reason")),
			    "steps");
	assert_int_equal(json_object_get_int(json_object_object_get(peer, "rank")), 1);
	assert_int_equal(json_object_get_int(json_object_object_get(peer, "offset_ns")), 12345);
	assert_int_equal(json_object_get_int(json_object_object_get(peer, "sigma_ns")), 678);
	assert_int_equal(json_object_get_int(json_object_object_get(peer, "delay_ns")), 98765);
	assert_int_equal(json_object_get_int(json_object_object_get(peer, "freq_ppb")), -4321);
	assert_int_equal(json_object_get_int(json_object_object_get(peer, "probes")), 200);
	peer = json_object_array_get_idx(list, 1);
	assert_string_equal(json_object_get_string(json_object_object_get(peer, "state")),
			    "silent");
	assert_null(json_object_object_get(peer, "reason"));
	assert_null(json_object_object_get(peer, "rank"));
	assert_null(json_object_object_get(peer, "offset_ns"));
	assert_null(json_object_object_get(peer, "freq_ppb"));
	json_object_put(list);
}

/* The master is marked, whether or not its state says so; once, then the module goes. */
static void test_live(void **state)
{
	(void)state;
	assert_int_equal(run_verb(ctl_live, text, 0, NULL), CTL_FAILED);
	assert_int_equal(module.groups, BNL_GROUP_EVENTS);
	assert_non_null(strstr(printed, "role         standby\n"));
	assert_non_null(strstr(printed, "\n*  192.0.2.1:5525  0000000000000abc  "));
	assert_non_null(strstr(printed, "\n   192.0.2.2:5525  -  "));
	assert_string_equal(complained, "berkctl: the berk module was unloaded\n");
	note_peers();
	module.status.master_id = 0;
	module.peers[0].node_id = 0;
	assert_int_equal(run_verb(ctl_live, text, 0, NULL), CTL_FAILED);
	assert_null(strchr(printed, '*'));
	assert_non_null(strstr(printed, "  falseticker: steps  "));
	assert_int_equal(run_verb(ctl_live, text, 1, NULL), CTL_USAGE);
	module.status_err = -EPROTO;
	assert_int_equal(run_verb(ctl_live, text, 0, NULL), CTL_FAILED);
	assert_string_equal(complained, "berkctl: reading the status: the reason\n");
}

static void test_live_json(void **state)
{
	struct json_object *all;

	(void)state;
	assert_int_equal(run_verb(ctl_live, json, 0, NULL), CTL_FAILED);
	assert_ptr_equal(strchr(printed, '\n'), printed + strlen(printed) - 1);
	all = json_tokener_parse(printed);
	assert_string_equal(json_object_get_string(json_object_object_get(all, "role")), "standby");
	assert_null(json_object_object_get(all, "offset_ns"));
	assert_int_equal(json_object_array_length(json_object_object_get(all, "peers")), 2);
	json_object_put(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_peers, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_peers_json, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_noted, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_noted_json, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_live, setup, reset_module),
		cmocka_unit_test_setup_teardown(test_live_json, setup, reset_module),
	};

	return cmocka_run_group_tests_name("ctl_peers", tests, NULL, NULL);
}
