// SPDX-License-Identifier: GPL-2.0
/* Corrections: which are applied, how much of them, and what is said of the clock */
#include <arpa/inet.h>

#include "follow.c"
#include "alone.h"

static const struct msg_correct line = {
	.term = 3, .round = 5, .members = 3, .rate_known = true, .want_ack = true,
	.freq_ppb = 1000,
	.ref_raw_ns = 99 * S, .ref_real_ns = EPOCH + 99 * S, .offset_ns = 2 * S,
	.sigma_ns = 100, .bound_ns = 1000, .interval_ns = S,
};

static void slave(void)
{
	struct node_conf conf = plain;

	conf.eligible = false;
	start(&conf);
}

/* Tells it at that RAW time. Returns the status of the ack, or -1. */
static int tell_at(int64_t raw, uint64_t from, struct msg_correct c)
{
	me.raw = raw;
	memset(&me.clock, 0, sizeof(me.clock));
	return told_by(from, c);
}

/* A clock says that it is wrong first, and is stepped then. */
static void step(void)
{
	assert_int_equal(me.clock.step_ns, 0);
	assert_int_equal(me.node->follow.state, BERK_STATE_UNSYNCHRONISED);
	me.raw = me.node->servo_next;
	node_timer(me.node, now());
	carry_out();
}

static void test_correction(void **state)
{
	struct msg_correct c = line;

	(void)state;
	slave();
	assert_int_equal(tell_at(100 * S, 1, c), MSG_APPLIED);
	step();
	/* two seconds ahead at 99 s; the group gained 1 us since */
	assert_int_equal(me.clock.step_ns, -2 * S + 1010);
	assert_float_equal(me.clock.freq_ppb, 1000, 1);
	assert_true(me.clock.synchronised);
	assert_int_equal(me.node->follow.state, BERK_STATE_SYNCHRONISED);

	assert_int_equal(tell_at(100 * S, 1, c), MSG_DUPLICATE);
	assert_int_equal(me.clock.step_ns, 0);
	c.round--;
	assert_int_equal(tell_at(100 * S, 1, c), MSG_STALE);
	c.round = 6;
	c.term--;
	assert_int_equal(tell_at(100 * S, 1, c), MSG_STALE);
	assert_int_equal(me.node->term, 3);
	assert_int_equal(me.node->follow.round, 5);
	end();
}

/* What a slave publishes at an instant. */
static struct node_publish published(int64_t raw)
{
	me.raw = raw;
	me.node->publish_next = raw;
	me.node->servo_next = INT64_MAX;	/* no reading of the clock: it is as commanded */
	node_timer(me.node, now());
	carry_out();
	return me.publish;
}

/* A slave that was told the same line for ten seconds, with 1000 ns and 100 ppb of sigma. */
static void settled_slave(void)
{
	struct msg_correct c = line;

	slave();
	c.offset_ns = 0;
	c.freq_ppb = 0;
	c.sigma_ns = 1000;
	c.rate_sigma_ppb = 100;
	for (int i = 0; i < 10; i++) {
		c.round++;
		c.ref_raw_ns += S;
		c.ref_real_ns += S;
		assert_int_equal(tell_at(c.ref_raw_ns, 1, c), MSG_APPLIED);
	}
}

