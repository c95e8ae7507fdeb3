/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options_layer.h"

#include "cli/layer.h"
#include "spec/base/auto.h"

#define FORMAT(words, first) \
	{ "format", "f", CLI_CHOICE, words, "form of the output (default: " first ")", 0 }
#define TEXT_OR_JSON  FORMAT("text|json", "text")
#define TABLE_OR_JSON FORMAT("table|json", "table")

static const struct cli_option import_options[] = {
	{ "max-size", NULL, CLI_TEXT, "BYTES",
	  "refuse an image that unpacks to more (default: 64g)", 0 },
	{ "max-entries", NULL, CLI_NUMBER, "N",
	  "refuse an image of more files (default: 4194304)", 0 },
	{ "quiet", "q", CLI_FLAG, NULL, "show no progress", 0 },
	TEXT_OR_JSON,
};
static const struct cli_option list_options[] = {
	{ "layers", NULL, CLI_FLAG, NULL, "list layers, with the number of their users", 0 },
	{ "quiet", "q", CLI_FLAG, NULL, "print the names only", 0 },
	TABLE_OR_JSON,
};
static const struct cli_option show_options[] = {
	{ "config", NULL, CLI_FLAG, NULL, "print the image's config alone, byte by byte", 0 },
	TEXT_OR_JSON,
};
static const struct cli_option text_options[] = { TEXT_OR_JSON };

#define OPTIONS(a) .options = (a), .n_options = ARRAY_SIZE(a)
#define SUB(n)     .name = (n), .of = "layer", .flags = VERB_JSON_ERRORS

const struct cli_verb cli_layer_verbs[CLI_LAYER_VERBS] = {
	{
		SUB("import"),
		.brief = "bring an image into the store",
		.operands = "SOURCE [IMAGE]", .min = 1, .max = 2,
		OPTIONS(import_options),
		.about = "SOURCE is oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:REF].\n"
			 "Without IMAGE, its name, the source names it. Layers that the store has are\n"
			 "not read again. All digests are checked.",
		.run = cmd_layer_import,
	},
	{
		SUB("list"), .alias = "ls",
		.brief = "list the images, or the layers",
		.operands = "",
		OPTIONS(list_options),
		.run = cmd_layer_list,
	},
	{
		SUB("show"),
		.brief = "print an image: its origin, layers and config",
		.operands = "IMAGE", .min = 1, .max = 1,
		OPTIONS(show_options),
		.run = cmd_layer_show,
	},
	{
		SUB("remove"), .alias = "rm",
		.brief = "remove images, and the layers that nothing else uses",
		.operands = "IMAGE...", .min = 1, .max = -1,
		OPTIONS(text_options),
		.run = cmd_layer_remove,
	},
	{
		SUB("gc"),
		.brief = "remove what nothing uses and what killed commands left",
		.operands = "",
		OPTIONS(text_options),
		.run = cmd_layer_gc,
	},
	{
		SUB("verify"),
		.brief = "prove that layers are what was imported",
		.operands = "[IMAGE...]", .max = -1,
		OPTIONS(text_options),
		.about = "Reads every byte of the images, or of all layers, and compares content, names,\n"
			 "owners, modes, times, attributes and links. The exit status is 1 when\n"
			 "something differs.",
		.run = cmd_layer_verify,
	},
};
