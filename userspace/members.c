// SPDX-License-Identifier: GPL-2.0
/* members: who is there at the end of a round, and what is to be thought of them */
#include <math.h>
#include <string.h>

#include "node_priv.h"

#define RECOVER		4	/* rounds in which the others, who keep time, are only measured */
#define REMEMBERED	3	/* rounds */
#define RESTARTS	16	/* what one restart counts; one is forgiven in so many rounds */
#define RESTLESS	24	/* that much makes a falseticker */
#define STANDBYS	3
#define TOLD_MANY	64	/* members: from here on the standby is told of them faster */
#define WITNESSES	2
#define CERTAIN		1e6	/* ns */
#define COMMON		6.0	/* sigmas: a surprise of all */
#define COMMON_MEAN	1.5	/* sigmas, at least, on average... */
#define CLIP		4.0	/* ...to which one contributes at most so much */
#define NOTES		32	/* peers noted in a round, beside those that changed */

void standing_lower(struct standing *s, enum berk_peer_state state, enum berk_peer_reason why)
{
	s->state = state;
	s->why = why;
	s->close = 0;
}

static void missed(struct node *node, struct node_now now, struct peer *peer)
{
	int64_t patience = (peer->missed + 1) * follow_interval(node) * (peer->reports ? 5 : 3) / 4;
	char text[PEER_TEXT];

	if (peer->dropped && peer->standing.state != BERK_PEER_FALSETICKER) {
		standing_lower(&peer->standing, BERK_PEER_FALSETICKER, BERK_WHY_NOISE);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "the stamps of peer %s contradict each other: left out",
			 peer_text(peer, text));
	}
	/* of quick rounds there are several in one interval, in which a report comes once */
	if (peer->dropped || now.raw_ns - peer->sampled_raw < patience)
		return;
	if (++peer->missed < MISSED || peer->standing.state == BERK_PEER_SILENT)
		return;
	standing_lower(&peer->standing, BERK_PEER_SILENT, BERK_WHY_NONE);
	node_say(node, now.raw_ns, LOG_WARNING, "peer %s is silent: left out",
		 peer_text(peer, text));
}

/*
 * It is synchronised, but not in a term of ours. Those that voted for us may still be
 * in that of the master before.
 */
static bool foreign(const struct node *node, const struct peer *peer)
{
	const struct master *m = &node->master;
	bool ours = peer->vote == node->term && peer->term == m->term_before;

	return m->have_group && peer->flags & BERK_F_SYNCED && !ours &&
	       peer->term != node->term && peer->term != peer->given;
}

static void note_term(struct node *node, struct node_now now, struct peer *peer)
{
	char text[PEER_TEXT];

	if (!foreign(node, peer)) {
		if (peer->standing.state == BERK_PEER_FOREIGN)
			standing_lower(&peer->standing, BERK_PEER_CANDIDATE, BERK_WHY_JOINING);
		return;
	}
	if (peer->standing.state != BERK_PEER_FOREIGN) {
		standing_lower(&peer->standing, BERK_PEER_FOREIGN, BERK_WHY_REFUSES);
		node_say(node, now.raw_ns, LOG_NOTICE,
			 "peer %s follows another master: asking whose group is larger",
			 peer_text(peer, text));
	}
	hello_send(node, &peer->addr, MSG_ASK, 0);
}

/* That it is one may become known late. */
static bool note_reference(struct peer *peer)
{
	enum berk_peer_state state = peer->standing.state;

	if (peer->reference && (state == BERK_PEER_CANDIDATE || state == BERK_PEER_MEMBER))
		standing_lower(&peer->standing, BERK_PEER_REFERENCE, BERK_WHY_NONE);
	else if (!peer->reference && state == BERK_PEER_REFERENCE)
		standing_lower(&peer->standing, BERK_PEER_CANDIDATE, BERK_WHY_JOINING);
	return peer->reference;
}

