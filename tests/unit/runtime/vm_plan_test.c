/* SPDX-License-Identifier: Apache-2.0 */
/* How large a machine is, and what it is not asked for. */
#include "runtime/vm_plan.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "runtime/isolation.h"

static struct arena a = ARENA_INIT;
static struct spec spec;
static struct spec_resources res;
static struct spec_memory memory;
static struct spec_cpu cpu;
static struct spec_vm vm;

static void begin(void)
{
	static const enum spec_ns_kind needed[] = { SPEC_NS_MOUNT, SPEC_NS_PID, SPEC_NS_NETWORK, SPEC_NS_IPC, SPEC_NS_UTS };

	spec = (struct spec){ .linux_ = { .resources = &res } };
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		spec.linux_.ns[needed[i]].listed = true;
	res = (struct spec_resources){ 0 };
	memory = (struct spec_memory){ 0 };
	cpu = (struct spec_cpu){ 0 };
	vm = (struct spec_vm){ .kernel_path = "/boot/vmlinuz" };
}

static void end(void)
{
	arena_release(&a);
}

TestSuite(vm_plan, .init = begin, .fini = end);
TestSuite(vm_refuse, .init = begin, .fini = end);

static struct wall_plan plan(unsigned cpus)
{
	struct wall_plan p = { 0 };
	struct error err = ERROR_INIT;

	cr_assert_eq(wall_plan_make(&spec, cpus, &a, &p, &err), 0, "%s", err.text);
	return p;
}

Test(vm_plan, nothing_said_is_a_gigabyte_and_four_cpus_at_most)
{
	spec.linux_.resources = NULL;
	cr_expect_eq(plan(2).vcpus, 2);
	cr_expect_eq(plan(16).vcpus, 4);
	cr_expect_eq(plan(16).memory, 1024 * WALL_MIB);
	cr_expect_eq(plan(16).limit, UINT64_MAX);
	cr_expect(!plan(1).has_quota);
	cr_expect_null(plan(1).host);
}

Test(vm_plan, a_quota_is_rounded_up_and_the_host_is_the_bound)
{
	res.cpu = &cpu;
	cpu.quota = (struct spec_opt_i64){ true, 150000 };
	cr_expect_eq(plan(8).vcpus, 2);
	cr_expect(plan(8).has_quota);
	cpu.period = (struct spec_opt_u64){ true, 10000 };
	cr_expect_eq(plan(8).vcpus, 8);
	cr_expect_eq(plan(64).vcpus, 15);
	cpu.quota.v = -1;
	cr_expect_eq(plan(8).vcpus, 4);
	cr_expect(!plan(8).has_quota);
}

Test(vm_plan, a_cpuset_counts_where_there_is_no_quota)
{
	res.cpu = &cpu;
	cpu.cpus = "0-2,7";
	cr_expect_eq(plan(8).vcpus, 4);
	cpu.quota = (struct spec_opt_i64){ true, 100000 };
	cr_expect_eq(plan(8).vcpus, 1);
}

Test(vm_plan, files_of_the_unified_hierarchy_say_the_same)
{
	struct spec_key_value files[] = { { "cpu.max", "250000 100000" }, { "memory.max", "268435456" }, { "io.weight", "50" } };

	res.unified = files;
	res.n_unified = 3;

	struct wall_plan p = plan(8);

	cr_expect_eq(p.vcpus, 3);
	cr_expect_eq(p.limit, 256 * WALL_MIB);
	cr_expect_eq(p.host->n_unified, 2, "memory.max is the guest's");
	cr_expect_eq(p.host->memory->limit.v, (int64_t)wall_host_memory(p.memory));
}

Test(vm_plan, hardware_of_the_config_wins)
{
	spec.vm = &vm;
	vm.has_vcpus = vm.has_memory = true;
	vm.vcpus = 6;
	vm.memory = 300 * WALL_MIB + 1;
	cr_expect_eq(plan(2).vcpus, 6);
	cr_expect_eq(plan(2).memory, 302 * WALL_MIB);
}

