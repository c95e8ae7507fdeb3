/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "cgroups/internal.h"
#include "spec/base/auto.h"

struct row {
	const char *file, *wrote, *now;
};

static bool is_fault(const struct row *r)
{
	char buf[512];

	return cg_readback_fault(r->file, r->wrote, r->now, buf, sizeof(buf)) != NULL;
}

Test(cg_readback, values_the_kernel_spells_otherwise_are_the_same)
{
	static const struct row rows[] = {
		{ "memory.max", "max", "max\n" },
		{ "memory.max", "1000000", "999424\n" },
		{ "memory.max", "9223372036854775807", "max\n" },
		{ "memory.high", "64M", "67108864\n" },
		{ "cpu.max", "50000 100000", "50000 100000\n" },
		{ "cpu.max", "50000", "50000 100000\n" },
		{ "cpu.max", "max 100000", "max 100000\n" },
		{ "cpuset.cpus", "0,1,2,3,5", "0-3,5\n" },
		{ "cpuset.cpus", "", "\n" },
		{ "cpu.weight", "100", "100\n" },
		{ "pids.max", "max", "max\n" },
		{ "hugetlb.2MB.max", "3000000", "2097152\n" },
		{ "io.max", "8:0 rbps=10", "8:16 rbps=5 wbps=max riops=max wiops=max\n8:0 rbps=10 wbps=max "
					    "riops=max wiops=max\n" },
		{ "io.max", "8:0 rbps=max", "" },
		{ "rdma.max", "mlx hca_handle=2", "mlx hca_handle=2 hca_object=max\n" },
		{ "cpuset.cpus.partition", "isolated", "isolated\n" },
		{ "some.file", "1", "whatever\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_assert_not(is_fault(&rows[i]), "%s: \"%s\"", rows[i].file, rows[i].wrote);
}

Test(cg_readback, values_the_kernel_did_not_keep_are_faults)
{
	static const struct row rows[] = {
		{ "memory.max", "1000000", "max\n" },
		{ "memory.max", "1000000", "2000000\n" },
		{ "memory.max", "1000000", "4096\n" },
		{ "memory.max", "max", "4096\n" },
		{ "cpu.max", "50000 100000", "50000 10000\n" },
		{ "cpu.max", "5000", "50000 100000\n" },
		{ "cpuset.cpus", "0-3", "0-2\n" },
		{ "cpu.weight", "101", "100\n" },
		{ "pids.max", "5", "max\n" },
		{ "io.max", "8:0 rbps=10", "8:0 rbps=100 wbps=max riops=max wiops=max\n" },
		{ "io.max", "8:0 rbps=10", "8:16 rbps=10 wbps=max riops=max wiops=max\n" },
		{ "io.max", "8:0 rbps=10", "" },
		{ "rdma.max", "mlx hca_handle=2", "mlx hca_handle=max hca_object=max\n" },
		{ "cpuset.cpus.partition", "isolated", "isolated invalid (Cpu list empty)\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_assert(is_fault(&rows[i]), "%s: \"%s\" and \"%s\"", rows[i].file, rows[i].wrote, rows[i].now);
}

Test(cg_readback, a_fault_says_what_was_written_and_what_is_there)
{
	char buf[512];

	cr_assert_str_eq(cg_readback_fault("cpuset.cpus.partition", "isolated",
					   "isolated invalid (Cpu list empty)\n", buf, sizeof(buf)),
			 "cpuset.cpus.partition holds \"isolated invalid (Cpu list empty)\" after \"isolated\" "
			 "was written");
}
