// SPDX-License-Identifier: GPL-2.0
/* Who leads: votes, terms, majorities, hand-over, rivals */
#include "elect.c"
#include "alone.h"

static void claim_of(uint64_t id, uint32_t term)
{
	hear(id, (struct msg_hello){ .kind = MSG_CLAIM, .eligible = true, .priority = 100,
				     .claimed = term });
}

static bool grants(uint64_t id, uint32_t term)
{
	claim_of(id, term);
	assert_true(!said_to(id, MSG_GRANT) != !said_to(id, MSG_DENY));
	assert_int_equal(me.n_sent, 1);
	return said_to(id, MSG_GRANT);
}

static void vote_of(uint64_t id, enum msg_hello_kind kind, uint32_t term, uint32_t claimed)
{
	hear(id, (struct msg_hello){ .kind = kind, .eligible = true, .priority = 100,
				     .term = term, .claimed = claimed });
}

/* Another that answers probes, as far as the node knows. */
static struct peer *know(uint64_t id)
{
	union node_addr addr = addr_of(id);
	struct peer *peer = peer_meet(me.node, now(), id, &addr);

	assert_non_null(peer);
	peer->track.started = true;
	return peer;
}

/* The claim goes out now. */
static void stand(void)
{
	me.node->elect.due = me.raw;
	pass(0);
	assert_int_equal(me.node->elect.stance, CLAIMING);
	assert_non_null(said_to(0, MSG_CLAIM));
}

static struct node_conf with(bool eligible, bool eager, enum node_quorum quorum)
{
	struct node_conf conf = plain;

	conf.eligible = eligible;
	conf.eager = eager;
	conf.quorum = quorum;
	return conf;
}

/* --- standing */

static void test_who_is_alone_leads(void **state)
{
	(void)state;
	start(&plain);
	pass(DISCOVER - 1);
	assert_null(said(MSG_CLAIM));
	pass(DISCOVER);
	assert_int_equal(me.node->elect.stance, LEADING);
	assert_int_equal(count_said(MSG_CLAIM), TRIES);
	assert_int_equal(me.node->term, me.node->elect.claimed);
	assert_true(logged("this node leads in term"));
	assert_int_equal(me.publish.role, BERK_ROLE_MASTER);
	end();
}

static void test_who_is_eager_waits_for_nobody(void **state)
{
	struct node_conf conf = with(true, true, NODE_QUORUM_ANY);

	(void)state;
	begin(&conf);
	node_start(me.node, now());
	pass(0);
	assert_non_null(said_to(0, MSG_CLAIM));
	pass(TRIES * VOTE);
	assert_int_equal(me.node->elect.stance, LEADING);
	end();
}

static void test_who_may_not_never_stands(void **state)
{
	struct node_conf conf = with(false, false, NODE_QUORUM_ANY);

	(void)state;
	start(&conf);
	pass(300 * S);
	assert_null(said(MSG_CLAIM));
	assert_in_range(count_said(MSG_ASK), 290, 360);	/* quickly at first, then each interval */
	assert_int_equal(me.n_sent, count_said(MSG_ASK));
	end();
}

static void test_the_next_ones_stand_in_turn(void **state)
{
	static const int64_t after[] = { 0, 1600 * MS, 2100 * MS, 2600 * MS };

	(void)state;
	for (uint8_t rank = 1; rank <= 3; rank++) {
		follow(&plain, 5, rank);
		pass(after[rank] - 1);
		assert_null(said(MSG_CLAIM));
		pass(1);
		assert_int_equal(me.node->elect.stance, CLAIMING);
		end();
	}
	/* and all others later than these, each at a time of its own */
	follow(&plain, 5, 0);
	pass(3099 * MS);
	assert_null(said(MSG_CLAIM));
	pass(S + MS);
	assert_non_null(said(MSG_CLAIM));
	end();
}

static void test_corrections_put_it_off(void **state)
{
	(void)state;
	follow(&plain, 30, 1);
	for (int i = 0; i < 20; i++) {
		pass(1500 * MS);	/* as late as may be */
		assert_null(said(MSG_CLAIM));
		assert_int_not_equal(told_by(1, agreeing(3)), MSG_REFUSED);
		me.node->elect.rank = 1;
	}
	end();
}

