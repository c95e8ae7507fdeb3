/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_top - sample, order, draw, wait; and end with the terminal as it was */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cpugroup.h"
#include "cli/sample.h"
#include "cli/top.h"
#include "spec/base/auto.h"
#include "spec/base/rfc3339.h"

/* Rates need two samples: the first screen waits no longer than this for the second. */
enum { FIRST_MS = 300, DEFAULT_MS = 2000, LEAST_MS = 50 };

enum form { FORM_SCREEN, FORM_JSON, FORM_PROM };

struct top {
	struct cli *cli;
	struct cpg *cpg;
	const char *name; /* NULL: everything */
	enum form form;
	int interval_ms;
	uint32_t count; /* screens to print; 0: no end */
	struct top_view view;
	struct top_terminal terminal;
	struct arena *arena[2]; /* of the sample on the screen and of the one before */
	struct cli_sample sample;
	unsigned turn;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static int take_sample(struct top *top, struct error *err)
{
	struct arena *a = top->arena[++top->turn % 2];
	struct cli_sample before = top->sample;
	struct cli_sample now;

	arena_release(a);

	int r = cli_sample_groups(top->cpg, top->name, true, a, &now, err);

	if (r == 0)
		r = cli_sample_containers(&top->cli->ctx, top->cpg, !top->name, a, &now, err);
	if (r < 0)
		return r;
	cli_sample_rates(&before, &now);
	top->sample = now;
	return 0;
}

static void add_json(struct buf *out, const struct cli_sample *sample, const char *when)
{
	buf_printf(out, "{\"time\":\"%s\",\"rows\":[", when);
	for (size_t i = 0; i < sample->n; i++) {
		if (!*sample->v[i].s.path)
			continue; /* "(no group)" is for the eye */
		if (out->data[out->len - 1] == '}')
			buf_putc(out, ',');
		cli_row_json(out, &sample->v[i]);
	}
	buf_puts(out, "]}\n");
}

static int print(struct top *top, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	struct arena *a = top->arena[top->turn % 2];
	struct timespec t;
	char when[RFC3339_BYTES];

	clock_gettime(CLOCK_REALTIME, &t);
	rfc3339_seconds(&t, when);
	if (top->form == FORM_JSON) {
		add_json(&out, &top->sample, when);
	} else if (top->form == FORM_PROM) {
		cli_sample_prom(&out, &top->sample);
	} else {
		top->view.time = arena_printf(a, "%.8sZ", when + strlen("2026-01-02T"));
		if (top->view.is_terminal)
			top_terminal_size(&top->view.columns, &top->view.lines);
		top_sort_rows(&top->sample, top->view.sort, a);
		if (top->view.scroll > top_scroll_max(&top->sample, &top->view))
			top->view.scroll = top_scroll_max(&top->sample, &top->view);
		top_draw(&out, &top->sample, &top->view, a);
	}
	/* One write for the whole screen: no half of it is ever seen. */
	return cli_print(&out, err);
}

/* Returns whether the screen is another one now; *ret_quit. */
static bool on_key(struct top *top, int key, bool *ret_quit)
{
	static const struct {
		char key;
		enum top_sort sort;
	} sorts[] = { { 'c', TOP_BY_CPU },
		      { 't', TOP_BY_THROTTLED },
		      { 'p', TOP_BY_PRESSURE },
		      { 'm', TOP_BY_MEMORY },
		      { 'n', TOP_BY_NAME } };

	for (size_t i = 0; i < ARRAY_SIZE(sorts); i++)
		if (key == sorts[i].key) {
			top->view.sort = sorts[i].sort;
			return true;
		}
	switch (key) {
	case 'q':
	case 'Q':
	case 3: /* Ctrl-C and Ctrl-D where the terminal makes no signals of them */
	case 4:
		*ret_quit = true;
		return false;
	case ' ':
		top->view.is_paused = !top->view.is_paused;
		return true;
	case TOP_KEY_UP:
	case 'k':
		top->view.scroll -= top->view.scroll > 0;
		return true;
	case TOP_KEY_DOWN:
	case 'j':
		top->view.scroll++;
		return true;
	default:
		return false;
	}
}

/* Until the next sample is due: *ret_over when there shall be none. A signal's number, 0, or -E…. */
static int wait_for_turn(struct top *top, int wait_ms, bool *ret_over, struct error *err)
{
	int64_t due = now_ms() + wait_ms;

	for (;;) {
		int64_t left = due - now_ms();
		int key = 0, signo = 0;
		bool redraw = false;

		if (left <= 0 && !top->view.is_paused)
			return 0;
		switch (top_wait(&top->terminal, top->view.is_paused ? -1 : (int)left, &key,
				 &signo)) {
		case TOP_TICK:
			break;
		case TOP_KEY:
			redraw = on_key(top, key, ret_over);
			break;
		case TOP_RESIZE:
			redraw = true;
			break;
		case TOP_QUIT:
			*ret_over = true;
			break;
		case TOP_SIGNAL:
			return signo;
		}
		if (*ret_over)
			return 0;
		if (redraw && top->turn > 1) {
			int r = print(top, err);

			if (r < 0)
				return r;
		}
	}
}

/* Screens until somebody has enough. A signal's number, 0, or -E…. */
static int loop(struct top *top, struct error *err)
{
	int wait_ms = top->interval_ms < FIRST_MS ? top->interval_ms : FIRST_MS;
	bool is_over = false;
	int r = take_sample(top, err);

	for (uint32_t printed = 0; r == 0; wait_ms = top->interval_ms) {
		r = wait_for_turn(top, wait_ms, &is_over, err);
		if (r != 0 || is_over)
			break;
		r = take_sample(top, err);
		if (r == 0 && printed && !top->view.is_terminal && top->form == FORM_SCREEN)
			r = cli_print(&(struct buf){ .data = (char[]){ "\n" }, .len = 1 }, err);
		if (r == 0)
			r = print(top, err);
		if (++printed == top->count)
			break;
	}
	return r;
}

static enum top_sort sort_of(const char *word)
{
	static const char *const words[] = { "cpu", "throttled", "pressure", "memory", "name" };

