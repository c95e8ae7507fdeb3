/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/spec.h"

static int probe_unshare(const void *flag)
{
	return unshare((int)*(const unsigned long *)flag) < 0 ? errno : 0;
}

/* What limits a kind of namespace: user_namespaces(7), namespaces(7). */
static long limit_of(const char *kind)
{
	char path[64];
	char text[32];

	snprintf(path, sizeof(path), "/proc/sys/user/max_%s_namespaces", kind);
	if (file_read_at(AT_FDCWD, path, text, sizeof(text), NULL) <= 0)
		return -1;
	return strtol(text, NULL, 10);
}

/* The kernel's names for the limits are shorter than those of the specification. */
static const char *kernel_name(enum spec_ns_kind kind)
{
	switch (kind) {
	case SPEC_NS_MOUNT:
		return "mnt";
	case SPEC_NS_NETWORK:
		return "net";
	default:
		return spec_ns_name(kind);
	}
}

static bool is_needed(enum spec_ns_kind kind)
{
	return kind == SPEC_NS_MOUNT || kind == SPEC_NS_PID || kind == SPEC_NS_NETWORK ||
	       kind == SPEC_NS_IPC || kind == SPEC_NS_UTS;
}

static void check_one(struct check *c, enum spec_ns_kind kind)
{
	static const char *const names[SPEC_NAMESPACES] = {
		[SPEC_NS_USER] = "namespace user",     [SPEC_NS_MOUNT] = "namespace mount",
		[SPEC_NS_PID] = "namespace pid",       [SPEC_NS_NETWORK] = "namespace network",
		[SPEC_NS_IPC] = "namespace ipc",       [SPEC_NS_UTS] = "namespace uts",
		[SPEC_NS_CGROUP] = "namespace cgroup", [SPEC_NS_TIME] = "namespace time",
	};
	unsigned long flag = spec_ns_flag(kind);
	long limit = limit_of(kernel_name(kind));
	int code = cli_check_in_child(probe_unshare, &flag);
	enum check_need need = is_needed(kind) ? CHECK_NEEDED : CHECK_OPTIONAL;

	if (code == 0 && limit > 0) {
		cli_check_add(c, CHECK_OK, need, names[kind], "at most %ld", limit);
		return;
	}
	cli_check_add_errno(c, code, CHECK_MISSING, need, names[kind], "make one");
	if (code && limit == 0)
		cli_check_remedy(c, "sysctl user.max_%s_namespaces=10000", kernel_name(kind));
	else if (code == EINVAL)
		cli_check_remedy(c, "use a kernel that is configured with this kind of namespace");
}

/* Distributions have added switches of their own that keep unprivileged users out. */
static void check_user_switches(struct check *c)
{
	static const struct {
		const char *file, *sysctl, *off;
	} switches[] = {
		{ "/proc/sys/kernel/unprivileged_userns_clone",
		  "kernel.unprivileged_userns_clone=1", "0" },
		{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
		  "kernel.apparmor_restrict_unprivileged_userns=0", "1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		char text[16];

		if (file_read_at(AT_FDCWD, switches[i].file, text, sizeof(text), NULL) <= 0 ||
		    text[0] != switches[i].off[0])
			continue;
		cli_check_add(c, CHECK_WARN, CHECK_OPTIONAL, "userns for users",
			      "unprivileged users may not make user namespaces");
		cli_check_remedy(c, "sysctl %s", switches[i].sysctl);
	}
}

void cli_check_namespaces(struct check *c)
{
	for (int kind = 0; kind < SPEC_NAMESPACES; kind++)
		check_one(c, (enum spec_ns_kind)kind);
	check_user_switches(c);
}
