/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Configs for the tests: JSON written with single quotes, parsed and validated,
 * with the log kept. One arena and one error per test process.
 */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "spec/spec.h"

#define TOP(m) "{'ociVersion':'1.0.2','root':{'path':'rootfs'}," m "}"
#define PROC(m) TOP("'process':{'user':{'uid':0,'gid':0},'cwd':'/','args':['sh']," m "}")
#define LINUX(m) TOP("'linux':{" m "}")
#define RES(m) LINUX("'resources':{" m "}")
#define SECCOMP(m) LINUX("'seccomp':{'defaultAction':'SCMP_ACT_ALLOW'," m "}")
#define ALL_NS \
	"'namespaces':[{'type':'pid'},{'type':'network'},{'type':'ipc'},{'type':'uts'}," \
	"{'type':'mount'},{'type':'cgroup'}]"

struct refusal {
	const char *json, *sentence, *at;
};

static struct arena arena;
static struct error error;

/* 'a' → "a". The result is on the heap, of exactly n bytes, so that a sanitizer sees a read beyond. */
static inline char *unquote(const char *text, size_t *ret_n)
{
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);

	for (size_t i = 0; i < n; i++)
		copy[i] = text[i] == '\'' ? '"' : text[i];
	*ret_n = n;
	return copy;
}

static inline struct log log_to_memory(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	fcntl(fd, F_SETFL, O_APPEND);
	return (struct log){ .fd = fd, .level = LOG_WARNING, .format = LOG_TEXT };
}

static inline const char *logged(const struct log *log)
{
	static char text[16384];
	ssize_t n = pread(log->fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Parses and validates. */
static inline int take_bytes(const char *text, size_t n, const struct log *log, struct spec **ret)
{
	struct spec *spec = NULL;

	error = ERROR_INIT;

	int r = spec_parse(text, n, &arena, &spec, &error);

	if (r == 0)
		r = spec_validate(spec, log, &error);
	if (r == 0)
		*ret = spec;
	return r;
}

static inline int take(const char *json, struct spec **ret)
{
	size_t n;
	char *text = unquote(json, &n);
	int r = take_bytes(text, n, NULL, ret);

	/* Nothing may point into the caller's text. */
	memset(text, 'x', n);
	free(text);
	return r;
}

static inline struct spec *good(const char *json)
{
	struct spec *spec = NULL;

	cr_assert_eq(take(json, &spec), 0, "%s: %s at %s", json, error.text, error.at);
	return spec;
}

static inline void expect_refused(const struct refusal *row, int r)
{
	char line[2048];

	cr_expect_lt(r, 0, "%s was taken", row->json);
	if (r >= 0)
		return;
	error_line(&error, line, sizeof(line));
	cr_expect_eq(r, -22, "%s: %d is not -EINVAL", row->json, r);
	cr_expect_str_eq(line, row->sentence, "%s\n  said:     %s\n  expected: %s", row->json, line,
			 row->sentence);
	cr_expect_str_eq(error.at, row->at, "%s\n  at:       %s\n  expected: %s", row->json,
			 error.at, row->at);
}

static inline void expect_all_refused(const struct refusal *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct spec *spec;

		expect_refused(&rows[i], take(rows[i].json, &spec));
		arena_release(&arena);
	}
}

static inline char *read_whole(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "re");

	cr_assert_not_null(f, "%s", path);

	static char text[1 << 18];

	*ret_n = fread(text, 1, sizeof(text), f);
	fclose(f);
	cr_assert_lt(*ret_n, sizeof(text));
	return text;
}

static inline void release_arena(void)
{
	arena_release(&arena);
}
