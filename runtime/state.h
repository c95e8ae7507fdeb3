/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * state - the directory that remembers a container between commands
 *
 *	<root>/<id>/            0700; making it reserves the id; flock()ed by whoever changes the container
 *	<root>/<id>/cgroup      symlink whose text is the cgroup's path: written before the cgroup is made, so
 *	                        that a crash at any later moment leaves enough to find and kill everything
 *	<root>/<id>/unit        likewise the name of systemd's unit, when systemd makes the cgroup
 *	<root>/<id>/sandbox     likewise what the container has in a store of image layers (storage.h)
 *	<root>/<id>/config.json the bundle's config as it was at create (runtime.md Lifecycle: later edits change nothing)
 *	<root>/<id>/state.json  written once, by rename, when init has been built and verified
 *	<root>/<id>/exec.fifo   present while created: start writes one byte
 *	<root>/<id>/status.fifo how the stub tells start what became of the execve
 *	<root>/<id>/notify/     the sd_notify socket, when NOTIFY_SOCKET was set
 *	<root>/<id>/move.json   a move to another CPU group is going on or was cut short (group_record.h)
 *	<root>/<id>/exit.json   the container's memory ended it (oom_record.h)
 *	<root>/<id>/vm.sock     where the process of a virtual machine takes commands (vm/session/)
 *	<root>/<id>/vm.record   what it left behind (vm_record.h)
 *	<root>/.kvm@            the KVM of this boot was seen to work (vm_host.c)
 *	<root>/.attended@/<id>   locked by the command that the container must not outlive (attended.h)
 *	<root>/.seccomp@/        compiled filters; '@' cannot be part of an id
 *
 * The status is never stored: it follows from the process, the fifo and the
 * cgroup, so no crash can make it wrong.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/runtime.h"
#include "runtime/launch/launch.h"
#include "spec/base/arena.h"
#include "spec/base/error.h"
#include "spec/spec.h"

#define STATE_EXEC_FIFO   LAUNCH_GO_FIFO
#define STATE_STATUS_FIFO LAUNCH_STATUS_FIFO
#define STATE_NOTIFY_DIR  "notify"
#define STATE_ATTENDED    "attended" /* attended.h */

/* A leaf that a move left behind because memory stays charged to it. */
struct rt_residual {
	const char *cgroup;
	uint64_t inode;           /* another cgroup of that name, made later, is not ours to remove */
};

enum rt_status { RT_CREATING, RT_CREATED, RT_RUNNING, RT_PAUSED, RT_STOPPED };

/* What state.json holds. */
struct rt_state {
	const char *id;
	const char *bundle, *rootfs, *created;
	const char *program;      /* process.args[0], for messages */
	pid_t pid;
	uint64_t start_time;      /* proc_stat.start_time of pid: together they name the process */
	uint64_t pidfd_id;        /* proc_pidfd_id(): finer than a clock tick; 0 on kernels without */
	int64_t boot_time;        /* of the boot that pidfd_id belongs to, seconds; see state.c */
	const char *cgroup_dir;   /* absolute directory of the leaf */
	const char *cgroup;       /* path in the v2 tree */
	const char *unit;         /* of systemd's whose cgroup it is; NULL or "": none */
	unsigned ns_kinds;        /* ns_kinds() */
	bool has_hooks;           /* config.json has poststart, startContainer or poststop hooks */
	const char *keyring;      /* name of the session keyring, "" with --no-new-keyring */
	bool has_notify;          /* notify/ exists */
	bool reset_signals;       /* start has to tell the stub so (launch.h) */
	bool has_exec_config;     /* config.json has linux members that also hold for exec */
	bool is_vm;
	bool may_be_traced;       /* launch_may_be_traced() */
	const struct spec_key_value *annotations;
	size_t n_annotations;
	struct rt_sandbox *sandbox; /* NULL: nothing of an image store */
	const char *resources;    /* JSON of resources changed by update, or NULL */
	const struct rt_residual *residuals;
	size_t n_residuals;
	uid_t owner;              /* of the directory; filled by state_load() when asked for */
};

/* The name of a status as the state document spells it. */
const char *state_status_name(enum rt_status status);

