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

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#define CGROUPS "/sys/fs/cgroup"

/* All of the default bundle but the cgroup namespace, which is made from inside the cgroup. */
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)

/* What the command line and the bundle say, and nothing else. */
struct container {
	const char *root, *bundle, *id;
	char state[PATH_MAX], cgroup[PATH_MAX]; /* directories */
	char program[256];
	struct sock_filter filter[4096];
	unsigned short filter_len; /* instructions */
};

static _Noreturn void die(const char *what)
{
	perror(what);
	_exit(125);
}

static int must(long result, const char *what)
{
	if (result < 0)
		die(what);
	return (int)result;
}

#define MUST(call) must((call), #call)

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

/* ---------------------------------------------------------- device program */

#define LOAD(reg, member) \
	{ \
		.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = reg, .src_reg = BPF_REG_1, \
		.off = offsetof(struct bpf_cgroup_dev_ctx, member) \
	}
#define ALU(op, source, dst, src, value) \
	{ \
		.code = BPF_ALU | op | source, .dst_reg = dst, .src_reg = src, .imm = value \
	}
#define JUMP(op, reg, value, here, there) \
	{ \
		.code = BPF_JMP | op | BPF_K, .dst_reg = reg, .off = there - here - 1, \
		.imm = value \
	}

/*
 * mknod of everything; use of the default devices of config-linux.md and of ptys:
 * 1:3,5,7,8,9, 5:0-2, 136:*. The verifier's time goes with the length.
 */
static void attach_device_program(int cgroup_fd)
{
	enum { TYPE = 2, ACCESS, MAJOR, MINOR }; /* registers */
	enum { NOT_5 = 12, DENY = 18, ALLOW = 20 };
	static const struct bpf_insn program[] = {
		LOAD(TYPE, access_type), /* access << 16 | type */
		LOAD(MAJOR, major),
		LOAD(MINOR, minor),
		ALU(BPF_MOV, BPF_X, ACCESS, TYPE, 0),
		ALU(BPF_RSH, BPF_K, ACCESS, 0, 16),
		ALU(BPF_AND, BPF_K, TYPE, 0, 0xffff),
		JUMP(BPF_JEQ, ACCESS, BPF_DEVCG_ACC_MKNOD, 6, ALLOW),
		JUMP(BPF_JNE, TYPE, BPF_DEVCG_DEV_CHAR, 7, DENY),
		JUMP(BPF_JEQ, MAJOR, 136, 8, ALLOW),
		JUMP(BPF_JNE, MAJOR, 5, 9, NOT_5),
		JUMP(BPF_JLE, MINOR, 2, 10, ALLOW),
		JUMP(BPF_JA, 0, 0, 11, DENY),
		[NOT_5] = JUMP(BPF_JNE, MAJOR, 1, NOT_5, DENY),
		JUMP(BPF_JEQ, MINOR, 3, 13, ALLOW),
		JUMP(BPF_JEQ, MINOR, 5, 14, ALLOW),
		JUMP(BPF_JEQ, MINOR, 7, 15, ALLOW),
		JUMP(BPF_JEQ, MINOR, 8, 16, ALLOW),
		JUMP(BPF_JEQ, MINOR, 9, 17, ALLOW),
		[DENY] = ALU(BPF_MOV, BPF_K, BPF_REG_0, 0, 0),
		{ .code = BPF_JMP | BPF_EXIT },
		[ALLOW] = ALU(BPF_MOV, BPF_K, BPF_REG_0, 0, 1),
		{ .code = BPF_JMP | BPF_EXIT },
	};

	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insn_cnt = sizeof(program) / sizeof(*program);
	attr.insns = (uintptr_t)program;
	attr.license = (uintptr_t) "Apache-2.0";
	int program_fd = MUST(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)program_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	MUST(syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)));
	close(program_fd);
}

/* ------------------------------------------------- inside the new namespaces */

#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static void mount_new(const char *type, const char *where, unsigned long flags, const char *options)
{
	must(mount(type, where, type, flags, options), where);
}

/* A path of procfs that this kernel may not have. */
static void make_readonly(const char *path)
{
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) == 0)
		must(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | SAFE, NULL), path);
	else if (errno != ENOENT)
		die(path);
}

