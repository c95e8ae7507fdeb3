/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/options_cpugroup.h"
#include "cli/options_layer.h"
#include "cli/options_out.h"
#include "cli/options_sandbox.h"
#include "cli/out.h"
#include "cli/storage_options.h"
#include "spec/base/auto.h"

const struct cli_option cli_help_option = { "help", "h", CLI_FLAG, NULL, "show help", 0 };

static const struct cli_option globals[] = {
	{ "root", NULL, CLI_DIR, "DIR", "directory for the state of containers", 0 },
	{ "log", NULL, CLI_PATH, "FILE", "append warnings and errors to FILE", 0 },
	{ "log-format", NULL, CLI_CHOICE, "text|json",
	  "form of the log's records (default: text)", 0 },
	{ "log-level", NULL, CLI_CHOICE, "error|warning|info|debug",
	  "least grave record to write (default: warning)", 0 },
	{ "debug", NULL, CLI_FLAG, NULL, "the same as --log-level debug", 0 },
	{ "trace", NULL, CLI_PATH, "FILE", "append how long each step takes to FILE", 0 },
	{ "isolation", NULL, CLI_CHOICE, "process|vm|default", "the wall around new containers", 0 },
	{ "kernel", NULL, CLI_PATH, "FILE", "kernel of new virtual machines (default: the best installed one)", 0 },
	{ "cgroup-manager", NULL, CLI_CHOICE, "cgroupfs|systemd|disabled",
	  "who makes cgroups (default: cgroupfs)", 0 },
	{ "systemd-cgroup", NULL, CLI_FLAG, NULL, "the same as --cgroup-manager systemd", 0 },
	{ "cpu-group-base", NULL, CLI_TEXT, "PATH",
	  "where in the cgroup tree CPU groups are (default: /cpugroups)", 0 },
	{ "store", NULL, CLI_DIR, "DIR",
	  "directory of the image layers (default: /var/lib/bulkhead/layers)", 0 },
	{ "rootless", NULL, CLI_CHOICE, "true|false|auto", "accepted for other callers' sake", 0 },
	{ "version", "v", CLI_FLAG, NULL, "print the version", 0 },
};

#define BUNDLE { "bundle", "b", CLI_DIR, "DIR", "the bundle (default: the current directory)", 0 }
#define CONSOLE_SOCKET \
	{ "console-socket", NULL, CLI_PATH, "PATH", \
	  "unix socket that receives the terminal's master end", 0 }
#define PID_FILE { "pid-file", NULL, CLI_PATH, "FILE", "write the process id to FILE", 0 }
#define PIDFD_SOCKET \
	{ "pidfd-socket", NULL, CLI_PATH, "PATH", \
	  "unix socket that receives a pidfd of the process", 0 }
#define PRESERVE_FDS \
	{ "preserve-fds", NULL, CLI_NUMBER, "N", "hand file descriptors 3 to 2+N to the program", 0 }
#define NO_SUBREAPER \
	{ "no-subreaper", NULL, CLI_FLAG, NULL, "do not adopt the container's orphans", 0 }
#define DETACH { "detach", "d", CLI_FLAG, NULL, "return once the program has started", 0 }

#define CREATE_OPTIONS \
	BUNDLE, \
	{ "config", "f", CLI_PATH, "FILE", "name of the configuration (default: config.json)", 0 }, \
	CONSOLE_SOCKET, PID_FILE, PIDFD_SOCKET, \
	{ "no-pivot", NULL, CLI_FLAG, NULL, \
	  "chroot instead of pivot_root, for a root on a ramdisk", 0 }, \
	{ "no-new-keyring", NULL, CLI_FLAG, NULL, "keep the caller's session keyring", 0 }, \
	PRESERVE_FDS, \
	{ "cpu-group", NULL, CLI_TEXT, "GROUP", "start in this CPU group; /: in none", 0 }, \
	CLI_ROOT_OPTIONS, CLI_SANDBOX_OPTIONS

static const struct cli_option create_options[] = { CREATE_OPTIONS };

static const struct cli_option run_options[] = {
	CREATE_OPTIONS,
	DETACH,
	{ "keep", NULL, CLI_FLAG, NULL, "do not delete the container when it ends", 0 },
	NO_SUBREAPER,
};

