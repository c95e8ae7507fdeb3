/* SPDX-License-Identifier: Apache-2.0 */

/*
 * probe - one fact about the process it runs in
 *
 * Lives in the root filesystem of test containers, linked statically, so that a
 * test sees what the kernel says and not what a shell makes of it. Facts are
 * printed as "key value" lines; what a call refused is printed as its errno name.
 * Does not include <linux/...>: it builds with musl and without kernel headers.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const struct {
	int number;
	const char *name;
} errnos[] = {
	{ EPERM, "EPERM" },     { ENOENT, "ENOENT" },   { EIO, "EIO" },       { ENXIO, "ENXIO" },
	{ EBADF, "EBADF" },     { EAGAIN, "EAGAIN" },   { ENOMEM, "ENOMEM" }, { EACCES, "EACCES" },
	{ EFAULT, "EFAULT" },   { EBUSY, "EBUSY" },     { EEXIST, "EEXIST" }, { EXDEV, "EXDEV" },
	{ ENODEV, "ENODEV" },   { ENOTDIR, "ENOTDIR" }, { EISDIR, "EISDIR" }, { EINVAL, "EINVAL" },
	{ ENFILE, "ENFILE" },   { EMFILE, "EMFILE" },   { ENOTTY, "ENOTTY" }, { ETXTBSY, "ETXTBSY" },
	{ EFBIG, "EFBIG" },     { ENOSPC, "ENOSPC" },   { EROFS, "EROFS" },   { EPIPE, "EPIPE" },
	{ ENOSYS, "ENOSYS" },   { ELOOP, "ELOOP" },     { ESRCH, "ESRCH" },   { ECHILD, "ECHILD" },
	{ EDQUOT, "EDQUOT" },   { ENOKEY, "ENOKEY" },   { EDOM, "EDOM" },     { ERANGE, "ERANGE" },
	{ EOVERFLOW, "EOVERFLOW" }, { ENOTSUP, "ENOTSUP" }, { EAFNOSUPPORT, "EAFNOSUPPORT" },
	{ EPROTONOSUPPORT, "EPROTONOSUPPORT" }, { ECONNREFUSED, "ECONNREFUSED" },
};

static const char *errno_name(int number)
{
	static char text[16];
	for (size_t i = 0; i < sizeof(errnos) / sizeof(*errnos); i++) {
		if (errnos[i].number == number)
			return errnos[i].name;
	}
	snprintf(text, sizeof(text), "%d", number);
	return text;
}

/* "ok" or the errno's name; the exit status says the same. */
static int verdict(bool ok)
{
	puts(ok ? "ok" : errno_name(errno));
	return ok ? 0 : 1;
}

static const char *arg(char **argv, int i, const char *otherwise)
{
	for (int n = 0; n <= i; n++) {
		if (!argv[n])
			return otherwise;
	}
	return argv[i];
}

static long number(char **argv, int i, long otherwise)
{
	const char *text = arg(argv, i, NULL);
	return text ? strtol(text, NULL, 0) : otherwise;
}

/* Prints the lines of a file that start with one of the names (all lines without names). */
static int print_lines(const char *path, const char *const *names)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return verdict(false);
	char line[4096];
	while (fgets(line, sizeof(line), f)) {
		bool wanted = !names;
		for (size_t i = 0; names && names[i]; i++)
			wanted = wanted || !strncmp(line, names[i], strlen(names[i]));
		if (wanted)
			fputs(line, stdout);
	}
	fclose(f);
	return 0;
}

static int cmd_caps(char **argv)
{
	(void)argv;
	struct {
		uint32_t version;
		int pid;
	} head = { 0x20080522, 0 };
	struct {
		uint32_t effective, permitted, inheritable;
	} data[2] = { 0 };
	if (syscall(SYS_capget, &head, data) < 0)
		return verdict(false);
	uint64_t bounding = 0, ambient = 0;
	for (int c = 0; c < 64; c++) {
		if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
			bounding |= 1ull << c;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, c, 0, 0) == 1)
			ambient |= 1ull << c;
	}
	printf("effective %08x%08x\n", data[1].effective, data[0].effective);
	printf("permitted %08x%08x\n", data[1].permitted, data[0].permitted);
	printf("inheritable %08x%08x\n", data[1].inheritable, data[0].inheritable);
	printf("bounding %016llx\n", (unsigned long long)bounding);
	printf("ambient %016llx\n", (unsigned long long)ambient);
	printf("securebits %d\n", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	return 0;
}

