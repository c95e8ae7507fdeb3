/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that several rooms read. */
#include "tests/unit/spec/spec_fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

TestSuite(spec_tables);

Test(spec_tables, mount_options_are_sorted_and_each_is_found)
{
	size_t n;
	const struct spec_mopt *options = spec_mount_options(&n);

	cr_assert_eq(n, 64);
	for (size_t i = 0; i < n; i++) {
		cr_assert(i == 0 || strcmp(options[i - 1].name, options[i].name) < 0, "%s",
			  options[i].name);
		cr_assert_eq(spec_mount_option(options[i].name), &options[i]);
	}
	cr_assert_null(spec_mount_option("mode=755"));
	cr_assert_null(spec_mount_option(""));
	cr_assert_null(spec_mount_option("RO"));
}

/* Every generic option of the specification's table and of its features example. */
Test(spec_tables, every_option_of_the_specification_is_known)
{
	static const char text[] = "async sync atime noatime bind rbind defaults dev nodev "
				   "diratime nodiratime dirsync exec noexec "
				   "iversion noiversion lazytime nolazytime loud silent mand "
				   "nomand relatime norelatime strictatime "
				   "nostrictatime suid nosuid remount ro rw private rprivate slave "
				   "rslave shared rshared unbindable "
				   "runbindable nosymfollow symfollow rro rrw rnosuid rsuid rnodev "
				   "rdev rnoexec rexec rnoatime ratime "
				   "rrelatime rnorelatime rstrictatime rnostrictatime rnodiratime "
				   "rdiratime rnosymfollow rsymfollow "
				   "acl noacl tmpcopyup idmap ridmap";
	char copy[sizeof(text)], *save = NULL;
	size_t n = 0, total;

	memcpy(copy, text, sizeof(text));
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save), n++)
		cr_assert_not_null(spec_mount_option(word), "%s", word);
	spec_mount_options(&total);
	cr_assert_eq(n, total);
}

