// SPDX-License-Identifier: GPL-2.0
/*
 * flood: packets that a berk node must survive, as fast as they can be sent
 *
 * Usage: flood SOURCE TARGET N SEED
 *
 * N UDP packets from a raw socket to port BERK_PORT of TARGET (IPv4): good probes
 * of the cluster that cycle.c names, replies nobody asked for, control messages, and the
 * same with bits turned, cut short, too long, with false UDP lengths, or wholly random.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/berk.h>

#define CLUSTER 0x7465737400000001ULL
#define HEAD 48		/* kmod/wire.h draws the packet */
#define BODY 72
#define TAG 16

struct packet {
	struct udphdr udp;
	uint8_t data[2048];
};

static uint64_t seed;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (seed >> 33) % below;
}

static void put(uint8_t *at, uint64_t value, int bytes)
{
	while (bytes--) {
		at[bytes] = value;
		value >>= 8;
	}
}

/* A well-formed message of a type; returns its length. */
static size_t good(uint8_t *p, uint8_t type)
{
	size_t body = type == 3 ? 1 + rnd(BERK_PAYLOAD_MAX) : BODY;

	memset(p, 0, HEAD + body + TAG);
	memcpy(p, "BERK\1", 5);
	p[5] = type;
	put(p + 8, CLUSTER, 8);
	put(p + 16, 1000 + rnd(1000), 8);
	put(p + 24, rnd(10), 4);
	put(p + 28, rnd(1 << 30), 4);
	put(p + 32, 1 + rnd(1 << 30), 8);
	put(p + 40, body, 2);
	if (type == 3)
		for (size_t i = 0; i < body; i++)
			p[HEAD + i] = rnd(256);
	return HEAD + body + TAG;
}

int main(int argc, char **argv)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	unsigned int i, n;
	int fd;

	if (argc != 5 || inet_pton(AF_INET, argv[1], &from.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: flood SOURCE TARGET N SEED\n");
		return 2;
	}
	n = atoi(argv[3]);
	seed = strtoull(argv[4], NULL, 0);
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from))) {
		perror("flood");
		return 1;
	}
	for (i = 0; i < n; i++) {
		struct packet p;
		size_t len = good(p.data, 1 + rnd(10) * 3 / 10), said, k;
		uint32_t how = rnd(10);

		if (how == 0)		/* turn bits */
			for (k = 1 + rnd(8); k; k--)
				p.data[rnd(len)] ^= 1 << rnd(8);
		else if (how == 1)	/* cut */
			len = rnd(len);
		else if (how == 2)	/* pad */
			len += 1 + rnd(300);
		else if (how == 3)	/* noise */
			for (k = 0, len = rnd(1400); k < len; k++)
				p.data[k] = rnd(256);
		said = how == 4 ? rnd(2000) : sizeof(p.udp) + len;
		p.udp = (struct udphdr){
			.source = htons(how == 5 ? rnd(65536) : 1024 + rnd(64)),
			.dest = htons(BERK_PORT),
			.len = htons(said),
		};
		if (sendto(fd, &p, sizeof(p.udp) + len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 &&
		    errno != ENOBUFS && errno != EPERM) {
			perror("flood: sendto");
			return 1;
		}
	}
	printf("%u packets\n", n);
	return 0;
}
