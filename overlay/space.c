/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See space.h.
 *
 * work/ is made last: where it is, upper/ is complete.
 */
#include "overlay/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "overlay/disk.h"
#include "overlay/parts.h"
#include "overlay/quota.h"
#include "overlay/record.h"
#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/mountapi.h"

#define OVL_FS "fs"
#define LAYERS "layers/"
#define IMAGE_MOST_BYTES (1ull << 40)
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)

static bool has_root(int store_fd, const struct ovl_lower *lower)
{
	char path[sizeof(LAYERS) + OVL_HEX_BYTES + sizeof(LAYER_HAS_ROOT)];

	if (!lower->hex || (lower->layer && lower->layer->is_known))
		return !lower->hex || lower->layer->has_root;
	snprintf(path, sizeof(path), LAYERS "%.64s/" LAYER_HAS_ROOT, lower->hex);
	return faccessat(store_fd, path, F_OK, 0) == 0;
}

/* The topmost lower with a root of its own; the lowest when none has. */
static int open_model(const struct ovl_store *store, const struct ovl_sandbox *sb, struct error *err)
{
	char path[sizeof(LAYERS) + OVL_HEX_BYTES + sizeof(LAYER_TREE)], what[160];
	const struct ovl_lower *lower = &sb->lowers[sb->n_lowers - 1];

	while (lower > sb->lowers && !has_root(store->fd, lower))
		lower--;
	snprintf(path, sizeof(path), LAYERS "%.64s/" LAYER_TREE, lower->hex ? lower->hex : "");

	/* path-ok: of the store, or a directory that the administrator named */
	int fd = lower->hex ? openat(store->fd, path, DIR_FLAGS) :
			      openat(AT_FDCWD, lower->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_set(err, errno, "open %s", lower_name(lower, what, sizeof(what))) : fd;
}

/* What is overlayfs's own stays where it is. What the upper's file system cannot hold is left out. */
static int copy_xattrs(int from_fd, int to_fd, struct error *err)
{
	char names[4096], value[4096];
	ssize_t n = flistxattr(from_fd, names, sizeof(names));

	for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
		ssize_t len = fgetxattr(from_fd, name, value, sizeof(value));

		if (!strncmp(name, "trusted.overlay.", strlen("trusted.overlay.")) || len < 0)
			continue;
		if (fsetxattr(to_fd, name, value, (size_t)len, 0) < 0 && errno != ENOTSUP)
			return error_set(err, errno, "set %s of the writable directory", name);
	}
	return 0;
}

static int copy_root(int model_fd, int upper_fd, struct error *err)
{
	struct stat st;

	if (fstat(model_fd, &st) < 0)
		return error_set(err, errno, "stat the root of a layer");
	if ((st.st_uid || st.st_gid) && fchown(upper_fd, st.st_uid, st.st_gid) < 0)
		return error_set(err, errno, "give the writable directory to %u:%u", st.st_uid, st.st_gid);
	if (fchmod(upper_fd, st.st_mode & 07777) < 0)
		return error_set(err, errno, "set the mode of the writable directory");

	int r = copy_xattrs(model_fd, upper_fd, err);

	if (r == 0 && futimens(upper_fd, (struct timespec[]){ st.st_atim, st.st_mtim }) < 0)
		r = error_set(err, errno, "set the times of the writable directory");
	return r;
}

static int make_dir(int base_fd, const char *name, struct error *err)
{
	int r = 0;

	if (mkdirat(base_fd, name, 0700) < 0) {
		r = errno == EEXIST ? remove_tree(base_fd, name, err) : -errno;
		if (r == 0)
			r = mkdirat(base_fd, name, 0700) < 0 ? -errno : 0;
	}
	if (r < 0)
		return error_set(err, -r, "make the directory %s of a sandbox", name);

	int fd = openat(base_fd, name, DIR_FLAGS);

	return fd < 0 ? error_set(err, errno, "open the directory %s of a sandbox", name) : fd;
}

static int make_both(const struct ovl_store *store, struct ovl_sandbox *sb, int base_fd, struct error *err)
{
	auto_close int model = open_model(store, sb, err);
	auto_close int upper = model < 0 ? model : make_dir(base_fd, OVL_UPPER, err);
	int r = upper < 0 ? upper : copy_root(model, upper, err);

	if (r < 0)
		return r;
	sb->work_fd = make_dir(base_fd, OVL_WORK, err);
	if (sb->work_fd < 0)
		return sb->work_fd;
	sb->upper_fd = TAKE_FD(upper);
	return 0;
}

