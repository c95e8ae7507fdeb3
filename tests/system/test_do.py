# SPDX-License-Identifier: Apache-2.0
"""do: from an image, a directory or the host's own files to a process, in one line, and nothing left."""

import json
import os
import re
import signal
import socket

import linux
from case import each, envs, eq, has, hasnt, true, wall
from console import Session
from images import Layout, entry, layer, link, tree
from test_cpugroup_containers import groups

WALL = "both"

APPLETS = "sh id cat ls env pwd echo sleep tty true touch hostname rm kill wc test mkdir stat".split()
PASSWD = b"root:x:0:0::/root:/bin/sh\nalice:x:1001:50::/home/alice:/bin/sh\n1001:x:7:7::/:/bin/sh\n"
GROUP = b"root:x:0:\nstaff:x:50:\naudio:x:63:alice\n"


def options_of(t):
    return "--store", f"{t.tmp}/store"


def do(t, *argv, name=None, **more):
    """`do` with these arguments, under an id that the census knows; nothing of it may be left."""
    t.need("root", "overlay")
    result = t.runtime("do", "--name", name or t.name(), *argv, options=options_of(t), **more)
    gone(t, result)
    return result


def gone(t, after):
    eq(t.state_names(), [], f"state left after {after}")
    eq(os.listdir(f"{t.root}/.attended@") if os.path.isdir(f"{t.root}/.attended@") else [], [], f"attended, after {after}")
    for d in ("sandboxes", "refs", "work"):
        if os.path.isdir(f"{t.tmp}/store/{d}"):
            eq(os.listdir(f"{t.tmp}/store/{d}"), [], f"{d} of the store after {after}")


def image(t, config=None, *more_layers, tag="a"):
    """A source with busybox; the name to run it by."""
    t.need("libarchive")
    with open(t.programs["busybox"], "rb") as f:
        busybox = f.read()
    base = layer(entry("bin"), entry("bin/busybox", busybox, mode=0o755), *(link(f"bin/{n}", "busybox") for n in APPLETS),
                 entry("etc"), entry("etc/passwd", PASSWD), entry("etc/group", GROUP), entry("tmp", mode=0o1777))
    Layout(f"{t.tmp}/layout").image(tag, base, *more_layers, how="plain", config=config)
    return f"oci:{t.tmp}/layout:{tag}"


def rootfs(t):
    """A directory to run over."""
    return t.bundle().rootfs


def living(t, *argv, ready="up", **more):
    """A `do` in the background, whose program has said that it is up. (process, id, output file)."""
    t.need("root", "overlay")
    name, out = t.name(), f"{t.tmp}/out{t.name()}"
    with open(out, "ab") as o:
        process = t.spawn(t.command("do", "--name", name, *argv, options=options_of(t)), stdout=o, stderr=o, **more)
    t.until(lambda: ready in linux.read(out, "") or process.poll() is not None, 10, f"{argv} to be up")
    true(process.poll() is None, f"{argv} ended: {linux.read(out)}")
    return process, name, out


# ---- what runs ----

@envs("hybrid")
def test_do_brings_an_image_in_and_runs_its_own_command_as_it_says(t):
    source = image(t, {"Cmd": ["/bin/sh", "-c", "id; env; pwd"], "User": "alice", "WorkingDir": "/srv/deep",
                       "Env": ["A=1 2", "PATH=/bin"]}, layer(entry("opt"), entry("opt/f", b"x")))
    out = do(t, "--image", source).ok().out
    has(out, "uid=1001(alice) gid=50(staff) groups=63(audio)", "A=1 2\n", "PATH=/bin\n", "HOME=/home/alice\n", "/srv/deep\n")
    # It stays: the second time there is nothing to import from.
    os.rename(f"{t.tmp}/layout", f"{t.tmp}/elsewhere")
    eq(do(t, "--image", source, "cat", "/opt/f").ok().out, "x")
    has(t.runtime("layer", "list", options=options_of(t)).ok().out, source)


