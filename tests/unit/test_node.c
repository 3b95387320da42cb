// SPDX-License-Identifier: GPL-2.0
/* The state machine, alone and in small groups in virtual time */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node.c"
#include "sim.h"

#define MS SIM_MS
#define S SIM_S
#define EPOCH SIM_EPOCH

static const struct link_conf lan = { .base = 50e3, .jitter = 10e3 };
static const struct link_conf busy = {
	.base = 100e3, .jitter = 100e3, .tail_p = 0.01, .tail_mean = 5e6, .loss = 0.01,
};
static const struct link_conf rough = { .base = 200e3, .jitter = 10e6, .loss = 0.3, .dup = 0.2 };

static struct world w;
static struct rng chance;	/* of the tests themselves */

static double uniform(void)
{
	return rng_uniform(&chance);
}

/* All paths between all nodes */
static void links(const struct link_conf *conf)
{
	struct link_rule rule;

	memset(&rule, 0xff, sizeof(rule));
	for (rule.field = 0; rule.field < sizeof(*conf) / sizeof(double); rule.field++) {
		rule.value = ((const double *)conf)[rule.field];
		world_link(&w, &rule);
	}
}

/* Both directions of the path between two nodes */
static void cut(int a, int b, bool down)
{
	struct link_rule rule = {
		.value = down, .field = offsetof(struct link_conf, down) / sizeof(double),
	};

	set_add(&rule.from, a);
	set_add(&rule.from, b);
	rule.to = rule.from;
	world_link(&w, &rule);
}

static void begin(uint64_t seed, const struct link_conf *link, int n)
{
	rng_init(&chance, seed, RNG_VALUE, 0, 0);
	world_init(&w, seed, n);
	links(link);
}

/* offset in ns; the crystal's error in ppb. It walks by 2 ppb per sqrt(s). */
static void machine(int i, double offset, double ppb)
{
	host_init(&w, i, &(struct osc_conf){ .freq = ppb, .walk = 2 }, offset);
	w.host[i].node_conf.burst = 5;
}

static void start(int i)
{
	host_start(&w, &w.host[i]);
}

/* n nodes, offsets within +-range_ns, crystals within +-ppb; all started. */
static void group(uint64_t seed, const struct link_conf *link, int n, double range_ns, double ppb)
{
	begin(seed, link, n);
	for (int i = 0; i < n; i++) {
		double offset = (2 * uniform() - 1) * range_ns;

		machine(i, offset, (2 * uniform() - 1) * ppb);
	}
	for (int i = 0; i < n; i++)
		start(i);
}

static void run(double until)
{
	world_run(&w, llrint(until * 1e9));
}

static double offset(int i)
{
	return vclock_offset(&w.host[i].clock, w.now);
}

/* Largest difference of two clocks of running machines, ns. */
static double spread(void)
{
	double low = INFINITY, high = -INFINITY;

	for (int i = 0; i < w.n; i++) {
		if (!w.host[i].node || !w.host[i].up || w.host[i].paused)
			continue;
		low = fmin(low, offset(i));
		high = fmax(high, offset(i));
	}
	return high - low;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figures {
	double rms, p50, p99, max;	/* ns */
};

/*
 * The mean of all clocks is within what each says of itself, if all are in the
 * group. Where little is known of some, the group's time is not the plain mean.
 */
static void check_bounds(void)
{
	double mean = 0;

	for (int i = 0; i < w.n; i++)
		if (w.host[i].state.error_bound_ns > 150000)
			return;
	for (int i = 0; i < w.n; i++) {
		if (!w.host[i].up || w.host[i].state.state != BERK_STATE_SYNCHRONISED)
			return;
		mean += offset(i) / w.n;
	}
	for (int i = 0; i < w.n; i++)
		assert_true(fabs(offset(i) - mean) <= (double)w.host[i].state.error_bound_ns);
}

/* Spread, sampled every 50 ms until then. */
static struct figures watch(double until)
{
	static double sample[20000];
	struct figures f = { 0 };
	double sum = 0;
	int n = 0;

	for (double t = (double)w.now * 1e-9 + 0.05; t < until && n < 20000; t += 0.05) {
		run(t);
		check_bounds();
		sample[n] = spread();
		sum += sample[n] * sample[n];
		n++;
	}
	qsort(sample, (size_t)n, sizeof(*sample), by_size);
	f.rms = sqrt(sum / n);
	f.p50 = sample[n / 2];
	f.p99 = sample[n * 99 / 100];
	f.max = sample[n - 1];
	return f;
}

/* When the spread went below the limit for good, s; the world goes on until then. */
static double settled(double limit_ns, double until)
{
	double last = (double)w.now * 1e-9;

	for (double t = last; t < until; t += 0.05) {
		run(t);
		if (spread() > limit_ns)
			last = t;
	}
	return last;
}

static double rate_of(int i)
{
	return w.host[i].clock.osc.ppb + w.host[i].clock.freq_ppb;
}

/* Difference of a clock to another, ns. */
static double ahead(int i, int of)
{
	return offset(i) - offset(of);
}

static void test_cold_start_lan(void **state)
{
	double worst = 0, to_10us = 0, p99 = 0, rms = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct figures f;
		double t;

		group(seed, &lan, 5, 5e9, 100e3);
		t = settled(1e6, 20);
		assert_true(t < 3);
		world_free(&w);

		group(seed, &lan, 5, 5e9, 100e3);
		t = settled(10e3, 60);
		to_10us = fmax(to_10us, t);
		f = watch(180);
		assert_true(f.max < 2e3);
		for (int i = 0; i < 5; i++) {
			assert_int_equal(w.host[i].state.state, BERK_STATE_SYNCHRONISED);
			assert_true(w.host[i].set.synchronised);
			assert_true(w.host[i].set.maxerror_ns > 0);
			assert_true(w.host[i].set.maxerror_ns < 200000);
		}
		worst = fmax(worst, f.max);
		p99 += f.p99 / 5;
		rms += f.rms / 5;
		world_free(&w);
	}
	print_message("lan, +-5 s, +-100 ppm: 10 us within %.2f s; spread rms %.3f, p99 %.3f, "
		      "max %.3f us\n", to_10us, rms * 1e-3, p99 * 1e-3, worst * 1e-3);
	assert_true(to_10us < 8);
	assert_true(rms < 1e3);
}

