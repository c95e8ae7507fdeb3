/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm/wire - what a command, the VMM and the agent in the guest say to each other
 *
 *	command ──(socket in the state directory)── VMM ──(port 1 of the console)── agent
 *
 * Both are byte streams of frames: a header, then a payload of items (tag, size, bytes; each begins at
 * a multiple of four). Numbers are little-endian. A command speaks to the agent through the VMM, which
 * lets only what wire_is_request() knows through, gives each request a number of its own on the channel and each
 * stream a port. So one agent serves many commands at once, and none can pretend to be another.
 *
 * The agent believes the VMM. The VMM and commands believe nothing that comes from the guest: a frame is bounded, an
 * item is bounded by its frame, and what is shown to a person goes through error_take() or the like.
 *
 * A request has one reply (WIRE_REPLY) with its id: WIRE_ERROR in it, or what was asked for. Requests are
 * answered in any order. Events have id 0.
 *
 * The agent is of the same build as its VMM. A command may be of another: the VMM's first frame on a socket is
 * WIRE_HELLO, and a command of another WIRE_VERSION ends with -EPROTO. wire_version is all that never changes.
 *
 * The shares of the guest (virtiofs tags):
 *	"root"     the container's root filesystem
 *	"volumes"  what is bound from the host: "m<i>" is the source of /mounts/<i> of the config, "x<i>" that of
 *	           the i-th WIRE_MOUNT. Missing when there is none.
 *
 * Ports are numbered through all consoles of the guest: 0 to WIRE_PORTS_FIRST - 1 belong to the first one, where 0 is the
 * kernel's and 1 this channel, each WIRE_PORTS_MORE after them to a further one, in the order of ACPI's names. A further
 * console is there when one of its ports is first named, and no driver uses it before.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/base/buf.h"
#include "spec/base/error.h"

enum { WIRE_VERSION = 2 };

enum { WIRE_PORTS_FIRST = 5, WIRE_PORTS_MORE = 9 };

enum {
	WIRE_MAX_REQUEST = 8 << 20, /* of a payload to the guest: a config and its filter */
	WIRE_MAX_REPLY = 1 << 20,   /* of a payload from the guest */
	WIRE_MAX_DATAGRAM = 8192,
};

struct wire_header {
	uint32_t size; /* of the payload */
	uint32_t type; /* enum wire_type */
	uint32_t id;   /* of the request; 0: an event */
};

enum wire_type {
	/* agent → VMM, VMM → command */
	WIRE_HELLO = 1,  /* VERSION, KERNEL: the guest is up and waits for WIRE_CREATE. On the socket: VERSION */
	WIRE_REPLY,      /* ERROR, or as below */
	WIRE_EXITED,     /* PROCESS, STATUS; its streams have been closed before */
	WIRE_OOM,        /* OOM: the guest's kernel killed something of the container's for lack of memory */
	WIRE_QUESTION,   /* DATAGRAM: to the name server that WIRE_T_NAMES spoke of. An answer comes, or does not */

	/* VMM → agent: once, the first of all. CONFIG, ID, STDIO, TIME, ENTROPY and what there is of FILTER, KEYRING, MOUNT, NET, … */
	WIRE_CREATE = 16, /* replied to when everything is built and the program waits */

	/*
	 * VMM → agent, not replied to: PORT: the host's end of this stream's input is at its end, and all that came
	 * before is in the guest's queue. The console says the same by closing the port, but a guest that opens it
	 * late cannot tell one that was closed from one that is still to be opened.
	 */
	WIRE_ENDED,

	WIRE_ANSWER, /* VMM → agent, not replied to: DATAGRAM, from that name server */

