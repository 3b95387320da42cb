// SPDX-License-Identifier: GPL-2.0
/* Who is there, and what is thought of them */
#include "members.c"
#include "alone.h"

static enum berk_peer_state state_of(uint64_t id)
{
	return peer_of(id)->standing.state;
}

static enum berk_peer_reason why(uint64_t id)
{
	return peer_of(id)->standing.why;
}

static struct other *other(uint64_t id)
{
	for (int i = 0; i < me.n_others; i++)
		if (me.other[i].id == id)
			return &me.other[i];
	return NULL;
}

/* --- standing */

static void test_members(void **state)
{
	(void)state;
	lead(&plain, 3);
	for (uint64_t id = 1; id <= 3; id++) {
		assert_int_equal(state_of(id), BERK_PEER_MEMBER);
		assert_int_equal(why(id), BERK_WHY_NONE);
	}
	assert_int_equal(me.node->master.ensemble.used, 4);
	end();
}

static void test_silent_after_two_rounds(void **state)
{
	(void)state;
	lead(&plain, 3);
	other(2)->silent = true;
	pass(S);
	assert_int_equal(state_of(2), BERK_PEER_MEMBER);
	pass(S);
	assert_int_equal(state_of(2), BERK_PEER_SILENT);
	assert_true(logged("peer 10.0.0.2:5525 is silent"));
	assert_int_equal(me.node->master.followers, 3);
	other(2)->silent = false;
	pass(3 * S);
	assert_int_equal(state_of(2), BERK_PEER_MEMBER);
	end();
}

/* Nor do quick rounds make anybody silent sooner. */
static void test_a_lost_round_makes_no_group_smaller(void **state)
{
	(void)state;
	lead(&plain, 3);
	for (uint64_t id = 1; id <= 3; id++)
		other(id)->silent = true;
	master_hurry(me.node, now());
	pass(S);
	assert_true(me.rounds >= 3);
	assert_int_equal(me.node->master.followers, 4);
	assert_false(logged("no peer to keep time with"));
	for (uint64_t id = 1; id <= 3; id++) {
		assert_int_equal(state_of(id), BERK_PEER_MEMBER);
		other(id)->silent = false;
	}
	pass(2 * S);
	assert_int_equal(me.node->master.followers, 4);
	/* but who turns to another master is not one of us, even for one round */
	other(2)->term = me.node->term + 7;
	pass(S);
	assert_int_equal(state_of(2), BERK_PEER_FOREIGN);
	assert_int_equal(me.node->master.followers, 3);
	end();
}

static void test_no_daemon_there(void **state)
{
	(void)state;
	lead(&plain, 3);
	other(2)->flags = 0;
	pass(2 * S);
	assert_int_equal(state_of(2), BERK_PEER_IDLE);
	assert_true(logged("berkd does not run there"));
	pass(S);
	assert_null(corrected(2));
	end();
}

static void test_who_never_acknowledges_is_left_out(void **state)
{
	(void)state;
	lead(&plain, 3);
	other(2)->mute = true;
	pass((UNACKED + 2) * S);
	assert_int_equal(state_of(2), BERK_PEER_CANDIDATE);
	assert_int_equal(why(2), BERK_WHY_UNACKED);
	assert_true(logged("acknowledges no correction"));
	pass(S);
	assert_non_null(corrected(2));	/* it is told nevertheless */
	other(2)->mute = false;
	pass(3 * S);
	assert_int_equal(state_of(2), BERK_PEER_MEMBER);
	end();
}

static void test_who_follows_another_is_foreign(void **state)
{
	(void)state;
	lead(&plain, 3);
	other(2)->term = me.node->term + 7;
	other(2)->flags |= BERK_F_SYNCED;
	other(2)->mute = true;
	pass(2 * S);
	assert_int_equal(state_of(2), BERK_PEER_FOREIGN);
	assert_non_null(said_to(2, MSG_ASK));
	for (int i = 0; i < me.n_sent; i++)
		assert_false(me.sent[i].msg.type == MSG_CORRECT && is_to(&me.sent[i].to, 2) &&
			     i > me.n_sent / 2);
	/* it comes over */
	other(2)->term = me.node->term;
	other(2)->mute = false;
	pass(4 * S);
	assert_int_equal(state_of(2), BERK_PEER_MEMBER);
	end();
}

