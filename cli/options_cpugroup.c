/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options_cpugroup.h"

#include "cli/cpugroup.h"
#include "spec/base/auto.h"

#define FORMAT(words, first) \
	{ "format", "f", CLI_CHOICE, words, "form of the output (default: " first ")", 0 }
#define TEXT_OR_JSON  FORMAT("text|json", "text")
#define TABLE_OR_JSON FORMAT("table|json", "table")
#define CHECK { "check", NULL, CLI_FLAG, NULL, "say whether it could be done, and do nothing", 0 }
#define TIMEOUT(help) { "timeout", NULL, CLI_TEXT, "DURATION", help, 0 }

#define POLICY \
	{ "cpus", NULL, CLI_TEXT, "LIST", "CPUs of the group, such as 0-3,7; \"\": its parent's", 0 }, \
	{ "mems", NULL, CLI_TEXT, "LIST|auto", "memory nodes; auto: those of the CPUs", 0 }, \
	{ "cap", NULL, CLI_TEXT, "CAP", "CPU time of all members together: 50%, 2.5, USEC/USEC or max", 0 }, \
	{ "cap-hcs", NULL, CLI_NUMBER, "N", "the same in 65536ths of the group's CPUs", 0 }, \
	{ "burst", NULL, CLI_TEXT, "USEC|DURATION", "unused CPU time that may be saved up", 0 }, \
	{ "weight", NULL, CLI_NUMBER, "N", "share of contended CPU time, 1 to 10000 (default: 100)", 0 }, \
	{ "nice", NULL, CLI_TEXT, "N", "the same as -20 to 19", 0 }, \
	{ "idle", NULL, CLI_FLAG, NULL, "run only when nothing else wants the CPU", 0 }, \
	{ "class", NULL, CLI_CHOICE, "realtime|high|normal|low|idle", "the same as a word", 0 }, \
	{ "exclusive", NULL, CLI_CHOICE, "none|root|isolated", \
	  "take the CPUs from everybody else; isolated: no load balancing", 0 }, \
	{ "uclamp-min", NULL, CLI_TEXT, "PERCENT", "least CPU frequency to ask for", 0 }, \
	{ "uclamp-max", NULL, CLI_TEXT, "PERCENT", "highest CPU frequency to ask for", 0 }, \
	{ "reserve", NULL, CLI_TEXT, "CPUS", "CPU time promised to the group, such as 1.5", 0 }, \
	{ "overcommit", NULL, CLI_TEXT, "FACTOR", \
	  "how often what there is may be promised to those below (default: 1)", 0 }, \
	{ "over-parent", NULL, CLI_CHOICE, "refuse|warn", \
	  "a cap above the parent's (default: refuse)", 0 }, \
	{ "realtime", NULL, CLI_CHOICE, "refuse|warn", \
	  "members with a real-time scheduler (default: warn)", 0 }, \
	{ "whole-cores", NULL, CLI_FLAG, NULL, "refuse CPUs that split the threads of a core", 0 }, \
	{ "pressure-limit", NULL, CLI_TEXT, "PERCENT", \
	  "no new members while the CPU pressure is above it; 0: no limit", 0 }, \
	{ "memory", NULL, CLI_TEXT, "BYTES", "memory of all members together; -1: no limit", 0 }, \
	{ "pids-limit", NULL, CLI_TEXT, "N", "processes of all members together; -1: no limit", 0 }, \
	{ "allow-difference", NULL, CLI_FLAG, NULL, \
	  "accept fewer CPUs or nodes than asked for, with a warning", 0 }

