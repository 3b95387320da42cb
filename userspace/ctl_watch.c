// SPDX-License-Identifier: GPL-2.0
/* Verbs that show what happens: samples, monitor. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "ctl.h"
#include "out.h"

/* --- samples */

/* In the order of struct berk_sample, after what people look for first. */
struct sample_row {
	uint64_t seq;
	uint32_t peer, round;
	uint64_t node_id;
	int64_t offset_ns;	/* its clock minus ours */
	int64_t delay_ns;
	char sources[5];	/* of T1..T4: driver, late, soft, none */
	char flags[16];
	int64_t t1_real_ns, t2_real_ns, t3_real_ns, t4_real_ns;
	int64_t t1_raw_ns, t2_raw_ns, t3_raw_ns, t4_raw_ns;
};

#define SAMPLE(member, type) OUT_FIELD(sample_row, member, type)

static const struct out_field sample_fields[] = {
	SAMPLE(seq, OUT_U64),
	SAMPLE(peer, OUT_U32),
	SAMPLE(round, OUT_U32),
	SAMPLE(node_id, OUT_ID),
	SAMPLE(offset_ns, OUT_S64),
	SAMPLE(delay_ns, OUT_S64),
	SAMPLE(sources, OUT_TEXT),
	SAMPLE(flags, OUT_TEXT),
	SAMPLE(t1_real_ns, OUT_S64),
	SAMPLE(t2_real_ns, OUT_S64),
	SAMPLE(t3_real_ns, OUT_S64),
	SAMPLE(t4_real_ns, OUT_S64),
	SAMPLE(t1_raw_ns, OUT_S64),
	SAMPLE(t2_raw_ns, OUT_S64),
	SAMPLE(t3_raw_ns, OUT_S64),
	SAMPLE(t4_raw_ns, OUT_S64),
	{ 0 }
};

static const char *flags_word(unsigned int flags)
{
	switch (flags & (BERK_SAMPLE_LOCAL_STEP | BERK_SAMPLE_PEER_STEP)) {
	case BERK_SAMPLE_LOCAL_STEP:	return "local_step";
	case BERK_SAMPLE_PEER_STEP:	return "peer_step";
	case 0:				return "-";
	default:			return "both_step";
	}
}

static void fill_row(struct sample_row *row, const struct berk_sample *s)
{
	static const char letters[] = "-dls";
	/* T2 and T3 are whatever the peer sent: unsigned, because that may wrap. */
	uint64_t there = (uint64_t)s->t2.real_ns - (uint64_t)s->t1.real_ns;
	uint64_t back = (uint64_t)s->t4.real_ns - (uint64_t)s->t3.real_ns;

	*row = (struct sample_row){
		.seq = s->seq, .peer = s->peer, .round = s->round, .node_id = s->node_id,
		.offset_ns = (int64_t)(there - back) / 2, .delay_ns = (int64_t)(there + back),
		.t1_real_ns = s->t1.real_ns, .t2_real_ns = s->t2.real_ns,
		.t3_real_ns = s->t3.real_ns, .t4_real_ns = s->t4.real_ns,
		.t1_raw_ns = s->t1.raw_ns, .t2_raw_ns = s->t2.raw_ns,
		.t3_raw_ns = s->t3.raw_ns, .t4_raw_ns = s->t4.raw_ns,
	};
	for (int i = 0; i < 4; i++)
		row->sources[i] = s->src[i] <= BERK_STAMP_SOFT ? letters[s->src[i]] : '?';
	strcpy(row->flags, flags_word(s->flags));
}

struct watch {
	struct ctl *ctl;
	struct json_object *list;	/* of samples, or NULL: print each at once */
	bool named;			/* the line of names is out */
	uint64_t next_seq;
	int code;
	bool stop;
};

static void print_row(struct watch *w, const struct sample_row *row)
{
	if (!w->named)
		out_names(stdout, sample_fields);
	w->named = true;
	out_row(stdout, sample_fields, row);
}

static void on_sample(void *arg, const struct berk_sample *sample)
{
	struct watch *w = arg;
	struct sample_row row;

	if (sample->seq < w->next_seq)
		return;
	w->next_seq = sample->seq + 1;
	fill_row(&row, sample);
	if (w->list)
		json_object_array_add(w->list, out_json(sample_fields, &row));
	else if (w->ctl->json)
		out_json_print(stdout, out_json(sample_fields, &row), false);
	else
		print_row(w, &row);
}

static void dump_samples(struct watch *w)
{
	int err = bnl_samples(w->ctl->nl, w->next_seq, on_sample, w);

	if (err) {
		w->code = ctl_fail(w->ctl, err, "reading the samples");
		w->stop = true;
	}
}

static void on_gone(struct watch *w)
{
	fprintf(stderr, "berkctl: the berk module was unloaded\n");
	w->code = CTL_FAILED;
	w->stop = true;
}

static void on_sample_event(void *arg, const struct bnl_event *ev)
{
	struct watch *w = arg;
	struct berk_sample sample;

	if (ev->type == BNL_EV_SAMPLES) {
		for (size_t i = 0; i < ev->samples.n; i++) {
			bnl_sample(ev, i, &sample);
			on_sample(w, &sample);
		}
	} else if (ev->type == BNL_EV_OVERRUN) {
		dump_samples(w);
	} else if (ev->type == BNL_EV_GONE) {
		on_gone(w);
	}
}

