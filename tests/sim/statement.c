// SPDX-License-Identifier: GPL-2.0
/* statement: what the lines of a scenario mean; README.md describes them */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct statement {
	const char *name;
	const char *usage;
	int most;		/* words */
	enum { START, LATER, BOTH } when;	/* LATER: after `at' only */
	bool (*parse)(struct line *l);
	enum action_type type;
};

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

static const struct statement *find(const struct line *l, int word);
static bool parse_statement(struct line *l, const struct statement *st);

__attribute__((format(printf, 2, 3)))
static bool wrong(struct line *l, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(l->err, ERR_MAX, fmt, args);
	va_end(args);
	return false;
}

static struct action *add(struct line *l, enum action_type type)
{
	struct scenario *s = l->s;
	struct action *a;

	s->action = world_alloc(s->action, s->n_actions + 1, sizeof(*s->action));
	a = &s->action[s->n_actions++];
	*a = (struct action){ .at = l->at, .fault = l->fault, .type = type };
	return a;
}

static bool number(struct line *l, int i, enum unit unit, double low, double high, double *value)
{
	if (i >= l->n)
		return wrong(l, "a value is missing");
	if (!parse_number(l->word[i], unit, value, l->err))
		return false;
	return (*value >= low && *value <= high) ||
	       wrong(l, "%s is out of range; accepted: %g..%g%s", l->word[i],
		     unit == UNIT_SECONDS ? low * 1e-9 : low,
		     unit == UNIT_SECONDS ? high * 1e-9 : high, unit == UNIT_SECONDS ? " s" : "");
}

static bool nodes(struct line *l, int i, struct set *set)
{
	if (!l->s->n)
		return wrong(l, "how many nodes are there? say `nodes 5' first");
	if (i >= l->n)
		return wrong(l, "the nodes are missing");
	if (!parse_set(l->word[i], l->s->n, set, l->err))
		return false;
	return set->who == WHO_NAMED || l->at >= 0 ||
	       wrong(l, "nobody is %s before the world begins", l->word[i]);
}

/* --- the world */

static bool parse_nodes(struct line *l)
{
	double n;

	if (!number(l, 1, UNIT_NUMBER, 1, SIM_NODES_MAX, &n))
		return false;
	if (l->s->n && l->s->n != (int)n)
		return wrong(l, "there are %d nodes already", l->s->n);
	l->s->n = (int)n;
	return true;
}

static bool parse_duration(struct line *l)
{
	double ns;

	if (!number(l, 1, UNIT_SECONDS, 1e9, 1e16, &ns))
		return false;
	l->s->duration = (int64_t)ns;
	return true;
}

static bool parse_settle(struct line *l)
{
	double ns;

	if (!number(l, 1, UNIT_SECONDS, 0, 1e16, &ns))
		return false;
	l->s->settle = (int64_t)ns;
	return true;
}

static bool parse_interval(struct line *l)
{
	double ns;

	if (!number(l, 1, UNIT_SECONDS, 62.5e6, 64e9, &ns))
		return false;
	l->s->conf.interval_ns = (int64_t)ns;
	return true;
}

static bool parse_probes(struct line *l)
{
	return number(l, 1, UNIT_NUMBER, 1.0 / 64, 1024, &l->s->probes);
}

static bool parse_profile(struct line *l)
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
		return find(l, 0)->parse(l);
	}
	return wrong(l, "accepted: J1, J2");
}

/* The words as they are, with one space between them. */
static bool parse_listen(struct line *l)
{
	size_t len = 0, size = sizeof(l->s->listen);

	for (int i = 1; i < l->n && len < size; i++)
		len += (size_t)snprintf(l->s->listen + len, size - len, "%s%s", i > 1 ? " " : "",
					l->word[i]);
	return (len && len < size) || wrong(l, "accepted: listen TEXT, at most %zu bytes", size - 1);
}

