// SPDX-License-Identifier: GPL-2.0
/*
 * track: estimates one peer's phase and rate from the delays of both
 * directions, kept apart
 *
 * For symmetric exponential delays (min u - min v) / 2 is the maximum
 * likelihood estimator of the phase (Jeske, IEEE Trans. Commun. 53(1), 2005).
 * Minima over a long window are the most precise but need the rate to bring
 * old points to the present. So a Kalman filter over the minima of single
 * rounds gives a first opinion of the rate, and the likelihood of all delays
 * of the window weighs the rates near it.
 */
#include <math.h>
#include <string.h>

#include "track.h"

#define RATE_SIGMA_START	100e3	/* ppb: any crystal in use */
#define STAMP_VAR	(30.0 * 30.0)	/* ns^2: of a stamp, however short the delay */
#define SPREAD_MIN	20.0		/* ns */
#define OUTLIER		5.0		/* sigmas */
#define SPREAD_ROUNDS	32		/* over which the spread is averaged */
#define EXACT_MEMORY	16000000000LL	/* ns: soft stamps are ignored for so long */
#define CONTRADICTION	1e6		/* ns beyond what the round trip allows */
#define STAMP_SLACK	1000	/* ns: of stamps on a way without delay */
#define CRYSTAL_PART	1000	/* no crystals differ by more than one part in that */
#define SLOPE_MAX	2e6	/* ppb: no clock slews faster */
#define SLOPE_SPAN	1000000LL	/* ns: too short to measure a slope */
#define SLACK		0.7		/* sigmas of wander that age costs a point */
#define RATES		8		/* candidates on either side, up to 3 sigma */
#define ZOOM		4		/* how much closer they are moved together */
#define ZOOMS		10		/* at most */

/* Typical quartz without an oven: 3 ppb per sqrt(s). */
static const struct kalman_noise noise = { .white_fm = 1, .random_walk = 9 };

static double seconds(int64_t ns)
{
	return (double)ns * 1e-9;
}

void track_init(struct track *t)
{
	*t = (struct track){
		.exact_u = INT64_MIN,
		.exact_v = INT64_MIN,
		.kf.p11 = RATE_SIGMA_START * RATE_SIGMA_START,
	};
}

/* Peers choose two of the stamps: keep every difference far from overflow. */
static bool stamp_sane(const struct berk_stamp *s)
{
	return s->raw_ns >= 0 && s->raw_ns < INT64_MAX / 4 &&
	       s->real_ns >= 0 && s->real_ns <= INT64_MAX / 2;
}

/* Bad stamps of any kind lengthen a delay; one that shortens it would be believed for long. */
static bool round_trip_sane(const struct berk_sample *s)
{
	int64_t there = s->t3.raw_ns - s->t2.raw_ns, total = s->t4.raw_ns - s->t1.raw_ns;

	return total - there >= -(STAMP_SLACK + there / CRYSTAL_PART);
}

static bool sample_sane(const struct berk_sample *s)
{
	for (int i = 0; i < 4; i++)
		if (s->src[i] < BERK_STAMP_DRIVER || s->src[i] > BERK_STAMP_SOFT)
			return false;
	return stamp_sane(&s->t1) && stamp_sane(&s->t2) && stamp_sane(&s->t3) &&
	       stamp_sane(&s->t4) && s->t4.raw_ns >= s->t1.raw_ns &&
	       s->t3.raw_ns >= s->t2.raw_ns && round_trip_sane(s);
}

/*
 * A late or soft stamp only ever lengthens the delay of its direction, which
 * the minimum sorts out; but it spoils the spread, so it counts only from a
 * peer that has no better ones.
 */
static double direction(double delay, bool exact, int64_t at, int64_t *last_exact)
{
	if (exact)
		*last_exact = at > *last_exact ? at : *last_exact;
	else if (*last_exact != INT64_MIN && at - *last_exact < EXACT_MEMORY)
		return INFINITY;
	return delay;
}

/*
 * Whatever the delays were, the phase lies between -v and u. An estimate (at
 * first: another sample) outside that range is of a clock that no longer exists.
 */
static bool contradicts(const struct track *t, double u, double v, int64_t at)
{
	const struct track_point *p = &t->ring[(t->head - 1) % TRACK_POINTS];
	double low, high, tolerance;

	if (t->ready) {
		double dt = seconds(at - t->raw);

		low = high = t->phase + t->rate_ppb * dt;
		tolerance = OUTLIER * (t->sigma_ns + t->rate_sigma_ppb * fabs(dt));
	} else if (t->count) {
		low = -p->v;
		high = p->u;
		tolerance = 2 * RATE_SIGMA_START * fabs(seconds(at - p->t4));
	} else {
		return false;
	}
	tolerance += CONTRADICTION;
	return low > u + tolerance || high < -v - tolerance;
}

