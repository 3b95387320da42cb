// SPDX-License-Identifier: GPL-2.0
/*
 * poke NETNS VERB [ARGUMENT]... [, VERB...] - ask the module for things, for tests
 *
 *	open NODE_ID		open the sockets
 *	close
 *	peer ADDRESS		add a peer
 *	unpeer			delete all peers
 *	start BURST SPACING_MS	start a round, don't wait for its end
 *	rounds N BURST SPACING_MS	N rounds one after the other
 *	publish N		publish a state N times
 *	call DEVICE N		send N messages to everybody near, by IPv4 and IPv6
 *	noise ADDRESS N		send N bad packets to its port
 *
 * "rounds" prints how many rounds, probes, replies, samples, exact samples (those
 * all of whose stamps come from the driver), and impossible ones: both ends are of
 * one machine with one CLOCK_MONOTONIC_RAW, so no reply leaves before its probe
 * came or after it came itself.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <linux/berk.h>

static struct nl_sock *requests, *events;
static int family;
static uint64_t next_seq, samples, exact, impossible;
static uint32_t done_round, probes, replies;

static struct nl_sock *connected(void)
{
	struct nl_sock *sk = nl_socket_alloc();
	int ret;

	if (!sk)
		err(1, "netlink");
	ret = genl_connect(sk);
	if (ret)
		errx(1, "netlink: %s", nl_geterror(ret));
	return sk;
}

static struct nl_msg *request(int cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (family < 0)
		errx(1, "berk: %s", nl_geterror(family));
	if (!msg || !genlmsg_put(msg, 0, 0, family, 0, flags, cmd, BERK_GENL_VERSION))
		err(1, "netlink");
	return msg;
}

static int ask(struct nl_msg *msg)
{
	int ret = nl_send_sync(requests, msg);

	return ret < 0 ? ret : 0;
}

static void must(struct nl_msg *msg, const char *what)
{
	int ret = ask(msg);

	if (ret)
		errx(1, "%s: %s", what, nl_geterror(ret));
}

static socklen_t address(struct sockaddr_storage *to, const char *text)
{
	struct sockaddr_in6 *in6 = (void *)to;
	struct sockaddr_in *in = (void *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(BERK_PORT);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
		errx(1, "%s: not an address", text);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(BERK_PORT);
	return sizeof(*in6);
}

static int received(struct nl_msg *msg, void *arg)
{
	struct genlmsghdr *hdr = nlmsg_data(nlmsg_hdr(msg));
	struct nlattr *a[BERK_A_MAX + 1];
	struct berk_sample s;
	int i, n;

	(void)arg;
	if (genlmsg_parse(nlmsg_hdr(msg), 0, a, BERK_A_MAX, NULL))
		errx(1, "a message that is none");
	if (hdr->cmd == BERK_CMD_EV_ROUND) {
		done_round = nla_get_u32(a[BERK_A_ROUND]);
		probes += nla_get_u32(a[BERK_A_PROBES]);
		replies += nla_get_u32(a[BERK_A_REPLIES]);
	}
	if (hdr->cmd != BERK_CMD_SAMPLE_GET || !a[BERK_A_SAMPLES])
		return NL_OK;
	n = nla_len(a[BERK_A_SAMPLES]) / sizeof(s);
	for (i = 0; i < n; i++) {
		memcpy(&s, (char *)nla_data(a[BERK_A_SAMPLES]) + i * sizeof(s), sizeof(s));
		if (s.seq < next_seq)
			errx(1, "sample %llu came twice", (unsigned long long)s.seq);
		next_seq = s.seq + 1;
		samples++;
		exact += s.src[0] == BERK_STAMP_DRIVER && s.src[1] == BERK_STAMP_DRIVER &&
			 s.src[2] == BERK_STAMP_DRIVER && s.src[3] == BERK_STAMP_DRIVER;
		impossible += s.t3.raw_ns < s.t2.raw_ns || s.t3.raw_ns > s.t4.raw_ns;
	}
	return NL_OK;
}

static int start(uint32_t round, int burst, int spacing_ms)
{
	struct nl_msg *msg = request(BERK_CMD_ROUND, 0);

	nla_put_u32(msg, BERK_A_ROUND, round);
	nla_put_u8(msg, BERK_A_BURST, burst);
	nla_put_u64(msg, BERK_A_SPACING_NS, spacing_ms * 1000000ULL);
	nla_put_u64(msg, BERK_A_DEADLINE_NS, (burst * spacing_ms + 3000) * 1000000ULL);
	return ask(msg);
}

static void rounds(int n, int burst, int spacing_ms)
{
	struct nl_msg *msg;
	int ret;

	events = connected();
	nl_socket_disable_seq_check(events);
	nl_socket_modify_cb(events, NL_CB_VALID, NL_CB_CUSTOM, received, NULL);
	nl_socket_modify_cb(requests, NL_CB_VALID, NL_CB_CUSTOM, received, NULL);
	ret = nl_socket_add_membership(events, genl_ctrl_resolve_grp(requests, BERK_GENL_NAME,
								     BERK_MCGRP_EVENTS));
	if (ret)
		errx(1, "events: %s", nl_geterror(ret));
	for (int i = 1; i <= n; i++) {
		ret = start(i, burst, spacing_ms);
		if (ret)
			errx(1, "round: %s", nl_geterror(ret));
		while (done_round != (uint32_t)i) {
			ret = nl_recvmsgs_default(events);
			if (ret)
				errx(1, "events: %s", nl_geterror(ret));
		}
		msg = request(BERK_CMD_SAMPLE_GET, NLM_F_DUMP);
		nla_put_u64(msg, BERK_A_SEQ, next_seq);
		must(msg, "samples");
	}
	printf("%d %u %u %llu %llu %llu\n", n, probes, replies, (unsigned long long)samples,
	       (unsigned long long)exact, (unsigned long long)impossible);
}

static void publish(int n)
{
	while (n--) {
		struct nl_msg *msg = request(BERK_CMD_PUBLISH, 0);

		nla_put_u8(msg, BERK_A_STATE, n % __BERK_STATE_MAX);
		nla_put_u8(msg, BERK_A_ROLE, BERK_ROLE_SLAVE);
		nla_put_u64(msg, BERK_A_MASTER_ID, 1);
		nla_put_u32(msg, BERK_A_TERM, 1);
		nla_put_u32(msg, BERK_A_ROUND, n);
		nla_put_u64(msg, BERK_A_OFFSET_NS, -n);
		nla_put_u64(msg, BERK_A_ERROR_BOUND_NS, n);
		nla_put_u32(msg, BERK_A_ERROR_GROWTH_PPB, n);
		nla_put_u32(msg, BERK_A_FREQ_PPB, -n);
		nla_put_u32(msg, BERK_A_VALID_MS, 1000);
		must(msg, "publish");
	}
}

/* Whether anybody can hear it or not; the port may be closed in between. */
static void call(const char *device, int n)
{
	struct sockaddr_storage a;

	while (n--) {
		for (int i = 0; i < 2; i++) {
			struct nl_msg *msg = request(BERK_CMD_SEND, 0);
			socklen_t len = address(&a, i ? BERK_MCAST_IN6 : "224.0.0.155");

			nla_put(msg, BERK_A_ADDR, len, &a);
			nla_put_u32(msg, BERK_A_IFINDEX, if_nametoindex(device));
			nla_put_string(msg, BERK_A_PAYLOAD, "hello");
			ask(msg);
		}
	}
}

