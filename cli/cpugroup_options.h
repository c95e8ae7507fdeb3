/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* cpugroup_options - the policy options of `cpugroup create` and `set` as a struct */

#include "cgroups/cpugroup/cpugroup.h"
#include "cli/args.h"
#include "spec/base/error.h"

/*
 * Members that are given are in ret->set; *ret_flags, for the group functions, follow from --allow-difference and
 * --check. Strings are borrowed. -EINVAL, -ERANGE name the option; whether the members fit each other and the host
 * is for the group functions to say, except that two options for one member are refused here.
 */
int cli_cpugroup_policy(const struct cli_args *args, struct cpg_policy *ret, unsigned *ret_flags, struct error *err);
