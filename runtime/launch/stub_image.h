/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * stub_image - the final-exec stub as something execveat() accepts
 *
 * The built stub (runtime/launch/stub/) travels inside our binary as bytes. What is
 * handed out is a copy that nobody can change any more: a sealed memory file, or
 * where the host forbids executable ones (sysctl vm.memfd_noexec=2) a file on a
 * private, unattached, read-only tmpfs. Neither leads back to our own binary
 * (CVE-2019-5736).
 */

#include <stddef.h>

#include "spec/base/error.h"

/* Returns a CLOEXEC fd for execveat(fd, "", argv, envp, AT_EMPTY_PATH); for argv see stub.h. */
int stub_open(struct error *err);

/* The two ways stub_open() chooses from; for tests. */
int stub_open_memfd(struct error *err);
int stub_open_tmpfs(struct error *err);

/* The bytes, for tests and for the size report. */
const void *stub_image(size_t *ret_size);
