/* SPDX-License-Identifier: Apache-2.0 */

/* The manual pages against what is there: the option table and the sentences engines search for. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "runtime/texts.h"
#include "spec/base/arena.h"
#include "spec/base/buf.h"
#include "spec/base/file.h"

static struct arena arena;

/* A page without its font changes and escapes, or NULL. Tests run in the top directory. */
static char *page(const char *name)
{
	enum { MOST = 1 << 17 };
	char path[100];
	char *text = arena_alloc(&arena, MOST);
	char *to = text;

	snprintf(path, sizeof(path), "man/%s", name);
	if (file_read_at(AT_FDCWD, path, text, MOST, NULL) < 0)
		return NULL;
	for (const char *p = text; *p; p++) {
		if (p[0] == '\\' && p[1] == 'f' && p[2]) {
			p += 2;
		} else if (p[0] == '\\' && (p[1] == '-' || p[1] == '&')) {
			p++;
			if (*p == '-')
				*to++ = '-';
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return text;
}

/* "--bundle DIR, -b DIR", as help spells it too. */
static const char *spelling(const struct cli_option *o)
{
	const char *blank = o->arg ? " " : "";
	const char *arg = o->arg ? o->arg : "";

	if (!o->alias)
		return arena_printf(&arena, "--%s%s%s", o->name, blank, arg);
	return arena_printf(&arena, "--%s%s%s, -%s%s%s", o->name, blank, arg, o->alias, blank, arg);
}

static bool is_spelled(const char *tag, size_t n, const struct cli_option *o)
{
	const char *s = spelling(o);

	return strlen(s) == n && !memcmp(s, tag, n);
}

/* The tags of the section OPTIONS are the options of the table, all of them and no other. */
static void expect_options(const char *name, const struct cli_option *options, size_t n)
{
	const char *text = page(name);
	const char *section = text ? strstr(text, ".SH OPTIONS\n") : NULL;
	size_t found = 0;

	cr_assert_not_null(text, "man/%s is not there", name);
	cr_assert_not_null(section, "man/%s has no section OPTIONS", name);

	const char *end = strstr(section + 1, "\n.SH ");

	for (const char *p = section; (p = strstr(p, "\n.TP\n")) && (!end || p < end);) {
		p += strlen("\n.TP\n");

		size_t len = strcspn(p, "\n");
		bool known = is_spelled(p, len, &cli_help_option);

		for (size_t i = 0; i < n; i++)
			known = known || is_spelled(p, len, &options[i]);
		cr_expect(known, "man/%s has \"%.*s\", which is no option", name, (int)len, p);
		found++;
		p--; /* the newline before the next .TP may be this one's */
	}
	for (size_t i = 0; i < n; i++) {
		const char *tag = arena_printf(&arena, "\n.TP\n%s\n", spelling(&options[i]));
		const char *at = strstr(section, tag);

		cr_expect(at && (!end || at < end), "man/%s lacks %s", name, spelling(&options[i]));
	}
	cr_expect_eq(found, n + 1, "man/%s has %zu options, the table %zu with --help", name, found,
		     n + 1);
}

Test(cli_man, the_page_of_each_command_has_its_options)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	for (size_t i = 0; i < n; i++)
		expect_options(arena_printf(&arena, "bulkhead-%s.8", verbs[i].name),
			       verbs[i].options, verbs[i].n_options);
}

/* The text from one heading of roff to the next of that kind or a higher one. */
static char *between(const char *text, const char *heading)
{
	const char *at = strstr(text, heading);

	if (!at)
		return NULL;

	const char *end = strstr(at + 1, "\n.SH ");
	const char *next = !strncmp(heading, "\n.SS", 4) ? strstr(at + 1, "\n.SS ") : NULL;

	if (next && (!end || next < end))
		end = next;
	return end ? arena_strndup(&arena, at, (size_t)(end - at) + 1) : arena_strdup(&arena, at);
}

static bool has_tag(const char *section, const struct cli_option *o)
{
	return strstr(section, arena_printf(&arena, "\n.TP\n%s\n", spelling(o))) != NULL;
}

static bool has_option(const struct cli_verb *verb, const char *tag, size_t n)
{
	for (size_t i = 0; i < verb->n_options; i++)
		if (is_spelled(tag, n, &verb->options[i]))
			return true;
	return false;
}

/* Every tag of the section that is an option is one of this command's. */
static void expect_no_other(const char *section, const struct cli_verb *verb)
{
	for (const char *p = section; (p = strstr(p, "\n.TP\n--"));) {
		p += strlen("\n.TP\n");

		size_t n = strcspn(p, "\n");

		cr_expect(has_option(verb, p, n), "%s %s has no %.*s", verb->of, verb->name, (int)n, p);
	}
}

/* shared: the section with options that several of them take, or NULL. */
static void expect_subs(const struct cli_verb *verb, const char *text, const char *shared)
{
	for (size_t i = 0; i < verb->n_subs; i++) {
		const struct cli_verb *sub = &verb->subs[i];
		const char *section =
			between(text, arena_printf(&arena, "\n.SS %s%s%s\n", sub->name,
						   *sub->operands ? " " : "", sub->operands));

		cr_expect(section, "man/bulkhead-%s.8 has no section \"%s %s\"", verb->name, sub->name,
			  sub->operands);
		if (!section)
			continue;
		expect_no_other(section, sub);
		for (size_t k = 0; k < sub->n_options; k++)
			cr_expect(has_tag(section, &sub->options[k]) ||
					  (shared && has_tag(shared, &sub->options[k])),
				  "man/bulkhead-%s.8: %s lacks %s", verb->name, sub->name,
				  spelling(&sub->options[k]));
	}
}

Test(cli_man, the_page_of_cpugroup_has_the_options_of_each_of_its_commands)
{
	const struct cli_verb *verb = cli_verb_find("cpugroup");
	const char *text = page("bulkhead-cpugroup.8");
	const char *policy = between(text, "\n.SH POLICY\n");

	cr_assert_not_null(policy);
	expect_no_other(policy, cli_sub_find(verb, "create"));
	expect_subs(verb, text, policy);
}

Test(cli_man, the_page_of_layer_has_the_options_of_each_of_its_commands)
{
	expect_subs(cli_verb_find("layer"), page("bulkhead-layer.8"), NULL);
}

Test(cli_man, the_page_of_sandbox_has_the_options_of_each_of_its_commands)
{
	expect_subs(cli_verb_find("sandbox"), page("bulkhead-sandbox.8"), NULL);
}

Test(cli_man, the_overview_has_the_global_options_and_each_command)
{
	size_t n;
	const struct cli_option *globals = cli_globals(&n);

	expect_options("bulkhead.8", globals, n);

	const struct cli_verb *verbs = cli_verbs(&n);
	const char *text = page("bulkhead.8");

	for (size_t i = 0; i < n; i++)
		cr_expect(strstr(text, arena_printf(&arena, "\nbulkhead-%s(8)\n", verbs[i].name)),
			  "%s", verbs[i].name);
}

Test(cli_man, each_page_says_in_its_name_what_help_says)
{
	size_t n;
	const struct cli_verb *verbs = cli_verbs(&n);

	for (size_t i = 0; i < n; i++) {
		const char *name = arena_printf(&arena, "bulkhead-%s.8", verbs[i].name);
		const char *line = arena_printf(&arena, "\n.SH NAME\nbulkhead-%s - %s\n",
						verbs[i].name, verbs[i].brief);

		cr_expect(strstr(page(name), line), "man/%s", name);
	}
}

Test(cli_man, the_sentences_engines_search_for_are_explained)
{
	static const char *const texts[] = {
		TEXT_NOT_EXIST,	     TEXT_EXISTS,	  TEXT_BAD_ID,		TEXT_NOT_RUNNING,
		TEXT_NOT_PAUSED,     TEXT_START_RUNNING,  TEXT_START_STOPPED,	TEXT_START_OTHER,
		TEXT_NOT_STOPPED,    TEXT_EXEC_STOPPED,	  TEXT_EXEC_PAUSED,	TEXT_PAUSE_OTHER,
		TEXT_EVENTS_STOPPED, TEXT_CONSOLE_UNUSED, TEXT_CONSOLE_MISSING, TEXT_INIT_OOM,
	};
	const char *text = page("bulkhead-errors.7");

	cr_assert_not_null(text);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		auto_buf struct buf sentence = BUF_INIT;

		for (const char *p = texts[i]; *p; p++) {
			bool is_argument = p[0] == '%' && p[1] == 's';

			if (is_argument)
				buf_puts(&sentence, "...");
			else
				buf_putc(&sentence, *p);
			p += is_argument;
		}
		cr_expect(strstr(text, sentence.data), "man/bulkhead-errors.7 lacks \"%s\"",
			  sentence.data);
	}
}
