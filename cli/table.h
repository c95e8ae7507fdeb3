/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* table - columns that line up, and numbers as people read them */

#include <stddef.h>
#include <stdint.h>

#include "spec/base/arena.h"
#include "spec/base/buf.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct cli_table {
	struct arena *arena;
	unsigned columns;
	unsigned right; /* bit n: column n is flush right */
	unsigned least, gap; /* width of a column at least, gap included; blanks after its widest cell */
	const char *empty; /* what stands for NULL and ""; NULL: "-" */
	const char **cell;
	size_t n, cap;
};

/* Adds the next cell; control characters in it become "?". NULL and "" are shown as t->empty. */
void cli_table_cell(struct cli_table *t, const char *text);
void cli_table_cells(struct cli_table *t, const char *const *text);
/* Every column is as wide as its widest cell and the gap; the last one is not padded. */
void cli_table_print(const struct cli_table *t, struct buf *out);

/* s with control characters as "?": a name must not drive the terminal. */
const char *cli_harmless(const char *s, struct arena *a);
/* Characters of UTF-8, as a terminal shows them. */
size_t cli_width(const char *s);

/* "0", "640K", "1.5M", "12G": at most five characters. UINT64_MAX: "max". */
const char *cli_bytes(uint64_t n, struct arena *a);
/* Microseconds: "850us", "12.3ms", "4.56s", "7m02s", "3h05m", "2d04h". */
const char *cli_usec(uint64_t usec, struct arena *a);
/* Hundredths of a percent: "0.4%", "12.5%", "250%". */
const char *cli_percent(uint64_t hundredths, struct arena *a);
/* quota / period in CPUs: "2.5", "0.05"; quota UINT64_MAX: "max". */
const char *cli_cpus(uint64_t quota, uint64_t period, struct arena *a);
/* A number without the zeroes at its end: 2500 with 3 digits is "2.5". */
const char *cli_decimal(uint64_t n, unsigned digits, struct arena *a);
