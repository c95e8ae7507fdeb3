# SPDX-License-Identifier: Apache-2.0
"""diff, commit, sandbox export and import: what a container changed leaves it, whole and unchanged."""

import json
import os
import subprocess
import tarfile
import time

import linux
from case import deadline, each, envs, eq, has, hasnt, true, wall
from changes import (base, call, changes, check_layout, commit, config_of, manifest_of, members, running, seen,
                     store_of, without)
from images import Layout, docker_archive, entry, layer, tree

WALL = "both"

# All that can happen to files, in one container.
SCRIPT = r"""
echo changed >/dir/a; rm /dir/b; rm -r /gone; mkdir /gone; echo new >/gone/new
chmod 600 /keep; chown -h 1000:3000000 /soft; mkdir -p /deep/er; echo x >/deep/er/f; mv /dir /moved; echo y >/moved/y
ln /deep/er/f /hard; ln -s ../nowhere /dangling; mknod /node c 1 3; mkfifo /pipe; chmod 4755 /hard
touch "/new
line" "/$(printf 'latin\351')"; dd if=/dev/zero of=/holes bs=1 count=1 seek=1000000 2>/dev/null
mkdir /$(printf 'n%.0s' $(seq 150)); echo l >/$(printf 'n%.0s' $(seq 150))/$(printf 'f%.0s' $(seq 200))
touch -d '2001-02-03 04:05:06' /keep
"""


@envs("hybrid")
def test_diff_lists_what_was_added_modified_and_deleted(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, "echo 1 >/new; echo 2 >/dir/a; rm /dir/b; rm -r /gone; mv /dir/sub /elsewhere")
    wanted = ["M /dir", "M /dir/a", "D /dir/b", "D /dir/sub", "A /elsewhere", "A /elsewhere/c", "D /gone", "A /new"]
    eq(changes(t, c.id), wanted)
    eq(c.status, "running")
    told = call(t, "diff", "-f", "json", c.id).json
    eq([f"{x['change'][0].upper()} {x['path']}" for x in told], wanted)
    eq([x for x in told if x["path"] == "/new"], [{"change": "added", "path": "/new", "type": "file", "size": 2}])
    c.kill("KILL").ok()
    c.wait("stopped")
    eq(changes(t, c.id), wanted, "of a stopped container")


@envs("hybrid")
def test_diff_of_a_container_that_wrote_nothing_is_empty(t):
    t.need("root", "libarchive", "overlay")
    eq(changes(t, running(t).id), [])


@envs("hybrid")
def test_diff_keeps_a_change_on_its_line(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, 'touch "/a\nb" "/c\\d"')
    eq(changes(t, c.id), ["A /a\\012b", "A /c\\134d"])


@envs("hybrid")
@deadline(60)
@each(way={"umoci": ("umoci", "gzip"), "import": ("import", "gzip"), "import zstd": ("import", "zstd"),
           "skopeo": ("skopeo", "gzip")})
def test_commit_gives_the_files_that_the_container_sees(t, way):
    way, compression = way
    t.need("root", "libarchive", "overlay", way if way != "import" else "root")
    c = running(t, SCRIPT)
    wanted = seen(c)
    true(len(wanted) > 60, "a container's files")
    path = commit(t, c, "--compression", compression)
    eq(check_layout(path), ["new"])
    if way == "umoci":
        t.call(["umoci", "unpack", "--image", f"{path}:new", f"{t.tmp}/unpacked"]).ok()
        eq(without(tree(f"{t.tmp}/unpacked/rootfs"), wanted), wanted)
        return
    source = f"oci:{path}:new"
    if way == "skopeo":
        source = f"docker-archive:{t.tmp}/saved.tar"
        t.call(["skopeo", "copy", f"oci:{path}:new", f"{source}:web:new"]).ok()
    call(t, "layer", "import", "-q", source, "back").ok()
    again = t.container(t.bundle().writable().shell("echo done; exec sleep 1000"))
    again.run_detached("--image", "back").ok()
    again.wait_out("done")
    eq(without(seen(again), wanted), wanted)


