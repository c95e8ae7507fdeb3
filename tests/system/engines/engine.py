# SPDX-License-Identifier: Apache-2.0
"""Docker, containerd and podman with the runtime under test plugged in, each in a cage and on paths of its own.

A worker starts an engine for the first test that wants it and keeps it: starting costs
seconds. reset() runs after each test and finds what the engine or the runtime left.
"""

import contextlib
import json
import os
import re
import subprocess
import time

import host
from cage import Cage, environment
from case import PATIENCE, Case
from image import archive

IMAGE = "docker.io/library/box:latest"


class Engine:
    """What the three have in common. `client` begins every command line."""

    feature = client = None

    def __init__(self, directory, binary, programs, cgroup):
        os.makedirs(directory, mode=0o711)
        self.directory, self.binary, self.programs = directory, binary, programs
        self.parent = "/" + os.path.relpath(cgroup, host.v2_tree()) + "/" + self.feature
        os.makedirs(host.v2_tree() + self.parent)
        self.runner = Case(None, None, directory, None, binary, programs, "", cgroup)
        self.cage = None
        try:
            self.cage = Cage(directory, self.daemons())
            self.prepare()
        except BaseException:
            self.stop()
            raise

    def daemons(self):
        return {}

    def prepare(self):
        raise NotImplementedError

    def leftovers(self):
        """Containers that are still known to the engine, after removing them by force."""
        raise NotImplementedError

    @property
    def pids(self):
        return {self.cage.pid, self.cage._outer}

    def inside(self, *argv, **more):
        """Runs argv in the cage."""
        return self.runner.call(self.cage.argv(*argv), env=environment(self.directory), **{"timeout": 60, **more})

    def __call__(self, *argv, **more):
        return self.inside(*self.client, *(str(a) for a in argv), **more)

    def image(self, tag=IMAGE, **config):
        return archive(f"{self.directory}/image.tar", self.programs, tag, **config)

    def wait_for(self, command, log, seconds=30):
        end = time.monotonic() + seconds * PATIENCE
        while self(*command).code != 0:
            if time.monotonic() > end:
                raise AssertionError(f"{self.feature} does not come up; it said:\n{self.cage.log(log)}")
            time.sleep(0.05)

    def state_directories(self):
        """Directories in which the runtime keeps the state of this engine's containers (@… is a cache)."""
        return []

    def leaks(self):
        found = [f"container left in {self.feature}: {name}" for name in self.leftovers()]
        for directory in self.state_directories():
            names = self.inside("sh", "-c", f"ls {directory} 2>/dev/null").out.split()
            found += [f"state left by the runtime under {self.feature}: {n}" for n in names if not n.startswith("@")]
        return found

    def stop(self):
        if self.cage:
            self.cage.stop()
        from census import Census
        for top, _, _ in os.walk(host.v2_tree() + self.parent, topdown=False):
            Census._remove_cgroup(os.path.relpath(top, host.v2_tree()))


class Docker(Engine):
    feature = "dockerd"
    network = "bridges with address translation"

    def daemons(self):
        d = self.directory
        self.client = ["docker", "-H", "unix:///run/docker.sock"]
        # The disposable host could have a network too, but its rules alone would take ten seconds to write.
        no_network = host.is_disposable() or host.lacks(self.network)
        network = ["--bridge", "none", "--iptables=false"] if no_network else ["--userland-proxy=true"]
        return {"dockerd.log": [
            "dockerd", "--host", "unix:///run/docker.sock", "--data-root", f"{d}/data", "--exec-root", "/run/docker",
            "--pidfile", "/run/docker.pid", "--storage-driver", "overlay2", "--cgroup-parent", self.parent,
            "--exec-opt", "native.cgroupdriver=cgroupfs", "--add-runtime", f"tested={self.binary}",
            "--default-runtime", "tested", "--shutdown-timeout", "1", *network]}

    def prepare(self):
        self.wait_for(["version"], "dockerd.log")
        self("load", "-i", self.image()).ok()
        self("tag", IMAGE, "box").ok()

    def leftovers(self):
        names = self("ps", "-aq").out.split()
        if names:
            self("rm", "-f", *names)
        return names

    def state_directories(self):
        return ["/run/docker/runtime-tested/moby"]


class Containerd(Engine):
    feature = "containerd"

    def daemons(self):
        d = self.directory
        self.client = ["ctr", "-a", "/run/containerd.sock"]
        with open(f"{d}/config.toml", "w", encoding="utf-8") as f:
            f.write('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        return {"containerd.log": ["containerd", "-c", f"{d}/config.toml", "-a", "/run/containerd.sock",
                                   "--root", f"{d}/data", "--state", "/run/containerd"]}

    def prepare(self):
        self.wait_for(["version"], "containerd.log")
        self("images", "import", self.image()).ok()

    def run(self, *argv, options=(), name="c", image=IMAGE, **more):
        """ctr run --rm with the runtime under test, below the worker's cgroup."""
        return self("run", *self.plugged, "--rm", *options, image, name, *argv, **more)

    @property
    def plugged(self):
        return ["--runc-binary", self.binary, "--cgroup", f"{self.parent}/ctr"]

    def leftovers(self):
        names = self("containers", "ls", "-q").out.split()
        for name in names:
            self("tasks", "kill", "-s", "KILL", "-a", name)
            self("tasks", "delete", "-f", name)
            self("containers", "delete", name)
        return names

    def state_directories(self):
        return ["/run/containerd/runc/default"]


