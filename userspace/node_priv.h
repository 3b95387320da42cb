/* SPDX-License-Identifier: GPL-2.0 */
/* node_priv: what the files behind node.h share; nobody else includes it */
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

/*
 * Terms are serial numbers (as in RFC 1982): they go on after the last. 0 is of a node
 * that has not seen any.
 */
static inline bool term_newer(uint32_t a, uint32_t b)
{
	return b == 0 ? a != 0 : a != 0 && (int32_t)(a - b) > 0;
}

/* Newer, but by so much that it was made up. */
static inline bool term_absurd(uint32_t a, uint32_t b)
{
	return b != 0 && term_newer(a, b) && a - b >= TERM_LEAP;
}

#define LOGS		16	/* lines waiting to be taken */
#define REPLIES		32	/* to strangers, waiting to be taken */
#define FORGOTTEN	32	/* peers that the kernel still has */
#define FAST_ROUNDS	5	/* quick ones at the start */
#define UNACKED		16	/* corrections without acknowledgement: no member */
#define MISSED		2	/* rounds without an answer: silent */
#define RATE_UNKNOWN	100e3	/* ppb */
#define REPORTED	64	/* samples that wait to be reported */
#define WITNESSES_MAX	8	/* more are not asked */

/* What makes a clock a member; the master's own is judged like the others'. */
struct standing {
	enum berk_peer_state state;	/* SILENT to FOREIGN, or REFERENCE */
	enum berk_peer_reason why;
	unsigned int close;	/* rounds in a row within the tolerance */
	unsigned int distance;	/* of those, how many it takes a reference */
	double rate_seen;	/* ppb: of its crystal; see ensemble_rate() */
};

struct peer {
	union node_addr addr;
	bool fixed;		/* configured: never forgotten */
	bool indexed;
	uint32_t index;		/* of the kernel */
	struct track track;
	struct standing standing;

	/* As it introduced itself */
	uint64_t node_id, instance;	/* 0: it has not yet */
	bool eligible, reports, reference;
	uint64_t origin;	/* of a reference's time */
	uint8_t priority;
	uint32_t vote;		/* term in which it would have us as master */
	int64_t heard_raw;	/* last sign of life; or of it, from the master */
	int64_t sampled_raw;	/* last sample */

	/* As seen from a slave */
	bool witness;		/* to be measured, says the master */
	bool probed;		/* in the round under way */
	double place_ns, place_half;	/* of its clock, seen from ours, in doubt */
	double late_ns;		/* of its crystal, against what the track says */

	/* As seen from the master */
	uint8_t rank;		/* in the order of standbys */
	uint32_t given;		/* term of the last correction */
	int64_t stray_raw, stray_heard_raw;	/* as of no master: when first, and last */
	size_t told;		/* how far it has been told of the others */

	/* This round */
	bool answered, restarted, have_ref;
	bool fresh;		/* answered by a sample of this very round, or report */
	unsigned int changed;	/* rounds for which a change of its clock is remembered; until
				 * the last of them it may turn out to be of ours, and it waits
				 */
	struct track_ref ref;

	/* From its last sample */
	uint32_t term;
	uint16_t flags;		/* BERK_F_* */

	unsigned int dropped;	/* samples of this round that make no sense */
	unsigned int restarts;	/* lately; leaks */
	double drift_ns;	/* how far it is from the line, on average */

	unsigned int missed;	/* rounds in a row without an answer */
	bool here;		/* could be corrected when it answered last, not long ago */
	unsigned int unacked;	/* corrections in a row without an acknowledgement */
	bool acked;		/* any, since it came or came back */
	bool may_step;		/* its RAW clock started anew; until it acknowledges */
	bool anew;		/* its crystal is not what it was; likewise */

	/* Actions waiting to be taken */
	bool announce, send, say, note;
	enum msg_hello_kind kind;	/* of what is to be said */
	struct msg_correct correct;
	struct node_note noted;	/* last */
};

/* Who leads, and who would. */
enum stance {
	SEEKING,		/* no master is known */
	CLAIMING,		/* votes are coming in */
	FOLLOWING,
	LEADING,		/* this node is the master */
};

struct elect {
	enum stance stance;
	uint64_t random;
	uint64_t instance;
	uint32_t promised;	/* highest term granted to somebody, ourselves included */
	uint32_t claimed;
	unsigned int tries;	/* of this claim */
	int64_t due;		/* SEEKING, FOLLOWING: when to stand; CLAIMING: when to count */
	int64_t since;		/* of this stance */
	int64_t hello_next;
	uint8_t rank;		/* ours */
	uint32_t size;		/* clocks in the largest group that this one has been in */
	bool resigned;		/* our master has */
	int64_t alive_raw;	/* when it last said anything */

