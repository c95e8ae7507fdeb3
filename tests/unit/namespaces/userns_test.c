/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces, namespaces joined by path, time offsets, and exec into all of them. */
#include "tests/unit/namespaces/box.h"
#include "tests/unit/namespaces/config.h"

#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "spec/base/buf.h"

static struct box box;

static void setup(void)
{
	box_make(&box);
}

static void teardown(void)
{
	box_drop(&box);
}

TestSuite(ns_user, .init = setup, .fini = teardown);
TestSuite(ns_join, .init = setup, .fini = teardown);

static void own_root(void)
{
	char path[256];

	box_path(&box, "rootfs", path);
	cr_assert_eq(chown(path, 100000, 100000), 0);
}

static void look_at_user(void)
{
	struct stat st = { 0 };

	box_cat("/proc/self/uid_map");
	box_say("ids %u %u\n", getuid(), getgid());
	stat("/dev/null", &st);
	box_say("null %o %x\n", st.st_mode, (unsigned)st.st_rdev);
	box_cat("/data/f");
	box_say("make %s\n", mkdir("/mine", 0755) < 0 ? strerrorname_np(errno) : "ok");
	box_cat("/proc/self/mountinfo");
}

#define FULL_MOUNTS \
	PROC \
		"," DEV \
		"," MOUNT("/dev/pts", "devpts", "devpts", "\"nosuid\",\"ptmxmode=0666\",\"mode=0620\"") "," MOUNT( \
			"/dev/mqueue", "mqueue", \
			"mqueue", "\"nosuid\"") "," MOUNT("/sys", "sysfs", "sysfs", \
							  "\"nosuid\",\"noexec\",\"nodev\"," \
							  "\"ro\"") "," MOUNT("/sys/fs/cgroup", \
									      "cgroup", "cgroup", \
									      "\"nosuid\"," \
									      "\"noexec\"," \
									      "\"nodev\",\"ro\"")

Test(ns_user, a_container_in_a_new_user_namespace_has_everything)
{
	char dir[256];

	box_need_root();
	own_root();
	/* Below a directory that only the host's root may enter. */
	box_mkdir(&box, "private");
	box_mkdir(&box, "private/vol");
	box_write(&box, "private/vol/f", "volume\n");
	box_path(&box, "private", dir);
	cr_assert_eq(chmod(dir, 0700), 0);
	box_ok(&box, box_run(&box,
			     config(FULL_MOUNTS
				    "," MOUNT("/data", "none", "private/vol", "\"rbind\",\"ro\""),
				    NS_USER ",\"maskedPaths\":[\"/proc/keys\",\"/sys/firmware\"],"
					    "\"readonlyPaths\":[\"/proc/sys\"]"),
			     look_at_user));
	box_has(&box, "         0     100000      65536\n");
	box_has(&box, "ids 0 0\n");
	box_has(&box, "null 20666 103\n");
	box_has(&box, "volume\n");
	box_has(&box, "make ok\n");
	box_has(&box, " /dev/null rw");
	box_has(&box, " /proc/keys rw");
	box_has(&box, " /sys/fs/cgroup ro,");
	box_has(&box, " /proc/sys ro,");
}

Test(ns_user, a_bundle_nobody_else_may_enter_is_no_obstacle)
{
	box_need_root();
	own_root();
	cr_assert_eq(chmod(box.dir, 0700), 0);
	box_ok(&box, box_run(&box, config(PROC "," DEV, NS_USER), look_at_user));
	box_has(&box, "ids 0 0\n");
	box_has(&box, "make ok\n");
}

Test(ns_user, sysfs_without_a_network_namespace_has_a_hint)
{
	box_need_root();
	own_root();
	cr_expect_eq(box_run(&box,
			     config(MOUNT("/sys", "sysfs", "sysfs", ""),
				    "\"namespaces\":[{\"type\":\"user\"},{\"type\":\"mount\"}]"
				    "," NS_USER_MAPS),
			     NULL),
		     -EPERM);
	cr_expect(strstr(box.err.hint, "network namespace"), "%s / %s", box.line, box.err.hint);
	cr_expect_str_eq(box.err.at, "/mounts/0");
}

static void show_owner(void)
{
	struct stat st = { 0 };

	stat("/m/f", &st);
	box_say("owner %u:%u\n", st.st_uid, st.st_gid);
}

