// SPDX-License-Identifier: GPL-2.0
/*
 * Answering probes. A probe that arrives (softirq) is queued; the thread sends
 * the answer, and with it the driver's transmit stamp of the answer before.
 *
 * Anyone may ask: the queue and the table of askers have a fixed size, and an
 * answer is as long as the probe. A probe doubled on its way is answered once,
 * however late its copy comes, as long as its asker waits for an answer: under
 * one nonce there is one T3.
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

/*
 * The place of this asker in the table. Two askers in one place take it from
 * each other, which costs them exact stamps and no more: the hash is keyed, so
 * nobody can choose whom to push out.
 */
static struct berk_asker *place_of(struct berk_answers *answers, const struct berk_ends *ends)
{
	u32 place = siphash(ends, sizeof(*ends), &answers->key) % BERK_ASKERS;
	struct berk_asker *asker = &answers->asker[place];

	lockdep_assert_held(&answers->lock);
	if (memcmp(&asker->ends, ends, sizeof(*ends))) {
		memset(asker, 0, sizeof(*asker));
		asker->ends = *ends;
	}
	return asker;
}

/*
 * Is this a copy of a probe that was answered before? The answer belongs to the
 * nonce, not to the sequence alone: an asker that started anew begins with
 * sequence 0 again and is to be answered at once.
 */
static bool doubled(struct berk_asker *asker, const struct berk_answer *answer)
{
	u32 *answered = &asker->answered[answer->seq % BERK_BURST_MAX];
	bool copy = *answered == (u32)answer->nonce;

	*answered = answer->nonce;
	return copy;
}

/*
 * Takes the next answer, and puts into @msg what is known of the one before to
 * the same asker. Return: -ENOENT if none waits, -EALREADY for a copy, otherwise
 * the asker's place.
 */
static int take(struct berk_answers *answers, struct berk_answer *answer, struct berk_msg *msg)
{
	struct berk_asker *asker;
	unsigned long flags;
	int ret = -ENOENT;

	spin_lock_irqsave(&answers->lock, flags);
	if (!kfifo_get(&answers->fifo, answer))
		goto unlock;
	asker = place_of(answers, &answer->ends);
	ret = -EALREADY;
	if (doubled(asker, answer))
		goto unlock;
	msg->reply.prev_nonce = asker->nonce;
	msg->reply.prev_t3 = asker->t3;
	asker->nonce = answer->nonce;
	asker->t3.src = BERK_STAMP_NONE;
	ret = asker - answers->asker;
unlock:
	spin_unlock_irqrestore(&answers->lock, flags);
	return ret;
}

/*
 * Sends one answer, or rejects a copy of what was answered, as a copy of a
 * reply is rejected. Return: false if none waits. The thread.
 */
bool berk_answer_next(struct berk_net *bn)
{
	struct berk_msg msg = { .type = BERK_WIRE_T_REPLY };
	struct berk_answer answer;
	int place = take(&bn->answers, &answer, &msg);

	if (place == -ENOENT)
		return false;
	if (place < 0) {
		berk_count(bn, BERK_CNT_REJECTED);
		return true;
	}
	if (msg.reply.prev_nonce && msg.reply.prev_t3.src == BERK_STAMP_NONE) {
		msg.reply.prev_nonce = 0;
		berk_count(bn, BERK_CNT_TX_STAMPS_MISSING);
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
