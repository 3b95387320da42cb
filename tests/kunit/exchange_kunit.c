// SPDX-License-Identifier: GPL-2.0
/* KUnit: pairing of the four stamps, and the ring of samples */
#include <kunit/test.h>

#include "../../kmod/exchange.c"

#define PEER_ID	0xbe4cULL
#define NONCE	0x1000ULL	/* of the probe with sequence 0 */
#define RAW	5000000		/* by which CLOCK_MONOTONIC_RAW is ahead of CLOCK_REALTIME */

/* Stamps that tell where they belong: exchange i has its T1 at 1000 i + 1 and so on. */
static struct berk_mark mark(int i, int t, u8 src)
{
	return (struct berk_mark) {
		.at = { .real_ns = 1000 * i + t, .raw_ns = RAW + 1000 * i + t },
		.src = src,
	};
}

static struct berk_exchange *new_exchange(struct kunit *test)
{
	struct berk_exchange *x = kunit_kmalloc(test, sizeof(*x), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, x);
	berk_exchange_init(x);
	return x;
}

/* Probe i goes out; its soft T1 is 10 earlier than the driver's. */
static void send_probe(struct kunit *test, struct berk_exchange *x, u32 i)
{
	struct berk_mark soft = mark(i, -9, BERK_STAMP_SOFT);
	struct berk_mark t1 = mark(i, 1, BERK_STAMP_DRIVER);

	KUNIT_ASSERT_EQ(test, i, berk_exchange_probe(x, i / 8, NONCE + i, &soft));
	berk_exchange_stamp(x, i, NONCE + i, &t1);
}

/* The reply to probe i; the reply before it was to probe prev, or -1. */
static struct berk_msg reply_to(int i, int prev)
{
	struct berk_msg msg = {
		.type = BERK_WIRE_T_REPLY,
		.sender = PEER_ID,
		.seq = i,
		.nonce = NONCE + i,
		.term = 7,
		.flags = BERK_F_DRIVEN,
		.reply = {
			.t2 = mark(i, 2, BERK_STAMP_DRIVER),
			.t3 = mark(i, -7, BERK_STAMP_SOFT),
		},
	};

	if (prev >= 0) {
		msg.reply.prev_nonce = NONCE + prev;
		msg.reply.prev_t3 = mark(prev, 3, BERK_STAMP_DRIVER);
	}
	return msg;
}

static int receive(struct berk_exchange *x, int i, int prev, struct berk_sample *s)
{
	struct berk_mark t4 = mark(i, 4, BERK_STAMP_DRIVER);
	struct berk_msg msg = reply_to(i, prev);
	u32 round;

	return berk_exchange_reply(x, &msg, &t4, 1, &round, s);
}

/* Is this sample i, with an exact T3 or only that of before sending? */
static void expect_sample(struct kunit *test, const struct berk_sample *s, int i, bool exact)
{
	KUNIT_EXPECT_EQ(test, s->t1.real_ns, 1000 * i + 1);
	KUNIT_EXPECT_EQ(test, s->t2.real_ns, 1000 * i + 2);
	KUNIT_EXPECT_EQ(test, s->t3.real_ns, 1000 * i + (exact ? 3 : -7));
	KUNIT_EXPECT_EQ(test, s->t4.real_ns, 1000 * i + 4);
	KUNIT_EXPECT_EQ(test, s->t1.raw_ns, RAW + s->t1.real_ns);
	KUNIT_EXPECT_EQ(test, s->t2.raw_ns, RAW + s->t2.real_ns);
	KUNIT_EXPECT_EQ(test, s->t3.raw_ns, RAW + s->t3.real_ns);
	KUNIT_EXPECT_EQ(test, s->t4.raw_ns, RAW + s->t4.real_ns);
	KUNIT_EXPECT_EQ(test, s->src[0], BERK_STAMP_DRIVER);
	KUNIT_EXPECT_EQ(test, s->src[1], BERK_STAMP_DRIVER);
	KUNIT_EXPECT_EQ(test, s->src[2], exact ? BERK_STAMP_DRIVER : BERK_STAMP_SOFT);
	KUNIT_EXPECT_EQ(test, s->src[3], BERK_STAMP_DRIVER);
	KUNIT_EXPECT_EQ(test, s->round, i / 8);
	KUNIT_EXPECT_EQ(test, s->node_id, PEER_ID);
	KUNIT_EXPECT_EQ(test, s->term, 7);
	KUNIT_EXPECT_EQ(test, s->peer_flags, BERK_F_DRIVEN);
	KUNIT_EXPECT_EQ(test, s->flags, 0);
}

