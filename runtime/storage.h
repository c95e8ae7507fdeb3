/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * storage - a container's files: a root made of layers, other images beside it, volumes
 *
 *	storage_wish()   options and annotations as one wish; pure (storage_wish.c, volumes.c)
 *	storage_plan()   finds what it names; no side effect
 *	storage_note()   into the state directory, before any of it exists
 *	storage_make()   sandboxes, and mounts that are attached nowhere, for the plan of the namespaces
 *	storage_give()   the child has them: our descriptors go
 *	storage_end()    takes down what the note or the state says; storage_undo() what this command made
 *
 * A container whose wish is empty pays nothing: each of these returns at once.
 *
 * Slots. A container has its root's sandbox in slot 0 and its other images' in those from 1 on. What is in them is
 * said by one character each: 'w' a sandbox, named as the container ("web", "web.1"); 'r' a hold on layers that are
 * mounted read-only; '-' nothing. The note is the symbolic link `sandbox`, with the text "SLOTS:STORE".
 */

#include <stdbool.h>
#include <stdint.h>

#include "namespaces/namespaces.h"
#include "overlay/sandbox.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

#define STORAGE_IMAGE	RT_IMAGE_ANNOTATION
#define STORAGE_LAYERS	"dev.bulkhead.layers"
#define STORAGE_SANDBOX "dev.bulkhead.sandbox"
#define STORAGE_SIZE	"dev.bulkhead.sandbox-size"

/* An image at a directory: --mount-image. */
struct storage_side {
	const char *image, *path;
	bool is_writable;
};

struct storage_wish {
	const char *image; /* of the root; NULL: none */
	const char *const *layers; /* of the root, the topmost first */
	size_t n_layers;
	bool layers_are_noted; /* by the annotation: relative to the bundle, not to the working directory */
	bool keep, memory;
	uint64_t max_bytes, max_inodes; /* 0: no limit */
	struct storage_side *sides;
	size_t n_sides;
	struct spec_mount *volumes; /* options as the config would have them; source as given */
	size_t n_volumes;
};

/* -EINVAL names what is malformed, and both when an option and an annotation differ. */
int storage_wish(const struct rt_storage *opt, const struct spec *spec, struct arena *a, struct storage_wish *ret,
		 struct error *err);

/* The parts of it about --mount-image and --volume (volumes.c). */
int storage_sides(char *const *given, struct arena *a, struct storage_wish *ret, struct error *err);
int storage_volumes(char *const *given, struct arena *a, struct storage_wish *ret, struct error *err);
/* No two of them at one place, nor where the config mounts something. */
int storage_check_places(const struct storage_wish *wish, const struct spec *spec, struct arena *a, struct error *err);

/* What is in a slot. */
struct storage_tree {
	const char *name; /* of the sandbox or hold */
	const char *image;
	struct ovl_lower *lowers; /* the lowest first */
	size_t n_lowers;
	bool is_writable;
	bool is_made;
	int mount_fd;
};

struct storage {
	struct storage_wish wish;
	bool has_root; /* slot 0 is the root */
	struct ovl_store store;
	struct storage_tree *trees;
	size_t n_trees; /* 0: nothing of the store is wanted */
};

#define STORAGE_INIT { .store = { .fd = -1 } }

struct build;

int storage_plan(struct build *b, struct error *err);
int storage_note(struct build *b, struct error *err);
int storage_make(struct build *b, struct error *err);
void storage_give(struct build *b);
/* The parent, while the child is busy elsewhere: has the kernel look up in many layers what the child will need. */
void storage_warm(const struct build *b);
/* Reports what it cannot take down in the log: whoever calls it has an error already. */
void storage_undo(struct build *b);

/* Will what the container wrote into its root's sandbox be there after its end? */
bool storage_is_kept(const struct rt_sandbox *sandbox, const char *id);
/* For a container that has ended. opened: its store, or NULL. */
int storage_end(const struct rt_sandbox *sandbox, const struct ovl_store *opened, int state_dir, const char *id,
		struct error *err);
/*
 * For one that never got a state.json: what the note says, as far as it is this container's. A sandbox of that
 * name may be another state root's.
 */
int storage_end_noted(const struct rt_context *ctx, int state_dir, const char *id, struct error *err);

/* "directory", "quota", "image", "memory" */
const char *storage_kind_name(enum ovl_sandbox_kind kind);
