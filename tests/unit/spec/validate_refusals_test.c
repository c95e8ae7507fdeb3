/* SPDX-License-Identifier: Apache-2.0 */
/* Configs that are well-typed and break a rule between members, with the sentence each must get. */
#include "tests/unit/spec/spec_fixture.h"

TestSuite(spec_validate_refusals, .fini = release_arena);

static const struct refusal top[] = {
	{ "{'ociVersion':'2.0.0','root':{'path':'r'}}",
	  "ociVersion is \"2.0.0\", but this runtime reads versions 1.0.0 to 1.3.0 of the "
	  "specification and later ones of 1.x",
	  "/ociVersion" },
	{ "{'ociVersion':'0.5.0-dev','root':{'path':'r'}}",
	  "ociVersion is \"0.5.0-dev\", but this runtime reads versions 1.0.0 to 1.3.0 of the "
	  "specification and later ones of 1.x",
	  "/ociVersion" },
	{ "{'ociVersion':'10.0.0','root':{'path':'r'}}",
	  "ociVersion is \"10.0.0\", but this runtime reads versions 1.0.0 to 1.3.0 of the "
	  "specification and later ones of 1.x",
	  "/ociVersion" },
	{ TOP("'hostname':'web'"), "hostname is set, but the config asks for no uts namespace",
	  "/hostname" },
	{ TOP("'domainname':'lan','linux':{'namespaces':[{'type':'ipc'}]}"),
	  "domainname is set, but the config asks for no uts namespace", "/domainname" },
	{ TOP("'hostname':'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg',"
	      "'linux':{" ALL_NS "}"),
	  "hostname is \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg\", "
	  "which has 65 bytes: the kernel takes at most 64",
	  "/hostname" },
};

Test(spec_validate_refusals, top_level)
{
	expect_all_refused(top, ARRAY_SIZE(top));
}

#define SCHED(m) PROC("'scheduler':{" m "}")

static const struct refusal process[] = {
	{ TOP("'process':{'user':{'uid':0,'gid':0},'cwd':'tmp','args':['sh']}"),
	  "process.cwd is \"tmp\", not an absolute path", "/process/cwd" },
	{ TOP("'process':{'user':{'uid':0,'gid':0},'cwd':'/'}"),
	  "process.args is empty: there is no program to run", "/process/args" },
	{ TOP("'process':{'user':{'uid':0,'gid':0},'cwd':'/','args':[]}"),
	  "process.args is empty: there is no program to run", "/process/args" },
	{ PROC("'env':['A=1','PATH']"), "process.env[1] is \"PATH\", not NAME=value",
	  "/process/env/1" },
	{ PROC("'env':['=x']"), "process.env[0] is \"=x\", not NAME=value", "/process/env/0" },
	{ PROC("'env':['']"), "process.env[0] is \"\", not NAME=value", "/process/env/0" },
	{ PROC("'rlimits':[{'type':'RLIMIT_CORE','soft':2,'hard':1}]"),
	  "process.rlimits[0] (RLIMIT_CORE) has a soft limit of 2, above its hard limit of 1",
	  "/process/rlimits/0/soft" },
	{ PROC("'rlimits':[{'type':'RLIMIT_CORE','soft':1,'hard':1},"
	       "{'type':'RLIMIT_CPU','soft':1,'hard':1},{'type':'RLIMIT_CORE','soft':1,'hard':1}]"),
	  "process.rlimits[2] sets RLIMIT_CORE, which process.rlimits[0] sets already",
	  "/process/rlimits/2/type" },
	{ SCHED("'policy':'SCHED_OTHER','nice':20"),
	  "process.scheduler.nice is 20, not an integer from -20 to 19",
	  "/process/scheduler/nice" },
	{ SCHED("'policy':'SCHED_BATCH','priority':1"),
	  "process.scheduler.priority is 1, but only SCHED_FIFO and SCHED_RR take one",
	  "/process/scheduler/priority" },
	{ SCHED("'policy':'SCHED_RR'"),
	  "process.scheduler.priority is 0, not an integer from 1 to 99 as SCHED_FIFO and SCHED_RR "
	  "need",
	  "/process/scheduler/priority" },
	{ SCHED("'policy':'SCHED_FIFO','priority':100"),
	  "process.scheduler.priority is 100, not an integer from 1 to 99 as SCHED_FIFO and "
	  "SCHED_RR need",
	  "/process/scheduler/priority" },
	{ SCHED("'policy':'SCHED_OTHER','runtime':1"),
	  "process.scheduler has a runtime, deadline or period, which only SCHED_DEADLINE takes",
	  "/process/scheduler" },
	{ SCHED("'policy':'SCHED_DEADLINE','runtime':20,'deadline':10,'period':30"),
	  "process.scheduler has runtime 20, deadline 10 and period 30: SCHED_DEADLINE needs 0 < "
	  "runtime <= deadline <= period",
	  "/process/scheduler" },
};

