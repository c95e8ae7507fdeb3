/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/buf.h"

#include <criterion/criterion.h>
#include <string.h>

Test(buf, pieces_add_up_and_end_with_a_nul)
{
	auto_buf struct buf b = BUF_INIT;

	buf_puts(&b, "ab");
	buf_putc(&b, 'c');
	buf_add(&b, "d\0e", 3);
	buf_printf(&b, "%d", 42);
	cr_expect_eq(b.len, 8);
	cr_expect_eq(memcmp(b.data, "abcd\0e42", 9), 0);
}

Test(buf, print_of_any_length_is_whole)
{
	for (int n = 0; n < 600; n++) {
		auto_buf struct buf b = BUF_INIT;

		buf_printf(&b, "%*s", n, "");
		buf_putc(&b, '!');
		cr_assert_eq(b.len, (size_t)n + 1);
		cr_assert_eq(strspn(b.data, " "), (size_t)n);
		cr_assert_eq(strlen(b.data), (size_t)n + 1);
	}
}

Test(buf, reset_keeps_memory_and_release_gives_it_back)
{
	struct buf b = BUF_INIT;

	buf_reset(&b);
	cr_expect_null(b.data);
	buf_puts(&b, "text");
	buf_reset(&b);
	cr_expect_str_eq(b.data, "");
	cr_expect_gt(b.cap, 0);
	buf_release(&b);
	cr_expect_null(b.data);
	cr_expect_eq(b.cap, 0);
	buf_release(&b);
}

Test(buf, adding_nothing_is_allowed)
{
	auto_buf struct buf b = BUF_INIT;

	buf_add(&b, NULL, 0);
	cr_expect_str_eq(b.data, "");
}

Test(buf, reserved_room_is_there)
{
	auto_buf struct buf b = BUF_INIT;

	buf_puts(&b, "x");
	memset(buf_reserve(&b, 100000), 'y', 100000);
	b.len += 100000;
	buf_putc(&b, 'z');
	cr_expect_eq(strlen(b.data), 100002);
}

Test(buf, pieces_of_every_length_are_whole)
{
	static const char from[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t n = 0; n < sizeof(from); n++) {
		auto_buf struct buf b = BUF_INIT;

		buf_putc(&b, '<');
		buf_add(&b, from, n);
		buf_putc(&b, '>');
		cr_expect_eq(b.len, n + 2);
		cr_expect_eq(memcmp(b.data + 1, from, n), 0, "%zu", n);
		cr_expect_str_eq(b.data + n + 1, ">");
	}
}

Test(buf, numbers_are_decimal)
{
	auto_buf struct buf b = BUF_INIT;

	buf_putu(&b, 0);
	buf_putc(&b, ' ');
	buf_putu(&b, 1000);
	buf_putc(&b, ' ');
	buf_putu(&b, UINT64_MAX);
	cr_expect_str_eq(b.data, "0 1000 18446744073709551615");
}
