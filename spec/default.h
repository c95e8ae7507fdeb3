/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* default - what the config of a fresh bundle and that of an image have in common */

#include "spec/base/json.h"
#include "spec/image.h"
#include "spec/spec.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* An array of strings. */
void default_write_list(struct json_w *w, const char *name, const char *const *list, size_t n);

/* The set of capabilities of these names, all of which are known. */
uint64_t default_caps(const char *const *names, size_t n);

/* The elements of "mounts": what a Linux program expects below /proc, /dev and /sys. */
void default_write_mounts(struct json_w *w, bool rootless);

struct default_linux {
	bool rootless;
	uint32_t euid, egid; /* rootless: who root is outside */
	bool host_network;
	const struct buf *seccomp; /* the value of the member as text; NULL: none */
	bool masks_more; /* also what tells of, or steers, the power and the interrupts of the host */
};
/* The member "linux". */
void default_write_linux(struct json_w *w, const struct default_linux *opt);

/* The value of "linux.seccomp" for a container that nobody wrote one for, and that has at most these capabilities. */
void default_write_seccomp(struct buf *out, uint64_t caps);

/* That of a profile: without what it says about other capabilities, architectures and kernels. */
int default_write_profile(struct buf *out, const struct spec_seccomp_wish *wish, uint64_t caps, struct error *err);
