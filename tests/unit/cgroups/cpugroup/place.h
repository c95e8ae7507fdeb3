/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * place - a base of CPU groups to test in
 *
 * A real one in this host's v2 tree, named after the test's process, with two groups,
 * gold and silver, which are what the attribute makes them. Where the tree has
 * controllers the groups hand them down.
 */

#include <sched.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "cgroups/cpugroup/internal.h"
#include "tests/unit/cgroups/scratch.h"

struct place {
	struct scratch s; /* the base */
	struct cpg cpg;
	char web[96];     /* a leaf of gold */
	char there[96];   /* where it may move to in silver */
	int web_fd;
	unsigned controllers;
};

static inline int place_mkdir(const struct place *p, const char *below)
{
	struct error err = ERROR_INIT;
	char path[192];
	bool made;

	snprintf(path, sizeof(path), "%s/%s", p->s.path, below);

	struct cg_host host = p->s.host;
	struct cg_plan plan = { .controllers = p->controllers };
	int fd = cg_create(&host, path, &plan, &made, &err);

	cr_assert(fd >= 0, "%s", line_of(&err));
	return fd;
}

/* The attribute's text is what cpg_create() makes of a default policy; these tests look at its presence alone. */
static inline int place_group(const struct place *p, const char *name)
{
	int fd = place_mkdir(p, name);

	cr_assert_eq(fsetxattr(fd, CPG_XATTR, "{}", 2, 0), 0);
	return fd;
}

static inline void place_open(struct place *p)
{
	struct error err = ERROR_INIT;

	scratch_open(&p->s);
	assert_ok(cg_controllers(&p->s.host, &p->controllers, &err));
	p->cpg = (struct cpg){ .host = &p->s.host, .base = p->s.path };
	close(place_group(p, "gold"));
	close(place_group(p, "silver"));
	p->web_fd = place_mkdir(p, "gold/web");
	/* Hands the controllers down, so that what is made there later has them. */
	close(place_mkdir(p, "silver/other"));
	snprintf(p->web, sizeof(p->web), "%s/gold/web", p->s.path);
	snprintf(p->there, sizeof(p->there), "%s/silver/web", p->s.path);
}

/* Everything in the base ends and goes. */
static inline void place_close(struct place *p)
{
	if (p->web_fd >= 0)
		close(p->web_fd);
	scratch_close(&p->s);
}

/* Tests that need limits say so and are left out where the tree has none. */
#define place_need(p, what) \
	do { \
		if (((p)->controllers & (what)) != (what)) { \
			place_close(p); \
			cr_skip_test("the v2 tree of this host lacks a controller that this needs"); \
		} \
	} while (0)

static inline int place_fd(const struct place *p, const char *path)
{
	return cg_open_below(p->s.host.root_fd, path, O_RDONLY | O_DIRECTORY);
}

/* A process that runs body in the cgroup. */
static inline pid_t place_fork(const struct place *p, int cg_fd, int (*body)(void))
{
	struct scratch in = p->s;

	in.fd = cg_fd;
	return scratch_fork(&in, body);
}

static inline size_t place_count(int cg_fd)
{
	struct arena *a = calloc(1, sizeof(*a));
	struct error err = ERROR_INIT;
	pid_t *pids;
	size_t n;

	assert_ok(cg_pids(cg_fd, a, &pids, &n, &err));
	arena_release(a);
	free(a);
	return n;
}

/* First line of a file of dir_fd; "" when it cannot be read. */
static inline const char *place_line(int dir_fd, const char *file)
{
	static char text[4][1024];
	static unsigned turn;
	char *buf = text[turn++ % 4];

	if (cg_read(dir_fd, file, buf, sizeof(text[0])) < 0)
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}
