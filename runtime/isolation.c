/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/isolation.h"

#include <errno.h>
#include <string.h>


static int read_annotation(const char *text, enum rt_isolation *ret, struct error *err)
{
	if (!text || !strcmp(text, "default"))
		*ret = RT_ISOLATION_DEFAULT;
	else if (!strcmp(text, "process"))
		*ret = RT_ISOLATION_PROCESS;
	else if (!strcmp(text, "vm"))
		*ret = RT_ISOLATION_VM;
	else
		return error_rule(err, EINVAL, "annotation " ISOLATION_ANNOTATION " is \"%.100s\", not process or vm", text);
	return 0;
}

int isolation_choose(enum rt_isolation option, const struct spec *spec, bool *ret_is_vm, struct error *err)
{
	const char *text = spec_annotation(spec, ISOLATION_ANNOTATION);
	enum rt_isolation noted = RT_ISOLATION_DEFAULT;
	int r = read_annotation(text, &noted, err);

	if (r == 0 && option != RT_ISOLATION_DEFAULT && noted != RT_ISOLATION_DEFAULT && option != noted)
		r = error_rule(err, EINVAL, "--isolation is %s, but annotation " ISOLATION_ANNOTATION " is %s",
			       option == RT_ISOLATION_VM ? "vm" : "process", text);
	if (r < 0) {
		error_at(err, "/annotations/" ISOLATION_ANNOTATION);
		return r;
	}
	*ret_is_vm = option == RT_ISOLATION_VM || noted == RT_ISOLATION_VM;
	return 0;
}