/* A burst of n gives n - 1 samples with all four stamps exact. */
static void burst(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_sample s;
	int i;

	send_probe(test, x, 0);
	KUNIT_EXPECT_EQ(test, 0, receive(x, 0, -1, &s));
	for (i = 1; i < 3 * BERK_BURST_MAX; i++) {
		send_probe(test, x, i);
		KUNIT_ASSERT_EQ(test, 1, receive(x, i, i - 1, &s));
		expect_sample(test, &s, i - 1, true);
	}
	KUNIT_EXPECT_EQ(test, x->probes, 3 * BERK_BURST_MAX);
	KUNIT_EXPECT_EQ(test, x->replies, 3 * BERK_BURST_MAX);
	KUNIT_EXPECT_EQ(test, x->node_id, PEER_ID);
	KUNIT_EXPECT_EQ(test, x->peer_flags, BERK_F_DRIVEN);
}

/* All probes out before the first reply comes. */
static void all_in_flight(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_sample s;
	int i;

	for (i = 0; i < BERK_BURST_MAX; i++)
		send_probe(test, x, i);
	KUNIT_EXPECT_EQ(test, 0, receive(x, 0, -1, &s));
	for (i = 1; i < BERK_BURST_MAX; i++) {
		KUNIT_ASSERT_EQ(test, 1, receive(x, i, i - 1, &s));
		expect_sample(test, &s, i - 1, true);
	}
}

static void first_reply_has_no_sample(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_mark t4 = mark(0, 4, BERK_STAMP_DRIVER);
	struct berk_msg msg = reply_to(0, 5);	/* it answered somebody before us */
	struct berk_sample s;
	u32 round = 99;

	send_probe(test, x, 0);
	KUNIT_EXPECT_EQ(test, 0, berk_exchange_reply(x, &msg, &t4, 1234, &round, &s));
	KUNIT_EXPECT_EQ(test, round, 0);
	KUNIT_EXPECT_EQ(test, x->answered_ns, 1234);
}

/* A peer whose driver gives no stamps: the T3 of before sending is kept. */
static void no_exact_t3(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_sample s;

	send_probe(test, x, 0);
	send_probe(test, x, 1);
	KUNIT_EXPECT_EQ(test, 0, receive(x, 0, -1, &s));
	KUNIT_EXPECT_EQ(test, 1, receive(x, 1, -1, &s));
	expect_sample(test, &s, 0, false);
}

/* Reply 1 is lost, so the T3 in reply 2 is of an exchange we know nothing of. */
static void lost_reply(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_sample s;
	int i;

	for (i = 0; i < 4; i++)
		send_probe(test, x, i);
	KUNIT_EXPECT_EQ(test, 0, receive(x, 0, -1, &s));
	KUNIT_EXPECT_EQ(test, 1, receive(x, 2, 1, &s));
	expect_sample(test, &s, 0, false);
	KUNIT_EXPECT_EQ(test, 1, receive(x, 3, 2, &s));
	expect_sample(test, &s, 2, true);
}

/* Probe 1 is lost on its way: the peer's reply before is still that to 0. */
static void lost_probe(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_sample s;
	int i;

	for (i = 0; i < 3; i++)
		send_probe(test, x, i);
	KUNIT_EXPECT_EQ(test, 0, receive(x, 0, -1, &s));
	KUNIT_EXPECT_EQ(test, 1, receive(x, 2, 0, &s));
	expect_sample(test, &s, 0, true);
}

/*
 * Reply 1 is lost, and a copy of probe 0 is answered after it: what reply 2
 * announces under the nonce of 0 is the T3 of that second answer.
 */
