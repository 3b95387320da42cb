// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>

#include <cmocka.h>

#include "addr.h"

/* No test asks a resolver; and the machine id is one that we know. */
static const char *numeric_peer(const char *text, uint16_t port, union node_addr *addr);
static int fake_machine_id(sd_id128_t app, sd_id128_t *id);
#define addr_parse_peer numeric_peer
#define sd_id128_get_machine_app_specific fake_machine_id
#include "conf.c"
#undef addr_parse_peer

static int no_machine_id;
static const char *host_example = "192.0.2.99";
static const struct conf *known;

static const char *numeric_peer(const char *text, uint16_t port, union node_addr *addr)
{
	if (!strcmp(text, "host.example"))
		text = host_example;
	/* What begins with a letter could be a name. */
	if (isalpha((unsigned char)text[0]) && !strchr(text, ':'))
		return "Name or service not known";
	return addr_parse_peer(text, port, addr);
}

static int fake_machine_id(sd_id128_t app, sd_id128_t *id)
{
	assert_false(sd_id128_is_null(app));
	if (no_machine_id)
		return -ENOENT;
	id->qwords[0] = 0x1122334455667788;
	id->qwords[1] = 0;
	return 0;
}

/* --- */

static char errors[20000];

static void on_error(void *arg, const char *text)
{
	size_t len = strlen(errors);

	assert_ptr_equal(arg, errors);
	assert_null(strchr(text, '\n'));
	snprintf(errors + len, sizeof(errors) - len, "%s\n", text);
}

static int parse_bytes(struct conf *conf, const void *bytes, size_t len, enum conf_scope scope)
{
	FILE *file = fmemopen((void *)bytes, len, "r");
	int n;

	assert_non_null(file);
	errors[0] = '\0';
	n = conf_parse(conf, file, "F", scope, known, on_error, errors);
	fclose(file);
	return n;
}

static int parse(struct conf *conf, const char *text)
{
	return parse_bytes(conf, text, strlen(text), CONF_BERKD);
}

static void test_defaults(void **state)
{
	struct conf conf;

	(void)state;
	assert_int_equal(parse(&conf, "\n"), 0);
	assert_int_equal(conf.role, CONF_ROLE_AUTO);
	assert_true(conf.eligible);
	assert_int_equal(conf.priority, 100);
	assert_int_equal(conf.quorum, NODE_QUORUM_ANY);
	assert_int_equal(conf.merge, NODE_MERGE_SLEW);
	assert_int_equal(conf.mode, NODE_MODE_POLL);
	assert_false(conf.reference);
	assert_true(conf.reference_limit_ppb == 1000);
	assert_true(conf.module.node_id == 0x1122334455667788);
	assert_true(conf.module.cluster == conf_cluster_id("berk"));
	assert_int_equal(conf.module.port, 5525);
	assert_int_equal(conf.module.bind.sa.sa_family, 0);
	assert_int_equal(conf.module.ifindex, 0);
	assert_int_equal(conf.module.set, 31);
	assert_int_equal(conf.interval_ns, 1000000000);
	assert_float_equal(conf.burst, 5.3, 1e-9);
	assert_int_equal(conf.step_threshold_ns, 1000000);
	assert_true(conf.max_rate_ppb == 500000);
	assert_string_equal(conf.drift_file, "/var/lib/berk/drift");
	assert_int_equal(conf.npeers, 0);
	conf_free(&conf);
}

