/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - leads the life of a guest (vm/session/) and says what came of it
 *
 *	session [-k KERNEL] [-m MIB] [-c CPUS] [-r DIR] [-f CONFIG] [-x N] [-s SIGNAL] [-b SECONDS] [-i SECONDS] [-g] [-T] [-l PATH] INIT WORD…
 *
 * INIT is the guest's first process, WORDs go to its kernel's command line; -r: DIR is the file system "root";
 * -f: a config.json. The program's streams are this program's own; -T: a terminal instead, whose output goes to stdout. Once it runs,
 * -x: N processes are executed, one after the other, that get a line each; -s: SIGNAL is sent to the VMM; -i: nothing is
 * done for so long, and counted how often the VMM woke up. -l: commands of others find the VMM at PATH. -g: the gate stays closed and is left. -b: what a boot may take.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "tests/vm/archive.h"
#include "vm/fs/fs.h"
#include "vm/kernel/kernel.h"
#include "vm/session/client.h"
#include "vm/session/session.h"

struct options {
	const char *kernel, *root, *config, *init, *socket;
	uint64_t memory;
	unsigned cpus, executions, idle_s, boot_s;
	int signal;
	bool leaves_gate, has_terminal;
	char words[512];
};

static void die(const char *what, const struct error *err)
{
	char line[2048] = "";

	if (err)
		error_line(err, line, sizeof(line));
	else
		snprintf(line, sizeof(line), "%s", strerror(errno));
	printf("%s: %s\n", what, line);
	exit(1);
}

/* ---- the VMM ---- */

static void describe(const struct options *o, struct vm_config *ret)
{
	struct vm_kernel_wish wish = { .option = o->kernel };
	struct vm_kernel_choice choice;
	struct error err = ERROR_INIT;
	const char *cache = getenv("BOOT_CACHE");

	if (vm_kernel_find(&wish, &choice, &err) < 0)
		die("kernel", &err);
	*ret = (struct vm_config){ .kernel_fd = vm_kernel_open(choice.path, cache, &err),
				   .copy_kernel = true, /* see test_host_vm.py */
				   .memory = o->memory << 20, .vcpus = o->cpus, .serial_fd = -1,
				   .has_jail = true, .cmdline = o->words, .n_initramfs = 2 };
	if (ret->kernel_fd < 0)
		die("kernel", &err);
	ret->initramfs_fds[0] = archive_of(o->init, &err);
	if (ret->initramfs_fds[0] < 0)
		die(o->init, &err);
	ret->initramfs_fds[1] = vm_kernel_modules(choice.modules, vm_modules, vm_modules_n, cache, &err);
	if (ret->initramfs_fds[1] < 0)
		die("modules", &err);
	ret->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (ret->kvm_fd < 0)
		die("/dev/kvm", NULL);
	if (!o->root)
		return;

	struct vm_fs_options fs = {
		.root_fd = open(o->root, O_PATH | O_DIRECTORY | O_CLOEXEC),
		.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.cache = VM_FS_OWNED,
		.cache_other = VM_FS_SHARED,
	};

	ret->shares[0].tag = "root";
	if (vm_fs_new(&fs, &ret->shares[0].fs, &err) < 0)
		die("root", &err);
	ret->n_shares = 1;
}

static void on_created(void *arg, const struct error *err)
{
	error_send(*(int *)arg, err ? err : &ERROR_INIT);
}

static void lead(const struct options *o, int listener, int gate, int created, const int stdio[3])
{
	auto_buf struct buf create = BUF_INIT, text = BUF_INIT;
	struct vm_config machine;
	struct vm_session_end end;
	struct error err = ERROR_INIT;
	char line[2048], said[2200];

	describe(o, &machine);
	if (o->config) {
		int fd = open(o->config, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || file_read_fd(fd, o->config, 1 << 20, &text, &err) < 0)
			die(o->config, &err);
	} else {
		buf_puts(&text, "{}");
	}
	wire_add_text(&create, WIRE_T_CONFIG, text.data);
	wire_add_text(&create, WIRE_T_ID, "test");
	wire_add_text(&create, WIRE_T_BUNDLE, "/bundle");

	struct vm_session_config config = {
		.machine = &machine,
		.create = &create,
		.listen_fd = listener,
		.stdio = { stdio[0], stdio[1], stdio[2] },
		.terminal = o->has_terminal,
		.gate_fd = gate,
		.status_fd = gate,
		.created = on_created,
		.arg = &created,
		.boot_ms = (int)o->boot_s * 1000,
	};
	int r = vm_session_run(&config, &end, &err);

	error_line(&err, line, sizeof(line));
	/* The jail has no ioctl(TCGETS), with which stdio begins. */
	snprintf(said, sizeof(said), "vmm: status %d%s%s%s\n", end.status, end.guest_died ? ", the guest died" : "",
		 r < 0 ? ": " : "", r < 0 ? line : "");
	if (write(STDOUT_FILENO, said, strlen(said)) < 0)
		_exit(1);
	_exit(end.status);
}