@envs("hybrid")
def test_do_leaves_the_image_unchanged(t):
    source = image(t)
    do(t, "--image", source, "sh", "-c", "echo x >/etc/new; rm /etc/passwd; rm -r /tmp; echo y >>/etc/group").ok()
    has(do(t, "--image", source, "sh", "-c", "ls /etc; ls -d /tmp; wc -l </etc/group").ok().out, "group\npasswd\n", "/tmp", "3\n")
    t.runtime("layer", "verify", options=options_of(t)).ok()


ENTRYPOINTS = {
    "entrypoint and command": ({"Entrypoint": ["/bin/echo", "e"], "Cmd": ["c"]}, [], "e c\n"),
    "entrypoint and arguments": ({"Entrypoint": ["/bin/echo", "e"], "Cmd": ["c"]}, ["a", "b"], "e a b\n"),
    "options belong to the command": ({"Entrypoint": ["/bin/echo"]}, ["-n", "--name", "x"], "--name x"),
    "another entrypoint forgets the command": ({"Entrypoint": ["/bin/false"], "Cmd": ["c"]},
                                               ["--entrypoint", "/bin/echo", "--", "a"], "a\n"),
    "an empty entrypoint is none": ({"Entrypoint": ["/bin/false"]}, ["--entrypoint=", "--", "echo", "a"], "a\n"),
    "command is found by PATH": ({"Env": ["PATH=/bin"]}, ["echo", "a"], "a\n"),
}


@envs("hybrid")
@each(case=ENTRYPOINTS)
def test_do_knows_entrypoint_and_command(t, case):
    config, argv, out = case
    argv = argv if argv[:1] and argv[0].startswith("--entrypoint") else ["--", *argv]
    eq(do(t, "--image", image(t, config), *argv).ok().out, out)


@envs("hybrid")
def test_do_without_anything_to_run_says_where_it_looked(t):
    do(t, "--image", image(t)).fails("no COMMAND was given, and the image has neither an entrypoint nor a command", code=1)
    do(t, "--rootfs", rootfs(t)).fails("no COMMAND was given, and there is no image that could name one", code=1)


@envs("hybrid")
def test_do_refuses_an_image_that_is_not_there_and_leaves_nothing(t):
    do(t, "--image", "nothere", "true").fails('cannot use image "nothere"', code=1)
    do(t, "--image", f"oci:{t.tmp}/nowhere:a", "true").fails("cannot import", code=1)
    do(t, "--image", "x", "--rootfs", "/", "true").fails("--image and --rootfs cannot both", code=1)


USERS = {"by name": ("alice", "1001 50 50 63"), "by number": ("1001", "1001 50 50"), "with a group": ("alice:audio", "1001 63 63"),
         "unknown number": ("77", "77 0 0"), "two numbers": ("5:6", "5 6 6"), "root": ("root", "0 0 0")}


@envs("hybrid")
@each(case=USERS)
def test_do_takes_a_user(t, case):
    user, wanted = case
    script = "echo $(id -u) $(id -g) $(id -G)"
    eq(do(t, "--image", image(t), "--user", user, "--", "sh", "-c", script).ok().out.strip(), wanted)


BAD_USERS = {"unknown": ("bob", 'no user "bob"'), "group": ("alice:x", 'no group "x"'), "wrapped": ("4294967296", "out of range"),
             "minus one": ("4294967295", "out of range"), "empty group": ("1:", "is not USER")}


@envs("hybrid")
@each(case=BAD_USERS)
def test_do_never_makes_somebody_root_who_is_unknown(t, case):
    user, says = case
    do(t, "--image", image(t), "--user", user, "--", "id").fails(says, code=1)


@envs("hybrid")
def test_do_looks_users_up_without_leaving_the_image(t):
    top = layer(entry("etc"), link("etc/passwd", "../../../../../../../../etc/passwd"))
    do(t, "--image", image(t, {"User": "daemon"}, top), "id").fails('no user "daemon"', code=1)


