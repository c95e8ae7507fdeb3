# SPDX-License-Identifier: Apache-2.0
"""What a test function gets as its only argument: bundles, containers, and the runtime to try them on."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
import time

import guests
import host
import linux
from bundle import Bundle


# By what deadlines are longer than on a usual machine; the disposable host is an emulated one.
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))


class Skip(Exception):
    """The host lacks something. Raised by Case.need() alone."""


def show(value):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) < 3000 else text[:3000] + " …"


def eq(got, wanted, what="value"):
    if got != wanted:
        raise AssertionError(f"{what}: got {show(got)}, wanted {show(wanted)}")


def has(text, *parts):
    for part in parts:
        if part not in text:
            raise AssertionError(f"no {part!r} in: {show(text)}")


def hasnt(text, *parts):
    for part in parts:
        if part in text:
            raise AssertionError(f"{part!r} is in: {show(text)}")


def true(condition, what):
    if not condition:
        raise AssertionError(what)


def facts(text):
    """The "key value" lines of probe, or "key: value" of the kernel, as a dictionary."""
    found = {}
    for line in filter(str.strip, text.splitlines()):
        key, *value = line.split(None, 1)
        found[key.rstrip(":")] = value[0].strip() if value else ""
    return found


class Result:
    """How a command of the runtime ended."""

    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    def __str__(self):
        return (f"{' '.join(self.argv)}\n  exit {self.code} after {self.seconds:.2f} s"
                f"\n  stdout: {show(self.out)}\n  stderr: {show(self.err)}")

    def ok(self):
        return self.exits(0)

    def exits(self, code):
        if self.code != code:
            raise AssertionError(f"wanted exit {code}: {self}")
        return self

    def fails(self, *texts, code=None):
        """Not zero, not a signal, and each text is in the message (case does not matter)."""
        if self.code == 0 or self.code < 0 or (code is not None and self.code != code):
            raise AssertionError(f"wanted a failure{f' with {code}' if code else ''}: {self}")
        said = (self.err + self.out).lower()
        for text in texts:
            if text.lower() not in said:
                raise AssertionError(f"no {text!r} in the message: {self}")
        return self

    def within(self, seconds):
        if self.seconds > seconds * PATIENCE:
            raise AssertionError(f"wanted within {seconds} s: {self}")
        return self

    @property
    def facts(self):
        return facts(self.ok().out)

    @property
    def json(self):
        return json.loads(self.ok().out)


class Container:
    """One detached container. Its stdout and stderr go to files, so nobody waits for its end."""

    def __init__(self, case, bundle, name):
        self.case, self.bundle, self.id = case, bundle, name
        self.out_path, self.err_path = f"{case.tmp}/{name}.out", f"{case.tmp}/{name}.err"

    def _launch(self, *argv, **more):
        return self.case.runtime(*argv, out=self.out_path, err=self.err_path, **more)

    @property
    def out(self):
        return linux.read(self.out_path, "")

    def create(self, *options, **more):
        self.bundle.save()
        return self._launch("create", "--bundle", self.bundle.path, *options, self.id, **more)

    def run_detached(self, *options, **more):
        self.bundle.save()
        return self._launch("run", "--detach", "--bundle", self.bundle.path, *options, self.id, **more)

    def start(self):
        return self.case.runtime("start", self.id)

    def state(self):
        return self.case.runtime("state", self.id).json

    @property
    def status(self):
        return self.state()["status"]

    @property
    def is_running(self):
        result = self.case.runtime("state", self.id)
        return result.code == 0 and json.loads(result.out)["status"] == "running"

    @property
    def pid(self):
        return self.state()["pid"]

    def kill(self, *options):
        return self.case.runtime("kill", self.id, *options)

    def delete(self, *options):
        return self.case.runtime("delete", *options, self.id)

    def pause(self):
        return self.case.runtime("pause", self.id)

    def resume(self):
        return self.case.runtime("resume", self.id)

    def exec(self, *argv, options=(), **more):
        return self.case.runtime("exec", *options, self.id, *argv, **more)

    def probe(self, *argv, options=(), **more):
        return self.exec("/bin/probe", *(str(a) for a in argv), options=options, **more)

    def wait(self, status, seconds=10):
        def reached():
            self.case.reap()
            return self.status == status
        self.case.until(reached, seconds, f"{self.id} to be {status}")
        return self

    def wait_out(self, text, seconds=10):
        self.case.until(lambda: text in self.out, seconds, f"{self.id} to print {text!r}")
        return self

    @property
    def cgroup(self):
        """The container's cgroup directory on the v2 tree, found as an engine finds it."""
        for line in linux.read(f"/proc/{self.pid}/cgroup").splitlines():
            if line.startswith("0::"):
                return host.v2_tree() + line[3:]
        raise AssertionError("init is in no v2 cgroup")

    def limit(self, file):
        """
        What a file of its cgroup says in the kernel that enforces it: memory and processes of a virtual machine are
        limited inside.
        """
        if self.case.wall == "vm" and file.startswith(("memory.", "pids.")):
            return self.exec("/bin/cat", f"/sys/fs/cgroup/{file}").ok().out.strip()
        return linux.read(f"{self.cgroup}/{file}").strip()

    def pids(self):
        found = []
        for top, _, _ in os.walk(self.cgroup):
            found += [int(p) for p in linux.read(f"{top}/cgroup.procs", "").split()]
        return sorted(found)


