# SPDX-License-Identifier: Apache-2.0
"""
Names in a hostile image or volume: whatever they are replaced by, and whenever, nothing of the host is reached.

The oracle is a tree of the host with its hashes, times and owners (breach.Canary), the runner's census
of mounts, and what the container itself says.
"""

import contextlib
import os
import shutil
import socket
import stat

import linux
from breach import LINKS, SECRET, Canary, bystander, is_clean, planted, remove, swapping, touched
from case import deadline, each, envs, eq, has, hasnt, true, wall
from console import ConsoleSocket

WALL = "both"


def rich(t):
    """Every kind of destination there is: the default mounts, volumes, files, devices, a missing directory to work in."""
    b = t.bundle().writable()
    t.dir("volume")
    t.file("volume/file", "of the volume\n")
    b.bind(f"{t.tmp}/volume", "/data/volume").bind(f"{t.tmp}/volume/file", "/etc/hostname", "ro")
    b.bind(f"{t.tmp}/volume/file", "/run/secrets/deep/file")
    b.mount("/var/tmp", "tmpfs", "tmpfs", ["tmpcopyup"])
    b.process["cwd"] = "/srv/place/here"
    return b.probe("cwd")


def bare(t):
    """Nothing is mounted, so that /dev, /proc and /sys are the image's own."""
    b = t.bundle().writable().probe("cwd")
    b.config["mounts"] = []
    b.linux["devices"] = [{"path": "/dev/extra/node", "type": "c", "major": 1, "minor": 3}]
    b.linux["maskedPaths"] += ["/opt/masked", "/opt/masked-file"]
    b.linux["readonlyPaths"] += ["/opt/readonly"]
    for name in ("opt/masked", "opt/readonly", "proc/sys", "proc/bus", "proc/acpi", "sys/firmware"):
        os.makedirs(f"{b.rootfs}/{name}")
    for name in ("opt/masked-file", "proc/keys", "proc/timer_list", "proc/sysrq-trigger"):
        b.write(name, "of the image\n")
    return b


def paths_of(t, b):
    """What a run of this bundle touches below its root: so a path that is new in the runtime is tried by itself."""
    t.need("strace")
    b.save()
    log = f"{t.tmp}/trace"
    t.call(["strace", "-f", "-y", "-s", "4096", "-o", log, *t.command("run", "-b", b.path, t.name())]).ok()
    return touched(linux.read(log), b.rootfs)


@wall("process", "some hundred starts; the links of an image are a guest's own, and vm/fs has tests of its own")
@each(shape={"every kind of mount": (rich, 1), "no mount at all": (bare, 0)})
@deadline(60)
@envs("hybrid")
def test_t01_no_path_that_a_run_touches_leads_out_when_it_is_a_link(t, shape):
    # A runtime that makes, mounts, opens or changes by name follows one of these (CVE-2015-1335,
    # CVE-2015-3627, CVE-2019-18837, CVE-2026-41579, CVE-2026-47766).
    make, mounts = shape
    b = make(t)
    canary = Canary(t)
    names = paths_of(t, b)
    for expected in ("/dev/null", "/proc/keys", "/bin/probe", "/etc/passwd"):
        has(names, expected)
    if mounts:  # what lies inside a mount of the runtime's own is not the image's
        names = [n for n in names if not n.startswith(("/proc/", "/dev/", "/sys/"))]
        for expected in ("/data/volume", "/run/secrets", "/run/secrets/deep/file", "/srv/place", "/var/tmp"):
            has(names, expected)
    ran = 0
    for i, name in enumerate(names):
        for j, kind in enumerate(LINKS):
            if not mounts and (i + j) % 3 and name.count("/") > 1:
                continue  # the many leaves of /proc and /dev: a third of the kinds each
            with planted(b.rootfs, name, kind, canary):
                ran += is_clean(t.run(b), f"a link ({kind}) for {name}")
            canary.unharmed(f"a link ({kind}) for {name}")
    true(ran > len(names), f"only {ran} runs with a link took place: the others prove little")


