/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of nodes: what the guest's node ids mean.
 *
 * A node is one inode seen through one mount: a file on two bind mounts is two nodes, since only one
 * of them may be read-only. While a node's O_PATH descriptor is open the host cannot use its inode
 * number for another file, so the key (mount, device, inode) is sound.
 *
 * The table is one reservation of address space whose pages come when they are first touched: no
 * node moves, none is allocated, and a guest that looks up a million names gets ENFILE at the bound.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vm/fs/internal.h"

#define BUCKETS_FIRST 1024

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void unreserve(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

int table_init(struct table *t, const struct vm_fs_options *o, uint32_t nofile, struct error *err)
{
	t->max = o->max_nodes ? o->max_nodes : 262144;
	t->max_fds = o->max_fds ? o->max_fds : (nofile / 2 < 8192 ? nofile / 2 : 8192);
	t->io_max = nofile / 8 < 1024 ? nofile / 8 : 1024;
	if (t->max > 1u << 24 || t->max_fds < 16 || t->io_max < 4)
		return error_rule(err, EINVAL, "a file server with %u nodes and %u descriptors cannot work", t->max,
				  t->max_fds);
	for (t->buckets_max = BUCKETS_FIRST; t->buckets_max < t->max;)
		t->buckets_max *= 2;
	t->buckets = BUCKETS_FIRST;
	pthread_mutex_init(&t->lock, NULL);
	t->nodes = reserve((t->max + 1) * sizeof(*t->nodes));
	t->by_key = reserve(t->buckets_max * sizeof(*t->by_key));
	t->by_name = reserve(t->buckets_max * sizeof(*t->by_name));
	t->io_ring = reserve(t->io_max * sizeof(*t->io_ring));
	if (!t->nodes || !t->by_key || !t->by_name || !t->io_ring)
		return error_set(err, errno, "reserve memory for %u nodes", t->max);
	return 0;
}

void table_free(struct table *t)
{
	for (uint32_t i = 1; t->nodes && i <= t->high; i++) {
		struct node *n = &t->nodes[i];

		if (!(n->flags & NODE_USED))
			continue;
		if (n->fd >= 0)
			close(n->fd);
		if (n->io_fd >= 0)
			close(n->io_fd);
		free(n->name);
	}
	unreserve(t->nodes, (t->max + 1) * sizeof(*t->nodes));
	unreserve(t->by_key, t->buckets_max * sizeof(*t->by_key));
	unreserve(t->by_name, t->buckets_max * sizeof(*t->by_name));
	unreserve(t->io_ring, t->io_max * sizeof(*t->io_ring));
	pthread_mutex_destroy(&t->lock);
}

static uint32_t key_bucket(const struct table *t, uint64_t mnt, uint64_t dev, uint64_t ino)
{
	uint64_t h = ino * 0x9e3779b97f4a7c15u ^ dev * 0xc2b2ae3d27d4eb4fu ^ mnt;

	return (uint32_t)(h ^ h >> 32) & (t->buckets - 1);
}

static uint32_t *key_head(struct table *t, const struct node *n)
{
	return &t->by_key[key_bucket(t, n->mnt, n->dev, n->ino)];
}

static void key_link(struct table *t, uint32_t index)
{
	uint32_t *head = key_head(t, &t->nodes[index]);

	t->nodes[index].next_key = *head;
	*head = index;
}

static void key_unlink(struct table *t, uint32_t index)
{
	uint32_t *at = key_head(t, &t->nodes[index]);

	while (*at != index)
		at = &t->nodes[*at].next_key;
	*at = t->nodes[index].next_key;
}

/* Doubles the chains when they get long. Rare, and linear in what the table holds by then. */
static void grow(struct table *t)
{
	if (t->used < t->buckets * 2 || t->buckets == t->buckets_max)
		return;
	t->buckets *= 2;
	memset(t->by_key, 0, t->buckets * sizeof(*t->by_key));
	for (uint32_t i = 1; i <= t->high; i++)
		if (t->nodes[i].flags & NODE_USED)
			key_link(t, i);
	name_rehash(t);
}

static struct node *find(struct table *t, uint64_t mnt, const struct stx *st, uint64_t dev)
{
	for (uint32_t i = t->by_key[key_bucket(t, mnt, dev, st->stx_ino)]; i; i = t->nodes[i].next_key) {
		struct node *n = &t->nodes[i];

		if (n->ino == st->stx_ino && n->dev == dev && n->mnt == mnt)
			return n;
	}
	return NULL;
}

static struct node *take_slot(struct table *t)
{
	uint32_t index = t->free_list;

	if (index)
		t->free_list = t->nodes[index].next_key;
	else if (t->high < t->max)
		index = ++t->high;
	else
		return NULL;
	t->used++;

	struct node *n = &t->nodes[index];
	uint32_t generation = n->generation;

	memset(n, 0, sizeof(*n));
	n->generation = generation;
	n->flags = NODE_USED;
	n->fd = n->io_fd = -1;
	return n;
}

uint64_t node_id(struct vm_fs *fs, const struct node *node)
{
	return (uint64_t)node->generation << 32 | (uint64_t)(node - fs->table.nodes);
}

static struct node *node_of_id(struct table *t, uint64_t nodeid)
{
	uint32_t index = (uint32_t)nodeid;

	if (index == 0 || index > t->high)
		return NULL;

	struct node *n = &t->nodes[index];

	/* A node that the guest gave back in full is none of its business, though another request still has it. */
	if (!(n->flags & NODE_USED) || n->generation != nodeid >> 32 || n->lookups == 0)
		return NULL;
	return n;
}

struct node *node_get(struct vm_fs *fs, uint64_t nodeid)
{
	struct table *t = &fs->table;

	pthread_mutex_lock(&t->lock);

	struct node *n = node_of_id(t, nodeid);

	if (n)
		n->refs++;
	pthread_mutex_unlock(&t->lock);
	return n;
}

/*
 * Takes a dead node out of the table. The descriptors are left to the caller, to close without the lock,
 * and so is the parent, with a reference.
 */
static uint32_t bury(struct table *t, struct node *n, int fds[2], char **ret_name)
{
	uint32_t index = (uint32_t)(n - t->nodes);
	uint32_t parent = n->parent;

	if (parent) {
		t->nodes[parent].children--;
		t->nodes[parent].refs++;
	}
	key_unlink(t, index);
	name_unlink(t, index);
	fds[0] = n->fd;
	fds[1] = io_detach(t, n);
	*ret_name = n->name;
	n->fd = -1;
	n->name = NULL;
	t->fds -= fds[0] >= 0;
	n->flags = 0;
	n->generation++;
	n->next_key = t->free_list;
	t->free_list = index;
	t->used--;
	return parent;
}

void node_put(struct vm_fs *fs, struct node *node)
{
	struct table *t = &fs->table;

	/* Its parent may have been waiting for it to go. */
	while (node) {
		int fds[2] = { -1, -1 };
		char *name = NULL;
		uint32_t parent = 0;

		pthread_mutex_lock(&t->lock);
		node->refs--;
		if (node->refs == 0 && node->children == 0 && node->lookups == 0)
			parent = bury(t, node, fds, &name);
		pthread_mutex_unlock(&t->lock);

		/* The last close of a removed file frees its blocks, which takes long. */
		for (int i = 0; i < 2; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		free(name);
		node = parent ? &t->nodes[parent] : NULL;
	}
}

bool node_relearn(struct vm_fs *fs, struct node *node, const struct stx *st)
{
	struct table *t = &fs->table;
	uint64_t dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;

	pthread_mutex_lock(&t->lock);

	bool is_same = node->fd >= 0 && st->stx_mnt_id == node->mnt && st->stx_ino == node->ino && dev == node->dev &&
		       (st->stx_mode & S_IFMT) == node->type;

	node->lookups += is_same;
	pthread_mutex_unlock(&t->lock);
	return is_same;
}

/*
 * Where nobody but the guest changes names, a name that changed its inode means that overlayfs copied the
 * file up: the number changes with it where the file had several names, or layers are on different file
 * systems and the origin is not known (overlayfs.rst, "inode properties").
 */
int node_check(struct vm_fs *fs, struct node *node, const struct stx *st)
{
	struct table *t = &fs->table;
	uint64_t dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
	uint32_t index = (uint32_t)(node - t->nodes);

	if (st->stx_mnt_id != node->mnt || (st->stx_mode & S_IFMT) != node->type)
		return -ESTALE;
	if (st->stx_ino == node->ino && dev == node->dev)
		return 0;
	if (node->cache != VM_FS_OWNED)
		return -ESTALE;
	pthread_mutex_lock(&t->lock);
	if (!find(t, node->mnt, st, dev)) {
		key_unlink(t, index);
		node->dev = dev;
		node->ino = st->stx_ino;
		key_link(t, index);
	}
	pthread_mutex_unlock(&t->lock);
	return 0;
}

void node_forget(struct vm_fs *fs, uint64_t nodeid, uint64_t count)
{
	struct table *t = &fs->table;

	pthread_mutex_lock(&t->lock);

	struct node *n = node_of_id(t, nodeid);

	/* The root stays, and a guest that gives back more than it got has got nothing any more. */
	if (n && n - t->nodes != FUSE_ROOT_ID) {
		n->lookups -= count < n->lookups ? count : n->lookups;
		n->refs++;
	} else {
		n = NULL;
	}
	pthread_mutex_unlock(&t->lock);
	node_put(fs, n);
}

void table_reset(struct vm_fs *fs)
{
	struct table *t = &fs->table;

	for (uint32_t i = FUSE_ROOT_ID + 1; i <= t->high; i++) {
		struct node *n = &t->nodes[i];

		pthread_mutex_lock(&t->lock);
		if (n->flags & NODE_USED) {
			n->lookups = 0;
			n->refs++;
		} else {
			n = NULL;
		}
		pthread_mutex_unlock(&t->lock);
		node_put(fs, n);
	}
}

static uint16_t dev_index(struct table *t, uint64_t dev)
{
	for (unsigned i = 0; i < t->devs_n; i++)
		if (t->devs[i] == dev)
			return (uint16_t)i;
	if (t->devs_n == DEVS_MAX)
		return DEVS_MAX - 1;
	t->devs[t->devs_n] = dev;
	return (uint16_t)t->devs_n++;
}

static uint8_t cache_of(struct vm_fs *fs, uint64_t mnt)
{
	for (size_t i = 0; i < fs->options.mounts_n; i++)
		if (fs->mounts[i].mnt_id == mnt)
			return (uint8_t)fs->mounts[i].cache;
	return (uint8_t)fs->options.cache_other;
}

/* What a node takes over from its directory, and what a new mount changes. */
static void inherit(struct vm_fs *fs, struct node *n, const struct node *parent, bool is_kernel)
{
	struct table *t = &fs->table;

	if (parent && parent->mnt == n->mnt) {
		n->home = parent->home;
		n->cache = parent->cache;
		n->flags |= parent->flags & NODE_KERNEL;
		return;
	}
	n->cache = parent ? cache_of(fs, n->mnt) : (uint8_t)fs->options.cache;
	n->flags |= is_kernel ? NODE_KERNEL : 0;
	if (!parent) {
		n->home = dev_index(t, n->dev);
	} else if (S_ISDIR(n->type) && fs->has_submounts) {
		n->home = dev_index(t, n->dev);
		n->flags |= NODE_SUBMOUNT;
	} else {
		n->home = parent->home;
	}
}

/*
 * The guest shows one st_dev for everything on a mount; on the host a mount can have several (overlayfs
 * over layers of different file systems, btrfs subvolumes, bind-mounted files). Inode numbers of
 * others than the mount's own device are moved away, or programs that compare (st_dev, st_ino) would
 * take different files for hard links.
 */
static uint64_t guest_ino(const struct table *t, const struct node *n)
{
	if (t->devs[n->home] == n->dev)
		return n->ino;

	uint64_t salt = n->dev * 0x9e3779b97f4a7c15u;

	return n->ino ^ (salt >> 48 | 1) << 47;
}

int node_learn(struct vm_fs *fs, struct node *parent, const char *name, int fd, const struct stx *st,
	       struct node **ret)
{
	struct table *t = &fs->table;
	auto_close int owned = fd;
	uint64_t dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
	bool is_kernel = parent && parent->mnt != st->stx_mnt_id && mount_is_kernels(fd);
	auto_free char *copy = parent && name ? strdup(name) : NULL;

	if (parent && name && !copy)
		return -ENOMEM;

	int r = table_make_room(fs);

	pthread_mutex_lock(&t->lock);

	struct node *n = find(t, st->stx_mnt_id, st, dev);

	if (!n) {
		n = r < 0 ? NULL : take_slot(t);
		if (!n) {
			pthread_mutex_unlock(&t->lock);
			return r < 0 ? r : -ENFILE;
		}
		n->mnt = st->stx_mnt_id;
		n->dev = dev;
		n->ino = st->stx_ino;
		n->type = st->stx_mode & S_IFMT;
		n->fd = TAKE_FD(owned);
		t->fds++;
		inherit(fs, n, parent, is_kernel);
		n->shown_ino = guest_ino(t, n);
		key_link(t, (uint32_t)(n - t->nodes));
		grow(t);
	}
	if (n->fd < 0 && n->refs == 0) {
		n->fd = TAKE_FD(owned);
		t->fds++;
	}
	/* Of several names the first is kept, as long as it lasts. */
	if (copy && !n->name && n != parent)
		name_link(t, (uint32_t)(n - t->nodes), (uint32_t)(parent - t->nodes), TAKE_PTR(copy));
	n->lookups++;
	n->refs++;
	pthread_mutex_unlock(&t->lock);
	*ret = n;
	return 0;
}
