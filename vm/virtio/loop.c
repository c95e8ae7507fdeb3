/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop - epoll, and a table of who waits for what (virtio.h)
 *
 * A watch may be forgotten, and its number reused, while events of the same turn are still to be
 * delivered: each slot has a generation, and an event of an older one is dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/virtio/virtio.h"

enum { SLOTS = 256, BATCH = 32 };

struct slot {
	virtio_watch_fn *fn; /* NULL: free */
	void *arg;
	int fd;
	uint32_t generation;
};

struct virtio_loop {
	int epoll_fd;
	struct slot slots[SLOTS];
};

int virtio_loop_new(struct virtio_loop **ret, struct error *err)
{
	struct virtio_loop *l = calloc(1, sizeof(*l));

	if (!l)
		return error_set(err, ENOMEM, "allocate an event loop");
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		int r = error_set(err, errno, "create an epoll descriptor");

		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void virtio_loop_free(struct virtio_loop *l)
{
	if (!l)
		return;
	close(l->epoll_fd);
	free(l);
}

static struct slot *find(struct virtio_loop *l, int fd)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (l->slots[i].fn && l->slots[i].fd == fd)
			return &l->slots[i];
	return NULL;
}

static struct epoll_event event_of(const struct virtio_loop *l, const struct slot *s, uint32_t events)
{
	return (struct epoll_event){
		.events = events,
		.data.u64 = (uint64_t)s->generation << 32 | (uint64_t)(s - l->slots),
	};
}

int virtio_loop_watch(struct virtio_loop *l, int fd, uint32_t events, virtio_watch_fn *fn, void *arg)
{
	if (find(l, fd))
		return -EEXIST;
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &l->slots[i];

		if (s->fn)
			continue;

		struct epoll_event e = event_of(l, s, events);

		if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
			return -errno;
		s->fn = fn;
		s->arg = arg;
		s->fd = fd;
		return 0;
	}
	return -ENOSPC;
}

void virtio_loop_change(struct virtio_loop *l, int fd, uint32_t events)
{
	struct slot *s = find(l, fd);

	if (s) {
		struct epoll_event e = event_of(l, s, events);

		epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &e);
	}
}

void virtio_loop_forget(struct virtio_loop *l, int fd)
{
	struct slot *s = find(l, fd);

	if (!s)
		return;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	s->fn = NULL;
	s->generation++;
}

int virtio_loop_turn(struct virtio_loop *l, int timeout_ms)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(l->epoll_fd, events, BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct slot *s = &l->slots[(uint32_t)events[i].data.u64];

		if (s->fn && s->generation == (uint32_t)(events[i].data.u64 >> 32))
			s->fn(s->arg, events[i].events);
	}
	return 0;
}