class Process(subprocess.Popen):
    """One of which timeouts are what a test says, times the patience that the machine wants."""

    def wait(self, timeout=None):
        return super().wait(timeout and timeout * PATIENCE)

    def communicate(self, input=None, timeout=None):
        return super().communicate(input, timeout and timeout * PATIENCE)


class Case:
    """The world of one test: its own temporary directory, its worker's state root and cgroup."""

    def __init__(self, env, wall, tmp, root, binary, programs, token, cgroup):
        self.env, self.wall, self.tmp, self.root, self.binary = env, wall, tmp, root, binary
        self.programs, self.token, self.cgroup_base = programs, token, cgroup
        self.cgroup_path = cgroup and "/" + os.path.relpath(cgroup, host.v2_tree())
        self.containers = []
        self.reaped = {}
        self._spawned = set()
        self._names = 0

    # -- the host

    def need(self, *features):
        for feature in features:
            reason = host.lacks(feature)
            if reason:
                raise Skip(reason)

    def until(self, condition, seconds, what):
        end = time.monotonic() + seconds * PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s for {what}")
            time.sleep(0.005)

    @staticmethod
    def wait_fd(fd, seconds, what):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(seconds * 1000 * PATIENCE):
            raise AssertionError(f"waited {seconds} s for {what}")

    def state_names(self):
        """Ids that have a state directory. Names that are no ids (a cache of the runtime) do not count."""
        return sorted(n for n in os.listdir(self.root) if re.fullmatch(r"[\w+.-]+", n, re.ASCII))

    # -- making things

    def name(self, word="c"):
        self._names += 1
        return f"{self.token}-{word}{self._names}"

    def dir(self, name, mode=0o755):
        path = f"{self.tmp}/{name}"
        os.makedirs(path)
        os.chmod(path, mode)
        return path

    def file(self, name, text="", mode=0o644):
        path = f"{self.tmp}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def script(self, name, text):
        return self.file(name, "#!/bin/sh\n" + text, 0o755)

    def bundle(self, name=None):
        self._names += 1
        made = Bundle(f"{self.tmp}/{name or f'bundle{self._names}'}", self.programs)
        if self.wall == "vm":
            made.config["vm"] = guests.least()
        return made

    # -- the runtime

    def command(self, *argv, options=(), root=None):
        """The wall is chosen when a container is made; all other commands find it in the state."""
        wall = ["--isolation=vm"] if self.wall == "vm" and argv and argv[0] in ("create", "run", "do") else []
        return [self.binary, "--root", root or self.root, *wall, *options, *(str(a) for a in argv)]

    def runtime(self, *argv, options=(), timeout=20, out=None, err=None, stdin=None, input=None, env=None,
                cwd=None, pass_fds=(), preexec=None):
        """Runs `BINARY --root ROOT options argv`. Output goes through files: nothing inherited can hang us."""
        def once():
            return self.call(self.command(*argv, options=options), timeout=timeout, out=out, err=err, stdin=stdin,
                             input=input, env=env, cwd=cwd, pass_fds=pass_fds, preexec=preexec)

        result = once()
        return once() if self.wall == "vm" and guests.STILLBORN in result.err else result

    def call(self, argv, timeout=20, out=None, err=None, stdin=None, input=None, env=None, cwd=None,
             pass_fds=(), preexec=None):
        self._names += 1
        out = out or f"{self.tmp}/.out{self._names}"
        err = err or f"{self.tmp}/.err{self._names}"
        began = time.monotonic()
        with open(out, "ab") as o, open(err, "ab") as e:
            out_from, err_from = o.tell(), e.tell()
            process = self.spawn(
                argv, stdout=o, stderr=e, env=env, cwd=cwd, pass_fds=pass_fds, preexec_fn=preexec,
                stdin=subprocess.PIPE if input is not None else stdin)
            reaper = threading.Timer(0.1, self._reap_while, [process])
            reaper.start()
            try:
                process.communicate(input.encode() if isinstance(input, str) else input, timeout=timeout)
            except subprocess.TimeoutExpired:
                stuck = "; ".join(f"{linux.describe(p)} in {linux.read(f'/proc/{p}/wchan', '?')}"
                                  for p in linux.children())
                process.kill()
                process.wait()
                raise AssertionError(f"{' '.join(argv)} did not end within {timeout} s ({stuck}); it said: "
                                     f"{show(self._from(err, err_from))}") from None
            finally:
                reaper.cancel()
                reaper.join()
        return Result(argv, process.returncode, self._from(out, out_from), self._from(err, err_from),
                      time.monotonic() - began)

    def spawn(self, argv, **more):
        """A process of ours, which the reaping of orphans leaves alone."""
        more["stdin"] = more.get("stdin") or subprocess.DEVNULL
        process = Process(argv, **more)
        self._spawned.add(process.pid)
        return process

    def spawn_runtime(self, *argv, **more):
        return self.spawn(self.command(*argv), **more)

    def reap(self):
        """
        Takes the exit status of orphans, as a shim does. It has to: the kernel keeps pid 1 of a
        namespace until every process that ever entered it has been waited for.
        """
        for pid, state in linux.children().items():
            if state == "Z" and pid not in self._spawned:
                try:
                    self.reaped[pid] = os.waitpid(pid, os.WNOHANG)[1]
                except ChildProcessError:
                    pass

    def _reap_while(self, process):
        """A command that takes long may be waiting for us."""
        while process.returncode is None and linux.children().get(process.pid, "Z") != "Z":
            self.reap()
            time.sleep(0.02)

    @staticmethod
    def _from(path, offset):
        with open(path, "rb") as f:
            f.seek(offset)
            return f.read().decode(errors="replace")

    def run(self, bundle, *options, name=None, keep=False, **more):
        """Foreground run. Afterwards nothing of the container may be left."""
        name = name or self.name()
        bundle.save()
        if keep:
            self.containers.append(name)
        result = self.runtime("run", "--bundle", bundle.path, *options, name, **more)
        if not keep and os.path.exists(f"{self.root}/{name}"):
            raise AssertionError(f"the state directory is left after: {result}")
        return result

    def probe(self, bundle, *argv, **more):
        """Runs probe in the bundle; its output."""
        return self.run(bundle.probe(*argv), **more).ok().out

    def container(self, bundle, name=None):
        """A container that the end of the test deletes; not created yet."""
        container = Container(self, bundle, name or self.name())
        self.containers.append(container.id)
        return container

    @contextlib.contextmanager
    def foreground(self, container, *options):
        """`run` without --detach, as a process to signal and wait for; entered once the container runs."""
        container.bundle.save()
        with open(container.out_path, "ab") as out, open(container.err_path, "ab") as err:
            runtime = self.spawn_runtime("run", "--bundle", container.bundle.path, *options, container.id,
                                         stdout=out, stderr=err)
        try:
            self.until(lambda: runtime.poll() is not None or container.is_running, 10, f"{container.id} to run")
            yield runtime
        finally:
            runtime.kill()
            runtime.wait()
            self._tell_of_guest(linux.read(container.err_path))

    def created(self, bundle, *options, name=None):
        container = self.container(bundle, name)
        container.create(*options).ok()
        return container

    def up(self, bundle=None, *options, name=None):
        """A running container; it sleeps unless the bundle says otherwise."""
        container = self.container(bundle or self.bundle().probe("sleep", "1000"), name)
        container.run_detached(*options).ok()
        return container

    def finish(self):
        """Takes down what the test left up on purpose, and prints what a guest died of. What survives this is a leak."""
        for name in self.containers:
            self._tell_of_guest(self.call(self.command("delete", "--force", name)).ok().err)

    @staticmethod
    def _tell_of_guest(said):
        """The runner tries a test once more that failed and says this."""
        if guests.STILLBORN in said:
            print(said)


