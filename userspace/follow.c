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
#define DRIFT_FLOOR	10.0	/* ppb: what the clock does beside its command */
#define MUCH		3.0	/* times the sigma */
#define INSISTS		3	/* corrections in a row that contradict */
#define CONTRADICTION	6.0	/* sigmas between what is known and what is told */
#define WANDER		3.0	/* ppb per sqrt(s): of a crystal left alone */
#define SIGMAS		4.0
#define EARLY		1000000LL	/* ns: a reference in the future by this much is nonsense */
#define OLD_MIN		(10 * SECOND)	/* an older reference may be refused */

int64_t follow_interval(const struct node *node)
{
	const struct follow *f = &node->follow;

	return f->heard && f->last.interval_ns > node->conf.interval_ns ?
	       f->last.interval_ns : node->conf.interval_ns;
}

/* Standard deviations of the line held, dt seconds after it was last corrected. */
static double rate_sigma(const struct follow *f, double dt)
{
	return sqrt(f->rate_sigma_ppb * f->rate_sigma_ppb + WANDER * WANDER * dt);
}

static double line_sigma(const struct follow *f, double dt)
{
	double rate = f->rate_sigma_ppb * dt;

	return sqrt(f->sigma_ns * f->sigma_ns + rate * rate + WANDER * WANDER * dt * dt * dt / 3);
}

double follow_sigma(const struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;

	return line_sigma(f, fmax((double)(now.raw_ns - f->last.ref_raw_ns) * 1e-9, 0));
}

static double seconds_since(const struct follow *f, int64_t raw_ns)
{
	return fmax((double)(raw_ns - f->last.ref_raw_ns) * 1e-9, 0);
}

/* ns: how far the line may have left the group's time, age seconds after it was corrected. */
static double drift(const struct follow *f, double age)
{
	return (DRIFT_FLOOR + SIGMAS * rate_sigma(f, age) + f->moved_ppb) * age;
}

/* ns: this clock is ahead of the group's time. A reference is not steered, so it is read. */
static double pending(const struct node *node, struct node_now now)
{
	if (node->conf.reference)
		return node->servo.have_line ?
		       (double)(now.real_ns - servo_line(&node->servo, now.raw_ns)) : 0;
	return servo_pending(&node->servo, now.raw_ns);
}

double follow_bound(const struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;

	return fabs(pending(node, now)) + fabs(node->servo.surprise_ns) + f->moved_ns +
	       SIGMAS * fmax(f->sigma_ns, (double)f->last.sigma_ns) + (double)f->last.bound_ns +
	       drift(f, seconds_since(f, now.raw_ns));
}

static int64_t valid_ns(const struct node *node)
{
	return HOLDOVER * follow_interval(node) + SECOND;
}

/*
 * ppb: such that the bound stays true until it is void; it grows faster and faster.
 * A clock at the limit of its frequency leaves the line knowingly.
 */
static double bound_growth(const struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;
	const struct servo *s = &node->servo;
	double age = seconds_since(f, now.raw_ns), valid = (double)valid_ns(node) * 1e-9;

	return (drift(f, age + valid) - drift(f, age)) / valid +
	       fabs(s->line_ppb - s->kf.rate - servo_base_ppb(s));
}

static enum berk_state state_of(const struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;
	int64_t age = now.raw_ns - f->heard_raw;

	if (node->conf.reference)
		return node->right ? BERK_STATE_SYNCHRONISED : BERK_STATE_UNSYNCHRONISED;
	if (!f->heard || f->withdrawn || age > LOST * follow_interval(node))
		return BERK_STATE_UNSYNCHRONISED;
	if (age > HOLDOVER * follow_interval(node))
		return BERK_STATE_HOLDOVER;
	if (fabs(pending(node, now)) > (double)node->conf.step_threshold_ns)
		return BERK_STATE_UNSYNCHRONISED;
	return BERK_STATE_SYNCHRONISED;
}

