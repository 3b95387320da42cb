// SPDX-License-Identifier: GPL-2.0
/* KUnit: what was published, how it ages and how it ends */
#include <kunit/test.h>

#include "../../kmod/status.c"

#define PORTID	7
#define SECOND	NSEC_PER_SEC

static u64 grown(u64 bound, u32 growth, u64 age_ns)
{
	struct berk_status s = {
		.error_bound_ns = bound, .error_growth_ppb = growth, .valid_ms = U32_MAX,
	};

	grow_old(&s, age_ns);
	return s.error_bound_ns;
}

static void bound_grows(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 1500, grown(1500, 0, 0));
	KUNIT_EXPECT_EQ(test, 1500, grown(1500, 0, 3600 * SECOND));
	/* Never less than the truth: 300 ppb for 2.5 s are 750 ns. */
	KUNIT_EXPECT_EQ(test, 1500 + 751, grown(1500, 300, 2500 * NSEC_PER_MSEC));
	KUNIT_EXPECT_EQ(test, 1501, grown(1500, 1, 1));
	KUNIT_EXPECT_EQ(test, 1, grown(0, 1, SECOND - 1));
	KUNIT_EXPECT_EQ(test, 2, grown(0, 1, SECOND));
}

static void bound_saturates(struct kunit *test)
{
	const u64 longest = (u64)U32_MAX * NSEC_PER_MSEC - 1;

	KUNIT_EXPECT_EQ(test, U64_MAX, grown(U64_MAX, 0, longest));
	KUNIT_EXPECT_EQ(test, U64_MAX, grown(U64_MAX, 1, 0));
	KUNIT_EXPECT_EQ(test, U64_MAX, grown(U64_MAX, U32_MAX, longest));
	KUNIT_EXPECT_EQ(test, U64_MAX, grown(U64_MAX - 10, 1000, SECOND));
	KUNIT_EXPECT_EQ(test, U64_MAX - 10, grown(U64_MAX - 10, 0, longest));
	/* The largest product: 2^32 - 1 ms at 2^32 - 1 ppb, less 1 ns, rounded up. */
	KUNIT_EXPECT_EQ(test, 18446744065119613ULL, grown(0, U32_MAX, longest));
}

static struct berk_net *new_net(struct kunit *test)
{
	struct berk_net *bn = kunit_kzalloc(test, sizeof(*bn), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bn);
	spin_lock_init(&bn->status_lock);
	return bn;
}

static const struct berk_status published = {
	.state = BERK_STATE_SYNCHRONISED, .role = BERK_ROLE_SLAVE, .master_id = 5, .term = 2,
	.round = 3, .error_bound_ns = 1000, .error_growth_ppb = 1000, .valid_ms = 60000,
	.portid = PORTID,
};

static void ages(struct kunit *test)
{
	struct berk_net *bn = new_net(test);
	struct berk_status s;

	KUNIT_EXPECT_TRUE(test, berk_status_set(bn, &published));
	KUNIT_EXPECT_EQ(test, BERK_F_DRIVEN | BERK_F_SYNCED, berk_status_get(bn, &s));
	KUNIT_EXPECT_LE(test, s.valid_ms, 60000);
	KUNIT_EXPECT_GT(test, s.error_bound_ns, 1000);

	bn->status.boot_ns -= 10 * SECOND;
	KUNIT_EXPECT_EQ(test, BERK_F_DRIVEN | BERK_F_SYNCED, berk_status_get(bn, &s));
	KUNIT_EXPECT_LT(test, s.valid_ms, 50000);
	KUNIT_EXPECT_GT(test, s.error_bound_ns, 11000);
	KUNIT_EXPECT_EQ(test, 1000, s.error_growth_ppb);
	/* Reading changes nothing of what was published. */
	KUNIT_EXPECT_EQ(test, 1000, bn->status.error_bound_ns);
	KUNIT_EXPECT_EQ(test, 60000, bn->status.valid_ms);

	/* A new one is young again. */
	KUNIT_EXPECT_FALSE(test, berk_status_set(bn, &published));
	berk_status_get(bn, &s);
	KUNIT_EXPECT_GT(test, s.valid_ms, 50000);
	KUNIT_EXPECT_LT(test, s.error_bound_ns, 11000);
}

static void expect_void(struct kunit *test, struct berk_net *bn)
{
	struct berk_status s;

	KUNIT_EXPECT_EQ(test, 0, berk_status_get(bn, &s));
	KUNIT_EXPECT_EQ(test, BERK_STATE_UNSYNCHRONISED, s.state);
	KUNIT_EXPECT_EQ(test, BERK_ROLE_NONE, s.role);
	KUNIT_EXPECT_EQ(test, 0, s.master_id);
	KUNIT_EXPECT_EQ(test, U64_MAX, s.error_bound_ns);
	KUNIT_EXPECT_EQ(test, 0, s.error_growth_ppb);
	KUNIT_EXPECT_EQ(test, 0, s.valid_ms);
}

static void ends(struct kunit *test)
{
	struct berk_status at_once = published;
	struct berk_net *bn = new_net(test);

	expect_void(test, bn);
	berk_status_set(bn, &published);
	bn->status.boot_ns -= 60 * SECOND;
	expect_void(test, bn);

	at_once.valid_ms = 0;
	berk_status_set(bn, &at_once);
	expect_void(test, bn);

	berk_status_set(bn, &published);
	KUNIT_EXPECT_FALSE(test, berk_status_drop(bn, PORTID + 1));
	KUNIT_EXPECT_TRUE(test, berk_status_drop(bn, PORTID));
	KUNIT_EXPECT_FALSE(test, berk_status_drop(bn, PORTID));
	expect_void(test, bn);
}

static struct kunit_case status_cases[] = {
	KUNIT_CASE(bound_grows),
	KUNIT_CASE(bound_saturates),
	KUNIT_CASE(ages),
	KUNIT_CASE(ends),
	{}
};

static struct kunit_suite status_suite = {
	.name = "status",
	.test_cases = status_cases,
};

kunit_test_suite(status_suite);

MODULE_LICENSE("GPL");
