// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* What happens to the file is heard; one of the steps can be made to fail. */
#define open fake_open
#define fsync fake_fsync
#define rename fake_rename
#define log_msg fake_log
int fake_open(const char *name, int flags, ...);
int fake_fsync(int fd);
int fake_rename(const char *from, const char *to);
#include "drift.c"
#undef open
#undef fsync
#undef rename

#define S 1000000000LL
#define DAY 86400
#define THEN 1790000000LL	/* s since 1970 */

static char dir[] = "/tmp/berk-drift-XXXXXX";
static char path[100], heard[200], logged[600];
static const char *failing;
static double freq, sigma;	/* as they were found at the last start */

static int step(const char *name)
{
	strcat(strcat(heard, name), ";");
	if (!failing || strcmp(failing, name))
		return 0;
	errno = EIO;
	return -1;
}

int fake_open(const char *name, int flags, ...)
{
	return flags & O_CREAT && step("open") ? -1 : open(name, flags, 0666);
}

int fake_fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size > 0);
	return step("fsync");
}

int fake_rename(const char *from, const char *to)
{
	assert_string_equal(to, path);
	return step("rename") ? -1 : rename(from, to);
}

void fake_log(int priority, const char *fmt, ...)
{
	va_list args;

	(void)priority;
	assert_string_equal(logged, "");	/* one line at a time */
	va_start(args, fmt);
	vsnprintf(logged, sizeof(logged), fmt, args);
	va_end(args);
	assert_null(strchr(logged, '\n'));
}

static int setup(void **state)
{
	(void)state;
	unlink(path);
	heard[0] = logged[0] = '\0';
	failing = NULL;
	return 0;
}

static struct node_now at(double raw_s)
{
	int64_t raw = llrint(raw_s * 1e9);

	return (struct node_now){ .raw_ns = raw, .real_ns = THEN * S + raw };
}

static struct drift started(double raw_s, uint64_t node_id)
{
	struct drift d = { .path = path, .node_id = node_id };

	logged[0] = '\0';
	freq = sigma = -1;
	if (!drift_start(&d, at(raw_s), &freq, &sigma))
		assert_true(freq == -1 && sigma == -1 && d.sigma_ppb == 0);
	return d;
}

/* Was it written? */
static bool save(struct drift *d, double raw_s, double freq_ppb, double sigma_ppb, bool last)
{
	struct node_publish p = {
		.state = BERK_STATE_SYNCHRONISED,
		.freq_ppb = freq_ppb,
		.freq_sigma_ppb = sigma_ppb,
	};

	heard[0] = logged[0] = '\0';
	drift_save(d, at(raw_s), &p, last);
	return *heard;
}

static void write_text(const char *text, size_t len)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fwrite(text, 1, len, file);
	fclose(file);
}

