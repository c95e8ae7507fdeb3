# SPDX-License-Identifier: Apache-2.0
"""layer: images into the store, out of it, and proof that nothing changed meanwhile."""

import json
import os
import stat
import subprocess
import sys
import tarfile

from case import deadline, each, envs, eq, has, hasnt, true
from images import Layout, docker_archive, entry, hardlink, layer, link, packed, sha256, tree

WALL = ("process", "the store, without a container")


def layers(t, *argv, store=None, **more):
    t.need("root", "libarchive")
    return t.runtime("layer", *argv, options=("--store", store or f"{t.tmp}/store"), **more)


def store_of(t):
    return f"{t.tmp}/store"


def tree_of(t, hexes):
    return f"{store_of(t)}/layers/{hexes}/tree"


def left(t):
    """What the store holds besides its skeleton: to be empty after something was refused."""
    return sorted(name for d in ("layers", "images", "refs", "work") if os.path.isdir(f"{store_of(t)}/{d}")
                  for name in os.listdir(f"{store_of(t)}/{d}"))


def one_layer(t, *entries, how="gzip", **more):
    """Imports an image of one layer with these entries; the path of its tree."""
    data = layer(*entries, **more)
    Layout(f"{t.tmp}/layout").image("a", data, how=how)
    layers(t, "import", f"oci:{t.tmp}/layout:a", "img").ok()
    return tree_of(t, sha256(data))


def refused(t, *entries, says=(), **more):
    Layout(f"{t.tmp}/layout").image("a", layer(*entries), **more)
    result = layers(t, "import", f"oci:{t.tmp}/layout:a", "img").fails("cannot import", *says, code=1)
    eq(left(t), [], "left in the store")
    return result


@envs("hybrid")
@each(how={"gzip": "gzip", "zstd": "zstd", "plain": "plain"})
def test_layer_import_reads_every_compression(t, how):
    path = one_layer(t, entry("etc"), entry("etc/motd", b"hello\n"), how=how)
    with open(f"{path}/etc/motd", "rb") as f:
        eq(f.read(), b"hello\n")
    layers(t, "verify").ok()


