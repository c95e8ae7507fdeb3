# SPDX-License-Identifier: Apache-2.0
"""
What of the host enters a container with its processes: descriptors, the runtime's own program and memory,
environment, keys, libraries; and who may look at whom.
"""

import contextlib
import ctypes
import hashlib
import os
import shutil
import socket

import linux
from breach import SECRET, Canary, install, is_clean, program, touched
from case import deadline, each, envs, eq, facts, has, hasnt, true, wall
from console import Session

WALL = "both"


@contextlib.contextmanager
def leaked(canary, directories=50):
    """What a careless caller leaves open: directories of the host, a socket, a memory file, a deleted file."""
    fds = [os.open(canary.dir, os.O_RDONLY | os.O_DIRECTORY) for _ in range(directories)]
    sockets = socket.socketpair()
    fds += [s.fileno() for s in sockets]
    fds.append(os.memfd_create("leak"))
    path = f"{canary.path}/../deleted"
    fds.append(os.open(path, os.O_CREAT | os.O_RDWR))
    os.unlink(path)
    for fd in fds:
        os.set_inheritable(fd, True)
    try:
        yield tuple(fds)
    finally:
        for s in sockets:
            fds.remove(s.fileno())
            s.close()
        for fd in fds:
            os.close(fd)


def numbers(out):
    return [line.split()[0] for line in out.splitlines()]


# -- T7


@envs("hybrid")
def test_t07_no_descriptor_of_the_caller_gets_in(t):
    # CVE-2024-21626. Naive: close-on-exec is the caller's business.
    canary = Canary(t)
    b = t.bundle().probe("fds").save()
    with leaked(canary) as fds:
        eq(numbers(t.runtime("run", "-b", b.path, t.name(), pass_fds=fds).ok().out), ["0", "1", "2"], "run")
        c = t.container(t.bundle().shell("probe fds; sleep 1000"))
        c.create(pass_fds=fds).ok()
        for fd in os.listdir(f"/proc/{c.pid}/fd"):
            held = os.readlink(f"/proc/{c.pid}/fd/{fd}")
            is_served = t.wall == "vm" and not held.startswith(canary.path)  # a machine serves directories of its own
            true(is_served or not os.path.isdir(f"/proc/{c.pid}/fd/{fd}"), f"a waiting container holds {held}")
        t.runtime("start", c.id, pass_fds=fds).ok()
        c.wait_out("\n2 ")
        eq(numbers(c.out), ["0", "1", "2"], "create and start")
        eq(numbers(c.probe("fds", pass_fds=fds).ok().out), ["0", "1", "2"], "exec")
        out = c.probe("fds", options=("--preserve-fds", "0"), pass_fds=fds).ok().out
        eq(numbers(out), ["0", "1", "2"], "exec that keeps none")


@wall("process", "--preserve-fds and LISTEN_FDS are refused: test_vm")
@envs("hybrid")
def test_t07_those_that_are_given_are_the_only_ones(t):
    given = os.open(t.file("given", "text\n"), os.O_RDONLY)

    def place():
        os.dup2(given, 3)
        os.dup2(given, 4)
        os.dup2(given, 9)
    c = t.up()
    for command in (("exec", "--preserve-fds", "2", c.id, "/bin/probe", "fds"),
                    ("run", "--preserve-fds", "2", "-b", t.bundle().probe("fds").save().path, t.name())):
        out = t.runtime(*command, preexec=place, pass_fds=(given, 3, 4, 9)).ok().out
        eq(numbers(out), ["0", "1", "2", "3", "4"], command[0])
        for line in out.splitlines()[3:]:
            has(line, "/given")
    os.close(given)


@wall("process", "--preserve-fds and LISTEN_FDS are refused: test_vm")
@each(options={"": (), "with a log": ("--log", "/dev/null")})
@envs("hybrid")
def test_t07_a_descriptor_of_the_runtimes_own_is_none_that_was_given(t, options):
    # Naive: "is descriptor 3 open?" is asked when something of the runtime's own has become descriptor 3.
    c = t.up()
    b = t.bundle().probe("fds").save()
    for command in (("exec", "--preserve-fds", "1", c.id, "/bin/probe", "fds"), ("run", "--preserve-fds", "1", "-b", b.path, t.name()),
                    ("exec", "--preserve-fds", "6", c.id, "/bin/probe", "fds"), ("create", "--preserve-fds", "1", "-b", b.path, t.name())):
        result = t.runtime(*command, options=options)
        if result.code == 0:
            raise AssertionError(f"what reached the program: {result.out}")
        result.fails("preserved-fd 3")


