/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/* All groups as one document that cpg_apply() reads. */

#include <string.h>

int cpg_export(struct cpg *cpg, const char *name, struct json_w *w, struct error *err)
{
	auto_scratch struct arena *a = cpg_scratch_new();
	struct cpg_tree tree;
	int r = name ? cpg_name_check(name, err) : 0;

	if (r == 0)
		r = cpg_tree_load(cpg, a, &tree, err);
	if (r < 0)
		return r;
	if (name && strcmp(name, "/") == 0)
		name = NULL;
	if (name && cpg_tree_find(&tree, name) < 0)
		return error_rule(err, ENOENT, "there is no CPU group \"%s\"", name);

	json_w_open(w, NULL, '{');
	json_w_uint(w, "version", 1);
	json_w_open(w, "groups", '[');
	for (size_t i = 1; i < tree.n; i++) {
		const struct cpg_node *n = &tree.v[i];

		if (name && !cpg_is_within(n->name, name))
			continue;
		json_w_open(w, NULL, '{');
		json_w_str(w, "name", n->name);
		cpg_policy_write(w, "policy", &n->attr.policy);
		json_w_close(w, '}');
	}
	json_w_close(w, ']');
	json_w_close(w, '}');
	return 0;
}
