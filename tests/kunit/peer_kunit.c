// SPDX-License-Identifier: GPL-2.0
/* KUnit: socket addresses and the peer table */
#include <kunit/test.h>
#include <linux/inet.h>
#include <linux/kthread.h>

#include "../../kmod/exchange.c"
#include "../../kmod/peer.c"

static union berk_addr v4(u32 address, u16 port)
{
	union berk_addr a = {};

	a.in.sin_family = AF_INET;
	a.in.sin_port = htons(port);
	a.in.sin_addr.s_addr = htonl(address);
	return a;
}

static union berk_addr v6(struct kunit *test, const char *address, u32 scope)
{
	union berk_addr a = {};

	a.in6.sin6_family = AF_INET6;
	a.in6.sin6_port = htons(BERK_PORT);
	a.in6.sin6_scope_id = scope;
	KUNIT_ASSERT_EQ(test, 1, in6_pton(address, -1, a.in6.sin6_addr.s6_addr, -1, NULL));
	return a;
}

static int peer_init(struct kunit *test)
{
	struct berk_peers *peers = kunit_kzalloc(test, sizeof(*peers), GFP_KERNEL);

	if (!peers)
		return -ENOMEM;
	berk_peers_init(peers);
	test->priv = peers;
	mutex_lock(&peers->lock);
	return 0;
}

static void peer_exit(struct kunit *test)
{
	struct berk_peers *peers = test->priv;

	berk_peers_clear(peers);
	KUNIT_EXPECT_EQ(test, 0, peers->count);
	KUNIT_EXPECT_TRUE(test, xa_empty(&peers->by_index));
	KUNIT_EXPECT_TRUE(test, hash_empty(peers->by_addr));
	mutex_unlock(&peers->lock);
}

static u32 add(struct kunit *test, union berk_addr a)
{
	u32 index = 0;

	KUNIT_ASSERT_EQ(test, 0, berk_peer_set(test->priv, &a, &index));
	return index;
}

/* Index of the peer, or 0. */
static u32 find_peer(struct kunit *test, union berk_addr a)
{
	struct berk_peer *peer = berk_peer_find(test->priv, &a);

	return peer ? peer->index : 0;
}

static int del(struct kunit *test, union berk_addr a)
{
	return berk_peer_del(test->priv, &a);
}

static void add_find_delete(struct kunit *test)
{
	struct berk_peers *peers = test->priv;
	union berk_addr a = v4(0x0a000001, 5525);
	struct berk_peer *peer;
	u32 index;

	KUNIT_EXPECT_EQ(test, 0, find_peer(test, a));
	KUNIT_EXPECT_EQ(test, -ENOENT, del(test, a));
	index = add(test, a);
	KUNIT_EXPECT_NE(test, 0, index);
	KUNIT_EXPECT_EQ(test, index, find_peer(test, a));
	peer = berk_peer_at(peers, index);
	KUNIT_ASSERT_NOT_NULL(test, peer);
	KUNIT_EXPECT_EQ(test, 0, memcmp(&peer->addr, &a, sizeof(a)));
	KUNIT_EXPECT_EQ(test, 0, peer->x.probes);
	KUNIT_EXPECT_EQ(test, 1, peers->count);
	KUNIT_EXPECT_EQ(test, 0, del(test, a));
	KUNIT_EXPECT_EQ(test, 0, find_peer(test, a));
	KUNIT_EXPECT_NULL(test, berk_peer_at(peers, index));
	KUNIT_EXPECT_EQ(test, -ENOENT, del(test, a));
	KUNIT_EXPECT_EQ(test, 0, peers->count);
}

static void duplicates(struct kunit *test)
{
	struct berk_peers *peers = test->priv;
	u32 index = add(test, v4(1, 5525));

	KUNIT_EXPECT_EQ(test, index, add(test, v4(1, 5525)));
	KUNIT_EXPECT_EQ(test, 1, peers->count);
}

/* Samples name peers by index: one of the past must never mean another. */
static void index_is_never_reused(struct kunit *test)
{
	u32 first = add(test, v4(1, 5525)), again;

	KUNIT_EXPECT_EQ(test, 0, del(test, v4(1, 5525)));
	again = add(test, v4(1, 5525));
	KUNIT_EXPECT_GT(test, again, first);
	berk_peers_clear(test->priv);
	KUNIT_EXPECT_GT(test, add(test, v4(1, 5525)), again);
}

