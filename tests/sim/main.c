// SPDX-License-Identifier: GPL-2.0
/* sim: runs one scenario once */
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

static const char *const unit_text[] = {
	[METRIC_US] = "us", [METRIC_S] = "s", [METRIC_PPM] = "ppm",
	[METRIC_PERCENT] = "%", [METRIC_COUNT] = "",
};

static const char *const unit_key[] = {
	[METRIC_US] = "_us", [METRIC_S] = "_s", [METRIC_PPM] = "_ppm",
	[METRIC_PERCENT] = "_percent", [METRIC_COUNT] = "",
};

struct options {
	uint64_t seed;
	double limit;		/* ns, INFINITY */
	bool json, text, chatty;
	const char *csv, *plot, *extra;
};

static int usage(FILE *file, int code)
{
	fputs("Usage: sim [OPTION]... FILE.sim | campaign\n"
	      "Runs a scenario in virtual time and prints what the clocks did; or one that is\n"
	      "made of random troubles, another one for every seed.\n\n"
	      "  -s, --seed N       1 unless given; same seed, same bytes\n"
	      "  -l, --limit TIME   at most so long, but until all of its events have passed\n"
	      "  -x, --extra TEXT   more lines for the scenario, separated by semicolons\n"
	      "  -j, --json         machine-readable\n"
	      "  -c, --csv FILE     spread and offsets over time\n"
	      "  -p, --plot FILE    a picture of them (PNG)\n"
	      "  -t, --text         show the campaign's scenario and do nothing\n"
	      "  -v, --verbose      what the nodes log, to stderr\n"
	      "  -h, --help         this text\n", file);
	return code;
}

static bool passed(const struct expect *e, double value)
{
	return e->least ? value >= e->value : value <= e->value;
}

static void print_number(double value)
{
	if (isfinite(value))
		printf("%.9g", value);
	else
		printf("null");
}

static void print_json(const struct scenario *s, const struct metrics *m, const char *name)
{
	printf("{\"scenario\": \"%s\", \"seed\": %" PRIu64 ", \"seconds\": %.10g, \"nodes\": %d,\n"
	       " \"metrics\": {", name, s->seed, (double)s->duration * 1e-9, s->n);
	for (size_t i = 0; i < metrics_count(); i++) {
		printf("%s\"%s%s\": ", i ? ", " : "", metrics_name(i), unit_key[metrics_unit(i)]);
		print_number(metrics_value(m, i));
	}
	printf("},\n \"rms_us\": [");
	for (int i = 0; i < s->n; i++) {
		printf("%s", i ? ", " : "");
		print_number(metrics_rms(m, i));
	}
	printf("],\n \"expect\": [");
	for (size_t i = 0; i < s->n_expects; i++) {
		const struct expect *e = &s->expect[i];

		printf("%s{\"metric\": \"%s%s\", \"unit\": \"%s\", \"least\": %s, \"value\": %.9g,"
		       " \"always\": %s}", i ? ", " : "", metrics_name(e->metric),
		       unit_key[metrics_unit(e->metric)], unit_text[metrics_unit(e->metric)],
		       e->least ? "true" : "false", e->value, e->always ? "true" : "false");
	}
	printf("],\n \"note\": \"%s\"}\n", metrics_note(m));
}

static bool print_text(const struct scenario *s, const struct metrics *m, const char *name)
{
	bool ok = true;

	printf("%s: seed %" PRIu64 ", %d nodes, %.10g s, settled after %.10g s\n", name, s->seed,
	       s->n, (double)s->duration * 1e-9, (double)s->settle * 1e-9);
	for (size_t i = 0; i < metrics_count(); i++) {
		double value = metrics_value(m, i);

		if (isnan(value))
			continue;
		printf("  %-14s", metrics_name(i));
		if (isinf(value))
			printf(" %10s", "never");
		else
			printf(" %10.4g %s", value, unit_text[metrics_unit(i)]);
		for (size_t k = 0; k < s->n_expects; k++)
			if (s->expect[k].metric == i) {
				bool good = passed(&s->expect[k], value);

				printf("  (%s %.4g: %s)", s->expect[k].least ? ">=" : "<=",
				       s->expect[k].value, good ? "ok" : "NOT OK");
				ok &= good;
			}
		printf("\n");
	}
	if (*metrics_note(m))
		printf("  what must never happen: %s\n", metrics_note(m));
	return ok;
}

static bool plot(const struct options *o, const struct scenario *s, const char *name,
		 const char *script_dir)
{
	char command[2000];

	snprintf(command, sizeof(command), "gnuplot -e \"csv='%s'; png='%s'; nodes=%d; name='%s'; "
		 "settle=%g; seconds=%g\" '%s/sim.gp'", o->csv, o->plot, s->n, name,
		 (double)s->settle * 1e-9, (double)s->duration * 1e-9, script_dir);
	if (system(command) == 0)
		return true;
	fprintf(stderr, "sim: gnuplot failed; is it installed? %s was not written\n", o->plot);
	return false;
}

