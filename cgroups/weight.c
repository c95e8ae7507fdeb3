/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cgroups.h"

/*
 * cpu.shares of cgroup v1 as cpu.weight of v2, by the quadratic map in the
 * logarithm that all runtimes share since 2025:
 *
 *	weight = ceil(10^((l² + 125 l) / 612 − 7 / 34)),  l = log2(shares)
 *
 * It goes through (2, 1), (1024, 100) and (262144, 10000). The two elementary
 * functions are series of a few terms: libm would cost every command its load.
 */

#define SHARES_MIN 2
#define SHARES_MAX 262144
#define WEIGHT_MAX 10000

#define LN2       0.69314718055994530942
#define LOG2_OF_10 3.32192809488736234787

/* x > 0. ln m = 2 artanh((m − 1) / (m + 1)) for m in [1, 2). */
static double log2_of(uint64_t x)
{
	int whole = 63 - __builtin_clzll(x);
	double m = (double)x / (double)(UINT64_C(1) << whole);
	double z = (m - 1) / (m + 1);
	double power = z;
	double sum = 0;

	for (int k = 1; k <= 41; k += 2, power *= z * z)
		sum += power / k;
	return whole + 2 * sum / LN2;
}

/* 0 <= y < 64. */
static double exp2_of(double y)
{
	int whole = (int)y;
	double x = (y - whole) * LN2;
	double term = 1;
	double sum = 1;

	for (int k = 1; k <= 22; k++) {
		term *= x / k;
		sum += term;
	}
	return sum * (double)(UINT64_C(1) << whole);
}

uint64_t cg_weight_of_shares(uint64_t shares)
{
	if (shares <= SHARES_MIN)
		return 1;
	if (shares >= SHARES_MAX)
		return WEIGHT_MAX;

	double l = log2_of(shares);
	double weight = exp2_of(((l * l + 125 * l) / 612 - 7.0 / 34) * LOG2_OF_10);
	uint64_t floor = (uint64_t)weight;

	/* The exact points must not be lifted by the last bit of a double. */
	return weight - (double)floor > 1e-9 ? floor + 1 : floor;
}
