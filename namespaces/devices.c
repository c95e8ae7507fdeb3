/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device nodes and the links of /dev
 *
 * On a tmpfs that we mounted a moment ago a node is one mknodat(). Anywhere
 * else the image may have been there first: then the object is reopened without
 * following links and its type and number are checked before anything is
 * changed (CVE-2025-31133). Where mknod is not allowed the host's node is bound.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#define NULL_DEVICE makedev(1, 3)

static mode_t type_bits(const struct spec_device *dev)
{
	return dev->type == 'b' ? S_IFBLK : dev->type == 'p' ? S_IFIFO : S_IFCHR;
}

static dev_t number(const struct spec_device *dev)
{
	return dev->type == 'p' ? 0 : makedev((unsigned)dev->major, (unsigned)dev->minor);
}

static mode_t permissions(const struct spec_device *dev)
{
	return dev->has_mode ? dev->mode & 07777 : 0666;
}

static bool is_device(const struct stat *st, const struct spec_device *dev)
{
	return (st->st_mode & S_IFMT) == type_bits(dev) &&
	       (dev->type == 'p' || st->st_rdev == number(dev));
}

/* fd is O_PATH, so fchmod() is out; before Linux 6.6 the way is the fd's link in our own procfs. */
static int set_mode(const struct ns_plan *plan, int fd, mode_t mode)
{
	char link[32];

	if (syscall(SYS_NR_fchmodat2, fd, "", mode, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOSYS || plan->procfs_fd < 0)
		return -errno;
	snprintf(link, sizeof(link), "self/fd/%d", fd);
	return fchmodat(plan->procfs_fd, link, mode, 0) < 0 ? -errno : 0;
}

static int settle(const struct ns_plan *plan, const struct ns_device *d, int fd, struct error *err)
{
	const struct spec_device *dev = d->spec;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat device %s", dev->path);
	if (!is_device(&st, dev))
		return error_rule(err, EEXIST, "%s exists and is not the %s device %lld:%lld",
				  dev->path, dev->type == 'b' ? "block" : "character",
				  (long long)dev->major, (long long)dev->minor);

	uint32_t uid = dev->has_uid ? dev->uid : 0, gid = dev->has_gid ? dev->gid : 0;

	if ((st.st_uid != uid || st.st_gid != gid) &&
	    fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "chown device %s to %u:%u", dev->path, uid, gid);

	int r = (st.st_mode & 07777) == permissions(dev) ? 0 : set_mode(plan, fd, permissions(dev));

	return r < 0 ? error_set(err, -r, "chmod device %s to %o", dev->path, permissions(dev)) : 0;
}

static int open_if_device(const char *path, const struct spec_device *dev)
{
	auto_close int fd = sys_open_tree(AT_FDCWD, path, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return is_device(&st, dev) ? TAKE_FD(fd) : -EINVAL;
}

/* The host's node of the same path, or else of the name that the device usually has: null is null at any place. */
static int open_hosts_device(const struct ns_device *d, struct error *err)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} usual[] = { /* Documentation/admin-guide/devices.txt */
		{ "/dev/null", 1, 3 },	 { "/dev/zero", 1, 5 },	   { "/dev/full", 1, 7 },
		{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
	};
	const struct spec_device *dev = d->spec;
	int r = open_if_device(d->place.path, dev);

	for (size_t i = 0; r < 0 && i < ARRAY_SIZE(usual); i++) {
		bool is_it = dev->type == 'c' && dev->major == usual[i].major && dev->minor == usual[i].minor;
		int fd = is_it ? open_if_device(usual[i].path, dev) : -ENODEV;

		r = fd < 0 ? r : fd;
	}
	if (r == -EINVAL)
		return error_rule(err, EINVAL, "mknod is not allowed here, and the host's %s is not the device %lld:%lld",
				  d->place.path, (long long)dev->major, (long long)dev->minor);
	return r < 0 ? error_set(err, -r, "open the host's %s for a bind, as mknod is not allowed", d->place.path) : r;
}

/* Binds the host's device, as it is. */
static int bind_device(const struct ns_device *d, int dir, const char *name, struct error *err)
{
	auto_close int fd = open_hosts_device(d, err);

	if (fd < 0)
		return fd;
	if (mknodat(dir, name, S_IFREG, 0) < 0 && errno != EEXIST)
		return error_set(err, errno, "make %s to bind a device on", d->place.path);
	/* A link of this name would not be followed but covered. */
	if (sys_attach(fd, dir, name) < 0)
		return error_set(err, errno, "bind the host's device on %s", d->place.path);
	return 0;
}

/* What a device is bound on where a node cannot be made. */
static bool is_empty_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

static int make_at(const struct ns_plan *plan, const struct ns_device *d, int dir, const char *name,
		   bool is_fresh, struct error *err)
{
	const struct spec_device *dev = d->spec;

	/* A user namespace never may: asking would be a system call for nothing. */
	if (ns_is_own(plan, SPEC_NS_USER) && dev->type != 'p')
		return bind_device(d, dir, name, err);

	bool made = mknodat(dir, name, type_bits(dev) | permissions(dev), number(dev)) == 0;

	if (!made && errno == EPERM)
		return bind_device(d, dir, name, err);
	if (!made && errno != EEXIST)
		return error_set(err, errno, "mknod %s %c %lld:%lld", dev->path, dev->type,
				 (long long)dev->major, (long long)dev->minor);
	/* Nobody else can reach a fresh tmpfs, and with umask 0 the mode is exact. */
	if (made && is_fresh && !(dev->has_uid && dev->uid) && !(dev->has_gid && dev->gid))
		return 0;

	auto_close int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open device %s", dev->path);
	if (!made && is_empty_file(fd) && bind_device(d, dir, name, NULL) == 0)
		return 0; /* where mknod was not allowed the last time, either */
	return settle(plan, d, fd, err);
}

static int make_device(const struct ns_plan *plan, const struct ns_device *d, struct error *err)
{
	const char *rest;
	int base = ns_place_base(plan, &d->place, &rest);
	bool is_fresh = ns_place_is_fresh(plan, &d->place);

	if (!*rest) /* something is mounted there: fine if it is this device */
		return settle(plan, d, base, err);
	if (is_fresh && !strchr(rest, '/'))
		return make_at(plan, d, base, rest, true, err);

	char name[NAME_MAX + 1];
	auto_close int dir = path_parent(base, rest, true, name, err);

	return dir < 0 ? dir : make_at(plan, d, dir, name, is_fresh, err);
}

int ns_make_devices(struct ns_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct ns_device *d = &plan->devices[i];
		int r = make_device(plan, d, err);

		if (r < 0) {
			if (d->index >= 0)
				error_at(err, "/linux/devices/%d", d->index);
			return r;
		}
	}
	return 0;
}

