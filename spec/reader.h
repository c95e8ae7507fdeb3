/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * reader - typed members out of a JSON object, with one sentence for each fault
 *
 * The first fault stays: it sets *err with the member's place and pointer, and
 * every later call on the same reader does nothing and reports "absent". So a
 * parse function is a list of members, and looks at rd->r once, at its end.
 *
 * Engines write `null` where they mean "absent" (Go's encoding of a nil slice),
 * so a null member of an object is an absent one. A null element of an array is
 * a fault.
 *
 * Sentences: "<member> is <value>, not <what it must be>", "<member> is missing".
 */

#include "spec/spec.h"

struct reader {
	struct arena *a;
	struct error *err;
	const char *root; /* what a sentence calls the document: "the config" */
	int r; /* 0, or -EINVAL once there was a fault */
};

/* A word of config.json and the value it stands for. Tables end with a NULL name. */
struct spec_word {
	const char *name;
	int64_t value;
};

/* "<place of v> <sentence>", with the pointer of v. */
void rd_fault(struct reader *rd, const struct json *v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "<place of v> is <value>, not <fmt>". */
void rd_not(struct reader *rd, const struct json *v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The member, or NULL when absent or null. */
const struct json *rd_get(const struct json *obj, const char *name);

/* The member as a container; NULL when absent, null or at fault. */
const struct json *rd_object(struct reader *rd, const struct json *obj, const char *name);
const struct json *rd_array(struct reader *rd, const struct json *obj, const char *name);
/* As rd_array(), and room for its elements: *ret_v is zeroed, *ret_n their number. */
const struct json *rd_list(struct reader *rd, const struct json *obj, const char *name,
			   size_t element_size, void *ret_v, size_t *ret_n);

/* Checks a value that is no member: an array's element, a map's value. */
bool rd_is(struct reader *rd, const struct json *v, enum json_type type);

/*
 * Optional members. True when it was there and good; *ret is untouched else.
 * rd_text() counts "" as absent, as Go's omitempty does.
 */
bool rd_string(struct reader *rd, const struct json *obj, const char *name, const char **ret);
bool rd_text(struct reader *rd, const struct json *obj, const char *name, const char **ret);
bool rd_bool(struct reader *rd, const struct json *obj, const char *name, bool *ret);
bool rd_int(struct reader *rd, const struct json *obj, const char *name, int64_t min, int64_t max,
	    int64_t *ret);
bool rd_uint(struct reader *rd, const struct json *obj, const char *name, uint64_t max,
	     uint64_t *ret);
bool rd_u32(struct reader *rd, const struct json *obj, const char *name, uint32_t max,
	    uint32_t *ret);
bool rd_word(struct reader *rd, const struct json *obj, const char *name,
	     const struct spec_word *words, int64_t *ret);
void rd_opt_i64(struct reader *rd, const struct json *obj, const char *name, int64_t min,
		int64_t max, struct spec_opt_i64 *ret);
void rd_opt_u64(struct reader *rd, const struct json *obj, const char *name, uint64_t max,
		struct spec_opt_u64 *ret);
/* An absolute path; "" counts as absent. */
bool rd_path(struct reader *rd, const struct json *obj, const char *name, const char **ret);

/* A list of cpus or nodes ("0-3,7"), syntax checked; one without a number counts as absent. */
bool rd_cpulist(struct reader *rd, const struct json *obj, const char *name, const char **ret);

/* Makes an absent member (or one that is null) a fault. True when it is there. */
bool rd_need(struct reader *rd, const struct json *obj, const char *name);
/* A string that must be there and not be empty. */
void rd_need_text(struct reader *rd, const struct json *obj, const char *name, const char **ret);

/* Strings; v is an empty vector when the member is absent. True when it is there. */
bool rd_strings(struct reader *rd, const struct json *obj, const char *name,
		struct spec_strings *ret);
/* Strings that each must be in the table. */
bool rd_words(struct reader *rd, const struct json *obj, const char *name,
	      const struct spec_word *words, struct spec_strings *ret);
/* The values of the words, or'ed. */
void rd_flags(struct reader *rd, const struct json *obj, const char *name,
	      const struct spec_word *words, uint64_t *ret);
/* An object whose members are all strings. */
void rd_map(struct reader *rd, const struct json *obj, const char *name,
	    struct spec_key_value **ret, size_t *ret_n);

const struct spec_word *spec_word_find(const struct spec_word *words, const char *name);
