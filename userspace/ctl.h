/* SPDX-License-Identifier: GPL-2.0 */
/* ctl: what the verbs of berkctl share */
#ifndef BERK_CTL_H
#define BERK_CTL_H

#include <stdbool.h>

#include "nl.h"

struct json_object;

struct ctl {
	bool json, colour, follow;
	struct bnl *nl;
};

/* Exit codes, and what the verbs return. */
enum { CTL_OK, CTL_FAILED, CTL_USAGE, CTL_NOT_SYNCHRONISED };

/* Opens ctl->nl. False: said why on stderr. */
bool ctl_open(struct ctl *ctl, unsigned int groups);

/* Reads the status; what is unknown is marked as in out.h. False: said why on stderr. */
bool ctl_read_status(struct ctl *ctl, struct bnl_status *status);

/* Both. */
bool ctl_open_status(struct ctl *ctl, struct bnl_status *status);

/* Says on stderr if no daemon corrects this clock. True: so it is. */
bool ctl_no_daemon(const struct bnl_status *status);

/* Says on one line what failed and what to do. Returns CTL_FAILED. */
int ctl_fail(const struct ctl *ctl, int err, const char *what);

/*
 * The table of peers after an empty line, or nothing if there are none. master_id:
 * whom to mark, unless NULL. Returns CTL_OK, or CTL_FAILED and said why on stderr.
 */
int ctl_peer_table(struct ctl *ctl, const uint64_t *master_id);

/* The same as a JSON array, or NULL: said why on stderr. */
struct json_object *ctl_peer_json(struct ctl *ctl);

/* argv: what follows the verb, without options. */
int ctl_status(struct ctl *ctl, int argc, char **argv);
int ctl_peers(struct ctl *ctl, int argc, char **argv);
int ctl_live(struct ctl *ctl, int argc, char **argv);
int ctl_now(struct ctl *ctl, int argc, char **argv);
int ctl_version(struct ctl *ctl, int argc, char **argv);
int ctl_samples(struct ctl *ctl, int argc, char **argv);
int ctl_monitor(struct ctl *ctl, int argc, char **argv);
int ctl_set(struct ctl *ctl, int argc, char **argv);
int ctl_showconf(struct ctl *ctl, int argc, char **argv);
int ctl_setconf(struct ctl *ctl, int argc, char **argv);

#endif /* BERK_CTL_H */
