/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/layer_write.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "overlay/listing.h"
#include "overlay/stream.h"
#include "overlay/unpack.h"
#include "tests/unit/overlay/overlay.h"

/*
 * Out and in again: what a real overlay shows, and what it shows when its upper went through an archive, have to be the
 * same listing.
 */
static struct libs libs;
static int merged;

static void make(int fd, const char *name)
{
	cr_assert_eq(mkdirat(fd, name, 0755), 0, "%s: %s", name, strerror(errno));
}

static void init(void)
{
	static const char *const dirs[] = { "lower", "upper", "work", "again", "lower/dir", "lower/dir/sub", "lower/gone" };
	static const char *const files[] = { "lower/dir/a", "lower/dir/b", "lower/dir/sub/c", "lower/gone/x", "lower/top" };

	cr_assert_eq(libs_load(&libs, &err), 0, "%s", err.text);
	room_make();
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		make(room_fd, dirs[i]);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		put(room_fd, files[i], files[i]);

	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	cr_assert_eq(utimensat(room_fd, "lower", old, 0), 0);
	merged = mount_it("upper", "lower", NULL);
}

static void fini(void)
{
	room_remove();
}

TestSuite(ovl_layer_write, .init = init, .fini = fini);

static void archive(const char *file, enum ovl_compression c, struct layer_stats *stats, struct pack *pack)
{
	const struct layer_options o = { 0 };
	int upper = open_dir("upper"), lower = open_dir("lower"), view = mount_it(NULL, "upper", "lower");
	int out = openat(room_fd, file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct walk w = { .upper_fd = upper, .lower_fd = lower, .view_fd = view };

	cr_assert_eq(pack_begin(pack, &libs, out, file, c, 0, &err), 0, "%s", err.text);
	cr_assert_eq(layer_archive(&w, pack, &o, stats, &err), 0, "%s", err.text);
	cr_assert_eq(pack_end(pack, &err), 0, "%s", err.text);
	pack_release(pack);
	close(upper);
	close(lower);
	close(view);
	close(out);
}

static void unpack(const char *file, const struct pack *pack)
{
	struct budget budget = { .bytes = 1 << 30, .entries = 10000, .max_depth = 256 };
	struct inodes inodes = { 0 };
	struct stream stream;
	struct stat st;
	struct blob blob = { .fd = openat(room_fd, file, O_RDONLY | O_CLOEXEC), .name = "the archive" };
	int again = open_dir("again");

	cr_assert_eq(fstat(blob.fd, &st), 0);
	blob.size = (uint64_t)st.st_size;
	cr_assert_eq(stream_begin(&stream, &libs, &blob, budget.bytes, &err), 0);

	struct unpack u = { .libs = &libs, .stream = &stream, .tree_fd = again, .budget = &budget, .inodes = &inodes };

	cr_assert_eq(unpack_tar(&u, &err), 0, "%s", err.text);
	cr_assert_eq(stream_end(&stream, true, &err), 0, "%s", err.text);
	cr_expect_str_eq(stream.blob_hex, pack->blob_hex);
	cr_expect_str_eq(stream.diff_hex, pack->diff_hex);
	inodes_release(&inodes);
	close(blob.fd);
	close(again);
}

static void list(struct buf *ret, const char *upper)
{
	struct inodes inodes = { 0 };
	struct listing l = { .libs = &libs, .inodes = &inodes, .text = BUF_INIT };
	int fd = mount_it(NULL, upper, "lower"), root = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(listing_make(&l, root, &err), 0, "%s", err.text);
	*ret = l.text;
	inodes_release(&inodes);
	close(root);
	close(fd);
}

static void expect_round_trip(enum ovl_compression c)
{
	struct layer_stats stats;
	struct pack pack;
	struct buf before, after;

	close(merged);
	archive("layer", c, &stats, &pack);
	unpack("layer", &pack);
	list(&before, "upper");
	list(&after, "again");
	cr_expect_str_eq(before.data, after.data, "\n%s\n---\n%s", before.data, after.data);
	buf_release(&before);
	buf_release(&after);
}

static void change_a_lot(void)
{
	const struct timespec times[2] = { { .tv_sec = 1, .tv_nsec = 123456789 }, { .tv_sec = 1, .tv_nsec = 123456789 } };
	char path[128], name[256] = "";
	int fd;

	put(merged, "dir/a", "changed");
	cr_assert_eq(unlinkat(merged, "dir/b", 0), 0);
	cr_assert_eq(unlinkat(merged, "gone/x", 0), 0);
	cr_assert_eq(unlinkat(merged, "gone", AT_REMOVEDIR), 0);
	make(merged, "gone");
	put(merged, "gone/new", "n");
	put(merged, "hard1", "linked");
	cr_assert_eq(linkat(merged, "hard1", merged, "gone/hard2", 0), 0);
	cr_assert_eq(symlinkat("../no/where", merged, "soft"), 0);
	cr_assert_eq(mknodat(merged, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
	cr_assert_eq(mknodat(merged, "pipe", S_IFIFO | 0600, 0), 0);
	cr_assert_eq(fchownat(merged, "hard1", 3000000, 2097152, 0), 0);
	cr_assert_eq(fchmodat(merged, "hard1", 04711, 0), 0);
	cr_assert_eq(utimensat(merged, "hard1", times, 0), 0);
	cr_assert_eq(fchmodat(merged, "top", 0600, 0), 0); /* a metacopy */
	put(merged, "new\nline", "1");
	put(merged, "latin\xe9", "2");
	memset(name, 'n', 250);
	make(merged, name);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/hard1", merged);
	cr_assert_eq(setxattr(path, "user.note", "a=b\nc", 5, 0), 0, "%s", strerror(errno));
	fd = openat(merged, "holes", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	cr_assert_eq(ftruncate(fd, 1 << 20), 0);
	cr_assert_eq(pwrite(fd, "x", 1, 600000), 1);
	close(fd);
}

Test(ovl_layer_write, what_changed_is_the_same_after_gzip)
{
	change_a_lot();
	expect_round_trip(OVL_GZIP);
}

Test(ovl_layer_write, what_changed_is_the_same_after_zstd)
{
	change_a_lot();
	expect_round_trip(OVL_ZSTD);
}

Test(ovl_layer_write, what_changed_is_the_same_plain)
{
	change_a_lot();
	expect_round_trip(OVL_PLAIN);
}

Test(ovl_layer_write, renamed_directories_are_whole)
{
	cr_assert_eq(renameat(merged, "dir", merged, "moved"), 0);
	put(merged, "moved/sub/c", "changed");
	cr_assert_eq(unlinkat(merged, "moved/b", 0), 0);
	expect_round_trip(OVL_GZIP);
}

Test(ovl_layer_write, a_directory_renamed_over_another)
{
	cr_assert_eq(unlinkat(merged, "gone/x", 0), 0);
	cr_assert_eq(renameat(merged, "dir", merged, "gone"), 0, "%s", strerror(errno));
	expect_round_trip(OVL_GZIP);
}

static void expect_same_twice(enum ovl_compression c)
{
	struct layer_stats stats;
	struct pack one, two;

	change_a_lot();
	close(merged);
	archive("one", c, &stats, &one);
	cr_assert_eq(usleep(1100000), 0); /* another second: a time in a header would show */
	archive("two", c, &stats, &two);
	cr_expect_str_eq(one.blob_hex, two.blob_hex);
	cr_expect_str_eq(one.diff_hex, two.diff_hex);
	cr_expect_eq(one.packed_bytes, two.packed_bytes);
}

Test(ovl_layer_write, the_same_files_are_the_same_bytes_with_gzip)
{
	expect_same_twice(OVL_GZIP);
}

Test(ovl_layer_write, the_same_files_are_the_same_bytes_with_zstd)
{
	expect_same_twice(OVL_ZSTD);
}

Test(ovl_layer_write, nothing_changed_is_no_entry)
{
	struct layer_stats stats;
	struct pack pack;
	struct stat st;

	cr_assert_eq(fstatat(merged, "dir/a", &st, 0), 0);
	close(merged);

	/* The upper's own root would be news. */
	const struct timespec times[2] = { { 0 }, { 0 } };

	cr_assert_eq(utimensat(room_fd, "upper", times, 0), 0);
	cr_assert_eq(utimensat(room_fd, "lower", times, 0), 0);
	archive("layer", OVL_GZIP, &stats, &pack);
	cr_expect_eq(stats.entries, 0);
	cr_expect_not(stats.has_time);
}

Test(ovl_layer_write, a_socket_and_a_name_that_would_delete_are_left_out)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct layer_stats stats;
	struct pack pack;
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[4096] = "";

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/sock", merged);
	cr_assert_eq(bind(s, (struct sockaddr *)&a, sizeof(a)), 0, "%s", strerror(errno));
	close(s);
	put(merged, ".wh.dir", "would delete /dir");
	put(merged, "fine", "f");
	close(merged);
	archive("layer", OVL_PLAIN, &stats, &pack);
	cr_expect_eq(stats.entries, 2, "%zu", stats.entries); /* the root and a file */

	int fd = openat(room_fd, "layer", O_RDONLY | O_CLOEXEC);

	cr_assert_geq(read(fd, text, sizeof(text)), 2048);
	close(fd);
	cr_expect_null(memmem(text, sizeof(text), ".wh.", 4));
	cr_expect_null(memmem(text, sizeof(text), "sock", 4));
	cr_expect_not_null(memmem(text, sizeof(text), "fine", 4));
}

Test(ovl_layer_write, a_full_disk_is_an_error_that_names_the_file)
{
	struct layer_stats stats;
	struct pack pack;
	const struct layer_options o = { 0 };
	int upper, full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	put(merged, "new", "n");
	close(merged);
	upper = open_dir("upper");

	struct walk w = { .upper_fd = upper, .lower_fd = -1, .view_fd = upper };

	cr_assert_eq(pack_begin(&pack, &libs, full, "the new layer", OVL_GZIP, 0, &err), 0);

	int r = layer_archive(&w, &pack, &o, &stats, &err);

	if (r == 0)
		r = pack_end(&pack, &err);
	cr_expect_eq(r, -ENOSPC, "%d %s", r, err.text);
	cr_expect(strstr(err.text, "the new layer"), "%s", err.text);
	pack_release(&pack);
	close(upper);
	close(full);
}
