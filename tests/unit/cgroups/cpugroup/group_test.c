/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/cpugroup/room.h"

/* The life of groups in a real tree: what needs no controller, so that a hybrid host tests it as well. */

static struct error err;
static struct room r;

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

TestSuite(cpg_group, .init = setup, .fini = teardown);

Test(cpg_group, a_group_is_a_directory_with_an_attribute)
{
	struct cpg_group g;

	assert_ok(room_create(&r, "gold", "{\"reserve\":\"0.25\"}", 0, &err));
	assert_ok(cpg_get(&r.cpg, "gold", r.a, &g, &err));
	cr_assert_str_eq(g.name, "gold");
	cr_assert_eq(strlen(g.uuid), 36);
	cr_assert_eq(g.uuid[14], '4');
	cr_assert(strchr(g.created, 'T') && strchr(g.created, 'Z'));
	cr_assert_eq(g.policy.reserve_milli, 250);
	cr_assert_eq(g.owner, 0);
	cr_assert_not(g.foreign || g.adopted || g.populated || g.frozen);
	cr_assert_eq(g.n_members + g.n_groups + g.n_drift, 0);
	cr_assert_gt(g.n_cpus, 0);
	cr_assert_eq(cpg_delete(&r.cpg, "gold", 0, &err), 0);
	cr_assert_not(room_has(&r, "gold"));
	cr_assert_eq(cpg_get(&r.cpg, "gold", r.a, &g, &err), -ENOENT);
}

Test(cpg_group, the_same_again_is_an_error_unless_that_is_allowed)
{
	assert_ok(room_create(&r, "gold", "{\"reserve\":\"0.25\"}", 0, &err));
	cr_assert_eq(room_create(&r, "gold", "{\"reserve\":\"0.25\"}", 0, &err), -EEXIST);
	cr_assert_eq(room_create(&r, "gold", "{\"reserve\":\"0.25\"}", CPG_IF_NOT_EXISTS, &err), 0);
	cr_assert_eq(room_create(&r, "gold", "{\"reserve\":\"0.5\"}", CPG_IF_NOT_EXISTS, &err), -EEXIST);
	cr_assert(strstr(line_of(&err), "reserve 0.25 -> 0.5"), "%s", line_of(&err));
}

Test(cpg_group, a_create_that_fails_leaves_nothing_not_even_the_base)
{
	cr_assert_eq(room_create(&r, "gold/batch", "{}", 0, &err), -ENOENT);
	cr_assert(strstr(line_of(&err), "no CPU group \"gold\""), "%s", line_of(&err));
	cr_assert_not(room_has(&r, ""));
	cr_assert_eq(room_create(&r, "gold", "{\"reserve\":\"8000\"}", 0, &err), -EDQUOT);
	cr_assert_not(room_has(&r, ""));
	cr_assert_eq(room_create(&r, "cpu.max", "{}", 0, &err), -EINVAL);
	cr_assert_eq(room_create(&r, "../x", "{}", 0, &err), -EINVAL);
	cr_assert_eq(room_create(&r, "/", "{}", 0, &err), -EINVAL);
	cr_assert_not(room_has(&r, ""));
}

Test(cpg_group, a_dry_run_touches_nothing)
{
	assert_ok(room_create(&r, "gold", "{\"reserve\":\"0.25\"}", CPG_CHECK, &err));
	cr_assert_not(room_has(&r, ""));
	assert_ok(room_create(&r, "gold", "{}", 0, &err));
	assert_ok(room_set(&r, "gold", "{\"reserve\":\"0.25\"}", CPG_CHECK, &err));
	assert_ok(cpg_delete(&r.cpg, "gold", CPG_CHECK, &err));

	struct cpg_group g;

	assert_ok(cpg_get(&r.cpg, "gold", r.a, &g, &err));
	cr_assert_eq(g.policy.set, 0);
}

