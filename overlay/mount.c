/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount - directories as one tree, by the new mount API
 *
 * Every directory goes to the kernel as a descriptor: no path with a comma or colon in it is ever parsed, and
 * no bound on the length of an option (a page) limits the number of layers. The result is attached nowhere.
 */
#include "overlay/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "overlay/record.h"
#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/mountapi.h"

#define WHAT_BYTES 160
#define EMPTY_DIR  "empty" /* in the store; made when it is needed */
#define TREE_BYTES (OVL_HEX_BYTES + sizeof(LAYER_TREE)) /* 64 digits, a slash, and the name with its NUL */
#define FEW_LOWERS 128 /* nearly always, and then no heap is needed */
#define MANY_LAYERS 4 /* so many and the calls to change directories are fewer than those they save */

/* The kernel's own last words about a refused option or mount, when it left some ("e " and a sentence). */
static void add_reason(int fs_fd, struct error *err)
{
	char text[256];
	ssize_t n;
	bool has = false;

	while ((n = read(fs_fd, text, sizeof(text) - 1)) > 2) {
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		has = true;
	}
	if (has)
		error_hint(err, "the kernel says: %s", text + 2);
}

/* An overlay on its way. */
struct tower {
	int fs_fd;
	bool by_path; /* this kernel takes no descriptors (before 6.13), but paths of them */
};

static int refuse(const struct tower *t, const char *key, const char *what, struct error *err)
{
	int r = error_set(err, errno, "add %s to an overlay as %s", what, key);

	add_reason(t->fs_fd, err);
	return r;
}

