/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * log - warnings and debug lines, in the form the caller's engine reads
 *
 * The one log of a command. Errors are not logged here: they are returned and
 * printed once by cli/report.c. A struct log is passed down; NULL is a valid
 * log that swallows everything. Each record is one write() to an O_APPEND file,
 * so records of a parent and its child never mix.
 *
 * text:  time="2026-01-02T03:04:05Z" level=warning msg="…"
 * json:  {"level":"warning","msg":"…","time":"2026-01-02T03:04:05Z"}
 */

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

struct log {
	int fd;                /* -1: nowhere */
	enum log_level level;  /* records above it are dropped */
	enum log_format format;
};

void log_at(const struct log *log, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_warn(log, ...)  log_at(log, LOG_WARNING, __VA_ARGS__)

/* Is a debug record worth building? log_debug() evaluates its arguments only then. */
static inline bool log_is_debug(const struct log *log)
{
	return log && log->level >= LOG_DEBUG;
}

#define log_debug(log, ...) \
	do { \
		if (log_is_debug(log)) \
			log_at(log, LOG_DEBUG, __VA_ARGS__); \
	} while (0)
