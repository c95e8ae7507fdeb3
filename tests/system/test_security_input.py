# SPDX-License-Identifier: Apache-2.0
"""Words and files from elsewhere: names, annotations, saved states, password files; and what is left lying where others could use it."""

import json
import os
import random
import re
import shutil
import socket
import stat

import host
import linux
from breach import SECRET, Canary, bystander, is_clean, program
from case import alone, deadline, each, envs, eq, has, hasnt, true, wall

WALL = "both"

LONG = "a" * 65536
STRINGS = {
    "dots": "..", "up": "../../../../tmp/up", "absolute": "/tmp/up", "slash": "a/b", "newline": "a\nb", "carriage return": "a\rb", "tab": "a\tb",
    "escape": "\x1b[2J\x1b]0;x\x07", "percent": "%s%n%1000000d%p", "option": "--help", "short option": "-f", "empty": "", "space": " ",
    "long": LONG, "quotes": "'\";$(reboot)`reboot`", "unicode": "\u202eevil\u0000"[:5], "invalid name": "\u00ff" * 300, "comma": "a,b=c", "dot": ".",
    "star": "*", "at": "@seccomp", "plus": "a+b", "equals": "a=b", "colon": "a:b:c", "question": "a?b#c", "tilde": "~root",
}


def controls(text):
    """Bytes that would drive the terminal of whoever reads the message."""
    return re.findall(r"[\x00-\x08\x0b-\x1f\x7f]", text)


def attempt(t, b, what, name=None):
    """A run that has to end well or in words, in bounded time, and leave nothing."""
    result = t.run(b, name=name, timeout=10)
    took = is_clean(result, what)
    eq(controls(result.err), [], f"control characters in the message about {what}")
    true(len(result.err) < 16384, f"a message of {len(result.err)} bytes about {what}")
    return took


# -- T16


@each(text=STRINGS)
@envs("hybrid")
def test_t16_ids_are_names_and_nothing_else(t, text):
    canary = Canary(t)
    b = t.bundle().probe("cwd").save()
    states = sorted(os.listdir(t.root))
    if "\0" in text or len(text) > 60000:
        text = text.replace("\0", "")[:60000]
    valid = re.fullmatch(r"[A-Za-z0-9_+.-]+", text) and text not in (".", "..") and len(text) <= 255
    for argv in (("run", "-b", b.path, "--", text), ("create", "-b", b.path, "--", text), ("state", "--", text), ("start", "--", text),
                 ("kill", "--", text, "KILL"), ("exec", "--", text, "true"), ("ps", "--", text), ("pause", "--", text), ("events", "--stats", "--", text),
                 ("update", "--pids-limit", "5", "--", text), ("delete", "--", text), ("delete", "--force", "--", text)):
        result = t.runtime(*argv, timeout=10)
        is_clean(result, f"{argv[0]} {text[:40]!r}")
        eq(controls(result.err), [], f"control characters in a message of {argv[0]}")
        true(len(result.err) < 16384, f"a message of {len(result.err)} bytes")
        if not valid and argv[0] != "delete":
            true(result.code != 0 or "Usage" in result.out or "USAGE" in result.out.upper(), f"taken: {result}")
    eq(sorted(os.listdir(t.root)), states, "state directories")
    true(not os.path.lexists("/tmp/up"), "/tmp/up was made")
    canary.unharmed("an id")


NAMES_IN_THE_TREE = ("dots", "up", "slash", "newline", "escape", "percent", "option", "empty", "long", "invalid name", "dot", "space")


