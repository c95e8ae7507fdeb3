/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * runtime - a container's life
 *
 * Creates, starts, enters, signals, measures and deletes containers: it owns the
 * state directory, the order of the stages, hooks, terminals, the exec'ed
 * processes and the protocol between parent and child (stages.h). It hands the
 * rooms below file descriptors and knows nothing of options or output formats.
 *
 * Each function is one command of a person or an engine; each may be killed at
 * any moment and leaves a state that rt_delete(force) clears.
 *
 * Some sentences are searched for by engines ("container does not exist",
 * "container not running", …): they stand in runtime/texts.h, with a test.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/base/arena.h"
#include "spec/base/buf.h"
#include "spec/base/error.h"
#include "spec/base/log.h"
#include "spec/base/trace.h"
#include "overlay/changes.h"
#include "runtime/launch/stdio.h"
#include "spec/spec.h"

enum rt_isolation { RT_ISOLATION_DEFAULT, RT_ISOLATION_PROCESS, RT_ISOLATION_VM };

/* What the global options say. Borrowed strings. */
struct rt_context {
	const char *root;         /* absolute state root, e.g. "/run/bulkhead" */
	bool root_is_default;     /* --root was not given: a missing directory is an empty list */
	bool systemd_cgroup;
	const char *store;        /* directory of the image layers, absolute; NULL: OVL_STORE_DEFAULT */
	const char *cpu_group_base; /* path of the CPU groups' base in the cgroup tree; NULL: CPG_DEFAULT_BASE */
	enum rt_isolation isolation;
	const char *kernel;       /* of guests; NULL: the best there is (vm/kernel/kernel.h) */
	const struct log *log;
	struct trace *trace;      /* of the steps; NULL: none */
	char *const *argv;        /* of this command, for shared.h */
	struct stdio_facts stdio; /* create, run, exec: looked at before anything was opened */
};

/*
 * For a command that needs a shared library (what: which, and for what): goes on as bulkhead-shared when this
 * build can load none. Call it before anything has been done. 0: this build can.
 */
int rt_need_libraries(const struct rt_context *ctx, const char *what, struct error *err);

/*
 * Where a container's files come from besides root.path: options as they were typed. NULL or 0: not given. The
 * annotations dev.bulkhead.image, .layers (JSON array of strings or comma-separated, the topmost first), .sandbox and
 * .sandbox-size say the same; an option and an annotation that differ are -EINVAL with both.
 */
#define RT_IMAGE_ANNOTATION "dev.bulkhead.image"
struct ovl_image; /* overlay/overlay.h */
struct rt_storage {
	const char *image;         /* the root's: a name in the store */
	const struct ovl_image *found; /* what image is, when the caller has looked already; NULL: to be found */
	char *const *layers;       /* the root's, the topmost first: directory, "sha256:HEX" or 12 to 64 hex digits; NULL-terminated */
	const char *sandbox;       /* "keep", "discard" (the default), "memory" or "memory:SIZE" */
	const char *sandbox_size;  /* bytes with a suffix */
	uint32_t sandbox_inodes;
	char *const *mount_images; /* "IMAGE:/PATH[:ro|:rw]"; NULL-terminated */
	char *const *volumes;      /* "SOURCE:/PATH[:OPTION,…]"; NULL-terminated */
};

struct rt_create_options {
	const char *id;
	const char *bundle;          /* directory; NULL: "." */
	const char *config;          /* file name in the bundle; NULL: "config.json" */
	const char *config_text;     /* the config itself: then the bundle is the state directory. NULL: in a file */
	size_t config_n;
	const char *console_socket;  /* NULL: none */
	const char *pid_file;
	const char *pidfd_socket;
	bool no_pivot, no_new_keyring;
	uint32_t preserve_fds;
	bool detach;                 /* run: return once the program has started */
	bool keep;                   /* run: do not delete after exit */
	bool is_attended;            /* run: it is gone when this command is; rt_sweep() sees to that if need be */
	bool no_subreaper;
	const char *cpu_group;       /* group to start in, "/": none; NULL: what annotation or cgroupsPath say */
	struct rt_storage storage;
};

int rt_create(const struct rt_context *ctx, const struct rt_create_options *opt, struct error *err);

/* Create, start, wait, delete. *ret_status is the exit code as a shell reports it (128 + signal). */
int rt_run(const struct rt_context *ctx, const struct rt_create_options *opt, int *ret_status,
	   struct error *err);

/* Deletes what attended runs left that were killed themselves. What cannot be deleted is a warning. */
void rt_sweep(const struct rt_context *ctx);

int rt_start(const struct rt_context *ctx, const char *id, struct error *err);

enum rt_kill_scope { RT_KILL_INIT, RT_KILL_ALL };
int rt_kill(const struct rt_context *ctx, const char *id, int signo, enum rt_kill_scope scope,
	    struct error *err);

