/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * agent - the first process of a guest (README.md): what its files share
 *
 * One loop, one thread. What may wait for the container, or for a file of the host's, is done by a forked job
 * (job.c), so that no stream, signal or end of a process waits for it. Making the container is the exception: until
 * that is done there is nobody else to serve.
 */

#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#include "cgroups/cgroups.h"
#include "namespaces/namespaces.h"
#include "runtime/launch/launch.h"
#include "runtime/process/process.h"
#include "spec/base/arena.h"
#include "spec/base/buf.h"
#include "spec/base/error.h"
#include "spec/base/log.h"
#include "spec/spec.h"
#include "vm/wire/wire.h"

/* Where the shares are, as the agent sees them. */
#define AGENT_ROOT    "/root"
#define AGENT_VOLUMES "/volumes"
#define AGENT_CGROUP  "container"

enum { AGENT_BUFFER = 32768 };

/* ---- waiting (polls.c) ---- */

struct polls {
	struct pollfd *v;
	unsigned n, room;
	int timeout_ms; /* -1: for ever */
};

/* Where the descriptor's events will be found, or -1 for none. */
int polls_add(struct polls *p, int fd, short events);
short polls_events(const struct polls *p, int at);
/* Come back in ms at the latest. */
void polls_hurry(struct polls *p, int ms);
int64_t agent_now_ms(void);

/* ---- streams (stream.c) ---- */

/* One direction: bytes between. */
struct pump {
	char *bytes; /* AGENT_BUFFER of them; NULL: there is no such direction */
	size_t from, to;
	bool has_ended; /* nothing more comes */
};

/* A port of the console, and what the program has at its end of it. */
struct stream {
	unsigned port;      /* 0: there is no stream */
	int port_fd;        /* -1: its node is not there yet, or it is closed again */
	int fd;             /* our end of the pipe, or the master of the terminal; -1 */
	bool is_terminal;
	bool was_connected; /* the host's end has been seen */
	bool host_ended;    /* WIRE_ENDED came */
	bool is_finished;
	int64_t since_ms;   /* the last progress */
	struct pump in, out; /* to the program, from it */
	int at_port, at_fd; /* in polls */
};

/* Port for one of 0, 1, 2; with *ret_child the program's end of the pipe. */
int stream_begin(struct stream *s, unsigned port, int stream, int *ret_child, struct error *err);
void stream_begin_terminal(struct stream *s, unsigned port);
void stream_take_master(struct stream *s, int master);
void stream_watch(struct stream *s, struct polls *p);
void stream_turn(struct stream *s, const struct polls *p);
/* The program is gone: takes what is in the pipe and no more. True once all is written, or nobody wants it. */
bool stream_drain(struct stream *s);
void stream_end(struct stream *s);
/* Waits until the nodes of the ports are there. */
int stream_wait(struct stream *s, int timeout_ms, struct error *err);

/* ---- names (names.c) ---- */

enum { NAMES_ASKED = 256 };

/* Who asked what, by the number that the question has on its way. */
struct names {
	int fd, at; /* the socket that stands for the host's name server; -1: there is none */
	uint16_t last;
	struct {
		struct sockaddr_in who;
		uint16_t theirs, ours;
		bool is_open;
	} asked[NAMES_ASKED];
};

struct agent;

/* Loopback is up. address: of WIRE_T_NAMES. */
int names_begin(struct names *s, const uint8_t address[static 4], struct error *err);
void names_watch(struct agent *a);
void names_turn(struct agent *a);
/* A WIRE_ANSWER. */
void names_answer(struct agent *a, const void *payload, size_t n);

/* ---- processes (process.c) ---- */

enum { PROCESS_STREAMS = 3 };

struct process {
	struct process *next;
	uint32_t id;    /* of WIRE_T_PROCESS */
	pid_t pid;      /* 0: not yet */
	bool is_wanted; /* somebody was told that it is there: WIRE_EXITED is owed */
	bool has_exited;
	int status;     /* as waitpid() has it */
	struct stream streams[PROCESS_STREAMS];
	int child_fds[PROCESS_STREAMS]; /* the program's ends, until it has them; -1: the null device */
	bool is_terminal;
	struct winsize size;
	bool has_size;
};

/* Makes the entry and the streams that WIRE_T_STDIO of the payload asks for. */
int process_new(struct agent *a, uint32_t id, const void *payload, size_t n, uint32_t uid, struct process **ret,
		struct error *err);
void process_close_child_fds(struct process *p);
struct process *process_find(struct agent *a, uint32_t id);
void process_free(struct agent *a, struct process *p);
/* Every child that ended: processes, jobs, orphans. */
void process_reap(struct agent *a);
void process_turn(struct agent *a);
void process_watch(struct agent *a);
int process_signal(struct agent *a, const void *payload, size_t n, struct error *err);
int process_resize(struct agent *a, const void *payload, size_t n, struct error *err);
void process_input_ended(struct agent *a, uint32_t port);

/* ---- jobs (job.c) ---- */

