/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/error.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Frames are appended, cause first, and printed backwards. A full buffer
 * therefore loses the outermost context and never the cause.
 */
static error_printf_(2, 0) void push_frame(struct error *err, const char *fmt, va_list ap)
{
	size_t room = sizeof(err->text) - err->used;

	if (room < 2) {
		err->dropped++;
		return;
	}

	int n = vsnprintf(err->text + err->used, room, fmt, ap);

	if (n < 0)
		n = 0;
	if ((size_t)n >= room)
		n = (int)room - 1;
	err->used += (uint16_t)(n + 1);
}

static error_printf_(3, 0) int start(struct error *err, int code, const char *fmt, va_list ap)
{
	if (code <= 0)
		code = EIO; /* a caller that lost its errno still has to fail */
	if (err) {
		*err = (struct error){ .code = code };
		push_frame(err, fmt, ap);
	}
	return -code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int r = start(err, code, fmt, ap);
	va_end(ap);
	return r;
}

int error_rule(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int r = start(err, code, fmt, ap);
	va_end(ap);
	if (err)
		err->quiet = 1;
	return r;
}

int error_wrap(struct error *err, int r, const char *fmt, ...)
{
	if (err && err->code) {
		va_list ap;

		va_start(ap, fmt);
		push_frame(err, fmt, ap);
		va_end(ap);
	}
	return r < 0 ? r : -EIO;
}

void error_at(struct error *err, const char *fmt, ...)
{
	if (!err || !err->code || err->at[0])
		return;

	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->at, sizeof(err->at), fmt, ap);
	va_end(ap);
}

void error_hint(struct error *err, const char *fmt, ...)
{
	if (!err || !err->code || err->hint[0])
		return;

	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}

/* Appends s at *pos; counts what would have been written, like snprintf(). */
static void put(char *buf, size_t size, size_t *pos, const char *s)
{
	for (; *s; s++, (*pos)++)
		if (*pos + 1 < size)
			buf[*pos] = *s;
	if (size)
		buf[*pos < size ? *pos : size - 1] = '\0';
}

/* "Permission denied" → "permission denied"; "RPC struct is bad" keeps its acronym. */
static void put_errno(char *buf, size_t size, size_t *pos, int code)
{
	char text[128];

#ifdef __GLIBC__
	const char *desc = strerrordesc_np(code); /* never translated */
#else
	const char *desc = strerror(code); /* translated by setlocale(), which we do not call */
#endif
	snprintf(text, sizeof(text), "%s", desc ? desc : "unknown error");
	if (islower((unsigned char)text[1]))
		text[0] = (char)tolower((unsigned char)text[0]);
	put(buf, size, pos, text);
}

size_t error_line(const struct error *err, char *buf, size_t size)
{
	size_t pos = 0;

	if (size)
		buf[0] = '\0';

	for (size_t end = err->used; end > 0;) {
		size_t begin = end - 1;

		while (begin > 0 && err->text[begin - 1])
			begin--;
		if (pos)
			put(buf, size, &pos, ": ");
		put(buf, size, &pos, err->text + begin);
		end = begin;
	}
	if (err->quiet)
		return pos;

	if (pos)
		put(buf, size, &pos, ": ");
	put_errno(buf, size, &pos, err->code);
	return pos;
}

int error_send(int fd, const struct error *err)
{
	ssize_t n;

	do {
		n = write(fd, err, sizeof(*err));
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*err) ? 0 : -EPIPE;
}

int error_take(const struct error *from, struct error *err)
{
	struct error in = *from;

	if (in.code <= 0 || in.used > sizeof(in.text))
		return error_set(err, EPROTO, "read the child's error report");

	/* The peer may run with the container's privileges: trust no terminator of its. */
	in.at[sizeof(in.at) - 1] = in.hint[sizeof(in.hint) - 1] = in.text[sizeof(in.text) - 1] = '\0';
	if (in.used)
		in.text[in.used - 1] = '\0';
	if (err)
		*err = in;
	return -in.code;
}

int error_recv(int fd, struct error *err)
{
	struct error in;
	ssize_t n;

	do {
		n = read(fd, &in, sizeof(in));
	} while (n < 0 && errno == EINTR);

	if (n == 0)
		return 0;
	if (n < 0)
		return error_set(err, errno, "read the child's error report");
	if (n != (ssize_t)sizeof(in))
		return error_set(err, EPROTO, "read the child's error report");

	return error_take(&in, err);
}
