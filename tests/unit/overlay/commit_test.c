/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/changes.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "overlay/libs.h"
#include "overlay/listing.h"
#include "tests/unit/overlay/room.h"

/* A sandbox over a directory, a container that wrote to it, and images of that. */
static struct ovl_store store;
static struct arena arena = ARENA_INIT;
static char store_path[80], holder[96], lower_dir[96], target[128];
static struct ovl_lower lower;
static struct ovl_sandbox sb = OVL_SANDBOX_INIT;
static int merged;

static void init(void)
{
	room_make();
	snprintf(store_path, sizeof(store_path), "%s/store", room_path);
	snprintf(holder, sizeof(holder), "%s/holder", room_path);
	snprintf(lower_dir, sizeof(lower_dir), "%s/lower", room_path);
	snprintf(target, sizeof(target), "oci:%s/image:one", room_path);
	cr_assert_eq(ovl_store_open(store_path, OVL_MAKE, &store, &err), 0, "%s", err.text);
	cr_assert_eq(mkdir(holder, 0700), 0);
	cr_assert_eq(mkdirat(room_fd, "lower", 0755), 0);
	cr_assert_eq(mkdirat(room_fd, "lower/etc", 0755), 0);
	room_file("lower/etc/passwd", "root");
	room_file("lower/old", "old");
	lower.dir = lower_dir;

	const struct ovl_sandbox_options o = { .name = "web", .holder = holder, .lowers = &lower, .n_lowers = 1 };

	cr_assert_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), 0, "%s", err.text);
	merged = ovl_sandbox_mount(&store, &sb, -1, &err);
	cr_assert_geq(merged, 0, "%s", err.text);
}

static void fini(void)
{
	close(merged);
	ovl_sandbox_close(&sb);
	ovl_sandbox_end(&store, "web", NULL);
	ovl_store_close(&store);
	arena_release(&arena);
	room_remove();
}

TestSuite(ovl_commit, .init = init, .fini = fini);

static int collect(void *data, const struct ovl_diff *d)
{
	buf_printf(data, "%c %s\n", "AMD"[d->kind], d->path);
	return 0;
}

static void expect_diff(const char *wanted)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "");
	cr_assert_eq(ovl_diff(&store, &sb, collect, &b, &arena, &err), 0, "%s", err.text);
	cr_expect_str_eq(b.data, wanted, "%s", b.data);
	buf_release(&b);
}

static struct ovl_committed commit(const struct ovl_commit *more)
{
	struct ovl_commit o = more ? *more : (struct ovl_commit){ 0 };
	struct ovl_committed c;

	if (!o.target)
		o.target = target;
	cr_assert_eq(ovl_commit(&store, &sb, &o, &arena, &c, &err), 0, "%s (%s)", err.text, err.hint);
	return c;
}

/* Sorted as listing_make() does. */
static char *list(int mount_fd)
{
	struct libs libs;
	struct inodes inodes = { 0 };
	struct listing l = { .libs = &libs, .inodes = &inodes, .text = BUF_INIT };
	int root = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(libs_load(&libs, &err), 0);
	cr_assert_eq(listing_make(&l, root, &err), 0, "%s", err.text);
	close(root);
	inodes_release(&inodes);
	return l.text.data;
}

static void expect_image_is_view(const char *source)
{
	const struct ovl_import o = { .source = source, .name = "back" };
	struct ovl_image image;
	size_t n;

	cr_assert_eq(ovl_import(&store, &o, &arena, &image, &n, &err), 0, "%s", err.text);

	int there = ovl_mount(&store, image.layers, image.n_layers, -1, -1, &err);
	int view = ovl_sandbox_view(&store, &sb, &err);

	cr_assert_geq(there, 0, "%s", err.text);
	cr_assert_geq(view, 0, "%s", err.text);

	char *a = list(view), *b = list(there);

	cr_expect_str_eq(a, b, "\n%s\n---\n%s", a, b);
	free(a);
	free(b);
	close(there);
	close(view);
	cr_assert_eq(ovl_image_remove(&store, "back", &arena, &(struct ovl_freed){ 0 }, &err), 0);
}

static void change(void)
{
	put(merged, "etc/passwd", "root changed");
	put(merged, "new", "n");
	cr_assert_eq(unlinkat(merged, "old", 0), 0);
}

Test(ovl_commit, diff_tells_what_changed)
{
	expect_diff("");
	change();
	expect_diff("M /etc/passwd\nA /new\nD /old\n");
}

Test(ovl_commit, the_image_shows_what_the_container_saw)
{
	change();

	struct ovl_committed c = commit(NULL);

	cr_expect_not_null(c.layer);
	cr_expect_eq(c.n_entries, 5, "%zu: the root, a whiteout, a directory and two files", c.n_entries);
	expect_image_is_view(target);
}