/* One action for each double; if the value differs, for each node. */
static bool add_keys(struct line *l, int i, const struct key *keys, enum action_type type,
		     const struct set *a, const struct set *b)
{
	if (i >= l->n)
		return wrong(l, "properties such as %s=... are missing", keys->name);
	for (; i < l->n; i++) {
		const char *text;
		const struct key *key = parse_key(keys, l->word[i], &text, l->err);
		bool each = key && key->fields[0] == 'R';
		int k = 0;

		if (!key)
			return false;
		if (each && l->at >= 0)
			return wrong(l, "%s= cannot change later; see freqstep", key->name);
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
				struct action *act = add(l, type);

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

static bool parse_osc(struct line *l)
{
	struct set a;

	return nodes(l, 1, &a) && add_keys(l, 2, osc_keys, DO_OSC, &a, NULL);
}

static bool parse_host(struct line *l)
{
	struct set a;

	return nodes(l, 1, &a) && add_keys(l, 2, host_keys, DO_HOST, &a, NULL);
}

static bool parse_conf(struct line *l)
{
	struct set a;

	return nodes(l, 1, &a) && add_keys(l, 2, conf_keys, DO_CONF, &a, NULL);
}

static bool parse_peer(struct line *l)
{
	struct action *act;
	struct set a, b;

	if (!nodes(l, 1, &a) || !nodes(l, 2, &b))
		return false;
	act = add(l, DO_PEER);
	act->a = a;
	act->b = b;
	return true;
}

/* link A B: both ways; link A > B: only from A to B */
static bool parse_link(struct line *l)
{
	bool one_way = l->n > 2 && !strcmp(l->word[2], ">");
	int i = one_way ? 3 : 2;
	struct set a, b;
	size_t first;

	if (!nodes(l, 1, &a) || !nodes(l, i, &b) ||
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
static bool parse_down(struct line *l)
{
	bool one_way = l->n > 2 && !strcmp(l->word[2], ">");
	struct set a, b;

	if (!nodes(l, 1, &a) || !nodes(l, one_way ? 3 : 2, &b))
		return false;
	for (int way = 0; way < (one_way ? 1 : 2); way++) {
		struct action *act = add(l, DO_LINK);

		act->a = way ? b : a;
		act->b = way ? a : b;
		act->back = way;
		act->field = offsetof(struct link_conf, down) / sizeof(double);
		act->value = l->word[0][0] == 'd';
	}
	return true;
}

static bool parse_offset(struct line *l)
{
	struct set a;
	int k = 0;

	if (!nodes(l, 1, &a))
		return false;
	if (l->n < 3)
		return wrong(l, "a value is missing");
	for (int node = 0; node < l->s->n; node++) {
		struct action *act;
		double ns;
		struct rng r;

		rng_init(&r, l->s->seed, RNG_VALUE, (uint64_t)node, DO_OFFSET);
		if (!set_has(&a, node))
			continue;
		if (!parse_value(l->word[2], UNIT_TIME, k++, &r, &ns, l->err))
			return false;
		act = add(l, DO_OFFSET);
		set_add(&act->a, node);
		act->value = ns;
	}
	return true;
}

/* --- what happens */

static bool parse_plain(struct line *l)
{
	struct set a;

	if (!nodes(l, 1, &a))
		return false;
	add(l, find(l, 0)->type)->a = a;
	return true;
}

static bool parse_amount(struct line *l, enum action_type type, enum unit unit, double low,
			 enum unit unit2)
{
	double value, value2 = 0;
	struct action *act;
	struct set a;

	if (!nodes(l, 1, &a) || !number(l, 2, unit, low, 1e16, &value) ||
	    (l->n > 3 && !number(l, 3, unit2, -1e16, 1e16, &value2)))
		return false;
	act = add(l, type);
	act->a = a;
	act->value = value;
	act->value2 = value2;
	return true;
}

static bool parse_step(struct line *l)
{
	return parse_amount(l, DO_STEP, UNIT_TIME, -1e16, UNIT_TIME);
}

static bool parse_freqstep(struct line *l)
{
	return parse_amount(l, DO_FREQ, UNIT_RATE, -1e6, UNIT_RATE);
}

static bool parse_tempstep(struct line *l)
{
	return parse_amount(l, DO_TEMP, UNIT_RATE, -1e6, UNIT_TIME);
}

static bool parse_pause(struct line *l)
{
	bool queue = l->n > 3 && !strcmp(l->word[3], "queue");

	l->n = queue ? 3 : l->n;
	return parse_amount(l, queue ? DO_QUEUE : DO_PAUSE, UNIT_SECONDS, 1e6, UNIT_TIME);
}

static bool parse_on(struct line *l)
{
	double rtc = 0;
	struct action *act;
	struct set a;

	if (!nodes(l, 1, &a) || (l->n > 2 && !number(l, 2, UNIT_TIME, -SIM_EPOCH, 1e16, &rtc)))
		return false;
	act = add(l, DO_ON);
	act->a = a;
	act->value = rtc;
	return true;
}

/* off, and on again after a while */
static bool parse_reboot(struct line *l)
{
	double after, rtc = 0;
	struct action *act;
	struct set a;

	if (!nodes(l, 1, &a) || !number(l, 2, UNIT_SECONDS, 1e6, 1e16, &after) ||
	    (l->n > 3 && !number(l, 3, UNIT_TIME, -SIM_EPOCH, 1e16, &rtc)))
		return false;
	add(l, DO_OFF)->a = a;
	act = add(l, DO_ON);
	act->at += (int64_t)after;
	act->a = a;
	if (a.who != WHO_NAMED)
		act->a.who = WHO_VICTIM;
	act->value = rtc;
	return true;
}

static const struct {
	const char *name;
	const char *size;	/* t(ime) or r(ate), as in struct key */
} lies[LIE_KINDS] = {
	[LIE_NONE] = { "none", "" },
	[LIE_STUCK] = { "stuck", "" },
	[LIE_STEPS] = { "steps", "tt" },
	[LIE_JUMPS] = { "jumps", "tt" },
	[LIE_DRIFT] = { "drift", "r" },
	[LIE_OSCILLATE] = { "oscillate", "tt" },
	[LIE_TWOFACED] = { "twofaced", "t" },
	[LIE_RANDOM] = { "random", "t" },
	[LIE_DELAY] = { "delay", "t" },
	[LIE_DEAF] = { "deaf", "" },
	[LIE_DRAG] = { "drag", "r" },
	[LIE_MISLEAD] = { "mislead", "t" },
};

/* lie NODES KIND SIZE PERIOD; those that wrong corrections are for, default all */
static bool parse_lie(struct line *l)
{
	enum lie_kind kind = LIE_NONE;
	double size = 0, period = 0;
	struct set a, to = { 0 };
	struct action *act;
	int n;

	while (l->n > 2 && kind < LIE_KINDS && strcmp(lies[kind].name, l->word[2]))
		kind++;
	if (!nodes(l, 1, &a))
		return false;
	if (l->n < 3 || kind == LIE_KINDS)
		return wrong(l, "accepted: lie NODES none | stuck | steps TIME TIME | jumps TIME TIME"
			     " | drift RATE | oscillate TIME TIME | twofaced TIME | random TIME |"
			     " delay TIME | deaf | drag RATE [NODES] | mislead TIME [NODES]");
	n = 3 + (int)strlen(lies[kind].size);
	if ((n > 3 && !number(l, 3, lies[kind].size[0] == 't' ? UNIT_TIME : UNIT_RATE, -1e16, 1e16,
			      &size)) ||
	    (n > 4 && !number(l, 4, UNIT_TIME, 1e6, 1e16, &period)))
		return false;
	if (l->n > n + (kind >= LIE_DRAG))
		return wrong(l, "too many words");
	if (!(l->n > n ? nodes(l, n, &to) : parse_set("*", l->s->n, &to, l->err)))
		return false;
	act = add(l, DO_LIE);
	act->a = a;
	act->b = to;
	act->field = kind;
	act->value = size;
	act->value2 = period;
	return true;
}

static bool parse_expect(struct line *l)
{
	static const enum unit unit[] = {
		[METRIC_US] = UNIT_TIME, [METRIC_S] = UNIT_TIME, [METRIC_PPM] = UNIT_RATE,
		[METRIC_PERCENT] = UNIT_PART, [METRIC_COUNT] = UNIT_NUMBER,
	};
	static const double scale[] = {
		[METRIC_US] = 1e-3, [METRIC_S] = 1e-9, [METRIC_PPM] = 1e-3,
		[METRIC_PERCENT] = 100, [METRIC_COUNT] = 1,
	};
	struct expect e = { 0 };
	size_t len;

	if (l->n < 4 || (strcmp(l->word[2], "<=") && strcmp(l->word[2], ">=")) ||
	    (l->n > 4 && strcmp(l->word[4], "always")))
		return wrong(l, "accepted: expect METRIC <=|>= VALUE [always]");
	e.metric = metrics_find(l->word[1]);
	if (e.metric == metrics_count()) {
		len = (size_t)snprintf(l->err, ERR_MAX, "%s; accepted:", l->word[1]);
		for (size_t i = 0; i < metrics_count() && len < ERR_MAX; i++)
			len += (size_t)snprintf(l->err + len, ERR_MAX - len, " %s",
						metrics_name(i));
		return false;
	}
	if (!number(l, 3, unit[metrics_unit(e.metric)], -1e16, 1e16, &e.value))
		return false;
	e.value *= scale[metrics_unit(e.metric)];
	e.least = l->word[2][0] == '>';
	e.always = l->n > 4;
	l->s->expect = world_alloc(l->s->expect, l->s->n_expects + 1, sizeof(e));
	l->s->expect[l->s->n_expects++] = e;
	return true;
}

static bool parse_at(struct line *l)
{
	const struct statement *st;
	double at;

	l->fault = l->word[0][0] == 'f';
	if (l->fault) {
		if (l->n < 2 || strcmp(l->word[1], "at"))
			return wrong(l, "accepted: fault at TIME ...");
		memmove(l->word, l->word + 1, sizeof(*l->word) * (size_t)l->n);
		l->n--;
	}
	if (!number(l, 1, UNIT_SECONDS, 0, 1e16, &at))
		return false;
	st = l->n > 2 ? find(l, 2) : NULL;
	if (!st || st->when == START)
		return wrong(l, "what happens then? accepted: step freqstep tempstep pause stop"
			     " kill start off on reboot lie down up link osc host conf");
	l->at = (int64_t)at;
	l->n -= 2;
	memmove(l->word, l->word + 2, sizeof(*l->word) * (size_t)(l->n + 1));
	return parse_statement(l, st);
}

static const struct statement statements[] = {
	{ "nodes", "N", 2, START, parse_nodes, 0 },
	{ "duration", "TIME", 2, START, parse_duration, 0 },
	{ "settle", "TIME", 2, START, parse_settle, 0 },
	{ "interval", "TIME", 2, START, parse_interval, 0 },
	{ "probes", "PER-SECOND", 2, START, parse_probes, 0 },
	{ "listen", "TEXT", WORDS_MAX, START, parse_listen, 0 },
	{ "profile", "J1|J2 [OSC-KEY=...]", WORDS_MAX, START, parse_profile, 0 },
	{ "osc", "NODES KEY=VALUE...", WORDS_MAX, BOTH, parse_osc, 0 },
	{ "offset", "NODES TIME", 3, START, parse_offset, 0 },
	{ "host", "NODES KEY=VALUE...", WORDS_MAX, BOTH, parse_host, 0 },
	{ "conf", "NODES KEY=VALUE...", WORDS_MAX, BOTH, parse_conf, 0 },
	{ "peer", "NODES NODES", 3, START, parse_peer, 0 },
	{ "absent", "NODES", 2, START, parse_plain, DO_ABSENT },
	{ "link", "NODES [>] NODES KEY=VALUE...", WORDS_MAX, BOTH, parse_link, 0 },
	{ "down", "NODES [>] NODES", 4, BOTH, parse_down, 0 },
	{ "up", "NODES [>] NODES", 4, BOTH, parse_down, 0 },
	{ "step", "NODES TIME", 3, LATER, parse_step, 0 },
	{ "freqstep", "NODES RATE", 3, LATER, parse_freqstep, 0 },
	{ "tempstep", "NODES RATE [TIME]", 4, LATER, parse_tempstep, 0 },
	{ "pause", "NODES TIME [queue]", 4, LATER, parse_pause, 0 },
	{ "stop", "NODES", 2, LATER, parse_plain, DO_STOP },
	{ "kill", "NODES", 2, LATER, parse_plain, DO_KILL },
	{ "start", "NODES", 2, LATER, parse_plain, DO_START },
	{ "off", "NODES", 2, LATER, parse_plain, DO_OFF },
	{ "on", "NODES [OFFSET]", 3, LATER, parse_on, 0 },
	{ "reboot", "NODES TIME [OFFSET]", 4, LATER, parse_reboot, 0 },
	{ "lie", "NODES KIND [SIZE [PERIOD]] [NODES]", 6, BOTH, parse_lie, 0 },
	{ "expect", "METRIC <=|>= VALUE [always]", 5, START, parse_expect, 0 },
	{ "at", "TIME STATEMENT", WORDS_MAX, START, parse_at, 0 },
	{ "fault", "at TIME STATEMENT", WORDS_MAX, START, parse_at, 0 },
	{ 0 }
};

static const struct statement *find(const struct line *l, int word)
{
	const struct statement *st = statements;

	while (st->name && strcmp(st->name, l->word[word]))
		st++;
	return st->name ? st : NULL;
}

static bool parse_statement(struct line *l, const struct statement *st)
{
	size_t len;

	if (l->n <= st->most && st->parse(l))
		return true;
	if (l->n > st->most)
		wrong(l, "too many words");
	len = strlen(l->err);
	if (!strstr(l->err, "accepted:"))
		snprintf(l->err + len, ERR_MAX - len, "; accepted: %s %s", st->name, st->usage);
	return false;
}

bool statement_parse(struct line *l)
{
	const struct statement *st = find(l, 0);
	size_t len;

	if (st && st->when == LATER)
		return wrong(l, "when? accepted: at TIME %s %s", st->name, st->usage);
	if (st)
		return parse_statement(l, st);
	len = (size_t)snprintf(l->err, ERR_MAX, "%.40s; accepted:", l->word[0]);
	for (st = statements; st->name && len < ERR_MAX; st++)
		len += (size_t)snprintf(l->err + len, ERR_MAX - len, " %s", st->name);
	return false;
}
