/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/resources.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena a = ARENA_INIT;

static struct spec_resources *parse(const char *json)
{
	struct spec_resources *r = NULL;
	struct error err = ERROR_INIT;

	cr_assert_eq(spec_parse_resources(json, strlen(json), &a, NULL, &r, &err), 0, "%s", err.text);
	return r;
}

static void check_written(const struct spec_resources *r, const char *want)
{
	struct buf b = BUF_INIT;

	resources_write(r, &b);
	cr_assert_str_eq(b.data, want, "%s", b.data);
	buf_release(&b);
}

Test(resources, given_members_win_and_the_rest_stays)
{
	check_written(resources_merge(parse("{\"cpu\":{\"shares\":2048,\"quota\":1000},\"pids\":{\"limit\":7}}"),
				      parse("{\"cpu\":{\"quota\":2000}}"), &a),
		      "{\"cpu\":{\"shares\":2048,\"quota\":2000},\"pids\":{\"limit\":7}}");
}

Test(resources, quota_alone_takes_the_saved_period_along)
{
	struct spec_resources *over = parse("{\"cpu\":{\"quota\":3000}}");
	struct spec_resources *merged = resources_merge(parse("{\"cpu\":{\"period\":50000,\"shares\":9}}"), over, &a);
	struct spec_resources *delta = resources_delta(over, merged, &a);

	check_written(delta, "{\"cpu\":{\"quota\":3000,\"period\":50000}}");
}

Test(resources, unlimited_memory_lifts_the_swap_limit_too)
{
	struct spec_resources *over = parse("{\"memory\":{\"limit\":-1}}");
	struct spec_resources *merged = resources_merge(parse("{\"memory\":{\"limit\":100,\"swap\":200}}"), over, &a);

	check_written(merged, "{\"memory\":{\"limit\":-1,\"swap\":-1}}");
}

Test(resources, a_new_memory_limit_moves_the_swap_file_which_holds_the_difference)
{
	struct spec_resources *over = parse("{\"memory\":{\"limit\":150}}");
	struct spec_resources *merged = resources_merge(parse("{\"memory\":{\"limit\":100,\"swap\":200}}"), over, &a);

	check_written(resources_delta(over, merged, &a), "{\"memory\":{\"limit\":150,\"swap\":200}}");
}

Test(resources, unified_is_merged_file_by_file)
{
	struct spec_resources *merged = resources_merge(parse("{\"unified\":{\"a.b\":\"1\",\"c.d\":\"2\"}}"),
							parse("{\"unified\":{\"c.d\":\"3\",\"e.f\":\"4\"}}"), &a);

	check_written(merged, "{\"unified\":{\"a.b\":\"1\",\"c.d\":\"3\",\"e.f\":\"4\"}}");
}

Test(resources, hugepages_and_rdma_are_merged_by_name_and_written)
{
	struct spec_resources *base = parse("{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":1},"
					    "{\"pageSize\":\"1GB\",\"limit\":2}],"
					    "\"rdma\":{\"mlx0\":{\"hcaHandles\":3,\"hcaObjects\":4}}}");
	struct spec_resources *over = parse("{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":9}],"
					    "\"rdma\":{\"mlx0\":{\"hcaObjects\":7},\"mlx1\":{\"hcaHandles\":1}}}");
	struct spec_resources *merged = resources_merge(base, over, &a);
	struct spec_resources *delta = resources_delta(over, merged, &a);
	auto_buf struct buf text = BUF_INIT;

	resources_write(merged, &text);

	struct spec_resources *again = parse(text.data);

	cr_assert_eq(again->n_hugepages, 2);
	cr_assert_eq(again->hugepages[0].limit, 9);
	cr_assert_eq(again->hugepages[1].limit, 2);
	cr_assert_eq(again->n_rdma, 2);
	cr_assert_eq(again->rdma[0].handles, 3);
	cr_assert_eq(again->rdma[0].objects, 7);
	cr_assert_eq(again->rdma[1].handles, 1);
	cr_assert_not(again->rdma[1].has_objects);
	cr_assert_eq(delta->n_hugepages, 1);
	cr_assert_eq(delta->n_rdma, 2);
}

Test(resources, what_is_written_is_read_back_the_same)
{
	const char *text = "{\"cpu\":{\"shares\":5,\"quota\":-1,\"burst\":18446744073709551615,\"period\":1000,"
			   "\"idle\":1,\"cpus\":\"0-1\",\"mems\":\"0\"},\"memory\":{\"limit\":1,\"reservation\":2,"
			   "\"swap\":3},\"pids\":{\"limit\":-1}}";

	check_written(resources_merge(NULL, parse(text), &a), text);
}
