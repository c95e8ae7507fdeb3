/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * show - a value of the config as a sentence can carry it
 *
 * Quoted, cut to a length that leaves room for the sentence, control bytes made
 * visible: a config's string never starts a new line in a log. The result is a
 * struct by value, so `show("…").text` lives as long as the call it is in.
 */

#include "spec/base/json.h"

struct shown {
	char text[112];
};

/* "a string" in quotes. */
struct shown show(const char *s);

/* Any value: a string quoted, a number as written, null, true, "an object", "an array". */
struct shown show_value(const struct json *v);

/* A member name as a JSON pointer token (RFC 6901 section 3), cut when too long. */
struct shown show_token(const char *name);

/* "linux.namespaces[1].type"; root when v is the document itself. */
const char *show_place(const struct json *v, const char *root, char *buf, size_t size);
