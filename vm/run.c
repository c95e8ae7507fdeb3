/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - the vCPUs' threads, and how it ends
 *
 * Exits that reach this process are accesses to device registers, two I/O ports, and ends. The first
 * thread that sees an end tells; the loop's thread then takes all others out of the guest and joins them.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/proc.h"
#include "vm/jail.h"
#include "vm/machine.h"

enum {
	SERIAL_PORT = 0x3f8,
	SERIAL_PORTS = 8,
	KICK_PAUSE_NS = 1000000,
	LATE_WRITES = (VM_PAGE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio),
};

const char *vm_end_text(enum vm_end end)
{
	switch (end) {
	case VM_END_STOPPED:
		return "the guest was stopped";
	case VM_END_POWEROFF:
		return "the guest switched itself off";
	case VM_END_RESET:
		return "the guest wanted to boot again";
	case VM_END_PANIC:
		return "the guest's kernel panicked";
	case VM_END_ERROR:
		break;
	}
	return "the guest cannot go on";
}

void vm_ended(struct vm *vm, enum vm_end end, const struct error *err)
{
	uint64_t one = 1;

	pthread_mutex_lock(&vm->end_lock);
	if (atomic_load(&vm->end) < 0) {
		if (err)
			vm->end_error = *err;
		atomic_store(&vm->end, (int)end);
	}
	pthread_mutex_unlock(&vm->end_lock);
	if (write(vm->end_fd, &one, sizeof(one)) < 0)
		return; /* the counter is at its end: the loop has been told */
}

void vm_stop(struct vm *vm)
{
	vm_ended(vm, VM_END_STOPPED, NULL);
}

/* ---- exits ---- */

static void access_port(struct vm *vm, uint16_t port, uint8_t *data, unsigned width, bool is_write)
{
	if (vm->config.serial_fd >= 0 && port >= SERIAL_PORT && port < SERIAL_PORT + SERIAL_PORTS &&
	    width == 1)
		serial_access(vm, port - SERIAL_PORT, data, is_write);
	else if (!is_write)
		memset(data, port == ACPI_SLEEP_STATUS_PORT ? 0 : 0xff, width);
	else if (port == ACPI_SLEEP_PORT && *data == (ACPI_S5 << 2 | ACPI_SLEEP_ENABLE))
		vm_ended(vm, VM_END_POWEROFF, NULL);
}

static void on_port(struct vcpu *cpu)
{
	struct kvm_run *run = cpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	cpu->exits_io++;
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		access_port(cpu->vm, run->io.port, data, run->io.size,
			    run->io.direction == KVM_EXIT_IO_OUT);
}

static void access_register(struct vm *vm, uint64_t at, uint8_t data[static 8], uint32_t width, bool is_write)
{
	uint64_t i = (at - at_devices) / VIRTIO_MMIO_BYTES;
	uint32_t offset = (uint32_t)((at - at_devices) % VIRTIO_MMIO_BYTES);

	if (at < at_devices || i >= vm->n_slots || width > 8) {
		if (!is_write)
			memset(data, 0xff, 8);
	} else if (is_write) {
		virtio_mmio_write(vm->slots[i].device, offset, data, width);
	} else {
		virtio_mmio_read(vm->slots[i].device, offset, data, width);
	}
}

/* Writes that KVM has kept, of any vCPU, up to now: what made this exit came after those of this one. */
static void take_late_writes(struct vm *vm)
{
	struct kvm_coalesced_mmio_ring *ring = vm->late;

	if (!ring)
		return;
	pthread_mutex_lock(&vm->late_lock);

	uint32_t last = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE); /* others may go on writing for ever */

	for (uint32_t first = ring->first; first != last && first < LATE_WRITES;) {
		struct kvm_coalesced_mmio *w = &ring->coalesced_mmio[first];

		access_register(vm, w->phys_addr, w->data, w->len, true);
		first = (first + 1) % LATE_WRITES;
		__atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&vm->late_lock);
}

static void on_mmio(struct vcpu *cpu)
{
	struct kvm_run *run = cpu->run;

	cpu->exits_mmio++;
	take_late_writes(cpu->vm);
	access_register(cpu->vm, run->mmio.phys_addr, run->mmio.data, run->mmio.len, run->mmio.is_write);
}

