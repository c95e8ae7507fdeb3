# SPDX-License-Identifier: Apache-2.0
"""exec: a second process in a container, by options and by process file."""

import json
import os
import socket
import time

import linux
from case import deadline, each, envs, eq, facts, has, hasnt, true, wall

WALL = "both"


def process(*argv, **more):
    """A process object as engines hand it to exec."""
    return {"args": list(argv), "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, **more}


def process_file(t, content):
    return t.file("process.json", json.dumps(content))


@wall("both", quick=True)
def test_exec_returns_the_status_of_the_program(t):
    c = t.up()
    for code in (0, 1, 127, 255):
        c.probe("exit", code).exits(code)


@wall("both", quick=True)
def test_exec_returns_128_and_the_signal(t):
    c = t.up()
    for number in (9, 15, 11):
        c.probe("die", number).exits(128 + number)


@wall("both", quick=True)
def test_exec_passes_stdio(t):
    c = t.up()
    result = c.exec("sh", "-c", "cat; echo err >&2", input="in\n").ok()
    eq((result.out, result.err), ("in\n", "err\n"))


def test_exec_passes_a_megabyte(t):
    c = t.up()
    eq(len(c.probe("bytes", 1 << 20).ok().out), 1 << 20)


@wall("process", "compares with namespaces of the host's kernel")
def test_exec_is_in_all_namespaces_and_the_cgroup_of_init(t):
    b = t.bundle().probe("sleep", 1000)
    c = t.up(b)
    mine = c.probe("ns").facts
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "uts", "user", "time"):
        eq(mine[kind], os.readlink(f"/proc/{c.pid}/ns/{kind}"), kind)
    has(c.exec("cat", "/proc/self/cgroup").ok().out, "0::/\n")


@wall("process", "compares with namespaces of the host's kernel")
@envs("hybrid")
def test_exec_joins_user_and_time_namespaces(t):
    t.need("time namespace", "user namespace")
    b = t.bundle().user_namespace().namespace("time").probe("sleep", 1000)
    b.linux["timeOffsets"] = {"monotonic": {"secs": 100000}}
    c = t.up(b.without_mount("/dev/mqueue"))
    mine = c.probe("ns").facts
    for kind in ("user", "time", "mnt"):
        eq(mine[kind], os.readlink(f"/proc/{c.pid}/ns/{kind}"), kind)
    true(int(c.probe("clocks").facts["monotonic"]) >= 100000, "no offset")


def test_everything_after_the_id_belongs_to_the_command(t):
    c = t.up()
    eq(c.exec("/bin/probe", "args", "-d", "--tty", "--", "-x").ok().out.split(), ["-d", "--tty", "--", "-x"])


@envs("hybrid")
def test_exec_inherits_environment_directory_and_identity_of_the_config(t):
    b = t.bundle().probe("sleep", 1000)
    b.process.update(cwd="/tmp", user={"uid": 1000, "gid": 1000, "additionalGids": [7, 8]})
    b.process["env"].append("COLOUR=blue")
    c = t.up(b)
    eq(c.probe("cwd").ok().out, "/tmp\n")
    ids = c.probe("ids").facts
    eq((ids["uid"], ids["gid"], ids["groups"]), ("1000 1000 1000", "1000 1000 1000", "7 8"))
    has(c.probe("env").ok().out, "COLOUR=blue\0")


@wall("both", quick=True)
@envs("hybrid")
def test_cwd_env_user_and_gids_override(t):
    c = t.up()
    eq(c.probe("cwd", options=["--cwd", "/etc"]).ok().out, "/etc\n")
    env = c.probe("env", options=["-e", "A=1", "--env", "A=2,3", "-e", "TERM=dumb"]).ok().out.split("\0")
    true("A=2,3" in env and "TERM=dumb" in env and "A=1" not in env, env)
    eq(c.probe("ids", options=["--user", "7:8"]).facts["uid"], "7 7 7")
    ids = c.probe("ids", options=["-u", "7", "-g", "5", "--additional-gids", "6"]).facts
    eq((ids["uid"], ids["gid"], ids["groups"]), ("7 7 7", "0 0 0", "5 6"))