@each(text={n: STRINGS[n] for n in NAMES_IN_THE_TREE})
@envs("hybrid")
def test_t16_cgroup_paths_stay_in_the_tree(t, text):
    # GHSA-5g49-rx9x-qfc6: ".." in a name below the cgroup tree.
    tree = host.v2_tree()
    beside = sorted(os.listdir(os.path.dirname(tree)))
    top = {n for n in os.listdir(tree) if os.path.isdir(f"{tree}/{n}")}
    ours = set(os.listdir(t.cgroup_base))
    b = t.bundle().shell("true")
    for path in (text, f"{t.cgroup_path}/x/{text}"):
        if path.startswith("/") and ".." in path:
            continue  # leads to the top of the tree: a valid wish of whoever writes the config
        b.linux["cgroupsPath"] = path
        attempt(t, b, f"cgroupsPath {path[:40]!r}")
    for name in set(os.listdir(t.cgroup_base)) - ours:  # parents that were made on the way
        for made, _, _ in os.walk(f"{t.cgroup_base}/{name}", topdown=False):
            os.rmdir(made)
    c = t.up()
    for word in (text, f"../{text}", f"{text}/.."):
        result = c.exec("/bin/cat", "/proc/self/cgroup", options=("--cgroup", word))
        if is_clean(result, f"--cgroup {word[:40]!r}"):
            hasnt(result.out, "..")
    eq(sorted(os.listdir(os.path.dirname(tree))), beside, "what lies beside the tree")
    mine = {n for n in os.listdir(tree) if os.path.isdir(f"{tree}/{n}")} - top
    eq({n for n in mine if n in ("tmp", "up", "a", "x", text)}, set(), "cgroups at the top")


# What the annotations of other runtimes and engines make them do. None of it is ours to honour.
ANNOTATIONS = {
    "run.oci.hooks.stderr": "/tmp/hook-stderr", "run.oci.hooks.stdout": "/tmp/hook-stdout", "run.oci.handler": "krun", "run.oci.keep_original_groups": "1",
    "run.oci.seccomp.receiver": "/tmp/socket", "run.oci.seccomp.plugins": "/tmp/plugin.so", "run.oci.seccomp_fail_unknown_syscall": "0",
    "run.oci.systemd.subgroup": "../../x", "run.oci.systemd.force_cgroup_v1": "/tmp", "run.oci.delegate-cgroup": "..", "run.oci.mount_context_type": "x",
    "run.oci.pidfd_receiver": "/tmp/socket", "run.oci.timeout": "1", "module.wasm.image/variant": "compat", "org.systemd.property.ExecStartPost": "['/bin/true']",
    "org.systemd.property.TimeoutStopUSec": "uint64 1", "io.kubernetes.cri-o.UnifiedCgroup.x": "memory.max=max", "io.katacontainers.config.hypervisor.path": "/tmp/x",
    "io.katacontainers.config.hypervisor.virtio_fs_extra_args": "[\"-o\", \"source=/\"]", "krun.cpus": "1", "dev.bulkhead": "x",
    "org.criu.config": "/tmp/criu", "io.containerd.runc.v2.group": "x", "binary:///bin/true": "binary:///bin/true", "../../../tmp/up": "../../../tmp/up",
    "LD_PRELOAD": "/tmp/evil.so", "com.docker.network": LONG, "": "", "%s%n": "%s%n", "a\nb": "c\nd", "org.opencontainers.image.stopSignal": "KILL",
}


def calls_of(t, b):
    """Every program and file that a run opens, without what changes from run to run by nature."""
    log = f"{t.tmp}/trace-{len(os.listdir(t.tmp))}"
    b.save()
    name = t.name("same")
    t.call(["strace", "-f", "-o", log, "-s", "300", "-e", "trace=execve,openat,open,openat2,creat,socket,connect,memfd_create,unlinkat,symlinkat,mkdirat",
            *t.command("run", "-b", b.path, name)]).ok()
    lines = []
    for line in linux.read(log).splitlines():
        text = line.split(None, 1)[1].replace(name, "NAME").replace(b.path, "BUNDLE")
        if "resumed>" in text or text.startswith(("+++", "---")):
            continue
        if "openat" in text and re.search(r'"/proc/\d+/stat"', text):
            continue  # asked only when init was born across a tick of the clock
        text = re.sub(r"<unfinished.*", "", text)
        text = re.sub(r"0x[0-9a-f]+|/proc/\d+|\) = .*|\(\d+,|= \d+$", "", text).strip()
        lines.append(re.sub(r"\b[sgp]=\d+|\b\d+\b", "N", text))
    return sorted(lines)