enum rt_delete_mode { RT_DELETE_STOPPED, RT_DELETE_FORCE };
int rt_delete(const struct rt_context *ctx, const char *id, enum rt_delete_mode mode, struct error *err);

struct rt_exec_options {
	const char *id;
	const char *process_file;     /* whole process object; NULL: the bundle's process, overridden by the rest */
	char *const *args;            /* NULL-terminated; NULL with process_file */
	const char *console_socket, *pid_file, *pidfd_socket, *cwd;
	char *const *env;             /* further K=V, NULL-terminated; may be NULL */
	bool tty, detach, ignore_paused;
	bool has_uid, has_gid;
	uint32_t uid, gid;
	const uint32_t *additional_gids;
	size_t n_additional_gids;
	const char *process_label, *apparmor;
	bool has_no_new_privs, no_new_privs;
	char *const *caps;            /* "CAP_…" to add; NULL-terminated; may be NULL */
	uint32_t preserve_fds;
	const char *cgroup;           /* sub-cgroup of the container's; NULL: where init is */
	bool no_subreaper;
};

/* *ret_status: the program's exit code, 0 when detached. */
int rt_exec(const struct rt_context *ctx, const struct rt_exec_options *opt, int *ret_status,
	    struct error *err);

int rt_pause(const struct rt_context *ctx, const char *id, struct error *err);
int rt_resume(const struct rt_context *ctx, const char *id, struct error *err);

/*
 * Executes the build that can load libraries when a command that changes this container needs one (shared.h). Called
 * before standard input is read: the other build begins anew. Returns 0 when this one will do.
 */
int rt_hand_over(const struct rt_context *ctx, const char *id, struct error *err);

/* Merges the given members over the container's current resources, writes them, keeps them in the state. */
int rt_update(const struct rt_context *ctx, const char *id, const struct spec_resources *res,
	      struct error *err);

/* Appends the pretty state document, without a trailing newline. */
int rt_state(const struct rt_context *ctx, const char *id, struct buf *out, struct error *err);

/* What a container has in a store of image layers. */
struct rt_sandbox {
	const char *store;            /* directory */
	const char *slots;            /* what is in it (runtime/storage.h) */
	const char *name;             /* of the root's sandbox; NULL: the root is none */
	const char *image;            /* of the root; NULL: layers without a name */
	const char *kind;             /* "directory", "quota", "image", "memory" */
	bool keep;
	bool keeps_projects;          /* its processes may not move files to another project (quota.h) */
};

/* One line of `list`. */
struct rt_summary {
	const char *id, *status, *bundle, *rootfs, *created, *cgroup, *isolation;
	const char *cpu_group;        /* "" outside of every group */
	const struct rt_sandbox *sandbox; /* of the root; NULL: none */
	pid_t pid;                    /* 0 when stopped */
	uid_t owner;                  /* of the state directory */
	const char *oci_version;
	const struct spec_key_value *annotations;
	size_t n_annotations;
};

/* Fills in what the state document says about a sandbox, with space for it. sandbox may be NULL. */
void rt_show_sandbox(const struct rt_sandbox *sandbox, struct spec_sandbox *space, struct spec_state *doc);

/*
 * Every container below the root, sorted by id. An entry that cannot be read is
 * skipped with a warning in the log. A root that is missing is empty when it is the
 * default one, else -ENOENT.
 */
int rt_list(const struct rt_context *ctx, struct arena *a, struct rt_summary **ret, size_t *ret_n,
	    struct error *err);

/* Host pids of the container's whole cgroup subtree. None for a stopped container. */
int rt_pids(const struct rt_context *ctx, const char *id, struct arena *a, pid_t **ret, size_t *ret_n,
	    struct error *err);

/*
 * The processes in a container's virtual machine, as its guest numbers them, fit for a terminal. *ret_is_vm false: it has
 * none, and rt_pids() knows. None for a stopped container; -EAGAIN for a paused one.
 */
struct rt_guest_process {
	uint32_t pid, ppid, uid;
	uint64_t start_ms, cpu_ms; /* since the epoch; used */
	uint64_t rss;              /* bytes */
	const char *tty, *command;
};
int rt_guest_processes(const struct rt_context *ctx, const char *id, struct arena *a, bool *ret_is_vm,
		       struct rt_guest_process **ret, size_t *ret_n, struct error *err);

/*
 * `events`: calls emit with one JSON line each (no newline): statistics every
 * interval_ns, OOM at once, until the container stops. once: one line of statistics.
 */
int rt_events(const struct rt_context *ctx, const char *id, int64_t interval_ns, bool once,
	      int (*emit)(const char *line, void *data), void *data, struct error *err);

