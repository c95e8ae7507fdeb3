/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* config - short ways to write a config.json in a test */

#include <stdio.h>

#define NS_PLAIN "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}]"
#define NS_USER_MAPS \
	"\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]," \
	"\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]"
#define NS_USER \
	"\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}," \
	"{\"type\":\"network\"},{\"type\":\"cgroup\"},{\"type\":\"user\"}]," NS_USER_MAPS

/* Members of the document besides mounts and linux; then the mounts; then the members of linux. */
static inline const char *config_with(const char *top, const char *mounts, const char *linux_)
{
	static char text[32768];

	snprintf(text, sizeof(text),
		 "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"}%s,\"mounts\":[%s],\"linux\":{%s}}",
		 top, mounts, linux_);
	return text;
}

static inline const char *config(const char *mounts, const char *linux_)
{
	return config_with("", mounts, linux_);
}

#define MOUNT(dest, type, source, options) \
	"{\"destination\":\"" dest "\",\"type\":\"" type "\",\"source\":\"" source \
	"\",\"options\":[" options "]}"
#define PROC MOUNT("/proc", "proc", "proc", "")
#define DEV  MOUNT("/dev", "tmpfs", "tmpfs", "\"nosuid\",\"mode=755\"")
