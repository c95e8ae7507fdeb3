/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New filesystem instances: fsopen(), one fsconfig() per option, fsmount() with
 * the attributes already set, and only then attached.
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#define FSCONFIG_STRING_MAX 255 /* fs/fsopen.c copies at most 256 bytes with the NUL */

/* The kernel's own words, "e devpts: Unknown parameter 'foo'", when it has any. */
static const char *kernel_log(int fs, char *buf, size_t size)
{
	ssize_t n = read(fs, buf, size - 1);

	if (n <= 2)
		return "";
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	buf[0] = ':';
	buf[1] = ' ';
	return buf;
}

/* Only what follows from the call that failed: a wrong hint costs more than none. */
static void hint(const struct ns_plan *plan, const struct ns_mount *m, int code, struct error *err)
{
	bool in_userns = plan->ns[SPEC_NS_USER].listed;

	if (code == EPERM && in_userns && strcmp(m->type, "proc") == 0)
		error_hint(
			err,
			"a user namespace may mount a new procfs only where it sees a whole one: "
			"the /proc of this host is masked, or the pid namespace is not new");
	else if (code == EPERM && in_userns && strcmp(m->type, "sysfs") == 0)
		error_hint(err,
			   "sysfs belongs to the network namespace: list a new one, or bind /sys");
	else if (code == EPERM && in_userns && strcmp(m->type, "mqueue") == 0)
		error_hint(err, "mqueue belongs to the ipc namespace: list a new one");
	else if (code == ENODEV && strcmp(m->type, "bind") == 0)
		error_hint(err, "a bind mount is asked for by the option \"bind\" or \"rbind\", "
				"not by type");
	else if (code == ENODEV)
		error_hint(err,
			   "the kernel knows no filesystem of this type; see /proc/filesystems");
}

static int set_option(int fs, const struct ns_mount *m, const char *key, const char *value,
		      struct error *err)
{
	char log[256];
	unsigned cmd = value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

	if (sys_fsconfig(fs, cmd, key, value, 0) == 0)
		return 0;

	int code = errno;

	error_set(err, code, "mount %s on %s: option %s%s%s%s", m->type, m->place.path, key,
		  value ? "=" : "", value ? value : "", kernel_log(fs, log, sizeof(log)));
	if (value && strlen(value) > FSCONFIG_STRING_MAX)
		error_hint(err, "the kernel takes option values of up to %d bytes",
			   FSCONFIG_STRING_MAX);
	return -code;
}

static int set_options(int fs, const struct ns_mount *m, struct error *err)
{
	int r = 0;

	if (m->source && m->kind != NS_MOUNT_REMOUNT)
		r = set_option(fs, m, "source", m->source, err);
	for (size_t i = 0; r == 0 && i < m->n_opts; i++)
		r = set_option(fs, m, m->opts[i].key, m->opts[i].value, err);
	return r;
}

/* A tmpfs takes over the mode of the directory it covers, so that /tmp stays 1777. */
static int set_covered_mode(const struct ns_plan *plan, const struct ns_mount *m, int fs,
			    struct error *err)
{
	const char *rest;
	int base = ns_place_base(plan, &m->place, &rest);
	auto_close int fd = path_try(base, *rest ? rest : ".", O_PATH | O_DIRECTORY);
	struct stat st;
	char mode[16];

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0; /* nothing there yet: the mount point will be made */
	snprintf(mode, sizeof(mode), "%o", st.st_mode & 07777);
	return set_option(fs, m, "mode", mode, err);
}

static int create(const struct ns_plan *plan, const struct ns_mount *m, int fs, struct error *err)
{
	char log[256];

	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		return 0;

	int code = errno;

	error_set(err, code, "mount %s on %s%s", m->type, m->place.path,
		  kernel_log(fs, log, sizeof(log)));
	hint(plan, m, code, err);
	return -code;
}

/* mqueue takes no context= but has labels: its root gets one before anyone sees it. */
static int relabel(const struct ns_mount *m, int fd, struct error *err)
{
	auto_close int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || fsetxattr(dir, "security.selinux", m->label, strlen(m->label), 0) < 0)
		return error_set(err, errno, "label %s with %s", m->place.path, m->label);
	return 0;
}

int ns_mount_fs(struct ns_plan *plan, struct ns_mount *m, const char *type, struct error *err)
{
	int fs = sys_fsopen(type);

	if (fs < 0) {
		int code = errno;

		error_set(err, code, "mount %s on %s: fsopen", type, m->place.path);
		hint(plan, m, code, err);
		return -code;
	}

	int r = set_options(fs, m, err);

	if (r == 0 && m->takes_mode)
		r = set_covered_mode(plan, m, fs, err);
	if (r == 0)
		r = create(plan, m, fs, err);
	if (r < 0)
		return r;

	int fd = sys_fsmount(fs, m->attr.set);

	if (fd < 0) {
		int code = errno;

		error_set(err, code, "mount %s on %s: fsmount", type, m->place.path);
		hint(plan, m, code, err);
		return -code;
	}
	if (m->rec_attr.set | m->rec_attr.clear)
		r = ns_set_attr(fd, AT_RECURSIVE, &m->rec_attr, m->place.path, err);
	if (r == 0 && m->copy_up)
		r = ns_copy_up(plan, m, fd, err);
	if (r == 0 && m->label && strcmp(type, "mqueue") == 0)
		r = relabel(m, fd, err);
	if (r == 0)
		r = ns_attach(plan, m, fd, true, err);
	if (r == 0)
		r = ns_propagate(plan, m, fd, err);
	return r;
}

int ns_remount_fs(struct ns_plan *plan, struct ns_mount *m, int target, struct error *err)
{
	auto_close int fs = sys_fspick(target);
	char log[256];

	(void)plan;
	if (fs < 0)
		return error_set(err, errno, "remount %s: fspick", m->place.path);

	int r = set_options(fs, m, err);

	if (r < 0)
		return r;
	if (sys_fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return error_set(err, errno, "remount %s%s", m->place.path,
				 kernel_log(fs, log, sizeof(log)));
	return 0;
}

int ns_new_fs(const char *type, uint64_t attr, struct error *err)
{
	int fs = sys_fsopen(type);

	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set(err, errno, "make an empty %s", type);

	int fd = sys_fsmount(fs, attr);

	if (fd < 0)
		return error_set(err, errno, "fsmount an empty %s", type);
	return fd;
}
