/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/sandbox.h"

#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "overlay/quota.h"
#include "tests/unit/overlay/room.h"

enum { MOST = 501 };

static struct ovl_store store;
static struct arena arena = ARENA_INIT;
static char holder[96];
static char hexes[MOST][OVL_HEX_BYTES];
static struct ovl_lower lowers[MOST];

static void init(void)
{
	char path[80];

	room_make();
	snprintf(path, sizeof(path), "%s/store", room_path);
	cr_assert_eq(ovl_store_open(strdup(path), OVL_MAKE, &store, &err), 0, "%s", err.text);
	snprintf(holder, sizeof(holder), "%s/holder", room_path);
	cr_assert_eq(mkdir(holder, 0700), 0);
}

static void fini(void)
{
	ovl_store_close(&store);
	room_remove();
}

TestSuite(ovl_sandbox, .init = init, .fini = fini);

/* Layer i has the file "common" with its number and one of its own. The odd ones have a root. */
static void make_layer(int i)
{
	char path[160], text[16];

	snprintf(hexes[i], sizeof(hexes[i]), "%064d", i);
	lowers[i].hex = hexes[i];
	snprintf(path, sizeof(path), "store/layers/%s", hexes[i]);
	cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
	snprintf(path, sizeof(path), "store/layers/%s/tree", hexes[i]);
	cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
	snprintf(path, sizeof(path), "store/layers/%s/has-root", hexes[i]);
	if (i % 2)
		room_file(path, "");
	snprintf(text, sizeof(text), "%d", i);
	snprintf(path, sizeof(path), "store/layers/%s/tree/common", hexes[i]);
	room_file(path, text);
	snprintf(path, sizeof(path), "store/layers/%s/tree/own-%d", hexes[i], i);
	room_file(path, text);
}

static void make_layers(int n)
{
	for (int i = 0; i < n; i++)
		make_layer(i);
}

static struct ovl_sandbox_options options(const char *name, size_t n)
{
	return (struct ovl_sandbox_options){
		.name = name,
		.holder = holder,
		.lowers = lowers,
		.n_lowers = n,
	};
}

static struct ovl_sandbox make(const struct ovl_sandbox_options *o)
{
	struct ovl_sandbox sb = OVL_SANDBOX_INIT;

	cr_assert_eq(ovl_sandbox_make(&store, o, &arena, &sb, &err), 0, "%s (%s)", err.text, err.hint);
	return sb;
}

static int mounted(const struct ovl_sandbox *sb)
{
	int fd = ovl_sandbox_mount(&store, sb, -1, &err);

	cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
	return fd;
}

static void put_text(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0, "%s: %d", name, errno);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void expect_text(int dir_fd, const char *name, const char *wanted)
{
	char text[32] = "";
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s: %d", name, errno);
	cr_assert_geq(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	cr_expect_str_eq(text, wanted);
}

static bool has(int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void end(const char *name)
{
	char path[160];

	cr_expect_eq(ovl_sandbox_end(&store, name, &err), 0, "%s", err.text);
	snprintf(path, sizeof(path), "store/sandboxes/%s", name);
	cr_expect_not(room_has(path));
}

Test(ovl_sandbox, writes_of_a_container_are_its_own_and_gone_at_its_end)
{
	make_layers(3);

	struct ovl_sandbox_options o = options("web", 3);
	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	put_text(fd, "common", "mine");
	put_text(fd, "new", "mine");
	cr_expect_eq(unlinkat(fd, "own-1", 0), 0);
	expect_text(fd, "common", "mine");
	expect_text(fd, "own-0", "0");
	close(fd);

	int below = ovl_lowers_mount(&store, lowers, 3, -1, &err);

	cr_assert_geq(below, 0, "%s", err.text);
	expect_text(below, "common", "2");
	cr_expect(has(below, "own-1"));
	cr_expect_not(has(below, "new"));
	close(below);

	int view = ovl_sandbox_view(&store, &sb, &err);

	cr_assert_geq(view, 0, "%s (%s)", err.text, err.hint);
	expect_text(view, "common", "mine");
	expect_text(view, "new", "mine");
	cr_expect_not(has(view, "own-1"));
	cr_expect_eq(mkdirat(view, "x", 0755), -1);
	cr_expect_eq(errno, EROFS);
	close(view);
	ovl_sandbox_close(&sb);
	end("web");
	end("web");
}

Test(ovl_sandbox, directories_can_be_layers_below_and_above_those_of_the_store)
{
	char low[96], high[96];

	make_layers(1);
	snprintf(low, sizeof(low), "%s/low", room_path);
	snprintf(high, sizeof(high), "%s/hi,gh:er", room_path);
	cr_assert_eq(mkdir(low, 0755), 0);
	cr_assert_eq(mkdir(high, 0711), 0);
	room_file("low/common", "low");
	room_file("low/low", "low");
	room_file("hi,gh:er/high", "high");

	const struct ovl_lower three[] = { { .dir = low }, { .hex = hexes[0] }, { .dir = high } };
	struct ovl_sandbox_options o = options("dirs", 3);

	o.lowers = three;

	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);
	struct stat st;

	expect_text(fd, "common", "0");
	expect_text(fd, "low", "low");
	expect_text(fd, "high", "high");
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0711);
	close(fd);
	ovl_sandbox_close(&sb);
	end("dirs");
}