/* Packets that start well, so that the checks further down are reached too. */
static void noise(const char *to, int n)
{
	static const unsigned char begin[] = { 'B', 'E', 'R', 'K', 1 };
	unsigned char buf[2000];
	struct sockaddr_storage a;
	socklen_t alen = address(&a, to);
	int fd = socket(a.ss_family, SOCK_DGRAM, 0);
	uint32_t r;

	while (n--) {
		if (getrandom(buf, sizeof(buf), 0) < 0 || getrandom(&r, sizeof(r), 0) < 0)
			err(1, "random");
		memcpy(buf, begin, r >> 29);
		if (r & 0x1000000) {
			memset(buf + 8, 0, 8);			/* our cluster */
			memset(buf + 40, 0, sizeof(buf) - 40);
			buf[5] = 1 + r % 3;
			buf[41] = 72;
			r = 136;
		}
		if (sendto(fd, buf, r % 1500, 0, (void *)&a, alen) < 0 && errno != ENOBUFS)
			err(1, "noise");
	}
	close(fd);
}

static void conf(uint64_t node_id, uint16_t port)
{
	struct nl_msg *msg = request(BERK_CMD_CONF_SET, 0);

	if (node_id)
		nla_put_u64(msg, BERK_A_NODE_ID, node_id);
	nla_put_u16(msg, BERK_A_PORT, port);
	must(msg, "conf");
}

static void peer(const char *text)
{
	struct nl_msg *msg = request(BERK_CMD_PEER_SET, 0);
	struct sockaddr_storage a;
	socklen_t len = address(&a, text);

	nla_put(msg, BERK_A_ADDR, len, &a);
	must(msg, "peer");
}

static void enter(const char *netns)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "%s", path);
	close(fd);
}

static void carry_out(char **word, int n)
{
	const char *verb = word[0];
	int ret;

	if (!strcmp(verb, "open") && n == 2) {
		conf(atoi(word[1]), BERK_PORT);
	} else if (!strcmp(verb, "close") && n == 1) {
		conf(0, 0);
	} else if (!strcmp(verb, "peer") && n == 2) {
		peer(word[1]);
	} else if (!strcmp(verb, "unpeer") && n == 1) {
		must(request(BERK_CMD_PEER_DEL, 0), verb);
	} else if (!strcmp(verb, "start") && n == 3) {
		ret = start(1, atoi(word[1]), atoi(word[2]));
		/* One that is still under way serves as well. */
		if (ret && ret != -NLE_BUSY)
			errx(1, "start: %s", nl_geterror(ret));
	} else if (!strcmp(verb, "rounds") && n == 4) {
		rounds(atoi(word[1]), atoi(word[2]), atoi(word[3]));
	} else if (!strcmp(verb, "publish") && n == 2) {
		publish(atoi(word[1]));
	} else if (!strcmp(verb, "call") && n == 3) {
		call(word[1], atoi(word[2]));
	} else if (!strcmp(verb, "noise") && n == 3) {
		noise(word[1], atoi(word[2]));
	} else {
		errx(2, "%s: see the head of poke.c", verb);
	}
}

int main(int argc, char **argv)
{
	int i, n;

	if (argc < 3)
		errx(2, "see the head of poke.c");
	enter(argv[1]);
	requests = connected();
	family = genl_ctrl_resolve(requests, BERK_GENL_NAME);
	for (i = 2; i < argc; i += n + 1) {
		for (n = 0; i + n < argc && strcmp(argv[i + n], ","); n++)
			;
		if (n)
			carry_out(argv + i, n);
	}
	return 0;
}
