/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_stats.h"

#include <criterion/criterion.h>
#include <string.h>

#include "spec/base/arena.h"
#include "spec/base/auto.h"
#include "spec/base/json.h"

static struct arena a = ARENA_INIT;

static const char host[] = "{\"cpu\":{\"usage\":{\"total\":77}},\"memory\":{\"usage\":{\"limit\":900,\"usage\":800},"
			   "\"raw\":{\"anon\":1},\"psi\":{\"some\":5}},\"pids\":{\"current\":9},\"blkio\":{}}";

static const struct json *merge(const struct wire_stats *guest, struct buf *data)
{
	const struct json *doc = NULL;
	struct error err = ERROR_INIT;

	buf_add(data, host, sizeof(host) - 1);
	wall_merge_stats(data, guest);
	cr_assert_eq(json_parse(data->data, data->len, "merged", &a, &doc, &err), 0, "%s in %.*s", err.text, (int)data->len, data->data);
	return doc;
}

static bool holds(const struct buf *data, const char *text)
{
	return memmem(data->data, data->len, text, strlen(text)) != NULL;
}

Test(vm_stats, memory_and_processes_are_the_guests_all_else_the_hosts)
{
	auto_buf struct buf data = BUF_INIT;
	struct wire_stats guest = { .memory_current = 100, .memory_peak = 200, .memory_limit = 300, .memory_file = 40,
				    .memory_anon = 50, .failcnt = 6, .pids_current = 7, .pids_limit = 8,
				    .guest_total = 1000, .guest_available = 500 };
	const struct json *doc = merge(&guest, &data);

	cr_expect_not_null(json_get(doc, "blkio"));
	cr_expect(holds(&data, "\"total\":77"), "%s", data.data);
	cr_expect(holds(&data, "\"usage\":{\"limit\":300,\"usage\":100,\"max\":200,\"failcnt\":6}"), "%s", data.data);
	cr_expect(holds(&data, "\"guest\":{\"total\":1000,\"available\":500}"), "%s", data.data);
	cr_expect(holds(&data, "\"host\":800"), "%s", data.data);
	cr_expect(holds(&data, "\"psi\":{\"some\":5}"), "%s", data.data);
	cr_expect(holds(&data, "\"pids\":{\"current\":7,\"limit\":8}"), "%s", data.data);
	arena_release(&a);
}

Test(vm_stats, what_the_guest_does_not_know_is_left_out_and_no_limit_is_0)
{
	auto_buf struct buf data = BUF_INIT;
	struct wire_stats guest;

	memset(&guest, 0xff, sizeof(guest));

	const struct json *memory = json_get(merge(&guest, &data), "memory");

	cr_assert_not_null(memory);
	cr_expect_null(json_get(memory, "cache"));
	cr_expect_null(json_get(json_get(memory, "usage"), "usage"));
	cr_expect(holds(&data, "\"pids\":{\"limit\":0}"), "%s", data.data);
	arena_release(&a);
}
