/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/cpugroup/room.h"

/* Answers that a test cannot have from a kernel at will: a fake tree gives them. */

static struct error err;
static struct arena a = ARENA_INIT;
static struct cg_host host;
static struct cpg cpg;
static char dir[64];

static const char attribute[] = "{\"version\":1,\"uuid\":\"u\",\"created\":\"t\",\"policy\":{\"pressureLimit\":40}}";

static void setup(void)
{
	host = (struct cg_host){ .layout = CG_UNIFIED, .root_fd = fake_open(dir), .mount_point = dir };
	fake_file(host.root_fd, "cgroup.controllers", "cpu pids\n");
	cpg = (struct cpg){ .host = &host, .base = "base" };
	cr_assert_eq(mkdirat(host.root_fd, "base", 0755), 0);
	cr_assert_eq(mkdirat(host.root_fd, "base/gold", 0755), 0);

	auto_close int fd = openat(host.root_fd, "base/gold", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fsetxattr(fd, CPG_XATTR, attribute, strlen(attribute), 0) < 0) {
		fake_close(host.root_fd, dir);
		cr_skip_test("no extended attributes in /tmp");
	}
	fake_file(fd, "cpuset.cpus.effective", "0-3\n");
}

static void teardown(void)
{
	fake_close(host.root_fd, dir);
	arena_release(&a);
}

TestSuite(cpg_fake, .init = setup, .fini = teardown);

static void pressure(const char *avg10)
{
	char text[256];
	auto_close int fd = openat(host.root_fd, "base/gold", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	snprintf(text, sizeof(text), "some avg10=%s avg60=0.00 avg300=0.00 total=5\n"
		 "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", avg10);
	fake_file(fd, "cpu.pressure", text);
}

Test(cpg_fake, a_group_under_pressure_takes_nobody_new_and_keeps_who_is_in)
{
	static const struct spec_resources none;

	pressure("40.00");
	assert_ok(cpg_admit(&cpg, "gold", &none, false, NULL, &err));
	pressure("40.01");
	cr_assert_eq(cpg_admit(&cpg, "gold", &none, false, NULL, &err), -EDQUOT);
	cr_assert(strstr(line_of(&err), "some avg10 is 40.01 %, and it takes no new members above 40.00 %"), "%s",
		  line_of(&err));
	assert_ok(cpg_admit(&cpg, "gold", &none, false, "base/gold/web", &err));
	cr_assert_eq(cpg_admit(&cpg, "gold", &none, false, "base/silver/web", &err), -EDQUOT);
}

Test(cpg_fake, a_controller_that_the_tree_lacks_is_named_with_its_file)
{
	struct cpg_policy p;

	cpg_policy_default(&p);
	p.set = CPG_SET_MEMORY;
	p.memory_max = 4096;
	cr_assert_eq(cpg_set(&cpg, "gold", &p, 0, &err), -ENOTSUP);
	cr_assert(strstr(line_of(&err), "memory needs the memory controller"), "%s", line_of(&err));
	cr_assert(strstr(err.hint, "Delegate=yes"));

	host.layout = CG_HYBRID;
	err = ERROR_INIT;
	cr_assert_eq(cpg_set(&cpg, "gold", &p, 0, &err), -ENOTSUP);
	cr_assert(strstr(line_of(&err), "hybrid host: controllers are bound to cgroup v1"), "%s", line_of(&err));
}

/* A link where a group should be leads nowhere. */
Test(cpg_fake, no_link_is_followed_out_of_the_base)
{
	struct cpg_group g;

	cr_assert_eq(symlinkat("/etc", host.root_fd, "base/evil"), 0);
	cr_assert_eq(symlinkat("gold", host.root_fd, "base/alias"), 0);
	cr_assert_lt(cpg_get(&cpg, "evil", &a, &g, &err), 0);
	cr_assert_lt(cpg_open(&cpg, "alias", false, &err), 0);
	cr_assert_lt(cpg_delete(&cpg, "alias", CPG_KILL | CPG_RECURSIVE, &err), 0);
	cr_assert_eq(faccessat(host.root_fd, "base/gold", F_OK, 0), 0);
}

/* Three writes that hold, a fourth that the file refuses: all are as before. */
Test(cpg_fake, a_journal_goes_back_from_the_last_to_the_first)
{
	struct cpg_journal j = { .a = &a };
	auto_close int fd = openat(host.root_fd, "base/gold", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	fake_file(fd, "pids.max", "max\n");
	fake_file(fd, "cpu.weight", "100\n");
	assert_ok(cpg_put(&j, fd, "base/gold", "pids.max", "777", &err));
	assert_ok(cpg_put(&j, fd, "base/gold", "pids.max", "888", &err));
	assert_ok(cpg_put(&j, fd, "base/gold", "cpu.weight", "300", &err));
	assert_ok(cpg_put(&j, fd, "base/gold", "cpu.weight", "300", &err));
	cr_assert_eq(j.n, 3, "what holds already is not written");
	cr_assert_eq(cpg_put(&j, fd, "base/gold", "memory.max", "1", &err), -ENOENT);
	cr_assert_str_eq(fake_line(fd, "pids.max"), "888");
	cpg_journal_undo(&j);
	cr_assert_str_eq(fake_line(fd, "pids.max"), "max");
	cr_assert_str_eq(fake_line(fd, "cpu.weight"), "100");
}

Test(cpg_fake, an_older_kernel_is_told_from_one_with_remote_partitions)
{
	auto_close int fd = openat(host.root_fd, "base/gold", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cpg_policy p;

	fake_file(host.root_fd, "cgroup.controllers", "cpu cpuset pids\n");
	fake_file(host.root_fd, "base/cpuset.cpus.effective", "0-3\n");
	fake_file(host.root_fd, "base/cpuset.cpus.partition", "member\n");
	fake_file(fd, "cpuset.cpus", "\n");
	fake_file(fd, "cpuset.cpus.partition", "member\n");
	cpg_policy_default(&p);
	p.set = CPG_SET_CPUS | CPG_SET_EXCLUSIVE;
	p.cpus = "1";
	p.exclusive = CPG_ISOLATED;
	cr_assert_eq(cpg_set(&cpg, "gold", &p, 0, &err), -ENOTSUP);
	cr_assert(strstr(line_of(&err), "a kernel of 6.7 or later"), "%s", line_of(&err));
	cr_assert_str_eq(fake_line(fd, "cpuset.cpus.partition"), "member");
	cr_assert_str_eq(fake_line(fd, "cpuset.cpus"), "");
}
