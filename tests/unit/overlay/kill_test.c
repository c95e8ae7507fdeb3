/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SIGKILL before each system call of a sandbox's life, in turn: what is left is nothing that its end, or gc once the
 * holder is gone, does not take away.
 */
#include "overlay/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "tests/unit/overlay/room.h"

static struct ovl_store store;
static struct arena arena = ARENA_INIT;
static char hex[OVL_HEX_BYTES], holder[96];
static struct ovl_lower lower = { .hex = hex };

/* gc takes it away with what it is of no use to. */
static void make_layer(void)
{
	char path[160];

	snprintf(path, sizeof(path), "store/layers/%s", hex);
	if (mkdirat(room_fd, path, 0755) < 0)
		return;
	snprintf(path, sizeof(path), "store/layers/%s/tree", hex);
	cr_assert_eq(mkdirat(room_fd, path, 0755), 0);
	snprintf(path, sizeof(path), "store/layers/%s/tree/file", hex);
	room_file(path, "x");
}

static void init(void)
{
	char path[160];

	room_make();
	snprintf(path, sizeof(path), "%s/store", room_path);
	cr_assert_eq(ovl_store_open(strdup(path), OVL_MAKE, &store, &err), 0, "%s", err.text);
	snprintf(holder, sizeof(holder), "%s/holder", room_path);
	memset(hex, '5', 64);
	make_layer();
}

static void fini(void)
{
	ovl_store_close(&store);
	room_remove();
}

TestSuite(ovl_kill, .init = init, .fini = fini);

/* A whole life, in the child. */
static void live(const struct ovl_sandbox_options *o)
{
	struct ovl_sandbox sb = OVL_SANDBOX_INIT;

	if (ovl_sandbox_make(&store, o, &arena, &sb, NULL) < 0)
		_exit(1);

	int fd = ovl_sandbox_mount(&store, &sb, -1, NULL);
	int file = openat(fd, "file", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || file < 0 || write(file, "written", 7) != 7)
		_exit(2);
	close(file);
	close(fd);
	ovl_sandbox_close(&sb);
	if (o->keep && ovl_sandbox_reset(&store, o->name, NULL) < 0)
		_exit(3);
	_exit(ovl_sandbox_end(&store, o->name, NULL) < 0 ? 4 : 0);
}

/* Kills it before system call number n. false: it came to its end before. */
static bool kill_at(const struct ovl_sandbox_options *o, int n)
{
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		live(o);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 2 * n && !WIFEXITED(status);) {
		int sig = WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD ? SIGCHLD : 0; /* of mkfs */

		cr_assert_eq(ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig), 0);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		i += WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
	}
	if (WIFEXITED(status)) {
		cr_expect_eq(WEXITSTATUS(status), 0);
		return false;
	}
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return true;
}

static size_t count_entries(const char *dir)
{
	struct dir_list list;
	int fd = openat(room_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	cr_assert_eq(dir_list_read(&list, fd, &err), 0);
	close(fd);

	size_t n = list.n;

	dir_list_release(&list);
	return n;
}

static void expect_clean(int n)
{
	bool loop_left = count_loops() > 0;

	/* A namespace of another test has a copy, for a moment; and its own loops, which come and go, may have the same path. */
	for (int i = 0; loop_left && i < 500; i++) {
		usleep(10000);
		loop_left = count_loops() > 0;
	}
	cr_expect_not(count_mounts() > 0, "call %d", n);
	cr_expect_not(loop_left, "call %d", n);
	cr_expect_eq(count_entries("store/sandboxes"), 0, "call %d", n);
	cr_expect_eq(count_entries("store/work"), 0, "call %d", n);
}

/* Each second time by the end of its name, each other by gc after the container's directory is gone. */
static void kill_everywhere(struct ovl_sandbox_options o, int step)
{
	int n = 1;

	o.name = "victim";
	o.holder = holder;
	o.lowers = &lower;
	o.n_lowers = 1;
	for (bool was_killed = true; was_killed; n += step) {
		struct ovl_freed freed;

		cr_assert_eq(mkdir(holder, 0700), 0);
		was_killed = kill_at(&o, n);
		if (n & 2)
			cr_expect_eq(ovl_sandbox_end(&store, "victim", &err), 0, "call %d: %s", n, err.text);
		cr_assert_eq(rmdir(holder), 0);
		/* The victim's mkfs outlives it for a moment, and its locks with it: what is in use is not touched. */
		for (int i = 0; !o.keep && !(n & 2) && i < 500 && (i == 0 || count_entries("store/sandboxes")); i++) {
			cr_expect_eq(ovl_gc(&store, &arena, &freed, &err), 0, "call %d: %s", n, err.text);
			usleep(i ? 10000 : 0);
		}
		if (o.keep) {
			int r = ovl_sandbox_remove(&store, "victim", &err);

			cr_expect(r == 0 || r == -ENOENT, "call %d: %s", n, err.text);
			cr_expect_eq(ovl_gc(&store, &arena, &freed, &err), 0, "call %d: %s", n, err.text);
		}
		expect_clean(n);
		make_layer();
	}
	cr_expect(n > 40, "%d system calls in all", n);
}

Test(ovl_kill, a_directory)
{
	kill_everywhere((struct ovl_sandbox_options){ 0 }, 1);
}

Test(ovl_kill, a_kept_one)
{
	kill_everywhere((struct ovl_sandbox_options){ .keep = true }, 1);
}

Test(ovl_kill, one_in_memory)
{
	kill_everywhere((struct ovl_sandbox_options){ .memory = true, .max_bytes = 1 << 20 }, 1);
}

Test(ovl_kill, one_of_limited_size)
{
	kill_everywhere((struct ovl_sandbox_options){ .max_bytes = 4 << 20 }, 1);
}
