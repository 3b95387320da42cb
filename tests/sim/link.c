// SPDX-License-Identifier: GPL-2.0
/*
 * link: one direction of a path
 *
 * Queues and outages are processes in time and not of packets: neighbouring
 * packets meet the same ones.
 */
#include <math.h>
#include <string.h>

#include "sim.h"

static bool happens(struct rng *r, double p)
{
	return p > 0 && rng_uniform(r) < p;
}

void link_init(struct link *l, uint64_t seed, uint64_t id)
{
	memset(l, 0, sizeof(*l));
	l->seed = seed;
	l->id = id;
	l->used = -1;
	l->outage = true;	/* so that the first flip makes it good */
	rng_init(&l->queue_rng, seed, RNG_QUEUE, id, 0);
	rng_init(&l->outage_rng, seed, RNG_OUTAGE, id, 0);
	l->wave_phase = 2 * M_PI * rng_uniform(&l->queue_rng);
}

struct rng link_packet(struct link *l, enum packet_kind kind)
{
	struct rng r;

	rng_init(&r, l->seed, RNG_PACKET, l->id, l->sent[kind]++ * PACKET_KINDS + kind);
	return r;
}

/* A queue fills at random moments by a random amount, and drains exponentially. */
static double queue(struct link *l, int64_t t)
{
	const struct link_conf *c = &l->conf;

	if (!l->queue_next)
		l->queue_next = llrint(rng_exponential(&l->queue_rng, c->queue_every));
	while (l->queue_next <= t) {
		double since = (double)(l->queue_next - l->queue_at);

		l->queue = l->queue * exp(-since / c->queue_decay) +
			   rng_exponential(&l->queue_rng, c->queue_delay);
		l->queue_at = l->queue_next;
		l->queue_next += 1 + llrint(rng_exponential(&l->queue_rng, c->queue_every));
	}
	if ((double)(t - l->queue_at) > 20 * c->queue_decay)
		return 0;
	return l->queue * exp(-(double)(t - l->queue_at) / c->queue_decay);
}

static bool in_outage(struct link *l, int64_t t)
{
	while (l->outage_flip <= t) {
		l->outage = !l->outage;
		l->outage_flip += 1 + llrint(rng_exponential(&l->outage_rng, l->outage ?
					     l->conf.outage_length : l->conf.outage_every));
	}
	return l->outage;
}

static bool lost(struct link *l, struct rng *r, int64_t t)
{
	bool by_chance = happens(r, l->conf.loss);

	if (l->conf.outage_every > 0 && in_outage(l, t))
		by_chance |= happens(r, l->conf.outage_loss);
	return by_chance || l->conf.down > 0;
}

static double one_way(const struct link *l, struct rng *r)
{
	const struct link_conf *c = &l->conf;
	double d = 0;

	if (c->jitter > 0)
		d += rng_exponential(r, c->jitter);
	if (c->gamma_mean > 0)
		d += rng_gamma(r, c->gamma_shape, c->gamma_mean);
	if (c->pareto_scale > 0)
		d += c->pareto_scale * (pow(rng_uniform(r), -1 / c->pareto_shape) - 1);
	if (happens(r, c->tail_p))
		d += rng_exponential(r, c->tail_mean);
	if (happens(r, c->spike_p))
		d += c->spike_low + (c->spike_high - c->spike_low) * rng_uniform(r);
	if (happens(r, c->reorder_p))
		d += rng_exponential(r, c->reorder_mean);
	return d;
}

int link_send(struct link *l, struct rng *r, int64_t t, int64_t delay[2])
{
	const struct link_conf *c = &l->conf;
	double fixed = c->base;
	int copies = happens(r, c->dup) ? 2 : 1;

	if (lost(l, r, t))
		return 0;
	if (c->wave_ampl > 0)
		fixed += c->wave_ampl / 2 *
			 (1 + sin(2 * M_PI * (double)t / c->wave_period + l->wave_phase));
	if (c->queue_every > 0)
		fixed += queue(l, t);
	for (int i = 0; i < copies; i++)
		delay[i] = llrint(fixed + one_way(l, r));
	return copies;
}
