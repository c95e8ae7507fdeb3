/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_process.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <termios.h>

#include "namespaces/namespaces.h"
#include "spec/base/auto.h"
#include "vm/wire/wire.h"

extern char **environ;

void wall_become(const char *name)
{
	prctl(PR_SET_NAME, name);
	for (char **e = environ; e && *e; e++)
		explicit_bzero(*e, strlen(*e));
	environ = NULL;
}

void wall_add_filter(const struct proc_seccomp *filter, struct buf *out)
{
	auto_buf struct buf b = BUF_INIT;

	if (!filter->insns)
		return;
	buf_add(&b, &filter->flags, sizeof(filter->flags));
	buf_add(&b, filter->insns, (size_t)filter->n_insns * 8); /* struct sock_filter */
	wire_add(out, WIRE_T_FILTER, b.data, b.len);
}

int wall_open_terminal(struct launch *l, const struct spec_process *process, int *ret_peer, struct error *err)
{
	struct termios t;
	auto_close int master = -1;
	auto_close int peer = -1;
	int r = ns_new_pty(process, &master, &peer, err);

	if (r == 0 && tcgetattr(peer, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(peer, TCSANOW, &t);
	}
	if (r == 0 && ioctl(peer, TIOCSCTTY, 0) < 0)
		r = error_set(err, errno, "make the terminal the controlling one");
	if (r == 0)
		r = stage_send(l->sync[1], STAGE_CONSOLE, 0, master, err);
	if (r == 0)
		*ret_peer = TAKE_FD(peer);
	return r;
}
