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
	enum berk_role role = node->conf.role;
	uint64_t node_id = node->conf.node_id;

	node->conf = *conf;
	node->conf.role = role;
	node->conf.node_id = node_id;
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
	if (node->conf.role == BERK_ROLE_MASTER)
		master_start(node, now);
}

void node_timer(struct node *node, struct node_now now)
{
	if (node->conf.role == BERK_ROLE_MASTER)
		master_timer(node, now);
	follow_timer(node, now);
}

void node_sample(struct node *node, struct node_now now, const struct berk_sample *sample)
{
	if (node->conf.role == BERK_ROLE_MASTER)
		master_sample(node, now, sample);
}

void node_round_done(struct node *node, struct node_now now, uint32_t round)
{
	if (node->conf.role == BERK_ROLE_MASTER)
		master_round_done(node, now, round);
}

void node_ctrl(struct node *node, struct node_now now, const union node_addr *from,
	       uint64_t from_id, uint32_t term, const void *payload, size_t len)
{
	struct msg msg;

	(void)term;	/* that of the message itself counts */
	if (msg_decode(&msg, payload, len))
		return;
	if (msg.type == MSG_CORRECT)
		follow_ctrl(node, now, from, from_id, &msg.correct);
	else if (node->conf.role == BERK_ROLE_MASTER)
		master_ack(node, now, from, from_id, &msg.ack);
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
	if (node->conf.role == BERK_ROLE_MASTER)
		master_forget(node);
}

void node_stop(struct node *node, struct node_now now)
{
	follow_stop(node, now);
}

int64_t node_next_timer(const struct node *node)
{
	int64_t next = node->publish_next;

	if (node->servo.have_line && node->servo_next < next)
		next = node->servo_next;
	if (node->conf.role == BERK_ROLE_MASTER && node->master.round_next < next)
		next = node->master.round_next;
	return next;
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

/* The next of the peers' actions; they are turned into bytes only here. */
static bool peer_action(struct node *node, struct node_action *act)
{
	struct master *m = &node->master;

	for (; m->scan < m->n; m->scan++) {
		struct peer *peer = m->peer[m->scan];

		if (peer->announce) {
			peer->announce = false;
			act->type = NODE_ACT_PEER;
			act->peer = peer->addr;
			return true;
		}
		if (peer->send) {
			struct msg msg = { .type = MSG_CORRECT, .correct = peer->correct };

			peer->send = false;
			fill_send(act, &peer->addr, &msg);
			return true;
		}
	}
	return false;
}

static bool taken(bool *flag)
{
	bool was = *flag;

	*flag = false;
	return was;
}

/* ORDER: the clock before what is said of it; peers are known before a round probes them. */
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
	} else if (peer_action(node, act)) {
		return true;
	} else if (taken(&node->do_round)) {
		act->type = NODE_ACT_ROUND;
		act->round = node->round;
	} else {
		return false;
	}
	return true;
}
