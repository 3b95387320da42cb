// SPDX-License-Identifier: GPL-2.0
/* msg: control messages to bytes and back; see msg.h for the layout */
#include <endian.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "msg.h"

#define CORRECT_LEN	80
#define ACK_LEN		40

#define FLAG_RATE_KNOWN	0x0001
#define FLAG_MAY_STEP	0x0002
#define FLAG_ANEW	0x0004
#define FLAG_WANT_ACK	0x0008
#define FLAGS		(FLAG_RATE_KNOWN | FLAG_MAY_STEP | FLAG_ANEW | FLAG_WANT_ACK)

#define TIME_MAX	(INT64_C(1) << 62)
#define OFFSET_MAX	(INT64_C(1) << 61)
#define FREQ_MAX	INT64_C(1000000000)	/* 1e-3 ppb */
#define INTERVAL_MIN	INT64_C(1000000)
#define INTERVAL_MAX	INT64_C(1000000000000)

static void put16(unsigned char *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

static void put32(unsigned char *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static void put64(unsigned char *p, int64_t s)
{
	uint64_t v = htobe64((uint64_t)s);

	memcpy(p, &v, sizeof(v));
}

static uint16_t get16(const unsigned char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static int64_t get64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (int64_t)be64toh(v);
}

static bool within(int64_t v, int64_t min, int64_t max)
{
	return v >= min && v <= max;
}

static size_t encode_correct(const struct msg_correct *c, unsigned char *buf)
{
	put16(buf + 2, (c->rate_known ? FLAG_RATE_KNOWN : 0) | (c->may_step ? FLAG_MAY_STEP : 0) |
		       (c->anew ? FLAG_ANEW : 0) | (c->want_ack ? FLAG_WANT_ACK : 0));
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
	put64(buf + 72, c->interval_ns);
	return CORRECT_LEN;
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
	return msg->type == MSG_CORRECT ? encode_correct(&msg->correct, buf) :
					  encode_ack(&msg->ack, buf);
}

static int decode_correct(struct msg_correct *c, const unsigned char *p, size_t len)
{
	int64_t freq, rate_sigma;
	uint16_t flags;

	if (len != CORRECT_LEN)
		return -EBADMSG;
	flags = get16(p + 2);
	freq = get64(p + 40);
	rate_sigma = get64(p + 64);
	*c = (struct msg_correct){
		.rate_known = flags & FLAG_RATE_KNOWN,
		.may_step = flags & FLAG_MAY_STEP,
		.anew = flags & FLAG_ANEW,
		.want_ack = flags & FLAG_WANT_ACK,
		.term = get32(p + 4),
		.round = get32(p + 8),
		.members = get32(p + 12),
		.ref_raw_ns = get64(p + 16),
		.ref_real_ns = get64(p + 24),
		.offset_ns = get64(p + 32),
		.freq_ppb = (double)freq * 1e-3,
		.sigma_ns = get64(p + 48),
		.bound_ns = get64(p + 56),
		.rate_sigma_ppb = (double)rate_sigma * 1e-3,
		.interval_ns = get64(p + 72),
	};
	if (flags & ~FLAGS || !c->members ||
	    !within(c->ref_raw_ns, 0, TIME_MAX) || !within(c->ref_real_ns, 0, TIME_MAX) ||
	    !within(c->offset_ns, -OFFSET_MAX, OFFSET_MAX) || !within(freq, -FREQ_MAX, FREQ_MAX) ||
	    !within(c->sigma_ns, 0, OFFSET_MAX) || !within(c->bound_ns, 0, OFFSET_MAX) ||
	    !within(rate_sigma, 0, FREQ_MAX) ||
	    !within(c->interval_ns, INTERVAL_MIN, INTERVAL_MAX))
		return -EBADMSG;
	return 0;
}

static int decode_ack(struct msg_ack *a, const unsigned char *p, size_t len)
{
	int64_t freq;

	if (len != ACK_LEN || get16(p + 2) > MSG_REFUSED || get32(p + 20))
		return -EBADMSG;
	freq = get64(p + 32);
	*a = (struct msg_ack){
		.status = get16(p + 2),
		.term = get32(p + 4),
		.round = get32(p + 8),
		.current_term = get32(p + 12),
		.current_round = get32(p + 16),
		.pending_ns = get64(p + 24),
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
	default:
		return -EBADMSG;
	}
}
