/* SPDX-License-Identifier: Apache-2.0 */

/*
 * floor - the least kernel work that makes the default container
 *
 * Not a runtime: it parses no configuration, checks nothing that it need not, and
 * one default bundle (the one `spec` writes) is compiled in. What it costs is what
 * the kernel alone asks for that container, so a runtime's own share is its time
 * over this one. Built with the same libc as the runtime, because the start of a
 * program is a good part of a short command.
 *
 * Rules of this file: each namespace, mount, node, limit and descriptor that the
 * default bundle asks for is really made, with the fewest and cheapest calls known.
 * Nothing overlaps: where a runtime works in parent and child at once it may win
 * some of its own share back.
 *
 *	floor [--root DIR] run|create -b BUNDLE ID
 *	floor [--root DIR] start|state|delete [-f] ID
 *	floor [--root DIR] exec ID PROGRAM [ARG…]
 *	floor [--root DIR] list
 *	floor --version
 *
 * BUNDLE holds rootfs/, floor.args (path of the program to run) and, for a container
 * with a seccomp filter, floor.bpf (the ready-made filter).
 *
 * cgroup v2 is expected on /sys/fs/cgroup, and our cgroup may have children.
 */

#include "floor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/sched.h>

#define CGROUPS "/sys/fs/cgroup"

/* ------------------------------------------------------------ small files */

/* Bytes read, or -1. The text is terminated. */
static ssize_t read_file(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, buf, size - 1);
	close(fd);
	if (n >= 0)
		((char *)buf)[n] = '\0';
	return n;
}

static void join(char *to, size_t size, const char *directory, const char *name)
{
	if (snprintf(to, size, "%s/%s", directory, name) >= (int)size)
		die("path too long");
}

/* A path below the state directory; good until the next call. */
static const char *state_path(const struct container *c, const char *name)
{
	static char path[PATH_MAX + 16];
	join(path, sizeof(path), c->state, name);
	return path;
}

static void locate(struct container *c, const char *id)
{
	c->id = id;
	join(c->state, sizeof(c->state), c->root, id);
	join(c->cgroup, sizeof(c->cgroup), CGROUPS, id);
}