/* How much of a correction is taken, and what is thought of the clock then. */
static void test_blend(void **state)
{
	static const struct {
		const char *what;
		int64_t offset, sigma, bound;
		bool may_step, anew;
		double late;		/* s */
		double taken, tolerance;	/* of the offset */
		bool withdrawn;
	} of[] = {
		{ "as certain", 2000, 1000, 0, false, false, 1, 1, 0.01, false },
		{ "more certain", 2000, 10, 0, false, false, 1, 1, 0.01, false },
		{ "exact", 2000, 0, 0, false, false, 1, 1, 0.01, false },
		{ "much less certain", 2000, 100000, 1000000, false, false, 1, 0, 0.01, false },
		{ "somewhat less certain", 2000, 6000, 0, false, false, 1, 0.25, 0.05, false },
		{ "contradicts", 50000, 1000, 0, false, false, 1, 1, 0.01, true },
		{ "contradicts within the bounds", 14000, 100, 9000, false, false, 1, 1, 0.01,
		  false },
		{ "may step", 50000, 100000, 0, true, false, 1, 1, 0.01, false },
		{ "anew", 50000, 100000, 0, false, true, 1, 1, 0.01, false },
		{ "lost", 50000, 100000, 0, false, false, 400, 1, 0.01, false },
		{ "after holdover", 2000, 100000, 0, false, false, 100, 0.0, 0.15, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		int64_t raw = 109 * S + llrint(of[i].late * 1e9);
		struct msg_correct c = line;
		double taken;

		settled_slave();
		c.round += 11;
		c.rate_known = false;
		c.offset_ns = of[i].offset;
		c.ref_raw_ns = raw;
		c.ref_real_ns = EPOCH + raw;
		c.sigma_ns = of[i].sigma;
		c.bound_ns = of[i].bound;
		c.may_step = of[i].may_step;
		c.anew = of[i].anew;
		assert_int_equal(tell_at(raw, 1, c), MSG_APPLIED);
		taken = (double)(EPOCH + raw - servo_line(&me.node->servo, raw)) /
			(double)c.offset_ns;
		if (fabs(taken - of[i].taken) > of[i].tolerance ||
		    me.node->follow.withdrawn != of[i].withdrawn)
			fail_msg("%s: %.3f taken, withdrawn %d", of[i].what, taken,
				 me.node->follow.withdrawn);
		assert_int_equal(me.node->follow.state == BERK_STATE_UNSYNCHRONISED,
				 of[i].withdrawn);
		assert_int_equal(me.clock.synchronised, !of[i].withdrawn);
		assert_true(me.node->follow.sigma_ns >= 0 && isfinite(me.node->follow.sigma_ns));
		assert_true(me.node->follow.sigma_ns <= fmax(1e3 * 1.1, (double)of[i].sigma) ||
			    of[i].late > 1);
		/* of a crystal that has changed nothing is known until it is told */
		if (of[i].anew)
			assert_float_equal(me.node->follow.rate_sigma_ppb, RATE_UNKNOWN, 0);
		end();
	}
}

/* What is poorer than what is known, and contradicts it, must do so again and again. */
static void test_poor_contradictions(void **state)
{
	(void)state;
	settled_slave();
	for (unsigned int i = 1; i <= INSISTS; i++) {
		struct msg_correct c = agreeing(3);
		double moved;

		me.raw += S;
		c.round = 20 + i;
		c.ref_raw_ns = me.raw;
		c.ref_real_ns = EPOCH + me.raw;
		c.offset_ns = -700000;
		c.sigma_ns = 20000;
		c.rate_known = false;
		told_by(1, c);
		moved = (double)(servo_line(&me.node->servo, me.raw) - EPOCH - me.raw);
		assert_int_equal(moved > 690000, i == INSISTS);
	}
	end();
}

/* A bound that proved wrong is void, until the next correction agrees with that. */
static void test_withdrawn(void **state)
{
	struct msg_correct c = line;

	(void)state;
	settled_slave();
	for (int i = 0; i < 2; i++) {
		int64_t raw = (110 + i) * S;

		c.round = 20 + (uint32_t)i;
		c.offset_ns = i ? 0 : 500000;
		c.ref_raw_ns = raw;
		/* the clock was 500 us ahead, and still is: nothing was slewed yet */
		c.ref_real_ns = EPOCH + raw - (i ? 500000 : 0);
		c.sigma_ns = 100;
		c.freq_ppb = 0;
		assert_int_equal(tell_at(raw, 1, c), MSG_APPLIED);
		assert_int_equal(me.node->follow.withdrawn, !i);
		assert_int_equal(me.clock.maxerror_ns == 16 * S, !i);
		assert_int_equal(published(raw).error_bound_ns == UINT64_MAX, !i);
	}
	end();
}

/* Published once, a bound that is grown as it says covers every later one until it is void. */
static void test_bound_grows(void **state)
{
	static const double sigma[] = { 0, 10, 1000, 100e3 }, freq[] = { 0, 499e3, 700e3 };

	(void)state;
	for (int k = 0; k < 4 * 3 * 3; k++) {
		struct msg_correct c = line;
		struct node_publish first, later;
		double clock_bound;

		slave();
		c.offset_ns = k / 12 * 1000;
		c.rate_sigma_ppb = sigma[k % 4];
		c.freq_ppb = freq[k / 4 % 3];
		c.interval_ns = k / 12 == 1 ? 64 * S : S;
		assert_int_equal(tell_at(99 * S, 1, c), MSG_APPLIED);
		/* what may be slewed has been */
		me.node->servo.real = servo_line(&me.node->servo, 99 * S);
		me.node->servo.cmd_ppb = servo_base_ppb(&me.node->servo);
		clock_bound = (double)me.clock.maxerror_ns;
		first = published(99 * S);
		for (int i = 0; i <= 20; i++) {
			int64_t age = (int64_t)first.valid_ms * MS / 20 * i;
			double grown = (double)first.error_bound_ns +
				       first.error_growth_ppb * (double)age * 1e-9;

			later = published(99 * S + age);
			if ((double)later.error_bound_ns > grown + 2)
				fail_msg("case %d, age %.1f s: %.0f ns, but %.0f", k,
					 (double)age * 1e-9, (double)later.error_bound_ns, grown);
			/* the kernel adds 500 ppm, but only from the next second on */
			if (age <= S)
				assert_true((double)later.error_bound_ns <= clock_bound + 2);
		}
		end();
	}
}

/* Whatever is told is survived. An ack comes if wanted, or if nothing was applied. */
static void test_extreme_corrections(void **state)
{
	static const int64_t ns[] = { 0, 1, S, INT64_C(1) << 60 };
	static const double ppb[] = { 0, 1e6, -1e6 };

	(void)state;
	for (int k = 0; k < 4 * 4 * 4 * 3 * 4; k++) {
		struct msg_correct c = line;

		settled_slave();
		c.offset_ns = k % 2 ? ns[k % 4] : -ns[k % 4];
		c.sigma_ns = ns[k / 4 % 4];
		c.bound_ns = ns[k / 16 % 4];
		c.freq_ppb = ppb[k / 64 % 3];
		c.rate_sigma_ppb = k / 64 % 3 ? 1e6 : 0;
		c.anew = k / 192 & 1;
		c.may_step = k / 192 & 2;
		c.want_ack = false;
		c.interval_ns = k % 3 ? 1000 * S : MS;
		for (uint32_t i = 0; i < 4; i++) {
			int64_t raw = (110 + (int64_t)i) * S;
			struct node_publish p;

			c.round = 20 + i;
			c.ref_raw_ns = raw;
			c.ref_real_ns = i == 3 ? INT64_C(1) << 61 : EPOCH + raw;
			assert_int_equal(tell_at(raw, 1, c), -1);
			assert_int_equal(tell_at(raw, 1, c), MSG_DUPLICATE);
			p = published(raw);
			assert_true(fabs(p.freq_ppb) <= 500e3 && p.valid_ms >= 1000);
			assert_true(isfinite(me.node->follow.sigma_ns));
			assert_true(isfinite(me.node->follow.rate_sigma_ppb));
			assert_true(me.node->clock.maxerror_ns >= 0);
		}
		end();
	}
}

/* As long as the master lives, no other is followed, whatever its term. */
static void test_second_master(void **state)
{
	struct msg_correct c = line;

	(void)state;
	slave();
	assert_int_equal(tell_at(100 * S, 1, c), MSG_APPLIED);
	for (uint32_t term = 3; term < 5; term++) {
		c.term = term;
		c.round++;
		assert_int_equal(tell_at(100 * S, 2, c), MSG_REFUSED);
		assert_int_equal(me.node->follow.master_id, 1);
		assert_non_null(said_to(2, MSG_ASK));
	}
	assert_int_equal(me.node->term, 3);
	/* a silent one may be replaced, but not by one of the past */
	c.ref_raw_ns = 109 * S;
	c.ref_real_ns = EPOCH + 107 * S;
	c.offset_ns = 0;
	c.term = 2;
	assert_int_equal(tell_at(110 * S, 2, c), MSG_STALE);
	c.term = 4;
	assert_int_equal(tell_at(110 * S, 2, c), MSG_APPLIED);
	assert_int_equal(me.node->follow.master_id, 2);
	c.term = 3;
	assert_int_equal(tell_at(110 * S, 1, c), MSG_STALE);
	end();
}

/* Nor is one that resigned, or that lost this node's vote, in the way of the next. */
static void test_a_master_that_was_voted_for(void **state)
{
	(void)state;
	follow(&plain, 5, 2);
	hear(1, (struct msg_hello){ .kind = MSG_RESIGN, .successor_id = 2 });
	assert_int_equal(told_by(2, agreeing(1000)), -1);
	assert_int_equal(me.node->follow.master_id, 2);
	end();
}

/* One forged round, or a machine that is back at a snapshot, does not end all corrections. */
static void test_a_round_of_the_future(void **state)
{
	struct msg_correct c, forged;

	(void)state;
	follow(&plain, 5, 2);
	pass(S);
	c = forged = agreeing(3);
	forged.round += INT32_MAX - 256;
	told_by(1, forged);
	c.want_ack = true;
	assert_int_equal(told_by(1, c), MSG_STALE);
	pass(1500 * MS);
	c = agreeing(3);
	c.want_ack = true;
	assert_int_equal(told_by(1, c), MSG_APPLIED);
	end();
}

static void test_implausible(void **state)
{
	struct msg_correct c = line;

	(void)state;
	slave();
	c.ref_raw_ns = 101 * S;		/* the future */
	assert_int_equal(tell_at(100 * S, 1, c), MSG_REFUSED);
	c.ref_raw_ns = 80 * S;		/* long ago: from before a reboot */
	assert_int_equal(tell_at(100 * S, 1, c), MSG_REFUSED);
	assert_false(me.node->servo.have_line);
	assert_int_equal(tell_at(100 * S, 9, line), -1);	/* our own id */
	end();
}

/* An hour passes while RAW stands still: no one else stepped the clock. */
static void test_suspended(void **state)
{
	struct msg_correct c = line;

	(void)state;
	slave();
	assert_int_equal(tell_at(100 * S, 1, c), MSG_APPLIED);
	node_resumed(me.node, (struct node_now){ EPOCH + 3700 * S, 100 * S + MS });
	assert_int_equal(me.node->follow.state, BERK_STATE_UNSYNCHRONISED);
	carry_out();
	hush();
	node_timer(me.node, (struct node_now){ EPOCH + 3701 * S, 101 * S });
	carry_out();
	assert_int_equal(me.clocks, 0);
	c.round++;
	c.ref_raw_ns = 101 * S;
	c.ref_real_ns = EPOCH + 101 * S;
	c.offset_ns = -3600 * S;
	assert_int_equal(tell_at(101 * S, 1, c), MSG_APPLIED);
	step();
	assert_int_equal(me.clock.step_ns, 3600 * S + 10);
	end();
}

/* What was commanded did not happen: that is no foreign step, and is commanded again. */
static void test_clock_failed(void **state)
{
	struct msg_correct c = line;

	(void)state;
	slave();
	assert_int_equal(tell_at(100 * S, 1, c), MSG_APPLIED);
	step();
	assert_true(me.clock.step_ns < -S);
	node_clock_failed(me.node);
	node_timer(me.node, (struct node_now){ EPOCH + 101 * S, 101 * S });
	carry_out();
	step();
	assert_true(me.clock.step_ns < -S);
	assert_true(logged("stepped the clock"));
	assert_false(logged("somebody else"));
	end();
}

static void test_rate_unknown(void **state)
{
	struct msg_correct c = line;

	(void)state;
	slave();
	c.rate_known = false;
	assert_int_equal(tell_at(100 * S, 1, c), MSG_APPLIED);
	assert_float_equal(me.clock.freq_ppb, 0, 1);
	assert_true(me.clock.maxerror_ns > 100000);	/* any crystal, for a second */
	end();
}

static void test_stop(void **state)
{
	(void)state;
	slave();
	tell_at(100 * S, 1, line);
	hush();
	node_stop(me.node, (struct node_now){ EPOCH + 98 * S + 1000, 100 * S });
	carry_out();
	assert_int_equal(me.clocks, 1);
	assert_float_equal(me.clock.freq_ppb, 1000, 1);
	assert_int_equal(me.clock.step_ns, 0);
	assert_false(me.clock.synchronised);
	assert_int_equal(me.publishes, 1);
	assert_int_equal(me.publish.state, BERK_STATE_UNSYNCHRONISED);
	end();
}

/* The frequency is as it was left, and nothing is known yet. */
static void test_start(void **state)
{
	struct node_conf conf = plain;

	(void)state;
	conf.freq_ppb = 12345;
	begin(&conf);
	node_start(me.node, now());
	carry_out();
	assert_int_equal(me.clocks, 1);
	assert_float_equal(me.clock.freq_ppb, 12345, 0);
	assert_false(me.clock.synchronised);
	assert_int_equal(me.publishes, 1);
	assert_int_equal(me.publish.state, BERK_STATE_UNSYNCHRONISED);
	assert_true(me.publish.error_bound_ns == UINT64_MAX);
	assert_float_equal(me.publish.freq_ppb, 12345, 0);
	assert_int_equal(me.n_sent, 0);
	assert_true(node_next_timer(me.node) <= me.raw + S);
	end();
}

/* --- of several masters */

/* A node that joins another group slews there, or steps, as configured. */
static void test_merge(void **state)
{
	static const struct {
		enum node_merge merge;
		int64_t offset;
		int steps;
	} of[] = {
		{ NODE_MERGE_SLEW, 5 * MS, 0 }, { NODE_MERGE_STEP, 5 * MS, 1 },
		{ NODE_MERGE_STEP, 900000, 0 },	/* within the threshold of 1 ms nobody steps */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct node_conf conf = plain;
		struct msg_correct c;

		conf.merge = of[i].merge;
		follow(&conf, 10, 2);
		hear(1, (struct msg_hello){ .kind = MSG_RESIGN, .successor_id = 2 });
		c = agreeing(50);
		c.offset_ns = of[i].offset;
		told_by(2, c);
		if (of[i].steps)
			step();
		assert_int_equal(me.steps, of[i].steps);
		assert_int_equal(me.clock.step_ns, of[i].steps ? -of[i].offset : 0);
		end();
	}
}

/* What the new master of the old group says is followed like what the old one said. */
static void test_another_master_of_the_same_group(void **state)
{
	struct msg_correct c;

	(void)state;
	follow(&plain, 10, 2);
	pass(1500 * MS);
	c = agreeing(1000);
	c.offset_ns = 300;
	assert_int_equal(told_by(2, c), -1);
	assert_int_equal(me.steps, 0);
	assert_int_equal(me.publish.state, BERK_STATE_SYNCHRONISED);
	assert_int_equal(me.publish.master_id, 2);
	assert_int_equal(me.publish.term, 1000);
	assert_true(logged("master is now 0000000000000002"));
	end();
}

static void test_roles_are_published(void **state)
{
	(void)state;
	follow(&plain, 3, 1);
	pass(S);
	told_by(1, agreeing(3));	/* of rank 0 */
	assert_int_equal(me.publish.role, BERK_ROLE_SLAVE);
	end();
	follow(&plain, 3, 1);
	assert_int_equal(me.publish.role, BERK_ROLE_STANDBY);
	end();
	follow(&plain, 3, 2);
	assert_int_equal(me.publish.role, BERK_ROLE_SLAVE);
	end();
	lead(&plain, 1);
	assert_int_equal(me.publish.role, BERK_ROLE_MASTER);
	assert_int_equal(me.publish.master_id, ME);
	end();
}

/* A reference is told as everybody else, but its clock is not touched. */
static void test_reference_is_not_touched(void **state)
{
	struct node_conf conf = plain;
	struct msg_correct c;

	(void)state;
	conf.reference = true;
	begin(&conf);
	node_start(me.node, now());
	node_reference(me.node, now(), true, 0);
	for (int i = 0; i < 20; i++) {
		pass(S / 2);
		c = agreeing(1 + me.node->term);
		c.offset_ns = 3 * S;
		c.may_step = true;
		c.freq_ppb = 50e3;
		told_by(1, c);
		assert_int_equal(me.steps, 0);
		assert_false(me.clocks && me.clock.freq_ppb != 0);
		assert_int_equal(me.publish.state, BERK_STATE_SYNCHRONISED);
	}
	end();
}

/* --- members that the master tells of */

static union node_addr v6(const char *text, uint32_t scope)
{
	union node_addr a = { .in6 = { .sin6_family = AF_INET6, .sin6_port = htons(5525),
				       .sin6_scope_id = scope } };

	assert_int_equal(inet_pton(AF_INET6, text, &a.in6.sin6_addr), 1);
	return a;
}

static void tell_of(const union node_addr *master, const struct msg_member *told, unsigned int n)
{
	struct msg msg = { .type = MSG_CORRECT, .correct = agreeing(3) };

	memcpy(msg.correct.told, told, n * sizeof(*told));
	msg.correct.n_told = n;
	hear_from(master, 1, &msg);
}

static void test_told_members_become_peers(void **state)
{
	union node_addr master = addr_of(1), near = v6("fe80::1", 7), global = v6("2001:db8::5", 0);
	union node_addr scoped = v6("fe80::4", 7), unscoped = v6("fe80::4", 0);
	struct msg_member told[] = {
		{ 2, addr_of(2) }, { ME, addr_of(ME) }, { 4, unscoped }, { 5, global },
	};

	(void)state;
	start(&plain);
	for (int i = 0; i < 5; i++)
		tell_of(&near, told, 4);
	assert_int_equal(me.node->master.n, 3);	/* this node is none */
	assert_non_null(peer_of(2));
	assert_int_equal(peer_by_addr(me.node, &scoped)->node_id, 4);
	assert_int_equal(peer_by_addr(me.node, &global)->node_id, 5);
	assert_true(peer_of(2)->witness);
	end();

	/* what is local to the master's link cannot be found by way of IPv4 */
	start(&plain);
	tell_of(&master, told, 4);
	assert_int_equal(me.node->master.n, 2);
	assert_null(peer_by_addr(me.node, &unscoped));
	end();
}

/* However many it is told of. */
static void test_told_members_are_bounded(void **state)
{
	union node_addr master = addr_of(1);

	(void)state;
	start(&plain);
	for (uint64_t i = 0; i < 1000; i++) {
		struct msg_member told[MSG_TOLD];

		for (uint64_t k = 0; k < MSG_TOLD; k++)
			told[k] = (struct msg_member){ 100 + MSG_TOLD * i + k,
						       addr_of(100 + MSG_TOLD * i + k) };
		tell_of(&master, told, MSG_TOLD);
	}
	assert_int_equal(me.node->master.n, 4096);
	end();
}

/* --- */

static void test_log_limit(void **state)
{
	struct node_action a;
	int lines = 0;

	(void)state;
	slave();
	for (int i = 0; i < 1000; i++) {
		node_say(me.node, 100 * S, LOG_INFO, "line %d", i);
		while (node_next_action(me.node, &a))
			lines++;
	}
	assert_in_range(lines, 20, 23);
	node_say(me.node, 200 * S, LOG_INFO, "%s", "again");
	assert_true(node_next_action(me.node, &a));
	assert_non_null(strstr(a.log.text, "lines left out) again"));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_correction),
		cmocka_unit_test(test_blend),
		cmocka_unit_test(test_poor_contradictions),
		cmocka_unit_test(test_withdrawn),
		cmocka_unit_test(test_bound_grows),
		cmocka_unit_test(test_extreme_corrections),
		cmocka_unit_test(test_second_master),
		cmocka_unit_test(test_a_master_that_was_voted_for),
		cmocka_unit_test(test_a_round_of_the_future),
		cmocka_unit_test(test_implausible),
		cmocka_unit_test(test_suspended),
		cmocka_unit_test(test_clock_failed),
		cmocka_unit_test(test_rate_unknown),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_another_master_of_the_same_group),
		cmocka_unit_test(test_roles_are_published),
		cmocka_unit_test(test_reference_is_not_touched),
		cmocka_unit_test(test_told_members_become_peers),
		cmocka_unit_test(test_told_members_are_bounded),
		cmocka_unit_test(test_log_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
