/* SPDX-License-Identifier: Apache-2.0 */
/* Single mounts, each in a root of its own, and what an image can do against them. */
#include "tests/unit/namespaces/box.h"
#include "tests/unit/namespaces/config.h"

#define BIND(dest, source, options) MOUNT(dest, "none", source, "\"rbind\"" options)

static struct box box;

static void setup(void)
{
	box_make(&box);
}

static void teardown(void)
{
	box_drop(&box);
}

TestSuite(ns_mount, .init = setup, .fini = teardown);

static int run(const char *mounts, const char *linux_, void (*inside)(void))
{
	return box_run(&box, config(mounts, linux_), inside);
}

static void say_type(const char *path)
{
	struct stat st = { 0 };
	char text[256] = "";
	int r = lstat(path, &st);

	if (r == 0 && S_ISLNK(st.st_mode) && readlink(path, text, sizeof(text) - 1) < 0)
		text[0] = '?';
	box_say("%s %o %x %s\n", path, st.st_mode, (unsigned)st.st_rdev, text);
}

static void say_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	box_say("write %s %s\n", path, fd < 0 ? strerrorname_np(errno) : "ok");
	if (fd >= 0)
		close(fd);
}

static void look_at_binds(void)
{
	box_cat("/etc/hosts");
	box_cat("/data/f");
	box_cat("/rel/f");
	say_write("/data/f");
	say_write("/rel/f");
}

Test(ns_mount, binds_of_files_and_directories_make_their_targets)
{
	char mounts[1024];

	box_need_root();
	box_mkdir(&box, "vol");
	box_write(&box, "vol/f", "volume\n");
	box_write(&box, "hosts", "hosts\n");
	snprintf(mounts, sizeof(mounts),
		 BIND("/etc/hosts", "%s/hosts", "") "," BIND("/data", "%s/vol", ",\"ro\"") "," BIND(
			 "/rel", "vol", ",\"rprivate\",\"nosuid\",\"nodev\""),
		 box.dir, box.dir);
	box_ok(&box, run(mounts, NS_PLAIN, look_at_binds));
	box_has(&box, "hosts\nvolume\nvolume\n");
	box_has(&box, "write /data/f EROFS\n");
	box_has(&box, "write /rel/f ok\n");
}

static void look_at_links(void)
{
	box_cat("/run/f");
	box_cat("/target");
	say_type("/var/run");
	say_type("/file");
}

Test(ns_mount, a_link_in_the_image_is_followed_inside_the_root_only)
{
	box_need_root();
	box_mkdir(&box, "vol");
	box_write(&box, "vol/f", "volume\n");
	box_mkdir(&box, "rootfs/var");
	box_symlink(&box, "../../../../../../run", "rootfs/var/run");
	box_symlink(&box, "/target", "rootfs/file");
	box_ok(&box, run(BIND("/var/run", "vol", "") "," BIND("/file", "vol/f", ""), NS_PLAIN,
			 look_at_links));
	box_has(&box, "volume\nvolume\n");
	box_has(&box, "/var/run 120777 0 ../../../../../../run\n");
	box_has(&box, "/file 120777 0 /target\n");
}

static void look_at_covered(void)
{
	box_cat("/run/x/f");
	box_cat("/var/run/x/f");
}

Test(ns_mount, a_mount_through_a_link_covers_what_was_mounted_before)
{
	box_need_root();
	box_mkdir(&box, "vol");
	box_mkdir(&box, "vol/x");
	box_write(&box, "file", "file\n");
	box_mkdir(&box, "rootfs/run");
	box_mkdir(&box, "rootfs/var");
	box_symlink(&box, "/run", "rootfs/var/run");
	/* The third belongs into the volume, not into the tmpfs that the volume hides. */
	box_ok(&box, run(MOUNT("/run/x", "tmpfs", "t",
			       "") "," BIND("/var/run", "vol", "") "," BIND("/run/x/f", "file", ""),
			 NS_PLAIN, look_at_covered));
	box_has(&box, "file\nfile\n");
}

Test(ns_mount, a_symlink_at_proc_or_sys_is_refused)
{
	box_need_root();
	box_mkdir(&box, "rootfs/elsewhere");
	box_symlink(&box, "elsewhere", "rootfs/proc");
	box_symlink(&box, "/tmp", "rootfs/sys");
	cr_expect_lt(run(PROC, NS_PLAIN, NULL), 0);
	cr_expect(strstr(box.line, "must be mounted on ordinary directory"), "%s", box.line);
	cr_expect_str_eq(box.err.at, "/mounts/0");
	cr_expect_lt(run(MOUNT("/sys", "sysfs", "s", ""), NS_PLAIN, NULL), 0);
	cr_expect(strstr(box.line, "must be mounted on ordinary directory"), "%s", box.line);
}

