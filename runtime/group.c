/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which group a container belongs to: at its creation, and later by its path.
 */
#include "runtime/group.h"

#include <errno.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/path.h"

int group_place(const struct rt_context *ctx, struct cg_host *host, struct group_place *ret, struct error *err)
{
	int r = cpg_base_clean(ctx->cpu_group_base ?: CPG_DEFAULT_BASE, ret->base, sizeof(ret->base), err);

	if (r < 0)
		return error_wrap(err, r, "cannot use --cpu-group-base %s", ctx->cpu_group_base ?: CPG_DEFAULT_BASE);
	ret->cpg = (struct cpg){ .host = host, .base = ret->base, .log = ctx->log };
	return 0;
}

const char *group_of(const struct rt_context *ctx, const char *cgroup, char *buf, size_t size)
{
	struct group_place at;

	if (!cgroup || !cgroup[0] || group_place(ctx, NULL, &at, NULL) < 0)
		return NULL;
	return cpg_of_path(&at.cpg, cgroup, buf, size);
}

/* ---- what was asked for ---- */

static const char *annotation(const struct spec *spec)
{
	for (size_t i = 0; i < spec->n_annotations; i++)
		if (strcmp(spec->annotations[i].key, CPG_ANNOTATION) == 0)
			return spec->annotations[i].value;
	return NULL;
}

static int check_name(const char *name, const char *source, struct error *err)
{
	int r = cpg_name_check(name, err);

	return r < 0 ? error_wrap(err, r, "cannot use %s", source) : 0;
}

/* The one name that option and annotation say; NULL when neither says anything. */
static int wished_name(const struct rt_create_options *opt, const struct spec *spec, const char **ret,
		       struct error *err)
{
	const char *noted = annotation(spec);
	int r = opt->cpu_group ? check_name(opt->cpu_group, "--cpu-group", err) : 0;

	if (r == 0 && noted)
		r = check_name(noted, "the annotation " CPG_ANNOTATION, err);
	if (r == 0 && noted && opt->cpu_group && strcmp(noted, opt->cpu_group) != 0)
		r = error_rule(err, EINVAL, "--cpu-group \"%s\" and the annotation " CPG_ANNOTATION " \"%s\" differ",
			       opt->cpu_group, noted);
	if (r < 0) {
		if (noted)
			error_at(err, "/annotations/" CPG_ANNOTATION);
		return r;
	}
	*ret = opt->cpu_group ?: noted;
	return 0;
}