static void test_cold_start_busy(void **state)
{
	double to_100us = 0, to_10us = 0, p99 = 0, rms = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct figures f;

		group(seed, &busy, 4, 0.5e9, 50e3);
		to_100us = fmax(to_100us, settled(100e3, 3));
		to_10us = fmax(to_10us, settled(10e3, 60));
		f = watch(240);
		p99 += f.p99 / 5;
		rms += f.rms / 5;
		world_free(&w);
	}
	print_message("busy, +-0.5 s, +-50 ppm: 100 us within %.2f s, 10 us within %.2f s; "
		      "spread rms %.3f, p99 %.3f us\n", to_100us, to_10us, rms * 1e-3, p99 * 1e-3);
	assert_true(to_100us < 3);
	assert_true(to_10us < 20);
	assert_true(p99 < 4e3);
}

static void test_rough(void **state)
{
	struct figures f;

	(void)state;
	group(3, &rough, 3, 5e9, 100e3);
	print_message("rough: 1 ms within %.2f s", settled(1e6, 60));
	f = watch(180);
	print_message("; spread p50 %.0f, max %.0f us\n", f.p50 * 1e-3, f.max * 1e-3);
	assert_true(f.max < 1e6);
	world_free(&w);
}

static void test_group_rate(void **state)
{
	(void)state;
	begin(1, &lan, 2);
	machine(0, 1e9, 40e3);
	machine(1, -1e9, -60e3);
	start(0);
	start(1);
	run(60);
	assert_float_equal(rate_of(0), -10e3, 300);
	assert_float_equal(rate_of(1), -10e3, 300);
	world_free(&w);
}

/* The corrections of a group sum to zero: its mean goes on as it was. */
static void test_mean_is_kept(void **state)
{
	double before, after;

	(void)state;
	group(1, &lan, 2, 0, 0);
	host_step(&w, &w.host[0], 400000);
	before = 200000;
	run(30);
	after = (offset(0) + offset(1)) / 2;
	assert_float_equal(after, before, 10e3);
	world_free(&w);
}

static void test_slave_lost_and_back(void **state)
{
	struct figures f;

	(void)state;
	group(2, &lan, 4, 1e9, 50e3);
	run(60);
	/* it cannot be reached, but runs */
	cut(0, 2, true);
	f = watch(70);
	assert_true(f.max < 2e3);
	run(90);
	assert_int_equal(w.host[2].node->follow.state, BERK_STATE_HOLDOVER);
	cut(0, 2, false);
	assert_true(settled(10e3, 100) < 92);
	f = watch(110);
	assert_true(f.max < 2e3);
	assert_int_equal(w.host[2].state.state, BERK_STATE_SYNCHRONISED);
	assert_int_equal(w.host[0].node->master.ensemble.used, 4);
	world_free(&w);
}

static void test_partition_is_holdover(void **state)
{
	double bound;

	(void)state;
	group(2, &lan, 3, 1e9, 50e3);
	run(60);
	for (int i = 1; i < 3; i++)
		cut(0, i, true);
	run(70);
	for (int i = 0; i < 3; i++)
		assert_int_equal(w.host[i].state.state, BERK_STATE_HOLDOVER);
	bound = (double)w.host[1].state.error_bound_ns;
	run(160);
	assert_true((double)w.host[1].state.error_bound_ns > bound + 1000);
	assert_true(spread() < 2 * (double)w.host[1].state.error_bound_ns);
	assert_true(w.host[1].set.synchronised);
	run(400);
	for (int i = 0; i < 3; i++)
		assert_int_equal(w.host[i].state.state, BERK_STATE_UNSYNCHRONISED);
	assert_false(w.host[1].set.synchronised);
	for (int i = 1; i < 3; i++)
		cut(0, i, false);
	assert_true(settled(10e3, 420) < 406);
	for (int i = 0; i < 3; i++)
		assert_int_equal(w.host[i].state.state, BERK_STATE_SYNCHRONISED);
	world_free(&w);
}

