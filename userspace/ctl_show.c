// SPDX-License-Identifier: GPL-2.0
/* Verbs that show what is: status, version. */
#include <stdio.h>

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
	COUNTER("foreign", BERK_CNT_FOREIGN),
	{ 0 }
};

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

static void say_foreign(const struct bnl_status *status)
{
	if (status->counters[BERK_CNT_FOREIGN])
		fprintf(stderr, "berkctl: nodes of another cluster are heard: those that belong "
			"to this group need the same \"cluster\" in their berkd.conf\n");
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
	if (ctl->json) {
		json = out_json(status_fields, &status);
		json_object_object_add(json, "counters", out_json(counter_fields, &status));
		out_json_print(stdout, json, true);
	} else {
		out_record(stdout, status_fields, &status, ctl->colour);
		print_counters(ctl, &status);
		code = ctl_peer_table(ctl, NULL);
		say_foreign(&status);
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
