/* SPDX-License-Identifier: Apache-2.0 */
/* The fuzzer's finds, and random requests, in every run of the tests. */
#include <criterion/criterion.h>

#include "tests/fuzz/fuse_fuzz.c"

#define CORPUS "tests/data/fuzz/fuse"

Test(vm_fs_fuzz, what_the_fuzzer_kept_is_answered, .timeout = 60)
{
	static uint8_t data[4096];
	int dir_fd = open(CORPUS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
	unsigned n = 0;

	if (geteuid() != 0)
		cr_skip_test("mounting needs root");
	cr_assert(dir != NULL, "no " CORPUS " below the working directory");
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		int fd = openat(dir_fd, e->d_name, O_RDONLY | O_CLOEXEC);
		ssize_t len = read(fd, data, sizeof(data));

		close(fd);
		cr_assert(len > 0);
		LLVMFuzzerTestOneInput(data, (size_t)len);
		n++;
	}
	closedir(dir);
	cr_assert_geq(n, 12);
}

Test(vm_fs_fuzz, random_requests_are_answered, .timeout = 120)
{
	uint64_t seed = 88172645463325252u;
	uint8_t data[600];

	if (geteuid() != 0)
		cr_skip_test("mounting needs root");
	for (unsigned run = 0; run < 4000; run++) {
		for (size_t i = 0; i < sizeof(data); i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			data[i] = (uint8_t)(seed >> 11);
		}
		/* Known operations on known nodes, with short arguments, most of the time. */
		for (size_t i = 0; i + 6 < sizeof(data); i += 6u + data[i + 4]) {
			data[i] %= 56;
			data[i + 1] %= 18;
			data[i + 2] %= 20;
			data[i + 4] %= 64;
			data[i + 5] &= 0xc0 & data[i + 6];
		}
		LLVMFuzzerTestOneInput(data, sizeof(data));
	}
}
