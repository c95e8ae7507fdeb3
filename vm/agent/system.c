/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system - the guest itself: modules, file systems, clock, randomness, network
 *
 * The kernel unpacks the archives into its first root, which cannot be left by pivot_root(2). So the agent lives in a
 * tmpfs above it, and the container's process can leave that.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/mountapi.h"
#include "vm/agent/agent.h"
#include "vm/agent/net.h"

enum { MODULES_MOST = 100, FILTER_ENTROPY_BYTES = 512, LATE_NICE = 10 };

/* A detached new file system. */
static int new_fs(const char *type, const char *source, uint64_t attr, struct error *err)
{
	auto_close int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0)
		return error_set(err, errno, "open filesystem %s", type);
	if (source && fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return error_set(err, errno, "mount %s: source %s", type, source);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set(err, errno, "mount %s %s", type, source ? source : "");

	int fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attr);

	return fd < 0 ? error_set(err, errno, "mount %s %s", type, source ? source : "") : fd;
}

/* Returns a descriptor of the mount. */
static int mount_at(const char *type, const char *source, const char *path, uint64_t attr, struct error *err)
{
	auto_close int fd = new_fs(type, source, attr, err);

	if (fd < 0)
		return fd;
	mkdir(path, 0755);
	if (move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "attach %s at %s", type, path);
	return TAKE_FD(fd);
}

static int mount_kernels(struct error *err)
{
	static const struct {
		const char *type, *path;
		uint64_t attr;
	} mounts[] = {
		{ "proc", "/proc", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC },
		{ "sysfs", "/sys", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC },
		{ "devtmpfs", "/dev", MOUNT_ATTR_NOSUID },
		{ "cgroup2", "/sys/fs/cgroup", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC },
	};

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		int fd = mount_at(mounts[i].type, NULL, mounts[i].path, mounts[i].attr, err);

		if (fd < 0)
			return fd;
		close(fd);
	}
	return 0;
}

/*
 * Of a group ("net/"), or of none: in the order that the host found to be right. What is built in, or there already, is fine.
 * Those that are not wanted go unloaded: the memory of a module's file is the container's.
 */
