/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spec/base/parse.h"

/* The name in "--name=value": its start and length; 0 when arg is no option. */
static size_t option_name(const char *arg, const char **ret_name)
{
	if (arg[0] != '-' || !arg[1])
		return 0; /* "-" is an operand: standard input */

	const char *name = arg + 1 + (arg[1] == '-');

	*ret_name = name;
	return strcspn(name, "=");
}

static bool is_named(const struct cli_option *o, const char *name, size_t n)
{
	if (n == 1)
		return o->alias && o->alias[0] == name[0];
	return strlen(o->name) == n && !memcmp(o->name, name, n);
}

static const struct cli_option *find(const struct cli_option *options, size_t n_options,
				     const char *name, size_t n)
{
	for (size_t i = 0; i < n_options; i++)
		if (is_named(&options[i], name, n))
			return &options[i];
	return is_named(&cli_help_option, name, n) ? &cli_help_option : NULL;
}

bool cli_is_choice(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *w = words; *w;) {
		size_t len = strcspn(w, "|");

		if (len == n && !memcmp(w, word, n))
			return true;
		w += len + (w[len] == '|');
	}
	return false;
}

/* The spellings that Go's flag parsers take, since callers were written against these. */
static const char *flag_value(const char *text)
{
	if (cli_is_choice("true|1|t|T|TRUE|True", text))
		return "true";
	if (cli_is_choice("false|0|f|F|FALSE|False", text))
		return "false";
	return NULL;
}

static int check_value(const struct cli_option *o, const char **value, struct error *err)
{
	uint32_t number;

	switch (o->kind) {
	case CLI_FLAG: {
		const char *word = flag_value(*value);

		if (!word)
			return error_rule(err, EINVAL,
					  "option --%s takes true or false, not \"%s\"", o->name,
					  *value);
		*value = word;
		return 0;
	}
	case CLI_NUMBER:
		if (parse_u32(*value, &number) < 0)
			return error_rule(err, EINVAL,
					  "option --%s needs a number of 0 or more, not \"%s\"",
					  o->name, *value);
		return 0;
	case CLI_CHOICE:
		if (!cli_is_choice(o->arg, *value))
			return error_rule(err, EINVAL, "invalid %s option \"%s\": it is one of %s",
					  o->name, *value, o->arg);
		return 0;
	default:
		return 0;
	}
}

static const char unknown_hint[] =
	"letters are not joined: write -d -t, not -dt; see --help for the options";

int cli_parse(const struct cli_option *options, size_t n_options, enum cli_order order, char **argv,
	      struct arena *a, struct cli_args *ret, struct error *err)
{
	size_t argc = 0;

	while (argv[argc])
		argc++;
	*ret = (struct cli_args){
		.options = options,
		.n_options = n_options,
		.given = ARENA_NEW_N(a, struct cli_given, argc + 1),
		.operands = ARENA_NEW_N(a, char *, argc + 1),
	};

	for (size_t i = 0; i < argc; i++) {
		const char *name = NULL;
		size_t n = option_name(argv[i], &name);

		if (!strcmp(argv[i], "--") || (!n && order == CLI_STOP_AT_FIRST)) {
			for (i += !strcmp(argv[i], "--"); i < argc; i++)
				ret->operands[ret->n_operands++] = argv[i];
			break;
		}
		if (!n && name)
			return error_rule(err, EINVAL, "\"%s\" is no option", argv[i]);
		if (!n) {
			ret->operands[ret->n_operands++] = argv[i];
			continue;
		}

		const struct cli_option *o = find(options, n_options, name, n);
		const char *value = name[n] == '=' ? name + n + 1 : NULL;

		if (!o) {
			int r = error_rule(err, EINVAL, "unknown option %.*s",
					   (int)(name - argv[i] + (long)n), argv[i]);

			if (n > 1 && name == argv[i] + 1)
				error_hint(err, "%s", unknown_hint);
			return r;
		}
		if (o == &cli_help_option) {
			ret->help = true;
			return 0;
		}
		if (!value && o->kind == CLI_FLAG)
			value = "true";
		if (!value && i + 1 == argc)
			return error_rule(err, EINVAL, "option --%s needs a value (%s)", o->name,
					  o->arg);
		if (!value)
			value = argv[++i];

		int r = check_value(o, &value, err);

		if (r < 0)
			return r;
		ret->given[ret->n_given++] = (struct cli_given){ .option = o, .value = value };
	}
	return 0;
}

static const struct cli_option *known(const struct cli_args *args, const char *name)
{
	for (size_t i = 0; i < args->n_options; i++)
		if (!strcmp(args->options[i].name, name))
			return &args->options[i];
	abort(); /* a command asks for an option that its table does not have */
}

const char *cli_text(const struct cli_args *args, const char *name)
{
	const struct cli_option *o = known(args, name);

	for (size_t i = args->n_given; i-- > 0;)
		if (args->given[i].option == o)
			return args->given[i].value;
	return NULL;
}

bool cli_given(const struct cli_args *args, const char *name)
{
	return cli_text(args, name) != NULL;
}

bool cli_flag(const struct cli_args *args, const char *name)
{
	const char *value = cli_text(args, name);

	return value && value[0] == 't';
}

uint32_t cli_number(const struct cli_args *args, const char *name)
{
	const char *value = cli_text(args, name);
	uint32_t number = 0;

	if (value && parse_u32(value, &number) < 0)
		return 0; /* cannot be: check_value() has seen it */
	return number;
}

char **cli_list(const struct cli_args *args, const char *name, struct arena *a, size_t *ret_n)
{
	const struct cli_option *o = known(args, name);
	char **list = ARENA_NEW_N(a, char *, args->n_given + 1);
	size_t n = 0;

	for (size_t i = 0; i < args->n_given; i++)
		if (args->given[i].option == o)
			list[n++] = arena_strdup(a, args->given[i].value);
	*ret_n = n;
	return list;
}