static int cmd_ids(char **argv)
{
	(void)argv;
	uid_t r, e, s;
	gid_t rg, eg, sg, groups[1024];
	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	printf("uid %u %u %u\ngid %u %u %u\ngroups", r, e, s, rg, eg, sg);
	int n = getgroups(1024, groups);
	for (int i = 0; i < n; i++)
		printf(" %u", groups[i]);
	puts("");
	return 0;
}

/* Works without /proc; the link texts are added where it is mounted. */
static int cmd_fds(char **argv)
{
	(void)argv;
	for (int fd = 0; fd < 65536; fd++) {
		int flags = fcntl(fd, F_GETFD);
		if (flags < 0)
			continue;
		char link[64], target[PATH_MAX] = "?";
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, target, sizeof(target) - 1);
		if (n > 0)
			target[n] = 0;
		printf("%d %s\n", fd, target);
	}
	return 0;
}

static int cmd_mounts(char **argv)
{
	(void)argv;
	return print_lines("/proc/self/mountinfo", NULL);
}

static int cmd_rlimits(char **argv)
{
	(void)argv;
	static const struct {
		int resource;
		const char *name;
	} limits[] = {
		{ RLIMIT_AS, "AS" },       { RLIMIT_CORE, "CORE" },       { RLIMIT_CPU, "CPU" },
		{ RLIMIT_DATA, "DATA" },   { RLIMIT_FSIZE, "FSIZE" },     { RLIMIT_LOCKS, "LOCKS" },
		{ RLIMIT_MEMLOCK, "MEMLOCK" }, { RLIMIT_MSGQUEUE, "MSGQUEUE" }, { RLIMIT_NICE, "NICE" },
		{ RLIMIT_NOFILE, "NOFILE" }, { RLIMIT_NPROC, "NPROC" },   { RLIMIT_RSS, "RSS" },
		{ RLIMIT_RTPRIO, "RTPRIO" }, { RLIMIT_RTTIME, "RTTIME" }, { RLIMIT_SIGPENDING, "SIGPENDING" },
		{ RLIMIT_STACK, "STACK" },
	};
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		struct rlimit r;
		if (getrlimit(limits[i].resource, &r) == 0)
			printf("RLIMIT_%s %llu %llu\n", limits[i].name, (unsigned long long)r.rlim_cur,
			       (unsigned long long)r.rlim_max);
	}
	return 0;
}

static int cmd_ns(char **argv)
{
	(void)argv;
	static const char *const kinds[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		char path[64], text[128];
		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		ssize_t n = readlink(path, text, sizeof(text) - 1);
		if (n > 0) {
			text[n] = 0;
			printf("%s %s\n", kinds[i], text);
		}
	}
	return 0;
}

static int cmd_sysctl(char **argv)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "/proc/sys/%s", arg(argv, 0, ""));
	for (char *c = path + strlen("/proc/sys/"); *c; c++) {
		if (*c == '.')
			*c = '/';
	}
	return print_lines(path, NULL);
}

static int open_flags(const char *text)
{
	static const struct {
		const char *name;
		int flag;
	} names[] = {
		{ "rdwr", O_RDWR },       { "wronly", O_WRONLY }, { "rdonly", O_RDONLY },
		{ "creat", O_CREAT },     { "trunc", O_TRUNC },   { "excl", O_EXCL },
		{ "directory", O_DIRECTORY }, { "nofollow", O_NOFOLLOW }, { "append", O_APPEND },
		{ "nonblock", O_NONBLOCK }, { "noctty", O_NOCTTY }, { "path", O_PATH },
	};
	int flags = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strstr(text, names[i].name))
			flags |= names[i].flag;
	}
	return flags;
}

static int cmd_open(char **argv)
{
	return verdict(open(arg(argv, 0, ""), open_flags(arg(argv, 1, "rdonly")) | O_CLOEXEC, 0644) >= 0);
}

