/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "cgroups/cpugroup/internal.h"

/* A host of two packages, two cores each, two threads a core; CPU 7 is offline, 3 was isolated at boot. */

static struct error err;
static struct arena a = ARENA_INIT;
static char dir[64];
static int fd;
static struct cpg_topology t;

static void make_dir(const char *path)
{
	cr_assert_eq(mkdirat(fd, path, 0755), 0, "%s", path);
}

static void topology_file(unsigned cpu, const char *name, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), "cpu/cpu%u/topology/%s", cpu, name);
	fake_file(fd, path, text);
}

static void setup(void)
{
	char text[64];

	fd = fake_open(dir);
	make_dir("cpu");
	make_dir("node");
	make_dir("node/node0");
	make_dir("node/node1");
	fake_file(fd, "cpu/present", "0-7\n");
	fake_file(fd, "cpu/online", "0-6\n");
	fake_file(fd, "cpu/isolated", "3\n");
	fake_file(fd, "node/online", "0-1\n");
	fake_file(fd, "node/node0/cpulist", "0-1,4-5\n");
	fake_file(fd, "node/node1/cpulist", "2-3,6\n");
	for (unsigned c = 0; c < 7; c++) {
		snprintf(text, sizeof(text), "cpu/cpu%u", c);
		make_dir(text);
		snprintf(text, sizeof(text), "cpu/cpu%u/topology", c);
		make_dir(text);
		topology_file(c, "physical_package_id", c % 4 < 2 ? "0\n" : "1\n");
		topology_file(c, "die_id", "0\n");
		snprintf(text, sizeof(text), "%u\n", c % 2);
		topology_file(c, "core_id", text);
		snprintf(text, sizeof(text), "%u,%u\n", c % 4, c % 4 + 4);
		topology_file(c, c == 1 ? "thread_siblings_list" : "core_cpus_list", c == 3 ? "3\n" : text);
	}
	err = ERROR_INIT;
	cr_assert_eq(cpg_topology(NULL, fd, &a, &t, &err), 0, "%s", line_of(&err));
}

static void teardown(void)
{
	fake_close(fd, dir);
	arena_release(&a);
}

TestSuite(cpg_topology, .init = setup, .fini = teardown);

Test(cpg_topology, every_present_cpu_is_described)
{
	cr_assert_eq(t.n, 8);
	cr_assert_eq(t.n_online, 7);
	cr_assert_eq(t.cpu[6].cpu, 6);
	cr_assert_eq(t.cpu[6].node, 1);
	cr_assert_eq(t.cpu[6].package, 1);
	cr_assert_eq(t.cpu[5].core, 1);
	cr_assert_eq(t.cpu[5].die, 0);
	cr_assert_str_eq(t.cpu[6].siblings, "2,6");
	cr_assert_str_eq(t.cpu[1].siblings, "1,5", "an older kernel's name of the file");
	cr_assert(t.cpu[3].isolated && !t.cpu[2].isolated);
}

Test(cpg_topology, an_offline_cpu_is_there_without_a_place)
{
	cr_assert_not(t.cpu[7].online);
	cr_assert_eq(t.cpu[7].node, -1);
	cr_assert_eq(t.cpu[7].package, -1);
	cr_assert_str_eq(t.cpu[7].siblings, "7");
}

Test(cpg_topology, nodes_of_cpus_are_what_mems_auto_means)
{
	struct cpg_mask m;

	cpg_mask_parse("0,4", &m);
	cr_assert_str_eq(cpg_nodes_of(&t, &m, &a), "0");
	cpg_mask_parse("1-2", &m);
	cr_assert_str_eq(cpg_nodes_of(&t, &m, &a), "0-1");
}

Test(cpg_topology, a_split_core_is_named)
{
	struct cpg_mask m;

	cpg_mask_parse("0,4", &m);
	cr_assert_eq(cpg_check_whole_cores(&t, &m, &err), 0);
	cpg_mask_parse("0-1,4", &m);
	cr_assert_eq(cpg_check_whole_cores(&t, &m, &err), -EINVAL);
	cr_assert(strstr(line_of(&err), "CPU 1 shares its core with CPUs 1,5"), "%s", line_of(&err));
}

Test(cpg_topology, this_host_is_read_as_sysconf_counts_it)
{
	struct cpg_topology here;

	cr_assert_eq(cpg_topology(NULL, -1, &a, &here, &err), 0, "%s", line_of(&err));
	cr_assert_eq((long)here.n_online, sysconf(_SC_NPROCESSORS_ONLN));
}