static void different_addresses(struct kunit *test)
{
	const union berk_addr a[] = {
		v4(0x0a000001, 5525), v4(0x0a000001, 5526), v4(0x0a000002, 5525),
		v6(test, "fd00::1", 0), v6(test, "fd00::2", 0),
		v6(test, "fe80::1", 1), v6(test, "fe80::1", 2),
	};
	u32 index[ARRAY_SIZE(a)];
	int i, k;

	for (i = 0; i < ARRAY_SIZE(a); i++) {
		KUNIT_EXPECT_EQ(test, 0, find_peer(test, a[i]));
		index[i] = add(test, a[i]);
	}
	for (i = 0; i < ARRAY_SIZE(a); i++) {
		KUNIT_EXPECT_EQ(test, index[i], find_peer(test, a[i]));
		for (k = 0; k < i; k++)
			KUNIT_EXPECT_NE(test, index[i], index[k]);
	}
	KUNIT_EXPECT_EQ(test, 0, del(test, a[5]));
	KUNIT_EXPECT_EQ(test, 0, find_peer(test, a[5]));
	KUNIT_EXPECT_EQ(test, index[6], find_peer(test, a[6]));
}

static void thousand(struct kunit *test)
{
	struct berk_peers *peers = test->priv;
	struct berk_peer *peer;
	unsigned long index = 0;
	u32 i, n = 0;

	for (i = 0; i < 1000; i++)
		KUNIT_ASSERT_EQ(test, i + 1, add(test, v4(i, 5525)));
	KUNIT_EXPECT_EQ(test, 1000, peers->count);
	for (i = 0; i < 1000; i++)
		KUNIT_EXPECT_EQ(test, i + 1, find_peer(test, v4(i, 5525)));
	for (i = 0; i < 1000; i += 2)
		KUNIT_EXPECT_EQ(test, 0, del(test, v4(i, 5525)));
	KUNIT_EXPECT_EQ(test, 500, peers->count);
	for (i = 0; i < 1000; i++)
		KUNIT_EXPECT_EQ(test, i % 2 ? i + 1 : 0, find_peer(test, v4(i, 5525)));
	/* One pass over those that are left, in the order of their indices. */
	for (; (peer = berk_peer_next(peers, &index)); index++, n++) {
		KUNIT_EXPECT_EQ(test, peer->index, 2 * n + 2);
		KUNIT_EXPECT_EQ(test, peer->index, index);
	}
	KUNIT_EXPECT_EQ(test, 500, n);
}

static void full(struct kunit *test)
{
	struct berk_peers *peers = test->priv;
	union berk_addr a = v4(2, 5525);
	u32 index = 77, old = add(test, v4(1, 5525));

	peers->count = BERK_PEERS_MAX;
	KUNIT_EXPECT_EQ(test, -ENOSPC, berk_peer_set(peers, &a, &index));
	KUNIT_EXPECT_EQ(test, 0, find_peer(test, a));
	KUNIT_EXPECT_EQ(test, 77, index);
	KUNIT_EXPECT_EQ(test, old, add(test, v4(1, 5525)));
	peers->count = 1;
	peers->next = U32_MAX;
	KUNIT_EXPECT_EQ(test, -ENOSPC, berk_peer_set(peers, &a, &index));
}

/* Who found a peer under RCU can use it until the end of its section. */
static void deleted_under_rcu(struct kunit *test)
{
	struct berk_peers *peers = test->priv;
	union berk_addr a = v4(1, 5525);
	u32 index = add(test, a);
	struct berk_peer *peer;

	rcu_read_lock();
	peer = berk_peer_find(peers, &a);
	KUNIT_EXPECT_EQ(test, 0, berk_peer_del(peers, &a));
	KUNIT_EXPECT_NULL(test, berk_peer_find(peers, &a));
	if (peer) {
		KUNIT_EXPECT_EQ(test, index, peer->index);
		KUNIT_EXPECT_EQ(test, 0, memcmp(&peer->addr, &a, sizeof(a)));
	}
	rcu_read_unlock();
	KUNIT_EXPECT_NOT_NULL(test, peer);
}

