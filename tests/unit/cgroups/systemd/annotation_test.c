/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "cgroups/systemd/systemd.h"

static struct arena a = ARENA_INIT;

static int take(struct unit_plan *plan, const char *name, const char *value, struct error *err)
{
	const struct spec_key_value v[] = { { "org.example.other", "org.systemd.property.ExecStart" },
					    { arena_printf(&a, "org.systemd.property.%s", name), value } };

	return unit_plan_annotations(plan, v, 2, err);
}

static void taken(const char *name, const char *value, const char *line)
{
	struct unit_plan plan = { .arena = &a };
	struct error err = ERROR_INIT;
	auto_buf struct buf out = BUF_INIT;

	cr_assert_eq(take(&plan, name, value, &err), 0, "%s: %s", name, err.text);
	unit_plan_print(&plan, &out);
	cr_expect_str_eq(out.data, arena_printf(&a, "unit property %s  [/annotations/org.systemd.property.%s]\n", line, name));
}

static void refused(const char *name, const char *value, int code, const char *why)
{
	struct unit_plan plan = { .arena = &a };
	struct error err = ERROR_INIT;

	cr_expect_eq(take(&plan, name, value, &err), -code, "%s=%s", name, value);

	char line[1024];

	error_line(&err, line, sizeof(line));
	cr_expect(strstr(line, why), "%s=%s: %s", name, value, line);
	cr_expect(strstr(line, "org.systemd.property."), "%s", line);
	cr_expect(strstr(err.at, "/annotations/org.systemd.property."), "%s", err.at);
	cr_expect_eq(plan.n, 0);
}

Test(unit_annotations, what_engines_send_is_taken)
{
	taken("TimeoutStopUSec", "uint64 30000000", "TimeoutStopUSec=30000000");
	taken("KillSignal", "15", "KillSignal=15");
	taken("After", "['crio.service']", "After=[crio.service]");
	taken("DefaultDependencies", "true", "DefaultDependencies=yes");
	taken("CollectMode", "'inactive-or-failed'", "CollectMode=\"inactive-or-failed\"");
	taken("MemoryMax", "uint64 1048576", "MemoryMax=1048576");
}

Test(unit_annotations, seconds_become_microseconds)
{
	taken("TimeoutStopSec", "30", "TimeoutStopUSec=30000000");
	taken("TimeoutStopSec", "1.5", "TimeoutStopUSec=1500000");
	taken("RuntimeMaxSec", "uint64 2", "RuntimeMaxUSec=2000000");
	refused("RuntimeMaxSec", "18446744073709551615", EINVAL, "so many seconds");
	refused("TimeoutStopSec", "-1", EINVAL, "so many seconds");
}

Test(unit_annotations, a_number_without_a_type_takes_the_propertys)
{
	taken("TimeoutStopUSec", "3000000000", "TimeoutStopUSec=3000000000");
	refused("TimeoutStopUSec", "int32 5", EINVAL, "the value must be a number such as uint64");
	refused("KillSignal", "uint64 15", EINVAL, "the value must be a number such as 15");
}

/* CVE-2024-3154: who may write annotations must not get to run programs on the host. */
Test(unit_annotations, what_executes_starts_opens_or_takes_from_others_is_refused)
{
	static const char *const bad[] = {
		"ExecStart", "ExecStartPre", "ExecStop", "ExecStopPost", "ExecReload", "ExecCondition", "User", "Environment",
		"Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Upholds", "Conflicts", "Before", "OnFailure", "OnSuccess",
		"PropagatesStopTo", "SuccessAction", "FailureAction", "JobTimeoutAction", "StartLimitAction", "RebootArgument",
		"JobTimeoutRebootArgument", "PIDs", "Slice", "Delegate", "Controller", "DeviceAllow", "DevicePolicy",
		"IPAddressAllow", "IPIngressFilterPath", "IPEgressFilterPath", "BPFProgram", "SocketBindAllow", "CPUWeight",
		"StartupCPUWeight", "IOWeight", "MemoryMin", "MemoryLow", "TasksMax", "AllowedCPUs", "ManagedOOMPreference",
		"OOMPolicy", "KillMode", "SendSIGKILL", "Description", "Documentation", "SourcePath", "BindPaths", "RootImage",
		"execstart", "timeoutstopusec", "TimeoutStopUSecX", "TimeoutStop",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refused(bad[i], "true", EPERM, "may not be set by annotation");
		refused(bad[i], "'/bin/sh'", EPERM, "may not be set by annotation");
	}
}

Test(unit_annotations, a_name_is_letters_alone_and_at_least_three)
{
	static const char *const bad[] = { "", "A", "Ab", "Exec-Start", "After ", "After\n", "After=x\nExecStart", "a.b.c", "Kill9" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i], "true", EINVAL, "does not end in the name of a property");
}

Test(unit_annotations, values_out_of_range_or_kind_are_refused)
{
	refused("KillSignal", "0", EINVAL, "is not within 1 to 64");
	refused("KillSignal", "-9", EINVAL, "-9 is not within");
	refused("KillSignal", "4294967305", EINVAL, "is not within 1 to 64");
	refused("TimeoutStopUSec", "uint64 18446744073709551615", EINVAL, "is not within");
	refused("CPUQuotaPerSecUSec", "0", EINVAL, "is not within");
	refused("CollectMode", "'never'", EINVAL, "is none of");
	refused("CollectMode", "'inactive inactive-or-failed'", EINVAL, "is none of");
	refused("CollectMode", "''", EINVAL, "is none of");
	refused("CollectMode", "5", EINVAL, "must be a string");
	refused("DefaultDependencies", "1", EINVAL, "must be true or false");
	refused("After", "'x.service'", EINVAL, "must be an array of unit names");
	refused("After", "['x.service\\\\x0aExecStart=/bin/sh']", EINVAL, "is not the name of a unit");
	refused("After", "['noext']", EINVAL, "is not the name of a unit");
	refused("After", "['a b.service']", EINVAL, "is not the name of a unit");
	refused("MemoryMax", "uint64", EINVAL, "cannot read the value");
}

Test(unit_annotations, a_limit_of_the_config_is_not_changed)
{
	struct unit_plan plan = { .arena = &a };
	struct cg_write w = { .file = "memory.max", .value = "4096", .pointer = "/linux/resources/memory/limit" };
	struct cg_plan limits = { .v = &w, .n = 1 };
	struct error err = ERROR_INIT;

	cr_assert_eq(unit_plan_limits(&plan, &limits, 252, UNIT_AT_START, &err), 0);
	cr_expect_eq(take(&plan, "MemoryMax", "uint64 18446744073709551615", &err), -EPERM);
	cr_expect(strstr(err.text, "has set that limit already"), "%s", err.text);
	cr_expect_eq(plan.v[0].number, 4096);
}

Test(unit_annotations, ours_give_way_where_that_is_harmless)
{
	struct unit_name name = { .slice = "a.slice", .unit = "x.scope", .path = "a.slice/x.scope" };
	struct unit_plan plan = { .arena = &a };
	struct error err = ERROR_INIT;
	size_t n;

	unit_plan_base(&plan, &name, "web");
	n = plan.n;
	cr_assert_eq(take(&plan, "DefaultDependencies", "true", &err), 0);
	cr_expect_eq(plan.n, n);
}
