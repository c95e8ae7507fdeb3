/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

static struct error err;

static int spin(void)
{
	for (;;)
		sched_yield();
	return 0;
}

Test(cpg_freeze, stops_every_member_and_spares_those_frozen_on_their_own)
{
	struct place p;

	place_open(&p);

	auto_close int batch = place_group(&p, "gold/batch");
	auto_close int job = place_mkdir(&p, "gold/batch/job");
	auto_close int tired = place_mkdir(&p, "gold/tired");

	place_fork(&p, p.web_fd, spin);
	place_fork(&p, job, spin);
	place_fork(&p, tired, pause);
	assert_ok(cg_freeze(tired, true, 5000, &err));
	assert_ok(cpg_freeze(&p.cpg, "gold", true, 5000, &err));
	cr_assert_eq(cg_is_frozen(p.web_fd), 1);
	cr_assert_eq(cg_is_frozen(job), 1);
	cr_assert_str_eq(place_line(p.web_fd, "cgroup.freeze"), "0");
	assert_ok(cpg_freeze(&p.cpg, "gold", false, 5000, &err));
	cr_assert_eq(cg_is_frozen(p.web_fd), 0);
	cr_assert_eq(cg_is_frozen(job), 0);
	cr_assert_eq(cg_is_frozen(tired), 1);
	place_close(&p);
}

Test(cpg_freeze, a_group_inside_a_frozen_one_cannot_be_thawed_alone)
{
	struct place p;

	place_open(&p);

	auto_close int batch = place_group(&p, "gold/batch");
	auto_close int job = place_mkdir(&p, "gold/batch/job");

	place_fork(&p, job, pause);
	assert_ok(cpg_freeze(&p.cpg, "gold", true, 5000, &err));
	cr_assert_eq(cpg_freeze(&p.cpg, "gold/batch", false, 5000, &err), -EBUSY);
	cr_assert_str_eq(line_of(&err), "CPU group gold/batch cannot be thawed: gold above it is frozen");
	cr_assert_str_eq(err.hint, "thaw gold first");
	assert_ok(cpg_freeze(&p.cpg, "gold", false, 5000, &err));
	place_close(&p);
}

Test(cpg_freeze, the_place_outside_of_groups_is_never_frozen_or_killed)
{
	struct place p;

	place_open(&p);
	cr_assert_eq(cpg_freeze(&p.cpg, "/", true, 100, &err), -EINVAL);
	cr_assert_eq(cpg_kill(&p.cpg, "/", &err), -EINVAL);
	cr_assert_eq(cpg_kill(&p.cpg, "nobody", &err), -ENOENT);
	place_close(&p);
}

Test(cpg_frozen_above, names_the_group)
{
	struct place p;
	char path[192];
	char who[64] = "?";

	place_open(&p);

	auto_close int batch = place_group(&p, "gold/batch");
	auto_close int job = place_mkdir(&p, "gold/batch/job");

	snprintf(path, sizeof(path), "/%s/gold/batch/job", p.s.path);
	assert_ok(cpg_frozen_above(&p.cpg, path, who, sizeof(who), &err));
	cr_assert_str_eq(who, "");
	/* Its own freezer is not above it. */
	assert_ok(cg_freeze(job, true, 1000, &err));
	assert_ok(cpg_frozen_above(&p.cpg, path, who, sizeof(who), &err));
	cr_assert_str_eq(who, "");
	assert_ok(cpg_freeze(&p.cpg, "gold", true, 1000, &err));
	assert_ok(cpg_frozen_above(&p.cpg, path, who, sizeof(who), &err));
	cr_assert_str_eq(who, "gold");
	assert_ok(cpg_freeze(&p.cpg, "gold/batch", true, 1000, &err));
	assert_ok(cpg_frozen_above(&p.cpg, path, who, sizeof(who), &err));
	cr_assert_str_eq(who, "gold/batch");
	assert_ok(cpg_freeze(&p.cpg, "gold", false, 1000, &err));
	/* The base itself, which is no group, has its path. */
	assert_ok(cpg_freeze(&p.cpg, "gold/batch", false, 1000, &err));
	assert_ok(cg_freeze(p.s.fd, true, 1000, &err));
	assert_ok(cpg_frozen_above(&p.cpg, path, who, sizeof(who), &err));
	cr_assert_eq(who[0], '/');
	cr_assert_str_eq(who + 1, p.s.path);
	assert_ok(cg_freeze(p.s.fd, false, 1000, &err));
	cr_assert_eq(cpg_frozen_above(&p.cpg, "../../x", who, sizeof(who), &err), -EINVAL);
	place_close(&p);
}

static int storm(void)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		fork();
		usleep(1000);
	}
	return 0;
}

Test(cpg_kill, ends_a_frozen_fork_bomb_and_the_wait_for_it)
{
	struct place p;

	place_open(&p);
	cr_assert_eq(cg_write_text(p.web_fd, "cgroup.max.depth", "0"), 0);
	place_fork(&p, p.web_fd, storm);
	usleep(6000);
	assert_ok(cpg_freeze(&p.cpg, "gold", true, 5000, &err));
	cr_assert_eq(cpg_wait(&p.cpg, "gold", 20, &err), -ETIMEDOUT);
	cr_assert_str_eq(line_of(&err), "CPU group gold is not empty after 20 ms: web");
	assert_ok(cpg_kill(&p.cpg, "gold", &err));
	assert_ok(cpg_wait(&p.cpg, "gold", 10000, &err));
	cr_assert_eq(place_count(p.web_fd), 0);
	place_close(&p);
}

static int short_life(void)
{
	usleep(100000);
	return 0;
}

Test(cpg_wait, returns_when_the_last_one_has_ended)
{
	struct place p;

	place_open(&p);
	assert_ok(cpg_wait(&p.cpg, "gold", 0, &err));
	place_fork(&p, p.web_fd, short_life);

	int64_t before = cg_now_ms();

	assert_ok(cpg_wait(&p.cpg, "gold", -1, &err));

	int64_t took = cg_now_ms() - before;

	cr_assert(took >= 50 && took < 5000, "%lld ms", (long long)took);
	place_close(&p);
}