static void write_state(const struct container *c, pid_t pid)
{
	char text[PATH_MAX + 300];
	int n = snprintf(text, sizeof(text), "%d %s %s\n", pid, c->id, c->bundle);
	int fd = MUST(open(state_path(c, "state"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));

	MUST(write(fd, text, (size_t)n));
	close(fd);
}

static pid_t read_state(const struct container *c)
{
	char text[64];
	if (read_file(state_path(c, "state"), text, sizeof(text)) <= 0) {
		fprintf(stderr, "no container %s\n", c->id);
		exit(1);
	}
	return (pid_t)strtol(text, NULL, 10);
}

static bool is_alive(pid_t pid)
{
	char path[32], text[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return read_file(path, text, sizeof(text)) > 0;
}

/* ------------------------------------------------------------------- clone */

/*
 * clone3() with CLONE_VM and CLONE_VFORK is vfork(): the child runs on our stack and we
 * sleep until its execve(). A libc wrapper's return address would be gone by then, hence
 * the bare instruction, inlined; and what the child does must be in a function of its
 * own that is not inlined, so that it finds no slot of our frame to write to.
 */
static inline __attribute__((always_inline)) pid_t clone_into(uint64_t flags, int cgroup_fd)
{
	struct clone_args args = { .flags = flags | CLONE_INTO_CGROUP,
				   .exit_signal = SIGCHLD,
				   .cgroup = (uint64_t)cgroup_fd };
	long r;
#if defined(__x86_64__)
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"((long)SYS_clone3), "D"(&args), "S"(sizeof(args))
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long number __asm__("x8") = SYS_clone3;
	register long first __asm__("x0") = (long)&args;
	register long second __asm__("x1") = sizeof(args);
	__asm__ volatile("svc 0" : "+r"(first) : "r"(number), "r"(second) : "memory");
	r = first;
#else
#error "clone3 for this machine is missing"
#endif
	if (r < 0) {
		errno = (int)-r;
		die("clone3");
	}
	return (pid_t)r;
}

static int exit_code_of(pid_t pid)
{
	int status;
	MUST(waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---------------------------------------------------------------- commands */

/*
 * cgroup.kill ends all, a pidfd tells when pid 1 is gone. cgroup.events would say so too,
 * but the kernel sends its notifications at most every 10 ms.
 */
static void kill_all(const struct container *c)
{
	struct pollfd init = { .events = POLLIN };
	char path[PATH_MAX + 16];
	init.fd = (int)syscall(SYS_pidfd_open, read_state(c), 0);

	join(path, sizeof(path), c->cgroup, "cgroup.kill");
	int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, "1", 1));
	close(fd);
	if (init.fd < 0)
		return;
	MUST(poll(&init, 1, 10000));
	close(init.fd);
}

static void forget(const struct container *c)
{
	/* the last task leaves its cgroup a moment after its pidfd says so */
	for (int tries = 0; rmdir(c->cgroup) < 0 && errno == EBUSY && tries < 10000; tries++)
		usleep(100);
	unlink(state_path(c, "state"));
	unlink(state_path(c, "start"));
	MUST(rmdir(c->state));
}

static void load_bundle(struct container *c)
{
	MUST(chdir(c->bundle));
	MUST(read_file("floor.args", c->program, sizeof(c->program)));
	c->program[strcspn(c->program, "\n")] = '\0';

	ssize_t n = read_file("floor.bpf", c->filter, sizeof(c->filter));
	if (n > 0)
		c->filter_len = (unsigned short)((size_t)n / sizeof(*c->filter));
}

/* Returns the cgroup's descriptor. */
static int reserve(const struct container *c)
{
	if (mkdir(c->root, 0700) < 0 && errno != EEXIST)
		die(c->root);
	must(mkdir(c->state, 0700), c->state);
	must(mkdir(c->cgroup, 0755), c->cgroup);
	int cgroup_fd = must(open(c->cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC), c->cgroup);
	attach_device_program(cgroup_fd);
	return cgroup_fd;
}

static __attribute__((noinline)) _Noreturn void be_run(struct container *c)
{
	char *const argv[] = { c->program, NULL };
	build_container();
	become(c, argv);
}

static int run(struct container *c)
{
	int cgroup_fd = reserve(c);
	pid_t pid = clone_into(NAMESPACES | CLONE_VFORK | CLONE_VM, cgroup_fd);
	if (pid == 0)
		be_run(c);
	write_state(c, pid);
	int code = exit_code_of(pid);
	forget(c);
	return code;
}

/* Tells that all is built, then waits in open() until `start` opens the other end. */
static _Noreturn void be_created(struct container *c, int ready_fd, int start_fd)
{
	char *const argv[] = { c->program, NULL };
	char path[32];

	build_container();
	MUST(write(ready_fd, "", 1));
	close(ready_fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", start_fd);
	int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, "", 1));
	close(fd);
	become(c, argv);
}

static int create(struct container *c)
{
	int ready[2];
	char byte;
	int cgroup_fd = reserve(c);

	MUST(mkfifo(state_path(c, "start"), 0600));
	int start_fd = MUST(open(state_path(c, "start"), O_PATH | O_CLOEXEC));
	MUST(pipe2(ready, O_CLOEXEC));
	pid_t pid = clone_into(NAMESPACES, cgroup_fd);
	if (pid == 0)
		be_created(c, ready[1], start_fd);
	close(ready[1]);
	write_state(c, pid);
	if (read(ready[0], &byte, 1) == 1)
		return 0;
	kill_all(c);
	forget(c);
	return 1;
}

static int start(const struct container *c)
{
	char byte;
	int fd = MUST(open(state_path(c, "start"), O_RDONLY | O_CLOEXEC));

	MUST(read(fd, &byte, 1)); /* it goes on; whether its execve() works is not waited for */
	MUST(unlink(state_path(c, "start")));
	return 0;
}

static __attribute__((noinline)) _Noreturn void be_exec(struct container *c, int pidfd,
							char *const argv[])
{
	MUST(setns(pidfd, CLONE_NEWCGROUP));
	become(c, argv);
}

static int execute(struct container *c, char *const argv[])
{
	int pidfd = MUST(syscall(SYS_pidfd_open, read_state(c), 0));
	int cgroup_fd = MUST(open(c->cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC));

	/*
	 * The cgroup namespace comes after the cgroup: from within it, clone3() could no
	 * longer reach a cgroup that lies at the namespace's root.
	 */
	MUST(setns(pidfd, NAMESPACES));
	pid_t pid = clone_into(CLONE_VFORK | CLONE_VM, cgroup_fd);
	if (pid == 0)
		be_exec(c, pidfd, argv);
	return exit_code_of(pid);
}

static int state(const struct container *c)
{
	pid_t pid = read_state(c);
	const char *status = !is_alive(pid)				 ? "stopped"
			     : access(state_path(c, "start"), F_OK) == 0 ? "created"
									 : "running";

	printf("{\"ociVersion\":\"1.0.2\",\"id\":\"%s\",\"status\":\"%s\",\"pid\":%d}\n", c->id,
	       status, pid);
	return 0;
}

static int list(struct container *c)
{
	DIR *directory = opendir(c->root);
	if (!directory)
		return 0;
	for (struct dirent *entry; (entry = readdir(directory));) {
		if (entry->d_name[0] == '.')
			continue;
		locate(c, entry->d_name);
		pid_t pid = read_state(c);
		printf("%s %d %s\n", c->id, pid, is_alive(pid) ? "running" : "stopped");
	}
	closedir(directory);
	return 0;
}

/* ------------------------------------------------------------ command line */

static int usage(void)
{
	fprintf(stderr, "usage: floor [--root DIR] run|create -b BUNDLE ID | start|state ID | "
			"delete [-f] ID | exec ID PROGRAM… | list | --version\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct container c = { .root = "/run/floor", .bundle = "." };
	const char *command = NULL, *id = NULL;
	bool force = false;
	int i = 1;

	for (; i < argc && !id; i++) {
		if (strcmp(argv[i], "--root") == 0 && i + 1 < argc)
			c.root = argv[++i];
		else if (strcmp(argv[i], "-b") == 0 && i + 1 < argc)
			c.bundle = argv[++i];
		else if (strcmp(argv[i], "-f") == 0)
			force = true;
		else if (!command)
			command = argv[i];
		else
			id = argv[i];
	}
	if (command && strcmp(command, "--version") == 0)
		return puts("floor") < 0;
	if (command && strcmp(command, "list") == 0)
		return list(&c);
	if (!command || !id)
		return usage();

	umask(0);
	locate(&c, id);
	if (strcmp(command, "run") == 0 || strcmp(command, "create") == 0) {
		load_bundle(&c);
		return command[0] == 'r' ? run(&c) : create(&c);
	}
	if (strcmp(command, "start") == 0)
		return start(&c);
	if (strcmp(command, "state") == 0)
		return state(&c);
	if (strcmp(command, "exec") == 0 && i < argc)
		return execute(&c, argv + i);
	if (strcmp(command, "delete") == 0) {
		if (force)
			kill_all(&c);
		forget(&c);
		return 0;
	}
	return usage();
}