Test(ns_mount, a_file_at_proc_is_refused)
{
	box_need_root();
	box_write(&box, "rootfs/proc", "");
	cr_expect_lt(run(PROC, NS_PLAIN, NULL), 0);
	cr_expect(strstr(box.line, "must be mounted on ordinary directory"), "%s", box.line);
}

Test(ns_mount, a_link_into_proc_is_no_way_around_the_rule)
{
	box_need_root();
	box_mkdir(&box, "vol");
	box_symlink(&box, "proc", "rootfs/p");
	cr_expect_lt(run(PROC "," BIND("/p/fs", "vol", ""), NS_PLAIN, NULL), 0);
	cr_expect(strstr(box.line, "inside /proc"), "%s", box.line);
	cr_expect_str_eq(box.err.at, "/mounts/1");
}

static void look_at_dev(void)
{
	say_type("/real/null");
	say_type("/dev/null");
	say_type("/dev/ptmx");
}

Test(ns_mount, a_dev_that_is_a_link_stays_inside_the_root)
{
	char canary[256], link[300];

	box_need_root();
	box_mkdir(&box, "canary");
	box_path(&box, "canary", canary);
	snprintf(link, sizeof(link), "../../../../../../..%s", canary);
	box_symlink(&box, link, "rootfs/dev");
	box_ok(&box, run(PROC "," DEV, NS_PLAIN, look_at_dev));
	box_has(&box, "/dev/null 20666 103 \n");
	box_has(&box, "/dev/ptmx 120777 0 pts/ptmx\n");
	cr_expect_eq(rmdir(canary), 0, "something was made in %s: %s", canary, strerror(errno));
}

Test(ns_mount, device_nodes_go_to_a_dev_of_the_image_too)
{
	box_need_root();
	box_ok(&box, run("", NS_PLAIN, look_at_dev));
	box_has(&box, "/dev/null 20666 103 \n");
	box_has(&box, "/dev/ptmx 120777 0 pts/ptmx\n");
}

Test(ns_mount, an_object_of_another_kind_in_place_of_a_device_is_refused)
{
	box_need_root();
	box_mkdir(&box, "rootfs/dev");
	box_write(&box, "rootfs/dev/null", "fake");
	cr_expect_lt(run("", NS_PLAIN, NULL), 0);
	cr_expect(strstr(box.line, "/dev/null exists and is not the character device 1:3"), "%s",
		  box.line);
}

static void look_at_devices(void)
{
	struct stat st = { 0 };

	say_type("/dev/net/tun");
	say_type("/opt/fifo");
	say_type("/dev/tty");
	stat("/dev/tty", &st);
	box_say("owner %u:%u\n", st.st_uid, st.st_gid);
}

Test(ns_mount, devices_of_the_config_have_their_mode_and_owner)
{
	box_need_root();
	box_ok(&box,
	       run(DEV,
		   NS_PLAIN ",\"devices\":["
			    "{\"path\":\"/dev/net/tun\",\"type\":\"c\",\"major\":10,\"minor\":200},"
			    "{\"path\":\"/opt/fifo\",\"type\":\"p\",\"fileMode\":432},"
			    "{\"path\":\"/dev/tty\",\"type\":\"c\",\"major\":5,\"minor\":0,"
			    "\"fileMode\":400,\"uid\":7,\"gid\":8}]",
		   look_at_devices));
	box_has(&box, "/dev/net/tun 20666 ac8 \n");
	box_has(&box, "/opt/fifo 10660 0 \n");
	box_has(&box, "/dev/tty 20620 500 \n");
	box_has(&box, "owner 7:8\n");
}

static void look_at_tmpfs(void)
{
	struct stat st = { 0 };

	stat("/keep", &st);
	box_say("keep %o\n", st.st_mode);
	stat("/given", &st);
	box_say("given %o\n", st.st_mode);
	say_write("/keep/x");
	say_write("/given/x");
	say_type("/keep/sub");
}

