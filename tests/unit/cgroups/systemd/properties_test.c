/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "cgroups/systemd/systemd.h"

static struct arena a = ARENA_INIT;

/* The plan of a resources object, as text. */
static const char *limits(const char *json, unsigned version)
{
	struct error err = ERROR_INIT;
	struct spec_resources *res;
	struct cg_plan plan;
	struct unit_plan props = { .arena = &a };
	auto_buf struct buf out = BUF_INIT;

	cr_assert_eq(spec_parse_resources(json, strlen(json), &a, NULL, &res, &err), 0, "%s", err.text);
	cr_assert_eq(cg_plan_make(res, &a, NULL, &plan, &err), 0, "%s", err.text);
	cr_assert_eq(unit_plan_limits(&props, &plan, version, UNIT_AT_START, &err), 0, "%s", err.text);
	unit_plan_print(&props, &out);
	return arena_strdup(&a, out.data ? out.data : "");
}

static int refusal(const char *json, struct error *err)
{
	struct spec_resources *res;
	struct cg_plan plan;
	struct unit_plan props = { .arena = &a };

	cr_assert_eq(spec_parse_resources(json, strlen(json), &a, NULL, &res, err), 0, "%s", err->text);
	cr_assert_eq(cg_plan_make(res, &a, NULL, &plan, err), 0, "%s", err->text);
	return unit_plan_limits(&props, &plan, 252, UNIT_AT_START, err);
}

Test(unit_properties, a_scope_is_delegated_accounted_and_collected)
{
	struct unit_name name = { .slice = "a.slice", .unit = "p-n.scope", .path = "a.slice/p-n.scope" };
	struct unit_plan plan = { .arena = &a };
	auto_buf struct buf out = BUF_INIT;

	unit_plan_base(&plan, &name, "web");
	unit_plan_print(&plan, &out);
	cr_expect_str_eq(out.data, "unit property Description=\"bulkhead container web\"\n"
				   "unit property Slice=\"a.slice\"\n"
				   "unit property Delegate=yes\n"
				   "unit property CPUAccounting=yes\n"
				   "unit property MemoryAccounting=yes\n"
				   "unit property TasksAccounting=yes\n"
				   "unit property IOAccounting=yes\n"
				   "unit property DefaultDependencies=no\n"
				   "unit property CollectMode=\"inactive-or-failed\"\n");
}

Test(unit_properties, a_slice_wants_its_parent_and_is_not_delegated)
{
	struct unit_name name = { .slice = "a.slice", .unit = "a-b.slice", .path = "a.slice/a-b.slice", .is_slice = true };
	struct unit_plan plan = { .arena = &a };
	auto_buf struct buf out = BUF_INIT;

	unit_plan_base(&plan, &name, "web");
	unit_plan_print(&plan, &out);
	cr_expect(strstr(out.data, "Wants=[a.slice]\n"));
	cr_expect_null(strstr(out.data, "Slice="));
	cr_expect_null(strstr(out.data, "Delegate"));
}

Test(unit_properties, limits_of_the_config_become_properties_with_their_pointers)
{
	cr_expect_str_eq(limits("{\"memory\": {\"limit\": 1048576, \"reservation\": 4096, \"swap\": 3145728},"
				" \"pids\": {\"limit\": 77},"
				" \"cpu\": {\"shares\": 2048, \"cpus\": \"0,9\", \"mems\": \"0\"}}", 252),
			 "unit property AllowedCPUs=[01 02]  [/linux/resources/cpu/cpus]\n"
			 "unit property AllowedMemoryNodes=[01]  [/linux/resources/cpu/mems]\n"
			 "unit property CPUWeight=174  [/linux/resources/cpu/shares]\n"
			 "unit property MemorySwapMax=2097152  [/linux/resources/memory/swap]\n"
			 "unit property MemoryMax=1048576  [/linux/resources/memory/limit]\n"
			 "unit property MemoryLow=4096  [/linux/resources/memory/reservation]\n"
			 "unit property TasksMax=77  [/linux/resources/pids/limit]\n");
}

Test(unit_properties, no_limit_is_infinity)
{
	cr_expect_str_eq(limits("{\"memory\": {\"limit\": -1}, \"pids\": {\"limit\": -1}}", 252),
			 "unit property MemorySwapMax=infinity  [/linux/resources/memory/swap]\n"
			 "unit property MemoryMax=infinity  [/linux/resources/memory/limit]\n"
			 "unit property TasksMax=infinity  [/linux/resources/pids/limit]\n");
}

