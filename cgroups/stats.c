/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * The numbers of a container, as the `data` member of an event. Member names are
 * those that engines decode. A file that is not there (no controller) leaves its
 * members out; each file is opened and read once.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

#define STAT_MAX   32768 /* memory.stat has some 60 lines; io.stat one per disk */
#define LIST_WORDS 128

/* Members of one object, written when the flat keyed file has the key. */
struct member {
	const char *key, *name;
	uint64_t factor; /* to the member's unit */
};

static void write_members(struct json_w *w, const char *text, const struct member *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v;

		if (cg_flat_value(text, m[i].key, &v))
			json_w_uint(w, m[i].name, v * m[i].factor);
	}
}

static void write_cpu(int cg_fd, struct json_w *w)
{
	/* The kernel counts microseconds; the members are nanoseconds. */
	static const struct member usage[] = {
		{ "usage_usec", "total", 1000 },
		{ "system_usec", "kernel", 1000 },
		{ "user_usec", "user", 1000 },
	};
	static const struct member throttling[] = {
		{ "nr_periods", "periods", 1 },          { "nr_throttled", "throttledPeriods", 1 },
		{ "throttled_usec", "throttledTime", 1000 }, { "nr_bursts", "bursts", 1 },
		{ "burst_usec", "burstTime", 1000 },
	};
	char text[CG_FILE_MAX];

	if (cg_read(cg_fd, "cpu.stat", text, sizeof(text)) < 0)
		text[0] = '\0';
	json_w_open(w, "cpu", '{');
	json_w_open(w, "usage", '{');
	write_members(w, text, usage, ARRAY_SIZE(usage));
	json_w_close(w, '}');
	json_w_open(w, "throttling", '{');
	write_members(w, text, throttling, ARRAY_SIZE(throttling));
	json_w_close(w, '}');
	cg_write_psi(cg_fd, w, "cpu.pressure");
	json_w_close(w, '}');
}

static void write_list(struct json_w *w, const char *name, const char *text)
{
	uint64_t mask[LIST_WORDS];

	json_w_open(w, name, '[');
	if (parse_cpulist(text, mask, LIST_WORDS) == 0)
		for (unsigned i = 0; i < LIST_WORDS * 64; i++)
			if (mask[i / 64] >> (i % 64) & 1)
				json_w_uint(w, NULL, i);
	json_w_close(w, ']');
}

static void write_cpuset(int cg_fd, struct json_w *w)
{
	char cpus[CG_FILE_MAX];
	char mems[CG_FILE_MAX];

	if (cg_read(cg_fd, "cpuset.cpus.effective", cpus, sizeof(cpus)) < 0 ||
	    cg_read(cg_fd, "cpuset.mems.effective", mems, sizeof(mems)) < 0)
		return;
	cpus[strcspn(cpus, "\n")] = '\0';
	mems[strcspn(mems, "\n")] = '\0';
	json_w_open(w, "cpuset", '{');
	write_list(w, "cpus", cpus);
	write_list(w, "mems", mems);
	json_w_close(w, '}');
}

struct entry {
	uint64_t limit, usage, max, failcnt;
	bool has_max;
};

static void write_entry(struct json_w *w, const char *name, const struct entry *e)
{
	json_w_open(w, name, '{');
	json_w_uint(w, "limit", e->limit);
	json_w_uint(w, "usage", e->usage);
	if (e->has_max)
		json_w_uint(w, "max", e->max);
	json_w_uint(w, "failcnt", e->failcnt);
	json_w_close(w, '}');
}

/* memory.stat, key by key. */
static void write_raw(struct json_w *w, const char *text)
{
	json_w_open(w, "raw", '{');
	for (const char *s = text; *s;) {
		char key[64];
		size_t n = strcspn(s, " \n");
		uint64_t v;

		if (n < sizeof(key)) {
			memcpy(key, s, n);
			key[n] = '\0';
			if (cg_flat_value(s, key, &v))
				json_w_uint(w, key, v);
		}
		s += strcspn(s, "\n");
		s += *s == '\n';
	}
	json_w_close(w, '}');
}

static void write_memory_usage(int cg_fd, struct json_w *w, const char *stat)
{
	char events[CG_FILE_MAX] = "";
	struct entry mem = { .limit = UINT64_MAX };
	struct entry swap = { .limit = UINT64_MAX };
	uint64_t v;

	cg_read(cg_fd, "memory.events", events, sizeof(events));
	cg_read_number(cg_fd, "memory.current", &mem.usage);
	cg_read_number(cg_fd, "memory.max", &mem.limit);
	mem.has_max = cg_read_number(cg_fd, "memory.peak", &mem.max) == 0;
	cg_flat_value(events, "max", &mem.failcnt);
	write_entry(w, "usage", &mem);

	/* The member is memory and swap together, as on v1. */
	if (cg_read_number(cg_fd, "memory.swap.current", &v) == 0) {
		swap.usage = mem.usage + v;
		if (cg_read_number(cg_fd, "memory.swap.max", &v) == 0 && v != UINT64_MAX &&
		    mem.limit != UINT64_MAX)
			swap.limit = mem.limit + v;
		write_entry(w, "swap", &swap);
	}
	/* No limit of its own: both are counted within memory. */
	if (cg_flat_value(stat, "kernel", &v))
		write_entry(w, "kernel", &(struct entry){ .limit = UINT64_MAX, .usage = v });
	if (cg_flat_value(stat, "sock", &v))
		write_entry(w, "kernelTCP", &(struct entry){ .limit = UINT64_MAX, .usage = v });
}

