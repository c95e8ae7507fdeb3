# SPDX-License-Identifier: Apache-2.0
"""config.json's process: identity, capabilities, limits, scheduling, environment, descriptors."""

import os
import signal

import linux
from case import Skip, each, envs, eq, facts, has, hasnt, true, wall

WALL = "both"

ALL_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def process(t, **members):
    b = t.bundle()
    b.process.update(members)
    return b


def capabilities(t, b, **more):
    return {k: int(v, 16) for k, v in facts(t.probe(b, "caps", **more)).items() if k in ALL_SETS}


# -- identity


@wall("both", quick=True)
@envs("hybrid")
def test_uid_gid_and_groups_are_exactly_those_given(t):
    b = process(t, user={"uid": 1000, "gid": 1001, "additionalGids": [5, 77, 4000000]})
    ids = facts(t.probe(b, "ids"))
    eq((ids["uid"], ids["gid"]), ("1000 1000 1000", "1001 1001 1001"))
    eq(sorted(ids["groups"].split(), key=int), ["5", "77", "4000000"])


@envs("hybrid")
def test_groups_of_the_caller_are_dropped(t):
    b = process(t).probe("ids")
    b.save()
    out = t.runtime("run", "-b", b.path, t.name(), preexec=lambda: os.setgroups([11, 12])).ok().out
    eq(facts(out)["groups"], "")


@envs("hybrid")
def test_umask_is_the_given_one_or_022(t):
    eq(t.probe(process(t, user={"uid": 0, "gid": 0, "umask": 0o77}), "umask"), "0077\n")
    b = process(t).probe("umask").save()
    eq(t.runtime("run", "-b", b.path, t.name(), preexec=lambda: os.umask(0o7)).ok().out, "0022\n")


@envs("hybrid")
def test_stdio_belongs_to_the_user(t):
    b = process(t, user={"uid": 1000, "gid": 1000}).shell("echo out >/proc/self/fd/1; echo err >/proc/self/fd/2")
    b.save()
    result = t.runtime("run", "-b", b.path, t.name()).ok()
    eq((result.out, result.err), ("out\n", "err\n"))


@envs("hybrid")
def test_home_comes_from_the_images_passwd(t):
    for user, home in ((0, "/root"), (1000, "/home/app"), (4242, "/")):
        env = t.probe(process(t, user={"uid": user, "gid": 0}), "env").split("\0")
        true(f"HOME={home}" in env, f"{env} of {user}")


@envs("hybrid")
def test_home_that_is_given_stays(t):
    env = t.probe(process(t, env=["HOME=/elsewhere"]), "env").split("\0")
    true("HOME=/elsewhere" in env, env)


@envs("hybrid")
def test_a_hostile_passwd_does_not_hang_or_break(t):
    b = process(t)
    b.write("etc/passwd", "x" * 100000 + "\n" + ":::::::\n" + "a:b:c:d:e:f:g:h\n" + "root:x:0:0::/found:/bin/sh\n")
    has(t.probe(b, "env"), "HOME=/found")
    b = process(t)
    os.unlink(f"{b.rootfs}/etc/passwd")
    os.mkfifo(f"{b.rootfs}/etc/passwd")
    has(t.probe(b, "env"), "HOME=/")
    b = process(t)
    os.unlink(f"{b.rootfs}/etc/passwd")
    has(t.probe(b, "env"), "HOME=/")


# -- environment, arguments, directory


@envs("hybrid")
def test_the_environment_is_the_configs_and_nothing_else(t):
    b = process(t, env=["A=1", "EMPTY=", "NEWLINE=a\nb", "ü=ä", "PATH=/bin"]).probe("env").save()
    out = t.runtime("run", "-b", b.path, t.name(), env={"SECRET": "outside", "PATH": os.environ["PATH"]}).ok().out
    eq(out.split("\0")[:5], ["A=1", "EMPTY=", "NEWLINE=a\nb", "ü=ä", "PATH=/bin"])
    hasnt(out, "SECRET")


