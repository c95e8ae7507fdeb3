/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * overlay - where the files come from: the store of image layers
 *
 * An image is a list of layers and a config. A layer is unpacked once, into the form that overlayfs
 * reads, and shared by every image and container that names it. It is found by its diffID, the SHA-256
 * of its tar archive (image-spec, config.md), and never changes once it is in the store.
 *
 *	STORE/                     0700; OVL_STORE_DEFAULT unless the caller says otherwise
 *	  lock                     held for moments only: shared to take a hold, alone to change records
 *	  layers/<64 hex digits>/  one layer, complete: it came here by one rename
 *	    tree/                  the files. Whiteout: character device 0/0. Opaque directory: the extended
 *	                           attribute trusted.overlay.opaque (kernel, filesystems/overlayfs.rst)
 *	    listing                a line for each entry of tree/, sorted: metadata and digest of content
 *	    layer.json             {diffId, listing (its digest), entries, bytes, hasRoot}
 *	    has-root               an empty file, there if hasRoot is true
 *	  images/<name, escaped>   one record: {name, source, manifest, imported, layers, configDigest}, then the config's own
 *	                           bytes on the lines behind it. A layer is one string there: record.c
 *	  refs/<user>              who uses which layers; see ovl_hold_take()
 *	  sandboxes/<name>/        what a container writes; see sandbox.h
 *	  empty/                   nothing: the second directory of an overlay that needs two
 *	  work/<name>/             a layer being unpacked or removed, flock()ed by who does it
 *
 * What a kill -9, a crash or a full disk leaves: files in work/ and refs/ whose lock is free, and layers
 * that no record names. Nothing reads the former, and ovl_gc() and the next import remove both. After a
 * power cut it is the same: a layer is on the disk (syncfs) before it gets its name.
 *
 * Sources are written as skopeo writes them (containers-transports(5)):
 *
 *	oci:DIR[:TAG]               an image layout directory (image-spec, image-layout.md)
 *	oci-archive:FILE[:TAG]      the same in a tar archive, plain or compressed
 *	docker-archive:FILE[:REF]   what `docker save` writes, plain or compressed
 *
 * libarchive and libnettle are opened on first use (spec/base/dl.h): import and verify need a build that
 * can load libraries, the rest does not.
 *
 * Errors follow spec/base/error.h. -ENOENT: no such store, image or layer; -EEXIST: the name belongs to
 * another image; -EBADMSG: a digest is wrong; -EPERM, -EINVAL, -E2BIG: the archive or its index breaks a
 * rule, which the message names; -EBUSY: another command kept what is needed for too long; -ENOSPC and
 * the like: from the kernel. Whatever is returned, images and layers that were there are unchanged.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/base/arena.h"
#include "spec/base/error.h"
#include "spec/base/log.h"

#define OVL_STORE_DEFAULT "/var/lib/bulkhead/layers"
#define OVL_HEX_BYTES 65 /* 64 hex digits and a NUL */

/* ---- the store ---- */

struct ovl_store {
	int fd; /* its directory */
	const char *path; /* the caller's string, for messages */
};

enum ovl_open { OVL_EXISTING, OVL_MAKE };

/*
 * OVL_MAKE makes what is missing, parents too. -ENOENT when it has to exist and does not; -EPERM when
 * somebody but the caller may write to it: who can change a layer changes every container on it.
 */
int ovl_store_open(const char *path, enum ovl_open how, struct ovl_store *ret, struct error *err);
void ovl_store_close(struct ovl_store *store);

/* ---- images ---- */

struct ovl_layer {
	char hex[OVL_HEX_BYTES]; /* the diffID without "sha256:" */
	char listing[OVL_HEX_BYTES]; /* digest of the listing: two trees with the same are the same */
	uint64_t entries;
	uint64_t bytes; /* content of its files */
	bool has_root; /* the archive had an entry for the root directory itself */
	bool hides_below; /* its root is opaque: nothing of the layers below it is to be seen */
	bool is_known; /* the two above are as the image's record has them, and need not be asked of the layer */
	unsigned users; /* images and holds that name it; ovl_layers() alone counts them */
};

struct ovl_image {
	const char *name;
	const char *source;
	const char *manifest; /* "sha256:…" of the manifest; "" for a docker-archive */
	const char *imported; /* RFC 3339 */
	const char *config; /* the image config, JSON, the very bytes */
	size_t config_n;
	const char *config_digest; /* "sha256:…" */
	struct ovl_layer *layers; /* lowest first, as the config has them; one may be there twice */
	size_t n_layers;
	uint64_t bytes; /* content of its layers, each counted once */
};

