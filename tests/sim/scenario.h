/* SPDX-License-Identifier: GPL-2.0 */
/*
 * scenario: what shall happen in a world, and what those see who look at it
 *
 *	text --> statement, setting, happening --> scenario --> action --> world
 *	campaign: texts made by chance
 *	metrics, groups, rate: the true clocks, from outside
 */
#ifndef BERK_SIM_SCENARIO_H
#define BERK_SIM_SCENARIO_H

#include "sim.h"

/* --- parse.c: words of a scenario; each says in err what is wrong, and returns false */
#define ERR_MAX 400

enum unit { UNIT_TIME, UNIT_SECONDS, UNIT_RATE, UNIT_PART, UNIT_NUMBER };

/* Into ns, ns (without unit: s), ppb, 1, 1 */
bool parse_number(const char *text, enum unit unit, double *value, char err[ERR_MAX]);
/* "*", "3", "0-4,7", "master", "standby", "victim" */
bool parse_set(const char *text, int n, struct set *set, char err[ERR_MAX]);
/* A number, a list of them (for the k-th host), uniform:LOW:HIGH or normal:SIGMA. */
bool parse_value(const char *text, enum unit unit, int k, struct rng *r, double *value,
		 char err[ERR_MAX]);

struct key {			/* name=A:B:C */
	const char *name;
	/* t(ime) r(ate) p(art) n(umber), capital: may differ by host; w and words: 0, 1... */
	const char *fields;
	size_t first;		/* index of the double that A goes to */
};

extern const struct key link_keys[], osc_keys[], host_keys[], conf_keys[];

/* Where name=... goes, and the text behind =. */
const struct key *parse_key(const struct key *keys, const char *word, const char **rest,
			    char err[ERR_MAX]);
/* The fields of that key, for the k-th host. Returns how many, 0: err. */
int parse_fields(const struct key *key, const char *text, int k, struct rng *r, double value[4],
		 char err[ERR_MAX]);

/* --- scenario.c: what shall happen */
enum action_type {
	DO_LINK, DO_OSC, DO_HOST, DO_CONF, DO_PEER, DO_OFFSET, DO_ABSENT, DO_CLOCK,
	DO_STEP, DO_FREQ, DO_TEMP, DO_PAUSE, DO_QUEUE, DO_STOP, DO_KILL, DO_START, DO_OFF, DO_ON,
	DO_LIE,
};

struct action {
	int64_t at;		/* -1: before the world begins */
	bool fault;
	enum action_type type;
	struct set a, b;
	bool back;		/* the other direction of a link: b was named first */
	size_t field;
	double value, value2;
};

struct expect {
	size_t metric;
	bool least;		/* >= instead of <= */
	bool always;		/* not of the median, but of every seed */
	double value;
};

struct scenario {
	uint64_t seed;
	int n;
	int64_t duration, settle;	/* ns */
	struct node_conf conf;	/* interval and burst of it */
	double probes;		/* per s and slave */
	char listen[80];	/* for this in the logs; "": for nothing */
	struct action *action;
	size_t n_actions;
	struct expect *expect;
	size_t n_expects;
};

void scenario_init(struct scenario *s, uint64_t seed);
/* name and line number go into err; lines: ended by newlines */
bool scenario_parse(struct scenario *s, const char *name, const char *lines, char err[ERR_MAX]);
bool scenario_load(struct scenario *s, const char *path, char err[ERR_MAX]);
/* After all lines: is it complete? */
bool scenario_check(struct scenario *s, const char *name, char err[ERR_MAX]);
void scenario_free(struct scenario *s);

/* --- statement.c: what a line means */
#define WORDS_MAX 32

struct line {
	struct scenario *s;
	char *word[WORDS_MAX + 1];	/* the last is NULL */
	int n;
	int64_t at;		/* -1: before the world begins */
	bool fault;
	enum action_type type;	/* of what it says, where the statement tells */
	char *err;		/* ERR_MAX */
};

/* Adds it to the scenario; false: err says what is wrong and what is accepted. */
bool statement_parse(struct line *l);
/* Says what is wrong, in l->err. Returns false. */
__attribute__((format(printf, 2, 3)))
bool line_wrong(struct line *l, const char *fmt, ...);
/* One more action; good until the next call. */
struct action *line_add(struct line *l, enum action_type type);
/* What word i says, in the unit of parse_number(). */
bool line_number(struct line *l, int i, enum unit unit, double low, double high, double *value);
bool line_nodes(struct line *l, int i, struct set *set);

