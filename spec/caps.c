/* SPDX-License-Identifier: Apache-2.0 */
/* Capability names of include/uapi/linux/capability.h, by number. */
#include "spec/spec.h"

#include <string.h>

static const char *const names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

_Static_assert(sizeof(names) / sizeof(names[0]) == SPEC_CAP_LAST + 1,
	       "a name for every capability");

int spec_cap_number(const char *name)
{
	/* Most names differ in the first letter after the prefix: an engine sends 42 of them. */
	if (strncmp(name, "CAP_", 4) != 0)
		return -1;
	for (int n = 0; n <= SPEC_CAP_LAST; n++)
		if (names[n][4] == name[4] && strcmp(names[n] + 5, name + 5) == 0)
			return n;
	return -1;
}

const char *spec_cap_name(unsigned n)
{
	return n <= SPEC_CAP_LAST ? names[n] : NULL;
}
