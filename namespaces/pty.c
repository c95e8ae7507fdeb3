/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals
 *
 * A pty comes from the container's own devpts and from nothing that only has
 * its name: the directory is checked to be the root of a devpts, in which nobody
 * can exchange ptmx. The peer comes from the master itself (TIOCGPTPEER), never
 * by opening /dev/pts/N (CVE-2025-52565).
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static int open_devpts(int root_fd, struct error *err)
{
	auto_close int fd = path_try(root_fd, "/dev/pts", O_PATH | O_DIRECTORY);
	struct statfs fs;

	if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC)
		return TAKE_FD(fd);

	int r = fd < 0 ? error_set(err, -fd, "open /dev/pts of the container for a terminal")
		       : error_rule(err, ENOTTY, "/dev/pts of the container is no devpts");

	error_hint(err, "a terminal needs a mount of type devpts on /dev/pts");
	return r;
}

static int open_pair(int devpts_fd, const struct spec_process *p, int *ret_master, int *ret_peer,
		     struct error *err)
{
	struct winsize size = { .ws_row = p->console_height, .ws_col = p->console_width };
	auto_close int master =
		openat(devpts_fd, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	int unlock = 0;
	unsigned number;

	if (master < 0)
		return error_set(err, errno, "open /dev/pts/ptmx of the container");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		return error_set(err, errno, "unlock the new terminal");

	auto_close int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (peer < 0)
		return error_set(err, errno, "open the peer of /dev/pts/%u", number);
	if (p->has_console_size && ioctl(master, TIOCSWINSZ, &size) < 0)
		return error_set(err, errno, "set the size of /dev/pts/%u to %ux%u", number,
				 size.ws_row, size.ws_col);
	*ret_master = TAKE_FD(master);
	*ret_peer = TAKE_FD(peer);
	return 0;
}

int ns_open_pty(int root_fd, const struct spec_process *p, int *ret_master, int *ret_peer,
		struct error *err)
{
	auto_close int devpts = open_devpts(root_fd, err);

	return devpts < 0 ? devpts : open_pair(devpts, p, ret_master, ret_peer, err);
}

int ns_new_pty(const struct spec_process *p, int *ret_master, int *ret_peer, struct error *err)
{
	auto_close int devpts = ns_new_fs("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);

	return devpts < 0 ? devpts : open_pair(devpts, p, ret_master, ret_peer, err);
}

/* The peer, mounted on /dev/console: a name in /dev, followed nowhere. */
static int bind_console(struct ns_plan *plan, int peer, struct error *err)
{
	const char *rest;
	int base = ns_place_base(plan, &plan->dev_place, &rest);
	auto_close int made = *rest ? path_mkdirs(base, rest, 0755, err) : -1;
	int dev = *rest ? made : base;

	if (dev < 0)
		return dev;
	if (mknodat(dev, "console", S_IFREG | 0600, 0) < 0 && errno != EEXIST)
		return error_set(err, errno, "make /dev/console");

	int fd = sys_open_tree(peer, "", AT_EMPTY_PATH);

	if (fd < 0)
		return error_set(err, errno, "clone the mount of the terminal");
	if (sys_attach(fd, dev, "console") < 0)
		return error_set(err, errno, "bind the terminal on /dev/console");
	return 0;
}

int ns_console(struct ns_plan *plan, const struct spec_process *p, int *ret_master, int *ret_peer,
	       struct error *err)
{
	auto_close int master = -1;
	auto_close int peer = -1;
	bool ours = plan->devpts >= 0 && plan->mounts[plan->devpts].fd >= 0;
	int r = ours ? open_pair(plan->mounts[plan->devpts].fd, p, &master, &peer, err)
		     : ns_open_pty(plan->root_fd, p, &master, &peer, err);

	if (r == 0 && ns_is_own(plan, SPEC_NS_MOUNT))
		r = bind_console(plan, peer, err);
	if (r < 0)
		return r;
	*ret_master = TAKE_FD(master);
	*ret_peer = TAKE_FD(peer);
	return 0;
}
