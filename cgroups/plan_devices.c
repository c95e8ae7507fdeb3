/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/plan.h"

/*
 * Limits that come one per block device, page size, RDMA device or file name:
 * blockIO, hugepageLimits, rdma, network and unified.
 */

#include <errno.h>
#include <string.h>

#include "cgroups/internal.h"

#define WEIGHT_MIN 10 /* blkio.weight of v1 */
#define WEIGHT_MAX 1000

/* [10, 1000] of v1 and BFQ onto [1, 10000] of io.weight. */
static unsigned long long io_weight(uint64_t w)
{
	return 1 + (w - WEIGHT_MIN) * 9999 / (WEIGHT_MAX - WEIGHT_MIN);
}

static int check_weight(uint64_t w, const char *pointer, struct error *err)
{
	if (w < WEIGHT_MIN || w > WEIGHT_MAX)
		return plan_refuse(err, pointer, "a blockIO weight is %d to %d, not %llu", WEIGHT_MIN, WEIGHT_MAX,
				   (unsigned long long)w);
	return 0;
}

static int plan_weight_device(struct planner *p, const struct spec_weight_device *d, size_t i,
			      struct error *err)
{
	const char *pointer = arena_printf(p->a, "/linux/resources/blockIO/weightDevice/%zu", i);
	long long major = d->major;
	long long minor = d->minor;

	if (!d->has_weight && !d->has_leaf_weight)
		return plan_refuse(err, pointer, "a blockIO.weightDevice needs a weight or a leafWeight");
	if (d->has_leaf_weight && d->leaf_weight)
		plan_ignored(p, "blockIO.weightDevice[].leafWeight", "cgroup v2 has no leaf weights");
	if (!d->has_weight || d->weight == 0)
		return 0;

	int r = check_weight(d->weight, pointer, err);

	if (r < 0)
		return r;
	plan_add(p, (struct cg_write){ .file = "io.bfq.weight",
		 .value = arena_printf(p->a, "%lld:%lld %u", major, minor, d->weight), .pointer = pointer,
		 .controller = CG_IO, .other_file = "io.weight",
		 .other_value = arena_printf(p->a, "%lld:%lld %llu", major, minor, io_weight(d->weight)) });
	return 0;
}

static void plan_throttle(struct planner *p, const struct spec_block_io *io, enum spec_throttle kind)
{
	static const struct {
		const char *member, *key;
	} names[SPEC_THROTTLES] = {
		[SPEC_READ_BPS] = { "throttleReadBpsDevice", "rbps" },
		[SPEC_WRITE_BPS] = { "throttleWriteBpsDevice", "wbps" },
		[SPEC_READ_IOPS] = { "throttleReadIOPSDevice", "riops" },
		[SPEC_WRITE_IOPS] = { "throttleWriteIOPSDevice", "wiops" },
	};

	for (size_t i = 0; i < io->n_throttle[kind]; i++) {
		const struct spec_throttle_device *d = &io->throttle[kind][i];
		long long major = d->major;
		long long minor = d->minor;
		const char *key = names[kind].key;

		/* On v1 a rate of 0 took the limit away. */
		plan_add(p, (struct cg_write){ .file = "io.max",
			 .value = d->rate ? arena_printf(p->a, "%lld:%lld %s=%llu", major, minor, key,
							 (unsigned long long)d->rate) :
					    arena_printf(p->a, "%lld:%lld %s=max", major, minor, key),
			 .pointer = arena_printf(p->a, "/linux/resources/blockIO/%s/%zu", names[kind].member, i),
			 .controller = CG_IO, .optional = d->rate == 0 });
	}
}

int plan_block_io(struct planner *p, const struct spec_block_io *io, struct error *err)
{
	static const char pointer[] = "/linux/resources/blockIO/weight";

	if (io->weight.set && io->weight.v) {
		int r = check_weight(io->weight.v, pointer, err);

		if (r < 0)
			return r;
		plan_add(p, (struct cg_write){ .file = "io.bfq.weight",
			 .value = arena_printf(p->a, "%llu", (unsigned long long)io->weight.v),
			 .pointer = pointer, .controller = CG_IO, .other_file = "io.weight",
			 .other_value = arena_printf(p->a, "%llu", io_weight(io->weight.v)) });
	}
	if (io->leaf_weight.set && io->leaf_weight.v)
		plan_ignored(p, "blockIO.leafWeight", "cgroup v2 has no leaf weights");

	for (size_t i = 0; i < io->n_weight_devices; i++) {
		int r = plan_weight_device(p, &io->weight_devices[i], i, err);

		if (r < 0)
			return r;
	}
	for (int kind = 0; kind < SPEC_THROTTLES; kind++)
		plan_throttle(p, io, kind);
	return 0;
}

