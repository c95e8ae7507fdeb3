# SPDX-License-Identifier: Apache-2.0
"""The runtime dies, the disk is full, the input is hostile: what is left, and can it be taken away?"""

import os
import random
import re
import resource
import signal
import socket
import subprocess
import time

import host
import linux
from case import deadline, each, envs, eq, has, hasnt, true, wall

WALL = "both"

# The runner's census sees what a test leaves. These tests look themselves too, after `delete --force`
# and before any further help.


def nothing_left(t, c, when):
    """After `delete --force` neither state, cgroup nor process of the container may exist."""
    result = c.delete("--force")
    true(result.code == 0, f"{when}: {result}")
    eq(t.state_names(), [], f"state left, {when}")
    true(not os.path.exists(f"{t.cgroup_base}/{c.id}"), f"cgroup left, {when}")

    def quiet():
        t.reap()
        return not [p for p, s in linux.children().items() if s not in "ZX"]
    try:
        t.until(quiet, 3, "the end of processes")
    except AssertionError:
        alive = [linux.describe(p) for p, s in linux.children().items() if s not in "ZX"]
        raise AssertionError(f"processes left, {when}: {alive}") from None


def calls_of(t, argv, follow):
    """The names of the system calls that a command makes, in order, with their count so far."""
    log = f"{t.tmp}/trace"
    t.call(["strace", *(["-f"] if follow else []), "-o", log, *argv])
    seen, points = {}, []
    for line in linux.read(log).splitlines():
        match = re.match(r"(?:\d+ +)?([a-z0-9_]+)\(", line)
        if match:
            name = match[1]
            seen[name] = seen.get(name, 0) + 1
            points.append((name, seen[name]))
    os.unlink(log)
    return points


def kill_at(t, argv, name, count, follow):
    """Runs a command that is killed at the count-th call of that name; of whichever process makes it when followed."""
    t.call(["strace", *(["-f"] if follow else []), "-o", "/dev/null", "-e", f"trace={name}",
            "-e", f"inject={name}:signal=KILL:when={count}", *argv])


SKIP_CALLS = {"execve", "exit_group", "exit", "brk", "mmap", "munmap", "mprotect", "arch_prctl", "pread64", "rseq",
              "set_tid_address", "set_robust_list", "getrandom", "prlimit64", "vfork", "fork"}


def points(t, argv, follow, seconds=40):
    """Every moment of a command, in an order that is mixed but always the same; on a slow host as many as fit."""
    found = [p for p in calls_of(t, argv, follow) if p[0] not in SKIP_CALLS]
    random.Random(len(found)).shuffle(found)
    return within(found, seconds)


def within(items, seconds):
    """As many as fit; where everything is slow the time is short, as other tests wait."""
    end = time.monotonic() + (seconds / 3 if host.is_disposable() else seconds)
    for item in items:
        if time.monotonic() > end:
            return
        yield item


@envs("hybrid")
@deadline(120)
def test_a_kill_at_any_moment_of_create_leaves_nothing_after_delete(t):
    t.need("strace")
    b = t.bundle().probe("sleep", 1000).save()
    sample = t.container(b)
    moments = list(points(t, t.command("create", "-b", b.path, sample.id), False))
    nothing_left(t, sample, "after the sample")
    for name, count in within(moments, 40):
        c = t.container(b)
        kill_at(t, t.command("create", "-b", b.path, c.id), name, count, False)
        nothing_left(t, c, f"killed at {name} {count}")


@wall("process", "followed into a machine a trace takes minutes; create, start, exec and delete are tried so")
@each(follow={"the runtime": False, "any process of it": True})
@envs("hybrid")
@deadline(120)
def test_a_kill_at_any_moment_of_run_leaves_nothing_after_delete(t, follow):
    t.need("strace")
    b = t.bundle().probe("exit", 0).save()
    argv = t.command("run", "-b", b.path, t.name())
    for name, count in points(t, argv, follow):
        c = t.container(b)
        kill_at(t, t.command("run", "-b", b.path, c.id), name, count, follow)
        nothing_left(t, c, f"killed at {name} {count}")


@envs("hybrid")
@deadline(120)
def test_a_kill_at_any_moment_of_start_leaves_nothing_after_delete(t):
    t.need("strace")
    b = t.bundle().probe("sleep", 1000)
    sample = t.created(b)
    moments = list(points(t, t.command("start", sample.id), False))
    nothing_left(t, sample, "after the sample")
    for name, count in within(moments, 40):
        c = t.created(b)
        kill_at(t, t.command("start", c.id), name, count, False)
        true(t.runtime("state", c.id).code == 0, f"no state after a kill of start at {name} {count}")
        nothing_left(t, c, f"killed at {name} {count}")


