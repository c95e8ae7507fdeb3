/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process/steps.h"

#include <sys/capability.h>
#include <sys/prctl.h>

#include "tests/unit/runtime/process/child.h"

#define BIT PROC_CAP_BIT
#define DOCKER 0xa80425fbull

static char dir_of_args[] = "x";
static char *args[] = { dir_of_args, NULL };

static struct spec_process process(uint32_t uid, bool nnp, struct spec_capabilities *caps)
{
	return (struct spec_process){
		.cwd = "/",
		.args = { args, 1 },
		.env = { args + 1, 0 },
		.user = { .uid = uid, .gid = uid },
		.capabilities = caps,
		.no_new_privileges = nnp,
	};
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

/* What libcap says of a process, as one of our masks. */
static uint64_t libcap_set(pid_t pid, cap_flag_t which)
{
	cap_t caps = cap_get_pid(pid);
	uint64_t set = 0;

	cr_assert(caps);
	for (cap_value_t n = 0; n <= (cap_value_t)cap_max_bits() - 1; n++) {
		cap_flag_value_t on = CAP_CLEAR;

		cap_get_flag(caps, n, which, &on);
		if (on == CAP_SET)
			set |= BIT(n);
	}
	cap_free(caps);
	return set;
}

Test(caps, names_are_those_of_libcap)
{
	char ours[64];

	for (unsigned n = 0; n <= SPEC_CAP_LAST; n++) {
		char *theirs = cap_to_name((cap_value_t)n);

		proc_cap_names(BIT(n), ours, sizeof(ours));
		cr_expect(strcasecmp(ours, theirs) == 0, "%s %s", ours, theirs);
		cr_expect(spec_cap_number(ours) == (int)n);
		cap_free(theirs);
	}
}

Test(caps, a_list_of_names_is_cut_at_the_end_of_its_buffer)
{
	char buf[20];

	cr_expect_str_eq(proc_cap_names(0, buf, sizeof(buf)), "");
	cr_expect_str_eq(proc_cap_names(BIT(0) | BIT(5), buf, sizeof(buf)), "CAP_CHOWN CAP_KILL");
	cr_expect_str_eq(proc_cap_names(UINT64_MAX, buf, sizeof(buf)), "CAP_CHOWN CAP_DAC_O");
	cr_expect_str_eq(proc_cap_names(BIT(63), buf, sizeof(buf)), "capability 63");
}

Test(caps, permitted_and_bounding_are_read_as_libcap_reads_them)
{
	cr_expect(proc_permitted_caps() == libcap_set(0, CAP_PERMITTED));

	uint64_t bounding = 0;

	for (cap_value_t n = 0; n < (cap_value_t)cap_max_bits(); n++)
		if (cap_get_bound(n) == 1)
			bounding |= BIT(n);
	cr_expect(proc_bounding_caps(UINT64_MAX) == bounding);
}

/* Every set × user × no_new_privs, against the kernel: apply, exec, and compare with the oracle. */
Test(caps, after_the_exec_the_kernel_shows_what_the_rules_say)
{
	const uint64_t all = proc_permitted_caps();
	const struct {
		uint64_t set[SPEC_CAPSETS];
	} rows[] = {
		{ { 0, 0, 0, 0, 0 } },
		{ { DOCKER, DOCKER, DOCKER, 0, 0 } },
		{ { DOCKER, BIT(5), BIT(5) | BIT(0), 0, 0 } },
		{ { all, all, all, 0, 0 } },
		{ { all, all, all, all, all } },
		{ { BIT(5) | BIT(10), BIT(10), BIT(10), BIT(10), BIT(10) } },
		{ { BIT(5) | BIT(10), BIT(10), BIT(10), BIT(10) | BIT(5), 0 } },
		{ { BIT(5), DOCKER, DOCKER, 0, 0 } },
		{ { 0, BIT(5), BIT(5), 0, 0 } },
		{ { BIT(5), 0, 0, BIT(5), 0 } },
	};
	const uint32_t uids[] = { 0, 1000 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (int k = 0; k < 4; k++) {
			struct spec_capabilities caps = { 0 };
			struct error err = ERROR_INIT;

			memcpy(caps.set, rows[i].set, sizeof(caps.set));

			struct spec_process spec = process(uids[k & 1], k & 2, &caps);
			struct proc_plan plan = plan_of(&spec, NULL);
			struct child c = child_start(&plan, NULL);
			struct proc_caps before = { plan.bounding, plan.effective, plan.permitted,
						    plan.inheritable, plan.ambient };
			struct proc_caps want = proc_caps_after_exec(&before, spec.user.uid, k & 2);

			cr_assert(c.applied == 0, "row %zu/%d: %s", i, k, c.err.text);
			cr_expect(proc_verify(&plan, c.pid, &(struct proc_facts){ 0 }, &err) == 0, "row %zu/%d: %s", i, k,
				  err.text);
			cr_expect(libcap_set(c.pid, CAP_PERMITTED) == want.permitted, "row %zu/%d",
				  i, k);
			cr_expect(libcap_set(c.pid, CAP_EFFECTIVE) == want.effective, "row %zu/%d",
				  i, k);
			cr_expect(libcap_set(c.pid, CAP_INHERITABLE) == want.inheritable);
			cr_expect(strtoull(child_status(c.pid, "CapBnd"), NULL, 16) ==
				  plan.bounding);
			cr_expect(strtoull(child_status(c.pid, "CapAmb"), NULL, 16) ==
				  plan.ambient);
			cr_expect(child_finish(&c) == 0);
		}
	}
}

/* The same by hand, so that oracle and kernel cannot agree by a shared mistake of ours. */
Test(caps, some_results_worked_out_on_paper)
{
	struct proc_caps docker = { DOCKER, DOCKER, DOCKER, 0, 0 };
	struct proc_caps ambient = { DOCKER, BIT(5), BIT(5), BIT(5), BIT(5) };
	struct proc_caps narrow = { DOCKER, BIT(5), BIT(5), 0, 0 };

	cr_expect(proc_caps_after_exec(&docker, 0, false).effective == DOCKER);
	cr_expect(proc_caps_after_exec(&docker, 1000, false).permitted == 0);
	cr_expect(proc_caps_after_exec(&docker, 1000, false).bounding == DOCKER);
	cr_expect(proc_caps_after_exec(&ambient, 1000, false).effective == BIT(5));
	cr_expect(proc_caps_after_exec(&ambient, 1000, true).permitted == BIT(5));
	/* root regains its bounding set, unless no_new_privs */
	cr_expect(proc_caps_after_exec(&narrow, 0, false).effective == DOCKER);
	cr_expect(proc_caps_after_exec(&narrow, 0, true).effective == BIT(5));
}

static int raise_and_inherit(void *data)
{
	/* What CVE-2022-24769 and its kin left behind: a caller's inheritable and ambient sets. */
	struct proc_plan *plan = data;
	struct error err = ERROR_INIT;
	uint64_t have = proc_permitted_caps();

	if (proc_set_caps(have, have, have, &err) < 0)
		return 1;
	proc_raise_ambient(have);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 5, 0, 0) != 1)
		return 2;
	if (proc_apply(plan, -1, NULL, &err) < 0)
		return 3;
	if (strtoull(child_status(getpid(), "CapInh"), NULL, 16) != plan->inheritable)
		return 4;
	if (strtoull(child_status(getpid(), "CapAmb"), NULL, 16) != plan->ambient)
		return 5;
	return 0;
}