static bool duplicate(const struct track *t, const struct berk_sample *s)
{
	unsigned int n = t->count < BERK_BURST_MAX ? t->count : BERK_BURST_MAX;

	for (unsigned int i = 1; i <= n; i++)
		if (t->ring[(t->head - i) % TRACK_POINTS].t1 == s->t1.raw_ns)
			return true;
	return false;
}

static void keep_pair(struct track *t, const struct berk_sample *s)
{
	if (s->flags & (BERK_SAMPLE_LOCAL_STEP | BERK_SAMPLE_PEER_STEP))
		return;
	if (t->have_pair && s->t3.raw_ns <= t->last.t3.raw_ns)
		return;
	if (!t->have_pair || s->local_set_seq != t->last.local_set_seq ||
	    s->peer_set_seq != t->last.peer_set_seq) {
		t->first = *s;
		t->have_before = false;
	} else if (s->round != t->last.round) {
		t->first = *s;
		t->before = t->last;
		t->have_before = true;
	}
	t->last = *s;
	t->have_pair = true;
}

static bool slope_spans(const struct berk_sample *a, const struct berk_sample *b)
{
	return b->t3.raw_ns - a->t2.raw_ns >= SLOPE_SPAN &&
	       b->t4.raw_ns - a->t1.raw_ns >= SLOPE_SPAN;
}

/*
 * The last sample of a round comes with the next one. While the rate is hardly
 * known, it tells the filter nothing of the present.
 */
static bool stale(const struct track *t, const struct berk_sample *s)
{
	double gap = seconds(s->t1.raw_ns - t->ring[(t->head - 2) % TRACK_POINTS].t1);

	return sqrt(t->kf.p11) * gap > fmin(t->spread_u, t->spread_v);
}

static enum track_verdict start_over(struct track *t, const struct berk_sample *s)
{
	track_init(t);
	track_sample(t, s);
	return TRACK_RESTARTED;
}

enum track_verdict track_sample(struct track *t, const struct berk_sample *s)
{
	struct track_point *p;
	double u, v;

	if (!sample_sane(s))
		return TRACK_DROPPED;
	if (t->started && t->node_id != s->node_id)
		return start_over(t, s);
	if (!t->started) {
		t->started = true;
		t->node_id = s->node_id;
		t->base = s->t2.raw_ns - s->t1.raw_ns;
	}
	u = (double)(s->t2.raw_ns - s->t1.raw_ns - t->base);
	v = (double)(s->t4.raw_ns - s->t3.raw_ns + t->base);
	if (contradicts(t, u, v, s->t4.raw_ns))
		return ++t->contradictions < 2 ? TRACK_DROPPED : start_over(t, s);
	if (duplicate(t, s))
		return TRACK_DROPPED;
	t->contradictions = 0;
	keep_pair(t, s);
	p = &t->ring[t->head++ % TRACK_POINTS];
	p->t1 = s->t1.raw_ns;
	p->t4 = s->t4.raw_ns;
	p->u = direction(u, s->src[0] == BERK_STAMP_DRIVER && s->src[1] == BERK_STAMP_DRIVER,
			 p->t1, &t->exact_u);
	p->v = direction(v, s->src[2] == BERK_STAMP_DRIVER && s->src[3] == BERK_STAMP_DRIVER,
			 p->t4, &t->exact_v);
	if (t->count < TRACK_POINTS)
		t->count++;
	if (s->round != t->round && stale(t, s))
		t->fresh = 0;
	t->round = s->round;
	if (t->fresh < TRACK_POINTS)
		t->fresh++;
	return TRACK_TAKEN;
}

/* The smallest delay of one direction over the newest points. */
struct floor {
	double value;	/* ns, brought to the common instant, with the allowance below */
	double walk;	/* ns: what the crystals may have wandered since that point */
	double mean;	/* of all n, ns */
	double age;	/* s: mean of all n */
	unsigned int n;
};

/* How far, in ns, the wander of the crystals leads a prediction over dt seconds astray. */
static double walk_sigma(double dt)
{
	return fabs(dt) * sqrt(noise.random_walk * fabs(dt) / 3);
}

static void floor_add(struct floor *f, double delay, double dt)
{
	double walk = SLACK * walk_sigma(dt);

	if (!isfinite(delay))
		return;
	f->n++;
	f->mean += (delay - f->mean) / f->n;
	f->age += (dt - f->age) / f->n;
	if (delay + walk < f->value) {
		f->value = delay + walk;
		f->walk = walk;
	}
}

