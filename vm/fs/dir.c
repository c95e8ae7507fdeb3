/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open directories and what is in them.
 *
 * Who reads a directory has a stream of its own, because its position and the entries read ahead
 * belong together: seeking in a directory that changes meanwhile skips entries on tmpfs before
 * Linux 6.6 and on an overlay, and rereads a block on ext4. Streams are slots of a reservation, so opening
 * one allocates nothing; the buffers that were never used were never memory.
 *
 * A stream is what OPENDIR returns a handle of. A guest that does without (`no_open`) only says where it wants to
 * go on: so its stream is the one of that directory that stands there. It ends when its end was told, or
 * as the longest unused of too many.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "vm/fs/internal.h"

/* What getdents64(2) writes; the libcs do not agree on a name. */
struct entry {
	uint64_t ino;
	int64_t next;
	uint16_t len;
	uint8_t type;
	char name[];
};

int dirs_init(struct dirs *d, uint32_t max, struct error *err)
{
	d->max = max;
	pthread_mutex_init(&d->lock, NULL);
	d->slots = mmap(NULL, (max + 1) * sizeof(*d->slots), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->slots == MAP_FAILED) {
		d->slots = NULL;
		return error_set(err, errno, "reserve memory for %u open directories", max);
	}
	return 0;
}

void dirs_free(struct dirs *d)
{
	if (!d->slots)
		return;
	dirs_reset(d);
	munmap(d->slots, (d->max + 1) * sizeof(*d->slots));
	pthread_mutex_destroy(&d->lock);
}

/* NULL when there are none left. */
static struct dir *take_slot(struct dirs *d)
{
	uint32_t index;

	pthread_mutex_lock(&d->lock);
	index = d->free_list;
	if (index) {
		d->free_list = d->slots[index].next_free;
	} else if (d->high < d->max) {
		index = d->high + 1;
		pthread_mutex_init(&d->slots[index].lock, NULL);
		d->slots[index].fd = -1;
		d->high = index;
	}
	d->used += index != 0;
	pthread_mutex_unlock(&d->lock);
	return index ? &d->slots[index] : NULL;
}

static void free_slot(struct dirs *d, struct dir *slot)
{
	pthread_mutex_lock(&d->lock);
	slot->next_free = d->free_list;
	d->free_list = (uint32_t)(slot - d->slots);
	d->used--;
	pthread_mutex_unlock(&d->lock);
}

/* The open directory of a handle, locked; NULL when it is none. */
static struct dir *lock_dir(struct vm_fs *fs, uint64_t fh, const struct node *node)
{
	struct dirs *d = &fs->dirs;
	uint32_t index = (uint32_t)fh, high;

	pthread_mutex_lock(&d->lock);
	high = d->high;
	pthread_mutex_unlock(&d->lock);
	if (index == 0 || index > high)
		return NULL;

	struct dir *dir = &d->slots[index];

	pthread_mutex_lock(&dir->lock);
	if (dir->fd >= 0 && dir->generation == fh >> 32 && dir->node == node_id(fs, node))
		return dir;
	pthread_mutex_unlock(&dir->lock);
	return NULL;
}

/* Closes a locked directory and unlocks it. */
static void close_dir(struct dirs *d, struct dir *dir)
{
	int fd = dir->fd;

	dir->fd = -1;
	dir->generation++;
	pthread_mutex_unlock(&dir->lock);
	close(fd);
	free_slot(d, dir);
}

void dirs_reset(struct dirs *d)
{
	uint32_t high;

	pthread_mutex_lock(&d->lock);
	high = d->high;
	pthread_mutex_unlock(&d->lock);
	for (uint32_t i = 1; i <= high; i++) {
		pthread_mutex_lock(&d->slots[i].lock);
		if (d->slots[i].fd >= 0)
			close_dir(d, &d->slots[i]);
		else
			pthread_mutex_unlock(&d->slots[i].lock);
	}
}

/* Opens a directory as a stream, locked, in a slot. */
static int open_stream(struct vm_fs *fs, const struct node *node, int path_fd, struct dir *dir)
{
	int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	pthread_mutex_lock(&dir->lock);
	dir->node = node_id(fs, node);
	dir->at = dir->end = 0;
	dir->pos = 0;
	dir->is_at_end = false;
	dir->fd = fd;
	return 0;
}