static int run(int (*fn)(void *), void *data)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(data));
	cr_assert(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

Test(caps, nothing_of_the_callers_inheritable_or_ambient_set_remains)
{
	for (int uid = 0; uid < 2; uid++) {
		for (int with = 0; with < 2; with++) {
			struct spec_capabilities caps = { .set = { DOCKER, DOCKER, DOCKER, 0, 0 } };

			if (with)
				caps.set[SPEC_CAP_INHERITABLE] = caps.set[SPEC_CAP_AMBIENT] =
					BIT(10);

			struct spec_process spec = process(uid ? 1000 : 0, false, &caps);
			struct proc_plan plan = plan_of(&spec, NULL);

			cr_expect(run(raise_and_inherit, &plan) == 0);
		}
	}
}

Test(caps, absent_capabilities_leave_every_set_alone)
{
	struct spec_process spec = process(0, false, NULL);
	struct proc_plan plan = plan_of(&spec, NULL);

	cr_expect_not(plan.has_caps);

	struct child c = child_start(&plan, NULL);

	cr_assert(c.applied == 0);
	cr_expect(libcap_set(c.pid, CAP_EFFECTIVE) == libcap_set(0, CAP_EFFECTIVE));
	cr_expect(strtoull(child_status(c.pid, "CapBnd"), NULL, 16) ==
		  strtoull(child_status(getpid(), "CapBnd"), NULL, 16));
	child_finish(&c);
}

static int log_to_file(struct log *log)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	*log = (struct log){ .fd = fd, .level = LOG_WARNING, .format = LOG_TEXT };
	return fd;
}

