/* SPDX-License-Identifier: GPL-2.0 */
/*
 * sim: the real core in virtual time, over models of crystals, clocks and links
 *
 *	scenario --> world: events in the order of true time
 *			host: power, pauses, the daemon (node and its actions)
 *			module: what kmod does: probes, replies, samples, rounds
 *			lie: what faulty ones say instead
 *			link: one direction of a path	vclock: the Linux clock
 *			osc: the crystal		rng: chance
 *	watch: what happens	metrics, groups, rate: the true clocks, from outside
 *	campaign: scenarios made by chance
 *
 * True time is int64_t ns since the world began. Frequencies are ppb, phases and
 * offsets double ns, positive = ahead. All chance comes from streams that depend
 * on the seed and on what they are for, so that the n-th packet of a link meets
 * the same fate whatever happens elsewhere, and two runs can be compared.
 */
#ifndef BERK_SIM_H
#define BERK_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "msg.h"
#include "node.h"

#define SIM_US		1000LL
#define SIM_MS		1000000LL
#define SIM_S		1000000000LL
#define SIM_EPOCH	1700000000000000000LL	/* ns: REALTIME when the world begins */
#define SIM_NODES_MAX	4096

/* --- rng.c: SplitMix64 (Steele, Lea, Flood 2014); a stream for every purpose */
enum rng_purpose {
	RNG_OSC, RNG_VALUE, RNG_PACKET, RNG_QUEUE, RNG_OUTAGE, RNG_READING, RNG_WAKE, RNG_PARTICLE,
	RNG_NODE, RNG_LIE, RNG_CAMPAIGN,
};

struct rng {
	uint64_t state;
};

void rng_init(struct rng *r, uint64_t seed, enum rng_purpose purpose, uint64_t a, uint64_t b);
uint64_t rng_next(struct rng *r);
double rng_uniform(struct rng *r);	/* in (0, 1) */
double rng_exponential(struct rng *r, double mean);
double rng_gamma(struct rng *r, double shape, double mean);
double rng_normal(struct rng *r);
void rng_normal2(struct rng *r, double z[2]);	/* two independent ones */

/* --- osc.c: a crystal */
struct osc_conf {		/* doubles only: the scenario's keys are an index into it */
	double freq;		/* ppb, at the start */
	double walk;		/* ppb per sqrt(s): random-walk FM */
	double white;		/* ppb at 1 s: white FM; ns of phase per sqrt(s) */
	double temp_ampl, temp_period;	/* ppb, ns: a sinusoid */
};

struct osc {
	struct osc_conf conf;
	struct rng rng;
	double ppb;			/* without temperature */
	double warm, warm_to, warm_tau;	/* ppb, ppb, s: after steps of temperature */
	double sine_phase, sine_cos;
	int64_t t0, t1;			/* a cell, in which phase is a straight line */
	double x0, x1;
};

void osc_init(struct osc *o, const struct osc_conf *conf, struct rng rng);
/* What it is ahead of true time, ns. t must not decrease by more than a cell. */
double osc_phase(struct osc *o, int64_t t);
/* ppb at present. */
double osc_rate(const struct osc *o);
void osc_freq_step(struct osc *o, int64_t t, double ppb);
/* Anything but freq is different from the next cell on. */
void osc_change(struct osc *o, size_t field, double value);
/* The temperature's part of the frequency moves by ppb, exponentially in tau ns. */
void osc_temp_step(struct osc *o, double ppb, double tau);

/* --- vclock.c: CLOCK_MONOTONIC_RAW and, on it, CLOCK_REALTIME */
struct vclock {
	struct osc osc;
	int64_t raw_base;	/* RAW minus true time minus phase */
	int64_t t;		/* REALTIME since this moment... */
	double x, corr;		/* ...of this phase and this correction... */
	double done;		/* ...and this many RAW ns later... */
	double freq_ppb;	/* ...runs at RAW plus this */
	double next_ppb, next_at;	/* from so many RAW ns after on: the next tick */
	uint32_t set_seq;
};

