/* SPDX-License-Identifier: Apache-2.0 */
/* The documents we write: default config, features, state. */
#include "tests/unit/spec/spec_fixture.h"

TestSuite(spec_documents, .fini = release_arena);

static struct spec *default_spec(bool rootless, struct buf *text)
{
	struct spec_default_options opt = {
		.rootless = rootless,
		.euid = 1000,
		.egid = 100,
		.hostname = "bulkhead",
	};
	struct log log = log_to_memory();
	struct spec *spec = NULL;

	spec_write_default(text, &opt);
	cr_assert_eq(take_bytes(text->data, text->len, &log, &spec), 0, "%s at %s", error.text,
		     error.at);
	cr_assert_str_empty(logged(&log), "%s", logged(&log));
	return spec;
}

Test(spec_documents, the_default_config_is_good_without_a_warning)
{
	auto_buf struct buf text = BUF_INIT;
	const struct spec *s = default_spec(false, &text);

	cr_assert_str_eq(s->oci_version, SPEC_VERSION);
	cr_assert(s->root.readonly && s->process.terminal && s->process.no_new_privileges);
	cr_assert_str_eq(s->process.args.v[0], "sh");
	cr_assert_eq(s->process.capabilities->set[SPEC_CAP_BOUNDING],
		     1u << 29 | 1u << 5 | 1u << 10);
	cr_assert_eq(s->process.capabilities->set[SPEC_CAP_AMBIENT], 0);
	cr_assert_eq(s->process.rlimits[0].hard, 1024);
	cr_assert_str_eq(s->hostname, "bulkhead");
	cr_assert_eq(s->n_mounts, 7);
	cr_assert_str_eq(s->mounts[2].options.v[5], "gid=5");
	cr_assert_str_eq(s->mounts[6].options.v[3], "relatime");
	cr_assert_eq(s->linux_.masked_paths.n, 10);
	cr_assert_eq(s->linux_.readonly_paths.n, 5);
	cr_assert(s->linux_.ns[SPEC_NS_NETWORK].listed && s->linux_.ns[SPEC_NS_CGROUP].listed);
	cr_assert_not(s->linux_.ns[SPEC_NS_USER].listed);
	cr_assert(s->linux_.resources->n_devices == 1 && !s->linux_.resources->devices[0].allow);
}

Test(spec_documents, the_default_config_is_indented_by_tabs)
{
	auto_buf struct buf text = BUF_INIT;

	default_spec(false, &text);
	cr_assert(strncmp(text.data,
			  "{\n\t\"ociVersion\": \"1.3.0\",\n\t\"process\": {\n\t\t\"terminal\": "
			  "true,\n",
			  60) == 0,
		  "%s", text.data);
	cr_assert_not_null(strstr(text.data, "\t\t\"args\": [\n\t\t\t\"sh\"\n\t\t],\n"));
	cr_assert_eq(text.data[text.len - 1], '}');
}

Test(spec_documents, the_rootless_config_needs_no_privilege)
{
	auto_buf struct buf text = BUF_INIT;
	const struct spec *s = default_spec(true, &text);

	cr_assert(s->linux_.ns[SPEC_NS_USER].listed && !s->linux_.ns[SPEC_NS_NETWORK].listed);
	cr_assert_eq(s->linux_.uid_maps.v[0].host_id, 1000);
	cr_assert_eq(s->linux_.gid_maps.v[0].host_id, 100);
	cr_assert_null(s->linux_.resources);
	for (size_t i = 0; i < s->n_mounts; i++)
		for (size_t j = 0; j < s->mounts[i].options.n; j++)
			cr_assert_neq(strncmp(s->mounts[i].options.v[j], "gid=", 4), 0);
	cr_assert_str_eq(s->mounts[5].source, "/sys");
	cr_assert_str_eq(s->mounts[5].options.v[0], "rbind");
}

static const struct json *features(const struct spec_features_seccomp *seccomp)
{
	auto_buf struct buf text = BUF_INIT;
	const struct json *doc;

	spec_write_features(&text, seccomp, "0.1.0", "abc", seccomp ? "2.5.4" : NULL);
	cr_assert(strncmp(text.data, "{\n    \"ociVersionMin\": \"1.0.0\",\n", 32) == 0, "%s",
		  text.data);
	cr_assert_eq(json_parse(text.data, text.len, "features", &arena, &doc, &error), 0, "%s",
		     error.text);
	return doc;
}

static const struct json *at(const struct json *v, const char *path)
{
	char copy[128], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		v = json_get(v, name);
		cr_assert_not_null(v, "%s", path);
	}
	return v;
}

