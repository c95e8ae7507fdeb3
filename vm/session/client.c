/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - a command's side of the socket
 */
#include "vm/session/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vm/session/core.h"

enum { READ_BYTES = 16 << 10, MOST_FDS = 3 };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int gone(struct error *err)
{
	return error_rule(err, ECONNRESET, "the virtual machine has ended");
}

/* until_ms < 0: for ever. 1: ready, 0: time is up. */
static int wait_for(int fd, short events, int64_t until_ms)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = until_ms < 0 ? -1 : until_ms - now_ms();
		int r = poll(&p, 1, until_ms >= 0 && left < 0 ? 0 : (int)left);

		if (r > 0)
			return 1;
		if (r == 0 || errno != EINTR)
			return 0;
	}
}

/* 1: a frame, valid until the next read; 0: time is up. */
static int next_frame(struct vm_client *c, int64_t until_ms, struct wire_header *ret,
		      const void **ret_payload, struct error *err)
{
	for (;;) {
		char bytes[READ_BYTES];
		int r = wire_inbox_next(&c->inbox, ret, ret_payload);

		if (r > 0)
			return r;
		if (r < 0)
			return error_rule(err, EPROTO,
					  "a frame of the virtual machine is too large");
		if (!wait_for(c->fd, POLLIN, until_ms))
			return 0;

		ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return gone(err);
		wire_inbox_add(&c->inbox, bytes, (size_t)n);
	}
}

int vm_client_begin(struct vm_client *c, int fd, int timeout_ms, struct error *err)
{
	struct wire_header h;
	const void *payload;
	uint32_t version;

	*c = (struct vm_client)VM_CLIENT_INIT;
	c->fd = fd;

	int r = next_frame(c, now_ms() + timeout_ms, &h, &payload, err);

	if (r == 0)
		return error_rule(err, ETIMEDOUT, "the virtual machine does not answer");
	if (r > 0 &&
	    (h.type != WIRE_HELLO || wire_get_u32(payload, h.size, WIRE_T_VERSION, &version) < 0 ||
	     version != WIRE_VERSION))
		return error_rule(err, EPROTO,
				  "the container runs in a virtual machine of another version "
				  "of this program");
	return r < 0 ? r : 0;
}

void vm_client_end(struct vm_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	wire_inbox_release(&c->inbox);
	buf_release(&c->exited);
}

/* ---- asking ---- */

static ssize_t send_some(int fd, const char *bytes, size_t n, const int *fds, unsigned n_fds)
{
	union {
		char space[CMSG_SPACE(MOST_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { .space = { 0 } };
	struct iovec iov = { .iov_base = (char *)bytes, .iov_len = n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0) {
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));

		struct cmsghdr *h = CMSG_FIRSTHDR(&m);

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(h), fds, n_fds * sizeof(int));
	}
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int send_request(struct vm_client *c, enum wire_type type, const struct buf *items,
			const int *fds, unsigned n_fds, int64_t until_ms, struct error *err)
{
	auto_buf struct buf b = BUF_INIT;

	if (n_fds > MOST_FDS)
		return error_rule(err, EINVAL, "%u descriptors are too many for a request", n_fds);
	if (items && items->len > WIRE_MAX_REQUEST)
		return error_rule(err, E2BIG, "%zu bytes are too many for a request", items->len);

	size_t at = wire_begin(&b, type, ++c->last_id ? c->last_id : ++c->last_id);

	if (items)
		buf_add(&b, items->data, items->len);
	wire_end(&b, at);
	for (size_t done = 0; done < b.len;) {
		ssize_t n = send_some(c->fd, b.data + done, b.len - done, fds, n_fds);

		if (n > 0) {
			done += (size_t)n;
			n_fds = 0; /* they went with the first bytes */
		} else if (errno == EAGAIN) {
			if (!wait_for(c->fd, POLLOUT, until_ms))
				return error_rule(err, ETIMEDOUT,
						  "the virtual machine takes no requests");
		} else if (errno != EINTR) {
			return gone(err);
		}
	}
	return 0;
}

/* Of events, the end of the process that this client executed is the one that must not be lost. */
static void keep_event(struct vm_client *c, const struct wire_header *h, const void *payload)
{
	if (h->type == WIRE_EXITED && c->exited.len == 0) {
		buf_add(&c->exited, h, sizeof(*h));
		buf_add(&c->exited, payload, h->size);
	}
}

int vm_client_ask(struct vm_client *c, enum wire_type type, const struct buf *items, const int *fds,
		  unsigned n_fds, int timeout_ms, const void **ret_payload, size_t *ret_n,
		  struct error *err)
{
	int64_t until_ms = now_ms() + timeout_ms;
	struct wire_header h;
	const void *payload;
	int r = send_request(c, type, items, fds, n_fds, until_ms, err);

	if (r < 0)
		return r;
	while ((r = next_frame(c, until_ms, &h, &payload, err)) > 0) {
		if (h.type != WIRE_REPLY) {
			keep_event(c, &h, payload);
			continue;
		}
		if (h.id != c->last_id)
			continue; /* an earlier one, which nobody waits for any more */
		r = wire_reply_error(payload, h.size, err);
		if (r < 0) {
			if (err)
				clean_error(err);
			return r;
		}
		if (ret_payload)
			*ret_payload = payload;
		if (ret_n)
			*ret_n = h.size;
		return 0;
	}
	return r < 0 ? r : error_rule(err, ETIMEDOUT, "the guest does not answer");
}

int vm_client_post(struct vm_client *c, enum wire_type type, const struct buf *items,
		   int timeout_ms, struct error *err)
{
	return send_request(c, type, items, NULL, 0, now_ms() + timeout_ms, err);
}

int vm_client_event(struct vm_client *c, int timeout_ms, struct wire_header *ret,
		    const void **ret_payload, struct error *err)
{
	int64_t until_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	int r;

	if (c->exited.len && !c->has_told_exited) {
		memcpy(ret, c->exited.data, sizeof(*ret));
		*ret_payload = c->exited.data + sizeof(*ret);
		c->has_told_exited = true;
		return 1;
	}
	do {
		r = next_frame(c, until_ms, ret, ret_payload, err);
	} while (r > 0 && ret->type == WIRE_REPLY);
	return r;
}