/* Both floors over the n newest points, de-trended with the rate to local raw time `at`. */
static bool floors(const struct track *t, unsigned int n, int64_t at, double rate,
		   struct floor *u, struct floor *v)
{
	*u = *v = (struct floor){ .value = INFINITY };
	for (unsigned int i = 1; i <= n; i++) {
		const struct track_point *p = &t->ring[(t->head - i) % TRACK_POINTS];
		double du = seconds(at - p->t1), dv = seconds(at - p->t4);

		floor_add(u, p->u + rate * du, du);
		floor_add(v, p->v - rate * dv, dv);
	}
	return u->n && v->n;
}

/* rounds: how many there were before */
static void learn_spread(double *spread, const struct floor *round, double least,
			 unsigned int rounds)
{
	double excess = fmax(round->mean - least, 0);

	if (rounds)
		*spread += (excess - *spread) / fmin(rounds + 1, SPREAD_ROUNDS);
	else if (round->n > 1)
		*spread = excess * round->n / (round->n - 1);
	else
		*spread = fabs(round->mean);	/* nothing to compare with */
	*spread = fmax(*spread, SPREAD_MIN);
}

/*
 * For exponential delays of mean `spread`, the smallest of n exceeds the least
 * possible one by spread / n, and that is its standard deviation, too.
 */
static double floor_var(const struct track *t, const struct floor *u, const struct floor *v)
{
	double su = t->spread_u / u->n, sv = t->spread_v / v->n;

	return (su * su + sv * sv) / 4 + STAMP_VAR;
}

/*
 * A phase that disagrees moves the filter by OUTLIER sigmas at most; if the
 * next one disagrees as well, the crystal or the route has changed: forget.
 */
static void filter_update(struct track *t, double phase, double r, int64_t now)
{
	double innovation = phase - t->kf.phase;
	double excess = fabs(innovation) / (OUTLIER * sqrt(t->kf.p00 + r));

	if (excess <= 1) {
		t->outlier = false;
		t->agreed_raw = now;
	} else if (!t->outlier) {
		t->outlier = true;
		r = (t->kf.p00 + r) * excess * excess - t->kf.p00;
	} else {
		double rate = innovation / fmax(seconds(now - t->agreed_raw), 1e-3);

		t->kf.p00 += innovation * innovation;
		t->kf.p11 = fmin(t->kf.p11 + rate * rate, RATE_SIGMA_START * RATE_SIGMA_START);
		t->count = t->fresh;
		t->outlier = false;
	}
	kalman_update(&t->kf, innovation, r);
}

static void filter_round(struct track *t, int64_t now)
{
	struct floor u, v, window_u, window_v;
	bool first = !t->ready;
	double r, span;

	if (!floors(t, t->fresh, now, t->kf.rate, &u, &v))
		return;
	/* at first, the rate is not known well enough to look further back */
	floors(t, first ? t->fresh : t->count, now, t->rate_ppb, &window_u, &window_v);
	learn_spread(&t->spread_u, &u, window_u.value, t->rounds);
	learn_spread(&t->spread_v, &v, window_v.value, t->rounds);
	t->rounds++;
	span = seconds(now - t->ring[(t->head - t->fresh) % TRACK_POINTS].t1);
	r = floor_var(t, &u, &v) + t->kf.p11 * span * span / 12;
	if (first) {
		kalman_init(&t->kf, (u.value - v.value) / 2, sqrt(r), 0, RATE_SIGMA_START);
		t->agreed_raw = now;
		t->ready = true;
	} else {
		filter_update(t, (u.value - v.value) / 2, r, now);
	}
}

/* What both floors say if the rate is the given one. */
struct candidate {
	double weight;	/* log likelihood */
	double phase;	/* ns */
	double walk;	/* ns, 1 sigma */
	double delay;	/* ns */
	double age;	/* s, mean */
	double floor_var; /* ns^2 */
};

static bool judge(const struct track *t, int64_t now, double rate, struct candidate *c)
{
	struct floor u, v;

	if (!floors(t, t->count, now, rate, &u, &v))
		return false;
	c->weight = u.n * (u.value - u.mean) / t->spread_u +
		    v.n * (v.value - v.mean) / t->spread_v;
	c->phase = (u.value - t->spread_u / u.n - v.value + t->spread_v / v.n) / 2;
	c->walk = (u.walk + v.walk) / (2 * SLACK);
	c->delay = u.value - u.walk + v.value - v.walk;
	c->age = (u.age + v.age) / 2;
	c->floor_var = floor_var(t, &u, &v);
	return true;
}

/* The candidates for the rate, weighed: their sum, mean and variance. */
struct posterior {
	struct candidate best;
	double best_rate;
	double sum, phase, phase_var, rate, rate_var;
};

static bool weigh(const struct track *t, int64_t now, double centre, double step,
		  struct posterior *p)
{
	struct candidate c[2 * RATES + 1];

