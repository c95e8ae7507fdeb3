/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/device_rules.h"

/*
 * Device rules as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE. The last
 * rule decides, so the program looks at the rules from the last to the first and
 * keeps in one register which of the requested kinds of access nobody has allowed
 * yet: a denying rule that touches one of them ends it, an allowing rule crosses
 * off its own, and when none is left the access is granted.
 *
 * Rules for character and for block devices never meet, so each kind has its own
 * chain, and a rule for one device and every access, which most are, is a single
 * compare. No loop, no memory, no call, and every jump goes forward. Where a rule
 * needs more than one instruction, its condition is written as "equal: skip the jump
 * that leads to the next rule": the verifier walks what follows a conditional jump
 * before what it jumps to, so it comes to each rule first with registers of which
 * nothing is known, and prunes every later arrival as a special case. The other way
 * round its work grows with the square of the number of rules.
 */

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>

#include "cgroups/internal.h"

_Static_assert(BPF_DEVCG_ACC_MKNOD == 1 && BPF_DEVCG_ACC_READ == 2 && BPF_DEVCG_ACC_WRITE == 4,
	       "access bits of the kernel");

enum {
	ASKED = BPF_REG_2,
	TYPE = BPF_REG_3,
	MAJOR = BPF_REG_4,
	MINOR = BPF_REG_5,
	DEVICE = BPF_REG_6, /* both numbers as the kernel packs them: 12 and 20 bits */
	SCRATCH = BPF_REG_7,
};

#define MINOR_BITS 20
#define MAJOR_MAX  ((1u << 12) - 1)
#define MINOR_MAX  ((1u << MINOR_BITS) - 1)

#define INSNS_PER_RULE 5 /* in each of the two chains */
#define INSNS_FIXED    20
#define INSNS_MAX      INT16_MAX /* what a jump can span */
#define SHADOW_SCAN    512 /* rules compared to find one that later rules make void */

/* Jumps to places not known yet; real offsets are never negative. */
enum { TO_ALLOW = -1, TO_DENY = -2, TO_BLOCK_CHAIN = -3 };

struct program {
	struct bpf_insn *v;
	size_t n;
};

static void emit(struct program *p, int code, int dst, int src, int off, uint32_t imm)
{
	p->v[p->n++] = (struct bpf_insn){
		.code = (uint8_t)code,
		.dst_reg = (uint8_t)dst & 15,
		.src_reg = (uint8_t)src & 15,
		.off = (int16_t)off,
		.imm = (int32_t)imm,
	};
}

static void emit_return(struct program *p, bool allow)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Points all jumps to `label` at what comes next. False when there were none. */
static bool place(struct program *p, int label)
{
	bool any = false;

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].off == label) {
			p->v[i].off = (int16_t)(p->n - i - 1);
			any = true;
		}
	return any;
}

static uint32_t kernel_access(unsigned access)
{
	return (access & SPEC_DEV_READ ? BPF_DEVCG_ACC_READ : 0u) |
	       (access & SPEC_DEV_WRITE ? BPF_DEVCG_ACC_WRITE : 0u) |
	       (access & SPEC_DEV_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0u);
}

static void emit_head(struct program *p)
{
	emit(p, BPF_LDX | BPF_MEM | BPF_W, ASKED, BPF_REG_1,
	     offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, MAJOR, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, MINOR, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	/* access_type is (access << 16) | type. */
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, TYPE, ASKED, 0, 0);
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, TYPE, 0, 0, 0xffff);
	emit(p, BPF_ALU64 | BPF_RSH | BPF_K, ASKED, 0, 0, 16);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, DEVICE, MAJOR, 0, 0);
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, DEVICE, 0, 0, MINOR_BITS);
	emit(p, BPF_ALU64 | BPF_OR | BPF_X, DEVICE, MINOR, 0, 0);
	/* Nothing asked for (an existence check) is nothing to refuse. */
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, ASKED, 0, TO_ALLOW, 0);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, TYPE, 0, TO_BLOCK_CHAIN, BPF_DEVCG_DEV_BLOCK);
}

/* Compares the device with the numbers of the rule and jumps when they are its own. False: any device will do. */
static bool emit_if_device(struct program *p, const struct spec_device_rule *r, int off)
{
	/* 32 bits wide: the immediate of a 64-bit compare is sign-extended. */
	int code = BPF_JMP32 | BPF_JEQ | BPF_K;

	if (r->major >= 0 && r->minor >= 0)
		emit(p, code, DEVICE, 0, off, (uint32_t)r->major << MINOR_BITS | (uint32_t)r->minor);
	else if (r->major >= 0)
		emit(p, code, MAJOR, 0, off, (uint32_t)r->major);
	else if (r->minor >= 0)
		emit(p, code, MINOR, 0, off, (uint32_t)r->minor);
	else
		return false;
	return true;
}

