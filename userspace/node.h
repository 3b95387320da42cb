/* SPDX-License-Identifier: GPL-2.0 */
/*
 * node: the state machine of one berk node, whatever its role
 *
 * Pure: it is told what happened and what time it is, and answers with
 * actions. It reads no clock, does no I/O and allocates nothing after
 * node_init(). berkd feeds one; a simulator can feed thousands.
 *
 *	node_init(); node_peer_add()...; node_start(now);
 *	for every event:  node_<event>(now, ...);
 *			  while (node_next_action(&act)) carry it out;
 *			  arrange node_timer() at node_next_timer()
 */
#ifndef BERK_NODE_H
#define BERK_NODE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/berk.h>

/* The address of a node; compared as a whole, so unused bytes must be 0. */
union node_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* What a group does of which less than half is left. */
enum node_quorum {
	NODE_QUORUM_ANY,		/* it goes on */
	NODE_QUORUM_MAJORITY,		/* it corrects nothing and elects nobody */
};

/* How a clock further away than the step threshold comes to the group that it joins. */
enum node_merge {
	NODE_MERGE_SLEW,
	NODE_MERGE_STEP,
};

/* Who asks for the time: the two forms of the algorithm. */
enum node_mode {
	NODE_MODE_POLL,			/* the master probes this node */
	NODE_MODE_REPORT,		/* this node probes the master and reports */
};

struct node_conf {
	uint64_t node_id;
	uint64_t cluster;		/* our own, as on the wire */
	uint64_t seed;			/* of all that is left to chance; differs at every start */
	bool eligible;			/* may be elected */
	bool eager;			/* stands for election without waiting for others */
	uint8_t priority;		/* in elections; the higher wins */
	enum node_quorum quorum;
	enum node_merge merge;
	enum node_mode mode;
	bool reference;			/* this clock is right: never touched, but followed */
	double reference_limit_ppb;	/* how fast the group follows references, per s */
	int64_t interval_ns;		/* between two rounds */
	double burst;			/* probes per peer and round, on average; at least 1 */
	int64_t step_threshold_ns;	/* a larger offset is stepped at the start */
	double max_rate_ppb;		/* limit of frequency correction plus slew */
	double freq_ppb;		/* frequency correction at the start... */
	double freq_sigma_ppb;		/* ...and how well that is known; 0 = it is not */
};

enum node_action_type {
	NODE_ACT_PEER,		/* PEER_SET addr, then node_peer_index() */
	NODE_ACT_FORGET,	/* PEER_DEL addr */
	NODE_ACT_ROUND,		/* ROUND */
	NODE_ACT_SEND,		/* SEND payload to addr, or to everybody near */
	NODE_ACT_NOTE,		/* PEER_NOTE */
	NODE_ACT_CLOCK,		/* set the clock's frequency, flags; maybe step it */
	NODE_ACT_PUBLISH,	/* PUBLISH */
	NODE_ACT_LOG,		/* a line for the log */
};

struct node_round {
	uint32_t round;
	unsigned int burst;
	int64_t spacing_ns, deadline_ns;
	const uint32_t *peer;	/* indices of the kernel; good until the next node_*() event */
	size_t n_peers;		/* at least 1 */
};

struct node_send {
	union node_addr addr;	/* AF_UNSPEC: all local networks, by multicast */
	size_t len;
	unsigned char payload[BERK_PAYLOAD_MAX];
};

/* ORDER: step first, then frequency and status. */
struct node_clock {
	int64_t step_ns;	/* add to CLOCK_REALTIME; 0 = no step */
	double freq_ppb;	/* absolute; positive = run faster */
	int64_t maxerror_ns, esterror_ns;
	bool synchronised;	/* false: STA_UNSYNC */
};

/* What is thought of a peer, for PEER_GET to show. */
struct node_note {
	uint32_t peer;		/* index of the kernel */
	enum berk_peer_state state;
	enum berk_peer_reason reason;
	uint8_t rank;		/* in the order of standbys; 0 = none, 1 = the next master */
	bool known;		/* the rest is */
	int64_t offset_ns;	/* of its clock to the group's time; positive = ahead */
	int64_t sigma_ns;
	int64_t delay_ns;	/* shortest round trip */
	double freq_ppb;	/* of its crystal against ours; positive = fast */
};

struct node_publish {
	enum berk_state state;
	uint64_t origin;		/* of the group's time: a cluster, or 0 = outside */
	enum berk_role role;
	uint64_t master_id;
	uint32_t term, round;
	int64_t offset_ns;
	uint64_t error_bound_ns;	/* UINT64_MAX = unknown */
	uint32_t error_growth_ppb;	/* by which it grows from now on */
	double freq_ppb;		/* without the slew... */
	double freq_sigma_ppb;		/* ...and its uncertainty; 0 = unknown */
	uint32_t valid_ms;
};

struct node_log {
	int priority;		/* of syslog(3) */
	char text[200];
};

struct node_action {
	enum node_action_type type;
	union {
		union node_addr peer;	/* of PEER and FORGET */
		struct node_round round;
		struct node_send send;
		struct node_note note;
		struct node_clock clock;
		struct node_publish publish;
		struct node_log log;
	};
};

struct node;

/*
 * The present instant on both local clocks, read together. All node_*() event
 * functions take it; raw_ns never goes back, real_ns may be stepped.
 */
struct node_now {
	int64_t real_ns, raw_ns;
};

/* Allocates; NULL if there is no memory. Free with node_free(). */
struct node *node_init(const struct node_conf *conf);
void node_free(struct node *node);

/*
 * Peers that are configured, before or after node_start(); those that are not are
 * found. -EEXIST, -ENOMEM, or 0.
 */
int node_peer_add(struct node *node, const union node_addr *addr);
int node_peer_del(struct node *node, const union node_addr *addr);
/* What the kernel calls that peer in samples (BERK_A_PEER). */
void node_peer_index(struct node *node, const union node_addr *addr, uint32_t index);

/* A reload: node_id and reference must be as before. */
void node_reconf(struct node *node, const struct node_conf *conf);

void node_start(struct node *node, struct node_now now);
void node_timer(struct node *node, struct node_now now);
void node_sample(struct node *node, struct node_now now, const struct berk_sample *sample);
/* After all samples of the round were fed. */
void node_round_done(struct node *node, struct node_now now, uint32_t round);
/* A control message arrived; payload may be anything at all. */
void node_ctrl(struct node *node, struct node_now now, const union node_addr *from,
	       uint64_t from_id, uint32_t term, const void *payload, size_t len);
/*
 * Of a reference only: whether its clock is right at present, and where its time comes
 * from: a cluster (what the node that drives this clock published), or 0 = outside.
 * Until told, it is not right.
 */
void node_reference(struct node *node, struct node_now now, bool right, uint64_t origin);
/* The last NODE_ACT_CLOCK could not be carried out: the clock is not what was commanded. */
void node_clock_failed(struct node *node);
/* The machine was suspended: RAW stood still, REALTIME and the other clocks did not. */
void node_resumed(struct node *node, struct node_now now);
/*
 * Leaves the frequency at its last good value, slews over, unsynchronised. A master
 * hands over.
 */
void node_stop(struct node *node, struct node_now now);

/* When node_timer() wants to be called, in local raw time. */
int64_t node_next_timer(const struct node *node);

/* The oldest action not yet taken, or false. */
bool node_next_action(struct node *node, struct node_action *act);

#endif /* BERK_NODE_H */
