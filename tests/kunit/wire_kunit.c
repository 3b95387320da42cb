// SPDX-License-Identifier: GPL-2.0
/* KUnit: packets. Whatever is accepted must be exactly what would be sent. */
#include <kunit/test.h>
#include <linux/random.h>

#include "../../kmod/wire.c"

#define REPLY_LEN	(BERK_WIRE_FIXED + BERK_WIRE_PROBE)

/* By hand from the table in wire.h, not by the code. */
static const u8 golden_reply[REPLY_LEN] = {
	0x42, 0x45, 0x52, 0x4b,				/* "BERK" */
	0x01, 0x02, 0x00, 0x03,				/* version, REPLY, flags */
	0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,	/* cluster */
	0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,	/* sender */
	0x00, 0x00, 0x00, 0x2a, 0x00, 0x00, 0x01, 0x00,	/* term, sequence */
	0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8,	/* nonce */
	0x00, 0x48, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,	/* 72, no key, 0 */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xe8,	/* T2: 1000, */
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,	/* -2 */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0xd0,	/* T3: 2000, */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05,	/* 5 */
	0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8,	/* nonce before */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64,	/* its T3: 100, */
	0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,	/* the smallest */
	0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x08,	/* clock set 7, 8 */
	0x00, 0x00, 0x00, 0x09, 0x02, 0x01, 0x00, 0x00,	/* and 9; LATE, DRIVER */
};

static const struct berk_msg golden_msg = {
	.cluster = 0x0102030405060708,
	.sender = 0x1112131415161718,
	.nonce = 0xa1a2a3a4a5a6a7a8,
	.term = 42,
	.seq = 256,
	.flags = BERK_F_DRIVEN | BERK_F_SYNCED,
	.type = BERK_WIRE_T_REPLY,
	.reply = {
		.t2 = { { 1000, -2 }, 7, BERK_STAMP_LATE },
		.t3 = { { 2000, 5 }, 8, BERK_STAMP_SOFT },
		.prev_t3 = { { 100, S64_MIN }, 9, BERK_STAMP_DRIVER },
		.prev_nonce = 0xb1b2b3b4b5b6b7b8,
	},
};

static void golden(struct kunit *test)
{
	struct berk_msg msg = {};
	u8 buf[REPLY_LEN];

	KUNIT_EXPECT_EQ(test, REPLY_LEN, berk_wire_encode(buf, sizeof(buf), &golden_msg));
	KUNIT_EXPECT_EQ(test, 0, memcmp(buf, golden_reply, REPLY_LEN));

	KUNIT_ASSERT_EQ(test, 0, berk_wire_decode(&msg, golden_reply, REPLY_LEN));
	KUNIT_EXPECT_EQ(test, msg.cluster, golden_msg.cluster);
	KUNIT_EXPECT_EQ(test, msg.sender, golden_msg.sender);
	KUNIT_EXPECT_EQ(test, msg.nonce, golden_msg.nonce);
	KUNIT_EXPECT_EQ(test, msg.term, golden_msg.term);
	KUNIT_EXPECT_EQ(test, msg.seq, golden_msg.seq);
	KUNIT_EXPECT_EQ(test, msg.flags, golden_msg.flags);
	KUNIT_EXPECT_EQ(test, msg.type, golden_msg.type);
	KUNIT_EXPECT_EQ(test, msg.reply.t2.at.real_ns, 1000);
	KUNIT_EXPECT_EQ(test, msg.reply.t2.at.raw_ns, -2);
	KUNIT_EXPECT_EQ(test, msg.reply.t2.set_seq, 7);
	KUNIT_EXPECT_EQ(test, msg.reply.t2.src, BERK_STAMP_LATE);
	KUNIT_EXPECT_EQ(test, msg.reply.t3.at.real_ns, 2000);
	KUNIT_EXPECT_EQ(test, msg.reply.t3.at.raw_ns, 5);
	KUNIT_EXPECT_EQ(test, msg.reply.t3.set_seq, 8);
	KUNIT_EXPECT_EQ(test, msg.reply.t3.src, BERK_STAMP_SOFT);
	KUNIT_EXPECT_EQ(test, msg.reply.prev_t3.at.real_ns, 100);
	KUNIT_EXPECT_EQ(test, msg.reply.prev_t3.at.raw_ns, S64_MIN);
	KUNIT_EXPECT_EQ(test, msg.reply.prev_t3.set_seq, 9);
	KUNIT_EXPECT_EQ(test, msg.reply.prev_t3.src, BERK_STAMP_DRIVER);
	KUNIT_EXPECT_EQ(test, msg.reply.prev_nonce, golden_msg.reply.prev_nonce);
}

/* A valid message with everything else random. */
static void random_msg(struct berk_msg *msg, u8 type, const u8 *payload)
{
	get_random_bytes(msg, sizeof(*msg));
	msg->type = type;
	msg->sender |= 1;
	msg->nonce |= 1;
	msg->len = 1 + msg->len % BERK_PAYLOAD_MAX;
	msg->payload = payload;
	msg->reply.t2.src = msg->term & 1 ? BERK_STAMP_DRIVER : BERK_STAMP_LATE;
	msg->reply.prev_t3.src = msg->term & 2 ? BERK_STAMP_DRIVER : BERK_STAMP_NONE;
	msg->reply.prev_nonce |= 1;
}

