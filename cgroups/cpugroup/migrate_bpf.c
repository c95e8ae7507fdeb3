/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/migrate.h"

/*
 * Programs attached to a cgroup (devices, addresses, sysctl …) are attached to the
 * other one as well: the same objects, found by their numbers. Only those of the
 * cgroup itself; what an ancestor has is the ancestor's to say.
 */

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_ATTACHED 64 /* the kernel's own limit per cgroup and type */

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	long r;

	do {
		r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));
	} while (r < 0 && (errno == EAGAIN || errno == EINTR));
	return r < 0 ? -errno : (int)r;
}

struct attached {
	uint32_t ids[MAX_ATTACHED];
	uint32_t n, flags;
};

static int query(int cg_fd, unsigned type, struct attached *ret)
{
	union bpf_attr attr = {
		.query = {
			.target_fd = (uint32_t)cg_fd,
			.attach_type = type,
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

static int detach(int cg_fd, unsigned type, uint32_t id)
{
	auto_close int fd = program_of_id(id);
	union bpf_attr attr = {
		.target_fd = (uint32_t)cg_fd,
		.attach_bpf_fd = (uint32_t)fd,
		.attach_type = type,
	};

	return fd < 0 ? fd : sys_bpf(BPF_PROG_DETACH, &attr);
}

static int attach(int cg_fd, unsigned type, uint32_t id, uint32_t flags)
{
	auto_close int fd = program_of_id(id);
	union bpf_attr attr = {
		.target_fd = (uint32_t)cg_fd,
		.attach_bpf_fd = (uint32_t)fd,
		.attach_type = type,
		.attach_flags = flags & (BPF_F_ALLOW_MULTI | BPF_F_ALLOW_OVERRIDE),
	};

	return fd < 0 ? fd : sys_bpf(BPF_PROG_ATTACH, &attr);
}

static bool same(const struct attached *a, const struct attached *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->ids[i] != b->ids[i])
			return false;
	return true;
}

static int copy_type(int from_fd, int to_fd, enum cg_age age, unsigned type, struct error *err)
{
	struct attached have;
	struct attached now = { .n = 0 };
	int r = query(from_fd, type, &have);

	/* A type this kernel does not know; and who may not ask cannot have attached. */
	if (r == -EINVAL || r == -EPERM || r == -ENOSYS)
		return 0;
	if (r == 0 && age == CG_USED)
		r = query(to_fd, type, &now);
	if (r < 0)
		return error_set(err, -r, "query the programs of type %u of the cgroup", type);
	if (same(&have, &now))
		return 0;
	for (uint32_t i = 0; i < now.n; i++) {
		r = detach(to_fd, type, now.ids[i]);
		if (r < 0 && r != -ENOENT)
			return error_set(err, -r, "detach program %u", now.ids[i]);
	}
	for (uint32_t i = 0; i < have.n; i++) {
		r = attach(to_fd, type, have.ids[i], have.flags);
		if (r < 0)
			return error_set(err, -r, "attach program %u", have.ids[i]);
	}
	return 0;
}

int mig_copy_programs(int from_fd, int to_fd, enum cg_age age, bool with_device, struct error *err)
{
	static const unsigned char types[] = {
		BPF_CGROUP_INET_INGRESS,     BPF_CGROUP_INET_EGRESS,      BPF_CGROUP_INET_SOCK_CREATE,
		BPF_CGROUP_SOCK_OPS,         BPF_CGROUP_DEVICE,           BPF_CGROUP_INET4_BIND,
		BPF_CGROUP_INET6_BIND,       BPF_CGROUP_INET4_CONNECT,    BPF_CGROUP_INET6_CONNECT,
		BPF_CGROUP_INET4_POST_BIND,  BPF_CGROUP_INET6_POST_BIND,  BPF_CGROUP_UDP4_SENDMSG,
		BPF_CGROUP_UDP6_SENDMSG,     BPF_CGROUP_SYSCTL,           BPF_CGROUP_UDP4_RECVMSG,
		BPF_CGROUP_UDP6_RECVMSG,     BPF_CGROUP_GETSOCKOPT,       BPF_CGROUP_SETSOCKOPT,
		BPF_CGROUP_INET4_GETPEERNAME, BPF_CGROUP_INET6_GETPEERNAME, BPF_CGROUP_INET4_GETSOCKNAME,
		BPF_CGROUP_INET6_GETSOCKNAME, BPF_CGROUP_INET_SOCK_RELEASE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (types[i] == BPF_CGROUP_DEVICE && !with_device)
			continue;

		int r = copy_type(from_fd, to_fd, age, types[i], err);

		if (r < 0)
			return error_wrap(err, r, "cannot attach the programs of the old cgroup to the new one");
	}
	return 0;
}
