/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include <dirent.h>

#include "spec/base/auto.h"

/* The kernel's own answers to plans, with the one controller that most hosts leave to v2: hugetlb. */

static struct error err;
static char file[256];

/* Skips where hugetlb is not there; else `file` is the limit of one page size. */
static void open_with_hugetlb(struct scratch *s)
{
	scratch_open(s);

	int own = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = fdopendir(own);

	for (const struct dirent *e; !file[0] && (e = readdir(dir));)
		if (strncmp(e->d_name, "hugetlb.", 8) == 0 && strstr(e->d_name, "MB.max"))
			snprintf(file, sizeof(file), "%s", e->d_name);
	if (!file[0]) {
		scratch_close(s);
		cr_skip_test("no hugetlb controller in this tree");
	}
}

static const char *value_of(int cg_fd)
{
	static char text[64];

	cr_assert(cg_read(cg_fd, file, text, sizeof(text)) >= 0);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

Test(cg_kernel, a_limit_is_written_and_read_back)
{
	struct scratch s;

	open_with_hugetlb(&s);

	struct cg_write w = { .file = file, .value = "8388608", .controller = CG_HUGETLB };
	struct cg_plan plan = { .v = &w, .n = 1, .controllers = CG_HUGETLB };

	assert_ok(cg_apply(s.fd, &plan, &err));
	cr_assert_str_eq(value_of(s.fd), "8388608");
	scratch_close(&s);
}

Test(cg_kernel, what_the_kernel_refuses_undoes_what_it_took)
{
	struct scratch s;

	open_with_hugetlb(&s);

	struct cg_write w[] = {
		{ .file = "cgroup.max.depth", .value = "3" },
		{ .file = file, .value = "8388608", .controller = CG_HUGETLB },
		{ .file = file, .value = "nonsense", .controller = CG_HUGETLB,
		  .pointer = "/linux/resources/unified/x" },
	};
	struct cg_plan plan = { .v = w, .n = 3, .controllers = CG_HUGETLB };
	char text[64];

	cr_assert_eq(cg_apply(s.fd, &plan, &err), -EINVAL);
	cr_assert_not_null(strstr(line_of(&err), "write \"nonsense\" to hugetlb."), "%s", line_of(&err));
	cr_assert_str_eq(err.at, "/linux/resources/unified/x");
	cr_assert_str_eq(value_of(s.fd), "max");
	cr_assert(cg_read(s.fd, "cgroup.max.depth", text, sizeof(text)) > 0);
	cr_assert_str_eq(text, "max\n");
	scratch_close(&s);
}

Test(cg_kernel, a_parent_that_holds_processes_hands_nothing_down_and_the_error_says_why)
{
	struct scratch s;
	char path[128];
	bool made;

	open_with_hugetlb(&s);
	scratch_fork(&s, pause);
	snprintf(path, sizeof(path), "%s/leaf", s.path);

	struct cg_write w = { .file = file, .value = "8388608", .controller = CG_HUGETLB,
			      .pointer = "/linux/resources/hugepageLimits/0" };
	struct cg_plan plan = { .v = &w, .n = 1, .controllers = CG_HUGETLB };

	cr_assert_eq(cg_create(&s.host, path, &plan, &made, &err), -EBUSY);
	cr_assert_not_null(strstr(line_of(&err), "holds processes itself, so the kernel does not enable the hugetlb "
						 "controller for its children (no internal processes)"), "%s",
			   line_of(&err));
	cr_assert_str_eq(err.at, "/linux/resources/hugepageLimits/0");
	cr_assert_not_null(strstr(err.hint, "/init"));
	/* The leaf is gone again, and the parent is still one that processes can live in. */
	char type[64];

	cr_assert(cg_read(s.fd, "cgroup.type", type, sizeof(type)) > 0);
	cr_assert_str_eq(type, "domain\n");
	cr_assert_eq(cg_open(&s.host, path, &err), -ENOENT);
	scratch_close(&s);
}

/* Without a limit the leaf is made all the same, without controllers. */
Test(cg_kernel, a_parent_that_holds_processes_is_no_obstacle_where_nothing_is_limited)
{
	struct scratch s;
	char path[128];
	char type[64];
	bool made;

	scratch_open(&s);
	scratch_fork(&s, pause);
	snprintf(path, sizeof(path), "%s/leaf", s.path);

	struct scratch leaf = s;

	leaf.fd = cg_create(&s.host, path, NULL, &made, &err);
	cr_assert(leaf.fd >= 0, "%s", line_of(&err));
	cr_assert(cg_read(leaf.fd, "cgroup.type", type, sizeof(type)) > 0);
	cr_assert_str_eq(type, "domain\n");
	scratch_fork(&leaf, pause);
	wait_for_members(leaf.fd, 1);
	close(leaf.fd);
	scratch_close(&s);
}

Test(cg_kernel, a_nested_leaf_gets_its_controller_through_every_parent)
{
	struct scratch s;
	char path[128];
	bool made;

	open_with_hugetlb(&s);
	snprintf(path, sizeof(path), "%s/a/b/leaf", s.path);

	struct cg_write w = { .file = file, .value = "0", .controller = CG_HUGETLB };
	struct cg_plan plan = { .v = &w, .n = 1, .controllers = CG_HUGETLB };
	auto_close int fd = cg_create(&s.host, path, &plan, &made, &err);

	cr_assert(fd >= 0, "%s", line_of(&err));
	assert_ok(cg_apply(fd, &plan, &err));
	cr_assert_str_eq(value_of(fd), "0");
	scratch_close(&s);
}

Test(cg_kernel, a_growth_limit_of_a_parent_is_explained)
{
	struct scratch s;
	char path[128];
	bool made;

	scratch_open(&s);
	cr_assert_eq(cg_write_text(s.fd, "cgroup.max.descendants", "0"), 0);
	snprintf(path, sizeof(path), "%s/leaf", s.path);
	cr_assert_eq(cg_create(&s.host, path, NULL, &made, &err), -EAGAIN);
	cr_assert_not_null(strstr(err.hint, "cgroup.max.descendants"));
	scratch_close(&s);
}
