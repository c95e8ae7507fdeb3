/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spec/base/oom.h"

#define BLOCK_BYTES    (64u * 1024)
#define POPULATE_BYTES (1024u * 1024)

struct arena_block {
	struct arena_block *older;
	size_t bytes; /* of the mapping */
	_Alignas(16) char data[];
};

_Noreturn void oom_die(void)
{
	static const char text[] = "bulkhead: out of memory\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(255);
	_exit(255);
}

/*
 * A mapping and not calloc(): one system call gives us zeroed pages that are
 * there already. A block is used nearly whole, and sixteen page faults in a
 * virtual machine cost more than parsing a config.
 */
static void add_block(struct arena *a, size_t need)
{
	size_t bytes = need + sizeof(struct arena_block);

	bytes = bytes > BLOCK_BYTES ? (bytes + 4095) & ~(size_t)4095 : BLOCK_BYTES;

	int populate = bytes <= POPULATE_BYTES ? MAP_POPULATE : 0;
	struct arena_block *b = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | populate, -1, 0);

	if (b == MAP_FAILED)
		oom_die();
	b->older = a->blocks;
	b->bytes = bytes;
	a->blocks = b;
	a->next = b->data;
	a->end = (char *)b + bytes;
}

void *arena_alloc(struct arena *a, size_t size)
{
	if (size > SIZE_MAX / 2)
		oom_die();
	size = (size + 15) & ~(size_t)15;
	if (!a->next) {
		a->next = a->inline_;
		a->end = a->inline_ + sizeof(a->inline_);
	}
	if (size > (size_t)(a->end - a->next))
		add_block(a, size);

	void *p = a->next;

	a->next += size;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		oom_die();
	return arena_alloc(a, bytes);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	memcpy(p, s, n);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_list again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		oom_die();

	char *p = arena_alloc(a, (size_t)n + 1);

	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

void arena_release(struct arena *a)
{
	size_t used = a->next ? sizeof(a->inline_) : 0;

	while (a->blocks) {
		struct arena_block *older = a->blocks->older;

		munmap(a->blocks, a->blocks->bytes);
		a->blocks = older;
	}
	if (a->next >= a->inline_ && a->next <= a->inline_ + sizeof(a->inline_))
		used = (size_t)(a->next - a->inline_);
	memset(a->inline_, 0, used);
	a->next = a->end = NULL;
}
