# SPDX-License-Identifier: Apache-2.0
"""config.json's mounts: every option, binds, propagation, order, and destinations that try to get away."""

import os
import stat

import linux
from case import each, envs, eq, facts, has, hasnt, true, wall

WALL = "both"


class Mount:
    """A line of mountinfo (proc_pid_mountinfo(5))."""

    def __init__(self, line):
        left, _, right = line.partition(" - ")
        fields = left.split()
        self.root, self.point, self.options = fields[3], fields[4], fields[5].split(",")
        self.propagation = [f.split(":")[0] for f in fields[6:]]
        self.type, self.source, self.super = right.split()[0], right.split()[1], right.split()[2].split(",")


def mounts(text):
    """Mounts by their point; the last one counts."""
    return {m.point: m for m in (Mount(line) for line in text.splitlines() if " - " in line)}


def mounted(t, b, point="/data"):
    return mounts(t.probe(b, "mounts"))[point]


def tmpfs(t, *options):
    return t.bundle().mount("/data", "tmpfs", "tmpfs", options)


def tree(t):
    """A directory of the host with a mount below it, in a mount namespace of this test alone."""
    linux.private_mounts()
    top = t.dir("tree")
    linux.mount("tmpfs", top, "tmpfs")
    os.mkdir(f"{top}/sub")
    linux.mount("tmpfs", f"{top}/sub", "tmpfs")
    for name in ("file", "sub/file"):
        with open(f"{top}/{name}", "w", encoding="ascii") as f:
            f.write("text\n")
    return top


# -- flags of one mount

FLAGS = {
    "ro": (["ro"], ["ro"], []), "rw": (["rw"], ["rw"], ["ro"]), "nosuid": (["nosuid"], ["nosuid"], []),
    "nodev": (["nodev"], ["nodev"], []), "noexec": (["noexec"], ["noexec"], []), "noatime": (["noatime"], ["noatime"], []),
    "nodiratime": (["nodiratime"], ["nodiratime"], []), "relatime": (["relatime"], ["relatime"], []),
    "strictatime": (["strictatime"], [], ["relatime", "noatime"]), "nosymfollow": (["nosymfollow"], ["nosymfollow"], []),
    "suid after nosuid": (["nosuid", "suid"], [], ["nosuid"]), "dev after nodev": (["nodev", "dev"], [], ["nodev"]),
    "exec after noexec": (["noexec", "exec"], [], ["noexec"]), "rw after ro": (["ro", "rw"], ["rw"], ["ro"]),
    "ro after rw": (["rw", "ro"], ["ro"], ["rw"]), "atime after noatime": (["noatime", "atime"], [], ["noatime"]),
    "diratime after nodiratime": (["nodiratime", "diratime"], [], ["nodiratime"]),
    "symfollow after nosymfollow": (["nosymfollow", "symfollow"], [], ["nosymfollow"]),
    "norelatime": (["norelatime"], [], []), "nostrictatime": (["nostrictatime"], [], []),
    "defaults": (["defaults"], ["rw"], ["nosuid"]), "several": (["nosuid", "nodev", "noexec", "ro"], ["nosuid", "nodev", "noexec", "ro"], []),
    "async": (["async"], [], []), "loud": (["loud"], [], []), "silent": (["silent"], [], []), "mand": (["mand"], [], []),
    "nomand": (["nomand"], [], []), "iversion": (["iversion"], [], []), "noiversion": (["noiversion"], [], []),
    "nolazytime": (["nolazytime"], [], []),
}


@each(case=FLAGS)
@envs("hybrid")
def test_a_flag_of_a_tmpfs(t, case):
    options, present, absent = case
    found = mounted(t, tmpfs(t, *options))
    for option in present:
        has(found.options, option)
    hasnt(found.options, *absent)


@each(case={n: c for n, c in FLAGS.items() if n not in ("mand",)})
@envs("hybrid")
def test_a_flag_of_a_bind_mount(t, case):
    options, present, absent = case
    linux.private_mounts()
    source = t.dir("source")
    linux.mount("tmpfs", source, "tmpfs")
    found = mounted(t, t.bundle().bind(source, "/data", *options))
    for option in present:
        has(found.options, option)
    hasnt(found.options, *absent)