@wall("process", "compares system calls; a machine makes others each time")
@deadline(60)
@envs("hybrid")
def test_t16_an_annotation_changes_nothing_that_is_done(t):
    # CVE-2022-0811, CVE-2023-6476, CVE-2024-3154, CVE-2026-44210, CVE-2026-53488: a label of an image reached a privileged sink.
    t.need("strace")
    b = t.bundle().shell("true")
    b.config["annotations"] = {"some": "thing"}
    usual = calls_of(t, b)
    true(len(usual) > 15, f"the trace shows little: {usual}")
    eq(calls_of(t, b), usual, "two runs of the same")  # or the comparison below means nothing
    for i, (key, value) in enumerate(ANNOTATIONS.items()):
        if not key:
            continue
        b.config["annotations"] = {"some": "thing", key: value}
        if i % 4 == 0:  # one by one would take long: four at a time, and all
            b.config["annotations"].update(list(ANNOTATIONS.items())[i + 1:i + 4])
        elif i % 4:
            continue
        b.config["annotations"].pop("", None)
        eq(calls_of(t, b), usual, f"what a run with {sorted(b.config['annotations'])} does")
    for name in ("hook-stderr", "hook-stdout", "up"):
        true(not os.path.exists(f"/tmp/{name}"), f"an annotation made /tmp/{name}")


@wall("process", "compares system calls; a machine makes others each time")
@envs("hybrid")
def test_t16_the_trace_would_show_a_difference(t):
    # Its teeth: a config that does differ.
    t.need("strace")
    b = t.bundle().shell("true")
    usual = calls_of(t, b)
    b.hook("createRuntime", "/bin/true")
    true(calls_of(t, b) != usual, "a hook leaves no trace")


@each(text=STRINGS)
@envs("hybrid")
def test_t16_words_of_the_config_are_words(t, text):
    before = {n: linux.read(f"/proc/sys/{n}", "") for n in ("kernel/core_pattern", "kernel/hostname", "kernel/domainname", "kernel/sysrq")}
    word = text.replace("\0", "")
    tries = {
        "hostname": lambda b: b.config.update(hostname=word), "domainname": lambda b: b.config.update(domainname=word),
        "sysctl": lambda b: b.linux.update(sysctl={f"net.{word}": "1"}), "sysctl value": lambda b: b.linux.update(sysctl={"net.ipv4.ip_forward": word}),
        "sysctl with a plus": lambda b: b.linux.update(sysctl={f"kernel.shm_rmid_forced": f"1+kernel.core_pattern=|/bin/{word}"}),
        "sysctl by a way around": lambda b: b.linux.update(sysctl={f"net/../kernel/{word}": "1", "net.ipv4/../../kernel.sysrq": "0"}),
        "label": lambda b: b.process.update(selinuxLabel=word, apparmorProfile=word), "mount label": lambda b: b.linux.update(mountLabel=word),
        "destination": lambda b: b.mount(f"/data/{word}", "tmpfs", "tmpfs"), "type": lambda b: b.mount("/data", word, "x"),
        "option": lambda b: b.mount("/data", "tmpfs", "tmpfs", [word]), "source": lambda b: b.mount("/data", "bind", f"{t.tmp}/{word}", ["bind"]),
        "argument": lambda b: b.args("/bin/true", word), "program": lambda b: b.args(word), "environment": lambda b: b.process["env"].append(f"A={word}"),
        "directory": lambda b: b.process.update(cwd=f"/{word}"), "device": lambda b: b.linux.update(devices=[{"path": f"/dev/{word}", "type": "c", "major": 1, "minor": 3}]),
        "masked path": lambda b: b.linux["maskedPaths"].append(f"/{word}"), "read-only path": lambda b: b.linux["readonlyPaths"].append(f"/{word}"),
        "root": lambda b: b.config["root"].update(path=f"rootfs/{word}"), "unified": lambda b: b.linux["resources"].update(unified={f"../{word}": "1", word: "1"}),
        "hook": lambda b: b.hook("createRuntime", program(t, "hostile"), ["hostile", "tell", f"{t.tmp}/told", word]),
        "interface": lambda b: b.linux.update(netDevices={word: {"name": word}}), "rlimit": lambda b: b.process.update(rlimits=[{"type": word, "soft": 1, "hard": 1}]),
        "profile": lambda b: b.linux.update(seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [word], "action": "SCMP_ACT_ERRNO"}]}),
    }
    turn = list(STRINGS.values()).index(text)
    for i, (what, change) in enumerate(tries.items()):
        if (i + turn) % 5:
            continue  # each word at a fifth of the places, each place with a fifth of the words
        b = t.bundle().shell("true").writable()
        change(b)
        attempt(t, b, f"{what} {word[:40]!r}")
    eq({n: linux.read(f"/proc/sys/{n}", "") for n in before}, before, "settings of the host")
    true(not os.path.lexists("/tmp/up"), "/tmp/up was made")


