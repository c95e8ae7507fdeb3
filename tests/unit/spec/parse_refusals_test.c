/* SPDX-License-Identifier: Apache-2.0 */
/* Broken configs and the sentence each must get: types, ranges, required members, enumerations. */
#include "tests/unit/spec/spec_fixture.h"

TestSuite(spec_parse_refusals, .fini = release_arena);

static const struct refusal top[] = {
	{ "null", "the config is null, not an object", "" },
	{ "[]", "the config is an array, not an object", "" },
	{ "{'root':{'path':'r'}}", "ociVersion is missing", "" },
	{ "{'ociVersion':null,'root':{'path':'r'}}", "ociVersion is missing", "" },
	{ "{'ociVersion':1}", "ociVersion is 1, not a string", "/ociVersion" },
	{ "{'ociVersion':''}", "ociVersion is empty", "/ociVersion" },
	{ "{'ociVersion':'1.0'}", "ociVersion is \"1.0\", not a semantic version such as \"1.3.0\"",
	  "/ociVersion" },
	{ "{'ociVersion':'1.0.02'}",
	  "ociVersion is \"1.0.02\", not a semantic version such as \"1.3.0\"", "/ociVersion" },
	{ "{'ociVersion':'1.0.2-'}",
	  "ociVersion is \"1.0.2-\", not a semantic version such as \"1.3.0\"", "/ociVersion" },
	{ "{'ociVersion':'1.0.2-rc.01'}",
	  "ociVersion is \"1.0.2-rc.01\", not a semantic version such as \"1.3.0\"",
	  "/ociVersion" },
	{ "{'ociVersion':'1.0.2 '}",
	  "ociVersion is \"1.0.2 \", not a semantic version such as \"1.3.0\"", "/ociVersion" },
	{ "{'ociVersion':'1.0.2','root':'r'}", "root is \"r\", not an object", "/root" },
	{ "{'ociVersion':'1.0.2','root':{'path':''}}", "root.path is empty", "/root/path" },
	{ "{'ociVersion':'1.0.2','root':{'path':'r','readonly':'yes'}}",
	  "root.readonly is \"yes\", not true or false", "/root/readonly" },
	{ TOP("'hostname':7"), "hostname is 7, not a string", "/hostname" },
	{ TOP("'mounts':{}"), "mounts is an object, not an array", "/mounts" },
	{ TOP("'mounts':[null]"), "mounts[0] is null, not an object", "/mounts/0" },
	{ TOP("'mounts':[{'destination':'/a'},{'type':'proc'}]"),
	  "mounts[1].destination is missing", "/mounts/1" },
	{ TOP("'mounts':[{'destination':''}]"), "mounts[0].destination is empty",
	  "/mounts/0/destination" },
	{ TOP("'mounts':[{'destination':'/','options':['ro',1]}]"),
	  "mounts[0].options[1] is 1, not a string", "/mounts/0/options/1" },
	{ TOP("'mounts':[{'destination':'/','uidMappings':[{'containerID':0,'hostID':0}]}]"),
	  "mounts[0].uidMappings[0].size is missing", "/mounts/0/uidMappings/0" },
	{ TOP("'hooks':{'prestart':[{}]}"), "hooks.prestart[0].path is missing",
	  "/hooks/prestart/0" },
	{ TOP("'hooks':{'poststop':[{'path':'bin/x'}]}"),
	  "hooks.poststop[0].path is \"bin/x\", not an absolute path", "/hooks/poststop/0/path" },
	{ TOP("'hooks':{'poststart':[{'path':'/x','timeout':0}]}"),
	  "hooks.poststart[0].timeout is 0, not an integer from 1 to 2147483647",
	  "/hooks/poststart/0/timeout" },
	{ TOP("'hooks':{'createRuntime':[{'path':'/x','timeout':1.5}]}"),
	  "hooks.createRuntime[0].timeout is 1.5, not an integer from 1 to 2147483647",
	  "/hooks/createRuntime/0/timeout" },
	{ TOP("'annotations':{'a.b':1}"), "annotations[\"a.b\"] is 1, not a string",
	  "/annotations/a.b" },
	{ TOP("'annotations':{'a/b~':[]}"), "annotations[\"a/b~\"] is an array, not a string",
	  "/annotations/a~1b~0" },
	{ TOP("'annotations':{'':'v'}"), "annotations has an empty key (value \"v\")",
	  "/annotations" },
	{ TOP("'vm':{'kernel':{'path':3}}"), "vm.kernel.path is 3, not a string",
	  "/vm/kernel/path" },
	{ TOP("'vm':{'hwConfig':{'vcpus':4294967296}}"),
	  "vm.hwConfig.vcpus is 4294967296, not an integer from 0 to 4294967295",
	  "/vm/hwConfig/vcpus" },
	{ TOP("'vm':{'hwConfig':{'irqs':[-1]}}"),
	  "vm.hwConfig.irqs[0] is -1, not an integer from 0 to 4294967295", "/vm/hwConfig/irqs/0" },
	{ TOP("'vm':{'hwConfig':{'iomems':[5]}}"), "vm.hwConfig.iomems[0] is 5, not an object",
	  "/vm/hwConfig/iomems/0" },
};

