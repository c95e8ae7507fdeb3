# SPDX-License-Identifier: Apache-2.0
"""Device nodes of the config, and the rules that say which devices may be used."""

import os
import stat

from case import each, envs, eq, facts, has, true

WALL = "both"


def node(path, kind="c", major=1, minor=3, **more):
    return {"path": path, "type": kind, "major": major, "minor": minor, **more}


def with_devices(t, *devices):
    b = t.bundle()
    b.linux["devices"] = list(devices)
    return b


def stat_of(t, b, path):
    return facts(t.probe(b, "stat", path))


@each(case={
    "character": (node("/dev/x", "c", 10, 200), "char", "10:200"), "unbuffered": (node("/dev/x", "u", 10, 200), "char", "10:200"),
    "block": (node("/dev/x", "b", 7, 3), "block", "7:3"), "fifo": ({"path": "/dev/x", "type": "p"}, "fifo", "0:0"),
})
@envs("hybrid")
def test_a_node_of_each_type(t, case):
    device, kind, numbers = case
    if t.wall == "vm" and kind != "fifo":
        t.run(with_devices(t, device)).fails("a virtual machine has no device", "/linux/devices/0")
        return
    found = stat_of(t, with_devices(t, device), "/dev/x")
    eq((found["type"], found["rdev"]), (kind, numbers))


@envs("hybrid")
def test_mode_and_owner_are_exact(t):
    found = stat_of(t, with_devices(t, node("/dev/x", fileMode=0o621, uid=7, gid=8)), "/dev/x")
    eq((found["mode"], found["uid"], found["gid"]), ("0621", "7", "8"))


@envs("hybrid")
def test_the_default_mode_is_0666(t):
    found = stat_of(t, with_devices(t, node("/dev/x")), "/dev/x")
    eq((found["mode"], found["uid"], found["gid"]), ("0666", "0", "0"))


@envs("hybrid")
def test_type_bits_in_the_mode_are_ignored(t):
    eq(stat_of(t, with_devices(t, node("/dev/x", fileMode=0o020640)), "/dev/x")["mode"], "0640")


@envs("hybrid")
def test_parents_are_made_and_any_place_is_possible(t):
    b = with_devices(t, node("/dev/a/b/c"), node("/opt/null")).writable()
    eq(stat_of(t, b, "/dev/a/b/c")["type"], "char")
    eq(stat_of(t, b, "/opt/null")["type"], "char")


@envs("hybrid")
def test_an_entry_for_a_default_device_replaces_it(t):
    b = with_devices(t, node("/dev/tty", "c", 5, 0, fileMode=0o600, uid=7, gid=7))
    found = stat_of(t, b, "/dev/tty")
    eq((found["mode"], found["uid"]), ("0600", "7"))


@each(device={
    "unknown type": node("/dev/x", "z"), "no path": {"type": "c", "major": 1, "minor": 3}, "no numbers": {"path": "/dev/x", "type": "c"},
    "no type": {"path": "/dev/x", "major": 1, "minor": 3}, "negative": node("/dev/x", "c", -1, 3),
    "empty path": node(""),
})
@envs("hybrid")
def test_a_device_that_cannot_be_is_refused(t, device):
    t.run(with_devices(t, device)).fails()


@envs("hybrid")
def test_a_path_that_is_taken_by_something_else_is_refused_by_name(t):
    b = with_devices(t, node("/opt/taken")).writable()
    b.write("opt/taken", "a file\n")
    t.run(b).fails("/opt/taken")
    eq(open(f"{b.rootfs}/opt/taken", encoding="ascii").read(), "a file\n")


@envs("hybrid")
def test_a_device_through_a_link_of_the_image_stays_inside(t):
    canary = t.dir("canary")
    b = with_devices(t, node("/out/x")).writable()
    os.symlink(canary, f"{b.rootfs}/out")
    t.run(b)
    eq(os.listdir(canary), [])


@each(place={"of the same path": ("/dev/full", 7), "at a place of its own": ("/opt/null", 3)})
@envs("hybrid")
def test_a_device_in_a_user_namespace_is_the_hosts_node(t, place):
    t.need("user namespace")
    path, minor = place
    b = t.bundle().user_namespace().writable()
    b.linux["devices"] = [node(path, "c", 1, minor)]
    found = stat_of(t, b, path)
    eq((found["type"], found["rdev"]), ("char", f"1:{minor}"))


# -- which devices may be used


