/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checked copies for archives that were compiled for glibc
 *
 * The static binary is linked with musl, the archives of yajl and libseccomp in
 * Debian were compiled with glibc's headers and _FORTIFY_SOURCE. All they want of
 * glibc alone is these four functions (Linux Standard Base, "Checked functions"):
 * the plain one, and the end of the process when the buffer is too small.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__GLIBC__)

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room);
int __snprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
int __sprintf_chk(char *s, int flag, size_t room, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int __fprintf_chk(FILE *file, int flag, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
	if (n > room)
		abort();
	return memcpy(to, from, n);
}

int __snprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	if (n > room)
		abort();
	va_start(ap, fmt);
	int r = vsnprintf(s, n, fmt, ap);
	va_end(ap);
	return r;
}

int __sprintf_chk(char *s, int flag, size_t room, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, fmt);
	int r = vsnprintf(s, room, fmt, ap);
	va_end(ap);
	if (r < 0 || (size_t)r >= room)
		abort();
	return r;
}

int __fprintf_chk(FILE *file, int flag, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, fmt);
	int r = vfprintf(file, fmt, ap);
	va_end(ap);
	return r;
}

#endif

/* ISO C wants a translation unit to declare something. */
extern int fortify_c_is_not_empty;
