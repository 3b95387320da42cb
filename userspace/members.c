// SPDX-License-Identifier: GPL-2.0
/* members: who is there at the end of a round, and what is to be thought of them */
#include "node_priv.h"

#define RECOVER		4	/* rounds in which the others are only measured: they keep time well */
#define REMEMBERED	3	/* rounds */
#define MISSED		2	/* rounds without an answer: silent */

void standing_lower(struct standing *s, enum peer_status status)
{
	s->status = status;
	s->close = 0;
}

static void missed(struct node *node, struct node_now now, struct peer *peer)
{
	char text[PEER_TEXT];

	if (++peer->missed < MISSED || peer->standing.status == PEER_SILENT)
		return;
	standing_lower(&peer->standing, PEER_SILENT);
	node_say(node, now.raw_ns, LOG_WARNING, "peer %s is silent: left out",
		 peer_text(peer, text));
}

static void answered(struct node *node, struct node_now now, struct peer *peer)
{
	enum peer_status was = peer->standing.status;
	bool driven = peer->flags & BERK_F_DRIVEN;
	char text[PEER_TEXT];

	peer->missed = 0;
	if (!driven && was != PEER_IDLE) {
		standing_lower(&peer->standing, PEER_IDLE);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "peer %s answers, but berkd does not run there: left out",
			 peer_text(peer, text));
	} else if (driven && (was == PEER_SILENT || was == PEER_IDLE)) {
		standing_lower(&peer->standing, PEER_CANDIDATE);
		peer->unacked = 0;
		peer->acked = false;
		node_say(node, now.raw_ns, LOG_INFO, "peer %s answers", peer_text(peer, text));
	}
	if (peer->unacked == UNACKED) {
		standing_lower(&peer->standing, PEER_CANDIDATE);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "peer %s acknowledges no correction: left out", peer_text(peer, text));
	}
	if (driven && peer->term > node->term)
		master_outbid(node, now, peer, peer->term);
	if (peer->track.rerouted_ns != 0)
		node_say(node, now.raw_ns, LOG_INFO, "the path to peer %s changed, its asymmetry by"
			 " %+.1f us: allowed for", peer_text(peer, text),
			 2e-3 * peer->track.rerouted_ns);
}

/*
 * Not all peers' tracks notice in the same round that we are not what we were. With
 * a single peer the direction tells: nobody jumps ahead, so it is we who stood still.
 */
static bool it_was_us(struct master *m)
{
	size_t present = 0, changed = 0, now = 0, ahead = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		if (peer->restarted || peer->track.upset)
			peer->changed = REMEMBERED;
		else if (peer->changed)
			peer->changed--;
		present += peer->answered;
		changed += peer->answered && peer->changed;
		now += peer->changed == REMEMBERED;
		ahead += peer->restarted && peer->track.jumped > 0;
	}
	if (!now || (present > 1 ? 2 * changed <= present : !ahead))
		return false;
	for (size_t i = 0; i < m->n; i++)
		m->peer[i]->changed = 0;
	return true;
}

/* One peer's RAW clock jumped: it was rebooted or paused. Most of them: we were paused. */
bool members_check_restarts(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	char text[PEER_TEXT];

	if (it_was_us(m)) {
		standing_lower(&m->self, PEER_CANDIDATE);
		servo_allow_step(&node->servo);
		m->hold = RECOVER;
		node_say(node, now.raw_ns, LOG_WARNING,
			 "this node was paused, or its crystal jumped: asking the others for the time");
		return true;
	}
	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		peer->anew |= peer->track.upset;
		if (!peer->restarted)
			continue;
		peer->may_step = true;
		if (peer->standing.status == PEER_MEMBER)
			standing_lower(&peer->standing, PEER_CANDIDATE);
		node_say(node, now.raw_ns, LOG_NOTICE,
			 "peer %s was rebooted or paused: measuring it anew", peer_text(peer, text));
	}
	return false;
}

bool members_corrigible(const struct peer *peer)
{
	return peer->have_ref && peer->flags & BERK_F_DRIVEN;
}

/* Brings every peer up to date. Returns how many can be corrected. */
size_t members_take_stock(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	size_t present = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		track_update(&peer->track, now.raw_ns);
		peer->have_ref = peer->answered && track_ref(&peer->track, &peer->ref) &&
				 m->have_own && peer->ref.local_set_seq == m->own_set_seq;
		if (peer->answered)
			answered(node, now, peer);
		else
			missed(node, now, peer);
		present += members_corrigible(peer);
	}
	return present;
}