Test(ns_user, idmap_takes_the_maps_of_the_container)
{
	box_need_root();
	own_root();
	box_mkdir(&box, "vol");
	box_write(&box, "vol/f", "");
	box_ok(&box,
	       box_run(&box, config(MOUNT("/m", "none", "vol", "\"bind\",\"idmap\""), NS_USER),
		       show_owner));
	box_has(&box, "owner 0:0\n");
	box_ok(&box,
	       box_run(&box, config(MOUNT("/m", "none", "vol", "\"bind\""), NS_USER), show_owner));
	box_has(&box, "owner 65534:65534\n");
}

/* A process in new namespaces, for its /proc/<pid>/ns. */
struct holder {
	pid_t pid;
	char path[SPEC_NAMESPACES][64];
};

static void hold(struct holder *h, unsigned long flags)
{
	static const char *const names[] = { "user", "mnt", "pid",    "net",
					     "ipc",  "uts", "cgroup", "time" };
	int ready[2];
	char byte;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	h->pid = box_clone(flags);
	cr_assert(h->pid >= 0, "clone3: %s", strerror(errno));
	if (h->pid == 0) {
		if (flags & CLONE_NEWUTS && sethostname("held", 4) < 0)
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	for (int k = 0; k < SPEC_NAMESPACES; k++)
		snprintf(h->path[k], sizeof(h->path[k]), "/proc/%d/ns/%s", h->pid, names[k]);
}

static void release(struct holder *h)
{
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
}

static void map_holder(const struct holder *h)
{
	char path[64];

	for (const char *const *file = (const char *const[]){ "uid_map", "gid_map", NULL }; *file;
	     file++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", h->pid, *file);
		cr_assert_eq(file_write_at(AT_FDCWD, path, "0 100000 65536", NULL), 0, "%s", path);
	}
}

static void say_names(void)
{
	char host[64] = "";

	gethostname(host, sizeof(host));
	box_say("host %s pid %d\n", host, getpid());
	box_cat("/proc/self/uid_map");
}

/* The members of linux, with @user, @uts, @pid and @net for the paths of h. */
static const char *joining(const struct holder *h, const char *members)
{
	static const struct {
		const char *mark;
		enum spec_ns_kind kind;
	} marks[] = { { "@user", SPEC_NS_USER },
		      { "@uts", SPEC_NS_UTS },
		      { "@pid", SPEC_NS_PID },
		      { "@net", SPEC_NS_NETWORK } };
	auto_buf struct buf text = BUF_INIT;

	for (const char *p = members; *p; p++) {
		size_t i = 0;

		while (i < ARRAY_SIZE(marks) &&
		       strncmp(p, marks[i].mark, strlen(marks[i].mark)) != 0)
			i++;
		if (i == ARRAY_SIZE(marks)) {
			buf_putc(&text, *p);
			continue;
		}
		buf_puts(&text, h->path[marks[i].kind]);
		p += strlen(marks[i].mark) - 1;
	}
	return config(PROC, text.data);
}

Test(ns_join, namespaces_are_joined_by_path)
{
	struct holder h;

	box_need_root();
	hold(&h, CLONE_NEWUTS | CLONE_NEWPID);

	int r = box_run(&box,
			joining(&h, "\"namespaces\":[{\"type\":\"mount\"},"
				    "{\"type\":\"uts\",\"path\":\"@uts\"},"
				    "{\"type\":\"pid\",\"path\":\"@pid\"}]"),
			say_names);

	release(&h);
	box_ok(&box, r);
	box_has(&box, "host held pid 2\n");
}

Test(ns_join, children_of_the_parent_come_back_from_a_joined_pid_namespace)
{
	struct holder h;
	int status;

	box_need_root();
	hold(&h, CLONE_NEWPID);

	int r = box_run(&box,
			joining(&h, "\"namespaces\":[{\"type\":\"mount\"},"
				    "{\"type\":\"pid\",\"path\":\"@pid\"}]"),
			NULL);

	box_ok(&box, r);

	pid_t pid = fork();

	if (pid == 0)
		_exit(getppid() > 1 ? 0 : 1); /* 0: a parent outside of our pid namespace */
	waitpid(pid, &status, 0);
	release(&h);
	cr_expect_eq(status, 0, "a later child is still born in the container's pid namespace");
}

Test(ns_join, the_type_of_a_path_is_checked)
{
	struct holder h;

	box_need_root();
	hold(&h, CLONE_NEWUTS | CLONE_NEWNET);

	int r = box_run(&box,
			joining(&h, "\"namespaces\":[{\"type\":\"mount\"},"
				    "{\"type\":\"uts\",\"path\":\"@net\"}]"),
			NULL);

	release(&h);
	cr_expect_eq(r, -EINVAL);
	cr_expect(strstr(box.line, "is a network namespace, not a uts namespace"), "%s", box.line);
	cr_expect_str_eq(box.err.at, "/linux/namespaces/1/path");
	cr_expect_eq(box_run(&box,
			     config("",
				    "\"namespaces\":[{\"type\":\"uts\",\"path\":\"/dev/null\"}]"),
			     NULL),
		     -EINVAL);
	cr_expect(strstr(box.line, "/dev/null is not a namespace"), "%s", box.line);
	cr_expect_eq(box_run(&box,
			     config("", "\"namespaces\":[{\"type\":\"uts\",\"path\":\"/no/ns\"}]"),
			     NULL),
		     -ENOENT);
	cr_expect(strstr(box.line, "open uts namespace /no/ns"), "%s", box.line);
}

Test(ns_join, our_own_namespace_by_path_counts_as_shared)
{
	struct arena arena = ARENA_INIT;
	struct ns_plan *plan;

	box_need_root();
	cr_assert_eq(box_plan(&box,
			      config("", "\"namespaces\":[{\"type\":\"mount\"},"
					 "{\"type\":\"network\",\"path\":\"/proc/self/ns/net\"}]"),
			      &arena, NULL, &plan),
		     0);
	cr_assert_eq(ns_prepare(plan, &box.err), 0);
	cr_expect_eq(ns_kinds(plan), 1u << SPEC_NS_MOUNT);
	arena_release(&arena);

	cr_expect_eq(box_run(&box,
			     config("", "\"namespaces\":[{\"type\":\"mount\"},"
					"{\"type\":\"network\",\"path\":\"/proc/self/ns/net\"}],"
					"\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"}"),
			     NULL),
		     -EINVAL);
	cr_expect(strstr(box.line, "is not allowed in the host's network namespace"), "%s",
		  box.line);
	cr_expect_eq(box_run(&box,
			     config("", "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"ipc\",\"path\":\"/proc/self/ns/ipc\"}],"
					"\"sysctl\":{\"kernel.msgmni\":\"32000\"}"),
			     NULL),
		     -EINVAL);
	cr_expect(strstr(box.line, "is not allowed in the host's ipc namespace"), "%s", box.line);
	cr_expect_str_eq(box.err.at, "/linux/sysctl/kernel.msgmni");
	cr_expect_eq(box_run(&box,
			     config_with(",\"hostname\":\"evil\"", "",
					 "\"namespaces\":[{\"type\":\"mount\"},"
					 "{\"type\":\"uts\",\"path\":\"/proc/self/ns/uts\"}]"),
			     NULL),
		     -EINVAL);
	cr_expect_str_eq(box.err.at, "/hostname");
}

Test(ns_join, a_user_namespace_is_joined_and_owns_what_is_new)
{
	struct holder h;

	box_need_root();
	own_root();
	hold(&h, CLONE_NEWUSER | CLONE_NEWUTS);
	map_holder(&h);

	int r = box_run(&box,
			joining(&h, "\"namespaces\":[{\"type\":\"user\",\"path\":\"@user\"},"
				    "{\"type\":\"mount\"},{\"type\":\"pid\"},"
				    "{\"type\":\"uts\",\"path\":\"@uts\"}]," NS_USER_MAPS),
			say_names);

	release(&h);
	box_ok(&box, r);
	box_has(&box, "host held pid 1\n");
	box_has(&box, "0     100000      65536\n");
}

/* The pid that a second clone announces must be the parent's name for it, not the joined namespace's. */
Test(ns_join, a_pid_namespace_goes_with_a_joined_user_namespace)
{
	struct holder h;

	box_need_root();
	own_root();
	hold(&h, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS);
	map_holder(&h);

	int r = box_run(&box,
			joining(&h, "\"namespaces\":[{\"type\":\"user\",\"path\":\"@user\"},"
				    "{\"type\":\"mount\"},{\"type\":\"pid\",\"path\":\"@pid\"},"
				    "{\"type\":\"uts\",\"path\":\"@uts\"}]," NS_USER_MAPS),
			say_names);

	release(&h);
	box_ok(&box, r);
	box_has(&box, "host held pid 2\n"); /* the first clone was never in there */
	box_has(&box, "0     100000      65536\n");
}

Test(ns_join, maps_that_differ_from_the_joined_namespace_are_refused)
{
	struct holder h;

	box_need_root();
	hold(&h, CLONE_NEWUSER);
	map_holder(&h);

	int r = box_run(&box,
			joining(&h,
				"\"namespaces\":[{\"type\":\"user\",\"path\":\"@user\"},"
				"{\"type\":\"mount\"}],"
				"\"uidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":1}],"
				"\"gidMappings\":[{\"containerID\":0,\"hostID\":5,\"size\":1}]"),
			NULL);

	release(&h);
	cr_expect_eq(r, -EINVAL);
	cr_expect(strstr(box.line, "differ from those of the user namespace"), "%s", box.line);
	cr_expect_str_eq(box.err.at, "/linux/uidMappings");
}

