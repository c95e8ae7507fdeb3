# SPDX-License-Identifier: Apache-2.0
"""The root filesystem: what is always there, what is masked, what is read-only, and what the image cannot do about it."""

import os
import stat

import linux
from case import each, envs, eq, facts, has, hasnt, true, wall

WALL = "both"

DEVICES = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}


@each(name={n: n for n in DEVICES})
@envs("hybrid")
def test_a_default_device_is_there_for_everyone(t, name):
    found = facts(t.probe(t.bundle(), "stat", f"/dev/{name}"))
    eq((found["type"], found["mode"], found["uid"], found["gid"], found["rdev"]), ("char", "0666", "0", "0", DEVICES[name]))


@envs("hybrid")
def test_default_devices_work_for_a_plain_user(t):
    b = t.bundle()
    b.process["user"] = {"uid": 1000, "gid": 1000}
    out = t.run(b.shell("for d in null zero full random urandom; do probe open /dev/$d rdwr; done; head -c3 /dev/zero | wc -c"))
    eq(out.out.split(), ["ok"] * 5 + ["3"])


@envs("hybrid")
def test_default_links_are_there(t):
    links = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
             "ptmx": "pts/ptmx"}
    for name, target in links.items():
        eq(facts(t.probe(t.bundle(), "stat", f"/dev/{name}"))["target"], target)


def has_kcore(t):
    """Does the kernel of the container's processes?"""
    return os.path.exists("/proc/kcore") if t.wall == "process" else "ENOENT" not in t.run(t.bundle().probe("stat", "/proc/kcore")).out


@envs("hybrid")
def test_core_leads_to_kcore_where_the_kernel_has_it(t):
    found = t.run(t.bundle().probe("stat", "/dev/core")).out
    if has_kcore(t):
        eq(facts(found)["target"], "/proc/kcore")
    else:
        eq(found, "ENOENT\n")


@envs("hybrid")
def test_there_is_no_console_without_a_terminal(t):
    eq(t.run(t.bundle().probe("stat", "/dev/console")).out, "ENOENT\n")


@envs("hybrid")
def test_nothing_else_is_in_dev(t):
    core = ["core"] if has_kcore(t) else []
    eq(sorted(t.probe(t.bundle(), "ls", "/dev").split()),
       sorted([*DEVICES, *core, "fd", "stdin", "stdout", "stderr", "ptmx", "pts", "shm", "mqueue"]))


