/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

Test(cli_help, the_program_introduces_itself)
{
	auto_buf struct buf out = BUF_INIT;

	static const char head[] = "NAME:\n   bulkhead - Open Container Initiative runtime\n";

	cli_help_program(&out);
	cr_expect_eq(strncmp(out.data, head, strlen(head)), 0, "%.80s", out.data);
}

Test(cli_help, each_command_introduces_itself)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	for (size_t i = 0; i < n; i++) {
		auto_buf struct buf out = BUF_INIT;
		char head[200];

		snprintf(head, sizeof(head), "NAME:\n   bulkhead %s - %s\n", verbs[i].name,
			 verbs[i].brief);
		cli_help_verb(&out, &verbs[i]);
		cr_expect_eq(strncmp(out.data, head, strlen(head)), 0, "%.80s", out.data);
	}
}

Test(cli_help, a_command_below_another_is_called_by_both_names)
{
	const struct cli_verb *verb = cli_verb_find("cpugroup");
	auto_buf struct buf out = BUF_INIT;
	auto_buf struct buf sub = BUF_INIT;

	cli_help_verb(&out, verb);
	for (size_t i = 0; i < verb->n_subs; i++)
		cr_expect(strstr(out.data, verb->subs[i].brief), "%s", verb->subs[i].name);
	cli_help_verb(&sub, cli_sub_find(verb, "move"));
	cr_expect(strstr(sub.data, "   bulkhead cpugroup move - move "), "%s", sub.data);
	cr_expect(strstr(sub.data, "\n   bulkhead cpugroup move [command options] ID GROUP\n"),
		  "%s", sub.data);
}

Test(cli_help, it_lists_what_is_not_hidden_and_nothing_else)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	for (size_t i = 0; i < n; i++) {
		auto_buf struct buf out = BUF_INIT;

		cli_help_verb(&out, &verbs[i]);
		for (size_t k = 0; k < verbs[i].n_options; k++) {
			const struct cli_option *o = &verbs[i].options[k];
			bool is_hidden = o->flags & (OPT_HIDDEN | OPT_OBSOLETE);
			char line[100];

			snprintf(line, sizeof(line), "\n   --%s%s%s", o->name, o->arg ? " " : "",
				 o->arg ? o->arg : "");
			cr_expect_eq(strstr(out.data, line) == NULL, is_hidden, "%s --%s",
				     verbs[i].name, o->name);
		}
		cr_expect(strstr(out.data, "\n   --help, -h "), "%s", verbs[i].name);
	}
}

Test(cli_help, its_lines_fit_a_terminal)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);
	auto_buf struct buf out = BUF_INIT;

	cli_help_program(&out);
	for (size_t i = 0; i < n; i++) {
		cli_help_verb(&out, &verbs[i]);
		for (size_t k = 0; k < verbs[i].n_subs; k++)
			cli_help_verb(&out, &verbs[i].subs[k]);
	}
	for (const char *line = out.data; *line;) {
		size_t len = strcspn(line, "\n");

		cr_expect(len <= 110, "%.*s", (int)len, line);
		line += len + 1;
	}
}

Test(cli_help, a_mistyped_command_is_recognised)
{
	cr_expect_str_eq(cli_nearest_verb(NULL, "strat"), "start");
	cr_expect_str_eq(cli_nearest_verb(NULL, "lst"), "list");
	cr_expect_str_eq(cli_nearest_verb(NULL, "deleet"), "delete");
	cr_expect_null(cli_nearest_verb(NULL, "frobnicate"));
	cr_expect_null(cli_nearest_verb(NULL, "x"));
	cr_expect_str_eq(cli_nearest_verb(cli_verb_find("cpugroup"), "membres"), "members");
	cr_expect_null(cli_nearest_verb(cli_verb_find("cpugroup"), "checkpoint"));
	cr_expect_null(cli_nearest_verb(NULL, "a-word-that-is-longer-than-any-command"));
}
