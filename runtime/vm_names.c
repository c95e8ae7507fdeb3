/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"
#include "vm/wire/wire.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define MOST_BYTES (64 << 10)

enum { DNS_PORT = 53, LOOPBACK_NET = 127 };

static bool is_elsewhere(const uint8_t a[static 4])
{
	static const uint8_t own[] = { LOOPBACK_NET, 0, 0, 1 };

	return a[0] == LOOPBACK_NET && memcmp(a, own, sizeof(own)) != 0;
}

int vm_names_read(const char *resolv_conf, uint8_t ret[static 4])
{
	for (const char *line = resolv_conf; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		uint8_t address[4];
		char text[16];

		/* resolv.conf(5): the keyword begins the line. */
		if (sscanf(line, "nameserver%*[ \t]%15[0-9.]", text) != 1 || inet_pton(AF_INET, text, address) != 1 ||
		    !is_elsewhere(address))
			continue;
		memcpy(ret, address, sizeof(address));
		return 1;
	}
	return 0;
}

/* "volumes/m<i>" of the bare root: what is bound over the file, wherever it is on the host. */
static bool find_file(const struct spec *spec, char *ret, size_t size)
{
	bool is_found = false;

	for (size_t i = 0; i < spec->n_mounts; i++)
		if (strcmp(spec->mounts[i].destination, RESOLV_CONF) == 0) {
			snprintf(ret, size, "volumes/m%zu", i);
			is_found = true;
		}
	return is_found;
}

/* 1 when the container's resolv.conf names one. */
static int read_bound(const struct spec *spec, int bare_fd, uint8_t ret[static 4])
{
	struct arena a = ARENA_INIT;
	char name[32], *text;
	size_t n;
	int r = 0;

	if (find_file(spec, name, sizeof(name)) && file_load_at(bare_fd, name, MOST_BYTES, &a, &text, &n, NULL) >= 0)
		r = vm_names_read(text, ret);
	arena_release(&a);
	return r;
}

int vm_names_open(const struct spec *spec, int bare_fd, struct buf *create)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(DNS_PORT) };
	uint8_t address[4];

	if (!read_bound(spec, bare_fd, address))
		return -1;

	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(&server.sin_addr, address, sizeof(address));
	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		return -1; /* nobody has set loopback up, so nobody listens there */
	wire_add(create, WIRE_T_NAMES, address, sizeof(address));
	return TAKE_FD(fd);
}
