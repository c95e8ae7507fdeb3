/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/check.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

static void check_version(struct check *c)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2) {
		cli_check_add(c, CHECK_WARN, CHECK_OPTIONAL, "kernel", "of unknown version");
		return;
	}

	/* 5.12: mount_setattr(2), the youngest call that has no substitute here. */
	bool enough = major > 5 || (major == 5 && minor >= 12);

	cli_check_add(c, enough ? CHECK_OK : CHECK_MISSING, CHECK_NEEDED, "kernel",
		      "Linux %s on %s", u.release, u.machine);
	if (!enough)
		cli_check_remedy(c, "use Linux 5.12 or newer");
}

static void check_openat2(struct check *c)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	auto_close int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

	cli_check_add_errno(c, fd < 0 ? errno : 0, CHECK_MISSING, CHECK_NEEDED, "openat2",
			    "resolve paths inside a root");
}

static void check_pidfd(struct check *c)
{
	auto_close int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	cli_check_add_errno(c, fd < 0 ? errno : 0, CHECK_MISSING, CHECK_NEEDED, "pidfd",
			    "hold a process by a descriptor");
}

/* The program that waits for `start` is executed from a sealed memory file. */
static void check_memfd(struct check *c)
{
	char setting[16] = "";
	auto_close int fd = memfd_create("check", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL) /* before 6.3 every one was executable */
		fd = memfd_create("check", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cli_check_add_errno(c, fd < 0 ? errno : 0, CHECK_MISSING, CHECK_NEEDED, "memfd",
			    "execute from a memory file");
	if (fd < 0 &&
	    file_read_at(AT_FDCWD, "/proc/sys/vm/memfd_noexec", setting, sizeof(setting), NULL) >
		    0 &&
	    setting[0] == '2')
		cli_check_remedy(c, "sysctl vm.memfd_noexec=1");
}

void cli_check_kernel(struct check *c)
{
	check_version(c);
	cli_check_add(c, geteuid() ? CHECK_MISSING : CHECK_OK, CHECK_NEEDED, "user",
		      geteuid() ? "is not root" : "is root");
	if (geteuid())
		cli_check_remedy(c, "run it as root: rootless containers are not supported yet");
	check_openat2(c);
	check_pidfd(c);
	check_memfd(c);
}
