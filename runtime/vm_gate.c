/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_gate.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/launch/stub/stub.h"

#define VERDICT_TIMEOUT_MS 60000

int wall_verdict(int fd, int pidfd, const char *program, struct error *err)
{
	struct error told;
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
	int r;

	do {
		r = poll(p, 2, VERDICT_TIMEOUT_MS);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return error_set(err, errno, "wait for the execution of \"%s\"", program);
	if (r == 0)
		return error_rule(err, ETIMEDOUT, "executing \"%s\" did not happen within %d seconds", program,
				  VERDICT_TIMEOUT_MS / 1000);

	ssize_t n = read(fd, &told, sizeof(told));

	/* An end without a word: the program runs, or ran and has ended. */
	return n == (ssize_t)sizeof(told) ? error_take(&told, err) : 0;
}

int wall_release(struct launch *l, const char *program, struct error *err)
{
	char go = STUB_GO;

	if (send(l->gate_fd, &go, 1, MSG_NOSIGNAL) < 0)
		return error_set(err, errno, "release \"%s\" in the guest", program);
	return wall_verdict(l->gate_fd, l->pidfd, program, err);
}
