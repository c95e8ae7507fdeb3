# SPDX-License-Identifier: Apache-2.0
"""The environments host, host-systemd and host-vm: tests that run on the disposable host of tests/host/, in a boot or a few.

The runner here writes a plan, boots, and starts itself there (runner.py --inside PLAN), where
it prints one line of JSON per outcome. What this machine had to skip for want of a controller
is tried there once more; when it ran, it is no longer a skip.
"""

import concurrent.futures
import fnmatch
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(TOP / "tests/host"))

import host  # noqa: E402
import vm  # noqa: E402

ENVS = {
    "host": {"kvm": True, "disk": "4G"},
    "host-systemd": {"systemd": True},
    "host-vm": {"kvm": True, "disk": "4G"},
}
VM = "host-vm"  # here containers are made with --isolation=vm
SMOKE = "lifecycle: "  # of these the tests that any cgroup tree could upset run in both
PATIENCE = 10
BOOTS = 3  # a kernel that our tests bring down goes down each time; one that the emulator does, in some of a hundred tests
LIMITS = {"host": 2400, "host-systemd": 2400, VM: 14400}  # seconds for one boot with all its tests
PASS, FAIL, SKIP = "ok", "FAIL", "skip"


class Before:
    """Titles of tests that were skipped on this machine, with repetitions: one per environment."""

    def __init__(self, path):
        self.titles = []
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                self.titles = f.read().splitlines()
        self.made_up = 0
        self.reason = None

    def took_place(self, title):
        self.made_up += self.titles.count(title)
        self.titles = [t for t in self.titles if t != title]

    def end(self):
        if self.reason:
            print(f"no disposable host: {self.reason}")
        print(f"made up for: {self.made_up}")


def choose(env, tests, before, is_asked, wall):
    """
    Tests with the tag, and a few of the others, to see that all is well there. On the plain host those that
    were skipped here, too, and all that a pattern asks for by name. Behind the VM wall those of it and of both walls; with
    WALL=vm all that a pattern asks for and that are not of processes alone.
    """
    def wanted(test):
        if env == VM:
            return test.wall == "vm" or test.quick or (wall == "vm" and test.fits("vm") and test.envs != ("host-systemd",))
        if test.wall == "vm":
            return False
        if any(e in ENVS for e in test.envs):
            return env in test.envs
        if is_asked:
            return env == "host"
        return env == "host" and test.title in before.titles or test.title.startswith(SMOKE) and "unified" in test.envs
    return [t for t in tests if wanted(t)]


def units_for(env, programs):
    """What talks to systemd runs where it is, the others on the plain host. PROGRAM:PATTERN: some suites of it."""
    if env == VM:
        return []
    return [os.path.abspath(p) for p in programs if ("systemd" in os.path.basename(p)) == (env == "host-systemd")]


class Relay:
    """Takes the place of the report on the disposable host."""

    @staticmethod
    def add(outcome):
        print(json.dumps(outcome), flush=True)


def run_unit_programs(plan, relay):
    """Criterion programs; each of their tests is an outcome of ours."""
    for program in plan["units"]:
        for outcome in run_unit_program(program, plan["env"]):
            relay.add(outcome)


def name_of(unit):
    return os.path.basename(unit).split(":")[0]


