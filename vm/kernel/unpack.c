/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See unpack.h. Types and numbers are those of zlib 1, liblzma 5, zstd 1, lz4 1 and nettle 3.
 */
#include "vm/kernel/unpack.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/dl.h"

static const struct {
	enum pack pack;
	const char *name;
	uint8_t n, magic[6];
} formats[] = {
	{ PACK_NONE, "ELF", 4, { 0x7f, 'E', 'L', 'F' } },
	{ PACK_GZIP, "gzip", 2, { 0x1f, 0x8b } },
	{ PACK_XZ, "xz", 6, { 0xfd, '7', 'z', 'X', 'Z', 0 } },
	{ PACK_ZSTD, "zstd", 4, { 0x28, 0xb5, 0x2f, 0xfd } },
	/* The legacy format, which has no header but this (lz4: doc/lz4_Frame_format.md). */
	{ PACK_LZ4, "lz4", 4, { 0x02, 0x21, 0x4c, 0x18 } },
};

enum pack pack_of(const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (n >= formats[i].n && !memcmp(data, formats[i].magic, formats[i].n))
			return formats[i].pack;
	return PACK_OTHER;
}

const char *pack_name(enum pack pack)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].pack == pack)
			return formats[i].name;
	return "unknown";
}

static int damaged(enum pack pack, struct error *err)
{
	return error_rule(err, EBADMSG, "the %s data is damaged", pack_name(pack));
}

/* ---- zlib ---- */

struct z_stream {
	const uint8_t *next_in;
	unsigned avail_in;
	unsigned long total_in;
	uint8_t *next_out;
	unsigned avail_out;
	unsigned long total_out;
	const char *msg;
	void *state, *zalloc, *zfree, *opaque;
	int data_type;
	unsigned long adler, reserved;
};

enum { Z_OK = 0, Z_STREAM_END = 1, Z_BUF_ERROR = -5, Z_FINISH = 4, Z_GZIP = 16 + 15 };

struct zlib {
	int (*init)(struct z_stream *s, int bits, const char *version, int size);
	int (*inflate)(struct z_stream *s, int flush);
	int (*end)(struct z_stream *s);
};

static int unpack_gzip(const uint8_t *data, size_t n, uint8_t *out, size_t size, size_t *ret_n,
		       struct error *err)
{
	static const struct dl_symbol symbols[] = {
		{ "inflateInit2_", offsetof(struct zlib, init) },
		{ "inflate", offsetof(struct zlib, inflate) },
		{ "inflateEnd", offsetof(struct zlib, end) },
	};
	struct zlib z;
	int r = dl_load("libz.so.1", "zlib1g", symbols, ARRAY_SIZE(symbols), &z, err);

	if (r < 0)
		return r;
	if (n > UINT_MAX || size > UINT_MAX)
		return error_rule(err, EFBIG, "gzip data of 4 GiB or more");

	struct z_stream s = {
		.next_in = data,
		.avail_in = (unsigned)n,
		.next_out = out,
		.avail_out = (unsigned)size,
	};

	if (z.init(&s, Z_GZIP, "1", (int)sizeof(s)) != Z_OK)
		return error_set(err, ENOMEM, "start zlib");
	r = z.inflate(&s, Z_FINISH);
	z.end(&s);
	*ret_n = s.total_out;
	if (r == Z_STREAM_END)
		return 0;
	return s.avail_out == 0 ? -ENOSPC : damaged(PACK_GZIP, err);
}

/* ---- liblzma ---- */

struct lzma {
	int (*decode)(uint64_t *memlimit, uint32_t flags, const void *allocator, const uint8_t *in,
		      size_t *in_pos, size_t in_size, uint8_t *out, size_t *out_pos, size_t out_size);
};

enum { LZMA_OK = 0, LZMA_MEMLIMIT_ERROR = 6, LZMA_BUF_ERROR = 10 };

static int unpack_xz(const uint8_t *data, size_t n, uint8_t *out, size_t size, size_t *ret_n,
		     struct error *err)
{
	static const struct dl_symbol symbols[] = {
		{ "lzma_stream_buffer_decode", offsetof(struct lzma, decode) },
	};
	uint64_t limit = 256u << 20;
	size_t in = 0, done = 0;
	struct lzma l;
	int r = dl_load("liblzma.so.5", "liblzma5", symbols, ARRAY_SIZE(symbols), &l, err);

