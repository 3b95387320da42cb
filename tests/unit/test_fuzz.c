// SPDX-License-Identifier: GPL-2.0
/*
 * Anybody may send anything: messages at random, mutated, forged and out of turn, into
 * a node of each stance. It never crashes, what it keeps is bounded, and no stranger's
 * word but a correction moves a synchronised clock.
 */
#include "alone.h"

#define MESSAGES 100000

static uint64_t state_of_chance;

static uint64_t chance(void)
{
	state_of_chance = state_of_chance * 6364136223846793005ULL + 1442695040888963407ULL;
	return state_of_chance >> 20;
}

/* Numbers as a forger would choose them. */
static uint64_t odd(uint64_t usual)
{
	static const uint64_t edge[] = { 0, 1, 255, UINT32_MAX, INT32_MAX, INT64_MAX, UINT64_MAX };

	switch (chance() % 4) {
	case 0:
		return edge[chance() % 7];
	case 1:
		return chance() << (chance() % 40);
	case 2:
		return usual + chance() % 5 - 2;
	default:
		return usual;
	}
}

static bool coin(void)
{
	return chance() & 1;
}

/* Of a few that are known, and of strangers. */
static uint64_t anybody(void)
{
	return 1 + (coin() ? chance() % 4 : chance() % 300);
}

static struct msg_hello any_hello(void)
{
	return (struct msg_hello){
		.kind = chance() % (MSG_RESIGN + 1), .eligible = coin(), .master = coin(),
		.reference = chance() % 8 == 0, .report = chance() % 8 == 0, .synced = coin(),
		.priority = (uint8_t)chance(), .term = (uint32_t)odd(me.node->term),
		.claimed = (uint32_t)odd(coin() ? me.node->elect.claimed : me.node->elect.promised),
		.size = (uint32_t)odd(3), .instance = 1 + odd(me.node->elect.instance) % UINT64_MAX,
		.master_id = odd(coin() ? me.node->follow.master_id : ME),
		.successor_id = odd(ME), .master_addr = addr_of(anybody()),
	};
}

static struct msg_ack any_ack(void)
{
	return (struct msg_ack){
		.term = (uint32_t)odd(me.node->term),
		.round = (uint32_t)odd(me.node->measure.round),
		.status = chance() % (MSG_REFUSED + 1),
		.current_term = (uint32_t)odd(me.node->term), .current_round = (uint32_t)odd(7),
	};
}

static struct berk_stamp any_stamp(void)
{
	return (struct berk_stamp){ (int64_t)odd((uint64_t)(EPOCH + me.raw)),
				    (int64_t)odd((uint64_t)me.raw) };
}

static struct berk_sample any_sample(void)
{
	struct berk_sample s = {
		.t1 = any_stamp(), .t2 = any_stamp(), .t3 = any_stamp(), .t4 = any_stamp(),
		.local_set_seq = (uint32_t)odd(0), .peer_set_seq = (uint32_t)odd(0),
		.round = (uint32_t)odd(me.node->measure.round), .flags = (uint8_t)(chance() % 4),
	};

	for (int i = 0; i < 4; i++)
		s.src[i] = (uint8_t)(chance() % 4);
	return s;
}

static struct msg_report any_report(void)
{
	struct msg_report r = { .term = (uint32_t)odd(me.node->term),
				.n = 1 + (unsigned int)(chance() % MSG_SAMPLES) };

	for (unsigned int i = 0; i < r.n; i++)
		r.sample[i] = any_sample();
	return r;
}

static struct msg_correct any_correct(void)
{
	struct msg_correct c = {
		.term = (uint32_t)odd(me.node->term), .round = (uint32_t)odd(7),
		.members = 1 + (uint32_t)odd(3) % UINT32_MAX, .rate_known = coin(),
		.may_step = coin(), .anew = coin(), .want_ack = coin(), .steered = coin(),
		.ref_raw_ns = (int64_t)(odd((uint64_t)me.raw) >> 2),
		.ref_real_ns = (int64_t)(odd((uint64_t)(EPOCH + me.raw)) >> 2),
		.offset_ns = (int64_t)odd(0) >> 3, .freq_ppb = (double)(odd(0) % 1000000),
		.sigma_ns = (int64_t)(odd(100) >> 4), .bound_ns = (int64_t)(odd(100) >> 4),
		.rate_sigma_ppb = (double)(odd(10) % 1000000), .interval_ns = S,
		.rank = (uint8_t)odd(1), .n_told = (unsigned int)(chance() % (MSG_TOLD + 1)),
	};

	for (unsigned int i = 0; i < c.n_told; i++) {
		uint64_t id = anybody();

		c.told[i] = (struct msg_member){ id, addr_of(id) };
	}
	return c;
}

