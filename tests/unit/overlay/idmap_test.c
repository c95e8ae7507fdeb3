/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/parts.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/overlay/room.h"

enum { N = 12, FIRST = 100000 };

static struct ovl_store store;
static struct arena arena = ARENA_INIT;
static struct ovl_sandbox sb = OVL_SANDBOX_INIT;
static char hexes[N][OVL_HEX_BYTES], dirs[N][96];
static struct ovl_lower layers[N], plain[N];
static int userns = -1;

/* A user namespace in which 0 to 65535 are FIRST and more. */
static void make_userns(void)
{
	char path[64], done;
	int pipes[2];

	cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);

	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(1);
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	cr_assert_eq(read(pipes[0], &done, 1), 1);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, i ? "gid_map" : "uid_map");

		int fd = open(path, O_WRONLY | O_CLOEXEC);

		cr_assert_eq(dprintf(fd, "0 %d 65536\n", FIRST) > 0, true);
		close(fd);
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	userns = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(userns, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
}

static void make_lowers(void)
{
	char path[160];

	for (int i = 0; i < N; i++) {
		snprintf(hexes[i], sizeof(hexes[i]), "%064d", i);
		layers[i].hex = hexes[i];
		snprintf(path, sizeof(path), "store/layers/%.64s", hexes[i]);
		cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
		snprintf(path, sizeof(path), "store/layers/%.64s/has-root", hexes[i]);
		room_file(path, "");
		snprintf(path, sizeof(path), "store/layers/%.64s/tree", hexes[i]);
		cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
		snprintf(path, sizeof(path), "store/layers/%.64s/tree/file-%d", hexes[i], i);
		room_file(path, "x");
		cr_assert_eq(fchownat(room_fd, path, (uid_t)i, 0, 0), 0);
		snprintf(path, sizeof(path), "dir-%d", i);
		cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
		snprintf(path, sizeof(path), "dir-%d/file-%d", i, i);
		room_file(path, "x");
		cr_assert_eq(fchownat(room_fd, path, (uid_t)i, 0, 0), 0);
		snprintf(dirs[i], sizeof(dirs[i]), "%s/dir-%d", room_path, i);
		plain[i].dir = dirs[i];
	}
}

static void init(void)
{
	char path[80];

	room_make();
	snprintf(path, sizeof(path), "%s/store", room_path);
	cr_assert_eq(ovl_store_open(strdup(path), OVL_MAKE, &store, &err), 0, "%s", err.text);
	make_userns();
	make_lowers();
}

static void fini(void)
{
	ovl_sandbox_close(&sb);
	ovl_store_close(&store);
	close(userns);
	room_remove();
}

TestSuite(ovl_idmap, .init = init, .fini = fini);

static void make(const struct ovl_lower *lowers, size_t n)
{
	const struct ovl_sandbox_options o = {
		.name = "mapped",
		.holder = room_path,
		.lowers = lowers,
		.n_lowers = n,
	};

	cr_assert_eq(ovl_sandbox_make(&store, &o, &arena, &sb, &err), 0, "%s", err.text);
}

static void expect_owner(int dir_fd, const char *name, uid_t wanted)
{
	struct stat st;

	cr_assert_eq(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0, "%s", name);
	cr_expect_eq(st.st_uid, wanted, "%s: %u, not %u", name, st.st_uid, wanted);
}

/* The files have the ids of the container, seen from inside and on the disk. */
static void expect_mapped(const struct ovl_lower *lowers, int n)
{
	char name[32];

	make(lowers, (size_t)n);

	int fd = ovl_sandbox_mount(&store, &sb, userns, &err);

	cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
	expect_owner(fd, ".", FIRST);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		expect_owner(fd, name, FIRST + (uid_t)i);
	}
	cr_assert_eq(fchownat(fd, name, FIRST + 77, FIRST, 0), 0, "%d", errno);
	expect_owner(sb.upper_fd, name, 77);
	cr_expect_eq(unlinkat(fd, "file-0", 0), 0, "a whiteout: %d", errno);
	cr_expect_eq(renameat(fd, name, fd, "renamed"), 0, "%d", errno);
	expect_owner(fd, "renamed", FIRST + 77);
	close(fd);
}

Test(ovl_idmap, layers_of_the_store_have_the_ids_of_the_container)
{
	expect_mapped(layers, 3);
}

Test(ovl_idmap, directories_have_the_ids_of_the_container)
{
	expect_mapped(plain, 3);
}

Test(ovl_idmap, many_directories_are_as_good_as_few)
{
	expect_mapped(plain, N);
}

static int make_it(const void *data, struct error *e)
{
	const struct ovl_reach *reach = data;
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (reach->layers_fd < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set(e, errno, "make a tmpfs");

	int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);

	close(fs);
	return fd;
}

static int refuse(const void *data, struct error *e)
{
	(void)data;
	return error_rule(e, EDOM, "it was refused");
}

Test(ovl_idmap, what_a_child_makes_arrives_and_so_does_its_error)
{
	struct ovl_reach reach;
	const struct ovl_parts p = {
		.store = &store,
		.lowers = layers,
		.n = 2,
		.top_fd = -1,
		.upper_fd = -1,
		.work_fd = -1,
		.base_fd = -1,
		.userns_fd = userns,
	};

	cr_assert_eq(reach_open(&p, &reach, &err), 0, "%s", err.text);
	cr_expect_eq(reach.n_mounts, 1);

	int fd = reach_in_namespace(&reach, make_it, &reach, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_expect_eq(mkdirat(fd, "in-it", 0755), 0);
	close(fd);
	reach_close(&reach);
	cr_assert_eq(reach_open(&p, &reach, &err), 0, "%s", err.text);
	cr_expect_eq(reach_in_namespace(&reach, refuse, NULL, &err), -EDOM);
	cr_expect_str_eq(err.text, "it was refused");
	reach_close(&reach);
}

Test(ovl_idmap, layers_alone_are_mapped_too)
{
	int fd = ovl_lowers_mount(&store, layers, 3, userns, &err);

	cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
	expect_owner(fd, "file-2", FIRST + 2);
	close(fd);
	fd = ovl_lowers_mount(&store, plain, 1, userns, &err);
	cr_assert_geq(fd, 0, "%s (%s)", err.text, err.hint);
	expect_owner(fd, "file-0", FIRST);
	cr_expect_eq(unlinkat(fd, "file-0", 0), -1);
	cr_expect_eq(errno, EROFS);
	close(fd);
}

Test(ovl_idmap, a_file_system_that_cannot_be_mapped_is_named)
{
	const struct ovl_lower lowers[] = { layers[0], { .dir = "/proc/self" } };

	cr_expect_eq(ovl_lowers_mount(&store, lowers, 2, userns, &err), -EINVAL, "%s", err.text);
	cr_expect(strstr(err.text, "map the ids of /proc/self"), "%s", err.text);
}

Test(ovl_idmap, a_file_system_that_can_be_no_lower_is_named)
{
	const struct ovl_lower lowers[] = { layers[0], { .dir = "/proc/self" } };

	cr_expect_eq(ovl_lowers_mount(&store, lowers, 2, -1, &err), -EINVAL, "%s", err.text);
	cr_expect(strstr(err.text, "/proc/self"), "%s (%s)", err.text, err.hint);
}
