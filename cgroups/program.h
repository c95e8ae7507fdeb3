/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * program - eBPF programs attached to a cgroup, for this room and those below its directory (bpf(2))
 *
 * As kernfile.h: one call each, -errno and no message. `type` is an attach type, BPF_CGROUP_DEVICE and so on.
 */

#include <linux/bpf.h>
#include <stdint.h>

#define PROGRAMS_MAX 64 /* the kernel's own limit per cgroup and type */

struct programs {
	uint32_t ids[PROGRAMS_MAX];
	uint32_t n, flags; /* flags: BPF_F_ALLOW_… of how they were attached */
};

/* bpf(2); what it returns, or -errno. A verifier that a signal interrupted is asked again. */
int program_bpf(int cmd, union bpf_attr *attr);
/* Programs attached to this very cgroup, none on failure. */
int program_query(int cg_fd, unsigned type, struct programs *ret);
/* A new descriptor of the program with that number. */
int program_open(uint32_t id);
/* replaced_fd: the program that gives way to it (with BPF_F_REPLACE), or -1. */
int program_attach(int cg_fd, unsigned type, int prog_fd, uint32_t flags, int replaced_fd);
int program_detach(int cg_fd, unsigned type, uint32_t id);
