/* SPDX-License-Identifier: GPL-2.0 */
/*
 * drive: one node between the module and the clock
 *
 * Whatever comes in from the module goes to the node; whatever the node wants
 * then goes to the module (nl) or to the clock (clock).
 */
#ifndef BERK_DRIVE_H
#define BERK_DRIVE_H

#include "clock.h"
#include "log.h"
#include "near.h"
#include "nl.h"
#include "node.h"

/* What may go wrong every round, and is then not said every round. */
enum drive_complaint {
	DRIVE_CLOCK,
	DRIVE_RIVAL,
	DRIVE_ROUND,
	DRIVE_SAMPLES,
	DRIVE_SEND,
	DRIVE_NEAR,
	DRIVE_NOTE,
	DRIVE_PUBLISH,
	DRIVE_OVERRUN,
	DRIVE_N_COMPLAINTS,
};

struct drive {
	struct bnl *nl;
	struct clock clock;
	bool reference;		/* this clock is never touched */
	int64_t asked_raw;	/* when that clock was last asked for */
	bool told;		/* others where the time comes from */
	struct near near;
	bool alone;		/* nobody near could be sent to, the last time */
	struct node *node;
	struct node_now now;	/* of the event under way */
	int64_t suspended_ns;	/* how long the machine was, as far as the node knows */
	double freq_ppb;	/* correction in force */
	uint64_t next_seq;	/* of the first sample that the node has not seen */
	bool gone;		/* the module was unloaded */
	unsigned int shown;	/* state and role in systemd's STATUS */
	struct node_publish published;	/* last */
	struct log_limit limits[DRIVE_N_COMPLAINTS];
};

/* Reads the time for the first time, before node_start(). */
void drive_start(struct drive *d);

/* Reads the time of what happens next. Tells the node of a suspend that is over. */
void drive_now(struct drive *d);

/* Takes notifications, not always all there are. Returns 0 or -errno. */
int drive_events(struct drive *d);
void drive_timer(struct drive *d);

/* From now until the node's timer, in ns; at least 1. */
int64_t drive_delay(const struct drive *d);

/* Carries out what the node wants; to be called after each node_*() function. */
void drive_act(struct drive *d);

#endif /* BERK_DRIVE_H */
