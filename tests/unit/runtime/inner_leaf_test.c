/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inner_leaf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(inner_leaf, .timeout = 20);

Test(inner_leaf, is_named_by_an_annotation_or_not_at_all)
{
	static const struct spec_key_value notes[] = { { "other", "x" }, { INNER_LEAF_ANNOTATION, "init" } };

	cr_expect_str_eq(inner_leaf_name(notes, 2), "init");
	cr_expect_null(inner_leaf_name(notes, 1));
	cr_expect_null(inner_leaf_name(NULL, 0));
}

Test(inner_leaf, has_one_name_that_no_kernel_file_has)
{
	static const char *const bad[] = { "", "/", "a/b", "..", ".", "/a", "cgroup.procs", "memory.max", "a b", "a\n" };

	cr_expect_eq(inner_leaf_check(NULL, NULL), 0);
	cr_expect_eq(inner_leaf_check("init", NULL), 0);
	cr_expect_eq(inner_leaf_check("init.scope", NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error err = ERROR_INIT;

		cr_expect_eq(inner_leaf_check(bad[i], &err), -EINVAL, "\"%s\"", bad[i]);
		cr_expect_str_eq(err.at, "/annotations/" INNER_LEAF_ANNOTATION);
	}
}

Test(inner_leaf, is_not_opened_through_a_link)
{
	char dir[] = "/tmp/inner-leaf-XXXXXX";

	cr_assert_not_null(mkdtemp(dir));

	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	cr_assert_eq(symlinkat("/", fd, "init"), 0);
	cr_expect_lt(inner_leaf_open(fd, "init"), 0);
	cr_expect_eq(inner_leaf_open(fd, "gone"), -ENOENT);
	unlinkat(fd, "init", 0);
	close(fd);
	rmdir(dir);
}
