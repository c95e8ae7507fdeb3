/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "namespaces/namespaces.h"
#include "runtime/keep_fds.h"
#include "runtime/launch/stub/stub.h"
#include "runtime/vm_ask.h"
#include "runtime/vm_process.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"
#include "vm/vm.h"

#define EXEC_TIMEOUT_MS 60000
#define NOBODY 65534

struct proxy {
	const struct wall_proxy *p;
	struct launch *l;
	struct vm_client client;
	int signal_fd, terminal; /* the terminal's peer; -1: none */
	uint32_t process;        /* as the machine numbers it */
};

/* Blocked all, so that the kernel keeps them for us and none ends this process but SIGKILL. */
static int take_signals(struct proxy *x, struct error *err)
{
	proc_block_signals(0);
	x->signal_fd = proc_signal_fd();
	return x->signal_fd < 0 ? error_set(err, -x->signal_fd, "make a signal descriptor") : 0;
}

/*
 * Nobody's process, with nothing open but what it passes on, and no system call but those for that (vm/jail.h). It cannot be
 * traced by another nobody.
 */
static int drop_rights(struct error *err)
{
	static const char name[] = "/bulkhead-exec";
	static char *args[] = { (char *)name, NULL };
	static struct arena a = ARENA_INIT;
	struct spec_capabilities none = { .unknown = { .v = args + 1 } };
	struct spec_process process = {
		.cwd = "/",
		.args = { .v = args, .n = 1 },
		.env = { .v = args + 1 },
		.user = { .uid = NOBODY, .gid = NOBODY },
		.capabilities = &none,
		.no_new_privileges = true,
	};
	struct proc_options opt = { .is_exec = false };
	struct proc_plan plan;
	int r = proc_plan_make(&process, &opt, &a, &plan, err);

	if (r == 0)
		r = proc_apply(&plan, -1, NULL, err);
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = error_set(err, errno, "make the process undumpable");
	wall_become("bulkhead-exec");
	return r;
}

static int close_others(const struct proxy *x, struct error *err)
{
	const struct trace *t = x->p->ctx->trace;
	int keep[] = { x->p->socket_fd, x->signal_fd, x->terminal, x->l->sync[1], x->l->stub_go, x->l->stub_status,
		       t ? t->fd : -1 };

	return keep_fds(keep, ARRAY_SIZE(keep), err);
}

static int replace_stdio(const struct proxy *x, struct error *err)
{
	for (int i = 0; i < 3; i++) {
		int from = x->terminal >= 0 ? x->terminal : x->p->stdio[i];

		if (from >= 0 && dup2(from, i) < 0)
			return error_set(err, errno, "set up descriptor %d of the program", i);
	}
	return 0;
}

static int prepare(struct proxy *x, struct error *err)
{
	if (setsid() < 0)
		return error_set(err, errno, "make a session of its own");

	int r = take_signals(x, err);

	if (r == 0 && x->p->process->terminal) {
		r = wall_open_terminal(x->l, x->p->process, &x->terminal, err);
		if (r < 0)
			return error_wrap(err, r, "cannot set up the terminal");
	}
	if (r == 0)
		r = replace_stdio(x, err);
	if (r == 0)
		r = close_others(x, err);
	if (r == 0)
		r = drop_rights(err);
	if (r == 0)
		r = vm_client_begin(&x->client, x->p->socket_fd, WALL_ASK_MS, err);
	if (r == 0)
		r = vm_jail_proxy(err);
	return r;
}