@envs("hybrid")
def test_layer_import_keeps_what_a_tar_archive_can_say(t):
    nfd = "cafe\u0301"  # composed it would be another name
    capability = "\x01\x00\x00\x02\x00\x04" + "\x00" * 14
    path = one_layer(
        t, entry("./", mode=0o711), entry("bin"), entry("bin/su", b"x", mode=0o4755, uid=7, gid=8),
        entry("bin/ping", b"p", pax_headers={"SCHILY.xattr.security.capability": capability,
                                             "SCHILY.xattr.user.note": "hi"}),
        hardlink("bin/su2", "bin/su"), link("bin/sh", "/bin/su"), link("up", "../../etc"),
        entry("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        entry("sda", kind=tarfile.BLKTYPE, devmajor=8, devminor=0), entry("pipe", kind=tarfile.FIFOTYPE),
        entry("tmp", mode=0o1777), entry("a" * 120 + "/" + "b" * 200, b"long"), entry(nfd, b"n"),
        entry("late", b"1"), entry("late", b"2"), entry("big", b"", uid=3000000000))
    st = os.lstat(f"{path}/bin/su")
    eq((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_mtime, st.st_nlink), (0o4755, 7, 8, 1600000000, 2))
    eq(os.getxattr(f"{path}/bin/ping", "security.capability"), capability.encode("latin1"))
    eq(os.getxattr(f"{path}/bin/ping", "user.note"), b"hi")
    eq(os.readlink(f"{path}/bin/sh"), "/bin/su")
    eq(os.readlink(f"{path}/up"), "../../etc")
    eq(os.lstat(f"{path}/null").st_rdev, os.makedev(1, 3))
    eq(os.lstat(f"{path}/sda").st_rdev, os.makedev(8, 0))
    true(stat.S_ISFIFO(os.lstat(f"{path}/pipe").st_mode), "a fifo")
    eq(stat.S_IMODE(os.stat(f"{path}/tmp").st_mode), 0o1777)
    eq(stat.S_IMODE(os.stat(path).st_mode), 0o711)
    eq(os.stat(f"{path}/tmp").st_mtime, 1600000000)
    eq(os.stat(path).st_mtime, 1600000000)
    eq(os.lstat(f"{path}/big").st_uid, 3000000000)
    true(nfd in os.listdir(path), "the very bytes of a name")
    true(os.path.exists(f"{path}/{'a' * 120}/{'b' * 200}"), "a long name")
    with open(f"{path}/late", "rb") as f:
        eq(f.read(), b"2", "the last of two entries")
    layers(t, "verify", "img").ok()


@envs("hybrid")
def test_layer_import_keeps_names_of_any_bytes(t):
    path = one_layer(t, entry("latin\udce9", b"1"), entry("new\nline", b"2"), form=tarfile.GNU_FORMAT)
    eq(sorted(os.listdir(os.fsencode(path))), [b"latin\xe9", b"new\nline"])
    layers(t, "verify").ok()


@envs("hybrid")
def test_layer_import_keeps_holes(t):
    source = t.dir("sparse")
    with open(f"{source}/f", "wb") as f:
        f.truncate(50 << 20)
        f.seek(20 << 20)
        f.write(b"data")
    data = subprocess.run(["tar", "-C", source, "-cSf", "-", "f"], stdout=subprocess.PIPE, check=True).stdout
    Layout(f"{t.tmp}/layout").image("a", data)
    layers(t, "import", f"oci:{t.tmp}/layout:a").ok()
    st = os.stat(f"{tree_of(t, sha256(data))}/f")
    eq(st.st_size, 50 << 20)
    true(st.st_blocks * 512 < 1 << 20, f"{st.st_blocks} blocks")
    with open(f"{source}/f", "rb") as a, open(f"{tree_of(t, sha256(data))}/f", "rb") as b:
        true(a.read() == b.read(), "the content")
    layers(t, "verify").ok()


@envs("hybrid")
def test_layer_import_turns_whiteouts_into_those_of_overlayfs(t):
    path = one_layer(t, entry("etc"), entry("etc/.wh.passwd", b""), entry("opt"), entry("opt/.wh..wh..opq", b""),
                     entry("opt/new", b"x"), entry(".wh..wh.plnk", b""),
                     entry("both"), entry("both/f", b"1"), entry(".wh.both", b""),
                     entry(".wh.later", b""), entry("later"), entry("later/f", b"1"),
                     entry("file", b"x"), entry(".wh.file", b""))
    st = os.lstat(f"{path}/etc/passwd")
    true(stat.S_ISCHR(st.st_mode) and st.st_rdev == 0, "a whiteout")
    for name in ("opt", "both", "later"):
        eq(os.getxattr(f"{path}/{name}", "trusted.overlay.opaque"), b"y", name)
    eq(os.listdir(f"{path}/later"), ["f"])
    with open(f"{path}/file", "rb") as f:
        eq(f.read(), b"x", "a file of the same layer")
    hasnt(" ".join(os.listdir(path)), ".wh.")


@envs("hybrid")
def test_layer_import_gives_no_file_the_group_of_its_directory(t):
    path = one_layer(t, entry("./", mode=0o2755, gid=50), entry("top", b"x"), entry("d", mode=0o2775, gid=60),
                     entry("d/f", b"x"), entry("d/e"), link("d/l", "f"), entry("d/implied/g", b"x"),
                     entry("d/p", kind=tarfile.FIFOTYPE))
    for name in ("top", "d/f", "d/e", "d/l", "d/implied", "d/implied/g", "d/p"):
        st = os.lstat(f"{path}/{name}")
        eq((st.st_gid, st.st_mode & stat.S_ISGID), (0, 0), name)
    eq([os.stat(f"{path}/{name}").st_gid for name in (".", "d")], [50, 60])


@envs("hybrid")
def test_layer_import_ignores_whiteouts_of_what_is_hidden_already(t):
    """As umoci writes them for what was in a directory that became a file or a link."""
    outside = t.file("outside/x", "mine")
    path = one_layer(t, link("link", os.path.dirname(outside)), entry("link/.wh.x", b""), entry("link/y/.wh.x", b""),
                     entry("file", b"x"), entry("file/.wh.x", b""), entry("file/.wh..wh..opq", b""),
                     entry(".wh.gone", b""), entry("gone/.wh.x", b""), entry("gone/d/.wh.x", b""))
    eq((sorted(os.listdir(path)), os.listdir(f"{t.tmp}/outside")), (["file", "gone", "link"], ["x"]))
    true(stat.S_ISCHR(os.lstat(f"{path}/gone").st_mode) and os.path.islink(f"{path}/link"), "as they were")
    layers(t, "verify").ok()


@envs("hybrid")
def test_layer_import_leaves_out_what_would_steer_overlayfs(t):
    Layout(f"{t.tmp}/layout").image("a", layer(
        entry("d", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/etc",
                                "SCHILY.xattr.user.overlay.opaque": "y",
                                "SCHILY.xattr.security.SMACK64EXEC": "*",
                                "LIBARCHIVE.xattr.trusted%2Eoverlay.metacopy": "eQ"}),
        entry("f", b"", pax_headers={"LIBARCHIVE.xattr.trusted.overlay.whiteout": "eQ"})))
    result = layers(t, "import", f"oci:{t.tmp}/layout:a", "img").ok()
    has(result.err, "trusted.overlay.redirect", "user.overlay.opaque", "SMACK64EXEC", "trusted.overlay.metacopy", "left out")
    (name,) = os.listdir(f"{store_of(t)}/layers")
    eq((os.listxattr(f"{tree_of(t, name)}/d"), os.listxattr(f"{tree_of(t, name)}/f")), ([], []))