/* A master that has nothing to correct just now says so; but not for ever. */
static void test_beacons_put_it_off_for_a_while(void **state)
{
	const struct msg_hello beacon = { .kind = MSG_ANNOUNCE, .master = true, .master_id = 1,
					  .term = 3, .size = 3, .synced = true };

	(void)state;
	follow(&plain, 30, 1);
	for (int i = 0; i < HOLDS; i++) {
		pass(i ? S : S - MS);
		assert_null(said(MSG_CLAIM));
		hear(1, beacon);
		assert_true(elect_master_alive(me.node, now()));
		hear(2, beacon);	/* of another it says nothing */
	}
	for (int i = 0; i < 2; i++) {
		pass(S);
		hear(1, beacon);
	}
	assert_int_not_equal(me.node->elect.stance, FOLLOWING);
	end();
}

/* All that this node knows have voted for it, but for the master that is gone. */
static void all_vote(void)
{
	know(1);
	know(2);
	know(3);
	stand();
	vote_of(2, MSG_GRANT, 3, me.node->elect.claimed);
	assert_int_equal(me.node->elect.stance, CLAIMING);
	vote_of(3, MSG_GRANT, 3, me.node->elect.claimed);
}

static void test_all_votes_are_enough(void **state)
{
	(void)state;
	follow(&plain, 5, 1);
	all_vote();
	/* a master that lives has the time to object */
	assert_int_equal(me.node->elect.stance, CLAIMING);
	pass(SURE * VOTE);
	assert_int_equal(me.node->elect.stance, LEADING);
	assert_int_equal(count_said(MSG_CLAIM), (SURE - 1) * 4);	/* to each, and to all */
	end();

	follow(&plain, 5, 1);
	all_vote();
	hear(1, (struct msg_hello){ .kind = MSG_DENY, .master = true, .master_id = 1, .term = 3,
				    .claimed = me.node->elect.claimed });
	pass(TRIES * VOTE);
	assert_int_not_equal(me.node->elect.stance, LEADING);
	end();
}

/* After a master that resigned, or lied, nothing is to be waited for. */
static void test_nobody_waits_for_who_resigned_or_lied(void **state)
{
	(void)state;
	for (int lied = 0; lied < 2; lied++) {
		follow(&plain, 5, 1);
		if (lied)
			elect_distrust(me.node, now(), 1);
		else
			hear(1, (struct msg_hello){ .kind = MSG_RESIGN, .successor_id = ME });
		all_vote();
		assert_int_equal(me.node->elect.stance, LEADING);
		end();
	}
}

static void test_votes_for_another_claim_count_nothing(void **state)
{
	(void)state;
	start(&plain);
	know(2);
	stand();
	vote_of(2, MSG_GRANT, 0, me.node->elect.claimed - 1);
	vote_of(2, MSG_DENY, 0, me.node->elect.claimed + 1);
	assert_int_equal(me.node->elect.stance, CLAIMING);
	assert_int_equal(votes(me.node), 1);
	end();
}

static void test_a_vote_counts_once(void **state)
{
	struct node_conf conf = with(true, false, NODE_QUORUM_MAJORITY);

	(void)state;
	start(&conf);
	for (uint64_t id = 1; id <= 4; id++) {
		union node_addr addr = addr_of(id);

		node_peer_add(me.node, &addr);
	}
	know(2);
	know(3);
	stand();
	vote_of(2, MSG_GRANT, 0, me.node->elect.claimed);
	vote_of(2, MSG_GRANT, 0, me.node->elect.claimed);
	assert_int_equal(votes(me.node), 2);
	pass(TRIES * VOTE);
	assert_int_not_equal(me.node->elect.stance, LEADING);
	end();
}

static void test_whoever_is_denied_waits(void **state)
{
	(void)state;
	start(&plain);
	know(2);
	stand();
	vote_of(2, MSG_DENY, 0, me.node->elect.claimed);
	assert_int_equal(me.node->elect.stance, SEEKING);
	pass(S - 1);
	assert_null(said(MSG_CLAIM));
	end();
}

