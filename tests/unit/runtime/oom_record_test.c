/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oom_record.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel's files as plain ones: gold/web is the container, gold its group. */
static struct arena a = ARENA_INIT;
static char root[] = "/tmp/oom-record-XXXXXX";
static struct rt_context ctx = { .root = root };

static void put(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);

	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void make_dir(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	cr_assert_eq(mkdir(path, 0700), 0);
}

static void setup(void)
{
	cr_assert_not_null(mkdtemp(root));
	make_dir("gold");
	make_dir("gold/web");
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", root);
	cr_assert_eq(system(command), 0);
}

TestSuite(oom_record, .init = setup, .fini = teardown, .timeout = 20);

static bool ask(struct rt_oom *ret)
{
	struct rt_state state = { .id = "web", .cgroup = "gold/web" };

	state.cgroup_dir = arena_printf(&a, "%s/gold/web", root);
	return oom_ask(&state, &a, ret);
}

Test(oom_record, nobody_killed_is_no_record)
{
	struct rt_oom oom;

	cr_expect_not(ask(&oom), "no memory controller");
	put("gold/web/memory.events", "low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\n");
	cr_expect_not(ask(&oom));
}

Test(oom_record, the_leafs_own_limit_is_to_blame)
{
	struct rt_oom oom;

	put("gold/web/memory.events", "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\n");
	put("gold/web/memory.max", "67108864\n");
	put("gold/web/memory.peak", "67108864\n");
	put("gold/memory.events.local", "oom 5\noom_kill 0\n");
	cr_assert(ask(&oom));
	cr_expect_eq(oom.kills, 1);
	cr_expect_str_eq(oom.cgroup, "gold/web");
	cr_expect_eq(oom.limit, 64u << 20);
	cr_expect_eq(oom.peak, 64u << 20);
}

Test(oom_record, the_groups_limit_is_to_blame_when_the_leaf_hit_none)
{
	struct rt_oom oom;

	put("gold/web/memory.events", "oom 0\noom_kill 3\n");
	put("gold/web/memory.max", "max\n");
	put("gold/memory.events.local", "oom 1\noom_kill 0\n");
	put("gold/memory.max", "1073741824\n");
	cr_assert(ask(&oom));
	cr_expect_str_eq(oom.cgroup, "gold");
	cr_expect_eq(oom.limit, 1u << 30);
	cr_expect_eq(oom.peak, UINT64_MAX, "an older kernel keeps no peak");
}

Test(oom_record, without_any_limit_hit_it_was_the_host)
{
	struct rt_oom oom;

	put("gold/web/memory.events", "oom 0\noom_kill 1\n");
	cr_assert(ask(&oom));
	cr_expect_str_eq(oom.cgroup, "");
}

static void expect_text(const struct rt_oom *oom, const char *text)
{
	auto_buf struct buf b = BUF_INIT;

	oom_describe(oom, &b);
	cr_expect_str_eq(b.data, text);
}

Test(oom_record, the_sentence_has_the_numbers)
{
	expect_text(&(struct rt_oom){ 1, "a/b", 64 << 20, 64 << 20, false },
		    "out of memory: limit 64 MiB of cgroup /a/b, peak 64 MiB, 1 process killed");
	expect_text(&(struct rt_oom){ 3, "a", 1536 << 20, UINT64_MAX, false },
		    "out of memory: limit 1.5 GiB of cgroup /a, 3 processes killed");
	expect_text(&(struct rt_oom){ 1, "a", UINT64_MAX, 1000, false },
		    "out of memory: limit of cgroup /a, peak 1000 bytes, 1 process killed");
	expect_text(&(struct rt_oom){ 1, "", UINT64_MAX, UINT64_MAX, false },
		    "out of memory: the host had none left, no limit was hit, 1 process killed");
}

Test(oom_record, what_is_kept_comes_back_without_the_cgroup)
{
	struct rt_state state = { .id = "web", .cgroup = "", .cgroup_dir = "" };
	struct rt_oom got;

	make_dir("web");

	char path[256];

	snprintf(path, sizeof(path), "%s/web", root);

	int fd = open(path, O_RDONLY | O_DIRECTORY);

	cr_expect_not(oom_recall(&ctx, &state, &a, &got), "nothing is kept yet");
	cr_assert_eq(oom_keep(fd, &(struct rt_oom){ 2, "gold", 4096, UINT64_MAX, false }, NULL), 0);
	cr_assert(oom_recall(&ctx, &state, &a, &got));
	cr_expect_eq(got.kills, 2);
	cr_expect_str_eq(got.cgroup, "gold");
	cr_expect_eq(got.limit, 4096);
	cr_expect_eq(got.peak, UINT64_MAX);
	close(fd);
}