Test(ovl_sandbox, the_root_is_that_of_the_topmost_layer_that_has_one)
{
	const struct timespec times[] = { { .tv_sec = 1000 }, { .tv_sec = 2000, .tv_nsec = 5 } };
	char path[160];
	struct stat st;

	make_layers(3); /* 1 has a root */
	snprintf(path, sizeof(path), "%s/store/layers/%s/tree", room_path, hexes[1]);
	cr_assert_eq(chown(path, 12, 34), 0);
	cr_assert_eq(chmod(path, 01775), 0);
	cr_assert_eq(setxattr(path, "trusted.mine", "yes", 3, 0), 0);
	cr_assert_eq(setxattr(path, "trusted.overlay.opaque", "y", 1, 0), 0);
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	umask(077);

	struct ovl_sandbox_options o = options("root", 3);
	struct ovl_sandbox sb = make(&o);
	char value[8];

	cr_assert_eq(fstat(sb.upper_fd, &st), 0);
	cr_expect_eq(st.st_uid, 12);
	cr_expect_eq(st.st_gid, 34);
	cr_expect_eq(st.st_mode & 07777, 01775);
	cr_expect_eq(st.st_mtim.tv_sec, 2000);
	cr_expect_eq(st.st_mtim.tv_nsec, 5);
	cr_expect_eq(fgetxattr(sb.upper_fd, "trusted.mine", value, sizeof(value)), 3);
	cr_expect_eq(fgetxattr(sb.upper_fd, "trusted.overlay.opaque", value, sizeof(value)), -1);
	ovl_sandbox_close(&sb);
	end("root");
}

Test(ovl_sandbox, five_hundred_layers_make_one_and_one_more_none)
{
	make_layers(MOST);

	struct ovl_sandbox_options o = options("tall", MOST - 1);
	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	expect_text(fd, "common", "499");
	cr_expect(has(fd, "own-0"));
	
	int file = openat(fd, "mine", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	cr_assert_eq(write(file, "x", 1), 1);
	close(file);
	close(fd);
	fd = ovl_sandbox_view(&store, &sb, &err);
	if (fd != -EINVAL || !strstr(err.text, "takes Linux 6.15")) { /* with it on top they are 501 */
		cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
		expect_text(fd, "mine", "x");
		expect_text(fd, "common", "499");
		cr_expect(has(fd, "own-0") && has(fd, "own-1") && has(fd, "own-2"));
		close(fd);
	}
	err = ERROR_INIT;
	ovl_sandbox_close(&sb);
	end("tall");

	o = options("taller", MOST);
	sb = make(&o);
	cr_expect_eq(ovl_sandbox_mount(&store, &sb, -1, &err), -EINVAL);
	cr_expect(strstr(err.text, "1 to 500 layers, not 501"), "%s", err.text);
	ovl_sandbox_close(&sb);
	end("taller");
}

Test(ovl_sandbox, the_upper_of_a_mounted_one_is_refused_to_a_second)
{
	make_layers(1);

	struct ovl_sandbox_options o = options("twice", 1);
	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	cr_expect_eq(ovl_sandbox_mount(&store, &sb, -1, &err), -EBUSY, "%s", err.text);
	cr_expect(strstr(err.text, "another overlay writes to the same directory"), "%s", err.text);
	put_text(fd, "common", "still");
	close(fd);
	fd = mounted(&sb);
	expect_text(fd, "common", "still");
	close(fd);
	ovl_sandbox_close(&sb);
	end("twice");
}

Test(ovl_sandbox, a_missing_layer_or_directory_is_named)
{
	make_layers(2);

	const struct ovl_lower gone[] = { { .dir = "/nonexistent/lower" }, { .hex = hexes[1] } };
	struct ovl_sandbox_options o = options("gone", 2);

	o.lowers = gone;

	struct ovl_sandbox sb = make(&o);

	cr_expect_eq(ovl_sandbox_mount(&store, &sb, -1, &err), -ENOENT);
	cr_expect(strstr(err.text, "open /nonexistent/lower"), "%s", err.text);
	ovl_sandbox_close(&sb);
	end("gone");
	memset(hexes[0], 'f', 64);
	o = options("none", 1);
	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -ENOENT);
	cr_expect(strstr(err.text, "sha256:ffff"), "%s", err.text);
	cr_expect_not(room_has("store/sandboxes/none"));
}

