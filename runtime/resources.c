/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of `update`: old resources, new members, what is written, what is kept.
 */
#include "runtime/resources.h"

#include <string.h>

#define TAKE(to, from, member) \
	do { \
		if ((from)->member.set) \
			(to)->member = (from)->member; \
	} while (0)

static struct spec_cpu *merge_cpu(const struct spec_cpu *base, const struct spec_cpu *over,
				  struct arena *a)
{
	if (!base && !over)
		return NULL;

	struct spec_cpu *c = ARENA_NEW(a, struct spec_cpu);

	if (base)
		*c = *base;
	if (!over)
		return c;
	TAKE(c, over, shares);
	TAKE(c, over, burst);
	TAKE(c, over, period);
	TAKE(c, over, quota);
	TAKE(c, over, idle);
	TAKE(c, over, realtime_period);
	TAKE(c, over, realtime_runtime);
	if (over->cpus)
		c->cpus = over->cpus;
	if (over->mems)
		c->mems = over->mems;
	return c;
}

static struct spec_memory *merge_memory(const struct spec_memory *base, const struct spec_memory *over,
					struct arena *a)
{
	if (!base && !over)
		return NULL;

	struct spec_memory *m = ARENA_NEW(a, struct spec_memory);

	if (base)
		*m = *base;
	if (!over)
		return m;
	TAKE(m, over, limit);
	TAKE(m, over, reservation);
	TAKE(m, over, swap);
	m->check_before_update = over->check_before_update;
	/* An unlimited memory with a limited sum of memory and swap cannot be. */
	if (over->limit.set && over->limit.v == -1 && !over->swap.set && m->swap.set)
		m->swap.v = -1;
	return m;
}

static struct spec_block_io *merge_block_io(const struct spec_block_io *base,
					    const struct spec_block_io *over, struct arena *a)
{
	if (!base && !over)
		return NULL;

	struct spec_block_io *b = ARENA_NEW(a, struct spec_block_io);

	if (base)
		*b = *base;
	if (!over)
		return b;
	TAKE(b, over, weight);
	TAKE(b, over, leaf_weight);
	if (over->n_weight_devices) {
		b->weight_devices = over->weight_devices;
		b->n_weight_devices = over->n_weight_devices;
	}
	for (int k = 0; k < SPEC_THROTTLES; k++)
		if (over->n_throttle[k]) {
			b->throttle[k] = over->throttle[k];
			b->n_throttle[k] = over->n_throttle[k];
		}
	return b;
}

/* Page size by page size, and device by device: what the update does not name stays. */
static void merge_hugepages(struct spec_resources *r, const struct spec_resources *base,
			    const struct spec_resources *over, struct arena *a)
{
	struct spec_hugepage_limit *v =
		ARENA_NEW_N(a, struct spec_hugepage_limit, base->n_hugepages + over->n_hugepages);
	size_t n = 0;

	for (size_t i = 0; i < base->n_hugepages; i++)
		v[n++] = base->hugepages[i];
	for (size_t i = 0; i < over->n_hugepages; i++) {
		size_t k = 0;

		while (k < n && strcmp(v[k].page_size, over->hugepages[i].page_size) != 0)
			k++;
		v[k] = over->hugepages[i];
		n = k == n ? n + 1 : n;
	}
	r->hugepages = v;
	r->n_hugepages = n;
}

static void merge_rdma(struct spec_resources *r, const struct spec_resources *base,
		       const struct spec_resources *over, struct arena *a)
{
	struct spec_rdma *v = ARENA_NEW_N(a, struct spec_rdma, base->n_rdma + over->n_rdma);
	size_t n = 0;

	for (size_t i = 0; i < base->n_rdma; i++)
		v[n++] = base->rdma[i];
	for (size_t i = 0; i < over->n_rdma; i++) {
		const struct spec_rdma *given = &over->rdma[i];
		size_t k = 0;

		while (k < n && strcmp(v[k].device, given->device) != 0)
			k++;
		if (k == n)
			v[n++] = (struct spec_rdma){ .device = given->device };
		if (given->has_handles) {
			v[k].has_handles = true;
			v[k].handles = given->handles;
		}
		if (given->has_objects) {
			v[k].has_objects = true;
			v[k].objects = given->objects;
		}
	}
	r->rdma = v;
	r->n_rdma = n;
}

