/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vm/wire/wire.h"

Test(wire, what_was_written_is_read)
{
	auto_buf struct buf b = BUF_INIT, text = BUF_INIT;
	struct wire_inbox in = WIRE_INBOX_INIT(1000);
	struct wire_header h;
	const void *p;
	uint32_t signal = 0;
	size_t at = wire_begin(&b, WIRE_SIGNAL, 7);

	wire_add_text(&b, WIRE_T_ID, "a name");
	wire_add(&b, WIRE_T_ALL, NULL, 0);
	wire_add_u32(&b, WIRE_T_SIGNAL, 15);
	wire_end(&b, at);

	/* One byte after the other. */
	for (size_t i = 0; i < b.len; i++) {
		cr_assert_eq(wire_inbox_next(&in, &h, &p), 0);
		wire_inbox_add(&in, b.data + i, 1);
	}
	cr_assert_eq(wire_inbox_next(&in, &h, &p), 1);
	cr_assert_eq(h.type, WIRE_SIGNAL);
	cr_assert_eq(h.id, 7);
	cr_assert_str_eq(wire_get_text(p, h.size, WIRE_T_ID, &text), "a name");
	cr_assert_eq(wire_get_u32(p, h.size, WIRE_T_SIGNAL, &signal), 0);
	cr_assert_eq(signal, 15);
	cr_assert_eq(wire_get_u32(p, h.size, WIRE_T_ALL, &signal), -EPROTO, "of another size");
	cr_assert_eq(wire_inbox_next(&in, &h, &p), 0);
	wire_inbox_release(&in);
}

Test(wire, an_error_arrives_as_it_was_said)
{
	auto_buf struct buf b = BUF_INIT;
	struct error said = ERROR_INIT, heard = ERROR_INIT;
	size_t at = wire_begin(&b, WIRE_REPLY, 1);

	error_set(&said, ENOENT, "exec \"/nowhere\"");
	wire_add_error(&b, &said);
	wire_end(&b, at);
	cr_assert_eq(wire_reply_error(b.data + 12, b.len - 12, &heard), -ENOENT);
	cr_assert_str_eq(heard.text, said.text);
}

Test(wire, sizes_that_lie_are_refused)
{
	struct wire_inbox in = WIRE_INBOX_INIT(64);
	struct wire_header h = { .size = 68, .type = WIRE_REPLY };
	uint32_t item[] = { WIRE_T_STATUS, 0xfffffffc, 0 };
	uint32_t odd[] = { WIRE_T_STATUS, 5, 0 };
	struct wire_reader r = { .at = (void *)item, .left = sizeof(item) };
	struct wire_item found;
	const void *p;

	wire_inbox_add(&in, &h, sizeof(h));
	cr_assert_eq(wire_inbox_next(&in, &h, &p), -EPROTO);
	wire_inbox_release(&in);
	cr_assert_eq(wire_next(&r, &found), -EPROTO);
	r = (struct wire_reader){ .at = (void *)odd, .left = sizeof(odd) };
	cr_assert_eq(wire_next(&r, &found), -EPROTO);
	r = (struct wire_reader){ .at = (void *)odd, .left = 3 };
	cr_assert_eq(wire_next(&r, &found), -EPROTO);
	cr_assert_not(wire_find(item, sizeof(item), WIRE_T_STATUS, &found));
}
