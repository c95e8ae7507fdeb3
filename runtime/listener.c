/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handing the seccomp notify descriptor to its agent.
 */
#include "runtime/listener.h"

#include "runtime/console.h"
#include "spec/base/auto.h"

static void write_process_state(struct buf *b, const struct spec_seccomp *profile,
				const struct rt_state *state, enum rt_status status, pid_t pid)
{
	struct json_w w = { .out = b };
	struct spec_state doc;

	state_document(state, status, &doc);
	json_w_open(&w, NULL, '{');
	json_w_str(&w, "ociVersion", SPEC_VERSION);
	json_w_open(&w, "fds", '[');
	json_w_str(&w, NULL, "seccompFd");
	json_w_close(&w, ']');
	json_w_int(&w, "pid", pid);
	if (profile->listener_metadata)
		json_w_str(&w, "metadata", profile->listener_metadata);
	spec_write_state(&w, "state", &doc);
	json_w_close(&w, '}');
}

int listener_send(const struct spec_seccomp *profile, const struct rt_state *state,
		  enum rt_status status, pid_t pid, int notify_fd, struct error *err)
{
	auto_buf struct buf b = BUF_INIT;

	write_process_state(&b, profile, state, status, pid);

	auto_close int sock = console_connect(profile->listener_path, err);
	int r = sock;

	if (r >= 0)
		r = console_send_fd(sock, b.data, b.len, notify_fd, err);
	if (r < 0) {
		r = error_wrap(err, r, "cannot hand the seccomp notifications to %s", profile->listener_path);
		error_at(err, "/linux/seccomp/listenerPath");
	}
	return r;
}
