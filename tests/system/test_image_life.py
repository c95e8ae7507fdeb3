# SPDX-License-Identifier: Apache-2.0
"""Containers over a real image, over very many layers, side by side, and killed at any step."""

import os
import re
import subprocess
import tempfile

import debian
import linux
from case import alone, deadline, each, envs, eq, has, hasnt, true, wall
from images import Layout, entry, layer
from load import write
from test_sandbox import image, nothing_left, over, rt, sandboxes, store_of, tar_of

WALL = "both"

GREETING = "hello from 1:1 in /srv/work\n"


def debian_image(t):
    t.need("root", "libarchive", "overlay", "Debian image")
    rt(t, "layer", "import", "-q", debian.image(), "debian").ok()


@envs("hybrid")
@deadline(120)
@each(kind={"zstd": ("oci", "--dest-compress", "--dest-compress-format", "zstd"), "docker-archive": ("docker-archive",)})
def test_image_of_debian_runs_as_it_says_from_whatever_it_was_packed_in(t, kind):
    t.need("root", "libarchive", "overlay", "Debian image")
    form, *options = kind
    source = debian.image(form, f"{t.tmp}/copy", *options)
    eq(rt(t, "do", "-q", "--image", source).ok().out, GREETING)
    rt(t, "layer", "verify").ok()
    nothing_left(t)


@envs("hybrid")
@deadline(120)
def test_image_of_debian_is_unchanged_by_ten_containers_that_tear_at_it(t):
    debian_image(t)
    wreck = ("rm -rf /usr/share /etc/pam.d; mv /etc /etc2; chmod -R 700 /var; chown -R 5 /lib/x86_64-linux-gnu/security; "
             "for f in /usr/bin/*; do echo x >>$f; done 2>/dev/null; echo $? >/srv/done; cat /srv/done; ls /etc2 | wc -l")
    running = [t.spawn(t.command("do", "--image", "debian", "--user", "0", "--entrypoint", "/bin/sh", "--", "-c", wreck,
                                 options=("--store", store_of(t))), stdout=subprocess.PIPE, text=True) for _ in range(10)]
    told = [p.communicate(timeout=100)[0] for p in running]
    eq(([p.returncode for p in running], len(set(told))), ([0] * 10, 1), str(told))
    rt(t, "layer", "verify").ok()
    nothing_left(t)
    eq(rt(t, "do", "--image", "debian").ok().out, GREETING)


@envs("hybrid")
@deadline(60)
def test_image_of_as_many_layers_as_the_kernel_takes(t):
    b = t.bundle().shell("cat /etc/n; ls /layers | wc -l")
    b.config["root"] = {"readonly": False}
    options = []
    for i in range(500):
        os.makedirs(f"{t.tmp}/l{i}/layers/{i}")
        os.mkdir(f"{t.tmp}/l{i}/etc")
        for name in ("etc/n", f"layers/{i}/f"):
            with open(f"{t.tmp}/l{i}/{name}", "w", encoding="utf-8") as f:
                f.write(f"{i}\n")
        options = ["--layer", f"{t.tmp}/l{i}", *options]
    eq(over(t, b, *options[:-2], "--layer", b.rootfs).ok().out, "499\n499\n")
    over(t, b, *options, "--layer", b.rootfs).fails("1 to 500", "501")

    # With what it wrote they are 501 directories.
    c = t.container(b.shell("echo x >/etc/mine; rm /layers/1/f /layers/498/f; echo done; exec sleep 1000").save())
    rt(t, "run", "-d", "-b", b.path, *options[:-2], "--layer", b.rootfs, c.id, out=c.out_path, err=c.err_path).ok()
    c.wait_out("done")
    changes = rt(t, "diff", c.id)
    if tuple(int(n) for n in os.uname().release.split(".")[:2]) < (6, 15):
        changes.fails("to look at a sandbox over 500 layers takes Linux 6.15")
    else:
        eq(changes.ok().out.splitlines(), ["M /etc", "A /etc/mine", "M /layers/1", "D /layers/1/f", "M /layers/498", "D /layers/498/f"])
    c.delete("--force").ok()
    nothing_left(t)
    eq(t.state_names(), [])


