/* SPDX-License-Identifier: GPL-2.0 */
/* nl_request: how a request is made and answered. Only for nl.c and nl_request.c. */
#ifndef BERK_NL_REQUEST_H
#define BERK_NL_REQUEST_H

#include <netlink/msg.h>

#include "nl.h"

/* attrs: of one answer, as bnl_parse() gives them. */
typedef void bnl_reply_fn(void *arg, struct nlattr **attrs);

/*
 * NULL if there is no memory. extra: bytes, more than a page, which is enough even
 * for SEND with a full payload.
 */
struct nl_msg *bnl_request_new(struct bnl *nl, enum berk_cmd cmd, int flags, size_t extra);

/*
 * Sends msg (and frees it; NULL or put_failed: it could not be made) and takes
 * all answers. -EAGAIN: the dump was interrupted by a change.
 */
int bnl_request(struct bnl *nl, struct nl_msg *msg, bool put_failed, bnl_reply_fn *reply,
		void *arg);

/* Remembers the reason; text NULL: what err means. Returns err. */
int bnl_fail(struct bnl *nl, int err, const char *text);

#endif /* BERK_NL_REQUEST_H */
