/* SPDX-License-Identifier: Apache-2.0 */

/*
 * floor_inside - the default container itself: devices, mounts, identity
 *
 * Run in the child, between clone3() and execve(); see floor.c for the rules.
 */

#include "floor.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>

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
void attach_device_program(int cgroup_fd)
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

void build_container(void)
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

_Noreturn void become(const struct container *c, char *const argv[])
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