/* Until the module goes or nobody reads any more. */
static int follow(struct watch *w, bnl_event_fn *on_event)
{
	struct pollfd fd = { .fd = bnl_events_fd(w->ctl->nl), .events = POLLIN };
	int err;

	while (!w->stop && !ferror(stdout)) {
		fflush(stdout);
		if (poll(&fd, 1, -1) < 0 && errno != EINTR)
			return CTL_FAILED;
		err = bnl_events(w->ctl->nl, on_event, w);
		if (err)
			return ctl_fail(w->ctl, err, "notifications");
	}
	return w->code;
}

int ctl_samples(struct ctl *ctl, int argc, char **argv)
{
	struct watch w = { .ctl = ctl };

	(void)argv;
	if (argc)
		return CTL_USAGE;
	/* ORDER: listen first, then dump, so that nothing falls in between. */
	if (!ctl_open(ctl, ctl->follow ? BNL_GROUP_SAMPLES : 0))
		return CTL_FAILED;
	if (ctl->json && !ctl->follow)
		w.list = json_object_new_array();
	dump_samples(&w);
	if (w.list && !w.code)
		out_json_print(stdout, w.list, true);
	else if (w.list)
		json_object_put(w.list);
	return ctl->follow ? follow(&w, on_sample_event) : w.code;
}

/* --- monitor */

struct event_row {
	char time[32];
	char event[8];
	uint32_t round, probes, replies, term;
	uint64_t seq, master_id, node_id;
	enum berk_state state;
	enum berk_role role;
	union node_addr address;
	uint32_t bytes;
};

#define EVENT(member, type) OUT_FIELD(event_row, member, type)
#define EVENT_HEAD EVENT(time, OUT_TEXT), EVENT(event, OUT_TEXT)

static const struct out_field round_fields[] = {
	EVENT_HEAD, EVENT(round, OUT_U32), EVENT(probes, OUT_U32), EVENT(replies, OUT_U32),
	EVENT(seq, OUT_U64), { 0 }
};

static const struct out_field state_fields[] = {
	EVENT_HEAD, EVENT(state, OUT_STATE), EVENT(role, OUT_ROLE), EVENT(master_id, OUT_ID),
	EVENT(term, OUT_U32), { 0 }
};

static const struct out_field ctrl_fields[] = {
	EVENT_HEAD, EVENT(address, OUT_ADDR), EVENT(node_id, OUT_ID), EVENT(term, OUT_U32),
	EVENT(bytes, OUT_U32), { 0 }
};

static const struct out_field lost_fields[] = { EVENT_HEAD, { 0 } };

static const struct out_field *event_row(struct event_row *row, const struct bnl_event *ev)
{
	switch (ev->type) {
	case BNL_EV_ROUND:
		strcpy(row->event, "round");
		row->round = ev->round.round;
		row->probes = ev->round.probes;
		row->replies = ev->round.replies;
		row->seq = ev->round.seq;
		return round_fields;
	case BNL_EV_STATE:
		strcpy(row->event, "state");
		row->state = ev->state.state;
		row->role = ev->state.role;
		row->master_id = ev->state.master_id;
		row->term = ev->state.term;
		return state_fields;
	case BNL_EV_CTRL:
		strcpy(row->event, "ctrl");
		row->address = ev->ctrl.addr;
		row->node_id = ev->ctrl.node_id;
		row->term = ev->ctrl.term;
		row->bytes = ev->ctrl.len;
		return ctrl_fields;
	case BNL_EV_OVERRUN:
		strcpy(row->event, "lost");
		return lost_fields;
	default:
		return NULL;
	}
}

static void put_time(char *buf, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	len = strftime(buf, size, "%FT%T", &tm);
	snprintf(buf + len, size - len, ".%06ldZ", ts.tv_nsec / 1000);
}

static void on_event(void *arg, const struct bnl_event *ev)
{
	struct watch *w = arg;
	struct event_row row = { 0 };
	const struct out_field *fields = event_row(&row, ev);

	if (ev->type == BNL_EV_GONE)
		on_gone(w);
	if (!fields)
		return;
	put_time(row.time, sizeof(row.time));
	if (w->ctl->json)
		out_json_print(stdout, out_json(fields, &row), false);
	else
		out_pairs(stdout, fields, &row);
}

int ctl_monitor(struct ctl *ctl, int argc, char **argv)
{
	struct watch w = { .ctl = ctl };
	int err;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	/* Control messages are for the privileged; the rest is for everybody. */
	err = bnl_open(&ctl->nl, BNL_GROUP_EVENTS | BNL_GROUP_CTRL);
	if (err) {
		bnl_close(ctl->nl);
		ctl->nl = NULL;
		if (!ctl_open(ctl, BNL_GROUP_EVENTS))
			return CTL_FAILED;
		fprintf(stderr, "berkctl: without control messages: those need root\n");
	}
	return follow(&w, on_event);
}