static void test_a_clock_elsewhere_is_named(void **state)
{
	(void)state;
	lead(&plain, 4);
	other(2)->ahead = 5 * MS;
	other(2)->mute = true;		/* and it stays there */
	pass(2 * S);
	assert_int_equal(state_of(2), BERK_PEER_FALSETICKER);
	assert_true(why(2) == BERK_WHY_STEPPED || why(2) == BERK_WHY_OFFSET);
	assert_true(logged("peer 10.0.0.2:5525 is a falseticker"));
	assert_int_equal(state_of(1), BERK_PEER_MEMBER);
	assert_true(fabs(me.node->master.ensemble.offset_ns) < 1000);
	/* it comes back only when it has agreed for a while */
	other(2)->ahead = 0;
	other(2)->mute = false;
	pass(5 * S);
	assert_int_equal(state_of(2), BERK_PEER_FALSETICKER);
	pass(15 * S);
	assert_int_equal(state_of(2), BERK_PEER_MEMBER);
	end();
}

static void test_stamps_that_contradict_themselves(void **state)
{
	(void)state;
	lead(&plain, 3);
	other(2)->silent = true;
	for (int i = 0; i < 3; i++) {
		struct berk_sample s;

		pass(S);
		for (int k = 0; k < 8; k++) {
			s = exchange(other(2), peer_of(2)->index, me.raw - 500 * MS + k * 10 * MS);
			s.t3.raw_ns += k % 2 ? 5 * S : -5 * S;
			s.round = me.node->measure.round;
			node_sample(me.node, now(), &s);
		}
	}
	pass(S);
	assert_int_equal(state_of(2), BERK_PEER_FALSETICKER);
	assert_int_equal(why(2), BERK_WHY_NOISE);
	end();
}

/* Its RAW clock started anew: it may step, and is measured anew. */
static void test_a_restarted_peer_may_step(void **state)
{
	bool stepped = false;
	struct other *o;

	(void)state;
	lead(&plain, 4);
	o = other(2);
	o->raw_ahead -= 60 * S;
	o->ahead = 5 * S;
	pass(4 * S);
	for (int i = 0; i < me.n_sent; i++)
		stepped |= me.sent[i].msg.type == MSG_CORRECT && me.sent[i].msg.correct.may_step;
	assert_true(stepped);
	assert_int_equal(o->ahead, 0);
	assert_true(logged("peer 10.0.0.2:5525 was rebooted or paused"));
	assert_int_equal(me.node->master.self.state, BERK_PEER_MEMBER);
	pass(20 * S);	/* a restart counts for a while */
	assert_int_equal(state_of(2), BERK_PEER_MEMBER);
	end();
}

/* All of them at once cannot have: it was this node. */
static void test_when_all_have_changed_it_was_this_node(void **state)
{
	(void)state;
	lead(&plain, 4);
	for (int i = 0; i < me.n_others; i++) {
		me.other[i].raw_ahead += 60 * S;
		me.other[i].ahead += 60 * S;
	}
	pass(3 * S);
	assert_true(logged("this node was paused"));
	assert_false(logged("was rebooted or paused"));
	assert_true(me.steps > 0);
	for (int i = 0; i < me.n_others; i++)
		assert_float_equal((double)me.other[i].ahead, 60e9, 1e6);
	end();
}

/* Our crystal shows in all tracks: nobody is accused of that, nor moved until it is known again. */
static void test_our_crystal_jumps(void **state)
{
	(void)state;
	lead(&plain, 6);
	for (int i = 0; i < me.n_others; i++) {
		struct other *o = &me.other[i];

		o->ahead += gained(o->real_ppb, o->since, me.raw);
		o->since = me.raw;
		o->real_ppb += 5000;
		o->raw_ahead -= gained(5000, 0, me.raw);
		o->ppb += 5000;
	}
	pass(3 * S);
	assert_true(logged("its crystal jumped"));
	assert_false(logged("falseticker"));
	assert_false(logged("was rebooted"));
	assert_false(logged("the path"));
	for (int i = 0; i < me.n_sent; i++)
		assert_false(me.sent[i].msg.type == MSG_CORRECT &&
			     fabs((double)me.sent[i].msg.correct.offset_ns) > 20e3);
	pass(20 * S);
	for (uint64_t id = 1; id <= 6; id++)
		assert_int_equal(state_of(id), BERK_PEER_MEMBER);
	end();
}

