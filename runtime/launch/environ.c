/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment that the program gets: exactly process.env, plus HOME when the
 * config gives none (programs expect it; the image's passwd knows it).
 */
#include "runtime/launch/environ.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"
#include "spec/base/path.h"

#define PASSWD_MAX (1u << 20) /* an image with more than this gets "/" */
#define LINE_MAX_BYTES 1024

/* Open addressing over the names seen so far; the table is at most half full. */
struct names {
	char **env;
	unsigned *slot; /* index into env + 1, 0: free */
	size_t mask;
	size_t n;
};

static size_t hash_name(const char *entry, size_t len)
{
	size_t h = 1469598103934665603u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)entry[i]) * 1099511628211u;
	return h;
}

static void put(struct names *names, char *entry)
{
	size_t len = strcspn(entry, "=");

	for (size_t i = hash_name(entry, len);; i++) {
		unsigned *slot = &names->slot[i & names->mask];

		if (!*slot) {
			names->env[names->n++] = entry;
			*slot = (unsigned)names->n;
			return;
		}

		char **seen = &names->env[*slot - 1];

		if (strncmp(*seen, entry, len) == 0 && (*seen)[len] == '=') {
			*seen = entry;
			return;
		}
	}
}

char **environ_build(const struct spec_strings *env, char *const *extra, struct arena *a,
		     char ***ret_home)
{
	size_t max = env->n;
	size_t slots = 16;

	for (char *const *e = extra; e && *e; e++)
		max++;
	while (slots < 2 * max)
		slots *= 2;

	struct names names = {
		.env = ARENA_NEW_N(a, char *, max + 2),
		.slot = ARENA_NEW_N(a, unsigned, slots),
		.mask = slots - 1,
	};

	for (size_t i = 0; i < env->n; i++)
		put(&names, env->v[i]);
	for (char *const *e = extra; e && *e; e++)
		put(&names, *e);

	*ret_home = &names.env[names.n];
	for (size_t i = 0; i < names.n; i++)
		if (strncmp(names.env[i], "HOME=", 5) == 0)
			*ret_home = names.env[i][5] ? NULL : &names.env[i];
	return names.env;
}

/* name:password:uid:gid:gecos:home:shell */
static bool match_line(char *line, uint32_t uid, char *buf, size_t size)
{
	char *field[7] = { line };
	uint32_t id;

	for (int i = 1; i < 7; i++) {
		field[i] = strchr(field[i - 1], ':');
		if (!field[i])
			return false;
		*field[i]++ = '\0';
	}
	if (parse_id(field[2], &id) < 0 || id != uid || field[5][0] != '/' || strlen(field[5]) >= size)
		return false;
	snprintf(buf, size, "%s", field[5]);
	return true;
}

void environ_home(int root_fd, uint32_t uid, char *buf, size_t size)
{
	char chunk[8192];
	char line[LINE_MAX_BYTES];
	size_t used = 0, total = 0;
	bool too_long = false;
	struct stat st;
	auto_close int fd = path_try(root_fd, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);

	snprintf(buf, size, "/");
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	while (total < PASSWD_MAX) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n <= 0)
			break;
		total += (size_t)n;
		for (ssize_t i = 0; i < n; i++) {
			if (chunk[i] != '\n') {
				if (used < sizeof(line) - 1)
					line[used++] = chunk[i];
				else
					too_long = true;
				continue;
			}
			line[used] = '\0';
			if (!too_long && match_line(line, uid, buf, size))
				return;
			used = 0;
			too_long = false;
		}
	}
	line[used] = '\0';
	if (used && !too_long)
		match_line(line, uid, buf, size);
}
