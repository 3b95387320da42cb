// SPDX-License-Identifier: GPL-2.0
/* KUnit: which probes are answered, and what an answer says of the one before */
#include <kunit/test.h>

#include "../../kmod/answer.c"

#define NONCE	0x1000ULL

/* What was sent last; the clock says how many answers there were. */
static struct berk_msg sent;
static u32 sent_place;
static int answers;
static int count[BERK_CNT_MAX + 1];

struct berk_mark berk_now(u8 src)
{
	return (struct berk_mark) { .at = { .raw_ns = 1000 * answers }, .src = src };
}

void berk_count(struct berk_net *bn, enum berk_counter counter)
{
	count[counter]++;
}

int berk_sock_send(struct berk_net *bn, const union berk_addr *to,
		   const union berk_addr *from, struct berk_msg *msg, u32 owner)
{
	sent = *msg;
	sent_place = owner;
	answers++;
	return 0;
}

/* A probe from 192.0.2.host to one of our addresses; it arrived at t2. */
static void ask(struct kunit *test, struct berk_net *bn, int host, u64 nonce, s64 t2)
{
	struct berk_answer answer = {
		.ends = {
			.to.in = {
				.sin_family = AF_INET,
				.sin_port = htons(BERK_PORT),
				.sin_addr.s_addr = htonl(0xc0000200 + host),
			},
			.from.in = {
				.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(0xc0000201),
			},
		},
		.nonce = nonce,
		.seq = nonce - NONCE,
		.t2 = { .at.raw_ns = t2, .src = BERK_STAMP_DRIVER },
	};

	KUNIT_ASSERT_TRUE(test, berk_answer_queue(&bn->answers, &answer));
}

/* The driver stamps the last answer. */
static void stamp(struct berk_net *bn, s64 t3)
{
	struct berk_mark mark = { .at.raw_ns = t3, .src = BERK_STAMP_DRIVER };

	berk_answer_stamp(&bn->answers, sent_place, sent.nonce, &mark);
}

/* A probe is answered; the answer announces the T3 of the one before. */
static void expect_answer(struct kunit *test, struct berk_net *bn, u64 nonce, u64 prev, s64 t3)
{
	int before = answers;

	KUNIT_EXPECT_TRUE(test, berk_answer_next(bn));
	KUNIT_ASSERT_EQ(test, answers, before + 1);
	KUNIT_EXPECT_EQ(test, sent.type, BERK_WIRE_T_REPLY);
	KUNIT_EXPECT_EQ(test, sent.nonce, nonce);
	KUNIT_EXPECT_EQ(test, sent.seq, nonce - NONCE);
	KUNIT_EXPECT_EQ(test, sent.reply.t3.src, BERK_STAMP_SOFT);
	KUNIT_EXPECT_EQ(test, sent.reply.prev_nonce, prev);
	KUNIT_EXPECT_EQ(test, sent.reply.prev_t3.src, prev ? BERK_STAMP_DRIVER : BERK_STAMP_NONE);
	if (prev)
		KUNIT_EXPECT_EQ(test, sent.reply.prev_t3.at.raw_ns, t3);
}

static void expect_rejected(struct kunit *test, struct berk_net *bn)
{
	int before = answers, rejected = count[BERK_CNT_REJECTED];

	KUNIT_EXPECT_TRUE(test, berk_answer_next(bn));
	KUNIT_EXPECT_EQ(test, answers, before);
	KUNIT_EXPECT_EQ(test, count[BERK_CNT_REJECTED], rejected + 1);
}

static void announces_exact_t3(struct kunit *test)
{
	struct berk_net *bn = test->priv;
	int i;

	for (i = 0; i < 100; i++) {
		ask(test, bn, 2, NONCE + i, i);
		expect_answer(test, bn, NONCE + i, i ? NONCE + i - 1 : 0, 10 * (i - 1));
		KUNIT_EXPECT_EQ(test, sent.reply.t2.at.raw_ns, i);
		stamp(bn, 10 * i);
	}
	KUNIT_EXPECT_FALSE(test, berk_answer_next(bn));
	KUNIT_EXPECT_EQ(test, count[BERK_CNT_REPLIES_TX], 100);
	KUNIT_EXPECT_EQ(test, count[BERK_CNT_TX_STAMPS_MISSING], 0);
	KUNIT_EXPECT_EQ(test, count[BERK_CNT_REJECTED], 0);
}

