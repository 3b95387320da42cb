// SPDX-License-Identifier: GPL-2.0
/* track: from the samples of one peer to its phase and rate; see window.c, wander.c, path.c */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "track.h"

#define RATE_SIGMA_START	100e3	/* ppb: any crystal in use */
#define OUTLIER		5.0		/* sigmas */
#define EXACT_MEMORY	16000000000LL	/* ns: soft stamps are ignored for so long */
#define CONTRADICTION	1e6		/* ns beyond what the round trip allows */
#define STAMP_SLACK	1000	/* ns: of stamps on a way without delay */
#define CRYSTAL_PART	1000	/* no crystals differ by more than one part in that */
#define SLOPE_MAX	2e6	/* ppb: no clock slews faster */
#define FEW	16.0	/* samples */
#define SLOPE_SPAN	1000000LL	/* ns: too short to measure a slope */

void track_init(struct track *t)
{
	*t = (struct track){
		.exact_u = INT64_MIN,
		.exact_v = INT64_MIN,
		.asymmetry_bound_ns = INFINITY,
		.wander.mean.p11 = RATE_SIGMA_START * RATE_SIGMA_START,
	};
}

/* Peers choose two of the stamps: keep every difference far from overflow. */
static bool stamp_sane(const struct berk_stamp *s)
{
	return s->raw_ns >= 0 && s->raw_ns < INT64_MAX / 4 &&
	       s->real_ns >= 0 && s->real_ns <= INT64_MAX / 2;
}

/*
 * Bad stamps of any kind lengthen a delay; one that shortens it would be believed for long.
 * Of an exchange that the peer began, both intervals are negative.
 */
static bool round_trip_sane(const struct berk_sample *s)
{
	int64_t there = s->t3.raw_ns - s->t2.raw_ns, total = s->t4.raw_ns - s->t1.raw_ns;

	return total - there >= -(STAMP_SLACK + llabs(there) / CRYSTAL_PART);
}

