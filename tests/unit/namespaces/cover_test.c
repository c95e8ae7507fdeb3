/* SPDX-License-Identifier: Apache-2.0 */
/* Masked and read-only paths, sysctls, and the root's own properties, from inside. */
#include "tests/unit/namespaces/box.h"
#include "tests/unit/namespaces/config.h"

static struct box box;

static void setup(void)
{
	box_make(&box);
}

static void teardown(void)
{
	box_drop(&box);
}

TestSuite(ns_cover, .init = setup, .fini = teardown);

static void say_content(const char *path)
{
	char text[64];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	box_say("%s %s %zd\n", path,
		fd < 0	? strerrorname_np(errno)
		: n < 0 ? strerrorname_np(errno)
			: "ok",
		n);
	if (fd >= 0)
		close(fd);
}

static void say_make(const char *path)
{
	box_say("make %s %s\n", path, mkdir(path, 0755) < 0 ? strerrorname_np(errno) : "ok");
}

static void look_at_masks(void)
{
	say_content("/proc/keys");
	say_content("/secret");
	say_content("/dir/inner");
	say_content("/real");
	say_make("/dir/new");
	say_make("/other/new");
	box_cat("/proc/self/mountinfo");
}

#define MASKS \
	",\"maskedPaths\":[\"/proc/keys\",\"/proc/does-not-exist\",\"/secret\",\"/dir\",\"/" \
	"other\"," \
	"\"/link\",\"/secret/below/a/file\"]"

static void make_masked(void)
{
	box_write(&box, "rootfs/secret", "secret");
	box_write(&box, "rootfs/real", "secret");
	box_symlink(&box, "/real", "rootfs/link");
	box_mkdir(&box, "rootfs/dir");
	box_write(&box, "rootfs/dir/inner", "secret");
	box_mkdir(&box, "rootfs/other");
}

static void expect_masked(void)
{
	box_has(&box, "/proc/keys ok 0\n");
	box_has(&box, "/secret ok 0\n");
	box_has(&box, "/dir/inner ENOENT");
	box_has(&box, "/real ok 0\n"); /* where the link leads */
	box_has(&box, "make /dir/new EROFS\n");
	box_has(&box, "make /other/new EROFS\n");
}

Test(ns_cover, masked_files_are_empty_and_directories_share_one_tmpfs)
{
	box_need_root();
	make_masked();
	box_ok(&box, box_run(&box, config(PROC "," DEV, NS_PLAIN MASKS), look_at_masks));
	expect_masked();

	unsigned major, minor, other_major, other_minor;
	const char *dir = strstr(box.out, " / /dir ro"), *other = strstr(box.out, " / /other ro");

	cr_assert(dir && other, "%s", box.out);
	while (dir > box.out && dir[-1] != ' ')
		dir--;
	while (other > box.out && other[-1] != ' ')
		other--;
	cr_expect_eq(sscanf(dir, "%u:%u", &major, &minor), 2);
	cr_expect_eq(sscanf(other, "%u:%u", &other_major, &other_minor), 2);
	cr_expect(major == other_major && minor == other_minor, "%s", box.out);
}

Test(ns_cover, masks_work_without_a_dev_of_ours)
{
	box_need_root();
	make_masked();
	box_ok(&box, box_run(&box, config(PROC, NS_PLAIN MASKS), look_at_masks));
	expect_masked();
}

static void plant_fake_null(struct ns_plan *plan)
{
	/* What a hostile image or hook could leave where a careless runtime takes its mask from. */
	unlinkat(ns_root_fd(plan), "dev/null", 0);
	if (symlinkat("/secret", ns_root_fd(plan), "dev/null") < 0)
		_exit(93);
}

Test(ns_cover, a_fake_null_device_is_never_a_mask)
{
	box_need_root();
	make_masked();
	box.before = plant_fake_null;
	box_ok(&box, box_run(&box, config(PROC "," DEV, NS_PLAIN MASKS), look_at_masks));
	expect_masked();
}

static void look_at_readonly(void)
{
	say_make("/ro/x");
	say_make("/ro/rw/x");
	say_make("/free/x");
	box_say("sysctl %s\n",
		access("/proc/sys/kernel/domainname", W_OK) < 0 ? strerrorname_np(errno) : "ok");
	int fd = open("/proc/sys/kernel/domainname", O_WRONLY | O_CLOEXEC);

	box_say("open %s\n", fd < 0 ? strerrorname_np(errno) : "ok");
}

