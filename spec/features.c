/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document of `features` (features.md, features-linux.md). Says what this
 * build was made to do, never what the host happens to allow. Lists come from
 * the tables the parser uses, so that what is listed is what is recognised.
 */
#include "spec/spec.h"

#include <stdlib.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/parts.h"

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_list(struct json_w *w, const char *name, const char *const *list, size_t n)
{
	json_w_open(w, name, '[');
	for (size_t i = 0; i < n; i++)
		json_w_str(w, NULL, list[i]);
	json_w_close(w, ']');
}

/* NULL: unknown, and therefore left out. */
static void write_terminated(struct json_w *w, const char *name, const char *const *list)
{
	size_t n = 0;

	if (!list)
		return;
	while (list[n])
		n++;
	write_list(w, name, list, n);
}

/* The words of a table, sorted. */
static void write_words(struct json_w *w, const char *name, const struct spec_word *words)
{
	const char *list[32];
	size_t n = 0;

	for (; words->name && n < ARRAY_SIZE(list); words++)
		list[n++] = words->name;
	qsort(list, n, sizeof(list[0]), by_text);
	write_list(w, name, list, n);
}

static void write_switch(struct json_w *w, const char *name, bool is_on)
{
	json_w_open(w, name, '{');
	json_w_bool(w, "enabled", is_on);
	json_w_close(w, '}');
}

static void write_hooks(struct json_w *w)
{
	json_w_open(w, "hooks", '[');
	for (enum spec_hook_kind kind = 0; kind < SPEC_HOOKS; kind++)
		json_w_str(w, NULL, spec_hook_name(kind));
	json_w_close(w, ']');
}

static void write_mount_options(struct json_w *w)
{
	size_t n;
	const struct spec_mopt *options = spec_mount_options(&n);

	json_w_open(w, "mountOptions", '[');
	for (size_t i = 0; i < n; i++)
		json_w_str(w, NULL, options[i].name);
	json_w_close(w, ']');
}

static void write_capabilities(struct json_w *w)
{
	json_w_open(w, "capabilities", '[');
	for (unsigned n = 0; n <= SPEC_CAP_LAST; n++)
		json_w_str(w, NULL, spec_cap_name(n));
	json_w_close(w, ']');
}

static void write_cgroup(struct json_w *w)
{
	json_w_open(w, "cgroup", '{');
	json_w_bool(w, "v1", false);
	json_w_bool(w, "v2", true);
	json_w_bool(w, "systemd", true);
	json_w_bool(w, "systemdUser", false);
	json_w_bool(w, "rdma", true);
	json_w_close(w, '}');
}

static void write_seccomp(struct json_w *w, const struct spec_features_seccomp *seccomp)
{
	json_w_open(w, "seccomp", '{');
	json_w_bool(w, "enabled", seccomp != NULL);
	if (seccomp) {
		write_terminated(w, "actions", seccomp->actions);
		write_terminated(w, "operators", seccomp->operators);
		write_terminated(w, "archs", seccomp->archs);
		write_terminated(w, "knownFlags", seccomp->known_flags);
		write_terminated(w, "supportedFlags", seccomp->supported_flags);
	}
	json_w_close(w, '}');
}

static void write_linux(struct json_w *w, const struct spec_features_seccomp *seccomp)
{
	json_w_open(w, "linux", '{');
	write_words(w, "namespaces", spec_ns_words);
	write_capabilities(w);
	write_cgroup(w);
	write_seccomp(w, seccomp);
	write_switch(w, "apparmor", true);
	write_switch(w, "selinux", true);

	json_w_open(w, "intelRdt", '{');
	json_w_bool(w, "enabled", false);
	json_w_bool(w, "schemata", false);
	json_w_bool(w, "monitoring", false);
	json_w_close(w, '}');

	json_w_open(w, "memoryPolicy", '{');
	write_words(w, "modes", spec_memory_policy_modes);
	write_words(w, "flags", spec_memory_policy_flags);
	json_w_close(w, '}');

	json_w_open(w, "mountExtensions", '{');
	write_switch(w, "idmap", true);
	json_w_close(w, '}');

	write_switch(w, "netDevices", true);
	json_w_close(w, '}');
}

static void write_annotations(struct json_w *w, const char *version, const char *commit,
			      const char *libseccomp_version)
{
	json_w_open(w, "annotations", '{');
	json_w_str(w, "dev.bulkhead.commit", commit);
	json_w_str(w, "dev.bulkhead.isolation", "process,vm");
	/* What a virtual machine cannot honour, and is refused by name. */
	json_w_str(w, "dev.bulkhead.isolation.vm.refuses",
		   "apparmorProfile,cgroupLeaf,deviceTree,diskImage,execCgroup,execCPUAffinity,hostDevices,hostFilesystems,hostNamespaces,"
		   "hypervisor,intelRdt,joinedNamespaces,memoryPolicy,mountLabel,netDevices,noPivot,notifySocket,preserveFds,"
		   "seccompNotify,selinuxLabel,sharedPropagation");
	/* What may stand over a root: see bulkhead-sandbox(8). */
	json_w_str(w, "dev.bulkhead.sandbox.kinds", "directory,quota,image,memory");
	json_w_str(w, "dev.bulkhead.sandbox.sources", "image,layers");
	json_w_str(w, "dev.bulkhead.version", version);
	if (libseccomp_version)
		json_w_str(w, "io.github.seccomp.libseccomp.version", libseccomp_version);
	/* The key under which engines look whether they may ask for a checkpoint. */
	json_w_str(w, "org.opencontainers.runc.checkpoint.enabled", "false");
	json_w_close(w, '}');
}

void spec_write_features(struct buf *out, const struct spec_features_seccomp *seccomp,
			 const char *version, const char *commit, const char *libseccomp_version)
{
	/* A name that ends in a dot is a prefix: all of ours change what a container is. */
	static const char *const unsafe[] = { "dev.bulkhead." };
	struct json_w w = { .out = out, .indent = "    " };

	json_w_open(&w, NULL, '{');
	json_w_str(&w, "ociVersionMin", SPEC_VERSION_MIN);
	json_w_str(&w, "ociVersionMax", SPEC_VERSION);
	write_hooks(&w);
	write_mount_options(&w);
	write_linux(&w, seccomp);
	write_annotations(&w, version, commit, libseccomp_version);
	write_list(&w, "potentiallyUnsafeConfigAnnotations", unsafe, ARRAY_SIZE(unsafe));
	json_w_close(&w, '}');
}
