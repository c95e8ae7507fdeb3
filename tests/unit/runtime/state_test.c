/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/state.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/texts.h"

static struct arena a = ARENA_INIT;
static char root[] = "/tmp/state-test-XXXXXX";
static struct rt_context ctx = { .root = root };

static void setup(void)
{
	cr_assert_not_null(mkdtemp(root));
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", root);
	cr_assert_eq(system(command), 0);
}

TestSuite(state, .init = setup, .fini = teardown, .timeout = 20);

static void expect_line(const struct error *err, const char *text)
{
	char line[2048];

	error_line(err, line, sizeof(line));
	cr_expect_not_null(strstr(line, text), "\"%s\" lacks \"%s\"", line, text);
}

Test(state, ids_are_names_and_nothing_else)
{
	static const char *const good[] = { "a", "web-1", "A_b+c.d", "...", "-x" };
	static const char *const bad[] = { "", ".", "..", "a/b", "../x", "a b", "a\n", "\303\244", "@seccomp", "a:b" };
	char longest[1026];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		cr_expect_eq(rt_check_id(good[i], NULL), 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = ERROR_INIT;

		cr_expect_eq(rt_check_id(bad[i], &err), -EINVAL, "%s", bad[i]);
		expect_line(&err, TEXT_BAD_ID);
	}
	memset(longest, 'a', 1025);
	longest[1025] = '\0';
	cr_expect_eq(rt_check_id(longest, NULL), -EINVAL);
	longest[1024] = '\0';
	cr_expect_eq(rt_check_id(longest, NULL), 0);
}

Test(state, an_id_is_reserved_once)
{
	struct error err = ERROR_INIT;
	int fd = state_reserve(&ctx, "c", &err);

	cr_assert_geq(fd, 0);
	cr_assert_eq(state_reserve(&ctx, "c", &err), -EEXIST);
	expect_line(&err, TEXT_EXISTS);
	cr_assert_eq(state_remove(&ctx, fd, "c", &err), 0);
	close(fd);
	fd = state_reserve(&ctx, "c", &err);
	cr_assert_geq(fd, 0);
	close(fd);
}

Test(state, what_is_saved_is_loaded)
{
	static const struct spec_key_value notes[] = { { "k", "v \"quoted\" \n" }, { "empty", "" } };
	struct rt_state in = {
		.id = "c", .bundle = "/b", .rootfs = "/b/rootfs", .created = "2026-01-01T00:00:00.000000000Z",
		.program = "sh", .pid = 4711, .start_time = 18446744073709551615ULL, .cgroup = "x/c",
		.cgroup_dir = "/cg/x/c", .ns_kinds = 0x7f, .has_hooks = true, .keyring = "_ses.c.0",
		.annotations = notes, .n_annotations = 2, .resources = "{\"pids\":{\"limit\":3}}",
	};
	struct rt_state out;
	struct error err = ERROR_INIT;
	int fd = state_reserve(&ctx, "c", &err);

	cr_assert_eq(state_save(fd, &in, &err), 0);
	cr_assert_eq(state_load(fd, "c", &a, &out, &err), 0, "%s", err.text);
	cr_assert_str_eq(out.bundle, in.bundle);
	cr_assert_str_eq(out.program, in.program);
	cr_assert_eq(out.pid, in.pid);
	cr_assert_eq(out.start_time, in.start_time);
	cr_assert_str_eq(out.cgroup_dir, in.cgroup_dir);
	cr_assert_eq(out.ns_kinds, in.ns_kinds);
	cr_assert(out.has_hooks && !strcmp(out.keyring, in.keyring) && !out.has_notify && !out.is_vm);
	cr_assert_eq(out.n_annotations, 2);
	cr_assert_str_eq(out.annotations[0].value, notes[0].value);
	cr_assert_str_eq(out.resources, in.resources);
	cr_assert_null(out.sandbox);
	close(fd);
}

Test(state, a_sandbox_is_noted_before_and_saved_with_the_rest)
{
	struct rt_sandbox sb = { .store = "/s:t", .slots = "w-r", .name = "c", .image = "i", .kind = "quota", .keep = true };
	struct rt_state in = { .id = "c", .bundle = "/b", .rootfs = "", .created = "", .program = "", .pid = 1,
			       .cgroup = "", .cgroup_dir = "", .sandbox = &sb };
	struct rt_state out;
	struct rt_sandbox noted;
	struct error err = ERROR_INIT;
	char note[256];
	int fd = state_reserve(&ctx, "c", &err);

	cr_assert_eq(state_noted_sandbox(fd, note, sizeof(note), &noted), -ENOENT);
	cr_assert_eq(state_note_sandbox(fd, sb.slots, sb.store, &err), 0);
	cr_assert_eq(state_noted_sandbox(fd, note, sizeof(note), &noted), 0);
	cr_expect(!strcmp(noted.slots, "w-r") && !strcmp(noted.store, "/s:t"));
	state_drop_note_of_sandbox(fd);
	cr_expect_eq(state_noted_sandbox(fd, note, sizeof(note), &noted), -ENOENT);

	cr_assert_eq(state_save(fd, &in, &err), 0);
	cr_assert_eq(state_load(fd, "c", &a, &out, &err), 0, "%s", err.text);
	cr_assert_not_null(out.sandbox);
	cr_expect(!strcmp(out.sandbox->store, sb.store) && !strcmp(out.sandbox->slots, sb.slots));
	cr_expect(!strcmp(out.sandbox->image, "i") && !strcmp(out.sandbox->kind, "quota") && out.sandbox->keep);
	close(fd);
}