@envs("hybrid")
def test_do_sets_variables(t):
    out = do(t, "--image", image(t, {"Env": ["A=image", "B=image"]}), "--env", "A=mine", "-e", "GIVEN", "-e", "ABSENT", "-e", "E=",
             "--", "env", env={**os.environ, "GIVEN": "from here", "SECRET": "s"}).ok().out
    has(out, "A=mine\n", "B=image\n", "GIVEN=from here\n", "E=\n", "PATH=/usr/local/sbin:")
    hasnt(out, "SECRET", "ABSENT", "TERM=")
    do(t, "--rootfs", rootfs(t), "--env", "=x", "--", "env").fails('--env "=x"', code=1)


@envs("hybrid")
def test_do_makes_a_working_directory_that_is_missing(t):
    eq(do(t, "--rootfs", rootfs(t), "--workdir", "/a/b", "--", "pwd").ok().out, "/a/b\n")


@envs("hybrid")
def test_do_gives_a_container_the_usual_surroundings(t):
    name = t.name()
    out = do(t, "--rootfs", rootfs(t), "--", "sh", "-c", "hostname; ls /sys/class/net; ls /dev/shm | wc -l; grep -E 'CapBnd|NoNewPrivs' "
             "/proc/self/status; ls /proc/kcore -l; cat /proc/self/cgroup; echo $$", name=name).ok().out
    has(out, f"{name}\nlo\n0\n", "00000000a80425fb", "NoNewPrivs:\t1", "\n1\n")


@envs("hybrid")
def test_do_allows_new_privileges_when_it_is_asked_to(t):
    eq(do(t, "--rootfs", rootfs(t), "--no-new-privs=false", "--", "grep", "NoNewPrivs", "/proc/self/status").ok().out,
       "NoNewPrivs:\t0\n")


@envs("hybrid")
def test_do_leaves_out_labels_that_would_steer_the_runtime(t):
    source = image(t, {"Cmd": ["true"], "Labels": {"dev.bulkhead.cpu-group": "nowhere", "dev.bulkhead.sandbox": "keep"}})
    has(do(t, "--image", source).ok().err, "dev.bulkhead.cpu-group", "dev.bulkhead.sandbox", "left out")


@envs("hybrid")
def test_do_says_what_is_wrong_with_an_image_s_config(t):
    do(t, "--image", image(t, {"Env": ["A=1", "B"]}), "true").fails('config.Env[1] is "B", not NAME=value', "/config/Env/1", code=1)


# ---- files ----

@wall("both", quick=True)
@envs("hybrid")
def test_do_over_a_directory_leaves_it_unchanged(t):
    root = rootfs(t)
    before = tree(root)
    do(t, "--rootfs", root, "--", "sh", "-c", "echo x >/new; rm /etc/passwd; mkdir /d; echo y >/etc/hostname; chmod 0 /home").ok()
    eq(tree(root), before)


@envs("hybrid")
def test_do_takes_a_directory_relative_to_here(t):
    root = rootfs(t)
    eq(do(t, "--rootfs", "rootfs", "--", "cat", "/etc/image-file", cwd=os.path.dirname(root)).ok().out, "from the image\n")


@envs("hybrid")
def test_do_without_a_root_runs_over_the_hosts_and_hides_what_is_private(t):
    marker = f"/etc/{t.name()}"
    out = do(t, "--", "sh", "-c", f"pwd; cat /etc/hostname >/dev/null; ls -A /run; ls -A {t.tmp}/store; echo x >{marker}; cat {marker}",
             cwd="/usr/bin").ok().out
    lines = out.splitlines()
    eq(lines[0], "/usr/bin")
    eq(lines[-1], "x")
    hasnt(out, "sandboxes", "layers", "docker.sock")
    true(not os.path.exists(marker), "the host's /etc is changed")


