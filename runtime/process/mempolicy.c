/* SPDX-License-Identifier: Apache-2.0 */

/* NUMA memory policy of the calling thread (config-linux.md, Memory policy; set_mempolicy(2)). */
#include "runtime/process/steps.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/base/parse.h"

/* The largest CONFIG_NODES_SHIFT of any architecture is 10. */
#define MAX_NODES 1024
#define WORDS (MAX_NODES / 64)

int proc_set_memory_policy(const struct spec_memory_policy *p, struct error *err)
{
	uint64_t nodes[WORDS];
	int r = p->nodes ? parse_cpulist(p->nodes, nodes, WORDS) : 0;

	if (r < 0) {
		error_rule(err, -r, "\"%s\" is not a list of memory nodes", p->nodes);
		error_at(err, "/linux/memoryPolicy/nodes");
		return r;
	}

	/* One more than the bits: the kernel takes one off first (mm/mempolicy.c, get_nodes). */
	if (syscall(SYS_set_mempolicy, p->mode | (int)p->mode_flags, p->nodes ? nodes : NULL,
		    p->nodes ? MAX_NODES + 1UL : 0UL) == 0)
		return 0;

	r = error_set(err, errno, "set memory policy %d (flags %#x) on nodes \"%s\"", p->mode,
		      p->mode_flags, p->nodes ? p->nodes : "");
	error_at(err, "/linux/memoryPolicy");
	return r;
}
