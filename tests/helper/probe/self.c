/* SPDX-License-Identifier: Apache-2.0 */
/* What the process is: its identity, rights, limits and surroundings of its own. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int cmd_args(char **argv)
{
	for (; *argv; argv++)
		puts(*argv);
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

static int cmd_cwd(char **argv)
{
	(void)argv;
	char buf[PATH_MAX];
	if (syscall(SYS_getcwd, buf, sizeof(buf)) < 0)
		return verdict(false);
	puts(buf);
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

static int cmd_nnp(char **argv)
{
	(void)argv;
	printf("%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return 0;
}

static int cmd_seccomp_status(char **argv)
{
	(void)argv;
	static const char *const names[] = { "Seccomp", "NoNewPrivs", NULL };
	return print_lines("/proc/self/status", names);
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

static int cmd_status(char **argv)
{
	return print_lines("/proc/self/status", *argv ? (const char *const *)argv : NULL);
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

const struct fact facts_of_self[] = {
	{ "args", cmd_args },
	{ "env", cmd_env },
	{ "cwd", cmd_cwd },
	{ "ids", cmd_ids },
	{ "caps", cmd_caps },
	{ "nnp", cmd_nnp },
	{ "seccomp-status", cmd_seccomp_status },
	{ "keyring", cmd_keyring },
	{ "status", cmd_status },
	{ "signals", cmd_signals },
	{ "session", cmd_session },
	{ "oom", cmd_oom },
	{ "rlimits", cmd_rlimits },
	{ "umask", cmd_umask },
	{ "sched", cmd_sched },
	{ "personality", cmd_personality },
	{ "mempolicy", cmd_mempolicy },
	{ "fds", cmd_fds },
	{ NULL, NULL },
};
