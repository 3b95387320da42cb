// SPDX-License-Identifier: GPL-2.0
#include "drive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "addr.h"
#include "origin.h"
#include "out.h"

#define NSEC_PER_SEC 1000000000LL
#define NOTABLE_SUSPEND 100000000	/* ns; what is less may be scheduling */

/* BOOTTIME first: a delay between the two readings must not look like a suspend. */
static int64_t suspended_ns(void)
{
	struct timespec boot, mono;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	return (boot.tv_sec - mono.tv_sec) * NSEC_PER_SEC + boot.tv_nsec - mono.tv_nsec;
}

/* True if the node was told of a suspend, and may now want something. */
static bool read_now(struct drive *d)
{
	int64_t suspended = suspended_ns();

	clock_read(&d->now);
	if (suspended - d->suspended_ns <= NOTABLE_SUSPEND)
		return false;
	d->suspended_ns = suspended;
	node_resumed(d->node, d->now);
	return true;
}

void drive_start(struct drive *d)
{
	d->suspended_ns = suspended_ns();
	clock_read(&d->now);
}

void drive_now(struct drive *d)
{
	if (read_now(d))
		drive_act(d);
}

static void limited(struct drive *d, enum drive_complaint what, const char *failed)
{
	log_limited(&d->limits[what], d->now.raw_ns, LOG_WARNING, "%s: %s", failed,
		    bnl_error(d->nl));
}

static void act_peer(struct drive *d, const union node_addr *addr)
{
	char text[ADDR_TEXT_MAX];
	uint32_t index;

	if (bnl_peer_set(d->nl, addr, &index) < 0)
		log_msg(LOG_ERR, "peer %s: %s", addr_format(addr, text), bnl_error(d->nl));
	else
		node_peer_index(d->node, addr, index);
}

static void act_forget(struct drive *d, const union node_addr *addr)
{
	char text[ADDR_TEXT_MAX];
	int err = bnl_peer_del(d->nl, addr);

	if (err < 0 && err != -ENOENT)
		log_msg(LOG_WARNING, "forgetting peer %s: %s", addr_format(addr, text),
			bnl_error(d->nl));
}

/* A network that cannot be sent to (yet) is no failure, unless it is all there is. */
static void send_near(struct drive *d, const struct node_send *send)
{
	bool sent = false;

	near_list(&d->near, d->now.raw_ns);
	for (size_t i = 0; i < d->near.n; i++)
		sent |= bnl_send(d->nl, &d->near.group[i].addr, d->near.group[i].ifindex,
				 send->payload, send->len) == 0;
	if (!sent && !d->alone)
		log_limited(&d->limits[DRIVE_NEAR], d->now.raw_ns, LOG_WARNING,
			    "no local network can be sent to by multicast (%s): nodes find each "
			    "other by peer lines only",
			    d->near.n ? bnl_error(d->nl) : "no device is up that could");
	d->alone = !sent;
}

static void act_send(struct drive *d, const struct node_send *send)
{
	char addr[ADDR_TEXT_MAX], what[ADDR_TEXT_MAX + 16];
	int err;

	if (send->addr.sa.sa_family == AF_UNSPEC) {
		send_near(d, send);
		return;
	}
	err = bnl_send(d->nl, &send->addr, 0, send->payload, send->len);
	/* our link-local address is still being checked (RFC 4862): the next will do */
	if (err < 0 && err != -EADDRNOTAVAIL) {
		snprintf(what, sizeof(what), "sending to %s", addr_format(&send->addr, addr));
		limited(d, DRIVE_SEND, what);
	}
}

static void act_clock(struct drive *d, const struct node_clock *want)
{
	int err;

	if (d->reference)
		return;
	err = clock_set(&d->clock, want, &d->freq_ppb);
	if (err < 0) {
		log_limited(&d->limits[DRIVE_CLOCK], d->now.raw_ns, LOG_ERR,
			    "the clock cannot be set: %s", strerror(-err));
		node_clock_failed(d->node);
	}
	if (d->clock.note[0])
		log_limited(&d->limits[DRIVE_RIVAL], d->now.raw_ns, LOG_WARNING,
			    "another program changed this clock: %s; only one may correct it",
			    d->clock.note);
}