Test(spec_validate_refusals, process)
{
	expect_all_refused(process, ARRAY_SIZE(process));
}

#define MOUNT(m) TOP("'mounts':[{'destination':'/a'},{'destination':'/b'," m "}]")
#define MAP(c, h, s) "{'containerID':" #c ",'hostID':" #h ",'size':" #s "}"

static const struct refusal mounts[] = {
	{ MOUNT("'options':['bind'],'uidMappings':[" MAP(0, 1, 2) "]"),
	  "mounts[1] (\"/b\") has uidMappings, but no gidMappings: an id-mapped mount needs both",
	  "/mounts/1" },
	{ MOUNT("'options':['bind'],'gidMappings':[" MAP(0, 1, 2) "]"),
	  "mounts[1] (\"/b\") has gidMappings, but no uidMappings: an id-mapped mount needs both",
	  "/mounts/1" },
	{ MOUNT("'uidMappings':[" MAP(0, 1, 2) "],'gidMappings':[" MAP(0, 1, 2) "]"),
	  "mounts[1] (\"/b\") has uidMappings, but is no bind mount: only these can be id-mapped",
	  "/mounts/1" },
	{ MOUNT("'options':['ridmap']"),
	  "mounts[1] (\"/b\") has ridmap, but is no bind mount: only these can be id-mapped",
	  "/mounts/1" },
	{ MOUNT("'options':['rbind','idmap']"),
	  "mounts[1] (\"/b\") has option idmap, but no uidMappings, and the config asks for no "
	  "user namespace whose ids it could take",
	  "/mounts/1/options" },
	{ MOUNT("'options':['bind'],'uidMappings':[" MAP(0, 1, 0) "],'gidMappings':[" MAP(0, 1,
											  1) "]"),
	  "mounts[1].uidMappings[0].size is 0: it maps no id", "/mounts/1/uidMappings/0/size" },
	{ MOUNT("'options':['bind'],'uidMappings':[" MAP(
		  0, 1, 1) "],"
			   "'gidMappings':[" MAP(0, 1, 10) "," MAP(10, 10, 1) "]"),
	  "mounts[1].gidMappings[1] maps an id that mounts[1].gidMappings[0] maps already",
	  "/mounts/1/gidMappings/1" },
};

Test(spec_validate_refusals, mounts)
{
	expect_all_refused(mounts, ARRAY_SIZE(mounts));
}

#define USERNS(m) LINUX("'namespaces':[{'type':'ipc'},{'type':'user'}]," m)
#define GIDS "'gidMappings':[" MAP(0, 0, 1) "]"

