/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames and items: see wire.h. x86-64 is little-endian, as the wire is.
 */
#include "vm/wire/wire.h"

#include <errno.h>
#include <string.h>

enum { ALIGNMENT = 4 };

struct item_header {
	uint32_t tag, size;
};

_Static_assert(sizeof(struct wire_header) % ALIGNMENT == 0 && sizeof(struct item_header) % ALIGNMENT == 0,
	       "items begin at a multiple of four");

static size_t padded(size_t n)
{
	return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t wire_begin(struct buf *b, enum wire_type type, uint32_t id)
{
	struct wire_header h = { .type = type, .id = id };
	size_t at = b->len;

	buf_add(b, &h, sizeof(h));
	return at;
}

void wire_end(struct buf *b, size_t at)
{
	uint32_t size = (uint32_t)(b->len - at - sizeof(struct wire_header));

	memcpy(b->data + at, &size, sizeof(size));
}

void wire_add(struct buf *b, enum wire_tag tag, const void *bytes, size_t n)
{
	static const char zeros[ALIGNMENT];
	struct item_header h = { .tag = tag, .size = (uint32_t)n };

	buf_add(b, &h, sizeof(h));
	buf_add(b, bytes, n);
	buf_add(b, zeros, padded(n) - n);
}

void wire_add_text(struct buf *b, enum wire_tag tag, const char *text)
{
	if (text)
		wire_add(b, tag, text, strlen(text));
}

void wire_add_u32(struct buf *b, enum wire_tag tag, uint32_t value)
{
	wire_add(b, tag, &value, sizeof(value));
}

void wire_add_u64(struct buf *b, enum wire_tag tag, uint64_t value)
{
	wire_add(b, tag, &value, sizeof(value));
}

void wire_add_error(struct buf *b, const struct error *err)
{
	wire_add(b, WIRE_T_ERROR, err, sizeof(*err));
}

int wire_next(struct wire_reader *r, struct wire_item *ret)
{
	struct item_header h;

	if (r->left == 0)
		return 0;
	if (r->left < sizeof(h))
		return -EPROTO;
	memcpy(&h, r->at, sizeof(h));
	if (h.size > r->left - sizeof(h) || padded(h.size) > r->left - sizeof(h))
		return -EPROTO;
	*ret = (struct wire_item){ .tag = h.tag, .bytes = r->at + sizeof(h), .n = h.size };
	r->at += sizeof(h) + padded(h.size);
	r->left -= sizeof(h) + padded(h.size);
	return 1;
}

bool wire_find(const void *payload, size_t n, enum wire_tag tag, struct wire_item *ret)
{
	struct wire_reader r = { .at = payload, .left = n };
	struct wire_item item;

	while (wire_next(&r, &item) > 0)
		if (item.tag == tag) {
			*ret = item;
			return true;
		}
	return false;
}

static int get_number(const void *payload, size_t n, enum wire_tag tag, void *ret, size_t size)
{
	struct wire_item item;

	if (!wire_find(payload, n, tag, &item) || item.n != size)
		return -EPROTO;
	memcpy(ret, item.bytes, size);
	return 0;
}

int wire_get_u32(const void *payload, size_t n, enum wire_tag tag, uint32_t *ret)
{
	return get_number(payload, n, tag, ret, sizeof(*ret));
}

int wire_get_u64(const void *payload, size_t n, enum wire_tag tag, uint64_t *ret)
{
	return get_number(payload, n, tag, ret, sizeof(*ret));
}

const char *wire_get_text(const void *payload, size_t n, enum wire_tag tag, struct buf *b)
{
	struct wire_item item;
	size_t at = b->len;

	if (!wire_find(payload, n, tag, &item) || memchr(item.bytes, '\0', item.n))
		return NULL;
	buf_add(b, item.bytes, item.n);
	buf_add(b, "", 1);
	return b->data + at;
}

int wire_reply_error(const void *payload, size_t n, struct error *err)
{
	struct wire_item item;
	struct error said;

	if (!wire_find(payload, n, WIRE_T_ERROR, &item))
		return 0;
	if (item.n != sizeof(said))
		return error_set(err, EPROTO, "read the error in a reply of the guest's agent");
	memcpy(&said, item.bytes, sizeof(said));
	return error_take(&said, err);
}

bool wire_is_request(uint32_t type)
{
	return type >= WIRE_START && type <= WIRE_SYNC;
}

void wire_inbox_add(struct wire_inbox *in, const void *bytes, size_t n)
{
	/* Frames that were used go first, so that the next payload is aligned as the buffer is. */
	if (in->done) {
		memmove(in->data.data, in->data.data + in->done, in->data.len - in->done);
		in->data.len -= in->done;
		in->done = 0;
	}
	buf_add(&in->data, bytes, n);
}

int wire_inbox_next(struct wire_inbox *in, struct wire_header *ret, const void **payload)
{
	size_t left = in->data.len - in->done;

	if (left < sizeof(*ret))
		return 0;
	memcpy(ret, in->data.data + in->done, sizeof(*ret));
	if (ret->size > in->max || ret->size % ALIGNMENT)
		return -EPROTO;
	if (left - sizeof(*ret) < ret->size)
		return 0;
	*payload = in->data.data + in->done + sizeof(*ret);
	in->done += sizeof(*ret) + ret->size;
	return 1;
}

void wire_inbox_release(struct wire_inbox *in)
{
	buf_release(&in->data);
	in->done = 0;
}
