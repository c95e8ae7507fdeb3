/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/update_options.h"

#include <errno.h>
#include <stdbool.h>

#include "spec/base/parse.h"

/* Each reader leaves *ret alone when the option was not given. */

static int read_u64(const struct cli_args *args, const char *name, uint64_t min, uint64_t max,
		    struct spec_opt_u64 *ret, struct error *err)
{
	const char *text = cli_text(args, name);
	uint64_t v;

	if (!text)
		return 0;
	if (parse_u64(text, &v) < 0)
		return error_rule(err, EINVAL, "option --%s needs a number, not \"%s\"", name,
				  text);
	if (v < min || v > max)
		return error_rule(err, ERANGE,
				  "option --%s is %s: it is a number from %llu to %llu", name, text,
				  (unsigned long long)min, (unsigned long long)max);
	*ret = (struct spec_opt_u64){ .set = true, .v = v };
	return 0;
}

static int read_i64(const struct cli_args *args, const char *name, struct spec_opt_i64 *ret,
		    struct error *err)
{
	const char *text = cli_text(args, name);
	int64_t v;

	if (!text)
		return 0;
	if (parse_i64(text, &v) < 0)
		return error_rule(err, EINVAL, "option --%s needs a number, not \"%s\"", name,
				  text);
	*ret = (struct spec_opt_i64){ .set = true, .v = v };
	return 0;
}

static int read_bytes(const struct cli_args *args, const char *name, struct spec_opt_i64 *ret,
		      struct error *err)
{
	const char *text = cli_text(args, name);
	int64_t v;

	if (!text)
		return 0;
	if (parse_bytes(text, &v) < 0)
		return error_rule(err, EINVAL,
				  "option --%s needs bytes such as 512m or 2g, or -1, not \"%s\"",
				  name, text);
	*ret = (struct spec_opt_i64){ .set = true, .v = v };
	return 0;
}

static bool is_any_given(const struct cli_args *args, const char *const *names)
{
	for (; *names; names++)
		if (cli_given(args, *names))
			return true;
	return false;
}

static int read_cpu(const struct cli_args *args, struct spec_cpu *cpu, struct error *err)
{
	struct spec_opt_u64 idle = { 0 };
	int r = read_u64(args, "cpu-share", 0, 262144, &cpu->shares, err);

	if (r == 0)
		r = read_u64(args, "cpu-period", 0, INT64_MAX, &cpu->period, err);
	if (r == 0)
		r = read_i64(args, "cpu-quota", &cpu->quota, err);
	if (r == 0)
		r = read_u64(args, "cpu-burst", 0, INT64_MAX, &cpu->burst, err);
	if (r == 0)
		r = read_u64(args, "cpu-idle", 0, 1, &idle, err);
	if (r == 0)
		r = read_u64(args, "cpu-rt-period", 0, INT64_MAX, &cpu->realtime_period, err);
	if (r == 0)
		r = read_i64(args, "cpu-rt-runtime", &cpu->realtime_runtime, err);
	cpu->idle = (struct spec_opt_i64){ .set = idle.set, .v = (int64_t)idle.v };
	cpu->cpus = cli_text(args, "cpuset-cpus");
	cpu->mems = cli_text(args, "cpuset-mems");
	return r;
}

static int read_memory(const struct cli_args *args, struct spec_memory *memory, struct error *err)
{
	int r = read_bytes(args, "memory", &memory->limit, err);

	if (r == 0)
		r = read_bytes(args, "memory-reservation", &memory->reservation, err);
	if (r == 0)
		r = read_bytes(args, "memory-swap", &memory->swap, err);

	/* A limit on memory and swap together makes no sense once memory has none. */
	if (memory->limit.set && memory->limit.v == -1 && !memory->swap.set)
		memory->swap = memory->limit;
	return r;
}

int cli_update_options(const struct cli_args *args, struct arena *a, struct spec_resources *ret,
		       struct error *err)
{
	static const char *const cpu[] = {
		"cpu-share",	 "cpu-period",	   "cpu-quota",	  "cpu-burst",	 "cpu-idle",
		"cpu-rt-period", "cpu-rt-runtime", "cpuset-cpus", "cpuset-mems", NULL
	};
	static const char *const memory[] = { "memory", "memory-reservation", "memory-swap", NULL };
	static const char *const rdt[] = { "l3-cache-schema", "mem-bw-schema", NULL };
	int r = 0;

	*ret = (struct spec_resources){ 0 };
	if (is_any_given(args, rdt))
		return error_rule(err, ENOTSUP,
				  "Intel RDT (--l3-cache-schema, --mem-bw-schema) is "
				  "not supported yet");
	if (is_any_given(args, cpu)) {
		ret->cpu = ARENA_NEW(a, struct spec_cpu);
		r = read_cpu(args, ret->cpu, err);
	}
	if (r == 0 && is_any_given(args, memory)) {
		ret->memory = ARENA_NEW(a, struct spec_memory);
		r = read_memory(args, ret->memory, err);
	}
	if (r == 0 && cli_given(args, "blkio-weight")) {
		ret->block_io = ARENA_NEW(a, struct spec_block_io);
		r = read_u64(args, "blkio-weight", 10, 1000, &ret->block_io->weight, err);
	}
	return r < 0 ? r : read_i64(args, "pids-limit", &ret->pids_limit, err);
}
