// SPDX-License-Identifier: GPL-2.0
/*
 * The thread of a namespace: it answers probes and runs rounds. One burst goes
 * to all peers in step, spread evenly over the spacing, so that neither our
 * device nor our receive path sees all of them at once.
 */
#include <linux/kthread.h>
#include <linux/random.h>

#include "berk.h"

#define BATCH	32	/* packets between two looks at the other kind of work */

/* A random number that is not 0. */
u64 berk_nonce(void)
{
	u64 n;

	do {
		get_random_bytes(&n, sizeof(n));
	} while (!n);
	return n;
}

static void probe(struct berk_net *bn, struct berk_peer *peer)
{
	struct berk_msg msg = { .type = BERK_WIRE_T_PROBE, .nonce = berk_nonce() };
	struct berk_mark t1 = berk_now(BERK_STAMP_SOFT);

	msg.seq = berk_exchange_probe(&peer->x, bn->round.id, msg.nonce, &t1);
	/* Before sending: on a short way the reply is there before we return. */
	atomic_inc(&bn->round.probes);
	if (berk_sock_send(bn, &peer->addr, NULL, &msg, peer->index) == 0) {
		berk_count(bn, BERK_CNT_PROBES_TX);
	} else {
		atomic_dec(&bn->round.probes);
		berk_exchange_cancel(&peer->x, msg.seq, msg.nonce);
	}
}

/* The next peer of this pass, or NULL at its end. */
static struct berk_peer *next_peer(struct berk_net *bn)
{
	struct berk_peer *peer;

	while ((peer = berk_peer_next(&bn->peers, &bn->round.cursor))) {
		bn->round.cursor++;
		if (peer->in_round)
			return peer;
	}
	return NULL;
}

/* Sends what is due. Return: time until more is, in ns; 0: at once. */
static s64 send_due(struct berk_net *bn, ktime_t now)
{
	struct berk_round *r = &bn->round;
	struct berk_peer *peer;
	int i;

	for (i = 0; i < BATCH && r->pass < r->burst; i++) {
		u64 due = r->pass * r->spacing_ns + div_u64(r->spacing_ns, r->peers) * r->done;
		s64 left = ktime_to_ns(ktime_sub(ktime_add_ns(r->start, due), now));

		if (left > 0)
			return left;
		peer = next_peer(bn);
		if (peer) {
			probe(bn, peer);
			r->done++;
			continue;
		}
		r->done = 0;
		r->cursor = 0;
		/* Full barrier, pairs with berk_round_replied(). */
		smp_store_mb(r->pass, r->pass + 1);
	}
	return 0;
}

static bool finished(struct berk_round *r, ktime_t now)
{
	if (ktime_compare(now, r->deadline) >= 0)
		return true;
	return r->pass == r->burst && atomic_read(&r->replies) >= atomic_read(&r->probes);
}

static void end_round(struct berk_net *bn)
{
	lockdep_assert_held(&bn->peers.lock);
	berk_notify_round(bn);
	WRITE_ONCE(bn->round.active, false);
}

/* Return: when to be called again, in ns from now, or KTIME_MAX. */
static ktime_t work(struct berk_net *bn)
{
	struct berk_round *r = &bn->round;
	ktime_t now = ktime_get();
	ktime_t again = KTIME_MAX;
	bool end = false;

	mutex_lock(&bn->peers.lock);
	if (r->active) {
		again = send_due(bn, now);
		if (r->pass == r->burst || again > ktime_sub(r->deadline, now))
			again = ktime_sub(r->deadline, now);
		end = finished(r, now);
	}
	if (end) {
		end_round(bn);
		again = KTIME_MAX;
	}
	mutex_unlock(&bn->peers.lock);
	return again;
}

