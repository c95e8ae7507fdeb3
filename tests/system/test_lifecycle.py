# SPDX-License-Identifier: Apache-2.0
"""create, start, run: the states a container goes through, and what each command refuses in which."""

import os
import socket
import stat

import linux
from case import each, envs, eq, has, hasnt, true, wall

WALL = "both"


@wall("both", quick=True)
def test_create_does_not_run_the_program_and_start_does(t):
    c = t.created(t.bundle().shell("echo ran; exec sleep 1000"))
    eq(c.status, "created")
    true(c.pid > 0, "no pid while created")
    eq(c.out, "")
    c.start().ok()
    c.wait_out("ran")
    eq(c.status, "running")


def test_a_container_that_ended_is_stopped_without_a_pid(t):
    c = t.up(t.bundle().probe("exit", 3))
    c.wait("stopped")
    eq(c.state().get("pid", 0), 0)
    c.delete().ok()
    t.runtime("state", c.id).fails("does not exist")


@wall("both", quick=True)
def test_the_exit_status_of_init_is_its_own(t):
    # An engine's shim is a subreaper and reaps init itself: no process of the runtime may sit between.
    c = t.created(t.bundle().probe("exit", 42))
    pid = c.pid
    c.start().ok()
    fd = os.pidfd_open(pid)
    t.wait_fd(fd, 10, "the end of init")
    os.close(fd)
    eq(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 42)


def test_a_zombie_counts_as_stopped(t):
    c = t.created(t.bundle().probe("exit", 0))
    pid = c.pid
    c.start().ok()
    t.until(lambda: linux.children().get(pid) == "Z", 10, "the zombie")
    eq(c.status, "stopped")
    os.waitpid(pid, 0)


@envs("hybrid")
def test_start_of_a_running_container_is_refused(t):
    c = t.up()
    c.start().fails("cannot start an already running container")
    eq(c.status, "running")


@envs("hybrid")
def test_start_of_a_stopped_container_is_refused(t):
    c = t.up(t.bundle().probe("exit", 0)).wait("stopped")
    c.start().fails("cannot start a container that has stopped")


@envs("hybrid")
def test_start_of_an_unknown_container_is_refused(t):
    t.runtime("start", "nothere").fails("does not exist")


@envs("hybrid")
def test_an_id_is_used_once(t):
    c = t.up()
    t.container(c.bundle, c.id).create().fails("already exists")
    eq(c.status, "running")


@envs("hybrid")
def test_an_id_is_free_again_after_delete(t):
    b = t.bundle().probe("exit", 0)
    c = t.up(b).wait("stopped")
    c.delete().ok()
    t.run(b, name=c.id).exits(0)


@envs("hybrid")
def test_two_containers_live_from_one_bundle(t):
    b = t.bundle().probe("sleep", 1000)
    one, two = t.up(b), t.up(b)
    true(one.pid != two.pid, "same pid")


@each(name={
    "empty": "", "dot": ".", "dot dot": "..", "slash": "a/b", "up": "../a", "absolute": "/a", "blank": "a b",
    "newline": "a\nb", "colon": "a:b", "percent": "a%s", "not ascii": "ü", "1025 bytes": "a" * 1025,
})
@envs("hybrid")
def test_ids_that_could_be_paths_are_refused(t, name):
    b = t.bundle().save()
    t.runtime("run", "--bundle", b.path, "--", name).fails()
    eq(sorted(os.listdir(t.tmp))[-1], b.path.rsplit("/")[-1])
    eq(t.state_names(), [])


@each(suffix={"plus": "+", "underscore": "_", "minus": "-", "dot": ".x"})
@envs("hybrid")
def test_ids_may_hold_the_four_signs(t, suffix):
    t.run(t.bundle(), name=t.name() + suffix).ok()


@wall("both", quick=True)
def test_state_describes_the_container(t):
    b = t.bundle().probe("sleep", 1000)
    b.config["annotations"] = {"org.test.a": "1", "org.test.empty": "", "org.test.ü": "\"quoted\"\n"}
    c = t.up(b)
    state = c.state()
    eq(state["id"], c.id)
    eq(state["status"], "running")
    eq(state["bundle"], b.path)
    eq(state["rootfs"], b.rootfs)
    eq(state["annotations"], b.config["annotations"])
    true(state["ociVersion"].startswith("1."), state["ociVersion"])
    true(os.path.exists(f"/proc/{state['pid']}"), "the pid is none of the host")
    has(state["created"], "T", "Z")
    has(state, "owner")


@envs("hybrid")
def test_state_is_indented_json_without_newline_at_the_end(t):
    c = t.up()
    out = t.runtime("state", c.id).ok().out
    has(out, '{\n  "ociVersion"')
    true(out.endswith("}"), "something after the last brace")


@envs("hybrid")
def test_annotations_are_left_out_when_there_are_none(t):
    c = t.up()
    eq(c.state().get("annotations", {}), {})


