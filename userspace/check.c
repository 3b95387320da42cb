// SPDX-License-Identifier: GPL-2.0
/*
 * check: slaves check their master
 *
 * A slave knows how its own crystal runs, and measures a few other members, the
 * witnesses. So it can tell when the master's corrections move the group:
 *  - at once: the new line is elsewhere than the old one. Then the witnesses are
 *    asked, and if their clocks are still where the old line is, the correction
 *    is not followed, nor is that master any more;
 *  - slowly: the line leaves the course that it has had until now, seen from this
 *    node's crystal as well as from those of the witnesses. If only one of the two
 *    says so, some crystal has changed.
 */
#include <inttypes.h>
#include <math.h>

#include "node_priv.h"

#define SLACK		10e3	/* ns */
#define SIGMAS		8.0
#define LEAK		64.0	/* s: over which a departure is remembered... */
#define COURSE		256.0	/* s: ...and over which it becomes the course */
#define NEW		8	/* s: a master is new... */
#define NEW_PART	4	/* ...and may move the group so much further */
#define PAST		8	/* s, at least: ago, when the line is worth going back to */
#define SETTLED		150	/* s: a young group still finds its rate */
#define WALKS		3.0	/* sigmas of what crystals do by themselves */
#define TRIPS		4	/* corrections in a row off the course */
#define PATIENCE	(SECOND / 2)	/* ns for witnesses to answer */

static double tolerance(const struct node *node, struct node_now now, const struct msg_correct *c)
{
	double may = SLACK + (double)node->follow.last.bound_ns / 2 +
		     SIGMAS * hypot(follow_sigma(node, now), (double)c->sigma_ns);

	/* one that takes over may have to mend what the one before has done */
	return now.raw_ns - node->check.master_raw < NEW * SECOND ? NEW_PART * may : may;
}

/* ns by which it moves the group's time. Unsigned: a message may say anything. */
static double shift(const struct node *node, const struct msg_correct *c)
{
	return (double)(int64_t)((uint64_t)(c->ref_real_ns - c->offset_ns) -
				 (uint64_t)servo_line(&node->servo, c->ref_raw_ns));
}

static bool is_witness(const struct node *node, const struct peer *peer)
{
	return peer->node_id != node->follow.master_id && peer->missed < MISSED &&
	       peer->flags & BERK_F_DRIVEN;
}

void check_restart(struct node *node)
{
	node->check.holding = false;
	node->check.anchored = false;
}

/* --- at once */

static void ask(struct node *node, struct node_now now)
{
	const struct master *m = &node->master;

	node->check.asked_raw = now.raw_ns;
	for (size_t i = 0; i < m->n; i++)
		m->peer[i]->place_half = INFINITY;
	measure_urgent(node, now);
}

/* Of the exchanges since then, the one with the shortest delay. */
void check_sample(const struct node *node, struct peer *peer, const struct berk_sample *s)
{
	double delay, half;
	int64_t middle;

	if (!track_sane(s))
		return;
	delay = (double)((s->t4.raw_ns - s->t1.raw_ns) - (s->t3.raw_ns - s->t2.raw_ns));
	half = peer->track.ready ? fmin(delay, delay - peer->track.delay_ns) / 2 : delay / 2;
	if (s->t1.raw_ns < node->check.asked_raw || delay < 0 || half > peer->place_half ||
	    s->flags & (BERK_SAMPLE_LOCAL_STEP | BERK_SAMPLE_PEER_STEP))
		return;
	peer->place_half = fmax(half, 0);
	peer->place_ns = ((double)(s->t2.real_ns - s->t1.real_ns) +
			  (double)(s->t3.real_ns - s->t4.real_ns)) / 2;
	middle = s->t1.raw_ns + (s->t4.raw_ns - s->t1.raw_ns) / 2;
	peer->late_ns = ((double)(s->t2.raw_ns - s->t1.raw_ns) +
			 (double)(s->t3.raw_ns - s->t4.raw_ns)) / 2 -
			(double)(track_peer_raw(&peer->track, middle) - middle);
}

/* How many more are at the old line than at one that is shifted by that. */
static int objections(const struct node *node, struct node_now now, double by, double may)
{
	const struct master *m = &node->master;
	double pending = servo_pending(&node->servo, now.raw_ns);
	int stay = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];
		double place = peer->place_ns + pending, limit = may + peer->place_half;

		if (is_witness(node, peer) && peer->place_half < INFINITY)
			stay += (fabs(place) <= limit) - (fabs(place - by) <= limit);
	}
	return stay;
}