/* Somebody has seen a newer term: the next claim goes beyond it, soon. */
static void test_too_low_a_claim_is_raised(void **state)
{
	uint32_t newer;

	(void)state;
	start(&plain);
	know(2);
	stand();
	newer = me.node->elect.claimed + 1000000;
	vote_of(2, MSG_DENY, newer, me.node->elect.claimed);
	pass(2 * VOTE);
	assert_int_equal(me.node->elect.stance, CLAIMING);
	assert_true(me.node->elect.claimed > newer);
	end();
}

/* However often it is denied, it does not flood the network. */
static void test_no_storm(void **state)
{
	int claims = 0, sent = 0;

	(void)state;
	start(&plain);
	know(2);
	for (int i = 0; i < 6000; i++) {
		pass(10 * MS);
		claims += count_said(MSG_CLAIM);
		sent += me.n_sent;
		if (said(MSG_CLAIM))
			vote_of(2, MSG_DENY, 0, me.node->elect.claimed);
	}
	assert_in_range(claims, 10, 2 * 60 * TRIES);
	assert_in_range(sent, 60, 1000);
	end();
}

/* --- voting */

static void test_one_vote_per_term(void **state)
{
	(void)state;
	start(&plain);
	assert_true(grants(1, 100));
	assert_false(grants(2, 100));
	assert_true(grants(1, 100));	/* it did not hear that */
	assert_false(grants(2, 99));
	assert_true(grants(2, 101));
	assert_false(grants(1, 100));
	assert_int_equal(me.node->elect.promised, 101);
	end();
}

static void test_a_vote_puts_off_the_own_claim(void **state)
{
	(void)state;
	start(&plain);
	assert_true(grants(1, 100));
	pass(2 * S - 1);
	assert_null(said(MSG_CLAIM));
	pass(S + 1);
	assert_true(me.node->elect.claimed > 100);
	end();
}

static void test_no_vote_against_a_master_that_is_heard(void **state)
{
	(void)state;
	follow(&plain, 5, 2);
	assert_false(grants(2, 1000));
	assert_int_equal(me.node->elect.promised, 0);
	pass(1299 * MS);
	assert_false(grants(2, 1000));
	pass(2 * MS);
	assert_true(grants(2, 1000));
	end();

	lead(&plain, 0);
	assert_false(grants(2, me.node->term + 1));
	assert_int_equal(me.node->elect.stance, LEADING);
	end();
}

/* A master that comes back and stands again takes nobody by surprise. */
static void test_the_own_master_may_stand_again(void **state)
{
	(void)state;
	follow(&plain, 5, 1);
	assert_true(grants(1, 1000));
	end();
}

static void test_no_vote_for_the_distrusted(void **state)
{
	(void)state;
	follow(&plain, 5, 1);
	elect_distrust(me.node, now(), 1);
	me.raw += S;
	assert_false(grants(1, 1000));
	assert_true(grants(2, 1000));
	/* it is forgiven after a while */
	me.raw += DISTRUST * S;
	assert_true(grants(1, 1001));
	end();
}

/* Claims come more than once, by multicast and to each: the answer is always the same. */
static void test_each_copy_of_a_claim_is_granted(void **state)
{
	(void)state;
	follow(&plain, 5, 2);
	elect_distrust(me.node, now(), 1);
	for (int i = 0; i < 4; i++)
		assert_true(grants(2, 1000));
	end();
}

/* A liar cannot keep its office by denying everybody else's. */
static void test_a_distrusted_master_has_no_veto(void **state)
{
	(void)state;
	follow(&plain, 5, 1);
	know(2);
	elect_distrust(me.node, now(), 1);
	stand();
	hear(1, (struct msg_hello){ .kind = MSG_DENY, .master = true, .eligible = true, .term = 3,
				    .master_id = 1, .claimed = me.node->elect.claimed });
	assert_int_equal(me.node->elect.stance, CLAIMING);
	vote_of(2, MSG_GRANT, 3, me.node->elect.claimed);
	assert_int_equal(me.node->elect.stance, LEADING);
	end();
}

static void test_whoever_stands_votes_for_a_newer_term(void **state)
{
	uint32_t mine;

	(void)state;
	start(&plain);
	know(2);
	stand();
	mine = me.node->elect.claimed;
	assert_false(grants(2, mine));
	assert_int_equal(me.node->elect.stance, CLAIMING);
	assert_true(grants(2, mine + 1));
	assert_int_equal(me.node->elect.stance, SEEKING);
	vote_of(3, MSG_GRANT, 0, mine);
	assert_int_equal(me.node->elect.stance, SEEKING);
	end();
}