def envs(*names):
    """
    The test runs in these environments only: 'hybrid', 'unified', and 'host', 'host-systemd' for the
    disposable host with all controllers of cgroup v2, the second with systemd as PID 1. Without this, in the
    first two; and on the host after all when neither had what the test needs.
    """
    def mark(function):
        function.envs = names
        return function
    return mark


def wall(name, why=None, quick=False):
    """
    For which walls the test is: 'both', 'vm', or 'process', where the other one has no such thing: why. What a test does
    not say, WALL of its file says. `make check` runs the quick ones of both walls behind the VM wall, too (of a table the
    first entry), `make check-vm` all of them.
    """
    if name not in ("process", "vm", "both") or (name == "process") != bool(why) or (quick and name != "both"):
        raise ValueError(f"wall {name}: {why}")
    def mark(function):
        function.wall, function.quick = (name, why) if why else name, quick
        return function
    return mark


def deadline(seconds):
    def mark(function):
        function.deadline = seconds
        return function
    return mark


def alone(function):
    """The test wants the machine for itself: it measures, or it takes much."""
    function.alone = True
    return function


def each(**tables):
    """One test per entry of the table: each(case={'name': value}) calls the test with case=value."""
    (parameter, table), = tables.items()
    def mark(function):
        function.each = (parameter, dict(table))
        return function
    return mark


SIGNALS = {s.name[3:]: s.value for s in signal.Signals}
