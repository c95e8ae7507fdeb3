/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* tap_join - frames from one interface to another, past the stack; private to the room */

#include "spec/base/error.h"
#include "spec/base/netlink.h"

/* What comes in on `from` goes out on `to`. In place of what an earlier call for `from` made. `name`: of from, for messages. */
int ns_redirect(struct netlink *nl, int from, int to, const char *name, struct error *err);

/* Takes it away; -E…, quietly: -ENOENT or -EINVAL when there is none. */
int ns_redirect_end(struct netlink *nl, int from);
