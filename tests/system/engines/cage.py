# SPDX-License-Identifier: Apache-2.0
"""A place for an engine: its own mount, pid, network and IPC namespaces, so that nothing of it outlives a kill.

What an engine writes to /etc, /run, /var/lib and /dev/shm goes to a tmpfs that dies with the
cage. Its pid 1 is ours and only reaps.
"""

import os
import signal
import subprocess
import sys
import time
import traceback

import linux

NAMESPACES = linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC


class Cage:
    """`daemons` are started in it, as {log file name: argv}. Files for both sides live in `shared`."""

    def __init__(self, shared, daemons):
        self.shared = shared
        ready, tell = os.pipe()
        self._outer = os.fork()
        if self._outer == 0:
            os.close(ready)
            self._enter(tell, daemons)
        os.close(tell)
        with os.fdopen(ready) as pipe:
            answer = pipe.read()
        self.pid = None
        if not answer.strip().isdigit():
            os.waitpid(self._outer, 0)
            raise AssertionError(f"the cage cannot be made: {answer}")
        self.pid = int(answer)

    def _enter(self, tell, daemons):
        """Two forks: unshare(CLONE_NEWPID) is for children. Never returns."""
        try:
            os.setpgid(0, 0)
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
            linux.unshare(NAMESPACES)
            pid = os.fork()
            if pid == 0:
                linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
                self._furnish()
                for log, argv in daemons.items():
                    out = os.open(f"{self.shared}/{log}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                    subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(self.shared))
                    os.close(out)
                os.close(tell)  # the last writer: our maker may go on
                while True:
                    try:
                        os.wait()
                    except ChildProcessError:
                        time.sleep(0.05)
            os.write(tell, str(pid).encode())
            os.close(tell)
            os.waitpid(pid, 0)
        except BaseException:
            os.write(tell, traceback.format_exc().encode())
        os._exit(1)

    def _furnish(self):
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
        linux.mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755")
        for path in ("/etc", "/var/lib"):
            name = path.replace("/", "")
            for part in ("upper", "work"):
                os.makedirs(f"/mnt/{name}/{part}")
            linux.mount("overlay", path, "overlay", 0,
                        f"lowerdir={path},upperdir=/mnt/{name}/upper,workdir=/mnt/{name}/work")
        for path in ("/run", "/dev/shm"):
            linux.mount("tmpfs", path, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777" if "shm" in path else "mode=755")
        os.makedirs(f"{self.shared}/data", exist_ok=True)
        linux.mount("tmpfs", f"{self.shared}/data", "tmpfs", 0, "mode=711")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def argv(self, *argv):
        """The command line that runs argv inside."""
        return ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-i", "--", *argv]

    def log(self, name, lines=15):
        return "\n".join(linux.read(f"{self.shared}/{name}", "").splitlines()[-lines:])

    def stop(self):
        """The death of pid 1 takes all of its namespace along."""
        try:
            os.killpg(self._outer, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self._outer, 0)
        try:
            os.waitpid(self.pid, 0)  # ours since its parent died; ends when its namespace is empty
        except ChildProcessError:
            pass


def environment(shared):
    """What engines and their clients get to see of our environment."""
    home = f"{shared}/home"
    os.makedirs(home, exist_ok=True)
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LC_ALL": "C.UTF-8",
            "DOCKER_BUILDKIT": "0", "TMPDIR": "/tmp"}
