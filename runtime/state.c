/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory: see state.h for its layout and why each file exists.
 */
#include "runtime/state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/texts.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "spec/base/proc.h"

#define LOCK_TIMEOUT_MS 10000
#define LOCK_STEP_MS    10
#define ID_MAX          1024

static const char *const status_names[] = {
	[RT_CREATING] = "creating", [RT_CREATED] = "created", [RT_RUNNING] = "running",
	[RT_PAUSED] = "paused",	    [RT_STOPPED] = "stopped",
};

const char *state_status_name(enum rt_status status)
{
	return status_names[status];
}

int rt_check_id(const char *id, struct error *err)
{
	size_t n = strlen(id);
	int r = 0;

	if (n == 0)
		r = error_rule(err, EINVAL, TEXT_BAD_ID ": the id is empty");
	else if (n > ID_MAX)
		r = error_rule(err, EINVAL, TEXT_BAD_ID ": %zu bytes, at most %d are allowed", n, ID_MAX);
	else if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		r = error_rule(err, EINVAL, TEXT_BAD_ID ": \"%s\" is a directory reference", id);
	for (const char *p = id; r == 0 && *p; p++)
		if (!isascii((unsigned char)*p) ||
		    (!isalnum((unsigned char)*p) && !strchr("_+-.", *p)))
			r = error_rule(err, EINVAL, TEXT_BAD_ID ": \"%.200s\" (letters, digits and _+-. only)", id);
	return r;
}

/* Who can write here decides what delete kills and removes (CVE-2019-12439 and its class). Takes over fd. */
static int check_root(int fd, const char *path, struct error *err)
{
	auto_close int own = fd;
	struct stat st;

	if (fstat(own, &st) < 0)
		return error_set(err, errno, "stat state directory %s", path);
	/* With the sticky bit others may add names, but not touch ours. */
	if ((st.st_uid == 0 || st.st_uid == geteuid()) && (!(st.st_mode & 022) || st.st_mode & S_ISVTX))
		return TAKE_FD(own);

	int r = error_rule(err, EPERM, "state directory %s can be changed by others (owner %u, mode %04o)",
			   path, st.st_uid, (unsigned)st.st_mode & 07777);

	error_hint(err, "chown root %s; chmod go-w %s", path, path);
	return r;
}

int state_open_root(const struct rt_context *ctx, bool make, struct error *err)
{
	int fd = openat(AT_FDCWD, ctx->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && make) {
		char path[PATH_MAX];

		/* Every parent that is missing; EEXIST is what we hope for. */
		snprintf(path, sizeof(path), "%s", ctx->root);
		for (char *p = path + 1; *p; p++)
			if (*p == '/') {
				*p = '\0';
				if (mkdir(path, 0755) < 0 && errno != EEXIST) /* path-ok: host path */
					return error_set(err, errno, "make state directory %s", path);
				*p = '/';
			}
		if (mkdir(path, 0700) < 0 && errno != EEXIST) /* path-ok: host path */
			return error_set(err, errno, "make state directory %s", path);
		fd = openat(AT_FDCWD, ctx->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return error_set(err, errno, "open state directory %s", ctx->root);
	return make ? check_root(TAKE_FD(fd), ctx->root, err) : TAKE_FD(fd);
}

/* A lock that waits with a deadline: flock() itself would wait forever. */
static int lock(int fd, const char *id, struct error *err)
{
	for (int waited = 0;; waited += LOCK_STEP_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return error_set(err, errno, "lock the state of container \"%s\"", id);
		if (waited >= LOCK_TIMEOUT_MS)
			return error_rule(err, ETIMEDOUT,
					  "another command has been working on container \"%s\" for %d seconds",
					  id, LOCK_TIMEOUT_MS / 1000);
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_MS * 1000000L }, NULL);
	}
}

int state_reserve(const struct rt_context *ctx, const char *id, struct error *err)
{
	auto_close int root_fd = state_open_root(ctx, true, err);

	if (root_fd < 0)
		return root_fd;
	if (mkdirat(root_fd, id, 0700) < 0) {
		if (errno != EEXIST)
			return error_set(err, errno, "make state directory %s/%s", ctx->root, id);

		int r = error_rule(err, EEXIST, TEXT_EXISTS ": %s", id);

		error_hint(err, "`bulkhead delete --force %.64s` removes the old one", id);
		return r;
	}

	auto_close int fd = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = error_set(err, errno, "open state directory %s/%s", ctx->root, id);

		unlinkat(root_fd, id, AT_REMOVEDIR);
		return r;
	}
	return TAKE_FD(fd);
}

static int no_such_container(const char *id, struct error *err)
{
	return error_rule(err, ENOENT, TEXT_NOT_EXIST ": %s", id);
}