@envs("hybrid")
@deadline(120)
def test_a_kill_at_any_moment_of_exec_leaves_the_container_usable(t):
    t.need("strace")
    c = t.up()
    argv = t.command("exec", c.id, "/bin/true")
    for name, count in points(t, argv, True):
        kill_at(t, argv, name, count, True)
        c.probe("exit", 3).exits(3)
    nothing_left(t, c, "after all")


@envs("hybrid")
@deadline(120)
def test_a_kill_at_any_moment_of_delete_is_finished_by_the_next_delete(t):
    t.need("strace")
    b = t.bundle().probe("sleep", 1000)
    sample = t.up(b)
    moments = points(t, t.command("delete", "--force", sample.id), False)
    for name, count in moments:
        c = t.up(b)
        kill_at(t, t.command("delete", "--force", c.id), name, count, False)
        nothing_left(t, c, f"killed at {name} {count}")


@wall("both", quick=True)
@envs("hybrid")
@deadline(60)
def test_a_kill_at_a_random_time_of_run_leaves_nothing_after_delete(t):
    b = t.bundle().probe("exit", 0).save()
    chooser = random.Random(6)
    for _ in range(40):
        c = t.container(b)
        runtime = t.spawn_runtime("run", "-b", b.path, c.id, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chooser.random() * 0.012)
        runtime.kill()
        runtime.wait()
        nothing_left(t, c, "killed at a random time")


@wall("process", "followed into a machine a trace takes minutes; create, start, exec and delete are tried so")
@envs("hybrid")
@deadline(60)
def test_a_system_call_that_fails_anywhere_is_a_clean_error(t):
    t.need("strace")
    b = t.bundle().probe("exit", 0).save()
    argv = t.command("run", "-b", b.path, t.name())
    kinds = {"openat": "EMFILE", "clone3": "EAGAIN", "mkdirat": "ENOSPC", "fsopen": "EPERM", "fsmount": "EPERM",
             "move_mount": "EINVAL", "open_tree": "EPERM", "mount_setattr": "EINVAL", "pivot_root": "EINVAL",
             "setresuid": "EAGAIN", "capset": "EPERM", "write": "ENOSPC", "renameat": "ENOSPC", "bpf": "EPERM",
             "sethostname": "EPERM", "openat2": "ENOENT", "pipe2": "EMFILE", "socketpair": "EMFILE", "mknodat": "EPERM"}
    chooser = random.Random(7)
    moments = [p for p in calls_of(t, argv, True) if p[0] in kinds and p[1] > (8 if p[0] == "openat" else 0)]
    for name, count in within(chooser.sample(moments, min(40, len(moments))), 30):
        c = t.container(b)
        result = t.call(["strace", "-f", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                         f"inject={name}:error={kinds[name]}:when={count}", *t.command("run", "-b", b.path, c.id)], timeout=15)
        true(result.code >= 0 and result.code < 128, f"{name} {count} fails with {kinds[name]}: {result}")
        if result.code != 0:
            true(result.err.strip(), f"no message when {name} {count} fails with {kinds[name]}")
        nothing_left(t, c, f"{name} {count} failed")


# -- too little of everything


@envs("hybrid")
@deadline(60)
def test_a_full_disk_under_the_state_is_an_error_that_undoes_itself(t):
    linux.private_mounts()
    root = t.dir("small")
    b = t.bundle().probe("exit", 0).save()
    outcomes = set()
    size, counts = ("64k", range(2, 20, 3)) if t.wall == "vm" else ("8k", range(2, 12))  # a machine has more there
    for inodes in counts:
        linux.mount("tmpfs", root, "tmpfs", 0, f"mode=700,size={size},nr_inodes={inodes}")
        name = t.name()
        result = t.call(t.command("run", "-b", b.path, name, root=root))
        outcomes.add(result.code)
        if result.code != 0:
            has(result.err, "no space left on device")
        left = t.call([t.binary, "--root", root, "list", "-q"]).out.split()
        eq(left, [], f"containers left with {inodes} inodes")
        true(not os.path.exists(f"{t.cgroup_base}/{name}"), "the cgroup is left")
        linux.umount(root)
    eq(outcomes, {0, 1}, "a failure and a success at least")


@envs("hybrid")
def test_a_state_directory_that_others_may_write_is_refused(t):
    root = t.dir("open", 0o777)
    b = t.bundle().save()
    t.call(t.command("run", "-b", b.path, t.name(), root=root)).fails(root)
    eq(os.listdir(root), [])