Test(spec_tables, opposite_options_meet_in_one_attribute)
{
	static const struct {
		const char *set, *clear;
		uint64_t value;
	} pairs[] = {
		{ "ro", "rw", MOUNT_ATTR_RDONLY },
		{ "nosuid", "suid", MOUNT_ATTR_NOSUID },
		{ "nodev", "dev", MOUNT_ATTR_NODEV },
		{ "noexec", "exec", MOUNT_ATTR_NOEXEC },
		{ "noatime", "atime", MOUNT_ATTR_NOATIME },
		{ "strictatime", "nostrictatime", MOUNT_ATTR_STRICTATIME },
		{ "nodiratime", "diratime", MOUNT_ATTR_NODIRATIME },
		{ "nosymfollow", "symfollow", 0x00200000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		for (int recursive = 0; recursive < 2; recursive++) {
			char set[32], clear[32];

			snprintf(set, sizeof(set), "%s%s", recursive ? "r" : "", pairs[i].set);
			snprintf(clear, sizeof(clear), "%s%s", recursive ? "r" : "",
				 pairs[i].clear);

			const struct spec_mopt *s = spec_mount_option(set),
					       *c = spec_mount_option(clear);

			cr_assert(s && c, "%s %s", set, clear);
			cr_assert(s->value == pairs[i].value && c->value == pairs[i].value, "%s",
				  set);
			cr_assert(!s->clear && c->clear, "%s %s", set, clear);
			cr_assert_eq(s->kind, recursive ? MOPT_ATTR_REC : MOPT_ATTR);
			cr_assert_eq(c->recursive, recursive);
		}
	}
	cr_assert_eq(spec_mount_option("rslave")->value, MS_SLAVE);
	cr_assert(spec_mount_option("rslave")->recursive);
	cr_assert_not(spec_mount_option("slave")->recursive);
	cr_assert_str_eq(spec_mount_option("async")->sb_flag, "async");
	cr_assert_eq(spec_mount_option("defaults")->kind, MOPT_IGNORE);
}

Test(spec_tables, capability_names_and_numbers_match)
{
	for (unsigned i = 0; i <= SPEC_CAP_LAST; i++)
		cr_assert_eq(spec_cap_number(spec_cap_name(i)), (int)i);
	cr_assert_eq(spec_cap_number("CAP_SYS_ADMIN"), 21);
	cr_assert_str_eq(spec_cap_name(40), "CAP_CHECKPOINT_RESTORE");
	cr_assert_null(spec_cap_name(41));

	static const char *const wrong[] = { "",	  "CAP_",    "KILL", "cap_kill",
					     "CAP_KILLS", "CAP_KIL", "ALL" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_assert_eq(spec_cap_number(wrong[i]), -1, "%s", wrong[i]);
}

Test(spec_tables, namespaces_have_their_names_and_flags)
{
	cr_assert_str_eq(spec_ns_name(SPEC_NS_USER), "user");
	cr_assert_str_eq(spec_ns_name(SPEC_NS_MOUNT), "mount");
	cr_assert_str_eq(spec_ns_name(SPEC_NS_PID), "pid");
	cr_assert_str_eq(spec_ns_name(SPEC_NS_NETWORK), "network");
	cr_assert_str_eq(spec_ns_name(SPEC_NS_IPC), "ipc");
	cr_assert_str_eq(spec_ns_name(SPEC_NS_UTS), "uts");
	cr_assert_str_eq(spec_ns_name(SPEC_NS_CGROUP), "cgroup");
	cr_assert_str_eq(spec_ns_name(SPEC_NS_TIME), "time");
	cr_assert_eq(spec_ns_flag(SPEC_NS_MOUNT), CLONE_NEWNS);
	cr_assert_eq(spec_ns_flag(SPEC_NS_NETWORK), CLONE_NEWNET);
	cr_assert_eq(spec_ns_flag(SPEC_NS_TIME), 0x80);
}

Test(spec_tables, rlimits_have_the_kernels_numbers)
{
	cr_assert_eq(spec_rlimit_number("RLIMIT_NOFILE"), 7);
	cr_assert_eq(spec_rlimit_number("RLIMIT_RTTIME"), 15);
	cr_assert_eq(spec_rlimit_number("RLIMIT_CPU"), 0);
	cr_assert_eq(spec_rlimit_number("NOFILE"), -1);
}

Test(spec_tables, sysctl_keys_have_one_path)
{
	static const struct {
		const char *key, *path;
	} rows[] = {
		{ "net.ipv4.ip_forward", "net/ipv4/ip_forward" },
		{ "net/ipv4/ip_forward", "net/ipv4/ip_forward" },
		{ "net.ipv4.conf.eth0/7.forwarding", "net/ipv4/conf/eth0.7/forwarding" },
		{ "net/ipv4/conf/eth0.7/forwarding", "net/ipv4/conf/eth0.7/forwarding" },
		{ "kernel", "kernel" },
	};
	static const char *const wrong[] = { "",     ".",  "..", "a..b",  "a/../b",
					     "a//b", "/a", "a/", "a./.b", "a.//.b" };
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(spec_sysctl_path(rows[i].key, path, sizeof(path)), 0, "%s",
			     rows[i].key);
		cr_assert_str_eq(path, rows[i].path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_assert_eq(spec_sysctl_path(wrong[i], path, sizeof(path)), -EINVAL, "%s",
			     wrong[i]);
	cr_assert_eq(spec_sysctl_path("net.ipv4", path, 8), -ENAMETOOLONG);
	cr_assert_eq(spec_sysctl_path("net.ipv4", path, 9), 0);
}

Test(spec_tables, default_nodes_are_allowed_by_the_default_rules)
{
	size_t n_nodes, n_rules;
	const struct spec_device *nodes = spec_default_devices(&n_nodes);
	const struct spec_device_rule *rules = spec_default_device_rules(&n_rules);

	cr_assert_eq(n_nodes, 6);
	for (size_t i = 0; i < n_nodes; i++) {
		bool allowed = false;

		for (size_t j = 0; j < n_rules; j++)
			allowed |= rules[j].allow && rules[j].type == nodes[i].type &&
				   rules[j].major == nodes[i].major &&
				   rules[j].minor == nodes[i].minor &&
				   rules[j].access ==
					   (SPEC_DEV_READ | SPEC_DEV_WRITE | SPEC_DEV_MKNOD);
		cr_assert(allowed, "%s", nodes[i].path);
		cr_assert_eq(nodes[i].mode, 0666);
	}
}