def rules(t, *entries):
    b = t.bundle().caps("CAP_MKNOD")
    b.linux["resources"]["devices"] = list(entries)
    return b


def deny(**more):
    return {"allow": False, "access": "rwm", **more}


def allow(access="rwm", **more):
    return {"allow": True, "access": access, **more}


def try_fuse(t, b, flags="rdwr"):
    """Makes a node of the device 10:229 (fuse) on a tmpfs and opens it."""
    b.mount("/data", "tmpfs", "tmpfs", ["mode=777"])
    return t.run(b.shell(f"probe mknod /data/n c 10 229; probe open /data/n {flags}")).out.split()


def fuse(t):
    t.need("fuse device")


def test_the_default_denies_all_but_the_default_devices(t):
    fuse(t)
    eq(try_fuse(t, rules(t, deny())), ["ok", "EPERM"])
    b = rules(t, deny()).shell("for d in null zero full random urandom; do probe open /dev/$d rdwr; done")
    eq(t.run(b).out.split(), ["ok"] * 5)


def test_a_rule_lets_one_device_in(t):
    fuse(t)
    eq(try_fuse(t, rules(t, deny(), allow(type="c", major=10, minor=229))), ["ok", "ok"])


@each(case={
    "read only allows reading": ("rm", "rdonly", "ok"), "read only denies writing": ("rm", "wronly", "EPERM"),
    "write only denies reading": ("wm", "rdonly", "EPERM"), "write only allows writing": ("wm", "wronly", "ok"),
})
def test_the_accesses_are_apart(t, case):
    fuse(t)
    access, flags, wanted = case
    eq(try_fuse(t, rules(t, deny(), allow(access, type="c", major=10, minor=229)), flags)[1], wanted)


@each(case={
    "any minor": (dict(type="c", major=10), "ok"), "any major": (dict(type="c", minor=229), "ok"),
    "minus one": (dict(type="c", major=10, minor=-1), "ok"), "another minor": (dict(type="c", major=10, minor=228), "EPERM"),
    "block": (dict(type="b", major=10, minor=229), "EPERM"), "all": (dict(type="a"), "ok"), "no type": (dict(), "ok"),
})
def test_what_a_rule_matches(t, case):
    fuse(t)
    match, wanted = case
    eq(try_fuse(t, rules(t, deny(), allow(**match)))[1], wanted)


def test_the_last_rule_wins(t):
    fuse(t)
    one = dict(type="c", major=10, minor=229)
    for entries in ((deny(), allow(**one), deny(**one)), (deny(), allow(**one), deny()), (allow(), deny(**one))):
        true(try_fuse(t, rules(t, *entries))[1] != "ok", f"{entries} lets it in")
    eq(try_fuse(t, rules(t, deny(), deny(**one), allow(**one)))[1], "ok")


def test_without_rules_the_defaults_apply(t):
    b = t.bundle()
    b.linux["resources"] = {}
    eq(t.run(b.probe("open", "/dev/null", "rdwr")).ok().out, "ok\n")


def test_an_exec_is_under_the_same_rules(t):
    fuse(t)
    b = rules(t, deny()).mount("/data", "tmpfs", "tmpfs", ["mode=777"]).probe("sleep", 1000)
    c = t.up(b)
    eq(c.exec("sh", "-c", "probe mknod /data/n c 10 229; probe open /data/n rdwr").out.split(), ["ok", "EPERM"])


@each(rule={"unknown type": deny(type="x"), "unknown access": deny(access="rwq"), "empty access": deny(access=""),
            "no allow": {"access": "rwm"}, "allow is text": {"allow": "yes", "access": "rwm"}})
@envs("hybrid")
def test_a_rule_that_cannot_be_is_refused(t, rule):
    t.run(rules(t, rule)).fails()


@envs("hybrid")
def test_the_nodes_in_dev_are_devices_and_not_files_of_the_host(t):
    before = {n: os.stat(f"/dev/{n}") for n in ("null", "zero", "full")}
    b = t.bundle().all_caps()
    b.linux["resources"]["devices"] = [allow()]
    t.run(b.shell("chmod 600 /dev/null /dev/zero /dev/full; chown 1:1 /dev/null")).ok()
    for name, old in before.items():
        new = os.stat(f"/dev/{name}")
        eq((new.st_mode, new.st_uid), (old.st_mode, old.st_uid), name)
    true(stat.S_ISCHR(os.stat("/dev/null").st_mode), "null")
