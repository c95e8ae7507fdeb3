/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * wire - what linux/fuse.h of older distributions does not know yet
 *
 * The layouts are ABI and come from linux/fuse.h; only what is newer than the
 * header of Linux 6.1 (FUSE 7.38) is written down here.
 */

#include <linux/fuse.h>
#include <stdint.h>

/* What FUSE_INIT answers. The oldest guest that is served asks for 7.31 (Linux 5.5). */
#define WIRE_MINOR     39
#define WIRE_MINOR_MIN 31

/* 7.39, Linux 6.6 */
#define WIRE_STATX 52

struct wire_statx_in {
	uint32_t getattr_flags;
	uint32_t reserved;
	uint64_t fh;
	uint32_t sx_flags;
	uint32_t sx_mask;
};

struct wire_statx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct wire_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t spare0;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct wire_statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare2[14];
};

struct wire_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct wire_statx stat;
};

_Static_assert(sizeof(struct wire_statx) == 256 && sizeof(struct wire_statx_out) == 288, "linux/fuse.h, 7.39");
