/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and ending a server and its workers.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "vm/fs/internal.h"

int vm_fs_mount_id(int fd, uint64_t *ret_mnt_id, struct error *err)
{
	struct stx st;
	int r = attr_stat(fd, "", &st);

	if (r < 0)
		return error_set(err, -r, "statx descriptor %d", fd);
	*ret_mnt_id = st.stx_mnt_id;
	return 0;
}

/* proc_fd must be /proc/self/fd of this very process: a number that meant another file would be a hole. */
static int check_proc(const struct vm_fs *fs, const struct stx *root, struct error *err)
{
	struct statfs s;
	struct stx st;

	if (fstatfs(fs->proc_fd, &s) < 0 || s.f_type != PROC_SUPER_MAGIC)
		return error_rule(err, EINVAL, "the directory of descriptors is not on procfs");

	auto_close int fd = proc_open(fs->proc_fd, fs->root_fd, O_PATH);

	if (fd < 0)
		return error_set(err, -fd, "open %d in /proc/self/fd", fs->root_fd);
	if (attr_stat(fd, "", &st) < 0 || st.stx_ino != root->stx_ino || st.stx_mnt_id != root->stx_mnt_id)
		return error_rule(err, EINVAL, "the directory of descriptors is another process's");
	return 0;
}

static int learn_root(struct vm_fs *fs, const struct vm_fs_options *options, struct error *err)
{
	auto_node struct held node = { fs, NULL };
	struct stx st;
	int r;

	fs->root_fd = fcntl(options->root_fd, F_DUPFD_CLOEXEC, 3);
	fs->proc_fd = fcntl(options->proc_fd, F_DUPFD_CLOEXEC, 3);
	if (fs->root_fd < 0 || fs->proc_fd < 0)
		return error_set(err, errno, "duplicate descriptors %d and %d", options->root_fd, options->proc_fd);
	r = attr_stat(fs->root_fd, "", &st);
	if (r < 0)
		return error_set(err, -r, "statx the root directory");
	if (!S_ISDIR(st.stx_mode))
		return error_rule(err, ENOTDIR, "the root of the file system is no directory");
	if (!(st.stx_mask & STX_MNT_ID))
		return error_rule(err, ENOSYS, "the kernel does not tell mounts apart (statx of Linux 5.8 does)");
	r = check_proc(fs, &st, err);
	if (r < 0)
		return r;

	int fd = openat(fs->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open the root directory");
	r = node_learn(fs, NULL, NULL, fd, &st, &node.node);
	return r < 0 ? error_set(err, -r, "remember the root directory") : 0;
}

static int set_up(struct vm_fs *fs, const struct vm_fs_options *options, struct error *err)
{
	struct rlimit nofile;

	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_init(&fs->stripes[i], NULL);
	if (getrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return error_set(err, errno, "getrlimit NOFILE");

	struct rlimit most = { nofile.rlim_max, nofile.rlim_max };

	/* Refused when fs.nr_open was lowered below the hard limit: then it stays what it is. */
	if (setrlimit(RLIMIT_NOFILE, &most) == 0)
		nofile = most;
	if (options->mounts_n > 0) {
		fs->mounts = calloc(options->mounts_n, sizeof(*fs->mounts));
		if (!fs->mounts)
			return error_set(err, ENOMEM, "remember %zu mounts", options->mounts_n);
		memcpy(fs->mounts, options->mounts, options->mounts_n * sizeof(*fs->mounts));
	}

	int r = table_init(&fs->table, options, nofile.rlim_cur < 1u << 20 ? (uint32_t)nofile.rlim_cur : 1u << 20,
			   err);

	if (r == 0)
		r = dirs_init(&fs->dirs, options->max_dirs ? options->max_dirs : 1024, err);
	return r < 0 ? r : learn_root(fs, options, err);
}

int vm_fs_new(const struct vm_fs_options *options, struct vm_fs **ret_fs, struct error *err)
{
	struct vm_fs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return error_set(err, ENOMEM, "allocate a file server");
	fs->options = *options;
	fs->options.mounts = NULL;
	fs->root_fd = fs->proc_fd = -1;

	int r = set_up(fs, options, err);

	if (r < 0) {
		vm_fs_free(fs);
		return error_wrap(err, r, "cannot set up the file server of a guest");
	}
	*ret_fs = fs;
	return 0;
}

void vm_fs_free(struct vm_fs *fs)
{
	if (!fs)
		return;
	dirs_free(&fs->dirs);
	table_free(&fs->table);
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&fs->stripes[i]);
	if (fs->root_fd >= 0)
		close(fs->root_fd);
	if (fs->proc_fd >= 0)
		close(fs->proc_fd);
	free(fs->mounts);
	free(fs);
}

void vm_fs_reset(struct vm_fs *fs)
{
	fs->is_ready = false;
	dirs_reset(&fs->dirs);
	table_reset(fs);
}

int vm_fs_worker_new(struct vm_fs *fs, struct vm_fs_worker **ret_worker, struct error *err)
{
	auto_free struct vm_fs_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return error_set(err, ENOMEM, "allocate a file server's worker");
	w->fs = fs;
	w->proc_fd = fs->proc_fd;
	if (unshare(CLONE_FS) < 0)
		return error_set(err, errno, "unshare the working directory");
	if (fchdir(fs->proc_fd) < 0)
		return error_set(err, errno, "enter /proc/self/fd");

	int r = identity_read(w, err);

	if (r < 0)
		return r;
	*ret_worker = TAKE_PTR(w);
	return 0;
}

void vm_fs_worker_free(struct vm_fs_worker *worker)
{
	free(worker);
}

void vm_fs_ending(struct vm_fs *fs)
{
	fs->is_ending = true;
}

void vm_fs_stats_get(struct vm_fs *fs, struct vm_fs_stats *ret_stats)
{
	*ret_stats = (struct vm_fs_stats){
		.requests = fs->requests,
		.errors = fs->errors,
		.read_bytes = fs->read_bytes,
		.written_bytes = fs->written_bytes,
	};
	pthread_mutex_lock(&fs->table.lock);
	ret_stats->nodes = fs->table.used;
	ret_stats->node_fds = fs->table.fds;
	ret_stats->io_fds = fs->table.io_count;
	pthread_mutex_unlock(&fs->table.lock);
	pthread_mutex_lock(&fs->dirs.lock);
	ret_stats->dirs = fs->dirs.used;
	pthread_mutex_unlock(&fs->dirs.lock);
}
