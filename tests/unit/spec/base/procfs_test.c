/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/proc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

/* A detached procfs is a mount: without root there is only the visible one, tested below. */
static int open_procfs(enum procfs_scope scope)
{
	struct error err = ERROR_INIT;
	int fd = procfs_open(scope, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	return fd;
}

static bool is_root(void)
{
	if (geteuid() == 0)
		return true;
	cr_log_warn("skipped: a mount of our own needs root");
	return false;
}

Test(procfs, our_own_procfs_is_not_the_mounted_one)
{
	struct stat ours, theirs;

	if (!is_root())
		return;

	auto_close int fd = open_procfs(PROCFS_ALL);

	cr_assert_eq(fstat(fd, &ours), 0);
	cr_assert_eq(stat("/proc", &theirs), 0);
	cr_expect_neq(ours.st_dev, theirs.st_dev);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

Test(procfs, the_pid_scope_has_processes_and_no_sysctl)
{
	struct error err = ERROR_INIT;
	char name[64];

	if (!is_root())
		return;

	auto_close int fd = open_procfs(PROCFS_PIDS);

	snprintf(name, sizeof(name), "%d/status", getpid());

	auto_close int status = procfs_openat(fd, name, O_RDONLY, &err);

	cr_expect_geq(status, 0, "%s", err.text);
	cr_expect(fcntl(status, F_GETFD) & FD_CLOEXEC);
	cr_expect_eq(procfs_openat(fd, "sys/kernel/hostname", O_RDONLY, &err), -ENOENT);
	cr_expect_str_eq(err.text, "open /proc/sys/kernel/hostname");
}

Test(procfs, the_full_scope_has_sysctl)
{
	if (!is_root())
		return;

	auto_close int fd = open_procfs(PROCFS_ALL);
	auto_close int sysctl = procfs_openat(fd, "sys/kernel/hostname", O_RDONLY, NULL);

	cr_expect_geq(sysctl, 0);
}

Test(procfs, links_and_ways_out_are_refused)
{
	auto_close int fd = open_procfs(PROCFS_PIDS);

	cr_expect_eq(procfs_openat(fd, "self/root", O_RDONLY, NULL), -ELOOP);
	cr_expect_eq(procfs_openat(fd, "self/root/etc/passwd", O_RDONLY, NULL), -ELOOP);
	cr_expect_eq(procfs_openat(fd, "self/exe", O_RDONLY, NULL), -ELOOP);
	cr_expect_eq(procfs_openat(fd, "self/cwd/x", O_RDONLY, NULL), -ELOOP);
	cr_expect_eq(procfs_openat(fd, "self/fd/0", O_RDONLY, NULL), -ELOOP);
	cr_expect_eq(procfs_openat(fd, "self", O_RDONLY, NULL), -ELOOP);
	cr_expect_eq(procfs_openat(fd, "..", O_PATH, NULL), -EXDEV);
	cr_expect_eq(procfs_openat(fd, "self/../../etc/passwd", O_RDONLY, NULL), -EXDEV);
	cr_expect_eq(procfs_openat(fd, "/etc/passwd", O_RDONLY, NULL), -EXDEV);

	auto_close int comm = procfs_openat(fd, "self/comm", O_RDONLY, NULL);

	cr_expect_geq(comm, 0);

	/* O_PATH gives the link itself, whose text can be read. */
	auto_close int root = procfs_openat(fd, "self/root", O_PATH, NULL);
	char text[64] = "";

	cr_expect_geq(root, 0);
	cr_expect_eq(readlinkat(root, "", text, sizeof(text)), 1);
	cr_expect_eq(openat(root, "etc", O_PATH | O_CLOEXEC), -1);
}

Test(procfs, a_value_is_written_and_read_back)
{
	auto_close int fd = open_procfs(PROCFS_PIDS);
	char comm[17] = "";

	cr_expect_eq(procfs_write(fd, "self/comm", "written", NULL), 0);
	prctl(PR_GET_NAME, comm);
	cr_expect_str_eq(comm, "written");
}

Test(procfs, a_write_that_is_refused_names_value_and_file)
{
	auto_close int fd = open_procfs(PROCFS_PIDS);
	struct error err = ERROR_INIT;
	char line[256];

	cr_expect_eq(procfs_write(fd, "self/oom_score_adj", "4000\nx", &err), -EINVAL);
	error_line(&err, line, sizeof(line));
	cr_expect_str_eq(line, "write \"4000\" to /proc/self/oom_score_adj: invalid argument");
	cr_expect_eq(procfs_write(fd, "self/none", "1", &err), -ENOENT);
}

/* Runs in a child with a private mount namespace; its exit status is the result. */
static int in_hostile_mounts(int (*check)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(100);
		_exit(check());
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int write_under_tmpfs(void)
{
	/* CVE-2019-16884: /proc is a tmpfs with a plain file where a kernel file should be. */
	if (mount("x", "/proc", "tmpfs", 0, NULL) < 0)
		return 101;

	auto_close int fd = procfs_open(PROCFS_PIDS, NULL);
	char comm[17] = "";

	if (fd < 0 || procfs_write(fd, "self/comm", "real", NULL) < 0)
		return 1;
	prctl(PR_GET_NAME, comm);
	return strcmp(comm, "real") == 0 ? 0 : 2;
}

static int open_overmounted(void)
{
	/* CVE-2025-52881: one procfs file bound over another, in the procfs we look at. */
	auto_close int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[80], name[64];

	snprintf(name, sizeof(name), "%d/oom_score_adj", getpid());
	snprintf(path, sizeof(path), "/proc/%s", name);
	if (mount("/proc/uptime", path, NULL, MS_BIND, NULL) < 0)
		return 101;
	return procfs_openat(fd, name, O_RDONLY, NULL) == -EXDEV ? 0 : 1;
}

Test(procfs, a_filesystem_mounted_over_proc_does_not_catch_a_write)
{
	if (is_root())
		cr_expect_eq(in_hostile_mounts(write_under_tmpfs), 0);
}

Test(procfs, a_file_bound_over_an_entry_is_refused)
{
	if (is_root())
		cr_expect_eq(in_hostile_mounts(open_overmounted), 0);
}

static int unprivileged_open(void)
{
	if (setresuid(65534, 65534, 65534) < 0)
		return 101;

	auto_close int fd = procfs_open(PROCFS_PIDS, NULL);
	auto_close int status = fd < 0 ? -1 : procfs_openat(fd, "self/status", O_RDONLY, NULL);

	return status >= 0 ? 0 : 1;
}

static int unprivileged_open_of_tmpfs(void)
{
	struct error err = ERROR_INIT;

	if (mount("x", "/proc", "tmpfs", 0, NULL) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 101;
	if (procfs_open(PROCFS_PIDS, &err) != -EXDEV)
		return 1;
	return strcmp(err.text, "/proc is not the root of a procfs") == 0 ? 0 : 2;
}

static int unprivileged_open_of_subtree(void)
{
	/* A directory of procfs bound over /proc is procfs too, and not its root. */
	if (mount("/proc/sys", "/proc", NULL, MS_BIND, NULL) < 0 ||
	    setresuid(65534, 65534, 65534) < 0)
		return 101;
	return procfs_open(PROCFS_PIDS, NULL) == -EXDEV ? 0 : 1;
}

Test(procfs, without_privilege_the_visible_procfs_is_used)
{
	if (is_root())
		cr_expect_eq(in_hostile_mounts(unprivileged_open), 0);
}

Test(procfs, without_privilege_anything_but_a_procfs_root_is_refused)
{
	if (!is_root())
		return;
	cr_expect_eq(in_hostile_mounts(unprivileged_open_of_tmpfs), 0);
	cr_expect_eq(in_hostile_mounts(unprivileged_open_of_subtree), 0);
}
