/* SPDX-License-Identifier: Apache-2.0 */
/* The planner: pure, so every rule is tested by what it says and without root. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <sched.h>
#include <string.h>

#include "namespaces/namespaces.h"
#include "spec/base/auto.h"
#include "tests/unit/namespaces/config.h"

struct planned {
	struct arena arena;
	struct error err;
	struct ns_plan *plan;
	struct buf text;
	char line[2048];
	int r;
};

static void plan(struct planned *p, const char *json, struct ns_options *opt)
{
	struct ns_options none = { .id = "t", .bundle = "/bundle" };
	struct spec *spec;

	memset(p, 0, sizeof(*p));
	p->r = spec_parse(json, strlen(json), &p->arena, &spec, &p->err);
	if (p->r == 0)
		p->r = ns_plan_make(spec, opt ? opt : &none, &p->arena, &p->plan, &p->err);
	if (p->r == 0)
		ns_plan_print(p->plan, &p->text);
	else
		error_line(&p->err, p->line, sizeof(p->line));
}

static void drop(struct planned *p)
{
	buf_release(&p->text);
	arena_release(&p->arena);
}

static void expect_line(const char *json, const char *line)
{
	struct planned p;

	plan(&p, json, NULL);
	cr_assert_eq(p.r, 0, "%s at %s", p.line, p.err.at);
	cr_expect(strstr(p.text.data, line), "no \"%s\" in\n%s", line, p.text.data);
	drop(&p);
}

static void expect_no(const char *json, const char *line)
{
	struct planned p;

	plan(&p, json, NULL);
	cr_assert_eq(p.r, 0, "%s at %s", p.line, p.err.at);
	cr_expect(!strstr(p.text.data, line), "\"%s\" in\n%s", line, p.text.data);
	drop(&p);
}

static void expect_error(const char *json, const char *text, const char *at)
{
	struct planned p;

	plan(&p, json, NULL);
	cr_assert_eq(p.r, -EINVAL, "%d %s, wanted \"%s\"", p.r, p.line, text);
	cr_expect(strstr(p.line, text), "\"%s\" is not in \"%s\"", text, p.line);
	cr_expect_str_eq(p.err.at, at, "for \"%s\": at is \"%s\"", p.line, p.err.at);
	drop(&p);
}

/* One mount on /m with these options; what the plan says about it. */
static void expect_mount(const char *type, const char *options, const char *line)
{
	char one[1024];

	snprintf(one, sizeof(one),
		 "{\"destination\":\"/m\",\"type\":\"%s\",\"source\":\"/s\",\"options\":[%s]}",
		 type, options);
	expect_line(config(one, NS_PLAIN), line);
}

Test(ns_plan, attributes_and_filesystem_data_are_told_apart)
{
	expect_line(config(MOUNT("/dev", "tmpfs", "tmpfs",
				 "\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\""),
			   NS_PLAIN),
		    "mount tmpfs on /dev (nosuid,strictatime) mode=755,size=65536k  [/mounts/0]\n");
}

Test(ns_plan, a_later_option_wins_over_its_opposite)
{
	expect_mount("ext4", "\"ro\",\"rw\",\"nosuid\",\"suid\"", "on /m (rw,suid)  [");
	expect_mount("ext4", "\"rw\",\"ro\"", "on /m (ro) ro  [");
	expect_mount("ext4", "\"noatime\",\"strictatime\"", "on /m (strictatime)  [");
	expect_mount("ext4", "\"noatime\",\"relatime\"", "on /m (relatime)  [");
	expect_mount("ext4", "\"noatime\",\"atime\"", "on /m (relatime)  [");
	expect_mount("ext4", "\"noatime\",\"norelatime\"", "on /m (noatime)  [");
	expect_mount("ext4", "\"sync\",\"async\",\"dirsync\"", "on /m dirsync  [");
	expect_mount("ext4", "\"async\",\"sync\"", "on /m sync  [");
}

