/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wire: the packets of berk, version 1
 *
 * All numbers in network byte order, times signed, in ns. Every packet is
 * header, body, tag:
 *
 *   at  size
 *    0   4   magic "BERK"
 *    4   1   version, 1
 *    5   1   type: 1 PROBE, 2 REPLY, 3 CTRL
 *    6   2   flags of the sender, BERK_F_*
 *    8   8   cluster id
 *   16   8   node id of the sender, not 0
 *   24   4   term of the sender
 *   28   4   sequence; a reply echoes that of the probe
 *   32   8   nonce, random, not 0; a reply echoes that of the probe
 *   40   2   length of the body
 *   42   2   key id; 0 = not authenticated, the only one so far
 *   44   4   0
 *   48   n   body
 *  48+n 16   authentication tag; 0 with key id 0
 *
 * Body of a PROBE: 72 bytes of 0, so that an answer is never larger than what
 * it answers. Body of a REPLY, 72 bytes:
 *
 *    0  16   T2, arrival of the probe: CLOCK_REALTIME, CLOCK_MONOTONIC_RAW
 *   16  16   T3 as known before sending, the same two
 *   32   8   nonce of the reply before this one to the same address, or 0
 *   40  16   T3 of that one as the driver stamped it, the same two
 *   56   4   how often the sender's clock had been set, at T2
 *   60   4   ... at T3
 *   64   4   ... at T3 of the reply before
 *   68   1   source of T2, enum berk_stamp_src
 *   69   1   source of T3 of the reply before; 0 with nonce 0
 *   70   2   0
 *
 * Body of a CTRL: 1 to BERK_PAYLOAD_MAX bytes that only the daemons understand.
 */
#ifndef BERK_WIRE_H
#define BERK_WIRE_H

#include <linux/berk.h>
#include <linux/types.h>

#define BERK_WIRE_MAGIC		0x4245524b
#define BERK_WIRE_VERSION	1
#define BERK_WIRE_HEAD		48
#define BERK_WIRE_PROBE		72	/* body of a probe, and of a reply */
#define BERK_WIRE_TAG		16
#define BERK_WIRE_FIXED		(BERK_WIRE_HEAD + BERK_WIRE_TAG)
#define BERK_WIRE_MAX		(BERK_WIRE_FIXED + BERK_PAYLOAD_MAX)

enum berk_wire_type {
	BERK_WIRE_T_PROBE = 1,
	BERK_WIRE_T_REPLY,
	BERK_WIRE_T_CTRL,
};

/* A stamp with what is needed to judge it. */
struct berk_mark {
	struct berk_stamp at;
	u32 set_seq;		/* how often the clock had been set */
	u8 src;			/* enum berk_stamp_src */
};

struct berk_reply {
	struct berk_mark t2;
	struct berk_mark t3;		/* src is always BERK_STAMP_SOFT */
	struct berk_mark prev_t3;	/* src NONE: there is none */
	u64 prev_nonce;
};

struct berk_msg {
	u64 cluster;
	u64 sender;
	u64 nonce;
	u32 term;
	u32 seq;
	u16 flags;
	u8 type;
	u16 len;			/* CTRL: of payload */
	const u8 *payload;		/* CTRL: points into the packet */
	struct berk_reply reply;	/* REPLY */
};

/**
 * berk_wire_encode() - write a message as the bytes of a packet
 * @buf: where to
 * @size: room in @buf; BERK_WIRE_MAX is always enough
 * @msg: what to write; of a PROBE everything but the header is ignored
 *
 * Return: length of the packet, -EINVAL if @msg is none, -EMSGSIZE if it does
 * not fit.
 */
int berk_wire_encode(u8 *buf, size_t size, const struct berk_msg *msg);

/**
 * berk_wire_decode() - read the bytes of a packet
 * @msg: filled in only as far as the type has fields; undefined on error
 * @buf: the packet; must outlive @msg, whose payload points into it
 * @len: its length
 *
 * Strict: one version, exact lengths, every byte without a meaning 0, stamps of
 * a source that they can have.
 *
 * Return: 0, or -EINVAL for anything else.
 */
int berk_wire_decode(struct berk_msg *msg, const u8 *buf, size_t len);

#endif /* BERK_WIRE_H */
