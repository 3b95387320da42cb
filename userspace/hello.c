// SPDX-License-Identifier: GPL-2.0
/* hello: what nodes say of themselves, and what is made of it */
#include <inttypes.h>
#include <string.h>

#include "node_priv.h"

#define YOUNG		4	/* intervals */
#define ANSWERS		8
#define ASK_AGAIN	250000000LL	/* ns */
#define STRAY	3	/* intervals without a master: it will not find its own again */

static const union node_addr everybody;

static bool queue(struct node *node, const union node_addr *to, enum msg_hello_kind kind,
		  uint32_t claimed)
{
	if (node->reply_head - node->reply_tail == REPLIES)
		return false;	/* they will ask again */
	node->reply[node->reply_head++ % REPLIES] = (struct reply){ *to, kind, claimed };
	return true;
}

void hello_send(struct node *node, const union node_addr *to, enum msg_hello_kind kind,
		uint32_t claimed)
{
	queue(node, to, kind, claimed);
}

void hello_all(struct node *node, enum msg_hello_kind kind)
{
	struct master *m = &node->master;

	queue(node, &everybody, kind, node->elect.claimed);
	for (size_t i = 0; i < m->n; i++) {
		m->peer[i]->say = true;
		m->peer[i]->kind = kind;
	}
	m->scan = 0;
}

void hello_fill(const struct node *node, enum msg_hello_kind kind, uint32_t claimed,
		struct msg_hello *h)
{
	const struct elect *e = &node->elect;
	const struct follow *f = &node->follow;
	bool leads = e->stance == LEADING;

	*h = (struct msg_hello){
		.kind = kind,
		.eligible = node->conf.eligible && !e->twice,
		.master = leads,
		.reference = node->conf.reference,
		.report = node->conf.mode == NODE_MODE_REPORT,
		.synced = f->heard && f->state == BERK_STATE_SYNCHRONISED,
		.origin = node->origin,
		.priority = node->conf.priority,
		.term = node->term,
		.claimed = claimed,
		.instance = e->instance,
	};
	if (leads) {
		h->master_id = node->conf.node_id;
		h->size = node->master.followers;
	} else if (e->stance == FOLLOWING) {
		h->master_id = f->master_id;
		h->size = f->last.members;
		h->master_addr = f->master_addr;
	}
	if (kind == MSG_DENY && !h->master_id)
		h->master_id = e->master_id;	/* because of that one */
	if (kind == MSG_DENY && term_newer(e->promised, h->term))
		h->term = e->promised;
	if (kind == MSG_RESIGN) {
		h->master_id = node->conf.node_id;
		h->successor_id = e->master_id;
		h->master_addr = e->master_addr;
	}
}

/* Link-local addresses come without scope: it is that of the packet. */
static union node_addr scoped(const union node_addr *addr, const union node_addr *from)
{
	union node_addr a = *addr;

	if (a.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a.in6.sin6_addr) &&
	    from->sa.sa_family == AF_INET6)
		a.in6.sin6_scope_id = from->in6.sin6_scope_id;
	return a;
}

/*
 * We lead, and h is of a node that is in the group of another. Which one is larger
 * shows only when both have made a round: a master that stood still may have lost its
 * own. Only what the other master says itself counts.
 */
static void meet_group(struct node *node, struct node_now now, const union node_addr *from,
		       const struct msg_hello *h)
{
	union node_addr addr = h->master ? *from : scoped(&h->master_addr, from);
	struct elect *e = &node->elect;

	/* an accuser whom nobody follows was alone with that opinion */
	if (elect_distrusts(node, now, h->master_id) && node->master.followers > 1)
		return;
	if (!h->master) {	/* it shall say so itself */
		if (addr.sa.sa_family != AF_UNSPEC && now.raw_ns - e->asked_raw >= ASK_AGAIN) {
			hello_send(node, &addr, MSG_ASK, 0);
			e->asked_raw = now.raw_ns;
		}
		return;
	}
	if (!e->rival_id) {
		e->rival_raw = now.raw_ns;
	} else if (e->rival_id == h->master_id) {
		if (term_newer(e->rival_term, h->term))
			return;
	} else if (h->size < e->rival_size ||
		   (h->size == e->rival_size && !term_newer(h->term, e->rival_term))) {
		return;		/* the largest first */
	}
	e->rival_id = h->master_id;
	e->rival_addr = addr;
	e->rival_size = h->size;
	e->rival_term = h->term;
	e->rival_heard_raw = now.raw_ns;
}

