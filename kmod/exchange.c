// SPDX-License-Identifier: GPL-2.0
/*
 * Pairing the four stamps of an exchange, and the ring of finished samples.
 *
 * An exchange is finished in two steps. The reply brings T2 and a T3 taken
 * before it was sent; the driver's own stamp of that T3 can only come with the
 * reply after it. So every answered exchange waits in x->last until the next
 * reply, which either makes its T3 exact or shows that there is no better one.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "berk.h"

void berk_exchange_init(struct berk_exchange *x)
{
	memset(x, 0, sizeof(*x));
	spin_lock_init(&x->lock);
}

static struct berk_probe *find(struct berk_exchange *x, u32 seq, u64 nonce)
{
	struct berk_probe *probe = &x->probe[seq % BERK_BURST_MAX];

	lockdep_assert_held(&x->lock);
	return nonce && probe->nonce == nonce && probe->seq == seq ? probe : NULL;
}

/**
 * berk_exchange_probe() - a probe is about to be sent
 * @x: exchanges with the peer it goes to
 * @round: the round it belongs to
 * @nonce: what its reply must echo, not 0
 * @t1: the present moment, until a transmit stamp tells better
 *
 * The probe BERK_BURST_MAX before it is given up as lost.
 *
 * Return: its sequence.
 */
u32 berk_exchange_probe(struct berk_exchange *x, u32 round, u64 nonce,
			const struct berk_mark *t1)
{
	unsigned long flags;
	u32 seq;

	spin_lock_irqsave(&x->lock, flags);
	seq = x->seq++;
	x->probes++;
	x->probe[seq % BERK_BURST_MAX] = (struct berk_probe) {
		.nonce = nonce,
		.seq = seq,
		.round = round,
		.t1 = *t1,
	};
	spin_unlock_irqrestore(&x->lock, flags);
	return seq;
}

/* The probe could not be sent after all. */
void berk_exchange_cancel(struct berk_exchange *x, u32 seq, u64 nonce)
{
	struct berk_probe *probe;
	unsigned long flags;

	spin_lock_irqsave(&x->lock, flags);
	probe = find(x, seq, nonce);
	if (probe) {
		probe->nonce = 0;
		x->probes--;
	}
	spin_unlock_irqrestore(&x->lock, flags);
}

/* The transmit stamp of a probe came back; any context. */
void berk_exchange_stamp(struct berk_exchange *x, u32 seq, u64 nonce,
			 const struct berk_mark *t1)
{
	struct berk_probe *probe;
	unsigned long flags;

	spin_lock_irqsave(&x->lock, flags);
	probe = find(x, seq, nonce);
	if (probe)
		probe->t1 = *t1;
	spin_unlock_irqrestore(&x->lock, flags);
}

/* The sample as far as this reply can tell; its T3 is the one before sending. */
static void assemble(struct berk_sample *s, const struct berk_probe *probe,
		     const struct berk_msg *msg, const struct berk_mark *t4)
{
	const struct berk_reply *reply = &msg->reply;

	*s = (struct berk_sample) {
		.node_id = msg->sender,
		.round = probe->round,
		.t1 = probe->t1.at,
		.t2 = reply->t2.at,
		.t3 = reply->t3.at,
		.t4 = t4->at,
		.local_set_seq = t4->set_seq,
		.peer_set_seq = reply->t3.set_seq,
		.term = msg->term,
		.peer_flags = msg->flags,
		.src = { probe->t1.src, reply->t2.src, reply->t3.src, t4->src },
	};
	if (probe->t1.set_seq != t4->set_seq)
		s->flags |= BERK_SAMPLE_LOCAL_STEP;
	if (reply->t2.set_seq != reply->t3.set_seq)
		s->flags |= BERK_SAMPLE_PEER_STEP;
}

/*
 * The exact T3 of the sample has arrived. Not if it lies before the T3 of before
 * sending, or makes the round trip negative: then it is of another answer, to a
 * copy of the probe that came when later probes had been answered. No limit in
 * ms: a busy machine or a full queue may well hold up an answer. Unsigned: the
 * peer may say anything.
 */