bool track_sane(const struct berk_sample *s)
{
	for (int i = 0; i < 4; i++)
		if (s->src[i] < BERK_STAMP_DRIVER || s->src[i] > BERK_STAMP_SOFT)
			return false;
	return stamp_sane(&s->t1) && stamp_sane(&s->t2) && stamp_sane(&s->t3) &&
	       stamp_sane(&s->t4) && round_trip_sane(s) &&
	       (s->t4.raw_ns >= s->t1.raw_ns ? s->t3.raw_ns >= s->t2.raw_ns :
					       s->t3.raw_ns <= s->t2.raw_ns);
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
 * Returns where the peer's RAW clock is now, seen from there: 1 ahead, -1 behind.
 */
static int contradicts(const struct track *t, double u, double v, int64_t at)
{
	const struct window_point *p = window_point(&t->window, 1);
	double low, high, tolerance;

	if (t->ready) {
		double dt = seconds(at - t->raw);

		low = high = t->phase + t->rate_ppb * dt;
		tolerance = OUTLIER * (t->sigma_ns + t->rate_sigma_ppb * fabs(dt));
	} else if (t->window.count) {
		low = -p->v;
		high = p->u;
		tolerance = 2 * RATE_SIGMA_START * fabs(seconds(at - p->t4));
	} else {
		return 0;
	}
	tolerance += CONTRADICTION;
	return high < -v - tolerance ? 1 : low > u + tolerance ? -1 : 0;
}

static bool duplicate(const struct track *t, const struct berk_sample *s)
{
	const struct window *w = &t->window;

	for (unsigned int i = 1; i <= w->count && i <= BERK_BURST_MAX; i++)
		if (window_point(w, i)->t1 == s->t1.raw_ns)
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
	const struct window *w = &t->window;
	double gap = w->count > 1 ? seconds(s->t1.raw_ns - window_point(w, 2)->t1) : 0;
	return sqrt(t->wander.mean.p11) * gap > fmin(w->spread_u, w->spread_v);
}

static enum track_verdict start_over(struct track *t, const struct berk_sample *s, int jumped)
{
	track_init(t);
	track_sample(t, s);
	t->jumped = jumped;
	return TRACK_RESTARTED;
}

enum track_verdict track_sample(struct track *t, const struct berk_sample *s)
{
	struct window_point p;
	double u, v;
	int jumped;

	if (!track_sane(s))
		return TRACK_DROPPED;
	if (t->started && t->node_id != s->node_id)
		return start_over(t, s, 0);
	if (!t->started) {
		t->started = true;
		t->node_id = s->node_id;
		t->base = s->t2.raw_ns - s->t1.raw_ns;
	}
	u = (double)(s->t2.raw_ns - s->t1.raw_ns - t->base);
	v = (double)(s->t4.raw_ns - s->t3.raw_ns + t->base);
	jumped = contradicts(t, u, v, s->t4.raw_ns);
	if (jumped)
		return ++t->contradictions < 2 ? TRACK_DROPPED : start_over(t, s, jumped);
	if (duplicate(t, s))
		return TRACK_DROPPED;
	t->contradictions = 0;
	keep_pair(t, s);
	p.t1 = s->t1.raw_ns;
	p.t4 = s->t4.raw_ns;
	p.u = direction(u, s->src[0] == BERK_STAMP_DRIVER && s->src[1] == BERK_STAMP_DRIVER,
			p.t1, &t->exact_u);
	p.v = direction(v, s->src[2] == BERK_STAMP_DRIVER && s->src[3] == BERK_STAMP_DRIVER,
			p.t4, &t->exact_v);
	window_add(&t->window, &p);
	if (s->round != t->round && stale(t, s))
		t->fresh = 0;
	t->round = s->round;
	if (t->fresh < WINDOW_POINTS / 4)
		t->fresh++;
	return TRACK_TAKEN;
}

/*
 * Beforehand, the rate is what the filters say; out of a few single samples, whose errors are
 * no Gaussians, they say it too surely.
 */
static struct window_prior prior_of(const struct track *t)
{
	return (struct window_prior){
		.rate_ppb = t->wander.mean.rate,
		.rate_sigma_ppb = sqrt(t->wander.mean.p11) * (1 + FEW / t->window.count),
		.wander = t->wander.ppb,
	};
}

/* What the round under way says of the phase, and with what variance. */
static bool measure(const struct track *t, int64_t now, double *phase, double *r)
{
	const struct kalman *kf = &t->wander.mean;
	struct floor u, v;
	double span;

	if (!window_floors(&t->window, 1, t->fresh, now, kf->rate, &u, &v))
		return false;
	span = seconds(now - window_point(&t->window, t->fresh)->t1);
	*phase = (u.value - v.value) / 2 - t->asymmetry_ns;
	/* a wrong rate draws the floors to opposite ends of the round */
	*r = window_floor_var(&t->window, &u, &v) + kf->p11 * span * span / 4;
	return true;
}

/* The filter stands where the newest sample does: of single probes that is the round before. */
static int64_t newest(const struct track *t, int64_t now)
{
	int64_t at = t->fresh ? window_point(&t->window, 1)->t1 : now;

	return at < t->wander_raw ? t->wander_raw : at;
}

bool track_surprise(const struct track *t, int64_t now, struct track_surprise *s)
{
	const struct window *w = &t->window;
	struct wander expected = t->wander;
	double phase, r, rate = expected.mean.rate;
	int64_t at = newest(t, now);
	struct floor u, v;

	if (!t->ready || !t->fresh || !measure(t, at, &phase, &r))
		return false;
	wander_predict(&expected, seconds(at - t->wander_raw));
	window_floors(w, 1, t->fresh, at, rate, &u, &v);
	s->phase_ns = phase - expected.mean.phase;
	s->delay_ns = u.value - w->spread_u / u.n + v.value - w->spread_v / v.n - t->delay_ns;
	s->sigma_ns = sqrt(expected.mean.p00 + r);
	return true;
}

void track_doubt(struct track *t, double phase_ns, int64_t now)
{
	if (!t->ready)
		return;
	path_clock_changed(t, phase_ns, now);
	if (t->fresh)
		t->agreed_raw = newest(t, now);
}

static void filter_round(struct track *t, int64_t now)
{
	struct wander *w = &t->wander;
	double phase, r;

	if (!t->ready)
		window_learn(&t->window, t->fresh, now, &(struct window_prior){ 0 });
	if (!measure(t, now, &phase, &r))
		return;
	if (!t->ready) {
		wander_init(w, phase, sqrt(r), 0, RATE_SIGMA_START);
		t->ready = true;
	} else if (path_or_clock(t, phase - w->mean.phase, r, now)) {
		return;
	} else {
		measure(t, now, &phase, &r);	/* as it is after a change */
		wander_update(w, phase - w->mean.phase, r);
	}
	t->agreed_raw = now;
}

/*
 * No way there and back takes less than no time. Where the best of both directions do at
 * any rate, some of the stamps are wrong, however well each of their own exchanges looks.
 */
static bool impossible(const struct window_estimate *e)
{
	return e->room_ns < -STAMP_SLACK;
}

/* With the round under way, and nothing of what was known before. */
static void start_window(struct track *t, int64_t now)
{
	double phase, r;

	window_keep(&t->window, t->fresh);
	t->window.suspect = 0;
	t->asymmetry_ns = t->home_delay_ns = t->doubt_ns = 0;
	t->asymmetry_bound_ns = INFINITY;
	t->upset = true;
	window_learn(&t->window, t->fresh, now, &(struct window_prior){ 0 });
	if (measure(t, now, &phase, &r))
		wander_init(&t->wander, phase, sqrt(r), t->wander.mean.rate, RATE_SIGMA_START);
}

static void publish(struct track *t, int64_t now)
{
	struct window_prior prior = prior_of(t);
	struct window_estimate e;

	if (!window_estimate(&t->window, now, &prior, &e))
		return;
	if (t->fresh && impossible(&e)) {
		start_window(t, now);
		prior = prior_of(t);
		t->ready = window_estimate(&t->window, now, &prior, &e) && !impossible(&e);
		if (!t->ready)
			return;
	}
	prior.rate_ppb = e.rate_ppb;
	window_learn(&t->window, t->window.count, now, &prior);
	t->raw = now;
	t->phase = e.phase - t->asymmetry_ns;
	t->sigma_ns = t->window.suspect ? hypot(e.sigma_ns, t->doubt_ns) : e.sigma_ns;
	t->rate_ppb = e.rate_ppb;
	t->rate_sigma_ppb = e.rate_sigma_ppb;
	t->delay_ns = e.delay_ns;
	t->bound_ns = fmin(t->delay_ns / 2 + fabs(t->asymmetry_ns), t->asymmetry_bound_ns);
}

bool track_update(struct track *t, int64_t now)
{
	int64_t at;

	if (!t->window.count)
		return false;
	t->rerouted_ns = 0;
	t->upset = false;
	at = newest(t, now);
	if (t->ready)
		wander_predict(&t->wander, seconds(at - t->wander_raw));
	t->wander_raw = at;
	if (t->fresh)
		filter_round(t, at);
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
