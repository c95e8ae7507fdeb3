/* SPDX-License-Identifier: Apache-2.0 */

/* top_screen - the order of the rows and one screen of text */

#include "cli/top.h"

#include <string.h>
#include <strings.h>

#include "cli/table.h"
#include "spec/base/auto.h"

/* ---- order ---- */

struct node {
	const struct cli_row *row;
	struct node *first, *last, *next; /* children; the next sibling */
};

static uint64_t key(const struct cli_row *row, enum top_sort by)
{
	switch (by) {
	case TOP_BY_CPU:
		return row->cpus;
	case TOP_BY_THROTTLED:
		return row->throttled;
	case TOP_BY_PRESSURE:
		return row->s.cpu.some10;
	case TOP_BY_MEMORY:
		return row->s.has_memory ? row->s.memory_current : 0;
	case TOP_BY_NAME:
		break;
	}
	return 0;
}

/* Does a stand before b? Members stand before groups, so that nobody takes them for those of the group above. */
static bool is_before(const struct cli_row *a, const struct cli_row *b, enum top_sort by)
{
	uint64_t ka = key(a, by), kb = key(b, by);
	bool a_none = !strcmp(a->s.name, CLI_NO_GROUP), b_none = !strcmp(b->s.name, CLI_NO_GROUP);

	if (a_none != b_none)
		return b_none;
	if (a->s.is_group != b->s.is_group)
		return b->s.is_group;
	if (ka != kb)
		return ka > kb;
	return strcmp(a->s.name, b->s.name) < 0;
}

static void insert(struct node *parent, struct node *child, enum top_sort by)
{
	struct node **at = &parent->first;

	while (*at && !is_before(child->row, (*at)->row, by))
		at = &(*at)->next;
	child->next = *at;
	*at = child;
}

static void flatten(const struct node *n, struct cli_row *v, size_t *used)
{
	for (n = n->first; n; n = n->next) {
		v[(*used)++] = *n->row;
		flatten(n, v, used);
	}
}

void top_sort_rows(struct cli_sample *sample, enum top_sort by, struct arena *a)
{
	struct node *nodes = ARENA_NEW_N(a, struct node, sample->n + 1);
	struct cli_row *v = ARENA_NEW_N(a, struct cli_row, sample->n + 1);
	/* The last group of each depth, and how many there are: the next row belongs to one of them. */
	struct node **open = ARENA_NEW_N(a, struct node *, sample->n + 2);
	size_t used = 0;
	unsigned opened = 0;

	open[0] = &nodes[sample->n];
	for (size_t i = 0; i < sample->n; i++) {
		const struct cli_row *row = &sample->v[i];
		unsigned depth = row->depth < opened ? row->depth : opened;

		nodes[i].row = row;
		insert(open[depth], &nodes[i], by);
		if (row->s.is_group) {
			opened = depth + 1;
			open[opened] = &nodes[i];
		}
	}
	flatten(&nodes[sample->n], v, &used);
	sample->v = v;
}

bool top_is_utf8(const char *lc_all, const char *lc_ctype, const char *lang)
{
	const char *locale = lc_all && *lc_all ? lc_all : lc_ctype && *lc_ctype ? lc_ctype : lang;
	const char *set = locale ? strchr(locale, '.') : NULL;

	return set && (!strncasecmp(set, ".utf-8", 6) || !strncasecmp(set, ".utf8", 5));
}

/* ---- cells ---- */

enum column {
	C_NAME,
	C_STATE,
	C_WALL,
	C_CPU,
	C_OF_CAP,
	C_BAR,
	C_THROTTLED,
	C_PRESSURE,
	C_MEMORY,
	C_PIDS,
	C_N
};

/* Widths without the blank before; the name takes what is left. */
static const struct {
	const char *head;
	unsigned width;
	bool right;
} columns[C_N] = {
	[C_NAME] = { "NAME", 12, false },    [C_STATE] = { "STATE", 9, false },
	[C_WALL] = { "WALL", 7, false },     [C_CPU] = { "CPUS", 5, true },
	[C_OF_CAP] = { "%CAP", 5, true },    [C_BAR] = { "", 10, false },
	[C_THROTTLED] = { "%THR", 5, true }, [C_PRESSURE] = { "%PSI", 5, true },
	[C_MEMORY] = { "MEMORY", 9, true },  [C_PIDS] = { "PIDS", 7, true },
};
/* In a narrow terminal the last of these go first. */
static const enum column by_worth[] = { C_CPU,	    C_OF_CAP, C_STATE, C_MEMORY, C_THROTTLED,
					C_PRESSURE, C_PIDS,   C_WALL,  C_BAR };

