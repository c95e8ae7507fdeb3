/* SPDX-License-Identifier: Apache-2.0 */
/* The specification's own examples, and configs as engines really write them (tests/data). */
#include "tests/unit/spec/spec_fixture.h"

#include <dirent.h>

TestSuite(spec_samples, .fini = release_arena);

/* Calls check for each .json file of a directory whose name ends in suffix; returns how many there were. */
static int each_file(const char *dir, const char *suffix, void (*check)(const char *path))
{
	auto_closedir DIR *d = opendir(dir);
	int n = 0;

	cr_assert_not_null(d, "%s", dir);
	for (struct dirent *e; (e = readdir(d));) {
		char path[600];
		size_t len = strlen(e->d_name);

		if (len < strlen(suffix) || strcmp(e->d_name + len - strlen(suffix), suffix) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		check(path);
		arena_release(&arena);
		n++;
	}
	return n;
}

/* The large example says version 0.5.0-dev: its members are good, its major is not ours to run. */
static void must_parse(const char *path)
{
	size_t n;
	const char *text = read_whole(path, &n);
	struct spec *spec = NULL;

	error = ERROR_INIT;
	cr_expect_eq(spec_parse(text, n, &arena, &spec, &error), 0, "%s: %s at %s", path,
		     error.text, error.at);
}

Test(spec_samples, good_examples_parse)
{
	cr_assert_eq(each_file("tests/data/oci-schema/config/good", ".json", must_parse), 9);
}

static void must_fail(const char *path)
{
	size_t n;
	const char *text = read_whole(path, &n);
	struct spec *spec = NULL;

	error = ERROR_INIT;
	/* A member of another platform is unknown here, and ignored as such. */
	int expected = strstr(path, "freebsd") ? 0 : -EINVAL;

	cr_expect_eq(spec_parse(text, n, &arena, &spec, &error), expected, "%s", path);
}

Test(spec_samples, bad_examples_are_refused)
{
	cr_assert_eq(each_file("tests/data/oci-schema/config/bad", ".json", must_fail), 5);
}

static void must_be_good(const char *path)
{
	size_t n;
	const char *text = read_whole(path, &n);
	struct log log = log_to_memory();
	struct spec *spec = NULL;

	cr_expect_eq(take_bytes(text, n, &log, &spec), 0, "%s: %s at %s", path, error.text,
		     error.at);
	cr_expect_str_empty(logged(&log), "%s: %s", path, logged(&log));
	cr_expect(spec && spec->has_process && spec->process.args.n > 0, "%s", path);
	cr_expect(spec && spec->linux_.ns[SPEC_NS_MOUNT].listed, "%s", path);
	close(log.fd);
}

Test(spec_samples, engines_configs_are_good_without_a_warning)
{
	cr_assert_geq(each_file("tests/data/engine-samples", "-config.json", must_be_good), 20);
}

static void must_be_process(const char *path)
{
	size_t n;
	const char *text = read_whole(path, &n);
	struct log log = log_to_memory();
	struct spec_process *p = NULL;

	error = ERROR_INIT;
	cr_expect_eq(spec_parse_process(text, n, &arena, &log, &p, &error), 0, "%s: %s", path,
		     error.text);
	cr_expect_str_empty(logged(&log), "%s: %s", path, logged(&log));
	close(log.fd);
}

Test(spec_samples, engines_exec_files_are_good)
{
	cr_assert_eq(each_file("tests/data/engine-samples", "-exec-process.json", must_be_process),
		     3);
}

static void must_be_resources(const char *path)
{
	size_t n;
	const char *text = read_whole(path, &n);
	struct spec_resources *r = NULL;

	error = ERROR_INIT;
	cr_expect_eq(spec_parse_resources(text, n, &arena, NULL, &r, &error), 0, "%s: %s", path,
		     error.text);
	cr_expect(r->cpu && r->cpu->quota.v == 30000, "%s", path);
}

Test(spec_samples, engines_update_files_are_good)
{
	cr_assert_eq(each_file("tests/data/engine-samples", "-update-resources.json",
			       must_be_resources),
		     2);
}

Test(spec_samples, a_docker_config_is_read_as_written)
{
	size_t n;
	const char *text = read_whole("tests/data/engine-samples/docker-config.json", &n);
	struct spec *s = NULL;

	cr_assert_eq(take_bytes(text, n, NULL, &s), 0);
	cr_assert_str_eq(s->hostname, "0d28cc1ea8eb");
	cr_assert_eq(s->n_mounts, 10);
	cr_assert_eq(s->linux_.n_sysctl, 2);
	cr_assert_eq(__builtin_popcountll(s->process.capabilities->set[SPEC_CAP_BOUNDING]), 14);
	cr_assert_str_eq(s->linux_.seccomp->default_action, "SCMP_ACT_ERRNO");
	cr_assert_eq(s->linux_.seccomp->raw[0], '{');
	cr_assert_eq(s->linux_.seccomp->raw[s->linux_.seccomp->raw_len - 1], '}');
	cr_assert(memmem(text, n, s->linux_.seccomp->raw, s->linux_.seccomp->raw_len));
}
