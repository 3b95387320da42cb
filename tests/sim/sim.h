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
 *	watch: what happens between the nodes
 * Scenarios, and those who look at the true clocks, are in scenario.h.
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
	int clock_of;		/* the host whose clock this one uses: itself, usually */
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
	int64_t settled;	/* from when on those are counted: */
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
	const char *listen;	/* for this in the logs, or NULL */
	/* Who wants to know: of an EV_ACTION; of every exchange that came back; of a new state */
	void (*on_action)(struct world *w, uint32_t id);
	void (*on_exchange)(struct world *w, const struct berk_sample *s);
	void (*on_publish)(struct world *w, struct host *h);
	const void *plan;	/* of the first */
	void *arg;		/* of the others */

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
/* It follows a master that lies, or did not long ago. */
bool world_misled(const struct world *w, const struct host *h);
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
/* The clock that it uses. */
struct vclock *host_clock(struct world *w, const struct host *h);
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

#endif /* BERK_SIM_H */
