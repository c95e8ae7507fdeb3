/* SPDX-License-Identifier: Apache-2.0 */
/* Random requests, in every run of the tests; `make fuzz-replay` has the fuzzer's finds. */
#include <criterion/criterion.h>

#include "tests/fuzz/fuse_fuzz.c"

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
		LLVMFuzzerTestOneInput(data, sizeof(data) - run % 2); /* to each server by turns */
	}
}
