/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * dl - libraries that only some commands need, opened on first use
 *
 * Linking a library costs every command its load time (measured: 0.05 to 0.7 ms);
 * opening it costs only the command that needs it. The static build can load none:
 * it hands such a command on to bulkhead-shared (runtime/shared.h). What a start
 * needs, libseccomp, is linked into it instead.
 *
 * Never called once a container's root has been entered: the library would be
 * the container's (CVE-2019-14271).
 */

#include <stdbool.h>
#include <stddef.h>

#include "spec/base/error.h"

struct dl_symbol {
	const char *name;
	size_t offset; /* of the function pointer in the caller's table */
};

/*
 * Opens soname and fills table[offset] for each of n symbols. -ENOENT with a
 * hint that names the Debian package when the library is not installed,
 * -ENOTSUP when a symbol is missing.
 */
int dl_load(const char *soname, const char *package, const struct dl_symbol *symbols, size_t n,
	    void *table, struct error *err);

/* false in the static build: every dl_load() fails there. */
bool dl_can_load(void);
