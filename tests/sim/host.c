// SPDX-License-Identifier: GPL-2.0
/* host: one machine: its power, and the daemon that carries out what a node wants */
#include <math.h>
#include <string.h>

#include "sim.h"

/* The drift file, as userspace/drift.c keeps it */
#define DRIFT_WRITE (300 * SIM_S)	/* between two writes */
#define DRIFT_WANDER 3.0	/* ppb per sqrt(s): by which it grows uncertain */
#define DRIFT_MAX 2000.0	/* ppb */
#define RAW_AT_BOOT (2 * SIM_S)

void host_init(struct world *w, int id, const struct osc_conf *osc, double offset)
{
	struct host *h = &w->host[id];
	struct rng rng;

	rng_init(&rng, w->seed, RNG_OSC, (uint64_t)id, 0);
	rng_init(&h->wake, w->seed, RNG_WAKE, (uint64_t)id, 0);
	h->id = h->clock_of = id;
	h->up = true;
	h->hit = INT64_MAX;
	h->touched = h->jumped = h->lied = h->named = h->ended = h->readmitted = -1;
	h->conf = (struct host_conf){ .quantum = 1, .reading = 50, .answer = 20e3, .wake = 50e3 };
	h->wish = (struct wish){ .node_id = 0x100 + id, .reference_limit = 1000 };
	h->node_conf = (struct node_conf){
		.interval_ns = SIM_S,
		.burst = 8,
		.step_threshold_ns = SIM_MS,
		.max_rate_ppb = 500e3,
	};
	host_configure(h);
	vclock_init(&h->clock, osc, rng, (100 + 7 * (int64_t)id) * SIM_S, offset);
}

void host_configure(struct host *h)
{
	enum { AUTO, MASTER, SLAVE } role = (int)h->wish.role;
	struct node_conf *c = &h->node_conf;

	c->node_id = (uint64_t)h->wish.node_id;
	c->eligible = role != SLAVE;
	c->eager = role == MASTER;
	c->priority = role == MASTER ? 255 : 100;
	if (h->wish.priority > 0)
		c->priority = (uint8_t)h->wish.priority;
	c->quorum = (enum node_quorum)h->wish.quorum;
	c->merge = (enum node_merge)h->wish.merge;
	c->mode = (enum node_mode)h->wish.mode;
	c->reference = h->wish.reference > 0;
	c->cluster = 1 + (uint64_t)h->wish.cluster;
	c->reference_limit_ppb = h->wish.reference_limit;
	if (h->node)
		node_reconf(h->node, c);
}

struct vclock *host_clock(struct world *w, const struct host *h)
{
	return &w->host[h->clock_of].clock;
}

/* Draws how long the daemon waits for the processor, ns. */
double host_wake(struct host *h)
{
	return h->conf.wake > 0 ? rng_exponential(&h->wake, h->conf.wake) : 0;
}

/* The error of a reading belongs to its moment, not to how many there were before. */
struct node_now host_now(struct world *w, struct host *h)
{
	struct berk_stamp s = vclock_read(host_clock(w, h), w->now);
	struct rng r;

	rng_init(&r, w->seed, RNG_READING, (uint64_t)h->id, (uint64_t)w->now);
	return (struct node_now){
		.raw_ns = s.raw_ns,
		.real_ns = s.real_ns + llrint(h->conf.reading * rng_normal(&r)),
	};
}

static int64_t age_of_state(struct world *w, struct host *h)
{
	return vclock_read(host_clock(w, h), w->now).raw_ns - h->state_raw;
}

enum berk_state host_state(struct world *w, struct host *h)
{
	if (!h->node || age_of_state(w, h) >= h->state.valid_ms * SIM_MS)
		return BERK_STATE_UNSYNCHRONISED;
	return h->state.state;
}

double host_bound(struct world *w, struct host *h)
{
	if (host_state(w, h) == BERK_STATE_UNSYNCHRONISED ||
	    h->state.error_bound_ns == UINT64_MAX)
		return INFINITY;
	return (double)h->state.error_bound_ns +
	       (double)age_of_state(w, h) * h->state.error_growth_ppb * 1e-9;
}

/* --- the daemon */

static void act_clock(struct world *w, struct host *h, const struct node_clock *c)
{
	watch_step(w, h, c->step_ns);
	vclock_set(&h->clock, w->now, c->step_ns, c->freq_ppb);
	h->set = *c;
	if (!c->step_ns || !h->was_synced)
		return;
	h->steps++;
	if (-c->step_ns > h->backward)
		h->backward = -c->step_ns;
}