static void test_everything(void **state)
{
	struct conf conf;
	char buf[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(parse(&conf,
		"# a comment with \xc3\xa4 in it\n"
		"\n"
		"role=master#here too\n"
		"  node_id =\t00000000000000ff\r\n"
		"cluster = lab 7\n"
		"peer = 192.0.2.1\n"
		"peer = 192.0.2.2:99\n"
		"peer = [fe80::1%lo]:98\n"
		"peer = 2001:db8::1\n"
		"peer = host.example\n"
		"port = 5600\n"
		"bind = ::1\n"
		"device = lo\n"
		"interval = 62.5ms\n"
		"burst = 64\n"
		"step_threshold = 250 us\n"
		"max_rate = 12.5\n"
		"drift_file = /mnt/a drift\n"
		"quorum = majority\n"
		"merge = step\n"
		"mode = report\n"
		"reference_limit = 0.25\n"), 0);
	assert_string_equal(errors, "");
	assert_int_equal(conf.role, CONF_ROLE_MASTER);
	assert_true(conf.eligible);
	assert_int_equal(conf.priority, 255);
	assert_int_equal(conf.quorum, NODE_QUORUM_MAJORITY);
	assert_int_equal(conf.merge, NODE_MERGE_STEP);
	assert_int_equal(conf.mode, NODE_MODE_REPORT);
	assert_true(conf.reference_limit_ppb == 250);
	assert_int_equal(conf.module.node_id, 255);
	assert_true(conf.module.cluster == conf_cluster_id("lab 7"));
	assert_int_equal(conf.npeers, 5);
	/* The port counts for the peers above it, too. */
	assert_string_equal(addr_format(&conf.peers[0].addr, buf), "192.0.2.1:5600");
	assert_string_equal(addr_format(&conf.peers[1].addr, buf), "192.0.2.2:99");
	assert_string_equal(addr_format(&conf.peers[2].addr, buf), "[fe80::1%lo]:98");
	assert_string_equal(addr_format(&conf.peers[3].addr, buf), "[2001:db8::1]:5600");
	assert_string_equal(addr_format(&conf.peers[4].addr, buf), "192.0.2.99:5600");
	assert_string_equal(addr_format(&conf.module.bind, buf), "::1");
	assert_int_equal(conf.module.ifindex, if_nametoindex("lo"));
	assert_int_equal(conf.interval_ns, 62500000);
	assert_int_equal(conf.burst, 64);
	assert_int_equal(conf.step_threshold_ns, 250000);
	assert_true(conf.max_rate_ppb == 12500);
	assert_string_equal(conf.drift_file, "/mnt/a drift");
	conf_free(&conf);
}

/* Who may be elected, and what contradicts what. */
static void test_roles(void **state)
{
	static const struct {
		const char *text;
		bool eligible;
		int priority;
	} good[] = {
		{ "role = auto", true, 100 }, { "role = auto\neligible = yes", true, 100 },
		{ "eligible = no", false, 100 }, { "priority = 0", true, 0 },
		{ "priority = 255\neligible = yes", true, 255 },
		{ "role = slave", false, 100 }, { "role = slave\neligible = no", false, 100 },
		{ "role = master", true, 255 }, { "eligible = yes\nrole = master", true, 255 },
		{ "role = slave\npeer = 192.0.2.1", false, 100 },
	};
	static const char *const bad[] = {
		"role = master\neligible = no", "eligible = yes\nrole = slave",
		"role = master\npriority = 255", "role = slave\npriority = 1",
		"eligible = no\npriority = 1",
	};
	struct conf conf;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (parse(&conf, good[i].text) || conf.eligible != good[i].eligible ||
		    conf.priority != good[i].priority)
			fail_msg("\"%s\": %s", good[i].text, errors);
		conf_free(&conf);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(&conf, bad[i]) != 1 || strncmp(errors, "F: ", 3) ||
		    !strstr(errors, "; accepted: "))
			fail_msg("\"%s\": %s", bad[i], errors);
		conf_free(&conf);
	}
}

/* A clock that is never corrected has nothing to be corrected by. */
static void test_reference(void **state)
{
	struct conf conf;

	(void)state;
	assert_int_equal(parse(&conf, "reference = yes\nrole = master\nmode = report"), 0);
	assert_true(conf.reference);
	assert_string_equal(conf.drift_file, "");
	conf_free(&conf);
	assert_int_equal(parse(&conf, "reference = yes\nmerge = slew\nstep_threshold = 1s\n"
			       "max_rate = 5\ndrift_file = /x"), 4);
	assert_non_null(strstr(errors, "F: max_rate, but with reference = yes "));
	conf_free(&conf);
	assert_int_equal(parse(&conf, "reference = no\nmax_rate = 5"), 0);
	conf_free(&conf);
}

/* The burst of a round is what the budget of a second leaves for it. */
static void test_budget(void **state)
{
	static const struct {
		const char *text;
		double burst;	/* on average */
	} good[] = {
		{ "", 5.3 }, { "interval = 2s", 10.6 }, { "interval = 0.5s", 2.65 },
		{ "interval = 62.5ms", 1 }, { "interval = 64s", 64 },
		{ "probes = 0.1", 1 }, { "probes = 0.1\ninterval = 64s", 6.4 },
		{ "probes = 64", 64 }, { "interval = 250ms\nprobes = 9.9", 2.475 },
		{ "probes = 64\ninterval = 64s", 64 },
		{ "burst = 7", 7 }, { "burst = 7\ninterval = 64s", 7 },
	};
	struct conf conf;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "role = slave\n%s", good[i].text);
		if (parse(&conf, text) || fabs(conf.burst - good[i].burst) > 1e-9)
			fail_msg("\"%s\" gave %g: %s", good[i].text, conf.burst, errors);
		conf_free(&conf);
	}
	assert_int_equal(parse(&conf, "role = slave\nburst = 5\nprobes = 5"), 1);
	assert_string_equal(errors, "F: burst (a round) and probes (a second) are both given; "
			    "accepted: one of them\n");
	conf_free(&conf);
}

