// SPDX-License-Identifier: GPL-2.0
/* What nodes say of themselves, and what is made of it */
#include <arpa/inet.h>

#include "hello.c"
#include "alone.h"

static struct msg_hello of_kind(enum msg_hello_kind kind)
{
	return (struct msg_hello){ .kind = kind, .eligible = true, .priority = 100 };
}

static struct msg_hello of_master(uint64_t id, uint32_t term, uint32_t size)
{
	return (struct msg_hello){ .kind = MSG_ANNOUNCE, .master = true, .master_id = id,
				   .term = term, .size = size, .synced = true };
}

/* --- answers */

static void test_only_questions_are_answered(void **state)
{
	(void)state;
	for (int leads = 0; leads < 2; leads++) {
		if (leads)
			lead(&plain, 2);
		else
			follow(&plain, 3, 2);
		for (int kind = MSG_ANNOUNCE; kind <= MSG_RESIGN; kind++) {
			hear(2, of_kind((enum msg_hello_kind)kind));
			if (kind == MSG_ASK)
				assert_non_null(said_to(2, MSG_ANNOUNCE));
			else if (kind == MSG_CLAIM)
				assert_non_null(said_to(2, MSG_DENY));
			else
				assert_int_equal(me.n_sent, 0);
		}
		end();
	}
}

/* As many strangers as may be: what waits, and who is kept in mind, is bounded. */
static void test_flood(void **state)
{
	(void)state;
	for (int stance = 0; stance < 3; stance++) {
		unsigned char buf[MSG_MAX];
		struct msg msg = { .type = MSG_HELLO, .hello = of_kind(MSG_ASK) };

		if (stance == 0)
			start(&plain);
		else if (stance == 1)
			follow(&plain, 3, 2);
		else
			lead(&plain, 2);
		for (uint64_t id = 100; id < 6000; id++) {
			union node_addr from = addr_of(id);

			msg.hello.instance = id;
			node_ctrl(me.node, now(), &from, id, 0, buf, msg_encode(&msg, buf));
		}
		assert_true(me.node->reply_head - me.node->reply_tail <= REPLIES);
		assert_true(me.node->master.n <= 4096 + 2);
		carry_out();
		assert_true(me.n_sent <= REPLIES + 8);
		/* and afterwards it goes on */
		pass(S);
		hear(2, of_kind(MSG_ASK));
		assert_non_null(said_to(2, MSG_ANNOUNCE));
		end();
	}
}

/* Who knows nothing need not answer all that ask, or many would answer as many. */
static void test_many_that_seek_do_not_storm(void **state)
{
	int sent = 0;

	(void)state;
	start(&plain);
	me.node->conf.eligible = false;
	for (int t = 0; t < 100; t++) {
		for (uint64_t id = 10; id < 110; id++) {
			hear(id, of_kind(MSG_ASK));
			sent += me.n_sent;
		}
		pass(100 * MS);
		sent += me.n_sent;
	}
	/* each 100 ms: 100 questions */
	assert_true(sent < 100 * 20);
	end();
}

static void test_what_each_says(void **state)
{
	struct node_conf conf = plain;
	const struct msg_hello *h;
	uint64_t instance;

	(void)state;
	conf.priority = 7;
	conf.mode = NODE_MODE_REPORT;
	start(&conf);
	hear(2, of_kind(MSG_ASK));
	h = said_to(2, MSG_ANNOUNCE);
	assert_true(h->eligible && h->report && !h->master && !h->reference && !h->synced);
	assert_int_equal(h->priority, 7);
	assert_true(h->master_id == 0 && h->size == 0 && h->instance != 0);
	instance = h->instance;
	hear(2, of_kind(MSG_ASK));
	assert_int_equal(said_to(2, MSG_ANNOUNCE)->instance, instance);
	end();

	follow(&plain, 3, 2);
	hear(2, of_kind(MSG_ASK));
	h = said_to(2, MSG_ANNOUNCE);
	assert_true(!h->master && h->synced && !h->report);
	assert_true(h->master_id == 1 && h->size == 3 && h->term == 3);
	assert_true(is_to(&h->master_addr, 1));
	end();

	lead(&plain, 2);
	hear(2, of_kind(MSG_ASK));
	h = said_to(2, MSG_ANNOUNCE);
	assert_true(h->master && h->synced);
	assert_true(h->master_id == ME && h->size == 3 && h->term == me.node->term);
	assert_int_equal(h->master_addr.sa.sa_family, AF_UNSPEC);
	end();
}

