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
	auto_buf struct buf b = BUF_INIT;
	auto_close int fd = file_open_regular(AT_FDCWD, path, err);
	int r = fd;

	if (r >= 0)
		r = file_read_fd(fd, path, JSON_MAX_BYTES, &b, err);
	if (r >= 0)
		r = spec_parse_process(b.data ? b.data : "", b.len, a, log, ret, err);
	return r < 0 ? error_wrap(err, r, "cannot read process file %s", path) : 0;
}

/* The bundle's own config when it still can be read; most often it is what was saved, byte for byte. */
static struct spec *bundle_config(const struct rt_state *state, struct spec *saved, struct arena *a)
{
	auto_buf struct buf b = BUF_INIT;
	char path[PATH_MAX];
	struct spec *spec;

	if ((size_t)snprintf(path, sizeof(path), "%s/config.json", state->bundle) >= sizeof(path))
		return saved;

	auto_close int fd = file_open_regular(AT_FDCWD, path, NULL);

	if (fd < 0 || file_read_fd(fd, path, JSON_MAX_BYTES, &b, NULL) < 0)
		return saved;
	if (b.len == saved->raw_len && memcmp(b.data, saved->raw, b.len) == 0)
		return saved;
	if (spec_parse(b.data ? b.data : "", b.len, a, &spec, NULL) < 0 || !spec->has_process)
		return saved;
	return spec;
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

int exec_source(const struct rt_exec_options *opt, int state_dir, const struct rt_state *state,
		struct arena *a, const struct log *log, struct exec_source *ret, struct error *err)
{
	int r = state_load_config(state_dir, a, &ret->container, err);

	if (r < 0)
		return r;
	if (opt->process_file)
		return from_file(opt->process_file, a, log, &ret->process, err);
	ret->process = &bundle_config(state, ret->container, a)->process;
	/* What is not the terminal's of this exec: a size in the config was for init's. */
	ret->process->has_console_size = ret->process->has_console_size && opt->tty;
	return override(ret->process, opt, a, err);
}