static void write_drift_file(struct world *w, struct host *h)
{
	if (h->state.state != BERK_STATE_SYNCHRONISED || !(h->state.freq_sigma_ppb > 0))
		return;
	h->drift_ppb = h->state.freq_ppb;
	h->drift_sigma = h->state.freq_sigma_ppb;
	h->drift_real = vclock_read(host_clock(w, h), w->now).real_ns;
	h->drift_at = w->now;
}

static void act_publish(struct world *w, struct host *h, const struct node_publish *p)
{
	h->state = *p;
	h->state_raw = vclock_read(host_clock(w, h), w->now).raw_ns;
	h->was_synced |= p->state == BERK_STATE_SYNCHRONISED;
	watch_publish(w, h);
	if (w->on_publish)
		w->on_publish(w, h);
	if (w->now - h->drift_at >= DRIFT_WRITE)
		write_drift_file(w, h);
}

static void send_to(struct world *w, struct host *h, int to, struct payload *payload,
		    bool multicast)
{
	struct packet p = {
		.kind = PACKET_CTRL, .from = h->id, .to = to, .multicast = multicast,
		.ctrl = payload,
	};
	struct rng r = link_packet(&world_pair(w, p.from, p.to)->link, PACKET_CTRL);

	world_transmit(w, &p, &r);
}

static void act_send(struct world *w, struct host *h, const struct node_send *s)
{
	bool multicast = s->addr.sa.sa_family == AF_UNSPEC;
	int to = multicast ? -1 : world_host(&s->addr);
	unsigned char changed[MSG_MAX];
	struct payload *payload;
	struct msg msg;
	size_t len = s->len;

	memcpy(changed, s->payload, len);
	if (!msg_decode(&msg, s->payload, s->len)) {
		watch_send(w, h, &msg);
		if (msg.type == MSG_CORRECT && h->lie.kind != LIE_NONE) {
			lie_correct(w, h, to, &msg.correct);
			len = msg_encode(&msg, changed);
		}
	}
	payload = world_payload(changed, len);
	for (int i = 0; multicast && i < w->n; i++)
		if (i != h->id)
			send_to(w, h, i, payload, true);
	if (to >= 0 && to < w->n)
		send_to(w, h, to, payload, false);
	world_drop(payload);
}

static void act_note(struct world *w, struct host *h, const struct node_note *note)
{
	int peer = module_peer(&h->mod, note->peer);
	struct pair *pair;

	if (peer < 0)
		return;
	pair = world_pair(w, h->id, peer);
	if (!pair->note)
		pair->note = world_alloc(NULL, 1, sizeof(*pair->note));
	*pair->note = *note;
	watch_note(w, h, &w->host[peer], note);
}

static void act_log(struct world *w, struct host *h, const struct node_log *log)
{
	h->logs++;
	if (strlen(h->log_text) + strlen(log->text) < sizeof(h->log_text))
		strcat(h->log_text, log->text);
	h->said += w->listen && strstr(log->text, w->listen);
	if (w->chatty)
		fprintf(stderr, "%12.6f node %d: %s\n", (double)w->now * 1e-9, h->id, log->text);
}

static void act(struct world *w, struct host *h, const struct node_action *a)
{
	int peer;

	switch (a->type) {
	case NODE_ACT_PEER:
		peer = world_host(&a->peer);
		module_add_peer(w, h, peer);
		node_peer_index(h->node, &a->peer, world_pair(w, h->id, peer)->index);
		break;
	case NODE_ACT_FORGET:
		module_del_peer(w, h, world_host(&a->peer));
		break;
	case NODE_ACT_NOTE:
		act_note(w, h, &a->note);
		break;
	case NODE_ACT_ROUND:
		module_round(w, h, &a->round);
		break;
	case NODE_ACT_SEND:
		act_send(w, h, &a->send);
		break;
	case NODE_ACT_CLOCK:
		act_clock(w, h, &a->clock);
		break;
	case NODE_ACT_PUBLISH:
		act_publish(w, h, &a->publish);
		break;
	case NODE_ACT_LOG:
		act_log(w, h, &a->log);
		break;
	}
}

/* In true time: RAW runs a little differently. */
static void arm_timer(struct world *w, struct host *h)
{
	int64_t next = node_next_timer(h->node);
	double left = (double)(next - vclock_read(host_clock(w, h), w->now).raw_ns);

	if (next == h->timer_raw)
		return;
	h->timer_raw = next;
	left = fmax(left / (1 + osc_rate(&host_clock(w, h)->osc) * 1e-9), SIM_US) + host_wake(h);
	world_schedule(w, w->now + llrint(left), EV_TIMER, h->id)->id = ++h->timer_id;
}

/* Carries out what the node wants; after each node_*() function. */
void host_act(struct world *w, struct host *h)
{
	struct node_action a;

	while (node_next_action(h->node, &a))
		act(w, h, &a);
	arm_timer(w, h);
}

