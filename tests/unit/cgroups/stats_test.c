/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "spec/base/auto.h"

static int fd;
static char dir[64];
static struct error err;

static void setup(void)
{
	err = ERROR_INIT;
	fd = fake_open(dir);
	fake_file(fd, "cgroup.events", "populated 1\nfrozen 0\n");
}

static void teardown(void)
{
	fake_close(fd, dir);
}

TestSuite(cg_stats, .init = setup, .fini = teardown);

static const char *stats(void)
{
	static struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };

	buf_reset(&out);
	assert_ok(cg_write_stats(fd, &w, NULL, &err));
	return out.data;
}

Test(cg_stats, without_controllers_the_objects_are_there_and_empty)
{
	cr_assert_str_eq(stats(), "{\"cpu\":{\"usage\":{},\"throttling\":{}},\"memory\":{},\"pids\":{},"
				  "\"blkio\":{},\"hugetlb\":{}}");
}

Test(cg_stats, cpu_is_in_nanoseconds_and_knows_throttling_and_burst)
{
	fake_file(fd, "cpu.stat", "usage_usec 5100\nuser_usec 4000\nsystem_usec 1100\nnr_periods 10\n"
				  "nr_throttled 4\nthrottled_usec 700\nnr_bursts 2\nburst_usec 30\n");
	fake_file(fd, "cpu.pressure", "some avg10=0.12 avg60=1.00 avg300=10.50 total=12345\n"
				      "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
	cr_assert_not_null(strstr(stats(), "\"cpu\":{\"usage\":{\"total\":5100000,\"kernel\":1100000,"
					   "\"user\":4000000},\"throttling\":{\"periods\":10,"
					   "\"throttledPeriods\":4,\"throttledTime\":700000,\"bursts\":2,"
					   "\"burstTime\":30000},\"psi\":{\"some\":{\"avg10\":0.12,"
					   "\"avg60\":1.00,\"avg300\":10.50,\"total\":12345},\"full\":"
					   "{\"avg10\":0.00,\"avg60\":0.00,\"avg300\":0.00,\"total\":0}}}"),
			   "%s", stats());
}

Test(cg_stats, memory_has_usage_limit_peak_and_the_whole_of_memory_stat)
{
	fake_file(fd, "memory.stat", "anon 100\nfile 200\nkernel 30\nsock 4\n");
	fake_file(fd, "memory.current", "334\n");
	fake_file(fd, "memory.max", "max\n");
	fake_file(fd, "memory.peak", "400\n");
	fake_file(fd, "memory.events", "low 0\nhigh 0\nmax 9\noom 0\noom_kill 0\n");
	fake_file(fd, "memory.swap.current", "66\n");
	fake_file(fd, "memory.swap.max", "max\n");
	cr_assert_not_null(strstr(stats(), "\"memory\":{\"cache\":200,\"usage\":{\"limit\":18446744073709551615,"
					   "\"usage\":334,\"max\":400,\"failcnt\":9},\"swap\":{\"limit\":"
					   "18446744073709551615,\"usage\":400,\"failcnt\":0},\"kernel\":"), "%s",
			   stats());
	cr_assert_not_null(strstr(stats(), "\"raw\":{\"anon\":100,\"file\":200,\"kernel\":30,\"sock\":4}"));

	/* Memory and swap together, as the member has always meant. */
	fake_file(fd, "memory.max", "1000\n");
	fake_file(fd, "memory.swap.max", "500\n");
	cr_assert_not_null(strstr(stats(), "\"swap\":{\"limit\":1500,\"usage\":400,"), "%s", stats());
}

Test(cg_stats, pids_without_a_limit_say_zero)
{
	fake_file(fd, "pids.current", "3\n");
	fake_file(fd, "pids.max", "max\n");
	cr_assert_not_null(strstr(stats(), "\"pids\":{\"current\":3,\"limit\":0}"));
	fake_file(fd, "pids.max", "64\n");
	cr_assert_not_null(strstr(stats(), "\"pids\":{\"current\":3,\"limit\":64}"));
}

Test(cg_stats, io_is_listed_per_device_and_operation)
{
	fake_file(fd, "io.stat", "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n253:0 \n"
				 "8:0 rbytes=7 wbytes=0 rios=8 wios=0 dbytes=0 dios=0 cost.usage=9\n");
	cr_assert_not_null(strstr(stats(), "\"ioServiceBytesRecursive\":[{\"major\":8,\"minor\":16,\"op\":\"Read\","
					   "\"value\":1},{\"major\":8,\"minor\":16,\"op\":\"Write\",\"value\":2},"
					   "{\"major\":8,\"minor\":16,\"op\":\"Discard\",\"value\":5},"
					   "{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":7},"), "%s", stats());
	cr_assert_not_null(strstr(stats(), "\"ioServicedRecursive\":[{\"major\":8,\"minor\":16,\"op\":\"Read\","
					   "\"value\":3}"));
}

Test(cg_stats, huge_pages_come_by_page_size)
{
	fake_file(fd, "hugetlb.2MB.current", "4194304\n");
	fake_file(fd, "hugetlb.2MB.rsvd.current", "0\n");
	fake_file(fd, "hugetlb.2MB.events", "max 2\n");
	cr_assert_not_null(strstr(stats(), "\"hugetlb\":{\"2MB\":{\"usage\":4194304,\"failcnt\":2}}"), "%s",
			   stats());
}

Test(cg_stats, cpusets_are_arrays_of_numbers)
{
	fake_file(fd, "cpuset.cpus.effective", "0-2,5\n");
	fake_file(fd, "cpuset.mems.effective", "0\n");
	cr_assert_not_null(strstr(stats(), "\"cpuset\":{\"cpus\":[0,1,2,5],\"mems\":[0]}"), "%s", stats());
}

/* A pressure file is the kernel's, but what reaches the document is a number or nothing. */
Test(cg_stats, only_numbers_are_passed_on_from_pressure_files)
{
	fake_file(fd, "io.pressure", "some avg10=1. avg60=x avg300=,\"evil\":1 total=12\nfull\n\nfull \n");
	cr_assert_not_null(strstr(stats(), "\"psi\":{\"some\":{\"avg10\":1,\"total\":12},\"full\":{}}"), "%s",
			   stats());
}

Test(cg_stats, a_group_that_is_gone_is_an_error)
{
	struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };

	cr_assert_eq(unlinkat(fd, "cgroup.events", 0), 0);
	cr_assert_eq(cg_write_stats(fd, &w, NULL, &err), -ENOENT);
	buf_release(&out);
}

Test(cg_stats, a_real_group_gives_a_document_that_parses)
{
	static struct arena a = ARENA_INIT;
	auto_buf struct buf out = BUF_INIT;
	struct json_w w = { .out = &out };
	const struct json *doc;
	struct scratch s;

	scratch_open(&s);
	wait_status(scratch_fork(&s, getpid));
	json_w_open(&w, NULL, '{');
	assert_ok(cg_write_stats(s.fd, &w, "data", &err));
	json_w_close(&w, '}');
	assert_ok(json_parse(out.data, out.len, "stats", &a, &doc, &err));
	cr_assert_not_null(json_get(json_get(json_get(json_get(doc, "data"), "cpu"), "usage"), "total"));
	arena_release(&a);
	scratch_close(&s);
}
