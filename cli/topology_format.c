/* SPDX-License-Identifier: Apache-2.0 */

/* topology_format - the outputs of `cpugroup topology` (declared in cpugroup_format.h) */

#include "cli/cpugroup_format.h"
#include "cli/table.h"
#include "spec/base/auto.h"

/* The kernel does not say: "-". */
static const char *number(int n, struct arena *a)
{
	return n < 0 ? "" : arena_printf(a, "%d", n);
}

void cli_topology_table(struct buf *out, const struct cpg_topology *t, struct arena *a)
{
	static const char *const head[] = { "CPU",	"NODE",	  "PACKAGE",  "DIE",  "CORE",
					    "SIBLINGS", "ONLINE", "ISOLATED", "GROUP" };
	struct cli_table table = {
		.arena = a, .columns = ARRAY_SIZE(head), .gap = 2, .right = 0x1f
	};

	cli_table_cells(&table, head);
	for (size_t i = 0; i < t->n; i++) {
		const struct cpg_cpu *c = &t->cpu[i];

		cli_table_cell(&table, arena_printf(a, "%u", c->cpu));
		cli_table_cell(&table, number(c->node, a));
		cli_table_cell(&table, number(c->package, a));
		cli_table_cell(&table, number(c->die, a));
		cli_table_cell(&table, number(c->core, a));
		cli_table_cell(&table, c->siblings);
		cli_table_cell(&table, c->online ? "yes" : "no");
		cli_table_cell(&table, c->isolated ? "yes" : "no");
		cli_table_cell(&table, c->group);
	}
	cli_table_print(&table, out);
}

static void write_number(struct json_w *w, const char *name, int n)
{
	if (n < 0)
		json_w_null(w, name);
	else
		json_w_int(w, name, n);
}

void cli_topology_json(struct json_w *w, const struct cpg_topology *t)
{
	json_w_open(w, NULL, '{');
	json_w_uint(w, "logicalProcessorCount", t->n);
	json_w_open(w, "logicalProcessors", '[');
	for (size_t i = 0; i < t->n; i++) {
		const struct cpg_cpu *c = &t->cpu[i];

		json_w_open(w, NULL, '{');
		json_w_uint(w, "lpIndex", c->cpu);
		write_number(w, "nodeNumber", c->node);
		write_number(w, "packageId", c->package);
		write_number(w, "dieId", c->die);
		write_number(w, "coreId", c->core);
		json_w_str(w, "siblings", c->siblings ? c->siblings : "");
		json_w_bool(w, "online", c->online);
		json_w_bool(w, "isolated", c->isolated);
		if (c->group)
			json_w_str(w, "group", c->group);
		else
			json_w_null(w, "group");
		json_w_close(w, '}');
	}
	json_w_close(w, ']');
	json_w_close(w, '}');
}

void cli_topology_hcs(struct json_w *w, const struct cpg_topology *t)
{
	json_w_open(w, NULL, '{');
	json_w_uint(w, "LogicalProcessorCount", t->n);
	json_w_open(w, "LogicalProcessors", '[');
	for (size_t i = 0; i < t->n; i++) {
		const struct cpg_cpu *c = &t->cpu[i];

		/* That schema knows no "unknown": its numbers are unsigned. */
		json_w_open(w, NULL, '{');
		json_w_uint(w, "LpIndex", c->cpu);
		json_w_int(w, "NodeNumber", c->node < 0 ? 0 : c->node);
		json_w_int(w, "PackageId", c->package < 0 ? 0 : c->package);
		json_w_int(w, "CoreId", c->core < 0 ? 0 : c->core);
		json_w_int(w, "RootVpIndex", (int)c->cpu);
		json_w_close(w, '}');
	}
	json_w_close(w, ']');
	json_w_close(w, '}');
}
