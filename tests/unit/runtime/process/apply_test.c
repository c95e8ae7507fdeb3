/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process/steps.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "spec/base/auto.h"
#include "tests/unit/runtime/process/child.h"

static char name[] = "x";
static char *args[] = { name, NULL };

static struct spec_process process(uint32_t uid)
{
	return (struct spec_process){ .cwd = "/",
				      .args = { args, 1 },
				      .env = { args + 1, 0 },
				      .user = { .uid = uid, .gid = uid } };
}

static struct proc_plan plan_of(const struct spec_process *spec, const struct proc_options *opt)
{
	static struct arena a = ARENA_INIT;
	struct proc_options none = { 0 };
	struct error err = ERROR_INIT;
	struct proc_plan plan;

	cr_assert(proc_plan_make(spec, opt ? opt : &none, &a, &plan, &err) == 0, "%s", err.text);
	return plan;
}

/* Applies and runs fn in the child; returns its result. */
static int applied(const struct proc_plan *plan, int (*fn)(void *), void *data)
{
	struct child c = child_start(plan, &(struct child_how){ .instead = fn, .data = data });

	cr_assert(c.applied == 0, "%s", c.err.text);
	return child_finish(&c);
}

static int get_umask(void *data)
{
	(void)data;
	return (int)umask(0);
}

Test(apply, the_umask_is_that_of_the_config_or_0022)
{
	struct spec_process spec = process(0);

	umask(0);
	struct proc_plan plan = plan_of(&spec, NULL);
	cr_expect(applied(&plan, get_umask, NULL) == 0022);
	spec.user.has_umask = true;
	spec.user.umask = 0077;
	cr_expect(applied(&plan, get_umask, NULL) == 0077);
	spec.user.umask = 0;
	cr_expect(applied(&plan, get_umask, NULL) == 0);
}

Test(apply, all_ids_and_exactly_the_listed_groups)
{
	uint32_t gids[] = { 7, 3, 5, 3 };
	struct spec_process spec = process(1234);
	gid_t callers[] = { 42, 43 };

	cr_assert(setgroups(2, callers) == 0);
	spec.user.gid = 99;
	spec.user.additional_gids = gids;
	spec.user.n_additional_gids = 4;

	struct proc_plan plan = plan_of(&spec, NULL);
	struct child c = child_start(&plan, NULL);
	struct error err = ERROR_INIT;

	cr_assert(c.applied == 0, "%s", c.err.text);
	cr_expect_str_eq(child_status(c.pid, "Uid"), "1234\t1234\t1234\t1234");
	cr_expect_str_eq(child_status(c.pid, "Gid"), "99\t99\t99\t99");
	cr_expect_str_eq(child_status(c.pid, "Groups"), "3 3 5 7 ");
	cr_expect(proc_verify(&plan, c.pid, &(struct proc_facts){ 0 }, &err) == 0, "%s", err.text);
	child_finish(&c);

	/* none listed: none left (CVE-2022-36109) */
	spec.user.n_additional_gids = 0;
	c = child_start(&plan, NULL);
	cr_expect_str_eq(child_status(c.pid, "Groups"), "");
	child_finish(&c);
}

Test(apply, a_user_namespace_that_denies_setgroups_keeps_its_groups_quietly)
{
	struct spec_process spec = process(0);
	struct proc_plan plan = plan_of(&spec, &(struct proc_options){ .in_user_namespace = true });
	struct child c = child_start(&plan, &(struct child_how){ .unshare = CLONE_NEWUSER });
	struct error err = ERROR_INIT;

	cr_expect(c.applied == 0, "%s", c.err.text);
	cr_expect(proc_verify(&plan, c.pid, &(struct proc_facts){ 0 }, &err) == 0, "%s", err.text);
	child_finish(&c);

	/* outside one, the same refusal is an error */
	plan.in_user_namespace = false;
	c = child_start(&plan, &(struct child_how){ .unshare = CLONE_NEWUSER });
	cr_expect(c.applied == -EPERM);
	cr_expect(strstr(c.err.text, "set 0 supplementary groups"));
	child_finish(&c);
}