@envs("hybrid")
def test_commit_writes_what_image_spec_says(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, SCRIPT)
    path = commit(t, c)
    found = members(path, "new")
    eq([n for n in found if ".wh." in n], [".wh.dir", "gone/.wh..wh..opq"])
    eq([(found[n].type, found[n].linkname) for n in ("hard",)], [(tarfile.LNKTYPE, "deep/er/f")])
    eq((found["keep"].mode, found["keep"].mtime, found["soft"].gid), (0o600, 981173106, 3000000))
    eq(found["pipe"].type, tarfile.FIFOTYPE)
    if t.wall == "process":  # a guest makes no device nodes on the host's file systems
        eq((found["node"].devmajor, found["node"].devminor), (1, 3))
    for name, m in found.items():
        hasnt(" ".join(m.pax_headers), "atime", "ctime", "trusted.overlay")
        true(not name.startswith("proc/") and not name.startswith("dev/"), f"a mount in the image: {name}")


@envs("hybrid")
@each(compression={"gzip": "gzip", "zstd": "zstd", "none": "none"})
def test_two_commits_of_the_same_content_are_the_same_bytes(t, compression):
    t.need("root", "libarchive", "overlay")
    c = running(t, SCRIPT)
    one = commit(t, c, "--compression", compression, layout="one")
    two = commit(t, c, "--compression", compression, layout="two")
    for top, _, files in os.walk(one):
        for name in files:
            other = os.path.join(two, os.path.relpath(top, one), name)
            with open(f"{top}/{name}", "rb") as a, open(other, "rb") as b:
                true(a.read() == b.read(), f"{other} is the same")


@envs("hybrid")
def test_commit_makes_a_config_of_the_base_and_the_changes(t):
    t.need("root", "libarchive", "overlay")
    base(t, Labels={"a": "1"}, User="app", ExposedPorts={"80/tcp": {}})
    c = running(t, "echo >/new")
    path = commit(t, c, "-c", 'CMD ["echo", "hi"]', "-c", "ENV A=1 B='2 3'", "-c", "LABEL b=2", "-c", "WORKDIR /data",
                  "-a", "me", "-m", "why")
    config = config_of(path, "new")
    eq(config["config"], {"Env": ["PATH=" + config["config"]["Env"][0][5:], "A=1", "B=2 3"], "Cmd": ["echo", "hi"],
                          "Labels": {"a": "1", "b": "2"}, "User": "app", "ExposedPorts": {"80/tcp": {}},
                          "WorkingDir": "/data"})
    eq(config["author"], "me")
    eq(config["history"][-1]["comment"], "why")
    eq(len(config["rootfs"]["diff_ids"]), 3)
    eq(len([h for h in config["history"] if not h.get("empty_layer")]), 3)
    dated = commit(t, c, "--created", "1", tag="dated")
    eq(config_of(dated, "dated")["created"], "1970-01-01T00:00:01Z")
    env = {**os.environ, "SOURCE_DATE_EPOCH": "2"}
    call(t, "commit", c.id, f"oci:{path}:epoch", env=env).ok()
    eq(config_of(path, "epoch")["created"], "1970-01-01T00:00:02Z")
    eq(check_layout(path), ["dated", "epoch", "new"])


@envs("hybrid")
def test_commit_of_nothing_is_the_image_it_began_with(t):
    t.need("root", "libarchive", "overlay")
    c = running(t)
    path = commit(t, c)
    eq(config_of(path, "new"), config_of(f"{t.tmp}/base", "base"))
    eq(len(manifest_of(path, "new")["layers"]), 2)


@envs("hybrid")
def test_commit_takes_the_layers_below_from_where_they_are(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, "echo >/new")
    commit(t, c, layout="base")
    ours, theirs = manifest_of(f"{t.tmp}/base", "new"), manifest_of(f"{t.tmp}/base", "base")
    eq([x["digest"] for x in ours["layers"][:2]], [x["digest"] for x in theirs["layers"]], "kept in the target")
    other = manifest_of(commit(t, c), "new")
    eq(other["layers"], ours["layers"], "copied from the source")
    result = call(t, "commit", c.id, f"oci:{t.tmp}/out:second").ok()
    hasnt(result.err, "made again")


