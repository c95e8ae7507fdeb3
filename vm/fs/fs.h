/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm/fs - a FUSE server over a directory, as a library
 *
 * The guest's kernel mounts the container's root through virtio-fs; this is the
 * other end of that wire. It owns the FUSE protocol (linux/fuse.h, 7.31 and
 * newer; the device is in virtio 1.2, 5.11): node ids, names, replies. It does
 * not own queues, guest memory or threads: whoever does hands one request at a
 * time over, as iovecs, and puts the reply on its way.
 *
 *	struct vm_fs_options o = { .root_fd = root, .proc_fd = proc_self_fd, … };
 *	vm_fs_new(&o, &fs, err);
 *	…in each thread that serves, before it drops its right to call unshare(2):
 *	vm_fs_worker_new(fs, &worker, err);
 *	for (;;)
 *		used = vm_fs_request(worker, readable, n, writable, m);
 *
 * Who is trusted with what. Every byte of a request is an enemy's, and may
 * change while it is read: a request is copied once, and only the copy is
 * looked at; file data alone goes straight between file and guest memory. What
 * the server can reach is bounded by where its process lives (pivoted root,
 * capabilities, mount flags), not by this code; inside that, this code sees to
 * it that
 *  - a name is one component: no '/', no NUL, not "." or "..", at most 255 bytes;
 *  - no symbolic link is ever followed;
 *  - nothing but regular files and directories is ever opened, and nothing at all on
 *    kernel file systems (proc, sysfs, cgroup, devpts …: the VMM's own memory is a
 *    file in there). Such a mount shows up as a place to mount on, and is empty;
 *  - device nodes are not made (EPERM), whiteouts neither;
 *  - of extended attributes there are user.*, security.capability and the
 *    POSIX ACLs; trusted.* and those of overlayfs do not exist;
 *  - memory and descriptors have the bounds of the options, whatever the guest does.
 * Inside the guest there is no boundary: its kernel checks permissions
 * (default_permissions, which virtiofs always sets), and may act as any user.
 *
 * Read-only is what the host's mounts say (EROFS); the guest's flags are its own.
 *
 * Locks (fcntl, flock) are not offered, so the guest keeps them itself: right where
 * the guest is the only one who uses the files, and on shared volumes they do
 * not exclude other containers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "spec/base/error.h"

struct vm_fs;
struct vm_fs_worker;

/* How long the guest may believe what it knows about names and attributes. */
enum vm_fs_cache {
	VM_FS_SHARED, /* a second: others change these files */
	VM_FS_OWNED,  /* for ever: nobody but this guest changes these files while it runs */
	VM_FS_UNCACHED,
};

struct vm_fs_mount {
	uint64_t mnt_id; /* of a mount in the tree: vm_fs_mount_id() */
	enum vm_fs_cache cache;
};

struct vm_fs_options {
	/*
	 * The directory the guest sees as the root of the file system, and
	 * /proc/self/fd of the process that serves, opened from a procfs of its own:
	 * O_PATH descriptors are opened for real through it. open_by_handle_at(2)
	 * would do without, but asks for a capability in the initial user namespace
	 * and for a file system that has handles, which overlayfs by default has not.
	 * Both are duplicated.
	 */
	int root_fd;
	int proc_fd;

	enum vm_fs_cache cache;       /* of the root's own mount */
	enum vm_fs_cache cache_other; /* of mounts below it that `mounts` does not name */
	const struct vm_fs_mount *mounts;
	size_t mounts_n;

	/*
	 * The guest collects writes and owns size and mtime of regular files. A
	 * matter of the whole connection (FUSE_WRITEBACK_CACHE), and wrong wherever
	 * someone else appends to a file: the guest would never see the new size. So
	 * only where every mount that the guest uses through this server is VM_FS_OWNED.
	 * Volumes can go through a second server over the same root_fd (cache =
	 * cache_other = VM_FS_SHARED, no writeback), from which the agent binds the
	 * volumes' paths over those of the first.
	 */
	bool writeback;

	/*
	 * Do without OPEN, FLUSH and RELEASE, three round trips less per file, and without OPENDIR and RELEASEDIR.
	 * Errors of opening (EROFS above all) then come with the first write instead, so what is
	 * read-only on the host should be mounted so in the guest as well. The guest keeps what it read
	 * of directories, as of files: so on what others change, too, it must be told to look again (no writeback).
	 */
	bool no_open;

