# SPDX-License-Identifier: Apache-2.0
"""Namespaces: new, joined and the host's; id maps, clocks, names and sysctls."""

import os
import subprocess

import linux
from case import each, envs, eq, facts, has, true, wall

WALL = "both"

KINDS = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "user": "user", "time": "time"}


def inside(t, b):
    return facts(t.probe(b, "ns"))


@each(kind={k: k for k in ("pid", "network", "ipc", "uts", "mount", "cgroup", "time")})
def test_a_listed_namespace_is_new(t, kind):
    if kind == "time":
        t.need("time namespace")
    b = t.bundle().namespace(kind)
    true(inside(t, b)[KINDS[kind]] != os.readlink(f"/proc/self/ns/{KINDS[kind]}"), f"the {kind} namespace is the host's")


@wall("process", "namespaces of others are refused: test_vm")
@each(kind={k: k for k in ("pid", "network", "ipc", "uts", "cgroup")})
def test_a_namespace_that_is_not_listed_is_the_callers(t, kind):
    b = t.bundle().without_namespace(kind)
    if kind == "uts":
        b.config.pop("hostname")
    if kind == "network":
        b.without_mount("/sys").without_mount("/sys/fs/cgroup")
        b.bind("/sys", "/sys", "ro")
    if kind == "ipc":
        b.without_mount("/dev/mqueue")
    eq(inside(t, b)[KINDS[kind]], os.readlink(f"/proc/self/ns/{KINDS[kind]}"))


@wall("process", "namespaces of others are refused: test_vm")
@each(kind={k: k for k in ("pid", "network", "ipc", "uts", "cgroup")})
@envs("hybrid")
def test_a_namespace_with_a_path_is_joined(t, kind):
    first = t.up()
    path = f"/proc/{first.pid}/ns/{KINDS[kind]}"
    wanted = os.readlink(path)
    b = t.bundle().namespace(kind, path)
    if kind == "uts":
        b.config.pop("hostname")
    eq(inside(t, b)[KINDS[kind]], wanted)


@wall("process", "namespaces of others are refused: test_vm")
@envs("hybrid")
def test_a_user_namespace_is_joined(t):
    t.need("user namespace")
    first = t.up(t.bundle().user_namespace().probe("sleep", 1000))
    path = f"/proc/{first.pid}/ns/user"
    wanted = os.readlink(path)
    b = t.bundle().user_namespace()
    for kind in ("uidMappings", "gidMappings"):
        del b.linux[kind]
    b.namespace("user", path)
    eq(inside(t, b)["user"], wanted)


@wall("process", "namespaces of others are refused: test_vm")
@envs("hybrid")
def test_all_namespaces_of_another_container_are_joined(t):
    t.need("user namespace")
    t.need("time namespace")
    kinds = [kind for kind in KINDS if kind != "mount"]
    b = t.bundle().user_namespace().namespace("time")
    b.linux["timeOffsets"] = {"monotonic": {"secs": 7000}}
    first = t.up(b.probe("sleep", 1000))
    wanted = {KINDS[kind]: os.readlink(f"/proc/{first.pid}/ns/{KINDS[kind]}") for kind in kinds}
    b = t.bundle().user_namespace()
    for kind in kinds:
        b.namespace(kind, f"/proc/{first.pid}/ns/{KINDS[kind]}")
    for member in ("uidMappings", "gidMappings"):
        del b.linux[member]
    b.config.pop("hostname")
    found = inside(t, b)
    eq({name: found[name] for name in wanted}, wanted)


@wall("process", "the network that is joined is a guest's interface: test_network")
@envs("hybrid")
def test_a_bind_mounted_namespace_file_is_joined(t):
    linux.private_mounts()
    path = t.file("netns")
    holder = subprocess.run(["unshare", "-n", "sh", "-c", f"mount --bind /proc/self/ns/net {path}; readlink /proc/self/ns/net"],
                            capture_output=True, text=True, check=True)
    eq(inside(t, t.bundle().namespace("network", path))["net"], holder.stdout.strip())