HOSTILE = {
    "absolute path": ([entry("/etc/cron.d/x", b"x")], "absolute"),
    "way up": ([entry("../../etc/x", b"x")], "leads out"),
    "way up in the middle": ([entry("a"), entry("a/../../x", b"x")], "leads out"),
    "file below an absolute link": ([link("a", "/tmp"), entry("a/x", b"x")], "symbolic link"),
    "file below a link up": ([link("a", "../../.."), entry("a/x", b"x")], "symbolic link"),
    "file below a chain of links": ([entry("d"), link("a", "d"), link("b", "a"), entry("b/x", b"x")], "symbolic link"),
    "directory below a link": ([link("a", "/tmp"), entry("a/b/c/d")], "symbolic link"),
    "node below a link": ([link("a", "/dev"), entry("a/x", kind=tarfile.CHRTYPE, devmajor=1, devminor=1)],
                          "symbolic link"),
    "hard link out": ([hardlink("a", "../../../etc/passwd")], "leads out"),
    "hard link to an absolute path": ([hardlink("a", "/etc/passwd")], "absolute"),
    "hard link through a link": ([link("d", "/etc"), hardlink("a", "d/passwd")], "does not have"),
    "hard link to nothing": ([hardlink("a", "b")], "does not have"),
    "hard link to a directory": ([entry("d"), hardlink("a", "d")], "no file"),
    "file below a file": ([entry("a", b"x"), entry("a/b", b"x")], "no directory"),
    "file for a root": ([entry(".", b"x")], "no directory"),
    "whiteout of the parent": ([entry(".wh...", b"")], "names no file"),
    "whiteout of nothing": ([entry("a/.wh.", b"")], "names no file"),
    "deep path": ([entry("/".join(["d"] * 300) + "/f", b"x")], "deeper than 256"),
    "file below the name of a whiteout": ([entry("a/.wh.b/c", b"x")], "the name of a whiteout"),
    "directory below an opaque mark": ([entry("a/.wh..wh..opq/b")], "the name of a whiteout"),
    "hard link to a whiteout": ([entry(".wh.a", b""), hardlink("b", "a")], "no file"),
    "hard link into the directory it replaces": ([entry("d"), entry("d/f", b"x"), hardlink("d", "d/f")], "hard link"),
    "hard link to itself": ([entry("a", b"x"), hardlink("a", "./a")], "to itself"),
    "owner that means no change": ([entry("a", b"x", uid=0xffffffff)], "impossible owner"),
}


@envs("hybrid")
@each(case=HOSTILE)
def test_layer_import_refuses_and_leaves_nothing(t, case):
    entries, says = case
    refused(t, *entries, says=[says])
    true(not os.path.exists("/tmp/x") and not os.path.exists("/etc/cron.d/x"), "nothing outside")


