/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include <linux/bpf.h>
#include <sys/sysmacros.h>

#include "cgroups/device_rules.h"
#include "spec/base/auto.h"

/*
 * The program against the model. The interpreter below knows just the
 * instructions of the generator, so that every access can be asked of thousands of
 * programs; a handful then goes through the kernel's verifier and real opens.
 */

#define ANY DEVICE_ANY
enum { R = SPEC_DEV_READ, W = SPEC_DEV_WRITE, M = SPEC_DEV_MKNOD };

static struct arena a = ARENA_INIT;
static struct error err;

static void setup(void)
{
	err = ERROR_INIT;
}

static void teardown(void)
{
	arena_release(&a);
}

TestSuite(cg_devices, .init = setup, .fini = teardown);

static uint32_t operand(const struct bpf_insn *i, const uint64_t *reg, uint64_t *wide)
{
	*wide = BPF_SRC(i->code) == BPF_X ? reg[i->src_reg] : (uint64_t)(int64_t)i->imm;
	return (uint32_t)*wide;
}

/* Runs the program; fails the test on an instruction it does not know or on a way out of the program. */
static bool interpret(const struct bpf_insn *insns, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t reg[11] = { 0 };

	for (size_t pc = 0; pc < n; pc++) {
		const struct bpf_insn *i = &insns[pc];
		uint64_t wide;
		uint32_t narrow = operand(i, reg, &wide);

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			cr_assert(i->src_reg == 1 && (size_t)i->off + 4 <= sizeof(*ctx));
			memcpy(&narrow, (const char *)ctx + i->off, 4);
			reg[i->dst_reg] = narrow;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
		case BPF_ALU64 | BPF_MOV | BPF_K:
			reg[i->dst_reg] = wide;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			reg[i->dst_reg] &= wide;
			break;
		case BPF_ALU64 | BPF_OR | BPF_X:
			reg[i->dst_reg] |= wide;
			break;
		case BPF_ALU64 | BPF_LSH | BPF_K:
			reg[i->dst_reg] <<= wide;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			reg[i->dst_reg] >>= wide;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			pc += reg[i->dst_reg] != wide ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += reg[i->dst_reg] == wide ? (size_t)i->off : 0;
			break;
		case BPF_JMP32 | BPF_JEQ | BPF_K:
			pc += (uint32_t)reg[i->dst_reg] == narrow ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JA:
			pc += (size_t)i->off;
			break;
		case BPF_JMP | BPF_EXIT:
			return reg[0];
		default:
			cr_assert_fail("instruction %zu has code %#x", pc, i->code);
		}
	}
	cr_assert_fail("ran off the end");
	return false;
}

static bool program_allows(const void *insns, size_t n, char type, int64_t major, int64_t minor,
			   unsigned access)
{
	struct bpf_cgroup_dev_ctx ctx = { .major = (uint32_t)major, .minor = (uint32_t)minor };
	uint32_t bits = (access & R ? BPF_DEVCG_ACC_READ : 0u) | (access & W ? BPF_DEVCG_ACC_WRITE : 0u) |
			(access & M ? BPF_DEVCG_ACC_MKNOD : 0u);

	ctx.access_type = bits << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	return n == 0 || interpret(insns, n, &ctx);
}

/* Every type and access for numbers in and around those the rules name. */
static void compare(const struct cg_device_rules *lists, size_t n_lists)
{
	static const int64_t numbers[] = { 0, 1, 2, 3, 300, 4095 };
	void *insns;
	size_t n;

	assert_ok(cg_device_program(lists, n_lists, &a, &insns, &n, &err));
	for (int t = 0; t < 2; t++)
		for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
			for (size_t j = 0; j < ARRAY_SIZE(numbers); j++)
				for (unsigned access = 0; access <= ANY; access++) {
					char type = "bc"[t];
					bool model = cg_device_allows(lists, n_lists, type, numbers[i],
								      numbers[j], access);

					cr_assert_eq(program_allows(insns, n, type, numbers[i], numbers[j],
								    access), model,
						     "%c %ld:%ld access %u: model says %d", type, numbers[i],
						     numbers[j], access, model);
				}
}

static size_t length_of(const struct spec_device_rule *v, size_t n)
{
	struct cg_device_rules list = { v, n };
	void *insns;
	size_t len;

	assert_ok(cg_device_program(&list, 1, &a, &insns, &len, &err));
	return len;
}