Test(apply, an_id_without_a_mapping_is_named)
{
	struct spec_process spec = process(7);
	struct proc_plan plan = plan_of(&spec, &(struct proc_options){ .in_user_namespace = true });
	struct child c = child_start(&plan, &(struct child_how){ .unshare = CLONE_NEWUSER });
	char line[512];

	cr_expect(c.applied == -EINVAL);
	error_line(&c.err, line, sizeof(line));
	cr_expect(strstr(line,
			 "cannot set up what the process may do: set gid 7: invalid argument"),
		  "%s", line);
	cr_expect_str_eq(c.err.at, "/process/user/gid");
	cr_expect_str_eq(c.err.hint, "the user namespace does not map group 7");
	child_finish(&c);
}

Test(apply, capabilities_of_a_new_user_namespace_are_granted_in_full)
{
	uint64_t all = PROC_CAP_BIT(SPEC_CAP_LAST + 1) - 1;
	struct spec_capabilities caps = { .set = { all, all, all, 0, 0 } };
	struct spec_process spec = process(0);

	spec.capabilities = &caps;
	struct proc_plan plan = plan_of(&spec, &(struct proc_options){ .in_user_namespace = true });
	struct child c = child_start(&plan, &(struct child_how){ .unshare = CLONE_NEWUSER });
	struct error err = ERROR_INIT;

	cr_assert(c.applied == 0, "%s", c.err.text);
	cr_expect(strtoull(child_status(c.pid, "CapEff"), NULL, 16) == all);
	cr_expect(proc_verify(&plan, c.pid, &(struct proc_facts){ 0 }, &err) == 0, "%s", err.text);
	child_finish(&c);
}

static int get_personality(void *data)
{
	(void)data;
	return personality(0xffffffff) == PER_LINUX32 ? 0 : 1;
}

Test(apply, personality)
{
	struct spec_process spec = process(0);
	struct spec_linux lx = { .has_personality = true, .personality = PER_LINUX32 };
	struct proc_plan plan = plan_of(&spec, &(struct proc_options){ .linux_ = &lx });

	cr_expect(applied(&plan, get_personality, NULL) == 0);
}

static int get_scheduler(void *data)
{
	struct spec_scheduler *want = data;

	errno = 0;
	return sched_getscheduler(0) == (int)want->policy &&
			       getpriority(PRIO_PROCESS, 0) == want->nice && errno == 0
		       ? 0
		       : 1;
}

Test(apply, scheduler_policy_and_nice)
{
	struct spec_process spec = process(0);
	struct spec_scheduler rows[] = { { .policy = SCHED_BATCH, .nice = 7 },
					 { .policy = SCHED_OTHER, .nice = 3 },
					 { .policy = SCHED_IDLE } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spec.scheduler = &rows[i];
		struct proc_plan plan = plan_of(&spec, NULL);
		cr_expect(applied(&plan, get_scheduler, &rows[i]) == 0, "row %zu", i);
	}
}

static int get_deadline(void *data)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = { 0 };
	struct spec_scheduler *want = data;

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) < 0)
		return 1;
	return attr.policy == 6 && attr.runtime == want->runtime &&
			       attr.deadline == want->deadline && attr.period == want->period &&
			       (attr.flags & 1)
		       ? 0
		       : 2;
}

Test(apply, deadline_scheduling_arrives_with_its_three_times)
{
	struct spec_process spec = process(0);
	struct spec_scheduler s = {
		.policy = 6, .flags = 1, .runtime = 1000000, .deadline = 9000000, .period = 10000000
	};

	spec.scheduler = &s;
	struct proc_plan plan = plan_of(&spec, NULL);
	struct child c =
		child_start(&plan, &(struct child_how){ .instead = get_deadline, .data = &s });
	int status = child_finish(&c);

	if (c.applied == -EPERM || c.applied == -EBUSY) {
		/* a host that has no such bandwidth to give says so, with a remedy */
		cr_expect_str_eq(c.err.at, "/process/scheduler");
		return;
	}
	cr_expect(c.applied == 0 && status == 0, "%s", c.err.text);
}

