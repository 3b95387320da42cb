// SPDX-License-Identifier: GPL-2.0
#include "nl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "nl_msg.h"
#include "nl_request.h"

/* A round over thousands of peers may send as many CTRLs in one go. */
#define EVENTS_BUFFER (8 << 20)
/* Read at a time: whoever polls has other descriptors to serve as well. */
#define EVENTS_BATCH 256

struct bnl {
	struct nl_sock *req, *ev;
	struct nl_cb *req_cb, *ev_cb;
	int family;

	/* of the request under way */
	bnl_reply_fn *reply;
	void *reply_arg;
	uint32_t seq;
	bool pending;
	int err;
	char error[256];

	/* of the bnl_events() under way */
	bnl_event_fn *event;
	void *event_arg;
	bool lost;	/* an overrun, not yet reported */
};

/* --- requests and their answers */

static int nle_to_errno(int nle)
{
	switch (-nle) {
	case 0:			return 0;
	case NLE_NOMEM:		return -ENOMEM;
	case NLE_AGAIN:		return -EAGAIN;
	case NLE_INTR:		return -EINTR;
	case NLE_DUMP_INTR:	return -EAGAIN;
	case NLE_PERM:		return -EPERM;
	case NLE_NOACCESS:	return -EACCES;
	case NLE_OBJ_NOTFOUND:	return -ENOENT;
	case NLE_MSGSIZE:	return -EMSGSIZE;
	default:		return -EIO;
	}
}

int bnl_fail(struct bnl *nl, int err, const char *text)
{
	snprintf(nl->error, sizeof(nl->error), "%s", text ? text : strerror(-err));
	return err;
}

static int fail_nle(struct bnl *nl, int nle)
{
	int err = nle_to_errno(nle);

	return bnl_fail(nl, err, err == -EIO ? nl_geterror(nle) : NULL);
}

/*
 * libnl's own check expects the numbers to go on without a gap, and so refuses all
 * that follows a request that could not be sent or whose answers broke off.
 */
static int check_sequence(struct nl_msg *msg, void *arg)
{
	const struct bnl *nl = arg;

	return nlmsg_hdr(msg)->nlmsg_seq == nl->seq ? NL_OK : NL_SKIP;
}

static void fail_kernel(struct bnl *nl, int err, struct nlmsghdr *hdr, size_t fixed_len)
{
	char text[sizeof(nl->error) - 100];

	nl->err = bnl_fail(nl, err, NULL);
	if (bnl_get_error_text(hdr, fixed_len, text, sizeof(text)))
		snprintf(nl->error, sizeof(nl->error), "%s: %.90s", text, strerror(-err));
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct bnl *nl = arg;
	struct nlmsghdr *hdr = (struct nlmsghdr *)((char *)e - NLMSG_HDRLEN);
	size_t fixed = sizeof(*e);

	(void)from;
	if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
		fixed += e->msg.nlmsg_len - NLMSG_HDRLEN;
	fail_kernel(nl, e->error, hdr, fixed);
	nl->pending = false;
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct bnl *nl = arg;

	(void)msg;
	nl->pending = false;
	return NL_STOP;
}

/* A dump that fails half-way says so in its last message. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct bnl *nl = arg;
	int err = 0;

	if (nlmsg_datalen(hdr) >= (int)sizeof(err))
		memcpy(&err, nlmsg_data(hdr), sizeof(err));
	if (err < 0)
		fail_kernel(nl, err, hdr, sizeof(err));
	nl->pending = false;
	return NL_STOP;
}

static int on_reply(struct nl_msg *msg, void *arg)
{
	struct nlattr *attrs[BERK_A_MAX + 1];
	struct bnl *nl = arg;

	if (bnl_parse(nlmsg_hdr(msg), attrs) < 0) {
		nl->err = bnl_fail(nl, -EPROTO, "the module's answer cannot be understood: are "
			       "module and program of one version?");
		return NL_SKIP;
	}
	if (nl->reply)
		nl->reply(nl->reply_arg, attrs);
	return NL_OK;
}

struct nl_msg *bnl_request_new(struct bnl *nl, enum berk_cmd cmd, int flags, size_t extra)
{
	struct nl_msg *msg = nlmsg_alloc_size(4096 + extra);

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0, flags, cmd,
				BERK_GENL_VERSION)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

int bnl_request(struct bnl *nl, struct nl_msg *msg, bool put_failed, bnl_reply_fn *reply, void *arg)
{
	int nle;

	if (!msg || put_failed) {
		nlmsg_free(msg);
		return bnl_fail(nl, msg ? -EMSGSIZE : -ENOMEM, NULL);
	}
	nl->reply = reply;
	nl->reply_arg = arg;
	nl->err = 0;
	nle = nl_send_auto(nl->req, msg);
	nl->seq = nlmsg_hdr(msg)->nlmsg_seq;
	nlmsg_free(msg);
	nl->pending = nle >= 0;
	while (nl->pending) {
		nle = nl_recvmsgs(nl->req, nl->req_cb);
		if (nle < 0 && nle != -NLE_INTR)
			break;
	}
	if (nl->err)
		return nl->err;
	return nle < 0 ? fail_nle(nl, nle) : 0;
}

/* --- notifications */

static bool is_our_family(struct nlattr **attrs, int family)
{
	return attrs[CTRL_ATTR_FAMILY_ID] && nla_len(attrs[CTRL_ATTR_FAMILY_ID]) >= 2 &&
	       nla_get_u16(attrs[CTRL_ATTR_FAMILY_ID]) == family;
}