static int cmd_read(char **argv)
{
	int fd = open(arg(argv, 0, ""), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return verdict(false);
	char buf[4096];
	ssize_t n = read(fd, buf, (size_t)number(argv, 1, sizeof(buf)) % (sizeof(buf) + 1));
	if (n < 0)
		return verdict(false);
	fwrite(buf, 1, (size_t)n, stdout);
	return 0;
}

static int cmd_write(char **argv)
{
	const char *text = arg(argv, 1, "");
	int fd = open(arg(argv, 0, ""), O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return verdict(false);
	return verdict(write(fd, text, strlen(text)) >= 0);
}

/* probe mknod PATH c|b|p MAJOR MINOR */
static int cmd_mknod(char **argv)
{
	char type = *arg(argv, 1, "c");
	mode_t mode = type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
	dev_t dev = makedev((unsigned)number(argv, 2, 1), (unsigned)number(argv, 3, 3));
	return verdict(mknod(arg(argv, 0, "/tmp/node"), mode | 0666, dev) == 0);
}

static int cmd_stat(char **argv)
{
	struct stat st;
	if (lstat(arg(argv, 0, "/"), &st) < 0)
		return verdict(false);
	const char *type = S_ISDIR(st.st_mode)  ? "directory" :
			   S_ISCHR(st.st_mode)  ? "char" :
			   S_ISBLK(st.st_mode)  ? "block" :
			   S_ISFIFO(st.st_mode) ? "fifo" :
			   S_ISLNK(st.st_mode)  ? "symlink" :
			   S_ISSOCK(st.st_mode) ? "socket" :
						  "file";
	printf("type %s\nmode %04o\nuid %u\ngid %u\nrdev %u:%u\nsize %lld\n", type, st.st_mode & 07777,
	       st.st_uid, st.st_gid, major(st.st_rdev), minor(st.st_rdev), (long long)st.st_size);
	char target[PATH_MAX];
	ssize_t n = S_ISLNK(st.st_mode) ? readlink(argv[0], target, sizeof(target) - 1) : -1;
	if (n >= 0)
		printf("target %.*s\n", (int)n, target);
	return 0;
}

static int cmd_statfs(char **argv)
{
	struct statfs fs;
	if (statfs(arg(argv, 0, "/"), &fs) < 0)
		return verdict(false);
	printf("type %lx\nbytes %llu\nflags %lx\n", (unsigned long)fs.f_type,
	       (unsigned long long)fs.f_blocks * (unsigned long long)fs.f_bsize, (unsigned long)fs.f_flags);
	return 0;
}

static int cmd_ls(char **argv)
{
	DIR *d = opendir(arg(argv, 0, "/"));
	if (!d)
		return verdict(false);
	for (struct dirent *e; (e = readdir(d));) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			puts(e->d_name);
	}
	closedir(d);
	return 0;
}

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

static int cmd_sleep(char **argv)
{
	double seconds = strtod(arg(argv, 0, "1000"), NULL);
	struct timespec t = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
	return 0;
}

static int cmd_exit(char **argv)
{
	return (int)number(argv, 0, 0);
}

static int cmd_die(char **argv)
{
	signal((int)number(argv, 0, SIGKILL), SIG_DFL);
	kill(getpid(), (int)number(argv, 0, SIGKILL));
	return 99; /* pid 1 of a namespace does not die of its own signals */
}

/* Says "ready", then names each signal; ends on SIGTERM, SIGINT or SIGQUIT with 100 + its number. */
static int cmd_signal_wait(char **argv)
{
	(void)argv;
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGCHLD);
	sigprocmask(SIG_BLOCK, &all, NULL);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int s = 0;
		if (sigwait(&all, &s) != 0)
			continue;
		printf("signal %d\n", s);
		fflush(stdout);
		if (s == SIGTERM || s == SIGINT || s == SIGQUIT)
			return 100 + s;
	}
}

static int cmd_spin(char **argv)
{
	time_t end = time(NULL) + number(argv, 0, 1000);
	while (time(NULL) < end)
		;
	return 0;
}

static int cmd_env(char **argv)
{
	(void)argv;
	for (char **e = environ; *e; e++) {
		fputs(*e, stdout);
		putchar(0);
	}
	return 0;
}

static int cmd_args(char **argv)
{
	for (; *argv; argv++)
		puts(*argv);
	return 0;
}

static int cmd_cwd(char **argv)
{
	(void)argv;
	char buf[PATH_MAX];
	if (syscall(SYS_getcwd, buf, sizeof(buf)) < 0)
		return verdict(false);
	puts(buf);
	return 0;
}

static int cmd_status(char **argv)
{
	return print_lines("/proc/self/status", *argv ? (const char *const *)argv : NULL);
}