static void foreign_t3(struct kunit *test)
{
	static const struct {
		s64 after;	/* the T3 of before sending, on RAW */
		bool exact;
	} row[] = {
		{ 0, true },
		{ 10, true },
		{ 12, true },	/* T4 - T1 - (T3 - T2), with that T3 */
		{ 13, false },
		{ NSEC_PER_SEC, false },
		{ -1, false },
		{ S64_MAX - 2 * RAW, false },
		{ S64_MIN, false },
	};
	struct berk_sample s;
	u32 round;
	int i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		struct berk_exchange *x = new_exchange(test);
		struct berk_mark t4 = mark(2, 4, BERK_STAMP_DRIVER);
		struct berk_msg msg = reply_to(2, 0);
		s64 soft = mark(0, -7, BERK_STAMP_SOFT).at.raw_ns;

		msg.reply.prev_t3.at.raw_ns = (u64)soft + (u64)row[i].after;
		msg.reply.prev_t3.set_seq = row[i].exact ? 0 : 9;
		send_probe(test, x, 0);
		send_probe(test, x, 1);
		send_probe(test, x, 2);
		KUNIT_EXPECT_EQ(test, 0, receive(x, 0, -1, &s));
		KUNIT_ASSERT_EQ(test, 1, berk_exchange_reply(x, &msg, &t4, 1, &round, &s));
		if (row[i].exact) {
			KUNIT_EXPECT_EQ_MSG(test, s.t3.raw_ns, soft + row[i].after, "row %d", i);
			KUNIT_EXPECT_EQ_MSG(test, s.src[2], BERK_STAMP_DRIVER, "row %d", i);
		} else {
			expect_sample(test, &s, 0, false);
		}
	}
}

static void duplicate_reply(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_sample s;

	send_probe(test, x, 0);
	send_probe(test, x, 1);
	KUNIT_EXPECT_EQ(test, 0, receive(x, 0, -1, &s));
	KUNIT_EXPECT_EQ(test, -ENOENT, receive(x, 0, -1, &s));
	KUNIT_EXPECT_EQ(test, 1, receive(x, 1, 0, &s));
	expect_sample(test, &s, 0, true);
	KUNIT_EXPECT_EQ(test, -ENOENT, receive(x, 0, -1, &s));
	KUNIT_EXPECT_EQ(test, -ENOENT, receive(x, 1, 0, &s));
	KUNIT_EXPECT_EQ(test, x->replies, 2);
}

/* The stamps of each exchange stay its own, whatever the order. */
static void reordered_replies(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_sample s;
	int i;

	for (i = 0; i < 4; i++)
		send_probe(test, x, i);
	KUNIT_EXPECT_EQ(test, 0, receive(x, 1, 0, &s));
	KUNIT_EXPECT_EQ(test, 1, receive(x, 0, -1, &s));
	expect_sample(test, &s, 1, false);
	KUNIT_EXPECT_EQ(test, 1, receive(x, 3, 2, &s));
	expect_sample(test, &s, 0, false);
	KUNIT_EXPECT_EQ(test, 1, receive(x, 2, 1, &s));
	expect_sample(test, &s, 3, false);
}

static void wrong_nonce(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_mark t4 = mark(0, 4, BERK_STAMP_DRIVER);
	struct berk_msg msg = reply_to(0, -1);
	struct berk_sample s;
	u32 round;

	/* To a place where no probe is. */
	msg.nonce = 0;
	KUNIT_EXPECT_EQ(test, -ENOENT, berk_exchange_reply(x, &msg, &t4, 1, &round, &s));

	send_probe(test, x, 0);
	KUNIT_EXPECT_EQ(test, -ENOENT, berk_exchange_reply(x, &msg, &t4, 1, &round, &s));
	msg = reply_to(0, -1);
	msg.nonce ^= 1;
	KUNIT_EXPECT_EQ(test, -ENOENT, berk_exchange_reply(x, &msg, &t4, 1, &round, &s));
	msg = reply_to(0, -1);
	msg.seq = 1;
	KUNIT_EXPECT_EQ(test, -ENOENT, berk_exchange_reply(x, &msg, &t4, 1, &round, &s));
	msg.seq = BERK_BURST_MAX;	/* the same place */
	KUNIT_EXPECT_EQ(test, -ENOENT, berk_exchange_reply(x, &msg, &t4, 1, &round, &s));

	/* A guess costs the probe nothing. */
	KUNIT_EXPECT_EQ(test, x->replies, 0);
	KUNIT_EXPECT_EQ(test, 0, receive(x, 0, -1, &s));
}

