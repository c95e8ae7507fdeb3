/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* internal - what the files of this room share */

#include <errno.h>

#include "cgroups/systemd/systemd.h"

/* Adds a property, or puts it in the place of one with the same name. */
void unit_plan_put(struct unit_plan *plan, struct unit_property p);
const struct unit_property *unit_plan_find(const struct unit_plan *plan, const char *name);

/* "bulkhead container <id>": how a unit of ours is told from another of that name. */
const char *unit_description(const char *id, struct arena *a);

/* Letters, digits and "-_.\": the characters of a unit's name, without ':' (our separator) and '@' (templates). */
bool unit_is_name(const char *s, size_t n);

/*
 * A value in GVariant's text form (GVariant Text Format), as far as properties need
 * it: booleans, numbers, strings, arrays of strings, each with a type prefix or without.
 */
struct gvalue {
	char type[3];            /* "b" "y" "n" "q" "i" "u" "x" "t" "d" "s" "as" */
	bool has_type;           /* it was given by a prefix, not by the look of the value */
	bool is_negative;
	uint64_t number;         /* b and integers; of a negative one the magnitude */
	double real;             /* d */
	const char *text;        /* s */
	const char *const *list; /* as */
	size_t n;
};

/* Pure. The message says what is wrong and where; the caller adds of what. -EINVAL. */
int gvariant_parse(const char *text, struct arena *a, struct gvalue *ret, struct error *err);