static void expect_sorted_strings(const struct json *list)
{
	const char *last = "";

	cr_assert_eq(list->type, JSON_ARRAY);
	cr_assert_gt(list->count, 0);
	json_each(v, list)
	{
		cr_assert_eq(v->type, JSON_STRING);
		cr_assert_lt(strcmp(last, v->text), 0, "%s after %s", v->text, last);
		last = v->text;
	}
}

Test(spec_documents, features_have_the_shape_of_their_schema)
{
	static const char *const words[] = { "SCMP_A", NULL };
	struct spec_features_seccomp seccomp = { .actions = words,
						 .operators = words,
						 .archs = words,
						 .known_flags = words,
						 .supported_flags = words };
	const struct json *doc = features(&seccomp);

	cr_assert_str_eq(at(doc, "ociVersionMax")->text, SPEC_VERSION);
	expect_sorted_strings(at(doc, "mountOptions"));
	expect_sorted_strings(at(doc, "linux/namespaces"));
	expect_sorted_strings(at(doc, "linux/memoryPolicy/modes"));
	expect_sorted_strings(at(doc, "linux/memoryPolicy/flags"));
	cr_assert_eq(at(doc, "hooks")->count, 6);
	cr_assert_eq(at(doc, "linux/namespaces")->count, 8);
	cr_assert_eq(at(doc, "linux/capabilities")->count, SPEC_CAP_LAST + 1);
	cr_assert_eq(at(doc, "linux/memoryPolicy/modes")->count, 7);
	json_each(v, at(doc, "linux/capabilities"))
	{
		cr_assert_eq(strncmp(v->text, "CAP_", 4), 0);
		cr_assert_eq(strspn(v->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), v->len, "%s", v->text);
	}
	json_each(v, at(doc, "linux/cgroup")) cr_assert_eq(v->type, JSON_BOOL);
	cr_assert_not(at(doc, "linux/cgroup/v1")->boolean);
	cr_assert(at(doc, "linux/cgroup/v2")->boolean);
	json_each(v, at(doc, "annotations")) cr_assert_eq(v->type, JSON_STRING);
	cr_assert_str_eq(at(doc, "annotations/dev.bulkhead.version")->text, "0.1.0");
	cr_assert_str_neq(at(doc, "annotations/org.opencontainers.runc.checkpoint.enabled")->text,
			  "true");
	cr_assert_str_eq(at(doc, "linux/seccomp/supportedFlags")->first->text, "SCMP_A");
	cr_assert(at(doc, "linux/mountExtensions/idmap/enabled")->boolean);
	cr_assert_eq(at(doc, "linux/netDevices/enabled")->type, JSON_BOOL);
}

Test(spec_documents, both_versions_of_features_are_taken_in_a_config)
{
	const struct json *doc = features(NULL);
	static const char *const names[] = { "ociVersionMin", "ociVersionMax" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char json[128];

		snprintf(json, sizeof(json), "{'ociVersion':'%s','root':{'path':'r'}}",
			 at(doc, names[i])->text);
		good(json);
	}
}

Test(spec_documents, unknown_seccomp_is_said_to_be_off)
{
	const struct json *doc = features(NULL);

	cr_assert_not(at(doc, "linux/seccomp/enabled")->boolean);
	cr_assert_null(json_get(at(doc, "linux/seccomp"), "actions"));
	cr_assert_null(json_get(at(doc, "annotations"), "io.github.seccomp.libseccomp.version"));
}

static const char *state_text(const struct spec_state *state)
{
	static struct buf text;
	struct json_w w = { .out = &text };

	buf_reset(&text);
	spec_write_state(&w, NULL, state);
	return text.data;
}

Test(spec_documents, the_state_has_what_is_known)
{
	static const struct spec_key_value notes[] = { { "k", "v\n" } };
	struct spec_state s = { .id = "c1",
				.status = "running",
				.bundle = "/b",
				.pid = 42,
				.rootfs = "/b/rootfs",
				.created = "2026-01-02T03:04:05Z",
				.owner = "",
				.annotations = notes,
				.n_annotations = 1,
				.cpu_group = "gold" };

	cr_assert_str_eq(
		state_text(&s),
		"{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"pid\":42,\"status\":\"running\","
		"\"bundle\":\"/b\","
		"\"rootfs\":\"/b/"
		"rootfs\",\"created\":\"2026-01-02T03:04:05Z\",\"annotations\":{\"k\":\"v\\n\"},"
		"\"owner\":\"\",\"cpuGroup\":\"gold\"}");
	s = (struct spec_state){ .id = "c1", .status = "stopped", .bundle = "/b" };
	cr_assert_str_eq(state_text(&s), "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"pid\":0,"
					 "\"status\":\"stopped\",\"bundle\":\"/b\"}");
	s.status = "creating";
	cr_assert_str_eq(state_text(&s), "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"status\":"
					 "\"creating\",\"bundle\":\"/b\"}");
}
