# SPDX-License-Identifier: Apache-2.0
"""The VM wall: what only a virtual machine has, and its bad moments. What holds for both walls is tested elsewhere, for both."""

import os
import pathlib
import re
import signal
import subprocess

import guests
import linux
from case import alone, deadline, each, envs, eq, has, hasnt, true, wall
from load import Usage, cpus, groups, measured, near
from test_trace import processes, read_trace, steps

WALL = "both"

MIB = 1 << 20
QUICKSTART = str(pathlib.Path(__file__).resolve().parent.parent / "quickstart.sh")
KERNELS = {"of Debian 13": "stock", "of Debian 12": "older"}


def small(t, *shell, limit=64 * MIB):
    """A bundle whose machine is as small as one gets."""
    b = t.bundle()
    b.config["vm"]["hwConfig"] = {"vcpus": 1}
    b.linux["resources"]["memory"] = {"limit": limit}
    return b.shell(*shell) if shell else b.probe("sleep", 1000)


def use(t, kernel):
    if kernel == "older":
        t.need("a kernel 6.1 for guests")
        linux.private_mounts()
        guests.install_kernel(kernel)


# -- it works


@wall("vm")
@deadline(90)
@each(kernel=KERNELS)
def test_the_bundle_of_the_quickstart_runs_unchanged(t, kernel):
    use(t, kernel)
    behind_vm = t.script("bulkhead", f'exec {t.binary} --root {t.root} --isolation=vm "$@"\n')
    env = dict(os.environ, TMPDIR=t.tmp, BULKHEAD_STORE=f"{t.tmp}/store")
    out = t.call([QUICKSTART, behind_vm], env=env, timeout=60).ok().out
    has(out, "hello from", "where I am pid 1\n", "uid=0 gid=0", "lo: <", "It works", "\nfile\n")


@wall("vm")
@deadline(90)
@each(kernel=KERNELS)
def test_the_kernel_inside_is_the_guests(t, kernel):
    use(t, kernel)
    b = t.bundle().shell("/bin/busybox uname -r; exec sleep 1000")
    del b.config["vm"]
    c = t.up(b)
    c.wait_out("\n", 20)
    eq(c.out.strip(), guests.release(kernel))
    eq(c.exec("/bin/busybox", "uname", "-r").ok().out.strip(), guests.release(kernel))
    # Drivers that no program waits for come when it runs.
    late = "test -e /proc/modules && for m in virtio_rng virtio_balloon; do until grep -q ^$m /proc/modules; do sleep 0.2; done; done; echo both"
    eq(c.exec("/bin/sh", "-c", late, timeout=30).ok().out, "both\n")
    if kernel == "older":
        true(os.uname().release != guests.release(kernel), "the host runs the same kernel: this test shows nothing")


@wall("vm")
@deadline(60)
def test_vcpus_and_memory_are_those_that_the_config_asks_for(t):
    t.need("two cpus")
    b = t.bundle()
    del b.config["vm"]
    b.shell("grep -c ^processor /proc/cpuinfo; grep MemTotal /proc/meminfo; cat /sys/fs/cgroup/memory.max; sleep 1000")
    b.linux["resources"].update(memory={"limit": 96 * MIB}, cpu={"quota": 150000, "period": 100000})
    c = t.up(b).wait_out("MemTotal", 20)
    c.wait_out(f"{96 * MIB}", 10)
    lines = c.out.splitlines()
    eq(lines[0], "2", "vCPUs for a quota of one and a half")
    total = int(lines[1].split()[1]) * 1024
    # Memory of the guest: the limit, 1/32 of it and 64 MiB, or 160 MiB; the kernel keeps some for itself.
    true(96 * MIB < total <= 164 * MIB, f"the guest has {total} bytes")
    eq(linux.read(f"{c.cgroup}/cpu.max").split()[0], "150000")
    true(int(linux.read(f"{c.cgroup}/memory.max")) > 164 * MIB, "the host's limit is none for the machine")


