# SPDX-License-Identifier: Apache-2.0
"""One boot of the disposable host: from a command line to its status.

QEMU runs in software emulation, so it needs nothing of this machine but files. virtiofsd
serves the machine's root; init.c, which comes in an initramfs together with the command, lays
an overlay in memory above it. All other files are unlinked from birth, the socket is an
abstract one, and the children die with us: after a SIGKILL there is nothing to clean up.
"""

import ctypes
import lzma
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

# What init.c needs before it has the root, and with it modprobe.
ROOT_MODULES = ["virtio_pci", "virtio_console", "virtiofs", "overlay"]
DISK_MODULES = ["virtio_blk", "ext4", "quota_v2"]

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


# How the report of a kernel in trouble begins.
OMINOUS = ("BUG:", "Oops", "int3", "general protection", "cut here", "Unable to handle", "rcu:", "Kernel panic")


class Died(Exception):
    """The machine ended, or never began, without a status of the command."""

    def __init__(self, what, console="", started=False):
        super().__init__(what)
        self.console, self.started = console, started

    @property
    def panic(self):
        """
        What a kernel that panicked said of it, or None. The emulator sometimes loses a patched instruction of the kernel,
        which panics over an int3, and has other ways to bring it down.
        """
        lines = self.console.replace("\r", "").splitlines()
        if not any("Kernel panic" in line or "int3" in line for line in lines):
            return None
        first = next(i for i, line in enumerate(lines) if any(word in line for word in OMINOUS))
        return "\n".join(lines[first:first + 80])


class TimedOut(Died):
    """The command did not end in time."""


class Options:
    """What a boot may be like. `write` is the one directory whose changes stay."""

    def __init__(self, **given):
        self.systemd = self.kvm = self.verbose = False
        self.disk = None        # size of the scratch file system, as truncate(1) takes it
        self.memory = None      # MiB; None is a part of what the machine has
        self.cpus = 2
        self.timeout = 600      # seconds
        self.append = ""        # words for the kernel's command line
        self.kernel = None      # stock, built or a file; None is the best there is
        self.write = str(TOP)
        self.qemu = None        # a program; None is the best there is
        self.show = []          # directories below /tmp or /run that are to be seen there, read-only
        self.home = None        # what setup printed
        for name, value in given.items():
            if not hasattr(self, name):
                raise TypeError(f"no option {name}")
            setattr(self, name, value)