Test(ns_mount, a_tmpfs_takes_the_mode_of_what_it_covers)
{
	char path[256];

	box_need_root();
	box_mkdir(&box, "rootfs/keep");
	box_mkdir(&box, "rootfs/given");
	box_path(&box, "rootfs/keep", path);
	chmod(path, 01711);
	box_ok(&box, run(MOUNT("/keep", "tmpfs", "t",
			       "") "," MOUNT("/given", "tmpfs", "t",
					     "\"mode=700\",\"ro\"") "," MOUNT("/given/inner",
									      "tmpfs", "t", ""),
			 NS_PLAIN, look_at_tmpfs));
	box_has(&box, "keep 41711\n");
	box_has(&box, "given 40700\n");
	box_has(&box, "write /keep/x ok\n");
	box_has(&box, "write /given/x EROFS\n");
}

static void look_at_copy(void)
{
	struct stat st = { 0 };

	box_cat("/data/f");
	box_cat("/data/sub/g");
	say_type("/data/link");
	say_type("/data/pipe");
	stat("/data/sub", &st);
	box_say("sub %o %u\n", st.st_mode, st.st_uid);
	say_write("/data/new");
}

Test(ns_mount, tmpcopyup_starts_with_what_the_image_has)
{
	char path[256];

	box_need_root();
	box_mkdir(&box, "rootfs/data");
	box_mkdir(&box, "rootfs/data/sub");
	box_write(&box, "rootfs/data/f", "f\n");
	box_write(&box, "rootfs/data/sub/g", "g\n");
	box_symlink(&box, "/nowhere", "rootfs/data/link");
	box_path(&box, "rootfs/data/pipe", path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	box_path(&box, "rootfs/data/sub", path);
	cr_assert_eq(chown(path, 12, 13) + chmod(path, 02750), 0);
	box_ok(&box, run(MOUNT("/data", "tmpfs", "t", "\"tmpcopyup\""), NS_PLAIN, look_at_copy));
	box_has(&box, "f\ng\n");
	box_has(&box, "/data/link 120777 0 /nowhere\n");
	box_has(&box, "/data/pipe 10600 0 \n");
	box_has(&box, "sub 42750 12\n");
	box_has(&box, "write /data/new ok\n");
	box_path(&box, "rootfs/data/new", path);
	cr_expect_neq(access(path, F_OK), 0, "the copy is written to the image");
}

/* A tree with a mount of its own inside, made in the child's mount namespace. */
static void mount_inner(struct box *b)
{
	char path[256];
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	box_path(b, "vol/inner", path);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		_exit(95);

	int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);

	if (move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		_exit(94);
	close(fd);
	close(fs);
}

static void write_top_and_inner(void)
{
	say_write("/m/x");
	say_write("/m/inner/x");
}

Test(ns_mount, ro_is_for_one_mount_and_rro_for_the_tree)
{
	box_need_root();
	box_mkdir(&box, "vol");
	box_mkdir(&box, "vol/inner");
	box.on_host = mount_inner;
	box_ok(&box, run(BIND("/m", "vol", ",\"ro\""), NS_PLAIN, write_top_and_inner));
	box_has(&box, "write /m/x EROFS\nwrite /m/inner/x ok\n");
	box_ok(&box, run(BIND("/m", "vol", ",\"rro\""), NS_PLAIN, write_top_and_inner));
	box_has(&box, "write /m/x EROFS\nwrite /m/inner/x EROFS\n");
	box_ok(&box, run(BIND("/m", "vol", ",\"rro\",\"rrw\""), NS_PLAIN, write_top_and_inner));
	box_has(&box, "write /m/x ok\nwrite /m/inner/x ok\n");
}

static void show_mountinfo(void)
{
	box_cat("/proc/self/mountinfo");
}

Test(ns_mount, attributes_and_a_remount_show_in_mountinfo)
{
	box_need_root();
	box_mkdir(&box, "vol");
	box_ok(&box,
	       run(PROC
		   "," BIND("/a", "vol", ",\"nosuid\",\"noexec\",\"noatime\"") "," BIND("/b", "vol", ",\"rnodev\",\"rstrictatime\",\"nosymfollow\"") "," BIND(
			   "/a", "vol",
			   ",\"remount\",\"ro\",\"exec\"") "," MOUNT("/t", "tmpfs", "tt",
								     "\"size=1m\"") "," MOUNT("/t",
											      "tmpf"
											      "s",
											      "tt",
											      "\"re"
											      "moun"
											      "t\","
											      "\"si"
											      "ze="
											      "2m"
											      "\""),
		   NS_PLAIN, show_mountinfo));
	box_has(&box, " /a ro,nosuid,noatime");
	box_has_not(&box, " /a ro,nosuid,noexec");
	box_has(&box, " /b rw,nodev,nosymfollow - ");
	box_has(&box, " /t rw,relatime - tmpfs tt rw,size=2048k");
}

Test(ns_mount, propagation_is_what_the_options_say)
{
	box_need_root();
	box_mkdir(&box, "vol");
	box_ok(&box,
	       run(PROC "," BIND("/shared", "vol", ",\"rshared\"") "," BIND(
			   "/private", "vol",
			   ",\"rprivate\"") "," BIND("/shared/f", "vol",
						     ",\"rprivate\"") "," BIND("/unbindable", "vol",
									       ",\"unbindable\""),
		   NS_PLAIN, show_mountinfo));
	cr_expect(strstr(box.out, " /shared rw") && strstr(box.out, "shared:"), "%s", box.out);
	box_has(&box, " /unbindable rw");
	box_has(&box, " unbindable - ");

	char *line = strstr(box.out, " /shared/f rw");

	cr_assert(line, "%s", box.out);
	cr_expect(!memmem(line, strcspn(line, "\n"), "shared:", 7), "%s", box.out);
}

Test(ns_mount, an_unknown_option_names_mount_and_option)
{
	box_need_root();
	cr_expect_lt(run(MOUNT("/t", "tmpfs", "t", "\"bogus=1\""), NS_PLAIN, NULL), 0);
	cr_expect(strstr(box.line,
			 "mount tmpfs on /t: option bogus=1: tmpfs: Unknown parameter 'bogus'"),
		  "%s", box.line);
	cr_expect_str_eq(box.err.at, "/mounts/0");
}

Test(ns_mount, an_unknown_type_has_a_hint)
{
	box_need_root();
	cr_expect_eq(run(MOUNT("/t", "bind", "t", ""), NS_PLAIN, NULL), -ENODEV);
	cr_expect(strstr(box.err.hint, "\"rbind\""), "%s", box.err.hint);
}

Test(ns_mount, a_missing_bind_source_is_named)
{
	box_need_root();
	cr_expect_eq(run(BIND("/m", "/does/not/exist", ""), NS_PLAIN, NULL), -ENOENT);
	cr_expect(strstr(box.line, "open bind source /does/not/exist for /m"), "%s", box.line);
	cr_expect_str_eq(box.err.at, "/mounts/0");
}

Test(ns_mount, only_a_procfs_can_be_bound_on_proc)
{
	box_need_root();
	box_mkdir(&box, "vol");
	cr_expect_eq(run(BIND("/proc", "vol", ""), NS_PLAIN, NULL), -EINVAL);
	cr_expect(strstr(box.line, "inside /proc"), "%s", box.line);
	box_ok(&box, run(BIND("/proc", "/proc", ""), NS_PLAIN, show_mountinfo));
}

static void show_owner(void)
{
	struct stat st = { 0 };

	stat("/m/f", &st);
	box_say("owner %u:%u\n", st.st_uid, st.st_gid);
}

Test(ns_mount, an_id_mapped_bind_shows_other_owners)
{
	char path[256];

	box_need_root();
	box_mkdir(&box, "vol");
	box_write(&box, "vol/f", "");
	box_path(&box, "vol/f", path);
	cr_assert_eq(chown(path, 5, 6), 0);

	int r = run("{\"destination\":\"/m\",\"source\":\"vol\",\"options\":[\"bind\"],"
		    "\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":100}],"
		    "\"gidMappings\":[{\"containerID\":0,\"hostID\":2000,\"size\":100}]}",
		    NS_PLAIN, show_owner);

	box_ok(&box, r);
	box_has(&box, "owner 1005:2006\n");
}