@envs("hybrid")
def test_t07_a_closed_standard_descriptor_is_filled(t):
    # Naive: the first directory that the runtime opens becomes the program's standard input.
    c = t.up()
    b = t.bundle().shell("probe fds >/tmp/fds").mount("/tmp", "bind", t.dir("out"), ["bind"]).save()

    def shut():
        for fd in (0, 1, 2):
            os.close(fd)
    t.runtime("run", "-b", b.path, t.name(), preexec=shut)
    found = linux.read(f"{t.tmp}/out/fds")
    eq([line.split()[0] for line in found.splitlines()], ["0", "1", "2"])
    hasnt(found, t.root, "/sys/fs", t.tmp)
    out = c.probe("fds", preexec=lambda: os.close(0)).ok().out
    has(out, "0 /dev/null")
    eq(numbers(out), ["0", "1", "2"])


@deadline(60)
@envs("hybrid")
def test_t07_no_descriptor_is_a_working_directory(t):
    # CVE-2024-21626: process.cwd /proc/self/fd/N, where N leads to a directory of the host.
    canary = Canary(t)
    look = "echo at $(pwd); cat secret ../secret etc/image-file 2>/dev/null"
    b = t.bundle().shell(look)
    c = t.up(t.bundle().writable().probe("sleep", "1000"))
    with leaked(canary) as fds:
        for n in range(3, 61 if t.wall == "process" else 8):
            b.process["cwd"] = f"/proc/self/fd/{n}"
            b.save()
            result = t.runtime("run", "-b", b.path, t.name(), pass_fds=fds)
            is_clean(result, f"descriptor {n}")
            hasnt(result.out, SECRET)
        for n in (0, *range(3, 24 if t.wall == "process" else 12)):
            link = f"{c.bundle.rootfs}/link"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(link)
            os.symlink(f"/proc/self/fd/{n}", link)
            for cwd in ("/link", f"/proc/self/fd/{n}", f"/proc/1/fd/{n}"):
                result = c.exec("/bin/sh", "-c", look, options=("--cwd", cwd), pass_fds=fds)
                is_clean(result, f"exec at descriptor {n}")
                hasnt(result.out, SECRET)
    canary.unharmed("working directories")


# -- T8


def own_binary(t):
    """The runtime as a copy that a breach may damage. What it is afterwards is compared with what it was."""
    copy = f"{t.tmp}/bulkhead"
    shutil.copy2(t.binary, copy)
    t.binary = copy
    return copy