static const char *file_text(void)
{
	static char text[1000];
	FILE *file = fopen(path, "re");

	if (!file)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

/* --- */

static void test_there_and_back(void **state)
{
	struct drift d = started(0, 0xff);
	mode_t mask = umask(077);
	struct stat st;

	(void)state;
	assert_true(freq == -1);	/* nothing there, and nothing said */
	assert_string_equal(logged, "");
	assert_true(save(&d, 10, 12345.678, 4, true));
	umask(mask);
	assert_string_equal(heard, "open;fsync;rename;");
	assert_string_equal(file_text(), "# berk drift 1: ppb (positive = made faster), +- ppb, "
			    "at (s since 1970), node_id\n"
			    "12345.678 4.000 1790000010 00000000000000ff\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);

	started(10 + 3 * 3600, 0xff);
	assert_true(freq == 12345.678);
	assert_true(fabs(sigma - hypot(4, 3 * sqrt(3 * 3600))) < 1e-6);
	assert_non_null(strstr(logged, "frequency +12.346 ppm from "));
	assert_non_null(strstr(logged, "/drift, 3 h old, +-0.312 ppm"));
}

/* Grows with the root of the age up to what temperature can do; so if it is not known. */
static void test_uncertainty(void **state)
{
	struct drift d = started(1000, 1);

	(void)state;
	assert_true(save(&d, 1000, -5000, 3, true));
	started(1000, 1);
	assert_true(freq == -5000 && fabs(sigma - 3) < 1e-9);
	started(1100, 1);
	assert_true(fabs(sigma - hypot(3, 30)) < 1e-9);
	assert_non_null(strstr(logged, ", 100 s old,"));
	started(1000 + 3600, 1);
	assert_non_null(strstr(logged, ", 60 min old,"));
	started(1000 + 1000.0 * DAY, 1);
	assert_true(fabs(sigma - 2000) < 1);
	assert_non_null(strstr(logged, ", 1000 days old, +-2.000 ppm"));
	started(998, 1);
	assert_true(freq == -5000 && fabs(sigma - 2000) < 1);
	assert_non_null(strstr(logged, ", from the future, +-2.000 ppm"));
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *body, *reason;
	} bad[] = {
		{ "1 2 3 1", NULL },	/* a good one, for once */
		{ "", "damaged" }, { "1 2 3", "damaged" }, { "1 2 3 1 5", "damaged" },
		{ "1 2 3 1z", "damaged" }, { "x 2 3 1", "damaged" }, { "1,5 2 3 1", "damaged" },
		{ "1 2 3.5 1", "damaged" }, { "\xff\xfe\x01", "damaged" },
		{ "1 2 9999999999999999999 1", "damaged" },
		{ "1 2 3 12345678901234567", "damaged" },
		{ "500001 2 3 1", "range" }, { "-500001 2 3 1", "range" }, { "nan 2 3 1", "range" },
		{ "inf 2 3 1", "range" }, { "1e999 2 3 1", "range" }, { "1 0 3 1", "range" },
		{ "1 -2 3 1", "range" }, { "1 nan 3 1", "range" }, { "1 inf 3 1", "range" },
		{ "1 2 -3 1", "range" }, { "1 2 3 2", "of another node_id" },
	};
	char text[TEXT_MAX + 100];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), HEADER "%s", bad[i].body);
		write_text(text, strlen(text));
		started(0, 1);
		if (!bad[i].reason)
			assert_true(freq == 1);
		else if (freq != -1 || !strstr(logged, bad[i].reason) || !strstr(logged, path))
			fail_msg("\"%s\" gave: %s", bad[i].body, logged);
	}
	write_text("12.5 0.3\n", 9);
	started(0, 1);
	assert_non_null(strstr(logged, "another version"));
	write_text("", 0);
	started(0, 1);
	assert_non_null(strstr(logged, "empty"));
	memset(text, ' ', sizeof(text));
	memcpy(text, HEADER "1 2 3 1", strlen(HEADER "1 2 3 1"));
	write_text(text, sizeof(text));
	started(0, 1);
	assert_non_null(strstr(logged, "too long"));
	write_text(HEADER "1 2 3 1\0", strlen(HEADER) + 8);
	started(0, 1);
	assert_non_null(strstr(logged, "damaged"));
}

/* Anything at all is a file or is not, but nothing else. */
static void test_fuzz(void **state)
{
	static const char good[] = HEADER "-123.456 7.890 1790000000 00000000000000ff\n";
	unsigned int seed = 1;

	(void)state;
	for (int run = 0; run < 2000; run++) {
		char text[sizeof(good)];

		memcpy(text, good, sizeof(good));
		for (int n = rand_r(&seed) % 4; n >= 0; n--)
			text[strlen(HEADER) + rand_r(&seed) % (sizeof(good) - strlen(HEADER))] =
				"0123456789.-+eE xnaif\n\0\xff"[rand_r(&seed) % 25];
		write_text(text, sizeof(good) - rand_r(&seed) % 40);
		started(0, 0xff);
		assert_true(freq == -1 || (fabs(freq) <= 500000 && sigma > 0 && sigma < 510000));
	}
}

static void test_unreadable(void **state)
{
	struct drift d = { .path = "" };
	struct node_publish p = { .state = BERK_STATE_SYNCHRONISED, .freq_sigma_ppb = 1 };

	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	started(0, 1);
	assert_non_null(strstr(logged, "Is a directory"));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0644), 0);
	started(0, 1);
	assert_non_null(strstr(logged, "empty"));

	/* none */
	logged[0] = '\0';
	assert_false(drift_start(&d, at(0), &freq, &sigma));
	drift_save(&d, at(1e6), &p, true);
	assert_string_equal(heard, "");
	assert_string_equal(logged, "");
}

static void test_when(void **state)
{
	struct drift d = started(0, 1);

	(void)state;
	assert_false(save(&d, 299, 1000, 10, false));
	assert_true(save(&d, 300, 1000, 10, false));
	assert_false(save(&d, 599, 9000, 1, false));
	assert_false(save(&d, 700, 1050, 10, false));	/* within what a reader expects */
	assert_true(save(&d, 700, 1100, 10, false));	/* the crystal has moved */
	assert_false(save(&d, 1010, 1100, 6, false));
	assert_true(save(&d, 1010, 1100, 4, false));	/* much better known */
	assert_false(save(&d, 4609, 1100, 4, false));
	assert_true(save(&d, 4610, 1100, 4, false));	/* hourly */
	assert_true(save(&d, 4612, 1100, 4, true));	/* at the end */
}

