/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A filter from the cache must be the filter of the profile, whatever happened to
 * the file. Hits and misses are told apart by what is in the entry: the tests put a
 * program there that no compiler would write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "tests/unit/runtime/process/profile.h"

#define PROFILE(nr) \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpid\"]," \
	"\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":" #nr "}]}"

static char dir[32];
static int dir_fd = -1;

static void setup(void)
{
	strcpy(dir, "/tmp/seccomp-cache-XXXXXX");
	cr_assert(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	char command[64];

	close(dir_fd);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert(system(command) == 0);
}

TestSuite(seccomp_cache, .init = setup, .fini = teardown);

static size_t count(void)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	size_t n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static struct proc_seccomp get(const struct spec_seccomp *p)
{
	struct proc_seccomp program;
	struct error err = ERROR_INIT;

	cr_assert(proc_seccomp_get(p, dir_fd, &profile_arena, NULL, &program, &err) == 0, "%s",
		  err.text);
	return program;
}

/* Something recognisable in place of the real program: "return 0x1234". */
static const struct sock_filter mark[] = { BPF_STMT(BPF_RET | BPF_K, 0x1234) };

static bool is_mark(const struct proc_seccomp *p)
{
	return p->n_insns == 1 && memcmp(p->insns, mark, sizeof(mark)) == 0;
}

static void put_mark(const struct spec_seccomp *p)
{
	struct proc_seccomp program = { .insns = mark, .n_insns = 1, .flags = 6, .notifies = true };
	struct proc_seccomp_lib lib;
	struct proc_seccomp_lib_id id;

	cr_assert(proc_seccomp_lib_open(&lib, NULL) == 0);
	proc_seccomp_lib_identify(&lib, &id);
	cr_assert(proc_seccomp_cache_put(dir_fd, p, &id, &program, NULL) == 0);
}

static int open_entry(const struct spec_seccomp *p, int flags)
{
	char name[PROC_SECCOMP_CACHE_NAME_SIZE];

	proc_seccomp_cache_name(p, name);
	return openat(dir_fd, name, flags | O_CLOEXEC);
}

Test(seccomp_cache, the_second_call_has_what_the_first_compiled)
{
	const struct spec_seccomp *p = profile_of_engine("docker");
	struct proc_seccomp first = get(p), second = { 0 };
	struct stat st;

	cr_expect(count() == 1);
	cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &second) == 1);
	cr_expect(second.n_insns == first.n_insns && second.flags == first.flags);
	cr_expect(memcmp(first.insns, second.insns, first.n_insns * sizeof(struct sock_filter)) ==
		  0);
	cr_expect((uintptr_t)second.insns % _Alignof(struct sock_filter) == 0);

	auto_close int fd = open_entry(p, O_RDONLY);
	cr_assert(fstat(fd, &st) == 0);
	cr_expect((st.st_mode & 07777) == 0600);
}

Test(seccomp_cache, a_hit_is_what_the_file_says)
{
	const struct spec_seccomp *p = profile_of(PROFILE(7));

	put_mark(p);
	struct proc_seccomp program = get(p);
	cr_expect(is_mark(&program) && program.flags == 6 && program.notifies);
}

Test(seccomp_cache, without_a_directory_the_profile_is_compiled)
{
	struct proc_seccomp program;
	struct error err = ERROR_INIT;

	cr_expect(proc_seccomp_get(profile_of(PROFILE(7)), -1, &profile_arena, NULL, &program,
				   &err) == 0);
	cr_expect(program.n_insns > 1 && count() == 0);
}

Test(seccomp_cache, a_directory_that_cannot_be_written_costs_only_time)
{
	auto_close int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct proc_seccomp program;
	struct error err = ERROR_INIT;

	cr_expect(proc_seccomp_get(profile_of(PROFILE(7)), proc, &profile_arena, NULL, &program,
				   &err) == 0);
	cr_expect(program.n_insns > 1);
}

Test(seccomp_cache, another_profile_under_the_same_name_is_a_miss)
{
	const struct spec_seccomp *p = profile_of(PROFILE(7)), *q = profile_of(PROFILE(8));
	char from[PROC_SECCOMP_CACHE_NAME_SIZE], to[PROC_SECCOMP_CACHE_NAME_SIZE];

	cr_assert(p->raw_len == q->raw_len);
	put_mark(p);
	proc_seccomp_cache_name(p, from);
	proc_seccomp_cache_name(q, to);
	cr_expect_str_neq(from, to);
	cr_assert(renameat(dir_fd, from, dir_fd, to) == 0);

	struct proc_seccomp program = get(q);
	cr_expect_not(is_mark(&program), "a filter of another profile was used");
	cr_expect(answer(&program, 39, 0, 0) == (SECCOMP_RET_ERRNO | 8));
}