static void answered(struct node *node, struct node_now now, struct peer *peer)
{
	enum berk_peer_state was = peer->standing.state;
	bool driven = peer->flags & BERK_F_DRIVEN;
	char text[PEER_TEXT];

	peer->missed = 0;
	peer_identify(node, peer);
	if (!peer->instance && driven)
		hello_send(node, &peer->addr, MSG_ASK, 0);
	if (!driven && was != BERK_PEER_IDLE) {
		standing_lower(&peer->standing, BERK_PEER_IDLE, BERK_WHY_NONE);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "peer %s answers, but berkd does not run there: left out",
			 peer_text(peer, text));
	} else if (driven && (was == BERK_PEER_SILENT || was == BERK_PEER_IDLE)) {
		standing_lower(&peer->standing, peer->reference ? BERK_PEER_REFERENCE :
			       BERK_PEER_CANDIDATE, BERK_WHY_JOINING);
		peer->unacked = 0;
		peer->acked = peer->vote == node->term;
		node_say(node, now.raw_ns, LOG_INFO, "peer %s answers", peer_text(peer, text));
	}
	if (note_reference(peer))
		return;
	if (peer->unacked == UNACKED) {
		standing_lower(&peer->standing, BERK_PEER_CANDIDATE, BERK_WHY_UNACKED);
		node_say(node, now.raw_ns, LOG_WARNING,
			 "peer %s acknowledges no correction: left out", peer_text(peer, text));
	}
	if (driven)
		note_term(node, now, peer);
	if (peer->track.rerouted_ns != 0)
		node_say(node, now.raw_ns, LOG_INFO, "the path to peer %s changed, its asymmetry by"
			 " %+.1f us: allowed for", peer_text(peer, text),
			 2e-3 * peer->track.rerouted_ns);
}

/*
 * Not all peers' tracks notice in the same round that we are not what we were. With
 * a single peer the direction tells: nobody jumps ahead, so it is we who stood still.
 * One that restarts all the time says nothing.
 */
static bool it_was_us(struct master *m)
{
	size_t present = 0, changed = 0, now = 0, ahead = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		if (peer->restarts >= RESTLESS)
			continue;
		if (peer->restarted || peer->track.upset)
			peer->changed = REMEMBERED;
		else if (peer->changed)
			peer->changed--;
		present += peer->fresh;
		changed += peer->fresh && peer->changed;
		now += peer->changed == REMEMBERED;
		ahead += peer->restarted && peer->track.jumped > 0;
	}
	if (!m->changed && (!now || (present > 1 ? 2 * changed <= present : !ahead)))
		return false;
	for (size_t i = 0; i < m->n; i++)
		m->peer[i]->changed = 0;
	return true;
}

static bool stuck(const struct track *t)
{
	return t->have_pair && t->last.t3.raw_ns - t->first.t2.raw_ns <= 0 &&
	       t->last.t4.raw_ns - t->first.t1.raw_ns > 0;
}

static void restarted(struct node *node, struct node_now now, struct peer *peer)
{
	bool restless = peer->restarts >= RESTLESS;
	char text[PEER_TEXT];

	peer->restarts += RESTARTS;
	if (peer->restarts < RESTLESS) {
		peer->may_step = true;
		if (peer->standing.state == BERK_PEER_MEMBER)
			standing_lower(&peer->standing, BERK_PEER_CANDIDATE, BERK_WHY_RESTARTED);
		node_say(node, now.raw_ns, LOG_NOTICE,
			 "peer %s was rebooted or paused: measuring it anew", peer_text(peer, text));
		return;
	}
	peer->restarts = RESTARTS + RESTLESS;
	standing_lower(&peer->standing, BERK_PEER_FALSETICKER,
		       stuck(&peer->track) ? BERK_WHY_STUCK : BERK_WHY_STEPPED);
	if (!restless)
		node_say(node, now.raw_ns, LOG_WARNING, "the clock of peer %s %s: left out",
			 peer_text(peer, text), stuck(&peer->track) ? "stands still" :
									"jumps all the time");
}