static void look_at_link_options(void)
{
	say_type("/copied");
	say_type("/followed");
	say_type("/run");
	say_type("/var");
	box_say("inner ");
	box_cat("/inner");
	box_say("victim ");
	box_cat("/victim");
}

Test(ns_mount, a_link_can_be_copied_bound_or_covered)
{
	box_need_root();
	box_write(&box, "target", "target\n");
	box_symlink(&box, "target", "link");
	box_write(&box, "rootfs/victim", "victim\n");
	box_symlink(&box, "/victim", "rootfs/inner");
	box_ok(&box,
	       run(BIND("/copied", "link", ",\"copy-symlink\"") "," BIND("/followed", "link", "") "," BIND(
			   "/run", "target",
			   ",\"copy-symlink\"") "," BIND("/var", "link",
							 ",\"src-nofollow\"") "," BIND("/inner",
										       "target",
										       ",\"dest-"
										       "nofollow"
										       "\""),
		   NS_PLAIN, look_at_link_options));
	box_has(&box, "/copied 120777 0 target\n");
	box_has(&box, "/followed 100644 0 \n");
	box_has(&box, "/run 100644 0 \n");
	box_has(&box, "/var 120777 0 target\n");
	box_has(&box, "inner target\n");
	box_has(&box, "victim victim\n");
}