Test(ns_join, a_new_user_namespace_goes_with_a_joined_one_of_the_host)
{
	struct holder h;

	box_need_root();
	own_root();
	hold(&h, CLONE_NEWUTS);

	int r = box_run(
		&box,
		joining(&h,
			"\"namespaces\":[{\"type\":\"user\"},{\"type\":\"mount\"},"
			"{\"type\":\"pid\"},{\"type\":\"uts\",\"path\":\"@uts\"}]," NS_USER_MAPS),
		say_names);

	release(&h);
	box_ok(&box, r);
	box_has(&box, "host held pid 1\n");
	box_has(&box, "0     100000      65536\n");
}

static void say_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	box_say("monotonic %lld\n", (long long)t.tv_sec);
	clock_gettime(CLOCK_BOOTTIME, &t);
	box_say("boottime %lld\n", (long long)t.tv_sec);
}

/* The clock of a child that is born now. */
static long long monotonic_of_child(void)
{
	int ends[2];
	struct timespec t;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;

	pid_t pid = fork();

	if (pid == 0) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		_exit(write(ends[1], &t, sizeof(t)) == sizeof(t) ? 0 : 1);
	}
	waitpid(pid, NULL, 0);
	if (read(ends[0], &t, sizeof(t)) != sizeof(t))
		return -1;
	close(ends[0]);
	close(ends[1]);
	return t.tv_sec;
}

