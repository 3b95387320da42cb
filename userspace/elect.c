// SPDX-License-Identifier: GPL-2.0
/*
 * elect: who leads
 *
 * As in Raft (Ongaro & Ousterhout, 2014) a node stands for a new term, every node
 * votes once per term, and whoever still hears a master votes for nobody. Two
 * things differ: less than half may elect as well, if so configured, and
 * therefore terms grow by leaps of chance, so that two parts of a group that
 * cannot hear each other do not choose the same.
 *
 * The master tells everybody the order in which they stand when it is gone, so
 * that normally one does, and at once.
 */
#include <inttypes.h>
#include <string.h>

#include "node_priv.h"

#define DISCOVER	250000000LL	/* ns: until somebody would have answered */
#define SEEK_FAST	250000000LL	/* ns between hellos at first */
#define SEEK_MANY	8	/* hellos at that pace */
#define VOTE		50000000LL	/* ns until a claim is repeated */
#define TRIES		3
#define SURE		2	/* tries, when all have voted */
#define BEACON		4	/* intervals: whoever seeks asks by itself */
#define HANDOVER	10000000LL	/* ns: until all have heard that the master resigns */
#define SLACK		100000000LL	/* ns: by which a correction may be later than usual */
#define LEAP		0xffff	/* terms; a mask */
#define HOLDS		6	/* intervals without correction: no beacon helps any more */
#define ALONE		12	/* intervals without a master: better a doubtful one */
#define DISTRUST	120	/* intervals */
#define STANDS_BACK	30	/* intervals: who could not lead does not try again at once */
#define SIZE_HOLDS	120	/* intervals: a group that has shrunk for so long is smaller */
#define MUTE		5	/* intervals: a master that does not answer is worth a line */
#define TWICE		60	/* intervals */

/* SplitMix64 (Steele, Lea & Flood, 2014) */
uint64_t elect_random(struct node *node)
{
	uint64_t z = node->elect.random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Up to ns. */
static int64_t chance(struct node *node, int64_t ns)
{
	return (int64_t)(elect_random(node) % (uint64_t)ns);
}

/* Such a node has no master. */
static bool without(enum stance stance)
{
	return stance == SEEKING || stance == CLAIMING;
}

static void enter(struct node *node, struct node_now now, enum stance stance, int64_t due)
{
	struct elect *e = &node->elect;

	if (e->stance != stance && !(without(e->stance) && without(stance)))
		e->since = now.raw_ns;
	e->stance = stance;
	e->due = due;
}

/* Whoever hears nothing tells everybody, and waits for that long before it stands itself. */
static void seek(struct node *node, struct node_now now, int64_t patience)
{
	enter(node, now, SEEKING, now.raw_ns + patience);
	node->elect.hello_next = now.raw_ns;
	measure_from(node, now.raw_ns);
}

void elect_start(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;

	e->random = node->conf.seed;
	do {
		e->instance = elect_random(node);
	} while (!e->instance);
	seek(node, now, node->conf.eager ? 0 : DISCOVER + chance(node, DISCOVER / 2));
	e->since = now.raw_ns;
}

bool elect_master_alive(const struct node *node, struct node_now now)
{
	const struct elect *e = &node->elect;
	int64_t patience = follow_interval(node) * 13 / 10;

	switch (e->stance) {
	case LEADING:
		return !node->master.outnumbered;
	case FOLLOWING:
		return !e->resigned && now.raw_ns - e->alive_raw <= patience;
	default:
		return e->master_id && now.raw_ns - e->heard_raw <= patience;
	}
}

bool elect_distrusts(const struct node *node, struct node_now now, uint64_t node_id)
{
	return node->elect.distrusted == node_id && now.raw_ns < node->elect.distrusted_until;
}

static uint32_t newest_term(const struct node *node)
{
	return term_newer(node->term, node->elect.promised) ? node->term : node->elect.promised;
}

static uint32_t new_term(struct node *node, uint32_t seen)
{
	uint32_t newest = newest_term(node), term;

	/* so that what follows is not absurd to anybody */
	if (term_newer(seen, newest) && (!newest || seen - newest < TERM_LEAP / 4))
		newest = seen;
	term = newest + 1 + (uint32_t)(elect_random(node) & LEAP);
	return term ? term : 1;
}

void elect_raise_term(struct node *node, uint32_t seen)
{
	node->master.term_before = node->term;
	node->term = node->elect.promised = new_term(node, seen);
}

/* --- standing */

static bool may_vote(const struct peer *peer)
{
	return peer->node_id && peer->missed < MISSED && peer->track.started;
}

static size_t votes(const struct node *node)
{
	const struct master *m = &node->master;
	size_t n = 1;

	for (size_t i = 0; i < m->n; i++)
		n += m->peer[i]->vote == node->elect.claimed;
	return n;
}

/* All that this node knows to be there, but for the master that is gone. */
static bool all_voted(const struct node *node)
{
	const struct master *m = &node->master;
	size_t known = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		if (peer->vote == node->elect.claimed)
			known++;
		else if (may_vote(peer) && peer->node_id != node->follow.master_id)
			return false;
	}
	/* a slave knows few of the others: then time will tell whether one objects */
	return known > 0 && known + 2 >= node->follow.last.members;
}

