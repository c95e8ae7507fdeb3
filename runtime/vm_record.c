/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

#define MOST_LINES 64
#define MOST_BYTES (64 << 10)
#define OOM_WORD "oom "
#define DEATH_WORD "died "

int vm_record_open(int state_dir, struct error *err)
{
	int fd = openat(state_dir, VM_RECORD, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? error_set(err, errno, "make " VM_RECORD " in the state directory") : fd;
}

static void add_line(int fd, const char *line, size_t n)
{
	if (write(fd, line, n) < 0)
		return; /* a full disk: the status still says how it ended */
}

void vm_record_oom(int fd, unsigned *lines, uint64_t kills, uint64_t limit, uint64_t peak)
{
	char line[128];
	int n = snprintf(line, sizeof(line), OOM_WORD "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", kills, limit, peak);

	if ((*lines)++ < MOST_LINES)
		add_line(fd, line, (size_t)n);
}

void vm_record_death(int fd, const struct error *err)
{
	char line[4096];
	char *text = line + sizeof(DEATH_WORD) - 1;
	size_t n;

	memcpy(line, DEATH_WORD, sizeof(DEATH_WORD));
	error_line(err, text, sizeof(line) - sizeof(DEATH_WORD));
	n = strlen(text);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = ' ';
	text[n] = '\n';
	add_line(fd, line, sizeof(DEATH_WORD) + n);
}

static void read_line(char *line, struct arena *a, struct vm_record *ret)
{
	struct rt_oom oom = { .cgroup = "", .is_guests = true };

	if (sscanf(line, OOM_WORD "%" SCNu64 " %" SCNu64 " %" SCNu64, &oom.kills, &oom.limit, &oom.peak) == 3) {
		ret->has_oom = oom.kills > 0;
		ret->oom = oom;
	} else if (strncmp(line, DEATH_WORD, sizeof(DEATH_WORD) - 1) == 0) {
		ret->death = arena_strdup(a, line + sizeof(DEATH_WORD) - 1);
	}
}

void vm_record_tell_death(const struct rt_context *ctx, const struct rt_state *state)
{
	static struct arena a = ARENA_INIT;
	struct vm_record record;

	if (state->is_vm && vm_record_read(ctx, state->id, &a, &record) && record.death)
		log_warn(ctx->log, "container \"%s\" has ended with its virtual machine: %s", state->id, record.death);
	arena_release(&a);
}

bool vm_record_read(const struct rt_context *ctx, const char *id, struct arena *a, struct vm_record *ret)
{
	char path[PATH_MAX];
	char *text;
	size_t n;

	*ret = (struct vm_record){ .oom = { .cgroup = "" } };
	if ((size_t)snprintf(path, sizeof(path), "%s/%s/" VM_RECORD, ctx->root, id) >= sizeof(path) ||
	    file_load_at(AT_FDCWD, path, MOST_BYTES, a, &text, &n, NULL) < 0)
		return false;
	for (char *line = text, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			break;
		*end = '\0';
		read_line(line, a, ret);
	}
	return ret->has_oom || ret->death;
}
