/* SPDX-License-Identifier: Apache-2.0 */
/* The plan in words, one step per line, each with the config member it comes from. */
#include "namespaces/plan.h"

#include <string.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"

static const struct {
	uint64_t bit;
	const char *set, *clear;
} attr_names[] = {
	{ MOUNT_ATTR_RDONLY, "ro", "rw" },
	{ MOUNT_ATTR_NOSUID, "nosuid", "suid" },
	{ MOUNT_ATTR_NODEV, "nodev", "dev" },
	{ MOUNT_ATTR_NOEXEC, "noexec", "exec" },
	{ MOUNT_ATTR_NOATIME, "noatime", NULL },
	{ MOUNT_ATTR_STRICTATIME, "strictatime", NULL },
	{ MOUNT_ATTR_NODIRATIME, "nodiratime", "diratime" },
	{ MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow", "symfollow" },
};

static void add_word(struct buf *out, bool *first, const char *prefix, const char *word)
{
	buf_printf(out, "%s%s%s", *first ? " (" : ",", prefix, word);
	*first = false;
}

static void print_attr(struct buf *out, bool *first, const char *prefix, const struct ns_attr *attr)
{
	bool has_atime = attr->set & MOUNT_ATTR__ATIME;

	for (size_t i = 0; i < ARRAY_SIZE(attr_names); i++) {
		if (attr->set & attr_names[i].bit)
			add_word(out, first, prefix, attr_names[i].set);
		else if (attr_names[i].clear && attr->clear & attr_names[i].bit)
			add_word(out, first, prefix, attr_names[i].clear);
	}
	if (attr->clear & MOUNT_ATTR__ATIME && !has_atime)
		add_word(out, first, prefix, "relatime");
}

static void print_propagation(struct buf *out, const struct ns_propagation *prop)
{
	const char *name = prop->type == MS_SHARED    ? "shared"
			   : prop->type == MS_SLAVE   ? "slave"
			   : prop->type == MS_PRIVATE ? "private"
						      : "unbindable";

	buf_printf(out, " %s%s", prop->recursive ? "r" : "", name);
}

static void print_maps(const char *name, const struct spec_idmaps *maps, struct buf *out)
{
	buf_printf(out, " %s", name);
	for (size_t i = 0; i < maps->n; i++)
		buf_printf(out, " %u-%u-%u", maps->v[i].container_id, maps->v[i].host_id,
			   maps->v[i].size);
}

static void print_mount(const struct ns_mount *m, struct buf *out)
{
	bool first = true;
	const char *verb = m->kind == NS_MOUNT_REMOUNT ? "remount"
			   : m->kind != NS_MOUNT_BIND  ? "mount"
			   : m->recursive	       ? "rbind"
						       : "bind";

	if (m->kind == NS_MOUNT_REMOUNT)
		buf_printf(out, "%s %s", verb, m->place.path);
	else
		buf_printf(out, "%s %s on %s", verb,
			   m->kind != NS_MOUNT_BIND ? m->type
			   : m->source		    ? m->source
						    : m->extra->is_detached ? "(a mount)" : "(a descriptor)",
			   m->place.path);
	print_attr(out, &first, "", &m->attr);
	print_attr(out, &first, "r", &m->rec_attr);
	if (m->late_ro)
		add_word(out, &first, "", "ro at the end");
	if (m->idmap != NS_IDMAP_NONE)
		add_word(out, &first, "", m->idmap == NS_IDMAP_TREE ? "ridmap" : "idmap");
	if (m->copy_up)
		add_word(out, &first, "", "tmpcopyup");
	if (!first)
		buf_putc(out, ')');
	for (size_t i = 0; i < m->n_opts; i++)
		buf_printf(out, "%c%s%s%s", i ? ',' : ' ', m->opts[i].key,
			   m->opts[i].value ? "=" : "", m->opts[i].value ? m->opts[i].value : "");
	for (size_t i = 0; i < m->n_prop; i++)
		print_propagation(out, &m->prop[i]);
	if (m->uid_maps) {
		print_maps("uids", m->uid_maps, out);
		print_maps("gids", m->gid_maps, out);
	}
	if (m->index >= 0)
		buf_printf(out, "  [/mounts/%d]", m->index);
	buf_putc(out, '\n');
}

static void print_namespaces(const struct ns_plan *plan, struct buf *out)
{
	for (int k = 0; k < SPEC_NAMESPACES; k++) {
		const struct ns_entry *ns = &plan->ns[k];

		if (!ns->listed)
			continue;
		if (ns->path)
			buf_printf(out, "join %s namespace %s", spec_ns_name(k), ns->path);
		else
			buf_printf(out, "new %s namespace", spec_ns_name(k));
		buf_printf(out, "  [/linux/namespaces/%u]\n", ns->index);
	}
}

static void print_device(const struct ns_device *d, struct buf *out)
{
	const struct spec_device *dev = d->spec;

	if (dev->type == 'p')
		buf_printf(out, "make fifo %s", d->place.path);
	else
		buf_printf(out, "make device %s %c %lld:%lld", d->place.path, dev->type,
			   (long long)dev->major, (long long)dev->minor);
	if (dev->has_mode)
		buf_printf(out, " mode %o", dev->mode);
	if (d->index >= 0)
		buf_printf(out, "  [/linux/devices/%d]", d->index);
	buf_putc(out, '\n');
}

static void print_end(const struct ns_plan *plan, struct buf *out)
{
	const struct spec *spec = plan->spec;

	for (size_t i = 0; i < spec->linux_.n_net_devices; i++)
		buf_printf(out, "move network device %s as %s  [/linux/netDevices/%s]\n",
			   spec->linux_.net_devices[i].host_name, spec->linux_.net_devices[i].name,
			   spec->linux_.net_devices[i].host_name);
	if (spec->hostname)
		buf_printf(out, "set host name %s  [/hostname]\n", spec->hostname);
	if (spec->domainname)
		buf_printf(out, "set domain name %s  [/domainname]\n", spec->domainname);
	for (size_t i = 0; i < spec->linux_.n_sysctl; i++)
		buf_printf(out, "set sysctl %s to %s  [/linux/sysctl/%s]\n",
			   spec->linux_.sysctl[i].key, spec->linux_.sysctl[i].value,
			   spec->linux_.sysctl[i].key);
	for (size_t i = 0; i < plan->n_masked; i++)
		buf_printf(out, "mask %s  [/linux/maskedPaths/%d]\n", plan->masked[i].place.path,
			   plan->masked[i].index);
	for (size_t i = 0; i < plan->n_readonly; i++)
		buf_printf(out, "make %s read-only  [/linux/readonlyPaths/%d]\n",
			   plan->readonly[i].place.path, plan->readonly[i].index);
	if (spec->root.readonly)
		buf_puts(out, "make the root read-only  [/root/readonly]\n");
	buf_puts(out, plan->ns[SPEC_NS_MOUNT].listed
			      ? plan->no_pivot ? "move the root over /\n" : "pivot into the root\n"
			      : "chroot to the root\n");
}

void ns_plan_print(const struct ns_plan *plan, struct buf *out)
{
	print_namespaces(plan, out);
	buf_printf(out, "root %s%s", plan->root_is_given ? "given as a mount for " : "",
		   plan->root_path);
	if (plan->has_root_prop)
		print_propagation(out, &plan->root_prop);
	buf_puts(out, "  [/root/path]\n");
	for (size_t i = 0; i < plan->n_mounts; i++)
		print_mount(&plan->mounts[i], out);
	if (plan->populate_dev)
		buf_puts(out, "make the links of /dev\n");
	for (size_t i = 0; i < plan->n_devices; i++)
		print_device(&plan->devices[i], out);
	print_end(plan, out);
}