Test(cpg_group, a_limit_without_its_controller_names_controller_and_remedy)
{
	if (r.controllers & CG_CPU)
		cr_skip_test("this tree has the cpu controller");
	cr_assert_eq(room_create(&r, "gold", "{\"cap\":\"50%\"}", 0, &err), -ENOTSUP);
	cr_assert(strstr(line_of(&err), "cap needs the cpu controller, which is not available in the cgroup v2 tree"), "%s",
		  line_of(&err));
	cr_assert(strlen(err.hint) > 0);
	cr_assert_not(room_has(&r, ""));
	/* What says "no limit" needs no controller. */
	assert_ok(room_create(&r, "gold", "{\"cap\":\"max\",\"weight\":100,\"memory\":-1,\"cpus\":\"\",\"exclusive\":\"none\"}",
			      0, &err));
}

Test(cpg_group, groups_are_listed_parents_first_and_sorted)
{
	static const char *const names[] = { "b", "a", "b/y", "b/x", "b/x/1" };
	static const char *const sorted[] = { "a", "b", "b/x", "b/x/1", "b/y" };
	struct cpg_group *g;
	size_t n;

	assert_ok(cpg_list(&r.cpg, NULL, r.a, &g, &n, &err));
	cr_assert_eq(n, 0, "no base, no groups");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_ok(room_create(&r, names[i], "{}", 0, &err));
	close(room_leaf(&r, "b/web"));
	assert_ok(cpg_list(&r.cpg, NULL, r.a, &g, &n, &err));
	cr_assert_eq(n, ARRAY_SIZE(sorted));
	for (size_t i = 0; i < n; i++)
		cr_expect_str_eq(g[i].name, sorted[i]);
	cr_assert_eq(g[1].n_groups, 2);
	cr_assert_eq(g[1].n_members, 1);
	assert_ok(cpg_list(&r.cpg, "b", r.a, &g, &n, &err));
	cr_assert_eq(n, 3);
	cr_assert_eq(cpg_list(&r.cpg, "c", r.a, &g, &n, &err), -ENOENT);
}

Test(cpg_group, what_somebody_else_made_is_never_touched)
{
	struct cpg_group g;

	close(room_leaf(&r, "theirs"));
	cr_assert_eq(room_create(&r, "theirs", "{}", 0, &err), -EEXIST);
	cr_assert_eq(room_set(&r, "theirs", "{\"reserve\":\"0.25\"}", 0, &err), -EBUSY);
	cr_assert_eq(cpg_delete(&r.cpg, "theirs", CPG_KILL | CPG_RECURSIVE, &err), -EBUSY);
	cr_assert(strstr(err.hint, "adopt"), "%s", err.hint);
	cr_assert(room_has(&r, "theirs"));
	assert_ok(cpg_get(&r.cpg, "theirs", r.a, &g, &err));
	cr_assert(g.foreign);
	cr_assert_eq(cpg_open(&r.cpg, "theirs", true, &err), -EBUSY);
	cr_assert_eq(cpg_open(&r.cpg, "nobody", false, &err), -ENOENT);
}

Test(cpg_group, an_adopted_one_is_a_group_until_it_is_deleted_and_stays)
{
	struct cpg_group g;

	close(room_leaf(&r, "theirs"));
	assert_ok(cpg_adopt(&r.cpg, "theirs", &err));
	cr_assert_eq(cpg_adopt(&r.cpg, "theirs", &err), -EEXIST);
	assert_ok(cpg_get(&r.cpg, "theirs", r.a, &g, &err));
	cr_assert(g.adopted && !g.foreign);
	cr_assert_eq(g.policy.set, 0);
	assert_ok(room_set(&r, "theirs", "{\"reserve\":\"0.25\"}", 0, &err));
	room_fork(&r, "theirs/web");
	assert_ok(cpg_delete(&r.cpg, "theirs", 0, &err));
	cr_assert(room_has(&r, "theirs/web"));
	assert_ok(cpg_get(&r.cpg, "theirs", r.a, &g, &err));
	cr_assert(g.foreign);
}

Test(cpg_group, a_directory_that_holds_processes_cannot_be_adopted)
{
	room_fork(&r, "web");
	cr_assert_eq(cpg_adopt(&r.cpg, "web", &err), -EBUSY);
	cr_assert(strstr(line_of(&err), "holds processes itself"), "%s", line_of(&err));
	close(room_leaf(&r, "a/b"));
	cr_assert_eq(cpg_adopt(&r.cpg, "a/b", &err), -EBUSY, "its parent is no group");
	cr_assert_eq(cpg_adopt(&r.cpg, "nobody", &err), -ENOENT);
}

