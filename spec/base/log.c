/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/buf.h"
#include "spec/base/json.h"
#include "spec/base/rfc3339.h"

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static void format_record(struct buf *line, const struct log *log, enum log_level level,
			  const struct buf *msg)
{
	struct timespec now;
	char when[RFC3339_BYTES];

	clock_gettime(CLOCK_REALTIME, &now);
	rfc3339_seconds(&now, when);

	/* The text form quotes as JSON does: one line whatever the message holds. */
	if (log->format == LOG_JSON) {
		buf_printf(line, "{\"level\":\"%s\",\"msg\":", level_names[level]);
		json_escape(line, msg->data, msg->len);
		buf_printf(line, ",\"time\":\"%s\"}\n", when);
	} else {
		buf_printf(line, "time=\"%s\" level=%s msg=", when, level_names[level]);
		json_escape(line, msg->data, msg->len);
		buf_putc(line, '\n');
	}
}

void log_at(const struct log *log, enum log_level level, const char *fmt, ...)
{
	if (!log || log->fd < 0 || level > log->level)
		return;

	int saved = errno;
	auto_buf struct buf msg = BUF_INIT;
	auto_buf struct buf line = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	errno = saved; /* for a %m in fmt */
	buf_vprintf(&msg, fmt, ap);
	va_end(ap);
	format_record(&line, log, level, &msg);

	/* A full disk or a reader that went away must not change what the command does. */
	ssize_t n;

	do {
		n = write(log->fd, line.data, line.len);
	} while (n < 0 && errno == EINTR);
	errno = saved;
}
