# SPDX-License-Identifier: Apache-2.0
"""The command line of CPU groups: what is printed, in which form, and with which status. No controller is needed."""

import contextlib
import json
import os
import re
import signal

import host
import linux
from case import deadline, each, envs, eq, has, hasnt, true
from load import Groups

WALL = "both"

ALL = ("hybrid", "host")


@contextlib.contextmanager
def groups(t, *names):
    """Groups without limits, which every host can have."""
    g = Groups(t)
    try:
        for name in names:
            g.create(name)
        yield g
    except BaseException:
        g.remove(kill=True)
        raise
    g.remove()


def error(result):
    """The error of a command that was asked for JSON: there and nowhere else."""
    result.exits(1)
    eq(result.err, "", "standard error")
    eq(result.out.count("\n"), 1, "lines")
    found = json.loads(result.out)["error"]
    true(set(found) >= {"kind", "message"} and set(found) <= {"kind", "message", "at", "hint"}, found)
    return found


# ---- commands below a command

@envs("hybrid")
def test_cpugroup_without_a_command_says_which_there_are(t):
    result = t.runtime("cpugroup").fails("requires a minimum of 1", code=1)
    has(result.out, "   create ", "   reserve-host ")
    eq(t.runtime("cpugroup", "--help").ok().out.split("COMMANDS")[1], result.out.split("COMMANDS")[1])


@envs("hybrid")
def test_each_command_below_cpugroup_has_help_in_three_ways(t):
    text = t.runtime("cpugroup", "--help").ok().out
    names = re.findall(r"^   ([a-z-]+)  +\S", text.split("COMMANDS:")[1].split("OPTIONS:")[0], re.M)
    eq(len(names), 20)
    for name in names:
        help_ = t.runtime("cpugroup", name, "--help").ok().out
        has(help_, f"bulkhead cpugroup {name} - ", "--format")
        eq(t.runtime("help", "cpugroup", name).ok().out, help_)


@envs("hybrid")
def test_a_mistyped_command_is_recognised(t):
    t.runtime("cpugroup", "membres").fails('has no command "membres"', 'did you mean "members"?', code=3)
    t.runtime("help", "cpugroup", "shwo").fails("no help topic for 'cpugroup shwo'", '"show"', code=3)
    t.runtime("help", "list", "all").fails("no help topic for 'list all'", code=3)


@envs("hybrid")
def test_a_bad_command_line_is_json_for_who_asked_for_json(t):
    for argv in (["create", "--bogus", "x", "--format", "json"], ["create", "--format=json"],
                 ["move", "-f", "json", "one"], ["set", "x", "--format", "json"], ["list", "--format", "yaml", "-f", "json"]):
        eq(error(t.runtime("cpugroup", *argv))["kind"], "invalid-value", argv)
    has(t.runtime("cpugroup", "create", "--bogus").fails("--bogus", code=1).out, "Incorrect Usage")


# ---- a group's life