/* ^[1-9][0-9]*[KMG]B$ (config-linux.md, Huge page limits) */
static bool is_page_size(const char *s)
{
	if (*s < '1' || *s > '9')
		return false;
	s += strspn(s, "0123456789");
	return *s && strchr("KMG", *s) && strcmp(s + 1, "B") == 0;
}

static int plan_hugepages(struct planner *p, const struct spec_hugepage_limit *h, size_t i,
			  struct error *err)
{
	const char *pointer = arena_printf(p->a, "/linux/resources/hugepageLimits/%zu", i);

	if (!is_page_size(h->page_size))
		return plan_refuse(err, pointer, "pageSize \"%s\" is not a size such as 64KB, 2MB or 1GB",
				   h->page_size);

	struct cg_write w = {
		.file = arena_printf(p->a, "hugetlb.%s.max", h->page_size),
		.value = arena_printf(p->a, "%llu", (unsigned long long)h->limit),
		.pointer = pointer,
		.controller = CG_HUGETLB,
	};

	plan_add(p, w);
	/* Pages that are reserved and not yet touched: counted since Linux 5.7. */
	w.file = arena_printf(p->a, "hugetlb.%s.rsvd.max", h->page_size);
	w.optional = true;
	plan_add(p, w);
	return 0;
}

static int plan_rdma(struct planner *p, const struct spec_rdma *d, struct error *err)
{
	const char *pointer = arena_printf(p->a, "/linux/resources/rdma/%s", d->device);
	const char *value = d->device;

	if (!*d->device || strpbrk(d->device, " \t\n/"))
		return plan_refuse(err, "/linux/resources/rdma", "\"%s\" is not the name of an RDMA device",
				   d->device);
	if (!d->has_handles && !d->has_objects)
		return plan_refuse(err, pointer, "an rdma limit needs hcaHandles or hcaObjects");
	if (d->has_handles)
		value = arena_printf(p->a, "%s hca_handle=%u", value, d->handles);
	if (d->has_objects)
		value = arena_printf(p->a, "%s hca_object=%u", value, d->objects);
	plan_add(p, (struct cg_write){ .file = "rdma.max", .value = value, .pointer = pointer,
		 .controller = CG_RDMA });
	return 0;
}

int plan_per_name(struct planner *p, const struct spec_resources *res, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->n_hugepages; i++)
		r = plan_hugepages(p, &res->hugepages[i], i, err);
	for (size_t i = 0; r == 0 && i < res->n_rdma; i++)
		r = plan_rdma(p, &res->rdma[i], err);

	if (r == 0 && ((res->net_class_id.set && res->net_class_id.v) || res->n_net_priorities))
		plan_ignored(p, "network.classID and network.priorities",
			     "cgroup v2 does not mark network traffic");
	return r;
}

static int check_file_name(const char *file, struct error *err)
{
	static const char *const not_limits[] = { "cgroup.procs", "cgroup.threads", "cgroup.kill",
						  "cgroup.freeze" };
	static const char pointer[] = "/linux/resources/unified";

	if (!*file || strchr(file, '/') || file[0] == '.' || !strchr(file, '.') || strlen(file) > NAME_MAX)
		return plan_refuse(err, pointer, "unified key \"%s\" is not the name of a cgroup file", file);
	for (size_t i = 0; i < sizeof(not_limits) / sizeof(not_limits[0]); i++)
		if (strcmp(file, not_limits[i]) == 0)
			return plan_refuse(err, pointer, "unified key \"%s\" acts on processes and limits no "
					   "resource", file);
	return 0;
}

/* Keyed files take one line in one write. */
static void plan_unified_lines(struct planner *p, const struct spec_key_value *kv, const char *pointer)
{
	const char *line = kv->value;

	do {
		size_t n = strcspn(line, "\n");

		/* An empty value is a value (it empties cpuset.cpus); an empty line among others is none. */
		if (n || line == kv->value)
			plan_add(p, (struct cg_write){ .file = kv->key, .value = arena_strndup(p->a, line, n),
				 .pointer = pointer, .controller = cg_controller_of_file(kv->key) });
		line += n + (line[n] == '\n');
	} while (*line);
}

int plan_unified(struct planner *p, const struct spec_resources *res, struct error *err)
{
	for (size_t i = 0; i < res->n_unified; i++) {
		const struct spec_key_value *kv = &res->unified[i];
		int r = check_file_name(kv->key, err);

		if (r < 0)
			return r;
		plan_unified_lines(p, kv, arena_printf(p->a, "/linux/resources/unified/%s", kv->key));
	}
	return 0;
}
