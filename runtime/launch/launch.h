/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * launch - from a clone to the container's program
 *
 * What create, run and exec have in common: one clone3 straight into the cgroup,
 * a child that becomes the stub (runtime/launch/stub/), a gate the stub waits at, and
 * the parent's view of both. What the child does between its birth and the stub is
 * the callers' business (init.c, exec_child.c).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/process/process.h"
#include "runtime/launch/stdio.h"
#include "runtime/launch/stages.h"
#include "spec/base/log.h"

/* In the state directory. */
#define LAUNCH_GO_FIFO     "exec.fifo"
#define LAUNCH_STATUS_FIFO "status.fifo"

/* One of runtime/texts.h. */
#define LAUNCH_TEXT_OOM "container init was OOM-killed (memory limit too low?)"

/* How the stub is told to go on, and how it tells what became of its execve. */
enum launch_gate {
	GATE_SOCKET, /* run, exec: this command releases it */
	GATE_FIFO,   /* create: a later `start` does, through the fifos in the state directory */
};

struct launch {
	/* given by the caller */
	enum launch_gate gate;
	int state_dir_fd;      /* GATE_FIFO: where the fifos are made */
	int cgroup_fd;         /* -1: stay in the caller's */
	uint64_t clone_flags;  /* CLONE_NEW* */

	/* made here */
	int sync[2];           /* stages: [0] parent, [1] child */
	int gate_fd;           /* parent's end of the socket; -1 with fifos */
	int stub_go, stub_status; /* the stub's descriptors, in the child */
	int stub_fd;
	bool reset_signals;    /* our caller had signals ignored: the stub makes them default again */
	pid_t pid;             /* of the child, later of init */
	uint64_t start_time;   /* of that process, in ticks as proc_pid_stat(5) has it; 0: to be read there */
	int pidfd;
};

#define LAUNCH_INIT \
	{ .gate = GATE_SOCKET, .state_dir_fd = -1, .cgroup_fd = -1, .sync = { -1, -1 }, .gate_fd = -1, \
	  .stub_go = -1, .stub_status = -1, .stub_fd = -1, .pidfd = -1 }

/* Sockets or fifos, and the stub's image. */
int launch_prepare(struct launch *l, struct error *err);

/*
 * Clones. child(l, data) runs in the child and never returns; it gets a clean
 * signal mask and no handlers.
 */
int launch_clone(struct launch *l, void (*child)(struct launch *l, void *data), void *data,
		 struct error *err);

/*
 * The second clone, of init in a joined user namespace or of an exec into a container
 * that may trace (guard.h): called in the first child, returns 0 in the second; the
 * first reports the other's pid and exits.
 */
int launch_clone_again(struct launch *l, uint64_t flags, struct error *err);

/*
 * In the parent of a child that will clone again, before stage_recv(): the second child
 * keeps the socket open, so the death of the first is no end of file.
 */
int launch_wait_for_word(struct launch *l, int timeout_ms, struct error *err);

/* In the parent, at STAGE_PID: the second child takes the first one's place. */
int launch_take_over(struct launch *l, pid_t pid, struct error *err);

/* In the child: until the parent sends STAGE_GO. */
int launch_wait_for_go(struct launch *l, const char *what, struct error *err);

/* The child's failure report; never returns. */
_Noreturn void launch_fail(struct launch *l, const struct error *err);

/*
 * After STAGE_EOF: the stub runs and is what the plan says, or the child died on
 * the way and this says how. The end of file alone proves neither.
 */
int launch_verify(struct launch *l, const struct proc_plan *plan, struct error *err);

/* Opens the gate, then waits for the execve: 0 when the program runs, else the error of diagnose.h. */
int launch_release(struct launch *l, const char *program, struct error *err);

/* Kills the child and reaps it if it is ours. */
void launch_abort(struct launch *l);

/* The child's last act. */
struct launch_program {
	const struct spec_process *process;
	const struct proc_plan *plan;
	char *const *extra_env;       /* NULL-terminated K=V that win over process.env; may be NULL */
	uint32_t preserve_fds;        /* descriptors 3 … 2+n are the program's */
	int root_fd;                  /* the container's root, entered */
	int procfs_fd;                /* for LSM labels; -1 when none is asked for */
	int stdio[3];                 /* what becomes 0, 1, 2; -1: the caller's own */
	const struct stdio_facts *facts; /* of the caller's own */
	bool terminal;                /* they are a pty: make it the controlling terminal */
	bool clone_late;              /* children are born in the container's pid namespace: be one (guard.h) */
	bool init;                    /* default signals end the waiting stub */
	bool starts_later;            /* the gate is opened by another command */
};

/* In the child: a pty's master goes to the parent, its peer becomes the program's 0, 1 and 2. */
int launch_set_terminal(struct launch *l, struct launch_program *p, int master, int peer, struct error *err);

_Noreturn void launch_become(struct launch *l, const struct launch_program *p);

/* ---- who enters a container that may trace (runtime/guard.h) ---- */

/* May somebody in the pid namespace of this container trace a process of the user namespace that it was made in? */
bool launch_may_be_traced(const struct spec *spec);

/*
 * Can the process be cloned when its credentials are final already? Not under a filter, which
 * might forbid it; not with a scheduler that the child does not inherit; not when the
 * stub needs a procfs for a label: mounted from outside it would be the host's.
 */
bool launch_can_clone_late(const struct proc_plan *plan);
