// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

#define LINK(field) (offsetof(struct link_conf, field) / sizeof(double))
#define OSC(field) (offsetof(struct osc_conf, field) / sizeof(double))
#define CONF(field) (offsetof(struct wish, field) / sizeof(double))
#define HOST(field) (offsetof(struct host_conf, field) / sizeof(double))

const struct key link_keys[] = {
	{ "base", "t", LINK(base) },
	{ "jitter", "t", LINK(jitter) },
	{ "gamma", "nt", LINK(gamma_shape) },
	{ "pareto", "nt", LINK(pareto_shape) },
	{ "tail", "pt", LINK(tail_p) },
	{ "spike", "ptt", LINK(spike_p) },
	{ "wave", "tt", LINK(wave_ampl) },
	{ "queue", "ttt", LINK(queue_every) },
	{ "loss", "p", LINK(loss) },
	{ "outage", "ttp", LINK(outage_every) },
	{ "dup", "p", LINK(dup) },
	{ "reorder", "pt", LINK(reorder_p) },
	{ "unicast", "n", LINK(unicast) },
	{ "stateful", "t", LINK(stateful) },
	{ 0 }
};

const struct key conf_keys[] = {
	{ "role", "w auto master slave", CONF(role) },
	{ "priority", "n", CONF(priority) },
	{ "quorum", "w any majority", CONF(quorum) },
	{ "merge", "w slew step", CONF(merge) },
	{ "mode", "w poll report", CONF(mode) },
	{ "reference", "w no yes", CONF(reference) },
	{ "reference_limit", "r", CONF(reference_limit) },
	{ "cluster", "n", CONF(cluster) },
	{ "node_id", "n", CONF(node_id) },
	{ 0 }
};

const struct key osc_keys[] = {
	{ "freq", "R", OSC(freq) },
	{ "walk", "r", OSC(walk) },
	{ "white", "r", OSC(white) },
	{ "temp", "rt", OSC(temp_ampl) },
	{ 0 }
};

const struct key host_keys[] = {
	{ "quantum", "t", HOST(quantum) },
	{ "reading", "t", HOST(reading) },
	{ "late", "pt", HOST(late_p) },
	{ "soft", "p", HOST(soft_p) },
	{ "gap", "t", HOST(gap) },
	{ "answer", "t", HOST(answer) },
	{ "wake", "t", HOST(wake) },
	{ 0 }
};

static const struct {
	const char *name;
	enum unit unit;
	double factor;
} units[] = {
	{ "ns", UNIT_TIME, 1 }, { "us", UNIT_TIME, 1e3 }, { "ms", UNIT_TIME, 1e6 },
	{ "s", UNIT_TIME, 1e9 }, { "min", UNIT_TIME, 60e9 }, { "h", UNIT_TIME, 3600e9 },
	{ "ppb", UNIT_RATE, 1 }, { "ppm", UNIT_RATE, 1e3 },
	{ "%", UNIT_PART, 0.01 }, { "", UNIT_PART, 1 }, { "", UNIT_NUMBER, 1 },
};

static const char *const accepts[] = {
	[UNIT_TIME] = "a time such as 30us (ns us ms s min h)",
	[UNIT_SECONDS] = "seconds, or a time such as 5min",
	[UNIT_RATE] = "a rate such as 11ppm (ppb ppm)",
	[UNIT_PART] = "a part such as 5% or 0.05",
	[UNIT_NUMBER] = "a number",
};