@each(option={o: o for o in ("sync", "dirsync", "lazytime")})
@envs("hybrid")
def test_a_flag_of_the_superblock(t, option):
    has(mounted(t, tmpfs(t, option)).super, option)


@envs("hybrid")
def test_unknown_options_are_data_of_the_filesystem(t):
    found = mounted(t, tmpfs(t, "size=128k", "mode=0711", "uid=7", "nr_inodes=33"))
    for option in ("size=128k", "mode=711", "uid=7", "nr_inodes=33"):
        has(found.super, option)


@envs("hybrid")
def test_an_option_the_filesystem_does_not_know_is_refused_by_name(t):
    t.run(tmpfs(t, "colour=blue")).fails("colour")


@envs("hybrid")
def test_data_on_a_bind_mount_is_refused(t):
    t.run(t.bundle().bind(t.dir("source"), "/data", "size=1k")).fails("size=1k")


@each(option={"private": ("private", []), "rprivate": ("rprivate", []), "shared": ("shared", ["shared"]),
              "rshared": ("rshared", ["shared"]), "slave": ("slave", []), "rslave": ("rslave", []),
              "unbindable": ("unbindable", ["unbindable"]), "runbindable": ("runbindable", ["unbindable"]),
              "last wins": (["shared", "private"], [])})
@envs("hybrid")
def test_the_propagation_of_a_mount(t, option):
    name, wanted = option
    b = t.bundle().bind(t.dir("source"), "/data", *([name] if isinstance(name, str) else name))
    if t.wall == "vm" and "shared" in str(name):
        t.run(b).fails("cannot show up on the host")
        return
    eq(mounted(t, b).propagation, wanted)


# -- binds


@wall("both", quick=True)
@envs("hybrid")
def test_a_directory_and_a_file_are_bound(t):
    source = t.dir("source")
    t.file("source/file", "text\n")
    b = t.bundle().bind(source, "/data").bind(f"{source}/file", "/etc/bound")
    eq(t.run(b.shell("cat /data/file /etc/bound; stat -c %F /etc/bound")).ok().out, "text\ntext\nregular file\n")
    eq(os.path.isfile(f"{b.rootfs}/etc/bound"), True)


@envs("hybrid")
def test_a_relative_source_is_in_the_bundle(t):
    b = t.bundle().bind("given", "/data")
    os.mkdir(f"{b.path}/given")
    with open(f"{b.path}/given/x", "w", encoding="ascii"):
        pass
    eq(t.probe(b, "ls", "/data"), "x\n")


@envs("hybrid")
def test_missing_destinations_are_made_with_their_parents(t):
    b = t.bundle().mount("/made/for/this", "tmpfs", "tmpfs").writable()
    eq(mounted(t, b, "/made/for/this").type, "tmpfs")
    eq(stat.S_IMODE(os.stat(f"{b.rootfs}/made").st_mode), 0o755)


@envs("hybrid")
def test_a_missing_source_is_named(t):
    t.run(t.bundle().bind(f"{t.tmp}/absent", "/data")).fails("absent", "no such file or directory")


@envs("hybrid")
def test_a_type_without_the_option_is_no_bind(t):
    b = t.bundle().mount("/data", "bind", t.dir("source"), [])
    t.run(b).fails()


@envs("hybrid")
def test_the_option_makes_a_bind_whatever_the_type(t):
    t.file("source/file", "text\n")
    for fstype in ("none", "tmpfs", None):
        b = t.bundle().mount("/data", fstype, f"{t.tmp}/source", ["bind"])
        eq(t.probe(b, "ls", "/data"), "file\n")


