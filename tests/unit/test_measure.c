// SPDX-License-Identifier: GPL-2.0
/* Rounds: who is probed by whom, when and how often; reports */
#include "measure.c"
#include "alone.h"

static struct peer *know(uint64_t id)
{
	union node_addr addr = addr_of(id);
	struct peer *peer = peer_meet(me.node, now(), id, &addr);

	carry_out();	/* it has an index now */
	return peer;
}

static bool probes(uint64_t id)
{
	for (size_t i = 0; i < me.round.n_peers; i++)
		if (me.probed[i] == peer_of(id)->index)
			return true;
	return false;
}

static struct node_conf reporter(void)
{
	struct node_conf conf = plain;

	conf.mode = NODE_MODE_REPORT;
	return conf;
}

/* --- who is probed */

static void test_a_master_probes_all_but_those_that_report(void **state)
{
	(void)state;
	lead(&plain, 3);
	peer_of(2)->reports = true;
	pass(S);
	assert_int_equal(me.round.n_peers, 2);
	assert_true(probes(1) && probes(3) && !probes(2));
	assert_int_equal(me.round.burst, 5);
	end();
}

static void test_the_next_master_probes_all(void **state)
{
	(void)state;
	follow(&plain, 3, 1);
	know(2);
	know(3);
	for (int i = 0, rounds = 0; i < 20; i++) {
		struct msg_correct c;

		pass(S);
		rounds += me.rounds;
		if (me.rounds) {
			assert_true(probes(2) && probes(3));
			assert_int_equal(me.round.burst, 1);
		}
		c = agreeing(3);
		c.rank = 1;
		told_by(1, c);
		if (i == 19)
			assert_in_range(rounds, 20 / STANDBY_EVERY - 2, 20 / STANDBY_EVERY + 2);
	}
	end();
}

static void test_others_probe_witnesses(void **state)
{
	int rounds = 0;

	(void)state;
	follow(&plain, 3, 2);
	know(2);
	know(3)->witness = true;
	for (int i = 0; i < 40; i++) {
		struct msg_correct c;

		pass(S);
		rounds += me.rounds;
		if (me.rounds)
			assert_true(me.round.n_peers == 1 && probes(3));
		c = agreeing(3);
		c.rank = 2;
		told_by(1, c);
	}
	assert_in_range(rounds, 40 / WITNESS_EVERY - 2, 40 / WITNESS_EVERY + 2);
	end();
}

static void test_who_seeks_probes_nobody(void **state)
{
	struct node_conf conf = plain;

	(void)state;
	conf.eligible = false;
	start(&conf);
	know(2)->witness = true;
	pass(60 * S);
	assert_int_equal(me.rounds, 0);
	end();
}

static void test_a_round_that_never_ends_is_ended(void **state)
{
	uint32_t round;

	(void)state;
	lead(&plain, 3);
	me.n_others = 0;	/* nobody answers, and the module says nothing */
	pass(S);
	round = me.node->measure.round;
	pass(S);
	assert_int_equal(me.node->measure.round, round + 1);
	pass(2 * S);
	assert_int_equal(peer_of(1)->standing.state, BERK_PEER_SILENT);
	end();
}

static void test_another_rounds_end_is_no_end(void **state)
{
	(void)state;
	lead(&plain, 3);
	me.n_others = 0;
	while (!me.node->measure.in_round)
		pass(S / 10);
	node_round_done(me.node, now(), me.node->measure.round - 1);
	node_round_done(me.node, now(), me.node->measure.round + 1);
	assert_true(me.node->measure.in_round);
	node_round_done(me.node, now(), me.node->measure.round);
	assert_false(me.node->measure.in_round);
	end();
}

/* The last correction of a round must not come after the next one has begun. */
static void test_a_round_fits_between_two(void **state)
{
	static const int64_t interval[] = { 62500000, 100 * MS, S, 64 * S };
	static const unsigned int burst[] = { 1, 8, 64 };

	(void)state;
	for (int k = 0; k < 4 * 3; k++) {
		struct node_conf conf = plain;

		conf.interval_ns = interval[k % 4];
		conf.burst = burst[k / 4];
		start(&conf);
		pass(S);
		know(2);
		while (!me.rounds)
			pass(conf.interval_ns);
		assert_true(me.round.spacing_ns * me.round.burst <= me.round.deadline_ns);
		assert_true(me.round.deadline_ns <= conf.interval_ns);
		assert_true(me.round.deadline_ns <= (int64_t)BERK_DEADLINE_MAX);
		assert_in_range(me.round.burst, 1, BERK_BURST_MAX);
		end();
	}
}

/* --- what a master makes of reports */

/* It probed us: its T1 and T4 around our T2 and T3. */
static struct berk_sample seen_by(uint64_t id, int64_t raw)
{
	struct other o = { .id = id };