Test(apply, a_refused_scheduler_names_its_values)
{
	struct spec_process spec = process(0);
	struct spec_scheduler s = { .policy = 77 };

	spec.scheduler = &s;
	struct proc_plan plan = plan_of(&spec, NULL);
	struct child c = child_start(&plan, NULL);

	cr_expect(c.applied == -EINVAL);
	cr_expect(strstr(c.err.text, "set scheduler policy 77"));
	cr_expect_str_eq(c.err.at, "/process/scheduler");
	child_finish(&c);
}

static int get_io_priority(void *data)
{
	struct spec_io_priority *want = data;

	return syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) ==
			       (want->ioprio_class << IOPRIO_CLASS_SHIFT | want->priority)
		       ? 0
		       : 1;
}

Test(apply, io_priority_of_the_process_and_not_of_its_group)
{
	struct spec_process spec = process(0);
	struct spec_io_priority p = { IOPRIO_CLASS_BE, 6 };
	long before = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);

	spec.io_priority = &p;
	struct proc_plan plan = plan_of(&spec, NULL);
	cr_expect(applied(&plan, get_io_priority, &p) == 0);
	cr_expect(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) == before);
}

static int get_policy(void *data)
{
	struct spec_memory_policy *want = data;
	unsigned long mask[16] = { 0 };
	int mode = -1;

	if (syscall(SYS_get_mempolicy, &mode, mask, 1024UL, NULL, 0UL) < 0)
		return 1;
	return mode == (want->mode | (int)want->mode_flags) && mask[0] == (want->nodes ? 1 : 0) ? 0
												: 2;
}

Test(apply, memory_policy)
{
	struct spec_process spec = process(0);
	struct spec_memory_policy rows[] = {
		{ MPOL_BIND, 0, "0" },	       { MPOL_BIND, MPOL_F_STATIC_NODES, "0" },
		{ MPOL_INTERLEAVE, 0, " 0," }, { MPOL_DEFAULT, 0, NULL },
		{ MPOL_LOCAL, 0, NULL },
	};

	if (syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0UL) < 0 && errno == ENOSYS)
		cr_skip_test("the kernel has no NUMA policies");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct spec_linux lx = { .memory_policy = &rows[i] };
		struct proc_plan plan = plan_of(&spec, &(struct proc_options){ .linux_ = &lx });

		cr_expect(applied(&plan, get_policy, &rows[i]) == 0, "row %zu", i);
	}
}

Test(apply, a_memory_policy_the_kernel_refuses_is_an_error)
{
	struct spec_process spec = process(0);
	struct spec_memory_policy p = { MPOL_BIND, 0, "1023" };
	struct spec_linux lx = { .memory_policy = &p };
	struct proc_plan plan = plan_of(&spec, &(struct proc_options){ .linux_ = &lx });
	struct child c = child_start(&plan, NULL);

	cr_expect(c.applied < 0);
	cr_expect(strstr(c.err.text, "on nodes \"1023\""));
	cr_expect_str_eq(c.err.at, "/linux/memoryPolicy");
	child_finish(&c);
}

Test(plan, lists_that_make_no_sense_are_found_before_anything_is_done)
{
	static struct arena a = ARENA_INIT;
	struct spec_process spec = process(0);
	struct spec_memory_policy p = { MPOL_BIND, 0, "3-1" };
	struct spec_linux lx = { .memory_policy = &p };
	struct spec_exec_affinity affinity = { "0", "1-" };
	struct proc_options opt = { .linux_ = &lx };
	struct error err = ERROR_INIT;
	struct proc_plan plan;

	cr_expect(proc_plan_make(&spec, &opt, &a, &plan, &err) == -EINVAL);
	cr_expect_str_eq(err.at, "/linux/memoryPolicy/nodes");

	spec.exec_affinity = &affinity;
	opt = (struct proc_options){ .is_exec = true };
	err = ERROR_INIT;
	cr_expect(proc_plan_make(&spec, &opt, &a, &plan, &err) == -EINVAL);
	cr_expect_str_eq(err.at, "/process/execCPUAffinity/final");
	opt.is_exec = false; /* of no concern to a container's init */
	cr_expect(proc_plan_make(&spec, &opt, &a, &plan, &err) == 0);
}

