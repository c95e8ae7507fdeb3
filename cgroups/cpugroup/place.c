/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/* Directories of groups: opening, listing, reading one file. Every step goes down and none through a link. */

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/oom.h"

struct arena *cpg_scratch_new(void)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		oom_die();
	return a;
}

void cpg_scratch_free(struct arena **a)
{
	int saved = errno;

	if (*a) {
		arena_release(*a);
		free(*a);
	}
	errno = saved;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int cpg_children(int dir_fd, struct arena *a, const char ***ret, size_t *ret_n, struct error *err)
{
	/* A description of its own: the position of the caller's fd is not ours to move. */
	int fd = cg_open_below(dir_fd, ".", O_RDONLY | O_DIRECTORY);
	size_t room = 0;
	size_t n = 0;
	const char **names = NULL;

	*ret = NULL;
	*ret_n = 0;
	if (fd == -ENOENT || fd == -ENODEV)
		return 0;
	if (fd < 0)
		return error_set(err, -fd, "open the cgroup's directory");

	auto_closedir DIR *dir = fdopendir(fd);

	if (!dir) {
		close(fd);
		return error_set(err, ENOMEM, "list the cgroup's children");
	}
	for (const struct dirent *e; (e = readdir(dir));) {
		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (n == room) {
			const char **more = ARENA_NEW_N(a, const char *, room ? room * 2 : 16);

			if (n)
				memcpy(more, names, n * sizeof(*more));
			names = more;
			room = room ? room * 2 : 16;
		}
		names[n++] = arena_strdup(a, e->d_name);
	}
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	*ret = names;
	*ret_n = n;
	return 0;
}

int cpg_open_child(int dir_fd, const char *name)
{
	return cg_open_below(dir_fd, name, O_RDONLY | O_DIRECTORY);
}

int cpg_open_base(const struct cpg *cpg, struct error *err)
{
	int fd = cg_open_below(cpg->host->root_fd, cpg->base, O_RDONLY | O_DIRECTORY);

	return fd < 0 ? error_set(err, -fd, "open the base of the CPU groups, /%s", cpg->base) : fd;
}

const char *cpg_text(int dir_fd, const char *file, struct arena *a)
{
	char text[CG_FILE_MAX];
	ssize_t n = cg_read(dir_fd, file, text, sizeof(text));

	if (n <= 0)
		return "";
	if (text[n - 1] == '\n')
		n--;
	return arena_strndup(a, text, (size_t)n);
}