/* --- setting.c: of the world */
bool parse_nodes(struct line *l);
bool parse_duration(struct line *l);
bool parse_settle(struct line *l);
bool parse_interval(struct line *l);
bool parse_probes(struct line *l);
bool parse_profile(struct line *l);
bool parse_listen(struct line *l);
bool parse_osc(struct line *l);
bool parse_host(struct line *l);
bool parse_conf(struct line *l);
bool parse_peer(struct line *l);
bool parse_clock(struct line *l);
bool parse_link(struct line *l);
bool parse_down(struct line *l);
bool parse_offset(struct line *l);

/* --- happening.c: of what happens in it */
bool parse_plain(struct line *l);
bool parse_step(struct line *l);
bool parse_freqstep(struct line *l);
bool parse_tempstep(struct line *l);
bool parse_pause(struct line *l);
bool parse_on(struct line *l);
bool parse_reboot(struct line *l);
bool parse_lie(struct line *l);

/* --- action.c: makes it happen */
/* The world as it begins; with or without the faults to come. */
void scenario_build(const struct scenario *s, struct world *w, bool faults);

/* --- hist.c: quantiles of positive numbers in fixed memory, to 0.2 % */
#define HIST_BINS 20000

struct hist {
	uint64_t n;
	uint32_t count[HIST_BINS];
};

void hist_add(struct hist *h, double x);
double hist_quantile(const struct hist *h, double q);	/* NAN if it is empty */

/* --- campaign.c: worlds made by chance */
/* A scenario of random troubles, as text to be freed; the same for the same seed. */
char *campaign_text(uint64_t seed);

/* --- groups.c: who follows the same master, and what its members' time is */
struct groups {
	int n;			/* of nodes */
	int count;		/* of groups */
	double *offset;		/* of the clocks that count, ns, else NAN */
	double *bound;		/* published, ns; INFINITY: none */
	int *of;		/* the group of each node, -1: none */
	bool *settled;		/* healthy, synchronised, and not still on its way */
	double *mean;		/* of each group's settled members, ns; NAN: there are none */
	double *sorted;
};

struct groups *groups_new(int n);
void groups_free(struct groups *g);
void groups_look(struct groups *g, struct world *w);
/* Largest difference of settled clocks in any group, ns. */
double groups_spread(const struct groups *g);

/* --- rate.c: how fast the groups run, against true time and their crystals */
struct rate {
	int64_t since;		/* when the present window began, 0: there is none */
	double *clock, *crystal;	/* then, ns; NAN: was not settled since */
	uint32_t *set_seq;	/* then */
	double last;		/* ppb: of the largest group, in the window before; NAN */
	double jump, excess;	/* ppb: largest so far, NAN */
};

struct rate *rate_new(int n);
void rate_free(struct rate *r);
void rate_look(struct rate *r, const struct groups *g, struct world *w);

/* --- metrics.c: the true clocks, seen from outside; figures.c: in numbers */
#define SIM_LOOK (100 * SIM_MS)	/* between two looks */

enum metric_unit { METRIC_US, METRIC_S, METRIC_PPM, METRIC_PERCENT, METRIC_COUNT };

struct metrics;

size_t metrics_find(const char *name);	/* metrics_count(): there is none */
size_t metrics_count(void);
const char *metrics_name(size_t i);
enum metric_unit metrics_unit(size_t i);
struct metrics *metrics_new(const struct scenario *s, struct world *w, FILE *csv);
void metrics_free(struct metrics *m);
/* Runs the world until then, and looks. */
void metrics_run(struct metrics *m, int64_t until);
/* Compares what was seen with a run in which the faults did not happen. */
void metrics_compare(struct metrics *m, const struct metrics *twin);
/* In its unit; NAN: there is none, INFINITY: never. */
double metrics_value(const struct metrics *m, size_t i);
double metrics_rms(const struct metrics *m, int host);
/* The first bound that was not true, or "" */
const char *metrics_note(const struct metrics *m);

#endif /* BERK_SIM_SCENARIO_H */