/* ---- commands ---- */

static void execute(struct vm_client *c, unsigned n)
{
	auto_buf struct buf items = BUF_INIT;
	const uint32_t stdio[4] = { 1, 2, 3, 0 };
	struct error err = ERROR_INIT;
	struct wire_header h;
	const void *payload;
	uint32_t status;
	char line[64] = "";
	int in[2], out[2];
	size_t size;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		die("pipe", NULL);
	wire_add_text(&items, WIRE_T_PROCESS_JSON,
		      "{\"args\":[\"/bin/sh\",\"-c\",\"cat; exit 42\"],\"cwd\":\"/\",\"env\":[\"PATH=/bin:/usr/bin\"]}");
	wire_add(&items, WIRE_T_STDIO, stdio, sizeof(stdio));
	if (vm_client_ask(c, WIRE_EXEC, &items, (int[]){ in[0], out[1], 2 }, 3, 60000, &payload, &size, &err) < 0)
		die("exec", &err);
	close(in[0]);
	close(out[1]);
	dprintf(in[1], "line %u\n", n);
	close(in[1]);
	if (vm_client_event(c, 60000, &h, &payload, &err) <= 0 || h.type != WIRE_EXITED ||
	    wire_get_u32(payload, h.size, WIRE_T_STATUS, &status) < 0)
		die("exec", &err);
	if (read(out[0], line, sizeof(line) - 1) < 0)
		perror("read");
	close(out[0]);
	line[strcspn(line, "\n")] = 0;
	printf("exec: status %u, \"%s\"\n", status, line);
	vm_client_end(c);
}

static int listen_at(const char *path, struct sockaddr_un *address, socklen_t *size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*size = sizeof(*address);
	if (path)
		snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)address, path ? sizeof(*address) : sizeof(sa_family_t)) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)address, size) < 0)
		die("listen", NULL);
	return fd;
}

static void command(const struct options *o, const struct sockaddr_un *address, socklen_t size)
{
	for (unsigned i = 0; i < o->executions; i++) {
		struct vm_client c;
		struct error err = ERROR_INIT;
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (const struct sockaddr *)address, size) < 0)
			die("connect", NULL);
		if (vm_client_begin(&c, fd, 10000, &err) < 0)
			die("hello", &err);
		execute(&c, i);
	}
}

/* How often a task gave the processor up of its own will, over all threads. */
static long switches(pid_t pid)
{
	char line[256], name[64];
	long all = 0, n;

	snprintf(name, sizeof(name), "/proc/%d/status", pid);

	FILE *f = fopen(name, "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
			all += n;
	if (f)
		fclose(f);
	return all;
}

/* What the VMM has for itself: private pages that do not lie in the guest's memory, the largest mapping. */
static long own_kib(pid_t pid, uint64_t guest, bool finds, uint64_t *from)
{
	char line[512], name[64];
	uint64_t begin = 0, end = 0, largest = 0;
	long all = 0, n;

	snprintf(name, sizeof(name), "/proc/%d/smaps", pid);

	FILE *f = fopen(name, "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2) {
			if (finds && end - begin > largest) {
				largest = end - begin;
				*from = begin;
			}
		} else if (sscanf(line, "Private_Dirty: %ld", &n) == 1 && (begin < *from || begin >= *from + guest)) {
			all += n;
		}
	}
	if (f)
		fclose(f);
	return all;
}

static void print_memory(const struct options *o, pid_t pid)
{
	uint64_t from = 0;

	own_kib(pid, 0, true, &from);
	printf("memory: %ld KiB without the guest's\n", own_kib(pid, o->memory << 20, false, &from));
}