static void say_state(struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;
	double left = pending(node, now);
	double age = (double)(now.raw_ns - f->heard_raw) * 1e-9;

	if (f->state == BERK_STATE_SYNCHRONISED)
		node_say(node, now.raw_ns, LOG_NOTICE,
			 "synchronised to master %016" PRIx64 ", %" PRIu32 " clocks, offset %+.1f us",
			 f->master_id, f->last.members, left * 1e-3);
	else if (f->state == BERK_STATE_HOLDOVER)
		node_say(node, now.raw_ns, LOG_WARNING,
			 "no correction for %.1f s: holding the frequency (holdover)", age);
	else if (f->withdrawn)
		node_say(node, now.raw_ns, LOG_WARNING, "the group's time is not within this"
			 " clock's error bound: unsynchronised until that is clear");
	else if (now.raw_ns - f->heard_raw > LOST * follow_interval(node))
		node_say(node, now.raw_ns, LOG_ERR,
			 "no correction for %.0f s: unsynchronised", age);
	else
		node_say(node, now.raw_ns, LOG_WARNING, "unsynchronised: offset %+.6f s",
			 left * 1e-9);
}

static enum berk_role role_of(const struct node *node)
{
	if (node->elect.stance == LEADING)
		return BERK_ROLE_MASTER;
	return node->elect.stance == FOLLOWING && node->elect.rank == 1 ? BERK_ROLE_STANDBY :
									 BERK_ROLE_SLAVE;
}

