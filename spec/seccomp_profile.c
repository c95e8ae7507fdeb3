/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A profile as people have it in a file for an engine's --security-opt: linux.seccomp with conditions on top. Rules have
 * "includes" and "excludes" about capabilities, architectures and kernels; "archMap" says which further architectures
 * belong to one; "comment" is for people, and "name" is an older "names". What is left is linux.seccomp, which is
 * then read and checked like any other.
 */
#include "spec/default.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/reader.h"

/* This architecture, as config-linux.md and as engines written in Go call it. */
#if defined(__x86_64__)
#define ARCH_OCI "SCMP_ARCH_X86_64"
#define ARCH_GO "amd64"
#elif defined(__i386__)
#define ARCH_OCI "SCMP_ARCH_X86"
#define ARCH_GO "386"
#elif defined(__aarch64__)
#define ARCH_OCI "SCMP_ARCH_AARCH64"
#define ARCH_GO "arm64"
#elif defined(__arm__)
#define ARCH_OCI "SCMP_ARCH_ARM"
#define ARCH_GO "arm"
#elif defined(__s390x__)
#define ARCH_OCI "SCMP_ARCH_S390X"
#define ARCH_GO "s390x"
#elif defined(__powerpc64__)
#define ARCH_OCI "SCMP_ARCH_PPC64LE"
#define ARCH_GO "ppc64le"
#elif defined(__riscv)
#define ARCH_OCI "SCMP_ARCH_RISCV64"
#define ARCH_GO "riscv64"
#elif defined(__loongarch__)
#define ARCH_OCI "SCMP_ARCH_LOONGARCH64"
#define ARCH_GO "loong64"
#endif

struct profile {
	const struct spec_seccomp_wish *wish;
	uint64_t caps;
	struct reader rd;
	struct json_w w;
};

static void copy(struct profile *p, const char *name, const struct json *v)
{
	if (v)
		json_w_raw(&p->w, name, p->wish->text + v->begin, v->end - v->begin);
}

/* ---- conditions ---- */

static bool is_at_least(const char *kernel, const char *wanted)
{
	unsigned have[2] = { 0, 0 }, want[2] = { 0, 0 };

	sscanf(kernel, "%u.%u", &have[0], &have[1]);
	sscanf(wanted, "%u.%u", &want[0], &want[1]);
	return have[0] > want[0] || (have[0] == want[0] && have[1] >= want[1]);
}

static bool has_cap(const struct profile *p, const char *name)
{
	int n = spec_cap_number(name);

	return n >= 0 && p->caps & UINT64_C(1) << n;
}

static bool has_arch(const struct spec_strings *archs)
{
	for (size_t i = 0; i < archs->n; i++)
		if (strcmp(archs->v[i], ARCH_GO) == 0)
			return true;
	return false;
}

static size_t count_caps(const struct profile *p, const struct spec_strings *caps)
{
	size_t n = 0;

	for (size_t i = 0; i < caps->n; i++)
		n += has_cap(p, caps->v[i]);
	return n;
}

/* All that "includes" names has to be so, and nothing that "excludes" does. */
static bool applies(struct profile *p, const struct json *rule)
{
	const struct json *in = rd_object(&p->rd, rule, "includes"), *ex = rd_object(&p->rd, rule, "excludes");
	struct spec_strings caps, archs, no_caps, no_archs;
	const char *kernel = NULL, *no_kernel = NULL;

	rd_strings(&p->rd, in, "caps", &caps);
	rd_strings(&p->rd, in, "arches", &archs);
	rd_text(&p->rd, in, "minKernel", &kernel);
	rd_strings(&p->rd, ex, "caps", &no_caps);
	rd_strings(&p->rd, ex, "arches", &no_archs);
	rd_text(&p->rd, ex, "minKernel", &no_kernel);
	return p->rd.r == 0 && count_caps(p, &caps) == caps.n && (!archs.n || has_arch(&archs)) &&
	       (!kernel || is_at_least(p->wish->kernel, kernel)) && !count_caps(p, &no_caps) && !has_arch(&no_archs) &&
	       (!no_kernel || !is_at_least(p->wish->kernel, no_kernel));
}

/* ---- what is left ---- */

static void write_rule(struct profile *p, const struct json *rule)
{
	const char *name;

	if (!rd_is(&p->rd, rule, JSON_OBJECT) || !applies(p, rule))
		return;
	json_w_open(&p->w, NULL, '{');
	if (rd_text(&p->rd, rule, "name", &name)) {
		json_w_open(&p->w, "names", '[');
		json_w_str(&p->w, NULL, name);
		json_w_close(&p->w, ']');
	} else {
		copy(p, "names", rd_get(rule, "names"));
	}
	copy(p, "action", rd_get(rule, "action"));
	copy(p, "errnoRet", rd_get(rule, "errnoRet"));
	copy(p, "args", rd_get(rule, "args"));
	json_w_close(&p->w, '}');
}

static void write_architectures(struct profile *p, const struct json *doc)
{
	const struct json *map = rd_array(&p->rd, doc, "archMap");

	copy(p, "architectures", rd_get(doc, "architectures"));
	json_each(entry, map)
	{
		const char *arch = NULL;
		struct spec_strings more;

		if (!rd_is(&p->rd, entry, JSON_OBJECT))
			return;
		rd_text(&p->rd, entry, "architecture", &arch);
		rd_strings(&p->rd, entry, "subArchitectures", &more);
		if (!arch || strcmp(arch, ARCH_OCI) != 0)
			continue;
		json_w_open(&p->w, "architectures", '[');
		json_w_str(&p->w, NULL, arch);
		for (size_t i = 0; i < more.n; i++)
			json_w_str(&p->w, NULL, more.v[i]);
		json_w_close(&p->w, ']');
		return;
	}
}

static void write_profile(struct profile *p, const struct json *doc)
{
	static const char *const members[] = { "defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata" };

	if (rd_get(doc, "archMap") && rd_get(doc, "architectures"))
		rd_fault(&p->rd, rd_get(doc, "archMap"), "is set, and so is architectures: one of them says it");
	rd_need(&p->rd, doc, "defaultAction");
	json_w_open(&p->w, NULL, '{');
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		copy(p, members[i], rd_get(doc, members[i]));
	write_architectures(p, doc);
	json_w_open(&p->w, "syscalls", '[');
	json_each(rule, rd_array(&p->rd, doc, "syscalls")) write_rule(p, rule);
	json_w_close(&p->w, ']');
	json_w_close(&p->w, '}');
}

int default_write_profile(struct buf *out, const struct spec_seccomp_wish *wish, uint64_t caps, struct error *err)
{
	struct arena a = ARENA_INIT;
	struct profile p = {
		.wish = wish, .caps = caps, .w = { .out = out },
		.rd = { .a = &a, .err = err, .root = "the profile" },
	};
	const struct json *doc;
	int r = json_parse(wish->text, wish->n, wish->name, &a, &doc, err);

	if (r == 0 && rd_is(&p.rd, doc, JSON_OBJECT))
		write_profile(&p, doc);
	r = r < 0 ? r : p.rd.r;
	arena_release(&a);
	return r < 0 ? error_wrap(err, r, "cannot use the seccomp profile %s", wish->name) : 0;
}
