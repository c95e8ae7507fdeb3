/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/* Lists of CPUs and nodes as bit masks. Pure. */

#include <string.h>

#include "spec/base/parse.h"

int cpg_mask_parse(const char *list, struct cpg_mask *ret)
{
	struct cpg_mask m;
	int r = parse_cpulist(list, m.w, CPG_MASK_WORDS);

	if (r == 0)
		*ret = m;
	return r;
}

bool cpg_mask_has(const struct cpg_mask *m, unsigned bit)
{
	return bit < CPG_MAX_CPUS && (m->w[bit / 64] >> (bit % 64) & 1);
}

void cpg_mask_set(struct cpg_mask *m, unsigned bit)
{
	if (bit < CPG_MAX_CPUS)
		m->w[bit / 64] |= UINT64_C(1) << (bit % 64);
}

const char *cpg_mask_print(const struct cpg_mask *m, struct arena *a)
{
	auto_buf struct buf b = BUF_INIT;

	for (unsigned i = 0; i < CPG_MAX_CPUS; i++) {
		unsigned from = i;

		if (!m->w[i / 64]) {
			i |= 63;
			continue;
		}
		if (!cpg_mask_has(m, i))
			continue;
		while (cpg_mask_has(m, i + 1))
			i++;
		buf_printf(&b, "%s%u", b.len ? "," : "", from);
		if (from != i)
			buf_printf(&b, "-%u", i);
	}
	return arena_strndup(a, b.len ? b.data : "", b.len);
}

unsigned cpg_mask_count(const struct cpg_mask *m)
{
	unsigned n = 0;

	for (size_t i = 0; i < CPG_MASK_WORDS; i++)
		n += (unsigned)__builtin_popcountll(m->w[i]);
	return n;
}

bool cpg_mask_empty(const struct cpg_mask *m)
{
	return cpg_mask_count(m) == 0;
}

bool cpg_mask_equal(const struct cpg_mask *a, const struct cpg_mask *b)
{
	return memcmp(a->w, b->w, sizeof(a->w)) == 0;
}

bool cpg_mask_within(const struct cpg_mask *part, const struct cpg_mask *whole)
{
	for (size_t i = 0; i < CPG_MASK_WORDS; i++)
		if (part->w[i] & ~whole->w[i])
			return false;
	return true;
}

void cpg_mask_and(struct cpg_mask *m, const struct cpg_mask *with)
{
	for (size_t i = 0; i < CPG_MASK_WORDS; i++)
		m->w[i] &= with->w[i];
}

void cpg_mask_or(struct cpg_mask *m, const struct cpg_mask *with)
{
	for (size_t i = 0; i < CPG_MASK_WORDS; i++)
		m->w[i] |= with->w[i];
}

void cpg_mask_minus(struct cpg_mask *m, const struct cpg_mask *without)
{
	for (size_t i = 0; i < CPG_MASK_WORDS; i++)
		m->w[i] &= ~without->w[i];
}
