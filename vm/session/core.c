/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core - from the guest's first word to its last: which frame, signal or byte at the gate leads where
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/session/core.h"

enum { ENTROPY_BYTES = 64, OOM_TOKENS = 16, OOM_TOKEN_MS = 1000, STATUS_QUIET = 255 };

static void on_gate(void *arg, uint32_t events);
static void on_synced(struct core *c);

/* ---- ends ---- */

/* The loop still has its turn to end: nothing that it brings changes anything. */
static bool is_over(const struct core *c)
{
	return c->state == CORE_ENDED || c->has_failed;
}

void core_end(struct core *c, int status)
{
	if (is_over(c))
		return;
	c->state = CORE_ENDED;
	c->status = status;
	c->host.stop(c->host.arg);
}

void core_fail(struct core *c, const struct error *why)
{
	if (is_over(c))
		return;
	c->has_failed = true;
	c->failure = *why;
	c->host.stop(c->host.arg);
}

void core_break(struct core *c, const char *rule)
{
	struct error why = ERROR_INIT;

	error_rule(&why, EPROTO, "the guest's agent does not keep to the protocol: %s", rule);
	core_fail(c, &why);
}

static void trace(const struct core *c, const char *step)
{
	struct timespec t;

	if (!c->config->machine->trace)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	c->config->machine->trace(c->config->machine->trace_arg, step,
				  (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec);
}

static void tell(struct core *c, const struct error *err)
{
	if (c->is_told)
		return;
	c->is_told = true;
	if (c->config->created)
		c->config->created(c->config->arg, err);
}

/* ---- the clock ---- */

static int64_t now_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void core_wait_for(struct core *c, int ms)
{
	struct itimerspec t = { .it_value = { .tv_sec = ms / 1000,
					      .tv_nsec = ms % 1000 * 1000000L } };

	timerfd_settime(c->timer_fd, 0, &t, NULL);
}

static int boot_ms(const struct core *c)
{
	return c->config->boot_ms > 0 ? c->config->boot_ms : CORE_DEFAULT_MS;
}

static int create_ms(const struct core *c)
{
	return c->config->create_ms > 0 ? c->config->create_ms : CORE_DEFAULT_MS;
}

/* The program has ended, and something that belongs to it has not: it is given up in time, unless a reader is slow. */
static void look_again(struct core *c)
{
	process_drain_late(c);
	if (c->state != CORE_DRAINING || c->is_synced)
		return;
	if (now_ms(CLOCK_MONOTONIC) - c->exited_ms > CORE_SYNC_MS)
		on_synced(c);
	else
		core_wait_for(c, CORE_DRAIN_MS);
}

static void on_time(void *arg, uint32_t events)
{
	struct error why = ERROR_INIT;
	struct core *c = arg;
	uint64_t times;

	(void)events;
	if (read(c->timer_fd, &times, sizeof(times)) != sizeof(times) || is_over(c))
		return;
	if (c->state == CORE_BOOTING) {
		error_rule(&why, ETIMEDOUT, "the guest was not up within %d s", boot_ms(c) / 1000);
		core_fail(c, &why);
	} else if (c->state == CORE_MAKING) {
		error_rule(&why, ETIMEDOUT, "the guest did not make the container within %d s",
			   create_ms(c) / 1000);
		core_fail(c, &why);
	} else {
		look_again(c);
	}
	clients_reap(c);
}

/* ---- from the boot to the gate ---- */

static void send_create(struct core *c)
{
	auto_buf struct buf b = BUF_INIT;
	struct request *r = channel_request(c, WIRE_CREATE, NULL, 0);
	uint8_t entropy[ENTROPY_BYTES];
	uint32_t stdio[4] = { 0, 0, 0, c->config->terminal };
	struct timespec t;

	for (unsigned i = 0; i < VIRTIO_CONSOLE_PORTS; i++)
		if (c->ports[i].process == &c->processes[0])
			stdio[c->ports[i].stream] = i;
	clock_gettime(CLOCK_REALTIME, &t);

	size_t at = wire_begin(&b, WIRE_CREATE, r->id);

	buf_add(&b, c->config->create->data, c->config->create->len);
	wire_add(&b, WIRE_T_STDIO, stdio, sizeof(stdio));
	wire_add_u64(&b, WIRE_T_TIME, (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec);
	if (getrandom(entropy, sizeof(entropy), 0) == sizeof(entropy))
		wire_add(&b, WIRE_T_ENTROPY, entropy, sizeof(entropy));
	if (c->config->debug)
		wire_add(&b, WIRE_T_DEBUG, NULL, 0);
	wire_end(&b, at);
	channel_send(c, &b);
	buf_release(&b);
	c->state = CORE_MAKING;
	core_wait_for(c, create_ms(c));
}

static void on_hello(struct core *c, const void *payload, size_t n)
{
	uint32_t version;

	trace(c, "vm: agent's hello");
	if (c->state != CORE_BOOTING)
		core_break(c, "it says hello twice");
	else if (wire_get_u32(payload, n, WIRE_T_VERSION, &version) < 0 || version != WIRE_VERSION)
		core_break(c, "it is of another version");
	else
		send_create(c);
}

static void on_created(struct core *c, const void *payload, size_t n)
{
	struct error err = ERROR_INIT;

	core_wait_for(c, 0);
	trace(c, "vm: container made");
	c->processes[0].state = PROCESS_LIVE;
	if (wire_reply_error(payload, n, &err) < 0) {
		clean_error(&err);
		c->is_refused = true;
		c->failure = err;
		tell(c, &err);
		core_end(c, 1);
		return;
	}
	c->state = CORE_WAITING;
	channel_resize(c);
	tell(c, NULL);

	int r = virtio_loop_watch(c->loop, c->gate_fd, EPOLLIN, on_gate, c);

	if (r < 0) {
		error_set(&err, -r, "wait at the gate");
		core_fail(c, &err);
	}
}

/* ---- the gate ---- */

static void on_gate(void *arg, uint32_t events)
{
	auto_buf struct buf b = BUF_INIT;
	struct core *c = arg;
	char go = 0;
	ssize_t n = read(c->gate_fd, &go, 1);

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	virtio_loop_forget(c->loop, c->gate_fd);
	if (is_over(c))
		return;
	if (n != 1 || (go != VM_SESSION_GO && go != VM_SESSION_GO_RESET)) {
		core_end(c, STATUS_QUIET);
		return;
	}

	struct request *r = channel_request(c, WIRE_START, NULL, 0);

	if (!r) {
		core_break(c, "it answers nothing");
		return;
	}
	wire_end(&b, wire_begin(&b, WIRE_START, r->id));
	c->state = CORE_STARTING;
	channel_send(c, &b);
}

static void close_gate(struct core *c)
{
	if (c->status_fd == c->gate_fd)
		c->status_fd = -1;
	auto_closep(&c->status_fd);
	auto_closep(&c->gate_fd);
	c->status_fd = c->gate_fd = -1;
}

static void on_started(struct core *c, const void *payload, size_t n)
{
	struct error err = ERROR_INIT;

	if (c->state != CORE_STARTING)
		return; /* it has ended meanwhile */
	trace(c, "vm: program started");
	if (wire_reply_error(payload, n, &err) < 0) {
		clean_error(&err);
		error_send(c->status_fd, &err);
		close_gate(c);
		core_end(c, err.code == ENOENT || err.code == ENOTDIR ? 127 : 126);
		return;
	}
	c->state = CORE_RUNNING;
	close_gate(c);
}

/* ---- the program ---- */

static void check_end(struct core *c)
{
	if (c->state == CORE_DRAINING && c->is_drained && c->is_synced)
		core_end(c, c->status);
}

void core_first_drained(struct core *c)
{
	c->is_drained = true;
	check_end(c);
}

static void on_synced(struct core *c)
{
	c->is_synced = true;
	trace(c, "vm: files written back");
	check_end(c);
}

/* What the guest caches of files that it alone has would be lost with it (FUSE_WRITEBACK_CACHE). */
static void sync_files(struct core *c)
{
	auto_buf struct buf b = BUF_INIT;
	struct request *r =
		c->config->machine->n_shares ? channel_request(c, WIRE_SYNC, NULL, 0) : NULL;

	if (!r) {
		on_synced(c);
		return;
	}
	c->host.ending(c->host.arg);
	wire_end(&b, wire_begin(&b, WIRE_SYNC, r->id));
	channel_send(c, &b);
	core_wait_for(c, CORE_DRAIN_MS);
}

static void on_exited(struct core *c, const void *payload, size_t n)
{
	uint32_t number, status;
	struct process *p;

	if (wire_get_u32(payload, n, WIRE_T_PROCESS, &number) < 0 ||
	    wire_get_u32(payload, n, WIRE_T_STATUS, &status) < 0 || status > 255) {
		core_break(c, "it does not say what has exited");
		return;
	}
	p = process_find(c, number);
	if (!p || p->state != PROCESS_LIVE) {
		core_break(c, "what has exited was not there");
		return;
	}
	if (p == &c->processes[0]) {
		if (c->state == CORE_STARTING) {
			struct error err = ERROR_INIT;

			error_rule(&err, ECHILD,
				   "the container's first process ended before its program ran");
			error_send(c->status_fd, &err);
		}
		trace(c, "vm: program exited");
		c->status = (int)status;
		c->state = CORE_DRAINING;
		c->exited_ms = now_ms(CLOCK_MONOTONIC);
		sync_files(c);
	}
	process_exited(c, p, status);
}

/* A guest may say it as often as it likes; it is heard so often. The numbers are totals, so the next one makes up for it. */
static bool may_tell_oom(struct core *c)
{
	int64_t now = now_ms(CLOCK_MONOTONIC), tokens = (now - c->oom_filled_ms) / OOM_TOKEN_MS;

	if (tokens > 0) {
		c->oom_filled_ms = now;
		c->oom_tokens = tokens > OOM_TOKENS - c->oom_tokens
					? OOM_TOKENS
					: c->oom_tokens + (unsigned)tokens;
	}
	if (c->oom_tokens == 0)
		return false;
	c->oom_tokens--;
	return true;
}

static void on_oom(struct core *c, const void *payload, size_t n)
{
	struct wire_item item;
	struct wire_oom oom;

	if (c->state < CORE_MAKING || !wire_find(payload, n, WIRE_T_OOM, &item) ||
	    item.n != sizeof(oom)) {
		core_break(c, "it does not say what ran out of memory");
		return;
	}
	if (!may_tell_oom(c))
		return;
	memcpy(&oom, item.bytes, sizeof(oom));
	if (c->config->oom)
		c->config->oom(c->config->arg, oom.kills, oom.limit, oom.peak);

	auto_buf struct buf b = BUF_INIT;

	wire_add(&b, WIRE_T_OOM, &oom, sizeof(oom));
	clients_event(c, WIRE_OOM, b.data, b.len);
}

/* ---- frames and signals ---- */

static void on_reply(struct core *c, uint32_t id, const void *payload, size_t n)
{
	struct request *r = channel_find(c, id);

	if (!r) {
		core_break(c, "it replies to what nobody asked");
		return;
	}

	struct request request = *r;

	channel_forget(c, r);
	if (!request.is_own)
		relay_reply(c, &request, payload, n);
	else if (request.type == WIRE_CREATE)
		on_created(c, payload, n);
	else if (request.type == WIRE_START)
		on_started(c, payload, n);
	else if (request.type == WIRE_SYNC)
		on_synced(c);
}

void core_on_frame(struct core *c, const struct wire_header *h, const void *payload)
{
	if (h->type == WIRE_REPLY)
		on_reply(c, h->id, payload, h->size);
	else if (h->id != 0)
		core_break(c, "an event has a number");
	else if (h->type == WIRE_HELLO)
		on_hello(c, payload, h->size);
	else if (h->type == WIRE_EXITED)
		on_exited(c, payload, h->size);
	else if (h->type == WIRE_OOM)
		on_oom(c, payload, h->size);
	else if (h->type == WIRE_QUESTION)
		names_ask(c, payload, h->size);
	else
		core_break(c, "a frame has no known type");
}

void core_on_signal(struct core *c, int number)
{
	bool ends = number == SIGTERM || number == SIGINT || number == SIGQUIT || number == SIGHUP;

	if (is_over(c))
		return;
	if (number == SIGWINCH && c->terminal_fd >= 0 && c->state >= CORE_WAITING && c->state <= CORE_RUNNING) {
		channel_resize(c); /* the caller's terminal has one before the program runs */
	} else if (c->state < CORE_RUNNING) {
		/* As pid 1 of a namespace has it: what is not caught does not happen. */
		if (ends)
			core_end(c, 128 + number);
	} else if (c->state == CORE_DRAINING) {
		if (ends) /* nobody reads what it left behind */
			core_end(c, c->status);
	} else {
		channel_signal(c, 0, number);
	}
}

/* ---- life ---- */

void core_clear(struct core *c, const struct vm_session_config *config)
{
	*c = (struct core){
		.config = config,
		.channel_fd = -1,
		.timer_fd = -1,
		.signal_fd = -1,
		.gate_fd = config->gate_fd,
		.status_fd = config->status_fd,
		.terminal_fd = config->terminal ? config->stdio[0] : -1,
		.names_fd = config->names_fd > 0 ? config->names_fd : -1,
		.in = WIRE_INBOX_INIT(WIRE_MAX_REPLY),
		.last_port = CORE_FIRST_PORT - 1,
		.end_port = WIRE_PORTS_FIRST,
		.oom_tokens = OOM_TOKENS,
		.oom_filled_ms = now_ms(CLOCK_MONOTONIC),
	};
}

static int begin_clock(struct core *c, struct error *err)
{
	int r;

	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->timer_fd < 0)
		return error_set(err, errno, "make a timer");
	r = virtio_loop_watch(c->loop, c->timer_fd, EPOLLIN, on_time, c);
	if (r < 0)
		return error_set(err, -r, "wait for a timer");
	core_wait_for(c, boot_ms(c));
	return 0;
}

int core_begin(struct core *c, struct virtio_loop *loop, const struct core_host *host,
	       int channel_fd, struct error *err)
{
	const struct vm_session_config *config = c->config;
	struct streams streams = { .is_terminal = config->terminal };
	struct process *first;
	uint32_t stdio[4];

	c->loop = loop;
	c->host = *host;
	memcpy(streams.fds, config->stdio, sizeof(streams.fds));

	int r = channel_begin(c, channel_fd);

	if (r < 0)
		return error_set(err, -r, "wait for the guest's agent");
	r = process_new(c, &streams, NULL, &first, stdio, err);
	if (r == 0)
		r = begin_clock(c, err);
	if (r == 0)
		r = signals_begin(c, err);
	if (r == 0)
		r = names_begin(c, err);
	if (r == 0 && config->listen_fd >= 0)
		r = clients_begin(c, config->listen_fd, err);
	return r;
}

/* Whoever waits for a reply learns that there will be none. */
static void refuse_all(struct core *c)
{
	struct error err = ERROR_INIT;

	error_rule(&err, ECONNRESET, "the guest has ended");
	for (unsigned i = 0; i < CORE_REQUESTS; i++)
		if (c->requests[i].client)
			client_refuse(c->requests[i].client, c->requests[i].client_id, &err);
}

void core_finish(struct core *c, const struct error *cause)
{
	enum core_state last = c->state;

	if (cause) {
		tell(c, cause);
		if (last == CORE_WAITING || last == CORE_STARTING)
			error_send(c->status_fd, cause);
	}
	close_gate(c);
	process_finish_all(c);
	refuse_all(c);
}

void core_free(struct core *c)
{
	channel_end(c);
	clients_end(c);
	names_end(c);
	close_gate(c);
	if (c->timer_fd >= 0)
		virtio_loop_forget(c->loop, c->timer_fd);
	if (c->signal_fd >= 0)
		virtio_loop_forget(c->loop, c->signal_fd);
	auto_closep(&c->timer_fd);
	auto_closep(&c->signal_fd);
	wire_inbox_release(&c->in);
	buf_release(&c->out);
}
