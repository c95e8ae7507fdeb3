# SPDX-License-Identifier: Apache-2.0
"""The default filter of system calls: what `do` is refused by it, what runs under it, and how to do without."""

import json
import os

from case import deadline, each, envs, eq, facts, has, true
from test_do import do, rootfs

WALL = "both"

X86_64 = {"mount": 165, "setns": 308, "bpf": 321, "perf_event_open": 298, "keyctl": 250, "add_key": 248, "init_module": 175,
          "kexec_load": 246, "io_uring_setup": 425, "open_by_handle_at": 304, "settimeofday": 164, "swapon": 167,
          "reboot": 169, "userfaultfd": 323, "open_tree": 428, "iopl": 172, "quotactl": 179}
SOCKETS = {"unix": (1, 1, "ok"), "inet": (2, 1, "ok"), "inet6": (10, 1, "ok"), "netlink": (16, 3, "ok"),
           "alg": (38, 5, "EPERM"), "vsock": (40, 1, "EPERM"), "bluetooth": (31, 3, "EPERM"), "key": (15, 3, "EPERM")}


def status(t, *options):
    return do(t, *options, "--rootfs", rootfs(t), "--", "probe", "seccomp-status").ok().out


@envs("hybrid")
def test_do_has_a_filter_and_is_refused_what_no_container_needs(t):
    t.need("x86-64")
    root = rootfs(t)
    eq(facts(do(t, "--rootfs", root, "--", "grep", "Seccomp", "/proc/self/status").ok().out.replace(":", ""))["Seccomp"], "2")
    script = "; ".join(f"echo {name} $(probe syscall {nr} 0 0 0 0 0 0)" for name, nr in X86_64.items())
    eq(facts(do(t, "--rootfs", root, "--", "sh", "-c", script).ok().out), dict.fromkeys(X86_64, "EPERM"))
    out = facts(do(t, "--rootfs", root, "--", "sh", "-c",
                   "echo clone3 $(probe syscall 435 0 0); echo future $(probe syscall 900); echo newuser "
                   "$(probe syscall 272 0x10000000); echo fs $(probe syscall 272 0x200); echo socketcall "
                   "$(probe syscall32 102 1)").ok().out)
    eq(out, {"clone3": "ENOSYS", "future": "ENOSYS", "newuser": "EPERM", "fs": "ok", "socketcall": "ENOSYS"})


@envs("hybrid")
@each(case=SOCKETS)
def test_do_has_sockets_of_some_families_only(t, case):
    family, kind, answer = case
    eq(do(t, "--rootfs", rootfs(t), "--", "probe", "socket", family, kind, 0).out, answer + "\n")