static int load_modules(int dir, const char *group, bool are_wanted, struct error *err)
{
	for (int i = 0; i < MODULES_MOST; i++) {
		char path[32];

		snprintf(path, sizeof(path), "%s%02d.ko", group, i);

		auto_close int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			break;
		if (are_wanted && syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
			return error_set(err, errno, "load module %s", path);
		unlinkat(dir, path, 0);
	}
	return 0;
}

/* Beyond the standard ones, which the kernel may not have given us: they are still to be settled. */
static int open_modules(void)
{
	auto_close int fd = openat(AT_FDCWD, "/modules", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Holds no end of the program's pipes: their other ends would wait for it. */
static _Noreturn void load_late(int modules)
{
	struct error err = ERROR_INIT;
	int dir = dup2(modules, 0);

	syscall(SYS_close_range, 1U, ~0U, 0U);
	setpriority(PRIO_PROCESS, 0, LATE_NICE);
	if (load_modules(dir, "late/", true, &err) < 0) {
		struct log log = { .fd = openat(AT_FDCWD, "/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC),
				   .level = LOG_WARNING, .format = LOG_TEXT };
		char line[256];

		error_line(&err, line, sizeof(line));
		log_warn(&log, "%s", line);
	}
	load_modules(dir, "net/", false, &err);
	_exit(0);
}

/* In a process of its own, which the program does not wait for and which makes way for it. */
void system_load_late(struct agent *a)
{
	if (a->modules >= 0 && fork() == 0)
		load_late(a->modules);
	if (a->modules >= 0)
		close(TAKE_FD(a->modules));
}

static int leave_first_root(struct error *err)
{
	auto_close int root = new_fs("tmpfs", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);

	if (root < 0)
		return root;
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "cover the first root");
	if (fchdir(root) < 0 || chroot(".") < 0)
		return error_set(err, errno, "enter the agent's root");
	return 0;
}

/* Nothing that the agent's children inherit leads to the kernel's console. */
static int settle_descriptors(struct agent *a, struct error *err)
{
	int null = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);

	a->console = openat(AT_FDCWD, "/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (null < 0)
		return error_set(err, errno, "open /dev/null");
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(null, fd) < 0)
			return error_set(err, errno, "set up descriptor %d", fd);
	if (null > 2)
		close(null);
	a->log = (struct log){ .fd = a->console, .level = LOG_WARNING, .format = LOG_TEXT };
	return 0;
}

int system_begin(struct agent *a, struct error *err)
{
	umask(022);
	a->modules = open_modules();

	int r = a->modules < 0 ? 0 : load_modules(a->modules, "", true, err);

	if (r == 0)
		r = leave_first_root(err);
	if (r == 0)
		r = mount_kernels(err);
	if (r == 0)
		r = settle_descriptors(a, err);
	return r < 0 ? error_wrap(err, r, "cannot set up the guest") : 0;
}

_Noreturn void system_end(const struct error *err)
{
	char line[2048] = "agent: ";

	/* The last words that the host keeps. */
	if (err) {
		error_line(err, line + 7, sizeof(line) - 9);

		size_t n = strlen(line);

		line[n] = '\n';

		int fd = openat(AT_FDCWD, "/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

		if (write(fd >= 0 ? fd : 2, line, n + 1) < 0)
			errno = 0;
	}
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static int set_clock(uint64_t ns, struct error *err)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };

	return clock_settime(CLOCK_REALTIME, &t) < 0 ? error_set(err, errno, "set the clock") : 0;
}

/* random(4): the bytes count as entropy, and what was handed out before has no part in what follows. */
static int add_entropy(const struct wire_item *item, struct error *err)
{
	struct {
		struct rand_pool_info info;
		char bytes[FILTER_ENTROPY_BYTES];
	} pool = { .info = { 0 } };
	size_t n = item->n < sizeof(pool.bytes) ? item->n : sizeof(pool.bytes);
	auto_close int fd = openat(AT_FDCWD, "/dev/urandom", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open /dev/urandom");
	pool.info.entropy_count = (int)n * 8;
	pool.info.buf_size = (int)n;
	memcpy(pool.info.buf, item->bytes, n);
	if (ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		return error_set(err, errno, "seed the random number generator");
	return 0;
}

int system_prepare(struct agent *a, const void *payload, size_t n, struct error *err)
{
	struct wire_item item;
	uint64_t now;
	int r = 0;

	if (wire_find(payload, n, WIRE_T_DEBUG, &item))
		a->log.level = LOG_DEBUG;
	if (wire_get_u64(payload, n, WIRE_T_TIME, &now) == 0)
		r = set_clock(now, err);
	if (r == 0 && wire_find(payload, n, WIRE_T_ENTROPY, &item))
		r = add_entropy(&item, err);
	if (r == 0) {
		bool has_net = wire_find(payload, n, WIRE_T_NET, &item);

		if (has_net && a->modules >= 0)
			r = load_modules(a->modules, "net/", true, err);
		if (r == 0)
			r = agent_net_apply(has_net ? item.bytes : NULL, has_net ? item.n : 0, err);
	}
	if (r == 0 && wire_find(payload, n, WIRE_T_NAMES, &item))
		r = item.n == 4 ? names_begin(&a->names, item.bytes, err) : error_set(err, EPROTO, "read the address of the name server");
	return r;
}

/* A kernel reads 128 KiB ahead; here each request leads to another kernel and back. Without, it is only slower. */
static void read_far_ahead(int mount_fd)
{
	struct stat st;
	char path[64];

	if (fstat(mount_fd, &st) < 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev), minor(st.st_dev));

	auto_close int fd = openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "512", 3) < 0)
		return;
}

/* CONFIG_SWAP: without it a cgroup has no memory.swap.max, either. */
bool system_has_swap(void)
{
	return access("/proc/swaps", F_OK) == 0;
}

int system_mount_share(const char *tag, const char *directory, struct error *err)
{
	int fd = mount_at("virtiofs", tag, directory, 0, err);

	if (fd >= 0)
		read_far_ahead(fd);
	return fd;
}
