/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of what storage.c made: after the container, after a creation that was cut short, after a kill.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "runtime/build.h"
#include "runtime/storage.h"
#include "spec/base/auto.h"

static void slot_name(char *buf, size_t size, const char *id, size_t slot)
{
	if (slot)
		snprintf(buf, size, "%s.%zu", id, slot);
	else
		snprintf(buf, size, "%s", id);
}

static int end_slot(const struct ovl_store *store, char what, const char *name, struct error *err)
{
	int r = what == 'w' ? ovl_sandbox_end(store, name, err) : what == 'r' ? ovl_hold_drop(store, name, err) : 0;

	return r < 0 ? error_wrap(err, r, "cannot take down sandbox \"%s\"", name) : 0;
}

static int end_slots(const struct ovl_store *store, const char *slots, const char *id, struct error *err)
{
	char name[NAME_MAX + 32];
	int r = 0;

	for (size_t i = strlen(slots); r == 0 && i-- > 0;) {
		slot_name(name, sizeof(name), id, i);
		r = end_slot(store, slots[i], name, err);
	}
	return r;
}

static int open_store(const char *path, struct ovl_store *ret, struct error *err)
{
	*ret = (struct ovl_store){ .fd = -1 };

	return ovl_store_open(path, OVL_EXISTING, ret, err);
}

int storage_end(const struct rt_sandbox *sandbox, const struct ovl_store *opened, int state_dir, const char *id,
		struct error *err)
{
	struct ovl_store store;
	int r;

	if (!sandbox)
		return 0;
	if (opened && opened->fd >= 0) {
		r = end_slots(opened, sandbox->slots, id, err);
		if (r == 0)
			state_drop_note_of_sandbox(state_dir);
		return r;
	}

	r = open_store(sandbox->store, &store, err);
	if (r == 0) {
		r = end_slots(&store, sandbox->slots, id, err);
		ovl_store_close(&store);
	} else if (r == -ENOENT) { /* with all that was in it */
		if (err)
			*err = ERROR_INIT;
		r = 0;
	}
	if (r == 0)
		state_drop_note_of_sandbox(state_dir);
	return r;
}

/* Takes out of slots what is not this container's. */
static int keep_own(const struct ovl_store *store, char *slots, const char *id, const char *holder, struct arena *a,
		    struct error *err)
{
	struct ovl_sandbox *v;
	char name[NAME_MAX + 32];
	size_t n;
	int r = ovl_sandboxes(store, a, &v, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; slots[i]; i++) {
		slot_name(name, sizeof(name), id, i);
		for (size_t k = 0; slots[i] == 'w' && k < n; k++)
			if (strcmp(v[k].name, name) == 0 && strcmp(v[k].holder, holder) != 0)
				slots[i] = '-';
	}
	return 0;
}

bool storage_is_kept(const struct rt_sandbox *sandbox, const char *id)
{
	static struct arena a = ARENA_INIT;
	struct ovl_sandbox *v;
	struct ovl_store store;
	bool is_kept = false;
	size_t n = 0;

	if (!sandbox || open_store(sandbox->store, &store, NULL) < 0)
		return false;
	if (ovl_sandboxes(&store, &a, &v, &n, NULL) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++)
		is_kept |= strcmp(v[i].name, id) == 0 && v[i].keep;
	ovl_store_close(&store);
	return is_kept;
}

int storage_end_noted(const struct rt_context *ctx, int state_dir, const char *id, struct error *err)
{
	static struct arena a = ARENA_INIT;
	char note[PATH_MAX];
	struct rt_sandbox sandbox;
	struct ovl_store store;

	if (state_noted_sandbox(state_dir, note, sizeof(note), &sandbox) < 0)
		return 0;

	int r = open_store(sandbox.store, &store, err);

	if (r == 0) {
		r = keep_own(&store, note, id, arena_printf(&a, "%s/%s", ctx->root, id), &a, err);
		ovl_store_close(&store);
	} else if (r == -ENOENT) {
		if (err)
			*err = ERROR_INIT;
		r = 0;
	}
	return r < 0 ? r : storage_end(&sandbox, NULL, state_dir, id, err);
}

void storage_undo(struct build *b)
{
	struct storage *s = &b->storage;

	storage_give(b);
	for (size_t i = s->n_trees; i-- > 0;) {
		const struct storage_tree *tree = &s->trees[i];
		struct error err = ERROR_INIT;
		char line[1024];

		if (!tree->is_made || end_slot(&s->store, tree->is_writable ? 'w' : 'r', tree->name, &err) == 0)
			continue;
		error_line(&err, line, sizeof(line));
		log_warn(b->ctx->log, "%s", line);
	}
	if (s->n_trees && b->reserved)
		state_drop_note_of_sandbox(b->state_dir);
}