@envs("hybrid")
def test_pid_file_is_the_decimal_pid_without_newline(t):
    pid_file = f"{t.tmp}/pid"
    c = t.created(t.bundle(), "--pid-file", pid_file)
    with open(pid_file, encoding="ascii") as f:
        eq(f.read(), str(c.pid))
    eq([n for n in os.listdir(t.tmp) if n.startswith(".pid")], [], "temporary pid files")


@envs("hybrid")
def test_relative_pid_file_means_the_callers_directory(t):
    where = t.dir("elsewhere")
    c = t.container(t.bundle().probe("sleep", 1000))
    c.run_detached("--pid-file", "pid", cwd=where).ok()
    with open(f"{where}/pid", encoding="ascii") as f:
        eq(int(f.read()), c.pid)


@envs("hybrid")
def test_pid_file_that_cannot_be_written_undoes_the_create(t):
    c = t.container(t.bundle())
    c.create("--pid-file", f"{t.tmp}/no/such/pid").fails("no such file or directory")
    t.runtime("state", c.id).fails("does not exist")


def test_pidfd_socket_gets_a_pidfd_of_init(t):
    path = f"{t.tmp}/s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
        c = t.created(t.bundle(), "--pidfd-socket", path)
        connection, _ = server.accept()
        with connection:
            data, fds, _, _ = socket.recv_fds(connection, 4096, 4)
    eq(data, b"standard")
    eq(len(fds), 1)
    info = linux.read(f"/proc/self/fdinfo/{fds[0]}")
    os.close(fds[0])
    has(info, f"Pid:\t{c.pid}\n")


@envs("hybrid")
def test_edits_of_the_config_after_create_change_nothing(t):
    b = t.bundle().shell("echo first; hostname")
    c = t.created(b)
    b.shell("echo second").save()
    b.config["hostname"] = "other"
    b.save()
    c.start().ok()
    c.wait("stopped")
    eq(c.out, "first\ninside\n")


@envs("hybrid")
def test_a_missing_program_is_reported_by_create(t):
    c = t.container(t.bundle().args("nosuchprogram"))
    c.create().fails("executable file not found in $PATH")
    t.runtime("state", c.id).fails("does not exist")


@envs("hybrid")
def test_the_death_of_a_created_init_makes_it_stopped(t):
    c = t.created(t.bundle())
    os.kill(c.pid, 9)
    c.wait("stopped")
    c.start().fails()
    c.delete().ok()


@envs("hybrid")
def test_keep_leaves_the_stopped_container(t):
    name = t.name()
    t.run(t.bundle().probe("exit", 4), "--keep", name=name, keep=True).exits(4)
    eq(t.runtime("state", name).json["status"], "stopped")
    t.runtime("delete", name).ok()


@envs("hybrid")
def test_state_directory_is_private(t):
    c = t.up()
    mode = stat.S_IMODE(os.stat(f"{t.root}/{c.id}").st_mode)
    eq(mode & 0o066, 0, "others may list or write the state")


def test_the_container_gets_a_cgroup_beside_the_runtimes_own(t):
    c = t.up()
    eq(c.cgroup, f"{t.cgroup_base}/{c.id}")


def test_cgroups_path_is_relative_to_the_tree(t):
    b = t.bundle().probe("sleep", 1000)
    b.linux["cgroupsPath"] = f"{t.cgroup_path}/a/../inner"
    c = t.up(b)
    eq(c.cgroup, f"{t.cgroup_base}/inner")


def test_cgroups_path_cannot_leave_the_tree(t):
    b = t.bundle().probe("sleep", 1000)
    b.linux["cgroupsPath"] = f"/../../..{t.cgroup_path}/x"
    c = t.up(b)
    eq(c.cgroup, f"{t.cgroup_base}/x")


def test_a_cgroup_with_processes_is_refused(t):
    first = t.up()
    b = t.bundle().probe("sleep", 1000)
    b.linux["cgroupsPath"] = f"{t.cgroup_path}/{first.id}"
    second = t.container(b)
    second.create().fails("not empty")
    eq(first.status, "running")
    true(os.path.exists(first.cgroup), "the cgroup of the first is gone")


def test_delete_leaves_the_given_parent_cgroup(t):
    parent = f"{t.cgroup_base}/given"
    os.mkdir(parent)
    b = t.bundle().probe("sleep", 1000)
    b.linux["cgroupsPath"] = f"{t.cgroup_path}/given/leaf"
    c = t.up(b)
    c.delete("--force").ok()
    eq(os.path.isdir(f"{parent}/leaf"), False)
    os.rmdir(parent)


@envs("hybrid")
def test_processes_left_in_the_background_do_not_keep_a_run_waiting(t):
    t.run(t.bundle().shell("sleep 1000 & exit 3")).exits(3)


@wall("process", "--preserve-fds and LISTEN_FDS are refused: test_vm")
@envs("hybrid")
def test_preserved_descriptors_reach_the_program_unchanged(t):
    paths = [t.file(f"f{i}", f"text {i}\n") for i in range(3, 6)]
    opened = [os.open(p, os.O_RDONLY) for p in paths]
    base = 30
    for i, fd in enumerate(opened):
        os.dup2(fd, base + i)

    def arrange():
        for i in range(3):
            os.dup2(base + i, 3 + i)
    b = t.bundle().shell("cat <&3; cat <&4; exec probe fds")
    b.save()
    result = t.runtime("run", "-b", b.path, "--preserve-fds", "2", t.name(), pass_fds=(3, 4, 5), preexec=arrange)
    for fd in [*opened, base, base + 1, base + 2]:
        os.close(fd)
    has(result.ok().out, "text 3\ntext 4\n")
    eq([line.split()[0] for line in result.out.splitlines()[2:]], ["0", "1", "2", "3", "4"])