Test(ns_cover, read_only_paths_keep_the_mounts_below_them)
{
	box_need_root();
	box_mkdir(&box, "vol");
	box_mkdir(&box, "rootfs/ro");
	box_mkdir(&box, "rootfs/ro/rw");
	box_mkdir(&box, "rootfs/free");
	box_ok(&box, box_run(&box,
			     config(PROC "," MOUNT("/ro/rw", "none", "vol", "\"bind\""),
				    NS_PLAIN ",\"readonlyPaths\":[\"/ro\",\"/proc/sys\",\"/proc/"
					     "nope\",\"/nope\"]"),
			     look_at_readonly));
	box_has(&box, "make /ro/x EROFS\n");
	box_has(&box, "make /ro/rw/x ok\n");
	box_has(&box, "make /free/x ok\n");
	box_has(&box, "open EROFS\n");
}

static void look_at_last_pid(void)
{
	box_cat("/proc/sys/kernel/ns_last_pid");
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);

	box_say("write %s\n", fd < 0 ? strerrorname_np(errno) : "ok");
	fd = open("/proc/sys/kernel/sem", O_WRONLY | O_CLOEXEC);
	box_say("sem %s\n", fd < 0 ? strerrorname_np(errno) : "ok");
}

Test(ns_cover, a_mount_inside_a_read_only_path_of_proc_stays)
{
	box_need_root();
	box_write(&box, "last_pid", "mine\n");
	box_ok(&box, box_run(&box,
			     config(PROC "," MOUNT("/proc/sys/kernel/ns_last_pid", "none",
						   "last_pid", "\"bind\""),
				    NS_PLAIN ",\"readonlyPaths\":[\"/proc/sys\"]"),
			     look_at_last_pid));
	box_has(&box, "mine\nwrite ok\nsem EROFS\n");
}

static void look_at_linked_mask(void)
{
	say_content("/proc/1/mounts");
	say_content("/proc/1/mountinfo");
}

Test(ns_cover, a_masked_link_of_proc_masks_what_it_leads_to)
{
	box_need_root();
	box_ok(&box, box_run(&box, config(PROC, NS_PLAIN ",\"maskedPaths\":[\"/proc/mounts\"]"),
			     look_at_linked_mask));
	box_has(&box, "/proc/1/mounts ok 0\n");
	box_has_not(&box, "/proc/1/mountinfo ok 0\n");
}

static void look_at_root(void)
{
	char cwd[256] = "";

	box_say("cwd %s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "?");
	say_make("/x");
	box_say("old root %s\n", access("/rootfs", F_OK) == 0 ? "visible" : "gone");
	box_cat("/proc/self/mountinfo");
}

Test(ns_cover, a_read_only_root_is_read_only_and_the_host_is_gone)
{
	box_need_root();
	box_ok(&box,
	       box_run(&box,
		       "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
		       "\"mounts\":[" PROC "],\"linux\":{" NS_PLAIN "}}",
		       look_at_root));
	box_has(&box, "cwd /\n");
	box_has(&box, "make /x EROFS\n");
	box_has(&box, "old root gone\n");
	/* Root and proc, and nothing else. */
	cr_expect_eq(strstr(strstr(box.out, " - ") + 1, " - ") != NULL, true);
	cr_expect(!strstr(strstr(strstr(box.out, " - ") + 1, " - ") + 1, " - "), "%s", box.out);
}

Test(ns_cover, no_pivot_covers_the_old_root)
{
	box_need_root();
	box.opt.no_pivot = true;
	box_ok(&box, box_run(&box, config(PROC, NS_PLAIN), look_at_root));
	box_has(&box, "cwd /\n");
	box_has(&box, "make /x ok\n");
	box_has(&box, "old root gone\n");
}

Test(ns_cover, without_a_mount_namespace_there_is_a_chroot)
{
	box_need_root();
	box_ok(&box,
	       box_run(&box, config("", "\"namespaces\":[{\"type\":\"pid\"}]"), look_at_root));
	box_has(&box, "cwd /\n");
	box_has(&box, "make /x ok\n");
}

Test(ns_cover, a_root_that_is_a_symlink_is_refused)
{
	char path[256], link[256];

	box_need_root();
	box_path(&box, "rootfs", path);
	box_path(&box, "real", link);
	cr_assert_eq(rename(path, link), 0);
	box_symlink(&box, "real", "rootfs");
	cr_expect_eq(box_run(&box, config("", NS_PLAIN), NULL), -ELOOP);
	cr_expect(strstr(box.line, "not an absolute path, or a symlink"), "%s", box.line);
	cr_expect_str_eq(box.err.at, "/root/path");
	cr_assert_eq(unlink(path), 0);
	box_write(&box, "rootfs", "");
	cr_expect_eq(box_run(&box, config("", NS_PLAIN), NULL), -ENOTDIR);
}

Test(ns_cover, a_bundle_behind_a_symlink_is_the_callers_choice)
{
	char link[] = "/tmp/ns-box-link.XXXXXX";

	box_need_root();
	cr_assert(mkdtemp(link));
	cr_assert_eq(rmdir(link), 0);
	cr_assert_eq(symlink(box.dir, link), 0);
	box.opt.bundle = link;
	box_ok(&box, box_run(&box, config(PROC, NS_PLAIN), look_at_root));
	unlink(link);
	box_has(&box, "cwd /\n");
}

Test(ns_cover, a_mount_can_be_the_root)
{
	int fs = -1;

	box_need_root();
	fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	cr_assert_eq(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), 0);
	box.opt.root_is_given = true;
	box.root_mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	box_ok(&box, box_run(&box, config(PROC, NS_PLAIN), look_at_root));
	box_has(&box, " / / rw,relatime - tmpfs none rw");
	close(box.root_mount);
	close(fs);
}