static const struct refusal linux_[] = {
	{ LINUX("'uidMappings':[" MAP(0, 0, 1) "]"),
	  "linux.uidMappings is set, but the config asks for no user namespace",
	  "/linux/uidMappings" },
	{ LINUX(GIDS), "linux.gidMappings is set, but the config asks for no user namespace",
	  "/linux/gidMappings" },
	{ USERNS(GIDS),
	  "the config asks for a new user namespace, but linux.uidMappings is empty: nobody in it "
	  "would have an id",
	  "/linux/namespaces/1" },
	{ USERNS("'uidMappings':[" MAP(0, 0, 1) "]"),
	  "the config asks for a new user namespace, but linux.gidMappings is empty: nobody in it "
	  "would have an id",
	  "/linux/namespaces/1" },
	{ USERNS("'uidMappings':[" MAP(0, 0, 0) "]," GIDS),
	  "linux.uidMappings[0].size is 0: it maps no id", "/linux/uidMappings/0/size" },
	{ USERNS("'uidMappings':[" MAP(1, 0, 4294967295) "]," GIDS),
	  "linux.uidMappings[0] maps 4294967295 ids from 1, beyond the last id 4294967294",
	  "/linux/uidMappings/0" },
	{ USERNS("'uidMappings':[" MAP(0, 4294967295, 1) "]," GIDS),
	  "linux.uidMappings[0] maps 1 ids from 4294967295, beyond the last id 4294967294",
	  "/linux/uidMappings/0" },
	{ USERNS("'uidMappings':[" MAP(0, 1000, 10) "," MAP(9, 5000, 1) "]," GIDS),
	  "linux.uidMappings[1] maps an id that linux.uidMappings[0] maps already",
	  "/linux/uidMappings/1" },
	{ USERNS("'uidMappings':[" MAP(0, 1000, 10) "," MAP(20, 1009, 1) "]," GIDS),
	  "linux.uidMappings[1] maps an id that linux.uidMappings[0] maps already",
	  "/linux/uidMappings/1" },
	{ LINUX("'timeOffsets':{'boottime':{'secs':1}}"),
	  "linux.timeOffsets is set, but the config asks for no time namespace",
	  "/linux/timeOffsets" },
	{ LINUX("'namespaces':[{'type':'time','path':'/proc/1/ns/"
		"time'}],'timeOffsets':{'monotonic':{}}"),
	  "linux.timeOffsets is set, but the time namespace is the existing \"/proc/1/ns/time\": "
	  "only a new one takes offsets",
	  "/linux/timeOffsets" },
	{ LINUX("'maskedPaths':['/proc/kcore']"),
	  "linux.maskedPaths is set, but the config asks for no mount namespace",
	  "/linux/maskedPaths" },
	{ LINUX("'readonlyPaths':['/proc/sys']"),
	  "linux.readonlyPaths is set, but the config asks for no mount namespace",
	  "/linux/readonlyPaths" },
	{ LINUX("'netDevices':{'eth0':{}}"),
	  "linux.netDevices is set, but the config asks for no network namespace",
	  "/linux/netDevices" },
	{ LINUX(ALL_NS ",'netDevices':{'eth0':{'name':'abcdefghijklmnop'}}"),
	  "linux.netDevices[\"eth0\"].name is \"abcdefghijklmnop\", which has more than 15 bytes",
	  "/linux/netDevices/eth0/name" },
	{ LINUX(ALL_NS ",'netDevices':{'eth0':{'name':'a b'}}"),
	  "linux.netDevices[\"eth0\"].name is \"a b\", which is no name for a network device",
	  "/linux/netDevices/eth0/name" },
	{ LINUX(ALL_NS ",'netDevices':{'eth0':{'name':'..'}}"),
	  "linux.netDevices[\"eth0\"].name is \"..\", which is no name for a network device",
	  "/linux/netDevices/eth0/name" },
	{ LINUX(ALL_NS ",'netDevices':{'eth0':{'name':'e%d%d'}}"),
	  "linux.netDevices[\"eth0\"].name is \"e%d%d\", which has a % that is not the one %d the "
	  "kernel replaces",
	  "/linux/netDevices/eth0/name" },
	{ LINUX(ALL_NS ",'netDevices':{'a/b':{'name':'eth0'}}"),
	  "linux.netDevices[\"a/b\"] is no name for a network device", "/linux/netDevices" },
	{ LINUX(ALL_NS ",'netDevices':{'eth0':{'name':'lan'},'lan':{}}"),
	  "linux.netDevices gives both \"eth0\" and \"lan\" the name \"lan\"",
	  "/linux/netDevices/lan" },
	{ LINUX("'cgroupsPath':'/a\\nb'"),
	  "linux.cgroupsPath is \"/a\\x0ab\": the name of a cgroup has no newline",
	  "/linux/cgroupsPath" },
	{ LINUX("'intelRdt':{'closID':'a/b'}"),
	  "linux.intelRdt.closID is \"a/b\", not the name of one group or \"/\"",
	  "/linux/intelRdt/closID" },
	{ LINUX("'intelRdt':{'closID':'..'}"),
	  "linux.intelRdt.closID is \"..\", not the name of one group or \"/\"",
	  "/linux/intelRdt/closID" },
	{ LINUX("'intelRdt':{'memBwSchema':'L3:0=f'}"),
	  "linux.intelRdt.memBwSchema is \"L3:0=f\", not one line that begins with \"MB:\"",
	  "/linux/intelRdt/memBwSchema" },
	{ LINUX("'intelRdt':{'memBwSchema':'MB:0=10\\nL3:0=f'}"),
	  "linux.intelRdt.memBwSchema is \"MB:0=10\\x0aL3:0=f\", not one line that begins with "
	  "\"MB:\"",
	  "/linux/intelRdt/memBwSchema" },
	{ LINUX("'intelRdt':{'schemata':['L3:0=f','a\\nb']}"),
	  "linux.intelRdt.schemata[1] is \"a\\x0ab\", not one line", "/linux/intelRdt/schemata/1" },
	{ LINUX("'memoryPolicy':{'mode':'MPOL_LOCAL','nodes':'0'}"),
	  "linux.memoryPolicy.nodes is \"0\", but mode MPOL_LOCAL takes no nodes",
	  "/linux/memoryPolicy/nodes" },
	{ LINUX("'memoryPolicy':{'mode':'MPOL_DEFAULT','nodes':'0'}"),
	  "linux.memoryPolicy.nodes is \"0\", but mode MPOL_DEFAULT takes no nodes",
	  "/linux/memoryPolicy/nodes" },
	{ LINUX("'memoryPolicy':{'mode':'MPOL_INTERLEAVE','nodes':''}"),
	  "linux.memoryPolicy names no nodes, but its mode needs some", "/linux/memoryPolicy" },
	{ LINUX("'memoryPolicy':{'mode':'MPOL_BIND','nodes':'0','flags':['MPOL_F_STATIC_NODES','"
		"MPOL_F_RELATIVE_NODES']}"),
	  "linux.memoryPolicy.flags has both MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES",
	  "/linux/memoryPolicy/flags" },
};

