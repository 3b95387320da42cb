// SPDX-License-Identifier: GPL-2.0
/*
 * truth: what the clocks of several machines really show at the same instant
 *
 * Usage: truth FD...	(one open page of page.h per machine)
 *
 * An emulated processor's time stamp counter is the host's plus a constant.
 * The host writes a ping at h0, the guest sees it when its counter is g, the host
 * sees the answer at h1: so the constant lies in [g - h1, g - h0]. All pings
 * of all time intersect; being preempted only makes one of them useless.
 * With the constant, the (counter, CLOCK_REALTIME) pairs that a guest publishes
 * around a host instant give its clock at that instant.
 *
 * Prints "khz N", the rate of the counter, then ten lines a second:
 *
 *	T C1 U1 C2 U2...
 *		T: the instant, s of the host's CLOCK_MONOTONIC.
 *		C: machine's clock at T minus a common time line, ns; "-" if unknown
 *		U: its uncertainty, +- ns
 *
 * and ends when its standard input does.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "page.h"

#define NODES 16
#define HISTORY 1024			/* pairs kept: 25 s */
#define PINGS 64			/* of one session */
#define GOOD_NS 600			/* a constant known this well is measured less often: */
#define REST 16
#define SKEW 256			/* ticks: between the host's processors */
#define PERIOD_NS 100000000LL
#define PATIENCE_NS 2000000000LL	/* then a machine counts as silent */

struct node {
	struct page *page;
	int64_t lo, hi;			/* guest counter minus ours */
	uint32_t ping;
	uint64_t seen;			/* pairs read */
	struct page_pair pair[HISTORY];
};

static struct node node[NODES];
static int nodes;
static double khz;

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static double ticks_to_ns(int64_t ticks)
{
	return ticks * 1e6 / khz;
}