	/* A master that was heard, but does not correct us (yet) */
	uint64_t master_id;
	union node_addr master_addr;
	int64_t heard_raw;
	unsigned int answers;	/* given since we asked ourselves */
	bool mute_logged;

	/* Another master, or one that somebody follows; 0 = none */
	uint64_t rival_id;
	union node_addr rival_addr;
	uint32_t rival_size, rival_term;
	int64_t rival_raw, rival_heard_raw;	/* when it was heard first, and last */

	bool changed;		/* by a reload: the others do not know yet */
	int64_t stands_back;	/* until then others shall lead */
	uint64_t distrusted;	/* a master that lied... */
	int64_t distrusted_until;	/* ...and is not believed until then */
	int64_t size_raw;	/* when it was that large */
	int64_t asked_raw;	/* when that master was asked */
	bool twice;		/* another node has our id: we stay out */
	int64_t twice_raw;
	bool twice_logged, foreign_logged, minority_logged;
};

/* What a slave makes of its master's corrections; see check.c */
struct check {
	/* At once: a correction that waits for what the witnesses say */
	bool holding;
	struct msg_correct held;
	union node_addr held_from;
	uint64_t held_id;
	int64_t asked_raw;
	int64_t master_raw;	/* when the master became ours */

	/* Slowly */
	bool anchored;
	int64_t since;		/* that */
	int64_t raw, real;	/* a point of the line, up to which it was followed */
	uint64_t ids;		/* of the witnesses, and of their crystals seen from ours... */
	double phase, rate_ppb;	/* ...the mean then */
	double own_ppb, all_ppb;	/* the line's course, by this crystal and by theirs */
	double past_ppb[2];	/* the line's slope some time ago */
	int64_t past_raw;
	double own_ns, all_ns;	/* its departure from that lately */
	unsigned int trips;	/* corrections in a row for which that was too far */
};

/* Every node: where the group's time is, and how well that is known. */
struct follow {
	bool heard;
	uint64_t master_id;
	union node_addr master_addr;	/* AF_UNSPEC: ourselves */
	uint32_t term, round;	/* of the last correction accepted */
	struct msg_correct last;
	int64_t heard_raw;	/* when it came */
	double sigma_ns, rate_sigma_ppb;	/* of the line held, at last.ref_raw_ns */
	unsigned int contradictions, rate_contradictions;	/* in a row, poorer ones */
	/* By how much the line was moved lately, or was to be: which of the two is right? */
	double moved_ns, moved_ppb;
	bool withdrawn;		/* the last correction contradicts the error bound */
	enum berk_state state;
	bool stray_logged;	/* another master, at this term */
};

/* Rounds, whatever they are for. */
struct measure {
	uint32_t round;
	uint32_t *list;		/* indices of those probed in the round under way */
	size_t n;
	bool in_round;
	int64_t round_next, round_ends;
	unsigned int turn;
	bool urgent;		/* the next round is for the witnesses */
	double carry;		/* of the probes due, what was no whole one */
	struct berk_sample reported[REPORTED];	/* all of the same master: */
	uint64_t reported_of;
	unsigned int n_reported, n_sent;
};

struct master {
	struct peer **peer;	/* by address */
	struct peer **by_index;	/* those with an index, by it */
	size_t n, n_indexed, size;
	size_t scan;		/* no peer before this one has an action */

	struct ensemble ensemble;
	unsigned int fast;	/* rounds that are still to come quickly */
	int64_t fast_raw;	/* when they were last asked for */
	int64_t period_ns;	/* from this round to the next */

	/* Our own clocks at the newest T4 of the round */
	bool have_own;
	struct berk_stamp own;

	/* The group's time as a line in our RAW time; its slope is ensemble.rate_ppb */
	bool have_group;
	int64_t group_raw, group_real;
	struct standing self;
	unsigned int waited;	/* rounds for all peers to turn up at the very start */
	unsigned int discord;	/* rounds in a row without a majority... */
	unsigned int agreed;	/* ...and rounds with one, in this term */
	unsigned int hold;	/* rounds to come in which only this node is corrected */
	double sigma_ns, bound_ns;	/* of the group's time, when others last took part */
	bool alone;		/* logged */
	bool stood_still;	/* and has not been averaged with others since */
	uint32_t followers;	/* in the last round, this node included; 0: no group */
	int64_t served_raw;	/* when anybody was corrected */
	bool changed;		/* our own crystal, in this round */
	unsigned int restarts;	/* of ours, as of peers */
	bool outnumbered;	/* quorum: corrects nothing */
	uint32_t term_before;	/* that our members may still be in */

	/* Towards references */
	double steer_ppb;	/* the group's rate beyond that of its crystals */
	bool steer_free;	/* a new group, and the rate is still being found */
	bool steered;
	double astray_ns;	/* how far the group is from its references */
	uint64_t origin;	/* of the group's time */
	bool cycle_logged;
};

