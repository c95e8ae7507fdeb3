/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices: in a network namespace of the test's own, with a veth pair. */
#include "tests/unit/namespaces/box.h"
#include "tests/unit/namespaces/config.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>

static struct box box;

static void setup(void)
{
	box_make(&box);
}

static void teardown(void)
{
	box_drop(&box);
}

TestSuite(ns_netdev, .init = setup, .fini = teardown);

static int ip(const char *args)
{
	char command[256];

	snprintf(command, sizeof(command), "ip %s 2>/dev/null", args);
	return system(command);
}

static void make_pair(void)
{
	box_need_root();
	cr_assert_eq(unshare(CLONE_NEWNET), 0, "unshare: %s", strerror(errno));
	if (ip("link add v0 type veth peer name v1") != 0)
		cr_skip_test("needs ip(8) and veth devices");
	cr_assert_eq(ip("link set v0 mtu 1400 address 02:00:00:00:00:07 up"), 0);
	cr_assert_eq(ip("addr add 10.9.8.7/24 brd + dev v0"), 0);
	cr_assert_eq(ip("addr add fd00::7/64 nodad dev v0"), 0);
}

static void look(void)
{
	struct ifreq req = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; i && i->if_name; i++) {
		snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", i->if_name);
		ioctl(fd, SIOCGIFFLAGS, &req);
		box_say("%s up %d", i->if_name, req.ifr_flags & IFF_UP ? 1 : 0);
		ioctl(fd, SIOCGIFMTU, &req);
		box_say(" mtu %d", req.ifr_mtu);
		if (ioctl(fd, SIOCGIFADDR, &req) == 0)
			box_say(" %s", inet_ntoa(((struct sockaddr_in *)&req.ifr_addr)->sin_addr));
		ioctl(fd, SIOCGIFHWADDR, &req);
		box_say(" mac %02x\n", (unsigned char)req.ifr_hwaddr.sa_data[5]);
	}
	close(fd);
	box_cat("/proc/net/if_inet6");
}

#define NETWORK(devices) \
	"\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"network\"}]," \
	"\"netDevices\":{" devices "}"

Test(ns_netdev, loopback_of_a_new_namespace_is_up)
{
	box_need_root();
	box_ok(&box, box_run(&box,
			     config(PROC, "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},"
					  "{\"type\":\"network\"}]"),
			     look));
	box_has(&box, "lo up 1 ");
}

/* The parent moves devices while the child builds its root: the child waits until all are there. */
static void wait_for_device(struct ns_plan *plan)
{
	(void)plan;
	for (int i = 0; i < 200; i++) {
		struct ifreq req = { .ifr_name = "" };
		struct if_nameindex *all = if_nameindex();
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		bool up = false;

		for (struct if_nameindex *n = all; n && n->if_name; n++) {
			if (strcmp(n->if_name, "lo") == 0)
				continue;
			snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", n->if_name);
			up |= ioctl(fd, SIOCGIFFLAGS, &req) == 0 && req.ifr_flags & IFF_UP;
		}
		if_freenameindex(all);
		close(fd);
		if (up)
			return;
		usleep(10000);
	}
}

Test(ns_netdev, a_moved_device_keeps_mtu_mac_and_addresses_and_is_up)
{
	make_pair();
	box.before = wait_for_device;
	box_ok(&box, box_run(&box, config(PROC, NETWORK("\"v0\":{\"name\":\"eth0\"}")), look));
	box_has(&box, "eth0 up 1 mtu 1400 10.9.8.7 mac 07\n");
	box_has(&box, "fd000000000000000000000000000007");
}

Test(ns_netdev, the_kernel_can_pick_the_name)
{
	make_pair();
	box.before = wait_for_device;
	box_ok(&box, box_run(&box, config(PROC, NETWORK("\"v0\":{\"name\":\"net%d\"}")), look));
	box_has(&box, "net0 up 1 mtu 1400 10.9.8.7 mac 07\n");
}

Test(ns_netdev, a_missing_device_is_named)
{
	make_pair();
	cr_expect_eq(box_run(&box, config(PROC, NETWORK("\"nope\":{}")), NULL), -ENODEV);
	cr_expect(strstr(box.line, "find network device nope on the host"), "%s", box.line);
	cr_expect_str_eq(box.err.at, "/linux/netDevices/nope");
}

Test(ns_netdev, a_name_that_is_taken_has_a_hint)
{
	make_pair();
	cr_expect_eq(box_run(&box, config(PROC, NETWORK("\"v0\":{\"name\":\"lo\"}")), NULL),
		     -EEXIST);
	cr_expect(strstr(box.err.hint, "has a device lo already"), "%s", box.err.hint);
}

/* A child in a network namespace of its own, until its end of the pipe is closed. */
static pid_t start_holder(int *ret_end)
{
	int ends[2], ready[2];
	char byte;

	cr_assert_eq(pipe2(ends, O_CLOEXEC) + pipe2(ready, O_CLOEXEC), 0);

	pid_t pid = fork();

	if (pid == 0) {
		close(ends[1]);
		_exit(unshare(CLONE_NEWNET) < 0 || write(ready[1], "", 1) != 1 ||
		      read(ends[0], &byte, 1) != 0);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	*ret_end = ends[1];
	return pid;
}

Test(ns_netdev, a_namespace_joined_by_path_gets_the_device_even_before_it_is_joined)
{
	struct arena arena = ARENA_INIT;
	struct ns_plan *plan;
	char linux_[256], path[64];
	int end;

	make_pair();

	pid_t holder = start_holder(&end);

	snprintf(linux_, sizeof(linux_),
		 "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\","
		 "\"path\":\"/proc/%d/ns/net\"}],\"netDevices\":{\"v0\":{\"name\":\"eth0\"}}",
		 holder);
	cr_assert_eq(box_plan(&box, config("", linux_), &arena, NULL, &plan), 0, "%s", box.line);
	cr_assert_eq(ns_prepare(plan, &box.err), 0);

	/* Ourselves are who has not joined yet. */
	int r = ns_move_net_devices(plan, getpid(), &box.err);

	error_line(&box.err, box.line, sizeof(box.line));
	cr_expect_eq(r, 0, "%s", box.line);
	cr_expect_eq(if_nametoindex("eth0"), 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", holder);

	int netns = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert_eq(setns(netns, CLONE_NEWNET), 0);
	cr_expect_gt(if_nametoindex("eth0"), 0);
	close(end);
	waitpid(holder, NULL, 0);
	arena_release(&arena);
}
