/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>

#include "cli/cli.h"
#include "spec/base/parse.h"

struct reader {
	struct buf line;
	struct error err; /* of the write that ended it */
	bool gone; /* nobody reads us any more */
};

static int emit(const char *text, void *data)
{
	struct reader *to = data;

	buf_reset(&to->line);
	buf_puts(&to->line, text);
	buf_putc(&to->line, '\n');

	int r = cli_print(&to->line, &to->err);

	to->gone = r == -EPIPE;
	return r;
}

int cmd_events(struct cli *cli, struct error *err)
{
	const char *text = cli_text(&cli->args, "interval");
	const char *id = cli_id(cli, err);
	int64_t interval_ns = 5000000000;

	if (!id)
		return -EINVAL;
	if (text && parse_duration(text, &interval_ns) < 0)
		return error_rule(err, EINVAL,
				  "--interval \"%s\" is no duration: write 500ms, 2s or 1m30s",
				  text);
	if (interval_ns <= 0)
		return error_rule(err, EINVAL, "duration interval must be greater than 0");

	struct reader to = { .line = BUF_INIT, .err = ERROR_INIT };

	/* `events web | head -1` is a normal way to end. */
	signal(SIGPIPE, SIG_IGN);

	int r = rt_events(&cli->ctx, id, interval_ns, cli_flag(&cli->args, "stats"), emit, &to,
			  err);

	buf_release(&to.line);
	if (to.gone)
		return 0;
	if (r < 0 && to.err.code)
		*err = to.err;
	return r;
}
