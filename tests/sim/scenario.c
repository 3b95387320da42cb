// SPDX-License-Identifier: GPL-2.0
/* scenario: text files that say what the world is and what happens in it */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

static bool parse_line(struct scenario *s, char *text, char err[ERR_MAX])
{
	struct line l = { .s = s, .at = -1, .err = err };
	char *save = NULL;

	text[strcspn(text, "#")] = '\0';
	for (char *p = text; (p = strtok_r(p, " \t\r", &save)); p = NULL) {
		if (l.n == WORDS_MAX) {
			snprintf(err, ERR_MAX, "more than %d words", WORDS_MAX);
			return false;
		}
		l.word[l.n++] = p;
	}
	return !l.n || statement_parse(&l);
}

bool scenario_parse(struct scenario *s, const char *name, const char *lines, char err[ERR_MAX])
{
	unsigned int number = 1;

	for (; *lines; number++) {
		size_t len = strcspn(lines, "\n");
		char line[1024], why[ERR_MAX];

		snprintf(line, sizeof(line), "%.*s", (int)len, lines);
		if (len >= sizeof(line)) {
			snprintf(err, ERR_MAX, "%.60s:%u: longer than %zu bytes", name, number,
				 sizeof(line) - 1);
			return false;
		}
		if (!parse_line(s, line, why)) {
			snprintf(err, ERR_MAX, "%.60s:%u: %.300s", name, number, why);
			return false;
		}
		lines += len + (lines[len] == '\n');
	}
	return true;
}

bool scenario_load(struct scenario *s, const char *path, char err[ERR_MAX])
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;
	bool ok = false;

	if (!file) {
		snprintf(err, ERR_MAX, "%.200s: %s", path, strerror(errno));
		return false;
	}
	if (getdelim(&text, &size, '\0', file) > 0)
		ok = scenario_parse(s, path, text, err);
	else
		snprintf(err, ERR_MAX, "%.200s: %s", path,
			 ferror(file) ? strerror(errno) : "empty");
	free(text);
	fclose(file);
	return ok;
}

void scenario_init(struct scenario *s, uint64_t seed)
{
	*s = (struct scenario){ .seed = seed, .duration = 1000 * SIM_S, .settle = 100 * SIM_S,
				.probes = 8 };
	s->conf.interval_ns = SIM_S;
}

bool scenario_check(struct scenario *s, const char *name, char err[ERR_MAX])
{
	double burst = s->probes * (double)s->conf.interval_ns * 1e-9;

	s->conf.burst = fmax(1, fmin(burst, BERK_BURST_MAX));
	if (!s->n)
		snprintf(err, ERR_MAX, "%.200s: there are no nodes; say `nodes 5'", name);
	else if (s->settle >= s->duration)
		snprintf(err, ERR_MAX, "%.200s: settle must be less than duration", name);
	else
		return true;
	return false;
}

void scenario_free(struct scenario *s)
{
	free(s->action);
	free(s->expect);
	memset(s, 0, sizeof(*s));
}
