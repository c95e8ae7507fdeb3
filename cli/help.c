/* SPDX-License-Identifier: Apache-2.0 */

/*
 * help - the help text, made from the option table
 *
 * The first two lines of each text are searched for by tests of other runtimes:
 * "NAME:" and "   bulkhead create - …".
 */

#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"

enum { WIDEST = 40 }; /* an option longer than that gets a line of its own */

/* "--bundle DIR, -b DIR". Returns its length. */
static size_t add_spelling(struct buf *out, const struct cli_option *o)
{
	size_t start = out->len;
	const char *arg = o->arg ? o->arg : "";

	buf_printf(out, "--%s%s%s", o->name, *arg ? " " : "", arg);
	if (o->alias)
		buf_printf(out, ", -%s%s%s", o->alias, *arg ? " " : "", arg);
	return out->len - start;
}

static bool is_listed(const struct cli_option *o)
{
	return !(o->flags & (OPT_HIDDEN | OPT_OBSOLETE));
}

static void add_option(struct buf *out, const struct cli_option *o, size_t width)
{
	buf_puts(out, "   ");

	size_t used = add_spelling(out, o);

	if (used > width) {
		buf_puts(out, "\n   ");
		used = 0;
	}
	buf_printf(out, "%*s%s\n", (int)(width - used) + 3, "", o->help);
}

static void add_options(struct buf *out, const struct cli_option *options, size_t n)
{
	auto_buf struct buf scratch = BUF_INIT;
	size_t width = strlen("--help, -h");

	for (size_t i = 0; i < n; i++) {
		size_t w = is_listed(&options[i]) ? add_spelling(&scratch, &options[i]) : 0;

		if (w > width && w <= WIDEST)
			width = w;
	}
	for (size_t i = 0; i < n; i++)
		if (is_listed(&options[i]))
			add_option(out, &options[i], width);
	add_option(out, &cli_help_option, width);
}

static void add_commands(struct buf *out, const struct cli_verb *verbs, size_t n)
{
	size_t width =
		strlen("checkpoint"); /* the same in each list of ours, unless a name is longer */

	for (size_t i = 0; i < n; i++)
		if (strlen(verbs[i].name) > width)
			width = strlen(verbs[i].name);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "   %-*s  %s\n", (int)width, verbs[i].name, verbs[i].brief);
	buf_putc(out, '\n');
}

void cli_help_program(struct buf *out)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	buf_puts(out, "NAME:\n"
		      "   " CLI_NAME " - Open Container Initiative runtime\n"
		      "\n"
		      "USAGE:\n"
		      "   " CLI_NAME " [global options] COMMAND [command options] [arguments...]\n"
		      "\n"
		      "VERSION:\n   ");
	buf_puts(out, cli_version);
	buf_puts(out, "\n\nCOMMANDS:\n");
	add_commands(out, verbs, n);
	buf_puts(out, "GLOBAL OPTIONS:\n");
	const struct cli_option *globals = cli_globals(&n);

	add_options(out, globals, n);
}

/* Indents each line of text by three blanks. */
static void add_paragraph(struct buf *out, const char *text)
{
	for (;;) {
		size_t n = strcspn(text, "\n");

		buf_puts(out, "   ");
		buf_add(out, text, n);
		buf_putc(out, '\n');
		if (!text[n])
			return;
		text += n + 1;
	}
}

void cli_help_verb(struct buf *out, const struct cli_verb *verb)
{
	const char *of = verb->of ? verb->of : "";
	const char *blank = verb->of ? " " : "";

	buf_printf(out, "NAME:\n   " CLI_NAME " %s%s%s - %s\n\n", of, blank, verb->name,
		   verb->brief);
	buf_printf(out, "USAGE:\n   " CLI_NAME " %s%s%s%s%s%s\n", of, blank, verb->name,
		   verb->n_options ? " [command options]" : "", *verb->operands ? " " : "",
		   verb->operands);
	if (verb->about) {
		buf_puts(out, "\nDESCRIPTION:\n");
		add_paragraph(out, verb->about);
	}
	if (verb->n_subs) {
		buf_puts(out, "\nCOMMANDS:\n");
		add_commands(out, verb->subs, verb->n_subs);
		buf_puts(out, "OPTIONS:\n");
	} else {
		buf_puts(out, "\nOPTIONS:\n");
	}
	add_options(out, verb->options, verb->n_options);
}

/* Number of single-letter edits from a to b (Levenshtein), for words of our length. */
static unsigned distance(const char *a, const char *b)
{
	enum { LONGEST = 24 };
	unsigned row[LONGEST + 1];
	size_t m = strlen(a);
	size_t n = strlen(b);

	if (m > LONGEST || n > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

const char *cli_nearest_verb(const struct cli_verb *of, const char *name)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);
	const char *nearest = NULL;
	unsigned least = 3;

	if (of) {
		verbs = of->subs;
		n = of->n_subs;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(name, verbs[i].name);

		if (d < least && 2ul * d <= strlen(name)) {
			least = d;
			nearest = verbs[i].name;
		}
	}
	return nearest;
}
