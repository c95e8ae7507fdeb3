/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The proof: what the kernel says the process is, against what the plan said it
 * would be. Read through the host's /proc, so nothing in the container can lie
 * (CVE-2019-16884: a control that was written and never read back).
 */
#include "runtime/process/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "spec/base/file.h"

/* NGROUPS_MAX groups of ten digits, and the rest. */
#define STATUS_MAX (1u << 20)

struct view {
	const struct proc_plan *plan;
	const char *status; /* text of /proc/<pid>/status */
	pid_t pid;
};

static int mismatch(const struct view *v, struct error *err, const char *what, const char *found,
		    const char *planned)
{
	return error_rule(err, EPROTO, "%s of process %d is %s, but the plan says %s", what, v->pid,
			  found, planned);
}

/* The value of "Name:\t…", or NULL. */
static const char *find_line(const struct view *v, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = v->status; line && *line;) {
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			return line + n + 1;
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return NULL;
}

/* Takes the next blank-separated number of a line. False at its end. */
static bool next_number(const char **p, int base, uint64_t *ret)
{
	char *end;

	while (**p == ' ' || **p == '\t')
		(*p)++;
	if (**p == '\n' || **p == '\0')
		return false;
	errno = 0;
	*ret = strtoull(*p, &end, base);
	if (end == *p || errno)
		return false;
	*p = end;
	return true;
}

static int read_number(const struct view *v, const char *name, int base, uint64_t *ret,
		       struct error *err)
{
	const char *p = find_line(v, name);

	if (!p || !next_number(&p, base, ret))
		return error_rule(err, EPROTO, "/proc/%d/status has no %s", v->pid, name);
	return 0;
}

