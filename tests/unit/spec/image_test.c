/* SPDX-License-Identifier: Apache-2.0 */
/* Image configs, and the config.json that comes of them. */
#include "tests/unit/spec/spec_fixture.h"

#include "spec/image.h"

TestSuite(spec_image, .fini = release_arena);

/* As a builder writes it for a small base image, members of Docker's own included. */
#define BASE_IMAGE \
	"{'architecture':'amd64','config':{'Hostname':'','Domainname':'','User':'','AttachStdin':false," \
	"'Tty':false,'Env':['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']," \
	"'Cmd':['/bin/sh'],'Image':'sha256:d3a1','Volumes':null,'WorkingDir':'','Entrypoint':null," \
	"'OnBuild':null,'Labels':null},'container':'4189cbc5','container_config':{'Cmd':['/bin/sh','-c'," \
	"'#(nop) ADD file:1']},'created':'2024-01-27T00:30:56.4Z','docker_version':'20.10.23'," \
	"'history':[{'created':'2024-01-27T00:30:48Z','created_by':'/bin/sh -c #(nop) ADD file:1'}]," \
	"'os':'linux','rootfs':{'type':'layers','diff_ids':['sha256:d4fc045c']}}"

/* As a server's image has it: everything that conversion.md names. */
#define SERVER_IMAGE \
	"{'created':'2015-10-31T22:22:56.015925234Z','author':'Alyssa P. Hacker <a@example.com>'," \
	"'architecture':'arm64','variant':'v8','os':'linux','os.version':'6.1','os.features':['x','y']," \
	"'config':{'User':'alice:staff','ExposedPorts':{'8080/tcp':{},'53/udp':{}}," \
	"'Env':['PATH=/opt/bin:/bin','FOO=oci is a','EMPTY=','HOME=/srv']," \
	"'Entrypoint':['/bin/server','--quiet'],'Cmd':['--config','/etc/a.cfg']," \
	"'Volumes':{'/var/data':{},'/var/log/app':{}},'WorkingDir':'/home/alice','StopSignal':'SIGQUIT'," \
	"'Labels':{'org.opencontainers.image.author':'by label','maintainer':'x\\ny'},'ArgsEscaped':true," \
	"'Healthcheck':{'Test':['CMD','x']}},'rootfs':{'type':'layers','diff_ids':[]}}"

#define CONFIG(m) "{'os':'linux','architecture':'amd64','config':{" m "}}"

static int take_image(const char *json, const struct spec_image **ret)
{
	size_t n;
	char *text = unquote(json, &n);
	int r;

	error = ERROR_INIT;
	r = spec_image_parse(text, n, &arena, ret, &error);
	memset(text, 'x', n); /* nothing may point into the caller's text */
	free(text);
	return r;
}

static const struct spec_image *image(const char *json)
{
	const struct spec_image *ret = NULL;

	cr_assert_eq(take_image(json, &ret), 0, "%s: %s at %s", json, error.text, error.at);
	return ret;
}

/* What comes of it, which is a valid config or nothing. */
static struct spec *made_logging(const struct spec_image_run *run, const struct log *log)
{
	auto_buf struct buf text = BUF_INIT;
	struct spec *spec = NULL;

	cr_assert_eq(spec_image_write(&text, run, log, &error), 0, "%s", error.text);
	cr_assert_eq(take_bytes(text.data, text.len, log, &spec), 0, "%s at %s in %s", error.text, error.at,
		     text.data);
	return spec;
}

static struct spec *made(const struct spec_image_run *run)
{
	struct log log = log_to_memory();
	struct spec *spec = made_logging(run, &log);

	cr_assert_str_empty(logged(&log), "%s", logged(&log));
	return spec;
}

static const char *joined(const struct spec_strings *list)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < list->n; i++)
		buf_printf(&text, "%s%s", i ? "|" : "", list->v[i]);

	const char *copy = arena_strdup(&arena, text.data ? text.data : "");

	buf_release(&text);
	return copy;
}

