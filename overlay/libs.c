/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See libs.h.
 */
#include "overlay/libs.h"

#include <errno.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/dl.h"

#define LA(field, symbol) { "archive_" symbol, offsetof(struct la_lib, field) }

static const struct dl_symbol la_symbols[] = {
	LA(read_new, "read_new"),
	LA(read_free, "read_free"),
	LA(support_filter_gzip, "read_support_filter_gzip"),
	LA(support_filter_zstd, "read_support_filter_zstd"),
	LA(support_format_tar, "read_support_format_tar"),
	LA(support_format_raw, "read_support_format_raw"),
	LA(support_format_empty, "read_support_format_empty"),
	LA(open, "read_open"),
	LA(open_memory, "read_open_memory"),
	LA(next_header, "read_next_header"),
	LA(data_block, "read_data_block"),
	LA(data_skip, "read_data_skip"),
	LA(error_string, "error_string"),
	LA(error_number, "errno"),
	LA(filter_code, "filter_code"),
	LA(pathname, "entry_pathname"),
	LA(hardlink, "entry_hardlink"),
	LA(symlink, "entry_symlink"),
	LA(mode, "entry_mode"),
	LA(uid, "entry_uid"),
	LA(gid, "entry_gid"),
	LA(size, "entry_size"),
	LA(mtime, "entry_mtime"),
	LA(mtime_nsec, "entry_mtime_nsec"),
	LA(rdevmajor, "entry_rdevmajor"),
	LA(rdevminor, "entry_rdevminor"),
	LA(xattr_reset, "entry_xattr_reset"),
	LA(xattr_next, "entry_xattr_next"),
	LA(write_new, "write_new"),
	LA(write_free, "write_free"),
	LA(add_filter_gzip, "write_add_filter_gzip"),
	LA(add_filter_zstd, "write_add_filter_zstd"),
	LA(set_filter_option, "write_set_filter_option"),
	LA(set_format_raw, "write_set_format_raw"),
	LA(set_bytes_per_block, "write_set_bytes_per_block"),
	LA(set_bytes_in_last_block, "write_set_bytes_in_last_block"),
	LA(write_open, "write_open"),
	LA(write_header, "write_header"),
	LA(write_data, "write_data"),
	LA(write_close, "write_close"),
	LA(entry_new, "entry_new"),
	LA(entry_free, "entry_free"),
	LA(set_filetype, "entry_set_filetype"),
	LA(set_pathname, "entry_set_pathname"),
};

static const struct dl_symbol sha_symbols[] = {
	{ "nettle_sha256_init", offsetof(struct sha_lib, init) },
	{ "nettle_sha256_update", offsetof(struct sha_lib, update) },
	{ "nettle_sha256_digest", offsetof(struct sha_lib, digest) },
};

int libs_load(struct libs *ret, struct error *err)
{
	int r = dl_load("libarchive.so.13", "libarchive13", la_symbols, ARRAY_SIZE(la_symbols), &ret->la,
			err);

	if (r < 0)
		return error_wrap(err, r, "cannot read image archives");
	r = dl_load("libnettle.so.8", "libnettle8", sha_symbols, ARRAY_SIZE(sha_symbols), &ret->sha, err);
	return r < 0 ? error_wrap(err, r, "cannot check digests") : 0;
}

void sha256_begin(const struct libs *l, struct sha256 *s)
{
	l->sha.init(s->state);
}

void sha256_add(const struct libs *l, struct sha256 *s, const void *bytes, size_t n)
{
	l->sha.update(s->state, n, bytes);
}

void sha256_end(const struct libs *l, struct sha256 *s, unsigned char ret[static 32])
{
	l->sha.digest(s->state, 32, ret);
}

void hex_of(const unsigned char bytes[static 32], char ret[static OVL_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 32; i++) {
		ret[2 * i] = digits[bytes[i] >> 4];
		ret[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret[64] = '\0';
}

void sha256_end_hex(const struct libs *l, struct sha256 *s, char ret[static OVL_HEX_BYTES])
{
	unsigned char bytes[32];

	sha256_end(l, s, bytes);
	hex_of(bytes, ret);
}

void sha256_of(const struct libs *l, const void *bytes, size_t n, char ret[static OVL_HEX_BYTES])
{
	struct sha256 s;

	sha256_begin(l, &s);
	sha256_add(l, &s, bytes, n);
	sha256_end_hex(l, &s, ret);
}

bool is_hex_digest(const char *hex)
{
	return strspn(hex, "0123456789abcdef") == 64 && !hex[64];
}

int digest_parse(const char *digest, char ret[static OVL_HEX_BYTES])
{
	static const char algorithm[] = "sha256:";

	/* image-spec, descriptor.md: lower case only, so that a digest has one spelling. */
	if (strncmp(digest, algorithm, sizeof(algorithm) - 1) != 0 ||
	    !is_hex_digest(digest + sizeof(algorithm) - 1))
		return -EINVAL;
	memcpy(ret, digest + sizeof(algorithm) - 1, OVL_HEX_BYTES);
	return 0;
}
