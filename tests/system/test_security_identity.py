# SPDX-License-Identifier: Apache-2.0
"""
Who a process is: ids, groups, capabilities, no_new_privs and filter as the kernel has them, compared with
what the documents (capabilities(7), the runtime specification) say they have to be.
"""

import itertools
import json
import os

import linux
from breach import status_of
from case import deadline, each, envs, eq, facts, has, true

WALL = "both"

CHOWN, KILL, SETUID, BIND, CHROOT, AUDIT = 0, 5, 7, 10, 18, 29
NAMES = {CHOWN: "CAP_CHOWN", KILL: "CAP_KILL", SETUID: "CAP_SETUID", BIND: "CAP_NET_BIND_SERVICE", CHROOT: "CAP_SYS_CHROOT",
         AUDIT: "CAP_AUDIT_WRITE"}
SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
LINES = dict(zip(SETS, ("CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb")))

CAPABILITIES = {
    "the default ones": {s: {KILL, BIND, AUDIT} for s in ("bounding", "effective", "permitted")},
    "none": {},
    "five different sets": {"bounding": {CHOWN, KILL, SETUID}, "permitted": {CHOWN, KILL}, "effective": {CHOWN},
                            "inheritable": {CHOWN, KILL}, "ambient": {KILL}},
    "ambient without inheritable": {s: {KILL} for s in ("bounding", "effective", "permitted", "ambient")},
    "inheritable beyond bounding": {"bounding": {KILL}, "permitted": {KILL, CHOWN}, "effective": {KILL}, "inheritable": {CHOWN}},
    "ambient for all": {s: {KILL, SETUID} for s in SETS},
}


def oracle(asked, uid, no_new_privs):
    """
    The five sets of a program without file capabilities, after the exec: capabilities(7), "Transformation
    of capabilities during execve()" and "Capabilities and execution of programs by root"; and under no_new_privs
    an exec gains nothing that was not permitted before.
    """
    b, e, p, i, a = (set(asked.get(s, ())) for s in SETS)
    e &= p
    i &= b
    a &= p & i
    if uid == 0:
        gained = b | i
        p_after = (gained & p if no_new_privs else gained) | a
        e_after = p_after
    else:
        p_after = e_after = a
    return dict(zip(SETS, (b, e_after, p_after, i, a)))


def mask(numbers):
    return sum(1 << n for n in numbers)


def compare(status, wanted, uid, gid, groups, no_new_privs, filtered, what):
    eq({s: f"{int(status[LINES[s]], 16):x}" for s in SETS}, {s: f"{mask(wanted[s]):x}" for s in SETS}, f"capabilities of {what}")
    eq(status["Uid"].split(), [str(uid)] * 4, f"uids of {what}")
    eq(status["Gid"].split(), [str(gid)] * 4, f"gids of {what}")
    eq(sorted(map(int, status["Groups"].split())), sorted(groups), f"groups of {what}")
    eq(status["NoNewPrivs"], str(int(no_new_privs)), f"no_new_privs of {what}")
    eq(status["Seccomp"], "2" if filtered else "0", f"filter of {what}")