/* A short run that learned little does not spoil what a long one knew. */
static void test_file_knows_better(void **state)
{
	struct drift d = started(0, 1);

	(void)state;
	assert_true(save(&d, 0, 1000, 5, true));
	d = started(100, 1);
	assert_true(freq == 1000);
	assert_false(save(&d, 101, 1400, 500, true));
	assert_false(save(&d, 500, 1400, 500, false));
	assert_false(save(&d, 4000, 1400, 500, false));
	assert_true(save(&d, 101, 3000, 500, true));	/* but it contradicts that */
}

static void test_not_synchronised(void **state)
{
	static const enum berk_state states[] = { BERK_STATE_UNSYNCHRONISED, BERK_STATE_HOLDOVER };
	struct drift d = started(0, 1);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct node_publish p = { .state = states[i], .freq_sigma_ppb = 1 };

		drift_save(&d, at(1e4), &p, true);
	}
	assert_string_equal(heard, "");
	assert_false(save(&d, 1e4, 1000, 0, true));	/* frequency not known */
}

/* Whatever fails: the file is as it was, nothing is left behind, and it is said. */
static void test_failures(void **state)
{
	static const char *const steps[] = { "open", "fsync", "rename" };
	char temp[120], before[300];
	struct drift d = started(0, 1);

	(void)state;
	snprintf(temp, sizeof(temp), "%s.tmp", path);
	assert_true(save(&d, 0, 1000, 5, true));
	snprintf(before, sizeof(before), "%s", file_text());
	for (size_t i = 0; i < 3; i++) {
		failing = steps[i];
		d = started(1000, 1);
		assert_true(save(&d, 5000, 2000, 5, false));
		assert_non_null(strstr(logged, "cannot be written: Input/output error"));
		assert_string_equal(file_text(), before);
		assert_int_equal(access(temp, F_OK), -1);
		assert_false(save(&d, 5001, 2000, 5, false));	/* not at once again */
		failing = NULL;
		assert_true(save(&d, 8600, 2000, 5, false));
		assert_string_equal(logged, "");
		write_text(before, strlen(before));
	}
	/* A trap in the place of the temporary file is not stepped into. */
	assert_int_equal(symlink(path, temp), 0);
	assert_true(save(&d, 5e4, 3000, 5, false));
	assert_string_equal(logged, "");
	assert_non_null(strstr(file_text(), "3000.000"));
}

static void test_parents(void **state)
{
	char deep[150], command[200];
	struct drift d = { .path = deep };
	struct node_publish p = { .state = BERK_STATE_SYNCHRONISED, .freq_sigma_ppb = 1 };

	(void)state;
	snprintf(deep, sizeof(deep), "%s/a/b/drift", dir);
	failing = "rename";	/* it expects another name */
	snprintf(command, sizeof(command), "%s/a/b", dir);
	make_parents(deep);
	assert_int_equal(access(command, W_OK), 0);
	rmdir(command);
	snprintf(command, sizeof(command), "%s/a", dir);
	rmdir(command);
	/* A file where a directory should be. */
	write_text("x", 1);
	snprintf(deep, sizeof(deep), "%s/drift", path);
	drift_save(&d, at(1e4), &p, true);
	assert_non_null(strstr(logged, "Not a directory"));
}

static int make_dir(void **state)
{
	(void)state;
	return !mkdtemp(dir) || snprintf(path, sizeof(path), "%s/drift", dir) < 0;
}

static int remove_dir(void **state)
{
	setup(state);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_there_and_back, setup),
		cmocka_unit_test_setup(test_uncertainty, setup),
		cmocka_unit_test_setup(test_bad_files, setup),
		cmocka_unit_test_setup(test_fuzz, setup),
		cmocka_unit_test_setup(test_unreadable, setup),
		cmocka_unit_test_setup(test_when, setup),
		cmocka_unit_test_setup(test_file_knows_better, setup),
		cmocka_unit_test_setup(test_not_synchronised, setup),
		cmocka_unit_test_setup(test_failures, setup),
		cmocka_unit_test_setup(test_parents, setup),
	};

	return cmocka_run_group_tests_name("drift", tests, make_dir, remove_dir);
}