@envs("hybrid")
def test_bind_leaves_submounts_out_and_rbind_takes_them(t):
    top = tree(t)
    eq(t.probe(t.bundle().mount("/data", "bind", top, ["bind"]), "ls", "/data/sub"), "")
    eq(t.probe(t.bundle().mount("/data", "bind", top, ["rbind"]), "ls", "/data/sub"), "file\n")


@wall("both", quick=True)
@envs("hybrid")
def test_ro_is_of_one_mount_and_rro_of_the_tree(t):
    top = tree(t)
    write = lambda *options: t.run(t.bundle().mount("/data", "bind", top, ["rbind", *options]).shell(
        "probe open /data/new wronly,creat; probe open /data/sub/new wronly,creat")).out.split()
    eq(write("ro"), ["EROFS", "ok" if t.wall == "process" else "EROFS"])  # to a guest the tree is one mount
    eq(write("rro"), ["EROFS", "EROFS"])
    eq(write(), ["ok", "ok"])
    eq(write("rro", "rrw"), ["ok", "ok"])


RECURSIVE = {
    "rnosuid": "nosuid", "rnodev": "nodev", "rnoexec": "noexec", "rnoatime": "noatime", "rnodiratime": "nodiratime",
    "rrelatime": "relatime", "rnosymfollow": "nosymfollow",
}


@wall("process", "mounts below a source are directories to a guest")
@each(option={o: o for o in RECURSIVE})
@envs("hybrid")
def test_a_recursive_option_reaches_submounts(t, option):
    found = mounts(t.probe(t.bundle().mount("/data", "bind", tree(t), ["rbind", option]), "mounts"))
    for point in ("/data", "/data/sub"):
        has(found[point].options, RECURSIVE[option])


@wall("process", "mounts below a source are directories to a guest")
@each(options={o: o.split() for o in ("rnosuid rsuid", "rnodev rdev", "rnoexec rexec", "rnoatime ratime",
                                      "rnodiratime rdiratime", "rnosymfollow rsymfollow", "rnoatime rstrictatime")})
@envs("hybrid")
def test_a_recursive_option_is_taken_back_by_its_opposite(t, options):
    found = mounts(t.probe(t.bundle().mount("/data", "bind", tree(t), ["rbind", *options]), "mounts"))
    for point in ("/data", "/data/sub"):
        hasnt(found[point].options, options[0][1:])


@envs("hybrid")
def test_flags_of_the_source_are_kept_unless_changed(t):
    linux.private_mounts()
    source = t.dir("source")
    linux.mount("tmpfs", source, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV)
    has(mounted(t, t.bundle().bind(source, "/data")).options, "nosuid", "nodev")
    found = mounted(t, t.bundle().bind(source, "/data", "ro"))
    for option in ("nosuid", "nodev", "ro"):
        has(found.options, option)
    hasnt(mounted(t, t.bundle().bind(source, "/data", "suid")).options, "nosuid")


@wall("process", "what the host mounts later does not reach a guest")
@envs("hybrid")
def test_a_mount_on_the_host_comes_into_a_slave_and_not_into_a_private_bind(t):
    linux.private_mounts()
    source = t.dir("source")
    linux.mount("tmpfs", source, "tmpfs")
    linux.mount(None, source, None, linux.MS_SHARED)
    os.mkdir(f"{source}/late")
    b = t.bundle().mount("/data", "bind", source, ["rbind", "rslave"]).mount("/mnt", "bind", source, ["rbind", "rprivate"])
    b.linux["rootfsPropagation"] = "slave"
    c = t.up(b.probe("sleep", 1000))
    linux.mount("tmpfs", f"{source}/late", "tmpfs")
    with open(f"{source}/late/x", "w", encoding="ascii"):
        pass
    eq(c.probe("ls", "/data/late").ok().out, "x\n")
    eq(c.probe("ls", "/mnt/late").ok().out, "")


# -- kinds of file systems


@envs("hybrid")
def test_a_tmpfs_takes_the_mode_of_its_mount_point_unless_told(t):
    b = tmpfs(t)
    os.chmod(f"{b.rootfs}/data", 0o1753)
    eq(facts(t.probe(b, "stat", "/data"))["mode"], "1753")
    b = tmpfs(t, "mode=0700")
    os.chmod(f"{b.rootfs}/data", 0o1753)
    eq(facts(t.probe(b, "stat", "/data"))["mode"], "0700")


