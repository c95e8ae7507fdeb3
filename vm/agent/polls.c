/* SPDX-License-Identifier: Apache-2.0 */
/*
 * polls - what one turn of the loop waits for
 */
#include <stdlib.h>
#include <time.h>

#include "spec/base/oom.h"
#include "vm/agent/agent.h"

int64_t agent_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

int polls_add(struct polls *p, int fd, short events)
{
	if (fd < 0)
		return -1;
	if (p->n == p->room) {
		p->room = p->room ? 2 * p->room : 64;
		p->v = realloc(p->v, p->room * sizeof(*p->v));
		if (!p->v)
			oom_die();
	}
	p->v[p->n] = (struct pollfd){ .fd = fd, .events = events };
	return (int)p->n++;
}

short polls_events(const struct polls *p, int at)
{
	return at < 0 ? 0 : p->v[at].revents;
}

void polls_hurry(struct polls *p, int ms)
{
	if (p->timeout_ms < 0 || ms < p->timeout_ms)
		p->timeout_ms = ms;
}
