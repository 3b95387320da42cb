/* SPDX-License-Identifier: GPL-2.0 */
/*
 * nl: everything that is said to the module, and all of libnl
 *
 * One socket for requests, one for notifications. All functions return 0 or
 * -errno; after a failure bnl_error() is the reason in words. The messages are
 * drawn at the top of <linux/berk.h>. The prefix is bnl_ because nl_ is libnl's.
 */
#ifndef BERK_NL_H
#define BERK_NL_H

#include "node.h"

struct bnl;

enum bnl_group {
	BNL_GROUP_EVENTS = 1,
	BNL_GROUP_SAMPLES = 2,	/* needs CAP_NET_ADMIN */
	BNL_GROUP_CTRL = 4,	/* needs CAP_NET_ADMIN */
};

struct bnl_status {
	char version[32];
	uint64_t node_id, cluster;
	uint16_t port;		/* 0: no sockets are open */
	union node_addr bind;	/* family 0: any */
	uint32_t ifindex;	/* 0: any device */
	enum berk_state state;
	enum berk_role role;
	uint64_t master_id;
	uint32_t term, round;
	uint64_t round_age_ms;	/* UINT64_MAX: no round yet */
	int64_t offset_ns;
	uint64_t error_bound_ns;	/* as it is now; UINT64_MAX: unknown */
	uint32_t error_growth_ppb;	/* by which it grows */
	uint64_t void_after_ms;	/* until all this falls back; 0: it has */
	int32_t freq_ppb;
	uint32_t peers;
	uint64_t seq;		/* one past the newest sample */
	uint64_t counters[BERK_CNT_MAX + 1];
};

enum bnl_conf_key {
	BNL_CONF_NODE_ID = 1,
	BNL_CONF_CLUSTER = 2,
	BNL_CONF_PORT = 4,
	BNL_CONF_BIND = 8,
	BNL_CONF_IFINDEX = 16,
};

/* What is not in set stays as it is. */
struct bnl_conf {
	unsigned int set;	/* enum bnl_conf_key */
	uint64_t node_id, cluster;
	uint16_t port;
	union node_addr bind;	/* without port; family 0 = any */
	uint32_t ifindex;
};

struct bnl_peer {
	uint32_t index;
	union node_addr addr;
	uint64_t node_id;	/* 0: not heard yet */
	uint16_t flags;		/* BERK_F_* */
	uint64_t probes, replies;
	uint64_t age_ms;	/* since its last reply; UINT64_MAX: never */
	bool noted;		/* a daemon says what it thinks of it: */
	enum berk_peer_state state;
	enum berk_peer_reason reason;
	uint8_t rank;		/* in the order of standbys; 0 = none */
	bool known;		/* the rest is, as in struct node_note */
	int64_t offset_ns, sigma_ns, delay_ns;
	int32_t freq_ppb;
};

enum bnl_event_type {
	BNL_EV_ROUND,
	BNL_EV_STATE,
	BNL_EV_SAMPLES,
	BNL_EV_CTRL,
	BNL_EV_OVERRUN,	/* notifications were lost: dump the samples again */
	BNL_EV_GONE,	/* the module was unloaded */
};

struct bnl_event {
	enum bnl_event_type type;
	union {
		struct {
			uint32_t round, probes, replies;
			uint64_t seq;	/* one past the newest sample */
		} round;
		struct {
			enum berk_state state;
			enum berk_role role;
			uint64_t master_id;
			uint32_t term;
		} state;
		struct {
			const void *data;	/* bnl_sample() takes them out */
			size_t n;
		} samples;
		struct {
			union node_addr addr;
			uint64_t node_id;
			uint32_t term;
			const void *payload;
			size_t len;
		} ctrl;
	};
};

typedef void bnl_sample_fn(void *arg, const struct berk_sample *sample);
typedef void bnl_event_fn(void *arg, const struct bnl_event *event);

/*
 * groups: BNL_GROUP_* to hear. -ENOENT: the module is not loaded. *nl is set even
 * on error, for bnl_error(), unless it is -ENOMEM; bnl_close() it in any case.
 */
int bnl_open(struct bnl **nl, unsigned int groups);
void bnl_close(struct bnl *nl);
const char *bnl_error(const struct bnl *nl);

int bnl_status(struct bnl *nl, struct bnl_status *status);
int bnl_conf_set(struct bnl *nl, const struct bnl_conf *conf);
int bnl_peer_set(struct bnl *nl, const union node_addr *addr, uint32_t *index);
/* addr NULL: all peers */
int bnl_peer_del(struct bnl *nl, const union node_addr *addr);
/* *peers is to be freed by the caller, on success only. */
int bnl_peers(struct bnl *nl, struct bnl_peer **peers, size_t *n);
/* What was noted before is replaced. -ENOENT: there is no such peer. */
int bnl_note(struct bnl *nl, const struct node_note *note);
/* The most peers that one round can name, and that the module takes. */
#define BNL_ROUND_PEERS 16000
/* -EBUSY while another round runs; -E2BIG: more than BNL_ROUND_PEERS. */
int bnl_round(struct bnl *nl, const struct node_round *round);
/* Those still in the ring from sequence number from on, oldest first, each once. */
int bnl_samples(struct bnl *nl, uint64_t from, bnl_sample_fn *fn, void *arg);
/* ifindex: the device of a multicast ADDR, BERK_MCAST_*; 0 for all others. */
int bnl_send(struct bnl *nl, const union node_addr *addr, uint32_t ifindex, const void *payload,
	     size_t len);
int bnl_publish(struct bnl *nl, const struct node_publish *publish);

/* To be polled for reading; bnl_events() takes what there is, or the first part of it. */
int bnl_events_fd(const struct bnl *nl);
int bnl_events(struct bnl *nl, bnl_event_fn *fn, void *arg);
/* The i-th sample of an BNL_EV_SAMPLES (which may lie unaligned). */
void bnl_sample(const struct bnl_event *event, size_t i, struct berk_sample *sample);

#endif /* BERK_NL_H */
