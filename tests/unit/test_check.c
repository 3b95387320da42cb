// SPDX-License-Identifier: GPL-2.0
/* Slaves check their master, by their own crystal and by witnesses */
#include "check.c"
#include "alone.h"

/* The group's time is EPOCH + our RAW + shift, and gains `ppb' since some moment. */
static struct {
	int64_t shift, since;
	double ppb;
} group;

static int64_t group_at(int64_t raw)
{
	return group.shift + llrint((double)(raw - group.since) * group.ppb * 1e-9);
}

static void bend(double ppb)
{
	group.shift = group_at(me.raw);
	group.since = me.raw;
	group.ppb = ppb;
}

/* What a correction says of that. */
static struct msg_correct true_one(void)
{
	struct msg_correct c = agreeing(3);

	c.offset_ns = -group_at(me.raw);
	c.freq_ppb = group.ppb;
	c.rank = 2;
	for (int i = 0; i < me.n_others; i++)
		c.told[c.n_told++] = (struct msg_member){ me.other[i].id, me.other[i].addr };
	return c;
}

/* A second, at whose end a correction comes; the witnesses follow the group. */
static int second(void)
{
	pass(S);
	for (int i = 0; i < me.n_others; i++)
		me.other[i].ahead = group_at(me.raw);
	return told_by(1, true_one());
}

/* For so long nothing happens. */
static void settle(int n_witnesses, int s)
{
	memset(&group, 0, sizeof(group));
	start(&plain);
	pass(MS);
	for (int i = 0; i < n_witnesses; i++)
		me.other[me.n_others++] = (struct other){
			.id = (uint64_t)i + 2, .addr = addr_of((uint64_t)i + 2), .term = 3,
			.flags = BERK_F_DRIVEN | BERK_F_SYNCED, .ppb = 10e3 * i,
		};
	told_by(1, true_one());
	for (int i = 0; i < s; i++)
		assert_int_equal(second(), -1);
	assert_int_equal(me.node->elect.stance, FOLLOWING);
	assert_int_equal(me.node->follow.state, BERK_STATE_SYNCHRONISED);
}

static bool distrusted(void)
{
	return elect_distrusts(me.node, now(), 1);
}

/* The line that is followed, against that of the first second. */
static double line_moved(void)
{
	return (double)(servo_line(&me.node->servo, me.raw) - EPOCH - me.raw);
}

static struct msg_correct moved(int64_t by)
{
	struct msg_correct c = true_one();

	c.offset_ns -= by;
	return c;
}

/* --- at once */

static void test_a_jump_that_witnesses_deny(void **state)
{
	(void)state;
	for (int64_t by = -MS; by <= MS; by += 400000) {
		settle(2, 30);
		pass(S);
		assert_int_equal(told_by(1, moved(by)), -1);
		assert_float_equal(line_moved(), 0, 1);
		pass(S / 2);
		assert_true(distrusted());
		assert_true(logged("master 0000000000000001 moves the group by"));
		assert_float_equal(line_moved(), 0, 100);
		assert_int_equal(told_by(1, moved(by)), MSG_REFUSED);
		pass(2 * S);
		assert_non_null(said(MSG_CLAIM));
		end();
	}
}

static void test_a_jump_that_witnesses_made_too(void **state)
{
	(void)state;
	settle(2, 30);
	pass(S);
	told_by(1, moved(300000));
	for (int i = 0; i < me.n_others; i++)
		me.other[i].ahead += 300000;
	pass(S / 2);
	assert_false(distrusted());
	assert_float_equal(line_moved(), 300000, 100);
	end();
}

/* One that is with the master, and one that is not, say nothing together. */
static void test_witnesses_that_contradict_each_other(void **state)
{
	(void)state;
	settle(2, 30);
	pass(S);
	told_by(1, moved(300000));
	me.other[0].ahead += 300000;
	pass(S / 2);
	assert_false(distrusted());
	end();
}

/* Nobody is there to ask: the master is the master. */
static void test_without_witnesses_the_master_is_believed(void **state)
{
	(void)state;
	settle(0, 30);
	pass(S);
	told_by(1, moved(300000));
	assert_float_equal(line_moved(), 300000, 100);
	end();

	/* or they do not answer */
	settle(2, 30);
	pass(S);
	me.other[0].silent = me.other[1].silent = true;
	for (int i = 0; i < 3; i++) {
		told_by(1, moved(300000));
		pass(S);
	}
	assert_false(distrusted());
	assert_float_equal(line_moved(), 300000, 100);
	end();
}

static void test_small_moves_are_nothing(void **state)
{
	(void)state;
	settle(2, 30);
	pass(S);
	told_by(1, moved((int64_t)SLACK - 1000));
	assert_false(me.node->check.holding);
	pass(S / 2);
	assert_false(distrusted());
	end();
}

/* What comes in the meantime and is as before makes the jump a mishap. */
static void test_a_single_stray_correction(void **state)
{
	(void)state;
	settle(2, 30);
	pass(S);
	me.other[0].silent = me.other[1].silent = true;
	told_by(1, moved(300000));
	me.raw += MS;
	told_by(1, true_one());
	pass(S / 2);
	assert_false(distrusted());
	assert_float_equal(line_moved(), 0, 100);
	end();
}

