// SPDX-License-Identifier: GPL-2.0
/*
 * lie: what a faulty machine says instead of what is
 *
 * The core on that machine is the real one and honest; its stamps are wrong, or
 * what it sends is changed on its way out.
 */
#include <math.h>

#include "sim.h"

void lie_begin(struct world *w, struct host *h, const struct lie *lie)
{
	bool lied = h->lie.kind != LIE_NONE;

	h->lie = *lie;
	h->lie.since = w->now;
	h->lie.at = vclock_read(host_clock(w, h), w->now);
	rng_init(&h->lie.rng, w->seed, RNG_LIE, (uint64_t)h->id, (uint64_t)w->now);
	h->deaf = lie->kind == LIE_DEAF;
	if (lie->kind != LIE_NONE && h->lied < 0)
		h->lied = w->now;
	if (lie->kind == LIE_NONE && lied)
		h->ended = w->now;
}

static int64_t within(struct rng *r, double size)
{
	return llrint((2 * rng_uniform(r) - 1) * size);
}

void lie_stamp(struct world *w, struct host *h, int peer, struct berk_stamp *at)
{
	struct lie *l = &h->lie;
	double age = (double)(w->now - l->since);

	switch (l->kind) {
	case LIE_STUCK:
		*at = l->at;
		break;
	case LIE_JUMPS:
		at->raw_ns += llrint(l->size * (1 + floor(age / l->period)));
		/* fall through */
	case LIE_STEPS:
		at->real_ns += llrint(l->size * (1 + floor(age / l->period)));
		break;
	case LIE_DRIFT:
		at->real_ns += llrint(l->size * 1e-9 * age);
		break;
	case LIE_OSCILLATE:
		at->real_ns += llrint(l->size * sin(2 * M_PI * age / l->period));
		break;
	case LIE_TWOFACED:
		at->real_ns += llrint(peer % 2 ? l->size : -l->size);
		break;
	case LIE_RANDOM:
		at->raw_ns += within(&l->rng, l->size);
		at->real_ns += within(&l->rng, l->size);
		break;
	default:
		break;
	}
}

/* Its receiver is told that it is further ahead than it is. */
void lie_correct(struct world *w, const struct host *h, int to, struct msg_correct *c)
{
	const struct lie *l = &h->lie;

	if ((l->kind != LIE_DRAG && l->kind != LIE_MISLEAD) || !set_has(&l->to, to))
		return;
	if (l->kind == LIE_MISLEAD) {
		c->offset_ns += llrint(l->size);
		return;
	}
	c->offset_ns += llrint(l->size * 1e-9 * (double)(w->now - l->since));
	c->freq_ppb -= l->size;
}
