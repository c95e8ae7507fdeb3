/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct error err;
static char text[4096];

static const char *line(void)
{
	size_t n = error_line(&err, text, sizeof(text));

	cr_expect_eq(n, strlen(text));
	return text;
}

Test(error, frames_print_outermost_first_and_the_errno_last)
{
	int r = error_set(&err, EACCES, "open %s", "/x");

	cr_expect_eq(r, -EACCES);
	r = error_wrap(&err, r, "cannot read the config");
	r = error_wrap(&err, r, "cannot create container \"%s\"", "web");
	cr_expect_eq(r, -EACCES);
	cr_expect_str_eq(line(),
			 "cannot create container \"web\": cannot read the config: open /x: "
			 "permission denied");
}

Test(error, a_rule_has_no_errno_text)
{
	cr_expect_eq(error_rule(&err, EINVAL, "id is empty"), -EINVAL);
	cr_expect_str_eq(line(), "id is empty");
	error_wrap(&err, -EINVAL, "cannot start");
	cr_expect_str_eq(line(), "cannot start: id is empty");
}

Test(error, a_new_cause_starts_over)
{
	error_rule(&err, EINVAL, "first");
	error_at(&err, "/a");
	error_hint(&err, "a hint");
	error_wrap(&err, -EINVAL, "wrap");
	error_set(&err, ENOENT, "second");
	cr_expect_str_eq(line(), "second: no such file or directory");
	cr_expect_str_eq(err.at, "");
	cr_expect_str_eq(err.hint, "");
}

Test(error, the_innermost_place_and_hint_win)
{
	error_at(&err, "/too/early");
	error_hint(&err, "too early");
	error_set(&err, ENOENT, "x");
	error_at(&err, "/mounts/%d", 3);
	error_at(&err, "/mounts");
	error_hint(&err, "first");
	error_hint(&err, "second");
	cr_expect_str_eq(err.at, "/mounts/3");
	cr_expect_str_eq(err.hint, "first");
}

Test(error, nobody_has_to_listen)
{
	cr_expect_eq(error_set(NULL, EPERM, "x"), -EPERM);
	cr_expect_eq(error_rule(NULL, EPERM, "x"), -EPERM);
	cr_expect_eq(error_wrap(NULL, -EPERM, "x"), -EPERM);
	error_at(NULL, "x");
	error_hint(NULL, "x");
}

Test(error, failure_is_negative_whatever_the_caller_passed)
{
	cr_expect_eq(error_set(&err, 0, "x"), -EIO);
	cr_expect_eq(error_set(&err, -5, "x"), -EIO);
	cr_expect_eq(error_wrap(&err, 0, "x"), -EIO);
}

Test(error, a_full_object_loses_the_outermost_frames_and_keeps_the_cause)
{
	error_set(&err, ENOSPC, "the cause");
	for (int i = 0; i < 400; i++)
		error_wrap(&err, -ENOSPC, "frame number %d", i);
	cr_expect_gt(err.dropped, 0);
	cr_expect_leq(err.used, sizeof(err.text));
	line();

	const char *tail = "frame number 1: frame number 0: the cause: no space left on device";

	cr_assert_gt(strlen(text), strlen(tail));
	cr_expect_str_eq(text + strlen(text) - strlen(tail), tail);
}

Test(error, a_line_is_cut_like_snprintf)
{
	char small[10];

	error_set(&err, ENOENT, "open /x");
	cr_expect_eq(error_line(&err, small, sizeof(small)),
		     strlen("open /x: no such file or directory"));
	cr_expect_str_eq(small, "open /x: ");
	cr_expect_eq(error_line(&err, NULL, 0), strlen("open /x: no such file or directory"));
}

Test(error, unknown_numbers_have_a_text)
{
	error_set(&err, 4000, "x");
	cr_expect_eq(strncmp(line(), "x: ", 3), 0);
	cr_expect_gt(strlen(text), 3);
}

static int ends[2];

static void make_pipe(void)
{
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
}

Test(error, an_error_crosses_a_pipe_whole, .init = make_pipe)
{
	struct error got = ERROR_INIT;

	error_set(&err, EBUSY, "mount %s", "/proc");
	error_at(&err, "/mounts/0");
	error_hint(&err, "try again");
	error_wrap(&err, -EBUSY, "cannot");
	cr_expect_eq(error_send(ends[1], &err), 0);
	cr_expect_eq(error_recv(ends[0], &got), -EBUSY);
	cr_expect_eq(memcmp(&got, &err, sizeof(err)), 0);
}

Test(error, a_closed_pipe_is_success, .init = make_pipe)
{
	struct error got = ERROR_INIT;

	close(ends[1]);
	cr_expect_eq(error_recv(ends[0], &got), 0);
	cr_expect_eq(got.code, 0);
}

Test(error, bytes_that_are_no_error_are_a_protocol_error, .init = make_pipe)
{
	struct error got = ERROR_INIT;

	cr_assert_eq(write(ends[1], "hello", 5), 5);
	cr_expect_eq(error_recv(ends[0], &got), -EPROTO);
	err = (struct error){ .code = 0 };
	cr_expect_eq(error_send(ends[1], &err), 0);
	cr_expect_eq(error_recv(ends[0], &got), -EPROTO);
	err = (struct error){ .code = 5, .used = sizeof(err.text) + 1 };
	cr_expect_eq(error_send(ends[1], &err), 0);
	cr_expect_eq(error_recv(ends[0], &got), -EPROTO);
}

Test(error, a_hostile_sender_cannot_make_us_read_beyond, .init = make_pipe)
{
	struct error got = ERROR_INIT;

	memset(&err, 'A', sizeof(err));
	err.code = EPERM;
	err.quiet = 0;
	err.used = sizeof(err.text);
	cr_expect_eq(error_send(ends[1], &err), 0);
	cr_expect_eq(error_recv(ends[0], &got), -EPERM);
	cr_expect_lt(strlen(got.text), sizeof(got.text));
	cr_expect_lt(strlen(got.at), sizeof(got.at));
	cr_expect_lt(strlen(got.hint), sizeof(got.hint));
	cr_expect_lt(error_line(&got, text, sizeof(text)), sizeof(text));
}
