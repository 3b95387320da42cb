// SPDX-License-Identifier: GPL-2.0
/* The simulator: liars, filters, what is watched, and campaigns */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scenario.h"

static struct world w;

/* Machines without daemons, perfect crystals, 1 ms from each to each. */
static void machines(int n)
{
	struct link_rule rule = { .field = offsetof(struct link_conf, base) / sizeof(double),
				  .value = 1e6 };

	world_init(&w, 1, n);
	for (int i = 0; i < n; i++) {
		host_init(&w, i, &(struct osc_conf){ 0 }, 0);
		set_add(&rule.from, i);
		set_add(&rule.to, i);
	}
	world_link(&w, &rule);
}

static void set_link(int from, int to, size_t field, double value)
{
	struct link_rule rule = { .field = field / sizeof(double), .value = value };

	set_add(&rule.from, from);
	set_add(&rule.to, to);
	world_link(&w, &rule);
}

/* --- liars */

static struct lie a_lie(enum lie_kind kind, double size, double period)
{
	struct lie lie = { .kind = kind, .size = size, .period = period };

	memset(&lie.to, 0xff, sizeof(lie.to));
	return lie;
}

static struct berk_stamp told(int host, int peer)
{
	struct berk_stamp s = vclock_read(&w.host[host].clock, w.now);
	struct berk_stamp honest = s;

	lie_stamp(&w, &w.host[host], peer, &s);
	s.real_ns -= honest.real_ns;
	s.raw_ns -= honest.raw_ns;
	return s;
}

static void test_lies(void **state)
{
	struct lie lie;

	(void)state;
	machines(2);
	world_run(&w, 10 * SIM_S);
	assert_int_equal(told(0, 1).real_ns, 0);
	lie = a_lie(LIE_STUCK, 0, 0);
	lie_begin(&w, &w.host[0], &lie);
	assert_int_equal(w.host[0].lied, 10 * SIM_S);
	world_run(&w, 12 * SIM_S);
	assert_int_equal(told(0, 1).real_ns, -2 * SIM_S);
	assert_int_equal(told(0, 1).raw_ns, -2 * SIM_S);
	lie = a_lie(LIE_STEPS, 1e6, 5e9);
	lie_begin(&w, &w.host[0], &lie);
	assert_int_equal(told(0, 1).real_ns, SIM_MS);
	world_run(&w, 18 * SIM_S);
	assert_int_equal(told(0, 1).real_ns, 2 * SIM_MS);
	assert_int_equal(told(0, 1).raw_ns, 0);
	lie = a_lie(LIE_JUMPS, 1e6, 5e9);
	lie_begin(&w, &w.host[0], &lie);
	assert_int_equal(told(0, 1).raw_ns, SIM_MS);
	lie = a_lie(LIE_DRIFT, 1000, 0);
	lie_begin(&w, &w.host[0], &lie);
	world_run(&w, 20 * SIM_S);
	assert_int_equal(told(0, 1).real_ns, 2000);
	lie = a_lie(LIE_OSCILLATE, 1e6, 4e9);
	lie_begin(&w, &w.host[0], &lie);
	world_run(&w, 21 * SIM_S);
	assert_int_equal(told(0, 1).real_ns, SIM_MS);
	lie = a_lie(LIE_TWOFACED, 1e6, 0);
	lie_begin(&w, &w.host[0], &lie);
	assert_int_equal(told(0, 1).real_ns, -told(0, 2).real_ns);
	lie = a_lie(LIE_RANDOM, 1e6, 0);
	lie_begin(&w, &w.host[0], &lie);
	for (int i = 0; i < 100; i++)
		assert_in_range(told(0, 1).real_ns + SIM_MS, 0, 2 * SIM_MS);
	assert_int_equal(w.host[0].ended, -1);
	lie = a_lie(LIE_NONE, 0, 0);
	lie_begin(&w, &w.host[0], &lie);
	assert_int_equal(told(0, 1).real_ns, 0);
	assert_int_equal(w.host[0].ended, 21 * SIM_S);
	assert_false(world_healthy(&w, &w.host[0]));
	assert_true(world_healthy(&w, &w.host[1]));
	world_free(&w);
}