Test(ovl_commit, renamed_directories_and_files_of_metadata_alone)
{
	cr_assert_eq(renameat(merged, "etc", merged, "moved"), 0, "%s", strerror(errno));
	cr_assert_eq(fchmodat(merged, "old", 0600, 0), 0);
	commit(NULL);
	expect_image_is_view(target);
}

Test(ovl_commit, two_commits_are_byte_identical)
{
	char other[128];
	struct ovl_commit o = { .target = other };

	snprintf(other, sizeof(other), "oci:%s/other:two", room_path);
	change();

	struct ovl_committed a = commit(NULL);

	cr_assert_eq(usleep(1100000), 0);

	struct ovl_committed b = commit(&o);

	cr_expect_str_eq(a.manifest, b.manifest);
	cr_expect_str_eq(a.layer, b.layer);
}

Test(ovl_commit, nothing_changed_adds_no_layer)
{
	struct ovl_committed c = commit(NULL);

	cr_expect_null(c.layer);
	expect_image_is_view(target);
}

Test(ovl_commit, other_images_of_the_layout_stay)
{
	char other[128], index[4096] = "";
	struct ovl_commit o = { .target = other };

	snprintf(other, sizeof(other), "oci:%s/image:two", room_path);
	commit(NULL);
	change();
	commit(&o);
	commit(&o);

	int fd = openat(room_fd, "image/index.json", O_RDONLY | O_CLOEXEC);

	cr_assert_geq(read(fd, index, sizeof(index) - 1), 0);
	close(fd);

	const char *one = strstr(index, "\"one\""), *two = strstr(index, "\"two\"");

	cr_assert(one && two, "%s", index);
	cr_expect_null(strstr(one + 1, "\"one\""));
	cr_expect_null(strstr(two + 1, "\"two\""));
	expect_image_is_view(other);
}

static void refuse(const char *where, int code, const char *says)
{
	const struct ovl_commit o = { .target = where };
	struct ovl_committed c;

	err = ERROR_INIT;
	cr_expect_eq(ovl_commit(&store, &sb, &o, &arena, &c, &err), code, "%s: %s", where, err.text);
	cr_expect(strstr(err.text, says), "%s: %s", where, err.text);
}

Test(ovl_commit, a_target_that_is_none_is_refused_and_left_alone)
{
	char path[128];

	cr_assert_eq(mkdirat(room_fd, "full", 0755), 0);
	room_file("full/precious", "p");
	snprintf(path, sizeof(path), "oci:%s/full", room_path);
	refuse(path, -EINVAL, "is no image layout: it has \"precious\"");
	cr_expect_not(room_has("full/blobs"));
	snprintf(path, sizeof(path), "docker-archive:%s/x", room_path);
	refuse(path, -EINVAL, "is no place for an image");
	snprintf(path, sizeof(path), "oci:%s/new:bad tag", room_path);
	refuse(path, -EINVAL, "\"bad tag\" is no tag");
	cr_expect_not(room_has("new"));
	snprintf(path, sizeof(path), "oci:%s/lower/old/x", room_path);
	refuse(path, -ENOTDIR, "");
}

struct moments {
	int before, after;
	int fails;
};

static int note_before(void *data, struct error *e)
{
	struct moments *m = data;

	m->before++;
	return m->fails == 1 ? error_rule(e, EBUSY, "cannot freeze") : 0;
}

static int note_after(void *data, struct error *e)
{
	struct moments *m = data;

	m->after++;
	return m->fails == 2 ? error_rule(e, EAGAIN, "was resumed") : 0;
}

Test(ovl_commit, who_freezes_is_asked_to_thaw)
{
	struct moments m = { 0 };
	struct ovl_commit o = { .target = target, .before = note_before, .after = note_after, .data = &m };
	struct ovl_committed c;

	cr_expect_eq(ovl_commit(&store, &sb, &o, &arena, &c, &err), 0);
	cr_expect_eq(m.before, 1);
	cr_expect_eq(m.after, 1);
	m = (struct moments){ .fails = 1 };
	cr_expect_eq(ovl_commit(&store, &sb, &o, &arena, &c, &err), -EBUSY);
	cr_expect_eq(m.after, 0);
	m = (struct moments){ .fails = 2 };
	cr_expect_eq(ovl_commit(&store, &sb, &o, &arena, &c, &err), -EAGAIN);
	cr_expect_eq(m.after, 1);
}

