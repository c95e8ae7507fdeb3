# SPDX-License-Identifier: Apache-2.0
"""What this host has. The only source of skips, and it never asks the runtime under test.

A feature is probed on the kernel or the disk directly. When it is there, a test that
needs it runs and has to pass; so a runtime that cannot do something can never turn that
into a skip.
"""

import ctypes.util
import functools
import os
import shutil
import stat
import subprocess

import debian
import linux


def v2_tree():
    """Mount point of the cgroup v2 tree as this process sees it."""
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(f"{path}/cgroup.procs") and os.path.exists(f"{path}/cgroup.controllers"):
            return path
    return None


def is_unified():
    return v2_tree() == "/sys/fs/cgroup"


def controllers():
    return linux.read(f"{v2_tree()}/cgroup.controllers", "").split()


def _controller(name):
    return name in controllers()


def _filesystem(name):
    return name in linux.read("/proc/filesystems").split()


@functools.lru_cache(None)
def _capability(number):
    for line in linux.read("/proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


@functools.lru_cache(None)
def _new_namespace(flag):
    pid = os.fork()
    if pid == 0:
        try:
            linux.unshare(flag)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


@functools.lru_cache(None)
def _unprivileged_user_namespace():
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(1000, 1000, 1000)
            linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


@functools.lru_cache(None)
def _idmapped_mounts():
    """Can a bind mount of the file system below /tmp be id-mapped? (util-linux may lack X-mount.idmap.)"""
    kernel = tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])
    found = subprocess.run(["stat", "-f", "-c", "%T", "/tmp"], capture_output=True, text=True, check=False)
    supported = {"ext2/ext3": (5, 12), "xfs": (5, 12), "btrfs": (5, 15), "tmpfs": (6, 3), "overlayfs": (99, 0)}
    return kernel >= supported.get(found.stdout.strip(), (99, 0))


@functools.lru_cache(None)
def _realtime():
    """With real-time group scheduling a cgroup without a budget admits no real-time task."""
    pid = os.fork()
    if pid == 0:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


@functools.lru_cache(None)
def _bridge():
    """Can a network namespace have a bridge, a veth pair and address translation?"""
    script = ("ip link add b0 type bridge && ip link add v0 type veth peer name v1 && iptables -t nat -L && "
              "iptables -t filter -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT")
    return _program("iptables") and subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True,
                                                   check=False).returncode == 0