Test(spec_parse_refusals, the_top_level_is_typed)
{
	expect_all_refused(top, ARRAY_SIZE(top));
}

static const struct refusal process[] = {
	{ TOP("'process':{'user':{'uid':0,'gid':0},'args':['sh']}"), "process.cwd is missing",
	  "/process" },
	{ TOP("'process':{'cwd':'','args':['sh']}"), "process.cwd is empty", "/process/cwd" },
	{ TOP("'process':{'cwd':'/','args':['sh'],'user':'root'}"),
	  "process.user is \"root\", not an object", "/process/user" },
	{ TOP("'process':{'cwd':'/','args':['sh'],'user':{'uid':0}}"),
	  "process.user.gid is missing", "/process/user" },
	{ TOP("'process':{'cwd':'/','args':['sh'],'user':{'uid':'root','gid':0}}"),
	  "process.user.uid is \"root\", not an integer from 0 to 4294967294",
	  "/process/user/uid" },
	{ TOP("'process':{'cwd':'/','args':['sh'],'user':{'uid':4294967295,'gid':0}}"),
	  "process.user.uid is 4294967295, not an integer from 0 to 4294967294",
	  "/process/user/uid" },
	{ TOP("'process':{'cwd':'/','args':['sh'],'user':{'uid':0,'gid':-1}}"),
	  "process.user.gid is -1, not an integer from 0 to 4294967294", "/process/user/gid" },
	{ TOP("'process':{'cwd':'/','args':['sh'],'user':{'uid':0,'gid':0,'umask':512}}"),
	  "process.user.umask is 512, not an integer from 0 to 511", "/process/user/umask" },
	{ TOP("'process':{'cwd':'/"
	      "','args':['sh'],'user':{'uid':0,'gid':0,'additionalGids':[1,'2']}}"),
	  "process.user.additionalGids[1] is \"2\", not an integer from 0 to 4294967294",
	  "/process/user/additionalGids/1" },
	{ PROC("'terminal':1"), "process.terminal is 1, not true or false", "/process/terminal" },
	{ PROC("'consoleSize':{'height':24}"), "process.consoleSize.width is missing",
	  "/process/consoleSize" },
	{ PROC("'consoleSize':{'width':24}"), "process.consoleSize.height is missing",
	  "/process/consoleSize" },
	{ PROC("'consoleSize':{'height':65536,'width':1}"),
	  "process.consoleSize.height is 65536, not an integer from 0 to 65535",
	  "/process/consoleSize/height" },
	{ PROC("'env':'A=b'"), "process.env is \"A=b\", not an array", "/process/env" },
	{ PROC("'rlimits':[{'type':'RLIMIT_NOFILE','soft':1}]"),
	  "process.rlimits[0].hard is missing", "/process/rlimits/0" },
	{ PROC("'rlimits':[{'type':'RLIMIT_NOFILE','soft':-1,'hard':1}]"),
	  "process.rlimits[0].soft is -1, not an integer from 0 to 18446744073709551615",
	  "/process/rlimits/0/soft" },
	{ PROC("'rlimits':[{'type':'RLIMIT_NOFILE','soft':1,'hard':18446744073709551616}]"),
	  "process.rlimits[0].hard is 18446744073709551616, not an integer from 0 to "
	  "18446744073709551615",
	  "/process/rlimits/0/hard" },
	{ PROC("'rlimits':[{'type':'NOFILE','soft':1,'hard':1}]"),
	  "process.rlimits[0].type is \"NOFILE\", not one of RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, "
	  "RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_LOCKS, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, "
	  "RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS, RLIMIT_RTPRIO, RLIMIT_RTTIME, "
	  "RLIMIT_SIGPENDING, RLIMIT_STACK",
	  "/process/rlimits/0/type" },
	{ PROC("'capabilities':{'bounding':'CAP_KILL'}"),
	  "process.capabilities.bounding is \"CAP_KILL\", not an array",
	  "/process/capabilities/bounding" },
	{ PROC("'capabilities':{'ambient':[7]}"),
	  "process.capabilities.ambient[0] is 7, not a string", "/process/capabilities/ambient/0" },
	{ PROC("'oomScoreAdj':1001"),
	  "process.oomScoreAdj is 1001, not an integer from -1000 to 1000",
	  "/process/oomScoreAdj" },
	{ PROC("'scheduler':{}"), "process.scheduler.policy is missing", "/process/scheduler" },
	{ PROC("'scheduler':{'policy':'FIFO'}"),
	  "process.scheduler.policy is \"FIFO\", not one of SCHED_OTHER, SCHED_FIFO, SCHED_RR, "
	  "SCHED_BATCH, SCHED_ISO, SCHED_IDLE, SCHED_DEADLINE",
	  "/process/scheduler/policy" },
	{ PROC("'scheduler':{'policy':'SCHED_OTHER','nice':2147483648}"),
	  "process.scheduler.nice is 2147483648, not an integer from -2147483648 to 2147483647",
	  "/process/scheduler/nice" },
	{ PROC("'scheduler':{'policy':'SCHED_OTHER','flags':['RECLAIM']}"),
	  "process.scheduler.flags[0] is \"RECLAIM\", not one of SCHED_FLAG_RESET_ON_FORK, "
	  "SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN, SCHED_FLAG_KEEP_POLICY, "
	  "SCHED_FLAG_KEEP_PARAMS, "
	  "SCHED_FLAG_UTIL_CLAMP_MIN, SCHED_FLAG_UTIL_CLAMP_MAX",
	  "/process/scheduler/flags/0" },
	{ PROC("'ioPriority':{'priority':1}"), "process.ioPriority.class is missing",
	  "/process/ioPriority" },
	{ PROC("'ioPriority':{'class':'RT'}"),
	  "process.ioPriority.class is \"RT\", not one of IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, "
	  "IOPRIO_CLASS_IDLE",
	  "/process/ioPriority/class" },
	{ PROC("'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':8}"),
	  "process.ioPriority.priority is 8, not an integer from 0 to 7",
	  "/process/ioPriority/priority" },
	{ PROC("'execCPUAffinity':{'initial':'3-1'}"),
	  "process.execCPUAffinity.initial is \"3-1\", not a list of numbers below 8192 such as "
	  "\"0-3,7\"",
	  "/process/execCPUAffinity/initial" },
	{ PROC("'execCPUAffinity':{'final':'8192'}"),
	  "process.execCPUAffinity.final is \"8192\", not a list of numbers below 8192 such as "
	  "\"0-3,7\"",
	  "/process/execCPUAffinity/final" },
};

