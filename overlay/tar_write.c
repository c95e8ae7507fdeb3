/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See tar_write.h. The formats are those of pax in POSIX.1-2017 ("ustar Interchange Format", "pax Interchange
 * Format"); attributes are records SCHILY.xattr.NAME as star, GNU tar, Go and libarchive have them.
 */
#include "overlay/tar_write.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "spec/base/utf8.h"

#define MAX_OCTAL_7  07777777u   /* what seven digits hold */
#define MAX_OCTAL_11 077777777777ull

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag, linkname[100];
	char magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a header is one block");

size_t tar_padding(uint64_t n)
{
	return (size_t)(-n & (TAR_BLOCK - 1));
}

static void pad(struct buf *out, uint64_t n)
{
	static const char zeros[TAR_BLOCK];

	buf_add(out, zeros, tar_padding(n));
}

void tar_end(struct buf *out)
{
	static const char zeros[2 * TAR_BLOCK];

	buf_add(out, zeros, sizeof(zeros));
}

/* ---- the header ---- */

/* Digits fill the field but for a NUL at its end. */
static void put_octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

static void put_text(char *field, size_t size, const char *text)
{
	size_t n = strlen(text);

	memcpy(field, text, n < size ? n : size);
}

/* The checksum is taken with blanks in its own place, and written in a form of its own. */
static void seal(struct ustar *h)
{
	const unsigned char *bytes = (const unsigned char *)h;
	unsigned sum = 0;

	memset(h->chksum, ' ', sizeof(h->chksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += bytes[i];
	put_octal(h->chksum, 7, sum);
	h->chksum[7] = ' ';
}

static void begin(struct ustar *h, char type, const char *name)
{
	*h = (struct ustar){ .typeflag = type, .magic = "ustar", .version = { '0', '0' } };
	put_text(h->name, sizeof(h->name), name);
	put_octal(h->mode, sizeof(h->mode), 0644);
	put_octal(h->uid, sizeof(h->uid), 0);
	put_octal(h->gid, sizeof(h->gid), 0);
	put_octal(h->size, sizeof(h->size), 0);
	put_octal(h->mtime, sizeof(h->mtime), 0);
	put_octal(h->devmajor, sizeof(h->devmajor), 0);
	put_octal(h->devminor, sizeof(h->devminor), 0);
}

static char type_of(const struct tar_entry *e)
{
	if (e->is_hardlink)
		return '1';
	switch (e->st->st_mode & S_IFMT) {
	case S_IFLNK:
		return '2';
	case S_IFCHR:
		return '3';
	case S_IFBLK:
		return '4';
	case S_IFDIR:
		return '5';
	case S_IFIFO:
		return '6';
	default:
		return '0';
	}
}

/* ---- the extended header ---- */

static unsigned digits(size_t n)
{
	unsigned d = 1;

	for (; n >= 10; n /= 10)
		d++;
	return d;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void add_record(struct buf *out, const char *prefix, const char *key, const void *value, size_t n)
{
	size_t rest = strlen(prefix) + strlen(key) + n + 3; /* blank, '=' and newline */
	size_t len = rest + digits(rest);

	if (digits(len) > digits(rest))
		len++;
	buf_printf(out, "%zu %s%s=", len, prefix, key);
	buf_add(out, value, n);
	buf_putc(out, '\n');
}

static void add_text(struct buf *out, const char *key, const char *value)
{
	add_record(out, "", key, value, strlen(value));
}

static void add_number(struct buf *out, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	add_text(out, key, text);
}

/* Before 1970 the nanoseconds still count forward in a struct timespec, and backward in a decimal number. */
static void add_mtime(struct buf *out, struct timespec t)
{
	bool is_negative = t.tv_sec < 0;
	long long sec = t.tv_sec;
	long ns = t.tv_nsec;
	char text[40];

	if (is_negative && ns) {
		sec++;
		ns = 1000000000 - ns;
	}

	int n = snprintf(text, sizeof(text), "%s%lld", is_negative ? "-" : "", is_negative ? -sec : sec);

	if (ns) {
		n += snprintf(text + n, sizeof(text) - (size_t)n, ".%09ld", ns);
		while (text[n - 1] == '0')
			text[--n] = '\0';
	}
	add_text(out, "mtime", text);
}

static bool fits_mtime(struct timespec t)
{
	return t.tv_sec >= 0 && (uint64_t)t.tv_sec <= MAX_OCTAL_11 && t.tv_nsec == 0;
}

static bool is_utf8(const char *text)
{
	for (size_t n = strlen(text); n > 0;) {
		size_t len = utf8_length(text, n);

		if (len == 0)
			return false;
		text += len;
		n -= len;
	}
	return true;
}

/* Sorted by key, as readers do not care and digests do. */
static void add_records(struct buf *out, const struct tar_entry *e, const char *path, uint64_t size)
{
	const struct stat *st = e->st;
	bool long_path = strlen(path) > sizeof(((struct ustar *)0)->name);
	bool long_link = e->link && strlen(e->link) > sizeof(((struct ustar *)0)->linkname);

	for (size_t i = 0; e->xattrs && !e->is_hardlink && i < e->xattrs->n; i++)
		add_record(out, "SCHILY.xattr.", e->xattrs->v[i].name, e->xattrs->v[i].value, e->xattrs->v[i].n);
	if (st->st_gid > MAX_OCTAL_7)
		add_number(out, "gid", st->st_gid);
	if ((long_path && !is_utf8(path)) || (long_link && !is_utf8(e->link)))
		add_text(out, "hdrcharset", "BINARY"); /* otherwise records are UTF-8 */
	if (long_link)
		add_text(out, "linkpath", e->link);
	if (!fits_mtime(st->st_mtim))
		add_mtime(out, st->st_mtim);
	if (long_path)
		add_text(out, "path", path);
	if (size > MAX_OCTAL_11)
		add_number(out, "size", size);
	if (st->st_uid > MAX_OCTAL_7)
		add_number(out, "uid", st->st_uid);
}

static void add_extended(struct buf *out, const struct buf *records)
{
	struct ustar h;

	/* Only a reader that knows no extended headers ever shows this name. */
	begin(&h, 'x', "PaxHeaders/0");
	put_octal(h.size, sizeof(h.size), records->len);
	seal(&h);
	buf_add(out, &h, sizeof(h));
	buf_add(out, records->data, records->len);
	pad(out, records->len);
}

/* ---- entries ---- */

void tar_header(struct buf *out, const struct tar_entry *e)
{
	const struct stat *st = e->st;
	auto_buf struct buf path = BUF_INIT, records = BUF_INIT;
	uint64_t size = S_ISREG(st->st_mode) && !e->is_hardlink ? (uint64_t)st->st_size : 0;
	struct ustar h;

	buf_puts(&path, *e->path ? e->path : ".");
	if (S_ISDIR(st->st_mode))
		buf_putc(&path, '/');
	add_records(&records, e, path.data, size);
	if (records.len)
		add_extended(out, &records);
	begin(&h, type_of(e), path.data);
	put_octal(h.mode, sizeof(h.mode), st->st_mode & 07777);
	put_octal(h.uid, sizeof(h.uid), st->st_uid <= MAX_OCTAL_7 ? st->st_uid : 0);
	put_octal(h.gid, sizeof(h.gid), st->st_gid <= MAX_OCTAL_7 ? st->st_gid : 0);
	put_octal(h.size, sizeof(h.size), size <= MAX_OCTAL_11 ? size : 0);
	if (st->st_mtim.tv_sec >= 0 && (uint64_t)st->st_mtim.tv_sec <= MAX_OCTAL_11)
		put_octal(h.mtime, sizeof(h.mtime), (uint64_t)st->st_mtim.tv_sec);
	if (e->link)
		put_text(h.linkname, sizeof(h.linkname), e->link);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		put_octal(h.devmajor, sizeof(h.devmajor), major(st->st_rdev));
		put_octal(h.devminor, sizeof(h.devminor), minor(st->st_rdev));
	}
	seal(&h);
	buf_add(out, &h, sizeof(h));
}

void tar_marker(struct buf *out, const char *path)
{
	const struct stat st = { .st_mode = S_IFREG };

	tar_header(out, &(struct tar_entry){ .path = path, .st = &st });
}
