/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/dl.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

struct table {
	double (*cosine)(double);
	double (*sine)(double);
	void *untouched;
};

static const struct dl_symbol symbols[] = {
	{ "sin", offsetof(struct table, sine) },
	{ "cos", offsetof(struct table, cosine) },
	{ "no_such_function", offsetof(struct table, untouched) },
};

Test(dl, functions_are_found_and_work)
{
	struct table t = { .untouched = &t };
	struct error err = ERROR_INIT;

	cr_assert_eq(dl_load("libm.so.6", "libc6", symbols, 2, &t, &err), 0, "%s", err.text);
	cr_expect_float_eq(t.sine(0), 0, 1e-9);
	cr_expect_float_eq(t.cosine(0), 1, 1e-9);
	cr_expect_eq(t.untouched, &t);
}

Test(dl, a_missing_library_is_enoent_and_names_its_package)
{
	struct table t = { 0 };
	struct error err = ERROR_INIT;

	cr_expect_eq(dl_load("libnosuch.so.7", "libnosuch7", symbols, 2, &t, &err), -ENOENT);
	cr_expect(strstr(err.text, "library libnosuch.so.7 does not load"), "%s", err.text);
	cr_expect_str_eq(err.hint, "install the package libnosuch7");
	cr_expect_null(t.sine);
}

Test(dl, a_missing_function_is_enotsup_and_leaves_the_table_alone)
{
	struct table t = { 0 };
	struct error err = ERROR_INIT;

	cr_expect_eq(dl_load("libm.so.6", "libc6", symbols, 3, &t, &err), -ENOTSUP);
	cr_expect_str_eq(err.text, "library libm.so.6 has no function no_such_function");
	cr_expect_null(t.sine);
	cr_expect_null(t.cosine);
}
