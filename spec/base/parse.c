/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, sizes, durations, signals and cpulists. Pure functions: no errno, no
 * locale, no allocation. A leading zero is a decimal digit here, never octal.
 */
#include "spec/base/parse.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "spec/base/auto.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the digits at *s, leaves *s behind the last. -EINVAL when there is none. */
static int take_u64(const char **s, uint64_t *ret)
{
	const char *p = *s;
	uint64_t n = 0;

	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return -ERANGE;
	*s = p;
	*ret = n;
	return 0;
}

/* Is the whole of s digits? Tells a number that is too large from one that is none. */
static bool is_digits(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

int parse_u64(const char *s, uint64_t *ret)
{
	uint64_t n;

	if (!is_digits(s))
		return -EINVAL;

	int r = take_u64(&s, &n);

	if (r < 0)
		return r;
	*ret = n;
	return 0;
}

int parse_u32(const char *s, uint32_t *ret)
{
	uint64_t n;
	int r = parse_u64(s, &n);

	if (r < 0)
		return r;
	if (n > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)n;
	return 0;
}

int parse_i64(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	uint64_t n;
	int r = parse_u64(s + negative, &n);

	if (r < 0)
		return r;
	if (n > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	*ret = (int64_t)(negative ? 0 - n : n);
	return 0;
}

int parse_id(const char *s, uint32_t *ret)
{
	uint32_t n;
	int r = parse_u32(s, &n);

	if (r < 0)
		return r;
	if (n == UINT32_MAX)
		return -ERANGE;
	*ret = n;
	return 0;
}

int parse_bytes(const char *s, int64_t *ret)
{
	static const char units[] = "bkmgtp";
	uint64_t n;
	unsigned shift = 0;

	if (strcmp(s, "-1") == 0) {
		*ret = -1;
		return 0;
	}

	int r = take_u64(&s, &n);

	if (r < 0)
		return r;
	if (*s) {
		const char *unit = strchr(units, *s | 0x20);

		if (!unit)
			return -EINVAL;
		shift = 10 * (unsigned)(unit - units);
		s++;
		if (shift && *s && strcasecmp(s, "b") != 0 && strcasecmp(s, "ib") != 0)
			return -EINVAL;
		if (!shift && *s)
			return -EINVAL;
	}
	if (n > (uint64_t)INT64_MAX >> shift)
		return -ERANGE;
	*ret = (int64_t)(n << shift);
	return 0;
}

/* The unit at *s in nanoseconds, *s moved behind it; 0 when there is none. */
static uint64_t take_unit(const char **s)
{
	/* "ms" before "m". Go takes both the micro sign and the Greek mu. */
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "\xc2\xb5s", 1000 },
		{ "\xce\xbcs", 1000 },
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "m", 60000000000 },
		{ "h", 3600000000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = strlen(units[i].name);

		if (strncmp(*s, units[i].name, n) == 0) {
			*s += n;
			return units[i].ns;
		}
	}
	return 0;
}

/*
 * Digits behind the point as value / scale. Eighteen of them tell more than a
 * nanosecond in an hour; the rest is read and dropped.
 */
static void take_fraction(const char **s, uint64_t *value, uint64_t *scale)
{
	*value = 0;
	*scale = 1;
	for (; is_digit(**s); (*s)++) {
		if (*scale == 1000000000000000000)
			continue;
		*value = *value * 10 + (uint64_t)(**s - '0');
		*scale *= 10;
	}
}