/* To somebody who is not among the peers, or about something special. */
struct reply {
	union node_addr to;	/* AF_UNSPEC: everybody near */
	enum msg_hello_kind kind;
	uint32_t claimed;
};

struct node {
	struct node_conf conf;
	uint32_t term;
	struct servo servo;
	int64_t servo_next, publish_next;
	struct follow follow;
	struct elect elect;
	struct check check;
	struct measure measure;
	struct master master;
	bool right;		/* a reference: its clock is, and comes from there */
	uint64_t origin;

	/* Actions waiting to be taken */
	bool do_clock, do_publish, do_ack, do_round;
	struct reply reply[REPLIES];
	unsigned int reply_head, reply_tail;
	union node_addr forgotten[FORGOTTEN];
	unsigned int n_forgotten;
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
struct peer *peer_by_id(const struct node *node, uint64_t node_id);
/* The node of that id, which is at addr: found or made; NULL if there is no room. */
struct peer *peer_meet(struct node *node, struct node_now now, uint64_t node_id,
		       const union node_addr *addr);
/* A node that was found is elsewhere now. */
void peer_move(struct node *node, struct peer *peer, const union node_addr *addr);
/* It answered: now it is known which node it is. */
void peer_identify(struct node *node, struct peer *peer);
/* Drops those that were found and are not heard of any more. */
void peers_forget(struct node *node, struct node_now now);
const char *addr_text(const union node_addr *addr, char text[PEER_TEXT]);
const char *peer_text(const struct peer *peer, char text[PEER_TEXT]);
void peers_free(struct node *node);

/* hello.c: what nodes say of themselves */
/* kind to addr, or with AF_UNSPEC to everybody near. */
void hello_send(struct node *node, const union node_addr *to, enum msg_hello_kind kind,
		uint32_t claimed);
/* The same to all peers, and to everybody near. */
void hello_all(struct node *node, enum msg_hello_kind kind);
void hello_fill(const struct node *node, enum msg_hello_kind kind, uint32_t claimed,
		struct msg_hello *h);
/* What it says of itself is true of it. */
void hello_introduce(struct peer *peer, const struct msg_hello *h);
void hello_heard(struct node *node, struct node_now now, const union node_addr *from,
		 uint64_t from_id, const struct msg_hello *h);

/* elect.c: who leads */
void elect_start(struct node *node, struct node_now now);
void elect_timer(struct node *node, struct node_now now);
int64_t elect_next(const struct node *node);
/* A correction was accepted; by_another: than the last one. */
void elect_corrected(struct node *node, struct node_now now, const union node_addr *from,
		     const struct msg_correct *c, bool by_another);
/* True if a master that this node follows is at work. */
bool elect_master_alive(const struct node *node, struct node_now now);
/* Leading, at the end of a round: now it is known who is still with us. */
void elect_round(struct node *node, struct node_now now);
/* Of how many nodes a majority is needed. */
size_t elect_whole(const struct node *node);
/* Leading in too old a term. */
void elect_raise_term(struct node *node, uint32_t seen);
/* This node does not lead any more; `to` does, if that is known. */
void elect_yield(struct node *node, struct node_now now, uint64_t to,
		 const union node_addr *to_addr);
/* Whoever is next shall lead; on the way out, and without that. */
void elect_resign(struct node *node);
void elect_hand_over(struct node *node, struct node_now now);
void elect_vote(struct node *node, struct node_now now, const union node_addr *from,
		uint64_t from_id, const struct msg_hello *h);
void elect_voted(struct node *node, struct node_now now, const union node_addr *from,
		 uint64_t from_id, const struct msg_hello *h);
/* successor_id 0: whoever is next; addr AF_UNSPEC: not known. */
void elect_resigned(struct node *node, struct node_now now, uint64_t from_id,
		    uint64_t successor_id, const union node_addr *addr);
/* A master was heard that does not correct us; or others named it. */
void elect_heard(struct node *node, struct node_now now, const union node_addr *addr,
		 uint64_t master_id, bool itself);
/* Whom we voted for leads: whoever reports does so to it from now on. */
void elect_elected(struct node *node, struct node_now now, const union node_addr *from,
		   uint64_t master_id);
/* Our master has nothing to correct just now. */
void elect_beacon(struct node *node, struct node_now now);
/* Somebody stands who is to be preferred. */
void elect_defer(struct node *node, struct node_now now);
void elect_distrust(struct node *node, struct node_now now, uint64_t master_id);
bool elect_distrusts(const struct node *node, struct node_now now, uint64_t node_id);
uint64_t elect_random(struct node *node);

/* measure.c: rounds */
void measure_timer(struct node *node, struct node_now now);
void measure_sample(struct node *node, struct node_now now, const struct berk_sample *sample);
void measure_round_done(struct node *node, struct node_now now, uint32_t round);
/* The next round, for another purpose than the last, may begin then. */
void measure_from(struct node *node, int64_t raw_ns);
/* The witnesses, now. */
void measure_urgent(struct node *node, struct node_now now);
/* A correction came: whoever reports does so just before the next. */
void measure_align(struct node *node, struct node_now now);
void measure_reported(struct node *node, struct node_now now, const union node_addr *from,
		      uint64_t from_id, const struct msg_report *report);
/* The next part of a report, or false. */
bool measure_report(struct node *node, struct msg_report *report);

/* follow.c: every node */
int64_t follow_interval(const struct node *node);
void follow_start(struct node *node, struct node_now now);
/* Accepted: steer by it from now on. */
void follow_apply(struct node *node, struct node_now now, uint64_t master_id,
		  const struct msg_correct *c);
/* From a master that is followed from now on, if it was not before. */
void follow_accept(struct node *node, struct node_now now, const union node_addr *from,
		   uint64_t from_id, const struct msg_correct *c);
/* Unless it is applied and nobody wants to know. */
void follow_ack(struct node *node, struct node_now now, const union node_addr *to,
		const struct msg_correct *c, enum msg_status status);
/* A correction from somewhere; answers it. */
void follow_ctrl(struct node *node, struct node_now now, const union node_addr *from,
		 uint64_t from_id, const struct msg_correct *c);
void follow_timer(struct node *node, struct node_now now);
void follow_forget(struct node *node, struct node_now now);
void follow_stop(struct node *node, struct node_now now);
void follow_publish(struct node *node, struct node_now now);
/* ns, 1 sigma: of the line held. */
double follow_sigma(const struct node *node, struct node_now now);
/* ns; the group's time is within REALTIME +- this. */
double follow_bound(const struct node *node, struct node_now now);

/* check.c: slaves check their master */
/*
 * True: follow it. False: the witnesses are asked first; then either the correction
 * is accepted, or the master is not any more.
 */
bool check_correction(struct node *node, struct node_now now, const union node_addr *from,
		      uint64_t from_id, const struct msg_correct *c);
void check_sample(const struct node *node, struct peer *peer, const struct berk_sample *s);
/* All samples are there. */
void check_witnessed(struct node *node, struct node_now now);
/* After a correction was applied. */
void check_applied(struct node *node, struct node_now now, const struct msg_correct *c);
/* Some crystal is not what it was: the course has to be learned anew. */
void check_course(struct node *node);
void check_restart(struct node *node);

/* members.c */
void standing_lower(struct standing *s, enum berk_peer_state state, enum berk_peer_reason why);
bool members_corrigible(const struct node *node, const struct peer *peer);
/* Brings every peer up to date. Returns how many can be corrected. */
size_t members_take_stock(struct node *node, struct node_now now);
/* Peers whose RAW clocks jumped. True if it was rather ours: this node was paused. */
bool members_check_restarts(struct node *node, struct node_now now);
/* The order of standbys. */
void members_rank(struct node *node, struct node_now now);
/* What the next correction of that peer tells of the others. */
void members_tell(struct node *node, size_t i, struct msg_correct *c);
void members_note(struct node *node);

/* group.c */
/* Slot 0 of the ensemble is this node, slot i + 1 is peer i. */
void group_fill(struct node *node);
/* The first time; false while it is too early. */
bool group_found(struct node *node, size_t present);
/* Every other time; expected: of ensemble.offset_ns, NAN: unknown. False without a majority. */
bool group_agree(struct node *node, struct node_now now, double expected);
/* The group's time at a moment of our RAW clock. */
int64_t group_real(const struct master *m, int64_t raw);
/* ppb: of the group's time against our RAW. */
double group_rate(const struct master *m);

/* reference.c: outside time */
/* It is one, is right, and does not have its time from us. */
bool reference_usable(const struct node *node, const struct peer *peer);
/* There is one, but none that is right yet. */
bool reference_coming(const struct node *node);
void reference_steer(struct node *node, struct node_now now);

/* master.c */
/* Elected. */
void master_begin(struct node *node, struct node_now now);
void master_end(struct node *node, struct node_now now);
/* The round is over, or due without one. */
void master_finish(struct node *node, struct node_now now);
/* Somebody new is there: measure quickly for a while. */
void master_hurry(struct node *node, struct node_now now);
int64_t master_period(struct node *node);
void master_own(struct master *m, const struct berk_sample *s);
void master_ack(struct node *node, struct node_now now, const union node_addr *from,
		uint64_t from_id, const struct msg_ack *ack);
/* The group's time has to be found anew. */
void master_forget(struct node *node);

#endif /* BERK_NODE_PRIV_H */