static void test_misleading(void **state)
{
	struct msg_correct c = { .offset_ns = 100, .freq_ppb = 10 };
	struct lie lie = a_lie(LIE_MISLEAD, 1e6, 0);

	(void)state;
	machines(3);
	memset(&lie.to, 0, sizeof(lie.to));
	set_add(&lie.to, 2);
	lie_begin(&w, &w.host[0], &lie);
	lie_correct(&w, &w.host[0], 1, &c);
	assert_int_equal(c.offset_ns, 100);
	lie_correct(&w, &w.host[0], 2, &c);
	assert_int_equal(c.offset_ns, 100 + SIM_MS);
	lie = a_lie(LIE_DRAG, 1000, 0);
	lie_begin(&w, &w.host[0], &lie);
	world_run(&w, 5 * SIM_S);
	c = (struct msg_correct){ .offset_ns = 100, .freq_ppb = 10 };
	lie_correct(&w, &w.host[0], 1, &c);
	assert_int_equal(c.offset_ns, 5100);
	assert_float_equal(c.freq_ppb, -990, 1e-9);
	world_free(&w);
}

/* --- what passes, and when it arrives */

/* When the packet arrives at a machine, ns after it was sent; -1: never. */
static int64_t passes(int from, int to, bool multicast)
{
	struct packet p = {
		.kind = PACKET_CTRL, .from = from, .to = to, .multicast = multicast,
		.ctrl = world_payload("x", 1),
	};
	struct rng r = link_packet(&world_pair(&w, from, to)->link, PACKET_CTRL);
	int64_t after = -1, wake;
	size_t before = w.n_heap;

	w.host[to].conf.wake = 0;
	world_transmit(&w, &p, &r);
	wake = w.now;
	if (w.n_heap > before)
		after = w.heap[0].at - wake;
	world_drop(p.ctrl);
	world_run(&w, w.now + 10 * SIM_S);
	return after;
}

static void test_filters(void **state)
{
	struct lie lie = a_lie(LIE_DELAY, 3e6, 0);

	(void)state;
	machines(3);
	assert_int_equal(passes(0, 1, false), SIM_MS);
	assert_int_equal(passes(0, 1, true), SIM_MS);
	set_link(0, 1, offsetof(struct link_conf, unicast), 1);
	assert_int_equal(passes(0, 1, true), -1);
	assert_int_equal(passes(0, 1, false), SIM_MS);
	lie_begin(&w, &w.host[0], &lie);
	assert_int_equal(passes(0, 1, false), 4 * SIM_MS);
	w.host[2].wish.cluster = 7;
	assert_int_equal(passes(0, 2, false), -1);
	assert_int_equal(passes(2, 1, true), -1);
	world_free(&w);
}

/* Only what answers passes, for as long as the firewall remembers. */
static void test_stateful(void **state)
{
	(void)state;
	machines(2);
	set_link(0, 1, offsetof(struct link_conf, stateful), 25e9);
	assert_int_equal(passes(0, 1, false), -1);
	assert_int_equal(passes(1, 0, true), SIM_MS);
	assert_int_equal(passes(0, 1, false), -1);	/* nobody answers a group */
	assert_int_equal(passes(1, 0, false), SIM_MS);
	assert_int_equal(passes(0, 1, true), -1);
	assert_int_equal(passes(0, 1, false), SIM_MS);
	assert_int_equal(passes(0, 1, false), -1);	/* 30 s later */
	world_free(&w);
}

/* --- peers and rounds of the module */

static void test_lists(void **state)
{
	struct module *mod;
	uint32_t list[3];
	struct node_round round = { .round = 1, .burst = 2, .deadline_ns = SIM_S, .peer = list };

	(void)state;
	machines(4);
	mod = &w.host[0].mod;
	for (int i = 1; i < 4; i++)
		module_add_peer(&w, &w.host[0], i);
	assert_int_equal(module_peer(mod, 1), 2);
	module_del_peer(&w, &w.host[0], 2);
	assert_int_equal(module_peer(mod, 1), -1);
	assert_int_equal(module_peer(mod, 99), -1);
	module_add_peer(&w, &w.host[0], 2);
	assert_int_equal(world_pair(&w, 0, 2)->index, 3);
	/* one that is, one that was, one that never was */
	list[0] = 0;
	list[1] = 1;
	list[2] = 77;
	round.n_peers = 3;
	module_round(&w, &w.host[0], &round);
	world_run(&w, SIM_S / 2);
	assert_false(mod->active);
	assert_int_equal(mod->probes, 2);
	assert_int_equal(mod->replies, 2);
	assert_int_equal(world_pair(&w, 0, 1)->link.sent[PACKET_PROBE], 2);
	round.peer = list + 1;
	round.n_peers = 1;
	module_round(&w, &w.host[0], &round);
	assert_false(mod->active);	/* nobody to wait for */
	world_free(&w);
}

