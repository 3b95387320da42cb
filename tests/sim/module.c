// SPDX-License-Identifier: GPL-2.0
/*
 * module: what kmod does
 *
 * As in kmod/exchange.c a sample is complete with the next reply of the same
 * peer, which brings the exact T3 of the reply before.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define RING 16384	/* samples, as the module's */

struct probe {
	uint64_t nonce;		/* 0: answered */
	uint32_t seq, round;
	struct mark t1;
};

struct exchange {
	uint32_t seq;
	struct probe probe[BERK_BURST_MAX];
	uint64_t last_nonce;
	struct berk_sample last;
};

static int64_t quantise(int64_t ns, double quantum)
{
	int64_t q = (int64_t)quantum;

	return q > 1 ? ns - ns % q : ns;
}

/* Of a packet from or to that peer. */
static struct mark mark(struct world *w, struct host *h, int peer, uint8_t src)
{
	struct mark m = {
		.at = vclock_read(host_clock(w, h), w->now),
		.set_seq = host_clock(w, h)->set_seq,
		.src = src,
	};

	lie_stamp(w, h, peer, &m.at);
	m.at.raw_ns = quantise(m.at.raw_ns, h->conf.quantum);
	m.at.real_ns = quantise(m.at.real_ns, h->conf.quantum);
	return m;
}

/* What was taken just before the packet left, when that is now. */
static struct mark soft(struct mark m, const struct host *h, struct rng *r)
{
	int64_t gap = h->conf.gap > 0 ? llrint(rng_exponential(r, h->conf.gap)) : 0;

	m.at.raw_ns -= gap;
	m.at.real_ns -= gap;
	m.src = BERK_STAMP_SOFT;
	return m;
}

static bool stamp_missing(const struct host *h, struct rng *r)
{
	return h->conf.soft_p > 0 && rng_uniform(r) < h->conf.soft_p;
}

/* --- peers, by index as in the samples; none is used twice */

void module_add_peer(struct world *w, struct host *h, int peer)
{
	struct pair *pair = world_pair(w, h->id, peer);

	if (pair->peer)
		return;
	if (!pair->x)
		pair->x = world_alloc(NULL, 1, sizeof(*pair->x));
	memset(pair->x, 0, sizeof(*pair->x));
	pair->peer = true;
	pair->index = h->mod.next_index;
	h->mod.peer = world_alloc(h->mod.peer, h->mod.next_index + 1, sizeof(int));
	h->mod.peer[h->mod.next_index++] = peer;
}

void module_del_peer(struct world *w, struct host *h, int peer)
{
	struct pair *pair = world_pair(w, h->id, peer);

	if (!pair->peer)
		return;
	pair->peer = false;
	h->mod.peer[pair->index] = -1;
	free(pair->note);
	pair->note = NULL;
}

int module_peer(const struct module *mod, uint32_t index)
{
	return index < mod->next_index ? mod->peer[index] : -1;
}

void module_clear_peers(struct world *w, struct host *h)
{
	for (uint32_t i = 0; i < h->mod.next_index; i++)
		if (h->mod.peer[i] >= 0)
			module_del_peer(w, h, h->mod.peer[i]);
	h->mod.n_ring = 0;
}

void module_boot(struct world *w, struct host *h)
{
	module_clear_peers(w, h);
	h->mod.active = false;
	for (int i = 0; i < w->n; i++) {
		struct pair *pair = w->pair[(size_t)h->id * (size_t)w->n + (size_t)i];

		if (pair)
			pair->prev_nonce = 0;
	}
}

void module_free(struct module *mod)
{
	free(mod->peer);
	free(mod->probed);
	free(mod->ring);
}

/* --- rounds: one burst to all peers in step, spread evenly over the spacing */

