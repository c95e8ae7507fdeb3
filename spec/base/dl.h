/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * dl - libraries that only some commands need, opened on first use
 *
 * Linking a library costs every command its load time (measured: 0.05 to 0.7 ms);
 * opening it costs only the command that needs it. This works in the static build
 * too, as long as the machine's libc is the release it was linked with; what a
 * start needs (libseccomp) is linked there instead.
 *
 * Never called once a container's root has been entered: the library would be
 * the container's (CVE-2019-14271).
 */

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