void vclock_init(struct vclock *c, const struct osc_conf *osc, struct rng rng, int64_t raw,
		 double offset);
/* REALTIME minus true time minus SIM_EPOCH, ns */
double vclock_offset(struct vclock *c, int64_t t);
struct berk_stamp vclock_read(struct vclock *c, int64_t t);
/* As clock_adjtime does it: the step at once, the frequency from the next tick on. */
void vclock_set(struct vclock *c, int64_t t, int64_t step_ns, double freq_ppb);
/* The machine did not run for that long: both clocks stood still. */
void vclock_stall(struct vclock *c, int64_t t, int64_t ns);
/* Power on: RAW starts anew, REALTIME comes from a clock that is off by offset. */
void vclock_boot(struct vclock *c, int64_t t, int64_t raw, double offset);

/* --- link.c: one direction of a path */
struct link_conf {		/* doubles only; times in ns */
	double base;
	double jitter;		/* mean: exponential */
	double gamma_shape, gamma_mean;
	double pareto_shape, pareto_scale;	/* Lomax */
	double tail_p, tail_mean;	/* some packets: exponential on top */
	double spike_p, spike_low, spike_high;	/* some packets: uniform on top */
	double wave_ampl, wave_period;	/* of the base: 0 to ampl */
	double queue_every, queue_delay, queue_decay;	/* a queue fills, and drains */
	double loss;
	double outage_every, outage_length, outage_loss;	/* Gilbert-Elliott, in time */
	double dup;
	double reorder_p, reorder_mean;	/* some packets are held up */
	double unicast;		/* 1: nothing else passes */
	double stateful;	/* how long after the opposite direction was used this one passes */
	double down;
};

enum packet_kind { PACKET_PROBE, PACKET_REPLY, PACKET_CTRL, PACKET_KINDS };

struct link {
	struct link_conf conf;
	uint64_t seed, id;
	uint64_t sent[PACKET_KINDS];
	struct rng queue_rng, outage_rng;
	int64_t queue_at, queue_next;
	double queue;
	int64_t outage_flip;
	bool outage;
	double wave_phase;
	int64_t used;		/* last, by unicast; -1: never */
};

void link_init(struct link *l, uint64_t seed, uint64_t id);
/* The chance of the next packet of that kind. */
struct rng link_packet(struct link *l, enum packet_kind kind);
/* How many copies arrive, 0 to 2, and after how many ns each. */
int link_send(struct link *l, struct rng *r, int64_t t, int64_t delay[2]);

/* --- world.c: hosts, paths, events */
struct host_conf {		/* doubles only; times in ns */
	double quantum;		/* resolution of stamps */
	double reading;		/* sigma of reading both clocks together */
	double late_p, late_mean;	/* receive stamps taken late */
	double soft_p;		/* transmit stamps that never come back */
	double gap;		/* from a soft stamp to the wire */
	double answer;		/* from a probe to its reply */
	double wake;		/* mean: until the daemon gets the processor */
};

/* What berkd.conf says; doubles only, words by their number. */
struct wish {
	double role;		/* auto, master, slave */
	double priority;	/* 0: what comes with the role */
	double quorum, merge, mode;	/* as in node.h */
	double reference, reference_limit;	/* bool, ppb per s */
	double cluster, node_id;
};

enum who {			/* in a set; known only at that moment */
	WHO_NAMED,
	WHO_MASTER,		/* that most follow */
	WHO_STANDBY,		/* its first */
	WHO_VICTIM,		/* whoever was the master or the standby above */
};

struct set {			/* of hosts */
	uint64_t bits[SIM_NODES_MAX / 64];
	enum who who;
};

static inline bool set_has(const struct set *s, int i)
{
	return s->bits[i / 64] >> (i % 64) & 1;
}