@envs("hybrid")
def test_a_preserved_descriptor_that_is_not_open_is_refused(t):
    t.run(t.bundle(), "--preserve-fds", "5").fails("preserve")


@wall("process", "--preserve-fds and LISTEN_FDS are refused: test_vm")
@envs("hybrid")
def test_listen_fds_are_handed_over_with_the_pid_of_the_container(t):
    path = t.file("listen", "handed over\n")
    b = t.bundle().shell("echo $LISTEN_FDS $LISTEN_PID; cat <&3").save()
    command = " ".join(t.command("run", "-b", b.path, t.name()))
    result = t.call(["/bin/sh", "-c", f"export LISTEN_FDS=1 LISTEN_PID=$$; exec {command} 3<{path}"])
    eq(result.ok().out, "1 1\nhanded over\n")


@envs("hybrid")
def test_listen_fds_for_another_process_are_not_handed_over(t):
    b = t.bundle().shell("echo \"[$LISTEN_FDS]\"; ls /proc/self/fd | wc -l").save()
    env = dict(os.environ, LISTEN_FDS="1", LISTEN_PID="1")
    eq(t.runtime("run", "-b", b.path, t.name(), env=env).ok().out.splitlines()[0], "[]")


@envs("hybrid")
def test_the_session_keyring_is_the_containers_own(t):
    out = t.run(t.bundle().probe("keyring")).facts
    name = out["description"].split(";")[-1]
    true(name.startswith("_ses.") and t.token in name, name)
    kept = t.run(t.bundle().probe("keyring"), "--no-new-keyring").facts
    true(t.token not in kept["description"], kept["description"])


@wall("process", "--no-pivot is refused: test_vm")
@envs("hybrid")
def test_no_pivot_still_confines_to_the_root(t):
    out = t.run(t.bundle().shell("ls /; ls /..; pwd; cat /etc/hostname"), "--no-pivot").ok().out
    has(out, "image")
    hasnt(out, "lost+found", "bulkhead-test")


@envs("hybrid")
def test_the_runtime_keeps_no_process_after_create_and_start(t):
    before = set(linux.children())
    c = t.created(t.bundle().probe("sleep", 1000))
    eq(set(linux.children()) - before, {c.pid}, "children after create")
    c.start().ok()
    eq(set(linux.children()) - before, {c.pid}, "children after start")


@envs("hybrid")
def test_init_does_not_die_with_the_runtimes_parent(t):
    # An engine starts the runtime with a parent-death signal; init must not have inherited one.
    c = t.container(t.bundle().probe("sleep", 1000))
    c.bundle.save()
    t.runtime("run", "-d", "-b", c.bundle.path, c.id,
              preexec=lambda: linux.prctl(linux.PR_SET_PDEATHSIG, 9)).ok()
    eq(c.probe("session").facts["pdeathsig"], "0")
    eq(c.status, "running")


@envs("hybrid")
def test_a_bundle_given_as_relative_path_is_kept_absolute(t):
    b = t.bundle("relative").probe("sleep", 1000).save()
    c = t.container(b)
    t.runtime("run", "-d", "-b", "relative", c.id, cwd=t.tmp).ok()
    eq(c.state()["bundle"], b.path)


@wall("process", "NOTIFY_SOCKET is refused: test_vm")
@envs("hybrid")
def test_notify_socket_forwards_ready_with_the_main_pid(t):
    path = f"{t.tmp}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as host:
        host.bind(path)
        host.settimeout(10)
        os.chmod(path, 0o777)
        # busybox has no datagram client: an interpreter of ours speaks from outside through the container's root.
        c = t.container(t.bundle().shell("echo $NOTIFY_SOCKET; ls $NOTIFY_SOCKET; exec sleep 1000"))
        c.bundle.save()
        env = dict(os.environ, NOTIFY_SOCKET=path)
        with open(c.out_path, "wb") as out, open(c.err_path, "wb") as err:
            runtime = t.spawn_runtime("run", "-d", "-b", c.bundle.path, c.id, env=env, stdout=out, stderr=err)
        try:
            c.wait_out("notify.sock\n/run/notify/notify.sock")
            pid = c.pid
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inside:
                inside.sendto(b"READY=1\n", f"/proc/{pid}/root/run/notify/notify.sock")
            message = host.recv(4096).decode()
            has(message, "READY=1")
            while f"MAINPID={pid}" not in message:
                message += host.recv(4096).decode()
            has(host.recv(4096).decode(), "BARRIER=1")  # taking it in closes its pipe: that is the answer
            runtime.wait(10)
        finally:
            runtime.kill()
            runtime.wait()