# -- T17: saved files that are not what was saved


def mutations(text, seed):
    """One damaged version of a JSON document."""
    r = random.Random(seed)
    kind = seed % 6
    if kind == 0:
        at = r.randrange(len(text))
        return text[:at] + chr(r.randrange(1, 127)) + text[at + 1:]
    if kind == 1:
        return text[:r.randrange(len(text))]
    if kind == 2:
        a, b = sorted((r.randrange(len(text)), r.randrange(len(text))))
        return text[:a] + text[a:b] * r.randint(2, 30) + text[b:]
    document = json.loads(text)
    keys = list(document)
    if kind == 3:
        document.pop(r.choice(keys))
    else:
        document[r.choice(keys)] = r.choice([None, True, -1, 0, 1, 2 ** 31, 2 ** 32 + 1, 2 ** 64, 1.5, "", "..", "/", "../../..", "/proc/1", "x\u0001y", LONG, [], {},
                                             [[[]]], {"a": {"b": []}}, "0", "%s%n"])
    return json.dumps(document)


@deadline(60)
@envs("hybrid")
def test_t17_a_damaged_state_neither_crashes_nor_harms_anybody(t):
    # CVE-2021-43784 and others: lengths and types that were believed. Naive: what the state names is killed and removed.
    c = t.up()
    shutil.copytree(f"{t.root}/{c.id}", f"{t.tmp}/saved", symlinks=True, ignore=shutil.ignore_patterns("vm.sock"))
    saved = {n: linux.read(f"{t.tmp}/saved/{n}") for n in ("state.json", "config.json")}
    other = t.up()
    canary = Canary(t)
    with bystander(t):
        for seed in range(48):
            which = "config.json" if seed % 5 == 4 else "state.json"
            name = t.name("damaged")
            directory = f"{t.root}/{name}"
            shutil.copytree(f"{t.tmp}/saved", directory, symlinks=True, ignore=shutil.ignore_patterns("vm.sock"))
            cgroup = f"{directory}/cgroup"
            noted = os.readlink(cgroup).replace(c.id, name)
            os.unlink(cgroup)
            os.symlink(noted, cgroup)
            for file, text in saved.items():
                text = text.replace(c.id, name) if file == "state.json" else text
                # Not the other container's own pid and cgroup: those a damaged state may well lead to.
                text = re.sub(r'"startTime":\d+', '"startTime":5', text)
                if file == which:
                    text = mutations(text, seed)
                with open(f"{directory}/{file}", "w", encoding="utf-8", errors="surrogateescape") as f:
                    f.write(text)
            for command in (("state",), ("kill", "KILL"), ("exec", "/bin/true"), ("start",), ("ps",), ("delete", "--force")):
                verb, *rest = command
                options = [rest.pop()] if verb == "delete" else []
                result = t.runtime(verb, *options, name, *rest, timeout=5)
                is_clean(result, f"{verb} with damage {seed} in {which}")
                eq(controls(result.err), [], f"control characters after damage {seed}")
            t.runtime("list", timeout=5).ok()
            shutil.rmtree(directory, ignore_errors=True)
            true(other.is_running and c.is_running, f"damage {seed} ended another container")
    canary.unharmed("damaged states")
    eq(other.status, "running")


