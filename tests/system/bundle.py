# SPDX-License-Identifier: Apache-2.0
"""Bundles: a root filesystem of busybox and probe, and a config.json equal to the default of `spec`."""

import copy
import json
import os
import shutil

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]

DEFAULT = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["/bin/true"],
        "env": [f"PATH={PATH}", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {"bounding": CAPS, "effective": CAPS, "permitted": CAPS},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": True},
    "hostname": "inside",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
                        "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}

APPLETS = ("sh cat pwd tty seq ls true false echo sleep id mkdir rm touch test stat mount umount ps env head tail "
           "sed grep awk wc dd kill sync chmod chown ln mv cp printf stty tr hostname ip nc df readlink "
           "httpd wget").split()

FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:/bin/sh\n"
                  "app:x:1000:1000:app:/home/app:/bin/sh\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\napp:x:1000:\n",
    "etc/hostname": "image\n",
    "etc/image-file": "from the image\n",
}

DIRECTORIES = ("bin dev etc proc sys tmp root run mnt data var/tmp home/app usr/bin opt").split()


def make_rootfs(path, busybox, probe):
    """A small image. Programs are hard links to the runner's copies, so it costs a millisecond."""
    for name in DIRECTORIES:
        os.makedirs(f"{path}/{name}", mode=0o755, exist_ok=True)
    os.chmod(f"{path}/tmp", 0o1777)
    for name, source in (("busybox", busybox), ("probe", probe)):
        os.link(source, f"{path}/bin/{name}")
    for applet in APPLETS:
        os.symlink("busybox", f"{path}/bin/{applet}")
    for name, text in FILES.items():
        with open(f"{path}/{name}", "w", encoding="utf-8") as f:
            f.write(text)


class Bundle:
    """A bundle directory. Change `config` and call save(); run() and friends of the case do that."""

    def __init__(self, path, programs):
        self.path = path
        self.rootfs = f"{path}/rootfs"
        self.config = copy.deepcopy(DEFAULT)
        os.makedirs(path, mode=0o755)
        make_rootfs(self.rootfs, programs["busybox"], programs["probe"])
        self._programs = programs

    @property
    def process(self):
        return self.config["process"]

    @property
    def linux(self):
        return self.config["linux"]

    def args(self, *args):
        self.process["args"] = list(args)
        return self

    def probe(self, *args):
        return self.args("/bin/probe", *(str(a) for a in args))

    def shell(self, script):
        return self.args("/bin/sh", "-c", script)

    def writable(self):
        self.config["root"]["readonly"] = False
        return self

    def caps(self, *names, sets=("bounding", "effective", "permitted")):
        self.process["capabilities"] = {s: list(names) for s in sets}
        return self

    def all_caps(self):
        names = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
            NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
            SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE
            AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
            CHECKPOINT_RESTORE""".split()
        return self.caps(*(f"CAP_{n}" for n in names))

    def mount(self, destination, fstype=None, source=None, options=(), **more):
        entry = {"destination": destination, "options": list(options), **more}
        if fstype is not None:
            entry["type"] = fstype
        if source is not None:
            entry["source"] = source
        self.config["mounts"].append(entry)
        return self

    def bind(self, source, destination, *options):
        return self.mount(destination, "bind", source, ["rbind", *options])

    def without_mount(self, destination):
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] != destination]
        return self

    def namespace(self, kind, path=None):
        """Lists the namespace (joined when path is given)."""
        self.without_namespace(kind)
        entry = {"type": kind}
        if path:
            entry["path"] = path
        self.linux["namespaces"].append(entry)
        return self

    def without_namespace(self, *kinds):
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] not in kinds]
        return self

    def user_namespace(self, host_id=100000, size=65536):
        """A mapped user namespace; the image is given to the mapped root."""
        self.namespace("user")
        for kind in ("uidMappings", "gidMappings"):
            self.linux[kind] = [{"containerID": 0, "hostID": host_id, "size": size}]
        self.own_programs()
        for top, directories, files in os.walk(self.rootfs):
            for name in [".", *directories, *files]:
                os.lchown(os.path.join(top, name), host_id, host_id)
        return self

    def hook(self, kind, path, args=None, env=None, timeout=None):
        entry = {"path": path}
        if args is not None:
            entry["args"] = args
        if env is not None:
            entry["env"] = env
        if timeout is not None:
            entry["timeout"] = timeout
        self.config.setdefault("hooks", {}).setdefault(kind, []).append(entry)
        return self

    def own_programs(self):
        """Replaces the shared hard links by copies, for tests that write to them."""
        for name in ("busybox", "probe"):
            os.unlink(f"{self.rootfs}/bin/{name}")
            shutil.copy2(self._programs[name], f"{self.rootfs}/bin/{name}")
        return self

    def write(self, name, text, mode=0o644):
        path = f"{self.rootfs}/{name.lstrip('/')}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def save(self):
        with open(f"{self.path}/config.json", "w", encoding="utf-8") as f:
            json.dump(self.config, f)
        return self
