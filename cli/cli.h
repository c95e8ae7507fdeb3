/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * cli - what the user types
 *
 * Reads the command line, calls one function of runtime/, prints one result or
 * one error. Decides words, columns and exit codes; knows nothing of how a
 * container is made.
 */

#include <stdbool.h>

#include "cli/args.h"
#include "cli/options.h"
#include "runtime/runtime.h"
#include "spec/base/arena.h"
#include "spec/base/buf.h"
#include "spec/base/error.h"
#include "spec/base/log.h"
#include "spec/base/trace.h"

#define CLI_NAME "bulkhead"

/* One invocation. */
struct cli {
	struct arena *arena;
	const struct cli_verb *verb;
	struct cli_args globals;
	struct cli_args args; /* of the command */
	struct log log;
	struct trace trace;
	uint64_t began; /* of the trace */
	bool log_is_file; /* --log was given */
	bool wants_json; /* errors, too: VERB_JSON_ERRORS and --format json */
	int fail_status; /* what an error of the command exits with; 0: what its table entry says */
	struct rt_context ctx;
};

/* The whole program. Returns its exit status. */
int cli_main(char **argv);

/* The commands. Each returns its exit status, or -E… with *err set. */
int cmd_check(struct cli *cli, struct error *err);
int cmd_checkpoint(struct cli *cli, struct error *err);
int cmd_completion(struct cli *cli, struct error *err);
int cmd_cpugroup(struct cli *cli, struct error *err);
int cmd_create(struct cli *cli, struct error *err);
int cmd_delete(struct cli *cli, struct error *err);
int cmd_do(struct cli *cli, struct error *err);
int cmd_events(struct cli *cli, struct error *err);
int cmd_exec(struct cli *cli, struct error *err);
int cmd_features(struct cli *cli, struct error *err);
int cmd_help(struct cli *cli, struct error *err);
int cmd_kill(struct cli *cli, struct error *err);
int cmd_layer(struct cli *cli, struct error *err);
int cmd_list(struct cli *cli, struct error *err);
int cmd_pause(struct cli *cli, struct error *err);
int cmd_ps(struct cli *cli, struct error *err);
int cmd_restore(struct cli *cli, struct error *err);
int cmd_resume(struct cli *cli, struct error *err);
int cmd_run(struct cli *cli, struct error *err);
int cmd_sandbox(struct cli *cli, struct error *err);
int cmd_spec(struct cli *cli, struct error *err);
int cmd_start(struct cli *cli, struct error *err);
int cmd_state(struct cli *cli, struct error *err);
int cmd_top(struct cli *cli, struct error *err);
int cmd_update(struct cli *cli, struct error *err);

/* The id, checked. NULL with *err set when it is not well-formed. */
const char *cli_id(const struct cli *cli, struct error *err);

/* Reads the options that create, run and restore share. */
int cli_create_options(const struct cli *cli, struct rt_create_options *ret, struct error *err);

/* Reads the whole of a file, or of standard input for "-", into b. */
int cli_read_file(const char *name, struct buf *b, struct error *err);

/* Writes b to standard output: one write(2) unless the reader takes less. */
int cli_print(const struct buf *b, struct error *err);

/* help.c */
void cli_help_program(struct buf *out);
void cli_help_verb(struct buf *out, const struct cli_verb *verb);

/* The word of an --isolation; NULL: none was said. */
enum rt_isolation cli_isolation(const char *wall);

/* version.c */
extern const char cli_version[], cli_commit[];
void cli_version_text(struct buf *out, const char *libseccomp);
