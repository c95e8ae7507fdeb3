/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idmap - reaching directories through id-mapped mounts, so that no file has to be chowned
 *
 * All layers of the store are one mount: its clone is id-mapped once, and each layer opened through it. Closing a
 * clone that is attached nowhere waits for an RCU grace period, so there are as few as can be.
 */
#include "overlay/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/mountapi.h"

const char *lower_name(const struct ovl_lower *lower, char *buf, size_t size)
{
	if (lower->hex)
		snprintf(buf, size, "the layer sha256:%.12s", lower->hex);
	else
		snprintf(buf, size, "%s", lower->dir);
	return buf;
}

int mount_map_ids(int mount_fd, int userns_fd, const char *what, struct error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)userns_fd };

	if (mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
		return 0;

	int r = error_set(err, errno, "map the ids of %s", what);

	if (r == -EINVAL)
		error_hint(err, "its file system cannot be id-mapped (mount_setattr(2), MOUNT_ATTR_IDMAP)");
	return r;
}

static int clone_mapped(int dir_fd, const char *path, int userns_fd, const char *what, struct error *err)
{
	unsigned empty = *path ? 0 : AT_EMPTY_PATH;

	/* path-ok: of the store, or a directory that the administrator named */
	auto_close int fd = open_tree(dir_fd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | empty);

	if (fd < 0)
		return error_set(err, errno, "clone the mount of %s", what);

	int r = mount_map_ids(fd, userns_fd, what, err);

	return r < 0 ? r : TAKE_FD(fd);
}

static int reach_lowers(const struct ovl_parts *p, struct ovl_reach *reach, struct error *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct ovl_lower *lower = &p->lowers[i];
		int *fd = lower->hex ? &reach->layers_fd : &reach->dir_fds[i];

		if (*fd >= 0)
			continue;
		*fd = lower->hex ? clone_mapped(p->store->fd, "layers", p->userns_fd, p->store->path, err) :
				   clone_mapped(AT_FDCWD, lower->dir, p->userns_fd, lower->dir, err);
		if (*fd < 0)
			return *fd;
		reach->n_mounts++;
	}
	return 0;
}

int reach_open(const struct ovl_parts *p, struct ovl_reach *ret, struct error *err)
{
	ret->layers_fd = ret->base_fd = -1;
	ret->n_dirs = p->n;
	ret->n_mounts = 0;
	for (size_t i = 0; i < p->n; i++)
		ret->dir_fds[i] = -1;

	int r = reach_lowers(p, ret, err);

	if (r == 0 && p->upper_fd >= 0) {
		ret->base_fd = clone_mapped(p->base_fd, "", p->userns_fd, "the writable directory", err);
		r = ret->base_fd < 0 ? ret->base_fd : 0;
		ret->n_mounts++;
	}
	if (r < 0)
		reach_close(ret);
	return r;
}

void reach_close(struct ovl_reach *reach)
{
	auto_closep(&reach->layers_fd);
	auto_closep(&reach->base_fd);
	for (size_t i = 0; i < reach->n_dirs; i++)
		auto_closep(&reach->dir_fds[i]);
}

/* One above the other on "/", which nobody looks up: the descriptors are what reaches them. */
static int attach(int fd, struct error *err)
{
	if (fd < 0 || move_mount(fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) == 0) /* path-ok: see above */
		return 0;
	return error_set(err, errno, "attach an id-mapped mount in a namespace of its own");
}

static int attach_all(const struct ovl_reach *reach, struct error *err)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };

	if (unshare(CLONE_NEWNS) < 0)
		return error_set(err, errno, "make a mount namespace");
	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0) /* path-ok: our own root */
		return error_set(err, errno, "make the mounts of a namespace private");

	int r = attach(reach->layers_fd, err);

	if (r == 0)
		r = attach(reach->base_fd, err);
	for (size_t i = 0; r == 0 && i < reach->n_dirs; i++)
		r = attach(reach->dir_fds[i], err);
	return r;
}

/* One byte with a descriptor, or an error. */
static int send_fd(int socket_fd, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (char[]){ 'm' }, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(socket_fd, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int receive_fd(int socket_fd, struct error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct error said;
	struct iovec iov = { .iov_base = &said, .iov_len = sizeof(said) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(socket_fd, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
	int fd;

	if (n == (ssize_t)sizeof(said))
		return error_take(&said, err);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return error_set(err, n < 0 ? errno : ECHILD, "wait for a child that makes an overlay");
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static _Noreturn void child(const struct ovl_reach *reach, int (*make)(const void *, struct error *),
			    const void *data, int socket_fd)
{
	struct error err = ERROR_INIT;
	int r = attach_all(reach, &err);

	if (r == 0)
		r = make(data, &err);
	if (r >= 0)
		_exit(send_fd(socket_fd, r) < 0);
	error_send(socket_fd, &err);
	_exit(1);
}

int reach_in_namespace(const struct ovl_reach *reach, int (*make)(const void *data, struct error *err),
		       const void *data, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "make a socket pair");

	auto_close int ours = pair[0];
	auto_close int theirs = pair[1];
	pid_t pid = fork();

	if (pid < 0)
		return error_set(err, errno, "fork a child that makes an overlay");
	if (pid == 0)
		child(reach, make, data, theirs);
	close(TAKE_FD(theirs));

	int r = receive_fd(ours, err);

	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}
