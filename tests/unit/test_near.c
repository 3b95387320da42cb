// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define getifaddrs fake_getifaddrs
#define freeifaddrs fake_freeifaddrs
#define if_nametoindex fake_nametoindex
#include "near.c"

#include "addr.h"

static struct ifaddrs list[200];
static union node_addr addrs[200];
static char names[200][16];
static size_t nlist;
static int listed, freed, err;

int fake_getifaddrs(struct ifaddrs **ifap)
{
	listed++;
	*ifap = nlist ? list : NULL;
	return err;
}

void fake_freeifaddrs(struct ifaddrs *ifa)
{
	(void)ifa;
	freed++;
}

/* "d7" is 7, but d9 has just gone. */
unsigned int fake_nametoindex(const char *name)
{
	return strcmp(name, "d9") ? strtoul(name + 1, NULL, 10) : 0;
}

static void add(int ifindex, unsigned int flags, const char *addr)
{
	struct ifaddrs *i = &list[nlist];

	memset(i, 0, sizeof(*i));
	memset(&addrs[nlist], 0, sizeof(addrs[nlist]));
	snprintf(names[nlist], sizeof(names[nlist]), "d%d", ifindex);
	i->ifa_name = names[nlist];
	i->ifa_flags = flags;
	i->ifa_addr = addr ? &addrs[nlist].sa : NULL;
	if (addr && inet_pton(AF_INET, addr, &addrs[nlist].in.sin_addr) == 1)
		addrs[nlist].sa.sa_family = AF_INET;
	else if (addr && inet_pton(AF_INET6, addr, &addrs[nlist].in6.sin6_addr) == 1)
		addrs[nlist].sa.sa_family = AF_INET6;
	else if (addr)
		addrs[nlist].sa.sa_family = AF_PACKET;
	if (nlist)
		list[nlist - 1].ifa_next = i;
	nlist++;
}

/* As getifaddrs() tells it: all packet sockets first. */
static int setup(void **state)
{
	(void)state;
	nlist = listed = freed = err = 0;
	add(1, FIT | IFF_LOOPBACK, "link");
	add(2, FIT, "link");
	add(5, FIT, NULL);
	add(1, FIT | IFF_LOOPBACK, "127.0.0.1");
	add(2, FIT, "192.0.2.1");
	add(2, FIT, "192.0.2.9");
	add(3, FIT & ~IFF_UP, "192.0.3.1");
	add(4, FIT & ~IFF_MULTICAST, "192.0.4.1");
	add(9, FIT, "192.0.9.1");
	add(2, FIT, "2001:db8::1");
	add(2, FIT, "fe80::1");
	add(6, FIT & ~IFF_RUNNING, "fe80::6");
	add(7, FIT, "fe80::7");
	return 0;
}

static const char *listing(struct near *near)
{
	static char text[NEAR_MAX * ADDR_TEXT_MAX];
	char addr[ADDR_TEXT_MAX];
	size_t len = 0;

	near_list(near, 1);
	text[0] = '\0';
	for (size_t i = 0; i < near->n; i++) {
		struct near_group g = near->group[i];

		assert_int_equal(g.addr.in6.sin6_scope_id,
				 g.addr.sa.sa_family == AF_INET6 ? g.ifindex : 0);
		if (g.addr.sa.sa_family == AF_INET6)
			g.addr.in6.sin6_scope_id = 0;
		len += snprintf(text + len, sizeof(text) - len, "%u %s;", g.ifindex,
				addr_format(&g.addr, addr));
	}
	return text;
}

static void test_all(void **state)
{
	struct near near = { .port = 99 };

	(void)state;
	assert_string_equal(listing(&near), "2 224.0.0.155:99;2 [ff12::5525]:99;"
			    "7 [ff12::5525]:99;");
	assert_int_equal(freed, 1);
}

static void test_device(void **state)
{
	struct near near = { .port = 99, .only_ifindex = 7 };

	(void)state;
	assert_string_equal(listing(&near), "7 [ff12::5525]:99;");
	near = (struct near){ .port = 99, .only_ifindex = 1 };
	assert_string_equal(listing(&near), "");
}

static void test_how_often(void **state)
{
	struct near near = { 0 };

	(void)state;
	near_list(&near, 5);
	near_list(&near, GOOD_NS);
	assert_int_equal(listed, 1);
	assert_int_equal(near.n, 3);
	/* What fails leaves what was known, and is tried again. */
	err = -1;
	near_list(&near, 5 + GOOD_NS);
	near_list(&near, 5 + GOOD_NS);
	assert_int_equal(listed, 3);
	assert_int_equal(near.n, 3);
	assert_int_equal(freed, 1);
}

static void test_many(void **state)
{
	struct near near = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		add(100 + i, FIT, "fe80::1");
	near_list(&near, 1);
	assert_int_equal(near.n, NEAR_MAX);
	assert_int_equal(near.group[NEAR_MAX - 1].ifindex, 160);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all, setup),
		cmocka_unit_test_setup(test_device, setup),
		cmocka_unit_test_setup(test_how_often, setup),
		cmocka_unit_test_setup(test_many, setup),
	};

	return cmocka_run_group_tests_name("near", tests, NULL, NULL);
}