def identity(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest(), os.stat(path).st_mtime_ns, os.stat(path).st_ino


@wall("process", "a guest sees no process of the host")
@envs("hybrid")
def test_t08_an_entry_that_executes_the_one_who_executes_it(t):
    # CVE-2019-5736: /proc/self/exe of the process that enters was the runtime's file on the host, and could be written.
    before = identity(own_binary(t))
    b = t.bundle().all_caps().writable().own_programs()
    b.write("evil", "#!/proc/self/exe\n", 0o755)
    is_clean(t.run(b.args("/evil")), "an entry that is the runtime", silent=True)
    os.symlink("/proc/self/exe", f"{b.rootfs}/link")
    is_clean(t.run(b.args("/link")), "an entry that links to the runtime", silent=True)
    c = t.up(b.probe("sleep", "1000"))
    for program_ in ("/evil", "/link", "/proc/self/exe", "/proc/1/exe"):
        is_clean(c.exec(program_, "--version"), f"exec of {program_}", silent=True)
    c = t.created(t.bundle())
    exe = os.readlink(f"/proc/{c.pid}/exe")
    true("memfd:" in exe or exe.startswith("/bulkhead-init"), f"a waiting container executes {exe}")
    with contextlib.suppress(OSError):
        fd = os.open(f"/proc/{c.pid}/exe", os.O_WRONLY)
        try:
            os.pwrite(fd, b"x", 0)
            raise AssertionError("the first program can be written to")
        except PermissionError:
            pass
        finally:
            os.close(fd)
    eq(identity(t.binary), before, "the runtime")


# -- T8 and T9: a container that lies in wait for the processes that enter it

ALLOWED_KEYS = ("ready", "met", "exe", "mem", "traced", "fd")


def breaches(out, t):
    """The lines of `hostile watch` that tell of something that is not the container's own."""
    found = []
    for line in out.splitlines():
        key, _, value = line.partition(" ")
        if key not in ALLOWED_KEYS:
            found.append(line)
        elif key == "fd":  # the standard ones that the caller gave
            if not value.startswith((f"{t.tmp}/.", "/dev/null", f"{t.tmp}/bht", "/memfd:bulkhead-")):
                found.append(line)
        elif key in ("exe", "mem", "traced"):
            if not value.startswith(("/bin/", "/memfd:bulkhead-", "?")):
                found.append(line)
    return found


def prowl(t, c, enter, what, least=40, most=250):
    """Enters the container until the one inside has met the runtime's children often enough."""
    env = dict(os.environ, SECRET_OF_THE_HOST="hidden")
    met = 0
    for i in range(most):
        is_clean(enter(env), f"{what} {i}")
        met = c.out.count("memfd:bulkhead-init")
        if i >= least and met:
            break
        if breaches(c.out, t):
            break
    eq(breaches(c.out, t), [], f"what the container could reach of {i + 1} processes that entered")
    true(met, "the hostile process never met the runtime: nothing is proven")


def lurking(t, *caps, **more):
    b = t.bundle().writable().own_programs().caps("CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", *caps)
    install(t, b, "hostile")
    b.process.update(more)
    return t.up(b.args("/bin/hostile", "watch", "60")).wait_out("ready")


@wall("process", "who enters a guest is the agent's, not the host's")
@each(who={"root": {}, "a user": {"user": {"uid": 1000, "gid": 1000}},
           "root that may gain privileges": {"noNewPrivileges": False}})
@deadline(60)
@envs("hybrid")
def test_t09_who_enters_a_container_is_out_of_its_reach(t, who):
    # CVE-2016-9962, CVE-2016-8649, CVE-2019-5736: the process that joins was dumpable, held descriptors, was the host's file.
    before = identity(own_binary(t))
    c = lurking(t, **who)
    prowl(t, c, lambda env: c.exec("/bin/true", env=env), "exec")
    eq(identity(t.binary), before, "the runtime")


@wall("process", "who enters a guest is the agent's, not the host's")
@deadline(60)
@envs("hybrid")
def test_t09_so_it_is_for_a_container_that_may_trace(t):
    # CAP_SYS_PTRACE looks through the non-dumpable flag: what enters must own nothing of the host by then.
    before = identity(own_binary(t))
    c = lurking(t, "CAP_SYS_PTRACE")
    prowl(t, c, lambda env: c.exec("/bin/true", env=env), "exec")
    eq(identity(t.binary), before, "the runtime")


@wall("process", "who enters a guest is the agent's, not the host's")
@envs("hybrid")
def test_t09_there_an_exec_is_what_it_is_elsewhere(t):
    # The way in is longer where somebody may trace. Nothing else may differ.
    given = os.open(t.file("given", "text\n"), os.O_RDONLY)

    def place():
        os.dup2(given, 3)
        os.dup2(given, 4)
    answers = {}
    for caps in ((), ("CAP_SYS_PTRACE",)):
        for no_new_privs in (True, False):
            b = t.bundle().writable().caps("CAP_KILL", *caps).probe("sleep", "1000")
            b.process["noNewPrivileges"] = no_new_privs
            b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}
            c = t.up(b)
            found = []
            for argv, options in ((("fds",), ("--preserve-fds", "2")), (("status", "Cap", "Seccomp", "NoNewPrivs", "Uid"), ("--user", "1000:7")),
                                  (("cwd",), ("--cwd", "/etc")), (("env",), ("--env", "A=1")), (("exit", "41"), ()), (("die", "15"), ()),
                                  (("session",), ()), (("signals",), ()), (("umask",), ())):
                result = c.probe(*argv, options=options, preexec=place, pass_fds=(given, 3, 4))
                found.append((argv[0], result.code, [x for x in result.out.replace(t.tmp, "").splitlines() if "/.out" not in x and "/.err" not in x
                                                     and not x.startswith(("pid ", "pgid ", "sid "))]))
            out = facts(c.probe("session").ok().out)
            eq((out["pid"], out["pid"]), (out["pgid"], out["sid"]), "a session of its own")
            for program_ in ("/absent", "/etc", "/etc/passwd"):
                result = c.exec(program_)
                found.append((program_, result.code, result.err))
            with Session(t, t.command("exec", "--tty", c.id, "/bin/sh", "-c", "probe tty; echo end")) as session:
                session.terminal.read_until("end")
                eq(session.wait(), 0)
                has(session.terminal.text, "fd0 /dev/pts/", "controlling yes", "foreground yes")
            t.runtime("exec", "--detach", "--pid-file", f"{t.tmp}/pid", c.id, "/bin/probe", "sleep", "1000").ok()
            true(int(linux.read(f"{t.tmp}/pid")) in c.pids(), "the pid file names no process of the container")
            for i in range(len(found)):
                found[i] = str(found[i]).replace("0000000000080020", "0000000000000020")  # the capability itself
            answers[caps, no_new_privs] = found
            c.delete("--force").ok()
    os.close(given)
    for no_new_privs in (True, False):
        eq(answers[("CAP_SYS_PTRACE",), no_new_privs], answers[(), no_new_privs], f"no_new_privs {no_new_privs}")


