/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/rfc3339.h"

#include <stdint.h>
#include <stdio.h>

struct civil {
	int64_t year;
	unsigned month, day, hour, minute, second;
};

/*
 * Proleptic Gregorian calendar, counted from 1 March of year 0 so that the leap
 * day is the last of its year. A 400-year era has 146097 days.
 */
static struct civil civil_of(int64_t seconds)
{
	int64_t days = seconds / 86400;
	int64_t rest = seconds % 86400;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	days += 719468; /* from 0000-03-01 to 1970-01-01 */

	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	unsigned day_of_era = (unsigned)(days - era * 146097);
	unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
				day_of_era / 146096) / 365;
	unsigned day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned march_month = (5 * day_of_year + 2) / 153;
	unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;

	return (struct civil){
		.year = era * 400 + year_of_era + (month <= 2),
		.month = month,
		.day = day_of_year - (153 * march_month + 2) / 5 + 1,
		.hour = (unsigned)(rest / 3600),
		.minute = (unsigned)(rest / 60 % 60),
		.second = (unsigned)(rest % 60),
	};
}

static int put_time(const struct timespec *t, char *buf)
{
	struct civil c = civil_of(t->tv_sec);

	return snprintf(buf, RFC3339_BYTES, "%04d-%02u-%02uT%02u:%02u:%02u", (int)c.year, c.month,
			c.day, c.hour, c.minute, c.second);
}

const char *rfc3339_seconds(const struct timespec *t, char buf[static RFC3339_BYTES])
{
	int n = put_time(t, buf);

	snprintf(buf + n, RFC3339_BYTES - (size_t)n, "Z");
	return buf;
}

const char *rfc3339_nanos(const struct timespec *t, char buf[static RFC3339_BYTES])
{
	int n = put_time(t, buf);

	snprintf(buf + n, RFC3339_BYTES - (size_t)n, ".%09ldZ", (long)t->tv_nsec);
	return buf;
}