Test(spec_validate_refusals, linux_object)
{
	expect_all_refused(linux_, ARRAY_SIZE(linux_));
}

#define HOST_SYSCTL(key) \
	"sysctl \"" key "\" belongs to no namespace: it would change the host", "/linux/" \
										"sysctl/" key
#define NO_SYSCTL(key) "sysctl \"" key "\" is no name below /proc/sys"
#define NO_NS(key, ns) \
	"sysctl \"" key "\" belongs to the " ns \
	" namespace, and the config asks for none: it would change the host", \
		"/linux/sysctl/" key

static const struct refusal sysctl[] = {
	{ LINUX(ALL_NS ",'sysctl':{'kernel.panic':'1'}"), HOST_SYSCTL("kernel.panic") },
	{ LINUX(ALL_NS ",'sysctl':{'vm.swappiness':'1'}"), HOST_SYSCTL("vm.swappiness") },
	{ LINUX(ALL_NS ",'sysctl':{'kernel.core_pattern':'|/x'}"),
	  HOST_SYSCTL("kernel.core_pattern") },
	{ LINUX(ALL_NS ",'sysctl':{'kernel.shm':'1'}"), HOST_SYSCTL("kernel.shm") },
	{ LINUX(ALL_NS ",'sysctl':{'net':'1'}"), HOST_SYSCTL("net") },
	{ LINUX(ALL_NS ",'sysctl':{'network.x':'1'}"), HOST_SYSCTL("network.x") },
	{ LINUX(ALL_NS ",'sysctl':{'fs.mqueue':'1'}"), HOST_SYSCTL("fs.mqueue") },
	{ LINUX("'sysctl':{'net.ipv4.ip_forward':'1'}"), NO_NS("net.ipv4.ip_forward", "network") },
	{ LINUX("'sysctl':{'kernel.msgmax':'1'}"), NO_NS("kernel.msgmax", "ipc") },
	{ LINUX("'sysctl':{'fs.mqueue.msg_max':'1'}"), NO_NS("fs.mqueue.msg_max", "ipc") },
	{ LINUX(ALL_NS ",'sysctl':{'user.max_user_namespaces':'1'}"),
	  NO_NS("user.max_user_namespaces", "user") },
	{ LINUX("'sysctl':{'kernel.domainname':'x'}"), NO_NS("kernel.domainname", "uts") },
	{ LINUX(ALL_NS ",'sysctl':{'kernel.hostname':'x'}"),
	  "sysctl \"kernel.hostname\" conflicts with the config's own member hostname",
	  "/linux/sysctl/kernel.hostname" },
	{ TOP("'domainname':'a','linux':{" ALL_NS ",'sysctl':{'kernel/domainname':'x'}}"),
	  "sysctl \"kernel/domainname\" conflicts with the config's own member domainname",
	  "/linux/sysctl/kernel~1domainname" },
	/* Keys that begin in a namespace and end somewhere else. */
	{ LINUX(ALL_NS ",'sysctl':{'net/../kernel/core_pattern':'|/x'}"),
	  NO_SYSCTL("net/../kernel/core_pattern"), "/linux/sysctl/net~1..~1kernel~1core_pattern" },
	{ LINUX(ALL_NS ",'sysctl':{'net.//.kernel.core_pattern':'|/x'}"),
	  NO_SYSCTL("net.//.kernel.core_pattern"), "/linux/sysctl/net.~1~1.kernel.core_pattern" },
	{ LINUX(ALL_NS ",'sysctl':{'net./.kernel':'|/x'}"), NO_SYSCTL("net./.kernel"),
	  "/linux/sysctl/net.~1.kernel" },
	{ LINUX(ALL_NS ",'sysctl':{'net..x':'1'}"), NO_SYSCTL("net..x"), "/linux/sysctl/net..x" },
	{ LINUX(ALL_NS ",'sysctl':{'/net/x':'1'}"), NO_SYSCTL("/net/x"), "/linux/sysctl/~1net~1x" },
	{ LINUX(ALL_NS ",'sysctl':{'net.x.':'1'}"), NO_SYSCTL("net.x."), "/linux/sysctl/net.x." },
};

