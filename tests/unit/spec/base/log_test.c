/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spec/base/json.h"

static int ends[2];
static char got[8192];

static void init(void)
{
	/* A socket that keeps records apart shows what one write() was. */
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
}

TestSuite(log, .init = init);

static const char *record(void)
{
	ssize_t n = read(ends[1], got, sizeof(got) - 1);

	got[n < 0 ? 0 : n] = '\0';
	return got;
}

/* The record with its time made the one of the header's example. */
static const char *timeless_record(void)
{
	static const char known[] = "2026-01-02T03:04:05Z";
	char *when = strstr((char *)record(), "20");

	cr_assert(when);
	cr_assert_eq(when[10], 'T');
	cr_assert_eq(when[19], 'Z');
	return memcpy(when, known, sizeof(known) - 1), got;
}

Test(log, a_text_record_is_one_line_in_one_write)
{
	struct log log = { .fd = ends[0], .level = LOG_WARNING, .format = LOG_TEXT };

	log_warn(&log, "mount %s \"x\"\nsecond line", "/proc");
	cr_expect_str_eq(
		timeless_record(),
		"time=\"2026-01-02T03:04:05Z\" level=warning msg=\"mount /proc \\\"x\\\"\\n"
		"second line\"\n");
	cr_expect_str_eq(record(), "");
}

Test(log, a_json_record_is_one_object_in_one_line)
{
	struct log log = { .fd = ends[0], .level = LOG_DEBUG, .format = LOG_JSON };

	log_at(&log, LOG_ERROR, "bad\tname \xff");
	cr_expect_str_eq(timeless_record(), "{\"level\":\"error\",\"msg\":\"bad\\tname "
					    "\xef\xbf\xbd\",\"time\":\"2026-01-02T03:04:05Z\"}\n");
	cr_expect_str_eq(record(), "");
}

Test(log, long_messages_are_not_cut)
{
	static struct arena a = ARENA_INIT;
	struct log log = { .fd = ends[0], .level = LOG_INFO, .format = LOG_JSON };
	const struct json *v = NULL;

	log_at(&log, LOG_INFO, "%05000d", 7);
	record();
	cr_assert_eq(json_parse(got, strlen(got), "log", &a, &v, NULL), 0);
	cr_expect_eq(json_get(v, "msg")->len, 5000);
	cr_expect_str_eq(json_get(v, "level")->text, "info");
	arena_release(&a);
}

Test(log, an_empty_message_is_a_record)
{
	struct log log = { .fd = ends[0], .level = LOG_INFO, .format = LOG_TEXT };

	log_at(&log, LOG_INFO, "%s", "");
	cr_expect_str_eq(timeless_record(), "time=\"2026-01-02T03:04:05Z\" level=info msg=\"\"\n");
}

Test(log, records_above_the_level_are_dropped)
{
	struct log log = { .fd = ends[0], .level = LOG_WARNING, .format = LOG_TEXT };

	log_debug(&log, "no");
	log_at(&log, LOG_INFO, "no");
	cr_expect_str_eq(record(), "");
	log_at(&log, LOG_ERROR, "yes");
	cr_expect(strstr(record(), "level=error msg=\"yes\""));
	log.level = LOG_DEBUG;
	log_debug(&log, "%d", 1);
	cr_expect(strstr(record(), "level=debug msg=\"1\""));
}

Test(log, nowhere_is_a_place_to_log)
{
	struct log log = { .fd = -1, .level = LOG_DEBUG };

	log_warn(NULL, "x");
	log_debug((struct log *)NULL, "x");
	errno = 0;
	log_warn(&log, "x");
	cr_expect_eq(errno, 0);
}

Test(log, a_log_that_cannot_be_written_changes_nothing)
{
	struct log log = { .fd = open("/dev/full", O_WRONLY | O_CLOEXEC), .level = LOG_DEBUG };

	cr_assert_geq(log.fd, 0);
	errno = EXDEV;
	log_warn(&log, "x");
	cr_expect_eq(errno, EXDEV);
}