static int open_both(const struct ovl_store *store, struct ovl_sandbox *sb, int base_fd, enum sandbox_age age,
		     struct error *err)
{
	if (age == SANDBOX_NEW)
		return make_both(store, sb, base_fd, err);

	auto_close int work = openat(base_fd, OVL_WORK, DIR_FLAGS);

	if (work < 0 && errno == ENOENT)
		return make_both(store, sb, base_fd, err);

	auto_close int upper = work < 0 ? work : openat(base_fd, OVL_UPPER, DIR_FLAGS);

	if (upper < 0)
		return error_set(err, errno, "open the directories of the sandbox %s", sb->name);
	sb->upper_fd = TAKE_FD(upper);
	sb->work_fd = TAKE_FD(work);
	return 0;
}

static bool has_file_system(const struct ovl_sandbox *sb)
{
	return sb->kind == OVL_SANDBOX_IMAGE || sb->kind == OVL_SANDBOX_MEMORY;
}

/* Ours is a file system of its own, so its device is another. */
static bool is_mounted(int dir_fd)
{
	struct stat dir, fs;

	return fstat(dir_fd, &dir) == 0 && fstatat(dir_fd, OVL_FS, &fs, AT_SYMLINK_NOFOLLOW) == 0 &&
	       dir.st_dev != fs.st_dev;
}

static int set_size(int fs_fd, const char *key, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return n ? fsconfig(fs_fd, FSCONFIG_SET_STRING, key, text, 0) : 0;
}

static int mount_memory(const struct ovl_sandbox *sb, struct error *err)
{
	auto_close int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", "bulkhead", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 || set_size(fs, "size", sb->max_bytes) < 0 ||
	    set_size(fs, "nr_inodes", sb->max_inodes) < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set(err, errno, "make a file system in memory of %llu bytes and %llu inodes",
				 (unsigned long long)sb->max_bytes, (unsigned long long)sb->max_inodes);

	int fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

	return fd < 0 ? error_set(err, errno, "mount a file system in memory") : fd;
}

/* How large the file system is when only the number of files was limited: as large as what is below it. */
static uint64_t image_bytes(const struct ovl_sandbox *sb)
{
	struct statfs st;

	if (sb->max_bytes || fstatfs(sb->dir_fd, &st) < 0)
		return sb->max_bytes;

	uint64_t bytes = (uint64_t)st.f_blocks * (uint64_t)st.f_bsize;

	return bytes < IMAGE_MOST_BYTES ? bytes : IMAGE_MOST_BYTES;
}

static int mount_image(const struct ovl_sandbox *sb, struct error *err)
{
	enum disk_life life = sb->keep ? DISK_KEEP : DISK_DISCARD;
	int r = disk_make(sb->dir_fd, image_bytes(sb), sb->max_inodes, life, err);

	return r < 0 ? r : disk_mount(sb->dir_fd, life, err);
}

/* Private, so that what others mount or unmount elsewhere never reaches it. */
static int attach_file_system(const struct ovl_sandbox *sb, enum sandbox_age age, struct error *err)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };

	if (age == SANDBOX_OLD && is_mounted(sb->dir_fd)) {
		int fd = openat(sb->dir_fd, OVL_FS, DIR_FLAGS);

		return fd < 0 ? error_set(err, errno, "open the file system of the sandbox %s", sb->name) : fd;
	}
	if (age == SANDBOX_OLD && sb->kind == OVL_SANDBOX_MEMORY)
		return error_rule(err, ESTALE, "the memory of the sandbox %s is not mounted here: it is lost, or of another mount namespace",
				  sb->name);
	if (mkdirat(sb->dir_fd, OVL_FS, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "make the directory " OVL_FS " of the sandbox %s", sb->name);

	auto_close int fd = sb->kind == OVL_SANDBOX_MEMORY ? mount_memory(sb, err) : mount_image(sb, err);

	if (fd < 0)
		return fd;
	if (move_mount(fd, "", sb->dir_fd, OVL_FS, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "attach the file system of the sandbox %s", sb->name);
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "make the file system of the sandbox %s private", sb->name);
	return TAKE_FD(fd);
}

int space_attach(const struct ovl_store *store, struct ovl_sandbox *sb, enum sandbox_age age, struct error *err)
{
	bool has_own = has_file_system(sb);
	auto_close int fs = has_own ? attach_file_system(sb, age, err) : -1;

	if (has_own && fs < 0)
		return fs;

	int r = open_both(store, sb, has_own ? fs : sb->dir_fd, age, err);

	if (r == 0 && sb->kind == OVL_SANDBOX_QUOTA)
		r = quota_join(sb->upper_fd, sb->project, err);
	if (r == 0 && sb->kind == OVL_SANDBOX_QUOTA)
		r = quota_join(sb->work_fd, sb->project, err);
	return r;
}

