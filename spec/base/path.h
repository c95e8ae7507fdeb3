/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * path - the only way into a root filesystem we do not trust
 *
 * Everything below a container's root is written by an enemy: any component may
 * be a symlink out, and may become one between two of our calls. So a container
 * path is never given to the kernel as a string to resolve from the host's
 * root. It is resolved once by openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
 * relative to the root's fd, and from then on the O_PATH fd is the object.
 * Creation walks parent by parent with mkdirat/mknodat on the parent's fd and
 * O_EXCL|O_NOFOLLOW; O_CREAT never meets an existing inode. (CVE-2019-16884,
 * CVE-2021-30465, CVE-2023-27561, CVE-2024-45310, CVE-2025-31133, CVE-2026-41579.)
 *
 * Paths are container paths: absolute or relative, always taken from root_fd.
 * `..` at the root stays there. tests/lint/ bans the string-path calls in the
 * rooms that handle container paths.
 */

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "spec/base/error.h"

/*
 * openat2() with RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS plus flags | O_CLOEXEC.
 * Retries EAGAIN (a racing rename). O_CREAT and O_TMPFILE are -EINVAL. Returns
 * the fd or -E….
 */
int path_open(int root_fd, const char *path, int flags, struct error *err);

/* As path_open(), but quiet: returns -errno, builds no message. For probing. */
int path_try(int root_fd, const char *path, int flags);

/* As path_try() with further RESOLVE_* bits or'ed in (RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV). */
int path_try_resolve(int root_fd, const char *path, int flags, unsigned long long resolve);

/*
 * Opens the directory O_PATH, making each missing component with mode. A
 * component that exists and is no directory is -ENOTDIR. Dangling symlinks are
 * resolved inside the root and their target is made.
 */
int path_mkdirs(int root_fd, const char *path, mode_t mode, struct error *err);

/*
 * Opens path O_PATH for use as a mount target, creating what is missing: a
 * directory when dir, else an empty regular file, parents with 0755. An
 * existing object of the other kind is refused (-ENOTDIR or -EISDIR).
 */
int path_make_target(int root_fd, const char *path, bool dir, struct error *err);

/*
 * Splits path into its parent, opened O_PATH (made with 0755 when make), and the
 * last component, written to name[NAME_MAX+1]. The last component is not
 * resolved. -EINVAL when there is none ("/", "..").
 */
int path_parent(int root_fd, const char *path, bool make, char *name, struct error *err);

/*
 * Lexically cleans an absolute or relative path into buf: no "//", ".", "..".
 * The result starts with '/'. -ENAMETOOLONG.
 */
int path_clean(const char *path, char *buf, size_t size);

/* Is `path` equal to or below `dir` (both cleaned)? Compares whole components. */
bool path_is_below(const char *path, const char *dir);