/* Steps clock i of a settled group by hand; the others must not follow. */
static void stepped_by_hand(int i, double step)
{
	int other = i == 1 ? 2 : 1;
	double apart = 60;

	group(5, &lan, 4, 1e9, 50e3);
	run(60);
	host_step(&w, &w.host[i], llrint(step));
	for (double t = 60; t < 70; t += 0.05) {
		run(t);
		assert_true(fabs(ahead(3, other)) < 2e3);
		if (spread() > 10e3)
			apart = t;
	}
	assert_true(apart < 63);
	assert_non_null(strstr(w.host[i].log_text, "somebody else stepped"));
	assert_true(fabs(offset(i)) < 1e9);
	run(90);
	assert_int_equal(w.host[0].node->master.ensemble.used, 4);
	world_free(&w);
}

static void test_slave_stepped(void **state)
{
	(void)state;
	stepped_by_hand(1, 2e9);
	stepped_by_hand(1, -2e9);
	stepped_by_hand(2, 300e3);
}

static void test_master_stepped(void **state)
{
	(void)state;
	stepped_by_hand(0, 2e9);
	stepped_by_hand(0, -700e6);
}

/* A clock that its daemon cannot hold is named and left out; the others do not care. */
static void test_falseticker(void **state)
{
	(void)state;
	group(5, &lan, 5, 1e9, 50e3);
	run(60);
	for (int k = 0; k < 50; k++) {
		host_step(&w, &w.host[3], 200 * MS);
		run(60 + 0.1 * (k + 1));
		assert_true(fabs(ahead(2, 1)) < 2e3);
		assert_true(fabs(ahead(0, 1)) < 2e3);
	}
	assert_int_equal(w.host[0].node->master.peer[2]->standing.status, PEER_FALSETICKER);
	assert_true(settled(10e3, 80) < 70);
	world_free(&w);
}

static void test_master_restart(void **state)
{
	uint32_t term;
	struct figures f;

	(void)state;
	group(7, &lan, 4, 1e9, 50e3);
	run(60);
	term = w.host[1].state.term;
	assert_true(term >= 1);
	host_stop(&w, &w.host[0], true);
	run(62);
	start(0);
	f = watch(90);	/* its first estimates are a little worse */
	assert_true(f.max < 10e3);
	assert_true(w.host[1].state.term > term);
	assert_int_equal(w.host[1].state.term, w.host[0].state.term);
	for (int i = 0; i < 4; i++)
		assert_int_equal(w.host[i].state.state, BERK_STATE_SYNCHRONISED);
	world_free(&w);
}

/* A master that comes back from a reboot with a wrong clock joins its slaves. */
static void test_master_reboot(void **state)
{
	double before;

	(void)state;
	group(7, &lan, 4, 1e9, 50e3);
	run(60);
	host_power_off(&w, &w.host[0]);
	before = offset(1);
	run(80);
	host_power_on(&w, &w.host[0], -3600e9);
	assert_true(settled(10e3, 100) < 83);
	assert_float_equal(offset(1), before, 5e6);
	world_free(&w);
}

static void test_slave_reboot(void **state)
{
	(void)state;
	group(8, &lan, 4, 1e9, 50e3);
	run(60);
	host_power_off(&w, &w.host[2]);
	run(75);
	host_power_on(&w, &w.host[2], -15e9);
	assert_true(settled(10e3, 95) < 79);
	world_free(&w);
}

/* A virtual machine that is stopped for 10 s: both its clocks are. */
static void pause_machine(int i)
{
	group(9, &lan, 4, 1e9, 50e3);
	run(60);
	host_pause(&w, &w.host[i], 10 * S);
	assert_true(fabs(ahead(i, 1)) > 9e9);
}

static void test_slave_paused(void **state)
{
	(void)state;
	pause_machine(2);
	for (double t = 60; t < 75; t += 0.05) {
		run(t);
		assert_true(fabs(ahead(3, 1)) < 2e3);
	}
	assert_true(settled(10e3, 85) < 76);
	world_free(&w);
}

static void test_master_paused(void **state)
{
	(void)state;
	pause_machine(0);
	for (double t = 60; t < 100; t += 0.05) {
		run(t);
		assert_true(fabs(ahead(3, 1)) < 20e3);
	}
	assert_true(spread() < 5e3);
	world_free(&w);
}

static void test_no_daemon(void **state)
{
	double before;

	(void)state;
	begin(4, &lan, 3);
	for (int i = 0; i < 3; i++)
		machine(i, i * 1e9, 0);
	before = ahead(2, 0);
	start(0);
	start(1);
	run(30);
	assert_float_equal(ahead(1, 0), 0, 10e3);
	assert_true(fabs(ahead(2, 0)) > 1e9 && before > 1e9);
	assert_int_equal(w.host[0].node->master.peer[1]->standing.status, PEER_IDLE);
	assert_int_equal(w.host[0].node->master.ensemble.used, 2);
	start(2);
	run(40);
	assert_true(spread() < 20e3);
	assert_int_equal(w.host[0].node->master.ensemble.used, 3);
	world_free(&w);
}