/* --- watching */

static void corrects(int host, uint32_t term)
{
	struct msg msg = { .type = MSG_CORRECT, .correct = { .term = term } };

	watch_send(&w, &w.host[host], &msg);
}

static void takes(int host, int master, uint32_t term, uint32_t round)
{
	w.host[host].state = (struct node_publish){
		.state = BERK_STATE_SYNCHRONISED, .master_id = w.host[master].node_conf.node_id,
		.term = term, .round = round,
	};
	watch_publish(&w, &w.host[host]);
}

static void test_terms(void **state)
{
	(void)state;
	machines(4);
	corrects(0, 5);
	corrects(0, 5);
	corrects(1, 6);
	assert_int_equal(w.watch.breaches[BREACH_TERM], 0);
	assert_int_equal(w.watch.n_terms, 2);
	w.host[3].wish.cluster = 1;
	corrects(3, 5);
	assert_int_equal(w.watch.breaches[BREACH_TERM], 0);
	corrects(2, 5);
	assert_int_equal(w.watch.breaches[BREACH_TERM], 1);
	assert_non_null(strstr(w.watch.first, "node 2 corrects in term 5"));

	takes(2, 0, 5, 1);
	takes(2, 0, 5, 2);
	takes(2, 1, 6, 3);
	takes(2, 1, 7, 3);	/* of a newer term it has only heard */
	assert_int_equal(w.watch.breaches[BREACH_TWO], 0);
	takes(2, 0, 6, 9);
	assert_int_equal(w.watch.breaches[BREACH_TWO], 1);
	takes(2, 0, 5, 10);
	assert_int_equal(w.watch.breaches[BREACH_TWO], 2);
	world_free(&w);
}

static void test_steps(void **state)
{
	(void)state;
	machines(1);
	w.host[0].state.state = BERK_STATE_SYNCHRONISED;
	watch_step(&w, &w.host[0], 1000);
	assert_int_equal(w.watch.breaches[BREACH_BACK], 0);
	watch_step(&w, &w.host[0], -1000);
	assert_int_equal(w.watch.breaches[BREACH_BACK], 1);
	w.host[0].touched = w.now;
	watch_step(&w, &w.host[0], -1000);
	assert_int_equal(w.watch.breaches[BREACH_BACK], 1);
	w.host[0].touched = -1;
	w.host[0].node_conf.merge = NODE_MERGE_STEP;
	watch_step(&w, &w.host[0], -1000);
	assert_int_equal(w.watch.breaches[BREACH_BACK], 1);
	world_free(&w);
}

static struct scenario scenario(uint64_t seed, const char *text)
{
	char err[ERR_MAX];
	struct scenario s;

	scenario_init(&s, seed);
	if (!scenario_parse(&s, "test", text, err) || !scenario_check(&s, "test", err))
		fail_msg("%s", err);
	return s;
}

/* A whole group: who is named, found, and what it costs to lose it. */
static void test_masters(void **state)
{
	struct scenario s = scenario(1, "profile J1\nconf 2 role=master\nlisten this node leads\n"
				     "fault at 20 kill master\nat 30 start victim\nsettle 10\n");
	struct set master = { .who = WHO_MASTER }, standby = { .who = WHO_STANDBY };
	struct metrics *m;

	(void)state;
	scenario_build(&s, &w, true);
	m = metrics_new(&s, &w, NULL);
	metrics_run(m, 15 * SIM_S);
	assert_int_equal(world_master(&w), 2);
	assert_int_equal(w.host[2].said, 1);
	master = world_resolve(&w, &master);
	standby = world_resolve(&w, &standby);
	assert_true(set_has(&master, 2) && !set_has(&standby, 2));
	assert_true(set_has(&w.victims, 2));
	assert_true(isnan(metrics_value(m, metrics_find("failover"))));
	world_run(&w, 29 * SIM_S);
	assert_null(w.host[2].node);
	assert_true(w.host[2].hit == 20 * SIM_S);
	assert_in_range(w.watch.failover, 500 * SIM_MS, 3 * SIM_S);
	assert_true(world_master(&w) >= 0 && world_master(&w) != 2);
	world_run(&w, 40 * SIM_S);
	assert_non_null(w.host[2].node);
	metrics_free(m);
	world_free(&w);
	scenario_free(&s);
}

