/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without a machine: three network namespaces. The network's end of a veth pair is in the first, the
 * container's eth0 in the second, and in the third, the guest, a tap whose frames a thread carries to and from
 * the container's, as a VMM does, headers and unfinished checksums included.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "namespaces/tap.h"
#include "spec/base/netconf.h"

#define MAC "02:00:00:00:00:07"
enum { PORT = 7777, BULK = 8 << 20 };

static int host = -1, network = -1, container = -1, guest = -1;
static struct buf config;
static struct error err;
static char line[4096];

static int new_netns(void)
{
	cr_assert_eq(unshare(CLONE_NEWNET), 0, "unshare: %s", strerror(errno));
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void enter(int netns)
{
	cr_assert_eq(setns(netns, CLONE_NEWNET), 0, "setns: %s", strerror(errno));
}

static int __attribute__((format(printf, 1, 2))) ip(const char *fmt, ...)
{
	char command[512] = "ip ";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command + 3, sizeof(command) - 3, fmt, ap);
	va_end(ap);
	return system(command);
}

/* What ip says in the namespace that we are in. */
static const char *ip_text(const char *args)
{
	static char text[8192];
	char command[256];

	snprintf(command, sizeof(command), "ip %s", args);

	FILE *f = popen(command, "re");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	text[n] = '\0';
	pclose(f);
	return text;
}

static void has(const char *text, const char *part)
{
	cr_expect(strstr(text, part), "no \"%s\" in: %s", part, text);
}

static int make_tap(struct ns_tap *tap)
{
	err = ERROR_INIT;
	tap->fd = -1;
	line[0] = '\0';

	int r = ns_tap_make(tap, &config, &err);

	if (r < 0)
		error_line(&err, line, sizeof(line));
	return r;
}

static void setup(void)
{
	if (geteuid() != 0)
		return;
	config = (struct buf)BUF_INIT;
	host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	guest = new_netns();
	network = new_netns();
	container = new_netns();
	if (ip("link add eth0 type veth peer name out0 netns /proc/%d/fd/%d 2>/dev/null", getpid(),
	       network) != 0)
		container = -1;
}

TestSuite(ns_tap, .init = setup, .timeout = 60);

/* As an engine leaves it. */
static void configure(const char *mtu)
{
	if (container < 0 || access("/dev/net/tun", R_OK | W_OK) < 0)
		cr_skip_test("needs root, ip(8), veth devices and /dev/net/tun");
	enter(network);
	cr_assert_eq(ip("addr add 10.9.8.1/24 dev out0"), 0);
	cr_assert_eq(ip("addr add fd00:9::1/64 dev out0 nodad"), 0);
	cr_assert_eq(ip("link set out0 mtu %s up", mtu), 0);
	enter(container);
	cr_assert_eq(ip("link set lo up"), 0);
	cr_assert_eq(ip("link set eth0 address " MAC " mtu %s up", mtu), 0);
	cr_assert_eq(ip("addr add 10.9.8.7/24 brd + dev eth0"), 0);
	cr_assert_eq(ip("addr add fd00:9::7/64 dev eth0 nodad"), 0);
	cr_assert_eq(ip("route add default via 10.9.8.1"), 0);
	cr_assert_eq(ip("-6 route add default via fd00:9::1"), 0);
}

/* ---- the guest ---- */

struct pump {
	pthread_t thread;
	int fds[2], stop[2];
};

static void *carry(void *arg)
{
	struct pump *p = arg;
	static char frame[70000];
	struct pollfd polls[3] = { { p->fds[0], POLLIN, 0 },
				   { p->fds[1], POLLIN, 0 },
				   { p->stop[0], POLLIN, 0 } };

	while (poll(polls, 3, -1) > 0 && !polls[2].revents)
		for (int i = 0; i < 2; i++) {
			ssize_t n = polls[i].revents ? read(p->fds[i], frame, sizeof(frame)) : 0;

			if (n > 0 && write(p->fds[!i], frame, (size_t)n) < 0)
				continue; /* lost, as on any wire */
		}
	return NULL;
}