/* It answers probes, but no correction ever gets there. */
static void test_never_acks(void **state)
{
	(void)state;
	begin(4, &lan, 3);
	for (int i = 0; i < 3; i++)
		machine(i, i * 1e9, 0);
	w.host[2].deaf = true;
	for (int i = 0; i < 3; i++)
		start(i);
	run(30);
	assert_int_equal(w.host[0].node->master.peer[1]->standing.status, PEER_CANDIDATE);
	assert_int_equal(w.host[0].node->master.ensemble.used, 2);
	assert_float_equal(ahead(1, 0), 0, 2e3);
	/* a member that falls deaf is left out after a while */
	w.host[2].deaf = false;
	run(60);
	assert_int_equal(w.host[0].node->master.ensemble.used, 3);
	w.host[2].deaf = true;
	run(80);
	assert_int_equal(w.host[0].node->master.ensemble.used, 2);
	world_free(&w);
}

static void test_one_node(void **state)
{
	(void)state;
	group(4, &lan, 1, 1e9, 50e3);
	run(30);
	assert_int_equal(w.host[0].state.state, BERK_STATE_SYNCHRONISED);
	assert_float_equal(w.host[0].clock.freq_ppb, 0, 1e3);
	world_free(&w);
}

static void test_intervals(void **state)
{
	static const int64_t interval[] = { 62500000, 64 * S };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct figures f;

		begin(6, &lan, 3);
		for (int i = 0; i < 3; i++) {
			machine(i, i * 1e9, i * 20e3);
			w.host[i].node_conf.interval_ns = interval[k];
			w.host[i].node_conf.burst = 8;
		}
		for (int i = 0; i < 3; i++)
			start(i);
		run(k ? 900 : 30);
		f = watch(k ? 1800 : 60);
		print_message("interval %.4g s: spread p50 %.3f, max %.3f us\n",
			      (double)interval[k] * 1e-9, f.p50 * 1e-3, f.max * 1e-3);
		assert_true(f.max < (k ? 20e3 : 2e3));
		for (int i = 0; i < 3; i++)
			assert_int_equal(w.host[i].state.state, BERK_STATE_SYNCHRONISED);
		world_free(&w);
	}
}

static void drain(struct node *node)
{
	struct node_action a;

	while (node_next_action(node, &a))
		;
}

static void test_garbage(void **state)
{
	static unsigned char junk[BERK_PAYLOAD_MAX];

	(void)state;
	group(11, &lan, 3, 1e9, 50e3);
	run(30);
	for (int i = 0; i < 2; i++) {
		struct node *node = w.host[i].node;
		struct node_now now = host_now(&w, &w.host[i]);

		drain(node);
		for (int k = 0; k < 200000; k++) {
			size_t len = k % 5 ? k % 3 ? 80 : 40 : (size_t)(uniform() * sizeof(junk));
			union node_addr from = world_addr(k % 4);
			struct follow follow = node->follow;
			struct servo servo = node->servo;
			uint32_t term = node->term;

			for (size_t b = 0; b < len; b++)
				junk[b] = (unsigned char)(uniform() * 256);
			if (k % 2 && len > 1) {
				junk[0] = MSG_VERSION;
				junk[1] = (unsigned char)(1 + k % 4 / 2);
			}
			node_ctrl(node, now, &from, 0x100, 0, len ? junk : NULL, len);
			assert_memory_equal(&node->follow, &follow, sizeof(follow));
			assert_memory_equal(&node->servo, &servo, sizeof(servo));
			assert_int_equal(node->term, term);
		}
	}
	run(40);
	assert_true(spread() < 2e3);
	world_free(&w);
}

/* Samples with any content at all. */
static void test_garbage_samples(void **state)
{
	struct node_now now;

	(void)state;
	group(11, &lan, 3, 1e9, 50e3);
	run(30);
	now = host_now(&w, &w.host[0]);
	for (int k = 0; k < 100000; k++) {
		struct berk_sample s;
		unsigned char *p = (unsigned char *)&s;

		for (size_t b = 0; b < sizeof(s); b++)
			p[b] = (unsigned char)(uniform() * 256);
		s.peer = 1 + (uint32_t)(k % 3);
		if (k % 2) {
			s.node_id = 0x101;
			for (int i = 0; i < 4; i++)
				s.src[i] = 1 + (k + i) % 3;
			s.t2.raw_ns &= INT64_MAX / 8;
			s.t3.raw_ns &= INT64_MAX / 8;
			s.t1 = s.t4 = (struct berk_stamp){ now.real_ns, now.raw_ns };
		}
		node_sample(w.host[0].node, now, &s);
		if (k % 100 == 0)
			node_round_done(w.host[0].node, now, (uint32_t)k);
	}
	host_act(&w, &w.host[0]);
	run(90);
	assert_true(spread() < 1e6);
	world_free(&w);
}

static const struct msg_correct line = {
	.term = 3, .round = 5, .members = 3, .rate_known = true, .want_ack = true,
	.freq_ppb = 1000,
	.ref_raw_ns = 99 * S, .ref_real_ns = EPOCH + 99 * S, .offset_ns = 2 * S,
	.sigma_ns = 100, .bound_ns = 1000, .interval_ns = S,
};

static struct node *slave(void)
{
	static const struct node_conf conf = {
		.role = BERK_ROLE_SLAVE, .node_id = 9, .interval_ns = S, .burst = 8,
		.step_threshold_ns = MS, .max_rate_ppb = 500e3,
	};
	struct node *node = node_init(&conf);

	assert_non_null(node);
	node_start(node, (struct node_now){ EPOCH + 90 * S, 90 * S });
	drain(node);
	return node;
}

