/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Writing a plan to a cgroup: each file is read, written, and read back through
 * one descriptor. When a write fails, those before it are undone from the last to
 * the first, so that an update either holds as a whole or changed nothing.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

#define TEXT_MAX   16384 /* of a keyed file; a limit for a hundred devices */
#define LIST_WORDS 128

/* What undoing one write needs. file is NULL when nothing was written. */
struct undo {
	const char *file, *wrote;
	char *old; /* malloc; NULL when the file cannot be read */
};

/* A write of no bytes reaches no file: an empty value is a newline. */
static int put(int fd, const char *value)
{
	char small[256];
	size_t n = strlen(value);

	/* With its newline in one write, as "echo" does; long values go without. */
	if (n + 1 < sizeof(small)) {
		memcpy(small, value, n);
		small[n++] = '\n';
		value = small;
	}
	for (;;) {
		if (pwrite(fd, value, n, 0) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static int put_at(int cg_fd, const char *file, const char *value)
{
	auto_close int fd = openat(cg_fd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : put(fd, value);
}

/* Reads from the start, whatever was read before. */
static ssize_t get(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return n;
}

/* What takes the limit for one name out of a keyed file again. */
static const char *reset_of(const char *file)
{
	if (strcmp(file, "io.max") == 0)
		return "rbps=max wbps=max riops=max wiops=max";
	if (strcmp(file, "rdma.max") == 0)
		return "hca_handle=max hca_object=max";
	if (strcmp(file, "io.latency") == 0)
		return "target=0";
	if (strcmp(file, "io.weight") == 0 || strcmp(file, "io.bfq.weight") == 0)
		return "default";
	return NULL;
}

/* Puts back the line of `old` that has the same name as what was written, or takes that name out. */
static void undo_keyed(int cg_fd, const struct undo *u, const char *reset)
{
	char name[64] = "default";
	char line[512];
	const char *s = u->old;

	if (strchr(u->wrote, ' '))
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(u->wrote, " "), u->wrote);
	for (size_t n = strlen(name); *s && (strncmp(s, name, n) != 0 || s[n] != ' ');) {
		s += strcspn(s, "\n");
		s += *s == '\n';
	}
	if (*s)
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(s, "\n"), s);
	else
		snprintf(line, sizeof(line), "%s %s", name, reset);
	put_at(cg_fd, u->file, line);
}

static void undo(int cg_fd, const struct undo *u)
{
	const char *reset = u->file ? reset_of(u->file) : NULL;
	char line[512];

	if (!u->file || !u->old)
		return;
	if (reset) {
		undo_keyed(cg_fd, u, reset);
		return;
	}
	const char *s = u->old;

	do {
		size_t n = strcspn(s, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)n, s);
		put_at(cg_fd, u->file, line);
		s += n + (s[n] == '\n');
	} while (*s);
}

/* The file of a write that cannot be left out is not there: say why. */
static int missing_error(int cg_fd, const struct cg_write *w, struct error *err)
{
	char line[512];
	char member[128];
	bool has_controller = !w->controller || (cg_read(cg_fd, "cgroup.controllers", line, sizeof(line)) >= 0 &&
						 (cg_controllers_parse(line) & w->controller));
	int r;

	cg_member_name(w->pointer, member, sizeof(member));
	if (!has_controller) {
		r = error_rule(err, ENOTSUP, "%s needs the %s controller, which is not enabled for this cgroup",
			       member, cg_controller_name(w->controller));
		error_hint(err, "the controller must be available in the cgroup v2 tree and listed in "
				"cgroup.subtree_control of every parent");
	} else if (w->other_file) {
		r = error_rule(err, ENOTSUP, "%s needs %s or %s, and this kernel has neither", member, w->file,
			       w->other_file);
	} else {
		r = error_rule(err, ENOTSUP, "%s needs the cgroup file %s, which this kernel does not have",
			       member, w->file);
	}
	return r;
}

static int write_error(const struct cg_write *w, const char *file, const char *value, int code,
		       struct error *err)
{
	int r = error_set(err, code, "write \"%s\" to %s", value, file);

	if (code == EINVAL && strcmp(file, "cpu.max") == 0)
		error_hint(err, "a cpu.max.burst above the new quota is in force: give cpu.burst as well");
	else if (code == EINVAL && strcmp(file, "cpu.weight") == 0)
		error_hint(err, "an idle cgroup (cpu.idle 1) has no weight: set cpu.idle to 0 as well");
	else if ((code == EINVAL || code == ERANGE) && strncmp(file, "cpuset.", 7) == 0)
		error_hint(err, "a CPU or memory node of the list does not exist on this host");
	else if (code == ENODEV && strncmp(file, "io.", 3) == 0)
		error_hint(err, "limits take a whole disk that exists, not a partition");
	else if (code == EOPNOTSUPP)
		error_hint(err, "the cgroup lies in a threaded subtree, where %s cannot work",
			   w->controller ? cg_controller_name(w->controller) : file);
	return r;
}

/*
 * A list that names nothing the parent has is taken and then ignored: the
 * effective list is the parent's (cgroup-v2.rst, cpuset.cpus.effective).
 */
static int check_effective(int cg_fd, const char *file, const char *value, struct error *err)
{
	char name[64];
	char now[CG_FILE_MAX];
	uint64_t asked[LIST_WORDS];
	uint64_t have[LIST_WORDS];
	bool outside = false;

	snprintf(name, sizeof(name), "%s.effective", file);
	if (!*value || cg_read(cg_fd, name, now, sizeof(now)) < 0)
		return 0;
	now[strcspn(now, "\n")] = '\0';
	if (parse_cpulist(value, asked, LIST_WORDS) < 0 || parse_cpulist(now, have, LIST_WORDS) < 0)
		return 0;
	for (size_t i = 0; i < LIST_WORDS; i++)
		outside |= (have[i] & ~asked[i]) != 0;
	if (!outside)
		return 0;
	return error_rule(err, EINVAL, "%s \"%s\" has nothing that is online and given to the parent cgroup; in "
			  "force is \"%s\"", file, value, now);
}

static int verify(int cg_fd, int fd, const char *file, const char *value, struct error *err)
{
	char now[TEXT_MAX];
	char fault[512];
	ssize_t n = get(fd, now, sizeof(now));

	if (n < 0)
		return error_set(err, (int)-n, "read back %s", file);
	if (cg_readback_fault(file, value, now, fault, sizeof(fault)))
		return error_rule(err, EINVAL, "%s", fault);
	if (strcmp(file, "cpuset.cpus") == 0 || strcmp(file, "cpuset.mems") == 0)
		return check_effective(cg_fd, file, value, err);
	return 0;
}

/* A growing limit costs nothing; a shrinking one below what is in use must not end in a kill that reclaim could avoid. */
struct squeeze {
	bool active;
	char old_high[64];
};

/* Has the kernel reclaim down to limit: the write to memory.high does that before it returns. */
static void squeeze_begin(int cg_fd, uint64_t limit, struct squeeze *s)
{
	char text[32];
	uint64_t current;

	s->active = false;
	if (cg_read_number(cg_fd, "memory.current", &current) < 0 || current <= limit)
		return;
	if (cg_read(cg_fd, "memory.high", s->old_high, sizeof(s->old_high)) <= 0)
		return;
	s->old_high[strcspn(s->old_high, "\n")] = '\0';
	snprintf(text, sizeof(text), "%llu", (unsigned long long)limit);
	s->active = put_at(cg_fd, "memory.high", text) == 0;
}

static void squeeze_end(int cg_fd, const struct squeeze *s)
{
	if (s->active)
		put_at(cg_fd, "memory.high", s->old_high);
}

static int write_one(int cg_fd, const struct cg_write *w, struct undo *ret, struct error *err)
{
	const char *file = w->file;
	const char *value = w->value;
	char old[TEXT_MAX];
	bool readable = true;
	auto_close int fd = openat(cg_fd, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT && w->other_file) {
		file = w->other_file;
		value = w->other_value;
		fd = openat(cg_fd, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0 && errno == EACCES) { /* memory.reclaim and its like can only be written */
		readable = false;
		fd = openat(cg_fd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0 && errno == ENOENT)
		return w->optional ? 0 : missing_error(cg_fd, w, err);
	if (fd < 0)
		return error_set(err, errno, "open %s for writing", file);
	if (readable && get(fd, old, sizeof(old)) < 0)
		readable = false;

	struct squeeze s = { .active = false };
	uint64_t limit;

	if (strcmp(file, "memory.max") == 0 && parse_u64(value, &limit) == 0)
		squeeze_begin(cg_fd, limit, &s);

	int r = put(fd, value);

	squeeze_end(cg_fd, &s);
	if (r < 0)
		return write_error(w, file, value, -r, err);
	*ret = (struct undo){ .file = file, .wrote = value, .old = readable ? strdup(old) : NULL };
	return readable ? verify(cg_fd, fd, file, value, err) : 0;
}

/* memory.checkBeforeUpdate: reclaim what can be, then refuse a limit that usage does not leave room for. */
static int check_usage(int cg_fd, const struct cg_plan *plan, struct error *err)
{
	struct squeeze s = { .active = false };
	uint64_t memory = 0;
	uint64_t swap = 0;
	int r = 0;

	if (plan->check_memory)
		squeeze_begin(cg_fd, plan->check_memory, &s);
	if (cg_read_number(cg_fd, "memory.current", &memory) < 0)
		memory = 0; /* no controller: the write will say so */
	if (cg_read_number(cg_fd, "memory.swap.current", &swap) < 0)
		swap = 0;
	squeeze_end(cg_fd, &s);

	if (memory && plan->check_memory && plan->check_memory <= memory) {
		r = error_rule(err, EBUSY, "rejecting memory limit %llu <= usage %llu",
			       (unsigned long long)plan->check_memory, (unsigned long long)memory);
		error_at(err, "/linux/resources/memory/limit");
	} else if (memory && plan->check_memory_swap && plan->check_memory_swap <= memory + swap) {
		r = error_rule(err, EBUSY, "rejecting memory+swap limit %llu <= usage %llu",
			       (unsigned long long)plan->check_memory_swap, (unsigned long long)(memory + swap));
		error_at(err, "/linux/resources/memory/swap");
	}
	return r;
}

int cg_apply(int cg_fd, const struct cg_plan *plan, struct error *err)
{
	size_t n = 0;
	int r = 0;

	if (plan->check_memory || plan->check_memory_swap)
		r = check_usage(cg_fd, plan, err);
	if (r < 0 || plan->n == 0)
		return r;

	auto_free struct undo *undos = calloc(plan->n, sizeof(*undos));

	if (!undos)
		return error_set(err, ENOMEM, "write %zu cgroup files", plan->n);
	for (; r == 0 && n < plan->n; n++) {
		r = write_one(cg_fd, &plan->v[n], &undos[n], err);
		if (r < 0)
			error_at(err, "%s", plan->v[n].pointer);
	}
	for (size_t i = n; i-- > 0;) {
		if (r < 0)
			undo(cg_fd, &undos[i]);
		free(undos[i].old);
	}
	return r;
}
