/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child's last act, shared by init and by exec: inside the container's root,
 * still privileged, it settles stdio, working directory and environment, takes
 * the final credentials and becomes the stub. Namespaces: all of the container's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/launch/diagnose.h"
#include "runtime/launch/environ.h"
#include "runtime/launch/launch.h"
#include "runtime/launch/stub/stub.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/*
 * The host's /dev/null as a standard descriptor is a way to the host's devtmpfs
 * (the inode's mount): the container's own takes its place, once it has shown to be
 * the null device and no file of the image (CVE-2025-31133). Whatever else stands
 * there is opened without waiting for it, under the container's own device rules.
 */
static int open_own_null(int root_fd, struct error *err)
{
	struct stat st;
	auto_close int fd = path_try(root_fd, "/dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK);

	if (fd == -ENOENT || fd == -ENOTDIR)
		return -ENOENT; /* an image without /dev: keep the caller's */
	if (fd < 0)
		return error_set(err, -fd, "open /dev/null of the container");
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat /dev/null of the container");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return error_rule(err, EPERM, "/dev/null of the container is not the null device");
	return TAKE_FD(fd);
}

static int replace_null(const struct launch_program *p, struct error *err)
{
	int null_fd = -1;

	for (int fd = 0; fd <= 2; fd++) {
		if (p->stdio[fd] >= 0 || !p->facts->is_null[fd])
			continue;
		if (null_fd < 0)
			null_fd = open_own_null(p->root_fd, err);
		if (null_fd < 0)
			return null_fd == -ENOENT ? 0 : null_fd;
		if (dup2(null_fd, fd) < 0)
			return error_set(err, errno, "replace descriptor %d by the container's /dev/null", fd);
	}
	return 0; /* null_fd is CLOEXEC */
}

/* So that the program may re-open /dev/stdout. A file of somebody else's stays as it is. */
static int give_stdio(const struct launch_program *p, struct error *err)
{
	uint32_t uid = p->process->user.uid;

	for (int fd = 0; uid != 0 && fd <= 2; fd++) {
		if (p->stdio[fd] < 0 && (p->facts->is_null[fd] || !p->facts->is_open[fd]))
			continue;
		if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EROFS &&
		    errno != EINVAL && errno != ENOTSUP)
			return error_set(err, errno, "give descriptor %d to uid %u", fd, uid);
	}
	return 0;
}

static int take_terminal(const struct launch_program *p, struct error *err)
{
	if (p->terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		return error_set(err, errno, "make the terminal the controlling one");
	return 0;
}

static int replace_stdio(const struct launch_program *p, struct error *err)
{
	for (int fd = 0; fd <= 2; fd++)
		if (p->stdio[fd] >= 0 && dup2(p->stdio[fd], fd) < 0)
			return error_set(err, errno, "set up descriptor %d of the program", fd);
	return p->clone_late ? 0 : take_terminal(p, err);
}

/*
 * Only an absolute path by the raw system call proves that the directory is below
 * our root: a descriptor that leaked in from the host shows as "(unreachable)"
 * (CVE-2024-21626). glibc's getcwd() would walk up by itself.
 */
static int check_cwd_is_inside(struct error *err)
{
	char path[PATH_MAX];
	long n = syscall(SYS_getcwd, path, sizeof(path));

	if (n < 0)
		return error_set(err, errno, "ask for the working directory");
	if (path[0] != '/')
		return error_rule(err, EPERM, "the working directory is outside the container: possible breakout attempt");
	return 0;
}

enum cwd_moment { AS_ROOT, AS_USER };

/* Returns 1 when it has to be tried again as the container's user (a directory only that user may enter: NFS, FUSE). */
static int enter_cwd(const struct launch_program *p, enum cwd_moment moment, struct error *err)
{
	const char *cwd = p->process->cwd;

	if (strcmp(cwd, "/") == 0) /* where entering the root left us */
		return 0;

	auto_close int fd = path_try(p->root_fd, cwd, O_PATH | O_DIRECTORY);
	int r = fd < 0 ? fd : fchdir(fd) < 0 ? -errno : 0;

	if (r == -EACCES && moment == AS_ROOT)
		return 1;
	r = r < 0 ? error_set(err, -r, "enter the directory") : check_cwd_is_inside(err);
	if (r < 0) {
		r = error_wrap(err, r, "cannot use %s as working directory", cwd);
		error_at(err, "/process/cwd");
	}
	return r;
}

/* All of ours close at the next execve; the program's own and the stub's two do not. */
static int keep_descriptors(const struct launch *l, const struct launch_program *p, struct error *err)
{
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
		int r = error_set(err, errno, "mark all descriptors to be closed");

		error_hint(err, "close_range(2) with CLOSE_RANGE_CLOEXEC is needed: Linux 5.11");
		return r;
	}
	for (uint32_t i = 0; i < p->preserve_fds; i++)
		if (fcntl(3 + (int)i, F_SETFD, 0) < 0)
			return error_set(err, errno, "keep descriptor %u", 3 + i);
	if (fcntl(l->stub_go, F_SETFD, 0) < 0 ||
	    (l->stub_status != l->stub_go && fcntl(l->stub_status, F_SETFD, 0) < 0) ||
	    (p->procfs_fd >= 0 && fcntl(p->procfs_fd, F_SETFD, 0) < 0))
		return error_set(err, errno, "keep the stub's descriptors");
	return 0;
}

static char *control_string(const struct launch *l, const struct launch_program *p, struct arena *a)
{
	const char *label = p->process->apparmor_profile ?: p->process->selinux_label;
	char *words = arena_printf(a, STUB_NAME " s=%d g=%d%s", l->stub_status, l->stub_go,
				   l->gate == GATE_FIFO && p->init ? " w=1" : "");

	if (!label || p->procfs_fd < 0)
		return words;
	return arena_printf(a, "%s p=%d a=%c l=%s", words, p->procfs_fd,
			    p->process->apparmor_profile ? 'a' : 's', label);
}

static void execute_stub(const struct launch *l, const struct launch_program *p, const char *program,
			 char **env, struct arena *a, struct error *err)
{
	const struct spec_strings *args = &p->process->args;
	char **argv = ARENA_NEW_N(a, char *, args->n + 3);

	argv[0] = control_string(l, p, a);
	argv[1] = (char *)program;
	memcpy(argv + 2, args->v, args->n * sizeof(*argv));
	syscall(SYS_execveat, l->stub_fd, "", argv, env, AT_EMPTY_PATH);

	int code = errno;

	error_set(err, code, "execute the runtime's stub");
	if (code == E2BIG)
		error_hint(err, "arguments and environment together are too long for the kernel");
}

/* "permission denied" for a path stands for many causes; the file is in reach, so look which it is. */
static int find_program(const struct launch_program *p, char *buf, size_t size, struct error *err)
{
	const char *name = p->process->args.v[0];
	/* After create nobody executes it for a while: then be sure. */
	enum proc_find find = p->starts_later ? PROC_FIND_SURE : PROC_FIND_LIKELY;
	int r = proc_find_program(p->process, find, buf, size, err);

	if (r != -EACCES || name[0] != '/')
		return r;

	auto_close int root_fd = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC); /* path-ok: the root entered */

	if (root_fd < 0)
		return r;
	diagnose_exec(root_fd, name, EACCES, err);
	error_at(err, "/process/args/0");
	return r;
}

