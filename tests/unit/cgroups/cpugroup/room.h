/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * room - an empty base of CPU groups in this host's v2 tree
 *
 * The base is named after the test's process and not made: the first group does that.
 * What the room logs at info goes to a file in memory. Tests that need limits say so
 * with room_need() and are left out, aloud, where the tree has no such controller.
 */

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "cgroups/cpugroup/internal.h"
#include "tests/unit/cgroups/scratch.h"

struct room {
	struct cg_host host;
	struct cpg cpg;
	struct log log;
	char base[64];
	unsigned controllers;
	int lock;
	struct arena *a;
};

/* Tests run side by side: those that take CPUs from everybody (LOCK_EX) must not meet those that count on them (LOCK_SH). */
static inline void room_open(struct room *r, int lock)
{
	struct error err = ERROR_INIT;

	if (geteuid() != 0)
		cr_skip_test("creating cgroups needs root");
	if (cg_host_open(&r->host, &err) < 0)
		cr_skip_test("no cgroup v2 tree on this host");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	r->lock = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(flock(r->lock, lock), 0);
	assert_ok(cg_controllers(&r->host, &r->controllers, &err));
	snprintf(r->base, sizeof(r->base), "bulkhead-groups-%d", getpid());
	r->log = (struct log){ .fd = memfd_create("log", MFD_CLOEXEC), .level = LOG_INFO };
	r->cpg = (struct cpg){ .host = &r->host, .base = r->base, .log = &r->log };
	r->a = cpg_scratch_new();
}

/* A cgroup that goes as an invalid partition takes its CPUs with it on 6.12: nobody has them until the next boot. */
static inline void room_unpartition(struct room *r)
{
	struct cpg_tree t;

	if (cpg_tree_load(&r->cpg, r->a, &t, NULL) < 0)
		return;
	for (size_t i = t.n; i-- > 1;) {
		auto_close int fd = cg_open(&r->host, t.v[i].path, NULL);

		if (fd >= 0 && *t.v[i].partition)
			cg_write_text(fd, "cpuset.cpus.partition", "member");
	}
}

static inline void room_close(struct room *r)
{
	struct error err = ERROR_INIT;

	room_unpartition(r);

	int fd = cg_open(&r->host, r->base, NULL);

	if (fd >= 0) {
		cg_kill(fd, NULL);
		close(fd);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	cr_assert_eq(cg_remove(&r->host, r->base, 5000, &err), 0, "%s", line_of(&err));
	cg_host_close(&r->host);
	close(r->log.fd);
	close(r->lock);
	cpg_scratch_free(&r->a);
	r->a = NULL;
}

#define room_need(r, what) \
	do { \
		if (((r)->controllers & (what)) != (what)) { \
			room_close(r); \
			cr_skip_test("the v2 tree of this host lacks a controller that this needs"); \
		} \
	} while (0)

#define room_need_cpus(r, n) \
	do { \
		if (sysconf(_SC_NPROCESSORS_ONLN) < (n)) { \
			room_close(r); \
			cr_skip_test("this host has fewer than %d CPUs", n); \
		} \
	} while (0)

/* A directory below the base, or -errno. */
static inline int room_dir(const struct room *r, const char *below)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s%s", r->base, *below ? "/" : "", below);
	return cg_open_below(r->host.root_fd, path, O_RDONLY | O_DIRECTORY);
}

static inline bool room_has(const struct room *r, const char *below)
{
	auto_close int fd = room_dir(r, below);

	return fd >= 0;
}

/* First line of a file below the base; "-" when it is not there. */
static inline const char *room_line(const struct room *r, const char *below, const char *file)
{
	static char text[8][1024];
	static unsigned turn;
	char *buf = text[turn++ % 8];
	auto_close int fd = room_dir(r, below);

	if (fd < 0 || cg_read(fd, file, buf, sizeof(text[0])) < 0)
		snprintf(buf, sizeof(text[0]), "-");
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static inline void room_write(const struct room *r, const char *below, const char *file, const char *text)
{
	auto_close int fd = room_dir(r, below);

	cr_assert(fd >= 0, "%s", below);
	cr_assert_eq(cg_write_text(fd, file, text), 0, "%s of %s: %s", file, below, strerror(errno));
}

/* A leaf as an engine makes it. */
static inline int room_leaf(struct room *r, const char *below)
{
	struct error err = ERROR_INIT;
	char path[256];
	bool made;

	snprintf(path, sizeof(path), "%s/%s", r->base, below);

	int fd = cg_create(&r->host, path, NULL, &made, &err);

	cr_assert(fd >= 0, "%s", line_of(&err));
	return fd;
}

static inline int sleep_for_ever(void)
{
	while (true)
		pause();
	return 0;
}

/* Puts a process into a leaf. */
static inline pid_t room_fork(struct room *r, const char *below)
{
	auto_close int fd = room_leaf(r, below);
	struct scratch s = { .fd = fd };

	return scratch_fork(&s, sleep_for_ever);
}

/* A policy from JSON, as `apply` would read it. */
static inline struct cpg_policy room_policy(struct room *r, const char *text)
{
	struct error err = ERROR_INIT;
	const struct json *doc;
	struct cpg_policy p;

	assert_ok(json_parse(text, strlen(text), "policy", r->a, &doc, &err));
	assert_ok(cpg_policy_read(doc, r->a, &p, &err));
	return p;
}

static inline int room_create(struct room *r, const char *name, const char *policy, unsigned flags,
			      struct error *err)
{
	struct cpg_policy p = room_policy(r, policy);

	*err = ERROR_INIT;
	return cpg_create(&r->cpg, name, &p, flags, err);
}

static inline int room_set(struct room *r, const char *name, const char *policy, unsigned flags, struct error *err)
{
	struct cpg_policy p = room_policy(r, policy);

	*err = ERROR_INIT;
	return cpg_set(&r->cpg, name, &p, flags, err);
}

/* What was logged so far. */
static inline const char *room_log(const struct room *r)
{
	static char text[16384];
	ssize_t n = pread(r->log.fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}