/* A probe is waited for until BERK_BURST_MAX others went out after it. */
static void late_reply(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_sample s;
	int i;

	for (i = 0; i <= BERK_BURST_MAX; i++)
		send_probe(test, x, i);
	KUNIT_EXPECT_EQ(test, -ENOENT, receive(x, 0, -1, &s));
	KUNIT_EXPECT_EQ(test, 0, receive(x, 1, 0, &s));
	KUNIT_EXPECT_EQ(test, 1, receive(x, BERK_BURST_MAX, 1, &s));
	expect_sample(test, &s, 1, true);
}

/* A reply to a probe of an earlier round says so, and so does its sample. */
static void reply_of_earlier_round(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_mark t4 = mark(0, 4, BERK_STAMP_DRIVER);
	struct berk_msg msg = reply_to(7, -1);
	struct berk_sample s;
	u32 round = 99;
	int i;

	for (i = 0; i < 16; i++)
		send_probe(test, x, i);
	KUNIT_EXPECT_EQ(test, 0, berk_exchange_reply(x, &msg, &t4, 1, &round, &s));
	KUNIT_EXPECT_EQ(test, round, 0);
	KUNIT_EXPECT_EQ(test, 1, receive(x, 8, 7, &s));
	KUNIT_EXPECT_EQ(test, s.round, 0);
}

static void cancelled_probe(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_sample s;

	send_probe(test, x, 0);
	send_probe(test, x, 1);
	berk_exchange_cancel(x, 0, NONCE + 1);	/* not that one */
	KUNIT_EXPECT_EQ(test, x->probes, 2);
	berk_exchange_cancel(x, 0, NONCE);
	berk_exchange_cancel(x, 0, NONCE);
	KUNIT_EXPECT_EQ(test, x->probes, 1);
	KUNIT_EXPECT_EQ(test, -ENOENT, receive(x, 0, -1, &s));
	KUNIT_EXPECT_EQ(test, 0, receive(x, 1, -1, &s));
}

/* A transmit stamp that matches no probe in flight changes nothing. */
static void stray_stamp(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_mark wrong = mark(50, 1, BERK_STAMP_DRIVER);
	struct berk_sample s;

	berk_exchange_stamp(x, 0, 0, &wrong);
	send_probe(test, x, 0);
	berk_exchange_stamp(x, 0, NONCE + 1, &wrong);
	berk_exchange_stamp(x, 1, NONCE, &wrong);
	berk_exchange_stamp(x, BERK_BURST_MAX, NONCE, &wrong);
	KUNIT_EXPECT_EQ(test, 0, receive(x, 0, -1, &s));
	berk_exchange_stamp(x, 0, NONCE, &wrong);	/* later than its reply */
	send_probe(test, x, 1);
	KUNIT_EXPECT_EQ(test, 1, receive(x, 1, 0, &s));
	expect_sample(test, &s, 0, true);
}

/* Stamps that are not the driver's are marked, each for itself. */
static void sources(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_mark t1 = mark(0, 1, BERK_STAMP_SOFT);
	struct berk_mark t4 = mark(0, 4, BERK_STAMP_LATE);
	struct berk_msg msg = reply_to(0, -1);
	struct berk_sample s;
	u32 round;

	msg.reply.t2.src = BERK_STAMP_LATE;
	berk_exchange_probe(x, 3, NONCE, &t1);
	KUNIT_EXPECT_EQ(test, 0, berk_exchange_reply(x, &msg, &t4, 1, &round, &s));
	KUNIT_EXPECT_EQ(test, round, 3);
	send_probe(test, x, 1);
	KUNIT_EXPECT_EQ(test, 1, receive(x, 1, 0, &s));
	KUNIT_EXPECT_EQ(test, s.src[0], BERK_STAMP_SOFT);
	KUNIT_EXPECT_EQ(test, s.src[1], BERK_STAMP_LATE);
	KUNIT_EXPECT_EQ(test, s.src[2], BERK_STAMP_DRIVER);
	KUNIT_EXPECT_EQ(test, s.src[3], BERK_STAMP_LATE);
	KUNIT_EXPECT_EQ(test, s.round, 3);
}

