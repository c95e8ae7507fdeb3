/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/device_rules.h"

/*
 * Device rules as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE. The last
 * rule decides, so the program looks at the rules from the last to the first and
 * keeps in one register which of the requested kinds of access nobody has allowed
 * yet: a denying rule that touches one of them ends it, an allowing rule crosses
 * off its own, and when none is left the access is granted.
 *
 * No loop, no memory, no call, and every jump is short and forward. A condition is
 * written as "equal: skip the jump that leads to the next rule", since the verifier
 * walks what follows a conditional jump before what it jumps to: so it comes to each
 * rule first with registers of which nothing is known, and every later arrival is a
 * special case that it prunes. The other way round its work grows with the square
 * of the number of rules (measured: a thousand rules were refused).
 */

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>

#include "cgroups/internal.h"

_Static_assert(BPF_DEVCG_ACC_MKNOD == 1 && BPF_DEVCG_ACC_READ == 2 && BPF_DEVCG_ACC_WRITE == 4,
	       "access bits of the kernel");

enum { ASKED = BPF_REG_2, TYPE = BPF_REG_3, MAJOR = BPF_REG_4, MINOR = BPF_REG_5, SCRATCH = BPF_REG_6 };

#define INSNS_PER_RULE 11
#define INSNS_FIXED    12
#define SHADOW_SCAN    512 /* rules compared to find one that later rules make void */

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

/* Goes on when reg holds imm, else to where land() says. */
static void emit_unless_equal(struct program *p, int class, int reg, uint32_t imm)
{
	emit(p, class | BPF_JEQ | BPF_K, reg, 0, 1, imm);
	emit(p, BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

/* Points the jumps since `from` that lead nowhere yet to what comes next. */
static void land(struct program *p, size_t from)
{
	for (size_t i = from; i < p->n; i++)
		if (BPF_CLASS(p->v[i].code) == BPF_JMP && BPF_OP(p->v[i].code) != BPF_EXIT && !p->v[i].off)
			p->v[i].off = (int16_t)(p->n - i - 1);
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

	/* Nothing asked for (an existence check) is nothing to refuse. */
	size_t from = p->n;

	emit(p, BPF_JMP | BPF_JNE | BPF_K, ASKED, 0, 0, 0);
	emit_return(p, true);
	land(p, from);
}

static void emit_rule(struct program *p, const struct spec_device_rule *r)
{
	uint32_t access = kernel_access(r->access);
	bool all = (r->access & DEVICE_ANY) == DEVICE_ANY;
	size_t from = p->n;

	if (r->type != 'a')
		emit_unless_equal(p, BPF_JMP, TYPE, r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	/* 32 bits wide: an immediate of a 64-bit compare is sign-extended. */
	if (r->major >= 0)
		emit_unless_equal(p, BPF_JMP32, MAJOR, (uint32_t)r->major);
	if (r->minor >= 0)
		emit_unless_equal(p, BPF_JMP32, MINOR, (uint32_t)r->minor);
	if (!all && r->allow) {
		emit(p, BPF_ALU64 | BPF_AND | BPF_K, ASKED, 0, 0, ~access);
		emit(p, BPF_JMP | BPF_JNE | BPF_K, ASKED, 0, 0, 0);
	} else if (!all) {
		emit(p, BPF_ALU64 | BPF_MOV | BPF_X, SCRATCH, ASKED, 0, 0);
		emit(p, BPF_ALU64 | BPF_AND | BPF_K, SCRATCH, 0, 0, access);
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, SCRATCH, 0, 0, 0);
	}
	emit_return(p, r->allow);
	land(p, from);
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
		.v = ARENA_NEW_N(a, struct bpf_insn, n * INSNS_PER_RULE + INSNS_FIXED),
	};

	emit_head(&p);
	for (size_t i = 0; i < n; i++)
		emit_rule(&p, kept[i]);
	emit_return(&p, allow);
	*ret_insns = p.v;
	*ret_n = p.n;
	return 0;
}
