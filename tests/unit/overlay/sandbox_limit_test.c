/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes of limited size: in memory, under a project quota, in a file on a loop device. */
#include <sched.h>
#include <sys/mount.h>

#include "overlay/quota.h"
#include "tests/unit/overlay/sandbox_room.h"

TestSuite(ovl_sandbox_limit, .init = begin, .fini = finish);

/* Writes blocks of 64 KiB until an error comes; returns it. */
static int fill(int dir_fd, const char *name, uint64_t most, uint64_t *ret_bytes)
{
	static char block[65536];
	int code = 0, fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	memset(block, 'x', sizeof(block));
	cr_assert_geq(fd, 0);
	for (*ret_bytes = 0; !code && *ret_bytes < most;) {
		ssize_t n = write(fd, block, sizeof(block));

		if (n < 0)
			code = errno;
		else
			*ret_bytes += (uint64_t)n;
	}
	if (!code && fsync(fd) < 0)
		code = errno;
	close(fd);
	return code;
}

static int make_files(int dir_fd, int most)
{
	char name[32];

	for (int i = 0; i < most; i++) {
		snprintf(name, sizeof(name), "inode-%d", i);

		int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

		if (fd < 0)
			return i;
		close(fd);
	}
	return most;
}

enum { MIB = 1 << 20 };

/* The limits of one sandbox are felt in it and nowhere else. */
static void expect_limits(struct ovl_sandbox_options *o, enum ovl_sandbox_kind kind, int code)
{
	struct ovl_usage usage;
	uint64_t bytes;

	make_layers(2);
	o->max_bytes = 16 * MIB;
	o->max_inodes = 100;

	struct ovl_sandbox sb = make(o);
	int fd = mounted(&sb);

	cr_expect_eq(sb.kind, kind, "kind %d", sb.kind);
	cr_expect_eq(fill(fd, "big", 64 * MIB, &bytes), code);
	cr_expect(bytes >= 12 * MIB && bytes <= 17 * MIB, "%llu", (unsigned long long)bytes);
	cr_assert_eq(ovl_sandbox_usage(&store, &sb, &usage, &err), 0, "%s", err.text);
	cr_expect(usage.is_known);
	cr_expect(usage.bytes >= 12 * MIB && usage.bytes <= 17 * MIB, "%llu", (unsigned long long)usage.bytes);
	cr_expect(usage.max_bytes >= 14 * MIB && usage.max_bytes <= 16 * MIB, "%llu", (unsigned long long)usage.max_bytes);

	struct ovl_sandbox_options free_of_it = options("neighbour", 2);
	struct ovl_sandbox other = make(&free_of_it);
	int beside = mounted(&other);

	cr_expect_eq(fill(beside, "big", 24 * MIB, &bytes), 0);
	close(beside);
	ovl_sandbox_close(&other);
	end("neighbour");

	cr_expect_eq(unlinkat(fd, "big", 0), 0);

	int files = make_files(fd, 400);

	cr_expect(files > 60 && files <= 130, "%d", files);
	cr_expect(errno == code, "%d", errno);
	cr_assert_eq(ovl_sandbox_usage(&store, &sb, &usage, &err), 0, "%s", err.text);
	cr_expect(usage.inodes >= (uint64_t)files && usage.inodes < (uint64_t)files + 30, "%llu",
		  (unsigned long long)usage.inodes);
	close(fd);
	ovl_sandbox_close(&sb);
}

/* Whoever made a mount namespace of his own meanwhile has a copy of each mount until he drops it. */
static void expect_nothing_left(void)
{
	cr_expect_eq(count_mounts(), 0);
	for (int i = 0; count_loops() && i < 500; i++)
		usleep(10000);
	cr_expect_eq(count_loops(), 0);
}