/* Sends a correction; fills in what came of it. Returns the status of the ack, or -1. */
static int tell(struct node *node, int64_t raw, uint64_t from, struct msg_correct c,
		struct node_clock *clock)
{
	union node_addr addr = world_addr(0);
	struct msg msg = { .type = MSG_CORRECT, .correct = c };
	unsigned char buf[MSG_MAX];
	size_t len = msg_encode(&msg, buf);
	struct node_action a;
	int status = -1;

	memset(clock, 0, sizeof(*clock));
	node_ctrl(node, (struct node_now){ EPOCH + raw, raw }, &addr, from, c.term, buf, len);
	while (node_next_action(node, &a)) {
		if (a.type == NODE_ACT_CLOCK) {
			*clock = a.clock;
		} else if (a.type == NODE_ACT_SEND) {
			assert_memory_equal(&a.send.addr, &addr, sizeof(addr));
			assert_int_equal(msg_decode(&msg, a.send.payload, a.send.len), 0);
			assert_int_equal(msg.type, MSG_ACK);
			assert_int_equal(msg.ack.term, c.term);
			assert_int_equal(msg.ack.round, c.round);
			status = (int)msg.ack.status;
		}
	}
	return status;
}

static void test_correction(void **state)
{
	struct node *node = slave();
	struct msg_correct c = line;
	struct node_clock clock;

	(void)state;
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_APPLIED);
	/* two seconds ahead at 99 s; the group gained 1 us since */
	assert_int_equal(clock.step_ns, -2 * S + 1000);
	assert_float_equal(clock.freq_ppb, 1000, 1);
	assert_true(clock.synchronised);
	assert_int_equal(node->follow.state, BERK_STATE_SYNCHRONISED);

	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_DUPLICATE);
	assert_int_equal(clock.step_ns, 0);
	c.round--;
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_STALE);
	c.round = 6;
	c.term--;
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_STALE);
	assert_int_equal(node->term, 3);
	assert_int_equal(node->follow.round, 5);
	node_free(node);
}

/* What a slave publishes at an instant. */
static struct node_publish published(struct node *node, struct node_now now)
{
	struct node_action a;
	struct node_publish p = { 0 };

	drain(node);
	node->publish_next = now.raw_ns;
	node->servo_next = INT64_MAX;	/* no reading of the clock: it is as commanded */
	node_timer(node, now);
	while (node_next_action(node, &a))
		if (a.type == NODE_ACT_PUBLISH)
			p = a.publish;
	return p;
}

/* A slave that was told the same line for ten seconds, with 1000 ns and 100 ppb of sigma. */
static struct node *settled_slave(void)
{
	struct node *node = slave();
	struct msg_correct c = line;
	struct node_clock clock;

	c.offset_ns = 0;
	c.freq_ppb = 0;
	c.sigma_ns = 1000;
	c.rate_sigma_ppb = 100;
	for (int i = 0; i < 10; i++) {
		c.round++;
		c.ref_raw_ns += S;
		c.ref_real_ns += S;
		assert_int_equal(tell(node, c.ref_raw_ns, 1, c, &clock), MSG_APPLIED);
	}
	return node;
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
		{ "uncertain and far", 1000000, 4000, 0, false, false, 1, 1, 0.01, true },
		{ "may step", 50000, 100000, 0, true, false, 1, 1, 0.01, false },
		{ "anew", 50000, 100000, 0, false, true, 1, 1, 0.01, false },
		{ "lost", 50000, 100000, 0, false, false, 400, 1, 0.01, false },
		{ "after holdover", 2000, 100000, 0, false, false, 100, 0.0, 0.15, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct node *node = settled_slave();
		int64_t raw = 109 * S + llrint(of[i].late * 1e9);
		struct msg_correct c = line;
		struct node_clock clock;
		double taken;

		c.round += 11;
		c.rate_known = false;
		c.offset_ns = of[i].offset;
		c.ref_raw_ns = raw;
		c.ref_real_ns = EPOCH + raw;
		c.sigma_ns = of[i].sigma;
		c.bound_ns = of[i].bound;
		c.may_step = of[i].may_step;
		c.anew = of[i].anew;
		assert_int_equal(tell(node, raw, 1, c, &clock), MSG_APPLIED);
		taken = (double)(EPOCH + raw - servo_line(&node->servo, raw)) / (double)c.offset_ns;
		if (fabs(taken - of[i].taken) > of[i].tolerance ||
		    node->follow.withdrawn != of[i].withdrawn)
			fail_msg("%s: %.3f taken, withdrawn %d", of[i].what, taken,
				 node->follow.withdrawn);
		assert_int_equal(node->follow.state == BERK_STATE_UNSYNCHRONISED, of[i].withdrawn);
		assert_int_equal(clock.synchronised, !of[i].withdrawn);
		assert_true(node->follow.sigma_ns >= 0 && isfinite(node->follow.sigma_ns));
		assert_true(node->follow.sigma_ns <= fmax(1e3 * 1.1, (double)of[i].sigma) ||
			    of[i].late > 1);
		/* of a crystal that has changed nothing is known until it is told */
		if (of[i].anew)
			assert_float_equal(node->follow.rate_sigma_ppb, RATE_UNKNOWN, 0);
		node_free(node);
	}
}