size_t elect_whole(const struct node *node)
{
	const struct master *m = &node->master;
	size_t n = 1;

	for (size_t i = 0; i < m->n; i++)
		n += m->peer[i]->fixed;
	return n > node->elect.size ? n : node->elect.size;
}

static void claim(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;

	e->claimed = e->promised = new_term(node, 0);
	e->tries = 1;
	enter(node, now, CLAIMING, now.raw_ns + VOTE);
	hello_all(node, MSG_CLAIM);
}

static void win(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;

	node->master.term_before = node->term;
	node->term = e->claimed;
	node->follow.master_id = node->conf.node_id;
	e->master_id = 0;
	e->foreign_logged = e->minority_logged = false;
	enter(node, now, LEADING, INT64_MAX);
	e->rival_id = 0;
	e->hello_next = now.raw_ns;
	master_begin(node, now);
}

static void count(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;

	if (node->conf.quorum == NODE_QUORUM_MAJORITY && 2 * votes(node) <= elect_whole(node)) {
		if (!e->minority_logged)
			node_say(node, now.raw_ns, LOG_WARNING, "%zu of %zu votes are no majority:"
				 " no master can be elected here", votes(node), elect_whole(node));
		e->minority_logged = true;
		seek(node, now, 2 * follow_interval(node) + chance(node, follow_interval(node)));
		return;
	}
	win(node, now);
}

static void on_claiming(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;

	/* a master that lives after all has had the time to object */
	if (e->tries >= TRIES || (e->tries >= SURE && all_voted(node))) {
		count(node, now);
		return;
	}
	e->tries++;
	e->due = now.raw_ns + VOTE;
	hello_all(node, MSG_CLAIM);
}

void elect_voted(struct node *node, struct node_now now, const union node_addr *from,
		 uint64_t from_id, const struct msg_hello *h)
{
	struct elect *e = &node->elect;
	struct peer *peer;

	if (e->stance != CLAIMING || h->claimed != e->claimed)
		return;
	if (h->kind == MSG_GRANT) {
		peer = peer_meet(node, now, from_id, from);
		if (!peer)
			return;
		peer->vote = e->claimed;
		hello_introduce(peer, h);
		if (all_voted(node) && (e->resigned || now.raw_ns < e->distrusted_until))
			count(node, now);
		return;
	}
	if ((e->resigned && h->master_id == node->follow.master_id) ||
	    elect_distrusts(node, now, h->master_id))
		return;		/* it has not heard yet; or it must know better */
	if (!term_newer(e->claimed, h->term)) {	/* ours was too low */
		if (!term_absurd(h->term, e->claimed))
			e->promised = h->term;
		seek(node, now, chance(node, 2 * VOTE));
	} else {
		seek(node, now, follow_interval(node) + chance(node, follow_interval(node)));
	}
}