@envs("hybrid")
@each(how={"gone": "gone", "damaged": "damaged"})
def test_commit_makes_layers_again_when_their_source_is_gone(t, how):
    t.need("root", "libarchive", "overlay", "umoci")
    c = running(t, "echo new >/new")
    wanted = seen(c)
    blob = manifest_of(f"{t.tmp}/base", "base")["layers"][1]["digest"][7:]
    if how == "gone":
        os.rename(f"{t.tmp}/base", f"{t.tmp}/away")
    else:
        with open(f"{t.tmp}/base/blobs/sha256/{blob}", "r+b") as f:
            f.seek(20)
            f.write(b"\xff\x00\xff")
    result = call(t, "commit", c.id, f"oci:{t.tmp}/out:new").ok()
    has(result.err, "is made again, with another diffID")
    eq(check_layout(f"{t.tmp}/out"), ["new"])
    t.call(["umoci", "unpack", "--image", f"{t.tmp}/out:new", f"{t.tmp}/unpacked"]).ok()
    eq(without(tree(f"{t.tmp}/unpacked/rootfs"), wanted), wanted)
    again = call(t, "commit", "--format", "json", c.id, f"oci:{t.tmp}/two:new").ok()
    eq(check_layout(f"{t.tmp}/two"), ["new"])
    eq(json.loads(again.out)["manifest"], result.out.strip(), "made again twice")


@envs("hybrid")
def test_commit_compresses_what_docker_saved_plain(t):
    t.need("root", "libarchive", "overlay", "umoci")
    import image
    docker_archive(f"{t.tmp}/saved.tar", ["web:latest"], image.layer(t.programs), layer(entry("dir"), entry("dir/a", b"1")))
    call(t, "layer", "import", "-q", f"docker-archive:{t.tmp}/saved.tar", "base").ok()
    c = running(t, "echo 2 >/dir/a")
    wanted = seen(c)
    path = commit(t, c)
    eq([x["mediaType"].rsplit(".", 1)[1] for x in manifest_of(path, "new")["layers"]], ["tar+gzip"] * 3)
    eq(config_of(path, "new")["rootfs"]["diff_ids"][:2],
       [f"sha256:{x}" for x in [d["diffId"][7:] for d in call(t, "layer", "show", "-f", "json", "base").json["layers"]]])
    t.call(["umoci", "unpack", "--image", f"{path}:new", f"{t.tmp}/unpacked"]).ok()
    eq(without(tree(f"{t.tmp}/unpacked/rootfs"), wanted), wanted)


# ---- a container that runs ----

TICK = "i=0; while :; do i=$((i+1)); echo $i >/one; echo $i >/two; done"


@deadline(60)
def test_commit_of_a_running_container_is_of_one_moment(t):
    t.need("root", "libarchive", "overlay", "umoci")
    c = running(t, "echo done >/dev/stdout", then=TICK)
    t.until(lambda: c.exec("test", "-e", "/two").code == 0, 5, "the first round")
    for i in range(5):
        path = commit(t, c, tag=f"t{i}", layout="out")
        eq(c.status, "running")
        t.call(["umoci", "unpack", "--image", f"{path}:t{i}", f"{t.tmp}/u{i}"]).ok()
        one, two = (linux.read(f"{t.tmp}/u{i}/rootfs/{n}").strip() for n in ("one", "two"))
        # Written one after the other: a file that was being written is empty.
        true("" in (one, two) or int(one) - int(two) in (0, 1), f"{one} and {two}")


@wall("process", "a paused guest cannot write what it holds: commit and diff refuse it (test_vm_exec)")
def test_commit_leaves_a_paused_container_paused(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, "echo >/new")
    c.pause().ok()
    commit(t, c)
    eq(changes(t, c.id), ["A /new"])
    eq(c.status, "paused")
    c.resume().ok()
    eq(c.status, "running")


@deadline(120)
@each(call_={name: name for name in ("pwrite64", "writev", "write", "linkat", "fsync", "openat")})
def test_commit_that_is_killed_leaves_the_container_running_and_the_target_as_it_was(t, call_):
    """kill -9 at the first, second … of these calls, until the commit is through before it comes to that."""
    t.need("root", "libarchive", "overlay", "strace")
    c = running(t, "echo >/new; echo 2 >/dir/a")
    out = commit(t, c, tag="old")
    c.exec("sh", "-c", "echo more >/more").ok()
    step, count = (7 if call_ == "openat" else 1), 1
    for count in range(1, 400, step):
        result = t.call(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call_}", "-e",
                         f"inject={call_}:signal=KILL:when={count}",
                         *t.command("commit", c.id, f"oci:{out}:new", options=("--store", store_of(t)))])
        t.until(lambda: c.status == "running", 5, f"the container to go on, killed at {call_} {count}")
        true(check_layout(out) in (["old"], ["new", "old"]), f"tags after a kill at {call_} {count}")
        eq([n for n in os.listdir(out) if n not in ("blobs", "index.json", "oci-layout", ".index.json.new")], [])
        eq([n for n in os.listdir(f"{out}/blobs/sha256") if len(n) != 64], [], "names of blobs")
        if result.code == 0:
            break
    eq(check_layout(out), ["new", "old"])
    t.until(lambda: not helpers(), 5, "the helpers to end")


