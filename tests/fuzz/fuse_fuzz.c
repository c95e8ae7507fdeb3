/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's requests made of any bytes: answered or refused within the reply's room; never a crash, a
 * touch of the canary beside the served tree, or more held than the options allow.
 *
 * As root, since it mounts a tmpfs for itself.
 *
 * An input is a row of records: operation, node, file handle, how the memory is cut, two bytes of
 * length, arguments. Node and handle are numbers of those that replies named before, so that most requests
 * reach their operation. Its length says to which of two servers it goes: with opens and handles, or without.
 */
#include <linux/fuse.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/vm/fs/mounted.h"

#define KNOWN 16

static struct fuzz {
	struct mounted m;
	struct vm_fs *servers[2];
	struct vm_fs_worker *workers[2], *w; /* w: at hand, with m.fs */
	int src_fd;
	char canary[96];
	uint64_t nodes[KNOWN], handles[KNOWN];
	unsigned nodes_n, handles_n;
} fuzz;

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	require(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void start(void)
{
	struct vm_fs_options o = { .cache = VM_FS_OWNED, .max_nodes = 64, .max_fds = 16, .max_dirs = 4 };

	require(mounted_prepare(&fuzz.m, NULL) == 0);
	/* Small: a fallocate() or a write far out must not take the machine's memory. */
	require(umount2(fuzz.m.src, 0) == 0 && mount("tmpfs", fuzz.m.src, "tmpfs", MS_NODEV, "size=4m,nr_inodes=500") == 0);
	snprintf(fuzz.canary, sizeof(fuzz.canary), "%s/canary", fuzz.m.base);
	put_file(fuzz.canary, "untouched");
	fuzz.src_fd = o.root_fd = open(fuzz.m.src, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	o.proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 2; i++, o.no_open = true)
		require(vm_fs_new(&o, &fuzz.servers[i], NULL) == 0 &&
			vm_fs_worker_new(fuzz.servers[i], &fuzz.workers[i], NULL) == 0);
	close(o.proc_fd);
}

/* Removes what an input left, or it would change what the next one does. */
static void empty(int dir_fd, unsigned depth)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);

	require(dir != NULL);
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0 || errno != EISDIR)
			continue;
		int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (sub >= 0 && depth < 300)
			empty(sub, depth + 1);
		close(sub);
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static void fill(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/f", fuzz.m.src);
	put_file(path, "some text");
	snprintf(path, sizeof(path), "%s/l", fuzz.m.src);
	require(symlink("../canary", path) == 0);
	snprintf(path, sizeof(path), "%s/p", fuzz.m.src);
	require(mkfifo(path, 0600) == 0);
	snprintf(path, sizeof(path), "%s/d", fuzz.m.src);
	require(mkdir(path, 0755) == 0);
}

/* What replies name becomes known; handles of directories only, files have none. */
static void learn(uint32_t opcode, const char *payload, size_t len)
{
	uint64_t id;

	if (len < sizeof(id))
		return;
	memcpy(&id, payload, sizeof(id));
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_LINK:
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		fuzz.nodes[fuzz.nodes_n++ % KNOWN] = id;
		break;
	case FUSE_OPENDIR:
		fuzz.handles[fuzz.handles_n++ % KNOWN] = id;
	}
}

static void ask(const char *request, size_t len, unsigned cut, size_t room)
{
	static char reply[20000];
	char *in = malloc(len ? len : 1), *out = malloc(room ? room : 1);
	struct iovec in_iov[32], out_iov[32];
	struct fuse_out_header head;

	/* Heap copies of exactly this size, so that a sanitizer sees a touch beyond. */
	memcpy(in, request, len);

	size_t in_n = mounted_cut(in_iov, in, len, cut % 8), out_n = mounted_cut(out_iov, out, room, cut / 8 % 8);
	size_t used = vm_fs_request(fuzz.w, in_iov, in_n, out_iov, out_n);

	require(used <= room && (used == 0 || used >= sizeof(head)));
	if (used > 0) {
		memcpy(&head, out, sizeof(head));
		memcpy(reply, out, used);
		require(head.len == used && head.error <= 0 && head.error > -512);
		if (head.error == 0)
			learn(((const struct fuse_in_header *)(const void *)request)->opcode, reply + sizeof(head),
			      used - sizeof(head));
	}
	free(in);
	free(out);
}

static size_t one_record(const uint8_t *data, size_t size)
{
	_Alignas(8) char request[sizeof(struct fuse_in_header) + 1024];
	struct fuse_in_header head = { .opcode = data[0], .unique = 1, .uid = data[3] & 1 ? 1000 : 0 };
	size_t len = (size_t)data[4] | (size_t)(data[5] & 3) << 8;

	if (len > size - 6)
		len = size - 6;
	head.nodeid = data[1] < KNOWN ? fuzz.nodes[data[1]] : data[1];
	head.len = (uint32_t)(sizeof(head) + len + (data[5] & 0x80 ? data[2] : 0));
	memcpy(request, &head, sizeof(head));
	memcpy(request + sizeof(head), data + 6, len);
	/* The handle is the first member of the arguments of whatever has one. */
	if (data[2] < KNOWN && len >= 8 && data[0] != FUSE_LOOKUP)
		memcpy(request + sizeof(head), &fuzz.handles[data[2]], 8);
	ask(request, sizeof(head) + len, data[3], data[5] & 0x40 ? data[3] : 16 + 4096);
	return 6 + len;
}

static void check_bounds(void)
{
	char text[16] = "";
	struct stat st;
	struct vm_fs_stats stats;
	int fd = open(fuzz.canary, O_RDONLY | O_CLOEXEC);

	require(fd >= 0 && read(fd, text, sizeof(text)) == 9 && memcmp(text, "untouched", 9) == 0);
	require(fstat(fd, &st) == 0 && st.st_nlink == 1 && st.st_uid == 0 && (st.st_mode & 07777) == 0644);
	close(fd);
	vm_fs_stats_get(fuzz.m.fs, &stats);
	require(stats.nodes <= 64 && stats.node_fds <= 16 && stats.dirs <= 4);
	vm_fs_reset(fuzz.m.fs);
	vm_fs_stats_get(fuzz.m.fs, &stats);
	require(stats.nodes == 1 && stats.node_fds == 1 && stats.io_fds == 0 && stats.dirs == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct {
		struct fuse_in_header head;
		struct fuse_init_in in;
	} init = { { .len = sizeof(init), .opcode = FUSE_INIT }, { .major = 7, .minor = 38, .flags = 0xbfffffff } };

	if (!fuzz.w)
		start();
	fuzz.m.fs = fuzz.servers[size % 2];
	fuzz.w = fuzz.workers[size % 2];
	fill();
	fuzz.nodes_n = fuzz.handles_n = 0;
	for (unsigned i = 0; i < KNOWN; i++)
		fuzz.nodes[i] = FUSE_ROOT_ID;
	ask((const void *)&init, sizeof(init), 0, 200);
	while (size >= 6) {
		size_t used = one_record(data, size);

		data += used;
		size -= used;
	}
	check_bounds();
	empty(fuzz.src_fd, 0);
	return 0;
}
