/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* environ - the environment of the container's program */

#include "spec/base/arena.h"
#include "spec/spec.h"

/*
 * process.env with the last of each name winning and the order of first
 * appearance kept, then the entries of extra (NULL-terminated, may be NULL) which
 * win over both. When HOME is absent or empty, the entry for it is left as a
 * hole: *ret_home points to where the caller puts "HOME=…" (or a NULL that ends
 * the list early: it is the last slot). *ret_home is NULL when HOME is given.
 */
char **environ_build(const struct spec_strings *env, char *const *extra, struct arena *a,
		     char ***ret_home);

/*
 * The home directory of uid according to /etc/passwd below root_fd, "/" when it
 * says nothing usable. Reads a bounded part of a regular file only.
 */
void environ_home(int root_fd, uint32_t uid, char *buf, size_t size);
