// SPDX-License-Identifier: GPL-2.0
/* The simulator: what its models promise */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scenario.h"

struct moments {
	double n, sum, squares;
};

static void add(struct moments *m, double x)
{
	m->n++;
	m->sum += x;
	m->squares += x * x;
}

static double mean(const struct moments *m)
{
	return m->sum / m->n;
}

static double variance(const struct moments *m)
{
	return m->squares / m->n - mean(m) * mean(m);
}

static void test_rng(void **state)
{
	struct moments uniform = { 0 }, exponential = { 0 }, normal = { 0 }, gamma = { 0 };
	struct moments small = { 0 };
	struct rng r, other;

	(void)state;
	rng_init(&r, 1, RNG_OSC, 0, 0);
	rng_init(&other, 1, RNG_OSC, 0, 1);
	assert_true(rng_next(&r) != rng_next(&other));
	for (int i = 0; i < 100000; i++) {
		add(&uniform, rng_uniform(&r));
		add(&exponential, rng_exponential(&r, 5));
		add(&normal, rng_normal(&r));
		add(&gamma, rng_gamma(&r, 2, 6));
		add(&small, rng_gamma(&r, 0.5, 1));
	}
	assert_float_equal(mean(&uniform), 0.5, 0.005);
	assert_float_equal(variance(&uniform), 1.0 / 12, 0.002);
	assert_float_equal(mean(&exponential), 5, 0.1);
	assert_float_equal(variance(&exponential), 25, 1);
	assert_float_equal(mean(&normal), 0, 0.02);
	assert_float_equal(variance(&normal), 1, 0.02);
	assert_float_equal(mean(&gamma), 6, 0.1);
	assert_float_equal(variance(&gamma), 18, 0.6);
	assert_float_equal(mean(&small), 1, 0.03);
	assert_float_equal(variance(&small), 2, 0.15);
}

static void test_osc_noise(void **state)
{
	struct moments walk = { 0 }, phase = { 0 }, white = { 0 };
	const double t = 10;	/* s */

	(void)state;
	for (uint64_t seed = 0; seed < 4000; seed++) {
		struct osc o;
		struct rng r;

		rng_init(&r, seed, RNG_OSC, 0, 0);
		osc_init(&o, &(struct osc_conf){ .freq = 1000, .walk = 3 }, r);
		add(&phase, osc_phase(&o, 10 * SIM_S));
		add(&walk, o.ppb);
		osc_init(&o, &(struct osc_conf){ .white = 2 }, r);
		add(&white, osc_phase(&o, 10 * SIM_S));
	}
	assert_float_equal(mean(&phase), 1000 * t, 5);
	assert_float_equal(variance(&phase) / (9 * t * t * t / 3), 1, 0.1);
	assert_float_equal(variance(&walk) / (9 * t), 1, 0.1);
	assert_float_equal(variance(&white) / (4 * t), 1, 0.1);
}

static void test_osc_steps(void **state)
{
	struct osc o;
	struct rng r;
	double before;

	(void)state;
	rng_init(&r, 1, RNG_OSC, 0, 0);
	osc_init(&o, &(struct osc_conf){ .freq = -500 }, r);
	assert_float_equal(osc_phase(&o, SIM_S), -500, 1e-6);
	osc_freq_step(&o, SIM_S + 30 * SIM_MS, 2000);
	assert_float_equal(osc_phase(&o, 2 * SIM_S), -1000 + 2000 * 0.97, 1e-6);
	osc_temp_step(&o, 100, 10e9);
	before = osc_phase(&o, 2 * SIM_S);
	assert_float_equal(osc_phase(&o, 12 * SIM_S) - before, 15000 + 100 * 10 * exp(-1), 2);

	osc_init(&o, &(struct osc_conf){ .temp_ampl = 100, .temp_period = 20e9 }, r);
	before = osc_phase(&o, 5 * SIM_S);
	assert_float_equal(osc_phase(&o, 25 * SIM_S), before, 1e-6);
	assert_true(fabs(before) <= 100 * 20 / M_PI);
}

