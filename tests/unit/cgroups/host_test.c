/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include <linux/magic.h>
#include <sys/vfs.h>

Test(cg_host, the_tree_that_is_found_is_a_cgroup_v2_root)
{
	struct cg_host host;
	struct error err = ERROR_INIT;
	struct statfs fs;
	unsigned controllers;

	if (cg_host_open(&host, &err) < 0) {
		cr_assert_eq(err.code, ENOTSUP);
		cr_assert(err.hint[0]);
		cr_skip_test("no cgroup v2 tree on this host");
	}
	cr_assert_eq(fstatfs(host.root_fd, &fs), 0);
	cr_assert_eq(fs.f_type, CGROUP2_SUPER_MAGIC);
	cr_assert(host.layout == CG_UNIFIED || host.layout == CG_HYBRID);
	assert_ok(cg_controllers(&host, &controllers, &err));
	cr_assert(host.controllers_known);
	cg_host_close(&host);
	cr_assert_eq(host.root_fd, -1);
}

Test(cg_host, controllers_are_read_as_whole_words)
{
	cr_assert_eq(cg_controllers_parse("cpuset cpu io memory hugetlb pids rdma misc dmem\n"),
		     (unsigned)CG_ALL_CONTROLLERS);
	cr_assert_eq(cg_controllers_parse("cpu\n"), (unsigned)CG_CPU);
	cr_assert_eq(cg_controllers_parse("cpuset\n"), (unsigned)CG_CPUSET);
	cr_assert_eq(cg_controllers_parse("\n"), 0u);
	cr_assert_eq(cg_controllers_parse(""), 0u);
}

Test(cg_host, names_and_bits_agree)
{
	for (unsigned c = 1; c <= CG_MISC; c <<= 1)
		cr_assert_eq(cg_controllers_parse(cg_controller_name(c)), c);
}

Test(cg_host, a_file_belongs_to_the_controller_of_its_prefix)
{
	cr_assert_eq(cg_controller_of_file("cpu.max.burst"), (unsigned)CG_CPU);
	cr_assert_eq(cg_controller_of_file("cpuset.cpus"), (unsigned)CG_CPUSET);
	cr_assert_eq(cg_controller_of_file("hugetlb.2MB.max"), (unsigned)CG_HUGETLB);
	cr_assert_eq(cg_controller_of_file("memory.pressure"), 0u);
	cr_assert_eq(cg_controller_of_file("cgroup.max.depth"), 0u);
	cr_assert_eq(cg_controller_of_file("memory"), 0u);
	cr_assert_eq(cg_controller_of_file("memoryx.max"), 0u);
}