/*
 * Back onto the course that the line had before the master led it astray: not long
 * ago, or slowly.
 */
static void revert(struct node *node, struct node_now now, bool sudden)
{
	struct servo *s = &node->servo;
	struct check *k = &node->check;
	bool settled = now.raw_ns - k->since >= SETTLED * SECOND;
	int64_t real = servo_line(s, now.raw_ns) - (settled ? llrint(k->own_ns) : 0);

	if (!k->anchored)
		return;
	servo_set_line(s, now.raw_ns, real, settled && !sudden ? k->own_ppb : k->past_ppb[0],
		       true, s->interval_ns, false);
	k->raw = now.raw_ns;
	k->real = real;
}

static void distrust(struct node *node, struct node_now now, uint64_t master_id, double by,
		     bool sudden)
{
	struct check *k = &node->check;

	node_say(node, now.raw_ns, LOG_ERR, "master %016" PRIx64 " moves the group by %+.1f us, which"
		 " other clocks do not confirm: not followed any more", master_id, by * 1e-3);
	revert(node, now, sudden);
	k->own_ns = k->all_ns = k->trips = 0;
	elect_distrust(node, now, master_id);
}

static void judge(struct node *node, struct node_now now)
{
	struct check *k = &node->check;
	double by = shift(node, &k->held);

	k->holding = false;
	if (objections(node, now, by, tolerance(node, now, &k->held)) > 0) {
		distrust(node, now, k->held_id, by, true);
		return;
	}
	k->anchored = false;
	follow_accept(node, now, &k->held_from, k->held_id, &k->held);
	follow_ack(node, now, &k->held_from, &k->held, MSG_APPLIED);
}

void check_witnessed(struct node *node, struct node_now now)
{
	if (node->check.holding)
		judge(node, now);
}

static bool any_witness(const struct node *node)
{
	const struct master *m = &node->master;

	for (size_t i = 0; i < m->n; i++)
		if (is_witness(node, m->peer[i]) && m->peer[i]->track.started)
			return true;
	return false;
}

/* Who is on the way, or was alone not long ago, is in no position to judge. */
static bool on_line(const struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;

	return f->heard && node->servo.have_line && !node->servo.may_step &&
	       (f->state == BERK_STATE_SYNCHRONISED || f->withdrawn) &&
	       fabs(servo_pending(&node->servo, now.raw_ns)) < SLACK &&
	       now.raw_ns - node->check.master_raw >= NEW * SECOND;
}

bool check_correction(struct node *node, struct node_now now, const union node_addr *from,
		      uint64_t from_id, const struct msg_correct *c)
{
	const struct follow *f = &node->follow;
	struct check *k = &node->check;
	bool judges;

	if (f->master_id != from_id) {	/* what there was is of the one before */
		check_restart(node);
		k->trips = 0;
		k->master_raw = now.raw_ns;
	}
	if (node->servo.have_line && fabs(shift(node, c)) <= tolerance(node, now, c)) {
		k->holding = false;
		return true;
	}
	/* one that lied before is checked whatever else has happened since */
	judges = node->elect.distrusted == from_id ? node->servo.have_line :
		 on_line(node, now) && f->master_id == from_id;
	if (!judges || !any_witness(node) ||
	    (k->holding && now.raw_ns - k->asked_raw > PATIENCE)) {	/* nobody answered */
		check_restart(node);
		return true;
	}
	if (!k->holding)
		ask(node, now);
	k->holding = true;
	k->held = *c;
	k->held_from = *from;
	k->held_id = from_id;
	return false;
}

/* --- slowly */

void check_course(struct node *node)
{
	node->check.anchored = false;
}

/* The crystals of the witnesses, seen from ours. */
struct crystals {
	size_t n;
	uint64_t ids;		/* shows when they are not the same any more */
	double phase;		/* ns: RAW minus RAW, mean */
	double rate;		/* ppb, mean */
	double wander;		/* ppb per sqrt(s), of the most restless */
};

