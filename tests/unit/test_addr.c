// SPDX-License-Identifier: GPL-2.0
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The only name in this world is "host.example". No test asks a resolver. */
static int fake_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
			    struct addrinfo **list);
static void fake_freeaddrinfo(struct addrinfo *list);
#define getaddrinfo fake_getaddrinfo
#define freeaddrinfo fake_freeaddrinfo
#include "addr.c"
#undef getaddrinfo
#undef freeaddrinfo

static int lookups;

static int fake_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
			    struct addrinfo **list)
{
	static struct sockaddr_in in;
	static struct addrinfo info;

	(void)service;
	lookups++;
	assert_int_equal(hints->ai_family, AF_UNSPEC);
	if (strcmp(name, "host.example"))
		return EAI_NONAME;
	in = (struct sockaddr_in){ .sin_family = AF_INET };
	inet_pton(AF_INET, "192.0.2.7", &in.sin_addr);
	info = (struct addrinfo){ .ai_addr = (struct sockaddr *)&in, .ai_addrlen = sizeof(in) };
	*list = &info;
	return 0;
}

static void fake_freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

static void good(const char *text, const char *printed)
{
	union node_addr addr, again;
	char buf[ADDR_TEXT_MAX];

	assert_null(addr_parse_peer(text, 5525, &addr));
	assert_string_equal(addr_format(&addr, buf), printed);
	assert_null(addr_parse_peer(printed, 1, &again));
	assert_true(addr_equal(&addr, &again));
}

static void bad(const char *text)
{
	union node_addr addr, before;

	memset(&addr, 0x5a, sizeof(addr));
	before = addr;
	assert_non_null(addr_parse_peer(text, 5525, &addr));
	assert_memory_equal(&addr, &before, sizeof(addr));
}

static void test_peers(void **state)
{
	(void)state;
	good("192.0.2.1", "192.0.2.1:5525");
	good("192.0.2.1:99", "192.0.2.1:99");
	good("2001:db8::1", "[2001:db8::1]:5525");
	good("[2001:db8::1]", "[2001:db8::1]:5525");
	good("[2001:DB8:0:0::1]:65535", "[2001:db8::1]:65535");
	good("fe80::1%lo", "[fe80::1%lo]:5525");
	good("[fe80::1%lo]:7", "[fe80::1%lo]:7");
	good("fe80::1%1", "[fe80::1%lo]:5525");
	good("fe80::1%99999", "[fe80::1%99999]:5525");
	good("::ffff:192.0.2.1", "192.0.2.1:5525");
	good("::1", "[::1]:5525");
	assert_int_equal(lookups, 0);
	good("host.example", "192.0.2.7:5525");
	good("host.example:80", "192.0.2.7:80");
}

static void test_rubbish(void **state)
{
	static const char *const texts[] = {
		"", " ", ":", "::", "[", "]", "[]", "[]:1", "[::1", "[::1]x", "[::1]:", "[::1]:0",
		"[::1]:65536", "[::1]:1x", "[::1]:-1", "[host.example]:1", "192.0.2.1:",
		"192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:00000000001", "192.0.2.256", "1.2.3",
		"1.2.3.4.5", "1", "0x7f000001", "127.1", "fe80::1", "fe80::1%", "fe80::1%nosuch",
		"fe80::1%0", "2001:db8::1%lo", "0.0.0.0", "255.255.255.255", "224.0.0.1",
		"ff02::1%lo",
		"::ffff:0.0.0.0", "a b", "-x", "host.example/x", "b\xc3\xa4r", "1:2:3", "%lo",
	};
	char huge[2000];

	(void)state;
	lookups = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		bad(texts[i]);
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	bad(huge);
	assert_int_equal(lookups, 0);
	bad("nosuch.example");
	assert_int_equal(lookups, 1);
}

static void test_host(void **state)
{
	union node_addr addr;
	char buf[ADDR_TEXT_MAX];

	(void)state;
	assert_null(addr_parse_host("::", &addr));
	assert_string_equal(addr_format(&addr, buf), "::");
	assert_null(addr_parse_host("fe80::2%lo", &addr));
	assert_string_equal(addr_format(&addr, buf), "fe80::2%lo");
	assert_null(addr_parse_host("10.0.0.1", &addr));
	assert_string_equal(addr_format(&addr, buf), "10.0.0.1");
	assert_int_equal(addr_len(&addr), sizeof(struct sockaddr_in));
	assert_non_null(addr_parse_host("10.0.0.1:1", &addr));
	assert_non_null(addr_parse_host("host.example", &addr));
}

static void test_bytes(void **state)
{
	union node_addr text, addr;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(5525),
				    .sin6_flowinfo = 77 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9) };

	(void)state;
	inet_pton(AF_INET6, "2001:db8::5", &in6.sin6_addr);
	assert_true(addr_from_bytes(&addr, &in6, sizeof(in6)));
	assert_null(addr_parse_peer("2001:db8::5", 5525, &text));
	assert_true(addr_equal(&addr, &text));

	inet_pton(AF_INET6, "::ffff:192.0.2.9", &in6.sin6_addr);
	assert_true(addr_from_bytes(&addr, &in6, sizeof(in6)));
	assert_null(addr_parse_peer("192.0.2.9", 5525, &text));
	assert_true(addr_equal(&addr, &text));

	inet_pton(AF_INET, "192.0.2.9", &in.sin_addr);
	memset(in.sin_zero, 0xff, sizeof(in.sin_zero));
	assert_true(addr_from_bytes(&addr, &in, sizeof(in)));
	assert_null(addr_parse_peer("192.0.2.9:9", 5525, &text));
	assert_true(addr_equal(&addr, &text));

	for (size_t len = 0; len < sizeof(in); len++)
		assert_false(addr_from_bytes(&addr, &in, len));
	assert_false(addr_from_bytes(&addr, &in6, sizeof(in)));
	in.sin_family = AF_UNIX;
	assert_false(addr_from_bytes(&addr, &in, sizeof(in)));
}

static void test_own(void **state)
{
	union node_addr addr;

	(void)state;
	assert_null(addr_parse_peer("127.0.0.1", 5525, &addr));
	assert_true(addr_is_own(&addr));
	assert_null(addr_parse_peer("240.0.0.77", 5525, &addr));	/* nobody's */
	assert_false(addr_is_own(&addr));
	assert_null(addr_parse_peer("100::77", 5525, &addr));
	assert_false(addr_is_own(&addr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_rubbish),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