/* Set counts at T1, T4; T2, T3 before sending, T3 exact; and what they must show. */
static void steps(struct kunit *test)
{
	static const struct {
		u32 t1, t4, t2, soft_t3, t3;
		u8 flags;
	} row[] = {
		{ 0, 0, 5, 5, 5, 0 },
		{ 3, 4, 5, 5, 5, BERK_SAMPLE_LOCAL_STEP },
		{ U32_MAX, 0, 5, 5, 5, BERK_SAMPLE_LOCAL_STEP },
		{ 3, 3, 5, 6, 6, BERK_SAMPLE_PEER_STEP },
		{ 3, 3, 5, 5, 6, BERK_SAMPLE_PEER_STEP },
		{ 3, 4, 5, 6, 7, BERK_SAMPLE_LOCAL_STEP | BERK_SAMPLE_PEER_STEP },
	};
	struct berk_sample s;
	u32 round;
	int i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		struct berk_exchange *x = new_exchange(test);
		struct berk_mark t1 = mark(0, 1, BERK_STAMP_DRIVER);
		struct berk_mark t4 = mark(0, 4, BERK_STAMP_DRIVER);
		struct berk_msg msg = reply_to(0, -1);
		struct berk_msg next = reply_to(1, 0);

		t1.set_seq = row[i].t1;
		t4.set_seq = row[i].t4;
		msg.reply.t2.set_seq = row[i].t2;
		msg.reply.t3.set_seq = row[i].soft_t3;
		next.reply.prev_t3.set_seq = row[i].t3;
		berk_exchange_probe(x, 0, NONCE, &t1);
		berk_exchange_reply(x, &msg, &t4, 1, &round, &s);
		send_probe(test, x, 1);
		KUNIT_ASSERT_EQ(test, 1, berk_exchange_reply(x, &next, &t4, 1, &round, &s));
		KUNIT_EXPECT_EQ_MSG(test, s.flags, row[i].flags, "row %d", i);
		KUNIT_EXPECT_EQ(test, s.local_set_seq, row[i].t4);
		KUNIT_EXPECT_EQ(test, s.peer_set_seq, row[i].t3);
	}
}

static void sequence_wraps(struct kunit *test)
{
	struct berk_exchange *x = new_exchange(test);
	struct berk_mark t4 = mark(0, 4, BERK_STAMP_DRIVER);
	struct berk_msg msg = reply_to(0, -1);
	struct berk_sample s;
	u32 i, round;

	x->seq = U32_MAX - 3;
	for (i = U32_MAX - 3; i != 4; i++) {
		KUNIT_EXPECT_EQ(test, i, berk_exchange_probe(x, 1, NONCE + i, &t4));
		msg.seq = i;
		msg.nonce = NONCE + i;
		KUNIT_EXPECT_LE(test, 0, berk_exchange_reply(x, &msg, &t4, 1, &round, &s));
	}
	KUNIT_EXPECT_EQ(test, x->replies, 8);
}

static struct berk_ring *new_ring(struct kunit *test, u32 size)
{
	struct berk_ring *ring = kunit_kzalloc(test, sizeof(*ring), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ring);
	KUNIT_ASSERT_EQ(test, 0, berk_ring_init(ring, size));
	return ring;
}

/* Puts n samples; the round of each is its number. */
static void fill(struct berk_ring *ring, u32 first, u32 n)
{
	struct berk_sample s = {};

	for (s.round = first; s.round < first + n; s.round++)
		berk_ring_put(ring, &s);
}

/* Reading on from a sequence gives the samples [from, to), k at a time. */
static void expect_samples(struct kunit *test, struct berk_ring *ring, u64 seq, u64 from,
			   u64 to, u32 k)
{
	struct berk_sample out[8];
	u32 i, n;

	while ((n = berk_ring_get(ring, &seq, out, k))) {
		KUNIT_ASSERT_LE(test, n, k);
		for (i = 0; i < n; i++, from++) {
			KUNIT_EXPECT_EQ(test, out[i].seq, from);
			KUNIT_EXPECT_EQ(test, out[i].round, (u32)from);
		}
	}
	KUNIT_EXPECT_EQ(test, from, to);
	KUNIT_EXPECT_EQ(test, seq, to);
}

