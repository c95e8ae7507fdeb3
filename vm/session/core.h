/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * core - what the files of this room share: the container's life as a state machine
 *
 * Knows no KVM. Frames come over a descriptor, ports are handed to whoever core_host names: all of it runs in a unit
 * test whose agent is a socket, and in a fuzzer.
 *
 * The guest is the enemy. A frame is acted on only in a state that allows it; a reply must be that of a request
 * that waits, an exit that of a process that lives; anything else ends the machine. What is kept for it has a bound: the
 * channel's two buffers, the tables below, a bucket for events.
 */

#include "vm/session/session.h"
#include "vm/virtio/virtio.h"
#include "vm/wire/wire.h"

enum {
	CORE_CHANNEL_PORT = 1,
	CORE_FIRST_PORT = 2, /* of streams */
	CORE_PROCESSES = 64, /* at once, with the first one */
	CORE_REQUESTS = 256, /* that wait for the agent */
	CORE_OWN_REQUESTS = 64, /* of these, ours: signals, sizes of the terminal */
	CORE_CLIENT_REQUESTS = 16, /* of one client */
	CORE_MAX_TO_GUEST = 2 * WIRE_MAX_REQUEST, /* bytes that the agent has not taken */
	CORE_MAX_TO_CLIENT = WIRE_MAX_REPLY + (64 << 10),
	CORE_READ = 64 << 10, /* bytes per turn of the loop */
	CORE_KEEP = 64 << 10, /* a buffer beyond it is given back when it is empty */
	CORE_MAX_ANSWERS = 256 << 10, /* bytes of answers and else before answers are dropped */
	CORE_DRAIN_MS = 5000,
	CORE_SYNC_MS = 60000, /* for a guest to write back what it holds of files */
	CORE_DEFAULT_MS = 120000,
};

/* What the machine does for the core. */
struct core_host {
	int (*attach)(void *arg, unsigned port, const struct virtio_port *config,
		      struct error *err);
	void (*detach)(void *arg, unsigned port);
	bool (*is_blocked)(void *arg, unsigned port); /* its reader takes nothing at the moment */
	void (*stop)(void *arg);
	void (*resumed)(void *arg);
	void (*ending)(void *arg); /* the guest writes back what it holds, and that is all */
	void *arg;
};

enum core_state {
	CORE_BOOTING, /* until WIRE_HELLO */
	CORE_MAKING, /* WIRE_CREATE was sent */
	CORE_WAITING, /* made; the gate is closed */
	CORE_STARTING, /* WIRE_START was sent */
	CORE_RUNNING,
	CORE_DRAINING, /* the program has ended, its output and its files are on their way */
	CORE_ENDED,
};

enum process_state {
	PROCESS_FREE,
	PROCESS_ASKED, /* the agent has not answered yet */
	PROCESS_LIVE,
	PROCESS_EXITED, /* its output is on its way */
};

struct client;

struct process { /* [0]: the container's first one */
	enum process_state state;
	uint32_t number;
	struct client *owner; /* who executed it; NULL: nobody, or gone */
	bool is_unwanted; /* its owner has gone before it was there */
	uint32_t status;
};

_Static_assert((int)WIRE_PORTS_FIRST == (int)VIRTIO_CONSOLE_FIRST && (int)WIRE_PORTS_MORE == (int)VIRTIO_CONSOLE_MORE,
	       "both sides find a port by its number");

struct port_use {
	struct process *process; /* NULL: free */
	unsigned stream; /* 0, 1 or 2 of it */
	bool is_closed; /* by the guest, and all it wrote is out */
};

struct request {
	uint32_t id; /* on the channel; 0: free */
	enum wire_type type;
	bool is_own;
	struct client *client; /* NULL: own, or gone */
	uint32_t client_id;
	struct process *process; /* of WIRE_EXEC */
};

struct client {
	struct core *core;
	int fd;
	struct wire_inbox in;
	struct buf out;
	size_t out_done;
	int fds[3]; /* that came with the frame which is being read */
	unsigned n_fds, n_requests;
	bool wants_events, is_doomed;
};

struct core {
	const struct vm_session_config *config;
	struct virtio_loop *loop;
	struct core_host host;

	enum core_state state;
	bool is_told; /* created() was called */
	bool is_refused; /* the agent would not make the container: failure says why */
	bool has_failed; /* the guest is of no use any more */
	bool is_drained, is_synced; /* the program's output is out; its files are at the host */
	int64_t exited_ms;
	struct error failure;
	int status;

