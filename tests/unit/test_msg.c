// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "msg.c"

/* --- random messages, the same in every run */

static uint64_t random_state = 1;

static uint64_t draw(void)
{
	random_state = random_state * 6364136223846793005 + 1442695040888963407;
	return random_state ^ random_state >> 29;
}

static int64_t draw_within(int64_t min, int64_t max)
{
	return min + (int64_t)(draw() % (uint64_t)(max - min + 1));
}

/* As it comes back: whole 1e-3 ppb. */
static double draw_ppb(int64_t min)
{
	return (double)draw_within(min, FREQ_MAX) * 1e-3;
}

static bool draw_bit(void)
{
	return draw() >> 40 & 1;
}

static void draw_addr(union node_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	if (draw_bit()) {
		addr->in.sin_family = AF_INET;
		addr->in.sin_port = htons(draw_within(1, UINT16_MAX));
		addr->in.sin_addr.s_addr = htonl(draw_within(1, 0xdfffffff));
	} else {
		addr->in6.sin6_family = AF_INET6;
		addr->in6.sin6_port = htons(draw_within(1, UINT16_MAX));
		for (int i = 0; i < 16; i++)
			addr->in6.sin6_addr.s6_addr[i] = draw() >> 32;
		addr->in6.sin6_addr.s6_addr[0] &= 0x7f;
	}
}

static void draw_correct(struct msg_correct *c)
{
	*c = (struct msg_correct){
		.term = draw(), .round = draw(), .members = draw_within(1, UINT32_MAX),
		.rate_known = draw_bit(), .may_step = draw_bit(), .anew = draw_bit(),
		.want_ack = draw_bit(), .steered = draw_bit(),
		.ref_raw_ns = draw_within(0, TIME_MAX), .ref_real_ns = draw_within(0, TIME_MAX),
		.offset_ns = draw_within(-OFFSET_MAX, OFFSET_MAX), .freq_ppb = draw_ppb(-FREQ_MAX),
		.sigma_ns = draw_within(0, OFFSET_MAX), .bound_ns = draw_within(0, OFFSET_MAX),
		.rate_sigma_ppb = draw_ppb(0),
		.interval_ns = draw_within(INTERVAL_MIN, INTERVAL_MAX) * 1000,
		.rank = draw(), .n_told = draw_within(0, MSG_TOLD),
	};
	for (unsigned int i = 0; i < c->n_told; i++) {
		c->told[i].node_id = draw() | 1;
		draw_addr(&c->told[i].addr);
	}
}

static void draw_ack(struct msg_ack *a)
{
	*a = (struct msg_ack){
		.term = draw(), .round = draw(), .status = draw_within(0, MSG_REFUSED),
		.current_term = draw(), .current_round = draw(),
		.pending_ns = draw_within(-OFFSET_MAX, OFFSET_MAX),
		.freq_ppb = draw_ppb(-FREQ_MAX),
	};
}

static void draw_hello(struct msg_hello *h)
{
	*h = (struct msg_hello){
		.kind = draw_within(0, MSG_RESIGN), .eligible = draw_bit(), .master = draw_bit(),
		.reference = draw_bit(), .report = draw_bit(), .synced = draw_bit(),
		.priority = draw(), .term = draw(), .claimed = draw(), .size = draw(),
		.instance = draw() | 1, .master_id = draw(), .successor_id = draw(),
		.origin = draw(),
	};
	if (draw_bit())
		draw_addr(&h->master_addr);
}

static struct berk_stamp draw_stamp(void)
{
	return (struct berk_stamp){ .real_ns = (int64_t)draw(), .raw_ns = (int64_t)draw() };
}

static void draw_report(struct msg_report *r)
{
	*r = (struct msg_report){
		.term = draw(), .round = draw(), .n = draw_within(1, MSG_SAMPLES),
	};
	for (unsigned int i = 0; i < r->n; i++) {
		r->sample[i] = (struct berk_sample){
			.t1 = draw_stamp(), .t2 = draw_stamp(), .t3 = draw_stamp(),
			.t4 = draw_stamp(), .local_set_seq = draw(), .peer_set_seq = draw(),
			.round = draw(), .flags = draw_within(0, 3),
		};
		for (int j = 0; j < 4; j++)
			r->sample[i].src[j] = draw_within(0, BERK_STAMP_SOFT);
	}
}

