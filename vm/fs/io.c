/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors for data. A regular file has at most one, shared by every open of it in the guest:
 * reads and writes carry their offset, appending is a flag of each write, and who may write was decided
 * in the guest. So there is nothing to keep per open file, a guest that opens one file a million times
 * costs one descriptor, and any descriptor that is not in use can be closed and opened again.
 *
 * Opened for reading first: opening for writing would make overlayfs copy the file up.
 */
#include <errno.h>
#include <fcntl.h>

#include "vm/fs/internal.h"

static pthread_mutex_t *stripe(struct vm_fs *fs, const struct node *n)
{
	return &fs->stripes[(n - fs->table.nodes) % STRIPES];
}

/* The decimal number under which proc_fd, /proc/self/fd, has a descriptor. */
void proc_name(int fd, char name[12])
{
	char digits[12];
	unsigned n = 0;

	do {
		digits[n++] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd > 0);
	while (n > 0)
		*name++ = digits[--n];
	*name = '\0';
}

int proc_open(int proc_fd, int fd, int flags)
{
	char name[12];

	if (fd < 0)
		return fd;
	proc_name(fd, name);

	int r = openat(proc_fd, name, flags | O_CLOEXEC);

	return r < 0 ? -errno : r;
}

static int open_for_real(struct vm_fs *fs, struct node *n, enum io_mode mode)
{
	int fd = proc_open(fs->proc_fd, n->fd, (mode == IO_WRITE ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY);

	return fd == -EEXIST && mode == IO_WRITE ? orphan_open(fs, n) : fd;
}

/* Closes the data descriptor of a node nobody reads or writes at the moment. */
static bool evict(struct vm_fs *fs, uint32_t slot)
{
	struct table *t = &fs->table;
	struct node *n = &t->nodes[t->io_ring[slot]];

	/* Locks are taken the other way round elsewhere: so only tried, and a busy one passed by. */
	if (pthread_mutex_trylock(stripe(fs, n)) != 0)
		return false;

	bool is_idle = n->io_users == 0;

	if (is_idle)
		close(io_detach(t, n));
	pthread_mutex_unlock(stripe(fs, n));
	return is_idle;
}

/* Puts fd into the ring of open ones, in a place that is empty or made so. */
static int enter_ring(struct vm_fs *fs, struct node *n, int fd)
{
	struct table *t = &fs->table;
	bool is_full;
	int r = -ENFILE;

	pthread_mutex_lock(&t->lock);
	is_full = t->io_count >= t->io_max;
	for (uint32_t i = 0; i < t->io_max; i++) {
		uint32_t slot = t->io_hand = (t->io_hand + 1) % t->io_max;

		if (t->io_ring[slot] != 0 && !(is_full && evict(fs, slot)))
			continue;
		t->io_ring[slot] = (uint32_t)(n - t->nodes);
		t->io_count++;
		n->io_slot = slot;
		n->io_fd = fd;
		r = 0;
		break;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* With table.lock held. */
int io_detach(struct table *t, struct node *n)
{
	int fd = n->io_fd;

	if (fd >= 0) {
		t->io_ring[n->io_slot] = 0;
		t->io_count--;
		n->io_fd = -1;
		n->io_writable = n->io_doomed = false;
	}
	return fd;
}

static int open_first(struct vm_fs *fs, struct node *n, enum io_mode mode)
{
	auto_close int fd = open_for_real(fs, n, mode);

	if (fd < 0)
		return fd;

	int r = enter_ring(fs, n, fd);

	if (r < 0)
		return r;
	n->io_writable = mode == IO_WRITE;
	TAKE_FD(fd);
	return 0;
}

/* Others may be reading through the number right now: it must stay what it is, so the file below it changes. */
static int open_again(struct vm_fs *fs, struct node *n)
{
	auto_close int fd = open_for_real(fs, n, IO_WRITE);

	if (fd < 0)
		return fd;
	if (dup3(fd, n->io_fd, O_CLOEXEC) < 0)
		return -errno;
	n->io_writable = true;
	return 0;
}

/* A descriptor of the file's data, good until io_put(). Only regular files have one. */
int io_get(struct vm_fs *fs, struct node *node, enum io_mode mode)
{
	int r = 0;

	if (!S_ISREG(node->type))
		return S_ISDIR(node->type) ? -EISDIR : -EINVAL;
	if (node->flags & NODE_KERNEL)
		return -EACCES;
	r = node_fd(fs, node);
	if (r < 0)
		return r;

	pthread_mutex_lock(stripe(fs, node));
	if (node->io_fd < 0)
		r = open_first(fs, node, mode);
	else if (mode == IO_WRITE && !node->io_writable)
		r = open_again(fs, node);
	if (r >= 0) {
		node->io_users++;
		r = node->io_fd;
	}
	pthread_mutex_unlock(stripe(fs, node));
	return r;
}

static void close_if_idle(struct vm_fs *fs, struct node *node)
{
	bool is_wanted = fs->options.no_open || node->opens > 0;
	int fd;

	if (node->io_users > 0 || (is_wanted && !node->io_doomed))
		return;
	pthread_mutex_lock(&fs->table.lock);
	fd = io_detach(&fs->table, node);
	pthread_mutex_unlock(&fs->table.lock);
	if (fd >= 0)
		close(fd);
}

void io_put(struct vm_fs *fs, struct node *node)
{
	pthread_mutex_lock(stripe(fs, node));
	node->io_users--;
	close_if_idle(fs, node);
	pthread_mutex_unlock(stripe(fs, node));
}

/* A descriptor that creating the file gave, for reading and writing: saves opening it. Taken over. */
void io_adopt(struct vm_fs *fs, struct node *node, int fd)
{
	auto_close int owned = fd;

	pthread_mutex_lock(stripe(fs, node));
	if (node->io_fd < 0 && enter_ring(fs, node, owned) == 0) {
		node->io_writable = true;
		TAKE_FD(owned);
	}
	pthread_mutex_unlock(stripe(fs, node));
}

void io_opened(struct vm_fs *fs, struct node *node)
{
	pthread_mutex_lock(stripe(fs, node));
	node->opens++;
	node->io_doomed = false;
	pthread_mutex_unlock(stripe(fs, node));
}

/* After the last close the host's file is let go: it may be a program that the host wants to run. */
void io_released(struct vm_fs *fs, struct node *node)
{
	pthread_mutex_lock(stripe(fs, node));
	if (node->opens > 0 && --node->opens == 0) {
		node->io_doomed = true;
		close_if_idle(fs, node);
	}
	pthread_mutex_unlock(stripe(fs, node));
}