/* Who looks, and when, changes nothing. */
static void test_osc_looks(void **state)
{
	const struct osc_conf conf = { .walk = 10, .white = 1 };
	struct osc a, b;
	struct rng r;

	(void)state;
	rng_init(&r, 7, RNG_OSC, 0, 0);
	osc_init(&a, &conf, r);
	osc_init(&b, &conf, r);
	for (int64_t t = 0; t < 100 * SIM_S; t += 333333333)
		osc_phase(&a, t);
	assert_true(osc_phase(&a, 100 * SIM_S) == osc_phase(&b, 100 * SIM_S));
}

static struct vclock a_clock(double ppb, double offset)
{
	struct vclock c;
	struct rng r;

	rng_init(&r, 1, RNG_OSC, 0, 0);
	vclock_init(&c, &(struct osc_conf){ .freq = ppb }, r, 100 * SIM_S, offset);
	return c;
}

static void test_vclock(void **state)
{
	struct vclock c = a_clock(1000, 5e6);
	struct berk_stamp s = vclock_read(&c, SIM_S);

	(void)state;
	assert_int_equal(s.raw_ns, 101 * SIM_S + 1000);
	assert_int_equal(s.real_ns, SIM_EPOCH + SIM_S + 1000 + 5000000);

	/* RAW is at 101 s and 1 us: the next tick is 3.999 ms later */
	vclock_set(&c, SIM_S, 0, 100e3);
	assert_float_equal(vclock_offset(&c, SIM_S + 3 * SIM_MS), 5001003, 1e-3);
	assert_float_equal(vclock_offset(&c, SIM_S + 103999000), 5001104 + 10e3, 0.5);

	/* a step is there at once; RAW knows nothing of all this */
	vclock_set(&c, 2 * SIM_S, -SIM_S, 100e3);
	s = vclock_read(&c, 2 * SIM_S);
	assert_int_equal(s.raw_ns, 102 * SIM_S + 2000);
	assert_float_equal((double)(s.real_ns - SIM_EPOCH - SIM_S), 5102000 - 400, 2);
	assert_int_equal(c.set_seq, 1);
}

static void test_vclock_limits(void **state)
{
	struct vclock c = a_clock(0, 0);

	(void)state;
	vclock_set(&c, 0, 0, 700e3);
	vclock_offset(&c, SIM_S);
	assert_float_equal(c.freq_ppb, 500e3, 0);
	/* the kernel's unit is 2^-16 ppm */
	vclock_set(&c, SIM_S, 0, 0.007);
	vclock_offset(&c, 2 * SIM_S);
	assert_float_equal(c.freq_ppb, 0, 0);
	vclock_set(&c, 2 * SIM_S, 0, 0.01);
	vclock_offset(&c, 3 * SIM_S);
	assert_float_equal(c.freq_ppb, 1 / 65.536, 1e-12);
}

static void test_vclock_power(void **state)
{
	struct vclock c = a_clock(0, 0);

	(void)state;
	vclock_set(&c, 0, 0, 1000);
	vclock_stall(&c, SIM_S, 10 * SIM_S);
	assert_int_equal(vclock_read(&c, 11 * SIM_S).raw_ns, 101 * SIM_S);
	assert_float_equal(vclock_offset(&c, 11 * SIM_S), -10e9 + 1e3, 10);
	vclock_boot(&c, 20 * SIM_S, 3 * SIM_S, -3600e9);
	assert_int_equal(vclock_read(&c, 21 * SIM_S).raw_ns, 4 * SIM_S);
	assert_float_equal(vclock_offset(&c, 21 * SIM_S), -3600e9, 1);
}

/* Delays of n packets, one each ms; the lost ones are not in it. */
static struct moments delays(const struct link_conf *conf, int n, double *least, int *copies)
{
	struct moments m = { 0 };
	struct link l;

	link_init(&l, 5, 1);
	l.conf = *conf;
	*least = INFINITY;
	*copies = 0;
	for (int i = 0; i < n; i++) {
		struct rng r = link_packet(&l, PACKET_PROBE);
		int64_t delay[2];
		int got = link_send(&l, &r, i * SIM_MS, delay);

		*copies += got;
		for (int k = 0; k < got; k++) {
			add(&m, (double)delay[k]);
			*least = fmin(*least, (double)delay[k]);
		}
	}
	return m;
}