Test(spec_parse_refusals, the_process_is_typed)
{
	expect_all_refused(process, ARRAY_SIZE(process));
}

static const struct refusal linux_[] = {
	{ LINUX("'namespaces':[{'path':'/x'}]"), "linux.namespaces[0].type is missing",
	  "/linux/namespaces/0" },
	{ LINUX("'namespaces':[{'type':'pid'},{'type':'net'}]"),
	  "linux.namespaces[1].type is \"net\", not one of user, mount, pid, network, ipc, uts, "
	  "cgroup, time",
	  "/linux/namespaces/1/type" },
	{ LINUX("'namespaces':[{'type':'pid'},{'type':'ipc'},{'type':'pid'}]"),
	  "linux.namespaces[2] asks for a second pid namespace, the first is linux.namespaces[0]",
	  "/linux/namespaces/2" },
	{ LINUX("'namespaces':[{'type':'pid','path':'proc/1/ns/pid'}]"),
	  "linux.namespaces[0].path is \"proc/1/ns/pid\", not an absolute path",
	  "/linux/namespaces/0/path" },
	{ LINUX("'gidMappings':[{'containerID':0,'hostID':0,'size':4294967296}]"),
	  "linux.gidMappings[0].size is 4294967296, not an integer from 0 to 4294967295",
	  "/linux/gidMappings/0/size" },
	{ LINUX("'timeOffsets':{'realtime':{'secs':1}}"),
	  "linux.timeOffsets.realtime is no clock with an offset: those are monotonic and boottime",
	  "/linux/timeOffsets/realtime" },
	{ LINUX("'timeOffsets':{'monotonic':{'nanosecs':1000000000}}"),
	  "linux.timeOffsets.monotonic.nanosecs is 1000000000, not an integer from 0 to 999999999",
	  "/linux/timeOffsets/monotonic/nanosecs" },
	{ LINUX("'devices':[{'type':'x','path':'/dev/a'}]"),
	  "linux.devices[0].type is \"x\", not one of c, b, u, p", "/linux/devices/0/type" },
	{ LINUX("'devices':[{'type':'c','path':'/dev/a','major':1}]"),
	  "linux.devices[0].minor is missing", "/linux/devices/0" },
	{ LINUX("'devices':[{'type':'c','path':'a','major':1,'minor':3}]"),
	  "linux.devices[0].path is \"a\", not an absolute path", "/linux/devices/0/path" },
	{ LINUX("'devices':[{'type':'b','path':'/dev/a','major':4096,'minor':0}]"),
	  "linux.devices[0].major is 4096, not an integer from 0 to 4095",
	  "/linux/devices/0/major" },
	{ LINUX("'devices':[{'type':'b','path':'/dev/a','major':8,'minor':1048576}]"),
	  "linux.devices[0].minor is 1048576, not an integer from 0 to 1048575",
	  "/linux/devices/0/minor" },
	{ LINUX("'netDevices':{'eth0':'x'}"), "linux.netDevices.eth0 is \"x\", not an object",
	  "/linux/netDevices/eth0" },
	{ LINUX("'cgroupsPath':[]"), "linux.cgroupsPath is an array, not a string",
	  "/linux/cgroupsPath" },
	{ LINUX("'sysctl':{'net.ipv4.ip_forward':1}"),
	  "linux.sysctl[\"net.ipv4.ip_forward\"] is 1, not a string",
	  "/linux/sysctl/net.ipv4.ip_forward" },
	{ LINUX("'rootfsPropagation':'global'"),
	  "linux.rootfsPropagation is \"global\", not one of private, shared, slave, unbindable, "
	  "rprivate, rshared, rslave, runbindable",
	  "/linux/rootfsPropagation" },
	{ LINUX("'maskedPaths':['/a','proc/kcore']"),
	  "linux.maskedPaths[1] is \"proc/kcore\", not an absolute path", "/linux/maskedPaths/1" },
	{ LINUX("'readonlyPaths':['']"), "linux.readonlyPaths[0] is \"\", not an absolute path",
	  "/linux/readonlyPaths/0" },
	{ LINUX("'personality':{'flags':[]}"), "linux.personality.domain is missing",
	  "/linux/personality" },
	{ LINUX("'personality':{'domain':'BSD'}"),
	  "linux.personality.domain is \"BSD\", not one of LINUX, LINUX32",
	  "/linux/personality/domain" },
	{ LINUX("'memoryPolicy':{'nodes':'0'}"), "linux.memoryPolicy.mode is missing",
	  "/linux/memoryPolicy" },
	{ LINUX("'memoryPolicy':{'mode':'BIND'}"),
	  "linux.memoryPolicy.mode is \"BIND\", not one of MPOL_BIND, MPOL_DEFAULT, "
	  "MPOL_INTERLEAVE, "
	  "MPOL_LOCAL, MPOL_PREFERRED, MPOL_PREFERRED_MANY, MPOL_WEIGHTED_INTERLEAVE",
	  "/linux/memoryPolicy/mode" },
	{ LINUX("'memoryPolicy':{'mode':'MPOL_BIND','nodes':'a'}"),
	  "linux.memoryPolicy.nodes is \"a\", not a list of numbers below 8192 such as \"0-3,7\"",
	  "/linux/memoryPolicy/nodes" },
	{ LINUX("'memoryPolicy':{'mode':'MPOL_BIND','nodes':'0','flags':['X']}"),
	  "linux.memoryPolicy.flags[0] is \"X\", not one of MPOL_F_NUMA_BALANCING, "
	  "MPOL_F_RELATIVE_NODES, MPOL_F_STATIC_NODES",
	  "/linux/memoryPolicy/flags/0" },
	{ LINUX("'intelRdt':{'enableMonitoring':'on'}"),
	  "linux.intelRdt.enableMonitoring is \"on\", not true or false",
	  "/linux/intelRdt/enableMonitoring" },
};