/* Its group has a time of its own, and why not. */
static void test_a_new_master_is_not_held_to_the_old_line(void **state)
{
	struct msg_correct c;

	(void)state;
	settle(2, 30);
	pass(1500 * MS);
	c = moved(300000);
	c.term = 50;
	told_by(2, c);
	assert_int_equal(me.node->follow.master_id, 2);
	assert_float_equal(line_moved(), 300000, 100);
	end();
}

static void test_who_is_not_synchronised_has_nothing_to_defend(void **state)
{
	struct msg_correct c;

	(void)state;
	settle(2, 30);
	pass(S);
	follow_forget(me.node, now());
	c = moved(5 * MS);
	c.may_step = true;
	told_by(1, c);
	assert_float_equal(line_moved(), 5e6, 100);
	end();
}

static void test_witnesses_may_say_anything(void **state)
{
	static const int64_t absurd[] = {
		INT64_MIN, INT64_MAX, -1, 0, INT64_MAX / 2, INT64_MIN / 2,
	};

	(void)state;
	settle(2, 30);
	pass(S);
	me.other[0].silent = me.other[1].silent = true;
	told_by(1, moved(300000));
	assert_true(me.node->check.holding);
	for (int k = 0; k < 6 * 6 * 6; k++) {
		struct berk_sample s = exchange(&me.other[0], peer_of(2)->index, me.raw + k);

		s.t2.raw_ns = absurd[k % 6];
		s.t3.raw_ns = absurd[k / 6 % 6];
		s.t2.real_ns = s.t3.real_ns = absurd[k / 36 % 6];
		node_sample(me.node, now_at(me.raw + S / 4), &s);
	}
	pass(S / 2);
	assert_true(isfinite(me.node->check.own_ns));
	end();
}

/* --- slowly */

/* How many seconds until the master is not followed any more; -1: it still is. */
static int drag(double ppb, int most)
{
	bend(ppb);
	for (int i = 0; i < most; i++) {
		second();
		if (distrusted())
			return i;
	}
	return -1;
}

static void test_a_drag_that_no_crystal_shows(void **state)
{
	(void)state;
	for (int k = 0; k < 4; k++) {
		double ppb = (k % 2 ? -1 : 1) * (k < 2 ? 1000 : 5000);

		settle(2, SETTLED + 60);
		assert_in_range(drag(ppb, 60), 1, 40);
		/* back to where the group would have been */
		assert_true(fabs(line_moved()) < 20e3);
		assert_float_equal(me.node->servo.line_ppb, 0, fabs(ppb) / 2);
		end();
	}
}

/* Our crystal has changed: all others see the same line as before. */
static void test_a_change_of_the_own_crystal(void **state)
{
	(void)state;
	settle(2, SETTLED + 60);
	for (int i = 0; i < me.n_others; i++) {
		me.other[i].raw_ahead -= llrint((double)me.raw * 1000 * 1e-9);
		me.other[i].ppb += 1000;
	}
	assert_int_equal(drag(1000, 120), -1);
	end();
}

/* Theirs have: we see the same line as before. */
static void test_a_change_of_the_witnesses_crystals(void **state)
{
	(void)state;
	settle(2, SETTLED + 60);
	for (int i = 0; i < me.n_others; i++) {
		me.other[i].raw_ahead -= llrint((double)me.raw * 1000 * 1e-9);
		me.other[i].ppb += 1000;
	}
	assert_int_equal(drag(0, 120), -1);
	end();
}

static void test_a_group_that_follows_a_reference_may_change(void **state)
{
	(void)state;
	settle(2, SETTLED + 60);
	bend(1000);
	for (int i = 0; i < 120; i++) {
		struct msg_correct c;

		pass(S);
		for (int k = 0; k < me.n_others; k++)
			me.other[k].ahead = group_at(me.raw);
		c = true_one();
		c.steered = true;
		told_by(1, c);
	}
	assert_false(distrusted());
	end();
}

static void test_what_crystals_do_by_themselves_is_no_drag(void **state)
{
	(void)state;
	settle(2, SETTLED + 60);
	for (int i = 0; i < 300; i += 10)
		assert_int_equal(drag(i / 10 % 2 ? 30 : -30, 10), -1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_jump_that_witnesses_deny),
		cmocka_unit_test(test_a_jump_that_witnesses_made_too),
		cmocka_unit_test(test_witnesses_that_contradict_each_other),
		cmocka_unit_test(test_without_witnesses_the_master_is_believed),
		cmocka_unit_test(test_small_moves_are_nothing),
		cmocka_unit_test(test_a_single_stray_correction),
		cmocka_unit_test(test_a_new_master_is_not_held_to_the_old_line),
		cmocka_unit_test(test_who_is_not_synchronised_has_nothing_to_defend),
		cmocka_unit_test(test_witnesses_may_say_anything),
		cmocka_unit_test(test_a_drag_that_no_crystal_shows),
		cmocka_unit_test(test_a_change_of_the_own_crystal),
		cmocka_unit_test(test_a_change_of_the_witnesses_crystals),
		cmocka_unit_test(test_a_group_that_follows_a_reference_may_change),
		cmocka_unit_test(test_what_crystals_do_by_themselves_is_no_drag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
