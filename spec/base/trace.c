/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "spec/base/json.h"
#include "spec/base/parse.h"

static void put(const struct trace *t, const struct buf *line)
{
	int saved = errno;

	/* A full disk must not change what the command does. */
	while (write(t->fd, line->data, line->len) < 0 && errno == EINTR)
		;
	errno = saved;
}

/* Microseconds, as the format wants them, with three places. */
static void put_event(const struct trace *t, const char *name, uint64_t from, uint64_t to)
{
	char space[256];
	auto_buf struct buf line = BUF_ON(space);
	uint64_t took = to > from ? to - from : 0;

	buf_puts(&line, "{\"ph\":\"X\",\"name\":");
	json_escape(&line, name, strlen(name));
	buf_printf(&line, ",\"pid\":%d,\"tid\":%d,\"ts\":%" PRIu64 ".%03u,\"dur\":%" PRIu64 ".%03u},\n", t->pid, t->pid,
		   from / 1000, (unsigned)(from % 1000), took / 1000, (unsigned)(took % 1000));
	put(t, &line);
}

static void put_name(const struct trace *t, const char *kind, const char *name)
{
	char space[256];
	auto_buf struct buf line = BUF_ON(space);

	buf_printf(&line, "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":", kind, t->pid, t->pid);
	json_escape(&line, name, strlen(name));
	buf_puts(&line, "}},\n");
	put(t, &line);
}

/* Who finds the file empty opens the array; of two who come at once, one does. */
static int open_array(int fd, const char *file, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "look at the trace %s", file);
	if (!S_ISREG(st.st_mode))
		return error_rule(err, EINVAL, "the trace %s is not a regular file", file);
	if (st.st_size > 0)
		return 0;
	if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "lock the trace %s", file);
	if (st.st_size == 0 && write(fd, "[\n", 2) < 0)
		return error_set(err, errno, "write the trace %s", file);
	flock(fd, LOCK_UN);
	return 0;
}

int trace_open(struct trace *t, const char *file, struct error *err)
{
	auto_close int fd = openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);

	if (fd < 0)
		return error_set(err, errno, "open the trace %s", file);

	int r = open_array(fd, file, err);

	if (r < 0)
		return r;
	*t = (struct trace){ .fd = TAKE_FD(fd), .pid = getpid() };
	t->since = trace_now(t);
	return 0;
}

/* In a new pid namespace getpid() is 1; the link in a procfs of the host's is made for the host. */
static int host_pid(void)
{
	char text[16];
	uint32_t pid;
	ssize_t n = readlinkat(AT_FDCWD, "/proc/self", text, sizeof(text) - 1);

	if (n <= 0)
		return getpid();
	text[n] = '\0';
	return parse_u32(text, &pid) == 0 ? (int)pid : getpid();
}

void trace_process(struct trace *t, const char *name)
{
	if (!t)
		return;
	t->pid = host_pid();
	t->since = trace_now(t);
	put_name(t, "process_name", name);
	put_name(t, "thread_name", "main");
}

uint64_t trace_now(const struct trace *t)
{
	struct timespec now;

	if (!t)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void trace_step_at(struct trace *t, const char *name, uint64_t monotonic_ns)
{
	if (!t)
		return;
	put_event(t, name, t->since, monotonic_ns);
	t->since = monotonic_ns;
}

void trace_step(struct trace *t, const char *name)
{
	if (t)
		trace_step_at(t, name, trace_now(t));
}

void trace_span(const struct trace *t, const char *name, uint64_t began)
{
	if (t)
		put_event(t, name, began, trace_now(t));
}