@each(asked=CAPABILITIES)
@deadline(60)
@envs("hybrid")
def test_t10_every_process_is_what_the_documents_say(t, asked):
    # Inheritable or ambient sets left over (CVE-2022-24769, CVE-2022-29162, CVE-2022-27650), capabilities kept by
    # another uid (CVE-2018-10856), groups not set (CVE-2022-2989, CVE-2023-25173), or lost on the way of an exec.
    base = 100000
    for uid, no_new_privs, in_userns, filtered in itertools.product((0, 1000), (True, False), (False, True), (True,)):
        filtered = uid == 0 or in_userns
        b = t.bundle().probe("sleep", "1000")
        b.process.update(user={"uid": uid, "gid": uid and 1001, "additionalGids": [7, 3000]}, noNewPrivileges=no_new_privs,
                         capabilities={s: [NAMES[n] for n in sorted(c)] for s, c in asked.items()})
        if filtered:
            b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}
        if in_userns:
            b.user_namespace(base)
        c = t.up(b)
        wanted = oracle(asked, uid, no_new_privs)
        what = f"uid {uid}, no_new_privs {no_new_privs}, user namespace {in_userns}"
        shift = base if in_userns else 0
        gid = uid and 1001
        if t.wall == "vm":  # the host sees the machine's process
            init, shift = facts(c.exec("/bin/cat", "/proc/1/status").ok().out), 0
        else:
            init = status_of(c.pid)
        compare(init, wanted, uid + shift, gid + shift, [7 + shift, 3000 + shift], no_new_privs, filtered, f"init ({what})")
        found = facts(c.probe("status").ok().out)
        compare(found, wanted, uid, gid, [7, 3000], no_new_privs, filtered, f"exec ({what})")
        # exec --cap: into the inheritable set only when the config uses that (CVE-2022-29162).
        more = {s: set(asked.get(s, ())) | ({CHROOT} if s in ("bounding", "effective", "permitted") or asked.get("inheritable")
                                           else set()) for s in SETS}
        found = facts(c.probe("status", options=("--cap", "CAP_SYS_CHROOT")).ok().out)
        compare(found, oracle(more, uid, no_new_privs), uid, gid, [7, 3000], no_new_privs, filtered, f"exec --cap ({what})")
        other = 0 if uid else 1000
        found = facts(c.probe("status", options=("--user", f"{other}:0", "--additional-gids", "9")).ok().out)
        compare(found, oracle(asked, other, no_new_privs), other, 0, [7, 9, 3000], no_new_privs, filtered, f"exec --user ({what})")
        c.delete("--force").ok()


@envs("hybrid")
def test_t10_capabilities_of_files_need_the_bounding_set(t):
    # The bounding set is dropped before the ids change, or a program with file capabilities gets more than was given.
    b = t.bundle().probe("caps").writable().own_programs().caps("CAP_KILL")
    b.process.update(user={"uid": 1000, "gid": 1000}, noNewPrivileges=False)
    value = (0x02000001).to_bytes(4, "little") + ((1 << KILL | 1 << CHOWN).to_bytes(4, "little") + bytes(4)) + bytes(8)
    os.setxattr(f"{b.rootfs}/bin/probe", "security.capability", value)
    # cap_bprm_creds_from_file: a file whose effective capabilities are not all permitted is refused (EPERM).
    result = t.run(b)
    true(result.code != 0 or int(facts(result.out)["permitted"], 16) & ~(1 << KILL) == 0, f"{result}")
    b.process["capabilities"] = {s: ["CAP_KILL", "CAP_CHOWN"] for s in ("bounding",)}
    eq(int(facts(t.run(b).ok().out)["permitted"], 16), 1 << KILL | 1 << CHOWN)
    b.process["noNewPrivileges"] = True
    eq(int(facts(t.run(b).ok().out)["permitted"], 16), 0)


# -- T11: the words for a user

USERS = {
    "0": (0, None), "1": (1, None), "1000": (1000, None), "4294967294": (4294967294, None), "1:0": (1, 0), "1:1000": (1, 1000),
    "0:4294967294": (0, 4294967294),
}
NO_USERS = ["", " ", "+1", "-1", "-0", "4294967295", "4294967296", "4294967297", "18446744073709551616", "18446744073709551617",
            "99999999999999999999999", "1:", ":1", ":", "1:1:1", "1::1", "0x1", "0b1", "1e3", "1.0", " 1", "1 ", "1\n", "\t1", "1\t",
            "root", "app", "1:root", "root:0", "1:-1", "1:+1", "1: 1", "1:4294967295", "1:4294967296", "1,2", "1;2", "1%", "\u0661",
            "\uff11", "1\u00a0", "NaN", "a" * 4096, "1" * 4096, "1:" + "0" * 4096 + "x"]


