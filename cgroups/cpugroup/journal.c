/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Writes that can be taken back. Every value is read before it is replaced, and a
 * change that fails halfway writes the old ones again, from the last to the first:
 * the reverse of an order that the kernel took is one that it takes.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"

/* An empty value must be one write, too: a newline. */
static int write_text(int dir_fd, const char *file, const char *value)
{
	char line[CG_FILE_MAX];

	if ((size_t)snprintf(line, sizeof(line), "%s\n", value) >= sizeof(line))
		return -EFBIG;
	return cg_write_text(dir_fd, file, line);
}

static int write_error(const char *path, const char *file, const char *value, int code, struct error *err)
{
	int r;

	/* The only rule behind it: what is exclusive here is so nowhere beside. */
	if (code == EINVAL && strcmp(file, "cpuset.cpus.exclusive") == 0)
		return error_rule(err, EBUSY, "cgroup /%s cannot have CPUs \"%s\" exclusively: a cgroup beside it has or "
				  "lists some of them (the kernel refuses them in %s)", path, value, file);
	r = error_set(err, code, "write \"%s\" to /%s/%s", value, path, file);
	if ((code == EINVAL || code == ERANGE) && strncmp(file, "cpuset.", 7) == 0)
		error_hint(err, "a CPU or memory node of the list does not exist on this host, or a sibling has it "
				"exclusively");
	else if (code == EACCES || code == EPERM || code == EROFS)
		error_hint(err, "this user may not write %s there: let the owner of the tree delegate the cgroup "
				"above it (systemd: Delegate=yes), or act as root", file);
	return r;
}

static void note(struct cpg_journal *j, int dir_fd, const char *path, const char *file, const char *old,
		 const char *value)
{
	if (j->n == j->room) {
		struct cpg_undo *more = ARENA_NEW_N(j->a, struct cpg_undo, j->room ? j->room * 2 : 16);

		if (j->n)
			memcpy(more, j->v, j->n * sizeof(*more));
		j->v = more;
		j->room = j->room ? j->room * 2 : 16;
	}
	j->v[j->n++] = (struct cpg_undo){
		.fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0),
		.path = arena_strdup(j->a, path),
		.file = arena_strdup(j->a, file),
		.old = arena_strdup(j->a, old),
		.value = arena_strdup(j->a, value),
	};
}

int cpg_put(struct cpg_journal *j, int dir_fd, const char *path, const char *file, const char *value,
	    struct error *err)
{
	char old[CG_FILE_MAX];
	char now[CG_FILE_MAX];
	ssize_t n = cg_read(dir_fd, file, old, sizeof(old));

	if (n == -ENOENT)
		return -ENOENT;
	if (n < 0)
		return error_set(err, (int)-n, "read /%s/%s", path, file);
	old[strcspn(old, "\n")] = '\0';
	if (cpg_value_holds(file, value, old))
		return 0;

	int r = write_text(dir_fd, file, value);

	if (r < 0)
		return write_error(path, file, value, -r, err);
	note(j, dir_fd, path, file, old, value);

	/* A partition speaks for itself (cpg_partition_enter()). */
	if (strcmp(file, "cpuset.cpus.partition") == 0)
		return 0;
	n = cg_read(dir_fd, file, now, sizeof(now));
	if (n < 0)
		return error_set(err, (int)-n, "read back /%s/%s", path, file);
	now[strcspn(now, "\n")] = '\0';
	if (!cpg_value_holds(file, value, now))
		return error_rule(err, EINVAL, "/%s/%s holds \"%s\" after \"%s\" was written", path, file, now, value);
	return 0;
}

void cpg_journal_undo(struct cpg_journal *j)
{
	for (size_t i = j->n; i-- > 0;) {
		const struct cpg_undo *u = &j->v[i];
		char old[CG_FILE_MAX];

		/* "isolated invalid (…)" was asked for by its first word. A weight of 0 is what an idle group shows. */
		snprintf(old, sizeof(old), "%s", u->old);
		if (strcmp(u->file, "cpuset.cpus.partition") == 0)
			old[strcspn(old, " ")] = '\0';
		if (strncmp(u->file, "cpu.weight", 10) != 0 || strcmp(old, "0") != 0)
			write_text(u->fd, u->file, old);
	}
	cpg_journal_release(j);
}

void cpg_journal_log(const struct cpg_journal *j, const struct log *log, const char *verb, const char *name)
{
	auto_buf struct buf b = BUF_INIT;

	if (!log || log->level < LOG_INFO)
		return;
	for (size_t i = 0; i < j->n; i++)
		buf_printf(&b, "%s /%s/%s \"%s\" -> \"%s\"", i ? "," : ":", j->v[i].path, j->v[i].file, j->v[i].old,
			   j->v[i].value);
	log_at(log, LOG_INFO, "%s CPU group \"%s\"%s", verb, name, b.len ? b.data : "");
}

void cpg_journal_release(struct cpg_journal *j)
{
	for (size_t i = 0; i < j->n; i++)
		if (j->v[i].fd >= 0)
			close(j->v[i].fd);
	j->n = 0;
}
