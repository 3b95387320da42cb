// SPDX-License-Identifier: GPL-2.0
/* Verbs that show what is: status, peers, version. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl.h"
#include "out.h"

#define STATUS(member, type) OUT_FIELD(bnl_status, member, type)

static const struct out_field status_fields[] = {
	STATUS(state, OUT_STATE),
	STATUS(role, OUT_ROLE),
	STATUS(node_id, OUT_ID),
	STATUS(master_id, OUT_ID),
	STATUS(term, OUT_U32),
	STATUS(round, OUT_U32),
	STATUS(round_age_ms, OUT_AGE),
	STATUS(offset_ns, OUT_NS),
	STATUS(error_bound_ns, OUT_BOUND),
	STATUS(error_growth_ppb, OUT_GROWTH),
	STATUS(void_after_ms, OUT_AGE),
	STATUS(freq_ppb, OUT_PPB),
	STATUS(cluster, OUT_ID),
	STATUS(port, OUT_U16),
	STATUS(bind, OUT_ADDR),
	{ "device", OUT_DEVICE, offsetof(struct bnl_status, ifindex) },
	STATUS(peers, OUT_U32),
	STATUS(version, OUT_TEXT),
	{ 0 }
};

#define COUNTER(name, index) \
	{ name, OUT_U64, offsetof(struct bnl_status, counters) + (index) * sizeof(uint64_t) }

static const struct out_field counter_fields[] = {
	COUNTER("probes_tx", BERK_CNT_PROBES_TX),
	COUNTER("probes_rx", BERK_CNT_PROBES_RX),
	COUNTER("replies_tx", BERK_CNT_REPLIES_TX),
	COUNTER("replies_rx", BERK_CNT_REPLIES_RX),
	COUNTER("ctrl_tx", BERK_CNT_CTRL_TX),
	COUNTER("ctrl_rx", BERK_CNT_CTRL_RX),
	COUNTER("samples", BERK_CNT_SAMPLES),
	COUNTER("rx_stamps_late", BERK_CNT_RX_STAMPS_LATE),
	COUNTER("tx_stamps_missing", BERK_CNT_TX_STAMPS_MISSING),
	COUNTER("rejected", BERK_CNT_REJECTED),
	COUNTER("overrun", BERK_CNT_OVERRUN),
	{ 0 }
};

struct peer_row {
	union node_addr address;
	uint64_t node_id;
	char clock[16];
	uint64_t probes, replies;
	double loss_percent;
	uint64_t age_ms;
	int64_t offset_ns;	/* its clock minus ours; INT64_MAX = unknown */
	int64_t delay_ns;
};

#define PEER(member, type) OUT_FIELD(peer_row, member, type)

static const struct out_field peer_fields[] = {
	PEER(address, OUT_ADDR),
	PEER(node_id, OUT_ID),
	PEER(clock, OUT_TEXT),
	PEER(probes, OUT_U64),
	PEER(replies, OUT_U64),
	PEER(loss_percent, OUT_PERCENT),
	PEER(age_ms, OUT_AGE),
	PEER(offset_ns, OUT_NS),
	PEER(delay_ns, OUT_DELAY),
	{ 0 }
};

/* What the peer says of its own clock. */
static const char *clock_word(const struct bnl_peer *peer)
{
	if (peer->age_ms == UINT64_MAX)
		return "silent";
	if (peer->flags & BERK_F_SYNCED)
		return "synchronised";
	return peer->flags & BERK_F_DRIVEN ? "driven" : "free";
}

static void fill_row(struct peer_row *row, const struct bnl_peer *peer)
{
	*row = (struct peer_row){
		.address = peer->addr,
		.node_id = peer->node_id,
		.probes = peer->probes,
		.replies = peer->replies,
		.age_ms = peer->age_ms,
		.offset_ns = INT64_MAX,
		.delay_ns = INT64_MAX,
	};
	snprintf(row->clock, sizeof(row->clock), "%s", clock_word(peer));
	if (peer->probes > peer->replies)
		row->loss_percent = 100.0 * (peer->probes - peer->replies) / peer->probes;
}

struct newest {
	uint32_t peer, round;
	int64_t offset_ns, delay_ns;	/* of the least delay in that round */
};

struct peer_view {
	const struct bnl_peer *peers;	/* ascending index */
	struct newest *newest;
	size_t n;
};