	/* command → VMM → agent */
	WIRE_START = 32, /* replied to when the program runs: startContainer hooks first, then its execve() */
	WIRE_EXEC,       /* PROCESS_JSON, ARG, VARIABLE, CWD, FILTER, STDIO; descriptors beside it. REPLY: PROCESS, GUEST_PID, when the program runs */
	WIRE_SIGNAL,     /* PROCESS, SIGNAL; ALL: every process of the container */
	WIRE_RESIZE,     /* PROCESS, ROWS, COLUMNS */
	WIRE_PS,         /* REPLY: a PS item for each process */
	WIRE_STATS,      /* REPLY: STATS */
	WIRE_UPDATE,     /* RESOURCES: what the guest's cgroup enforces (memory, pids, …) */
	WIRE_SYNC,       /* REPLY: what was written is at the host (syncfs of every share) */

	/* command → VMM */
	WIRE_RESUMED = 64, /* the leaf was thawed: the guest's clock is told (KVM_KVMCLOCK_CTRL) */
	WIRE_WATCH,        /* from now on events (OOM) come on this socket; REPLY at once */
};

enum wire_tag {
	WIRE_T_VERSION = 1,  /* u32 */
	WIRE_T_ERROR,        /* struct error */
	WIRE_T_KERNEL,       /* text: release of the guest's kernel */
	WIRE_T_PROCESS,      /* u32: 0 is the container's first one, others are numbered by the VMM */
	WIRE_T_STATUS,       /* u32: exit code as a shell reports it (128 + signal) */
	WIRE_T_CONFIG,       /* text: config.json as the bundle has it */
	WIRE_T_ID,           /* text: the container's id */
	WIRE_T_BUNDLE,       /* text: for the state that hooks read */
	WIRE_T_STDIO,        /* u32[4]: ports of 0, 1, 2 (0: the null device); 1 when [0] is a terminal for all three. On the socket: which of the descriptors beside it, counted from 1 */
	WIRE_T_FILTER,       /* u32 flags, then struct sock_filter[]: the compiled seccomp profile */
	WIRE_T_KEYRING,      /* text: name of the session keyring; absent: none */
	WIRE_T_MOUNT,        /* struct spec_mount as "destination\0option\0option\0…": the i-th is share volumes, "x<i>" */
	WIRE_T_NET,          /* see spec/base/netconf.h; absent: the guest has loopback alone */
	WIRE_T_TIME,         /* u64: CLOCK_REALTIME in nanoseconds */
	WIRE_T_ENTROPY,      /* bytes for the guest's random number generator */
	WIRE_T_ENV,          /* text K=V: further environment that wins over the config's */
	WIRE_T_PROCESS_JSON, /* text: a process object */
	WIRE_T_SIGNAL,       /* u32 */
	WIRE_T_ALL,          /* empty */
	WIRE_T_ROWS,         /* u32 */
	WIRE_T_COLUMNS,      /* u32 */
	WIRE_T_GUEST_PID,    /* u32: of a process, as the container sees it */
	WIRE_T_PS,           /* struct wire_ps, then its command line, NULs for blanks between arguments */
	WIRE_T_STATS,        /* struct wire_stats */
	WIRE_T_RESOURCES,    /* text: a resources object */
	WIRE_T_OOM,          /* struct wire_oom */
	WIRE_T_MEMORY,       /* u64: bytes of the guest's memory */
	WIRE_T_PORT,         /* u32 */
	WIRE_T_DEBUG,        /* empty: the agent tells on its console what it does */
	WIRE_T_ARG,          /* text, maybe no UTF-8, which JSON cannot hold: one of a process's args, in their order, in place of PROCESS_JSON's */
	WIRE_T_VARIABLE,     /* likewise: one of its env */
	WIRE_T_CWD,          /* likewise */
	WIRE_T_NAMES,        /* u8[4]: a loopback address; the host has a name server there that the guest cannot reach */
	WIRE_T_DATAGRAM,     /* bytes, WIRE_MAX_DATAGRAM at most */
	WIRE_T_VOLUME,       /* struct wire_volume: the attributes that a mount of it has on the host */
};