static void test_instance_differs_at_every_start(void **state)
{
	uint64_t seen[50];

	(void)state;
	for (uint64_t i = 0; i < 50; i++) {
		struct node_conf conf = plain;

		conf.seed = i;
		start(&conf);
		seen[i] = me.node->elect.instance;
		assert_int_not_equal(seen[i], 0);
		for (uint64_t k = 0; k < i; k++)
			assert_int_not_equal(seen[i], seen[k]);
		end();
	}
}

/* Link-local addresses mean nothing without the link that they were heard on. */
static void test_scope_is_of_the_link(void **state)
{
	union node_addr from = { .in6 = { .sin6_family = AF_INET6, .sin6_scope_id = 5,
					  .sin6_port = htons(5525) } };
	struct msg msg = { .type = MSG_HELLO, .hello = of_kind(MSG_ANNOUNCE) };
	union node_addr *master = &msg.hello.master_addr;

	(void)state;
	inet_pton(AF_INET6, "fe80::2", &from.in6.sin6_addr);
	*master = from;
	master->in6.sin6_addr.s6_addr[15] = 3;
	master->in6.sin6_scope_id = 0;
	msg.hello.master_id = 3;
	msg.hello.instance = 1;
	start(&plain);
	hear_from(&from, 2, &msg);
	assert_int_equal(me.node->elect.master_id, 3);
	assert_int_equal(me.node->elect.master_addr.in6.sin6_scope_id, 5);
	end();
}

/* --- who should stand */

