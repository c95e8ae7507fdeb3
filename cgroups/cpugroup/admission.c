/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * The arithmetic of reservations. Exclusive CPUs leave the pool that is shared;
 * what is left may be promised `overcommit` times over. Pure.
 */

static uint64_t times_milli(uint64_t v, uint64_t milli)
{
	unsigned __int128 product = (unsigned __int128)v * milli / 1000;

	return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

void cpg_verdict(uint64_t capacity_milli, uint64_t overcommit_milli, const struct cpg_claim *others, size_t n,
		 const struct cpg_claim *asked, struct cpg_verdict *ret)
{
	uint64_t taken = 0;
	uint64_t claimed = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t *sum = others[i].exclusive ? &taken : &claimed;

		*sum = add(*sum, others[i].milli);
	}

	uint64_t pool = taken < capacity_milli ? capacity_milli - taken : 0;
	bool fits = taken <= capacity_milli;

	if (asked->exclusive) {
		/* Whole CPUs cannot be promised twice, and those who share must find enough in what remains. */
		fits = fits && asked->milli <= pool;
		fits = fits && claimed <= times_milli(pool - asked->milli, overcommit_milli);
	} else {
		fits = fits && add(claimed, asked->milli) <= times_milli(pool, overcommit_milli);
	}
	*ret = (struct cpg_verdict){
		.capacity_milli = asked->exclusive ? pool : times_milli(pool, overcommit_milli),
		.claimed_milli = claimed,
		.asked_milli = asked->milli,
		/* Who asks for nothing takes nothing from anybody. */
		.admitted = fits || asked->milli == 0,
	};
}

uint64_t cpg_capacity_milli(const struct cpg_policy *p, uint64_t quota_us, uint64_t period_us, unsigned n_cpus)
{
	if (p->reserve_milli)
		return p->reserve_milli;
	if (quota_us != UINT64_MAX)
		return (uint64_t)((unsigned __int128)quota_us * 1000 / period_us);
	return (uint64_t)n_cpus * 1000;
}
