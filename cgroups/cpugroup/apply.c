/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/cpugroup/internal.h"

/*
 * Declarations. The document is compared with the tree, and the difference is
 * carried out under one lock: groups in the document's order, parents first, and those
 * that a sibling still stands in the way of once more after it. What was done is undone
 * when a step fails.
 */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "spec/base/auto.h"

enum action { KEEP, CREATE, SET, DELETE };

struct step {
	enum action action;
	const char *name;
	struct cpg_policy policy; /* wanted; of DELETE: what it was */
	struct cpg_policy old;    /* of SET */
	const char *detail;
	bool done;
	size_t turn;              /* when it was done */
};

struct job {
	struct cpg *cpg;
	struct arena *a;
	struct cpg_tree tree;
	struct step *v;
	size_t n, turns;
	unsigned flags;
};

static int at(const struct json *v, int r, struct error *err)
{
	char pointer[128];

	if (r < 0)
		error_at(err, "%s", json_pointer(v, pointer, sizeof(pointer)));
	return r;
}

static int read_group(struct job *w, const struct json *g, struct step *s, struct error *err)
{
	const struct json *name = json_get(g, "name");
	const struct json *policy = json_get(g, "policy");
	int r;

	if (g->type != JSON_OBJECT || !name)
		return at(g, error_rule(err, EINVAL, "a group must be an object with a name"), err);
	json_each (m, g)
		if (m != name && m != policy)
			return at(m, error_rule(err, EINVAL, "a group has no member \"%.64s\"", m->name), err);
	r = json_string(name, &s->name, err);
	if (r == 0) {
		r = cpg_name_check(s->name, err);
		if (r == 0 && strcmp(s->name, "/") == 0)
			r = error_rule(err, EINVAL, "\"/\" stands for no group");
		r = at(name, r, err);
	}
	if (r < 0)
		return r;
	s->name = arena_strdup(w->a, s->name);
	cpg_policy_default(&s->policy);
	if (policy)
		r = cpg_policy_read(policy, w->a, &s->policy, err);
	if (r == 0)
		r = at(policy ? policy : g, cpg_policy_check(&s->policy, err), err);
	return r;
}

static int read_document(struct job *w, const struct json *doc, struct error *err)
{
	const struct json *version = json_get(doc, "version");
	const struct json *groups = json_get(doc, "groups");
	uint64_t v;
	int r;

	if (doc->type != JSON_OBJECT || !version || !groups || groups->type != JSON_ARRAY)
		return error_rule(err, EINVAL, "the document must be an object with \"version\": 1 and a list \"groups\"");
	json_each (m, doc)
		if (m != version && m != groups)
			return at(m, error_rule(err, EINVAL, "the document has no member \"%.64s\"", m->name), err);
	r = json_uint(version, UINT32_MAX, &v, err);
	if (r == 0 && v != 1)
		r = at(version, error_rule(err, EINVAL, "version %llu is not known here: 1 is", (unsigned long long)v), err);

	/* Room for what pruning will add. */
	w->v = ARENA_NEW_N(w->a, struct step, groups->count + w->tree.n);
	for (const struct json *g = groups->first; r == 0 && g; g = g->next) {
		r = read_group(w, g, &w->v[w->n], err);
		for (size_t i = 0; r == 0 && i < w->n; i++)
			if (strcmp(w->v[i].name, w->v[w->n].name) == 0)
				r = at(g, error_rule(err, EINVAL, "group \"%s\" is there twice", w->v[i].name), err);
		w->n++;
	}
	return r;
}

static size_t depth_of(const char *name)
{
	size_t n = 0;

	for (; *name; name++)
		n += *name == '/';
	return n;
}

/* Parents first; otherwise as the document has it. */
static void sort(struct job *w)
{
	for (size_t i = 1; i < w->n; i++) {
		struct step s = w->v[i];
		size_t k = i;

		for (; k && depth_of(w->v[k - 1].name) > depth_of(s.name); k--)
			w->v[k] = w->v[k - 1];
		w->v[k] = s;
	}
}

/* A policy of today that the files have drifted from is set again. */
static bool has_drift(const struct cpg_group *now, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(now[i].name, name) == 0)
			return now[i].n_drift > 0;
	return false;
}

/* Ours, empty, not in the document, and nothing in it that stays. */
static bool is_prunable(const struct job *w, size_t wanted, int at)
{
	const struct cpg_node *node = &w->tree.v[at];

	if (node->attr.adopted)
		return false;
	for (size_t i = 0; i < wanted; i++)
		if (cpg_is_within(w->v[i].name, node->name))
			return false;
	for (size_t i = 1; i < w->tree.n; i++) {
		bool goes = false;

		for (size_t k = wanted; k < w->n; k++)
			goes |= strcmp(w->v[k].name, w->tree.v[i].name) == 0;
		if (w->tree.v[i].parent == at && !goes)
			return false;
	}
	return cpg_delete_locked(w->cpg, node->name, CPG_CHECK | CPG_RECURSIVE, NULL) == 0;
}

