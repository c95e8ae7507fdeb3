/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending terminals and pidfds to sockets; the caller's own terminal.
 */
#include "runtime/console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

/*
 * sun_path holds 108 bytes; an engine's bundle path may be longer. A descriptor of
 * the directory makes it short: /proc/self/fd/N/name.
 */
static int address_of(const char *path, struct sockaddr_un *addr, int *ret_dir_fd, struct error *err)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (path[0] == '\0')
		return error_rule(err, EINVAL, "the path of the socket is empty");
	if (strlen(path) < sizeof(addr->sun_path)) {
		memcpy(addr->sun_path, path, strlen(path));
		return 0;
	}
	if (!slash || (size_t)(slash - path) >= sizeof(dir))
		return error_set(err, ENAMETOOLONG, "connect to %s", path);
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	*ret_dir_fd = openat(AT_FDCWD, dir[0] ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_dir_fd < 0)
		return error_set(err, errno, "open directory %s of the socket", dir);
	if ((size_t)snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%.80s", *ret_dir_fd,
			     slash + 1) >= sizeof(addr->sun_path) || strlen(slash + 1) > 80)
		return error_set(err, ENAMETOOLONG, "connect to %s", path);
	return 0;
}

int console_connect(const char *socket_path, struct error *err)
{
	struct sockaddr_un addr;
	auto_close int dir_fd = -1;
	int r = address_of(socket_path, &addr, &dir_fd, err);

	if (r < 0)
		return r;

	auto_close int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return error_set(err, errno, "make a socket");

	/* A listener whose backlog is full would hold connect() forever. */
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ .tv_sec = 10 }, sizeof(struct timeval));
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(err, errno, "connect to %s", socket_path);
	return TAKE_FD(sock);
}

int console_send_fd(int sock, const void *payload, size_t n, int fd, struct error *err)
{
	struct iovec iov = { .iov_base = (void *)payload, .iov_len = n };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));

	ssize_t sent;

	do {
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return error_set(err, errno, "send a descriptor");
	/* The descriptor went with the first byte; a document longer than the socket's buffer follows it. */
	return file_write_all(sock, "to the socket", (const char *)payload + sent, n - (size_t)sent, err);
}

int console_send(const char *socket_path, int master, struct error *err)
{
	char name[32];
	unsigned number;

	if (ioctl(master, TIOCGPTN, &number) < 0)
		return error_set(err, errno, "ask for the number of the pty");
	snprintf(name, sizeof(name), "/dev/pts/%u", number);

	auto_close int sock = console_connect(socket_path, err);
	int r = sock < 0 ? sock : console_send_fd(sock, name, strlen(name), master, err);

	return r < 0 ? error_wrap(err, r, "cannot send the terminal to console socket %s", socket_path) : 0;
}

int console_send_pidfd(const char *socket_path, int pidfd, const char *payload, struct error *err)
{
	auto_close int sock = console_connect(socket_path, err);
	int r = sock < 0 ? sock : console_send_fd(sock, payload, strlen(payload), pidfd, err);

	return r < 0 ? error_wrap(err, r, "cannot send the pidfd to socket %s", socket_path) : 0;
}

void console_resize(const struct console_host *host, int master)
{
	struct winsize size;

	if (host->fd >= 0 && ioctl(host->fd, TIOCGWINSZ, &size) == 0)
		ioctl(master, TIOCSWINSZ, &size);
}

int console_take_host(struct console_host *host, int master, struct error *err)
{
	struct termios t, inner;
	/* That of a guest has its own terminal behind it, which translates line ends: they come as they are to be. */
	bool has_lines = tcgetattr(master, &inner) == 0 && (inner.c_oflag & OPOST);

	host->fd = -1;
	for (int fd = 2; fd >= 0 && host->fd < 0; fd--)
		if (tcgetattr(fd, &t) == 0)
			host->fd = dup(fd);
	if (host->fd < 0)
		host->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (host->fd < 0 || tcgetattr(host->fd, &host->saved) < 0) {
		int r = error_set(err, errno, "open /dev/tty");

		error_at(err, "/process/terminal");
		error_hint(err, "run it from a terminal, detach with --console-socket, or set process.terminal to false");
		return r;
	}
	fcntl(host->fd, F_SETFD, FD_CLOEXEC);

	t = host->saved;
	cfmakeraw(&t);
	if (has_lines)
		t.c_oflag |= OPOST; /* line ends are the outer terminal's to translate: the inner one does not any more */
	if (tcsetattr(host->fd, TCSANOW, &t) < 0)
		return error_set(err, errno, "make the terminal raw");
	host->is_raw = true;
	console_resize(host, master);

	if (has_lines) {
		inner.c_oflag &= ~(tcflag_t)ONLCR;
		tcsetattr(master, TCSANOW, &inner);
	}
	return 0;
}

void console_restore_host(struct console_host *host)
{
	if (host->is_raw)
		tcsetattr(host->fd, TCSANOW, &host->saved);
	host->is_raw = false;
	if (host->fd >= 0)
		close(host->fd);
	host->fd = -1;
}
