/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* group_members - rt_group_members() with the host open already */

#include "runtime/group.h"

int group_members_in(const struct rt_context *ctx, struct group_place *at, const char *group, bool deep,
		     struct arena *a, struct rt_group_member **ret, size_t *ret_n, struct error *err);