Test(cpg_group, delete_names_who_is_in_it)
{
	assert_ok(room_create(&r, "gold", "{}", 0, &err));
	room_fork(&r, "gold/web");
	room_fork(&r, "gold/db");
	cr_assert_eq(cpg_delete(&r.cpg, "gold", 0, &err), -ENOTEMPTY);
	cr_assert(strstr(line_of(&err), "container \"db\", container \"web\""), "%s", line_of(&err));
	cr_assert_eq(cpg_delete(&r.cpg, "gold", CPG_RECURSIVE, &err), -ENOTEMPTY);
	cr_assert(room_has(&r, "gold/web"));
}

Test(cpg_group, delete_counts_those_it_has_no_room_to_name)
{
	char name[32];

	assert_ok(room_create(&r, "gold", "{}", 0, &err));
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "gold/c%u", i);
		close(room_leaf(&r, name));
	}
	cr_assert_eq(cpg_delete(&r.cpg, "gold", 0, &err), -ENOTEMPTY);
	cr_assert(strstr(line_of(&err), "\"c4\" and 3 more"), "%s", line_of(&err));
}

Test(cpg_group, delete_kills_when_told_to)
{
	assert_ok(room_create(&r, "gold", "{}", 0, &err));
	assert_ok(room_create(&r, "gold/batch", "{}", 0, &err));

	pid_t pid = room_fork(&r, "gold/web");

	room_fork(&r, "gold/batch/job");
	cr_assert_eq(cpg_delete(&r.cpg, "gold", CPG_KILL, &err), -ENOTEMPTY, "a group is in it");
	cr_assert_eq(kill(pid, 0), 0);
	cr_assert_eq(cpg_delete(&r.cpg, "gold", CPG_RECURSIVE, &err), -ENOTEMPTY);
	cr_assert(room_has(&r, "gold/batch"));
	assert_ok(cpg_delete(&r.cpg, "gold", CPG_KILL | CPG_RECURSIVE, &err));
	cr_assert_not(room_has(&r, "gold"));
	cr_assert(WIFSIGNALED(wait_status(pid)));
}

Test(cpg_group, what_a_move_left_behind_goes_with_the_group)
{
	assert_ok(room_create(&r, "gold", "{}", 0, &err));

	auto_close int fd = room_leaf(&r, "gold/web");

	cr_assert_eq(cpg_delete(&r.cpg, "gold", 0, &err), -ENOTEMPTY, "an empty leaf may be a stopped container's");
	cr_assert_eq(fsetxattr(fd, CPG_XATTR_RESIDUAL, "1", 1, 0), 0);
	assert_ok(cpg_delete(&r.cpg, "gold", 0, &err));
	cr_assert_not(room_has(&r, "gold"));
}

Test(cpg_group, a_damaged_attribute_is_that_groups_trouble_alone)
{
	struct cpg_group g;
	struct cpg_group *all;
	size_t n;

	assert_ok(room_create(&r, "bad", "{}", 0, &err));
	assert_ok(room_create(&r, "good", "{}", 0, &err));

	auto_close int fd = room_dir(&r, "bad");

	cr_assert_eq(fsetxattr(fd, CPG_XATTR, "{\"version\":1}", 13, 0), 0);
	cr_assert_eq(cpg_get(&r.cpg, "bad", r.a, &g, &err), -EINVAL);
	cr_assert(strstr(line_of(&err), "cannot understand the attribute"), "%s", line_of(&err));
	assert_ok(cpg_list(&r.cpg, NULL, r.a, &all, &n, &err));
	cr_assert_eq(n, 1);
	assert_ok(room_set(&r, "good", "{\"reserve\":\"0.25\"}", 0, &err));
	cr_assert_eq(fsetxattr(fd, CPG_XATTR, "{\"version\":2,\"policy\":{}}", 25, 0), 0);
	cr_assert_eq(cpg_get(&r.cpg, "bad", r.a, &g, &err), -EINVAL);
	cr_assert(strstr(line_of(&err), "later bulkhead"), "%s", line_of(&err));
}

