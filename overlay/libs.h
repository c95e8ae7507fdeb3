/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * libs - libarchive and nettle, opened on first use
 *
 * The one place that knows their interfaces. Types and numbers are those of libarchive 3 (soname 13) and
 * nettle 3 (soname 8). Nettle, since libarchive depends on it: no further package, and it uses the
 * processor's SHA instructions.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "overlay/overlay.h"
#include "spec/base/error.h"

struct archive;
struct archive_entry;

/* Results of libarchive's functions: at or below LA_FAILED there is no entry. */
enum { LA_EOF = 1, LA_OK = 0, LA_RETRY = -10, LA_WARN = -20, LA_FAILED = -25, LA_FATAL = -30 };

typedef ssize_t la_read_callback(struct archive *a, void *data, const void **ret);
typedef ssize_t la_write_callback(struct archive *a, void *data, const void *bytes, size_t n);

struct la_lib {
	struct archive *(*read_new)(void);
	int (*read_free)(struct archive *a);
	int (*support_filter_gzip)(struct archive *a);
	int (*support_filter_zstd)(struct archive *a);
	int (*support_format_tar)(struct archive *a);
	int (*support_format_raw)(struct archive *a);
	int (*support_format_empty)(struct archive *a);
	int (*open)(struct archive *a, void *data, int (*open)(struct archive *, void *),
		    la_read_callback *read, int (*close)(struct archive *, void *));
	int (*open_memory)(struct archive *a, const void *bytes, size_t n);
	int (*next_header)(struct archive *a, struct archive_entry **ret);
	int (*data_block)(struct archive *a, const void **ret, size_t *ret_n, int64_t *ret_offset);
	int (*data_skip)(struct archive *a);
	const char *(*error_string)(struct archive *a);
	int (*error_number)(struct archive *a);
	int (*filter_code)(struct archive *a, int i);

	const char *(*pathname)(struct archive_entry *e);
	const char *(*hardlink)(struct archive_entry *e);
	const char *(*symlink)(struct archive_entry *e);
	mode_t (*mode)(struct archive_entry *e);
	int64_t (*uid)(struct archive_entry *e);
	int64_t (*gid)(struct archive_entry *e);
	int64_t (*size)(struct archive_entry *e);
	time_t (*mtime)(struct archive_entry *e);
	long (*mtime_nsec)(struct archive_entry *e);
	dev_t (*rdevmajor)(struct archive_entry *e);
	dev_t (*rdevminor)(struct archive_entry *e);
	int (*xattr_reset)(struct archive_entry *e);
	int (*xattr_next)(struct archive_entry *e, const char **name, const void **value, size_t *n);

	/* Writing: compression alone (pack.h). */
	struct archive *(*write_new)(void);
	int (*write_free)(struct archive *a);
	int (*add_filter_gzip)(struct archive *a);
	int (*add_filter_zstd)(struct archive *a);
	int (*set_filter_option)(struct archive *a, const char *filter, const char *option, const char *value);
	int (*set_format_raw)(struct archive *a);
	int (*set_bytes_per_block)(struct archive *a, int n);
	int (*set_bytes_in_last_block)(struct archive *a, int n);
	int (*write_open)(struct archive *a, void *data, int (*open)(struct archive *, void *),
			  la_write_callback *write, int (*close)(struct archive *, void *));
	int (*write_header)(struct archive *a, struct archive_entry *e);
	ssize_t (*write_data)(struct archive *a, const void *bytes, size_t n);
	int (*write_close)(struct archive *a);
	struct archive_entry *(*entry_new)(void);
	void (*entry_free)(struct archive_entry *e);
	void (*set_filetype)(struct archive_entry *e, unsigned type);
	void (*set_pathname)(struct archive_entry *e, const char *name);
};

/* The state of a digest. Room enough for nettle's, which has 112 bytes. */
struct sha256 {
	_Alignas(16) unsigned char state[256];
};

struct sha_lib {
	void (*init)(void *state);
	void (*update)(void *state, size_t n, const uint8_t *bytes);
	void (*digest)(void *state, size_t n, uint8_t *ret);
};

struct libs {
	struct la_lib la;
	struct sha_lib sha;
};

/* -ENOENT with the package to install, -ENOTSUP in a build that cannot load libraries. */
int libs_load(struct libs *ret, struct error *err);

void sha256_begin(const struct libs *l, struct sha256 *s);
void sha256_add(const struct libs *l, struct sha256 *s, const void *bytes, size_t n);
void sha256_end(const struct libs *l, struct sha256 *s, unsigned char ret[static 32]);
void sha256_end_hex(const struct libs *l, struct sha256 *s, char ret[static OVL_HEX_BYTES]);
void sha256_of(const struct libs *l, const void *bytes, size_t n, char ret[static OVL_HEX_BYTES]);

void hex_of(const unsigned char bytes[static 32], char ret[static OVL_HEX_BYTES]);

/* The 64 digits of "sha256:…" into ret. -EINVAL for what is no such digest. */
int digest_parse(const char *digest, char ret[static OVL_HEX_BYTES]);
/* Are these 64 lower-case hex digits and nothing else? */
bool is_hex_digest(const char *hex);
