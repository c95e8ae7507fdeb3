/* SPDX-License-Identifier: Apache-2.0 */

/* cmd_sandbox_out - a sandbox's changes to an archive, and back */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/layer.h"
#include "cli/out.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

/* The file gets its name when it is whole: half an archive would be taken for one. */
static int export_to(struct cli *cli, const char *id, const char *file, struct error *err)
{
	const char *other = arena_printf(cli->arena, "%s.part", file);
	auto_close int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? error_set(err, errno, "make %s", other) :
			 rt_sandbox_export(&cli->ctx, id, fd, out_compression(cli, OVL_PLAIN), cli->arena, err);

	if (r == 0 && fsync(fd) < 0)
		r = error_set(err, errno, "write %s to the disk", other);
	if (r == 0 && rename(other, file) < 0)
		r = error_set(err, errno, "rename %s to %s", other, file);
	if (r < 0 && fd >= 0)
		unlink(other);
	return r;
}

int cmd_sandbox_export(struct cli *cli, struct error *err)
{
	const char *id = cli_id(cli, err);
	const char *file = cli_text(&cli->args, "output");
	int r = id ? 0 : -EINVAL;

	if (r == 0 && (!file || !strcmp(file, "-")) && isatty(STDOUT_FILENO))
		r = error_rule(err, EINVAL, "an archive does not go to a terminal: name a file with -o, or use a pipe");
	if (r == 0)
		r = rt_need_libraries(&cli->ctx, "libarchive for archives", err);
	if (r < 0)
		return r;
	if (file && strcmp(file, "-") != 0)
		return export_to(cli, id, file, err);
	return rt_sandbox_export(&cli->ctx, id, STDOUT_FILENO, out_compression(cli, OVL_PLAIN), cli->arena, err);
}

int cmd_sandbox_import(struct cli *cli, struct error *err)
{
	const char *id = cli_id(cli, err);
	const char *file = cli->args.operands[1];
	auto_store struct ovl_store store = CLI_STORE_INIT;
	struct ovl_sandbox sb = OVL_SANDBOX_INIT;
	int r = id ? rt_need_libraries(&cli->ctx, "libarchive for archives", err) : -EINVAL;

	if (r < 0)
		return r;

	bool is_stdin = !strcmp(file, "-");
	auto_close int fd = is_stdin ? -1 : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && !is_stdin)
		return error_set(err, errno, "open %s", file);
	r = cli_store_open(cli, OVL_EXISTING, &store, err);
	if (r == 0)
		r = ovl_sandbox_open(&store, id, cli->arena, &sb, err);
	if (r < 0)
		return r;
	r = ovl_sandbox_import(&store, &sb, is_stdin ? STDIN_FILENO : fd, NULL, cli->arena, err);
	ovl_sandbox_release(&store, &sb);
	ovl_sandbox_close(&sb);
	return r;
}