Test(spec_parse_refusals, the_linux_object_is_typed)
{
	expect_all_refused(linux_, ARRAY_SIZE(linux_));
}

static const struct refusal resources[] = {
	{ RES("'devices':[{'access':'rwm'}]"), "linux.resources.devices[0].allow is missing",
	  "/linux/resources/devices/0" },
	{ RES("'devices':[{'allow':true,'type':'p','access':'r'}]"),
	  "linux.resources.devices[0].type is \"p\", not one of a, c, b",
	  "/linux/resources/devices/0/type" },
	{ RES("'devices':[{'allow':true,'type':'c'}]"),
	  "linux.resources.devices[0].access is missing", "/linux/resources/devices/0" },
	{ RES("'devices':[{'allow':true,'access':''}]"),
	  "linux.resources.devices[0].access is empty", "/linux/resources/devices/0/access" },
	{ RES("'devices':[{'allow':true,'access':'rx'}]"),
	  "linux.resources.devices[0].access is \"rx\", not a choice of the letters r, w and m",
	  "/linux/resources/devices/0/access" },
	{ RES("'devices':[{'allow':true,'access':'r','major':-2}]"),
	  "linux.resources.devices[0].major is -2, not an integer from -1 to 4294967295",
	  "/linux/resources/devices/0/major" },
	{ RES("'memory':{'limit':'1g'}"),
	  "linux.resources.memory.limit is \"1g\", not an integer from -1 to 9223372036854775807",
	  "/linux/resources/memory/limit" },
	{ RES("'memory':{'swap':-2}"),
	  "linux.resources.memory.swap is -2, not an integer from -1 to 9223372036854775807",
	  "/linux/resources/memory/swap" },
	{ RES("'memory':{'limit':1e9}"),
	  "linux.resources.memory.limit is 1e9, not an integer from -1 to 9223372036854775807",
	  "/linux/resources/memory/limit" },
	{ RES("'memory':{'swappiness':101}"),
	  "linux.resources.memory.swappiness is 101, not an integer from 0 to 100",
	  "/linux/resources/memory/swappiness" },
	{ RES("'cpu':{'shares':-1}"),
	  "linux.resources.cpu.shares is -1, not an integer from 0 to 18446744073709551615",
	  "/linux/resources/cpu/shares" },
	{ RES("'cpu':{'idle':2}"), "linux.resources.cpu.idle is 2, not an integer from 0 to 1",
	  "/linux/resources/cpu/idle" },
	{ RES("'cpu':{'cpus':'0-'}"),
	  "linux.resources.cpu.cpus is \"0-\", not a list of numbers below 8192 such as \"0-3,7\"",
	  "/linux/resources/cpu/cpus" },
	{ RES("'pids':{'limit':9223372036854775808}"),
	  "linux.resources.pids.limit is 9223372036854775808, not an integer from -1 to "
	  "9223372036854775807",
	  "/linux/resources/pids/limit" },
	{ RES("'blockIO':{'weight':9}"),
	  "linux.resources.blockIO.weight is 9, not an integer from 10 to 1000, or 0 for none",
	  "/linux/resources/blockIO/weight" },
	{ RES("'blockIO':{'weight':1001}"),
	  "linux.resources.blockIO.weight is 1001, not an integer from 0 to 1000",
	  "/linux/resources/blockIO/weight" },
	{ RES("'blockIO':{'weightDevice':[{'major':8,'minor':0}]}"),
	  "linux.resources.blockIO.weightDevice[0] has neither weight nor leafWeight",
	  "/linux/resources/blockIO/weightDevice/0" },
	{ RES("'blockIO':{'weightDevice':[{'major':8,'weight':10}]}"),
	  "linux.resources.blockIO.weightDevice[0].minor is missing",
	  "/linux/resources/blockIO/weightDevice/0" },
	{ RES("'blockIO':{'throttleReadIOPSDevice':[{'major':8,'minor':0}]}"),
	  "linux.resources.blockIO.throttleReadIOPSDevice[0].rate is missing",
	  "/linux/resources/blockIO/throttleReadIOPSDevice/0" },
	{ RES("'blockIO':{'throttleWriteBpsDevice':[{'major':8,'minor':0,'rate':-1}]}"),
	  "linux.resources.blockIO.throttleWriteBpsDevice[0].rate is -1, not an integer from 0 to "
	  "18446744073709551615",
	  "/linux/resources/blockIO/throttleWriteBpsDevice/0/rate" },
	{ RES("'hugepageLimits':[{'limit':1}]"),
	  "linux.resources.hugepageLimits[0].pageSize is missing",
	  "/linux/resources/hugepageLimits/0" },
	{ RES("'hugepageLimits':[{'pageSize':'02MB','limit':1}]"),
	  "linux.resources.hugepageLimits[0].pageSize is \"02MB\", not a size such as \"64KB\", "
	  "\"2MB\" or \"1GB\"",
	  "/linux/resources/hugepageLimits/0/pageSize" },
	{ RES("'hugepageLimits':[{'pageSize':'2MB'}]"),
	  "linux.resources.hugepageLimits[0].limit is missing",
	  "/linux/resources/hugepageLimits/0" },
	{ RES("'rdma':{'mlx5_1':{}}"),
	  "linux.resources.rdma.mlx5_1 has neither hcaHandles nor hcaObjects",
	  "/linux/resources/rdma/mlx5_1" },
	{ RES("'network':{'classID':4294967296}"),
	  "linux.resources.network.classID is 4294967296, not an integer from 0 to 4294967295",
	  "/linux/resources/network/classID" },
	{ RES("'network':{'priorities':[{'name':'eth0'}]}"),
	  "linux.resources.network.priorities[0].priority is missing",
	  "/linux/resources/network/priorities/0" },
	{ RES("'unified':{'../x/memory.max':'1'}"),
	  "linux.resources.unified[\"../x/memory.max\"] names no file of the container's cgroup: a "
	  "key is one file name",
	  "/linux/resources/unified/..~1x~1memory.max" },
	{ RES("'unified':{'..':'1'}"),
	  "linux.resources.unified[\"..\"] names no file of the container's cgroup: a key is one "
	  "file name",
	  "/linux/resources/unified/.." },
	{ RES("'unified':{'memory.max':1}"),
	  "linux.resources.unified[\"memory.max\"] is 1, not a string",
	  "/linux/resources/unified/memory.max" },
};