/* Which columns fit, and how wide the name may be. */
static unsigned choose(unsigned width, const struct cli_sample *sample, bool shown[C_N])
{
	unsigned name = columns[C_NAME].width;
	unsigned used = name;
	bool any_cap = false;

	for (size_t i = 0; i < sample->n; i++)
		any_cap = any_cap || cli_row_is_capped(&sample->v[i]);
	shown[C_NAME] = true;
	for (size_t i = 0; i < ARRAY_SIZE(by_worth); i++) {
		unsigned w = 1 + columns[by_worth[i]].width;

		if (by_worth[i] == C_BAR && !any_cap)
			continue;
		if (used + w > width)
			break; /* nothing of less worth takes the place of what did not fit */
		shown[by_worth[i]] = true;
		used += w;
	}
	for (size_t i = 0; i < sample->n; i++) {
		size_t w = cli_width(sample->v[i].s.name) + 2ul * sample->v[i].depth;

		if (w > name)
			name = (unsigned)(w < 120 ? w : 120);
	}
	/* At least its share of what there is; without a terminal all of it. */
	if (width > used && name > columns[C_NAME].width + (width - used))
		name = columns[C_NAME].width + (width - used);
	return width < columns[C_NAME].width ? width : width <= used ? columns[C_NAME].width : name;
}

/* The group's own name: those above it stand above it. */
static const char *short_name(const struct cli_row *row)
{
	const char *slash = row->s.is_group && row->depth ? strrchr(row->s.name, '/') : NULL;

	return slash ? slash + 1 : row->s.name;
}

static const char *bar(uint64_t hundredths, bool is_utf8, struct arena *a)
{
	auto_buf struct buf b = BUF_INIT;
	unsigned full = (unsigned)((hundredths + 500) / 1000);

	for (unsigned i = 0; i < columns[C_BAR].width; i++)
		buf_puts(&b, i < full ? (is_utf8 ? "\u2588" : "#") : is_utf8 ? "\u2591" : ".");
	return arena_strdup(a, b.data);
}

static const char *pair(const char *now, const char *limit, struct arena *a)
{
	return strcmp(limit, "max") ? arena_printf(a, "%s/%s", now, limit) : now;
}

static const char *percent(uint64_t hundredths, struct arena *a)
{
	unsigned tenths = (unsigned)((hundredths + 5) / 10);

	return tenths < 1000 ? arena_printf(a, "%u.%u", tenths / 10, tenths % 10)
			     : arena_printf(a, "%u", (tenths + 5) / 10);
}

/* The cell without its padding; "" where there is nothing to say. */
static const char *cell(const struct cli_row *row, enum column c, const struct top_view *view,
			struct arena *a)
{
	const struct cpg_stat *s = &row->s;
	bool is_none = s->is_group && !*s->path; /* "(no group)" has no numbers */
	bool capped = cli_row_is_capped(row) && row->has_rate;

	if (is_none && c != C_NAME)
		return "";
	switch (c) {
	case C_NAME:
		return arena_printf(a, "%*s%s", (int)(2 * row->depth), "",
				    cli_harmless(short_name(row), a));
	case C_STATE:
		return cli_row_state(row);
	case C_WALL:
		return row->wall ? row->wall : "";
	case C_CPU:
		return row->has_rate
			       ? arena_printf(a, "%llu.%02u", (unsigned long long)row->cpus / 1000,
					      (unsigned)(row->cpus % 1000 / 10))
			       : "-";
	case C_OF_CAP:
		return capped ? percent(row->of_cap, a) : "-";
	case C_BAR:
		return capped ? bar(row->of_cap, view->is_utf8, a) : "";
	case C_THROTTLED:
		return capped ? percent(row->throttled, a) : "-";
	case C_PRESSURE:
		return s->cpu.has ? percent(s->cpu.some10, a) : "-";
	case C_MEMORY:
		return s->has_memory ? pair(cli_bytes(s->memory_current, a),
					    cli_bytes(s->memory_max, a), a)
				     : "-";
	case C_PIDS:
		if (!s->has_pids && (s->is_group || !s->pids_current))
			return "-";
		return pair(cli_decimal(s->pids_current, 0, a),
			    s->has_pids && s->pids_max != UINT64_MAX
				    ? cli_decimal(s->pids_max, 0, a)
				    : "max",
			    a);
	case C_N:
		break;
	}
	return "";
}

/* ---- lines ---- */

/* Adds at most width characters, padded to the width; *room is what is left of the line. */
static void add_field(struct buf *out, const char *s, unsigned width, bool right, unsigned *room)
{
	unsigned w = (unsigned)cli_width(s);
	unsigned pad = w < width ? width - w : 0;

	if (width > *room)
		width = *room;
	*room -= width;
	if (right)
		for (; pad && width; pad--, width--)
			buf_putc(out, ' ');
	for (; width && *s; width--) {
		do
			buf_putc(out, *s++);
		while (((unsigned char)*s & 0xc0) == 0x80);
	}
	for (; width; width--)
		buf_putc(out, ' ');
}