Test(ovl_sandbox, names_and_paths_that_cannot_be_are_refused)
{
	struct ovl_sandbox sb;

	make_layers(1);

	struct ovl_sandbox_options o = options("..", 1);

	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -EINVAL);
	o.name = "a/b";
	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -EINVAL);
	o.name = "ok";
	o.holder = "relative";
	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -EINVAL);
	o.holder = holder;
	o.n_lowers = 0;
	cr_expect_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), -EINVAL);
	cr_expect_eq(ovl_sandbox_end(&store, "../layers", &err), -EINVAL);
	cr_expect_eq(ovl_sandbox_open(&store, "nobody", &arena, &sb, &err), -ENOENT);
	cr_expect_eq(ovl_sandbox_remove(&store, "nobody", &err), -ENOENT);
	cr_expect(strstr(err.text, "has no sandbox \"nobody\""), "%s", err.text);
}

Test(ovl_sandbox, a_kept_one_goes_on_and_is_nobody_elses)
{
	make_layers(2);

	struct ovl_sandbox_options o = options("keep", 2);

	o.keep = true;

	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	put_text(fd, "common", "kept");
	close(fd);
	ovl_sandbox_close(&sb);

	/* Its container is there: nobody else's, and not to be thrown away. */
	struct ovl_sandbox_options other = o;

	other.holder = room_path;
	cr_expect_eq(ovl_sandbox_make(&store, &other, &arena, &sb, &err), -EBUSY, "%s", err.text);
	cr_expect_eq(ovl_sandbox_remove(&store, "keep", &err), -EBUSY);
	cr_expect(strstr(err.text, holder), "%s", err.text);

	cr_expect_eq(ovl_sandbox_end(&store, "keep", &err), 0, "%s", err.text);
	cr_assert_eq(rmdir(holder), 0);

	struct ovl_freed freed;

	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.layers, 0, "a kept sandbox holds its layers");

	other.keep = false;
	cr_expect_eq(ovl_sandbox_make(&store, &other, &arena, &sb, &err), -EEXIST);
	other.keep = true;
	other.n_lowers = 1;
	cr_expect_eq(ovl_sandbox_make(&store, &other, &arena, &sb, &err), -EINVAL);
	cr_expect(strstr(err.text, "over other layers"), "%s", err.text);
	other.n_lowers = 2;
	sb = make(&other);
	fd = mounted(&sb);
	expect_text(fd, "common", "kept");
	close(fd);
	cr_expect_str_eq(sb.holder, room_path);
	ovl_sandbox_close(&sb);

	cr_assert_eq(ovl_sandbox_open(&store, "keep", &arena, &sb, &err), 0, "%s", err.text);
	expect_text(sb.upper_fd, "common", "kept");
	cr_expect(sb.keep && sb.is_used && sb.n_lowers == 2);
	ovl_sandbox_close(&sb);
}

Test(ovl_sandbox, a_reset_empties_it_and_keeps_its_limits_and_root)
{
	struct stat st;

	make_layers(2);

	struct ovl_sandbox_options o = options("reset", 2);

	o.keep = true;

	struct ovl_sandbox sb = make(&o);
	int fd = mounted(&sb);

	put_text(fd, "common", "mine");
	cr_assert_eq(fchmodat(fd, ".", 0700, 0), 0);
	ovl_sandbox_close(&sb);
	cr_expect_eq(ovl_sandbox_reset(&store, "reset", &err), -EBUSY, "%s", err.text);
	expect_text(fd, "common", "mine");
	close(fd);
	cr_expect_eq(ovl_sandbox_reset(&store, "reset", &err), 0, "%s (%s)", err.text, err.hint);
	sb = make(&o);
	fd = mounted(&sb);
	expect_text(fd, "common", "1");
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0755);
	close(fd);
	ovl_sandbox_close(&sb);
}

