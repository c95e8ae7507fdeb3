# SPDX-License-Identifier: Apache-2.0
"""
A small real image: Debian's base packages by mmdebstrap, a layer by umoci and one by buildah on top.

It comes from where this machine's apt gets its packages, which takes a quarter of a minute; the finished layout
(15 MB) is kept in ~/.cache/bulkhead-tests for the next time. Without a network there is none, and what needs it is
skipped; that too is remembered for some minutes.
"""

import fcntl
import functools
import glob
import hashlib
import json
import os
import shutil
import struct
import subprocess
import tempfile
import time

PACKAGES = "base-files,base-passwd,bash,coreutils,dash,libc-bin,login,ncurses-base,passwd,tar"
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
SECONDS = 120  # for all of mmdebstrap
REMEMBERED = 600
TAG = "debian"
CAP_NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
ODD_NAMES = (b"latin\xe9", b"new\nline", "cafe\u0301".encode(), b"back\\slash", b"n" * 240, b" ", b"*?[")


def home():
    return f"{os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')}/bulkhead-tests"


def _sources():
    """What apt reads; mmdebstrap takes both of its forms."""
    found = sorted(glob.glob("/etc/apt/sources.list.d/*.list") + glob.glob("/etc/apt/sources.list.d/*.sources"))
    return [p for p in ["/etc/apt/sources.list", *found] if os.path.isfile(p) and os.path.getsize(p)]


def _codename():
    with open("/etc/os-release", encoding="utf-8") as f:
        values = dict(line.rstrip().split("=", 1) for line in f if "=" in line)
    return values.get("VERSION_CODENAME", "") if values.get("ID") == "debian" else ""


def _key():
    parts = [_codename(), os.uname().machine]
    for path in (os.path.abspath(__file__), *_sources()):
        with open(path, encoding="utf-8") as f:
            parts.append(f.read())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _run(*argv, **more):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **{"timeout": SECONDS, **more})
    if done.returncode:
        raise OSError(f"{argv[0]}: {done.stdout.decode(errors='replace').strip()[-300:]}")
    return done.stdout.decode()


