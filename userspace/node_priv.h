/* SPDX-License-Identifier: GPL-2.0 */
/* node_priv: what node.c, peer.c, master.c and follow.c share; nobody else includes it */
#ifndef BERK_NODE_PRIV_H
#define BERK_NODE_PRIV_H

#include <syslog.h>

#include "ensemble.h"
#include "msg.h"
#include "node.h"
#include "servo.h"
#include "track.h"

#define SECOND		1000000000LL
#define PEER_TEXT	64	/* bytes for an address as text */
#define TERM_LEAP	(UINT32_C(1) << 30)	/* a term further ahead is not believed */
#define LOGS		16	/* lines waiting to be taken */
#define FAST_ROUNDS	5	/* quick ones at the start */
#define UNACKED		16	/* corrections without acknowledgement: no member */
#define RATE_UNKNOWN	100e3	/* ppb */

enum peer_status {
	PEER_SILENT,		/* does not answer */
	PEER_IDLE,		/* answers, but no daemon corrects its clock */
	PEER_CANDIDATE,		/* not yet seen to be close, or does not acknowledge */
	PEER_MEMBER,		/* in the average */
	PEER_FALSETICKER,	/* contradicts the majority */
};

/* What makes a clock a member; the master's own is judged like the others'. */
struct standing {
	enum peer_status status;
	unsigned int close;	/* rounds in a row within the tolerance */
	double rate_seen;	/* ppb: of its crystal; see ensemble_rate() */
};

struct peer {
	union node_addr addr;
	bool indexed;
	uint32_t index;		/* of the kernel */
	struct track track;
	struct standing standing;

	/* This round */
	bool answered, restarted, have_ref;
	unsigned int changed;	/* rounds for which a change of its clock is remembered; until
				 * the last of them it may turn out to be of ours, and it waits
				 */
	struct track_ref ref;

	/* From its last sample */
	uint32_t term;
	uint16_t flags;		/* BERK_F_* */

	unsigned int missed;	/* rounds in a row without an answer */
	unsigned int unacked;	/* corrections in a row without an acknowledgement */
	bool acked;		/* any, since it came or came back */
	bool may_step;		/* its RAW clock started anew; until it acknowledges */
	bool anew;		/* its crystal is not what it was; likewise */

	/* Actions waiting to be taken */
	bool announce, send;
	struct msg_correct correct;
};

/* Every node: where the group's time is, and how well that is known. */
struct follow {
	bool heard;
	uint64_t master_id;
	uint32_t term, round;	/* of the last correction accepted */
	struct msg_correct last;
	int64_t heard_raw;	/* when it came */
	double sigma_ns, rate_sigma_ppb;	/* of the line held, at last.ref_raw_ns */
	bool withdrawn;		/* the last correction contradicts the error bound */
	enum berk_state state;
	bool stray_logged;	/* another master, at this term */
};

struct master {
	struct peer **peer;	/* by address */
	struct peer **by_index;	/* those with an index, by it */
	size_t n, n_indexed, size;
	size_t scan;		/* no peer before this one has an action */

	struct ensemble ensemble;
	uint32_t round;
	bool in_round;
	unsigned int fast;	/* rounds that are still to come quickly */
	int64_t period_ns;	/* from this round to the next */
	int64_t round_next;

	/* Our own clocks at the newest T4 of the round */
	bool have_own;
	struct berk_stamp own;
	uint32_t own_set_seq;

	/* The group's time as a line in our RAW time; its slope is ensemble.rate_ppb */
	bool have_group;
	int64_t group_raw, group_real;
	struct standing self;
	unsigned int waited;	/* rounds for all peers to turn up at the very start */
	unsigned int discord;	/* rounds in a row without a majority */
	unsigned int hold;	/* rounds to come in which only this node is corrected */
	double sigma_ns, bound_ns;	/* of the group's time, when others last took part */
	bool alone, contested;	/* logged */
};

struct node {
	struct node_conf conf;
	uint32_t term;
	struct servo servo;
	int64_t servo_next, publish_next;
	struct follow follow;
	struct master master;

	/* Actions waiting to be taken */
	bool do_clock, do_publish, do_ack, do_round;
	struct node_clock clock;
	struct node_publish publish;
	union node_addr ack_to;
	struct msg_ack ack;
	struct node_round round;
	struct node_log log[LOGS];
	unsigned int log_head, log_tail;
	double log_tokens;	/* lines that may be written at once */
	int64_t log_raw;
	unsigned int log_dropped;
};

/* node.c */
__attribute__((format(printf, 4, 5)))
void node_say(struct node *node, int64_t raw_ns, int priority, const char *fmt, ...);

/* peer.c */
struct peer *peer_by_addr(const struct node *node, const union node_addr *addr);
struct peer *peer_by_index(const struct node *node, uint32_t index);
const char *peer_text(const struct peer *peer, char text[PEER_TEXT]);
void peers_free(struct node *node);

/* follow.c: every node */
void follow_start(struct node *node, struct node_now now);
/* Accepted: steer by it from now on. */
void follow_apply(struct node *node, struct node_now now, uint64_t master_id,
		  const struct msg_correct *c);
/* A correction from somewhere; answers it. */
void follow_ctrl(struct node *node, struct node_now now, const union node_addr *from,
		 uint64_t from_id, const struct msg_correct *c);
void follow_timer(struct node *node, struct node_now now);
void follow_forget(struct node *node, struct node_now now);
void follow_stop(struct node *node, struct node_now now);

/* members.c */
void standing_lower(struct standing *s, enum peer_status status);
bool members_corrigible(const struct peer *peer);
/* Brings every peer up to date. Returns how many can be corrected. */
size_t members_take_stock(struct node *node, struct node_now now);
/* Peers whose RAW clocks jumped. True if it was rather ours: this node was paused. */
bool members_check_restarts(struct node *node, struct node_now now);

/* group.c */
/* Slot 0 of the ensemble is this node, slot i + 1 is peer i. */
void group_fill(struct node *node);
/* The first time; false while it is too early. */
bool group_found(struct node *node, size_t present);
/* Every other time; expected: of ensemble.offset_ns, NAN: unknown. False without a majority. */
bool group_agree(struct node *node, struct node_now now, double expected);
/* The group's time at a moment of our RAW clock. */
int64_t group_real(const struct master *m, int64_t raw);

/* master.c */
void master_outbid(struct node *node, struct node_now now, const struct peer *peer, uint32_t seen);
void master_start(struct node *node, struct node_now now);
void master_timer(struct node *node, struct node_now now);
void master_sample(struct node *node, struct node_now now, const struct berk_sample *sample);
void master_round_done(struct node *node, struct node_now now, uint32_t round);
void master_ack(struct node *node, struct node_now now, const union node_addr *from,
		uint64_t from_id, const struct msg_ack *ack);
/* The group's time has to be found anew. */
void master_forget(struct node *node);

#endif /* BERK_NODE_PRIV_H */
