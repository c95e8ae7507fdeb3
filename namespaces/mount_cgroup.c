/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's view of cgroup v2
 *
 * With a cgroup namespace of its own the container gets a new cgroup2 mount,
 * which the kernel roots at its leaf; on a hybrid host too, since v2 is all we
 * use. Without one there is no new mount: mounting cgroup2 from the host's
 * cgroup namespace resets the options of the one hierarchy (nsdelegate,
 * memory_recursiveprot) for everybody. The host's own mount is bound instead.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

#ifndef CGROUP2_SUPER_MAGIC
#define CGROUP2_SUPER_MAGIC 0x63677270
#endif

int ns_read_own_cgroup(struct ns_plan *plan, struct error *err)
{
	char text[8192];
	ssize_t n = file_read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text), err);

	if (n < 0)
		return (int)n;

	/* One line per v1 hierarchy; v2 has number 0 and no controllers (cgroups(7)). */
	for (char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, "0::/", 4) == 0) {
			plan->own_cgroup = arena_strndup(plan->arena, line + 3, len - 3);
			return 0;
		}
		line += len + (line[len] == '\n');
	}
	return error_rule(err, ENOENT, "/proc/self/cgroup names no cgroup v2");
}

/* The host's mount of the tree, in one of its two usual places. */
static int open_host_tree(struct error *err)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		/* path-ok: a path of the host, before its root is left */
		auto_close int fd = openat(AT_FDCWD, places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		struct statfs fs;

		if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return TAKE_FD(fd);
	}
	int r = error_rule(err, ENOENT,
			   "no cgroup v2 tree at /sys/fs/cgroup or /sys/fs/cgroup/unified");

	error_hint(err, "list a cgroup namespace: then the tree is mounted anew");
	return r;
}

/* dir: below the host's tree, "/" for all of it. */
static int bind_tree(struct ns_plan *plan, struct ns_mount *m, const char *dir, struct error *err)
{
	auto_close int top = open_host_tree(err);

	if (top < 0)
		return top;

	const char *rest = dir + strspn(dir, "/");
	int fd = sys_open_tree(top, rest, *rest ? 0 : AT_EMPTY_PATH);

	if (fd < 0)
		return error_set(err, errno, "open cgroup %s for %s", dir, m->place.path);

	int r = 0;

	if (m->attr.set | m->attr.clear)
		r = ns_set_attr(fd, 0, &m->attr, m->place.path, err);
	if (r == 0 && (m->rec_attr.set | m->rec_attr.clear))
		r = ns_set_attr(fd, AT_RECURSIVE, &m->rec_attr, m->place.path, err);
	if (r == 0)
		r = ns_attach(plan, m, fd, true, err);
	if (r == 0)
		r = ns_propagate(plan, m, fd, err);
	return r;
}

int ns_mount_cgroup(struct ns_plan *plan, struct ns_mount *m, struct error *err)
{
	if (!ns_is_own(plan, SPEC_NS_CGROUP))
		return bind_tree(plan, m, "/", err);

	int r = ns_mount_fs(plan, m, "cgroup2", err);

	/* A user namespace that does not own the cgroup namespace: what it may see is its own leaf. */
	if ((r == -EPERM || r == -EBUSY) && plan->own_cgroup)
		r = bind_tree(plan, m, plan->own_cgroup, err);
	return r;
}