static int get_keyring(void *data)
{
	char text[256] = "";
	long n = syscall(SYS_keyctl, 6 /* KEYCTL_DESCRIBE */, -3 /* session */, text, sizeof(text));

	if (n < 0)
		return 1;
	if (!strstr(text, data))
		return 2;
	return strstr(text, ";3f1b0000;") ? 0 : 3;
}

Test(apply, a_session_keyring_of_its_own_that_a_changed_user_can_search)
{
	struct spec_process spec = process(0);
	struct proc_plan plan =
		plan_of(&spec, &(struct proc_options){ .keyring = "_ses.unit-test" });

	if (syscall(SYS_keyctl, 0, -3, 0) < 0 && errno == ENOSYS)
		cr_skip_test("the kernel has no keys");
	cr_expect(applied(&plan, get_keyring, ";_ses.unit-test") == 0);
}

static int get_affinity(void)
{
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	return CPU_COUNT(&set) * 100 + (CPU_ISSET(0, &set) ? 1 : 0);
}

Test(affinity, an_exec_has_its_initial_mask_and_then_its_final_one)
{
	struct spec_process spec = process(0);
	struct spec_exec_affinity affinity = { "0", NULL };
	struct error err = ERROR_INIT;
	cpu_set_t start;
	int all;

	sched_getaffinity(0, sizeof(start), &start);
	all = CPU_COUNT(&start);
	if (all < 2)
		cr_skip_test("one CPU makes no difference");

	spec.exec_affinity = &affinity;
	struct proc_plan plan = plan_of(&spec, &(struct proc_options){ .is_exec = true });

	cr_expect(proc_apply_affinity(&plan, 0, false, &err) == 0);
	cr_expect(get_affinity() == 101);
	cr_expect(proc_apply_affinity(&plan, 0, true, &err) == 0);
	cr_expect(get_affinity() == 101, "without a final mask the kernel's result stays");

	affinity.final = "1";
	cr_expect(proc_apply_affinity(&plan, 0, true, &err) == 0);
	cr_expect(get_affinity() == 100);

	affinity.final = "8191";
	cr_expect(proc_apply_affinity(&plan, 0, true, &err) == -EINVAL);
	cr_expect_str_eq(err.at, "/process/execCPUAffinity/final");
}

Test(affinity, without_a_wish_the_callers_mask_is_lifted)
{
	struct spec_process spec = process(0);
	struct spec_exec_affinity affinity = { "0", "0" };
	struct proc_plan plan = plan_of(&spec, NULL);
	int all = get_affinity();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	cr_assert(sched_setaffinity(0, sizeof(one), &one) == 0);
	cr_expect(proc_apply_affinity(&plan, 0, false, NULL) == 0);
	cr_expect(get_affinity() == 101);
	cr_expect(proc_apply_affinity(&plan, 0, true, NULL) == 0);
	cr_expect(get_affinity() == all);

	/* a container's init has no exec affinity */
	spec.exec_affinity = &affinity;
	cr_assert(sched_setaffinity(0, sizeof(one), &one) == 0);
	cr_expect(proc_apply_affinity(&plan, 0, true, NULL) == 0);
	cr_expect(get_affinity() == all);
}

static struct rlimit limit_of(pid_t pid, int resource)
{
	char path[64], line[256];
	struct rlimit l = { 1, 1 };

