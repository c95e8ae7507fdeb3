/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * client - a command's side of the socket of a VM (session.h)
 *
 * A guest may be stuck, stopped or hostile: every call has a deadline, and what comes from it is bounded.
 */

#include <stdbool.h>
#include <stdint.h>

#include "spec/base/buf.h"
#include "spec/base/error.h"
#include "vm/wire/wire.h"

struct vm_client {
	int fd;
	uint32_t last_id;
	struct wire_inbox inbox;
	struct buf exited; /* WIRE_EXITED that came while something else was waited for */
	bool has_told_exited;
};

#define VM_CLIENT_INIT \
	{ \
		.fd = -1, .inbox = WIRE_INBOX_INIT(WIRE_MAX_REPLY), .exited = BUF_INIT \
	}

enum { VM_CLIENT_TIMEOUT_MS = 10000 };

/* Takes a connected stream socket over and reads WIRE_HELLO. -EPROTO: of another version; -ETIMEDOUT. */
int vm_client_begin(struct vm_client *c, int fd, int timeout_ms, struct error *err);
void vm_client_end(struct vm_client *c);

/*
 * Sends a request (items: may be NULL; at most three fds go with it) and waits for its reply, whose payload stays valid
 * until the next call. An event that comes in between is dropped, but not WIRE_EXITED. An error in the reply is
 * this call's, fit for a terminal. -ETIMEDOUT: "the guest does not answer"; -ECONNRESET: the VMM is gone.
 */
int vm_client_ask(struct vm_client *c, enum wire_type type, const struct buf *items, const int *fds,
		  unsigned n_fds, int timeout_ms, const void **ret_payload, size_t *ret_n,
		  struct error *err);

/* Sends a request and does not wait: for who must not miss an event over it. The reply is skipped. */
int vm_client_post(struct vm_client *c, enum wire_type type, const struct buf *items,
		   int timeout_ms, struct error *err);

/* Waits for the next event (-1: for ever). 1: there is one; 0: time is up; -ECONNRESET. */
int vm_client_event(struct vm_client *c, int timeout_ms, struct wire_header *ret,
		    const void **ret_payload, struct error *err);