int op_opendir(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	struct fuse_open_out *out = (void *)w->out;

	if (w->fs->has_no_opendir)
		return -ENOSYS;

	int path_fd = node_dir_fd(w->fs, node);

	/* An empty directory is what the guest shall see there: see vm/fs/fs.h. */
	if (path_fd == -EACCES) {
		*out = (struct fuse_open_out){ 0 };
		return sizeof(*out);
	}
	if (path_fd < 0)
		return path_fd;

	struct dir *dir = take_slot(&w->fs->dirs);

	if (!dir)
		return -ENFILE;

	int r = open_stream(w->fs, node, path_fd, dir);

	if (r < 0) {
		free_slot(&w->fs->dirs, dir);
		return r;
	}
	*out = (struct fuse_open_out){
		.fh = (uint64_t)dir->generation << 32 | (uint64_t)(dir - w->fs->dirs.slots),
		/* The guest drops a directory's pages itself when it changes it. */
		.open_flags = node->cache == VM_FS_OWNED ? FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE : 0,
	};
	pthread_mutex_unlock(&dir->lock);
	return sizeof(*out);
}

/* Is dir the stream that is looked for, rather than what was found already? With id 0: the one unused for longest. */
static bool suits(const struct dir *dir, uint64_t id, uint64_t offset, const struct dir *found)
{
	if (dir->fd < 0)
		return false;
	return id ? dir->node == id && (uint64_t)dir->pos == offset : !found || dir->last_use < found->last_use;
}

/* Returns it locked, or NULL. One that is busy is somebody else's: a stream's lock comes before that of all. */
static struct dir *find_stream(struct dirs *d, uint64_t id, uint64_t offset)
{
	struct dir *found = NULL;

	for (uint32_t i = 1; i <= d->high; i++) {
		struct dir *dir = &d->slots[i];

		if (pthread_mutex_trylock(&dir->lock) != 0)
			continue;

		struct dir *other = dir;

		if (suits(dir, id, offset, found)) {
			other = found;
			found = dir;
		}
		if (other)
			pthread_mutex_unlock(&other->lock);
	}
	return found;
}

/* The stream that stands at offset, locked; or NULL, and there is a slot for a new one. */
static struct dir *resume_stream(struct dirs *d, uint64_t id, uint64_t offset)
{
	uint32_t most = d->max < STREAMS_MAX ? d->max : STREAMS_MAX;
	struct dir *dir = NULL, *oldest = NULL;

	pthread_mutex_lock(&d->lock);
	if (offset > 0)
		dir = find_stream(d, id, offset);
	if (!dir && d->used >= most)
		oldest = find_stream(d, 0, 0);
	pthread_mutex_unlock(&d->lock);
	if (oldest)
		close_dir(d, oldest);
	return dir;
}

static int get_stream(struct vm_fs *fs, const struct node *node, int path_fd, uint64_t offset, struct dir **ret)
{
	struct dirs *d = &fs->dirs;
	struct dir *dir = resume_stream(d, node_id(fs, node), offset);

	if (!dir) {
		dir = take_slot(d);
		if (!dir)
			return -ENFILE;

		int r = open_stream(fs, node, path_fd, dir);

		if (r < 0) {
			free_slot(d, dir);
			return r;
		}
	}
	dir->last_use = ++d->clock;
	*ret = dir;
	return 0;
}

int op_releasedir(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	const struct fuse_release_in *in = (const void *)w->args;
	struct dir *dir = lock_dir(w->fs, in->fh, node);

	if (dir)
		close_dir(&w->fs->dirs, dir);
	return 0;
}

