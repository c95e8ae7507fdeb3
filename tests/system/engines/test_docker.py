# SPDX-License-Identifier: Apache-2.0
"""Docker with the runtime plugged in by --add-runtime: what people type every day."""

import json
import time

import changes
import host
from case import deadline, each, envs, eq, facts, has, hasnt, true
from engine import engine

WALL = ("process", "an engine with the process wall")


def start(t, *options, argv=("sleep", "1000")):
    """A detached container that the test removes at its end; its name."""
    name = t.name()
    t.engine("run", "-d", "--name", name, *options, "box", *argv).ok()
    return name


def remove(t, *names):
    t.engine("rm", "-f", *names).ok()


def inspect(t, name, template):
    return t.engine("inspect", "-f", template, name).ok().out.strip()


@engine("docker")
def test_run_prints_the_output_of_the_program(t):
    eq(t.engine("run", "--rm", "box", "echo", "hello").ok().out, "hello\n")


@engine("docker")
@each(code={"0": 0, "3": 3, "255": 255})
def test_run_passes_the_exit_code_on(t, code):
    t.engine("run", "--rm", "box", "probe", "exit", code).exits(code)


@engine("docker")
def test_run_gives_126_for_a_file_that_is_not_executable(t):
    t.engine("run", "--rm", "box", "/etc/image-file").fails("permission denied", code=126)


@engine("docker")
def test_run_gives_126_for_a_directory(t):
    t.engine("run", "--rm", "box", "/etc").fails(code=126)


@engine("docker")
def test_run_gives_127_for_a_program_that_is_not_there(t):
    t.engine("run", "--rm", "box", "/no/such/program").fails("no such file or directory", code=127)


@engine("docker")
def test_run_gives_127_for_a_program_that_is_not_in_the_path(t):
    t.engine("run", "--rm", "box", "nosuchprogram").fails("executable file not found", code=127)


@engine("docker")
def test_kill_gives_137(t):
    name = start(t)
    t.engine("kill", name).ok()
    eq(t.engine("wait", name).ok().out.strip(), "137")
    remove(t, name)


@engine("docker")
def test_stdin_is_passed_to_the_program(t):
    eq(t.engine("run", "--rm", "-i", "box", "cat", input="line\n").ok().out, "line\n")


@engine("docker")
def test_a_terminal_is_a_terminal(t):
    out = t.engine("run", "--rm", "-t", "box", "probe", "tty").ok().out
    found = facts(out)
    eq(found["fd0"].split("/")[:3], ["", "dev", "pts"])
    eq(found["controlling"], "yes")
    has(out, "\r\n")


@engine("docker")
def test_exec_passes_output_and_exit_code_on(t):
    name = start(t)
    eq(t.engine("exec", name, "echo", "there").ok().out, "there\n")
    t.engine("exec", name, "probe", "exit", 7).exits(7)
    t.engine("exec", name, "nosuchprogram").fails("executable file not found")
    eq(t.engine("exec", "-i", name, "cat", input="in\n").ok().out, "in\n")
    remove(t, name)


@engine("docker")
def test_exec_takes_environment_directory_user_and_terminal(t):
    name = start(t)
    out = t.engine("exec", "-e", "COLOUR=blue", "-w", "/tmp", "-u", "1000:5", name, "sh", "-c",
                   "echo $COLOUR; pwd; id -u; id -g").ok().out
    eq(out.split(), ["blue", "/tmp", "1000", "5"])
    has(t.engine("exec", "-t", name, "probe", "tty").ok().out, "controlling yes")
    remove(t, name)


@engine("docker")
def test_exec_sees_the_namespaces_of_the_container(t):
    name = start(t)
    inside = facts(t.engine("exec", name, "probe", "ns").ok().out)
    init = facts(t.engine("exec", name, "sh", "-c", "for n in /proc/1/ns/*; do echo ${n##*/} $(readlink $n); done").ok().out)
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "uts"):
        eq(inside[kind], init[kind], kind)
    remove(t, name)


