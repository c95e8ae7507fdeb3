/* SPDX-License-Identifier: Apache-2.0 */
/* vm_network - see vm_network.h */
#include "runtime/vm_network.h"

#include <fcntl.h>

#include "namespaces/tap.h"
#include "spec/base/auto.h"

void vm_network_give_back(const struct rt_context *ctx, int state_dir, const struct rt_state *state)
{
	static struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct spec *spec;

	if (!state->is_vm || state_load_config(state_dir, &a, &spec, NULL) < 0)
		return;

	const char *path = spec->linux_.ns[SPEC_NS_NETWORK].path;

	if (!path)
		return;

	/* path-ok: of the config, in the host's mount namespace. One that has gone needs nothing. */
	auto_close int netns = open(path, O_RDONLY | O_CLOEXEC);

	if (netns >= 0 && ns_tap_forget(netns, &err) < 0) {
		char line[512];

		error_line(&err, line, sizeof(line));
		log_warn(ctx->log, "the network at %s may not hear anything from now on: %s", path, line);
	}
}
