# SPDX-License-Identifier: Apache-2.0
"""The disposable host itself: what it promises to the tests that ask for it, and what its runner promises to people."""

import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import time

import host
import linux
from case import deadline, envs, eq, has, true
from engine import engine

WALL = ("process", "the disposable host itself")

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
RUN = TOP / "tests/host/run"
KVM_GET_API_VERSION, KVM_CREATE_VM = 0xae00, 0xae01


# -- inside

@envs("host", "host-systemd")
def test_the_v2_tree_is_alone_and_complete(t):
    true(host.is_unified(), "there is a v1 hierarchy")
    has(host.controllers(), "cpu", "cpuset", "io", "memory", "pids", "hugetlb")
    controllers = [line.split()[1] for line in linux.read("/proc/cgroups").splitlines()[1:]]
    true(set(controllers) <= {"0"}, f"controllers are bound to v1: {controllers}")


@envs("host")
def test_the_scratch_disk_is_ext4_with_project_quota(t):
    found = [line.split() for line in linux.read("/proc/mounts").splitlines() if " /run/scratch " in line]
    eq(found[-1][2], "ext4")
    has(found[-1][3].split(","), "prjquota")
    eq(os.stat("/run/scratch").st_mode & 0o7777, 0o755)


@envs("host")
def test_a_machine_can_be_created_in_the_machine(t):
    fd = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    try:
        eq(fcntl.ioctl(fd, KVM_GET_API_VERSION, 0), 12)
        os.close(fcntl.ioctl(fd, KVM_CREATE_VM, 0))
    finally:
        os.close(fd)


@envs("host")
def test_an_overlay_can_have_its_upper_directory_on_tmp_and_on_the_disk(t):
    for place in (t.dir("tmp"), f"/run/scratch/{t.token}"):
        os.makedirs(f"{place}/lower", exist_ok=True)
        os.makedirs(f"{place}/upper")
        os.makedirs(f"{place}/work")
        os.makedirs(f"{place}/merged")
        linux.mount("overlay", f"{place}/merged", "overlay", 0,
                    f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work")
        with open(f"{place}/merged/file", "w", encoding="ascii") as f:
            f.write("text")
        eq(linux.read(f"{place}/upper/file"), "text")
        linux.umount(f"{place}/merged")
    subprocess.run(["rm", "-r", f"/run/scratch/{t.token}"], check=True)


@envs("host-systemd")
def test_systemd_and_its_bus_are_up_and_nothing_of_the_machine_runs(t):
    eq(t.call(["systemctl", "is-system-running"]).out, "running\n")
    has(t.call(["busctl", "--no-pager", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                "org.freedesktop.systemd1.Manager", "GetUnit", "s", "init.scope"]).ok().out, "/unit/init_2escope")
    services = t.call(["systemctl", "list-units", "--type=service", "--state=running", "--no-legend", "--plain"]).ok().out
    eq({line.split()[0] for line in services.splitlines()} - {"systemd-journald.service"},
       {"bulkhead-host.service", "dbus.service"})


@envs("host-systemd")
def test_a_scope_with_limits_can_be_had_from_systemd(t):
    out = t.call(["systemd-run", "--scope", "-q", "-p", "TasksMax=77", "-p", "CPUQuota=50%", "-p", "Delegate=yes", "sh", "-c",
                  "cd /sys/fs/cgroup$(sed s/0:://  /proc/self/cgroup) && cat pids.max cpu.max"]).ok().out
    eq(out, "77\n50000 100000\n")


# -- Docker, with limits that this machine's tree may not have

@envs("host")
@engine("docker")
@deadline(90)
def test_docker_limits_are_in_force_in_the_container_and_in_a_group(t):
    group = f"{t.engine.parent}/gold"
    out = t.engine("run", "--rm", "--network", "none", "--cgroup-parent", group, "-m", "64m", "--cpus", "0.5",
                   "--pids-limit", "50", "box", "sh", "-c",
                   "cd /sys/fs/cgroup && cat memory.max cpu.max pids.max && echo hello").ok().out
    eq(out.splitlines(), [str(64 << 20), "50000 100000", "50", "hello"])
    t.engine("run", "--rm", "--network", "none", "-m", "16m", "--memory-swap", "16m", "box", "probe", "fill", "64").exits(137)
    t.call(["rmdir", host.v2_tree() + group])


# -- the runner, from outside: boots of its own, so they are few

SCRIPT = """
echo out 1; echo err 2 >&2; echo out 3
pwd; echo "$GREETING"
head -c 10000000 /dev/zero | tr '\\0' x; echo
echo through >"$WRITTEN/file"; echo away >/etc/host-test; echo away >/usr/host-test; echo away >/tmp/host-test
kill -TERM $$
"""


@envs("hybrid")
@deadline(60)
def test_the_runner_passes_output_status_place_and_environment(t):
    t.need("disposable host")
    written = t.dir("written")
    result = t.call([str(RUN), "--write", written, "sh", "-c", SCRIPT], cwd="/usr/share", timeout=50,
                    env={**os.environ, "GREETING": "two  words", "WRITTEN": written})
    result.exits(128 + signal.SIGTERM)
    head, big, *rest = result.out.rsplit("\n", 2)
    eq(head, "out 1\nout 3\n/usr/share\ntwo  words")
    eq((len(big), set(big), rest), (10_000_000, {"x"}, [""]))
    eq(result.err, "err 2\n")
    eq(linux.read(f"{written}/file"), "through\n")
    for path in ("/etc/host-test", "/usr/host-test", "/tmp/host-test"):
        true(not os.path.exists(path), f"{path} was written through")


@envs("hybrid")
def test_the_runner_ends_a_command_that_does_not_end(t):
    t.need("disposable host")
    began = time.monotonic()
    result = t.call([str(RUN), "--timeout", "1", "sleep", "1000"]).exits(124)
    has(result.err, "did not end within 1 s")
    true(time.monotonic() - began < 10, "the time limit was not kept")


@envs("hybrid")
def test_the_runner_names_what_is_missing(t):
    t.need("disposable host")
    result = t.call([str(RUN), "--kernel", "/no/such/kernel", "true"]).exits(125)
    has(result.err, "there is no kernel /no/such/kernel")
    t.call([str(RUN)]).exits(2)


@envs("hybrid")
def test_a_killed_runner_takes_its_machine_along(t):
    t.need("disposable host")
    runner = t.spawn([sys.executable, str(RUN), "sleep", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    t.until(lambda: len(descendants(runner.pid)) >= 2, 20, "qemu and virtiofsd")
    machines = descendants(runner.pid)
    runner.kill()
    runner.wait()
    t.until(lambda: not any(os.path.exists(f"/proc/{pid}") and alive(pid) for pid in machines), 10, "their end")


def descendants(parent):
    text = linux.read(f"/proc/{parent}/task/{parent}/children", "")
    names = ("qemu", "ld-linux", "virtiofsd")  # the second is QEMU with libraries of its own
    return [int(pid) for pid in text.split() if linux.read(f"/proc/{pid}/comm", "").startswith(names)]


def alive(pid):
    return linux.read(f"/proc/{pid}/stat", ") X").rpartition(")")[2].split()[0] not in "ZX"
