/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Loading a device program and putting it in force on a cgroup. The kernel runs
 * every program attached with BPF_F_ALLOW_MULTI and denies when one of them does,
 * so a second one beside the first could only take away: an update replaces
 * (BPF_F_REPLACE, Linux 5.6) and there is never a moment without a program.
 */

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/base/auto.h"

#define MAX_ATTACHED 64 /* the kernel's own limit per cgroup */
#define LOG_SIZE     16384

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	long r;

	/* EAGAIN: the verifier was interrupted by a signal. */
	do {
		r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));
	} while (r < 0 && (errno == EAGAIN || errno == EINTR));
	return r < 0 ? -errno : (int)r;
}

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

	return sys_bpf(BPF_PROG_LOAD, &attr);
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

struct attached {
	uint32_t ids[MAX_ATTACHED];
	uint32_t n, flags;
};

/* Programs attached to this very cgroup. */
static int query(int cg_fd, struct attached *ret)
{
	union bpf_attr attr = {
		.query = {
			.target_fd = (uint32_t)cg_fd,
			.attach_type = BPF_CGROUP_DEVICE,
			.prog_ids = (uintptr_t)ret->ids,
			.prog_cnt = MAX_ATTACHED,
		},
	};
	int r = sys_bpf(BPF_PROG_QUERY, &attr);

	ret->n = r < 0 ? 0 : attr.query.prog_cnt;
	ret->flags = r < 0 ? 0 : attr.query.attach_flags;
	return r;
}

static int program_of_id(uint32_t id)
{
	union bpf_attr attr = { .prog_id = id };

	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

static int attach(int cg_fd, int prog_fd, uint32_t flags, int replaced_fd)
{
	union bpf_attr attr = {
		.target_fd = (uint32_t)cg_fd,
		.attach_bpf_fd = (uint32_t)prog_fd,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = flags,
		.replace_bpf_fd = (uint32_t)(replaced_fd >= 0 ? replaced_fd : 0),
	};

	return sys_bpf(BPF_PROG_ATTACH, &attr);
}

static int detach(int cg_fd, int prog_fd)
{
	union bpf_attr attr = {
		.target_fd = (uint32_t)cg_fd,
		.attach_bpf_fd = (uint32_t)prog_fd,
		.attach_type = BPF_CGROUP_DEVICE,
	};

	return sys_bpf(BPF_PROG_DETACH, &attr);
}

/* Takes off what `old` lists from index `from` on. */
static int detach_from(int cg_fd, const struct attached *old, uint32_t from, struct error *err)
{
	for (uint32_t i = from; i < old->n; i++) {
		auto_close int fd = program_of_id(old->ids[i]);
		int r = fd < 0 ? fd : detach(cg_fd, fd);

		if (r < 0 && r != -ENOENT)
			return error_set(err, -r, "detach device program %u", old->ids[i]);
	}
	return 0;
}

static int put_in_force(int cg_fd, int prog_fd, const struct attached *old, struct error *err)
{
	int r;

	if (old->n == 0) {
		r = attach(cg_fd, prog_fd, BPF_F_ALLOW_MULTI, -1);
		return r < 0 ? error_set(err, -r, "attach the device program") : 0;
	}
	/* One that was not attached for several is replaced by attaching in its manner. */
	if (!(old->flags & BPF_F_ALLOW_MULTI)) {
		r = attach(cg_fd, prog_fd, old->flags, -1);
		return r < 0 ? error_set(err, -r, "replace the device program") : 0;
	}

	auto_close int first = program_of_id(old->ids[0]);

	r = first < 0 ? first : attach(cg_fd, prog_fd, BPF_F_ALLOW_MULTI | BPF_F_REPLACE, first);
	/* Before 5.6: both for a moment, which denies what either denies, then the new one alone. */
	if (r == -EINVAL) {
		r = attach(cg_fd, prog_fd, BPF_F_ALLOW_MULTI, -1);
		if (r == 0)
			return detach_from(cg_fd, old, 0, err);
	}
	if (r < 0)
		return error_set(err, -r, "replace device program %u", old->ids[0]);
	return detach_from(cg_fd, old, 1, err);
}

int cg_device_attach(int cg_fd, enum cg_age age, const void *insns, size_t n, struct error *err)
{
	struct attached old = { .n = 0 };
	int r = age == CG_FRESH ? 0 : query(cg_fd, &old);

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