Test(vm_plan, a_limit_gets_room_for_the_kernel_and_the_host_room_for_the_machine)
{
	res.memory = &memory;
	memory.limit = (struct spec_opt_i64){ true, 512 << 20 };
	memory.swap = (struct spec_opt_i64){ true, 768 << 20 };

	struct wall_plan p = plan(1);

	cr_expect_eq(p.memory, (512 + 16 + 64) * WALL_MIB);
	cr_expect_eq(p.host->memory->limit.v, (int64_t)wall_host_memory(p.memory));
	cr_expect_eq(p.host->memory->swap.v - p.host->memory->limit.v, 256 << 20);
	memory.limit.v = 6 << 20;
	cr_expect_eq(plan(1).memory, 160 * WALL_MIB);
	memory.limit.v = -1;
	memory.swap.v = -1;
	cr_expect_eq(plan(1).memory, 1024 * WALL_MIB);
	cr_expect_not(plan(1).host->memory->limit.set);
	memory.swappiness = (struct spec_opt_u64){ true, 10 };
	cr_expect(plan(1).host->memory->swappiness.set, "that no kernel can is said on the host");
}

Test(vm_plan, processes_and_devices_are_not_for_the_hosts_cgroup)
{
	struct spec_device_rule rule = { .allow = false, .type = 'a' };

	res.pids_limit = (struct spec_opt_i64){ true, 3 };
	res.devices = &rule;
	res.n_devices = 1;

	struct wall_plan p = plan(1);

	cr_expect(!p.host->pids_limit.set);
	cr_expect_eq(p.host->n_devices, 0);
}

Test(vm_plan, sizes_that_no_machine_has_are_refused)
{
	struct wall_plan p;
	struct error err = ERROR_INIT;

	spec.vm = &vm;
	vm.has_vcpus = true;
	vm.vcpus = 1000;
	cr_expect_eq(wall_plan_make(&spec, 2, &a, &p, &err), -EINVAL);
	cr_expect_str_eq(err.at, "/vm/hwConfig/vcpus");
	vm.has_vcpus = false;
	vm.has_memory = true;
	vm.memory = 4096;
	err = ERROR_INIT;
	cr_expect_eq(wall_plan_make(&spec, 2, &a, &p, &err), -EINVAL);
	cr_expect_str_eq(err.at, "/vm/hwConfig/memory");
}

/* ---- refusals ---- */

static void refused(const char *at, const char *words)
{
	struct error err = ERROR_INIT;

	cr_assert_eq(wall_check(&spec, &err), -ENOTSUP, "%s: %s", at, err.text);
	cr_expect_str_eq(err.at, at);
	cr_expect(strstr(err.text, words), "%s", err.text);
}

Test(vm_refuse, an_ordinary_config_is_fine)
{
	struct error err = ERROR_INIT;

	spec.linux_.ns[SPEC_NS_NETWORK].path = "/run/netns/x";
	cr_expect_eq(wall_check(&spec, &err), 0, "%s", err.text);
}

Test(vm_refuse, namespaces_of_others)
{
	spec.linux_.ns[SPEC_NS_PID] = (struct spec_namespace){ .listed = true, .path = "/proc/7/ns/pid", .index = 3 };
	refused("/linux/namespaces/3", "cannot join the pid namespace \"/proc/7/ns/pid\"");
	spec.linux_.ns[SPEC_NS_PID].path = NULL;
	spec.linux_.ns[SPEC_NS_NETWORK].listed = false;
	refused("/linux/namespaces", "cannot share the host's network namespace");
}

Test(vm_refuse, devices_of_the_host_but_not_those_every_guest_has)
{
	struct spec_device devices[] = { { .type = 'c', .path = "/dev/null", .major = 1, .minor = 3 },
					 { .type = 'b', .path = "/dev/sda", .major = 8, .minor = 0 } };
	struct spec_device_rule rule = { .allow = true, .type = 'a', .major = -1, .minor = -1, .access = 7 };
	struct error err = ERROR_INIT;

	spec.linux_.devices = devices;
	spec.linux_.n_devices = 1;
	cr_expect_eq(wall_check(&spec, &err), 0, "%s", err.text);
	spec.linux_.n_devices = 2;
	refused("/linux/devices/1", "no device b 8:0 of the host's");
	wall_check(&spec, &err);
	cr_expect(strstr(err.hint, "ptmx"), "%s", err.hint);
	spec.linux_.resources = &res;
	res.devices = &rule;
	res.n_devices = 1;
	wall_check(&spec, &err);
	cr_expect(strstr(err.hint, "--privileged"), "%s", err.hint);
}

Test(vm_refuse, mounts_that_would_show_up_on_the_host_or_come_from_it)
{
	char *shared[] = { (char *)"rbind", (char *)"rshared", NULL };
	char *plain[] = { (char *)"rbind", (char *)"rprivate", NULL };
	struct spec_mount mount = { .destination = "/data", .source = "/srv", .type = "bind", .options = { .v = shared, .n = 2 } };
	struct error err = ERROR_INIT;

	spec.mounts = &mount;
	spec.n_mounts = 1;
	refused("/mounts/0", "cannot show up on the host (rshared)");
	mount.options.v = plain;
	cr_expect_eq(wall_check(&spec, &err), 0, "%s", err.text);
	mount = (struct spec_mount){ .destination = "/data", .source = "x", .type = "nfs" };
	refused("/mounts/0", "cannot mount a \"nfs\"");
	spec.n_mounts = 0;
	spec.linux_.rootfs_propagation = "rshared";
	refused("/linux/rootfsPropagation", "rootfsPropagation shared");
}