Test(ns_plan, every_generic_attribute_is_known)
{
	expect_mount("ext4",
		     "\"ro\",\"nosuid\",\"nodev\",\"noexec\",\"nodiratime\",\"nosymfollow\"",
		     "on /m (ro,nosuid,nodev,noexec,nodiratime,nosymfollow) ro  [");
	expect_mount("none",
		     "\"rbind\",\"rro\",\"rnosuid\",\"rnodev\",\"rnoexec\",\"rnosymfollow\"",
		     "rbind /s on /m (rro,rnosuid,rnodev,rnoexec,rnosymfollow)  [");
	expect_mount("none",
		     "\"rbind\",\"rrw\",\"rsuid\",\"rdev\",\"rexec\",\"rsymfollow\",\"rdiratime\"",
		     "rbind /s on /m (rrw,rsuid,rdev,rexec,rdiratime,rsymfollow)  [");
}

Test(ns_plan, options_without_effect_are_dropped)
{
	expect_mount("ext4", "\"defaults\",\"loud\",\"silent\",\"mand\",\"nomand\",\"iversion\"",
		     "mount ext4 on /m  [");
	expect_mount("devpts", "\"newinstance\",\"gid=5\"", "mount devpts on /m gid=5  [");
	expect_mount("ext4", "\"newinstance\"", "mount ext4 on /m newinstance  [");
}

Test(ns_plan, propagation_keeps_its_order)
{
	expect_mount("none", "\"rbind\",\"rslave\",\"shared\"", "rbind /s on /m rslave shared  [");
}

Test(ns_plan, a_bind_is_a_bind_by_option_and_not_by_type)
{
	expect_mount("ext4", "\"bind\"", "bind /s on /m  [");
	expect_mount("bind", "", "mount bind on /m  [");
}

Test(ns_plan, a_relative_bind_source_starts_at_the_bundle)
{
	expect_line(config(MOUNT("/m", "none", "data", "\"bind\""), NS_PLAIN),
		    "bind /bundle/data on /m");
	expect_line(config(MOUNT("/m", "tmpfs", "data", ""), NS_PLAIN), "mount tmpfs on /m");
}

Test(ns_plan, filesystem_options_on_a_bind_are_refused)
{
	expect_error(config(MOUNT("/m", "none", "/s", "\"bind\",\"size=1\""), NS_PLAIN),
		     "a bind mount cannot have any", "/mounts/0/options/1");
}

Test(ns_plan, a_read_only_tmpfs_is_filled_first)
{
	expect_line(config(MOUNT("/m", "tmpfs", "t", "\"ro\""), NS_PLAIN),
		    "mount tmpfs on /m (ro at the end)");
	expect_line(config(MOUNT("/m", "sysfs", "t", "\"ro\""), NS_PLAIN),
		    "mount sysfs on /m (ro)  [");
}

Test(ns_plan, destinations_are_cleaned)
{
	expect_line(config(MOUNT("a/../../b//c/.", "tmpfs", "t", ""), NS_PLAIN),
		    "mount tmpfs on /b/c");
}

Test(ns_plan, the_root_itself_is_no_mount_point)
{
	expect_error(config(MOUNT("/", "tmpfs", "t", ""), NS_PLAIN),
		     "mountpoint is on the top of rootfs", "/mounts/0");
	expect_error(config(MOUNT("/a/..", "tmpfs", "t", ""), NS_PLAIN),
		     "mountpoint is on the top of rootfs", "/mounts/0");
}

