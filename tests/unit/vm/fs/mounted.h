/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * mounted - the server under a real kernel: its requests come from /dev/fuse instead of a virtqueue
 *
 * A private mount namespace with a tmpfs, and on it src (what is served) and mnt (what a guest would see).
 * Requests and replies are cut into pieces of odd sizes, as guest memory is. Included by whoever needs it.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/fs/fs.h"

#define MOUNTED_BUF (VM_FS_MAX_WRITE + 8192)
#define MOUNTED_THREADS 4
#define MOUNTED_OPS     64

struct mounted {
	char base[64], src[80], mnt[80];
	struct vm_fs *fs;
	int fuse_fd;
	unsigned threads, pieces;
	pthread_t thread[MOUNTED_THREADS];
	atomic_uint asked[MOUNTED_OPS]; /* requests by operation */
	struct error err;
};

/* Cuts a buffer into pieces: sizes that are no multiple of anything, and an empty one. */
static inline size_t mounted_cut(struct iovec *iov, void *buf, size_t size, unsigned pieces)
{
	size_t n = 0, at = 0, part = 13;

	for (; pieces > 1 && n < pieces && part < size - at; n++, part = part * 3 + 5) {
		iov[n] = (struct iovec){ (char *)buf + at, n == 2 ? 0 : part };
		at += iov[n].iov_len;
	}
	iov[n] = (struct iovec){ (char *)buf + at, size - at };
	return n + 1;
}

static inline void *mounted_serve(void *arg)
{
	struct mounted *m = arg;
	struct vm_fs_worker *w = NULL;
	struct error err = ERROR_INIT;
	char *in = malloc(MOUNTED_BUF), *out = malloc(MOUNTED_BUF);

	if (!in || !out || vm_fs_worker_new(m->fs, &w, &err) < 0)
		abort();
	for (;;) {
		struct iovec in_iov[32], out_iov[32];
		ssize_t n = read(m->fuse_fd, in, MOUNTED_BUF);

		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		if (n <= 0)
			break;
		m->asked[((struct fuse_in_header *)(void *)in)->opcode % MOUNTED_OPS]++;

		size_t in_n = mounted_cut(in_iov, in, (size_t)n, m->pieces);
		size_t out_n = mounted_cut(out_iov, out, MOUNTED_BUF, m->pieces);
		size_t used = vm_fs_request(w, in_iov, in_n, out_iov, out_n);

		/* ENOENT: the caller was interrupted and is gone. */
		if (used > 0 && write(m->fuse_fd, out, used) < 0 && errno != ENOENT && errno != ENODEV)
			abort();
	}
	vm_fs_worker_free(w);
	free(in);
	free(out);
	return NULL;
}

/* Requests since the last call, those left out that nobody waits for. */
static inline unsigned mounted_asked(struct mounted *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MOUNTED_OPS; i++)
		n += atomic_exchange(&m->asked[i], 0) * (i != FUSE_FORGET && i != FUSE_BATCH_FORGET && i != FUSE_RELEASE);
	return n;
}

/* Why this cannot be tested here, or NULL. */
static inline const char *mounted_missing(void)
{
	if (geteuid() != 0)
		return "mounting needs root";

	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return "no /dev/fuse on this host";
	close(fd);
	return NULL;
}

/* A namespace of its own with an empty src to be served. source: a directory to bind there, or NULL for a tmpfs. */
static inline int mounted_prepare(struct mounted *m, const char *source)
{
	char template[] = "/tmp/bulkhead-fuse-XXXXXX";

	*m = (struct mounted){ .fuse_fd = -1, .threads = 2, .pieces = 6 };
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || !mkdtemp(template))
		return -errno;
	snprintf(m->base, sizeof(m->base), "%s", template);
	snprintf(m->src, sizeof(m->src), "%s/src", m->base);
	snprintf(m->mnt, sizeof(m->mnt), "%s/mnt", m->base);
	if (mount("tmpfs", m->base, "tmpfs", 0, NULL) < 0 || mkdir(m->src, 0755) < 0 || mkdir(m->mnt, 0755) < 0)
		return -errno;
	if (source ? mount(source, m->src, NULL, MS_BIND | MS_REC, NULL) < 0 :
		     mount("tmpfs", m->src, "tmpfs", MS_NODEV, NULL) < 0)
		return -errno;
	return 0;
}

static inline int mounted_start(struct mounted *m, const struct vm_fs_options *options)
{
	struct vm_fs_options o = *options;
	char how[128];

	o.root_fd = open(m->src, O_PATH | O_DIRECTORY | O_CLOEXEC);
	o.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	int r = vm_fs_new(&o, &m->fs, &m->err);

	close(o.root_fd);
	close(o.proc_fd);
	if (r < 0)
		return r;
	m->fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(how, sizeof(how), "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other",
		 m->fuse_fd);
	if (mount("bulkhead", m->mnt, "fuse", MS_NODEV | MS_NOSUID, how) < 0)
		return -errno;
	/* Not before: until it is mounted, reading ends with EPERM. */
	for (unsigned i = 0; i < m->threads; i++)
		pthread_create(&m->thread[i], NULL, mounted_serve, m);
	return 0;
}

/* Unmounts; the workers' reads then end with ENODEV. */
static inline void mounted_stop(struct mounted *m)
{
	if (m->fs) {
		if (umount2(m->mnt, 0) < 0)
			umount2(m->mnt, MNT_FORCE | MNT_DETACH);
		for (unsigned i = 0; i < m->threads; i++)
			pthread_join(m->thread[i], NULL);
		close(m->fuse_fd);
		vm_fs_free(m->fs);
		m->fs = NULL;
	}
	umount2(m->base, MNT_DETACH);
	rmdir(m->base);
}
