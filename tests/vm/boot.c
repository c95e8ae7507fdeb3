/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot - starts a guest with tests/vm/guest.c as its first process, and says what came of it
 *
 *	boot [-k KERNEL] [-m MIB] [-c CPUS] [-r DIR] [-s] [-C] [-J] [-t SECONDS] [-n LINES] GUEST WORD…
 *
 * WORDs go to the kernel's command line. -r: DIR is the file system "root"; -s: a serial port on stderr; -C: the
 * kernel is copied; -J: with filters of system calls; -t: the guest is stopped after that time; -n: so many lines and "bye" are sent on port 1.
 * What the guest says on port 1 goes to stdout, then one line per fact: end, exits, memory, steps. With -J, also the
 * capabilities of each thread, when the guest first speaks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "tests/vm/archive.h"
#include "vm/fs/fs.h"
#include "vm/kernel/kernel.h"
#include "vm/vm.h"

struct boot {
	struct vm *vm;
	int channel, timer, lines;
	bool has_jail; /* and it is to be looked at */
	uint64_t began;
};

static void die(const struct error *err)
{
	char line[2048];

	error_line(err, line, sizeof(line));
	fprintf(stderr, "boot: %s%s%s\n", line, err->hint[0] ? "\nhint: " : "", err->hint);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void trace(void *arg, const char *step, uint64_t ns)
{
	struct boot *b = arg;

	printf("step %.1f ms %s\n", (double)(ns - b->began) / 1e6, step);
}

/* While the guest runs, and with the filter of this thread. */
static void print_threads(void)
{
	DIR *dir = opendir("/proc/self/task");

	for (struct dirent *e; dir && (e = readdir(dir));) {
		char path[300], text[4096] = "";
		unsigned long long permitted = 0;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);

		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 || !strstr(text, "CapPrm:"))
			continue;
		close(fd);
		sscanf(strstr(text, "CapPrm:"), "CapPrm: %llx", &permitted);
		printf("thread with filter %d, new privileges %d, capabilities %llx\n", strstr(text, "Seccomp:\t2") != NULL,
		       strstr(text, "NoNewPrivs:\t1") == NULL, permitted);
	}
	if (dir)
		closedir(dir);
}

static void on_channel(void *arg, uint32_t events)
{
	struct boot *b = arg;
	char text[4096];
	ssize_t n = read(b->channel, text, sizeof(text) - 1);

	(void)events;
	if (n <= 0) {
		virtio_loop_forget(vm_loop(b->vm), b->channel);
		return;
	}
	text[n] = 0;
	if (b->has_jail)
		print_threads();
	b->has_jail = false;
	printf("%.1f ms: %s", (double)(now() - b->began) / 1e6, text);
	if (b->lines > 0) {
		b->lines--;
		if (write(b->channel, "line\n", 5) < 0)
			perror("write");
	} else if (b->lines == 0) {
		b->lines = -1;
		if (write(b->channel, "bye\n", 4) < 0)
			perror("write");
	}
}

static void on_time(void *arg, uint32_t events)
{
	struct boot *b = arg;

	(void)events;
	virtio_loop_forget(vm_loop(b->vm), b->timer);
	vm_stop(b->vm);
}