@envs("hybrid")
def test_do_over_the_hosts_root_reaches_no_socket_of_the_host(t):
    t.need("root", "overlay")
    path = f"{t.tmp}/service"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(path)
        service.listen()
        client = f"nc -U {path}" if os.path.exists("/bin/nc.openbsd") else \
            f"python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{path}\")'"
        result = do(t, "--", "sh", "-c", f"test -S {path} || exit 0; {client}")
        # On a file system of its own it is not even to be seen.
        true(result.code == 0 if os.stat(path).st_dev != os.stat("/").st_dev else "refused" in result.err.lower(), result)


@envs("hybrid")
def test_do_hides_as_much_when_the_hosts_root_is_named(t):
    eq(do(t, "--rootfs", "/", "--", "sh", "-c", f"ls -A /run; ls -A {t.root}").ok().out, "")


@envs("hybrid")
def test_do_names_what_cannot_be_below_a_layer(t):
    do(t, "--rootfs", "/proc", "--", "true").fails("/proc", "invalid argument", code=1)
    do(t, "--rootfs", f"{t.tmp}/nowhere", "--", "true").fails(f"{t.tmp}/nowhere", "no such file", code=1)


@envs("hybrid")
def test_do_binds_volumes(t):
    data, single = t.dir("data"), t.file("single", "one\n")
    t.file("data/in", "from outside\n")
    out = do(t, "--rootfs", rootfs(t), "--volume", f"{data}:/data", "--volume", f"{single}:/etc/single:ro", "--", "sh", "-c",
             "cat /data/in /etc/single; echo back >/data/out; echo x >/etc/single").out
    has(out, "from outside\none\n")
    eq(linux.read(f"{data}/out"), "back\n")
    eq(linux.read(single), "one\n")


@envs("hybrid")
def test_do_makes_a_tmpfs_of_an_image_s_volumes_when_asked(t):
    source = image(t, {"Volumes": {"/var/data": {}}}, layer(entry("var"), entry("var/data"), entry("var/data/seed", b"s")))
    script = "cat /var/data/seed; stat -f -c %T /var/data"
    eq(do(t, "--image", source, "--image-volume", "tmpfs", "--", "sh", "-c", script).ok().out, "stmpfs\n")
    hasnt(do(t, "--image", source, "sh", "-c", script).ok().out, "tmpfs")


@wall("process", "the host's network is refused: test_vm")
@envs("hybrid")
def test_do_shares_the_hosts_network_when_asked(t):
    script = "cat /proc/self/net/dev | wc -l; readlink /proc/self/ns/net"
    out = do(t, "--rootfs", rootfs(t), "--network", "host", "--", "sh", "-c", script).ok().out
    has(out, os.readlink("/proc/self/ns/net"))
    hasnt(do(t, "--rootfs", rootfs(t), "--network", "none", "--", "sh", "-c", script).ok().out, os.readlink("/proc/self/ns/net"))


@envs("hybrid")
def test_do_limits_what_may_be_written(t):
    result = do(t, "--rootfs", rootfs(t), "--sandbox", "memory:2m", "--", "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=8; ls /etc")
    has(result.err.lower(), "no space left")
    has(result.out, "passwd")


# ---- how it ends ----

@envs("hybrid")
@each(code={"0": 0, "1": 1, "42": 42, "255": 255})
def test_do_ends_with_the_programs_exit_code(t, code):
    do(t, "--rootfs", rootfs(t), "--", "sh", "-c", f"exit {code}").exits(code)


@envs("hybrid")
def test_do_ends_with_128_and_the_signal(t):
    do(t, "--rootfs", rootfs(t), "--", "sh", "-c", "sh -c 'kill -9 $$'; exit $?").exits(137)