static void draw_msg(struct msg *msg, enum msg_type type)
{
	memset(msg, 0, sizeof(*msg));
	msg->type = type;
	switch (type) {
	case MSG_CORRECT:
		draw_correct(&msg->correct);
		break;
	case MSG_ACK:
		draw_ack(&msg->ack);
		break;
	case MSG_HELLO:
		draw_hello(&msg->hello);
		break;
	case MSG_REPORT:
		draw_report(&msg->report);
		break;
	}
}

/* --- what comes back is what was sent */

static void assert_correct(const struct msg_correct *a, const struct msg_correct *b)
{
	struct msg_correct c = *b;

	assert_float_equal(a->freq_ppb, b->freq_ppb, 1e-6);
	assert_float_equal(a->rate_sigma_ppb, b->rate_sigma_ppb, 1e-6);
	c.freq_ppb = a->freq_ppb;
	c.rate_sigma_ppb = a->rate_sigma_ppb;
	assert_true(a->rate_known == c.rate_known && a->may_step == c.may_step);
	assert_true(a->anew == c.anew && a->want_ack == c.want_ack && a->steered == c.steered);
	assert_memory_equal(&a->ref_raw_ns, &c.ref_raw_ns,
			    offsetof(struct msg_correct, rank) -
			    offsetof(struct msg_correct, ref_raw_ns));
	assert_true(a->term == c.term && a->round == c.round && a->members == c.members);
	assert_int_equal(a->rank, c.rank);
	assert_int_equal(a->n_told, c.n_told);
	for (unsigned int i = 0; i < a->n_told; i++) {
		assert_true(a->told[i].node_id == c.told[i].node_id);
		assert_memory_equal(&a->told[i].addr, &c.told[i].addr, sizeof(a->told[i].addr));
	}
}

static void assert_ack(const struct msg_ack *a, const struct msg_ack *b)
{
	assert_true(a->term == b->term && a->round == b->round && a->status == b->status);
	assert_true(a->current_term == b->current_term && a->current_round == b->current_round);
	assert_true(a->pending_ns == b->pending_ns);
	assert_float_equal(a->freq_ppb, b->freq_ppb, 1e-6);
}

static void assert_hello(const struct msg_hello *a, const struct msg_hello *b)
{
	assert_true(a->kind == b->kind && a->eligible == b->eligible && a->master == b->master);
	assert_true(a->reference == b->reference && a->report == b->report);
	assert_true(a->synced == b->synced && a->priority == b->priority);
	assert_true(a->term == b->term && a->claimed == b->claimed && a->size == b->size);
	assert_true(a->instance == b->instance && a->master_id == b->master_id);
	assert_true(a->successor_id == b->successor_id && a->origin == b->origin);
	assert_memory_equal(&a->master_addr, &b->master_addr, sizeof(a->master_addr));
}

static void assert_report(const struct msg_report *a, const struct msg_report *b)
{
	assert_true(a->term == b->term && a->round == b->round);
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->sample, b->sample, a->n * sizeof(a->sample[0]));
}

static void test_round_trip(void **state)
{
	unsigned char buf[MSG_MAX], again[MSG_MAX];
	struct msg msg, got;
	size_t len;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		draw_msg(&msg, MSG_CORRECT + i % 4);
		memset(buf, 0xff, sizeof(buf));	/* all bytes are written */
		len = msg_encode(&msg, buf);
		assert_true(len <= MSG_MAX);
		memset(&got, 0xa5, sizeof(got));
		assert_int_equal(msg_decode(&got, buf, len), 0);
		assert_int_equal(got.type, msg.type);
		if (msg.type == MSG_CORRECT)
			assert_correct(&got.correct, &msg.correct);
		else if (msg.type == MSG_ACK)
			assert_ack(&got.ack, &msg.ack);
		else if (msg.type == MSG_HELLO)
			assert_hello(&got.hello, &msg.hello);
		else
			assert_report(&got.report, &msg.report);
		memset(again, 0, sizeof(again));
		assert_int_equal(msg_encode(&got, again), len);
		assert_memory_equal(again, buf, len);
	}
}