static void trim(struct buf *out, size_t from)
{
	while (out->len > from && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
}

struct screen {
	struct buf *out;
	const struct top_view *view;
	struct arena *arena;
	bool shown[C_N];
	unsigned name; /* width of the column */
	unsigned lines; /* so far */
};

/* On a terminal a line ends with the erasure of what stood there; the last line has no newline, or it would scroll. */
static void begin_line(struct screen *s, const char *mode)
{
	if (s->view->is_terminal && s->lines)
		buf_puts(s->out, "\r\n");
	if (s->view->is_terminal && mode)
		buf_puts(s->out, mode);
	s->lines++;
}

static void end_line(struct screen *s, const char *mode)
{
	if (s->view->is_terminal && mode)
		buf_puts(s->out, "\033[0m");
	buf_puts(s->out, s->view->is_terminal ? "\033[K" : "\n");
}

static void add_text(struct screen *s, const char *text, const char *mode)
{
	unsigned room = s->view->is_terminal ? s->view->columns : UINT32_MAX;
	unsigned width = (unsigned)cli_width(text);

	begin_line(s, mode);
	add_field(s->out, text, width, false, &room);
	end_line(s, mode);
}

/* Red: throttled, or as good as at its cap. */
static const char *mode_of(const struct cli_row *row, const struct top_view *view)
{
	if (!view->has_colour)
		return row->s.is_group ? "\033[1m" : NULL;
	if (cli_row_is_capped(row) && row->has_rate &&
	    (row->throttled >= 1000 || row->of_cap >= 9500))
		return "\033[31m";
	if (row->s.frozen)
		return "\033[36m";
	return row->s.is_group ? "\033[1m" : NULL;
}

/* row NULL: the heads. */
static void add_row(struct screen *s, const struct cli_row *row)
{
	const char *mode = row ? mode_of(row, s->view) : "\033[7m";
	unsigned room = s->view->is_terminal ? s->view->columns : UINT32_MAX;
	size_t from;

	begin_line(s, mode);
	from = s->out->len;
	for (unsigned c = 0; c < C_N; c++) {
		if (!s->shown[c])
			continue;
		if (c != C_NAME)
			add_field(s->out, " ", 1, false, &room);
		add_field(s->out, row ? cell(row, c, s->view, s->arena) : columns[c].head,
			  c == C_NAME ? s->name : columns[c].width, columns[c].right, &room);
	}
	if (row || !s->view->is_terminal) /* the heads are a bar across the terminal */
		trim(s->out, from);
	end_line(s, mode);
}

enum { TITLE_FROM = 4, KEYS_FROM = 8 }; /* lines of the terminal from which on these are shown */

/* Lines for rows: what title, head and keys leave. */
static unsigned room_for_rows(const struct top_view *view)
{
	unsigned taken =
		(view->lines >= TITLE_FROM) + (view->lines >= 2) + (view->lines >= KEYS_FROM);

	return view->lines ? view->lines - taken : UINT32_MAX;
}

unsigned top_scroll_max(const struct cli_sample *sample, const struct top_view *view)
{
	unsigned room = room_for_rows(view);

	return sample->n > room ? (unsigned)sample->n - room : 0;
}

static void count(const struct cli_sample *sample, unsigned *groups, unsigned *members)
{
	*groups = *members = 0;
	for (size_t i = 0; i < sample->n; i++) {
		*groups += sample->v[i].s.is_group && *sample->v[i].s.path;
		*members += !sample->v[i].s.is_group;
	}
}

static void add_title(struct screen *s, const struct cli_sample *sample)
{
	static const char *const names[] = { "cpu", "throttled", "pressure", "memory", "name" };
	unsigned groups, members;

	count(sample, &groups, &members);
	add_text(s,
		 arena_printf(s->arena, "%s  %s: %u group%s, %u member%s, by %s%s", s->view->time,
			      s->view->title, groups, groups == 1 ? "" : "s", members,
			      members == 1 ? "" : "s", names[s->view->sort],
			      s->view->is_paused ? " - PAUSED" : ""),
		 s->view->is_paused ? "\033[1m" : NULL);
}

void top_draw(struct buf *out, const struct cli_sample *sample, const struct top_view *view,
	      struct arena *a)
{
	struct screen s = { .out = out, .view = view, .arena = a };
	unsigned lines = view->is_terminal ? view->lines : 0;
	unsigned room = lines ? room_for_rows(view) : UINT32_MAX;
	unsigned first = lines ? view->scroll : 0;

	if (first > top_scroll_max(sample, view))
		first = top_scroll_max(sample, view);
	s.name = choose(view->columns, sample, s.shown);
	if (view->is_terminal)
		buf_puts(out, "\033[H");
	if (!lines || lines >= TITLE_FROM)
		add_title(&s, sample);
	if (!lines || lines >= 2)
		add_row(&s, NULL);
	for (size_t i = first; i < sample->n && room; i++, room--)
		add_row(&s, &sample->v[i]);
	if (!sample->n && room)
		add_text(&s, "nobody is here: no CPU group and no container", NULL);
	if (!view->is_terminal)
		return;
	buf_puts(out, "\033[J");
	if (lines >= KEYS_FROM) {
		while (s.lines < lines - 1)
			begin_line(&s, NULL);
		add_text(&s,
			 "sort: c CPU  t throttled  p pressure  m memory  n name   blank pause   q "
			 "quit",
			 "\033[2m");
	}
}
