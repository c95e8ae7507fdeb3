/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * quota - limits of a directory tree by a project id (quotactl_fd(2))
 *
 * fd is of any file or directory of the file system.
 */

#include <stdbool.h>
#include <stdint.h>

#include "spec/base/error.h"

/* Does the file system have project quotas, and keep to them (mounted with prjquota)? */
bool quota_is_enforced(int fd);

/*
 * A project id that nobody has a limit for or files of, near one that follows from fd's inode number: two stores of
 * one file system look in different places. The caller has the lock of its store alone until quota_set().
 */
int quota_find_project(int fd, uint32_t *ret, struct error *err);

/* Limits of a project, 0: none. Without any, the project is free again once its files are gone. */
int quota_set(int fd, uint32_t project, uint64_t max_bytes, uint64_t max_inodes, struct error *err);

/* Puts an open directory into the project, and what will be made in it. */
int quota_join(int dir_fd, uint32_t project, struct error *err);

int quota_usage(int fd, uint32_t project, uint64_t *ret_bytes, uint64_t *ret_inodes, struct error *err);
