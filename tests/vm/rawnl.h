/* SPDX-License-Identifier: GPL-2.0 */
/*
 * rawnl: requests to the family "berk" built byte by byte, so that a test can
 * also send what no library would
 */
#ifndef VM_RAWNL_H
#define VM_RAWNL_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/berk.h>

#define RAWNL_SILENT 1	/* rawnl_request(): no acknowledgement came */

struct rawmsg {
	struct nlmsghdr nlh;
	struct genlmsghdr genl;
	unsigned char data[16384];
};

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline int rawnl_open(void)
{
	struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("netlink");
	return fd;
}

/* The id of the family, or of one of its multicast groups. */
static inline int rawnl_id(const char *group)
{
	struct nl_sock *sk = nl_socket_alloc();
	int id = -1;

	if (sk && !genl_connect(sk))
		id = group ? genl_ctrl_resolve_grp(sk, BERK_GENL_NAME, group) :
			     genl_ctrl_resolve(sk, BERK_GENL_NAME);
	nl_socket_free(sk);
	if (id < 0) {
		fprintf(stderr, "the netlink family berk is not there\n");
		exit(1);
	}
	return id;
}

static inline void rawmsg_init(struct rawmsg *m, int family, uint8_t cmd)
{
	memset(m, 0, offsetof(struct rawmsg, data));
	m->nlh.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	m->nlh.nlmsg_type = family;
	m->genl.cmd = cmd;
	m->genl.version = BERK_GENL_VERSION;
}

/* nla_len may say anything; len bytes are there. */
static inline void rawmsg_attr(struct rawmsg *m, uint16_t type, uint16_t nla_len,
			       const void *data, size_t len)
{
	unsigned char *at = (unsigned char *)m + m->nlh.nlmsg_len;
	struct nlattr nla = { .nla_len = nla_len, .nla_type = type };

	memcpy(at, &nla, NLA_HDRLEN);
	memset(at + NLA_HDRLEN, 0, NLA_ALIGN(len));
	memcpy(at + NLA_HDRLEN, data, len);
	m->nlh.nlmsg_len += NLA_HDRLEN + NLA_ALIGN(len);
}

static inline void rawmsg_put(struct rawmsg *m, uint16_t type, const void *data, size_t len)
{
	rawmsg_attr(m, type, NLA_HDRLEN + len, data, len);
}

/* The error that the kernel answers with, 0 or negative; or RAWNL_SILENT. */
static inline int rawnl_request(int fd, struct rawmsg *m, uint16_t flags)
{
	static union {
		struct nlmsghdr nlh;
		unsigned char bytes[65536];
	} buf;
	static uint32_t seq;
	struct nlmsghdr *h;
	ssize_t n;

	m->nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	m->nlh.nlmsg_seq = ++seq;
	if (send(fd, m, m->nlh.nlmsg_len, 0) < 0)
		die("send");
	while ((n = recv(fd, &buf, sizeof(buf), 0)) >= 0)
		for (h = &buf.nlh; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n))
			if (h->nlmsg_seq == seq &&
			    (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE))
				return *(int *)NLMSG_DATA(h);
	return RAWNL_SILENT;
}

#endif /* VM_RAWNL_H */
