# SPDX-License-Identifier: Apache-2.0
"""
A kernel, or a sandbox around the runtime, without calls that the walls are made of. What the runtime
then makes is the same container, or none; never a weaker one.
"""

import os

import linux
from breach import Canary, install, is_clean, planted, program
from case import deadline, each, envs, eq, facts, has, true

WALL = ("process", "the walls that are made of these calls; a machine makes the same ones around itself")

# By number, as strace and the headers have them for x86-64 and, from 424 on, for all.
CALLS = {
    "openat2": 437, "close_range": 436, "clone3": 435, "pidfd_open": 434, "pidfd_send_signal": 424, "open_tree": 428, "open_tree_attr": 467,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442, "faccessat2": 439,
    "fchmodat2": 452, "memfd_create": 319, "execveat": 322, "pivot_root": 155, "unshare": 272, "setns": 308, "sethostname": 170,
    "seccomp": 317, "prctl": 157, "capset": 126, "capget": 125, "setgroups": 116, "setresuid": 117, "setresgid": 119, "bpf": 321,
    "keyctl": 250, "prlimit64": 302, "setrlimit": 160, "umount2": 166, "mount": 165, "signalfd4": 289, "setsid": 112, "fchown": 93,
    "fchownat": 260, "statfs": 137, "fstatfs": 138, "mknodat": 259, "symlinkat": 266, "mkdirat": 258, "dup2": 33,
    "flock": 73, "renameat": 264, "sched_setaffinity": 203, "chroot": 161, "fchdir": 81, "getcwd": 79, "unlinkat": 263,
}
UNUSED = "134"  # uselib: the filter around us shows in the container, so what is compared with has one too
MAY_DIFFER = {
    # Without keyrings in the kernel there is no session to leave. The rest names what the caller has, not the container.
    "keyctl": {"keyring"},
}


def everything(t):
    """One program that tells all it can about its walls."""
    b = t.bundle().writable()
    b.config["root"]["readonly"] = True
    b.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [7]}
    b.linux["resources"]["devices"].append({"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"})
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}
    b.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "1000000"}
    b.mount("/data", "tmpfs", "tmpfs", ["nosuid", "nodev", "noexec", "ro"])
    install(t, b, "hostile")
    os.makedirs(f"{b.rootfs}/nodes")
    for major, minor in ((1, 3), (5, 1), (10, 229)):
        path = f"{b.rootfs}/nodes/c:{major}:{minor}"
        os.mknod(path, 0o20666, os.makedev(major, minor))
        os.chmod(path, 0o666)
    parts = ["ids", "status Cap Groups", "fds", "rlimits", "umask", "seccomp-status", "uname", "session", "sysctl net.ipv4.ip_forward",
             "sysctl kernel.shmmax", "keyring", "mounts", "ns"]
    script = "".join(f"echo [{p.split('.')[-1].split()[0]}]; probe {p}; " for p in parts)
    return b.shell(script + "echo [devices]; hostile devices /tmp c:1:3 c:5:1 c:10:229; echo [cgroup]; cat /proc/self/cgroup; echo [end]")


def sections(out):
    """What differs from run to run by nature (numbers of mounts, namespaces, keys, names of files) is taken out."""
    found, name = {}, None
    for line in out.splitlines():
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1]
            found[name] = []
            continue
        if name == "mounts":
            left, _, right = line.partition(" - ")
            fields = left.split()
            line = " ".join([fields[4], fields[5], *sorted(f.split(":")[0] for f in fields[6:]), right.split()[0]])
        elif name == "ns":
            line = line.split()[0]
        elif name == "fds":
            line = line.split()[0]
        elif name == "keyring" and line.startswith("id "):
            continue
        elif name == "keyring":
            line = line.split(";")[-1].split(".")[0]
        found[name].append(line)
    return found


def namespaces_of(out):
    lines = out.split("[ns]")[1].split("[devices]")[0].split()
    return dict(zip(lines[::2], lines[1::2]))


