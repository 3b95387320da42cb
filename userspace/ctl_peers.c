// SPDX-License-Identifier: GPL-2.0
/* The verb peers, and the table of peers for others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl.h"
#include "out.h"

/*
 * What the daemon thinks of a peer; and what the peer says of itself and the module
 * knows, which is all there is where no daemon is.
 */
struct peer_row {
	char mark[2];
	union node_addr address;
	uint64_t node_id;
	char thought[48];	/* state and reason */
	uint32_t state, reason;	/* enum berk_peer_state, berk_peer_reason */
	uint32_t rank;
	int64_t offset_ns;	/* of its clock: noted, to the group's time; else to our clock */
	int64_t sigma_ns;
	int64_t delay_ns;
	int32_t freq_ppb;
	char clock[16];
	uint64_t probes, replies;
	double loss_percent;
	uint64_t age_ms;
};

#define PEER(member, type) OUT_FIELD(peer_row, member, type)

static const struct out_field json_fields[] = {
	PEER(address, OUT_ADDR),
	PEER(node_id, OUT_ID),
	PEER(state, OUT_PEER),
	PEER(reason, OUT_WHY),
	PEER(rank, OUT_RANK),
	PEER(offset_ns, OUT_NS),
	PEER(sigma_ns, OUT_DELAY),
	PEER(delay_ns, OUT_DELAY),
	PEER(freq_ppb, OUT_PPB),
	PEER(clock, OUT_TEXT),
	PEER(probes, OUT_U64),
	PEER(replies, OUT_U64),
	PEER(loss_percent, OUT_PERCENT),
	PEER(age_ms, OUT_AGE),
	{ 0 }
};

/* Without a mark the tables begin with the second field. */
static const struct out_field noted_fields[] = {
	{ "", OUT_TEXT, offsetof(struct peer_row, mark) },
	PEER(address, OUT_ADDR),
	PEER(node_id, OUT_ID),
	{ "state", OUT_TEXT, offsetof(struct peer_row, thought) },
	PEER(rank, OUT_RANK),
	PEER(offset_ns, OUT_NS),
	PEER(sigma_ns, OUT_DELAY),
	PEER(delay_ns, OUT_DELAY),
	PEER(loss_percent, OUT_PERCENT),
	PEER(age_ms, OUT_AGE),
	{ 0 }
};

static const struct out_field plain_fields[] = {
	{ "", OUT_TEXT, offsetof(struct peer_row, mark) },
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

static void fill_note(struct peer_row *row, const struct bnl_peer *peer)
{
	row->state = peer->state;
	row->reason = peer->reason;
	row->rank = peer->rank;
	snprintf(row->thought, sizeof(row->thought), "%s%s%s", out_peer_state_name(peer->state),
		 peer->reason ? ": " : "", peer->reason ? out_reason_name(peer->reason) : "");
	if (!peer->known)
		return;
	row->offset_ns = peer->offset_ns;
	row->sigma_ns = peer->sigma_ns;
	row->delay_ns = peer->delay_ns;
	row->freq_ppb = peer->freq_ppb;
}

static void fill_row(struct peer_row *row, const struct bnl_peer *peer)
{
	*row = (struct peer_row){
		.mark = " ",
		.address = peer->addr,
		.node_id = peer->node_id,
		.thought = "-",
		.offset_ns = INT64_MAX,
		.sigma_ns = INT64_MAX,
		.delay_ns = INT64_MAX,
		.freq_ppb = INT32_MAX,
		.probes = peer->probes,
		.replies = peer->replies,
		.age_ms = peer->age_ms,
	};
	snprintf(row->clock, sizeof(row->clock), "%s", clock_word(peer));
	if (peer->probes > peer->replies)
		row->loss_percent = 100.0 * (peer->probes - peer->replies) / peer->probes;
	if (peer->noted)
		fill_note(row, peer);
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

struct table {
	struct peer_row *rows;	/* to be freed by the caller */
	size_t n;
	bool noted;		/* a daemon says what it thinks of them */
};

/* False: said why on stderr; there is nothing to be freed then. */
static bool get_table(struct ctl *ctl, struct table *table)
{
	struct bnl_peer *peers;
	size_t n;
	int err = bnl_peers(ctl->nl, &peers, &n);

	if (err) {
		ctl_fail(ctl, err, "reading the peers");
		return false;
	}
	*table = (struct table){ .rows = calloc(n + 1, sizeof(*table->rows)), .n = n };
	if (!table->rows) {
		free(peers);
		fprintf(stderr, "berkctl: out of memory\n");
		return false;
	}
	if (n)
		qsort(peers, n, sizeof(*peers), by_index);
	for (size_t i = 0; i < n; i++) {
		fill_row(&table->rows[i], &peers[i]);
		table->noted |= peers[i].noted;
	}
	if (n && !table->noted)
		add_offsets(ctl, table->rows, peers, n);
	free(peers);
	return true;
}

static void print_table(const struct ctl *ctl, const struct table *table, bool mark)
{
	const struct out_field *fields = table->noted ? noted_fields : plain_fields;

	out_table(stdout, fields + !mark, table->rows, table->n, sizeof(*table->rows),
		  ctl->colour);
}

static struct json_object *table_json(const struct table *table)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < table->n; i++)
		json_object_array_add(list, out_json(json_fields, &table->rows[i]));
	return list;
}

int ctl_peer_table(struct ctl *ctl, const uint64_t *master_id)
{
	struct table table;

	if (!get_table(ctl, &table))
		return CTL_FAILED;
	for (size_t i = 0; master_id && i < table.n; i++)
		if (*master_id && table.rows[i].node_id == *master_id)
			table.rows[i].mark[0] = '*';
	if (table.n) {
		putchar('\n');
		print_table(ctl, &table, master_id);
	}
	free(table.rows);
	return CTL_OK;
}

struct json_object *ctl_peer_json(struct ctl *ctl)
{
	struct json_object *list;
	struct table table;

	if (!get_table(ctl, &table))
		return NULL;
	list = table_json(&table);
	free(table.rows);
	return list;
}

int ctl_peers(struct ctl *ctl, int argc, char **argv)
{
	struct table table;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	if (!ctl_open(ctl, 0) || !get_table(ctl, &table))
		return CTL_FAILED;
	if (ctl->json)
		out_json_print(stdout, table_json(&table), true);
	else if (table.n)
		print_table(ctl, &table, false);
	else
		puts("no peers");
	free(table.rows);
	return CTL_OK;
}
