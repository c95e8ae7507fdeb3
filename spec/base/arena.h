/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * arena - memory that is released all at once
 *
 * A parsed config, a plan or a state document is thousands of small objects
 * with one lifetime. They come from an arena: allocation is a pointer bump and
 * nothing is freed one by one. The first ARENA_INLINE bytes live in the object
 * itself, so a short command never asks the kernel for heap.
 *
 *	static struct arena a = ARENA_INIT;     (large: keep it off the stack)
 *	…
 *	arena_release(&a);
 *
 * All functions return zeroed memory and never NULL: running out of memory ends
 * the process with status 255 and one line on stderr, since there is nothing a
 * short-lived command could do about it. Sizes come from bounded input (see
 * JSON_MAX_BYTES), so this is not a lever for an attacker.
 */

#include <stddef.h>
#include <stdarg.h>

#define ARENA_INLINE 131072

struct arena_block;

struct arena {
	struct arena_block *blocks; /* heap blocks, newest first */
	char *next;                 /* free space of the current block */
	char *end;
	_Alignas(16) char inline_[ARENA_INLINE];
};

#define ARENA_INIT { .blocks = NULL, .next = NULL, .end = NULL }

void *arena_alloc(struct arena *a, size_t size);
/* n objects of size; an overflowing product is treated as out of memory. */
void *arena_array(struct arena *a, size_t n, size_t size);
char *arena_strdup(struct arena *a, const char *s);
/* Copies n bytes and adds a NUL. */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_release(struct arena *a);

#define ARENA_NEW(a, type)      ((type *)arena_alloc(a, sizeof(type)))
#define ARENA_NEW_N(a, type, n) ((type *)arena_array(a, n, sizeof(type)))