static void schedule_probe(struct world *w, struct host *h)
{
	struct module *mod = &h->mod;
	int64_t due = mod->pass * mod->round.spacing_ns +
		      mod->round.spacing_ns / mod->n_probed * mod->done;

	world_schedule(w, mod->start + due, EV_PROBE, h->id);
}

static void end_round(struct world *w, struct host *h)
{
	h->mod.active = false;
	world_schedule(w, w->now + llrint(host_wake(h)), EV_ROUND, h->id)->id = h->mod.round.round;
}

static void end_if_complete(struct world *w, struct host *h)
{
	struct module *mod = &h->mod;

	if (mod->active && mod->pass == mod->round.burst && mod->replies >= mod->probes)
		end_round(w, h);
}

void module_round(struct world *w, struct host *h, const struct node_round *round)
{
	struct module *mod = &h->mod;

	if (mod->active)
		return;
	mod->active = true;
	mod->round = *round;
	mod->round.peer = NULL;	/* not ours to keep */
	mod->n_probed = 0;
	mod->probed = world_alloc(mod->probed, round->n_peers, sizeof(int));
	for (size_t i = 0; i < round->n_peers; i++) {
		int peer = module_peer(mod, round->peer[i]);

		if (peer >= 0)
			mod->probed[mod->n_probed++] = peer;
	}
	mod->pass = mod->n_probed ? 0 : round->burst;
	mod->done = 0;
	mod->start = w->now;
	mod->probes = 0;
	mod->replies = 0;
	world_schedule(w, w->now + round->deadline_ns, EV_DEADLINE, h->id)->id = round->round;
	if (mod->n_probed)
		schedule_probe(w, h);
	else
		end_if_complete(w, h);
}

void module_deadline(struct world *w, struct host *h, uint32_t round)
{
	if (h->mod.active && h->mod.round.round == round)
		end_round(w, h);
}

static void send_probe(struct world *w, struct host *h, int to)
{
	struct pair *pair = world_pair(w, h->id, to);
	struct packet p = { .kind = PACKET_PROBE, .from = h->id, .to = to, .nonce = ++w->nonce };
	struct rng r = link_packet(&pair->link, PACKET_PROBE);
	struct mark t1 = mark(w, h, to, BERK_STAMP_DRIVER);

	if (!pair->peer)
		return;		/* forgotten since */
	if (stamp_missing(h, &r))
		t1 = soft(t1, h, &r);
	p.seq = pair->x->seq++;
	pair->x->probe[p.seq % BERK_BURST_MAX] = (struct probe){
		.nonce = p.nonce,
		.seq = p.seq,
		.round = h->mod.round.round,
		.t1 = t1,
	};
	h->mod.probes++;
	world_transmit(w, &p, &r);
}

void module_probe(struct world *w, struct host *h)
{
	struct module *mod = &h->mod;

	if (!mod->active || mod->done >= mod->n_probed)
		return;
	send_probe(w, h, mod->probed[mod->done++]);
	if (mod->done == mod->n_probed) {
		mod->done = 0;
		mod->pass++;
	}
	if (mod->pass < mod->round.burst)
		schedule_probe(w, h);
	else
		end_if_complete(w, h);
}

/* --- answering */

void module_answer(struct world *w, struct host *h, const struct packet *probe)
{
	struct pair *pair = world_pair(w, h->id, probe->from);
	struct rng r = link_packet(&pair->link, PACKET_REPLY);
	struct mark t3 = mark(w, h, probe->from, BERK_STAMP_DRIVER);
	enum berk_state state = host_state(w, h);
	struct packet p = *probe;

	if (probe->nonce == pair->answered)
		return;
	pair->answered = probe->nonce;
	p.kind = PACKET_REPLY;
	p.from = h->id;
	p.to = probe->from;
	p.reply.prev_nonce = pair->prev_nonce;
	p.reply.prev_t3 = pair->prev_t3;
	p.reply.node_id = h->node_conf.node_id;
	p.reply.term = h->state.term;
	p.reply.flags = (h->node ? BERK_F_DRIVEN : 0) |
			(state == BERK_STATE_SYNCHRONISED ? BERK_F_SYNCED : 0);
	p.reply.t3 = soft(t3, h, &r);
	pair->prev_nonce = stamp_missing(h, &r) ? 0 : probe->nonce;
	pair->prev_t3 = t3;
	world_transmit(w, &p, &r);
}

