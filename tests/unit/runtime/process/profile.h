/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* profile - seccomp profiles for tests, and what a program answers without a kernel */

#include <criterion/criterion.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "runtime/process/seccomp.h"
#include "spec/base/file.h"

static struct arena profile_arena = ARENA_INIT;

/* The profile of a whole config.json. */
static inline const struct spec_seccomp *profile_of_config(const char *text, size_t n)
{
	struct error err = ERROR_INIT;
	struct spec *spec;

	cr_assert(spec_parse(text, n, &profile_arena, &spec, &err) == 0, "%s at %s", err.text,
		  err.at);
	cr_assert(spec->linux_.seccomp);
	return spec->linux_.seccomp;
}

/* The profile that this text is. */
static inline const struct spec_seccomp *profile_of(const char *text)
{
	char *config = arena_printf(&profile_arena,
				    "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"},"
				    "\"linux\":{\"seccomp\":%s}}",
				    text);

	return profile_of_config(config, strlen(config));
}

/* The profile of a sample that an engine wrote. */
static inline const struct spec_seccomp *profile_of_engine(const char *name)
{
	char path[128];
	struct buf b = BUF_INIT;
	FILE *f;

	snprintf(path, sizeof(path), "tests/data/engine-samples/%s-config.json", name);
	f = fopen(path, "re");
	cr_assert(f, "%s (tests run from the source directory)", path);
	for (size_t n; (n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0;)
		b.len += n;
	fclose(f);

	const struct spec_seccomp *p = profile_of_config(b.data, b.len);

	buf_release(&b);
	return p;
}

static inline int compile(const struct spec_seccomp *profile, struct proc_seccomp *ret,
			  struct error *err)
{
	*err = ERROR_INIT;
	return proc_seccomp_get(profile, -1, &profile_arena, NULL, ret, err);
}

static inline struct proc_seccomp compiled(const char *text)
{
	struct proc_seccomp program;
	struct error err;

	cr_assert(compile(profile_of(text), &program, &err) == 0, "%s: %s", text, err.text);
	return program;
}

/* Classic BPF as seccomp allows it (kernel/seccomp.c, seccomp_check_filter). */
static inline uint32_t bpf_run(const struct proc_seccomp *p, const struct seccomp_data *data)
{
	const struct sock_filter *insns = p->insns;
	uint32_t a = 0;

	for (uint32_t pc = 0; pc < p->n_insns; pc++) {
		const struct sock_filter *i = &insns[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)data + i->k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			cr_assert_fail("instruction %#x at %u", i->code, pc);
		}
	}
	cr_assert_fail("the program ran off its end");
	return 0;
}

/* What the filter answers to a call of the native architecture. */
static inline uint32_t answer(const struct proc_seccomp *p, int nr, uint64_t a0, uint64_t a1)
{
	struct seccomp_data data = { .nr = nr, .arch = SCMP_ARCH_X86_64, .args = { a0, a1 } };

	return bpf_run(p, &data);
}
