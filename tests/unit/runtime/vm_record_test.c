/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena a = ARENA_INIT;
static char root[] = "/tmp/vm-record-XXXXXX";
static struct rt_context ctx = { .root = root };
static int dir = -1;

static void setup(void)
{
	char path[64];

	cr_assert_not_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/web", root);
	cr_assert_eq(mkdir(path, 0700), 0);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	cr_assert_geq(dir, 0);
}

static void teardown(void)
{
	char path[64];

	unlinkat(dir, VM_RECORD, 0);
	close(dir);
	snprintf(path, sizeof(path), "%s/web", root);
	rmdir(path);
	rmdir(root);
	arena_release(&a);
}

TestSuite(vm_record, .init = setup, .fini = teardown, .timeout = 20);

Test(vm_record, memory_that_ran_out_is_found_again_the_last_word_counts)
{
	struct vm_record r;
	unsigned lines = 0;
	int fd = vm_record_open(dir, NULL);

	cr_assert_geq(fd, 0);
	cr_expect(!vm_record_read(&ctx, "web", &a, &r), "nothing is noted yet");
	vm_record_oom(fd, &lines, 1, 1 << 20, 1 << 19);
	vm_record_oom(fd, &lines, 3, 1 << 20, 1 << 20);
	cr_assert(vm_record_read(&ctx, "web", &a, &r));
	cr_expect(r.has_oom && r.oom.is_guests);
	cr_expect_eq(r.oom.kills, 3);
	cr_expect_eq(r.oom.limit, 1 << 20);
	cr_expect_eq(r.oom.peak, 1 << 20);
	cr_expect_null(r.death);
	close(fd);
}

Test(vm_record, a_death_is_one_line_whatever_the_guest_said)
{
	struct error err = ERROR_INIT;
	struct vm_record r;
	int fd = vm_record_open(dir, NULL);

	error_rule(&err, EIO, "it panicked: \x1b[2Jline one\noom 9 9 9\ndied twice");
	vm_record_death(fd, &err);
	cr_assert(vm_record_read(&ctx, "web", &a, &r));
	cr_expect(!r.has_oom, "a line of the guest's is taken for one of the record");
	cr_assert_not_null(r.death);
	cr_expect(strstr(r.death, "it panicked"), "%s", r.death);
	for (const char *p = r.death; *p; p++)
		cr_expect((unsigned char)*p >= ' ' && *p != 0x7f, "a control character in \"%s\"", r.death);
	close(fd);
}

Test(vm_record, what_a_guest_can_make_it_write_is_bounded)
{
	struct stat st;
	unsigned lines = 0;
	int fd = vm_record_open(dir, NULL);

	for (int i = 0; i < 10000; i++)
		vm_record_oom(fd, &lines, UINT64_MAX, UINT64_MAX, UINT64_MAX);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_leq(st.st_size, 64 * 128);
	close(fd);
}

Test(vm_record, a_file_that_is_there_already_is_not_taken)
{
	struct error err = ERROR_INIT;

	cr_assert_eq(symlinkat("/dev/null", dir, VM_RECORD), 0);
	cr_expect_eq(vm_record_open(dir, &err), -EEXIST);
}

Test(vm_record, garbage_is_nothing)
{
	static const char text[] = "oom x y z\nolder 1 2 3\noom 1 2\ndied without an end";
	struct vm_record r;
	int fd = vm_record_open(dir, NULL);

	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	cr_expect(!vm_record_read(&ctx, "web", &a, &r));
	cr_expect(!vm_record_read(&ctx, "gone", &a, &r));
	close(fd);
}
