/* SPDX-License-Identifier: Apache-2.0 */

/*
 * top_terminal - raw mode, the second screen, signals and keys
 *
 * No curses: the sequences below are those of ECMA-48 and of xterm that every
 * terminal of today knows; TERM=dumb never comes here. See console_codes(4).
 */

#include "cli/top.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

/* Second screen, no cursor, no wrapping at the right edge. */
static const char enter_sequence[] = "\033[?1049h\033[?25l\033[?7l";
static const char leave_sequence[] = "\033[0m\033[?7h\033[?25h\033[?1049l";

static void say(const char *sequence)
{
	file_write_all(STDOUT_FILENO, "the terminal", sequence, strlen(sequence), NULL);
}

static void take_over(struct top_terminal *t)
{
	struct termios raw = t->modes;

	if (t->has_modes) {
		/* Ctrl-C and Ctrl-Z stay signals: ISIG is left alone. */
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	say(enter_sequence);
	t->is_entered = true;
}

static void give_back(struct top_terminal *t)
{
	if (!t->is_entered)
		return;
	say(leave_sequence);
	if (t->has_modes)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->modes);
	t->is_entered = false;
}

int top_terminal_enter(struct top_terminal *t, bool is_screen, struct error *err)
{
	static const int taken[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT };
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	if (!is_screen)
		return 0; /* their default actions do no harm */
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signal_fd < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_set(err, errno, "take signals as events");
	t->has_keys = isatty(STDIN_FILENO);
	t->has_modes = t->has_keys && tcgetattr(STDIN_FILENO, &t->modes) == 0;
	take_over(t);
	return 0;
}

void top_terminal_leave(struct top_terminal *t)
{
	give_back(t);
	if (t->signal_fd >= 0)
		close(t->signal_fd);
	t->signal_fd = -1;
}

void top_terminal_size(unsigned *ret_columns, unsigned *ret_lines)
{
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row) {
		*ret_columns = 80;
		*ret_lines = 24;
		return;
	}
	*ret_columns = size.ws_col;
	*ret_lines = size.ws_row;
}

/* Stops as the shell asked, with the terminal as it was; comes back when the shell says so. */
static void stop_here(struct top_terminal *t)
{
	give_back(t);
	raise(SIGSTOP);
	take_over(t);
}

static enum top_event on_signal(struct top_terminal *t, int *ret_signal)
{
	struct signalfd_siginfo info;
	enum top_event event = TOP_TICK;

	while (read(t->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGINT:
			return TOP_QUIT;
		case SIGTSTP:
			stop_here(t);
			event = TOP_RESIZE;
			break;
		case SIGCONT: /* after a SIGSTOP from outside the shell may have changed the terminal */
			take_over(t);
			event = TOP_RESIZE;
			break;
		case SIGWINCH:
			event = TOP_RESIZE;
			break;
		default:
			*ret_signal = (int)info.ssi_signo;
			return TOP_SIGNAL;
		}
	}
	return event;
}

/* One read is one key or the whole sequence of an arrow; what is not understood is no key. */
static enum top_event on_key(int *ret_key)
{
	char text[16];
	ssize_t n = read(STDIN_FILENO, text, sizeof(text));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return TOP_QUIT; /* hung up */
	if (n < 0)
		return TOP_TICK;
	if (n >= 3 && text[0] == '\033' && (text[1] == '[' || text[1] == 'O')) {
		*ret_key = text[2] == 'A' ? TOP_KEY_UP : text[2] == 'B' ? TOP_KEY_DOWN : 0;
		return TOP_KEY;
	}
	*ret_key = (unsigned char)text[0];
	return TOP_KEY;
}

enum top_event top_wait(struct top_terminal *t, int timeout_ms, int *ret_key, int *ret_signal)
{
	struct pollfd fds[] = {
		{ .fd = t->signal_fd, .events = POLLIN },
		{ .fd = t->has_keys ? STDIN_FILENO : -1, .events = POLLIN },
	};
	int n = poll(fds, ARRAY_SIZE(fds), timeout_ms);

	if (n <= 0)
		return TOP_TICK;
	if (fds[0].revents)
		return on_signal(t, ret_signal);
	return on_key(ret_key);
}