/* A bound that proved wrong is void, until the next correction agrees with that. */
static void test_withdrawn(void **state)
{
	struct node *node = settled_slave();
	struct msg_correct c = line;
	struct node_clock clock;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int64_t raw = (110 + i) * S;

		c.round = 20 + (uint32_t)i;
		c.offset_ns = i ? 0 : 500000;
		c.ref_raw_ns = raw;
		/* the clock was 500 us ahead, and still is: nothing was slewed yet */
		c.ref_real_ns = EPOCH + raw - (i ? 500000 : 0);
		c.sigma_ns = 100;
		c.freq_ppb = 0;
		assert_int_equal(tell(node, raw, 1, c, &clock), MSG_APPLIED);
		assert_int_equal(node->follow.withdrawn, !i);
		assert_int_equal(clock.maxerror_ns == 16 * S, !i);
		assert_int_equal(published(node, (struct node_now){ EPOCH + raw, raw })
				 .error_bound_ns == UINT64_MAX, !i);
	}
	node_free(node);
}

/* Published once, a bound that is grown as it says covers every later one until it is void. */
static void test_bound_grows(void **state)
{
	static const double sigma[] = { 0, 10, 1000, 100e3 }, freq[] = { 0, 499e3, 700e3 };

	(void)state;
	for (int k = 0; k < 4 * 3 * 3; k++) {
		struct node *node = slave();
		struct msg_correct c = line;
		struct node_clock clock;
		struct node_publish first, later;
		double clock_bound;

		c.offset_ns = k / 12 * 1000;
		c.rate_sigma_ppb = sigma[k % 4];
		c.freq_ppb = freq[k / 4 % 3];
		c.interval_ns = k / 12 == 1 ? 64 * S : S;
		assert_int_equal(tell(node, 99 * S, 1, c, &clock), MSG_APPLIED);
		/* what may be slewed has been */
		node->servo.real = servo_line(&node->servo, 99 * S);
		node->servo.cmd_ppb = servo_base_ppb(&node->servo);
		clock_bound = (double)clock.maxerror_ns;
		first = published(node, (struct node_now){ EPOCH + 99 * S, 99 * S });
		for (int i = 0; i <= 20; i++) {
			int64_t age = (int64_t)first.valid_ms * MS / 20 * i;
			double grown = (double)first.error_bound_ns +
				       first.error_growth_ppb * (double)age * 1e-9;

			later = published(node, (struct node_now){ EPOCH + 99 * S + age,
								   99 * S + age });
			if ((double)later.error_bound_ns > grown + 2)
				fail_msg("case %d, age %.1f s: %.0f ns, but %.0f", k,
					 (double)age * 1e-9, (double)later.error_bound_ns, grown);
			/* the kernel adds 500 ppm, but only from the next second on */
			if (age <= S)
				assert_true((double)later.error_bound_ns <= clock_bound + 2);
		}
		node_free(node);
	}
}

/* Whatever is told is survived. An ack comes if wanted, or if nothing was applied. */
static void test_extreme_corrections(void **state)
{
	static const int64_t ns[] = { 0, 1, S, INT64_C(1) << 60 };
	static const double ppb[] = { 0, 1e6, -1e6 };
	struct node_clock clock;

	(void)state;
	for (int k = 0; k < 4 * 4 * 4 * 3 * 4; k++) {
		struct node *node = settled_slave();
		struct msg_correct c = line;

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
			assert_int_equal(tell(node, raw, 1, c, &clock), -1);
			assert_int_equal(tell(node, raw, 1, c, &clock), MSG_DUPLICATE);
			p = published(node, (struct node_now){ EPOCH + raw, raw });
			assert_true(fabs(p.freq_ppb) <= 500e3 && p.valid_ms >= 1000);
			assert_true(isfinite(node->follow.sigma_ns));
			assert_true(isfinite(node->follow.rate_sigma_ppb));
			assert_true(node->clock.maxerror_ns >= 0);
		}
		node_free(node);
	}
}

static void test_second_master(void **state)
{
	struct node *node = slave();
	struct msg_correct c = line;
	struct node_clock clock;

	(void)state;
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_APPLIED);
	c.round = 6;
	assert_int_equal(tell(node, 100 * S, 2, c, &clock), MSG_REFUSED);
	assert_int_equal(node->follow.master_id, 1);
	/* a higher term deposes the first */
	c.term = 4;
	c.round = 1;
	assert_int_equal(tell(node, 100 * S, 2, c, &clock), MSG_APPLIED);
	assert_int_equal(node->follow.master_id, 2);
	c.term = 3;
	c.round = 9;
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_STALE);
	/* a silent one may be replaced at the same term */
	c.term = 4;
	c.round = 1;
	c.ref_raw_ns = 109 * S;
	c.ref_real_ns = EPOCH + 107 * S;
	c.offset_ns = 0;
	assert_int_equal(tell(node, 110 * S, 1, c, &clock), MSG_APPLIED);
	node_free(node);
}

static void test_implausible(void **state)
{
	struct node *node = slave();
	struct msg_correct c = line;
	struct node_clock clock;

	(void)state;
	c.ref_raw_ns = 101 * S;		/* the future */
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_REFUSED);
	c.ref_raw_ns = 80 * S;		/* long ago: from before a reboot */
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_REFUSED);
	c = line;
	c.term = UINT32_MAX;		/* its master could never follow */
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_REFUSED);
	assert_false(node->servo.have_line);
	assert_int_equal(tell(node, 100 * S, 9, line, &clock), -1);	/* our own id */
	node_free(node);
}

