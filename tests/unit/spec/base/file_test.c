/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/buf.h"
#include "tests/unit/spec/base/scratch.h"

static int dir;
static int files_before;
static struct error err;

static void init(void)
{
	char path[128];

	scratch_make();
	snprintf(path, sizeof(path), "%s/root", scratch_path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dir, 0);
	files_before = open_files();
}

static void fini(void)
{
	cr_expect_eq(open_files(), files_before, "descriptors leaked");
	close(dir);
	scratch_remove();
}

TestSuite(file, .init = init, .fini = fini);

static void put(const char *name, const char *text)
{
	cr_assert_eq(file_replace_at(dir, name, 0640, text, strlen(text), &err), 0, "%s", err.text);
}

static const char *line(void)
{
	static char text[512];

	error_line(&err, text, sizeof(text));
	return text;
}

Test(file, a_file_is_replaced_whole)
{
	char buf[32];
	struct stat st;

	put("f", "first and long");
	put("f", "second");
	cr_expect_eq(file_read_at(dir, "f", buf, sizeof(buf), &err), 6);
	cr_expect_str_eq(buf, "second");
	cr_assert_eq(fstatat(dir, "f", &st, 0), 0);
	cr_expect_eq(st.st_mode & 07777, 0640);
	cr_expect_eq(faccessat(dir, ".f.tmp", F_OK, 0), -1);
}

Test(file, a_replacement_that_cannot_be_leaves_the_old_file)
{
	char buf[32];

	put("f", "old");
	cr_assert_eq(mkdirat(dir, "d", 0755), 0);
	cr_assert_eq(mkdirat(dir, "d/full", 0755), 0);
	cr_expect_eq(file_replace_at(dir, "d", 0600, "x", 1, &err), -EISDIR);
	cr_expect_eq(faccessat(dir, ".d.tmp", F_OK, 0), -1);
	cr_assert_eq(mkdirat(dir, ".g.tmp", 0755), 0);
	cr_expect_eq(file_replace_at(dir, "g", 0600, "x", 1, &err), -EISDIR);
	cr_expect_eq(faccessat(dir, "g", F_OK, 0), -1);
	cr_expect_eq(file_read_at(dir, "f", buf, sizeof(buf), &err), 3);
	cr_expect_str_eq(buf, "old");
}

/* Before O_EXCL a fifo hung the command, and a hard link was emptied and written to. */
Test(file, a_planted_name_is_neither_followed_nor_waited_for, .timeout = 5)
{
	char buf[32];
	struct stat st;

	put("f", "old");
	cr_assert_eq(mkfifoat(dir, ".a.tmp", 0600), 0);
	cr_assert_eq(linkat(dir, "f", dir, ".b.tmp", 0), 0);
	cr_assert_eq(symlinkat("f", dir, ".c.tmp"), 0);
	cr_assert_eq(symlinkat("nothing", dir, ".d.tmp"), 0);
	for (const char *name = "a\0b\0c\0d\0"; *name; name += 2) {
		cr_expect_eq(file_replace_at(dir, name, 0600, "new", 3, &err), 0, "%s", err.text);
		cr_expect_eq(file_read_at(dir, name, buf, sizeof(buf), &err), 3);
		cr_expect_str_eq(buf, "new");
		cr_assert_eq(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
		cr_expect(S_ISREG(st.st_mode) && st.st_nlink == 1, "%s", name);
	}
	cr_expect_eq(file_read_at(dir, "f", buf, sizeof(buf), &err), 3);
	cr_expect_str_eq(buf, "old");
	cr_expect_eq(faccessat(dir, "nothing", F_OK, 0), -1);
}

Test(file, a_file_that_does_not_fit_is_not_cut)
{
	char buf[8];

	put("f", "1234567");
	cr_expect_eq(file_read_at(dir, "f", buf, sizeof(buf), &err), 7);
	put("f", "12345678");
	cr_expect_eq(file_read_at(dir, "f", buf, sizeof(buf), &err), -EFBIG);
	cr_expect_str_eq(line(), "read f (more than 7 bytes): file too large");
}

Test(file, a_read_names_what_is_missing)
{
	char buf[8];

	cr_expect_eq(file_read_at(dir, "none", buf, sizeof(buf), &err), -ENOENT);
	cr_expect_str_eq(line(), "open none: no such file or directory");
	cr_expect_eq(file_write_at(dir, "none", "x", &err), -ENOENT);
	cr_expect_str_eq(line(), "open none for writing: no such file or directory");
}

Test(file, an_open_file_is_read_up_to_a_limit)
{
	auto_buf struct buf b = BUF_INIT;
	char text[100001];

	memset(text, 'x', 100000);
	text[100000] = '\0';
	put("f", text);
	buf_puts(&b, "head ");

	auto_close int fd = file_open_regular(dir, "f", &err);

	cr_expect_eq(file_read_fd(fd, "f", 100000, &b, &err), 0);
	cr_expect_eq(b.len, 100005);
	cr_expect_eq(strlen(b.data), 100005);
	lseek(fd, 0, SEEK_SET);
	cr_expect_eq(file_read_fd(fd, "f", 99999, &b, &err), -EFBIG);
	cr_expect_str_eq(line(), "f is larger than 99999 bytes");
	close(TAKE_FD(fd));
}

Test(file, only_regular_files_are_opened_and_nothing_blocks, .timeout = 5)
{
	cr_assert_eq(mkfifoat(dir, "fifo", 0600), 0);
	cr_expect_eq(file_open_regular(dir, "fifo", &err), -EINVAL);
	cr_expect_str_eq(line(), "fifo is not a regular file");
	cr_expect_eq(file_open_regular(dir, ".", &err), -EISDIR);
	cr_expect_eq(file_open_regular(AT_FDCWD, "/dev/null", &err), -EINVAL);
	cr_expect_eq(file_open_regular(dir, "none", &err), -ENOENT);
}

Test(file, a_write_that_the_kernel_refuses_names_value_and_file)
{
	cr_expect_eq(file_write_at(AT_FDCWD, "/dev/full", "text", &err), -ENOSPC);
	cr_expect_str_eq(line(), "write \"text\" to /dev/full: no space left on device");
}

Test(file, writing_all_goes_on_after_short_writes)
{
	int ends[2];
	char *text = malloc(300000), *got = malloc(300000);
	size_t n = 0;

	memset(text, 'x', 300000);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);

	pid_t pid = fork();

	if (pid == 0)
		_exit(file_write_all(ends[1], "pipe", text, 300000, NULL) == 0 ? 0 : 1);
	close(ends[1]);
	for (ssize_t r; (r = read(ends[0], got + n, 300000 - n)) > 0;)
		n += (size_t)r;
	close(ends[0]);
	cr_expect_eq(n, 300000);
	cr_expect_eq(memcmp(text, got, n), 0);
	free(text);
	free(got);
}