/* Longer ways to all of them are no sign of our crystal. */
static void test_surprise_of_the_path(void **state)
{
	struct track_surprise s;

	(void)state;
	lead(&plain, 6);
	pass(20 * S);
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < me.n_others; i++) {
			struct peer *peer = peer_of(me.other[i].id);
			struct berk_sample e = exchange(&me.other[i], peer->index, me.raw);

			e.round = me.node->measure.round + 1;
			e.t2.raw_ns += 100000;	/* ahead, or late there... */
			e.t3.raw_ns += 100000;
			if (k)
				e.t4.raw_ns += 100000;	/* ...and not early back */
			track_sample(&peer->track, &e);
			assert_true(track_surprise(&peer->track, me.raw + S, &s));
			assert_float_equal(s.phase_ns, k ? 50e3 : 100e3, 5e3);
			assert_float_equal(s.delay_ns, k ? 100e3 : 0, 5e3);
		}
		assert_int_equal(common_surprise(&me.node->master, me.raw + S), !k);
		for (int i = 0; i < me.n_others; i++)
			track_update(&peer_of(me.other[i].id)->track, me.raw + S);
		me.raw += 2 * S;
	}
	end();
}

/* --- whether this node is fit to lead */

/* Who agreed with the others, and now cannot any more, is more likely wrong than they are. */
static void test_who_cannot_agree_any_more_hands_over(void **state)
{
	(void)state;
	lead(&plain, 4);
	pass(30 * S);
	for (uint64_t id = 1; id <= 4; id++)
		other(id)->ahead = id % 2 ? 20 * MS : -20 * MS;
	pass(8 * S);
	assert_true(logged("somebody else shall lead"));
	assert_true(me.node->elect.stance != LEADING);
	/* and leaves it to the others for a while */
	pass(20 * S);
	assert_int_equal(count_said(MSG_CLAIM), 0);
	pass(20 * S);
	assert_true(count_said(MSG_CLAIM) > 0);
	end();
}

static void test_who_can_measure_nobody_hands_over(void **state)
{
	bool gave_up = false;

	(void)state;
	lead(&plain, 3);
	for (uint64_t id = 1; id <= 3; id++)
		other(id)->silent = true;
	for (int i = 0; i < 40 && !gave_up; i++) {
		for (uint64_t id = 1; id <= 3; id++)
			hear(id, (struct msg_hello){ .kind = MSG_ANNOUNCE, .eligible = true,
						     .priority = 100 });
		pass(S);
		gave_up = logged("nobody could be corrected");
	}
	assert_true(gave_up);
	end();
	/* where nobody is heard, there is nobody to hand over to */
	lead(&plain, 3);
	for (uint64_t id = 1; id <= 3; id++)
		other(id)->silent = true;
	pass(40 * S);
	assert_int_equal(me.node->elect.stance, LEADING);
	end();
}

/* A clock that stands still or jumps all the time is no clock. */
static void test_a_restless_clock_is_left_out(void **state)
{
	(void)state;
	lead(&plain, 4);
	for (int i = 0; i < 10; i++) {
		other(2)->raw_ahead += (i % 2 ? 1 : -1) * 20 * S;
		pass(2 * S);
	}
	assert_int_equal(state_of(2), BERK_PEER_FALSETICKER);
	assert_int_equal(why(2), BERK_WHY_STEPPED);
	assert_int_equal(state_of(1), BERK_PEER_MEMBER);
	end();
}

/* --- order of standbys */

static void test_order_of_standbys(void **state)
{
	static const struct {
		uint64_t id;
		uint8_t priority;
		bool reports, eligible, silent, member;
		uint8_t rank;
	} of[] = {
		{ 1, 100, false, true, false, true, 3 },
		{ 2, 100, false, true, true, true, 0 },
		{ 3, 200, false, true, false, true, 2 },
		{ 4, 255, true, true, false, true, 0 },	/* it cannot be asked, say: the fourth */
		{ 5, 255, false, false, false, true, 0 },
		{ 6, 255, false, true, false, false, 0 },
		{ 7, 250, false, true, false, true, 1 },
		{ 8, 100, false, true, false, true, 0 },
	};

	(void)state;
	start(&plain);
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		union node_addr addr = addr_of(of[i].id);
		struct peer *peer = peer_meet(me.node, now(), of[i].id, &addr);

		peer->priority = of[i].priority;
		peer->reports = of[i].reports;
		peer->eligible = of[i].eligible;
		peer->missed = of[i].silent ? MISSED : 0;
		peer->standing.state = of[i].member ? BERK_PEER_MEMBER : BERK_PEER_CANDIDATE;
	}
	for (int turn = 0; turn < 2; turn++) {
		members_rank(me.node, now());
		for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++)
			assert_int_equal(peer_of(of[i].id)->rank, of[i].rank);
	}
	end();
}

