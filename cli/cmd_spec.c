/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/image.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/spec.h"

/* What `do` would run, but for the terminal, and with the image named: `run` finds the files by that annotation. */
static int write_image(const struct cli *cli, const char *name, struct buf *text, struct error *err)
{
	struct cli_image image;
	struct spec_image_run run = {
		.hostname = CLI_NAME,
		.terminal = true,
		.rootless = cli_flag(&cli->args, "rootless"),
		.euid = geteuid(),
		.egid = getegid(),
		.seccomp.kind = cli_flag(&cli->args, "seccomp") ? SPEC_SECCOMP_DEFAULT : SPEC_SECCOMP_NONE,
	};
	int r = cli_image_get(cli, name, false, &image, err);

	if (r < 0)
		return r;

	const struct cli_user_files files = { .image = &image.found };
	const struct spec_key_value annotations[] = { { RT_IMAGE_ANNOTATION, image.found.name } };

	run.image = image.config;
	run.annotations = annotations;
	run.n_annotations = ARRAY_SIZE(annotations);
	r = cli_image_user(cli, &files, image.config->user, &run.user, err);
	return r < 0 ? r : spec_image_write(text, &run, &cli->log, err);
}

static void write_default(const struct cli *cli, struct buf *text)
{
	const struct spec_default_options opt = {
		.rootless = cli_flag(&cli->args, "rootless"),
		.euid = geteuid(),
		.egid = getegid(),
		.hostname = CLI_NAME,
		.seccomp = cli_flag(&cli->args, "seccomp"),
	};

	spec_write_default(text, &opt);
}

int cmd_spec(struct cli *cli, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	const char *bundle = cli_text(&cli->args, "bundle");
	const char *name = cli_text(&cli->args, "file");
	const char *image = cli_text(&cli->args, "image");
	int r = image ? write_image(cli, image, &text, err) : 0;

	if (r < 0)
		return r;
	if (!image)
		write_default(cli, &text);
	if (name && !strcmp(name, "-")) {
		buf_putc(&text, '\n');
		return cli_print(&text, err);
	}
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
	return file_write_all(fd, name, text.data, text.len, err);
}
