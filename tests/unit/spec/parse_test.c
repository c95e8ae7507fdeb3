/* SPDX-License-Identifier: Apache-2.0 */
/* What a good config becomes, member by member. */
#include "tests/unit/spec/spec_fixture.h"

#include <sys/resource.h>
#include <sys/stat.h>

TestSuite(spec_parse, .fini = release_arena);

Test(spec_parse, a_minimal_config_has_everything_else_absent)
{
	const struct spec *s = good("{'ociVersion':'1.0.0','root':{'path':'rootfs'}}");

	cr_assert_str_eq(s->oci_version, "1.0.0");
	cr_assert_str_eq(s->root.path, "rootfs");
	cr_assert_not(s->root.readonly);
	cr_assert_not(s->has_process);
	cr_assert_not_null(s->process.args.v);
	cr_assert_null(s->process.args.v[0]);
	cr_assert_not_null(s->linux_.masked_paths.v);
	cr_assert_null(s->hostname);
	cr_assert_null(s->vm);
	cr_assert_null(s->linux_.resources);
	cr_assert_eq(s->n_mounts + s->n_annotations + s->linux_.n_devices, 0);
}

Test(spec_parse, versions_of_one_major_are_read)
{
	static const char *const versions[] = {
		"1.0.0",  "1.0.2-dev",		"1.3.0", "1.3.0+dev", "1.2.0-rc.1",
		"1.99.7", "1.0.0-0a.x-y+001.a",
	};

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		char json[200];

		snprintf(json, sizeof(json), "{'ociVersion':'%s','root':{'path':'r'},'later':[1]}",
			 versions[i]);
		cr_assert_str_eq(good(json)->oci_version, versions[i]);
	}
}

Test(spec_parse, the_document_is_kept)
{
	const struct spec *s = good("{'ociVersion':'1.0.0','root':{'path':'r'},"
				    "'linux':{'seccomp' : {'defaultAction':'SCMP_ACT_ALLOW'} }}");

	cr_assert_eq(s->raw_len, strlen(s->raw));
	cr_assert_eq(s->raw[0], '{');
	cr_assert_eq(s->linux_.seccomp->raw_len, strlen("{'defaultAction':'SCMP_ACT_ALLOW'}"));
	cr_assert(strncmp(s->linux_.seccomp->raw, "{\"defaultAction\":\"SCMP_ACT_ALLOW\"} ", 35) ==
		  0);
}