Test(cg_devices, nothing_to_restrict_is_no_program)
{
	static const struct spec_device_rule all = { .allow = true, .type = 'a', .major = -1, .minor = -1,
						     .access = ANY };
	static const struct spec_device_rule taken_back[] = {
		{ .allow = false, .type = 'c', .major = 1, .minor = -1, .access = ANY },
		{ .allow = true, .type = 'a', .major = -1, .minor = -1, .access = ANY },
		{ .allow = true, .type = 'c', .major = 1, .minor = 3, .access = R },
	};

	cr_assert_eq(length_of(NULL, 0), 0);
	cr_assert_eq(length_of(&all, 1), 0);
	cr_assert_eq(length_of(taken_back, 3), 0);
}

Test(cg_devices, the_last_rule_that_speaks_of_an_access_decides)
{
	static const struct spec_device_rule v[] = {
		{ .allow = false, .type = 'a', .major = -1, .minor = -1, .access = ANY },
		{ .allow = true, .type = 'c', .major = 1, .minor = -1, .access = R | W },
		{ .allow = false, .type = 'c', .major = 1, .minor = 2, .access = W },
	};
	struct cg_device_rules list = { v, 3 };

	cr_assert(cg_device_allows(&list, 1, 'c', 1, 3, R | W));
	cr_assert(cg_device_allows(&list, 1, 'c', 1, 2, R));
	cr_assert_not(cg_device_allows(&list, 1, 'c', 1, 2, R | W));
	cr_assert_not(cg_device_allows(&list, 1, 'c', 1, 3, M));
	cr_assert_not(cg_device_allows(&list, 1, 'b', 1, 3, R));
	compare(&list, 1);
}

Test(cg_devices, a_list_that_denies_something_is_a_list_of_what_is_allowed)
{
	static const struct spec_device_rule v[] = {
		{ .allow = true, .type = 'c', .major = 1, .minor = 3, .access = ANY },
		{ .allow = false, .type = 'c', .major = 10, .minor = 229, .access = ANY },
	};
	struct cg_device_rules list = { v, 2 };

	cr_assert(cg_device_allows(&list, 1, 'c', 1, 3, ANY));
	cr_assert_not(cg_device_allows(&list, 1, 'c', 1, 4, R));
	compare(&list, 1);
}

/* Rules appended as a second list come after the first, as if they were written there. */
Test(cg_devices, defaults_after_the_config_win)
{
	static const struct spec_device_rule config[] = {
		{ .allow = false, .type = 'a', .major = -1, .minor = -1, .access = ANY },
		{ .allow = false, .type = 'c', .major = 1, .minor = 3, .access = W },
	};
	size_t n;
	const struct spec_device_rule *defaults = spec_default_device_rules(&n);
	struct cg_device_rules lists[] = { { config, 2 }, { defaults, n } };

	cr_assert(cg_device_allows(lists, 2, 'c', 1, 3, R | W));
	cr_assert(cg_device_allows(lists, 2, 'b', 8, 0, M));
	cr_assert_not(cg_device_allows(lists, 2, 'b', 8, 0, R));
	compare(lists, 2);
}

Test(cg_devices, every_list_of_two_rules_means_what_the_model_says)
{
	static const int64_t numbers[] = { -1, 1, 2 };
	struct spec_device_rule all[2 * 3 * 3 * 3 * 7];
	size_t n = 0;

	for (unsigned allow = 0; allow < 2; allow++)
		for (unsigned t = 0; t < 3; t++)
			for (unsigned i = 0; i < 3; i++)
				for (unsigned j = 0; j < 3; j++)
					for (unsigned access = 1; access <= ANY; access++)
						all[n++] = (struct spec_device_rule){
							.allow = allow, .type = "abc"[t], .major = numbers[i],
							.minor = numbers[j], .access = access };

	/* A stride that shares no factor with the number of rules visits pairs of all kinds. */
	for (size_t i = 0; i < n; i++)
		for (size_t j = i % 5; j < n; j += 5) {
			struct spec_device_rule v[] = { all[i], all[j] };
			struct cg_device_rules list = { v, 2 };

			compare(&list, 1);
			arena_release(&a);
		}
}