static void on_error(struct vcpu *cpu)
{
	struct kvm_run *run = cpu->run;
	struct kvm_regs regs = { 0 };
	struct error err = ERROR_INIT;

	ioctl(cpu->fd, KVM_GET_REGS, &regs);
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		error_rule(&err, EIO,
			   "KVM cannot go on with vCPU %u at %#llx (internal error %u)%s", cpu->index,
			   (unsigned long long)regs.rip, run->internal.suberror,
			   run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
				   ? ": it cannot execute an instruction, as a paravirtual KVM cannot"
				   : "");
	else if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		error_rule(&err, EIO, "the processor refuses vCPU %u (reason %#llx)", cpu->index,
			   (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
	else
		error_rule(&err, EIO, "vCPU %u ended with exit reason %u at %#llx", cpu->index,
			   run->exit_reason, (unsigned long long)regs.rip);
	vm_ended(cpu->vm, VM_END_ERROR, &err);
}

/* False: this vCPU has run its last. */
static bool on_exit_reason(struct vcpu *cpu)
{
	struct vm *vm = cpu->vm;

	switch (cpu->run->exit_reason) {
	case KVM_EXIT_IO:
		on_port(cpu);
		return atomic_load(&vm->end) < 0;
	case KVM_EXIT_MMIO:
		on_mmio(cpu);
		return true;
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_SHUTDOWN: /* a triple fault */
		cpu->exits_other++;
		vm_ended(vm, VM_END_RESET, NULL);
		return false;
	case KVM_EXIT_SYSTEM_EVENT:
		cpu->exits_other++;
		vm_ended(vm,
			 cpu->run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ? VM_END_POWEROFF
										  : VM_END_RESET,
			 NULL);
		return false;
	}
	cpu->exits_other++;
	on_error(cpu);
	return false;
}

/*
 * What interrupts a vCPU is its own process's. The same signal from anybody else is meant for the guest, like all others,
 * and the loop's to hear of: a vCPU takes it only because it is let through there.
 */
static _Thread_local struct vm *this_vm;

static void on_kick_signal(int number, siginfo_t *info, void *context)
{
	uint64_t one = 1;
	int code = errno;

	(void)number;
	(void)context;
	if (!this_vm || (info->si_code == SI_TKILL && info->si_pid == this_vm->pid))
		return;
	atomic_fetch_add(&this_vm->n_signals, 1);
	if (write(this_vm->end_fd, &one, sizeof(one)) < 0)
		one = 0; /* the loop has been woken */
	errno = code;
}

/* A guest whose kernel has no such clock: -EINVAL, and nothing to be told. */
static void after_kick(struct vcpu *cpu)
{
	cpu->run->immediate_exit = 0;
	if (atomic_exchange(&cpu->was_frozen, false))
		ioctl(cpu->fd, KVM_KVMCLOCK_CTRL, 0);
}

void *run_vcpu(void *arg)
{
	struct vcpu *cpu = arg;
	struct vm *vm = cpu->vm;
	struct error refused = ERROR_INIT;

	this_vm = vm;
	proc_block_signals(SIGRTMAX); /* all others are left to whoever waits for them in another thread */
	if (vm->config.has_jail &&
	    (jail_keep(0, &refused) < 0 || jail_enter(JAIL_VCPU, NULL, 0, &refused) < 0))
		vm_ended(vm, VM_END_ERROR, &refused);
	while (!atomic_load(&vm->is_stopping) && atomic_load(&vm->end) < 0) {
		if (ioctl(cpu->fd, KVM_RUN, 0) == 0) {
			if (!on_exit_reason(cpu))
				break;
		} else if (errno == EINTR) {
			after_kick(cpu);
		} else if (errno != EAGAIN) {
			struct error err = ERROR_INIT;

			error_set(&err, errno, "run vCPU %u", cpu->index);
			vm_ended(vm, VM_END_ERROR, &err);
			break;
		}
	}
	vm_leave(vm, &cpu->has_left);
	return NULL;
}

/* ---- threads ---- */

static int start_vcpus(struct vm *vm, struct error *err)
{
	struct sigaction kick = { .sa_sigaction = on_kick_signal, .sa_flags = SA_SIGINFO };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	vm->pid = getpid();
	sigaction(SIGRTMAX, &kick, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	for (unsigned i = 0; i < vm->config.vcpus; i++) {
		int r = pthread_create(&vm->vcpus[i].thread, NULL, run_vcpu, &vm->vcpus[i]);

		if (r != 0)
			return error_set(err, r, "start the thread of vCPU %u", i);
		vm->vcpus[i].is_started = true;
	}
	return 0;
}

/*
 * immediate_exit is looked at whenever a vCPU enters the guest, the signal takes it out of it: between them no
 * moment is left in which a kick could be lost (KVM API §5, "immediate_exit"). What the vCPU is to see is written before.
 */
static void kick_vcpus(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.vcpus; i++) {
		struct vcpu *cpu = &vm->vcpus[i];

		if (!cpu->is_started)
			continue;
		cpu->run->immediate_exit = 1;
		pthread_kill(cpu->thread, SIGRTMAX);
	}
}

void vm_resumed(struct vm *vm)
{
	/* Requests to a vCPU wait for KVM_RUN to return: its own thread asks. */
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		atomic_store(&vm->vcpus[i].was_frozen, true);
	kick_vcpus(vm);
}

static void stop_vcpus(struct vm *vm)
{
	atomic_store(&vm->is_stopping, true);
	kick_vcpus(vm);
}

void vm_leave(struct vm *vm, atomic_bool *has_left)
{
	uint64_t one = 1;

	atomic_store(has_left, true);
	if (write(vm->left_fd, &one, sizeof(one)) < 0)
		return; /* full: somebody has told already */
}

static unsigned join_one(pthread_t thread, bool *is_started, atomic_bool *has_left)
{
	if (*is_started && !atomic_load(has_left))
		return 1;
	if (*is_started)
		pthread_join(thread, NULL);
	*is_started = false;
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * A thread of a file system may wait for a disk for as long as that does not answer, and a vCPU that resets the
 * device, for that thread.
 */
void vm_join(struct vm *vm)
{
	int64_t until = now_ms() + VM_STOP_MS;

	for (;;) {
		struct pollfd p = { .fd = vm->left_fd, .events = POLLIN };
		int64_t left = until - now_ms();
		uint64_t count;

		vm->stuck_threads = 0;
		for (unsigned i = 0; i < vm->config.vcpus; i++)
			vm->stuck_threads += join_one(vm->vcpus[i].thread, &vm->vcpus[i].is_started,
						      &vm->vcpus[i].has_left);
		for (unsigned i = 0; i < vm->n_slots; i++)
			vm->stuck_threads += join_one(vm->slots[i].thread, &vm->slots[i].is_started,
						      &vm->slots[i].has_left);
		if (vm->stuck_threads == 0 || left <= 0)
			return;
		if (poll(&p, 1, (int)left) > 0 && read(vm->left_fd, &count, sizeof(count)) < 0)
			continue;
	}
}

/* ---- the end ---- */

static void on_end(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	uint64_t count;

	(void)events;
	if (read(vm->end_fd, &count, sizeof(count)) < 0)
		return;
	for (unsigned n = atomic_exchange(&vm->n_signals, 0); n > 0 && vm->config.signalled; n--)
		vm->config.signalled(vm->config.signalled_arg, SIGRTMAX);
}

/* The panic's first line begins the last words, if there is one; else they are what fits. An enemy's text, for people. */
static bool keep_last_words(struct vm *vm, char *ret, size_t size)
{
	static const char panic[] = "Kernel panic - not syncing";
	auto_free char *log = malloc(VIRTIO_CONSOLE_LOG + 1);
	size_t n = log ? virtio_console_log(vm->console, log, VIRTIO_CONSOLE_LOG) : 0;
	const char *from = log ? memmem(log, n, panic, sizeof(panic) - 1) : NULL;
	bool has_panic = from != NULL;

	if (n == 0)
		return false;
	if (!from)
		from = n < size ? log : log + n - (size - 1);
	while (has_panic && from > log && from[-1] != '\n')
		from--;
	n -= (size_t)(from - log);
	if (n > size - 1)
		n = size - 1;
	for (size_t i = 0; i < n; i++)
		ret[i] = (from[i] < ' ' && from[i] != '\n') || from[i] == 127 ? ' ' : from[i];
	ret[n] = '\0';
	return has_panic;
}

static void fill_report(struct vm *vm, struct vm_report *ret)
{
	*ret = (struct vm_report){ .end = (enum vm_end)atomic_load(&vm->end) };
	for (unsigned i = 0; i < vm->config.vcpus; i++) {
		ret->exits_io += vm->vcpus[i].exits_io;
		ret->exits_mmio += vm->vcpus[i].exits_mmio;
		ret->exits_other += vm->vcpus[i].exits_other;
	}
	ret->stuck_threads = vm->stuck_threads;

	/* What the guest wrote and nobody has taken yet: a panic ends it at once. */
	virtio_kick(virtio_console_device(vm->console, 0));
	if (keep_last_words(vm, ret->last_words, sizeof(ret->last_words)) && ret->end == VM_END_RESET)
		ret->end = VM_END_PANIC;
}

static int enter_loop_jail(struct vm *vm, struct error *err)
{
	int r = jail_keep(vm->config.loop_caps, err);

	return r < 0 ? r : jail_enter(JAIL_LOOP, vm->config.loop_calls, vm->config.n_loop_calls, err);
}

int vm_run(struct vm *vm, struct vm_report *ret, struct error *err)
{
	uint64_t blocked = proc_blocked_signals();
	int r = virtio_loop_watch(vm->loop, vm->end_fd, EPOLLIN, on_end, vm);

	if (r < 0)
		error_set(err, -r, "wait for the guest's end");
	if (r == 0)
		r = devices_start(vm, err);
	if (r == 0)
		r = start_vcpus(vm, err);
	proc_block_again(blocked); /* the caller reads signals that the first thread lets through */
	vm_trace(vm, "vm: running");
	if (r == 0 && vm->config.has_jail)
		r = enter_loop_jail(vm, err);
	while (r == 0 && atomic_load(&vm->end) < 0) {
		r = virtio_loop_turn(vm->loop, -1);
		if (r < 0)
			error_set(err, -r, "wait for events of the guest");
	}
	stop_vcpus(vm);
	devices_stop(vm);
	vm_join(vm);
	vm_trace(vm, "vm: ended");
	if (r < 0)
		vm_ended(vm, VM_END_ERROR, NULL);
	fill_report(vm, ret);
	if (r == 0 && ret->end == VM_END_ERROR)
		r = error_take(&vm->end_error, err);
	return r;
}