@each(path={"the parent": "..", "the top": "/", "nothing": "", "a dot": ".", "above": "../../..", "a way around": "x/../..", "a link": "self",
            "absolute": "/sys/fs/cgroup", "newline": "a\nb"})
@envs("hybrid")
def test_t17_a_cgroup_that_the_state_names_is_below_the_tree_or_refused(t, path):
    c = t.up()
    other = t.up()
    file = f"{t.root}/{c.id}/state.json"
    text = linux.read(file)
    document = json.loads(text)
    document["cgroup"] = path
    with bystander(t):
        for command in (("kill", "--all", c.id, "KILL"), ("pause", c.id), ("ps", c.id), ("update", "--pids-limit", "9", c.id), ("delete", "--force", c.id)):
            with open(file, "w", encoding="utf-8") as f:
                json.dump(document, f)
            os.utime(file)
            is_clean(t.runtime(*command, timeout=15), f"{command[0]} with the cgroup {path!r}")
            true(other.is_running, f"{command[0]} reached another container")
            if not os.path.isdir(os.path.dirname(file)):
                break
    left = f"{t.cgroup_base}/{c.id}"
    if os.path.isdir(left):  # the state lied about it: nobody could know
        with open(f"{left}/cgroup.kill", "w", encoding="ascii") as f:
            f.write("1")
        t.until(lambda: t.reap() or "populated 0" in linux.read(f"{left}/cgroup.events"), 5, "the end of the container")
        os.rmdir(left)
    shutil.rmtree(os.path.dirname(file), ignore_errors=True)


# -- T21: bounds of what is read


def cost(t, *argv, **more):
    """How a command ended, and the largest memory it or a child of its had, in KiB."""
    result = t.call([program(t, "hostile"), "cost", *t.command(*argv)], **more)
    tail = dict(line.split() for line in result.err.splitlines()[-2:])
    return result, int(tail["status"]), int(tail["peak"])


def sparse(path, size, head=b"", tail=b""):
    with open(path, "wb") as f:
        f.write(head)
        f.truncate(size)
        f.seek(size - len(tail))
        f.write(tail)


@wall("process", "the memory of a machine is its guest's: test_vm")
@alone
@deadline(60)
@envs("hybrid")
def test_t21_files_of_the_image_cost_little_however_large_they_are(t):
    # CVE-2026-47262 and others. Naive: the whole file is read, or one line of it kept.
    name = t.name()
    usual = cost(t, "run", "-b", t.bundle().probe("cwd").save().path, name)[2]
    lines = b"x" * 1000 + b"\n"
    cases = {
        "a line of a GiB": lambda path: sparse(path, 1 << 30), "a GiB and then the entry": lambda path: sparse(path, 1 << 30, b"", b"\nroot:x:0:0::/r:/\n"),
        "a million entries": lambda path: open(path, "wb").write(b"".join(b"u%d:x:%d:0::/home/u:/bin/sh\n" % (n, n) for n in range(1, 1000001))),
        "lines of a KiB": lambda path: open(path, "wb").write(lines * 20000), "no end of line": lambda path: open(path, "wb").write(b":" * 9000000),
    }
    for what, make in cases.items():
        b = t.bundle().probe("cwd")
        make(f"{b.rootfs}/etc/passwd")
        shutil.copy(f"{b.rootfs}/etc/passwd", f"{b.rootfs}/etc/group") if "GiB" not in what else sparse(f"{b.rootfs}/etc/group", 1 << 30)
        b.process["user"] = {"uid": 4242, "gid": 4242}
        result, status, peak = cost(t, "run", "-b", b.save().path, t.name())
        eq(status, 0, f"{what}: {result}")
        true(result.seconds < 2, f"{what} takes {result.seconds:.1f} s")
        true(peak <= max(8192, usual + 1024), f"{what} takes {peak} KiB, usually it is {usual}")


