/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/arena.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct arena a;

static void fini(void)
{
	arena_release(&a);
}

TestSuite(arena, .fini = fini);

static bool is_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

Test(arena, memory_is_zeroed_aligned_and_not_shared)
{
	char *last = NULL;

	for (size_t n = 0; n < 3000; n += 7) {
		char *p = arena_alloc(&a, n);

		cr_assert_not_null(p);
		cr_assert_eq((uintptr_t)p % 16, 0);
		cr_assert(is_zero(p, n));
		memset(p, 0xff, n);
		if (last)
			cr_assert_eq((unsigned char)*last, 0xff);
		if (n)
			last = p;
	}
}

Test(arena, the_first_bytes_need_no_heap)
{
	arena_alloc(&a, ARENA_INLINE / 2);
	arena_alloc(&a, ARENA_INLINE / 2);
	cr_expect_null(a.blocks);
	arena_alloc(&a, 1);
	cr_expect_not_null(a.blocks);
}

Test(arena, a_released_arena_is_as_new)
{
	memset(arena_alloc(&a, 1000), 0xff, 1000);
	memset(arena_alloc(&a, 1000000), 0xff, 1000000);
	arena_release(&a);
	cr_expect_null(a.blocks);
	cr_expect(is_zero(arena_alloc(&a, 1000), 1000));
	arena_release(&a);
	arena_release(&a);
}

Test(arena, strings_are_copied)
{
	char text[] = "hello";
	char *copy = arena_strdup(&a, text);
	char *part = arena_strndup(&a, text, 3);
	char *made = arena_printf(&a, "%s-%0*d", text, 300, 7);

	text[0] = 'x';
	cr_expect_str_eq(copy, "hello");
	cr_expect_str_eq(part, "hel");
	cr_expect_eq(strlen(made), 306);
	cr_expect_eq(made[305], '7');
}

static int status_of_child(void (*run)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		close(STDERR_FILENO);
		run();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void overflow_product(void)
{
	arena_array(&a, SIZE_MAX / 8 + 2, 8);
}

static void ask_for_everything(void)
{
	arena_alloc(&a, SIZE_MAX - 8);
}

Test(arena, an_impossible_size_ends_the_process_with_255)
{
	cr_expect_eq(status_of_child(overflow_product), 255);
	cr_expect_eq(status_of_child(ask_for_everything), 255);
}
