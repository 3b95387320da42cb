// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_module.h"

#include "ctl_conf.c"

static const struct ctl text, json = { .json = true };

static int set(char *first, ...)
{
	char *argv[20];
	int argc = 0;
	va_list args;

	va_start(args, first);
	for (char *arg = first; arg; arg = va_arg(args, char *))
		argv[argc++] = arg;
	va_end(args);
	return run_verb(ctl_set, text, argc, argv);
}

static const char *conf_text(void)
{
	assert_int_equal(run_verb(ctl_showconf, text, 0, NULL), CTL_OK);
	return printed;
}

static int setconf(const char *content)
{
	char path[] = "/tmp/berkctl-test-XXXXXX", *argv[] = { path };
	int fd = mkstemp(path), code;

	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
	code = run_verb(ctl_setconf, text, 1, argv);
	unlink(path);
	return code;
}

static void test_set(void **state)
{
	(void)state;
	/* The port counts for a peer before it. */
	assert_int_equal(set("peer", "192.0.2.1", "node_id", "00000000000000ff",
			     "cluster", "foobar", "port", "99", "bind", "::1", "device", "lo",
			     "peer", "2001:db8::1", NULL), CTL_OK);
	assert_string_equal(conf_text(),
		"node_id = 00000000000000ff\n"
		"cluster = 85944171f73967e8\n"
		"port = 99\n"
		"bind = ::1\n"
		"device = lo\n"
		"peer = 192.0.2.1:99\n"
		"peer = [2001:db8::1]:99\n");
	assert_int_equal(set("peer", "192.0.2.1:99", "remove", "bind", "any", NULL), CTL_OK);
	assert_non_null(strstr(conf_text(), "bind = any\ndevice = lo\npeer = [2001:db8::1]:99\n"));
	assert_null(strstr(conf_text(), "192.0.2.1"));
	assert_int_equal(set("peer", "192.0.2.7", "remove", NULL), CTL_FAILED);
}

static void test_set_refused(void **state)
{
	(void)state;
	assert_int_equal(set(NULL, NULL), CTL_USAGE);
	assert_int_equal(set("port", NULL), CTL_USAGE);
	assert_int_equal(set("bogus", "1", NULL), CTL_USAGE);
	assert_int_equal(set("interval", "1s", NULL), CTL_USAGE);
	assert_int_equal(set("port", "0", NULL), CTL_USAGE);
	assert_int_equal(set("port", "99", "peer", "1.2.3.4.5", NULL), CTL_USAGE);
	assert_int_equal(set("port", "99", "peer", "1.2.3.4.5", "remove", NULL), CTL_USAGE);
	assert_int_equal(set("port", "99", "node_id", "x", NULL), CTL_USAGE);
	assert_non_null(strstr(complained, "node_id x: not an id; accepted: "));
	assert_int_equal(module.changes, 0);
}

/* What showconf prints is what setconf makes of it. */
static void test_round_trip(void **state)
{
	char *before;

	(void)state;
	set("node_id", "7", "cluster", "lab", "port", "7", "bind", "192.0.2.9", "device", "lo",
	    NULL);
	add_peer("192.0.2.1:1");
	add_peer("[fe80::1%lo]:2");
	add_peer("2001:db8::1");
	before = strdup(conf_text());
	set("node_id", "9", "cluster", "other", "port", "9", "bind", "::1", "device", "any",
	    "peer", "192.0.2.200", NULL);
	assert_string_not_equal(conf_text(), before);
	assert_int_equal(setconf(before), CTL_OK);
	assert_string_equal(conf_text(), before);
	free(before);
	assert_int_equal(module.npeers, 3);
}

static void test_setconf_all_or_nothing(void **state)
{
	char *before;

	(void)state;
	add_peer("192.0.2.1");
	add_peer("192.0.2.2");
	before = strdup(conf_text());

	assert_int_equal(setconf("port = 7\npeer = 192.0.2.9\nbogus = 1\nport = x\n"), CTL_FAILED);
	assert_non_null(strstr(complained, ":3: unknown key"));
	assert_non_null(strstr(complained, ":4: "));
	assert_int_equal(module.changes, 0);

	module.refuse_peer = 3;
	assert_int_equal(setconf("port = 7\npeer = 192.0.2.8\npeer = 192.0.2.1\npeer = 192.0.2.9"),
			 CTL_FAILED);
	assert_non_null(strstr(complained, "adding peer 192.0.2.9:7"));
	assert_string_equal(conf_text(), before);

	module.conf_set = -EADDRINUSE;
	assert_int_equal(setconf("port = 7\npeer = 192.0.2.8\n"), CTL_FAILED);
	assert_string_equal(conf_text(), before);
	free(before);

	module.conf_set = 0;
	assert_int_equal(setconf("peer = 192.0.2.2\n"), CTL_OK);
	assert_int_equal(module.npeers, 1);
	assert_int_equal(setconf("\n"), CTL_OK);
	assert_int_equal(module.npeers, 0);
	assert_int_equal(run_verb(ctl_setconf, text, 0, NULL), CTL_USAGE);
}

static void test_daemon_is_mentioned(void **state)
{
	(void)state;
	assert_int_equal(setconf("port = 7"), CTL_OK);
	assert_string_equal(complained, "");
	module.status.role = BERK_ROLE_MASTER;
	assert_int_equal(setconf("port = 7"), CTL_OK);
	assert_non_null(strstr(complained, "berkd is running"));
}

static void test_json(void **state)
{
	struct json_object *parsed;

	(void)state;
	module.status = (struct bnl_status){ .node_id = 5, .port = 5525 };
	add_peer("192.0.2.1");
	assert_int_equal(run_verb(ctl_showconf, json, 0, NULL), CTL_OK);
	parsed = json_tokener_parse(printed);
	assert_non_null(parsed);
	assert_string_equal(json_object_get_string(json_object_object_get(parsed, "node_id")),
			    "0000000000000005");
	assert_null(json_object_object_get(parsed, "cluster"));
	assert_int_equal(json_object_array_length(json_object_object_get(parsed, "peer")), 1);
	json_object_put(parsed);
}

static void test_no_module(void **state)
{
	(void)state;
	module.open = -ENOENT;
	assert_int_equal(run_verb(ctl_showconf, text, 0, NULL), CTL_FAILED);
	assert_int_equal(set("port", "7", NULL), CTL_FAILED);
	assert_int_equal(setconf("port = 7"), CTL_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_set, reset_module, reset_module),
		cmocka_unit_test_setup_teardown(test_set_refused, reset_module, reset_module),
		cmocka_unit_test_setup_teardown(test_round_trip, reset_module, reset_module),
		cmocka_unit_test_setup_teardown(test_setconf_all_or_nothing, reset_module,
						reset_module),
		cmocka_unit_test_setup_teardown(test_daemon_is_mentioned, reset_module,
						reset_module),
		cmocka_unit_test_setup_teardown(test_json, reset_module, reset_module),
		cmocka_unit_test_setup_teardown(test_no_module, reset_module, reset_module),
	};

	return cmocka_run_group_tests_name("ctl_conf", tests, NULL, NULL);
}
