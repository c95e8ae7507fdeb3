/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inner_leaf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroups/cgroups.h"
#include "cgroups/cpugroup/cpugroup.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

const char *inner_leaf_name(const struct spec_key_value *annotations, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(annotations[i].key, INNER_LEAF_ANNOTATION) == 0)
			return annotations[i].value;
	return NULL;
}

int inner_leaf_check(const char *name, struct error *err)
{
	if (!name)
		return 0;

	int r = strchr(name, '/') ? error_rule(err, EINVAL, "\"%s\" is a path: one name is possible", name)
				  : cpg_name_check(name, err);

	if (r == 0)
		return 0;
	error_at(err, "/annotations/" INNER_LEAF_ANNOTATION);
	return error_wrap(err, r, "cannot give the program a cgroup of its own");
}

int inner_leaf_open(int cgroup_fd, const char *name)
{
	int fd = openat(cgroup_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int inner_leaf_enter(int cgroup_fd, const char *name, pid_t pid, struct error *err)
{
	char text[16];

	if (mkdirat(cgroup_fd, name, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "make cgroup %s in the container's", name);

	auto_close int fd = inner_leaf_open(cgroup_fd, name);

	if (fd < 0)
		return error_set(err, -fd, "open cgroup %s in the container's", name);
	snprintf(text, sizeof(text), "%d", (int)pid);

	int r = file_write_at(fd, "cgroup.procs", text, NULL);

	if (r < 0)
		return cg_join_error(fd, -r, err);
	return TAKE_FD(fd);
}