static const struct cli_option topology_options[] = {
	TABLE_OR_JSON,
	{ "hcs", NULL, CLI_FLAG, NULL, "JSON with the names of the Windows Host Compute Service", 0 },
};
static const struct cli_option create_options[] = {
	POLICY,
	{ "parent", NULL, CLI_TEXT, "GROUP", "make it below this group: NAME becomes GROUP/NAME", 0 },
	{ "if-not-exists", NULL, CLI_FLAG, NULL, "no error when it is there with the same policy", 0 },
	CHECK, TEXT_OR_JSON,
};
static const struct cli_option set_options[] = {
	POLICY,
	{ "force", NULL, CLI_FLAG, NULL, "although another group loses its exclusive CPUs", 0 },
	CHECK, TEXT_OR_JSON,
};
static const struct cli_option list_options[] = {
	TABLE_OR_JSON,
	{ "quiet", "q", CLI_FLAG, NULL, "print the names only", 0 },
};
static const struct cli_option text_options[] = { TEXT_OR_JSON };
static const struct cli_option members_options[] = {
	{ "deep", NULL, CLI_FLAG, NULL, "those of the groups below it, too", 0 },
	TABLE_OR_JSON,
};
static const struct cli_option move_options[] = {
	TIMEOUT("longest wait for its processes to freeze (default: 10s)"),
	{ "require-clean", NULL, CLI_TEXT, "BYTES",
	  "refuse when more memory than this would stay charged to the old place", 0 },
	CHECK, TEXT_OR_JSON,
};
static const struct cli_option delete_options[] = {
	{ "recursive", "r", CLI_FLAG, NULL, "the groups below it, too", 0 },
	{ "kill", NULL, CLI_FLAG, NULL, "kill everybody in it first", 0 },
	{ "if-exists", NULL, CLI_FLAG, NULL, "an unknown name is no error", 0 },
	TEXT_OR_JSON,
};
static const struct cli_option freeze_options[] = {
	TIMEOUT("longest wait for it to be a fact (default: 10s)"), TEXT_OR_JSON,
};
static const struct cli_option stop_options[] = {
	{ "signal", "s", CLI_TEXT, "SIGNAL", "signal to begin with (default: TERM)", 0 },
	TIMEOUT("time until the rest is killed (default: 10s)"), TEXT_OR_JSON,
};
static const struct cli_option wait_options[] = {
	TIMEOUT("longest wait (default: for ever)"), TEXT_OR_JSON,
};
static const struct cli_option stats_options[] = {
	{ "members", "m", CLI_FLAG, NULL, "the members as well", 0 },
	{ "interval", NULL, CLI_TEXT, "DURATION", "repeat, with what was used in between", 0 },
	FORMAT("table|json|prom", "table"),
};
static const struct cli_option watch_options[] = {
	{ "psi", NULL, CLI_TEXT, "TRIGGER", "also when the CPU pressure crosses it: \"some 150ms/1s\"", 0 },
	TIMEOUT("end after this time (default: never)"),
	FORMAT("text|json", "json"),
};
static const struct cli_option apply_options[] = {
	{ "prune", NULL, CLI_FLAG, NULL, "delete empty groups that the file does not name", 0 },
	{ "check", NULL, CLI_FLAG, NULL, "print what would be done, and do nothing", 0 },
	TEXT_OR_JSON,
};
static const struct cli_option reserve_host_options[] = {
	{ "cpus", NULL, CLI_TEXT, "LIST", "the host's CPUs; \"\": all of them again", 0 }, CHECK, TEXT_OR_JSON,
};

#define OPTIONS(a) .options = (a), .n_options = ARRAY_SIZE(a)
#define SUB(n)     .name = (n), .of = "cpugroup", .flags = VERB_JSON_ERRORS

