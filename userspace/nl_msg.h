/* SPDX-License-Identifier: GPL-2.0 */
/* nl_msg: netlink messages to structs and back; no sockets. Only for nl*.c. */
#ifndef BERK_NL_MSG_H
#define BERK_NL_MSG_H

#include <netlink/msg.h>

#include "nl.h"

/* attrs[BERK_A_MAX + 1]. Returns < 0 if the message breaks the contract. */
int bnl_parse(struct nlmsghdr *hdr, struct nlattr **attrs);

/* An attribute that is absent reads as 0. */
uint32_t bnl_get_u32(struct nlattr **attrs, enum berk_attr a);
void bnl_get_status(struct nlattr **attrs, struct bnl_status *status);
void bnl_get_peer(struct nlattr **attrs, struct bnl_peer *peer);
/* False: a message that this version does not know. */
bool bnl_get_event(int cmd, struct nlattr **attrs, struct bnl_event *event);

/*
 * The kernel's own words in an extended acknowledgement. fixed_len: bytes of
 * payload before its attributes. False if there are none.
 */
bool bnl_get_error_text(struct nlmsghdr *hdr, size_t fixed_len, char *buf, size_t size);

/* < 0: the message has no room. */
int bnl_put_addr(struct nl_msg *msg, enum berk_attr a, const union node_addr *addr);
int bnl_put_conf(struct nl_msg *msg, const struct bnl_conf *conf);
int bnl_put_note(struct nl_msg *msg, const struct node_note *note);
int bnl_put_round(struct nl_msg *msg, const struct node_round *round);
int bnl_put_publish(struct nl_msg *msg, const struct node_publish *publish);

#endif /* BERK_NL_MSG_H */
