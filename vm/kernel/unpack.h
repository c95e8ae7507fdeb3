/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * unpack - gzip, xz, zstd and lz4, by libraries that are opened on first use
 */

#include <stddef.h>
#include <stdint.h>

#include "spec/base/error.h"

enum pack { PACK_NONE, PACK_GZIP, PACK_XZ, PACK_ZSTD, PACK_LZ4, PACK_OTHER };

/* By the first bytes. PACK_NONE: an ELF file. */
enum pack pack_of(const uint8_t *data, size_t n);
const char *pack_name(enum pack pack);

/*
 * Unpacks n bytes into out. -ENOSPC when they are more than size (no message is right then, and none is set:
 * the caller makes room or says what was too big), -EBADMSG when they are damaged.
 */
int unpack(enum pack pack, const uint8_t *data, size_t n, uint8_t *out, size_t size, size_t *ret_n,
	   struct error *err);

/* SHA-256 as 64 hex digits. */
int sha256_hex(const void *data, size_t n, char ret[static 65], struct error *err);
