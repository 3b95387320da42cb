// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "track.c"

#define S 1000000000LL
#define MS 1000000LL
#define EPOCH 1700000000000000000LL
#define AHEAD (37 * S)		/* of the peer's RAW clock at raw time 0 */

/* A peer with a constant rate, and a link. */
static struct {
	struct track track;
	int64_t now;		/* local raw */
	double rate;		/* ppb */
	double base, jitter, asymmetry;	/* ns */
	double real_slope;	/* ppb: of the peer's REALTIME to its RAW */
	uint8_t t1_src, t3_src;
	uint32_t round;
	uint64_t rng;
} c;

static double uniform(void)
{
	c.rng = c.rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return ((double)(c.rng >> 11) + 0.5) / 9007199254740992.0;
}

static void begin(double rate, double base, double jitter)
{
	memset(&c, 0, sizeof(c));
	c.now = 1000 * S;
	c.rate = rate;
	c.base = base;
	c.jitter = jitter;
	c.t1_src = c.t3_src = BERK_STAMP_DRIVER;
	c.rng = 42;
	track_init(&c.track);
}

static int64_t peer_raw(int64_t local)
{
	return local + AHEAD + llrint((double)(local - 1000 * S) * c.rate * 1e-9);
}

static struct berk_stamp peer_stamp(int64_t local)
{
	int64_t raw = peer_raw(local);

	return (struct berk_stamp){
		.raw_ns = raw,
		.real_ns = EPOCH + raw + llrint((double)(raw - 1037 * S) * c.real_slope * 1e-9),
	};
}

static struct berk_stamp local_stamp(int64_t local)
{
	return (struct berk_stamp){ .raw_ns = local, .real_ns = EPOCH + local };
}

static double jitter(void)
{
	return -c.jitter * log(uniform());
}

static struct berk_sample exchange(void)
{
	int64_t t2 = c.now + llrint(c.base + c.asymmetry + jitter()), t3 = t2 + 20000;

	return (struct berk_sample){
		.node_id = 5,
		.round = c.round,
		.t1 = local_stamp(c.now),
		.t2 = peer_stamp(t2),
		.t3 = peer_stamp(t3),
		.t4 = local_stamp(t3 + llrint(c.base + jitter())),
		.src = { c.t1_src, BERK_STAMP_DRIVER, c.t3_src, BERK_STAMP_DRIVER },
	};
}

static void burst(int n, int64_t interval)
{
	int64_t end = c.now + interval;

	c.round++;
	for (int i = 0; i < n; i++, c.now += 10 * MS) {
		struct berk_sample s = exchange();

		track_sample(&c.track, &s);
	}
	track_update(&c.track, c.now);
	c.now = end;
}

static double phase_error(void)
{
	return (double)(track_peer_raw(&c.track, c.now) - peer_raw(c.now));
}

static void test_first_burst(void **state)
{
	(void)state;
	begin(80e3, 50e3, 10e3);
	assert_false(track_update(&c.track, c.now));
	burst(8, 80 * MS);
	assert_true(c.track.ready);
	assert_true(fabs(phase_error()) < 10e3);
	assert_true(c.track.sigma_ns > 500 && c.track.sigma_ns < 20e3);
	assert_true(c.track.delay_ns > 90e3 && c.track.delay_ns < 130e3);
}

static void test_converges(void **state)
{
	(void)state;
	begin(-80e3, 50e3, 10e3);
	for (int i = 0; i < 4; i++)
		burst(8, S / 4);
	for (int i = 0; i < 2; i++)
		burst(8, S);
	assert_float_equal(c.track.rate_ppb, -80e3, 1000);
	for (int i = 0; i < 60; i++)
		burst(8, S);
	assert_float_equal(c.track.rate_ppb, -80e3, 40);
	assert_true(fabs(phase_error()) < 500);
	assert_true(fabs(c.track.rate_ppb + 80e3) < 5 * c.track.rate_sigma_ppb);
	assert_true(c.track.sigma_ns < 300);
}

/*
 * Witnesses are probed once in a while: as long as there are few points of them, the
 * estimate must not pretend to know.
 */