@envs("hybrid")
def test_layer_import_replaces_links_and_does_not_follow_them(t):
    outside = t.file("outside", "mine")
    path = one_layer(t, link("a", outside), entry("a", b"theirs"))
    with open(outside, encoding="utf-8") as f:
        eq(f.read(), "mine")
    with open(f"{path}/a", "rb") as f:
        eq(f.read(), b"theirs")


@envs("hybrid")
def test_layer_import_refuses_bombs(t):
    Layout(f"{t.tmp}/bomb").image("a", layer(entry("zeros", bytes(20 << 20))))
    layers(t, "import", "--max-size", "10m", f"oci:{t.tmp}/bomb").fails("more bytes than are allowed")
    eq(left(t), [])
    tail = Layout(f"{t.tmp}/tail").image("a", layer(entry("f", b"x")) + bytes(20 << 20))  # after the end mark
    layers(t, "import", "--max-size", "10m", f"oci:{tail.path}").fails("10485760 bytes that are allowed")
    eq(left(t), [])
    sparse = tarfile.TarInfo("hole")
    sparse.pax_headers = {"GNU.sparse.name": "hole",
                          "GNU.sparse.size": str(1 << 50), "GNU.sparse.map": "0,1", "GNU.sparse.numblocks": "1"}
    sparse.size = 1
    Layout(f"{t.tmp}/hole").image("a", layer((sparse, b"x")))
    layers(t, "import", f"oci:{t.tmp}/hole").fails("more bytes than are allowed")
    eq(left(t), [])
    Layout(f"{t.tmp}/many").image("a", layer(*[entry(f"f{i}", b"") for i in range(101)]))
    layers(t, "import", "--max-entries", 100, f"oci:{t.tmp}/many").fails("more entries than are allowed", "--max-")
    eq(left(t), [])
    layers(t, "import", "--max-entries", 101, f"oci:{t.tmp}/many").ok()


@envs("hybrid")
def test_layer_import_checks_every_digest(t):
    good = layer(entry("f", b"x" * 5000))
    layout = Layout(f"{t.tmp}/diff").image("a", good, diff_ids=["sha256:" + "0" * 64])
    layers(t, "import", f"oci:{layout.path}").fails("diffID sha256:" + sha256(good))
    eq(left(t), [])
    for what, change in {"blob": lambda b: b[:-1] + bytes([b[-1] ^ 1]), "short": lambda b: b[:-40]}.items():
        layout = Layout(f"{t.tmp}/{what}").image("a", good)
        name = f"{layout.path}/blobs/sha256/{sha256(packed(good, 'gzip'))}"
        with open(name, "rb") as f:
            data = f.read()
        with open(name, "wb") as f:
            f.write(change(data))
        layers(t, "import", f"oci:{layout.path}").fails("cannot import layer 1 of 1")
        eq(left(t), [], what)
    layout = Layout(f"{t.tmp}/manifest").image("a", good)
    manifest = layout.manifests[0]["digest"].split(":")[1]
    with open(f"{layout.path}/blobs/sha256/{manifest}", "r+b") as f:
        f.write(b" {")
    layers(t, "import", f"oci:{layout.path}").fails("manifest has the digest")
    eq(left(t), [])


@envs("hybrid")
def test_layer_import_refuses_layouts_that_make_no_sense(t):
    good = layer(entry("f", b"x"))
    layout = Layout(f"{t.tmp}/two").image("a", good).image("b", good)
    layers(t, "import", f"oci:{layout.path}").fails("2 images", "its tags: a, b")
    layers(t, "import", f"oci:{layout.path}:c").fails('no image with the tag "c"', "its tags: a, b")
    layout = Layout(f"{t.tmp}/count").image("a", good, diff_ids=[])
    layers(t, "import", f"oci:{layout.path}").fails("1 layers and its config 0 diff_ids")
    layout = Layout(f"{t.tmp}/loop")
    inner = {"schemaVersion": 2, "manifests": []}
    for _ in range(8):
        made = {"mediaType": "application/vnd.oci.image.index.v1+json", **layout.json(inner),
                "platform": {"os": "linux", "architecture": "amd64"}}
        inner = {"schemaVersion": 2, "manifests": [made]}
    layout.add("a", made)
    layers(t, "import", f"oci:{layout.path}").fails("index of", "has no end")
    with open(f"{layout.path}/index.json", "w", encoding="utf-8") as f:
        f.write('{"manifests": [')
    layers(t, "import", f"oci:{layout.path}").fails("index.json")
    layers(t, "import", f"oci:{t.tmp}/nowhere").fails("no such file or directory")
    layers(t, "import", f"oci:{Layout(f'{t.tmp}/a b').image('a', good).path}").fails("visible ASCII", "give one after")
    layers(t, "import", "docker://busybox").fails("is no image source", "oci:DIR[:TAG]")
    eq(left(t), [])