@envs("hybrid")
def test_a_read_only_state_directory_is_an_error_that_undoes_itself(t):
    linux.private_mounts()
    root = t.dir("ro")
    linux.mount("tmpfs", root, "tmpfs", linux.MS_RDONLY, "mode=700")
    b = t.bundle().save()
    name = t.name()
    t.call(t.command("run", "-b", b.path, name, root=root)).fails("read-only file system")
    true(not os.path.exists(f"{t.cgroup_base}/{name}"), "the cgroup is left")
    linux.umount(root)


@each(limit={"descriptors 3": (resource.RLIMIT_NOFILE, 3), "descriptors 8": (resource.RLIMIT_NOFILE, 8),
             "descriptors 12": (resource.RLIMIT_NOFILE, 12), "address space": (resource.RLIMIT_AS, 20 << 20),
             "file size": (resource.RLIMIT_FSIZE, 0)})
@envs("hybrid")
def test_a_runtime_that_may_use_little_fails_cleanly_or_works(t, limit):
    kind, value = limit
    b = t.bundle().probe("exit", 0).save()
    c = t.container(b)

    def lower():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(kind, (value, value))
    result = t.runtime("run", "-b", b.path, c.id, preexec=lower)
    true(0 <= result.code < 128, str(result))
    nothing_left(t, c, "after the run")


@each(target={"full": "/dev/full", "closed": None})
@envs("hybrid")
def test_output_that_cannot_be_written_is_an_error(t, target):
    c = t.up()
    for command in (["state", c.id], ["list"], ["features"]):
        argv = " ".join(t.command(*command))
        result = t.call(["/bin/sh", "-c", f"exec {argv} >{target}" if target else f"exec {argv} >&-"])
        true(result.code > 0 and result.code < 128, f"{command}: {result}")


# -- files that are traps


@each(kind={"fifo": "fifo", "directory": "directory", "endless device": "zero", "socket": "socket", "link to a device": "link",
            "link to itself": "loop", "unreadable": "proc"})
@envs("hybrid")
def test_a_config_that_is_no_regular_file_is_refused_at_once(t, kind):
    b = t.bundle()
    path = f"{b.path}/config.json"
    server = None
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        os.mkdir(path)
    elif kind == "zero":
        os.mknod(path, 0o020666, os.makedev(1, 5))
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
    else:
        os.symlink({"link": "/dev/zero", "loop": "config.json", "proc": "/proc/self/mem"}[kind], path)
    result = t.runtime("run", "-b", b.path, t.name(), timeout=5).fails("config")
    if server:
        server.close()
    result.within(2)


@each(kind={"process file": "exec", "resources file": "update"})
@envs("hybrid")
def test_other_documents_that_are_fifos_or_devices_are_refused_at_once(t, kind):
    c = t.up()
    fifo = f"{t.tmp}/fifo"
    os.mkfifo(fifo)
    for path in (fifo, "/dev/zero"):
        argv = ["exec", "-p", path, c.id] if kind == "exec" else ["update", "-r", path, c.id]
        t.runtime(*argv, timeout=5).fails()