/* unified: member by member, so that an update of one file keeps the others. */
static void merge_unified(struct spec_resources *r, const struct spec_resources *base,
			  const struct spec_resources *over, struct arena *a)
{
	struct spec_key_value *v = ARENA_NEW_N(a, struct spec_key_value, base->n_unified + over->n_unified);
	size_t n = 0;

	for (size_t i = 0; i < base->n_unified; i++)
		v[n++] = base->unified[i];
	for (size_t i = 0; i < over->n_unified; i++) {
		size_t k = 0;

		while (k < n && strcmp(v[k].key, over->unified[i].key) != 0)
			k++;
		v[k] = over->unified[i];
		n = k == n ? n + 1 : n;
	}
	r->unified = v;
	r->n_unified = n;
}

struct spec_resources *resources_merge(const struct spec_resources *base,
				       const struct spec_resources *over, struct arena *a)
{
	static const struct spec_resources none;
	struct spec_resources *r = ARENA_NEW(a, struct spec_resources);

	base = base ?: &none;
	over = over ?: &none;
	*r = *base;
	r->cpu = merge_cpu(base->cpu, over->cpu, a);
	r->memory = merge_memory(base->memory, over->memory, a);
	r->block_io = merge_block_io(base->block_io, over->block_io, a);
	TAKE(r, over, pids_limit);
	merge_hugepages(r, base, over, a);
	merge_rdma(r, base, over, a);
	merge_unified(r, base, over, a);
	return r;
}

struct spec_resources *resources_delta(const struct spec_resources *over,
				       const struct spec_resources *merged, struct arena *a)
{
	struct spec_resources *d = ARENA_NEW(a, struct spec_resources);

	d->block_io = over->block_io;
	d->pids_limit = over->pids_limit;
	d->hugepages = over->hugepages;
	d->n_hugepages = over->n_hugepages;
	d->rdma = over->rdma;
	d->n_rdma = over->n_rdma;
	d->unified = over->unified;
	d->n_unified = over->n_unified;
	if (over->cpu) {
		d->cpu = ARENA_NEW(a, struct spec_cpu);
		*d->cpu = *over->cpu;
		if (over->cpu->quota.set || over->cpu->period.set) {
			TAKE(d->cpu, merged->cpu, quota);
			TAKE(d->cpu, merged->cpu, period);
		}
		/* The weight a group had before it went idle is written again when it leaves (kernel: back to 100). */
		if (over->cpu->idle.set && over->cpu->idle.v == 0)
			TAKE(d->cpu, merged->cpu, shares);
	}
	if (over->memory) {
		d->memory = ARENA_NEW(a, struct spec_memory);
		*d->memory = *over->memory;
		if (over->memory->swap.set)
			TAKE(d->memory, merged->memory, limit);
		/* memory.swap.max holds the difference: a new limit moves it. */
		if (over->memory->limit.set)
			TAKE(d->memory, merged->memory, swap);
	}
	return d;
}

static void write_i64(struct json_w *w, const char *name, const struct spec_opt_i64 *v)
{
	if (v->set)
		json_w_int(w, name, v->v);
}

static void write_u64(struct json_w *w, const char *name, const struct spec_opt_u64 *v)
{
	if (v->set)
		json_w_uint(w, name, v->v);
}

static void write_cpu(struct json_w *w, const struct spec_cpu *c)
{
	json_w_open(w, "cpu", '{');
	write_u64(w, "shares", &c->shares);
	write_i64(w, "quota", &c->quota);
	write_u64(w, "burst", &c->burst);
	write_u64(w, "period", &c->period);
	write_i64(w, "idle", &c->idle);
	if (c->cpus)
		json_w_str(w, "cpus", c->cpus);
	if (c->mems)
		json_w_str(w, "mems", c->mems);
	json_w_close(w, '}');
}