Test(unit_properties, a_quota_is_rounded_up_to_what_a_unit_file_can_say)
{
	cr_expect_str_eq(limits("{\"cpu\": {\"quota\": 50000, \"period\": 100000}}", 252),
			 "unit property CPUQuotaPeriodUSec=100000  [/linux/resources/cpu/quota]\n"
			 "unit property CPUQuotaPerSecUSec=500000  [/linux/resources/cpu/quota]\n");
	cr_expect(strstr(limits("{\"cpu\": {\"quota\": 2501, \"period\": 100000}}", 252), "CPUQuotaPerSecUSec=30000 "));
	cr_expect(strstr(limits("{\"cpu\": {\"quota\": 1000, \"period\": 300000}}", 252), "CPUQuotaPerSecUSec=10000 "));
	cr_expect(strstr(limits("{\"cpu\": {\"quota\": -1, \"period\": 50000}}", 252), "CPUQuotaPerSecUSec=infinity "));
	cr_expect(strstr(limits("{\"cpu\": {\"quota\": -1, \"period\": 50000}}", 252), "CPUQuotaPeriodUSec=50000 "));
}

Test(unit_properties, idle_is_a_weight_of_zero_where_systemd_knows_it)
{
	cr_expect_str_eq(limits("{\"cpu\": {\"idle\": 1}}", 252),
			 "unit property CPUWeight=0  [/linux/resources/cpu/idle]\n");
	cr_expect_str_eq(limits("{\"cpu\": {\"idle\": 1}}", 251), "");
	cr_expect_str_eq(limits("{\"cpu\": {\"idle\": 0, \"shares\": 1024}}", 252),
			 "unit property CPUWeight=100  [/linux/resources/cpu/shares]\n");
}

Test(unit_properties, what_an_old_systemd_does_not_know_is_left_out)
{
	cr_expect_str_eq(limits("{\"cpu\": {\"cpus\": \"0\"}, \"pids\": {\"limit\": 5}}", 243),
			 "unit property TasksMax=5  [/linux/resources/pids/limit]\n");
}

Test(unit_properties, unified_members_win_and_become_properties_too)
{
	cr_expect_str_eq(limits("{\"memory\": {\"limit\": 4096}, \"unified\": {\"memory.max\": \"1G\", \"memory.high\": \"max\","
				" \"cpu.max\": \"max 20000\", \"io.weight\": \"default 250\", \"memory.min\": \"8192\"}}", 252),
			 "unit property MemoryMax=1073741824  [/linux/resources/unified/memory.max]\n"
			 "unit property MemoryHigh=infinity  [/linux/resources/unified/memory.high]\n"
			 "unit property CPUQuotaPeriodUSec=20000  [/linux/resources/unified/cpu.max]\n"
			 "unit property CPUQuotaPerSecUSec=infinity  [/linux/resources/unified/cpu.max]\n"
			 "unit property IOWeight=250  [/linux/resources/unified/io.weight]\n"
			 "unit property MemoryMin=8192  [/linux/resources/unified/memory.min]\n");
}

Test(unit_properties, what_systemd_has_no_property_for_is_the_cgroups_alone)
{
	cr_expect_str_eq(limits("{\"cpu\": {\"burst\": 0}, \"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 0}],"
				" \"unified\": {\"memory.oom.group\": \"1\", \"io.weight\": \"8:0 200\", \"misc.max\": \"a 1\"}}", 252), "");
	cr_expect(unit_knows_file("memory.max"));
	cr_expect_not(unit_knows_file("cpu.max.burst"));
}

Test(unit_properties, killing_together_is_a_policy_that_is_given_at_the_start)
{
	static struct cg_write w = { .file = "memory.oom.group", .value = "1", .pointer = "/x" };
	struct cg_plan plan = { .v = &w, .n = 1 };
	struct unit_plan later = { .arena = &a };

	cr_expect_str_eq(limits("{\"unified\": {\"memory.oom.group\": \"1\"}}", 253),
			 "unit property OOMPolicy=\"kill\"  [/linux/resources/unified/memory.oom.group]\n");
	cr_expect_eq(unit_plan_limits(&later, &plan, 253, UNIT_LATER, NULL), 0);
	cr_expect_eq(later.n, 0);
	cr_expect_not(unit_knows_file("memory.oom.group"));
}

