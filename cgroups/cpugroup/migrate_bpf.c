/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/migrate.h"

/*
 * Programs attached to a cgroup (devices, addresses, sysctl …) are attached to the
 * other one as well: the same objects, found by their numbers. Only those of the
 * cgroup itself; what an ancestor has is the ancestor's to say.
 */

#include <errno.h>

#include "cgroups/program.h"
#include "spec/base/auto.h"

static int attach(int cg_fd, unsigned type, uint32_t id, uint32_t flags)
{
	auto_close int fd = program_open(id);

	return fd < 0 ? fd : program_attach(cg_fd, type, fd, flags & (BPF_F_ALLOW_MULTI | BPF_F_ALLOW_OVERRIDE), -1);
}

static bool same(const struct programs *a, const struct programs *b)
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
	struct programs have;
	struct programs now = { .n = 0 };
	int r = program_query(from_fd, type, &have);

	/* A type this kernel does not know; and who may not ask cannot have attached. */
	if (r == -EINVAL || r == -EPERM || r == -ENOSYS)
		return 0;
	if (r == 0 && age == CG_USED)
		r = program_query(to_fd, type, &now);
	if (r < 0)
		return error_set(err, -r, "query the programs of type %u of the cgroup", type);
	if (same(&have, &now))
		return 0;
	for (uint32_t i = 0; i < now.n; i++) {
		r = program_detach(to_fd, type, now.ids[i]);
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