static int run(void *data)
{
	struct berk_net *bn = data;
	ktime_t again;
	int i;

	while (!kthread_should_stop()) {
		cond_resched();
		for (i = 0; i < BATCH && berk_answer_next(bn); i++)
			;
		/* Full barrier: what was done before a kick that this clears is seen. */
		smp_store_mb(bn->kick, false);
		again = work(bn);
		if (again <= 0)
			continue;
		wait_event_interruptible_hrtimeout(bn->wait,
						   kthread_should_stop() || READ_ONCE(bn->kick) ||
						   berk_answer_waiting(&bn->answers), again);
	}
	return 0;
}

static void kick(struct berk_net *bn)
{
	WRITE_ONCE(bn->kick, true);
	wake_up(&bn->wait);
}

/* A reply to a probe of this round came; softirq. */
void berk_round_replied(struct berk_net *bn, u32 id)
{
	struct berk_round *r = &bn->round;

	if (!READ_ONCE(r->active) || READ_ONCE(r->id) != id)
		return;
	/* Full barrier, pairs with smp_store_mb() in send_due(). */
	if (atomic_inc_return(&r->replies) >= atomic_read(&r->probes) &&
	    READ_ONCE(r->pass) == READ_ONCE(r->burst))
		kick(bn);
}

/* Marks who takes part. Return: how many. */
static u32 select_peers(struct berk_net *bn, const u32 *list, u32 n)
{
	struct berk_peer *peer;
	unsigned long index;
	u32 i, count = 0;

	xa_for_each(&bn->peers.by_index, index, peer)
		peer->in_round = !list;
	if (!list)
		return bn->peers.count;
	for (i = 0; i < n; i++) {
		peer = berk_peer_at(&bn->peers, list[i]);
		if (peer && !peer->in_round) {
			peer->in_round = true;
			count++;
		}
	}
	return count;
}

/**
 * berk_round_start() - begin a measurement round
 * @bn: conf_lock held
 * @id: what the daemon calls it
 * @burst: probes to each peer
 * @spacing_ns: between two probes to one peer
 * @deadline_ns: when it ends at the latest, from now
 * @list: indices of the peers to probe, or NULL: all; unknown ones are left out
 * @n: length of @list
 *
 * Return: 0, -EBUSY while another one runs, -ENOTCONN while closed.
 */
int berk_round_start(struct berk_net *bn, u32 id, u8 burst, u64 spacing_ns, u64 deadline_ns,
		     const u32 *list, u32 n)
{
	struct berk_round *r = &bn->round;
	int err = -EBUSY;

	lockdep_assert_held(&bn->conf_lock);
	if (!bn->thread)
		return -ENOTCONN;
	mutex_lock(&bn->peers.lock);
	if (!r->active) {
		WRITE_ONCE(r->id, id);
		WRITE_ONCE(r->burst, burst);
		WRITE_ONCE(r->pass, 0);
		r->peers = max(select_peers(bn, list, n), 1U);
		r->done = 0;
		r->cursor = 0;
		r->spacing_ns = spacing_ns;
		r->start = ktime_get();
		r->deadline = ktime_add_ns(r->start, deadline_ns);
		r->first_seq = berk_ring_next(&bn->ring);
		atomic_set(&r->probes, 0);
		atomic_set(&r->replies, 0);
		WRITE_ONCE(r->active, true);
		err = 0;
	}
	mutex_unlock(&bn->peers.lock);
	if (!err)
		kick(bn);
	return err;
}

/* conf_lock held, sockets open. Return: 0 or a negative error. */
int berk_thread_start(struct berk_net *bn)
{
	struct task_struct *thread = kthread_run(run, bn, "berk");

	if (IS_ERR(thread))
		return PTR_ERR(thread);
	bn->thread = thread;
	return 0;
}

/* A round that was running ends here, with what it has. */
void berk_thread_stop(struct berk_net *bn)
{
	if (!bn->thread)
		return;
	kthread_stop(bn->thread);
	bn->thread = NULL;
	mutex_lock(&bn->peers.lock);
	if (bn->round.active)
		end_round(bn);
	mutex_unlock(&bn->peers.lock);
}
