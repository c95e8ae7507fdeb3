/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of an exec, put together from file, bundle and options.
 */
#include "runtime/exec_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

static int from_file(const char *path, struct arena *a, const struct log *log,
		     struct spec_process **ret, struct error *err)
{
	char *text;
	size_t n;
	int r = file_load_at(AT_FDCWD, path, JSON_MAX_BYTES, a, &text, &n, err);

	if (r >= 0)
		r = spec_parse_process(text, n, a, log, ret, err);
	return r < 0 ? error_wrap(err, r, "cannot read process file %s", path) : 0;
}

static int saved_config(const struct rt_context *ctx, const struct rt_state *state, struct arena *a,
			struct spec **ret, struct error *err)
{
	auto_close int dir_fd = state_open(ctx, state->id, STATE_SHARED, err);

	return dir_fd < 0 ? dir_fd : state_load_config(dir_fd, a, ret, err);
}

/* The bundle's own config as it is now; the saved one when that cannot be read any more. */
static int bundle_process(const struct rt_context *ctx, const struct rt_state *state, struct arena *a,
			  struct spec_process **ret, struct error *err)
{
	struct spec *spec;
	char *text;
	size_t n;
	const char *path = arena_printf(a, "%s/config.json", state->bundle);
	int r = file_load_at(AT_FDCWD, path, JSON_MAX_BYTES, a, &text, &n, NULL);

	if (r == 0)
		r = spec_parse(text, n, a, &spec, NULL);
	if (r < 0 || !spec->has_process)
		r = saved_config(ctx, state, a, &spec, err);
	if (r < 0)
		return r;
	*ret = &spec->process;
	return 0;
}

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static void append(struct spec_strings *to, char *const *more, struct arena *a)
{
	size_t n = count(more);

	if (!n)
		return;

	char **v = ARENA_NEW_N(a, char *, to->n + n + 1);

	memcpy(v, to->v, to->n * sizeof(*v));
	memcpy(v + to->n, more, n * sizeof(*v));
	*to = (struct spec_strings){ .v = v, .n = to->n + n };
}

static int add_caps(struct spec_process *p, char *const *caps, struct arena *a, struct error *err)
{
	if (!count(caps))
		return 0;
	if (!p->capabilities)
		p->capabilities = ARENA_NEW(a, struct spec_capabilities);

	struct spec_capabilities *c = p->capabilities;

	for (size_t i = 0; caps[i]; i++) {
		int n = spec_cap_number(caps[i]);

		if (n < 0)
			return error_rule(err, EINVAL, "unknown capability \"%s\" in --cap", caps[i]);

		uint64_t bit = 1ULL << n;

		c->set[SPEC_CAP_BOUNDING] |= bit;
		c->set[SPEC_CAP_EFFECTIVE] |= bit;
		c->set[SPEC_CAP_PERMITTED] |= bit;
		/* Ambient needs inheritable, and inheritable stays empty unless the config wants it (CVE-2022-29162). */
		if (c->set[SPEC_CAP_INHERITABLE]) {
			c->set[SPEC_CAP_INHERITABLE] |= bit;
			c->set[SPEC_CAP_AMBIENT] |= bit;
		}
	}
	return 0;
}

static int override(struct spec_process *p, const struct rt_exec_options *opt, struct arena *a,
		    struct error *err)
{
	size_t n = count(opt->args);

	if (n == 0)
		return error_rule(err, EINVAL, "process args cannot be empty");
	p->args = (struct spec_strings){ .v = ARENA_NEW_N(a, char *, n + 1), .n = n };
	memcpy(p->args.v, opt->args, n * sizeof(char *));
	p->terminal = opt->tty;
	append(&p->env, opt->env, a);
	for (char *const *e = opt->env; e && *e; e++)
		if (!strchr(*e, '=') || **e == '=')
			return error_rule(err, EINVAL, "--env %s is not NAME=VALUE", *e);
	if (opt->cwd)
		p->cwd = opt->cwd;
	if (p->cwd[0] != '/')
		return error_rule(err, EINVAL, "--cwd %s is not an absolute path", p->cwd);
	if (opt->has_uid)
		p->user.uid = opt->uid;
	if (opt->has_gid)
		p->user.gid = opt->gid;
	if (opt->n_additional_gids) {
		size_t old = p->user.n_additional_gids;
		uint32_t *gids = ARENA_NEW_N(a, uint32_t, old + opt->n_additional_gids);

		if (old)
			memcpy(gids, p->user.additional_gids, old * sizeof(*gids));
		memcpy(gids + old, opt->additional_gids, opt->n_additional_gids * sizeof(*gids));
		p->user.additional_gids = gids;
		p->user.n_additional_gids = old + opt->n_additional_gids;
	}
	if (opt->process_label)
		p->selinux_label = opt->process_label;
	if (opt->apparmor)
		p->apparmor_profile = opt->apparmor;
	if (opt->has_no_new_privs)
		p->no_new_privileges = opt->no_new_privs;
	return add_caps(p, opt->caps, a, err);
}

int exec_source(const struct rt_context *ctx, const struct rt_exec_options *opt,
		const struct rt_state *state, struct arena *a, struct exec_source *ret, struct error *err)
{
	static const struct spec_linux nothing;
	struct spec *saved;
	int r = 0;

	ret->linux_ = &nothing;
	if (state->has_exec_config) {
		r = saved_config(ctx, state, a, &saved, err);
		if (r < 0)
			return r;
		ret->linux_ = &saved->linux_;
	}
	if (opt->process_file)
		return from_file(opt->process_file, a, ctx->log, &ret->process, err);
	r = bundle_process(ctx, state, a, &ret->process, err);
	if (r < 0)
		return r;
	/* A size in the config was for init's terminal. */
	ret->process->has_console_size = ret->process->has_console_size && opt->tty;
	r = override(ret->process, opt, a, err);
	return r < 0 ? r : spec_validate_process(ret->process, ctx->log, err);
}
