/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * check - what this kernel and host can do for containers
 *
 * Each fact is found by trying, not by comparing version numbers: kernels are
 * configured, patched and locked down. Trying leaves nothing behind.
 */

#include <stdbool.h>
#include <stddef.h>

#include "spec/base/arena.h"
#include "spec/base/buf.h"

enum check_verdict {
	CHECK_OK,
	CHECK_WARN, /* works without, or works less well */
	CHECK_MISSING, /* does not work here */
};

enum check_need {
	CHECK_OPTIONAL,
	CHECK_NEEDED, /* no container in namespaces without it */
};

struct check_result {
	enum check_verdict verdict;
	enum check_need need;
	const char *name, *detail;
	const char *remedy; /* NULL: none known or none needed */
};

enum { CHECK_MAX = 64 };

struct check {
	struct arena *arena;
	const char *cpu_group_base; /* as given; NULL: the default */
	const char *store; /* of image layers; likewise */
	struct check_result v[CHECK_MAX];
	size_t n;
};

/* Adds one result. A remedy, when there is one, belongs to the last added. */
void cli_check_add(struct check *c, enum check_verdict verdict, enum check_need need,
		   const char *name, const char *detail, ...) __attribute__((format(printf, 5, 6)));
void cli_check_remedy(struct check *c, const char *text, ...) __attribute__((format(printf, 2, 3)));

/* Adds "ok NAME" when code is 0, else the verdict with the text of that errno. */
void cli_check_add_errno(struct check *c, int code, enum check_verdict otherwise,
			 enum check_need need, const char *name, const char *what);

/*
 * Runs probe in a child of its own and returns what it returns, an errno or 0;
 * for what would change this process. A child that dies or hangs is EIO.
 */
int cli_check_in_child(int (*probe)(const void *arg), const void *arg);

/*
 * For a probe in a child: a user namespace with a map, held by a child of its own that waits for the end of a pipe.
 * Returns its descriptor or -errno.
 */
int cli_check_mapped_namespace(void);

/* Is nothing missing that containers in namespaces need? */
bool cli_check_works(const struct check *c);
void cli_check_text(struct buf *out, const struct check *c);
void cli_check_json(struct buf *out, const struct check *c);

/* The groups of facts, each in its file. */
void cli_check_kernel(struct check *c); /* check_kernel.c */
void cli_check_mounts(struct check *c); /* check_mounts.c */
void cli_check_storage(struct check *c); /* check_storage.c */
void cli_check_namespaces(struct check *c); /* check_namespaces.c */
void cli_check_cgroups(struct check *c); /* check_cgroups.c */
void cli_check_security(struct check *c); /* check_security.c */
void cli_check_kvm(struct check *c); /* check_kvm.c */
void cli_check_programs(struct check *c); /* check_programs.c */