void follow_publish(struct node *node, struct node_now now)
{
	const struct follow *f = &node->follow;
	bool known = f->heard && !f->withdrawn;

	node->do_publish = true;
	node->publish = (struct node_publish){
		.state = f->state,
		.role = role_of(node),
		.origin = node->elect.stance == LEADING ? node->master.origin : f->last.origin,
		.master_id = node->elect.stance == LEADING ? node->conf.node_id : f->master_id,
		.term = node->term,
		.round = f->round,
		.offset_ns = llrint(pending(node, now)),
		.error_bound_ns = known ? (uint64_t)ceil(fmin(follow_bound(node, now), 9e18)) :
					  UINT64_MAX,
		.error_growth_ppb = (uint32_t)ceil(fmin(bound_growth(node, now), 1e9)),
		.freq_ppb = servo_base_ppb(&node->servo),
		.freq_sigma_ppb = f->rate_sigma_ppb < RATE_UNKNOWN ?
				  rate_sigma(f, seconds_since(f, now.raw_ns)) : 0,
		.valid_ms = (uint32_t)(valid_ns(node) / 1000000),
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
	follow_publish(node, now);
}

/*
 * Queues what the clock is to do, with the kernel's error bounds. The kernel lets
 * maxerror grow by 500 ppm, but only from the next second on.
 */
static void set_clock(struct node *node, struct node_now now, int64_t step_ns, double freq_ppb)
{
	const struct follow *f = &node->follow;
	double bound = f->heard && !f->withdrawn ?
		       follow_bound(node, now) + bound_growth(node, now) : INFINITY;
	double left = pending(node, now);

	node->do_clock = true;
	node->clock.step_ns += step_ns;
	node->clock.freq_ppb = freq_ppb;
	node->clock.maxerror_ns = bound < (double)MAXERROR ? llrint(bound) : MAXERROR;
	node->clock.esterror_ns = f->heard ? llrint(fmin((double)MAXERROR, fabs(left) +
							 f->sigma_ns)) : MAXERROR;
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
	struct servo_cmd cmd;

	if (node->conf.reference) {
		node->servo_next = INT64_MAX;
		update_state(node, now);
		return;
	}
	cmd = servo_run(&node->servo, now.raw_ns, now.real_ns);

	node->servo_next = cmd.next_raw_ns;
	say_foreign(node, now, &cmd);
	update_state(node, now);
	set_clock(node, now, cmd.step_ns, cmd.freq_ppb);
}

void follow_start(struct node *node, struct node_now now)
{
	double sigma = node->conf.freq_sigma_ppb;

	node->follow.rate_sigma_ppb = sigma > 0 ? fmin(sigma, RATE_UNKNOWN) : RATE_UNKNOWN;
	set_clock(node, now, 0, node->conf.freq_ppb);
	follow_publish(node, now);
}

/*
 * How much of something new to take, known with sigma `told`, where own is known, too.
 * If the new is poorer and contradicts, it must do so a few times in a row.
 */
static double gain(double difference, double own, double told, unsigned int *contradictions)
{
	double ratio = told > 0 ? MUCH * own / told : INFINITY;
	bool contradicts = fabs(difference) > CONTRADICTION * hypot(own, told);

	*contradictions = contradicts ? *contradictions + 1 : 0;
	if (ratio >= 1 || *contradictions >= INSISTS)
		return 1;
	return contradicts ? 0 : ratio * ratio;
}

static double mixed(double gain, double own, double told)
{
	return hypot((1 - gain) * own, gain * told);
}

/*
 * A correction that is much less certain than the line held so far (from a master
 * that has only begun to measure, after losses) moves it only so far, and noise
 * is not fed into the clock. One that is as certain contains what was known
 * before, and replaces it.
 */
static void blend(struct node *node, struct msg_correct *c)
{
	struct follow *f = &node->follow;
	double dt = seconds_since(f, c->ref_raw_ns), own = line_sigma(f, dt), g;
	double told = (double)c->sigma_ns, rate = rate_sigma(f, dt);
	/* unsigned: a message may say anything */
	double difference = (double)(int64_t)((uint64_t)(c->ref_real_ns - c->offset_ns) -
				     (uint64_t)servo_line(&node->servo, c->ref_raw_ns));

	g = gain(difference, own, told, &f->contradictions);
	c->offset_ns += llrint((1 - g) * difference);
	f->withdrawn = fabs(difference) > follow_bound(node, (struct node_now){
		.raw_ns = c->ref_raw_ns }) + SIGMAS * told + (double)c->bound_ns;
	f->moved_ns = fmax(fabs(f->contradictions ? difference : g * difference),
			   f->moved_ns / 2);
	f->sigma_ns = mixed(g, own, told);
	g = c->rate_known ? gain(c->freq_ppb - node->servo.line_ppb, rate, c->rate_sigma_ppb,
				 &f->rate_contradictions) : 0;
	difference = g * (c->freq_ppb - node->servo.line_ppb);
	c->freq_ppb = node->servo.line_ppb + difference;
	f->moved_ppb = fmax(fabs(difference), f->moved_ppb / 2);
	f->rate_sigma_ppb = mixed(g, rate, c->rate_sigma_ppb);
}

/* The first one, or one that nothing before counts against. */
static void believe(struct follow *f, const struct msg_correct *c)
{
	f->sigma_ns = (double)c->sigma_ns;
	f->moved_ns = f->moved_ppb = 0;
	f->withdrawn = false;
	if (c->rate_known)
		f->rate_sigma_ppb = c->rate_sigma_ppb;
	else if (c->anew)
		f->rate_sigma_ppb = RATE_UNKNOWN;
}

void follow_apply(struct node *node, struct node_now now, uint64_t master_id,
		  const struct msg_correct *told)
{
	struct follow *f = &node->follow;
	struct msg_correct corrected = *told, *c = &corrected;
	/* a clock that nobody vouches for any more may as well be stepped */
	bool lost = f->heard && now.raw_ns - f->heard_raw > LOST * follow_interval(node);
	bool merging = f->heard && f->term != c->term && node->conf.merge == NODE_MERGE_STEP;

	if (f->heard && f->master_id != master_id)
		node_say(node, now.raw_ns, LOG_NOTICE, "master is now %016" PRIx64 ", term %" PRIu32
			 "; it was %016" PRIx64, master_id, c->term, f->master_id);
	if (!f->heard || f->master_id != master_id || f->term != c->term)
		f->stray_logged = false;
	/* where a step is allowed, what was known before is doubtful */
	if (f->heard && node->servo.have_line && !c->may_step && !c->anew && !lost &&
	    !node->servo.may_step)
		blend(node, c);
	else
		believe(f, c);
	f->heard = true;
	f->master_id = master_id;
	f->term = c->term;
	f->round = c->round;
	f->last = *c;
	f->heard_raw = now.raw_ns;
	node->term = c->term;
	servo_set_line(&node->servo, c->ref_raw_ns, c->ref_real_ns - c->offset_ns, c->freq_ppb,
		       c->rate_known, c->interval_ns, c->may_step || lost || merging);
	run_servo(node, now);
	follow_publish(node, now);
}

/* RAW time that has passed unseen: no correction holds any more. */
void follow_forget(struct node *node, struct node_now now)
{
	node->follow.heard = false;
	check_restart(node);
	update_state(node, now);
}

/* Another of the group, as the master knows it. */
static void meet(struct node *node, struct node_now now, const union node_addr *master,
		 const struct msg_member *told)
{
	union node_addr addr = told->addr;
	struct peer *peer;

	if (told->node_id == node->conf.node_id)
		return;
	if (addr.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&addr.in6.sin6_addr)) {
		if (master->sa.sa_family != AF_INET6)
			return;
		addr.in6.sin6_scope_id = master->in6.sin6_scope_id;
	}
	peer = peer_meet(node, now, told->node_id, &addr);
	if (!peer)
		return;
	peer->heard_raw = now.raw_ns;
	peer->witness = node->elect.rank != 1;
}