@envs("hybrid")
def test_image_of_one_layer_hides_what_it_deletes_where_it_is_only_read(t):
    t.need("root", "libarchive", "overlay")
    b = t.bundle().shell("ls -A /tools /tools/d; echo x >/tools/y")
    Layout(f"{t.tmp}/l").image("a", layer(entry(".wh.gone"), entry("d"), entry("d/.wh.too"), entry("d/.wh..wh..opq"), entry("d/e", b"e")))
    rt(t, "layer", "import", "-q", f"oci:{t.tmp}/l", "alone").ok()
    image(t, b)
    for with_ids in (False, True):
        if with_ids:
            b.linux["namespaces"].append({"type": "user"})
            b.linux["uidMappings"] = b.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        result = over(t, b, "--image", "img", "--mount-image", "alone:/tools").fails("Read-only file system")
        eq(result.out, "/tools:\nd\n\n/tools/d:\ne\n")
    nothing_left(t)


def loop_devices(t):
    return [name for name in os.listdir("/sys/block") if name.startswith("loop")
            and store_of(t) in linux.read(f"/sys/block/{name}/loop/backing_file", "")]


def clean(t, kept):
    """What a killed command left is taken away by deleting its container, or else by gc; then there is nothing."""
    for name in t.state_names():
        rt(t, "delete", "--force", name)
        t.reap()
    rt(t, "layer", "gc").ok()
    eq((sandboxes(t), t.state_names(), loop_devices(t)), (kept, [], []), "left")
    eq(os.listdir(f"{store_of(t)}/work"), [], "work")
    hasnt(linux.read("/proc/self/mountinfo"), store_of(t))
    rt(t, "layer", "verify").ok()


STEPS = "mkdirat|openat|clone3|move_mount|fsmount|fsconfig|renameat|unlinkat|rmdir|ioctl|umount2|flock|symlinkat|write"


def steps_of(t, argv, every):
    """Every so many-th of the calls that the command makes, as (call, its number)."""
    log = f"{t.tmp}/trace"
    t.call(["strace", "-o", log, *argv]).ok()
    count, points = {}, []
    for call in re.findall(rf"^({STEPS})\(", linux.read(log), re.M):
        count[call] = count.get(call, 0) + 1
        points.append((call, count[call]))
    true(len(points) > 15, f"{len(points)} steps")
    return points[::every]


def kill_at(t, call, when, argv):
    t.call(["strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={when}", *argv])
    t.reap()


SIZES = {"directory": (), "limited": ("--sandbox-size", "8m"), "memory": ("--sandbox", "memory:4m")}


@wall("process", "followed into a machine a trace takes minutes; create, start, exec and delete are tried so")
@envs("hybrid")
@deadline(120)
@each(size=SIZES)
def test_image_run_that_is_killed_at_any_step_leaves_nothing_that_stays(t, size):
    t.need("strace")
    b = t.bundle().shell("echo new >/etc/new; rm /etc/image-file")
    image(t, b)
    b.save()
    name = t.name()
    argv = t.command("run", "-b", b.path, "--image", "img", *size, name, options=("--store", store_of(t)))
    for call, when in steps_of(t, argv, 9):
        kill_at(t, call, when, argv)
        clean(t, [])
    eq(over(t, b.shell("cat /etc/image-file >/dev/null; echo whole"), "--image", "img").ok().out, "whole\n")


@wall("process", "followed into a machine a trace takes minutes; create, start, exec and delete are tried so")
@envs("hybrid")
@deadline(120)
@each(size=SIZES)
def test_image_create_that_is_killed_at_any_step_leaves_nothing_that_stays(t, size):
    t.need("strace")
    b = t.bundle().probe("sleep", 1000)
    image(t, b)
    b.save()
    argv = lambda name: t.command("create", "-b", b.path, "--image", "img", "--mount-image", "img:/more",  # noqa: E731
                                  *size, name, options=("--store", store_of(t)))
    sample = t.name()
    points = steps_of(t, argv(sample), 11)
    clean(t, [])
    for call, when in points:
        kill_at(t, call, when, argv(t.name()))
        clean(t, [])
    eq(over(t, b.shell("cat /more/etc/image-file >/dev/null; echo whole"), "--image", "img", "--mount-image", "img:/more").ok().out,
       "whole\n")


