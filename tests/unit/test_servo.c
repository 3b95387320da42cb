// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "servo.c"

#define S 1000000000LL
#define EPOCH 1700000000000000000LL

/* A clock with a bias that nobody told the servo. */
static struct {
	struct servo servo;
	int64_t raw;
	double ahead, bias, freq;	/* ns, ppb, ppb */
	double noise;
	uint64_t rng;
	double fastest, slowest;	/* ppb, total */
	int64_t stepped, foreign;
	double foreign_freq;
	int turns;
} c;

static double noise_now(void)
{
	double sum = 0;

	for (int i = 0; i < 12; i++) {
		c.rng = c.rng * 6364136223846793005ULL + 1442695040888963407ULL;
		sum += (double)(c.rng >> 11) / 9007199254740992.0;
	}
	return (sum - 6) * c.noise;
}

static void begin(double freq, double bias)
{
	static const struct servo_conf conf = {
		.step_threshold_ns = 1000000, .max_rate_ppb = 500e3,
	};

	c = (typeof(c)){ .raw = 1000 * S, .bias = bias, .freq = freq, .rng = 7, .noise = 50 };
	servo_init(&c.servo, &conf, freq);
}

/* Ahead of the line EPOCH + (raw - 1000 s) * (1 + slope). */
static double ahead_of(double slope)
{
	return c.ahead - (double)(c.raw - 1000 * S) * slope * 1e-9;
}

static void turn(void)
{
	int64_t real = EPOCH + (c.raw - 1000 * S) + llrint(c.ahead + noise_now());
	struct servo_cmd cmd = servo_run(&c.servo, c.raw, real);
	int64_t dt = cmd.next_raw_ns - c.raw;
	double rate;

	assert_true(dt > 0 && dt <= S / 4);
	c.ahead += (double)cmd.step_ns;
	c.stepped += cmd.step_ns;
	c.foreign += cmd.foreign_step_ns;
	if (cmd.foreign_freq_ppb != 0)
		c.foreign_freq = cmd.foreign_freq_ppb;
	c.freq = cmd.freq_ppb;
	rate = c.freq + c.bias;
	c.fastest = fmax(c.fastest, c.freq);
	c.slowest = fmin(c.slowest, c.freq);
	c.ahead += rate * (double)dt * 1e-9;
	c.raw += dt;
	c.turns++;
}

static void run(int64_t ns)
{
	int64_t end = c.raw + ns;

	while (c.raw < end)
		turn();
}

static void line(double slope, int64_t interval)
{
	servo_set_line(&c.servo, 1000 * S, EPOCH, slope, true, interval, false);
}

static void test_steps_at_start(void **state)
{
	(void)state;
	begin(0, 0);
	c.ahead = 3e9;
	line(20e3, S);
	turn();
	/* first it shows by how much the clock is wrong */
	assert_int_equal(c.stepped, 0);
	assert_float_equal(servo_pending(&c.servo, c.raw), 3e9, 1e6);
	turn();
	assert_true(c.stepped < -2999999000 && c.stepped > -3000001000);
	run(5 * S);
	assert_float_equal(ahead_of(20e3), 0, 200);
	assert_float_equal(c.freq, 20e3, 500);
}

/* The first measurement may be a poor one. */
static void test_steps_again(void **state)
{
	(void)state;
	begin(0, 0);
	c.ahead = 3e9;
	line(0, S);
	turn();
	turn();
	c.stepped = 0;
	servo_set_line(&c.servo, 1000 * S, EPOCH + 10000000, 0, true, S, false);
	turn();
	turn();
	assert_float_equal(c.stepped, 10e6, 3e3);
	line(0, S);
	line(0, S);
	c.stepped = 0;
	turn();
	turn();
	assert_int_equal(c.stepped, 0);
}

static void test_slews_later(void **state)
{
	(void)state;
	begin(0, 0);
	for (int i = 0; i < STEPS; i++)
		line(0, S);
	run(5 * S);
	c.stepped = 0;
	c.fastest = c.slowest = 0;
	servo_set_line(&c.servo, 1000 * S, EPOCH + 10000000, 0, true, S, false);
	run(10 * S);
	assert_int_equal(c.stepped, 0);
	assert_float_equal(c.fastest, 500e3, 1);
	assert_true(c.slowest >= -1000);	/* no overshoot worth the name */
	run(20 * S);
	assert_float_equal(c.ahead, 10e6, 200);
}