/* Without a message: who calls knows which directory it is. */
static int add_fd(struct tower *t, const char *key, int dir_fd)
{
	char path[64];

	if (!t->by_path && fsconfig(t->fs_fd, FSCONFIG_SET_FD, key, NULL, dir_fd) == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
	if (fsconfig(t->fs_fd, FSCONFIG_SET_STRING, key, path, 0) < 0)
		return -1;
	t->by_path = true;
	return 0;
}

static int add_dir(struct tower *t, const char *key, int dir_fd, const char *what, struct error *err)
{
	return add_fd(t, key, dir_fd) < 0 ? refuse(t, key, what, err) : 0;
}

/* Everything that a making of the overlay needs, in this process or in a child. */
struct making {
	const struct ovl_parts *p;
	const struct ovl_reach *reach; /* NULL: no id map */
	int layers_fd;
	int bottom_fd; /* an overlay below the others; -1: none */
	bool is_single; /* one layer, over a directory that is empty */
};

/* Of a layer, below layers/. */
static const char *tree_path(const struct ovl_lower *lower, char buf[static TREE_BYTES])
{
	memcpy(buf, lower->hex, OVL_HEX_BYTES - 1);
	memcpy(buf + OVL_HEX_BYTES - 1, "/" LAYER_TREE, sizeof("/" LAYER_TREE));
	return buf;
}

static int open_lower(const struct making *m, size_t i, struct error *err)
{
	const struct ovl_lower *lower = &m->p->lowers[i];
	char path[TREE_BYTES], what[WHAT_BYTES];
	/* One that is not read any more: much cheaper to open. */
	const int flags = (lower->layer && lower->layer->is_known ? O_PATH : O_RDONLY) | O_DIRECTORY | O_CLOEXEC;
	int fd;

	if (lower->hex) {
		fd = openat(m->layers_fd, tree_path(lower, path), flags | O_NOFOLLOW);
	} else if (m->reach) {
		fd = openat(m->reach->dir_fds[i], ".", flags);
	} else {
		fd = open(lower->dir, flags); /* path-ok: the administrator named it */
	}
	return fd < 0 ? error_set(err, errno, "open %s", lower_name(lower, what, sizeof(what))) : fd;
}

/*
 * A whiteout of everything below, at the root of a layer. overlayfs merges the roots of all its layers without
 * asking for it: it is for us to leave out what is below.
 */
bool tree_hides_below(int tree_fd)
{
	char value;

	return fgetxattr(tree_fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

static bool hides_all(const struct ovl_lower *lower, int fd)
{
	return lower->layer && lower->layer->is_known ? lower->layer->hides_below : tree_hides_below(fd);
}

static int refuse_lower(const struct making *m, const struct tower *t, size_t i, struct error *err)
{
	char what[WHAT_BYTES];
	int code = errno;

	lower_name(&m->p->lowers[i], what, sizeof(what));
	errno = code;
	return refuse(t, "lowerdir+", what, err);
}

/* From the topmost of the first n, and what is below all of them. */
static int add_by_fd(const struct making *m, struct tower *t, size_t n, struct error *err)
{
	for (size_t i = n; i-- > 0;) {
		auto_close int fd = open_lower(m, i, err);

		if (fd < 0)
			return fd;
		if (add_fd(t, "lowerdir+", fd) < 0)
			return refuse_lower(m, t, i, err);
		if (!m->is_single && hides_all(&m->p->lowers[i], fd))
			return 0;
	}
	return m->bottom_fd < 0 ? 0 : add_dir(t, "lowerdir+", m->bottom_fd, "the lowest layers", err);
}

/*
 * Many layers: with layers/ as the working directory each is one call instead of three. Such a name is hex digits
 * and "/tree", with nothing in it that overlayfs would take for a separator, and nobody but us writes to layers/.
 * Returns how many of the lowest are left for add_by_fd(): all, where this is not to be had; NONE_LEFT: nothing below
 * is to be seen.
 */
enum { LOST = OVL_MAX_LOWERS + 1, NONE_LEFT };

static size_t add_by_name(const struct making *m, const struct tower *t)
{
	size_t left = m->p->n;
	auto_close int back = left < MANY_LAYERS || m->reach ? -1 : openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (back < 0 || fchdir(m->layers_fd) < 0)
		return left;
	while (left > 0) {
		const struct ovl_lower *lower = &m->p->lowers[left - 1];
		char path[TREE_BYTES];

		if (!lower->hex || !lower->layer || !lower->layer->is_known ||
		    fsconfig(t->fs_fd, FSCONFIG_SET_STRING, "lowerdir+", tree_path(lower, path), 0) < 0)
			break;
		left = lower->layer->hides_below ? NONE_LEFT : left - 1;
		if (left == NONE_LEFT)
			break;
	}
	return fchdir(back) < 0 ? LOST : left;
}

static int add_lowers(const struct making *m, struct tower *t, struct error *err)
{
	int r = m->p->top_fd < 0 ? 0 : add_dir(t, "lowerdir+", m->p->top_fd, "the writable directory", err);
	size_t left = r < 0 ? 0 : add_by_name(m, t);

	if (left == LOST)
		return error_set(err, errno, "go back to the working directory");
	return r < 0 || left == NONE_LEFT ? r : add_by_fd(m, t, left, err);
}

static int add_upper(const struct making *m, struct tower *t, struct error *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
	auto_close int upper = m->reach ? openat(m->reach->base_fd, OVL_UPPER, flags) : -1;
	auto_close int work = m->reach ? openat(m->reach->base_fd, OVL_WORK, flags) : -1;

	if (m->reach && (upper < 0 || work < 0))
		return error_set(err, errno, "open the writable directory");

	int r = add_dir(t, "upperdir", m->reach ? upper : m->p->upper_fd, "the writable directory", err);

	return r < 0 ? r : add_dir(t, "workdir", m->reach ? work : m->p->work_fd, "the work directory", err);
}

/* What one of these cannot do (a file system without extended attributes) the kernel turns off again. */
static int set_options(const struct making *m, const struct tower *t, struct error *err)
{
	static const char *const options[][2] = {
		{ "source", "bulkhead" }, { "redirect_dir", "on" }, { "metacopy", "on" }, { "index", "off" }, { "xino", "auto" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (fsconfig(t->fs_fd, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0)
			return error_set(err, errno, "set %s=%s of an overlay", options[i][0], options[i][1]);
	if (m->p->is_volatile && fsconfig(t->fs_fd, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0)
		return error_set(err, errno, "set volatile of an overlay");
	return 0;
}

/*
 * overlayfs goes on to work as whoever makes it, and makes files of its own in work/: through an id-mapped mount
 * that takes an id which the map has. setfsuid() gives up capabilities, but not those to have them back.
 */
static int create_as(int fs_fd, uid_t uid, gid_t gid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3], full[_LINUX_CAPABILITY_U32S_3];
	uid_t own_uid = geteuid();
	gid_t own_gid = getegid();

	if (syscall(SYS_capget, &header, caps) < 0)
		return -errno;
	memcpy(full, caps, sizeof(full));
	for (size_t i = 0; i < ARRAY_SIZE(full); i++)
		full[i].effective = full[i].permitted;
	setfsgid(gid);
	setfsuid(uid);

	int r = syscall(SYS_capset, &header, full) < 0 ? -errno : 0;

	if (r == 0 && fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	setfsuid(own_uid);
	setfsgid(own_gid);
	if (syscall(SYS_capset, &header, caps) < 0 && r == 0)
		r = -errno;
	return r;
}

static int create(const struct making *m, int fs_fd)
{
	struct stat st;

	if (!m->reach || m->p->upper_fd < 0)
		return fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -errno : 0;
	if (fstat(m->reach->base_fd, &st) < 0)
		return -errno;
	return create_as(fs_fd, st.st_uid, st.st_gid);
}

/* Where overlayfs cannot work in work/ it mounts read-only, and says so in the kernel's log alone. */
static int check_writable(int mount_fd, struct error *err)
{
	struct statfs st;

	if (fstatfs(mount_fd, &st) < 0)
		return error_set(err, errno, "look at a new overlay");
	if (!(st.f_flags & ST_RDONLY))
		return 0;
	return error_rule(err, EROFS, "the kernel made the overlay read-only: it cannot make files in the work directory");
}

static int make_overlay(const void *data, struct error *err)
{
	const struct making *m = data;
	bool is_writable = m->p->upper_fd >= 0;
	auto_close int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	struct tower t = { .fs_fd = fs };

	if (fs < 0)
		return error_set(err, errno, "open the overlay filesystem");

	int r = set_options(m, &t, err);

	if (r == 0)
		r = add_lowers(m, &t, err);
	if (r == 0 && is_writable)
		r = add_upper(m, &t, err);
	if (r < 0)
		return r;
	r = create(m, fs);
	if (r < 0) {
		char what[WHAT_BYTES];

		r = error_set(err, -r, "make an overlay of %zu lower directories, the topmost %s", m->p->n,
			      lower_name(&m->p->lowers[m->p->n - 1], what, sizeof(what)));
		add_reason(fs, err);
		return r;
	}


	auto_close int fd = fsmount(fs, FSMOUNT_CLOEXEC, is_writable ? 0 : MOUNT_ATTR_RDONLY);

	if (fd < 0)
		return error_set(err, errno, "mount an overlay of %zu lower directories", m->p->n);
	r = is_writable ? check_writable(fd, err) : 0;
	return r < 0 ? r : TAKE_FD(fd);
}

/* From Linux 6.15 on the mounts need not be attached; EINVAL is what an older kernel says, and much else. */
static int make_mapped(struct making *m, struct error *err)
{
	struct ovl_reach reach;
	int r = reach_open(m->p, &reach, err);

	if (r < 0)
		return r;
	m->reach = &reach;
	m->layers_fd = reach.layers_fd;
	r = reach.n_mounts > REACH_FEW ? -EINVAL : make_overlay(m, NULL);
	if (r == -EINVAL)
		r = reach_in_namespace(&reach, make_overlay, m, err);
	else if (r < 0)
		r = make_overlay(m, err); /* for the message */
	reach_close(&reach);
	return r;
}

/* overlayfs wants two directories at least; one alone to be read needs none of it. */
static int clone_one(const struct making *m, struct error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	char what[WHAT_BYTES];
	auto_close int tree = open_lower(m, 0, err);

	if (tree < 0)
		return tree;
	lower_name(&m->p->lowers[0], what, sizeof(what));

	auto_close int fd = open_tree(tree, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0)
		return error_set(err, errno, "clone the mount of %s", what);
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "make the mount of %s read-only", what);

	int r = m->p->userns_fd < 0 ? 0 : mount_map_ids(fd, m->p->userns_fd, what, err);

	return r < 0 ? r : TAKE_FD(fd);
}

static bool is_same(const struct ovl_lower *a, const struct ovl_lower *b)
{
	if (a->hex && b->hex) /* of 500 layers each is compared with each */
		return a->hex[0] == b->hex[0] && !strcmp(a->hex, b->hex);
	return !a->hex && !b->hex && !strcmp(a->dir, b->dir);
}

static bool is_above(const struct ovl_parts *p, size_t i)
{
	for (size_t k = i + 1; k < p->n; k++)
		if (is_same(&p->lowers[k], &p->lowers[i]))
			return true;
	return false;
}

/* A layer that is there twice says nothing new below, and overlayfs takes a directory once: the upper one stays. */
static size_t take_once(const struct ovl_parts *p, struct ovl_lower *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		if (!is_above(p, i))
			ret[n++] = p->lowers[i];
	return n;
}

static bool has_layer(const struct ovl_parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->lowers[i].hex)
			return true;
	return false;
}

/* Without an upper a single visible lower makes no overlay, so it has to be known before. */
static int drop_hidden(const struct making *m, struct ovl_parts *p, struct error *err)
{
	for (size_t i = p->n; i-- > 1;) {
		bool is_known = p->lowers[i].layer && p->lowers[i].layer->is_known;
		auto_close int fd = is_known ? -1 : open_lower(m, i, err);

		if (fd < 0 && !is_known)
			return fd;
		if (hides_all(&p->lowers[i], fd)) {
			p->lowers += i;
			p->n -= i;
			return 0;
		}
	}
	return 0;
}

/*
 * A layer alone may have whiteouts, which only an overlay hides; it takes two directories at least to be read. Whether a
 * directory that the administrator named has any is his affair.
 */
static bool add_empty(const struct ovl_parts *p, struct arena *a, struct ovl_lower ret[2])
{
	if (!p->lowers[0].hex || (mkdirat(p->store->fd, EMPTY_DIR, 0755) < 0 && errno != EEXIST))
		return false;
	ret[0] = (struct ovl_lower){ .dir = arena_printf(a, "/proc/self/fd/%d/" EMPTY_DIR, p->store->fd) };
	ret[1] = p->lowers[0];
	return true;
}

static int mount_single(struct making *m, struct ovl_parts *p, struct error *err)
{
	struct arena a = ARENA_INIT;
	struct ovl_lower both[2];
	int r;

	if (!add_empty(p, &a, both)) {
		r = clone_one(m, err);
	} else {
		p->lowers = both;
		p->n = 2;
		m->is_single = true;
		r = p->userns_fd < 0 ? make_overlay(m, err) : make_mapped(m, err);
	}
	arena_release(&a);
	return r;
}

/* With the writable directory on top they are one too many: the lowest two, which have nothing of ours, become one. */
static int mount_tall(struct making *m, struct ovl_parts *p, struct error *err)
{
	struct ovl_parts low = *p;
	const struct making below = { .p = &low, .layers_fd = m->layers_fd, .bottom_fd = -1 };

	low.n = 2;
	low.top_fd = -1;

	auto_close int bottom = make_overlay(&below, err);

	if (bottom < 0)
		return bottom;
	m->bottom_fd = bottom;
	p->lowers += low.n;
	p->n -= low.n;

	int r = make_overlay(m, NULL);

	if (r == -EINVAL)
		r = error_rule(err, EINVAL, "to look at a sandbox over %d layers takes Linux 6.15", OVL_MAX_LOWERS);
	else if (r < 0)
		r = make_overlay(m, err); /* for the message */
	m->bottom_fd = -1;
	return r;
}

static int mount_once(struct ovl_parts *p, struct error *err)
{
	bool has_layers = has_layer(p);
	auto_close int layers = has_layers ? store_dir(p->store, "layers", err) : -1;
	struct making m = { .p = p, .layers_fd = layers, .bottom_fd = -1 };

	if (has_layers && layers < 0)
		return layers;

	int r = p->upper_fd < 0 ? drop_hidden(&m, p, err) : parts_check_unused(p->upper_fd, p->work_fd, err);

	if (r == 0 && p->n == 1 && p->upper_fd < 0 && p->top_fd < 0)
		return mount_single(&m, p, err);
	if (r == 0 && p->n == OVL_MAX_LOWERS && p->top_fd >= 0)
		return mount_tall(&m, p, err);
	if (r == 0)
		r = p->userns_fd < 0 ? make_overlay(&m, err) : make_mapped(&m, err);
	return r;
}

int parts_mount(const struct ovl_parts *p, struct error *err)
{
	struct ovl_lower few[FEW_LOWERS];
	struct ovl_parts once = *p;
	auto_free struct ovl_lower *many = p->n > FEW_LOWERS ? calloc(p->n, sizeof(*many)) : NULL;
	struct ovl_lower *lowers = p->n > FEW_LOWERS ? many : few;

	if (!lowers)
		return error_set(err, ENOMEM, "count layers");
	once.lowers = lowers;
	once.n = take_once(p, lowers);
	if (once.n == 0 || once.n > OVL_MAX_LOWERS)
		return error_rule(err, EINVAL, "an overlay takes 1 to %d layers, not %zu", OVL_MAX_LOWERS, once.n);
	return mount_once(&once, err);
}

/*
 * The kernel knows which directories it writes to, and says so (EBUSY) when asked for an overlay with index=on. One
 * whose work directory is the upper directory is refused after that, so that nothing is made of the question.
 */
int parts_check_unused(int upper_fd, int work_fd, struct error *err)
{
	struct tower t = { 0 };

	if (faccessat(work_fd, OVL_WORK_USED, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* never was one, which is the usual case */

	auto_close int fs = fsopen("overlay", FSOPEN_CLOEXEC);

	t.fs_fd = fs;
	if (fs < 0)
		return error_set(err, errno, "open the overlay filesystem");
	fsconfig(fs, FSCONFIG_SET_STRING, "index", "on", 0);

	int r = add_dir(&t, "lowerdir+", work_fd, "the work directory", err);

	if (r == 0)
		r = add_dir(&t, "upperdir", upper_fd, "the writable directory", err);
	if (r == 0)
		r = add_dir(&t, "workdir", upper_fd, "the writable directory", err);
	if (r < 0)
		return r;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 && errno == EBUSY)
		return error_rule(err, EBUSY, "another overlay writes to the same directory");
	/* What one that is gone left; after a volatile one the kernel refuses another (filesystems/overlayfs.rst). */
	return remove_tree(work_fd, OVL_WORK_USED, err);
}

int ovl_lowers_mount(const struct ovl_store *store, const struct ovl_lower *lowers, size_t n, int userns_fd,
		     struct error *err)
{
	const struct ovl_parts p = {
		.store = store,
		.lowers = lowers,
		.n = n,
		.top_fd = -1,
		.upper_fd = -1,
		.work_fd = -1,
		.userns_fd = userns_fd,
	};

	return parts_mount(&p, err);
}

int ovl_mount(const struct ovl_store *store, const struct ovl_layer *layers, size_t n, int upper_fd,
	      int work_fd, struct error *err)
{
	auto_free struct ovl_lower *lowers = calloc(n + 1, sizeof(*lowers));
	const struct ovl_parts p = {
		.store = store,
		.lowers = lowers,
		.n = n,
		.top_fd = -1,
		.upper_fd = upper_fd,
		.work_fd = work_fd,
		.userns_fd = -1,
	};

	if (!lowers)
		return error_set(err, ENOMEM, "count layers");
	for (size_t i = 0; i < n; i++)
		lowers[i] = (struct ovl_lower){ .hex = layers[i].hex, .layer = &layers[i] };
	return parts_mount(&p, err);
}
