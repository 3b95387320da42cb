// SPDX-License-Identifier: GPL-2.0
/* node: events in, actions out; the work is in master.c and follow.c */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_priv.h"

#define LOG_BURST	20.0	/* lines at once */
#define LOG_RATE	0.2	/* lines per s in the long run */

static struct servo_conf servo_conf_of(const struct node_conf *conf)
{
	return (struct servo_conf){
		.step_threshold_ns = conf->step_threshold_ns,
		.max_rate_ppb = conf->max_rate_ppb,
	};
}

struct node *node_init(const struct node_conf *conf)
{
	struct node *node = calloc(1, sizeof(*node));
	struct servo_conf servo = servo_conf_of(conf);

	if (!node)
		return NULL;
	node->conf = *conf;
	node->log_tokens = LOG_BURST;
	servo_init(&node->servo, &servo, conf->freq_ppb);
	if (ensemble_reserve(&node->master.ensemble, 1)) {
		free(node);
		return NULL;
	}
	return node;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	peers_free(node);
	free(node);
}

void node_reconf(struct node *node, const struct node_conf *conf)
{
	uint64_t node_id = node->conf.node_id;
	bool reference = node->conf.reference;

	node->conf = *conf;
	node->conf.node_id = node_id;
	node->conf.reference = reference;
	node->elect.changed = true;
	node->servo.conf = servo_conf_of(conf);
	/* The kernel's table may have been changed by hand. */
	for (size_t i = 0; i < node->master.n; i++)
		node->master.peer[i]->announce = true;
	node->master.scan = 0;
}

void node_start(struct node *node, struct node_now now)
{
	node->log_raw = now.raw_ns;
	follow_start(node, now);
	elect_start(node, now);
}

/* ORDER: who leads, before what follows from that. */
void node_timer(struct node *node, struct node_now now)
{
	elect_timer(node, now);
	measure_timer(node, now);
	follow_timer(node, now);
}

void node_sample(struct node *node, struct node_now now, const struct berk_sample *sample)
{
	measure_sample(node, now, sample);
}

void node_round_done(struct node *node, struct node_now now, uint32_t round)
{
	measure_round_done(node, now, round);
}

void node_ctrl(struct node *node, struct node_now now, const union node_addr *from,
	       uint64_t from_id, uint32_t term, const void *payload, size_t len)
{
	struct msg msg;

	(void)term;	/* that of the message itself counts */
	if (msg_decode(&msg, payload, len))
		return;
	switch (msg.type) {
	case MSG_CORRECT:
		follow_ctrl(node, now, from, from_id, &msg.correct);
		break;
	case MSG_ACK:
		if (node->elect.stance == LEADING)
			master_ack(node, now, from, from_id, &msg.ack);
		break;
	case MSG_HELLO:
		hello_heard(node, now, from, from_id, &msg.hello);
		break;
	case MSG_REPORT:
		measure_reported(node, now, from, from_id, &msg.report);
		break;
	}
}

void node_reference(struct node *node, struct node_now now, bool right, uint64_t origin)
{
	bool changed = node->right != right || node->origin != origin;

	node->right = right;
	node->origin = origin;
	if (!changed || !node->conf.reference)
		return;
	follow_timer(node, now);
	if (node->elect.stance == FOLLOWING)
		hello_send(node, &node->follow.master_addr, MSG_ANNOUNCE, 0);
}

void node_clock_failed(struct node *node)
{
	servo_forget(&node->servo, false);
}

void node_resumed(struct node *node, struct node_now now)
{
	node_say(node, now.raw_ns, LOG_NOTICE,
		 "this machine was suspended: asking the group for the time");
	servo_forget(&node->servo, true);
	follow_forget(node, now);
	master_forget(node);
}

void node_stop(struct node *node, struct node_now now)
{
	if (node->elect.stance == LEADING)
		elect_resign(node);
	follow_stop(node, now);
}

int64_t node_next_timer(const struct node *node)
{
	int64_t next = node->publish_next;

	if (node->servo.have_line && node->servo_next < next)
		next = node->servo_next;
	if (elect_next(node) < next)
		next = elect_next(node);
	return node->measure.round_next < next ? node->measure.round_next : next;
}

