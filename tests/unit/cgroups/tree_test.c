/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "spec/base/auto.h"

/*
 * Controllers are handed down in fake trees, where every answer can be had;
 * making, reusing and removing is tested in the real one.
 */

static struct cg_host host;
static char dir[64];
static struct error err;

static void setup(void)
{
	err = ERROR_INIT;
	host = (struct cg_host){ .layout = CG_UNIFIED, .root_fd = fake_open(dir), .mount_point = dir };
	fake_file(host.root_fd, "cgroup.controllers", "cpu memory pids\n");
	fake_file(host.root_fd, "cgroup.subtree_control", "");
}

static void teardown(void)
{
	fake_close(host.root_fd, dir);
}

TestSuite(cg_tree);

static int create(const char *path, const struct cg_plan *plan)
{
	bool made;

	return cg_create(&host, path, plan, &made, &err);
}

static bool exists(const char *path)
{
	return faccessat(host.root_fd, path, F_OK, 0) == 0;
}

static const struct cg_write limit = { .file = "memory.max", .value = "4096", .controller = CG_MEMORY,
				       .pointer = "/linux/resources/memory/limit" };
static const struct cg_plan limited = { .v = (struct cg_write *)&limit, .n = 1, .controllers = CG_MEMORY };

Test(cg_tree, every_ancestor_gets_the_controllers_from_the_top_down, .init = setup, .fini = teardown)
{
	cr_assert_eq(mkdirat(host.root_fd, "a", 0755), 0);
	cr_assert_eq(mkdirat(host.root_fd, "a/b", 0755), 0);
	fake_file(host.root_fd, "a/cgroup.subtree_control", "");
	fake_file(host.root_fd, "a/b/cgroup.subtree_control", "cpu\n");

	auto_close int fd = create("a/b/leaf", &limited);

	cr_assert(fd >= 0, "%s", line_of(&err));
	cr_assert_str_eq(fake_line(host.root_fd, "cgroup.subtree_control"), "+cpu +memory +pids");
	cr_assert_str_eq(fake_line(host.root_fd, "a/cgroup.subtree_control"), "+cpu +memory +pids");
	cr_assert_str_eq(fake_line(host.root_fd, "a/b/cgroup.subtree_control"), "+memory +pids");
}

Test(cg_tree, nothing_is_written_where_all_is_enabled_already, .init = setup, .fini = teardown)
{
	fake_file(host.root_fd, "cgroup.subtree_control", "pids memory cpu\n");

	auto_close int fd = create("leaf", &limited);

	cr_assert(fd >= 0);
	cr_assert_str_eq(fake_line(host.root_fd, "cgroup.subtree_control"), "pids memory cpu");
}

Test(cg_tree, a_hybrid_host_hands_down_what_is_needed_and_asks_for_nothing_else, .init = setup,
     .fini = teardown)
{
	host.layout = CG_HYBRID;

	auto_close int plain = create("plain", NULL);

	cr_assert(plain >= 0);
	cr_assert_not(host.controllers_known);
	cr_assert_str_eq(fake_line(host.root_fd, "cgroup.subtree_control"), "");

	auto_close int fd = create("limited", &limited);

	cr_assert(fd >= 0);
	cr_assert_str_eq(fake_line(host.root_fd, "cgroup.subtree_control"), "+memory");
}

Test(cg_tree, a_missing_controller_is_named_with_member_layout_and_remedy, .init = setup, .fini = teardown)
{
	fake_file(host.root_fd, "cgroup.controllers", "hugetlb\n");
	host.layout = CG_HYBRID;
	cr_assert_eq(create("a/leaf", &limited), -ENOTSUP);
	cr_assert_str_eq(line_of(&err), "memory.limit needs the memory controller, which is not available in the "
					"cgroup v2 tree (hybrid host: controllers are bound to cgroup v1)");
	cr_assert_str_eq(err.at, "/linux/resources/memory/limit");
	cr_assert_not_null(strstr(err.hint, "systemd.unified_cgroup_hierarchy=1"));
	cr_assert_not(exists("a"));

	host.layout = CG_UNIFIED;
	cr_assert_eq(create("leaf", &limited), -ENOTSUP);
	cr_assert_not_null(strstr(line_of(&err), "/cgroup.controllers does not list it"));
	cr_assert_not_null(strstr(err.hint, "Delegate=yes"));
}

Test(cg_tree, optional_writes_need_no_controller, .init = setup, .fini = teardown)
{
	struct cg_write w = limit;
	struct cg_plan plan = { .v = &w, .n = 1 };

	w.optional = true;
	fake_file(host.root_fd, "cgroup.controllers", "\n");

	auto_close int fd = create("leaf", &plan);

	cr_assert(fd >= 0, "%s", line_of(&err));
}

Test(cg_tree, a_leaf_whose_controllers_cannot_be_had_is_taken_away_again, .init = setup, .fini = teardown)
{
	cr_assert_eq(mkdirat(host.root_fd, "kept", 0755), 0);
	/* No subtree_control in "kept": it cannot hand anything down. */
	cr_assert_eq(create("kept/a/b", &limited), -ENOTSUP);
	cr_assert_str_eq(line_of(&err), "the memory controller is not delegated to cgroup /kept");
	cr_assert_str_eq(err.at, "/linux/resources/memory/limit");
	cr_assert(exists("kept"));
	cr_assert_not(exists("kept/a"));
}

