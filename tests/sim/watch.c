// SPDX-License-Identifier: GPL-2.0
/*
 * watch: what happens between the nodes, event by event
 *
 * A master is whoever sends corrections in a term; a correction is accepted when
 * a node publishes another round, or another master.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "sim.h"

#define ILL_FOR (30 * SIM_S)	/* after something was done to a clock */

bool world_lately(const struct world *w, int64_t when)
{
	return when >= 0 && w->now - when <= ILL_FOR;
}

bool world_healthy(const struct world *w, const struct host *h)
{
	return h->lie.kind == LIE_NONE && h->hit > w->now && !world_lately(w, h->touched) &&
	       !world_lately(w, h->jumped) && !world_lately(w, h->ended);
}

void watch_breach(struct world *w, enum breach what, const struct host *h, const char *fmt, ...)
{
	struct watch *s = &w->watch;
	va_list args;
	int len;

	s->breaches[what]++;
	if (s->first[0])
		return;
	len = snprintf(s->first, sizeof(s->first), "at %.6f s node %d ", (double)w->now * 1e-9,
		       h->id);
	va_start(args, fmt);
	vsnprintf(s->first + len, sizeof(s->first) - (size_t)len, fmt, args);
	va_end(args);
	if (w->chatty)
		fprintf(stderr, "%12.6f BREACH: %s\n", (double)w->now * 1e-9, s->first);
}

/* --- who is master */

static int host_of(const struct world *w, uint64_t node_id)
{
	int i = 0;

	while (i < w->n && w->host[i].node_conf.node_id != node_id)
		i++;
	return i < w->n ? i : -1;
}

bool world_misled(const struct world *w, const struct host *h)
{
	int master = host_of(w, h->state.master_id);

	return master >= 0 && (w->host[master].lie.kind != LIE_NONE ||
			       world_lately(w, w->host[master].ended));
}

int world_master(const struct world *w)
{
	int best = -1, most = -1;

	for (int i = 0; i < w->n; i++) {
		const struct host *h = &w->host[i];
		int followers = 0;

		if (!h->node || h->state.role != BERK_ROLE_MASTER)
			continue;
		for (int k = 0; k < w->n; k++)
			followers += w->host[k].node &&
				     w->host[k].state.master_id == h->node_conf.node_id;
		if (followers > most || (followers == most &&
					 h->state.term > w->host[best].state.term)) {
			best = i;
			most = followers;
		}
	}
	return best;
}

static int standby(const struct world *w)
{
	int master = world_master(w);

	for (int i = 0; master >= 0 && i < w->n; i++) {
		const struct node_publish *p = &w->host[i].state;

		if (w->host[i].node && p->role == BERK_ROLE_STANDBY &&
		    p->master_id == w->host[master].node_conf.node_id)
			return i;
	}
	return -1;
}

struct set world_resolve(struct world *w, const struct set *set)
{
	struct set found = { 0 };
	int i = set->who == WHO_MASTER ? world_master(w) : standby(w);

	if (set->who == WHO_NAMED)
		return *set;
	if (set->who == WHO_VICTIM)
		return w->victims;
	if (i >= 0) {
		set_add(&found, i);
		set_add(&w->victims, i);
	}
	return found;
}

/* --- what must never happen */

static void watch_term(struct world *w, const struct host *h, uint32_t term)
{
	struct watch *s = &w->watch;
	int cluster = (int)h->wish.cluster;
	size_t i = s->n_terms;

	while (i && (s->term[i - 1].term != term || s->term[i - 1].cluster != cluster))
		i--;
	if (i && s->term[i - 1].host != h->id)
		watch_breach(w, BREACH_TERM, h, "corrects in term %" PRIu32 ", that of node %d",
			     term, s->term[i - 1].host);
	if (i)
		return;
	s->term = world_alloc(s->term, s->n_terms + 1, sizeof(*s->term));
	s->term[s->n_terms].term = term;
	s->term[s->n_terms].host = h->id;
	s->term[s->n_terms++].cluster = cluster;
}

void watch_send(struct world *w, struct host *h, const struct msg *msg)
{
	if (msg->type == MSG_CORRECT)
		watch_term(w, h, msg->correct.term);
	if (msg->type != MSG_HELLO || msg->hello.kind != MSG_CLAIM)
		return;
	w->watch.claims += msg->hello.claimed != h->claimed;
	h->claimed = msg->hello.claimed;
}

static void watch_failover(struct world *w, const struct host *h, int master)
{
	struct watch *s = &w->watch;

	if (s->fault_at < 0 || h->id == s->fault_master || h->id == master ||
	    master == s->fault_master)
		return;
	s->failover = fmax(s->failover, (double)(w->now - s->fault_at));
	s->fault_at = -1;
}

void watch_publish(struct world *w, struct host *h)
{
	const struct node_publish *p = &h->state;
	struct node_publish *was = &h->accepted;

	if (!p->master_id || p->state == BERK_STATE_UNSYNCHRONISED ||
	    (p->master_id == was->master_id && p->round == was->round))
		return;
	if (was->master_id && p->term < was->term)
		watch_breach(w, BREACH_TWO, h, "took a correction of term %" PRIu32
			     " after one of %" PRIu32, p->term, was->term);
	else if (was->master_id && p->term == was->term && p->master_id != was->master_id)
		watch_breach(w, BREACH_TWO, h, "was corrected by nodes %d and %d in term %" PRIu32,
			     host_of(w, was->master_id), host_of(w, p->master_id), p->term);
	*was = *p;
	watch_failover(w, h, host_of(w, p->master_id));
}

/* The state is still that from before the step. */
void watch_step(struct world *w, const struct host *h, int64_t step_ns)
{
	if (step_ns < 0 && h->state.state == BERK_STATE_SYNCHRONISED &&
	    h->node_conf.merge != NODE_MERGE_STEP && world_healthy(w, h))
		watch_breach(w, BREACH_BACK, h, "was stepped by %.6f s while synchronised",
			     (double)step_ns * 1e-9);
}

/* --- faults */

static bool thought_faulty(const struct node_note *note)
{
	switch (note->state) {
	case BERK_PEER_FALSETICKER:
		return true;
	case BERK_PEER_MEMBER:
		return note->reason == BERK_WHY_ASYMMETRY;	/* which is allowed for */
	case BERK_PEER_REFERENCE:
		return false;
	default:
		return note->reason != BERK_WHY_NONE && note->reason != BERK_WHY_JOINING;
	}
}

void watch_note(struct world *w, const struct host *h, struct host *peer,
		const struct node_note *note)
{
	if (h->state.role != BERK_ROLE_MASTER || world_master(w) != h->id)
		return;
	if (peer->lie.kind != LIE_NONE && peer->named < 0 && thought_faulty(note))
		peer->named = w->now;
	if (peer->lie.kind == LIE_NONE && peer->ended >= 0 && peer->readmitted < 0 &&
	    note->state == BERK_PEER_MEMBER)
		peer->readmitted = w->now;
	w->watch.accused += w->now >= w->watch.settled && world_healthy(w, h) &&
			    world_healthy(w, peer) && note->state == BERK_PEER_FALSETICKER;
}

void watch_fault(struct world *w, const struct set *hit)
{
	int master = world_master(w);

	if (master >= 0 && set_has(hit, master)) {
		w->watch.fault_at = w->now;
		w->watch.fault_master = master;
	}
	for (int i = 0; i < w->n; i++)
		if (set_has(hit, i) && w->host[i].hit > w->now)
			w->host[i].hit = w->now;
}