/* --- terms */

static void test_absurd_terms_are_not_believed(void **state)
{
	(void)state;
	start(&plain);
	assert_true(grants(1, 5));
	assert_false(grants(2, 5 + TERM_LEAP));
	assert_false(grants(2, UINT32_MAX));
	assert_int_equal(me.node->elect.promised, 5);
	stand();
	vote_of(2, MSG_DENY, UINT32_MAX, me.node->elect.claimed);
	assert_true(newest_term(me.node) <= 6 + LEAP);
	end();

	lead(&plain, 0);
	hear(2, (struct msg_hello){ .kind = MSG_ANNOUNCE, .term = UINT32_MAX });
	assert_true(me.node->term <= 2 * (1 + LEAP));
	end();
}

/* Whatever term a stranger makes up: those that follow must be able to go on with it. */
static void test_a_strangers_term_leads_nobody_away(void **state)
{
	(void)state;
	for (uint32_t ahead = 1; ahead; ahead *= 2) {
		uint32_t term;

		lead(&plain, 2);
		term = me.node->term;
		hear(5, (struct msg_hello){ .kind = MSG_ANNOUNCE, .term = term + ahead - 1 });
		assert_false(term_newer(term, me.node->term));
		assert_false(term_absurd(me.node->term, term));
		end();
	}
}

/* Two parts of a group that stand at the same time do not choose the same term. */
static void test_terms_are_left_to_chance(void **state)
{
	uint32_t seen[100];
	int same = 0;

	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		struct node_conf conf = plain;

		conf.seed = i;
		start(&conf);
		me.node->term = 1000;
		stand();
		seen[i] = me.node->elect.claimed;
		assert_in_range(seen[i], 1001, 1001 + LEAP);
		for (uint64_t k = 0; k < i; k++)
			same += seen[k] == seen[i];
		end();
	}
	assert_in_range(same, 0, 3);
}

/*
 * Whatever terms a group has come to, a node that has just begun can join it, and so
 * can one that was in it some elections ago.
 */
static void test_no_term_shuts_anybody_out(void **state)
{
	static const uint32_t group[] = {
		1, TERM_LEAP - 1, TERM_LEAP, TERM_LEAP + 1, UINT32_MAX / 2, UINT32_MAX - TERM_LEAP,
		UINT32_MAX - LEAP, UINT32_MAX - 1, UINT32_MAX,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(group) / sizeof(*group); i++) {
		uint32_t claimed;

		/* somebody is elected beyond it... */
		start(&plain);
		me.node->term = group[i];
		stand();
		claimed = me.node->elect.claimed;
		end();
		/* ...and corrects its members, and newcomers */
		for (int newcomer = 0; newcomer < 2; newcomer++) {
			struct msg_correct c;

			start(&plain);
			if (!newcomer)
				me.node->term = group[i];
			c = agreeing(claimed);
			c.want_ack = true;
			if (told_by(1, c) != MSG_APPLIED)
				fail_msg("term %u after %u, newcomer %d", claimed, group[i],
					 newcomer);
			end();
		}
	}
}

/* --- majorities */