@envs("hybrid")
def test_layer_import_takes_the_platform_of_this_machine_from_an_index(t):
    t.need("x86-64")
    layout = Layout(f"{t.tmp}/l")
    made = []
    for machine in ("arm64", "amd64"):
        layout.image("x", layer(entry("machine", machine.encode())))
        made.append({**layout.manifests.pop(), "platform": {"os": "linux", "architecture": machine}})
    layout.add("multi", {"mediaType": "application/vnd.oci.image.index.v1+json",
                         **layout.json({"schemaVersion": 2, "manifests": made})})
    layers(t, "import", f"oci:{layout.path}:multi").ok()
    (name,) = os.listdir(f"{store_of(t)}/layers")
    with open(f"{tree_of(t, name)}/machine", "rb") as f:
        eq(f.read(), b"amd64")


@envs("hybrid")
@each(mode={"plain": "w", "gzip": "w:gz"})
def test_layer_import_reads_archives(t, mode):
    one, two = layer(entry("a", b"1" * 3000)), layer(entry("b", b"2"))
    layout = Layout(f"{t.tmp}/l").image("a", one, two)
    layers(t, "import", f"oci-archive:{layout.archive(f'{t.tmp}/oci.tar', mode)}:a", "oci").ok()
    docker_archive(f"{t.tmp}/docker.tar", ["web:1", "web:latest"], one, two, one, mode=mode)
    result = layers(t, "import", f"docker-archive:{t.tmp}/docker.tar:web", "docker", "-f", "json").json
    eq(([x["diffId"] for x in result["layers"]], result["newLayers"]),
       ([f"sha256:{sha256(x)}" for x in (one, two, one)], 0))
    layers(t, "import", f"docker-archive:{t.tmp}/docker.tar:none", "x").fails('no image "none"', "its images: web:1, web:latest")
    docker_archive(f"{t.tmp}/wrong.tar", ["web:1"], one, config_name=f"{'0' * 64}.json")
    layers(t, "import", f"docker-archive:{t.tmp}/wrong.tar", "x").fails("config has the digest")
    eq(len(os.listdir(f"{store_of(t)}/layers")), 2)
    layers(t, "verify").ok()


@envs("hybrid")
def test_layer_import_shares_layers_and_remove_takes_the_last(t):
    one, two, three = (layer(entry("f", x)) for x in (b"1", b"2", b"3"))
    layout = Layout(f"{t.tmp}/l").image("a", one, two).image("b", one, three)
    eq(layers(t, "import", f"oci:{layout.path}:a", "first").ok().out, "first: 2 layers, 2 new\n")
    eq(layers(t, "import", f"oci:{layout.path}:b", "second").ok().out, "second: 2 layers, 1 new\n")
    layers(t, "import", f"oci:{layout.path}:b", "first").fails('the name "first" belongs to')
    layers(t, "import", f"oci:{layout.path}:a", "first").ok()
    users = {x["diffId"][7:]: x["users"] for x in layers(t, "list", "--layers", "-f", "json").json}
    eq(users, {sha256(one): 2, sha256(two): 1, sha256(three): 1})
    eq(layers(t, "list", "-q").ok().out, "first\nsecond\n")
    has(layers(t, "remove", "first").ok().out, "removed 1 image, 1 layer")
    eq(sorted(os.listdir(f"{store_of(t)}/layers")), sorted([sha256(one), sha256(three)]))
    layers(t, "show", "first").fails('has no image "first"')
    eq(layers(t, "show", f"oci:{layout.path}:b", "-f", "json").json["name"], "second")
    layers(t, "remove", "second").ok()
    eq(left(t), [])
    eq(layers(t, "gc").ok().out, "nothing to remove\n")


