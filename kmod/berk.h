/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The internal map of berk.ko: what there is, and under the name of each file
 * what it offers to the others.
 *
 * Locks, outermost first:
 *	berk_net.conf_lock	configuration, opening and closing; mutex
 *	rtnl_mutex		of the kernel; taken by joining groups, and closing
 *	berk_peers.lock		the peer table, the round; mutex
 *	berk_sock.tx_lock	one send at a time; mutex
 *	the spinlocks of exchanges, the ring, answers, pending stamps and the
 *	published state are leaves: none is taken under another.
 * Transmit stamps can come back inside our own send, and in any context: the
 * locks that berk_error_report() takes disable interrupts.
 */
#ifndef BERK_H
#define BERK_H

#include <linux/hashtable.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/kfifo.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/siphash.h>
#include <linux/socket.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "wire.h"

struct genl_info;
struct net;
struct sk_buff;
struct sock;
struct socket;

/* Compared as a whole: berk_addr_*() leave no unused byte set. */
union berk_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* --- exchange.c: pairing of stamps, ring of samples; no sockets, no clocks */

/* A probe in flight. */
struct berk_probe {
	u64 nonce;		/* 0: this place is free */
	u32 seq;
	u32 round;
	struct berk_mark t1;
};

/* All exchanges with one peer. */
struct berk_exchange {
	spinlock_t lock;	/* protects everything here */
	u32 seq;		/* of the next probe */
	u16 peer_flags;
	u64 node_id;		/* 0 until it has answered */
	u64 probes;
	u64 replies;
	u64 answered_ns;	/* CLOCK_BOOTTIME of the last reply */
	u64 last_nonce;		/* of @last; 0: there is none */
	struct berk_sample last; /* complete but for its exact T3 */
	struct berk_probe probe[BERK_BURST_MAX];	/* by sequence */
};

/* Samples, the newest overwriting the oldest. */
struct berk_ring {
	spinlock_t lock;	/* protects the contents and @next */
	u64 next;		/* sequence of the next sample */
	u32 size;		/* a power of 2; 0: not there yet */
	struct berk_sample *slot;
};

void berk_exchange_init(struct berk_exchange *x);
u32 berk_exchange_probe(struct berk_exchange *x, u32 round, u64 nonce,
			const struct berk_mark *t1);
void berk_exchange_cancel(struct berk_exchange *x, u32 seq, u64 nonce);
void berk_exchange_stamp(struct berk_exchange *x, u32 seq, u64 nonce,
			 const struct berk_mark *t1);
int berk_exchange_reply(struct berk_exchange *x, const struct berk_msg *msg,
			const struct berk_mark *t4, u64 boot_ns, u32 *round,
			struct berk_sample *sample);

int berk_ring_init(struct berk_ring *ring, u32 size);
void berk_ring_free(struct berk_ring *ring);
void berk_ring_put(struct berk_ring *ring, struct berk_sample *sample);
u64 berk_ring_next(struct berk_ring *ring);
u32 berk_ring_get(struct berk_ring *ring, u64 *from, struct berk_sample *out, u32 max);

/* --- peer.c: peer table */

#define BERK_PEERS_MAX	16000

/* What the daemon thinks of a peer. */
struct berk_note {
	bool noted;
	bool known;		/* what follows the rank is */
	u8 state;		/* enum berk_peer_state */
	u8 reason;		/* enum berk_peer_reason */
	u8 rank;
	s32 freq_ppb;
	s64 offset_ns;
	u64 sigma_ns;
	u64 delay_ns;
};

struct berk_peer {
	struct hlist_node by_addr;
	struct rcu_head rcu;
	union berk_addr addr;
	u32 index;
	bool in_round;		/* by berk_peers.lock */
	struct berk_note note;	/* by berk_peers.lock */
	struct berk_exchange x;
};

/* Found under RCU, by address or index; changed under @lock. */
struct berk_peers {
	struct mutex lock;	/* protects all changes */
	DECLARE_HASHTABLE(by_addr, 10);
	struct xarray by_index;
	u32 next;		/* index of the next new peer */
	u32 count;
	u32 noter;		/* netlink socket that noted; 0: none did */
};