static void test_whoever_hears_of_a_better_one_waits(void **state)
{
	static const struct {
		struct msg_hello h;
		uint64_t id;
		bool waits;
	} of[] = {
		{ { .eligible = true, .priority = 101 }, ME + 1, true },
		{ { .eligible = true, .priority = 99 }, ME - 1, false },
		{ { .eligible = true, .priority = 100 }, ME - 1, true },
		{ { .eligible = true, .priority = 100 }, ME + 1, false },
		{ { .eligible = false, .priority = 255 }, ME - 1, false },
		{ { .eligible = true, .priority = 255, .report = true }, ME - 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		int64_t due;

		start(&plain);
		due = me.node->elect.due;
		hear(of[i].id, of[i].h);
		assert_int_equal(me.node->elect.due > due, of[i].waits);
		end();
	}
}

/* --- an id that is used twice */

static struct msg_hello twin(bool older, bool synced, enum msg_hello_kind kind)
{
	struct msg_hello h = of_kind(kind);

	h.instance = me.node->elect.instance + (older ? -1ULL : 1ULL);
	h.synced = synced;
	return h;
}

static void test_of_two_with_one_id_the_synchronised_stays(void **state)
{
	static const struct {
		bool we_synced, it_synced, it_older, we_stay;
	} of[] = {
		{ true, false, true, true }, { true, false, false, true },
		{ false, true, true, false }, { false, true, false, false },
		{ false, false, true, false }, { false, false, false, true },
		{ true, true, true, false }, { true, true, false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		if (of[i].we_synced)
			follow(&plain, 3, 2);
		else
			start(&plain);
		hear(ME, twin(of[i].it_older, of[i].it_synced, MSG_ASK));
		assert_true(logged("has our node_id 0000000000000009"));
		assert_int_equal(logged("stays out"), !of[i].we_stay);
		if (me.node->elect.twice == of[i].we_stay)
			fail_msg("case %zu", i);
		hear(ME, twin(of[i].it_older, of[i].it_synced, MSG_ASK));
		assert_int_equal(me.log[0], '\0');	/* once is enough */
		end();
	}
}

static void test_who_stays_out_is_silent_until_the_other_is_gone(void **state)
{
	(void)state;
	start(&plain);
	hear(ME, twin(true, true, MSG_ANNOUNCE));
	assert_true(me.node->elect.twice);
	pass(30 * S);
	assert_int_equal(me.n_sent, 0);
	hear(2, of_kind(MSG_CLAIM));
	hear(2, of_kind(MSG_ASK));
	assert_int_equal(me.n_sent, 0);
	assert_int_equal(told_by(2, agreeing(3)), -1);
	assert_false(me.node->follow.heard);
	/* it is heard again, and then not any more */
	hear(ME, twin(true, true, MSG_ANNOUNCE));
	pass(59 * S);
	assert_int_equal(me.n_sent, 0);
	pass(3 * S);
	assert_non_null(said(MSG_CLAIM));
	end();
}

static void test_who_leads_may_have_to_stay_out(void **state)
{
	(void)state;
	lead(&plain, 2);
	hear(ME, twin(true, true, MSG_ANNOUNCE));
	assert_int_not_equal(me.node->elect.stance, LEADING);
	assert_non_null(said_to(0, MSG_RESIGN));
	pass(10 * S);
	assert_int_equal(me.n_sent, 0);
	end();
}

static void test_own_echo_is_nobody(void **state)
{
	struct msg_hello h = of_kind(MSG_ASK);

	(void)state;
	start(&plain);
	h.instance = me.node->elect.instance;
	hear(ME, h);
	assert_false(me.node->elect.twice);
	assert_int_equal(me.log[0], '\0');
	assert_int_equal(me.n_sent, 0);
	end();
}

/* --- heard by a master */

static void test_a_newcomer_is_measured_soon(void **state)
{
	int rounds;

	(void)state;
	lead(&plain, 2);
	pass(60 * S);
	rounds = me.rounds;
	meet_other(3);
	pass(2 * S);
	assert_true(me.rounds >= 5);
	/* but newcomers cannot make it hurry all the time */
	for (uint64_t id = 20; id < 80; id++) {
		hear(id, of_kind(MSG_ANNOUNCE));
		pass(S);
		rounds += me.rounds;
	}
	assert_in_range(rounds, 120, 120 + 4 * 6 + 6);
	end();
}

/*
 * Otherwise it would answer its corrections with STALE for ever. But first it has the time
 * to find its own master again.
 */
static void test_a_newer_term_is_overtaken(void **state)
{
	struct msg_hello h = of_kind(MSG_ASK);

	(void)state;
	lead(&plain, 2);
	h.term = me.node->term + 1000;
	for (int i = 0; i < 3; i++) {
		hear(3, h);
		assert_true(me.node->term < h.term);
		pass(S);
	}
	pass(4 * S);
	for (int i = 0; i < 4; i++) {	/* long after that it begins anew */
		assert_true(me.node->term < h.term);
		hear(3, h);
		pass(S);
	}
	assert_true(me.node->term > h.term);
	pass(2 * S);
	assert_int_equal(corrected(1)->term, me.node->term);
	end();
}

/* It may be that one's, which knows how many it has lost only when it has made a round. */
static void test_strays_wait_for_the_rival(void **state)
{
	struct msg_hello h = of_kind(MSG_ASK);
	uint32_t term;

	(void)state;
	lead(&plain, 2);
	term = me.node->term;
	h.term = term + 1000;
	for (int i = 0; i < 5; i++) {
		hear(5, of_master(5, h.term, 1));
		hear(3, h);
		assert_int_equal(me.node->term, term);
		pass(S * 9 / 10);
	}
	end();
}

/* Those of older terms could be corrected at once, but belong to somebody as well. */
static void test_who_joins_at_once(void **state)
{
	static const struct { bool synced; int term; bool joins; } of[] = {
		{ true, 0, true },	/* our term */
		{ true, -1, true },	/* the one before: it has missed our election */
		{ true, -5, false },
		{ false, -5, true },	/* its time is up anyway */
		{ false, 5, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct msg_hello h = of_kind(MSG_ASK);
		uint32_t term;

		lead(&plain, 2);
		term = me.node->term;
		me.node->master.term_before = term - 1;
		h.synced = of[i].synced;
		h.term = term + (uint32_t)of[i].term;
		hear(3, h);
		assert_int_equal(peer_by_id(me.node, 3)->given == h.term, of[i].joins);
		assert_int_equal(me.node->term, term);
		for (int k = 0; k < 4; k++) {
			pass(S);
			hear(3, h);
		}
		assert_int_equal(peer_by_id(me.node, 3)->given, h.term);
		end();
	}
}

static void test_another_master_is_a_rival(void **state)
{
	uint32_t term;

	(void)state;
	lead(&plain, 2);
	term = me.node->term;
	hear(5, of_master(5, term + 10, 2));
	assert_int_equal(me.node->elect.rival_id, 5);
	assert_int_equal(me.node->elect.rival_size, 2);
	/* what others say of it counts less than what it said itself */
	hear(6, (struct msg_hello){ .kind = MSG_ANNOUNCE, .master_id = 5, .term = term + 10,
				    .size = 9, .master_addr = addr_of(5) });
	assert_int_equal(me.node->elect.rival_size, 2);
	/* and what is older than that, nothing */
	hear(5, of_master(5, term + 9, 1));
	assert_int_equal(me.node->elect.rival_size, 2);
	hear(5, of_master(5, term + 10, 3));
	assert_int_equal(me.node->elect.rival_size, 3);
	end();
}

static void test_a_rival_known_at_second_hand_is_asked(void **state)
{
	(void)state;
	lead(&plain, 2);
	pass(S);
	for (int i = 0; i < 3; i++)
		hear(6, (struct msg_hello){ .kind = MSG_ANNOUNCE, .master_id = 5, .term = 10,
					    .size = 2, .master_addr = addr_of(5) });
	assert_int_equal(me.node->elect.rival_id, 0);
	assert_null(said_to(5, MSG_ASK));	/* not again so soon */
	me.raw += S;
	hear(6, (struct msg_hello){ .kind = MSG_ANNOUNCE, .master_id = 5, .term = 10, .size = 2,
				    .master_addr = addr_of(5) });
	assert_non_null(said_to(5, MSG_ASK));
	end();
}

static void test_members_of_the_last_master_are_no_rivals(void **state)
{
	(void)state;
	follow(&plain, 5, 1);
	pass(3 * S);
	assert_int_equal(me.node->elect.stance, LEADING);
	hear(2, (struct msg_hello){ .kind = MSG_ASK, .master_id = 1, .term = 3, .size = 3,
				    .master_addr = addr_of(1) });
	assert_int_equal(me.node->elect.rival_id, 0);
	end();
}

/* The group's other members would follow it no more than this one. */
static void test_the_distrusted_is_no_rival(void **state)
{
	(void)state;
	follow(&plain, 5, 1);
	elect_distrust(me.node, now(), 1);
	pass(3 * S);
	assert_int_equal(me.node->elect.stance, LEADING);
	me.node->master.followers = 2;
	hear(1, of_master(1, me.node->term + 5, 5));
	assert_int_equal(me.node->elect.rival_id, 0);
	/* but if nobody shares that opinion, it was wrong */
	me.node->master.followers = 1;
	hear(1, of_master(1, me.node->term + 5, 5));
	assert_int_equal(me.node->elect.rival_id, 1);
	end();
}

/* --- heard by others */

static void test_a_master_that_asks_was_restarted(void **state)
{
	(void)state;
	follow(&plain, 5, 1);
	hear(1, of_kind(MSG_ASK));
	assert_true(me.node->elect.resigned);
	pass(S);
	assert_non_null(said(MSG_CLAIM));
	end();
}

static void test_whoever_follows_hears_no_other_master(void **state)
{
	(void)state;
	follow(&plain, 5, 2);
	hear(5, of_master(5, 1000, 50));
	assert_int_equal(me.node->follow.master_id, 1);
	assert_int_equal(me.node->elect.master_id, 1);
	assert_int_equal(me.n_sent, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_questions_are_answered),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_many_that_seek_do_not_storm),
		cmocka_unit_test(test_what_each_says),
		cmocka_unit_test(test_instance_differs_at_every_start),
		cmocka_unit_test(test_scope_is_of_the_link),
		cmocka_unit_test(test_whoever_hears_of_a_better_one_waits),
		cmocka_unit_test(test_of_two_with_one_id_the_synchronised_stays),
		cmocka_unit_test(test_who_stays_out_is_silent_until_the_other_is_gone),
		cmocka_unit_test(test_who_leads_may_have_to_stay_out),
		cmocka_unit_test(test_own_echo_is_nobody),
		cmocka_unit_test(test_a_newcomer_is_measured_soon),
		cmocka_unit_test(test_a_newer_term_is_overtaken),
		cmocka_unit_test(test_strays_wait_for_the_rival),
		cmocka_unit_test(test_who_joins_at_once),
		cmocka_unit_test(test_another_master_is_a_rival),
		cmocka_unit_test(test_a_rival_known_at_second_hand_is_asked),
		cmocka_unit_test(test_members_of_the_last_master_are_no_rivals),
		cmocka_unit_test(test_the_distrusted_is_no_rival),
		cmocka_unit_test(test_a_master_that_asks_was_restarted),
		cmocka_unit_test(test_whoever_follows_hears_no_other_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
