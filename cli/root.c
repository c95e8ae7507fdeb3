/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/file.h"
#include "spec/base/path.h"

/* The host's own namespace maps everything onto itself (user_namespaces(7)). */
static bool in_user_namespace(void)
{
	char map[256];
	unsigned inside, outside, size;

	if (file_read_at(AT_FDCWD, "/proc/self/uid_map", map, sizeof(map), NULL) < 0)
		return false;
	return sscanf(map, "%u %u %u", &inside, &outside, &size) == 3 &&
	       !(inside == 0 && outside == 0 && size == UINT_MAX);
}

struct cli_caller cli_caller_now(void)
{
	return (struct cli_caller){
		.euid = (uid_t)getauxval(AT_EUID), /* the kernel has told us: no system call */
		.xdg_runtime_dir = getenv("XDG_RUNTIME_DIR"),
		.user = getenv("USER"),
		.in_user_namespace = in_user_namespace,
	};
}

static bool wants_users_own(const struct cli_caller *c)
{
	if (!c->xdg_runtime_dir || c->xdg_runtime_dir[0] != '/')
		return false;
	if (c->euid != 0)
		return true;
	if (c->user && !strcmp(c->user, "root"))
		return false;
	return c->in_user_namespace();
}

static int make_absolute(const char *path, char *buf, size_t size, struct error *err)
{
	char joined[PATH_MAX];
	char cwd[PATH_MAX];

	if (path[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd)))
			return error_set(err, errno, "find the current directory for --root %s",
					 path);
		if ((size_t)snprintf(joined, sizeof(joined), "%s/%s", cwd, path) >= sizeof(joined))
			return error_set(err, ENAMETOOLONG, "use %s/%s as --root", cwd, path);
		path = joined;
	}
	if (path_clean(path, buf, size) < 0)
		return error_set(err, ENAMETOOLONG, "use %s as --root", path);
	return 0;
}

int cli_root_find(const char *given, const struct cli_caller *caller, struct arena *a,
		  struct cli_root *ret, struct error *err)
{
	char path[PATH_MAX];

	if (!given && !wants_users_own(caller)) {
		*ret = (struct cli_root){ .path = CLI_DEFAULT_ROOT, .is_default = true };
		return 0;
	}
	if (!given) {
		if ((size_t)snprintf(path, sizeof(path), "%s/bulkhead", caller->xdg_runtime_dir) >=
		    sizeof(path))
			return error_set(err, ENAMETOOLONG, "use %s/bulkhead for state",
					 caller->xdg_runtime_dir);
		*ret = (struct cli_root){
			.path = arena_strdup(a, path),
			.is_default = true,
			.is_users_own = true,
		};
		return 0;
	}
	if (!given[0])
		return error_rule(err, EINVAL, "option --root is empty");

	int r = make_absolute(given, path, sizeof(path), err);

	if (r < 0)
		return r;
	if (!strcmp(path, "/"))
		return error_rule(err, EINVAL, "option --root must not be the root directory");
	*ret = (struct cli_root){ .path = arena_strdup(a, path) };
	return 0;
}

int cli_root_make_users_own(const char *path, struct error *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "create the directory %s", path);
	if (chmod(path, 01700) < 0)
		return error_set(err, errno, "set mode 1700 of %s", path);
	return 0;
}