@envs("hybrid")
def test_do_says_when_the_program_is_not_there(t):
    do(t, "--rootfs", rootfs(t), "--", "nosuchprogram").fails("nosuchprogram", "not found", code=127)
    do(t, "--rootfs", rootfs(t), "--", "/nosuch/program").fails("/nosuch/program", code=127)
    do(t, "--rootfs", rootfs(t), "--", "/etc").fails("/etc", code=126)
    do(t, "--rootfs", f"{t.tmp}/nosuchdir", "--", "sh").fails("nosuchdir", code=1)


@envs("hybrid", "unified")
@each(signo={"TERM": signal.SIGTERM, "INT": signal.SIGINT, "HUP": signal.SIGHUP, "USR1": signal.SIGUSR1})
def test_do_passes_signals_on(t, signo):
    process, _, out = living(t, "--rootfs", rootfs(t), "--", "sh", "-c",
                             f"trap 'echo got; exit 3' {signo.name[3:]}; echo up; while :; do sleep 0.1; done")
    process.send_signal(signo)
    eq(process.wait(10), 3)
    has(linux.read(out), "got")
    gone(t, signo)


@envs("hybrid")
def test_do_gives_a_terminal_when_there_is_one(t):
    t.need("root", "overlay")
    argv = t.command("do", "--name", t.name(), "--rootfs", rootfs(t), "--", "sh", "-c", "tty; echo $TERM; stty size; exit 5",
                     options=options_of(t))
    with Session(t, argv, rows=30, columns=90) as session:
        eq(session.wait(), 5)
        has(session.terminal.read_until("30 90"), "/dev/pts/0", "xterm")
        eq(session.settings(), session.before, "settings of the terminal")
    gone(t, "a terminal")


@envs("hybrid")
def test_do_gives_no_terminal_when_told_so_or_when_there_is_none(t):
    root = rootfs(t)
    has(do(t, "--rootfs", root, "--", "tty").out, "not a tty")
    argv = t.command("do", "--name", t.name(), "--rootfs", root, "--no-tty", "--", "tty", options=options_of(t))
    with Session(t, argv) as session:
        eq(session.wait(), 1)
        session.terminal.read_until("not a tty")


@envs("hybrid")
def test_do_passes_standard_input_on(t):
    eq(do(t, "--rootfs", rootfs(t), "--", "wc", "-c", input="12345").ok().out.strip(), "5")


@envs("hybrid")
def test_do_can_be_entered_listed_and_deleted_from_elsewhere(t):
    process, name, _ = living(t, "--rootfs", rootfs(t), "--user", "1000", "--", "sh", "-c", "echo up; sleep 100")
    state = t.runtime("state", name).json
    eq(state["status"], "running")
    eq(state["bundle"], f"{t.root}/{name}")
    eq(t.runtime("exec", name, "id", "-u").ok().out, "1000\n")
    t.runtime("delete", "--force", name).ok()
    eq(process.wait(10), 137)
    gone(t, "delete")


@envs("hybrid")
def test_do_refuses_the_name_of_another_container_and_leaves_that_alone(t):
    c = t.up()
    t.runtime("do", "--name", c.id, "--rootfs", rootfs(t), "--", "true", options=options_of(t)).fails("already exist", code=1)
    t.runtime("do", "--rootfs", rootfs(t), "--name", t.name(), "--", "true", options=options_of(t)).ok()
    true(c.is_running, "the other container")


@envs("hybrid", "unified")
def test_do_starts_in_a_cpu_group(t):
    t.need("root", "overlay")
    env = {**os.environ, "BULKHEAD_STORE": f"{t.tmp}/store"}
    with groups(t, "gold") as g:
        argv = ["do", "--name", t.name(), "--cpu-group", "gold", "--rootfs", rootfs(t), "--"]
        out, name = f"{t.tmp}/out", argv[2]
        with open(out, "ab") as o:
            process = t.spawn([*g.command(*argv, "sh", "-c", "echo up; read x")], stdin=-1, stdout=o, env=env)
        t.until(lambda: "up" in linux.read(out, ""), 10, "it to be up")
        eq(g("state", name).json["cpuGroup"], "gold")
        process.communicate(b"\n", timeout=20)
        eq(process.returncode, 0)
        g(*argv[:3], "--cpu-group", "nowhere", *argv[5:], "true", env=env).fails('no CPU group "nowhere"', code=1)
        gone(t, "a group")


