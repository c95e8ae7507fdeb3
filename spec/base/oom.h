/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* oom - the one way a command ends when memory runs out: a line on stderr, status 255. */
_Noreturn void oom_die(void);
