// SPDX-License-Identifier: GPL-2.0
/* world: the queue of events, and the paths between hosts */
#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define FIRST_ADDR 0x0a000001U
#define QUEUED_APART (10 * SIM_US)	/* packets that waited for a machine */

void *world_alloc(void *old, size_t n, size_t size)
{
	void *p = reallocarray(old, n ? n : 1, size);

	if (!p) {
		fprintf(stderr, "sim: out of memory\n");
		exit(2);
	}
	return p;
}

void world_init(struct world *w, uint64_t seed, int n)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->n = n;
	w->watch.fault_at = -1;
	w->watch.failover = NAN;
	w->host = calloc((size_t)n, sizeof(*w->host));
	w->pair = calloc((size_t)n * (size_t)n, sizeof(struct pair *));
	if (!w->host || !w->pair)
		world_alloc(NULL, SIZE_MAX, 2);
}

void world_free(struct world *w)
{
	for (size_t i = 0; i < (size_t)w->n * (size_t)w->n; i++) {
		if (w->pair[i]) {
			free(w->pair[i]->x);
			free(w->pair[i]->note);
		}
		free(w->pair[i]);
	}
	for (size_t i = 0; i < w->n_heap; i++)
		if (w->events[w->heap[i].event].type == EV_PACKET)
			world_drop(w->events[w->heap[i].event].packet.ctrl);
	for (int i = 0; i < w->n; i++) {
		node_free(w->host[i].node);
		module_free(&w->host[i].mod);
	}
	free(w->host);
	free(w->pair);
	free(w->rule);
	free(w->watch.term);
	free(w->heap);
	free(w->events);
	free(w->idle);
	memset(w, 0, sizeof(*w));
}

union node_addr world_addr(int host)
{
	union node_addr a = { .in = { .sin_family = AF_INET, .sin_port = htons(BERK_PORT) } };

	a.in.sin_addr.s_addr = htonl(FIRST_ADDR + (uint32_t)host);
	return a;
}

int world_host(const union node_addr *addr)
{
	return (int)(ntohl(addr->in.sin_addr.s_addr) - FIRST_ADDR);
}

/* --- paths */

static void apply(struct pair *pair, const struct link_rule *rule)
{
	((double *)&pair->link.conf)[rule->field] = rule->value;
}

static struct pair *new_pair(struct world *w, int from, int to)
{
	struct pair *pair = world_alloc(NULL, 1, sizeof(*pair));

	memset(pair, 0, sizeof(*pair));
	link_init(&pair->link, w->seed, (uint64_t)from << 32 | (uint64_t)to);
	for (size_t i = 0; i < w->n_rules; i++)
		if (set_has(&w->rule[i].from, from) && set_has(&w->rule[i].to, to))
			apply(pair, &w->rule[i]);
	return pair;
}

struct pair *world_pair(struct world *w, int from, int to)
{
	struct pair **slot = &w->pair[(size_t)from * (size_t)w->n + (size_t)to];

	if (!*slot)
		*slot = new_pair(w, from, to);
	return *slot;
}

void world_link(struct world *w, const struct link_rule *rule)
{
	w->rule = world_alloc(w->rule, w->n_rules + 1, sizeof(*w->rule));
	w->rule[w->n_rules++] = *rule;
	for (int from = 0; from < w->n; from++) {
		if (!set_has(&rule->from, from))
			continue;
		for (int to = 0; to < w->n; to++) {
			struct pair *pair = w->pair[(size_t)from * (size_t)w->n + (size_t)to];

			if (pair && set_has(&rule->to, to))
				apply(pair, rule);
		}
	}
}

struct payload *world_payload(const void *bytes, size_t len)
{
	struct payload *payload = world_alloc(NULL, 1, sizeof(*payload) + len);

	payload->packets = 1;
	payload->len = len;
	memcpy(payload->bytes, bytes, len);
	return payload;
}

void world_drop(struct payload *payload)
{
	if (payload && !--payload->packets)
		free(payload);
}

/* What lets packets pass, or not, by what they are and by what passed before. */
static bool filtered(struct world *w, const struct packet *p, struct link *l)
{
	double stateful = l->conf.stateful;
	int64_t used;

	if (!p->multicast)
		l->used = w->now;
	if (w->host[p->from].wish.cluster != w->host[p->to].wish.cluster ||
	    (p->multicast && l->conf.unicast > 0))
		return true;
	if (!(stateful > 0))
		return false;
	used = world_pair(w, p->to, p->from)->link.used;
	return p->multicast || used < 0 || (double)(w->now - used) > stateful;
}