int state_open(const struct rt_context *ctx, const char *id, enum state_access access,
	       struct error *err)
{
	char path[PATH_MAX];
	int r = rt_check_id(id, err);

	if (r < 0)
		return r;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", ctx->root, id) >= sizeof(path))
		return no_such_container(id, err);

	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
		return no_such_container(id, err);
	if (fd < 0)
		return error_set(err, errno, "open state directory %s", path);
	if (access == STATE_LOCKED)
		r = state_lock_again(fd, id, err);
	return r < 0 ? r : TAKE_FD(fd);
}

int state_lock_again(int dir_fd, const char *id, struct error *err)
{
	struct stat st;
	int r = lock(dir_fd, id, err);

	if (r < 0)
		return r;
	/* While we waited, the holder may have deleted the container. */
	if (fstat(dir_fd, &st) == 0 && st.st_nlink == 0)
		return no_such_container(id, err);
	return 0;
}

void state_unlock(int dir_fd)
{
	flock(dir_fd, LOCK_UN);
}

int state_note_cgroup(int dir_fd, const char *path, struct error *err)
{
	if (symlinkat(path, dir_fd, "cgroup") < 0)
		return error_set(err, errno, "note the cgroup %s in the state directory", path);
	return 0;
}

int state_noted_cgroup(int dir_fd, char *buf, size_t size)
{
	ssize_t n = readlinkat(dir_fd, "cgroup", buf, size);

	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	return 0;
}

int state_note_config(int dir_fd, const struct spec *spec, struct error *err)
{
	auto_close int fd = openat(dir_fd, "config.json",
				   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_set(err, errno, "create config.json in the state directory");

	int r = file_write_all(fd, "config.json in the state directory", spec->raw, spec->raw_len, err);

	return r;
}

/* When the machine was started, as far as its clock can tell. Asks the vDSO, not the kernel. */
static int64_t boot_time(void)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return now.tv_sec - up.tv_sec;
}

/*
 * pidfd numbers begin anew with each boot, so they only count within one. A clock
 * that was set since makes the slower comparison by start time necessary, not wrong.
 */
static bool is_same_boot(const struct rt_state *s)
{
	int64_t apart = boot_time() - s->boot_time;

	return apart > -60 && apart < 60;
}

static void write_annotations(struct json_w *w, const struct rt_state *s)
{
	if (!s->n_annotations)
		return;
	json_w_open(w, "annotations", '{');
	for (size_t i = 0; i < s->n_annotations; i++)
		json_w_str(w, s->annotations[i].key, s->annotations[i].value);
	json_w_close(w, '}');
}

int state_save(int dir_fd, const struct rt_state *s, struct error *err)
{
	char space[4096];
	auto_buf struct buf b = BUF_ON(space);
	struct json_w w = { .out = &b };

	json_w_open(&w, NULL, '{');
	json_w_int(&w, "version", 1);
	json_w_str(&w, "id", s->id);
	json_w_int(&w, "pid", s->pid);
	json_w_uint(&w, "startTime", s->start_time);
	if (s->pidfd_id) {
		json_w_uint(&w, "pidfdId", s->pidfd_id);
		json_w_int(&w, "bootTime", boot_time());
	}
	json_w_str(&w, "bundle", s->bundle);
	json_w_str(&w, "rootfs", s->rootfs);
	json_w_str(&w, "created", s->created);
	json_w_str(&w, "program", s->program);
	json_w_str(&w, "cgroup", s->cgroup);
	json_w_str(&w, "cgroupDir", s->cgroup_dir);
	json_w_uint(&w, "namespaces", s->ns_kinds);
	if (s->has_hooks)
		json_w_bool(&w, "hooks", true);
	if (s->no_new_keyring)
		json_w_bool(&w, "noNewKeyring", true);
	if (s->has_notify)
		json_w_bool(&w, "notify", true);
	if (s->reset_signals)
		json_w_bool(&w, "resetSignals", true);
	if (s->has_exec_config)
		json_w_bool(&w, "execConfig", true);
	if (s->is_vm)
		json_w_bool(&w, "vm", true);
	write_annotations(&w, s);
	if (s->resources)
		json_w_raw(&w, "resources", s->resources, strlen(s->resources));
	json_w_close(&w, '}');
	return file_replace_at(dir_fd, "state.json", 0600, b.data, b.len, err);
}

static const char *member_text(const struct json *obj, const char *name)
{
	const struct json *v = json_get(obj, name);

	return v && v->type == JSON_STRING ? v->text : "";
}

static uint64_t member_uint(const struct json *obj, const char *name)
{
	uint64_t v = 0;
	const struct json *m = json_get(obj, name);

	if (m)
		json_uint(m, UINT64_MAX, &v, NULL);
	return v;
}