@each(user={
    "name": "root", "empty": "", "negative": "-1", "plus": "+1", "blank": " 1", "hexadecimal": "0x1", "trailing": "1x",
    "too large": "4294967296", "huge": "18446744073709551616", "empty gid": "1:", "no uid": ":1", "bad gid": "1:x",
    "newline": "1\n", "three": "1:2:3",
})
@envs("hybrid")
def test_a_user_that_is_no_number_is_refused(t, user):
    # CVE-2026-30892: "-u 1" became root. A string that is not wholly a number is never an identity.
    c = t.up()
    result = c.probe("ids", options=[f"--user={user}"])
    result.fails(code=255)
    hasnt(result.out, "uid 0")


@envs("hybrid")
def test_digits_that_are_a_user_name_in_the_image_stay_a_number(t):
    b = t.bundle().probe("sleep", 1000)
    b.write("etc/passwd", "1000:x:0:0:root:/root:/bin/sh\nroot:x:0:0::/root:/bin/sh\n")
    eq(t.up(b).probe("ids", options=["-u", "1000"]).facts["uid"], "1000 1000 1000")


@wall("both", quick=True)
@envs("hybrid")
def test_a_process_file_describes_everything(t):
    c = t.up()
    path = process_file(t, process("/bin/probe", "env", cwd="/etc", env=["ONLY=this", "HOME=/h"]))
    eq(sorted(filter(None, t.runtime("exec", "--process", path, c.id).ok().out.split("\0"))), ["HOME=/h", "ONLY=this"])
    path = process_file(t, process("/bin/probe", "ids", user={"uid": 5, "gid": 6, "additionalGids": [9]}))
    ids = t.runtime("exec", "-p", path, c.id).facts
    eq((ids["uid"], ids["gid"], ids["groups"]), ("5 5 5", "6 6 6", "9"))


@envs("hybrid")
def test_a_process_file_is_not_merged_with_the_config(t):
    b = t.bundle().probe("sleep", 1000)
    b.process["env"].append("SECRET=config")
    b.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 77}]
    c = t.up(b)
    path = process_file(t, process("/bin/sh", "-c", "probe env; probe nnp; probe rlimits"))
    out = t.runtime("exec", "-p", path, c.id).ok().out
    hasnt(out, "SECRET", "RLIMIT_NOFILE 77")
    has(out, "0\n")


@envs("hybrid")
def test_a_process_file_limits_capabilities_rlimits_and_privileges(t):
    c = t.up()
    caps = {s: ["CAP_CHOWN"] for s in ("bounding", "effective", "permitted")}
    path = process_file(t, process("/bin/sh", "-c", "probe caps; probe nnp; probe rlimits; probe umask; probe oom",
                                   capabilities=caps, noNewPrivileges=True, oomScoreAdj=300,
                                   user={"uid": 0, "gid": 0, "umask": 0o27},
                                   rlimits=[{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}]))
    out = t.runtime("exec", "-p", path, c.id).ok().out
    has(out, "effective 0000000000000001", "bounding 0000000000000001", "\n1\n", "RLIMIT_CORE 1 2", "\n0027\n", "\n300\n")


@each(content={
    "no file": None, "empty": "", "not json": "{", "an array": "[]", "no args": '{"cwd":"/"}',
    "no cwd": '{"args":["/bin/true"]}', "relative cwd": '{"args":["/bin/true"],"cwd":"tmp"}',
    "args with a number": '{"args":[1],"cwd":"/"}', "empty args": '{"args":[],"cwd":"/"}',
    "negative uid": '{"args":["/bin/true"],"cwd":"/","user":{"uid":-1,"gid":0}}',
})
@envs("hybrid")
def test_a_bad_process_file_is_refused(t, content):
    c = t.up()
    path = f"{t.tmp}/absent" if content is None else t.file("p", content)
    t.runtime("exec", "-p", path, c.id).fails(code=255)


@wall("both", quick=True)
@envs("hybrid")
def test_detach_returns_at_once_and_writes_the_host_pid(t):
    c = t.up()
    pid_file = f"{t.tmp}/pid"
    began = time.monotonic()
    c.probe("sleep", 1000, options=["--detach", "--pid-file", pid_file]).ok()
    true(time.monotonic() - began < 5, "waited for the program")
    text = open(pid_file, encoding="ascii").read()
    true(text.isdigit(), f"pid file: {text!r}")
    has(linux.read(f"/proc/{text}/cmdline"), "sleep")
    eq(linux.read(f"/proc/{text}/stat").rpartition(")")[2].split()[1], str(os.getpid()), "parent of the detached process")