static void test_small_is_slewed_at_start(void **state)
{
	(void)state;
	begin(0, 0);
	c.ahead = -900e3;
	line(0, S);
	run(5 * S);
	assert_int_equal(c.stepped, 0);
	assert_float_equal(c.ahead, 0, 200);
}

/* A tick that is not nominal: 80 ppm that no command explains. */
static void test_learns_bias(void **state)
{
	(void)state;
	begin(0, 80e3);
	line(-30e3, S);
	run(30 * S);
	assert_float_equal(ahead_of(-30e3), 0, 100);
	assert_float_equal(servo_base_ppb(&c.servo), -110e3, 50);
	assert_true(fabs(servo_pending(&c.servo, c.raw)) < 200);
}

static void test_rate_unknown(void **state)
{
	(void)state;
	begin(12e3, 0);
	servo_set_line(&c.servo, 1000 * S, EPOCH, 99e3, false, S, false);
	run(5 * S);
	assert_float_equal(servo_base_ppb(&c.servo), 12e3, 200);
}

static void test_foreign_step(void **state)
{
	(void)state;
	begin(0, 0);
	line(0, S);
	run(10 * S);
	c.stepped = 0;
	c.ahead += 2e9;
	run(S);
	assert_true(c.foreign > 1999990000 && c.foreign < 2000010000);
	assert_true(c.stepped < -1999990000);
	run(3 * S);
	assert_float_equal(c.ahead, 0, 300);
}

/* Preempted between reading the two clocks, once. */
static void test_bad_reading(void **state)
{
	(void)state;
	begin(0, 0);
	line(0, S);
	run(10 * S);
	c.stepped = 0;
	c.ahead += 5e6;
	turn();
	c.ahead -= 5e6;
	run(S);
	assert_int_equal(c.foreign, 0);
	assert_int_equal(c.stepped, 0);
	assert_float_equal(c.ahead, 0, 300);
}

static void test_foreign_frequency(void **state)
{
	(void)state;
	begin(0, 0);
	line(0, S);
	run(20 * S);
	c.bias += 100e3;	/* as if somebody else had set it */
	run(10 * S);
	assert_float_equal(c.foreign_freq, 100e3, 5e3);
	run(20 * S);
	assert_float_equal(c.ahead, 0, 300);
	assert_int_equal(c.foreign, 0);
}

static void test_limit(void **state)
{
	(void)state;
	begin(0, 0);
	c.servo.conf.max_rate_ppb = 100e3;
	line(50e3, S);
	run(2 * S);
	servo_set_line(&c.servo, 1000 * S, EPOCH + 900000, 50e3, true, S, false);
	run(30 * S);
	assert_true(c.fastest <= 100e3 && c.slowest >= -100e3);
	assert_float_equal(ahead_of(50e3), 900e3, 300);
}

static void test_quiet(void **state)
{
	double sum = 0;
	int n = 0;

	(void)state;
	begin(0, 5e3);
	line(7e3, S);
	run(60 * S);
	for (; n < 1000; n++) {
		turn();
		sum += ahead_of(7e3) * ahead_of(7e3);
	}
	print_message("steady state: %.1f ns rms with readings of 50 ns rms\n", sqrt(sum / n));
	assert_true(sqrt(sum / n) < 30);
}

static void test_intervals(void **state)
{
	static const int64_t interval[] = { 62500000, S, 64 * S };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		begin(0, 0);
		line(0, interval[i]);
		run(5 * S);
		servo_set_line(&c.servo, 1000 * S, EPOCH + 5000, 0, true, interval[i], false);
		run(60 * S);
		assert_float_equal(c.ahead, 5000, 200);
	}
}

static void test_no_line(void **state)
{
	(void)state;
	begin(33e3, 0);
	run(3 * S);
	assert_float_equal(c.freq, 33e3, 0);
	assert_int_equal(c.stepped, 0);
	assert_float_equal(servo_pending(&c.servo, c.raw), 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps_at_start),
		cmocka_unit_test(test_steps_again),
		cmocka_unit_test(test_slews_later),
		cmocka_unit_test(test_small_is_slewed_at_start),
		cmocka_unit_test(test_learns_bias),
		cmocka_unit_test(test_rate_unknown),
		cmocka_unit_test(test_foreign_step),
		cmocka_unit_test(test_bad_reading),
		cmocka_unit_test(test_foreign_frequency),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
