# SPDX-License-Identifier: Apache-2.0
"""The kernel's own file systems: what is written through them reaches what it is meant for, and what they show inside is a known list."""

import os
import re
import stat

import linux
from breach import in_namespace_of, install, is_clean
from case import each, envs, eq, has, hasnt, true, wall

WALL = "both"

HOST_FILES = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/sysrq", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
              "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ping_group_range", "/proc/sys/kernel/shmmax", "/proc/sys/kernel/msgmax",
              "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/proc/self/attr/current")


def host_settings():
    return {name: linux.read(name, "-") for name in HOST_FILES}


def fake_proc(t):
    """A directory that looks like /proc, whose files would swallow what is written."""
    for name in ("self/attr/exec", "self/attr/current", "self/attr/apparmor/exec", "sys/net/ipv4/ip_forward", "sys/kernel/shmmax",
                 "thread-self/attr/exec", "self/oom_score_adj", "self/uid_map", "1/attr/exec"):
        t.file(f"fake/{name}", "fake\n", 0o666)
    return f"{t.tmp}/fake"


# -- T5


@wall("process", "reads the settings in the host's view of the namespaces")
@each(case={
    "a tmpfs on proc": lambda t, b: b.without_mount("/proc").mount("/proc", "tmpfs", "tmpfs"),
    "a directory on proc": lambda t, b: b.without_mount("/proc").bind(fake_proc(t), "/proc"),
    "a directory over proc": lambda t, b: b.bind(fake_proc(t), "/proc"),
    "a tmpfs over proc": lambda t, b: b.mount("/proc", "tmpfs", "tmpfs"),
    "attributes": lambda t, b: b.bind(f"{fake_proc(t)}/self/attr", "/proc/self/attr"),
    "one attribute": lambda t, b: b.bind("/proc/self/sched", "/proc/self/attr/exec"),
    "one attribute of the thread": lambda t, b: b.bind("/proc/self/sched", "/proc/thread-self/attr/apparmor/exec"),
    "attributes of init": lambda t, b: b.bind("/proc/self/sched", "/proc/1/attr/exec"),
    "settings": lambda t, b: b.bind(f"{fake_proc(t)}/sys", "/proc/sys"),
    "one setting": lambda t, b: b.bind("/proc/sysrq-trigger", "/proc/sys/net/ipv4/ip_forward"),
    "core_pattern as a setting": lambda t, b: b.bind("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/shmmax"),
    "with detours": lambda t, b: b.bind(f"{fake_proc(t)}/sys", "/run/..//proc/./sys"),
    "a link of the image": lambda t, b: (os.symlink("/proc/self/attr", f"{b.rootfs}/link"), b.bind(fake_proc(t), "/link")),
    "a link to a parent": lambda t, b: (os.symlink("/proc", f"{b.rootfs}/link"), b.bind(fake_proc(t), "/link/sys")),
    "a fifth procfs": lambda t, b: b.mount("/proc/fs", "proc", "proc"),
})
@envs("hybrid")
def test_t05_nothing_covers_what_the_runtime_writes_to(t, case):
    # CVE-2015-1334, CVE-2015-3631, CVE-2019-16884, CVE-2019-19921, CVE-2025-52881: labels and settings went to dummies,
    # or by way of the same dummies to other files of procfs.
    before = host_settings()
    b = t.bundle().probe("sleep", "1000")
    b.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "777216"}
    case(t, b)
    c = t.container(b)
    result = c.run_detached()
    if is_clean(result, "a covered procfs"):
        read = lambda name: lambda: linux.read(name).strip()
        eq(in_namespace_of(c.pid, "net", read("/proc/sys/net/ipv4/ip_forward")), "1", "the setting of the network")
        eq(in_namespace_of(c.pid, "ipc", read("/proc/sys/kernel/shmmax")), "777216", "the setting of shared memory")
    else:
        has(result.err, "proc")
    eq(host_settings(), before, "settings of the host")
    for top, _, names in os.walk(f"{t.tmp}/fake"):
        for name in names:
            eq(linux.read(f"{top}/{name}"), "fake\n", f"{top}/{name}")


