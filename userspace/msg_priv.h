/* SPDX-License-Identifier: GPL-2.0 */
/*
 * msg, inside: numbers in network byte order at any address, and the messages
 *
 * The encoders write all bytes but the first two and return the length; the
 * decoders get at least two bytes and return 0 or -EBADMSG.
 */
#ifndef BERK_MSG_PRIV_H
#define BERK_MSG_PRIV_H

#include <endian.h>
#include <string.h>

#include "msg.h"

#define MSG_ADDR_LEN 24

static inline void put16(unsigned char *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put32(unsigned char *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put64(unsigned char *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static inline uint16_t get16(const unsigned char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static inline uint32_t get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline uint64_t get64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static inline bool all_zero(const unsigned char *p, size_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

/* msg_hello.c */

/* MSG_ADDR_LEN bytes; AF_UNSPEC is all 0, a scope is dropped. */
void msg_put_addr(unsigned char *p, const union node_addr *addr);
/* False if it is neither AF_UNSPEC nor the address of one node, with its port. */
bool msg_get_addr(union node_addr *addr, const unsigned char *p);

size_t msg_encode_hello(const struct msg_hello *hello, unsigned char *buf);
int msg_decode_hello(struct msg_hello *hello, const unsigned char *p, size_t len);

/* msg_report.c */
size_t msg_encode_report(const struct msg_report *report, unsigned char *buf);
int msg_decode_report(struct msg_report *report, const unsigned char *p, size_t len);

#endif /* BERK_MSG_PRIV_H */
