/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * stdio - what the caller's descriptors 0, 1 and 2 are
 *
 * Looked at once, before the clone: the foreground copies terminals, the child
 * replaces null devices and gives the rest to its user.
 */

#include <stdbool.h>

struct stdio_facts {
	bool is_open[3], is_null[3], is_terminal[3];
};

void stdio_look(struct stdio_facts *ret);