@engine("docker")
def test_logs_keep_stdout_and_stderr(t):
    name = start(t, argv=("sh", "-c", "echo out; echo err >&2"))
    t.engine("wait", name).ok()
    result = t.engine("logs", name).ok()
    eq((result.out, result.err), ("out\n", "err\n"))
    remove(t, name)


@engine("docker")
def test_stop_sends_term_and_then_kill(t):
    polite = start(t, argv=("probe", "signal-wait"))
    t.until(lambda: "ready" in t.engine("logs", polite).out, 10, "ready")
    began = time.monotonic()
    t.engine("stop", "-t", "10", polite).ok()
    true(time.monotonic() - began < 5, "a program that ends on SIGTERM was waited for")
    eq(inspect(t, polite, "{{.State.ExitCode}}"), "115")
    deaf = start(t, argv=("sleep", "1000"))
    t.engine("stop", "-t", "1", deaf).ok()
    eq(inspect(t, deaf, "{{.State.ExitCode}}"), "137")
    remove(t, polite, deaf)


@engine("docker")
def test_kill_sends_the_signal_asked_for(t):
    name = start(t, argv=("probe", "signal-wait"))
    t.until(lambda: "ready" in t.engine("logs", name).out, 10, "ready")
    t.engine("kill", "-s", "USR1", name).ok()
    t.until(lambda: "signal 10" in t.engine("logs", name).out, 10, "the signal")
    remove(t, name)


@engine("docker")
def test_a_volume_and_a_bind_mount_are_there_and_writable(t):
    source = t.dir("source")
    t.file("source/file", "from the host\n")
    out = t.engine("run", "--rm", "-v", f"{source}:/b", "-v", "vol:/v", "box", "sh", "-c",
                   "cat /b/file; echo back >/b/back; echo x >/v/x").ok().out
    eq(out, "from the host\n")
    eq(open(f"{source}/back", encoding="utf-8").read(), "back\n")
    eq(t.engine("run", "--rm", "-v", "vol:/v", "box", "cat", "/v/x").ok().out, "x\n")
    t.engine("volume", "rm", "vol").ok()


@engine("docker")
def test_a_read_only_bind_mount_refuses_writes(t):
    source = t.dir("source")
    t.engine("run", "--rm", "-v", f"{source}:/b:ro", "box", "probe", "open", "/b/new", "wronly,creat").exits(1)
    eq(t.engine("run", "--rm", "-v", f"{source}:/b:ro", "box", "probe", "open", "/b/new", "wronly,creat").out, "EROFS\n")


@engine("docker")
def test_a_tmpfs_mount_is_a_tmpfs(t):
    out = t.engine("run", "--rm", "--tmpfs", "/scratch:size=1m,mode=1777", "box", "probe", "statfs", "/scratch").ok().out
    eq(facts(out)["type"], "1021994")
    eq(facts(out)["bytes"], str(1 << 20))


@engine("docker")
def test_a_read_only_root_refuses_writes(t):
    eq(t.engine("run", "--rm", "--read-only", "box", "probe", "open", "/new", "wronly,creat").out, "EROFS\n")


@engine("docker")
def test_user_and_groups_are_those_asked_for(t):
    out = facts(t.engine("run", "--rm", "-u", "1000:1000", "--group-add", "42", "box", "probe", "ids").ok().out)
    eq((out["uid"], out["gid"]), ("1000 1000 1000", "1000 1000 1000"))
    true("42" in out["groups"].split(), out["groups"])
    eq(facts(t.engine("run", "--rm", "-u", "app", "box", "probe", "ids").ok().out)["uid"], "1000 1000 1000")


