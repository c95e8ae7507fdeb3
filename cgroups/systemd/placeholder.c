/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/placeholder.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/proc.h"

#define END_TIMEOUT_MS 10000

/*
 * In the child: the host's namespaces, no descriptor, nothing to do. It ends with its
 * parent, so that a create that is killed leaves an empty scope, which systemd takes away.
 */
_Noreturn static void be_placeholder(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent) /* dead already: the signal will not come */
		_exit(0);
	prctl(PR_SET_NAME, "bulkhead:scope", 0, 0, 0);
	syscall(SYS_close_range, 0, ~0U, 0);
	for (;;)
		pause();
}

int placeholder_make(struct unit_placeholder *ret, struct error *err)
{
	int pidfd = -1;
	pid_t parent = getpid();
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return error_set(err, errno, "clone a process that keeps the scope alive");
	if (pid == 0)
		be_placeholder(parent);
	*ret = (struct unit_placeholder){ .pidfd = pidfd, .pid = (pid_t)pid };
	return 0;
}

void unit_release(struct unit_placeholder *p)
{
	siginfo_t si;

	if (p->pidfd < 0)
		return;
	proc_pidfd_send(p->pidfd, SIGKILL);
	/* Nothing can hold it for long; were it so, it is reaped by whoever reaps us. */
	if (proc_pidfd_wait(p->pidfd, END_TIMEOUT_MS) == 0)
		waitid(P_PID, (id_t)p->pid, &si, WEXITED);
	close(TAKE_FD(p->pidfd));
	p->pid = 0;
}