@envs("hybrid")
def test_a_program_that_is_not_there_is_255_and_named(t):
    c = t.up()
    c.exec("nosuchprogram").fails("executable file not found in $PATH", "nosuchprogram", code=255)
    c.exec("/no/such/program").fails("no such file or directory", code=255)
    c.exec("/etc/image-file").fails("permission denied", code=255)
    c.exec("/etc").fails(code=255)


@envs("hybrid")
def test_exec_on_an_unknown_container_is_255(t):
    t.runtime("exec", "nothere", "true").fails("does not exist", code=255)


@envs("hybrid")
def test_exec_on_a_stopped_container_is_refused(t):
    c = t.up(t.bundle().probe("exit", 0)).wait("stopped")
    c.exec("true").fails("cannot exec in a stopped container", code=255)


@wall("both", quick=True)
def test_exec_on_a_created_container_works(t):
    c = t.created(t.bundle())
    c.probe("exit", 4).exits(4)
    eq(c.status, "created")


def test_exec_on_a_paused_container_is_refused(t):
    c = t.up()
    c.pause().ok()
    c.exec("true").fails("cannot exec in a paused container (use --ignore-paused to override)", code=255)
    eq(c.status, "paused")


def test_ignore_paused_starts_a_process_that_runs_after_the_resume(t):
    c = t.up()
    c.pause().ok()
    mark = f"{t.tmp}/pid"
    # exec has to wait for a frozen process; so the resume comes from beside it.
    runtime = t.spawn_runtime("exec", "--ignore-paused", "--pid-file", mark, c.id, "/bin/probe", "exit", "3")
    try:
        time.sleep(0.3)
        eq(c.status, "paused")
        c.resume().ok()
        eq(runtime.wait(10), 3)
    finally:
        runtime.kill()
        runtime.wait()


@envs("hybrid")
def test_without_tty_there_is_none_even_if_the_config_says_so(t):
    b = t.bundle().probe("sleep", 1000)
    c = t.up(b)
    eq(c.probe("tty").facts["fd0"], "none")


@envs("hybrid")
def test_cap_adds_to_bounding_effective_and_permitted(t):
    c = t.up()
    before, after = c.probe("caps").facts, c.probe("caps", options=["--cap", "CAP_SYS_PTRACE"]).facts
    for kind in ("bounding", "effective", "permitted"):
        eq(int(after[kind], 16), int(before[kind], 16) | 1 << 19, kind)
    # CVE-2022-29162: nothing becomes inheritable by the way.
    for kind in ("inheritable", "ambient"):
        eq(int(after[kind], 16), 0, kind)


@envs("hybrid")
def test_no_new_privs_can_be_set(t):
    b = t.bundle().probe("sleep", 1000)
    b.process["noNewPrivileges"] = False
    c = t.up(b)
    eq(c.probe("nnp").ok().out, "0\n")
    eq(c.probe("nnp", options=["--no-new-privs"]).ok().out, "1\n")


@envs("hybrid")
def test_descriptors_of_the_caller_do_not_get_in(t):
    c = t.up()
    fds = [os.open("/", os.O_RDONLY) for _ in range(20)]
    for fd in fds:
        os.set_inheritable(fd, True)
    out = t.runtime("exec", c.id, "/bin/probe", "fds", pass_fds=tuple(fds)).ok().out
    for fd in fds:
        os.close(fd)
    eq([line.split()[0] for line in out.splitlines()], ["0", "1", "2"])


@wall("process", "--preserve-fds and LISTEN_FDS are refused: test_vm")
@envs("hybrid")
def test_preserved_descriptors_get_in(t):
    c = t.up()
    path = t.file("given", "given\n")
    command = " ".join(t.command("exec", "--preserve-fds", "1", c.id, "/bin/cat", "/proc/self/fd/3"))
    eq(t.call(["/bin/sh", "-c", f"exec {command} 3<{path}"]).ok().out, "given\n")


@wall("process", "exec --cgroup is refused: test_vm")
def test_the_cgroup_option_names_a_group_below_the_containers(t):
    c = t.up()
    os.mkdir(f"{c.cgroup}/inner")
    try:
        c.probe("sleep", 1000, options=["-d", "--cgroup", "inner"]).ok()
        eq(len(linux.read(f"{c.cgroup}/inner/cgroup.procs").split()), 1)
    finally:
        c.kill("KILL").ok()
        c.wait("stopped")