static const char *log_text(int fd)
{
	static char text[4096];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

Test(caps_plan, what_cannot_be_granted_is_left_out_with_a_warning)
{
	uint64_t lacking = ~proc_permitted_caps() & (BIT(SPEC_CAP_LAST + 1) - 1);
	struct log log;
	int fd = log_to_file(&log);
	struct proc_options opt = { .log = &log };

	if (!lacking) { /* make it so: this process is the test's own */
		struct error err = ERROR_INIT;
		uint64_t have = proc_permitted_caps() & ~BIT(CAP_SYS_BOOT);

		lacking = BIT(CAP_SYS_BOOT);
		cr_assert(cap_drop_bound(CAP_SYS_BOOT) == 0 &&
			  proc_set_caps(have, have, 0, &err) == 0);
	}

	struct spec_capabilities caps = { .set = { lacking | 1, lacking | 1, lacking | 1, 0, 0 } };
	struct spec_process spec = process(0, false, &caps);
	struct proc_plan plan = plan_of(&spec, &opt);
	char names[512];

	cr_expect(plan.bounding == 1 && plan.effective == 1 && plan.permitted == 1);
	cr_expect(strstr(log_text(fd), proc_cap_names(lacking, names, sizeof(names))), "%s",
		  log_text(fd));

	/* a new user namespace has everything */
	opt.in_user_namespace = true;
	plan = plan_of(&spec, &opt);
	cr_expect(plan.bounding == (lacking | 1) && plan.permitted == (lacking | 1));
}

Test(caps_plan, sets_that_contradict_each_other_lose_what_the_kernel_would_refuse)
{
	struct log log;
	int fd = log_to_file(&log);
	struct proc_options opt = { .log = &log, .in_user_namespace = true };
	struct spec_capabilities caps = { .set = { [SPEC_CAP_BOUNDING] = BIT(0) | BIT(1),
						   [SPEC_CAP_EFFECTIVE] = BIT(0) | BIT(5),
						   [SPEC_CAP_PERMITTED] = BIT(0) | BIT(1),
						   [SPEC_CAP_INHERITABLE] = BIT(1) | BIT(6),
						   [SPEC_CAP_AMBIENT] = BIT(0) | BIT(1) } };
	struct spec_process spec = process(0, false, &caps);
	struct proc_plan plan = plan_of(&spec, &opt);

	cr_expect(plan.effective == BIT(0) && plan.inheritable == BIT(1) && plan.ambient == BIT(1));
	cr_expect(
		strstr(log_text(fd),
		       "effective capabilities left out because they are not permitted: CAP_KILL"));
	cr_expect(strstr(log_text(fd), "inheritable capabilities left out"));
	cr_expect(strstr(log_text(fd), "ambient capabilities left out because they are not both "
				       "permitted and inheritable: CAP_CHOWN"));
}