/* Bounds of an image on its way in: what a decompression bomb runs into. 0: the default. */
struct ovl_limits {
	uint64_t max_bytes; /* unpacked, holes of sparse files included. Default 64 GiB */
	uint64_t max_entries; /* of all its layers. Default 4 Mi */
	unsigned max_depth; /* components of a path. Default 256, which is the most */
};

struct ovl_progress {
	unsigned layer, n_layers; /* from 1 */
	char hex[OVL_HEX_BYTES];
	uint64_t done, size; /* bytes of the layer's blob */
	bool is_present; /* the store had it */
};

struct ovl_import {
	const char *source;
	const char *name; /* NULL: the source, its path made absolute */
	struct ovl_limits limits;
	const struct log *log; /* what is left out is warned about: attributes of the host, for one */
	void (*progress)(void *data, const struct ovl_progress *p); /* NULL: none. At most every 100 ms */
	void *data;
};

/*
 * Brings an image in. An image of the same name is replaced when it came from the same source, else -EEXIST.
 * Each byte of a layer's blob is read once: its digest, the diffID and the digests of the files are
 * taken on the way. *ret_new: layers that were not there before. Imports of the same layer at once share the
 * work: the second waits for the first.
 */
int ovl_import(const struct ovl_store *store, const struct ovl_import *o, struct arena *a,
	       struct ovl_image *ret, size_t *ret_new, struct error *err);

/* By name, or by source as it was given to ovl_import(). -ENOENT. Layers have what layer.json says. */
int ovl_image_find(const struct ovl_store *store, const char *name, struct arena *a,
		   struct ovl_image *ret, struct error *err);

/* The same from the record alone: of its layers there is no more than hex, and they may be gone. What a run needs. */
int ovl_image_record(const struct ovl_store *store, const char *name, struct arena *a,
		     struct ovl_image *ret, struct error *err);

/* All, by name. A record that cannot be read is an error that names it. */
int ovl_images(const struct ovl_store *store, struct arena *a, struct ovl_image **ret, size_t *ret_n,
	       struct error *err);

/* All layers, by diffID, with their users. */
int ovl_layers(const struct ovl_store *store, struct arena *a, struct ovl_layer **ret, size_t *ret_n,
	       struct error *err);

/* What was thrown away. */
struct ovl_freed {
	size_t images, layers, leftovers;
	uint64_t bytes; /* content of the layers */
};

/* Removes the image's record, and those of its layers that nothing else uses. */
int ovl_image_remove(const struct ovl_store *store, const char *name, struct arena *a,
		     struct ovl_freed *ret, struct error *err);

/* Removes layers that nothing uses, holds whose taker is gone, and what killed commands left. */
int ovl_gc(const struct ovl_store *store, struct arena *a, struct ovl_freed *ret, struct error *err);

enum ovl_change { OVL_CHANGED, OVL_MISSING, OVL_ADDED };

struct ovl_verify {
	/* Called for each entry that is not what was imported; path as the listing writes it. */
	void (*changed)(void *data, const struct ovl_layer *layer, enum ovl_change what, const char *path);
	/* Called for each layer once it was read; damage: why it could not be compared, or NULL. */
	void (*layer)(void *data, const struct ovl_layer *layer, size_t n_changes, const char *damage);
	void *data;
};

/*
 * Reads every byte of the image (of every layer in the store when name is NULL) and compares it with
 * what was imported: content, names, types, owners, modes, times, attributes, links. Returns the number
 * of layers that differ, are damaged or are gone; -E… when it cannot look.
 */
int ovl_verify(const struct ovl_store *store, const char *name, const struct ovl_verify *o,
	       struct arena *a, struct error *err);

/* ---- use ---- */

/*
 * Writes down that user (a file name, such as "container-web") uses layers, which keeps them in the store
 * until ovl_hold_drop(). All of them must be there (-ENOENT). holder is an absolute path that exists as
 * long as the use does, a container's state directory: when it is gone so is the hold. A hold of
 * the same user is replaced.
 */
int ovl_hold_take(const struct ovl_store *store, const char *user, const char *holder,
		  const struct ovl_layer *layers, size_t n, struct error *err);
/* No such hold is no error. */
int ovl_hold_drop(const struct ovl_store *store, const char *user, struct error *err);

/* Opens the tree of a layer, a directory to read. */
int ovl_layer_open(const struct ovl_store *store, const char *hex, struct error *err);

/*
 * Mounts layers, lowest first as an image has them, as one tree and returns the mount, attached nowhere.
 * At most 500 different ones (-EINVAL). upper_fd: where writes go, with work_fd an empty directory of the same
 * file system; -1: read-only. The same upper twice at a time is -EBUSY.
 */
int ovl_mount(const struct ovl_store *store, const struct ovl_layer *layers, size_t n, int upper_fd,
	      int work_fd, struct error *err);