static const struct cli_option do_options[] = {
	{ "image", NULL, CLI_TEXT, "IMAGE|SOURCE",
	  "run this image of the layer store, or bring it in from SOURCE", 0 },
	{ "rootfs", NULL, CLI_DIR, "DIR", "run over this directory, which stays unchanged", 0 },
	{ "name", NULL, CLI_TEXT, "ID", "id of the container (default: do- and a random number)", 0 },
	{ "entrypoint", NULL, CLI_TEXT, "PROGRAM",
	  "run this in place of the image's entrypoint and command", 0 },
	{ "env", "e", CLI_LIST, "NAME[=VALUE]",
	  "set a variable, without VALUE as it is here (may be repeated)", 0 },
	{ "user", "u", CLI_TEXT, "USER[:GROUP]", "run as this user, by name or number", 0 },
	{ "workdir", "w", CLI_TEXT, "DIR", "working directory inside the container", 0 },
	{ "tty", "t", CLI_FLAG, NULL,
	  "give the program a terminal (default: when input and output are one)", 0 },
	{ "no-tty", NULL, CLI_FLAG, NULL, "give the program no terminal", 0 },
	{ "network", NULL, CLI_CHOICE, "none|host", "whose network it sees (default: none)", 0 },
	{ "isolation", NULL, CLI_CHOICE, "process|vm|default", "the wall around it", 0 },
	{ "cpu-group", NULL, CLI_TEXT, "GROUP", "start in this CPU group; /: in none", 0 },
	{ "no-new-privs", NULL, CLI_FLAG, NULL,
	  "forbid gaining privileges by execve (default; =false allows it)", 0 },
	{ "security-opt", NULL, CLI_LIST, "seccomp=PROFILE",
	  "filter of system calls: default, unconfined, or a file", 0 },
	{ "image-volume", NULL, CLI_CHOICE, "ignore|tmpfs",
	  "what the image's volumes become (default: ignore)", 0 },
	{ "quiet", "q", CLI_FLAG, NULL, "show no progress of an import", 0 },
	CLI_SANDBOX_OPTIONS,
};

static const struct cli_option kill_options[] = {
	{ "all", "a", CLI_FLAG, NULL, "signal every process; a stopped container is no error",
	  OPT_HIDDEN },
};

static const struct cli_option delete_options[] = {
	{ "force", "f", CLI_FLAG, NULL, "kill it first; an unknown id is no error", 0 },
};

static const struct cli_option exec_options[] = {
	{ "process", "p", CLI_PATH, "FILE", "read a whole `process` object from FILE", 0 },
	CONSOLE_SOCKET, PID_FILE, PIDFD_SOCKET, DETACH,
	{ "tty", "t", CLI_FLAG, NULL, "give the program a terminal", 0 },
	{ "cwd", NULL, CLI_TEXT, "DIR", "working directory inside the container", 0 },
	{ "env", "e", CLI_LIST, "KEY=VALUE", "set a variable (may be repeated)", 0 },
	{ "user", "u", CLI_TEXT, "UID[:GID]", "run as these ids", 0 },
	{ "additional-gids", "g", CLI_LIST, "GID", "add a supplementary group (may be repeated)", 0 },
	{ "cap", "c", CLI_LIST, "CAP", "add a capability (may be repeated)", 0 },
	{ "no-new-privs", NULL, CLI_FLAG, NULL, "forbid gaining privileges by execve", 0 },
	{ "process-label", NULL, CLI_TEXT, "LABEL", "SELinux label of the program", 0 },
	{ "apparmor", NULL, CLI_TEXT, "PROFILE", "AppArmor profile of the program", 0 },
	{ "cgroup", NULL, CLI_TEXT, "PATH", "run in this sub-cgroup of the container", 0 },
	{ "ignore-paused", NULL, CLI_FLAG, NULL, "allow it in a paused container", 0 },
	PRESERVE_FDS, NO_SUBREAPER,
};

static const struct cli_option list_options[] = {
	{ "format", "f", CLI_CHOICE, "table|json", "form of the output (default: table)", 0 },
	{ "quiet", "q", CLI_FLAG, NULL, "print the ids only", 0 },
};

static const struct cli_option ps_options[] = {
	{ "format", "f", CLI_CHOICE, "table|json", "form of the output (default: table)", 0 },
};

static const struct cli_option events_options[] = {
	{ "interval", NULL, CLI_TEXT, "DURATION", "time between statistics (default: 5s)", 0 },
	{ "stats", NULL, CLI_FLAG, NULL, "print statistics once and end", 0 },
};