/* In its own allocation, so that the sanitizer sees a byte too many being read. */
static int decode_copy(struct msg *msg, const unsigned char *buf, size_t len)
{
	unsigned char *copy = malloc(len + !len);
	int err;

	memcpy(copy, buf, len);
	err = msg_decode(msg, copy, len);
	free(copy);
	return err;
}

static void test_lengths(void **state)
{
	unsigned char buf[MSG_MAX + 1];
	struct msg msg, got;
	size_t full;

	(void)state;
	for (int i = 0; i < 16; i++) {
		memset(buf, 0, sizeof(buf));
		draw_msg(&msg, MSG_CORRECT + i % 4);
		full = msg_encode(&msg, buf);
		for (size_t len = 0; len <= sizeof(buf); len++)
			assert_int_equal(decode_copy(&got, buf, len), len == full ? 0 : -EBADMSG);
	}
}

/* Whatever is accepted is canonical: it encodes to the same bytes. */
static void check_damaged(const unsigned char *buf, size_t len)
{
	unsigned char again[MSG_MAX];
	struct msg got;
	int err = decode_copy(&got, buf, len);

	assert_true(err == 0 || err == -EBADMSG || (err == -EPROTONOSUPPORT && buf[0] != 2));
	if (err)
		return;
	assert_int_equal(msg_encode(&got, again), len);
	assert_memory_equal(again, buf, len);
}

static void test_damaged(void **state)
{
	unsigned char buf[MSG_MAX];
	struct msg msg;
	size_t len;

	(void)state;
	for (int i = 0; i < 40; i++) {
		draw_msg(&msg, MSG_CORRECT + i % 4);
		len = msg_encode(&msg, buf);
		for (size_t at = 0; at < len; at++) {
			unsigned char good = buf[at];

			for (int bit = 0; bit < 8; bit++) {
				buf[at] = good ^ 1 << bit;
				check_damaged(buf, len);
			}
			buf[at] = draw() >> 32;
			check_damaged(buf, len);
			buf[at] = good;
		}
	}
}

static void test_noise(void **state)
{
	unsigned char buf[MSG_MAX];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t len = draw_within(0, 200);

		for (size_t at = 0; at < len; at++)
			buf[at] = draw() >> 32;
		if (len > 2 && draw_bit()) {
			buf[0] = MSG_VERSION;
			buf[1] = draw_within(1, 4);
		}
		check_damaged(buf, len);
	}
}

/* --- the layout, and every limit of it */

static const struct msg correct = {
	.type = MSG_CORRECT,
	.correct = {
		.term = 0x01020304, .round = 0x05060708, .members = 5,
		.rate_known = true, .may_step = true, .anew = true, .want_ack = true,
		.ref_raw_ns = 123456789012345, .ref_real_ns = 1700000000123456789,
		.offset_ns = -5000000001, .freq_ppb = -50123.456,
		.sigma_ns = 321, .bound_ns = 60000, .rate_sigma_ppb = 1.25,
		.interval_ns = 1000000000, .rank = 7, .origin = 0x0e0f, .n_told = 2,
		.told = {
			{ 0x0a0b, { .in = { .sin_family = AF_INET } } },
			{ 0x0c0d, { .in6 = { .sin6_family = AF_INET6, .sin6_scope_id = 3 } } },
		},
	},
};

static const struct msg ack = {
	.type = MSG_ACK,
	.ack = {
		.term = 7, .round = 8, .status = MSG_STALE, .current_term = 9,
		.current_round = 10, .pending_ns = -11, .freq_ppb = 12.345,
	},
};

static const struct msg hello = {
	.type = MSG_HELLO,
	.hello = {
		.kind = MSG_CLAIM, .eligible = true, .synced = true, .priority = 100,
		.term = 1, .claimed = 2, .size = 3, .instance = 4, .master_id = 5,
		.successor_id = 6, .origin = 7,
	},
};

