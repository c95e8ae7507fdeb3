# SPDX-License-Identifier: Apache-2.0
"""The systemd cgroup driver, where systemd is PID 1: what it says of a container's unit, and what the kernel says."""

import json
import os
import signal
import subprocess
import time

import host
import linux
from case import alone, deadline, each, envs, eq, has, true

WALL = ("process", "needs systemd as PID 1")

SYSTEMD = ["--systemd-cgroup"]
MIB = 1 << 20


def sleeper(t, path=None, **resources):
    b = t.bundle().probe("sleep", 1000)
    if path is not None:
        b.linux["cgroupsPath"] = path
    b.linux["resources"].update(resources)
    return b


def unit_of(c):
    return f"bulkhead-{c.id}.scope"


def shown(t, unit, *properties):
    out = t.call(["systemctl", "show", unit, "-p", ",".join(properties)]).ok().out
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def units(t, pattern):
    out = t.call(["systemctl", "list-units", "--all", "--no-legend", "--plain", pattern]).ok().out
    return [line.split()[0] for line in out.splitlines()]


def gone(t, c):
    eq(units(t, f"*{c.id}*"), [], "units")
    true(not os.path.exists(f"{host.v2_tree()}/system.slice/{unit_of(c)}"), "the cgroup is left")
    true(c.id not in t.state_names(), "the state is left")


def up(t, bundle, name=None):
    c = t.container(bundle, name)
    c.run_detached(options=SYSTEMD).ok()
    return c


def file(c, name):
    return linux.read(f"{c.cgroup}/{name}").strip()


ALL = {
    "memory": {"limit": 256 * MIB, "reservation": 64 * MIB, "swap": 256 * MIB},
    "pids": {"limit": 77},
    "cpu": {"shares": 2048, "quota": 25000, "period": 50000, "burst": 5000, "cpus": "0", "mems": "0"},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}],
    "unified": {"memory.high": str(200 * MIB), "io.weight": "default 300"},
}
FILES = {
    "memory.max": str(256 * MIB), "memory.low": str(64 * MIB), "memory.high": str(200 * MIB),
    "pids.max": "77", "cpu.weight": "174", "cpu.max": "25000 50000", "cpu.max.burst": "5000", "cpuset.cpus": "0",
    "cpuset.mems": "0", "hugetlb.2MB.max": str(4 * MIB),
}
PROPERTIES = {
    "MemoryMax": str(256 * MIB), "MemoryLow": str(64 * MIB), "MemoryHigh": str(200 * MIB), "MemorySwapMax": "0",
    "TasksMax": "77", "CPUWeight": "174", "CPUQuotaPerSecUSec": "500ms", "CPUQuotaPeriodUSec": "50ms", "AllowedCPUs": "0",
    "AllowedMemoryNodes": "0", "IOWeight": "300", "Delegate": "yes", "Slice": "system.slice", "ActiveState": "active",
    "CPUAccounting": "yes", "MemoryAccounting": "yes", "TasksAccounting": "yes", "IOAccounting": "yes",
    "DevicePolicy": "strict", "CollectMode": "inactive-or-failed", "DefaultDependencies": "no",
}


def files(c, names):
    return {name: file(c, name) for name in names}


@envs("host-systemd")
@deadline(60)
def test_every_limit_is_the_units_and_the_cgroups_and_a_reload_changes_neither(t):
    c = t.container(sleeper(t, **ALL))
    c.create(options=SYSTEMD).ok()
    eq(c.status, "created")
    eq(c.cgroup, f"{host.v2_tree()}/system.slice/{unit_of(c)}")
    eq(c.pids(), [c.pid], "the placeholder is gone")
    for _ in range(2):
        eq(files(c, FILES), FILES)
        eq(shown(t, unit_of(c), *PROPERTIES), PROPERTIES)
        t.call(["systemctl", "daemon-reload"]).ok()
        t.call(["systemctl", "set-property", "--runtime", unit_of(c), "Description=same"])
    c.start().ok()
    eq(c.exec("/bin/echo", "inside").ok().out, "inside\n")
    c.pause().ok()
    eq((c.status, file(c, "cgroup.freeze")), ("paused", "1"))
    c.resume().ok()
    c.kill("KILL").ok()
    c.wait("stopped")
    c.delete().ok()
    gone(t, c)


