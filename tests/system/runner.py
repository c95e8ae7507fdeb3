#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the system tests of the built binary.

    tests/system/runner.py [-e hybrid|unified|host|host-systemd] [-j N] [-1] [-l] [-w] [-v] [PATTERN…]

A test is a function test_<sentence>(t) in tests/system/**/test_*.py; `t` is a Case. A
PATTERN selects tests whose "file: sentence" holds it. BULKHEAD names the binary
(build/bulkhead), and every test runs

  - in a process of its own, with a deadline after which its process group is killed;
  - below a worker that is a subreaper with a private mount namespace and a cgroup of its
    own, which takes a census before and after: a mount, cgroup, process, state directory or file left is a failure;
  - in each environment there is: the host as it is, and, where that is a hybrid of cgroup
    v1 and v2, once more with the v2 tree alone on /sys/fs/cgroup.
"""

import argparse
import faulthandler
import importlib.util
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE / "engines")]

import census  # noqa: E402
import guests  # noqa: E402
import host  # noqa: E402
import inhost  # noqa: E402
import linux  # noqa: E402
from case import PATIENCE, Case, Skip  # noqa: E402
from engine import ENGINES  # noqa: E402

DEADLINE = 30
WALL = os.environ.get("WALL") or "process"
PASS, FAIL, SKIP = "ok", "FAIL", "skip"


class Test:
    def __init__(self, module, function, wall, parameter=None, key=None, value=None):
        sentence = function.__name__[len("test_"):].replace("_", " ")
        self.title = f"{module[len('test_'):]}: {sentence}" + (f" [{key}]" if parameter else "")
        self.function = function
        self.arguments = {parameter: value} if parameter else {}
        self.envs = getattr(function, "envs", ("hybrid", "unified"))
        self.deadline = getattr(function, "deadline", DEADLINE) * PATIENCE
        self.alone = getattr(function, "alone", False)
        self.engine = getattr(function, "engine", None)
        self.wall, self.why = wall if isinstance(wall, tuple) else (wall, None)
        self.is_first = not parameter or key == next(iter(function.each[1]))
        self.quick = getattr(function, "quick", False) and self.is_first
        if self.wall == "vm":
            self.envs = (inhost.VM,)

    def fits(self, wall):
        return self.wall in (wall, "both")


def discover(patterns):
    tests = []
    for path in sorted(HERE.rglob("test_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, function in vars(module).items():
            if not name.startswith("test_") or not callable(function):
                continue
            wall = getattr(function, "wall", getattr(module, "WALL", None))
            if not wall:
                sys.exit(f"{path.name}: {name} does not say for which walls it is (wall() in case.py)")
            parameter, table = getattr(function, "each", (None, {None: None}))
            tests += [Test(path.stem, function, wall, parameter, k, v) for k, v in table.items()]
    titles = [t.title for t in tests]
    twice = {t for t in titles if titles.count(t) > 1}
    if twice:
        sys.exit(f"two tests have the same name: {', '.join(sorted(twice))}")
    return [t for t in tests if not patterns or any(p.lower() in t.title.lower() for p in patterns)]


def build_programs(directory):
    """probe and busybox, where every bundle can hard-link them."""
    compiler = shutil.which("musl-gcc") or "gcc"
    subprocess.run([compiler, "-D_GNU_SOURCE", "-static", "-O1", "-Wall", "-o", f"{directory}/probe",
                    *map(str, (TOP / "tests/helper/probe").glob("*.c"))], check=True)
    shutil.copy2(shutil.which("busybox"), f"{directory}/busybox")
    return {"probe": f"{directory}/probe", "busybox": f"{directory}/busybox"}


def copy_programs(programs, directory):
    return {name: shutil.copy2(path, f"{directory}/{name}") for name, path in programs.items()}


def copy_binary(binary, directory):
    """A copy, with what lies beside it under its name: a build that goes on cannot change what is tested."""
    where, name = os.path.split(binary)
    for entry in os.scandir(where):
        if entry.name.startswith(name) and entry.is_file() and os.access(entry.path, os.X_OK):
            shutil.copy2(entry.path, f"{directory}/{entry.name}")
    return f"{directory}/{name}"


class Worker:
    """A process that runs tests one after the other in one environment."""

    def __init__(self, number, env, tests, binary, programs, tmp):
        self.number, self.env, self.tests = number, env, tests
        self.binary, self.programs = binary, programs
        self.token = f"bht{os.getpid()}w{number}{env[0]}"
        self.wall = "vm" if env == inhost.VM else WALL
        self.tmp = f"{tmp}/{env}{number}"
        self.root = f"{self.tmp}/state"
        self.pid = None
        self.engines, self.broken = {}, {}

    def fork(self, queue, results, not_ours):
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            for fd in not_ours:
                os.close(fd)
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
            self._prepare()
            while True:
                index = os.read(queue, 4)
                if len(index) < 4:
                    break
                outcome = self.one(self.tests[int.from_bytes(index, "big")])
                with open(results, "wb", closefd=False) as f:
                    f.write(json.dumps(outcome).encode() + b"\n")
            for engine in self.engines.values():
                engine.stop()
            self._leave_cgroup()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _prepare(self):
        linux.private_mounts()
        if self.env == "unified" and not host.is_unified():
            linux.mount("none", "/sys/fs/cgroup", "cgroup2")
        if self.env == inhost.VM:
            guests.install_kernel("stock")
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        os.makedirs(self.root, mode=0o711)
        tree = host.v2_tree()
        self.cgroup = f"{tree}/{self.token}" if tree else None
        if self.cgroup:
            # The runtime places a container beside its own cgroup: give it a parent that is ours.
            os.makedirs(f"{self.cgroup}/runner")
            for directory in (tree, self.cgroup):
                self._enable_controllers(directory)
            with open(f"{self.cgroup}/runner/cgroup.procs", "w", encoding="ascii") as f:
                f.write(str(os.getpid()))

    @staticmethod
    def _enable_controllers(directory):
        for name in linux.read(f"{directory}/cgroup.controllers").split():
            try:
                with open(f"{directory}/cgroup.subtree_control", "w", encoding="ascii") as f:
                    f.write(f"+{name}")
            except OSError:
                pass

    def _leave_cgroup(self):
        if not self.cgroup:
            return
        with open(f"{host.v2_tree()}/cgroup.procs", "w", encoding="ascii") as f:
            f.write(str(os.getpid()))
        for path in (f"{self.cgroup}/runner", self.cgroup):
            os.rmdir(path)
        remove_v1_cgroups(self.token)

    def one(self, test):
        """Runs one test; the outcome as a dictionary. Once more where the emulator lost a guest (guests.py), which is said."""
        outcome = self._one(test)
        if outcome["verdict"] == FAIL and self.wall == "vm" and guests.STILLBORN in outcome["text"]:
            outcome = self._one(test)
            outcome["again"] = True
        return outcome

    def _one(self, test):
        tmp = f"{self.tmp}/t"
        os.makedirs(tmp, mode=0o755)
        places = [self.root, "/run", "/run/bulkhead", "/dev/shm", "/tmp"]
        output = tempfile.TemporaryFile()
        began = time.monotonic()
        try:
            engine = self._engine(test.engine)
        except (AssertionError, OSError) as error:
            shutil.rmtree(tmp)
            return self._outcome(test, FAIL, "", time.monotonic() - began, f"cannot start {test.engine}: {error}\n")
        ours = {pid for e in self.engines.values() for pid in e.pids}
        before = census.Census(self.token, places, ours)
        pid = os.fork()
        if pid == 0:
            self._child(test, tmp, output, engine)
        verdict, reason = self._wait(pid, test.deadline, output)
        seconds = time.monotonic() - began
        leaks = (engine.leaks() if engine else []) + before.leaks()
        try:
            shutil.rmtree(tmp)
        except OSError as error:
            leaks.append(f"temporary directory cannot be removed: {error}")
            os.rename(tmp, f"{tmp}-{time.monotonic_ns()}")
        output.seek(0)
        text = output.read().decode(errors="replace")
        output.close()
        if verdict == SKIP:
            reason = text.strip().splitlines()[-1] if text.strip() else "?"
        if leaks:
            verdict = FAIL
            text += "".join(f"leak: {line}\n" for line in leaks)
        return self._outcome(test, verdict, reason, seconds, text)

    def _outcome(self, test, verdict, reason, seconds, text):
        return {"title": test.title, "env": self.env, "verdict": verdict, "reason": reason,
                "seconds": seconds, "text": text}

    def _engine(self, name):
        """The running engine of that name, None for none, or where the host lacks its programs."""
        if name is None or host.lacks(ENGINES[name].feature):
            return None
        if name in self.broken:
            raise AssertionError(self.broken[name])
        if name not in self.engines:
            try:
                self.engines[name] = ENGINES[name](f"{self.tmp}/{name}", self.binary, self.programs, self.cgroup)
            except (AssertionError, OSError) as error:
                self.broken[name] = str(error)
                raise
        return self.engines[name]

    def _child(self, test, tmp, output, engine):
        """Never returns. Output and the exit status say how it went: 0 passed, 77 skipped."""
        code = 1
        try:
            os.setpgid(0, 0)
            linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            faulthandler.register(signal.SIGUSR1, file=sys.stderr)
            os.umask(0o022)
            case = Case(self.env, self.wall, tmp, self.root, self.binary, self.programs, self.token, self.cgroup)
            case.engine = engine
            fds = len(os.listdir("/proc/self/fd"))
            try:
                if self.wall == "vm":
                    case.need("virtual machines")
                if test.engine:
                    case.need(ENGINES[test.engine].feature)
                test.function(case, **test.arguments)
                code = 0
            except Skip as skip:
                print(skip)
                code = 77
            except BaseException as error:
                self._explain(error)
            try:
                case.finish()
            except AssertionError as error:
                print(f"cannot clean up: {error}")
                code = 1
            left = len(os.listdir("/proc/self/fd"))
            if code == 0 and left > fds:
                print(f"the test leaves {left - fds} descriptors open")
                code = 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    @staticmethod
    def _explain(error):
        """The lines of the test that led here, then the sentence of the assertion."""
        for frame in traceback.extract_tb(error.__traceback__):
            if os.path.basename(frame.filename) not in ("runner.py", "case.py"):
                print(f"  {os.path.relpath(frame.filename, TOP)}:{frame.lineno}: {frame.line}")
        print(error if isinstance(error, AssertionError) else "".join(traceback.format_exception(error)))

    @staticmethod
    def _wait(pid, deadline, output):
        fd = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        ready = poll.poll(deadline * 1000)
        reason = ""
        if not ready:
            reason = f"deadline of {deadline:g} s"
            os.kill(pid, signal.SIGUSR1)
            poll.poll(500)
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(pid, signal.SIGKILL)
            output.write(f"\nkilled after {deadline:g} s\n".encode())
        os.close(fd)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return {0: PASS, 77: SKIP}.get(code, FAIL), reason


class Report:
    """Prints a line per test as it ends, and the failures in full at the end."""

    def __init__(self, verbose):
        self.verbose = verbose
        self.counts = {PASS: 0, FAIL: 0, SKIP: 0}
        self.failures, self.skips, self.slow = [], {}, []
        self.tty = sys.stdout.isatty()

    def add(self, outcome):
        verdict = outcome["verdict"]
        self.counts[verdict] += 1
        line = f"{verdict:4} {outcome['seconds'] * 1000:6.0f} ms  {outcome['env']:12}  {outcome['title']}"
        if outcome.get("again"):
            line += " (again: the emulator lost a guest)"
        if verdict == SKIP:
            line += f": {outcome['reason']}"
            self.skips.setdefault(outcome["reason"], []).append(outcome["title"])
        print(line, flush=True)
        if verdict == FAIL or (self.verbose and outcome["text"]):
            print("".join(f"     | {text}\n" for text in outcome["text"].splitlines()), end="", flush=True)
        if verdict == FAIL:
            self.failures.append(f"{outcome['env']}  {outcome['title']}")
        self.slow.append((outcome["seconds"], outcome["title"]))

    def end(self):
        if self.failures:
            print("\nfailed:")
            for line in self.failures:
                print(f"  {line}")
        if self.skips:
            print("\nskipped because:")
            for reason, titles in sorted(self.skips.items()):
                print(f"  {reason}: {len(titles)} test{'s' if len(titles) > 1 else ''}")
        counts = self.counts
        print(f"\nsystem: {counts[PASS]} passed, {counts[FAIL]} failed, {counts[SKIP]} skipped", flush=True)

    def append_skips(self, path):
        with open(path, "a", encoding="utf-8") as f:
            f.write("".join(f"{title}\n" for titles in self.skips.values() for title in titles))


def remove_stale_cgroups():
    """Cgroups of runners that were killed."""
    tree = host.v2_tree()
    for name in os.listdir(tree) if tree else ():
        match = re.match(r"bht(\d+)w\d+[hu]$", name)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            for top, _, _ in os.walk(f"{tree}/{name}", topdown=False):
                census.Census._remove_cgroup(os.path.relpath(top, tree))


def remove_v1_cgroups(token):
    """On a hybrid host engines make directories in the v1 hierarchies too, and leave them."""
    for hierarchy in pathlib.Path("/sys/fs/cgroup").glob("*/cgroup.procs"):
        for top, _, _ in os.walk(hierarchy.parent / token, topdown=False):
            try:
                os.rmdir(top)
            except OSError:
                pass


def run_environment(env, tests, jobs, binary, programs, tmp, report):
    """Workers take tests from one pipe; what they find comes back on a pipe each."""
    queue_out, queue_in = os.pipe()
    sys.stdout.flush()
    workers, readers = [], {}
    for number in range(min(jobs, len(tests))):
        worker = Worker(number, env, tests, binary, programs, tmp)
        out, result = os.pipe()
        worker.fork(queue_out, result, [queue_in, out, *readers])
        os.close(result)
        workers.append(worker)
        readers[out] = b""
    os.close(queue_out)
    for index in range(len(tests)):
        os.write(queue_in, index.to_bytes(4, "big"))
    os.close(queue_in)
    while readers:
        for fd in select.select(list(readers), [], [])[0]:
            data = os.read(fd, 65536)
            if not data:
                os.close(fd)
                del readers[fd]
                continue
            *lines, readers[fd] = (readers[fd] + data).split(b"\n")
            for line in lines:
                report.add(json.loads(line))
    for worker in workers:
        if os.waitpid(worker.pid, 0)[1] != 0:
            sys.exit(f"worker {worker.number} of {env} died")


def environments(wanted):
    present = ["unified"] if host.is_unified() else ["hybrid", "unified"]
    return [e for e in present if not wanted or e in wanted]


def run_here(env, tests, jobs, binary, programs, tmp, report):
    """Tests that go together, then those that want to be alone."""
    # On the disposable host an engine takes half a minute to start: one worker is to have it.
    def apart(test):
        return test.alone or (test.engine and host.is_disposable())
    for number, place, part in ((jobs, "many", [t for t in tests if not apart(t)]), (1, "one", [t for t in tests if apart(t)])):
        if part:
            run_environment(env, part, number, binary, programs, f"{tmp}/{place}", report)


class Directory:
    """A temporary one, with what the tests need to run, and without the cgroups of runners that died."""

    def __init__(self, binary, programs=None):
        remove_stale_cgroups()
        self.path = tempfile.mkdtemp(prefix="bulkhead-test-")
        os.chmod(self.path, 0o755)
        try:
            self.programs = copy_programs(programs, self.path) if programs else build_programs(self.path)
            self.binary = copy_binary(binary, self.path)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def list_walls(tests):
    counts = {}
    for test in tests:
        kind = test.wall + (", quick" if test.quick else "")
        counts[kind] = counts.get(kind, 0) + 1
        print(f"{kind:12}  {test.title}" + (f": {test.why}" if test.why else ""))
    print(", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))


def run_inside(plan):
    """What the runner is on the disposable host: takes a plan, prints a line of JSON per outcome."""
    tests = {t.title: t for t in discover([])}
    relay = inhost.Relay()
    inhost.run_unit_programs(plan, relay)
    if plan["titles"]:
        with Directory(plan["binary"], plan["programs"]) as place:
            run_here(plan["env"], [tests[title] for title in plan["titles"]], plan["jobs"], place.binary, place.programs,
                     place.path, relay)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-e", "--env", action="append", choices=["hybrid", "unified", *inhost.ENVS])
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("-l", "--list", action="store_true")
    parser.add_argument("-w", "--walls", action="store_true", help="list the tests of each wall, and why of one alone")
    parser.add_argument("-1", "--first", action="store_true", help="of a table of cases the first alone")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--skips", metavar="FILE", help="append the titles of skipped tests; -e host tries those again")
    parser.add_argument("--unit", metavar="PROGRAM", action="append", default=[], help="a unit program for -e host; PROGRAM:PATTERN: its suites of these names")
    parser.add_argument("--inside", metavar="PLAN", help=argparse.SUPPRESS)
    parser.add_argument("pattern", nargs="*")
    options = parser.parse_args()
    if options.inside:
        return run_inside(json.loads(linux.read(options.inside)))
    tests = [t for t in discover(options.pattern) if t.is_first or not options.first]
    if WALL not in ("process", "vm"):
        sys.exit(f"WALL={WALL}: it is process or vm")
    if options.list:
        for test in tests:
            print(test.title)
        return 0
    if options.walls:
        list_walls(tests)
        return 0
    binary = os.path.abspath(os.environ.get("BULKHEAD", TOP / "build/bulkhead"))
    if not os.access(binary, os.X_OK):
        sys.exit(f"no program at {binary}: build it, or name one with BULKHEAD=")
    if os.geteuid() != 0:
        sys.exit("the system tests need root: they make namespaces, mounts and cgroups")
    elsewhere = [e for e in inhost.ENVS if e in (options.env or [])]
    before = inhost.Before(options.skips) if elsewhere else None
    report = Report(options.verbose)
    with Directory(binary) as place:
        for env in environments(options.env):
            mine = [t for t in tests if t.fits(WALL) and (env in t.envs or ("hybrid" in t.envs and host.is_unified()))]
            run_here(env, mine, options.jobs, place.binary, place.programs, place.path, report)
        for env in elsewhere if WALL == "process" else [inhost.VM] if elsewhere else []:
            mine = inhost.choose(env, tests, before, bool(options.pattern), WALL)
            inhost.Stage(env, mine, options, place, before, report).run()
    report.end()
    if before:
        before.end()
    elif options.skips:
        report.append_skips(options.skips)
    return 1 if report.counts[FAIL] or not (report.counts[PASS] + report.counts[SKIP]) else 0


if __name__ == "__main__":
    sys.exit(main())
