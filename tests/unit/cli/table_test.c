/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "cli/table.h"

static struct arena arena;

Test(cli_table, columns_line_up_and_the_last_is_not_padded)
{
	static const char *const rows[][3] = { { "NAME", "N", "END" },
					       { "a", "1", "x" },
					       { "long-name", "1234", "" },
					       { "\u00e9", NULL, "y" } };
	struct cli_table t = { .arena = &arena, .columns = 3, .gap = 2, .right = 1u << 1 };
	auto_buf struct buf out = BUF_INIT;

	for (size_t i = 0; i < 4; i++)
		cli_table_cells(&t, rows[i]);
	cli_table_print(&t, &out);
	cr_expect_str_eq(out.data, "NAME          N  END\n"
				   "a             1  x\n"
				   "long-name  1234  -\n"
				   "\u00e9             -  y\n");
}

Test(cli_table, names_do_not_drive_the_terminal)
{
	struct cli_table t = { .arena = &arena, .columns = 1, .empty = "" };
	auto_buf struct buf out = BUF_INIT;

	cli_table_cell(&t, "a\033[2J\nb\x7f");
	cli_table_cell(&t, "");
	cli_table_print(&t, &out);
	cr_expect_str_eq(out.data, "a?[2J?b?\n\n");
}

Test(cli_table, a_table_may_grow)
{
	struct cli_table t = { .arena = &arena, .columns = 2, .gap = 1 };
	auto_buf struct buf out = BUF_INIT;

	for (unsigned i = 0; i < 500; i++)
		cli_table_cell(&t, arena_printf(&arena, "%u", i));
	cli_table_print(&t, &out);
	cr_expect(!strncmp(out.data, "0   1\n2   3\n", 12), "%.20s", out.data);
	cr_expect(strstr(out.data, "\n498 499\n"));
}

Test(cli_table, bytes_are_short)
{
	static const struct {
		uint64_t n;
		const char *text;
	} rows[] = {
		{ 0, "0" },
		{ 1023, "1023" },
		{ 1024, "1K" },
		{ 1536, "1.5K" },
		{ 10240, "10K" },
		{ 1023 * 1024, "1M" },
		{ 999 * 1024, "999K" },
		{ 1 << 20, "1M" },
		{ 4ull << 30, "4G" },
		{ 1610612736, "1.5G" },
		{ 3ull << 40, "3T" },
		{ 1ull << 60, "1E" },
		{ UINT64_MAX - 1, "16E" },
		{ UINT64_MAX, "max" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(cli_bytes(rows[i].n, &arena), rows[i].text, "%llu: %s",
				 (unsigned long long)rows[i].n, cli_bytes(rows[i].n, &arena));
}

Test(cli_table, times_have_the_unit_that_fits)
{
	static const struct {
		uint64_t usec;
		const char *text;
	} rows[] = {
		{ 0, "0us" },
		{ 999, "999us" },
		{ 12345, "12.3ms" },
		{ 1234567, "1.23s" },
		{ 59999999, "59.99s" },
		{ 60000000, "1m00s" },
		{ 3599000000, "59m59s" },
		{ 3600000000, "1h00m" },
		{ 187200000000, "2d04h" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(cli_usec(rows[i].usec, &arena), rows[i].text, "%s",
				 cli_usec(rows[i].usec, &arena));
}

Test(cli_table, shares_and_cpus_lose_no_meaning)
{
	cr_expect_str_eq(cli_percent(0, &arena), "0.0%");
	cr_expect_str_eq(cli_percent(1250, &arena), "12.5%");
	cr_expect_str_eq(cli_percent(9999, &arena), "100%");
	cr_expect_str_eq(cli_percent(25000, &arena), "250%");
	cr_expect_str_eq(cli_cpus(250000, 100000, &arena), "2.5");
	cr_expect_str_eq(cli_cpus(5000, 100000, &arena), "0.05");
	cr_expect_str_eq(cli_cpus(100000, 100000, &arena), "1");
	cr_expect_str_eq(cli_cpus(100, 1000000, &arena), "0.001", "too little is not nothing");
	cr_expect_str_eq(cli_cpus(UINT64_MAX, 100000, &arena), "max");
	cr_expect_str_eq(cli_cpus(1, 0, &arena), "max");
	cr_expect_str_eq(cli_decimal(1500, 3, &arena), "1.5");
	cr_expect_str_eq(cli_decimal(2000, 3, &arena), "2");
	cr_expect_str_eq(cli_decimal(0, 3, &arena), "0");
	cr_expect_str_eq(cli_decimal(5, 3, &arena), "0.005");
	cr_expect_str_eq(cli_decimal(10, 0, &arena), "10");
}
