/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - the core (core.h) and a machine of KVM's: made, run, and explained when it died
 */
#include "vm/session/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/fs/fs.h"
#include "vm/session/core.h"

enum { STATUS_NOT_MADE = 1, STATUS_DIED = 128 + 9, SHOWN_LINES = 4 };

/* What the loop of a machine has not: clients come, and the clock is set. */
static const int loop_calls[] = { SYS_accept4, SYS_timerfd_settime };

/* ---- the machine for the core ---- */

struct machine {
	struct vm *vm;
	const struct vm_config *config;
};

static struct virtio_console *console(void *arg)
{
	return vm_console(((struct machine *)arg)->vm);
}

static int attach(void *arg, unsigned port, const struct virtio_port *config, struct error *err)
{
	return virtio_console_attach(console(arg), port, config, err);
}

static void detach(void *arg, unsigned port)
{
	virtio_console_detach(console(arg), port);
}

static bool is_blocked(void *arg, unsigned port)
{
	return virtio_console_is_blocked(console(arg), port);
}

static void stop(void *arg)
{
	vm_stop(((struct machine *)arg)->vm);
}

static void resumed(void *arg)
{
	vm_resumed(((struct machine *)arg)->vm);
}

static void ending(void *arg)
{
	struct machine *m = arg;

	for (unsigned i = 0; i < m->config->n_shares; i++)
		vm_fs_ending(m->config->shares[i].fs);
}

static void signalled(void *arg, int number)
{
	struct core *core = arg;

	core_on_signal(core, number);
	clients_reap(core);
}

/* ---- making ---- */

/* Lines, echo and signals are the guest's terminal's business: ours passes bytes. */
static int make_raw(int fd, struct error *err)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return error_set(err, errno, "read the settings of the terminal");
	cfmakeraw(&t);
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return error_set(err, errno, "make the terminal raw");
	return 0;
}

static int make_channel(struct vm *vm, int *ret, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return error_set(err, errno, "make a socket pair for the guest's agent");

	struct virtio_port port = { .in_fd = pair[1], .out_fd = pair[1] };
	int r = virtio_console_attach(vm_console(vm), CORE_CHANNEL_PORT, &port, err);

	if (r < 0) {
		close(pair[0]);
		close(pair[1]);
		return r;
	}
	*ret = pair[0];
	return 0;
}

static int make(const struct vm_session_config *config, struct core *core, struct machine *m,
		struct error *err)
{
	struct vm_config machine = *config->machine;
	int channel = -1;

	machine.loop_calls = loop_calls;
	machine.n_loop_calls = ARRAY_SIZE(loop_calls);
	machine.signalled = signalled;
	machine.signalled_arg = core;

	int r = config->terminal ? make_raw(config->stdio[0], err) : 0;

	if (r == 0)
		r = vm_new(&machine, &m->vm, err);
	if (r == 0)
		r = make_channel(m->vm, &channel, err);
	if (r < 0)
		return r;

	struct core_host host = {
		.attach = attach,
		.detach = detach,
		.is_blocked = is_blocked,
		.stop = stop,
		.resumed = resumed,
		.ending = ending,
		.arg = m,
	};

	return core_begin(core, vm_loop(m->vm), &host, channel, err);
}

/* ---- the end ---- */

/* The first line, if it is a panic's; else the last few, in one. */
static void quote(const struct vm_report *report, char *ret, size_t size)
{
	const char *from = report->last_words, *end = from + strlen(from);
	unsigned lines = 0;
	size_t n = 0;

	if (report->end == VM_END_PANIC) {
		end = strchrnul(from, '\n');
	} else {
		while (end > from && (end[-1] == '\n' || end[-1] == ' '))
			end--;
		for (const char *p = end; p > from && lines < SHOWN_LINES; p--)
			if (p[-1] == '\n' && ++lines == SHOWN_LINES)
				from = p;
		if ((size_t)(end - from) >= size)
			from = end - size + 1;
	}
	for (; from < end && n + 1 < size; from++)
		ret[n++] = *from == '\n' ? '|' : *from;
	ret[n] = '\0';
	clean_text(ret);
}

/* Adds what the guest said last to the reason why it is no more. */
static void explain(const struct error *why, const struct vm_report *report, struct error *ret)
{
	char line[700], words[700];

	error_line(why, line, sizeof(line));
	quote(report, words, sizeof(words));
	if (words[0])
		error_rule(ret, why->code, "%s; its console ends in \"%s\"", line, words);
	else
		error_rule(ret, why->code, "%s; its console is empty", line);
}

/* r: of vm_run(), with err. Returns 0 when it went as it should, with core->status. */
static int judge(struct core *core, int r, struct vm_session_end *ret, struct error *err)
{
	struct error why = ERROR_INIT;

	channel_read_rest(core);
	ret->status = core->status;
	if (core->is_refused) {
		*err = core->failure;
		return -err->code;
	}
	if (core->state == CORE_ENDED || (core->state == CORE_DRAINING && !core->has_failed))
		return 0;
	if (core->has_failed)
		why = core->failure;
	else if (r < 0)
		why = *err;
	else
		error_rule(&why, EIO, "%s", vm_end_text(ret->report.end));
	ret->status = STATUS_DIED;
	ret->guest_died = true;
	explain(&why, &ret->report, err);
	return -err->code;
}

int vm_session_run(const struct vm_session_config *config, struct vm_session_end *ret,
		   struct error *err)
{
	auto_free struct core *core = calloc(1, sizeof(*core));
	struct error why = ERROR_INIT;
	struct machine m = { .config = config->machine };
	int r;

	*ret = (struct vm_session_end){ .status = STATUS_NOT_MADE };
	if (!core)
		return error_set(err, ENOMEM, "allocate a session");
	core_clear(core, config);
	r = make(config, core, &m, &why);
	if (r == 0) {
		r = vm_run(m.vm, &ret->report, &why);
		r = judge(core, r, ret, &why);
	}
	core_finish(core, r < 0 ? &why : NULL);
	core_free(core);
	vm_free(m.vm);
	if (r < 0 && err)
		*err = why;
	return r;
}
