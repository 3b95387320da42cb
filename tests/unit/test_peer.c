// SPDX-License-Identifier: GPL-2.0
/* The table of peers */
#include "peer.c"
#include "alone.h"

/* A node that does not run. */
static struct node *idle(void)
{
	begin(&plain);
	return me.node;
}

static void test_find(void **state)
{
	struct node *node = idle();
	union node_addr a = addr_of(0);

	(void)state;
	for (unsigned int i = 0; i < 500; i++) {
		a = addr_of(i * 7919 % 500);
		assert_int_equal(node_peer_add(node, &a), 0);
		node_peer_index(node, &a, 1000 - i);
	}
	assert_int_equal(node_peer_add(node, &a), -EEXIST);
	for (unsigned int i = 0; i < 500; i++) {
		a = addr_of(i * 7919 % 500);
		assert_ptr_equal(peer_by_addr(node, &a), peer_by_index(node, 1000 - i));
		assert_memory_equal(&peer_by_addr(node, &a)->addr, &a, sizeof(a));
	}
	a = addr_of(500);
	assert_null(peer_by_addr(node, &a));
	assert_null(peer_by_index(node, 500));
	assert_null(peer_by_index(node, 1001));
	end();
}

static void test_delete(void **state)
{
	struct node *node = idle();
	union node_addr a = addr_of(1), b = addr_of(2);

	(void)state;
	assert_int_equal(node_peer_del(node, &a), -ENOENT);
	assert_int_equal(node_peer_add(node, &a), 0);
	assert_int_equal(node_peer_add(node, &b), 0);
	node_peer_index(node, &a, 1);
	node_peer_index(node, &b, 2);
	assert_int_equal(node_peer_del(node, &a), 0);
	assert_null(peer_by_addr(node, &a));
	assert_null(peer_by_index(node, 1));
	assert_non_null(peer_by_index(node, 2));
	end();
}

static void test_index(void **state)
{
	struct node *node = idle();
	union node_addr a = addr_of(1), b = addr_of(2);

	(void)state;
	node_peer_index(node, &a, 7);	/* unknown: nothing happens */
	assert_int_equal(node_peer_add(node, &a), 0);
	assert_int_equal(node_peer_add(node, &b), 0);
	node_peer_index(node, &a, 7);
	node_peer_index(node, &a, 7);
	node_peer_index(node, &a, 9);	/* the module was loaded again */
	assert_null(peer_by_index(node, 7));
	assert_ptr_equal(peer_by_index(node, 9), peer_by_addr(node, &a));
	node_peer_index(node, &b, 9);
	assert_ptr_equal(peer_by_index(node, 9), peer_by_addr(node, &b));
	assert_int_equal(node->master.n_indexed, 1);
	end();
}

static void test_text(void **state)
{
	struct peer p = { .addr = addr_of(258) };
	char text[PEER_TEXT];

	(void)state;
	assert_string_equal(peer_text(&p, text), "10.0.1.2:5525");
	p.addr = (union node_addr){ .in6 = { .sin6_family = AF_INET6, .sin6_port = htons(1) } };
	p.addr.in6.sin6_addr.s6_addr[15] = 1;
	assert_string_equal(peer_text(&p, text), "[::1]:1");
}

/* --- found ones */

static struct peer *meet(uint64_t id, uint64_t at)
{
	union node_addr addr = addr_of(at);

	return peer_meet(me.node, now(), id, &addr);
}

/* A node that has several addresses keeps the one that answers. */
static void test_meet(void **state)
{
	struct peer *peer;

	(void)state;
	start(&plain);
	peer = meet(5, 50);
	assert_ptr_equal(meet(5, 50), peer);
	assert_ptr_equal(meet(5, 51), peer);
	assert_int_equal(me.node->master.n, 1);
	assert_true(is_to(&peer->addr, 50));
	peer->missed = MISSED;
	peer = meet(5, 51);
	assert_true(is_to(&peer->addr, 51));
	assert_int_equal(me.node->master.n, 1);
	hush();
	carry_out();
	assert_int_equal(me.forgotten, 1);
	/* unless it is configured: others may know why */
	peer->fixed = true;
	peer->missed = MISSED;
	assert_ptr_equal(meet(5, 52), peer);
	/* another node at an address that is known takes its place */
	assert_ptr_equal(meet(6, 51), peer);
	assert_int_equal(peer->node_id, 6);
	end();
}

static void test_found_peers_are_forgotten(void **state)
{
	union node_addr fixed = addr_of(1);

	(void)state;
	start(&plain);
	assert_int_equal(node_peer_add(me.node, &fixed), 0);
	for (uint64_t id = 2; id <= 60; id++)
		meet(id, id);
	me.raw += FORGET * S;
	meet(60, 60);		/* still there */
	peers_forget(me.node, now());
	assert_int_equal(me.node->master.n, 60);
	me.raw += 1;
	for (int i = 0; i < 3; i++) {
		size_t before = me.node->master.n;

		hush();
		peers_forget(me.node, now());
		carry_out();
		assert_int_equal(me.forgotten, before - me.node->master.n);
		assert_true(me.forgotten <= FORGOTTEN);
	}
	assert_int_equal(me.node->master.n, 2);
	assert_non_null(peer_of(1));
	assert_non_null(peer_of(60));
	/* and may come back */
	assert_non_null(meet(2, 2));
	end();
}

/* Whoever is heard may be made up. */
static void test_found_peers_are_bounded(void **state)
{
	union node_addr fixed = addr_of(FOUND_MAX + 5);

	(void)state;
	start(&plain);
	for (uint64_t id = 10; id < 10 + FOUND_MAX; id++)
		assert_non_null(meet(id, id + FOUND_MAX));
	assert_null(meet(1, 1));
	assert_int_equal(node_peer_add(me.node, &fixed), 0);
	assert_int_equal(me.node->master.n, FOUND_MAX + 1);
	end();
}

/* Configured by one address, and found by another. */
static void test_one_node_with_two_addresses(void **state)
{
	union node_addr fixed = addr_of(1);
	struct peer *peer, *found;

	(void)state;
	start(&plain);
	found = meet(5, 50);
	assert_int_equal(node_peer_add(me.node, &fixed), 0);
	peer = peer_of(1);
	peer->track.started = true;
	peer->track.node_id = 5;
	peer_identify(me.node, peer);
	assert_int_equal(peer->node_id, 5);
	assert_ptr_not_equal(peer, found);
	peers_forget(me.node, now());
	assert_int_equal(me.node->master.n, 1);
	assert_ptr_equal(peer_by_id(me.node, 5), peer);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_meet),
		cmocka_unit_test(test_found_peers_are_forgotten),
		cmocka_unit_test(test_found_peers_are_bounded),
		cmocka_unit_test(test_one_node_with_two_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