Test(ns_plan, inside_proc_only_what_nobody_trusts_can_be_mounted)
{
	expect_error(config(PROC "," MOUNT("/proc/self/attr", "none", "/s", "\"bind\""), NS_PLAIN),
		     "inside /proc", "/mounts/1");
	expect_error(config(MOUNT("/x/../proc/sys", "none", "/s", "\"bind\""), NS_PLAIN),
		     "inside /proc", "/mounts/0");
	expect_error(config(MOUNT("/proc", "tmpfs", "t", ""), NS_PLAIN), "inside /proc",
		     "/mounts/0");
	expect_line(config(PROC "," MOUNT("/proc/cpuinfo", "none", "/s", "\"bind\""), NS_PLAIN),
		    "bind /s on /proc/cpuinfo");
	expect_line(config(PROC "," MOUNT("/proc/sys/kernel/ns_last_pid", "none", "/s", "\"bind\""),
			   NS_PLAIN),
		    "bind /s on /proc/sys/kernel/ns_last_pid");
	expect_line(config(MOUNT("/process", "tmpfs", "t", ""), NS_PLAIN),
		    "mount tmpfs on /process");
}

Test(ns_plan, mounts_without_a_mount_namespace_are_refused)
{
	expect_error(config(PROC, "\"namespaces\":[{\"type\":\"pid\"}]"),
		     "mounts need a mount namespace", "/linux/namespaces");
}

Test(ns_plan, id_maps_come_in_pairs_and_on_binds)
{
#define MAP "[{\"containerID\":0,\"hostID\":1000,\"size\":1}]"
#define MAPPED(type, options, maps) \
	"{\"destination\":\"/m\",\"type\":\"" type "\",\"source\":\"/s\",\"options\":[" options \
	"]" maps "}"
	expect_error(config(MAPPED("none", "\"bind\"", ",\"uidMappings\":" MAP), NS_PLAIN),
		     "uidMappings without gidMappings", "/mounts/0");
	expect_error(config(MAPPED("tmpfs", "", ",\"uidMappings\":" MAP ",\"gidMappings\":" MAP),
			    NS_PLAIN),
		     "only supported for bind-mounts", "/mounts/0");
	expect_error(config(MAPPED("none", "\"bind\",\"idmap\"", ""), NS_PLAIN),
		     "or a user namespace to take them from", "/mounts/0");
	expect_line(config(MAPPED("none", "\"bind\"",
				  ",\"uidMappings\":" MAP ",\"gidMappings\":" MAP),
			   NS_PLAIN),
		    "bind /s on /m (idmap)");
	expect_line(config(MAPPED("none", "\"rbind\",\"ridmap\"", ""), NS_USER),
		    "rbind /s on /m (ridmap)");
}

Test(ns_plan, an_idmap_option_can_hold_its_maps)
{
#define IDMAP(value) MOUNT("/m", "none", "/s", "\"bind\",\"idmap=" value "\"")
	struct planned p;

	plan(&p, config(IDMAP("uids=0-1000-10#20-5000-1;gids=5-6-7"), NS_PLAIN), NULL);
	cr_assert_eq(p.r, 0, "%s", p.line);
	cr_expect(strstr(p.text.data, "bind /s on /m (idmap)"), "%s", p.text.data);
	cr_expect(strstr(p.text.data, "uids 0-1000-10 20-5000-1 gids 5-6-7"), "%s", p.text.data);
	drop(&p);

	expect_line(config(IDMAP("uids=@7-1000-2"), NS_USER),
		    "uids 7-101000-2 gids 0-100000-65536");
	expect_line(config(IDMAP("gids=1-2-3"), NS_PLAIN), "uids 0-0-4294967295 gids 1-2-3");
	expect_error(config(IDMAP("uids=@0-65530-10"), NS_USER), "user namespace does not map",
		     "/mounts/0/options/1");
	expect_error(config(IDMAP("uids=@0-0-1"), NS_PLAIN), "user namespace does not map",
		     "/mounts/0/options/1");
	expect_error(config(IDMAP(""), NS_PLAIN), "is not of the form", "/mounts/0/options/1");
	expect_error(config(IDMAP("uids=1-2"), NS_PLAIN), "is not of the form",
		     "/mounts/0/options/1");
	expect_error(config(IDMAP("uids=1-2-0"), NS_PLAIN), "is not of the form",
		     "/mounts/0/options/1");
	expect_error(config(IDMAP("uids=+1-2-3"), NS_PLAIN), "is not of the form",
		     "/mounts/0/options/1");
	expect_error(config(IDMAP("users=1-2-3"), NS_PLAIN), "is not of the form",
		     "/mounts/0/options/1");
}