@envs("hybrid")
def test_a_bound_dev_is_left_as_it_is(t):
    linux.private_mounts()
    source = t.dir("dev")
    linux.mount("tmpfs", source, "tmpfs")
    os.mknod(f"{source}/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    b = t.bundle().without_mount("/dev")
    b.config["mounts"].insert(1, {"destination": "/dev", "type": "bind", "source": source, "options": ["rbind"]})
    for path in ("/dev/pts", "/dev/shm", "/dev/mqueue"):
        b.without_mount(path)
    t.run(b).ok()
    eq(os.listdir(source), ["null"])


@envs("hybrid")
def test_devices_of_the_image_of_another_kind_are_not_used(t):
    b = t.bundle().without_mount("/dev/pts").without_mount("/dev/shm").without_mount("/dev/mqueue").without_mount("/dev")
    path = b.write("dev/null", "a file\n")
    result = t.run(b.writable().probe("stat", "/dev/null"))
    if result.code == 0:
        eq(facts(result.out)["type"], "char")
    elif os.path.exists(path):
        eq(open(path, encoding="ascii").read(), "a file\n")


@envs("hybrid")
def test_a_read_only_root_refuses_writes_and_mounts_below_it_do_not(t):
    out = t.run(t.bundle().shell("probe open /new wronly,creat; probe open /etc/image-file wronly; "
                                 "probe open /dev/shm/new wronly,creat")).out
    eq(out.split(), ["EROFS", "EROFS", "ok"])


@envs("hybrid")
def test_a_writable_root_is_writable_and_the_image_changes(t):
    b = t.bundle().writable()
    t.run(b.shell("echo new >/new")).ok()
    eq(open(f"{b.rootfs}/new", encoding="ascii").read(), "new\n")


@envs("hybrid")
def test_a_read_only_root_is_not_made_writable_from_inside(t):
    eq(t.run(t.bundle().probe("remount-rw", "/")).out, "EPERM\n")


@wall("both", quick=True)
@envs("hybrid")
def test_masked_files_read_empty_and_directories_are_empty(t):
    b = t.bundle()
    b.write("secret/file", "secret\n")
    b.write("secret/dir/file", "secret\n")
    b.linux["maskedPaths"] += ["/secret/file", "/secret/dir"]
    out = t.run(b.shell("cat /secret/file; ls -A /secret/dir; probe open /secret/dir/new wronly,creat; "
                        "probe open /secret/file rdonly")).out
    eq(out.split(), ["EROFS", "ok"])
    out = t.run(b.shell("cat /proc/keys /proc/timer_list /proc/kcore; ls -A /proc/acpi /sys/firmware")).out
    eq([line for line in out.split("\n") if line and not line.endswith(":")], [])


@envs("hybrid")
def test_a_masked_path_cannot_be_uncovered(t):
    b = t.bundle()
    b.write("secret/file", "secret\n")
    b.linux["maskedPaths"].append("/secret/file")
    eq(t.run(b.probe("umount", "/secret/file")).out, "EPERM\n")


@envs("hybrid")
def test_masked_and_readonly_paths_that_are_not_there_are_skipped(t):
    b = t.bundle()
    b.linux["maskedPaths"].append("/not/there")
    b.linux["readonlyPaths"].append("/not/there/either")
    t.run(b).ok()


@envs("hybrid")
def test_readonly_paths_refuse_writes_with_their_submounts(t):
    b = t.bundle().writable().mount("/data", "tmpfs", "tmpfs", ["nosuid", "nodev"]).all_caps()
    b.linux["readonlyPaths"] += ["/data", "/etc"]
    out = t.run(b.shell("probe open /data/new wronly,creat; probe open /etc/new wronly,creat; probe open /new wronly,creat; "
                        "probe open /proc/sys/kernel/domainname wronly")).out
    eq(out.split(), ["EROFS", "EROFS", "ok", "EROFS"])
    line = [x for x in t.probe(b, "mounts").splitlines() if " /data " in x][-1]
    has(line, "nosuid", "nodev", "ro")


@envs("hybrid")
def test_many_masked_paths_share_one_filesystem(t):
    b = t.bundle()
    for i in range(100):
        os.makedirs(f"{b.rootfs}/masked/{i}")
        b.linux["maskedPaths"].append(f"/masked/{i}")
    lines = [x for x in t.probe(b, "mounts").splitlines() if " /masked/" in x]
    eq(len(lines), 100)
    eq(len({line.split()[2] for line in lines}), 1, "superblocks")


# -- hostile images


@each(target={"canary": "{canary}", "relative": "../../../../../../../../..{canary}", "dangling": "/nowhere/at/all"})
@envs("hybrid")
def test_a_masked_path_that_is_a_link_masks_nothing_outside(t, target):
    canary = t.file("canary/file", "untouched\n")
    b = t.bundle()
    os.symlink(target.format(canary=canary), f"{b.rootfs}/link")
    b.linux["maskedPaths"].append("/link")
    b.linux["readonlyPaths"].append("/link")
    t.run(b)
    eq(open(canary, encoding="ascii").read(), "untouched\n")
    hasnt(open("/proc/self/mountinfo", encoding="ascii").read(), canary)


@each(name={n: n for n in ("null", "pts", "ptmx", "console", "shm", "fd", "stdin")})
@envs("hybrid")
def test_a_device_name_that_the_image_made_a_link_leads_nowhere_outside(t, name):
    # CVE-2025-31133, CVE-2025-52565: an image's own /dev without a tmpfs over it.
    canary = t.file("canary/file", "untouched\n")
    before = os.stat(canary)
    b = t.bundle().writable()
    for path in ("/dev/pts", "/dev/shm", "/dev/mqueue", "/dev"):
        b.without_mount(path)
    os.symlink(canary, f"{b.rootfs}/dev/{name}")
    t.run(b.probe("exit", 0))
    eq(open(canary, encoding="ascii").read(), "untouched\n")
    after = os.stat(canary)
    eq((after.st_mode, after.st_uid, after.st_ino), (before.st_mode, before.st_uid, before.st_ino))
    eq(os.listdir(os.path.dirname(canary)), ["file"])


@envs("hybrid")
def test_a_working_directory_through_a_link_is_made_inside(t):
    canary = t.dir("canary")
    b = t.bundle().writable()
    os.symlink(canary, f"{b.rootfs}/out")
    b.process["cwd"] = "/out/made"
    t.run(b.probe("cwd"))
    eq(os.listdir(canary), [])


@envs("hybrid")
def test_a_rootfs_that_is_a_link_is_refused(t):
    b = t.bundle()
    os.rename(b.rootfs, f"{b.path}/real")
    os.symlink("real", b.rootfs)
    t.run(b).fails("rootfs")


@envs("hybrid")
def test_an_absolute_rootfs(t):
    b = t.bundle().probe("exit", 3)
    b.config["root"]["path"] = b.rootfs
    t.run(b).exits(3)


@envs("hybrid")
def test_a_missing_rootfs_is_named(t):
    b = t.bundle()
    b.config["root"]["path"] = "absent"
    t.run(b).fails("absent")


@envs("hybrid")
def test_a_rootfs_that_is_a_file_is_refused(t):
    b = t.bundle()
    b.config["root"]["path"] = t.file("file")
    t.run(b).fails()


@each(value={p: p for p in ("private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared")})
@envs("hybrid")
def test_root_propagation(t, value):
    b = t.bundle()
    b.linux["rootfsPropagation"] = value
    if t.wall == "vm" and value.endswith("shared"):
        t.run(b).fails("cannot show up on the host")
        return
    line = [x for x in t.probe(b, "mounts").splitlines() if x.split()[4] == "/"][-1]
    tags = [f.split(":")[0] for f in line.partition(" - ")[0].split()[6:]]
    eq("shared" in tags, value.endswith("shared"), line)
    eq("unbindable" in tags, value == "unbindable", line)


@envs("hybrid")
def test_an_unknown_root_propagation_is_refused(t):
    b = t.bundle()
    b.linux["rootfsPropagation"] = "sideways"
    t.run(b).fails("sideways")


@envs("hybrid")
def test_the_old_root_is_gone(t):
    points = [line.split()[4] for line in t.probe(t.bundle(), "mounts").splitlines()]
    eq([p for p in points if p != "/" and not p.startswith(("/proc", "/dev", "/sys"))], [])
    out = t.run(t.bundle().shell("ls / | sort | tr '\\n' ' '")).ok().out
    eq(out.split(), sorted(["bin", "data", "dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "sys", "tmp", "usr", "var"]))


@wall("both", quick=True)
@envs("hybrid")
def test_a_root_on_an_overlay(t):
    t.need("overlay")
    linux.private_mounts()
    b = t.bundle().writable()
    top = t.dir("overlay")
    linux.mount("tmpfs", top, "tmpfs")
    for name in ("upper", "work", "merged"):
        os.mkdir(f"{top}/{name}")
    linux.mount("overlay", f"{top}/merged", "overlay", 0, f"lowerdir={b.rootfs},upperdir={top}/upper,workdir={top}/work")
    b.config["root"]["path"] = f"{top}/merged"
    t.run(b.shell("echo new >/etc/new")).ok()
    eq(os.listdir(f"{top}/upper/etc"), ["new"])
    true(not os.path.exists(f"{b.rootfs}/etc/new"), "the image changed")


@envs("hybrid")
def test_without_a_mount_namespace_masks_are_refused(t):
    t.run(t.bundle().without_namespace("mount")).fails("mount")


@envs("hybrid")
def test_modes_of_what_the_runtime_makes_ignore_the_callers_umask(t):
    b = t.bundle().writable().mount("/made/here", "tmpfs", "tmpfs").probe("stat", "/dev/null").save()
    out = t.runtime("run", "-b", b.path, t.name(), preexec=lambda: os.umask(0o777)).ok().out
    eq(facts(out)["mode"], "0666")
    eq(stat.S_IMODE(os.stat(f"{b.rootfs}/made").st_mode), 0o755)