static void sleep_ns(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

/* Counter and clock together: the tightest of several readings. */
static void read_both(clockid_t id, uint64_t *tsc, int64_t *ns)
{
	uint64_t a, b, best = UINT64_MAX;
	int64_t t;
	int i;

	for (i = 0; i < 50; i++) {
		a = rdtsc();
		t = clock_ns(id);
		b = rdtsc();
		if (b - a < best) {
			best = b - a;
			*tsc = a + (b - a) / 2;
			*ns = t;
		}
	}
}

static void measure_khz(void)
{
	uint64_t tsc0, tsc1;
	int64_t ns0, ns1;

	read_both(CLOCK_MONOTONIC_RAW, &tsc0, &ns0);
	sleep_ns(999999999);
	read_both(CLOCK_MONOTONIC_RAW, &tsc1, &ns1);
	khz = (tsc1 - tsc0) * 1e6 / (ns1 - ns0);
}

static bool ping(struct node *n)
{
	struct page *p = n->page;
	uint64_t h0, h1;
	int64_t lo, hi;

	h0 = rdtsc();
	p->ping = ++n->ping;
	do {
		h1 = rdtsc();
		if (ticks_to_ns(h1 - h0) > 1e6)
			return false;
	} while (p->pong != n->ping);
	h1 = rdtsc();

	lo = p->pong_tsc - h1 - SKEW;
	hi = p->pong_tsc - h0 + SKEW;
	if (lo > n->hi || hi < n->lo) {
		fprintf(stderr, "truth: machine %d: its counter moved against ours by %.0f ns\n",
			(int)(n - node) + 1, ticks_to_ns(lo > n->hi ? lo - n->hi : hi - n->lo));
		n->lo = lo;
		n->hi = hi;
	}
	if (lo > n->lo)
		n->lo = lo;
	if (hi < n->hi)
		n->hi = hi;
	return true;
}

/* A machine that is off or frozen: its counter is another one when it comes back. */
static bool is_up(struct node *n)
{
	if (n->page->magic == PAGE_MAGIC)
		return true;
	n->lo = INT64_MIN;
	n->hi = INT64_MAX;
	return false;
}

static void ping_session(struct node *n)
{
	int i;

	n->page->ask = 1;
	for (i = 0; i < 100 && !n->page->ready; i++)
		sleep_ns(500000);
	for (i = 0; i < PINGS && n->page->ready && ping(n); i++)
		;
	n->page->ask = 0;
}

static void read_ring(struct node *n)
{
	uint64_t head = n->page->head;

	if (head > n->seen + PAGE_RING - 1)
		n->seen = head - PAGE_RING + 1;
	for (; n->seen < head; n->seen++)
		n->pair[n->seen % HISTORY] = n->page->ring[n->seen % PAGE_RING];
}

/* The clock minus line_ns when our counter was tsc; false if no pairs lie around it (yet). */
static bool clock_at(const struct node *n, uint64_t tsc, int64_t line_ns, double *ahead_ns,
		     double *unc_ns)
{
	uint64_t g = tsc + n->lo + (n->hi - n->lo) / 2, i;
	const struct page_pair *a, *b;

	if (n->lo == INT64_MIN)
		return false;
	for (i = n->seen; i > 1 && i + HISTORY > n->seen + 1; i--) {
		a = &n->pair[(i - 2) % HISTORY];
		b = &n->pair[(i - 1) % HISTORY];
		if (b->tsc < g)
			return false;
		if (a->tsc > g)
			continue;
		*ahead_ns = (a->real_ns - line_ns) + (double)(b->real_ns - a->real_ns) *
			    (g - a->tsc) / (b->tsc - a->tsc);
		*unc_ns = ticks_to_ns((n->hi - n->lo) +
				      (a->width > b->width ? a->width : b->width)) / 2;
		return true;
	}
	return false;
}

/* One line for the instant tsc; false if it, or a machine that is up, is not there yet. */
static bool report(uint64_t tsc, double t_s, int64_t line_ns)
{
	double ahead[NODES], unc[NODES];
	double age_ns = ticks_to_ns(rdtsc() - tsc);
	bool known[NODES];
	int i;

	if (age_ns < 0)
		return false;
	for (i = 0; i < nodes; i++) {
		known[i] = clock_at(&node[i], tsc, line_ns, &ahead[i], &unc[i]);
		if (!known[i] && age_ns < PATIENCE_NS && is_up(&node[i]))
			return false;
	}
	printf("%.3f", t_s);
	for (i = 0; i < nodes; i++)
		if (known[i])
			printf(" %.0f %.0f", ahead[i], unc[i]);
		else
			printf(" - -");
	putchar('\n');
	fflush(stdout);
	return true;
}

static bool wanted(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char c;

	return poll(&in, 1, 0) <= 0 || read(0, &c, 1) > 0;
}

int main(int argc, char **argv)
{
	int64_t mono, real, k;
	uint64_t start;
	int i;

	nodes = argc - 1;
	if (nodes < 1 || nodes > NODES) {
		fprintf(stderr, "usage: truth FD... (up to %d)\n", NODES);
		return 2;
	}
	for (i = 0; i < nodes; i++) {
		node[i].page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
				    atoi(argv[i + 1]), 0);
		if (node[i].page == MAP_FAILED) {
			fprintf(stderr, "truth: fd %s: %s\n", argv[i + 1], strerror(errno));
			return 1;
		}
		node[i].lo = INT64_MIN;
		node[i].hi = INT64_MAX;
	}
	measure_khz();
	printf("khz %.0f\n", khz);
	fflush(stdout);

	read_both(CLOCK_MONOTONIC, &start, &mono);
	real = clock_ns(CLOCK_REALTIME);
	for (i = k = 0; wanted(); i++) {
		struct node *n = &node[i % nodes];
		int64_t since_ns = k * PERIOD_NS;

		if (is_up(n) && (i / nodes % REST == 0 || n->lo == INT64_MIN ||
				 ticks_to_ns(n->hi - n->lo) > GOOD_NS))
			ping_session(n);
		for (int j = 0; j < nodes; j++)
			read_ring(&node[j]);
		if (report(start + since_ns * (khz / 1e6), (mono + since_ns) / 1e9, real + since_ns))
			k++;
		else
			sleep_ns(PERIOD_NS / 4);
	}
	return 0;
}
