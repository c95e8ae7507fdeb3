/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vm_stdio - streams that the loop of a machine can be given
 *
 * The loop serves everybody, so it must not wait for who reads a program's output: a terminal that was stopped by ^S, a
 * pipe whose reader sleeps. To ask before each write is not enough, since others write to the same terminal or pipe;
 * O_NONBLOCK belongs to the open file description, which is the caller's, too. So the machine gets descriptions of its
 * own, opened through /proc while that is in view.
 */

#include "runtime/launch/stdio.h"

/*
 * child_stdio: what the child gets as 0, 1 and 2; -1: the caller's own, in whose place come, where they are a pipe or
 * a terminal, other descriptors of the same. What cannot be opened again (a named pipe whose reader has gone) stays
 * as it is; files are ready at all times, and a socket is asked not to wait by each call.
 */
void wall_take_stdio(const struct stdio_facts *facts, int child_stdio[3]);