Test(spec_image, a_base_image_runs_its_command_as_root_in_the_root_directory)
{
	const struct spec *s = made(&(struct spec_image_run){ .image = image(BASE_IMAGE), .terminal = true });

	cr_assert_str_eq(joined(&s->process.args), "/bin/sh");
	cr_assert_str_eq(joined(&s->process.env),
			 "TERM=xterm|PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	cr_assert_str_eq(s->process.cwd, "/");
	cr_assert(s->process.terminal && s->process.no_new_privileges && !s->root.readonly);
	cr_assert_str_eq(s->root.path, "rootfs");
	cr_assert(s->process.user.uid == 0 && s->process.user.gid == 0 && !s->process.user.n_additional_gids);
	cr_assert_eq(s->process.n_rlimits, 0);
	cr_assert_null(s->hostname);
}

Test(spec_image, every_member_goes_where_the_specification_says)
{
	uint32_t groups[] = { 50, 1000 };
	const struct spec_image *from = image(SERVER_IMAGE);
	const struct spec *s = made(&(struct spec_image_run){
		.image = from,
		.user = { .uid = 1001, .gid = 50, .additional_gids = groups, .n_additional_gids = 2 },
		.hostname = "web",
	});

	cr_assert_str_eq(from->user, "alice:staff");
	cr_assert_str_eq(joined(&s->process.args), "/bin/server|--quiet|--config|/etc/a.cfg");
	cr_assert_str_eq(joined(&s->process.env), "PATH=/opt/bin:/bin|FOO=oci is a|EMPTY=|HOME=/srv");
	cr_assert_str_eq(s->process.cwd, "/home/alice");
	cr_assert(s->process.user.uid == 1001 && s->process.user.gid == 50);
	cr_assert(s->process.user.n_additional_gids == 2 && s->process.user.additional_gids[1] == 1000);
	cr_assert_str_eq(s->hostname, "web");

	static const struct { const char *key, *value; } rows[] = {
		{ "os", "linux" }, { "os.version", "6.1" }, { "os.features", "x,y" },
		{ "architecture", "arm64" }, { "variant", "v8" }, { "created", "2015-10-31T22:22:56.015925234Z" },
		{ "stopSignal", "SIGQUIT" }, { "exposedPorts", "8080/tcp,53/udp" }, { "author", "by label" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *key = arena_printf(&arena, "org.opencontainers.image.%s", rows[i].key);

		cr_expect_str_eq(spec_annotation(s, key), rows[i].value, "%s", key);
	}
	cr_assert_str_eq(spec_annotation(s, "maintainer"), "x\ny");
	cr_assert_eq(s->n_annotations, ARRAY_SIZE(rows) + 1);
}

Test(spec_image, absent_members_leave_no_annotation)
{
	const struct spec *s = made(&(struct spec_image_run){ .image = image("{'config':{'Cmd':['a']}}") });

	cr_assert_eq(s->n_annotations, 0);
}

Test(spec_image, a_config_that_is_null_or_absent_is_an_image_without_wishes)
{
	char *args[] = { "id", NULL };

	cr_assert_str_eq(joined(&made(&(struct spec_image_run){ .image = image("{'os':'linux','config':null}"),
								.args = args })->process.args), "id");
	cr_assert_str_eq(joined(&made(&(struct spec_image_run){ .image = image("{}"), .args = args })
				->process.args), "id");
}

#define BOTH CONFIG("'Entrypoint':['/e','-x'],'Cmd':['c','d']")
#define ONLY_CMD CONFIG("'Cmd':['c','d']")
#define ONLY_ENTRY CONFIG("'Entrypoint':['/e','-x']")

Test(spec_image, the_caller_s_command_takes_the_place_of_cmd_and_its_entrypoint_of_both)
{
	static const struct { const char *json, *entrypoint, *args[3], *expected; } rows[] = {
		{ BOTH, NULL, { NULL }, "/e|-x|c|d" },
		{ BOTH, NULL, { "a", "b" }, "/e|-x|a|b" },
		{ BOTH, "/own", { NULL }, "/own" },
		{ BOTH, "/own", { "a", "b" }, "/own|a|b" },
		{ BOTH, "", { "a", "b" }, "a|b" },
		{ BOTH, "", { NULL }, NULL },
		{ ONLY_CMD, NULL, { NULL }, "c|d" },
		{ ONLY_CMD, NULL, { "a" }, "a" },
		{ ONLY_CMD, "/own", { NULL }, "/own" },
		{ ONLY_CMD, "", { NULL }, NULL },
		{ ONLY_ENTRY, NULL, { NULL }, "/e|-x" },
		{ ONLY_ENTRY, NULL, { "a" }, "/e|-x|a" },
		{ CONFIG("'Cmd':[],'Entrypoint':[]"), NULL, { NULL }, NULL },
		{ NULL, NULL, { "a" }, "a" },
		{ NULL, "/own", { NULL }, "/own" },
		{ NULL, NULL, { NULL }, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_buf struct buf text = BUF_INIT;
		char *args[] = { (char *)rows[i].args[0], (char *)rows[i].args[1], NULL };
		const struct spec_image_run run = {
			.image = rows[i].json ? image(rows[i].json) : NULL,
			.entrypoint = rows[i].entrypoint, .args = args,
		};

		error = ERROR_INIT;
		if (rows[i].expected) {
			cr_expect_str_eq(joined(&made(&run)->process.args), rows[i].expected, "row %zu", i);
			continue;
		}
		cr_expect_eq(spec_image_write(&text, &run, NULL, &error), -22, "row %zu", i);
		cr_expect_str_eq(error.text, rows[i].json ?
				 "there is no program to run: no COMMAND was given, and the image has neither an "
				 "entrypoint nor a command" :
				 "there is no program to run: no COMMAND was given, and there is no image that "
				 "could name one");
	}
}

Test(spec_image, the_caller_s_variables_win_and_defaults_never_do)
{
	char *env[] = { "FOO=mine", "NEW=1", "FOOD=2", "NEW=3", "EMPTY", "TERM=vt100", NULL };
	const struct spec_image_run run = { .image = image(SERVER_IMAGE), .terminal = true };
	struct spec_image_run with = run;

	/* An entry without '=' is the command line's to refuse or to complete. */
	env[4] = "EMPTY=full";
	with.env = env;
	cr_assert_str_eq(joined(&made(&with)->process.env),
			 "PATH=/opt/bin:/bin|FOO=mine|EMPTY=full|HOME=/srv|FOOD=2|NEW=3|TERM=vt100");
	cr_assert_str_eq(joined(&made(&run)->process.env),
			 "TERM=xterm|PATH=/opt/bin:/bin|FOO=oci is a|EMPTY=|HOME=/srv");
}

Test(spec_image, a_working_directory_without_a_slash_is_below_the_root)
{
	const struct spec_image *from = image(CONFIG("'Cmd':['a'],'WorkingDir':'srv/x'"));

	cr_assert_str_eq(made(&(struct spec_image_run){ .image = from })->process.cwd, "/srv/x");
	cr_assert_str_eq(made(&(struct spec_image_run){ .image = from, .cwd = "/tmp" })->process.cwd, "/tmp");
}

Test(spec_image, only_root_starts_with_capabilities_and_nobody_with_inheritable_ones)
{
	const struct spec_image *from = image(ONLY_CMD);
	const uint64_t docker = 0xa80425fb; /* CapBnd of a container of Docker's default set */
	const struct spec_capabilities *root = made(&(struct spec_image_run){ .image = from })->process.capabilities;
	const struct spec_capabilities *user =
		made(&(struct spec_image_run){ .image = from, .user = { .uid = 1 } })->process.capabilities;

	cr_assert(root->set[SPEC_CAP_BOUNDING] == docker && root->set[SPEC_CAP_EFFECTIVE] == docker &&
		  root->set[SPEC_CAP_PERMITTED] == docker);
	cr_assert(user->set[SPEC_CAP_BOUNDING] == docker && !user->set[SPEC_CAP_EFFECTIVE] &&
		  !user->set[SPEC_CAP_PERMITTED]);
	cr_assert(!root->set[SPEC_CAP_INHERITABLE] && !root->set[SPEC_CAP_AMBIENT] &&
		  !user->set[SPEC_CAP_INHERITABLE] && !user->set[SPEC_CAP_AMBIENT]);
}

Test(spec_image, volumes_are_directories_of_the_image_unless_a_tmpfs_is_asked_for)
{
	const struct spec_image *from = image(SERVER_IMAGE);
	struct spec_image_run run = { .image = from };
	size_t before = made(&run)->n_mounts;

	run.volumes = SPEC_VOLUMES_TMPFS;

	const struct spec *s = made(&run);

	cr_assert_eq(s->n_mounts, before + 2);
	cr_assert_str_eq(s->mounts[before].destination, "/var/data");
	cr_assert_str_eq(s->mounts[before].type, "tmpfs");
	cr_assert_str_eq(joined(&s->mounts[before].options), "nosuid|nodev|tmpcopyup");
	cr_assert_str_eq(s->mounts[before + 1].destination, "/var/log/app");
}

Test(spec_image, the_caller_s_mounts_and_annotations_are_added)
{
	const struct spec_mount mounts[] = { { .destination = "/data", .source = "/srv", .type = "bind" } };
	const struct spec_key_value mine[] = { { "maintainer", "me" }, { "dev.bulkhead.x", "1" } };
	const struct spec *s = made(&(struct spec_image_run){
		.image = image(SERVER_IMAGE), .mounts = mounts, .n_mounts = 1, .annotations = mine, .n_annotations = 2,
	});

	cr_assert_str_eq(s->mounts[s->n_mounts - 1].source, "/srv");
	cr_assert_str_eq(spec_annotation(s, "maintainer"), "me");
	cr_assert_str_eq(spec_annotation(s, "dev.bulkhead.x"), "1");
}

Test(spec_image, a_network_of_the_host_is_no_namespace)
{
	const struct spec_image *from = image(ONLY_CMD);
	const struct spec *own = made(&(struct spec_image_run){ .image = from });
	const struct spec *host = made(&(struct spec_image_run){ .image = from, .host_network = true });

	cr_assert(own->linux_.ns[SPEC_NS_NETWORK].listed && !host->linux_.ns[SPEC_NS_NETWORK].listed);
	cr_assert(host->linux_.ns[SPEC_NS_PID].listed && host->linux_.ns[SPEC_NS_UTS].listed);
}

/* CVE-2024-3154, CVE-2026-53488: an image's label that reaches the machinery around the container. */
Test(spec_image, a_label_that_would_steer_the_runtime_is_left_out_with_a_warning)
{
	struct log log = log_to_memory();
	const struct spec *s = made_logging(
		&(struct spec_image_run){
			.image = image(CONFIG("'Cmd':['a'],'Labels':{'dev.bulkhead.cpu-group':'gold',"
					      "'org.systemd.property.ExecStopPost':'x','dev.bulkheads':'kept'}")) },
		&log);

	cr_assert_null(spec_annotation(s, "dev.bulkhead.cpu-group"));
	cr_assert_null(spec_annotation(s, "org.systemd.property.ExecStopPost"));
	cr_assert_str_eq(spec_annotation(s, "dev.bulkheads"), "kept");
	cr_assert_not_null(strstr(logged(&log), "label \\\"dev.bulkhead.cpu-group\\\" of the image is left out"), "%s",
			   logged(&log));
	cr_assert_not_null(strstr(logged(&log), "org.systemd.property.ExecStopPost"));
}

Test(spec_image, strings_of_an_image_cannot_leave_their_place_in_the_config)
{
	const struct spec *s = made(&(struct spec_image_run){
		.image = image(CONFIG("'Cmd':['a\\\",\\\"b'],'Env':['A=\\\"],\\\"x\\\":[\\\"\\n\\u0001'],"
				      "'Labels':{'\\\":1,\\\"k':'\\\"}'},'WorkingDir':'/\\\"/../..'")) });

	cr_assert_eq(s->process.args.n, 1);
	cr_assert_str_eq(s->process.args.v[0], "a\",\"b");
	cr_assert_str_eq(s->process.env.v[1], "A=\"],\"x\":[\"\n\x01");
	cr_assert_str_eq(spec_annotation(s, "\":1,\"k"), "\"}");
	cr_assert_str_eq(s->process.cwd, "/\"/../..");
}

Test(spec_image, what_is_wrong_in_an_image_is_named_with_its_place)
{
	static const struct refusal rows[] = {
		{ "[]", "the image config is an array, not an object", "" },
		{ "'x'", "the image config is \"x\", not an object", "" },
		{ "{'os':'windows'}", "os is \"windows\", not \"linux\": nothing of this image can run here", "/os" },
		{ "{'os':1}", "os is 1, not a string", "/os" },
		{ "{'config':[]}", "config is an array, not an object", "/config" },
		{ CONFIG("'Env':'A=1'"), "config.Env is \"A=1\", not an array", "/config/Env" },
		{ CONFIG("'Env':['A=1',2]"), "config.Env[1] is 2, not a string", "/config/Env/1" },
		{ CONFIG("'Env':['A=1','B']"), "config.Env[1] is \"B\", not NAME=value", "/config/Env/1" },
		{ CONFIG("'Env':['=x']"), "config.Env[0] is \"=x\", not NAME=value", "/config/Env/0" },
		{ CONFIG("'Env':[null]"), "config.Env[0] is null, not a string", "/config/Env/0" },
		{ CONFIG("'Cmd':'sh'"), "config.Cmd is \"sh\", not an array", "/config/Cmd" },
		{ CONFIG("'Cmd':['','x']"), "config.Cmd[0] is empty, where a program's name belongs", "/config/Cmd/0" },
		{ CONFIG("'Entrypoint':['']"), "config.Entrypoint[0] is empty, where a program's name belongs",
		  "/config/Entrypoint/0" },
		{ CONFIG("'User':7"), "config.User is 7, not a string", "/config/User" },
		{ CONFIG("'Volumes':['/a']"), "config.Volumes is an array, not an object", "/config/Volumes" },
		{ CONFIG("'Volumes':{'a':{}}"),
		  "config.Volumes.a does not begin with /: a volume's place is an absolute path", "/config/Volumes/a" },
		{ CONFIG("'ExposedPorts':{'':{}}"), "config.ExposedPorts has an empty key", "/config/ExposedPorts" },
		{ CONFIG("'Labels':{'a':1}"), "config.Labels.a is 1, not a string", "/config/Labels/a" },
		{ CONFIG("'Labels':{'':'x'}"), "config.Labels has an empty key (value \"x\")", "/config/Labels" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct spec_image *ret;

		expect_refused(&rows[i], take_image(rows[i].json, &ret));
	}
}

Test(spec_image, a_document_that_is_no_json_or_has_a_member_twice_is_refused)
{
	static const char *const rows[] = {
		"", "{", "{'config':{'User':'a','User':'b'}}", "{'config':{'Cmd':['a\\u0000b']}}", "{} {}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct spec_image *ret;

		cr_expect_eq(take_image(rows[i], &ret), -22, "%s was taken", rows[i]);
		cr_expect_not_null(strstr(error.text, "the image config"), "%s", error.text);
	}
}

Test(spec_image, a_deep_or_huge_document_is_refused)
{
	size_t n = 5u << 20;
	char *text = malloc(n);
	const struct spec_image *ret;

	memset(text, '[', n);
	error = ERROR_INIT;
	cr_expect_lt(spec_image_parse(text, 1000, &arena, &ret, &error), 0);
	cr_expect_lt(spec_image_parse(text, n, &arena, &ret, &error), 0);
	free(text);
}

/* All that comes from a config is a valid config again, whatever of a good document was flipped. */
Test(spec_image, a_damaged_document_gives_an_error_or_a_good_config)
{
	size_t n;
	char *text = unquote(SERVER_IMAGE, &n);
	char *args[] = { "x", NULL };
	unsigned seed = 1, taken = 0;

	for (int i = 0; i < 4000; i++) {
		char *copy = memcpy(malloc(n), text, n);
		const struct spec_image *ret = NULL;

		for (int k = 0; k < 3; k++) {
			seed = seed * 1103515245 + 12345;
			copy[(seed >> 8) % n] = (char)("\"{}[]:,0a/=\\"[(seed >> 3) % 12]);
		}
		error = ERROR_INIT;
		if (spec_image_parse(copy, n, &arena, &ret, &error) == 0) {
			auto_buf struct buf out = BUF_INIT;
			struct spec *spec;

			cr_assert_eq(spec_image_write(&out, &(struct spec_image_run){ .image = ret, .args = args },
						      NULL, &error), 0);
			cr_assert_eq(spec_parse(out.data, out.len, &arena, &spec, &error), 0, "%s in %s", error.text,
				     out.data);
			taken++;
		} else {
			cr_assert(error.text[0]);
		}
		free(copy);
		arena_release(&arena);
	}
	free(text);
	cr_assert_gt(taken, 100);
}
