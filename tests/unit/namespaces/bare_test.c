/* SPDX-License-Identifier: Apache-2.0 */
/* What the process of a virtual machine lives among: the root that it serves and the sources of binds, and nothing else. */
#include <dirent.h>
#include <linux/mount.h>
#include <sys/mman.h>

#include "tests/unit/namespaces/box.h"
#include "tests/unit/namespaces/config.h"

#define BIND(dest, source, options) MOUNT(dest, "none", source, "\"rbind\"" options)
#define READ_ONLY_ROOT "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"mounts\":[%s],\"linux\":{%s}}"

static struct box box;

static void setup(void)
{
	box_make(&box);
	box.opt.is_bare = true;
	if (geteuid() == 0) {
		box_mkdir(&box, "vol");
		box_write(&box, "vol/f", "volume\n");
		box_write(&box, "hosts", "hosts\n");
		box_write(&box, "rootfs/program", "#!/bin/sh\n");
	}
}

static void teardown(void)
{
	box_drop(&box);
}

TestSuite(ns_bare, .init = setup, .fini = teardown);

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void say_names(const char *path)
{
	struct dirent **found;
	int n = scandir(path, &found, NULL, by_name);

	box_say("%s:", path);
	for (int i = 0; i < n; i++)
		if (strcmp(found[i]->d_name, ".") != 0 && strcmp(found[i]->d_name, "..") != 0)
			box_say(" %s", found[i]->d_name);
	box_say("%s\n", n < 0 ? strerrorname_np(errno) : "");
}

static void say_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	box_say("write %s %s\n", path, fd < 0 ? strerrorname_np(errno) : "ok");
	if (fd >= 0)
		close(fd);
}

/* Neither as a program nor as a mapping. */
static void say_execution(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	box_say("map %s %s\n", path, map == MAP_FAILED ? strerrorname_np(errno) : "ok");
	if (fd >= 0)
		close(fd);
	execl(path, path, (char *)NULL);
	box_say("execute %s %s\n", path, strerrorname_np(errno));
}

static void look_around(void)
{
	char path[256];

	say_names("/");
	say_names("/root");
	say_names("/volumes");
	say_names("/root/proc");
	box_cat("/volumes/m2");
	box_cat("/volumes/m3/f");
	say_write("/new");
	say_write("/volumes/new");
	say_write("/root/new");
	say_write("/volumes/m3/new");
	say_execution("/root/program");
	box_say("up %d\n", chdir("/") == 0 && chdir("..") == 0 && access("root", F_OK) == 0);
	box_path(&box, "vol", path);
	box_say("host %s\n", access(path, F_OK) == 0 ? "seen" : strerrorname_np(errno));
}

Test(ns_bare, the_root_and_the_sources_of_binds_and_nothing_else)
{
	box_need_root();
	box_mkdir(&box, "rootfs/proc");
	box_mkdir(&box, "rootfs/data");
	box_ok(&box, box_run(&box,
			     config(PROC "," DEV "," BIND("/etc/hosts", "hosts", "") "," BIND("/data", "vol", ""), NS_PLAIN),
			     look_around));
	box_has(&box, "/: root volumes\n");
	box_has(&box, "/root: data proc program\n"); /* the guest makes /dev and /etc/hosts */
	box_has(&box, "/volumes: m2 m3\n");
	box_has(&box, "/root/proc:\n");
	box_has(&box, "hosts\nvolume\n");
	box_has(&box, "write /new EROFS\nwrite /volumes/new EROFS\nwrite /root/new ok\nwrite /volumes/m3/new ok\n");
	box_has(&box, "map /root/program EPERM\nexecute /root/program EACCES\n");
	box_has(&box, "up 1\nhost ENOENT\n");
}

static void look_at_read_only(void)
{
	say_names("/root");
	say_names("/root/etc");
	say_write("/root/new");
	say_write("/volumes/m0/new");
}