static void no_stamp_came_back(struct kunit *test)
{
	struct berk_net *bn = test->priv;

	ask(test, bn, 2, NONCE, 1);
	expect_answer(test, bn, NONCE, 0, 0);
	ask(test, bn, 2, NONCE + 1, 2);
	expect_answer(test, bn, NONCE + 1, 0, 0);
	KUNIT_EXPECT_EQ(test, count[BERK_CNT_TX_STAMPS_MISSING], 1);
}

/* The copy comes when the probe has been answered. */
static void doubled_probe(struct kunit *test)
{
	struct berk_net *bn = test->priv;

	ask(test, bn, 2, NONCE, 1);
	expect_answer(test, bn, NONCE, 0, 0);
	stamp(bn, 10);
	ask(test, bn, 2, NONCE, 20);
	expect_rejected(test, bn);
	ask(test, bn, 2, NONCE, 21);
	expect_rejected(test, bn);
	ask(test, bn, 2, NONCE + 1, 30);
	expect_answer(test, bn, NONCE + 1, NONCE, 10);
	KUNIT_EXPECT_EQ(test, count[BERK_CNT_REPLIES_TX], 2);
	KUNIT_EXPECT_EQ(test, count[BERK_CNT_TX_STAMPS_MISSING], 0);
}

/* Both copies wait; the stamp of the answer comes after the second was rejected. */
static void doubled_in_queue(struct kunit *test)
{
	struct berk_net *bn = test->priv;

	ask(test, bn, 2, NONCE, 1);
	ask(test, bn, 2, NONCE, 2);
	ask(test, bn, 2, NONCE + 1, 3);
	expect_answer(test, bn, NONCE, 0, 0);
	KUNIT_EXPECT_EQ(test, sent.reply.t2.at.raw_ns, 1);
	expect_rejected(test, bn);
	stamp(bn, 10);
	expect_answer(test, bn, NONCE + 1, NONCE, 10);
	KUNIT_EXPECT_FALSE(test, berk_answer_next(bn));
}

/* A copy comes when later probes have been answered. */
static void doubled_late(struct kunit *test)
{
	struct berk_net *bn = test->priv;
	int i;

	for (i = 0; i < BERK_BURST_MAX; i++) {
		ask(test, bn, 2, NONCE + i, i);
		expect_answer(test, bn, NONCE + i, i ? NONCE + i - 1 : 0, 10 * (i - 1));
		stamp(bn, 10 * i);
	}
	for (i = 0; i < BERK_BURST_MAX; i++) {
		ask(test, bn, 2, NONCE + i, 1000);
		expect_rejected(test, bn);
	}
	/* And takes nothing from the next. */
	ask(test, bn, 2, NONCE + i, 1001);
	expect_answer(test, bn, NONCE + i, NONCE + i - 1, 10 * (i - 1));
}

/* What was overtaken on its way is no copy. */
static void disordered(struct kunit *test)
{
	struct berk_net *bn = test->priv;

	ask(test, bn, 2, NONCE + 1, 1);
	ask(test, bn, 2, NONCE, 2);
	expect_answer(test, bn, NONCE + 1, 0, 0);
	stamp(bn, 10);
	expect_answer(test, bn, NONCE, NONCE + 1, 10);
	ask(test, bn, 2, NONCE + 1, 3);
	expect_rejected(test, bn);
}

