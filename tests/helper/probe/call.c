/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that a filter may refuse, and ways around it. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* probe syscall NR [ARG…]: the return value, or the errno. */
static int cmd_syscall(char **argv)
{
	long r = syscall(number(argv, 0, -1), number(argv, 1, 0), number(argv, 2, 0), number(argv, 3, 0),
			 number(argv, 4, 0), number(argv, 5, 0), number(argv, 6, 0));
	return verdict(r >= 0);
}

/*
 * probe syscall32 NR [ARG]: through the 32-bit gate of x86-64, whose numbers differ. Arguments
 * are the register contents; a pointer of ours would not fit.
 */
static int cmd_syscall32(char **argv)
{
#ifdef __x86_64__
	long r;
	__asm__ volatile("push %%rbx; mov %2, %%rbx; int $0x80; pop %%rbx"
			 : "=a"(r)
			 : "a"(number(argv, 0, -1)), "r"(number(argv, 1, 0)), "c"(0L), "d"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = r < 0 ? (int)-(int)r : 0;
	return verdict((int)r >= 0);
#else
	(void)argv;
	errno = ENOSYS;
	return verdict(false);
#endif
}

static const char *told(long r)
{
	return r >= 0 ? "ok" : errno_name(errno);
}

/* The 32-bit gate, with three arguments, the third an address that nobody has. */
static long ioctl32(int fd, unsigned request)
{
#ifdef __x86_64__
	long r;
	__asm__ volatile("push %%rbx; mov %2, %%ebx; int $0x80; pop %%rbx"
			 : "=a"(r)
			 : "a"(54L), "r"(fd), "c"((long)request), "d"(16L)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = (int)r < 0 ? -(int)r : 0;
	return (int)r;
#else
	(void)fd;
	(void)request;
	errno = EPERM;
	return -1;
#endif
}

/* probe project FILE DIR: every way to another project than that of the directory they are in, each tried. */
static int cmd_project(char **argv)
{
	int fd = open(arg(argv, 0, ""), O_RDONLY | O_CLOEXEC), dir = open(arg(argv, 1, ""), O_RDONLY | O_CLOEXEC);
	struct { uint32_t xflags, extsize, nextents, projid, cowextsize; char pad[8]; } x;
	const unsigned long get = 0x801c581f, set = 0x401c5820, get_flags = 0x80086601, set_flags = 0x40086602;
	long flags = 0;

	if (fd < 0 || dir < 0)
		return verdict(false);
	printf("get %s\n", told(ioctl(fd, get, &x)));
	printf("project %u\n", x.projid);
	x.projid = 1;
	printf("set %s\n", told(ioctl(fd, set, &x)));
	printf("set-wide %s\n", told(syscall(SYS_ioctl, fd, set | 1ul << 32, &x)));
	ioctl(dir, get, &x);
	x.xflags &= ~0x200u; /* FS_XFLAG_PROJINHERIT */
	printf("set-dir %s\n", told(ioctl(dir, set, &x)));
	printf("get-flags %s\n", told(ioctl(dir, get_flags, &flags)));
	flags &= ~0x20000000l; /* FS_PROJINHERIT_FL */
	printf("set-flags %s\n", told(ioctl(dir, set_flags, &flags)));
	printf("set-32 %s\n", told(ioctl32(fd, (unsigned)set)));
	printf("set-flags-32 %s\n", told(ioctl32(dir, 0x40046602)));
	printf("file-setattr %s\n", told(syscall(469, fd, "", &x, sizeof(x), AT_EMPTY_PATH)));
	printf("quotactl %s\n", told(syscall(SYS_quotactl, 0x80000702 /* GETQUOTA, PRJQUOTA */, "/dev/null", 1, &x)));
	printf("quotactl-fd %s\n", told(syscall(443, fd, 0x80000702, 1, &x)));
	return 0;
}

static int cmd_socket(char **argv)
{
	return verdict(socket((int)number(argv, 0, AF_INET), (int)number(argv, 1, SOCK_STREAM),
			      (int)number(argv, 2, 0)) >= 0);
}

static int cmd_unshare(char **argv)
{
	return verdict(unshare((int)number(argv, 0, CLONE_NEWNS)) == 0);
}

const struct fact facts_of_call[] = {
	{ "syscall", cmd_syscall },
	{ "syscall32", cmd_syscall32 },
	{ "project", cmd_project },
	{ "socket", cmd_socket },
	{ "unshare", cmd_unshare },
	{ NULL, NULL },
};