static void test_delays(void **state)
{
	double least;
	struct moments m;
	int copies;

	(void)state;
	m = delays(&(struct link_conf){ .base = 30e3, .jitter = 5e3 }, 50000, &least, &copies);
	assert_float_equal(mean(&m), 35e3, 100);
	assert_float_equal(sqrt(variance(&m)), 5e3, 100);
	assert_true(least >= 30e3 && least < 30010);
	assert_int_equal(copies, 50000);
	m = delays(&(struct link_conf){ .base = 30e3, .spike_p = 0.05, .spike_high = 500e3 }, 50000,
		   &least, &copies);
	assert_float_equal(mean(&m), 30e3 + 0.05 * 250e3, 800);
	m = delays(&(struct link_conf){ .pareto_shape = 3, .pareto_scale = 1e3 }, 50000, &least,
		   &copies);
	assert_float_equal(mean(&m), 500, 30);
	m = delays(&(struct link_conf){ .base = 10e3, .wave_ampl = 20e3, .wave_period = 1e9 },
		   5000, &least, &copies);
	assert_float_equal(mean(&m), 20e3, 10);
	assert_float_equal(least, 10e3, 10);
}

static void test_losses(void **state)
{
	double least;
	int copies;

	(void)state;
	delays(&(struct link_conf){ .loss = 0.1 }, 50000, &least, &copies);
	assert_in_range(copies, 44500, 45500);
	delays(&(struct link_conf){ .dup = 0.2 }, 50000, &least, &copies);
	assert_in_range(copies, 59500, 60500);
	delays(&(struct link_conf){ .down = 1 }, 1000, &least, &copies);
	assert_int_equal(copies, 0);
	/* in 200 s, 100 ms of each 1.1 s */
	delays(&(struct link_conf){ .outage_every = 1e9, .outage_length = 100e6, .outage_loss = 1 },
	       200000, &least, &copies);
	assert_in_range(copies, 174000, 190000);
}

/* Neighbours meet the same queue, strangers do not. */
static void test_queue(void **state)
{
	struct link l;
	int64_t delay[2], last = 0;
	int delayed = 0, both = 0;

	(void)state;
	link_init(&l, 5, 1);
	l.conf = (struct link_conf){ .queue_every = 1e9, .queue_delay = 300e3, .queue_decay = 5e6 };
	for (int i = 0; i < 100000; i++) {
		struct rng r = link_packet(&l, PACKET_PROBE);

		link_send(&l, &r, i * SIM_MS, delay);
		delayed += delay[0] > 100000;
		both += delay[0] > 100000 && last > 100000;
		last = delay[0];
	}
	assert_in_range(delayed, 300, 900);
	assert_true(both > delayed * 6 / 10);
}

/* The n-th packet of a link meets the same fate, whatever the others do. */
static void test_fate(void **state)
{
	struct link a, b;
	int64_t da[2], db[2];

	(void)state;
	link_init(&a, 5, 1);
	link_init(&b, 5, 1);
	a.conf = b.conf = (struct link_conf){ .base = 1e3, .jitter = 1e6, .dup = 0.3, .loss = 0.3 };
	for (int i = 0; i < 100; i++) {
		struct rng ra, rb = link_packet(&b, PACKET_REPLY);
		int n;

		link_send(&b, &rb, i * SIM_S, db);	/* only there */
		ra = link_packet(&a, PACKET_PROBE);
		rb = link_packet(&b, PACKET_PROBE);
		n = link_send(&a, &ra, i * SIM_S, da);
		assert_int_equal(n, link_send(&b, &rb, i * SIM_S + SIM_MS, db));
		if (n)
			assert_int_equal(da[0], db[0]);
	}
}

/* --- whole worlds */

static struct scenario scenario(uint64_t seed, const char *text)
{
	char err[ERR_MAX];
	struct scenario s;

	scenario_init(&s, seed);
	if (!scenario_parse(&s, "test", text, err) || !scenario_check(&s, "test", err))
		fail_msg("%s", err);
	return s;
}

static int samples, soft, late, steps;
static double least_delay;

