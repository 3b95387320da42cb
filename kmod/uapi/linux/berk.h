/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * berk: the contract between berk.ko and userspace
 *
 * Generic netlink family "berk", version 1. Every network namespace has its
 * own instance. Attributes are flat, one numbering for all commands; [] is
 * optional, ... repeats.
 *
 * Requests ("admin" needs CAP_NET_ADMIN in the namespace's user namespace):
 *
 * STATUS_GET	do		-> VERSION STRING
 *				   NODE_ID CLUSTER PORT BIND IFINDEX
 *				   STATE ROLE MASTER_ID TERM ROUND ROUND_AGE_MS
 *				   OFFSET_NS ERROR_BOUND_NS ERROR_GROWTH_PPB
 *				   FREQ_PPB VALID_MS PEERS SEQ
 *				   COUNTERS { <enum berk_counter>: u64 ... }
 *	Everything as it is now. The group's time is within CLOCK_REALTIME +-
 *	ERROR_BOUND_NS, which has grown by ERROR_GROWTH_PPB since it was
 *	published; VALID_MS is what is left until the state falls back (0: it
 *	has).
 * CONF_SET	do, admin	[NODE_ID] [CLUSTER] [PORT] [BIND] [IFINDEX]
 *	What is absent stays as it was. PORT 0 closes the sockets, any other
 *	opens (or moves) them, for which NODE_ID must be set; a change that
 *	cannot be made changes nothing.
 *	BIND is a sockaddr whose port is ignored; the unspecified address of
 *	either family means both families, all addresses.
 * PEER_SET	do, admin	ADDR		-> PEER
 *	Adding a peer that exists is no error: its index is returned. ADDR is
 *	unicast and has a port. ENOSPC: too many.
 * PEER_DEL	do, admin	[ADDR]		(absent: all peers)
 * PEER_NOTE	do, admin	PEER PEER_STATE PEER_REASON PEER_RANK
 *				[OFFSET_NS SIGMA_NS DELAY_NS FREQ_PPB]
 *	What the daemon thinks of a peer, for PEER_GET to show; replaces what
 *	was noted before. Forgotten with the peer, or when the socket that noted
 *	closes.
 *	ENOENT: there is no such peer.
 * PEER_GET	dump		-> PEER ADDR NODE_ID PEER_FLAGS
 *				   PEER_PROBES PEER_REPLIES [PEER_AGE_MS]
 *				   [PEER_STATE PEER_REASON PEER_RANK
 *				   [OFFSET_NS SIGMA_NS DELAY_NS FREQ_PPB]]
 *	One message each; PEER_AGE_MS only once the peer has answered, the rest
 *	once it was noted.
 * ROUND	do, admin	ROUND [BURST] [SPACING_NS] [DEADLINE_NS]
 *				[PEER_LIST]
 *	Sends BURST probes to each peer (or to those whose indices PEER_LIST
 *	holds), SPACING_NS between two probes of one peer, and ends with one
 *	EV_ROUND when all replies are in or DEADLINE_NS after the request.
 *	EBUSY while another round runs, ENOTCONN while no port is open. Indices
 *	of no peer are left out.
 * SAMPLE_GET	dump, admin	[SEQ]		-> SAMPLES ...
 *	All samples still in the ring from SEQ on, as arrays.
 * SEND		do, admin	ADDR PAYLOAD [IFINDEX]
 *	One CTRL packet; the peer's kernel turns it into EV_CTRL. ENOTCONN while
 *	no port is open, otherwise what sending returned. ADDR may be the group
 *	BERK_MCAST_IN4 or BERK_MCAST_IN6, which needs IFINDEX (EINVAL): the
 *	packet leaves there, and from then on, while the port stays open, what
 *	others send to that group is heard there. EINVAL, too, if the port is
 *	bound to another device or to an address; ENODEV: no such device;
 *	EADDRNOTAVAIL: the device has no address of that family; EAFNOSUPPORT:
 *	nothing of that family is open.
 * PUBLISH	do, admin	STATE ROLE MASTER_ID TERM ROUND OFFSET_NS
 *				ERROR_BOUND_NS ERROR_GROWTH_PPB FREQ_PPB
 *				VALID_MS
 *	What sysfs and STATUS_GET show. The sending socket becomes the owner:
 *	when it closes, or VALID_MS passes without another PUBLISH, the state
 *	falls back by itself: unsynchronised, no role, no master, bound unknown.
 *
 * Notifications, by multicast group:
 *
 * "events"	EV_ROUND	ROUND PROBES REPLIES SEQ
 *			SEQ: one past the newest sample
 *		EV_STATE	STATE ROLE MASTER_ID TERM
 *			when any of them changed, but not when VALID_MS passes:
 *			that shows when somebody looks
 * "samples"	EV_SAMPLES	SAMPLES		(admin) at the end of a round
 * "ctrl"	EV_CTRL		ADDR NODE_ID TERM PAYLOAD	(admin)
 *			NODE_ID is ours if another uses it as well, or if what we
 *			sent came back
 *
 * Units: ns unless the name says otherwise. offset = local minus group:
 * positive means that the local clock is ahead.
 */
#ifndef _UAPI_LINUX_BERK_H
#define _UAPI_LINUX_BERK_H

#include <linux/types.h>

#define BERK_GENL_NAME		"berk"
#define BERK_GENL_VERSION	1
#define BERK_MCGRP_EVENTS	"events"
#define BERK_MCGRP_SAMPLES	"samples"
#define BERK_MCGRP_CTRL		"ctrl"

#define BERK_PORT		5525	/* default UDP port */
#define BERK_MCAST_IN4		0xe000009b	/* 224.0.0.155, host byte order */
#define BERK_MCAST_IN6		"ff12::5525"	/* transient, link-local */
#define BERK_BURST_MAX		64	/* probes per peer in one round */
#define BERK_PAYLOAD_MAX	1024	/* bytes of one control message */
#define BERK_SPACING_MAX	1000000000ULL	/* ns */
#define BERK_DEADLINE_MAX	60000000000ULL	/* ns */

enum berk_cmd {
	BERK_CMD_UNSPEC,
	BERK_CMD_STATUS_GET,
	BERK_CMD_CONF_SET,
	BERK_CMD_PEER_SET,
	BERK_CMD_PEER_DEL,
	BERK_CMD_PEER_GET,
	BERK_CMD_ROUND,
	BERK_CMD_SAMPLE_GET,
	BERK_CMD_SEND,
	BERK_CMD_PUBLISH,
	BERK_CMD_EV_ROUND,
	BERK_CMD_EV_STATE,
	BERK_CMD_EV_SAMPLES,
	BERK_CMD_EV_CTRL,
	BERK_CMD_PEER_NOTE,
};

enum berk_attr {
	BERK_A_UNSPEC,
	BERK_A_PAD,
	BERK_A_VERSION,		/* string: of the module */
	BERK_A_NODE_ID,		/* u64 */
	BERK_A_CLUSTER,		/* u64: packets of other clusters are ignored */
	BERK_A_PORT,		/* u16, host byte order */
	BERK_A_BIND,		/* struct sockaddr_in or sockaddr_in6 */
	BERK_A_IFINDEX,		/* u32: 0 = any device */
	BERK_A_STATE,		/* u8: enum berk_state */
	BERK_A_ROLE,		/* u8: enum berk_role */
	BERK_A_MASTER_ID,	/* u64: 0 = none */
	BERK_A_TERM,		/* u32 */
	BERK_A_ROUND,		/* u32: chosen by the daemon */
	BERK_A_ROUND_AGE_MS,	/* u64: absent before the first round */
	BERK_A_OFFSET_NS,	/* s64: means nothing while the bound is unknown */
	BERK_A_ERROR_BOUND_NS,	/* u64: U64_MAX = unknown */
	BERK_A_FREQ_PPB,	/* s32: correction in force, positive = made faster */
	BERK_A_VALID_MS,	/* u32: PUBLISH: from now on; STATUS_GET: what is left */
	BERK_A_PEERS,		/* u32: how many */
	BERK_A_SEQ,		/* u64 */
	BERK_A_COUNTERS,	/* nested, enum berk_counter */
	BERK_A_ADDR,		/* struct sockaddr_in or sockaddr_in6 */
	BERK_A_PEER,		/* u32: index, never used twice */
	BERK_A_PEER_FLAGS,	/* u16: BERK_F_*, of its last reply */
	BERK_A_PEER_PROBES,	/* u64 */
	BERK_A_PEER_REPLIES,	/* u64 */
	BERK_A_PEER_AGE_MS,	/* u64: since its last reply */
	BERK_A_PEER_LIST,	/* binary: array of u32 indices */
	BERK_A_BURST,		/* u8: 1..BERK_BURST_MAX, default 8 */
	BERK_A_SPACING_NS,	/* u64: 0..BERK_SPACING_MAX, default 10 ms */
	BERK_A_DEADLINE_NS,	/* u64: 1..BERK_DEADLINE_MAX, default 500 ms */
	BERK_A_PROBES,		/* u32: sent in this round */
	BERK_A_REPLIES,		/* u32: received in this round */
	BERK_A_SAMPLES,		/* binary: array of struct berk_sample */
	BERK_A_PAYLOAD,		/* binary: 1..BERK_PAYLOAD_MAX bytes */
	BERK_A_ERROR_GROWTH_PPB, /* u32: by which the bound grows, ns per s of BOOTTIME */
	BERK_A_PEER_STATE,	/* u8: enum berk_peer_state */
	BERK_A_PEER_REASON,	/* u8: enum berk_peer_reason */
	BERK_A_PEER_RANK,	/* u8: in the order of standbys; 0 = none */
	BERK_A_SIGMA_NS,	/* u64 */
	BERK_A_DELAY_NS,	/* u64: shortest round trip */
	__BERK_A_MAX,
};

#define BERK_A_MAX (__BERK_A_MAX - 1)

enum berk_state {
	BERK_STATE_UNSYNCHRONISED,
	BERK_STATE_SYNCHRONISED,
	BERK_STATE_HOLDOVER,
	__BERK_STATE_MAX,
};

enum berk_role {
	BERK_ROLE_NONE,		/* no daemon */
	BERK_ROLE_SLAVE,
	BERK_ROLE_MASTER,
	BERK_ROLE_STANDBY,	/* a slave that is the next master */
	__BERK_ROLE_MAX,
};

/* What a node thinks of another. */
enum berk_peer_state {
	BERK_PEER_UNKNOWN,
	BERK_PEER_SILENT,	/* does not answer */
	BERK_PEER_IDLE,		/* answers, but no daemon corrects its clock */
	BERK_PEER_CANDIDATE,	/* corrected, but not averaged (yet) */
	BERK_PEER_MEMBER,	/* corrected and averaged */
	BERK_PEER_FALSETICKER,	/* contradicts the others */
	BERK_PEER_FOREIGN,	/* follows another master */
	BERK_PEER_REFERENCE,	/* followed */
	BERK_PEER_MASTER,	/* seen from a slave */
	BERK_PEER_WITNESS,	/* seen from a slave: measured to check the master */
	__BERK_PEER_STATE_MAX,
};

/* Why. */
enum berk_peer_reason {
	BERK_WHY_NONE,
	BERK_WHY_OFFSET,	/* its clock is elsewhere */
	BERK_WHY_STEPPED,	/* its clock jumped */
	BERK_WHY_DRIFT,		/* its clock does not follow its corrections */
	BERK_WHY_NOISE,		/* its stamps contradict each other */
	BERK_WHY_STUCK,		/* its clock does not go on */
	BERK_WHY_ASYMMETRY,	/* its path is far more uncertain than the others' */
	BERK_WHY_RESTARTED,	/* rebooted, paused, or its crystal changed: measured anew */
	BERK_WHY_UNACKED,	/* acknowledges no correction */
	BERK_WHY_REFUSES,	/* refuses corrections */
	BERK_WHY_JOINING,	/* on its way */
	BERK_WHY_LIES,		/* a master whose corrections were wrong */
	BERK_WHY_TWICE,		/* its node id is used twice */
	__BERK_WHY_MAX,
};

/* What a node says of itself in the flags of every packet. */
#define BERK_F_DRIVEN	0x0001	/* a daemon corrects this clock */
#define BERK_F_SYNCED	0x0002	/* its state is synchronised */

enum berk_counter {
	BERK_CNT_UNSPEC,
	BERK_CNT_PROBES_TX,
	BERK_CNT_PROBES_RX,
	BERK_CNT_REPLIES_TX,
	BERK_CNT_REPLIES_RX,
	BERK_CNT_CTRL_TX,
	BERK_CNT_CTRL_RX,
	BERK_CNT_SAMPLES,
	BERK_CNT_RX_STAMPS_LATE,	/* stamped by us, not on arrival */
	BERK_CNT_TX_STAMPS_MISSING,	/* no stamp came back from the driver */
	BERK_CNT_REJECTED,		/* malformed, doubled, unasked-for */
	BERK_CNT_OVERRUN,		/* dropped: more than we can answer */
	BERK_CNT_FOREIGN,		/* of another cluster; not among the rejected */
	__BERK_CNT_MAX,
};

#define BERK_CNT_MAX (__BERK_CNT_MAX - 1)

/* Where a stamp comes from, best first. */
enum berk_stamp_src {
	BERK_STAMP_NONE,
	BERK_STAMP_DRIVER,	/* device driver or network core, on the wire side */
	BERK_STAMP_LATE,	/* receive: taken when the packet reached us */
	BERK_STAMP_SOFT,	/* transmit: taken just before sending */
};

/* One instant on both clocks of one machine. */
struct berk_stamp {
	__s64 real_ns;		/* CLOCK_REALTIME */
	__s64 raw_ns;		/* CLOCK_MONOTONIC_RAW */
};

#define BERK_SAMPLE_LOCAL_STEP	0x01	/* our clock was set between T1 and T4 */
#define BERK_SAMPLE_PEER_STEP	0x02	/* its clock was set between T2 and T3 */

/*
 * One exchange. T1 and T4 are of the local clocks, T2 and T3 of the peer's.
 * A sample appears when it is complete: normally with the next reply of the
 * same peer, which brings the exact T3 of the one before.
 */
struct berk_sample {
	__u64 seq;		/* 0, 1, 2...: a gap means lost samples */
	__u64 node_id;		/* the peer's */
	__u32 peer;		/* BERK_A_PEER */
	__u32 round;		/* BERK_A_ROUND of the probe */
	struct berk_stamp t1;
	struct berk_stamp t2;
	struct berk_stamp t3;
	struct berk_stamp t4;
	__u32 local_set_seq;	/* changes whenever the clock is set, at T4 */
	__u32 peer_set_seq;	/* the same of the peer's clock, at T3 */
	__u32 term;		/* the peer's */
	__u16 peer_flags;	/* BERK_F_* */
	__u8 flags;		/* BERK_SAMPLE_* */
	__u8 src[4];		/* enum berk_stamp_src of T1..T4 */
	__u8 pad[5];
};

#endif /* _UAPI_LINUX_BERK_H */