@wall("process", "namespaces of others are refused: test_vm")
@deadline(60)
@envs("hybrid")
def test_t09_a_container_that_is_made_in_a_shared_pid_namespace(t):
    before = identity(own_binary(t))
    c = lurking(t)
    b = t.bundle().args("/bin/true").caps("CAP_KILL").namespace("pid", f"/proc/{c.pid}/ns/pid").save()
    prowl(t, c, lambda env: t.runtime("run", "-b", b.path, t.name(), env=env), "run", least=20)
    eq(identity(t.binary), before, "the runtime")


# -- T12


@envs("hybrid")
def test_t12_the_callers_environment_stays_outside(t):
    env = dict(os.environ, SECRET_OF_THE_HOST="hidden", LD_PRELOAD="/nonexistent.so", NOTIFY_SOCKET="")
    read = "cat /proc/*/environ /proc/*/cmdline /proc/*/task/*/environ | tr '\\0' '\\n'"
    b = t.bundle().shell(f"{read}; sleep 1000")
    c = t.container(b)
    c.create(env=env).ok()
    hasnt(linux.read(f"/proc/{c.pid}/environ") + linux.read(f"/proc/{c.pid}/cmdline"), "hidden", "nonexistent")
    t.runtime("start", c.id, env=env).ok()
    c.wait_out("PATH=")
    out = c.out + c.exec("/bin/sh", "-c", read, env=env).ok().out
    hasnt(out, "hidden", "nonexistent", t.tmp)