/* One peer's RAW clock jumped: it was rebooted or paused. Most of them: we were paused. */
bool members_check_restarts(struct node *node, struct node_now now)
{
	struct master *m = &node->master;

	if (it_was_us(m)) {
		standing_lower(&m->self, BERK_PEER_CANDIDATE, BERK_WHY_RESTARTED);
		servo_allow_step(&node->servo);
		m->stood_still = true;
		m->hold = RECOVER;
		node_say(node, now.raw_ns, LOG_WARNING,
			 "this node was paused, or its crystal jumped: asking the others for the time");
		m->restarts += RESTARTS;
		if (m->restarts >= RESTLESS) {
			node_say(node, now.raw_ns, LOG_ERR,
				 "this node's clock jumps all the time: somebody else shall lead");
			elect_hand_over(node, now);
		}
		return true;
	}
	m->restarts -= m->restarts > 0;
	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		peer->anew |= peer->track.upset;
		if (peer->restarted)
			restarted(node, now, peer);
		else
			peer->restarts -= peer->restarts > 0;
	}
	return false;
}

/* A correction that is less certain than what would be stepped is none. */
bool members_corrigible(const struct node *node, const struct peer *peer)
{
	double certain = fmax((double)node->conf.step_threshold_ns, CERTAIN);

	return peer->have_ref && peer->track.sigma_ns < certain && peer->flags & BERK_F_DRIVEN &&
	       peer->standing.state != BERK_PEER_FOREIGN;
}

/*
 * Our own crystal shows in all tracks at once, long before it does in any single one; where
 * the round trips change as well, it is the path to our own port.
 */
static bool common_surprise(struct master *m, int64_t now)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct track_surprise s;

		if (!track_surprise(&m->peer[i]->track, now, &s))
			continue;
		n++;
		if (fabs(s.phase_ns) > fabs(s.delay_ns))
			sum += fmax(fmin(s.phase_ns / s.sigma_ns, CLIP), -CLIP);
	}
	return fabs(sum) > fmax(COMMON * sqrt((double)n), COMMON_MEAN * (double)n);
}

/* True if our own crystal is not what it was. */
static bool update_tracks(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	bool common = common_surprise(m, now.raw_ns);

	for (size_t i = 0; i < m->n; i++) {
		struct track *t = &m->peer[i]->track;
		struct track_surprise s;

		if (common && track_surprise(t, now.raw_ns, &s))
			track_doubt(t, s.phase_ns, now.raw_ns);
		track_update(t, now.raw_ns);
	}
	return common;
}

/* Brings every peer up to date. Returns how many can be corrected. */
size_t members_take_stock(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	size_t present = 0;

	for (size_t i = 0; i < m->n; i++)
		if (m->peer[i]->dropped && m->peer[i]->standing.why == BERK_WHY_NOISE)
			track_init(&m->peer[i]->track);	/* what it said before, too */
	m->changed = update_tracks(node, now);
	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		peer->have_ref = peer->answered && track_ref(&peer->track, &peer->ref) &&
				 m->have_own;
		if (peer->answered) {
			answered(node, now, peer);
			peer->here = members_corrigible(node, peer);
			present += peer->here;
		} else {
			missed(node, now, peer);
			peer->here &= !peer->dropped && peer->missed < MISSED;
		}
		peer->dropped = 0;
	}
	peers_forget(node, now);
	return present;
}

/* --- the order of standbys */

static bool may_stand(const struct node *node, struct node_now now, const struct peer *peer)
{
	return peer->eligible && peer->missed < MISSED &&
	       !elect_distrusts(node, now, peer->node_id) &&
	       (peer->standing.state == BERK_PEER_MEMBER ||
		peer->standing.state == BERK_PEER_REFERENCE);
}

/* Who reports may not be within reach of all; who is a reference ought to be checked by others. */
static bool precedes(const struct peer *a, const struct peer *b)
{
	bool last_a = a->reports || a->reference, last_b = b->reports || b->reference;

	if (last_a != last_b)
		return last_b;
	if (a->priority != b->priority)
		return a->priority > b->priority;
	return a->node_id < b->node_id;
}