Test(vm_refuse, labels_and_listeners)
{
	struct spec_seccomp seccomp = { .default_action = "SCMP_ACT_NOTIFY" };

	spec.has_process = true;
	spec.process.apparmor_profile = "docker-default";
	refused("/process/apparmorProfile", "no AppArmor profiles");
	spec.process.apparmor_profile = NULL;
	spec.linux_.seccomp = &seccomp;
	refused("/linux/seccomp", "SCMP_ACT_NOTIFY");
}

Test(vm_refuse, another_hypervisor_and_a_disk)
{
	spec.vm = &vm;
	vm.has_hypervisor = true;
	vm.hypervisor_path = "/usr/bin/qemu";
	refused("/vm/hypervisor", "hypervisor is part of this program");
	vm.has_hypervisor = false;
	vm.has_image = true;
	vm.image_path = "/x.raw";
	refused("/vm/image", "a disk image cannot be given");
}

/* ---- which wall ---- */

static int choose(enum rt_isolation option, const char *annotation, bool *ret)
{
	struct spec_key_value note = { ISOLATION_ANNOTATION, annotation };

	spec.annotations = &note;
	spec.n_annotations = annotation ? 1 : 0;
	return isolation_choose(option, &spec, ret, NULL);
}

Test(vm_plan, option_and_annotation_say_the_same_or_nothing_is_made)
{
	bool is_vm = true;

	cr_expect(choose(RT_ISOLATION_DEFAULT, NULL, &is_vm) == 0 && !is_vm);
	cr_expect(choose(RT_ISOLATION_VM, NULL, &is_vm) == 0 && is_vm);
	cr_expect(choose(RT_ISOLATION_DEFAULT, "vm", &is_vm) == 0 && is_vm);
	cr_expect(choose(RT_ISOLATION_VM, "vm", &is_vm) == 0 && is_vm);
	cr_expect(choose(RT_ISOLATION_PROCESS, "default", &is_vm) == 0 && !is_vm);
	cr_expect_eq(choose(RT_ISOLATION_PROCESS, "vm", &is_vm), -EINVAL);
	cr_expect_eq(choose(RT_ISOLATION_VM, "process", &is_vm), -EINVAL);
	cr_expect_eq(choose(RT_ISOLATION_DEFAULT, "none", &is_vm), -EINVAL);
}

/* ---- the table: every member of a config, and who does it for a virtual machine ---- */

#define BASE "\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"}"
#define NAMESPACES                                                                                                    \
	"\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}]"
#define LINUX(member) "\"linux\":{" NAMESPACES "," member "}"
#define RESOURCES(member) LINUX("\"resources\":{" member "}")
#define PROCESS(member) "\"linux\":{" NAMESPACES "},\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]," member "}"

