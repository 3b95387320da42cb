// SPDX-License-Identifier: GPL-2.0
/* Outside time: how fast a group follows it, and when not */
#include "reference.c"
#include "alone.h"

#define LIMIT 1000.0	/* ppb per s, as in plain */

/* References have the ids 11, 12...: their clocks are their own affair. */
static struct other *reference(uint64_t id, int64_t ahead)
{
	struct other *o = &me.other[me.n_others++];

	*o = (struct other){
		.id = id, .addr = addr_of(id), .ahead = ahead, .mute = true,
		.flags = BERK_F_DRIVEN | BERK_F_SYNCED,
	};
	hear(id, (struct msg_hello){ .kind = MSG_ANNOUNCE, .reference = true });
	return o;
}

static double steer(void)
{
	return me.node->master.steer_ppb;
}

/* ns that it is ahead of the group's time */
static double offset_of(const struct other *o)
{
	return (double)(its_stamp(o, me.raw).real_ns - group_real(&me.node->master, me.raw));
}

/* A second; asserts that nothing changed faster than it may. */
static void second(void)
{
	double before = steer();
	int rounds;

	pass(S);
	rounds = me.rounds > 1 ? me.rounds : 1;
	assert_true(fabs(steer() - before) <= LIMIT * rounds + 1e-6);
}

static bool is_followed(void)
{
	return me.node->master.steered;
}

static enum berk_peer_state state_of(uint64_t id)
{
	return peer_of(id)->standing.state;
}

/* Three members that keep together, whatever the reference does. */
static void group(void)
{
	lead(&plain, 3);
	me.obeys = true;
	me.ahead = 0;
	me.since = me.raw;
	for (int i = 0; i < 40; i++)
		pass(S);
	assert_true(me.node->master.ensemble.rate_known);
}

static void test_it_is_followed_slowly(void **state)
{
	struct other *o;

	(void)state;
	group();
	o = reference(11, 100000);
	for (int i = 0; i < 10; i++)
		second();
	assert_int_equal(state_of(11), BERK_PEER_REFERENCE);
	assert_true(is_followed());
	assert_true(steer() > 0 && steer() <= LIMIT + 1);
	for (int i = 0; i < 400; i++)
		second();
	assert_true(fabs(offset_of(o)) < 5e3);
	assert_true(fabs(steer()) < 100);
	assert_int_equal(me.steps, 0);
	end();
}

/* That it is one may be known only after it was taken for a member. */
static void test_it_may_say_so_late(void **state)
{
	(void)state;
	group();
	meet_other(11)->mute = true;
	me.other[3].flags |= BERK_F_SYNCED;
	me.other[3].term = me.node->term;
	for (int i = 0; i < 5; i++)
		second();
	hear(11, (struct msg_hello){ .kind = MSG_ANNOUNCE, .reference = true });
	for (int i = 0; i < 5; i++)
		second();
	assert_int_equal(state_of(11), BERK_PEER_REFERENCE);
	assert_true(is_followed());
	assert_int_equal(me.node->master.ensemble.used, 4);
	end();
}

/* It is measured, but not averaged with the others, and no standby of theirs. */
static void test_it_is_no_member(void **state)
{
	(void)state;
	group();
	reference(11, 500000);
	for (int i = 0; i < 20; i++)
		second();
	assert_int_equal(me.node->master.ensemble.used, 4);
	assert_int_equal(peer_of(11)->rank, 0);
	end();
}

static void test_without_it_the_rate_stays(void **state)
{
	struct other *o;
	double kept;

	(void)state;
	group();
	o = reference(11, 2 * MS);
	for (int i = 0; i < 20; i++)
		second();
	kept = steer();
	assert_true(kept > LIMIT / 2);
	o->silent = true;
	pass(3 * S);
	assert_false(is_followed());
	assert_true(logged("no reference any more: the group goes on by itself"));
	kept = steer();
	for (int i = 0; i < 20; i++)
		second();
	assert_float_equal(steer(), kept, 1e-9);
	end();
}

/* Young or old: who was right for long, and then is not, is doubted for long. */
static void test_one_that_jumps_is_doubted(void **state)
{
	(void)state;
	for (int old = 0; old < 2; old++) {
		unsigned int probation = old ? PROBATION : FIRST;
		struct other *o;

		group();
		o = reference(11, 0);
		for (int i = 0; i < (old ? KNOWN + 20 : KNOWN / 2); i++)
			second();
		assert_true(is_followed());
		o->ahead += 3600 * S;
		second();
		second();
		assert_int_equal(state_of(11), BERK_PEER_FALSETICKER);
		assert_int_equal(peer_of(11)->standing.why, BERK_WHY_STEPPED);
		assert_false(is_followed());
		assert_true(fabs(steer()) < 10);
		/* it stays there: then that is the time */
		for (unsigned int i = 0; i < probation - 5; i++)
			second();
		assert_false(is_followed());
		for (int i = 0; i < 10; i++)
			second();
		assert_true(is_followed());
		assert_true(steer() > 0);
		end();
	}
}