@engine("docker")
def test_capabilities_are_dropped_and_added(t):
    none = facts(t.engine("run", "--rm", "--cap-drop", "ALL", "box", "probe", "caps").ok().out)
    for kind in ("effective", "permitted", "bounding", "inheritable", "ambient"):
        eq(int(none[kind], 16), 0, kind)
    one = facts(t.engine("run", "--rm", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "box", "probe", "caps").ok().out)
    eq(int(one["effective"], 16), 1 << 12)
    usual = facts(t.engine("run", "--rm", "box", "probe", "caps").ok().out)
    eq(int(usual["effective"], 16), 0xa80425fb, "Docker's default set")


@engine("docker")
def test_the_default_seccomp_profile_is_in_force(t):
    out = facts(t.engine("run", "--rm", "box", "probe", "seccomp-status").ok().out)
    eq(out["Seccomp"], "2")
    # unshare(CLONE_NEWNS) needs CAP_SYS_ADMIN, and so does the profile.
    eq(t.engine("run", "--rm", "box", "probe", "unshare", 0x20000).out, "EPERM\n")


@engine("docker")
def test_a_seccomp_profile_of_ones_own_is_in_force(t):
    profile = t.file("profile.json", json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}))
    result = t.engine("run", "--rm", "--security-opt", f"seccomp={profile}", "box", "mkdir", "/tmp/x").fails()
    has(result.err, "not supported")
    out = facts(t.engine("run", "--rm", "--security-opt", "seccomp=unconfined", "box", "probe", "seccomp-status").ok().out)
    eq(out["Seccomp"], "0")


@engine("docker")
def test_no_new_privileges_is_set(t):
    eq(t.engine("run", "--rm", "--security-opt", "no-new-privileges", "box", "probe", "nnp").ok().out, "1\n")


@engine("docker")
def test_privileged_has_every_capability_and_the_devices(t):
    out = t.engine("run", "--rm", "--privileged", "box", "sh", "-c",
                   "probe caps; probe seccomp-status; ls /dev/kmsg; mount -t tmpfs none /mnt && echo mounted").ok().out
    has(out, "Seccomp:\t0", "/dev/kmsg", "mounted")


@engine("docker")
def test_init_is_pid_1_and_forwards_signals(t):
    t.need("docker-init")
    name = start(t, "--init", argv=("sleep", "1000"))
    has(t.engine("exec", name, "cat", "/proc/1/cmdline").ok().out, "docker-init")
    t.engine("stop", "-t", "10", name).ok()
    eq(inspect(t, name, "{{.State.ExitCode}}"), "143")
    remove(t, name)


@engine("docker")
def test_a_health_check_turns_healthy(t):
    name = start(t, "--health-cmd", "true", "--health-interval", "1s", "--health-retries", "1")
    t.until(lambda: inspect(t, name, "{{.State.Health.Status}}") == "healthy", 15, "healthy")
    remove(t, name)


@engine("docker")
def test_a_health_check_turns_unhealthy(t):
    name = start(t, "--health-cmd", "false", "--health-interval", "1s", "--health-retries", "1")
    t.until(lambda: inspect(t, name, "{{.State.Health.Status}}") == "unhealthy", 15, "unhealthy")
    remove(t, name)


@engine("docker")
def test_pause_and_unpause(t):
    name = start(t, argv=("sh", "-c", "while :; do echo tick; sleep 0.1; done"))
    t.until(lambda: "tick" in t.engine("logs", name).out, 10, "a tick")
    t.engine("pause", name).ok()
    eq(inspect(t, name, "{{.State.Status}}"), "paused")
    before = t.engine("logs", name).out
    time.sleep(0.4)
    eq(t.engine("logs", name).out, before, "output of a paused container")
    t.engine("exec", name, "true").fails("paused")
    t.engine("unpause", name).ok()
    t.until(lambda: len(t.engine("logs", name).out) > len(before), 10, "more ticks")
    remove(t, name)


@engine("docker")
def test_a_paused_container_can_be_removed_by_force(t):
    name = start(t)
    t.engine("pause", name).ok()
    remove(t, name)


