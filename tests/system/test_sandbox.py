# SPDX-License-Identifier: Apache-2.0
"""Roots made of layers: create, run and delete over images and directories, and what becomes of what is written."""

import json
import os
import subprocess
import tarfile

import linux
from case import deadline, each, envs, eq, facts, has, hasnt, true, wall
from images import Layout, entry, layer
from test_badmoments import kill_at, points, within
from test_badmoments import nothing_left as no_container_left

WALL = "both"


def store_of(t):
    return f"{t.tmp}/store"


def sandboxes(t):
    path = f"{store_of(t)}/sandboxes"
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def tar_of(bundle):
    """The bundle's little image as one layer."""
    out = f"{bundle.path}/image.tar"
    with tarfile.open(out, "w") as tar:
        tar.add(bundle.rootfs, ".")
    with open(out, "rb") as f:
        return f.read()


def rt(t, *argv, **more):
    t.need("root")
    return t.runtime(*argv, options=("--store", store_of(t)), **more)


def image(t, b, *layers, name="img"):
    """Imports the bundle's root, below the given layers, and takes root.path out of the config."""
    t.need("root", "libarchive")
    made = Layout(f"{t.tmp}/{name}.oci").image("a", tar_of(b), *layers)
    rt(t, "layer", "import", f"oci:{made.path}:a", name).ok()
    b.config["root"] = {"readonly": False}
    return name


def over(t, b, *options, name=None, **more):
    """Runs it in the foreground."""
    b.save()
    return rt(t, "run", "-b", b.path, *options, name or t.name(), **more)


def up(t, b, *options):
    """Runs it detached, and returns the container."""
    c = t.container(b)
    b.save()
    t.runtime("run", "-d", "-b", b.path, *options, c.id, options=("--store", store_of(t)), out=c.out_path,
              err=c.err_path).ok()
    return c


def nothing_left(t):
    eq(sandboxes(t), [], "sandboxes left")
    hasnt(linux.read("/proc/self/mountinfo"), store_of(t))
    refs = f"{store_of(t)}/refs"
    eq(os.listdir(refs) if os.path.isdir(refs) else [], [], "holds left")


WRITE = "echo new > /etc/new; rm /etc/image-file; mv /opt /opt2; cat /etc/new; ls /etc"


@wall("both", quick=True)
@envs("hybrid")
def test_sandbox_of_an_image_takes_the_writes_and_goes_with_the_container(t):
    b = t.bundle().shell(WRITE)
    image(t, b, layer(entry("etc/upper", b"u")))
    result = over(t, b, "--image", "img").ok()
    has(result.out, "new\n", "upper\n")
    hasnt(result.out, "image-file")
    nothing_left(t)
    rt(t, "layer", "verify").ok()
    has(over(t, b.shell("ls /etc /"), "--image", "img").ok().out, "image-file", "opt\n")


@envs("hybrid")
def test_sandbox_over_directories_and_ids_the_topmost_first(t):
    b = t.bundle().shell("cat /etc/who")
    image(t, b, layer(entry("etc/who", b"image\n")))
    hexes = [d["diffId"].split(":")[1] for d in rt(t, "layer", "show", "--format", "json", "img").json["layers"]]
    top = t.dir("top")
    os.mkdir(f"{top}/etc")
    with open(f"{top}/etc/who", "w", encoding="utf-8") as f:
        f.write("directory\n")
    low = ["--layer", hexes[1], "--layer", f"sha256:{hexes[0]}"]
    eq(over(t, b, *low).ok().out, "image\n")
    eq(over(t, b, "--layer", top, *low).ok().out, "directory\n")
    eq(over(t, b, "--layer", "top", *low, cwd=t.tmp).ok().out, "directory\n")
    eq(over(t, b, "--layer", hexes[1][:12], "--layer", top, "--layer", hexes[0][:12]).ok().out, "image\n")
    over(t, b, "--layer", hexes[1][:11]).fails("find layer", "no such file")
    over(t, b, "--layer", "sha256:" + hexes[1][:11]).fails("12 to 64 hex digits")
    over(t, b, "--layer", "0123456789abcdef").fails("has no layer 0123456789abcdef", "layer list --layers")
    over(t, b, "--layer", "0" * 64).fails("has no layer 000")
    over(t, b, "--layer", "").fails("empty name of a layer")
    over(t, b, "--layer", f"{b.path}/config.json").fails("is no directory")
    nothing_left(t)
    eq(t.state_names(), [])


