// SPDX-License-Identifier: GPL-2.0
/*
 * ideal: how well the clocks could be known at all
 *
 * A particle filter (Gordon, Salmond, Smith, IEE Proc. F 140(2), 1993; systematic
 * resampling: Kitagawa 1996) that is told what no estimator can know: the density
 * of the delays, the smallest one of each direction, the wander of the crystals
 * and, at the start, the truth. With enough particles its mean has the smallest
 * mean square error that any estimator of this link can have. It is fed with
 * the samples of a simulated group, and so is the real track beside it.
 *
 * One link at a time: that all links share the master's crystal is not made use
 * of. Errors are taken when the last sample of a round has come, and once more
 * when the first of the next round comes: till then crystals wander on.
 */
#include <math.h>
#include <string.h>

#include "scenario.h"
#include "track.h"

#define PARTICLES	4000
#define LINKS		4
#define BURST_GAP	(300 * SIM_MS)	/* longer than within a burst, shorter than between two */
#define START		(100 * SIM_S)	/* of the filters; track has had time to learn */
#define SETTLED		(200 * SIM_S)
#define DURATION	(3200 * SIM_S)
#define START_PHASE	2000.0	/* ns, sigma around the truth */
#define START_RATE	30.0	/* ppb, likewise */

struct particle {
	double phase, rate;	/* ns, ppb: the peer's RAW against ours */
	double weight;
};

struct filter {
	struct particle particle[PARTICLES];
	int64_t at;		/* local raw: when the phases are so */
	double wander;		/* ppb per sqrt(s), of the two crystals together */
	struct link_conf there, back;
	struct rng rng;
};

struct leaf {			/* a slave of the star */
	struct filter filter;
	struct track track;
	int64_t base;		/* phases count from here */
	int64_t raw;		/* local, of the last sample's arrival... */
	double phase;		/* ...and the truth at that moment, ns */
};

enum { IDEAL, TRACK, METHODS };
enum { AFTER, BEFORE, MOMENTS };	/* a round, the next one */

struct estimate {		/* as in struct particle, when the last sample came */
	double phase, rate;
};

struct score {
	struct hist error;	/* ns, absolute */
	double square;
};

struct star {
	struct leaf leaf[LINKS];
	int64_t arrival;	/* true time */
	bool started, lost;
	struct score link[METHODS][LINKS];
	struct hist spread[METHODS][MOMENTS];
};

/* Density of a delay of so much more than the base, times the mean jitter. */
static double density(const struct link_conf *c, double excess)
{
	double e, spiked;

	if (excess < 0)
		return 0;
	e = exp(-excess / c->jitter);
	if (c->spike_p == 0)
		return e;
	/* uniform plus exponential */
	spiked = excess < c->spike_high ? 1 - e : e * expm1(c->spike_high / c->jitter);
	return (1 - c->spike_p) * e + c->spike_p * c->jitter / c->spike_high * spiked;
}

static void filter_start(struct filter *f, int64_t at, double phase, double rate)
{
	double z[2];

	f->at = at;
	for (size_t i = 0; i < PARTICLES; i++) {
		rng_normal2(&f->rng, z);
		f->particle[i] = (struct particle){ phase + START_PHASE * z[0],
						    rate + START_RATE * z[1], 1 };
	}
}

/* The exact distribution of random-walk FM, as in osc.c. */
static void filter_predict(struct filter *f, int64_t at)
{
	double z[2], dt = (double)(at - f->at) * 1e-9, walk = f->wander * sqrt(dt);

	f->at = at;
	for (struct particle *p = f->particle; p < f->particle + PARTICLES; p++) {
		rng_normal2(&f->rng, z);
		p->phase += p->rate * dt + walk * dt * (z[0] / 2 + z[1] / (2 * sqrt(3)));
		p->rate += walk * z[0];
	}
}

