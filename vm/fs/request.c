/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: copied, measured, its names checked, handed to its operation, answered.
 *
 * After copy_request() nothing reads what the guest sent but w->in and w->args, and of those no more than
 * args_len bytes; the table says how much of them an operation can rely on. File data is the exception:
 * it goes between the guest's memory and the file in one system call, and nobody looks at it.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "vm/fs/internal.h"

enum names { NONE, FILE_NAME, FILE_NAMES, FILE_AND_TEXT, TEXT };

struct op {
	op_fn *run;
	uint16_t args;  /* bytes before the names */
	uint16_t reply; /* bytes that the reply has at least: there must be room */
	uint8_t names;
};

static const struct op ops[] = {
	[FUSE_LOOKUP] = { op_lookup, 0, sizeof(struct fuse_entry_out), FILE_NAME },
	[FUSE_GETATTR] = { op_getattr, sizeof(struct fuse_getattr_in), sizeof(struct fuse_attr_out), NONE },
	[FUSE_SETATTR] = { op_setattr, sizeof(struct fuse_setattr_in), sizeof(struct fuse_attr_out), NONE },
	[FUSE_READLINK] = { op_readlink, 0, 1, NONE },
	[FUSE_SYMLINK] = { op_symlink, 0, sizeof(struct fuse_entry_out), FILE_AND_TEXT },
	[FUSE_MKNOD] = { op_mknod, sizeof(struct fuse_mknod_in), sizeof(struct fuse_entry_out), FILE_NAME },
	[FUSE_MKDIR] = { op_mkdir, sizeof(struct fuse_mkdir_in), sizeof(struct fuse_entry_out), FILE_NAME },
	[FUSE_UNLINK] = { op_unlink, 0, 0, FILE_NAME },
	[FUSE_RMDIR] = { op_rmdir, 0, 0, FILE_NAME },
	[FUSE_RENAME] = { op_rename, sizeof(struct fuse_rename_in), 0, FILE_NAMES },
	[FUSE_RENAME2] = { op_rename2, sizeof(struct fuse_rename2_in), 0, FILE_NAMES },
	[FUSE_LINK] = { op_link, sizeof(struct fuse_link_in), sizeof(struct fuse_entry_out), FILE_NAME },
	[FUSE_OPEN] = { op_open, sizeof(struct fuse_open_in), sizeof(struct fuse_open_out), NONE },
	[FUSE_READ] = { op_read, sizeof(struct fuse_read_in), 0, NONE },
	[FUSE_WRITE] = { op_write, sizeof(struct fuse_write_in), sizeof(struct fuse_write_out), NONE },
	[FUSE_STATFS] = { op_statfs, 0, sizeof(struct fuse_statfs_out), NONE },
	[FUSE_RELEASE] = { op_release, sizeof(struct fuse_release_in), 0, NONE },
	[FUSE_FSYNC] = { op_fsync, sizeof(struct fuse_fsync_in), 0, NONE },
	[FUSE_SETXATTR] = { op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, 0, NONE },
	[FUSE_GETXATTR] = { op_getxattr, sizeof(struct fuse_getxattr_in), 0, TEXT },
	[FUSE_LISTXATTR] = { op_listxattr, sizeof(struct fuse_getxattr_in), 0, NONE },
	[FUSE_REMOVEXATTR] = { op_removexattr, 0, 0, TEXT },
	[FUSE_OPENDIR] = { op_opendir, sizeof(struct fuse_open_in), sizeof(struct fuse_open_out), NONE },
	[FUSE_READDIR] = { op_readdir, sizeof(struct fuse_read_in), 0, NONE },
	[FUSE_READDIRPLUS] = { op_readdirplus, sizeof(struct fuse_read_in), 0, NONE },
	[FUSE_RELEASEDIR] = { op_releasedir, sizeof(struct fuse_release_in), 0, NONE },
	[FUSE_FSYNCDIR] = { op_fsyncdir, sizeof(struct fuse_fsync_in), 0, NONE },
	[FUSE_CREATE] = { op_create, sizeof(struct fuse_create_in),
			  sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out), FILE_NAME },
	/* Linux names a file without a name "/". */
	[FUSE_TMPFILE] = { op_tmpfile, sizeof(struct fuse_create_in),
			   sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out), NONE },
	[FUSE_FALLOCATE] = { op_fallocate, sizeof(struct fuse_fallocate_in), 0, NONE },
	[FUSE_LSEEK] = { op_lseek, sizeof(struct fuse_lseek_in), sizeof(struct fuse_lseek_out), NONE },
	[FUSE_COPY_FILE_RANGE] = { op_copy_file_range, sizeof(struct fuse_copy_file_range_in),
				   sizeof(struct fuse_write_out), NONE },
	[FUSE_SYNCFS] = { op_syncfs, 0, 0, NONE },
	[WIRE_STATX] = { op_statx, sizeof(struct wire_statx_in), sizeof(struct wire_statx_out), NONE },
	/*
	 * Without an entry, so that the guest does not ask again (ENOSYS): FLUSH, there is nothing that a close
	 * would have to write; ACCESS, with default_permissions the guest decides; the locks, IOCTL,
	 * BMAP, POLL and mappings, which are not offered.
	 */
};

