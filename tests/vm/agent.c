// SPDX-License-Identifier: GPL-2.0
/*
 * agent: PID 1 of a test machine
 *
 * Loads the modules that /modules/order names, then serves the shared page
 * (page.h): answers pings, publishes the clock, runs commands.
 *
 * Called as "agent settime SECONDS" or "agent step SECONDS" it sets or steps
 * CLOCK_REALTIME, as somebody else's hand would; as "agent synced" it tells the kernel
 * that this clock is right, as the program would that keeps it so.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "page.h"

#define NS 1000000000LL
#define TICK_NS (25 * 1000 * 1000)
#define STATUS_TICKS 8		/* every 200 ms */
#define PING_TICKS 20000000	/* counter ticks: some ms for one session */

static struct page *page;

static struct {
	pid_t pid;
	int out;
	int64_t deadline_ns;
	uint32_t seq;
} cmd = { .out = -1 };

static int64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

/* PID 1 that ends is a kernel panic, which ends the machine: what is wanted. */
static void die(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int set_clock(const char *verb, const char *arg)
{
	struct timespec ts = { 0 };
	int64_t ns = (int64_t)(strtold(arg, NULL) * NS);

	if (!strcmp(verb, "step")) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ns += ts.tv_sec * NS + ts.tv_nsec;
	}
	ts.tv_sec = ns / NS;
	ts.tv_nsec = ns % NS;
	if (clock_settime(CLOCK_REALTIME, &ts))
		die("clock_settime");
	return 0;
}

static int mark_synced(void)
{
	struct timex tx = {
		.modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR,
		.maxerror = 10,
		.esterror = 1,
	};

	if (adjtimex(&tx) < 0)
		die("adjtimex");
	return 0;
}

static void load_modules(void)
{
	char name[256];
	FILE *f = fopen("/modules/order", "r");
	int fd;

	while (f && fscanf(f, "%255s", name) == 1) {
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
			die(name);
		close(fd);
	}
	if (f)
		fclose(f);
}

static int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	while (n > 0 && buf[n - 1] == '\n')
		buf[--n] = '\0';
	return n;
}

/* The BAR 2 of the ivshmem device. */
static struct page *map_page(void)
{
	static const char bus[] = "/sys/bus/pci/devices";
	DIR *d = opendir(bus);
	struct dirent *e;
	char path[300], id[16];
	void *p = MAP_FAILED;
	int fd;

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s/device", bus, e->d_name);
		if (read_file(path, id, sizeof(id)) < 0 || strcmp(id, "0x1110"))
			continue;
		snprintf(path, sizeof(path), "%s/%s/enable", bus, e->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "1", 1) != 1)
			die(path);
		close(fd);
		snprintf(path, sizeof(path), "%s/%s/resource2", bus, e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			p = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		break;
	}
	if (p == MAP_FAILED)
		die("ivshmem");
	return p;
}

/* Answers pings until the host has enough, or for a few ms. */
static void serve_ping(void)
{
	uint64_t end = rdtsc() + PING_TICKS, now;
	uint32_t last = page->pong, ping;

	page->ready = 1;
	do {
		ping = page->ping;
		now = rdtsc();
		if (ping != last) {
			page->pong_tsc = now;
			page->pong = last = ping;
		}
	} while (page->ask && now < end);
	page->ready = 0;
}

/* The tightest of several readings. */
static void publish_pair(void)
{
	struct page_pair best = { .width = UINT64_MAX };
	struct timespec ts;
	uint64_t a, b;
	int i;

	for (i = 0; i < 8; i++) {
		a = rdtsc();
		clock_gettime(CLOCK_REALTIME, &ts);
		b = rdtsc();
		if (b - a < best.width) {
			best.width = b - a;
			best.tsc = a + (b - a) / 2;
			best.real_ns = ts.tv_sec * NS + ts.tv_nsec;
		}
	}
	page->ring[page->head % PAGE_RING] = best;
	__sync_synchronize();
	page->head++;
}

static void publish_status(void)
{
	static const char dir[] = "/sys/kernel/berk";
	char text[PAGE_STATUS] = "", path[300], value[128];
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] == '.' || read_file(path, value, sizeof(value)) < 0)
			continue;
		n += snprintf(text + n, sizeof(text) - n, "%s %s\n", e->d_name, value);
		if (n >= sizeof(text))
			break;
	}
	if (d)
		closedir(d);
	page->status_seq++;
	__sync_synchronize();
	memcpy(page->status, text, sizeof(text));
	__sync_synchronize();
	page->status_seq++;
}

static void start_command(void)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		die("pipe");
	cmd.seq = page->cmd_seq;
	cmd.deadline_ns = monotonic_ns() + page->cmd_timeout_ms * 1000000LL;
	page->out_len = 0;
	cmd.pid = fork();
	if (cmd.pid < 0)
		die("fork");
	if (!cmd.pid) {
		setsid();
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(fd[1], 1);
		dup2(fd[1], 2);
		execl("/bin/sh", "sh", "-c", page->command, NULL);
		_exit(127);
	}
	close(fd[1]);
	cmd.out = fd[0];
	fcntl(cmd.out, F_SETFL, O_NONBLOCK);
}

static void read_output(void)
{
	char buf[4096];
	ssize_t n, i;

	while (cmd.out >= 0 && (n = read(cmd.out, buf, sizeof(buf))) > 0) {
		for (i = 0; i < n; i++)
			page->output[(page->out_len + i) % PAGE_OUTPUT] = buf[i];
		page->out_len += n;
	}
}

static void serve_command(void)
{
	int status;
	pid_t pid;

	if (!cmd.pid && page->cmd_seq != page->cmd_done)
		start_command();
	read_output();
	if (cmd.pid && monotonic_ns() > cmd.deadline_ns)
		kill(-cmd.pid, SIGKILL);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != cmd.pid)
			continue;
		read_output();
		close(cmd.out);
		cmd.out = -1;
		cmd.pid = 0;
		page->cmd_status = status;
		__sync_synchronize();
		page->cmd_done = cmd.seq;
	}
}

static void serve(void)
{
	struct timespec tick = { .tv_nsec = TICK_NS };
	unsigned int n;

	page->magic = PAGE_MAGIC;
	for (n = 0;; n++) {
		publish_pair();
		if (page->ask)
			serve_ping();
		serve_command();
		if (n % STATUS_TICKS == 0)
			publish_status();
		nanosleep(&tick, NULL);
	}
}

int main(int argc, char **argv)
{
	/* Above all others, so that the truth is published under any load. */
	struct sched_param prio = { .sched_priority = 1 };

	if (argc == 3 && (!strcmp(argv[1], "step") || !strcmp(argv[1], "settime")))
		return set_clock(argv[1], argv[2]);
	if (argc == 2 && !strcmp(argv[1], "synced"))
		return mark_synced();
	if (getpid() != 1) {
		fprintf(stderr, "usage: agent step|settime SECONDS, agent synced\n");
		return 2;
	}
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("run", "/run", "tmpfs", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
	setenv("PATH", "/bin", 1);
	load_modules();
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &prio);
	page = map_page();
	serve();
}