@wall("process", "no container")
@envs("hybrid")
def test_t01_the_canary_sings_when_a_path_is_followed(t):
    # The teeth of the test above: what each step of a naive runtime would do to the tree.
    steps = {
        "mkdir": lambda rootfs: os.makedirs(f"{rootfs}/dev/new"),
        "mknod": lambda rootfs: os.mknod(f"{rootfs}/dev/tty", stat.S_IFCHR | 0o666, os.makedev(5, 0)),
        "chown": lambda rootfs: os.chown(f"{rootfs}/dev/null", 0, 0),
        "unlink": lambda rootfs: os.unlink(f"{rootfs}/dev/ptmx"),
        "truncate": lambda rootfs: os.truncate(f"{rootfs}/dev/console", 0),
    }
    for name, step in steps.items():
        canary = Canary(t, name)
        b = t.bundle()
        with planted(b.rootfs, "/dev", "absolute", canary):
            step(b.rootfs)
        true(canary.differences(), f"nobody notices {name} behind a link")


@deadline(60)
@envs("hybrid")
def test_t02_targets_that_are_exchanged_while_containers_start(t):
    # CVE-2021-30465, CVE-2019-19921, CVE-2024-45310: looked at first, used by name later.
    canary = Canary(t)
    volume = t.dir("volume")
    t.file("one", "one\n")
    for name in ("a", "f", "w", "d"):
        os.mkdir(f"{volume}/{name}")
        os.symlink(canary.dir, f"{volume}/{name}.link")
    b = t.bundle().writable().probe("mounts").bind(volume, "/data")
    b.mount("/data/a/inner", "tmpfs", "tmpfs").bind(f"{t.tmp}/one", "/data/f/made/file")
    b.mount("/data/d", "tmpfs", "tmpfs", ["tmpcopyup"])
    b.process["cwd"] = "/data/w/made"
    b.linux["maskedPaths"].append("/data/a")
    b.linux["readonlyPaths"].append("/data/f")
    b.linux["devices"] = [{"path": "/data/w/node", "type": "c", "major": 1, "minor": 3}]
    pairs = [name for n in ("a", "f", "w", "d") for name in (f"{volume}/{n}", f"{volume}/{n}.link")]
    host_mounts = linux.read("/proc/self/mountinfo")
    held = [os.open(f"{volume}/{n}", os.O_PATH | os.O_DIRECTORY) for n in ("a", "f", "w", "d")]
    ran = 0
    with swapping(t, *pairs), swapping(t, *reversed(pairs)):
        for i in range(150 if t.wall == "process" else 8):
            result = t.run(b)
            ran += is_clean(result, f"start {i}")
            for line in result.out.splitlines():
                source = line.split()[3]  # what a mount shows; a link's target below the image's root is none of the host's
                # A guest names it from the root that it is served, which is the image's.
                below = b.rootfs in source or t.wall == "vm" and os.path.exists(b.rootfs + source)
                true(canary.path not in source or below, f"the host's {source} is mounted inside")
            for directory in held:
                for made in ("inner", "made"):
                    shutil.rmtree(made, ignore_errors=True, dir_fd=directory)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink("node", dir_fd=directory)
    for directory in held:
        os.close(directory)
    canary.unharmed("exchanges during starts")
    eq(linux.read("/proc/self/mountinfo"), host_mounts, "mounts of the host")
    true(ran > 0, "no container started: the race was never run")


@each(case={
    "a link": lambda path: os.symlink("/tmp", path), "a link to the real one": lambda path: os.symlink("/proc/self/root/proc", path),
    "a file": lambda path: open(path, "wb").close(), "a fifo": os.mkfifo,
    "a device": lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3)),
})
@envs("hybrid")
def test_t03_proc_and_sys_of_the_image_have_to_be_directories(t, case):
    # CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867: a procfs somewhere else, and the masks on nothing.
    for name in ("proc", "sys"):
        b = t.bundle()
        os.rmdir(f"{b.rootfs}/{name}")
        case(f"{b.rootfs}/{name}")
        if name == "sys":
            b.without_mount("/sys/fs/cgroup")
        t.run(b).fails(f"/{name}", "must be mounted on ordinary directory", code=1)