def helpers():
    """Processes of ours that ignore signals and have nobody."""
    return [p for p in linux.children() if "commit" in linux.read(f"/proc/{p}/cmdline", "")]


def test_commit_that_the_terminal_interrupts_thaws(t):
    """A signal to the whole process group, as Ctrl-C sends it, ends the command and not its helper."""
    t.need("root", "libarchive", "overlay")
    c = running(t, "dd if=/dev/urandom of=/big bs=1M count=64 2>/dev/null")
    process = t.spawn(t.command("commit", c.id, f"oci:{t.tmp}/out", options=("--store", store_of(t))),
                      start_new_session=True)
    t.until(lambda: c.status == "paused" or process.poll() is not None, 10, "the freeze")
    true(process.poll() is None, "64 MiB take longer than this")
    os.killpg(process.pid, 9)
    process.wait()
    t.until(lambda: c.status == "running", 5, "the thaw")
    eq(check_layout(f"{t.tmp}/out"), [])


def test_commit_says_so_when_somebody_resumes_the_container(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, "dd if=/dev/urandom of=/big bs=1M count=64 2>/dev/null")
    process = t.spawn(t.command("commit", c.id, f"oci:{t.tmp}/out", options=("--store", store_of(t))),
                      stderr=subprocess.PIPE)
    t.until(lambda: c.status == "paused", 10, "the freeze")
    time.sleep(0.05)  # the command has to have seen it, too
    c.resume().ok()
    has(process.communicate(timeout=30)[1].decode(), "was resumed while its files were read")
    eq(process.returncode, 1)
    eq(check_layout(f"{t.tmp}/out"), [])


@envs("hybrid")
def test_commit_of_a_kept_sandbox_whose_container_is_gone(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, "echo >/new", "--sandbox", "keep")
    c.delete("--force").ok()
    eq(changes(t, c.id), ["A /new"])
    path = commit(t, c)
    true("new" in members(path, "new"), "the file")
    call(t, "sandbox", "remove", c.id).ok()
    call(t, "diff", c.id).fails("does not exist")


# ---- errors ----

@envs("hybrid")
def test_commit_errors_name_their_cause(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, "echo >/new")
    call(t, "commit", "nothere", f"oci:{t.tmp}/x").fails("container does not exist", code=1)
    call(t, "commit", c.id, f"docker-archive:{t.tmp}/x").fails("is no place for an image")
    call(t, "commit", c.id, f"oci:{t.tmp}/x:bad tag").fails('"bad tag" is no tag')
    true(not os.path.exists(f"{t.tmp}/x"), "nothing was made")
    t.file("full/precious")
    call(t, "commit", c.id, f"oci:{t.tmp}/full").fails("is no image layout", "precious")
    eq(os.listdir(f"{t.tmp}/full"), ["precious"])
    call(t, "commit", "-c", "RUN x", c.id, f"oci:{t.tmp}/x").fails("the instructions are")
    call(t, "commit", "--created", "soon", c.id, f"oci:{t.tmp}/x").fails("--created must be a number")
    plain = t.up()
    call(t, "commit", plain.id, f"oci:{t.tmp}/x").fails("has no sandbox", plain.bundle.rootfs)
    call(t, "diff", plain.id).fails("has no sandbox")
    eq(c.status, "running")


@envs("hybrid")
def test_commit_on_a_full_disk_leaves_the_target_as_it_was(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, "echo >/new")
    small = commit(t, c, layout="small")
    c.exec("dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=6").ok()
    command = " ".join(t.command("commit", c.id, f"oci:{t.tmp}/m/out:big", options=("--store", store_of(t))))
    script = (f"mount -t tmpfs -o size=5m none {t.dir('m')} && cp -a {small} {t.tmp}/m/out && "
              f"find {t.tmp}/m | sort >{t.tmp}/before; {command}; echo status $?; find {t.tmp}/m | sort >{t.tmp}/after; "
              f"cp -a {t.tmp}/m/out {t.tmp}/out")
    result = t.call(["unshare", "-m", "sh", "-c", script])
    has(result.err, "no space left on device", "cannot commit the sandbox")
    eq(result.out, "status 1\n")
    eq(check_layout(f"{t.tmp}/out"), ["new"])
    eq(linux.read(f"{t.tmp}/before"), linux.read(f"{t.tmp}/after"))
    eq(c.status, "running")


