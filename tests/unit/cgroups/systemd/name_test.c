/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "cgroups/systemd/systemd.h"

static struct arena a = ARENA_INIT;

static void made(const char *given, const char *slice, const char *unit, const char *path)
{
	struct error err = ERROR_INIT;
	struct unit_name u = { 0 };

	cr_assert_eq(unit_name_make(given, "web", &a, &u, &err), 0, "%s: %s", given, err.text);
	cr_expect_str_eq(u.slice, slice);
	cr_expect_str_eq(u.unit, unit);
	cr_expect_str_eq(u.path, path);
}

static void refused(const char *given, const char *why)
{
	struct error err = ERROR_INIT;
	struct unit_name u = { .slice = "untouched" };

	cr_assert_eq(unit_name_make(given, "web", &a, &u, &err), -EINVAL, "%s is taken", given);
	cr_expect(strstr(err.text, why), "%s: %s", given, err.text);
	cr_expect_str_eq(err.at, "/linux/cgroupsPath");
	cr_expect_str_eq(u.slice, "untouched");
}

Test(unit_name, absent_or_empty_path_is_a_scope_in_the_system_slice)
{
	made(NULL, "system.slice", "bulkhead-web.scope", "system.slice/bulkhead-web.scope");
	made("", "system.slice", "bulkhead-web.scope", "system.slice/bulkhead-web.scope");
}

Test(unit_name, three_parts_are_slice_prefix_and_name)
{
	made("system.slice:docker:0af3", "system.slice", "docker-0af3.scope", "system.slice/docker-0af3.scope");
	made(":docker:0af3", "system.slice", "docker-0af3.scope", "system.slice/docker-0af3.scope");
}

Test(unit_name, slices_nest_by_their_dashes)
{
	made("kubepods-burstable-pod12.slice:cri-containerd:ab", "kubepods-burstable-pod12.slice",
	     "cri-containerd-ab.scope",
	     "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12.slice/cri-containerd-ab.scope");
}

Test(unit_name, a_dash_is_the_root_slice)
{
	made("-:x:y", "-.slice", "x-y.scope", "x-y.scope");
	made("-.slice:x:y", "-.slice", "x-y.scope", "x-y.scope");
}

Test(unit_name, an_empty_prefix_leaves_no_dash)
{
	made("a.slice::y", "a.slice", "y.scope", "a.slice/y.scope");
}

Test(unit_name, a_name_that_is_a_slice_is_the_unit)
{
	struct error err = ERROR_INIT;
	struct unit_name u;

	made("a.slice:ignored:a-b.slice", "a.slice", "a-b.slice", "a.slice/a-b.slice");
	made("-:x:a.slice", "-.slice", "a.slice", "a.slice");
	cr_assert_eq(unit_name_make("-::a.slice", "web", &a, &u, &err), 0);
	cr_expect(u.is_slice);
	refused("system.slice::a-b.slice", "lies in a.slice by its name");
}

Test(unit_name, a_directory_the_kernel_might_mistake_gets_an_underscore)
{
	made("-::memory.x", "-.slice", "memory.x.scope", "_memory.x.scope");
	made("cpu.slice:p:n", "cpu.slice", "p-n.scope", "_cpu.slice/p-n.scope");
	made("-::_x", "-.slice", "_x.scope", "__x.scope");
	made("-::cpux", "-.slice", "cpux.scope", "cpux.scope");
}

Test(unit_name, other_shapes_are_refused_by_name)
{
	refused("/sys/fs/cgroup/x", "is not of the form slice:prefix:name");
	refused("a/b", "is not of the form");
	refused("a.slice", "is not of the form");
	refused("a.slice:b", "is not of the form");
	refused("a.slice:b:c:d", "is not of the form");
	refused("a.slice:b:", "names no unit");
	refused("a:b:c", "must end in .slice");
	refused("a.service:b:c", "must end in .slice");
}

Test(unit_name, what_is_no_slice_is_refused)
{
	refused("a--b.slice:p:n", "is no slice");
	refused("-a.slice:p:n", "is no slice");
	refused("a-.slice:p:n", "is no slice");
	refused(".slice:p:n", "is no slice");
	refused("a/b.slice:p:n", "cannot be part of a slice's name");
	refused("a@b.slice:p:n", "cannot be part of a slice's name");
}

Test(unit_name, characters_that_are_not_a_units_are_refused)
{
	refused(":p:a/b", "cannot be part of a unit's name");
	refused(":p:../x", "cannot be part of a unit's name");
	refused(":p:a b", "cannot be part of a unit's name");
	refused(":p:a\nb", "cannot be part of a unit's name");
	refused(":p/q:a", "cannot be part of a unit's name");
	refused(":p:a%n", "cannot be part of a unit's name");
	refused(":p:a\"b", "cannot be part of a unit's name");
	refused(":p:caf\xc3\xa9", "cannot be part of a unit's name");
	refused(":p:a+b", "cannot be part of a unit's name");
}

Test(unit_name, a_name_beyond_what_systemd_takes_is_refused)
{
	char given[512] = ":p:";

	memset(given + 3, 'x', 247);
	made(given, "system.slice", arena_printf(&a, "p-%s.scope", given + 3),
	     arena_printf(&a, "system.slice/p-%s.scope", given + 3));
	memset(given + 3, 'x', 248);
	refused(given, "longer than 255");
}