void members_rank(struct node *node, struct node_now now)
{
	struct master *m = &node->master;
	struct peer *best[STANDBYS] = { NULL };

	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];

		peer->rank = 0;
		if (!may_stand(node, now, peer))
			continue;
		for (int r = 0; r < STANDBYS && peer; r++) {
			if (best[r] && !precedes(peer, best[r]))
				continue;
			struct peer *down = best[r];

			best[r] = peer;
			peer = down;
		}
	}
	for (int r = 0; r < STANDBYS; r++)
		if (best[r])
			best[r]->rank = (uint8_t)(r + 1);
}

/* --- telling members of each other */

static void tell(struct msg_correct *c, const struct peer *peer)
{
	c->told[c->n_told++] = (struct msg_member){ .node_id = peer->node_id, .addr = peer->addr };
}

static bool worth_telling(const struct peer *peer)
{
	return peer->node_id && peer->missed < MISSED;
}

/*
 * The first standby is told of everybody in turn. Others of the next ones in the
 * table, whenever they are to acknowledge.
 */
void members_tell(struct node *node, size_t i, struct msg_correct *c)
{
	struct master *m = &node->master;
	struct peer *peer = m->peer[i];
	bool first = peer->rank == 1;
	unsigned int most = !first ? WITNESSES : m->n > TOLD_MANY ? MSG_TOLD : MSG_TOLD / 4;

	if (!first && !c->want_ack)
		return;
	if (!first)
		peer->told = i;
	for (size_t k = 1; k < m->n && c->n_told < most; k++) {
		struct peer *other;

		peer->told = (peer->told + 1) % m->n;
		other = m->peer[peer->told];
		if (other != peer && worth_telling(other))
			tell(c, other);
	}
}

/* --- what berkctl shows */

static enum berk_peer_state seen_from_slave(const struct node *node, const struct peer *peer)
{
	if (peer->missed >= MISSED)
		return BERK_PEER_SILENT;
	if (peer->node_id && peer->node_id == node->follow.master_id)
		return BERK_PEER_MASTER;
	if (!peer->track.ready)
		return BERK_PEER_UNKNOWN;
	return BERK_PEER_WITNESS;
}

static struct node_note note_of(const struct node *node, const struct peer *peer, size_t i)
{
	const struct track *t = &peer->track;
	bool leads = node->elect.stance == LEADING;
	struct node_note note = {
		.peer = peer->index,
		.state = leads ? peer->standing.state : seen_from_slave(node, peer),
		.reason = leads ? peer->standing.why : BERK_WHY_NONE,
		.rank = leads ? peer->rank : 0,
	};
	struct track_ref ref;

	if (peer->node_id && peer->node_id == node->elect.distrusted)
		note.reason = BERK_WHY_LIES;
	if (!t->ready || note.state == BERK_PEER_SILENT)
		return note;
	note.delay_ns = llrint(fmin(t->delay_ns, 1e18));
	note.sigma_ns = llrint(fmin(t->sigma_ns, 1e18));
	note.freq_ppb = t->rate_ppb;
	if (leads && peer->have_ref) {
		note.known = true;
		note.offset_ns = llrint(node->master.ensemble.member[i + 1].offset_ns -
					node->master.ensemble.offset_ns);
	} else if (!leads && track_ref(t, &ref)) {
		note.known = true;
		note.offset_ns = ref.peer.real_ns - ref.local.real_ns;
	}
	return note;
}

void members_note(struct node *node)
{
	struct master *m = &node->master;

	for (size_t i = 0; i < m->n; i++) {
		struct peer *peer = m->peer[i];
		struct node_note note;

		if (!peer->indexed)
			continue;
		note = note_of(node, peer, i);
		if (note.state != peer->noted.state || note.reason != peer->noted.reason ||
		    note.rank != peer->noted.rank || m->n <= NOTES ||
		    (i + node->measure.round) % (m->n / NOTES) == 0) {
			peer->noted = note;
			peer->note = true;
		}
	}
	m->scan = 0;
}