@envs("host-systemd")
@deadline(60)
def test_an_update_changes_files_and_properties_and_survives_a_reload(t):
    c = up(t, sleeper(t, memory={"limit": 256 * MIB}, pids={"limit": 77}, cpu={"quota": 50000, "period": 100000, "burst": 40000}))
    t.runtime("update", "--memory", 128 * MIB, "--pids-limit", 55, "--cpu-quota", 20500, "--cpu-burst", 1000, "--cpu-share", 512,
              "--cpuset-cpus", "0", c.id).ok()
    wanted = {"memory.max": str(128 * MIB), "pids.max": "55", "cpu.max": "20500 100000", "cpu.max.burst": "1000",
              "cpu.weight": "59", "cpuset.cpus": "0"}
    eq(files(c, wanted), wanted)
    said = {"MemoryMax": str(128 * MIB), "TasksMax": "55", "CPUQuotaPerSecUSec": "210ms", "CPUWeight": "59", "AllowedCPUs": "0"}
    eq(shown(t, unit_of(c), *said), said)
    t.call(["systemctl", "daemon-reload"]).ok()
    eq(shown(t, unit_of(c), *said), said)
    has(("20500 100000", "21000 100000"), file(c, "cpu.max"))
    del wanted["cpu.max"]
    eq(files(c, wanted), wanted)


@envs("host-systemd")
@deadline(60)
def test_an_update_that_cannot_be_done_changes_neither(t):
    c = up(t, sleeper(t, memory={"limit": 256 * MIB}, pids={"limit": 77}, cpu={"quota": 50000, "period": 100000, "burst": 4000}))
    before = {"memory.max": str(256 * MIB), "pids.max": "77", "cpu.max": "50000 100000", "cpu.max.burst": "4000"}
    said = {"MemoryMax": str(256 * MIB), "TasksMax": "77", "CPUQuotaPerSecUSec": "500ms"}
    for unified in ({"no.such.file": "1"}, {"cpuset.cpus": "4000"}, {"memory.max": "lots"}):
        change = {"memory": {"limit": 128 * MIB}, "pids": {"limit": 5}, "cpu": {"quota": 20000, "period": 100000, "burst": 1000},
                  "unified": unified}
        t.runtime("update", "--resources", "-", c.id, input=json.dumps(change)).fails("cannot update", next(iter(unified)))
        eq(files(c, before), before, str(unified))
        eq(shown(t, unit_of(c), *said), said, str(unified))