static void on_exchange(struct world *w, const struct berk_sample *s)
{
	double out = (double)(s->t2.real_ns - s->t1.real_ns);
	double back = (double)(s->t4.real_ns - s->t3.real_ns);

	(void)w;
	samples++;
	soft += (s->src[0] == BERK_STAMP_SOFT) + (s->src[2] == BERK_STAMP_SOFT);
	late += (s->src[1] == BERK_STAMP_LATE) + (s->src[3] == BERK_STAMP_LATE);
	steps += (s->flags & BERK_SAMPLE_PEER_STEP) != 0;
	if (!s->flags)
		least_delay = fmin(least_delay, fmin(out, back));
}

static void exchanges(const char *text, double seconds)
{
	struct scenario s = scenario(1, text);
	struct world w;

	samples = soft = late = steps = 0;
	least_delay = INFINITY;
	scenario_build(&s, &w, true);
	w.on_exchange = on_exchange;
	world_run(&w, llrint(seconds * 1e9));
	world_free(&w);
	scenario_free(&s);
}

static void test_stamps(void **state)
{
	(void)state;
	exchanges("nodes 2\nlink * * base=30us\nhost * reading=0ns\n", 30);
	assert_in_range(samples, 200, 300);
	assert_int_equal(soft + late + steps, 0);
	assert_true(least_delay > 29e3);	/* the clocks agree all the time */
	exchanges("nodes 2\nlink * * base=30us\nhost * soft=30% late=10%:1ms gap=20us\n", 300);
	assert_in_range(soft, samples / 2, samples * 7 / 10);
	assert_in_range(late, samples / 10, samples * 3 / 10);
	/* replies that overtake leave the exact T3 of those before unknown */
	exchanges("nodes 2\nlink 1 > 0 base=30us jitter=20ms\n", 30);
	assert_true(soft > samples / 10);
	/* between T2 and the T3 that comes 20 us later */
	exchanges("nodes 2\nlink * * base=1ms\nhost 1 answer=2ms\nat 10.0021 step 1 1us\n", 30);
	assert_in_range(steps, 0, 1);
}

static void test_doubled_probe(void **state)
{
	(void)state;
	exchanges("nodes 2\nlink * * base=30us jitter=5us dup=30%\nhost * reading=0ns\n", 60);
	assert_true(least_delay > 28e3);
}

static void test_pause(void **state)
{
	struct scenario s = scenario(1, "nodes 2\nlink * * base=30us\nat 10 pause 1 5s\n");
	struct world w;
	int64_t raw;

	(void)state;
	scenario_build(&s, &w, true);
	world_run(&w, 10 * SIM_S);
	assert_true(w.host[1].paused);
	raw = w.host[1].timer_raw;
	world_run(&w, 14999 * SIM_MS);
	assert_int_equal(w.host[1].timer_raw, raw);	/* nothing happened inside */
	world_run(&w, 20 * SIM_S);
	assert_false(w.host[1].paused);
	assert_true(w.host[1].timer_raw > raw);
	world_free(&w);
	scenario_free(&s);
}

static void test_reboot(void **state)
{
	struct scenario s = scenario(1, "nodes 2\nosc * freq=10ppm,-10ppm\nlink * * base=30us\n"
				     "at 400 reboot 1 20s -1h\n");
	struct world w;

	(void)state;
	scenario_build(&s, &w, true);
	world_run(&w, 410 * SIM_S);
	assert_false(w.host[1].up);
	assert_null(w.host[1].node);
	world_run(&w, 420 * SIM_S);
	assert_non_null(w.host[1].node);
	assert_float_equal(vclock_offset(&w.host[1].clock, w.now), -3600e9, 1);
	/* the drift file */
	assert_float_equal(w.host[1].node_conf.freq_ppb, 10e3, 2e3);
	assert_true(w.host[1].node_conf.freq_sigma_ppb > 0);
	world_run(&w, 430 * SIM_S);
	assert_true(fabs(vclock_offset(&w.host[1].clock, w.now) -
			 vclock_offset(&w.host[0].clock, w.now)) < 10e3);
	world_free(&w);
	scenario_free(&s);
}