def run_unit_program(unit, env):
    name = name_of(unit)
    program, _, suite = unit.partition(":")  # a pattern of suites
    only = [f"--filter={suite}/*"] if suite else []
    with tempfile.NamedTemporaryFile() as report:
        try:
            # One at a time: Linux 6.12 locks up when one test moves processes while another isolates CPUs.
            done = subprocess.run([program, "--jobs=1", "--short-filename", "--color=never", "--xml=" + report.name, *only],
                                  env={**os.environ, "OVERLAY_ROOM": "/run/scratch"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors="replace", check=False)
        except OSError as error:
            return [outcome_of(f"{name}: starts", env, FAIL, f"{error}\n")]
        outcomes = list(read_criterion(name, report.name, env, suite))
    bad = [o for o in outcomes if o["verdict"] == FAIL]
    for outcome in bad:
        outcome["text"] = done.stdout
    if not outcomes or (done.returncode != 0 and not bad):
        outcomes.append(outcome_of(f"{name}: ends well", env, FAIL, f"{name} ended with {done.returncode}\n{done.stdout}"))
    return outcomes


def outcome_of(title, env, verdict, text="", reason="", seconds=0.0):
    return {"title": title, "env": env, "verdict": verdict, "reason": reason, "seconds": seconds, "text": text}


def read_criterion(program, path, env, only=""):
    """The outcomes in Criterion's XML; it keeps no reason of a skip, and has those that a filter leaves out as such."""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except xml.etree.ElementTree.ParseError:
        return
    for suite in root.iter("testsuite"):
        if only and not fnmatch.fnmatch(suite.get("name"), only):
            continue
        for case in suite.iter("testcase"):
            verdict = {"PASSED": PASS, "SKIPPED": SKIP}.get(case.get("status"), FAIL)
            if only and verdict == SKIP:
                continue  # of a suite that ran elsewhere before: some of it is about other file systems
            yield outcome_of(f"{program}: {suite.get('name')}::{case.get('name')}", env, verdict,
                             reason="skipped by itself", seconds=float(case.get("time", 0)))


class Stage:
    """
    All tests of an environment. Those behind the VM wall are dealt out to two machines of one CPU, which are emulated at once:
    with two CPUs the emulator loses guests, and sometimes the machine. Who says that it needs two gets them afterwards.
    """

    def __init__(self, env, tests, options, place, before, report):
        self.env, self.before, self.report = env, before, report
        self.tests = tests
        self.units = units_for(env, options.unit)
        self.jobs, self.place = options.jobs, place
        self.wide = []  # titles of those that want two CPUs
        self.lock = threading.Lock()

    def run(self):
        titles = [t.title for t in self.tests]
        if not titles and not self.units:
            return
        try:
            home = vm.setup()
        except vm.Died as death:
            self.before.reason = str(death)
            # What does not insist on it was run or counted before.
            for title in (t.title for t in self.tests if self.env in t.envs):
                self.take(outcome_of(title, self.env, SKIP, reason=f"no disposable host: {death}"))
            return
        print(f"\n-- {self.env}: {len(titles)} tests on the disposable host", flush=True)
        if self.env != VM:
            Boots(self, titles, self.units).run(home)
            return
        small = [Boots(self, titles[i::2], [], cpus=1, memory=vm.default_memory(2)) for i in (0, 1) if titles[i::2]]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(boots.run, home) for boots in small]:
                done.result()
        if self.wide:
            Boots(self, self.wide, []).run(home)

    def take(self, outcome):
        """An outcome for the report, unless the test is to be tried on a wider machine."""
        with self.lock:
            title = outcome["title"]
            if self.env == VM and outcome["verdict"] == SKIP and outcome["reason"] == host.SENTENCES["two cpus"] and title not in self.wide:
                self.wide.append(title)
                return
            if title in self.before.titles and self.env != VM:
                if outcome["verdict"] == SKIP:
                    return  # counted already
                self.before.took_place(title)
            self.report.add(outcome)


class Boots:
    """A boot for some of the tests, and more for what is left when the emulator breaks down."""

    def __init__(self, stage, titles, units, **machine):
        self.stage, self.env, self.waiting, self.units = stage, stage.env, list(titles), units
        self.machine = {**ENVS[stage.env], **machine}
        self.reported = set()

    def run(self, home):
        for attempt in range(1, BOOTS + 1):
            try:
                code = self._boot(home)
                self._fail_all(f"the runner on the disposable host ended with {code} before this test")
                return
            except vm.Died as death:
                if death.panic and attempt < BOOTS:
                    print(f"the emulated kernel panicked; another boot for the remaining {len(self.waiting)}\n{death.panic}", flush=True)
                    continue
                tail = death.panic or "\n".join(death.console.replace("\r", "").splitlines()[-25:])
                self._fail_all(f"{death}\n{tail}")
                return

    def _boot(self, home):
        place = self.stage.place
        plan = {"env": self.env, "titles": self.waiting, "units": self._silent_units(), "jobs": self.stage.jobs,
                "binary": place.binary, "programs": place.programs}
        self.rest = b""
        path = f"{place.path}/plan-{self.env}-{id(self)}"
        with open(path, "w", encoding="utf-8") as f:
            json.dump(plan, f)
        options = vm.Options(home=home, timeout=LIMITS[self.env], show=[place.path], **self.machine)
        machine = vm.Machine([sys.executable, str(TOP / "tests/system/runner.py"), "--inside", path], options,
                             env={**os.environ, "TEST_PATIENCE": str(PATIENCE), "PYTHONDONTWRITEBYTECODE": "1"})
        return machine.run(self._take, self._noise)

    def _take(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            try:
                self._outcome(json.loads(line))
            except ValueError:
                self._noise(line + b"\n")

    @staticmethod
    def _noise(data):
        sys.stderr.write(data.decode(errors="replace"))
        sys.stderr.flush()

    def _outcome(self, outcome):
        title = outcome["title"]
        self.reported.add(title.split(":")[0])
        if title in self.waiting:
            self.waiting.remove(title)
        self.stage.take(outcome)

    def _silent_units(self):
        """Programs of which nothing was heard; each sends its outcomes together."""
        return [u for u in self.units if name_of(u) not in self.reported]

    def _fail_all(self, text):
        """The same for all that have no outcome yet."""
        for title in list(self.waiting):
            self._outcome(outcome_of(title, self.env, FAIL, text, reason=text))
        for program in self._silent_units():
            self._outcome(outcome_of(f"{name_of(program)}: runs", self.env, FAIL, text))