static void act_publish(struct drive *d, const struct node_publish *publish)
{
	unsigned int shown = publish->role << 8 | publish->state;

	if (bnl_publish(d->nl, publish) < 0)
		limited(d, DRIVE_PUBLISH, "publishing the state");
	if (shown != d->shown)
		sd_notifyf(0, "STATUS=%s, %s", out_role_name(publish->role),
			   out_state_name(publish->state));
	d->shown = shown;
	if (!d->reference && (publish->origin != d->published.origin || !d->told))
		origin_tell(publish->origin);
	d->told = true;
	d->published = *publish;
}

static void act(struct drive *d, const struct node_action *action)
{
	int err;

	if (d->gone && action->type != NODE_ACT_CLOCK && action->type != NODE_ACT_LOG)
		return;
	switch (action->type) {
	case NODE_ACT_PEER:
		act_peer(d, &action->peer);
		break;
	case NODE_ACT_FORGET:
		act_forget(d, &action->peer);
		break;
	case NODE_ACT_ROUND:
		/* EBUSY: the last one is still under way. The node's timer goes on. */
		err = bnl_round(d->nl, &action->round);
		if (err < 0 && err != -EBUSY)
			limited(d, DRIVE_ROUND, "starting a round");
		break;
	case NODE_ACT_SEND:
		act_send(d, &action->send);
		break;
	case NODE_ACT_NOTE:
		err = bnl_note(d->nl, &action->note);
		if (err < 0 && err != -ENOENT)	/* forgotten meanwhile */
			limited(d, DRIVE_NOTE, "noting what is thought of a peer");
		break;
	case NODE_ACT_CLOCK:
		act_clock(d, &action->clock);
		break;
	case NODE_ACT_PUBLISH:
		act_publish(d, &action->publish);
		break;
	case NODE_ACT_LOG:
		log_msg(action->log.priority, "%s", action->log.text);
		break;
	}
}

void drive_act(struct drive *d)
{
	struct node_action action;

	do {
		while (node_next_action(d->node, &action))
			act(d, &action);
	} while (read_now(d));	/* a step among them has made the time old */
}

static void on_sample(void *arg, const struct berk_sample *sample)
{
	struct drive *d = arg;

	node_sample(d->node, d->now, sample);
	d->next_seq = sample->seq + 1;
}

static void feed_samples(struct drive *d)
{
	if (bnl_samples(d->nl, d->next_seq, on_sample, d) < 0)
		limited(d, DRIVE_SAMPLES, "reading the samples");
}

static void on_event(void *arg, const struct bnl_event *ev)
{
	struct drive *d = arg;

	drive_now(d);
	switch (ev->type) {
	case BNL_EV_ROUND:
		feed_samples(d);
		node_round_done(d->node, d->now, ev->round.round);
		break;
	case BNL_EV_CTRL:
		node_ctrl(d->node, d->now, &ev->ctrl.addr, ev->ctrl.node_id, ev->ctrl.term,
			  ev->ctrl.payload, ev->ctrl.len);
		break;
	case BNL_EV_OVERRUN:
		log_limited(&d->limits[DRIVE_OVERRUN], d->now.raw_ns, LOG_WARNING,
			    "notifications of the module were lost; reading its samples again");
		feed_samples(d);
		break;
	case BNL_EV_GONE:
		log_msg(LOG_ERR, "the berk module was unloaded: load it (modprobe berk) and "
			"start berkd again");
		d->gone = true;
		break;
	case BNL_EV_STATE:	/* our own, from PUBLISH */
	case BNL_EV_SAMPLES:
		break;
	}
	drive_act(d);
}

int drive_events(struct drive *d)
{
	return bnl_events(d->nl, on_event, d);
}

/* Not every time: it is a matter of files. */
static void tell_reference(struct drive *d)
{
	if (!d->reference || d->now.raw_ns - d->asked_raw < NSEC_PER_SEC)
		return;
	d->asked_raw = d->now.raw_ns;
	node_reference(d->node, d->now, clock_is_synchronised(), origin_ask());
}

void drive_timer(struct drive *d)
{
	tell_reference(d);
	node_timer(d->node, d->now);
	drive_act(d);
}

int64_t drive_delay(const struct drive *d)
{
	int64_t delay = node_next_timer(d->node) - d->now.raw_ns;

	return delay > 0 ? delay : 1;
}
