/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* image - an image of the store as something to run: what `do` and `spec --image` share */

#include "cli/cli.h"
#include "overlay/overlay.h"
#include "spec/image.h"

struct cli_image {
	struct ovl_image found;
	const struct spec_image *config;
};

/* Is it written as a source of an image (oci:…)? */
bool cli_is_image_source(const char *image);

/*
 * Brings an image in, with progress on a terminal unless quiet. o has what the command line says; log and
 * progress are filled in here.
 */
int cli_image_import(const struct cli *cli, const struct ovl_store *store, struct ovl_import *o, bool is_quiet,
		     struct ovl_image *ret, size_t *ret_new, struct error *err);

/*
 * Finds an image and reads its config. A source that the store has nothing of is brought in first, to stay,
 * which is said on a terminal.
 */
int cli_image_get(const struct cli *cli, const char *image, bool is_quiet, struct cli_image *ret, struct error *err);

/* Whose files say who a user is: an image's, or a directory's. */
struct cli_user_files {
	const struct ovl_image *image; /* NULL: */
	const char *dir;
};

/* The ids of text. The files are looked at only when they are needed. */
int cli_image_user(const struct cli *cli, const struct cli_user_files *files, const char *text, struct spec_user *ret,
		   struct error *err);
