/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/completion.h"
#include "cli/options.h"

static void (*const scripts[])(struct buf *) = { cli_completion_bash, cli_completion_zsh,
						 cli_completion_fish };

Test(cli_completion, each_script_knows_each_command_and_option)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	for (size_t s = 0; s < 3; s++) {
		auto_buf struct buf out = BUF_INIT;

		scripts[s](&out);
		for (size_t i = 0; i < n; i++) {
			if (!(verbs[i].flags & VERB_HIDDEN))
				cr_expect(strstr(out.data, verbs[i].name), "script %zu: %s", s,
					  verbs[i].name);
			for (size_t k = 0; k < verbs[i].n_options; k++) {
				const struct cli_option *o = &verbs[i].options[k];
				char word[64];

				snprintf(word, sizeof(word), s == 2 ? "-l %s " : "--%s", o->name);
				if (!(o->flags & (OPT_HIDDEN | OPT_OBSOLETE)))
					cr_expect(strstr(out.data, word), "script %zu: %s %s", s,
						  verbs[i].name, word);
			}
		}
		cr_expect(strstr(out.data, "list -q"), "script %zu completes ids", s);
		cr_expect_null(strstr(out.data, "kernel-memory"), "script %zu", s);
	}
}

Test(cli_completion, operands_are_told_apart)
{
	cr_expect_eq(cli_completion_operand(cli_verb_find("state")), OPERAND_ID);
	cr_expect_eq(cli_completion_operand(cli_verb_find("kill")), OPERAND_ID);
	cr_expect_eq(cli_completion_operand(cli_verb_find("create")), OPERAND_NEW_ID);
	cr_expect_eq(cli_completion_operand(cli_verb_find("run")), OPERAND_NEW_ID);
	cr_expect_eq(cli_completion_operand(cli_verb_find("help")), OPERAND_COMMAND);
	cr_expect_eq(cli_completion_operand(cli_verb_find("completion")), OPERAND_WORDS);
	cr_expect_eq(cli_completion_operand(cli_verb_find("list")), OPERAND_NONE);
}

/* What bash offers after these words; a bulkhead that lists two ids stands in for the real one. */
static const char *offered(const char *words)
{
	static char line[4096];
	auto_buf struct buf script = BUF_INIT;
	char name[] = "/tmp/bulkhead-completion-test-XXXXXX";
	char command[4096];
	int fd = mkstemp(name);

	cr_assert_geq(fd, 0);
	cli_completion_bash(&script);
	cr_assert_eq(write(fd, script.data, script.len), (ssize_t)script.len);
	close(fd);
	snprintf(command, sizeof(command),
		 "bash -c 'bulkhead() { [ \"$*\" = \"--root /r list -q\" ] && echo db; "
		 "[ \"$*\" = \"list -q\" ] && echo web worker; }; "
		 "source %s; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _bulkhead; "
		 "echo \"${COMPREPLY[*]}\"'",
		 name, words);

	FILE *f = popen(command, "r");

	cr_assert_not_null(f);
	line[0] = '\0';
	cr_assert_not_null(fgets(line, sizeof(line), f), "%s", words);
	pclose(f);
	unlink(name);
	line[strcspn(line, "\n")] = '\0';
	return line;
}

Test(cli_completion, bash_offers_what_can_stand_there)
{
	static const char *const rows[][2] = {
		{ "bulkhead sta", "start state" },
		{ "bulkhead state w", "web worker" },
		{ "bulkhead --root /r state \"\"", "db" },
		{ "bulkhead --root = /r state \"\"", "db" }, /* bash splits at = */
		{ "bulkhead --debug state we", "web" },
		{ "bulkhead --log = f --debug state we", "web" },
		{ "bulkhead --log-format js", "json" },
		{ "bulkhead list --format \"\"", "table json" },
		{ "bulkhead list -f j", "json" },
		{ "bulkhead run --no-s", "--no-subreaper" },
		{ "bulkhead run \"\"", "" },
		{ "bulkhead completion z", "zsh" },
		{ "bulkhead help feat", "features" },
		{ "bulkhead --isol", "--isolation" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(offered(rows[i][0]), rows[i][1], "%s offers \"%s\"", rows[i][0],
				 offered(rows[i][0]));
}
