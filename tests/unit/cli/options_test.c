/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "cli/options.h"

static void expect_table(const char *owner, const struct cli_option *o, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cr_expect(strlen(o[i].name) > 1, "%s: \"%s\"", owner, o[i].name);
		cr_expect(!o[i].alias || strlen(o[i].alias) == 1, "%s --%s", owner, o[i].name);
		cr_expect_eq(o[i].kind == CLI_FLAG, o[i].arg == NULL, "%s --%s", owner, o[i].name);
		cr_expect(o[i].help[0], "%s --%s has no help", owner, o[i].name);
		cr_expect_str_neq(o[i].name, "help", "%s", owner);
		for (size_t j = 0; j < i; j++) {
			cr_expect_str_neq(o[i].name, o[j].name, "%s", owner);
			cr_expect(!o[i].alias || !o[j].alias || strcmp(o[i].alias, o[j].alias) != 0,
				  "%s: -%s twice", owner, o[i].alias);
		}
	}
}

Test(cli_options, each_option_is_named_once_and_explained)
{
	size_t n;
	const struct cli_option *globals = cli_globals(&n);

	expect_table("globals", globals, n);

	const struct cli_verb *verbs = cli_verbs(&n);

	for (size_t i = 0; i < n; i++) {
		expect_table(verbs[i].name, verbs[i].options, verbs[i].n_options);
		for (size_t k = 0; k < verbs[i].n_subs; k++)
			expect_table(verbs[i].subs[k].name, verbs[i].subs[k].options,
				     verbs[i].subs[k].n_options);
	}
}

Test(cli_options, each_command_is_named_once_and_can_be_run)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	for (size_t i = 0; i < n; i++) {
		cr_expect_not_null((void *)verbs[i].run, "%s", verbs[i].name);
		cr_expect(verbs[i].brief[0], "%s", verbs[i].name);
		cr_expect(verbs[i].max < 0 || verbs[i].min <= verbs[i].max, "%s", verbs[i].name);
		cr_expect_eq(cli_verb_find(verbs[i].name), &verbs[i]);
	}
	cr_expect_eq(cli_verb_find("h"), cli_verb_find("help"));
	cr_expect_null(cli_verb_find("foo"));
	cr_expect_null(cli_verb_find(""));
}

Test(cli_options, a_command_below_another_says_below_which_and_takes_a_format)
{
	const struct cli_verb *verb = cli_verb_find("cpugroup");

	for (size_t i = 0; i < verb->n_subs; i++) {
		const struct cli_verb *sub = &verb->subs[i];
		bool has_format = false;

		cr_expect_str_eq(sub->of, "cpugroup", "%s", sub->name);
		cr_expect_eq(cli_sub_find(verb, sub->name), sub, "%s", sub->name);
		cr_expect(sub->flags & VERB_JSON_ERRORS, "%s", sub->name);
		cr_expect_not_null((void *)sub->run, "%s", sub->name);
		for (size_t k = 0; k < sub->n_options; k++)
			has_format = has_format || !strcmp(sub->options[k].name, "format");
		/* What is printed of reserve-host and the like is its error. */
		cr_expect(has_format, "%s", sub->name);
	}
	cr_expect_eq(cli_sub_find(verb, "get"), cli_sub_find(verb, "show"));
	cr_expect_eq(cli_sub_find(verb, "pause"), cli_sub_find(verb, "freeze"));
	cr_expect_eq(cli_sub_find(verb, "thaw"), cli_sub_find(verb, "resume"));
	cr_expect_null(cli_sub_find(verb, "run"));
	cr_expect_null(cli_verb_find("freeze"));
}

/* The words that containerd, Docker and podman put on the command line. */
Test(cli_options, engines_find_every_command_and_option_they_use)
{
	static const struct {
		const char *verb, *options;
	} used[] = {
		{ "create", "bundle console-socket pidfd-socket pid-file no-pivot no-new-keyring "
			    "preserve-fds" },
		{ "run",
		  "bundle console-socket pid-file no-pivot no-new-keyring preserve-fds detach keep "
		  "no-subreaper" },
		{ "start", "" },
		{ "state", "" },
		{ "kill", "all" },
		{ "delete", "force" },
		{ "exec", "process console-socket pid-file pidfd-socket detach tty cwd env user "
			  "additional-gids process-label apparmor no-new-privs cap preserve-fds "
			  "ignore-paused cgroup" },
		{ "list", "format quiet" },
		{ "ps", "format" },
		{ "pause", "" },
		{ "resume", "" },
		{ "update",
		  "resources blkio-weight cpu-period cpu-quota cpu-burst cpu-share cpu-idle "
		  "cpu-rt-period cpu-rt-runtime cpuset-cpus cpuset-mems memory "
		  "memory-reservation memory-swap pids-limit l3-cache-schema mem-bw-schema "
		  "kernel-memory kernel-memory-tcp" },
		{ "events", "interval stats" },
		{ "spec", "bundle rootless" },
		{ "features", "" },
		{ "checkpoint", "" },
		{ "restore", "" },
	};

	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
		const struct cli_verb *verb = cli_verb_find(used[i].verb);

		cr_assert_not_null(verb, "%s", used[i].verb);
		for (const char *p = used[i].options; *p;) {
			size_t n = strcspn(p, " ");
			bool found = false;

			for (size_t k = 0; k < verb->n_options; k++)
				found = found || (strlen(verb->options[k].name) == n &&
						  !memcmp(verb->options[k].name, p, n));
			cr_expect(found, "%s --%.*s", used[i].verb, (int)n, p);
			p += n + (p[n] == ' ');
		}
	}
}