def raw(t, text):
    b = t.bundle().save()
    with open(f"{b.path}/config.json", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return t.runtime("run", "-b", b.path, t.name(), timeout=10)


@each(text={
    "deep arrays": '{"a":' + "[" * 200000, "deep objects": '{"a":' * 100000 + "1" + "}" * 100000,
    "closed deep arrays": '{"a":' + "[" * 5000 + "]" * 5000 + "}",
    "huge string": '{"ociVersion":"' + "1" * (20 << 20) + '"}', "huge number": '{"ociVersion":' + "9" * (1 << 20) + "}",
    "huge exponent": '{"ociVersion":1e999999999}', "many members": "{" + ",".join(f'"m{i}":{i}' for i in range(300000)) + "}",
    "NUL inside": b'{"ociVersion":"1.0.0\0"}', "escaped NUL": '{"ociVersion":"1.0.2\\u0000"}',
    "lone surrogate": '{"ociVersion":"\\ud800"}', "control character": '{"ociVersion":"1.0\x01"}',
})
@envs("hybrid")
def test_a_hostile_document_is_refused_in_little_time(t, text):
    result = raw(t, text)
    true(0 < result.code < 128, str(result)[:500])
    result.within(3)
    hasnt(result.err, "Segmentation", "assert")


@each(member={
    "hostname": lambda b: b.config.update(hostname="a\0b"), "cwd": lambda b: b.process.update(cwd="/tmp\0/x"),
    "argument": lambda b: b.process.update(args=["/bin/true", "a\0b"]), "environment": lambda b: b.process["env"].append("A=b\0c"),
    "mount source": lambda b: b.mount("/data", "tmpfs", "a\0b"), "mount destination": lambda b: b.mount("/da\0ta", "tmpfs", "x"),
    "mount type": lambda b: b.mount("/data", "tmp\0fs", "x"), "root path": lambda b: b.config["root"].update(path="root\0fs"),
    "cgroup path": lambda b: b.linux.update(cgroupsPath="/a\0b"), "hook": lambda b: b.hook("prestart", "/bin/tr\0ue"),
    "sysctl": lambda b: b.linux.update(sysctl={"net.ipv4.ip_forward\0x": "1"}),
    "masked path": lambda b: b.linux["maskedPaths"].append("/proc/\0x"),
})
@envs("hybrid")
def test_a_nul_byte_in_a_string_is_refused(t, member):
    # JSON can say \u0000, C cannot: the rest of the string must not be lost silently.
    b = t.bundle()
    member(b)
    t.run(b).fails()


@envs("hybrid")
def test_an_environment_beyond_what_execve_takes_is_an_error(t):
    b = t.bundle()
    b.process["env"] += [f"V{i}=" + "x" * 100000 for i in range(40)]
    t.run(b).fails()


@each(text={"empty": "", "cut off": '{"ociVersion":"1.', "garbage": "\x00\xff\x00", "null": "null", "wrong types": '{"pid":"x","id":1}',
            "other id": '{"id":"../../etc"}', "huge pid": '{"pid":99999999999999999999}', "negative pid": '{"pid":-1,"initPid":-1}'})
@envs("hybrid")
def test_a_damaged_state_does_not_crash_any_command(t, text):
    c = t.up()
    pid = c.pid
    for top, _, names in os.walk(f"{t.root}/{c.id}"):
        for name in names:
            if os.path.isfile(f"{top}/{name}") and not os.path.islink(f"{top}/{name}"):
                with open(f"{top}/{name}", "w", encoding="utf-8") as f:
                    f.write(text)
    for command in (["state", c.id], ["list"], ["kill", c.id, "0"], ["ps", c.id], ["pause", c.id], ["exec", c.id, "/bin/true"],
                    ["events", "--stats", c.id], ["start", c.id], ["delete", c.id], ["delete", "--force", c.id]):
        result = t.runtime(*command, timeout=15)
        true(0 <= result.code <= 255 and result.code not in range(129, 160), f"{command}: {result}")
    eq(os.path.exists(f"{t.root}/{c.id}"), False, "a damaged state is left after delete --force")
    # What the damage hid from the runtime is ours to take away.
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    t.until(lambda: t.reap() or not os.path.exists(f"/proc/{pid}"), 5, "the end of init")
    if os.path.exists(f"{t.cgroup_base}/{c.id}"):
        os.rmdir(f"{t.cgroup_base}/{c.id}")


@envs("hybrid")
def test_a_state_directory_that_is_a_link_is_not_followed(t):
    canary = t.dir("canary")
    t.file("canary/state.json", "{}")
    name = t.name()
    os.symlink(canary, f"{t.root}/{name}")
    for command in ("state", "kill", "start"):
        t.runtime(command, name).fails()
    t.runtime("delete", "--force", name)
    eq(os.listdir(canary), ["state.json"])
    if os.path.islink(f"{t.root}/{name}"):
        os.unlink(f"{t.root}/{name}")


@envs("hybrid")
def test_a_program_that_fills_its_terminal_or_pipe_does_not_hang_delete(t):
    c = t.up(t.bundle().shell("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaa; done >/dev/null"))
    c.delete("--force").ok().within(2)


@envs("hybrid")
def test_a_reader_that_went_away_ends_the_run(t):
    b = t.bundle().shell("while :; do echo line || exit 9; done").save()
    argv = " ".join(t.command("run", "-b", b.path, t.name()))
    result = t.call(["/bin/sh", "-c", f"{argv} | head -1"], timeout=10).ok()
    eq(result.out, "line\n")


@each(name={"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "hang up": signal.SIGHUP})
@envs("hybrid")
def test_a_signal_while_creating_leaves_nothing_after_delete(t, name):
    b = t.bundle().hook("createRuntime", "/bin/sleep", args=["sleep", "0.5"]).probe("sleep", 1000).save()
    c = t.container(b)
    runtime = t.spawn_runtime("create", "-b", b.path, c.id, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.15)
    runtime.send_signal(name)
    runtime.wait(10)
    nothing_left(t, c, "after the signal")
