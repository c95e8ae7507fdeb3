/* SPDX-License-Identifier: Apache-2.0 */
/* The state document (runtime.md State). */
#include "spec/spec.h"

#include <string.h>

static void write_optional(struct json_w *w, const char *name, const char *value)
{
	if (value)
		json_w_str(w, name, value);
}

static void write_sandbox(struct json_w *w, const struct spec_sandbox *sandbox)
{
	json_w_open(w, "sandbox", '{');
	json_w_str(w, "store", sandbox->store);
	json_w_str(w, "name", sandbox->name);
	json_w_str(w, "kind", sandbox->kind);
	json_w_bool(w, "keep", sandbox->keep);
	json_w_close(w, '}');
}

void spec_write_state(struct json_w *w, const char *name, const struct spec_state *state)
{
	json_w_open(w, name, '{');
	json_w_str(w, "ociVersion", SPEC_VERSION);
	json_w_str(w, "id", state->id);
	/* Before there is a process there is no number to show; afterwards 0 says "none". */
	if (state->pid > 0 || strcmp(state->status, "creating") != 0)
		json_w_int(w, "pid", state->pid);
	json_w_str(w, "status", state->status);
	json_w_str(w, "bundle", state->bundle);
	write_optional(w, "rootfs", state->rootfs);
	write_optional(w, "created", state->created);
	if (state->n_annotations > 0) {
		json_w_open(w, "annotations", '{');
		for (size_t i = 0; i < state->n_annotations; i++)
			json_w_str(w, state->annotations[i].key, state->annotations[i].value);
		json_w_close(w, '}');
	}
	write_optional(w, "owner", state->owner);
	write_optional(w, "isolation", state->isolation);
	write_optional(w, "cpuGroup", state->cpu_group);
	write_optional(w, "image", state->image);
	if (state->sandbox)
		write_sandbox(w, state->sandbox);
	json_w_close(w, '}');
}
