/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of this room share. Who locks what:
 *
 *   table.lock    the node table: hash chains, counts, names, parents; eviction
 *   stripes[]     opening and closing the data descriptor of one node; may take table.lock
 *                 while held, never the other way round (but by trylock)
 *   dirs[].lock   one open directory: its position and what was read ahead
 *
 * A node that is in use (refs > 0) neither goes away nor loses its descriptors. No lock is
 * held during a system call that moves data.
 */

#include <linux/capability.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "spec/base/auto.h"
#include "vm/fs/fs.h"
#include "vm/fs/stx.h"
#include "vm/fs/wire.h"

/* The bound on what one request can make the server hold: values of attributes, lists of forgets. */
#define ARGS_MAX (64u * 1024)
#define OUT_MAX  (64u * 1024)
#define NAME_LEN 255

enum {
	NODE_USED = 1,
	NODE_KERNEL = 2,   /* on a file system of the kernel's own: nothing in it is served */
	NODE_SUBMOUNT = 4, /* a directory that another mount begins with */
	NODE_DOOMED = 8,   /* its name is about to go: its fd stays */
	NODE_PASSED = 16,  /* a directory that eviction went past once */
};

struct node {
	uint64_t mnt, dev, ino; /* the key */
	uint64_t shown_ino;     /* what the guest takes for st_ino, from the first to the last */
	uint64_t lookups;       /* what the guest has to give back with FORGET */
	uint32_t generation;    /* upper half of the node id, so that an old id is not the next node's */
	uint32_t refs;          /* requests that use it */
	uint32_t children;      /* nodes whose parent it is */
	uint32_t next_key, next_name;
	uint32_t parent;        /* where it can be found again, with name */
	char *name;
	_Atomic int fd;         /* O_PATH, or -1 while evicted */
	int io_fd;              /* for data, -1 while not needed */
	uint32_t io_users;
	uint32_t io_slot;
	uint32_t opens;
	uint16_t home;          /* index into devs: the device that the guest sees as st_dev */
	uint8_t flags;
	uint8_t cache;
	bool io_writable, io_doomed;
	mode_t type;
};

#define DIR_BUF 8192
/* Most of them that a guest without handles keeps: what it read in part and left stays until then. */
#define STREAMS_MAX 128

/* An open directory. What getdents64() returned and the guest did not take yet stays in buf. */
struct dir {
	pthread_mutex_t lock;
	int fd;
	uint32_t generation, next_free;
	uint64_t node, last_use; /* the id; counted by dirs.clock */
	uint32_t at, end;
	int64_t pos;         /* the cookie of the entry at buf[at] */
	bool is_at_end;      /* behind buf there is nothing */
	char buf[DIR_BUF] __attribute__((aligned(8)));
};

#define STRIPES  64
#define DEVS_MAX 64

struct table {
	pthread_mutex_t lock;
	struct node *nodes; /* max + 1; [0] is no node, [1] the root */
	uint32_t max, used, free_list;
	_Atomic uint32_t high;
	uint32_t *by_key, *by_name, buckets, buckets_max;
	uint32_t fds, max_fds, hand;
	uint32_t *io_ring, io_count, io_max, io_hand;
	uint64_t devs[DEVS_MAX];
	unsigned devs_n;
};

struct dirs {
	pthread_mutex_t lock;
	struct dir *slots; /* max + 1; [0] is none */
	uint32_t max, used, high, free_list;
	_Atomic uint64_t clock;
};

struct vm_fs {
	struct vm_fs_options options;
	struct vm_fs_mount *mounts;
	int root_fd, proc_fd;
	struct table table;
	struct dirs dirs;
	pthread_mutex_t stripes[STRIPES];
	_Atomic bool is_ready;     /* INIT was answered */
	_Atomic bool is_ending;    /* vm_fs_ending() */
	_Atomic bool has_submounts; /* the guest mounts what NODE_SUBMOUNT says */
	_Atomic bool has_setxattr_ext;
	_Atomic bool has_no_opendir; /* directories are read without being opened */
	_Atomic uint64_t requests, errors, read_bytes, written_bytes;
};

struct vm_fs_worker {
	struct vm_fs *fs;
	int proc_fd;
	uid_t uid;
	gid_t gid;
	mode_t umask;
	struct __user_cap_data_struct caps[2];
	bool has_lesser_caps; /* a return to uid 0 raises more than caps says */

	/* The request at hand. in is the copy; args are what follows it up to args_len. */
	struct fuse_in_header in;
	size_t args_len;
	const struct iovec *in_iov, *out_iov;
	size_t in_n, out_n;
	size_t room;     /* for the reply's payload */
	bool is_direct;  /* the payload is in place already */
	struct iovec iov[VM_FS_IOV_MAX];
	char args[ARGS_MAX + 1024] __attribute__((aligned(8)));
	char out[OUT_MAX] __attribute__((aligned(8)));
};

/* iov.c */
size_t iov_total(const struct iovec *iov, size_t n);
size_t iov_copy_in(void *to, const struct iovec *iov, size_t n, size_t offset, size_t len);
size_t iov_copy_out(const struct iovec *iov, size_t n, size_t offset, const void *from, size_t len);
size_t iov_slice(struct iovec *to, const struct iovec *iov, size_t n, size_t offset, size_t len);
int iov_skip(struct iovec **iov, int n, size_t len);

/* names.c */
bool name_is_component(const char *name, size_t len);
/* 0, or -E… that says to the guest that there is no such attribute. */
int name_check_xattr(const char *name);

