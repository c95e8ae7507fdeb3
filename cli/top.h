/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * top - the parts of `bulkhead top`: order and screen (top_screen.c, pure) and the terminal (top_terminal.c)
 */

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "cli/sample.h"
#include "spec/base/buf.h"

enum top_sort { TOP_BY_CPU, TOP_BY_THROTTLED, TOP_BY_PRESSURE, TOP_BY_MEMORY, TOP_BY_NAME };

struct top_view {
	enum top_sort sort;
	unsigned columns, lines; /* of the terminal; lines 0: as many as there are */
	unsigned scroll; /* rows above the first that is shown */
	bool is_terminal; /* with control sequences, a line of keys, and nothing wider than columns */
	bool is_utf8, has_colour, is_paused;
	const char *title; /* what is watched, and how often */
	const char *time;
};

/* Orders groups among their siblings and members among theirs; the tree stays a tree. */
void top_sort_rows(struct cli_sample *sample, enum top_sort by, struct arena *a);
/* One whole screen. */
void top_draw(struct buf *out, const struct cli_sample *sample, const struct top_view *view, struct arena *a);
/* The highest sensible value of scroll. */
unsigned top_scroll_max(const struct cli_sample *sample, const struct top_view *view);
/* Does the locale of these variables (LC_ALL, LC_CTYPE, LANG) say UTF-8? The first that is set and not empty decides. */
bool top_is_utf8(const char *lc_all, const char *lc_ctype, const char *lang);

/* What somebody or something wants of us. */
enum top_event {
	TOP_TICK, /* time is up */
	TOP_KEY,
	TOP_RESIZE, /* draw again: another size, or the terminal is ours again */
	TOP_QUIT, /* Ctrl-C, or nobody is there any more */
	TOP_SIGNAL, /* end as this signal says */
};

/*
 * The terminal, in raw mode and on its second screen between enter and leave. Signals are taken as events, so
 * nothing interrupts a frame and every way out goes through top_terminal_leave(): also the stop by Ctrl-Z, after
 * which top_wait() enters again.
 */
struct top_terminal {
	bool has_keys; /* standard input is a terminal */
	bool is_entered;
	bool has_modes;
	struct termios modes; /* as they were */
	int signal_fd;
};
#define TOP_TERMINAL_INIT { .signal_fd = -1 }

/* is_screen: take over the terminal; else only the signals are taken. */
int top_terminal_enter(struct top_terminal *t, bool is_screen, struct error *err);
void top_terminal_leave(struct top_terminal *t);
void top_terminal_size(unsigned *ret_columns, unsigned *ret_lines);
/* Waits until there is an event. *ret_key: the letter, or 'A' and 'B' with the sign bit for the arrows; *ret_signal. */
enum top_event top_wait(struct top_terminal *t, int timeout_ms, int *ret_key, int *ret_signal);
enum { TOP_KEY_UP = 256, TOP_KEY_DOWN };
