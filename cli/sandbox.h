/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* sandbox - the commands of `sandbox` */

#include "cli/cli.h"
#include "overlay/sandbox.h"

int cmd_sandbox_list(struct cli *cli, struct error *err);
int cmd_sandbox_remove(struct cli *cli, struct error *err);
int cmd_sandbox_reset(struct cli *cli, struct error *err);
int cmd_sandbox_show(struct cli *cli, struct error *err);

/* sandbox_format.c: each appends what goes to standard output. */
struct sandbox_row {
	struct ovl_sandbox sb;
	struct ovl_usage usage;
};
void sandbox_table(struct buf *out, const struct sandbox_row *v, size_t n, struct arena *a);
void sandbox_list_json(struct buf *out, const struct sandbox_row *v, size_t n);
void sandbox_text(struct buf *out, const struct sandbox_row *row, struct arena *a);
void sandbox_json(struct buf *out, const struct sandbox_row *row);