/*
 * CPU groups (cgroups/cpugroup/cpugroup.h) as far as containers are concerned. The leaf of a member is
 * <base>/<group>/<id>. --cpu-group, the annotation dev.bulkhead.cpu-group and a cgroupsPath below the base say the
 * same thing; two that differ are -EINVAL with both. No leaf is made in a directory that is no group (-ENOENT).
 */
struct rt_move_options {
	int timeout_ms;           /* for the freezer; 0: 10 s */
	uint64_t residual_limit;  /* bytes of memory that may stay charged behind unremarked; 0: 1 MiB */
	bool require_clean;       /* refuse (-EBUSY) when more would stay */
	bool check;               /* verdict only */
};
struct rt_moved {
	char from[4096], to[4096]; /* leaves, paths in the tree */
	bool same;                /* it was there already */
	bool residual;            /* the old leaf stays because memory is charged to it */
	uint64_t residual_bytes;
	size_t processes;
};
/*
 * Moves a created, running or paused container to another group ("/": none: beside the base's other containers), limits
 * and sub-cgroups with it. An intent record (<root>/<id>/move.json) makes it crash-safe: the next command that takes
 * the container's lock, and rt_group_repair(), finish or undo it. The old leaf, when memory stays charged to it, is
 * remembered in the state and removed with the container, or by the next move or repair that finds it empty.
 */
int rt_group_move(const struct rt_context *ctx, const char *id, const char *group, const struct rt_move_options *opt,
		  struct rt_moved *ret, struct error *err);
/* id NULL: every container of this root. Calls tell for each thing it did; *ret_n counts them. */
int rt_group_repair(const struct rt_context *ctx, const char *id, void (*tell)(const char *line, void *data), void *data,
		    size_t *ret_n, struct error *err);

/* A member of a group as the runtime knows it; a leaf that another state root or engine made has no state here. */
struct rt_group_member {
	const struct rt_summary *container; /* NULL: of another root */
	const char *id, *group, *cgroup;
	uint64_t n_pids, usage_usec, memory_current;
	const char *cpu_max;
	const char *status;                 /* container's, else "running", "paused" or "stopped" by the leaf */
};
/* Members of a group, deep: of the groups below it, too. group "/": the containers of this root in no group. */
int rt_group_members(const struct rt_context *ctx, const char *group, bool deep, struct arena *a,
		     struct rt_group_member **ret, size_t *ret_n, struct error *err);
/* Sends a signal to the init of every member of this root; to the processes of a leaf that is unknown here only SIGKILL. */
int rt_group_signal(const struct rt_context *ctx, const char *group, int signo, struct error *err);
/* signo to each init, then, after timeout_ms, SIGKILL to the whole group; returns when nobody is left. */
int rt_group_stop(const struct rt_context *ctx, const char *group, int signo, int timeout_ms, struct error *err);

/*
 * How a container's memory ended it: filled when memory.events of the leaf or a cgroup above it, up to the group,
 * counts a kill. Kept in the state directory (exit.json) when the container ends under `run` or a delete sees it.
 */
struct rt_oom {
	uint64_t kills;
	const char *cgroup;       /* the one whose limit was hit: the leaf, or the group above it */
	uint64_t limit, peak;     /* bytes; UINT64_MAX: unknown */
	bool is_guests;           /* the guest's kernel did it, in the container's virtual machine; cgroup is "" */
};

/*
 * The user that an image's config or a person names: "" (root), USER, UID, USER:GROUP, UID:GID or a mix, looked up in
 * /etc/passwd and /etc/group below root_fd. A UID alone has the group of its entry, else 0; the groups that name a user
 * as their member are those of a USER alone. -EINVAL: no such user, a number out of range. Bounded, and never outside.
 */
int rt_user_resolve(int root_fd, const char *text, struct arena *a, struct spec_user *ret, struct error *err);
/* Does that take a look into the files? */
bool rt_user_needs_files(const char *text);

/*
 * What a container did to its files (overlay/changes.h). id names a container that has a sandbox, else a sandbox that was
 * kept in the store. A running container is frozen while its files are read and no longer, also when
 * the command is killed meanwhile; one that was paused stays so. TEXT_NOT_EXIST when there is neither; -ENOTSUP for a
 * container whose root filesystem is its caller's.
 */
int rt_diff(const struct rt_context *ctx, const char *id, int (*tell)(void *data, const struct ovl_diff *d), void *data,
	    struct arena *a, struct error *err);
/* o->before and after are filled in. */
int rt_commit(const struct rt_context *ctx, const char *id, const struct ovl_commit *o, struct arena *a,
	      struct ovl_committed *ret, struct error *err);
int rt_sandbox_export(const struct rt_context *ctx, const char *id, int fd, enum ovl_compression c, struct arena *a,
		      struct error *err);

/* Is this id well-formed ([A-Za-z0-9_+.-]+, not "." or "..", at most 1024 bytes)? */
int rt_check_id(const char *id, struct error *err);
