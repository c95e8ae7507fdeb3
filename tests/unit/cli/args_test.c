/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cli/args.h"
#include "spec/base/auto.h"
#include "spec/base/buf.h"

static const struct cli_option table[] = {
	{ "bundle", "b", CLI_DIR, "DIR", "", 0 },
	{ "detach", "d", CLI_FLAG, NULL, "", 0 },
	{ "env", "e", CLI_LIST, "KEY=VALUE", "", 0 },
	{ "preserve-fds", NULL, CLI_NUMBER, "N", "", 0 },
	{ "format", "f", CLI_CHOICE, "table|json", "", 0 },
	{ "memory", NULL, CLI_TEXT, "BYTES", "", 0 },
};

static struct arena arena;

/* Splits a command line at blanks. */
static int parse(const char *line, enum cli_order order, struct cli_args *args, struct error *err)
{
	static char *argv[32];
	char *text = arena_strdup(&arena, line);
	size_t n = 0;

	for (char *p = text; *p && n < 31;) {
		argv[n++] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = '\0';
	}
	argv[n] = NULL;
	return cli_parse(table, ARRAY_SIZE(table), order, argv, &arena, args, err);
}

/* What was understood, as one line: "bundle=/b detach=true | web ls". */
static const char *understood(const struct cli_args *args)
{
	static struct buf b;

	buf_reset(&b);
	for (size_t i = 0; i < args->n_given; i++)
		buf_printf(&b, "%s=%s ", args->given[i].option->name, args->given[i].value);
	buf_puts(&b, "|");
	for (int i = 0; i < args->n_operands; i++)
		buf_printf(&b, " %s", args->operands[i]);
	return b.data;
}

struct row {
	const char *line, *expected;
};

static void expect_rows(const struct row *rows, size_t n, enum cli_order order)
{
	for (size_t i = 0; i < n; i++) {
		struct cli_args args;
		struct error err = ERROR_INIT;
		int r = parse(rows[i].line, order, &args, &err);

		cr_expect_eq(r, 0, "\"%s\": %s", rows[i].line, err.text);
		if (r == 0)
			cr_expect_str_eq(understood(&args), rows[i].expected, "\"%s\" gave \"%s\"",
					 rows[i].line, understood(&args));
	}
}

Test(cli_args, every_spelling_of_an_option_means_the_same)
{
	static const struct row rows[] = {
		{ "--bundle /b web", "bundle=/b | web" },
		{ "--bundle=/b web", "bundle=/b | web" },
		{ "-bundle /b web", "bundle=/b | web" },
		{ "-bundle=/b web", "bundle=/b | web" },
		{ "-b /b web", "bundle=/b | web" },
		{ "-b=/b web", "bundle=/b | web" },
		{ "--b /b web", "bundle=/b | web" },
		{ "--bundle= web", "bundle= | web" },
		{ "--bundle=a=b web", "bundle=a=b | web" },
		{ "--detach web", "detach=true | web" },
		{ "-d web", "detach=true | web" },
		{ "-detach web", "detach=true | web" },
		{ "--detach=true web", "detach=true | web" },
		{ "--detach=false web", "detach=false | web" },
		{ "--detach=0 web", "detach=false | web" },
		{ "--detach=T web", "detach=true | web" },
		{ "--format json", "format=json |" },
		{ "--preserve-fds 3", "preserve-fds=3 |" },
		{ "", "|" },
	};

	expect_rows(rows, ARRAY_SIZE(rows), CLI_PERMUTE);
}

Test(cli_args, a_value_may_begin_with_a_dash)
{
	static const struct row rows[] = {
		{ "--memory -1 web", "memory=-1 | web" },
		{ "--memory=-1 web", "memory=-1 | web" },
		{ "--bundle --detach web", "bundle=--detach | web" },
		{ "--bundle -- web", "bundle=-- | web" },
		{ "-e -x web", "env=-x | web" },
	};

	expect_rows(rows, ARRAY_SIZE(rows), CLI_PERMUTE);
}

Test(cli_args, options_may_follow_the_id)
{
	static const struct row rows[] = {
		{ "web --detach", "detach=true | web" },
		{ "web -b /b -d", "bundle=/b detach=true | web" },
		{ "-d web -b /b", "detach=true bundle=/b | web" },
	};

	expect_rows(rows, ARRAY_SIZE(rows), CLI_PERMUTE);
}

Test(cli_args, nothing_after_the_first_operand_is_an_option_when_it_ends_them)
{
	static const struct row rows[] = {
		{ "-d web ls -l --detach", "detach=true | web ls -l --detach" },
		{ "web -- -d", "| web -- -d" },
		{ "web --help", "| web --help" },
		{ "-- -d x", "| -d x" },
		{ "- -d", "| - -d" },
	};

	expect_rows(rows, ARRAY_SIZE(rows), CLI_STOP_AT_FIRST);
}