static int by_index(const void *a, const void *b)
{
	const struct bnl_peer *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

/*
 * The offset of one exchange, ((t2-t1)+(t3-t4))/2, is wrong by at most half its
 * delay, so the exchange of the least delay is the best of its round.
 */
static void on_sample(void *arg, const struct berk_sample *s)
{
	struct peer_view *view = arg;
	struct bnl_peer key = { .index = s->peer };
	const struct bnl_peer *peer = bsearch(&key, view->peers, view->n, sizeof(key), by_index);
	/* T2 and T3 are whatever the peer sent: unsigned, because that may wrap. */
	uint64_t there = (uint64_t)s->t2.real_ns - (uint64_t)s->t1.real_ns;
	uint64_t back = (uint64_t)s->t4.real_ns - (uint64_t)s->t3.real_ns;
	int64_t delay_ns = (int64_t)(there + back);
	struct newest *newest;

	if (!peer || s->flags & (BERK_SAMPLE_LOCAL_STEP | BERK_SAMPLE_PEER_STEP))
		return;
	newest = &view->newest[peer - view->peers];
	if (newest->delay_ns != INT64_MAX && newest->round == s->round &&
	    newest->delay_ns <= delay_ns)
		return;
	newest->round = s->round;
	newest->delay_ns = delay_ns;
	newest->offset_ns = (int64_t)(there - back) / 2;
}

/* The samples are for the privileged; without them the table has no offsets. */
static void add_offsets(struct ctl *ctl, struct peer_row *rows, const struct bnl_peer *peers,
			size_t n)
{
	struct peer_view view = { .peers = peers, .n = n };

	view.newest = calloc(n, sizeof(*view.newest));
	if (!view.newest)
		return;
	for (size_t i = 0; i < n; i++)
		view.newest[i].offset_ns = view.newest[i].delay_ns = INT64_MAX;
	if (bnl_samples(ctl->nl, 0, on_sample, &view) == 0) {
		for (size_t i = 0; i < n; i++) {
			rows[i].offset_ns = view.newest[i].offset_ns;
			rows[i].delay_ns = view.newest[i].delay_ns;
		}
	}
	free(view.newest);
}

/* *rows is to be freed by the caller, on success only. */
static int get_rows(struct ctl *ctl, struct peer_row **rows, size_t *n)
{
	struct bnl_peer *peers;
	int err = bnl_peers(ctl->nl, &peers, n);

	if (err)
		return ctl_fail(ctl, err, "reading the peers");
	*rows = calloc(*n + 1, sizeof(**rows));
	if (!*rows) {
		free(peers);
		fprintf(stderr, "berkctl: out of memory\n");
		return CTL_FAILED;
	}
	if (*n) {
		qsort(peers, *n, sizeof(*peers), by_index);
		for (size_t i = 0; i < *n; i++)
			fill_row(&(*rows)[i], &peers[i]);
		add_offsets(ctl, *rows, peers, *n);
	}
	free(peers);
	return CTL_OK;
}

int ctl_peers(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *list;
	struct peer_row *rows;
	size_t n;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	if (!ctl_open(ctl, 0) || get_rows(ctl, &rows, &n))
		return CTL_FAILED;
	if (ctl->json) {
		list = json_object_new_array();
		for (size_t i = 0; i < n; i++)
			json_object_array_add(list, out_json(peer_fields, &rows[i]));
		out_json_print(stdout, list, true);
	} else if (n) {
		out_table(stdout, peer_fields, rows, n, sizeof(*rows), ctl->colour);
	} else {
		puts("no peers");
	}
	free(rows);
	return CTL_OK;
}

static void print_counters(struct ctl *ctl, const struct bnl_status *status)
{
	struct out_field nonzero[sizeof(counter_fields) / sizeof(counter_fields[0])] = { 0 };
	size_t n = 0;

	for (const struct out_field *f = counter_fields; f->name; f++)
		if (*(const uint64_t *)((const char *)status + f->offset))
			nonzero[n++] = *f;
	if (n)
		putchar('\n');
	out_record(stdout, nonzero, status, ctl->colour);
}

static int print_status(struct ctl *ctl, const struct bnl_status *status)
{
	struct peer_row *rows;
	size_t n;

	out_record(stdout, status_fields, status, ctl->colour);
	print_counters(ctl, status);
	if (get_rows(ctl, &rows, &n))
		return CTL_FAILED;
	if (n) {
		putchar('\n');
		out_table(stdout, peer_fields, rows, n, sizeof(*rows), ctl->colour);
	}
	free(rows);
	return CTL_OK;
}

int ctl_status(struct ctl *ctl, int argc, char **argv)
{
	struct bnl_status status;
	struct json_object *json;
	int code = CTL_OK;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	if (!ctl_open_status(ctl, &status))
		return CTL_FAILED;
	if (status.error_bound_ns == UINT64_MAX) {	/* then these mean nothing either */
		status.offset_ns = INT64_MAX;
		status.error_growth_ppb = UINT32_MAX;
	}
	if (ctl->json) {
		json = out_json(status_fields, &status);
		json_object_object_add(json, "counters", out_json(counter_fields, &status));
		out_json_print(stdout, json, true);
	} else {
		code = print_status(ctl, &status);
	}
	ctl_no_daemon(&status);
	return code;
}

int ctl_version(struct ctl *ctl, int argc, char **argv)
{
	struct bnl_status status = { 0 };
	struct json_object *json;
	bool loaded;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	loaded = bnl_open(&ctl->nl, 0) == 0 && bnl_status(ctl->nl, &status) == 0;
	if (ctl->json) {
		json = json_object_new_object();
		json_object_object_add(json, "berkctl", json_object_new_string(BERK_VERSION));
		json_object_object_add(json, "module",
				       loaded ? json_object_new_string(status.version) : NULL);
		out_json_print(stdout, json, true);
	} else {
		printf("berkctl " BERK_VERSION "\nmodule  %s\n",
		       loaded ? status.version : "not loaded");
	}
	return CTL_OK;
}