Test(ns_plan, the_mount_label_goes_where_labels_are_kept)
{
#define LABELLED ",\"mountLabel\":\"system_u:object_r:x:s0\""
	expect_line(config(MOUNT("/m", "tmpfs", "t", ""), NS_PLAIN LABELLED),
		    "mount tmpfs on /m context=system_u:object_r:x:s0");
	expect_no(config(PROC, NS_PLAIN LABELLED), "context=");
	expect_no(config(MOUNT("/m", "mqueue", "t", ""), NS_PLAIN LABELLED), "context=");
	expect_no(config(MOUNT("/m", "none", "/s", "\"bind\""), NS_PLAIN LABELLED), "context=");
}

Test(ns_plan, a_remount_says_what_changes)
{
	expect_line(config(MOUNT("/m", "none", "/s", "\"bind\",\"remount\",\"ro\""), NS_PLAIN),
		    "remount /m (ro)  [");
	expect_line(config(MOUNT("/m", "tmpfs", "t", "\"remount\",\"async\",\"size=1m\",\"ro\""),
			   NS_PLAIN),
		    "remount /m (ro) async,size=1m,ro  [");
}

Test(ns_plan, tmpcopyup_is_for_tmpfs)
{
	expect_line(config(MOUNT("/m", "tmpfs", "t", "\"tmpcopyup\""), NS_PLAIN),
		    "on /m (tmpcopyup)");
	expect_error(config(MOUNT("/m", "proc", "t", "\"tmpcopyup\""), NS_PLAIN),
		     "tmpcopyup is for tmpfs", "/mounts/0");
}

Test(ns_plan, default_devices_are_made_unless_dev_is_the_users)
{
	expect_line(config(DEV, NS_PLAIN), "make device /dev/null c 1:3");
	expect_line(config("", NS_PLAIN), "make device /dev/urandom c 1:9");
	expect_no(config(MOUNT("/dev", "none", "/dev", "\"bind\""), NS_PLAIN), "/dev/null");
	expect_no(config(MOUNT("/dev", "none", "/dev", "\"bind\""), NS_PLAIN), "links of /dev");
	expect_no(config(DEV "," MOUNT("/dev/null", "none", "/dev/null", "\"bind\""), NS_PLAIN),
		  "make device /dev/null");
}

Test(ns_plan, a_device_of_the_config_replaces_the_default_and_ptmx_is_ours)
{
#define DEVICES(list) NS_PLAIN ",\"devices\":[" list "]"
#define DEVICE(path, n, more) \
	"{\"path\":\"" path "\",\"type\":\"c\",\"major\":" n ",\"minor\":1" more "}"
	const char *json =
		config(DEV, DEVICES(DEVICE("/dev/tty", "5",
					   ",\"fileMode\":384") "," DEVICE("/dev/ptmx", "5", "")));

	expect_line(json, "make device /dev/tty c 5:1 mode 600  [/linux/devices/0]");
	expect_no(json, "make device /dev/tty c 5:0");
	expect_no(json, "ptmx");
}

Test(ns_plan, covers_need_a_mount_namespace_and_absolute_paths)
{
	expect_error(config("", "\"namespaces\":[],\"maskedPaths\":[\"/proc/kcore\"]"),
		     "maskedPaths need a mount namespace", "/linux/maskedPaths/0");
	expect_error(config("", NS_PLAIN ",\"readonlyPaths\":[\"/proc/sys\",\"bus\"]"),
		     "not an absolute path", "/linux/readonlyPaths/1");
	expect_error(config("", NS_PLAIN ",\"maskedPaths\":[\"/..\"]"), "root.readonly",
		     "/linux/maskedPaths/0");
}

