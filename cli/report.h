/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * report - the only printer of errors
 *
 * To a person, on standard error:
 *
 *   bulkhead: cannot create container "web": … : operation not permitted (EPERM)
 *     at:   config.json /mounts/0
 *     hint: …
 *
 * To an engine, in the log: exactly one record of level error, since podman
 * reads the log as one object and containerd takes the last such record. Both
 * when --log names a file.
 */

#include <stdbool.h>

#include "spec/base/buf.h"
#include "spec/base/error.h"
#include "spec/base/log.h"

struct report {
	const struct log *log;
	bool log_is_file; /* else the log is standard error itself */
	const char *prefix; /* "bulkhead run failed", or NULL */
};

void cli_report_error(const struct report *report, const struct error *err);

/*
 * For a caller that asked for JSON: {"error":{"kind","message","at","hint"}} on standard output, without
 * what is empty; and the record in the log when that is a file. The kind is cpg_error_kind()'s.
 */
void cli_report_json(const struct report *report, const struct error *err);
void cli_report_object(struct buf *out, const struct error *err);

/* The two forms, for the tests: several lines with newlines, and one without. */
void cli_report_text(struct buf *out, const char *prefix, const struct error *err);
void cli_report_line(struct buf *out, const char *prefix, const struct error *err);