	for (size_t i = 0; word && i < ARRAY_SIZE(words); i++)
		if (!strcmp(word, words[i]))
			return (enum top_sort)i;
	return TOP_BY_CPU;
}

static int read_options(struct top *top, struct error *err)
{
	const struct cli_args *args = &top->cli->args;
	const char *format = cli_text(args, "format");
	int r = cli_timeout(args, "interval", DEFAULT_MS, &top->interval_ms, err);

	if (r < 0)
		return r;
	if (top->interval_ms < LEAST_MS)
		return error_rule(err, EINVAL, "--interval is at least %d ms", LEAST_MS);
	top->form = format && !strcmp(format, "json")	? FORM_JSON
		    : format && !strcmp(format, "prom") ? FORM_PROM
							: FORM_SCREEN;
	top->count = cli_number(args, "count");
	if (cli_flag(args, "once") || (top->form == FORM_PROM && !top->count))
		top->count = 1; /* what reads Prometheus' format asks again by itself */
	top->view.sort = sort_of(cli_text(args, "sort"));
	return 0;
}

/* A screen is drawn over the last one where that is possible; --once and -n 1 are for the scrollback. */
static void choose_view(struct top *top)
{
	const char *term = getenv("TERM");
	const char *no_colour = getenv("NO_COLOR");
	struct top_view *view = &top->view;

	view->is_terminal = top->form == FORM_SCREEN && top->count != 1 && isatty(STDOUT_FILENO) &&
			    term && *term && strcmp(term, "dumb") != 0;
	view->is_utf8 = top_is_utf8(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG"));
	view->has_colour = view->is_terminal && !(no_colour && *no_colour);
	view->columns = UINT16_MAX;
	if (isatty(STDOUT_FILENO))
		top_terminal_size(&view->columns, &view->lines);
	if (!view->is_terminal)
		view->lines = 0;
	view->title = arena_printf(top->cli->arena, "%s every %g s",
				   top->name ? top->name : "everything", top->interval_ms / 1000.0);
}

int cmd_top(struct cli *cli, struct error *err)
{
	auto_groups struct cli_groups groups = CLI_GROUPS_INIT;
	struct top top = { .cli = cli,
			   .name = cli->args.operands[0],
			   .terminal = TOP_TERMINAL_INIT };
	int r = top.name ? cpg_name_check(top.name, err) : 0;

	if (r == 0)
		r = read_options(&top, err);
	if (r == 0)
		r = cli_groups_open(cli, &groups, err);
	if (r < 0)
		return r;
	top.cpg = &groups.cpg;
	for (size_t i = 0; i < ARRAY_SIZE(top.arena); i++)
		top.arena[i] = ARENA_NEW(cli->arena, struct arena);
	choose_view(&top);
	r = top_terminal_enter(&top.terminal, top.view.is_terminal, err);
	if (r == 0)
		r = loop(&top, err);
	top_terminal_leave(&top.terminal);
	if (r <= 0)
		return r == -EPIPE || (r == -EIO && top.view.is_terminal) ? 0 : r;

	/* Asked to end by a signal: end by that signal, so that whoever waits for us learns it. */
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, r);
	signal(r, SIG_DFL);
	raise(r);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + r;
}