/* One that asks again from sequence 0 on, with other nonces, is answered at once. */
static void asker_restarted(struct kunit *test)
{
	struct berk_net *bn = test->priv;
	struct berk_answer again;
	int i;

	for (i = 0; i < 10; i++) {
		ask(test, bn, 2, NONCE + i, i);
		expect_answer(test, bn, NONCE + i, 0, 0);
	}
	ask(test, bn, 2, NONCE + 1000, i);
	KUNIT_ASSERT_EQ(test, 1, kfifo_get(&bn->answers.fifo, &again));
	for (i = 0; i < 10; i++) {
		again.seq = i;
		again.nonce = NONCE + 1000 + i;
		KUNIT_ASSERT_TRUE(test, berk_answer_queue(&bn->answers, &again));
		KUNIT_EXPECT_TRUE(test, berk_answer_next(bn));
		KUNIT_EXPECT_EQ(test, answers, 10 + i + 1);
		KUNIT_EXPECT_EQ(test, sent.nonce, NONCE + 1000 + i);
	}
	KUNIT_EXPECT_EQ(test, count[BERK_CNT_REJECTED], 0);
}

/* Two askers of one place of the table take it from each other, and no more. */
static void place_shared(struct kunit *test)
{
	struct berk_net *bn = test->priv;
	struct berk_ends ends = {
		.to.in = { .sin_family = AF_INET, .sin_port = htons(BERK_PORT) },
		.from.in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) },
	};
	u32 place;
	int host = 2;

	ask(test, bn, host, NONCE, 1);
	expect_answer(test, bn, NONCE, 0, 0);
	stamp(bn, 10);
	place = sent_place;
	do {
		ends.to.in.sin_addr.s_addr = htonl(0xc0000200 + ++host);
	} while (siphash(&ends, sizeof(ends), &bn->answers.key) % BERK_ASKERS != place);
	ask(test, bn, host, NONCE, 2);
	expect_answer(test, bn, NONCE, 0, 0);
	KUNIT_EXPECT_EQ(test, sent_place, place);
	ask(test, bn, 2, NONCE + 1, 3);
	expect_answer(test, bn, NONCE + 1, 0, 0);
}

/* Nobody can take another's answer from him by guessing his nonce. */
static void same_nonce_of_another(struct kunit *test)
{
	struct berk_net *bn = test->priv;

	ask(test, bn, 2, NONCE, 1);
	ask(test, bn, 3, NONCE, 2);
	expect_answer(test, bn, NONCE, 0, 0);
	expect_answer(test, bn, NONCE, 0, 0);
	KUNIT_EXPECT_EQ(test, count[BERK_CNT_REPLIES_TX], 2);
}

static void queue_full(struct kunit *test)
{
	struct berk_net *bn = test->priv;
	struct berk_answer one_more = { .nonce = 1 };
	int i;

	for (i = 0; i < BERK_ANSWERS; i++)
		ask(test, bn, 2, NONCE + i, i);
	KUNIT_EXPECT_FALSE(test, berk_answer_queue(&bn->answers, &one_more));
	for (i = 0; i < BERK_ANSWERS; i++)
		expect_answer(test, bn, NONCE + i, 0, 0);
	KUNIT_EXPECT_FALSE(test, berk_answer_waiting(&bn->answers));
}

static int answer_init(struct kunit *test)
{
	struct berk_net *bn = kunit_kzalloc(test, sizeof(*bn), GFP_KERNEL);

	if (!bn)
		return -ENOMEM;
	memset(&sent, 0, sizeof(sent));
	memset(count, 0, sizeof(count));
	answers = 0;
	test->priv = bn;
	return berk_answers_init(&bn->answers);
}

static void answer_exit(struct kunit *test)
{
	struct berk_net *bn = test->priv;

	berk_answers_free(&bn->answers);
}

static struct kunit_case answer_cases[] = {
	KUNIT_CASE(announces_exact_t3),
	KUNIT_CASE(no_stamp_came_back),
	KUNIT_CASE(doubled_probe),
	KUNIT_CASE(doubled_in_queue),
	KUNIT_CASE(doubled_late),
	KUNIT_CASE(disordered),
	KUNIT_CASE(asker_restarted),
	KUNIT_CASE(place_shared),
	KUNIT_CASE(same_nonce_of_another),
	KUNIT_CASE(queue_full),
	{}
};

static struct kunit_suite answer_suite = {
	.name = "answer",
	.init = answer_init,
	.exit = answer_exit,
	.test_cases = answer_cases,
};

kunit_test_suite(answer_suite);

MODULE_LICENSE("GPL");