void elect_vote(struct node *node, struct node_now now, const union node_addr *from,
		uint64_t from_id, const struct msg_hello *h)
{
	struct elect *e = &node->elect;
	uint32_t newest = newest_term(node);
	bool again = h->claimed == e->promised && e->master_id == from_id;
	bool newer = term_newer(h->claimed, newest) && !term_absurd(h->claimed, newest);
	bool ours = e->stance == FOLLOWING && from_id == node->follow.master_id;

	if (!again && (!newer || elect_distrusts(node, now, from_id) ||
		       (!ours && elect_master_alive(node, now)))) {
		hello_send(node, from, MSG_DENY, h->claimed);
		return;
	}
	e->promised = h->claimed;
	e->master_id = from_id;
	e->master_addr = *from;
	if (e->stance == LEADING)
		elect_yield(node, now, from_id, from);
	else if (e->stance == CLAIMING)
		enter(node, now, SEEKING, 0);
	e->due = now.raw_ns + 2 * follow_interval(node) + chance(node, follow_interval(node));
	hello_send(node, from, MSG_GRANT, h->claimed);
}

/* --- being led */

/* A group that was larger not long ago is still that large, as far as majorities go. */
static void note_size(struct node *node, struct node_now now, uint32_t size)
{
	struct elect *e = &node->elect;

	if (size < e->size && now.raw_ns - e->size_raw < SIZE_HOLDS * follow_interval(node))
		return;
	e->size = size;
	e->size_raw = now.raw_ns;
}

void elect_corrected(struct node *node, struct node_now now, const union node_addr *from,
		     const struct msg_correct *c, bool by_another)
{
	struct elect *e = &node->elect;
	int64_t interval = follow_interval(node), patience = interval * 3 / 2 + SLACK;

	note_size(node, now, c->members);
	if (e->stance == LEADING)
		return;
	if (e->stance != FOLLOWING || e->rank != c->rank || by_another)
		measure_from(node, now.raw_ns + (node->conf.mode == NODE_MODE_REPORT ? 0 :
						 chance(node, interval)));
	e->rank = c->rank;
	/* who reports does so to the master, whose clock will also be one of the standby's to lead */
	if (c->rank == 1 || node->conf.mode == NODE_MODE_REPORT)
		peer_meet(node, now, node->follow.master_id, from);
	e->resigned = e->mute_logged = e->foreign_logged = e->minority_logged = false;
	e->master_id = node->follow.master_id;
	e->master_addr = *from;
	e->heard_raw = e->alive_raw = now.raw_ns;
	patience += c->rank ? (c->rank - 1) * interval / 2 :
			      3 * interval / 2 + chance(node, interval);
	enter(node, now, FOLLOWING, now.raw_ns + patience);
}

static void say_unreachable(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;
	char text[PEER_TEXT];

	if (e->mute_logged || now.raw_ns - e->since < MUTE * follow_interval(node))
		return;
	e->mute_logged = true;
	node_say(node, now.raw_ns, LOG_WARNING, "master %016" PRIx64 " at %s, which others follow, is"
		 " not heard here: is the path between them blocked?", e->master_id,
		 addr_text(&e->master_addr, text));
}

void elect_heard(struct node *node, struct node_now now, const union node_addr *addr,
		 uint64_t master_id, bool itself)
{
	struct elect *e = &node->elect;
	int64_t interval = follow_interval(node);

	if ((e->stance != SEEKING && e->stance != CLAIMING) ||
	    elect_distrusts(node, now, master_id))
		return;
	if (node->conf.mode == NODE_MODE_REPORT && peer_meet(node, now, master_id, addr) &&
	    e->master_id != master_id)
		measure_from(node, now.raw_ns);
	if (e->master_id != master_id || now.raw_ns - e->asked_raw >= SEEK_FAST) {
		hello_send(node, addr, MSG_ASK, 0);
		e->asked_raw = now.raw_ns;
	}
	e->master_id = master_id;
	e->master_addr = *addr;
	if (!itself) {		/* whether it lives we shall hear */
		say_unreachable(node, now);
		if (e->due < now.raw_ns + interval / 2)
			e->due = now.raw_ns + interval / 2;
		return;
	}
	e->heard_raw = now.raw_ns;
	enter(node, now, SEEKING, now.raw_ns + (BEACON + 1) * interval + chance(node, interval));
	if (now.raw_ns - e->since > MUTE * interval && !e->mute_logged) {
		char text[PEER_TEXT];

		node_say(node, now.raw_ns, LOG_WARNING, "master %016" PRIx64 " at %s is heard, but"
			 " does not correct this clock: does it hear this node (firewall)?",
			 master_id, addr_text(addr, text));
		e->mute_logged = true;
	}
}