static int cmd_seccomp_status(char **argv)
{
	(void)argv;
	static const char *const names[] = { "Seccomp", "NoNewPrivs", NULL };
	return print_lines("/proc/self/status", names);
}

static int cmd_nnp(char **argv)
{
	(void)argv;
	printf("%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return 0;
}

static int cmd_keyring(char **argv)
{
	(void)argv;
	char text[512] = "";
	long id = syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* SESSION */, 0);
	if (id < 0)
		return verdict(false);
	long n = syscall(SYS_keyctl, 6 /* DESCRIBE */, id, text, sizeof(text));
	printf("id %ld\ndescription %s\n", id, n > 0 ? text : errno_name(errno));
	return 0;
}

static int cmd_umask(char **argv)
{
	(void)argv;
	printf("%04o\n", umask(0));
	return 0;
}

static int cmd_sched(char **argv)
{
	(void)argv;
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} a = { .size = sizeof(a) };
	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0)
		return verdict(false);
	printf("policy %u\nflags %llu\nnice %d\npriority %u\n", a.policy, (unsigned long long)a.flags, a.nice,
	       a.priority);
	printf("runtime %llu\ndeadline %llu\nperiod %llu\n", (unsigned long long)a.runtime,
	       (unsigned long long)a.deadline, (unsigned long long)a.period);
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) == 0) {
		fputs("affinity", stdout);
		for (int i = 0; i < CPU_SETSIZE; i++) {
			if (CPU_ISSET(i, &set))
				printf(" %d", i);
		}
		puts("");
	}
	long io = syscall(SYS_ioprio_get, 1, 0);
	printf("ioclass %ld\nioprio %ld\n", io >> 13, io & 7);
	return 0;
}

static int cmd_personality(char **argv)
{
	(void)argv;
	printf("%08x\n", (unsigned)personality(0xffffffff));
	return 0;
}

static int cmd_mempolicy(char **argv)
{
	(void)argv;
	int mode = -1;
	unsigned long nodes[16] = { 0 };
	if (syscall(SYS_get_mempolicy, &mode, nodes, sizeof(nodes) * 8, 0, 0) < 0)
		return verdict(false);
	printf("mode %d\nnodes %lx\n", mode, nodes[0]);
	return 0;
}

static int cmd_uname(char **argv)
{
	(void)argv;
	struct utsname u;
	uname(&u);
	printf("hostname %s\ndomainname %s\nrelease %s\nmachine %s\n", u.nodename, u.domainname, u.release,
	       u.machine);
	return 0;
}

static int cmd_clocks(char **argv)
{
	(void)argv;
	struct timespec m, b;
	clock_gettime(CLOCK_MONOTONIC, &m);
	clock_gettime(CLOCK_BOOTTIME, &b);
	printf("monotonic %lld\nboottime %lld\n", (long long)m.tv_sec, (long long)b.tv_sec);
	return 0;
}

static int cmd_signals(char **argv)
{
	(void)argv;
	static const char *const names[] = { "SigBlk", "SigIgn", "SigCgt", NULL };
	return print_lines("/proc/self/status", names);
}

static int cmd_session(char **argv)
{
	(void)argv;
	int death = -1;
	prctl(PR_GET_PDEATHSIG, &death, 0, 0, 0);
	int reaper = -1;
	prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0);
	printf("pid %d\nppid %d\npgid %d\nsid %d\n", getpid(), getppid(), getpgrp(), getsid(0));
	printf("pdeathsig %d\nsubreaper %d\ndumpable %d\n", death, reaper,
	       prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	return 0;
}

static int cmd_oom(char **argv)
{
	(void)argv;
	return print_lines("/proc/self/oom_score_adj", NULL);
}

/* probe fill MIB: touches that much memory, says so, and stays. */
static int cmd_fill(char **argv)
{
	size_t size = (size_t)number(argv, 0, 1) << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return verdict(false);
	memset(p, 1, size);
	puts("filled");
	fflush(stdout);
	pause();
	return 0;
}

/* probe forks N: how many of N children could be made. */
static int cmd_forks(char **argv)
{
	long wanted = number(argv, 0, 1), made = 0;
	int why = 0;
	for (; made < wanted; made++) {
		pid_t pid = fork();
		if (pid < 0) {
			why = errno;
			break;
		}
		if (pid == 0) {
			pause();
			_exit(0);
		}
	}
	printf("forks %ld\nstopped %s\n", made, why ? errno_name(why) : "no");
	return 0;
}