/* ---- a terminal ---- */

static pid_t copy_terminal(int master)
{
	pid_t pid = fork();
	char bytes[4096];
	ssize_t n;

	if (pid != 0)
		return pid;
	while ((n = read(master, bytes, sizeof(bytes))) > 0)
		if (write(1, bytes, (size_t)n) < 0)
			break;
	_exit(0);
}

static int open_terminal(int *ret_master)
{
	struct winsize size = { .ws_row = 33, .ws_col = 44 };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0)
		die("terminal", NULL);
	*ret_master = master;
	return open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* ---- */

static void parse(int argc, char **argv, struct options *o)
{
	int option;

	*o = (struct options){ .memory = 256, .cpus = 1, .boot_s = 600 };
	while ((option = getopt(argc, argv, "k:m:c:r:f:x:s:b:i:l:gT")) != -1) {
		switch (option) {
		case 'k': o->kernel = optarg; break;
		case 'm': o->memory = (uint64_t)atoll(optarg); break;
		case 'c': o->cpus = (unsigned)atoi(optarg); break;
		case 'r': o->root = optarg; break;
		case 'f': o->config = optarg; break;
		case 'x': o->executions = (unsigned)atoi(optarg); break;
		case 's': o->signal = atoi(optarg); break;
		case 'b': o->boot_s = (unsigned)atoi(optarg); break;
		case 'i': o->idle_s = (unsigned)atoi(optarg); break;
		case 'l': o->socket = optarg; break;
		case 'g': o->leaves_gate = true; break;
		case 'T': o->has_terminal = true; break;
		default: exit(2);
		}
	}
	if (optind >= argc)
		exit(2);
	o->init = argv[optind];
	for (int i = optind + 1; i < argc; i++)
		snprintf(o->words + strlen(o->words), sizeof(o->words) - strlen(o->words), "%s ", argv[i]);
}

static void idle(const struct options *o, pid_t vmm)
{
	long before;

	sleep(2); /* the guest settles */
	before = switches(vmm);
	sleep(o->idle_s);
	printf("idle: %ld wake-ups of the loop in %u s\n", switches(vmm) - before, o->idle_s);
	print_memory(o, vmm);
}

int main(int argc, char **argv)
{
	struct options o;
	struct sockaddr_un address;
	struct error err = ERROR_INIT;
	socklen_t size;
	int gate[2], created[2], stdio[3] = { -1, -1, -1 }, master = -1, status;
	pid_t copier = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv, &o);

	int listener = listen_at(o.socket, &address, &size);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) < 0 || pipe2(created, O_CLOEXEC) < 0)
		die("pipe", NULL);
	if (o.has_terminal)
		stdio[0] = open_terminal(&master);
	else
		for (int i = 0; i < 3; i++)
			stdio[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);

	pid_t vmm = fork();

	if (vmm == 0) {
		close(gate[1]);
		close(created[0]);
		if (o.has_terminal) {
			close(master);
			setsid();
			ioctl(stdio[0], TIOCSCTTY, 0);
		}
		lead(&o, listener, gate[0], created[1], stdio);
	}
	close(gate[0]);
	close(created[1]);
	close(listener);
	for (int i = 0; i < 3; i++)
		if (stdio[i] >= 0)
			close(stdio[i]);
	if (o.has_terminal)
		copier = copy_terminal(master);

	struct error in;

	if (read(created[0], &in, sizeof(in)) != sizeof(in))
		printf("created: never\n");
	else if (in.code && error_take(&in, &err) < 0)
		printf("created: %s\n", err.text);
	else
		printf("created\n");
	if (o.leaves_gate)
		close(gate[1]);
	else if (in.code == 0 && write(gate[1], "x", 1) == 1 && error_recv(gate[1], &err) < 0)
		printf("not started: %s\n", err.text);
	else if (in.code == 0)
		printf("started\n");
	command(&o, &address, size);
	if (o.idle_s)
		idle(&o, vmm);
	if (o.signal)
		kill(vmm, o.signal);
	if (waitpid(vmm, &status, 0) < 0)
		die("wait", NULL);
	if (copier > 0)
		waitpid(copier, NULL, 0);
	printf("end: %s %d\n", WIFEXITED(status) ? "status" : "signal",
	       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return 0;
}