Test(spec_parse, the_process)
{
	const struct spec_process *p =
		&good(TOP("'process':{'terminal':true,'consoleSize':{'height':24,'width':80},'cwd':"
			  "'/tmp',"
			  "'env':['A=1','B=','C=x=y'],'args':['sh','-c',''],"
			  "'user':{'uid':1,'gid':4294967294,'umask':18,'additionalGids':[0,7]},"
			  "'rlimits':[{'type':'RLIMIT_NOFILE','soft':1024,'hard':"
			  "18446744073709551615}],"
			  "'apparmorProfile':'p','selinuxLabel':'','noNewPrivileges':true,'"
			  "oomScoreAdj':-999,"
			  "'capabilities':{'bounding':['CAP_CHOWN','CAP_CHECKPOINT_RESTORE','CAP_"
			  "NEW'],"
			  "'ambient':['CAP_NEW','cap_kill','CAP_KILL']},"
			  "'scheduler':{'policy':'SCHED_DEADLINE','flags':['SCHED_FLAG_RECLAIM','"
			  "SCHED_FLAG_RESET_ON_FORK'],"
			  "'runtime':10,'deadline':20,'period':18446744073709551615},"
			  "'ioPriority':{'class':'IOPRIO_CLASS_IDLE','priority':7},"
			  "'execCPUAffinity':{'initial':'0-3, 7','final':''}}"))
			 ->process;

	cr_assert(p->terminal && p->has_console_size && p->no_new_privileges &&
		  p->has_oom_score_adj);
	cr_assert_eq(p->console_height, 24);
	cr_assert_eq(p->console_width, 80);
	cr_assert_str_eq(p->cwd, "/tmp");
	cr_assert_eq(p->env.n, 3);
	cr_assert_str_eq(p->env.v[2], "C=x=y");
	cr_assert_null(p->env.v[3]);
	cr_assert_eq(p->args.n, 3);
	cr_assert_str_eq(p->args.v[2], "");
	cr_assert_null(p->args.v[3]);
	cr_assert_eq(p->user.uid, 1);
	cr_assert_eq(p->user.gid, 4294967294u);
	cr_assert(p->user.has_umask && p->user.umask == 022);
	cr_assert(p->user.n_additional_gids == 2 && p->user.additional_gids[1] == 7);
	cr_assert(p->n_rlimits == 1 && p->rlimits[0].resource == RLIMIT_NOFILE);
	cr_assert(p->rlimits[0].soft == 1024 && p->rlimits[0].hard == UINT64_MAX);
	cr_assert_str_eq(p->apparmor_profile, "p");
	cr_assert_null(p->selinux_label);
	cr_assert_eq(p->oom_score_adj, -999);
	cr_assert_eq(p->capabilities->set[SPEC_CAP_BOUNDING], 1u | UINT64_C(1) << 40);
	cr_assert_eq(p->capabilities->set[SPEC_CAP_AMBIENT], 1u << 5);
	cr_assert_eq(p->capabilities->set[SPEC_CAP_EFFECTIVE], 0);
	cr_assert_eq(p->capabilities->unknown.n, 2);
	cr_assert_str_eq(p->capabilities->unknown.v[0], "CAP_NEW");
	cr_assert_str_eq(p->capabilities->unknown.v[1], "cap_kill");
	cr_assert_eq(p->scheduler->policy, 6);
	cr_assert_eq(p->scheduler->flags, 3);
	cr_assert_eq(p->scheduler->period, UINT64_MAX);
	cr_assert_eq(p->io_priority->ioprio_class, 3);
	cr_assert_eq(p->io_priority->priority, 7);
	cr_assert_str_eq(p->exec_affinity->initial, "0-3, 7");
	cr_assert_null(p->exec_affinity->final);
}

Test(spec_parse, no_user_is_root_without_groups)
{
	const struct spec_user *u = &good(TOP("'process':{'cwd':'/','args':['sh']}"))->process.user;

	cr_assert(u->uid == 0 && u->gid == 0 && u->n_additional_gids == 0 && !u->has_umask);
}

Test(spec_parse, empty_capabilities_differ_from_none)
{
	cr_assert_null(good(PROC("'terminal':false"))->process.capabilities);
	cr_assert_not_null(good(PROC("'capabilities':{}"))->process.capabilities);
}

Test(spec_parse, mounts_hooks_and_annotations)
{
	const struct spec *s =
		good(TOP("'mounts':[{'destination':'data','source':'src','options':['rbind','ro'],"
			 "'uidMappings':[{'containerID':0,'hostID':100000,'size':65536}],"
			 "'gidMappings':[{'containerID':0,'hostID':100000,'size':65536}]},"
			 "{'destination':'/proc','type':'proc','source':''}],"
			 "'hooks':{'prestart':[{'path':'/"
			 "a','args':['x','y'],'env':['E=1'],'timeout':5},{'path':'/b'}],"
			 "'poststop':[{'path':'/c'}],'future':[1]},"
			 "'annotations':{'a':'','b.c/d':'v'}"));

	cr_assert_eq(s->n_mounts, 2);
	cr_assert_str_eq(s->mounts[0].destination, "data");
	cr_assert_str_eq(s->mounts[0].source, "src");
	cr_assert_null(s->mounts[0].type);
	cr_assert_str_eq(s->mounts[0].options.v[1], "ro");
	cr_assert_eq(s->mounts[0].uid_maps.v[0].host_id, 100000);
	cr_assert_eq(s->mounts[0].gid_maps.v[0].size, 65536);
	cr_assert_null(s->mounts[1].source);
	cr_assert_eq(s->mounts[1].options.n, 0);

	cr_assert_eq(s->hooks.n[SPEC_HOOK_PRESTART], 2);
	cr_assert_eq(s->hooks.v[SPEC_HOOK_PRESTART][0].timeout, 5);
	cr_assert_eq(s->hooks.v[SPEC_HOOK_PRESTART][0].args.n, 2);
	cr_assert_eq(s->hooks.v[SPEC_HOOK_PRESTART][1].timeout, 0);
	cr_assert_null(s->hooks.v[SPEC_HOOK_PRESTART][1].env.v[0]);
	cr_assert_str_eq(s->hooks.v[SPEC_HOOK_POSTSTOP][0].path, "/c");

	cr_assert_str_eq(spec_annotation(s, "a"), "");
	cr_assert_str_eq(spec_annotation(s, "b.c/d"), "v");
	cr_assert_null(spec_annotation(s, "b"));
}