static void test_few_points_are_honest(void **state)
{
	static const int rounds[] = { 2, 3, 4, 6, 8, 10, 12, 16, 20, 40 };

	(void)state;
	for (size_t k = 0; k < sizeof(rounds) / sizeof(*rounds); k++) {
		int far = 0;

		for (uint64_t seed = 1; seed <= 100; seed++) {
			begin(-87763, 50e3, 10e3);
			c.rng = seed * 7919;
			for (int i = 0; i < rounds[k]; i++)
				burst(1, 4 * S);
			far += fabs(c.track.rate_ppb - c.rate) > 5 * c.track.rate_sigma_ppb;
		}
		if (far > 3)
			fail_msg("%d points: %d %% are beyond 5 sigmas", rounds[k], far);
	}
}

/* The claimed sigma is true: errors over many seeds against it. */
static void test_sigma_is_honest(void **state)
{
	double sum = 0;
	int far = 0, n = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		begin(10e3, 100e3, 50e3);
		c.rng = seed * 7919;
		for (int i = 0; i < 30; i++) {
			double z;

			burst(5, S);
			if (i < 3)
				continue;
			z = phase_error() / hypot(c.track.sigma_ns, c.track.rate_sigma_ppb * 0.95);
			sum += z * z;
			far += fabs(z) > 5;
			n++;
		}
	}
	print_message("phase error / sigma: %.2f rms, %d of %d beyond 5\n", sqrt(sum / n), far, n);
	assert_true(sqrt(sum / n) < 1.3);
	assert_true(far <= n / 500);
}

static void test_there_and_back(void **state)
{
	(void)state;
	begin(-100e3, 50e3, 1e3);
	burst(8, S);
	burst(8, S);
	for (int64_t t = -S; t <= S; t += 100 * MS) {
		int64_t raw = c.now + t;

		assert_true(llabs(track_local_raw(&c.track, track_peer_raw(&c.track, raw)) - raw) <= 1);
	}
}

static void test_nonsense(void **state)
{
	struct berk_sample good, bad;

	(void)state;
	begin(0, 50e3, 0);
	good = exchange();
	for (int i = 0; i < 9; i++) {
		bad = good;
		switch (i) {
		case 0: bad.src[2] = BERK_STAMP_NONE; break;
		case 1: bad.src[0] = 200; break;
		case 2: bad.t2.raw_ns = INT64_MIN; break;
		case 3: bad.t3.raw_ns = INT64_MAX; break;
		case 4: bad.t2.real_ns = INT64_MIN; break;
		case 5: bad.t3.real_ns = INT64_MAX; break;
		case 6: bad.t4.raw_ns = bad.t1.raw_ns - 1; break;
		case 7: bad.t3.raw_ns = bad.t2.raw_ns - 1; break;
		case 8: bad.t2.raw_ns -= 500000; break;	/* a round trip below 0 */
		}
		assert_int_equal(track_sample(&c.track, &bad), TRACK_DROPPED);
		assert_false(c.track.started);
	}
	assert_int_equal(track_sample(&c.track, &good), TRACK_TAKEN);
	assert_int_equal(track_sample(&c.track, &good), TRACK_DROPPED);	/* again */
	assert_int_equal(c.track.window.count, 1);
}

/* Any order of arrival, duplicates among them, gives the same estimate. */
static void test_order(void **state)
{
	struct berk_sample s[8];
	struct track other;

	(void)state;
	begin(3e3, 50e3, 10e3);
	for (int i = 0; i < 8; i++, c.now += 10 * MS)
		s[i] = exchange();
	track_init(&other);
	for (int i = 0; i < 8; i++) {
		track_sample(&c.track, &s[i]);
		track_sample(&other, &s[7 - i]);
		track_sample(&other, &s[7 - i]);
	}
	track_update(&c.track, c.now);
	track_update(&other, c.now);
	assert_true(llabs(track_peer_raw(&c.track, c.now) - track_peer_raw(&other, c.now)) <= 300);
	assert_int_equal(c.track.last.t3.raw_ns, other.last.t3.raw_ns);
}