Test(ns_bare, a_read_only_root_has_its_mount_points_before)
{
	char text[2048];

	box_need_root();
	snprintf(text, sizeof(text), READ_ONLY_ROOT, BIND("/data", "vol", "") "," BIND("/etc/hosts", "hosts", "") "," PROC,
		 NS_PLAIN);
	box_ok(&box, box_run(&box, text, look_at_read_only));
	box_has(&box, "/root: data etc proc program\n/root/etc: hosts\n");
	box_has(&box, "write /root/new EROFS\nwrite /volumes/m0/new ok\n");
}

static void say_volumes(struct ns_plan *plan)
{
	box_say("has %d\n", ns_has_volumes(plan));
	for (struct ns_volume v = { .next = 0 }; ns_next_volume(plan, &v);)
		box_say("volume %c%u %#x\n", v.is_extra ? 'x' : 'm', v.number, v.attr);
}

static void restrict_source(struct box *b)
{
	char path[256];

	box_path(b, "vol", path);
	if (mount("t", path, "tmpfs", MS_NOSUID | MS_NOEXEC, NULL) < 0)
		_exit(95);
}

static void look_at_volumes(void)
{
	say_names("/volumes");
	box_cat("/volumes/x0");
	say_write("/volumes/m1/new");
	say_write("/volumes/m2/new");
}

/* The most restrictive of the host's mount and the config: the guest learns it, as the bare root takes more from all. */
Test(ns_bare, a_volume_has_the_attributes_of_its_source_and_of_the_config)
{
	struct ns_extra_mount extra = { .destination = "/run/notify" };
	char path[256];

	box_need_root();
	box_path(&box, "hosts", path);
	extra.source_fd = open(path, O_PATH | O_CLOEXEC);
	box.opt.extra_mounts = &extra;
	box.opt.n_extra_mounts = 1;
	box.before = say_volumes;
	box_mkdir(&box, "plain");
	box_ok(&box, box_run(&box,
			     config(MOUNT("/t", "tmpfs", "t", "") "," BIND("/a", "plain", ",\"ro\",\"nodev\"") "," BIND(
					    "/b", "plain", ""),
				    NS_PLAIN),
			     look_at_volumes));
	snprintf(path, sizeof(path), "has 1\nvolume m1 %#x\nvolume m2 0\nvolume x0 0\n", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
	box_has(&box, path);
	box_has(&box, "/volumes: m1 m2 x0\nhosts\nwrite /volumes/m1/new EROFS\nwrite /volumes/m2/new ok\n");
	close(extra.source_fd);
}

Test(ns_bare, what_the_host_forbids_in_a_source_is_told)
{
	char wanted[64];

	box_need_root();
	box.before = say_volumes;
	box.on_host = restrict_source;
	box_ok(&box, box_run(&box, config(BIND("/a", "vol", ""), NS_PLAIN), NULL));
	snprintf(wanted, sizeof(wanted), "volume m0 %#x\n", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	box_has(&box, wanted);
}

Test(ns_bare, without_binds_there_are_no_volumes)
{
	box_need_root();
	box.before = say_volumes;
	box_ok(&box, box_run(&box, config(PROC, NS_PLAIN), look_at_volumes));
	box_has(&box, "has 0\n/volumes:\n");
}

Test(ns_bare, a_mount_point_that_cannot_be_made_is_named)
{
	char text[2048];

	box_need_root();
	snprintf(text, sizeof(text), READ_ONLY_ROOT, PROC "," BIND("/program/data", "vol", ""), NS_PLAIN);
	cr_assert_lt(box_run(&box, text, NULL), 0);
	cr_expect_str_eq(box.err.at, "/mounts/1");
	cr_expect(strstr(box.line, "/program/data"), "%s", box.line);
}

Test(ns_bare, the_root_of_a_user_namespace)
{
	char path[256];

	box_need_root();
	box_path(&box, "rootfs", path);
	cr_assert_eq(chown(path, 100000, 100000), 0);
	box_path(&box, "vol", path);
	cr_assert_eq(chown(path, 100000, 100000), 0);
	box_ok(&box, box_run(&box, config(BIND("/data", "vol", ""), NS_USER), look_at_read_only));
	box_has(&box, "/root: program\n");
	box_has(&box, "write /root/new ok\nwrite /volumes/m0/new ok\n");
}