/* 0, or -E…. Fills w->in, w->args and w->args_len. */
static int copy_request(struct vm_fs_worker *w)
{
	size_t total = iov_total(w->in_iov, w->in_n), want;

	if (iov_copy_in(&w->in, w->in_iov, w->in_n, 0, sizeof(w->in)) < sizeof(w->in))
		return -EBADMSG;
	if (w->in.len < sizeof(w->in) || w->in.len > total)
		return -EINVAL;
	want = w->in.len - sizeof(w->in);
	/* What is written stays where it is. A long list of forgets is cut: see forget_batch(). */
	if (w->in.opcode == FUSE_WRITE && want > sizeof(struct fuse_write_in))
		want = sizeof(struct fuse_write_in);
	else if (w->in.opcode == FUSE_BATCH_FORGET && want > ARGS_MAX)
		want = ARGS_MAX;
	else if (want > sizeof(w->args) - 1)
		return -E2BIG;
	w->args_len = iov_copy_in(w->args, w->in_iov, w->in_n, sizeof(w->in), want);
	return w->args_len == want ? 0 : -EINVAL;
}

/* A NUL-terminated string at *at, which moves behind it. */
static char *take_text(struct vm_fs_worker *w, size_t *at)
{
	char *text = w->args + *at;
	size_t left = w->args_len - *at, len = strnlen(text, left);

	if (len == left)
		return NULL;
	*at += len + 1;
	return text;
}

static int take_names(struct vm_fs_worker *w, const struct op *op, char *name[2])
{
	size_t at = op->args;
	unsigned n = op->names == NONE ? 0 : op->names == FILE_NAMES || op->names == FILE_AND_TEXT ? 2 : 1;

	for (unsigned i = 0; i < n; i++) {
		bool is_file = op->names != TEXT && !(op->names == FILE_AND_TEXT && i == 1);

		name[i] = take_text(w, &at);
		if (!name[i])
			return -EINVAL;
		size_t len = strlen(name[i]);

		if (is_file && len > NAME_LEN)
			return -ENAMETOOLONG;
		if (is_file && !name_is_component(name[i], len))
			return -EINVAL;
		if (!is_file && (len == 0 || len >= PATH_MAX))
			return -EINVAL;
	}
	return 0;
}

/*
 * Some choices: ATOMIC_O_TRUNC only where there is an OPEN to carry it, the guest would leave it out
 * otherwise; AUTO_INVAL_DATA is what keeps a shared file's cached pages true, and would drop those of
 * the guest's own writes needlessly where it alone writes; DONT_MASK because a default ACL replaces the
 * umask, which only the host's directory knows; EXPORT_SUPPORT not, "." and ".." would be asked for;
 * no locks (see vm/fs/fs.h), no DAX, no SECURITY_CTX: labels are the host's.
 */
static uint64_t choose_flags(const struct vm_fs_options *o, uint64_t offered)
{
	uint64_t want = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_PARALLEL_DIROPS | FUSE_ASYNC_DIO |
			FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_CACHE_SYMLINKS | FUSE_DONT_MASK |
			FUSE_POSIX_ACL | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SUBMOUNTS | FUSE_SETXATTR_EXT | FUSE_INIT_EXT;

	want |= o->writeback ? FUSE_WRITEBACK_CACHE : FUSE_AUTO_INVAL_DATA;
	want |= o->no_open ? FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT : FUSE_ATOMIC_O_TRUNC;
	return want & offered;
}

