/* SPDX-License-Identifier: Apache-2.0 */
/* A process object as config.json has it (config.md Process), from the struct: what parse_process.c reads. */
#include "spec/spec.h"

#include "spec/parts.h"

static void write_strings(struct json_w *w, const char *name, const struct spec_strings *list)
{
	json_w_open(w, name, '[');
	for (size_t i = 0; i < list->n; i++)
		json_w_str(w, NULL, list->v[i]);
	json_w_close(w, ']');
}

static const char *word_of(const struct spec_word *words, int64_t value)
{
	for (; words->name; words++)
		if (words->value == value)
			return words->name;
	return "";
}

static void write_user(struct json_w *w, const struct spec_user *user)
{
	json_w_open(w, "user", '{');
	json_w_uint(w, "uid", user->uid);
	json_w_uint(w, "gid", user->gid);
	if (user->has_umask)
		json_w_uint(w, "umask", user->umask);
	json_w_open(w, "additionalGids", '[');
	for (size_t i = 0; i < user->n_additional_gids; i++)
		json_w_uint(w, NULL, user->additional_gids[i]);
	json_w_close(w, ']');
	json_w_close(w, '}');
}

static void write_rlimits(struct json_w *w, const struct spec_process *p)
{
	json_w_open(w, "rlimits", '[');
	for (size_t i = 0; i < p->n_rlimits; i++) {
		json_w_open(w, NULL, '{');
		json_w_str(w, "type", word_of(spec_rlimit_words, p->rlimits[i].resource));
		json_w_uint(w, "soft", p->rlimits[i].soft);
		json_w_uint(w, "hard", p->rlimits[i].hard);
		json_w_close(w, '}');
	}
	json_w_close(w, ']');
}

/* Names that were not understood were warned about already, and grant nothing. */
static void write_capabilities(struct json_w *w, const struct spec_capabilities *caps)
{
	json_w_open(w, "capabilities", '{');
	for (int set = 0; set < SPEC_CAPSETS; set++) {
		json_w_open(w, spec_capset_names[set], '[');
		for (unsigned n = 0; n <= SPEC_CAP_LAST; n++)
			if (caps->set[set] & UINT64_C(1) << n)
				json_w_str(w, NULL, spec_cap_name(n));
		json_w_close(w, ']');
	}
	json_w_close(w, '}');
}

static void write_scheduler(struct json_w *w, const struct spec_scheduler *s)
{
	json_w_open(w, "scheduler", '{');
	json_w_str(w, "policy", word_of(spec_scheduler_policies, s->policy));
	json_w_int(w, "nice", s->nice);
	json_w_int(w, "priority", s->priority);
	json_w_open(w, "flags", '[');
	for (const struct spec_word *f = spec_scheduler_flags; f->name; f++)
		if (s->flags & (uint64_t)f->value)
			json_w_str(w, NULL, f->name);
	json_w_close(w, ']');
	json_w_uint(w, "runtime", s->runtime);
	json_w_uint(w, "deadline", s->deadline);
	json_w_uint(w, "period", s->period);
	json_w_close(w, '}');
}

static void write_console_size(struct json_w *w, const struct spec_process *p)
{
	json_w_open(w, "consoleSize", '{');
	json_w_uint(w, "height", p->console_height);
	json_w_uint(w, "width", p->console_width);
	json_w_close(w, '}');
}

void spec_write_process(struct json_w *w, const char *name, const struct spec_process *p)
{
	json_w_open(w, name, '{');
	json_w_bool(w, "terminal", p->terminal);
	if (p->has_console_size)
		write_console_size(w, p);
	write_user(w, &p->user);
	write_strings(w, "args", &p->args);
	write_strings(w, "env", &p->env);
	json_w_str(w, "cwd", p->cwd);
	if (p->capabilities)
		write_capabilities(w, p->capabilities);
	write_rlimits(w, p);
	json_w_bool(w, "noNewPrivileges", p->no_new_privileges);
	if (p->apparmor_profile)
		json_w_str(w, "apparmorProfile", p->apparmor_profile);
	if (p->selinux_label)
		json_w_str(w, "selinuxLabel", p->selinux_label);
	if (p->has_oom_score_adj)
		json_w_int(w, "oomScoreAdj", p->oom_score_adj);
	if (p->scheduler)
		write_scheduler(w, p->scheduler);
	if (p->io_priority) {
		json_w_open(w, "ioPriority", '{');
		json_w_str(w, "class", word_of(spec_ioprio_classes, p->io_priority->ioprio_class));
		json_w_int(w, "priority", p->io_priority->priority);
		json_w_close(w, '}');
	}
	json_w_close(w, '}');
}