void berk_peers_init(struct berk_peers *peers);
void berk_peers_clear(struct berk_peers *peers);
int berk_peer_set(struct berk_peers *peers, const union berk_addr *addr, u32 *index);
int berk_peer_del(struct berk_peers *peers, const union berk_addr *addr);
struct berk_peer *berk_peer_find(struct berk_peers *peers, const union berk_addr *addr);
struct berk_peer *berk_peer_at(struct berk_peers *peers, u32 index);
struct berk_peer *berk_peer_next(struct berk_peers *peers, unsigned long *index);
int berk_peer_note(struct berk_peers *peers, u32 index, const struct berk_note *note,
		   u32 portid);
void berk_peers_forget(struct berk_peers *peers, u32 portid);
int berk_addr_from(union berk_addr *to, const void *sockaddr, size_t len);
bool berk_addr_is_unicast(const union berk_addr *addr);
bool berk_addr_is_group(const union berk_addr *addr);

extern const struct in6_addr berk_group_in6;

/* --- status.c: what the daemon published, and the counters */

struct berk_status {
	u8 state;		/* enum berk_state */
	u8 role;		/* enum berk_role */
	u32 term;
	u32 round;
	u64 master_id;
	s64 offset_ns;
	u64 error_bound_ns;	/* when published; from berk_status_get(): now */
	u32 error_growth_ppb;
	s32 freq_ppb;
	u32 valid_ms;		/* from the publication; from berk_status_get(): from now */
	u64 boot_ns;		/* CLOCK_BOOTTIME of the publication */
	u64 round_boot_ns;	/* CLOCK_BOOTTIME when @round came; 0: never */
	u32 portid;		/* netlink socket of the daemon; 0: none */
};

struct berk_net;

u16 berk_status_get(struct berk_net *bn, struct berk_status *status);
bool berk_status_set(struct berk_net *bn, const struct berk_status *status);
bool berk_status_drop(struct berk_net *bn, u32 portid);
s64 berk_status_round_age_ms(const struct berk_status *status);
void berk_count(struct berk_net *bn, enum berk_counter counter);

/* --- answer.c: answering probes */

#define BERK_ANSWERS	512	/* that can wait to be sent */
#define BERK_ASKERS	1024	/* whose last T3 is remembered */

/* Who asks, and which of our addresses. */
struct berk_ends {
	union berk_addr to;
	union berk_addr from;
};

/* A probe that came and waits to be answered. */
struct berk_answer {
	struct berk_ends ends;
	u64 nonce;
	u32 seq;
	struct berk_mark t2;
};

/* The last answers between two addresses. */
struct berk_asker {
	struct berk_ends ends;
	u64 nonce;		/* of the last one; 0: there is none */
	struct berk_mark t3;	/* of the last one; src NONE until the driver's stamp is there */
	/* Low half of the nonces, by sequence: as many as an asker can wait for. */
	u32 answered[BERK_BURST_MAX];
};

struct berk_answers {
	spinlock_t lock;	/* protects @fifo and @asker */
	siphash_key_t key;
	DECLARE_KFIFO_PTR(fifo, struct berk_answer);
	struct berk_asker *asker;	/* BERK_ASKERS, by hash of the addresses */
};

int berk_answers_init(struct berk_answers *answers);
void berk_answers_free(struct berk_answers *answers);
bool berk_answer_queue(struct berk_answers *answers, const struct berk_answer *answer);
bool berk_answer_waiting(struct berk_answers *answers);
bool berk_answer_next(struct berk_net *bn);
void berk_answer_stamp(struct berk_answers *answers, u32 asker, u64 nonce,
		       const struct berk_mark *t3);

/* --- sock.c: opening, closing, sending */

/* What a transmit stamp that comes back belongs to. */
struct berk_pending {
	u64 nonce;		/* 0: to nothing */
	u32 id;			/* SOF_TIMESTAMPING_OPT_ID */
	u32 owner;		/* index of the peer, or of the asker */
	u32 seq;
	u8 type;		/* enum berk_wire_type */
};

#define BERK_PENDING	512	/* a power of 2 */

struct berk_sock {
	struct berk_net *bn;
	struct socket *sock;
	struct mutex tx_lock;	/* one send at a time, so that ids can be foretold */
	u8 *tx_buf;		/* BERK_WIRE_MAX, by tx_lock */
	spinlock_t pending_lock; /* protects @pending */
	struct berk_pending pending[BERK_PENDING];	/* by id */
	struct xarray joined;	/* devices on which it hears the group; by conf_lock */
	void (*saved_error_report)(struct sock *sk);
};

