/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/program.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/base/auto.h"

int program_bpf(int cmd, union bpf_attr *attr)
{
	long r;

	do {
		r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));
	} while (r < 0 && (errno == EAGAIN || errno == EINTR));
	return r < 0 ? -errno : (int)r;
}

int program_query(int cg_fd, unsigned type, struct programs *ret)
{
	union bpf_attr attr = {
		.query = {
			.target_fd = (uint32_t)cg_fd,
			.attach_type = type,
			.prog_ids = (uintptr_t)ret->ids,
			.prog_cnt = PROGRAMS_MAX,
		},
	};
	int r = program_bpf(BPF_PROG_QUERY, &attr);

	ret->n = r < 0 ? 0 : attr.query.prog_cnt;
	ret->flags = r < 0 ? 0 : attr.query.attach_flags;
	return r;
}

int program_open(uint32_t id)
{
	union bpf_attr attr = { .prog_id = id };

	return program_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

int program_attach(int cg_fd, unsigned type, int prog_fd, uint32_t flags, int replaced_fd)
{
	union bpf_attr attr = {
		.target_fd = (uint32_t)cg_fd,
		.attach_bpf_fd = (uint32_t)prog_fd,
		.attach_type = type,
		.attach_flags = flags,
		.replace_bpf_fd = (uint32_t)(replaced_fd >= 0 ? replaced_fd : 0),
	};

	return program_bpf(BPF_PROG_ATTACH, &attr);
}

int program_detach(int cg_fd, unsigned type, uint32_t id)
{
	auto_close int fd = program_open(id);
	union bpf_attr attr = {
		.target_fd = (uint32_t)cg_fd,
		.attach_bpf_fd = (uint32_t)fd,
		.attach_type = type,
	};

	return fd < 0 ? fd : program_bpf(BPF_PROG_DETACH, &attr);
}
