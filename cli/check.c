/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/base/error.h"
#include "spec/base/json.h"

static const char *format(struct arena *a, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	return arena_strdup(a, text);
}

void cli_check_add(struct check *c, enum check_verdict verdict, enum check_need need,
		   const char *name, const char *detail, ...)
{
	va_list ap;

	if (c->n == CHECK_MAX)
		return;
	va_start(ap, detail);
	c->v[c->n++] = (struct check_result){
		.verdict = verdict,
		.need = need,
		.name = name,
		.detail = format(c->arena, detail, ap),
	};
	va_end(ap);
}

void cli_check_remedy(struct check *c, const char *text, ...)
{
	va_list ap;

	if (c->n == 0)
		return;
	va_start(ap, text);
	c->v[c->n - 1].remedy = format(c->arena, text, ap);
	va_end(ap);
}

void cli_check_add_errno(struct check *c, int code, enum check_verdict otherwise,
			 enum check_need need, const char *name, const char *what)
{
	struct error err = ERROR_INIT;
	char line[256];

	if (code == 0) {
		cli_check_add(c, CHECK_OK, need, name, "%s", what);
		return;
	}
	error_set(&err, code, "%s", what);
	error_line(&err, line, sizeof(line));
	cli_check_add(c, otherwise, need, name, "%s", line);
}

int cli_check_in_child(int (*probe)(const void *arg), const void *arg)
{
	enum { PATIENCE_S = 10 };
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (pid == 0) {
		alarm(PATIENCE_S);
		_exit(probe(arg) & 0xff);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

bool cli_check_works(const struct check *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].need == CHECK_NEEDED && c->v[i].verdict == CHECK_MISSING)
			return false;
	return true;
}

static const char *verdict_name(enum check_verdict v)
{
	return v == CHECK_OK ? "ok" : v == CHECK_WARN ? "warn" : "missing";
}

void cli_check_text(struct buf *out, const struct check *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct check_result *r = &c->v[i];

		buf_printf(out, "%-8s%-20s%s\n", verdict_name(r->verdict), r->name, r->detail);
		if (r->remedy)
			buf_printf(out, "%28sremedy: %s\n", "", r->remedy);
	}
	buf_printf(out, "\nContainers in namespaces %s here.\n",
		   cli_check_works(c) ? "can run" : "cannot run");
}

void cli_check_json(struct buf *out, const struct check *c)
{
	struct json_w w = { .out = out, .indent = "  " };

	json_w_open(&w, NULL, '{');
	json_w_bool(&w, "works", cli_check_works(c));
	json_w_open(&w, "checks", '[');
	for (size_t i = 0; i < c->n; i++) {
		const struct check_result *r = &c->v[i];

		json_w_open(&w, NULL, '{');
		json_w_str(&w, "name", r->name);
		json_w_str(&w, "verdict", verdict_name(r->verdict));
		json_w_bool(&w, "needed", r->need == CHECK_NEEDED);
		json_w_str(&w, "detail", r->detail);
		if (r->remedy)
			json_w_str(&w, "remedy", r->remedy);
		json_w_close(&w, '}');
	}
	json_w_close(&w, ']');
	json_w_close(&w, '}');
	buf_putc(out, '\n');
}