static void test_reboot(void **state)
{
	struct berk_sample s;

	(void)state;
	begin(0, 50e3, 10e3);
	for (int i = 0; i < 20; i++)
		burst(8, S);
	/* one mad sample is dropped */
	s = exchange();
	s.t2.raw_ns -= 30 * S;
	s.t3.raw_ns -= 30 * S;
	assert_int_equal(track_sample(&c.track, &s), TRACK_DROPPED);
	assert_int_equal(c.track.window.count, 160);
	c.now += MS;
	s = exchange();
	assert_int_equal(track_sample(&c.track, &s), TRACK_TAKEN);
	/* two are believed */
	for (int i = 0; i < 2; i++) {
		c.now += MS;
		s = exchange();
		s.t2.raw_ns -= 30 * S;
		s.t3.raw_ns -= 30 * S;
		assert_int_equal(track_sample(&c.track, &s), i ? TRACK_RESTARTED : TRACK_DROPPED);
	}
	assert_false(c.track.ready);
	assert_true(track_update(&c.track, c.now));
	assert_true(llabs(track_peer_raw(&c.track, c.now) - (peer_raw(c.now) - 30 * S)) < 200000);
}

static void test_other_node(void **state)
{
	struct berk_sample s;

	(void)state;
	begin(0, 50e3, 10e3);
	burst(8, S);
	s = exchange();
	s.node_id = 6;
	assert_int_equal(track_sample(&c.track, &s), TRACK_RESTARTED);
	assert_int_equal(c.track.node_id, 6);
	assert_int_equal(c.track.window.count, 1);
}

static void test_soft_only(void **state)
{
	(void)state;
	begin(5e3, 50e3, 10e3);
	c.t1_src = c.t3_src = BERK_STAMP_SOFT;
	for (int i = 0; i < 20; i++)
		burst(8, S);
	assert_true(c.track.ready);
	assert_true(fabs(phase_error()) < 2e3);
}

static void test_soft_among_exact(void **state)
{
	struct berk_sample s;

	(void)state;
	begin(0, 50e3, 1e3);
	burst(8, S);
	c.t1_src = c.t3_src = BERK_STAMP_SOFT;
	s = exchange();
	assert_int_equal(track_sample(&c.track, &s), TRACK_TAKEN);
	assert_true(isinf(c.track.window.ring[8].u) && isinf(c.track.window.ring[8].v));
	/* until there have been no exact ones for long */
	c.now += 20 * S;
	s = exchange();
	assert_int_equal(track_sample(&c.track, &s), TRACK_TAKEN);
	assert_true(isfinite(c.track.window.ring[9].u) && isfinite(c.track.window.ring[9].v));
}

static void test_crystal_jump(void **state)
{
	int64_t at;

	(void)state;
	begin(0, 50e3, 10e3);
	for (int i = 0; i < 60; i++)
		burst(8, S);
	at = c.now;
	for (int i = 0; i < 30; i++) {
		/* the rate is relative to raw 1000 s: keep the phase continuous */
		double moved = (double)(c.now - at) * 20e3 * 1e-9;
		int64_t end = c.now + S;

		c.round++;
		for (int k = 0; k < 8; k++, c.now += 10 * MS) {
			struct berk_sample s = exchange();

			s.t2.raw_ns += llrint(moved + k * 0.01 * 20e3);
			s.t3.raw_ns += llrint(moved + k * 0.01 * 20e3);
			track_sample(&c.track, &s);
		}
		track_update(&c.track, c.now);
		c.now = end;
	}
	assert_float_equal(c.track.rate_ppb, 20e3, 200);
	assert_true(fabs(phase_error() - 30 * 20e3) < 2e3);
}

/*
 * One direction becomes longer, then both, then all is as before: no RAW clock
 * jumps, so the phase stays where it was.
 */
static void test_route_change(void **state)
{
	static const struct { double base, asymmetry; } path[] = {
		{ 50e3, 500e3 }, { 30e3, 20e3 }, { 250e3, -100e3 }, { 50e3, 15e3 }, { 50e3, 0 },
	};

	(void)state;
	begin(1e3, 50e3, 10e3);
	for (int i = 0; i < 60; i++)
		burst(8, S);
	for (int k = 0; k < 5; k++) {
		c.base = path[k].base;
		c.asymmetry = path[k].asymmetry;
		for (int i = 0; i < 30; i++) {
			burst(8, S);
			assert_true(i < 3 || fabs(phase_error()) < 3e3);
			assert_true(fabs(phase_error()) < c.track.bound_ns);
		}
		assert_float_equal(c.track.rate_ppb, 1e3, 200);
	}
	assert_float_equal(c.track.asymmetry_ns, 0, 0);
	assert_true(fabs(phase_error()) < 500);
}