Test(ns_plan, names_need_a_uts_namespace)
{
	expect_error(config_with(",\"hostname\":\"h\"", "",
				 "\"namespaces\":[{\"type\":\"mount\"}]"),
		     "unable to set hostname without a private UTS namespace", "/hostname");
	expect_error(config_with(",\"domainname\":\"d\"", "",
				 "\"namespaces\":[{\"type\":\"mount\"}]"),
		     "unable to set domainname", "/domainname");
	expect_line(config_with(",\"hostname\":\"h\",\"domainname\":\"d\"", "", NS_PLAIN),
		    "set host name h  [/hostname]\nset domain name d");
}

Test(ns_plan, maps_and_a_user_namespace_go_together)
{
	expect_error(config("", NS_PLAIN "," NS_USER_MAPS), "id mappings without a user namespace",
		     "/linux/uidMappings");
	expect_error(config("", "\"namespaces\":[{\"type\":\"user\"},{\"type\":\"mount\"}]"),
		     "needs uidMappings and gidMappings", "/linux/uidMappings");
}

Test(ns_plan, time_offsets_need_a_new_time_namespace)
{
#define OFFSETS ",\"timeOffsets\":{\"monotonic\":{\"secs\":5}}"
	expect_error(config("", NS_PLAIN OFFSETS), "timeOffsets without a time namespace",
		     "/linux/timeOffsets");
	expect_error(
		config("",
		       "\"namespaces\":[{\"type\":\"time\",\"path\":\"/proc/1/ns/time\"}]" OFFSETS),
		"timeOffsets of a time namespace that is joined", "/linux/timeOffsets");
	expect_line(config("", "\"namespaces\":[{\"type\":\"time\"}]" OFFSETS),
		    "new time namespace");
}

Test(ns_plan, network_devices_need_a_namespace_and_a_name)
{
#define NETDEV(ns, name) "\"namespaces\":[" ns "],\"netDevices\":{\"eth0\":{\"name\":\"" name "\"}}"
	expect_error(config("", NETDEV("", "e")), "network devices need a network namespace",
		     "/linux/netDevices/eth0");
	expect_error(config("", NETDEV("{\"type\":\"network\"}", "sixteen-letters-")),
		     "cannot be the name of a network device", "/linux/netDevices/eth0");
	expect_error(config("", NETDEV("{\"type\":\"network\"}", "a:b")),
		     "cannot be the name of a network device", "/linux/netDevices/eth0");
	expect_line(config("", NETDEV("{\"type\":\"network\"}", "e%d")),
		    "move network device eth0 as e%d");
}

#define SYSCTL(ns, key) "\"namespaces\":[" ns "],\"sysctl\":{\"" key "\":\"1\"}"
#define NET "{\"type\":\"network\"}"
#define IPC "{\"type\":\"ipc\"}"

Test(ns_plan, a_sysctl_needs_the_namespace_it_belongs_to)
{
	expect_line(config("", SYSCTL(NET, "net.ipv4.ip_forward")),
		    "set sysctl net.ipv4.ip_forward to 1");
	expect_line(config("", SYSCTL(NET, "net/ipv4/ip_forward")), "set sysctl");
	expect_line(config("", SYSCTL(IPC, "kernel.shmmax")), "set sysctl");
	expect_line(config("", SYSCTL(IPC, "kernel.msg_next_id")), "set sysctl");
	expect_line(config("", SYSCTL(IPC, "fs.mqueue.msg_max")), "set sysctl");
	expect_line(config("", SYSCTL("{\"type\":\"uts\"}", "kernel.domainname")), "set sysctl");
	expect_error(config("", SYSCTL("", "net.ipv4.ip_forward")),
		     "is not allowed in the host's network namespace",
		     "/linux/sysctl/net.ipv4.ip_forward");
	expect_error(config("", SYSCTL(NET, "kernel.shmmax")),
		     "is not allowed in the host's ipc namespace", "/linux/sysctl/kernel.shmmax");
	expect_error(config("", SYSCTL(NET, "user.max_user_namespaces")),
		     "is not allowed in the host's user namespace",
		     "/linux/sysctl/user.max_user_namespaces");
	expect_error(config("", SYSCTL(NET, "vm.swappiness")),
		     "is not in a separate kernel namespace", "/linux/sysctl/vm.swappiness");
	expect_error(config("", SYSCTL("{\"type\":\"uts\"}", "kernel.hostname")),
		     "conflicts with the OCI hostname", "/linux/sysctl/kernel.hostname");
}