/* Within a burst crystals wander by less than a nanosecond. */
static void filter_weigh(struct filter *f, const struct berk_sample *s, int64_t base)
{
	double u = (double)(s->t2.raw_ns - s->t1.raw_ns - base) - f->there.base;
	double v = (double)(s->t4.raw_ns - s->t3.raw_ns + base) - f->back.base;
	double t1, t4;

	if (s->t1.raw_ns - f->at > BURST_GAP)
		filter_predict(f, s->t1.raw_ns);
	t1 = (double)(s->t1.raw_ns - f->at) * 1e-9;
	t4 = (double)(s->t4.raw_ns - f->at) * 1e-9;
	for (struct particle *p = f->particle; p < f->particle + PARTICLES; p++)
		if (p->weight > 0)
			p->weight *= density(&f->there, u - (p->phase + p->rate * t1)) *
				     density(&f->back, v + (p->phase + p->rate * t4));
}

static void filter_resample(struct filter *f, double sum)
{
	static struct particle old[PARTICLES];
	double step = sum / PARTICLES, upto = 0, position = rng_uniform(&f->rng) * step;
	size_t from = 0;

	memcpy(old, f->particle, sizeof(old));
	upto = old[0].weight;
	for (size_t i = 0; i < PARTICLES; i++, position += step) {
		while (upto < position && from < PARTICLES - 1)
			upto += old[++from].weight;
		f->particle[i] = old[from];
		f->particle[i].weight = 1;
	}
}

/* At the end of a round, for `at`. False: no particle explains the samples. */
static bool filter_estimate(struct filter *f, int64_t at, struct estimate *e)
{
	double sum = 0, dt = (double)(at - f->at) * 1e-9;

	*e = (struct estimate){ 0 };
	for (size_t i = 0; i < PARTICLES; i++) {
		const struct particle *p = &f->particle[i];

		sum += p->weight;
		e->phase += p->weight * (p->phase + p->rate * dt);
		e->rate += p->weight * p->rate;
	}
	if (!(sum > 0))
		return false;
	e->phase /= sum;
	e->rate /= sum;
	filter_resample(f, sum);
	return true;
}

static struct estimate track_estimate(struct leaf *l)
{
	track_update(&l->track, l->raw);
	return (struct estimate){
		(double)(track_peer_raw(&l->track, l->raw) - l->raw - l->base),
		l->track.rate_ppb,
	};
}

/* Of the slaves' errors and the master's clock, which is where it is. */
static double spread(const double error[LINKS])
{
	double low = 0, high = 0;

	for (int i = 0; i < LINKS; i++) {
		low = fmin(low, error[i]);
		high = fmax(high, error[i]);
	}
	return high - low;
}

static void take_scores(struct world *w, struct star *st, int method,
			const struct estimate estimate[LINKS])
{
	int64_t raw = vclock_read(&w->host[0].clock, w->now).raw_ns;
	double after[LINKS], before[LINKS];

	for (int i = 0; i < LINKS; i++) {
		const struct leaf *l = &st->leaf[i];
		const struct estimate *e = &estimate[i];
		struct score *score = &st->link[method][i];
		int64_t peer = vclock_read(&w->host[i + 1].clock, w->now).raw_ns;

		after[i] = e->phase - l->phase;
		before[i] = e->phase + e->rate * (double)(raw - l->raw) * 1e-9 -
			    (double)(peer - raw - l->base);
		hist_add(&score->error, fabs(after[i]));
		score->square += after[i] * after[i];
	}
	hist_add(&st->spread[method][AFTER], spread(after));
	hist_add(&st->spread[method][BEFORE], spread(before));
}

/* False: the filter has lost the truth, which means that its model is wrong. */
static bool end_round(struct world *w, struct star *st)
{
	struct estimate estimate[METHODS][LINKS];

	for (int i = 0; i < LINKS; i++) {
		struct leaf *l = &st->leaf[i];

		estimate[TRACK][i] = track_estimate(l);
		if (st->started && !filter_estimate(&l->filter, l->raw, &estimate[IDEAL][i]))
			return false;
	}
	if (st->arrival >= SETTLED)
		for (int m = 0; m < METHODS; m++)
			take_scores(w, st, m, estimate[m]);
	return true;
}

static void begin(struct world *w, struct star *st)
{
	double master = osc_rate(&w->host[0].clock.osc);

	for (int i = 0; i < LINKS; i++) {
		struct leaf *l = &st->leaf[i];

		filter_start(&l->filter, l->raw, l->phase,
			     osc_rate(&w->host[i + 1].clock.osc) - master);
	}
	st->started = true;
}