static void test_drift_file(void **state)
{
	char text[400], name[300];
	struct conf conf;

	(void)state;
	assert_int_equal(parse(&conf, "role = slave\ndrift_file = none"), 0);
	assert_string_equal(conf.drift_file, "");
	conf_free(&conf);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[255] = '\0';
	snprintf(text, sizeof(text), "role = slave\ndrift_file = %s", name);
	assert_int_equal(parse(&conf, text), 0);
	assert_string_equal(conf.drift_file, name);
	conf_free(&conf);
	strcat(text, "x");
	assert_int_equal(parse(&conf, text), 1);
	assert_non_null(strstr(errors, ": too long; "));
	conf_free(&conf);
}

/* Each line alone is an error, which names its place and what is accepted. */
static void test_bad_lines(void **state)
{
	static const char *const lines[] = {
		"bogus = 1", "Role = slave", "= 1", "interval", "interval =", "interval 1s",
		"node_id = 0", "node_id = 0x", "node_id = -1", "node_id = 18446744073709551616",
		"node_id = 0x10000000000000000", "node_id = 12z", "node_id = 0000000000000000",
		"node_id = 00000000000000zz",
		"port = 0", "port = 65536", "port = 5525x", "port = 0x10", "port = -1",
		"port = 99999999999999999999",
		"bind = 1.2.3", "bind = 192.0.2.1:5", "bind = fe80::1", "bind = host.example",
		"device = nosuchdevice",
		"interval = 1", "interval = 1m", "interval = s", "interval = -1s", "interval = +1s",
		"interval = 62ms", "interval = 64.1s", "interval = infs", "interval = nans",
		"interval = 0x1s", "interval = 1e0s", "interval = 1..0s", "interval = 1 s x",
		"interval = 99999999999999999999999s", "interval = .s", "interval = .5s",
		"burst = 0", "burst = 65", "burst = 8.5", "burst = eight",
		"probes = 0", "probes = 0.09", "probes = 64.1", "probes = 5/s", "probes = nan",
		"probes = -5", "probes = 0x5", "probes = .5",
		"eligible = true", "eligible = 1", "priority = 256", "priority = -1",
		"priority = high", "quorum = all", "quorum = 3", "merge = jump", "mode = push",
		"reference = Yes", "reference_limit = 0", "reference_limit = 101",
		"reference_limit = 1ppm",
		"drift_file = drift", "drift_file = ./drift", "drift_file = /",
		"drift_file = /var/",
		"drift_file = None",
		"step_threshold = 0s", "step_threshold = 999ns", "step_threshold = 3601s",
		"max_rate = 0", "max_rate = 501", "max_rate = 500ppm", "max_rate = nan",
		"max_rate = 0x10", "max_rate = -5",
		"cluster = 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
		"cluster = \x01", "cluster = b\xc3\xa4r", "\xff\xfe", "peer",
	};
	struct conf conf;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), "# line 1\n%s\nmax_rate = 7", lines[i]);
		if (!strncmp(lines[i], "max_rate", 8))
			snprintf(text, sizeof(text), "# line 1\n%s\nburst = 7", lines[i]);
		if (parse(&conf, text) != 1)
			fail_msg("\"%s\" gave: %s", lines[i], errors);
		if (strncmp(errors, "F:2: ", 5) || !strstr(errors, "; accepted: "))
			fail_msg("\"%s\" gave: %s", lines[i], errors);
		conf_free(&conf);
	}
}

static void test_bad_peers(void **state)
{
	static const char *const peers[] = { "1.2.3.4.5", "[::1", "nosuch.example", "fe80::1",
					     "192.0.2.1:0", "224.0.0.1", "0.0.0.0" };
	struct conf conf;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		snprintf(text, sizeof(text), "role = master\n\n\npeer = %s\n", peers[i]);
		assert_int_equal(parse(&conf, text), 1);
		if (strncmp(errors, "F:4: peer = ", 12) || !strstr(errors, "; accepted: "))
			fail_msg("\"%s\" gave: %s", peers[i], errors);
		conf_free(&conf);
	}
}