int parse_duration(const char *s, int64_t *ret_ns)
{
	uint64_t total = 0;

	if (strcmp(s, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;

	while (*s) {
		uint64_t whole = 0, part = 0, scale = 1;
		bool has_whole = is_digit(*s);
		int r = has_whole ? take_u64(&s, &whole) : 0;

		if (r < 0)
			return r;
		if (*s == '.') {
			s++;
			if (!has_whole && !is_digit(*s))
				return -EINVAL;
			take_fraction(&s, &part, &scale);
		} else if (!has_whole) {
			return -EINVAL;
		}

		uint64_t unit = take_unit(&s);

		if (!unit)
			return -EINVAL;

		/* part < 10^18 and unit < 2^42: the product needs more than 64 bits. */
		uint64_t ns = (uint64_t)((unsigned __int128)part * unit / scale);

		if (__builtin_mul_overflow(whole, unit, &whole) ||
		    __builtin_add_overflow(total, whole, &total) ||
		    __builtin_add_overflow(total, ns, &total) || total > INT64_MAX)
			return -ERANGE;
	}
	*ret_ns = (int64_t)total;
	return 0;
}

/* As in the kernel's bitmap_parselist(), plus the newline that its files end with. */
static bool is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Reads "n" or "n-m" at *s. */
static int take_range(const char **s, uint64_t *first, uint64_t *last)
{
	int r = take_u64(s, first);

	if (r < 0)
		return r;
	*last = *first;
	if (**s == '-') {
		(*s)++;
		r = take_u64(s, last);
		if (r < 0)
			return r;
		if (*last < *first)
			return -EINVAL;
	}
	return **s == '\0' || is_separator(**s) ? 0 : -EINVAL;
}

int parse_cpulist(const char *s, uint64_t *mask, unsigned nwords)
{
	/* Two rounds: the caller's mask is touched only when all of s is good. */
	for (int round = 0; round < 2; round++) {
		bool is_checked = round == 1;
		const char *p = s;
		int range = 0;

		if (is_checked)
			memset(mask, 0, nwords * sizeof(*mask));
		for (;;) {
			uint64_t first, last;

			while (*p && is_separator(*p))
				p++;
			if (!*p)
				break;

			int r = take_range(&p, &first, &last);

			if (r == -ERANGE || (r == 0 && last >= (uint64_t)nwords * 64)) {
				/* A syntax error further on is the better answer. */
				range = -ERANGE;
				while (*p && !is_separator(*p))
					p++;
				continue;
			}
			if (r < 0)
				return r;
			for (uint64_t n = first; is_checked && n <= last; n++)
				mask[n / 64] |= UINT64_C(1) << (n % 64);
		}
		if (range < 0)
			return range;
	}
	return 0;
}

/*
 * The kernel's numbers: its first real-time signal is 32. Both C libraries keep
 * the first ones for themselves (glibc two, musl three), and engines count from
 * 34, so 34 is RTMIN here whatever library we are built with.
 */
#define RTMIN 34
#define RTMAX 64

static const char *const signal_names[RTMAX + 1] = {
	[SIGHUP] = "HUP",
	[SIGINT] = "INT",
	[SIGQUIT] = "QUIT",
	[SIGILL] = "ILL",
	[SIGTRAP] = "TRAP",
	[SIGABRT] = "ABRT",
	[SIGBUS] = "BUS",
	[SIGFPE] = "FPE",
	[SIGKILL] = "KILL",
	[SIGUSR1] = "USR1",
	[SIGSEGV] = "SEGV",
	[SIGUSR2] = "USR2",
	[SIGPIPE] = "PIPE",
	[SIGALRM] = "ALRM",
	[SIGTERM] = "TERM",
	[SIGSTKFLT] = "STKFLT",
	[SIGCHLD] = "CHLD",
	[SIGCONT] = "CONT",
	[SIGSTOP] = "STOP",
	[SIGTSTP] = "TSTP",
	[SIGTTIN] = "TTIN",
	[SIGTTOU] = "TTOU",
	[SIGURG] = "URG",
	[SIGXCPU] = "XCPU",
	[SIGXFSZ] = "XFSZ",
	[SIGVTALRM] = "VTALRM",
	[SIGPROF] = "PROF",
	[SIGWINCH] = "WINCH",
	[SIGIO] = "IO",
	[SIGPWR] = "PWR",
	[SIGSYS] = "SYS",
	[RTMIN] = "RTMIN",
	[RTMIN + 1] = "RTMIN+1",
	[RTMIN + 2] = "RTMIN+2",
	[RTMIN + 3] = "RTMIN+3",
	[RTMIN + 4] = "RTMIN+4",
	[RTMIN + 5] = "RTMIN+5",
	[RTMIN + 6] = "RTMIN+6",
	[RTMIN + 7] = "RTMIN+7",
	[RTMIN + 8] = "RTMIN+8",
	[RTMIN + 9] = "RTMIN+9",
	[RTMIN + 10] = "RTMIN+10",
	[RTMIN + 11] = "RTMIN+11",
	[RTMIN + 12] = "RTMIN+12",
	[RTMIN + 13] = "RTMIN+13",
	[RTMIN + 14] = "RTMIN+14",
	[RTMIN + 15] = "RTMIN+15",
	[RTMAX - 14] = "RTMAX-14",
	[RTMAX - 13] = "RTMAX-13",
	[RTMAX - 12] = "RTMAX-12",
	[RTMAX - 11] = "RTMAX-11",
	[RTMAX - 10] = "RTMAX-10",
	[RTMAX - 9] = "RTMAX-9",
	[RTMAX - 8] = "RTMAX-8",
	[RTMAX - 7] = "RTMAX-7",
	[RTMAX - 6] = "RTMAX-6",
	[RTMAX - 5] = "RTMAX-5",
	[RTMAX - 4] = "RTMAX-4",
	[RTMAX - 3] = "RTMAX-3",
	[RTMAX - 2] = "RTMAX-2",
	[RTMAX - 1] = "RTMAX-1",
	[RTMAX] = "RTMAX",
};

static const struct {
	const char *name;
	int signo;
} signal_aliases[] = {
	{ "IOT", SIGABRT },
	{ "CLD", SIGCHLD },
	{ "POLL", SIGIO },
	{ "UNUSED", SIGSYS },
};

const char *signal_name(int signo)
{
	return signo > 0 && signo <= RTMAX ? signal_names[signo] : NULL;
}

int parse_signal(const char *s, int *ret)
{
	uint64_t n;

	if (is_digits(s)) {
		int r = parse_u64(s, &n);

		if (r < 0 || n > RTMAX)
			return -ERANGE;
		*ret = (int)n;
		return 0;
	}

	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	for (int i = 1; i <= RTMAX; i++) {
		if (signal_names[i] && strcasecmp(s, signal_names[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(signal_aliases); i++) {
		if (strcasecmp(s, signal_aliases[i].name) == 0) {
			*ret = signal_aliases[i].signo;
			return 0;
		}
	}

	/* The long way round: "RTMIN+20" has the name RTMAX-10. */
	bool from_min = strncasecmp(s, "RTMIN+", 6) == 0;

	if (!from_min && strncasecmp(s, "RTMAX-", 6) != 0)
		return -EINVAL;
	if (!is_digits(s + 6))
		return -EINVAL;
	if (parse_u64(s + 6, &n) < 0 || n > RTMAX - RTMIN)
		return -ERANGE;
	*ret = from_min ? RTMIN + (int)n : RTMAX - (int)n;
	return 0;
}