@envs("hybrid")
def test_sandbox_of_an_unknown_image_is_refused_with_a_hint(t):
    b = t.bundle()
    over(t, b, "--image", "nobody").fails("layer import` makes one")
    image(t, b)
    over(t, b, "--image", "nobody").fails('cannot use image "nobody"', "`bulkhead layer list` shows the images")
    over(t, b, "--image", "oci:/nowhere:x").fails("bulkhead layer import oci:/nowhere:x")
    over(t, b, "--image", "").fails("--image is empty")
    eq(t.state_names(), [])
    eq(sandboxes(t), [])


@envs("hybrid")
def test_sandbox_options_and_annotations_must_agree(t):
    b = t.bundle().shell("cat /etc/image-file; df -k / | tail -n 1")
    image(t, b)
    notes = b.config["annotations"] = {"dev.bulkhead.image": "img"}
    has(over(t, b).ok().out, "from the image")
    has(over(t, b, "--image", "img").ok().out, "from the image")
    result = over(t, b, "--image", "other")
    result.fails('--image "other" and the annotation dev.bulkhead.image "img" differ', "/annotations/dev.bulkhead.image")
    over(t, b, "--layer", "/").fails("cannot both say what the root is made of", "/annotations/dev.bulkhead.image")
    notes["dev.bulkhead.sandbox"] = "keep,memory"
    over(t, b).fails("what is in memory cannot be kept", "/annotations/dev.bulkhead.sandbox")
    notes["dev.bulkhead.sandbox"] = "memory"
    over(t, b, "--sandbox", "discard").fails('--sandbox "discard" and the annotation dev.bulkhead.sandbox "memory" differ')
    notes["dev.bulkhead.sandbox-size"] = "many"
    over(t, b).fails('dev.bulkhead.sandbox-size must be a number of bytes, such as 64m, not "many"')
    notes["dev.bulkhead.sandbox-size"] = "8m"
    over(t, b, "--sandbox=memory:4m").fails("differ")
    over(t, b, "--sandbox-size", "4m").fails("differ")
    b.config["annotations"] = {"dev.bulkhead.layers": json.dumps([b.rootfs])}
    has(over(t, b).ok().out, "from the image")
    b.config["annotations"] = {"dev.bulkhead.layers": "rootfs"}
    has(over(t, b).ok().out, "from the image")
    for bad in ("", "[]", "[1]", "[", "a,,b"):
        b.config["annotations"] = {"dev.bulkhead.layers": bad}
        over(t, b).fails("dev.bulkhead.layers", "/annotations/dev.bulkhead.layers")
    del b.config["annotations"]
    over(t, b, "--image", "img", "--sandbox", "memory,keep").fails("what is in memory cannot be kept")
    over(t, b, "--image", "img", "--sandbox", "thrown").fails("--sandbox must be keep, discard or memory[:SIZE]")
    b.config["root"] = {"path": "rootfs"}
    over(t, b, "--sandbox-size", "1m").fails("--sandbox-size is about a sandbox, and this container has none")
    nothing_left(t)


@envs("hybrid")
@each(root={"absent": None, "missing": "nowhere", "there": "rootfs"})
def test_sandbox_needs_no_root_path(t, root):
    b = t.bundle().shell("pwd; ls / /proc/1/root; cat /proc/mounts")
    image(t, b)
    if root:
        b.config["root"]["path"] = root
    out = over(t, b, "--image", "img").ok().out
    has(out, "/\n", "bulkhead / overlay" if t.wall == "process" else "root / virtiofs")
    hasnt(out, " ext4 ")
    if t.wall == "process":
        out = over(t, b, "--image", "img", "--no-pivot").ok().out
        has(out, "/\n", "bulkhead / overlay")
    nothing_left(t)


@envs("hybrid")
def test_sandbox_with_a_read_only_root_still_gets_its_mount_points(t):
    b = t.bundle().shell("ls -d /made/here /made/file; echo x > /etc/x")
    image(t, b)
    b.config["root"]["readonly"] = True
    b.bind(t.tmp, "/made/here").bind(f"{b.path}/config.json", "/made/file")
    result = over(t, b, "--image", "img")
    has(result.out, "/made/here", "/made/file")
    has(result.err, "Read-only file system")
    nothing_left(t)