def kmsg(t, *rules):
    b = sleeper(t).all_caps()
    b.linux["devices"] = [{"type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11, "fileMode": 0o666}]
    b.linux["resources"]["devices"] += rules
    return b


@envs("host-systemd")
@deadline(60)
def test_devices_are_allowed_and_denied_before_and_after_a_reload(t):
    allowed = up(t, kmsg(t, {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}))
    denied = up(t, kmsg(t))
    # systemd's list can only allow major 1; the exception is our own program's
    pierced = up(t, kmsg(t, {"allow": True, "type": "c", "major": 1, "access": "rwm"},
                         {"allow": False, "type": "c", "major": 1, "minor": 11, "access": "rwm"}))
    for _ in range(2):
        allowed.exec("/bin/sh", "-c", ": </dev/kmsg").ok()
        allowed.exec("/bin/sh", "-c", ": >/dev/kmsg").fails("operation not permitted")
        denied.exec("/bin/sh", "-c", ": </dev/kmsg").fails("operation not permitted")
        pierced.exec("/bin/sh", "-c", ": </dev/kmsg").fails("operation not permitted")
        for c in (allowed, denied, pierced):
            c.exec("/bin/sh", "-c", "echo x >/dev/null && head -c 1 /dev/zero").ok()
        t.call(["systemctl", "daemon-reload"]).ok()


@envs("host-systemd")
@deadline(60)
def test_run_in_the_foreground_leaves_nothing(t):
    name = t.name()
    b = t.bundle().shell("cat /proc/self/cgroup; exit 3")
    b.linux["namespaces"] = [n for n in b.linux["namespaces"] if n["type"] != "cgroup"]
    b.linux["cgroupsPath"] = f":bh:{name}"
    b.save()
    result = t.runtime("run", "-b", b.path, name, options=SYSTEMD).exits(3)
    has(result.out, f"0::/system.slice/bh-{name}.scope")
    eq(units(t, f"*{name}*"), [])
    eq(t.state_names(), [])


@envs("host-systemd")
def test_a_limit_of_one_process_leaves_room_for_it(t):
    c = up(t, sleeper(t, pids={"limit": 1}))
    eq(file(c, "pids.max"), "1")
    eq(shown(t, unit_of(c), "TasksMax")["TasksMax"], "1")


@envs("host-systemd")
@deadline(60)
def test_slices_nest_and_the_root_slice_is_a_dash(t):
    c = up(t, sleeper(t, f"bht-{os.getpid()}.slice:p:n"))
    eq(c.cgroup, f"{host.v2_tree()}/bht.slice/bht-{os.getpid()}.slice/p-n.scope")
    c.delete("--force").ok()
    t.call(["systemctl", "stop", f"bht-{os.getpid()}.slice", "bht.slice"]).ok()
    c = up(t, sleeper(t, f"-::{t.token}"))
    eq(c.cgroup, f"{host.v2_tree()}/{t.token}.scope")
    c.delete("--force").ok()
    eq(units(t, f"{t.token}.scope"), [])


@envs("host-systemd")
def test_a_unit_that_is_a_slice_holds_the_container(t):
    name = f"bhs{os.getpid()}.slice"
    c = up(t, sleeper(t, f"-::{name}", memory={"limit": 64 * MIB}))
    eq(c.cgroup, f"{host.v2_tree()}/{name}")
    eq(shown(t, name, "MemoryMax", "ActiveState"), {"MemoryMax": str(64 * MIB), "ActiveState": "active"})
    c.delete("--force").ok()
    true(not os.path.exists(f"{host.v2_tree()}/{name}"), "the slice's cgroup is left")


@envs("host-systemd")
@deadline(60)
def test_a_unit_of_that_name_is_neither_joined_nor_harmed(t):
    first = up(t, sleeper(t, f":bh:{t.token}"))
    second = t.container(sleeper(t, f":bh:{t.token}"))
    second.create(options=SYSTEMD).fails(f"systemd has a unit bh-{t.token}.scope already", "/linux/cgroupsPath")
    true(second.id not in t.state_names(), "the state is left")
    eq(first.status, "running")
    # A create that was killed before it was told so: its remnant names a unit that is not its own.
    remnant = f"{t.root}/{second.id}"
    os.mkdir(remnant, 0o700)
    os.symlink(f"system.slice/bh-{t.token}.scope", f"{remnant}/cgroup")
    os.symlink(f"bh-{t.token}.scope", f"{remnant}/unit")
    second.delete("--force").ok()
    true(not os.path.exists(remnant), "the remnant is left")
    eq(first.status, "running")


@envs("host-systemd")
@deadline(60)
def test_a_unit_that_failed_earlier_is_cleared_away(t):
    unit = f"bh-{t.token}.scope"
    t.call(["systemd-run", "--scope", "-q", f"--unit={unit}", "-p", "RuntimeMaxSec=1", "sleep", "1000"])
    t.until(lambda: shown(t, unit, "ActiveState")["ActiveState"] == "failed", 10, "the unit to fail")
    c = up(t, sleeper(t, f":bh:{t.token}"))
    eq(shown(t, unit, "ActiveState")["ActiveState"], "active")
    c.delete("--force").ok()
    eq(units(t, unit), [])


SHAPES = {
    "a path": ("/docker/x", "is not of the form slice:prefix:name"),
    "two parts": ("system.slice:x", "is not of the form slice:prefix:name"),
    "four parts": ("system.slice:x:y:z", "is not of the form slice:prefix:name"),
    "no slice": ("system:x:y", "must end in .slice"),
    "an empty name": ("system.slice:x:", "names no unit"),
    "a bad character": ("system.slice:x:a/b", "cannot be part of a unit's name"),
    "a bad slice": ("a--b.slice:x:y", "is no slice"),
}


@envs("host-systemd")
@each(shape=SHAPES)
def test_other_shapes_of_cgroupsPath_are_refused(t, shape):
    given, why = shape
    c = t.container(sleeper(t, given))
    c.create(options=SYSTEMD).fails("cgroupsPath", why, "/linux/cgroupsPath")
    eq(t.state_names(), [])


@envs("host-systemd")
@deadline(60)
def test_annotations_set_what_is_harmless_and_nothing_else(t):
    b = sleeper(t)
    b.config["annotations"] = {"org.systemd.property.TimeoutStopSec": "7", "org.systemd.property.KillSignal": "10",
                               "org.systemd.property.After": "['dbus.service']",
                               "org.systemd.property.MemoryMax": f"uint64 {64 * MIB}"}
    c = up(t, b)
    said = shown(t, unit_of(c), "TimeoutStopUSec", "KillSignal", "MemoryMax", "After")
    has(said.pop("After"), "dbus.service")
    eq(said, {"TimeoutStopUSec": "7s", "KillSignal": "10", "MemoryMax": str(64 * MIB)})
    for name, value in {"ExecStart": "'/bin/touch /tmp/pwned'", "ExecStopPost": "['/bin/sh']", "Wants": "['rescue.target']",
                        "FailureAction": "'reboot'", "PIDs": "[1]", "Delegate": "false"}.items():
        b = sleeper(t)
        b.config["annotations"] = {f"org.systemd.property.{name}": value}
        t.container(b).create(options=SYSTEMD).fails(f"org.systemd.property.{name}", "may not be set by annotation")
    b = sleeper(t, memory={"limit": 4 * MIB})
    b.config["annotations"] = {"org.systemd.property.MemoryMax": "uint64 18446744073709551615"}
    t.container(b).create(options=SYSTEMD).fails("has set that limit already")


@envs("host-systemd")
@deadline(120)
def test_twenty_at_once(t):
    cs = [t.container(sleeper(t, pids={"limit": 30 + i})) for i in range(20)]
    runs = []
    for c in cs:
        c.bundle.save()
        runs.append(t.spawn(t.command("run", "--detach", "--bundle", c.bundle.path, c.id, options=SYSTEMD),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    eq([r.wait(60) for r in runs], [0] * 20)
    eq([file(c, "pids.max") for c in cs], [str(30 + i) for i in range(20)])
    eq(sorted(units(t, f"bulkhead-{t.token}*.scope")), sorted(unit_of(c) for c in cs))
    ends = [t.spawn(t.command("delete", "--force", c.id)) for c in cs]
    t.until(lambda: t.reap() or all(e.poll() is not None for e in ends), 60, "20 deletes")
    eq([e.returncode for e in ends], [0] * 20)
    for c in cs:
        gone(t, c)


@envs("host-systemd")
@deadline(120)
def test_a_create_that_is_killed_leaves_nothing_after_delete(t):
    mark = f"{t.tmp}/mark"
    hook = t.script("hook", f"echo >{mark}; exec sleep 100\n")
    c = t.container(sleeper(t))
    c.bundle.config["hooks"] = {"createRuntime": [{"path": hook}]}
    c.bundle.save()
    create = t.spawn(t.command("create", "--bundle", c.bundle.path, c.id, options=SYSTEMD), stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, start_new_session=True)
    t.until(lambda: os.path.exists(mark), 20, "the hook")
    os.killpg(create.pid, signal.SIGKILL)
    create.wait()
    c.delete("--force").ok()
    gone(t, c)
    # At whatever moment: 8 of them over the time that a create takes.
    del c.bundle.config["hooks"]
    began = time.monotonic()
    c.create(options=SYSTEMD).ok()
    whole = time.monotonic() - began
    c.delete("--force").ok()
    for i in range(8):
        create = t.spawn(t.command("create", "--bundle", c.bundle.path, c.id, options=SYSTEMD), stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
        time.sleep(whole * i / 7)
        create.kill()
        create.wait()
        c.delete("--force").ok()
        t.until(lambda: not units(t, f"*{c.id}*"), 5, "systemd to drop the unit")
        gone(t, c)


@envs("host-systemd")
def test_a_missing_library_is_named_with_its_package(t):
    b = sleeper(t).save()
    hide = "for f in /lib/*/libsystemd.so.0; do mount --bind /dev/null $f; done; exec \"$@\""
    t.call(["unshare", "-m", "sh", "-c", hide, "sh", *t.command("create", "-b", b.path, t.name(), options=SYSTEMD)]).fails(
        "libsystemd.so.0 does not load", "install the package libsystemd0")
    eq(t.state_names(), [])


@alone  # a reload of systemd in this moment makes it miss the end of the scope
@envs("host-systemd")
def test_delete_does_without_systemd(t):
    c = up(t, sleeper(t))
    hide = "mount -t tmpfs none /run/systemd && exec \"$@\""
    t.call(["unshare", "-m", "sh", "-c", hide, "sh", *t.command("delete", "--force", c.id)]).ok()
    t.until(lambda: not units(t, unit_of(c)), 10, "systemd to see that the scope is empty")
    gone(t, c)


@envs("host-systemd")
def test_features_and_check_know_systemd(t):
    eq(t.runtime("features").json["linux"]["cgroup"]["systemd"], True)
    rows = {c["name"]: c["verdict"] for c in json.loads(t.runtime("check", "--format", "json").out)["checks"]}
    eq(rows["systemd cgroups"], "ok")