static double moved(const char *fault)
{
	char text[300];
	struct scenario s;
	struct world a, b;
	struct metrics *with, *without;
	double result;

	snprintf(text, sizeof(text), "profile J1\n%s\n", fault);
	s = scenario(1, text);
	scenario_build(&s, &a, true);
	scenario_build(&s, &b, false);
	with = metrics_new(&s, &a, NULL);
	without = metrics_new(&s, &b, NULL);
	metrics_run(with, 60 * SIM_S);
	metrics_run(without, 60 * SIM_S);
	metrics_compare(with, without);
	result = metrics_value(with, metrics_find("moved"));
	metrics_free(with);
	metrics_free(without);
	world_free(&a);
	world_free(&b);
	scenario_free(&s);
	return result;
}

static void test_twins(void **state)
{
	(void)state;
	assert_true(moved("fault at 30 up 1 2") == 0);
	assert_true(moved("fault at 30 freqstep 1-4 100ppm") > 1);
	assert_true(isnan(moved("fault at 30 up * *")));
}

static void run_once(uint64_t seed, struct berk_stamp stamp[5], double figure[64])
{
	struct scenario s = scenario(seed, "profile J2\nlink * * loss=5% dup=1%\n"
				     "host * soft=5% late=1%:1ms\nat 20 reboot 3 5s 1h\n"
				     "settle 10\n");
	struct metrics *m;
	struct world w;

	scenario_build(&s, &w, true);
	m = metrics_new(&s, &w, NULL);
	metrics_run(m, 40 * SIM_S);
	for (int i = 0; i < 5; i++)
		stamp[i] = vclock_read(&w.host[i].clock, w.now);
	for (size_t i = 0; i < metrics_count(); i++)
		figure[i] = metrics_value(m, i);
	metrics_free(m);
	world_free(&w);
	scenario_free(&s);
}

static void test_same_seed(void **state)
{
	struct berk_stamp a[5], b[5], c[5];
	double x[64] = { 0 }, y[64] = { 0 }, z[64] = { 0 };

	(void)state;
	run_once(3, a, x);
	run_once(3, b, y);
	run_once(4, c, z);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_equal(x, y, sizeof(x));
	assert_memory_not_equal(a, c, sizeof(a));
	assert_true(x[metrics_find("spread_p50")] > 0);
}

static void test_hist(void **state)
{
	static struct hist h;

	(void)state;
	assert_true(isnan(hist_quantile(&h, 0.5)));
	for (int i = 1; i <= 1000; i++)
		hist_add(&h, i);
	assert_float_equal(hist_quantile(&h, 0.5), 500, 2);
	assert_float_equal(hist_quantile(&h, 0.99), 990, 3);
	assert_float_equal(hist_quantile(&h, 1), 1000, 3);
}

/* --- the words of scenarios */

