/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See port.h. The n-th console is the n-th virtio-mmio device that ACPI names, and Linux numbers them as ACPI does. The
 * driver was offered it at the boot, when it had no DeviceID, and left it alone: now it is told to look again. The
 * number in the name of a port's node is that of the virtio device, in the order in which they were found.
 */
#include "vm/agent/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "vm/wire/wire.h"

static const char driver[] = "/sys/bus/platform/drivers/virtio-mmio/bind";

/* The number of the virtio device below the n-th device of ACPI; -1 when it has none. */
static int find_virtio(const char *name)
{
	char path[80];
	int number = -1;

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s", name);

	DIR *dir = opendir(path);

	for (struct dirent *e; dir && number < 0 && (e = readdir(dir));)
		if (sscanf(e->d_name, "virtio%d", &number) != 1)
			number = -1;
	if (dir)
		closedir(dir);
	return number;
}

static void bind_driver(const char *name)
{
	auto_close int fd = openat(AT_FDCWD, driver, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, name, strlen(name)) < 0)
		return; /* not there yet, or somebody else was quicker: who asks will see */
}

static int console_of(unsigned n)
{
	char name[24];

	snprintf(name, sizeof(name), "LNRO0005:%02x", n);

	int number = find_virtio(name);

	if (number >= 0)
		return number;
	bind_driver(name);
	return find_virtio(name);
}

int port_open(unsigned number, int flags)
{
	unsigned beyond = number - WIRE_PORTS_FIRST;
	char path[48];

	if (number < WIRE_PORTS_FIRST) {
		snprintf(path, sizeof(path), "/dev/vport0p%u", number);
	} else {
		int console = console_of(1 + beyond / WIRE_PORTS_MORE);

		if (console < 0) {
			errno = ENOENT;
			return -1;
		}
		snprintf(path, sizeof(path), "/dev/vport%dp%u", console, beyond % WIRE_PORTS_MORE);
	}
	return openat(AT_FDCWD, path, flags);
}
