// SPDX-License-Identifier: GPL-2.0
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define PATH_LEN 64

static bool refused(const char *path)
{
	log_msg(LOG_ERR, "%s: %s%s", path, strerror(errno),
		errno == EACCES ? "; run berkd as root" : "");
	return false;
}

static bool take(const char *path, const char *held)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return refused(path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		log_msg(LOG_ERR, "another berkd %s (%s): stop it first", held, path);
		close(fd);
		return false;
	}
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", getpid()) < 0)
		log_msg(LOG_WARNING, "%s: %s", path, strerror(errno));
	return true;
}

/* What tells namespaces apart; a kernel without any has one. */
static uintmax_t namespace_id(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

bool lock_take(bool clock)
{
	char path[PATH_LEN];

	mkdir("/run", 0755);
	if (mkdir(LOCK_DIR, 0755) < 0 && errno != EEXIST)
		return refused(LOCK_DIR);
	snprintf(path, sizeof(path), LOCK_DIR "/berkd-net-%ju.pid", namespace_id());
	return take(path, "is running in this network namespace") &&
	       (!clock || take(LOCK_CLOCK, "corrects this machine's clock"));
}