Test(ns_mount, a_link_is_not_copied_over_something_else)
{
	box_need_root();
	box_symlink(&box, "target", "link");
	box_write(&box, "rootfs/taken", "");
	cr_expect_eq(run(BIND("/taken", "link", ",\"copy-symlink\""), NS_PLAIN, NULL), -EEXIST);
	cr_expect(strstr(box.line, "/taken exists and is not the link to target"), "%s", box.line);
}

static void look_at_extra(void)
{
	box_cat("/run/notify/f");
	say_write("/run/notify/f");
}

Test(ns_mount, the_runtime_can_add_a_mount_by_descriptor)
{
	char path[256];

	box_need_root();
	box_mkdir(&box, "vol");
	box_write(&box, "vol/f", "extra\n");
	box_path(&box, "vol", path);

	struct ns_extra_mount extra = {
		.source_fd = open(path, O_PATH | O_CLOEXEC),
		.destination = "/run/notify",
		.attr_set = MOUNT_ATTR_RDONLY,
	};

	box.opt.extra_mounts = &extra;
	box.opt.n_extra_mounts = 1;
	box_ok(&box, run("", NS_PLAIN, look_at_extra));
	box_has(&box, "extra\n");
	box_has(&box, "write /run/notify/f EROFS\n");
	close(extra.source_fd);
}

Test(ns_mount, a_cgroup_mount_without_a_namespace_is_the_hosts_tree)
{
	box_need_root();
	box_ok(&box, run(PROC "," MOUNT("/sys", "sysfs", "sysfs",
					"\"ro\"") "," MOUNT("/sys/fs/cgroup", "cgroup", "cgroup",
							    "\"ro\",\"nosuid\""),
			 NS_PLAIN, show_mountinfo));
	box_has(&box, " /sys/fs/cgroup ro,nosuid,");
	box_has(&box, " - cgroup2 ");
}

/* Exchanges a directory of the image with a link out of it, as fast as it can, until killed. */
static pid_t start_swapper(const char *dir, const char *link)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			renameat2(AT_FDCWD, dir, AT_FDCWD, link, RENAME_EXCHANGE);
	return pid;
}

Test(ns_mount, a_target_that_is_exchanged_while_we_mount_never_leads_out, .timeout = 60)
{
	char dir[256], link[256], canary[256], up[300], inner[300];
	unsigned made = 0;

	box_need_root();
	box_mkdir(&box, "vol");
	box_mkdir(&box, "canary");
	box_mkdir(&box, "rootfs/a");
	box_path(&box, "rootfs/a", dir);
	box_path(&box, "rootfs/link", link);
	box_path(&box, "canary", canary);
	snprintf(up, sizeof(up), "../../../../../../../..%s", canary);
	cr_assert_eq(symlink(up, link), 0);

	pid_t swapper = start_swapper(dir, link);

	for (int i = 0; i < 150; i++) {
		int r = run(BIND("/a/b/c", "vol", "") "," MOUNT("/a/t", "tmpfs", "t",
								"") "," BIND("/a", "vol",
									     ",\"ro\""),
			    NS_PLAIN, NULL);

		/* Losing the race may be an error; winning it for the image may not happen. */
		made += r == 0;
	}
	kill(swapper, SIGKILL);
	waitpid(swapper, NULL, 0);
	cr_expect_gt(made, 0);
	snprintf(inner, sizeof(inner), "%s/b", canary);
	cr_expect(access(inner, F_OK) < 0, "%s was made on the host", inner);
	snprintf(inner, sizeof(inner), "%s/t", canary);
	cr_expect(access(inner, F_OK) < 0, "%s was made on the host", inner);
	cr_expect_eq(rmdir(canary), 0, "%s is not empty any more", canary);
}