static int open_guest_tap(void)
{
	struct ifreq req = { .ifr_name = "eth%d", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = 12, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	cr_assert(fd >= 0 && ioctl(fd, TUNSETIFF, &req) == 0 &&
			  ioctl(fd, TUNSETVNETHDRSZ, &header) == 0,
		  "tap: %s", strerror(errno));
	/* As a driver that leaves checksums and segmentation to its device. */
	cr_assert_eq(ioctl(fd, TUNSETOFFLOAD,
			   (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)),
		     0);
	cr_assert_eq(ip("link set %s address " MAC, req.ifr_name), 0);
	return fd;
}

/* Starts a guest with what ns_tap_make() said; the caller is in its namespace afterwards. */
static void start_guest(struct pump *p)
{
	struct ns_tap tap;

	enter(container);
	cr_assert_eq(make_tap(&tap), 1, "%s", line);
	enter(guest);
	p->fds[0] = tap.fd;
	p->fds[1] = open_guest_tap();
	cr_assert_eq(pipe(p->stop), 0);

	int r = ns_net_apply(config.data, config.len, 100, &err);

	error_line(&err, line, sizeof(line));
	cr_assert_eq(r, 0, "%s", line);
	cr_assert_eq(pthread_create(&p->thread, NULL, carry, p), 0);
}

static void stop_guest(struct pump *p)
{
	close(p->stop[1]);
	pthread_join(p->thread, NULL);
	close(p->stop[0]);
	close(p->fds[0]);
	close(p->fds[1]);
}

/* ---- talk ---- */

static socklen_t address(struct sockaddr_storage *to, const char *text)
{
	memset(to, 0, sizeof(*to));
	if (strchr(text, ':')) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(PORT);
		cr_assert_eq(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		return sizeof(*in6);
	}

	struct sockaddr_in *in = (struct sockaddr_in *)to;

	in->sin_family = AF_INET;
	in->sin_port = htons(PORT);
	cr_assert_eq(inet_pton(AF_INET, text, &in->sin_addr), 1);
	return sizeof(*in);
}

static void set_patience(int fd)
{
	struct timeval patience = { .tv_sec = 20 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

struct sender {
	int fd;
	size_t sent;
};

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 31 + (i >> 11));
}

static void *send_all(void *arg)
{
	struct sender *s = arg;
	static unsigned char data[BULK];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = byte_at(i);
	while (s->sent < sizeof(data)) {
		ssize_t n = write(s->fd, data + s->sent, sizeof(data) - s->sent);

		if (n <= 0)
			break;
		s->sent += (size_t)n;
	}
	shutdown(s->fd, SHUT_WR);
	return NULL;
}

/* Bulk from a client in one namespace to a server in another. Returns the bytes that came and were right. */
static size_t bulk(int from, int to, const char *at)
{
	struct sockaddr_storage where;
	socklen_t n = address(&where, at);
	int one = 1;

	enter(to);

	int server = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(bind(server, (struct sockaddr *)&where, n), 0, "bind %s: %s", at,
		     strerror(errno));
	cr_assert_eq(listen(server, 1), 0);
	set_patience(server);
	enter(from);

	struct sender s = { .fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	pthread_t thread;

	set_patience(s.fd);
	cr_assert_eq(connect(s.fd, (struct sockaddr *)&where, n), 0, "connect %s: %s", at,
		     strerror(errno));

	int peer = accept(server, NULL, NULL);
	size_t got = 0;
	static unsigned char data[65536];
	ssize_t r;

	cr_assert(peer >= 0);
	set_patience(peer);
	pthread_create(&thread, NULL, send_all, &s);
	while ((r = read(peer, data, sizeof(data))) > 0)
		for (ssize_t i = 0; i < r; i++, got++)
			cr_assert_eq(data[i], byte_at(got), "byte %zu", got);
	pthread_join(thread, NULL);
	close(s.fd);
	close(peer);
	close(server);
	return got;
}

/* ---- tests ---- */

Test(ns_tap, everything_of_the_interface_is_taken_over)
{
	struct pump p;

	configure("1400");
	cr_assert_eq(ip("addr add 10.1.1.1 peer 10.1.1.2 dev eth0"), 0);
	cr_assert_eq(ip("neigh add 10.9.8.50 lladdr 02:00:00:00:00:50 dev eth0 nud permanent"), 0);
	cr_assert_eq(ip("route add 10.20.0.0/16 via 10.9.8.2 src 10.9.8.7 metric 50 mtu 1300"), 0);
	cr_assert_eq(ip("route add 10.30.0.0/16 via 192.0.2.1 dev eth0 onlink"), 0);
	cr_assert_eq(ip("route add blackhole 10.40.0.0/16"), 0);
	cr_assert_eq(ip("route add 10.50.0.0/16 via inet6 fd00:9::2 dev eth0"), 0);
	start_guest(&p);
	has(ip_text("link show eth0"), "mtu 1400");
	has(ip_text("link show eth0"), "LOWER_UP");
	has(ip_text("link show eth0"), MAC);
	has(ip_text("addr show eth0"), "inet 10.9.8.7/24 brd 10.9.8.255");
	has(ip_text("addr show eth0"), "inet 10.1.1.1 peer 10.1.1.2/32");
	has(ip_text("addr show eth0"), "inet6 fd00:9::7/64");
	has(ip_text("addr show lo"), "127.0.0.1/8");
	/* Whether eth0 had it by then, or only soon. */
	for (int i = 0; i < 100 && !strstr(ip_text("addr show eth0"), "inet6 fe80::ff:fe00:7/64");
	     i++)
		usleep(50000);
	has(ip_text("addr show eth0"), "inet6 fe80::ff:fe00:7/64");
	has(ip_text("route"), "default via 10.9.8.1 dev eth0");
	has(ip_text("route"), "10.9.8.0/24 dev eth0 proto kernel scope link src 10.9.8.7");
	has(ip_text("route"), "10.20.0.0/16 via 10.9.8.2 dev eth0 src 10.9.8.7 metric 50 mtu 1300");
	has(ip_text("route"), "10.30.0.0/16 via 192.0.2.1 dev eth0 onlink");
	has(ip_text("route"), "blackhole 10.40.0.0/16");
	has(ip_text("route"), "10.50.0.0/16 via inet6 fd00:9::2 dev eth0");
	has(ip_text("-6 route"), "default via fd00:9::1 dev eth0");
	has(ip_text("neigh show nud permanent"), "10.9.8.50 dev eth0 lladdr 02:00:00:00:00:50");
	stop_guest(&p);
}

Test(ns_tap, without_ipv6_and_advertisements_the_guest_has_none)
{
	struct pump p;

	configure("1500");
	if (access("/proc/sys/net/ipv6", F_OK) < 0)
		cr_skip_test("needs IPv6");
	cr_assert_eq(system("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6"), 0);
	cr_assert_eq(system("echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra"), 0);
	start_guest(&p);
	cr_expect_eq(system("grep -qx 1 /proc/sys/net/ipv6/conf/eth0/disable_ipv6"), 0);
	cr_expect_eq(system("grep -qx 0 /proc/sys/net/ipv6/conf/eth0/accept_ra"), 0);
	cr_expect(!strstr(ip_text("addr show eth0"), "inet6"));
	has(ip_text("addr show eth0"), "inet 10.9.8.7/24");
	stop_guest(&p);
}

/* ptp of CNI: the route that came with the address was deleted, all goes through the gateway. */
Test(ns_tap, a_route_that_a_plugin_took_away_does_not_come_back)
{
	struct pump p;

	configure("1500");
	cr_assert_eq(ip("route del default"), 0);
	cr_assert_eq(ip("route del 10.9.8.0/24"), 0);
	cr_assert_eq(ip("route add 10.9.8.1 dev eth0 scope link src 10.9.8.7"), 0);
	cr_assert_eq(ip("route add 10.9.8.0/24 via 10.9.8.1 src 10.9.8.7"), 0);
	start_guest(&p);
	cr_expect_str_eq(ip_text("route"), "10.9.8.0/24 via 10.9.8.1 dev eth0 src 10.9.8.7 \n"
					   "10.9.8.1 dev eth0 scope link src 10.9.8.7 \n");
	cr_expect_eq(bulk(guest, network, "10.9.8.1"), BULK);
	stop_guest(&p);
}

Test(ns_tap, bulk_goes_both_ways_in_both_families)
{
	struct pump p;

	configure("1400");
	start_guest(&p);
	cr_expect_eq(bulk(guest, network, "10.9.8.1"), BULK);
	cr_expect_eq(bulk(network, guest, "10.9.8.7"), BULK);
	cr_expect_eq(bulk(guest, network, "fd00:9::1"), BULK);
	cr_expect_eq(bulk(network, guest, "fd00:9::7"), BULK);
	stop_guest(&p);
}

/* Does a connection from the network reach a listener at 10.9.8.7 in `to`? */
static bool is_heard(int to)
{
	struct sockaddr_storage where;
	socklen_t n = address(&where, "10.9.8.7");

	enter(to);

	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(server, (struct sockaddr *)&where, n), 0, "%s", strerror(errno));
	cr_assert_eq(listen(server, 1), 0);
	enter(network);

	int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd ready = { server, POLLIN, 0 };

	cr_assert_eq(connect(client, (struct sockaddr *)&where, n), -1);

	bool is = poll(&ready, 1, 400) == 1;

	close(client);
	close(server);
	return is;
}

Test(ns_tap, the_host_is_deaf_until_the_tap_is_forgotten)
{
	struct ns_tap tap;

	configure("1500");
	cr_expect(is_heard(container));
	enter(container);
	cr_assert_eq(make_tap(&tap), 1, "%s", line);
	cr_expect(!is_heard(container));
	close(tap.fd);
	cr_expect(!is_heard(container),
		  "the filter went with the tap: forgetting it is not needed");
	cr_expect_eq(ns_tap_forget(container, &err), 0);
	cr_expect(is_heard(container));
	cr_expect_eq(ns_tap_forget(container, &err), 0, "nothing to undo is no error");
}

Test(ns_tap, a_second_guest_is_refused_and_a_later_one_is_not)
{
	struct ns_tap first, second;
	struct pump p;

	configure("1500");
	cr_assert_eq(make_tap(&first), 1, "%s", line);
	cr_expect_eq(make_tap(&second), -EBUSY);
	has(line, "another virtual machine uses this network namespace");
	close(first.fd);
	start_guest(&p);
	cr_expect(is_heard(guest));
	stop_guest(&p);
}

Test(ns_tap, loopback_alone_is_no_network)
{
	struct ns_tap tap;

	if (container < 0)
		cr_skip_test("needs root");
	enter(container);
	cr_assert_eq(ip("link set lo up"), 0);
	cr_expect_eq(make_tap(&tap), 0, "%s", line);
	cr_expect_eq(config.len, 0);
	enter(guest);
	cr_expect_eq(ns_net_apply(NULL, 0, 0, &err), 0);
	has(ip_text("addr show lo"), "127.0.0.1/8");
}

Test(ns_tap, two_interfaces_are_named)
{
	struct ns_tap tap;

	configure("1500");
	cr_assert_eq(ip("link add eth1 type veth peer name out1"), 0);
	cr_assert_eq(ip("link set eth1 up"), 0);
	cr_expect_eq(make_tap(&tap), -EINVAL);
	has(line, "two interfaces, eth0 and eth1");
}

Test(ns_tap, an_interface_without_ethernet_is_named)
{
	struct ns_tap tap;

	if (container < 0 || access("/dev/net/tun", R_OK | W_OK) < 0)
		cr_skip_test("needs root and /dev/net/tun");
	enter(container);
	cr_assert_eq(ip("tuntap add dev t0 mode tun"), 0);
	cr_assert_eq(ip("link set t0 up"), 0);
	cr_expect_eq(make_tap(&tap), -EINVAL);
	has(line, "network interface t0 carries no Ethernet");
}

Test(ns_tap, the_network_of_the_host_is_refused)
{
	struct ns_tap tap;
	struct stat first, own;

	if (container < 0)
		cr_skip_test("needs root");
	enter(host);
	if (stat("/proc/1/ns/net", &first) < 0 || fstat(host, &own) < 0 ||
	    first.st_ino != own.st_ino)
		cr_skip_test("needs to share the network of the first process, and to see that");
	cr_expect_eq(make_tap(&tap), -EINVAL);
	has(line, "the container shares the host's network");
}

Test(ns_tap, a_device_that_never_comes_is_told_by_its_address)
{
	struct netconf conf = { .name = "eth0", .mac = { 2, 0, 0, 0, 0, 9 }, .mtu = 1500 };

	if (container < 0)
		cr_skip_test("needs root");
	enter(guest);
	cr_expect_eq(ns_net_apply(&conf, sizeof(conf), 50, &err), -ENODEV);
	error_line(&err, line, sizeof(line));
	has(line, "no network interface with the address 02:00:00:00:00:09");
}
