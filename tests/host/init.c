/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c - the first process of the disposable host
 *
 * The kernel starts it as /init from a small initramfs, beside /job and /modules/. It makes a
 * root of the machine's files with an overlay in memory above them, mounts what a host has,
 * runs the one command, tells its status and powers off. With systemd as PID 1 it does the
 * first half, puts itself into a unit and hands over; as `init --job` it does the rest.
 *
 * /job is a row of NUL-terminated words, key=value, which vm.py writes. Output goes to the
 * virtio ports named host.out and host.err, the status as a line to host.status. Static,
 * because there is no library before the root is there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOME_DIR "/run/bulkhead-host" /* of this program, once the root is there */
#define SYSTEMD "/lib/systemd/systemd"

struct job {
	const char *dir;	/* working directory of the command */
	const char *write;	/* the directory that is written through */
	const char *modules;	/* where the machine keeps this kernel's modules, or NULL */
	const char *disk;	/* block device for the scratch file system, or NULL */
	bool systemd, kvm, verbose;
	char **show;		/* directories below /tmp and /run that are to be seen, read-only */
	char **argv, **env;
};

/* One line on the console, which vm.py shows when there is no status. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[512];
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	int n = snprintf(line, sizeof line, "host %ld.%03ld: ", (long)now.tv_sec, now.tv_nsec / 1000000);
	va_list list;
	va_start(list, format);
	vsnprintf(line + n, sizeof line - (size_t)n - 1, format, list);
	va_end(list);
	strcat(line, "\n");
	int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, line, strlen(line));
		close(fd);
	}
}

/* The end without a status: vm.py takes that for a machine that did not work. */
__attribute__((noreturn)) static void die(const char *what, const char *operand)
{
	say("%s %s: %s", what, operand, strerror(errno));
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void try_mount(const char *type, const char *target, unsigned long flags, const char *data)
{
	mkdir(target, 0755);
	if (mount(type, target, type, flags, data))
		say("mount %s on %s: %s", type, target, strerror(errno));
}

static void must_mount(const char *from, const char *target, const char *type, unsigned long flags, const char *data)
{
	mkdir(target, 0755);
	if (mount(from, target, type, flags, data))
		die("mount on", target);
}

/* The whole file and a NUL, or NULL; *ret_size without the NUL. */
static char *slurp(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	size_t room = 65536, size = 0;
	char *data = malloc(room);
	for (ssize_t n; data && (n = read(fd, data + size, room - size - 1)) > 0;) {
		size += (size_t)n;
		if (room - size < 4096)
			data = realloc(data, room *= 2);
	}
	close(fd);
	if (!data)
		die("memory for", path);
	data[size] = 0;
	if (ret_size)
		*ret_size = size;
	return data;
}

static void spill(const char *path, mode_t mode, const char *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		die("write", path);
	close(fd);
}

static const char *value_of(const char *word, const char *key)
{
	size_t n = strlen(key);
	return strncmp(word, key, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static struct job read_job(const char *path)
{
	size_t size, argc = 0, envc = 0, shown = 0, words = 2;
	char *data = slurp(path, &size);
	if (!data)
		die("read", path);
	for (size_t i = 0; i < size; i++)
		words += !data[i];
	struct job job = { .dir = "/" };
	job.argv = calloc(words, sizeof(char *));
	job.env = calloc(words, sizeof(char *));
	job.show = calloc(words, sizeof(char *));
	if (!job.argv || !job.env || !job.show)
		die("memory for", path);
	for (char *word = data; word < data + size; word += strlen(word) + 1) {
		const char *value;
		if ((value = value_of(word, "arg")))
			job.argv[argc++] = (char *)value;
		else if ((value = value_of(word, "env")))
			job.env[envc++] = (char *)value;
		else if ((value = value_of(word, "show")))
			job.show[shown++] = (char *)value;
		else if ((value = value_of(word, "dir")))
			job.dir = value;
		else if ((value = value_of(word, "write")))
			job.write = value;
		else if ((value = value_of(word, "modules")))
			job.modules = value;
		else if ((value = value_of(word, "disk")))
			job.disk = value;
		else if (strcmp(word, "systemd") == 0)
			job.systemd = true;
		else if (strcmp(word, "kvm") == 0)
			job.kvm = true;
		else if (strcmp(word, "verbose") == 0)
			job.verbose = true;
		else
			say("the job has a word nobody knows: %s", word);
	}
	return job;
}

/* /modules/NN-name.ko in the order of their names: what the root needs. The rest comes by modprobe. */
static void load_modules(void)
{
	struct dirent **names;
	int n = scandir("/modules", &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char path[300];
		snprintf(path, sizeof path, "/modules/%s", names[i]->d_name);
		int fd = names[i]->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
			say("load %s: %s", path, strerror(errno));
		close(fd);
	}
}

/* mkdir -p */
static void make_path(const char *path)
{
	char part[4096];
	for (const char *end = path; *end; end++) {
		if (end == path || (end[1] != '/' && end[1]))
			continue;
		snprintf(part, sizeof part, "%.*s", (int)(end + 1 - path), path);
		mkdir(part, 0755);
	}
}

/* A place of the machine's own files, seen through the overlay: writes to it go through, if it has the right. */
static void bind_machine(const char *path, const char *at, unsigned long flags)
{
	char from[4096], to[4096];
	snprintf(from, sizeof from, "/machine%s", path);
	snprintf(to, sizeof to, "/root%s", at);
	make_path(to);
	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) || (flags && mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | flags, NULL)))
		die("show in the overlay", path);
}