static bool member_flag(const struct json *obj, const char *name)
{
	const struct json *v = json_get(obj, name);

	return v && v->type == JSON_BOOL && v->boolean;
}

static void read_annotations(const struct json *doc, struct arena *a, struct rt_state *ret)
{
	const struct json *list = json_get(doc, "annotations");

	if (!list || !list->count)
		return;

	struct spec_key_value *v = ARENA_NEW_N(a, struct spec_key_value, list->count);

	json_each(it, list)
		if (it->type == JSON_STRING)
			v[ret->n_annotations++] = (struct spec_key_value){ it->name, it->text };
	ret->annotations = v;
}

static int parse(const char *text, size_t n, const char *id, struct arena *a, struct rt_state *ret,
		 struct error *err)
{
	const struct json *doc;
	char what[64];

	snprintf(what, sizeof(what), "state of container \"%.32s\"", id);

	int r = json_parse(text, n, what, a, &doc, err);

	if (r < 0)
		return r;
	if (member_uint(doc, "version") != 1)
		return error_rule(err, EINVAL, "%s was written by another version of this program", what);

	*ret = (struct rt_state){
		.id = member_text(doc, "id"),
		.bundle = member_text(doc, "bundle"),
		.rootfs = member_text(doc, "rootfs"),
		.created = member_text(doc, "created"),
		.program = member_text(doc, "program"),
		.cgroup = member_text(doc, "cgroup"),
		.cgroup_dir = member_text(doc, "cgroupDir"),
		.pid = (pid_t)member_uint(doc, "pid"),
		.start_time = member_uint(doc, "startTime"),
		.pidfd_id = member_uint(doc, "pidfdId"),
		.boot_time = (int64_t)member_uint(doc, "bootTime"),
		.ns_kinds = (unsigned)member_uint(doc, "namespaces"),
		.has_hooks = member_flag(doc, "hooks"),
		.no_new_keyring = member_flag(doc, "noNewKeyring"),
		.has_notify = member_flag(doc, "notify"),
		.reset_signals = member_flag(doc, "resetSignals"),
		.has_exec_config = member_flag(doc, "execConfig"),
		.is_vm = member_flag(doc, "vm"),
	};
	read_annotations(doc, a, ret);

	const struct json *res = json_get(doc, "resources");

	if (res)
		ret->resources = arena_strndup(a, text + res->begin, res->end - res->begin);
	if (ret->pid <= 0 || strcmp(ret->id, id) != 0)
		return error_rule(err, EINVAL, "%s is damaged", what);
	return 0;
}

/* Most states are one page; a long one (annotations) costs more reads, not more code. */
static int read_and_parse(int fd, const char *id, struct arena *a, struct rt_state *ret,
			  struct error *err)
{
	char small[8192];
	ssize_t n = read(fd, small, sizeof(small));

	if (n < 0)
		return error_set(err, errno, "read state.json");
	if ((size_t)n < sizeof(small))
		return parse(small, (size_t)n, id, a, ret, err);

	auto_buf struct buf b = BUF_INIT;

	buf_add(&b, small, (size_t)n);

	int r = file_read_fd(fd, "state.json", JSON_MAX_BYTES, &b, err);

	return r < 0 ? r : parse(b.data, b.len, id, a, ret, err);
}

int state_load(int dir_fd, const char *id, struct arena *a, struct rt_state *ret, struct error *err)
{
	auto_close int fd = openat(dir_fd, "state.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return error_set(err, errno, "open state.json of container \"%s\"", id);
	return read_and_parse(fd, id, a, ret, err);
}

int state_peek(const struct rt_context *ctx, const char *id, struct arena *a, struct rt_state *ret,
	       struct error *err)
{
	char path[PATH_MAX];
	int r = rt_check_id(id, err);

	if (r < 0)
		return r;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s/state.json", ctx->root, id) >= sizeof(path))
		return no_such_container(id, err);

	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		return read_and_parse(fd, id, a, ret, err);
	if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
		return error_set(err, errno, "open %s", path);

	/* No state.json: never there, or being created right now? */
	auto_close int dir_fd = state_open(ctx, id, STATE_SHARED, err);

	if (dir_fd < 0)
		return dir_fd;
	*ret = (struct rt_state){ .id = arena_strdup(a, id), .bundle = "", .rootfs = "", .created = "",
				  .cgroup = "", .cgroup_dir = "" };
	return 0;
}

static bool has_fifo(const struct rt_context *ctx, int dir_fd, const char *id)
{
	char path[PATH_MAX];

	if (dir_fd >= 0)
		return faccessat(dir_fd, STATE_EXEC_FIFO, F_OK, 0) == 0;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s/" STATE_EXEC_FIFO, ctx->root, id) >= sizeof(path))
		return false;
	return access(path, F_OK) == 0;
}

