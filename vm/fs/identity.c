/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As whom a thread acts. New files belong to the guest's user because they are made by it: created as
 * root and given away afterwards, a file would belong to root for a moment, would count against
 * root's quota, and the second step could fail.
 *
 * Only the ids change. The capabilities stay, because permission was decided in the guest, where the
 * supplementary groups are known. With CAP_FSETID kept, the host leaves a set-group-id bit alone
 * that the guest's kernel, which knows the groups, has let through (Linux 6.0, mode_strip_sgid);
 * CVE-2022-0358 was this decision taken by a server that had other groups than the user.
 *
 * All calls are the bare system calls: a libc's setresuid() would change every thread.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/fs/internal.h"

#define NO_ID ((uint32_t)-1)

static int caps_set(const struct __user_cap_data_struct caps[2])
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capset, &head, caps) < 0 ? -errno : 0;
}

int identity_read(struct vm_fs_worker *w, struct error *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };

	w->uid = geteuid();
	w->gid = getegid();
	if (syscall(SYS_capget, &head, w->caps) < 0)
		return error_set(err, errno, "capget");
	w->has_lesser_caps = w->uid != 0 || w->caps[0].effective != w->caps[0].permitted ||
			     w->caps[1].effective != w->caps[1].permitted;
	/* The kernel's default would apply to the first files otherwise. */
	w->umask = 0;
	umask(0);
	return 0;
}

static int ids_set(uid_t uid, gid_t gid)
{
	if (syscall(SYS_setresgid, NO_ID, gid, NO_ID) < 0 || syscall(SYS_setresuid, NO_ID, uid, NO_ID) < 0)
		return -errno;
	return 0;
}

int identity_assume(struct vm_fs_worker *w)
{
	if (w->in.uid == w->uid && w->in.gid == w->gid)
		return 0;
	/* -1 would mean "do not change": the file would be root's. */
	if (w->in.uid == NO_ID || w->in.gid == NO_ID)
		return -EOVERFLOW;

	int r = ids_set(w->in.uid, w->in.gid);

	/* Leaving uid 0 dropped what is effective (capabilities(7)). */
	if (r == 0 && w->in.uid != w->uid)
		r = caps_set(w->caps);
	if (r < 0) {
		identity_resume(w);
		return r == -EINVAL ? -EOVERFLOW : r; /* no such id in this user namespace */
	}
	return 0;
}

int identity_resume(struct vm_fs_worker *w)
{
	if (w->in.uid == w->uid && w->in.gid == w->gid)
		return 0;

	int r = ids_set(w->uid, w->gid);

	if (r == 0 && w->has_lesser_caps)
		r = caps_set(w->caps);
	/* Going on as the guest's user would give its files to others. This cannot fail where assuming worked. */
	if (r < 0)
		abort();
	return 0;
}

void identity_umask(struct vm_fs_worker *w, mode_t mask)
{
	mask &= 0777;
	if (mask != w->umask)
		umask(mask);
	w->umask = mask;
}

int identity_drop_fsetid(struct vm_fs_worker *w)
{
	struct __user_cap_data_struct caps[2] = { w->caps[0], w->caps[1] };

	caps[0].effective &= ~(1u << CAP_FSETID);
	return caps_set(caps);
}

int identity_restore_fsetid(struct vm_fs_worker *w)
{
	if (caps_set(w->caps) < 0)
		abort();
	return 0;
}