@deadline(60)
@envs("hybrid")
def test_t11_users_of_exec_are_numbers_or_nothing(t):
    # CVE-2016-3697, CVE-2026-30892, CVE-2024-40635, CVE-2026-46680: each was a number that became root.
    b = t.bundle().probe("sleep", "1000")
    # An image that maps what it can to root. Numbers are never looked up in it.
    b.write("etc/passwd", "".join(f"{name}:x:0:0::/root:/bin/sh\n" for name in ("root", "1000", "1", "4294967296", "+1", "app")))
    b.write("etc/group", "".join(f"{name}:x:0:\n" for name in ("root", "1000", "1")))
    b.process["user"] = {"uid": 77, "gid": 78}
    c = t.up(b)
    for text, (uid, gid) in USERS.items():
        found = facts(c.probe("ids", options=("--user", text)).ok().out)
        eq((found["uid"].split(), found["gid"].split()), ([str(uid)] * 3, [str(78 if gid is None else gid)] * 3), f"--user {text}")
    for text in NO_USERS:
        result = c.probe("ids", options=("--user", text))
        if result.code == 0:
            raise AssertionError(f"--user {text!r} became {facts(result.out)}")
        has(result.err + result.out, "--user")
    for text in ("01", "00", "001:01"):  # a leading zero may be taken or not; octal or root it is not
        result = c.probe("ids", options=("--user", text))
        if result.code == 0:
            eq(facts(result.out)["uid"].split()[0], str(int(text.split(":")[0])), f"--user {text}")
    for text in ("", "+1", "-1", "4294967295", "4294967296", "0x1", "root", "1 ", "1\n"):
        true(c.probe("ids", options=("--additional-gids", text)).code != 0, f"--additional-gids {text!r} was taken")


WRONG_IDS = ["-1", "-0.5", "4294967295", "4294967296", "18446744073709551616", "1.5", "1e99", '"1"', '"0"', "null", "true", "[1]", "{}",
             "1" * 400]


@deadline(60)
@envs("hybrid")
def test_t11_ids_of_the_config_are_whole_numbers_in_range(t):
    # Naive: a number that does not fit wraps to 0, or is left out and so 0.
    b = t.bundle().probe("ids")
    for member in ("uid", "gid", "additionalGids"):
        for text in WRONG_IDS:
            b.process["user"] = {"uid": 5, "gid": 6, member: "@"}
            b.save()
            path = f"{b.path}/config.json"
            whole = linux.read(path).replace('"@"', f"[{text}]" if member == "additionalGids" else text)
            with open(path, "w", encoding="ascii") as f:
                f.write(whole)
            result = t.runtime("run", "-b", b.path, t.name())
            if result.code == 0:
                found = facts(result.out)
                raise AssertionError(f"{member} {text} became {found['uid']}, {found['gid']}, {found['groups']}")
            has(result.err, member)
    for member, missing in (("uid", {"gid": 5}), ("gid", {"uid": 5})):
        b.process["user"] = missing
        t.run(b).fails(member)


@envs("hybrid")
def test_t11_a_number_is_the_same_in_and_out(t):
    c = t.up()
    for n in (0, 1, 9, 10, 999, 65534, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffe):
        found = facts(c.probe("ids", options=("--user", f"{n}:{n}")).ok().out)
        eq((found["uid"], found["gid"]), (f"{n} {n} {n}",) * 2)
        b = t.bundle().probe("ids")
        b.process["user"] = {"uid": n, "gid": n, "additionalGids": [n]}
        found = facts(t.run(b).ok().out)
        eq((found["uid"], found["gid"], found["groups"]), (f"{n} {n} {n}", f"{n} {n} {n}", f"{n}"))


@envs("hybrid")
def test_t11_home_is_looked_up_by_number_alone(t):
    b = t.bundle().probe("env")
    b.write("etc/passwd", "1000:x:0:0::/home/of-a-name:/bin/sh\nx:x:01000:0::/home/octal:/bin/sh\ny:x:+1000:0::/home/sign:/bin/sh\n"
                          "z:x:4294968296:0::/home/wrapped:/bin/sh\na:x:1000:0::relative:/bin/sh\nb:x:1000:0::/home/real:/bin/sh\n")
    b.process["user"] = {"uid": 1000, "gid": 1000}
    homes = [e for e in t.run(b).ok().out.split("\0") if e.startswith("HOME=")]
    true(homes == ["HOME=/home/real"] or homes == ["HOME=/home/octal"], f"{json.dumps(homes)}")
