/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "cgroups/cpugroup/cpugroup.h"
#include "cgroups/systemd/systemd.h"
#include "cli/check.h"
#include "spec/base/auto.h"
#include "spec/base/dl.h"

/* A child born in our own cgroup: asks for the mechanism, changes nothing. */
static int probe_clone_into(const void *arg)
{
	const int *cgroup_fd = arg;
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)*cgroup_fd,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return errno;
	if (pid == 0)
		_exit(0);
	return waitpid((pid_t)pid, NULL, 0) < 0 ? errno : 0;
}

/* "return 1": every device is allowed. Loaded, attached nowhere. */
static int probe_device_program(const void *arg)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uint64_t)(uintptr_t)insns,
		.insn_cnt = ARRAY_SIZE(insns),
		.license = (uint64_t)(uintptr_t) "Apache-2.0",
	};
	auto_close int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	(void)arg;
	return fd < 0 ? errno : 0;
}

static void check_controllers(struct check *c, struct cg_host *host)
{
	static const enum cg_controller wanted[] = { CG_CPU, CG_CPUSET, CG_MEMORY, CG_PIDS, CG_IO };
	auto_buf struct buf have = BUF_INIT;
	auto_buf struct buf lack = BUF_INIT;
	unsigned set = 0;

	if (cg_controllers(host, &set, NULL) < 0)
		set = 0;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct buf *to = set & wanted[i] ? &have : &lack;

		buf_printf(to, "%s%s", to->len ? ", " : "", cg_controller_name(wanted[i]));
	}
	if (!lack.len) {
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, "cgroup controllers", "%s", have.data);
		return;
	}
	cli_check_add(c, CHECK_WARN, CHECK_OPTIONAL, "cgroup controllers", "%s%scannot limit: %s",
		      have.len ? have.data : "", have.len ? "; " : "", lack.data);
	if (host->layout == CG_HYBRID)
		cli_check_remedy(
			c, "boot with systemd.unified_cgroup_hierarchy=1, or cgroup_no_v1=all, to "
			   "bind the controllers to version 2");
}

/* What a CPU group can do here, and whether there are any. */
static void check_cpu_groups(struct check *c, struct cg_host *host)
{
	static const struct {
		enum cg_controller controller;
		const char *what;
	} limits[] = { { CG_CPU, "caps and shares" }, { CG_CPUSET, "CPUs of their own" },
		       { CG_MEMORY, "memory" }, { CG_PIDS, "processes" } };
	auto_buf struct buf have = BUF_INIT;
	auto_buf struct buf lack = BUF_INIT;
	char base[4096];
	struct cpg cpg = { .host = host, .base = base };
	struct cpg_group *groups = NULL;
	size_t n = 0;
	unsigned set = 0;

	if (cg_controllers(host, &set, NULL) < 0)
		set = 0;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct buf *to = set & limits[i].controller ? &have : &lack;

		buf_printf(to, "%s%s", to->len ? ", " : "", limits[i].what);
	}
	cli_check_add(c, lack.len ? CHECK_WARN : CHECK_OK, CHECK_OPTIONAL, "cpu groups", "%s%s%s%s",
		      have.len ? "can limit: " : "can be made, frozen and killed", have.len ? have.data : "",
		      lack.len ? "; cannot limit: " : "", lack.len ? lack.data : "");

	struct error err = ERROR_INIT;
	int r = cpg_base_clean(c->cpu_group_base ? c->cpu_group_base : CPG_DEFAULT_BASE, base, sizeof(base), &err);
	auto_close int fd = r < 0 ? -1 : cg_open(host, base, NULL);

	if (r == 0 && fd >= 0)
		r = cpg_list(&cpg, NULL, c->arena, &groups, &n, &err);
	if (r < 0)
		cli_check_add(c, CHECK_WARN, CHECK_OPTIONAL, "cpu group base", "%s", err.text);
	else if (fd < 0)
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, "cpu group base",
			      "/%s is made with the first group", base);
	else
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, "cpu group base", "/%s has %zu group%s", base, n,
			      n == 1 ? "" : "s");
}

static void check_clone_into(struct check *c, const struct cg_host *host)
{
	char path[4096];
	struct error err = ERROR_INIT;
	int code;

	if (cg_path_of_pid(getpid(), path, sizeof(path), &err) < 0) {
		code = err.code;
	} else {
		auto_close int fd = openat(host->root_fd, *path ? path : ".",
					   O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		code = fd < 0 ? errno : cli_check_in_child(probe_clone_into, &fd);
	}
	cli_check_add_errno(c, code, CHECK_MISSING, CHECK_NEEDED, "clone3",
			    "start a process inside a cgroup");
}

/* The static build cannot try: bulkhead-shared, which it executes for a container, does. */
static void check_systemd(struct check *c, const struct cg_host *host)
{
	struct unit_manager *m = NULL;
	struct error err = ERROR_INIT;
	char line[1024];

	if (!dl_can_load() && unit_host_has_systemd() && host->layout == CG_UNIFIED) {
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, "systemd cgroups", "systemd runs here; libsystemd not tried");
		return;
	}
	if (unit_connect(host, &m, &err) == 0) {
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, "systemd cgroups", "systemd %u answers", unit_version(m));
		unit_disconnect(m);
		return;
	}
	error_line(&err, line, sizeof(line));
	cli_check_add(c, CHECK_WARN, CHECK_OPTIONAL, "systemd cgroups", "%s", line);
	if (err.hint[0])
		cli_check_remedy(c, "%s", err.hint);
}

void cli_check_cgroups(struct check *c)
{
	struct cg_host host;
	struct error err = ERROR_INIT;

	if (cg_host_open(&host, &err) < 0) {
		char line[1024];

		error_line(&err, line, sizeof(line));
		cli_check_add(c, CHECK_MISSING, CHECK_NEEDED, "cgroup v2", "%s", line);
		if (err.hint[0])
			cli_check_remedy(c, "%s", err.hint);
		return;
	}
	cli_check_add(c, CHECK_OK, CHECK_NEEDED, "cgroup v2", "%s, at %s",
		      cg_layout_text(host.layout), host.mount_point);
	check_controllers(c, &host);
	check_cpu_groups(c, &host);
	check_clone_into(c, &host);
	check_systemd(c, &host);
	cg_host_close(&host);
	cli_check_add_errno(c, cli_check_in_child(probe_device_program, NULL), CHECK_MISSING,
			    CHECK_OPTIONAL, "device filter", "load a cgroup device program");
}