Test(cli_args, two_dashes_end_the_options)
{
	static const struct row rows[] = {
		{ "-- --detach", "| --detach" },
		{ "-d -- -b x", "detach=true | -b x" },
		{ "web -- -d", "| web -d" },
		{ "-- -- x", "| -- x" },
		{ "-", "| -" },
	};

	expect_rows(rows, ARRAY_SIZE(rows), CLI_PERMUTE);
}

Test(cli_args, what_is_wrong_is_named)
{
	static const struct row rows[] = {
		{ "--foo web", "unknown option --foo" },
		{ "--foo=1 web", "unknown option --foo" },
		{ "-x web", "unknown option -x" },
		{ "-dt web", "unknown option -dt" },
		{ "--bundl /b", "unknown option --bundl" },
		{ "--bundlee /b", "unknown option --bundlee" },
		{ "--=x", "\"--=x\" is no option" },
		{ "--bundle", "option --bundle needs a value (DIR)" },
		{ "web -b", "option --bundle needs a value (DIR)" },
		{ "--detach=maybe web", "option --detach takes true or false, not \"maybe\"" },
		{ "--detach= web", "option --detach takes true or false, not \"\"" },
		{ "--preserve-fds x",
		  "option --preserve-fds needs a number of 0 or more, not \"x\"" },
		{ "--preserve-fds -1",
		  "option --preserve-fds needs a number of 0 or more, not \"-1\"" },
		{ "--preserve-fds 4294967296",
		  "option --preserve-fds needs a number of 0 or more, not \"4294967296\"" },
		{ "--format xml", "invalid format option \"xml\": it is one of table|json" },
		{ "--format tab", "invalid format option \"tab\": it is one of table|json" },
		{ "--format table|json",
		  "invalid format option \"table|json\": it is one of table|json" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cli_args args;
		struct error err = ERROR_INIT;

		cr_expect_eq(parse(rows[i].line, CLI_PERMUTE, &args, &err), -EINVAL, "%s",
			     rows[i].line);
		cr_expect_str_eq(err.text, rows[i].expected, "\"%s\" gave \"%s\"", rows[i].line,
				 err.text);
	}
}

Test(cli_args, joined_letters_get_a_hint)
{
	struct cli_args args;
	struct error err = ERROR_INIT;

	cr_assert_eq(parse("-db web", CLI_PERMUTE, &args, &err), -EINVAL);
	cr_expect(strstr(err.hint, "not joined"), "%s", err.hint);
	cr_assert_eq(parse("--foo web", CLI_PERMUTE, &args, &err), -EINVAL);
	cr_expect_str_empty(err.hint);
}

Test(cli_args, help_ends_the_reading)
{
	static const char *const lines[] = { "--help", "-h", "-help", "web --help", "-h --foo" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct cli_args args;

		cr_expect_eq(parse(lines[i], CLI_PERMUTE, &args, NULL), 0, "%s", lines[i]);
		cr_expect(args.help, "%s", lines[i]);
	}
}

Test(cli_args, lists_keep_order_and_commas)
{
	struct cli_args args;
	size_t n;

	cr_assert_eq(parse("-e A=1,2 -d --env B=2 -e=C=3", CLI_PERMUTE, &args, NULL), 0);

	char **list = cli_list(&args, "env", &arena, &n);

	cr_assert_eq(n, 3);
	cr_expect_str_eq(list[0], "A=1,2");
	cr_expect_str_eq(list[1], "B=2");
	cr_expect_str_eq(list[2], "C=3");
	cr_expect_null(list[3]);
}

Test(cli_args, the_last_of_a_repeated_option_wins)
{
	struct cli_args args;

	cr_assert_eq(parse("-b /a -b /b --detach --detach=false", CLI_PERMUTE, &args, NULL), 0);
	cr_expect_str_eq(cli_text(&args, "bundle"), "/b");
	cr_expect_not(cli_flag(&args, "detach"));
	cr_expect(cli_given(&args, "detach"));
	cr_expect_not(cli_given(&args, "memory"));
	cr_expect_null(cli_text(&args, "memory"));
	cr_expect_eq(cli_number(&args, "preserve-fds"), 0);
}

Test(cli_args, asking_for_an_option_that_is_not_in_the_table_aborts, .signal = SIGABRT)
{
	struct cli_args args;

	cr_assert_eq(parse("web", CLI_PERMUTE, &args, NULL), 0);
	cli_text(&args, "bundel");
}