static void test_everybody_is_told_its_rank(void **state)
{
	(void)state;
	lead(&plain, 5);
	pass(S);
	for (uint64_t id = 1; id <= 5; id++)
		assert_int_equal(corrected(id)->rank, id <= 3 ? id : 0);
	end();
}

/* --- telling of each other */

static void crowd(uint64_t n)
{
	start(&plain);
	for (uint64_t id = 10; id < 10 + n; id++) {
		union node_addr addr = addr_of(id);

		peer_meet(me.node, now(), id, &addr);
	}
}

static size_t place(uint64_t id)
{
	struct peer *peer = peer_of(id);
	size_t i = 0;

	while (me.node->master.peer[i] != peer)
		i++;
	return i;
}

static void test_the_next_master_is_told_of_all(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 3, 5, 16, 17, 18, 63, 64, 65, 200, 1000 };

	(void)state;
	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		static bool told[2000];
		size_t n = 0, rounds = 0, i;

		memset(told, 0, sizeof(told));
		crowd(sizes[k]);
		peer_of(10)->rank = 1;
		i = place(10);
		while (n < sizes[k] - 1 && rounds++ < 1000) {
			struct msg_correct c = { 0 };

			members_tell(me.node, i, &c);
			assert_in_range(c.n_told, 1, MSG_TOLD);
			for (unsigned int t = 0; t < c.n_told; t++) {
				assert_true(is_to(&c.told[t].addr, c.told[t].node_id));
				assert_int_not_equal(c.told[t].node_id, 10);
				n += !told[c.told[t].node_id];
				told[c.told[t].node_id] = true;
			}
		}
		/* within what a new master should have of warm estimates in the end */
		assert_true(rounds <= 1 + sizes[k] / 4);
		end();
	}
}

static void test_others_are_told_of_two(void **state)
{
	struct msg_correct c = { 0 }, again = { 0 };

	(void)state;
	crowd(10);
	members_tell(me.node, 3, &c);
	assert_int_equal(c.n_told, 0);	/* only with what is to be acknowledged */
	c.want_ack = again.want_ack = true;
	members_tell(me.node, 3, &c);
	assert_int_equal(c.n_told, 2);
	members_tell(me.node, 3, &again);
	assert_memory_equal(c.told, again.told, sizeof(c.told));
	end();
}

static void test_nobody_is_told_of_who_cannot_be_probed(void **state)
{
	struct msg_correct c = { .want_ack = true };

	(void)state;
	crowd(4);
	peer_of(10)->missed = MISSED;
	peer_of(11)->missed = MISSED;
	peer_of(12)->node_id = 0;
	members_tell(me.node, place(13), &c);
	assert_int_equal(c.n_told, 0);
	end();
}

/* --- notes */

static void test_what_changes_is_noted(void **state)
{
	(void)state;
	lead(&plain, 3);
	pass(S);
	assert_true(me.notes >= 3);
	assert_true(me.note.known);
	assert_true(llabs(me.note.offset_ns) < 1000);
	assert_int_equal(me.note.state, BERK_PEER_MEMBER);
	for (int i = 0; i < me.n_others; i++)
		me.other[i].silent = true;
	pass(3 * S);
	assert_int_equal(me.note.state, BERK_PEER_SILENT);
	assert_false(me.note.known);
	assert_int_equal(me.note.rank, 0);
	end();
}

/* However many peers there are, a round notes only so many that did not change. */
static void test_notes_are_few(void **state)
{
	(void)state;
	crowd(1000);
	carry_out();		/* they have indices now */
	members_note(me.node);
	carry_out();
	for (int i = 0; i < 40; i++) {
		hush();
		me.node->measure.round++;
		members_note(me.node);
		carry_out();
		assert_in_range(me.notes, 1, NOTES + 4);
	}
	end();
}