@envs("hybrid")
def test_tmpcopyup_copies_what_the_image_has_there(t):
    b = tmpfs(t, "tmpcopyup")
    b.write("data/file", "from the image\n", 0o604)
    b.write("data/dir/deep", "deep\n")
    os.symlink("file", f"{b.rootfs}/data/link")
    os.symlink("/etc/shadow", f"{b.rootfs}/data/out")
    os.mkfifo(f"{b.rootfs}/data/fifo")
    os.chown(f"{b.rootfs}/data/file", 1000, 1001)
    out = t.run(b.shell("cat /data/file /data/dir/deep /data/link; probe stat /data/file; probe stat /data/fifo; "
                        "readlink /data/out; probe statfs /data")).ok().out
    has(out, "from the image\ndeep\nfrom the image\n", "mode 0604", "uid 1000", "gid 1001", "type fifo", "/etc/shadow\n",
        "type 1021994")


@envs("hybrid")
def test_a_read_only_tmpfs_with_tmpcopyup_is_filled_first(t):
    b = tmpfs(t, "tmpcopyup", "ro")
    b.write("data/file", "filled\n")
    eq(t.run(b.shell("cat /data/file; probe open /data/new wronly,creat")).out, "filled\nEROFS\n")


@envs("hybrid")
def test_mounts_are_done_in_order(t):
    source = t.dir("source")
    t.file("source/inner/x", "")
    b = t.bundle().mount("/data", "tmpfs", "tmpfs").bind(f"{source}/inner", "/data/below")
    eq(t.probe(b, "ls", "/data/below"), "x\n")
    covered = t.bundle().bind(f"{source}/inner", "/data/below").mount("/data", "tmpfs", "tmpfs")
    eq(t.probe(covered, "ls", "/data"), "")


@envs("hybrid")
def test_a_mount_over_a_mount_covers_it(t):
    b = t.bundle().mount("/data", "tmpfs", "one").mount("/data", "tmpfs", "two")
    eq(mounted(t, b).source, "two")


@envs("hybrid")
def test_proc_is_of_the_pid_namespace(t):
    out = t.run(t.bundle().shell("ls /proc | grep -c '^[0-9]'; cat /proc/1/cmdline | tr '\\0' ' '")).ok().out
    true(int(out.split()[0]) < 6, out)


def test_the_cgroup_mount_shows_the_containers_own_tree_read_only(t):
    b = t.bundle()
    found = mounts(t.probe(b, "mounts"))["/sys/fs/cgroup"]
    eq((found.type, found.root), ("cgroup2", "/"))
    has(found.options, "ro")
    has(t.run(t.bundle().shell("cat /proc/self/cgroup; head -1 /sys/fs/cgroup/cgroup.procs")).ok().out, "0::/\n1\n")


def test_without_a_cgroup_namespace_the_cgroup_mount_is_read_only_all_the_same(t):
    found = mounts(t.probe(t.bundle().without_namespace("cgroup"), "mounts"))["/sys/fs/cgroup"]
    eq(found.type, "cgroup2")
    has(found.options, "ro")


@envs("hybrid")
def test_devpts_is_a_new_instance(t):
    eq(t.run(t.bundle().shell("ls /dev/pts")).ok().out, "ptmx\n")


@envs("hybrid")
def test_mqueue_is_mounted(t):
    t.need("mqueue")
    eq(mounted(t, t.bundle(), "/dev/mqueue").type, "mqueue")