@each(answer={"it is not known": 38, "it is not allowed": 1})
@deadline(60)
@envs("hybrid")
def test_t18_without_a_call_there_is_the_same_container_or_none(t, answer):
    # Naive: an old kernel's answer is taken for success, or a weaker call is used instead (safe_openat without
    # O_NOFOLLOW, descriptors left open without close_range, no device program without bpf).
    canary = Canary(t)
    b = everything(t).save()
    outside = {k: os.readlink(f"/proc/self/ns/{k}") for k in ("mnt", "pid", "net", "ipc", "uts", "cgroup")}
    fds = [os.open(canary.dir, os.O_RDONLY) for _ in range(5)]
    for fd in fds:
        os.set_inheritable(fd, True)

    def start(name, *around):
        argv = [*around, *t.command("run", "-b", b.path, name)]
        return t.call(argv, pass_fds=tuple(fds), preexec=lambda: os.setgroups([4242]))

    usual = start(t.name(), program(t, "refuse"), str(answer), UNUSED).ok()
    wanted = sections(usual.out)
    true("end" in wanted and wanted["devices"][1].endswith("---"), f"the container tells too little: {usual}")
    with_it, other = [], []
    for call, number in CALLS.items():
        name = t.name()
        result = start(name, program(t, "refuse"), str(answer), str(number))
        # What cannot be undone without the call either may be left: it is taken away with a whole kernel.
        t.runtime("delete", "--force", name).ok()
        if not is_clean(result, f"a start without {call}"):
            continue
        found = sections(result.out)
        for part in sorted(wanted.keys() - MAY_DIFFER.get(call, set())):
            if found.get(part) != wanted[part]:
                other.append(f"[{part}] without {call}: {found.get(part)}, else {wanted[part]}")
        inside = namespaces_of(result.out)
        for kind, link in outside.items():
            true(inside[kind] != link, f"without {call} the {kind} namespace is the host's")
        with_it.append(call)
    for fd in fds:
        os.close(fd)
    eq(other, [], "containers that are not the same")
    has(with_it, "open_tree_attr", "fspick")
    for call in ("openat2", "move_mount", "fsopen", "fsmount", "mount_setattr", "pivot_root", "seccomp", "capset", "setgroups", "setresuid"):
        true(call not in with_it, f"a container was made without {call}: what did that call do before?")


@deadline(40)
@envs("hybrid")
def test_t18_an_exec_without_a_call_is_the_same_or_none(t):
    c = t.up(everything(t).probe("sleep", "1000"))
    script = "probe ids; probe status Cap; probe seccomp-status; probe umask; probe fds | cut -d' ' -f1; probe session"
    wanted = t.call([program(t, "refuse"), "38", UNUSED, *t.command("exec", c.id, "/bin/sh", "-c", script)]).ok().out
    fd = os.open("/", os.O_RDONLY)
    os.set_inheritable(fd, True)
    other = []
    for call, number in CALLS.items():
        for answer in (1, 38):
            argv = [program(t, "refuse"), str(answer), str(number), *t.command("exec", c.id, "/bin/sh", "-c", script)]
            result = t.call(argv, pass_fds=(fd,), preexec=lambda: os.setgroups([4242]))
            if is_clean(result, f"an exec without {call}"):
                found = [x for x in result.out.splitlines() if not x.startswith(("pid", "pgid", "sid"))]
                usual = [x for x in wanted.splitlines() if not x.startswith(("pid", "pgid", "sid"))]
                if found != usual:
                    other.append(f"without {call}: {found}, else {usual}")
    os.close(fd)
    eq(other, [], "programs that are not the same")


@envs("hybrid")
def test_t18_without_openat2_links_lead_nowhere_either(t):
    canary = Canary(t)
    b = t.bundle().writable().without_mount("/dev/mqueue").bind(t.dir("volume"), "/data/volume").probe("cwd")
    b.process["cwd"] = "/srv/made"
    for name in ("/dev", "/data", "/data/volume", "/srv", "/etc/passwd", "/sys/fs"):
        for kind in ("absolute", "relative", "through itself"):
            with planted(b.rootfs, name, kind, canary):
                b.save()
                for calls in ("437", "437,428,429,430,431,432,433,442,467"):
                    id_ = t.name()
                    result = t.call([program(t, "refuse"), "38", calls, *t.command("run", "-b", b.path, id_)])
                    is_clean(result, f"{name} without {calls}")
                    t.runtime("delete", "--force", id_)
            canary.unharmed(f"{name} ({kind}) on an old kernel")


@envs("hybrid")
def test_t18_the_old_mount_call_is_never_made(t):
    # mount(2) takes paths; what it would do between two looks at them is anybody's guess.
    t.need("strace")
    b = t.bundle().bind(t.dir("volume"), "/data").probe("cwd").save()
    log = f"{t.tmp}/trace"
    t.call(["strace", "-f", "-o", log, "-e", "trace=mount,umount2,move_mount", *t.command("run", "-b", b.path, t.name())]).ok()
    lines = [line.split(None, 1)[1] for line in linux.read(log).splitlines()]
    eq([x for x in lines if x.startswith("mount(")], [])
    true([x for x in lines if x.startswith("move_mount(")], "the trace shows no mount at all")
    names = {x.split('"')[1] for x in lines if x.startswith("umount2(")}
    true(names <= {"."}, f"unmounted by name: {names}")