@wall("process", "reads the settings in the host's view of the namespaces")
@envs("hybrid")
def test_t05_settings_are_in_force_and_only_inside(t):
    # Read back from outside, by the kernel's own view of the namespace; through a /proc that has the host's root, too.
    before = host_settings()
    for options in ((), ("ro",), ("subset=pid",), ("hidepid=2",)):
        b = t.bundle().probe("sleep", "1000").without_mount("/proc").mount("/proc", "proc", "proc", options)
        b.config["mounts"].insert(0, b.config["mounts"].pop())
        b.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "net/ipv4/ping_group_range": "5 6", "kernel.msgmax": "4096"}
        if options == ("subset=pid",):
            b.linux["maskedPaths"], b.linux["readonlyPaths"] = [], []
        c = t.up(b)
        read = lambda name: lambda: " ".join(linux.read(name).split())
        eq(in_namespace_of(c.pid, "net", read("/proc/sys/net/ipv4/ip_forward")), "1")
        eq(in_namespace_of(c.pid, "net", read("/proc/sys/net/ipv4/ping_group_range")), "5 6")
        eq(in_namespace_of(c.pid, "ipc", read("/proc/sys/kernel/msgmax")), "4096")
        eq(host_settings(), before, "settings of the host")
        c.delete("--force").ok()


@envs("hybrid")
def test_t05_a_label_that_cannot_be_set_is_an_error_whatever_is_there(t):
    # Where there is no such security module a write to a fake attribute file would look like success.
    for module, member, option in (("AppArmor", "apparmorProfile", "--apparmor"), ("SELinux", "selinuxLabel", "--process-label")):
        t.need(f"no {module}")
        b = t.bundle()
        b.process[member] = "a-label"
        named = "label" if t.wall == "process" else module  # a guest is told to have none of it
        t.run(b).fails(named)
        t.up().exec("/bin/true", options=(option, "a-label")).fails(named)


# -- T15: the surface. A new line in a new kernel is to be looked at, and then masked or written down here.

WRITABLE = {
    r"/proc/mtrr": "needs CAP_SYS_ADMIN",
    r"/proc/pressure/(cpu|io|memory|irq)": "a trigger of one's own; others' cannot be seen",
}
DEVICES = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/pts/ptmx"}
DIRECTORIES = {"/dev/pts", "/dev/shm", "/dev/mqueue"}

# What tells of the host, of its hardware or of other containers, and shows nothing in a default container …
HIDDEN = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/latency_stats", "/proc/acpi",
          "/proc/asound", "/proc/scsi", "/proc/kmsg", "/proc/sysrq-trigger", "/sys/firmware", "/sys/kernel/debug", "/sys/kernel/tracing",
          "/sys/kernel/security", "/sys/kernel/config", "/sys/fs/bpf", "/sys/fs/pstore", "/dev/mem", "/dev/kmsg", "/dev/console", "/dev/kvm")
# … and what the default of `spec` leaves to be read, as the other runtimes' does: some of it only by uid 0.
SHOWN = {"/proc/interrupts", "/proc/softirqs", "/proc/slabinfo", "/proc/vmallocinfo", "/proc/pagetypeinfo", "/proc/buddyinfo", "/proc/kpagecount",
         "/proc/kpageflags", "/proc/kpagecgroup", "/proc/iomem", "/proc/ioports", "/proc/kallsyms", "/proc/modules", "/proc/config.gz",
         "/proc/zoneinfo", "/proc/diskstats", "/proc/partitions", "/proc/key-users", "/proc/locks", "/proc/misc", "/proc/version"}
UNSEEN_SO_FAR = ("/sys/devices/virtual/powercap", "/sys/devices/system/cpu/cpu0/thermal_throttle", "/proc/allocinfo", "/proc/vmcore",
                 "/proc/page_owner", "/proc/profile", "/proc/schedstat", "/proc/lockdep", "/proc/lock_stat")


@envs("hybrid")
def test_t15_what_can_be_written_in_a_default_container_is_a_known_list(t):
    # CVE-2015-3630, CVE-2018-10892: a new file of procfs was writable for years.
    b = t.bundle()
    install(t, b, "hostile")
    out = t.run(b.shell("hostile walk /proc; hostile walk /sys; hostile walk /dev")).ok().out
    masked = set(b.linux["maskedPaths"])
    unknown = []
    for line in out.splitlines():
        kind, path = line.split(" ", 1)
        if path in masked and kind == "other":
            continue  # the null device
        if path in DEVICES and kind == "other" or path in DIRECTORIES and kind == "dir":
            continue
        if kind == "file" and any(re.fullmatch(p, path) for p in WRITABLE):
            continue
        unknown.append(line)
    eq(unknown, [], "writable things that nobody has looked at")
    has(out.splitlines(), "other /dev/null", "dir /dev/shm")