Test(spec_validate_refusals, sysctl_stays_in_the_containers_namespaces)
{
	expect_all_refused(sysctl, ARRAY_SIZE(sysctl));
}

#define NOTIFY(names, more) \
	SECCOMP("'syscalls':[{'names':['close'],'action':'SCMP_ACT_ALLOW'}," \
		"{'names':[" names "],'action':'SCMP_ACT_NOTIFY'}]" more)

static const struct refusal seccomp[] = {
	{ LINUX("'seccomp':{'defaultAction':'SCMP_ACT_NOTIFY','listenerPath':'/s'}"),
	  "linux.seccomp.defaultAction is \"SCMP_ACT_NOTIFY\": every call would wait for the "
	  "listener, also those that reach it",
	  "/linux/seccomp/defaultAction" },
	{ SECCOMP("'listenerMetadata':'x'"),
	  "linux.seccomp.listenerMetadata is set, but there is no listenerPath to send it to",
	  "/linux/seccomp/listenerMetadata" },
	{ NOTIFY("'mkdir'", ""),
	  "linux.seccomp.syscalls[1] has action SCMP_ACT_NOTIFY, but there is no listenerPath",
	  "/linux/seccomp/syscalls/1/action" },
	{ NOTIFY("'mkdir','write'", ",'listenerPath':'/s'"),
	  "linux.seccomp.syscalls[1] has action SCMP_ACT_NOTIFY for write, which the runtime needs "
	  "to hand the listener over",
	  "/linux/seccomp/syscalls/1/names" },
	{ NOTIFY("'sendmsg'", ",'listenerPath':'/s'"),
	  "linux.seccomp.syscalls[1] has action SCMP_ACT_NOTIFY for sendmsg, which the runtime "
	  "needs to hand the listener over",
	  "/linux/seccomp/syscalls/1/names" },
};

