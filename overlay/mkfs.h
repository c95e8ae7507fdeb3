/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * mkfs - the one program that the store starts
 */

#include <stdbool.h>
#include <stdint.h>

#include "spec/base/error.h"

/*
 * Makes an ext4 file system in the sparse file dir_fd/name. inodes: 0 for a number that fits the size. With a journal
 * it is in order again after a power cut. -ENOENT with a hint when mkfs.ext4 is not installed; -ETIMEDOUT after a minute.
 */
int mkfs_ext4(int dir_fd, const char *name, uint64_t inodes, bool has_journal, struct error *err);