static void mount_all(void)
{
	mount_new("proc", "proc", 0, NULL);
	mount_new("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	MUST(mkdir("dev/pts", 0755));
	MUST(mkdir("dev/shm", 0755));
	MUST(mkdir("dev/mqueue", 0755));
	mount_new("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC,
		  "newinstance,ptmxmode=0666,mode=0620,gid=5");
	mount_new("tmpfs", "dev/shm", SAFE, "mode=1777,size=65536k");
	mount_new("mqueue", "dev/mqueue", SAFE, NULL);
	mount_new("sysfs", "sys", SAFE | MS_RDONLY, NULL);
	mount_new("cgroup2", "sys/fs/cgroup", SAFE | MS_RELATIME | MS_RDONLY, NULL);
}

static void make_devices(void)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} nodes[] = {
		{ "dev/null", 1, 3 },	{ "dev/zero", 1, 5 },	 { "dev/full", 1, 7 },
		{ "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "dev/fd" },	     { "/proc/self/fd/0", "dev/stdin" },
		{ "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" },
		{ "pts/ptmx", "dev/ptmx" },
	};

	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		must(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)),
		     nodes[i].path);
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		must(symlink(links[i][0], links[i][1]), links[i][1]);
}

static void hide_paths(void)
{
	static const char *const files[] = { "proc/asound",	 "proc/kcore",
					     "proc/keys",	 "proc/latency_stats",
					     "proc/timer_list",	 "proc/timer_stats",
					     "proc/sched_debug", "proc/scsi" };
	static const char *const directories[] = { "proc/acpi", "sys/firmware" };
	static const char *const readonly[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys",
						"proc/sysrq-trigger" };
	const char *empty = NULL; /* one empty file system serves for all directories */

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		if (mount("dev/null", files[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT)
			continue;
		if (errno != ENOTDIR)
			die(files[i]);
		must(mount("tmpfs", files[i], "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1"),
		     files[i]);
	}
	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++) {
		int r = empty ? mount(empty, directories[i], NULL, MS_BIND, NULL)
			      : mount("tmpfs", directories[i], "tmpfs", MS_RDONLY,
				      "nr_blocks=1,nr_inodes=1");
		if (r == 0)
			empty = directories[i];
		else if (errno != ENOENT)
			die(directories[i]);
	}
	for (size_t i = 0; i < sizeof(readonly) / sizeof(*readonly); i++)
		make_readonly(readonly[i]);
}

static void bring_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	MUST(ioctl(fd, SIOCSIFFLAGS, &request));
	close(fd);
}

/* The working directory is the bundle. */
static void build_container(void)
{
	MUST(unshare(CLONE_NEWCGROUP));
	MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mount("rootfs", "rootfs", NULL, MS_BIND | MS_REC, NULL));
	MUST(chdir("rootfs"));
	mount_all();
	make_devices();
	hide_paths();
	MUST(mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	/* pivot_root(2), "pivot_root(".", ".")": the old root lies on top and is taken off */
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
	MUST(chdir("/"));
	bring_loopback_up();
	MUST(sethostname("floor", 5));
}

static _Noreturn void become(const struct container *c, char *const argv[])
{
	static char *const environment[] = {
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		(char *)"TERM=xterm", NULL
	};
	const uint64_t keep =
		1ull << CAP_KILL | 1ull << CAP_NET_BIND_SERVICE | 1ull << CAP_AUDIT_WRITE;
	const struct rlimit files = { 1024, 1024 };
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { { (uint32_t)keep, (uint32_t)keep, 0 },
						  { (uint32_t)(keep >> 32), (uint32_t)(keep >> 32),
						    0 } };

	MUST(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "floor"));
	MUST(setsid());
	MUST(setrlimit(RLIMIT_NOFILE, &files));
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(keep >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	/* the bare calls: libc's would first stop threads that do not exist */
	MUST(syscall(SYS_setgroups, 0, NULL));
	MUST(syscall(SYS_setresgid, 0, 0, 0));
	MUST(syscall(SYS_setresuid, 0, 0, 0));
	MUST(syscall(SYS_capset, &header, sets));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (c->filter_len > 0) {
		struct sock_fprog program = { .len = c->filter_len,
					      .filter = (struct sock_filter *)c->filter };
		MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
	}
	MUST(syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */));
	execve(argv[0], argv, environment);
	die(argv[0]);
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