/* A reference is right, unless its clock is driven by a node that is not synchronised. */
static void tell_reference(struct world *w, struct host *h)
{
	struct host *driver = &w->host[h->clock_of];
	bool outside = driver == h;

	if (h->node_conf.reference)
		node_reference(h->node, host_now(w, h),
			       outside || host_state(w, driver) == BERK_STATE_SYNCHRONISED,
			       outside ? 0 : driver->state.origin);
}

void host_timer(struct world *w, struct host *h, uint32_t id)
{
	if (!h->node || id != h->timer_id)
		return;
	h->timer_raw = 0;
	tell_reference(w, h);
	node_timer(h->node, host_now(w, h));
	host_act(w, h);
}

void host_round_done(struct world *w, struct host *h, uint32_t round)
{
	struct node_now now = host_now(w, h);

	if (!h->node)
		return;
	for (size_t i = 0; i < h->mod.n_ring; i++)
		node_sample(h->node, now, &h->mod.ring[i]);
	h->mod.n_ring = 0;
	node_round_done(h->node, now, round);
	host_act(w, h);
}

void host_ctrl(struct world *w, struct host *h, const struct packet *p)
{
	union node_addr from = world_addr(p->from);
	const struct host *sender = &w->host[p->from];

	if (!h->node || h->deaf)
		return;
	node_ctrl(h->node, host_now(w, h), &from, sender->node_conf.node_id, sender->state.term,
		  p->ctrl->bytes, p->ctrl->len);
	host_act(w, h);
}

static void read_drift_file(struct world *w, struct host *h)
{
	double age = (double)(vclock_read(host_clock(w, h), w->now).real_ns - h->drift_real) * 1e-9;
	double walk = age < 0 ? DRIFT_MAX : fmin(DRIFT_WANDER * sqrt(age), DRIFT_MAX);

	h->drift_at = w->now;
	h->node_conf.freq_ppb = h->clock.next_at < INFINITY ? h->clock.next_ppb : h->clock.freq_ppb;
	h->node_conf.freq_sigma_ppb = 0;
	if (h->drift_sigma > 0) {
		h->node_conf.freq_ppb = h->drift_ppb;
		h->node_conf.freq_sigma_ppb = hypot(h->drift_sigma, walk);
	}
}

void host_start(struct world *w, struct host *h)
{
	struct rng r;

	if (h->node || !h->up)
		return;
	rng_init(&r, w->seed, RNG_NODE, (uint64_t)h->id, h->life++);
	h->node_conf.seed = rng_next(&r);
	read_drift_file(w, h);
	module_clear_peers(w, h);
	h->accepted = (struct node_publish){ 0 };
	h->node = node_init(&h->node_conf);
	for (int i = 0; i < w->n; i++) {
		union node_addr addr = world_addr(i);

		if (i != h->id && set_has(&h->peers, i) &&
		    (!h->node || node_peer_add(h->node, &addr)))
			world_alloc(NULL, SIZE_MAX, 2);
	}
	h->timer_raw = 0;
	node_start(h->node, host_now(w, h));
	tell_reference(w, h);
	host_act(w, h);
}

void host_stop(struct world *w, struct host *h, bool graceful)
{
	struct node_action a;

	if (!h->node)
		return;
	if (graceful) {
		write_drift_file(w, h);
		node_stop(h->node, host_now(w, h));
		while (node_next_action(h->node, &a))
			act(w, h, &a);
	}
	node_free(h->node);
	h->node = NULL;
	h->timer_id++;
	h->was_synced = false;
	h->state.state = BERK_STATE_UNSYNCHRONISED;
	h->state.role = BERK_ROLE_NONE;
	h->state.master_id = 0;
}

/* --- power */

void host_power_off(struct world *w, struct host *h)
{
	host_stop(w, h, false);
	module_boot(w, h);
	h->state = (struct node_publish){ 0 };
	h->up = false;
	h->paused = false;
	h->boot++;
}

void host_power_on(struct world *w, struct host *h, double rtc)
{
	if (h->up)
		return;
	h->up = true;
	vclock_boot(&h->clock, w->now, RAW_AT_BOOT, rtc);
	host_start(w, h);
}

void host_pause(struct world *w, struct host *h, int64_t ns)
{
	if (!h->up || h->paused)
		return;
	h->touched = w->now + ns;
	h->paused = true;
	h->stalled += ns;
	h->resume_at = w->now + ns;
	vclock_stall(&h->clock, w->now, ns);
	world_schedule(w, h->resume_at, EV_RESUME, h->id);
}

void host_step(struct world *w, struct host *h, int64_t ns)
{
	struct vclock *c = &h->clock;

	h->touched = w->now;
	vclock_set(c, w->now, ns, c->next_at < INFINITY ? c->next_ppb : c->freq_ppb);
}
