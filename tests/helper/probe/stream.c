/* SPDX-License-Identifier: Apache-2.0 */
/* The standard streams and the terminal behind them. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* probe bytes N: N bytes of output, for pipes that must not lose any. */
static int cmd_bytes(char **argv)
{
	for (long n = number(argv, 0, 1); n > 0; n--)
		putchar('a' + (int)(n % 26));
	return 0;
}

static int cmd_cat(char **argv)
{
	(void)argv;
	char buf[65536];
	for (ssize_t n; (n = read(0, buf, sizeof(buf))) > 0;) {
		for (ssize_t done = 0, w; done < n; done += w) {
			if ((w = write(1, buf + done, (size_t)(n - done))) < 0)
				return 1;
		}
	}
	return 0;
}

static int cmd_tty(char **argv)
{
	(void)argv;
	for (int fd = 0; fd < 3; fd++) {
		char name[PATH_MAX];
		printf("fd%d %s\n", fd, ttyname_r(fd, name, sizeof(name)) == 0 ? name :
					isatty(fd)			       ? "unnamed" :
										 "none");
	}
	struct winsize ws;
	if (ioctl(0, TIOCGWINSZ, &ws) == 0)
		printf("size %u %u\n", ws.ws_row, ws.ws_col);
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	printf("controlling %s\n", fd >= 0 ? "yes" : errno_name(errno));
	printf("foreground %s\n", isatty(0) && tcgetpgrp(0) == getpgrp() ? "yes" : "no");
	struct stat st;
	if (fstat(0, &st) == 0)
		printf("owner %u %u\nmode %04o\n", st.st_uid, st.st_gid, st.st_mode & 07777);
	struct termios t;
	if (tcgetattr(0, &t) == 0)
		printf("onlcr %s\n", t.c_oflag & ONLCR ? "yes" : "no");
	return 0;
}

/* Prints "rows cols" now and after each SIGWINCH. */
static int cmd_winsize_watch(char **argv)
{
	long times = number(argv, 0, 1);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (long i = 0; i <= times; i++) {
		struct winsize ws = { 0 };
		int s;
		if (i > 0)
			sigwait(&set, &s);
		ioctl(0, TIOCGWINSZ, &ws);
		printf("size %u %u\n", ws.ws_row, ws.ws_col);
		fflush(stdout);
	}
	return 0;
}

/* TIOCSTI: typing into the terminal one was given. */
static int cmd_tiocsti(char **argv)
{
	(void)argv;
	char c = 'x';
	return verdict(ioctl(0, 0x5412, &c) == 0);
}

const struct fact facts_of_stream[] = {
	{ "bytes", cmd_bytes },
	{ "cat", cmd_cat },
	{ "tty", cmd_tty },
	{ "winsize-watch", cmd_winsize_watch },
	{ "tiocsti", cmd_tiocsti },
	{ NULL, NULL },
};