Test(ovl_sandbox, what_a_dead_container_left_is_removed_with_its_layers)
{
	struct ovl_sandbox *all;
	struct ovl_freed freed;
	size_t n;

	make_layers(2);

	struct ovl_sandbox_options o = options("dead", 1);
	struct ovl_sandbox sb = make(&o), alive;
	int fd = mounted(&sb);

	put_text(fd, "new", "mine");
	close(fd);
	ovl_sandbox_close(&sb);
	o.name = "alive";
	o.holder = room_path;
	alive = make(&o);
	cr_assert_eq(ovl_sandboxes(&store, &arena, &all, &n, &err), 0, "%s", err.text);
	cr_assert_eq(n, 2);
	cr_expect_str_eq(all[0].name, "alive");
	cr_expect_str_eq(all[1].name, "dead");
	cr_expect(all[1].is_used && all[1].kind == OVL_SANDBOX_DIRECTORY);

	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.layers, 1, "layer 1 has no user");
	cr_expect(room_has("store/sandboxes/dead"));
	cr_assert_eq(rmdir(holder), 0);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_not(room_has("store/sandboxes/dead"));
	cr_expect_eq(freed.leftovers, 1);
	cr_expect_eq(freed.layers, 0);
	ovl_sandbox_close(&alive);
	end("alive");
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_eq(freed.layers, 1);
}

Test(ovl_sandbox, what_a_kill_left_half_made_is_no_obstacle)
{
	struct ovl_freed freed;

	make_layers(1);
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes", 0700), 0);
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes/a", 0700), 0);
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes/b", 0700), 0);
	room_file("store/sandboxes/b/sandbox.json", "{\"name\":\"b\",\"hol");
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes/c", 0700), 0);

	struct ovl_sandbox_options o = options("a", 1);
	struct ovl_sandbox sb = make(&o);

	close(mounted(&sb));
	ovl_sandbox_close(&sb);
	o.name = "b";
	sb = make(&o);
	close(mounted(&sb));
	ovl_sandbox_close(&sb);
	cr_assert_eq(ovl_gc(&store, &arena, &freed, &err), 0, "%s", err.text);
	cr_expect_not(room_has("store/sandboxes/c"));
	end("a");
	end("b");
}

Test(ovl_sandbox, a_record_of_old_has_objects)
{
	struct ovl_sandbox *v;
	size_t n;

	cr_assert_eq(mkdirat(room_fd, "store/sandboxes", 0700), 0);
	cr_assert_eq(mkdirat(room_fd, "store/sandboxes/a", 0700), 0);
	room_file("store/sandboxes/a/sandbox.json",
		  "{\"name\":\"a\",\"holder\":\"/h\",\"created\":\"x\",\"keep\":true,\"kind\":\"directory\",\"maxBytes\":0,"
		  "\"maxInodes\":0,\"project\":0,\"lowers\":[{\"layer\":\"sha256:"
		  "0000000000000000000000000000000000000000000000000000000000000001\"},{\"directory\":\"/d\"}]}");
	cr_assert_eq(ovl_sandboxes(&store, &arena, &v, &n, &err), 0, "%s", err.text);
	cr_assert_eq(n, 1);
	cr_assert_eq(v[0].n_lowers, 2);
	cr_expect_eq(strtoul(v[0].lowers[0].hex, NULL, 16), 1);
	cr_expect_null(v[0].lowers[0].dir);
	cr_expect_str_eq(v[0].lowers[1].dir, "/d");
}

