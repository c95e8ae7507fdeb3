/* SPDX-License-Identifier: Apache-2.0 */

/*
 * cmd_do - one line from an image to a process
 *
 * The config comes from the image and the command line, and never is a file that somebody could edit; the
 * files are the image's, or a directory's, below a throw-away layer. What is left is nothing.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/image.h"
#include "cli/layer.h"
#include "cli/storage_options.h"
#include "spec/base/auto.h"
#include "spec/base/path.h"

#define HOSTNAME_MAX 63 /* a label of a name, RFC 1035; the kernel takes one more */
#define MOUNTS_MAX   5

struct wish {
	const struct cli *cli;
	const char *image; /* NULL: */
	const char *dir; /* what is below the throw-away layer; NULL: the host's own root */
	struct cli_image found;
	const char *id;
	struct spec_mount mounts[MOUNTS_MAX];
	struct spec_image_run run;
};

/* ---- names ---- */

static int choose_id(struct wish *w, struct error *err)
{
	const char *name = cli_text(&w->cli->args, "name");
	uint64_t number;

	if (name) {
		w->id = name;
		return rt_check_id(name, err);
	}
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return error_set(err, errno, "ask for a random number");
	w->id = arena_printf(w->cli->arena, "do-%012llx", (unsigned long long)(number & 0xffffffffffff));
	return 0;
}

/* K=V, or K for the value that it has here. One that has none here is left out, as engines do. */
static int choose_env(struct wish *w, struct error *err)
{
	size_t n, kept = 0;
	char **env = cli_list(&w->cli->args, "env", w->cli->arena, &n);

	for (size_t i = 0; i < n; i++) {
		const char *value = strchr(env[i], '=') ? "" : getenv(env[i]);

		if (!*env[i] || *env[i] == '=')
			return error_rule(err, EINVAL, "--env \"%s\" is neither NAME=VALUE nor NAME", env[i]);
		if (!value)
			continue;
		env[kept++] = strchr(env[i], '=') ? env[i] : arena_printf(w->cli->arena, "%s=%s", env[i], value);
	}
	env[kept] = NULL;
	w->run.env = env;
	return 0;
}

static int absolute(const struct wish *w, const char *path, const char **ret, struct error *err)
{
	char cwd[PATH_MAX] = "", clean[PATH_MAX];

	if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return error_set(err, errno, "ask for the working directory");

	int r = path_clean(arena_printf(w->cli->arena, "%s/%s", cwd, path), clean, sizeof(clean));

	if (r < 0)
		return error_set(err, -r, "read the path %.100s", path);
	*ret = arena_strdup(w->cli->arena, clean);
	return 0;
}

/* ---- what is there to be seen ---- */

static void add_mount(struct wish *w, const struct spec_mount *m)
{
	w->mounts[w->run.n_mounts++] = *m;
	w->run.mounts = w->mounts;
}

static void hide(struct wish *w, const char *dir)
{
	static char *options[] = { "nosuid", "nodev", "mode=755", "size=65536k", NULL };

	add_mount(w, &(struct spec_mount){
		.destination = dir, .type = "tmpfs", .source = "tmpfs",
		.options = { .v = options, .n = ARRAY_SIZE(options) - 1 },
	});
}

/* With the host's network comes what names its names. */
static void share_names(struct wish *w)
{
	static const char *const files[] = { "/etc/resolv.conf", "/etc/hosts" };
	static char *options[] = { "bind", "ro", "nosuid", "nodev", "noexec", NULL };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (access(files[i], R_OK) == 0)
			add_mount(w, &(struct spec_mount){
				.destination = files[i], .type = "bind", .source = files[i],
				.options = { .v = options, .n = ARRAY_SIZE(options) - 1 },
			});
}

/*
 * The host's own files: sockets and run-time secrets of its services stay out of sight, and so do sandboxes and
 * configs of other containers. What the root's file system has else can be read.
 */
static void hide_what_is_private(struct wish *w)
{
	hide(w, "/run");
	hide(w, w->cli->ctx.store ?: OVL_STORE_DEFAULT);
	if (!path_is_below(w->cli->ctx.root, "/run"))
		hide(w, w->cli->ctx.root);
}

/* Where the caller is, since it is the same tree. */
static int choose_host_root(struct wish *w, struct error *err)
{
	char cwd[PATH_MAX];

	hide_what_is_private(w);
	if (w->run.cwd)
		return 0;
	if (!getcwd(cwd, sizeof(cwd)))
		return error_set(err, errno, "ask for the working directory");
	w->run.cwd = arena_strdup(w->cli->arena, cwd);
	return 0;
}

static int choose_image(struct wish *w, struct error *err)
{
	int r = cli_image_get(w->cli, w->image, cli_flag(&w->cli->args, "quiet"), &w->found, err);

	w->run.image = w->found.config;
	return r;
}

static int choose_root(struct wish *w, struct error *err)
{
	const struct cli_args *args = &w->cli->args;
	const char *dir = cli_text(args, "rootfs");

	w->image = cli_text(args, "image");
	if (w->image && dir)
		return error_rule(err, EINVAL, "--image and --rootfs cannot both say what the root is made of");
	if (w->image)
		return choose_image(w, err);
	if (!dir)
		return choose_host_root(w, err);

	int r = absolute(w, dir, &w->dir, err);

	if (r == 0 && !strcmp(w->dir, "/"))
		hide_what_is_private(w);
	return r;
}

