/* SPDX-License-Identifier: Apache-2.0 */

/* Gives a compiled filter to the kernel, and its listener to the runtime. */
#include "runtime/process/steps.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spec/base/auto.h"

static int send_listener(int sock, int listener, struct error *err)
{
	char byte = 0;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room),
	};

	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &listener, sizeof(int));

	ssize_t n;

	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? error_set(err, errno, "send the seccomp listener to the runtime") : 0;
}

int proc_load_seccomp(const struct proc_seccomp *filter, int notify_sock, struct error *err)
{
	struct sock_fprog program = {
		.len = (unsigned short)filter->n_insns,
		.filter = (struct sock_filter *)filter->insns,
	};

	if (filter->notifies && notify_sock < 0)
		return error_rule(err, EINVAL, "the seccomp filter notifies, but nobody listens");

	long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->flags, &program);

	if (listener < 0)
		return error_set(err, errno, "load seccomp filter (%u instructions, flags %#x)",
				 filter->n_insns, filter->flags);
	if (!filter->notifies)
		return 0;

	auto_close int fd = (int)listener; /* the kernel makes it CLOEXEC */

	return send_listener(notify_sock, fd, err);
}
