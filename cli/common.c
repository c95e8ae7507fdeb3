/* SPDX-License-Identifier: Apache-2.0 */

/* common - what several commands need */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/storage_options.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/json.h"

#define READ_TIMEOUT_MS 3000

const char *cli_id(const struct cli *cli, struct error *err)
{
	const char *id = cli->args.operands[0];

	return rt_check_id(id, err) < 0 ? NULL : id;
}

int cli_create_options(const struct cli *cli, struct rt_create_options *ret, struct error *err)
{
	const struct cli_args *args = &cli->args;
	const char *id = cli_id(cli, err);

	if (!id)
		return -EINVAL;
	*ret = (struct rt_create_options){
		.id = id,
		.bundle = cli_text(args, "bundle"),
		.config = cli_text(args, "config"),
		.console_socket = cli_text(args, "console-socket"),
		.pid_file = cli_text(args, "pid-file"),
		.pidfd_socket = cli_text(args, "pidfd-socket"),
		.no_pivot = cli_flag(args, "no-pivot"),
		.no_new_keyring = cli_flag(args, "no-new-keyring"),
		.preserve_fds = cli_number(args, "preserve-fds"),
		.cpu_group = cli_text(args, "cpu-group"),
	};
	cli_storage_options(cli, &ret->storage);
	return 0;
}

int cli_read_file(const char *name, struct buf *b, struct error *err)
{
	if (!strcmp(name, "-"))
		return file_read_fd(STDIN_FILENO, "standard input", JSON_MAX_BYTES, b, err);

	/* Not a regular file only: a shell's <(…) is a pipe. One that nobody writes to is no reason to wait. */
	auto_close int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return error_set(err, errno, "open %s", name);
	if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, READ_TIMEOUT_MS) == 0)
		return error_rule(err, ETIMEDOUT, "%s: nothing to read within %d seconds", name,
				  READ_TIMEOUT_MS / 1000);
	fcntl(fd, F_SETFL, O_RDONLY);
	return file_read_fd(fd, name, JSON_MAX_BYTES, b, err);
}

int cli_print(const struct buf *b, struct error *err)
{
	return b->len ? file_write_all(STDOUT_FILENO, "standard output", b->data, b->len, err) : 0;
}