/* What is accepted must be, byte for byte, what encoding the result gives. */
static bool canonical(struct kunit *test, const u8 *buf, size_t len)
{
	static u8 again[BERK_WIRE_MAX];
	struct berk_msg msg;

	if (berk_wire_decode(&msg, buf, len))
		return false;
	KUNIT_EXPECT_EQ(test, (int)len, berk_wire_encode(again, sizeof(again), &msg));
	KUNIT_EXPECT_EQ(test, 0, memcmp(again, buf, len));
	return true;
}

static void round_trip(struct kunit *test)
{
	u8 *payload = kunit_kmalloc(test, BERK_PAYLOAD_MAX, GFP_KERNEL);
	/* One byte off, because packets need not be aligned. */
	u8 *buf = kunit_kmalloc(test, 1 + BERK_WIRE_MAX, GFP_KERNEL) + 1;
	struct berk_msg msg, out;
	int i, len;

	get_random_bytes(payload, BERK_PAYLOAD_MAX);
	for (i = 0; i < 3000; i++) {
		random_msg(&msg, BERK_WIRE_T_PROBE + i % 3, payload);
		len = berk_wire_encode(buf, BERK_WIRE_MAX, &msg);
		KUNIT_ASSERT_GT(test, len, 0);
		KUNIT_ASSERT_EQ(test, 0, berk_wire_decode(&out, buf, len));
		KUNIT_EXPECT_TRUE(test, canonical(test, buf, len));
		KUNIT_EXPECT_EQ(test, msg.cluster, out.cluster);
		KUNIT_EXPECT_EQ(test, msg.sender, out.sender);
		KUNIT_EXPECT_EQ(test, msg.nonce, out.nonce);
		KUNIT_EXPECT_EQ(test, msg.seq, out.seq);
		KUNIT_EXPECT_EQ(test, msg.flags, out.flags);
		if (msg.type != BERK_WIRE_T_CTRL)
			continue;
		KUNIT_EXPECT_EQ(test, msg.len, out.len);
		KUNIT_EXPECT_EQ(test, 0, memcmp(payload, out.payload, out.len));
	}
}

/* In a buffer of its own for each length, so that KASAN sees the end. */
static void wrong_length(struct kunit *test)
{
	struct berk_msg msg;
	u8 *payload = kunit_kzalloc(test, BERK_PAYLOAD_MAX, GFP_KERNEL);
	u8 *right = kunit_kzalloc(test, BERK_WIRE_MAX + 1, GFP_KERNEL);
	int type, len, n;
	u8 *buf;

	for (type = BERK_WIRE_T_PROBE; type <= BERK_WIRE_T_CTRL; type++) {
		random_msg(&msg, type, payload);
		n = berk_wire_encode(right, BERK_WIRE_MAX, &msg);
		for (len = 0; len <= BERK_WIRE_MAX + 1; len++) {
			if (len == n)
				continue;
			buf = kmemdup(right, len, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, buf);
			KUNIT_EXPECT_EQ(test, -EINVAL, berk_wire_decode(&msg, buf, len));
			kfree(buf);
		}
		memset(right, 0, BERK_WIRE_MAX);
	}
}

static bool free_byte(int type, int at)
{
	if ((at >= 6 && at < 40))	/* flags to nonce */
		return true;
	at -= BERK_WIRE_HEAD;
	if (type == BERK_WIRE_T_REPLY)	/* stamps, nonce, counts; not the sources */
		return at >= 0 && at < 68;
	return false;
}

/* Every bit of a probe and a reply turned over: only where a value is free. */
static void wrong_bit(struct kunit *test)
{
	struct berk_msg msg = golden_msg;
	u8 buf[REPLY_LEN];
	bool ok;
	int at, bit;

	for (msg.type = BERK_WIRE_T_PROBE; msg.type <= BERK_WIRE_T_REPLY; msg.type++) {
		KUNIT_ASSERT_EQ(test, REPLY_LEN, berk_wire_encode(buf, sizeof(buf), &msg));
		for (at = 0; at < REPLY_LEN; at++) {
			if (at == 5)	/* the type: one bit makes another good packet */
				continue;
			for (bit = 0; bit < 8; bit++) {
				buf[at] ^= 1 << bit;
				ok = canonical(test, buf, REPLY_LEN);
				KUNIT_EXPECT_EQ_MSG(test, ok, free_byte(msg.type, at),
						    "type %d, bit %d of byte %d",
						    msg.type, bit, at);
				buf[at] ^= 1 << bit;
			}
		}
	}
}

