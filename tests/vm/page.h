/* SPDX-License-Identifier: GPL-2.0 */
/*
 * page: the memory that one guest shares with the host (an ivshmem device)
 *
 * Three independent conversations, each field written by one side only:
 *
 *   ping	the host relates its time stamp counter to the guest's
 *   ring	the guest publishes its CLOCK_REALTIME against its counter
 *   command	the host has a shell command run in the guest
 *
 * and the status of berk as the guest's sysfs shows it. Nothing here passes
 * through the guest's network or through anything that berk does.
 */
#ifndef VM_PAGE_H
#define VM_PAGE_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_MAGIC	0x6265726b
#define PAGE_RING	256
#define PAGE_STATUS	2048
#define PAGE_COMMAND	16384
#define PAGE_OUTPUT	65536
#define PAGE_SIZE	262144	/* of the device: a power of two */

/* One reading of the clock between two readings of the counter. */
struct page_pair {
	uint64_t tsc;		/* middle of the two */
	int64_t real_ns;
	uint64_t width;		/* their distance, counter ticks */
};

struct page {
	/* guest: set last, when the agent is ready; host: 0 while the machine is off or frozen */
	volatile uint32_t magic;

	/* ping: while ask is set the guest answers every change of ping at once */
	volatile uint32_t ask;		/* host */
	volatile uint32_t ready;	/* guest: it is answering */
	volatile uint32_t ping;		/* host */
	volatile uint32_t pong;		/* guest: the last ping answered */
	volatile uint32_t pad;
	volatile uint64_t pong_tsc;	/* guest: counter when it saw that ping */

	/* ring */
	volatile uint64_t head;		/* guest: pairs ever written */
	struct page_pair ring[PAGE_RING];

	/* command: one at a time; the host counts cmd_seq up, the guest follows */
	volatile uint32_t cmd_seq;	/* host */
	volatile uint32_t cmd_timeout_ms;
	volatile uint32_t cmd_done;	/* guest: cmd_seq of the one finished */
	volatile uint32_t cmd_status;	/* guest: of waitpid() */
	volatile uint32_t out_len;	/* guest: bytes produced, the last are kept */
	char command[PAGE_COMMAND];	/* host: for sh -c */
	char output[PAGE_OUTPUT];	/* guest: byte n is at n % PAGE_OUTPUT */

	/* status: "name value" lines; odd status_seq while it is written */
	volatile uint32_t status_seq;
	char status[PAGE_STATUS];
};

_Static_assert(sizeof(struct page) <= PAGE_SIZE, "page too small");

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

#endif /* VM_PAGE_H */