static void on_probe(struct world *w, struct host *h, const struct packet *p)
{
	struct event *ev = world_schedule(w, w->now + llrint(h->conf.answer), EV_ANSWER, h->id);

	ev->packet = *p;
	ev->packet.reply.t2 = mark(w, h, p->from, p->rx_src);
}

/* --- pairing */

static void assemble(struct berk_sample *s, const struct probe *probe, const struct packet *p,
		     const struct mark *t4)
{
	const struct mark *t2 = &p->reply.t2, *t3 = &p->reply.t3;

	*s = (struct berk_sample){
		.node_id = p->reply.node_id,
		.round = probe->round,
		.t1 = probe->t1.at,
		.t2 = t2->at,
		.t3 = t3->at,
		.t4 = t4->at,
		.local_set_seq = t4->set_seq,
		.peer_set_seq = t3->set_seq,
		.term = p->reply.term,
		.peer_flags = p->reply.flags,
		.flags = (probe->t1.set_seq != t4->set_seq ? BERK_SAMPLE_LOCAL_STEP : 0) |
			 (t2->set_seq != t3->set_seq ? BERK_SAMPLE_PEER_STEP : 0),
		.src = { probe->t1.src, t2->src, t3->src, t4->src },
	};
}

static void refine(struct berk_sample *s, const struct mark *t3)
{
	int64_t sending = t3->at.raw_ns - s->t3.raw_ns;
	int64_t delay = s->t4.raw_ns - s->t1.raw_ns - (s->t3.raw_ns - s->t2.raw_ns);

	if (sending < 0 || sending > delay)
		return;
	if (t3->set_seq != s->peer_set_seq)
		s->flags |= BERK_SAMPLE_PEER_STEP;
	s->t3 = t3->at;
	s->peer_set_seq = t3->set_seq;
	s->src[2] = t3->src;
}

static void put(struct module *mod, const struct berk_sample *s)
{
	if (mod->n_ring == RING)
		return;
	if (mod->n_ring == mod->size) {
		mod->size = mod->size ? 2 * mod->size : 64;
		mod->ring = world_alloc(mod->ring, mod->size, sizeof(*mod->ring));
	}
	mod->ring[mod->n_ring++] = *s;
}

static void on_reply(struct world *w, struct host *h, const struct packet *p)
{
	struct pair *pair = world_pair(w, h->id, p->from);
	struct exchange *x = pair->x;
	struct probe *probe = pair->peer ? &x->probe[p->seq % BERK_BURST_MAX] : NULL;
	struct mark t4 = mark(w, h, p->from, p->rx_src);

	if (!probe || probe->nonce != p->nonce)
		return;
	if (x->last_nonce) {
		if (p->reply.prev_nonce == x->last_nonce)
			refine(&x->last, &p->reply.prev_t3);
		put(&h->mod, &x->last);
		if (w->on_exchange)
			w->on_exchange(w, &x->last);
	}
	assemble(&x->last, probe, p, &t4);
	x->last.peer = pair->index;
	x->last_nonce = p->nonce;
	probe->nonce = 0;
	if (h->mod.active && probe->round == h->mod.round.round) {
		h->mod.replies++;
		end_if_complete(w, h);
	}
}

void module_packet(struct world *w, struct host *h, const struct packet *p)
{
	switch (p->kind) {
	case PACKET_PROBE:
		on_probe(w, h, p);
		break;
	case PACKET_REPLY:
		on_reply(w, h, p);
		break;
	default:
		host_ctrl(w, h, p);
	}
}