/* No directory to be seen at: it covers "/" of the namespace, whichever way it is entered. */
Test(ns_cover, a_mount_is_the_root_without_a_path)
{
	static const char json[] = "{\"ociVersion\":\"1.2.0\",\"mounts\":[" PROC "],\"linux\":{" NS_PLAIN "}}";

	box_need_root();
	for (int no_pivot = 0; no_pivot < 2; no_pivot++) {
		int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

		cr_assert_eq(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), 0);
		box.opt.root_is_given = true;
		box.opt.no_pivot = no_pivot;
		box.root_mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
		box_ok(&box, box_run(&box, json, look_at_root));
		box_has(&box, " / / rw,relatime - tmpfs none rw");
		box_has(&box, "cwd /\n");
		close(box.root_mount);
		close(fs);
	}
}

static void show_sysctl(void)
{
	box_cat("/proc/sys/net/ipv4/ip_forward");
	box_cat("/proc/sys/kernel/shmmni");
	box_cat("/proc/sys/kernel/domainname");
}

#define SYSCTLS \
	"\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{" \
	"\"type\":\"uts\"}," \
	"{\"type\":\"pid\"}],\"sysctl\":{\"net.ipv4.ip_forward\":\"1\",\"kernel/shmmni\":\"123\"," \
	"\"kernel.domainname\":\"dom\"},\"readonlyPaths\":[\"/proc/sys\"]"

Test(ns_cover, sysctls_are_written_before_they_become_read_only)
{
	box_need_root();
	box_ok(&box, box_run(&box, config(PROC, SYSCTLS), show_sysctl));
	box_has(&box, "1\n123\ndom\n");
}

static void show_names(void)
{
	char host[64] = "", domain[64] = "";

	gethostname(host, sizeof(host));
	if (getdomainname(domain, sizeof(domain)) < 0)
		domain[0] = '?';
	box_say("%s.%s\n", host, domain);
}

Test(ns_cover, names_and_sysctls_need_no_proc_in_the_container)
{
	char before[64], after[64];

	box_need_root();
	gethostname(before, sizeof(before));
	box_ok(&box,
	       box_run(&box, config_with(",\"hostname\":\"inner\"", "", SYSCTLS), show_names));
	box_has(&box, "inner.dom\n");
	gethostname(after, sizeof(after));
	cr_expect_str_eq(before, after);
}

Test(ns_cover, sysctls_do_not_need_a_whole_proc_in_the_container)
{
	box_need_root();
	box_ok(&box,
	       box_run(&box, config(MOUNT("/proc", "proc", "proc", "\"subset=pid\""), SYSCTLS),
		       show_names));
	box_has(&box, ".dom\n");
}

Test(ns_cover, a_sysctl_the_kernel_refuses_is_named)
{
	box_need_root();
	cr_expect_lt(box_run(&box,
			     config(PROC,
				    "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\"}],"
				    "\"sysctl\":{\"net.ipv4.no_such_thing\":\"1\"}"),
			     NULL),
		     0);
	cr_expect(strstr(box.line, "net.ipv4.no_such_thing"), "%s", box.line);
	cr_expect_str_eq(box.err.at, "/linux/sysctl/net.ipv4.no_such_thing");
}

static void show_mountinfo(void)
{
	box_cat("/proc/self/mountinfo");
}

Test(ns_cover, a_shared_root_is_a_peer_group_of_its_own)
{
	box_need_root();
	box_ok(&box, box_run(&box, config(PROC, NS_PLAIN ",\"rootfsPropagation\":\"rshared\""),
			     show_mountinfo));
	box_has(&box, "/rootfs / rw");
	box_has(&box, "shared:");
	box_has_not(&box, "master:");

	box_ok(&box, box_run(&box, config(PROC, NS_PLAIN ",\"rootfsPropagation\":\"rprivate\""),
			     show_mountinfo));
	box_has_not(&box, "shared:");
	box_has_not(&box, "master:");
}

