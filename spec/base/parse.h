/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * parse - strict numbers from outside
 *
 * Every function takes the whole string or nothing: no leading blanks, no '+',
 * no trailing bytes, no wrap-around, no base prefix. (CVE-2024-40635 and
 * CVE-2026-30892 were numbers parsed kindly.) All return 0 or -EINVAL/-ERANGE
 * and write *ret only on success; the caller, who knows the option's name,
 * writes the message.
 */

#include <stdint.h>

int parse_u32(const char *s, uint32_t *ret);
int parse_u64(const char *s, uint64_t *ret);
int parse_i64(const char *s, int64_t *ret);

/* A uid or gid: 0 … 2^32-2; the all-ones id means "no change" to the kernel and is refused. */
int parse_id(const char *s, uint32_t *ret);

/*
 * Bytes with an optional suffix b, k, m, g, t, p (any case, "kb"/"kib" too),
 * base 1024; "-1" is -1.
 */
int parse_bytes(const char *s, int64_t *ret);

/* A Go duration: "100ms", "1.5s", "1h2m3s"; result in nanoseconds. Never negative. */
int parse_duration(const char *s, int64_t *ret_ns);

/* A signal: number, or name with or without SIG, any case ("9", "TERM", "sigterm", "RTMIN+3"). */
int parse_signal(const char *s, int *ret);
/* "TERM" for 15; NULL for an unknown number. */
const char *signal_name(int signo);

/*
 * A kernel list of small numbers ("0-3,7", blanks and empty elements allowed),
 * as a bit mask in a caller's array of nwords 64-bit words (zeroed here).
 * -EINVAL for syntax or a reversed range, -ERANGE for a number beyond the mask.
 */
int parse_cpulist(const char *s, uint64_t *mask, unsigned nwords);
