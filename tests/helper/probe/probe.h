/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * probe - one fact about the process it runs in
 *
 * Lives in the root filesystem of test containers, linked statically, so that a
 * test sees what the kernel says and not what a shell makes of it. Facts are
 * printed as "key value" lines; what a call refused is printed as its errno name.
 * Does not include <linux/...>: it builds with musl and without kernel headers.
 */

#include <stdbool.h>

struct fact {
	const char *name;        /* probe NAME ARG… */
	int (*run)(char **argv); /* from the first ARG on; returns the exit status */
};

/* One file each; the last has no name. */
extern const struct fact facts_of_self[], facts_of_world[], facts_of_file[], facts_of_call[], facts_of_life[],
	facts_of_stream[];

const char *errno_name(int number);

/* "ok" or the errno's name; the exit status says the same. */
int verdict(bool ok);

/* The argument, or otherwise where there are fewer. */
const char *arg(char **argv, int i, const char *otherwise);
long number(char **argv, int i, long otherwise);

/* Prints the lines of a file that start with one of the names (all lines without names). */
int print_lines(const char *path, const char *const *names);
