/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* cgroup_file - numbers in a cgroup's files, for those who do without when there are none */

#include <stdbool.h>
#include <stdint.h>

/* A file of one number; "max" is UINT64_MAX. False when it is not there or no number. */
bool cgroup_file_number(int cgroup_fd, const char *file, uint64_t *ret);
/* The number of a line "key number"; 0 when it is not there. */
uint64_t cgroup_file_counter(int cgroup_fd, const char *file, const char *key);