Test(ns_plan, a_sysctl_cannot_climb)
{
	expect_error(config("", SYSCTL(NET, "net/../kernel/core_pattern")),
		     "is not the name of a sysctl", "/linux/sysctl/net/../kernel/core_pattern");
	expect_error(config("", SYSCTL(NET, "net.")), "is not the name of a sysctl",
		     "/linux/sysctl/net.");
	expect_error(config("", SYSCTL(NET, "net..x")), "is not the name of a sysctl",
		     "/linux/sysctl/net..x");
	/* With dots as separators a slash is a dot in a name: this is the interface "../x". */
	expect_line(config("", SYSCTL(NET, "net.ipv4.conf.a/b.forwarding")), "set sysctl");
}

Test(ns_plan, propagation_of_the_root)
{
	expect_line(config("", NS_PLAIN ",\"rootfsPropagation\":\"rshared\""),
		    "/bundle/rootfs rshared  [");
	expect_line(config("", NS_PLAIN ",\"rootfsPropagation\":\"unbindable\""),
		    "rootfs unbindable  [");
	expect_line(config("", NS_PLAIN), "root /bundle/rootfs  [/root/path]");

	struct planned p;
	struct ns_options opt = {
		.id = "t", .bundle = "/b", .no_pivot = true
	};

	plan(&p, config("", NS_PLAIN ",\"rootfsPropagation\":\"rprivate\""), &opt);
	cr_expect_eq(p.r, -EINVAL);
	cr_expect(strstr(p.line, "--no-pivot"), "%s", p.line);
	drop(&p);
	plan(&p, config("", NS_PLAIN ",\"rootfsPropagation\":\"shared\""), &opt);
	cr_expect_eq(p.r, -EINVAL);
	cr_expect_str_eq(p.err.at, "/linux/rootfsPropagation");
	drop(&p);
	plan(&p, config("", NS_PLAIN ",\"rootfsPropagation\":\"rslave\""), &opt);
	cr_expect_eq(p.r, 0, "%s", p.line);
	drop(&p);
}

static struct ns_extra_mount volume_of(struct spec_mount *m)
{
	return (struct ns_extra_mount){ .source_fd = -1, .destination = m->destination, .bind = m };
}

Test(ns_plan, a_volume_is_a_bind_after_those_of_the_config)
{
	char *options[] = { "rbind", "rro", "rslave" };
	struct spec_mount m = {
		.destination = "/data", .source = "/srv/x", .type = "bind", .options = { options, 3 }
	};
	struct ns_extra_mount extra[] = { { .is_detached = true, .destination = "/img" }, volume_of(&m) };
	struct ns_options opt = { .id = "t", .bundle = "/b", .extra_mounts = extra, .n_extra_mounts = 2 };
	struct planned p;

	plan(&p, config(PROC, NS_PLAIN), &opt);
	cr_assert_eq(p.r, 0, "%s", p.line);
	cr_expect(strstr(p.text.data, "[/mounts/0]\nbind (a mount) on /img\nrbind /srv/x on /data (rro) rslave\n"),
		  "%s", p.text.data);
	drop(&p);

	options[1] = "idmap=nonsense";
	plan(&p, config(PROC, NS_PLAIN), &opt);
	cr_expect_eq(p.r, -EINVAL);
	cr_expect(strstr(p.line, "cannot mount volume /srv/x on /data"), "%s", p.line);
	cr_expect_str_empty(p.err.at, "not a member of the config");
	drop(&p);
}

