/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every device against a driver that does anything: tests/fuzz/virtio_fuzz.c, fed with the same bytes each time.
 */
#include <criterion/criterion.h>

#include "tests/fuzz/virtio_fuzz.c"

enum { RUNS = 1500, MOST = 700 };

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void feed(unsigned kind)
{
	uint64_t x = 0x9e3779b97f4a7c15 + kind;
	uint8_t bytes[MOST];

	for (unsigned run = 0; run < RUNS; run++) {
		size_t n = 1 + next(&x) % (MOST - 1);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(next(&x) >> 24);
		/* Half of them keep to descriptors and kicks, or they would seldom get far. */
		for (size_t i = 1; run % 2 && i + 12 < n; i += 12) {
			bytes[i] = i % 24 < 12 ? 0 : 1;
			bytes[i + 3] &= 0xfd;
		}
		bytes[0] = (uint8_t)kind;
		LLVMFuzzerTestOneInput(bytes, n);
	}
}

Test(hostile, entropy, .timeout = 120)
{
	feed(0);
}

Test(hostile, balloon, .timeout = 120)
{
	feed(1);
}

Test(hostile, net, .timeout = 120)
{
	feed(2);
}

Test(hostile, console, .timeout = 120)
{
	feed(3);
}

Test(hostile, file_system, .timeout = 120)
{
	feed(4);
}
