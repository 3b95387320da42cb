// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "peer.c"

static union node_addr v4(unsigned int i)
{
	union node_addr a = { .in = { .sin_family = AF_INET, .sin_port = htons(5525) } };

	a.in.sin_addr.s_addr = htonl(0x0a000000U + i);
	return a;
}

static struct node *new_node(void)
{
	static const struct node_conf conf = { .role = BERK_ROLE_MASTER, .node_id = 1 };
	struct node *node = node_init(&conf);

	assert_non_null(node);
	return node;
}

static void test_find(void **state)
{
	struct node *node = new_node();
	union node_addr a;

	(void)state;
	for (unsigned int i = 0; i < 500; i++) {
		a = v4(i * 7919 % 500);
		assert_int_equal(node_peer_add(node, &a), 0);
		node_peer_index(node, &a, 1000 - i);
	}
	assert_int_equal(node_peer_add(node, &a), -EEXIST);
	for (unsigned int i = 0; i < 500; i++) {
		a = v4(i * 7919 % 500);
		assert_ptr_equal(peer_by_addr(node, &a), peer_by_index(node, 1000 - i));
		assert_memory_equal(&peer_by_addr(node, &a)->addr, &a, sizeof(a));
	}
	a = v4(500);
	assert_null(peer_by_addr(node, &a));
	assert_null(peer_by_index(node, 500));
	assert_null(peer_by_index(node, 1001));
	node_free(node);
}

static void test_delete(void **state)
{
	struct node *node = new_node();
	union node_addr a = v4(1), b = v4(2);

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
	node_free(node);
}

static void test_index(void **state)
{
	struct node *node = new_node();
	union node_addr a = v4(1), b = v4(2);

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
	node_free(node);
}

static void test_text(void **state)
{
	struct peer p = { .addr = v4(258) };
	char text[PEER_TEXT];

	(void)state;
	assert_string_equal(peer_text(&p, text), "10.0.1.2:5525");
	p.addr = (union node_addr){ .in6 = { .sin6_family = AF_INET6, .sin6_port = htons(1) } };
	p.addr.in6.sin6_addr.s6_addr[15] = 1;
	assert_string_equal(peer_text(&p, text), "[::1]:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
