// SPDX-License-Identifier: GPL-2.0
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMIT_NS 60000000000LL

static void write_line(int priority, const char *text)
{
	static const char *const words[] = {
		"fatal", "fatal", "fatal", "error", "warning", "note", "info", "debug",
	};

	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", priority & 7, text);
	else
		fprintf(stderr, "berkd: %s: %s\n", words[priority & 7], text);
}

void log_msg(int priority, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	write_line(priority, text);
}

void log_limited(struct log_limit *limit, int64_t now_ns, int priority, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	if (limit->next_ns && now_ns < limit->next_ns) {
		limit->suppressed++;
		return;
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (limit->suppressed)
		log_msg(priority, "%s (%u more like this in between)", text, limit->suppressed);
	else
		write_line(priority, text);
	limit->next_ns = now_ns + LIMIT_NS;
	limit->suppressed = 0;
}
