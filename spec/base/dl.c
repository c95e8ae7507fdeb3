/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/base/dl.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#if !defined(__GLIBC__)

bool dl_can_load(void)
{
	return false;
}

int dl_load(const char *soname, const char *package, const struct dl_symbol *symbols, size_t n,
	    void *table, struct error *err)
{
	(void)package;
	(void)symbols;
	(void)n;
	(void)table;

	int r = error_rule(err, ENOTSUP, "the static build of this program cannot load %s", soname);

	error_hint(err, "put bulkhead-shared, which is built with it, beside it");
	return r;
}

#else

bool dl_can_load(void)
{
	return true;
}

int dl_load(const char *soname, const char *package, const struct dl_symbol *symbols, size_t n,
	    void *table, struct error *err)
{
	void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		const char *why = dlerror();
		int r = error_rule(err, ENOENT, "library %s does not load: %s", soname,
				   why ? why : "no reason given");

		error_hint(err, "install the package %s", package);
		return r;
	}

	for (size_t i = 0; i < n; i++) {
		if (!dlsym(library, symbols[i].name)) {
			dlclose(library);
			return error_rule(err, ENOTSUP, "library %s has no function %s", soname,
					  symbols[i].name);
		}
	}

	/* memcpy: ISO C knows no cast from an object pointer to a function pointer. */
	for (size_t i = 0; i < n; i++) {
		void *symbol = dlsym(library, symbols[i].name);

		memcpy((char *)table + symbols[i].offset, &symbol, sizeof(symbol));
	}
	return 0; /* stays open: the table points into it until the process ends */
}

#endif