static enum msg_status judge(struct node *node, struct node_now now, const union node_addr *from,
			     uint64_t from_id, const struct msg_correct *c)
{
	struct follow *f = &node->follow;
	int64_t old = HOLDOVER * follow_interval(node);
	bool alive;

	if (elect_distrusts(node, now, from_id))
		return MSG_REFUSED;
	if (term_newer(node->term, c->term))
		return MSG_STALE;
	alive = (node->elect.stance == FOLLOWING || node->elect.stance == LEADING) &&
		elect_master_alive(node, now);
	if (alive && from_id != f->master_id &&
	    (term_absurd(c->term, node->term) || from_id != node->elect.master_id)) {
		hello_send(node, from, MSG_ASK, 0);	/* whose group is larger? */
		return MSG_REFUSED;
	}
	if (c->ref_raw_ns > now.raw_ns + EARLY ||
	    c->ref_raw_ns < now.raw_ns - (old > OLD_MIN ? old : OLD_MIN))
		return MSG_REFUSED;
	if (!f->heard || c->term != node->term)
		return MSG_APPLIED;
	if (from_id != f->master_id) {
		if (!alive)
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
	/* after a return to a snapshot rounds begin again where they were */
	return (int32_t)(c->round - f->round) < 0 && alive ? MSG_STALE : MSG_APPLIED;
}

void follow_accept(struct node *node, struct node_now now, const union node_addr *from,
		   uint64_t from_id, const struct msg_correct *c)
{
	bool by_another = node->follow.master_id != from_id;

	if (node->elect.stance == LEADING)
		elect_yield(node, now, from_id, from);
	if (node->follow.state == BERK_STATE_HOLDOVER)	/* the way back is no departure */
		check_course(node);
	follow_apply(node, now, from_id, c);
	node->follow.master_addr = *from;
	elect_corrected(node, now, from, c, by_another);
	measure_align(node, now);
	for (unsigned int i = 0; i < c->n_told; i++)
		meet(node, now, from, &c->told[i]);
	follow_publish(node, now);
	check_applied(node, now, c);
}

void follow_ack(struct node *node, struct node_now now, const union node_addr *to,
		const struct msg_correct *c, enum msg_status status)
{
	node->do_ack = c->want_ack || status != MSG_APPLIED;
	node->ack_to = *to;
	node->ack = (struct msg_ack){
		.term = c->term,
		.round = c->round,
		.status = status,
		.current_term = node->term,
		.current_round = node->follow.round,
		.pending_ns = llrint(servo_pending(&node->servo, now.raw_ns)),
		.freq_ppb = servo_base_ppb(&node->servo),
	};
}

void follow_ctrl(struct node *node, struct node_now now, const union node_addr *from,
		 uint64_t from_id, const struct msg_correct *c)
{
	enum msg_status status;

	if (from_id == node->conf.node_id || node->elect.twice)
		return;
	status = judge(node, now, from, from_id, c);
	if (status == MSG_APPLIED) {
		if (!check_correction(node, now, from, from_id, c))
			return;
		follow_accept(node, now, from, from_id, c);
	}
	if (c->want_ack && node->conf.reference)	/* it may not have heard last time */
		hello_send(node, from, MSG_ANNOUNCE, 0);
	follow_ack(node, now, from, c, status);
}

void follow_timer(struct node *node, struct node_now now)
{
	if (node->servo.have_line && now.raw_ns >= node->servo_next)
		run_servo(node, now);
	update_state(node, now);
	if (now.raw_ns >= node->publish_next)
		follow_publish(node, now);
}

void follow_stop(struct node *node, struct node_now now)
{
	struct follow *f = &node->follow;

	f->state = BERK_STATE_UNSYNCHRONISED;
	set_clock(node, now, 0, node->servo.have_line ? servo_base_ppb(&node->servo) :
						       node->conf.freq_ppb);
	follow_publish(node, now);
}
