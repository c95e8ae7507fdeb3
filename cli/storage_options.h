/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* storage_options - where a container's files come from: the options of create, run and whatever else makes one */

#include "cli/cli.h"

#define CLI_ROOT_OPTIONS \
	{ "image", NULL, CLI_TEXT, "IMAGE", "make the root of this image of the layer store", 0 }, \
	{ "layer", NULL, CLI_LIST, "DIR|ID", \
	  "make the root of these layers, the topmost first (may be repeated)", 0 }

#define CLI_SANDBOX_OPTIONS \
	{ "sandbox", NULL, CLI_TEXT, "MODE", \
	  "the root's writable layer: discard (default), keep or memory[:SIZE]", 0 }, \
	{ "sandbox-size", NULL, CLI_TEXT, "BYTES", "most that may be written to the sandbox", 0 }, \
	{ "sandbox-inodes", NULL, CLI_NUMBER, "N", "most files that the sandbox may have", 0 }, \
	{ "mount-image", NULL, CLI_LIST, "IMAGE:/PATH[:rw]", \
	  "mount another image at a directory (may be repeated)", 0 }, \
	{ "volume", NULL, CLI_LIST, "SOURCE:/PATH[:OPTION,...]", \
	  "bind a directory or file of the host (may be repeated)", 0 }

/* Reads CLI_SANDBOX_OPTIONS alone. */
void cli_sandbox_options(const struct cli *cli, struct rt_storage *ret);
/* Reads both. */
void cli_storage_options(const struct cli *cli, struct rt_storage *ret);
