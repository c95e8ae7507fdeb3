/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * stx - statx(2), which musl before 1.2.5 does not have
 *
 * linux/stat.h cannot be included next to musl's sys/stat.h, so the layout (ABI since Linux 4.11, mount
 * ids since 5.8) is written down again.
 */

#include <stdint.h>

struct stx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct stx {
	uint32_t stx_mask, stx_blksize;
	uint64_t stx_attributes;
	uint32_t stx_nlink, stx_uid, stx_gid;
	uint16_t stx_mode, spare0;
	uint64_t stx_ino, stx_size, stx_blocks, stx_attributes_mask;
	struct stx_time stx_atime, stx_btime, stx_ctime, stx_mtime;
	uint32_t stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
	uint64_t stx_mnt_id;
	uint32_t stx_dio_mem_align, stx_dio_offset_align;
	uint64_t spare3[12];
};

_Static_assert(sizeof(struct stx) == 256, "linux/stat.h");

#define STX_BASIC           0x7ffu
#define STX_BTIME           0x800u
#define STX_MNT_ID          0x1000u
#define STX_ATTR_MOUNT_ROOT 0x2000u
