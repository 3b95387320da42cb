// SPDX-License-Identifier: GPL-2.0
/* setting: statements that describe the world */
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

static const struct {
	const char *name, *text;
} profiles[] = {
	/* "quiet" and "busy": kernel software stamps on a local network */
	{ "J1", "osc * freq=11ppm,-17ppm,23ppm,-29ppm,35ppm walk=1ppb\n"
		"offset * uniform:-100ms:100ms\n"
		"link * * base=30us jitter=5us\n" },
	{ "J2", "osc * freq=11ppm,-17ppm,23ppm,-29ppm,35ppm walk=1ppb\n"
		"offset * uniform:-100ms:100ms\n"
		"link * * base=30us jitter=20us spike=5%:0us:500us\n" },
};

bool parse_nodes(struct line *l)
{
	double n;

	if (!line_number(l, 1, UNIT_NUMBER, 1, SIM_NODES_MAX, &n))
		return false;
	if (l->s->n && l->s->n != (int)n)
		return line_wrong(l, "there are %d nodes already", l->s->n);
	l->s->n = (int)n;
	return true;
}

bool parse_duration(struct line *l)
{
	double ns;

	if (!line_number(l, 1, UNIT_SECONDS, 1e9, 1e16, &ns))
		return false;
	l->s->duration = (int64_t)ns;
	return true;
}

bool parse_settle(struct line *l)
{
	double ns;

	if (!line_number(l, 1, UNIT_SECONDS, 0, 1e16, &ns))
		return false;
	l->s->settle = (int64_t)ns;
	return true;
}

bool parse_interval(struct line *l)
{
	double ns;

	if (!line_number(l, 1, UNIT_SECONDS, 62.5e6, 64e9, &ns))
		return false;
	l->s->conf.interval_ns = (int64_t)ns;
	return true;
}

bool parse_probes(struct line *l)
{
	return line_number(l, 1, UNIT_NUMBER, 1.0 / 64, 1024, &l->s->probes);
}

bool parse_profile(struct line *l)
{
	int n = l->n;

	for (size_t i = 0; n > 1 && i < sizeof(profiles) / sizeof(*profiles); i++) {
		char *words[] = { "osc", "*" };

		if (strcmp(profiles[i].name, l->word[1]))
			continue;
		l->s->n = l->s->n ? l->s->n : 5;
		if (!scenario_parse(l->s, profiles[i].name, profiles[i].text, l->err))
			return false;
		if (n == 2)
			return true;
		l->word[0] = words[0];
		l->word[1] = words[1];
		return parse_osc(l);
	}
	return line_wrong(l, "accepted: J1, J2");
}

/* The words as they are, with one space between them. */
bool parse_listen(struct line *l)
{
	size_t len = 0, size = sizeof(l->s->listen);

	for (int i = 1; i < l->n && len < size; i++)
		len += (size_t)snprintf(l->s->listen + len, size - len, "%s%s", i > 1 ? " " : "",
					l->word[i]);
	return (len && len < size) ||
	       line_wrong(l, "accepted: listen TEXT, at most %zu bytes", size - 1);
}

/* One action for each double; if the value differs, for each node. */
static bool add_keys(struct line *l, int i, const struct key *keys, enum action_type type,
		     const struct set *a, const struct set *b)
{
	if (i >= l->n)
		return line_wrong(l, "properties such as %s=... are missing", keys->name);
	for (; i < l->n; i++) {
		const char *text;
		const struct key *key = parse_key(keys, l->word[i], &text, l->err);
		bool each = key && key->fields[0] == 'R';
		int k = 0;

		if (!key)
			return false;
		if (each && l->at >= 0)
			return line_wrong(l, "%s= cannot change later; see freqstep", key->name);
		for (int node = 0; node < (each ? l->s->n : 1); node++) {
			double value[4];
			struct rng r;
			int fields;

			if (each && !set_has(a, node))
				continue;
			rng_init(&r, l->s->seed, RNG_VALUE, (uint64_t)node, type);
			fields = parse_fields(key, text, k++, &r, value, l->err);
			if (!fields)
				return false;
			for (int f = 0; f < fields; f++) {
				struct action *act = line_add(l, type);

				if (each)
					set_add(&act->a, node);
				else
					act->a = *a;
				act->b = b ? *b : act->a;
				act->field = key->first + (size_t)f;
				act->value = value[f];
			}
		}
	}
	return true;
}