/* Every byte of an entry is either compared or summed. */
Test(seccomp_cache, no_flipped_byte_goes_unnoticed)
{
	const struct spec_seccomp *p = profile_of(PROFILE(7));
	struct proc_seccomp program;

	put_mark(p);

	auto_close int fd = open_entry(p, O_RDWR);
	off_t size = lseek(fd, 0, SEEK_END);

	/* Padding between profile and program is nobody's; it is less than a word. */
	for (off_t i = 0; i < size; i++) {
		char byte, wrong;
		bool hit;

		cr_assert(pread(fd, &byte, 1, i) == 1);
		wrong = (char)(byte ^ 0x20);
		cr_assert(pwrite(fd, &wrong, 1, i) == 1);
		hit = proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 1;
		cr_expect(!hit || (byte == 0 && is_mark(&program) && i < size - 8 &&
				   i >= size - 16),
			  "byte %lld of %lld", (long long)i, (long long)size);
		cr_assert(pwrite(fd, &byte, 1, i) == 1);
	}
	cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 1);
}

Test(seccomp_cache, a_torn_or_longer_file_is_a_miss_and_is_replaced)
{
	const struct spec_seccomp *p = profile_of(PROFILE(7));
	struct proc_seccomp program;

	put_mark(p);

	auto_close int fd = open_entry(p, O_RDWR);
	off_t size = lseek(fd, 0, SEEK_END);

	cr_assert(ftruncate(fd, size + 8) == 0);
	cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 0);
	for (off_t n = size - 1; n >= 0; n -= 13) {
		cr_assert(ftruncate(fd, n) == 0);
		cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 0);
	}
	program = get(p);
	cr_expect_not(is_mark(&program));
	cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 1);
}

Test(seccomp_cache, an_entry_of_another_library_is_a_miss)
{
	const struct spec_seccomp *p = profile_of(PROFILE(7));
	struct proc_seccomp program = { .insns = mark, .n_insns = 1 };
	struct proc_seccomp_lib_id id = { .path = "/bin/sh", .hash = 42 }, none = { .hash = 0 };
	struct proc_seccomp_lib lib;

	cr_assert(proc_seccomp_cache_put(dir_fd, p, &id, &program, NULL) == 0);
	cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 0);
	cr_assert(proc_seccomp_cache_put(dir_fd, p, &none, &program, NULL) == 0);
	cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 0);

	/* the true one is recognised, and its replacement would not be */
	cr_assert(proc_seccomp_lib_open(&lib, NULL) == 0);
	proc_seccomp_lib_identify(&lib, &id);
	cr_expect(proc_seccomp_lib_is_same(&id));
	id.hash++;
	cr_expect_not(proc_seccomp_lib_is_same(&id));
}

Test(seccomp_cache, what_is_no_regular_file_is_a_miss)
{
	const struct spec_seccomp *p = profile_of(PROFILE(7));
	char name[PROC_SECCOMP_CACHE_NAME_SIZE];
	struct proc_seccomp program;

	proc_seccomp_cache_name(p, name);
	cr_assert(mkfifoat(dir_fd, name, 0600) == 0);
	cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 0, "or it hangs");
	cr_assert(unlinkat(dir_fd, name, 0) == 0);
	cr_assert(symlinkat("/etc/passwd", dir_fd, name) == 0);
	cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 0);
	get(p); /* replaces the link, not its target */
	cr_expect(proc_seccomp_cache_get(dir_fd, p, &profile_arena, &program) == 1);
}

Test(seccomp_cache, the_oldest_entries_make_room)
{
	const struct spec_seccomp *keep = profile_of(PROFILE(7));
	struct proc_seccomp program;
	char name[32];

	for (int i = 0; i < PROC_SECCOMP_CACHE_ENTRIES + 10; i++) {
		struct timespec when[2] = { { .tv_sec = 1000 + i }, { .tv_sec = 1000 + i } };

		snprintf(name, sizeof(name), "%016x", i);
		close(openat(dir_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		cr_assert(utimensat(dir_fd, name, when, 0) == 0);
	}
	get(keep);
	cr_expect(count() == PROC_SECCOMP_CACHE_ENTRIES, "%zu", count());
	cr_expect(proc_seccomp_cache_get(dir_fd, keep, &profile_arena, &program) == 1);
	snprintf(name, sizeof(name), "%016x", 10);
	cr_expect(faccessat(dir_fd, name, F_OK, 0) < 0, "an old one is gone");
	snprintf(name, sizeof(name), "%016x", PROC_SECCOMP_CACHE_ENTRIES + 9);
	cr_expect(faccessat(dir_fd, name, F_OK, 0) == 0, "a young one stays");
}

Test(seccomp_hash, every_byte_counts)
{
	char text[41];

	for (size_t n = 1; n <= 40; n++) {
		memset(text, 'a', sizeof(text));
		uint64_t before = proc_seccomp_hash(PROC_SECCOMP_HASH_INIT, text, n);

		for (size_t i = 0; i < n; i++) {
			text[i] = 'b';
			cr_expect(proc_seccomp_hash(PROC_SECCOMP_HASH_INIT, text, n) != before);
			text[i] = 'a';
		}
		text[n] = 'b';
		cr_expect(proc_seccomp_hash(PROC_SECCOMP_HASH_INIT, text, n) == before);
	}
}
