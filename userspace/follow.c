// SPDX-License-Identifier: GPL-2.0
/*
 * follow: applying corrections, and telling how far they can be trusted
 *
 * The master follows its own corrections through the same path.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "node_priv.h"

#define HOLDOVER	4	/* intervals without a correction */
#define LOST		300	/* intervals: then the clock is not synchronised any more */
#define MAXERROR	16000000000LL	/* ns: the kernel's "unknown" */
#define DRIFT_UNKNOWN	100e3	/* ppb: any crystal in use */
#define DRIFT_FLOOR	10.0	/* ppb */
#define WANDER		3.0	/* ppb per sqrt(s): of a crystal left alone */
#define SIGMAS		4.0
#define EARLY		1000000LL	/* ns: a reference in the future by this much is nonsense */
#define OLD_MIN		(10 * SECOND)	/* an older reference may be refused */

static int64_t interval_of(const struct node *node)
{
	const struct follow *f = &node->follow;

	return f->heard && f->last.interval_ns > node->conf.interval_ns ?
	       f->last.interval_ns : node->conf.interval_ns;
}

/* ppb: how far off the frequency can be, age seconds after it was measured. */
static double drift(const struct follow *f, double age)
{
	if (!f->last.rate_known)
		return DRIFT_UNKNOWN;
	return DRIFT_FLOOR + SIGMAS * (f->last.rate_sigma_ppb + WANDER * sqrt(age));
}

static double seconds_since(const struct follow *f, struct node_now now)
{
	return fmax((double)(now.raw_ns - f->last.ref_raw_ns) * 1e-9, 0);
}

/* ns; the group's time is within REALTIME +- this. */
static double error_bound(const struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;
	double age = seconds_since(f, now);

	return fabs(servo_pending(&node->servo, now.raw_ns)) + SIGMAS * (double)f->last.sigma_ns +
	       (double)f->last.bound_ns + drift(f, age) * age;
}

static enum berk_state state_of(const struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;
	int64_t age = now.raw_ns - f->heard_raw;

	if (!f->heard || age > LOST * interval_of(node))
		return BERK_STATE_UNSYNCHRONISED;
	if (age > HOLDOVER * interval_of(node))
		return BERK_STATE_HOLDOVER;
	if (fabs(servo_pending(&node->servo, now.raw_ns)) > (double)node->conf.step_threshold_ns)
		return BERK_STATE_UNSYNCHRONISED;
	return BERK_STATE_SYNCHRONISED;
}

static void say_state(struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;
	double pending = servo_pending(&node->servo, now.raw_ns);
	double age = (double)(now.raw_ns - f->heard_raw) * 1e-9;

	if (f->state == BERK_STATE_SYNCHRONISED)
		node_say(node, now.raw_ns, LOG_NOTICE,
			 "synchronised to master %016" PRIx64 ", %" PRIu32 " clocks, offset %+.1f us",
			 f->master_id, f->last.members, pending * 1e-3);
	else if (f->state == BERK_STATE_HOLDOVER)
		node_say(node, now.raw_ns, LOG_WARNING,
			 "no correction for %.1f s: holding the frequency (holdover)", age);
	else if (now.raw_ns - f->heard_raw > LOST * interval_of(node))
		node_say(node, now.raw_ns, LOG_ERR,
			 "no correction for %.0f s: unsynchronised", age);
	else
		node_say(node, now.raw_ns, LOG_WARNING, "unsynchronised: offset %+.6f s",
			 pending * 1e-9);
}

static void publish(struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;
	int64_t valid = (HOLDOVER * interval_of(node) + SECOND) / 1000000;

	node->do_publish = true;
	node->publish = (struct node_publish){
		.state = f->state,
		.role = node->conf.role,
		.master_id = f->master_id,
		.term = node->term,
		.round = f->round,
		.offset_ns = llrint(servo_pending(&node->servo, now.raw_ns)),
		.error_bound_ns = f->heard ? (uint64_t)llrint(fmin(error_bound(node, now), 9e18)) :
					      UINT64_MAX,
		.error_growth_ppb = (uint32_t)ceil(drift(f, seconds_since(f, now))),
		.freq_ppb = servo_base_ppb(&node->servo),
		.freq_sigma_ppb = f->heard && f->last.rate_known ? f->last.rate_sigma_ppb : 0,
		.valid_ms = (uint32_t)valid,
	};
	node->publish_next = now.raw_ns + node->conf.interval_ns;
}

static void update_state(struct node *node, struct node_now now)
{
	struct follow *f = &node->follow;
	enum berk_state was = f->state;

	f->state = state_of(node, now);
	if (f->state == was)
		return;
	say_state(node, now);
	publish(node, now);
}

/* Queues what the clock is to do, with the kernel's error bounds. */
static void set_clock(struct node *node, struct node_now now, int64_t step_ns, double freq_ppb)
{
	const struct follow *f = &node->follow;
	double bound = f->heard ? error_bound(node, now) : INFINITY;
	double pending = servo_pending(&node->servo, now.raw_ns);

	node->do_clock = true;
	node->clock.step_ns += step_ns;
	node->clock.freq_ppb = freq_ppb;
	node->clock.maxerror_ns = bound < (double)MAXERROR ? llrint(bound) : MAXERROR;
	node->clock.esterror_ns = f->heard ? llrint(fmin((double)MAXERROR, fabs(pending) +
							 (double)f->last.sigma_ns)) : MAXERROR;
	node->clock.synchronised = f->state != BERK_STATE_UNSYNCHRONISED;
}

