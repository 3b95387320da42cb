// SPDX-License-Identifier: GPL-2.0
/* What the daemon published, as long as it is true; and the counters. */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/timekeeping.h>

#include "berk.h"

void berk_count(struct berk_net *bn, enum berk_counter counter)
{
	atomic64_inc(&bn->counter[counter]);
}

/* No daemon, or one that is silent: nobody corrects this clock. */
static void expire(struct berk_status *status)
{
	status->state = BERK_STATE_UNSYNCHRONISED;
	status->role = BERK_ROLE_NONE;
	status->master_id = 0;
	status->error_bound_ns = U64_MAX;
	status->error_growth_ppb = 0;
	status->valid_ms = 0;
	status->portid = 0;
}

/*
 * What is true @age_ns after the publication; shorter than its validity, at most
 * U32_MAX ms, so that the product fits. The bound is rounded up, the time left
 * down; a bound too large for 64 bits is unknown.
 */
static void grow_old(struct berk_status *status, u64 age_ns)
{
	u64 growth = mul_u64_u32_div(age_ns, status->error_growth_ppb, NSEC_PER_SEC);

	if (status->error_growth_ppb)
		growth++;
	if (check_add_overflow(status->error_bound_ns, growth, &status->error_bound_ns))
		status->error_bound_ns = U64_MAX;
	status->valid_ms -= DIV_ROUND_UP_ULL(age_ns, NSEC_PER_MSEC);
}

/**
 * berk_status_get() - what is true now
 * @bn: of which namespace
 * @status: where to, or NULL
 *
 * Process context or softirq.
 *
 * Return: the flags that go into packets, BERK_F_*.
 */
u16 berk_status_get(struct berk_net *bn, struct berk_status *status)
{
	u16 flags = 0;
	u64 age_ns;

	spin_lock_bh(&bn->status_lock);
	/* Read under the lock: no publication is younger. */
	age_ns = ktime_get_boottime_ns() - bn->status.boot_ns;
	if (!bn->status.portid || age_ns >= (u64)bn->status.valid_ms * NSEC_PER_MSEC)
		expire(&bn->status);
	else
		flags = BERK_F_DRIVEN;
	if (bn->status.state == BERK_STATE_SYNCHRONISED)
		flags |= BERK_F_SYNCED;
	if (status)
		*status = bn->status;
	spin_unlock_bh(&bn->status_lock);
	if (status && status->portid)
		grow_old(status, age_ns);
	return flags;
}

/**
 * berk_status_set() - the daemon publishes
 * @bn: of which namespace
 * @status: everything but boot_ns and round_boot_ns
 *
 * Return: whether state, role, master or term changed.
 */
bool berk_status_set(struct berk_net *bn, const struct berk_status *status)
{
	struct berk_status old;

	berk_status_get(bn, &old);
	spin_lock_bh(&bn->status_lock);
	bn->status = *status;
	bn->status.boot_ns = ktime_get_boottime_ns();
	bn->status.round_boot_ns = old.round_boot_ns;
	if (status->round && status->round != old.round)
		bn->status.round_boot_ns = bn->status.boot_ns;
	spin_unlock_bh(&bn->status_lock);
	return old.state != status->state || old.role != status->role ||
	       old.master_id != status->master_id || old.term != status->term;
}

/* The netlink socket is gone. Return: whether it was the daemon's. */
bool berk_status_drop(struct berk_net *bn, u32 portid)
{
	bool was;

	spin_lock_bh(&bn->status_lock);
	was = portid && bn->status.portid == portid;
	if (was)
		expire(&bn->status);
	spin_unlock_bh(&bn->status_lock);
	return was;
}

/* Time since the newest round, or -1 before the first. */
s64 berk_status_round_age_ms(const struct berk_status *status)
{
	if (!status->round_boot_ns)
		return -1;
	return div_s64(ktime_get_boottime_ns() - status->round_boot_ns, NSEC_PER_MSEC);
}