static bool is_frozen(const struct rt_state *s)
{
	char path[PATH_MAX];
	char text[256];

	if (!s->cgroup_dir[0] ||
	    (size_t)snprintf(path, sizeof(path), "%s/cgroup.events", s->cgroup_dir) >= sizeof(path))
		return false;

	auto_close int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;

	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, "frozen 1") != NULL;
}

bool state_is_alive(const struct rt_state *s)
{
	struct proc_stat st;

	if (s->pid <= 0)
		return false;
	if (s->pidfd_id && is_same_boot(s)) {
		auto_close int pidfd = proc_pidfd_open(s->pid);

		return pidfd >= 0 && proc_pidfd_is(pidfd, s->pidfd_id);
	}
	return proc_stat(s->pid, &st) == 0 && st.start_time == s->start_time && st.state != 'Z' &&
	       st.state != 'X';
}

enum rt_status state_status_of_init(const struct rt_state *s)
{
	if (s->pid == 0)
		return RT_CREATING;
	if (!state_is_alive(s))
		return RT_STOPPED;
	return is_frozen(s) ? RT_PAUSED : RT_RUNNING;
}

enum rt_status state_status(const struct rt_context *ctx, int dir_fd, const struct rt_state *s)
{
	enum rt_status status = state_status_of_init(s);

	return status == RT_RUNNING && has_fifo(ctx, dir_fd, s->id) ? RT_CREATED : status;
}

/* By the path of create; when the tree is mounted elsewhere for us, by its place in the tree. */
int state_open_cgroup(const struct rt_state *s, struct error *err)
{
	struct cg_host host = { .root_fd = -1 };
	int fd = openat(AT_FDCWD, s->cgroup_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		return fd;

	int r = cg_host_open(&host, err);

	if (r < 0)
		return r;
	r = cg_open(&host, s->cgroup, err);
	cg_host_close(&host);
	return r;
}

int state_pidfd(const struct rt_state *s, struct error *err)
{
	auto_close int fd = s->pid > 0 ? proc_pidfd(s->pid, s->start_time, NULL) : -ESRCH;

	if (fd >= 0 && s->pidfd_id && is_same_boot(s) && proc_pidfd_id(fd) != s->pidfd_id)
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);

	if (fd == -ESRCH)
		return error_rule(err, ESRCH, TEXT_NOT_RUNNING);
	if (fd < 0)
		return error_set(err, -fd, "open a pidfd of process %d", (int)s->pid);
	return TAKE_FD(fd);
}

int state_load_config(int dir_fd, struct arena *a, struct spec **ret, struct error *err)
{
	/* Checked at create; the rules of a newer version must not lock anyone out of delete. */
	char *text;
	size_t n;
	int r = file_load_at(dir_fd, "config.json", JSON_MAX_BYTES, a, &text, &n, err);

	if (r >= 0)
		r = spec_parse(text, n, a, ret, err);
	return r < 0 ? error_wrap(err, r, "cannot read the container's saved config") : 0;
}

int state_remove(const struct rt_context *ctx, int dir_fd, const char *id, struct error *err)
{
	static const char *const files[] = { STATE_EXEC_FIFO, STATE_STATUS_FIFO, "config.json",
					     ".state.json.tmp", "cgroup", STATE_NOTIFY_DIR "/notify.sock" };
	char path[PATH_MAX];

	/* state.json goes first of the things that make it look whole, the directory last. */
	if (unlinkat(dir_fd, "state.json", 0) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove state.json of container \"%s\"", id);

	snprintf(path, sizeof(path), "%s/%s", ctx->root, id);

	/* Usually only config.json and cgroup are left: try these before looking for the rest. */
	unlinkat(dir_fd, "config.json", 0);
	unlinkat(dir_fd, "cgroup", 0);
	if (rmdir(path) == 0) /* path-ok: host path */
		return 0;
	if (errno == ENOENT)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (unlinkat(dir_fd, files[i], 0) < 0 && errno != ENOENT && errno != ENOTDIR)
			return error_set(err, errno, "remove %s/%s", path, files[i]);
	if (unlinkat(dir_fd, STATE_NOTIFY_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove %s/" STATE_NOTIFY_DIR, path);
	if (rmdir(path) < 0 && errno != ENOENT) { /* path-ok: host path */
		int r = error_set(err, errno, "remove state directory %s", path);

		if (-r == ENOTEMPTY)
			error_hint(err, "it holds files this program did not put there");
		return r;
	}
	return 0;
}

void state_document(const struct rt_state *s, enum rt_status status, struct spec_state *ret)
{
	*ret = (struct spec_state){
		.id = s->id,
		.status = state_status_name(status),
		.bundle = s->bundle,
		.pid = status == RT_STOPPED ? 0 : s->pid,
		.annotations = s->annotations,
		.n_annotations = s->n_annotations,
	};
}
