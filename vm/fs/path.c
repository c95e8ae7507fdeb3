/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of nodes, and how one that was closed comes back.
 *
 * Each open O_PATH descriptor keeps an inode and a dentry of the host in memory, and a guest keeps
 * as many nodes as fit into its caches. So beyond max_fds descriptors are closed, and opened again
 * from the directory and the name they were found by. On a shared volume the name may belong to
 * another file by now: then the key differs, and the answer is ESTALE, as on NFS. Where the guest
 * itself removes the name, the descriptor stays open until the node is forgotten.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "vm/fs/internal.h"

static uint32_t *name_head(struct table *t, uint32_t parent, const char *name)
{
	uint64_t h = 0xcbf29ce484222325u ^ parent;

	for (const char *c = name; *c; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3u;
	return &t->by_name[(uint32_t)(h ^ h >> 29) & (t->buckets - 1)];
}

static void chain_name(struct table *t, uint32_t index)
{
	struct node *n = &t->nodes[index];
	uint32_t *head = name_head(t, n->parent, n->name);

	n->next_name = *head;
	*head = index;
}

static void unchain_name(struct table *t, uint32_t index)
{
	struct node *n = &t->nodes[index];
	uint32_t *at = name_head(t, n->parent, n->name);

	while (*at != index)
		at = &t->nodes[*at].next_name;
	*at = n->next_name;
}

static uint32_t find_name(struct table *t, uint32_t parent, const char *name)
{
	for (uint32_t i = *name_head(t, parent, name); i; i = t->nodes[i].next_name)
		if (t->nodes[i].parent == parent && strcmp(t->nodes[i].name, name) == 0)
			return i;
	return 0;
}

/* Says that a node is name in parent. Takes name over. */
void name_link(struct table *t, uint32_t index, uint32_t parent, char *name)
{
	struct node *n = &t->nodes[index];

	n->parent = parent;
	n->name = name;
	n->flags &= (uint8_t)~NODE_DOOMED;
	t->nodes[parent].children++;
	chain_name(t, index);
}

/* Takes a node that goes away out of the chains. */
void name_unlink(struct table *t, uint32_t index)
{
	if (t->nodes[index].name)
		unchain_name(t, index);
	t->nodes[index].parent = 0;
}

void name_rehash(struct table *t)
{
	memset(t->by_name, 0, t->buckets * sizeof(*t->by_name));
	for (uint32_t i = 1; i <= t->high; i++)
		if ((t->nodes[i].flags & NODE_USED) && t->nodes[i].name)
			chain_name(t, i);
}

/* Opens a node by its name in a directory that is open, and makes sure that it still is the same. */
static int reopen(struct vm_fs *fs, struct node *n, struct node *parent, const char *name)
{
	auto_close int fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stx st;

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;

	int r = attr_stat(fd, "", &st);

	if (r < 0)
		return r;
	r = node_check(fs, n, &st);
	if (r < 0)
		return r;

	int closed = -1;

	/* Another worker may have been faster. */
	if (atomic_compare_exchange_strong(&n->fd, &closed, fd)) {
		TAKE_FD(fd);
		pthread_mutex_lock(&fs->table.lock);
		fs->table.fds++;
		pthread_mutex_unlock(&fs->table.lock);
	}
	return 0;
}

/*
 * The closed one of a node and its ancestors whose parent is open, with references to both; or -ESTALE
 * when a name is missing on the way or it is longer than any path.
 */
static int find_closed(struct vm_fs *fs, struct node *n, struct node **ret, struct node **ret_parent,
		       char name[NAME_LEN + 1])
{
	struct table *t = &fs->table;
	int r = -ESTALE;

	pthread_mutex_lock(&t->lock);
	for (unsigned depth = 0; depth < PATH_MAX / 2 && n->name; depth++) {
		struct node *parent = &t->nodes[n->parent];

		if (parent->fd >= 0) {
			memcpy(name, n->name, strlen(n->name) + 1);
			n->refs++;
			parent->refs++;
			*ret = n;
			*ret_parent = parent;
			r = 0;
			break;
		}
		n = parent;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* The node's O_PATH descriptor, good for as long as the caller has its reference. */
int node_fd(struct vm_fs *fs, struct node *node)
{
	/* Ancestors may be closed again while the way down is opened; the bound is for when that goes on. */
	for (unsigned tries = 0; tries < PATH_MAX; tries++) {
		auto_node struct held closed = { fs, NULL }, parent = { fs, NULL };
		char name[NAME_LEN + 1];
		int fd = node->fd, r;

		if (fd >= 0)
			return fd;
		r = table_make_room(fs);
		if (r == 0)
			r = find_closed(fs, node, &closed.node, &parent.node, name);
		if (r == 0)
			r = reopen(fs, closed.node, parent.node, name);
		if (r < 0)
			return r;
	}
	return -ENFILE;
}

int node_dir_fd(struct vm_fs *fs, struct node *node)
{
	if (!S_ISDIR(node->type))
		return -ENOTDIR;
	if (node->flags & NODE_KERNEL)
		return -EACCES;
	return node_fd(fs, node);
}

static bool is_evictable(const struct node *n)
{
	return (n->flags & NODE_USED) && n->refs == 0 && n->fd >= 0 && n->name && !(n->flags & NODE_DOOMED);
}

/* A directory, the way to others, stays one round longer. */
static bool is_passed_by(struct node *n)
{
	bool is_first = S_ISDIR(n->type) && !(n->flags & NODE_PASSED);

	if (is_first)
		n->flags |= NODE_PASSED;
	return is_first;
}

/* Moves the hand past some nodes: the descriptor it took from one of them, or -1. */
static int evict_some(struct table *t)
{
	for (uint32_t i = 0; i < 1024; i++) {
		struct node *n = &t->nodes[t->hand = t->hand % t->high + 1];

		if (!is_evictable(n) || is_passed_by(n))
			continue;

		int fd = n->fd;

		n->fd = -1;
		n->flags &= (uint8_t)~NODE_PASSED;
		t->fds--;
		return fd;
	}
	return -1;
}

/* Closes a node's descriptor if max_fds are open. The hand goes round twice at most, others get in between. */
int table_make_room(struct vm_fs *fs)
{
	struct table *t = &fs->table;
	bool is_full = true;
	int fd = -1;

	for (uint64_t passed = 0; passed <= 2ull * t->high && is_full && fd < 0; passed += 1024) {
		pthread_mutex_lock(&t->lock);
		is_full = t->fds >= t->max_fds;
		if (is_full)
			fd = evict_some(t);
		pthread_mutex_unlock(&t->lock);
	}
	if (fd >= 0)
		close(fd);
	return is_full && fd < 0 ? -ENFILE : 0;
}

static uint32_t index_of(struct vm_fs *fs, const struct node *n)
{
	return (uint32_t)(n - fs->table.nodes);
}

struct node *name_find(struct vm_fs *fs, struct node *dir, const char *name)
{
	struct table *t = &fs->table;

	pthread_mutex_lock(&t->lock);

	uint32_t index = find_name(t, index_of(fs, dir), name);
	struct node *n = index ? &t->nodes[index] : NULL;

	if (n)
		n->refs++;
	pthread_mutex_unlock(&t->lock);
	return n;
}

int name_prepare_removal(struct vm_fs *fs, struct node *dir, const char *name)
{
	struct table *t = &fs->table;
	auto_node struct held victim = { fs, NULL };

	pthread_mutex_lock(&t->lock);

	uint32_t index = find_name(t, index_of(fs, dir), name);

	if (index) {
		victim.node = &t->nodes[index];
		victim.node->refs++;
		/* Keeps it from eviction until the name is gone. */
		victim.node->flags |= NODE_DOOMED;
	}
	pthread_mutex_unlock(&t->lock);
	if (!victim.node)
		return 0;

	int fd = node_fd(fs, victim.node);

	/* Someone else took the name already: then there is nothing here to keep. */
	return fd < 0 && fd != -ESTALE ? fd : 0;
}

void name_kept(struct vm_fs *fs, struct node *dir, const char *name)
{
	struct table *t = &fs->table;

	pthread_mutex_lock(&t->lock);

	uint32_t index = find_name(t, index_of(fs, dir), name);

	if (index)
		t->nodes[index].flags &= (uint8_t)~NODE_DOOMED;
	pthread_mutex_unlock(&t->lock);
}

/* Cuts the name off a node; returns the parent with a reference, for the caller to give back. */
static struct node *forget_name(struct table *t, uint32_t index, char **ret_name)
{
	struct node *n = &t->nodes[index];
	struct node *parent = &t->nodes[n->parent];

	unchain_name(t, index);
	*ret_name = n->name;
	n->name = NULL;
	n->parent = 0;
	parent->children--;
	parent->refs++;
	return parent;
}

void name_removed(struct vm_fs *fs, struct node *dir, const char *name)
{
	struct table *t = &fs->table;
	auto_node struct held parent = { fs, NULL };
	auto_free char *old = NULL;

	pthread_mutex_lock(&t->lock);

	uint32_t index = find_name(t, index_of(fs, dir), name);

	if (index)
		parent.node = forget_name(t, index, &old);
	pthread_mutex_unlock(&t->lock);
}

/* Gives the node that is name in from a new place. The caller has the lock. */
static struct node *relink(struct table *t, uint32_t index, uint32_t to, const char *new_name, char **ret_old)
{
	char *copy = strdup(new_name);
	struct node *parent = forget_name(t, index, ret_old);

	/* Without memory for its name the node just keeps its descriptor. */
	if (copy && index != to)
		name_link(t, index, to, copy);
	else
		free(copy);
	return parent;
}

void name_moved(struct vm_fs *fs, struct node *from, const char *name, struct node *to, const char *new_name)
{
	struct table *t = &fs->table;
	auto_node struct held parent = { fs, NULL };
	auto_free char *old = NULL;

	name_removed(fs, to, new_name);
	pthread_mutex_lock(&t->lock);

	uint32_t index = find_name(t, index_of(fs, from), name);

	if (index)
		parent.node = relink(t, index, index_of(fs, to), new_name, &old);
	pthread_mutex_unlock(&t->lock);
}

void name_exchanged(struct vm_fs *fs, struct node *a, const char *name, struct node *b, const char *other)
{
	struct table *t = &fs->table;
	auto_node struct held parent = { fs, NULL }, other_parent = { fs, NULL };
	auto_free char *old = NULL, *old_other = NULL;

	pthread_mutex_lock(&t->lock);

	uint32_t x = find_name(t, index_of(fs, a), name), y = find_name(t, index_of(fs, b), other);

	if (x)
		parent.node = relink(t, x, index_of(fs, b), other, &old);
	if (y && y != x)
		other_parent.node = relink(t, y, index_of(fs, a), name, &old_other);
	pthread_mutex_unlock(&t->lock);
}

/*
 * File systems whose files are the kernel's state. What a container may do with them is for its own
 * kernel to say, which mounts its own; through the host's the guest would reach the VMM
 * (/proc/1/mem) or the host's devices.
 */
bool mount_is_kernels(int fd)
{
	static const uint32_t magics[] = {
		PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC,
		DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, SELINUX_MAGIC, SMACK_MAGIC, BPF_FS_MAGIC,
		NSFS_MAGIC, PSTOREFS_MAGIC, EFIVARFS_MAGIC, BINFMTFS_MAGIC, 0x19800202 /* mqueue */,
		0x62656570 /* configfs */, 0x65735543 /* fusectl */, 0x67596969 /* rpc_pipefs */,
		0x5a3c69f0 /* apparmorfs */, 0x7655821 /* resctrl */, 0x50495045 /* pipefs */,
		0x534f434b /* sockfs */, 0x09041934 /* anonymous inodes */, 0x50494446 /* pidfs */,
		BINDERFS_SUPER_MAGIC, 0x6e736673 /* nsfs */, 0xabba1974 /* xenfs */,
	};
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if ((uint32_t)s.f_type == magics[i])
			return true;
	return false;
}
