/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/exec_options.h"

#include <errno.h>
#include <string.h>

#include "spec/base/parse.h"
#include "spec/spec.h"

int cli_exec_user(const char *text, struct rt_exec_options *ret, struct error *err)
{
	char uid[16];
	size_t n = strcspn(text, ":");
	uint32_t id;

	if (n >= sizeof(uid))
		return error_rule(err, EINVAL, "bad uid in --user \"%s\"", text);
	memcpy(uid, text, n);
	uid[n] = '\0';
	if (parse_id(uid, &id) < 0)
		return error_rule(err, EINVAL,
				  "bad uid in --user \"%s\": it is UID or UID:GID, in "
				  "numbers",
				  text);
	ret->uid = id;
	ret->has_uid = true;
	if (!text[n])
		return 0;
	if (parse_id(text + n + 1, &id) < 0)
		return error_rule(err, EINVAL,
				  "bad gid in --user \"%s\": it is UID or UID:GID, in "
				  "numbers",
				  text);
	ret->gid = id;
	ret->has_gid = true;
	return 0;
}

static int read_gids(const struct cli_args *args, struct arena *a, struct rt_exec_options *ret,
		     struct error *err)
{
	size_t n;
	char **list = cli_list(args, "additional-gids", a, &n);
	uint32_t *gids = ARENA_NEW_N(a, uint32_t, n);

	for (size_t i = 0; i < n; i++)
		if (parse_id(list[i], &gids[i]) < 0)
			return error_rule(err, EINVAL, "bad gid in --additional-gids \"%s\"",
					  list[i]);
	ret->additional_gids = gids;
	ret->n_additional_gids = n;
	return 0;
}

static int check_words(const struct rt_exec_options *opt, struct error *err)
{
	for (char *const *c = opt->caps; *c; c++)
		if (spec_cap_number(*c) < 0)
			return error_rule(err, EINVAL, "unknown capability \"%s\" in --cap", *c);
	for (char *const *e = opt->env; *e; e++)
		if (**e == '=' || !strchr(*e, '='))
			return error_rule(err, EINVAL, "--env \"%s\" is not KEY=VALUE", *e);
	return 0;
}

int cli_exec_options(const struct cli_args *args, struct arena *a, struct rt_exec_options *ret,
		     struct error *err)
{
	char **command = args->operands + 1;
	const char *user = cli_text(args, "user");
	size_t n;

	/* `exec web -- ls` is how other tools are called; no program is named "--". */
	if (*command && !strcmp(*command, "--"))
		command++;
	*ret = (struct rt_exec_options){
		.id = args->operands[0],
		.process_file = cli_text(args, "process"),
		.console_socket = cli_text(args, "console-socket"),
		.pid_file = cli_text(args, "pid-file"),
		.pidfd_socket = cli_text(args, "pidfd-socket"),
		.cwd = cli_text(args, "cwd"),
		.env = cli_list(args, "env", a, &n),
		.tty = cli_flag(args, "tty"),
		.detach = cli_flag(args, "detach"),
		.ignore_paused = cli_flag(args, "ignore-paused"),
		.process_label = cli_text(args, "process-label"),
		.apparmor = cli_text(args, "apparmor"),
		.has_no_new_privs = cli_given(args, "no-new-privs"),
		.no_new_privs = cli_flag(args, "no-new-privs"),
		.caps = cli_list(args, "cap", a, &n),
		.preserve_fds = cli_number(args, "preserve-fds"),
		.cgroup = cli_text(args, "cgroup"),
		.no_subreaper = cli_flag(args, "no-subreaper"),
	};
	if (ret->process_file && *command)
		return error_rule(err, EINVAL,
				  "--process names the whole program: \"%s\" is too much",
				  *command);
	if (!ret->process_file && !*command)
		return error_rule(err, EINVAL,
				  "process args cannot be empty: exec needs a command or "
				  "--process");
	if (!ret->process_file)
		ret->args = command;

	int r = user ? cli_exec_user(user, ret, err) : 0;

	if (r == 0)
		r = read_gids(args, a, ret, err);
	return r < 0 ? r : check_words(ret, err);
}
