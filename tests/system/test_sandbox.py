# SPDX-License-Identifier: Apache-2.0
"""Roots made of layers: create, run and delete over images and directories, and what becomes of what is written."""

import json
import os
import subprocess
import tarfile

import linux
from case import deadline, each, envs, eq, has, hasnt, true
from images import Layout, entry, layer, link


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
    has(out, "/\n", "bulkhead / overlay")
    hasnt(out, " ext4 ")
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