struct job {
	struct job *next;
	uint32_t id;       /* of the request */
	pid_t pid;
	int out;           /* payload of the reply, until end of file */
	int sock;          /* stages with descriptors; -1 */
	int at_out, at_sock;
	struct buf reply;
	struct process *process; /* of an exec */
};

/* What a job does, in a process of its own: fills in the reply. sock: to the agent (stages.h). */
typedef int job_fn(struct agent *a, struct job *j, const void *payload, size_t n, int sock, struct buf *reply,
		   struct error *err);

int job_start(struct agent *a, uint32_t id, job_fn *fn, struct process *process, const void *payload, size_t n,
	      struct error *err);
void job_watch(struct agent *a);
void job_turn(struct agent *a);
/* Is it a job that ended? Then all it said is taken. */
bool job_reaped(struct agent *a, pid_t pid);

/* ---- the container ---- */

struct container {
	bool is_made, is_released;
	struct arena *arena;
	struct spec *spec;
	const char *id, *bundle;
	struct ns_plan *ns;
	unsigned kinds;
	struct proc_seccomp seccomp;
	struct proc_plan proc;
	struct cg_plan cg;
	struct cg_host host;
	int cgroup_fd, memory_events, at_memory;
	uint64_t oom_kills;
	char **extra_env;
	const char *keyring;
	struct ns_extra_mount *extra_mounts;
	struct spec_mount *extra_binds; /* of each of them */
	size_t n_extra_mounts;
	const struct spec_key_value *net_sysctls; /* of the guest's one network namespace */
	size_t n_net_sysctls;
	struct launch launch;
	struct process *init;
	uint32_t start_id; /* of the request to start, until it is answered */
	int shares[2];
};

struct agent {
	struct log log;
	int console;
	int modules; /* of the first root: those that are not loaded yet; -1 */
	int channel, at_channel;
	int signals, at_signals;
	struct wire_inbox in;
	struct buf out;
	size_t out_done;
	struct polls polls;
	struct process *processes;
	struct job *jobs;
	struct names names;
	struct container container;
};

/* channel.c */
int channel_open(struct agent *a, struct error *err);
void channel_watch(struct agent *a);
void channel_turn(struct agent *a);
/* A frame: fill b between. */
size_t channel_begin(struct agent *a, enum wire_type type, uint32_t id);
void channel_send(struct agent *a, size_t at);
void channel_reply(struct agent *a, uint32_t id, const struct error *err);

/* serve.c */
void serve(struct agent *a, const struct wire_header *h, const void *payload);

/* system.c: the guest itself */
int system_begin(struct agent *a, struct error *err);
int system_prepare(struct agent *a, const void *payload, size_t n, struct error *err);
/* What no program waits for. */
void system_load_late(struct agent *a);
bool system_has_swap(void);
int system_mount_share(const char *tag, const char *directory, struct error *err);
_Noreturn void system_end(const struct error *err);

/* adapt.c: pure */
struct agent_adapted {
	const struct spec_key_value *net_sysctls;
	size_t n_net_sysctls;
	bool has_volumes;
};
/* What of the bundle's config the guest is to do. Changes *spec. */
void agent_adapt(struct spec *spec, struct arena *a, struct agent_adapted *ret);
void agent_adapt_process(struct spec_process *process);
void agent_adapt_resources(struct spec_resources *res);
/* For a kernel without swap: memory and swap together are no more than the memory. What is refused elsewhere still is. */
void agent_limit_swap(struct spec_resources *res);
/* A WIRE_T_MOUNT, the i-th. -EPROTO. */
int agent_read_mount(const struct wire_item *item, size_t i, struct arena *a, struct spec_mount *ret);
/* A WIRE_T_VOLUME, for the mount that it is about. -EPROTO. */
int agent_read_volume(const struct wire_item *item, struct wire_volume *ret);
void agent_add_attributes(struct spec_mount *m, uint32_t attr, struct arena *a);
/* A WIRE_T_FILTER. */
int agent_read_filter(const void *payload, size_t n, struct arena *a, struct proc_seccomp *ret);
/* Every WIRE_T_ENV, NULL-terminated. */
char **agent_read_env(const void *payload, size_t n, struct arena *a);
/* What of a process object came in bytes of its own: WIRE_T_ARG, WIRE_T_VARIABLE, WIRE_T_CWD. */
void agent_read_bytes(const void *payload, size_t n, struct arena *a, struct spec_process *process);

/* create.c, init.c */
int container_create(struct agent *a, const void *payload, size_t n, struct error *err);
void container_child(struct launch *l, void *data);
void container_watch(struct agent *a);
void container_turn(struct agent *a);
/* What the host does not know of yet. */
void container_tell_oom(struct agent *a);
/* The facts of a process whose descriptors are the null device unless it is given others. */
extern const struct stdio_facts agent_stdio;

/* jobs: start.c, exec.c, measure.c */
job_fn job_start_container, job_exec, job_ps, job_stats, job_update, job_sync;
