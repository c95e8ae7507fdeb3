/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/group.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct rt_context ctx = { .root = "/nowhere" };
/* Nothing is open: whoever asks the kernel gets an error. */
static struct cg_host closed = { .root_fd = -1, .layout = CG_UNIFIED };

TestSuite(group, .timeout = 20);

static void expect_line(const struct error *err, const char *text)
{
	char line[2048];

	error_line(err, line, sizeof(line));
	cr_expect_not_null(strstr(line, text), "\"%s\" lacks \"%s\"", line, text);
}

struct asked {
	const char *option, *annotation, *cgroups_path;
	const char *path; /* what cgroupsPath or its absence means */
};

static int enter(const struct asked *q, char *path, size_t size, struct error *err)
{
	struct spec_key_value note = { CPG_ANNOTATION, q->annotation };
	struct spec spec = { .annotations = &note, .n_annotations = q->annotation != NULL };
	struct rt_create_options opt = { .id = "web", .cpu_group = q->option };

	spec.linux_.cgroups_path = q->cgroups_path;
	snprintf(path, size, "%s", q->path);
	int lock = -1;
	int r = group_enter(&ctx, &closed, &opt, &spec, path, size, &lock, err);

	cr_expect_eq(lock, -1, "nothing can be locked here");
	return r;
}

Test(group, a_path_outside_the_base_is_in_no_group)
{
	char buf[4096];

	cr_expect_null(group_of(&ctx, "docker/web", buf, sizeof(buf)));
	cr_expect_null(group_of(&ctx, "", buf, sizeof(buf)));
	cr_expect_null(group_of(&ctx, "cpugroupsx/gold/web", buf, sizeof(buf)));
	cr_expect_str_eq(group_of(&ctx, "cpugroups/gold/web", buf, sizeof(buf)), "gold");
	cr_expect_str_eq(group_of(&ctx, "cpugroups/gold/batch/job7", buf, sizeof(buf)), "gold/batch");
}

Test(group, the_base_is_the_one_of_the_command)
{
	struct rt_context other = { .root = "/nowhere", .cpu_group_base = "/a.slice/groups/" };
	char buf[4096];

	cr_expect_null(group_of(&other, "cpugroups/gold/web", buf, sizeof(buf)));
	cr_expect_str_eq(group_of(&other, "a.slice/groups/gold/web", buf, sizeof(buf)), "gold");
}

Test(group, outside_the_base_nothing_is_asked_and_nothing_changes)
{
	char path[4096];
	struct error err = ERROR_INIT;

	cr_expect_eq(enter(&(struct asked){ .path = "user.slice/web" }, path, sizeof(path), &err), 0);
	cr_expect_str_eq(path, "user.slice/web");
	cr_expect_eq(enter(&(struct asked){ .option = "/", .cgroups_path = "/docker/web", .path = "docker/web" }, path,
			   sizeof(path), &err), 0);
	cr_expect_str_eq(path, "docker/web");
}

Test(group, two_names_that_differ_are_an_error_with_both)
{
	char path[4096];
	struct error err = ERROR_INIT;

	cr_expect_eq(enter(&(struct asked){ .option = "gold", .annotation = "silver", .path = "web" }, path,
			   sizeof(path), &err), -EINVAL);
	expect_line(&err, "--cpu-group \"gold\" and the annotation " CPG_ANNOTATION " \"silver\" differ");
	cr_expect_str_eq(err.at, "/annotations/" CPG_ANNOTATION);
}

Test(group, a_name_and_a_path_below_the_base_that_differ_are_an_error_with_both)
{
	static const struct {
		struct asked q;
		const char *text;
	} v[] = {
		{ { "gold", NULL, "/cpugroups/silver/web", "cpugroups/silver/web" },
		  "--cpu-group \"gold\" and cgroupsPath /cpugroups/silver/web (CPU group \"silver\") differ" },
		{ { NULL, "gold", "/cpugroups/silver/web", "cpugroups/silver/web" },
		  "the annotation " CPG_ANNOTATION " \"gold\" and cgroupsPath /cpugroups/silver/web" },
		{ { "gold", NULL, "/cpugroups/web", "cpugroups/web" },
		  "cgroupsPath /cpugroups/web (in no CPU group) differ" },
		{ { "/", NULL, "/cpugroups/gold/web", "cpugroups/gold/web" },
		  "--cpu-group \"/\" and cgroupsPath /cpugroups/gold/web (CPU group \"gold\") differ" },
		{ { "gold", NULL, "/cpugroups/gold/batch/web", "cpugroups/gold/batch/web" },
		  "(CPU group \"gold/batch\") differ" },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		char path[4096];
		struct error err = ERROR_INIT;

		cr_expect_eq(enter(&v[i].q, path, sizeof(path), &err), -EINVAL, "case %zu", i);
		expect_line(&err, v[i].text);
		cr_expect_str_eq(err.at, "/linux/cgroupsPath");
	}
}

Test(group, a_bad_name_says_where_it_was_given)
{
	char path[4096];
	struct error err = ERROR_INIT;

	cr_expect_eq(enter(&(struct asked){ .option = "a//b", .path = "web" }, path, sizeof(path), &err), -EINVAL);
	expect_line(&err, "cannot use --cpu-group");
	err = ERROR_INIT;
	cr_expect_eq(enter(&(struct asked){ .annotation = "..", .path = "web" }, path, sizeof(path), &err), -EINVAL);
	expect_line(&err, "cannot use the annotation " CPG_ANNOTATION);
}

Test(group, a_name_decides_where_a_path_outside_the_base_does_not)
{
	char path[4096];

	/* The group cannot be looked at here, but the path says which one was meant. */
	enter(&(struct asked){ .option = "gold", .cgroups_path = "/docker/abc", .path = "docker/abc" }, path,
	      sizeof(path), NULL);
	cr_expect_str_eq(path, "cpugroups/gold/web");
	enter(&(struct asked){ .annotation = "gold/batch", .path = "user.slice/web" }, path, sizeof(path), NULL);
	cr_expect_str_eq(path, "cpugroups/gold/batch/web");
	enter(&(struct asked){ .option = "gold", .annotation = "gold", .cgroups_path = "/cpugroups/gold/other",
			       .path = "cpugroups/gold/other" }, path, sizeof(path), NULL);
	cr_expect_str_eq(path, "cpugroups/gold/other", "a path that agrees stays as it is");
	enter(&(struct asked){ .option = "/", .path = "cpugroups/gold/web" }, path, sizeof(path), NULL);
	cr_expect_str_eq(path, "web", "started from within a group, but to be in none");
}

Test(group, the_base_and_what_is_beside_the_groups_hold_no_container)
{
	char path[4096];
	struct error err = ERROR_INIT;

	cr_expect_eq(enter(&(struct asked){ .cgroups_path = "/cpugroups", .path = "cpugroups" }, path, sizeof(path),
			   &err), -EINVAL);
	expect_line(&err, "is the base of the CPU groups");
	err = ERROR_INIT;
	cr_expect_eq(enter(&(struct asked){ .cgroups_path = "/cpugroups/web", .path = "cpugroups/web" }, path,
			   sizeof(path), &err), -EINVAL);
	expect_line(&err, "lies beside the CPU groups");
}
