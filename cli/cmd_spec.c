/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/spec.h"

int cmd_spec(struct cli *cli, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	const char *bundle = cli_text(&cli->args, "bundle");
	const char *name = cli_text(&cli->args, "file");
	const struct spec_default_options opt = {
		.rootless = cli_flag(&cli->args, "rootless"),
		.euid = geteuid(),
		.egid = getegid(),
		.hostname = CLI_NAME,
	};

	if (!name)
		name = "config.json";
	if (bundle && chdir(bundle) < 0)
		return error_set(err, errno, "change to the bundle %s", bundle);

	/* O_EXCL: somebody's config.json is work that must not be lost. */
	auto_close int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0 && errno == EEXIST)
		return error_rule(err, EEXIST, "File %s exists. Remove it first", name);
	if (fd < 0)
		return error_set(err, errno, "create %s", name);

	spec_write_default(&text, &opt);
	return file_write_all(fd, name, text.data, text.len, err);
}
