/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spec/base/file.h"

#define TEXT_MAX 4096 /* what any file of this kind fits in */

static bool parse(const char *text, uint64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && (*end == '\n' || *end == '\0');
}

bool cgroup_file_number(int cgroup_fd, const char *file, uint64_t *ret)
{
	char text[64];

	if (file_read_at(cgroup_fd, file, text, sizeof(text), NULL) <= 0)
		return false;
	if (strncmp(text, "max", 3) == 0) {
		*ret = UINT64_MAX;
		return true;
	}
	return parse(text, ret);
}

uint64_t cgroup_file_counter(int cgroup_fd, const char *file, const char *key)
{
	char text[TEXT_MAX];
	size_t n = strlen(key);
	uint64_t v;

	if (file_read_at(cgroup_fd, file, text, sizeof(text), NULL) <= 0)
		return 0;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0 && line[n] == ' ')
			return parse(line + n + 1, &v) ? v : 0;
	}
	return 0;
}
