/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve - what each request leads to
 */
#include <errno.h>

#include "vm/agent/agent.h"

static int start_exec(struct agent *a, uint32_t id, const void *payload, size_t n, struct error *err)
{
	struct container *c = &a->container;
	struct process *p;
	uint32_t number = 0;

	if (!c->init || c->init->has_exited)
		return error_rule(err, ESRCH, "cannot exec in a stopped container");
	if (wire_get_u32(payload, n, WIRE_T_PROCESS, &number) < 0 || number == 0)
		return error_set(err, EPROTO, "read the number of a process");

	/* The user is known when the job has read the process: there the pipes are given away. */
	int r = process_new(a, number, payload, n, 0, &p, err);

	if (r < 0)
		return r;
	r = job_start(a, id, job_exec, p, payload, n, err);
	process_close_child_fds(p);
	if (r < 0)
		process_free(a, p);
	return r;
}

static int start_container(struct agent *a, uint32_t id, const void *payload, size_t n, struct error *err)
{
	struct container *c = &a->container;

	if (!c->init || c->init->has_exited)
		return error_rule(err, EINVAL, "cannot start a container that has stopped");
	if (c->is_released)
		return error_rule(err, EINVAL, "cannot start an already running container");
	c->is_released = true;

	int r = job_start(a, id, job_start_container, NULL, payload, n, err);

	c->start_id = id;
	return r;
}

static int dispatch(struct agent *a, const struct wire_header *h, const void *payload, bool *ret_later,
		    struct error *err)
{
	static const struct {
		enum wire_type type;
		job_fn *fn;
	} jobs[] = {
		{ WIRE_PS, job_ps }, { WIRE_STATS, job_stats }, { WIRE_UPDATE, job_update }, { WIRE_SYNC, job_sync },
	};
	uint32_t port;

	if (h->type == WIRE_CREATE)
		return container_create(a, payload, h->size, err);
	if (!a->container.is_made)
		return error_rule(err, EINVAL, "the guest has no container yet");
	switch (h->type) {
	case WIRE_SIGNAL:
		return process_signal(a, payload, h->size, err);
	case WIRE_RESIZE:
		return process_resize(a, payload, h->size, err);
	case WIRE_ENDED:
		*ret_later = true; /* no reply */
		if (wire_get_u32(payload, h->size, WIRE_T_PORT, &port) == 0)
			process_input_ended(a, port);
		return 0;
	case WIRE_ANSWER:
		*ret_later = true; /* no reply */
		names_answer(a, payload, h->size);
		return 0;
	case WIRE_START:
		*ret_later = true;
		return start_container(a, h->id, payload, h->size, err);
	case WIRE_EXEC:
		*ret_later = true;
		return start_exec(a, h->id, payload, h->size, err);
	default:
		break;
	}
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
		if (jobs[i].type == h->type) {
			*ret_later = true;
			return job_start(a, h->id, jobs[i].fn, NULL, payload, h->size, err);
		}
	return error_rule(err, ENOTSUP, "the agent knows no request %u", h->type);
}

void serve(struct agent *a, const struct wire_header *h, const void *payload)
{
	struct error err = ERROR_INIT;
	bool later = false;
	int r = dispatch(a, h, payload, &later, &err);

	log_debug(&a->log, "request %u (%u): %d", h->type, h->id, r);
	if (r < 0)
		channel_reply(a, h->id, &err);
	else if (!later)
		channel_reply(a, h->id, NULL);
}
