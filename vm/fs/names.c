/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that a guest sends: file names and names of extended attributes.
 */
#include <errno.h>
#include <string.h>

#include "vm/fs/internal.h"

/*
 * One component of a path and nothing that means another directory. Linux never sends "." or
 * ".." (without FUSE_EXPORT_SUPPORT), a guest out to leave its root does.
 */
bool name_is_component(const char *name, size_t len)
{
	if (len == 0 || len > NAME_LEN || memchr(name, '/', len) || memchr(name, '\0', len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

static bool starts(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/*
 * What a local file system has for a container: users' own attributes, file capabilities and ACLs.
 * trusted.* is the host administrator's, and overlayfs keeps its own state (whiteouts, opaque
 * directories, redirects) in trusted.overlay.* or user.overlay.*: a guest that wrote those could make
 * the next mount of its layers show other files.
 */
int name_check_xattr(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_LEN)
		return -ERANGE;
	if (starts(name, "user."))
		return starts(name, "user.overlay.") ? -EOPNOTSUPP : 0;
	if (strcmp(name, "security.capability") == 0 || strcmp(name, "system.posix_acl_access") == 0 ||
	    strcmp(name, "system.posix_acl_default") == 0)
		return 0;
	return -EOPNOTSUPP;
}