static void test_groups(void **state)
{
	struct groups *g;

	(void)state;
	machines(6);
	g = groups_new(6);
	for (int i = 0; i < 6; i++) {
		struct host *h = &w.host[i];

		h->node = node_init(&h->node_conf);
		host_step(&w, h, i * 1000);
		h->touched = -1;
		h->state = (struct node_publish){
			.state = BERK_STATE_SYNCHRONISED, .master_id = i < 3 ? 1 : 2,
			.error_bound_ns = i == 2 ? 5000 : 1000, .valid_ms = 1000,
		};
		h->state_raw = vclock_read(&h->clock, 0).raw_ns;
	}
	w.host[5].lie.kind = LIE_STUCK;
	groups_look(g, &w);
	assert_int_equal(g->count, 2);
	assert_float_equal(g->mean[0], 500, 1e-6);	/* 2 is on its way */
	assert_float_equal(g->mean[1], 3500, 1e-6);	/* 5 lies */
	assert_false(g->settled[2] || g->settled[5]);
	assert_float_equal(groups_spread(g), 1000, 1e-6);
	w.host[1].node_conf.reference = true;
	groups_look(g, &w);
	assert_float_equal(g->mean[0], 1000, 1e-6);
	groups_free(g);
	world_free(&w);
}

/* --- campaigns */

static void test_campaigns(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		char *a = campaign_text(seed), *b = campaign_text(seed);
		struct scenario s = scenario(seed, a);

		assert_string_equal(a, b);
		assert_in_range(s.n, 4, 50);
		for (size_t i = 0; i < s.n_actions; i++)
			assert_true(s.action[i].at < 520 * SIM_S + SIM_MS);
		scenario_free(&s);
		free(a);
		free(b);
	}
}

static void test_words(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "nodes 3\nconf 0 role=boss", "accepted: auto master slave" },
		{ "nodes 3\nconf 0 rule=auto", "accepted: role= priority=" },
		{ "nodes 3\nconf 0", "properties such as role=" },
		{ "nodes 3\npeer 0", "the nodes are missing" },
		{ "nodes 3\nconf master role=slave", "nobody is master before" },
		{ "nodes 3\nat 5 lie 2", "accepted: lie NODES none" },
		{ "nodes 3\nat 5 lie 2 often", "accepted: lie NODES none" },
		{ "nodes 3\nat 5 lie 2 steps 1ms", "a value is missing" },
		{ "nodes 3\nat 5 lie 2 drift 1ms", "a rate such as" },
		{ "nodes 3\nat 5 lie 2 stuck 0", "too many words" },
		{ "nodes 3\nat 5 lie 2 drag 1ppm 7", "no such nodes" },
		{ "nodes 3\nat 5 absent 2", "what happens then?" },
		{ "nodes 3\nlisten", "accepted: listen TEXT" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char err[ERR_MAX] = "";
		struct scenario s;

		scenario_init(&s, 1);
		if (scenario_parse(&s, "test", bad[i].text, err))
			fail_msg("accepted: %s", bad[i].text);
		if (!strstr(err, bad[i].says))
			fail_msg("%s: says %s instead of %s", bad[i].text, err, bad[i].says);
		scenario_free(&s);
	}
}

static void test_conf(void **state)
{
	struct scenario s = scenario(1, "nodes 4\nconf 0 role=master\n"
				     "conf 1 role=slave mode=report\n"
				     "conf 2 priority=7 quorum=majority merge=step node_id=5\n"
				     "conf 3 reference=yes reference_limit=2ppm\npeer 1 0,2\n"
				     "absent 3\nsettle 1\n");
	const struct node_conf *c[4];

	(void)state;
	scenario_build(&s, &w, true);
	for (int i = 0; i < 4; i++)
		c[i] = &w.host[i].node_conf;
	assert_true(c[0]->eager && c[0]->eligible && c[0]->priority == 255);
	assert_true(!c[1]->eligible && c[1]->mode == NODE_MODE_REPORT);
	assert_true(c[2]->eligible && !c[2]->eager && c[2]->priority == 7 && c[2]->node_id == 5);
	assert_true(c[2]->quorum == NODE_QUORUM_MAJORITY && c[2]->merge == NODE_MERGE_STEP);
	assert_true(c[3]->reference && c[3]->reference_limit_ppb == 2000);
	assert_true(c[0]->seed != c[1]->seed);
	assert_true(set_has(&w.host[1].peers, 2) && !set_has(&w.host[1].peers, 3));
	assert_true(w.host[0].node && !w.host[3].node && !w.host[3].up);
	world_free(&w);
	scenario_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_misleading),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_stateful),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_masters),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_campaigns),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
