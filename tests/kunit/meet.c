// SPDX-License-Identifier: GPL-2.0
/*
 * meet NETNS DEVICE greet|seek - two nodes that know only their network, for tests
 *
 * "seek" calls everybody near until somebody who greets has answered over IPv4 and
 * over IPv6; on the way it checks what is answered, refused and forgotten. "greet"
 * answers until it hears "bye".
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nl.h"

#define TRIES 100

static struct bnl *nl;
static uint64_t our_id;
static unsigned int device;
static union node_addr found[2];	/* IPv4, IPv6 */
static bool bye;

static union node_addr group(bool v6)
{
	union node_addr addr = { .in = { .sin_family = AF_INET, .sin_port = htons(BERK_PORT) } };

	if (!v6) {
		addr.in.sin_addr.s_addr = htonl(BERK_MCAST_IN4);
		return addr;
	}
	addr.in6.sin6_family = AF_INET6;
	inet_pton(AF_INET6, BERK_MCAST_IN6, &addr.in6.sin6_addr);
	return addr;
}

static void check(bool ok, const char *what)
{
	if (!ok)
		errx(1, "%s (%s)", what, bnl_error(nl));
}

static void call(const char *word)
{
	for (int v6 = 0; v6 < 2; v6++) {
		union node_addr to = group(v6);

		check(!bnl_send(nl, &to, device, word, strlen(word)), "calling");
	}
}

static void on_event(void *arg, const struct bnl_event *ev)
{
	const union node_addr *from = &ev->ctrl.addr;
	bool v6 = from->sa.sa_family == AF_INET6;

	(void)arg;
	if (ev->type != BNL_EV_CTRL)
		return;
	check(ev->ctrl.node_id != our_id, "heard ourselves");
	/* While its link-local address is being checked, a machine sends from a global one. */
	check(!v6 || !IN6_IS_ADDR_LINKLOCAL(&from->in6.sin6_addr) ||
	      from->in6.sin6_scope_id == device, "a link-local address without its link");
	if (ev->ctrl.len == 5 && !memcmp(ev->ctrl.payload, "hello", 5))
		check(!bnl_send(nl, from, 0, "answer", 6), "answering");
	if (ev->ctrl.len == 6 && !memcmp(ev->ctrl.payload, "answer", 6))
		found[v6] = *from;
	bye |= ev->ctrl.len == 3;
}

static void hear(int ms)
{
	struct pollfd fd = { .fd = bnl_events_fd(nl), .events = POLLIN };

	if (poll(&fd, 1, ms) < 0)
		err(1, "poll");
	check(!bnl_events(nl, on_event, NULL), "events");
}

static void refused(void)
{
	union node_addr in4 = group(false), other = in4;
	struct bnl_conf conf = { .set = BNL_CONF_IFINDEX, .ifindex = 1 };

	other.in.sin_addr.s_addr = htonl(0xe0000001);
	check(bnl_send(nl, &in4, 0, "x", 1) == -EINVAL, "no device");
	check(bnl_send(nl, &in4, 9999, "x", 1) == -ENODEV, "a device that is none");
	check(bnl_send(nl, &other, device, "x", 1) == -EINVAL, "another group");
	check(!bnl_conf_set(nl, &conf), "binding to a device");
	check(bnl_send(nl, &in4, device, "x", 1) == -EINVAL, "another device than the port's");
	conf.ifindex = 0;
	check(!bnl_conf_set(nl, &conf), "binding to none");
}

/* What was noted is there as long as the socket is that noted it. */
static void notes(void)
{
	struct node_note note = {
		.state = BERK_PEER_MEMBER, .rank = 1, .known = true, .offset_ns = -3,
	};
	struct bnl_peer *peers;
	size_t n;

	check(bnl_note(nl, &note) == -ENOENT, "a note on no peer");
	check(!bnl_peer_set(nl, &found[0], &note.peer) && !bnl_note(nl, &note), "noting");
	check(!bnl_peers(nl, &peers, &n) && n, "peers");
	check(peers[n - 1].noted && peers[n - 1].known && peers[n - 1].rank == 1 &&
	      peers[n - 1].state == BERK_PEER_MEMBER && peers[n - 1].offset_ns == -3, "note");
	free(peers);
	bnl_close(nl);
	check(!bnl_open(&nl, BNL_GROUP_CTRL), "opening");
	check(!bnl_peers(nl, &peers, &n) && n && !peers[n - 1].noted, "a note that stays");
	free(peers);
}

/* Of a probe to everybody and one to a node alone only the second is answered. */
static void silence(int v6)
{
	static const unsigned char probe[136] = {
		'B', 'E', 'R', 'K', 1, 1, [23] = 77, [40] = 0, 72
	};
	unsigned char packet[sizeof(probe)], answer[sizeof(probe)];
	struct ip_mreqn out = { .imr_ifindex = device };
	union node_addr to = group(v6);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (v6)
		to.in6.sin6_scope_id = device;
	else if (setsockopt(fd, SOL_IP, IP_MULTICAST_IF, &out, sizeof(out)))
		err(1, "device");
	memcpy(packet, probe, sizeof(probe));
	for (int alone = 0; alone < 2; alone++) {
		packet[39] = 1 + alone;		/* the nonce */
		if (sendto(fd, packet, sizeof(packet), 0, alone ? &found[v6].sa : &to.sa,
			   v6 ? sizeof(to.in6) : sizeof(to.in)) != sizeof(packet))
			err(1, "probe");
	}
	if (recv(fd, answer, sizeof(answer), 0) != sizeof(answer))
		err(1, "answer");
	check(answer[39] == 2, "a probe to the group was answered");
	close(fd);
}

static void seek(void)
{
	refused();
	for (int i = 0; !found[0].sa.sa_family || !found[1].sa.sa_family; i++) {
		check(i < TRIES, "nobody near");
		call("hello");
		hear(100);
	}
	silence(0);
	silence(1);
	notes();
	call("bye");
}

static void greet(void)
{
	call("hello");
	for (int i = 0; !bye; i++) {
		check(i < TRIES, "nobody came");
		hear(1000);
	}
}

int main(int argc, char **argv)
{
	struct bnl_status status;
	char path[64];
	int fd;

	if (argc != 4)
		errx(2, "see the head of meet.c");
	snprintf(path, sizeof(path), "/run/netns/%s", argv[1]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "%s", path);
	device = if_nametoindex(argv[2]);
	check(!bnl_open(&nl, BNL_GROUP_CTRL) && !bnl_status(nl, &status), "the module");
	our_id = status.node_id;
	if (!strcmp(argv[3], "seek"))
		seek();
	else
		greet();
	bnl_close(nl);
	return 0;
}
