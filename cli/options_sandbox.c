/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options_sandbox.h"

#include "cli/out.h"
#include "cli/sandbox.h"
#include "spec/base/auto.h"

#define FORMAT(words, first) \
	{ "format", "f", CLI_CHOICE, words, "form of the output (default: " first ")", 0 }

static const struct cli_option list_options[] = {
	{ "quiet", "q", CLI_FLAG, NULL, "print the names only", 0 },
	FORMAT("table|json", "table"),
};
static const struct cli_option export_options[] = {
	{ "compression", NULL, CLI_CHOICE, OUT_COMPRESSIONS, "of the archive (default: none)", 0 },
	{ "output", "o", CLI_PATH, "FILE", "write to FILE and not to standard output", 0 },
};
static const struct cli_option text_options[] = { FORMAT("text|json", "text") };

#define OPTIONS(a) .options = (a), .n_options = ARRAY_SIZE(a)
#define SUB(n)     .name = (n), .of = "sandbox", .flags = VERB_JSON_ERRORS

const struct cli_verb cli_sandbox_verbs[CLI_SANDBOX_VERBS] = {
	{
		SUB("list"), .alias = "ls",
		.brief = "list the sandboxes of containers, and those that were kept",
		.operands = "",
		OPTIONS(list_options),
		.run = cmd_sandbox_list,
	},
	{
		SUB("show"),
		.brief = "print a sandbox: its layers, limits and use",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(text_options),
		.run = cmd_sandbox_show,
	},
	{
		SUB("remove"), .alias = "rm",
		.brief = "throw kept sandboxes away",
		.operands = "NAME...", .min = 1, .max = -1,
		OPTIONS(text_options),
		.run = cmd_sandbox_remove,
	},
	{
		SUB("reset"),
		.brief = "empty a sandbox that no container runs in",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(text_options),
		.run = cmd_sandbox_reset,
	},
	{
		SUB("export"),
		.brief = "write what a container changed to a tar archive",
		.operands = "ID", .min = 1, .max = 1,
		OPTIONS(export_options),
		.about = "A running container is frozen while its files are read.",
		.run = cmd_sandbox_export,
	},
	{
		SUB("import"),
		.brief = "read an archive of export into an empty sandbox",
		.operands = "NAME FILE", .min = 2, .max = 2,
		.about = "FILE may be \"-\": standard input.",
		.run = cmd_sandbox_import,
	},
};
