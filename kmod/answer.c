// SPDX-License-Identifier: GPL-2.0
/*
 * Answering probes. A probe that arrives (softirq) is queued; the thread sends
 * the answer, and with it the driver's transmit stamp of the answer before.
 *
 * Anyone may ask: the queue and the table of askers have a fixed size, and an
 * answer is as long as the probe. A probe doubled on its way is answered once:
 * under one nonce there is one T3.
 */
#include <linux/random.h>
#include <linux/slab.h>

#include "berk.h"

int berk_answers_init(struct berk_answers *answers)
{
	int err;

	spin_lock_init(&answers->lock);
	get_random_bytes(&answers->key, sizeof(answers->key));
	err = kfifo_alloc(&answers->fifo, BERK_ANSWERS, GFP_KERNEL_ACCOUNT);
	if (err)
		return err;
	answers->asker = kvcalloc(BERK_ASKERS, sizeof(*answers->asker), GFP_KERNEL_ACCOUNT);
	if (!answers->asker) {
		kfifo_free(&answers->fifo);
		return -ENOMEM;
	}
	return 0;
}

void berk_answers_free(struct berk_answers *answers)
{
	kvfree(answers->asker);
	answers->asker = NULL;
	kfifo_free(&answers->fifo);
}

/* Softirq. Return: false if too many wait already. */
bool berk_answer_queue(struct berk_answers *answers, const struct berk_answer *answer)
{
	unsigned long flags;
	bool ok;

	spin_lock_irqsave(&answers->lock, flags);
	ok = kfifo_put(&answers->fifo, *answer);
	spin_unlock_irqrestore(&answers->lock, flags);
	return ok;
}

bool berk_answer_waiting(struct berk_answers *answers)
{
	return !kfifo_is_empty(&answers->fifo);
}

/* Is this a copy of the probe that was answered before? */
static bool doubled(const struct berk_asker *before, const struct berk_answer *answer)
{
	return before->nonce == answer->nonce &&
	       !memcmp(&before->ends, &answer->ends, sizeof(answer->ends));
}

/*
 * Takes the next answer, and from the asker's place in the table what is known
 * of the one before; the place now belongs to this answer, unless it already
 * did. Two askers in one place take it from each other, which costs them exact
 * stamps and no more: the hash is keyed, so nobody can choose whom to push out.
 */
static bool take(struct berk_answers *answers, struct berk_answer *answer,
		 struct berk_asker *before, u32 *place)
{
	struct berk_asker *asker;
	unsigned long flags;
	bool got;

	spin_lock_irqsave(&answers->lock, flags);
	got = kfifo_get(&answers->fifo, answer);
	if (got) {
		*place = siphash(&answer->ends, sizeof(answer->ends), &answers->key) % BERK_ASKERS;
		asker = &answers->asker[*place];
		*before = *asker;
		if (!doubled(before, answer)) {
			asker->ends = answer->ends;
			asker->nonce = answer->nonce;
			asker->t3.src = BERK_STAMP_NONE;
		}
	}
	spin_unlock_irqrestore(&answers->lock, flags);
	return got;
}

/*
 * Sends one answer, or rejects a copy of what was answered, as a copy of a
 * reply is rejected. Return: false if none waits. The thread.
 */
bool berk_answer_next(struct berk_net *bn)
{
	struct berk_msg msg = { .type = BERK_WIRE_T_REPLY };
	struct berk_answer answer;
	struct berk_asker before;
	u32 place;

	if (!take(&bn->answers, &answer, &before, &place))
		return false;
	if (doubled(&before, &answer)) {
		berk_count(bn, BERK_CNT_REJECTED);
		return true;
	}
	if (before.nonce && !memcmp(&before.ends, &answer.ends, sizeof(answer.ends))) {
		if (before.t3.src != BERK_STAMP_NONE) {
			msg.reply.prev_nonce = before.nonce;
			msg.reply.prev_t3 = before.t3;
		} else {
			berk_count(bn, BERK_CNT_TX_STAMPS_MISSING);
		}
	}
	msg.nonce = answer.nonce;
	msg.seq = answer.seq;
	msg.reply.t2 = answer.t2;
	msg.reply.t3 = berk_now(BERK_STAMP_SOFT);
	if (berk_sock_send(bn, &answer.ends.to, &answer.ends.from, &msg, place) == 0)
		berk_count(bn, BERK_CNT_REPLIES_TX);
	return true;
}

/* The transmit stamp of an answer came back; any context. */
void berk_answer_stamp(struct berk_answers *answers, u32 place, u64 nonce,
		       const struct berk_mark *t3)
{
	unsigned long flags;

	spin_lock_irqsave(&answers->lock, flags);
	if (answers->asker[place].nonce == nonce)
		answers->asker[place].t3 = *t3;
	spin_unlock_irqrestore(&answers->lock, flags);
}