	/*
	 * Most nodes the guest may hold (0: 262,144; about 200 bytes each), most of them
	 * that are held open (0: 8,192 or half of RLIMIT_NOFILE, which vm_fs_new() raises to
	 * the hard limit; each keeps an inode of the host in memory, some 2 KiB that are charged
	 * to the VMM's cgroup), and directories open at once (0: 1,024). Beyond max_fds, those
	 * are closed that can be found again by name; beyond the others the guest gets ENFILE.
	 */
	uint32_t max_nodes;
	uint32_t max_fds;
	uint32_t max_dirs;
};

/* The mount that a descriptor is on (STATX_MNT_ID). */
int vm_fs_mount_id(int fd, uint64_t *ret_mnt_id, struct error *err);

/*
 * Makes a server. It holds no thread and makes no file system call on its own.
 * vm_fs_free(NULL) is fine; all its workers must be gone by then.
 */
int vm_fs_new(const struct vm_fs_options *options, struct vm_fs **ret_fs, struct error *err);
void vm_fs_free(struct vm_fs *fs);

/*
 * Forgets all that the guest held: for a reset of the device. Requests that run
 * at the same time finish first with what they have; FUSE_INIT and FUSE_DESTROY do
 * the same by themselves.
 */
void vm_fs_reset(struct vm_fs *fs);

/*
 * What a serving thread needs of its own: its buffer (130 KiB) and its own umask and
 * working directory (unshare(CLONE_FS); the directory is proc_fd, since the system calls
 * for extended attributes take no descriptor before Linux 6.13). Call it in the thread
 * that will serve. A worker serves one request at a time; any number of workers
 * may serve one vm_fs.
 *
 * To create files as the guest's users, the thread has CAP_SETUID and CAP_SETGID, and
 * keeps CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SETFCAP, all in its
 * user namespace; it should have no supplementary groups, and the process ignores SIGXFSZ (a limit
 * of file size then is an EFBIG for the guest). It calls, besides futex and
 * memory management:
 *   openat statx fstat close dup3 preadv pwritev2 getdents64 lseek ftruncate fallocate
 *   copy_file_range fsync fdatasync syncfs fstatfs readlinkat mkdirat mknodat symlinkat
 *   linkat unlinkat renameat2 fchownat fchmodat utimensat getxattr setxattr listxattr
 *   removexattr setresuid setresgid capset umask
 */
int vm_fs_worker_new(struct vm_fs *fs, struct vm_fs_worker **ret_worker, struct error *err);
void vm_fs_worker_free(struct vm_fs_worker *worker);

/* More pieces than this on either side of a request are refused (256 pages and the headers). */
#define VM_FS_IOV_MAX 1024

/* The largest read or write (FUSE_INIT's max_write): 256 pages. */
#define VM_FS_MAX_WRITE (1u << 20)

/*
 * Serves one request. in: what the guest wrote (virtio: the device-readable descriptors
 * of the chain), starting with struct fuse_in_header; out: where the reply goes (the
 * device-writable ones), starting with struct fuse_out_header. The server has checked
 * nothing but that the pieces are memory that stays mapped during the call; pieces may
 * be of any length, zero too, and may overlap.
 *
 * Returns the number of bytes written to out, from its start: the used length of
 * the chain. 0: no reply (FORGET, BATCH_FORGET, or a request too broken to answer).
 * Never fails otherwise: what goes wrong is told to the guest in the reply.
 *
 * Requests of all queues go through here. Order between requests is the guest's matter.
 * A call lasts as long as its system call on the host's file: an fsync may take seconds.
 *
 * For the device: the guest's kernel limits max_pages to the size of the queue less 4,
 * so a queue of 256 allows reads of 252 pages; indirect descriptors save ring slots.
 * The high-priority queue carries FORGETs (and INTERRUPT, which Linux's virtiofs never sends).
 */
size_t vm_fs_request(struct vm_fs_worker *worker, const struct iovec *in, size_t in_n,
		     const struct iovec *out, size_t out_n);

struct vm_fs_stats {
	uint64_t requests, errors; /* served; answered with an error (a name not found counts) */
	uint64_t read_bytes, written_bytes;
	uint32_t nodes, node_fds, io_fds, dirs; /* held right now */
};

/*
 * The guest has nothing more to do but to write back what it holds: from now on its syncfs waits for the host's
 * page cache and not for the host's disk, as the end of a process does not, either. Any thread.
 */
void vm_fs_ending(struct vm_fs *fs);

void vm_fs_stats_get(struct vm_fs *fs, struct vm_fs_stats *ret_stats);
