# SPDX-License-Identifier: Apache-2.0
"""Sandboxes whose size a project quota limits: on a disk that has them, the disposable host's."""

import fcntl
import os
import struct
import tempfile

import linux
from case import deadline, envs, eq, facts, has, true, wall

WALL = "both"

FILL = ("dd if=/dev/zero of=/big bs=64k count=400; echo size $(wc -c < /big); "
        "i=0; while [ $i -lt 300 ] && touch /etc/f$i; do i=$((i+1)); done; echo files $(ls /etc | grep -c ^f[0-9]); "
        "echo done; sleep 1000")
BESIDE = "dd if=/dev/zero of=/big bs=64k count=200; echo size $(wc -c < /big)"
GET, SET = 0x801c581f, 0x401c5820  # FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR


def rt(t, store, *argv, **more):
    return t.runtime(*argv, options=("--store", store), **more)


def project_of(path):
    """Project id and flags of a file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flags, _, _, project = struct.unpack("IIII", fcntl.ioctl(fd, GET, bytes(28))[:16])
        return project, flags
    finally:
        os.close(fd)


@envs("host")
@deadline(60)
def test_sandbox_on_a_disk_with_project_quota_fills_up_alone(t):
    t.need("scratch disk", "root")
    b = t.bundle().shell(FILL)
    layer = b.rootfs
    b.config["root"] = {"readonly": False}
    with tempfile.TemporaryDirectory(dir="/run/scratch") as scratch:
        store = f"{scratch}/store"
        c = t.container(b)
        b.save()
        rt(t, store, "run", "-d", "-b", b.path, "--layer", layer, "--sandbox-size", "8m", "--sandbox-inodes", "200",
           c.id, out=c.out_path, err=c.err_path).ok()
        t.until(lambda: "done" in c.out, 30, "the end of writing")
        has(linux.read(c.err_path), "Disk quota exceeded")
        size, files = int(facts(c.out)["size"]), int(facts(c.out)["files"])
        # A guest counts what it was told at the end that it could not write.
        true(6 << 20 < size and (size <= 8 << 20 or t.wall == "vm"), f"{size} bytes went in: {c.out}")
        true(0 <= files <= 200, f"{files} files went in: {c.out}")
        shown = rt(t, store, "sandbox", "show", "--format", "json", c.id).json
        eq((shown["kind"], shown["maxBytes"], shown["maxInodes"]), ("quota", 8 << 20, 200))
        true((6 << 20 if t.wall == "vm" else size) <= shown["bytes"] <= 8 << 20, str(shown))

        # What it writes is of its project, which is what counts.
        upper = f"{store}/sandboxes/{c.id}/upper"
        project, flags = project_of(upper)
        true(project >= 1 << 30 and flags & 0x200, f"project {project}, flags {flags:#x}")
        eq(project_of(f"{upper}/big")[0], project)

        # Its neighbour has another, and all the room there is.
        b.shell(BESIDE).save()
        eq(facts(rt(t, store, "run", "-b", b.path, "--layer", layer, "--sandbox-size", "64m", t.name()).ok().out)["size"],
           str(200 * 65536))
        c.delete("--force").ok()
        eq(os.listdir(f"{store}/sandboxes"), [])


REFUSED = "set set-wide set-dir set-flags set-32 set-flags-32 file-setattr quotactl quotactl-fd".split()
LEAVE = "touch /file; mkdir /dir; probe project /file /dir; dd if=/dev/zero of=/dir/big bs=64k count=400; " \
        "echo size $(wc -c < /dir/big)"


@wall("process", "no ioctl of a guest's reaches the host's file system: ENOTTY")
@envs("host")
@deadline(60)
def test_no_process_takes_files_out_of_the_project_that_limits_its_sandbox(t):
    t.need("scratch disk", "root")
    b = t.bundle().shell("until [ -e /go ]; do sleep 0.1; done; " + LEAVE)
    layer = b.rootfs
    b.config["root"] = {"readonly": False}
    caps = ["CAP_SYS_ADMIN", "CAP_SYS_RESOURCE", "CAP_FOWNER", "CAP_LINUX_IMMUTABLE"]
    b.process["capabilities"] = {s: caps for s in ("bounding", "effective", "permitted")}
    with tempfile.TemporaryDirectory(dir="/run/scratch") as scratch:
        store = f"{scratch}/store"
        c = t.container(b)
        b.save()
        rt(t, store, "run", "-d", "-b", b.path, "--layer", layer, "--sandbox-size", "8m", c.id,
           out=c.out_path, err=c.err_path).ok()
        entered = facts(rt(t, store, "exec", c.id, "sh", "-c", LEAVE.replace("/file", "/f2").replace("/dir", "/d2")
                           .replace("count=400", "count=1")).ok().out)
        rt(t, store, "exec", c.id, "touch", "/go").ok()
        t.until(lambda: "size" in c.out, 30, "the end of writing")
        for who, said in (("init", facts(c.out)), ("exec", entered)):
            eq({w: said[w] for w in REFUSED}, dict.fromkeys(REFUSED, "EPERM"), who)
            eq((said["get"], said["get-flags"]), ("ok", "ok"), who)
            true(int(said["project"]) >= 1 << 30, f"{who}: {said}")
        has(linux.read(c.err_path), "Disk quota exceeded")
        true(int(facts(c.out)["size"]) <= 8 << 20, c.out)
        c.delete("--force").ok()

        # Where nothing is limited nothing is refused, so the attempts are real ones.
        b.shell(LEAVE).save()
        free = facts(rt(t, store, "run", "-b", b.path, "--layer", layer, t.name()).ok().out)
        eq({w: free[w] for w in ("set", "set-dir", "set-flags")}, dict.fromkeys(("set", "set-dir", "set-flags"), "ok"))
        eq(free["size"], str(400 * 65536))

        # In a user namespace the kernel refuses, and no filter is needed.
        b.linux["namespaces"].append({"type": "user"})
        for kind in ("uidMappings", "gidMappings"):
            b.linux[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        b.shell("probe seccomp-status; touch /file; mkdir /dir; probe project /file /dir").save()
        mapped = facts(rt(t, store, "run", "-b", b.path, "--layer", layer, "--sandbox-size", "8m", t.name()).ok().out)
        eq((mapped["set"], mapped["set-dir"], mapped["set-flags"]), ("EINVAL", "EINVAL", "EINVAL"))