@each(case={
    "relative": "proc/self/ns/net", "missing": "/no/such/ns", "wrong kind": "/proc/self/ns/uts", "no namespace": "/etc/passwd",
    "empty directory": "/tmp",
})
@envs("hybrid")
def test_a_namespace_path_that_is_none_is_refused(t, case):
    t.run(t.bundle().namespace("network", case)).fails()


@envs("hybrid")
def test_an_unknown_namespace_and_a_double_one_are_refused(t):
    t.run(t.bundle().namespace("magic")).fails("magic")
    b = t.bundle()
    b.linux["namespaces"].append({"type": "pid"})
    t.run(b).fails("pid")


@envs("hybrid")
def test_a_new_network_namespace_has_loopback_up(t):
    eq([x for x in t.probe(t.bundle(), "links").splitlines() if x.startswith("lo ")], ["lo up"])


@wall("process", "namespaces of others are refused: test_vm")
@envs("hybrid")
def test_in_the_hosts_pid_namespace_init_is_not_pid_1(t):
    out = facts(t.probe(t.bundle().without_namespace("pid"), "session"))
    true(int(out["pid"]) > 1, out)


@wall("process", "namespaces of others are refused: test_vm")
@envs("hybrid")
def test_in_a_joined_pid_namespace_init_is_not_pid_1(t):
    first = t.up()
    out = facts(t.probe(t.bundle().namespace("pid", f"/proc/{first.pid}/ns/pid"), "session"))
    true(int(out["pid"]) > 1, out)


# -- names


@envs("hybrid")
def test_host_and_domain_name_are_set_inside_alone(t):
    b = t.bundle()
    b.config.update(hostname="a-host", domainname="a.domain")
    found = facts(t.probe(b, "uname"))
    eq((found["hostname"], found["domainname"]), ("a-host", "a.domain"))
    true(os.uname().nodename != "a-host", "the host was renamed")


@each(member={"hostname": "hostname", "domainname": "domainname"})
@envs("hybrid")
def test_a_name_without_a_uts_namespace_is_refused(t, member):
    b = t.bundle().without_namespace("uts")
    b.config.pop("hostname")
    b.config[member] = "name"
    t.run(b).fails("uts")


@envs("hybrid")
def test_a_name_that_is_too_long_is_refused(t):
    b = t.bundle()
    b.config["hostname"] = "x" * 65
    t.run(b).fails("hostname")


# -- user namespaces


@wall("both", quick=True)
@envs("hybrid")
def test_maps_are_written_as_given(t):
    t.need("user namespace")
    b = t.bundle().user_namespace()
    b.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1000}, {"containerID": 5000, "hostID": 300000, "size": 7}]
    out = t.run(b.args("/bin/cat", "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups")).ok().out
    wanted = [["0", "100000", "1000"], ["5000", "300000", "7"], ["0", "100000", "65536"], ["allow"]]
    if t.wall == "vm":  # who they are on the host is for the machine to know; to the guest's kernel they are themselves
        wanted = [[row[0], row[0], row[2]] for row in wanted[:3]] + wanted[3:]
    eq([line.split() for line in out.splitlines()], wanted)


@envs("hybrid")
def test_root_of_a_user_namespace_is_the_mapped_id_outside(t):
    t.need("user namespace")
    c = t.up(t.bundle().user_namespace().probe("sleep", 1000))
    status = linux.read(f"/proc/{c.pid}/status")
    has(status, "Uid:\t100000\t100000\t100000\t100000", "Gid:\t100000")
    eq(facts(c.probe("ids").ok().out)["uid"], "0 0 0")


@envs("hybrid")
def test_a_user_namespace_has_its_devices_and_a_working_stdio(t):
    t.need("user namespace")
    b = t.bundle().user_namespace().shell("for d in null zero full random urandom; do probe open /dev/$d rdwr; done; echo x >/dev/stdout")
    eq(t.run(b).out.split(), ["ok"] * 5 + ["x"])


