// SPDX-License-Identifier: GPL-2.0
/*
 * bench_load: the same load each time
 *
 * Usage: bench_load cpu PERCENT		keep a processor busy
 *	  bench_load udp ADDRESS KBIT	datagrams, 20 at a time
 *	  bench_load tcp ADDRESS KBIT	a stream, 64 kB at a time
 *	  bench_load sink			receive and forget both
 *
 * Works in periods of fixed length, and skips those for which it comes too late.
 * Runs until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 9000
#define NS 1000000000LL
#define CPU_PERIOD_NS 20000000
#define DATAGRAM 1400
#define DATAGRAMS 20
#define CHUNK 65536
#define STREAMS 16

static char data[CHUNK];

static void die(const char *what)
{
	fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

/* Until the next period begins; *next is when that is. */
static void wait_period(long long *next, long long period)
{
	struct timespec ts;

	*next += period;
	if (*next < now_ns())
		*next = now_ns();
	ts = (struct timespec){ *next / NS, *next % NS };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void load_cpu(int percent)
{
	long long next = now_ns();

	for (;;) {
		while (now_ns() < next + CPU_PERIOD_NS / 100 * percent)
			;
		wait_period(&next, CPU_PERIOD_NS);
	}
}

static int open_socket(int type, const char *address)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, type, 0), one = 1;

	if (fd < 0)
		die("socket");
	if (address) {
		if (inet_pton(AF_INET, address, &sin.sin_addr) != 1 ||
		    connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
			die(address);
		return fd;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ||
	    (type == SOCK_STREAM && listen(fd, STREAMS)))
		die("bind");
	return fd;
}

static void load_net(int type, const char *address, int kbit)
{
	int udp = type == SOCK_DGRAM, i;
	long long bytes = udp ? DATAGRAMS * DATAGRAM : CHUNK;
	long long period = bytes * 8 * NS / (kbit * 1000LL), next = now_ns();
	int fd = open_socket(type, address);

	for (;;) {
		for (i = 0; i < (udp ? DATAGRAMS : 1); i++)
			if (send(fd, data, udp ? DATAGRAM : CHUNK, MSG_NOSIGNAL) < 0 && !udp)
				die("send");
		wait_period(&next, period);
	}
}

static void sink(void)
{
	struct pollfd pfd[2 + STREAMS] = {
		{ open_socket(SOCK_DGRAM, NULL), POLLIN, 0 },
		{ open_socket(SOCK_STREAM, NULL), POLLIN, 0 },
	};
	int n = 2, i;

	for (;;) {
		if (poll(pfd, n, -1) < 0)
			die("poll");
		for (i = 0; i < n; i++) {
			if (!pfd[i].revents)
				continue;
			if (i != 1 && recv(pfd[i].fd, data, CHUNK, 0) <= 0 && i > 1) {
				close(pfd[i].fd);
				pfd[i] = pfd[--n];
			} else if (i == 1 && n < 2 + STREAMS) {
				pfd[n++] = (struct pollfd){ accept(pfd[1].fd, NULL, NULL), POLLIN, 0 };
			}
		}
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int rate = argc > 2 ? atoi(argv[argc - 1]) : 0;

	if (!strcmp(what, "sink") && argc == 2)
		sink();
	else if (!strcmp(what, "cpu") && argc == 3 && rate > 0)
		load_cpu(rate);
	else if (!strcmp(what, "udp") && argc == 4 && rate > 0)
		load_net(SOCK_DGRAM, argv[2], rate);
	else if (!strcmp(what, "tcp") && argc == 4 && rate > 0)
		load_net(SOCK_STREAM, argv[2], rate);
	fputs("usage: bench_load cpu PERCENT | udp ADDRESS KBIT | tcp ADDRESS KBIT | sink\n", stderr);
	return 2;
}