Test(ovl_sandbox, more_layers_than_a_few_are_all_there_in_order)
{
	char cwd[2][256];

	make_layers(6);

	/* Known ones go to the kernel by name. */
	static struct ovl_layer known[6];

	for (int i = 0; i < 6; i++) {
		known[i].is_known = true;
		lowers[i].layer = &known[i];
	}

	struct ovl_sandbox_options o = options("a", 6);
	struct ovl_sandbox sb = make(&o);

	cr_assert_not_null(getcwd(cwd[0], sizeof(cwd[0])));

	int fd = mounted(&sb);

	cr_assert_not_null(getcwd(cwd[1], sizeof(cwd[1])));
	cr_expect_str_eq(cwd[0], cwd[1]);
	expect_text(fd, "common", "5");
	expect_text(fd, "own-0", "0");
	close(fd);
	ovl_sandbox_close(&sb);
	end("a");

	/* The topmost that hides what is below. */
	known[3].hides_below = true;
	sb = make(&o);
	fd = mounted(&sb);
	expect_text(fd, "own-3", "3");
	cr_expect_eq(faccessat(fd, "own-2", F_OK, 0), -1);
	close(fd);
	ovl_sandbox_close(&sb);
	end("a");

	/* One that is gone has its name in the message. */
	known[3].hides_below = false;
	remove_tree(room_fd, "store/layers/0000000000000000000000000000000000000000000000000000000000000002", NULL);
	sb = make(&o);
	err = (struct error)ERROR_INIT;
	cr_expect_eq(ovl_sandbox_mount(&store, &sb, -1, &err), -ENOENT);
	cr_expect(strstr(err.text, "the layer sha256:000000000000"), "%s", err.text);
	ovl_sandbox_close(&sb);
	end("a");
}

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

static int count_mounts(void)
{
	char line[1024];
	int n = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (fgets(line, sizeof(line), f))
		n += strstr(line, room_path) != NULL;
	fclose(f);
	return n;
}

/* Devices that have a file of a sandbox. */
static int count_loops(void)
{
	char path[64], line[256];
	int n = 0;

	for (int i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "/sys/block/loop%d/loop/backing_file", i);

		FILE *f = fopen(path, "re");

		if (!f)
			continue;
		n += fgets(line, sizeof(line), f) && strstr(line, room_path);
		fclose(f);
	}
	return n;
}

/* Whoever made a mount namespace of his own meanwhile has a copy of each mount until he drops it. */
static void expect_nothing_left(void)
{
	cr_expect_eq(count_mounts(), 0);
	for (int i = 0; count_loops() && i < 500; i++)
		usleep(10000);
	cr_expect_eq(count_loops(), 0);
}

Test(ovl_sandbox, one_in_memory_is_as_large_as_asked_for)
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

Test(ovl_sandbox, one_of_limited_size_is_as_large_as_asked_for)
{
	struct ovl_sandbox_options o = options("limited", 2);
	bool has_quota = quota_is_enforced(room_fd);

	expect_limits(&o, has_quota ? OVL_SANDBOX_QUOTA : OVL_SANDBOX_IMAGE, has_quota ? EDQUOT : ENOSPC);
	cr_expect_eq(count_loops(), has_quota ? 0 : 1);
	end("limited");
	expect_nothing_left();
}

Test(ovl_sandbox, a_kept_one_of_limited_size_is_there_when_it_is_opened)
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
Test(ovl_sandbox, an_image_that_is_mounted_elsewhere_is_the_same_file_system_here)
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

static void set_flag(int dir_fd, const char *name, unsigned flag)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	unsigned flags;

	cr_assert_geq(fd, 0);
	cr_assert_eq(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
	flags |= flag;
	cr_assert_eq(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0, "%d", errno);
	close(fd);
}

Test(ovl_sandbox, files_that_a_container_made_immutable_go_as_well)
{
	make_layers(1);

	struct ovl_sandbox_options o = options("immutable", 1);
	struct ovl_sandbox sb = make(&o);

	cr_assert_eq(mkdirat(sb.upper_fd, "d", 0755), 0);
	cr_assert_eq(mkdirat(sb.upper_fd, "d/e", 0755), 0);
	put_text(sb.upper_fd, "d/e/file", "x");
	put_text(sb.upper_fd, "log", "x");
	set_flag(sb.upper_fd, "d/e/file", FS_IMMUTABLE_FL);
	set_flag(sb.upper_fd, "d/e", FS_IMMUTABLE_FL);
	set_flag(sb.upper_fd, "d", FS_APPEND_FL);
	set_flag(sb.upper_fd, "log", FS_APPEND_FL);
	set_flag(sb.upper_fd, ".", FS_IMMUTABLE_FL);
	ovl_sandbox_close(&sb);
	end("immutable");
}
