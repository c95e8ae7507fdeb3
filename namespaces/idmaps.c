/* SPDX-License-Identifier: Apache-2.0 */
/* User and group id maps: of the container, and of id-mapped mounts. */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "spec/base/file.h"

#define HELPER_TIMEOUT_MS 10000

static void print_maps(const struct spec_idmaps *maps, struct buf *out)
{
	for (size_t i = 0; i < maps->n; i++)
		buf_printf(out, "%u %u %u\n", maps->v[i].container_id, maps->v[i].host_id,
			   maps->v[i].size);
}

static int write_map(pid_t pid, const char *file, const struct spec_idmaps *maps,
		     const char *pointer, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	print_maps(maps, &text);

	int r = file_write_at(AT_FDCWD, path, text.data, err);

	if (r < 0) {
		error_wrap(err, r, "cannot set the %s of the user namespace", pointer);
		error_at(err, "/linux/%s", pointer);
		if (r == -EPERM && geteuid() != 0)
			error_hint(err, "without root only the own id can be mapped");
	}
	return r;
}

/*
 * Who is not root may map its own group only after giving up setgroups(2), or a
 * group it is in could be dropped to gain access (user_namespaces(7), CVE-2014-8989).
 */
static int deny_setgroups(pid_t pid, const struct spec_idmaps *gid, struct error *err)
{
	char path[48];

	if (geteuid() == 0 || gid->n != 1 || gid->v[0].size != 1)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
	return file_write_at(AT_FDCWD, path, "deny", err);
}

static int write_maps(pid_t pid, const struct spec_idmaps *uid, const struct spec_idmaps *gid,
		      struct error *err)
{
	int r = deny_setgroups(pid, gid, err);

	if (r == 0)
		r = write_map(pid, "gid_map", gid, "gidMappings", err);
	return r < 0 ? r : write_map(pid, "uid_map", uid, "uidMappings", err);
}

int ns_write_maps(const struct ns_plan *plan, pid_t pid, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;

	if (!ns_needs_maps(plan))
		return 0;
	return write_maps(pid, &linux_->uid_maps, &linux_->gid_maps, err);
}

/* A child of ours, ended and reaped. */
static void end_helper(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* The helper only has to exist: a namespace needs a process to be written to. */
static pid_t start_holder(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

int ns_userns_of_maps(const struct spec_idmaps *uid, const struct spec_idmaps *gid,
		      struct error *err)
{
	pid_t pid = start_holder();
	char path[40];

	if (pid < 0)
		return error_set(err, errno, "clone a user namespace for an id-mapped mount");

	int r = write_maps(pid, uid, gid, err);

	if (r == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		r = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC); /* path-ok: the host's /proc */
		if (r < 0)
			r = error_set(err, errno, "open %s", path);
	}
	end_helper(pid);
	return r;
}

/* Runs in a child: joins the namespace, says so, and waits to be ended. */
static _Noreturn void hold_joined(int userns, int out)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setns(userns, CLONE_NEWUSER) < 0 || write(out, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/*
 * Reads the uid_map or gid_map of a namespace that may have no process. The
 * kernel shows outer ids as the namespace of whoever opens the file knows them:
 * so a child joins, and we read.
 */
static int read_map(int userns, const char *file, char *buf, size_t size, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "pipe for the maps of a user namespace");

	auto_close int in = ends[0];
	auto_close int out = ends[1];
	pid_t pid = fork();

	if (pid < 0)
		return error_set(err, errno, "fork to read the maps of a user namespace");
	if (pid == 0)
		hold_joined(userns, out);
	close(TAKE_FD(out));

	struct pollfd p = { .fd = in, .events = POLLIN };
	char joined, path[48];
	int r = 0;

	if (poll(&p, 1, HELPER_TIMEOUT_MS) <= 0 || read(in, &joined, 1) != 1)
		r = error_set(err, EPERM, "join the user namespace to read its %s", file);
	if (r == 0) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
		r = (int)file_read_at(AT_FDCWD, path, buf, size, err);
	}
	end_helper(pid);
	return r < 0 ? r : 0;
}

static bool is_same_map(const char *text, const struct spec_idmaps *maps)
{
	const char *p = text;

	for (size_t i = 0; i < maps->n; i++) {
		unsigned inside, outside, size;
		int used;

		if (sscanf(p, " %u %u %u%n", &inside, &outside, &size, &used) != 3)
			return false;
		if (inside != maps->v[i].container_id || outside != maps->v[i].host_id ||
		    size != maps->v[i].size)
			return false;
		p += used;
	}
	return p[strspn(p, " \n")] == '\0';
}

static int check_joined(struct ns_plan *plan, const char *file, const char *pointer,
			const struct spec_idmaps *maps, struct error *err)
{
	char text[4096];
	int r = maps->n ? read_map(plan->ns[SPEC_NS_USER].fd, file, text, sizeof(text), err) : 0;

	if (r < 0 || !maps->n)
		return r;
	if (!is_same_map(text, maps)) {
		error_rule(err, EINVAL, "%s differ from those of the user namespace that is joined",
			   pointer);
		error_at(err, "/linux/%s", pointer);
		return -EINVAL;
	}
	return 0;
}

int ns_check_joined_maps(struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;

	if (!ns_is_own(plan, SPEC_NS_USER) || ns_is_new(plan, SPEC_NS_USER))
		return 0;
	if (linux_->uid_maps.n + linux_->gid_maps.n > 0)
		log_warn(plan->log,
			 "id mappings beside a user namespace that is joined: its own are used");

	int r = check_joined(plan, "uid_map", "uidMappings", &linux_->uid_maps, err);

	return r < 0 ? r : check_joined(plan, "gid_map", "gidMappings", &linux_->gid_maps, err);
}
