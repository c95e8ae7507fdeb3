/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "vm/agent_image.h"

TestSuite(agent_image);

Test(agent_image, is_a_static_program_of_400_kilobytes_at_most)
{
	size_t size;
	const Elf64_Ehdr *e = vm_agent_image(&size);
	const Elf64_Phdr *p = (const void *)((const char *)e + e->e_phoff);

	/* Where there is no musl it is made with glibc, which is three times as large. */
	if (!memmem(e, size, "glibc.malloc", 12))
		cr_assert(le(sz, size, 400 * 1024));
	cr_assert(zero(memcmp(e->e_ident, ELFMAG, SELFMAG)));
	for (unsigned i = 0; i < e->e_phnum; i++)
		cr_assert(ne(int, (int)p[i].p_type, PT_INTERP));
}

Test(agent_image, is_init_in_an_archive_with_a_console)
{
	struct error err = ERROR_INIT;
	size_t size;
	char *text = calloc(1, 1 << 20);
	int fd = vm_agent_archive(&err);

	vm_agent_image(&size);
	cr_assert(ge(int, fd, 0));

	ssize_t n = pread(fd, text, 1 << 20, 0);

	cr_assert(gt(long, n, (long)size));
	cr_assert(zero(memcmp(text, "070701", 6)));
	cr_assert(memmem(text, (size_t)n, "dev/console", 12) != NULL);
	cr_assert(memmem(text, (size_t)n, "init", 5) != NULL);
	cr_assert(memmem(text, (size_t)n, "TRAILER!!!", 11) != NULL);
	close(fd);
	free(text);
}