@envs("hybrid")
def test_t15_the_walk_sees_what_is_not_protected(t):
    # Its teeth: without the read-only paths and masks the same walk is full of findings.
    b = t.bundle()
    b.linux["maskedPaths"], b.linux["readonlyPaths"] = [], []
    for mount in b.config["mounts"]:
        mount["options"] = [o for o in mount.get("options", []) if o != "ro"]
    install(t, b, "hostile")
    out = t.run(b.shell("hostile walk /proc; hostile walk /sys")).ok().out
    true(len(out.splitlines()) > 50, f"only {out.splitlines()}")
    has(out, "/proc/sys/kernel/core_pattern", "file /sys/kernel/")


@envs("hybrid")
def test_t15_what_tells_of_the_host_is_hidden(t):
    names = [*HIDDEN, *sorted(SHOWN), *UNSEEN_SO_FAR]
    script = "".join(f"echo {p} $({{ [ -d {p} ] && ls -A {p} || head -c 64 {p}; }} 2>/dev/null | wc -c); " for p in names)
    found = {k: int(v) for k, v in (line.split() for line in t.run(t.bundle().shell(script)).ok().out.splitlines())}
    eq(len(found), len(names))
    eq({name for name, size in found.items() if size} - SHOWN, set(), "what a container can read and nobody has looked at")
    true(found["/proc/version"] and found["/proc/interrupts"], "the container sees nothing at all: the look proves nothing")
    # Addresses of the kernel are zeros, as the program lacks CAP_SYSLOG.
    addresses = {line.split()[0] for line in t.run(t.bundle().shell("head -n 50 /proc/kallsyms")).ok().out.splitlines()}
    true(addresses <= {"0" * 16}, f"{addresses}")


@envs("hybrid")
def test_t15_ids_of_sibling_processes_are_not_seen(t):
    c = t.up()
    out = t.run(t.bundle().shell("ls /proc; cat /proc/*/cmdline")).ok().out
    hasnt(out, str(c.pid), t.tmp)
    eq(sorted(n for n in out.splitlines() if n.isdigit())[0], "1")


@envs("hybrid")
def test_t15_the_view_of_the_cgroups_ends_at_ones_own(t):
    # CVE-2022-0492, CVE-2023-25809: a writable view of everybody's.
    b = t.bundle().all_caps()
    out = t.run(b.shell("cat /proc/self/cgroup; echo; probe open /sys/fs/cgroup/cgroup.procs wronly; "
                        "probe open /sys/fs/cgroup/../cgroup.procs wronly; ls /sys/fs/cgroup")).out
    has(out, "0::/\n", "EROFS")
    hasnt(out, t.token, "release_agent")
    b = t.bundle().shell("probe mounts").save()
    for line in t.run(b).ok().out.splitlines():
        if " cgroup2 " in line:
            eq(line.split()[3], "/", "the root of the cgroup mount, as seen inside")


@envs("hybrid")
def test_t15_masks_stay_on_whatever_a_program_does(t):
    # A program without CAP_SYS_ADMIN cannot take a mask off; and one with it only in its own mount namespace.
    out = t.run(t.bundle().shell("for p in /proc/keys /proc/timer_list /sys/firmware /proc/sys; do probe umount $p; "
                                 "probe remount-rw $p; done; probe unshare 0x20000; probe write /proc/sys/kernel/domainname x; "
                                 "probe write /proc/sysrq-trigger x")).out.split()
    eq(set(out[:9]), {"EPERM"})
    true(set(out[9:]) <= {"EROFS", "EACCES", "ENOENT"}, f"{out}")


@envs("hybrid")
def test_t15_covers_are_the_runtimes_own(t):
    b = t.bundle().shell("for p in /proc/keys /proc/timer_list; do probe stat $p; done; probe stat /sys/firmware; probe ls /sys/firmware")
    out = t.run(b).ok().out
    has(out, "type char", "rdev 1:3", "type directory")
    hasnt(out, "acpi", "type file")
    true(stat.S_ISCHR(os.stat("/dev/null").st_mode), "the host's null device")