@envs("hybrid")
def test_layer_show_prints_the_very_config(t):
    layout = Layout(f"{t.tmp}/l").image("a", layer(entry("f", b"1")), config={"Cmd": ["sh"], "Env": ["A=\u00e9"]})
    layers(t, "import", f"oci:{layout.path}", "img").ok()
    shown = layers(t, "show", "img", "-f", "json").json
    raw = layers(t, "show", "--config", "img").ok().out
    eq("sha256:" + sha256(raw.encode()), shown["configDigest"])
    eq(json.loads(raw), shown["config"])
    has(layers(t, "show", "img").ok().out, "manifest  sha256:", "1, the lowest first")


@envs("hybrid")
def test_layer_verify_names_what_was_changed(t):
    path = one_layer(t, entry("etc"), entry("etc/a", b"1"), entry("etc/b", b"2"), entry("etc/c", b"3"),
                     entry("etc/d", b"4"), hardlink("etc/e", "etc/d"), entry("etc/x y", b"5"), link("l", "a"))
    has(layers(t, "verify", "img").ok().out, "intact")
    st = os.stat(f"{path}/etc/a")
    with open(f"{path}/etc/a", "wb") as f:
        f.write(b"9")
    os.utime(f"{path}/etc/a", ns=(st.st_atime_ns, st.st_mtime_ns))  # the same size and time
    os.chmod(f"{path}/etc/b", 0o600)
    os.setxattr(f"{path}/etc/c", "user.note", b"1")
    os.unlink(f"{path}/etc/x y")
    t.runtime("features")
    with open(f"{path}/new", "w", encoding="utf-8"):
        pass
    result = layers(t, "verify", "img")
    eq(result.code, 1)
    for line in ("changed  ./etc/a", "changed  ./etc/b", "changed  ./etc/c", "missing  ./etc/x\\040y", "added    ./new"):
        has(result.out, line)
    hasnt(result.out, "./etc/d", "./l\n")
    told = layers(t, "verify", "-f", "json")
    eq(told.code, 1)
    (one,) = json.loads(told.out)
    eq((one["intact"], {"change": "added", "path": "./new"} in one["changes"]), (False, True))


@envs("hybrid")
def test_layer_verify_tells_of_missing_layers_and_broken_listings(t):
    path = one_layer(t, entry("f", b"1"))
    with open(f"{path}/../listing", "a", encoding="utf-8") as f:
        f.write("./g f 0644 0 0 0.0 0 0\n")
    result = layers(t, "verify")
    eq((result.code, "listing was changed" in result.out), (1, True))
    os.rename(os.path.dirname(path), f"{t.tmp}/away")
    result = layers(t, "verify", "img")
    eq((result.code, "cannot find the layer" in result.out), (1, True))


@envs("hybrid")
def test_layer_store_that_others_can_write_to_is_refused(t):
    one_layer(t, entry("f", b"1"))
    os.chmod(store_of(t), 0o777)
    layers(t, "list").fails("can be written to by others", "chmod 700")
    os.chmod(store_of(t), 0o700)
    eq(layers(t, "list", "-q").ok().out, "img\n")
    layers(t, "list", store=f"{t.tmp}/none").fails("open the layer store", "`layer import` makes one")
    eq(stat.S_IMODE(os.stat(store_of(t)).st_mode), 0o700)


@envs("hybrid")
@deadline(60)
def test_layer_imports_at_once_share_the_work(t):
    t.need("root", "libarchive")
    common = layer(*[entry(f"f{i}", os.urandom(2000)) for i in range(300)])
    layout = Layout(f"{t.tmp}/l")
    for i in range(8):
        layout.image(f"t{i}", common, layer(entry("n", str(i % 4).encode())))
    running = [t.spawn(t.command("layer", "import", "-q", f"oci:{layout.path}:t{i}", f"img{i}",
                                 options=("--store", store_of(t))), stdout=subprocess.PIPE) for i in range(8)]
    told = [p.communicate(timeout=50)[0].decode() for p in running]
    eq([p.returncode for p in running], [0] * 8, str(told))
    eq(sum(int(line.split(", ")[1].split()[0]) for line in told), 5, "new layers of all")
    eq(len(os.listdir(f"{store_of(t)}/layers")), 5)
    eq(os.listdir(f"{store_of(t)}/work") + os.listdir(f"{store_of(t)}/refs"), [])
    layers(t, "verify").ok()