Test(spec_parse, the_linux_object)
{
	const struct spec_linux *l =
		&good(LINUX("'namespaces':[{'type':'time'},{'type':'user'},{'type':'pid','path':'/"
			    "proc/1/ns/pid'},"
			    "{'type':'mount','path':''},{'type':'network'}],"
			    "'uidMappings':[{'containerID':0,'hostID':0,'size':4294967295}],"
			    "'gidMappings':[{'containerID':0,'hostID':4294967294,'size':1}],"
			    "'timeOffsets':{'monotonic':{'secs':-5,'nanosecs':999999999},'boottime'"
			    ":null},"
			    "'devices':[{'type':'u','path':'/dev/"
			    "u','major':4095,'minor':1048575,'fileMode':8630,'gid':5},"
			    "{'type':'p','path':'/dev/p'}],"
			    "'netDevices':{'eth0':{'name':'lan%d'},'eth1':{},'eth2':null},"
			    "'cgroupsPath':'','rootfsPropagation':'rslave','maskedPaths':['/"
			    "a'],'readonlyPaths':[],"
			    "'sysctl':{'net.ipv4.ip_forward':'1','net/core/"
			    "somaxconn':'','user.max_net_namespaces':'1'},"
			    "'mountLabel':'l','personality':{'domain':'LINUX32','flags':[]},"
			    "'memoryPolicy':{'mode':'MPOL_WEIGHTED_INTERLEAVE','nodes':'0-1','"
			    "flags':['MPOL_F_STATIC_NODES']},"
			    "'intelRdt':{'closID':'/"
			    "','l3CacheSchema':'L3:0=f','memBwSchema':'MB:0=10',"
			    "'schemata':['L2:0=1'],'enableMonitoring':true}"))
			 ->linux_;

	cr_assert(l->ns[SPEC_NS_TIME].listed && l->ns[SPEC_NS_TIME].index == 0);
	cr_assert_str_eq(l->ns[SPEC_NS_PID].path, "/proc/1/ns/pid");
	cr_assert(l->ns[SPEC_NS_MOUNT].listed && !l->ns[SPEC_NS_MOUNT].path);
	cr_assert_eq(l->ns[SPEC_NS_MOUNT].index, 3);
	cr_assert_not(l->ns[SPEC_NS_IPC].listed);
	cr_assert_eq(l->uid_maps.v[0].size, UINT32_MAX);
	cr_assert(l->monotonic.set && l->monotonic.secs == -5 &&
		  l->monotonic.nanosecs == 999999999);
	cr_assert_not(l->boottime.set);
	cr_assert(l->devices[0].type == 'c' && l->devices[0].major == 4095);
	cr_assert(l->devices[0].has_mode && l->devices[0].mode == (8630 & 07777));
	cr_assert(!l->devices[0].has_uid && l->devices[0].has_gid && l->devices[0].gid == 5);
	cr_assert(l->devices[1].type == 'p' && !l->devices[1].has_mode);
	cr_assert_eq(l->n_net_devices, 3);
	cr_assert_str_eq(l->net_devices[0].name, "lan%d");
	cr_assert_str_eq(l->net_devices[1].name, "eth1");
	cr_assert_str_eq(l->net_devices[2].name, "eth2");
	cr_assert_null(l->cgroups_path);
	cr_assert_str_eq(l->rootfs_propagation, "rslave");
	cr_assert_eq(l->n_sysctl, 3);
	cr_assert_str_eq(l->sysctl[0].key, "net.ipv4.ip_forward");
	cr_assert(l->has_personality && l->personality == 8 && !l->has_personality_flags);
	cr_assert_eq(l->memory_policy->mode, 6);
	cr_assert_eq(l->memory_policy->mode_flags, 1u << 15);
	cr_assert_str_eq(l->intel_rdt->clos_id, "/");
	cr_assert(l->intel_rdt->enable_monitoring);
}