@engine("docker")
def test_restart_gives_a_new_process(t):
    name = start(t)
    before = inspect(t, name, "{{.State.Pid}}")
    t.engine("restart", "-t", "0", name).ok()
    eq(inspect(t, name, "{{.State.Status}}"), "running")
    true(inspect(t, name, "{{.State.Pid}}") != before, "same pid")
    remove(t, name)


@engine("docker")
def test_a_stopped_container_starts_again_with_its_files(t):
    name = start(t, argv=("sh", "-c", "cat /kept; echo kept >/kept"))
    t.engine("wait", name).ok()
    t.engine("start", name).ok()
    t.engine("wait", name).ok()
    has(t.engine("logs", name).out, "kept")
    remove(t, name)


@engine("docker")
def test_restart_policy_brings_a_failing_program_back(t):
    name = start(t, "--restart", "on-failure:2", argv=("probe", "exit", "1"))
    t.until(lambda: inspect(t, name, "{{.RestartCount}} {{.State.Status}}") == "2 exited", 20, "two restarts")
    remove(t, name)


@engine("docker")
def test_a_published_port_answers(t):
    t.need(t.engine.network)
    name = start(t, "-p", "127.0.0.1:8080:80", argv=("sh", "-c", "mkdir -p /www; echo page >/www/index.html; httpd -f -h /www"))
    get = ["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/index.html"]
    t.until(lambda: t.engine.inside(*get).out == "page\n", 15, "an answer on the published port")
    remove(t, name)


@engine("docker")
def test_containers_reach_each_other_over_the_bridge(t):
    t.need(t.engine.network)
    server = start(t, argv=("sh", "-c", "mkdir -p /www; echo page >/www/f; httpd -f -h /www"))
    address = inspect(t, server, "{{.NetworkSettings.IPAddress}}")
    t.until(lambda: t.engine("run", "--rm", "box", "wget", "-q", "-O", "-", f"http://{address}/f").out == "page\n",
            20, "an answer over the bridge")
    remove(t, server)


@engine("docker")
def test_network_none_has_loopback_alone_and_up(t):
    eq(t.engine("run", "--rm", "--network", "none", "box", "sh", "-c", "probe links").ok().out.split("\n")[0], "lo up")


@engine("docker")
def test_network_host_is_the_network_of_the_host(t):
    inside = t.engine("run", "--rm", "--network", "host", "box", "readlink", "/proc/self/ns/net").ok().out
    eq(inside, t.engine.inside("readlink", "/proc/self/ns/net").ok().out)


@engine("docker")
def test_a_container_joins_network_pid_and_ipc_of_another(t):
    first = start(t)
    ns = lambda *o: facts(t.engine("run", "--rm", *o, "box", "probe", "ns").ok().out)
    theirs = facts(t.engine("exec", first, "probe", "ns").ok().out)
    mine = ns("--network", f"container:{first}", "--pid", f"container:{first}")
    eq((mine["net"], mine["pid"]), (theirs["net"], theirs["pid"]))
    remove(t, first)


@engine("docker")
def test_pid_host_sees_the_processes_of_the_host(t):
    eq(t.engine("run", "--rm", "--pid", "host", "box", "readlink", "/proc/self/ns/pid").ok().out,
       t.engine.inside("readlink", "/proc/self/ns/pid").ok().out)


@engine("docker")
def test_commit_makes_an_image_with_the_change(t):
    name = start(t, argv=("sh", "-c", "echo changed >/etc/changed"))
    t.engine("wait", name).ok()
    t.engine("commit", name, "changed").ok()
    eq(t.engine("run", "--rm", "changed", "cat", "/etc/changed").ok().out, "changed\n")
    remove(t, name)
    t.engine("rmi", "changed").ok()


@engine("docker")
def test_build_with_run_steps(t):
    t.dir("context")
    t.file("context/Dockerfile", "FROM box\nRUN echo built >/built && mkdir /work\nWORKDIR /work\n"
                                 "COPY file .\nRUN cat file >>/built\nCMD [\"cat\", \"/built\"]\n")
    t.file("context/file", "copied\n")
    t.engine("build", "-q", "-t", "built", f"{t.tmp}/context").ok()
    eq(t.engine("run", "--rm", "built").ok().out, "built\ncopied\n")
    t.engine("rmi", "built").ok()