@envs("hybrid")
def test_sandbox_shows_in_state_and_list(t):
    b = t.bundle().probe("sleep", 1000)
    image(t, b)
    c = up(t, b, "--image", "img", "--sandbox", "keep")
    wanted = {"store": store_of(t), "name": c.id, "kind": "directory", "keep": True}
    state = c.state()
    eq((state["image"], state["sandbox"]), ("img", wanted))
    true("rootfs" not in state, "a rootfs of the host")
    row = [r for r in t.runtime("list", "--format", "json").json if r["id"] == c.id][0]
    eq((row["image"], row["sandbox"]), ("img", wanted))
    listed = rt(t, "sandbox", "list", "--format", "json").json
    eq([(s["name"], s["image"], s["keep"]) for s in listed], [(c.id, "img", True)])
    has(listed[0]["usedBy"], f"/{c.id}")
    has(rt(t, "sandbox", "list").ok().out, "USED BY", c.id)
    rt(t, "sandbox", "remove", c.id).fails("is in use")
    c.delete("--force").ok()
    eq(sandboxes(t), [c.id])
    has(rt(t, "sandbox", "show", c.id).ok().out, f"name     {c.id}\n", "used by  -\n")
    rt(t, "sandbox", "show", "nobody").fails('has no sandbox "nobody"')
    rt(t, "sandbox", "remove", c.id).ok()
    nothing_left(t)


@envs("hybrid")
def test_sandbox_that_is_kept_goes_on_and_is_emptied_by_reset(t):
    b = t.bundle().shell("cat /log; echo line >> /log")
    image(t, b)
    keep = ("--image", "img", "--sandbox", "keep")
    eq([over(t, b, *keep, name="box").out for _ in range(3)], ["", "line\n", "line\nline\n"])
    over(t, b, "--image", "img", name="box").fails("there is a kept sandbox of the name box")
    over(t, b, "--layer", b.rootfs, "--sandbox", "keep", name="box").fails("is one over other layers")
    eq(t.state_names(), [])
    rt(t, "sandbox", "reset", "box").ok()
    eq(over(t, b, *keep, name="box").out, "")
    rt(t, "sandbox", "rm", "box").ok()
    nothing_left(t)