Test(ovl_commit, the_layouts_lock_is_waited_for)
{
	commit(NULL);

	int fd = openat(room_fd, "image", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(flock(fd, LOCK_EX), 0);
	if (fork() == 0) {
		usleep(300000);
		_exit(0);
	}
	close(fd); /* the child has it now */
	change();
	commit(NULL);
	expect_image_is_view(target);
}

/* As NFS and vfat: no files without a name, and no second names. */
static void forbid_nameless_files(void)
{
	const uint32_t flag = O_TMPFILE & ~O_DIRECTORY;
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flag, 2, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
	};
	struct sock_fprog program = { .len = sizeof(insns) / sizeof(insns[0]), .filter = insns };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	cr_assert_eq(openat(room_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), -1);
	cr_assert_eq(errno, EOPNOTSUPP);
}

static size_t count_blobs(void)
{
	struct dir_list l = { 0 };
	int fd = openat(room_fd, "image/blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t blobs = 0;

	cr_assert_eq(dir_list_read(&l, fd, &err), 0);
	for (size_t i = 0; i < l.n; i++) {
		cr_expect_eq(strlen(l.names[i]), 64, "%s", l.names[i]);
		blobs += strlen(l.names[i]) == 64;
	}
	dir_list_release(&l);
	close(fd);
	return blobs;
}

Test(ovl_commit, a_file_system_that_knows_no_nameless_files_will_do)
{
	change();
	forbid_nameless_files();
	commit(NULL);
	expect_image_is_view(target);
	cr_expect_eq(count_blobs(), 4);
	cr_expect_not(room_has("image/.index.json.new"));

	/* What a kill left, and what another command is just writing. */
	room_file("image/blobs/sha256/.new-dead", "x");
	room_file("image/blobs/sha256/.new-alive", "x");

	int alive = openat(room_fd, "image/blobs/sha256/.new-alive", O_RDWR | O_CLOEXEC);

	cr_assert_eq(flock(alive, LOCK_EX), 0);
	put(merged, "more", "m");
	commit(NULL);
	cr_expect(room_has("image/blobs/sha256/.new-alive"));
	cr_expect_not(room_has("image/blobs/sha256/.new-dead"));
	close(alive);
	put(merged, "still", "more");
	commit(NULL);
	cr_expect_not(room_has("image/blobs/sha256/.new-alive"));
	expect_image_is_view(target);
	cr_expect_eq(count_blobs(), 4 + 3 + 3);
}

Test(ovl_commit, an_error_leaves_no_blob_that_has_a_name_before_its_end)
{
	struct moments m = { .fails = 1 };
	struct ovl_commit o = { .target = target, .before = note_before, .after = note_after, .data = &m };
	struct ovl_committed c;

	commit(NULL);
	change();

	size_t blobs = count_blobs();

	forbid_nameless_files();
	cr_expect_eq(ovl_commit(&store, &sb, &o, &arena, &c, &err), -EBUSY);
	cr_expect_eq(count_blobs(), blobs);
}

Test(ovl_commit, an_archive_goes_out_and_in_again)
{
	const struct ovl_sandbox_options o = { .name = "copy", .holder = holder, .lowers = &lower, .n_lowers = 1,
					       .keep = true };
	struct ovl_sandbox copy = OVL_SANDBOX_INIT;
	int file = openat(room_fd, "archive", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	change();
	cr_assert_eq(renameat(merged, "etc", merged, "moved"), 0);
	cr_assert_eq(ovl_sandbox_export(&store, &sb, file, OVL_ZSTD, &arena, &err), 0, "%s", err.text);
	cr_assert_eq(ovl_sandbox_make(&store, &o, &arena, &copy, &err), 0, "%s", err.text);
	cr_assert_eq(lseek(file, 0, SEEK_SET), 0);
	copy.is_used = true;
	cr_expect_eq(ovl_sandbox_import(&store, &copy, file, NULL, &arena, &err), -EBUSY);
	copy.is_used = false;
	cr_assert_eq(ovl_sandbox_import(&store, &copy, file, NULL, &arena, &err), 0, "%s", err.text);

	int before = ovl_sandbox_view(&store, &sb, &err), after = ovl_sandbox_view(&store, &copy, &err);
	char *a = list(before), *b = list(after);

	cr_expect_str_eq(a, b, "\n%s\n---\n%s", a, b);
	free(a);
	free(b);
	close(before);
	close(after);
	cr_expect_eq(ovl_sandbox_import(&store, &copy, file, NULL, &arena, &err), -ENOTEMPTY);
	close(file);
	ovl_sandbox_close(&copy);
	rmdir(holder);
	cr_expect_eq(ovl_sandbox_remove(&store, "copy", &err), 0, "%s", err.text);
}
