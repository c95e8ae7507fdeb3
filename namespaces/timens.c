/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time namespaces (time_namespaces(7))
 *
 * A time namespace is entered by the children of who unshared it, and its
 * offsets can only be written while nobody is in it. So the parent unshares and
 * writes, the child is born into it, and ns_restore_parent() sets the parent's
 * further children back. A pid namespace joined by path is the same kind of thing.
 *
 * With a user namespace the child does it all, in there: a time namespace belongs
 * to the user namespace it was made in, and only who has rights over its owner may
 * enter it later (another container of the pod), or make it at all (rootless).
 */
#include "namespaces/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

#include "namespaces/sys.h"
#include "spec/base/auto.h"
#include "spec/base/file.h"

static int write_offset(const char *clock, const struct spec_time_offset *offset, struct error *err)
{
	char line[80];

	if (!offset->set)
		return 0;
	snprintf(line, sizeof(line), "%s %" PRId64 " %" PRIu32, clock, offset->secs,
		 offset->nanosecs);

	int r = file_write_at(AT_FDCWD, "/proc/self/timens_offsets", line, err);

	if (r < 0) {
		error_wrap(err, r, "cannot set the %s clock's offset", clock);
		error_at(err, "/linux/timeOffsets/%s", clock);
	}
	return r;
}

static int open_for_children(void)
{
	/* path-ok: the host's /proc */
	return openat(AT_FDCWD, "/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
}

static int cannot(const struct ns_plan *plan, const char *what, struct error *err)
{
	int r = error_set(err, errno, "%s the time namespace", what);

	error_at(err, "/linux/namespaces/%u", plan->ns[SPEC_NS_TIME].index);
	return r;
}

static int make(const struct ns_plan *plan, struct error *err)
{
	const struct spec_linux *linux_ = &plan->spec->linux_;

	if (unshare(CLONE_NEWTIME) < 0)
		return cannot(plan, "unshare", err);

	int r = write_offset("monotonic", &linux_->monotonic, err);

	return r < 0 ? r : write_offset("boottime", &linux_->boottime, err);
}

int ns_prepare_time(struct ns_plan *plan, struct error *err)
{
	if (!ns_is_new(plan, SPEC_NS_TIME) || ns_is_own(plan, SPEC_NS_USER))
		return 0;
	plan->own_time_ns = open_for_children();
	if (plan->own_time_ns < 0)
		return cannot(plan, "open", err);
	return make(plan, err);
}

int ns_make_own_time(const struct ns_plan *plan, struct error *err)
{
	if (!ns_is_new(plan, SPEC_NS_TIME))
		return 0;

	int r = make(plan, err);
	auto_close int fd = r < 0 ? -1 : open_for_children();

	if (r < 0)
		return r;
	return fd < 0 || setns(fd, CLONE_NEWTIME) < 0 ? cannot(plan, "enter", err) : 0;
}

int ns_restore_parent(struct ns_plan *plan, struct error *err)
{
	auto_close int time_ns = TAKE_FD(plan->own_time_ns);
	auto_close int pid_ns = TAKE_FD(plan->own_pid_ns);

	if (time_ns >= 0 && setns(time_ns, CLONE_NEWTIME) < 0)
		return error_set(err, errno, "setns back to the runtime's time namespace");
	if (pid_ns >= 0 && setns(pid_ns, CLONE_NEWPID) < 0)
		return error_set(err, errno, "setns back to the runtime's pid namespace");
	return 0;
}