void elect_beacon(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;
	int64_t interval = follow_interval(node), due = now.raw_ns + interval * 3 / 2 + SLACK;

	if (e->resigned || now.raw_ns - node->follow.heard_raw > HOLDS * interval)
		return;		/* it must correct now and then, or it is no master */
	e->alive_raw = now.raw_ns;
	if (e->due < due)
		e->due = due;
}

void elect_elected(struct node *node, struct node_now now, const union node_addr *from,
		   uint64_t master_id)
{
	if (node->conf.mode != NODE_MODE_REPORT)
		return;
	seek(node, now, 0);
	elect_heard(node, now, from, master_id, true);
}

void elect_defer(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;
	int64_t due = now.raw_ns + 2 * SEEK_FAST + chance(node, SEEK_FAST);

	/* those that had a master stand in the order that it told */
	if (!node->follow.heard && e->due < due)
		e->due = due;
}

void elect_resigned(struct node *node, struct node_now now, uint64_t from_id,
		    uint64_t successor_id, const union node_addr *addr)
{
	struct elect *e = &node->elect;
	int64_t interval = follow_interval(node);

	if (e->stance != FOLLOWING || from_id != node->follow.master_id || e->resigned)
		return;
	e->resigned = true;
	e->due = now.raw_ns + HANDOVER + (e->rank ? (e->rank - 1) * interval / 2 :
					  3 * interval / 2 + chance(node, interval));
	if (successor_id == node->conf.node_id || !successor_id)
		return;
	e->due += interval;
	e->master_id = successor_id;
	if (addr->sa.sa_family != AF_UNSPEC)
		hello_send(node, addr, MSG_ASK, 0);
}

void elect_yield(struct node *node, struct node_now now, uint64_t to,
		 const union node_addr *to_addr)
{
	struct elect *e = &node->elect;

	e->master_id = to;
	e->master_addr = *to_addr;
	e->heard_raw = now.raw_ns;
	if (node->master.stood_still || node->master.self.state != BERK_PEER_MEMBER)
		servo_allow_step(&node->servo);
	hello_all(node, MSG_RESIGN);
	master_end(node, now);
	seek(node, now, 3 * follow_interval(node) + chance(node, follow_interval(node)));
	if (to_addr->sa.sa_family != AF_UNSPEC)
		hello_send(node, to_addr, MSG_ASK, 0);
}

static uint64_t successor(const struct node *node)
{
	const struct master *m = &node->master;

	for (size_t i = 0; i < m->n; i++)
		if (m->peer[i]->rank == 1)
			return m->peer[i]->node_id;
	return 0;
}

void elect_resign(struct node *node)
{
	struct elect *e = &node->elect;

	e->master_id = successor(node);
	e->master_addr = (union node_addr){ 0 };
	hello_all(node, MSG_RESIGN);
}

void elect_hand_over(struct node *node, struct node_now now)
{
	node->elect.stands_back = now.raw_ns + STANDS_BACK * follow_interval(node);
	elect_yield(node, now, successor(node), &(union node_addr){ 0 });
}

void elect_distrust(struct node *node, struct node_now now, uint64_t master_id)
{
	struct elect *e = &node->elect;
	int64_t interval = follow_interval(node);

	e->distrusted = master_id;
	e->distrusted_until = now.raw_ns + DISTRUST * interval;
	e->master_id = 0;
	seek(node, now, (e->rank ? e->rank : 4) * interval / 4 + chance(node, interval / 4));
}

/* --- leading */

/* Of two groups that meet, the larger one stays as it is. */
static bool ours_is_larger(const struct node *node)
{
	const struct elect *e = &node->elect;
	uint32_t size = node->master.outnumbered ? 0 : node->master.followers;

	if (size != e->rival_size)
		return size > e->rival_size;
	if (node->term != e->rival_term)
		return term_newer(node->term, e->rival_term);
	return node->conf.node_id < e->rival_id;
}