@wall("vm")
@deadline(60)
def test_the_timeline_tells_the_machines_steps_on_the_hosts_clock(t):
    path = f"{t.tmp}/trace"
    b = small(t, "true")
    b.save()
    t.runtime("run", "--bundle", b.path, t.name(), options=["--trace", path], timeout=30).ok()
    events = read_trace(path)
    names = processes(events)
    inside = steps(events, next(pid for name, pid in names.items() if name != "bulkhead run"))
    for step in ("vm: kernel loaded", "vm: vCPUs", "vm: running", "vm: agent's hello", "vm: container made", "vm: program started", "vm: ended"):
        true(step in inside, f"no step {step!r} in {inside}")
    spans = {e["name"]: (e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X"}
    true(spans["vm: running"][1] <= spans["vm: agent's hello"][1] <= spans["vm: container made"][1] <= spans["stages"][1] + 1,
         f"the container was made after the command was told so: {spans}")
    true(spans["start"][0] <= spans["vm: program started"][1] <= spans["start"][1] + 1, f"the start: {spans}")


@wall("vm")
@deadline(60)
def test_the_machine_is_in_a_jail(t):
    c = t.up(small(t))
    pid = c.pid
    threads = os.listdir(f"/proc/{pid}/task")
    true(len(threads) >= 3, f"threads: {threads}")
    for thread in threads:
        status = dict(line.split(":\t", 1) for line in linux.read(f"/proc/{pid}/task/{thread}/status").splitlines() if ":\t" in line)
        eq((status["Seccomp"].strip(), status["NoNewPrivs"].strip()), ("2", "1"), f"thread {status['Name']}")
        # SYS_ADMIN, SYS_PTRACE, SYS_RAWIO, SYS_MODULE, NET_ADMIN, BPF
        for number in (21, 19, 17, 16, 12, 39):
            true(not int(status["CapEff"], 16) >> number & 1, f"thread {status['Name']} has capability {number}")
    for kind in ("mnt", "net", "ipc", "uts", "pid"):
        true(os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), f"the host's {kind} namespace")
    true(sorted(os.listdir(f"/proc/{pid}/root/")) in (["root"], ["root", "volumes"]), os.listdir(f"/proc/{pid}/root/"))
    eq(c.pids(), [pid], "processes on the host")


@wall("vm")
@alone
@deadline(90)
def test_a_machine_obeys_the_cap_of_its_cpu_group(t):
    with groups(t, "cpu") as g:
        gold = g.create("gold", "--cap", "0.5")
        b = small(t, "while :; do :; done & while :; do :; done & echo spinning; wait")
        c = g.up("gold", b)
        c.wait_out("spinning", 30)
        has(c.cgroup, "/gold/")
        measured(lambda got: near("gold", got[0], 0.5, 0.1), lambda: cpus(6, gold))


@wall("vm")
@deadline(60)
def test_what_the_guest_wrote_is_in_the_sandbox(t):
    t.need("libarchive")
    from test_sandbox import image, rt
    name = t.name()
    b = t.bundle().shell("echo from the guest > /etc/written; rm /etc/image-file; mkdir /new; dd if=/dev/zero of=/new/big bs=1M count=3 2>/dev/null")
    where = image(t, b)
    b.save()
    t.containers.append(name)
    t.runtime("run", "--keep", "-b", b.path, "--image", where, "--sandbox", "keep", name,
              options=("--store", f"{t.tmp}/store"), timeout=40).ok()
    diff = rt(t, "diff", name).ok().out
    has(diff, "etc/written", "etc/image-file", "new/big")
    upper = next(os.path.join(top, "written") for top, _, files in os.walk(f"{t.tmp}/store/sandboxes") if "written" in files)
    eq(linux.read(upper), "from the guest\n")
    eq(os.stat(os.path.join(os.path.dirname(upper), "../new/big")).st_size, 3 * MIB)
    rt(t, "delete", "--force", name).ok()
    t.containers.remove(name)
    rt(t, "sandbox", "remove", name).ok()


@wall("vm")
@deadline(60)
def test_a_full_sandbox_is_a_full_disk_to_the_guest_alone(t):
    t.need("libarchive")
    from test_sandbox import image
    b = t.bundle().shell("dd if=/dev/zero of=/big bs=64k count=512; sync; echo wrote $?; rm -f /big; sync; echo small > /small && cat /small")
    where = image(t, b)
    b.save()
    result = t.runtime("run", "-b", b.path, "--image", where, "--sandbox", "memory:8m", t.name(),
                       options=("--store", f"{t.tmp}/store"), timeout=40)
    has(result.out + result.err, "No space left", "small\n")


# -- bad moments


@wall("vm")
@deadline(60)
def test_memory_that_runs_out_inside_is_told(t):
    # What has no owner is tmpfs: the shell that fills it is the one to be killed.
    b = small(t, "dd if=/dev/zero of=/dev/shm/a bs=1M count=200", limit=24 * MIB)
    next(m for m in b.config["mounts"] if m["destination"] == "/dev/shm")["options"] = ["size=400m"]
    b.args("/bin/busybox", "dd", "if=/dev/zero", "of=/dev/shm/a", "bs=1M", "count=200")
    b.save()
    result = t.runtime("run", "-b", b.path, t.name(), timeout=40)
    result.exits(137)
    has(result.err, "memory", f"{24} MiB")


@wall("vm")
@deadline(60)
@each(way={"in the foreground": "run", "detached": "up"})
def test_a_guest_that_panics_is_told_with_its_last_words(t, way):
    b = small(t, "echo about to; echo c > /proc/sysrq-trigger; sleep 1000").all_caps()
    b.linux["readonlyPaths"] = []
    if way == "run":
        b.save()
        result = t.runtime("run", "-b", b.path, t.name(), timeout=40)
        result.exits(137)
        has(result.err, "panic", "sysrq")
        return
    c = t.up(b).wait("stopped", 30)
    has(c.delete().ok().err, "panic", "sysrq")


@wall("vm")
@deadline(60)
def test_the_death_of_the_machine_is_the_containers(t):
    c = t.container(small(t))
    with t.foreground(c) as run:
        os.kill(c.pid, signal.SIGKILL)
        eq(run.wait(timeout=100), 137)
    eq(t.state_names(), [])
    d = t.up(small(t))
    os.kill(d.pid, signal.SIGKILL)
    d.wait("stopped", 10)
    d.exec("/bin/true").fails("stopped container", code=255)
    d.delete().ok()


@wall("vm")
@deadline(60)
@each(end={"killed": ["kill", "KILL"], "deleted": ["delete"]})
def test_a_machine_that_stands_still_hangs_nobody(t, end):
    c = t.up(small(t))
    os.kill(c.pid, signal.SIGSTOP)
    eq(c.status, "running")
    t.runtime("list").ok()
    t.runtime("events", "--stats", c.id, timeout=6)  # what it can say is the host's view, or that the guest is silent
    c.exec("/bin/true", timeout=10).fails("answer", code=255)
    t.runtime("ps", c.id, timeout=10)
    c.kill("TERM").ok()
    if end[0] == "kill":
        c.kill("KILL").ok()
        c.wait("stopped", 10)
        c.delete().ok()
    else:
        c.delete("--force").ok()
    eq(t.state_names(), [])


@wall("vm")
@deadline(60)
def test_a_guest_that_spins_with_all_it_has_can_be_ended(t):
    b = small(t, "for i in 1 2 3 4; do while :; do :; done & done; echo spinning; wait").all_caps()
    c = t.up(b).wait_out("spinning", 30)
    eq(c.status, "running")
    c.delete("--force").ok()


STREAMS = 57  # that a machine has for its processes: vm/virtio/virtio.h


@wall("vm")
@alone
@deadline(120)
@each(kernel=KERNELS)
def test_many_processes_at_once_have_streams_of_their_own_and_too_many_are_refused(t, kernel):
    use(t, kernel)
    c = t.up(small(t))
    speak = "read word; echo out $word; echo err $word >&2; exec cat"

    def begin(number):
        said = f"{t.tmp}/{number}.out", f"{t.tmp}/{number}.err"
        with open(said[0], "wb") as out, open(said[1], "wb") as err:
            return t.spawn_runtime("exec", c.id, "/bin/sh", "-c", speak, stdin=subprocess.PIPE, stdout=out, stderr=err), *said

    def said(path, text):
        return t.until(lambda: text in linux.read(path), 60, f"{text!r} in {path}")

    # More than there are streams: whoever comes too late, and nobody else, is refused with the reason.
    asked = {number: begin(number) for number in range(STREAMS // 3 + 1)}
    for number, (process, _out, _err) in asked.items():
        process.stdin.write(f"{number}\n".encode())
        try:
            process.stdin.flush()
        except BrokenPipeError:
            pass
    refused = []
    for number, (process, out, err) in asked.items():
        t.until(lambda p=process, e=err, n=number: p.poll() is not None or f"err {n}\n" in linux.read(e), 60, f"an answer to {number}")
        if process.poll() is None:
            said(out, f"out {number}\n")
        else:
            refused.append(number)
            has(linux.read(err), f"all {STREAMS} streams that a virtual machine has for its processes are in use")
    true(1 <= len(refused) <= 2, f"refused: {refused}")
    for number, (process, out, err) in asked.items():
        if number in refused:
            continue
        process.stdin.write(b"the end\n")
        process.stdin.close()
        eq(process.wait(timeout=600), 0)
        eq((linux.read(out), linux.read(err)), (f"out {number}\nthe end\n", f"err {number}\n"))
    eq(c.exec("/bin/echo", "again").ok().out, "again\n")


@wall("vm")
@alone
@deadline(120)
def test_ten_machines_at_once_start_and_stop_and_leave_nothing(t):
    bundle = small(t)
    bundle.save()
    made = [t.container(bundle) for _ in range(10)]

    def argv(c):
        return ["run", "--detach", "--bundle", bundle.path, "--pid-file", f"{t.tmp}/{c.id}.pid", c.id]

    starting = []
    for c in made:
        with open(f"{t.tmp}/{c.id}.err", "wb") as said:
            starting.append(t.spawn_runtime(*argv(c), stdout=subprocess.DEVNULL, stderr=said))
    for c, process in zip(made, starting):
        status = process.wait(timeout=900)
        said = linux.read(f"{t.tmp}/{c.id}.err")
        if status and guests.STILLBORN in said:  # as Case.runtime() does; among ten it is likely
            t.runtime(*argv(c), out="/dev/null", err=f"{t.tmp}/{c.id}.err", timeout=60).ok()
        else:
            eq(status, 0, f"status of run --detach, which said {said!r}")
    pids = [int(linux.read(f"{t.tmp}/{c.id}.pid")) for c in made]
    eq(len(set(pids)), 10)
    listed = t.runtime("list").ok().out
    eq(len(re.findall(r"\brunning\b", listed)), 10, "running containers")
    eq(made[3].exec("/bin/echo", "here").ok().out, "here\n")
    cgroups = [c.cgroup for c in made]
    ending = [t.spawn_runtime("delete", "--force", c.id) for c in made]
    for process in ending:
        eq(process.wait(timeout=300), 0, "status of delete --force")
    t.containers.clear()
    eq(t.state_names(), [])
    eq([c for c in cgroups if os.path.exists(c)], [])
    t.reap()
    eq([p for p in pids if os.path.exists(f"/proc/{p}") and linux.children().get(p) != "Z"], [])


# -- what a host may lack


def without_kvm():
    linux.private_mounts()
    linux.mount("tmpfs", "/dev", "tmpfs")
    os.mknod("/dev/null", 0o20666, os.makedev(1, 3))


@envs("hybrid")
def test_without_dev_kvm_there_is_no_machine_and_no_lesser_wall(t):
    b = t.bundle()
    b.save()
    t.runtime("run", "-b", b.path, t.name(), options=["--isolation=vm"], preexec=without_kvm).fails(
        "cannot put a virtual machine around the container", "open /dev/kvm", "no such file")
    eq(t.state_names(), [])


@envs("hybrid")
def test_a_dev_kvm_that_is_none_is_refused(t):
    def nothing():
        linux.private_mounts()
        linux.mount("tmpfs", "/dev", "tmpfs")
        for name in ("null", "kvm"):
            os.mknod(f"/dev/{name}", 0o20666, os.makedev(1, 3))
    b = t.bundle()
    b.save()
    t.runtime("run", "-b", b.path, t.name(), options=["--isolation=vm"], preexec=nothing).fails(
        "cannot put a virtual machine around the container", "create a virtual machine")
    eq(t.state_names(), [])


@envs("hybrid")
def test_a_paravirtual_kvm_is_refused_with_that_reason(t):
    t.need("kvm", "no virtual machines")
    b = t.bundle()
    b.save()
    t.runtime("run", "-b", b.path, t.name(), options=["--isolation=vm"]).fails(
        "cannot put a virtual machine around the container", "hint", "hardware or nested virtualisation")
    eq(t.state_names(), [])


@wall("vm")
def test_a_kernel_that_is_none_is_named(t):
    b = t.bundle()
    kernel = b.config.pop("vm")
    b.save()
    name = t.name()
    text = t.file("vmlinuz", "#!/bin/sh\n" * 1000)
    t.runtime("run", "-b", b.path, name, options=["--kernel", text]).fails("vmlinuz", "kernel")
    t.runtime("run", "-b", b.path, name, options=["--kernel", "/nonexistent"]).fails("there is no kernel /nonexistent")
    kernel["kernel"]["path"] = text
    b.config["vm"] = kernel
    b.save()
    t.runtime("run", "-b", b.path, name).fails("vmlinuz", "/vm/kernel/path")
    eq(t.state_names(), [])


# -- what a virtual machine cannot honour


def joins(kind):
    return lambda b: b.namespace(kind, f"/proc/1/ns/{kind}")


def shares(kind):
    return lambda b: b.without_namespace(kind)


def on(member, **value):
    return lambda b: b.linux.update({member: value})


# What is wished, the word for it in `features`, the sentence, and the place in the config.
REFUSED = {
    "a cgroup of the program's own": (lambda b: b.config.update(annotations={"dev.bulkhead.cgroup-leaf": "init"}), "cgroupLeaf",
                                      "no cgroup of its own below", "/annotations/dev.bulkhead.cgroup-leaf"),
    "pid namespace of another": (joins("pid"), "joinedNamespaces", "cannot join the pid namespace", "/linux/namespaces/"),
    "ipc namespace of another": (joins("ipc"), "joinedNamespaces", "cannot join the ipc namespace", "/linux/namespaces/"),
    "uts namespace of another": (joins("uts"), "joinedNamespaces", "cannot join the uts namespace", "/linux/namespaces/"),
    "user namespace of another": (joins("user"), "joinedNamespaces", "cannot join the user namespace", "/linux/namespaces/"),
    "cgroup namespace of another": (joins("cgroup"), "joinedNamespaces", "cannot join the cgroup namespace", "/linux/namespaces/"),
    "the host's pid namespace": (shares("pid"), "hostNamespaces", "cannot share the host's pid namespace", "/linux/namespaces"),
    "the host's ipc namespace": (shares("ipc"), "hostNamespaces", "cannot share the host's ipc namespace", "/linux/namespaces"),
    "the host's network": (shares("network"), "hostNamespaces", "cannot share the host's network namespace", "/linux/namespaces"),
    "a device of the host": (lambda b: b.linux.update(devices=[{"type": "b", "path": "/dev/vda", "major": 254, "minor": 0}]),
                             "hostDevices", "has no device b 254:0 of the host's", "/linux/devices/0"),
    "a mount that is to show up": (lambda b: b.bind("/usr", "/mnt", "rshared"), "sharedPropagation",
                                   "cannot show up on the host (rshared)", "/mounts/"),
    "a root that is to show up": (lambda b: b.linux.update(rootfsPropagation="rshared"), "sharedPropagation",
                                  "cannot show up on the host", "/linux/rootfsPropagation"),
    "a file system of the host": (lambda b: b.mount("/mnt", "ext4", "/dev/vda1"), "hostFilesystems",
                                  'cannot mount a "ext4" of the host\'s', "/mounts/"),
    "an overlay": (lambda b: b.mount("/mnt", "overlay", "overlay", ["lowerdir=/usr:/etc"]), "hostFilesystems",
                   'cannot mount a "overlay" of the host\'s', "/mounts/"),
    "a seccomp listener": (on("seccomp", defaultAction="SCMP_ACT_ALLOW", listenerPath="/run/listener", syscalls=[
        {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]), "seccompNotify", "cannot ask a listener", "/linux/seccomp"),
    "an AppArmor profile": (lambda b: b.process.update(apparmorProfile="docker-default"), "apparmorProfile", "no AppArmor profiles",
                            "/process/apparmorProfile"),
    "an SELinux label": (lambda b: b.process.update(selinuxLabel="system_u:system_r:container_t:s0"), "selinuxLabel",
                         "no SELinux labels", "/process/selinuxLabel"),
    "a label of mounts": (lambda b: b.linux.update(mountLabel="system_u:object_r:container_file_t:s0"), "mountLabel",
                          "no SELinux labels", "/linux/mountLabel"),
    "a network device": (on("netDevices", eth0={}), "netDevices", "cannot have a network device of the host's", "/linux/netDevices"),
    "memory nodes": (on("memoryPolicy", mode="MPOL_BIND", nodes="0"), "memoryPolicy", "no memory nodes of the host's",
                     "/linux/memoryPolicy"),
    "CPUs for exec": (lambda b: b.process.update(execCPUAffinity={"initial": "0"}), "execCPUAffinity",
                      "do not choose among the host's CPUs", "/process/execCPUAffinity"),
    "another hypervisor": (lambda b: b.config.update(vm={"hypervisor": {"path": "/usr/bin/qemu"}, "kernel": {"path": "/boot/k"}}),
                           "hypervisor", "hypervisor", "/vm/hypervisor"),
    "a disk image": (lambda b: b.config.update(vm={"image": {"path": "/disk", "format": "raw"}, "kernel": {"path": "/boot/k"}}),
                     "diskImage", "disk image", "/vm/image"),
    "a device tree": (lambda b: b.config.update(vm={"hwConfig": {"deviceTree": "/dtb"}, "kernel": {"path": "/boot/k"}}),
                      "deviceTree", "no device tree", "/vm/hwConfig/deviceTree"),
}
# What is no member of the config, or refused for either wall.
REFUSED_ELSEWHERE = {"preserveFds", "noPivot", "notifySocket", "execCgroup", "intelRdt"}


@envs("hybrid")
@each(what=REFUSED)
def test_what_a_machine_cannot_honour_is_refused_by_name(t, what):
    change, _, sentence, pointer = what
    b = t.bundle()
    change(b)
    b.save()
    result = t.runtime("create", "-b", b.path, t.name(), options=["--isolation=vm"])
    result.fails(sentence, f"config.json {pointer}")
    hasnt(result.err, "/dev/kvm")
    eq(t.state_names(), [])


@envs("hybrid")
def test_features_name_all_that_a_machine_refuses(t):
    words = t.runtime("features").json["annotations"]["dev.bulkhead.isolation.vm.refuses"].split(",")
    eq(words, sorted({what[1] for what in REFUSED.values()} | REFUSED_ELSEWHERE, key=str.lower))


@envs("hybrid")
def test_descriptors_no_pivot_and_the_socket_of_a_service_manager_are_refused(t):
    b = t.bundle()
    b.save()
    env = dict(os.environ, NOTIFY_SOCKET="/run/notify")
    t.runtime("create", "-b", b.path, t.name(), options=["--isolation=vm"], env=env).fails("NOTIFY_SOCKET is set", "hint", "Type=exec")
    env = dict(os.environ, LISTEN_FDS="1")
    with open("/dev/null", "rb") as f:
        argv = " ".join(t.command("create", "-b", b.path, t.name(), options=["--isolation=vm"]))
        t.call(["/bin/sh", "-c", f"export LISTEN_PID=$$; exec {argv} 3<&{f.fileno()}"], env=env, pass_fds=(f.fileno(),)).fails(
            "cannot be given descriptors")
    t.runtime("create", "-b", b.path, "--no-pivot", t.name(), options=["--isolation=vm"]).fails("--no-pivot does not go with")
    with open("/dev/null", "rb") as f:
        os.dup2(f.fileno(), 3)
        try:
            t.runtime("create", "-b", b.path, "--preserve-fds=1", t.name(), options=["--isolation=vm"], pass_fds=(3,)).fails(
                "cannot be given descriptors")
        finally:
            if f.fileno() != 3:
                os.close(3)
    eq(t.state_names(), [])


@wall("vm")
@deadline(60)
def test_an_exec_is_refused_what_a_guest_cannot_have(t):
    c = t.up(small(t))
    c.exec("/bin/true", options=["--cgroup", "inner"]).fails("--cgroup", "the guest's own", code=255)
    c.exec("/bin/true", options=["--preserve-fds", "1"], pass_fds=(3,), preexec=lambda: os.dup2(0, 3)).fails(
        "cannot be given descriptors", code=255)
    c.exec("/bin/true", options=["--apparmor", "some"]).fails("no AppArmor profiles", code=255)
    c.exec("/bin/true").ok()


@wall("vm")
@deadline(60)
def test_an_exec_beyond_the_streams_of_a_machine_is_refused_and_one_of_them_ends(t):
    c = t.up(small(t))
    results = [c.probe("sleep", 1000, options=["-d"])]
    while results[-1].code == 0 and len(results) <= 57:
        results.append(c.probe("sleep", 1000, options=["-d"]))
    results[-1].fails("all 57 streams", code=255)
    true(len(results) > 18, f"{len(results) - 1} processes have all of them")
    eq(c.status, "running")
    os.kill(next(p for p in c.pids() if p != c.pid), signal.SIGKILL)
    t.until(lambda: t.reap() or c.exec("/bin/true").code == 0, 10, "a stream to be free")


@wall("vm")
@deadline(60)
def test_ps_shows_the_processes_inside_and_as_json_those_of_the_host(t):
    c = t.up(small(t).probe("tree", 2)).wait_out("ready", 20)
    c.probe("sleep", 1000, options=["-d"]).ok()
    on_host = t.runtime("ps", "--format", "json", c.id).json
    true(len(on_host) == 2 and c.pid in on_host, f"pids {on_host}, the machine's is {c.pid}")
    lines = t.runtime("ps", c.id).ok().out.splitlines()
    has(lines[0], "PID", "CMD")
    at = lines[0].split().index("PID")
    pids = [int(line.split()[at]) for line in lines[1:]]
    true(len(pids) == 4 and 1 in pids and c.pid not in pids, f"pids {pids}, the machine's is {c.pid}")
    t.runtime("ps", c.id, "-e", "-o", "pid,comm").fails("options for ps", "listed by its guest")
    c.pause().ok()
    t.runtime("ps", c.id).fails("a paused virtual machine cannot say")
    c.resume().ok()
