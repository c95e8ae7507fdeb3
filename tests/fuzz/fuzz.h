/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* fuzz - what every target begins with: its entry, bytes that are taken one after the other, and what must hold */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t left;
};

/* The next n bytes as a number; what is missing at the end is 0. */
static inline uint64_t take(struct input *in, size_t n)
{
	uint64_t v = 0;

	if (n > in->left)
		n = in->left;
	memcpy(&v, in->data, n);
	in->data += n;
	in->left -= n;
	return v;
}

static inline void require(bool is_true)
{
	if (!is_true)
		abort();
}
