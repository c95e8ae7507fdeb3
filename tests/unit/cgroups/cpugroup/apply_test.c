/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/cpugroup/room.h"

/* Declarations: the difference is found, carried out, and taken back when it cannot be. */

static struct error err;
static struct room r;
static struct cpg_change *change;
static size_t n;

static void setup(void)
{
	err = ERROR_INIT;
	room_open(&r, LOCK_SH);
}

static void teardown(void)
{
	if (r.a)
		room_close(&r);
}

TestSuite(cpg_apply, .init = setup, .fini = teardown);

static int apply(const char *text, bool prune, unsigned flags)
{
	const struct json *doc;

	err = ERROR_INIT;
	n = 0;
	assert_ok(json_parse(text, strlen(text), "groups.json", r.a, &doc, &err));
	return cpg_apply(&r.cpg, doc, prune, flags, r.a, &change, &n, &err);
}

static const char *exported(void)
{
	static char text[2048];
	auto_buf struct buf b = BUF_INIT;
	struct json_w w = { .out = &b };

	assert_ok(cpg_export(&r.cpg, NULL, &w, &err));
	snprintf(text, sizeof(text), "%s", b.data);
	return text;
}

static const char two[] = "{\"version\":1,\"groups\":[{\"name\":\"a\",\"policy\":{\"reserve\":\"0.5\"}},"
			  "{\"name\":\"a/b\",\"policy\":{\"reserve\":\"0.25\"}}]}";

Test(cpg_apply, what_is_exported_is_applied_as_the_same)
{
	assert_ok(apply(two, false, 0));
	cr_assert_eq(n, 2);
	cr_assert_str_eq(change[0].action, "create");
	cr_assert_str_eq(change[1].name, "a/b");
	cr_assert_str_eq(exported(), two);
}

Test(cpg_apply, the_second_time_nothing_is_done)
{
	assert_ok(apply(two, false, 0));

	size_t before = strlen(room_log(&r));

	assert_ok(apply(two, false, 0));
	cr_assert_eq(n, 2);
	cr_assert_str_eq(change[0].action, "keep");
	cr_assert_str_eq(change[1].action, "keep");
	cr_assert_eq(strlen(room_log(&r)), before);
}

Test(cpg_apply, children_may_stand_before_their_parents)
{
	assert_ok(apply("{\"version\":1,\"groups\":[{\"name\":\"a/b/c\"},{\"name\":\"a/b\"},{\"name\":\"a\"}]}", false, 0));
	cr_assert(room_has(&r, "a/b/c"));
}

Test(cpg_apply, a_member_that_is_left_out_takes_its_default_again)
{
	assert_ok(apply(two, false, 0));
	assert_ok(apply("{\"version\":1,\"groups\":[{\"name\":\"a\",\"policy\":{\"overcommit\":2}}]}", false, 0));
	cr_assert_str_eq(change[0].action, "set");
	cr_assert_str_eq(change[0].detail, "reserve 0.5 -> -, overcommit - -> 2");
	cr_assert(room_has(&r, "a/b"), "not named, not touched");
}

Test(cpg_apply, a_shrinking_parent_waits_for_its_children)
{
	assert_ok(apply(two, false, 0));
	assert_ok(apply("{\"version\":1,\"groups\":[{\"name\":\"a\",\"policy\":{\"reserve\":\"0.2\"}},"
			"{\"name\":\"a/b\",\"policy\":{\"reserve\":\"0.1\"}}]}", false, 0));
	assert_ok(apply(two, false, 0));
}

Test(cpg_apply, pruning_takes_what_is_empty_and_ours)
{
	assert_ok(apply(two, false, 0));
	assert_ok(room_create(&r, "c", "{}", 0, &err));
	assert_ok(room_create(&r, "full", "{}", 0, &err));
	assert_ok(room_create(&r, "full/in", "{}", 0, &err));
	close(room_leaf(&r, "full/web"));
	close(room_leaf(&r, "theirs"));
	assert_ok(cpg_adopt(&r.cpg, "theirs", &err));
	close(room_leaf(&r, "foreign"));
	assert_ok(apply("{\"version\":1,\"groups\":[]}", true, CPG_CHECK));
	cr_assert_eq(n, 4);
	cr_assert(room_has(&r, "a/b"));
	assert_ok(apply("{\"version\":1,\"groups\":[]}", true, 0));
	cr_assert_not(room_has(&r, "a") || room_has(&r, "c") || room_has(&r, "full/in"));
	cr_assert(room_has(&r, "full/web") && room_has(&r, "theirs") && room_has(&r, "foreign"));
}

Test(cpg_apply, a_failure_takes_back_what_was_done)
{
	char before[2048];

	assert_ok(apply(two, false, 0));
	snprintf(before, sizeof(before), "%s", exported());
	/* New, changed, deleted, and then one that cannot be: its parent is missing. */
	cr_assert_eq(apply("{\"version\":1,\"groups\":[{\"name\":\"new\"},{\"name\":\"a\",\"policy\":{\"reserve\":\"0.6\"}},"
			   "{\"name\":\"x/y\"}]}", true, 0), -ENOENT);
	cr_assert_str_eq(exported(), before);
	cr_assert_not(room_has(&r, "new"));
	/* What nobody makes room for. */
	cr_assert_eq(apply("{\"version\":1,\"groups\":[{\"name\":\"new\"},{\"name\":\"huge\",\"policy\":{\"reserve\":\"8000\"}}]}",
			   true, 0), -EDQUOT);
	cr_assert_str_eq(exported(), before);
}

Test(cpg_apply, a_wrong_document_has_its_place)
{
	static const struct {
		const char *text, *at;
	} bad[] = {
		{ "{}", "" },
		{ "{\"version\":2,\"groups\":[]}", "/version" },
		{ "{\"version\":1,\"groups\":[],\"x\":1}", "/x" },
		{ "{\"version\":1,\"groups\":[1]}", "/groups/0" },
		{ "{\"version\":1,\"groups\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "/groups/1" },
		{ "{\"version\":1,\"groups\":[{\"name\":\"..\"}]}", "/groups/0/name" },
		{ "{\"version\":1,\"groups\":[{\"name\":\"a\",\"cap\":1}]}", "/groups/0/cap" },
		{ "{\"version\":1,\"groups\":[{\"name\":\"a\",\"policy\":{\"cap\":\"x\"}}]}", "/groups/0/policy/cap" },
		{ "{\"version\":1,\"groups\":[{\"name\":\"a\",\"policy\":{\"exclusive\":\"root\"}}]}", "/groups/0/policy" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect_lt(apply(bad[i].text, false, 0), 0, "%s", bad[i].text);
		cr_expect_str_eq(err.at, bad[i].at, "%s: %s", bad[i].text, line_of(&err));
	}
	cr_assert_not(room_has(&r, ""));
}