bool ns_has_kcore(struct ns_plan *plan)
{
	if (!plan->knows_kcore) {
		const struct ns_mount *m = plan->proc >= 0 ? &plan->mounts[plan->proc] : NULL;
		bool ours = m && m->fd >= 0;

		plan->knows_kcore = true;
		plan->has_kcore = faccessat(ours ? m->fd : AT_FDCWD, ours ? "kcore" : "/proc/kcore",
					    F_OK, 0) == 0;
	}
	return plan->has_kcore;
}

static int make_link(int dir, const char *target, const char *name, struct error *err)
{
	bool is_ptmx = strcmp(name, "ptmx") == 0;

	if (symlinkat(target, dir, name) == 0)
		return 0;
	if (errno == EEXIST && !is_ptmx)
		return 0; /* the image's own choice */
	/* But a ptmx that is not the container's own devpts would hand out the host's terminals. */
	if (errno == EEXIST) {
		if (unlinkat(dir, name, 0) < 0 && errno == EBUSY)
			return 0; /* a mount of the config */
		if (symlinkat(target, dir, name) == 0)
			return 0;
	}
	return error_set(err, errno, "symlink /dev/%s to %s", name, target);
}

int ns_make_links(struct ns_plan *plan, struct error *err)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		/* config-linux.md Dev symbolic links, and Default devices for ptmx */
		{ "fd", "/proc/self/fd" },	 { "stdin", "/proc/self/fd/0" },
		{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
		{ "ptmx", "pts/ptmx" },		 { "core", "/proc/kcore" },
	};
	const char *rest;
	int base = ns_place_base(plan, &plan->dev_place, &rest);
	auto_close int made = *rest ? path_mkdirs(base, rest, 0755, err) : -1;
	int dir = *rest ? made : base;

	if (dir < 0)
		return dir;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (strcmp(links[i].name, "core") == 0 && !ns_has_kcore(plan))
			continue;

		int r = make_link(dir, links[i].target, links[i].name, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == NULL_DEVICE;
}

int ns_open_null(struct ns_plan *plan, struct error *err)
{
	const struct ns_mount *dev = plan->dev >= 0 ? &plan->mounts[plan->dev] : NULL;

	if (dev && dev->is_fresh && dev->fd >= 0) {
		auto_close int fd = sys_open_tree(dev->fd, "null", AT_SYMLINK_NOFOLLOW);

		if (fd >= 0 && is_null(fd))
			return TAKE_FD(fd);
	}

	auto_close int fd = sys_open_tree(AT_FDCWD, "/dev/null", 0);

	if (fd < 0)
		return error_set(err, errno, "open the host's /dev/null");
	if (!is_null(fd))
		return error_rule(err, EINVAL,
				  "the host's /dev/null is not the character device 1:3");
	return TAKE_FD(fd);
}
