/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether AppArmor and SELinux are there. Their labels are written by the stub.
 */
#include "runtime/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

static bool has_apparmor(void)
{
	char text[8];

	return file_read_at(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", text, sizeof(text), NULL) > 0 &&
	       text[0] == 'Y';
}

static bool has_selinux(void)
{
	return access("/sys/fs/selinux/status", F_OK) == 0; /* path-ok: host path */
}

int lsm_check(const struct spec_process *process, struct error *err)
{
	if (process->apparmor_profile && !has_apparmor()) {
		int r = error_rule(err, ENOTSUP, "apparmorProfile is \"%s\", but AppArmor is not active on this host",
				   process->apparmor_profile);

		error_at(err, "/process/apparmorProfile");
		return r;
	}
	if (process->selinux_label && !has_selinux()) {
		int r = error_rule(err, ENOTSUP, "selinuxLabel is \"%s\", but SELinux is not active on this host",
				   process->selinux_label);

		error_at(err, "/process/selinuxLabel");
		return r;
	}
	return 0;
}