/* All numbers in the container's own view: its pid namespace and its user ids. Times in milliseconds. */
struct wire_ps {
	uint32_t pid, ppid, uid, threads;
	uint64_t start_ms; /* since the epoch */
	uint64_t cpu_ms;
	uint64_t rss;      /* bytes */
	char state;        /* as in /proc/<pid>/stat */
	char tty[15];      /* "pts/0", "?" */
	char name[16];     /* comm */
};

/* Of the container's cgroup in the guest. UINT64_MAX: unknown, or no limit. */
struct wire_stats {
	uint64_t memory_current, memory_peak, memory_limit, memory_file, memory_anon, swap_current;
	uint64_t oom, oom_kill, failcnt;
	uint64_t pids_current, pids_limit;
	uint64_t guest_total, guest_available; /* MemTotal and MemAvailable of the guest */
};

struct wire_volume {
	uint32_t is_extra; /* of the share volumes: "x<number>", else "m<number>" */
	uint32_t number;
	uint32_t attr;     /* MOUNT_ATTR_… of mount_setattr(2) */
};

struct wire_oom {
	uint64_t kills;       /* so far */
	uint64_t limit, peak; /* bytes; UINT64_MAX: unknown */
};

/* ---- writing ---- */

/* Begins a frame in b and returns where; wire_end() fills in its size. Items go in between. */
size_t wire_begin(struct buf *b, enum wire_type type, uint32_t id);
void wire_end(struct buf *b, size_t at);
void wire_add(struct buf *b, enum wire_tag tag, const void *bytes, size_t n);
void wire_add_text(struct buf *b, enum wire_tag tag, const char *text); /* without its NUL; NULL: nothing */
void wire_add_u32(struct buf *b, enum wire_tag tag, uint32_t value);
void wire_add_u64(struct buf *b, enum wire_tag tag, uint64_t value);
void wire_add_error(struct buf *b, const struct error *err);

/* ---- reading ---- */

struct wire_item {
	enum wire_tag tag;
	const void *bytes; /* in the payload; four-byte aligned when the payload is */
	size_t n;
};

struct wire_reader {
	const uint8_t *at;
	size_t left;
};

/* 1: *ret is the next item; 0: there is none; -EPROTO: the payload is broken. */
int wire_next(struct wire_reader *r, struct wire_item *ret);
/* The first item of a tag. False: none, or the payload is broken before it. */
bool wire_find(const void *payload, size_t n, enum wire_tag tag, struct wire_item *ret);
/* -EPROTO when it is missing or of another size. */
int wire_get_u32(const void *payload, size_t n, enum wire_tag tag, uint32_t *ret);
int wire_get_u64(const void *payload, size_t n, enum wire_tag tag, uint64_t *ret);
/* A NUL-terminated copy in b (appended); NULL when it is missing or holds a NUL. */
const char *wire_get_text(const void *payload, size_t n, enum wire_tag tag, struct buf *b);
/* 0, or the error of a reply as the caller's own. */
int wire_reply_error(const void *payload, size_t n, struct error *err);

/* May a command send this to the agent? */
bool wire_is_request(uint32_t type);

/* ---- collecting a stream ---- */

/* Bytes of a stream until a frame is whole. Bounded by max, whatever a header says. */
struct wire_inbox {
	struct buf data;
	size_t done; /* bytes at the beginning that are used up */
	size_t max;  /* of a payload */
};

#define WIRE_INBOX_INIT(most) { .data = BUF_INIT, .max = (most) }

/* Adds what was read. */
void wire_inbox_add(struct wire_inbox *in, const void *bytes, size_t n);
/*
 * 1: the next frame; *payload is valid until the next call with this inbox, and aligned. 0: not whole yet.
 * -EPROTO: a payload beyond max.
 */
int wire_inbox_next(struct wire_inbox *in, struct wire_header *ret, const void **payload);
void wire_inbox_release(struct wire_inbox *in);
