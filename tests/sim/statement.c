// SPDX-License-Identifier: GPL-2.0
/* statement: what the lines of a scenario mean; README.md describes them */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

struct statement {
	const char *name;
	const char *usage;
	int most;		/* words */
	enum { START, LATER, BOTH } when;	/* LATER: after `at' only */
	bool (*parse)(struct line *l);
	enum action_type type;
};

static const struct statement *find(const struct line *l, int word);
static bool parse_statement(struct line *l, const struct statement *st);

bool line_wrong(struct line *l, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(l->err, ERR_MAX, fmt, args);
	va_end(args);
	return false;
}

struct action *line_add(struct line *l, enum action_type type)
{
	struct scenario *s = l->s;
	struct action *a;

	s->action = world_alloc(s->action, s->n_actions + 1, sizeof(*s->action));
	a = &s->action[s->n_actions++];
	*a = (struct action){ .at = l->at, .fault = l->fault, .type = type };
	return a;
}

bool line_number(struct line *l, int i, enum unit unit, double low, double high, double *value)
{
	if (i >= l->n)
		return line_wrong(l, "a value is missing");
	if (!parse_number(l->word[i], unit, value, l->err))
		return false;
	return (*value >= low && *value <= high) ||
	       line_wrong(l, "%s is out of range; accepted: %g..%g%s", l->word[i],
			  unit == UNIT_SECONDS ? low * 1e-9 : low,
			  unit == UNIT_SECONDS ? high * 1e-9 : high,
			  unit == UNIT_SECONDS ? " s" : "");
}

bool line_nodes(struct line *l, int i, struct set *set)
{
	if (!l->s->n)
		return line_wrong(l, "how many nodes are there? say `nodes 5' first");
	if (i >= l->n)
		return line_wrong(l, "the nodes are missing");
	if (!parse_set(l->word[i], l->s->n, set, l->err))
		return false;
	return set->who == WHO_NAMED || l->at >= 0 ||
	       line_wrong(l, "nobody is %s before the world begins", l->word[i]);
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
		return line_wrong(l, "accepted: expect METRIC <=|>= VALUE [always]");
	e.metric = metrics_find(l->word[1]);
	if (e.metric == metrics_count()) {
		len = (size_t)snprintf(l->err, ERR_MAX, "%s; accepted:", l->word[1]);
		for (size_t i = 0; i < metrics_count() && len < ERR_MAX; i++)
			len += (size_t)snprintf(l->err + len, ERR_MAX - len, " %s",
						metrics_name(i));
		return false;
	}
	if (!line_number(l, 3, unit[metrics_unit(e.metric)], -1e16, 1e16, &e.value))
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
			return line_wrong(l, "accepted: fault at TIME ...");
		memmove(l->word, l->word + 1, sizeof(*l->word) * (size_t)l->n);
		l->n--;
	}
	if (!line_number(l, 1, UNIT_SECONDS, 0, 1e16, &at))
		return false;
	st = l->n > 2 ? find(l, 2) : NULL;
	if (!st || st->when == START)
		return line_wrong(l, "what happens then? accepted: step freqstep tempstep pause"
				  " stop kill start off on reboot lie down up link osc host conf");
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
	{ "clock", "NODES NODE", 3, START, parse_clock, 0 },
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

	l->type = st->type;
	if (l->n <= st->most && st->parse(l))
		return true;
	if (l->n > st->most)
		line_wrong(l, "too many words");
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
		return line_wrong(l, "when? accepted: at TIME %s %s", st->name, st->usage);
	if (st)
		return parse_statement(l, st);
	len = (size_t)snprintf(l->err, ERR_MAX, "%.40s; accepted:", l->word[0]);
	for (st = statements; st->name && len < ERR_MAX; st++)
		len += (size_t)snprintf(l->err + len, ERR_MAX - len, " %s", st->name);
	return false;
}