Test(spec_validate_refusals, seccomp_listener)
{
	expect_all_refused(seccomp, ARRAY_SIZE(seccomp));
}

static const struct refusal resources[] = {
	{ RES("'cpu':{'quota':1000,'burst':1001}"),
	  "linux.resources.cpu.burst is 1001, above the quota of 1000: a burst is at most one "
	  "quota",
	  "/linux/resources/cpu/burst" },
};

Test(spec_validate_refusals, resources)
{
	expect_all_refused(resources, ARRAY_SIZE(resources));
}

#define VM(m) TOP("'vm':{" m "}")
#define KERNEL "'kernel':{'path':'/k'},"

static const struct refusal vm[] = {
	{ VM("'image':null"), "vm.kernel.path is missing", "/vm/kernel/path" },
	{ VM("'kernel':{'path':'vmlinuz'}"), "vm.kernel.path is \"vmlinuz\", not an absolute path",
	  "/vm/kernel/path" },
	{ VM("'kernel':{'path':'/k','initrd':'i'}"),
	  "vm.kernel.initrd is \"i\", not an absolute path", "/vm/kernel/initrd" },
	{ VM(KERNEL "'hypervisor':{'parameters':['x']}"), "vm.hypervisor.path is missing",
	  "/vm/hypervisor/path" },
	{ VM(KERNEL "'image':{'format':'raw'}"), "vm.image.path is missing", "/vm/image/path" },
	{ VM(KERNEL "'image':{'path':'/i','format':'iso'}"),
	  "vm.image.format is \"iso\", not one of raw, qcow2, vdi, vmdk, vhd", "/vm/image/format" },
	{ VM(KERNEL "'hwConfig':{'vcpus':0}"), "vm.hwConfig.vcpus is 0: a machine needs one",
	  "/vm/hwConfig/vcpus" },
	{ VM(KERNEL "'hwConfig':{'memory':0}"), "vm.hwConfig.memory is 0: a machine needs some",
	  "/vm/hwConfig/memory" },
	{ VM(KERNEL "'hwConfig':{'irqs':[5]}"),
	  "vm.hwConfig asks for dtdevs, iomems or irqs of the host: hardware is not passed through",
	  "/vm/hwConfig" },
	{ VM(KERNEL "'hwConfig':{'deviceTree':'x.dtb'}"),
	  "vm.hwConfig.deviceTree is \"x.dtb\", not an absolute path", "/vm/hwConfig/deviceTree" },
};