int berk_sock_open(struct berk_net *bn);
void berk_sock_close(struct berk_net *bn);
int berk_sock_option(struct socket *sock, int level, int option, void *value, size_t size);
int berk_sock_send(struct berk_net *bn, const union berk_addr *to,
		   const union berk_addr *from, struct berk_msg *msg, u32 owner);

/* --- group.c: all nodes near, by multicast */

int berk_group_join(struct berk_net *bn, union berk_addr *group, u32 ifindex);

/* --- receive.c: packets, and transmit stamps coming back */

struct berk_mark berk_now(u8 src);
int berk_receive(struct sock *sk, struct sk_buff *skb);
void berk_error_report(struct sock *sk);

/* --- round.c: the thread that sends, and measurement rounds */

struct berk_round {
	bool active;
	u32 id;
	u8 burst;
	u8 pass;		/* probes already sent to every peer */
	u32 peers;		/* taking part */
	u32 done;		/* of these, in this pass */
	unsigned long cursor;	/* index of the next peer in this pass */
	u64 spacing_ns;
	ktime_t start;
	ktime_t deadline;
	u64 first_seq;		/* of the ring, when it began */
	atomic_t probes;	/* sent; written by the thread */
	atomic_t replies;	/* received; written in softirq */
};

int berk_round_start(struct berk_net *bn, u32 id, u8 burst, u64 spacing_ns, u64 deadline_ns,
		     const u32 *list, u32 n);
u64 berk_nonce(void);
void berk_round_replied(struct berk_net *bn, u32 id);
int berk_thread_start(struct berk_net *bn);
void berk_thread_stop(struct berk_net *bn);

/* --- request.c: carrying out requests */

int berk_do_status_get(struct sk_buff *request, struct genl_info *info);
int berk_do_conf_set(struct sk_buff *request, struct genl_info *info);
int berk_do_peer_set(struct sk_buff *request, struct genl_info *info);
int berk_do_peer_del(struct sk_buff *request, struct genl_info *info);
int berk_do_peer_note(struct sk_buff *request, struct genl_info *info);
int berk_do_round_start(struct sk_buff *request, struct genl_info *info);
int berk_do_ctrl_send(struct sk_buff *request, struct genl_info *info);
int berk_do_publish(struct sk_buff *request, struct genl_info *info);

/* --- netlink.c: the family */

extern struct genl_family berk_family;

int berk_netlink_init(void);
void berk_netlink_exit(void);

/* --- notify.c: what goes out through netlink */

enum { BERK_GROUP_EVENTS, BERK_GROUP_SAMPLES, BERK_GROUP_CTRL };

void berk_notify_enable(bool on);
int berk_put_status(struct sk_buff *skb, struct berk_net *bn);
int berk_dump_peers(struct sk_buff *skb, struct netlink_callback *cb);
int berk_dump_samples(struct sk_buff *skb, struct netlink_callback *cb);
void berk_notify_round(struct berk_net *bn);
void berk_notify_state(struct berk_net *bn);
void berk_notify_ctrl(struct berk_net *bn, const union berk_addr *from,
		      const struct berk_msg *msg);

/* --- sysfs.c */

int berk_sysfs_init(void);
void berk_sysfs_exit(void);

/* --- main.c: init, and what each network namespace has */

struct berk_conf {
	u64 node_id;
	u64 cluster;
	u16 port;		/* 0: closed */
	u32 ifindex;		/* 0: any device */
	union berk_addr bind;	/* family 0: both families, any address */
};

struct berk_net {
	struct net *net;
	struct mutex conf_lock;	/* protects @conf, @sock, @thread, and opening the ring */
	struct berk_conf conf;	/* node_id and cluster are also read without, by READ_ONCE */
	struct berk_sock *sock[2];	/* IPv4, IPv6; stay while @thread runs */
	struct task_struct *thread;
	wait_queue_head_t wait;	/* of @thread */
	bool kick;		/* there is work; set by anyone, cleared by @thread */
	struct berk_round round;	/* by peers.lock */
	struct berk_peers peers;
	struct berk_ring ring;
	struct berk_answers answers;
	spinlock_t status_lock;	/* protects @status */
	struct berk_status status;
	atomic64_t counter[BERK_CNT_MAX + 1];
};

struct berk_net *berk_net(struct net *net);
int berk_conf_apply(struct berk_net *bn, const struct berk_conf *conf);

#endif /* BERK_H */