@contextlib.contextmanager
def session_key(name):
    """A key in a session of this process's own, as a login has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(250, 1, None) < 0:  # KEYCTL_JOIN_SESSION_KEYRING: a new anonymous one
        raise AssertionError(f"keyctl: {os.strerror(ctypes.get_errno())}")
    if libc.syscall(248, b"user", name.encode(), b"payload", ctypes.c_size_t(7), -3) < 0:
        raise AssertionError(f"add_key: {os.strerror(ctypes.get_errno())}")
    yield


@envs("hybrid")
def test_t12_keys_of_the_caller_stay_outside(t):
    # CVE-2020-14370 is the like with variables. Naive: no keyctl at all, and the session of the caller is inherited.
    b = t.bundle()
    install(t, b, "hostile")
    b.args("/bin/hostile", "keys", "secret-of-a-login", "_ses.nobody").save()
    with session_key("secret-of-a-login"):
        found = t.run(b).ok().out
        has(found, "own Required key not available")
        true(t.call([program(t, "hostile"), "keys", "secret-of-a-login", "_ses.x"]).out.startswith("own ok"), "the test has no key")
        c = t.up()
        shutil.copy2(program(t, "hostile"), f"{c.bundle.rootfs}/bin/hostile")
        has(c.exec("/bin/hostile", "keys", "secret-of-a-login", "_ses.nobody").ok().out, "own Required key not available")


@envs("hybrid")
def test_t12_keys_of_one_container_are_not_another_ones(t):
    # Naive: a session's name that can be guessed, and that anybody with the same uid may search.
    holder = t.bundle()
    install(t, holder, "hostile")
    c = t.up(holder.args("/bin/hostile", "add-key", "secret-of-a-container")).wait_out("ready")
    b = t.bundle()
    install(t, b, "hostile")
    found = t.run(b.args("/bin/hostile", "keys", "secret-of-a-container", f"_ses.{c.id}")).ok().out
    has(found, "own Required key not available", "joined Required key not available")


# -- T19

HOST_HOOKS = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")


@envs("hybrid")
def test_t19_hooks_get_the_environment_of_their_entry_alone(t):
    # CVE-2025-23266: a hook with the host's privileges loaded what the image's LD_PRELOAD named.
    given = [None, [], ["ONE=1", "PATH=/given"]]
    b = t.bundle()
    b.process["env"] += ["LD_PRELOAD=/evil.so", "LD_LIBRARY_PATH=/evil", "FROM_THE_IMAGE=1"]
    canary = Canary(t)
    for kind in HOST_HOOKS:
        for i, env in enumerate(given):
            b.hook(kind, program(t, "hostile"), ["hostile", "tell", f"{t.tmp}/{kind}{i}"], env)
    b.save()
    with leaked(canary, 5) as fds:
        t.runtime("run", "-b", b.path, t.name(), pass_fds=fds, env=dict(os.environ, FROM_THE_CALLER="1")).ok()
    for kind in HOST_HOOKS:
        for i, env in enumerate(given):
            lines = linux.read(f"{t.tmp}/{kind}{i}").splitlines()
            eq([x[4:] for x in lines if x.startswith("env ")], env or [], f"the environment of {kind}")
            eq([x.split()[1] for x in lines if x.startswith("fd ")], ["0", "1", "2"], f"the descriptors of {kind}")


@envs("hybrid")
def test_t19_the_hook_inside_has_no_more_than_the_program(t):
    b = t.bundle().writable().shell("probe ids; probe status CapEff CapBnd NoNewPrivs")
    b.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7]}
    out = t.dir("out", 0o777)
    b.bind(out, "/out")
    b.hook("startContainer", "/bin/sh", ["sh", "-c", "(probe ids; probe status CapEff CapBnd NoNewPrivs) >/out/hook"], ["PATH=/bin"])
    eq(linux.read(f"{out}/hook", "") or t.run(b).ok().out, linux.read(f"{out}/hook"))


# -- T20


@wall("process", "no process of the host enters a guest's root")
@envs("hybrid")
def test_t20_the_runtime_loads_nothing_of_the_image(t):
    # CVE-2019-14271, CVE-2022-1227: a name service, a locale or a converter was loaded after the root had changed.
    t.need("strace")
    b = t.bundle().writable()
    for name in ("lib/x86_64-linux-gnu/libnss_files.so.2", "lib64/libc.so.6", "lib/ld-musl-x86_64.so.1", "etc/nsswitch.conf",
                 "etc/ld.so.preload", "etc/ld.so.cache", "usr/lib/locale/locale-archive", "etc/localtime"):
        b.write(name, "not what it seems\n", 0o755)
    b.process["user"] = {"uid": 1000, "gid": 1000}
    b.probe("cwd").save()
    log = f"{t.tmp}/trace"
    t.call(["strace", "-f", "-y", "-o", log, "-e", "trace=%file,mmap,%process", *t.command("run", "-b", b.path, t.name())]).ok()
    allowed = {"/", "/bin", "/bin/probe", "/dev/null", "/etc", "/etc/passwd", "/dev"}
    seen = {n for n in touched(linux.read(log), b.rootfs) if n.startswith(("/lib", "/usr", "/etc", "/bin"))}
    true("/etc/passwd" in seen, "the trace shows nothing of the inside")
    eq(seen - allowed, set(), "names of the image that a run looked at")
    c = t.up(b.probe("sleep", "1000"))
    t.call(["strace", "-f", "-y", "-o", log, "-e", "trace=%file,mmap,%process,setns",
            *t.command("exec", c.id, "/bin/probe", "cwd")]).ok()
    seen = {n for n in touched(linux.read(log), b.rootfs, "setns") if n.startswith(("/lib", "/usr", "/etc", "/bin"))}
    true("/etc/passwd" in seen, "the trace shows nothing of the inside")
    eq(seen - allowed, set(), "names of the image that an exec looked at")
