/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include "cgroups/cpugroup/internal.h"

static struct error err;
static const struct cpg cpg = { .base = "a.slice/groups" };

TestSuite(cpg_name);

static int check(const char *name)
{
	err = ERROR_INIT;
	return cpg_name_check(name, &err);
}

Test(cpg_name, plain_and_nested_names_pass)
{
	static const char *const good[] = { "gold", "a/b/c", "A_b+c.d-e", "...", "..a", "cpu", "cpux.max", "/", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect_eq(check(good[i]), 0, "%s: %s", good[i], line_of(&err));
}

Test(cpg_name, what_could_leave_the_base_or_meet_a_file_is_refused)
{
	static const char *const bad[] = { "",	    ".",	  "..",		  "a/..",      "../a",
					   "/a",    "a/",	  "a//b",	  "a b",       "a\nb",
					   "a\x7f", "cpu.max",	  "cgroup.procs", "a/io.max",  "memory.x",
					   "é",	    "cpuset.cpus", "a/./b",	  "a/cgroup.", "//" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_eq(check(bad[i]), -EINVAL, "\"%s\"", bad[i]);
}

Test(cpg_name, the_refusal_says_where_and_never_prints_the_byte_raw)
{
	check("go\033ld");
	cr_assert(strstr(line_of(&err), "byte 3 of \"go\" is \\x1b"), "%s", line_of(&err));
}

Test(cpg_name, a_component_has_at_most_255_bytes)
{
	char name[257];

	memset(name, 'x', 256);
	name[256] = '\0';
	cr_assert_eq(check(name), -ENAMETOOLONG);
	name[255] = '\0';
	cr_assert_eq(check(name), 0);
}

/* Whatever passes stays below the base: all strings of four bytes from an alphabet that is all there is to fear. */
Test(cpg_name, no_name_that_passes_leads_out_of_the_base)
{
	static const char alphabet[] = "./a\n";
	char name[5] = "";
	char path[128];

	for (unsigned i = 0; i < 256; i++) {
		for (unsigned k = 0; k < 4; k++)
			name[k] = alphabet[i >> (2 * k) & 3];
		if (check(name) < 0 || strcmp(name, "/") == 0)
			continue;
		cr_assert_eq(cpg_path(&cpg, name, NULL, path, sizeof(path), &err), 0);
		cr_assert_eq(cg_path_check(path, &err), 0, "%s", path);
		cr_assert_eq(strncmp(path, "a.slice/groups/", 15), 0);
		cr_assert_null(strstr(path, "/../"));
	}
}

Test(cpg_name, a_base_loses_its_slashes_and_must_be_a_clean_path)
{
	char buf[64];

	cr_assert_eq(cpg_base_clean("/cpugroups/", buf, sizeof(buf), &err), 0);
	cr_assert_str_eq(buf, "cpugroups");
	cr_assert_eq(cpg_base_clean("a.slice/a-b\\x2dc.slice", buf, sizeof(buf), &err), 0);
	cr_assert_str_eq(buf, "a.slice/a-b\\x2dc.slice");
	cr_assert_eq(cpg_base_clean("", buf, sizeof(buf), &err), -EINVAL);
	cr_assert_eq(cpg_base_clean("///", buf, sizeof(buf), &err), -EINVAL);
	cr_assert_eq(cpg_base_clean("a/../b", buf, sizeof(buf), &err), -EINVAL);
	cr_assert_eq(cpg_base_clean("a//b", buf, sizeof(buf), &err), -EINVAL);
	cr_assert_eq(cpg_base_clean("a b", buf, sizeof(buf), &err), -EINVAL);
	cr_assert_eq(cpg_base_clean("cgroup.procs", buf, sizeof(buf), &err), -EINVAL);
	cr_assert_eq(cpg_base_clean("abc", buf, 3, &err), -ENAMETOOLONG);
}

Test(cpg_name, paths_and_names_are_each_others_inverse)
{
	char path[128];
	char name[128];

	cr_assert_eq(cpg_path(&cpg, "gold/batch", "web", path, sizeof(path), &err), 0);
	cr_assert_str_eq(path, "a.slice/groups/gold/batch/web");
	cr_assert_str_eq(cpg_of_path(&cpg, path, name, sizeof(name)), "gold/batch");
	cr_assert_str_eq(cpg_of_path(&cpg, "/a.slice/groups/gold/web", name, sizeof(name)), "gold");
	cr_assert_null(cpg_of_path(&cpg, "a.slice/groups/web", name, sizeof(name)));
	cr_assert_null(cpg_of_path(&cpg, "a.slice/groupsx/gold/web", name, sizeof(name)));
	cr_assert_null(cpg_of_path(&cpg, "web", name, sizeof(name)));
	cr_assert_eq(cpg_path(&cpg, "gold", "web", path, 8, &err), -ENAMETOOLONG);
}

Test(cpg_name, the_root_is_the_bases_parent)
{
	const struct cpg top = { .base = "cpugroups" };
	char path[64];

	cr_assert_eq(cpg_path(&cpg, "/", "web", path, sizeof(path), &err), 0);
	cr_assert_str_eq(path, "a.slice/web");
	cr_assert_eq(cpg_path(&top, "/", "web", path, sizeof(path), &err), 0);
	cr_assert_str_eq(path, "web");
}

Test(cpg_name, every_kind_of_error_has_its_word)
{
	cr_assert_str_eq(cpg_error_kind(EEXIST), "exists");
	cr_assert_str_eq(cpg_error_kind(-ENOENT), "not-found");
	cr_assert_str_eq(cpg_error_kind(ENOTEMPTY), "not-empty");
	cr_assert_str_eq(cpg_error_kind(ERANGE), "invalid-value");
	cr_assert_str_eq(cpg_error_kind(ENOTSUP), "no-controller");
	cr_assert_str_eq(cpg_error_kind(EBUSY), "conflict");
	cr_assert_str_eq(cpg_error_kind(EDQUOT), "admission");
	cr_assert_str_eq(cpg_error_kind(EROFS), "permission");
	cr_assert_str_eq(cpg_error_kind(ETIMEDOUT), "timeout");
	cr_assert_str_eq(cpg_error_kind(EIO), "internal");
}
