/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * The arithmetic of caps. A cap of C on n CPUs is the quota n * C * period: the
 * bandwidth controller counts the run time of all CPUs together (kernel
 * sched-bwc.rst). Everything is integer: thousandths of a percent or of a CPU.
 */

#include <inttypes.h>
#include <string.h>

#include "spec/base/parse.h"

#define DEFAULT_PERIOD UINT64_C(100000)
#define MIN_PERIOD     UINT64_C(1000)
#define MAX_PERIOD     UINT64_C(1000000)
#define MIN_QUOTA      UINT64_C(1000)
#define MAX_QUOTA      ((UINT64_C(1) << 44) - 1) /* MAX_BW of kernel/sched: what its fixed point holds */
#define HCS_FULL       65536
#define MILLI_FULL     UINT64_C(100000) /* 100 % */

#define MILLI_CPUS_MAX ((uint64_t)CPG_MAX_CPUS * 1000)

int cpg_decimal_parse(const char *text, unsigned digits, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	bool has_point = false;
	unsigned places = 0;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (const char *s = text; *s; s++) {
		if (*s == '.' && !has_point && s[1]) {
			has_point = true;
			continue;
		}
		if (*s < '0' || *s > '9' || (has_point && ++places > digits))
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	for (; places < digits; places++)
		if (__builtin_mul_overflow(v, 10, &v))
			return -ERANGE;
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

static int not_a_cap(const char *text, struct error *err)
{
	return error_rule(err, EINVAL, "\"%.64s\" is no cap: give a percentage of the group's CPUs (50%%), CPUs "
			  "(2.5), QUOTA/PERIOD in microseconds (250000/100000), max, or hcs:0 … hcs:%d", text,
			  HCS_FULL);
}

static int parse_raw(const char *text, const char *slash, struct cpg_cap *ret, struct error *err)
{
	char quota[24] = "";
	struct cpg_cap c = { .form = CPG_CAP_RAW };

	if ((size_t)(slash - text) < sizeof(quota))
		memcpy(quota, text, (size_t)(slash - text));
	if (parse_u64(slash + 1, &c.period_us) == -EINVAL)
		return not_a_cap(text, err);
	if (strcmp(quota, "max") == 0)
		c.quota_us = UINT64_MAX;
	else if (parse_u64(quota, &c.quota_us) < 0)
		return not_a_cap(text, err);
	if (c.period_us < MIN_PERIOD || c.period_us > MAX_PERIOD)
		return error_rule(err, ERANGE, "the period of cap \"%.64s\" is outside of %" PRIu64 " … %" PRIu64
				  " us", text, MIN_PERIOD, MAX_PERIOD);
	if (c.quota_us != UINT64_MAX && (c.quota_us < MIN_QUOTA || c.quota_us > MAX_QUOTA))
		return error_rule(err, ERANGE, "the quota of cap \"%.64s\" is outside of %" PRIu64 " … %" PRIu64
				  " us", text, MIN_QUOTA, MAX_QUOTA);
	if (c.quota_us == UINT64_MAX)
		c = (struct cpg_cap){ .form = CPG_CAP_MAX, .period_us = c.period_us };
	*ret = c;
	return 0;
}

static int parse_percent(const char *text, size_t n, struct cpg_cap *ret, struct error *err)
{
	char number[24] = "";
	uint64_t milli;

	if (n >= sizeof(number))
		return not_a_cap(text, err);
	memcpy(number, text, n);

	int r = cpg_decimal_parse(number, 3, MILLI_FULL, &milli);

	if (r == -EINVAL)
		return not_a_cap(text, err);
	if (r < 0)
		return error_rule(err, ERANGE, "cap \"%.64s\" is above 100%%: a percentage is of all the group's CPUs "
				  "together; give a number of CPUs instead", text);
	*ret = (struct cpg_cap){ .form = CPG_CAP_PERCENT, .milli = milli, .period_us = DEFAULT_PERIOD };
	return 0;
}

static int parse_hcs(const char *text, struct cpg_cap *ret, struct error *err)
{
	uint64_t v;
	int r = parse_u64(text + 4, &v);

	if (r == -EINVAL)
		return not_a_cap(text, err);
	if (r < 0 || v > HCS_FULL)
		return error_rule(err, ERANGE, "cap \"%.64s\" is outside of hcs:0 … hcs:%d", text, HCS_FULL);
	*ret = (struct cpg_cap){ .form = CPG_CAP_PERCENT,
				 .milli = (v * MILLI_FULL + HCS_FULL / 2) / HCS_FULL,
				 .period_us = DEFAULT_PERIOD };
	return 0;
}

int cpg_cap_parse(const char *text, struct cpg_cap *ret, struct error *err)
{
	const char *slash = strchr(text, '/');
	size_t n = strlen(text);
	uint64_t milli;

	if (strcmp(text, "max") == 0) {
		*ret = (struct cpg_cap){ .form = CPG_CAP_MAX, .period_us = DEFAULT_PERIOD };
		return 0;
	}
	if (strncmp(text, "hcs:", 4) == 0)
		return parse_hcs(text, ret, err);
	if (slash)
		return parse_raw(text, slash, ret, err);
	if (n && text[n - 1] == '%')
		return parse_percent(text, n - 1, ret, err);

	int r = cpg_decimal_parse(text, 3, MILLI_CPUS_MAX, &milli);

	if (r == -EINVAL)
		return not_a_cap(text, err);
	/* In the default period 0.01 CPUs are the kernel's smallest quota. */
	if (r < 0 || milli < MIN_QUOTA * 1000 / DEFAULT_PERIOD)
		return error_rule(err, ERANGE, "cap \"%.64s\" is outside of 0.01 … %d CPUs", text, CPG_MAX_CPUS);
	*ret = (struct cpg_cap){ .form = CPG_CAP_CPUS, .milli = milli, .period_us = DEFAULT_PERIOD };
	return 0;
}

int cpg_cap_resolve(const struct cpg_cap *cap, unsigned n_cpus, uint64_t *ret_quota_us,
		    uint64_t *ret_period_us, struct error *err)
{
	uint64_t period = cap->period_us ? cap->period_us : DEFAULT_PERIOD;
	uint64_t quota = UINT64_MAX;
	auto_buf struct buf text = BUF_INIT;

	if (cap->form == CPG_CAP_RAW)
		quota = cap->quota_us;
	else if (cap->form == CPG_CAP_CPUS)
		quota = cap->milli * period / 1000;
	else if (cap->form == CPG_CAP_PERCENT)
		quota = n_cpus * cap->milli * period / MILLI_FULL;

	if (period < MIN_PERIOD || period > MAX_PERIOD)
		return error_rule(err, ERANGE, "the cap's period of %" PRIu64 " us is outside of %" PRIu64 " … %" PRIu64
				  " us", period, MIN_PERIOD, MAX_PERIOD);
	if (quota != UINT64_MAX && (quota < MIN_QUOTA || quota > MAX_QUOTA)) {
		cpg_cap_print(cap, &text);
		return error_rule(err, ERANGE, "cap \"%s\" on %u CPU%s is a quota of %" PRIu64 " us in %" PRIu64
				  " us, and the kernel takes %" PRIu64 " … %" PRIu64 " us", text.data, n_cpus,
				  n_cpus == 1 ? "" : "s", quota, period, MIN_QUOTA, MAX_QUOTA);
	}
	*ret_quota_us = quota;
	*ret_period_us = period;
	return 0;
}

void cpg_cap_print(const struct cpg_cap *cap, struct buf *out)
{
	switch (cap->form) {
	case CPG_CAP_MAX:
		if (cap->period_us && cap->period_us != DEFAULT_PERIOD)
			buf_printf(out, "max/%" PRIu64, cap->period_us);
		else
			buf_puts(out, "max");
		break;
	case CPG_CAP_PERCENT:
		cpg_decimal_print(cap->milli, 3, out);
		buf_putc(out, '%');
		break;
	case CPG_CAP_CPUS:
		cpg_decimal_print(cap->milli, 3, out);
		break;
	case CPG_CAP_RAW:
		buf_printf(out, "%" PRIu64 "/%" PRIu64, cap->quota_us, cap->period_us);
		break;
	}
}

void cpg_decimal_print(uint64_t v, unsigned digits, struct buf *out)
{
	uint64_t unit = 1;

	for (unsigned i = 0; i < digits; i++)
		unit *= 10;
	buf_printf(out, "%" PRIu64, v / unit);
	v %= unit;
	if (v)
		buf_putc(out, '.');
	while (v) {
		unit /= 10;
		buf_putc(out, (char)('0' + v / unit));
		v %= unit;
	}
}
