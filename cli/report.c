/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include <string.h>
#include <unistd.h>

#include "cgroups/cpugroup/cpugroup.h"
#include "cli/cli.h"
#include "spec/base/file.h"
#include "spec/base/json.h"

/*
 * A message carries names from config.json and from the command line. Control
 * characters in them would drive the reader's terminal.
 */
static void add_printable(struct buf *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '\n')
			buf_puts(out, "\\n");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_putc(out, *s);
	}
}

static void add_chain(struct buf *out, const struct error *err)
{
	char line[sizeof(err->text) + 512];

	error_line(err, line, sizeof(line));
	add_printable(out, line);
}

/* "/mounts/0" is a place in config.json unless another file is named before it. */
static void add_place(struct buf *out, const struct error *err)
{
	if (err->at[0] == '/')
		buf_puts(out, "config.json ");
	add_printable(out, err->at);
}

/* "EPERM": what one searches a manual for. NULL with a C library that cannot tell. */
static const char *errno_name(int code)
{
#ifdef __GLIBC__
	return strerrorname_np(code);
#else
	(void)code;
	return NULL;
#endif
}

void cli_report_text(struct buf *out, const char *prefix, const struct error *err)
{
	bool names_us = prefix && !strncmp(prefix, CLI_NAME, strlen(CLI_NAME));

	if (!names_us)
		buf_puts(out, CLI_NAME ": ");
	if (prefix)
		buf_printf(out, "%s: ", prefix);
	add_chain(out, err);

	const char *name = err->quiet ? NULL : errno_name(err->code);

	if (name)
		buf_printf(out, " (%s)", name);
	if (err->at[0]) {
		buf_puts(out, "\n  at:   ");
		add_place(out, err);
	}
	if (err->hint[0]) {
		buf_puts(out, "\n  hint: ");
		add_printable(out, err->hint);
	}
	buf_putc(out, '\n');
}

void cli_report_line(struct buf *out, const char *prefix, const struct error *err)
{
	if (prefix)
		buf_printf(out, "%s: ", prefix);
	add_chain(out, err);
	if (err->at[0]) {
		buf_puts(out, " (at ");
		add_place(out, err);
		buf_putc(out, ')');
	}
	if (err->hint[0]) {
		buf_puts(out, "; hint: ");
		add_printable(out, err->hint);
	}
}

void cli_report_error(const struct report *report, const struct error *err)
{
	auto_buf struct buf text = BUF_INIT;

	if (report->log_is_file || report->log->format == LOG_JSON) {
		cli_report_line(&text, report->prefix, err);
		log_at(report->log, LOG_ERROR, "%s", text.data);
		buf_reset(&text);
	}
	if (report->log_is_file || report->log->format == LOG_TEXT) {
		cli_report_text(&text, report->prefix, err);
		file_write_all(STDERR_FILENO, "standard error", text.data, text.len, NULL);
	}
}

void cli_report_object(struct buf *out, const struct error *err)
{
	struct json_w w = { .out = out };
	char line[sizeof(err->text) + 512];

	error_line(err, line, sizeof(line));
	json_w_open(&w, NULL, '{');
	json_w_open(&w, "error", '{');
	json_w_str(&w, "kind", cpg_error_kind(err->code));
	json_w_str(&w, "message", line);
	if (err->at[0])
		json_w_str(&w, "at", err->at);
	if (err->hint[0])
		json_w_str(&w, "hint", err->hint);
	json_w_close(&w, '}');
	json_w_close(&w, '}');
	buf_putc(out, '\n');
}

void cli_report_json(const struct report *report, const struct error *err)
{
	auto_buf struct buf text = BUF_INIT;

	if (report->log_is_file) {
		cli_report_line(&text, report->prefix, err);
		log_at(report->log, LOG_ERROR, "%s", text.data);
		buf_reset(&text);
	}
	cli_report_object(&text, err);
	file_write_all(STDOUT_FILENO, "standard output", text.data, text.len, NULL);
}