@each(path={"up": "../..", "absolute up": "/../..", "absent": "nothere"})
def test_the_cgroup_option_cannot_leave_the_containers_group(t, path):
    c = t.up()
    c.exec("cat", "/proc/self/cgroup", options=["--cgroup", path]).fails(code=255)


def test_a_container_that_moved_its_init_down_still_takes_an_exec(t):
    c = t.up()
    os.mkdir(f"{c.cgroup}/init")
    top = c.cgroup
    with open(f"{top}/init/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(c.pid))
    c.probe("exit", 6).exits(6)
    c.kill("KILL").ok()
    c.wait("stopped")


def test_pidfd_socket_gets_a_pidfd_of_the_new_process(t):
    c = t.up()
    path = f"{t.tmp}/s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
        c.probe("sleep", 1000, options=["-d", "--pid-file", f"{t.tmp}/pid", "--pidfd-socket", path]).ok()
        connection, _ = server.accept()
        with connection:
            data, fds, _, _ = socket.recv_fds(connection, 4096, 4)
    eq(data, b"setns")
    pid = open(f"{t.tmp}/pid", encoding="ascii").read()
    info = linux.read(f"/proc/self/fdinfo/{fds[0]}")
    os.close(fds[0])
    has(info, f"Pid:\t{pid}\n")


@wall("process", "execCPUAffinity is refused: test_vm")
@envs("hybrid")
def test_exec_affinity_is_set_in_the_end(t):
    t.need("two cpus")
    b = t.bundle().probe("sleep", 1000)
    b.process["execCPUAffinity"] = {"initial": "0", "final": "1"}
    eq(t.up(b).probe("sched").facts["affinity"], "1")


@wall("process", "a guest's CPUs are its own")
@envs("hybrid")
def test_exec_does_not_inherit_the_affinity_of_the_caller(t):
    t.need("two cpus")
    c = t.up()
    out = t.runtime("exec", c.id, "/bin/probe", "sched", preexec=lambda: os.sched_setaffinity(0, {0})).facts
    true(len(out["affinity"].split()) >= 2, out["affinity"])


@envs("hybrid")
def test_exec_gets_rlimits_and_scheduling_of_the_config(t):
    b = t.bundle().probe("sleep", 1000)
    b.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}]
    c = t.up(b)
    eq(c.probe("rlimits").facts["RLIMIT_NOFILE"], "55 66")


@wall("both", quick=True)
@envs("hybrid")
def test_exec_is_under_the_seccomp_filter_of_the_config(t):
    b = t.bundle().probe("sleep", 1000)
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                          "syscalls": [{"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33}]}
    c = t.up(b)
    eq(c.probe("syscall", 140).out, "EDOM\n")


@envs("hybrid")
def test_exec_has_no_parent_death_signal_and_its_own_session(t):
    c = t.up()
    session = c.probe("session").facts
    eq(session["pdeathsig"], "0")
    eq(session["sid"], session["pid"])


@envs("hybrid")
def test_the_working_directory_cannot_be_a_descriptor_of_the_runtime(t):
    # CVE-2024-21626: a leaked directory of the host as the working directory.
    c = t.up()
    for fd in range(3, 40):
        result = c.exec("/bin/sh", "-c", "cat /proc/self/cwd/../../../../../../etc/hostname; pwd",
                        options=["--cwd", f"/proc/self/fd/{fd}"])
        if result.code == 0:
            eq(result.out.splitlines()[0], "image", f"/proc/self/fd/{fd}")


@envs("hybrid")
@deadline(60)
def test_many_execs_at_once_each_get_their_own_answer(t):
    c = t.up()
    count = 30 if t.wall == "process" else 8  # each takes a moment in a guest
    running = [t.spawn_runtime("exec", c.id, "/bin/probe", "exit", i) for i in range(count)]
    eq([p.wait(300) for p in running], list(range(count)))


@envs("hybrid")
def test_execs_leave_nothing_in_the_container(t):
    c = t.up()
    for _ in range(5):
        c.exec("true").ok()
    eq(c.pids(), [c.pid])


@envs("hybrid")
def test_an_exec_survives_its_caller_going_away_when_detached(t):
    c = t.up()
    c.probe("sleep", 1000, options=["-d"]).ok()
    time.sleep(0.05)
    eq(len(c.pids()), 2)
