/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/check.h"
#include "runtime/process/process.h"
#include "spec/base/file.h"
#include "spec/spec.h"

static int action_available(uint32_t action)
{
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? errno : 0;
}

static void check_seccomp(struct check *c)
{
	const char *version = proc_seccomp_version();

	cli_check_add_errno(c, action_available(SECCOMP_RET_ERRNO), CHECK_MISSING, CHECK_OPTIONAL,
			    "seccomp", "filter system calls");
	cli_check_add_errno(c, action_available(SECCOMP_RET_USER_NOTIF), CHECK_MISSING,
			    CHECK_OPTIONAL, "seccomp notify", "let another process decide");
	if (version) {
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, "libseccomp", "%s", version);
		return;
	}
	cli_check_add(c, CHECK_MISSING, CHECK_OPTIONAL, "libseccomp",
		      "cannot be opened: a config with a seccomp profile is refused");
	cli_check_remedy(c, "install the package libseccomp2");
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; *p;) {
		size_t len = strcspn(p, ",\n");

		if (len == n && !memcmp(p, word, n))
			return true;
		p += len + (p[len] != '\0');
	}
	return false;
}

static void check_labels(struct check *c)
{
	static const struct {
		const char *lsm, *member;
	} labels[] = { { "apparmor", "apparmorProfile" }, { "selinux", "selinuxLabel" } };
	char list[512] = "";

	file_read_at(AT_FDCWD, "/sys/kernel/security/lsm", list, sizeof(list), NULL);
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		bool is_active = has_word(list, labels[i].lsm);

		cli_check_add(c, is_active ? CHECK_OK : CHECK_WARN, CHECK_OPTIONAL, labels[i].lsm,
			      "%s%s",
			      is_active ? "active" : "not active: no protection by process.",
			      is_active ? "" : labels[i].member);
	}
}

/* CapEff of /proc/self/status: what we can give to containers, or do for them. */
static uint64_t effective_capabilities(void)
{
	static const char key[] = "\nCapEff:";
	char text[8192];

	if (file_read_at(AT_FDCWD, "/proc/self/status", text, sizeof(text), NULL) < 0)
		return 0;

	const char *line = strstr(text, key);

	return line ? strtoull(line + sizeof(key) - 1, NULL, 16) : 0;
}

static void check_capabilities(struct check *c)
{
	static const char name[] = "capabilities";
	uint64_t have = effective_capabilities();
	uint64_t admin = 1ull << spec_cap_number("CAP_SYS_ADMIN");
	uint64_t resource = 1ull << spec_cap_number("CAP_SYS_RESOURCE");
	auto_buf struct buf lack = BUF_INIT;

	for (unsigned i = 0; i <= SPEC_CAP_LAST; i++)
		if (!(have & (1ull << i)))
			buf_printf(&lack, "%s%s", lack.len ? ", " : "", spec_cap_name(i));
	if (!lack.len) {
		cli_check_add(c, CHECK_OK, CHECK_NEEDED, name, "all");
		return;
	}
	if (!(have & admin)) {
		cli_check_add(c, CHECK_MISSING, CHECK_NEEDED, name, "no CAP_SYS_ADMIN%s",
			      have ? "" : ", nor any other");
		return;
	}
	cli_check_add(c, CHECK_WARN, CHECK_NEEDED, name, "cannot use or give away: %s", lack.data);
	if (!(have & resource))
		cli_check_remedy(c, "without CAP_SYS_RESOURCE no hard limit can be raised and no "
				    "oom_score_adj lowered; run it with that capability");
}

static void check_memlock(struct check *c)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, "RLIMIT_MEMLOCK", "unlimited");
	else
		cli_check_add(c, CHECK_OK, CHECK_OPTIONAL, "RLIMIT_MEMLOCK", "%llu KiB",
			      (unsigned long long)limit.rlim_cur / 1024);
}

void cli_check_security(struct check *c)
{
	check_seccomp(c);
	check_labels(c);
	check_capabilities(c);
	check_memlock(c);
}