/*
 * /root: the machine's files below, memory above. /tmp and /run are memory alone, since an
 * overlay cannot be the upper directory of the next one.
 */
static void make_root(const struct job *job, const char *release)
{
	char modules[256];
	for (int tries = 0; mount("machine", "/machine", "virtiofs", 0, NULL); tries++) {
		if (tries == 200)
			die("mount", "the machine's files");
		usleep(10000); /* the device may still be on its way */
	}
	must_mount("memory", "/memory", "tmpfs", 0, "mode=755,size=75%");
	mkdir("/memory/upper", 0755);
	mkdir("/memory/work", 0755);
	must_mount("root", "/root", "overlay", 0,
		   "lowerdir=/machine,upperdir=/memory/upper,workdir=/memory/work,metacopy=off,index=off");
	must_mount("tmp", "/root/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	must_mount("run", "/root/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	if (job->write)
		bind_machine(job->write, job->write, 0);
	for (char **path = job->show; *path; path++)
		bind_machine(*path, *path, MS_RDONLY);
	if (job->modules) {
		snprintf(modules, sizeof modules, "/usr/lib/modules/%s", release);
		bind_machine(job->modules, modules, MS_RDONLY);
	}
	/* A machine that is itself a container says so here; systemd would believe it. */
	unlink("/root/.dockerenv");
}

static void enter_root(void)
{
	static const char *const moved[] = { "/proc", "/sys", "/dev" };
	for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
		char to[64];
		snprintf(to, sizeof to, "/root%s", moved[i]);
		must_mount(moved[i], to, NULL, MS_MOVE, NULL);
	}
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("enter", "the root");
}

/* What a host has before its first process: device nodes, cgroups, a loopback that is up. */
static void furnish(const struct job *job)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" }, { "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" }, { "/proc/self/fd/2", "/dev/stderr" },
	};
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		(void)!symlink(links[i][0], links[i][1]);
	try_mount("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=600,ptmxmode=666");
	try_mount("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	try_mount("mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	try_mount("cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate,memory_recursiveprot");
	try_mount("bpf", "/sys/fs/bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700");
	try_mount("securityfs", "/sys/kernel/security", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mkdir("/run/lock", 01777);
	mkdir(HOME_DIR, 0755); /* also how a test knows where it is */
	sethostname("testhost", strlen("testhost"));
	if (job->disk) {
		mkdir("/run/scratch", 0755);
		if (mount(job->disk, "/run/scratch", "ext4", 0, "prjquota") &&
		    mount(job->disk, "/run/scratch", "ext4", 0, NULL))
			die("mount", job->disk);
	}
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
}

/* Waits for that child; others that were left to us are reaped on the way. */
static int wait_for(pid_t pid)
{
	int status;
	for (pid_t ended; (ended = wait(&status)) != pid;)
		if (ended < 0 && errno != EINTR)
			return -1;
	return status;
}

static void load_kvm(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		execl("/sbin/modprobe", "modprobe", "kvm_amd", "nested=1", (char *)NULL);
		_exit(127);
	}
	wait_for(pid);
	if (access("/dev/kvm", F_OK))
		say("no /dev/kvm: neither in the kernel nor by modprobe kvm_amd");
	chmod("/dev/kvm", 0666);
}