@envs("hybrid")
def test_devices_of_a_user_namespace_belong_to_nobody_or_root_and_have_the_right_numbers(t):
    t.need("user namespace")
    found = facts(t.probe(t.bundle().user_namespace(), "stat", "/dev/null"))
    eq((found["type"], found["rdev"]), ("char", "1:3"))


@envs("hybrid")
def test_an_id_that_is_not_mapped_is_refused(t):
    t.need("user namespace")
    b = t.bundle().user_namespace(size=10)
    b.process["user"] = {"uid": 11, "gid": 0}
    t.run(b).fails()


@each(case={
    "maps without a namespace": lambda b: b.without_namespace("user"),
    "a namespace without maps": lambda b: [b.linux.pop(k) for k in ("uidMappings", "gidMappings")],
    "a map of size 0": lambda b: b.linux["uidMappings"][0].update(size=0),
    "overlapping maps": lambda b: b.linux["uidMappings"].append({"containerID": 1, "hostID": 1, "size": 1}),
    "a negative id": lambda b: b.linux["uidMappings"][0].update(hostID=-1),
    "an id beyond 32 bits": lambda b: b.linux["uidMappings"][0].update(hostID=1 << 32),
})
@envs("hybrid")
def test_maps_that_cannot_be_are_refused(t, case):
    t.need("user namespace")
    b = t.bundle().user_namespace()
    case(b)
    t.run(b).fails()


@envs("hybrid")
def test_files_of_the_image_are_not_chowned(t):
    t.need("user namespace")
    b = t.bundle().user_namespace()
    path = b.write("owned", "")
    os.chown(path, 4321, 4321)
    eq(facts(t.probe(b, "stat", "/owned"))["uid"], "65534")
    eq(os.stat(path).st_uid, 4321)


@envs("hybrid")
def test_a_user_namespace_keeps_capabilities_inside(t):
    t.need("user namespace")
    b = t.bundle().user_namespace().caps("CAP_SYS_ADMIN")
    b.process["noNewPrivileges"] = False
    eq(t.run(b.probe("mount", "/tmp", "tmpfs")).out, "ok\n")


# -- clocks


@envs("hybrid")
def test_time_offsets_move_the_clocks(t):
    t.need("time namespace")
    b = t.bundle().namespace("time")
    b.linux["timeOffsets"] = {"monotonic": {"secs": 1000000, "nanosecs": 5}, "boottime": {"secs": 2000000}}
    out = facts(t.probe(b, "clocks"))
    true(1000000 <= int(out["monotonic"]) and 2000000 <= int(out["boottime"]), out)


@each(case={
    "no namespace": (None, {"monotonic": {"secs": 1}}), "unknown clock": ("time", {"realtime": {"secs": 1}}),
    "nanoseconds beyond a second": ("time", {"monotonic": {"secs": 1, "nanosecs": 1000000000}}),
})
@envs("hybrid")
def test_time_offsets_that_cannot_be_are_refused(t, case):
    t.need("time namespace")
    kind, offsets = case
    b = t.bundle()
    if kind:
        b.namespace(kind)
    b.linux["timeOffsets"] = offsets
    t.run(b).fails()


# -- sysctl


@wall("both", quick=True)
@each(case={
    "dots": ("net.ipv4.ip_forward", "1", "net"), "slashes": ("net/ipv4/ip_forward", "1", "net"),
    "shared memory": ("kernel.shmmni", "123", "ipc"), "messages": ("kernel.msgmax", "4096", "ipc"),
    "queues": ("fs.mqueue.msg_max", "9", "ipc"), "domain": ("kernel.domainname", "sysctl.domain", "uts"),
    "a dot in a name": ("net/ipv4/conf/lo/forwarding", "1", "net"),
})
@envs("hybrid")
def test_a_namespaced_sysctl_is_set_inside_alone(t, case):
    name, value, _ = case
    path = "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))
    before = linux.read(path)
    b = t.bundle()
    b.linux["sysctl"] = {name: value}
    eq(t.run(b.args("/bin/cat", path)).ok().out.strip(), value)
    eq(linux.read(path), before)