/* Bytes of a message, the types by their number; some are damaged, or nothing but noise. */
static size_t any_message(enum msg_type most, unsigned char *buf)
{
	struct msg msg = { .type = MSG_ACK + chance() % 3 };
	size_t len;

	if (most == MSG_CORRECT && coin())
		msg.type = MSG_CORRECT;
	if (msg.type == MSG_CORRECT)
		msg.correct = any_correct();
	else if (msg.type == MSG_ACK)
		msg.ack = any_ack();
	else if (msg.type == MSG_HELLO)
		msg.hello = any_hello();
	else
		msg.report = any_report();
	len = msg_encode(&msg, buf);
	if (chance() % 8 == 0)
		buf[1 + chance() % (len - 1)] = (unsigned char)chance();
	if (chance() % 32 == 0)
		len = chance() % (MSG_MAX + 1);
	if (most != MSG_CORRECT && len > 1 && buf[1] == MSG_CORRECT)
		buf[1] = MSG_ACK;
	return len;
}

static void check_bounds(void)
{
	const struct node *node = me.node;

	assert_true(node->reply_head - node->reply_tail <= REPLIES);
	assert_true(node->log_head - node->log_tail <= LOGS);
	assert_true(node->n_forgotten <= FORGOTTEN);
	assert_true(node->master.n <= 4096 + 4);
	assert_true(node->measure.n_reported <= REPORTED);
}

/*
 * Time passes as well, and there are rounds, with samples of any content. Returns how
 * often the clock was stepped.
 */
static int storm(enum msg_type most, bool samples)
{
	static unsigned char buf[MSG_MAX];
	int steps = 0, understood = 0;
	struct msg msg;

	for (int k = 0; k < MESSAGES; k++) {
		uint64_t id = anybody();
		union node_addr from = addr_of(chance() % 8 ? id : anybody());
		size_t len = any_message(most, buf);

		understood += !msg_decode(&msg, buf, len);
		if (chance() % 64 == 0)
			id = ME;
		node_ctrl(me.node, now(), &from, id, 0, buf, len);
		if (samples && chance() % 16 == 0) {
			struct berk_sample s = any_sample();

			s.peer = (uint32_t)(chance() % 20);
			s.node_id = anybody();
			node_sample(me.node, now(), &s);
		}
		check_bounds();
		if (k % 16)
			continue;
		me.raw += 7 * MS;
		hush();
		node_timer(me.node, now());
		carry_out();
		if (me.rounds && coin())
			node_round_done(me.node, now(), me.round.round);
		steps += me.steps;
	}
	assert_true(understood > MESSAGES / 2);
	return steps;
}

static void test_seeking(void **state)
{
	(void)state;
	state_of_chance = 1;
	start(&plain);
	storm(MSG_CORRECT, true);
	end();
}

static void test_ineligible(void **state)
{
	struct node_conf conf = plain;

	(void)state;
	state_of_chance = 2;
	conf.eligible = false;
	conf.mode = NODE_MODE_REPORT;
	start(&conf);
	storm(MSG_CORRECT, true);
	end();
}

static void test_leading(void **state)
{
	(void)state;
	state_of_chance = 3;
	lead(&plain, 3);
	storm(MSG_CORRECT, true);
	end();
}

static void test_majority(void **state)
{
	struct node_conf conf = plain;

	(void)state;
	state_of_chance = 4;
	conf.quorum = NODE_QUORUM_MAJORITY;
	conf.merge = NODE_MERGE_STEP;
	lead(&conf, 3);
	storm(MSG_CORRECT, true);
	end();
}

static void test_reference(void **state)
{
	struct node_conf conf = plain;

	(void)state;
	state_of_chance = 5;
	conf.reference = true;
	start(&conf);
	storm(MSG_CORRECT, true);
	end();
}

/* --- without corrections, whoever is in a group stays on its line */

/*
 * A slave loses its master in the flood (somebody says that it resigned), but holds the
 * line, and is never stepped.
 */
static void test_following(void **state)
{
	(void)state;
	for (uint8_t rank = 0; rank < 3; rank++) {
		state_of_chance = 6 + rank;
		follow(&plain, 20, rank);
		assert_int_equal(storm(MSG_ACK, false), 0);
		end();
	}
}

/* The words of strangers never step a clock, not even that of a master. */
static void test_no_stranger_steps_a_clock(void **state)
{
	(void)state;
	for (int leads = 0; leads < 2; leads++) {
		static unsigned char buf[MSG_MAX];
		int steps = 0;

		state_of_chance = 20;
		if (leads)
			lead(&plain, 3);
		else
			follow(&plain, 20, 1);
		for (int k = 0; k < MESSAGES / 10; k++) {
			union node_addr from = addr_of(50 + chance() % 50);
			size_t len = any_message(MSG_ACK, buf);

			node_ctrl(me.node, now(), &from, 50 + chance() % 50, 0, buf, len);
			if (k % 100 == 0)
				pass(100 * MS);
			hush();
			carry_out();
			steps += me.steps;
		}
		assert_int_equal(steps, 0);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seeking),
		cmocka_unit_test(test_ineligible),
		cmocka_unit_test(test_leading),
		cmocka_unit_test(test_majority),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_following),
		cmocka_unit_test(test_no_stranger_steps_a_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