const struct cli_verb cli_cpugroup_verbs[CLI_CPUGROUP_VERBS] = {
	{
		SUB("create"),
		.brief = "make a group",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(create_options),
		.about = "NAME is the path below the base: `gold`, or `gold/batch` inside of gold.\n"
			 "Either the whole policy is in force afterwards or nothing was made.",
		.run = cmd_cpugroup_create,
	},
	{
		SUB("set"),
		.brief = "change the policy of a group",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(set_options),
		.about = "What is not named keeps its value. On failure the old values are back.",
		.run = cmd_cpugroup_set,
	},
	{
		SUB("list"), .alias = "ls",
		.brief = "list the groups",
		.operands = "",
		OPTIONS(list_options),
		.about = "DRIFT names what somebody changed past this command: see `show`.",
		.run = cmd_cpugroup_list,
	},
	{
		SUB("show"), .alias = "get",
		.brief = "print a group: its policy and what the kernel says",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(text_options),
		.run = cmd_cpugroup_show,
	},
	{
		SUB("members"),
		.brief = "list the containers of a group",
		.operands = "[NAME]", .max = 1,
		OPTIONS(members_options),
		.about = "Without NAME those of all groups. / is for the containers in no group.",
		.run = cmd_cpugroup_members,
	},
	{
		SUB("move"),
		.brief = "move a container to another group, with its limits",
		.operands = "ID GROUP", .min = 2, .max = 2,
		OPTIONS(move_options),
		.about = "GROUP / is for no group. The container stands still for some milliseconds and\n"
			 "is never without limits. Its memory stays charged to the old place.",
		.run = cmd_cpugroup_move,
	},
	{
		SUB("delete"), .alias = "rm",
		.brief = "remove groups",
		.operands = "NAME...", .min = 1, .max = -1,
		OPTIONS(delete_options),
		.run = cmd_cpugroup_delete,
	},
	{
		SUB("freeze"), .alias = "pause",
		.brief = "stop every process of a group until `resume`",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(freeze_options),
		.run = cmd_cpugroup_freeze,
	},
	{
		SUB("resume"), .alias = "thaw",
		.brief = "let a frozen group go on",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(freeze_options),
		.about = "Members that were paused on their own stay paused.",
		.run = cmd_cpugroup_resume,
	},
	{
		SUB("kill"),
		.brief = "kill every process of a group, or signal its containers",
		.operands = "NAME [SIGNAL]", .min = 1, .max = 2,
		OPTIONS(text_options),
		.about = "KILL, the default, ends every process at once, frozen or not. Another SIGNAL\n"
			 "goes to the first process of each container.",
		.run = cmd_cpugroup_kill,
	},
	{
		SUB("stop"),
		.brief = "ask a group's containers to end, then kill the rest",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(stop_options),
		.run = cmd_cpugroup_stop,
	},
	{
		SUB("wait"),
		.brief = "wait until nobody runs in a group",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(wait_options),
		.run = cmd_cpugroup_wait,
	},
	{
		SUB("stats"),
		.brief = "print what groups have used",
		.operands = "[NAME]", .max = 1,
		OPTIONS(stats_options),
		.about = "Without NAME all groups. prom is the text format of Prometheus.",
		.run = cmd_cpugroup_stats,
	},
	{
		SUB("watch"),
		.brief = "print a line for each thing that happens to a group",
		.operands = "[NAME]", .max = 1,
		OPTIONS(watch_options),
		.about = "Without NAME all groups.",
		.run = cmd_cpugroup_watch,
	},
	{
		SUB("topology"),
		.brief = "print the CPUs of the host and which group has them",
		.operands = "",
		OPTIONS(topology_options),
		.run = cmd_cpugroup_topology,
	},
	{
		SUB("export"),
		.brief = "print groups as a file for `apply`",
		.operands = "[NAME]", .max = 1,
		OPTIONS(text_options),
		.run = cmd_cpugroup_export,
	},
	{
		SUB("apply"),
		.brief = "make the groups be as a file says",
		.operands = "FILE|-", .min = 1, .max = 1,
		OPTIONS(apply_options),
		.about = "FILE is what `export` prints. Groups that it does not name stay as they are.\n"
			 "On failure what was done is undone.",
		.run = cmd_cpugroup_apply,
	},
	{
		SUB("adopt"),
		.brief = "make a group of a cgroup that is there",
		.operands = "NAME", .min = 1, .max = 1,
		OPTIONS(text_options),
		.about = "For a directory below the base that somebody else made. Its policy is read\n"
			 "from its files; `delete` will leave the directory.",
		.run = cmd_cpugroup_adopt,
	},
	{
		SUB("repair"),
		.brief = "finish or undo moves that were interrupted",
		.operands = "[ID]", .max = 1,
		OPTIONS(text_options),
		.run = cmd_cpugroup_repair,
	},
	{
		SUB("reserve-host"),
		.brief = "confine the host's own processes to some CPUs",
		.operands = "",
		OPTIONS(reserve_host_options),
		.about = "Moves nobody: sets the CPUs of the base's siblings, such as system.slice.",
		.run = cmd_cpugroup_reserve_host,
	},
};