static int choose_user(struct wish *w, struct error *err)
{
	const struct cli_user_files files = {
		.image = w->image ? &w->found.found : NULL, .dir = w->dir ?: "/",
	};
	const char *given = cli_text(&w->cli->args, "user");
	const char *text = given ?: w->image ? w->found.config->user : NULL;

	return cli_image_user(w->cli, &files, text, &w->run.user, err);
}

/* ---- how it runs ---- */

static bool wants_terminal(const struct cli *cli)
{
	const bool *is_terminal = cli->ctx.stdio.is_terminal;

	if (cli_given(&cli->args, "no-tty"))
		return !cli_flag(&cli->args, "no-tty");
	if (cli_given(&cli->args, "tty"))
		return cli_flag(&cli->args, "tty");
	return is_terminal[0] && is_terminal[1];
}

static int read_profile(struct wish *w, const char *file, struct error *err)
{
	auto_buf struct buf text = BUF_INIT;
	struct utsname u;
	int r = cli_read_file(file, &text, err);

	if (r < 0)
		return error_wrap(err, r, "cannot use the seccomp profile %.200s", file);
	if (uname(&u) < 0)
		return error_set(err, errno, "ask for the kernel's release");
	w->run.seccomp = (struct spec_seccomp_wish){
		.kind = SPEC_SECCOMP_PROFILE,
		.name = file,
		.text = arena_strndup(w->cli->arena, text.data ?: "", text.len),
		.n = text.len,
		.kernel = arena_strdup(w->cli->arena, u.release),
	};
	return 0;
}

/* Engines' own words: builtin is docker's for the default. The last one counts. */
static int choose_seccomp(struct wish *w, struct error *err)
{
	char *const *v = cli_list(&w->cli->args, "security-opt", w->cli->arena, &(size_t){ 0 });
	const char *value = "default";

	for (; *v; v++) {
		if (strncmp(*v, "seccomp=", strlen("seccomp=")) != 0 || !(*v)[strlen("seccomp=")])
			return error_rule(err, EINVAL, "--security-opt %.100s is not seccomp=default, seccomp=unconfined or seccomp=FILE",
					  *v);
		value = *v + strlen("seccomp=");
	}
	if (!strcmp(value, "unconfined"))
		return 0;
	if (strcmp(value, "default") != 0 && strcmp(value, "builtin") != 0)
		return read_profile(w, value, err);
	w->run.seccomp.kind = SPEC_SECCOMP_DEFAULT;
	return 0;
}

static int choose(struct wish *w, struct error *err)
{
	const struct cli *cli = w->cli;
	const struct cli_args *args = &cli->args;
	const char *network = cli_text(args, "network");
	const char *volumes = cli_text(args, "image-volume");
	int r = choose_id(w, err);

	if (r < 0)
		return r;
	w->run = (struct spec_image_run){
		.entrypoint = cli_text(args, "entrypoint"),
		.args = args->operands,
		.cwd = cli_text(args, "workdir"),
		.hostname = arena_strndup(cli->arena, w->id, HOSTNAME_MAX),
		.terminal = wants_terminal(cli),
		.may_gain_privileges = cli_given(args, "no-new-privs") && !cli_flag(args, "no-new-privs"),
		.host_network = network && !strcmp(network, "host"),
		.volumes = volumes && !strcmp(volumes, "tmpfs") ? SPEC_VOLUMES_TMPFS : SPEC_VOLUMES_IGNORED,
	};
	r = choose_env(w, err);
	if (r == 0)
		r = choose_seccomp(w, err);
	if (r == 0)
		r = choose_root(w, err);
	if (r == 0)
		r = choose_user(w, err);
	if (r == 0 && w->run.host_network)
		share_names(w);
	return r;
}

static void find_storage(struct wish *w, struct rt_storage *ret)
{
	cli_sandbox_options(w->cli, ret);
	ret->image = w->image ? w->found.found.name : NULL;
	ret->found = w->image ? &w->found.found : NULL;
	if (!w->image) {
		char **layers = ARENA_NEW_N(w->cli->arena, char *, 2);

		layers[0] = arena_strdup(w->cli->arena, w->dir ?: "/");
		ret->layers = layers;
	}
}

static void choose_isolation(struct cli *cli)
{
	const char *wall = cli_text(&cli->args, "isolation");

	if (wall)
		cli->ctx.isolation = cli_isolation(wall);
}

/* As a shell tells it: no such program, or one that cannot be executed. The cause is the first frame of an error. */
static int status_of(const struct error *err)
{
	if (strncmp(err->text, "exec \"", 6) != 0)
		return 0;
	return err->code == ENOENT ? 127 : 126;
}

int cmd_do(struct cli *cli, struct error *err)
{
	char space[24576]; /* enough for most: no heap for it */
	auto_buf struct buf text = BUF_ON(space);
	struct wish w = { .cli = cli };
	int status = 0;
	int r = choose(&w, err);

	if (r == 0)
		r = spec_image_write(&text, &w.run, &cli->log, err);
	if (r < 0)
		return r;
	choose_isolation(cli);

	struct rt_create_options opt = {
		.id = w.id,
		.config_text = text.data,
		.config_n = text.len,
		.cpu_group = cli_text(&cli->args, "cpu-group"),
		.is_attended = true,
	};

	find_storage(&w, &opt.storage);
	r = rt_run(&cli->ctx, &opt, &status, err);
	if (r < 0)
		cli->fail_status = status_of(err);
	return r < 0 ? r : status;
}