# ---- and leaves nothing ----

def killed(t, **more):
    process, name, out = living(t, "--rootfs", rootfs(t), "--", "sh", "-c", "echo up; sleep 100", **more)
    process.kill()
    process.wait()
    eq(t.state_names(), [name], "the container outlives its command")
    return name


@envs("hybrid", "unified")
def test_do_cleans_up_after_one_that_was_killed(t):
    name = killed(t)
    pid = t.runtime("state", name).json["pid"]
    do(t, "--rootfs", rootfs(t), "--", "true").ok()
    t.reap()
    true(not os.path.exists(f"/proc/{pid}") or linux.read(f"/proc/{pid}/stat", ") Z").split(")")[1].split()[0] == "Z",
         "the killed command's program")


@envs("hybrid")
def test_do_takes_the_name_of_one_that_was_killed(t):
    name = killed(t)
    do(t, "--rootfs", rootfs(t), "--", "true", name=name).ok()


@envs("hybrid")
@each(how={"delete": ["delete", "--force"], "gc": ["layer", "gc"]})
def test_do_is_cleaned_up_by_hand_as_well(t, how):
    name = killed(t)
    t.runtime(*how, *([name] if how[0] == "delete" else []), options=options_of(t)).ok()
    eq(t.state_names(), [], "state")
    t.reap()
    do(t, "--rootfs", rootfs(t), "--", "true").ok()


@envs("hybrid")
def test_do_spares_the_living_and_whoever_took_a_killed_ones_name(t):
    process, name, _ = living(t, "--rootfs", rootfs(t), "--", "sh", "-c", "echo up; sleep 100")
    t.runtime("do", "--name", t.name(), "--rootfs", rootfs(t), "--", "true", options=options_of(t)).ok()
    eq(t.runtime("state", name).json["status"], "running")
    process.kill()
    process.wait()
    t.runtime("delete", "--force", name).ok()
    other = t.up(name=name)
    t.runtime("do", "--name", t.name(), "--rootfs", rootfs(t), "--", "true", options=options_of(t)).ok()
    true(other.is_running, "a container of the same name")
    eq(os.listdir(f"{t.root}/.attended@"), [], "attended")


@wall("process", "followed into a machine a trace takes minutes; create, start, exec and delete are tried so")
@envs("hybrid")
def test_do_leaves_nothing_wherever_it_is_killed(t):
    t.need("strace")
    root, name = rootfs(t), t.name()
    argv = t.command("do", "--name", name, "--rootfs", root, "--", "true", options=options_of(t))
    do(t, "--rootfs", root, "--", "true").ok()
    log = f"{t.tmp}/trace"
    t.call(["strace", "-o", log, *argv]).ok()
    calls = re.findall(r"^(mkdirat|flock|openat|clone3|symlinkat|move_mount|fsmount|renameat|unlinkat|rmdir|pwrite64|mkdir)\(",
                       linux.read(log), re.M)
    count = {}
    points = []
    for call in calls:
        count[call] = count.get(call, 0) + 1
        points.append((call, count[call]))
    for call, when in points[::5]:
        t.call(["strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={when}", *argv])
        do(t, "--rootfs", root, "--", "true").ok()


@envs("hybrid")
def test_do_several_at_once_keep_apart(t):
    root = rootfs(t)
    many = [living(t, "--rootfs", root, "--", "sh", "-c", f"echo {i} >/etc/mine; echo up; sleep 1; cat /etc/mine") for i in range(6)]
    for i, (process, _, out) in enumerate(many):
        eq(process.wait(20), 0)
        eq(linux.read(out), f"up\n{i}\n")
    gone(t, "several")


