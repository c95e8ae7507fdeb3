/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See stream.h. What runs in the thread uses its own struct error and nothing of the caller's.
 */
#include "overlay/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"

#define INPUT_BYTES (256u << 10)

/* ---- the ring ---- */

/* Waits for an empty chunk; NULL when nobody wants more. */
static struct stream_chunk *chunk_to_fill(struct stream *s)
{
	pthread_mutex_lock(&s->mutex);
	while (s->head - s->tail == STREAM_CHUNKS && !s->abandoned)
		pthread_cond_wait(&s->changed, &s->mutex);

	struct stream_chunk *c = s->abandoned ? NULL : &s->chunks[s->head % STREAM_CHUNKS];

	pthread_mutex_unlock(&s->mutex);
	return c;
}

static void chunk_filled(struct stream *s)
{
	pthread_mutex_lock(&s->mutex);
	s->head++;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mutex);
}

/* ---- in the thread ---- */

static ssize_t read_blob(struct stream *s, void *to, size_t n)
{
	uint64_t left = s->blob.size - s->read;
	ssize_t got;

	if (n > left)
		n = left;
	if (n == 0)
		return 0;
	do {
		got = pread(s->blob.fd, to, n, (off_t)(s->blob.offset + s->read));
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_set(&s->err, errno, "read %s", s->blob.name);
	if (got == 0)
		return error_rule(&s->err, EBADMSG, "%s ends after %llu of %llu bytes", s->blob.name,
				  (unsigned long long)s->read, (unsigned long long)s->blob.size);
	sha256_add(s->libs, &s->packed, to, (size_t)got);
	pthread_mutex_lock(&s->mutex);
	s->read += (uint64_t)got;
	pthread_mutex_unlock(&s->mutex);
	return got;
}

static int count_unpacked(struct stream *s, size_t n)
{
	s->unpacked_bytes += n;
	if (s->unpacked_bytes <= s->max_bytes)
		return 0;
	return error_rule(&s->err, E2BIG, "%s unpacks to more than the %llu bytes that are allowed",
			  s->blob.name, (unsigned long long)s->max_bytes);
}

static int copy_plain(struct stream *s, const unsigned char *first, size_t n_first)
{
	for (;;) {
		struct stream_chunk *c = chunk_to_fill(s);

		if (!c)
			return -ECANCELED;
		memcpy(c->bytes, first, n_first);

		ssize_t n = read_blob(s, c->bytes + n_first, sizeof(c->bytes) - n_first);

		if (n < 0)
			return (int)n;
		c->n = n_first + (size_t)n;
		n_first = 0;
		if (c->n == 0)
			return 0;

		int r = count_unpacked(s, c->n);

		if (r < 0)
			return r;
		chunk_filled(s);
	}
}

/* What was read to find the format comes first. */
struct feed {
	struct stream *s;
	size_t n_first;
};

static ssize_t feed_archive(struct archive *archive, void *data, const void **ret)
{
	struct feed *f = data;
	size_t n_first = f->n_first;

	(void)archive;
	*ret = f->s->input;
	f->n_first = 0;
	return n_first ? (ssize_t)n_first : read_blob(f->s, f->s->input, INPUT_BYTES);
}

static int archive_error(struct stream *s, struct archive *a)
{
	const char *why = s->libs->la.error_string(a);

	if (s->err.code) /* of read_blob(), which libarchive passed on */
		return -s->err.code;
	return error_rule(&s->err, EBADMSG, "%s cannot be decompressed: %s", s->blob.name,
			  why ? why : "no reason given");
}

/* Fills chunks to the brim: decompressors give small blocks, and each chunk handed over wakes somebody. */
static int unpack_blocks(struct stream *s, struct archive *a)
{
	struct stream_chunk *c = NULL;
	const unsigned char *block;
	int64_t offset;
	size_t n;
	int r;

	while ((r = s->libs->la.data_block(a, (const void **)&block, &n, &offset)) == LA_OK) {
		sha256_add(s->libs, &s->unpacked, block, n);
		if ((r = count_unpacked(s, n)) < 0)
			return r;
		while (n > 0) {
			if (!c && !(c = chunk_to_fill(s)))
				return -ECANCELED;

			size_t room = sizeof(c->bytes) - c->n, part = n < room ? n : room;

			memcpy(c->bytes + c->n, block, part);
			c->n += part;
			block += part;
			n -= part;
			if (c->n == sizeof(c->bytes)) {
				chunk_filled(s);
				c = NULL;
			}
		}
	}
	if (c)
		chunk_filled(s);
	return r == LA_EOF ? 0 : archive_error(s, a);
}

static int decompress(struct stream *s, struct archive *a, bool is_gzip, size_t n_first)
{
	const struct la_lib *la = &s->libs->la;
	struct feed feed = { .s = s, .n_first = n_first };
	struct archive_entry *entry;

	if ((is_gzip ? la->support_filter_gzip(a) : la->support_filter_zstd(a)) != LA_OK)
		return error_rule(&s->err, ENOTSUP, "this libarchive cannot read %s by itself",
				  is_gzip ? "gzip" : "zstd");
	la->support_format_raw(a);
	la->support_format_empty(a);
	if (la->open(a, &feed, NULL, feed_archive, NULL) != LA_OK)
		return archive_error(s, a);

	int r = la->next_header(a, &entry);

	if (r == LA_EOF)
		return 0;
	if (r < LA_WARN)
		return archive_error(s, a);
	r = unpack_blocks(s, a);

	/* What follows the compressed data is no part of the layer, but of the blob's digest. */
	for (ssize_t n = 1; r == 0 && n != 0;) {
		n = read_blob(s, s->input, INPUT_BYTES);
		if (n < 0)
			r = (int)n;
	}
	return r;
}

enum packing { PLAIN, GZIP, ZSTD };

/* RFC 1952, 2.3.1; RFC 8878, 3.1.1 and 3.1.2. */
static enum packing find_packing(const unsigned char *b, size_t n)
{
	if (n >= 2 && b[0] == 0x1f && b[1] == 0x8b)
		return GZIP;
	if (n >= 4 && b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd)
		return ZSTD;
	if (n >= 4 && (b[0] & 0xf0) == 0x50 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18)
		return ZSTD;
	return PLAIN;
}

bool stream_is_packed(const unsigned char *bytes, size_t n)
{
	return find_packing(bytes, n) != PLAIN;
}

static int process(struct stream *s)
{
	ssize_t n = read_blob(s, s->input, 512);

	if (n < 0)
		return (int)n;

	enum packing packing = find_packing(s->input, (size_t)n);

	if (packing == PLAIN) {
		s->is_plain = true;
		return copy_plain(s, s->input, (size_t)n);
	}

	struct archive *a = s->libs->la.read_new();
	int r = a ? decompress(s, a, packing == GZIP, (size_t)n) :
		    error_set(&s->err, ENOMEM, "prepare to decompress %s", s->blob.name);

	if (a)
		s->libs->la.read_free(a);
	return r;
}

static void *run(void *data)
{
	struct stream *s = data;

	s->result = process(s);
	if (s->result == 0) {
		sha256_end_hex(s->libs, &s->packed, s->blob_hex);
		if (s->is_plain)
			memcpy(s->diff_hex, s->blob_hex, sizeof(s->diff_hex));
		else
			sha256_end_hex(s->libs, &s->unpacked, s->diff_hex);
	}
	pthread_mutex_lock(&s->mutex);
	s->ended = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

/* ---- for the caller ---- */

int stream_begin(struct stream *s, const struct libs *libs, const struct blob *blob, uint64_t max_bytes,
		 struct error *err)
{
	*s = (struct stream){ .libs = libs, .blob = *blob, .max_bytes = max_bytes };
	sha256_begin(libs, &s->packed);
	sha256_begin(libs, &s->unpacked);
	s->chunks = calloc(STREAM_CHUNKS, sizeof(*s->chunks));
	s->input = malloc(INPUT_BYTES);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->changed, NULL);

	int code = s->chunks && s->input ? pthread_create(&s->thread, NULL, run, s) : ENOMEM;

	if (code == 0)
		return 0;
	free(s->chunks);
	free(s->input);
	return error_set(err, code, "start a thread to read %s", s->blob.name);
}

ssize_t stream_next(struct stream *s, const void **ret)
{
	pthread_mutex_lock(&s->mutex);
	if (s->has_taken) {
		s->chunks[s->tail % STREAM_CHUNKS].n = 0;
		s->tail++;
		s->has_taken = false;
		pthread_cond_broadcast(&s->changed);
	}
	while (s->head == s->tail && !s->ended)
		pthread_cond_wait(&s->changed, &s->mutex);

	ssize_t n = 0;

	if (s->head != s->tail) {
		s->has_taken = true;
		*ret = s->chunks[s->tail % STREAM_CHUNKS].bytes;
		n = (ssize_t)s->chunks[s->tail % STREAM_CHUNKS].n;
	} else if (s->result < 0) {
		n = -1;
	}
	pthread_mutex_unlock(&s->mutex);
	return n;
}

uint64_t stream_position(struct stream *s)
{
	pthread_mutex_lock(&s->mutex);
	uint64_t n = s->read;
	pthread_mutex_unlock(&s->mutex);
	return n;
}

int stream_end(struct stream *s, bool is_whole, struct error *err)
{
	const void *bytes;

	while (is_whole && stream_next(s, &bytes) > 0)
		;
	pthread_mutex_lock(&s->mutex);
	s->abandoned = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->thread, NULL);
	pthread_mutex_destroy(&s->mutex);
	pthread_cond_destroy(&s->changed);
	free(s->chunks);
	free(s->input);
	if (s->err.code && err) /* one who was told to stop has none */
		*err = s->err;
	return s->result;
}