static int compare(struct job *w, bool prune, struct error *err)
{
	struct cpg_policy none;
	struct cpg_group *now = NULL;
	size_t n_now = 0;
	size_t wanted = w->n;
	int r = cpg_list(w->cpg, NULL, w->a, &now, &n_now, err);

	if (r < 0)
		return r;
	cpg_policy_default(&none);
	for (size_t i = 0; i < wanted; i++) {
		struct step *s = &w->v[i];
		int self = cpg_tree_find(&w->tree, s->name);

		s->action = self < 0 ? CREATE : SET;
		s->old = self < 0 ? none : w->tree.v[self].attr.policy;
		s->detail = cpg_policy_diff(&s->old, &s->policy, w->a);
		if (s->action == SET && !*s->detail)
			s->action = has_drift(now, n_now, s->name) ? SET : KEEP;
		if (s->action == SET && !*s->detail)
			s->detail = "drift";
		s->done = s->action == KEEP;
	}
	/* Children before parents. */
	for (size_t i = w->tree.n; prune && i-- > 1;)
		if (is_prunable(w, wanted, (int)i))
			w->v[w->n++] = (struct step){ .action = DELETE, .name = w->tree.v[i].name,
						      .policy = w->tree.v[i].attr.policy, .detail = "" };
	return 0;
}

static int do_step(struct job *w, struct step *s, struct error *err)
{
	switch (s->action) {
	case CREATE:
		return cpg_create_locked(w->cpg, s->name, &s->policy, w->flags, err);
	case SET:
		return cpg_replace_locked(w->cpg, s->name, &s->policy, w->flags, err);
	case DELETE:
		return cpg_delete_locked(w->cpg, s->name, 0, err);
	case KEEP:
		break;
	}
	return 0;
}

static void undo(struct job *w)
{
	for (size_t turn = w->turns; turn > 0; turn--) {
		for (size_t i = 0; i < w->n; i++) {
			const struct step *s = &w->v[i];

			if (!s->done || s->turn != turn)
				continue;
			if (s->action == CREATE)
				cpg_delete_locked(w->cpg, s->name, 0, NULL);
			else if (s->action == SET)
				cpg_replace_locked(w->cpg, s->name, &s->old, CPG_FORCE | CPG_ALLOW_DIFFERENCE, NULL);
			else if (s->action == DELETE)
				cpg_create_locked(w->cpg, s->name, &s->policy, CPG_FORCE | CPG_ALLOW_DIFFERENCE, NULL);
		}
	}
}

/* Not yet: another step may take away what stands in the way (CPUs, a reservation, a larger cap). */
static bool may_wait(int r)
{
	return r == -EDQUOT || r == -EBUSY;
}

static int do_all(struct job *w, struct error *err)
{
	for (;;) {
		struct error first = ERROR_INIT;
		size_t left = 0;
		bool progress = false;

		for (size_t i = 0; i < w->n; i++) {
			struct step *s = &w->v[i];
			struct error now = ERROR_INIT;
			int r = s->done ? 0 : do_step(w, s, &now);

			if (r < 0) {
				left++;
				if (!first.code)
					first = now;
				if (may_wait(r))
					continue;
				undo(w);
				return error_take(&now, err);
			}
			if (s->done)
				continue;
			s->done = progress = true;
			s->turn = ++w->turns;
		}
		if (!left)
			return 0;
		if (!progress) {
			undo(w);
			return error_take(&first, err);
		}
	}
}

static void report(const struct job *w, struct arena *a, struct cpg_change **ret, size_t *ret_n)
{
	static const char *const words[] = { "keep", "create", "set", "delete" };
	struct cpg_change *v = ARENA_NEW_N(a, struct cpg_change, w->n + 1);

	for (size_t i = 0; i < w->n; i++)
		v[i] = (struct cpg_change){ .action = words[w->v[i].action], .name = w->v[i].name,
					    .detail = w->v[i].detail };
	*ret = v;
	*ret_n = w->n;
}

static bool has_work(const struct job *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].action != KEEP)
			return true;
	return false;
}

static int prepare(struct job *w, const struct json *doc, bool prune, struct error *err)
{
	int r = cpg_tree_load(w->cpg, w->a, &w->tree, err);

	if (r == 0)
		r = read_document(w, doc, err);
	if (r < 0)
		return r;
	sort(w);
	return compare(w, prune, err);
}

int cpg_apply(struct cpg *cpg, const struct json *doc, bool prune, unsigned flags, struct arena *a,
	      struct cpg_change **ret, size_t *ret_n, struct error *err)
{
	struct job w = { .cpg = cpg, .a = a, .flags = flags };
	auto_close int lock = -1;
	bool made = false;
	int r = prepare(&w, doc, prune, err);

	if (r == 0 && !(flags & CPG_CHECK) && has_work(&w)) {
		r = lock = cpg_lock_base(cpg, true, &made, err);
		/* Nobody waits for the lock while it is compared with what was: once more. */
		if (r >= 0) {
			w.n = 0;
			r = prepare(&w, doc, prune, err);
		}
		if (r == 0)
			r = do_all(&w, err);
		if (r < 0 && made)
			unlinkat(cpg->host->root_fd, cpg->base, AT_REMOVEDIR);
	}
	if (r < 0)
		return error_wrap(err, r, "cannot apply the CPU groups");
	report(&w, a, ret, ret_n);
	return 0;
}
