/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.sysctl, written through a procfs that only we can have touched
 *
 * That is the container's own when its /proc is a mount we just made (the lookups
 * refuse to cross into anything mounted in it), else a detached one
 * (CVE-2025-52881: a redirected write reached other files of procfs).
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <string.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/proc.h"

static bool has_whole_procfs(const struct ns_plan *plan)
{
	if (plan->proc < 0)
		return false;
	const struct ns_mount *m = &plan->mounts[plan->proc];

	if (m->fd < 0 || ((m->attr.set | m->rec_attr.set) & MOUNT_ATTR_RDONLY))
		return false;
	for (size_t i = 0; i < m->n_opts; i++)
		if (strcmp(m->opts[i].key, "subset") == 0)
			return false;
	return true;
}

static int write_one(int procfs_fd, const struct spec_key_value *entry, struct error *err)
{
	char path[256] = "sys/";
	int r = spec_sysctl_path(entry->key, path + 4, sizeof(path) - 4);

	if (r < 0)
		return error_rule(err, -r, "\"%s\" is not the name of a sysctl", entry->key);
	r = procfs_write(procfs_fd, path, entry->value, err);
	return r < 0 ? error_wrap(err, r, "cannot set sysctl %s to \"%s\"", entry->key,
				  entry->value)
		     : 0;
}

int ns_write_sysctls(struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;

	if (linux_->n_sysctl == 0)
		return 0;

	bool is_shared = has_whole_procfs(plan);
	auto_close int own = is_shared ? -1 : procfs_open(PROCFS_ALL, err);
	int fd = is_shared ? plan->mounts[plan->proc].fd : own;

	if (fd < 0)
		return error_wrap(err, fd, "cannot open a procfs for sysctls");
	for (size_t i = 0; i < linux_->n_sysctl; i++) {
		int r = write_one(fd, &linux_->sysctl[i], err);

		if (r < 0) {
			error_at(err, "/linux/sysctl/%s", linux_->sysctl[i].key);
			return r;
		}
	}
	return 0;
}
