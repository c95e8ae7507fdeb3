/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/measure.h"

/*
 * Pressure stall information (Documentation/accounting/psi.rst): reading
 * "some avg10=0.12 avg60=0.00 avg300=0.00 total=1234", and the triggers that are
 * written to the same file: "some 150000 1000000", microseconds of stall within a window.
 */

#include <stdio.h>
#include <string.h>

#include "spec/base/parse.h"

#define WINDOW_MIN_US 500000
#define WINDOW_MAX_US 10000000

/* What follows "key=", a word of the line. */
static const char *after(const char *line, const char *end, const char *key)
{
	size_t n = strlen(key);

	for (const char *s = line; s < end; s++) {
		if ((size_t)(end - s) > n && memcmp(s, key, n) == 0)
			return s + n;
		while (s < end && *s != ' ')
			s++;
	}
	return NULL;
}

/* "12.34" after key as 1234. */
static bool percent_after(const char *line, const char *end, const char *key, uint32_t *ret)
{
	const char *s = after(line, end, key);
	uint32_t v = 0;

	if (!s || *s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9' && v < 100000; s++)
		v = v * 10 + (uint32_t)(*s - '0');
	v *= 100;
	if (*s == '.' && s[1] >= '0' && s[1] <= '9') {
		v += (uint32_t)(s[1] - '0') * 10;
		if (s[2] >= '0' && s[2] <= '9')
			v += (uint32_t)(s[2] - '0');
	}
	*ret = v;
	return true;
}

static bool total_after(const char *line, const char *end, uint64_t *ret)
{
	const char *s = after(line, end, "total=");
	uint64_t v = 0;

	if (!s || *s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	*ret = v;
	return true;
}

bool cpg_psi_parse(const char *text, struct cpg_psi *ret)
{
	struct cpg_psi psi = { .has = false };

	for (const char *line = text; *line;) {
		const char *end = line + strcspn(line, "\n");

		if (strncmp(line, "some ", 5) == 0)
			psi.has = percent_after(line, end, "avg10=", &psi.some10) &&
				  percent_after(line, end, "avg60=", &psi.some60) &&
				  percent_after(line, end, "avg300=", &psi.some300) &&
				  total_after(line, end, &psi.some_total);
		/* cpu.pressure has had this line since Linux 5.13. */
		else if (strncmp(line, "full ", 5) == 0 &&
			 !(percent_after(line, end, "avg10=", &psi.full10) &&
			   percent_after(line, end, "avg60=", &psi.full60) &&
			   percent_after(line, end, "avg300=", &psi.full300) &&
			   total_after(line, end, &psi.full_total)))
			return false;
		line = end + (*end == '\n');
	}
	if (psi.has)
		*ret = psi;
	return psi.has;
}

int cpg_psi_read(int cg_fd, const char *file, struct cpg_psi *ret)
{
	char text[512];
	ssize_t n = cg_read(cg_fd, file, text, sizeof(text));

	*ret = (struct cpg_psi){ .has = false };
	if (n > 0)
		cpg_psi_parse(text, ret);
	return n < 0 ? (int)n : 0;
}

/* "150ms", "1s", or a plain number of microseconds as the kernel takes it. */
static int parse_us(const char *s, uint64_t *ret)
{
	int64_t ns;
	int r = parse_u64(s, ret);

	if (r == 0)
		return 0;
	r = parse_duration(s, &ns);
	if (r < 0)
		return r;
	if (ns % 1000)
		return -EINVAL;
	*ret = (uint64_t)ns / 1000;
	return 0;
}

int cpg_psi_trigger_parse(const char *text, char *buf, size_t size, struct error *err)
{
	char kind[8];
	char stall[32];
	char window[32];
	int used = 0;
	uint64_t stall_us;
	uint64_t window_us;

	if ((sscanf(text, "%7s %31[^/ ]/%31s%n", kind, stall, window, &used) != 3 &&
	     sscanf(text, "%7s %31[^/ ] %31s%n", kind, stall, window, &used) != 3) ||
	    text[used] || (strcmp(kind, "some") != 0 && strcmp(kind, "full") != 0) ||
	    parse_us(stall, &stall_us) < 0 || parse_us(window, &window_us) < 0)
		return error_rule(err, EINVAL, "pressure trigger \"%.64s\" is not of the form \"some 150ms/1s\" or "
				  "\"full 150ms/1s\"", text);
	if (window_us < WINDOW_MIN_US || window_us > WINDOW_MAX_US)
		return error_rule(err, ERANGE, "pressure trigger \"%.64s\": the window must be 500 ms to 10 s", text);
	if (stall_us == 0 || stall_us > window_us)
		return error_rule(err, ERANGE, "pressure trigger \"%.64s\": the stall must be more than nothing and at "
				  "most the window", text);

	int n = snprintf(buf, size, "%s %llu %llu", kind, (unsigned long long)stall_us,
			 (unsigned long long)window_us);

	if (n < 0 || (size_t)n >= size)
		return error_rule(err, ENAMETOOLONG, "pressure trigger \"%.64s\" is too long", text);
	return 0;
}