@alone
@deadline(60)
@envs("hybrid")
def test_t21_documents_that_are_too_large_are_refused_early(t):
    b = t.bundle().probe("cwd").save()
    config = f"{b.path}/config.json"
    text = linux.read(config)
    cases = {
        "a GiB of nothing": lambda: sparse(config, 1 << 30, text.encode()),
        "a million groups": lambda: open(config, "w", encoding="ascii").write(
            text.replace('"gid": 0', '"gid": 0, "additionalGids": [%s]' % ",".join(map(str, range(1000000))))),
        "deep": lambda: open(config, "w", encoding="ascii").write("[" * 2000000),
        "a million members": lambda: open(config, "w", encoding="ascii").write("{%s}" % ",".join(f'"k{n}":0' for n in range(300000))),
    }
    for what, make in cases.items():
        make()
        result, status, peak = cost(t, "run", "-b", b.path, t.name())
        true(status > 0, f"{what}: {result}")
        result.within(3)
        # What has to be kept of a document within the limit is a few times its size.
        true(peak <= (8192 if what in ("a GiB of nothing", "deep") else 131072), f"{what} takes {peak} KiB")


@wall("process", "the memory of a machine is its guest's: test_vm")
@alone
@deadline(60)
@envs("hybrid")
def test_t21_output_without_end_costs_little(t):
    b = t.bundle().shell("dd if=/dev/zero bs=65536 count=4000 2>/dev/null")
    hook = t.script("loud", "dd if=/dev/zero bs=65536 count=1000 2>/dev/null; exit 1\n")
    with open(os.devnull, "wb"):
        result, status, peak = cost(t, "run", "-b", b.save().path, t.name(), out=os.devnull)
    eq(status, 0, str(result))
    true(peak <= 8192, f"256 MiB of output take {peak} KiB")
    result, status, peak = cost(t, "run", "-b", t.bundle().hook("createRuntime", hook).save().path, t.name())
    true(status > 0 and len(result.err) < 16384, f"a loud hook: {result}")
    true(peak <= 8192, f"64 MiB from a hook take {peak} KiB")


# -- T22: what lies around


def abstract_sockets():
    return {line.split()[-1] for line in linux.read("/proc/net/unix").splitlines()[1:] if line.split()[-1].startswith("@")}


@wall("process", "a state root of its own; who owns it is looked at before there is a wall")
@envs("hybrid")
def test_t22_what_is_kept_is_for_its_owner_alone(t):
    # CVE-2021-41091, CVE-2021-41103, CVE-2024-25621, CVE-2020-15257; CVE-2015-1331 and CVE-2019-12439 for names in shared places.
    shared = {place: set(os.listdir(place)) for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock") if os.path.isdir(place)}
    sockets = abstract_sockets()
    root = f"{t.tmp}/fresh/state"
    b = t.bundle().probe("sleep", "1000")
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}
    b.config["annotations"] = {"secret": SECRET}
    b.save()
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(f"{t.tmp}/manager")
    for umask in (0o000, 0o022, 0o777):
        shutil.rmtree(f"{t.tmp}/fresh", ignore_errors=True)
        command = [t.binary, "--root", root]
        name = t.name()
        env = dict(os.environ, NOTIFY_SOCKET=f"{t.tmp}/manager")
        try:
            t.call([*command, "create", "-b", b.path, "--pid-file", f"{t.tmp}/pid", name], preexec=lambda: os.umask(umask), env=env,
                   out=f"{t.tmp}/null", err=f"{t.tmp}/null").ok()
            eq(stat.S_IMODE(os.stat(root).st_mode) & 0o77, 0, f"mode of the state root under umask {umask:o}")
            for top, directories, files in os.walk(f"{root}/{name}"):
                for entry in [".", *directories, *files]:
                    path = os.path.normpath(f"{top}/{entry}")
                    st = os.lstat(path)
                    eq((st.st_uid, st.st_gid), (os.geteuid(), os.getegid()), f"owner of {path}")
                    inside = os.path.relpath(path, f"{root}/{name}").startswith("notify")
                    # The notify directory is shown to the container; what protects it is the one above.
                    true(stat.S_ISLNK(st.st_mode) or inside or not st.st_mode & 0o77, f"{path} has mode {st.st_mode:o}")
            eq(abstract_sockets() - sockets, set(), "abstract sockets")
            for place, names in shared.items():
                new = {n for n in set(os.listdir(place)) - names if name in n or ("bulkhead" in n and "bulkhead-test" not in n)}
                eq(new, set(), f"new in {place}")
        finally:
            t.call([*command, "delete", "--force", name]).ok()
    manager.close()