/* It says itself that it is not right, for now. */
static void test_one_that_is_not_right_is_not_followed(void **state)
{
	struct other *o;

	(void)state;
	group();
	o = reference(11, 100000);
	o->flags = BERK_F_DRIVEN;
	for (int i = 0; i < 10; i++)
		second();
	assert_false(is_followed());
	o->flags |= BERK_F_SYNCED;
	for (int i = 0; i < 10; i++)
		second();
	assert_true(is_followed());
	end();
}

/* Its time comes from this very group: in a circle nobody is right. */
static void test_no_circles(void **state)
{
	struct node_conf conf = plain;
	const uint64_t origin[] = { 0, 77, 78 };

	(void)state;
	conf.cluster = 77;
	for (int k = 0; k < 3; k++) {
		lead(&conf, 3);
		pass(40 * S);
		reference(11, 100000);
		hear(11, (struct msg_hello){ .kind = MSG_ANNOUNCE, .reference = true,
					     .origin = origin[k] });
		pass(10 * S);
		assert_int_equal(is_followed(), origin[k] != 77);
		assert_int_equal(logged("has its time from this very cluster"), origin[k] == 77);
		assert_int_equal(me.publish.origin, is_followed() ? origin[k] : 77);
		end();
	}
}

static void test_two_that_contradict_are_not_followed(void **state)
{
	(void)state;
	group();
	reference(11, 500000);
	reference(12, -500000);
	for (int i = 0; i < 30; i++)
		second();
	assert_false(is_followed());
	assert_float_equal(steer(), 0, 0);
	end();
}

static void test_a_majority_of_three_is_followed(void **state)
{
	struct other *o;

	(void)state;
	group();
	o = reference(11, 20000);
	reference(12, -3 * S);
	reference(13, 22000);
	for (int i = 0; i < 300; i++)
		second();
	assert_true(is_followed());
	assert_float_equal(offset_of(o), -1000, 4e3);
	end();
}

static void test_agreed(void **state)
{
	static const struct {
		double offset[5];
		size_t n;
		bool agreed;
		double mean;
	} of[] = {
		{ { 0 }, 0, false, 0 },
		{ { 7e3 }, 1, true, 7e3 },
		{ { 7e3, 9e3 }, 2, true, 8e3 },
		{ { 0, 2.1 * DISAGREE }, 2, false, 0 },
		{ { 0, 1e3, 2e9 }, 3, true, 1e3 },
		{ { 0, 1e6, 2e9 }, 3, false, 0 },
		{ { 0, 1e3, 2e9, 2e9 + 1 }, 4, false, 0 },
		{ { -1e9, 1e3, 2e3, 3e3, 1e9 }, 5, true, 2e3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct seen seen[5], mean = { 0 };

		for (size_t k = 0; k < of[i].n; k++)
			seen[k] = (struct seen){ of[i].offset[k], 10, 1 };
		if (agreed(seen, of[i].n, &mean) != of[i].agreed)
			fail_msg("case %zu", i);
		if (of[i].agreed)
			assert_float_equal(mean.offset, of[i].mean, 1e-6);
	}
}

/* More than anybody has do no harm. */
static void test_many(void **state)
{
	(void)state;
	lead(&plain, 0);
	for (uint64_t id = 11; id < 111; id++) {
		union node_addr addr = addr_of(id);
		struct peer *peer = peer_meet(me.node, now(), id, &addr);

		peer->reference = peer->have_ref = true;
		peer->standing.state = BERK_PEER_REFERENCE;
	}
	me.node->master.period_ns = S;
	group_fill(me.node);
	reference_steer(me.node, now());
	end();
}

/* Where the master has outside time itself, the others follow its clock. */
static void test_the_master_may_be_the_reference(void **state)
{
	struct node_conf conf = plain;

	(void)state;
	conf.reference = true;
	conf.eager = true;
	lead(&conf, 3);
	node_reference(me.node, now(), true, 0);
	for (int i = 0; i < 60; i++) {
		pass(S);
		assert_int_equal(me.steps, 0);
		assert_false(me.clocks && me.clock.freq_ppb != 0);
	}
	for (int i = 0; i < me.n_others; i++)
		assert_in_range(me.other[i].ahead + 2000, 0, 4000);
	end();
}

/* A group that begins with one has its time at once, and need not creep there. */
static void test_a_new_group_begins_with_it(void **state)
{
	(void)state;
	start(&plain);
	pass(S);
	for (uint64_t id = 1; id <= 3; id++)
		meet_other(id)->ahead = (int64_t)id * S;
	reference(11, 700 * S);
	for (int i = 0; i < 20; i++)
		pass(S);
	for (int i = 0; i < 3; i++)
		assert_in_range(me.other[i].ahead - 700 * S + MS, 0, 2 * MS);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_followed_slowly),
		cmocka_unit_test(test_it_may_say_so_late),
		cmocka_unit_test(test_it_is_no_member),
		cmocka_unit_test(test_without_it_the_rate_stays),
		cmocka_unit_test(test_one_that_jumps_is_doubted),
		cmocka_unit_test(test_one_that_is_not_right_is_not_followed),
		cmocka_unit_test(test_no_circles),
		cmocka_unit_test(test_two_that_contradict_are_not_followed),
		cmocka_unit_test(test_a_majority_of_three_is_followed),
		cmocka_unit_test(test_agreed),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_the_master_may_be_the_reference),
		cmocka_unit_test(test_a_new_group_begins_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
