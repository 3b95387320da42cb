// SPDX-License-Identifier: GPL-2.0
/* Small groups in virtual time */
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
	if (w.host)
		world_free(&w);	/* of a test that failed */
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

/* What one thinks of another. */
static struct peer *seen(int from, int i)
{
	union node_addr addr = world_addr(i);

	return peer_by_addr(w.host[from].node, &addr);
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

/* Two that may not lead: without their master they hold what they have, for a while. */
static void test_no_master_is_holdover(void **state)
{
	double bound;

	(void)state;
	begin(2, &lan, 3);
	for (int i = 0; i < 3; i++) {
		machine(i, i * 1e9, i * 20e3);
		w.host[i].wish.role = i ? 2 : 1;
		host_configure(&w.host[i]);
		start(i);
	}
	run(60);
	for (int i = 1; i < 3; i++)
		cut(0, i, true);
	run(70);
	for (int i = 1; i < 3; i++)
		assert_int_equal(w.host[i].state.state, BERK_STATE_HOLDOVER);
	bound = (double)w.host[1].state.error_bound_ns;
	run(160);
	assert_true((double)w.host[1].state.error_bound_ns > bound + 1000);
	assert_true(spread() < 2 * (double)w.host[1].state.error_bound_ns);
	assert_true(w.host[1].set.synchronised);
	run(400);
	for (int i = 1; i < 3; i++)
		assert_int_equal(w.host[i].state.state, BERK_STATE_UNSYNCHRONISED);
	assert_false(w.host[1].set.synchronised);
	for (int i = 1; i < 3; i++)
		cut(0, i, false);
	assert_true(settled(10e3, 420) < 406);
	for (int i = 0; i < 3; i++)
		assert_int_equal(w.host[i].state.state, BERK_STATE_SYNCHRONISED);
	world_free(&w);
}

/* --- without the first master */

static bool leads(int i)
{
	return w.host[i].node && w.host[i].state.role == BERK_ROLE_MASTER;
}

static int masters(void)
{
	int n = 0;

	for (int i = 0; i < w.n; i++)
		n += leads(i);
	return n;
}

/* The master is gone in one way or another: how long its slaves are without corrections. */
static double failover(bool killed)
{
	uint32_t term;
	double t;

	group(7, &lan, 5, 1e9, 50e3);
	run(120);
	term = w.host[1].state.term;
	assert_int_equal(world_master(&w), 0);
	host_stop(&w, &w.host[0], !killed);
	for (t = 120; w.host[4].accepted.term == term && t < 130; t += 0.01) {
		run(t);
		assert_true(spread() < 2e3);
	}
	for (int i = 0; i < 20; i++) {
		run(t + i);
		assert_true(spread() < 2e3);
		assert_int_equal(masters(), 1);
	}
	for (int i = 1; i < 5; i++) {
		assert_int_equal(w.host[i].steps, 0);
		assert_int_equal(w.host[i].state.state, BERK_STATE_SYNCHRONISED);
	}
	world_free(&w);
	return t - 120;
}

static void test_master_killed(void **state)
{
	(void)state;
	assert_true(failover(true) < 2);
}

static void test_master_hands_over(void **state)
{
	(void)state;
	assert_true(failover(false) < 0.5);
}

static void split(bool down)
{
	for (int a = 0; a < 2; a++)
		for (int b = 2; b < 5; b++)
			cut(a, b, down);
}

/* The larger part does not move when the other comes back, and nobody steps. */
static void test_partition_heals(void **state)
{
	(void)state;
	group(7, &lan, 5, 1e9, 50e3);
	run(60);
	split(true);
	run(360);
	assert_int_equal(masters(), 2);
	assert_true(leads(0));
	assert_int_not_equal(w.host[0].state.term, w.host[2].state.term);
	for (int i = 0; i < 5; i++)
		assert_int_equal(w.host[i].state.state, BERK_STATE_SYNCHRONISED);
	split(false);
	for (double t = 360; t < 370; t += 0.05) {
		run(t);
		assert_true(fabs(ahead(3, 2)) < 2e3 && fabs(ahead(4, 2)) < 2e3);
	}
	assert_true(spread() < 5e3);
	assert_int_equal(masters(), 1);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(w.host[i].state.term, w.host[2].state.term);
		assert_int_equal(w.host[i].steps, 0);
	}
	world_free(&w);
}

/* A master that was never the next one knows the others little, but does no harm. */
static void test_new_master_without_warning(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		group(seed, &lan, 5, 1e9, 50e3);
		run(60);
		split(true);
		for (double t = 60; t < 75; t += 0.05) {
			run(t);
			if (fabs(ahead(3, 2)) > 3e3 || fabs(ahead(4, 2)) > 3e3)
				fail_msg("seed %d, %.2f s: %.0f, %.0f ns", (int)seed, t,
					 ahead(3, 2), ahead(4, 2));
		}
		world_free(&w);
	}
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
	assert_int_equal(seen(0, 3)->standing.state, BERK_PEER_FALSETICKER);
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
	set_add(&w.host[0].peers, 2);
	before = ahead(2, 0);
	start(0);
	start(1);
	run(30);
	assert_float_equal(ahead(1, 0), 0, 10e3);
	assert_true(fabs(ahead(2, 0)) > 1e9 && before > 1e9);
	assert_int_equal(seen(0, 2)->standing.state, BERK_PEER_IDLE);
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
	w.host[2].wish.role = 2;	/* slave, or it would lead a group of its own */
	host_configure(&w.host[2]);
	w.host[2].deaf = true;
	for (int i = 0; i < 3; i++)
		start(i);
	run(30);
	assert_int_equal(seen(0, 2)->standing.state, BERK_PEER_CANDIDATE);
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

/* Whoever is alone leads nobody: there is no group to be synchronised to. */
static void test_one_node(void **state)
{
	(void)state;
	group(4, &lan, 1, 1e9, 50e3);
	run(30);
	assert_int_equal(w.host[0].state.role, BERK_ROLE_MASTER);
	assert_int_equal(w.host[0].state.state, BERK_STATE_UNSYNCHRONISED);
	assert_float_equal(w.host[0].clock.freq_ppb, 0, 0);
	assert_int_equal(w.host[0].steps, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cold_start_lan),
		cmocka_unit_test(test_cold_start_busy),
		cmocka_unit_test(test_rough),
		cmocka_unit_test(test_group_rate),
		cmocka_unit_test(test_mean_is_kept),
		cmocka_unit_test(test_slave_lost_and_back),
		cmocka_unit_test(test_no_master_is_holdover),
		cmocka_unit_test(test_master_killed),
		cmocka_unit_test(test_master_hands_over),
		cmocka_unit_test(test_partition_heals),
		cmocka_unit_test(test_new_master_without_warning),
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
		cmocka_unit_test(test_one_node),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_garbage_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
