/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what the agent says: cut into frames, and every item looked for. An error that comes of it is one line
 * that a terminal can take.
 */
#include <errno.h>

#include "tests/fuzz/fuzz.h"
#include "vm/wire/wire.h"

enum { MOST = 4096 };

static void look(const void *payload, size_t n)
{
	struct wire_reader reader = { payload, n };
	struct wire_item item;
	struct buf text = BUF_INIT;
	struct error err = ERROR_INIT;
	char line[4096];
	uint32_t number;
	uint64_t wide;
	int r;

	while ((r = wire_next(&reader, &item)) == 1) {
		const uint8_t *at = item.bytes, *begin = payload;

		require(at >= begin && item.n <= n && at + item.n <= begin + n);
		for (size_t i = 0; i < item.n; i++)
			(void)*(const volatile uint8_t *)(at + i);
		wire_get_u32(payload, n, item.tag, &number);
		wire_get_u64(payload, n, item.tag, &wide);
		wire_get_text(payload, n, item.tag, &text);
	}
	require(r == 0 || r == -EPROTO);
	r = wire_reply_error(payload, n, &err);
	if (r < 0) {
		error_line(&err, line, sizeof(line));
		for (const char *p = line; *p; p++)
			require((unsigned char)*p >= ' ' && *p != 127);
	}
	buf_release(&text);
}

/* data[0]: how many bytes come at once. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_inbox in = WIRE_INBOX_INIT(MOST);
	size_t step = size > 0 ? data[0] + 1u : 1;
	struct wire_header head;
	const void *payload;
	int r = 0;

	for (size_t at = 1; at < size && r >= 0; at += step) {
		wire_inbox_add(&in, data + at, step < size - at ? step : size - at);
		while ((r = wire_inbox_next(&in, &head, &payload)) == 1) {
			require(head.size <= MOST && ((uintptr_t)payload & 3) == 0);
			look(payload, head.size);
		}
	}
	require(r == 0 || r == -EPROTO);
	wire_inbox_release(&in);
	return 0;
}