@envs("hybrid")
def test_t03_neither_may_a_parent_of_them_be_a_link(t):
    b = t.bundle()
    os.mkdir(f"{b.rootfs}/elsewhere")
    os.symlink("elsewhere", f"{b.rootfs}/link")
    for kind in ("proc", "sysfs"):
        t.run(t_mount(b, "/link/here", kind)).fails("/link/here", "must be mounted on ordinary directory")


def t_mount(b, destination, kind):
    b.config["mounts"] = [m for m in b.config["mounts"] if m["destination"] != destination]
    return b.mount(destination, kind, kind)


PLANTS = {
    "a link": lambda path, canary: os.symlink(canary.file, path), "a dangling link": lambda path, canary: os.symlink(f"{canary.dir}/new", path),
    "a hard link": lambda path, canary: os.link(canary.file, path), "a fifo": lambda path, canary: os.mkfifo(path),
    "a device": lambda path, canary: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(5, 0)),
}


@each(plant=PLANTS)
@envs("hybrid")
def test_t04_what_the_runtime_creates_was_planted_before(t, plant):
    # CVE-2024-45310, CVE-2025-24965, CVE-2026-1386: O_CREAT on a name that somebody else may have made. A fifo hangs it.
    canary = Canary(t)
    links = os.stat(canary.file).st_nlink

    def settle():  # a hard link that was planted is in its link count; that is ours
        os.utime(canary.file, ns=(canary.before["file"][6], canary.before["file"][6]))
        canary.before["file"] = canary._take()["file"]

    # Mount points for files, the working directory, and the file that names the user's home.
    for name in ("etc/hostname", "opt/mountpoint", "srv", "etc/passwd"):
        b = t.bundle().writable().shell("true").bind(t.file("source", "text\n"), f"/{name}")
        if name == "srv":
            b = t.bundle().writable().shell("true")
            b.process["cwd"] = "/srv/place"
        if name == "etc/passwd":
            b = t.bundle().shell("echo $HOME")
        path = f"{b.rootfs}/{name}"
        remove(path)
        plant(path, canary)
        settle()
        out = t.run(b, timeout=2)
        is_clean(out, f"a planted {name}")
        hasnt(out.out, SECRET)
        canary.unharmed(f"a planted {name}")
        remove(path)
    # The names the runtime uses for a moment in a directory that others can write to.
    for name in (".pid.tmp", "pid"):
        directory = t.dir(f"shared{name}", 0o777)
        plant(f"{directory}/{name}", canary)
        settle()
        c = t.container(t.bundle().probe("sleep", "1000"))
        if is_clean(c.run_detached("--pid-file", f"{directory}/pid", timeout=2), f"a planted {name}"):
            eq(linux.read(f"{directory}/pid"), str(c.pid))
            true(not os.path.islink(f"{directory}/pid"), "the pid file is a link")
        c.delete("--force").ok()
        remove(f"{directory}/{name}")
        settle_links = os.stat(canary.file).st_nlink
        true(settle_links >= links, "a name of the host's is gone")
        with open(canary.file, encoding="ascii") as f:
            eq(f.read(), f"{SECRET}\n", f"the file behind a planted {name}")
        eq(os.path.lexists(f"{canary.dir}/new"), False)


@envs("hybrid")
def test_t04_a_state_directory_that_was_planted_is_not_entered(t):
    canary = Canary(t)
    for plant in (lambda p: os.symlink(canary.dir, p), lambda p: os.symlink(f"{canary.dir}/new", p), os.mkfifo,
                  lambda p: open(p, "wb").close()):
        name = t.name()
        plant(f"{t.root}/{name}")
        b = t.bundle().save()
        for command in (("create", "-b", b.path, name), ("state", name), ("delete", name), ("kill", name, "KILL"),
                        ("delete", "--force", name)):
            is_clean(t.runtime(*command, timeout=5), f"{command[0]} with a planted state directory")
        canary.unharmed("a planted state directory")
        remove(f"{t.root}/{name}")


@envs("hybrid")
def test_t04_a_log_that_nobody_reads_hangs_nothing(t):
    fifo = f"{t.tmp}/log"
    os.mkfifo(fifo)
    result = t.runtime("list", options=("--log", fifo), timeout=2)
    true(result.code >= 0, f"killed: {result}")