/* A rule that speaks of some kinds of access only. */
static void emit_partial(struct program *p, const struct spec_device_rule *r)
{
	uint32_t access = kernel_access(r->access);

	if (emit_if_device(p, r, 1))
		emit(p, BPF_JMP | BPF_JA, 0, 0, r->allow ? 2 : 3, 0);
	if (r->allow) {
		emit(p, BPF_ALU64 | BPF_AND | BPF_K, ASKED, 0, 0, ~access);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, ASKED, 0, TO_ALLOW, 0);
	} else {
		emit(p, BPF_ALU64 | BPF_MOV | BPF_X, SCRATCH, ASKED, 0, 0);
		emit(p, BPF_ALU64 | BPF_AND | BPF_K, SCRATCH, 0, 0, access);
		emit(p, BPF_JMP | BPF_JNE | BPF_K, SCRATCH, 0, TO_DENY, 0);
	}
}

/* The rules for one type of device, last one first, and what holds when none decides. */
static void emit_chain(struct program *p, const struct spec_device_rule *const *rules, size_t n, char type,
		       bool allow)
{
	for (size_t i = 0; i < n; i++) {
		const struct spec_device_rule *r = rules[i];

		/* Numbers that no device of the kernel's can have never match. */
		if ((r->type != 'a' && r->type != type) || r->major > MAJOR_MAX || r->minor > MINOR_MAX)
			continue;
		if ((r->access & DEVICE_ANY) != DEVICE_ANY) {
			emit_partial(p, r);
		} else if (!emit_if_device(p, r, r->allow ? TO_ALLOW : TO_DENY)) {
			/* Every device of this type: the rules before it are out of reach. */
			allow = r->allow;
			break;
		}
	}
	emit_return(p, allow);
}

static int check_rule(const struct spec_device_rule *r, size_t list, size_t i, struct error *err)
{
	int rc = 0;

	if (r->type != 'a' && r->type != 'b' && r->type != 'c')
		rc = error_rule(err, EINVAL, "a device rule's type is a, b or c");
	else if (!(r->access & DEVICE_ANY))
		rc = error_rule(err, EINVAL, "a device rule's access is some of r, w and m");
	else if (r->major < -1 || r->major > UINT32_MAX || r->minor < -1 || r->minor > UINT32_MAX)
		rc = error_rule(err, EINVAL, "device number %lld:%lld is out of range", (long long)r->major,
				(long long)r->minor);
	/* Only the first list is the config's own. */
	if (rc < 0 && list == 0)
		error_at(err, "/linux/resources/devices/%zu", i);
	return rc;
}

/* Does `later` decide all that `r` could? */
static bool shadows(const struct spec_device_rule *later, const struct spec_device_rule *r)
{
	return (later->type == 'a' || later->type == r->type) &&
	       (later->major < 0 || later->major == r->major) &&
	       (later->minor < 0 || later->minor == r->minor) && (r->access & ~later->access) == 0;
}

/*
 * The rules that matter, last one first: from the end back to the last wildcard,
 * which becomes the default; without those that later rules make void, and without
 * the earliest ones that only repeat the default.
 */
static size_t reduce(const struct cg_device_rules *rules, size_t n_lists,
		     const struct spec_device_rule **kept, bool *ret_default)
{
	size_t n = 0;
	bool wildcard = false;
	bool denies = false;

	for (size_t l = n_lists; l-- > 0 && !wildcard;) {
		for (size_t i = rules[l].n; i-- > 0;) {
			const struct spec_device_rule *r = &rules[l].v[i];
			bool void_ = false;

			if (device_is_wildcard(r)) {
				wildcard = true;
				*ret_default = r->allow;
				break;
			}
			denies |= !r->allow;
			for (size_t k = 0; k < n && k < SHADOW_SCAN && !void_; k++)
				void_ = shadows(kept[k], r);
			if (!void_)
				kept[n++] = r;
		}
	}
	if (!wildcard)
		*ret_default = !denies;
	while (n && kept[n - 1]->allow == *ret_default)
		n--;
	return n;
}

int cg_device_program(const struct cg_device_rules *rules, size_t n_lists, struct arena *a,
		      void **ret_insns, size_t *ret_n, struct error *err)
{
	size_t total = 0;
	bool allow;

	for (size_t l = 0; l < n_lists; l++) {
		total += rules[l].n;
		for (size_t i = 0; i < rules[l].n; i++) {
			int r = check_rule(&rules[l].v[i], l, i, err);

			if (r < 0)
				return r;
		}
	}

	const struct spec_device_rule **kept = ARENA_NEW_N(a, const struct spec_device_rule *, total + 1);
	size_t n = reduce(rules, n_lists, kept, &allow);

	*ret_insns = NULL;
	*ret_n = 0;
	if (n == 0 && allow)
		return 0;

	struct program p = {
		.v = ARENA_NEW_N(a, struct bpf_insn, n * INSNS_PER_RULE * 2 + INSNS_FIXED),
	};

	emit_head(&p);
	emit_chain(&p, kept, n, 'c', allow);
	place(&p, TO_BLOCK_CHAIN);
	emit_chain(&p, kept, n, 'b', allow);
	if (place(&p, TO_ALLOW))
		emit_return(&p, true);
	if (place(&p, TO_DENY))
		emit_return(&p, false);
	if (p.n > INSNS_MAX)
		return error_rule(err, E2BIG, "%zu device rules make a program of %zu instructions; %d are "
				  "possible", total, p.n, INSNS_MAX);
	*ret_insns = p.v;
	*ret_n = p.n;
	return 0;
}
