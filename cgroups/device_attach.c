/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Loading a device program and putting it in force on a cgroup. The kernel runs
 * every program attached with BPF_F_ALLOW_MULTI and denies when one of them does,
 * so a second one beside the first could only take away: an update replaces
 * (BPF_F_REPLACE, Linux 5.6) and there is never a moment without a program.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/program.h"
#include "spec/base/auto.h"

#define LOG_SIZE 16384

static int load(const void *insns, size_t n, char *log, size_t log_size)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uintptr_t)insns,
		.insn_cnt = (uint32_t)n,
		.license = (uintptr_t)"Apache-2.0",
		.log_level = log ? 1 : 0,
		.log_buf = (uintptr_t)log,
		.log_size = (uint32_t)(log ? log_size : 0),
		.prog_name = "devices",
	};

	return program_bpf(BPF_PROG_LOAD, &attr);
}

/* The verifier's last words before its statistics: the line that says what it disliked. */
static void last_words(char *log)
{
	char *stats = strstr(log, "\nprocessed ");
	char *line;

	if (stats)
		*stats = '\0';
	line = strrchr(log, '\n');
	if (line && !line[1]) {
		*line = '\0';
		line = strrchr(log, '\n');
	}
	if (line)
		memmove(log, line + 1, strlen(line + 1) + 1);
}

static int load_error(const void *insns, size_t n, int code, struct error *err)
{
	auto_free char *log = code == EINVAL || code == EACCES ? calloc(1, LOG_SIZE) : NULL;

	if (log && load(insns, n, log, LOG_SIZE) < 0 && *log) {
		last_words(log);
		return error_set(err, code, "load the device program (%zu instructions): verifier: %.200s", n, log);
	}

	int r = error_set(err, code, "load the device program (%zu instructions)", n);

	if (code == EPERM)
		error_hint(err, "loading needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, on the host; a user "
				"without them can only run containers that restrict no device");
	else if (code == EINVAL || code == ENOSYS)
		error_hint(err, "the kernel needs CONFIG_CGROUP_BPF=y and CONFIG_BPF_SYSCALL=y");
	return r;
}

/* Takes off what `old` lists from index `from` on. */
static int detach_from(int cg_fd, const struct programs *old, uint32_t from, struct error *err)
{
	for (uint32_t i = from; i < old->n; i++) {
		int r = program_detach(cg_fd, BPF_CGROUP_DEVICE, old->ids[i]);

		if (r < 0 && r != -ENOENT)
			return error_set(err, -r, "detach device program %u", old->ids[i]);
	}
	return 0;
}

static int put_in_force(int cg_fd, int prog_fd, const struct programs *old, struct error *err)
{
	int r;

	if (old->n == 0) {
		r = program_attach(cg_fd, BPF_CGROUP_DEVICE, prog_fd, BPF_F_ALLOW_MULTI, -1);
		return r < 0 ? error_set(err, -r, "attach the device program") : 0;
	}
	/* One that was not attached for several is replaced by attaching in its manner. */
	if (!(old->flags & BPF_F_ALLOW_MULTI)) {
		r = program_attach(cg_fd, BPF_CGROUP_DEVICE, prog_fd, old->flags, -1);
		return r < 0 ? error_set(err, -r, "replace the device program") : 0;
	}

	auto_close int first = program_open(old->ids[0]);

	r = first < 0 ? first : program_attach(cg_fd, BPF_CGROUP_DEVICE, prog_fd, BPF_F_ALLOW_MULTI | BPF_F_REPLACE, first);
	/* Before 5.6: both for a moment, which denies what either denies, then the new one alone. */
	if (r == -EINVAL) {
		r = program_attach(cg_fd, BPF_CGROUP_DEVICE, prog_fd, BPF_F_ALLOW_MULTI, -1);
		if (r == 0)
			return detach_from(cg_fd, old, 0, err);
	}
	if (r < 0)
		return error_set(err, -r, "replace device program %u", old->ids[0]);
	return detach_from(cg_fd, old, 1, err);
}

int cg_device_attach(int cg_fd, enum cg_age age, const void *insns, size_t n, struct error *err)
{
	struct programs old = { .n = 0 };
	int r = age == CG_FRESH ? 0 : program_query(cg_fd, BPF_CGROUP_DEVICE, &old);

	if (n == 0) {
		/* A kernel or a user without BPF has nothing attached that could be taken off. */
		if (old.n == 0)
			return 0;
		r = detach_from(cg_fd, &old, 0, err);
		return r < 0 ? error_wrap(err, r, "cannot lift the device restrictions") : 0;
	}

	auto_close int prog_fd = load(insns, n, NULL, 0);

	if (prog_fd < 0)
		r = load_error(insns, n, -prog_fd, err);
	else if (r < 0)
		r = error_set(err, -r, "query the device programs of the cgroup");
	else
		r = put_in_force(cg_fd, prog_fd, &old, err);
	if (age == CG_FRESH)
		(void)TAKE_FD(prog_fd); /* ends with the command that makes the container */
	return r < 0 ? error_wrap(err, r, "cannot restrict access to devices") : 0;
}