@each(case={
    "not namespaced": ("vm.swappiness", "1"), "kernel": ("kernel.panic", "1"), "hostname": ("kernel.hostname", "x"),
    "escape": ("net/../kernel/panic", "1"), "escape with dots": ("net.../kernel", "1"), "core pattern": ("kernel.core_pattern", "|/bin/x"),
    "missing": ("net.no.such", "1"), "user": ("user.max_user_namespaces", "1"), "empty": ("", "1"), "absolute": ("/net/ipv4/ip_forward/../../../kernel/panic", "1"),
})
@envs("hybrid")
def test_a_sysctl_that_is_not_the_containers_is_refused(t, case):
    name, value = case
    watched = {p: linux.read(f"/proc/sys/{p}") for p in ("kernel/panic", "vm/swappiness", "kernel/core_pattern")}
    b = t.bundle()
    b.linux["sysctl"] = {name: value}
    t.run(b).fails()
    eq({p: linux.read(f"/proc/sys/{p}") for p in watched}, watched)


@each(case={"network": ("network", "net.ipv4.ip_forward"), "ipc": ("ipc", "kernel.shmmni"), "queues": ("ipc", "fs.mqueue.msg_max")})
@envs("hybrid")
def test_a_sysctl_without_its_namespace_is_refused(t, case):
    kind, name = case
    before = linux.read("/proc/sys/" + name.replace(".", "/"))
    b = t.bundle().without_namespace(kind)
    b.linux["sysctl"] = {name: "1"}
    t.run(b).fails(name)
    eq(linux.read("/proc/sys/" + name.replace(".", "/")), before)


@envs("hybrid")
def test_the_hosts_network_by_path_counts_as_the_host(t):
    b = t.bundle().namespace("network", f"/proc/{os.getpid()}/ns/net")
    b.linux["sysctl"] = {"net.ipv4.ip_forward": linux.read("/proc/sys/net/ipv4/ip_forward").strip()}
    t.run(b).fails("net.ipv4.ip_forward")


@envs("hybrid")
def test_a_sysctl_is_not_redirected_by_the_image(t):
    # CVE-2025-52881: what looks like /proc/sys inside is none.
    fake = t.dir("fake/ipv4")
    t.file("fake/ipv4/ip_forward", "fake")
    b = t.bundle()
    b.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    b.bind(os.path.dirname(fake), "/proc/sys/net")
    t.run(b)
    eq(linux.read(f"{fake}/ip_forward"), "fake")


# -- network devices


@wall("process", "netDevices is refused: test_vm")
@envs("hybrid")
def test_a_network_device_is_moved_renamed_and_up(t):
    t.need("veth")
    linux.unshare(linux.CLONE_NEWNET)
    subprocess.run("ip link set lo up; ip link add outer0 type veth peer name outer1; ip link set outer0 mtu 1400;"
                   "ip addr add 10.99.0.1/24 dev outer0", shell=True, check=True)
    b = t.bundle()
    b.linux["netDevices"] = {"outer0": {"name": "inner0"}}
    out = t.run(b.shell("probe links; ip addr show inner0; cat /sys/class/net/inner0/mtu")).ok().out
    has(out, "inner0 up", "10.99.0.1/24", "\n1400\n")


@each(devices={"missing": {"nosuch0": {}}, "bad name": {"lo": {"name": "a/b"}}, "long name": {"lo": {"name": "x" * 16}},
               "dots": {"lo": {"name": ".."}}})
@envs("hybrid")
def test_a_network_device_that_cannot_be_moved_is_named(t, devices):
    b = t.bundle()
    b.linux["netDevices"] = devices
    t.run(b).fails()


@envs("hybrid")
def test_network_devices_need_a_network_namespace(t):
    b = t.bundle().without_namespace("network")
    b.linux["netDevices"] = {"lo": {}}
    t.run(b).fails("net")