/* at: where it is refused; NULL: the guest or the host's cgroup does it. */
static const struct {
	const char *text, *at;
} members[] = {
	{ LINUX("\"uidMappings\":[],\"gidMappings\":[]"), NULL },
	{ LINUX("\"timeOffsets\":{}"), NULL },
	{ LINUX("\"devices\":[{\"type\":\"c\",\"path\":\"/dev/null\",\"major\":1,\"minor\":3}]"), NULL },
	{ LINUX("\"devices\":[{\"type\":\"c\",\"path\":\"/dev/kvm\",\"major\":10,\"minor\":232}]"), "/linux/devices/0" },
	{ LINUX("\"devices\":[{\"type\":\"u\",\"path\":\"/dev/fuse\",\"major\":10,\"minor\":229}]"), "/linux/devices/0" },
	{ LINUX("\"netDevices\":{\"eth0\":{}}"), "/linux/netDevices" },
	{ LINUX("\"cgroupsPath\":\"/a/b\""), NULL },
	{ LINUX("\"intelRdt\":{\"closID\":\"a\"}"), "/linux/intelRdt" },
	{ LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_INTERLEAVE\",\"nodes\":\"0\"}"), "/linux/memoryPolicy" },
	{ LINUX("\"sysctl\":{\"net.ipv4.ip_forward\":\"1\",\"kernel.msgmax\":\"8192\"}"), NULL },
	{ LINUX("\"rootfsPropagation\":\"rslave\""), NULL },
	{ LINUX("\"rootfsPropagation\":\"shared\""), "/linux/rootfsPropagation" },
	{ LINUX("\"maskedPaths\":[\"/proc/kcore\"],\"readonlyPaths\":[\"/proc/sys\"]"), NULL },
	{ LINUX("\"mountLabel\":\"system_u:object_r:container_file_t:s0\""), "/linux/mountLabel" },
	{ LINUX("\"personality\":{\"domain\":\"LINUX32\"}"), NULL },
	{ LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\"}"), NULL },
	{ LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/run/l\"}"), "/linux/seccomp" },
	{ LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\"],"
		"\"action\":\"SCMP_ACT_NOTIFY\"}]}"), "/linux/seccomp" },
	{ RESOURCES("\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]"), NULL },
	{ RESOURCES("\"memory\":{\"limit\":268435456,\"reservation\":1048576,\"swap\":536870912}"), NULL },
	{ RESOURCES("\"cpu\":{\"shares\":512,\"quota\":50000,\"period\":100000,\"cpus\":\"0\",\"mems\":\"0\",\"idle\":0}"), NULL },
	{ RESOURCES("\"pids\":{\"limit\":10}"), NULL },
	{ RESOURCES("\"blockIO\":{\"weight\":100}"), NULL },
	{ RESOURCES("\"unified\":{\"memory.high\":\"1000000\",\"cpu.weight\":\"10\"}"), NULL },
	{ PROCESS("\"terminal\":true,\"consoleSize\":{\"height\":3,\"width\":4}"), NULL },
	{ PROCESS("\"env\":[\"A=1\"],\"user\":{\"uid\":1,\"gid\":2,\"umask\":7,\"additionalGids\":[3]}"), NULL },
	{ PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":0,\"hard\":0}],\"noNewPrivileges\":true"), NULL },
	{ PROCESS("\"capabilities\":{\"bounding\":[\"CAP_KILL\"]},\"oomScoreAdj\":5"), NULL },
	{ PROCESS("\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"nice\":3}"), NULL },
	{ PROCESS("\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":4}"), NULL },
	{ PROCESS("\"apparmorProfile\":\"docker-default\""), "/process/apparmorProfile" },
	{ PROCESS("\"selinuxLabel\":\"a:b:c:s0\""), "/process/selinuxLabel" },
	{ PROCESS("\"execCPUAffinity\":{\"initial\":\"0\"}"), "/process/execCPUAffinity" },
	{ LINUX("\"devices\":[]") ",\"hostname\":\"h\",\"domainname\":\"d\"", NULL },
	{ LINUX("\"devices\":[]") ",\"hooks\":{\"poststop\":[{\"path\":\"/bin/true\"}]}", NULL },
	{ LINUX("\"devices\":[]") ",\"annotations\":{\"com.example.any\":\"x\"}", NULL },
	{ LINUX("\"devices\":[]") ",\"annotations\":{\"dev.bulkhead.cgroup-leaf\":\"x\"}", "/annotations/dev.bulkhead.cgroup-leaf" },
	{ LINUX("\"devices\":[]") ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"overlay\",\"source\":\"o\"}]", "/mounts/0" },
	{ LINUX("\"devices\":[]") ",\"mounts\":[{\"destination\":\"/a\",\"source\":\"/b\",\"options\":[\"bind\",\"ro\",\"nosuid\"]}]", NULL },
	{ LINUX("\"devices\":[]") ",\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hwConfig\":{\"deviceTree\":\"/d\"}}", "/vm/hwConfig/deviceTree" },
	{ LINUX("\"devices\":[]") ",\"vm\":{\"kernel\":{\"path\":\"/k\"},\"hwConfig\":{\"irqs\":[5]}}", "/vm/hwConfig" },
};

Test(vm_refuse, each_member_is_done_by_somebody_or_refused_with_its_place)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *text = arena_printf(&a, "{" BASE ",%s}", members[i].text);
		struct error err = ERROR_INIT;
		struct spec *parsed;

		cr_assert_eq(spec_parse(text, strlen(text), &a, &parsed, &err), 0, "%s: %s", text, err.text);

		int r = wall_check(parsed, &err);

		if (members[i].at)
			cr_expect(r < 0 && strcmp(err.at, members[i].at) == 0, "%s: %d at \"%s\": %s", text, r, err.at, err.text);
		else
			cr_expect_eq(r, 0, "%s: at \"%s\": %s", text, err.at, err.text);
	}
}
