// SPDX-License-Identifier: GPL-2.0
/* REPORT: samples. */
#include <errno.h>

#include "msg_priv.h"

#define HEAD_LEN	16
#define SAMPLE_LEN	96
#define SAMPLE_FLAGS	(BERK_SAMPLE_LOCAL_STEP | BERK_SAMPLE_PEER_STEP)

_Static_assert(HEAD_LEN + MSG_SAMPLES * SAMPLE_LEN <= MSG_MAX, "a report is too long");

static void put_stamp(unsigned char *p, const struct berk_stamp *stamp)
{
	put64(p, stamp->real_ns);
	put64(p + 8, stamp->raw_ns);
}

static struct berk_stamp get_stamp(const unsigned char *p)
{
	return (struct berk_stamp){ .real_ns = (int64_t)get64(p), .raw_ns = (int64_t)get64(p + 8) };
}

static void put_sample(unsigned char *p, const struct berk_sample *s)
{
	memset(p, 0, SAMPLE_LEN);
	put_stamp(p, &s->t1);
	put_stamp(p + 16, &s->t2);
	put_stamp(p + 32, &s->t3);
	put_stamp(p + 48, &s->t4);
	put32(p + 64, s->local_set_seq);
	put32(p + 68, s->peer_set_seq);
	put32(p + 72, s->round);
	p[76] = s->flags;
	memcpy(p + 77, s->src, sizeof(s->src));
}

static bool get_sample(struct berk_sample *s, const unsigned char *p)
{
	*s = (struct berk_sample){
		.t1 = get_stamp(p),
		.t2 = get_stamp(p + 16),
		.t3 = get_stamp(p + 32),
		.t4 = get_stamp(p + 48),
		.local_set_seq = get32(p + 64),
		.peer_set_seq = get32(p + 68),
		.round = get32(p + 72),
		.flags = p[76],
	};
	memcpy(s->src, p + 77, sizeof(s->src));
	for (size_t i = 0; i < sizeof(s->src); i++)
		if (s->src[i] > BERK_STAMP_SOFT)
			return false;
	return !(s->flags & ~SAMPLE_FLAGS) && all_zero(p + 81, SAMPLE_LEN - 81);
}

size_t msg_encode_report(const struct msg_report *r, unsigned char *buf)
{
	put16(buf + 2, 0);
	put32(buf + 4, r->term);
	put32(buf + 8, r->round);
	put16(buf + 12, r->n);
	put16(buf + 14, 0);
	for (unsigned int i = 0; i < r->n; i++)
		put_sample(buf + HEAD_LEN + i * SAMPLE_LEN, &r->sample[i]);
	return HEAD_LEN + r->n * SAMPLE_LEN;
}

int msg_decode_report(struct msg_report *r, const unsigned char *p, size_t len)
{
	if (len < HEAD_LEN || get16(p + 2) || get16(p + 14))
		return -EBADMSG;
	r->term = get32(p + 4);
	r->round = get32(p + 8);
	r->n = get16(p + 12);
	if (r->n < 1 || r->n > MSG_SAMPLES || len != HEAD_LEN + r->n * SAMPLE_LEN)
		return -EBADMSG;
	for (unsigned int i = 0; i < r->n; i++)
		if (!get_sample(&r->sample[i], p + HEAD_LEN + i * SAMPLE_LEN))
			return -EBADMSG;
	return 0;
}