@envs("hybrid")
def test_the_last_of_two_equal_names_wins(t):
    env = t.probe(process(t, env=["A=1", "B=2", "A=3"]), "env").split("\0")
    eq([e for e in env if e.startswith("A=")], ["A=3"])


@each(entry={"no equals sign": "NOEQUALS", "empty name": "=x", "NUL": "A=a\0b"})
@envs("hybrid")
def test_a_malformed_environment_entry_is_refused(t, entry):
    t.run(process(t, env=["PATH=/bin", entry])).fails()


@envs("hybrid")
def test_arguments_arrive_unchanged(t):
    words = ["", " ", "a b", "-x", "--", "ü", "\n", "$HOME", "'", '"', "\\"]
    out = t.run(t.bundle().args("/bin/probe", "args", *words)).ok().out
    eq(out, "".join(w + "\n" for w in words))


@envs("hybrid")
def test_programs_are_found_in_the_containers_path(t):
    b = process(t, env=["PATH=/nowhere:/opt:/bin"]).args("tool")
    b.write("opt/tool", "#!/bin/sh\necho $0\n", 0o755)
    eq(t.run(b).ok().out, "/opt/tool\n")


@envs("hybrid")
def test_a_file_that_is_not_executable_is_passed_over_in_the_path(t):
    b = process(t, env=["PATH=/opt:/usr/bin"]).args("tool")
    b.write("opt/tool", "#!/bin/sh\necho wrong\n", 0o644)
    b.write("usr/bin/tool", "#!/bin/sh\necho right\n", 0o755)
    eq(t.run(b).ok().out, "right\n")


@envs("hybrid")
def test_cwd_is_entered_and_made_when_missing(t):
    eq(t.probe(process(t, cwd="/etc"), "cwd"), "/etc\n")
    b = process(t, cwd="/made/on/the/way").writable()
    eq(t.probe(b, "cwd"), "/made/on/the/way\n")


@envs("hybrid")
def test_cwd_that_only_the_user_may_enter(t):
    b = process(t, cwd="/private", user={"uid": 1000, "gid": 1000})
    os.mkdir(f"{b.rootfs}/private", 0o700)
    os.chown(f"{b.rootfs}/private", 1000, 1000)
    eq(t.probe(b, "cwd"), "/private\n")


@envs("hybrid")
def test_a_descriptor_of_the_runtime_is_no_working_directory(t):
    # CVE-2024-21626.
    for fd in range(3, 30 if t.wall == "process" else 8):
        result = t.run(process(t, cwd=f"/proc/self/fd/{fd}").shell("cat ../../../../../../etc/hostname; pwd"))
        if result.code == 0:
            eq(result.out.splitlines()[0], "image", f"fd {fd}")


# -- descriptors, signals, session


@envs("hybrid")
def test_only_stdio_reaches_the_program(t):
    b = t.bundle().probe("fds").save()
    fds = [os.open(p, os.O_RDONLY) for p in ("/", "/etc", "/proc", "/sys/fs/cgroup") for _ in range(10)]
    for fd in fds:
        os.set_inheritable(fd, True)
    out = t.runtime("run", "-b", b.path, t.name(), pass_fds=tuple(fds)).ok().out
    for fd in fds:
        os.close(fd)
    eq([line.split()[0] for line in out.splitlines()], ["0", "1", "2"])


@wall("process", "a machine serves files; its jail is in test_vm")
@envs("hybrid")
def test_a_created_container_holds_no_descriptor_of_the_host(t):
    c = t.created(t.bundle())
    for name in os.listdir(f"/proc/{c.pid}/fd"):
        target = os.readlink(f"/proc/{c.pid}/fd/{name}")
        true(not os.path.isdir(f"/proc/{c.pid}/fd/{name}"), f"fd {name} of a waiting container is the directory {target}")


@envs("hybrid")
def test_the_program_starts_with_signals_as_they_should_be(t):
    b = t.bundle().probe("signals").save()

    def bend():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    found = facts(t.runtime("run", "-b", b.path, t.name(), preexec=bend).ok().out)
    eq(int(found["SigBlk"], 16), 0, "blocked signals")
    eq(int(found["SigIgn"], 16), 0, "ignored signals")