Test(cg_tree, a_new_leaf_is_made_with_its_parents_and_removed)
{
	struct scratch s;
	char path[128];
	bool made = false;

	scratch_open(&s);
	snprintf(path, sizeof(path), "%s/a/b/c", s.path);

	int fd = cg_create(&s.host, path, NULL, &made, &err);

	cr_assert(fd >= 0, "%s", line_of(&err));
	cr_assert(made);
	cr_assert_eq(cg_is_populated(fd), 0);
	cr_assert_eq(cg_is_frozen(fd), 0);
	close(fd);
	assert_ok(cg_remove(&s.host, path, 1000, &err));
	fd = cg_open(&s.host, path, &err);
	cr_assert_eq(fd, -ENOENT);
	/* Not there at all is success. */
	assert_ok(cg_remove(&s.host, path, 1000, &err));
	scratch_close(&s);
}

Test(cg_tree, an_empty_leaf_is_reused_and_one_in_use_is_refused)
{
	struct scratch s;
	bool made = true;

	scratch_open(&s);

	int fd = cg_create(&s.host, s.path, NULL, &made, &err);

	cr_assert(fd >= 0, "%s", line_of(&err));
	cr_assert_not(made);
	close(fd);

	pid_t pid = scratch_fork(&s, pause);
	char who[64];

	wait_for_members(s.fd, 1);
	cr_assert_eq(cg_create(&s.host, s.path, NULL, &made, &err), -EBUSY);
	snprintf(who, sizeof(who), "holds process %d (", pid);
	cr_assert_not_null(strstr(line_of(&err), "container's cgroup is not empty"));
	cr_assert_not_null(strstr(line_of(&err), who), "%s", line_of(&err));
	assert_ok(cg_kill(s.fd, &err));
	wait_status(pid);
	scratch_close(&s);
}

Test(cg_tree, a_frozen_leaf_is_refused)
{
	struct scratch s;
	bool made;

	scratch_open(&s);
	assert_ok(cg_freeze(s.fd, true, 2000, &err));
	cr_assert_eq(cg_create(&s.host, s.path, NULL, &made, &err), -EBUSY);
	cr_assert_not_null(strstr(line_of(&err), "container's cgroup unexpectedly frozen"));
	assert_ok(cg_freeze(s.fd, false, 2000, &err));
	scratch_close(&s);
}

Test(cg_tree, removal_goes_bottom_up)
{
	struct scratch s;
	char path[128];

	scratch_open(&s);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "%s/%d/x/y", s.path, i);

		bool made;
		int fd = cg_create(&s.host, path, NULL, &made, &err);

		cr_assert(fd >= 0, "%s", line_of(&err));
		close(fd);
	}
	close(s.fd);
	assert_ok(cg_remove(&s.host, s.path, 0, &err));
	cr_assert_eq(cg_open(&s.host, s.path, &err), -ENOENT);
	cg_host_close(&s.host);
}

Test(cg_tree, a_busy_group_names_who_keeps_it)
{
	struct scratch s;
	char path[128];
	char who[64];
	bool made;

	scratch_open(&s);
	snprintf(path, sizeof(path), "%s/inner", s.path);

	struct scratch inner = s;

	inner.fd = cg_create(&s.host, path, NULL, &made, &err);
	cr_assert(inner.fd >= 0);

	pid_t pid = scratch_fork(&inner, pause);

	wait_for_members(s.fd, 1);

	int64_t before = cg_now_ms();

	cr_assert_eq(cg_remove(&s.host, s.path, 50, &err), -EBUSY);
	cr_assert(cg_now_ms() - before < 1000);
	snprintf(who, sizeof(who), "after 50 ms it still holds process %d (", pid);
	cr_assert_not_null(strstr(line_of(&err), who), "%s", line_of(&err));
	cr_assert_not_null(strstr(line_of(&err), "state S"), "%s", line_of(&err));
	close(inner.fd);
	scratch_close(&s);
}

Test(cg_tree, the_directory_and_the_delegatable_files_change_hands_and_nothing_else)
{
	static const struct {
		const char *file;
		uid_t owner;
	} files[] = { { ".", 4321 },		     { "cgroup.procs", 4321 }, { "cgroup.subtree_control", 4321 },
		      { "cgroup.threads", 4321 },    { "cgroup.freeze", 0 },   { "cgroup.max.depth", 0 },
		      { "cgroup.kill", 0 } };
	struct scratch s;

	scratch_open(&s);
	assert_ok(cg_delegate(s.fd, 4321, (gid_t)-1, &err));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct stat st;

		cr_assert_eq(fstatat(s.fd, files[i].file, &st, 0), 0, "%s", files[i].file);
		cr_assert_eq(st.st_uid, files[i].owner, "%s", files[i].file);
		cr_assert_eq(st.st_gid, 0u);
	}
	scratch_close(&s);
}

Test(cg_tree, why_a_process_cannot_join_is_explained)
{
	struct scratch s;
	char path[128];
	bool made;

	scratch_open(&s);
	cr_assert_eq(cg_write_text(s.fd, "cgroup.type", "threaded"), 0);
	cr_assert_eq(cg_join_error(s.fd, EOPNOTSUPP, &err), -EOPNOTSUPP);
	cr_assert_not_null(strstr(err.hint, "threads, not processes"));

	snprintf(path, sizeof(path), "%s/below", s.path);

	auto_close int fd = cg_create(&s.host, path, NULL, &made, &err);

	cr_assert(fd >= 0);
	cg_join_error(fd, EOPNOTSUPP, &err);
	cr_assert_not_null(strstr(err.hint, "below a threaded one"));
	cg_join_error(fd, EBUSY, &err);
	cr_assert_not_null(strstr(err.hint, "no internal processes"));
	scratch_close(&s);
}