/* When all that is to happen has had its effect. */
static int64_t last_event(const struct scenario *s, bool faults_only)
{
	int64_t last = 0;

	for (size_t i = 0; i < s->n_actions; i++)
		if (s->action[i].at > last && (s->action[i].fault || !faults_only))
			last = s->action[i].at;
	return last + (last ? 60 * SIM_S : 0);
}

static bool load_text(const struct options *o, const char *path, struct scenario *s,
		      char err[ERR_MAX])
{
	char *text;
	bool ok;

	if (strcmp(path, "campaign"))
		return scenario_load(s, path, err);
	text = campaign_text(o->seed);
	ok = scenario_parse(s, "campaign", text, err);
	if (o->text)
		fputs(text, stdout);
	free(text);
	return ok;
}

static bool load(const struct options *o, const char *path, struct scenario *s)
{
	char err[ERR_MAX], extra[1000];
	int64_t least;

	scenario_init(s, o->seed);
	snprintf(extra, sizeof(extra), "%s", o->extra ? o->extra : "");
	for (char *p = extra; *p; p++)
		*p = *p == ';' ? '\n' : *p;
	if (!load_text(o, path, s, err) || !scenario_parse(s, "--extra", extra, err) ||
	    !scenario_check(s, path, err)) {
		fprintf(stderr, "%s\n", err);
		return false;
	}
	least = last_event(s, false) > 2 * s->settle ? last_event(s, false) : 2 * s->settle;
	if ((double)s->duration > o->limit)
		s->duration = (double)least > o->limit ? least : (int64_t)o->limit;
	return true;
}

/* The same world without its faults; NULL: there are none. */
static struct metrics *twin(const struct scenario *s, struct world *w)
{
	int64_t until = last_event(s, true);
	struct metrics *m;

	if (!until)
		return NULL;
	scenario_build(s, w, false);
	m = metrics_new(s, w, NULL);
	metrics_run(m, until < s->duration ? until : s->duration);
	world_free(w);
	return m;
}

static int run(const struct options *o, const char *path, const char *script_dir)
{
	char copy[1000], *name = copy;
	struct metrics *m, *other;
	struct scenario s;
	struct world w;
	FILE *csv = NULL;
	bool ok = true;

	snprintf(copy, sizeof(copy), "%s", path);
	name = basename(copy);
	name[strcspn(name, ".")] = '\0';
	if (!load(o, path, &s))
		return 2;
	if (o->text) {
		scenario_free(&s);
		return 0;
	}
	if (o->csv && !(csv = fopen(o->csv, "w"))) {
		perror(o->csv);
		return 2;
	}
	other = twin(&s, &w);
	scenario_build(&s, &w, true);
	w.chatty = o->chatty;
	m = metrics_new(&s, &w, csv);
	metrics_run(m, s.duration);
	if (other)
		metrics_compare(m, other);
	if (csv)
		fclose(csv);
	if (o->json)
		print_json(&s, m, name);
	else
		ok = print_text(&s, m, name);
	if (o->plot)
		ok &= plot(o, &s, name, script_dir);
	metrics_free(other);
	metrics_free(m);
	world_free(&w);
	scenario_free(&s);
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "limit", required_argument, NULL, 'l' },
		{ "extra", required_argument, NULL, 'x' },
		{ "json", no_argument, NULL, 'j' },
		{ "csv", required_argument, NULL, 'c' },
		{ "plot", required_argument, NULL, 'p' },
		{ "text", no_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct options o = { .seed = 1, .limit = INFINITY };
	char err[ERR_MAX], *end;
	int opt;

	while ((opt = getopt_long(argc, argv, "s:l:x:jc:p:tvh", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			o.seed = strtoull(optarg, &end, 10);
			if (*end || end == optarg) {
				fprintf(stderr, "sim: seed %s is no number\n", optarg);
				return 2;
			}
			break;
		case 'l':
			if (!parse_number(optarg, UNIT_SECONDS, &o.limit, err)) {
				fprintf(stderr, "sim: limit %s\n", err);
				return 2;
			}
			break;
		case 'x':
			o.extra = optarg;
			break;
		case 'j':
			o.json = true;
			break;
		case 'c':
			o.csv = optarg;
			break;
		case 'p':
			o.plot = optarg;
			break;
		case 't':
			o.text = true;
			break;
		case 'v':
			o.chatty = true;
			break;
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, 2);
		}
	}
	if (optind + 1 != argc)
		return usage(stderr, 2);
	if (o.plot && !o.csv) {
		fprintf(stderr, "sim: --plot draws what --csv wrote: give both\n");
		return 2;
	}
	return run(&o, argv[optind], SIM_DIR);
}