static void test_duplicates(void **state)
{
	struct conf conf;

	(void)state;
	for (const struct conf_key *key = conf_keys; key->name; key++) {
		char text[256];

		if (key->repeatable)
			continue;
		snprintf(text, sizeof(text), "role = slave\n%s = 7\n%s = 7\n", key->name,
			 key->name);
		assert_true(parse(&conf, text) >= 1);
		assert_non_null(strstr(errors, "F:3: "));
		assert_non_null(strstr(errors, "given twice"));
		conf_free(&conf);
	}
	assert_int_equal(parse(&conf, "role = master\npeer = 192.0.2.1\npeer = 192.0.2.2\n"
			       "peer = 192.0.2.1:5525\n"), 1);
	assert_string_equal(errors, "F:4: peer = 192.0.2.1:5525 is the peer of line 2; "
			    "accepted: each once\n");
	conf_free(&conf);
}

static void test_all_errors_at_once(void **state)
{
	struct conf conf;

	(void)state;
	assert_int_equal(parse(&conf, "a = 1\nburst = x\nc\npeer = 1.2.3\n"), 4);
	assert_non_null(strstr(errors, "F:1: "));
	assert_non_null(strstr(errors, "F:2: "));
	assert_non_null(strstr(errors, "F:3: "));
	assert_non_null(strstr(errors, "F:4: "));
	assert_non_null(strstr(errors, "accepted: role, eligible, "));
	conf_free(&conf);

	no_machine_id = 1;
	assert_int_equal(parse(&conf, "role = slave"), 1);
	assert_non_null(strstr(errors, "machine-id"));
	conf_free(&conf);
	assert_int_equal(parse(&conf, "role = slave\nnode_id = 5"), 0);
	conf_free(&conf);
	no_machine_id = 0;
}

static void test_module_scope(void **state)
{
	static const char good[] = "port = 5526\npeer = 192.0.2.1\nbind = any\ndevice = any\n";
	static const char bad[] = "role = master\ninterval = 1s\n";
	struct conf conf;

	(void)state;
	assert_int_equal(parse_bytes(&conf, good, strlen(good), CONF_MODULE), 0);
	assert_int_equal(conf.module.set, BNL_CONF_PORT | BNL_CONF_BIND | BNL_CONF_IFINDEX);
	assert_int_equal(conf.npeers, 1);
	conf_free(&conf);
	assert_int_equal(parse_bytes(&conf, bad, strlen(bad), CONF_MODULE), 2);
	assert_null(strstr(errors, "interval, "));
	conf_free(&conf);
}

/* Only what is new is looked up; a name is new with another default port, too. */
static void test_known_names(void **state)
{
	static const char text[] = "role = master\npeer = host.example\npeer = 192.0.2.1\n";
	struct conf first, again;
	char buf[ADDR_TEXT_MAX], with_port[100];

	(void)state;
	assert_int_equal(parse(&first, text), 0);
	known = &first;
	host_example = "192.0.2.98";
	assert_int_equal(parse(&again, text), 0);
	assert_true(addr_equal(&again.peers[0].addr, &first.peers[0].addr));
	assert_true(addr_equal(&again.peers[1].addr, &first.peers[1].addr));
	conf_free(&again);
	assert_int_equal(parse(&again, "role = master\npeer = host.example\npeer = no.example\n"),
			 1);
	conf_free(&again);
	snprintf(with_port, sizeof(with_port), "%sport = 99\n", text);
	assert_int_equal(parse(&again, with_port), 0);
	assert_string_equal(addr_format(&again.peers[0].addr, buf), "192.0.2.98:99");
	assert_string_equal(addr_format(&again.peers[1].addr, buf), "192.0.2.1:99");
	conf_free(&again);
	known = NULL;
	host_example = "192.0.2.99";
	conf_free(&first);
}

static void test_files(void **state)
{
	struct conf conf;

	(void)state;
	errors[0] = '\0';
	assert_int_equal(conf_load(&conf, "/nonexistent/file", CONF_BERKD, NULL, on_error, errors),
			 1);
	assert_string_equal(errors, "/nonexistent/file: cannot be read: "
			    "No such file or directory\n");
	conf_free(&conf);
	errors[0] = '\0';
	assert_true(conf_load(&conf, "/", CONF_MODULE, NULL, on_error, errors) >= 1);
	assert_non_null(strstr(errors, "/: cannot be read: Is a directory"));
	conf_free(&conf);
}