static void write_block_io(struct json_w *w, const struct spec_block_io *b)
{
	static const char *const names[SPEC_THROTTLES] = {
		[SPEC_READ_BPS] = "throttleReadBpsDevice",
		[SPEC_WRITE_BPS] = "throttleWriteBpsDevice",
		[SPEC_READ_IOPS] = "throttleReadIOPSDevice",
		[SPEC_WRITE_IOPS] = "throttleWriteIOPSDevice",
	};

	json_w_open(w, "blockIO", '{');
	write_u64(w, "weight", &b->weight);
	json_w_open(w, "weightDevice", '[');
	for (size_t i = 0; i < b->n_weight_devices; i++) {
		const struct spec_weight_device *d = &b->weight_devices[i];

		json_w_open(w, NULL, '{');
		json_w_int(w, "major", d->major);
		json_w_int(w, "minor", d->minor);
		if (d->has_weight)
			json_w_uint(w, "weight", d->weight);
		if (d->has_leaf_weight)
			json_w_uint(w, "leafWeight", d->leaf_weight);
		json_w_close(w, '}');
	}
	json_w_close(w, ']');
	for (int k = 0; k < SPEC_THROTTLES; k++) {
		json_w_open(w, names[k], '[');
		for (size_t i = 0; i < b->n_throttle[k]; i++) {
			json_w_open(w, NULL, '{');
			json_w_int(w, "major", b->throttle[k][i].major);
			json_w_int(w, "minor", b->throttle[k][i].minor);
			json_w_uint(w, "rate", b->throttle[k][i].rate);
			json_w_close(w, '}');
		}
		json_w_close(w, ']');
	}
	json_w_close(w, '}');
}

/* hugepageLimits and rdma: what is limited by a name. */
static void write_per_name(struct json_w *w, const struct spec_resources *res)
{
	if (res->n_hugepages) {
		json_w_open(w, "hugepageLimits", '[');
		for (size_t i = 0; i < res->n_hugepages; i++) {
			json_w_open(w, NULL, '{');
			json_w_str(w, "pageSize", res->hugepages[i].page_size);
			json_w_uint(w, "limit", res->hugepages[i].limit);
			json_w_close(w, '}');
		}
		json_w_close(w, ']');
	}
	if (res->n_rdma) {
		json_w_open(w, "rdma", '{');
		for (size_t i = 0; i < res->n_rdma; i++) {
			json_w_open(w, res->rdma[i].device, '{');
			if (res->rdma[i].has_handles)
				json_w_uint(w, "hcaHandles", res->rdma[i].handles);
			if (res->rdma[i].has_objects)
				json_w_uint(w, "hcaObjects", res->rdma[i].objects);
			json_w_close(w, '}');
		}
		json_w_close(w, '}');
	}
}

void resources_write(const struct spec_resources *res, struct buf *out)
{
	struct json_w w = { .out = out };

	json_w_open(&w, NULL, '{');
	if (res->cpu)
		write_cpu(&w, res->cpu);
	if (res->memory) {
		json_w_open(&w, "memory", '{');
		write_i64(&w, "limit", &res->memory->limit);
		write_i64(&w, "reservation", &res->memory->reservation);
		write_i64(&w, "swap", &res->memory->swap);
		if (res->memory->check_before_update)
			json_w_bool(&w, "checkBeforeUpdate", true);
		json_w_close(&w, '}');
	}
	if (res->block_io)
		write_block_io(&w, res->block_io);
	if (res->pids_limit.set) {
		json_w_open(&w, "pids", '{');
		json_w_int(&w, "limit", res->pids_limit.v);
		json_w_close(&w, '}');
	}
	write_per_name(&w, res);
	if (res->n_unified) {
		json_w_open(&w, "unified", '{');
		for (size_t i = 0; i < res->n_unified; i++)
			json_w_str(&w, res->unified[i].key, res->unified[i].value);
		json_w_close(&w, '}');
	}
	json_w_close(&w, '}');
}

int resources_now(const struct spec *spec, const struct rt_state *state, struct arena *a,
		  struct spec_resources **ret, struct error *err)
{
	struct spec_resources *updates = NULL;

	if (state->resources) {
		int r = spec_parse_resources(state->resources, strlen(state->resources), a, NULL, &updates, err);

		if (r < 0)
			return r;
	}
	*ret = resources_merge(spec->linux_.resources, updates, a);
	return 0;
}