/* Until the command lets us go on. False: it has gone. */
static bool is_released(const struct proxy *x)
{
	char go;
	ssize_t n;

	do {
		n = read(x->l->stub_go, &go, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 && (go == STUB_GO || go == STUB_GO_RESET);
}

/* A shell's arguments are bytes; those of a JSON document would not all be what they were. */
static void add_bytes(const struct spec_process *p, struct buf *out)
{
	for (size_t i = 0; i < p->args.n; i++)
		wire_add_text(out, WIRE_T_ARG, p->args.v[i]);
	for (size_t i = 0; i < p->env.n; i++)
		wire_add_text(out, WIRE_T_VARIABLE, p->env.v[i]);
	wire_add_text(out, WIRE_T_CWD, p->cwd);
}

static void describe(const struct proxy *x, struct buf *out)
{
	static char word[] = "-";
	static char *one[] = { word, NULL };
	struct spec_process rest = *x->p->process;
	auto_buf struct buf json = BUF_INIT;
	struct json_w w = { .out = &json };
	/* Which of the descriptors is which stream; a terminal is one for all. */
	uint32_t streams[4] = { 1, 2, 3, 0 }, terminal[4] = { 1, 0, 0, 1 };
	bool has_terminal = x->terminal >= 0;

	rest.args = (struct spec_strings){ .v = one, .n = 1 };
	rest.env = (struct spec_strings){ .v = one + 1, .n = 0 };
	rest.cwd = "/";
	spec_write_process(&w, NULL, &rest);
	wire_add(out, WIRE_T_PROCESS_JSON, json.data, json.len);
	add_bytes(x->p->process, out);
	wire_add(out, WIRE_T_STDIO, has_terminal ? terminal : streams, sizeof(streams));
	wall_add_filter(x->p->filter, out);
}

static void send_size(struct proxy *x)
{
	auto_buf struct buf items = BUF_INIT;
	struct winsize size;

	if (ioctl(x->terminal, TIOCGWINSZ, &size) < 0)
		return;
	wire_add_u32(&items, WIRE_T_PROCESS, x->process);
	wire_add_u32(&items, WIRE_T_ROWS, size.ws_row);
	wire_add_u32(&items, WIRE_T_COLUMNS, size.ws_col);
	vm_client_post(&x->client, WIRE_RESIZE, &items, WALL_ASK_MS, NULL);
}

static void pass_signal(struct proxy *x, uint32_t number)
{
	auto_buf struct buf items = BUF_INIT;

	if (number == SIGWINCH && x->terminal >= 0) {
		send_size(x);
		return;
	}
	wire_add_u32(&items, WIRE_T_PROCESS, x->process);
	wire_add_u32(&items, WIRE_T_SIGNAL, number);
	vm_client_post(&x->client, WIRE_SIGNAL, &items, WALL_ASK_MS, NULL);
}

static void pass_signals(struct proxy *x)
{
	struct signalfd_siginfo si;

	while (read(x->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		pass_signal(x, si.ssi_signo);
}

/* Asks, and closes the gate behind it or says what went wrong. */
static bool execute(struct proxy *x)
{
	auto_buf struct buf items = BUF_INIT;
	const int fds[3] = { 0, 1, 2 };
	struct error err = ERROR_INIT;
	const void *reply;
	size_t n;

	describe(x, &items);

	int r = vm_client_ask(&x->client, WIRE_EXEC, &items, fds, x->terminal >= 0 ? 1 : 3, EXEC_TIMEOUT_MS, &reply, &n,
			      &err);

	if (r == 0 && wire_get_u32(reply, n, WIRE_T_PROCESS, &x->process) < 0)
		r = error_rule(&err, EPROTO, "the virtual machine does not say which process was executed");
	if (r < 0 && write(x->l->stub_status, &err, sizeof(err)) < 0)
		r = -EPIPE;
	/* The streams are the machine's now: who reads them learns of their end when the process closes them. */
	syscall(SYS_close_range, 0U, 2U, 0U);
	close(x->l->stub_status);
	return r == 0;
}

static int until_it_ends(struct proxy *x)
{
	for (;;) {
		struct pollfd p[] = { { .fd = x->client.fd, .events = POLLIN }, { .fd = x->signal_fd, .events = POLLIN } };
		struct wire_header h;
		const void *payload;
		uint32_t process, status;
		int r;

		while ((r = vm_client_event(&x->client, 0, &h, &payload, NULL)) > 0)
			if (h.type == WIRE_EXITED && wire_get_u32(payload, h.size, WIRE_T_PROCESS, &process) == 0 &&
			    process == x->process && wire_get_u32(payload, h.size, WIRE_T_STATUS, &status) == 0)
				return (int)(status & 0xff);
		if (r < 0) /* the machine is gone, and the process with it */
			return 128 + SIGKILL;
		if (poll(p, 2, -1) > 0 && p[1].revents)
			pass_signals(x);
	}
}

_Noreturn void wall_proxy(struct launch *l, const struct wall_proxy *p)
{
	static struct proxy x = { .client = VM_CLIENT_INIT, .signal_fd = -1, .terminal = -1 };
	struct error err = ERROR_INIT;

	x.p = p;
	x.l = l;
	if (prepare(&x, &err) < 0)
		launch_fail(l, &err);
	close(l->sync[1]);
	if (!is_released(&x) || !execute(&x))
		_exit(255);
	if (x.terminal >= 0)
		send_size(&x);
	_exit(until_it_ends(&x));
}
