/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>

#include "cli/cpugroup.h"
#include "spec/base/auto.h"
#include "spec/base/rfc3339.h"

struct watcher {
	struct buf line;
	struct error err; /* of the write that ended it */
	bool is_text, gone;
};

static const char *event_name(enum cpg_event_kind kind)
{
	switch (kind) {
	case CPG_EV_PARTITION:
		return "partition";
	case CPG_EV_CPUS:
		return "cpus";
	case CPG_EV_POPULATED:
		return "populated";
	case CPG_EV_FROZEN:
		return "frozen";
	case CPG_EV_OOM:
		return "oom";
	case CPG_EV_PRESSURE:
		return "pressure";
	case CPG_EV_GONE:
		return "gone";
	}
	return "?";
}

static int emit(const struct cpg_event *ev, void *data)
{
	struct watcher *to = data;
	struct timespec t = { .tv_sec = ev->time_ns / 1000000000,
			      .tv_nsec = ev->time_ns % 1000000000 };
	struct json_w w = { .out = &to->line };
	char when[RFC3339_BYTES];

	buf_reset(&to->line);
	rfc3339_nanos(&t, when);
	if (to->is_text) {
		buf_printf(&to->line, "%s  %-9s  %s", when, event_name(ev->kind), ev->group);
		if (ev->before || ev->after)
			buf_printf(&to->line, "  %s -> %s",
				   ev->before && *ev->before ? ev->before : "-",
				   ev->after && *ev->after ? ev->after : "-");
	} else {
		json_w_open(&w, NULL, '{');
		json_w_str(&w, "time", when);
		json_w_str(&w, "event", event_name(ev->kind));
		json_w_str(&w, "group", ev->group);
		if (ev->before)
			json_w_str(&w, "before", ev->before);
		if (ev->after)
			json_w_str(&w, "after", ev->after);
		json_w_close(&w, '}');
	}
	buf_putc(&to->line, '\n');

	int r = cli_print(&to->line, &to->err);

	to->gone = r == -EPIPE;
	return r;
}

/* Becomes readable after that time. */
static int timer(int ms, struct error *err)
{
	/* A timer of nothing would never ring. */
	const struct itimerspec at = { .it_value = { .tv_sec = ms / 1000,
						     .tv_nsec = ms % 1000 * 1000000L + !ms } };
	auto_close int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &at, NULL) < 0)
		return error_set(err, errno, "set a timer of %d ms", ms);
	return TAKE_FD(fd);
}

int cmd_cpugroup_watch(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	auto_close int stop_fd = -1;
	const char *name = cli->args.operands[0]; /* NULL: all */
	const char *psi = cli_text(&cli->args, "psi");
	const char *format = cli_text(&cli->args, "format");
	struct watcher to = { .line = BUF_INIT, .err = ERROR_INIT };
	char trigger[64];
	int timeout_ms;
	int r = name ? cpg_name_check(name, err) : 0;

	to.is_text = format && !strcmp(format, "text");
	if (r == 0 && psi)
		r = cpg_psi_trigger_parse(psi, trigger, sizeof(trigger), err);
	if (r == 0)
		r = cli_timeout(&cli->args, "timeout", -1, &timeout_ms, err);
	if (r == 0)
		r = cli_groups_open(cli, &groups, err);
	if (r == 0 && timeout_ms >= 0) {
		stop_fd = timer(timeout_ms, err);
		r = stop_fd < 0 ? stop_fd : 0;
	}
	if (r < 0)
		return r;

	signal(SIGPIPE, SIG_IGN); /* `watch | head -1` is a normal way to end */
	r = cpg_watch(&groups.cpg, name, psi ? trigger : NULL, stop_fd, emit, &to, err);
	buf_release(&to.line);
	if (to.gone)
		return 0;
	if (r < 0 && to.err.code)
		*err = to.err;
	return r < 0 ? r : 0;
}
