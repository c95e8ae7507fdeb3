# SPDX-License-Identifier: Apache-2.0
"""
A container on a network as an engine makes it: a namespace joined by path, with one end of a veth pair in it. The
other end, and whoever the container talks to, is in the test's own namespace. The same behind either wall.
"""

import contextlib
import hashlib
import os
import socket
import subprocess
import threading

import linux
from case import PATIENCE, deadline, envs, eq, has, hasnt, wall

WALL = "both"

BULK = 1 << 20
MTU = 1400


def sh(script):
    subprocess.run(["sh", "-ec", script], check=True)


@contextlib.contextmanager
def network(t):
    """The path of a network namespace with eth0 in it. We are in the one of the other end."""
    t.need("veth")
    if t.wall == "vm" and not os.path.exists("/dev/net/tun"):
        sh("modprobe tun")
    linux.unshare(linux.CLONE_NEWNET)
    holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        sh(f"""
            ip link set lo up
            ip link add out0 mtu {MTU} type veth peer name eth0 mtu {MTU} netns {holder.pid}
            ip addr add 10.99.0.1/24 dev out0
            ip addr add fd00:99::1/64 dev out0 nodad
            ip link set out0 up
            nsenter -t {holder.pid} -n sh -ec '
                ip link set lo up
                ip addr add 10.99.0.7/24 brd + dev eth0
                ip addr add fd00:99::7/64 dev eth0 nodad
                ip link set eth0 up
                ip route add default via 10.99.0.1
                ip -6 route add default via fd00:99::1'""")
        yield f"/proc/{holder.pid}/ns/net"
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


class Server:
    """Sends BULK bytes to whoever connects to port 9000, and takes what comes to 9001; either family."""

    def __init__(self):
        self.data = os.urandom(BULK)
        self.sum = hashlib.md5(self.data).hexdigest()
        self.got = []
        self.sockets = [self.listen(9000, self.send), self.listen(9001, self.take)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.sockets:
            s.shutdown(socket.SHUT_RDWR)
            s.close()

    def listen(self, port, serve):
        s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    with s.accept()[0] as peer:
                        peer.settimeout(20 * PATIENCE)
                        serve(peer)
        threading.Thread(target=accept, daemon=True).start()
        return s

    def send(self, peer):
        peer.sendall(self.data)

    def take(self, peer):
        summed = hashlib.md5()
        while data := peer.recv(1 << 20):
            summed.update(data)
        self.got.append(summed.hexdigest())


class Fetch(threading.Thread):
    """Takes what a server in the container sends, once there is one, while the container runs."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.received, self.is_over = address, b"", threading.Event()
        self.start()

    def run(self):
        while not self.is_over.wait(0.1) and not self.received:
            with contextlib.suppress(OSError), socket.create_connection((self.address, 7000), timeout=5 * PATIENCE) as peer:
                while data := peer.recv(1 << 16):
                    self.received += data

    def end(self):
        self.is_over.set()
        self.join()
        return hashlib.md5(self.received).hexdigest()


@wall("both", quick=True)
@envs("hybrid")
@deadline(90)
def test_bulk_goes_both_ways_in_both_families_and_servers_are_reached(t):
    with network(t) as path, Server() as server:
        b = t.bundle().namespace("network", path).shell("""
            ip addr show eth0
            ip route
            for server in 10.99.0.1 fd00:99::1; do
                nc $server 9000 < /dev/null | tee /tmp/data | md5sum
                nc $server 9001 < /tmp/data
            done
            nc -l -p 7000 < /tmp/data > /dev/null
            ping -c 1 -s 3000 10.99.0.1""")
        b.caps("CAP_NET_RAW").mount("/tmp", "tmpfs", "tmpfs")
        client = Fetch("10.99.0.7")
        out = t.run(b, timeout=80).ok().out
        eq(client.end(), server.sum, "what the container's server sent")
        has(out, f"mtu {MTU}", "inet 10.99.0.7/24", "inet6 fd00:99::7/64", "default via 10.99.0.1 dev eth0",
            "3008 bytes from 10.99.0.1", " 0% packet loss")
        hasnt(out, "DUP!")
        eq(out.count(server.sum), 2, "downloads that were right")
        eq(server.got, [server.sum] * 2, "uploads")


@envs("hybrid")
@deadline(120)
def test_a_network_outlives_its_container(t):
    with network(t) as path:
        for _ in range(2):
            b = t.bundle().caps("CAP_NET_RAW").namespace("network", path).shell("ping -c 1 -w 10 10.99.0.1")
            has(t.run(b, timeout=50).ok().out, " 0% packet loss")
        # And whoever else uses it afterwards hears of the world.
        sh(f"nsenter --net={path} busybox ping -c 1 -w 10 10.99.0.1 > /dev/null")


@envs("hybrid")
@deadline(60)
def test_without_an_interface_there_is_loopback_alone(t):
    b = t.bundle().caps("CAP_NET_RAW").shell("ip addr; ping -c 1 -w 10 127.0.0.1")
    out = t.run(b, timeout=50).ok().out
    has(out, "127.0.0.1/8", "inet6 ::1/128", " 0% packet loss")
    hasnt(out, "eth0")


@wall("vm")
@envs("host")
@deadline(60)
def test_two_interfaces_are_too_many_for_a_guest_and_named(t):
    with network(t) as path:
        sh(f"nsenter --net={path} sh -ec 'ip link add eth1 type dummy; ip link set eth1 up'")
        t.run(t.bundle().namespace("network", path).args("true"), timeout=50).fails("two interfaces, eth0 and eth1")
