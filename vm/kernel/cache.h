/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * cache - files that are costly to make, kept by content (kernel.h says how)
 */

#include <limits.h>
#include <sys/stat.h>

#include "spec/base/error.h"

struct cache {
	int dir_fd; /* -1: nothing is kept */
};

#define CACHE_NONE { .dir_fd = -1 }

/* Opens, and makes, the directory. One that others may write to is not used: -EPERM. NULL: nothing is kept. */
int cache_open(const char *path, struct cache *ret, struct error *err);
void cache_close(struct cache *c);
#define auto_cache __attribute__((cleanup(cache_close)))

/* The name that a file with this identity has, with a letter for what is made of it. */
void cache_key(const struct stat *st, const char *kind, char ret[static NAME_MAX + 1]);
/* Opens an entry or a link; quietly -ENOENT. */
int cache_find(const struct cache *c, const char *name);

/* A new file without a name: on the cache's disk, or in memory when nothing can be kept. */
int cache_new(const struct cache *c, struct error *err);
/*
 * Names it `name` and links key to that. It is not the caller's business whether that worked: a full disk or
 * a directory that cannot be written to costs the next start time, and this one nothing.
 */
void cache_keep(const struct cache *c, int fd, const char *name, const char *key);
/* Links key to an entry that is there. */
void cache_link(const struct cache *c, const char *name, const char *key);
