/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/check.h"
#include "spec/base/auto.h"

static bool is_in_path(const char *program)
{
	const char *path = getenv("PATH");

	for (const char *p = path ? path : "/usr/sbin:/usr/bin:/sbin:/bin"; *p;) {
		size_t n = strcspn(p, ":");
		char file[4096];

		if (n &&
		    (size_t)snprintf(file, sizeof(file), "%.*s/%s", (int)n, p, program) <
			    sizeof(file) &&
		    access(file, X_OK) == 0)
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

static void check_engines(struct check *c)
{
	static const char *const engines[] = { "dockerd", "containerd", "podman", "crio" };
	auto_buf struct buf found = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++)
		if (is_in_path(engines[i]))
			buf_printf(&found, "%s%s", found.len ? ", " : "", engines[i]);
	cli_check_add(c, found.len ? CHECK_OK : CHECK_WARN, CHECK_OPTIONAL, "engines", "%s",
		      found.len ? found.data : "none installed: bundles are made by hand");
}

static void check_ps(struct check *c)
{
	if (is_in_path("ps")) {
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, "ps", "for the table of `ps`");
		return;
	}
	cli_check_add(c, CHECK_MISSING, CHECK_OPTIONAL, "ps",
		      "not installed: `ps` gives --format json only");
	cli_check_remedy(c, "install the package procps");
}

void cli_check_programs(struct check *c)
{
	check_ps(c);
	cli_check_add(c, is_in_path("criu") ? CHECK_OK : CHECK_WARN, CHECK_OPTIONAL, "criu",
		      "%s; checkpoint and restore are not supported yet",
		      is_in_path("criu") ? "installed" : "not installed");
	check_engines(c);
}
