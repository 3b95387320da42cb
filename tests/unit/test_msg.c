// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "msg.c"

static const struct msg correct = {
	.type = MSG_CORRECT,
	.correct = {
		.term = 0x01020304, .round = 0x05060708, .members = 5,
		.rate_known = true, .may_step = true, .anew = true, .want_ack = true,
		.ref_raw_ns = 123456789012345, .ref_real_ns = 1700000000123456789,
		.offset_ns = -5000000001, .freq_ppb = -50123.456,
		.sigma_ns = 321, .bound_ns = 60000, .rate_sigma_ppb = 1.25,
		.interval_ns = 1000000000,
	},
};

static const struct msg ack = {
	.type = MSG_ACK,
	.ack = {
		.term = 7, .round = 8, .status = MSG_STALE, .current_term = 9,
		.current_round = 10, .pending_ns = -11, .freq_ppb = 12.345,
	},
};

static void test_round_trip(void **state)
{
	unsigned char buf[MSG_MAX];
	struct msg got;

	(void)state;
	assert_int_equal(msg_encode(&correct, buf), 80);
	assert_int_equal(msg_decode(&got, buf, 80), 0);
	assert_int_equal(got.type, MSG_CORRECT);
	assert_int_equal(got.correct.term, 0x01020304);
	assert_int_equal(got.correct.round, 0x05060708);
	assert_int_equal(got.correct.members, 5);
	assert_true(got.correct.rate_known && got.correct.may_step);
	assert_true(got.correct.anew && got.correct.want_ack);
	assert_true(got.correct.ref_raw_ns == 123456789012345);
	assert_true(got.correct.ref_real_ns == 1700000000123456789);
	assert_true(got.correct.offset_ns == -5000000001);
	assert_float_equal(got.correct.freq_ppb, -50123.456, 1e-9);
	assert_true(got.correct.sigma_ns == 321 && got.correct.bound_ns == 60000);
	assert_float_equal(got.correct.rate_sigma_ppb, 1.25, 1e-9);
	assert_true(got.correct.interval_ns == 1000000000);

	assert_int_equal(msg_encode(&ack, buf), 40);
	assert_int_equal(msg_decode(&got, buf, 40), 0);
	assert_int_equal(got.type, MSG_ACK);
	assert_int_equal(got.ack.term, 7);
	assert_int_equal(got.ack.round, 8);
	assert_int_equal(got.ack.status, MSG_STALE);
	assert_int_equal(got.ack.current_term, 9);
	assert_int_equal(got.ack.current_round, 10);
	assert_true(got.ack.pending_ns == -11);
	assert_float_equal(got.ack.freq_ppb, 12.345, 1e-9);
}

static void test_bytes(void **state)
{
	static const unsigned char head[] = { 1, 1, 0, 15, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 5 };
	unsigned char buf[MSG_MAX];

	(void)state;
	msg_encode(&correct, buf);
	assert_memory_equal(buf, head, sizeof(head));
}

static void test_lengths(void **state)
{
	unsigned char buf[MSG_MAX + 1] = { 0 };
	struct msg got;

	(void)state;
	msg_encode(&correct, buf);
	for (size_t len = 0; len <= sizeof(buf); len++)
		assert_int_equal(msg_decode(&got, buf, len), len == 80 ? 0 : -EBADMSG);
	msg_encode(&ack, buf);
	for (size_t len = 0; len <= sizeof(buf); len++)
		assert_int_equal(msg_decode(&got, buf, len), len == 40 ? 0 : -EBADMSG);
}

/* Encodes msg, puts a value at a place, and decodes. */
static int decode_with(const struct msg *msg, size_t at, int64_t value)
{
	unsigned char buf[MSG_MAX];
	size_t len = msg_encode(msg, buf);
	struct msg got;

	put64(buf + at, value);
	return msg_decode(&got, buf, len);
}

static void test_ranges(void **state)
{
	static const size_t times[] = { 16, 24 }, positive[] = { 48, 56, 64 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(decode_with(&correct, times[i], 0), 0);
		assert_int_equal(decode_with(&correct, times[i], -1), -EBADMSG);
		assert_int_equal(decode_with(&correct, times[i], INT64_MAX), -EBADMSG);
	}
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(decode_with(&correct, positive[i], -1), -EBADMSG);
		assert_int_equal(decode_with(&correct, positive[i], INT64_MAX), -EBADMSG);
	}
	assert_int_equal(decode_with(&correct, 32, INT64_MIN), -EBADMSG);
	assert_int_equal(decode_with(&correct, 40, INT64_C(1000000001)), -EBADMSG);
	assert_int_equal(decode_with(&correct, 40, -INT64_C(1000000001)), -EBADMSG);
	assert_int_equal(decode_with(&correct, 72, 0), -EBADMSG);
	assert_int_equal(decode_with(&correct, 72, INT64_MAX), -EBADMSG);
	assert_int_equal(decode_with(&ack, 24, INT64_MIN), -EBADMSG);
	assert_int_equal(decode_with(&ack, 32, INT64_MAX), -EBADMSG);
}

static void test_head(void **state)
{
	unsigned char buf[MSG_MAX];
	struct msg got;

	(void)state;
	msg_encode(&correct, buf);
	buf[0] = 2;
	assert_int_equal(msg_decode(&got, buf, 80), -EPROTONOSUPPORT);
	msg_encode(&correct, buf);
	buf[1] = 3;
	assert_int_equal(msg_decode(&got, buf, 80), -EBADMSG);
	msg_encode(&correct, buf);
	buf[3] |= 16;	/* an unknown flag */
	assert_int_equal(msg_decode(&got, buf, 80), -EBADMSG);
	msg_encode(&correct, buf);
	put32(buf + 12, 0);	/* no members */
	assert_int_equal(msg_decode(&got, buf, 80), -EBADMSG);
	msg_encode(&ack, buf);
	buf[3] = MSG_REFUSED + 1;
	assert_int_equal(msg_decode(&got, buf, 40), -EBADMSG);
	msg_encode(&ack, buf);
	buf[20] = 1;	/* reserved */
	assert_int_equal(msg_decode(&got, buf, 40), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