Test(spec_parse, resources)
{
	const struct spec_resources *r =
		good(RES("'devices':[{'allow':false,'access':'mwr'},{'allow':true,'type':'','major'"
			 ":-1,'minor':3,'access':'r'},"
			 "{'allow':true,'type':'b','major':8,'access':'m'}],"
			 "'memory':{'limit':-1,'swap':9223372036854775807,'swappiness':0,'"
			 "checkBeforeUpdate':true},"
			 "'cpu':{'shares':18446744073709551615,'quota':-1,'burst':5,'cpus':'0','"
			 "mems':'','idle':1},"
			 "'blockIO':{'weight':0,'leafWeight':1000,'weightDevice':[{'major':8,'"
			 "minor':16,'leafWeight':10}],"
			 "'throttleReadBpsDevice':[{'major':8,'minor':0,'rate':"
			 "18446744073709551615}],"
			 "'throttleWriteIOPSDevice':[{'major':8,'minor':0,'rate':0}]},"
			 "'pids':{'limit':0},"
			 "'hugepageLimits':[{'pageSize':'1GB','limit':9223372036854775808}],"
			 "'rdma':{'mlx5_1':{'hcaHandles':3},'mlx4_0':{'hcaObjects':0}},"
			 "'network':{'classID':1048577,'priorities':[{'name':'eth0','priority':500}"
			 "]},"
			 "'unified':{'memory.high':'1','io.max':'8:0 rbps=1\\n8:16 "
			 "rbps=1'},'oomScoreAdj':100"))
			->linux_.resources;

	cr_assert_eq(r->n_devices, 3);
	cr_assert(r->devices[0].type == 'a' && r->devices[0].access == 7 &&
		  r->devices[0].major == -1);
	cr_assert(r->devices[1].type == 'a' && r->devices[1].minor == 3 &&
		  r->devices[1].access == SPEC_DEV_READ);
	cr_assert(r->devices[2].type == 'b' && r->devices[2].minor == -1 &&
		  r->devices[2].access == SPEC_DEV_MKNOD);
	cr_assert(r->memory->limit.set && r->memory->limit.v == -1);
	cr_assert(!r->memory->reservation.set && r->memory->swap.v == INT64_MAX);
	cr_assert(r->memory->swappiness.set && r->memory->swappiness.v == 0);
	cr_assert(r->memory->check_before_update && !r->memory->disable_oom_killer);
	cr_assert(r->cpu->shares.v == UINT64_MAX && r->cpu->quota.v == -1 && !r->cpu->period.set);
	cr_assert_str_eq(r->cpu->cpus, "0");
	cr_assert_null(r->cpu->mems);
	cr_assert(r->block_io->weight.set && r->block_io->weight.v == 0);
	cr_assert(!r->block_io->weight_devices[0].has_weight &&
		  r->block_io->weight_devices[0].leaf_weight == 10);
	cr_assert_eq(r->block_io->throttle[SPEC_READ_BPS][0].rate, UINT64_MAX);
	cr_assert_eq(r->block_io->n_throttle[SPEC_WRITE_BPS], 0);
	cr_assert_eq(r->block_io->n_throttle[SPEC_WRITE_IOPS], 1);
	cr_assert(r->pids_limit.set && r->pids_limit.v == 0);
	cr_assert_eq(r->hugepages[0].limit, UINT64_C(1) << 63);
	cr_assert(r->rdma[0].has_handles && !r->rdma[0].has_objects && r->rdma[0].handles == 3);
	cr_assert(r->rdma[1].has_objects && r->rdma[1].objects == 0);
	cr_assert(r->net_class_id.set && r->net_class_id.v == 1048577);
	cr_assert_eq(r->net_priorities[0].priority, 500);
	cr_assert_eq(r->n_unified, 2);
	cr_assert_str_eq(r->unified[1].value, "8:0 rbps=1\n8:16 rbps=1");
}

