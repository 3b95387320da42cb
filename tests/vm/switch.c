// SPDX-License-Identifier: GPL-2.0
/*
 * switch: an Ethernet switch that can be a bad one
 *
 * Usage: switch SEED SOCKET...
 *
 * Listens on one UNIX stream socket per port for a machine ("-netdev stream":
 * each frame after its length, 32 bits in network byte order), learns addresses
 * and forwards. It is the hop in the middle where a network goes wrong: each
 * direction of each port can lose, duplicate, delay and reorder frames. The same
 * SEED makes the same choices.
 *
 * Commands on standard input, each answered with one line; it ends with its input:
 *
 *	set PORT from|to|both [loss P] [dup P] [delay US] [jitter US] [reorder P]
 *		P from 0 to 1; a frame waits delay + U(0, jitter), and one that is
 *		reordered 25 ms more, so that later ones overtake it.
 *		"from" the machine, "to" it. What is not named becomes 0.
 *	segment PORT N
 *		Ports of one segment hear each other, and no others; all begin in 0.
 *	stats PORT	-> from N to N lost N duplicated N overtaken N overflowed N time N
 *		time: those "from" the machine that carry NTP, PTP or berk
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PORTS 16
#define MACS 64
#define FRAME_MAX 65536
#define QUEUE_MAX (256 * 1024)	/* bytes that wait for a machine to read them */
#define REORDER_NS 25000000
#define HEAP_MAX 8192		/* frames under way */

enum { FROM, TO };

struct fault {
	double loss, dup, reorder;
	uint64_t delay_ns, jitter_ns;
};

struct port {
	int listener, fd, segment;
	struct fault fault[2];
	uint8_t in[FRAME_MAX + 4];	/* the frame being received */
	size_t in_len;
	uint8_t out[QUEUE_MAX];		/* what the socket did not take yet */
	size_t out_len;
	uint64_t newest;		/* arrival number of the newest frame sent */
	uint64_t count[2], lost, duplicated, overtaken, overflowed, time;
};

struct frame {
	uint64_t due_ns, number;	/* number: in the order of arrival */
	struct port *to;
	uint32_t len;
	uint8_t data[];
};

static struct port port[PORTS];
static int ports;
static struct { uint8_t addr[6]; struct port *port; } mac[MACS];
static unsigned int macs;
static struct frame *heap[HEAP_MAX];
static unsigned int frames;
static uint64_t arrivals, seed;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* SplitMix64 (Steele, Lea, Flood 2014), uniform in [0, 1). */
static double uniform(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return ((z ^ z >> 31) >> 11) * 0x1p-53;
}

static void hang_up(struct port *p)
{
	close(p->fd);
	p->fd = -1;
	p->in_len = p->out_len = 0;
}

static void flush(struct port *p)
{
	ssize_t n = send(p->fd, p->out, p->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			hang_up(p);
		return;
	}
	p->out_len -= n;
	memmove(p->out, p->out + n, p->out_len);
}

static void transmit(const struct frame *f)
{
	struct port *p = f->to;
	uint32_t len = htonl(f->len);

	if (p->fd < 0)
		return;
	if (p->out_len + 4 + f->len > QUEUE_MAX) {
		p->overflowed++;
		return;
	}
	if (f->number < p->newest)
		p->overtaken++;
	else
		p->newest = f->number;
	p->count[TO]++;
	memcpy(p->out + p->out_len, &len, 4);
	memcpy(p->out + p->out_len + 4, f->data, f->len);
	p->out_len += 4 + f->len;
	flush(p);
}

