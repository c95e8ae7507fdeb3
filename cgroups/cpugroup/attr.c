/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * The attribute that makes a directory a group: an extended attribute of the
 * user namespace, which cgroup v2 keeps in memory with the directory (kernel 5.7,
 * at most 64 KiB a value). It is set by one call, so it is there whole or not at
 * all, and it goes with the directory.
 */

#include <string.h>
#include <sys/xattr.h>

#include "spec/base/auto.h"

#define ATTR_MAX     65536
#define ATTR_VERSION 1

int cpg_is_group(int dir_fd)
{
	if (fgetxattr(dir_fd, CPG_XATTR, NULL, 0) >= 0)
		return 1;
	return errno == ENODATA || errno == ENOTSUP ? 0 : -errno;
}

static int attr_error(int code, const char *verb, const char *path, struct error *err)
{
	int r = error_set(err, code, "%s the attribute " CPG_XATTR " of cgroup /%s", verb, path);

	if (code == ENOTSUP)
		error_hint(err, "CPU groups need a kernel of 5.7 or later: before, cgroups had no extended attributes");
	else if (code == EACCES || code == EPERM)
		error_hint(err, "only root and the owner of a delegated cgroup may make it a CPU group");
	return r;
}

static int read_text(const struct json *doc, const char *name, struct arena *a, const char **ret,
		     struct error *err)
{
	const struct json *v = json_get(doc, name);
	const char *text;

	if (!v)
		return error_rule(err, EINVAL, "member \"%s\" is missing", name);

	int r = json_string(v, &text, err);

	if (r == 0)
		*ret = arena_strdup(a, text);
	return r;
}

static int parse(const struct json *doc, struct arena *a, struct cpg_attr *ret, struct error *err)
{
	const struct json *version = json_get(doc, "version");
	const struct json *adopted = json_get(doc, "adopted");
	const struct json *policy = json_get(doc, "policy");
	uint64_t v;

	if (!version || !policy)
		return error_rule(err, EINVAL, "member \"%s\" is missing", version ? "policy" : "version");

	int r = json_uint(version, UINT32_MAX, &v, err);

	if (r == 0 && v != ATTR_VERSION)
		r = error_rule(err, EINVAL, "version %llu is not known here: a later bulkhead wrote it",
			       (unsigned long long)v);
	if (r == 0)
		r = read_text(doc, "uuid", a, &ret->uuid, err);
	if (r == 0)
		r = read_text(doc, "created", a, &ret->created, err);
	if (r == 0 && adopted)
		r = json_bool(adopted, &ret->adopted, err);
	if (r == 0)
		r = cpg_policy_read(policy, a, &ret->policy, err);
	return r;
}

int cpg_attr_read(int dir_fd, const char *path, struct arena *a, struct cpg_attr *ret, struct error *err)
{
	auto_free char *text = NULL;
	char small[1024];
	char *at = small;
	const struct json *doc;
	struct cpg_attr attr = { .uuid = "", .created = "" };
	ssize_t n = fgetxattr(dir_fd, CPG_XATTR, small, sizeof(small));

	if (n < 0 && errno == ERANGE) {
		at = text = malloc(ATTR_MAX);
		if (!text)
			return error_set(err, ENOMEM, "read the attribute of cgroup /%s", path);
		n = fgetxattr(dir_fd, CPG_XATTR, text, ATTR_MAX);
	}
	if (n < 0 && (errno == ENODATA || errno == ENOTSUP))
		return 0;
	if (n < 0)
		return attr_error(errno, "read", path, err);

	int r = json_parse(at, (size_t)n, CPG_XATTR, a, &doc, err);

	if (r == 0)
		r = parse(doc, a, &attr, err);
	if (r < 0)
		return error_wrap(err, r, "cannot understand the attribute of CPU group /%s", path);
	*ret = attr;
	return 1;
}

int cpg_attr_write(int dir_fd, const char *path, const struct cpg_attr *attr, struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	struct json_w w = { .out = &b };

	json_w_open(&w, NULL, '{');
	json_w_uint(&w, "version", ATTR_VERSION);
	json_w_str(&w, "uuid", attr->uuid);
	json_w_str(&w, "created", attr->created);
	json_w_bool(&w, "adopted", attr->adopted);
	cpg_policy_write(&w, "policy", &attr->policy);
	json_w_close(&w, '}');
	if (b.len > ATTR_MAX)
		return error_rule(err, EINVAL, "the policy of CPU group /%s takes %zu bytes, at most %d are possible",
				  path, b.len, ATTR_MAX);
	if (fsetxattr(dir_fd, CPG_XATTR, b.data, b.len, 0) < 0)
		return attr_error(errno, "write", path, err);
	return 0;
}

int cpg_attr_remove(int dir_fd, const char *path, struct error *err)
{
	if (fremovexattr(dir_fd, CPG_XATTR) < 0 && errno != ENODATA)
		return attr_error(errno, "remove", path, err);
	return 0;
}