/* Nodes that have not heard of our election yet still name the master before us. */
static bool of_other_group(const struct node *node, const struct msg_hello *h)
{
	return (h->kind == MSG_ANNOUNCE || h->kind == MSG_ASK) && h->master_id &&
	       h->master_id != node->conf.node_id &&
	       (h->master || h->term != node->master.term_before);
}

static bool is_vote(enum msg_hello_kind kind)
{
	return kind == MSG_GRANT || kind == MSG_DENY;
}

/* It has not heard yet that the master before us is gone. */
static bool of_the_past(const struct node *node, struct node_now now, const struct msg_hello *h)
{
	return !h->master && h->term == node->master.term_before &&
	       now.raw_ns - node->elect.since < YOUNG * follow_interval(node);
}

/*
 * Without a master, and of another group than ours: it may only have missed a few corrections
 * of a master that lives, and would count for us when it is to be decided who stays.
 */
static bool strays(const struct node *node, struct node_now now, struct peer *peer,
		   const struct msg_hello *h)
{
	int64_t patience = STRAY * follow_interval(node);

	if (h->master_id || h->term == node->term || h->term == node->master.term_before ||
	    (!h->synced && !term_newer(h->term, node->term)))
		return false;
	if (now.raw_ns - peer->stray_heard_raw > patience)
		peer->stray_raw = now.raw_ns;
	peer->stray_heard_raw = now.raw_ns;
	return node->elect.rival_id || now.raw_ns - peer->stray_raw < patience;
}

void hello_introduce(struct peer *peer, const struct msg_hello *h)
{
	peer->instance = h->instance;
	peer->eligible = h->eligible;
	peer->priority = h->priority;
	peer->reports = h->report;
	peer->reference = h->reference;
	peer->origin = h->origin;
}

/* We lead: everybody that is heard belongs to us, or to somebody else. */
static void heard_by_master(struct node *node, struct node_now now, const union node_addr *from,
			    uint64_t from_id, const struct msg_hello *h)
{
	bool other = of_other_group(node, h), stranger;
	bool newer = !other && term_newer(h->term, node->term) && !is_vote(h->kind) &&
		     h->kind != MSG_CLAIM;
	struct peer *peer;

	if (other)
		meet_group(node, now, from, h);
	if (from_id == node->elect.rival_id && !h->master)
		node->elect.rival_id = 0;	/* it has given in */
	peer = peer_by_id(node, from_id);
	if (peer && peer->missed < MISSED && peer->track.started &&
	    memcmp(&peer->addr, from, sizeof(*from))) {
		hello_send(node, &peer->addr, MSG_ASK, 0);	/* was that really it? */
		return;
	}
	stranger = !peer || !peer->instance || peer->missed >= MISSED;
	peer = peer_meet(node, now, from_id, from);
	if (!peer)
		return;
	if (peer->instance && peer->instance != h->instance && peer->missed < MISSED &&
	    h->kind == MSG_ASK && peer->standing.state == BERK_PEER_MEMBER)
		stranger = true;
	hello_introduce(peer, h);
	if (!strays(node, now, peer, h)) {
		if (newer)
			elect_raise_term(node, h->term);	/* it could not follow us */
		if (!h->master_id || of_the_past(node, now, h))
			peer->given = h->term;	/* it follows nobody */
	}
	if (stranger)
		master_hurry(node, now);
}

