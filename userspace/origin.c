// SPDX-License-Identifier: GPL-2.0
#include "origin.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lock.h"
#include "log.h"

void origin_tell(uint64_t origin)
{
	static bool said;
	int fd = open(LOCK_DIR "/origin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if ((fd < 0 || dprintf(fd, "%016" PRIx64 "\n", origin) < 0) && !said) {
		log_msg(LOG_WARNING, LOCK_DIR "/origin: %s", strerror(errno));
		said = true;
	}
	if (fd >= 0)
		close(fd);
}

/* Somebody holds the lock of the clock. */
static bool driven(void)
{
	int fd = open(LOCK_CLOCK, O_RDONLY | O_CLOEXEC);
	bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return held;
}

uint64_t origin_ask(void)
{
	char text[32] = "";
	int fd = driven() ? open(LOCK_DIR "/origin", O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strtoull(text, NULL, 16);
}
