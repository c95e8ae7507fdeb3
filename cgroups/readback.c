/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Did the kernel keep what was written? Most refusals are an errno, but some
 * files accept a value and then hold another (a list outside the parent's, an
 * invalid partition), and a limit that is not in force is not a limit. Each kind
 * of file is compared in its own terms: bytes may be rounded down to a page, a
 * list may be spelled otherwise. Pure.
 */

#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

#define LIST_WORDS 128 /* 8192 CPUs */
#define VALUE_MAX  256

enum kind { ANYTHING, NUMBER, BYTES, PAIR, LIST, PARTITION, KEYED };

static enum kind kind_of(const char *file)
{
	static const struct {
		const char *file;
		enum kind kind;
	} table[] = {
		{ "cpu.weight", NUMBER },      { "cpu.idle", NUMBER },      { "pids.max", NUMBER },
		{ "cpu.max.burst", NUMBER },   { "memory.max", BYTES },     { "memory.high", BYTES },
		{ "memory.low", BYTES },       { "memory.min", BYTES },     { "memory.swap.max", BYTES },
		{ "memory.swap.high", BYTES }, { "cpu.max", PAIR },         { "cpuset.cpus", LIST },
		{ "cpuset.mems", LIST },       { "io.max", KEYED },         { "rdma.max", KEYED },
		{ "cpuset.cpus.partition", PARTITION },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(file, table[i].file) == 0)
			return table[i].kind;
	return strncmp(file, "hugetlb.", 8) == 0 ? BYTES : ANYTHING;
}

/* "max" is UINT64_MAX. False for what is no plain number (unified may say "64M"): it is not compared. */
static bool number_of(const char *s, uint64_t *ret)
{
	if (strcmp(s, "max") == 0) {
		*ret = UINT64_MAX;
		return true;
	}
	return parse_u64(s, ret) == 0;
}

static bool same_bytes(const char *file, uint64_t wrote, uint64_t now)
{
	/* Largest unit of rounding: a page, or a huge page (1 GiB on x86, 16 GiB on power). */
	uint64_t unit = strncmp(file, "hugetlb.", 8) == 0 ? UINT64_C(1) << 34 : UINT64_C(1) << 16;

	if (now == UINT64_MAX)
		return wrote > (UINT64_MAX >> 13); /* beyond what the page counters can count */
	return now <= wrote && wrote - now < unit;
}

static bool same_list(const char *wrote, const char *now)
{
	uint64_t a[LIST_WORDS];
	uint64_t b[LIST_WORDS];

	if (parse_cpulist(wrote, a, LIST_WORDS) < 0 || parse_cpulist(now, b, LIST_WORDS) < 0)
		return true; /* not ours to judge: the kernel took it */
	return memcmp(a, b, sizeof(a)) == 0;
}

/* "50000 100000"; a lone first number leaves the second as it was. */
static bool same_pair(const char *wrote, const char *now)
{
	size_t n = strlen(wrote);

	return strncmp(wrote, now, n) == 0 && (now[n] == '\0' || now[n] == ' ');
}

/* Every "key=value" of wrote is in the line of `now` that starts with the same name. */
static bool same_keyed(const char *wrote, const char *now)
{
	size_t name = strcspn(wrote, " ");

	while (*now && (strncmp(now, wrote, name) != 0 || now[name] != ' ')) {
		now += strcspn(now, "\n");
		now += *now == '\n';
	}
	for (const char *kv = wrote + name; *kv;) {
		kv += strspn(kv, " ");

		size_t n = strcspn(kv, " ");
		bool found = n == 0;

		for (const char *s = now + (*now ? name : 0); !found && *s && *s != '\n';) {
			s += strspn(s, " ");

			size_t len = strcspn(s, " \n");

			found = len == n && strncmp(s, kv, n) == 0;
			s += len;
		}
		/* A device without limits has no line in io.max. */
		if (!found && !(n > 4 && strncmp(kv + n - 4, "=max", 4) == 0 && !*now))
			return false;
		kv += n;
	}
	return true;
}

static bool same(const char *file, const char *wrote, const char *first_line, const char *all)
{
	uint64_t w;
	uint64_t n;

	switch (kind_of(file)) {
	case NUMBER:
		return !number_of(wrote, &w) || (number_of(first_line, &n) && w == n);
	case BYTES:
		return !number_of(wrote, &w) ||
		       (number_of(first_line, &n) && same_bytes(file, w, n));
	case PAIR:
		return same_pair(wrote, first_line);
	case LIST:
		return same_list(wrote, first_line);
	case PARTITION:
		return !strstr(first_line, "invalid");
	case KEYED:
		return same_keyed(wrote, all);
	case ANYTHING:
		break;
	}
	return true;
}

const char *cg_readback_fault(const char *file, const char *wrote, const char *now, char *buf,
			      size_t size)
{
	char line[VALUE_MAX];

	snprintf(line, sizeof(line), "%.*s", (int)strcspn(now, "\n"), now);
	if (same(file, wrote, line, now))
		return NULL;
	snprintf(buf, size, "%s holds \"%s\" after \"%s\" was written", file, line, wrote);
	return buf;
}
