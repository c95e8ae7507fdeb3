/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * store - the directories of the store, its lock, and how files get in and out of them
 */

#include <stdbool.h>
#include <sys/file.h>

#include "overlay/overlay.h"

/* renameat2(2) with RENAME_NOREPLACE, which musl lacks. */
int rename_new(int from_fd, const char *from, int to_fd, const char *to);

/* A number that no other command has: a pid alone may be somebody's in another pid namespace. */
unsigned long long unique_number(void);

/* The file in work/ that becomes a record. */
#define STORE_RECORD "record"

/* Opens a directory of the store: "layers", "images", "refs" or "work". */
int store_dir(const struct ovl_store *store, const char *name, struct error *err);

/*
 * Takes the store's lock (LOCK_SH or LOCK_EX) and returns the descriptor that holds it. Held for a few
 * system calls only; -EBUSY after ten seconds.
 */
int store_lock(const struct ovl_store *store, int how, struct error *err);

/* flock() with a deadline. -EBUSY when somebody else still has it then; what names it in the message. */
int lock_within(int fd, int how, unsigned seconds, const char *what, struct error *err);

/*
 * Puts a file into dir_fd for good: written in work/, on the disk, then renamed. The caller has the lock
 * alone, so that the name in work/ is nobody else's.
 */
int store_put(const struct ovl_store *store, int dir_fd, const char *name, const void *data, size_t n,
	      struct error *err);

/* Removes name and all below it; what is not there is no error. Follows no link, crosses no mount. */
int remove_tree(int dir_fd, const char *name, struct error *err);

/* Takes a layer out of sight in one step: into work/, for store_sweep_work() to remove. */
int store_move_away(const struct ovl_store *store, int dir_fd, const char *name, struct error *err);

/* Removes what is in work/ and has no owner any more. Adds to *ret_n. The caller has not locked the store. */
int store_sweep_work(const struct ovl_store *store, size_t *ret_n, struct error *err);

/* The names in a directory, sorted by their bytes, without "." and "..". One allocation for all names. */
struct dir_list {
	char **names;
	size_t n;
	char *bytes;
};
int dir_list_read(struct dir_list *ret, int dir_fd, struct error *err);
void dir_list_release(struct dir_list *list);

/* The same, in an arena. */
int dir_names(int dir_fd, struct arena *a, char ***ret, size_t *ret_n, struct error *err);

/* The file name that stands for an image's name: one each. -ENAMETOOLONG. */
int name_escape(const char *text, char ret[static 256], struct error *err);