/* Really, not at the next execve: all that the program is not given, but for what the way there still takes. */
static int close_others(struct launch *l, const struct launch_program *p, struct error *err)
{
	int keep[] = { l->stub_fd, l->stub_go, l->stub_status, l->sync[1] };
	unsigned from = 3 + p->preserve_fds;

	for (;;) {
		unsigned next = ~0U; /* the lowest of them that is not below */

		for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from && syscall(SYS_close_range, from, next == ~0U ? next : next - 1, 0U) < 0)
			return error_set(err, errno, "close the runtime's descriptors");
		if (next == ~0U)
			break;
		from = next + 1;
	}
	l->sync[0] = -1;
	return 0;
}

/*
 * Until here this process was outside the container's pid namespace, with all that
 * the way took: descriptors, capabilities, a root of the host's at first. The one that is seen inside has
 * the program's credentials and descriptors. It waits for the parent to know it by
 * its new pid, so that a listener is announced with the right one.
 */
static int clone_late(struct launch *l, const struct launch_program *p, struct error *err)
{
	int r = close_others(l, p, err);

	/* The change of credentials has made it what fs.suid_dumpable says. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = error_set(err, errno, "make the process undumpable");
	if (r == 0)
		r = launch_clone_again(l, 0, err);
	if (r == 0 && setsid() < 0)
		r = error_set(err, errno, "make a session of its own");
	if (r == 0)
		r = take_terminal(p, err);
	return r < 0 ? r : launch_wait_for_go(l, "it knew the process in its pid namespace", err);
}

/* As the program's user, before the filter: see proc_ready. */
struct last_look {
	struct launch *l;
	const struct launch_program *p;
	bool cwd_left; /* the directory could not be entered as root */
	char program[PATH_MAX];
};

static int take_last_look(void *data, struct error *err)
{
	struct last_look *look = data;
	int r = look->cwd_left ? enter_cwd(look->p, AS_USER, err) : 0;

	if (r == 0)
		r = find_program(look->p, look->program, sizeof(look->program), err);
	return r >= 0 && look->p->clone_late ? clone_late(look->l, look->p, err) : r;
}

static char **build_env(const struct launch_program *p, struct arena *a)
{
	char dir[PATH_MAX - 8];
	char **home;
	char **env = environ_build(&p->process->env, p->extra_env, a, &home);

	if (home) {
		environ_home(p->root_fd, p->process->user.uid, dir, sizeof(dir));
		*home = arena_printf(a, "HOME=%s", dir);
	}
	return env;
}

static int become(struct launch *l, const struct launch_program *p, struct error *err)
{
	static struct arena a = ARENA_INIT;
	static struct last_look look;
	struct proc_ready ready = { .call = take_last_look, .data = &look };
	int r = replace_stdio(p, err);

	if (r == 0)
		r = replace_null(p, err);
	if (r == 0)
		r = give_stdio(p, err);
	if (r < 0)
		return error_wrap(err, r, "cannot set up standard input and output");

	char **env = build_env(p, &a);

	r = enter_cwd(p, AS_ROOT, err);
	if (r < 0)
		return r;
	look.l = l;
	look.p = p;
	look.cwd_left = r > 0;
	r = keep_descriptors(l, p, err);
	if (r == 0)
		r = proc_apply(p->plan, l->sync[1], &ready, err);
	if (r == 0) {
		execute_stub(l, p, look.program, env, &a, err);
		r = -err->code;
	}
	return r;
}

int launch_set_terminal(struct launch *l, struct launch_program *p, int master, int peer, struct error *err)
{
	p->terminal = true;
	p->stdio[0] = p->stdio[1] = p->stdio[2] = peer;
	return stage_send(l->sync[1], STAGE_CONSOLE, 0, master, err);
}

_Noreturn void launch_become(struct launch *l, const struct launch_program *p)
{
	struct error err = ERROR_INIT;

	become(l, p, &err);
	launch_fail(l, &err);
}