Test(spec_parse, empty_objects_of_engines_are_unset)
{
	const struct spec_resources *r =
		good(RES("'memory':{},'cpu':{},'blockIO':{},'pids':{},'unified':{},'devices':[]"))
			->linux_.resources;

	cr_assert_not(r->pids_limit.set);
	cr_assert_not(r->memory->limit.set);
	cr_assert_eq(r->n_devices + r->n_unified, 0);
}

Test(spec_parse, seccomp)
{
	const struct spec_seccomp *s =
		good(SECCOMP("'architectures':['SCMP_ARCH_X86_64','SCMP_ARCH_SHEB'],'flags':[],"
			     "'listenerPath':'/run/l.sock','listenerMetadata':'m','syscalls':["
			     "{'names':['a','b'],'action':'SCMP_ACT_ERRNO','errnoRet':4095},"
			     "{'names':['c'],'action':'SCMP_ACT_NOTIFY','args':["
			     "{'index':5,'value':18446744073709551615,'valueTwo':"
			     "9223372036854775808,'op':'SCMP_CMP_MASKED_EQ'}]}]"))
			->linux_.seccomp;

	cr_assert_str_eq(s->default_action, "SCMP_ACT_ALLOW");
	cr_assert_not(s->has_default_errno);
	cr_assert(s->has_flags && s->flags.n == 0);
	cr_assert_str_eq(s->architectures.v[1], "SCMP_ARCH_SHEB");
	cr_assert_str_eq(s->listener_metadata, "m");
	cr_assert(s->n_rules == 2 && s->rules[0].has_errno && s->rules[0].errno_ret == 4095);
	cr_assert_eq(s->rules[1].args[0].value, UINT64_MAX);
	cr_assert_eq(s->rules[1].args[0].value_two, UINT64_C(1) << 63);
	cr_assert_str_eq(s->rules[1].args[0].op, "SCMP_CMP_MASKED_EQ");
	cr_assert_not(good(SECCOMP("'syscalls':[]"))->linux_.seccomp->has_flags);
}

Test(spec_parse, the_vm_object)
{
	const struct spec *s = good(TOP(
		"'vm':{'hypervisor':{'path':'/usr/bin/vmm','parameters':['a']},"
		"'kernel':{'path':'/k','parameters':['console=hvc0','hello world'],'initrd':'/i'},"
		"'image':{'path':'/img','format':'raw'},"
		"'hwConfig':{'vcpus':2,'memory':536870912,'dtdevs':[],'irqs':[],'iomems':[]}}"));

	cr_assert_str_eq(s->vm->kernel_parameters.v[1], "hello world");
	cr_assert(s->vm->has_vcpus && s->vm->vcpus == 2);
	cr_assert(s->vm->has_memory && s->vm->memory == 536870912);
	cr_assert_not(s->vm->has_passthrough);
	cr_assert_eq(spec_validate_vm(s, NULL), 0);
}