/* A path that changes in the middle of a round, again and again: the phase stays. */
static void test_route_flaps(void **state)
{
	(void)state;
	begin(1e3, 30e3, 5e3);
	for (int i = 0; i < 60; i++)
		burst(8, S);
	for (int k = 0; k < 60; k++) {
		c.round++;
		for (int i = 0; i < 8; i++, c.now += 10 * MS) {
			struct berk_sample s;

			if (i == k % 8)
				c.asymmetry = k % 2 ? 0 : 100e3;
			s = exchange();
			track_sample(&c.track, &s);
		}
		track_update(&c.track, c.now);
		c.now += S;
		for (int i = 0; i < 40; i++)
			burst(8, S);
		assert_true(fabs(phase_error()) < 3e3);
	}
}

/*
 * Both directions change at once, to anything: that may look as if the clock had
 * jumped, and the phase is lost. But never is it further off than is said.
 */
static void test_any_route(void **state)
{
	double worst = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		begin(1e3, 30e3, 5e3);
		c.rng = seed * 7919;
		for (int k = 0; k < 40; k++) {
			for (int i = 0; i < 60; i++) {
				burst(8, S);
				if (i < 4)	/* not yet decided what it is */
					continue;
				assert_true(fabs(phase_error()) < c.track.bound_ns +
					    5 * (c.track.sigma_ns + c.track.rate_sigma_ppb));
				assert_true(fabs(c.track.asymmetry_ns) < 210e3);
				worst = fmax(worst, fabs(phase_error()));
			}
			c.base = 30e3 + floor(uniform() * 5) * 40e3;
			c.asymmetry = 30e3 + floor(uniform() * 5) * 40e3 - c.base;
		}
	}
	print_message("any routes: phase off by %.0f us at worst\n", worst * 1e-3);
}

/* A burst of slow packets says nothing of the path, and moves nothing. */
static void test_congestion(void **state)
{
	(void)state;
	begin(1e3, 50e3, 10e3);
	for (int i = 0; i < 60; i++)
		burst(8, S);
	c.base = 100e3;
	c.jitter = 500e3;
	for (int i = 0; i < 8; i++) {
		burst(8, S);
		assert_true(fabs(phase_error()) < 1e3);
	}
	c.base = 50e3;
	c.jitter = 10e3;
	burst(8, S);
	assert_true(fabs(phase_error()) < 1e3);
	assert_float_equal(c.track.asymmetry_ns, 0, 0);
}

/*
 * Random stamps of before leave exchanges that look well, each for itself, but that no
 * phase at all explains together.
 */
static void test_stamps_were_random(void **state)
{
	(void)state;
	begin(20e3, 50e3, 10e3);
	for (int i = 0; i < 100; i++) {
		struct berk_sample s = exchange();

		s.round = ++c.round;
		if (i < 60) {
			s.t1.raw_ns += llrint((uniform() - 0.5) * 4e6);
			s.t4.raw_ns += llrint((uniform() - 0.5) * 4e6);
		}
		track_sample(&c.track, &s);
		track_update(&c.track, c.now + 10 * MS);
		c.now += S;
	}
	for (int i = 0; i < 3; i++) {
		burst(8, S / 4);
		assert_true(fabs(phase_error()) < 5 * c.track.sigma_ns);
		assert_true(c.track.sigma_ns < 5e3);
	}
	assert_true(c.track.delay_ns > 90e3 && c.track.delay_ns < 130e3);
}

static void test_silence(void **state)
{
	double sigma;

	(void)state;
	begin(0, 50e3, 10e3);
	for (int i = 0; i < 60; i++)
		burst(8, S);
	sigma = c.track.sigma_ns;
	c.now += 600 * S;
	assert_true(track_update(&c.track, c.now));
	assert_true(c.track.sigma_ns > 5 * sigma);
	assert_true(fabs(phase_error()) < 5 * c.track.sigma_ns);
}

