/* SPDX-License-Identifier: Apache-2.0 */
/* A whole container root, built in a child and looked at from inside. */
#include "tests/unit/namespaces/box.h"

static void show_mounts(void)
{
	box_cat("/proc/self/mountinfo");
	for (const char *const *p =
		     (const char *const[]){ "/dev/null", "/dev/full", "/dev/tty", NULL };
	     *p; p++) {
		struct stat st = { 0 };

		stat(*p, &st);
		box_say("%s %o %lx\n", *p, st.st_mode, (unsigned long)st.st_rdev);
	}
	char host[64] = "";

	gethostname(host, sizeof(host));
	box_say("host %s\n", host);
}

Test(ns_build, the_default_bundle_has_its_mounts_devices_and_name)
{
	struct box box;
	auto_buf struct buf config = BUF_INIT;
	struct spec_default_options opt = { .hostname = "boxed" };

	box_need_root();
	box_make(&box);
	spec_write_default(&config, &opt);

	int r = box_run(&box, config.data, show_mounts);

	box_drop(&box);
	box_ok(&box, r);
	box_has(&box, "/rootfs / ro,");
	box_has(&box, " / /proc rw,relatime - proc proc ");
	box_has(&box, " / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755");
	box_has(&box, " /dev/pts rw,nosuid,noexec,relatime - devpts devpts "
		      "rw,gid=5,mode=620,ptmxmode=666");
	box_has(&box, " /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k");
	box_has(&box, " /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs");
	box_has(&box, " /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup");
	box_has(&box, " /sys /proc/sys ro,");
	box_has(&box, "/dev/null 20666 103\n");
	box_has(&box, "/dev/full 20666 107\n");
	box_has(&box, "/dev/tty 20666 500\n");
	box_has(&box, "host boxed\n");
}