@envs("hybrid")
def test_init_is_pid_1_and_leads_a_session(t):
    out = facts(t.probe(t.bundle(), "session"))
    eq((out["pid"], out["sid"], out["pgid"], out["ppid"]), ("1", "1", "1", "0"))


@wall("process", "a guest sees no process of the host")
@envs("hybrid")
def test_the_runtimes_binary_is_out_of_reach(t):
    # CVE-2019-5736: /proc/self/exe of anything inside must not lead to the runtime on the host.
    before = os.stat(t.binary)
    b = t.bundle().all_caps().without_namespace("pid")
    b.args("/bin/sh", "-c", "for p in /proc/[0-9]*/exe; do echo; echo x 2>/dev/null >$p; done; exit 0")
    c = t.created(b)
    exe = os.readlink(f"/proc/{c.pid}/exe")
    true(os.path.realpath(exe) != os.path.realpath(t.binary), f"/proc/{c.pid}/exe is {exe}")
    c.delete("-f").ok()
    own = t.bundle()
    own.write("evil", "#!/proc/self/exe\n", 0o755)
    t.run(own.args("/evil"))
    after = os.stat(t.binary)
    eq((after.st_mtime_ns, after.st_size), (before.st_mtime_ns, before.st_size), "the binary")


# -- capabilities


@envs("hybrid")
def test_the_default_sets_are_exact(t):
    mask = 1 << 5 | 1 << 10 | 1 << 29
    eq(capabilities(t, t.bundle()),
       {"bounding": mask, "effective": mask, "permitted": mask, "inheritable": 0, "ambient": 0})