@envs(*ALL)
def test_a_group_is_made_listed_shown_and_removed(t):
    with groups(t) as g:
        eq(g("list").ok().out.split(), "NAME CPUS CAP WEIGHT PARTITION MEMBERS STATE DRIFT".split())
        eq(g("list", "--format", "json").json, [])
        result = g("create", "gold").ok()
        eq([result.out, result.err], ["", ""])
        eq(g("create", "batch", "--parent", "gold", "--format", "json").json, {"name": "gold/batch", "action": "created"})
        eq(g("list", "-q").ok().out, "gold\ngold/batch\n")
        lines = g("list").ok().out.splitlines()
        eq([line.split()[0] for line in lines[1:]], ["gold", "gold/batch"])
        eq(lines[1].split()[-2:], ["empty", "-"])
        shown = g.show("gold")
        eq([shown[k] for k in ("name", "path", "state", "members", "groups", "adopted", "foreign", "drift")],
           ["gold", f"{g.base}/gold", "empty", 0, 1, False, False, []])
        true(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", shown["uuid"]), shown["uuid"])
        true(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", shown["created"]), shown["created"])
        eq(g("get", "gold", "--format", "json").json, shown)
        text = g("show", "gold").ok().out
        has(text, "gold: empty, 0 members, 1 group\n", shown["uuid"], "WANTED")
        g("delete", "gold/batch", "gold").ok()
        eq(g("list", "-q").ok().out, "")


@envs(*ALL)
def test_what_is_there_already_is_told_apart(t):
    with groups(t, "gold") as g:
        eq(error(g("create", "gold", "--format", "json"))["kind"], "exists")
        g("create", "gold", "--if-not-exists").ok()
        eq(error(g("show", "tin", "--format", "json"))["kind"], "not-found")
        eq(error(g("create", "tin/x", "--format", "json"))["kind"], "not-found")
        for argv in (["delete"], ["freeze"], ["kill"], ["wait"], ["stop"], ["stats"], ["members"], ["adopt"], ["export"]):
            eq(error(g(*argv, "tin", "--format", "json"))["kind"], "not-found", argv)
        g("delete", "tin", "--if-exists").ok()
        eq(g("delete", "tin", "gold", "--if-exists", "--format", "json").json, {"deleted": ["gold"]})


BAD = {"dots": "..", "kernel file": "cpu.max", "kernel name": "cgroup.procs", "blank": "a b", "slashes": "a//b",
       "empty": "", "newline": "a\nb", "up": "gold/../x", "long": "x" * 300}


@envs("hybrid")
@each(name=BAD)
def test_a_name_that_is_none_is_refused(t, name):
    with groups(t) as g:
        found = error(g("create", name, "--format", "json"))
        eq(found["kind"], "invalid-value")
        eq(error(g("show", name, "--format", "json"))["kind"], "invalid-value")
        hasnt(g("create", name).fails().err, "a\nb")
        true(not os.path.exists(g.top), "something was made")


@envs("hybrid")
@each(argv={"cap": ["--cap", "many"], "two shares": ["--weight", "5", "--nice", "3"], "weight": ["--weight", "0"],
            "cpus": ["--cpus", "3-1"], "memory": ["--memory", "much"],
            "reserve": ["--reserve", "-1"], "uclamp": ["--uclamp-min", "200"]})
def test_a_value_that_is_none_is_refused_and_nothing_is_made(t, argv):
    with groups(t) as g:
        eq(error(g("create", "gold", *argv, "--format", "json"))["kind"], "invalid-value")
        true(not os.path.exists(g.dir("gold")), "something was made")


@envs("hybrid")
@each(limit={"cap": ["cpu", "--cap", "50%"], "cpus": ["cpuset", "--cpus", "0"], "memory": ["memory", "--memory", "1g"],
             "pids": ["pids", "--pids-limit", "100"], "share": ["cpu", "--weight", "50"]})
def test_a_limit_is_set_or_without_its_controller_refused_by_name(t, limit):
    with groups(t, "silver") as g:
        if not host.lacks(f"controller {limit[0]}"):
            g("create", "gold", *limit[1:]).ok()
            return
        for argv in (["create", "gold"], ["set", "silver"]):
            found = error(g(*argv, *limit[1:], "--format", "json"))
            eq(found["kind"], "no-controller")
            has(found["message"], "controller", "hybrid")
            has(found["hint"], "cgroup_no_v1")
        true(not os.path.exists(g.dir("gold")), "something was made")
        eq(g.show("silver")["policy"], {})


@envs("hybrid")
def test_set_of_nothing_is_refused(t):
    with groups(t, "gold") as g:
        g("set", "gold").fails("nothing to set", code=1)


@envs(*ALL)
def test_the_base_is_an_option_or_a_variable(t):
    with groups(t) as g:
        other = f"{t.cgroup_path}/others"
        t.runtime("cpugroup", "create", "iron", options=["--cpu-group-base", other]).ok()
        eq(g("list", "-q").ok().out, "")
        eq(t.runtime("cpugroup", "list", "-q", options=["--cpu-group-base", other]).ok().out, "iron\n")
        eq(t.runtime("cpugroup", "list", "-q", env={**os.environ, "BULKHEAD_CPU_GROUP_BASE": other}).ok().out, "iron\n")
        t.runtime("cpugroup", "list", options=["--cpu-group-base", "/a/../b"]).fails("..", code=1)
        t.runtime("cpugroup", "delete", "iron", options=["--cpu-group-base", other]).ok()
        os.rmdir(f"{t.cgroup_base}/others")


# ---- members

@envs(*ALL)
def test_members_are_a_table_and_json(t):
    with groups(t, "gold", "gold/batch") as g:
        web = g.up("gold", t.bundle().probe("sleep", "1000"))
        job = g.up("gold/batch", t.bundle().probe("sleep", "1000"))
        alone = t.up()
        lines = g("members", "gold").ok().out.splitlines()
        eq(lines[0].split(), ["ID", "GROUP", "STATUS", "PIDS", "CPU", "CAP", "MEMORY"])
        eq([line.split()[:4] for line in lines[1:]], [[web.id, "gold", "running", "1"]])
        found = g("members", "--format", "json").json
        eq([(m["id"], m["group"]) for m in found], [(web.id, "gold"), (job.id, "gold/batch")])
        eq(found[0]["cgroup"], f"{g.base}/gold/{web.id}")
        eq([found[0]["pid"], found[0]["isolation"], found[0]["bundle"]], [web.pid, t.wall, web.bundle.path])
        eq(sorted(m["id"] for m in g("members", "gold", "--deep", "--format", "json").json), sorted([web.id, job.id]))
        eq([m["id"] for m in g("members", "/", "--format", "json").json], [alone.id])
        eq(g.show("gold")["members"], 1)
        eq(g.show("gold")["state"], "populated")
        found = error(g("delete", "gold", "--format", "json"))
        eq(found["kind"], "not-empty")
        eq(error(g("delete", "gold/batch", "--format", "json"))["kind"], "not-empty")


@envs(*ALL)
def test_list_has_a_column_for_groups_once_somebody_is_in_one(t):
    with groups(t, "gold") as g:
        alone = t.up()
        eq(t.runtime("list").ok().out.splitlines()[0].split()[-1], "OWNER")
        web = g.up("gold", t.bundle().probe("sleep", "1000"))
        lines = t.runtime("list").ok().out.splitlines()
        eq(lines[0].split()[-2:], ["OWNER", "GROUP"])
        eq({line.split()[0]: line.split()[-1] for line in lines[1:]}, {alone.id: "-", web.id: "gold"})
        found = {c["id"]: c for c in t.runtime("list", "-f", "json").json}
        eq(found[web.id]["cpuGroup"], "gold")
        true("cpuGroup" not in found[alone.id], "cpuGroup of a container in no group")


@envs(*ALL)
def test_a_move_says_what_it_did(t):
    with groups(t, "gold", "silver") as g:
        web = g.up("gold", t.bundle().probe("tree", 2)).wait_out("ready")
        has(g("move", web.id, "silver").ok().out, f"from {g.base}/gold/{web.id} to {g.base}/silver/{web.id}",
            "1 process moved" if t.wall == "vm" else "3 processes moved")
        moved = g("move", web.id, "silver", "--format", "json").json
        eq([moved["moved"], moved["to"]], [False, f"{g.base}/silver/{web.id}"])
        eq(g("move", web.id, "gold", "--check").json, {"admitted": True})
        eq(g("move", web.id, "/", "--format", "json").json["moved"], True)
        eq(g("members", "silver", "--format", "json").json, [])
        eq(error(g("move", web.id, "tin", "--format", "json"))["kind"], "not-found")
        eq(error(g("move", "nobody", "gold", "--format", "json"))["kind"], "not-found")
        eq(error(g("move", web.id, "a//b", "--format", "json"))["kind"], "invalid-value")
        g("move", web.id, "gold", "--require-clean", "little").fails("--require-clean")
        eq(g("repair", "--format", "json").json, {"repaired": [], "count": 0})


# ---- the whole group at once

@envs(*ALL)
def test_a_group_is_frozen_resumed_killed_and_waited_for(t):
    with groups(t, "gold") as g:
        web = g.up("gold", t.bundle().probe("sleep", "1000"))
        g("freeze", "gold").ok()
        eq([g.show("gold")["state"], web.status], ["frozen", "paused"])
        g("thaw", "gold").ok()
        eq([g.show("gold")["state"], web.status], ["populated", "running"])
        eq(error(g("wait", "gold", "--timeout", "50ms", "--format", "json"))["kind"], "timeout")
        eq(g("kill", "gold", "--format", "json").json, {"name": "gold", "action": "killed"})
        g("wait", "gold", "--timeout", "10s").ok()
        web.wait("stopped")
        eq(g("stats", "gold", "--format", "json").json[0]["populated"], False)


@envs(*ALL)
def test_a_signal_goes_to_the_first_process_of_each_container(t):
    with groups(t, "gold") as g:
        web = g.up("gold", t.bundle().probe("sleep", "1000"))
        g("kill", "gold", "sigkil").fails("sigkil", code=1)
        g("kill", "gold", "SIGUSR1").ok()
        g("stop", "gold", "--signal", "KILL", "--timeout", "1s").ok()
        web.wait("stopped")


@envs(*ALL)
def test_delete_with_kill_leaves_nothing(t):
    with groups(t, "gold", "gold/batch") as g:
        web = g.up("gold", t.bundle().probe("sleep", "1000"))
        job = g.up("gold/batch", t.bundle().probe("sleep", "1000"))
        eq(error(g("delete", "gold", "--kill", "--format", "json"))["kind"], "not-empty")
        g("delete", "gold", "--kill", "--recursive").ok()
        true(not os.path.exists(g.dir("gold")), "the group is left")
        for c in (web, job):
            c.delete("--force").ok()


# ---- numbers

@envs(*ALL)
def test_stats_are_a_table_json_and_prometheus_text(t):
    with groups(t, "gold", "gold/batch") as g:
        web = g.up("gold", t.bundle().probe("sleep", "1000"))
        lines = g("stats").ok().out.splitlines()
        eq(lines[0].split()[0], "NAME")
        eq([line.split()[0] for line in lines[1:]], ["gold", "gold/batch"])
        rows = g("stats", "gold", "--members", "--format", "json").json
        eq({(r["kind"], r["name"]) for r in rows}, {("group", "gold"), ("group", "gold/batch"), ("member", web.id)})
        true(rows[0]["cpu"]["usageUsec"] >= 0, "usage")
        text = g("stats", "--members", "--format", "prom").ok().out
        has(text, '# TYPE bulkhead_cpugroup_cpu_usage_seconds_total counter\n'
                  'bulkhead_cpugroup_cpu_usage_seconds_total{group="gold"} ',
            f'bulkhead_container_populated{{group="gold",id="{web.id}"}} 1\n',
            'bulkhead_cpugroup_populated{group="gold/batch"} 0\n')
        for line in text.splitlines():
            true(re.fullmatch(r'# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} \d+(\.\d+)?', line), line)
        g("stats", "--format", "prom", "--interval", "1s").fails("--interval", code=1)
        g("stats", "--interval", "soon").fails("--interval", code=1)


@envs(*ALL)
def test_stats_with_an_interval_go_on_until_nobody_reads(t):
    with groups(t, "gold") as g:
        out = t.file("stats")
        with open(out, "w", encoding="ascii") as f:
            process = t.spawn_runtime("cpugroup", "stats", "--interval", "100ms", "--format", "json", stdout=f)
        t.until(lambda: linux.read(out).count("\n") >= 2, 10, "two lines of statistics")
        process.terminate()
        eq(process.wait(), -signal.SIGTERM)
        row, = json.loads(linux.read(out).splitlines()[0])
        eq([row["name"], set(row["rate"]) >= {"cpus"}], ["gold", True])


@envs(*ALL)
def test_watch_prints_a_line_for_each_thing_that_happens(t):
    with groups(t, "gold") as g:
        out = t.file("events")
        with open(out, "w", encoding="ascii") as f:
            process = t.spawn_runtime("cpugroup", "watch", "gold", stdout=f)

        def events():
            return [json.loads(line) for line in linux.read(out).splitlines()]
        # It says nothing when it begins: what is done before that is not seen.
        def frozen():
            g("freeze", "gold").ok()
            g("resume", "gold").ok()
            return any(e["event"] == "frozen" for e in events())
        t.until(frozen, 20, "an event")
        g.up("gold", t.bundle().probe("sleep", "1000"))
        t.until(lambda: any(e["event"] == "populated" and e["after"] == "1" for e in events()), 10, "populated")
        g("delete", "gold", "--kill").ok()
        eq(process.wait(20), 0)
        eq(events()[-1]["event"], "gone")
        true(all(set(e) <= {"time", "event", "group", "before", "after"} and e["group"] == "gold" for e in events()),
             events())
        g("watch", "--timeout", "50ms").ok()
        g("watch", "--psi", "some 1h/1s").fails("1h")


# ---- declarations, topology, the rest

@envs(*ALL)
def test_what_is_exported_can_be_applied(t):
    with groups(t, "gold", "gold/batch", "silver") as g:
        text = g("export").ok().out
        eq(json.loads(text), {"version": 1, "groups": [{"name": n, "policy": {}} for n in
                                                       ("gold", "gold/batch", "silver")]})
        eq(json.loads(g("export", "gold").ok().out)["groups"][0]["name"], "gold")
        g("delete", "silver", "gold/batch").ok()
        has(g("apply", "--check", "-", input=text).ok().out, "create", "gold/batch")
        eq(g("list", "-q").ok().out, "gold\n")
        done = g("apply", t.file("groups.json", text), "--format", "json").json["changes"]
        eq(sorted((c["name"], c["action"]) for c in done),
           [("gold", "keep"), ("gold/batch", "create"), ("silver", "create")])
        some = json.dumps({"version": 1, "groups": [{"name": "gold", "policy": {}}]})
        has(g("apply", "-", "--prune", input=some).ok().out, "delete")
        eq(g("list", "-q").ok().out, "gold\n")


@envs("hybrid")
@each(text={"no JSON": "{", "no version": '{"groups":[]}', "other version": '{"version":2,"groups":[]}',
            "unknown member": '{"version":1,"groups":[{"name":"a","policy":{"cpu":"1"}}]}',
            "bad value": '{"version":1,"groups":[{"name":"a","policy":{"weight":0}}]}',
            "bad name": '{"version":1,"groups":[{"name":"..","policy":{}}]}'})
def test_a_file_that_is_none_is_refused_with_its_place(t, text):
    with groups(t) as g:
        found = error(g("apply", "-", "--format", "json", input=text))
        eq(found["kind"], "invalid-value")
        true("standard input" in found["message"] + found.get("at", ""), found)
        hasnt(found["message"] + found.get("at", ""), "config.json")


@envs(*ALL)
def test_a_directory_of_somebody_else_is_only_looked_at(t):
    with groups(t, "gold") as g:
        os.mkdir(g.dir("slice"))
        os.mkdir(g.dir("slice/app"))
        foreign = g.show("slice")
        eq([foreign["foreign"], foreign["state"], foreign["policy"], foreign["uuid"]], [True, "foreign", None, None])
        has(g("show", "slice").ok().out, "cpugroup adopt")
        eq(g("list", "-q").ok().out, "gold\n")
        eq(error(g("delete", "slice", "--format", "json"))["kind"], "conflict")
        g("adopt", "slice").ok()
        eq(g.show("slice")["adopted"], True)
        g("delete", "slice").ok()
        true(os.path.exists(g.dir("slice")), "the directory of somebody else is gone")


@envs(*ALL)
def test_topology_is_that_of_sysfs(t):
    found = t.runtime("cpugroup", "topology", "--format", "json").json
    cpus = sorted(int(n[3:]) for n in os.listdir("/sys/devices/system/cpu") if re.fullmatch(r"cpu\d+", n))
    eq(found["logicalProcessorCount"], len(cpus))
    eq([c["lpIndex"] for c in found["logicalProcessors"]], cpus)
    for c in found["logicalProcessors"]:
        at = f"/sys/devices/system/cpu/cpu{c['lpIndex']}/topology"
        eq([c["packageId"], c["coreId"], c["siblings"]],
           [int(linux.read(f"{at}/physical_package_id")), int(linux.read(f"{at}/core_id")),
            linux.read(f"{at}/thread_siblings_list").strip()])
    hcs = t.runtime("cpugroup", "topology", "--hcs").json
    eq(set(hcs["LogicalProcessors"][0]), {"LpIndex", "NodeNumber", "PackageId", "CoreId", "RootVpIndex"})
    eq(len(t.runtime("cpugroup", "topology").ok().out.splitlines()), len(cpus) + 1)


@envs("hybrid")
def test_reserve_host_needs_to_know_which_cpus(t):
    with groups(t) as g:
        g("reserve-host").fails("--cpus", code=1)
        result = g("reserve-host", "--cpus", "0", "--check", "--format", "json")
        if host.lacks("controller cpuset"):
            eq(error(result)["kind"], "no-controller")
        else:
            eq(result.json["action"], "admitted")


@envs(*ALL)
def test_check_tells_what_cpu_groups_can_limit(t):
    with groups(t, "gold") as g:
        found = {c["name"]: c for c in json.loads(t.runtime("check", "--format", "json").out)["checks"]}
        true("limit" in found["cpu groups"]["detail"], found["cpu groups"])
        eq(found["cpu group base"]["detail"], f"{g.base} has 1 group")


# ---- with real controllers

@envs("host")
@deadline(60)
def test_a_policy_is_shown_beside_what_the_kernel_says(t):
    with groups(t) as g:
        g("create", "gold", "--cap", "50%", "--weight", "300", "--memory", "256m", "--pids-limit", "64").ok()
        shown = g.show("gold")
        eq(shown["policy"], {"cap": "50%", "weight": 300, "memory": 256 << 20, "pids": 64})
        quota, period = shown["effective"]["cpuMax"].split()
        eq(int(quota), int(period) * shown["effective"]["nCpus"] // 2)
        eq(shown["effective"]["cpuWeight"], "300")
        has(g("show", "gold").ok().out, "50%", "256M", f"{quota} {period}")
        g("set", "gold", "--idle").ok()
        eq(g.show("gold")["effective"]["cpuIdle"], "1")
        g("set", "gold", "--idle=false").ok()
        eq(g.show("gold")["effective"]["cpuWeight"], "300")


@envs("host")
@deadline(60)
def test_drift_is_flagged_until_it_is_set_right(t):
    with groups(t) as g:
        gold = g.create("gold", "--cap", "1.5")
        with open(f"{gold}/cpu.max", "w", encoding="ascii") as f:
            f.write("max 100000")
        eq(g("list").ok().out.splitlines()[1].split()[-1], "cap")
        drift, = g.show("gold")["drift"]
        eq([drift["member"], drift["wanted"]], ["cap", "150000 100000"])
        has(g("show", "gold").ok().out, "DRIFT: cap")
        g("set", "gold", "--cap", "1.5").ok()
        eq(g.show("gold")["drift"], [])


@envs("host")
@deadline(60)
def test_more_than_there_is_is_refused_with_the_numbers(t):
    with groups(t) as g:
        g("create", "gold", "--cap", "1").ok()
        eq(g("create", "gold/a", "--reserve", "0.5", "--check").json,
           {"admitted": True, "capacity": "1", "claimed": "0", "asked": "0.5"})
        true(not os.path.exists(g.dir("gold/a")), "--check made a group")
        g("create", "gold/a", "--reserve", "0.75").ok()
        for check in ([], ["--check"]):
            found = error(g("create", "gold/b", "--reserve", "0.5", "--format", "json", *check))
            eq(found["kind"], "admission")
            has(found["message"], "0.5", "0.75")