@functools.lru_cache(None)
def _veth():
    return subprocess.run(["unshare", "-n", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
                          capture_output=True, check=False).returncode == 0


def _character_device(path):
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except OSError:
        return False


def guest_kernel(name):
    """What tests/host/setup keeps, stock or older; GUEST_KERNEL=FILE takes the place of stock."""
    if name == "stock" and os.environ.get("GUEST_KERNEL"):
        return os.path.abspath(os.environ["GUEST_KERNEL"])
    home = os.environ.get("BULKHEAD_HOST_DIR") or os.path.expanduser(
        f"{os.environ.get('XDG_CACHE_HOME', '~/.cache')}/bulkhead-host")
    return f"{home}/{name}/vmlinuz"


def _virtual_machines():
    """
    The processor's help for a guest, seen in its flags: a paravirtual KVM interprets instructions instead, and its
    /dev/kvm runs no kernel of a distribution.
    """
    flags = next((line.split() for line in linux.read("/proc/cpuinfo").splitlines() if line.startswith("flags")), [])
    return _character_device("/dev/kvm") and ("svm" in flags or "vmx" in flags)


def _whole_disk():
    """Does a disk stand behind /sys/block, as io.max takes one?"""
    return any(os.path.isdir(f"/sys/block/{line.split()[3]}")
               for line in linux.read("/proc/partitions").splitlines()[2:])


def _program(name):
    return shutil.which(name) is not None


@functools.lru_cache(None)
def _disposable_host():
    """Can this machine boot the disposable host? That one cannot: emulation within emulation ends never."""
    setup = os.path.join(os.path.dirname(__file__), "../host/setup")
    return not is_disposable() and subprocess.run([setup], stdin=subprocess.DEVNULL, capture_output=True,
                                                  check=False).returncode == 0


def is_disposable():
    """Are we on it?"""
    return os.path.isdir("/run/bulkhead-host")


FEATURES = {
    "x86-64": lambda: os.uname().machine == "x86_64",
    "root": lambda: os.geteuid() == 0,
    "cgroup v2": lambda: v2_tree() is not None,
    "hybrid cgroups": lambda: v2_tree() is not None and not is_unified(),
    "unified cgroups": is_unified,
    "time namespace": lambda: _new_namespace(linux.CLONE_NEWTIME),
    "user namespace": lambda: _new_namespace(linux.CLONE_NEWUSER),
    "unprivileged user namespace": _unprivileged_user_namespace,
    "idmapped mounts": _idmapped_mounts,
    "overlay": lambda: _filesystem("overlay"),
    "mqueue": lambda: _filesystem("mqueue"),
    "CAP_SYS_RESOURCE": lambda: _capability(24),
    "CAP_SYS_NICE": lambda: _capability(23),
    "realtime budget": _realtime,
    "two cpus": lambda: len(os.sched_getaffinity(0)) >= 2,
    "strace": lambda: _program("strace"),
    "AppArmor": lambda: linux.read("/sys/module/apparmor/parameters/enabled", "N").startswith("Y"),
    "SELinux": lambda: os.path.exists("/sys/fs/selinux/enforce"),
    "systemd": lambda: os.path.isdir("/run/systemd/system"),
    "whole disk": _whole_disk,
    "scratch disk": lambda: os.path.ismount("/run/scratch"),
    "pressure stall information": lambda: os.path.isdir("/proc/pressure"),
    "resctrl": lambda: os.path.exists("/sys/fs/resctrl/schemata"),
    "kvm": lambda: _character_device("/dev/kvm"),
    "virtual machines": _virtual_machines,
    "dockerd": lambda: _program("dockerd") and _program("containerd") and _program("docker"),
    "docker-init": lambda: _program("docker-init") or os.path.exists("/usr/libexec/docker/docker-init"),
    "fuse device": lambda: _character_device("/dev/fuse"),
    "containerd": lambda: _program("containerd") and _program("ctr"),
    "podman": lambda: _program("podman") and _program("conmon"),
    "catatonit": lambda: _program("catatonit") or os.path.exists("/usr/libexec/podman/catatonit"),
    "disposable host": _disposable_host,
    "a kernel 6.1 for guests": lambda: os.path.exists(guest_kernel("older")),
    "libarchive": lambda: ctypes.util.find_library("archive") is not None,
    "zstd": lambda: _program("zstd"),
    "apt": lambda: _program("apt-get") and _program("dpkg-deb"),
    "skopeo": lambda: _program("skopeo"),
    "umoci": lambda: _program("umoci"),
    "buildah": lambda: _program("buildah"),
    "veth": _veth,
    "bridges with address translation": _bridge,
}

SENTENCES = {
    "root": "the tests do not run as root",
    "CAP_SYS_RESOURCE": "this host's root has no CAP_SYS_RESOURCE",
    "two cpus": "this host has one CPU",
}


def lacks(feature):
    """None when the host has the feature, else the reason for a skip."""
    if feature == "Debian image":
        return debian.lacking()
    if feature.startswith("controller "):
        name = feature.split()[1]
        if _controller(name):
            return None
        where = "unified" if is_unified() else "hybrid"
        return f"the v2 tree of this {where} host has no {name} controller"
    if feature.startswith("no controller "):
        name = feature.split()[2]
        return f"the v2 tree has a {name} controller" if _controller(name) else None
    if feature.startswith("no "):
        return f"this host has {feature[3:]}" if FEATURES[feature[3:]]() else None
    return None if FEATURES[feature]() else SENTENCES.get(feature, f"this host has no {feature}")
