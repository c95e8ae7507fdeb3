/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of "ready" from the container to the service manager.
 */
#include "runtime/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/build.h"
#include "runtime/console.h"
#include "spec/base/auto.h"
#include "spec/base/mountapi.h"

#define BARRIER_TIMEOUT_MS 30000
/* systemd's own TimeoutStartSec= ends a service that never gets ready; this bounds us without one. */
#define READY_TIMEOUT_MS (3600 * 1000)

int notify_plan(struct build *b, struct error *err)
{
	const char *socket_path = getenv("NOTIFY_SOCKET");
	size_t n = 0;

	(void)err;
	if (!socket_path || !socket_path[0])
		return 0;
	while (b->extra_env[n])
		n++;
	b->extra_env[n] = arena_strdup(b->arena, "NOTIFY_SOCKET=/run/notify/notify.sock");
	b->state.has_notify = true;
	if (!b->extra_mounts)
		b->extra_mounts = ARENA_NEW(b->arena, struct ns_extra_mount);
	b->extra_mounts[b->n_extra_mounts++] = (struct ns_extra_mount){
		.source_fd = -1,
		.destination = "/run/notify",
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};
	return 0;
}

int notify_make_dir(struct build *b, struct error *err)
{
	if (mkdirat(b->state_dir, STATE_NOTIFY_DIR, 0755) < 0)
		return error_set(err, errno, "make directory %s", STATE_NOTIFY_DIR);
	b->notify_dir_fd = openat(b->state_dir, STATE_NOTIFY_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (b->notify_dir_fd < 0)
		return error_set(err, errno, "open directory %s", STATE_NOTIFY_DIR);
	b->extra_mounts[b->n_extra_mounts - 1].source_fd = b->notify_dir_fd; /* the last: notify_plan() */
	return 0;
}

int notify_bind(int state_dir_fd, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_close int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (sock < 0)
		return error_set(err, errno, "make a socket");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" STATE_NOTIFY_DIR "/notify.sock",
		 state_dir_fd);
	unlinkat(state_dir_fd, STATE_NOTIFY_DIR "/notify.sock", 0);

	/* The mode comes from the umask: afterwards the name could be another file's. */
	mode_t old = umask(0);
	int r = bind(sock, (struct sockaddr *)&addr, sizeof(addr));
	int code = errno;

	umask(old);
	if (r < 0)
		return error_set(err, code, "bind the container's notify socket");
	return TAKE_FD(sock);
}

/* "@name" is the abstract namespace (sd_notify(3)). */
static socklen_t manager_address(struct sockaddr_un *addr)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!path || !path[0] || strlen(path) >= sizeof(addr->sun_path))
		return 0;
	memcpy(addr->sun_path, path, strlen(path));
	if (path[0] == '@')
		addr->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

/* The manager closes its copy of the pipe once all earlier messages are worked off. */
static void wait_for_barrier(int sock)
{
	static const char text[] = "BARRIER=1";
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	auto_close int reader = ends[0];
	auto_close int writer = ends[1];

	if (console_send_fd(sock, text, sizeof(text) - 1, writer, NULL) < 0)
		return;
	close(TAKE_FD(writer));
	poll(&(struct pollfd){ .fd = reader, .events = POLLIN }, 1, BARRIER_TIMEOUT_MS);
}

static void tell_manager(pid_t init, const struct log *log)
{
	struct sockaddr_un addr;
	socklen_t len = manager_address(&addr);
	auto_close int sock = len ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	char text[64];
	int n = snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1", (int)init);

	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, len) < 0 ||
	    send(sock, text, (size_t)n, MSG_NOSIGNAL) < 0) {
		log_warn(log, "cannot tell the service manager at NOTIFY_SOCKET that the container is ready: %m");
		return;
	}
	wait_for_barrier(sock);
}

static bool says_ready(const char *text)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, "READY=1", 7) == 0 && (line[7] == '\n' || !line[7]))
			return true;
	}
	return false;
}

int notify_forward(int sock, pid_t init, const struct log *log)
{
	char text[4096];
	ssize_t n = recv(sock, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (!says_ready(text))
		return 0;
	tell_manager(init, log);
	return 1;
}

int notify_wait(int sock, pid_t init, int init_pidfd, const struct log *log, struct error *err)
{
	for (;;) {
		struct pollfd p[] = { { .fd = sock, .events = POLLIN }, { .fd = init_pidfd, .events = POLLIN } };
		int r = poll(p, 2, READY_TIMEOUT_MS);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return error_set(err, errno, "wait for the container to be ready");
		if (r == 0)
			return error_rule(err, ETIMEDOUT, "the container did not say READY=1 within an hour");
		if (p[0].revents && notify_forward(sock, init, log))
			return 0;
		if (p[1].revents)
			return 0;
	}
}