bool parse_osc(struct line *l)
{
	struct set a;

	return line_nodes(l, 1, &a) && add_keys(l, 2, osc_keys, DO_OSC, &a, NULL);
}

bool parse_host(struct line *l)
{
	struct set a;

	return line_nodes(l, 1, &a) && add_keys(l, 2, host_keys, DO_HOST, &a, NULL);
}

bool parse_conf(struct line *l)
{
	struct set a;

	return line_nodes(l, 1, &a) && add_keys(l, 2, conf_keys, DO_CONF, &a, NULL);
}

bool parse_peer(struct line *l)
{
	struct action *act;
	struct set a, b;

	if (!line_nodes(l, 1, &a) || !line_nodes(l, 2, &b))
		return false;
	act = line_add(l, DO_PEER);
	act->a = a;
	act->b = b;
	return true;
}

/* Another daemon on that machine, for another network: it never sets the clock. */
bool parse_clock(struct line *l)
{
	struct action *act;
	struct set a;
	double of;

	if (!line_nodes(l, 1, &a) ||
	    !line_number(l, 2, UNIT_NUMBER, 0, l->s->n - 1, &of))
		return false;
	act = line_add(l, DO_CLOCK);
	act->a = a;
	act->value = of;
	return true;
}

/* link A B: both ways; link A > B: only from A to B */
bool parse_link(struct line *l)
{
	bool one_way = l->n > 2 && !strcmp(l->word[2], ">");
	int i = one_way ? 3 : 2;
	struct set a, b;
	size_t first;

	if (!line_nodes(l, 1, &a) || !line_nodes(l, i, &b) ||
	    !add_keys(l, i + 1, link_keys, DO_LINK, &a, &b))
		return false;
	first = l->s->n_actions;
	if (!one_way && !add_keys(l, i + 1, link_keys, DO_LINK, &b, &a))
		return false;
	for (; first < l->s->n_actions; first++)
		l->s->action[first].back = !one_way;
	return true;
}

/* down A B, down A > B, and up */
bool parse_down(struct line *l)
{
	bool one_way = l->n > 2 && !strcmp(l->word[2], ">");
	struct set a, b;

	if (!line_nodes(l, 1, &a) || !line_nodes(l, one_way ? 3 : 2, &b))
		return false;
	for (int way = 0; way < (one_way ? 1 : 2); way++) {
		struct action *act = line_add(l, DO_LINK);

		act->a = way ? b : a;
		act->b = way ? a : b;
		act->back = way;
		act->field = offsetof(struct link_conf, down) / sizeof(double);
		act->value = l->word[0][0] == 'd';
	}
	return true;
}

bool parse_offset(struct line *l)
{
	struct set a;
	int k = 0;

	if (!line_nodes(l, 1, &a))
		return false;
	if (l->n < 3)
		return line_wrong(l, "a value is missing");
	for (int node = 0; node < l->s->n; node++) {
		struct action *act;
		double ns;
		struct rng r;

		rng_init(&r, l->s->seed, RNG_VALUE, (uint64_t)node, DO_OFFSET);
		if (!set_has(&a, node))
			continue;
		if (!parse_value(l->word[2], UNIT_TIME, k++, &r, &ns, l->err))
			return false;
		act = line_add(l, DO_OFFSET);
		set_add(&act->a, node);
		act->value = ns;
	}
	return true;
}