	*p = (struct posterior){ .best.weight = -INFINITY };
	for (int i = -RATES; i <= RATES; i++) {
		double rate = centre + i * step, off = rate - t->kf.rate;
		struct candidate *k = &c[i + RATES];

		if (!judge(t, now, rate, k))
			return false;
		k->weight -= off * off / (2 * t->kf.p11);
		if (k->weight > p->best.weight) {
			p->best = *k;
			p->best_rate = rate;
		}
	}
	for (int i = -RATES; i <= RATES; i++) {
		double w = exp(c[i + RATES].weight - p->best.weight);
		double d = c[i + RATES].phase - p->best.phase;
		double r = centre + i * step - p->best_rate;

		p->sum += w;
		p->phase += w * d;
		p->phase_var += w * d * d;
		p->rate += w * r;
		p->rate_var += w * r * r;
	}
	p->phase /= p->sum;
	p->rate /= p->sum;
	p->phase_var = fmax(p->phase_var / p->sum - p->phase * p->phase, 0);
	p->rate_var = fmax(p->rate_var / p->sum - p->rate * p->rate, 0);
	return true;
}

/*
 * Given the rate, each direction's delays are a floor plus an exponential, so
 * the likelihood of the window has a closed form. Candidates for the rate are
 * weighed with it and with the filter's opinion; their mean is the estimate,
 * with the uncertainty of the rate integrated out. Both come from the same
 * delays, so their agreement counts for half: hence the factors 2.
 *
 * The weight is concave in the rate: where it is sharper than the candidates
 * are apart, they can safely be moved together.
 */
static void publish(struct track *t, int64_t now)
{
	double centre = t->kf.rate, step = 3 * sqrt(t->kf.p11) / RATES;
	struct posterior p;

	for (int i = 0; i < ZOOMS; i++) {
		if (!weigh(t, now, centre, step, &p))
			return;
		if (4 * p.rate_var >= step * step)
			break;
		centre = p.best_rate;
		step /= ZOOM;
	}
	t->raw = now;
	t->phase = p.best.phase + p.phase;
	t->sigma_ns = sqrt(2 * p.phase_var + p.best.walk * p.best.walk + p.best.floor_var);
	t->rate_ppb = p.best_rate + p.rate;
	t->rate_sigma_ppb = sqrt(2 * p.rate_var + noise.random_walk * p.best.age / 2);
	t->delay_ns = fmax(p.best.delay, 0);
}

bool track_update(struct track *t, int64_t now)
{
	if (!t->count)
		return false;
	if (t->ready)
		kalman_predict(&t->kf, &noise, fmax(seconds(now - t->kf_raw), 0));
	t->kf_raw = now;
	if (t->fresh)
		filter_round(t, now);
	if (t->ready)
		publish(t, now);
	t->fresh = 0;
	return t->ready;
}

int64_t track_peer_raw(const struct track *t, int64_t local_raw)
{
	double phase = t->phase + t->rate_ppb * seconds(local_raw - t->raw);

	return local_raw + t->base + llrint(phase);
}

int64_t track_local_raw(const struct track *t, int64_t peer_raw)
{
	double elapsed = (double)(peer_raw - t->base - t->raw) - t->phase;

	return t->raw + llrint(elapsed / (1 + t->rate_ppb * 1e-9));
}

static double slope_ppb(const struct berk_stamp *a, const struct berk_stamp *b)
{
	int64_t real = b->real_ns - a->real_ns, raw = b->raw_ns - a->raw_ns;

	return (double)(real - raw) / (double)raw * 1e9;
}

/* REALTIME between two readings of the same clock. */
static int64_t real_between(const struct berk_stamp *a, const struct berk_stamp *b, int64_t raw)
{
	if (b->raw_ns - a->raw_ns <= 0)
		return b->real_ns + (raw - b->raw_ns);
	return b->real_ns + (raw - b->raw_ns) +
	       llrint((double)(raw - b->raw_ns) * slope_ppb(a, b) * 1e-9);
}

bool track_ref(const struct track *t, struct track_ref *ref)
{
	const struct berk_sample *a = &t->first, *b = &t->last;

	if (!t->ready || !t->have_pair)
		return false;
	ref->peer = b->t3;
	ref->local.raw_ns = track_local_raw(t, b->t3.raw_ns);
	ref->local.real_ns = real_between(&b->t1, &b->t4, ref->local.raw_ns);
	ref->local_set_seq = b->local_set_seq;
	ref->peer_slope_ppb = 0;
	ref->local_slope_ppb = 0;
	/* Of a round that lost all samples but one the slope must come from before. */
	if (!slope_spans(a, b) && t->have_before)
		a = &t->before;
	if (slope_spans(a, b)) {
		ref->peer_slope_ppb = slope_ppb(&a->t2, &b->t3);
		ref->local_slope_ppb = slope_ppb(&a->t1, &b->t4);
	}
	return fabs(ref->peer_slope_ppb) < SLOPE_MAX && fabs(ref->local_slope_ppb) < SLOPE_MAX;
}
