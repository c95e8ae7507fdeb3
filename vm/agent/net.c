/* SPDX-License-Identifier: Apache-2.0 */
/* net - see net.h; namespaces/tap.h has both ends of it */
#include "vm/agent/net.h"

#include "namespaces/tap.h"

enum { PROBE_MS = 10000 }; /* of the driver, on a slow machine */

int agent_net_apply(const void *payload, size_t n, struct error *err)
{
	int r = ns_net_apply(payload, n, PROBE_MS, err);

	return r < 0 ? error_wrap(err, r, "cannot set up the network of the guest") : 0;
}