static void write_memory(int cg_fd, struct json_w *w)
{
	static const struct member cache = { "file", "cache", 1 };
	char stat[STAT_MAX];
	bool has_controller = cg_read(cg_fd, "memory.stat", stat, sizeof(stat)) >= 0;

	json_w_open(w, "memory", '{');
	if (has_controller) {
		write_members(w, stat, &cache, 1);
		write_memory_usage(cg_fd, w, stat);
		write_raw(w, stat);
	}
	cg_write_psi(cg_fd, w, "memory.pressure");
	json_w_close(w, '}');
}

static void write_pids(int cg_fd, struct json_w *w)
{
	uint64_t v;

	json_w_open(w, "pids", '{');
	if (cg_read_number(cg_fd, "pids.current", &v) == 0)
		json_w_uint(w, "current", v);
	if (cg_read_number(cg_fd, "pids.max", &v) == 0)
		json_w_uint(w, "limit", v == UINT64_MAX ? 0 : v);
	json_w_close(w, '}');
}

/* One member of blkio: every "key=N" of the keys in question, per device. */
static void write_io_table(struct json_w *w, const char *text, const char *name,
			   const char *const keys[3])
{
	static const char *const ops[3] = { "Read", "Write", "Discard" };

	json_w_open(w, name, '[');
	for (const char *line = text; *line; line += *line == '\n') {
		unsigned long long major;
		unsigned long long minor;
		size_t end = strcspn(line, "\n");
		int used = 0;

		if (sscanf(line, "%llu:%llu%n", &major, &minor, &used) == 2 && used)
			for (unsigned k = 0; k < 3; k++) {
				char key[16];
				size_t n = (size_t)snprintf(key, sizeof(key), " %s=", keys[k]);
				const char *at = memmem(line, end, key, n);
				unsigned long long v;

				if (!at || sscanf(at + n, "%llu", &v) != 1)
					continue;
				json_w_open(w, NULL, '{');
				json_w_uint(w, "major", major);
				json_w_uint(w, "minor", minor);
				json_w_str(w, "op", ops[k]);
				json_w_uint(w, "value", v);
				json_w_close(w, '}');
			}
		line += end;
	}
	json_w_close(w, ']');
}

static void write_blkio(int cg_fd, struct json_w *w)
{
	static const char *const bytes[3] = { "rbytes", "wbytes", "dbytes" };
	static const char *const requests[3] = { "rios", "wios", "dios" };
	char text[STAT_MAX];

	json_w_open(w, "blkio", '{');
	if (cg_read(cg_fd, "io.stat", text, sizeof(text)) >= 0) {
		write_io_table(w, text, "ioServiceBytesRecursive", bytes);
		write_io_table(w, text, "ioServicedRecursive", requests);
	}
	cg_write_psi(cg_fd, w, "io.pressure");
	json_w_close(w, '}');
}

static void write_page_size(int cg_fd, struct json_w *w, const char *size)
{
	char name[64];
	char text[256];
	uint64_t v = 0;
	uint64_t failed = 0;

	json_w_open(w, size, '{');
	snprintf(name, sizeof(name), "hugetlb.%s.current", size);
	if (cg_read_number(cg_fd, name, &v) == 0)
		json_w_uint(w, "usage", v);
	snprintf(name, sizeof(name), "hugetlb.%s.events", size);
	if (cg_read(cg_fd, name, text, sizeof(text)) >= 0)
		cg_flat_value(text, "max", &failed);
	json_w_uint(w, "failcnt", failed);
	json_w_close(w, '}');
}

/* The page sizes are those that the cgroup has files for. */
static void write_hugetlb(int cg_fd, struct json_w *w)
{
	static const char prefix[] = "hugetlb.";
	static const char suffix[] = ".current";
	int own = cg_open_below(cg_fd, ".", O_RDONLY | O_DIRECTORY);
	auto_closedir DIR *dir = own < 0 ? NULL : fdopendir(own);

	if (!dir && own >= 0)
		close(own);
	json_w_open(w, "hugetlb", '{');
	for (const struct dirent *e; dir && (e = readdir(dir));) {
		const char *from = e->d_name + sizeof(prefix) - 1;
		char size[32];

		if (strncmp(e->d_name, prefix, sizeof(prefix) - 1) != 0)
			continue;

		size_t n = strcspn(from, ".");

		/* "hugetlb.2MB.current", and not "hugetlb.2MB.rsvd.current" */
		if (strcmp(from + n, suffix) != 0 || n >= sizeof(size))
			continue;
		memcpy(size, from, n);
		size[n] = '\0';
		write_page_size(cg_fd, w, size);
	}
	json_w_close(w, '}');
}

int cg_write_stats(int cg_fd, struct json_w *w, const char *name, struct error *err)
{
	int populated = cg_is_populated(cg_fd);

	if (populated < 0)
		return error_set(err, -populated, "read the statistics of the cgroup");
	json_w_open(w, name, '{');
	write_cpu(cg_fd, w);
	write_cpuset(cg_fd, w);
	write_memory(cg_fd, w);
	write_pids(cg_fd, w);
	write_blkio(cg_fd, w);
	write_hugetlb(cg_fd, w);
	json_w_close(w, '}');
	return 0;
}
