/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * disk - a file system in a file, on a loop device
 *
 *	disk.img   sparse, ext4; disk.new while it is being made
 *	loop       the number of the loop device, written before the device gets the file
 *
 * A file on two loop devices is two kernels' worth of caches over one disk. So nobody attaches it who has not asked
 * the device that the number names; the caller has the sandbox locked. Devices are cleared by the kernel when nothing
 * uses them any more (LO_FLAGS_AUTOCLEAR), which a kill between any two steps comes to as well.
 */

#include <stdint.h>

#include "spec/base/error.h"

enum disk_life { DISK_DISCARD, DISK_KEEP };

#define DISK_MIN_BYTES (1u << 20)

/* Makes disk.img in dir_fd unless it is there. -ENOENT with a hint when there is no mkfs.ext4. */
int disk_make(int dir_fd, uint64_t bytes, uint64_t inodes, enum disk_life life, struct error *err);

/* Mounts it: a mount attached nowhere. Twice is the same file system twice. */
int disk_mount(int dir_fd, enum disk_life life, struct error *err);

/* Nothing of what the file system at fd has in memory need be written any more. */
void disk_forget(int fd);