static void test_a_slave_notes_its_master_and_witnesses(void **state)
{
	union node_addr addr = addr_of(1);
	struct node_note note;

	(void)state;
	follow(&plain, 3, 2);
	peer_meet(me.node, now(), 1, &addr);
	carry_out();
	note = note_of(me.node, peer_of(1), 0);
	assert_int_equal(note.state, BERK_PEER_MASTER);
	elect_distrust(me.node, now(), 1);
	note = note_of(me.node, peer_of(1), 0);
	assert_int_equal(note.reason, BERK_WHY_LIES);
	addr = addr_of(2);
	peer_meet(me.node, now(), 2, &addr);
	assert_int_equal(note_of(me.node, peer_of(2), 1).state, BERK_PEER_UNKNOWN);
	peer_of(2)->track.ready = true;
	assert_int_equal(note_of(me.node, peer_of(2), 1).state, BERK_PEER_WITNESS);
	peer_of(2)->missed = MISSED;
	assert_int_equal(note_of(me.node, peer_of(2), 1).state, BERK_PEER_SILENT);
	end();
}

/* --- many */

/* A first round over a thousand peers: everyone gets a correction, the line fits. */
static void test_thousand(void **state)
{
	int corrections = 0;

	(void)state;
	start(&plain);
	pass(S);
	assert_int_equal(me.node->elect.stance, LEADING);
	for (uint64_t i = 0; i < 1000; i++) {
		union node_addr addr = addr_of(10 + i * 7919 % 1000);

		assert_int_equal(node_peer_add(me.node, &addr), 0);
	}
	carry_out();
	pass(S);
	assert_int_equal(me.round.n_peers, 1000);
	for (uint64_t id = 10; id < 1010; id++) {
		struct other o = { .id = id, .ahead = (int64_t)id * 1000, .flags = BERK_F_DRIVEN };

		for (int k = 0; k < 5; k++) {
			struct berk_sample s = exchange(&o, peer_of(id)->index,
							me.raw - 100 * MS + k * 10 * MS);

			s.round = me.round.round;
			node_sample(me.node, now(), &s);
		}
	}
	hush();
	node_round_done(me.node, now(), me.round.round);
	for (struct node_action a; node_next_action(me.node, &a);) {
		uint32_t id = ntohl(a.send.addr.in.sin_addr.s_addr) - 0x0a000000;
		struct msg msg;

		if (a.type != NODE_ACT_SEND)
			continue;
		assert_int_equal(msg_decode(&msg, a.send.payload, a.send.len), 0);
		if (msg.type != MSG_CORRECT)
			continue;
		corrections++;
		/* clocks 10, 11 ... 1009 us ahead, and ours */
		assert_float_equal((double)msg.correct.offset_ns, id * 1e3 - 509e3, 2e3);
	}
	assert_int_equal(corrections, 1000);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_silent_after_two_rounds),
		cmocka_unit_test(test_a_lost_round_makes_no_group_smaller),
		cmocka_unit_test(test_no_daemon_there),
		cmocka_unit_test(test_who_never_acknowledges_is_left_out),
		cmocka_unit_test(test_who_follows_another_is_foreign),
		cmocka_unit_test(test_a_clock_elsewhere_is_named),
		cmocka_unit_test(test_stamps_that_contradict_themselves),
		cmocka_unit_test(test_a_restarted_peer_may_step),
		cmocka_unit_test(test_when_all_have_changed_it_was_this_node),
		cmocka_unit_test(test_our_crystal_jumps),
		cmocka_unit_test(test_surprise_of_the_path),
		cmocka_unit_test(test_who_cannot_agree_any_more_hands_over),
		cmocka_unit_test(test_who_can_measure_nobody_hands_over),
		cmocka_unit_test(test_a_restless_clock_is_left_out),
		cmocka_unit_test(test_order_of_standbys),
		cmocka_unit_test(test_everybody_is_told_its_rank),
		cmocka_unit_test(test_the_next_master_is_told_of_all),
		cmocka_unit_test(test_others_are_told_of_two),
		cmocka_unit_test(test_nobody_is_told_of_who_cannot_be_probed),
		cmocka_unit_test(test_what_changes_is_noted),
		cmocka_unit_test(test_notes_are_few),
		cmocka_unit_test(test_a_slave_notes_its_master_and_witnesses),
		cmocka_unit_test(test_thousand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