static void look(const struct node *node, int64_t raw, struct crystals *x)
{
	const struct master *m = &node->master;

	*x = (struct crystals){ 0 };
	for (size_t i = 0; i < m->n && x->n < WITNESSES_MAX; i++) {
		const struct peer *peer = m->peer[i];

		if (!is_witness(node, peer) || !peer->track.ready)
			continue;
		x->phase += (double)(track_peer_raw(&peer->track, raw) - raw);
		x->rate += peer->track.rate_ppb;
		x->ids ^= peer->node_id * 0x9e3779b97f4a7c15ULL;
		x->wander = fmax(x->wander, peer->track.wander.ppb);
		x->n++;
	}
	if (x->n) {
		x->phase /= (double)x->n;
		x->rate /= (double)x->n;
	}
}

/* ppb: how the line has gone on since k->raw, in our RAW time, and against the witnesses'. */
static void departures(const struct node *node, const struct crystals *x, double dt,
		       double *own, double *all)
{
	const struct servo *s = &node->servo;
	const struct check *k = &node->check;
	double others = x->ids == k->ids ? (x->phase - k->phase) / dt : x->rate;

	*own = (double)((s->line_real - k->real) - (s->line_raw - k->raw)) / dt;
	*all = *own - others;
}

static void follow_course(struct node *node, const struct crystals *x)
{
	const struct servo *s = &node->servo;
	struct check *k = &node->check;
	double dt = (double)(s->line_raw - k->raw) * 1e-9, leak = exp(-dt / LEAK), own, all;

	departures(node, x, dt, &own, &all);
	if (x->ids != k->ids)	/* others see the same line */
		k->all_ppb += k->rate_ppb - x->rate;
	k->own_ns = k->own_ns * leak + (own - k->own_ppb) * dt;
	k->all_ns = k->all_ns * leak + (all - k->all_ppb) * dt;
	k->own_ppb += (own - k->own_ppb) * fmin(dt / COURSE, 1);
	k->all_ppb += (all - k->all_ppb) * fmin(dt / COURSE, 1);
}

/*
 * The tracks of the witnesses know nothing yet of a crystal that changed, ours maybe;
 * an exchange of just now shows it. 1: they are late; 0: in time; -1: nobody can tell.
 */
static int tracks_are_late(const struct node *node, double may)
{
	const struct master *m = &node->master;
	int n = 0, late = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct peer *peer = m->peer[i];

		if (!is_witness(node, peer) || !peer->track.ready || peer->place_half > may)
			continue;
		n++;
		late += fabs(peer->late_ns) > may + peer->place_half;
	}
	return n ? 2 * late >= n : -1;
}

static bool off_course(const struct node *node, double may)
{
	const struct check *k = &node->check;

	return fmin(fabs(k->own_ns), fabs(k->all_ns)) > may && k->own_ns * k->all_ns > 0;
}

void check_applied(struct node *node, struct node_now now, const struct msg_correct *c)
{
	const struct servo *s = &node->servo;
	struct check *k = &node->check;
	struct crystals x;
	double may;
	int late;

	look(node, s->line_raw, &x);
	if (!k->anchored) {
		k->anchored = true;
		k->since = k->past_raw = now.raw_ns;
		k->past_ppb[0] = k->past_ppb[1] = s->line_ppb;
	}
	if (now.raw_ns - k->past_raw > PAST * SECOND) {
		k->past_raw = now.raw_ns;
		k->past_ppb[0] = k->past_ppb[1];
		k->past_ppb[1] = s->line_ppb;
	}
	if (now.raw_ns - k->since < SETTLED * SECOND || c->steered) {
		k->own_ppb = s->line_ppb;
		k->all_ppb = s->line_ppb - x.rate;
		k->own_ns = k->all_ns = 0;
	} else if (s->line_raw > k->raw) {
		follow_course(node, &x);
	}
	k->raw = s->line_raw;
	k->real = s->line_real;
	k->ids = x.ids;
	k->phase = x.phase;
	k->rate_ppb = x.rate;
	may = tolerance(node, now, c) / 2 + WALKS * window_walk(x.wander, LEAK);
	if (!x.n || !off_course(node, may)) {
		k->trips = 0;
	} else if (!k->trips) {
		k->trips++;
		ask(node, now);
	} else if ((late = tracks_are_late(node, may / 4)) > 0) {
		k->trips = 0;
		check_course(node);
	} else if (late < 0 || ++k->trips < TRIPS) {
		ask(node, now);
	} else {
		distrust(node, now, node->follow.master_id, k->own_ns, false);
	}
}
