// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The verbs; each says who it is and what it got. */
#define main berkctl_main
#define bnl_close fake_close
#define ctl_status fake_status
#define ctl_peers fake_peers
#define ctl_samples fake_samples
int berkctl_main(int argc, char **argv);
#include "berkctl.c"
#undef main

static char *printed, *complained;
static size_t size;

void fake_close(struct bnl *nl)
{
	assert_null(nl);
}

static int echo(const char *name, struct ctl *ctl, int argc, char **argv)
{
	printf("%s%s%s", name, ctl->json ? " json" : "", ctl->follow ? " follow" : "");
	for (int i = 0; i < argc; i++)
		printf(" %s", argv[i]);
	return argc ? CTL_USAGE : CTL_OK;
}

int fake_status(struct ctl *ctl, int argc, char **argv)
{
	assert_false(ctl->colour);
	return echo("status", ctl, argc, argv);
}

int fake_peers(struct ctl *ctl, int argc, char **argv)
{
	return echo("peers", ctl, argc, argv);
}

int fake_samples(struct ctl *ctl, int argc, char **argv)
{
	return echo("samples", ctl, argc, argv);
}

static int berkctl(char *first, ...)
{
	char *argv[10] = { (char *)"berkctl", first };
	FILE *out = stdout, *err = stderr;
	int argc = first ? 2 : 1, code;
	va_list args;

	va_start(args, first);
	while (first && (argv[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	free(printed);
	free(complained);
	stdout = open_memstream(&printed, &size);
	stderr = open_memstream(&complained, &size);
	code = berkctl_main(argc, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = err;
	return code;
}

static void test_verbs(void **state)
{
	(void)state;
	assert_int_equal(berkctl(NULL, NULL), 0);
	assert_string_equal(printed, "status");
	assert_int_equal(berkctl("--json", NULL), 0);
	assert_string_equal(printed, "status json");
	assert_int_equal(berkctl("--json", "peers", NULL), 0);
	assert_string_equal(printed, "peers json");
	assert_int_equal(berkctl("samples", "--follow", "--json", NULL), 0);
	assert_string_equal(printed, "samples json follow");
}

static void test_usage(void **state)
{
	(void)state;
	assert_int_equal(berkctl("bogus", NULL), 2);
	assert_string_equal(complained, "berkctl: unknown verb bogus; see berkctl --help\n");
	assert_int_equal(berkctl("peers", "x", "y", NULL), 2);
	assert_string_equal(printed, "peers x y");
	assert_non_null(strstr(complained, "Usage: berkctl peers [--json]"));
	assert_int_equal(berkctl("peers", "--bogus", NULL), 2);
	assert_non_null(strstr(complained, "--bogus"));
	assert_int_equal(berkctl("peers", "--follow", NULL), 2);
	assert_string_equal(printed, "");
}

static void test_help(void **state)
{
	(void)state;
	assert_int_equal(berkctl("--help", NULL), 0);
	for (const struct verb *v = verbs; v->name; v++) {
		char name[40];

		snprintf(name, sizeof(name), "\n  %s", v->name);
		assert_non_null(strstr(printed, name));
		assert_true(v->help && *v->help);
	}
	assert_string_equal(complained, "");
	assert_int_equal(berkctl("help", NULL), 0);
	assert_non_null(strstr(printed, "showconf"));
	for (const struct verb *v = verbs; v->name; v++) {
		assert_int_equal(berkctl((char *)v->name, "--help", NULL), 0);
		assert_int_equal(strncmp(printed, "Usage: berkctl ", 15), 0);
	}
}

/* berkctl(8) describes every verb. */
static void test_man_page(void **state)
{
	static char page[50000];
	FILE *file = fopen("userspace/man/berkctl.8", "re");

	(void)state;
	assert_non_null(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	for (const struct verb *v = verbs; v->name; v++) {
		char entry[60];

		snprintf(entry, sizeof(entry), "\n.It Ic %s", v->name);
		assert_non_null(strstr(page, entry));
	}
}

static void test_full_disk(void **state)
{
	char *argv[] = { (char *)"berkctl", (char *)"peers", NULL };
	FILE *out = stdout, *err = stderr;
	int code;

	(void)state;
	free(complained);
	stdout = fopen("/dev/full", "we");
	stderr = open_memstream(&complained, &size);
	code = berkctl_main(2, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = err;
	assert_int_equal(code, 1);
	assert_string_equal(complained, "berkctl: the output could not be written\n");
	free(complained);
	free(printed);
	complained = printed = NULL;
}

/* One line each, which says what to do. */
static void test_failures(void **state)
{
	struct ctl ctl = { 0 };
	FILE *err = stderr;

	(void)state;
	stderr = open_memstream(&complained, &size);
	assert_int_equal(ctl_fail(&ctl, -EPERM, "reading"), CTL_FAILED);
	assert_int_equal(ctl_fail(&ctl, -ENOMEM, "writing"), CTL_FAILED);
	fclose(stderr);
	stderr = err;
	assert_string_equal(complained, "berkctl: reading: no permission: run it as root "
			    "(sudo berkctl ...)\nberkctl: writing: Cannot allocate memory\n");
	free(complained);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_man_page),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests_name("berkctl", tests, NULL, NULL);
}