/* Old samples, from before the daemon was started anew, give the rate at once. */
static void test_warm_start(void **state)
{
	(void)state;
	begin(90e3, 50e3, 10e3);
	for (int i = 0; i < 30; i++, c.now += S) {
		struct berk_sample s = exchange();

		track_sample(&c.track, &s);
	}
	assert_false(c.track.ready);
	burst(5, S);
	assert_float_equal(c.track.rate_ppb, 90e3, 1000);
	assert_true(fabs(phase_error()) < 5 * hypot(c.track.sigma_ns, c.track.rate_sigma_ppb));
	assert_true(fabs(phase_error()) < 10e3);
}

/* Among them may be some from before a reboot of the peer. */
static void test_reboot_unseen(void **state)
{
	struct berk_sample s;
	int restarted = 0;

	(void)state;
	begin(0, 50e3, 10e3);
	for (int i = 0; i < 20; i++, c.now += S) {
		s = exchange();
		if (i < 10) {
			s.t2.raw_ns += 3600 * S;
			s.t3.raw_ns += 3600 * S;
		}
		restarted += track_sample(&c.track, &s) == TRACK_RESTARTED;
	}
	burst(5, S);
	assert_int_equal(restarted, 1);
	assert_true(fabs(phase_error()) < 10e3);
}

static void test_ref(void **state)
{
	struct track_ref ref;
	struct berk_sample s;

	(void)state;
	begin(50e3, 50e3, 10e3);
	c.real_slope = -400e3;
	assert_false(track_ref(&c.track, &ref));
	for (int i = 0; i < 30; i++)
		burst(8, S);
	assert_true(track_ref(&c.track, &ref));
	assert_float_equal(ref.peer_slope_ppb, -400e3, 100);
	assert_float_equal(ref.local_slope_ppb, 0, 100);
	assert_true(llabs(peer_raw(ref.local.raw_ns) - ref.peer.raw_ns) < 2000);
	assert_true(llabs(ref.local.real_ns - EPOCH - ref.local.raw_ns) <= 1);

	/* a single sample of a round takes the slope from the round before */
	c.round++;
	c.now += S;
	s = exchange();
	assert_int_equal(track_sample(&c.track, &s), TRACK_TAKEN);
	assert_true(track_ref(&c.track, &ref));
	assert_float_equal(ref.peer_slope_ppb, -400e3, 100);

	/* a sample in which a clock was set is no reference, but a measurement */
	c.now += 10 * MS;
	s = exchange();
	s.flags = BERK_SAMPLE_PEER_STEP;
	assert_int_equal(track_sample(&c.track, &s), TRACK_TAKEN);
	assert_true(c.track.last.t3.raw_ns < s.t3.raw_ns);
	/* nor does a slope reach across one */
	c.now += 10 * MS;
	s = exchange();
	s.peer_set_seq = 1;
	s.t3.real_ns += 5 * S;
	s.t2.real_ns += 5 * S;
	assert_int_equal(track_sample(&c.track, &s), TRACK_TAKEN);
	assert_true(track_ref(&c.track, &ref));
	assert_int_equal(ref.peer.real_ns, s.t3.real_ns);
	assert_float_equal(ref.peer_slope_ppb, 0, 0);
}

/* More than the ring holds, for days. */
static void test_long(void **state)
{
	(void)state;
	begin(100e3, 50e3, 10e3);
	for (int i = 0; i < 3000; i++)
		burst(64, 64 * S);
	assert_true(fabs(phase_error()) < 64 * 1000);
	assert_float_equal(c.track.rate_ppb, 100e3, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_burst),
		cmocka_unit_test(test_converges),
		cmocka_unit_test(test_few_points_are_honest),
		cmocka_unit_test(test_sigma_is_honest),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_reboot),
		cmocka_unit_test(test_other_node),
		cmocka_unit_test(test_soft_only),
		cmocka_unit_test(test_soft_among_exact),
		cmocka_unit_test(test_crystal_jump),
		cmocka_unit_test(test_route_change),
		cmocka_unit_test(test_route_flaps),
		cmocka_unit_test(test_any_route),
		cmocka_unit_test(test_congestion),
		cmocka_unit_test(test_stamps_were_random),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_warm_start),
		cmocka_unit_test(test_reboot_unseen),
		cmocka_unit_test(test_ref),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