static int on_notification(struct nl_msg *msg, void *arg)
{
	struct bnl *nl = arg;
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct nlattr *attrs[BERK_A_MAX + 1], *ctrl[CTRL_ATTR_MAX + 1];
	struct bnl_event ev = { .type = BNL_EV_GONE };

	if (hdr->nlmsg_type == GENL_ID_CTRL) {
		if (genlmsg_parse(hdr, 0, ctrl, CTRL_ATTR_MAX, NULL) == 0 &&
		    genlmsg_hdr(hdr)->cmd == CTRL_CMD_DELFAMILY && is_our_family(ctrl, nl->family))
			nl->event(nl->event_arg, &ev);
		return NL_OK;
	}
	if (hdr->nlmsg_type == nl->family &&
	    bnl_parse(hdr, attrs) == 0 &&
	    bnl_get_event(genlmsg_hdr(hdr)->cmd, attrs, &ev))
		nl->event(nl->event_arg, &ev);
	return NL_OK;
}

/* Notifications answer nothing, so their sequence numbers mean nothing. */
static int any_sequence(struct nl_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
	return NL_OK;
}

int bnl_events_fd(const struct bnl *nl)
{
	return nl_socket_get_fd(nl->ev);
}

/*
 * libnl says NLE_NOMEM for ENOBUFS: the socket overran. The kernel delivers
 * nothing more until the queue is empty, so it is drained, over several calls if
 * it is long, before the overrun is reported.
 */
int bnl_events(struct bnl *nl, bnl_event_fn *fn, void *arg)
{
	struct bnl_event overrun = { .type = BNL_EV_OVERRUN };
	int n = 0, nle;

	nl->event = fn;
	nl->event_arg = arg;
	do {
		if (n++ == EVENTS_BATCH)
			return 0;
		nle = nl_recvmsgs(nl->ev, nl->ev_cb);
		nl->lost |= nle == -NLE_NOMEM;
	} while (nle >= 0 || nle == -NLE_NOMEM || nle == -NLE_INTR || nle == -NLE_DUMP_INTR);
	if (nl->lost)
		fn(arg, &overrun);
	nl->lost = false;
	return nle == -NLE_AGAIN ? 0 : fail_nle(nl, nle);
}

/* --- opening */

static int join(struct bnl *nl, const char *family, const char *group)
{
	int id = genl_ctrl_resolve_grp(nl->req, family, group);
	int nle = id < 0 ? id : nl_socket_add_membership(nl->ev, id);

	return nle < 0 ? fail_nle(nl, nle) : 0;
}

static int open_events(struct bnl *nl, unsigned int groups)
{
	int size = EVENTS_BUFFER;
	int err;

	nl->ev = nl_socket_alloc();
	nl->ev_cb = nl_cb_alloc(NL_CB_DEFAULT);
	if (!nl->ev || !nl->ev_cb)
		return bnl_fail(nl, -ENOMEM, NULL);
	nl_cb_set(nl->ev_cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, any_sequence, NULL);
	nl_cb_set(nl->ev_cb, NL_CB_VALID, NL_CB_CUSTOM, on_notification, nl);
	err = genl_connect(nl->ev);
	if (err < 0)
		return fail_nle(nl, err);
	/* ORDER: connected, then the buffer, then the groups. Beyond the system's
	 * limit only for the privileged; what there is then must do.
	 */
	nl_socket_set_buffer_size(nl->ev, size, 0);
	setsockopt(nl_socket_get_fd(nl->ev), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	nl_socket_set_nonblocking(nl->ev);
	err = join(nl, "nlctrl", "notify");
	if (!err && groups & BNL_GROUP_EVENTS)
		err = join(nl, BERK_GENL_NAME, BERK_MCGRP_EVENTS);
	if (!err && groups & BNL_GROUP_SAMPLES)
		err = join(nl, BERK_GENL_NAME, BERK_MCGRP_SAMPLES);
	if (!err && groups & BNL_GROUP_CTRL)
		err = join(nl, BERK_GENL_NAME, BERK_MCGRP_CTRL);
	return err;
}

static int open_requests(struct bnl *nl)
{
	int on = 1, nle;

	nl->req = nl_socket_alloc();
	nl->req_cb = nl_cb_alloc(NL_CB_DEFAULT);
	if (!nl->req || !nl->req_cb)
		return bnl_fail(nl, -ENOMEM, NULL);
	nl_cb_set(nl->req_cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, check_sequence, nl);
	nl_cb_set(nl->req_cb, NL_CB_VALID, NL_CB_CUSTOM, on_reply, nl);
	nl_cb_set(nl->req_cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, nl);
	nl_cb_set(nl->req_cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, nl);
	nl_cb_err(nl->req_cb, NL_CB_CUSTOM, on_error, nl);
	nle = genl_connect(nl->req);
	if (nle < 0)
		return fail_nle(nl, nle);
	/* Kernel's words for errors; it works without them, too. */
	setsockopt(nl_socket_get_fd(nl->req), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(nl->req), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	nle = genl_ctrl_resolve(nl->req, BERK_GENL_NAME);
	if (nle < 0)
		return fail_nle(nl, nle);
	nl->family = nle;
	return 0;
}

int bnl_open(struct bnl **out, unsigned int groups)
{
	struct bnl *nl = calloc(1, sizeof(*nl));
	int err;

	*out = nl;
	if (!nl)
		return -ENOMEM;
	err = open_requests(nl);
	if (!err && groups)
		err = open_events(nl, groups);
	return err;
}

void bnl_close(struct bnl *nl)
{
	if (!nl)
		return;
	nl_socket_free(nl->req);
	nl_socket_free(nl->ev);
	if (nl->req_cb)
		nl_cb_put(nl->req_cb);
	if (nl->ev_cb)
		nl_cb_put(nl->ev_cb);
	free(nl);
}

const char *bnl_error(const struct bnl *nl)
{
	return nl ? nl->error : strerror(ENOMEM);
}