/* Opens the state root, making it (0700) when `make`. */
int state_open_root(const struct rt_context *ctx, bool make, struct error *err);

/* Makes and locks <root>/<id>. TEXT_EXISTS when it is there. Returns the directory fd. */
int state_reserve(const struct rt_context *ctx, const char *id, struct error *err);

enum state_access { STATE_SHARED, STATE_LOCKED };

/* The error for an id that names nothing. */
int state_no_such(const char *id, struct error *err);

/*
 * Opens <root>/<id>, with the lock (waits at most 10 s for it) or without. With the lock, a move that was cut short is
 * finished or undone first. TEXT_NOT_EXIST.
 */
int state_open(const struct rt_context *ctx, const char *id, enum state_access access,
	       struct error *err);

/* For a command that stays with its container: others may work on it meanwhile. */
void state_unlock(int dir_fd);
/* -ENOENT when the container has been deleted meanwhile. */
int state_lock_again(int dir_fd, const char *id, struct error *err);
/* The same for who made the directory, and asks state_is_there() when it finds nothing in it. */
int state_lock_own(int dir_fd, const char *id, struct error *err);
bool state_is_there(int dir_fd);

/* Notes the cgroup before it exists, and the config as it is now. */
int state_note_cgroup(int dir_fd, const char *path, struct error *err);
int state_note_unit(int dir_fd, const char *unit, struct error *err);
int state_note_config(int dir_fd, const struct spec *spec, struct error *err);
int state_note_sandbox(int dir_fd, const char *slots, const char *store, struct error *err);
/* After a move: another note in the place of the old one, at once. */
int state_note_other_cgroup(int dir_fd, const char *path, struct error *err);
/* The noted cgroup path, for a container that never got a state.json. -ENOENT. */
int state_noted_cgroup(int dir_fd, char *buf, size_t size);
int state_noted_unit(int dir_fd, char *buf, size_t size);
/* *ret points into buf, which holds slots first. */
int state_noted_sandbox(int dir_fd, char *buf, size_t size, struct rt_sandbox *ret);
void state_drop_note_of_sandbox(int dir_fd);

int state_save(int dir_fd, const struct rt_state *state, struct error *err);

/*
 * Reads state.json. -ENOENT (quietly, err untouched) when there is none: the
 * container is still being created, or its creation was cut short.
 */
int state_load(int dir_fd, const char *id, struct arena *a, struct rt_state *ret, struct error *err);

/* One open and one read without opening the directory: for commands that only look. */
int state_peek(const struct rt_context *ctx, const char *id, struct arena *a, struct rt_state *ret,
	       struct error *err);

/* dir_fd may be -1 after state_peek(): then paths are built from ctx and id. */
enum rt_status state_status(const struct rt_context *ctx, int dir_fd, const struct rt_state *state);

/* Without asking whether it waits for start: RT_RUNNING stands for RT_CREATED too. pidfd: of state->pid, or -1. */
enum rt_status state_status_of_init(const struct rt_state *state, int pidfd);

/* A descriptor of the container's cgroup directory. */
int state_open_cgroup(const struct rt_state *state, struct error *err);

/* When the machine was started, in seconds: what state.json keeps beside a pidfd's number. */
int64_t state_boot_time(void);

/* The process is there and is the one that was created. */
bool state_is_alive(const struct rt_state *state);
/* The same by a pidfd of state->pid that is open already. */
bool state_is_alive_by(const struct rt_state *state, int pidfd);

/* A pidfd of init, checked against the start time. TEXT_NOT_RUNNING when it is gone. */
int state_pidfd(const struct rt_state *state, struct error *err);

/* The config as it was at create. */
int state_load_config(int dir_fd, struct arena *a, struct spec **ret, struct error *err);

/* Removes what every container has. 0: that was all, and the id is free. 1: there is more, for state_remove(). */
int state_remove_usual(const struct rt_context *ctx, int dir_fd, const char *id, struct error *err);
/* Removes the files and the directory; the id is free afterwards. */
int state_remove(const struct rt_context *ctx, int dir_fd, const char *id, struct error *err);

/* The state document of a container in a given status, for hooks, listeners and `state`. */
void state_document(const struct rt_state *state, enum rt_status status, struct spec_state *ret);