	return (struct berk_sample){
		.t1 = its_stamp(&o, raw), .t2 = { EPOCH + raw + 50000, raw + 50000 },
		.t3 = { EPOCH + raw + 70000, raw + 70000 }, .t4 = its_stamp(&o, raw + 120000),
		.src = { 1, 1, 1, 1 }, .round = (uint32_t)(raw / S),
	};
}

static void report_of(uint64_t id, const struct berk_sample *sample, unsigned int n)
{
	struct msg msg = { .type = MSG_REPORT, .report = { .term = me.node->term, .n = n } };
	union node_addr from = addr_of(id);

	memcpy(msg.report.sample, sample, n * sizeof(*sample));
	hear_from(&from, id, &msg);
}

static void test_a_report_is_as_good_as_a_probe(void **state)
{
	struct berk_sample sample[5];

	(void)state;
	lead(&plain, 2);
	hear(5, (struct msg_hello){ .kind = MSG_ASK, .report = true });
	for (int r = 0; r < 20; r++) {
		pass(S);
		assert_false(probes(5));
		for (int k = 0; k < 5; k++)
			sample[k] = seen_by(5, me.raw - 150 * MS + k * 10 * MS);
		report_of(5, sample, 5);
	}
	pass(S);
	assert_int_equal(peer_of(5)->standing.state, BERK_PEER_CANDIDATE);	/* no ack yet */
	assert_non_null(corrected(5));
	assert_in_range(corrected(5)->offset_ns + 1000, 0, 2000);
	assert_true(peer_of(5)->track.sigma_ns < 2000);
	end();
}

static void test_a_stranger_that_reports_is_asked_who_it_is(void **state)
{
	struct berk_sample s;

	(void)state;
	lead(&plain, 2);
	s = seen_by(5, me.raw - S);
	report_of(5, &s, 1);
	assert_non_null(said_to(5, MSG_ASK));
	assert_null(peer_of(5));
	/* one that is probed cannot replace what was measured */
	s = seen_by(1, me.raw - S);
	s.t2.raw_ns -= 10 * MS;
	s.t3.raw_ns -= 10 * MS;
	report_of(1, &s, 1);
	pass(S);
	assert_int_equal(peer_of(1)->standing.state, BERK_PEER_MEMBER);
	end();
}

static void test_only_a_master_takes_reports(void **state)
{
	struct berk_sample s;

	(void)state;
	follow(&plain, 3, 2);
	know(5)->reports = true;
	s = seen_by(5, me.raw - S);
	report_of(5, &s, 1);
	assert_int_equal(me.n_sent, 0);
	assert_false(peer_of(5)->track.started);
	end();
}

/* Whatever it reports of our clock: nobody else shall suffer. */
static void test_absurd_reports(void **state)
{
	static const int64_t stamp[] = {
		0, 1, -1, INT64_MIN, INT64_MAX, INT64_MAX / 4, S, EPOCH, INT64_MIN / 2, 100 * S,
	};

	(void)state;
	lead(&plain, 3);
	hear(5, (struct msg_hello){ .kind = MSG_ASK, .report = true });
	for (int k = 0; k < 2000; k++) {
		struct berk_sample sample[MSG_SAMPLES];

		for (int i = 0; i < MSG_SAMPLES; i++) {
			struct berk_sample *s = &sample[i];
			struct berk_stamp *t[] = { &s->t1, &s->t2, &s->t3, &s->t4 };

			*s = seen_by(5, me.raw - S);
			t[k % 4]->raw_ns = stamp[k / 4 % 10];
			t[(k + i) % 4]->real_ns = stamp[k / 40 % 10];
			s->src[k % 4] = (uint8_t)(k / 400 % 4);
			s->flags = (uint8_t)(k / 7 % 4);
		}
		report_of(5, sample, MSG_SAMPLES);
		if (k % 50 == 0)
			pass(S);
	}
	pass(20 * S);
	for (uint64_t id = 1; id <= 3; id++)
		assert_int_equal(peer_of(id)->standing.state, BERK_PEER_MEMBER);
	assert_true(fabs(me.node->master.ensemble.offset_ns) < 1000);
	assert_int_equal(me.steps, 0);
	end();
}