static bool before(const struct frame *a, const struct frame *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void heap_push(struct frame *f)
{
	unsigned int i = frames++;

	for (; i && before(f, heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = f;
}

static struct frame *heap_pop(void)
{
	struct frame *top = heap[0], *last = heap[--frames];
	unsigned int i = 0, c;

	while ((c = 2 * i + 1) < frames) {
		if (c + 1 < frames && before(heap[c + 1], heap[c]))
			c++;
		if (!before(heap[c], last))
			break;
		heap[i] = heap[c];
		i = c;
	}
	heap[i] = last;
	return top;
}

/* How many copies of a frame pass: 0, 1 or 2. */
static int copies(struct port *p, const struct fault *f)
{
	if (f->loss > 0 && uniform() < f->loss) {
		p->lost++;
		return 0;
	}
	if (f->dup > 0 && uniform() < f->dup) {
		p->duplicated++;
		return 2;
	}
	return 1;
}

static uint64_t wait_ns(const struct fault *f)
{
	uint64_t wait = f->delay_ns;

	if (f->jitter_ns)
		wait += uniform() * f->jitter_ns;
	if (f->reorder > 0 && uniform() < f->reorder)
		wait += REORDER_NS;
	return wait;
}

static void send_copy(struct port *from, struct port *to, const uint8_t *data, uint32_t len)
{
	uint64_t wait = wait_ns(&from->fault[FROM]) + wait_ns(&to->fault[TO]);
	struct frame *f;

	if (frames == HEAP_MAX || !(f = malloc(sizeof(*f) + len))) {
		to->overflowed++;
		return;
	}
	f->due_ns = now_ns() + wait;
	f->number = arrivals;
	f->to = to;
	f->len = len;
	memcpy(f->data, data, len);
	heap_push(f);
}

static struct port *lookup(const uint8_t *addr)
{
	unsigned int i;

	for (i = 0; i < macs; i++)
		if (!memcmp(mac[i].addr, addr, 6))
			return mac[i].port;
	return NULL;
}

static void learn(const uint8_t *addr, struct port *p)
{
	if (addr[0] & 1 || lookup(addr) == p)
		return;
	/* A machine that moved, or one address too many: forget all, they come back. */
	if (lookup(addr) || macs == MACS)
		macs = 0;
	memcpy(mac[macs].addr, addr, 6);
	mac[macs++].port = p;
}

/* IPv4 or IPv6 without options, UDP, from or to the port of a time protocol. */
static bool carries_time(const uint8_t *data, uint32_t len)
{
	static const uint16_t known[] = { 123, 319, 320, 5525 };
	const uint8_t *udp;
	unsigned int i;

	if (len >= 42 && !memcmp(data + 12, "\x08\x00\x45", 3) && data[23] == IPPROTO_UDP)
		udp = data + 34;
	else if (len >= 62 && !memcmp(data + 12, "\x86\xdd", 2) && data[20] == IPPROTO_UDP)
		udp = data + 54;
	else
		return false;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if ((udp[0] << 8 | udp[1]) == known[i] || (udp[2] << 8 | udp[3]) == known[i])
			return true;
	return false;
}

static void receive(struct port *from, const uint8_t *data, uint32_t len)
{
	struct port *only;
	int i, n, m;

	from->count[FROM]++;
	from->time += carries_time(data, len);
	arrivals++;
	if (len < 14)
		return;
	learn(data + 6, from);
	only = data[0] & 1 ? NULL : lookup(data);
	for (n = copies(from, &from->fault[FROM]); n; n--)
		for (i = 0; i < ports; i++) {
			if (&port[i] == from || port[i].fd < 0 || (only && only != &port[i]) ||
			    port[i].segment != from->segment)
				continue;
			for (m = copies(&port[i], &port[i].fault[TO]); m; m--)
				send_copy(from, &port[i], data, len);
		}
}

static void read_port(struct port *p)
{
	ssize_t n = recv(p->fd, p->in + p->in_len, sizeof(p->in) - p->in_len, MSG_DONTWAIT);
	size_t at = 0;
	uint32_t len;

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			hang_up(p);
		return;
	}
	p->in_len += n;
	while (p->in_len - at >= 4) {
		memcpy(&len, p->in + at, 4);
		len = ntohl(len);
		if (len > FRAME_MAX) {
			hang_up(p);
			return;
		}
		if (p->in_len - at < 4 + len)
			break;
		receive(p, p->in + at + 4, len);
		at += 4 + len;
	}
	p->in_len -= at;
	memmove(p->in, p->in + at, p->in_len);
}

static const char *set_fault(struct port *p, char *args)
{
	char *dir = strtok_r(args, " \n", &args), *key, *value;
	struct fault f = { 0 };
	double v;

	while ((key = strtok_r(NULL, " \n", &args))) {
		value = strtok_r(NULL, " \n", &args);
		v = value ? atof(value) : -1;
		if (v < 0)
			return "error: a value that is not negative must follow each key";
		if (!strcmp(key, "loss"))
			f.loss = v;
		else if (!strcmp(key, "dup"))
			f.dup = v;
		else if (!strcmp(key, "delay"))
			f.delay_ns = v * 1000;
		else if (!strcmp(key, "jitter"))
			f.jitter_ns = v * 1000;
		else if (!strcmp(key, "reorder"))
			f.reorder = v;
		else
			return "error: keys are loss, dup, delay, jitter, reorder";
	}
	if (!dir || (strcmp(dir, "from") && strcmp(dir, "to") && strcmp(dir, "both")))
		return "error: from, to or both";
	if (strcmp(dir, "to"))
		p->fault[FROM] = f;
	if (strcmp(dir, "from"))
		p->fault[TO] = f;
	return "ok";
}

static const char *set_segment(struct port *p, char *args)
{
	char *number = strtok_r(args, " \n", &args);

	if (!number)
		return "error: the number of a segment must follow";
	p->segment = atoi(number);
	return "ok";
}

static void command(char *line)
{
	char *verb = strtok_r(line, " \n", &line), *arg = strtok_r(NULL, " \n", &line);
	int i = arg ? atoi(arg) : -1;
	struct port *p = i >= 0 && i < ports ? &port[i] : NULL;

	if (!p)
		puts("error: no such port");
	else if (!strcmp(verb, "set"))
		puts(set_fault(p, line));
	else if (!strcmp(verb, "segment"))
		puts(set_segment(p, line));
	else if (!strcmp(verb, "stats"))
		printf("from %lu to %lu lost %lu duplicated %lu overtaken %lu overflowed %lu time %lu\n",
		       p->count[FROM], p->count[TO], p->lost, p->duplicated, p->overtaken,
		       p->overflowed, p->time);
	else
		puts("error: set, segment or stats");
	fflush(stdout);
}

/* All lines that are there; false at the end of the input. */
static bool read_commands(void)
{
	static char buf[4096];
	static size_t len;
	ssize_t n = read(0, buf + len, sizeof(buf) - 1 - len);
	char *end;

	if (n <= 0)
		return false;
	len += n;
	buf[len] = '\0';
	while ((end = strchr(buf, '\n'))) {
		*end++ = '\0';
		command(buf);
		len -= end - buf;
		memmove(buf, end, len + 1);
	}
	return len < sizeof(buf) - 1;
}

static int listen_on(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(fd, 1))
		return -1;
	return fd;
}

static void deliver_due(void)
{
	struct frame *f;

	while (frames && heap[0]->due_ns <= now_ns()) {
		f = heap_pop();
		transmit(f);
		free(f);
	}
}

/* Waits for anything to do: two entries per port, and the commands. */
static int wait_for_work(struct pollfd *pfd)
{
	struct timespec ts, *timeout = NULL;
	uint64_t now = now_ns(), wait;
	int i;

	for (i = 0; i < ports; i++) {
		pfd[2 * i] = (struct pollfd){ .fd = port[i].listener, .events = POLLIN };
		pfd[2 * i + 1] = (struct pollfd){ .fd = port[i].fd,
			.events = POLLIN | (port[i].out_len ? POLLOUT : 0) };
	}
	pfd[2 * ports] = (struct pollfd){ .fd = 0, .events = POLLIN };
	if (frames) {
		wait = heap[0]->due_ns > now ? heap[0]->due_ns - now : 0;
		ts.tv_sec = wait / 1000000000;
		ts.tv_nsec = wait % 1000000000;
		timeout = &ts;
	}
	return ppoll(pfd, 2 * ports + 1, timeout, NULL);
}

int main(int argc, char **argv)
{
	struct pollfd pfd[2 * PORTS + 1];
	struct port *p;
	int i;

	ports = argc - 2;
	if (ports < 1 || ports > PORTS) {
		fprintf(stderr, "usage: switch SEED SOCKET... (up to %d)\n", PORTS);
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	for (i = 0; i < ports; i++) {
		port[i].fd = -1;
		port[i].listener = listen_on(argv[i + 2]);
		if (port[i].listener < 0) {
			fprintf(stderr, "switch: %s: %s\n", argv[i + 2], strerror(errno));
			return 1;
		}
	}
	puts("ok");
	fflush(stdout);

	for (;;) {
		if (wait_for_work(pfd) < 0 && errno != EINTR)
			return 1;
		if (pfd[2 * ports].revents && !read_commands())
			return 0;
		for (i = 0; i < ports; i++) {
			p = &port[i];
			if (pfd[2 * i].revents) {
				if (p->fd >= 0)
					hang_up(p);
				p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
				continue;
			}
			if (p->fd >= 0 && pfd[2 * i + 1].revents & POLLOUT)
				flush(p);
			if (p->fd >= 0 && pfd[2 * i + 1].revents & (POLLIN | POLLHUP | POLLERR))
				read_port(p);
		}
		deliver_due();
	}
}