Test(spec_parse_refusals, resources_are_typed)
{
	expect_all_refused(resources, ARRAY_SIZE(resources));
}

#define ACTIONS \
	"SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_KILL, SCMP_ACT_KILL_PROCESS, " \
	"SCMP_ACT_KILL_THREAD, " \
	"SCMP_ACT_LOG, SCMP_ACT_NOTIFY, SCMP_ACT_TRACE, SCMP_ACT_TRAP"
#define RULE(m) SECCOMP("'syscalls':[{'names':['read']," m "}]")

static const struct refusal seccomp[] = {
	{ LINUX("'seccomp':{}"), "linux.seccomp.defaultAction is missing", "/linux/seccomp" },
	{ LINUX("'seccomp':{'defaultAction':'ALLOW'}"),
	  "linux.seccomp.defaultAction is \"ALLOW\", not one of " ACTIONS,
	  "/linux/seccomp/defaultAction" },
	{ LINUX("'seccomp':{'defaultAction':'SCMP_ACT_KILL','defaultErrnoRet':1}"),
	  "linux.seccomp.defaultErrnoRet is set, but SCMP_ACT_KILL returns no errno: only "
	  "SCMP_ACT_ERRNO and SCMP_ACT_TRACE do",
	  "/linux/seccomp/defaultErrnoRet" },
	{ LINUX("'seccomp':{'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':65536}"),
	  "linux.seccomp.defaultErrnoRet is 65536, not an integer from 0 to 4095",
	  "/linux/seccomp/defaultErrnoRet" },
	{ SECCOMP("'architectures':['SCMP_ARCH_X86','AMD64']"),
	  "linux.seccomp.architectures[1] is \"AMD64\", not one of SCMP_ARCH_X86_64, "
	  "SCMP_ARCH_X86, "
	  "SCMP_ARCH_X32, SCMP_ARCH_AARCH64, SCMP_ARCH_ARM, SCMP_ARCH_LOONGARCH64, SCMP_ARCH_M68K, "
	  "SCMP_ARCH_MIPS, SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS64N32, SCMP_ARCH_MIPSEL, "
	  "SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL64N32, SCMP_ARCH_PARISC, SCMP_ARCH_PARISC64, "
	  "SCMP_ARCH_PPC, SCMP_ARCH_PPC64, SCMP_ARCH_PPC64LE, SCMP_ARCH_RISCV64, SCMP_ARCH_S390, "
	  "SCMP_ARCH_S390X, SCMP_ARCH_SH, SCMP_ARCH_SHEB",
	  "/linux/seccomp/architectures/1" },
	{ SECCOMP("'flags':['TSYNC']"),
	  "linux.seccomp.flags[0] is \"TSYNC\", not one of SECCOMP_FILTER_FLAG_LOG, "
	  "SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_TSYNC, "
	  "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
	  "/linux/seccomp/flags/0" },
	{ SECCOMP("'listenerPath':'run/x.sock'"),
	  "linux.seccomp.listenerPath is \"run/x.sock\", not an absolute path",
	  "/linux/seccomp/listenerPath" },
	{ SECCOMP("'syscalls':[{'action':'SCMP_ACT_ALLOW'}]"),
	  "linux.seccomp.syscalls[0].names is missing", "/linux/seccomp/syscalls/0" },
	{ SECCOMP("'syscalls':[{'names':[],'action':'SCMP_ACT_ALLOW'}]"),
	  "linux.seccomp.syscalls[0].names is empty: a rule names at least one system call",
	  "/linux/seccomp/syscalls/0/names" },
	{ SECCOMP("'syscalls':[{'names':['read',''],'action':'SCMP_ACT_ALLOW'}]"),
	  "linux.seccomp.syscalls[0].names has an empty name at index 1",
	  "/linux/seccomp/syscalls/0/names" },
	{ RULE("'comment':'x'"), "linux.seccomp.syscalls[0].action is missing",
	  "/linux/seccomp/syscalls/0" },
	{ RULE("'action':'SCMP_ACT_DENY'"),
	  "linux.seccomp.syscalls[0].action is \"SCMP_ACT_DENY\", not one of " ACTIONS,
	  "/linux/seccomp/syscalls/0/action" },
	{ RULE("'action':'SCMP_ACT_ALLOW','errnoRet':1"),
	  "linux.seccomp.syscalls[0].errnoRet is set, but SCMP_ACT_ALLOW returns no errno: only "
	  "SCMP_ACT_ERRNO and SCMP_ACT_TRACE do",
	  "/linux/seccomp/syscalls/0/errnoRet" },
	{ RULE("'action':'SCMP_ACT_TRACE','errnoRet':65536"),
	  "linux.seccomp.syscalls[0].errnoRet is 65536, not an integer from 0 to 65535",
	  "/linux/seccomp/syscalls/0/errnoRet" },
	{ RULE("'action':'SCMP_ACT_ALLOW','args':[{'index':6,'value':0,'op':'SCMP_CMP_EQ'}]"),
	  "linux.seccomp.syscalls[0].args[0].index is 6, not an integer from 0 to 5",
	  "/linux/seccomp/syscalls/0/args/0/index" },
	{ RULE("'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':0}]"),
	  "linux.seccomp.syscalls[0].args[0].op is missing", "/linux/seccomp/syscalls/0/args/0" },
	{ RULE("'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':0,'op':'EQ'}]"),
	  "linux.seccomp.syscalls[0].args[0].op is \"EQ\", not one of SCMP_CMP_EQ, SCMP_CMP_GE, "
	  "SCMP_CMP_GT, SCMP_CMP_LE, SCMP_CMP_LT, SCMP_CMP_MASKED_EQ, SCMP_CMP_NE",
	  "/linux/seccomp/syscalls/0/args/0/op" },
	{ RULE("'action':'SCMP_ACT_ALLOW','args':[{'index':0,'value':-1,'op':'SCMP_CMP_EQ'}]"),
	  "linux.seccomp.syscalls[0].args[0].value is -1, not an integer from 0 to "
	  "18446744073709551615",
	  "/linux/seccomp/syscalls/0/args/0/value" },
};

