/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The config of a fresh bundle, as `spec` writes it: member for member what
 * runc's command of that name gives, since people and scripts edit it from there.
 */
#include "spec/default.h"

#include <string.h>

#include "spec/base/auto.h"

void default_write_list(struct json_w *w, const char *name, const char *const *list, size_t n)
{
	json_w_open(w, name, '[');
	for (size_t i = 0; i < n; i++)
		json_w_str(w, NULL, list[i]);
	json_w_close(w, ']');
}

#define WRITE_LIST(w, name, list) default_write_list(w, name, list, ARRAY_SIZE(list))

static const char *const caps[] = { "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" };

static void write_process(struct json_w *w)
{
	static const char *const args[] = { "sh" };
	static const char *const env[] = {
		DEFAULT_PATH,
		"TERM=xterm",
	};
	json_w_open(w, "process", '{');
	json_w_bool(w, "terminal", true);
	json_w_open(w, "user", '{');
	json_w_uint(w, "uid", 0);
	json_w_uint(w, "gid", 0);
	json_w_close(w, '}');
	WRITE_LIST(w, "args", args);
	WRITE_LIST(w, "env", env);
	json_w_str(w, "cwd", "/");

	json_w_open(w, "capabilities", '{');
	WRITE_LIST(w, "bounding", caps);
	WRITE_LIST(w, "effective", caps);
	WRITE_LIST(w, "permitted", caps);
	json_w_close(w, '}');

	json_w_open(w, "rlimits", '[');
	json_w_open(w, NULL, '{');
	json_w_str(w, "type", "RLIMIT_NOFILE");
	json_w_uint(w, "hard", 1024);
	json_w_uint(w, "soft", 1024);
	json_w_close(w, '}');
	json_w_close(w, ']');

	json_w_bool(w, "noNewPrivileges", true);
	json_w_close(w, '}');
}

struct default_mount {
	const char *destination, *type, *source;
	const char *options[8]; /* ends with NULL */
};

static const struct default_mount mounts[] = {
	{ "/proc", "proc", "proc", { NULL } },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" } },
	/* gid=5 is last, so that one entry less leaves it out: a lone user has no group 5 (tty). */
	{ "/dev/pts",
	  "devpts",
	  "devpts",
	  { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
	{ "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
	{ "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
	{ "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" } },
	{ "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev", "relatime", "ro" } },
};

/* The mounts a lone user cannot make as they are: foreign ids, and a sysfs of a host's network. */
static const struct default_mount rootless_mounts[] = {
	{ "/dev/pts",
	  "devpts",
	  "devpts",
	  { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620" } },
	{ "/sys", "none", "/sys", { "rbind", "nosuid", "noexec", "nodev", "ro" } },
};

static const struct default_mount *for_rootless(const struct default_mount *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(rootless_mounts); i++)
		if (strcmp(rootless_mounts[i].destination, m->destination) == 0)
			return &rootless_mounts[i];
	return m;
}

void default_write_mounts(struct json_w *w, bool rootless)
{
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		const struct default_mount *m = rootless ? for_rootless(&mounts[i]) : &mounts[i];
		size_t n = 0;

		while (m->options[n])
			n++;
		json_w_open(w, NULL, '{');
		json_w_str(w, "destination", m->destination);
		json_w_str(w, "type", m->type);
		json_w_str(w, "source", m->source);
		if (n > 0)
			default_write_list(w, "options", m->options, n);
		json_w_close(w, '}');
	}
}

static void write_resources(struct json_w *w)
{
	json_w_open(w, "resources", '{');
	json_w_open(w, "devices", '[');
	json_w_open(w, NULL, '{');
	json_w_bool(w, "allow", false);
	json_w_str(w, "access", "rwm");
	json_w_close(w, '}');
	json_w_close(w, ']');
	json_w_close(w, '}');
}

static void write_idmap(struct json_w *w, const char *name, uint32_t host_id)
{
	json_w_open(w, name, '[');
	json_w_open(w, NULL, '{');
	json_w_uint(w, "containerID", 0);
	json_w_uint(w, "hostID", host_id);
	json_w_uint(w, "size", 1);
	json_w_close(w, '}');
	json_w_close(w, ']');
}

static void write_namespaces(struct json_w *w, const struct default_linux *opt)
{
	static const char *const kinds[] = { "pid",   "network", "ipc", "uts",
					     "mount", "cgroup",	 "user" };

	json_w_open(w, "namespaces", '[');
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i], "network") == 0 && (opt->rootless || opt->host_network))
			continue;
		if (strcmp(kinds[i], "user") == 0 && !opt->rootless)
			continue;
		json_w_open(w, NULL, '{');
		json_w_str(w, "type", kinds[i]);
		json_w_close(w, '}');
	}
	json_w_close(w, ']');
}

uint64_t default_caps(const char *const *names, size_t n)
{
	uint64_t set = 0;

	for (size_t i = 0; i < n; i++)
		set |= UINT64_C(1) << spec_cap_number(names[i]);
	return set;
}

void default_write_linux(struct json_w *w, const struct default_linux *opt)
{
	static const char *const masked[] = {
		"/proc/acpi",	       "/proc/asound",	   "/proc/kcore",	"/proc/keys",
		"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
		"/sys/firmware",       "/proc/scsi",	   "/proc/interrupts",	"/sys/devices/virtual/powercap",
	};
	enum { MORE_MASKED = 2 };
	static const char *const readonly[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
	};

	json_w_open(w, "linux", '{');
	if (opt->rootless) {
		write_idmap(w, "uidMappings", opt->euid);
		write_idmap(w, "gidMappings", opt->egid);
	} else {
		write_resources(w);
	}
	write_namespaces(w, opt);
	default_write_list(w, "maskedPaths", masked,
			   ARRAY_SIZE(masked) - (opt->masks_more ? 0 : MORE_MASKED));
	WRITE_LIST(w, "readonlyPaths", readonly);
	if (opt->seccomp)
		json_w_raw(w, "seccomp", opt->seccomp->data, opt->seccomp->len);
	json_w_close(w, '}');
}

void spec_write_default(struct buf *out, const struct spec_default_options *opt)
{
	auto_buf struct buf seccomp = BUF_INIT;
	const struct default_linux linux_ = {
		.rootless = opt->rootless, .euid = opt->euid, .egid = opt->egid,
		.seccomp = opt->seccomp ? &seccomp : NULL,
	};
	struct json_w w = { .out = out, .indent = "\t" };

	if (opt->seccomp)
		default_write_seccomp(&seccomp, default_caps(caps, ARRAY_SIZE(caps)));
	json_w_open(&w, NULL, '{');
	json_w_str(&w, "ociVersion", SPEC_VERSION);
	write_process(&w);
	json_w_open(&w, "root", '{');
	json_w_str(&w, "path", "rootfs");
	json_w_bool(&w, "readonly", true);
	json_w_close(&w, '}');
	if (opt->hostname)
		json_w_str(&w, "hostname", opt->hostname);
	json_w_open(&w, "mounts", '[');
	default_write_mounts(&w, opt->rootless);
	json_w_close(&w, ']');
	default_write_linux(&w, &linux_);
	json_w_close(&w, '}');
}
