# SPDX-License-Identifier: Apache-2.0
"""linux.resources: limits that reach the kernel, and limits that cannot."""

import os

import linux
from case import each, eq, has, true, wall

WALL = "both"


def limited(t, **resources):
    b = t.bundle().probe("sleep", 1000)
    b.linux["resources"] = resources
    return b


def test_a_hugepage_limit_reaches_the_kernel(t):
    t.need("controller hugetlb")
    c = t.up(limited(t, hugepageLimits=[{"pageSize": "2MB", "limit": 4 << 20}]))
    eq(c.limit("hugetlb.2MB.max"), str(4 << 20))
    if os.path.exists(f"{c.cgroup}/hugetlb.2MB.rsvd.max"):
        eq(c.limit("hugetlb.2MB.rsvd.max"), str(4 << 20))


def test_a_hugepage_size_the_kernel_does_not_have_is_refused(t):
    t.need("controller hugetlb")
    t.run(limited(t, hugepageLimits=[{"pageSize": "3MB", "limit": 0}])).fails("3MB")


@each(case={
    "memory": ({"memory": {"limit": 64 << 20}}, "memory"), "pids": ({"pids": {"limit": 10}}, "pids"),
    "cpu quota": ({"cpu": {"quota": 1000, "period": 100000}}, "cpu"), "cpu shares": ({"cpu": {"shares": 512}}, "cpu"),
    "cpuset": ({"cpu": {"cpus": "0"}}, "cpuset"), "block io": ({"blockIO": {"weight": 100}}, "io"),
    "unified": ({"unified": {"memory.high": "1000000"}}, "memory"),
})
def test_a_limit_whose_controller_is_missing_is_an_error_that_says_so(t, case):
    resources, controller = case
    t.need(f"no controller {controller}")
    c = t.container(limited(t, **resources))
    c.create().fails(controller)
    eq(t.state_names(), [])
    true(not os.path.exists(f"{t.cgroup_base}/{c.id}"), "the cgroup is left")


@each(resources={
    "empty": {}, "docker": {"memory": {"disableOOMKiller": False}, "cpu": {"shares": 0}, "blockIO": {"weight": 0}},
    "containerd": {"cpu": {"shares": 1024}}, "none": {"memory": {"limit": -1, "swap": -1}, "pids": {"limit": -1}},
})
def test_what_engines_send_when_nothing_is_limited_needs_no_controller(t, resources):
    t.up(limited(t, **resources))


@wall("both", quick=True)
def test_memory_over_the_limit_is_killed(t):
    t.need("controller memory")
    b = limited(t, memory={"limit": 16 << 20}).probe("fill", 64)
    t.run(b).exits(137)


@wall("both", quick=True)
def test_processes_over_the_limit_are_refused(t):
    t.need("controller pids")
    out = t.run(limited(t, pids={"limit": 5}).probe("forks", 20)).facts
    eq(out, {"forks": "4", "stopped": "EAGAIN"})


def test_a_core_file_of_the_unified_map_is_written_without_a_controller(t):
    c = t.up(limited(t, unified={"cgroup.max.depth": "3", "cgroup.max.descendants": "4"}))
    eq(c.limit("cgroup.max.depth"), "3")
    eq(c.limit("cgroup.max.descendants"), "4")


def test_a_file_the_kernel_does_not_have_is_refused_by_name(t):
    t.run(limited(t, unified={"cgroup.nosuch": "1"})).fails("cgroup.nosuch")


def test_a_value_the_kernel_refuses_is_shown(t):
    t.run(limited(t, unified={"cgroup.max.depth": "deep"})).fails("cgroup.max.depth", "deep")


def test_controllers_are_enabled_along_the_way(t):
    t.need("controller hugetlb")
    b = limited(t, hugepageLimits=[{"pageSize": "2MB", "limit": 0}])
    b.linux["cgroupsPath"] = f"{t.cgroup_path}/a/b/c"
    c = t.up(b)
    has(linux.read(f"{t.cgroup_base}/a/b/cgroup.subtree_control"), "hugetlb")
    c.delete("--force").ok()
    for path in ("a/b", "a"):
        if os.path.exists(f"{t.cgroup_base}/{path}"):
            os.rmdir(f"{t.cgroup_base}/{path}")


@wall("process", "what a guest may write is the guest's own cgroup")
def test_ownership_of_the_cgroup_goes_to_a_user_namespace_that_may_write_it(t):
    t.need("user namespace")
    b = t.bundle().user_namespace().probe("sleep", 1000)
    for mount in b.config["mounts"]:
        if mount["destination"] == "/sys/fs/cgroup":
            mount["options"].remove("ro")
    c = t.up(b)
    eq(os.stat(c.cgroup).st_uid, 100000)
    eq(os.stat(f"{c.cgroup}/cgroup.procs").st_uid, 100000)
    eq(os.stat(f"{c.cgroup}/cgroup.freeze").st_uid, 0)
    read_only = t.up(t.bundle().user_namespace().probe("sleep", 1000))
    eq(os.stat(read_only.cgroup).st_uid, 0)


def test_the_layout_of_the_host_is_told_to_who_asks_for_a_limit(t):
    t.need("hybrid cgroups", "no controller memory")
    t.run(limited(t, memory={"limit": 64 << 20})).fails("memory", "v1")
