/* SPDX-License-Identifier: GPL-2.0 */
/*
 * msg: the control messages between daemons, as bytes
 *
 * Big-endian, fixed layout:
 *
 *  0 u8  version		MSG_VERSION
 *  1 u8  type			enum msg_type
 *  2 u16 flags (CORRECT, HELLO), status (ACK), 0 (REPORT)
 *  4 u32 term
 *  8 u32 round		(HELLO: claimed)
 *
 *	CORRECT, 88 bytes		ACK, 40 bytes
 * 12 u32 members			u32 current_term
 * 16 s64 ref_raw_ns			u32 current_round
 * 20					u32 0
 * 24 s64 ref_real_ns			s64 pending_ns
 * 32 s64 offset_ns			s64 freq, 1e-3 ppb
 * 40 s64 freq, 1e-3 ppb
 * 48 s64 sigma_ns
 * 56 s64 bound_ns
 * 64 s64 rate_sigma, 1e-3 ppb
 * 72 u32 interval, us
 * 76 u8  rank
 * 77 u8  n, of members told of
 * 78 u16 0
 * 80 u64 origin
 * 88 n of these, 32 bytes:
 *	 0 u64 node_id
 *	 8 address, 24 bytes: u16 family (4, 6), u16 port, u32 0, 16 bytes
 *
 *	HELLO, 80 bytes			REPORT
 * 12 u32 size				u16 n, u16 0
 * 16 u64 instance			n samples of 96 bytes:
 * 24 u64 master_id			 0 T1..T4, each s64 real, s64 raw
 * 32 u64 successor_id			64 u32 local_set_seq, u32 peer_set_seq
 * 40 u8  kind, u8 priority		72 u32 round
 * 42 u16 0				76 u8 flags, u8 src[4], 3 bytes 0
 * 44 u32 0				84 12 bytes 0
 * 48 address of the master
 * 72 u64 origin
 */
#ifndef BERK_MSG_H
#define BERK_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node.h"

#define MSG_VERSION	2
#define MSG_MAX		BERK_PAYLOAD_MAX	/* bytes of the longest */
#define MSG_TOLD	16	/* members that a correction can tell of */
#define MSG_SAMPLES	10	/* in one report */

enum msg_type {
	MSG_CORRECT = 1,
	MSG_ACK,
	MSG_HELLO,
	MSG_REPORT,
};

enum msg_status {
	MSG_APPLIED,
	MSG_DUPLICATE,		/* this round was applied before */
	MSG_STALE,		/* current_term, current_round are newer */
	MSG_REFUSED,		/* not from the master followed, or implausible */
};

/* One of the group, for those that may have to do with it. */
struct msg_member {
	uint64_t node_id;
	union node_addr addr;	/* link-local: without scope, on the wire */
};

/*
 * The group's time as a line in the receiver's own RAW time:
 *
 *	group(raw) = ref_real - offset + (raw - ref_raw) * (1 + freq)
 *
 * It holds whenever it arrives and however often, and whatever the receiver
 * does with its clock in between.
 */
struct msg_correct {
	uint32_t term, round;
	uint32_t members;	/* clocks averaged */
	bool rate_known;	/* false: freq means nothing, leave it as it is */
	bool may_step;		/* the receiver's RAW clock started anew */
	bool anew;		/* what the receiver knew of its crystal does not hold any more */
	bool want_ack;		/* what is not applied is answered anyway */
	bool steered;		/* the group follows a reference: its rate may change */
	int64_t ref_raw_ns, ref_real_ns;	/* the receiver's clocks at one instant */
	int64_t offset_ns;	/* then; positive = the receiver is ahead of the group */
	double freq_ppb;	/* group time per receiver's RAW time, minus 1 */
	int64_t sigma_ns;	/* of the offset */
	int64_t bound_ns;	/* of what sigma cannot know: asymmetry of the paths */
	double rate_sigma_ppb;
	int64_t interval_ns;	/* until the next correction; whole us */
	uint8_t rank;		/* of the receiver in the order of standbys; 0 = none */
	uint64_t origin;	/* of the group's time: a cluster, or 0 = outside */
	unsigned int n_told;
	struct msg_member told[MSG_TOLD];
};

struct msg_ack {
	uint32_t term, round;	/* of the correction answered */
	enum msg_status status;
	uint32_t current_term, current_round;	/* last accepted */
	int64_t pending_ns;	/* still to slew; positive = ahead of the group */
	double freq_ppb;	/* correction in force without the slew */
};

enum msg_hello_kind {
	MSG_ANNOUNCE,		/* this is how it is */
	MSG_ASK,		/* and with you? */
	MSG_CLAIM,		/* I want to be master in the term claimed */
	MSG_GRANT,		/* you may, in that term */
	MSG_DENY,		/* you may not */
	MSG_RESIGN,		/* I am not your master any more; successor_id should be */
};

/* What a node says of itself and of its group. */
struct msg_hello {
	enum msg_hello_kind kind;
	bool eligible, master, reference, report;
	bool synced;		/* it is in a group */
	uint8_t priority;
	uint32_t term;		/* newest seen */
	uint32_t claimed;	/* of CLAIM, GRANT, DENY */
	uint32_t size;		/* of its group: clocks averaged; 0 = none */
	uint64_t instance;	/* chosen at its start, not 0 */
	uint64_t master_id;	/* 0 = none */
	uint64_t successor_id;	/* of RESIGN; 0 = whoever */
	union node_addr master_addr;	/* AF_UNSPEC: unknown, or the sender */
	uint64_t origin;	/* of a reference's time: a cluster, or 0 = outside */
};

/* What one node measured of another, in its own orientation. */
struct msg_report {
	uint32_t term, round;
	unsigned int n;
	struct berk_sample sample[MSG_SAMPLES];	/* seq, node_id, peer, term, peer_flags: 0 */
};

struct msg {
	enum msg_type type;
	union {
		struct msg_correct correct;
		struct msg_ack ack;
		struct msg_hello hello;
		struct msg_report report;
	};
};

/* Returns the length, at most MSG_MAX. Values must be in the ranges msg_decode() accepts. */
size_t msg_encode(const struct msg *msg, unsigned char *buf);

/*
 * 0; -EPROTONOSUPPORT: another version; -EBADMSG: malformed or a value out of
 * range. After 0 every field is plausible by itself: times 0..2^62 ns, offsets
 * within +-2^61 ns, frequencies within +-1e6 ppb, interval 1 ms..1000 s,
 * addresses unicast with a port; stamps of samples are whatever was sent.
 */
int msg_decode(struct msg *msg, const void *buf, size_t len);

#endif /* BERK_MSG_H */
