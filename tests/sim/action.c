// SPDX-License-Identifier: GPL-2.0
/* action: a scenario becomes a world, and things happen in it */
#include <math.h>
#include <stdlib.h>

#include "scenario.h"

/* What a machine is like, and what it says. */
static void change(struct world *w, struct host *h, const struct action *a)
{
	switch (a->type) {
	case DO_OSC:
		osc_change(&h->clock.osc, a->field, a->value);
		break;
	case DO_HOST:
		((double *)&h->conf)[a->field] = a->value;
		break;
	case DO_CONF:
		((double *)&h->wish)[a->field] = a->value;
		host_configure(h);
		break;
	case DO_PEER:
		for (size_t i = 0; i < SIM_NODES_MAX / 64; i++)
			h->peers.bits[i] |= a->b.bits[i];
		break;
	case DO_CLOCK:
		h->clock_of = (int)a->value;
		break;
	case DO_ABSENT:
		h->up = false;
		break;
	case DO_LIE:
		lie_begin(w, h, &(struct lie){ .kind = (enum lie_kind)a->field, .size = a->value,
					       .period = a->value2, .to = a->b });
		break;
	default:
		break;
	}
}

/* What befalls it. */
static void happen(struct world *w, struct host *h, const struct action *a)
{
	switch (a->type) {
	case DO_STEP:
		host_step(w, h, llrint(a->value));
		break;
	case DO_FREQ:
		h->jumped = w->now;
		osc_freq_step(&h->clock.osc, w->now, a->value);
		break;
	case DO_TEMP:
		osc_temp_step(&h->clock.osc, a->value, a->value2);
		break;
	case DO_PAUSE:
	case DO_QUEUE:
		h->queueing = a->type == DO_QUEUE;
		host_pause(w, h, llrint(a->value));
		break;
	case DO_STOP:
	case DO_KILL:
		host_stop(w, h, a->type == DO_STOP);
		break;
	case DO_START:
		host_start(w, h);
		break;
	case DO_OFF:
		host_power_off(w, h);
		break;
	case DO_ON:
		host_power_on(w, h, a->value);
		break;
	default:
		change(w, h, a);
	}
}

/* Of two that are named it befalls the first, unless that is everybody. */
static const struct set *befallen(const struct world *w, const struct action *a)
{
	const struct set *first = a->back ? &a->b : &a->a, *second = a->back ? &a->a : &a->b;

	for (int i = 0; i < w->n; i++)
		if (!set_has(first, i))
			return first;
	return a->type == DO_LINK ? second : first;
}

static void perform(struct world *w, const struct action *planned)
{
	struct action a = *planned;

	a.a = world_resolve(w, &a.a);
	a.b = world_resolve(w, &a.b);
	if (a.fault)
		watch_fault(w, befallen(w, &a));
	if (a.type == DO_LINK) {
		world_link(w, &(struct link_rule){ a.a, a.b, a.field, a.value });
		return;
	}
	for (int i = 0; i < w->n; i++)
		if (set_has(&a.a, i))
			happen(w, &w->host[i], &a);
}

static void on_action(struct world *w, uint32_t id)
{
	const struct scenario *s = w->plan;

	perform(w, &s->action[id]);
}

/* What is said of the crystals and the clocks before they exist. */
static void describe(const struct scenario *s, struct osc_conf *osc, double *offset)
{
	for (size_t k = 0; k < s->n_actions; k++) {
		const struct action *a = &s->action[k];

		for (int i = 0; a->at < 0 && i < s->n; i++) {
			if (!set_has(&a->a, i))
				continue;
			if (a->type == DO_OSC)
				((double *)&osc[i])[a->field] = a->value;
			else if (a->type == DO_OFFSET)
				offset[i] = a->value;
		}
	}
}

void scenario_build(const struct scenario *s, struct world *w, bool faults)
{
	struct osc_conf *osc = calloc((size_t)s->n, sizeof(*osc));
	double *offset = calloc((size_t)s->n, sizeof(*offset));

	world_init(w, s->seed, s->n);
	if (!osc || !offset)
		world_alloc(NULL, SIZE_MAX, 2);
	describe(s, osc, offset);
	for (int i = 0; i < s->n; i++) {
		host_init(w, i, &osc[i], offset[i]);
		w->host[i].node_conf.interval_ns = s->conf.interval_ns;
		w->host[i].node_conf.burst = s->conf.burst;
	}
	free(osc);
	free(offset);
	w->plan = s;
	w->watch.settled = s->settle;
	w->listen = s->listen[0] ? s->listen : NULL;
	w->on_action = on_action;
	for (size_t k = 0; k < s->n_actions; k++) {
		const struct action *a = &s->action[k];

		if (a->at < 0 && a->type != DO_OSC)
			perform(w, a);
		else if (a->at >= 0 && (faults || !a->fault))
			world_schedule(w, a->at, EV_ACTION, 0)->id = (uint32_t)k;
	}
	for (int i = 0; i < s->n; i++)
		host_start(w, &w->host[i]);
}