/* The port of that name; `instead` where the machine has none. */
static int open_port(const char *name, int instead)
{
	DIR *directory = opendir("/sys/class/virtio-ports");
	int found = -1;
	for (struct dirent *entry; directory && found < 0 && (entry = readdir(directory));) {
		char path[300];
		snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
		char *text = entry->d_name[0] == '.' ? NULL : slurp(path, NULL);
		if (text && strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == '\n') {
			snprintf(path, sizeof path, "/dev/%s", entry->d_name);
			found = open(path, O_WRONLY | O_CLOEXEC);
		}
		free(text);
	}
	if (directory)
		closedir(directory);
	return found >= 0 ? found : instead;
}

__attribute__((noreturn)) static void child(const struct job *job, int out, int err)
{
	setsid();
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(out, 1);
	dup2(err, 2);
	if (chdir(job->dir)) {
		dprintf(2, "the disposable host has no %s: %s\n", job->dir, strerror(errno));
		_exit(126);
	}
	environ = job->env;
	execvp(job->argv[0], job->argv);
	int code = errno == ENOENT ? 127 : 126;
	dprintf(2, "the disposable host cannot execute %s: %s\n", job->argv[0], strerror(errno));
	_exit(code);
}

/* Runs the command to its end, tells how it was, and turns the machine off. */
__attribute__((noreturn)) static void run_job(const struct job *job)
{
	int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	int out = open_port("host.out", console), err = open_port("host.err", out), tell = open_port("host.status", console);
	dprintf(tell, "started\n");
	pid_t pid = fork();
	if (pid == 0)
		child(job, out, err);
	int status = pid < 0 ? -1 : wait_for(pid);
	if (status != -1)
		dprintf(tell, WIFSIGNALED(status) ? "signal %d\n" : "exit %d\n",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (job->verbose)
		say("the command has ended");
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/*
 * systemd gets a target of ours: basic.target, D-Bus and the command. What the machine's
 * administrator enabled lives in /etc/systemd/system and would start here as well (and its
 * fstab would wait for disks that are not here), so both are hidden.
 */
__attribute__((noreturn)) static void start_systemd(const struct job *job, const char *self, size_t self_size,
						   const char *text, size_t text_size)
{
	static const char target[] = "[Unit]\nDescription=The disposable host\nAllowIsolate=yes\n"
				     "Requires=basic.target dbus.service\nAfter=basic.target dbus.service\n"
				     "Wants=bulkhead-host.service\n";
	static const char service[] = "[Unit]\nDescription=The command of the disposable host\n"
				      "After=basic.target dbus.service\n[Service]\nType=exec\n"
				      "ExecStart=" HOME_DIR "/init --job\n"
				      "Delegate=yes\nTasksMax=infinity\nLimitNOFILE=524288\nOOMPolicy=continue\n";
	must_mount("units", "/etc/systemd/system", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	must_mount("/dev/null", "/etc/fstab", NULL, MS_BIND, NULL);
	/* Debian's empties /tmp at a boot; a directory that is written through may be below it. */
	mkdir("/etc/tmpfiles.d", 0755);
	spill("/etc/tmpfiles.d/tmp.conf", 0644, "", 0);
	spill(HOME_DIR "/init", 0755, self, self_size);
	spill(HOME_DIR "/job", 0600, text, text_size);
	spill("/etc/systemd/system/bulkhead-host.target", 0644, target, strlen(target));
	spill("/etc/systemd/system/bulkhead-host.service", 0644, service, strlen(service));
	if (job->verbose)
		say("systemd");
	execl(SYSTEMD, SYSTEMD, "--unit=bulkhead-host.target", "--log-target=console",
	      job->verbose ? "--show-status=yes" : "--show-status=no", (char *)NULL);
	die("execute", SYSTEMD);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--job") == 0) {
		struct job job = read_job(HOME_DIR "/job");
		run_job(&job);
	}
	try_mount("devtmpfs", "/dev", 0, "mode=755");
	try_mount("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	try_mount("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mkdir("/machine", 0755);
	struct job job = read_job("/job");
	size_t self_size = 0, text_size = 0;
	char *self = job.systemd ? slurp("/init", &self_size) : NULL;
	char *text = job.systemd ? slurp("/job", &text_size) : NULL;
	char *release = slurp("/proc/sys/kernel/osrelease", NULL);
	release[strcspn(release, "\n")] = 0;
	if (job.verbose)
		say("init");
	load_modules();
	make_root(&job, release);
	enter_root();
	furnish(&job);
	if (job.verbose)
		say("the root is there");
	if (job.kvm)
		load_kvm();
	if (job.systemd)
		start_systemd(&job, self, self_size, text, text_size);
	run_job(&job);
}