class Podman(Engine):
    feature = "podman"

    def prepare(self):
        d = self.directory
        # podman limits the number of processes by default; a host without the controller says no to that.
        limit = 0 if host.lacks("controller pids") else 2048
        with open(f"{d}/containers.conf", "w", encoding="utf-8") as f:
            f.write(f"[containers]\npids_limit = {limit}\n[engine]\nevents_logger = \"none\"\n")
        self.client = ["env", f"CONTAINERS_CONF={d}/containers.conf", "podman", "--root", f"{d}/data",
                       "--runroot", "/run/podman", "--tmpdir", "/run/podman-tmp", "--runtime", self.binary,
                       "--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"]
        self("load", "-i", self.image()).ok()
        self("load", "-i", self.image("docker.io/library/waiter:latest", Cmd=["sleep", "100000"])).ok()
        os.makedirs(f"{host.v2_tree()}{self.parent}/conmon", exist_ok=True)  # podman's own, for its monitors

    def run(self, *options, **more):
        """podman run below the worker's cgroup; without a network unless the options name one."""
        network = [] if "--network" in options else ["--network", "none"]
        return self("run", "--cgroup-parent", self.parent, *network, *options, **more)

    def leftovers(self):
        names = self("ps", "-aq").out.split()
        pods = self("pod", "ps", "-q").out.split()
        if pods:
            self("pod", "rm", "-f", "-t", "0", *pods)
        if names:
            self("rm", "-f", "-t", "0", "-a")
        # Where podman sees cgroup v1 it removes a pod's cgroup from the v1 hierarchies alone.
        for name in os.listdir(host.v2_tree() + self.parent):
            if re.fullmatch(r"[0-9a-f]{64}", name) and not host.is_unified():
                os.rmdir(f"{host.v2_tree()}{self.parent}/{name}")
        return names + pods


class VmDocker(Docker):
    """
    Behind the VM wall, with a network. Two runtimes: one chosen by the name the program is called by, one by an
    argument, which Docker puts into a script of its own.
    """

    def daemons(self):
        d = self.directory
        self.client = ["docker", "-H", "unix:///run/docker.sock"]
        call_by_name(self)
        with open(f"{d}/daemon.json", "w", encoding="utf-8") as f:
            json.dump({"runtimes": {"tested": {"path": self.binary},
                                    "argument": {"path": self.process_binary, "runtimeArgs": ["--isolation=vm"]}}}, f)
        with open(f"{d}/config.toml", "w", encoding="utf-8") as f:
            f.write('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        # Docker waits a minute for a containerd that somebody else started, and a quarter of one for its own.
        return {
            "containerd.log": ["containerd", "-c", f"{d}/config.toml", "-a", "/run/containerd.sock", "--root", f"{d}/data/containerd",
                               "--state", "/run/containerd"],
            "dockerd.log": ["dockerd", "--config-file", f"{d}/daemon.json", "--containerd", "/run/containerd.sock",
                            "--host", "unix:///run/docker.sock", "--data-root", f"{d}/data/docker", "--exec-root", "/run/docker",
                            "--pidfile", "/run/docker.pid", "--storage-driver", "overlay2", "--cgroup-parent", self.parent,
                            "--exec-opt", "native.cgroupdriver=cgroupfs", "--default-runtime", "tested", "--shutdown-timeout", "1"]}

    def state_directories(self):
        return [f"/run/docker/runtime-{name}/moby" for name in ("tested", "argument", "runc")]


class VmPodman(Podman):
    """Behind the VM wall, with Debian's plugins for a network (CNI)."""

    def prepare(self):
        call_by_name(self)
        super().prepare()


class VmContainerd(Containerd):
    """Behind the VM wall."""

    def prepare(self):
        call_by_name(self)
        super().prepare()


def call_by_name(engine):
    """The engine calls the program bulkhead-vm, as `make install` links it."""
    engine.process_binary = engine.binary
    link = f"{os.path.dirname(engine.binary)}/bulkhead-vm"
    with contextlib.suppress(FileExistsError):  # another worker made it
        os.symlink(os.path.basename(engine.binary), link)
    engine.binary = link
    if not os.path.exists("/dev/net/tun"):
        subprocess.run(["modprobe", "tun"], check=True)


ENGINES = {"docker": Docker, "containerd": Containerd, "podman": Podman,
           "vm-docker": VmDocker, "vm-containerd": VmContainerd, "vm-podman": VmPodman}


def engine(name):
    """The test gets t.engine, shared with the other tests of its worker."""
    def mark(function):
        function.engine = name
        return function
    return mark