/* Real, effective, saved and filesystem id must all be the same one. */
static int check_ids(const struct view *v, const char *name, uint32_t planned, struct error *err)
{
	const char *p = find_line(v, name);

	for (int i = 0; i < 4; i++) {
		uint64_t id;

		if (!p || !next_number(&p, 10, &id))
			return error_rule(err, EPROTO, "/proc/%d/status has no %s", v->pid, name);
		if (id != planned) {
			char found[24], want[24];

			snprintf(found, sizeof(found), "%llu", (unsigned long long)id);
			snprintf(want, sizeof(want), "%u", planned);
			return mismatch(v, err, name, found, want);
		}
	}
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The kernel keeps the list sorted (kernel/groups.c), ours is in the order of the config. */
static int check_groups(const struct view *v, struct error *err)
{
	const struct spec_user *user = &v->plan->spec->user;
	size_t n = user->n_additional_gids;
	uint32_t few[64];
	auto_free uint32_t *many = n > ARRAY_SIZE(few) ? malloc(n * sizeof(*many)) : NULL;
	uint32_t *sorted = many ?: few;
	const char *p = find_line(v, "Groups");
	uint64_t id;

	if (n > ARRAY_SIZE(few) && !many)
		return error_set(err, ENOMEM, "sort %zu groups", n);
	if (!p)
		return error_rule(err, EPROTO, "/proc/%d/status has no Groups", v->pid);
	if (n > 0) {
		memcpy(sorted, user->additional_gids, n * sizeof(*sorted));
		qsort(sorted, n, sizeof(*sorted), compare_ids);
	}
	for (size_t i = 0;; i++) {
		bool more = next_number(&p, 10, &id);
		char found[48] = "shorter", planned[48] = "shorter";

		if (!more && i == n)
			return 0;
		if (more && i < n && id == sorted[i])
			continue;
		if (more)
			snprintf(found, sizeof(found), "a list with %llu at %zu",
				 (unsigned long long)id, i);
		if (i < n)
			snprintf(planned, sizeof(planned), "one with %u there", sorted[i]);
		return mismatch(v, err, "group list", found, planned);
	}
}

static int check_set(const struct view *v, const char *name, uint64_t found, uint64_t planned,
		     struct error *err)
{
	char a[64], b[64], names[256];

	if (found == planned)
		return 0;
	snprintf(a, sizeof(a), "%#llx", (unsigned long long)found);
	snprintf(b, sizeof(b), "%#llx", (unsigned long long)planned);
	mismatch(v, err, name, a, b);
	error_hint(err, "the difference is %s",
		   proc_cap_names(found ^ planned, names, sizeof(names)));
	return -EPROTO;
}

static int check_caps(const struct view *v, struct error *err)
{
	const struct proc_plan *plan = v->plan;
	struct proc_caps planned = {
		.bounding = plan->bounding,
		.effective = plan->effective,
		.permitted = plan->permitted,
		.inheritable = plan->inheritable,
		.ambient = plan->ambient,
	};
	struct proc_caps found;
	int r;

	if ((r = read_number(v, "CapBnd", 16, &found.bounding, err)) < 0 ||
	    (r = read_number(v, "CapEff", 16, &found.effective, err)) < 0 ||
	    (r = read_number(v, "CapPrm", 16, &found.permitted, err)) < 0 ||
	    (r = read_number(v, "CapInh", 16, &found.inheritable, err)) < 0 ||
	    (r = read_number(v, "CapAmb", 16, &found.ambient, err)) < 0)
		return r;

	/* An ambient capability that could not be raised is no error (config.md). */
	if ((found.ambient & ~planned.ambient) == 0)
		planned.ambient = found.ambient;
	planned =
		proc_caps_after_exec(&planned, plan->spec->user.uid, plan->spec->no_new_privileges);

	if ((r = check_set(v, "CapBnd", found.bounding, planned.bounding, err)) < 0 ||
	    (r = check_set(v, "CapInh", found.inheritable, planned.inheritable, err)) < 0 ||
	    (r = check_set(v, "CapAmb", found.ambient, planned.ambient, err)) < 0 ||
	    (r = check_set(v, "CapPrm", found.permitted, planned.permitted, err)) < 0)
		return r;
	return check_set(v, "CapEff", found.effective, planned.effective, err);
}

/* Stricter than planned is fine: both may have been in force for the runtime itself. */
static int check_modes(const struct view *v, struct error *err)
{
	uint64_t mode;
	int r;

	if (v->plan->spec->no_new_privileges) {
		r = read_number(v, "NoNewPrivs", 10, &mode, err);
		if (r < 0)
			return r;
		if (mode != 1)
			return mismatch(v, err, "NoNewPrivs", "0", "1");
	}
	if (v->plan->seccomp.insns) {
		r = read_number(v, "Seccomp", 10, &mode, err);
		if (r < 0)
			return r;
		if (mode != 2)
			return mismatch(v, err, "Seccomp", mode ? "not a filter" : "off", "filter");
	}
	return 0;
}

/* Usually one read into `first` is all of it; only a long list of groups needs more. */
static int read_status(const char *path, char *first, size_t size, struct buf *more, const char **ret,
		       struct error *err)
{
	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open %s", path);

	ssize_t n = read(fd, first, size - 1);

	if (n < 0)
		return error_set(err, errno, "read %s", path);
	first[n] = '\0';
	*ret = first;
	if ((size_t)n < size - 1)
		return 0;
	buf_add(more, first, (size_t)n);

	int r = file_read_fd(fd, path, STATUS_MAX, more, err);

	*ret = more->data;
	return r;
}

/* A process that exits gives up its memory first and its descriptors next (kernel/exit.c, do_exit). */
static void look(const struct view *v, struct proc_facts *ret)
{
	*ret = (struct proc_facts){ .is_ending = !find_line(v, "VmSize") };
	read_number(v, "SigIgn", 16, &ret->ignored_signals, NULL);
}

int proc_verify(const struct proc_plan *plan, pid_t pid, struct proc_facts *ret, struct error *err)
{
	char path[48];
	auto_buf struct buf status = BUF_INIT;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);

	char first[4096];
	const char *text = first;
	int r = read_status(path, first, sizeof(first), &status, &text, err);

	if (r < 0)
		return r;

	struct view v = { .plan = plan, .status = text, .pid = pid };

	look(&v, ret);
	if (ret->is_ending)
		return error_rule(err, ESRCH, "process %d is ending", (int)pid);

	/* In a user namespace these are host numbers, which the id maps would have to translate. */
	if (!plan->in_user_namespace) {
		if ((r = check_ids(&v, "Uid", plan->spec->user.uid, err)) < 0 ||
		    (r = check_ids(&v, "Gid", plan->spec->user.gid, err)) < 0 ||
		    (r = check_groups(&v, err)) < 0)
			return error_wrap(err, r, "cannot trust the process");
	}
	if (plan->has_caps && (r = check_caps(&v, err)) < 0)
		return error_wrap(err, r, "cannot trust the process");
	r = check_modes(&v, err);
	return r < 0 ? error_wrap(err, r, "cannot trust the process") : 0;
}