/* A line for the log, unless there were too many lately. */
void node_say(struct node *node, int64_t raw_ns, int priority, const char *fmt, ...)
{
	struct node_log *log = &node->log[node->log_head % LOGS];
	int len = 0;
	va_list args;

	node->log_tokens += (double)(raw_ns - node->log_raw) * 1e-9 * LOG_RATE;
	if (node->log_tokens > LOG_BURST)
		node->log_tokens = LOG_BURST;
	node->log_raw = raw_ns;
	if (node->log_tokens < 1 || node->log_head - node->log_tail == LOGS) {
		node->log_dropped++;
		return;
	}
	node->log_tokens--;
	node->log_head++;
	log->priority = priority;
	if (node->log_dropped)
		len = snprintf(log->text, sizeof(log->text), "(%u lines left out) ",
			       node->log_dropped);
	node->log_dropped = 0;
	va_start(args, fmt);
	vsnprintf(log->text + len, sizeof(log->text) - (size_t)len, fmt, args);
	va_end(args);
}

static void fill_send(struct node_action *act, const union node_addr *to, const struct msg *msg)
{
	act->type = NODE_ACT_SEND;
	act->send.addr = *to;
	act->send.len = msg_encode(msg, act->send.payload);
}

static void fill_hello(struct node *node, struct node_action *act, const union node_addr *to,
		       enum msg_hello_kind kind, uint32_t claimed)
{
	struct msg msg = { .type = MSG_HELLO };

	hello_fill(node, kind, claimed, &msg.hello);
	fill_send(act, to, &msg);
}

static bool taken(bool *flag)
{
	bool was = *flag;

	*flag = false;
	return was;
}

static bool one_peer_action(struct node *node, struct peer *peer, struct node_action *act)
{
	if (taken(&peer->announce)) {
		act->type = NODE_ACT_PEER;
		act->peer = peer->addr;
	} else if (taken(&peer->send)) {
		struct msg msg = { .type = MSG_CORRECT, .correct = peer->correct };

		fill_send(act, &peer->addr, &msg);
	} else if (taken(&peer->say)) {
		fill_hello(node, act, &peer->addr, peer->kind, node->elect.claimed);
	} else if (peer->indexed && taken(&peer->note)) {
		act->type = NODE_ACT_NOTE;
		act->note = peer->noted;
	} else {
		return false;
	}
	return true;
}

/* The next of the peers' actions; they are turned into bytes only here. */
static bool peer_action(struct node *node, struct node_action *act)
{
	struct master *m = &node->master;

	for (; m->scan < m->n; m->scan++)
		if (one_peer_action(node, m->peer[m->scan], act))
			return true;
	return false;
}

static bool reply_action(struct node *node, struct node_action *act)
{
	const struct reply *reply = &node->reply[node->reply_tail % REPLIES];

	if (node->reply_tail == node->reply_head)
		return false;
	node->reply_tail++;
	fill_hello(node, act, &reply->to, reply->kind, reply->claimed);
	return true;
}

static bool report_action(struct node *node, struct node_action *act)
{
	struct msg msg = { .type = MSG_REPORT };

	if (!measure_report(node, &msg.report))
		return false;
	fill_send(act, node->elect.stance == FOLLOWING ? &node->follow.master_addr :
		  &node->elect.master_addr, &msg);
	return true;
}

static bool forget_action(struct node *node, struct node_action *act)
{
	if (!node->n_forgotten)
		return false;
	act->type = NODE_ACT_FORGET;
	act->peer = node->forgotten[--node->n_forgotten];
	return true;
}

/*
 * ORDER: the clock before what is said of it; peers are forgotten before they are
 * met again, and known before a round probes them.
 */
bool node_next_action(struct node *node, struct node_action *act)
{
	if (node->log_tail != node->log_head) {
		act->type = NODE_ACT_LOG;
		act->log = node->log[node->log_tail++ % LOGS];
	} else if (taken(&node->do_clock)) {
		act->type = NODE_ACT_CLOCK;
		act->clock = node->clock;
		node->clock.step_ns = 0;
	} else if (taken(&node->do_publish)) {
		act->type = NODE_ACT_PUBLISH;
		act->publish = node->publish;
	} else if (taken(&node->do_ack)) {
		struct msg msg = { .type = MSG_ACK, .ack = node->ack };

		fill_send(act, &node->ack_to, &msg);
	} else if (forget_action(node, act) || reply_action(node, act) ||
		   report_action(node, act) || peer_action(node, act)) {
		return true;
	} else if (taken(&node->do_round)) {
		act->type = NODE_ACT_ROUND;
		act->round = node->round;
	} else {
		return false;
	}
	return true;
}
