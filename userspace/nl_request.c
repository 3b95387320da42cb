// SPDX-License-Identifier: GPL-2.0
/* What the module can be asked for; see nl.h. */
#include "nl_request.h"

#include <errno.h>
#include <stdlib.h>

#include "nl_msg.h"

static struct nl_msg *new_request(struct bnl *nl, enum berk_cmd cmd, int flags)
{
	return bnl_request_new(nl, cmd, flags, 0);
}

static void take_status(void *arg, struct nlattr **attrs)
{
	bnl_get_status(attrs, arg);
}

int bnl_status(struct bnl *nl, struct bnl_status *status)
{
	return bnl_request(nl, new_request(nl, BERK_CMD_STATUS_GET, 0), 0, take_status, status);
}

int bnl_conf_set(struct bnl *nl, const struct bnl_conf *conf)
{
	struct nl_msg *msg = new_request(nl, BERK_CMD_CONF_SET, 0);

	return bnl_request(nl, msg, msg && bnl_put_conf(msg, conf), NULL, NULL);
}

static void take_index(void *arg, struct nlattr **attrs)
{
	*(uint32_t *)arg = bnl_get_u32(attrs, BERK_A_PEER);
}

int bnl_peer_set(struct bnl *nl, const union node_addr *addr, uint32_t *index)
{
	struct nl_msg *msg = new_request(nl, BERK_CMD_PEER_SET, 0);

	return bnl_request(nl, msg, msg && bnl_put_addr(msg, BERK_A_ADDR, addr), take_index, index);
}

int bnl_peer_del(struct bnl *nl, const union node_addr *addr)
{
	struct nl_msg *msg = new_request(nl, BERK_CMD_PEER_DEL, 0);

	return bnl_request(nl, msg, msg && addr && bnl_put_addr(msg, BERK_A_ADDR, addr), NULL,
			   NULL);
}

struct peer_list {
	struct bnl_peer *peers;
	size_t n;
	bool no_memory;
};

static void take_peer(void *arg, struct nlattr **attrs)
{
	struct peer_list *list = arg;
	struct bnl_peer *peers = reallocarray(list->peers, list->n + 1, sizeof(*peers));

	if (!peers) {
		list->no_memory = true;
		return;
	}
	list->peers = peers;
	bnl_get_peer(attrs, &peers[list->n++]);
}

int bnl_peers(struct bnl *nl, struct bnl_peer **peers, size_t *n)
{
	struct peer_list list = { 0 };
	int err;

	do {
		list.n = 0;
		err = bnl_request(nl, new_request(nl, BERK_CMD_PEER_GET, NLM_F_DUMP), 0,
			      take_peer, &list);
	} while (err == -EAGAIN);
	if (!err && list.no_memory)
		err = bnl_fail(nl, -ENOMEM, NULL);
	if (err) {
		free(list.peers);
		return err;
	}
	*peers = list.peers;
	*n = list.n;
	return 0;
}

int bnl_note(struct bnl *nl, const struct node_note *note)
{
	struct nl_msg *msg = new_request(nl, BERK_CMD_PEER_NOTE, 0);

	return bnl_request(nl, msg, msg && bnl_put_note(msg, note), NULL, NULL);
}

int bnl_round(struct bnl *nl, const struct node_round *round)
{
	struct nl_msg *msg;

	if (round->n_peers > BNL_ROUND_PEERS)
		return bnl_fail(nl, -E2BIG, "too many peers for one round");
	msg = bnl_request_new(nl, BERK_CMD_ROUND, 0, round->n_peers * sizeof(*round->peer));
	return bnl_request(nl, msg, msg && bnl_put_round(msg, round), NULL, NULL);
}

struct sample_reader {
	uint64_t next;
	bnl_sample_fn *fn;
	void *arg;
};

static void take_samples(void *arg, struct nlattr **attrs)
{
	struct sample_reader *reader = arg;
	struct bnl_event ev;
	struct berk_sample sample;

	if (!bnl_get_event(BERK_CMD_EV_SAMPLES, attrs, &ev))
		return;
	for (size_t i = 0; i < ev.samples.n; i++) {
		bnl_sample(&ev, i, &sample);
		if (sample.seq < reader->next)
			continue;
		reader->next = sample.seq + 1;
		reader->fn(reader->arg, &sample);
	}
}

int bnl_samples(struct bnl *nl, uint64_t from, bnl_sample_fn *fn, void *arg)
{
	struct sample_reader reader = { .next = from, .fn = fn, .arg = arg };
	struct nl_msg *msg;
	int err;

	do {
		msg = new_request(nl, BERK_CMD_SAMPLE_GET, NLM_F_DUMP);
		err = bnl_request(nl, msg, msg && nla_put_u64(msg, BERK_A_SEQ, reader.next),
			      take_samples, &reader);
	} while (err == -EAGAIN);
	return err;
}

int bnl_send(struct bnl *nl, const union node_addr *addr, uint32_t ifindex, const void *payload,
	     size_t len)
{
	struct nl_msg *msg = new_request(nl, BERK_CMD_SEND, 0);
	bool bad = msg && (bnl_put_addr(msg, BERK_A_ADDR, addr) ||
			   (ifindex && nla_put_u32(msg, BERK_A_IFINDEX, ifindex)) ||
			   nla_put(msg, BERK_A_PAYLOAD, len, payload));

	return bnl_request(nl, msg, bad, NULL, NULL);
}

int bnl_publish(struct bnl *nl, const struct node_publish *publish)
{
	struct nl_msg *msg = new_request(nl, BERK_CMD_PUBLISH, 0);

	return bnl_request(nl, msg, msg && bnl_put_publish(msg, publish), NULL, NULL);
}