Test(unit_properties, a_block_weight_is_given_in_the_terms_of_io_weight)
{
	cr_expect_str_eq(limits("{\"blockIO\": {\"weight\": 1000}}", 252),
			 "unit property IOWeight=10000  [/linux/resources/blockIO/weight]\n");
}

Test(unit_properties, a_value_that_is_no_number_is_refused_by_name)
{
	static const char *const bad[] = { "{\"unified\": {\"memory.max\": \"lots\"}}", "{\"unified\": {\"pids.max\": \"-3\"}}",
					   "{\"unified\": {\"cpu.max\": \"1000 0\"}}", "{\"unified\": {\"cpu.max\": \"x\"}}",
					   "{\"unified\": {\"cpu.weight\": \"heavy\"}}" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = ERROR_INIT;

		cr_expect_eq(refusal(bad[i], &err), -EINVAL, "%s", bad[i]);
		cr_expect(strstr(err.text, "is not what systemd's"), "%s", err.text);
		cr_expect(strstr(err.at, "/linux/resources/unified/"), "%s", err.at);
	}
}

static const char *devices(const struct spec_device_rule *v, size_t n)
{
	struct cg_device_rules list = { .v = v, .n = n };
	struct unit_plan plan = { .arena = &a };
	auto_buf struct buf out = BUF_INIT;

	unit_plan_devices(&plan, &list, 1);
	unit_plan_print(&plan, &out);
	return arena_strdup(&a, out.data);
}

#define RULE(allow_, type_, major_, minor_, access_) \
	{ .allow = (allow_), .type = (type_), .major = (major_), .minor = (minor_), .access = (access_) }
enum { R = SPEC_DEV_READ, W = SPEC_DEV_WRITE, M = SPEC_DEV_MKNOD };

Test(unit_devices, a_list_of_what_is_allowed_is_strict)
{
	const struct spec_device_rule rules[] = { RULE(false, 'a', -1, -1, R | W | M), RULE(true, 'c', 1, 3, R | W | M),
						  RULE(true, 'c', 136, -1, R | W), RULE(true, 'b', -1, -1, M) };

	cr_expect_str_eq(devices(rules, 4),
			 "unit property DevicePolicy=\"strict\"  [/linux/resources/devices]\n"
			 "unit property DeviceAllow=[/dev/char/1:3 rwm char-136 rw block-* m]  [/linux/resources/devices]\n");
}

Test(unit_devices, everything_allowed_needs_no_list)
{
	const struct spec_device_rule rules[] = { RULE(false, 'a', -1, -1, R | W | M), RULE(true, 'c', 1, 3, R),
						  RULE(true, 'a', -1, -1, R | W | M), RULE(false, 'c', 1, 1, R) };

	cr_expect_str_eq(devices(rules, 4), "unit property DevicePolicy=\"auto\"  [/linux/resources/devices]\n");
	cr_expect_str_eq(devices(NULL, 0), "unit property DevicePolicy=\"auto\"  [/linux/resources/devices]\n");
}

Test(unit_devices, a_wildcard_that_denies_starts_anew)
{
	const struct spec_device_rule rules[] = { RULE(true, 'c', 1, 3, R), RULE(false, 'a', -1, -1, R | W | M),
						  RULE(true, 'c', 5, 0, W) };

	cr_expect_str_eq(devices(rules, 3),
			 "unit property DevicePolicy=\"strict\"  [/linux/resources/devices]\n"
			 "unit property DeviceAllow=[/dev/char/5:0 w]  [/linux/resources/devices]\n");
}

/* Whatever our own program allows, systemd's must too. */
Test(unit_devices, the_list_is_never_narrower_than_the_rules)
{
	const struct spec_device_rule rules[] = { RULE(false, 'a', -1, -1, R | W | M), RULE(true, 'a', -1, -1, R),
						  RULE(false, 'c', 1, -1, R), RULE(true, 'a', 7, 2, W) };

	cr_expect_str_eq(devices(rules, 4),
			 "unit property DevicePolicy=\"strict\"  [/linux/resources/devices]\n"
			 "unit property DeviceAllow=[char-* r block-* r /dev/char/7:2 w /dev/block/7:2 w]  [/linux/resources/devices]\n");
}