def setup():
    """The directory with kernel and init; raises Died with the reason when it cannot be had."""
    done = subprocess.run([str(HERE / "setup")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"tests/host/setup ended with {done.returncode} and no word"]
        raise Died(said[-1].removeprefix("setup: "))
    return done.stdout.splitlines()[-1]


class Kernel:
    """An image, and its modules where it has some."""

    def __init__(self, home, wanted):
        wanted = wanted or ("built" if os.path.exists(f"{home}/built/vmlinux") else "stock")
        self.name = wanted
        directory = f"{home}/{wanted}"
        self.image = next((p for p in (f"{directory}/vmlinux", f"{directory}/vmlinuz", wanted) if os.path.isfile(p)), None)
        if not self.image:
            raise Died(f"there is no kernel {wanted}" + (" (make host-kernel)" if wanted == "built" else ""))
        modules = os.path.realpath(f"{directory}/modules")
        self.modules = modules if os.path.isdir(modules) else None
        self.depends = self._depends() if self.modules else {}

    def _depends(self):
        """{module name: (path, names in the order of modules.dep)}"""
        found = {}
        with open(f"{self.modules}/modules.dep", encoding="ascii") as f:
            for line in f:
                path, _, needs = line.partition(":")
                found[self._name(path)] = (path, [self._name(n) for n in needs.split()])
        return found

    @staticmethod
    def _name(path):
        return os.path.basename(path).split(".")[0].replace("-", "_")

    def files(self, names):
        """(name, content) of the modules and of what they need, in the order of loading; built-in ones are none."""
        order = []
        for name in names:
            for each in [*reversed(self.depends.get(name, (None, []))[1]), name]:
                if each in self.depends and each not in order:
                    order.append(each)
        return [(name, self._content(self.depends[name][0])) for name in order]

    def _content(self, path):
        with open(f"{self.modules}/{path}", "rb") as f:
            data = f.read()
        return lzma.decompress(data) if path.endswith(".xz") else data


def cpio(files):
    """An archive as the kernel unpacks it (newc): [(name, mode, content)]."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        encoded = name.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
        out += b"070701" + b"".join(b"%08x" % f for f in fields) + encoded
        out += b"\0" * (-len(out) % 4)
        out += content
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


class Stream:
    """A file without a name that QEMU writes and we follow."""

    def __init__(self):
        self.file = tempfile.TemporaryFile()
        self.offset = 0

    @property
    def fd(self):
        return self.file.fileno()

    @property
    def path(self):
        return f"/proc/self/fd/{self.fd}"

    def more(self):
        data = os.pread(self.fd, 1 << 20, self.offset)
        self.offset += len(data)
        return data

    def text(self):
        return os.pread(self.fd, 1 << 20, 0).decode(errors="replace")


def default_memory(machines=1):
    """MiB: at most half of the machine's for all of them."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return max(512, min(4096, total // 2 // machines))


def _die_with_parent(parent):
    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    return prepare


class Machine:
    """`run()` boots, hands pieces of output to `out(data)` and `err(data)`, and returns the status."""

    def __init__(self, argv, options, env=None, directory=None):
        self.argv, self.options = [os.fsencode(a) for a in argv], options
        self.env = dict(os.environ if env is None else env)
        self.directory = directory or os.getcwd()
        self.children = []
        self.console, self.status, self.words = Stream(), Stream(), Stream()
        self.streams, self.home = {}, None

    # -- before the boot

    def _job(self, kernel):
        words = [b"dir=" + os.fsencode(self.directory), b"write=" + os.fsencode(os.path.realpath(self.options.write))]
        words += [b"show=" + os.fsencode(os.path.realpath(directory)) for directory in self.options.show]
        if kernel.modules:
            words.append(b"modules=" + os.fsencode(kernel.modules))
        if self.options.disk:
            words.append(b"disk=/dev/vda")
        words += [word.encode() for word in ("systemd", "kvm", "verbose") if getattr(self.options, word)]
        words += [b"arg=" + a for a in self.argv]
        words += [b"env=" + os.fsencode(k) + b"=" + os.fsencode(v) for k, v in self.env.items()]
        return b"".join(w + b"\0" for w in words)

    def _initramfs(self, kernel):
        with open(f"{self.home}/init", "rb") as f:
            init = f.read()
        modules = kernel.files(ROOT_MODULES + (DISK_MODULES if self.options.disk else []))
        files = [("dev", 0o40755, b""), ("proc", 0o40755, b""), ("sys", 0o40755, b""), ("root", 0o40755, b""),
                 ("modules", 0o40755, b""), ("init", 0o100755, init), ("job", 0o100600, self._job(kernel))]
        files += [(f"modules/{n:02}-{name}.ko", 0o100600, data) for n, (name, data) in enumerate(modules)]
        file = tempfile.TemporaryFile()
        file.write(cpio(files))
        file.flush()
        return file

    def _disk(self):
        file = tempfile.TemporaryFile(dir="/var/tmp")
        path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
        for argv in (["truncate", "-s", self.options.disk, path],
                     ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,quotatype=prjquota",
                      "-O", "^has_journal,project,quota", path]):
            done = subprocess.run(argv, env={**os.environ, "PATH": SYSTEM_PATH}, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0:
                raise Died(f"no scratch disk: {' '.join(argv)}: {done.stdout.strip()}")
        return file

    def _spawn(self, argv, *files):
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.words.fd, stderr=self.words.fd,
                                 pass_fds=[f.fileno() for f in files], start_new_session=True,
                                 env={**os.environ, "PATH": SYSTEM_PATH}, preexec_fn=_die_with_parent(os.getpid()))
        self.children.append(child)
        return child

    def _serve_files(self):
        """virtiofsd, waiting on an abstract socket; its name."""
        name = f"bulkhead-host-{os.getpid()}-{time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("\0" + name)
            listener.listen(1)
            # cache=auto would drop translated code with each open: thirty times slower. chroot: no namespaces
            # needed, and mounts below the root are seen too.
            self._spawn([VIRTIOFSD, f"--fd={listener.fileno()}", "-f", "-o", "source=/", "-o", "sandbox=chroot", "-o",
                         "cache=always,xattr,log_level=err", "--thread-pool-size=2"], listener)
        return name

    def _emulator(self):
        """The one that setup fetched, or the installed one."""
        fetched = f"{self.home}/emulator/qemu"
        return self.options.qemu or (fetched if os.access(fetched, os.X_OK) else "qemu-system-x86_64")

    def _arguments(self, kernel, initramfs, disk):
        options = self.options
        append = ["console=ttyS0", "panic=-1", "oops=panic", "mitigations=off", "nokaslr", "tsc=reliable", "random.trust_cpu=1",
                  "cgroup_no_v1=all", "no_timer_check", "rdinit=/init", "apparmor=0", *([] if options.verbose else ["quiet"]), options.append]
        argv = [self._emulator(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-M", "q35,memory-backend=memory", "-accel", "tcg,thread=multi,tb-size=512",
                "-cpu", "max,-la57", "-smp", str(options.cpus), "-m", str(options.memory or default_memory()),
                "-object", f"memory-backend-memfd,id=memory,share=on,size={options.memory or default_memory()}M",
                "-kernel", kernel.image, "-initrd", f"/proc/self/fd/{initramfs.fileno()}", "-append", " ".join(append),
                "-chardev", f"socket,id=files,path={self._serve_files()},abstract=on",
                "-device", "vhost-user-fs-pci,chardev=files,tag=machine,queue-size=1024",
                "-chardev", f"file,id=console,path={self.console.path}", "-serial", "chardev:console",
                "-device", "virtio-serial-pci"]
        for name, stream in {"status": self.status, **self.streams}.items():
            argv += ["-chardev", f"file,id={name},path={stream.path}", "-device",
                     f"virtserialport,chardev={name},name=host.{name}"]
        if disk:
            argv += ["-drive", f"file=/proc/self/fd/{disk.fileno()},format=raw,if=virtio,cache=unsafe,discard=unmap"]
        return argv

    # -- the boot

    def run(self, out, err=None):
        """
        The status as a shell tells it: 128 and the number for a signal. Without `err` both streams of
        the command are one, and nothing of their order is lost.
        """
        writers = {"out": out, "err": err} if err else {"out": out}
        self.streams = {name: Stream() for name in writers}
        self.home = self.options.home or setup()
        kernel = Kernel(self.home, self.options.kernel)
        end = time.monotonic() + self.options.timeout
        try:
            with self._initramfs(kernel) as initramfs:
                disk = self._disk() if self.options.disk else None
                files = [initramfs, self.console.file, self.status.file, *(s.file for s in self.streams.values())]
                machine = self._spawn(self._arguments(kernel, initramfs, disk), *files, *([disk] if disk else []))
            self._follow(machine, writers, end)
        finally:
            self.kill()
        return self._verdict(machine.returncode)

    def _follow(self, machine, writers, end):
        fd = os.pidfd_open(machine.pid)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        try:
            ended = False
            while not ended:
                ended = bool(poll.poll(30))
                for name, write in writers.items():
                    while data := self.streams[name].more():
                        write(data)
                if not ended and time.monotonic() > end:
                    raise TimedOut(f"the command did not end within {self.options.timeout:g} s", self.console.text(),
                                   self.has_started)
        finally:
            os.close(fd)

    @property
    def has_started(self):
        return "started" in self.status.text()

    def _verdict(self, code):
        said = re.search(r"^(exit|signal) (\d+)$", self.status.text(), re.MULTILINE)
        if said:
            return int(said[2]) + (128 if said[1] == "signal" else 0)
        what = "the command was running" if self.has_started else "the command was not started"
        raise Died(f"the machine ended without a status ({what}; qemu ended with {code})",
                   self.console.text() + self.words.text(), self.has_started)

    def kill(self):
        """QEMU first: virtiofsd ends by itself with its only client."""
        for child in reversed(self.children):
            if child.poll() is None:
                child.kill()
            child.wait()
        self.children = []
