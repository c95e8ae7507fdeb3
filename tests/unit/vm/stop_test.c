/* SPDX-License-Identifier: Apache-2.0 */
/* How long an end takes when the host does not answer, and what a file system's thread may do. */
#include <criterion/criterion.h>
#include <linux/fuse.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/unit/vm/fs/mounted.h"
#include "tests/unit/vm/virtio/driver.h"
#include "vm/jail.h"
#include "vm/machine.h"

static struct host {
	struct mounted m;
	atomic_bool is_silent;
} host;

/* A disk that stops answering: requests are read, and that is all. */
static void *serve_until_silent(void *arg)
{
	static char in[MOUNTED_BUF], out[MOUNTED_BUF];
	struct vm_fs_worker *w = NULL;
	ssize_t n;

	(void)arg;
	if (vm_fs_worker_new(host.m.fs, &w, NULL) < 0)
		abort();
	while ((n = read(host.m.fuse_fd, in, sizeof(in))) > 0 || errno == EINTR) {
		struct iovec from = { in, n > 0 ? (size_t)n : 0 }, to = { out, sizeof(out) };

		if (n < 0 || atomic_load(&host.is_silent))
			continue;

		size_t used = vm_fs_request(w, &from, 1, &to, 1);

		if (used && write(host.m.fuse_fd, out, used) < 0 && errno != ENOENT)
			break;
	}
	vm_fs_worker_free(w);
	return NULL;
}

static void mount_host(pthread_t *ret_thread)
{
	struct vm_fs_options o = { .cache = VM_FS_UNCACHED, .cache_other = VM_FS_UNCACHED };

	cr_assert_eq(mounted_prepare(&host.m, NULL), 0);
	host.m.threads = 0;
	cr_assert_eq(mounted_start(&host.m, &o), 0);
	cr_assert_eq(pthread_create(ret_thread, NULL, serve_until_silent, NULL), 0);
}

/* A machine that is a file system and its thread. */
struct machine {
	struct vm vm;
	struct driver d;
	struct vm_fs *fs;
	pthread_t host;
};

static void make_devices(struct machine *m)
{
	struct vm_fs_options o = { .cache = VM_FS_UNCACHED };
	struct vm *vm = &m->vm;
	struct driver *d = &m->d;
	struct slot *s = &vm->slots[0];

	o.root_fd = open(host.m.mnt, O_PATH | O_DIRECTORY | O_CLOEXEC);
	o.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(vm_fs_new(&o, &m->fs, NULL), 0);
	close(o.root_fd);
	close(o.proc_fd);
	driver_begin(d);
	vm->left_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->n_slots = 1;
	s->vm = vm;
	s->has_thread = true;
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sem_init(&s->entered, 0, 0);
	cr_assert_eq(virtio_loop_new(&s->loop, NULL), 0);
	cr_assert_eq(virtio_fs_new("root", m->fs, &s->device, NULL), 0);
	cr_assert_eq(virtio_connect(s->device, &d->ram, d->kick, d->irq, s->loop, NULL), 0);
	d->device = s->device;
}

static void ask(struct driver *d, const void *request, uint32_t n)
{
	memcpy(d->memory + DATA, request, n);
	desc_of(d, 1)[0] = (struct vring_desc){ .addr = DATA, .len = n, .flags = VRING_DESC_F_NEXT, .next = 1 };
	desc_of(d, 1)[1] = (struct vring_desc){ .addr = DATA + 4096, .len = 4096, .flags = VRING_DESC_F_WRITE };
	make_available(d, 1, 16, 0);
	set(d, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
}

static bool is_answered(struct driver *d, uint16_t used)
{
	for (int i = 0; i < 5000 && *(volatile uint16_t *)&used_of(d, 1)->idx != used; i++)
		usleep(1000);
	return used_of(d, 1)->idx == used;
}

static void ask_init(struct driver *d)
{
	struct {
		struct fuse_in_header head;
		struct fuse_init_in in;
	} init = { { .len = sizeof(init), .opcode = FUSE_INIT, .unique = 1 }, { .major = 7, .minor = 38 } };

	driver_start(d, 0, 2);
	ask(d, &init, sizeof(init));
	cr_assert(is_answered(d, 1));
}

static void machine_begin(struct machine *m, bool has_jail)
{
	mount_host(&m->host);
	make_devices(m);
	m->vm.config.has_jail = has_jail;
	cr_assert_eq(devices_start(&m->vm, NULL), 0);
	ask_init(&m->d);
}

static void machine_end(struct machine *m)
{
	virtio_loop_free(m->vm.slots[0].loop);
	driver_end(&m->d);
	vm_fs_free(m->fs);
	umount2(host.m.mnt, MNT_DETACH);
	pthread_join(m->host, NULL);
	mounted_stop(&host.m);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

Test(vm_stop, a_thread_that_waits_for_the_host_is_left_behind_in_bounded_time, .timeout = 60)
{
	struct {
		struct fuse_in_header head;
		struct fuse_getattr_in in;
	} getattr = { { .len = sizeof(getattr), .opcode = FUSE_GETATTR, .unique = 2, .nodeid = FUSE_ROOT_ID },
		      { .getattr_flags = 0 } };
	static struct machine m;

	if (mounted_missing())
		cr_skip_test("%s", mounted_missing());
	machine_begin(&m, false);
	atomic_store(&host.is_silent, true);
	ask(&m.d, &getattr, sizeof(getattr));
	usleep(100000);

	double began = now();

	devices_stop(&m.vm);
	vm_join(&m.vm);
	cr_assert_eq(m.vm.stuck_threads, 1);
	cr_assert_geq(now() - began, VM_STOP_MS / 1000.0 - 0.01);
	cr_assert_lt(now() - began, VM_STOP_MS / 1000.0 + 5);

	/* An answer at last, be it an error, and it goes at once. */
	umount2(host.m.mnt, MNT_FORCE);
	began = now();
	vm_join(&m.vm);
	cr_assert_eq(m.vm.stuck_threads, 0);
	cr_assert_lt(now() - began, 1);
	machine_end(&m);
}

/* Facts of the one thread of ours that has a filter. */
static unsigned read_filtered(unsigned long long *ret_permitted, unsigned long long *ret_effective)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned found = 0;

	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		char path[300], text[4096] = "";
		int fd;
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
		close(fd);
		if (n <= 0 || !strstr(text, "Seccomp:\t2\n") || !strstr(text, "NoNewPrivs:\t1\n"))
			continue;
		sscanf(strstr(text, "CapPrm:"), "CapPrm: %llx CapEff: %llx", ret_permitted, ret_effective);
		found++;
	}
	closedir(dir);
	return found;
}

Test(vm_stop, the_thread_of_a_file_system_keeps_what_makes_files_anothers_and_ends_at_once, .timeout = 60)
{
	unsigned long long permitted = 0, effective = 0;
	static struct machine m;

	if (mounted_missing())
		cr_skip_test("%s", mounted_missing());
	machine_begin(&m, true);
	cr_assert_eq(read_filtered(&permitted, &effective), 1);
	cr_assert_eq(permitted, VM_FS_CAPS);
	cr_assert_eq(effective, VM_FS_CAPS);

	double began = now();

	devices_stop(&m.vm);
	vm_join(&m.vm);
	cr_assert_eq(m.vm.stuck_threads, 0);
	cr_assert_lt(now() - began, 1);
	machine_end(&m);
}
