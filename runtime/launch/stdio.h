/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * stdio - what the caller's descriptors 0, 1 and 2 are
 *
 * Looked at once, before the clone: the foreground copies terminals, the child
 * replaces null devices and gives the rest to its user.
 */

#include <stdbool.h>
#include <stdint.h>

struct stdio_facts {
	bool is_open[3], is_null[3], is_terminal[3], is_pipe[3], is_file[3];
};

/*
 * A missing one is filled with /dev/null, or else a file of ours would become the
 * program's standard input: so this comes before anything is opened.
 */
void stdio_look(struct stdio_facts *ret);

/*
 * In a user namespace nobody but the host may give a pipe away, and without that the
 * program cannot re-open /dev/stdout. uid is the host's number.
 */
void stdio_give_pipes(const struct stdio_facts *facts, uint32_t uid);