def _write(path, data, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def _change(root):
    """The second layer: something of everything that a layer can say."""
    for name in ("passwd", "group"):
        shutil.copy(f"{root}/usr/share/base-passwd/{name}.master", f"{root}/etc/{name}")
    shutil.rmtree(f"{root}/lib/terminfo/x")
    os.unlink(f"{root}/etc/skel/.bashrc")
    os.unlink(f"{root}/etc/debian_version")
    os.mkdir(f"{root}/etc/debian_version")  # a file becomes a directory
    os.unlink(f"{root}/etc/issue")
    os.symlink("issue.net", f"{root}/etc/issue")
    _write(f"{root}/srv/work/first", os.urandom(3000), 0o640)
    for name in ("second", "third"):
        os.link(f"{root}/srv/work/first", f"{root}/srv/work/{name}")
    os.chown(f"{root}/srv/work", 1234, 4321)
    os.chmod(f"{root}/srv/work", 0o2775)
    for name in ODD_NAMES:
        with open(os.fsencode(f"{root}/srv/work/") + name, "wb") as f:
            f.write(name)
    _write(f"{root}/srv/{'/'.join(['deep' * 5] * 12)}/f", b"deep")
    shutil.copy2(f"{root}/bin/true", f"{root}/bin/raw")
    os.setxattr(f"{root}/bin/raw", "security.capability", CAP_NET_RAW)
    _write(f"{root}/srv/noted", b"noted")
    os.setxattr(f"{root}/srv/noted", "user.note", b"\0\xff binary")
    os.setxattr(f"{root}/srv/work", "user.of-a-directory", b"yes")
    os.mknod(f"{root}/srv/null", 0o020666, os.makedev(1, 3))
    os.mknod(f"{root}/srv/disk", 0o060660, os.makedev(8, 0))
    os.mkfifo(f"{root}/srv/fifo")
    os.utime(f"{root}/srv/noted", ns=(1, 1234567890123456789))
    with open(f"{root}/srv/sparse", "wb") as f:
        f.truncate(8 << 20)
        f.seek(5 << 20)
        f.write(b"in the middle")


def _third_layer(tmp):
    """
    buildah's diff of an overlay has opaque directories; umoci's has none. A directory becomes a file here, since umoci
    would write whiteouts of what was in it, on which Docker stumbles.
    """
    with open(f"{tmp}/policy.json", "w", encoding="utf-8") as f:
        json.dump({"default": [{"type": "insecureAcceptAnything"}]}, f)
    # buildah names what it takes after its path, and likes no dots in that.
    script = f"""set -e
cd {tmp}
buildah() {{ command buildah --root {tmp}/st --runroot {tmp}/run --storage-driver overlay "$@"; }}
c=$(buildah from -q --signature-policy {tmp}/policy.json oci:layout:second)
m=$(buildah mount $c)
rm -r $m/etc/pam.d $m/srv/work/third
mkdir $m/etc/pam.d
rm -r $m/etc/update-motd.d
echo "and a directory a file" >$m/etc/update-motd.d
echo new >$m/etc/pam.d/new
chmod 700 $m/etc/security
chown 7 $m/etc/host.conf
mv $m/etc/skel $m/etc/skeleton
buildah commit -q --signature-policy {tmp}/policy.json $c oci:layout:third
buildah umount $c
"""
    _run("unshare", "-m", "sh", "-c", script)


def _make(kept, tmp):
    env = {**os.environ, "TMPDIR": tmp, "LC_ALL": "C.UTF-8"}
    _run("mmdebstrap", "-q", "--variant=extract", f"--include={PACKAGES}",
         *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT), _codename(), f"{tmp}/base.tar", *_sources(), env=env)
    layout = f"{tmp}/layout"
    _run("umoci", "init", "--layout", layout)
    _run("umoci", "new", "--image", f"{layout}:first")
    _run("umoci", "raw", "add-layer", "--image", f"{layout}:first", f"{tmp}/base.tar")
    _run("umoci", "unpack", "--image", f"{layout}:first", f"{tmp}/b")
    _change(f"{tmp}/b/rootfs")
    _run("umoci", "repack", "--image", f"{layout}:second", f"{tmp}/b")
    _run("umoci", "config", "--image", f"{layout}:second", "--config.entrypoint", "/bin/sh", "--config.entrypoint", "-c",
         "--config.cmd", 'echo "$GREETING from $(id -u):$(id -g) in $PWD"', "--config.env", "GREETING=hello",
         "--config.env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "--config.user", "daemon", "--config.workingdir", "/srv/work")
    _third_layer(tmp)
    _run("skopeo", "--insecure-policy", "--tmpdir", tmp, "copy", "-q", "--dest-compress", "--dest-compress-format", "gzip",
         f"oci:{layout}:third", f"oci:{tmp}/done:{TAG}")
    os.rename(f"{tmp}/done", kept)


def _try(kept, refusal):
    tmp = tempfile.mkdtemp(dir=home())
    try:
        os.chmod(tmp, 0o755)
        _make(kept, tmp)
        return None
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = f"no Debian image can be made here: {' '.join(str(error).split())[:300]}"
        with open(refusal, "w", encoding="utf-8") as f:
            f.write(reason)
        return reason
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def _layout():
    return f"{home()}/debian-{_key()}"


@functools.lru_cache(None)
def lacking():
    """None when the image is there, now; else why not."""
    programs = [p for p in ("mmdebstrap", "umoci", "buildah", "skopeo") if not shutil.which(p)]
    if programs or not _codename() or os.geteuid() != 0:
        return f"no Debian image can be made here: {'no ' + programs[0] if programs else 'no Debian, or not root'}"
    os.makedirs(home(), mode=0o700, exist_ok=True)
    kept, refusal = _layout(), f"{home()}/refusal"
    with open(f"{home()}/lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(kept):
            return None
        if os.path.exists(refusal) and time.time() - os.path.getmtime(refusal) < REMEMBERED:
            with open(refusal, encoding="utf-8") as f:
                return f.read()
        for old in glob.glob(f"{home()}/debian-*") + glob.glob(f"{home()}/tmp*"):
            shutil.rmtree(old, ignore_errors=True)
        return _try(kept, refusal)


def image(as_=None, path=None, *options):
    """The image as a SOURCE; as_ and path: copied by skopeo into another form first ("docker-archive", "oci-archive")."""
    source = f"oci:{_layout()}:{TAG}"
    if not as_:
        return source
    target = f"{as_}:{path}:{TAG}:latest" if as_ == "docker-archive" else f"{as_}:{path}:{TAG}"
    _run("skopeo", "--insecure-policy", "--tmpdir", os.path.dirname(path), "copy", "-q", *options, source, target)
    return target
