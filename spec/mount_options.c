/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generic mount options of config.md, one row each, sorted by name. What is
 * not here is data for the filesystem.
 *
 * Options without an effect of their own, and why:
 *   mand, nomand          mandatory locking left the kernel with 5.15
 *   silent, loud          only ever silenced the kernel log of mount(2)
 *   iversion, noiversion  no flag of the new mount API; a filesystem that counts
 *                         versions does so by itself or by an option of its own
 */
#include "spec/spec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "spec/base/auto.h"

/* include/uapi/linux/mount.h, for C libraries that do not pass it on. */
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY      0x00000001
#define MOUNT_ATTR_NOSUID      0x00000002
#define MOUNT_ATTR_NODEV       0x00000004
#define MOUNT_ATTR_NOEXEC      0x00000008
#define MOUNT_ATTR_RELATIME    0x00000000
#define MOUNT_ATTR_NOATIME     0x00000010
#define MOUNT_ATTR_STRICTATIME 0x00000020
#define MOUNT_ATTR_NODIRATIME  0x00000080
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

#define NOTHING(n)	   { .name = n, .kind = MOPT_IGNORE }
#define SET(n, attr)	   { .name = n, .kind = MOPT_ATTR, .value = MOUNT_ATTR_##attr }
#define CLEAR(n, attr)	   { .name = n, .kind = MOPT_ATTR, .clear = true, .value = MOUNT_ATTR_##attr }
#define SET_REC(n, attr) \
	{ .name = n, .kind = MOPT_ATTR_REC, .recursive = true, .value = MOUNT_ATTR_##attr }
#define CLEAR_REC(n, attr) \
	{ .name = n, .kind = MOPT_ATTR_REC, .recursive = true, .clear = true, .value = MOUNT_ATTR_##attr }
#define SB(n)		   { .name = n, .kind = MOPT_SB, .sb_flag = n }
#define SB_CLEAR(n)	   { .name = n, .kind = MOPT_SB, .clear = true, .sb_flag = n }
#define PROPAGATE(n, flag) { .name = n, .kind = MOPT_PROPAGATION, .value = MS_##flag }
#define PROPAGATE_REC(n, flag) \
	{ .name = n, .kind = MOPT_PROPAGATION, .recursive = true, .value = MS_##flag }

static const struct spec_mopt options[] = {
	{ .name = "acl", .kind = MOPT_DATA },
	SB_CLEAR("async"),
	CLEAR("atime", NOATIME),
	{ .name = "bind", .kind = MOPT_BIND },
	NOTHING("defaults"),
	CLEAR("dev", NODEV),
	CLEAR("diratime", NODIRATIME),
	SB("dirsync"),
	CLEAR("exec", NOEXEC),
	{ .name = "idmap", .kind = MOPT_IDMAP },
	NOTHING("iversion"),
	SB("lazytime"),
	NOTHING("loud"),
	NOTHING("mand"),
	{ .name = "noacl", .kind = MOPT_DATA },
	SET("noatime", NOATIME),
	SET("nodev", NODEV),
	SET("nodiratime", NODIRATIME),
	SET("noexec", NOEXEC),
	NOTHING("noiversion"),
	SB_CLEAR("nolazytime"),
	NOTHING("nomand"),
	CLEAR("norelatime", RELATIME),
	CLEAR("nostrictatime", STRICTATIME),
	SET("nosuid", NOSUID),
	SET("nosymfollow", NOSYMFOLLOW),
	PROPAGATE("private", PRIVATE),
	CLEAR_REC("ratime", NOATIME),
	{ .name = "rbind", .kind = MOPT_BIND, .recursive = true },
	CLEAR_REC("rdev", NODEV),
	CLEAR_REC("rdiratime", NODIRATIME),
	SET("relatime", RELATIME),
	{ .name = "remount", .kind = MOPT_REMOUNT },
	CLEAR_REC("rexec", NOEXEC),
	{ .name = "ridmap", .kind = MOPT_IDMAP, .recursive = true },
	SET_REC("rnoatime", NOATIME),
	SET_REC("rnodev", NODEV),
	SET_REC("rnodiratime", NODIRATIME),
	SET_REC("rnoexec", NOEXEC),
	CLEAR_REC("rnorelatime", RELATIME),
	CLEAR_REC("rnostrictatime", STRICTATIME),
	SET_REC("rnosuid", NOSUID),
	SET_REC("rnosymfollow", NOSYMFOLLOW),
	SET("ro", RDONLY),
	PROPAGATE_REC("rprivate", PRIVATE),
	SET_REC("rrelatime", RELATIME),
	SET_REC("rro", RDONLY),
	CLEAR_REC("rrw", RDONLY),
	PROPAGATE_REC("rshared", SHARED),
	PROPAGATE_REC("rslave", SLAVE),
	SET_REC("rstrictatime", STRICTATIME),
	CLEAR_REC("rsuid", NOSUID),
	CLEAR_REC("rsymfollow", NOSYMFOLLOW),
	PROPAGATE_REC("runbindable", UNBINDABLE),
	CLEAR("rw", RDONLY),
	PROPAGATE("shared", SHARED),
	NOTHING("silent"),
	PROPAGATE("slave", SLAVE),
	SET("strictatime", STRICTATIME),
	CLEAR("suid", NOSUID),
	CLEAR("symfollow", NOSYMFOLLOW),
	SB("sync"),
	{ .name = "tmpcopyup", .kind = MOPT_COPYUP },
	PROPAGATE("unbindable", UNBINDABLE),
};

static int by_name(const void *key, const void *entry)
{
	return strcmp(key, ((const struct spec_mopt *)entry)->name);
}

const struct spec_mopt *spec_mount_option(const char *name)
{
	return bsearch(name, options, ARRAY_SIZE(options), sizeof(options[0]), by_name);
}

const struct spec_mopt *spec_mount_options(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(options);
	return options;
}
