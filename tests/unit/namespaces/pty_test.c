/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals of the container's own devpts. */
#include "tests/unit/namespaces/box.h"
#include "tests/unit/namespaces/config.h"

#include <sys/ioctl.h>

#define DEVPTS MOUNT("/dev/pts", "devpts", "devpts", "\"ptmxmode=0666\",\"mode=0620\"")

static struct box box;

static void setup(void)
{
	box_make(&box);
}

static void teardown(void)
{
	box_drop(&box);
}

TestSuite(ns_pty, .init = setup, .fini = teardown);

static int number_of(int master)
{
	int number = -1;

	ioctl(master, TIOCGPTN, &number);
	return number;
}

static void make_console(struct ns_plan *plan)
{
	struct spec_process process = { .has_console_size = true, .console_height = 33, .console_width = 77 };
	struct winsize seen = { 0 };
	struct error err = ERROR_INIT;
	char line[2048];
	int master, peer;

	if (ns_console(plan, &process, &master, &peer, &err) < 0) {
		error_line(&err, line, sizeof(line));
		box_say("%s\n%s\n", line, err.hint);
		return;
	}
	ioctl(peer, TIOCGWINSZ, &seen);
	box_say("/dev/pts/%d %ux%u tty %d cloexec %d\n", number_of(master), seen.ws_row, seen.ws_col, isatty(peer),
		fcntl(master, F_GETFD) & fcntl(peer, F_GETFD) & FD_CLOEXEC);
}

static void look_at_console(void)
{
	struct stat console = { 0 }, pts = { 0 };

	stat("/dev/console", &console);
	stat("/dev/pts/0", &pts);
	box_say("same %d\n", console.st_rdev && console.st_rdev == pts.st_rdev);

	int master, peer;
	struct spec_process process = { 0 };
	int root = open("/", O_PATH | O_CLOEXEC);
	int r = ns_open_pty(root, &process, &master, &peer, NULL);

	box_say("second %d /dev/pts/%d\n", r, r == 0 ? number_of(master) : -1);
}

Test(ns_pty, the_console_is_a_terminal_of_the_containers_devpts)
{
	box_need_root();
	box.before = make_console;
	box_ok(&box, box_run(&box, config(PROC "," DEV "," DEVPTS, NS_PLAIN), look_at_console));
	box_has(&box, "/dev/pts/0 33x77 tty 1 cloexec 1\n");
	box_has(&box, "same 1\n");
	box_has(&box, "second 0 /dev/pts/1\n");
}

Test(ns_pty, a_terminal_without_devpts_has_a_hint)
{
	box_need_root();
	box.before = make_console;
	box_mkdir(&box, "rootfs/dev");
	box_mkdir(&box, "rootfs/dev/pts");
	box_write(&box, "rootfs/dev/pts/ptmx", "");
	box_ok(&box, box_run(&box, config(PROC, NS_PLAIN), NULL));
	box_has(&box, "/dev/pts of the container is no devpts");
	box_has(&box, "a mount of type devpts on /dev/pts");
}

Test(ns_pty, a_console_that_is_a_link_is_covered_and_not_followed)
{
	char path[256];

	box_need_root();
	box_mkdir(&box, "rootfs/dev");
	box_write(&box, "rootfs/victim", "untouched");
	box_symlink(&box, "/victim", "rootfs/dev/console");
	box.before = make_console;
	box_ok(&box, box_run(&box, config(PROC "," DEVPTS, NS_PLAIN), look_at_console));
	box_has(&box, "same 1\n");
	box_path(&box, "rootfs/victim", path);
	box_write(&box, "probe", "");

	struct stat st = { 0 };

	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_size, 9);
}