static void ring_in_order(struct kunit *test)
{
	struct berk_ring *ring = new_ring(test, 16);

	KUNIT_EXPECT_EQ(test, 0, berk_ring_next(ring));
	expect_samples(test, ring, 0, 0, 0, 8);
	fill(ring, 0, 10);
	KUNIT_EXPECT_EQ(test, 10, berk_ring_next(ring));
	expect_samples(test, ring, 0, 0, 10, 8);
	expect_samples(test, ring, 0, 0, 10, 1);
	expect_samples(test, ring, 4, 4, 10, 3);
	expect_samples(test, ring, 10, 10, 10, 3);
	berk_ring_free(ring);
}

static void ring_wraps(struct kunit *test)
{
	struct berk_ring *ring = new_ring(test, 16);

	fill(ring, 0, 16);
	expect_samples(test, ring, 0, 0, 16, 5);
	fill(ring, 16, 1);
	expect_samples(test, ring, 0, 1, 17, 5);	/* 0 is gone, and it shows */
	fill(ring, 17, 1000);
	expect_samples(test, ring, 0, 1001, 1017, 8);
	expect_samples(test, ring, 1010, 1010, 1017, 8);
	berk_ring_free(ring);
}

/* A reader that asks for what is yet to come gets it when it has come. */
static void ring_future(struct kunit *test)
{
	struct berk_ring *ring = new_ring(test, 4);
	struct berk_sample out[4];
	u64 seq = U64_MAX;

	fill(ring, 0, 3);
	KUNIT_EXPECT_EQ(test, 0, berk_ring_get(ring, &seq, out, 4));
	KUNIT_EXPECT_EQ(test, seq, U64_MAX);
	seq = 3;
	KUNIT_EXPECT_EQ(test, 0, berk_ring_get(ring, &seq, out, 4));
	fill(ring, 3, 1);
	KUNIT_EXPECT_EQ(test, 1, berk_ring_get(ring, &seq, out, 4));
	KUNIT_EXPECT_EQ(test, out[0].round, 3);
	berk_ring_free(ring);
}

static void ring_sizes(struct kunit *test)
{
	struct berk_ring *ring = kunit_kzalloc(test, sizeof(*ring), GFP_KERNEL);
	struct berk_sample out;
	u64 seq = 0;

	KUNIT_EXPECT_EQ(test, 0, berk_ring_get(ring, &seq, &out, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, berk_ring_init(ring, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, berk_ring_init(ring, 3));
	KUNIT_EXPECT_EQ(test, 0, berk_ring_init(ring, 1));
	fill(ring, 0, 3);
	expect_samples(test, ring, 0, 2, 3, 8);
	berk_ring_free(ring);
	KUNIT_EXPECT_EQ(test, 0, berk_ring_get(ring, &seq, &out, 1));
}

static struct kunit_case exchange_cases[] = {
	KUNIT_CASE(burst),
	KUNIT_CASE(all_in_flight),
	KUNIT_CASE(first_reply_has_no_sample),
	KUNIT_CASE(no_exact_t3),
	KUNIT_CASE(lost_reply),
	KUNIT_CASE(lost_probe),
	KUNIT_CASE(foreign_t3),
	KUNIT_CASE(duplicate_reply),
	KUNIT_CASE(reordered_replies),
	KUNIT_CASE(wrong_nonce),
	KUNIT_CASE(late_reply),
	KUNIT_CASE(reply_of_earlier_round),
	KUNIT_CASE(cancelled_probe),
	KUNIT_CASE(stray_stamp),
	KUNIT_CASE(sources),
	KUNIT_CASE(steps),
	KUNIT_CASE(sequence_wraps),
	KUNIT_CASE(ring_in_order),
	KUNIT_CASE(ring_wraps),
	KUNIT_CASE(ring_future),
	KUNIT_CASE(ring_sizes),
	{}
};

static struct kunit_suite exchange_suite = {
	.name = "exchange",
	.test_cases = exchange_cases,
};

kunit_test_suite(exchange_suite);

MODULE_LICENSE("GPL");