Test(ns_join, time_offsets_are_in_force_and_stay_in_the_container)
{
	long long now, inside = 0, boot = 0, later;
	int ends[2];
	char text[512] = "";

	box_need_root();
	now = monotonic_of_child();
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);

	/* The kernel wants who changes time namespaces to be single-threaded, which a test need not be. */
	pid_t pid = fork();

	if (pid == 0) {
		int r = box_run(&box,
				config("",
				       "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"time\"}],"
				       "\"timeOffsets\":{\"monotonic\":{\"secs\":1000000},"
				       "\"boottime\":{\"secs\":2000000,\"nanosecs\":5}}"),
				say_time);

		dprintf(ends[1], "%s%s later %lld", r < 0 ? box.line : "", box.out,
			monotonic_of_child());
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	cr_assert(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	close(ends[1]);
	cr_assert_eq(sscanf(text, "monotonic %lld boottime %lld later %lld", &inside, &boot,
			    &later),
		     3, "%s", text);
	cr_expect(inside >= now + 1000000 && inside < now + 1000100, "%s", text);
	cr_expect(boot >= now + 2000000 && boot < now + 2001000, "%s", text);
	cr_expect(later < now + 100, "a later child has the container's clock: %s", text);
}

static void wait_for_exec(void)
{
	/* Says that it is there, then waits for the pipe's reader to be done with it. */
	box_say("ready\n");
	for (;;)
		pause();
}

/* init of a container that stays, as box_run() would make it. */
static pid_t start_init(struct ns_plan *plan, int ready[2])
{
	struct error err = ERROR_INIT;
	pid_t pid = box_clone(ns_clone_flags(plan));

	if (pid != 0)
		return pid;
	box_fd = ready[1];
	if (ns_become_root(plan, &err) < 0 || ns_build_root(plan, &err) < 0 ||
	    ns_enter_root(plan, &err) < 0)
		_exit(1);
	wait_for_exec();
	_exit(0);
}

static void exec_into(const char *json, const char *expected)
{
	struct arena arena = ARENA_INIT;
	struct ns_plan *plan;
	int ready[2], out[2];
	char text[512] = "", line[2048] = "";

	cr_assert_eq(box_plan(&box, json, &arena, NULL, &plan), 0, "%s", box.line);
	cr_assert_eq(pipe2(ready, O_CLOEXEC) + pipe2(out, O_CLOEXEC), 0);
	cr_assert_eq(ns_prepare(plan, &box.err), 0);

	pid_t init = start_init(plan, ready);
	int pidfd = (int)syscall(SYS_pidfd_open, init, 0);

	close(ready[1]);
	cr_assert(init > 0 && pidfd >= 0 && read(ready[0], text, sizeof(text)) == 6,
		  "init is not ready");

	pid_t middle = fork(); /* what exec's command is */

	if (middle == 0) {
		struct error err = ERROR_INIT;

		box_fd = out[1];
		if (ns_exec_parent(pidfd, ns_kinds(plan), &err) < 0)
			_exit(1);

		pid_t pid = fork();
		int status;

		if (pid == 0) {
			char cwd[128] = "?";

			if (ns_exec_child(pidfd, ns_kinds(plan), &err) < 0) {
				error_line(&err, line, sizeof(line));
				box_say("%s\n", line);
				_exit(1);
			}
			box_say("pid %d cwd %s marker %s\n", getpid(), getcwd(cwd, sizeof(cwd)),
				access("/marker", F_OK) == 0 ? "seen" : "not seen");
			_exit(0);
		}
		waitpid(pid, &status, 0);
		_exit(WEXITSTATUS(status));
	}

	int status;

	waitpid(middle, &status, 0);
	close(out[1]);
	memset(text, 0, sizeof(text));
	cr_expect(read(out[0], text, sizeof(text) - 1) >= 0);
	kill(init, SIGKILL);
	waitpid(init, NULL, 0);
	cr_expect_eq(status, 0);
	cr_expect_str_eq(text, expected);
	close(ready[0]);
	close(out[0]);
	close(pidfd);
	arena_release(&arena);
}

Test(ns_join, exec_enters_all_namespaces_of_init)
{
	box_need_root();
	box_write(&box, "rootfs/marker", "");
	exec_into(config(PROC, NS_PLAIN), "pid 2 cwd / marker seen\n");
}

Test(ns_join, exec_finds_the_root_of_a_chroot_container)
{
	box_need_root();
	box_write(&box, "rootfs/marker", "");
	exec_into(config("", "\"namespaces\":[{\"type\":\"pid\"}]"), "pid 2 cwd / marker seen\n");
}

Test(ns_join, exec_finds_the_root_of_a_container_without_pivot)
{
	box_need_root();
	box.opt.no_pivot = true;
	box_write(&box, "rootfs/marker", "");
	exec_into(config(PROC, NS_PLAIN), "pid 2 cwd / marker seen\n");
}

static void look_at_ids(void)
{
	struct stat st = { 0 };

	box_say("ids %u %u\n", getuid(), getgid());
	if (mkdir("/mine", 0755) == 0 && stat("/mine", &st) == 0)
		box_say("mine is of %u:%u\n", st.st_uid, st.st_gid);
}

Test(ns_user, a_namespace_without_an_id_0_belongs_to_the_programs_user)
{
	box_need_root();
	own_root();
	box_ok(&box, box_run(&box,
			     config_with(",\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],"
					 "\"user\":{\"uid\":1000,\"gid\":1001}}",
					 PROC "," DEV,
					 "\"namespaces\":[{\"type\":\"user\"},{\"type\":\"mount\"},"
					 "{\"type\":\"pid\"}],"
					 "\"uidMappings\":[{\"containerID\":1000,\"hostID\":100000,"
					 "\"size\":1}],"
					 "\"gidMappings\":[{\"containerID\":1001,\"hostID\":100000,"
					 "\"size\":1}]"),
			     look_at_ids));
	box_has(&box, "ids 1000 1001\n");
	box_has(&box, "mine is of 1000:1001\n");
}

static void own_and_say_time(void)
{
	int time_ns = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
	int user_ns = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	int owner = ioctl(time_ns, NS_GET_USERNS);
	struct stat a = { 0 }, b = { 0 };

	if (fstat(user_ns, &a) == 0 && fstat(owner, &b) == 0 && a.st_ino == b.st_ino)
		box_say("owned by our own\n");
	box_cat("/proc/self/timens_offsets");
}

Test(ns_join, a_time_namespace_belongs_to_the_new_user_namespace)
{
	box_need_root();
	own_root();
	box_ok(&box,
	       box_run(&box,
		       config(PROC, NS_USER_MAPS
			      ",\"namespaces\":[{\"type\":\"user\"},{\"type\":\"mount\"},"
			      "{\"type\":\"pid\"},{\"type\":\"time\"}],"
			      "\"timeOffsets\":{\"monotonic\":{\"secs\":7000,\"nanosecs\":5}}"),
		       own_and_say_time));
	box_has(&box, "owned by our own\n");
	box_has(&box, "monotonic        7000         5\n");
}
