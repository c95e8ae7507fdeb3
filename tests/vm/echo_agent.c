/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo_agent - the first process of a guest that speaks vm/wire as the agent does and runs nothing (do=…)
 *
 *	echo     writes what comes on the input to the output until its end, then exits with 42; so does what is executed
 *	silent   never says hello
 *	liar     says that something has exited before anything was made
 *	flood    says for ever that memory ran out
 *	panic    ends when it is started
 *	off      switches the machine off when it is started
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/vm/inside.h"
#include "vm/wire/wire.h"

static int channel = -1;
static char command_line[2048];

static bool does(const char *what)
{
	char word[64];

	snprintf(word, sizeof(word), "do=%s", what);
	return strstr(command_line, word) != NULL;
}

static void put(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, bytes, n);

		if (done < 0 && errno != EINTR)
			return;
		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		}
	}
}

static void say(enum wire_type type, uint32_t id, const struct buf *items)
{
	auto_buf struct buf b = BUF_INIT;
	size_t at = wire_begin(&b, type, id);

	if (items)
		buf_add(&b, items->data, items->len);
	wire_end(&b, at);
	put(channel, b.data, b.len);
}

static void say_exited(uint32_t process, uint32_t status)
{
	auto_buf struct buf b = BUF_INIT;

	wire_add_u32(&b, WIRE_T_PROCESS, process);
	wire_add_u32(&b, WIRE_T_STATUS, status);
	say(WIRE_EXITED, 0, &b);
}

static void say_oom(void)
{
	auto_buf struct buf b = BUF_INIT;
	struct wire_oom oom = { .kills = 1 };

	wire_add(&b, WIRE_T_OOM, &oom, sizeof(oom));
	say(WIRE_OOM, 0, &b);
}

/* In a process of its own, which the agent waits for. */
static void echo(const uint32_t stdio[4], bool is_first)
{
	int in = stdio[0] ? open_port(stdio[0]) : -1;
	int out = stdio[3] ? in : stdio[1] ? open_port(stdio[1]) : -1;
	int errors = stdio[2] ? open_port(stdio[2]) : -1;
	char bytes[4096];
	ssize_t n;

	if (is_first)
		put(out, "the guest is here\n", 18);
	while (in >= 0 && (n = read(in, bytes, sizeof(bytes))) > 0)
		put(out, bytes, (size_t)n);
	put(errors, "the end\n", 8);
	_exit(42);
}

static void start(uint32_t process, const uint32_t stdio[4])
{
	/* One that waits and tells: a frame is one write, so those of several do not mix. */
	if (fork() == 0) {
		int status;
		pid_t pid = fork();

		if (pid == 0)
			echo(stdio, process == 0);
		waitpid(pid, &status, 0);
		say_exited(process, WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 128u);
		_exit(0);
	}
}

static void on_request(const struct wire_header *h, const void *payload)
{
	static uint32_t first[4];
	auto_buf struct buf b = BUF_INIT;
	struct wire_item item;
	uint32_t process = 0, stdio[4] = { 0 };

	if (wire_find(payload, h->size, WIRE_T_STDIO, &item) && item.n == sizeof(stdio))
		memcpy(stdio, item.bytes, sizeof(stdio));
	if (h->type == WIRE_CREATE)
		memcpy(first, stdio, sizeof(first));
	if (h->type == WIRE_EXEC && wire_get_u32(payload, h->size, WIRE_T_PROCESS, &process) == 0)
		wire_add_u32(&b, WIRE_T_PROCESS, process);
	if (h->id == 0)
		return; /* an event: the end of an input, which the port says, too */
	say(WIRE_REPLY, h->id, &b);
	if (h->type == WIRE_START && does("panic"))
		exit(1);
	if (h->type == WIRE_START && does("off"))
		reboot(RB_POWER_OFF);
	if (h->type == WIRE_START)
		start(0, first);
	if (h->type == WIRE_EXEC)
		start(process, stdio);
	if (h->type == WIRE_SIGNAL)
		say_exited(0, 128 + 15);
}

static void serve(void)
{
	struct wire_inbox in = WIRE_INBOX_INIT(WIRE_MAX_REQUEST);
	struct wire_header h;
	const void *payload;
	char bytes[4096];
	ssize_t n;

	while ((n = read(channel, bytes, sizeof(bytes))) > 0) {
		wire_inbox_add(&in, bytes, (size_t)n);
		while (wire_inbox_next(&in, &h, &payload) == 1)
			on_request(&h, payload);
	}
}

int main(void)
{
	auto_buf struct buf b = BUF_INIT;
	int fd;

	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, "");
	mkdir("/sys", 0755);
	mount("sysfs", "/sys", "sysfs", 0, "");
	mount("dev", "/dev", "devtmpfs", 0, "");
	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, command_line, sizeof(command_line) - 1) < 0)
		return 1;
	load_modules("");
	channel = open_port(1);
	if (does("silent"))
		sleep(1000);
	if (does("liar"))
		say_exited(0, 0);
	wire_add_u32(&b, WIRE_T_VERSION, WIRE_VERSION);
	wire_add_text(&b, WIRE_T_KERNEL, "a kernel");
	say(WIRE_HELLO, 0, &b);
	while (does("flood"))
		say_oom();
	serve();
	return 1;
}