@engine("docker")
def test_a_build_step_that_ends_with_an_error_stops_the_build(t):
    t.dir("context")
    t.file("context/Dockerfile", "FROM box\nRUN exit 3\n")
    t.engine("build", "-q", "--rm", "--force-rm", f"{t.tmp}/context").fails("returned a non-zero code: 3")


@engine("docker")
def test_cp_copies_in_and_out_of_a_running_container(t):
    name = start(t)
    t.file("in", "in\n")
    t.engine("cp", f"{t.tmp}/in", f"{name}:/tmp/in").ok()
    eq(t.engine("exec", name, "cat", "/tmp/in").ok().out, "in\n")
    t.engine("cp", f"{name}:/etc/image-file", f"{t.tmp}/out").ok()
    eq(open(f"{t.tmp}/out", encoding="utf-8").read(), "from the image\n")
    remove(t, name)


@engine("docker")
def test_diff_shows_what_changed_and_nothing_of_the_runtime(t):
    name = start(t, argv=("sh", "-c", "echo x >/etc/new; rm /etc/image-file"))
    t.engine("wait", name).ok()
    eq(sorted(t.engine("diff", name).ok().out.split("\n")), ["", "A /etc/new", "C /etc", "D /etc/image-file"])
    remove(t, name)


@engine("docker")
def test_top_lists_the_processes(t):
    name = start(t, argv=("sh", "-c", "sleep 999 & sleep 998"))
    t.until(lambda: "sleep 999" in t.engine("exec", name, "ps").out, 10, "the second process")
    out = t.engine("top", name).ok().out
    has(out, "sleep 999", "sleep 998")
    remove(t, name)


@engine("docker")
@envs("unified")
def test_stats_shows_one_line_per_container(t):
    name = start(t)
    out = t.engine("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", name).ok().out
    true(out.startswith(name), out)
    remove(t, name)


@engine("docker")
def test_update_of_the_restart_policy_leaves_the_container_running(t):
    name = start(t)
    t.engine("update", "--restart", "no", name).ok()
    t.engine("exec", name, "true").ok()
    remove(t, name)


@engine("docker")
@envs("unified")
def test_update_of_cpu_shares_reaches_the_kernel(t):
    t.need("controller cpu")
    name = start(t)
    t.engine("update", "--cpu-shares", "2048", name).ok()
    remove(t, name)


@engine("docker")
def test_the_container_is_in_the_cgroup_parent_asked_for(t):
    name = start(t, "--cgroup-parent", f"{t.engine.parent}/inner")
    pid = inspect(t, name, "{{.State.Pid}}")
    line = [x for x in t.engine.inside("cat", f"/proc/{pid}/cgroup").ok().out.splitlines() if x.startswith("0::")]
    has(line[0], f"{t.engine.parent}/inner/")
    remove(t, name)
    t.call(["rmdir", host.v2_tree() + f"{t.engine.parent}/inner"])


@engine("docker")
def test_hostname_domain_environment_and_working_directory(t):
    out = t.engine("run", "--rm", "-h", "name", "--domainname", "example.test", "-e", "A=b c", "-w", "/var/tmp", "box",
                   "sh", "-c", "probe uname; echo $A; pwd").ok().out
    has(out, "hostname name\n", "domainname example.test\n", "b c\n", "/var/tmp\n")


@engine("docker")
def test_a_working_directory_that_is_missing_is_made(t):
    eq(t.engine("run", "--rm", "-w", "/made/for/it", "box", "pwd").ok().out, "/made/for/it\n")


@engine("docker")
def test_ulimits_are_set(t):
    out = facts(t.engine("run", "--rm", "--ulimit", "nofile=100:200", "--ulimit", "core=0:0", "box", "probe", "rlimits").ok().out)
    eq((out["RLIMIT_NOFILE"], out["RLIMIT_CORE"]), ("100 200", "0 0"))