static void decide(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;
	bool stay = ours_is_larger(node);

	if (!e->foreign_logged)
		node_say(node, now.raw_ns, LOG_NOTICE,
			 "there is another master, %016" PRIx64 " with %" PRIu32 " clocks: %s",
			 e->rival_id, e->rival_size, stay ? "its group joins this one" :
			 "this group joins its");
	e->foreign_logged = stay;
	if (!stay) {
		if (e->distrusted == e->rival_id)
			e->distrusted_until = now.raw_ns;
		elect_yield(node, now, e->rival_id, &e->rival_addr);
	} else {
		if (!term_newer(node->term, e->rival_term))
			elect_raise_term(node, e->rival_term);
		if (e->rival_addr.sa.sa_family != AF_UNSPEC) {
			peer_meet(node, now, e->rival_id, &e->rival_addr);
			hello_send(node, &e->rival_addr, MSG_ANNOUNCE, 0);
		}
	}
	e->rival_id = 0;
}

void elect_round(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;
	int64_t interval = follow_interval(node), wait;

	if (!node->master.outnumbered)
		note_size(node, now, node->master.followers);
	/* whom everybody has left need not wait for the other's beacon */
	wait = node->master.followers > 1 ? (BEACON + 1) * interval : interval / 4;
	if (now.raw_ns - e->rival_heard_raw > (BEACON + 2) * interval)
		e->rival_id = 0;
	if (e->rival_id && now.raw_ns - e->rival_raw >= wait)
		decide(node, now);
	if (e->stance != LEADING || now.raw_ns < e->hello_next)
		return;
	hello_send(node, &(union node_addr){ 0 }, MSG_ANNOUNCE, 0);
	e->hello_next = now.raw_ns + BEACON * interval - interval / 10;
}

/* --- time */

/* And we may not. */
static void nobody_leads(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;

	e->due = now.raw_ns + follow_interval(node);
	if (e->mute_logged || now.raw_ns - e->since < MUTE * follow_interval(node))
		return;
	e->mute_logged = true;
	node_say(node, now.raw_ns, LOG_WARNING, "no master is heard, and this node may not be one"
		 " (role = slave or eligible = no)");
}

static void on_seeking(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;
	bool fresh = now.raw_ns - e->since < SEEK_MANY * SEEK_FAST;

	if (now.raw_ns - e->since > ALONE * follow_interval(node))
		e->distrusted_until = now.raw_ns;	/* nobody else minds that master */
	if (now.raw_ns >= e->hello_next) {
		hello_all(node, MSG_ASK);
		e->answers = 0;
		e->hello_next = now.raw_ns + (fresh ? SEEK_FAST : follow_interval(node)) * 9 / 10 +
				chance(node, SEEK_FAST / 5);
	}
	if (now.raw_ns < e->due)
		return;
	if (!node->conf.eligible)
		nobody_leads(node, now);
	else if (now.raw_ns < e->stands_back)
		e->due = e->stands_back;
	else
		claim(node, now);
}

static void on_following(struct node *node, struct node_now now)
{
	if (now.raw_ns < node->elect.due)
		return;
	seek(node, now, 0);
	on_seeking(node, now);
}

/* After a reload: the master must know; and who may not lead any more hands over. */
static void on_change(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;

	e->changed = e->stance == LEADING && !node->conf.eligible;
	if (e->stance == FOLLOWING) {
		hello_send(node, &node->follow.master_addr, MSG_ANNOUNCE, 0);
	} else if (e->stance == LEADING && !node->conf.eligible && successor(node)) {
		elect_hand_over(node, now);
	}
}

void elect_timer(struct node *node, struct node_now now)
{
	struct elect *e = &node->elect;

	if (e->changed)
		on_change(node, now);

	if (e->twice) {
		if (now.raw_ns - e->twice_raw < TWICE * follow_interval(node))
			return;
		e->twice = false;	/* or we shall hear of it again */
	}
	if (e->stance == SEEKING) {
		on_seeking(node, now);
	} else if (e->stance == CLAIMING) {
		if (now.raw_ns >= e->due)
			on_claiming(node, now);
	} else if (e->stance == FOLLOWING) {
		on_following(node, now);
	}
}

int64_t elect_next(const struct node *node)
{
	const struct elect *e = &node->elect;

	if (e->twice)
		return e->twice_raw + TWICE * follow_interval(node);
	if (e->stance == LEADING)
		return INT64_MAX;
	if (e->stance == SEEKING && e->hello_next < e->due)
		return e->hello_next;
	return e->due;
}
