/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel - bytes to and from the agent, and who waits for a reply
 *
 * Nothing here waits: what the agent does not take is kept, up to a bound, and what it says is read in portions, so
 * that a guest that talks for ever leaves the loop its time.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/session/core.h"

static void on_channel(void *arg, uint32_t events);

int channel_begin(struct core *c, int fd)
{
	c->channel_fd = fd;
	return virtio_loop_watch(c->loop, fd, EPOLLIN, on_channel, c);
}

void channel_end(struct core *c)
{
	if (c->channel_fd < 0)
		return;
	virtio_loop_forget(c->loop, c->channel_fd);
	close(c->channel_fd);
	c->channel_fd = -1;
}

/* ---- to the agent ---- */

static void flush(struct core *c)
{
	while (c->channel_fd >= 0 && c->out_done < c->out.len) {
		ssize_t n = send(c->channel_fd, c->out.data + c->out_done, c->out.len - c->out_done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* later, or never: then reading says so */
		c->out_done += (size_t)n;
	}
	if (c->out_done == c->out.len) {
		c->out_done = 0;
		if (c->out.cap > CORE_KEEP)
			buf_release(&c->out);
		else
			buf_reset(&c->out);
	}
	if (c->channel_fd >= 0)
		virtio_loop_change(c->loop, c->channel_fd, EPOLLIN | (c->out.len ? EPOLLOUT : 0));
}

bool channel_is_full(const struct core *c, size_t n)
{
	return c->out.len - c->out_done + n > CORE_MAX_TO_GUEST;
}

void channel_send(struct core *c, struct buf *b)
{
	if (c->channel_fd >= 0) {
		if (c->out_done > CORE_KEEP) {
			memmove(c->out.data, c->out.data + c->out_done, c->out.len - c->out_done);
			c->out.len -= c->out_done;
			c->out_done = 0;
		}
		buf_add(&c->out, b->data, b->len);
		flush(c);
	}
	buf_reset(b);
}

/* ---- from the agent ---- */

static void take_frames(struct core *c)
{
	struct wire_header h;
	const void *payload;
	int r = 0;

	while (c->state != CORE_ENDED && !c->has_failed &&
	       (r = wire_inbox_next(&c->in, &h, &payload)) > 0)
		core_on_frame(c, &h, payload);
	if (r < 0)
		core_break(c, "a frame is too large");
	if (c->in.done == c->in.data.len && c->in.data.cap > 2 * CORE_READ)
		wire_inbox_release(&c->in);
}

/* False: there is no more, now or ever. */
static bool read_some(struct core *c)
{
	char bytes[CORE_READ];
	ssize_t n = c->channel_fd < 0 ? 0 : recv(c->channel_fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		channel_end(c);
		return false;
	}
	wire_inbox_add(&c->in, bytes, (size_t)n);
	take_frames(c);
	return true;
}

static void on_channel(void *arg, uint32_t events)
{
	struct core *c = arg;

	if (events & EPOLLOUT)
		flush(c);
	if (events & ~(uint32_t)EPOLLOUT)
		read_some(c);
	clients_reap(c);
}

void channel_read_rest(struct core *c)
{
	/* As much as the socket may have held, and no more: nobody adds to it now. */
	for (unsigned i = 0; i < 64 && c->state != CORE_ENDED && !c->has_failed && read_some(c);
	     i++)
		;
}

/* ---- requests ---- */

struct request *channel_request(struct core *c, enum wire_type type, struct client *client,
				uint32_t client_id)
{
	if (client ? client->n_requests >= CORE_CLIENT_REQUESTS : c->n_own >= CORE_OWN_REQUESTS)
		return NULL;
	for (unsigned i = 0; i < CORE_REQUESTS; i++) {
		struct request *r = &c->requests[i];

		if (r->id)
			continue;
		/* Clients leave room for what is our own. */
		if (client && i >= CORE_REQUESTS - CORE_OWN_REQUESTS)
			return NULL;
		do {
			c->last_id++;
		} while (c->last_id == 0 || channel_find(c, c->last_id));
		*r = (struct request){
			.id = c->last_id, .type = type, .client = client, .client_id = client_id
		};
		r->is_own = !client;
		if (client)
			client->n_requests++;
		else
			c->n_own++;
		return r;
	}
	return NULL;
}

struct request *channel_find(struct core *c, uint32_t id)
{
	for (unsigned i = 0; id && i < CORE_REQUESTS; i++)
		if (c->requests[i].id == id)
			return &c->requests[i];
	return NULL;
}

void channel_forget(struct core *c, struct request *r)
{
	if (r->is_own)
		c->n_own--;
	if (r->client)
		r->client->n_requests--;
	*r = (struct request){ .id = 0 };
}

/* ---- our own ---- */

void channel_signal(struct core *c, uint32_t process, int number)
{
	auto_buf struct buf b = BUF_INIT;
	struct request *r =
		channel_is_full(c, 64) ? NULL : channel_request(c, WIRE_SIGNAL, NULL, 0);

	if (!r)
		return; /* an agent that leaves so many unanswered will not answer this one */

	size_t at = wire_begin(&b, WIRE_SIGNAL, r->id);

	wire_add_u32(&b, WIRE_T_PROCESS, process);
	wire_add_u32(&b, WIRE_T_SIGNAL, (uint32_t)number);
	wire_end(&b, at);
	channel_send(c, &b);
}

void channel_resize(struct core *c)
{
	auto_buf struct buf b = BUF_INIT;
	struct winsize size;

	if (c->terminal_fd < 0 || ioctl(c->terminal_fd, TIOCGWINSZ, &size) < 0 ||
	    size.ws_row == 0 || size.ws_col == 0)
		return;

	struct request *r =
		channel_is_full(c, 64) ? NULL : channel_request(c, WIRE_RESIZE, NULL, 0);

	if (!r)
		return;

	size_t at = wire_begin(&b, WIRE_RESIZE, r->id);

	wire_add_u32(&b, WIRE_T_PROCESS, 0);
	wire_add_u32(&b, WIRE_T_ROWS, size.ws_row);
	wire_add_u32(&b, WIRE_T_COLUMNS, size.ws_col);
	wire_end(&b, at);
	channel_send(c, &b);
}
