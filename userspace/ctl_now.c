// SPDX-License-Identifier: GPL-2.0
/* The verb now: between which instants the group's time is. */
#include <stdio.h>

#include <json-c/json.h>

#include "clock.h"
#include "ctl.h"
#include "out.h"

#define TRIES 5

struct now {
	int64_t earliest_ns, latest_ns;	/* since 1970; INT64_MAX: unknown */
	uint64_t error_bound_ns;	/* half the way between them; UINT64_MAX: unknown */
	uint32_t error_growth_ppb;	/* UINT32_MAX: unknown */
	enum berk_state state;
	uint64_t void_after_ms;
};

#define NOW(member, type) OUT_FIELD(now, member, type)

static const struct out_field now_fields[] = {
	{ "earliest", OUT_UTC, offsetof(struct now, earliest_ns) },
	{ "latest", OUT_UTC, offsetof(struct now, latest_ns) },
	NOW(error_bound_ns, OUT_BOUND),
	NOW(error_growth_ppb, OUT_GROWTH),
	NOW(state, OUT_STATE),
	NOW(void_after_ms, OUT_AGE),
	/* only in JSON */
	NOW(earliest_ns, OUT_NS),
	NOW(latest_ns, OUT_NS),
	{ 0 }
};

/* A status, and CLOCK_REALTIME around the instant at which the module gave it. */
struct reading {
	int64_t from_ns, to_ns;
	struct bnl_status status;
};

static int64_t width(const struct reading *r)
{
	return r->to_ns - r->from_ns;
}

/* Of a few, the one that took the least time. Returns 0 or -errno. */
static int read_best(struct ctl *ctl, struct reading *best)
{
	struct node_now before, after;
	struct reading r;
	int err;

	for (int i = 0; i < TRIES; i++) {
		clock_read(&before);
		err = bnl_status(ctl->nl, &r.status);
		if (err)
			return err;
		clock_read(&after);
		/* The clock may be stepped back in between. */
		r.from_ns = before.real_ns < after.real_ns ? before.real_ns : after.real_ns;
		r.to_ns = before.real_ns < after.real_ns ? after.real_ns : before.real_ns;
		if (i == 0 || width(&r) < width(best))
			*best = r;
	}
	return 0;
}

static struct now unsynchronised(void)
{
	return (struct now){
		.earliest_ns = INT64_MAX, .latest_ns = INT64_MAX, .error_bound_ns = UINT64_MAX,
		.error_growth_ppb = UINT32_MAX, .state = BERK_STATE_UNSYNCHRONISED,
	};
}

/*
 * At one instant between from and to the group's time was within CLOCK_REALTIME +-
 * the bound: so it is within the bound of the two. An unknown bound, or an absurd
 * one, overflows.
 */
static struct now interval(const struct reading *r)
{
	const struct bnl_status *s = &r->status;
	struct now now = {
		.error_growth_ppb = s->error_growth_ppb, .state = s->state,
		.void_after_ms = s->void_after_ms,
	};

	if (s->state == BERK_STATE_UNSYNCHRONISED ||
	    __builtin_sub_overflow(r->from_ns, s->error_bound_ns, &now.earliest_ns) ||
	    __builtin_add_overflow(r->to_ns, s->error_bound_ns, &now.latest_ns))
		return unsynchronised();
	now.error_bound_ns = s->error_bound_ns + (uint64_t)(width(r) + 1) / 2;
	return now;
}

static void print_now(const struct ctl *ctl, const struct now *now)
{
	struct out_field shown[sizeof(now_fields) / sizeof(now_fields[0])] = { 0 };
	bool known = now->state != BERK_STATE_UNSYNCHRONISED;
	size_t n = 0;

	if (ctl->json) {
		out_json_print(stdout, out_json(now_fields, now), true);
		return;
	}
	for (const struct out_field *f = now_fields; f->type != OUT_NS; f++)
		if (known || f->type == OUT_STATE)
			shown[n++] = *f;
	out_record(stdout, shown, now, ctl->colour);
}

static void say_why(const struct now *now, const struct bnl_status *status, bool stepped)
{
	if (now->state == BERK_STATE_HOLDOVER)
		fprintf(stderr, "berkctl: holdover: the master is silent, the error bound grows\n");
	else if (stepped)
		fprintf(stderr, "berkctl: unsynchronised: another program has just set this clock\n");
	else if (!ctl_no_daemon(status))
		fprintf(stderr, "berkctl: unsynchronised: the group's time is not known\n");
}

int ctl_now(struct ctl *ctl, int argc, char **argv)
{
	struct reading r;
	struct now now;
	bool stepped;
	int err;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	if (!ctl_open(ctl, 0))
		return CTL_FAILED;
	err = read_best(ctl, &r);
	if (err)
		return ctl_fail(ctl, err, "reading the status");
	now = interval(&r);
	/* No bound survives a step that berkd has not noticed yet. */
	stepped = now.state != BERK_STATE_UNSYNCHRONISED && !clock_is_synchronised();
	if (stepped)
		now = unsynchronised();
	print_now(ctl, &now);
	if (now.state == BERK_STATE_SYNCHRONISED)
		return CTL_OK;
	say_why(&now, &r.status, stepped);
	return CTL_NOT_SYNCHRONISED;
}