@wall("both", quick=True)
@envs("hybrid")
def test_each_set_is_its_own(t):
    b = process(t, capabilities={
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN"], "inheritable": ["CAP_CHOWN", "CAP_KILL"], "ambient": ["CAP_KILL"]},
        user={"uid": 1000, "gid": 1000})
    # execve of a program without file capabilities by a plain user keeps the ambient set alone.
    eq(capabilities(t, b), {"bounding": 1 | 1 << 5 | 1 << 7, "permitted": 1 << 5, "effective": 1 << 5,
                            "inheritable": 1 | 1 << 5, "ambient": 1 << 5})


@envs("hybrid")
def test_empty_capabilities_are_none_at_all(t):
    eq(capabilities(t, process(t, capabilities={})), dict.fromkeys(ALL_SETS, 0))


@envs("hybrid")
def test_a_plain_user_has_no_capabilities_without_ambient_ones(t):
    found = capabilities(t, process(t, user={"uid": 1000, "gid": 1000}))
    eq((found["effective"], found["permitted"], found["ambient"]), (0, 0, 0))


@envs("hybrid")
def test_an_unknown_capability_is_a_warning(t):
    b = t.bundle().caps("CAP_KILL", "CAP_FUTURE")
    result = t.run(b.probe("caps")).ok()
    eq(int(facts(result.out)["effective"], 16), 1 << 5)


@envs("hybrid")
def test_a_capability_the_host_cannot_grant_is_a_warning(t):
    t.need("no CAP_SYS_RESOURCE")
    b = t.bundle().caps("CAP_KILL", "CAP_SYS_RESOURCE")
    eq(int(facts(t.run(b.probe("caps")).ok().out)["effective"], 16), 1 << 5)


@envs("hybrid")
def test_no_new_privileges_is_as_configured(t):
    eq(t.probe(t.bundle(), "nnp"), "1\n")
    eq(t.probe(process(t, noNewPrivileges=False), "nnp"), "0\n")


# -- limits, scheduling


@wall("both", quick=True)
@each(limit={n: n for n in ("AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE",
                            "NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING", "STACK")})
@envs("hybrid")
def test_each_rlimit_is_set(t, limit):
    soft, hard = {"AS": (1 << 32, 1 << 33), "NICE": (0, 0), "RTPRIO": (0, 0), "CPU": (1000, 2000), "DATA": (1 << 30, 1 << 31),
                  "STACK": (1 << 20, 1 << 22), "FSIZE": (1 << 20, 1 << 21), "MEMLOCK": (65536, 131072)}.get(limit, (50, 60))
    b = process(t, rlimits=[{"type": f"RLIMIT_{limit}", "soft": soft, "hard": hard}])
    eq(facts(t.probe(b, "rlimits"))[f"RLIMIT_{limit}"], f"{soft} {hard}")


@envs("hybrid")
def test_an_infinite_rlimit_is_2_to_the_64_minus_1(t):
    infinite = (1 << 64) - 1
    b = process(t, rlimits=[{"type": "RLIMIT_CORE", "soft": infinite, "hard": infinite}])
    eq(facts(t.probe(b, "rlimits"))["RLIMIT_CORE"], f"{infinite} {infinite}")


@envs("hybrid")
def test_an_rlimit_that_may_not_be_raised_is_named(t):
    t.need("no CAP_SYS_RESOURCE")
    b = process(t, rlimits=[{"type": "RLIMIT_NOFILE", "soft": 1 << 20, "hard": 1 << 20}])
    t.run(b).fails("rlimit", "operation not permitted")


@envs("hybrid")
def test_oom_score_adj_is_set(t):
    eq(t.probe(process(t, oomScoreAdj=321), "oom"), "321\n")


@wall("process", "what the caller has does not enter a guest")
@envs("hybrid")
def test_oom_score_adj_is_inherited_where_the_config_says_nothing(t):
    b = t.bundle().probe("oom").save()

    def mark():
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as f:
            f.write("123")
    eq(t.runtime("run", "-b", b.path, t.name(), preexec=mark).ok().out, "123\n")


@envs("hybrid")
def test_a_lower_oom_score_needs_a_privilege(t):
    t.need("no CAP_SYS_RESOURCE")
    t.run(process(t, oomScoreAdj=-500)).fails("oom_score_adj")


@each(case={
    "batch": ({"policy": "SCHED_BATCH", "nice": 5}, {"policy": "3", "nice": "5"}),
    "other": ({"policy": "SCHED_OTHER", "nice": 19}, {"policy": "0", "nice": "19"}),
    "idle": ({"policy": "SCHED_IDLE"}, {"policy": "5"}),
    "fifo": ({"policy": "SCHED_FIFO", "priority": 7}, {"policy": "1", "priority": "7"}),
    "round robin": ({"policy": "SCHED_RR", "priority": 3}, {"policy": "2", "priority": "3"}),
    "reset on fork": ({"policy": "SCHED_FIFO", "priority": 2, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, {"flags": "1"}),
    "deadline": ({"policy": "SCHED_DEADLINE", "runtime": 10000000, "deadline": 50000000, "period": 100000000},
                 {"policy": "6", "runtime": "10000000", "deadline": "50000000", "period": "100000000"}),
})
@envs("hybrid")
def test_the_scheduler_is_set(t, case):
    t.need("CAP_SYS_NICE")
    scheduler, wanted = case
    if scheduler["policy"] in ("SCHED_FIFO", "SCHED_RR"):
        t.need("realtime budget")
    b = process(t, scheduler=scheduler).caps("CAP_SYS_NICE")
    found = facts(t.probe(b, "sched"))
    eq({k: found[k] for k in wanted}, wanted)


@each(scheduler={
    "unknown policy": {"policy": "SCHED_MAGIC"}, "no policy": {}, "nice out of range": {"policy": "SCHED_OTHER", "nice": 20},
    "priority of batch": {"policy": "SCHED_BATCH", "priority": 1}, "runtime of other": {"policy": "SCHED_OTHER", "runtime": 1},
    "unknown flag": {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NO"]},
})
@envs("hybrid")
def test_a_wrong_scheduler_is_refused(t, scheduler):
    t.run(process(t, scheduler=scheduler)).fails("sched")


@each(case={"best effort": ("IOPRIO_CLASS_BE", 5, "2"), "idle": ("IOPRIO_CLASS_IDLE", 7, "3"), "real time": ("IOPRIO_CLASS_RT", 3, "1")})
@envs("hybrid")
def test_the_io_priority_is_set(t, case):
    name, priority, number = case
    found = facts(t.probe(process(t, ioPriority={"class": name, "priority": priority}), "sched"))
    if t.wall == "vm" and found["ioclass"] == "-1":
        raise Skip("the guest's kernel has no block devices, so nothing to put in an order")
    eq((found["ioclass"], found["ioprio"]), (number, str(priority)))


@each(value={"class": {"class": "IOPRIO_CLASS_X", "priority": 0}, "priority": {"class": "IOPRIO_CLASS_BE", "priority": 8},
             "negative": {"class": "IOPRIO_CLASS_BE", "priority": -1}})
@envs("hybrid")
def test_a_wrong_io_priority_is_refused(t, value):
    t.run(process(t, ioPriority=value)).fails()


@wall("process", "a guest's CPUs are its own")
@envs("hybrid")
def test_the_affinity_of_the_caller_is_not_inherited(t):
    t.need("two cpus")
    b = t.bundle().probe("sched").save()
    out = facts(t.runtime("run", "-b", b.path, t.name(), preexec=lambda: os.sched_setaffinity(0, {1})).ok().out)
    true(len(out["affinity"].split()) >= 2, out["affinity"])


@envs("hybrid")
def test_personality_linux32_is_seen_by_uname(t):
    b = t.bundle()
    b.linux["personality"] = {"domain": "LINUX32"}
    eq(facts(t.probe(b, "uname"))["machine"], "i686")
    b = t.bundle()
    b.linux["personality"] = {"domain": "LINUX"}
    eq(t.probe(b, "personality"), "00000000\n")


@wall("process", "memoryPolicy is refused: test_vm")
@envs("hybrid")
def test_the_memory_policy_is_set(t):
    b = t.bundle()
    b.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
    eq(facts(t.probe(b, "mempolicy")), {"mode": "2", "nodes": "1"})
    b = t.bundle()
    b.linux["memoryPolicy"] = {"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}
    eq(facts(t.probe(b, "mempolicy"))["mode"], str(3 | 1 << 15))


@each(policy={"unknown mode": {"mode": "MPOL_X"}, "no mode": {"nodes": "0"}, "bind without nodes": {"mode": "MPOL_BIND"},
              "default with nodes": {"mode": "MPOL_DEFAULT", "nodes": "0"}, "bad list": {"mode": "MPOL_BIND", "nodes": "3-1"},
              "unknown flag": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}})
@envs("hybrid")
def test_a_wrong_memory_policy_is_refused(t, policy):
    b = t.bundle()
    b.linux["memoryPolicy"] = policy
    t.run(b).fails()


# -- security modules that this host lacks


@envs("hybrid")
def test_an_apparmor_profile_without_apparmor_is_an_error(t):
    t.need("no AppArmor")
    t.run(process(t, apparmorProfile="some-profile")).fails("apparmor")


@envs("hybrid")
def test_a_selinux_label_without_selinux_is_an_error(t):
    t.need("no SELinux")
    t.run(process(t, selinuxLabel="system_u:system_r:container_t:s0")).fails("selinux")


@envs("hybrid")
def test_secrets_of_the_caller_stay_outside(t):
    b = t.bundle().shell("cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'").save()
    env = dict(os.environ, SECRET_OF_THE_HOST="hidden-value")
    hasnt(t.runtime("run", "-b", b.path, t.name(), env=env).out, "hidden-value")


@wall("process", "measures what a process costs")
@envs("hybrid")
def test_a_waiting_container_keeps_little_memory_for_itself(t):
    c = t.created(t.bundle())
    rss = [line for line in linux.read(f"/proc/{c.pid}/smaps_rollup").splitlines() if line.startswith("Private_Dirty")]
    true(int(rss[0].split()[1]) < 300, f"{rss[0]} while waiting for start")