Test(spec_parse, warnings_do_not_stop)
{
	struct log log = log_to_memory();
	struct spec *s = NULL;
	size_t n;
	char *text = unquote(TOP("'mounts':[{'destination':'data'}],"
				 "'process':{'user':{'uid':0,'gid':0},'cwd':'/','args':['sh'],"
				 "'capabilities':{'bounding':['CAP_FUTURE']}},"
				 "'linux':{'personality':{'domain':'LINUX','flags':['X']},"
				 "'intelRdt':{'l3CacheSchema':'MB:0=1'}}"),
			     &n);

	cr_assert_eq(take_bytes(text, n, &log, &s), 0, "%s", error.text);
	cr_assert(strstr(logged(&log), "mounts[0].destination is"));
	cr_assert(strstr(logged(&log), "CAP_FUTURE"));
	cr_assert(strstr(logged(&log), "linux.personality.flags"));
	cr_assert(strstr(logged(&log), "linux.intelRdt.l3CacheSchema"));
	free(text);
}

Test(spec_parse, exec_and_update_files_are_read_alone)
{
	struct spec_process *p = NULL;
	struct spec_resources *r = NULL;
	size_t n;
	char *text = unquote("{'cwd':'/','args':['id'],'user':{'uid':3,'gid':4}}", &n);

	cr_assert_eq(spec_parse_process(text, n, &arena, NULL, &p, &error), 0);
	cr_assert(p->user.uid == 3 && p->args.n == 1 && p->env.v && !p->env.v[0]);
	free(text);
	text = unquote("{'memory':{'limit':1},'devices':[{'allow':true,'access':'r'}]}", &n);
	cr_assert_eq(spec_parse_resources(text, n, &arena, NULL, &r, &error), 0);
	cr_assert(r->memory->limit.v == 1 && r->n_devices == 1);
	free(text);
}

static void write_at(int dir, const char *name, const char *text)
{
	auto_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

Test(spec_parse, a_bundles_file_is_loaded)
{
	char dir[] = "/tmp/spec-test-XXXXXX";
	struct spec *s = NULL;

	cr_assert_not_null(mkdtemp(dir));

	auto_close int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(spec_load(fd, "config.json", &arena, NULL, &s, &error), -ENOENT);
	cr_assert_neq(error.hint[0], '\0');
	write_at(fd, "config.json", "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"}}");
	cr_assert_eq(spec_load(fd, "config.json", &arena, NULL, &s, &error), 0);
	cr_assert_str_eq(s->root.path, "r");
	write_at(fd, "config.json", "");
	cr_assert_eq(spec_load(fd, "config.json", &arena, NULL, &s, &error), -EINVAL);
	write_at(fd, "config.json",
		 "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"hostname\":\"h\"}");
	cr_assert_eq(spec_load(fd, "config.json", &arena, NULL, &s, &error), -EINVAL);
	cr_assert_str_eq(error.at, "/hostname");
	cr_assert_eq(unlinkat(fd, "config.json", 0), 0);
	cr_assert_eq(mkfifoat(fd, "config.json", 0600), 0);
	cr_assert_lt(spec_load(fd, "config.json", &arena, NULL, &s, &error), 0);
	cr_assert_eq(unlinkat(fd, "config.json", 0), 0);
	cr_assert_eq(rmdir(dir), 0);
}

Test(spec_parse, an_empty_memory_policy_is_none)
{
	cr_expect_null(good(LINUX("'memoryPolicy':{}"))->linux_.memory_policy);
	cr_expect_not_null(
		good(LINUX("'memoryPolicy':{'mode':'MPOL_DEFAULT'}"))->linux_.memory_policy);
}

Test(spec_parse, every_policy_of_the_scheduler_may_come_with_a_nice_value)
{
	/* The kernel has no use for it with these two, sched(7), and the specification no rule. */
	cr_expect_eq(good(PROC("'scheduler':{'policy':'SCHED_FIFO','priority':1,'nice':19}"))
			     ->process.scheduler->nice,
		     19);
	cr_expect_eq(good(PROC("'scheduler':{'policy':'SCHED_DEADLINE','runtime':1,'deadline':2,"
			       "'period':3,'nice':-20}"))
			     ->process.scheduler->nice,
		     -20);
}
