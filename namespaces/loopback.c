/* SPDX-License-Identifier: Apache-2.0 */
/* A new network namespace has a loopback device that is down. */
#include "namespaces/apply.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "spec/base/auto.h"

int ns_loopback_up(struct error *err)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* closed by the next execve */

	if (fd < 0)
		return error_set(err, errno, "socket AF_INET for the loopback device");
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return error_set(err, errno, "set the loopback device up");
	return 0;
}
