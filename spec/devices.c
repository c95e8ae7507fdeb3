/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that every container has: the nodes of config-linux.md Default
 * Devices, and the access rules engines count on. Both the mount planner and
 * the device program read them, so they agree.
 */
#include "spec/spec.h"

#include "spec/base/auto.h"

#define NODE(p, mi_major, mi_minor) \
	{ .type = 'c', .path = p, .major = mi_major, .minor = mi_minor, .has_mode = true, .mode = 0666, \
	  .has_uid = true, .has_gid = true }

const struct spec_device *spec_default_devices(size_t *ret_n)
{
	/* Numbers of Documentation/admin-guide/devices.txt. */
	static const struct spec_device nodes[] = {
		NODE("/dev/null", 1, 3),    NODE("/dev/zero", 1, 5),  NODE("/dev/full", 1, 7),
		NODE("/dev/random", 1, 8),  NODE("/dev/urandom", 1, 9), NODE("/dev/tty", 5, 0),
	};

	*ret_n = ARRAY_SIZE(nodes);
	return nodes;
}

#define ALL (SPEC_DEV_READ | SPEC_DEV_WRITE | SPEC_DEV_MKNOD)
#define RULE(t, maj, min, a) { .allow = true, .type = t, .major = maj, .minor = min, .access = a }

const struct spec_device_rule *spec_default_device_rules(size_t *ret_n)
{
	static const struct spec_device_rule rules[] = {
		/* Making a node grants nothing: opening it is asked for again. */
		RULE('c', -1, -1, SPEC_DEV_MKNOD),
		RULE('b', -1, -1, SPEC_DEV_MKNOD),
		RULE('c', 1, 3, ALL),	  /* null */
		RULE('c', 1, 8, ALL),	  /* random */
		RULE('c', 1, 7, ALL),	  /* full */
		RULE('c', 5, 0, ALL),	  /* tty */
		RULE('c', 1, 5, ALL),	  /* zero */
		RULE('c', 1, 9, ALL),	  /* urandom */
		RULE('c', 136, -1, ALL),  /* pts */
		RULE('c', 5, 2, ALL),	  /* ptmx */
		RULE('c', 10, 200, ALL),  /* net/tun */
	};

	*ret_n = ARRAY_SIZE(rules);
	return rules;
}
