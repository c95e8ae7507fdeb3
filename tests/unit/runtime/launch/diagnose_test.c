/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/launch/diagnose.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/diagnose-test-XXXXXX";
static int root_fd;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	root_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	char command[128];

	close(root_fd);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(diagnose, .init = setup, .fini = teardown, .timeout = 10);

static void put(const char *name, const void *data, size_t n, mode_t mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	cr_assert_eq(write(fd, data, n), (ssize_t)n);
	fchmod(fd, mode);
	close(fd);
}

static void expect(const char *program, int code, const char *sentence)
{
	struct error err = ERROR_INIT;
	char line[1024];

	cr_assert_eq(diagnose_exec(root_fd, program, code, &err), -code);
	error_line(&err, line, sizeof(line));
	cr_assert_not_null(strstr(line, sentence), "%s\nlacks\n%s", line, sentence);
}

Test(diagnose, missing_file)
{
	expect("/nope", ENOENT, "exec \"/nope\": it does not exist in the container: no such file or directory");
}

Test(diagnose, directory)
{
	mkdirat(open(dir, O_DIRECTORY), "d", 0755);
	expect("/d", EACCES, "it is a directory: permission denied");
}

Test(diagnose, no_execute_bit)
{
	put("a", "x", 1, 0644);
	expect("/a", EACCES, "it is not executable (mode 0644): permission denied");
}

Test(diagnose, carriage_return_in_the_first_line)
{
	put("s", "#!/bin/sh\r\nexit\r\n", 17, 0755);
	expect("/s", ENOENT, "its first line ends with a carriage return (CRLF)");
}

Test(diagnose, missing_script_interpreter)
{
	put("s", "#! /usr/bin/python9 -u\n", 23, 0755);
	expect("/s", ENOENT, "its interpreter \"/usr/bin/python9\" (first line) does not exist");
}

Test(diagnose, text_without_a_first_line)
{
	put("t", "echo hi\n", 8, 0755);
	expect("/t", ENOEXEC, "neither an ELF program nor a script");
}

Test(diagnose, empty_file)
{
	put("e", "", 0, 0755);
	expect("/e", ENOEXEC, "the file is empty: exec format error");
}

Test(diagnose, program_for_another_machine)
{
	char elf[64] = "\177ELF\2\1\1";

	elf[16] = 2;
	elf[18] = (char)183; /* EM_AARCH64 */
	put("arm", elf, sizeof(elf), 0755);
	expect("/arm", ENOEXEC, "it is a program for aarch64, this machine is");
}

Test(diagnose, missing_loader)
{
	char elf[160] = "\177ELF\2\1\1";

	elf[16] = 2;
	elf[18] = 62;
	elf[32] = 64;  /* e_phoff */
	elf[54] = 56;  /* e_phentsize */
	elf[56] = 1;   /* e_phnum */
	elf[64] = 3;   /* PT_INTERP */
	elf[72] = 120; /* p_offset */
	elf[96] = 10;  /* p_filesz */
	memcpy(elf + 120, "/lib/ld.so", 10);
	elf[129] = '\0';
	put("dyn", elf, sizeof(elf), 0755);
	expect("/dyn", ENOENT, "its interpreter /lib/ld.s does not exist in the container");
}

Test(diagnose, hostile_headers_are_only_read_within_bounds)
{
	char elf[64] = "\177ELF\2\1\1";

	memset(elf + 16, 0xff, 48);
	put("bad", elf, sizeof(elf), 0755);
	expect("/bad", ENOENT, "exec \"/bad\"");
	expect("/bad", ENOEXEC, "another architecture");
}

Test(diagnose, a_fifo_is_never_opened)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/f", dir);
	cr_assert_eq(mkfifo(path, 0755), 0);
	expect("/f", EACCES, "it is not a regular file");
}

Test(diagnose, a_link_out_of_the_root_stays_inside)
{
	cr_assert_eq(symlinkat("/bin/sh", open(dir, O_DIRECTORY), "l"), 0);
	expect("/l", ENOENT, "it does not exist in the container");
}
