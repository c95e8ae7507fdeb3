/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * box - runs a config through the whole room and asks questions from inside
 *
 * box_run() makes a scratch bundle, plays parent and child of a create the way
 * namespaces.h orders it, and calls `inside` in the container. What that prints
 * with box_say() comes back in box.out; an error of the room in box.err.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "namespaces/namespaces.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

#define BOX_TEXT 65536

struct box {
	char dir[64];      /* the bundle; dir/rootfs is the root */
	char out[BOX_TEXT];
	char line[4096];   /* error_line() of err */
	struct error err;
	struct ns_options opt;
	int status;        /* of the container's process */
	int root_mount;    /* with opt.root_is_given */
	void (*before)(struct ns_plan *plan);  /* between ns_build_root() and ns_enter_root() */
	void (*on_host)(struct box *box);      /* in the child's mount namespace, before the root is built */
};

static int box_fd = -1;

static inline void box_say(const char *fmt, ...)
{
	char text[8192];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(text) - 1)
		n = sizeof(text) - 1;
	if (write(box_fd, text, (size_t)n) != n)
		_exit(99);
}

/* The content of a file of the container, or "error E…". */
static inline void box_cat(const char *path)
{
	char text[16384];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		box_say("%s: %s\n", path, strerrorname_np(errno));
	else if (write(box_fd, text, (size_t)n) != n)
		_exit(99);
	if (fd >= 0)
		close(fd);
}

static inline void box_need_root(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root: mounts and namespaces");
}

static inline void box_make(struct box *box)
{
	char path[128];

	memset(box, 0, sizeof(*box));
	snprintf(box->dir, sizeof(box->dir), "/tmp/ns-box.XXXXXX");
	cr_assert(mkdtemp(box->dir), "mkdtemp: %s", strerror(errno));
	cr_assert_eq(chmod(box->dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/rootfs", box->dir);
	cr_assert_eq(mkdir(path, 0755), 0);
	box->opt = (struct ns_options){ .id = "box", .bundle = box->dir };
}

static inline void box_path(const struct box *box, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", box->dir, name);
}

static inline void box_mkdir(const struct box *box, const char *name)
{
	char path[256];

	box_path(box, name, path);
	cr_assert_eq(mkdir(path, 0755), 0, "mkdir %s: %s", path, strerror(errno));
}

static inline void box_write(const struct box *box, const char *name, const char *text)
{
	char path[256];

	box_path(box, name, path);

	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static inline void box_symlink(const struct box *box, const char *target, const char *name)
{
	char path[256];

	box_path(box, name, path);
	cr_assert_eq(symlink(target, path), 0, "symlink %s: %s", path, strerror(errno));
}

/* No command of the test's own environment runs as root on a path we did not make. */
static inline void box_drop(struct box *box)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", "--one-file-system", box->dir, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	cr_expect(access(box->dir, F_OK) != 0, "%s is left behind", box->dir);
}

static inline int box_plan(struct box *box, const char *config, struct arena *arena,
			   struct spec **ret_spec, struct ns_plan **ret)
{
	struct spec *spec;
	int r = spec_parse(config, strlen(config), arena, &spec, &box->err);

	if (r == 0)
		r = ns_plan_make(spec, &box->opt, arena, ret, &box->err);
	if (r == 0 && ret_spec)
		*ret_spec = spec;
	if (r < 0)
		error_line(&box->err, box->line, sizeof(box->line));
	return r;
}

static inline _Noreturn void box_fail(int fd, const struct error *err)
{
	error_send(fd, err);
	_exit(98);
}

static inline pid_t box_clone(uint64_t flags)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = { .flags = flags, .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* The child. go: the parent has written the maps. */
static inline _Noreturn void box_child(struct box *box, struct ns_plan *plan, int errors, int go,
				       void (*inside)(void))
{
	char byte;
	struct error err = ERROR_INIT;

	if (ns_join(plan, &err) < 0)
		box_fail(errors, &err);
	if (ns_needs_second_clone(plan)) {
		pid_t pid = box_clone(ns_clone_flags(plan) | CLONE_PARENT);

		if (pid != 0) {
			/* The parent learns init's pid from the first message. */
			if (write(go, &pid, sizeof(pid)) != sizeof(pid))
				_exit(97);
			_exit(0);
		}
	}
	if (ns_needs_maps(plan) && read(go, &byte, 1) != 1)
		_exit(96);
	if (ns_become_root(plan, &err) < 0)
		box_fail(errors, &err);
	if (box->on_host)
		box->on_host(box);
	if ((box->opt.is_bare ? ns_build_bare(plan, &err) : ns_build_root(plan, &err)) < 0)
		box_fail(errors, &err);
	if (box->before)
		box->before(plan);
	if ((box->opt.is_bare ? ns_enter_bare(plan, &err) : ns_enter_root(plan, &err)) < 0)
		box_fail(errors, &err);
	close(errors);
	if (inside)
		inside();
	_exit(0);
}

static inline int box_prepare(struct box *box, struct ns_plan *plan)
{
	if (box->opt.root_is_given)
		ns_set_root(plan, box->root_mount);
	return ns_prepare(plan, &box->err);
}

static inline int box_parent(struct box *box, struct ns_plan *plan, void (*inside)(void))
{
	int out[2], errors[2], go[2];

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, errors), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go), 0);
	box_fd = out[1];

	pid_t pid = box_clone(ns_needs_second_clone(plan) ? 0 : ns_clone_flags(plan));

	cr_assert(pid >= 0, "clone3: %s", strerror(errno));
	if (pid == 0) {
		close(errors[0]);
		close(go[0]);
		box_child(box, plan, errors[1], go[1], inside);
	}
	close(out[1]);
	close(errors[1]);
	close(go[1]);

	int r = 0;

	if (ns_needs_second_clone(plan)) {
		int status;
		pid_t init = -1;

		if (read(go[0], &init, sizeof(init)) == sizeof(init)) {
			waitpid(pid, &status, 0);
			pid = init;
		}
	}
	if (ns_needs_maps(plan)) {
		r = ns_write_maps(plan, pid, &box->err);
		if (r < 0 || write(go[0], "", 1) != 1)
			close(go[0]);
	}
	if (r == 0)
		r = ns_move_net_devices(plan, pid, &box->err);
	if (r == 0)
		r = ns_restore_parent(plan, &box->err);

	int child = error_recv(errors[0], &box->err);

	r = r < 0 ? r : child;
	for (size_t used = 0; used < sizeof(box->out) - 1;) {
		ssize_t n = read(out[0], box->out + used, sizeof(box->out) - 1 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	waitpid(pid, &box->status, __WALL);
	close(out[0]);
	close(errors[0]);
	return r;
}

/* Runs config; returns what the room returned. */
static inline int box_run(struct box *box, const char *config, void (*inside)(void))
{
	struct arena arena = ARENA_INIT;
	struct ns_plan *plan;
	int r = box_plan(box, config, &arena, NULL, &plan);

	if (r == 0)
		r = box_prepare(box, plan);
	if (r == 0)
		r = box_parent(box, plan, inside);
	if (r < 0)
		error_line(&box->err, box->line, sizeof(box->line));
	arena_release(&arena);
	return r;
}

#define box_has(box, text) \
	cr_expect(strstr((box)->out, text), "no \"%s\" in:\n%s", text, (box)->out)
#define box_has_not(box, text) \
	cr_expect(!strstr((box)->out, text), "unexpected \"%s\" in:\n%s", text, (box)->out)
#define box_ok(box, r) \
	cr_assert((r) == 0, "%s (%s)", (box)->line, (box)->err.at)