Test(cg_devices, long_random_lists_mean_what_the_model_says)
{
	static const int64_t numbers[] = { -1, 0, 1, 2, 3, 4095, UINT32_MAX };
	unsigned seed = 20240607;

	for (int round = 0; round < 400; round++) {
		struct spec_device_rule v[60];
		size_t n = 1 + (size_t)rand_r(&seed) % ARRAY_SIZE(v);
		struct cg_device_rules lists[2];

		for (size_t i = 0; i < n; i++)
			v[i] = (struct spec_device_rule){
				.allow = rand_r(&seed) & 1,
				.type = "abc"[rand_r(&seed) % 3],
				.major = numbers[rand_r(&seed) % 7],
				.minor = numbers[rand_r(&seed) % 7],
				.access = 1 + (unsigned)rand_r(&seed) % ANY,
			};
		lists[0] = (struct cg_device_rules){ v, n / 2 };
		lists[1] = (struct cg_device_rules){ v + n / 2, n - n / 2 };
		compare(lists, 2);
		arena_release(&a);
	}
}

Test(cg_devices, rules_that_later_ones_make_void_cost_nothing)
{
	static struct spec_device_rule v[401];

	v[0] = (struct spec_device_rule){ .allow = false, .type = 'a', .major = -1, .minor = -1, .access = ANY };
	for (size_t i = 1; i < ARRAY_SIZE(v); i++)
		v[i] = (struct spec_device_rule){ .allow = true, .type = 'c', .major = 1, .minor = (int64_t)i % 4,
						  .access = ANY };

	struct spec_device_rule few[] = { v[0], v[1], v[2], v[3], v[4] };

	cr_assert_eq(length_of(v, ARRAY_SIZE(v)), length_of(few, ARRAY_SIZE(few)));
}

Test(cg_devices, a_rule_that_makes_no_sense_is_refused_by_index)
{
	struct spec_device_rule v[] = {
		{ .allow = true, .type = 'c', .major = 1, .minor = 3, .access = R },
		{ .allow = true, .type = 'c', .major = 1, .minor = 3, .access = 0 },
	};
	struct cg_device_rules list = { v, 2 };
	void *insns;
	size_t n;

	cr_assert_eq(cg_device_program(&list, 1, &a, &insns, &n, &err), -EINVAL);
	cr_assert_str_eq(err.at, "/linux/resources/devices/1");
	v[1].access = R;
	v[1].type = 'p';
	cr_assert_eq(cg_device_program(&list, 1, &a, &insns, &n, &err), -EINVAL);
	v[1].type = 'b';
	v[1].minor = (int64_t)UINT32_MAX + 1;
	cr_assert_eq(cg_device_program(&list, 1, &a, &insns, &n, &err), -EINVAL);
	v[1].minor = -2;
	cr_assert_eq(cg_device_program(&list, 1, &a, &insns, &n, &err), -EINVAL);
}

/* In the kernel */

static const struct spec_device_rule only_null[] = {
	{ .allow = false, .type = 'a', .major = -1, .minor = -1, .access = ANY },
	{ .allow = true, .type = 'c', .major = 1, .minor = 3, .access = R },
};
static const struct spec_device_rule only_zero[] = {
	{ .allow = false, .type = 'a', .major = -1, .minor = -1, .access = ANY },
	{ .allow = true, .type = 'c', .major = 1, .minor = 5, .access = R | W },
};

static int attach(const struct scratch *s, const struct spec_device_rule *v, size_t n)
{
	struct cg_device_rules list = { v, n };
	void *insns;
	size_t len;

	assert_ok(cg_device_program(&list, 1, &a, &insns, &len, &err));

	int r = cg_device_attach(s->fd, CG_USED, insns, len, &err);

	if (r == -EPERM || r == -ENOSYS)
		cr_skip_test("this host lets nobody load device programs");
	return r;
}

static bool opens(const char *path, int flags)
{
	auto_close int fd = open(path, flags | O_CLOEXEC);

	return fd >= 0;
}

/* Bit by bit what a process in the cgroup may do. */
static int probe(void)
{
	return opens("/dev/null", O_RDONLY) | opens("/dev/null", O_WRONLY) << 1 |
	       opens("/dev/zero", O_RDWR) << 2 | opens("/dev/full", O_RDONLY) << 3 |
	       opens("/proc/self/status", O_RDONLY) << 4;
}