static const struct cli_option update_options[] = {
	{ "resources", "r", CLI_PATH, "FILE",
	  "read a `resources` object from FILE, or from standard input when FILE is -", 0 },
	{ "blkio-weight", NULL, CLI_TEXT, "N", "share of block I/O, 10 to 1000", 0 },
	{ "cpu-period", NULL, CLI_TEXT, "USEC", "length of a CPU quota's period", 0 },
	{ "cpu-quota", NULL, CLI_TEXT, "USEC", "CPU time per period; -1: no limit", 0 },
	{ "cpu-burst", NULL, CLI_TEXT, "USEC", "unused CPU time that may be saved up", 0 },
	{ "cpu-share", NULL, CLI_TEXT, "N", "share of CPU time, 2 to 262144", 0 },
	{ "cpu-idle", NULL, CLI_TEXT, "0|1", "1: run only when nothing else wants the CPU", 0 },
	{ "cpuset-cpus", NULL, CLI_TEXT, "LIST", "CPUs to run on", 0 },
	{ "cpuset-mems", NULL, CLI_TEXT, "LIST", "memory nodes to allocate from", 0 },
	{ "memory", NULL, CLI_TEXT, "BYTES", "memory limit; -1: none", 0 },
	{ "memory-reservation", NULL, CLI_TEXT, "BYTES", "memory to protect from reclaim", 0 },
	{ "memory-swap", NULL, CLI_TEXT, "BYTES", "memory and swap together; -1: no limit", 0 },
	{ "pids-limit", NULL, CLI_TEXT, "N", "number of processes; -1: no limit", 0 },
	{ "cpu-rt-period", NULL, CLI_TEXT, "USEC", "not in cgroup v2", OPT_HIDDEN },
	{ "cpu-rt-runtime", NULL, CLI_TEXT, "USEC", "not in cgroup v2", OPT_HIDDEN },
	{ "l3-cache-schema", NULL, CLI_TEXT, "SCHEMA", "not supported yet", OPT_HIDDEN },
	{ "mem-bw-schema", NULL, CLI_TEXT, "SCHEMA", "not supported yet", OPT_HIDDEN },
	{ "kernel-memory", NULL, CLI_TEXT, "BYTES", "has no effect", OPT_OBSOLETE },
	{ "kernel-memory-tcp", NULL, CLI_TEXT, "BYTES", "has no effect", OPT_OBSOLETE },
};

static const struct cli_option top_options[] = {
	{ "interval", NULL, CLI_TEXT, "DURATION", "time between screens (default: 2s)", 0 },
	{ "sort", "s", CLI_CHOICE, "cpu|throttled|pressure|memory|name",
	  "order of groups and of members (default: cpu)", 0 },
	{ "format", "f", CLI_CHOICE, "screen|json|prom", "form of the output (default: screen)", 0 },
	{ "once", NULL, CLI_FLAG, NULL, "print one screen and end", 0 },
	{ "count", "n", CLI_NUMBER, "N", "end after N screens", 0 },
};

static const struct cli_option spec_options[] = {
	BUNDLE,
	{ "file", "f", CLI_TEXT, "FILE",
	  "name of the configuration (default: config.json); -: print it", 0 },
	{ "image", NULL, CLI_TEXT, "IMAGE|SOURCE", "as this image wants to be run", 0 },
	{ "rootless", NULL, CLI_FLAG, NULL, "for a caller who is not root", 0 },
	{ "seccomp", NULL, CLI_FLAG, NULL, "with the filter of system calls that `do` uses", 0 },
};

static const struct cli_option check_options[] = {
	{ "format", "f", CLI_CHOICE, "text|json", "form of the output (default: text)", 0 },
};

#define OPTIONS(a) .options = (a), .n_options = ARRAY_SIZE(a)