/* VmRSS and what of it is private and not the guest's, in KiB. */
static void print_memory(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Rss", 3) || !strncmp(line, "Private", 7))
			printf("memory %s", line);
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	struct boot b = { .timer = -1, .lines = -1, .began = now() };
	struct vm_kernel_wish wish = { 0 };
	struct vm_kernel_choice choice;
	struct vm_config config = { .memory = 256ull << 20, .vcpus = 1, .serial_fd = -1 };
	struct vm_report report;
	struct error err = ERROR_INIT;
	const char *root = NULL, *cache = getenv("BOOT_CACHE");
	int seconds = 0, option, r;
	char words[1024] = "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt(argc, argv, "k:m:c:r:sCJt:n:")) != -1) {
		switch (option) {
		case 'k':
			wish.option = optarg;
			break;
		case 'm':
			config.memory = (uint64_t)atoll(optarg) << 20;
			break;
		case 'c':
			config.vcpus = (unsigned)atoi(optarg);
			break;
		case 'r':
			root = optarg;
			break;
		case 's':
			config.serial_fd = 2;
			break;
		case 'C':
			config.copy_kernel = true;
			break;
		case 'J':
			config.has_jail = b.has_jail = true;
			break;
		case 't':
			seconds = atoi(optarg);
			break;
		case 'n':
			b.lines = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (optind >= argc)
		return 2;
	for (int i = optind + 1; i < argc; i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s ", argv[i]);

	if (vm_kernel_find(&wish, &choice, &err) < 0)
		die(&err);
	config.kernel_fd = vm_kernel_open(choice.path, cache, &err);
	if (config.kernel_fd < 0)
		die(&err);
	trace(&b, "kernel open", now());
	config.initramfs_fds[0] = archive_of(argv[optind], &err);
	if (config.initramfs_fds[0] < 0)
		die(&err);
	config.initramfs_fds[1] = vm_kernel_modules(choice.modules, vm_modules, vm_modules_n, cache, &err);
	if (config.initramfs_fds[1] < 0)
		die(&err);
	trace(&b, "modules open", now());
	config.n_initramfs = 2;
	config.cmdline = words;
	config.trace = trace;
	config.trace_arg = &b;
	config.kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (config.kvm_fd < 0) {
		perror("/dev/kvm");
		return 1;
	}
	r = vm_probe(config.kvm_fd, &err);
	if (r < 0)
		die(&err);
	trace(&b, "probed", now());

	struct vm_fs *fs = NULL;

	if (root) {
		struct vm_fs_options o = {
			.root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC),
			.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			.cache = VM_FS_OWNED,
			.cache_other = VM_FS_SHARED,
		};

		if (vm_fs_new(&o, &fs, &err) < 0)
			die(&err);
		config.shares[0] = (struct vm_share){ .tag = "root", .fs = fs };
		config.n_shares = 1;
	}
	/* For what this program does itself afterwards. */
	static const int calls[] = { SYS_openat, SYS_getdents64, SYS_timerfd_settime };

	config.loop_calls = calls;
	config.n_loop_calls = ARRAY_SIZE(calls);
	if (vm_new(&config, &b.vm, &err) < 0)
		die(&err);

	int pair[2], pipes[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || pipe2(pipes, O_CLOEXEC) < 0)
		return 1;
	b.channel = pair[0];

	struct virtio_port port = { .in_fd = pair[1], .out_fd = pair[1] };
	struct virtio_port blocked = { .in_fd = -1, .out_fd = pipes[1] };

	if (virtio_console_attach(vm_console(b.vm), 1, &port, &err) < 0 ||
	    virtio_console_attach(vm_console(b.vm), 2, &blocked, &err) < 0)
		die(&err);
	virtio_loop_watch(vm_loop(b.vm), b.channel, EPOLLIN, on_channel, &b);
	if (seconds) {
		struct itimerspec t = { .it_value.tv_sec = seconds };

		b.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
		timerfd_settime(b.timer, 0, &t, NULL);
		virtio_loop_watch(vm_loop(b.vm), b.timer, EPOLLIN, on_time, &b);
	}
	r = vm_run(b.vm, &report, &err);
	/* What the guest said last may not have been looked at. */
	while (recv(b.channel, words, 1, MSG_DONTWAIT | MSG_PEEK) > 0)
		on_channel(&b, 0);
	printf("end %d: %s\n", report.end, vm_end_text(report.end));
	printf("exits io %" PRIu64 " mmio %" PRIu64 " other %" PRIu64 "\n", report.exits_io,
	       report.exits_mmio, report.exits_other);
	if (fs) {
		struct vm_fs_stats st;

		vm_fs_stats_get(fs, &st);
		printf("fs requests %" PRIu64 " errors %" PRIu64 " nodes %u\n", st.requests, st.errors,
		       st.nodes);
	}
	print_memory();
	if (report.last_words[0])
		printf("last words: %s\n", report.last_words);
	vm_free(b.vm);
	if (r < 0)
		die(&err);
	return 0;
}