static int reader(void *data)
{
	struct berk_peers *peers = data;
	struct berk_peer *peer;
	union berk_addr a;
	int wrong = 0;
	u32 i;

	for (i = 0; !kthread_should_stop(); i++) {
		a = v4(i % 16, 5525);
		rcu_read_lock();
		peer = berk_peer_find(peers, &a);
		if (peer && memcmp(&peer->addr, &a, sizeof(a)))
			wrong++;
		peer = berk_peer_at(peers, i % 4096);
		if (peer && peer->index != i % 4096)
			wrong++;
		rcu_read_unlock();
		cond_resched();
	}
	return wrong;
}

/* Peers come and go while packets look for them. */
static void concurrent_readers(struct kunit *test)
{
	struct task_struct *thread[2];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(thread); i++) {
		thread[i] = kthread_run(reader, test->priv, "berk_kunit/%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(thread[i]));
	}
	for (i = 0; i < 4000; i++) {
		if (del(test, v4(i * 7 % 16, 5525)))
			add(test, v4(i * 7 % 16, 5525));
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		KUNIT_EXPECT_EQ(test, 0, kthread_stop(thread[i]));
}

static void addr_v4(struct kunit *test)
{
	union berk_addr from, to, want = v4(0x7f000001, 99);
	size_t len;

	memset(&from, 0xff, sizeof(from));	/* sin_zero too */
	from.in.sin_family = AF_INET;
	from.in.sin_port = htons(99);
	from.in.sin_addr.s_addr = htonl(0x7f000001);
	for (len = 0; len < sizeof(from.in); len++)
		KUNIT_EXPECT_EQ(test, -EINVAL, berk_addr_from(&to, &from, len));
	for (; len <= sizeof(from); len++) {
		memset(&to, 0xff, sizeof(to));
		KUNIT_EXPECT_EQ(test, 0, berk_addr_from(&to, &from, len));
		KUNIT_EXPECT_EQ(test, 0, memcmp(&to, &want, sizeof(to)));
	}
}

static void addr_v6(struct kunit *test)
{
	union berk_addr from = v6(test, "fd00::1", 3), want = v6(test, "fd00::1", 0), to;
	u8 odd[1 + sizeof(struct sockaddr_in6)];
	size_t len;

	from.in6.sin6_flowinfo = htonl(0x12345);
	for (len = 0; len < sizeof(from.in6); len++)
		KUNIT_EXPECT_EQ(test, -EINVAL, berk_addr_from(&to, &from, len));
	memcpy(odd + 1, &from, sizeof(from.in6));
	KUNIT_EXPECT_EQ(test, 0, berk_addr_from(&to, odd + 1, sizeof(from.in6)));
	KUNIT_EXPECT_EQ(test, 0, memcmp(&to, &want, sizeof(to)));

	/* Only a link-local address needs to know its link. */
	from = v6(test, "fe80::1", 3);
	want = from;
	from.in6.sin6_flowinfo = htonl(0x12345);
	KUNIT_EXPECT_EQ(test, 0, berk_addr_from(&to, &from, sizeof(from)));
	KUNIT_EXPECT_EQ(test, 0, memcmp(&to, &want, sizeof(to)));
}

static void addr_refused(struct kunit *test)
{
	union berk_addr from = v6(test, "::ffff:10.0.0.1", 0), to;

	KUNIT_EXPECT_EQ(test, -EAFNOSUPPORT, berk_addr_from(&to, &from, sizeof(from)));
	from.sa.sa_family = AF_UNIX;
	KUNIT_EXPECT_EQ(test, -EAFNOSUPPORT, berk_addr_from(&to, &from, sizeof(from)));
	from.sa.sa_family = AF_UNSPEC;
	KUNIT_EXPECT_EQ(test, -EAFNOSUPPORT, berk_addr_from(&to, &from, sizeof(from)));
}

static void addr_kinds(struct kunit *test)
{
	const union berk_addr group4 = v4(BERK_MCAST_IN4, 1), group6 = v6(test, BERK_MCAST_IN6, 3);
	const union berk_addr neither[] = {
		v4(0, 1), v4(0xe0000001, 1), v4(0xefffffff, 1), v4(0xffffffff, 1),
		v6(test, "::", 0), v6(test, "ff02::1", 3), v6(test, "ff15::5525", 0),
	};
	const union berk_addr unicast[] = {
		v4(0x0a000001, 1), v4(0x7f000001, 1), v6(test, "::1", 0), v6(test, "fe80::1", 3),
	};
	int i;

	KUNIT_EXPECT_TRUE(test, berk_addr_is_group(&group4));
	KUNIT_EXPECT_TRUE(test, berk_addr_is_group(&group6));
	KUNIT_EXPECT_FALSE(test, berk_addr_is_unicast(&group4));
	KUNIT_EXPECT_FALSE(test, berk_addr_is_unicast(&group6));
	for (i = 0; i < ARRAY_SIZE(neither); i++) {
		KUNIT_EXPECT_FALSE_MSG(test, berk_addr_is_group(&neither[i]), "row %d", i);
		KUNIT_EXPECT_FALSE_MSG(test, berk_addr_is_unicast(&neither[i]), "row %d", i);
	}
	for (i = 0; i < ARRAY_SIZE(unicast); i++) {
		KUNIT_EXPECT_FALSE_MSG(test, berk_addr_is_group(&unicast[i]), "row %d", i);
		KUNIT_EXPECT_TRUE_MSG(test, berk_addr_is_unicast(&unicast[i]), "row %d", i);
	}
}

static bool noted(struct kunit *test, u32 index)
{
	struct berk_peer *peer = berk_peer_at(test->priv, index);

	KUNIT_ASSERT_NOT_NULL(test, peer);
	return peer->note.noted;
}

static void notes(struct kunit *test)
{
	struct berk_peers *peers = test->priv;
	struct berk_note note = { .noted = true, .known = true, .state = BERK_PEER_MEMBER };
	u32 one = add(test, v4(1, 5525)), two = add(test, v4(2, 5525));

	KUNIT_EXPECT_FALSE(test, noted(test, one));
	KUNIT_EXPECT_EQ(test, -ENOENT, berk_peer_note(peers, two + 1, &note, 7));
	KUNIT_EXPECT_EQ(test, 0, berk_peer_note(peers, one, &note, 7));
	KUNIT_EXPECT_TRUE(test, noted(test, one));
	KUNIT_EXPECT_FALSE(test, noted(test, two));

	/* What is noted replaces what was. */
	note.known = false;
	note.rank = 3;
	KUNIT_EXPECT_EQ(test, 0, berk_peer_note(peers, one, &note, 7));
	KUNIT_EXPECT_EQ(test, 0, memcmp(&note, &berk_peer_at(peers, one)->note, sizeof(note)));
	KUNIT_EXPECT_EQ(test, 0, berk_peer_note(peers, two, &note, 7));

	/* Sockets that go without having noted: all of the kernel's, or another program's. */
	berk_peers_forget(peers, 0);
	berk_peers_forget(peers, 8);
	KUNIT_EXPECT_TRUE(test, noted(test, one));
	berk_peers_forget(peers, 7);
	KUNIT_EXPECT_FALSE(test, noted(test, one));
	KUNIT_EXPECT_FALSE(test, noted(test, two));

	/* Nor does a note outlive its peer. */
	KUNIT_EXPECT_EQ(test, 0, berk_peer_note(peers, one, &note, 7));
	KUNIT_EXPECT_EQ(test, 0, del(test, v4(1, 5525)));
	KUNIT_EXPECT_FALSE(test, noted(test, add(test, v4(1, 5525))));
}

static struct kunit_case peer_cases[] = {
	KUNIT_CASE(add_find_delete),
	KUNIT_CASE(duplicates),
	KUNIT_CASE(index_is_never_reused),
	KUNIT_CASE(different_addresses),
	KUNIT_CASE(thousand),
	KUNIT_CASE(full),
	KUNIT_CASE(deleted_under_rcu),
	KUNIT_CASE(concurrent_readers),
	KUNIT_CASE(addr_v4),
	KUNIT_CASE(addr_v6),
	KUNIT_CASE(addr_refused),
	KUNIT_CASE(addr_kinds),
	KUNIT_CASE(notes),
	{}
};

static struct kunit_suite peer_suite = {
	.name = "peer",
	.init = peer_init,
	.exit = peer_exit,
	.test_cases = peer_cases,
};

kunit_test_suite(peer_suite);

MODULE_LICENSE("GPL");