/* probe orphan: leaves a sleeping grandchild in a session of its own behind, and exits. */
static int cmd_orphan(char **argv)
{
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		for (;;)
			pause();
	}
	return (int)number(argv, 0, 0);
}

/* probe tree N: N sleeping children, then says "ready" and waits itself. */
static int cmd_tree(char **argv)
{
	for (long i = 0; i < number(argv, 0, 3); i++) {
		if (fork() == 0) {
			for (;;)
				pause();
		}
	}
	puts("ready");
	fflush(stdout);
	return pause();
}

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

static int cmd_mount(char **argv)
{
	return verdict(mount("none", arg(argv, 0, "/tmp"), arg(argv, 1, "tmpfs"), 0, NULL) == 0);
}

static int cmd_remount_rw(char **argv)
{
	return verdict(mount(NULL, arg(argv, 0, "/"), NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
}

static int cmd_umount(char **argv)
{
	return verdict(umount2(arg(argv, 0, "/proc"), MNT_DETACH) == 0);
}

static int cmd_unshare(char **argv)
{
	return verdict(unshare((int)number(argv, 0, CLONE_NEWNS)) == 0);
}

/* TIOCSTI: typing into the terminal one was given. */
static int cmd_tiocsti(char **argv)
{
	(void)argv;
	char c = 'x';
	return verdict(ioctl(0, 0x5412, &c) == 0);
}

static int cmd_links(char **argv)
{
	(void)argv;
	/* The interfaces of this network namespace with their IFF_UP bit, by SIOCGIFFLAGS on indexes. */
	for (unsigned i = 1; i < 64; i++) {
		struct {
			char name[16];
			union {
				int index;
				short flags;
				char pad[24];
			};
		} req = { .index = (int)i };
		int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (s >= 0 && ioctl(s, 0x8910 /* SIOCGIFNAME */, &req) == 0 &&
		    ioctl(s, 0x8913 /* SIOCGIFFLAGS */, &req) == 0)
			printf("%s %s\n", req.name, req.flags & 1 ? "up" : "down");
		if (s >= 0)
			close(s);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(char **argv);
} commands[] = {
	{ "args", cmd_args },
	{ "bytes", cmd_bytes },
	{ "caps", cmd_caps },
	{ "cat", cmd_cat },
	{ "clocks", cmd_clocks },
	{ "cwd", cmd_cwd },
	{ "die", cmd_die },
	{ "env", cmd_env },
	{ "exit", cmd_exit },
	{ "fds", cmd_fds },
	{ "fill", cmd_fill },
	{ "forks", cmd_forks },
	{ "ids", cmd_ids },
	{ "keyring", cmd_keyring },
	{ "links", cmd_links },
	{ "ls", cmd_ls },
	{ "mempolicy", cmd_mempolicy },
	{ "mknod", cmd_mknod },
	{ "mount", cmd_mount },
	{ "mounts", cmd_mounts },
	{ "nnp", cmd_nnp },
	{ "ns", cmd_ns },
	{ "oom", cmd_oom },
	{ "open", cmd_open },
	{ "orphan", cmd_orphan },
	{ "personality", cmd_personality },
	{ "project", cmd_project },
	{ "read", cmd_read },
	{ "remount-rw", cmd_remount_rw },
	{ "rlimits", cmd_rlimits },
	{ "sched", cmd_sched },
	{ "seccomp-status", cmd_seccomp_status },
	{ "session", cmd_session },
	{ "signal-wait", cmd_signal_wait },
	{ "signals", cmd_signals },
	{ "sleep", cmd_sleep },
	{ "socket", cmd_socket },
	{ "spin", cmd_spin },
	{ "stat", cmd_stat },
	{ "statfs", cmd_statfs },
	{ "status", cmd_status },
	{ "syscall", cmd_syscall },
	{ "syscall32", cmd_syscall32 },
	{ "sysctl", cmd_sysctl },
	{ "tiocsti", cmd_tiocsti },
	{ "tree", cmd_tree },
	{ "tty", cmd_tty },
	{ "umask", cmd_umask },
	{ "umount", cmd_umount },
	{ "uname", cmd_uname },
	{ "unshare", cmd_unshare },
	{ "winsize-watch", cmd_winsize_watch },
	{ "write", cmd_write },
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argv + 2);
	}
	fprintf(stderr, "probe: no fact called %s\n", argv[1]);
	return 2;
}