static int init(struct vm_fs_worker *w)
{
	struct fuse_init_in in = { 0 };
	struct fuse_init_out *out = (void *)w->out;
	struct vm_fs *fs = w->fs;

	/* Before 7.36 the request ended with flags. */
	if (w->args_len < offsetof(struct fuse_init_in, flags2) || w->room < sizeof(*out))
		return -EINVAL;
	memcpy(&in, w->args, w->args_len < sizeof(in) ? w->args_len : sizeof(in));
	*out = (struct fuse_init_out){ .major = FUSE_KERNEL_VERSION, .minor = WIRE_MINOR };
	/* A newer major asks again with ours. */
	if (in.major > FUSE_KERNEL_VERSION)
		return sizeof(*out);
	if (in.major < FUSE_KERNEL_VERSION || in.minor < WIRE_MINOR_MIN)
		return -EPROTO;
	vm_fs_reset(fs);

	uint64_t offered = in.flags | (in.flags & FUSE_INIT_EXT ? (uint64_t)in.flags2 << 32 : 0);
	uint64_t flags = choose_flags(&fs->options, offered);

	out->max_readahead = in.max_readahead;
	out->flags = (uint32_t)flags;
	out->flags2 = (uint32_t)(flags >> 32);
	out->max_background = 64;
	out->congestion_threshold = 48;
	out->max_write = VM_FS_MAX_WRITE;
	out->max_pages = VM_FS_MAX_WRITE / 4096;
	out->time_gran = 1;
	fs->has_submounts = flags & FUSE_SUBMOUNTS;
	fs->has_setxattr_ext = flags & FUSE_SETXATTR_EXT;
	fs->has_no_opendir = flags & FUSE_NO_OPENDIR_SUPPORT;
	fs->is_ready = true;
	return sizeof(*out);
}

/* Linux sends at most one page of them; of a longer list the rest is forgotten with the reset. */
static void forget_batch(struct vm_fs_worker *w)
{
	const struct fuse_batch_forget_in *in = (const void *)w->args;
	const struct fuse_forget_one *one = (const void *)(in + 1);

	if (w->args_len < sizeof(*in))
		return;

	size_t n = (w->args_len - sizeof(*in)) / sizeof(*one);

	for (size_t i = 0; i < n && i < in->count; i++)
		node_forget(w->fs, one[i].nodeid, one[i].nlookup);
}

static void forget(struct vm_fs_worker *w)
{
	const struct fuse_forget_in *in = (const void *)w->args;

	if (w->in.opcode == FUSE_BATCH_FORGET)
		forget_batch(w);
	else if (w->args_len >= sizeof(*in))
		node_forget(w->fs, w->in.nodeid, in->nlookup);
}

static int run(struct vm_fs_worker *w)
{
	const struct op *op = w->in.opcode < ARRAY_SIZE(ops) ? &ops[w->in.opcode] : NULL;
	char *name[2] = { NULL, NULL };

	if (w->in.opcode == FUSE_INIT)
		return init(w);
	if (!w->fs->is_ready)
		return -EPERM;
	if (w->in.opcode == FUSE_DESTROY) {
		vm_fs_reset(w->fs);
		return 0;
	}
	if (!op || !op->run)
		return -ENOSYS;
	if (w->args_len < op->args || w->room < op->reply)
		return -EINVAL;

	int r = take_names(w, op, name);

	if (r < 0)
		return r;

	auto_node struct held node = { w->fs, node_get(w->fs, w->in.nodeid) };

	if (!node.node)
		return -ESTALE;
	r = op->run(w, node.node, name);
	return r > 0 && (size_t)r > w->room ? -ERANGE : r;
}

static size_t reply(struct vm_fs_worker *w, int r)
{
	struct fuse_out_header head = { .len = sizeof(head), .unique = w->in.unique };

	if (r < 0) {
		head.error = r;
		w->fs->errors++;
	} else {
		head.len += (uint32_t)r;
		if (!w->is_direct)
			iov_copy_out(w->out_iov, w->out_n, sizeof(head), w->out, (size_t)r);
	}
	iov_copy_out(w->out_iov, w->out_n, 0, &head, sizeof(head));
	return head.len;
}

size_t vm_fs_request(struct vm_fs_worker *worker, const struct iovec *in, size_t in_n,
		     const struct iovec *out, size_t out_n)
{
	struct vm_fs_worker *w = worker;

	w->fs->requests++;
	if (in_n > VM_FS_IOV_MAX || out_n > VM_FS_IOV_MAX)
		return 0;
	w->in_iov = in;
	w->in_n = in_n;
	w->out_iov = out;
	w->out_n = out_n;
	w->is_direct = false;
	w->args_len = 0;

	size_t room = iov_total(out, out_n);
	int r = copy_request(w);

	if (r == -EBADMSG)
		return 0;
	if (w->in.opcode == FUSE_FORGET || w->in.opcode == FUSE_BATCH_FORGET) {
		if (r == 0)
			forget(w);
		return 0;
	}
	if (room < sizeof(struct fuse_out_header))
		return 0;
	w->room = room - sizeof(struct fuse_out_header);
	if (w->room > INT_MAX)
		w->room = INT_MAX;
	if (r == 0)
		r = run(w);
	return reply(w, r);
}