static bool better(const struct node *node, const struct msg_hello *h, uint64_t from_id)
{
	bool last = node->conf.mode == NODE_MODE_REPORT || node->conf.reference;
	bool its_last = h->report || h->reference;

	if (!h->eligible || node->conf.eager)
		return false;
	if (last != its_last)
		return last;
	if (h->priority != node->conf.priority)
		return h->priority > node->conf.priority;
	return from_id < node->conf.node_id;
}

/* Two nodes with one id: whoever is in the group already stays. */
static void same_id(struct node *node, struct node_now now, const union node_addr *from,
		    const struct msg_hello *h)
{
	struct elect *e = &node->elect;
	bool we_stay = node->follow.state == BERK_STATE_SYNCHRONISED;
	char text[PEER_TEXT];

	if (h->instance == e->instance)
		return;		/* ourselves, by another way */
	if (we_stay == h->synced)
		we_stay = e->instance < h->instance;
	if (!e->twice_logged)
		node_say(node, now.raw_ns, LOG_ERR, "the node at %s has our node_id %016" PRIx64
			 ", too: give it one of its own%s", addr_text(from, text),
			 node->conf.node_id, we_stay ? "" : "; this node stays out until then");
	e->twice_logged = true;
	e->twice_raw = now.raw_ns;
	if (!we_stay && !e->twice) {
		e->twice = true;
		if (e->stance == LEADING)
			elect_yield(node, now, 0, &everybody);
		follow_forget(node, now);
	} else if (we_stay && h->kind != MSG_ANNOUNCE) {
		hello_send(node, from, MSG_ANNOUNCE, 0);
	}
}

/* Who asks everybody needs a few answers, not everybody's. A master that asks means us. */
static bool worth_answering(struct node *node, const struct msg_hello *h)
{
	struct elect *e = &node->elect;
	uint32_t members = node->follow.last.members;

	if (h->master || e->stance == LEADING)
		return true;
	if (e->stance != FOLLOWING)
		return e->answers++ < ANSWERS;
	return members <= ANSWERS || elect_random(node) % members < ANSWERS;
}

void hello_heard(struct node *node, struct node_now now, const union node_addr *from,
		 uint64_t from_id, const struct msg_hello *h)
{
	union node_addr master = scoped(&h->master_addr, from);
	struct elect *e = &node->elect;

	if (from_id == node->conf.node_id) {
		same_id(node, now, from, h);
		return;
	}
	if (e->twice)
		return;
	if (h->kind == MSG_CLAIM)
		elect_vote(node, now, from, from_id, h);
	else if (is_vote(h->kind))
		elect_voted(node, now, from, from_id, h);
	else if (h->kind == MSG_RESIGN)
		elect_resigned(node, now, from_id, h->successor_id, &master);
	if (e->stance == LEADING) {
		heard_by_master(node, now, from, from_id, h);
	} else if (h->master && e->stance == FOLLOWING) {
		if (from_id == node->follow.master_id)
			elect_beacon(node, now);
		else if (from_id == e->master_id && !elect_master_alive(node, now))
			elect_elected(node, now, from, from_id);
	} else if (h->master) {
		elect_heard(node, now, from, from_id, true);
	} else if (h->master_id && h->master_id != node->conf.node_id && h->kind != MSG_CLAIM) {
		if (e->stance == SEEKING && master.sa.sa_family != AF_UNSPEC)
			elect_heard(node, now, &master, h->master_id, false);
	} else if (e->stance == SEEKING && !is_vote(h->kind) && better(node, h, from_id)) {
		elect_defer(node, now);
	} else if (e->stance == FOLLOWING && from_id == node->follow.master_id &&
		   h->kind == MSG_ASK &&
		   !memcmp(from, &node->follow.master_addr, sizeof(*from))) {
		elect_resigned(node, now, from_id, 0, &everybody);	/* restarted */
	}
	if (h->kind == MSG_ASK && worth_answering(node, h))
		hello_send(node, from, MSG_ANNOUNCE, 0);
}