@engine("docker")
def test_sysctls_of_the_network_are_set_inside_alone(t):
    out = t.engine("run", "--rm", "--sysctl", "net.ipv4.ip_unprivileged_port_start=77", "box", "probe", "sysctl",
                   "net.ipv4.ip_unprivileged_port_start").ok().out
    eq(out, "77\n")
    true(open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii").read() != "77\n", "changed on the host")


@engine("docker")
def test_a_device_is_given(t):
    t.need("kvm")
    eq(facts(t.engine("run", "--rm", "--device", "/dev/kvm:/dev/virt", "box", "probe", "stat", "/dev/virt").ok().out)["rdev"],
       "10:232")
    eq(t.engine("run", "--rm", "--device", "/dev/kvm:/dev/virt", "box", "probe", "open", "/dev/virt", "rdwr").out, "ok\n")


@engine("docker")
def test_a_device_that_is_not_given_cannot_be_opened(t):
    out = t.engine("run", "--rm", "--cap-add", "MKNOD", "box", "sh", "-c", "probe mknod /tmp/k c 10 232; probe open /tmp/k rdwr").out
    eq(out.split()[-1], "EPERM")


@engine("docker")
def test_shm_size_and_oom_score(t):
    out = t.engine("run", "--rm", "--shm-size", "8m", "--oom-score-adj", "500", "box", "sh", "-c",
                   "probe statfs /dev/shm; probe oom").ok().out
    has(out, f"bytes {8 << 20}", "\n500\n")


@engine("docker")
def test_masked_paths_are_empty_and_readonly_paths_are_not_writable(t):
    out = t.engine("run", "--rm", "box", "sh", "-c",
                   "cat /proc/keys /proc/timer_list; ls /sys/firmware; probe open /proc/sys/kernel/domainname wronly").out
    eq(out, "EROFS\n")


@engine("docker")
def test_attach_follows_the_output(t):
    name = t.name()
    t.engine("create", "--name", name, "box", "sh", "-c", "echo attached; exit 5").ok()
    result = t.engine("start", "-a", name).exits(5)
    eq(result.out, "attached\n")
    remove(t, name)


@engine("docker")
@deadline(60)
def test_ten_containers_at_once(t):
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do docker -H unix:///run/docker.sock run --rm box echo n$i & done; wait"
    eq(sorted(t.engine.inside("sh", "-c", script).ok().out.split()), sorted(f"n{i}" for i in range(1, 11)))


@engine("docker")
def test_a_failing_start_leaves_a_container_that_can_be_removed(t):
    name = t.name()
    result = t.engine("run", "--name", name, "box", "nosuchprogram").fails()
    has(result.err, "executable file not found")
    eq(inspect(t, name, "{{.State.Status}}"), "created")
    remove(t, name)


@engine("docker")
def test_info_names_the_runtime(t):
    has(t.engine("info").ok().out, "tested")


@engine("docker")
@deadline(120)
def test_an_image_that_the_runtime_committed_runs(t):
    t.need("libarchive", "overlay", "skopeo")
    c = changes.running(t, "echo out >/new; rm /keep; mv /dir /moved; rm -r /gone; mkdir /gone")
    path = changes.commit(t, c, "-c", 'CMD ["cat", "/new"]')
    t.call(["skopeo", "copy", f"oci:{path}:new", f"docker-archive:{t.tmp}/saved.tar:ours:new"]).ok()
    t.engine("load", "-i", f"{t.tmp}/saved.tar").ok()
    eq(t.engine("run", "--rm", "ours:new").ok().out, "out\n")
    eq(t.engine("run", "--rm", "ours:new", "ls", "/moved", "/gone").ok().out, "/gone:\n\n/moved:\na\nb\nsub\n")
    t.engine("run", "--rm", "ours:new", "cat", "/keep").fails("no such file")
    t.engine("rmi", "ours:new").ok()