static void test_example(void **state)
{
	struct conf conf;

	(void)state;
	errors[0] = '\0';
	if (conf_load(&conf, "userspace/berkd.conf.example", CONF_BERKD, NULL, on_error, errors))
		fail_msg("%s", errors);
	conf_free(&conf);
}

/* Anything at all gives errors or a configuration, but nothing else. */
static void test_fuzz(void **state)
{
	static const char *const words[] = {
		"role", "=", "master", "slave", "\n", "node_id", "peer", "192.0.2.1", "::1", "[",
		"]",
		":", "%lo", "interval", "1s", "62.5ms", "burst", "8", "#", " ", "\t", "0x", "\r\n",
		"max_rate", "auto", "eligible", "yes", "no", "reference", "priority",
		"99999999999999999999", "-", ".", "bind", "device", "cluster", "port",
	};
	unsigned int seed = 5525;
	struct conf conf;

	(void)state;
	for (int run = 0; run < 3000; run++) {
		char bytes[300];
		size_t len = 0;

		while (len < 250 && rand_r(&seed) % 40) {
			size_t nwords = sizeof(words) / sizeof(words[0]);
			const char *w = words[rand_r(&seed) % nwords];

			if (rand_r(&seed) % 8) {
				memcpy(bytes + len, w, strlen(w));
				len += strlen(w);
			} else {
				bytes[len++] = rand_r(&seed);
			}
		}
		if (!len)
			continue;
		parse_bytes(&conf, bytes, len, run % 2 ? CONF_BERKD : CONF_MODULE);
		conf_free(&conf);
	}
}

static void test_ids(void **state)
{
	uint64_t id;

	(void)state;
	assert_true(conf_parse_id("1234567890123456", &id) && id == 0x1234567890123456);
	assert_true(conf_parse_id("123456789012345", &id) && id == 123456789012345);
	assert_true(conf_parse_id("0xFF", &id) && id == 255);
	assert_true(conf_parse_id("ffffffffffffffff", &id) && id == UINT64_MAX);
	assert_true(conf_parse_id("18446744073709551615", &id) && id == UINT64_MAX);
	assert_false(conf_parse_id("ff", &id));
	assert_false(conf_parse_id("", &id));
	assert_false(conf_parse_id(" 1", &id));
	assert_false(conf_parse_id("0x+1", &id));
	assert_false(conf_parse_id("0x 1", &id));
	/* The published test vectors of FNV-1a. */
	assert_true(conf_cluster_id("") == 0xcbf29ce484222325);
	assert_true(conf_cluster_id("foobar") == 0x85944171f73967e8);
	assert_true(conf_cluster_id("85944171f73967e8") == 0x85944171f73967e8);
}

static void test_durations(void **state)
{
	int64_t ns;

	(void)state;
	assert_true(conf_parse_duration("1ns", &ns) && ns == 1);
	assert_true(conf_parse_duration("1.5us", &ns) && ns == 1500);
	assert_true(conf_parse_duration("0.000001 s", &ns) && ns == 1000);
	assert_true(conf_parse_duration("64s", &ns) && ns == 64000000000);
	assert_false(conf_parse_duration("", &ns));
	assert_false(conf_parse_duration("1", &ns));
	assert_false(conf_parse_duration("1h", &ns));
	assert_false(conf_parse_duration("1.2.3s", &ns));
}

/* berkd.conf(5) has an entry for every key, and says the same of its values. */
static void test_man_page(void **state)
{
	static char page[100000];
	FILE *file = fopen("userspace/man/berkd.conf.5", "re");

	(void)state;
	assert_non_null(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	for (const struct conf_key *key = conf_keys; key->name; key++) {
		char entry[100];
		const char *at;

		snprintf(entry, sizeof(entry), ".It Ic %s =", key->name);
		at = strstr(page, entry);
		if (!at)
			fail_msg("no \"%s\"", entry);
		at = strstr(at, "\nAccepted: ");
		assert_non_null(at);
		at += strlen("\nAccepted: ");
		if (strncmp(at, key->accepts, strlen(key->accepts)))
			fail_msg("%s: not \"%s\"", key->name, key->accepts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_drift_file),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_bad_peers),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_all_errors_at_once),
		cmocka_unit_test(test_module_scope),
		cmocka_unit_test(test_known_names),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_fuzz),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_man_page),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
