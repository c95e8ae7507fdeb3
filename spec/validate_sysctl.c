/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.sysctl: only what belongs to a namespace the container has for itself.
 * Anything else below /proc/sys is the host's (CVE-2022-0811 is what becomes of
 * a setting that slips through).
 */
#include "spec/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/show.h"

/* ipc_sysctls[] of ipc/ipc_sysctl.c; fs.mqueue.* is the rest. */
static const char *const ipc_files[] = {
	"auto_msgmni", "msg_next_id", "msgmax", "msgmnb", "msgmni", "sem",
	"sem_next_id", "shm_next_id", "shmall", "shmmax", "shmmni", "shm_rmid_forced",
};

/* Is every component of the path a name? An empty one, "." or ".." would lead elsewhere. */
static bool is_plain(const char *path)
{
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (!*p)
			return true;
	}
}

int spec_sysctl_path(const char *key, char *buf, size_t size)
{
	size_t n = strlen(key), first = strcspn(key, "./");
	bool has_dots = key[first] == '.';

	if (n >= size)
		return -ENAMETOOLONG;
	for (size_t i = 0; i <= n; i++)
		buf[i] = !has_dots ? key[i] : key[i] == '.' ? '/' : key[i] == '/' ? '.' : key[i];
	return is_plain(buf) ? 0 : -EINVAL;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

static bool is_ipc(const char *path)
{
	if (is_below(path, "fs/mqueue"))
		return true;
	if (!is_below(path, "kernel"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ipc_files); i++)
		if (strcmp(path + strlen("kernel/"), ipc_files[i]) == 0)
			return true;
	return false;
}

enum spec_ns_kind spec_sysctl_owner(const char *path)
{
	if (is_below(path, "net"))
		return SPEC_NS_NETWORK;
	if (is_below(path, "user"))
		return SPEC_NS_USER;
	if (is_ipc(path))
		return SPEC_NS_IPC;
	if (strcmp(path, "kernel/hostname") == 0 || strcmp(path, "kernel/domainname") == 0)
		return SPEC_NS_UTS;
	return SPEC_NAMESPACES;
}

static int check_names(const struct spec *spec, const char *key, const char *path,
		       struct error *err)
{
	const char *member = path + strlen("kernel/");
	bool is_hostname = strcmp(path, "kernel/hostname") == 0;

	/* Both would be set, and which one lasts would be an accident of order. */
	if (is_hostname || (strcmp(path, "kernel/domainname") == 0 && spec->domainname)) {
		int r = error_rule(err, EINVAL,
				   "sysctl %s conflicts with the config's own member %s",
				   show(key).text, member);

		return rule_hint(r, err, "remove the sysctl and set %s", member);
	}
	return 0;
}

static int check_one(const struct spec *spec, const char *key, struct error *err)
{
	char path[256];
	int r = spec_sysctl_path(key, path, sizeof(path));

	if (r < 0)
		return error_rule(err, EINVAL, "sysctl %s is no name below /proc/sys",
				  show(key).text);

	enum spec_ns_kind owner = spec_sysctl_owner(path);

	if (owner == SPEC_NAMESPACES)
		return error_rule(err, EINVAL,
				  "sysctl %s belongs to no namespace: it would change the host",
				  show(key).text);
	if (!spec->linux_.ns[owner].listed)
		return error_rule(err, EINVAL,
				  "sysctl %s belongs to the %s namespace, and the config asks for "
				  "none: it would change the host",
				  show(key).text, spec_ns_name(owner));
	return check_names(spec, key, path, err);
}

int check_sysctl(const struct spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->linux_.n_sysctl; i++) {
		const char *key = spec->linux_.sysctl[i].key;
		int r = check_one(spec, key, err);

		if (r < 0)
			return rule_at(r, err, "/linux/sysctl/%s", show_token(key).text);
	}
	return 0;
}