@envs("hybrid")
@deadline(120)
@each(call={name: name for name in ("mkdirat", "unlinkat", "renameat", "renameat2", "fsync", "syncfs", "flock")})
def test_layer_import_killed_at_any_step_leaves_a_store_that_works(t, call):
    """kill -9 at the first, second … of these calls, until the import is through before it comes to that."""
    t.need("root", "libarchive", "strace")
    keep = Layout(f"{t.tmp}/keep").image("a", layer(entry("f", b"keep")))
    layers(t, "import", f"oci:{keep.path}", "keep").ok()
    kept = sorted(["keep", sha256(layer(entry("f", b"keep")))])
    layout = Layout(f"{t.tmp}/l").image("a", layer(entry("d"), entry("d/f", b"1"), entry("d/f", b"2")), layer(
        entry("d/.wh.f", b""), entry("g", b"3")))
    for count in range(1, 100):
        result = t.call(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                         f"inject={call}:signal=KILL:when={count}",
                         *t.command("layer", "import", f"oci:{layout.path}", "img", options=("--store", store_of(t)))])
        layers(t, "verify").ok()
        names = layers(t, "list", "-q").ok().out.split()
        true(names in (["keep"], ["img", "keep"]), str(names))
        if result.code == 0:
            eq(names, ["img", "keep"])
            break
        layers(t, "gc").ok()
        if "img" in names:
            layers(t, "remove", "img").ok()
        eq(left(t), kept, f"after gc, killed at {call} {count}")
    true(count > 1, f"no {call} was met")
    eq(layers(t, "show", "img", "-f", "json").json["bytes"], 2)
    eq([x for d in ("refs", "work") for x in os.listdir(f"{store_of(t)}/{d}")], [])


@envs("hybrid")
def test_layer_import_on_a_full_disk_leaves_nothing(t):
    t.need("root", "libarchive")
    Layout(f"{t.tmp}/l").image("a", layer(entry("small", b"1")), layer(entry("f", os.urandom(3 << 20))))
    script = (f"mount -t tmpfs -o size=2m none {t.dir('m')} && mkdir -m 700 {t.tmp}/m/s && "
              f"{t.binary} --store {t.tmp}/m/s layer import oci:{t.tmp}/l; echo status $?; "
              f"find {t.tmp}/m/s/layers {t.tmp}/m/s/images {t.tmp}/m/s/work {t.tmp}/m/s/refs -mindepth 1")
    result = t.call(["unshare", "-m", "sh", "-c", script]).ok()
    has(result.err, "no space left on device", "layer 2 of 2")
    eq(result.out, "status 1\n")


