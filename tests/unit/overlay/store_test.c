/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/store.h"

#include <errno.h>

#include "overlay/libs.h"
#include "overlay/record.h"
#include "overlay/source.h"
#include "tests/unit/overlay/room.h"

static struct arena arena;
static struct ovl_store store;
static char store_path[80];

static void init(void)
{
	room_make();
	snprintf(store_path, sizeof(store_path), "%s/deep/store", room_path);
	cr_assert_eq(ovl_store_open(store_path, OVL_MAKE, &store, &err), 0, "%s", err.text);
}

static void fini(void)
{
	ovl_store_close(&store);
	room_remove();
	arena_release(&arena);
}

TestSuite(ovl_store, .init = init, .fini = fini);

static struct ovl_layer layer_of(char digit)
{
	struct ovl_layer layer = { .entries = 3, .bytes = 100 };

	memset(layer.hex, digit, 64);
	memset(layer.listing, 'e', 64);
	return layer;
}

/* A layer in the store, with a file. */
static struct ovl_layer make_layer(char digit)
{
	struct ovl_layer layer = layer_of(digit);
	char path[256];

	snprintf(path, sizeof(path), "layers/%s", layer.hex);
	cr_assert_eq(mkdirat(store.fd, path, 0700), 0);

	int fd = openat(store.fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(mkdirat(fd, "tree", 0755), 0);
	cr_assert_eq(layer_write(fd, &layer, &err), 0, "%s", err.text);
	close(fd);
	return layer;
}

static void make_image(const char *name, struct ovl_layer *layers, size_t n)
{
	const struct ovl_image image = { .name = name, .source = "oci:/x", .manifest = "", .imported = "now",
					 .config = "{\"a\": [1]}", .config_n = 10, .config_digest = "sha256:0",
					 .layers = layers, .n_layers = n };

	cr_assert_eq(image_write(&store, &image, &err), 0, "%s", err.text);
}

static unsigned users_of(char digit)
{
	struct ovl_layer *v;
	size_t n;

	cr_assert_eq(ovl_layers(&store, &arena, &v, &n, &err), 0, "%s", err.text);
	for (size_t i = 0; i < n; i++)
		if (v[i].hex[0] == digit)
			return v[i].users;
	return 999;
}

Test(ovl_store, it_is_made_for_its_owner_alone)
{
	struct stat st;

	cr_assert_eq(fstat(store.fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	cr_expect_eq(ovl_store_open("relative", OVL_MAKE, &store, &err), -EINVAL);
	cr_expect_eq(ovl_store_open("/nowhere/at/all", OVL_EXISTING, &store, &err), -ENOENT);
	cr_assert_eq(fchmod(store.fd, 0770), 0);

	struct ovl_store again;

	cr_expect_eq(ovl_store_open(store_path, OVL_EXISTING, &again, &err), -EPERM);
}

Test(ovl_store, another_format_is_refused)
{
	struct ovl_store again;
	int fd = openat(store.fd, "format", O_WRONLY | O_TRUNC | O_CLOEXEC);

	cr_assert_eq(write(fd, "2\n", 2), 2);
	close(fd);
	cr_expect_eq(ovl_store_open(store_path, OVL_EXISTING, &again, &err), -ENOTSUP);
	cr_expect(strstr(err.text, "format 2"));
}

Test(ovl_store, names_of_images_become_one_file_name_each)
{
	char a[256], b[256], long_name[300];

	cr_assert_eq(name_escape("reg/web:1.0", a, &err), 0);
	cr_expect_str_eq(a, "reg%2fweb:1.0");
	cr_assert_eq(name_escape("reg%2fweb:1.0", b, &err), 0);
	cr_expect_str_neq(a, b);
	cr_assert_eq(name_escape("../x", a, &err), 0);
	cr_expect_str_eq(a, "%2e.%2fx");
	cr_expect_eq(name_escape("", a, &err), -EINVAL);
	memset(long_name, 'x', 299);
	long_name[299] = '\0';
	cr_expect_eq(name_escape(long_name, a, &err), -ENAMETOOLONG);
}

Test(ovl_store, an_image_record_reads_as_it_was_written)
{
	struct ovl_layer layers[] = { make_layer('a'), make_layer('b'), layer_of('a') };
	struct ovl_image image;

	make_image("web:1", layers, 3);
	cr_assert_eq(ovl_image_find(&store, "web:1", &arena, &image, &err), 0, "%s", err.text);
	cr_expect_str_eq(image.source, "oci:/x");
	cr_expect_eq(image.n_layers, 3);
	cr_expect_str_eq(image.layers[1].hex, layers[1].hex);
	cr_expect_eq(image.bytes, 200, "a layer that is there twice counts once");
	cr_expect_eq(image.config_n, 10);
	cr_expect_eq(memcmp(image.config, "{\"a\": [1]}", 10), 0);
	cr_assert_eq(ovl_image_find(&store, "oci:/x/../x", &arena, &image, &err), 0, "by its source");
	cr_expect_eq(ovl_image_find(&store, "web", &arena, &image, &err), -ENOENT);
}

Test(ovl_store, a_layer_that_is_gone_is_named)
{
	struct ovl_layer layers[] = { layer_of('a') };
	struct ovl_image image;
	char line[512];

	make_image("web", layers, 1);
	cr_expect_eq(ovl_image_find(&store, "web", &arena, &image, &err), -ENOENT);
	error_line(&err, line, sizeof(line));
	cr_expect(strstr(line, layers[0].hex), "%s", line);
}

Test(ovl_store, layers_are_counted_by_images_and_holds)
{
	struct ovl_layer layers[] = { make_layer('a'), make_layer('b') };

	make_image("one", layers, 2);
	make_image("two", layers, 1);
	cr_assert_eq(ovl_hold_take(&store, "container-x", room_path, layers, 2, &err), 0, "%s", err.text);
	cr_expect_eq(users_of('a'), 3);
	cr_expect_eq(users_of('b'), 2);
	cr_assert_eq(ovl_hold_drop(&store, "container-x", &err), 0);
	cr_assert_eq(ovl_hold_drop(&store, "container-x", &err), 0, "twice is no error");
	cr_expect_eq(users_of('a'), 2);
}

Test(ovl_store, a_hold_keeps_layers_until_its_holder_is_gone)
{
	struct ovl_layer layers[] = { make_layer('a') };
	struct ovl_freed freed;
	char holder[128];

	snprintf(holder, sizeof(holder), "%s/holder", room_path);
	cr_assert_eq(mkdirat(room_fd, "holder", 0700), 0);
	cr_assert_eq(ovl_hold_take(&store, "container-x", holder, layers, 1, &err), 0, "%s", err.text);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.layers, 0);
	cr_assert_eq(unlinkat(room_fd, "holder", AT_REMOVEDIR), 0);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.layers, 1);
	cr_expect_eq(freed.leftovers, 1, "the hold");
	cr_expect_eq(freed.bytes, 100);
	cr_expect_eq(users_of('a'), 999);
}

Test(ovl_store, a_hold_of_layers_that_are_not_there_is_refused)
{
	struct ovl_layer layers[] = { layer_of('a') };

	cr_expect_eq(ovl_hold_take(&store, "c", room_path, layers, 1, &err), -ENOENT);
	cr_expect_eq(ovl_hold_take(&store, "a/b", room_path, layers, 0, &err), -EINVAL);
	cr_expect_eq(ovl_hold_take(&store, ".hidden", room_path, layers, 0, &err), -EINVAL);
	cr_expect_eq(ovl_hold_take(&store, "c", "relative", layers, 0, &err), -EINVAL);
}

Test(ovl_store, a_hold_of_a_command_lasts_as_long_as_the_command)
{
	struct ovl_layer layers[] = { make_layer('a') };
	struct hold hold = HOLD_NONE;
	struct ovl_freed freed;

	cr_assert_eq(hold_begin(&store, "test", layers, 1, &hold, &err), 0, "%s", err.text);
	cr_expect_eq(users_of('a'), 1);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0);
	cr_expect_eq(freed.layers, 0);

