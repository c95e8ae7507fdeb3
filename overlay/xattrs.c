/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See xattrs.h. There is no lgetxattrat() before Linux 6.13: a path of the directory's descriptor stands in, whose
 * last component these calls do not follow.
 */
#include "overlay/xattrs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "spec/base/auto.h"
#include "spec/base/oom.h"

#define XATTR_BYTES 65536 /* of a list of names and of a value: XATTR_LIST_MAX, XATTR_SIZE_MAX */
#define PATH_BYTES  (32 + NAME_MAX)

static void path_of(int dir_fd, const char *name, char path[static PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "/proc/self/fd/%d/%s", dir_fd, name);
}

static bool is_left_out(const char *name)
{
	return !strncmp(name, "trusted.overlay.", 16) || !strncmp(name, "user.overlay.", 13) ||
	       !strcmp(name, "security.selinux") || !strcmp(name, "security.SMACK64") ||
	       !strcmp(name, "security.ima") || !strcmp(name, "security.evm");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

/* Appends name and value; both as offsets into bytes until that has stopped moving. */
static int add(struct xattrs *x, const char *path, const char *name, struct error *err)
{
	size_t at = x->bytes.len;

	buf_add(&x->bytes, name, strlen(name) + 1);

	char *value = buf_reserve(&x->bytes, XATTR_BYTES);
	ssize_t n = lgetxattr(path, name, value, XATTR_BYTES); /* path-ok: below a descriptor */

	if (n < 0 && errno == ENODATA) { /* listed for others, or taken away */
		x->bytes.len = at;
		return 0;
	}
	if (n < 0)
		return error_set(err, errno, "read the attribute %s", name);
	x->v[x->n++] = (struct xattr){ .name = (const char *)at, .n = (size_t)n };
	x->bytes.len += (size_t)n;
	return 0;
}

int xattrs_read(struct xattrs *x, int dir_fd, const char *name, struct error *err)
{
	char path[PATH_BYTES], few[1024];
	auto_free char *many = NULL;
	char *names = few;

	path_of(dir_fd, name, path);

	ssize_t used = llistxattr(path, few, sizeof(few)); /* path-ok: below a descriptor */

	if (used < 0 && errno == ERANGE) {
		names = many = malloc(XATTR_BYTES);
		if (!many)
			oom_die();
		used = llistxattr(path, many, XATTR_BYTES); /* path-ok: below a descriptor */
	}
	if (used < 0)
		return errno == ENOTSUP ? 0 : error_set(err, errno, "list the attributes of %s", name);
	if (used == 0)
		return 0;
	x->v = calloc((size_t)used, sizeof(*x->v));
	if (!x->v)
		oom_die();

	int r = 0;

	for (char *p = names; r == 0 && p < names + used; p += strlen(p) + 1)
		if (!is_left_out(p))
			r = add(x, path, p, err);
	for (size_t i = 0; i < x->n; i++) {
		x->v[i].name = x->bytes.data + (size_t)x->v[i].name;
		x->v[i].value = x->v[i].name + strlen(x->v[i].name) + 1;
	}
	if (x->n)
		qsort(x->v, x->n, sizeof(*x->v), by_name);
	return r < 0 ? error_wrap(err, r, "cannot read the attributes of %s", name) : 0;
}

void xattrs_release(struct xattrs *x)
{
	free(x->v);
	x->v = NULL;
	x->n = 0;
	buf_release(&x->bytes);
}

bool xattrs_equal(const struct xattrs *a, const struct xattrs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].name, b->v[i].name) != 0 || a->v[i].n != b->v[i].n ||
		    memcmp(a->v[i].value, b->v[i].value, a->v[i].n) != 0)
			return false;
	return true;
}

ssize_t xattr_get(int dir_fd, const char *name, const char *attribute, void *value, size_t size)
{
	char path[PATH_BYTES];

	path_of(dir_fd, name, path);

	ssize_t n = lgetxattr(path, attribute, value, size); /* path-ok: below a descriptor */

	return n < 0 ? -1 : n;
}
