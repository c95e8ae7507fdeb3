/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Where this host's cgroup v2 tree is, and what it can do. The two usual places
 * are recognised by the file system's magic number; only an unusual host pays
 * for reading mountinfo.
 */

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "spec/base/auto.h"

static const char usual_place[] = "/sys/fs/cgroup";
static const char hybrid_place[] = "/sys/fs/cgroup/unified";

static const char *const names[] = { "cpu", "cpuset", "memory", "pids", "io", "hugetlb", "rdma", "misc" };

const char *cg_controller_name(enum cg_controller c)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((unsigned)c == 1u << i)
			return names[i];
	return "unknown";
}

const char *cg_layout_text(enum cg_layout layout)
{
	switch (layout) {
	case CG_UNIFIED:
		return "unified (cgroup v2)";
	case CG_HYBRID:
		return "hybrid (controllers are bound to cgroup v1)";
	case CG_LEGACY:
		return "legacy (cgroup v1 only)";
	case CG_NO_CGROUPS:
		break;
	}
	return "no cgroup file system is mounted";
}

unsigned cg_controllers_parse(const char *line)
{
	unsigned mask = 0;

	while (*line) {
		size_t n = strcspn(line, " \n");

		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (strlen(names[i]) == n && strncmp(line, names[i], n) == 0)
				mask |= 1u << i;
		line += n;
		line += strspn(line, " \n");
	}
	return mask;
}

unsigned cg_controller_of_file(const char *file)
{
	const char *dot = strchr(file, '.');

	/* Pressure is accounted for every cgroup, whatever is enabled. */
	if (!dot || strcmp(dot, ".pressure") == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == (size_t)(dot - file) &&
		    strncmp(file, names[i], (size_t)(dot - file)) == 0)
			return 1u << i;
	return 0;
}

/* Undoes mountinfo's octal escapes (proc(5)) in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* Field n (from 0) of a mountinfo line, cut out in place; NULL when there are fewer. */
static char *cut_field(char *line, unsigned n)
{
	while (n--) {
		line = strchr(line, ' ');
		if (!line)
			return NULL;
		line++;
	}
	line[strcspn(line, " ")] = '\0';
	return line;
}

/* Looks for the first cgroup2 mount. *ret_v1: there is a v1 hierarchy with controllers as well. */
static char *scan_mountinfo(bool *ret_v1)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	auto_free char *line = NULL;
	char *found = NULL;
	size_t size = 0;

	if (!f)
		return NULL;
	while (getline(&line, &size, f) > 0) {
		const char *type = strstr(line, " - ");

		if (!type)
			continue;
		type += 3;
		if (strncmp(type, "cgroup ", 7) == 0 && !strstr(type, "name="))
			*ret_v1 = true;
		if (strncmp(type, "cgroup2 ", 8) == 0 && !found) {
			const char *place = cut_field(line, 4);

			if (place)
				found = strdup(place);
		}
	}
	fclose(f);
	if (found)
		unescape(found);
	return found;
}

static int not_supported(enum cg_layout layout, struct error *err)
{
	int r = error_rule(err, ENOTSUP, "no cgroup v2 tree on this host: %s", cg_layout_text(layout));

	if (layout == CG_LEGACY)
		error_hint(err, "boot with cgroup v2: systemd.unified_cgroup_hierarchy=1 on the kernel "
				"command line; or mount the v2 tree beside v1: mkdir -p %s && "
				"mount -t cgroup2 none %s", hybrid_place, hybrid_place);
	else
		error_hint(err, "mount it: mount -t cgroup2 none %s", usual_place);
	return r;
}

static int open_root(const char *place)
{
	return openat(AT_FDCWD, place, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int open_elsewhere(struct cg_host *host, struct error *err)
{
	bool v1 = false;
	auto_free char *place = scan_mountinfo(&v1);
	auto_close int fd = place ? open_root(place) : -1;
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC) {
		host->layout = v1 ? CG_LEGACY : CG_NO_CGROUPS;
		return not_supported(host->layout, err);
	}
	host->layout = v1 ? CG_HYBRID : CG_UNIFIED;
	host->mount_point = TAKE_PTR(place);
	host->root_fd = TAKE_FD(fd);
	return 0;
}

int cg_host_open(struct cg_host *host, struct error *err)
{
	struct statfs fs;

	*host = (struct cg_host){ .layout = CG_NO_CGROUPS, .root_fd = -1 };

	if (statfs(usual_place, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
		auto_close int fd = open_root(usual_place);

		if (fd < 0)
			return error_set(err, errno, "open %s", usual_place);
		host->layout = CG_UNIFIED;
		host->mount_point = usual_place;
		host->root_fd = TAKE_FD(fd);
		return 0;
	}

	auto_close int fd = open_root(hybrid_place);

	if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
		host->layout = CG_HYBRID;
		host->mount_point = hybrid_place;
		host->root_fd = TAKE_FD(fd);
		return 0;
	}
	return open_elsewhere(host, err);
}

void cg_host_close(struct cg_host *host)
{
	if (host->root_fd >= 0)
		close(host->root_fd);
	if (host->mount_point != usual_place && host->mount_point != hybrid_place)
		free((char *)host->mount_point);
	*host = (struct cg_host){ .layout = CG_NO_CGROUPS, .root_fd = -1 };
}

int cg_controllers(struct cg_host *host, unsigned *ret, struct error *err)
{
	if (!host->controllers_known) {
		char line[512];
		ssize_t n = cg_read(host->root_fd, "cgroup.controllers", line, sizeof(line));

		if (n < 0)
			return error_set(err, (int)-n, "read %s/cgroup.controllers", host->mount_point);
		host->controllers = cg_controllers_parse(line);
		host->controllers_known = true;
	}
	*ret = host->controllers;
	return 0;
}
