/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm/session - a container's life behind hardware, as its VMM leads it
 *
 * The process that calls vm_session_run() is the container's first one as far as the host is concerned: it turns the
 * machine's loop, speaks with the agent on port 1 (vm/wire/wire.h), serves commands on a socket, hands out ports for
 * streams, forwards signals, and ends as the container's program ends.
 *
 *	command          VMM                                     agent
 *	  create  ──────▶ boot … WIRE_HELLO ◀──────────────────────┤
 *	                  WIRE_CREATE ────────────────────────────▶ builds, waits
 *	          ◀ created()   ◀───────────────────── WIRE_REPLY ──┤
 *	  start   ──gate─▶ WIRE_START ─────────────────────────────▶ execve
 *	          ◀status─        ◀─────────────────── WIRE_REPLY ──┤
 *	  exec    ═socket▶ WIRE_EXEC, 3 descriptors ───────────────▶ …
 *
 * Nothing here resolves a path. With the jail, nothing here can.
 *
 * Bounded: the boot (boot_ms), the making of the container (create_ms). A guest that never answers later on delays
 * only those who ask it, whose deadlines are their own (client.h); signals that end a container do not ask it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "spec/base/buf.h"
#include "spec/base/error.h"
#include "vm/vm.h"

enum {
	VM_SESSION_CLIENTS = 64,
	VM_SESSION_GO = 'x', /* STUB_GO, STUB_GO_RESET */
	VM_SESSION_GO_RESET = 'r',
};

struct vm_session_config {
	const struct vm_config
		*machine; /* its loop_calls are not looked at: the session brings its own */

	/* Items of WIRE_CREATE, without WIRE_T_STDIO, WIRE_T_TIME and WIRE_T_ENTROPY, which the session adds. */
	const struct buf *create;

	int listen_fd; /* a listening AF_UNIX stream socket, for commands */

	/*
	 * The program's streams; -1: the null device. terminal: stdio[0] is the peer of a pty, made raw, and the
	 * controlling terminal of this process, which hears of SIGWINCH; it stands for all three. The session's.
	 */
	int stdio[3];
	bool terminal;

	/*
	 * As the stub has them (runtime/launch/stub/stub.h): one byte STUB_GO or STUB_GO_RESET on gate_fd releases the program,
	 * end of file or anything else ends it unstarted. Then status_fd is closed when the program runs; or a
	 * struct error is written to it, in one write, first. May be the same descriptor (a socket). Both are
	 * the session's.
	 */
	int gate_fd, status_fd;

	/* The container has been made, or it will never be (err): called once. Not called when a signal ends the wait. */
	void (*created)(void *arg, const struct error *err);
	/* The guest's kernel killed something of the container's for lack of memory. May be NULL. */
	void (*oom)(void *arg, uint64_t kills, uint64_t limit, uint64_t peak);
	void *arg;

	/*
	 * A datagram socket, connected to the name server that WIRE_T_NAMES in create speaks of: what the agent asks goes
	 * there and comes from there. The session's. 0: there is none.
	 */
	int names_fd;

	int boot_ms, create_ms; /* 0: 120 s */
	bool debug;
};

struct vm_session_end {
	int status; /* what this process is to exit with: the program's, 128 + signal, 126 or 127 when it could not be executed */
	bool guest_died; /* the guest ended before its program did: status is 128 + SIGKILL, err says why */
	struct vm_report report; /* of the machine; last_words when it died */
};

/*
 * Runs the container to its end. < 0: the machine could not be made or would not go on, or the guest died; *ret is filled
 * in then, too, and err is a sentence for a person with the guest's last words in it.
 *
 * All signals that can be caught are taken by the session: before the start SIGTERM, SIGINT, SIGQUIT and SIGHUP end
 * it with 128 + signal, as they end the stub; afterwards every signal goes to the program. SIGWINCH is a resize.
 */
int vm_session_run(const struct vm_session_config *config, struct vm_session_end *ret,
		   struct error *err);