@envs("hybrid")
def test_do_makes_up_names_that_differ(t):
    t.need("root", "overlay")
    names = {t.runtime("do", "--rootfs", rootfs(t), "--", "hostname", options=options_of(t)).ok().out for _ in range(3)}
    eq(len(names), 3)
    true(all(re.fullmatch(r"do-[0-9a-f]{12}\n", n) for n in names), f"{names}")


# ---- spec --image ----

@envs("hybrid")
def test_spec_writes_a_config_for_an_image_that_run_understands(t):
    source = image(t, {"Cmd": ["id", "-u"], "User": "alice", "StopSignal": "SIGQUIT", "ExposedPorts": {"80/tcp": {}},
                       "Labels": {"k": "v"}})
    bundle = t.dir("b")
    t.runtime("spec", "--image", source, "--bundle", bundle, options=options_of(t)).ok()
    with open(f"{bundle}/config.json", encoding="utf-8") as f:
        config = json.load(f)
    eq((config["process"]["user"]["uid"], config["process"]["user"]["additionalGids"]), (1001, [63]))
    eq(config["annotations"], {
        "org.opencontainers.image.os": "linux", "org.opencontainers.image.architecture": "amd64",
        "org.opencontainers.image.stopSignal": "SIGQUIT", "org.opencontainers.image.exposedPorts": "80/tcp",
        "k": "v", "dev.bulkhead.image": source})
    config["process"]["terminal"] = False
    with open(f"{bundle}/config.json", "w", encoding="utf-8") as f:
        json.dump(config, f)
    eq(t.runtime("run", "--bundle", bundle, t.name(), options=options_of(t)).ok().out, "1001\n")


@envs("hybrid")
def test_spec_prints_a_config(t):
    eq(t.runtime("spec", "--file", "-").json["process"]["args"], ["sh"])
    t.runtime("spec", "--image", "nothere", "--file", "-", options=options_of(t)).fails('cannot use image "nothere"')


@envs("hybrid")
def test_spec_makes_of_an_image_what_umoci_makes_of_it(t):
    t.need("root", "overlay", "umoci")
    image(t)
    layout = f"{t.tmp}/layout:a"
    words = {"user": "alice", "cmd": "-c", "entrypoint": "/bin/sh", "env": "FOO=a b", "workingdir": "/srv/x", "stopsignal": "SIGQUIT",
             "exposedports": "80/tcp", "label": "k=v"}
    t.call(["umoci", "config", "--image", layout, "--author", "Somebody", "--architecture", "amd64",
            *(f"--config.{key}={value}" for key, value in words.items())]).ok()
    t.call(["umoci", "unpack", "--image", layout, f"{t.tmp}/theirs"], timeout=60).ok()
    with open(f"{t.tmp}/theirs/config.json", encoding="utf-8") as f:
        theirs = json.load(f)
    ours = t.runtime("spec", "--image", f"oci:{layout}", "--file", "-", options=options_of(t)).json
    for key in ("args", "cwd", "user"):
        eq(ours["process"][key], theirs["process"][key], key)
    eq([e for e in ours["process"]["env"] if "FOO" in e], [e for e in theirs["process"]["env"] if "FOO" in e])
    eq(ours["annotations"].pop("dev.bulkhead.image"), f"oci:{layout}")
    eq(ours["annotations"], {k: v for k, v in theirs["annotations"].items() if v}, "annotations")


@envs("hybrid")
def test_do_runs_an_archive_of_docker(t):
    t.need("root", "overlay", "skopeo")
    source = image(t, {"Cmd": ["/bin/id", "-un"], "User": "alice"}, layer(entry("opt")))
    archive = f"docker-archive:{t.tmp}/saved.tar:x:1"
    t.call(["skopeo", "copy", "-q", source, archive], timeout=60).ok()
    eq(do(t, "--image", archive).ok().out, "alice\n")