@envs("hybrid")
@deadline(60)
def test_layer_import_gives_the_files_that_umoci_gives(t):
    t.need("root", "libarchive", "umoci", "overlay")
    layout, first = f"{t.tmp}/layout", t.dir("first")

    def run(*argv):
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:a")
    run("umoci", "unpack", "--image", f"{layout}:a", f"{first}/b")
    root = f"{first}/b/rootfs"
    for name in ("etc", "opt/a", "opt/b", "tmp"):
        os.makedirs(f"{root}/{name}")
    os.chmod(f"{root}/tmp", 0o1777)
    for i in range(30):
        with open(f"{root}/etc/f{i}", "wb") as f:
            f.write(os.urandom(i * 997))
    os.link(f"{root}/etc/f1", f"{root}/opt/hard")
    os.symlink("../etc/f2", f"{root}/opt/soft")
    os.setxattr(f"{root}/etc/f3", "user.note", b"\0x")
    os.chown(f"{root}/etc/f4", 1234, 4321)
    os.chmod(f"{root}/etc/f4", 0o2755)
    run("umoci", "repack", "--image", f"{layout}:a", f"{first}/b")
    second = t.dir("second")
    run("umoci", "unpack", "--image", f"{layout}:a", f"{second}/b")
    root = f"{second}/b/rootfs"
    os.unlink(f"{root}/etc/f5")
    subprocess.run(["rm", "-r", f"{root}/opt/a"], check=True)
    with open(f"{root}/opt/a", "w", encoding="utf-8") as f:
        f.write("was a directory")
    with open(f"{root}/etc/f6", "a", encoding="utf-8") as f:
        f.write("more")
    run("umoci", "repack", "--image", f"{layout}:b", f"{second}/b")
    shown = layers(t, "import", "-f", "json", f"oci:{layout}:b").json
    lower = ":".join(tree_of(t, x["diffId"][7:]) for x in reversed(shown["layers"]))
    here = os.path.dirname(os.path.abspath(__file__))
    script = (f"mount -t overlay none -o ro,lowerdir={lower} {t.dir('merged')} && {sys.executable} -c "
              f"'import sys, json; sys.path.insert(0, \"{here}\"); import images; "
              f"print(json.dumps(images.tree(\"{t.tmp}/merged\")))'")
    merged = t.call(["unshare", "-m", "sh", "-c", script]).json
    wanted = json.loads(json.dumps(tree(root)))
    eq(sorted(merged), sorted(wanted))
    for name in wanted:
        eq(merged[name], wanted[name], name)


@envs("hybrid")
@deadline(60)
def test_layer_import_takes_what_skopeo_writes(t):
    t.need("root", "libarchive", "skopeo")
    one = layer(entry("etc"), *[entry(f"etc/f{i}", os.urandom(500)) for i in range(50)], hardlink("h", "etc/f1"))
    two = layer(entry("etc"), entry("etc/.wh.f0", b""), link("l", "etc"))
    layout = Layout(f"{t.tmp}/l").image("a", one, two)
    wanted = sorted(f"sha256:{sha256(x)}" for x in (one, two))
    listings = set()
    for source, options in {
            f"oci:{t.tmp}/zstd:a": ["--dest-compress", "--dest-compress-format", "zstd"],
            f"oci-archive:{t.tmp}/o.tar:a": [],
            f"docker-archive:{t.tmp}/d.tar:web:1": []}.items():
        subprocess.run(["skopeo", "--insecure-policy", "--tmpdir", t.tmp, "copy", "-q", *options,
                        f"oci:{layout.path}:a", source], check=True, timeout=30)
        told = layers(t, "import", "-f", "json", source, "img").json
        eq((sorted(x["diffId"] for x in told["layers"]), told["newLayers"]), (wanted, 2), source)
        listings.add(tuple(x["listing"] for x in told["layers"]))
        layers(t, "verify", "img").ok()
        layers(t, "remove", "img").ok()
    eq(len(listings), 1, "different trees from one image")


@envs("hybrid")
def test_layer_import_shows_its_progress_on_a_terminal_alone(t):
    t.need("root", "libarchive")
    layout = Layout(f"{t.tmp}/l").image("a", layer(entry("f", os.urandom(100000))))

    def said(*options):
        ours, theirs = os.openpty()
        p = t.spawn(t.command("layer", "import", *options, f"oci:{layout.path}", options=("--store", store_of(t))),
                    stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        eq(p.wait(20), 0)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:  # the other end is closed and all is read
            pass
        os.close(ours)
        return text.decode()
    first = said()
    has(first, "layer 1/1", "100%")
    true(first.endswith("\r\033[K"), f"the line is taken away: {first!r}")
    has(said(), "is there")
    eq(said("--quiet"), "")
    eq(layers(t, "import", f"oci:{layout.path}").ok().err, "")


@envs("hybrid")
def test_layer_commands_say_what_is_wrong_with_the_command_line(t):
    t.runtime("layer").fails("requires a minimum of 1 argument")
    t.runtime("layer", "improt", "x").fails('"layer" has no command "improt"', 'did you mean "import"', code=3)
    layers(t, "import", "--max-size", "lots", "oci:/x").fails("--max-size must be a number of bytes")
    told = layers(t, "show", "--format", "json", "x", store=f"{t.tmp}/none")
    eq((told.code, json.loads(told.out)["error"]["kind"]), (1, "not-found"))