bool parse_number(const char *text, enum unit unit, double *value, char err[ERR_MAX])
{
	char *end;
	double number = strtod(text, &end);

	if (end != text && isfinite(number) && !*end && (number == 0 || unit == UNIT_SECONDS)) {
		*value = number * (unit == UNIT_SECONDS ? 1e9 : 1);
		return true;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (end != text && isfinite(number) && !strcmp(end, units[i].name) &&
		    units[i].unit == (unit == UNIT_SECONDS ? UNIT_TIME : unit)) {
			*value = number * units[i].factor;
			return true;
		}
	snprintf(err, ERR_MAX, "%s; accepted: %s", *text ? text : "a value is missing",
		 accepts[unit]);
	return false;
}

bool parse_set(const char *text, int n, struct set *set, char err[ERR_MAX])
{
	static const char *const who[] = {
		[WHO_MASTER] = "master", [WHO_STANDBY] = "standby", [WHO_VICTIM] = "victim",
	};
	const char *p = text;
	char *end;

	memset(set, 0, sizeof(*set));
	for (enum who i = WHO_MASTER; i <= WHO_VICTIM; i++)
		if (!strcmp(text, who[i])) {
			set->who = i;
			return true;
		}
	if (!strcmp(text, "*"))
		text = NULL;
	for (int i = 0; !text && i < n; i++)
		set_add(set, i);
	while (text && isdigit((unsigned char)*p)) {
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (*end == '-' && isdigit((unsigned char)end[1]))
			last = strtoul(end + 1, &end, 10);
		if (first > last || last >= (unsigned long)n)
			break;
		for (unsigned long i = first; i <= last; i++)
			set_add(set, (int)i);
		if (!*end)
			return true;
		if (*end != ',')
			break;
		p = end + 1;
	}
	if (!text)
		return true;
	snprintf(err, ERR_MAX, "no such nodes: %s; accepted: *, 0, 1-3, 0,2-4, master, standby,"
		 " victim; the last is %d",
		 text, n - 1);
	return false;
}

/* The k-th of a list, over again when it is too short. */
static bool parse_listed(const char *text, enum unit unit, int k, double *value, char err[ERR_MAX])
{
	char copy[256], *save = NULL, *word;
	int items = 1;

	for (const char *p = text; *p; p++)
		items += *p == ',';
	snprintf(copy, sizeof(copy), "%s", text);
	word = strtok_r(copy, ",", &save);
	for (k %= items; k && word; k--)
		word = strtok_r(NULL, ",", &save);
	return parse_number(word ? word : "", unit, value, err);
}

bool parse_value(const char *text, enum unit unit, int k, struct rng *r, double *value,
		 char err[ERR_MAX])
{
	char copy[256], *high;
	double a, b;

	snprintf(copy, sizeof(copy), "%s", text);
	if (!strncmp(copy, "normal:", 7)) {
		if (!parse_number(copy + 7, unit, &a, err))
			return false;
		*value = a * rng_normal(r);
		return true;
	}
	if (strncmp(copy, "uniform:", 8))
		return parse_listed(text, unit, k, value, err);
	high = strchr(copy + 8, ':');
	if (high)
		*high++ = '\0';
	if (!parse_number(copy + 8, unit, &a, err) ||
	    !parse_number(high ? high : "", unit, &b, err))
		return false;
	*value = a + (b - a) * rng_uniform(r);
	return true;
}

const struct key *parse_key(const struct key *keys, const char *word, const char **rest,
			    char err[ERR_MAX])
{
	const char *sign = strchr(word, '=');
	size_t len;

	for (const struct key *key = keys; sign && key->name; key++)
		if (strlen(key->name) == (size_t)(sign - word) &&
		    !strncmp(key->name, word, strlen(key->name))) {
			*rest = sign + 1;
			return key;
		}
	len = (size_t)snprintf(err, ERR_MAX, "%s; accepted:", word);
	for (; keys->name && len < ERR_MAX; keys++)
		len += (size_t)snprintf(err + len, ERR_MAX - len, " %s=", keys->name);
	return NULL;
}

/* Its place among the words. */
static int parse_word(const struct key *key, const char *text, double *value, char err[ERR_MAX])
{
	char copy[256], *save = NULL, *word;

	snprintf(copy, sizeof(copy), "%s", key->fields + 1);
	*value = 0;
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (!strcmp(word, text))
			return 1;
		++*value;
	}
	snprintf(err, ERR_MAX, "%s=%s; accepted:%s", key->name, text, key->fields + 1);
	return 0;
}

static enum unit unit_of(char field)
{
	switch (tolower((unsigned char)field)) {
	case 't':
		return UNIT_TIME;
	case 'r':
		return UNIT_RATE;
	case 'p':
		return UNIT_PART;
	default:
		return UNIT_NUMBER;
	}
}

int parse_fields(const struct key *key, const char *text, int k, struct rng *r, double value[4],
		 char err[ERR_MAX])
{
	char copy[256], *p = copy, *next;
	int n = 0;

	if (*key->fields == 'w')
		return parse_word(key, text, value, err);
	if (isupper((unsigned char)*key->fields))
		return parse_value(text, unit_of(*key->fields), k, r, value, err);
	snprintf(copy, sizeof(copy), "%s", text);
	for (; key->fields[n]; n++) {
		if (!p) {
			snprintf(err, ERR_MAX, "%s=%s; accepted: %zu values, separated by colons",
				 key->name, text, strlen(key->fields));
			return 0;
		}
		next = strchr(p, ':');
		if (next)
			*next++ = '\0';
		if (!parse_number(p, unit_of(key->fields[n]), &value[n], err))
			return 0;
		if (value[n] < 0 || (key->fields[n] == 'p' && value[n] > 1)) {
			snprintf(err, ERR_MAX, "%s=%s; accepted: nothing below 0%s", key->name,
				 text, value[n] < 0 ? "" : ", no part above 100%");
			return 0;
		}
		p = next;
	}
	if (!p)
		return n;
	snprintf(err, ERR_MAX, "%s=%s; accepted: %d values, separated by colons", key->name,
		 text, n);
	return 0;
}