/* One exchange, seen from both ends: the same phase, with the opposite sign. */
static void test_mirrored(void **state)
{
	struct track ours, theirs, back;
	struct other o = { .id = 5, .ppb = 20e3 };

	(void)state;
	memset(&me, 0, sizeof(me));
	track_init(&ours);
	track_init(&theirs);
	track_init(&back);
	for (int r = 0; r < 20; r++) {
		int64_t raw = (100 + r) * S, its = 0;

		for (int k = 0; k < 5; k++) {
			struct berk_sample s = exchange(&o, 0, raw + k * 10 * MS), m, twice;

			s.round = (uint32_t)r;
			s.flags = k == 3 ? BERK_SAMPLE_PEER_STEP : 0;
			m = mirrored(&s);
			twice = mirrored(&m);
			assert_memory_equal(&twice, &s, sizeof(s));
			assert_int_equal(track_sample(&ours, &s), TRACK_TAKEN);
			assert_int_equal(track_sample(&theirs, &m), TRACK_TAKEN);
			assert_int_equal(track_sample(&back, &twice), TRACK_TAKEN);
			its = s.t3.raw_ns;
		}
		assert_true(track_update(&ours, raw + 50 * MS));
		assert_true(track_update(&back, raw + 50 * MS));
		assert_true(track_update(&theirs, its));
	}
	assert_float_equal(ours.rate_ppb, 20e3, 500);
	assert_float_equal(theirs.rate_ppb, -ours.rate_ppb / (1 + 20e-6), 200);
	assert_float_equal(ours.delay_ns, 100e3, 100);
	assert_float_equal(theirs.delay_ns, 100e3, 100);
	assert_memory_equal(&ours, &back, sizeof(ours));
	for (int64_t raw = 110 * S; raw < 120 * S; raw += S) {
		int64_t there = track_peer_raw(&ours, raw);

		assert_in_range(track_peer_raw(&theirs, there) - raw + 3000, 0, 6000);
	}
	end();
}

/* --- who reports */

static void sampled(uint64_t id, unsigned int n)
{
	struct other o = { .id = id, .term = 3, .flags = BERK_F_DRIVEN };

	for (unsigned int k = 0; k < n; k++) {
		struct berk_sample s = exchange(&o, peer_of(id)->index, me.raw - S / 2 + k * MS);

		s.round = me.node->measure.round;
		node_sample(me.node, now(), &s);
	}
}

static int reports(uint64_t to, unsigned int *samples)
{
	int n = 0;

	*samples = 0;
	for (int i = 0; i < me.n_sent; i++) {
		if (me.sent[i].msg.type != MSG_REPORT)
			continue;
		assert_true(is_to(&me.sent[i].to, to));
		assert_in_range(me.sent[i].msg.report.n, 1, MSG_SAMPLES);
		*samples += me.sent[i].msg.report.n;
		n++;
	}
	return n;
}

static void test_what_was_measured_of_the_master_is_reported(void **state)
{
	struct node_conf conf = reporter();
	unsigned int n;

	(void)state;
	follow(&conf, 3, 2);
	know(1);
	know(2);
	sampled(1, 25);
	sampled(2, 25);
	hush();
	node_round_done(me.node, now(), me.node->measure.round);
	carry_out();
	assert_int_equal(reports(1, &n), 3);
	assert_int_equal(n, 25);
	/* it is reported once; and what does not fit is lost, not what fits */
	hush();
	carry_out();
	assert_int_equal(reports(1, &n), 0);
	sampled(1, 1000);
	carry_out();
	reports(1, &n);
	assert_int_equal(n, REPORTED);
	end();
}

static void test_who_is_probed_reports_nothing(void **state)
{
	unsigned int n;

	(void)state;
	follow(&plain, 3, 2);
	know(1);
	sampled(1, 5);
	carry_out();
	assert_int_equal(reports(1, &n), 0);
	end();
}

/* As often as a master probes: once an interval, with a full burst. */
static void test_who_reports_probes_its_master(void **state)
{
	struct node_conf conf = reporter();
	int rounds = 0;

	(void)state;
	follow(&conf, 10, 2);
	know(1);
	for (int i = 0; i < 20; i++) {
		struct msg_correct c;

		pass(S);
		for (int k = 0; me.rounds && k < (int)me.round.n_peers; k++)
			rounds += me.probed[k] == peer_of(1)->index && me.round.burst == 5;
		c = agreeing(3);
		c.rank = 2;
		told_by(1, c);
	}
	assert_in_range(rounds, 17, 22);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_master_probes_all_but_those_that_report),
		cmocka_unit_test(test_the_next_master_probes_all),
		cmocka_unit_test(test_others_probe_witnesses),
		cmocka_unit_test(test_who_seeks_probes_nobody),
		cmocka_unit_test(test_a_round_that_never_ends_is_ended),
		cmocka_unit_test(test_another_rounds_end_is_no_end),
		cmocka_unit_test(test_a_round_fits_between_two),
		cmocka_unit_test(test_a_report_is_as_good_as_a_probe),
		cmocka_unit_test(test_a_stranger_that_reports_is_asked_who_it_is),
		cmocka_unit_test(test_only_a_master_takes_reports),
		cmocka_unit_test(test_absurd_reports),
		cmocka_unit_test(test_mirrored),
		cmocka_unit_test(test_what_was_measured_of_the_master_is_reported),
		cmocka_unit_test(test_who_is_probed_reports_nothing),
		cmocka_unit_test(test_who_reports_probes_its_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