Test(cpg_group, an_open_with_the_lock_excludes_others)
{
	assert_ok(room_create(&r, "gold", "{}", 0, &err));

	auto_close int fd = cpg_open(&r.cpg, "gold", true, &err);
	auto_close int other = room_dir(&r, "gold");

	cr_assert(fd >= 0, "%s", line_of(&err));
	cr_assert_eq(flock(other, LOCK_EX | LOCK_NB), -1);
	cr_assert_eq(errno, EWOULDBLOCK);
	close(TAKE_FD(fd));
	cr_assert_eq(flock(other, LOCK_EX | LOCK_NB), 0);
}

Test(cpg_group, changes_wait_for_the_lock_and_then_say_who_was_slow, .timeout = 60)
{
	assert_ok(room_create(&r, "gold", "{}", 0, &err));

	auto_close int fd = room_dir(&r, "");

	cr_assert_eq(flock(fd, LOCK_EX), 0);
	cr_assert_eq(room_create(&r, "silver", "{}", 0, &err), -ETIMEDOUT);
	cr_assert(strstr(line_of(&err), "locked by another command"), "%s", line_of(&err));
	cr_assert_not(room_has(&r, "silver"));
}

Test(cpg_group, many_at_once_make_each_group_once, .timeout = 120)
{
	int made = 0;

	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct error e = ERROR_INIT;
			struct cpg_policy p;
			char own[32];

			cpg_policy_default(&p);
			snprintf(own, sizeof(own), "own-%d", i);
			if (cpg_create(&r.cpg, own, &p, 0, &e) < 0)
				_exit(2);

			int rc = cpg_create(&r.cpg, "same", &p, 0, &e);

			_exit(rc == 0 ? 0 : rc == -EEXIST ? 1 : 3);
		}
	}
	for (int status; waitpid(-1, &status, 0) > 0;) {
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "status %x", status);
		made += WEXITSTATUS(status) == 0;
	}
	cr_assert_eq(made, 1);

	struct cpg_group *all;
	size_t n;

	assert_ok(cpg_list(&r.cpg, NULL, r.a, &all, &n, &err));
	cr_assert_eq(n, 9);
}

Test(cpg_group, every_change_is_one_line_with_old_and_new)
{
	assert_ok(room_create(&r, "gold", "{}", 0, &err));
	assert_ok(room_set(&r, "gold", "{\"reserve\":\"0.25\"}", 0, &err));
	assert_ok(cpg_delete(&r.cpg, "gold", 0, &err));
	cr_assert(strstr(room_log(&r), "made CPU group \\\"gold\\\""), "%s", room_log(&r));
	cr_assert(strstr(room_log(&r), "changed (reserve - -> 0.25) CPU group \\\"gold\\\""), "%s", room_log(&r));
	cr_assert(strstr(room_log(&r), "deleted (uuid "), "%s", room_log(&r));
}

static int as_nobody(int (*body)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(99);
		_exit(body());
	}

	int status = wait_status(pid);

	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int create_silver(void)
{
	struct cpg_policy p;
	struct error e = ERROR_INIT;
	struct cpg_group g;

	cpg_policy_default(&p);

	int rc = cpg_create(&r.cpg, "silver", &p, 0, &e);

	if (rc == -EACCES || rc == -EPERM)
		return e.hint[0] ? 1 : 2;
	if (rc < 0 || cpg_get(&r.cpg, "silver", r.a, &g, &e) < 0)
		return 3;
	return cpg_delete(&r.cpg, "silver", 0, &e) < 0 ? 4 : 0;
}

Test(cpg_group, a_user_may_do_so_where_the_base_is_delegated_and_is_told_where_not)
{
	assert_ok(room_create(&r, "gold", "{}", 0, &err));
	cr_assert_eq(as_nobody(create_silver), 1);

	auto_close int fd = room_dir(&r, "");

	assert_ok(cg_delegate(fd, 65534, 65534, &err));
	cr_assert_eq(as_nobody(create_silver), 0);
}
