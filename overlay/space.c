/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See space.h.
 *
 * work/ is made last: where it is, upper/ is complete.
 */
#include "overlay/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "overlay/parts.h"
#include "overlay/record.h"
#include "overlay/store.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/json.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)

/* Does the layer's archive say what the root is like? */
static int layer_has_root(int layers_fd, const char *hex, struct arena *a, bool *ret, struct error *err)
{
	char name[OVL_HEX_BYTES + sizeof(LAYER_RECORD) + 1], text[2048];
	const struct json *v;

	snprintf(name, sizeof(name), "%.64s/" LAYER_RECORD, hex);

	ssize_t n = file_read_at(layers_fd, name, text, sizeof(text), err);
	int r = n < 0 ? (int)n : json_parse(text, (size_t)n, name, a, &v, err);

	if (r == 0)
		r = json_bool(json_get(v, "hasRoot"), ret, err);
	return r < 0 ? error_wrap(err, r, "cannot find the layer sha256:%s", hex) : 0;
}

/* The topmost lower with a root of its own; the lowest when none has. */
static int open_model(const struct ovl_store *store, const struct ovl_sandbox *sb, struct arena *a, struct error *err)
{
	char path[OVL_HEX_BYTES + sizeof(LAYER_TREE) + 1], what[160];
	auto_close int layers = store_dir(store, "layers", err);
	size_t i = sb->n_lowers;
	bool has = false;
	int r = layers < 0 ? layers : 0;

	while (r == 0 && !has && i-- > 0) {
		has = i == 0 || sb->lowers[i].dir;
		if (!has)
			r = layer_has_root(layers, sb->lowers[i].hex, a, &has, err);
	}
	if (r < 0)
		return r;

	const struct ovl_lower *lower = &sb->lowers[i];

	snprintf(path, sizeof(path), "%.64s/" LAYER_TREE, lower->hex ? lower->hex : "");

	/* path-ok: of the store, or a directory that the administrator named */
	int fd = lower->hex ? openat(layers, path, DIR_FLAGS) : open(lower->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_set(err, errno, "open %s", lower_name(lower, what, sizeof(what))) : fd;
}

/* What is overlayfs's own stays where it is. What the upper's file system cannot hold is left out. */
static int copy_xattrs(int from_fd, int to_fd, struct error *err)
{
	char names[4096], value[4096];
	ssize_t n = flistxattr(from_fd, names, sizeof(names));

	for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
		ssize_t len = fgetxattr(from_fd, name, value, sizeof(value));

		if (!strncmp(name, "trusted.overlay.", strlen("trusted.overlay.")) || len < 0)
			continue;
		if (fsetxattr(to_fd, name, value, (size_t)len, 0) < 0 && errno != ENOTSUP)
			return error_set(err, errno, "set %s of the writable directory", name);
	}
	return 0;
}

static int copy_root(int model_fd, int upper_fd, struct error *err)
{
	struct stat st;

	if (fstat(model_fd, &st) < 0)
		return error_set(err, errno, "stat the root of a layer");
	if ((st.st_uid || st.st_gid) && fchown(upper_fd, st.st_uid, st.st_gid) < 0)
		return error_set(err, errno, "give the writable directory to %u:%u", st.st_uid, st.st_gid);
	if (fchmod(upper_fd, st.st_mode & 07777) < 0)
		return error_set(err, errno, "set the mode of the writable directory");

	int r = copy_xattrs(model_fd, upper_fd, err);

	if (r == 0 && futimens(upper_fd, (struct timespec[]){ st.st_atim, st.st_mtim }) < 0)
		r = error_set(err, errno, "set the times of the writable directory");
	return r;
}

static int make_dir(int base_fd, const char *name, struct error *err)
{
	int r = 0;

	if (mkdirat(base_fd, name, 0700) < 0) {
		r = errno == EEXIST ? remove_tree(base_fd, name, err) : -errno;
		if (r == 0)
			r = mkdirat(base_fd, name, 0700) < 0 ? -errno : 0;
	}
	if (r < 0)
		return error_set(err, -r, "make the directory %s of a sandbox", name);

	int fd = openat(base_fd, name, DIR_FLAGS);

	return fd < 0 ? error_set(err, errno, "open the directory %s of a sandbox", name) : fd;
}

static int make_both(const struct ovl_store *store, struct ovl_sandbox *sb, int base_fd, struct arena *a,
		     struct error *err)
{
	auto_close int model = open_model(store, sb, a, err);
	auto_close int upper = model < 0 ? model : make_dir(base_fd, OVL_UPPER, err);
	int r = upper < 0 ? upper : copy_root(model, upper, err);

	if (r < 0)
		return r;
	sb->work_fd = make_dir(base_fd, OVL_WORK, err);
	if (sb->work_fd < 0)
		return sb->work_fd;
	sb->upper_fd = TAKE_FD(upper);
	return 0;
}

static int open_both(const struct ovl_store *store, struct ovl_sandbox *sb, int base_fd, enum sandbox_age age,
		     struct arena *a, struct error *err)
{
	if (age == SANDBOX_NEW)
		return make_both(store, sb, base_fd, a, err);

	auto_close int work = openat(base_fd, OVL_WORK, DIR_FLAGS);

	if (work < 0 && errno == ENOENT)
		return make_both(store, sb, base_fd, a, err);

	auto_close int upper = work < 0 ? work : openat(base_fd, OVL_UPPER, DIR_FLAGS);

	if (upper < 0)
		return error_set(err, errno, "open the directories of the sandbox %s", sb->name);
	sb->upper_fd = TAKE_FD(upper);
	sb->work_fd = TAKE_FD(work);
	return 0;
}

int space_attach(const struct ovl_store *store, struct ovl_sandbox *sb, enum sandbox_age age, struct arena *a,
		 struct error *err)
{
	return open_both(store, sb, sb->dir_fd, age, a, err);
}

int space_detach(const struct ovl_sandbox *sb, struct error *err)
{
	(void)sb;
	(void)err;
	return 0;
}

int space_base(const struct ovl_sandbox *sb)
{
	return openat(sb->dir_fd, ".", DIR_FLAGS);
}

int space_reset(const struct ovl_store *store, struct ovl_sandbox *sb, struct arena *a, struct error *err)
{
	auto_close int base = space_base(sb);

	if (base < 0)
		return error_set(err, errno, "open the directory of the sandbox %s", sb->name);

	int r = remove_tree(base, OVL_WORK, err); /* from here on there is no upper */

	auto_closep(&sb->upper_fd);
	auto_closep(&sb->work_fd);
	sb->upper_fd = sb->work_fd = -1;
	return r < 0 ? r : make_both(store, sb, base, a, err);
}