@envs("hybrid")
def test_do_runs_without_a_filter_or_with_another_when_told_to(t):
    t.need("x86-64")
    root = rootfs(t)
    keyctl = ("--", "probe", "syscall", 250, 0, -3)
    for option in ("seccomp=default", "seccomp=builtin"):
        eq(do(t, "--security-opt", option, "--rootfs", root, *keyctl).out, "EPERM\n")
    eq(do(t, "--security-opt", "seccomp=unconfined", "--rootfs", root, *keyctl).ok().out, "ok\n")
    profile = f"{t.tmp}/profile.json"
    with open(profile, "w", encoding="utf-8") as f:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []}],
                   "syscalls": [{"name": "getpriority", "action": "SCMP_ACT_ERRNO", "errnoRet": 33, "includes": {"minKernel": "4.8"}},
                                {"names": ["keyctl"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_ADMIN"]}}]}, f)
    eq(do(t, "--security-opt", f"seccomp={profile}", "--rootfs", root, "--", "probe", "syscall", 140).out, "EDOM\n")
    eq(do(t, "--security-opt", f"seccomp={profile}", "--rootfs", root, *keyctl).ok().out, "ok\n")


@envs("hybrid")
def test_do_says_which_profile_it_cannot_use_and_why(t):
    bad = f"{t.tmp}/bad.json"
    with open(bad, "w", encoding="utf-8") as f:
        f.write('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NO"}]}')
    root = rootfs(t)
    do(t, "--security-opt", f"seccomp={bad}", "--rootfs", root, "--", "true").fails("linux.seccomp.syscalls[0].action", code=1)
    do(t, "--security-opt", "seccomp=/none.json", "--rootfs", root, "--", "true").fails(
        "cannot use the seccomp profile /none.json: open /none.json: no such file or directory", code=1)
    do(t, "--security-opt", "label=disable", "--rootfs", root, "--", "true").fails(
        "--security-opt label=disable is not seccomp=default, seccomp=unconfined or seccomp=FILE", code=1)


@envs("hybrid")
def test_spec_writes_the_filter_when_asked_and_never_else(t):
    hasnt_any = json.loads(t.runtime("spec", "-f", "-").ok().out)
    true("seccomp" not in hasnt_any["linux"], "a filter nobody asked for")
    config = json.loads(t.runtime("spec", "--seccomp", "-f", "-").ok().out)
    names = {n for r in config["linux"]["seccomp"]["syscalls"] for n in r["names"] if r["action"] == "SCMP_ACT_ALLOW"}
    true({"read", "execve"} <= names and not {"mount", "chroot", "keyctl"} & names, str(sorted(names)))
    b = t.bundle().probe("syscall", 250, 0, -3)
    b.linux["seccomp"] = config["linux"]["seccomp"]
    eq(t.run(b).out, "EPERM\n")


# Programs of this host, over its own files.
REAL = {
    "python threads": ("python3", "import threading,queue\nq=queue.Queue()\nt=[threading.Thread(target=q.put,args=(i,)) for i in range(50)]\n"
                                  "[x.start() for x in t];[x.join() for x in t]\nprint(sum(q.get() for _ in t))", "1225"),
    "python processes": ("python3", "import multiprocessing as m\nif __name__=='__main__':\n with m.Pool(3) as p: print(sum(p.map(abs,range(-9,0))))", "45"),
    "python sockets": ("python3", "import asyncio\nasync def f(r,w):\n w.write(await r.read(3)); await w.drain(); w.close()\n"
                                  "async def main():\n s=await asyncio.start_server(f,'127.0.0.1',0)\n"
                                  " r,w=await asyncio.open_connection(*s.sockets[0].getsockname())\n w.write(b'abc'); print((await r.read()).decode())\n"
                                  "asyncio.run(main())", "abc"),
    "python mappings": ("python3", "import mmap,tempfile,os,signal\nf=tempfile.TemporaryFile(); f.truncate(8192); m=mmap.mmap(f.fileno(),8192); m[0]=65\n"
                                   "os.sendfile(os.open('/dev/null',1),f.fileno(),0,10); signal.setitimer(signal.ITIMER_REAL,60)\n"
                                   "os.sched_setaffinity(0,os.sched_getaffinity(0)); print(chr(m[0]))", "A"),
    "bash": ("bash", "set -o pipefail; trap 'echo trapped' EXIT; (sleep 0.1 & wait); coproc cat; echo x >&${COPROC[1]}; read -r a <&${COPROC[0]}; "
                     "mkfifo /tmp/p; ulimit -n 100; nice -n 5 true; echo $a$(seq 3 | tac | tr -d '\\n')", "x321\ntrapped"),
    "tar, find, sort": ("sh", "cd /tmp && mkdir d && seq 2000 | sort -R --parallel=2 | sort -n > d/f && ln d/f d/g && tar czf - d | tar xzf - -C /var/tmp && "
                              "find /var/tmp/d -type f -links 2 | wc -l", "2"),
    "perl": ("perl", "use IPC::Open3; my $p=open3(my $i,my $o,undef,'cat'); print $i 'hi'; close $i; print <$o>; waitpid $p,0;", "hi"),
    "chroot, su, mknod": ("sh", "mknod /tmp/n c 1 3 && chroot / su nobody -s /bin/sh -c 'id -un'", "nobody"),
}


@envs("hybrid")
@each(case=REAL)
@deadline(60)
def test_real_programs_run_under_it(t, case):
    program, script, answer = case
    t.need("root", "overlay")
    options = ("--no-new-privs=false",)
    eq(do(t, *options, "--workdir", "/", "--", program, "-e" if program == "perl" else "-c", script).ok().out.strip(), answer)


@envs("hybrid")
@deadline(60)
def test_a_tracer_works_and_a_nested_container_does_not(t):
    t.need("root", "overlay", "strace")
    has(do(t, "--workdir", "/", "--", "strace", "-f", "-e", "trace=execve", "sh", "-c", "ls / >/dev/null").ok().err, "+++ exited with 0 +++")
    for kind in ("-U", "-m", "-n", "-p", "-i", "-u", "-C", "-T"):
        do(t, "--workdir", "/", "--", "unshare", kind, "true").fails("Operation not permitted", code=1)


@envs("hybrid")
@deadline(120)
def test_apt_installs_a_package_under_it(t):
    t.need("root", "overlay", "apt")
    tree = f"{t.tmp}/tree"
    os.makedirs(f"{tree}/DEBIAN")
    os.makedirs(f"{tree}/usr/bin")
    with open(f"{tree}/DEBIAN/control", "w", encoding="utf-8") as f:
        f.write("Package: bulkhead-says\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: says it\n")
    for path, text in ((f"{tree}/usr/bin/says", "#!/bin/sh\necho it\n"), (f"{tree}/DEBIAN/postinst", "#!/bin/sh\nchown daemon /usr/bin/says\n")):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)
    package = f"{t.tmp}/says.deb"
    t.call(["dpkg-deb", "--root-owner-group", "-b", tree, package]).ok()
    out = do(t, "--volume", f"{package}:/says.deb:ro", "--workdir", "/", "--", "sh", "-c",
             "apt-get install -y /says.deb >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }; says; stat -c %U /usr/bin/says", timeout=60).ok().out
    eq(out, "it\ndaemon\n")
