// SPDX-License-Identifier: GPL-2.0
/* The verb watch: this node and its peers, live. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl.h"
#include "out.h"

#define CLEAR "\033[H\033[J"
#define REDRAW_MS 1000	/* at the latest: bounds grow, peers fall silent */

#define STATUS(member, type) OUT_FIELD(bnl_status, member, type)

static const struct out_field live_fields[] = {
	STATUS(state, OUT_STATE),
	STATUS(role, OUT_ROLE),
	STATUS(node_id, OUT_ID),
	STATUS(master_id, OUT_ID),
	STATUS(term, OUT_U32),
	STATUS(round, OUT_U32),
	STATUS(offset_ns, OUT_NS),
	STATUS(error_bound_ns, OUT_BOUND),
	STATUS(freq_ppb, OUT_PPB),
	{ 0 }
};

static int show(struct ctl *ctl)
{
	struct json_object *json, *peers;
	struct bnl_status status;
	int code;

	if (!ctl_read_status(ctl, &status))
		return CTL_FAILED;
	if (ctl->json) {
		peers = ctl_peer_json(ctl);
		if (!peers)
			return CTL_FAILED;
		json = out_json(live_fields, &status);
		json_object_object_add(json, "peers", peers);
		out_json_print(stdout, json, false);
		return CTL_OK;
	}
	fputs(isatty(STDOUT_FILENO) ? CLEAR : "\n", stdout);
	out_record(stdout, live_fields, &status, ctl->colour);
	code = ctl_peer_table(ctl, &status.master_id);
	fflush(stdout);
	return code;
}

static void on_event(void *arg, const struct bnl_event *event)
{
	bool *gone = arg;

	*gone |= event->type == BNL_EV_GONE;
}

int ctl_live(struct ctl *ctl, int argc, char **argv)
{
	struct pollfd fd = { .events = POLLIN };
	bool gone = false;
	int code, err;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	if (!ctl_open(ctl, BNL_GROUP_EVENTS))
		return CTL_FAILED;
	fd.fd = bnl_events_fd(ctl->nl);
	while (!gone && !ferror(stdout)) {
		code = show(ctl);
		if (code)
			return code;
		if (poll(&fd, 1, REDRAW_MS) < 0 && errno != EINTR)
			return CTL_FAILED;
		err = bnl_events(ctl->nl, on_event, &gone);
		if (err)
			return ctl_fail(ctl, err, "notifications");
	}
	if (gone)
		fprintf(stderr, "berkctl: the berk module was unloaded\n");
	return CTL_FAILED;
}
