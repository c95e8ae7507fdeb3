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

static void expect_known(size_t s, const char *script, const struct cli_verb *verb)
{
	cr_expect(strstr(script, verb->name), "script %zu: %s", s, verb->name);
	for (size_t k = 0; k < verb->n_options; k++) {
		const struct cli_option *o = &verb->options[k];
		char word[64];

		snprintf(word, sizeof(word), s == 2 ? "-l %s " : "--%s", o->name);
		if (!(o->flags & (OPT_HIDDEN | OPT_OBSOLETE)))
			cr_expect(strstr(script, word), "script %zu: %s %s", s, verb->name, word);
	}
}

Test(cli_completion, each_script_knows_each_command_and_option)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	for (size_t s = 0; s < 3; s++) {
		auto_buf struct buf out = BUF_INIT;

		scripts[s](&out);
		for (size_t i = 0; i < n; i++) {
			expect_known(s, out.data, &verbs[i]);
			for (size_t k = 0; k < verbs[i].n_subs; k++)
				expect_known(s, out.data, &verbs[i].subs[k]);
		}
		cr_expect(strstr(out.data, "list -q"), "script %zu completes ids", s);
		cr_expect_null(strstr(out.data, "kernel-memory"), "script %zu", s);
	}
}

Test(cli_completion, operands_are_told_apart)
{
	static const struct {
		const char *verb, *sub;
		unsigned position;
		enum completion_operand operand;
	} rows[] = {
		{ "state", NULL, 0, OPERAND_ID },
		{ "kill", NULL, 0, OPERAND_ID },
		{ "kill", NULL, 1, OPERAND_OTHER },
		{ "exec", NULL, 1, OPERAND_OTHER },
		{ "create", NULL, 0, OPERAND_NEW_ID },
		{ "run", NULL, 0, OPERAND_NEW_ID },
		{ "help", NULL, 0, OPERAND_COMMAND },
		{ "completion", NULL, 0, OPERAND_WORDS },
		{ "list", NULL, 0, OPERAND_NONE },
		{ "top", NULL, 0, OPERAND_GROUP },
		{ "top", NULL, 1, OPERAND_NONE },
		{ "cpugroup", NULL, 0, OPERAND_OTHER },
		{ "cpugroup", "show", 0, OPERAND_GROUP },
		{ "cpugroup", "move", 0, OPERAND_ID },
		{ "cpugroup", "move", 1, OPERAND_GROUP },
		{ "cpugroup", "move", 2, OPERAND_NONE },
		{ "cpugroup", "delete", 3, OPERAND_GROUP },
		{ "cpugroup", "apply", 0, OPERAND_FILE },
		{ "cpugroup", "repair", 0, OPERAND_ID },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct cli_verb *verb = cli_verb_find(rows[i].verb);

		if (rows[i].sub)
			verb = cli_sub_find(verb, rows[i].sub);
		cr_expect_eq(cli_completion_operand(verb, rows[i].position), rows[i].operand,
			     "%s %s %u", rows[i].verb, rows[i].sub ? rows[i].sub : "",
			     rows[i].position);
	}
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
		 "[ \"$*\" = \"list -q\" ] && echo web worker; "
		 "[ \"$*\" = \"cpugroup list -q\" ] && echo gold gold/batch; "
		 "[ \"$*\" = \"--cpu-group-base /g cpugroup list -q\" ] && echo iron; }; "
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
		{ "bulkhead cpug", "cpugroup" },
		{ "bulkhead cpugroup s", "set show stop stats" },
		{ "bulkhead cpugroup show g", "gold gold/batch" },
		{ "bulkhead --cpu-group-base /g cpugroup show \"\"", "iron" },
		{ "bulkhead cpugroup move \"\"", "web worker gold gold/batch" },
		{ "bulkhead cpugroup move web gold/", "gold/batch" },
		{ "bulkhead cpugroup create --over", "--overcommit --over-parent" },
		{ "bulkhead cpugroup create --exclusive \"\"", "none root isolated" },
		{ "bulkhead cpugroup stats -f p", "prom" },
		{ "bulkhead create --cons", "--console-socket" },
		{ "bulkhead top go", "gold gold/batch" },
		{ "bulkhead help cpugroup mo", "move" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(offered(rows[i][0]), rows[i][1], "%s offers \"%s\"", rows[i][0],
				 offered(rows[i][0]));
}