static void say_foreign(struct node *node, struct node_now now, const struct servo_cmd *cmd)
{
	if (cmd->foreign_step_ns)
		node_say(node, now.raw_ns, LOG_WARNING,
			 "somebody else stepped this clock by %+.6f s",
			 (double)cmd->foreign_step_ns * 1e-9);
	if (cmd->foreign_freq_ppb != 0)
		node_say(node, now.raw_ns, LOG_WARNING,
			 "somebody else changed this clock's frequency by %+.3f ppm",
			 cmd->foreign_freq_ppb * 1e-3);
	if (cmd->step_ns)
		node_say(node, now.raw_ns, LOG_NOTICE, "stepped the clock by %+.6f s",
			 (double)cmd->step_ns * 1e-9);
}

static void run_servo(struct node *node, struct node_now now)
{
	struct servo_cmd cmd = servo_run(&node->servo, now.raw_ns, now.real_ns);

	node->servo_next = cmd.next_raw_ns;
	say_foreign(node, now, &cmd);
	update_state(node, now);
	set_clock(node, now, cmd.step_ns, cmd.freq_ppb);
}

void follow_start(struct node *node, struct node_now now)
{
	set_clock(node, now, 0, node->conf.freq_ppb);
	publish(node, now);
}

void follow_apply(struct node *node, struct node_now now, uint64_t master_id,
		  const struct msg_correct *c)
{
	struct follow *f = &node->follow;
	/* a clock that nobody vouches for any more may as well be stepped */
	bool lost = f->heard && now.raw_ns - f->heard_raw > LOST * interval_of(node);

	if (f->heard && f->master_id != master_id)
		node_say(node, now.raw_ns, LOG_NOTICE, "master is now %016" PRIx64 ", term %" PRIu32
			 "; it was %016" PRIx64, master_id, c->term, f->master_id);
	if (!f->heard || f->master_id != master_id || f->term != c->term)
		f->stray_logged = false;
	f->heard = true;
	f->master_id = master_id;
	f->term = c->term;
	f->round = c->round;
	f->last = *c;
	f->heard_raw = now.raw_ns;
	node->term = c->term;
	servo_set_line(&node->servo, c->ref_raw_ns, c->ref_real_ns - c->offset_ns, c->freq_ppb,
		       c->rate_known, c->interval_ns, c->may_step || lost);
	run_servo(node, now);
	publish(node, now);
}

/* RAW time that has passed unseen: no correction holds any more. */
void follow_forget(struct node *node, struct node_now now)
{
	node->follow.heard = false;
	update_state(node, now);
}

static enum msg_status judge(struct node *node, struct node_now now, uint64_t from_id,
			     const struct msg_correct *c)
{
	struct follow *f = &node->follow;
	int64_t old = HOLDOVER * interval_of(node);
	bool master_alive = f->heard && now.raw_ns - f->heard_raw <= old;

	if (c->term < node->term)
		return MSG_STALE;
	if (c->term - node->term >= TERM_LEAP)
		return MSG_REFUSED;
	if (c->ref_raw_ns > now.raw_ns + EARLY ||
	    c->ref_raw_ns < now.raw_ns - (old > OLD_MIN ? old : OLD_MIN))
		return MSG_REFUSED;
	if (!f->heard || c->term > node->term)
		return MSG_APPLIED;
	if (from_id != f->master_id) {
		if (!master_alive)
			return MSG_APPLIED;
		if (!f->stray_logged)
			node_say(node, now.raw_ns, LOG_WARNING,
				 "a second master %016" PRIx64 " at term %" PRIu32
				 " is ignored: %016" PRIx64 " is followed",
				 from_id, c->term, f->master_id);
		f->stray_logged = true;
		return MSG_REFUSED;
	}
	if (c->round == f->round)
		return MSG_DUPLICATE;
	return (int32_t)(c->round - f->round) < 0 ? MSG_STALE : MSG_APPLIED;
}

void follow_ctrl(struct node *node, struct node_now now, const union node_addr *from,
		 uint64_t from_id, const struct msg_correct *c)
{
	struct follow *f = &node->follow;
	enum msg_status status;

	if (node->conf.role == BERK_ROLE_MASTER || from_id == node->conf.node_id) {
		if (!f->stray_logged)
			node_say(node, now.raw_ns, LOG_WARNING,
				 "node %016" PRIx64 " sends corrections, too: only one node may be"
				 " configured as master, and every node_id must differ", from_id);
		f->stray_logged = true;
		return;
	}
	status = judge(node, now, from_id, c);
	if (status == MSG_APPLIED)
		follow_apply(node, now, from_id, c);
	node->do_ack = true;
	node->ack_to = *from;
	node->ack = (struct msg_ack){
		.term = c->term,
		.round = c->round,
		.status = status,
		.current_term = node->term,
		.current_round = f->round,
		.pending_ns = llrint(servo_pending(&node->servo, now.raw_ns)),
		.freq_ppb = servo_base_ppb(&node->servo),
	};
}

void follow_timer(struct node *node, struct node_now now)
{
	if (node->servo.have_line && now.raw_ns >= node->servo_next)
		run_servo(node, now);
	update_state(node, now);
	if (now.raw_ns >= node->publish_next)
		publish(node, now);
}

void follow_stop(struct node *node, struct node_now now)
{
	struct follow *f = &node->follow;

	f->state = BERK_STATE_UNSYNCHRONISED;
	set_clock(node, now, 0, node->servo.have_line ? servo_base_ppb(&node->servo) :
						       node->conf.freq_ppb);
	publish(node, now);
}
