/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/check.h"
#include "spec/base/json.h"

static struct arena arena;

static struct check three(void)
{
	struct check c = { .arena = &arena };

	cli_check_add(&c, CHECK_OK, CHECK_NEEDED, "kernel", "Linux %d", 6);
	cli_check_add_errno(&c, ENODEV, CHECK_MISSING, CHECK_OPTIONAL, "overlayfs", "stack layers");
	cli_check_remedy(&c, "modprobe %s", "overlay");
	cli_check_add(&c, CHECK_WARN, CHECK_NEEDED, "capabilities", "few");
	return c;
}

Test(cli_check, a_line_for_each_fact_and_a_verdict)
{
	struct check c = three();
	auto_buf struct buf out = BUF_INIT;

	cli_check_text(&out, &c);
	cr_expect_str_eq(out.data, "ok      kernel              Linux 6\n"
				   "missing overlayfs           stack layers: no such device\n"
				   "                            remedy: modprobe overlay\n"
				   "warn    capabilities        few\n"
				   "\n"
				   "Containers in namespaces can run here.\n");
}

Test(cli_check, only_what_is_needed_and_missing_decides)
{
	struct check c = three();

	cr_expect(cli_check_works(&c));
	cli_check_add(&c, CHECK_MISSING, CHECK_NEEDED, "pidfd", "none");
	cr_expect_not(cli_check_works(&c));
}

Test(cli_check, json_says_the_same)
{
	struct check c = three();
	auto_buf struct buf out = BUF_INIT;
	const struct json *doc = NULL;
	const char *remedy = NULL;
	bool works = false;

	cli_check_json(&out, &c);
	cr_assert_eq(json_parse(out.data, out.len, "check", &arena, &doc, NULL), 0, "%s", out.data);
	cr_assert_eq(json_bool(json_get(doc, "works"), &works, NULL), 0);
	cr_expect(works);
	cr_assert_eq(json_get(doc, "checks")->count, 3);
	cr_assert_eq(json_string(json_get(json_get(doc, "checks")->first->next, "remedy"), &remedy,
				 NULL),
		     0);
	cr_expect_str_eq(remedy, "modprobe overlay");
}

static int probe_value(const void *arg)
{
	return *(const int *)arg;
}

static int probe_death(const void *arg)
{
	(void)arg;
	kill(getpid(), SIGKILL);
	return 0;
}

Test(cli_check, a_probe_in_a_child_returns_its_errno)
{
	cr_expect_eq(cli_check_in_child(probe_value, &(int){ 0 }), 0);
	cr_expect_eq(cli_check_in_child(probe_value, &(int){ EPERM }), EPERM);
	cr_expect_eq(cli_check_in_child(probe_death, NULL), EIO);
}

/* On any Linux that can build this: what is found has a name and a text, and every group finds something. */
Test(cli_check, every_group_finds_something_to_say)
{
	void (*const groups[])(struct check *) = { cli_check_kernel,   cli_check_namespaces,
						   cli_check_mounts,   cli_check_cgroups,
						   cli_check_security, cli_check_kvm,
						   cli_check_programs };

	struct check c = { .arena = &arena };

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		size_t before = c.n;

		groups[i](&c);
		cr_expect_gt(c.n, before, "group %zu", i);
	}
	cr_expect_lt(c.n, (size_t)CHECK_MAX);
	for (size_t i = 0; i < c.n; i++) {
		cr_expect(c.v[i].name[0] && strlen(c.v[i].name) < 20, "%s", c.v[i].name);
		cr_expect(c.v[i].detail[0], "%s", c.v[i].name);
		cr_expect(c.v[i].verdict == CHECK_OK || !c.v[i].remedy || c.v[i].remedy[0]);
	}
}

static const struct check_result *named(const struct check *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->v[i].name, name))
			return &c->v[i];
	cr_assert_fail("nothing is said of %s", name);
	return NULL;
}

Test(cli_check, a_caller_without_privilege_is_told_that_and_not_to_load_modules)
{
	struct check c = { .arena = &arena };

	if (geteuid() == 0)
		cr_assert_eq(setresuid(65534, 65534, 65534), 0);
	cli_check_kernel(&c);
	cli_check_mounts(&c);
	cli_check_security(&c);
	cr_expect_not(cli_check_works(&c));
	cr_expect_eq(named(&c, "user")->verdict, CHECK_MISSING);
	cr_expect_eq(named(&c, "mount API")->verdict, CHECK_MISSING);
	cr_expect(strstr(named(&c, "mount API")->detail, "operation not permitted"));
	cr_expect_null(named(&c, "overlayfs")->remedy);
	cr_expect_null(named(&c, "idmapped mounts")->remedy);
	cr_expect_str_eq(named(&c, "capabilities")->detail, "no CAP_SYS_ADMIN, nor any other");
}