	/* prlimit() of another user's process needs a privilege, its limits file does not */
	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	FILE *f = fopen(path, "re");
	const char *title = resource == RLIMIT_NOFILE ? "Max open files" : "Max core file size";

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, title, strlen(title)))
			continue;
		char soft[32], hard[32];
		sscanf(line + 25, "%31s %31s", soft, hard);
		l.rlim_cur = strcmp(soft, "unlimited") ? strtoull(soft, NULL, 10) : RLIM_INFINITY;
		l.rlim_max = strcmp(hard, "unlimited") ? strtoull(hard, NULL, 10) : RLIM_INFINITY;
	}
	if (f)
		fclose(f);
	return l;
}

Test(limits, the_process_has_exactly_the_limits_of_the_config)
{
	struct spec_rlimit limits[] = { { RLIMIT_NOFILE, "RLIMIT_NOFILE", 100, 200 },
					{ RLIMIT_CORE, "RLIMIT_CORE", 0, 0 } };
	struct error err = ERROR_INIT;

	for (int user = 0; user < 2; user++) {
		struct spec_process spec = process(user ? 1000 : 0);

		spec.rlimits = limits;
		spec.n_rlimits = 2;
		struct proc_plan plan = plan_of(&spec, NULL);
		struct child c = child_start(&plan, NULL);

		cr_assert(c.applied == 0, "%s", c.err.text);
		cr_expect(plan.limits_inside ==
			  !(proc_permitted_caps() & PROC_CAP_BIT(CAP_SYS_RESOURCE)));
		cr_expect(proc_apply_outside(&plan, c.pid, &err) == 0, "%s", err.text);
		cr_expect(limit_of(c.pid, RLIMIT_NOFILE).rlim_cur == 100);
		cr_expect(limit_of(c.pid, RLIMIT_NOFILE).rlim_max == 200);
		cr_expect(limit_of(c.pid, RLIMIT_CORE).rlim_max == 0);
		child_finish(&c);
	}
}

Test(limits, outside_on_a_process_of_the_same_user)
{
	struct spec_rlimit limits[] = { { RLIMIT_NOFILE, "RLIMIT_NOFILE", 64, 128 } };
	struct spec_process spec = process(0);
	struct error err = ERROR_INIT;

	spec.rlimits = limits;
	spec.n_rlimits = 1;
	struct proc_plan plan = plan_of(&spec, NULL);
	plan.limits_inside = false;
	struct child c = child_start(&plan, NULL);

	cr_expect(limit_of(c.pid, RLIMIT_NOFILE).rlim_max != 128);
	cr_expect(proc_apply_outside(&plan, c.pid, &err) == 0, "%s", err.text);
	cr_expect(limit_of(c.pid, RLIMIT_NOFILE).rlim_max == 128);

	limits[0].soft = 129;
	cr_expect(proc_apply_outside(&plan, c.pid, &err) == -EINVAL);
	cr_expect_str_eq(err.at, "/process/rlimits/0");
	cr_expect_str_eq(err.text, "set RLIMIT_NOFILE to soft 129, hard 128");
	child_finish(&c);
}

Test(limits, a_limit_that_may_not_be_raised_says_what_it_takes)
{
	struct spec_rlimit limits[] = { { RLIMIT_CORE, "RLIMIT_CORE", 0, 0 },
					{ RLIMIT_NOFILE, "RLIMIT_NOFILE", 64, 128 } };
	struct spec_process spec = process(1000);
	struct rlimit low = { 32, 64 };

	if (proc_permitted_caps() & PROC_CAP_BIT(CAP_SYS_RESOURCE))
		cr_skip_test("this caller may raise it");
	cr_assert(setrlimit(RLIMIT_NOFILE, &low) == 0);
	spec.rlimits = limits;
	spec.n_rlimits = 2;
	struct proc_plan plan = plan_of(&spec, NULL);
	struct child c = child_start(&plan, NULL);

	cr_expect(c.applied == -EPERM);
	cr_expect_str_eq(c.err.at, "/process/rlimits/1");
	cr_expect_str_eq(c.err.hint, "raising a hard limit needs CAP_SYS_RESOURCE on the host");
	child_finish(&c);
}