static void on_exchange(struct world *w, const struct berk_sample *s)
{
	struct star *st = w->arg;
	int i = (int)s->node_id - (int)w->host[1].node_conf.node_id;
	struct leaf *l = &st->leaf[i];
	int64_t peer = vclock_read(&w->host[i + 1].clock, w->now).raw_ns;

	if (w->now - st->arrival > BURST_GAP && st->arrival) {
		st->lost |= !end_round(w, st);
		if (!st->started && w->now >= START)
			begin(w, st);
	}
	st->arrival = w->now;
	if (!l->base)
		l->base = s->t2.raw_ns - s->t1.raw_ns;
	l->raw = vclock_read(&w->host[0].clock, w->now).raw_ns;
	l->phase = (double)(peer - l->raw - l->base);
	track_sample(&l->track, s);
	if (st->started)
		filter_weigh(&l->filter, s, l->base);
}

static void star_init(struct star *st, struct world *w)
{
	*st = (struct star){ 0 };
	w->arg = st;
	w->on_exchange = on_exchange;
	for (int i = 0; i < LINKS; i++) {
		struct filter *f = &st->leaf[i].filter;

		track_init(&st->leaf[i].track);
		f->wander = hypot(w->host[0].clock.osc.conf.walk,
				  w->host[i + 1].clock.osc.conf.walk);
		f->there = world_pair(w, 0, i + 1)->link.conf;
		f->back = world_pair(w, i + 1, 0)->link.conf;
		rng_init(&f->rng, w->seed, RNG_PARTICLE, (uint64_t)i, 0);
	}
}

/* figure: the lower and the higher one, ns, by method */
static void print_row(const char *name, const char *low_name, double figure[METHODS][2])
{
	printf("  %-21s%s %6.3f %6.3f   p99 %6.3f %6.3f   %.2f\n", name, low_name,
	       figure[IDEAL][0] * 1e-3, figure[TRACK][0] * 1e-3, figure[IDEAL][1] * 1e-3,
	       figure[TRACK][1] * 1e-3, figure[TRACK][1] / figure[IDEAL][1]);
}

static void print_scores(const struct star *st)
{
	static const char *const moments[] = { "spread after a round", "spread before next" };
	double figure[METHODS][2];
	char name[20];

	for (int i = 0; i < LINKS; i++) {
		for (int m = 0; m < METHODS; m++) {
			const struct score *s = &st->link[m][i];

			figure[m][0] = sqrt(s->square / (double)s->error.n);
			figure[m][1] = hist_quantile(&s->error, 0.99);
		}
		snprintf(name, sizeof(name), "node %d", i + 1);
		print_row(name, "rms", figure);
	}
	for (int k = 0; k < MOMENTS; k++) {
		for (int m = 0; m < METHODS; m++) {
			figure[m][0] = hist_quantile(&st->spread[m][k], 0.5);
			figure[m][1] = hist_quantile(&st->spread[m][k], 0.99);
		}
		print_row(moments[k], "p50", figure);
	}
}

static bool run(const char *profile, const char *walk)
{
	static struct star star;
	char text[100], err[ERR_MAX];
	struct scenario s;
	struct world w;

	scenario_init(&s, 1);
	snprintf(text, sizeof(text), "profile %s walk=%s\n", profile, walk);
	if (!scenario_parse(&s, profile, text, err) || !scenario_check(&s, profile, err)) {
		fprintf(stderr, "ideal: %s\n", err);
		return false;
	}
	scenario_build(&s, &w, false);
	star_init(&star, &w);
	world_run(&w, DURATION);
	world_free(&w);
	scenario_free(&s);
	if (star.lost) {
		fprintf(stderr, "ideal: %s does not delay as the filter believes, or there are too "
			"few particles\n", profile);
		return false;
	}
	printf("%s, crystals wander by %s per sqrt(s)\n", profile, walk);
	print_scores(&star);
	return true;
}

int main(void)
{
	printf("%-26s  ideal  track        ideal  track   ratio\n", "us");
	return run("J1", "1ppb") && run("J1", "10ppb") &&
	       run("J2", "1ppb") && run("J2", "10ppb") ? 0 : 1;
}