/* A tmpfs on a directory of the bundle, as the host sees it. */
static int mount_on_host(const char *name)
{
	char path[256];
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	box_path(&box, name, path);
	cr_assert_eq(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), 0);

	int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);

	cr_assert_eq(move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), 0);
	close(fs);
	return fd;
}

/* A "host" of our own: a mount namespace with a shared tmpfs, in which the bundle lies. */
static void make_shared_host(void)
{
	struct mount_attr private = { .propagation = MS_PRIVATE },
			  shared = { .propagation = MS_SHARED };

	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)), 0);

	int fd = mount_on_host("");

	cr_assert_eq(mount_setattr(fd, "", AT_EMPTY_PATH, &shared, sizeof(shared)), 0);
	close(fd);
	box_mkdir(&box, "rootfs");
	box_mkdir(&box, "vol");
	box_mkdir(&box, "vol/sub");
	/* Shared mounts that would go when an unmount of the container's came back to the host. */
	box_mkdir(&box, "deep");
	close(mount_on_host("deep"));
	box_mkdir(&box, "deep/er");
	close(mount_on_host("deep/er"));
}

static void mount_in_volume(void)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		_exit(95);
	if (move_mount(fsmount(fs, FSMOUNT_CLOEXEC, 0), "", AT_FDCWD, "/vol/sub",
		       MOVE_MOUNT_F_EMPTY_PATH) < 0)
		_exit(94);
	box_say("mounted\n");
}

/* Does the "host" see a mount on a path of the bundle? */
static bool host_sees(const char *name)
{
	static char text[65536];
	char path[300];
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	ssize_t n, used = 0;

	while ((n = read(fd, text + used, sizeof(text) - 1 - (size_t)used)) > 0)
		used += n;
	text[used] = '\0';
	close(fd);
	snprintf(path, sizeof(path), " %s/%s ", box.dir, name);
	return strstr(text, path) != NULL;
}

static void run_on_shared_host(const char *propagation)
{
	char linux_[512];

	make_shared_host();
	snprintf(linux_, sizeof(linux_), NS_PLAIN "%s", propagation);
	box_ok(&box, box_run(&box,
			     config(PROC "," MOUNT("/vol", "none", "vol", "\"rbind\",\"rshared\""),
				    linux_),
			     mount_in_volume));
	box_has(&box, "mounted\n");
	cr_expect(host_sees("deep/er"), "a mount of the host's went with the container's old root");
	cr_expect_not(host_sees("rootfs"), "the container's root is mounted on the host");
	cr_expect_not(host_sees("rootfs/proc"), "the container's /proc is mounted on the host");
	cr_expect_not(host_sees("rootfs/vol"), "the container's volume is mounted on the host");
}

static void drop_shared_host(void)
{
	cr_expect_eq(umount2(box.dir, MNT_DETACH), 0);
}

Test(ns_cover, a_shared_volume_reaches_the_host_when_the_root_is_shared)
{
	box_need_root();
	run_on_shared_host(",\"rootfsPropagation\":\"rshared\"");
	cr_expect(host_sees("vol/sub"), "the mount made in the volume did not reach the host");
	drop_shared_host();
}

Test(ns_cover, by_default_no_mount_of_the_container_reaches_the_host)
{
	box_need_root();
	run_on_shared_host("");
	cr_expect_not(host_sees("vol/sub"), "the mount made in the volume reached the host");
	drop_shared_host();
}

/* A user namespace inside the container mounts a procfs without masks. */
static void mount_bare_procfs(void)
{
	int status;
	pid_t pid = box_clone(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID);

	if (pid == 0) {
		int fs = fsopen("proc", FSOPEN_CLOEXEC);
		int r = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);

		if (r == 0)
			r = fsmount(fs, FSMOUNT_CLOEXEC, 0);
		_exit(r < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	box_say("bare procfs: %s\n",
		WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "mounted");
	box_cat("/proc/self/mountinfo");
}

Test(ns_cover, no_whole_procfs_stays_in_the_mount_namespace)
{
	const char *json = config(PROC, NS_PLAIN ",\"maskedPaths\":[\"/proc/keys\"]");

	box_need_root();
	box_ok(&box, box_run(&box, json, mount_bare_procfs));
	box_has(&box, "bare procfs: EPERM\n");
	box.opt.no_pivot = true;
	box_ok(&box, box_run(&box, json, mount_bare_procfs));
	box_has(&box, "bare procfs: EPERM\n");
}
