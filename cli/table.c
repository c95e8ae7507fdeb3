/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <string.h>

#include "spec/base/auto.h"

const char *cli_harmless(const char *s, struct arena *a)
{
	const char *p = s;

	while ((unsigned char)*p >= 0x20 && *p != 0x7f)
		p++;
	if (!*p)
		return s;

	char *copy = arena_strdup(a, s);

	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return copy;
}

size_t cli_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void cli_table_cell(struct cli_table *t, const char *text)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		const char **cell = ARENA_NEW_N(t->arena, const char *, cap);

		if (t->n)
			memcpy(cell, t->cell, t->n * sizeof(*cell));
		t->cell = cell;
		t->cap = cap;
	}
	t->cell[t->n++] = text && *text ? cli_harmless(text, t->arena) : t->empty ? t->empty : "-";
}

void cli_table_cells(struct cli_table *t, const char *const *text)
{
	for (unsigned c = 0; c < t->columns; c++)
		cli_table_cell(t, text[c]);
}

void cli_table_print(const struct cli_table *t, struct buf *out)
{
	size_t widths[TABLE_COLUMNS_MAX] = { 0 };

	for (size_t i = 0; i < t->n; i++) {
		size_t w = cli_width(t->cell[i]) + t->gap;
		size_t *column = &widths[i % t->columns];

		if (w < t->least)
			w = t->least;
		if (w > *column)
			*column = w;
	}
	for (size_t i = 0; i < t->n; i++) {
		unsigned c = (unsigned)(i % t->columns);
		int pad = (int)(widths[c] - cli_width(t->cell[i]));
		int before = t->right & 1u << c ? pad - (int)t->gap : 0;

		buf_printf(out, "%*s%s", before, "", t->cell[i]);
		if (c + 1 < t->columns)
			buf_printf(out, "%*s", pad - before, "");
		else
			buf_putc(out, '\n');
	}
}

const char *cli_bytes(uint64_t n, struct arena *a)
{
	static const char units[] = "KMGTPE";
	unsigned unit = 0;

	if (n == UINT64_MAX)
		return "max";
	if (n < 1024)
		return arena_printf(a, "%u", (unsigned)n);
	/* In tenths, rounded; what would be "1024.0K" is one of the next unit. */
	uint64_t whole = n >> 10, rest = n & 1023;

	while (whole >= 1000 && unit + 2 < sizeof(units)) {
		rest = whole & 1023;
		whole >>= 10;
		unit++;
	}

	uint64_t tenths = whole * 10 + (rest * 10 + 512) / 1024;

	if (tenths < 100 && tenths % 10)
		return arena_printf(a, "%u.%u%c", (unsigned)(tenths / 10), (unsigned)(tenths % 10),
				    units[unit]);
	return arena_printf(a, "%u%c", (unsigned)((tenths + 5) / 10), units[unit]);
}

const char *cli_usec(uint64_t usec, struct arena *a)
{
	static const uint64_t s = 1000000;

	if (usec < 1000)
		return arena_printf(a, "%uus", (unsigned)usec);
	if (usec < s)
		return arena_printf(a, "%u.%ums", (unsigned)(usec / 1000),
				    (unsigned)(usec % 1000 / 100));
	if (usec < 60 * s)
		return arena_printf(a, "%u.%02us", (unsigned)(usec / s),
				    (unsigned)(usec % s / 10000));

	uint64_t minutes = usec / s / 60;

	if (minutes < 60)
		return arena_printf(a, "%um%02us", (unsigned)minutes, (unsigned)(usec / s % 60));
	if (minutes < 24 * 60)
		return arena_printf(a, "%uh%02um", (unsigned)(minutes / 60),
				    (unsigned)(minutes % 60));
	return arena_printf(a, "%llud%02uh", (unsigned long long)(minutes / 60 / 24),
			    (unsigned)(minutes / 60 % 24));
}

const char *cli_percent(uint64_t hundredths, struct arena *a)
{
	uint64_t tenths = hundredths / 10 + (hundredths % 10 >= 5);

	if (tenths >= 1000)
		return arena_printf(a, "%llu%%", (unsigned long long)((tenths + 5) / 10));
	return arena_printf(a, "%u.%u%%", (unsigned)(tenths / 10), (unsigned)(tenths % 10));
}

const char *cli_decimal(uint64_t n, unsigned digits, struct arena *a)
{
	uint64_t unit = 1;

	for (unsigned i = 0; i < digits; i++)
		unit *= 10;
	while (digits && n % unit % 10 == 0 && unit > 1) {
		n /= 10;
		unit /= 10;
		digits--;
	}
	if (!digits)
		return arena_printf(a, "%llu", (unsigned long long)n);
	return arena_printf(a, "%llu.%0*llu", (unsigned long long)(n / unit), (int)digits,
			    (unsigned long long)(n % unit));
}

const char *cli_cpus(uint64_t quota, uint64_t period, struct arena *a)
{
	if (quota == UINT64_MAX || !period)
		return "max";

	uint64_t thousandths = quota > UINT64_MAX / 1000 ? quota / period * 1000
							 : (quota * 1000 + period / 2) / period;

	/* What is too small for thousandths is not nothing. */
	return thousandths || !quota ? cli_decimal(thousandths, 3, a) : "0.001";
}