int op_fsyncdir(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	int path_fd = node_dir_fd(w->fs, node);

	if (path_fd < 0)
		return path_fd;

	auto_close int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Where the next request goes on, and entries there: 1, 0 at the end, or -E…. */
static int fill(struct dir *dir, uint64_t offset)
{
	if (offset > INT64_MAX)
		return -EINVAL;
	if ((int64_t)offset != dir->pos) {
		if (lseek(dir->fd, (off_t)offset, SEEK_SET) < 0)
			return -errno;
		dir->pos = (int64_t)offset;
		dir->at = dir->end = 0;
		dir->is_at_end = false;
	}
	if (dir->at < dir->end)
		return 1;
	/* The guest takes an empty reply for the end alone, and so asks once more than there is to know. */
	if (dir->is_at_end)
		return 0;

	long n = syscall(SYS_getdents64, dir->fd, dir->buf, sizeof(dir->buf));

	if (n < 0)
		return -errno;
	dir->at = 0;
	dir->end = (uint32_t)n;
	dir->is_at_end = n == 0;
	return n > 0;
}

static void put_dirent(struct fuse_dirent *to, const struct entry *e, uint64_t ino, size_t len)
{
	to->ino = ino;
	to->off = (uint64_t)e->next;
	to->namelen = (uint32_t)len;
	to->type = e->type;
	memcpy(to->name, e->name, len);
	memset(to->name + len, 0, FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len) - (FUSE_NAME_OFFSET + len));
}

/* Without a node where there is none to be had ("." and "..", or no room): the guest looks it up later. */
static uint64_t put_entry(struct vm_fs_worker *w, struct node *node, const struct entry *e,
			  struct fuse_entry_out *to)
{
	bool is_dots = !name_is_component(e->name, strlen(e->name));

	if (!is_dots && lookup(w->fs, node, e->name, to, NULL) == 0)
		return to->attr.ino;
	*to = (struct fuse_entry_out){ .attr = { .ino = e->ino, .mode = (uint32_t)e->type << 12 } };
	return e->ino;
}

/* Moves entries to the reply until one does not fit. */
static size_t take_entries(struct vm_fs_worker *w, struct node *node, struct dir *dir, size_t used, size_t size,
			   size_t head)
{
	while (dir->at < dir->end) {
		const struct entry *e = (const void *)(dir->buf + dir->at);
		size_t len = strlen(e->name);
		size_t need = FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + len);
		uint64_t ino = e->ino;

		if (need > size - used)
			break;
		if (head)
			ino = put_entry(w, node, e, (void *)(w->out + used));
		put_dirent((void *)(w->out + used + head), e, ino, len);
		used += need;
		dir->at += e->len;
		dir->pos = e->next;
	}
	return used;
}

/* Fills the reply from offset on. Returns its length, or -E…. */
static int take_stream(struct vm_fs_worker *w, struct node *node, struct dir *dir, uint64_t offset, size_t size,
		       size_t head)
{
	size_t used = 0;
	int r;

	while ((r = fill(dir, offset)) > 0) {
		size_t before = used;

		used = take_entries(w, node, dir, used, size, head);
		if (dir->at < dir->end) {
			/* A buffer that takes no entry at all would look like the end. */
			if (used == 0 && before == 0)
				r = -EINVAL;
			break;
		}
		offset = (uint64_t)dir->pos;
	}
	return r < 0 && used == 0 ? r : (int)used;
}

/* head: what is in front of each entry, nothing or a struct fuse_entry_out. */
static int read_dir(struct vm_fs_worker *w, struct node *node, size_t head)
{
	const struct fuse_read_in *in = (const void *)w->args;
	struct vm_fs *fs = w->fs;
	size_t size = in->size < w->room ? in->size : w->room;
	int path_fd = node_dir_fd(fs, node), r = 0;
	struct dir *dir = NULL;

	if (path_fd < 0)
		return path_fd == -EACCES ? 0 : path_fd;
	if (fs->has_no_opendir)
		r = get_stream(fs, node, path_fd, in->offset, &dir);
	else
		dir = lock_dir(fs, in->fh, node);
	if (!dir)
		return r < 0 ? r : -EBADF;
	r = take_stream(w, node, dir, in->offset, size < OUT_MAX ? size : OUT_MAX, head);
	if (fs->has_no_opendir && r <= 0)
		close_dir(&fs->dirs, dir);
	else
		pthread_mutex_unlock(&dir->lock);
	return r;
}

int op_readdir(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	return read_dir(w, node, 0);
}

int op_readdirplus(struct vm_fs_worker *w, struct node *node, char *const name[2])
{
	(void)name;
	return read_dir(w, node, sizeof(struct fuse_entry_out));
}
