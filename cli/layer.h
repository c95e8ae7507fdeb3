/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* layer - the commands of `layer` */

#include "cli/cli.h"
#include "overlay/overlay.h"

int cmd_layer_gc(struct cli *cli, struct error *err);
int cmd_layer_import(struct cli *cli, struct error *err);
int cmd_layer_list(struct cli *cli, struct error *err);
int cmd_layer_remove(struct cli *cli, struct error *err);
int cmd_layer_show(struct cli *cli, struct error *err);
int cmd_layer_verify(struct cli *cli, struct error *err);

/* The store: --store, else $BULKHEAD_STORE, else the default. */
int cli_store_open(const struct cli *cli, enum ovl_open how, struct ovl_store *ret, struct error *err);
#define CLI_STORE_INIT { .fd = -1 }
#define auto_store __attribute__((cleanup(ovl_store_close)))

/* layer_format.c: each appends what goes to standard output. */
void layer_images_table(struct buf *out, const struct ovl_image *v, size_t n, struct arena *a);
void layer_images_json(struct buf *out, const struct ovl_image *v, size_t n);
void layer_layers_table(struct buf *out, const struct ovl_layer *v, size_t n, struct arena *a);
void layer_layers_json(struct buf *out, const struct ovl_layer *v, size_t n);
void layer_image_text(struct buf *out, const struct ovl_image *image, struct arena *a);
/* n_new SIZE_MAX: with the config, as `show` prints it; else with the number of new layers. */
void layer_image_json(struct buf *out, const struct ovl_image *image, size_t n_new);
void layer_freed_text(struct buf *out, const struct ovl_freed *freed, struct arena *a);
void layer_freed_json(struct buf *out, const struct ovl_freed *freed);
/* One line of progress, without an end: "layer 2/5 3a1f9c… 45% 12M". */
void layer_progress_line(struct buf *out, const struct ovl_progress *p, struct arena *a);
