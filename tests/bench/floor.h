/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* floor - what floor.c (commands) and floor_inside.c (the container) share */

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include <linux/filter.h>

/* All of the default bundle but the cgroup namespace, which is made from inside the cgroup. */
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)

/* What the command line and the bundle say, and nothing else. */
struct container {
	const char *root, *bundle, *id;
	char state[PATH_MAX], cgroup[PATH_MAX]; /* directories */
	char program[256];
	struct sock_filter filter[4096];
	unsigned short filter_len; /* instructions */
};

static inline _Noreturn void die(const char *what)
{
	perror(what);
	_exit(125);
}

static inline int must(long result, const char *what)
{
	if (result < 0)
		die(what);
	return (int)result;
}

/* The result of a call that must succeed. */
#define MUST(call) must((call), #call)

/* The device rules of the default bundle, as a program on a cgroup. */
void attach_device_program(int cgroup_fd);

/* In the new namespaces, with the bundle as working directory: all that the program shall see. */
void build_container(void);

/* Takes off what the program may not have, and becomes it. */
_Noreturn void become(const struct container *c, char *const argv[]);
