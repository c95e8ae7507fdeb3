/* SPDX-License-Identifier: Apache-2.0 */
/* Options and annotations about a container's files, as one wish: pure. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <string.h>

#include "runtime/storage.h"
#include "spec/base/auto.h"

static struct arena arena;
static struct storage_wish wish;
static struct error err;
static char line[1024];

static int read_with(const struct rt_storage *opt, const char *key, const char *value)
{
	struct spec_key_value note = { key, value };
	struct spec_mount m = { .destination = "/proc" };
	struct spec spec = { .mounts = &m, .n_mounts = 1, .annotations = &note, .n_annotations = key ? 1 : 0 };

	wish = (struct storage_wish){ .n_layers = 0 };
	err = ERROR_INIT;

	int r = storage_wish(opt, &spec, &arena, &wish, &err);

	error_line(&err, line, sizeof(line));
	return r;
}

static int read_options(const struct rt_storage *opt)
{
	return read_with(opt, NULL, NULL);
}

Test(storage, nothing_asked_for_is_nothing)
{
	cr_expect_eq(read_options(&(struct rt_storage){ .image = NULL }), 0);
	cr_expect(!wish.image && !wish.n_layers && !wish.n_sides && !wish.n_volumes && !wish.max_bytes);
}

Test(storage, an_image_may_stand_in_both_places_if_it_is_the_same)
{
	struct rt_storage opt = { .image = "web" };

	cr_expect_eq(read_with(&opt, STORAGE_IMAGE, "web"), 0);
	cr_expect_str_eq(wish.image, "web");
	cr_expect_eq(read_with(&(struct rt_storage){ .image = NULL }, STORAGE_IMAGE, "db"), 0);
	cr_expect_str_eq(wish.image, "db");
	cr_expect_eq(read_with(&opt, STORAGE_IMAGE, "db"), -EINVAL);
	cr_expect_str_eq(line, "--image \"web\" and the annotation dev.bulkhead.image \"db\" differ");
	cr_expect_str_eq(err.at, "/annotations/dev.bulkhead.image");
}

Test(storage, layers_are_a_list_of_commas_or_of_json)
{
	static const char *const same[] = { "/a,sha256:0", "[\"/a\",\"sha256:0\"]" };
	char *typed[] = { "/a", "sha256:0", NULL }, *other[] = { "sha256:0", "/a", NULL };
	struct rt_storage none = { .image = NULL };

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		cr_expect_eq(read_with(&none, STORAGE_LAYERS, same[i]), 0, "%s", line);
		cr_assert_eq(wish.n_layers, 2);
		cr_expect(wish.layers_are_noted);
		cr_expect_str_eq(wish.layers[0], "/a");
		cr_expect_str_eq(wish.layers[1], "sha256:0");
		cr_expect_eq(read_with(&(struct rt_storage){ .layers = typed }, STORAGE_LAYERS, same[i]), 0);
		cr_expect_not(wish.layers_are_noted);
		cr_expect_eq(read_with(&(struct rt_storage){ .layers = other }, STORAGE_LAYERS, same[i]), -EINVAL);
	}
}

static char *with_empty[] = { "/a", "", NULL };
static char *one_layer[] = { "/a", NULL };

struct refusal {
	struct rt_storage opt;
	const char *key, *value, *message;
};

#define SIDE(text) .opt.mount_images = (char *[]){ text, NULL }
#define VOLUME(...) .opt.volumes = (char *[]){ __VA_ARGS__, NULL }

Test(storage, what_cannot_be_is_refused_in_words)
{
	struct refusal all[] = {
		{ .opt.image = "", .message = "--image is empty" },
		{ .opt.layers = with_empty, .message = "--layer has an empty name of a layer" },
		{ .key = STORAGE_LAYERS, .value = "[]", .message = "names no layer" },
		{ .key = STORAGE_LAYERS, .value = "[{}]", .message = "is no string" },
		{ .key = STORAGE_LAYERS, .value = "[\"a\"", .message = "the annotation dev.bulkhead.layers" },
		{ .key = STORAGE_LAYERS, .value = "", .message = "has an empty name" },
		{ .opt = { .image = "x", .layers = one_layer }, .message = "cannot both say what the root is made of" },
		{ .opt = { .image = "x", .sandbox = "" }, .message = "--sandbox is empty" },
		{ .opt = { .image = "x", .sandbox = "kept" }, .message = "must be keep, discard or memory[:SIZE]" },
		{ .opt = { .image = "x", .sandbox = "keep,memory:1m" }, .message = "cannot be kept" },
		{ .opt = { .image = "x", .sandbox = "keep,discard" }, .message = "one of keep, discard and memory" },
		{ .opt = { .image = "x", .sandbox = "memory:" }, .message = "a number of bytes, such as 64m, not \"\"" },
		{ .opt = { .image = "x", .sandbox_size = "-1" }, .message = "--sandbox-size must be a number of bytes" },
		{ .opt = { .image = "x", .sandbox_size = "0" }, .message = "--sandbox-size must be a number of bytes" },
		{ .opt = { .image = "x", .sandbox = "memory:1m", .sandbox_size = "2m" }, .message = "differ in the size" },
		{ .opt = { .image = "x", .sandbox_size = "2m" }, .key = STORAGE_SIZE, .value = "3m", .message = "differ" },
		{ .opt.sandbox_inodes = 7, .message = "--sandbox-inodes is about a sandbox" },
		{ .key = STORAGE_SANDBOX, .value = "keep", .message = "is about a sandbox" },
		{ SIDE("img"), .message = "--mount-image must be IMAGE:/PATH[:ro|:rw], not \"img\"" },
		{ SIDE("a:/x:rw:rw"), .message = "--mount-image must be" },
		{ SIDE(":/x"), .message = "--mount-image must be" },
		{ SIDE("a:/"), .message = "would hide the whole root" },
		{ SIDE("a:/proc/."), .message = "--mount-image on /proc, where a mount of the config is already" },
		{ VOLUME("/a"), .message = "--volume must be SOURCE:/PATH[:OPTION,...]" },
		{ VOLUME("/a:b"), .message = "--volume must be" },
		{ VOLUME("/a:/b:ro:rw"), .message = "--volume must be" },
		{ VOLUME("/a:/b:z"), .message = "unknown option \"z\"" },
		{ VOLUME("/a:/b:ro,,nodev"), .message = "unknown option \"\"" },
		{ VOLUME("/a:/b:rw,ro"), .message = "\"ro\" contradicts" },
		{ VOLUME("/a:/b", "/c:/x/../b/"), .message = "--volume on /b, where --volume is already" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		cr_expect_eq(read_with(&all[i].opt, all[i].key, all[i].value), -EINVAL, "%zu: %s", i, all[i].message);
		cr_expect(strstr(line, all[i].message), "%zu: no \"%s\" in: %s", i, all[i].message, line);
		cr_expect_eq(!!err.at[0], !!all[i].key, "%zu: at \"%s\"", i, err.at);
	}
}

Test(storage, the_mode_and_the_size_of_a_sandbox)
{
	cr_expect_eq(read_options(&(struct rt_storage){ .image = "x", .sandbox = "keep", .sandbox_size = "1g" }), 0);
	cr_expect(wish.keep && !wish.memory && wish.max_bytes == 1 << 30);
	cr_expect_eq(read_options(&(struct rt_storage){ .image = "x", .sandbox = "memory:64m", .sandbox_inodes = 9 }), 0);
	cr_expect(!wish.keep && wish.memory && wish.max_bytes == 64 << 20 && wish.max_inodes == 9);
	cr_expect_eq(read_options(&(struct rt_storage){ .image = "x", .sandbox = "memory:1k", .sandbox_size = "1024" }), 0);
	cr_expect_eq(read_with(&(struct rt_storage){ .image = "x", .sandbox = "discard" }, STORAGE_SIZE, "2k"), 0);
	cr_expect(!wish.keep && !wish.memory && wish.max_bytes == 2048);
}

Test(storage, the_path_of_an_image_is_what_follows_the_last_colon_and_slash)
{
	char *given[] = { "debian:12:/opt", "oci:/srv/i:t:/a/b:rw", "x:/c:ro", NULL };

	cr_expect_eq(read_options(&(struct rt_storage){ .mount_images = given, .sandbox = "memory" }), 0, "%s", line);
	cr_assert_eq(wish.n_sides, 3);
	cr_expect_str_eq(wish.sides[0].image, "debian:12");
	cr_expect_str_eq(wish.sides[0].path, "/opt");
	cr_expect_str_eq(wish.sides[1].image, "oci:/srv/i:t");
	cr_expect_str_eq(wish.sides[1].path, "/a/b");
	cr_expect(!wish.sides[0].is_writable && wish.sides[1].is_writable && !wish.sides[2].is_writable);
}

static void expect_volume(const char *text, const char *source, const char *place, const char *options)
{
	char *given[] = { (char *)text, NULL };
	auto_buf struct buf b = BUF_INIT;

	cr_assert_eq(read_options(&(struct rt_storage){ .volumes = given }), 0, "%s: %s", text, line);
	cr_expect_str_eq(wish.volumes[0].source, source);
	cr_expect_str_eq(wish.volumes[0].destination, place);
	for (size_t i = 0; i < wish.volumes[0].options.n; i++)
		buf_printf(&b, "%s%s", i ? "," : "", wish.volumes[0].options.v[i]);
	cr_expect_str_eq(b.data, options, "%s: %s", text, b.data);
}

Test(storage, a_volume_is_a_recursive_private_bind_unless_it_says_otherwise)
{
	expect_volume("/a:/b", "/a", "/b", "rbind,rprivate");
	expect_volume("./a:/b:rw", "./a", "/b", "rbind,rprivate");
	expect_volume("a:/b:ro,noexec,nosuid,nodev", "a", "/b", "rro,rnoexec,rnosuid,rnodev,rbind,rprivate");
	expect_volume("/a:/b:bind,rslave,idmap", "/a", "/b", "bind,rslave,idmap");
	expect_volume("/a:/b:shared,idmap=uids=0-1-2#3-4-5;gids=0-1-2", "/a", "/b",
		      "shared,idmap=uids=0-1-2#3-4-5;gids=0-1-2,rbind");
}
