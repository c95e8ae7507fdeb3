/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/tar_write.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static struct buf out;

static void init(void)
{
	out = (struct buf)BUF_INIT;
}

static void fini(void)
{
	buf_release(&out);
}

TestSuite(ovl_tar_write, .init = init, .fini = fini);

/* The block that begins at the n-th one. */
static const char *block(size_t n)
{
	cr_assert_geq(out.len, (n + 1) * TAR_BLOCK);
	return out.data + n * TAR_BLOCK;
}

static bool is_sealed(const char *b)
{
	unsigned sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)b[i];
	return strtoul(b + 148, NULL, 8) == sum;
}

static bool has_record(const char *record)
{
	size_t n = strlen(record);

	for (size_t i = TAR_BLOCK; i + n <= out.len; i++)
		if (!memcmp(out.data + i, record, n))
			return true;
	return false;
}

Test(ovl_tar_write, an_ordinary_file_needs_one_block)
{
	const struct stat st = { .st_mode = S_IFREG | 04755, .st_uid = 7, .st_gid = 8, .st_size = 5,
				 .st_mtim.tv_sec = 1600000000 };

	tar_header(&out, &(struct tar_entry){ .path = "bin/su", .st = &st });
	cr_expect_eq(out.len, TAR_BLOCK);
	cr_expect_str_eq(block(0), "bin/su");
	cr_expect_str_eq(block(0) + 100, "0004755");
	cr_expect_str_eq(block(0) + 108, "0000007");
	cr_expect_str_eq(block(0) + 124, "00000000005");
	cr_expect_eq(strtoll(block(0) + 136, NULL, 8), 1600000000);
	cr_expect_eq(block(0)[156], '0');
	cr_expect(is_sealed(block(0)));
}

Test(ovl_tar_write, directories_end_in_a_slash_and_the_root_is_a_dot)
{
	const struct stat st = { .st_mode = S_IFDIR | 0755 };

	tar_header(&out, &(struct tar_entry){ .path = "", .st = &st });
	tar_header(&out, &(struct tar_entry){ .path = "etc", .st = &st });
	cr_expect_str_eq(block(0), "./");
	cr_expect_str_eq(block(1), "etc/");
}

Test(ovl_tar_write, what_a_header_cannot_hold_is_a_record)
{
	const struct stat st = { .st_mode = S_IFREG | 0644, .st_uid = 3000000000u, .st_gid = 2097152,
				 .st_size = 8589934592, .st_mtim = { .tv_sec = 5, .tv_nsec = 120000000 } };

	tar_header(&out, &(struct tar_entry){ .path = "f", .st = &st });
	cr_expect_eq(block(0)[156], 'x');
	cr_expect(is_sealed(block(0)));
	cr_expect(has_record("18 uid=3000000000\n"));
	cr_expect(has_record("15 gid=2097152\n"));
	cr_expect(has_record("19 size=8589934592\n"));
	cr_expect(has_record("14 mtime=5.12\n"));
	cr_expect(is_sealed(block(2)));
}

Test(ovl_tar_write, a_time_before_1970_counts_back)
{
	const struct stat st = { .st_mode = S_IFREG, .st_mtim = { .tv_sec = -2, .tv_nsec = 500000000 } };

	tar_header(&out, &(struct tar_entry){ .path = "f", .st = &st });
	cr_expect(has_record("14 mtime=-1.5\n"));
}

Test(ovl_tar_write, a_long_name_is_whole_in_a_record_whose_length_counts_itself)
{
	const struct stat st = { .st_mode = S_IFREG };
	char name[301] = "";

	memset(name, 'n', sizeof(name) - 1);
	tar_header(&out, &(struct tar_entry){ .path = name, .st = &st });

	const char *record = block(1);
	unsigned long n = strtoul(record, NULL, 10);

	cr_expect_eq(n, strlen("310 path=") + 300 + 1);
	cr_expect_eq(record[n - 1], '\n');
	cr_expect_eq(memcmp(record + 9, name, 300), 0);
	cr_expect_not(has_record("hdrcharset"));
}

Test(ovl_tar_write, a_long_name_that_is_no_text_says_so)
{
	const struct stat st = { .st_mode = S_IFREG };
	char name[151] = "";

	memset(name, 0xff, sizeof(name) - 1);
	tar_header(&out, &(struct tar_entry){ .path = name, .st = &st });
	cr_expect(has_record("21 hdrcharset=BINARY\n"));
}

/* 9 + 1 digits: the length's own digits make it longer. */
Test(ovl_tar_write, a_length_that_gains_a_digit_by_itself)
{
	const struct xattr v = { .name = "user.abcdefghijk", .value = "", .n = 0 };
	char name[101];

	for (size_t len = 60; len < 100; len++) {
		struct xattr x = { .name = name, .value = v.value };
		const struct xattrs xs = { .v = &x, .n = 1 };
		const struct stat st = { .st_mode = S_IFREG };

		memset(name, 'a', len);
		name[len] = '\0';
		buf_reset(&out);
		tar_header(&out, &(struct tar_entry){ .path = "f", .st = &st, .xattrs = &xs });

		unsigned long n = strtoul(block(1), NULL, 10);

		cr_expect_eq(block(1)[n - 1], '\n', "%zu", len);
		cr_expect_eq(strtoul(block(0) + 124, NULL, 8), n, "%zu", len);
	}
}

Test(ovl_tar_write, a_hard_link_has_no_content_and_a_device_its_numbers)
{
	const struct stat file = { .st_mode = S_IFREG, .st_size = 99 };
	const struct stat device = { .st_mode = S_IFBLK | 0600, .st_rdev = makedev(4095, 1048575) };

	tar_header(&out, &(struct tar_entry){ .path = "b", .link = "a", .is_hardlink = true, .st = &file });
	tar_header(&out, &(struct tar_entry){ .path = "sd", .st = &device });
	cr_expect_eq(block(0)[156], '1');
	cr_expect_str_eq(block(0) + 157, "a");
	cr_expect_eq(strtoul(block(0) + 124, NULL, 8), 0);
	cr_expect_eq(block(1)[156], '4');
	cr_expect_eq(strtoul(block(1) + 329, NULL, 8), 4095);
	cr_expect_eq(strtoul(block(1) + 337, NULL, 8), 1048575);
}

Test(ovl_tar_write, padding_fills_the_last_block)
{
	cr_expect_eq(tar_padding(0), 0);
	cr_expect_eq(tar_padding(1), 511);
	cr_expect_eq(tar_padding(512), 0);
	cr_expect_eq(tar_padding((1ull << 33) + 5), 507);
}