@envs("hybrid")
def test_sandbox_has_the_ids_of_the_user_namespace(t):
    b = t.bundle().shell("touch /etc/new; chmod 640 /etc/passwd; chown 7:8 /etc/new; ls -ln /etc/new /etc/passwd; sleep 1000")
    image(t, b)
    b.all_caps().namespace("user")
    for kind in ("uidMappings", "gidMappings"):
        b.linux[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    c = up(t, b, "--image", "img")
    t.until(lambda: "passwd" in c.out, 5, "the listing")
    lines = [line.split()[2:4] for line in c.out.splitlines()]
    eq(lines, [["7", "8"], ["0", "0"]])
    st = os.stat(f"{store_of(t)}/sandboxes/{c.id}/upper/etc/new")
    eq((st.st_uid, st.st_gid), (7, 8), "ids on the disk")
    has(linux.read(f"/proc/{c.pid}/status"), "Uid:\t100000\t")
    c.delete("--force").ok()
    nothing_left(t)
    rt(t, "layer", "verify").ok()


@envs("hybrid")
def test_sandboxes_over_one_image_at_once_leave_it_unchanged(t):
    b = t.bundle().shell("i=0; while [ $i -lt 40 ]; do echo $i >> /etc/passwd; mv /etc/passwd /etc/p; mv /etc/p /etc/passwd;"
                         " rm -rf /opt; mkdir /opt; chmod 700 /etc; i=$((i+1)); done; wc -l < /etc/passwd")
    image(t, b)
    b.save()
    running = [t.spawn(t.command("run", "-b", b.path, "--image", "img", f"many{i}", options=("--store", store_of(t))),
                       stdout=subprocess.PIPE, text=True) for i in range(10)]
    eq([p.communicate()[0].strip() for p in running], ["43"] * 10)
    eq([p.returncode for p in running], [0] * 10)
    rt(t, "layer", "verify").ok()
    nothing_left(t)


# ---- size, memory ----

FILL = ("dd if=/dev/zero of=/big bs=64k count=400; echo size $(wc -c < /big); "
        "i=0; while [ $i -lt 300 ] && touch /etc/f$i; do i=$((i+1)); done; echo files $(ls /etc | grep -c ^f[0-9]); ")


@envs("hybrid")
@each(kind={"memory": ["--sandbox", "memory:8m"], "a file": ["--sandbox-size", "8m"]})
def test_sandbox_of_limited_size_fills_up_alone(t, kind):
    b = t.bundle().shell(FILL + "rm /big; echo done; sleep 1000")
    image(t, b)
    c = up(t, b, "--image", "img", *kind, "--sandbox-inodes", "200")
    t.until(lambda: "done" in c.out, 10, "the end of writing")
    has(linux.read(c.err_path), "No space left on device")
    size, files = int(facts(c.out)["size"]), int(facts(c.out)["files"])
    # A guest counts what it was told at the end that it could not write.
    true(4 << 20 < size and (size <= 8 << 20 or t.wall == "vm"), f"{size} bytes went in: {c.out}")
    true(50 < files < 250, f"{files} files went in: {c.out}")
    shown = rt(t, "sandbox", "show", "--format", "json", c.id).json
    true(shown["bytes"] < 4 << 20 and 100 < shown["inodes"] <= shown["maxInodes"] < 1000, str(shown))
    true(4 << 20 < shown["maxBytes"] <= 8 << 20, str(shown))
    c.delete("--force").ok()
    nothing_left(t)
    eq(loops(t), "", "loop devices left")


def loops(t):
    t.need("root")
    out = subprocess.run(["losetup", "-a"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return "".join(line for line in out.splitlines(True) if t.tmp in line)


# ---- images beside the root, volumes ----

@envs("hybrid")
def test_mount_image_beside_the_root_read_only_and_with_a_sandbox(t):
    b = t.bundle().shell("ls /tools/etc /more; echo x > /tools/etc/x; echo y > /more/y; cat /more/y; rm -rf /more/etc")
    image(t, b)
    image(t, b, layer(entry("etc/tool", b"t")), name="tools.1")
    result = over(t, b, "--image", "img", "--mount-image", "tools.1:/tools", "--mount-image", "img:/more:rw").ok()
    has(result.out, "tool\n", "y\n")
    has(result.err, "/tools/etc/x: Read-only file system")
    nothing_left(t)
    b.config["root"] = {"path": "rootfs"}
    has(over(t, b, "--mount-image", "tools.1:/tools:ro").err, "/tools/etc/x: Read-only file system")
    for wrong in ("tools", "tools:tools", ":/x", "tools.1:/tools:rw:rw"):
        over(t, b, "--mount-image", wrong).fails("--mount-image")
    over(t, b, "--mount-image", "none:/tools").fails('cannot use image "none"')
    over(t, b, "--mount-image", "img:/").fails("would hide the whole root")
    over(t, b, "--mount-image", "img:/proc/x").fails("inside /proc")
    over(t, b, "--mount-image", "img:/a", "--mount-image", "img:/b/../a").fails("--mount-image on /a, where --mount-image")
    nothing_left(t)
    eq(t.state_names(), [])
    rt(t, "layer", "verify").ok()


@envs("hybrid")
def test_mount_image_has_the_ids_of_the_user_namespace(t):
    b = t.bundle().shell("ls -lnd /tools/etc /more/etc | cut -c 1-40; touch /more/new")
    image(t, b)
    b.namespace("user")
    for kind in ("uidMappings", "gidMappings"):
        b.linux[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    out = over(t, b, "--image", "img", "--mount-image", "img:/tools", "--mount-image", "img:/more:rw").ok().out
    eq([line.split()[2:4] for line in out.splitlines()], [["0", "0"]] * 2)
    nothing_left(t)


@envs("hybrid")
def test_mount_image_keeps_its_layers_in_the_store(t):
    b = t.bundle().probe("sleep", 1000)
    image(t, b)
    b.config["root"] = {"path": "rootfs"}
    c = up(t, b, "--mount-image", "img:/more")
    rt(t, "layer", "remove", "img").ok()
    eq(len(os.listdir(f"{store_of(t)}/layers")), 1)
    c.delete("--force").ok()
    rt(t, "layer", "gc").ok()
    eq(os.listdir(f"{store_of(t)}/layers"), [])
    nothing_left(t)


@envs("hybrid")
def test_volume_of_a_directory_and_of_a_file_is_shared_with_host_and_others(t):
    data, file = t.dir("data"), t.file("one", "first\n")
    b = t.bundle().shell("cat /new/place/one; echo second >> /new/place/one; ls /data; touch /data/made; sleep 1000")
    image(t, b)
    c = up(t, b, "--image", "img", "--volume", f"{data}:/data", "--volume", f"{file}:/new/place/one")
    t.until(lambda: os.path.exists(f"{data}/made"), 5, "a file on the host")
    eq(linux.read(file), "first\nsecond\n")
    with open(f"{data}/later", "w", encoding="utf-8"):
        pass
    b.shell("ls /data; touch /data/x /prog; chmod 755 /data/prog; /data/prog; grep ' /data ' /proc/mounts")
    with open(f"{data}/prog", "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n")
    result = over(t, b, "--image", "img", "--volume", f"{data}:/data:ro,nosuid,nodev,noexec")
    has(result.out, "later", "made", "ro,nosuid,nodev,noexec")
    has(result.err, "/data/x: Read-only file system", "/data/prog: Permission denied")
    has(over(t, b, "--image", "img", "--volume", "data:/data", cwd=t.tmp).out, "later")
    c.delete("--force").ok()
    nothing_left(t)


@wall("process", "what either side mounts does not reach the other; rshared is refused: test_vm")
@envs("hybrid")
def test_volume_follows_the_host_or_is_followed_when_told_to(t):
    t.need("root")
    data = t.dir("data")
    os.mkdir(f"{data}/below")
    linux.private_mounts()
    linux.mount(data, data, None, 0x1000)
    linux.mount("none", data, None, 0x100000)
    b = t.bundle().all_caps().shell("mount -t tmpfs in /v/below && touch /v/below/inside; sleep 1000")
    b.process["noNewPrivileges"] = False
    try:
        for word, seen in (("rprivate", False), ("rslave", False), ("rshared", True)):
            c = t.container(b)
            c.run_detached("--volume", f"{data}:/v:{word}").ok()
            t.until(lambda: "in /v/below tmpfs" in linux.read(f"/proc/{c.pid}/mounts"), 5, "the mount inside")
            eq(" in rw" in "".join(x for x in linux.read("/proc/self/mountinfo").splitlines(True) if data in x), seen, word)
            if seen:
                linux.umount(f"{data}/below")
            else:
                linux.mount("out", f"{data}/below", "tmpfs")
                eq("out /v/below tmpfs" in linux.read(f"/proc/{c.pid}/mounts"), word == "rslave", word)
                linux.umount(f"{data}/below")
            c.delete("--force").ok()
    finally:
        linux.umount(data)


@envs("hybrid")
def test_volume_in_a_user_namespace_with_and_without_id_map(t):
    data = t.dir("data", 0o777)
    b = t.bundle().shell("touch /v/new; ls -ln /v | cut -c 1-45").user_namespace()
    for options, inside, outside in (("", "0", 100000), (":idmap", "0", 0)):
        out = t.run(b, "--volume", f"{data}:/v{options}").ok().out
        eq(out.splitlines()[-1].split()[2], inside, options)
        eq(os.stat(f"{data}/new").st_uid, outside, options)
        os.unlink(f"{data}/new")


@envs("hybrid")
def test_volume_that_cannot_be_is_refused_by_name(t):
    b = t.bundle()
    run = lambda text: t.run(b, "--volume", text)  # noqa: E731
    run(f"{t.tmp}/none:/v").fails(f"cannot use --volume {t.tmp}/none:/v", "no such file", "mkdir -p")
    true(not os.path.exists(f"{t.tmp}/none"), "made silently")
    for wrong in ("", "/tmp", "/tmp:v", ":/v", "/tmp:/v:ro:rw"):
        run(wrong).fails("--volume must be SOURCE:/PATH[:OPTION,...]")
    run("/tmp:/v:loud").fails('unknown option "loud"', "known are ro, rw")
    run("/tmp:/v:ro,rw").fails('"rw" contradicts')
    run("/tmp:/v:rslave,private").fails('"private" contradicts')
    run("/tmp:/").fails("--volume on / would hide")
    run("/tmp:/dev/../proc/").fails("--volume on /proc, where a mount of the config is already")
    run("/tmp:/proc/sys").fails("inside /proc")
    run("/tmp:/v:idmap").fails("cannot mount volume /tmp on /v", "user namespace to take them from")
    t.run(b, "--volume", "/tmp:/v", "--volume", "/tmp:/v/.").fails("--volume on /v, where --volume is already")
    eq(t.state_names(), [])


# ---- bad moments ----

def clean_after(t, c, when):
    no_container_left(t, c, when)
    eq(sandboxes(t), [], f"sandboxes left, {when}")
    hasnt(linux.read("/proc/self/mountinfo"), store_of(t))


@wall("process", "followed into a machine a trace takes minutes; create, start, exec and delete are tried so")
@envs("hybrid")
@each(follow={"the runtime": False, "any process of it": True})
@deadline(120)
def test_sandbox_a_kill_at_any_moment_of_run_leaves_nothing_after_delete(t, follow):
    t.need("strace")
    b = t.bundle().shell("echo x > /etc/passwd")
    image(t, b)
    b.save()
    options = ["-b", b.path, "--image", "img", "--mount-image", "img:/more:rw", "--mount-image", "img:/tools"]
    argv = lambda name: t.command("run", *options, name, options=("--store", store_of(t)))  # noqa: E731
    for name, count in points(t, argv(t.name()), follow, seconds=14):
        c = t.container(b)
        kill_at(t, argv(c.id), name, count, follow)
        clean_after(t, c, f"killed at {name} {count}")
    nothing_left(t)
    rt(t, "layer", "verify").ok()


@wall("process", "followed into a machine a trace takes minutes; create, start, exec and delete are tried so")
@envs("hybrid")
@each(kind={"a file": ["--sandbox-size", "8m"], "memory": ["--sandbox", "memory"]})
@deadline(120)
def test_sandbox_a_kill_at_any_moment_leaves_no_mount_and_no_loop_device(t, kind):
    t.need("strace")
    b = t.bundle().shell("echo x > /etc/passwd")
    image(t, b)
    b.save()
    argv = lambda name: t.command("run", "-b", b.path, "--image", "img", *kind, name,  # noqa: E731
                                  options=("--store", store_of(t)))
    for name, count in points(t, argv(t.name()), True, seconds=12):
        c = t.container(b)
        kill_at(t, argv(c.id), name, count, True)
        clean_after(t, c, f"killed at {name} {count}")
    eq(loops(t), "", "loop devices left")


@envs("hybrid")
@deadline(60)
def test_sandbox_a_kill_at_any_moment_of_delete_is_finished_by_the_next_delete(t):
    t.need("strace")
    b = t.bundle().probe("sleep", 1000)
    image(t, b)
    sample = up(t, b, "--image", "img", "--sandbox", "memory", "--mount-image", "img:/more")
    for name, count in points(t, t.command("delete", "--force", sample.id), False, seconds=10):
        c = up(t, b, "--image", "img", "--sandbox", "memory", "--mount-image", "img:/more")
        kill_at(t, t.command("delete", "--force", c.id), name, count, False)
        clean_after(t, c, f"killed at {name} {count}")
    sample.delete("--force")
    nothing_left(t)


@envs("hybrid")
def test_sandbox_of_a_failed_start_is_undone(t):
    b = t.bundle().args("/bin/none")
    image(t, b)
    over(t, b, "--image", "img").fails("/bin/none")
    b.args("/bin/true").bind("/nowhere", "/x")
    over(t, b, "--image", "img", "--mount-image", "img:/more:rw").fails("/nowhere")
    eq(t.state_names(), [])
    nothing_left(t)


@envs("hybrid")
def test_sandbox_of_another_state_root_is_left_alone(t):
    b = t.bundle().probe("sleep", 1000)
    image(t, b)
    c = up(t, b, "--image", "img")
    other = t.dir("other", 0o700)
    b.linux["cgroupsPath"] = f"{t.cgroup_path}/other"
    b.save()
    same = [t.binary, "--root", other, "--store", store_of(t)]
    t.call([*same, "run", "-b", b.path, "--image", "img", c.id]).fails(f"the sandbox {c.id} is in use")
    eq((os.listdir(other), sandboxes(t)), ([], [c.id]))
    os.mkdir(f"{other}/{c.id}", 0o700)
    os.symlink(f"w:{store_of(t)}", f"{other}/{c.id}/sandbox")
    t.call([*same, "delete", "--force", c.id]).ok()
    eq((os.listdir(other), sandboxes(t)), ([], [c.id]))
    eq(c.status, "running")
    c.delete("--force").ok()
    nothing_left(t)
