/* SPDX-License-Identifier: GPL-2.0 */
/*
 * msg: the control messages between daemons, as bytes
 *
 * Big-endian, fixed layout:
 *
 *  0 u8  version		MSG_VERSION
 *  1 u8  type			enum msg_type
 *  2 u16 flags (CORRECT)	status (ACK)
 *  4 u32 term
 *  8 u32 round
 *
 *	CORRECT, 80 bytes		ACK, 40 bytes
 * 12 u32 members			u32 current_term
 * 16 s64 ref_raw_ns			u32 current_round
 * 20					u32 0
 * 24 s64 ref_real_ns			s64 pending_ns
 * 32 s64 offset_ns			s64 freq, 1e-3 ppb
 * 40 s64 freq, 1e-3 ppb
 * 48 s64 sigma_ns
 * 56 s64 bound_ns
 * 64 s64 rate_sigma, 1e-3 ppb
 * 72 s64 interval_ns
 */
#ifndef BERK_MSG_H
#define BERK_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSG_VERSION	1
#define MSG_MAX		80	/* bytes of the longest */

enum msg_type {
	MSG_CORRECT = 1,
	MSG_ACK,
};

enum msg_status {
	MSG_APPLIED,
	MSG_DUPLICATE,		/* this round was applied before */
	MSG_STALE,		/* current_term, current_round are newer */
	MSG_REFUSED,		/* not from the master followed, or implausible */
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
	int64_t ref_raw_ns, ref_real_ns;	/* the receiver's clocks at one instant */
	int64_t offset_ns;	/* then; positive = the receiver is ahead of the group */
	double freq_ppb;	/* group time per receiver's RAW time, minus 1 */
	int64_t sigma_ns;	/* of the offset */
	int64_t bound_ns;	/* of what sigma cannot know: asymmetry of the paths */
	double rate_sigma_ppb;
	int64_t interval_ns;	/* until the next correction */
};

struct msg_ack {
	uint32_t term, round;	/* of the correction answered */
	enum msg_status status;
	uint32_t current_term, current_round;	/* last accepted */
	int64_t pending_ns;	/* still to slew; positive = ahead of the group */
	double freq_ppb;	/* correction in force without the slew */
};

struct msg {
	enum msg_type type;
	union {
		struct msg_correct correct;
		struct msg_ack ack;
	};
};

/* Returns the length, at most MSG_MAX. Values must be in the ranges msg_decode() accepts. */
size_t msg_encode(const struct msg *msg, unsigned char *buf);

/*
 * 0; -EPROTONOSUPPORT: another version; -EBADMSG: malformed or a value out of
 * range. After 0 every field is plausible by itself: times 0..2^62 ns, offsets
 * within +-2^61 ns, frequencies within +-1e6 ppb, interval 1 ms..1000 s.
 */
int msg_decode(struct msg *msg, const void *buf, size_t len);

#endif /* BERK_MSG_H */