@wall("process", "a state root of its own; who owns it is looked at before there is a wall")
@each(state={"everybody's": (0o777, 0), "a group's": (0o770, 0), "somebody else's": (0o755, 65534)})
@envs("hybrid")
def test_t22_a_state_root_that_others_can_change_is_not_used(t, state):
    mode, owner = state
    root = t.dir("root", mode)
    os.chown(root, owner, owner)
    b = t.bundle().probe("cwd").save()
    t.call([t.binary, "--root", root, "run", "-b", b.path, t.name()]).fails(root)
    eq(os.listdir(root), [])


@envs("hybrid")
def test_t22_a_state_that_somebody_else_put_there_is_not_acted_upon(t):
    # In a root like /tmp anybody can make a directory of any name: what it says would be done with our rights.
    victim = t.up()
    root = t.dir("root", 0o1777)
    shutil.copytree(f"{t.root}/{victim.id}", f"{root}/{victim.id}", symlinks=True, ignore=shutil.ignore_patterns("vm.sock"))
    for top, directories, files in os.walk(f"{root}/{victim.id}"):
        for name in [".", *directories, *files]:
            os.lchown(f"{top}/{name}", 65534, 65534)
    for command in (("kill", victim.id, "KILL"), ("exec", victim.id, "/bin/true"), ("pause", victim.id), ("delete", "--force", victim.id)):
        result = t.call([t.binary, "--root", root, *command])
        is_clean(result, f"{command[0]} with the state of somebody else")
        true(victim.is_running, f"{command[0]} did what somebody else's state says: {result}")
    eq(victim.status, "running")


@wall("process", "a state root of its own; who owns it is looked at before there is a wall")
@envs("hybrid")
def test_t22_a_filter_that_somebody_else_put_in_the_cache_is_not_used(t):
    b = t.bundle().probe("mknod", "/tmp/x", "p").writable()
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mknod", "mknodat"], "action": "SCMP_ACT_ERRNO"}]}
    root = f"{t.tmp}/state"
    run = lambda: t.call([t.binary, "--root", root, "run", "-b", b.save().path, t.name()])
    eq(run().out, "EPERM\n")
    cache, = (f"{root}/{n}" for n in os.listdir(root) if "seccomp" in n)
    names = os.listdir(cache)
    eq(len(names), 1, "entries of the cache")
    good = open(f"{cache}/{names[0]}", "rb").read()
    r = random.Random(1)
    for i in range(12):
        bad = bytearray(good)
        for _ in range(4):  # a filter that lets everything through is one changed byte away
            bad[r.randrange(len(bad))] ^= 1 << r.randrange(8)
        with open(f"{cache}/{names[0]}", "wb") as f:
            f.write(bad[:r.randrange(len(bad))] if i % 3 == 2 else bad)
        eq(run().out, "EPERM\n", f"with a damaged cache ({i})")
    # A whole entry, of a filter that lets everything through, under the name of this one.
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
    shutil.rmtree(cache)
    eq(run().out, "ok\n")
    open_one, = os.listdir(cache)
    os.rename(f"{cache}/{open_one}", f"{cache}/{names[0]}")
    b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mknod", "mknodat"], "action": "SCMP_ACT_ERRNO"}]}
    os.unlink(f"{b.rootfs}/tmp/x")
    eq(run().out, "EPERM\n", "with another filter under this one's name")
