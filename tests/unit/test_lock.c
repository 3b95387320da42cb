// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#define flock(fd, operation) fake_flock(fd, operation)	/* not the struct */
#define open fake_open
#define mkdir fake_mkdir
#define stat(path, st) fake_stat(path, st)	/* not the struct */
#define dprintf fake_dprintf
#define log_msg fake_log
static int fake_flock(int fd, int operation);
int fake_open(const char *name, int flags, ...);
int fake_mkdir(const char *name, mode_t mode);
static int fake_stat(const char *path, struct stat *st);
int fake_dprintf(int fd, const char *fmt, ...);
#include <sys/file.h>
#include "lock.c"

static char heard[1000], logged[1000];
static int mkdir_err, open_err, stat_err;
static const char *busy;	/* of the files that are opened, the one that is locked */
static char opened[100];

static int fake_flock(int fd, int operation)
{
	assert_true(fd >= 0);
	assert_int_equal(operation, LOCK_EX | LOCK_NB);
	errno = EWOULDBLOCK;
	return busy && !strcmp(busy, opened) ? -1 : 0;
}

int fake_open(const char *name, int flags, ...)
{
	assert_true(flags & O_CREAT && flags & O_CLOEXEC && !(flags & O_TRUNC));
	strcat(strcat(heard, name), ";");
	snprintf(opened, sizeof(opened), "%s", name);
	errno = open_err;
	return open_err ? -1 : memfd_create("pid", MFD_CLOEXEC);
}

int fake_mkdir(const char *name, mode_t mode)
{
	assert_true(!strcmp(name, "/run") || !strcmp(name, "/run/berk"));
	assert_int_equal(mode, 0755);
	errno = mkdir_err;
	return mkdir_err ? -1 : 0;
}

static int fake_stat(const char *path, struct stat *st)
{
	assert_string_equal(path, "/proc/self/ns/net");
	st->st_ino = 4026531840;
	return stat_err;
}

int fake_dprintf(int fd, const char *fmt, ...)
{
	(void)fd;
	assert_string_equal(fmt, "%d\n");
	return 1;
}

void fake_log(int priority, const char *fmt, ...)
{
	va_list args;

	assert_int_equal(priority, LOG_ERR);
	va_start(args, fmt);
	vsnprintf(logged, sizeof(logged), fmt, args);
	va_end(args);
}

static int setup(void **state)
{
	(void)state;
	heard[0] = logged[0] = '\0';
	mkdir_err = EEXIST;
	open_err = stat_err = 0;
	busy = NULL;
	return 0;
}

static void test_taken(void **state)
{
	(void)state;
	assert_true(lock_take(true));
	assert_string_equal(heard, "/run/berk/berkd-net-4026531840.pid;/run/berk/berkd.pid;");
	heard[0] = '\0';
	assert_true(lock_take(false));
	assert_string_equal(heard, "/run/berk/berkd-net-4026531840.pid;");
	heard[0] = '\0';
	stat_err = -1;
	assert_true(lock_take(false));
	assert_string_equal(heard, "/run/berk/berkd-net-0.pid;");
	assert_string_equal(logged, "");
}

static void test_busy(void **state)
{
	(void)state;
	busy = "/run/berk/berkd-net-4026531840.pid";
	assert_false(lock_take(false));
	assert_string_equal(logged, "another berkd is running in this network namespace "
			    "(/run/berk/berkd-net-4026531840.pid): stop it first");
	busy = "/run/berk/berkd.pid";
	assert_true(lock_take(false));
	assert_false(lock_take(true));
	assert_string_equal(logged, "another berkd corrects this machine's clock "
			    "(/run/berk/berkd.pid): stop it first");
}

static void test_no_directory(void **state)
{
	(void)state;
	mkdir_err = EACCES;
	assert_false(lock_take(true));
	assert_string_equal(logged, "/run/berk: Permission denied; run berkd as root");
	mkdir_err = 0;
	open_err = EROFS;
	assert_false(lock_take(true));
	assert_string_equal(logged,
			    "/run/berk/berkd-net-4026531840.pid: Read-only file system");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_taken, setup),
		cmocka_unit_test_setup(test_busy, setup),
		cmocka_unit_test_setup(test_no_directory, setup),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