	if (r < 0)
		return r;
	r = l.decode(&limit, 0, NULL, data, &in, n, out, &done, size);
	*ret_n = done;
	if (r == LZMA_OK)
		return 0;
	if (r == LZMA_MEMLIMIT_ERROR)
		return error_rule(err, EFBIG, "the xz data wants %llu bytes of memory",
				  (unsigned long long)limit);
	return r == LZMA_BUF_ERROR ? -ENOSPC : damaged(PACK_XZ, err);
}

/* ---- zstd ---- */

struct zstd {
	size_t (*decompress)(void *out, size_t size, const void *in, size_t n);
	unsigned (*is_error)(size_t code);
	int (*error_code)(size_t code);
};

enum { ZSTD_DST_SIZE_TOO_SMALL = 70 };

static int unpack_zstd(const uint8_t *data, size_t n, uint8_t *out, size_t size, size_t *ret_n,
		       struct error *err)
{
	static const struct dl_symbol symbols[] = {
		{ "ZSTD_decompress", offsetof(struct zstd, decompress) },
		{ "ZSTD_isError", offsetof(struct zstd, is_error) },
		{ "ZSTD_getErrorCode", offsetof(struct zstd, error_code) },
	};
	struct zstd z;
	int r = dl_load("libzstd.so.1", "libzstd1", symbols, ARRAY_SIZE(symbols), &z, err);

	if (r < 0)
		return r;

	size_t done = z.decompress(out, size, data, n);

	if (z.is_error(done))
		return z.error_code(done) == ZSTD_DST_SIZE_TOO_SMALL ? -ENOSPC : damaged(PACK_ZSTD, err);
	*ret_n = done;
	return 0;
}

/* ---- lz4 ---- */

struct lz4 {
	int (*decompress)(const char *in, char *out, int n, int size);
};

static int unpack_lz4(const uint8_t *data, size_t n, uint8_t *out, size_t size, size_t *ret_n,
		      struct error *err)
{
	static const struct dl_symbol symbols[] = {
		{ "LZ4_decompress_safe", offsetof(struct lz4, decompress) },
	};
	struct lz4 l;
	int r = dl_load("liblz4.so.1", "liblz4-1", symbols, ARRAY_SIZE(symbols), &l, err);
	size_t at = 4, done = 0;

	if (r < 0)
		return r;
	while (at < n) {
		uint32_t block;

		if (n - at < sizeof(block))
			return damaged(PACK_LZ4, err);
		memcpy(&block, data + at, sizeof(block));
		at += sizeof(block);
		if (block == 0 || block > n - at || block > INT_MAX)
			return damaged(PACK_LZ4, err);

		size_t room = size - done < INT_MAX ? size - done : INT_MAX;

		r = l.decompress((const char *)data + at, (char *)out + done, (int)block, (int)room);
		if (r < 0)
			return damaged(PACK_LZ4, err);
		done += (size_t)r;
		at += block;
	}
	*ret_n = done;
	return 0;
}

int unpack(enum pack pack, const uint8_t *data, size_t n, uint8_t *out, size_t size, size_t *ret_n,
	   struct error *err)
{
	switch (pack) {
	case PACK_GZIP:
		return unpack_gzip(data, n, out, size, ret_n, err);
	case PACK_XZ:
		return unpack_xz(data, n, out, size, ret_n, err);
	case PACK_ZSTD:
		return unpack_zstd(data, n, out, size, ret_n, err);
	case PACK_LZ4:
		return unpack_lz4(data, n, out, size, ret_n, err);
	case PACK_NONE:
	case PACK_OTHER:
		break;
	}
	return error_rule(err, ENOTSUP, "the data is packed in a way that is not known");
}

/* ---- nettle ---- */

struct sha {
	void (*init)(void *state);
	void (*update)(void *state, size_t n, const uint8_t *bytes);
	void (*digest)(void *state, size_t n, uint8_t *ret);
};

int sha256_hex(const void *data, size_t n, char ret[static 65], struct error *err)
{
	static const struct dl_symbol symbols[] = {
		{ "nettle_sha256_init", offsetof(struct sha, init) },
		{ "nettle_sha256_update", offsetof(struct sha, update) },
		{ "nettle_sha256_digest", offsetof(struct sha, digest) },
	};
	_Alignas(16) uint8_t state[256]; /* nettle's has 112 bytes */
	uint8_t digest[32];
	struct sha s;
	int r = dl_load("libnettle.so.8", "libnettle8", symbols, ARRAY_SIZE(symbols), &s, err);

	if (r < 0)
		return r;
	s.init(state);
	s.update(state, n, data);
	s.digest(state, sizeof(digest), digest);
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	return 0;
}