/* node.c: all return -E… or a node with a reference, which node_put() gives back. */
int table_init(struct table *t, const struct vm_fs_options *o, uint32_t nofile, struct error *err);
void table_free(struct table *t);
struct node *node_get(struct vm_fs *fs, uint64_t nodeid);
void node_put(struct vm_fs *fs, struct node *node);
uint64_t node_id(struct vm_fs *fs, const struct node *node);
/*
 * Counts a lookup of what fd (O_PATH; taken over, on failure as well) is, found as name in parent (NULL
 * for a file without a name), and says which node that is.
 */
int node_learn(struct vm_fs *fs, struct node *parent, const char *name, int fd, const struct stx *st,
	       struct node **ret);
/* Counts a lookup of a node that is in use and open, if it is what st describes. */
bool node_relearn(struct vm_fs *fs, struct node *node, const struct stx *st);
/* Is what st describes, found by the node's name, still the node? -ESTALE if not. */
int node_check(struct vm_fs *fs, struct node *node, const struct stx *st);
void node_forget(struct vm_fs *fs, uint64_t nodeid, uint64_t n);
void table_reset(struct vm_fs *fs);

/* path.c: descriptors of nodes, and the names that bring an evicted one back */
int node_fd(struct vm_fs *fs, struct node *node);
/* Like node_fd, for a directory that requests may look into: -ENOTDIR, -EACCES. */
int node_dir_fd(struct vm_fs *fs, struct node *node);
void name_link(struct table *t, uint32_t index, uint32_t parent, char *name);
void name_unlink(struct table *t, uint32_t index);
void name_rehash(struct table *t);
/* What was found by this name and is kept under it, with a reference; or NULL. */
struct node *name_find(struct vm_fs *fs, struct node *dir, const char *name);
/* Before a name goes away: what was found by it keeps its descriptor from now on. */
int name_prepare_removal(struct vm_fs *fs, struct node *dir, const char *name);
/* It did not go away after all. */
void name_kept(struct vm_fs *fs, struct node *dir, const char *name);
void name_removed(struct vm_fs *fs, struct node *dir, const char *name);
void name_moved(struct vm_fs *fs, struct node *from, const char *name, struct node *to, const char *new_name);
void name_exchanged(struct vm_fs *fs, struct node *a, const char *name, struct node *b, const char *other);
int table_make_room(struct vm_fs *fs);
bool mount_is_kernels(int fd);

/* io.c: one descriptor for the data of a regular file, shared by all who opened it */
enum io_mode { IO_READ, IO_WRITE };
int io_get(struct vm_fs *fs, struct node *node, enum io_mode mode);
void io_put(struct vm_fs *fs, struct node *node);
void io_adopt(struct vm_fs *fs, struct node *node, int fd);
void io_opened(struct vm_fs *fs, struct node *node);
void io_released(struct vm_fs *fs, struct node *node);
/* The node goes away: its descriptor, for the caller to close, or -1. */
int io_detach(struct table *t, struct node *node);
void proc_name(int fd, char name[12]);

/*
 * Opens the file of fd anew. The magic link goes to the very inode: nothing is looked up by name, and it works for removed
 * files. A negative fd is returned as the error it is.
 */
int proc_open(int proc_fd, int fd, int flags);

/*
 * orphan.c, with the node's stripe held: a descriptor for reading and writing of a file that could not be copied up for
 * want of a name; the node is what was made of it from then on. -EEXIST where that cannot be.
 */
int orphan_open(struct vm_fs *fs, struct node *node);

/* identity.c */
int identity_read(struct vm_fs_worker *w, struct error *err);
int identity_assume(struct vm_fs_worker *w);
int identity_resume(struct vm_fs_worker *w);
void identity_umask(struct vm_fs_worker *w, mode_t mask);
/* Without CAP_FSETID, so that the host's kernel clears set-id bits as for an unprivileged writer. */
int identity_drop_fsetid(struct vm_fs_worker *w);
int identity_restore_fsetid(struct vm_fs_worker *w);

/* attr.c */
int attr_stat(int dir_fd, const char *name, struct stx *ret);
uint64_t attr_valid(const struct node *node);
void attr_fill(const struct node *node, const struct stx *st, struct fuse_attr *ret);
void attr_entry(struct vm_fs *fs, const struct node *node, const struct stx *st, struct fuse_entry_out *ret);

/* lookup.c: -E…, or a new lookup of a name, described in *ret; the node too when ret_node is given */
int lookup(struct vm_fs *fs, struct node *parent, const char *name, struct fuse_entry_out *ret,
	   struct node **ret_node);

/* dir.c */
int dirs_init(struct dirs *d, uint32_t max, struct error *err);
void dirs_free(struct dirs *d);
void dirs_reset(struct dirs *d);

/*
 * An operation: node is that of the header, names are checked and inside w->args. Returns the
 * length of the payload in w->out, or -E….
 */
typedef int op_fn(struct vm_fs_worker *w, struct node *node, char *const name[2]);

op_fn op_lookup, op_getattr, op_setattr, op_readlink, op_symlink, op_mknod, op_mkdir, op_unlink, op_rmdir, op_rename,
	op_rename2, op_link, op_open, op_read, op_write, op_statfs, op_release, op_fsync, op_setxattr, op_getxattr,
	op_listxattr, op_removexattr, op_opendir, op_readdir, op_readdirplus, op_releasedir, op_fsyncdir, op_create,
	op_tmpfile, op_fallocate, op_lseek, op_copy_file_range, op_syncfs, op_statx;

/* Frees at the end of the scope. */
struct held {
	struct vm_fs *fs;
	struct node *node;
};

static inline void held_put(const struct held *h)
{
	int saved = errno;

	if (h->node)
		node_put(h->fs, h->node);
	errno = saved;
}

#define auto_node __attribute__((cleanup(held_put)))