MASKED = ("/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware")


def looks(*extra):
    """Prints what can be seen of masked paths, and of some more."""
    lines = [f"echo {p}: $(cat {p} 2>/dev/null | head -c 100) $(ls {p} 2>/dev/null | grep -vx {p})" for p in MASKED]
    return "\n".join([*lines, *extra])


FAKES = {
    "a link to a file": lambda path: os.symlink("/etc/image-file", path),
    "a link into proc": lambda path: os.symlink("/proc/timer_list", path),
    "a link that loops": lambda path: os.symlink("null", path),
    "a file": lambda path: open(path, "wb").write(b"of the image\n"),
    "a directory": os.mkdir,
    "a fifo": os.mkfifo,
    "another device": lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5)),
}


@each(fake=FAKES)
@envs("hybrid")
def test_t06_a_null_device_of_the_image_masks_nothing(t, fake):
    # CVE-2025-31133: the container's /dev/null was bound over the paths to mask, and led elsewhere.
    for bound in (False, True):
        b = t.bundle().writable().without_mount("/dev").shell(looks())
        for name in ("/dev/pts", "/dev/shm", "/dev/mqueue"):
            b.without_mount(name)
        dev = f"{b.rootfs}/dev"
        if bound:
            dev = t.dir("dev")
            b.bind(dev, "/dev")
        fake(f"{dev}/null")
        result = t.run(b)
        if is_clean(result, "a fake null device"):
            eq(result.out.splitlines(), [f"{p}:" for p in MASKED])
        remove(dev)


@deadline(40)
@envs("hybrid")
def test_t06_a_null_device_that_is_exchanged_all_the_time(t):
    dev = t.dir("dev")
    os.mknod(f"{dev}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chmod(f"{dev}/null", 0o666)
    os.symlink("/proc/timer_list", f"{dev}/null.link")
    b = t.bundle().writable().without_mount("/dev").shell(looks()).bind(dev, "/dev")
    for name in ("/dev/pts", "/dev/shm", "/dev/mqueue"):
        b.without_mount(name)
    ran = 0
    with swapping(t, f"{dev}/null", f"{dev}/null.link"):
        for i in range(40 if t.wall == "process" else 6):
            result = t.run(b)
            if is_clean(result, f"start {i}"):
                eq(result.out.splitlines(), [f"{p}:" for p in MASKED])
                ran += 1
    true(ran > 0, "no container started")


@each(kind={"link": lambda p, c: os.symlink(f"{c.dir}/console", p), "file": lambda p, c: open(p, "wb").close(),
            "fifo": lambda p, c: os.mkfifo(p)})
@envs("hybrid")
def test_t06_names_of_terminals_in_the_image_are_not_followed(t, kind):
    # CVE-2025-52565: /dev/pts/0 was a link when it was bound on /dev/console.
    canary = Canary(t)
    b = t.bundle().writable().without_mount("/dev").without_mount("/dev/shm").without_mount("/dev/mqueue")
    b.process["terminal"] = True
    b.shell("probe stat /dev/console; probe stat /dev/ptmx; probe tty; echo end")
    for name in ("console", "ptmx", "pts/0", "tty"):
        os.makedirs(f"{b.rootfs}/dev/pts", exist_ok=True)
        kind(f"{b.rootfs}/dev/{name}", canary)
    c = t.container(b)
    with ConsoleSocket(f"{t.tmp}/console") as console:
        result = c.create("--console-socket", console.path)
        if is_clean(result, "planted terminals"):
            _, terminal = console.receive()
            t.runtime("start", c.id)
            terminal.read_until("end")
            has(terminal.text, "type char", "target pts/ptmx")
            hasnt(terminal.text, SECRET)
            os.close(terminal.fd)
    canary.unharmed("planted terminals")
    c.delete("--force").ok()


@envs("hybrid")
def test_t06_a_socket_of_the_image_is_no_console(t):
    b = t.bundle().writable()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"{b.rootfs}/run/console")
    with bystander(t):
        t.run(b.shell("true")).ok()