void world_transmit(struct world *w, const struct packet *p, struct rng *r)
{
	const struct host_conf *to = &w->host[p->to].conf;
	struct link *link = &world_pair(w, p->from, p->to)->link;
	bool late = to->late_p > 0 && rng_uniform(r) < to->late_p;
	int64_t extra = late ? llrint(rng_exponential(r, to->late_mean)) : 0;
	int64_t delay[2];
	int copies = link_send(link, r, w->now, delay);

	if (w->host[p->from].lie.kind == LIE_DELAY)
		extra += llrint(w->host[p->from].lie.size);
	w->packets++;
	if (filtered(w, p, link))
		return;
	if (p->kind == PACKET_CTRL)
		extra += llrint(host_wake(&w->host[p->to]));
	for (int i = 0; i < copies; i++) {
		struct event *ev = world_schedule(w, w->now + delay[i] + extra, EV_PACKET, p->to);

		if (p->ctrl)
			p->ctrl->packets++;
		ev->packet = *p;
		ev->packet.rx_src = late ? BERK_STAMP_LATE : BERK_STAMP_DRIVER;
	}
}

/* --- events: a binary heap of those to come; equal times in the order of their making */

static bool before(const struct slot *a, const struct slot *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct world *w, struct slot s)
{
	size_t i = w->n_heap++;

	for (; i && before(&s, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = s;
}

static struct slot pop(struct world *w)
{
	struct slot first = w->heap[0], last = w->heap[--w->n_heap];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->n_heap) {
		if (child + 1 < w->n_heap && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return first;
}

static uint32_t new_event(struct world *w)
{
	if (!w->n_idle) {
		size_t more = w->n_events ? w->n_events : 256;

		w->events = world_alloc(w->events, w->n_events + more, sizeof(*w->events));
		w->idle = world_alloc(w->idle, w->n_events + more, sizeof(*w->idle));
		w->heap = world_alloc(w->heap, w->n_events + more, sizeof(*w->heap));
		for (size_t i = 0; i < more; i++)
			w->idle[w->n_idle++] = (uint32_t)w->n_events++;
	}
	return w->idle[--w->n_idle];
}

struct event *world_schedule(struct world *w, int64_t at, enum event_type type, int host)
{
	uint32_t e = new_event(w);

	w->events[e].type = type;
	w->events[e].host = host;
	w->events[e].boot = w->host[host].boot;
	w->events[e].stalled = w->host[host].stalled;
	push(w, (struct slot){ at < w->now ? w->now : at, w->order++, e });
	return &w->events[e];
}

/* What happens inside a machine does not happen while it stands still. True: later. */
static bool postponed(struct world *w, struct slot s)
{
	struct event *ev = &w->events[s.event];
	struct host *h = &w->host[ev->host];

	if (ev->type >= EV_RESUME)
		return false;
	if (ev->type == EV_PACKET) {
		if (!h->paused || !h->queueing || !h->up)
			return false;
		s.at = h->resume_at + QUEUED_APART;
	} else if (ev->boot == h->boot && ev->stalled != h->stalled) {
		s.at += h->stalled - ev->stalled;
		ev->stalled = h->stalled;
	} else {
		return false;
	}
	push(w, s);
	return true;
}

static void inside(struct world *w, struct host *h, const struct event *ev)
{
	switch (ev->type) {
	case EV_ANSWER:
		module_answer(w, h, &ev->packet);
		break;
	case EV_PROBE:
		module_probe(w, h);
		break;
	case EV_DEADLINE:
		module_deadline(w, h, ev->id);
		break;
	case EV_ROUND:
		host_round_done(w, h, ev->id);
		break;
	default:
		host_timer(w, h, ev->id);
	}
}

static void happen(struct world *w, const struct event *ev)
{
	struct host *h = &w->host[ev->host];

	switch (ev->type) {
	case EV_PACKET:
		if (h->up && !h->paused)
			module_packet(w, h, &ev->packet);
		world_drop(ev->packet.ctrl);
		break;
	case EV_RESUME:
		h->paused = false;
		break;
	case EV_ACTION:
		w->on_action(w, ev->id);
		break;
	default:
		if (h->up && ev->boot == h->boot)
			inside(w, h, ev);
	}
}

void world_run(struct world *w, int64_t until)
{
	while (w->n_heap && w->heap[0].at <= until) {
		struct slot s = pop(w);
		struct event ev;

		w->now = s.at;
		if (postponed(w, s))
			continue;
		ev = w->events[s.event];	/* the array may move */
		w->idle[w->n_idle++] = s.event;
		happen(w, &ev);
	}
	w->now = until;
}