/* An hour passes while RAW stands still: no one else stepped the clock. */
static void test_suspended(void **state)
{
	struct node *node = slave();
	struct msg_correct c = line;
	struct node_clock clock;
	struct node_now now = { EPOCH + 3700 * S, 100 * S + MS };

	(void)state;
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_APPLIED);
	node_resumed(node, now);
	assert_int_equal(node->follow.state, BERK_STATE_UNSYNCHRONISED);
	drain(node);
	now.raw_ns += S;
	now.real_ns += S;
	node_timer(node, now);
	assert_false(node->do_clock);
	c.round++;
	c.ref_raw_ns = now.raw_ns;
	c.ref_real_ns = EPOCH + now.raw_ns;
	c.offset_ns = -3600 * S;
	assert_int_equal(tell(node, now.raw_ns, 1, c, &clock), MSG_APPLIED);
	assert_int_equal(clock.step_ns, 3600 * S);
	node_free(node);
}

/* What was commanded did not happen: that is no foreign step, and is commanded again. */
static void test_clock_failed(void **state)
{
	struct node *node = slave();
	struct msg_correct c = line;
	struct node_clock clock;

	(void)state;
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_APPLIED);
	assert_true(clock.step_ns < -S);
	drain(node);
	node_clock_failed(node);
	node_timer(node, (struct node_now){ EPOCH + 101 * S, 101 * S });
	assert_true(node->do_clock && node->clock.step_ns < -S);
	assert_int_equal(node->log_head - node->log_tail, 1);	/* of the step */
	node_free(node);
}

/* Two masters do not outbid each other for ever; a term left by a dead one is outbid. */
static void test_contested(void **state)
{
	struct node *node = slave();
	union node_addr addr = world_addr(1), other = world_addr(2);
	struct msg msg = { .type = MSG_ACK, .ack = { .term = 3, .status = MSG_STALE,
						     .current_term = 7 } };
	unsigned char buf[MSG_MAX];
	size_t len = msg_encode(&msg, buf);
	struct node_now now = { EPOCH + 91 * S, 91 * S };
	struct peer *peer;

	(void)state;
	node->conf.role = BERK_ROLE_MASTER;
	node->term = 3;
	node->master.have_group = true;
	assert_int_equal(node_peer_add(node, &addr), 0);
	peer = peer_by_addr(node, &addr);
	peer->flags = BERK_F_DRIVEN | BERK_F_SYNCED;
	peer->track.started = true;
	peer->track.node_id = 77;

	node_ctrl(node, now, &addr, 77, 7, buf, len);
	node_ctrl(node, now, &addr, 77, 7, buf, len);
	assert_int_equal(node->term, 3);
	assert_int_equal(node->log_head - node->log_tail, 1);
	peer->flags = BERK_F_DRIVEN;
	node_ctrl(node, now, &other, 78, 7, buf, len);	/* nobody we know */
	assert_int_equal(node->term, 3);
	node_ctrl(node, now, &other, 77, 7, buf, len);	/* another address of the same node */
	assert_int_equal(node->term, 8);
	node_free(node);
}

static void test_rate_unknown(void **state)
{
	struct node *node = slave();
	struct msg_correct c = line;
	struct node_clock clock;

	(void)state;
	c.rate_known = false;
	assert_int_equal(tell(node, 100 * S, 1, c, &clock), MSG_APPLIED);
	assert_float_equal(clock.freq_ppb, 0, 1);
	assert_true(clock.maxerror_ns > 100000);	/* any crystal, for a second */
	node_free(node);
}

static void test_stop(void **state)
{
	struct node *node = slave();
	struct node_clock clock;
	struct node_action a;
	bool clock_set = false, published = false;

	(void)state;
	tell(node, 100 * S, 1, line, &clock);
	node_stop(node, (struct node_now){ EPOCH + 98 * S + 1000, 100 * S });
	while (node_next_action(node, &a)) {
		if (a.type == NODE_ACT_CLOCK) {
			clock_set = true;
			assert_float_equal(a.clock.freq_ppb, 1000, 1);
			assert_int_equal(a.clock.step_ns, 0);
			assert_false(a.clock.synchronised);
		} else if (a.type == NODE_ACT_PUBLISH) {
			published = true;
			assert_int_equal(a.publish.state, BERK_STATE_UNSYNCHRONISED);
		}
	}
	assert_true(clock_set && published);
	node_free(node);
}

static void test_start(void **state)
{
	static const struct node_conf conf = {
		.role = BERK_ROLE_SLAVE, .node_id = 9, .interval_ns = S, .burst = 8,
		.step_threshold_ns = MS, .max_rate_ppb = 500e3, .freq_ppb = 12345,
	};
	struct node *node = node_init(&conf);
	struct node_action a;

	(void)state;
	node_start(node, (struct node_now){ EPOCH, S });
	assert_true(node_next_action(node, &a));
	assert_int_equal(a.type, NODE_ACT_CLOCK);
	assert_float_equal(a.clock.freq_ppb, 12345, 0);
	assert_false(a.clock.synchronised);
	assert_true(node_next_action(node, &a));
	assert_int_equal(a.type, NODE_ACT_PUBLISH);
	assert_int_equal(a.publish.state, BERK_STATE_UNSYNCHRONISED);
	assert_true(a.publish.error_bound_ns == UINT64_MAX);
	assert_float_equal(a.publish.freq_ppb, 12345, 0);
	assert_false(node_next_action(node, &a));
	assert_true(node_next_timer(node) <= 2 * S);
	node_free(node);
}