static void test_majority(void **state)
{
	static const struct {
		int nodes, votes;
		uint32_t were;
		bool wins;
	} of[] = {
		{ 5, 2, 0, false }, { 5, 3, 0, true }, { 4, 2, 0, false }, { 4, 3, 0, true },
		{ 2, 1, 0, false }, { 2, 2, 0, true }, { 1, 1, 0, true },
		/* nobody is configured, but there was a group */
		{ 1, 2, 5, false }, { 1, 3, 5, true }, { 3, 2, 5, false }, { 5, 3, 3, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct node_conf conf = with(true, false, NODE_QUORUM_MAJORITY);

		start(&conf);
		for (int id = 1; id < of[i].nodes; id++) {
			union node_addr addr = addr_of((uint64_t)(id < ME ? id : id + 1));

			node_peer_add(me.node, &addr);
		}
		me.node->elect.size = of[i].were;
		stand();
		for (int id = 1; id < of[i].votes; id++) {
			know((uint64_t)id)->missed = MISSED;	/* not to be waited for */
			peer_of((uint64_t)id)->vote = me.node->elect.claimed;
		}
		pass(TRIES * VOTE);
		if ((me.node->elect.stance == LEADING) != of[i].wins)
			fail_msg("%d of %d, once %u", of[i].votes, of[i].nodes, of[i].were);
		assert_int_equal(logged("no majority"), !of[i].wins);
		end();
	}
}

static void test_anybody_may_lead_a_minority(void **state)
{
	(void)state;
	start(&plain);
	for (uint64_t id = 1; id <= 4; id++) {
		union node_addr addr = addr_of(id);

		node_peer_add(me.node, &addr);
	}
	pass(S);
	assert_int_equal(me.node->elect.stance, LEADING);
	end();
}

/* A group that shrinks keeps the size of which a majority is needed, for a while. */
static void test_size_is_remembered(void **state)
{
	(void)state;
	start(&plain);
	for (int i = 0; i < 300; i++) {
		struct msg_correct c;

		pass(i ? S : MS);
		c = agreeing(3);
		c.members = i < 10 ? 5 : 2;
		told_by(1, c);
		assert_int_equal(elect_whole(me.node), i < 9 + SIZE_HOLDS ? 5 : 2);
	}
	end();
}

/* A master that is cut off does not come to be a majority of one, however long it waits. */
static void test_time_makes_no_majority(void **state)
{
	struct node_conf conf = with(true, false, NODE_QUORUM_MAJORITY);

	(void)state;
	lead(&conf, 4);
	for (int i = 0; i < me.n_others; i++)
		me.other[i].silent = true;
	for (int i = 0; i < 3 * SIZE_HOLDS; i++) {
		pass(S);
		if (i > 3)
			assert_true(me.node->master.outnumbered);
	}
	assert_int_not_equal(me.publish.state, BERK_STATE_SYNCHRONISED);
	end();
}

/* --- hand-over */

static void test_the_next_one_takes_over_at_once(void **state)
{
	(void)state;
	follow(&plain, 5, 1);
	hear(1, (struct msg_hello){ .kind = MSG_RESIGN, .successor_id = ME });
	pass(HANDOVER);
	assert_int_equal(me.node->elect.stance, CLAIMING);
	/* those that have not heard of it yet change nothing */
	hear(2, (struct msg_hello){ .kind = MSG_DENY, .term = 3, .master_id = 1, .synced = true,
				    .claimed = me.node->elect.claimed });
	assert_int_equal(me.node->elect.stance, CLAIMING);
	end();
}

static void test_others_wait_for_the_next_one(void **state)
{
	(void)state;
	follow(&plain, 5, 2);
	hear(1, (struct msg_hello){ .kind = MSG_RESIGN, .successor_id = 2 });
	assert_false(elect_master_alive(me.node, now()));
	pass(S);
	assert_null(said(MSG_CLAIM));
	assert_true(grants(2, 1000));
	end();
}

static void test_only_the_master_can_resign(void **state)
{
	(void)state;
	follow(&plain, 5, 1);
	hear(2, (struct msg_hello){ .kind = MSG_RESIGN, .successor_id = ME });
	assert_false(me.node->elect.resigned);
	pass(S);
	assert_null(said(MSG_CLAIM));
	end();
}

static void test_who_stops_hands_over(void **state)
{
	const struct msg_hello *h;

	(void)state;
	lead(&plain, 3);
	assert_int_equal(peer_of(1)->rank, 1);
	hush();
	node_stop(me.node, now());
	carry_out();
	h = said_to(0, MSG_RESIGN);
	assert_non_null(h);
	assert_int_equal(h->successor_id, 1);
	for (uint64_t id = 1; id <= 3; id++)
		assert_non_null(said_to(id, MSG_RESIGN));
	end();
}

/* By a reload it may not lead any more. */
static void test_who_may_not_lead_any_more_hands_over(void **state)
{
	struct node_conf conf = plain;

	(void)state;
	lead(&plain, 3);
	conf.eligible = false;
	node_reconf(me.node, &conf);
	pass(0);
	node_timer(me.node, now());
	carry_out();
	assert_int_not_equal(me.node->elect.stance, LEADING);
	assert_int_equal(said_to(0, MSG_RESIGN)->successor_id, 1);
	end();

	/* and the master is told what is new of a slave */
	follow(&plain, 3, 1);
	node_reconf(me.node, &conf);
	node_timer(me.node, now());
	carry_out();
	assert_false(said_to(1, MSG_ANNOUNCE)->eligible);
	end();
}

/* --- a master that is only heard */

static void test_one_does_not_stand_against_a_master_that_is_heard(void **state)
{
	(void)state;
	start(&plain);
	for (int i = 0; i < 20; i++) {
		pass(i ? S : MS);
		assert_null(said(MSG_CLAIM));
		hear(1, (struct msg_hello){ .kind = MSG_ANNOUNCE, .master = true, .master_id = 1,
					    .term = 3, .size = 3 });
		assert_non_null(said_to(1, MSG_ASK));
	}
	assert_true(me.node->elect.mute_logged);
	assert_false(grants(2, 1000));
	/* it is gone */
	pass((BEACON + 2) * S);
	assert_non_null(said(MSG_CLAIM));
	end();
}

static void test_whoever_is_heard_in_vain_is_named_once(void **state)
{
	int lines = 0;

	(void)state;
	start(&plain);
	for (int i = 0; i < 30; i++) {
		pass(i ? S : MS);
		hear(1, (struct msg_hello){ .kind = MSG_ANNOUNCE, .master = true, .master_id = 1 });
		lines += logged("is heard, but does not correct this clock");
	}
	assert_int_equal(lines, 1);
	end();
}

/* --- two masters */

static void test_the_larger_group_stays(void **state)
{
	static const struct {
		uint32_t size, term, rival_size;
		int term_beyond;
		uint64_t rival_id;
		bool outnumbered, stays;
	} of[] = {
		{ 3, 50, 2, 1, 1, false, true },
		{ 2, 50, 3, -1, 10, false, false },
		{ 2, 50, 2, -1, 1, false, true },
		{ 2, 50, 2, 1, 10, false, false },
		{ 2, 50, 2, 0, 10, false, true },
		{ 2, 50, 2, 0, 1, false, false },
		{ 3, 50, 1, -1, 10, true, false },
		{ 0, 50, 1, -1, 10, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct elect *e;

		lead(&plain, 0);
		e = &me.node->elect;
		me.node->term = of[i].term;
		me.node->master.followers = of[i].size;
		me.node->master.outnumbered = of[i].outnumbered;
		e->rival_id = of[i].rival_id;
		e->rival_size = of[i].rival_size;
		e->rival_term = (uint32_t)((int)of[i].term + of[i].term_beyond);
		e->rival_addr = addr_of(of[i].rival_id);
		e->rival_raw = e->rival_heard_raw = me.raw;
		elect_round(me.node, now());
		assert_int_equal(e->rival_id, of[i].rival_id);	/* more may be heard of it */
		me.raw += (BEACON + 1) * S;
		e->rival_heard_raw = me.raw;
		elect_round(me.node, now());
		carry_out();
		assert_int_equal(e->rival_id, 0);
		if ((e->stance == LEADING) != of[i].stays)
			fail_msg("case %zu: stance %d", i, e->stance);
		if (of[i].stays) {
			assert_true(me.node->term >= of[i].term);
			assert_true(me.node->term > e->rival_term);
			assert_non_null(said_to(of[i].rival_id, MSG_ANNOUNCE));
			assert_null(said(MSG_RESIGN));
		} else {
			assert_int_equal(said_to(0, MSG_RESIGN)->successor_id, of[i].rival_id);
			assert_non_null(said_to(of[i].rival_id, MSG_ASK));
			assert_true(logged("does not lead any more"));
		}
		end();
	}
}

static void test_who_yields_does_not_stand_for_a_while(void **state)
{
	union node_addr rival = addr_of(1);

	(void)state;
	lead(&plain, 2);
	elect_yield(me.node, now(), 1, &rival);
	carry_out();
	assert_null(corrected(2));
	pass(3 * S - 1);
	assert_null(said(MSG_CLAIM));
	for (int i = 0; i < me.n_sent && i < SENT_MAX; i++)
		assert_int_not_equal(me.sent[i].msg.type, MSG_CORRECT);
	end();
}

/* A rival that is not heard any more is none. */
static void test_a_rival_that_fell_silent_is_forgotten(void **state)
{
	struct elect *e;

	(void)state;
	lead(&plain, 2);
	e = &me.node->elect;
	hear(5, (struct msg_hello){ .kind = MSG_ANNOUNCE, .master = true, .master_id = 5,
				    .term = me.node->term + 1, .size = 50, .synced = true });
	assert_int_equal(e->rival_id, 5);
	me.raw += 60 * S;	/* both stood still, say */
	elect_round(me.node, now());
	assert_int_equal(e->rival_id, 0);
	assert_int_equal(e->stance, LEADING);
	end();
}

/* Corrections from elsewhere do not depose a master: the groups have to meet first. */
static void test_a_master_takes_no_corrections(void **state)
{
	(void)state;
	lead(&plain, 2);
	assert_int_equal(told_by(5, agreeing(me.node->term + 1)), MSG_REFUSED);
	assert_non_null(said_to(5, MSG_ASK));
	assert_int_equal(me.node->elect.stance, LEADING);
	/* unless it leads so few that it may not */
	me.node->master.outnumbered = true;
	assert_int_not_equal(told_by(5, agreeing(me.node->term + 1)), MSG_REFUSED);
	assert_int_equal(me.node->elect.stance, FOLLOWING);
	assert_int_equal(me.node->follow.master_id, 5);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_alone_leads),
		cmocka_unit_test(test_who_is_eager_waits_for_nobody),
		cmocka_unit_test(test_who_may_not_never_stands),
		cmocka_unit_test(test_the_next_ones_stand_in_turn),
		cmocka_unit_test(test_corrections_put_it_off),
		cmocka_unit_test(test_beacons_put_it_off_for_a_while),
		cmocka_unit_test(test_all_votes_are_enough),
		cmocka_unit_test(test_nobody_waits_for_who_resigned_or_lied),
		cmocka_unit_test(test_votes_for_another_claim_count_nothing),
		cmocka_unit_test(test_a_vote_counts_once),
		cmocka_unit_test(test_whoever_is_denied_waits),
		cmocka_unit_test(test_too_low_a_claim_is_raised),
		cmocka_unit_test(test_no_storm),
		cmocka_unit_test(test_one_vote_per_term),
		cmocka_unit_test(test_a_vote_puts_off_the_own_claim),
		cmocka_unit_test(test_no_vote_against_a_master_that_is_heard),
		cmocka_unit_test(test_the_own_master_may_stand_again),
		cmocka_unit_test(test_no_vote_for_the_distrusted),
		cmocka_unit_test(test_each_copy_of_a_claim_is_granted),
		cmocka_unit_test(test_a_distrusted_master_has_no_veto),
		cmocka_unit_test(test_whoever_stands_votes_for_a_newer_term),
		cmocka_unit_test(test_absurd_terms_are_not_believed),
		cmocka_unit_test(test_a_strangers_term_leads_nobody_away),
		cmocka_unit_test(test_terms_are_left_to_chance),
		cmocka_unit_test(test_no_term_shuts_anybody_out),
		cmocka_unit_test(test_majority),
		cmocka_unit_test(test_anybody_may_lead_a_minority),
		cmocka_unit_test(test_size_is_remembered),
		cmocka_unit_test(test_time_makes_no_majority),
		cmocka_unit_test(test_the_next_one_takes_over_at_once),
		cmocka_unit_test(test_others_wait_for_the_next_one),
		cmocka_unit_test(test_only_the_master_can_resign),
		cmocka_unit_test(test_who_stops_hands_over),
		cmocka_unit_test(test_who_may_not_lead_any_more_hands_over),
		cmocka_unit_test(test_one_does_not_stand_against_a_master_that_is_heard),
		cmocka_unit_test(test_whoever_is_heard_in_vain_is_named_once),
		cmocka_unit_test(test_the_larger_group_stays),
		cmocka_unit_test(test_who_yields_does_not_stand_for_a_while),
		cmocka_unit_test(test_a_rival_that_fell_silent_is_forgotten),
		cmocka_unit_test(test_a_master_takes_no_corrections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
