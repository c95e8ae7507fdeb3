/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* lsm - can the labels that a process asks for be had on this host? */

#include "spec/spec.h"

/*
 * -ENOTSUP when the process names an AppArmor profile or a SELinux label and that
 * module is not active: a label that is not in force must not look as if it were.
 */
int lsm_check(const struct spec_process *process, struct error *err);
