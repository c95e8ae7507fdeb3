/* SPDX-License-Identifier: Apache-2.0 */
/* What needs a namespace of its own, so that setting it cannot reach the host. */
#include "namespaces/plan.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "spec/base/auto.h"

static int check_paths(const struct ns_plan *plan, struct error *err)
{
	for (int k = 0; k < SPEC_NAMESPACES; k++) {
		const struct ns_entry *ns = &plan->ns[k];

		if (!ns->listed || !ns->path || ns->path[0] == '/')
			continue;
		error_rule(err, EINVAL, "path \"%s\" of the %s namespace is not absolute", ns->path,
			   spec_ns_name(k));
		error_at(err, "/linux/namespaces/%u/path", ns->index);
		return -EINVAL;
	}
	return 0;
}

static int check_names(const struct ns_plan *plan, struct error *err)
{
	const struct spec *spec = plan->spec;

	if ((!spec->hostname && !spec->domainname) || plan->ns[SPEC_NS_UTS].listed)
		return 0;
	const char *what = spec->hostname ? "hostname" : "domainname";

	error_rule(err, EINVAL, "unable to set %s without a private UTS namespace", what);
	error_at(err, "/%s", what);
	return -EINVAL;
}

static int check_maps(const struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;
	const struct ns_entry *ns = &plan->ns[SPEC_NS_USER];
	bool has_uid = linux_->uid_maps.n > 0, has_gid = linux_->gid_maps.n > 0;

	if (!ns->listed && (has_uid || has_gid)) {
		error_rule(err, EINVAL, "id mappings without a user namespace");
		error_at(err, "/linux/%s", has_uid ? "uidMappings" : "gidMappings");
		return -EINVAL;
	}
	if (ns->listed && !ns->path && (!has_uid || !has_gid)) {
		error_rule(err, EINVAL, "a new user namespace needs uidMappings and gidMappings");
		error_at(err, "/linux/%s", has_uid ? "gidMappings" : "uidMappings");
		return -EINVAL;
	}
	return 0;
}

static int check_time(const struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;
	const struct ns_entry *ns = &plan->ns[SPEC_NS_TIME];

	if (!linux_->monotonic.set && !linux_->boottime.set)
		return 0;
	if (ns->listed && !ns->path)
		return 0;
	error_rule(err, EINVAL,
		   ns->listed ? "timeOffsets of a time namespace that is joined: its clocks "
				"are set already"
			      : "timeOffsets without a time namespace");
	error_at(err, "/linux/timeOffsets");
	return -EINVAL;
}

/* What the kernel's dev_valid_name() takes; '%' asks it to pick a number. */
static bool is_interface_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	return strcspn(name, "/: \t\n\v\f\r") == n;
}

static int check_net_devices(const struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;

	for (size_t i = 0; i < linux_->n_net_devices; i++) {
		const struct spec_net_device *d = &linux_->net_devices[i];
		int r = 0;

		if (!plan->ns[SPEC_NS_NETWORK].listed)
			r = error_rule(err, EINVAL, "network devices need a network namespace");
		else if (!is_interface_name(d->host_name))
			r = error_rule(err, EINVAL, "\"%s\" is not the name of a network device",
				       d->host_name);
		else if (!is_interface_name(d->name))
			r = error_rule(err, EINVAL, "\"%s\" cannot be the name of a network device",
				       d->name);
		if (r < 0) {
			error_at(err, "/linux/netDevices/%s", d->host_name);
			return r;
		}
	}
	return 0;
}

static int check_sysctl(const struct ns_plan *plan, const char *key, struct error *err)
{
	char path[256];
	int r = spec_sysctl_path(key, path, sizeof(path));

	if (r < 0)
		return error_rule(err, -r, "\"%s\" is not the name of a sysctl", key);
	if (strcmp(path, "kernel/hostname") == 0)
		return error_rule(err, EINVAL,
				  "sysctl \"%s\" conflicts with the OCI hostname: use that", key);
	if (strcmp(path, "kernel/domainname") == 0 && plan->spec->domainname)
		return error_rule(err, EINVAL, "sysctl \"%s\" conflicts with the OCI domainname",
				  key);

	enum spec_ns_kind kind = spec_sysctl_owner(path);

	if (kind == SPEC_NAMESPACES)
		return error_rule(err, EINVAL,
				  "sysctl \"%s\" is not in a separate kernel namespace", key);
	if (!plan->ns[kind].listed)
		return error_rule(err, EINVAL,
				  "sysctl \"%s\" is not allowed in the host's %s namespace", key,
				  spec_ns_name(kind));
	return 0;
}

static int check_sysctls(const struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;

	for (size_t i = 0; i < linux_->n_sysctl; i++) {
		int r = check_sysctl(plan, linux_->sysctl[i].key, err);

		if (r < 0) {
			error_at(err, "/linux/sysctl/%s", linux_->sysctl[i].key);
			return r;
		}
	}
	return 0;
}

static int check_root(const struct ns_plan *plan, struct error *err)
{
	if (!plan->spec->root.readonly || plan->ns[SPEC_NS_MOUNT].listed)
		return 0;
	error_rule(err, EINVAL, "a read-only root needs a mount namespace");
	error_at(err, "/root/readonly");
	return -EINVAL;
}

int ns_plan_rules(struct ns_plan *plan, struct error *err)
{
	static int (*const rules[])(const struct ns_plan *plan, struct error *err) = {
		check_paths, check_names,	check_maps,    check_time,
		check_root,  check_net_devices, check_sysctls,
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int r = rules[i](plan, err);

		if (r < 0)
			return r;
	}
	return 0;
}