@wall("process", "file systems of the host are refused: test_vm")
@envs("hybrid")
def test_an_overlay_of_ones_own(t):
    t.need("overlay")
    for name in ("lower", "upper", "work"):
        t.dir(name)
    t.file("lower/low", "")
    linux.private_mounts()
    linux.mount("tmpfs", f"{t.tmp}/upper", "tmpfs")
    for name in ("u", "w"):
        os.mkdir(f"{t.tmp}/upper/{name}")
    b = t.bundle().mount("/data", "overlay", "overlay", [f"lowerdir={t.tmp}/lower", f"upperdir={t.tmp}/upper/u",
                                                         f"workdir={t.tmp}/upper/w"])
    eq(t.run(b.shell("touch /data/new; ls /data")).ok().out, "low\nnew\n")
    eq(os.listdir(f"{t.tmp}/upper/u"), ["new"])


@envs("hybrid")
def test_an_unknown_filesystem_is_refused_by_name(t):
    t.run(t.bundle().mount("/data", "nosuchfs", "x")).fails("nosuchfs")


@envs("hybrid")
def test_a_remount_changes_the_flags_of_the_mount_before(t):
    found = mounted(t, t.bundle().mount("/data", "tmpfs", "tmpfs").mount("/data", "tmpfs", "tmpfs", ["remount", "ro"]))
    has(found.options + found.super, "ro")


# -- id-mapped mounts

MAP = [{"containerID": 0, "hostID": 1000, "size": 10}]


@envs("hybrid")
def test_an_idmapped_bind_shows_other_owners(t):
    t.need("idmapped mounts")
    t.file("source/file", "")
    # On disk the owner is 0; through the mount 0 of the map is 1000.
    for options in (["rbind"], ["rbind", "idmap"], ["rbind", "ridmap"]):
        b = t.bundle().mount("/data", "bind", f"{t.tmp}/source", options, uidMappings=MAP, gidMappings=MAP)
        found = facts(t.probe(b, "stat", "/data/file"))
        eq((found["uid"], found["gid"]), ("1000", "1000"), str(options))


@envs("hybrid")
def test_idmap_takes_the_maps_of_the_user_namespace(t):
    t.need("idmapped mounts", "user namespace")
    t.file("source/file", "")
    b = t.bundle().user_namespace().mount("/data", "bind", f"{t.tmp}/source", ["rbind", "idmap"])
    eq(facts(t.probe(b, "stat", "/data/file"))["uid"], "0")
    plain = t.bundle().user_namespace().bind(f"{t.tmp}/source", "/data")
    eq(facts(t.probe(plain, "stat", "/data/file"))["uid"], "65534")


@each(more={"uid alone": {"uidMappings": MAP}, "gid alone": {"gidMappings": MAP}})
@envs("hybrid")
def test_one_map_without_the_other_is_refused(t, more):
    t.run(t.bundle().mount("/data", "bind", t.dir("source"), ["rbind"], **more)).fails("mappings")


@envs("hybrid")
def test_an_idmap_without_any_map_is_refused(t):
    t.run(t.bundle().mount("/data", "bind", t.dir("source"), ["rbind", "idmap"])).fails("idmap")


@envs("hybrid")
def test_an_idmap_on_what_is_no_bind_is_refused(t):
    t.run(t.bundle().mount("/data", "tmpfs", "tmpfs", [], uidMappings=MAP, gidMappings=MAP)).fails("bind")


# -- destinations that try to get away


@each(link={"absolute": "{canary}", "relative": "../../../../../../../../../..{canary}", "through proc": "/proc/self/root{canary}",
            "through pid 1": "/proc/1/root{canary}", "chain": "chain1"})
@envs("hybrid")
def test_a_symlinked_destination_stays_inside(t, link):
    # CVE-2019-18837 and its many relatives.
    canary = t.dir("canary")
    b = t.bundle().writable()
    for i in range(1, 20):
        os.symlink(f"chain{i + 1}" if i < 19 else canary, f"{b.rootfs}/chain{i}")
    os.symlink(link.format(canary=canary), f"{b.rootfs}/out")
    t.file("source/file", "")
    b.bind(f"{t.tmp}/source", "/out/made").mount("/out", "tmpfs", "tmpfs")
    t.run(b)
    eq(os.listdir(canary), [], "what was made outside")


