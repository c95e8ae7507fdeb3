/* SPDX-License-Identifier: Apache-2.0 */
/* The server over an overlayfs, which copies a file up to its name when it is changed. */
#include "tests/unit/vm/fs/checks.h"

/* A directory with what the caller makes in it as the lower layer, and from overlay_start() an overlay in its place. */
static void overlay_prepare(struct mounted *m)
{
	const char *missing = mounted_missing();

	if (missing)
		cr_skip_test("%s", missing);
	now = "overlay";
	cr_assert_eq(mounted_prepare(m, NULL), 0);
}

static void overlay_start(struct mounted *m, const struct vm_fs_options *o)
{
	static const char *const made[] = { "u", "w" };
	char path[200], how[300];

	snprintf(path, sizeof(path), "%s/up", m->base);
	must(mkdir(path, 0755) == 0 && mount("tmpfs", path, "tmpfs", 0, NULL) == 0);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/up/%s", m->base, made[i]);
		must(mkdir(path, 0755) == 0);
	}
	snprintf(how, sizeof(how), "lowerdir=%s,upperdir=%s/up/u,workdir=%s/up/w,xino=off", m->src, m->base, m->base);
	if (mount("overlay", m->src, "overlay", 0, how) < 0)
		cr_skip_test("no overlayfs over tmpfs here");
	cr_assert_eq(mounted_start(m, o), 0);
	must(chdir(m->mnt) == 0);
}

static void overlay_stop(struct mounted *m)
{
	must(chdir("/") == 0);
	mounted_stop(m);
}

static void make_lower(const struct mounted *m, const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", m->src, name);
	must(make(path, "lower") == 0);
}

/* A file with several names gets another inode number when overlayfs copies it up, and is still the same file. */
Test(vm_fs_overlay, files_that_are_copied_up_are_found_again, .timeout = 60)
{
	struct vm_fs_options o = { .cache = VM_FS_OWNED, .max_fds = 16 };
	struct mounted m;
	struct stat before, after;
	char path[200], other[200];
	int fds[60];

	overlay_prepare(&m);
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "%s/f%d", m.src, i);
		snprintf(other, sizeof(other), "%s/hard%d", m.src, i);
		must(make(path, "lower") == 0 && link(path, other) == 0);
	}
	overlay_start(&m, &o);
	must(stat("f0", &before) == 0);
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "f%d", i);
		fds[i] = open(path, O_RDONLY);
		must(fds[i] >= 0);
		ok(reads(path, "lower") && chmod(path, 0600 + (i & 7)) == 0);
	}
	for (int i = 0; i < 60; i++) {
		char buf[8] = "";

		snprintf(path, sizeof(path), "f%d", i);
		int fd = open(path, O_RDWR);

		ok(fd >= 0 && pwrite(fd, "UP", 2, 0) == 2 && pread(fds[i], buf, 5, 0) == 5 && strcmp(buf, "UPwer") == 0);
		close(fd);
		close(fds[i]);
		ok(stat(path, &after) == 0 && (after.st_mode & 0777) == 0600u + (i & 7));
	}
	ok(stat("f0", &after) == 0 && after.st_ino == before.st_ino);
	overlay_stop(&m);
}

static bool change_owner(int fd)
{
	struct stat st;

	return fchown(fd, 7, 8) == 0 && fstat(fd, &st) == 0 && st.st_uid == 7 && st.st_gid == 8;
}

static bool change_mode(int fd)
{
	struct stat st;

	return fchmod(fd, 0751) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0751;
}

static bool change_size(int fd)
{
	struct stat st;

	return ftruncate(fd, 3) == 0 && fstat(fd, &st) == 0 && st.st_size == 3 && ftruncate(fd, 5) == 0;
}

static bool change_times(int fd)
{
	const struct timespec then[2] = { { .tv_sec = 5 }, { .tv_sec = 6 } };

	return futimens(fd, then) == 0;
}

static bool change_nothing(int fd)
{
	return fd >= 0;
}

static const struct {
	const char *name;
	bool (*change)(int fd); /* before it is written */
	char content[9];	/* after that */
} changes[] = {
	{ "written", change_nothing, "UPwerend" }, { "owner", change_owner, "UPwerend" }, { "mode", change_mode, "UPwerend" },
	{ "size", change_size, "UPw\0\0end" },	   { "times", change_times, "UPwerend" },
};

#define N_CHANGES (sizeof(changes) / sizeof(changes[0]))

/* It can still be read, written and changed by who has it open, and has nothing to do with a new one of its name. */
Test(vm_fs_overlay, a_removed_file_of_a_lower_layer_can_be_changed_while_it_is_open, .timeout = 60)
{
	struct vm_fs_options o = { .cache = VM_FS_OWNED, .max_fds = 16, .no_open = true, .writeback = true };
	struct mounted m;

	overlay_prepare(&m);
	for (size_t i = 0; i < N_CHANGES; i++)
		make_lower(&m, changes[i].name);
	overlay_start(&m, &o);
	for (size_t i = 0; i < N_CHANGES; i++) {
		const char *name = now = changes[i].name;
		char buf[32] = "";
		struct stat st;
		int fd = open(name, O_RDWR), reader = open(name, O_RDONLY);

		must(fd >= 0 && reader >= 0 && pread(reader, buf, 5, 0) == 5 && unlink(name) == 0);
		ok(changes[i].change(fd));
		ok(pwrite(fd, "UP", 2, 0) == 2 && pwrite(fd, "end", 3, 5) == 3 && fsync(fd) == 0);
		ok(pread(reader, buf, sizeof(buf), 0) == 8 && memcmp(buf, changes[i].content, 8) == 0);
		ok(fstat(fd, &st) == 0 && st.st_size == 8);
		ok(access(name, F_OK) < 0 && errno == ENOENT);
		ok(make(name, "new") == 0 && reads(name, "new"));
		ok(fstat(fd, &st) == 0 && st.st_size == 8);
		close(fd);
		close(reader);
	}
	overlay_stop(&m);
}