Test(spec_validate_refusals, vm_rules_are_asked_of_a_vm_only)
{
	for (size_t i = 0; i < ARRAY_SIZE(vm); i++) {
		const struct spec *spec = good(vm[i].json);

		error = ERROR_INIT;
		expect_refused(&vm[i], spec_validate_vm(spec, &error));
		arena_release(&arena);
	}
	cr_assert_eq(spec_validate_vm(good(VM(KERNEL "'hwConfig':{'vcpus':2,'memory':268435456}")),
				      &error),
		     0);
	cr_assert_eq(spec_validate_vm(good(TOP("'x':1")), &error), 0);
}

Test(spec_validate_refusals, hints_name_the_remedy)
{
	struct spec *spec = NULL;

	take(TOP("'hostname':'web'"), &spec);
	cr_assert_str_eq(error.hint,
			 "add {\"type\": \"uts\"} to linux.namespaces, or remove hostname");
	take(LINUX("'maskedPaths':['/proc/kcore']"), &spec);
	cr_assert_str_eq(
		error.hint,
		"add {\"type\": \"mount\"} to linux.namespaces, or remove linux.maskedPaths");
	take(LINUX(ALL_NS ",'sysctl':{'kernel.hostname':'x'}"), &spec);
	cr_assert_str_eq(error.hint, "remove the sysctl and set hostname");
}

/* exec and update take documents of their own: places are relative to these. */
static const struct refusal processes[] = {
	{ "[]", "the process is an array, not an object", "" },
	{ "{'args':['a'],'user':{'uid':0,'gid':0}}", "cwd is missing", "" },
	{ "{'cwd':'x','args':['a'],'user':{'uid':0,'gid':0}}", "cwd is \"x\", not an absolute path",
	  "/cwd" },
	{ "{'cwd':'/','user':{'uid':0,'gid':0}}", "args is empty: there is no program to run",
	  "/args" },
	{ "{'cwd':'/','args':['a'],'user':{'uid':0,'gid':0},'env':['A']}",
	  "env[0] is \"A\", not NAME=value", "/env/0" },
	{ "{'cwd':'/"
	  "','args':['a'],'user':{'uid':0,'gid':0},'rlimits':[{'type':'RLIMIT_AS','soft':3,'hard':"
	  "2}]}",
	  "rlimits[0] (RLIMIT_AS) has a soft limit of 3, above its hard limit of 2",
	  "/rlimits/0/soft" },
};

Test(spec_validate_refusals, a_bare_process_keeps_the_same_rules)
{
	for (size_t i = 0; i < ARRAY_SIZE(processes); i++) {
		struct spec_process *p;
		size_t n;
		char *text = unquote(processes[i].json, &n);

		error = ERROR_INIT;
		expect_refused(&processes[i],
			       spec_parse_process(text, n, &arena, NULL, &p, &error));
		free(text);
	}
}

static const struct refusal bare_resources[] = {
	{ "1", "the resources document is 1, not an object", "" },
	{ "{'memory':[]}", "memory is an array, not an object", "/memory" },
	{ "{'cpu':{'quota':10,'burst':20}}",
	  "cpu.burst is 20, above the quota of 10: a burst is at most one quota", "/cpu/burst" },
};

Test(spec_validate_refusals, bare_resources_keep_the_same_rules)
{
	for (size_t i = 0; i < ARRAY_SIZE(bare_resources); i++) {
		struct spec_resources *res;
		size_t n;
		char *text = unquote(bare_resources[i].json, &n);

		error = ERROR_INIT;
		expect_refused(&bare_resources[i],
			       spec_parse_resources(text, n, &arena, NULL, &res, &error));
		free(text);
	}
}

Test(spec_validate_refusals, an_overridden_process_can_be_judged_again)
{
	struct spec *spec = good(PROC("'terminal':false"));

	spec->process.cwd = "relative";
	error = ERROR_INIT;
	cr_assert_lt(spec_validate_process(&spec->process, NULL, &error), 0);
	cr_assert_str_eq(error.text, "process.cwd is \"relative\", not an absolute path");
}