Test(ns_plan, a_root_that_is_given_needs_no_path_but_a_mount_namespace)
{
	struct ns_options opt = { .id = "t", .bundle = "/b", .root_is_given = true };
	struct planned p;

	plan(&p, "{\"ociVersion\":\"1.2.0\",\"linux\":{" NS_PLAIN "}}", &opt);
	cr_expect_eq(p.r, 0, "%s", p.line);
	drop(&p);
	plan(&p, "{\"ociVersion\":\"1.2.0\",\"root\":{\"readonly\":true},\"linux\":{" NS_PLAIN "}}", NULL);
	cr_expect_eq(p.r, -EINVAL);
	cr_expect_str_eq(p.line, "root.path is missing");
	cr_expect_str_eq(p.err.at, "/root");
	drop(&p);
	plan(&p, config("", "\"namespaces\":[{\"type\":\"pid\"}]"), &opt);
	cr_expect_eq(p.r, -EINVAL);
	cr_expect_str_eq(p.err.at, "/linux/namespaces");
	drop(&p);
}

Test(ns_plan, namespaces_become_clone_flags)
{
	struct planned p;

	plan(&p,
	     config("",
		    "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"cgroup\"},"
		    "{\"type\":\"time\"},{\"type\":\"network\",\"path\":\"/n\"}]"),
	     NULL);
	cr_assert_eq(p.r, 0, "%s", p.line);
	cr_expect_eq(ns_clone_flags(p.plan), (uint64_t)(CLONE_NEWNS | CLONE_NEWPID));
	cr_expect_eq(ns_kinds(p.plan), 1u << SPEC_NS_MOUNT | 1u << SPEC_NS_PID |
					       1u << SPEC_NS_CGROUP | 1u << SPEC_NS_TIME |
					       1u << SPEC_NS_NETWORK);
	cr_expect_not(ns_needs_maps(p.plan));
	cr_expect_not(ns_needs_second_clone(p.plan));
	drop(&p);

	plan(&p, config("", NS_USER), NULL);
	cr_assert_eq(p.r, 0, "%s", p.line);
	cr_expect(ns_needs_maps(p.plan));
	cr_expect_not(ns_needs_second_clone(p.plan));
	drop(&p);
}

Test(ns_plan, joining_and_making_around_a_user_namespace_takes_two_clones)
{
	struct planned p;

	plan(&p,
	     config("",
		    "\"namespaces\":[{\"type\":\"user\",\"path\":\"/u\"},{\"type\":\"mount\"}]"),
	     NULL);
	cr_assert_eq(p.r, 0, "%s", p.line);
	cr_expect(ns_needs_second_clone(p.plan));
	cr_expect_not(ns_needs_maps(p.plan));
	drop(&p);

	plan(&p,
	     config("", "\"namespaces\":[{\"type\":\"user\"},{\"type\":\"network\",\"path\":\"/"
			"n\"}]," NS_USER_MAPS),
	     NULL);
	cr_assert_eq(p.r, 0, "%s", p.line);
	cr_expect(ns_needs_second_clone(p.plan));
	drop(&p);
}

Test(ns_plan, namespace_paths_are_absolute)
{
	expect_error(config("", "\"namespaces\":[{\"type\":\"network\",\"path\":\"n\"}]"),
		     "not an absolute path", "/linux/namespaces/0/path");
}

Test(ns_plan, a_read_only_root_needs_a_mount_namespace)
{
	struct planned p;

	plan(&p,
	     "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\",\"readonly\":true},\"linux\":{}}",
	     NULL);
	cr_expect_eq(p.r, -EINVAL);
	cr_expect_str_eq(p.err.at, "/root/readonly");
	drop(&p);
}
