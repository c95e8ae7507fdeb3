/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay - what a client asks for: passed on to the agent under a number of ours, and the reply passed back
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "spec/base/auto.h"
#include "vm/session/core.h"

/* ---- to the agent ---- */

/* A request with the items of the client's, but those that the VMM alone may say. */
static int copy_items(struct buf *b, const void *payload, size_t n, bool is_exec)
{
	struct wire_reader reader = { .at = payload, .left = n };
	struct wire_item item;
	int r;

	while ((r = wire_next(&reader, &item)) > 0)
		if (!is_exec || (item.tag != WIRE_T_PROCESS && item.tag != WIRE_T_STDIO))
			wire_add(b, item.tag, item.bytes, item.n);
	return r;
}

/* Which of the descriptors that came along is which stream (wire.h). Takes them. */
static int take_streams(struct client *cl, const void *payload, size_t n, struct streams *ret,
			struct error *err)
{
	struct wire_item item;
	uint32_t use[4];

	*ret = (struct streams){ .fds = { -1, -1, -1 } };
	if (!wire_find(payload, n, WIRE_T_STDIO, &item) || item.n != sizeof(use))
		return error_rule(err, EINVAL,
				  "a process is to be executed without a word about its streams");
	memcpy(use, item.bytes, sizeof(use));
	ret->is_terminal = use[3] == 1;
	for (unsigned i = 0; i < 3; i++) {
		if (use[i] == 0)
			continue;
		if (use[i] > cl->n_fds || cl->fds[use[i] - 1] < 0 || (ret->is_terminal && i > 0)) {
			for (unsigned k = 0; k < i; k++)
				auto_closep(&ret->fds[k]);
			return error_rule(err, EINVAL, "stream %u has no descriptor of its own", i);
		}
		ret->fds[i] = TAKE_FD(cl->fds[use[i] - 1]);
	}
	if (ret->is_terminal && ret->fds[0] < 0)
		return error_rule(err, EINVAL, "a process with a terminal has none");
	return 0;
}

static struct request *new_request(struct client *cl, const struct wire_header *h,
				   struct error *err)
{
	struct core *c = cl->core;
	struct request *r = NULL;

	if (!channel_is_full(c, h->size + 1024))
		r = channel_request(c, h->type, cl, h->id);
	if (!r)
		error_rule(err, EAGAIN,
			   "the guest has not answered too many requests before this one");
	return r;
}

static int relay_exec(struct client *cl, const struct wire_header *h, const void *payload,
		      struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	struct core *c = cl->core;
	struct streams streams;
	uint32_t stdio[4];
	struct request *r = new_request(cl, h, err);

	if (!r)
		return -EAGAIN;

	size_t at = wire_begin(&b, WIRE_EXEC, r->id);
	int result = copy_items(&b, payload, h->size, true);

	if (result < 0)
		error_rule(err, EPROTO, "a request of a command is broken");
	else
		result = take_streams(cl, payload, h->size, &streams, err);
	if (result == 0)
		result = process_new(c, &streams, cl, &r->process, stdio, err);
	if (result < 0) {
		channel_forget(c, r);
		return result;
	}
	wire_add_u32(&b, WIRE_T_PROCESS, r->process->number);
	wire_add(&b, WIRE_T_STDIO, stdio, sizeof(stdio));
	wire_end(&b, at);
	channel_send(c, &b);
	return 0;
}

static int relay(struct client *cl, const struct wire_header *h, const void *payload,
		 struct error *err)
{
	auto_buf struct buf b = BUF_INIT;
	struct request *r = new_request(cl, h, err);

	if (!r)
		return -EAGAIN;

	size_t at = wire_begin(&b, h->type, r->id);

	if (copy_items(&b, payload, h->size, false) < 0) {
		channel_forget(cl->core, r);
		return error_rule(err, EPROTO, "a request of a command is broken");
	}
	wire_end(&b, at);
	channel_send(cl->core, &b);
	return 0;
}

static void reply_done(struct client *cl, uint32_t id)
{
	auto_buf struct buf b = BUF_INIT;

	wire_end(&b, wire_begin(&b, WIRE_REPLY, id));
	client_send(cl, &b);
}

void relay_request(struct client *cl, const struct wire_header *h, const void *payload)
{
	struct error err = ERROR_INIT;
	struct core *c = cl->core;
	int r = 0;

	if (h->type == WIRE_RESUMED || h->type == WIRE_WATCH) {
		if (h->type == WIRE_RESUMED)
			c->host.resumed(c->host.arg);
		else
			cl->wants_events = true;
		reply_done(cl, h->id);
		return;
	}
	if (!wire_is_request(h->type) || h->type == WIRE_START)
		r = error_rule(&err, EPROTO, "a virtual machine knows no request %u", h->type);
	else if (c->state == CORE_BOOTING || c->state == CORE_MAKING)
		r = error_rule(&err, EAGAIN, "the container is being made");
	else if (c->state >= CORE_DRAINING)
		r = error_rule(&err, ESRCH, "the container has ended");
	else if (h->type == WIRE_EXEC)
		r = relay_exec(cl, h, payload, &err);
	else
		r = relay(cl, h, payload, &err);
	if (r < 0)
		client_refuse(cl, h->id, &err);
}

/* ---- from the agent ---- */

/* -EPROTO: the agent speaks of another process than was asked for. */
static int take_exec(struct core *c, const struct request *r, const void *payload, size_t n)
{
	struct process *p = r->process;
	struct wire_item item;
	uint32_t number;

	if (wire_find(payload, n, WIRE_T_ERROR, &item)) {
		process_free(c, p);
		return 0;
	}
	if (wire_get_u32(payload, n, WIRE_T_PROCESS, &number) < 0 || number != p->number)
		return -EPROTO;
	p->state = PROCESS_LIVE;
	if (p->is_unwanted)
		channel_signal(c, p->number, SIGKILL);
	return 0;
}

void relay_reply(struct core *c, const struct request *request, const void *payload, size_t n)
{
	auto_buf struct buf b = BUF_INIT;
	struct request r = *request;

	if (r.type == WIRE_EXEC && take_exec(c, &r, payload, n) < 0) {
		core_break(c, "a reply speaks of another process");
		return;
	}
	if (!r.client)
		return;

	size_t at = wire_begin(&b, WIRE_REPLY, r.client_id);

	buf_add(&b, payload, n);
	wire_end(&b, at);
	client_send(r.client, &b);
}