	int channel_fd, timer_fd, signal_fd, gate_fd, status_fd, terminal_fd, names_fd;
	struct wire_inbox in;
	struct buf out;
	size_t out_done;

	struct request requests[CORE_REQUESTS];
	unsigned n_own;
	uint32_t last_id;
	struct process processes[CORE_PROCESSES];
	uint32_t last_process;
	struct port_use ports[VIRTIO_CONSOLE_PORTS];
	unsigned last_port; /* that a stream got */
	unsigned end_port; /* ports from here on belong to consoles that the guest has no driver for yet */
	struct client *clients[VM_SESSION_CLIENTS];
	unsigned n_clients;

	unsigned oom_tokens;
	int64_t oom_filled_ms;
};

/* ---- core.c: the life ---- */

/* Nothing waits yet; core_finish() and core_free() may follow. The descriptors of config are the core's. */
void core_clear(struct core *c, const struct vm_session_config *config);
/* Waits for the agent on channel_fd (not blocking, the core's), for clients, signals and the clock. */
int core_begin(struct core *c, struct virtio_loop *loop, const struct core_host *host,
	       int channel_fd, struct error *err);
/* The machine has ended: frames that were not looked at, then a last word to everybody. cause: why, when it failed. */
void core_finish(struct core *c, const struct error *cause);
void core_free(struct core *c);

/* The guest is of no use any more: the first reason counts. */
void core_fail(struct core *c, const struct error *why);
void core_break(struct core *c, const char *rule); /* it broke a rule of the protocol */
void core_end(struct core *c, int status);
void core_wait_for(struct core *c, int ms); /* 0: no deadline */

void core_on_frame(struct core *c, const struct wire_header *h, const void *payload);
void core_on_signal(struct core *c, int number);
void core_first_drained(struct core *c);

/* ---- channel.c: bytes to and from the agent, and who waits for a reply ---- */

int channel_begin(struct core *c, int fd);
void channel_end(struct core *c);
void channel_read_rest(struct core *c);
/* NULL: the table, or the client's share of it, is full. client NULL: our own. */
struct request *channel_request(struct core *c, enum wire_type type, struct client *client,
				uint32_t client_id);
struct request *channel_find(struct core *c, uint32_t id);
void channel_forget(struct core *c, struct request *r);
/* Sends what is in b and empties it. */
void channel_send(struct core *c, struct buf *b);
bool channel_is_full(const struct core *c, size_t n);
/* Our own: a signal for the first process, the size of its terminal, … Quietly dropped when too much waits. */
void channel_signal(struct core *c, uint32_t process, int number);
void channel_resize(struct core *c);

/* ---- process.c: processes, and the ports of their streams ---- */

struct streams {
	int fds[3]; /* -1: the null device; with a terminal [0] alone */
	bool is_terminal;
};

/* Takes the descriptors in any case. ret_stdio: WIRE_T_STDIO. -EAGAIN when there is no process or port left. */
int process_new(struct core *c, const struct streams *s, struct client *owner, struct process **ret,
		uint32_t ret_stdio[4], struct error *err);
struct process *process_find(struct core *c, uint32_t number);
void process_exited(struct core *c, struct process *p, uint32_t status);
void process_free(struct core *c, struct process *p);
void process_disown(struct core *c, struct client *owner);
void process_drain_late(struct core *c); /* what the guest did not close in time */
void process_finish_all(struct core *c);

/* ---- clients.c ---- */

int clients_begin(struct core *c, int listen_fd, struct error *err);
void clients_reap(struct core *c); /* at the end of each turn: who must go, goes */
void clients_end(struct core *c);
void client_send(struct client *cl, struct buf *b);
void client_refuse(struct client *cl, uint32_t id, const struct error *why);
void client_exited(struct client *cl, const struct process *p);
void clients_event(struct core *c, enum wire_type type, const void *payload, size_t n);

/* ---- relay.c: what a client asks for ---- */

void relay_request(struct client *cl, const struct wire_header *h, const void *payload);
void relay_reply(struct core *c, const struct request *r, const void *payload, size_t n);

/* ---- names.c ---- */

int names_begin(struct core *c, struct error *err);
void names_end(struct core *c);
void names_ask(struct core *c, const void *payload, size_t n);

/* ---- signals.c ---- */

int signals_begin(struct core *c, struct error *err);
void signals_read(struct core *c);

/* ---- clean.c ---- */

/* Text of the guest's in an error, made fit for a terminal: no control characters, well-formed. */
void clean_text(char *text);
void clean_error(struct error *err);
