/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options_out.h"

#include "cli/out.h"

#define TEXT_OR_JSON \
	{ "format", "f", CLI_CHOICE, "text|json", "form of the output (default: text)", 0 }

const struct cli_option cli_diff_options[CLI_DIFF_OPTIONS] = { TEXT_OR_JSON };

const struct cli_option cli_commit_options[CLI_COMMIT_OPTIONS] = {
	{ "author", "a", CLI_TEXT, "TEXT", "who made the image", 0 },
	{ "change", "c", CLI_LIST, "INSTRUCTION",
	  "change the config, as a Dockerfile does (repeatable)", 0 },
	{ "compression", NULL, CLI_CHOICE, OUT_COMPRESSIONS, "of new layers (default: gzip)", 0 },
	{ "created", NULL, CLI_TEXT, "SECONDS",
	  "date of the image (default: that of its newest file)", 0 },
	{ "level", NULL, CLI_NUMBER, "N", "of the compression (default: the library's)", 0 },
	{ "message", "m", CLI_TEXT, "TEXT", "comment in the image's history", 0 },
	TEXT_OR_JSON,
};
