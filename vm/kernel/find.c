/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find - which of the kernels that a host has (kernel.h has the order)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "spec/base/auto.h"
#include "vm/kernel/kernel.h"

/* Where `make install` puts what `make guest-kernel` made, and where a package would. */
static const char *const own[] = { "/usr/local/lib/bulkhead/vmlinux", "/usr/lib/bulkhead/vmlinux" };
static const char prefix[] = "vmlinuz-";
static const char cloud[] = "-cloud-amd64";

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* 6.12.9 before 6.12.10: numbers by value, the rest by letter, as `sort -V`. */
static int compare_versions(const char *a, const char *b)
{
	return strverscmp(a, b);
}

static void newest_cloud_kernel(const char *boot, char *ret, size_t size)
{
	auto_closedir DIR *dir = opendir(boot);
	struct dirent *e;

	ret[0] = 0;
	while (dir && (e = readdir(dir))) {
		size_t n = strlen(e->d_name);

		if (strncmp(e->d_name, prefix, sizeof(prefix) - 1) || n < sizeof(cloud) ||
		    strcmp(e->d_name + n - (sizeof(cloud) - 1), cloud))
			continue;
		if (!ret[0] || compare_versions(e->d_name, ret) > 0)
			snprintf(ret, size, "%s", e->d_name);
	}
}

/* The modules of /boot/vmlinuz-X are in /lib/modules/X; those of a kernel elsewhere may lie beside it. */
static void find_modules(const char *root, struct vm_kernel_choice *c)
{
	const char *base = strrchr(c->path, '/');
	int n;

	base = base ? base + 1 : c->path;
	if (!strncmp(base, prefix, sizeof(prefix) - 1)) {
		n = snprintf(c->modules, sizeof(c->modules), "%s/lib/modules/%s", root,
			     base + sizeof(prefix) - 1);
		if (n < (int)sizeof(c->modules) && is_directory(c->modules))
			return;
	}
	n = snprintf(c->modules, sizeof(c->modules), "%.*s/modules",
		     base > c->path ? (int)(base - 1 - c->path) : 1, base > c->path ? c->path : ".");
	if (n >= (int)sizeof(c->modules) || !is_directory(c->modules))
		c->modules[0] = 0;
}

static bool choose(const char *root, struct vm_kernel_choice *c, const char *directory, const char *name)
{
	int n = snprintf(c->path, sizeof(c->path), "%s%s%s", root, directory, name);

	return n < (int)sizeof(c->path) && is_file(c->path);
}

int vm_kernel_find(const struct vm_kernel_wish *wish, struct vm_kernel_choice *ret, struct error *err)
{
	const char *named = wish->bundle ? wish->bundle : wish->option;
	const char *root = wish->root ? wish->root : "";
	char boot[PATH_MAX], name[NAME_MAX + 1];
	struct utsname u;

	if (named) {
		if (snprintf(ret->path, sizeof(ret->path), "%s", named) >= (int)sizeof(ret->path))
			return error_set(err, ENAMETOOLONG, "use the kernel %.100s…", named);
		if (!is_file(named))
			return error_rule(err, ENOENT, "there is no kernel %s", named);
		find_modules(root, ret);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (choose(root, ret, own[i], "")) {
			find_modules(root, ret);
			return 0;
		}
	snprintf(boot, sizeof(boot), "%s/boot", root);
	newest_cloud_kernel(boot, name, sizeof(name));
	if (!name[0]) {
		if (!wish->running && uname(&u) < 0)
			return error_set(err, errno, "learn the release of the running kernel");
		snprintf(name, sizeof(name), "%s%s", prefix, wish->running ? wish->running : u.release);
	}
	if (!choose(root, ret, "/boot/", name)) {
		int r = error_rule(err, ENOENT, "there is no kernel for a virtual machine in %s", boot);

		error_hint(err, "install the package linux-image-cloud-amd64, or name one with --kernel");
		return r;
	}
	find_modules(root, ret);
	return 0;
}