Test(spec_parse_refusals, seccomp_is_typed)
{
	expect_all_refused(seccomp, ARRAY_SIZE(seccomp));
}

Test(spec_parse_refusals, syntax_errors_carry_line_and_column)
{
	struct spec *spec = NULL;

	cr_assert_lt(take("{'ociVersion':'1.0.2',\n  oops}", &spec), 0);
	cr_assert(strncmp(error.text, "config.json:2:3: ", 17) == 0, "%s", error.text);
	cr_assert_lt(take("{'ociVersion':'1.0.2','ociVersion':'1.0.2'}", &spec), 0);
	cr_assert(strstr(error.text, "member \"ociVersion\" is there twice"), "%s", error.text);
	cr_assert_lt(take("{'ociVersion':'1.0.2\\u0000'}", &spec), 0);
	cr_assert(strstr(error.text, "NUL"), "%s", error.text);
}

Test(spec_parse_refusals, a_long_or_wild_value_stays_one_short_line)
{
	char json[4096], line[2048];
	struct spec *spec = NULL;

	memset(json, 0, sizeof(json));
	snprintf(json, sizeof(json), "{'ociVersion':'\\n\\u001b[2J%01000d'}", 0);
	cr_assert_lt(take(json, &spec), 0);
	error_line(&error, line, sizeof(line));
	cr_assert_lt(strlen(line), 250, "%s", line);
	cr_assert_null(strpbrk(line, "\n\033"), "%s", line);
	cr_assert_not_null(strstr(line, "\\x0a\\x1b[2J0000"), "%s", line);
	cr_assert_not_null(strstr(line, "…\""), "%s", line);
}

Test(spec_parse_refusals, a_value_is_never_cut_inside_a_character)
{
	char json[4096] = "{'ociVersion':'a";
	struct spec *spec = NULL;

	for (int i = 0; i < 60; i++)
		strcat(json, "ü");
	strcat(json, "'}");
	cr_assert_lt(take(json, &spec), 0);
	cr_assert_not_null(strstr(error.text, "ü…\""), "%s", error.text);
	cr_assert_null(strstr(error.text, "\xc3…"));
}
