// SPDX-License-Identifier: GPL-2.0
/* happening: statements of what happens in the world */
#include <string.h>

#include "scenario.h"

bool parse_plain(struct line *l)
{
	struct set a;

	if (!line_nodes(l, 1, &a))
		return false;
	line_add(l, l->type)->a = a;
	return true;
}

static bool parse_amount(struct line *l, enum action_type type, enum unit unit, double low,
			 enum unit unit2)
{
	double value, value2 = 0;
	struct action *act;
	struct set a;

	if (!line_nodes(l, 1, &a) || !line_number(l, 2, unit, low, 1e16, &value) ||
	    (l->n > 3 && !line_number(l, 3, unit2, -1e16, 1e16, &value2)))
		return false;
	act = line_add(l, type);
	act->a = a;
	act->value = value;
	act->value2 = value2;
	return true;
}

bool parse_step(struct line *l)
{
	return parse_amount(l, DO_STEP, UNIT_TIME, -1e16, UNIT_TIME);
}

bool parse_freqstep(struct line *l)
{
	return parse_amount(l, DO_FREQ, UNIT_RATE, -1e6, UNIT_RATE);
}

bool parse_tempstep(struct line *l)
{
	return parse_amount(l, DO_TEMP, UNIT_RATE, -1e6, UNIT_TIME);
}

bool parse_pause(struct line *l)
{
	bool queue = l->n > 3 && !strcmp(l->word[3], "queue");

	l->n = queue ? 3 : l->n;
	return parse_amount(l, queue ? DO_QUEUE : DO_PAUSE, UNIT_SECONDS, 1e6, UNIT_TIME);
}

bool parse_on(struct line *l)
{
	double rtc = 0;
	struct action *act;
	struct set a;

	if (!line_nodes(l, 1, &a) ||
	    (l->n > 2 && !line_number(l, 2, UNIT_TIME, -SIM_EPOCH, 1e16, &rtc)))
		return false;
	act = line_add(l, DO_ON);
	act->a = a;
	act->value = rtc;
	return true;
}

/* off, and on again after a while */
bool parse_reboot(struct line *l)
{
	double after, rtc = 0;
	struct action *act;
	struct set a;

	if (!line_nodes(l, 1, &a) || !line_number(l, 2, UNIT_SECONDS, 1e6, 1e16, &after) ||
	    (l->n > 3 && !line_number(l, 3, UNIT_TIME, -SIM_EPOCH, 1e16, &rtc)))
		return false;
	line_add(l, DO_OFF)->a = a;
	act = line_add(l, DO_ON);
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
bool parse_lie(struct line *l)
{
	enum lie_kind kind = LIE_NONE;
	double size = 0, period = 0;
	struct set a, to = { 0 };
	struct action *act;
	int n;

	while (l->n > 2 && kind < LIE_KINDS && strcmp(lies[kind].name, l->word[2]))
		kind++;
	if (!line_nodes(l, 1, &a))
		return false;
	if (l->n < 3 || kind == LIE_KINDS)
		return line_wrong(l, "accepted: lie NODES none | stuck | steps TIME TIME |"
				  " jumps TIME TIME | drift RATE | oscillate TIME TIME |"
				  " twofaced TIME | random TIME | delay TIME | deaf |"
				  " drag RATE [NODES] | mislead TIME [NODES]");
	n = 3 + (int)strlen(lies[kind].size);
	if ((n > 3 && !line_number(l, 3, lies[kind].size[0] == 't' ? UNIT_TIME : UNIT_RATE, -1e16,
				   1e16, &size)) ||
	    (n > 4 && !line_number(l, 4, UNIT_TIME, 1e6, 1e16, &period)))
		return false;
	if (l->n > n + (kind >= LIE_DRAG))
		return line_wrong(l, "too many words");
	if (!(l->n > n ? line_nodes(l, n, &to) : parse_set("*", l->s->n, &to, l->err)))
		return false;
	act = line_add(l, DO_LIE);
	act->a = a;
	act->b = to;
	act->field = kind;
	act->value = size;
	act->value2 = period;
	return true;
}
