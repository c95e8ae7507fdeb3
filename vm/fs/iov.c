/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of pieces of guest memory. The guest may write to them at any time: bytes
 * are copied once and in order, and nothing is decided by looking at them in place.
 */
#include <string.h>

#include "vm/fs/internal.h"

size_t iov_total(const struct iovec *iov, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		if (__builtin_add_overflow(total, iov[i].iov_len, &total))
			return SIZE_MAX;
	return total;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Copies up to len bytes that start at offset; returns how many there were. */
size_t iov_copy_in(void *to, const struct iovec *iov, size_t n, size_t offset, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < len; i++) {
		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		size_t part = min_size(iov[i].iov_len - offset, len - done);

		memcpy((char *)to + done, (const char *)iov[i].iov_base + offset, part);
		done += part;
		offset = 0;
	}
	return done;
}

size_t iov_copy_out(const struct iovec *iov, size_t n, size_t offset, const void *from, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < len; i++) {
		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		size_t part = min_size(iov[i].iov_len - offset, len - done);

		memcpy((char *)iov[i].iov_base + offset, (const char *)from + done, part);
		done += part;
		offset = 0;
	}
	return done;
}

/* The pieces of [offset, offset + len) in iov, at most n of them: returns their number. */
size_t iov_slice(struct iovec *to, const struct iovec *iov, size_t n, size_t offset, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < n && len > 0; i++) {
		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		size_t part = min_size(iov[i].iov_len - offset, len);

		to[used++] = (struct iovec){ (char *)iov[i].iov_base + offset, part };
		len -= part;
		offset = 0;
	}
	return used;
}

/* Moves past what a short read or write did: the rest starts at *iov, the result says how many pieces. */
int iov_skip(struct iovec **iov, int n, size_t len)
{
	struct iovec *v = *iov;

	for (; n > 0 && len >= v->iov_len; v++, n--)
		len -= v->iov_len;
	if (n > 0) {
		v->iov_base = (char *)v->iov_base + len;
		v->iov_len -= len;
	}
	*iov = v;
	return n;
}
