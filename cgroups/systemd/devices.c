/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/internal.h"

/*
 * Device rules as DeviceAllow=. systemd's list can only add, and the rules may also
 * take away; so this is a list that allows at least what they do. An access needs
 * the consent of systemd's program and of ours, and ours is exact.
 */

#include <string.h>

#define ANY (SPEC_DEV_READ | SPEC_DEV_WRITE | SPEC_DEV_MKNOD)

struct allow {
	struct arena *a;
	const char **v; /* pairs */
	size_t n, room;
	bool everything;
};

static const char *access_text(unsigned access, struct arena *a)
{
	return arena_printf(a, "%s%s%s", access & SPEC_DEV_READ ? "r" : "", access & SPEC_DEV_WRITE ? "w" : "",
			    access & SPEC_DEV_MKNOD ? "m" : "");
}

static void add(struct allow *l, const char *kind, const struct spec_device_rule *r)
{
	const char *what;

	/* systemd.resource-control(5): a path by number needs no node to be there; majors by number since 240. */
	if (r->major < 0)
		what = arena_printf(l->a, "%s-*", kind);
	else if (r->minor < 0)
		what = arena_printf(l->a, "%s-%lld", kind, (long long)r->major);
	else
		what = arena_printf(l->a, "/dev/%s/%lld:%lld", kind, (long long)r->major, (long long)r->minor);
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 32;
		const char **v = ARENA_NEW_N(l->a, const char *, room);

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = what;
	l->v[l->n++] = access_text(r->access, l->a);
}

static void take(struct allow *l, const struct spec_device_rule *r)
{
	if (r->type == 'a' && r->major < 0 && r->minor < 0 && (r->access & ANY) == ANY) {
		l->everything = r->allow;
		l->n = 0;
		return;
	}
	if (!r->allow || !r->access)
		return;
	if (r->type != 'b')
		add(l, "char", r);
	if (r->type != 'c')
		add(l, "block", r);
}

void unit_plan_devices(struct unit_plan *plan, const struct cg_device_rules *rules, size_t n_lists)
{
	struct allow l = { .a = plan->arena, .everything = true };

	/* What no rule speaks of is denied as soon as any rule denies. */
	for (size_t k = 0; k < n_lists; k++)
		for (size_t i = 0; i < rules[k].n; i++)
			l.everything &= rules[k].v[i].allow;
	for (size_t k = 0; k < n_lists; k++)
		for (size_t i = 0; i < rules[k].n; i++)
			take(&l, &rules[k].v[i]);

	unit_plan_put(plan, (struct unit_property){ .name = "DevicePolicy", .type = "s",
						    .text = l.everything ? "auto" : "strict",
						    .pointer = "/linux/resources/devices" });
	if (!l.everything)
		unit_plan_put(plan, (struct unit_property){ .name = "DeviceAllow", .type = "a(ss)", .list = l.v,
							    .n = l.n, .pointer = "/linux/resources/devices" });
}
