// SPDX-License-Identifier: GPL-2.0
/* msg: control messages to bytes and back; see msg.h for the layout */
#include <errno.h>
#include <math.h>

#include "msg_priv.h"

#define CORRECT_LEN	88	/* without the members that it tells of */
#define TOLD_LEN	(8 + MSG_ADDR_LEN)
#define ACK_LEN		40

#define FLAG_RATE_KNOWN	0x0001
#define FLAG_MAY_STEP	0x0002
#define FLAG_ANEW	0x0004
#define FLAG_WANT_ACK	0x0008
#define FLAG_STEERED	0x0010
#define FLAGS		(FLAG_RATE_KNOWN | FLAG_MAY_STEP | FLAG_ANEW | FLAG_WANT_ACK | FLAG_STEERED)

#define TIME_MAX	(INT64_C(1) << 62)
#define OFFSET_MAX	(INT64_C(1) << 61)
#define FREQ_MAX	INT64_C(1000000000)	/* 1e-3 ppb */
#define INTERVAL_MIN	INT64_C(1000)	/* us */
#define INTERVAL_MAX	INT64_C(1000000000)

_Static_assert(CORRECT_LEN + MSG_TOLD * TOLD_LEN <= MSG_MAX, "a correction is too long");

static bool within(int64_t v, int64_t min, int64_t max)
{
	return v >= min && v <= max;
}

static size_t encode_correct(const struct msg_correct *c, unsigned char *buf)
{
	put16(buf + 2, (c->rate_known ? FLAG_RATE_KNOWN : 0) | (c->may_step ? FLAG_MAY_STEP : 0) |
		       (c->anew ? FLAG_ANEW : 0) | (c->want_ack ? FLAG_WANT_ACK : 0) |
		       (c->steered ? FLAG_STEERED : 0));
	put32(buf + 4, c->term);
	put32(buf + 8, c->round);
	put32(buf + 12, c->members);
	put64(buf + 16, c->ref_raw_ns);
	put64(buf + 24, c->ref_real_ns);
	put64(buf + 32, c->offset_ns);
	put64(buf + 40, llrint(c->freq_ppb * 1e3));
	put64(buf + 48, c->sigma_ns);
	put64(buf + 56, c->bound_ns);
	put64(buf + 64, llrint(c->rate_sigma_ppb * 1e3));
	put32(buf + 72, c->interval_ns / 1000);
	buf[76] = c->rank;
	buf[77] = c->n_told;
	put16(buf + 78, 0);
	put64(buf + 80, (int64_t)c->origin);
	for (unsigned int i = 0; i < c->n_told; i++) {
		put64(buf + CORRECT_LEN + i * TOLD_LEN, c->told[i].node_id);
		msg_put_addr(buf + CORRECT_LEN + i * TOLD_LEN + 8, &c->told[i].addr);
	}
	return CORRECT_LEN + c->n_told * TOLD_LEN;
}

static size_t encode_ack(const struct msg_ack *a, unsigned char *buf)
{
	put16(buf + 2, a->status);
	put32(buf + 4, a->term);
	put32(buf + 8, a->round);
	put32(buf + 12, a->current_term);
	put32(buf + 16, a->current_round);
	put32(buf + 20, 0);
	put64(buf + 24, a->pending_ns);
	put64(buf + 32, llrint(a->freq_ppb * 1e3));
	return ACK_LEN;
}

size_t msg_encode(const struct msg *msg, unsigned char *buf)
{
	buf[0] = MSG_VERSION;
	buf[1] = msg->type;
	switch (msg->type) {
	case MSG_CORRECT:
		return encode_correct(&msg->correct, buf);
	case MSG_ACK:
		return encode_ack(&msg->ack, buf);
	case MSG_HELLO:
		return msg_encode_hello(&msg->hello, buf);
	default:
		return msg_encode_report(&msg->report, buf);
	}
}

static bool decode_told(struct msg_member *told, const unsigned char *p)
{
	told->node_id = get64(p);
	return told->node_id && msg_get_addr(&told->addr, p + 8) && told->addr.sa.sa_family;
}

