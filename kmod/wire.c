// SPDX-License-Identifier: GPL-2.0
/* Packet layout: pure encoding and decoding of bytes. See wire.h. */
#include <asm/byteorder.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/string.h>

#include "wire.h"

/* Packed, because a packet may start at any address. */
struct wire_head {
	__be32 magic;
	u8 version;
	u8 type;
	__be16 flags;
	__be64 cluster;
	__be64 sender;
	__be32 term;
	__be32 seq;
	__be64 nonce;
	__be16 body;
	__be16 key;
	__be32 reserved;
} __packed;

struct wire_stamp {
	__be64 real;
	__be64 raw;
} __packed;

struct wire_reply {
	struct wire_stamp t2;
	struct wire_stamp t3;
	__be64 prev_nonce;
	struct wire_stamp prev_t3;
	__be32 t2_set_seq;
	__be32 t3_set_seq;
	__be32 prev_set_seq;
	u8 t2_src;
	u8 prev_src;
	u8 reserved[2];
} __packed;

static_assert(sizeof(struct wire_head) == BERK_WIRE_HEAD);
static_assert(sizeof(struct wire_reply) == BERK_WIRE_PROBE);

static struct wire_stamp put_stamp(const struct berk_stamp *stamp)
{
	return (struct wire_stamp) {
		.real = cpu_to_be64(stamp->real_ns),
		.raw = cpu_to_be64(stamp->raw_ns),
	};
}

static struct berk_stamp get_stamp(const struct wire_stamp *stamp)
{
	return (struct berk_stamp) {
		.real_ns = be64_to_cpu(stamp->real),
		.raw_ns = be64_to_cpu(stamp->raw),
	};
}

static void put_reply(struct wire_reply *w, const struct berk_reply *reply)
{
	w->t2 = put_stamp(&reply->t2.at);
	w->t3 = put_stamp(&reply->t3.at);
	w->t2_set_seq = cpu_to_be32(reply->t2.set_seq);
	w->t3_set_seq = cpu_to_be32(reply->t3.set_seq);
	w->t2_src = reply->t2.src;
	if (reply->prev_t3.src == BERK_STAMP_NONE)
		return;
	w->prev_nonce = cpu_to_be64(reply->prev_nonce);
	w->prev_t3 = put_stamp(&reply->prev_t3.at);
	w->prev_set_seq = cpu_to_be32(reply->prev_t3.set_seq);
	w->prev_src = reply->prev_t3.src;
}

static int get_reply(struct berk_reply *reply, const struct wire_reply *w)
{
	if (w->t2_src != BERK_STAMP_DRIVER && w->t2_src != BERK_STAMP_LATE)
		return -EINVAL;
	if (w->reserved[0] || w->reserved[1])
		return -EINVAL;
	if (w->prev_src == BERK_STAMP_NONE) {
		/* prev_nonce and prev_t3 lie side by side */
		if (memchr_inv(&w->prev_nonce, 0, 24) || w->prev_set_seq)
			return -EINVAL;
	} else if (w->prev_src != BERK_STAMP_DRIVER || !w->prev_nonce) {
		return -EINVAL;
	}

	reply->t2.at = get_stamp(&w->t2);
	reply->t2.set_seq = be32_to_cpu(w->t2_set_seq);
	reply->t2.src = w->t2_src;
	reply->t3.at = get_stamp(&w->t3);
	reply->t3.set_seq = be32_to_cpu(w->t3_set_seq);
	reply->t3.src = BERK_STAMP_SOFT;
	reply->prev_t3.at = get_stamp(&w->prev_t3);
	reply->prev_t3.set_seq = be32_to_cpu(w->prev_set_seq);
	reply->prev_t3.src = w->prev_src;
	reply->prev_nonce = be64_to_cpu(w->prev_nonce);
	return 0;
}

int berk_wire_encode(u8 *buf, size_t size, const struct berk_msg *msg)
{
	bool ctrl = msg->type == BERK_WIRE_T_CTRL;
	u16 body = ctrl ? msg->len : BERK_WIRE_PROBE;
	struct wire_head *head = (void *)buf;

	if (msg->type < BERK_WIRE_T_PROBE || msg->type > BERK_WIRE_T_CTRL)
		return -EINVAL;
	if (!msg->sender || !msg->nonce || !body || body > BERK_PAYLOAD_MAX)
		return -EINVAL;
	if (BERK_WIRE_FIXED + body > size)
		return -EMSGSIZE;

	memset(buf, 0, BERK_WIRE_FIXED + body);
	head->magic = cpu_to_be32(BERK_WIRE_MAGIC);
	head->version = BERK_WIRE_VERSION;
	head->type = msg->type;
	head->flags = cpu_to_be16(msg->flags);
	head->cluster = cpu_to_be64(msg->cluster);
	head->sender = cpu_to_be64(msg->sender);
	head->term = cpu_to_be32(msg->term);
	head->seq = cpu_to_be32(msg->seq);
	head->nonce = cpu_to_be64(msg->nonce);
	head->body = cpu_to_be16(body);

	if (ctrl)
		memcpy(buf + BERK_WIRE_HEAD, msg->payload, body);
	else if (msg->type == BERK_WIRE_T_REPLY)
		put_reply((void *)(buf + BERK_WIRE_HEAD), &msg->reply);
	return BERK_WIRE_FIXED + body;
}

int berk_wire_decode(struct berk_msg *msg, const u8 *buf, size_t len)
{
	const struct wire_head *head = (const void *)buf;
	const u8 *body = buf + BERK_WIRE_HEAD;
	size_t n;

	if (len <= BERK_WIRE_FIXED || len > BERK_WIRE_MAX)
		return -EINVAL;
	n = len - BERK_WIRE_FIXED;
	if (be32_to_cpu(head->magic) != BERK_WIRE_MAGIC || head->version != BERK_WIRE_VERSION)
		return -EINVAL;
	if (be16_to_cpu(head->body) != n || head->key || head->reserved ||
	    memchr_inv(body + n, 0, BERK_WIRE_TAG))
		return -EINVAL;
	if (!head->sender || !head->nonce)
		return -EINVAL;

	msg->type = head->type;
	msg->flags = be16_to_cpu(head->flags);
	msg->cluster = be64_to_cpu(head->cluster);
	msg->sender = be64_to_cpu(head->sender);
	msg->term = be32_to_cpu(head->term);
	msg->seq = be32_to_cpu(head->seq);
	msg->nonce = be64_to_cpu(head->nonce);
	msg->len = 0;
	msg->payload = NULL;

	switch (msg->type) {
	case BERK_WIRE_T_PROBE:
		return n != BERK_WIRE_PROBE || memchr_inv(body, 0, n) ? -EINVAL : 0;
	case BERK_WIRE_T_REPLY:
		return n != BERK_WIRE_PROBE ? -EINVAL : get_reply(&msg->reply, (const void *)body);
	case BERK_WIRE_T_CTRL:
		msg->len = n;
		msg->payload = body;
		return 0;
	}
	return -EINVAL;
}