@wall("process", "followed into a machine a trace takes minutes; create, start, exec and delete are tried so")
@envs("hybrid")
@deadline(120)
@each(size=SIZES)
def test_image_delete_that_is_killed_at_any_step_can_be_done_again(t, size):
    t.need("strace")
    b = t.bundle().shell("mkdir -p /d/e; echo new >/d/e/f; rm /etc/image-file")
    image(t, b)
    b.save()
    name = t.name()
    points = None
    while points is None or points:
        rt(t, "run", "--keep", "-b", b.path, "--image", "img", *size, name).ok()
        t.reap()
        argv = t.command("delete", name, options=("--store", store_of(t)))
        if points is None:
            points = steps_of(t, argv, 5)
            continue
        kill_at(t, *points.pop(), argv)
        clean(t, [])


@envs("hybrid")
def test_image_on_a_full_disk_stops_the_container_alone(t):
    """The store's file system is full: the container is told so, and afterwards all is as it was."""
    t.need("root", "libarchive")
    b = t.bundle().shell("dd if=/dev/zero of=/fill bs=64k; echo status $?; sync; rm /fill; echo again >/etc/again && cat /etc/again")
    Layout(f"{t.tmp}/l").image("a", tar_of(b))
    b.config["root"] = {"readonly": False}
    b.save()
    store = f"{t.tmp}/m/s"
    ours = f"{t.binary} --root {t.root} --store {store}"
    script = (f"mount -t tmpfs -o size=12m none {t.dir('m')} && mkdir -m 700 {store} && {ours} layer import -q oci:{t.tmp}/l img && "
              f"{ours} run -b {b.path} --image img full; echo ended $?; {ours} layer verify >/dev/null && "
              f"dd if=/dev/zero of={t.tmp}/m/fill bs=4k 2>/dev/null; {ours} run -b {b.path} --image img full2; echo ended $?; "
              f"rm {t.tmp}/m/fill; {ours} layer gc; {ours} layer verify && ls {store}/sandboxes {store}/work; {ours} list -q")
    result = t.call(["unshare", "-m", "sh", "-c", script])
    has(result.err, "No space left on device", "no space left on device")
    eq(re.findall(r"^(?:status|ended|again).*", result.out, re.M), ["status 1", "again", "ended 0", "ended 1"])
    has(result.out, "intact")
    true(result.out.endswith(f"{store}/sandboxes:\n\n{store}/work:\n"), result.out)


def charges(t, b, low):
    """Megabytes that two containers over the directory are charged for, one started after the other."""
    b.config["root"] = {"readonly": False}
    b.save()
    charged, both = [], []
    for _ in range(2):
        c = t.container(b)
        t.runtime("run", "-d", "-b", b.path, "--layer", low, "--sandbox", "memory:16m", c.id, options=("--store", store_of(t)),
                  out=c.out_path, err=c.err_path).ok()
        both.append(c.wait_out("read", 20))
        charged.append(int(linux.read(f"{c.cgroup}/memory.current")) >> 20)
    for c in both:
        rt(t, "delete", "--force", c.id).ok()
    return charged


@wall("process", "what a guest reads is in memory of its own, too")
@alone
@envs("host")
def test_image_pages_are_in_memory_once_for_two_containers(t):
    """What the second one reads is there already; it is charged for what it writes, alone."""
    t.need("controller memory", "scratch disk")
    b = t.bundle().shell("cat /big >/dev/null; dd if=/dev/zero of=/own bs=1M count=4 2>/dev/null; echo read; sleep 1000")
    with tempfile.TemporaryDirectory(dir="/run/scratch") as low:  # a tmpfs would charge who made the file
        subprocess.run(["cp", "-a", f"{b.rootfs}/.", low], check=True)
        with open(f"{low}/big", "wb") as f:
            f.write(os.urandom(1 << 20) * 24)
            f.flush()
            os.fsync(f.fileno())
        # A hint to forget the pages of a file leaves those that a processor has just put aside.
        write("/proc/sys/vm/drop_caches", "1")
        charged = charges(t, b, low)
    true(charged[0] >= 24, f"the first container is charged for what it reads: {charged}")
    true(charged[1] >= 4, f"its own 4 MB are charged: {charged}")
    true(charged[1] < 12, f"the second container is charged {charged[1]} MB, the first {charged[0]}")
