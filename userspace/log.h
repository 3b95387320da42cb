/* SPDX-License-Identifier: GPL-2.0 */
/* log: lines on stderr, for journald or for people */
#ifndef BERK_LOG_H
#define BERK_LOG_H

#include <stdint.h>
#include <syslog.h>

/*
 * One line. Under journald (JOURNAL_STREAM is set) it begins with "<priority>",
 * else with a word for it.
 */
__attribute__((format(printf, 2, 3)))
void log_msg(int priority, const char *fmt, ...);

/* For things that may happen every round. One for each kind; all 0 at first. */
struct log_limit {
	int64_t next_ns;
	unsigned int suppressed;
};

/* At most one line of a kind a minute; the next says how many were left out. */
__attribute__((format(printf, 4, 5)))
void log_limited(struct log_limit *limit, int64_t now_ns, int priority, const char *fmt, ...);

#endif /* BERK_LOG_H */