static void test_log_limit(void **state)
{
	struct node *node = slave();
	struct node_action a;
	int lines = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		node_say(node, 100 * S, LOG_INFO, "line %d", i);
		while (node_next_action(node, &a))
			lines++;
	}
	assert_in_range(lines, 20, 23);
	node_say(node, 200 * S, LOG_INFO, "%s", "again");
	assert_true(node_next_action(node, &a));
	assert_non_null(strstr(a.log.text, "lines left out) again"));
	node_free(node);
}

/* One round over a thousand peers: everyone gets a correction, the line fits. */
static void test_thousand(void **state)
{
	struct node_conf conf = {
		.role = BERK_ROLE_MASTER, .node_id = 1, .interval_ns = S, .burst = 8,
		.step_threshold_ns = MS, .max_rate_ppb = 500e3,
	};
	struct node *node = node_init(&conf);
	struct node_now now = { EPOCH + 100 * S, 100 * S };
	int announced = 0, sent = 0, rounds = 0;
	struct node_action a;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		union node_addr addr = world_addr((i * 7919) % 1000 + 1);

		assert_int_equal(node_peer_add(node, &addr), 0);
		assert_int_equal(node_peer_add(node, &addr), -EEXIST);
	}
	node_start(node, now);
	for (int r = 0; r < 2; r++) {
		now.raw_ns += S;
		now.real_ns += S;
		node_timer(node, now);
		while (node_next_action(node, &a)) {
			if (a.type == NODE_ACT_PEER) {
				announced++;
				node_peer_index(node, &a.peer,
						(uint32_t)(2000 - world_host(&a.peer)));
			}
			rounds += a.type == NODE_ACT_ROUND;
		}
		for (int i = 1; i <= 1000; i++) {
			for (int k = 0; k < 8; k++) {
				int64_t t = now.raw_ns + k * 10 * MS;
				struct berk_sample s = {
					.node_id = 1000U + (uint64_t)i, .peer = (uint32_t)(2000 - i),
					.round = (uint32_t)r + 1,
					.t1 = { EPOCH + t, t },
					.t2 = { EPOCH + t + 50000 + i * 1000, t + S * i + 50000 },
					.t3 = { EPOCH + t + 70000 + i * 1000, t + S * i + 70000 },
					.t4 = { EPOCH + t + 120000, t + 120000 },
					.src = { 1, 1, 1, 1 }, .peer_flags = BERK_F_DRIVEN,
				};

				node_sample(node, now, &s);
			}
		}
		now.raw_ns += 100 * MS;
		now.real_ns += 100 * MS;
		node_round_done(node, now, (uint32_t)r + 1);
		sent = 0;
		while (node_next_action(node, &a)) {
			struct msg msg;

			if (a.type != NODE_ACT_SEND)
				continue;
			sent++;
			assert_int_equal(msg_decode(&msg, a.send.payload, a.send.len), 0);
			/* clocks 0, 1 ... 1000 us ahead */
			assert_float_equal((double)msg.correct.offset_ns,
					   world_host(&a.send.addr) * 1e3 - 500e3, 2e3);
		}
		assert_int_equal(sent, 1000);
		if (!r)
			node->master.have_group = false;	/* average them once more */
	}
	assert_int_equal(announced, 1000);
	assert_int_equal(rounds, 2);
	node_free(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_correction),
		cmocka_unit_test(test_blend),
		cmocka_unit_test(test_withdrawn),
		cmocka_unit_test(test_bound_grows),
		cmocka_unit_test(test_extreme_corrections),
		cmocka_unit_test(test_second_master),
		cmocka_unit_test(test_implausible),
		cmocka_unit_test(test_suspended),
		cmocka_unit_test(test_clock_failed),
		cmocka_unit_test(test_contested),
		cmocka_unit_test(test_rate_unknown),
		cmocka_unit_test(test_log_limit),
		cmocka_unit_test(test_thousand),
		cmocka_unit_test(test_one_node),
		cmocka_unit_test(test_cold_start_lan),
		cmocka_unit_test(test_cold_start_busy),
		cmocka_unit_test(test_rough),
		cmocka_unit_test(test_group_rate),
		cmocka_unit_test(test_mean_is_kept),
		cmocka_unit_test(test_slave_lost_and_back),
		cmocka_unit_test(test_partition_is_holdover),
		cmocka_unit_test(test_slave_stepped),
		cmocka_unit_test(test_master_stepped),
		cmocka_unit_test(test_falseticker),
		cmocka_unit_test(test_master_restart),
		cmocka_unit_test(test_master_reboot),
		cmocka_unit_test(test_slave_reboot),
		cmocka_unit_test(test_slave_paused),
		cmocka_unit_test(test_master_paused),
		cmocka_unit_test(test_no_daemon),
		cmocka_unit_test(test_never_acks),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_garbage_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
