/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cli/table.h"
#include "cli/top.h"

static struct arena arena;

static struct cli_row row(const char *name, const char *group, unsigned depth, uint64_t cpus)
{
	return (struct cli_row){
		.depth = depth,
		.cpus = cpus,
		.has_rate = true,
		.of_cap = cpus * 20,
		.s = { .name = name,
		       .group = group,
		       .path = name,
		       .is_group = !group,
		       .has_cpu = true,
		       .quota_us = 50000,
		       .period_us = 100000,
		       .populated = true,
		       .memory_max = UINT64_MAX,
		       .pids_max = UINT64_MAX },
	};
}

static struct cli_sample tree(void)
{
	static struct cli_row v[7];

	v[0] = row("gold", NULL, 0, 300);
	v[1] = row("db", "gold", 1, 100);
	v[2] = row("gold/batch", NULL, 1, 50);
	v[3] = row("job", "gold/batch", 2, 50);
	v[4] = row("web", "gold", 1, 150);
	v[5] = row("silver", NULL, 0, 400);
	v[6] = row("vm", "silver", 1, 400);
	return (struct cli_sample){ v, 7 };
}

static const char *order(enum top_sort by)
{
	static char text[200];
	struct cli_sample s = tree();

	top_sort_rows(&s, by, &arena);
	text[0] = '\0';
	for (size_t i = 0; i < s.n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 s.v[i].s.name);
	return text;
}

Test(cli_top, sorting_keeps_the_tree)
{
	cr_expect_str_eq(order(TOP_BY_NAME), "gold db web gold/batch job silver vm");
	cr_expect_str_eq(order(TOP_BY_CPU), "silver vm gold web db gold/batch job");
}

Test(cli_top, who_is_in_no_group_comes_last)
{
	struct cli_row v[] = { row(CLI_NO_GROUP, NULL, 0, 900), row("x", "", 1, 900),
			       row("zinc", NULL, 0, 1) };
	struct cli_sample s = { v, 3 };

	top_sort_rows(&s, TOP_BY_CPU, &arena);
	cr_expect_str_eq(s.v[0].s.name, "zinc");
	cr_expect_str_eq(s.v[2].s.name, "x");
}

static const char *draw(unsigned columns, unsigned lines, bool is_terminal, bool is_utf8)
{
	static struct buf out;
	struct cli_sample s = tree();
	const struct top_view view = { .sort = TOP_BY_NAME,
				       .columns = columns,
				       .lines = lines,
				       .is_terminal = is_terminal,
				       .is_utf8 = is_utf8,
				       .title = "everything every 2 s",
				       .time = "12:00:00Z" };

	buf_reset(&out);
	top_draw(&out, &s, &view, &arena);
	return out.data ? out.data : "";
}

Test(cli_top, without_a_terminal_there_are_lines_and_nothing_else)
{
	const char *text = draw(UINT16_MAX, 0, false, false);

	cr_expect_null(strchr(text, '\033'), "%s", text);
	cr_expect_null(strchr(text, '\r'));
	cr_expect(strstr(text,
			 "12:00:00Z  everything every 2 s: 3 groups, 4 members, by name\nNAME "),
		  "%s", text);
	cr_expect(strstr(text, "\n  web "), "%s", text);
	cr_expect(strstr(text, "\n  batch "), "a group in a group has its own name: %s", text);
	cr_expect(strstr(text, "\n    job "), "%s", text);
	cr_expect(strstr(text, " 0.30  60.0 ######....   0.0 "), "%s", text);
}

Test(cli_top, blocks_are_drawn_only_where_the_locale_has_them)
{
	cr_expect(strstr(draw(120, 24, true, true), "\u2588"));
	for (const char *p = draw(120, 24, true, false); *p; p++)
		cr_expect_lt((unsigned char)*p, 0x80);
	cr_expect(top_is_utf8(NULL, NULL, "en_US.UTF-8"));
	cr_expect(top_is_utf8("", "C.utf8", "C"));
	cr_expect_not(top_is_utf8("C", "C.UTF-8", "C.UTF-8"), "LC_ALL decides");
	cr_expect_not(top_is_utf8(NULL, NULL, NULL));
	cr_expect_not(top_is_utf8(NULL, NULL, "de_DE.ISO-8859-1"));
}

/* No line may be wider, and no screen higher, than the terminal: it would wrap or scroll. */
Test(cli_top, every_size_of_terminal_is_kept)
{
	for (unsigned columns = 1; columns < 160; columns += columns < 45 ? 1 : 7) {
		for (unsigned lines = 1; lines < 30; lines++) {
			const char *p = draw(columns, lines, true, true);
			unsigned width = 0, height = 1;

			while (*p) {
				if (*p == '\033') {
					p += strcspn(p, "HKJmlh") + 1;
					continue;
				}
				if (*p == '\n')
					height++;
				if (*p == '\r' || *p == '\n')
					width = 0;
				else if (((unsigned char)*p & 0xc0) != 0x80)
					width++;
				cr_assert_leq(width, columns, "%ux%u", columns, lines);
				p++;
			}
			cr_assert_leq(height, lines, "%ux%u", columns, lines);
		}
	}
}

Test(cli_top, a_narrow_terminal_shows_what_matters_most)
{
	const char *text = draw(40, 10, true, false);

	cr_expect(strstr(text, "NAME"));
	cr_expect(strstr(text, "CPUS"));
	cr_expect(strstr(text, "%CAP"));
	cr_expect(strstr(text, "STATE"));
	cr_expect_null(strstr(text, "PIDS"));
	cr_expect_null(strstr(text, "##"));
}

Test(cli_top, one_scrolls_no_further_than_there_is_something)
{
	struct cli_sample s = tree();
	struct top_view view = { .columns = 80, .lines = 6, .is_terminal = true };

	cr_expect_eq(top_scroll_max(&s, &view), 3u, "%u", top_scroll_max(&s, &view));
	view.lines = 40;
	cr_expect_eq(top_scroll_max(&s, &view), 0u);
	view.lines = 0;
	cr_expect_eq(top_scroll_max(&s, &view), 0u);
}