static int decode_correct(struct msg_correct *c, const unsigned char *p, size_t len)
{
	int64_t freq, rate_sigma, interval_us;
	uint16_t flags;

	if (len < CORRECT_LEN || p[77] > MSG_TOLD || get16(p + 78) ||
	    len != CORRECT_LEN + (size_t)p[77] * TOLD_LEN)
		return -EBADMSG;
	flags = get16(p + 2);
	freq = (int64_t)get64(p + 40);
	rate_sigma = (int64_t)get64(p + 64);
	interval_us = get32(p + 72);
	*c = (struct msg_correct){
		.rate_known = flags & FLAG_RATE_KNOWN,
		.may_step = flags & FLAG_MAY_STEP,
		.anew = flags & FLAG_ANEW,
		.want_ack = flags & FLAG_WANT_ACK,
		.steered = flags & FLAG_STEERED,
		.term = get32(p + 4),
		.round = get32(p + 8),
		.members = get32(p + 12),
		.ref_raw_ns = (int64_t)get64(p + 16),
		.ref_real_ns = (int64_t)get64(p + 24),
		.offset_ns = (int64_t)get64(p + 32),
		.freq_ppb = (double)freq * 1e-3,
		.sigma_ns = (int64_t)get64(p + 48),
		.bound_ns = (int64_t)get64(p + 56),
		.rate_sigma_ppb = (double)rate_sigma * 1e-3,
		.interval_ns = interval_us * 1000,
		.rank = p[76],
		.origin = get64(p + 80),
		.n_told = p[77],
	};
	if (flags & ~FLAGS || !c->members ||
	    !within(c->ref_raw_ns, 0, TIME_MAX) || !within(c->ref_real_ns, 0, TIME_MAX) ||
	    !within(c->offset_ns, -OFFSET_MAX, OFFSET_MAX) || !within(freq, -FREQ_MAX, FREQ_MAX) ||
	    !within(c->sigma_ns, 0, OFFSET_MAX) || !within(c->bound_ns, 0, OFFSET_MAX) ||
	    !within(rate_sigma, 0, FREQ_MAX) || !within(interval_us, INTERVAL_MIN, INTERVAL_MAX))
		return -EBADMSG;
	for (unsigned int i = 0; i < c->n_told; i++)
		if (!decode_told(&c->told[i], p + CORRECT_LEN + i * TOLD_LEN))
			return -EBADMSG;
	return 0;
}

static int decode_ack(struct msg_ack *a, const unsigned char *p, size_t len)
{
	int64_t freq;

	if (len != ACK_LEN || get16(p + 2) > MSG_REFUSED || get32(p + 20))
		return -EBADMSG;
	freq = (int64_t)get64(p + 32);
	*a = (struct msg_ack){
		.status = get16(p + 2),
		.term = get32(p + 4),
		.round = get32(p + 8),
		.current_term = get32(p + 12),
		.current_round = get32(p + 16),
		.pending_ns = (int64_t)get64(p + 24),
		.freq_ppb = (double)freq * 1e-3,
	};
	if (!within(a->pending_ns, -OFFSET_MAX, OFFSET_MAX) || !within(freq, -FREQ_MAX, FREQ_MAX))
		return -EBADMSG;
	return 0;
}

int msg_decode(struct msg *msg, const void *buf, size_t len)
{
	const unsigned char *p = buf;

	if (len < 2)
		return -EBADMSG;
	if (p[0] != MSG_VERSION)
		return -EPROTONOSUPPORT;
	switch (p[1]) {
	case MSG_CORRECT:
		msg->type = MSG_CORRECT;
		return decode_correct(&msg->correct, p, len);
	case MSG_ACK:
		msg->type = MSG_ACK;
		return decode_ack(&msg->ack, p, len);
	case MSG_HELLO:
		msg->type = MSG_HELLO;
		return msg_decode_hello(&msg->hello, p, len);
	case MSG_REPORT:
		msg->type = MSG_REPORT;
		return msg_decode_report(&msg->report, p, len);
	default:
		return -EBADMSG;
	}
}
