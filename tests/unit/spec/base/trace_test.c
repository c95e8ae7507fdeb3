/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/trace.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/base/arena.h"
#include "spec/base/json.h"

static char path[64];
static struct arena arena = ARENA_INIT;

static void init(void)
{
	snprintf(path, sizeof(path), "/tmp/trace-test-%d", (int)getpid());
	unlink(path);
}

static void fini(void)
{
	unlink(path);
}

TestSuite(trace, .init = init, .fini = fini);

/* As readers of the format do: a comma at the end goes, a bracket is added. */
static const struct json *events(void)
{
	static char text[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 2);
	const struct json *ret = NULL;
	struct error err = ERROR_INIT;

	close(fd);
	while (n > 0 && strchr(",\n", text[n - 1]))
		n--;
	text[n++] = ']';
	cr_assert_eq(json_parse(text, (size_t)n, "trace", &arena, &ret, &err), 0, "%s in %.*s", err.text, (int)n, text);
	return ret;
}

static const struct json *nth(const struct json *all, size_t n)
{
	const struct json *e = all->first;

	while (n--)
		e = e->next;
	return e;
}

static double number(const struct json *event, const char *name)
{
	return strtod(json_get(event, name)->text, NULL);
}

static struct trace begin(void)
{
	struct trace t;
	struct error err = ERROR_INIT;

	cr_assert_eq(trace_open(&t, path, &err), 0, "%s", err.text);
	return t;
}

Test(trace, each_step_begins_where_the_last_one_ended)
{
	struct trace t = begin();
	uint64_t began = t.since;

	trace_step_at(&t, "first \"one\"", began + 1500);
	trace_step_at(&t, "second", began + 4000500);
	close(t.fd);

	const struct json *all = events();

	cr_assert_eq(all->count, 2);
	cr_expect_str_eq(json_get(nth(all, 0), "name")->text, "first \"one\"");
	cr_expect_str_eq(json_get(nth(all, 0), "ph")->text, "X");
	cr_expect_str_eq(json_get(nth(all, 0), "dur")->text, "1.500");
	cr_expect_str_eq(json_get(nth(all, 1), "dur")->text, "3999.000");
	cr_expect_float_eq(number(nth(all, 1), "ts"), number(nth(all, 0), "ts") + 1.5, 0.001);
	cr_expect_eq((int)number(nth(all, 0), "pid"), (int)getpid());
}

Test(trace, a_span_moves_no_step)
{
	struct trace t = begin();
	uint64_t before = t.since, began = trace_now(&t);

	trace_span(&t, "hook", began);
	cr_expect_eq(t.since, before);
	trace_step(&t, "around it");
	close(t.fd);

	const struct json *all = events();

	cr_expect_leq(number(nth(all, 1), "ts"), number(nth(all, 0), "ts"));
	cr_expect_geq(number(nth(all, 1), "dur"), number(nth(all, 0), "dur"));
}

Test(trace, a_child_is_a_process_of_its_own_in_the_same_file)
{
	struct trace t = begin();
	pid_t child = fork();

	if (child == 0) {
		trace_process(&t, "child");
		trace_step(&t, "its step");
		_exit(0);
	}
	waitpid(child, NULL, 0);
	trace_step(&t, "mine");
	close(t.fd);

	const struct json *all = events();

	cr_assert_eq(all->count, 4);
	cr_expect_str_eq(json_get(json_get(nth(all, 0), "args"), "name")->text, "child");
	cr_expect_eq((pid_t)number(nth(all, 2), "pid"), child);
	cr_expect_eq((pid_t)number(nth(all, 3), "pid"), getpid());
}

Test(trace, the_next_command_goes_on_in_the_same_array)
{
	struct trace t = begin();

	trace_step(&t, "one");
	close(t.fd);
	t = begin();
	trace_step(&t, "two");
	close(t.fd);
	cr_expect_eq(events()->count, 2);
}

Test(trace, what_is_no_file_is_refused_and_not_waited_for)
{
	struct trace t;
	struct error err = ERROR_INIT;

	cr_expect_eq(trace_open(&t, "/dev/null", &err), -EINVAL);
	cr_expect_str_eq(err.text, "the trace /dev/null is not a regular file");
	cr_expect_eq(trace_open(&t, "/nonexistent/trace", &err), -ENOENT);
}

Test(trace, a_full_disk_changes_nothing)
{
	struct trace t = begin();
	struct rlimit none = { 2, 2 };

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	errno = 7;
	trace_step(&t, "lost");
	cr_expect_eq(errno, 7);
	close(t.fd);
	cr_expect_eq(events()->count, 0);
}

Test(trace, without_one_nothing_is_done)
{
	trace_process(NULL, "x");
	trace_step(NULL, "x");
	trace_step_at(NULL, "x", 1);
	trace_span(NULL, "x", 1);
	cr_expect_eq(trace_now(NULL), 0);
}