static const struct msg report = {
	.type = MSG_REPORT,
	.report = { .term = 1, .round = 2, .n = 1 },
};

static struct msg correct_told(void)
{
	struct msg msg = correct;

	msg.correct.told[0].addr.in.sin_port = htons(5525);
	msg.correct.told[0].addr.in.sin_addr.s_addr = htonl(0xc0000201);
	msg.correct.told[1].addr.in6.sin6_port = htons(5525);
	msg.correct.told[1].addr.in6.sin6_addr.s6_addr[0] = 0xfe;
	msg.correct.told[1].addr.in6.sin6_addr.s6_addr[1] = 0x80;
	msg.correct.told[1].addr.in6.sin6_addr.s6_addr[15] = 9;
	return msg;
}

static void test_bytes_correct(void **state)
{
	static const unsigned char head[] = { 2, 1, 0, 15, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 5 };
	static const unsigned char tail[] = {
		0, 15, 0x42, 0x40, 7, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x0e, 0x0f,
		0, 0, 0, 0, 0, 0, 0x0a, 0x0b, 0, 4, 0x15, 0x95, 0, 0, 0, 0,
		192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0x0c, 0x0d, 0, 6, 0x15, 0x95, 0, 0, 0, 0,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
	};
	struct msg msg = correct_told(), got;
	unsigned char buf[MSG_MAX];

	(void)state;
	assert_int_equal(msg_encode(&msg, buf), 88 + 64);
	assert_memory_equal(buf, head, sizeof(head));
	assert_memory_equal(buf + 72, tail, sizeof(tail));
	assert_int_equal(msg_decode(&got, buf, 88 + 64), 0);
	assert_int_equal(got.correct.told[1].addr.in6.sin6_scope_id, 0);	/* was 3 here */
	assert_int_equal(got.correct.origin, 0x0e0f);
	assert_float_equal(got.correct.freq_ppb, -50123.456, 1e-9);
}

static void test_bytes_hello(void **state)
{
	static const unsigned char want[80] = {
		2, 3, 0, 0x11, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, [23] = 4, [31] = 5, [39] = 6,
		[40] = MSG_CLAIM, [41] = 100, [79] = 7,
	};
	unsigned char buf[MSG_MAX];

	(void)state;
	assert_int_equal(msg_encode(&hello, buf), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

/* Encodes msg, puts a value of some bytes at a place, and decodes. */
static int decode_with(const struct msg *msg, size_t at, int64_t value, int bytes)
{
	unsigned char buf[MSG_MAX];
	size_t len = msg_encode(msg, buf);
	struct msg got;

	for (int i = 0; i < bytes; i++)
		buf[at + i] = (uint64_t)value >> 8 * (bytes - 1 - i);
	return msg_decode(&got, buf, len);
}

static void test_ranges(void **state)
{
	static const struct {
		const struct msg *msg;
		size_t at;
		int bytes;
		int64_t min, max;
	} fields[] = {
		{ &correct, 12, 4, 1, UINT32_MAX },
		{ &correct, 16, 8, 0, INT64_C(1) << 62 },
		{ &correct, 24, 8, 0, INT64_C(1) << 62 },
		{ &correct, 32, 8, -(INT64_C(1) << 61), INT64_C(1) << 61 },
		{ &correct, 40, 8, -1000000000, 1000000000 },
		{ &correct, 48, 8, 0, INT64_C(1) << 61 },
		{ &correct, 56, 8, 0, INT64_C(1) << 61 },
		{ &correct, 64, 8, 0, 1000000000 },
		{ &correct, 72, 4, 1000, 1000000000 },
		{ &correct, 78, 2, 0, 0 },
		{ &ack, 2, 2, 0, MSG_REFUSED },
		{ &ack, 20, 4, 0, 0 },
		{ &ack, 24, 8, -(INT64_C(1) << 61), INT64_C(1) << 61 },
		{ &ack, 32, 8, -1000000000, 1000000000 },
		{ &hello, 2, 2, 0, 31 },
		{ &hello, 16, 8, 1, INT64_MAX },
		{ &hello, 40, 1, 0, MSG_RESIGN },
		{ &hello, 42, 2, 0, 0 },
		{ &hello, 44, 4, 0, 0 },
		{ &report, 2, 2, 0, 0 },
		{ &report, 12, 2, 1, 1 },
		{ &report, 14, 2, 0, 0 },
		{ &report, 16 + 76, 1, 0, 3 },
		{ &report, 16 + 77, 1, 0, BERK_STAMP_SOFT },
		{ &report, 16 + 80, 1, 0, BERK_STAMP_SOFT },
		{ &report, 16 + 81, 2, 0, 0 },
		{ &report, 16 + 88, 8, 0, 0 },
	};
	struct msg none = correct;

	(void)state;
	none.correct.n_told = 0;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct msg *msg = fields[i].msg == &correct ? &none : fields[i].msg;
		size_t at = fields[i].at;
		int64_t min = fields[i].min, max = fields[i].max;
		int bytes = fields[i].bytes;

		assert_int_equal(decode_with(msg, at, min, bytes), 0);
		assert_int_equal(decode_with(msg, at, max, bytes), 0);
		/* Below 0 is above max where there is no sign. */
		assert_int_equal(decode_with(msg, at, min - 1, bytes), -EBADMSG);
		if (max < INT64_MAX && (bytes == 8 || max < (INT64_C(1) << 8 * bytes) - 1))
			assert_int_equal(decode_with(msg, at, max + 1, bytes), -EBADMSG);
	}
}

static void test_head(void **state)
{
	(void)state;
	assert_int_equal(decode_with(&hello, 0, 1, 1), -EPROTONOSUPPORT);
	assert_int_equal(decode_with(&hello, 0, 3, 1), -EPROTONOSUPPORT);
	assert_int_equal(decode_with(&hello, 1, 0, 1), -EBADMSG);
	assert_int_equal(decode_with(&hello, 1, 5, 1), -EBADMSG);
}

static int decode_v4(uint32_t host, uint16_t port)
{
	struct msg msg = hello;

	msg.hello.master_addr.in = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(host) },
	};
	return decode_with(&msg, 0, MSG_VERSION, 1);
}