static void refine(struct berk_sample *s, const struct berk_mark *t3)
{
	u64 sending = (u64)t3->at.raw_ns - (u64)s->t3.raw_ns;
	s64 delay = (u64)s->t4.raw_ns - (u64)s->t1.raw_ns -
		    ((u64)s->t3.raw_ns - (u64)s->t2.raw_ns);

	if (delay < 0 || sending > (u64)delay)
		return;
	if (t3->set_seq != s->peer_set_seq)
		s->flags |= BERK_SAMPLE_PEER_STEP;
	s->t3 = t3->at;
	s->peer_set_seq = t3->set_seq;
	s->src[2] = t3->src;
}

/**
 * berk_exchange_reply() - a reply came
 * @x: exchanges with the peer it came from
 * @msg: the reply
 * @t4: its arrival
 * @boot_ns: CLOCK_BOOTTIME
 * @round: where to put the round of the probe that it answers
 * @sample: where to put the sample that it finishes: that of the reply before
 *
 * Softirq. A second copy of a reply, or one to a probe that was never sent,
 * finds no probe.
 *
 * Return: 1 with a sample, 0 without, -ENOENT if it answers nothing.
 */
int berk_exchange_reply(struct berk_exchange *x, const struct berk_msg *msg,
			const struct berk_mark *t4, u64 boot_ns, u32 *round,
			struct berk_sample *sample)
{
	struct berk_probe *probe;
	unsigned long flags;
	int ret = -ENOENT;

	spin_lock_irqsave(&x->lock, flags);
	probe = find(x, msg->seq, msg->nonce);
	if (!probe)
		goto unlock;

	ret = x->last_nonce ? 1 : 0;
	if (ret) {
		if (msg->reply.prev_nonce == x->last_nonce)
			refine(&x->last, &msg->reply.prev_t3);
		*sample = x->last;
	}
	assemble(&x->last, probe, msg, t4);
	x->last_nonce = probe->nonce;
	*round = probe->round;
	probe->nonce = 0;

	x->replies++;
	x->node_id = msg->sender;
	x->peer_flags = msg->flags;
	x->answered_ns = boot_ns;
unlock:
	spin_unlock_irqrestore(&x->lock, flags);
	return ret;
}

/**
 * berk_ring_init() - make room for samples
 * @ring: zeroed
 * @size: how many, a power of 2
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
int berk_ring_init(struct berk_ring *ring, u32 size)
{
	if (!is_power_of_2(size))
		return -EINVAL;
	spin_lock_init(&ring->lock);
	ring->slot = kvcalloc(size, sizeof(*ring->slot), GFP_KERNEL_ACCOUNT);
	if (!ring->slot)
		return -ENOMEM;
	ring->size = size;
	return 0;
}

void berk_ring_free(struct berk_ring *ring)
{
	kvfree(ring->slot);
	ring->slot = NULL;
	ring->size = 0;
}

/* Stores a sample and gives it its sequence. */
void berk_ring_put(struct berk_ring *ring, struct berk_sample *sample)
{
	spin_lock_bh(&ring->lock);
	sample->seq = ring->next++;
	ring->slot[sample->seq & (ring->size - 1)] = *sample;
	spin_unlock_bh(&ring->lock);
}

/* Sequence of the sample that will come next. */
u64 berk_ring_next(struct berk_ring *ring)
{
	u64 next;

	spin_lock_bh(&ring->lock);
	next = ring->next;
	spin_unlock_bh(&ring->lock);
	return next;
}

/**
 * berk_ring_get() - read samples in their order
 * @ring: where from
 * @from: sequence of the first one wanted; moved on to where to read on
 * @out: where to
 * @max: room there
 *
 * What is overwritten already is left out: the sequences show the gap.
 *
 * Return: how many were read; 0 when there are no more.
 */
u32 berk_ring_get(struct berk_ring *ring, u64 *from, struct berk_sample *out, u32 max)
{
	u32 n = 0;

	if (!ring->size)
		return 0;
	spin_lock_bh(&ring->lock);
	if (ring->next > ring->size && *from < ring->next - ring->size)
		*from = ring->next - ring->size;
	while (n < max && *from < ring->next)
		out[n++] = ring->slot[(*from)++ & (ring->size - 1)];
	spin_unlock_bh(&ring->lock);
	return n;
}