Test(state, a_long_state_is_read_whole)
{
	char *text = malloc(100001);
	struct spec_key_value note = { "long", text };
	struct rt_state in = { .id = "c", .bundle = "/b", .rootfs = "", .created = "", .program = "", .pid = 1,
			       .cgroup = "", .cgroup_dir = "", .annotations = &note, .n_annotations = 1 };
	struct rt_state out;
	struct error err = ERROR_INIT;
	int fd = state_reserve(&ctx, "c", &err);

	memset(text, 'x', 100000);
	text[100000] = '\0';
	cr_assert_eq(state_save(fd, &in, &err), 0);
	cr_assert_eq(state_peek(&ctx, "c", &a, &out, &err), 0);
	cr_assert_str_eq(out.annotations[0].value, text);
	close(fd);
	free(text);
}

Test(state, every_truncation_is_refused_and_none_crashes)
{
	struct rt_state in = { .id = "c", .bundle = "/b", .rootfs = "", .created = "", .program = "", .pid = 1,
			       .cgroup = "", .cgroup_dir = "" };
	struct error err = ERROR_INIT;
	int fd = state_reserve(&ctx, "c", &err);
	char text[4096];

	cr_assert_eq(state_save(fd, &in, &err), 0);

	int file = openat(fd, "state.json", O_RDWR);
	ssize_t n = read(file, text, sizeof(text));

	for (ssize_t cut = n - 1; cut >= 0; cut--) {
		struct rt_state out;

		cr_assert_eq(ftruncate(file, cut), 0);
		cr_expect_lt(state_load(fd, "c", &a, &out, &err), 0, "cut at %zd", cut);
	}
	close(file);
	close(fd);
}

Test(state, unknown_container_has_the_sentence_engines_know)
{
	struct error err = ERROR_INIT;
	struct rt_state out;

	cr_assert_eq(state_peek(&ctx, "nobody", &a, &out, &err), -ENOENT);
	expect_line(&err, "container does not exist");
	cr_assert_eq(state_open(&ctx, "nobody", STATE_LOCKED, &err), -ENOENT);
	expect_line(&err, "container does not exist");
}

Test(state, status_follows_from_the_process)
{
	struct rt_state s = { .id = "c", .cgroup_dir = "", .pid = 0 };

	cr_assert_eq(state_status(&ctx, -1, &s), RT_CREATING);
	s.pid = getpid();
	s.start_time = 1; /* another process had this pid */
	cr_assert_eq(state_status(&ctx, -1, &s), RT_STOPPED);
}

Test(state, texts_that_engines_match_stay_as_they_are)
{
	cr_assert_str_eq(TEXT_NOT_EXIST, "container does not exist");
	cr_assert_str_eq(TEXT_NOT_RUNNING, "container not running");
	cr_assert_str_eq(TEXT_NOT_PAUSED, "container not paused");
	cr_assert_str_eq(TEXT_EXISTS, "container with given ID already exists");
	cr_assert_str_eq(TEXT_BAD_ID, "invalid container ID format");
	cr_assert_str_eq(TEXT_EXEC_STOPPED, "cannot exec in a stopped container");
	cr_assert_str_eq(TEXT_EXEC_PAUSED, "cannot exec in a paused container (use --ignore-paused to override)");
	cr_assert_str_eq(TEXT_START_RUNNING, "cannot start an already running container");
	cr_assert_str_eq(TEXT_START_STOPPED, "cannot start a container that has stopped");
	cr_assert_str_eq(TEXT_NOT_STOPPED, "cannot delete container %s that is not stopped: %s");
}

Test(state, leaves_that_moves_left_behind_are_remembered)
{
	static const struct rt_residual left[] = { { "cpugroups/gold/c", 4711 },
						   { "cpugroups/old/c", 18446744073709551615ULL } };
	struct rt_state in = { .id = "c", .bundle = "/b", .rootfs = "", .created = "", .program = "", .pid = 1,
			       .cgroup = "cpugroups/silver/c", .cgroup_dir = "", .residuals = left, .n_residuals = 2 };
	struct rt_state out;
	struct error err = ERROR_INIT;
	int fd = state_reserve(&ctx, "c", &err);

	cr_assert_eq(state_save(fd, &in, &err), 0);
	cr_assert_eq(state_load(fd, "c", &a, &out, &err), 0, "%s", err.text);
	cr_assert_eq(out.n_residuals, 2);
	for (size_t i = 0; i < 2; i++) {
		cr_expect_str_eq(out.residuals[i].cgroup, left[i].cgroup);
		cr_expect_eq(out.residuals[i].inode, left[i].inode);
	}
	close(fd);
}

Test(state, the_note_of_the_cgroup_is_replaced_at_once)
{
	char path[64];
	struct error err = ERROR_INIT;
	int fd = state_reserve(&ctx, "c", &err);

	cr_assert_eq(state_note_cgroup(fd, "a/c", &err), 0);
	cr_assert_eq(state_note_other_cgroup(fd, "b/c", &err), 0);
	cr_assert_eq(state_noted_cgroup(fd, path, sizeof(path)), 0);
	cr_expect_str_eq(path, "b/c");
	/* A crash between the two calls leaves this. */
	cr_assert_eq(symlinkat("half", fd, ".cgroup.next"), 0);
	cr_assert_eq(state_note_other_cgroup(fd, "d/c", &err), 0);
	cr_assert_eq(state_noted_cgroup(fd, path, sizeof(path)), 0);
	cr_expect_str_eq(path, "d/c");
	cr_assert_eq(symlinkat("half", fd, ".cgroup.next"), 0);
	cr_assert_eq(state_remove(&ctx, fd, "c", &err), 0, "%s", err.text);
	close(fd);
}