	close(hold.fd); /* as the kernel does for one that is killed */
	close(hold.refs_fd);
	cr_expect_eq(users_of('a'), 0);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0);
	cr_expect_eq(freed.layers, 1);
}

Test(ovl_store, a_hold_that_was_cut_short_is_a_leftover)
{
	struct ovl_freed freed;
	int fd = openat(store.fd, "refs/.import-1", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	close(fd);
	fd = openat(store.fd, "refs/stranger", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.leftovers, 1);
	cr_expect_eq(faccessat(store.fd, "refs/stranger", F_OK, 0), 0, "what nobody knows stays");
}

Test(ovl_store, gc_removes_what_was_left_in_work_and_nothing_that_is_in_use)
{
	struct ovl_freed freed;

	cr_assert_eq(mkdirat(store.fd, "work/dead", 0700), 0);
	cr_assert_eq(mkdirat(store.fd, "work/dead/tree", 0700), 0);
	cr_assert_eq(mkdirat(store.fd, "work/alive", 0700), 0);

	int fd = openat(store.fd, "work/alive", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(flock(fd, LOCK_EX), 0);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.leftovers, 1);
	cr_expect_eq(faccessat(store.fd, "work/dead", F_OK, 0), -1);
	cr_expect_eq(faccessat(store.fd, "work/alive", F_OK, 0), 0);
	close(fd);
}

Test(ovl_store, a_tree_of_any_depth_can_be_removed)
{
	int fd = dup(room_fd);

	for (int i = 0; i < 3000; i++) {
		cr_assert_eq(mkdirat(fd, "d", 0700), 0);
		cr_assert_eq(mkdirat(fd, ".remove-0", 0700), 0);

		int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		close(fd);
		fd = next;
	}
	close(fd);
	cr_assert_eq(remove_tree(room_fd, "d", &err), 0, "%s", err.text);
	cr_expect_not(room_has("d"));
	cr_expect_eq(remove_tree(room_fd, "d", &err), 0, "what is not there is no error");
}

Test(ovl_store, sources_have_one_spelling)
{
	struct source_ref ref;

	cr_assert_eq(source_parse("oci:/a//b/../c:v1:x", &arena, &ref, &err), 0);
	cr_expect_eq(ref.kind, SOURCE_OCI);
	cr_expect_str_eq(ref.path, "/a/c");
	cr_expect_str_eq(ref.tag, "v1:x");
	cr_assert_eq(source_parse("docker-archive:/f", &arena, &ref, &err), 0);
	cr_expect_eq(ref.kind, SOURCE_DOCKER_ARCHIVE);
	cr_expect_null(ref.tag);
	cr_expect_str_eq(source_canonical("oci-archive:/x/./y:t", &arena), "oci-archive:/x/y:t");
	cr_expect_null(source_canonical("web", &arena));
	cr_expect_eq(source_parse("oci:", &arena, &ref, &err), -EINVAL);
	cr_expect_eq(source_parse("dir:/x", &arena, &ref, &err), -EINVAL);
}

Test(ovl_store, digests_have_one_spelling)
{
	char hex[OVL_HEX_BYTES], text[80];

	snprintf(text, sizeof(text), "sha256:%064d", 7);
	cr_expect_eq(digest_parse(text, hex), 0);
	cr_expect_str_eq(hex, text + 7);
	text[10] = 'A';
	cr_expect_eq(digest_parse(text, hex), -EINVAL);
	cr_expect_eq(digest_parse("sha256:", hex), -EINVAL);
	cr_expect_eq(digest_parse("sha512:00", hex), -EINVAL);
}

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define E64 "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
#define HEAD "{\"name\":\"x\",\"source\":\"oci:/x\",\"manifest\":\"\",\"imported\":\"now\",\"layers\":["
#define TAIL "],\"configDigest\":\"sha256:0\""

static int read_image(const char *text, struct ovl_image *ret)
{
	err = (struct error)ERROR_INIT;
	room_file("deep/store/images/x", text);
	return ovl_image_record(&store, "x", &arena, ret, &err);
}

Test(ovl_store, what_is_known_of_a_layer_comes_back_from_the_record)
{
	struct ovl_layer two[] = { layer_of('a'), layer_of('b') };
	struct ovl_image image;

	two[0].is_known = two[1].is_known = true;
	two[0].has_root = true;
	two[1].hides_below = true;
	two[1].entries = UINT64_MAX;
	make_image("x", two, 2);
	cr_assert_eq(ovl_image_record(&store, "x", &arena, &image, &err), 0, "%s", err.text);
	cr_assert_eq(image.n_layers, 2);
	for (int i = 0; i < 2; i++) {
		cr_expect_str_eq(image.layers[i].hex, two[i].hex);
		cr_expect_str_eq(image.layers[i].listing, two[i].listing);
		cr_expect_eq(image.layers[i].entries, two[i].entries);
		cr_expect_eq(image.layers[i].bytes, two[i].bytes);
		cr_expect(image.layers[i].is_known);
		cr_expect_eq(image.layers[i].has_root, two[i].has_root);
		cr_expect_eq(image.layers[i].hides_below, two[i].hides_below);
	}
	cr_expect_eq(image.config_n, 10);
	cr_expect_eq(memcmp(image.config, "{\"a\": [1]}", 10), 0);
}

Test(ovl_store, records_of_old_have_objects_and_the_config_in_them)
{
	struct ovl_image image;

	cr_assert_eq(read_image(HEAD "{\"diffId\":\"sha256:" A64 "\",\"listing\":\"sha256:" E64
				     "\",\"entries\":3,\"bytes\":100,\"hasRoot\":true,\"hidesBelow\":true},\"sha256:" A64
				     "\"" TAIL ",\"config\":{\"a\":1}}\n",
				&image),
		     0, "%s", err.text);
	cr_assert_eq(image.n_layers, 2);
	cr_expect(image.layers[0].is_known && image.layers[0].has_root && image.layers[0].hides_below);
	cr_expect_str_eq(image.layers[0].listing, E64);
	cr_expect_not(image.layers[1].is_known);
	cr_expect_str_eq(image.layers[1].hex, A64);
	cr_expect_eq(image.config_n, 7);
	cr_expect_eq(memcmp(image.config, "{\"a\":1}", 7), 0);
}

Test(ovl_store, a_layer_that_is_no_layer_makes_a_record_bad)
{
	static const char *const bad[] = {
		"sha256:" A64 " " E64 " 3 100 ",      "sha256:" A64 " " E64 " 3 100 x-", "sha256:" A64 " " E64 " 3 -",
		"sha256:" A64 " " E64 " 3 1x0 -",     "sha256:" A64 " e 3 100 -",	 "md5:" A64 " " E64 " 3 100 -",
		"sha256:" A64 " " E64 " 3 100 or-",   "sha256:a " E64 " 3 100 -",	 "sha256:" A64 " " E64 " 3  -",
		"sha256:" A64 " " E64 " 99999999999999999999 100 -",
	};
	struct ovl_image image;
	char text[1024];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), HEAD "\"%s\"" TAIL "}\n{}\n", bad[i]);
		cr_expect_eq(read_image(text, &image), -EINVAL, "%s", bad[i]);
		cr_expect(strstr(err.text, "layer that cannot be read"), "%s", err.text);
	}
	cr_expect_eq(read_image(HEAD "\"sha256:" A64 "\"" TAIL "}\n", &image), -EINVAL);
	cr_expect(strstr(err.text, "has no config"), "%s", err.text);
	cr_expect_eq(read_image(HEAD "\"sha256:" A64 "\"" TAIL "}\n{\"cut\":", &image), -EINVAL);
}