@each(name={"dev": "dev", "proc": "proc", "sys": "sys"})
@envs("hybrid")
def test_a_system_directory_that_is_a_link_out_stays_inside(t, name):
    # CVE-2023-27561, CVE-2026-41579: /proc, /sys or /dev itself is a link.
    canary = t.dir("canary")
    b = t.bundle().writable()
    os.rmdir(f"{b.rootfs}/{name}")
    os.symlink(canary, f"{b.rootfs}/{name}")
    t.run(b.probe("exit", 0))
    eq(os.listdir(canary), [], "what was made outside")


@each(kind={"link": "link", "file": "file", "fifo": "fifo"})
@envs("hybrid")
def test_proc_on_anything_but_a_directory_is_refused(t, kind):
    b = t.bundle()
    os.rmdir(f"{b.rootfs}/proc")
    path = f"{b.rootfs}/proc"
    {"link": lambda: os.symlink("tmp", path), "file": lambda: open(path, "w", encoding="ascii").close(),
     "fifo": lambda: os.mkfifo(path)}[kind]()
    t.run(b).fails("proc")


@each(destination={d: d for d in ("/proc/sys", "/proc/self/attr", "/proc/1", "/proc/sysrq-trigger", "/proc//sys", "proc/../proc/kcore")})
@envs("hybrid")
def test_a_mount_below_proc_is_refused(t, destination):
    t.run(t.bundle().mount(destination, "tmpfs", "tmpfs")).fails("/proc")


@each(name={n: n for n in ("cpuinfo", "meminfo", "stat", "uptime", "loadavg", "diskstats")})
@envs("hybrid")
def test_the_files_of_proc_that_people_replace_may_be_bound(t, name):
    source = t.file("fake", "fake\n")
    eq(t.run(t.bundle().bind(source, f"/proc/{name}").args("/bin/cat", f"/proc/{name}")).ok().out, "fake\n")


@each(fstype={"tmpfs": ("tmpfs", []), "bind": ("bind", ["rbind"])})
@envs("hybrid")
def test_another_filesystem_on_proc_is_refused(t, fstype):
    kind, options = fstype
    t.run(t.bundle().mount("/proc", kind, t.dir("fake"), options)).fails("/proc")


@each(destination={"slash": "/", "dots": "/..", "dot": "/."})
@envs("hybrid")
def test_a_mount_on_the_root_itself_is_refused(t, destination):
    t.run(t.bundle().mount(destination, "tmpfs", "tmpfs")).fails()


@envs("hybrid")
def test_a_relative_destination_is_below_the_root(t):
    eq(mounted(t, t.bundle().mount("data", "tmpfs", "tmpfs")).type, "tmpfs")


@envs("hybrid")
def test_dots_in_a_destination_stay_inside(t):
    b = t.bundle().mount("/../../../../data/../data", "tmpfs", "tmpfs")
    eq(mounted(t, b).type, "tmpfs")


@envs("hybrid")
def test_a_directory_on_a_file_and_a_file_on_a_directory_are_refused(t):
    t.run(t.bundle().bind(t.dir("source"), "/etc/image-file")).fails("image-file")
    t.run(t.bundle().bind(t.file("file"), "/data")).fails("/data")


@envs("hybrid")
def test_the_hosts_mounts_do_not_change(t):
    before = sorted(line.split(None, 2)[2] for line in linux.read("/proc/self/mountinfo").splitlines())
    for _ in range(3):
        t.run(t.bundle().bind(t.dir(t.name("s")), "/data", "rshared" if t.wall == "process" else "rslave")).ok()
    eq(sorted(line.split(None, 2)[2] for line in linux.read("/proc/self/mountinfo").splitlines()), before)


@envs("hybrid")
def test_a_hundred_mounts(t):
    b = t.bundle().writable()
    for i in range(100):
        b.mount(f"/data/m{i}", "tmpfs", f"t{i}", ["size=4k"])
    eq(len([p for p in mounts(t.probe(b, "mounts")) if p.startswith("/data/m")]), 100)