static void test_values(void **state)
{
	char err[ERR_MAX];
	struct scenario s = scenario(1, "nodes 4 # four\n\n\tosc 1-2,3 freq=1ppm,-2ppm\n"
				     "at 1min link 0 > 3 base=1.5us tail=5%:2ms\nsettle 0.5\n"
				     "expect coverage >= 100% always\n");
	const struct action *a = &s.action[s.n_actions - 1];
	struct set set;
	double value;
	struct rng r;

	(void)state;
	assert_int_equal(s.settle, SIM_S / 2);
	assert_int_equal(a->at, 60 * SIM_S);
	assert_true(set_has(&a->a, 0) && !set_has(&a->a, 3) && set_has(&a->b, 3));
	assert_float_equal(a->value, 2e6, 0);
	assert_float_equal((a - 1)->value, 0.05, 1e-12);
	assert_float_equal((a - 2)->value, 1500, 1e-9);
	assert_float_equal(s.action[0].value, 1000, 0);
	assert_float_equal(s.action[1].value, -2000, 0);
	assert_float_equal(s.action[2].value, 1000, 0);
	assert_true(s.expect[0].least && s.expect[0].always && s.expect[0].value == 100);
	scenario_free(&s);

	rng_init(&r, 1, RNG_VALUE, 0, 0);
	for (int i = 0; i < 1000; i++) {
		assert_true(parse_value("uniform:-2ms:1s", UNIT_TIME, 0, &r, &value, err));
		assert_true(value >= -2e6 && value <= 1e9);
	}
	assert_true(parse_set("*", 3, &set, err));
	assert_true(set_has(&set, 2) && !set_has(&set, 3));
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "frob", "test:1: frob; accepted: nodes" },
		{ "nodes", "missing" },
		{ "nodes 0", "out of range; accepted: 1..4096" },
		{ "nodes 5x", "accepted: a number" },
		{ "nodes 5\nnodes 6", "test:2: there are 5 nodes already" },
		{ "osc 0 freq=1ppm", "how many nodes" },
		{ "nodes 3\nosc 3 freq=1ppm", "no such nodes: 3; accepted: *" },
		{ "nodes 3\nosc 2-1 freq=1ppm", "no such nodes" },
		{ "nodes 3\nosc 0, freq=1ppm", "no such nodes" },
		{ "nodes 3\nosc 0", "properties such as freq=" },
		{ "nodes 3\nosc 0 frequency=1ppm", "accepted: freq= walk=" },
		{ "nodes 3\nosc 0 freq=1", "a rate such as" },
		{ "nodes 3\nosc 0 freq=uniform:1ppm", "a value is missing" },
		{ "nodes 3\nosc 0 walk=nan", "a rate such as" },
		{ "nodes 3\nat 5 osc 0 freq=1ppm", "see freqstep" },
		{ "nodes 3\nlink 0 1 base=30", "30; accepted: a time such as" },
		{ "nodes 3\nlink 0 1 base=-3us", "accepted: nothing below 0" },
		{ "nodes 3\nlink 0 1 tail=5%", "accepted: 2 values" },
		{ "nodes 3\nlink 0 1 tail=5%:1ms:2ms", "accepted: 2 values" },
		{ "nodes 3\nlink 0 1 loss=120%", "no part above 100%" },
		{ "nodes 3\nlink 0 >", "the nodes are missing" },
		{ "nodes 3\nstep 1 3s", "when? accepted: at TIME step NODES TIME" },
		{ "nodes 3\nat x step 1 3s", "accepted: seconds" },
		{ "nodes 3\nat 5", "what happens then?" },
		{ "nodes 3\nat 5 nodes 3", "what happens then?" },
		{ "nodes 3\nat 5 step 1", "a value is missing; accepted:" },
		{ "nodes 3\nat 5 pause 1 10s for", "accepted:" },
		{ "nodes 3\nfault 5 step 1 3s", "accepted: fault at TIME" },
		{ "expect speed <= 3", "speed; accepted: spread_p50" },
		{ "expect spread_p50 < 3us", "accepted: expect METRIC" },
		{ "profile J3", "accepted: J1, J2" },
		{ "profile J1 walk=1", "a rate such as" },
		{ "duration 10 20", "too many words" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char err[ERR_MAX] = "";
		struct scenario s;

		scenario_init(&s, 1);
		if (scenario_parse(&s, "test", bad[i].text, err))
			fail_msg("accepted: %s", bad[i].text);
		if (!strstr(err, bad[i].says))
			fail_msg("%s: says %s instead of %s", bad[i].text, err, bad[i].says);
		scenario_free(&s);
	}
}

static void test_incomplete(void **state)
{
	char err[ERR_MAX];
	struct scenario s;

	(void)state;
	scenario_init(&s, 1);
	assert_false(scenario_check(&s, "test", err));
	assert_non_null(strstr(err, "there are no nodes"));
	assert_true(scenario_parse(&s, "test", "nodes 2\nduration 10\nsettle 10", err));
	assert_false(scenario_check(&s, "test", err));
	assert_non_null(strstr(err, "settle"));
	assert_false(scenario_load(&s, "/nonexistent/x.sim", err));
	assert_non_null(strstr(err, "No such file"));
	scenario_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rng),
		cmocka_unit_test(test_osc_noise),
		cmocka_unit_test(test_osc_steps),
		cmocka_unit_test(test_osc_looks),
		cmocka_unit_test(test_vclock),
		cmocka_unit_test(test_vclock_limits),
		cmocka_unit_test(test_vclock_power),
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_fate),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_doubled_probe),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_reboot),
		cmocka_unit_test(test_twins),
		cmocka_unit_test(test_same_seed),
		cmocka_unit_test(test_hist),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_incomplete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
