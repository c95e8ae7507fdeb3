/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See pack.h.
 */
#include "overlay/pack.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

#define BLOCK_BYTES (128 << 10) /* of a write to the file */

const char *pack_media_type(enum ovl_compression c)
{
	switch (c) {
	case OVL_ZSTD:
		return "application/vnd.oci.image.layer.v1.tar+zstd";
	case OVL_PLAIN:
		return "application/vnd.oci.image.layer.v1.tar";
	default:
		return "application/vnd.oci.image.layer.v1.tar+gzip";
	}
}

static int write_packed(struct pack *p, const void *bytes, size_t n, struct error *err)
{
	int r = file_write_all(p->fd, p->name, bytes, n, err);

	if (r < 0)
		return r;
	sha256_add(p->libs, &p->packed, bytes, n);
	p->packed_bytes += n;
	return 0;
}

static ssize_t from_archive(struct archive *a, void *data, const void *bytes, size_t n)
{
	struct pack *p = data;

	(void)a;
	if (write_packed(p, bytes, n, &p->why) == 0)
		return (ssize_t)n;
	return -1;
}

static int archive_error(struct pack *p, struct error *err)
{
	const char *why = p->archive ? p->libs->la.error_string(p->archive) : NULL;

	if (p->why.code) {
		if (err)
			*err = p->why;
		return -p->why.code;
	}
	return error_rule(err, EIO, "compress %s: %s", p->name, why ? why : "no reason given");
}

/* RFC 1952 has a time and a name in its header: libarchive writes neither when told so. */
static int set_filter(const struct pack *p, int level)
{
	const struct la_lib *la = &p->libs->la;
	bool is_gzip = p->compression == OVL_GZIP;
	char text[16];

	if ((is_gzip ? la->add_filter_gzip(p->archive) : la->add_filter_zstd(p->archive)) != LA_OK)
		return LA_FATAL;
	if (is_gzip && la->set_filter_option(p->archive, "gzip", "timestamp", NULL) != LA_OK)
		return LA_FATAL;
	snprintf(text, sizeof(text), "%d", level);
	return level ? la->set_filter_option(p->archive, is_gzip ? "gzip" : "zstd", "compression-level", text) :
		       LA_OK;
}

static int open_archive(struct pack *p, int level, struct error *err)
{
	const struct la_lib *la = &p->libs->la;

	p->archive = la->write_new();
	p->entry = la->entry_new();
	if (!p->archive || !p->entry)
		return error_set(err, ENOMEM, "prepare to compress %s", p->name);
	la->set_filetype(p->entry, S_IFREG);
	la->set_pathname(p->entry, "layer");
	la->set_bytes_per_block(p->archive, BLOCK_BYTES);
	la->set_bytes_in_last_block(p->archive, 1); /* no filling */
	if (la->set_format_raw(p->archive) != LA_OK || set_filter(p, level) != LA_OK ||
	    la->write_open(p->archive, p, NULL, from_archive, NULL) != LA_OK ||
	    la->write_header(p->archive, p->entry) != LA_OK)
		return archive_error(p, err);
	return 0;
}

int pack_begin(struct pack *p, const struct libs *libs, int fd, const char *name, enum ovl_compression c,
	       int level, struct error *err)
{
	*p = (struct pack){ .libs = libs, .fd = fd, .name = name, .compression = c };
	sha256_begin(libs, &p->packed);
	sha256_begin(libs, &p->unpacked);
	return c == OVL_PLAIN ? 0 : open_archive(p, level, err);
}

int pack_add(struct pack *p, const void *bytes, size_t n, struct error *err)
{
	p->unpacked_bytes += n;
	if (p->compression == OVL_PLAIN)
		return write_packed(p, bytes, n, err);
	sha256_add(p->libs, &p->unpacked, bytes, n);
	for (const char *from = bytes; n > 0;) {
		ssize_t done = p->libs->la.write_data(p->archive, from, n);

		if (done <= 0)
			return archive_error(p, err);
		from += done;
		n -= (size_t)done;
	}
	return 0;
}

int pack_end(struct pack *p, struct error *err)
{
	if (p->archive && p->libs->la.write_close(p->archive) != LA_OK)
		return archive_error(p, err);
	sha256_end_hex(p->libs, &p->packed, p->blob_hex);
	if (p->compression == OVL_PLAIN)
		snprintf(p->diff_hex, sizeof(p->diff_hex), "%s", p->blob_hex);
	else
		sha256_end_hex(p->libs, &p->unpacked, p->diff_hex);
	return 0;
}

void pack_release(struct pack *p)
{
	if (p->entry)
		p->libs->la.entry_free(p->entry);
	if (p->archive)
		p->libs->la.write_free(p->archive); /* closes it first, which may write: to nobody by now */
	p->entry = NULL;
	p->archive = NULL;
}