static const struct cli_verb verbs[] = {
	{
		.name = "create",
		.brief = "make a container that waits for start",
		.operands = "ID", .min = 1, .max = 1,
		.flags = VERB_MAKES_ROOT | VERB_EXECUTES,
		OPTIONS(create_options),
		.about = "Builds the container that the bundle's config.json describes, up to the\n"
			 "point where its program would be executed. `start` executes it, `delete`\n"
			 "takes the container down.",
		.fails = "bulkhead create failed",
		.run = cmd_create,
	},
	{
		.name = "start",
		.brief = "execute the program of a created container",
		.operands = "ID", .min = 1, .max = 1,
		.flags = VERB_EXECUTES,
		.run = cmd_start,
	},
	{
		.name = "run",
		.brief = "create, start, wait and delete",
		.operands = "ID", .min = 1, .max = 1,
		.flags = VERB_MAKES_ROOT | VERB_EXECUTES,
		OPTIONS(run_options),
		.about = "Ends with the program's exit status, or with 128 plus the number of the\n"
			 "signal that ended it. Signals are passed on to the program.",
		.fails = "bulkhead run failed",
		.run = cmd_run,
	},
	{
		.name = "do",
		.brief = "run a command over an image or a directory, and leave nothing",
		.operands = "[COMMAND [ARG...]]", .max = -1,
		.flags = VERB_MAKES_ROOT | VERB_EXECUTES | VERB_ENDS_AT_ID,
		OPTIONS(do_options),
		.about = "Everything from COMMAND on belongs to it. Without COMMAND an image's own is run.\n"
			 "All that is written lands in a throw-away layer. With neither --image nor\n"
			 "--rootfs the host's own / is below it, to be read. Ends as `run` does.",
		.fails = "bulkhead do failed",
		.run = cmd_do,
	},
	{
		.name = "state",
		.brief = "print the state of a container as JSON",
		.operands = "ID", .min = 1, .max = 1,
		.run = cmd_state,
	},
	{
		.name = "kill",
		.brief = "send a signal to a container's first process",
		.operands = "ID [SIGNAL]", .min = 1, .max = 2,
		.flags = VERB_ENDS_AT_ID,
		OPTIONS(kill_options),
		.about = "SIGNAL is a number or a name with or without SIG, in any case. The default\n"
			 "is TERM.",
		.run = cmd_kill,
	},
	{
		.name = "delete",
		.brief = "remove a stopped container",
		.operands = "ID", .min = 1, .max = 1,
		.flags = VERB_EXECUTES,
		OPTIONS(delete_options),
		.run = cmd_delete,
	},
	{
		.name = "exec",
		.brief = "execute a further program in a container",
		.operands = "ID COMMAND [ARG...]", .min = 1, .max = -1,
		.flags = VERB_ENDS_AT_ID | VERB_EXECUTES,
		OPTIONS(exec_options),
		.about = "Everything after ID belongs to COMMAND. With --process there is no\n"
			 "COMMAND. Without it the program gets the environment, user and limits of\n"
			 "the container's `process`, as far as no option says otherwise. Ends with\n"
			 "the program's exit status, and with 255 when the program could not be\n"
			 "started.",
		.fails = "exec failed", .fail_status = 255,
		.run = cmd_exec,
	},
	{
		.name = "list",
		.brief = "list the containers",
		.operands = "",
		OPTIONS(list_options),
		.run = cmd_list,
	},
	{
		.name = "ps",
		.brief = "list the processes of a container",
		.operands = "ID [PS-OPTION...]", .min = 1, .max = -1,
		.flags = VERB_ENDS_AT_ID | VERB_EXECUTES,
		OPTIONS(ps_options),
		.about = "Runs the host's ps(1), with -ef when no option of it is given, and prints\n"
			 "the rows of the container's processes. The output must have a PID column.",
		.run = cmd_ps,
	},
	{
		.name = "pause",
		.brief = "freeze every process of a container",
		.operands = "ID", .min = 1, .max = 1,
		.run = cmd_pause,
	},
	{
		.name = "resume",
		.brief = "let a paused container go on",
		.operands = "ID", .min = 1, .max = 1,
		.run = cmd_resume,
	},
	{
		.name = "update",
		.brief = "change the resource limits of a container",
		.operands = "ID", .min = 1, .max = 1,
		OPTIONS(update_options),
		.about = "BYTES takes the suffixes k, m, g and t. What is not named keeps its value.\n"
			 "With --resources the other options are ignored. When one limit cannot be\n"
			 "set, those set before it are put back.",
		.run = cmd_update,
	},
	{
		.name = "events",
		.brief = "print statistics and out-of-memory events",
		.operands = "ID", .min = 1, .max = 1,
		OPTIONS(events_options),
		.about = "One JSON object a line, until the container stops.",
		.run = cmd_events,
	},
	{
		.name = "cpugroup",
		.brief = "manage CPU groups: named sets of containers that share limits",
		.operands = "COMMAND", .min = 1, .max = -1,
		.flags = VERB_ENDS_AT_ID | VERB_JSON_ERRORS,
		.about = "A CPU group is a directory of the cgroup tree. Its limits hold for all its\n"
			 "members, which are containers, together; the limits of each hold as well.\n"
			 "Every command takes --format json, for its errors, too.",
		.fail_status = 3,
		.subs = cli_cpugroup_verbs, .n_subs = CLI_CPUGROUP_VERBS,
		.run = cmd_cpugroup,
	},
	{
		.name = "top",
		.brief = "watch CPU groups and containers live",
		.operands = "[GROUP]", .max = 1,
		.flags = VERB_JSON_ERRORS,
		OPTIONS(top_options),
		.about = "Keys: c, t, p, m and n sort by CPU, throttling, pressure, memory and name;\n"
			 "the blank bar pauses, q ends. Without a terminal each screen is printed\n"
			 "below the last.",
		.run = cmd_top,
	},
	{
		.name = "layer",
		.brief = "manage the store of image layers",
		.operands = "COMMAND", .min = 1, .max = -1,
		.flags = VERB_ENDS_AT_ID | VERB_JSON_ERRORS,
		.about = "An image is brought into the store once; its layers are unpacked there, shared\n"
			 "by all that use them, and never changed.",
		.fail_status = 3,
		.subs = cli_layer_verbs, .n_subs = CLI_LAYER_VERBS,
		.run = cmd_layer,
	},
	{
		.name = "sandbox",
		.brief = "manage the writable layers of containers",
		.operands = "COMMAND", .min = 1, .max = -1,
		.flags = VERB_ENDS_AT_ID | VERB_JSON_ERRORS,
		.about = "A container over --image or --layer writes to a sandbox, which goes with it unless\n"
			 "it is kept.",
		.fail_status = 3,
		.subs = cli_sandbox_verbs, .n_subs = CLI_SANDBOX_VERBS,
		.run = cmd_sandbox,
	},
	{
		.name = "diff",
		.brief = "list the files that a container added, modified or deleted",
		.operands = "ID", .min = 1, .max = 1,
		.flags = VERB_JSON_ERRORS,
		OPTIONS(cli_diff_options),
		.about = "ID names a container with a sandbox, or a sandbox that was kept. A line for each\n"
			 "change: A, M or D and the path.",
		.run = cmd_diff,
	},
	{
		.name = "commit",
		.brief = "make an image of a container's changes",
		.operands = "ID oci:DIR[:TAG]", .min = 2, .max = 2,
		.flags = VERB_JSON_ERRORS,
		OPTIONS(cli_commit_options),
		.about = "Adds the image to the layout directory DIR, which is made when it is not there:\n"
			 "the layers below the container's sandbox, and one of its changes. A running\n"
			 "container is frozen while its files are read. Prints the manifest's digest.\n"
			 "INSTRUCTION is one of CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER,\n"
			 "VOLUME and WORKDIR. SECONDS count from 1970; SOURCE_DATE_EPOCH says the same.",
		.run = cmd_commit,
	},
	{
		.name = "spec",
		.brief = "write a config.json to start from",
		.operands = "",
		OPTIONS(spec_options),
		.run = cmd_spec,
	},
	{
		.name = "features",
		.brief = "print what this runtime supports as JSON",
		.operands = "",
		.about = "The document is that of the OCI runtime specification, section Features.",
		.run = cmd_features,
	},
	{
		.name = "check",
		.brief = "tell what this host can do for containers",
		.operands = "",
		OPTIONS(check_options),
		.about = "Tries each kernel feature and says, one a line, whether it works, and what\n"
			 "to do when it does not. The exit status is 0 when containers in namespaces\n"
			 "can run here.",
		.run = cmd_check,
	},
	{
		.name = "completion",
		.brief = "print a shell's completion script",
		.operands = "bash|zsh|fish", .min = 1, .max = 1,
		.about = "For example: source <(bulkhead completion bash)",
		.run = cmd_completion,
	},
	{
		.name = "checkpoint",
		.brief = "save a running container (not supported yet)",
		.operands = "ID", .max = -1,
		.flags = VERB_UNPARSED,
		.run = cmd_checkpoint,
	},
	{
		.name = "restore",
		.brief = "continue a saved container (not supported yet)",
		.operands = "ID", .max = -1,
		.flags = VERB_UNPARSED,
		.fails = "bulkhead restore failed",
		.run = cmd_restore,
	},
	{
		.name = "help", .alias = "h",
		.brief = "show help",
		.operands = "[COMMAND...]", .max = 2,
		.fail_status = 3,
		.run = cmd_help,
	},
};

const struct cli_option *cli_globals(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(globals);
	return globals;
}

const struct cli_verb *cli_verbs(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(verbs);
	return verbs;
}

const struct cli_verb *cli_sub_find(const struct cli_verb *of, const char *name)
{
	const struct cli_verb *v = of ? of->subs : verbs;
	size_t n = of ? of->n_subs : ARRAY_SIZE(verbs);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].name, name) || (v[i].alias && !strcmp(v[i].alias, name)))
			return &v[i];
	return NULL;
}

const struct cli_verb *cli_verb_find(const char *name)
{
	return cli_sub_find(NULL, name);
}
