/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Making a directory that is there a group: its limits are read from its files
 * and become its policy. Nothing but the attribute is written.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

static int64_t bytes_of(const char *text)
{
	int64_t v;

	return parse_i64(text, &v) == 0 ? v : -1;
}

static void read_cpu(int fd, struct arena *a, struct cpg_policy *p)
{
	uint64_t v;

	cpg_parse_cpu_max(cpg_text(fd, "cpu.max", a), &v, &p->cap.period_us);
	if (v != UINT64_MAX) {
		p->cap.form = CPG_CAP_RAW;
		p->cap.quota_us = v;
		p->set |= CPG_SET_CAP;
	}
	if (cg_read_number(fd, "cpu.max.burst", &v) == 0 && v) {
		p->burst_us = v;
		p->set |= CPG_SET_BURST;
	}
	if (cg_read_number(fd, "cpu.weight", &v) == 0 && v && v != 100) {
		p->weight = v;
		p->set |= CPG_SET_SHARE;
	}
	if (cg_read_number(fd, "cpu.idle", &v) == 0 && v) {
		p->share = CPG_BY_IDLE;
		p->set |= CPG_SET_SHARE;
	}
	if (cpg_decimal_parse(cpg_text(fd, "cpu.uclamp.min", a), 2, 10000, &v) == 0 && v) {
		p->uclamp_min = (uint32_t)v;
		p->set |= CPG_SET_UCLAMP_MIN;
	}
	if (cpg_decimal_parse(cpg_text(fd, "cpu.uclamp.max", a), 2, 10000, &v) == 0 && v < 10000) {
		p->uclamp_max = (uint32_t)v;
		p->set |= CPG_SET_UCLAMP_MAX;
	}
}

static void read_policy(int fd, struct arena *a, struct cpg_policy *p)
{
	const char *partition = cpg_text(fd, "cpuset.cpus.partition", a);

	cpg_policy_default(p);
	p->cpus = cpg_text(fd, "cpuset.cpus", a);
	p->mems = cpg_text(fd, "cpuset.mems", a);
	p->set |= (*p->cpus ? CPG_SET_CPUS : 0) | (*p->mems ? CPG_SET_MEMS : 0);
	if (cpg_is_partition(partition) && *p->cpus) {
		p->exclusive = strcmp(partition, "root") == 0 ? CPG_ROOT : CPG_ISOLATED;
		p->set |= CPG_SET_EXCLUSIVE;
	}
	read_cpu(fd, a, p);
	p->memory_max = bytes_of(cpg_text(fd, "memory.max", a));
	p->pids_max = bytes_of(cpg_text(fd, "pids.max", a));
	p->set |= (p->memory_max >= 0 ? CPG_SET_MEMORY : 0) | (p->pids_max >= 0 ? CPG_SET_PIDS : 0);
}

/* A group never holds a process itself, and one below a threaded cgroup cannot have containers. */
static int check_fit(int fd, const char *path, struct arena *a, struct error *err)
{
	const char *type = cpg_text(fd, "cgroup.type", a);
	char procs[64];
	int r;

	if (strcmp(type, "domain") != 0 && *type)
		return error_rule(err, EBUSY, "cgroup /%s is \"%s\", and a group must be a domain", path, type);
	if (cg_read(fd, "cgroup.procs", procs, sizeof(procs)) <= 0)
		return 0;
	r = error_rule(err, EBUSY, "cgroup /%s holds processes itself, and a group holds only cgroups", path);
	error_hint(err, "move its processes into a cgroup below it");
	return r;
}

static int adopt(struct cpg *cpg, const char *name, struct arena *a, struct error *err)
{
	char path[PATH_MAX];
	char up[PATH_MAX];
	struct cpg_attr attr = { .adopted = true };
	int r = cpg_path(cpg, name, NULL, path, sizeof(path), err);

	if (r < 0)
		return r;

	auto_close int fd = cg_open_below(cpg->host->root_fd, path, O_RDONLY | O_DIRECTORY);

	if (fd == -ENOENT)
		return error_rule(err, ENOENT, "there is no cgroup /%s", path);
	if (fd < 0)
		return error_set(err, -fd, "open cgroup /%s", path);
	r = cpg_is_group(fd);
	if (r == 1)
		return error_rule(err, EEXIST, "cgroup /%s is a CPU group already", path);
	if (*cpg_parent(name, up, sizeof(up))) {
		int parent = cpg_open(cpg, up, false, err);

		if (parent < 0)
			return error_wrap(err, parent, "cannot find the group \"%s\" is in", name);
		close(parent);
	}
	r = cpg_lock(fd, CPG_LOCK_EXCLUSIVE, path, err);
	if (r == 0)
		r = check_fit(fd, path, a, err);
	if (r < 0)
		return r;
	cpg_attr_new(a, &attr);
	read_policy(fd, a, &attr.policy);
	r = cpg_attr_write(fd, path, &attr, err);
	if (r == 0) {
		struct cpg_policy none;

		cpg_policy_default(&none);
		log_at(cpg->log, LOG_INFO, "adopted cgroup /%s as CPU group \"%s\" (uuid %s): %s", path, name, attr.uuid,
		       cpg_policy_diff(&none, &attr.policy, a));
	}
	return r;
}

int cpg_adopt(struct cpg *cpg, const char *name, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	auto_close int lock = -1;
	int r = cpg_name_check(name, err);

	if (r == 0 && strcmp(name, "/") == 0)
		r = error_rule(err, EINVAL, "\"/\" stands for no group");
	if (r == 0)
		r = lock = cpg_lock_base(cpg, false, NULL, err);
	if (r >= 0)
		r = adopt(cpg, name, a, err);
	return r < 0 ? error_wrap(err, r, "cannot adopt \"%s\" as a CPU group", name) : 0;
}