Test(limits, oom_score_adj)
{
	struct spec_process spec = process(1000);
	struct error err = ERROR_INIT;
	char path[64], text[16] = "";

	spec.has_oom_score_adj = true;
	spec.oom_score_adj = 345;
	struct proc_plan plan = plan_of(&spec, NULL);
	struct child c = child_start(&plan, NULL);

	cr_expect(proc_apply_outside(&plan, c.pid, &err) == 0, "%s", err.text);
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", c.pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_expect(read(fd, text, sizeof(text) - 1) > 0);
	cr_expect_str_eq(text, "345\n");
	close(fd);

	spec.oom_score_adj = 5000;
	cr_expect(proc_apply_outside(&plan, c.pid, &err) == -EINVAL);
	cr_expect_str_eq(err.at, "/process/oomScoreAdj");
	child_finish(&c);
}

Test(limits, a_score_that_may_not_be_lowered_matters_only_outside_a_user_namespace)
{
	struct spec_process spec = process(0);
	struct error err = ERROR_INIT;

	if (proc_permitted_caps() & PROC_CAP_BIT(CAP_SYS_RESOURCE))
		cr_skip_test("this caller may lower it");
	spec.has_oom_score_adj = true;
	spec.oom_score_adj = -1000;
	struct proc_plan plan = plan_of(&spec, NULL);
	struct child c = child_start(&plan, NULL);

	cr_expect(proc_apply_outside(&plan, c.pid, &err) == -EACCES);
	plan.in_user_namespace = true;
	err = ERROR_INIT;
	cr_expect(proc_apply_outside(&plan, c.pid, &err) == 0 && err.code == 0);
	child_finish(&c);
}

Test(verify, names_the_first_difference)
{
	uint32_t gids[] = { 5, 6 };
	struct spec_capabilities caps = { .set = { 0x21, 0x21, 0x21, 0, 0 } };
	struct spec_process spec = process(0);

	spec.user.additional_gids = gids;
	spec.user.n_additional_gids = 2;
	spec.capabilities = &caps;

	struct proc_plan plan = plan_of(&spec, NULL);
	struct child c = child_start(&plan, NULL);
	struct spec_process other = spec;
	struct proc_plan wrong = plan;
	struct error err = ERROR_INIT;
	char line[512], expected[128];

	cr_assert(c.applied == 0);
	cr_expect(proc_verify(&plan, c.pid, &(struct proc_facts){ 0 }, &err) == 0, "%s", err.text);

	wrong.spec = &other;
	other.user.uid = 4;
	cr_expect(proc_verify(&wrong, c.pid, &(struct proc_facts){ 0 }, &err) == -EPROTO);
	error_line(&err, line, sizeof(line));
	snprintf(expected, sizeof(expected),
		 "cannot trust the process: Uid of process %d is 0, but the plan says 4", c.pid);
	cr_expect_str_eq(line, expected);

	other = spec;
	other.user.gid = 4;
	cr_expect(proc_verify(&wrong, c.pid, &(struct proc_facts){ 0 }, &err) == -EPROTO &&
		  strstr(err.text, "Gid of process"));

	uint32_t lists[][3] = { { 5, 7 }, { 5, 6, 7 }, { 5 } };
	size_t lengths[] = { 2, 3, 1 };
	other = spec;
	for (int i = 0; i < 3; i++) {
		other.user.additional_gids = lists[i];
		other.user.n_additional_gids = lengths[i];
		cr_expect(proc_verify(&wrong, c.pid, &(struct proc_facts){ 0 }, &err) == -EPROTO, "list %d", i);
		cr_expect(strstr(err.text, "group list of process"), "%s", err.text);
	}

	other = spec;
	uint64_t *sets[] = { &wrong.bounding, &wrong.inheritable, &wrong.ambient };
	const char *names[] = { "CapBnd", "CapInh",
				"CapPrm" }; /* one ambient too few shows as permitted */
	for (int i = 0; i < 2; i++) {
		wrong = plan;
		wrong.spec = &other;
		*sets[i] ^= PROC_CAP_BIT(CAP_SYS_ADMIN);
		cr_expect(proc_verify(&wrong, c.pid, &(struct proc_facts){ 0 }, &err) == -EPROTO);
		cr_expect(strstr(err.text, names[i]), "%s", err.text);
		cr_expect(strstr(err.hint, "CAP_SYS_ADMIN"), "%s", err.hint);
	}

	wrong = plan;
	wrong.spec = &other;
	other.no_new_privileges = true;
	cr_expect(proc_verify(&wrong, c.pid, &(struct proc_facts){ 0 }, &err) == -EPROTO && strstr(err.text, "NoNewPrivs"));

	other = spec;
	wrong.seccomp.insns = "";
	cr_expect(proc_verify(&wrong, c.pid, &(struct proc_facts){ 0 }, &err) == -EPROTO &&
		  strstr(err.text, "Seccomp of process"));
	child_finish(&c);
}

