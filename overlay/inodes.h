/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * inodes - what is known of a file by its inode number
 *
 * While a layer is unpacked the digest of each file is taken as it is written, and found again by the
 * file's inode number when the listing is made: no byte is read back. The listing finds hard links the
 * same way.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inode {
	uint64_t number; /* 0: the slot is free */
	size_t first; /* 1 + where in the listing the path of its first name is; 0: not listed yet */
	bool has_digest;
	unsigned char digest[32];
};

struct inodes {
	struct inode *slots;
	size_t n, cap; /* cap is a power of two, or 0 */
};

/* The entry of that number, or NULL. */
struct inode *inodes_find(const struct inodes *set, uint64_t number);
/* The same, made when missing. What it points to moves with the next call. */
struct inode *inodes_get(struct inodes *set, uint64_t number);
void inodes_release(struct inodes *set);
#define auto_inodes __attribute__((cleanup(inodes_release)))