static int probed(const struct scratch *s)
{
	int status = wait_status(scratch_fork(s, probe));

	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static uint32_t n_attached(int cg_fd)
{
	uint32_t ids[64];
	union bpf_attr attr = { .query = { .target_fd = (uint32_t)cg_fd, .attach_type = BPF_CGROUP_DEVICE,
					   .prog_ids = (uintptr_t)ids, .prog_cnt = 64 } };

	cr_assert_eq(syscall(321 /* bpf */, BPF_PROG_QUERY, &attr, sizeof(attr)), 0);
	return attr.query.prog_cnt;
}

Test(cg_devices, the_kernel_enforces_the_program_and_an_update_replaces_it)
{
	struct scratch s;

	scratch_open(&s);
	cr_assert_eq(probed(&s), 31);
	assert_ok(attach(&s, only_null, 2));
	cr_assert_eq(probed(&s), 1 | 16);
	cr_assert_eq(n_attached(s.fd), 1);

	/* An update may give as well as take: there is one program, not two that both must agree. */
	assert_ok(attach(&s, only_zero, 2));
	cr_assert_eq(probed(&s), 4 | 16);
	cr_assert_eq(n_attached(s.fd), 1);

	assert_ok(attach(&s, NULL, 0));
	cr_assert_eq(probed(&s), 31);
	cr_assert_eq(n_attached(s.fd), 0);
	scratch_close(&s);
}

Test(cg_devices, a_hundred_updates_leave_one_program)
{
	struct scratch s;

	scratch_open(&s);
	for (int i = 0; i < 100; i++)
		assert_ok(i & 1 ? attach(&s, only_null, 2) : attach(&s, only_zero, 2));
	cr_assert_eq(n_attached(s.fd), 1);
	scratch_close(&s);
}

Test(cg_devices, the_verifier_takes_long_lists)
{
	static struct spec_device_rule v[1000];
	unsigned seed = 7;
	struct scratch s;

	scratch_open(&s);
	v[0] = only_null[0];
	for (size_t i = 1; i < ARRAY_SIZE(v); i++)
		v[i] = (struct spec_device_rule){ .allow = rand_r(&seed) & 1, .type = "abc"[rand_r(&seed) % 3],
						  .major = (int64_t)i, .minor = rand_r(&seed) % 3 - 1,
						  .access = 1 + (unsigned)rand_r(&seed) % ANY };
	cr_assert(length_of(v, ARRAY_SIZE(v)) > 2000);
	assert_ok(attach(&s, v, ARRAY_SIZE(v)));
	scratch_close(&s);
}

static char node_dir[] = "/tmp/bulkhead-nodes-XXXXXX";

/* mknod of all six combinations, as bits. */
static int probe_mknod(void)
{
	int bits = 0;

	for (int i = 0; i < 6; i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/%d", node_dir, i);
		if (mknod(path, (i & 1 ? S_IFBLK : S_IFCHR) | 0600, makedev(1, (unsigned)i / 2)) == 0) {
			bits |= 1 << i;
			unlink(path);
		}
	}
	return bits;
}

Test(cg_devices, mknod_is_an_access_of_its_own)
{
	static const struct spec_device_rule v[] = {
		{ .allow = false, .type = 'a', .major = -1, .minor = -1, .access = ANY },
		{ .allow = true, .type = 'a', .major = 1, .minor = 1, .access = M },
		{ .allow = true, .type = 'c', .major = 1, .minor = 2, .access = ANY },
		{ .allow = true, .type = 'b', .major = 1, .minor = 0, .access = R | W },
	};
	struct scratch s;
	struct cg_device_rules list = { v, 4 };
	int expected = 0;

	scratch_open(&s);
	cr_assert_not_null(mkdtemp(node_dir));
	if (wait_status(scratch_fork(&s, probe_mknod)) != 63 << 8)
		cr_skip_test("mknod is not possible in /tmp");
	assert_ok(attach(&s, v, 4));
	for (int i = 0; i < 6; i++)
		expected |= cg_device_allows(&list, 1, i & 1 ? 'b' : 'c', 1, i / 2, M) << i;
	cr_assert_eq(expected, 1 << 2 | 1 << 3 | 1 << 4);
	cr_assert_eq(WEXITSTATUS(wait_status(scratch_fork(&s, probe_mknod))), expected);
	rmdir(node_dir);
	scratch_close(&s);
}

Test(cg_devices, a_program_the_verifier_dislikes_is_an_error_with_its_words)
{
	static const struct bpf_insn no_exit = { .code = BPF_ALU64 | BPF_MOV | BPF_K };
	struct scratch s;

	scratch_open(&s);

	int r = cg_device_attach(s.fd, CG_USED, &no_exit, 1, &err);

	if (r == -EPERM || r == -ENOSYS)
		cr_skip_test("this host lets nobody load device programs");
	cr_assert_eq(r, -EINVAL);
	cr_assert_not_null(strstr(line_of(&err), "cannot restrict access to devices: load the device program (1 "
						 "instructions): verifier: "), "%s", line_of(&err));
	scratch_close(&s);
}
