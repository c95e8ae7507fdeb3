/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * evil - a guest that writes its requests by hand
 *
 * Serves src of a mounted.h namespace, with a canary beside it that no request may reach.
 */

#include <criterion/criterion.h>
#include <linux/fuse.h>
#include <stdint.h>

#include "tests/unit/vm/fs/mounted.h"

struct evil {
	struct mounted m;
	struct vm_fs_worker *w;
	char canary[96];
	uint32_t uid, gid;
	size_t len; /* of the last reply's payload */
	_Alignas(8) char out[70000];
};

#define EVIL_NAMES(...) (const char *const[]){ __VA_ARGS__, NULL }

/* Sends one request; returns the reply's error (0 or -E…), or 1 when there was no reply. */
static inline int evil_raw(struct evil *e, const void *in, size_t in_len, size_t out_len)
{
	struct fuse_out_header head;
	char *reply = malloc(out_len + 1);
	size_t used = vm_fs_request(e->w, &(struct iovec){ (void *)(uintptr_t)in, in_len }, 1,
				    &(struct iovec){ reply, out_len }, 1);

	cr_assert(used <= out_len && (used == 0 || used >= sizeof(head)));
	if (used == 0) {
		free(reply);
		return 1;
	}
	memcpy(&head, reply, sizeof(head));
	cr_assert(head.len == used && head.error <= 0 && head.error > -512);
	e->len = used - sizeof(head);
	memcpy(e->out, reply + sizeof(head), e->len);
	free(reply);
	return head.error;
}

static inline int evil_ask(struct evil *e, uint32_t opcode, uint64_t node, const void *args, size_t len,
			   const char *const *names)
{
	_Alignas(8) char in[9000] = { 0 };
	size_t at = sizeof(struct fuse_in_header);

	if (len)
		memcpy(in + at, args, len);
	at += len;
	for (; names && *names; names++) {
		memcpy(in + at, *names, strlen(*names) + 1);
		at += strlen(*names) + 1;
	}
	*(struct fuse_in_header *)(void *)in = (struct fuse_in_header){
		.len = (uint32_t)at, .opcode = opcode, .unique = 7, .nodeid = node, .uid = e->uid, .gid = e->gid,
	};
	return evil_raw(e, in, at, sizeof(e->out));
}

#define EVIL_REPLY(e, type) ((const struct type *)(const void *)(e)->out)

/* The node id of a name, or 0. */
static inline uint64_t evil_lookup(struct evil *e, uint64_t dir, const char *name)
{
	if (evil_ask(e, FUSE_LOOKUP, dir, NULL, 0, EVIL_NAMES(name)) < 0)
		return 0;
	return EVIL_REPLY(e, fuse_entry_out)->nodeid;
}

static inline int evil_init(struct evil *e, uint32_t minor, uint32_t flags)
{
	struct fuse_init_in in = { .major = 7, .minor = minor, .max_readahead = 131072, .flags = flags };

	return evil_ask(e, FUSE_INIT, 0, &in, sizeof(in), NULL);
}

static inline void evil_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "write %s", path);
}

static inline char *evil_path(struct evil *e, const char *name)
{
	static char path[4][200];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", e->m.src, name);
	return p;
}

/* An empty src and its server, not initialised. */
static inline struct evil *evil_prepare(void)
{
	struct evil *e = calloc(1, sizeof(*e));

	if (geteuid() != 0)
		cr_skip_test("mounting needs root");
	cr_assert_eq(mounted_prepare(&e->m, NULL), 0);
	snprintf(e->canary, sizeof(e->canary), "%s/canary", e->m.base);
	evil_write(e->canary, "untouched");
	return e;
}

static inline void evil_serve(struct evil *e, struct vm_fs_options o)
{
	char line[2048];

	o.root_fd = open(e->m.src, O_PATH | O_DIRECTORY | O_CLOEXEC);
	o.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	int r = vm_fs_new(&o, &e->m.fs, &e->m.err);

	if (r == 0)
		r = vm_fs_worker_new(e->m.fs, &e->w, &e->m.err);
	error_line(&e->m.err, line, sizeof(line));
	cr_assert_eq(r, 0, "%s", line);
	close(o.root_fd);
	close(o.proc_fd);
}

static inline struct evil *evil_start(struct vm_fs_options o)
{
	struct evil *e = evil_prepare();

	evil_serve(e, o);
	cr_assert_eq(evil_init(e, 38, 0xffffffff & ~(uint32_t)FUSE_INIT_EXT), 0);
	return e;
}

static inline unsigned evil_count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 20000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The canary is as it was, and the server gives back all it had. */
static inline void evil_end(struct evil *e)
{
	char text[32] = "";
	FILE *f = fopen(e->canary, "r");
	struct stat st;

	cr_assert(f && fgets(text, sizeof(text), f));
	fclose(f);
	cr_assert_str_eq(text, "untouched");
	cr_assert(stat(e->canary, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) == 0644);

	struct vm_fs_stats stats;

	vm_fs_reset(e->m.fs);
	vm_fs_stats_get(e->m.fs, &stats);
	cr_assert_eq(stats.nodes, 1, "%u nodes left", stats.nodes);
	cr_assert_eq(stats.node_fds, 1);
	cr_assert_eq(stats.io_fds, 0);
	cr_assert_eq(stats.dirs, 0);
	vm_fs_worker_free(e->w);
	vm_fs_free(e->m.fs);
	e->m.fs = NULL;
	/* The working directory is /proc/self/fd. */
	cr_assert_eq(chdir("/"), 0);
	umount2(e->m.base, MNT_DETACH);
	rmdir(e->m.base);
	free(e);
}