static inline void set_add(struct set *s, int i)
{
	s->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

struct link_rule {
	struct set from, to;
	size_t field;		/* of struct link_conf, as an array of doubles */
	double value;
};

struct mark {			/* a stamp with its circumstances, as the module keeps them */
	struct berk_stamp at;
	uint32_t set_seq;
	uint8_t src;
};

struct payload {		/* of a control message; its packets share it */
	int packets;
	size_t len;
	unsigned char bytes[];
};

struct packet {
	enum packet_kind kind;
	int from, to;
	bool multicast;
	uint64_t nonce;
	uint32_t seq;
	uint8_t rx_src;		/* of the stamp that it will get */
	struct payload *ctrl;
	struct {
		struct mark t2, t3, prev_t3;
		uint64_t prev_nonce, node_id;
		uint32_t term;
		uint16_t flags;
	} reply;
};

enum event_type {
	EV_PACKET,	/* arrives */
	EV_ANSWER,	/* the module answers a probe */
	EV_PROBE,	/* the module sends the next probe of a round */
	EV_DEADLINE,	/* of a round */
	EV_ROUND,	/* the daemon learns that a round is over */
	EV_TIMER,	/* of the daemon */
	EV_RESUME,	/* a paused machine goes on */
	EV_ACTION,	/* of the scenario */
};

struct event {
	enum event_type type;
	int host;
	unsigned int boot;	/* of the host, when it was scheduled: void after another */
	int64_t stalled;	/* of the host, then: it is as much later as it stood still since */
	uint32_t id;		/* a round, a timer, an action */
	struct packet packet;
};

/* What one host knows of another: a path, and the module's memory. */
struct pair {
	struct link link;	/* from the one to the other */
	/* Answering: the reply before */
	uint64_t answered;	/* nonce of the probe before */
	uint64_t prev_nonce;
	struct mark prev_t3;
	/* Asking */
	bool peer;
	uint32_t index;
	struct exchange *x;
	struct node_note *note;	/* what the one's daemon thinks of the other; NULL: nothing */
};

/* --- lie.c: what a faulty machine says */
enum lie_kind {
	LIE_NONE,
	LIE_STUCK,		/* its stamps stand still */
	LIE_STEPS,		/* they jump every `period' by `size' on REALTIME... */
	LIE_JUMPS,		/* ...on both clocks */
	LIE_DRIFT,		/* they drift by `size', whatever the daemon does */
	LIE_OSCILLATE,		/* they swing by `size' */
	LIE_TWOFACED,		/* they are ahead for some, behind for others, by `size' */
	LIE_RANDOM,		/* anything within `size' */
	LIE_DELAY,		/* what it sends is held up by `size' */
	LIE_DEAF,		/* its daemon gets no control messages */
	LIE_DRAG,		/* corrections for `to' drift by `size'... */
	LIE_MISLEAD,		/* ...are wrong by `size' */
	LIE_KINDS
};

struct lie {
	enum lie_kind kind;
	double size, period;	/* ns or ppb, ns */
	struct set to;
	int64_t since;
	struct berk_stamp at;	/* when it began */
	struct rng rng;
};

struct host {
	int id;
	struct host_conf conf;
	struct node_conf node_conf;
	struct wish wish;
	struct set peers;	/* configured */
	struct vclock clock;
	struct rng wake;
	struct lie lie;
	bool up, paused;
	bool queueing;		/* packets wait until it goes on */
	bool deaf;		/* the daemon gets no control messages */
	unsigned int boot;
	int64_t stalled, resume_at;

	/* The module */
	struct module {
		int *peer;		/* hosts by index; -1: forgotten */
		uint32_t next_index;
		int *probed;		/* hosts in this round */
		int n_probed;
		struct berk_sample *ring;
		size_t n_ring, size;
		bool active;
		struct node_round round;
		unsigned int pass;
		int done;
		int64_t start;
		unsigned int probes, replies;
	} mod;

	/* The daemon */
	struct node *node;	/* NULL: it does not run */
	unsigned int life;
	uint32_t timer_id;
	int64_t timer_raw;
	struct node_publish state;
	int64_t state_raw;	/* when that was published */
	struct node_clock set;	/* the last that was commanded */
	double drift_ppb, drift_sigma;	/* what the drift file says; sigma 0: nothing */
	int64_t drift_real;	/* when that was so */
	int64_t drift_at;	/* when it was written, or the daemon started */

	/* For those who look; times -1: never */
	int64_t hit;		/* by the first fault; INT64_MAX: not yet */
	int64_t touched;	/* somebody last did something to its clock... */
	int64_t jumped;		/* ...its crystal jumped */
	int64_t lied, named, ended, readmitted;	/* lying; what the master thought of it */
	struct node_publish accepted;	/* the last that told of a new correction */
	uint32_t claimed;	/* last, in a CLAIM */
	bool was_synced;	/* since it started */
	int steps;		/* after that, by the daemon */
	int64_t backward;	/* ns: the longest of those that went back */
	int logs;
	char log_text[2000];	/* the first of them */
	int said;		/* of them have the text that the scenario listens for */
};

enum breach {			/* of what must never happen */
	BREACH_TERM,		/* two masters in one term */
	BREACH_TWO,		/* a node corrected by two, or by an older term */
	BREACH_BACK,		/* a step back while synchronised */
	BREACH_BOUND,		/* a healthy clock outside its bound */
	BREACH_RATE,		/* a group that is faster or slower than all crystals */
	BREACHES
};

struct watch {
	struct {
		uint32_t term;
		int host, cluster;
	} *term;		/* who sent corrections in it */
	size_t n_terms;
	uint64_t claims;	/* of one node to one term */
	int breaches[BREACHES];
	char first[200];	/* of them */
	int accused;		/* healthy nodes that a master took for faulty */
	/* A fault befell the master: until another one's correction is accepted */
	int64_t fault_at;	/* -1: none did, or that is over */
	int fault_master;
	double failover;	/* ns; the longest; NAN: none */
};

struct slot {
	int64_t at;
	uint64_t order;
	uint32_t event;
};

struct world {
	uint64_t seed;
	int64_t now;
	int n;
	struct host *host;
	struct pair **pair;	/* n * n, made when first used */
	struct link_rule *rule;	/* the later overrides the earlier */
	size_t n_rules;
	bool chatty;		/* the nodes' logs to stderr */
	uint64_t nonce;
	uint64_t packets;	/* sent */
	struct set victims;	/* of WHO_VICTIM */
	struct watch watch;
	/* Who wants to know: of an EV_ACTION; of every exchange that came back */
	const struct scenario *scenario;
	void (*on_action)(struct world *w, uint32_t id);
	void (*on_exchange)(struct world *w, const struct berk_sample *s);
	void *arg;		/* theirs */

	struct slot *heap;
	size_t n_heap, size;
	uint64_t order;
	struct event *events;
	uint32_t *idle;
	size_t n_events, n_idle;
};

/* Hosts without power; to be configured and booted. Aborts when there is no memory. */
void world_init(struct world *w, uint64_t seed, int n);
void world_free(struct world *w);
void world_run(struct world *w, int64_t until);
struct pair *world_pair(struct world *w, int from, int to);
/* Changes one property of these directions, those that exist and those to come. */
void world_link(struct world *w, const struct link_rule *rule);
/* A new event of that host; good until the next call. */
struct event *world_schedule(struct world *w, int64_t at, enum event_type type, int host);
union node_addr world_addr(int host);
int world_host(const union node_addr *addr);
/* Sends it on its way from p->from to p->to. */
void world_transmit(struct world *w, const struct packet *p, struct rng *r);
/* The copies of a payload that are on their way keep it. */
struct payload *world_payload(const void *bytes, size_t len);
void world_drop(struct payload *payload);
/* Who that is at this moment, and remembers the master and the standby as victims. */
struct set world_resolve(struct world *w, const struct set *set);
/* The master that most follow, or -1. */
int world_master(const struct world *w);
/* Neither a liar nor hit by a fault, nor is its clock just being put right. */
bool world_healthy(const struct world *w, const struct host *h);
/* That was a moment ago, or is to come; -1: never. */
bool world_lately(const struct world *w, int64_t when);
void *world_alloc(void *old, size_t n, size_t size);

/* --- lie.c */
void lie_begin(struct world *w, struct host *h, const struct lie *lie);
/* A stamp that the liar takes of a packet from or to that peer. */
void lie_stamp(struct world *w, struct host *h, int peer, struct berk_stamp *at);
/* A correction that the liar sends. */
void lie_correct(struct world *w, const struct host *h, int to, struct msg_correct *c);

/* --- watch.c: what happens, event by event */
void watch_send(struct world *w, struct host *h, const struct msg *msg);
void watch_publish(struct world *w, struct host *h);
void watch_note(struct world *w, const struct host *h, struct host *peer,
		const struct node_note *note);
void watch_step(struct world *w, const struct host *h, int64_t step_ns);
/* A fault befalls these. */
void watch_fault(struct world *w, const struct set *hit);
__attribute__((format(printf, 4, 5)))
void watch_breach(struct world *w, enum breach what, const struct host *h, const char *fmt, ...);

/* --- module.c: kmod, in short */
void module_add_peer(struct world *w, struct host *h, int peer);
void module_del_peer(struct world *w, struct host *h, int peer);
/* -1: there is none */
int module_peer(const struct module *mod, uint32_t index);
void module_clear_peers(struct world *w, struct host *h);
void module_boot(struct world *w, struct host *h);
void module_free(struct module *mod);
/* As the ROUND request: nothing happens while another one runs. */
void module_round(struct world *w, struct host *h, const struct node_round *round);
void module_probe(struct world *w, struct host *h);
void module_deadline(struct world *w, struct host *h, uint32_t round);
void module_answer(struct world *w, struct host *h, const struct packet *probe);
void module_packet(struct world *w, struct host *h, const struct packet *p);

/* --- host.c: power, and what berkd does */
/* ppb: the error of its crystal; offset: of REALTIME, ns. Powered, without daemon. */
void host_init(struct world *w, int id, const struct osc_conf *osc, double offset);
/* What the configuration file says from now on; a running daemon reads it again. */
void host_configure(struct host *h);
void host_start(struct world *w, struct host *h);	/* the daemon */
/* graceful: the daemon stops; otherwise it is killed. */
void host_stop(struct world *w, struct host *h, bool graceful);
void host_power_off(struct world *w, struct host *h);
/* rtc: what REALTIME is then off by, ns */
void host_power_on(struct world *w, struct host *h, double rtc);
void host_pause(struct world *w, struct host *h, int64_t ns);
/* Somebody steps the clock. */
void host_step(struct world *w, struct host *h, int64_t ns);
double host_wake(struct host *h);
struct node_now host_now(struct world *w, struct host *h);
/* What the node says of itself and is still valid. */
enum berk_state host_state(struct world *w, struct host *h);
/* Its error bound at present, ns; INFINITY: none. */
double host_bound(struct world *w, struct host *h);
void host_act(struct world *w, struct host *h);
void host_timer(struct world *w, struct host *h, uint32_t id);
void host_round_done(struct world *w, struct host *h, uint32_t round);
void host_ctrl(struct world *w, struct host *h, const struct packet *p);

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
	/* t(ime) r(ate) p(art) n(umber), capital: may differ by host; or w and the words: 0, 1... */
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
	DO_LINK, DO_OSC, DO_HOST, DO_CONF, DO_PEER, DO_OFFSET, DO_ABSENT,
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
	char *err;		/* ERR_MAX */
};

/* Adds it to the scenario; false: err says what is wrong and what is accepted. */
bool statement_parse(struct line *l);

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
	double *clock, *crystal;	/* then, ns; NAN: did not count */
	double last;		/* ppb: of the largest group, in the window before; NAN */
	double jump, excess;	/* ppb: largest so far, NAN */
};

struct rate *rate_new(int n);
void rate_free(struct rate *r);
void rate_look(struct rate *r, const struct groups *g, struct world *w);

/* --- metrics.c: the true clocks, seen from outside */
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

#endif /* BERK_SIM_H */