static int decode_v6(unsigned char first, unsigned char tenth, unsigned char last)
{
	struct msg msg = hello;
	struct sockaddr_in6 *in6 = &msg.hello.master_addr.in6;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(5525);
	in6->sin6_addr.s6_addr[0] = first;
	in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = tenth;
	in6->sin6_addr.s6_addr[15] = last;
	return decode_with(&msg, 0, MSG_VERSION, 1);
}

static void test_addresses(void **state)
{
	struct msg told = correct_told();

	(void)state;
	assert_int_equal(decode_v4(0xc0000201, 5525), 0);
	assert_int_equal(decode_v4(0xc0000201, 0), -EBADMSG);
	assert_int_equal(decode_v4(0, 5525), -EBADMSG);
	assert_int_equal(decode_v4(0xffffffff, 5525), -EBADMSG);
	assert_int_equal(decode_v4(BERK_MCAST_IN4, 5525), -EBADMSG);
	assert_int_equal(decode_v6(0xfe, 0, 1), 0);
	assert_int_equal(decode_v6(0, 0, 0), -EBADMSG);
	assert_int_equal(decode_v6(0xff, 0, 1), -EBADMSG);
	assert_int_equal(decode_v6(0, 0xff, 1), -EBADMSG);	/* IPv4 in disguise */

	assert_int_equal(decode_with(&told, 88, 0, 8), -EBADMSG);	/* a node has an id */
	assert_int_equal(decode_with(&told, 96, 5, 2), -EBADMSG);	/* no such family */
	assert_int_equal(decode_with(&told, 100, 1, 4), -EBADMSG);
	assert_int_equal(decode_with(&told, 108, 1, 4), -EBADMSG);	/* more than an IPv4 has */
	told.correct.told[0].addr = (union node_addr){ 0 };
	assert_int_equal(decode_with(&told, 0, MSG_VERSION, 1), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_bytes_correct),
		cmocka_unit_test(test_bytes_hello),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