/* Values that are wrong although each of their bits may be right. */
static void wrong_value(struct kunit *test)
{
	static const struct {
		const char *what;
		u8 at, len, value;
	} wrong[] = {
		{ "magic", 0, 4, 0 },
		{ "version 0", 4, 1, 0 },
		{ "version 2", 4, 1, 2 },
		{ "type 0", 5, 1, 0 },
		{ "type 4", 5, 1, 4 },
		{ "type 255", 5, 1, 255 },
		{ "sender 0", 16, 8, 0 },
		{ "nonce 0", 32, 8, 0 },
		{ "length 0", 40, 2, 0 },
		{ "length 65535", 40, 2, 255 },
		{ "key", 42, 2, 255 },
		{ "reserved", 44, 4, 255 },
		{ "T2 without source", BERK_WIRE_HEAD + 68, 1, BERK_STAMP_NONE },
		{ "T2 of a transmission", BERK_WIRE_HEAD + 68, 1, BERK_STAMP_SOFT },
		{ "T3 before, late", BERK_WIRE_HEAD + 69, 1, BERK_STAMP_LATE },
		{ "T3 before, soft", BERK_WIRE_HEAD + 69, 1, BERK_STAMP_SOFT },
		{ "T3 before, but no source", BERK_WIRE_HEAD + 69, 1, BERK_STAMP_NONE },
		{ "nonce before 0", BERK_WIRE_HEAD + 32, 8, 0 },
		{ "reserved of the reply", BERK_WIRE_HEAD + 70, 2, 255 },
		{ "tag", BERK_WIRE_HEAD + BERK_WIRE_PROBE, 16, 255 },
	};
	struct berk_msg msg;
	u8 buf[REPLY_LEN];
	int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		memcpy(buf, golden_reply, REPLY_LEN);
		memset(buf + wrong[i].at, wrong[i].value, wrong[i].len);
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL, berk_wire_decode(&msg, buf, REPLY_LEN),
				    "%s", wrong[i].what);
	}
}

/* Noise, and valid packets with a few bytes of noise in them. */
static void random_bytes(struct kunit *test)
{
	u8 *payload = kunit_kzalloc(test, BERK_PAYLOAD_MAX, GFP_KERNEL);
	u8 *buf = kunit_kmalloc(test, BERK_WIRE_MAX, GFP_KERNEL);
	unsigned int accepted = 0;
	struct berk_msg msg;
	int i, k, len;

	for (i = 0; i < 5000; i++) {
		get_random_bytes(buf, BERK_WIRE_MAX);
		len = get_random_u32() % (BERK_WIRE_MAX + 1);
		KUNIT_EXPECT_FALSE(test, canonical(test, buf, len));
	}
	for (i = 0; i < 20000; i++) {
		random_msg(&msg, BERK_WIRE_T_PROBE + i % 3, payload);
		len = berk_wire_encode(buf, BERK_WIRE_MAX, &msg);
		for (k = get_random_u32() % 4; k >= 0; k--)
			buf[get_random_u32() % len] = get_random_u32();
		accepted += canonical(test, buf, len);
	}
	/* Else the loop above would have tested nothing. */
	KUNIT_EXPECT_GT(test, accepted, 1000U);
	KUNIT_EXPECT_LT(test, accepted, 19000U);
}

static void encode_refuses(struct kunit *test)
{
	u8 *payload = kunit_kzalloc(test, BERK_PAYLOAD_MAX, GFP_KERNEL);
	u8 buf[REPLY_LEN];
	struct berk_msg msg;
	int size;

	msg = golden_msg;
	msg.sender = 0;
	KUNIT_EXPECT_EQ(test, -EINVAL, berk_wire_encode(buf, sizeof(buf), &msg));
	msg = golden_msg;
	msg.nonce = 0;
	KUNIT_EXPECT_EQ(test, -EINVAL, berk_wire_encode(buf, sizeof(buf), &msg));
	msg = golden_msg;
	msg.type = 0;
	KUNIT_EXPECT_EQ(test, -EINVAL, berk_wire_encode(buf, sizeof(buf), &msg));
	msg.type = BERK_WIRE_T_CTRL + 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, berk_wire_encode(buf, sizeof(buf), &msg));

	msg = golden_msg;
	msg.type = BERK_WIRE_T_CTRL;
	msg.payload = payload;
	KUNIT_EXPECT_EQ(test, -EINVAL, berk_wire_encode(buf, sizeof(buf), &msg));
	msg.len = BERK_PAYLOAD_MAX + 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, berk_wire_encode(buf, sizeof(buf), &msg));

	memset(buf, 0x5a, sizeof(buf));
	for (size = 0; size < REPLY_LEN; size++)
		KUNIT_EXPECT_EQ(test, -EMSGSIZE, berk_wire_encode(buf, size, &golden_msg));
	KUNIT_EXPECT_NULL(test, memchr_inv(buf, 0x5a, sizeof(buf)));
}

static struct kunit_case wire_cases[] = {
	KUNIT_CASE(golden),
	KUNIT_CASE(round_trip),
	KUNIT_CASE(wrong_length),
	KUNIT_CASE(wrong_bit),
	KUNIT_CASE(wrong_value),
	KUNIT_CASE(random_bytes),
	KUNIT_CASE(encode_refuses),
	{}
};

static struct kunit_suite wire_suite = {
	.name = "wire",
	.test_cases = wire_cases,
};

kunit_test_suite(wire_suite);

MODULE_LICENSE("GPL");