@envs("hybrid")
@deadline(60)
def test_commits_into_one_layout_at_once_are_all_there(t):
    t.need("root", "libarchive", "overlay")
    cs = [running(t, f"echo {i} >/new") for i in range(4)]
    all_ = [t.spawn(t.command("commit", c.id, f"oci:{t.tmp}/out:t{i}", options=("--store", store_of(t))))
            for i, c in enumerate(cs)]
    eq([p.wait(50) for p in all_], [0] * 4)
    eq(check_layout(f"{t.tmp}/out"), ["t0", "t1", "t2", "t3"])


# ---- archives ----

@envs("hybrid")
def test_sandbox_export_and_import_carry_the_changes(t):
    t.need("root", "libarchive", "overlay")
    c = running(t, SCRIPT, "--sandbox", "keep")
    wanted, told = seen(c), changes(t, c.id)
    call(t, "sandbox", "export", "-o", f"{t.tmp}/a.tar", c.id).ok()
    call(t, "sandbox", "import", c.id, f"{t.tmp}/a.tar").fails("still there")
    piped = t.call(["sh", "-c", " ".join(t.command("sandbox", "export", c.id, options=("--store", store_of(t)))) +
                    f" | cmp - {t.tmp}/a.tar"])
    piped.ok()
    c.delete("--force").ok()
    call(t, "sandbox", "import", c.id, f"{t.tmp}/a.tar").fails("is not empty", "sandbox reset")
    call(t, "sandbox", "reset", c.id).ok()
    eq(changes(t, c.id), [])
    with open(f"{t.tmp}/a.tar", "rb") as f:
        call(t, "sandbox", "import", c.id, "-", stdin=f).ok()
    eq(changes(t, c.id), told)
    again = t.container(t.bundle().writable().shell("echo done; exec sleep 1000"), name=c.id)
    again.run_detached("--image", "base", "--sandbox", "keep").ok()
    again.wait_out("done")
    eq(without(seen(again), wanted), wanted)
    again.delete("--force").ok()
    call(t, "sandbox", "reset", c.id).ok()
    t.file("bad.tar", "this is no archive" * 100)
    call(t, "sandbox", "import", c.id, f"{t.tmp}/bad.tar").fails("cannot import into the sandbox")
    eq(changes(t, c.id), [])
    call(t, "sandbox", "remove", c.id).ok()


@envs("hybrid")
@deadline(120)
@each(isolation={"chroot": ("--isolation", "chroot"), "this runtime": ("--isolation", "oci")})
def test_commit_gives_an_image_that_buildah_builds_on(t, isolation):
    t.need("root", "libarchive", "overlay", "buildah")
    c = running(t, "echo one >/made; rm -r /gone; mkdir /gone; rm /dir/a")
    path = commit(t, c)
    policy = t.file("policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
    runtime = ("--runtime", t.binary, "--runtime-flag", f"root={t.dir('r', 0o700)}", "--network", "none") if "oci" in isolation else ()
    script = f"""set -e
buildah() {{ command buildah --root {t.tmp}/st --runroot {t.tmp}/run --storage-driver vfs "$@"; }}
c=$(buildah from -q --signature-policy {policy} oci:{path}:new)
buildah run {' '.join((*isolation, *runtime))} $c -- sh -c 'cat /made; ls -A /gone /dir; echo two >/made'
buildah commit -q --signature-policy {policy} $c oci:{path}:next >/dev/null
buildah rm $c >/dev/null
"""
    result = t.call(["unshare", "-m", "sh", "-c", script], timeout=100).ok()
    eq(result.out, "one\n/dir:\nb\nsub\n\n/gone:\n")
    eq(check_layout(path), ["new", "next"])
    call(t, "layer", "import", "-q", f"oci:{path}:next", "next").ok()
    eq(call(t, "run", "-b", t.bundle().writable().shell("cat /made; ls /dir").save().path, "--image", "next", t.name()).ok().out,
       "two\nb\nsub\n")
