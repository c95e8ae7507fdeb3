/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* list_format - the outputs of `list` */

#include "runtime/runtime.h"
#include "spec/base/arena.h"
#include "spec/base/buf.h"

/* The name of a user, or "#UID". */
const char *cli_list_owner(uid_t uid, struct arena *a);
/* The name of uid in the text of passwd(5), or NULL. */
const char *cli_list_owner_in(const char *passwd, uid_t uid, struct arena *a);

/*
 * ID PID STATUS BUNDLE CREATED OWNER, and GROUP when one of them is in a CPU group. A column is as wide as its widest cell and
 * three blanks, and at least 12; the last one is not padded. Scripts cut by that.
 */
void cli_list_table(struct buf *out, const struct rt_summary *v, size_t n, struct arena *a);

/* One line: an array of state documents with their owner, or "null" without any. */
void cli_list_json(struct buf *out, const struct rt_summary *v, size_t n, struct arena *a);

/* The ids, one a line. */
void cli_list_ids(struct buf *out, const struct rt_summary *v, size_t n);