/* Is a path of the tree the base or below it? Neither has a leading slash. */
static bool is_in_base(const struct group_place *at, const char *path)
{
	size_t n = strlen(at->base);

	return strncmp(path, at->base, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int differ(const char *wish, const struct rt_create_options *opt, const char *path, const char *group,
		  struct error *err)
{
	int r = error_rule(err, EINVAL, "%s \"%s\" and cgroupsPath /%s (%s%s%s) differ",
			   opt->cpu_group ? "--cpu-group" : "the annotation " CPG_ANNOTATION, wish, path,
			   group ? "CPU group \"" : "in no CPU group", group ?: "", group ? "\"" : "");

	error_at(err, "/linux/cgroupsPath");
	return r;
}

static bool is_given(const struct spec *spec)
{
	return spec->linux_.cgroups_path && spec->linux_.cgroups_path[0];
}

/* The leaf as option, annotation and cgroupsPath agree on it. */
static int choose(const struct group_place *at, const char *wish, const struct rt_create_options *opt,
		  const struct spec *spec, char *path, size_t size, struct error *err)
{
	char name[PATH_MAX];
	bool in_base = is_in_base(at, path);
	const char *group = in_base ? cpg_of_path(&at->cpg, path, name, sizeof(name)) : NULL;

	if (!wish || (group && strcmp(group, wish) == 0))
		return 0;
	if (is_given(spec) && in_base)
		return differ(wish, opt, path, group, err);
	if (strcmp(wish, "/") == 0 && !in_base)
		return 0;
	return cpg_path(&at->cpg, wish, opt->id, path, size, err);
}

/* ---- what is there ---- */

static bool is_realtime(const struct spec *spec)
{
	const struct spec_scheduler *s = spec->has_process ? spec->process.scheduler : NULL;

	return s && (s->policy == SCHED_FIFO || s->policy == SCHED_RR || s->policy == SCHED_DEADLINE);
}

int group_admits(const struct group_place *at, const char *name, const struct spec_resources *res,
		 const struct spec *spec, const char *leaf, struct error *err)
{
	static const struct spec_resources none;
	struct cpg cpg = at->cpg;

	return cpg_admit(&cpg, name, res ?: &none, is_realtime(spec), leaf, err);
}

static int no_group(const struct group_place *at, const char *name, struct error *err)
{
	int r = error_rule(err, ENOENT, "no CPU group \"%s\" below /%s", name, at->base);

	error_hint(err, "create it with: bulkhead cpugroup create %s", name);
	return r;
}

/*
 * Opens and locks the group a leaf would be in. A directory that is none is another container's, which has an engine of its own
 * inside, or somebody's by hand: what is below it is in the nearest group above. *name becomes that one's.
 */
static int open_group(const struct group_place *at, char *name, struct error *err)
{
	struct cpg cpg = at->cpg;

	for (;;) {
		int fd = cpg_open(&cpg, name, true, err);
		char *slash = strrchr(name, '/');

		if (fd == -ENOENT)
			return no_group(at, name, err);
		if (fd != -EBUSY || !slash)
			return fd;
		*slash = '\0';
		if (err)
			*err = ERROR_INIT;
	}
}

/* A leaf of the base itself: what stands there, or would, is a group, never a container. */
static int beside_groups(const struct group_place *at, const char *path, struct error *err)
{
	struct cpg cpg = at->cpg;
	const char *name = path + strlen(at->base);
	auto_close int fd = *name ? cpg_open(&cpg, name + 1, false, NULL) : -1;
	int r;

	if (!*name)
		r = error_rule(err, EINVAL, "cgroupsPath /%s is the base of the CPU groups, which holds no process", path);
	else if (fd >= 0)
		r = error_rule(err, EINVAL, "cgroupsPath /%s is CPU group \"%s\", which holds no process itself", path,
			       name + 1);
	else
		r = error_rule(err, EINVAL, "cgroupsPath /%s lies beside the CPU groups, in none of them", path);
	error_at(err, "/linux/cgroupsPath");
	if (*name && fd >= 0)
		error_hint(err, "give the container a cgroup of its own there: /%s/ID", path);
	else
		error_hint(err, "use /%s/GROUP/ID, or a path outside of /%s", at->base, at->base);
	return r;
}

static int check_leaf(const struct group_place *at, const char *path, struct error *err)
{
	struct cpg cpg = at->cpg;
	const char *name = path + strlen(at->base) + 1;
	auto_close int fd = cpg_open(&cpg, name, false, NULL);

	if (fd < 0)
		return 0;

	int r = error_rule(err, EINVAL, "cgroup /%s is CPU group \"%s\", which holds no process itself", path, name);

	error_hint(err, "give the container a cgroup of its own there: /%s/ID", path);
	return r;
}

int group_enter(const struct rt_context *ctx, struct cg_host *host, const struct rt_create_options *opt,
		const struct spec *spec, char *path, size_t size, int *ret_lock, struct error *err)
{
	struct group_place at;
	const char *wish;
	char name[PATH_MAX];
	int r = group_place(ctx, host, &at, err);

	if (r == 0)
		r = wished_name(opt, spec, &wish, err);
	if (r == 0)
		r = choose(&at, wish, opt, spec, path, size, err);
	if (r < 0 || !is_in_base(&at, path))
		return r;
	if (!cpg_of_path(&at.cpg, path, name, sizeof(name)))
		return beside_groups(&at, path, err);

	auto_close int fd = open_group(&at, name, err);

	if (fd < 0)
		return error_wrap(err, fd, "cannot enter CPU group \"%s\"", name);
	if (cg_is_frozen(fd) == 1) {
		r = error_rule(err, EBUSY, "CPU group \"%s\" is frozen: a container that starts in it would hang", name);
		error_hint(err, "thaw the group first: bulkhead cpugroup resume %s", name);
		return r;
	}
	r = check_leaf(&at, path, err);
	if (r == 0)
		r = group_admits(&at, name, spec->linux_.resources, spec, NULL, err);
	if (r == 0)
		*ret_lock = TAKE_FD(fd);
	return r;
}

int group_still_admits(const struct rt_context *ctx, const struct rt_state *state, const struct spec_resources *res,
		       const struct spec *spec, struct error *err)
{
	struct cg_host host = { .root_fd = -1 };
	struct group_place at;
	char name[PATH_MAX];

	if (!group_of(ctx, state->cgroup, name, sizeof(name)))
		return 0;

	int r = cg_host_open(&host, err);

	if (r == 0)
		r = group_place(ctx, &host, &at, err);
	if (r == 0)
		r = group_admits(&at, name, res, spec, state->cgroup, err);
	cg_host_close(&host);
	return r;
}

int group_check_thawed(const struct rt_context *ctx, const struct rt_state *state, struct error *err)
{
	struct cg_host host = { .root_fd = -1 };
	struct group_place at;
	char name[PATH_MAX];

	if (!group_of(ctx, state->cgroup, name, sizeof(name)))
		return 0;

	int r = cg_host_open(&host, err);

	if (r == 0)
		r = group_place(ctx, &host, &at, err);
	if (r == 0)
		r = cpg_frozen_above(&at.cpg, state->cgroup, name, sizeof(name), err);
	cg_host_close(&host);
	if (r < 0 || !name[0])
		return r < 0 ? r : 0;
	r = error_rule(err, EBUSY, "CPU group \"%s\" is frozen, and container \"%s\" with it", name, state->id);
	error_hint(err, "thaw the group first: bulkhead cpugroup resume %s", name);
	return r;
}