int space_base(const struct ovl_sandbox *sb)
{
	return openat(sb->dir_fd, has_file_system(sb) ? OVL_FS : ".", DIR_FLAGS);
}

int space_detach(const struct ovl_sandbox *sb, struct error *err)
{
	char path[64];

	if (!has_file_system(sb))
		return 0;

	/* Lazily: whoever still has a file of it open keeps it until then, and nobody finds it any more. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d/" OVL_FS, sb->dir_fd);
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) /* path-ok: below our descriptor */
		;
	if ((errno != EINVAL && errno != ENOENT) || is_mounted(sb->dir_fd))
		return error_set(err, errno, "unmount the file system of the sandbox %s", sb->name);
	return 0;
}

int space_forget(const struct ovl_sandbox *sb, struct error *err)
{
	if (sb->kind == OVL_SANDBOX_IMAGE && is_mounted(sb->dir_fd)) {
		auto_close int fs = space_base(sb);

		if (fs >= 0)
			disk_forget(fs);
	}
	if (sb->kind == OVL_SANDBOX_QUOTA) {
		int r = quota_set(sb->dir_fd, sb->project, 0, 0, err);

		if (r < 0)
			return r;
	}
	return space_detach(sb, err);
}

int space_reset(const struct ovl_store *store, struct ovl_sandbox *sb, struct error *err)
{
	auto_close int base = space_base(sb);

	if (base < 0)
		return error_set(err, errno, "open the directory of the sandbox %s", sb->name);

	int r = remove_tree(base, OVL_WORK, err); /* from here on there is no upper */

	auto_closep(&sb->upper_fd);
	auto_closep(&sb->work_fd);
	sb->upper_fd = sb->work_fd = -1;
	return r < 0 ? r : space_attach(store, sb, SANDBOX_OLD, err);
}

static int claim_quota(const struct ovl_store *store, struct ovl_sandbox *sb, struct error *err)
{
	auto_close int lock = store_lock(store, LOCK_EX, err);
	int r = lock < 0 ? lock : quota_find_project(sb->dir_fd, &sb->project, err);

	if (r == 0)
		r = sandbox_write(sb, SANDBOX_NEW, err);
	return r < 0 ? r : quota_set(sb->dir_fd, sb->project, sb->max_bytes, sb->max_inodes, err);
}

int space_begin(const struct ovl_store *store, struct ovl_sandbox *sb, enum space_place place, struct error *err)
{
	bool is_limited = sb->max_bytes || sb->max_inodes;

	if (place == SPACE_IN_MEMORY)
		sb->kind = OVL_SANDBOX_MEMORY;
	else if (is_limited)
		sb->kind = quota_is_enforced(sb->dir_fd) ? OVL_SANDBOX_QUOTA : OVL_SANDBOX_IMAGE;
	if (sb->kind == OVL_SANDBOX_QUOTA)
		return claim_quota(store, sb, err);

	auto_close int lock = store_lock(store, LOCK_SH, err);

	return lock < 0 ? lock : sandbox_write(sb, SANDBOX_NEW, err);
}

int ovl_sandbox_usage(const struct ovl_store *store, const struct ovl_sandbox *sb, struct ovl_usage *ret,
		      struct error *err)
{
	struct ovl_usage usage = { .max_bytes = sb->max_bytes, .max_inodes = sb->max_inodes, .is_known = true };
	struct statfs st;
	int r = 0;

	(void)store;
	if (sb->kind == OVL_SANDBOX_DIRECTORY) {
		usage.is_known = false;
	} else if (sb->kind == OVL_SANDBOX_QUOTA) {
		r = quota_usage(sb->upper_fd, sb->project, &usage.bytes, &usage.inodes, err);
	} else if (fstatfs(sb->upper_fd, &st) < 0) {
		r = error_set(err, errno, "ask the file system of the sandbox %s for its size", sb->name);
	} else {
		usage.bytes = (uint64_t)(st.f_blocks - st.f_bfree) * (uint64_t)st.f_bsize;
		usage.inodes = st.f_files - st.f_ffree;
		usage.max_bytes = (uint64_t)st.f_blocks * (uint64_t)st.f_bsize;
		usage.max_inodes = st.f_files;
	}
	if (r == 0)
		*ret = usage;
	return r;
}
