/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* out - diff, commit, and the commands of `sandbox` that write and read archives */

#include "cli/cli.h"
#include "overlay/changes.h"

int cmd_diff(struct cli *cli, struct error *err);
int cmd_commit(struct cli *cli, struct error *err);
int cmd_sandbox_export(struct cli *cli, struct error *err);
int cmd_sandbox_import(struct cli *cli, struct error *err);

#define OUT_COMPRESSIONS "gzip|zstd|none"
/* Of the option --compression. */
enum ovl_compression out_compression(const struct cli *cli, enum ovl_compression otherwise);

/*
 * image_change.c: instructions of a Dockerfile (CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR) as
 * what ovl_commit.config takes. NULL when there are none. -EINVAL names the instruction.
 */
int out_image_change(char *const *lines, size_t n, struct arena *a, const char **ret, struct error *err);