Test(ovl_sandbox_limit, one_in_memory_is_as_large_as_asked_for)
{
	struct ovl_sandbox_options o = options("memory", 2);

	o.memory = true;
	expect_limits(&o, OVL_SANDBOX_MEMORY, ENOSPC);
	cr_expect_eq(count_mounts(), 1);
	end("memory");
	expect_nothing_left();
	o.keep = true;
	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &(struct ovl_sandbox){ 0 }, &err), -EINVAL);
	cr_expect(strstr(err.text, "cannot be kept: it is in memory"), "%s", err.text);
}

Test(ovl_sandbox_limit, one_of_limited_size_is_as_large_as_asked_for)
{
	struct ovl_sandbox_options o = options("limited", 2);
	bool has_quota = quota_is_enforced(room_fd);

	expect_limits(&o, has_quota ? OVL_SANDBOX_QUOTA : OVL_SANDBOX_IMAGE, has_quota ? EDQUOT : ENOSPC);
	cr_expect_eq(count_loops(), has_quota ? 0 : 1);
	end("limited");
	expect_nothing_left();
}

Test(ovl_sandbox_limit, a_kept_one_of_limited_size_is_there_when_it_is_opened)
{
	struct ovl_sandbox_options o = options("limited", 2);

	make_layers(2);
	o.keep = true;
	o.max_bytes = 16 * MIB;

	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	put_text(fd, "common", "kept");
	close(fd);
	ovl_sandbox_close(&sb);
	cr_assert_eq(ovl_sandbox_end(&store, "limited", &err), 0, "%s", err.text);
	expect_nothing_left();
	cr_assert_eq(rmdir(holder), 0);

	cr_assert_eq(ovl_sandbox_open(&store, "limited", &arena, &sb, &err), 0, "%s", err.text);

	int view = ovl_sandbox_view(&store, &sb, &err);

	cr_assert_geq(view, 0, "%s", err.text);
	expect_text(view, "common", "kept");
	close(view);
	ovl_sandbox_release(&store, &sb);
	expect_nothing_left();

	/* Killed with it open. */
	cr_assert_eq(ovl_sandbox_open(&store, "limited", &arena, &sb, &err), 0, "%s", err.text);
	ovl_sandbox_close(&sb);

	struct ovl_freed freed;

	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	expect_nothing_left();
	cr_expect_eq(ovl_sandbox_reset(&store, "limited", &err), 0, "%s", err.text);
	expect_nothing_left();
	cr_assert_eq(ovl_sandbox_open(&store, "limited", &arena, &sb, &err), 0, "%s", err.text);
	cr_expect_not(has(sb.upper_fd, "common"));
	ovl_sandbox_release(&store, &sb);
	cr_expect_eq(ovl_sandbox_remove(&store, "limited", &err), 0, "%s", err.text);
	cr_expect_not(room_has("store/sandboxes/limited"));
}

/* A second loop device would be a second cache over the same blocks. */
Test(ovl_sandbox_limit, an_image_that_is_mounted_elsewhere_is_the_same_file_system_here)
{
	struct ovl_sandbox_options o = options("elsewhere", 2);

	if (quota_is_enforced(room_fd))
		cr_skip_test("limits are a project quota here");
	make_layers(2);
	o.max_bytes = 16 * MIB;

	struct ovl_sandbox sb = make(&o);

	ovl_sandbox_close(&sb);
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);

	char path[160], *store_path = strdup(store.path);

	ovl_store_close(&store);
	cr_assert_eq(ovl_store_open(store_path, OVL_EXISTING, &store, &err), 0, "%s", err.text);
	snprintf(path, sizeof(path), "%s/store/sandboxes/elsewhere/fs", room_path);
	cr_assert_eq(umount2(path, 0), 0);
	cr_assert_eq(ovl_sandbox_open(&store, "elsewhere", &arena, &sb, &err), 0, "%s", err.text);
	cr_expect_eq(count_loops(), 1);
	put_text(sb.upper_fd, "seen", "by both");
	ovl_sandbox_close(&sb);
	end("elsewhere");
	cr_expect_eq(count_mounts(), 0);
}