Test(verify, more_ambient_than_planned_is_a_difference_and_less_is_not)
{
	struct spec_capabilities caps = { .set = { 0x21, 0x21, 0x21, 0x21, 0x20 } };
	struct spec_process spec = process(1000);

	spec.capabilities = &caps;
	struct proc_plan plan = plan_of(&spec, NULL);
	struct child c = child_start(&plan, NULL);
	struct error err = ERROR_INIT;

	cr_assert(c.applied == 0);
	cr_expect(proc_verify(&plan, c.pid, &(struct proc_facts){ 0 }, &err) == 0, "%s", err.text);
	plan.ambient = 0x21;
	cr_expect(proc_verify(&plan, c.pid, &(struct proc_facts){ 0 }, &err) == 0, "%s", err.text);
	plan.ambient = 0;
	cr_expect(proc_verify(&plan, c.pid, &(struct proc_facts){ 0 }, &err) == -EPROTO && strstr(err.text, "CapAmb"));
	child_finish(&c);
}

Test(verify, a_process_that_is_gone_is_an_error)
{
	struct spec_process spec = process(0);
	struct proc_plan plan = plan_of(&spec, NULL);
	struct child c = child_start(&plan, NULL);
	struct error err = ERROR_INIT;
	pid_t pid = c.pid;

	child_finish(&c);
	cr_expect(proc_verify(&plan, pid, &(struct proc_facts){ 0 }, &err) == -ENOENT);
}

Test(plan, prints_a_line_per_step)
{
	uint32_t gids[] = { 10, 20 };
	struct spec_capabilities caps = { .set = { 0x21, 0x1, 0x1, 0, 0 } };
	struct spec_rlimit limits[] = { { RLIMIT_NOFILE, "RLIMIT_NOFILE", 100, 200 } };
	struct spec_process spec = process(1000);
	struct proc_seccomp seccomp = { .insns = "x", .n_insns = 12, .flags = 4 };
	auto_buf struct buf out = BUF_INIT;

	spec.user.additional_gids = gids;
	spec.user.n_additional_gids = 2;
	spec.capabilities = &caps;
	spec.rlimits = limits;
	spec.n_rlimits = 1;
	spec.no_new_privileges = true;
	spec.has_oom_score_adj = true;
	spec.oom_score_adj = -5;
	struct proc_plan plan =
		plan_of(&spec, &(struct proc_options){ .keyring = "_ses.a", .seccomp = &seccomp });

	proc_plan_print(&plan, &out);
	cr_expect_str_eq(out.data, "RLIMIT_NOFILE soft 100 hard 200\n"
				   "oom_score_adj -5\n"
				   "session keyring _ses.a\n"
				   "umask 0022\n"
				   "bounding 0x21 CAP_CHOWN CAP_KILL\n"
				   "uid 1000 gid 1000 groups 10 20\n"
				   "effective 0x1 CAP_CHOWN\n"
				   "permitted 0x1 CAP_CHOWN\n"
				   "inheritable 0\n"
				   "ambient 0\n"
				   "no_new_privs\n"
				   "seccomp filter, 12 instructions, flags 0x4\n");
}
