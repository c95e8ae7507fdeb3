/* SPDX-License-Identifier: Apache-2.0 */

/*
 * dispatch - from argv to one command and one exit status
 *
 * What a command takes and how it fails is in the table (options.c); what it
 * does is in its own file.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/root.h"
#include "runtime/process/process.h"
#include "spec/base/auto.h"

/*
 * Whatever the caller left open must not reach a container by accident
 * (CVE-2024-21626); what it wants to reach one (LISTEN_FDS, --preserve-fds) is
 * let through by name later. And a missing standard descriptor is filled, or
 * else a directory of ours would become the container's standard input. Commands
 * that execute no program skip this: it is two of the few system calls they make.
 */
static void guard_descriptors(struct cli *cli)
{
	syscall(SYS_close_range, 3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	stdio_look(&cli->ctx.stdio);
}

static int open_log(struct cli *cli, struct error *err)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	const char *file = cli_text(&cli->globals, "log");
	const char *format = cli_text(&cli->globals, "log-format");
	const char *level = cli_text(&cli->globals, "log-level");

	if (format && !strcmp(format, "json"))
		cli->log.format = LOG_JSON;
	for (size_t i = 0; level && i < ARRAY_SIZE(levels); i++)
		if (!strcmp(level, levels[i]))
			cli->log.level = (enum log_level)i;
	if (cli_flag(&cli->globals, "debug"))
		cli->log.level = LOG_DEBUG;
	if (!file || !file[0])
		return 0;

	/* Not waiting: a fifo that nobody reads would hold us forever. */
	int fd = openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);

	if (fd < 0)
		return error_set(err, errno, "open the log %s", file);
	cli->log.fd = fd;
	cli->log_is_file = true;
	return 0;
}

static int open_trace(struct cli *cli, const struct cli_verb *verb, struct error *err)
{
	const char *file = cli_text(&cli->globals, "trace");
	int r = file && verb ? trace_open(&cli->trace, file, err) : 0;

	if (r < 0 || !file || !verb)
		return r;
	cli->ctx.trace = &cli->trace;
	trace_process(&cli->trace, arena_printf(cli->arena, CLI_NAME " %s", verb->name));
	cli->began = cli->trace.since;
	return 0;
}

enum rt_isolation cli_isolation(const char *wall)
{
	if (!wall || !strcmp(wall, "default"))
		return RT_ISOLATION_DEFAULT;
	return strcmp(wall, "vm") ? RT_ISOLATION_PROCESS : RT_ISOLATION_VM;
}

/* An engine that passes no options can still be given a link to us. What it says must not be the weaker word. */
static int find_isolation(const struct cli *cli, const char *called_as, enum rt_isolation *ret, struct error *err)
{
	const char *slash = strrchr(called_as, '/');
	bool is_vm = strcmp(slash ? slash + 1 : called_as, CLI_NAME "-vm") == 0;

	*ret = cli_isolation(cli_text(&cli->globals, "isolation"));
	if (is_vm && *ret == RT_ISOLATION_PROCESS)
		return error_rule(err, EINVAL, "--isolation is process, but this program was called as " CLI_NAME "-vm");
	if (is_vm)
		*ret = RT_ISOLATION_VM;
	return 0;
}

/* A file of the caller's: from its working directory. */
static int find_kernel(const struct cli *cli, const char **ret, struct error *err)
{
	const char *file = cli_text(&cli->globals, "kernel");
	char cwd[PATH_MAX];

	*ret = file;
	if (!file || file[0] == '/')
		return 0;
	if (!getcwd(cwd, sizeof(cwd)))
		return error_set(err, errno, "find the current directory");
	*ret = arena_printf(cli->arena, "%s/%s", cwd, file);
	return 0;
}

static const char *cpu_group_base(const struct cli *cli)
{
	const char *option = cli_text(&cli->globals, "cpu-group-base");
	const char *variable = option ? NULL : getenv("BULKHEAD_CPU_GROUP_BASE");

	return option ? option : variable && *variable ? variable : NULL;
}

/* NULL: the default one. */
static int find_store(const struct cli *cli, const char **ret, struct error *err)
{
	const char *option = cli_text(&cli->globals, "store");
	const char *variable = option ? NULL : getenv("BULKHEAD_STORE");
	const char *path = option ? option : variable && *variable ? variable : NULL;

	if (path && path[0] != '/') {
		char *cwd = arena_alloc(cli->arena, PATH_MAX);

		if (!getcwd(cwd, PATH_MAX))
			return error_set(err, errno, "find the current directory");
		path = arena_printf(cli->arena, "%s/%s", cwd, path);
	}
	*ret = path;
	return 0;
}

static int make_context(struct cli *cli, char **argv, const struct cli_verb *verb, struct error *err)
{
	const char *manager = cli_text(&cli->globals, "cgroup-manager");
	struct cli_caller caller = cli_caller_now();
	struct cli_root root;
	enum rt_isolation isolation = RT_ISOLATION_DEFAULT;
	const char *store = NULL, *kernel = NULL;
	int r = find_store(cli, &store, err);

	if (r == 0)
		r = find_isolation(cli, argv[0] ? argv[0] : CLI_NAME, &isolation, err);
	if (r == 0)
		r = find_kernel(cli, &kernel, err);

	if (r == 0)
		r = cli_root_find(cli_text(&cli->globals, "root"), &caller, cli->arena, &root, err);
	if (r < 0)
		return r;
	if (manager && !strcmp(manager, "disabled"))
		return error_rule(err, ENOTSUP,
				  "a container without a cgroup (--cgroup-manager disabled) is not "
				  "supported yet");
	if (root.is_users_own && (verb->flags & VERB_MAKES_ROOT)) {
		r = cli_root_make_users_own(root.path, err);
		if (r < 0)
			return r;
	}
	cli->ctx = (struct rt_context){
		.root = root.path,
		.root_is_default = root.is_default,
		.store = store,
		.systemd_cgroup = cli_flag(&cli->globals, "systemd-cgroup") ||
				  (manager && !strcmp(manager, "systemd")),
		.isolation = isolation,
		.kernel = kernel,
		.cpu_group_base = cpu_group_base(cli),
		.log = &cli->log,
		.trace = cli->ctx.trace,
		.argv = argv,
		.stdio = cli->ctx.stdio,
	};
	return 0;
}

/* Shows how it is done right, on standard output; the reason goes to standard error. */
static int bad_usage(const struct cli_verb *verb, int r)
{
	auto_buf struct buf out = BUF_INIT;

	buf_puts(&out, "Incorrect Usage.\n\n");
	if (verb)
		cli_help_verb(&out, verb);
	else
		cli_help_program(&out);
	cli_print(&out, NULL);
	return r;
}

/* Whether --format json stands anywhere: a bad command line is told in that form as well. */
static bool asks_for_json(char *const *argv)
{
	for (; *argv && strcmp(*argv, "--") != 0; argv++) {
		const char *word = *argv;

		if (word[0] != '-')
			continue;
		word += word[1] == '-' ? 2 : 1;
		if (!strcmp(word, "format=json") || !strcmp(word, "f=json"))
			return true;
		if ((!strcmp(word, "format") || !strcmp(word, "f")) && argv[1] &&
		    !strcmp(argv[1], "json"))
			return true;
	}
	return false;
}

static int check_count(const struct cli_verb *verb, int n, struct error *err)
{
	if (n < verb->min && verb->min == verb->max)
		return error_rule(err, EINVAL, "\"%s\" requires exactly %d argument(s)", verb->name,
				  verb->min);
	if (n < verb->min)
		return error_rule(err, EINVAL, "\"%s\" requires a minimum of %d argument(s)",
				  verb->name, verb->min);
	if (verb->max < 0 || n <= verb->max)
		return 0;
	return error_rule(err, EINVAL, "\"%s\" requires %s %d argument(s)", verb->name,
			  verb->min == verb->max ? "exactly" : "a maximum of", verb->max);
}

static int parse_command(struct cli *cli, const struct cli_verb *verb, char **argv,
			 struct error *err)
{
	if (verb->flags & VERB_UNPARSED) {
		for (char **p = argv; *p; p++)
			if (!strcmp(*p, "--help") || !strcmp(*p, "-h"))
				cli->args.help = true;
		return 0;
	}

	enum cli_order order = verb->flags & VERB_ENDS_AT_ID ? CLI_STOP_AT_FIRST : CLI_PERMUTE;
	int r = cli_parse(verb->options, verb->n_options, order, argv, cli->arena, &cli->args, err);

	if (r == 0 && !cli->args.help)
		r = check_count(verb, cli->args.n_operands, err);
	if (r < 0)
		return cli->wants_json ? r : bad_usage(verb, r);
	for (size_t i = 0; i < cli->args.n_given; i++)
		if (cli->args.given[i].option->flags & OPT_OBSOLETE)
			log_warn(&cli->log, "option --%s has no effect",
				 cli->args.given[i].option->name);
	return 0;
}

/* "cpugroup move …": the command, and in *argv what follows its name. NULL: there is none of that name. */
static const struct cli_verb *find_verb(char ***argv)
{
	const struct cli_verb *verb = cli_verb_find(*(*argv)++);

	if (verb && verb->n_subs && **argv) {
		const struct cli_verb *sub = cli_sub_find(verb, **argv);

		if (sub) {
			(*argv)++;
			return sub;
		}
	}
	return verb;
}

static int print_help(const struct cli_verb *verb, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;

	if (verb)
		cli_help_verb(&out, verb);
	else
		cli_help_program(&out);
	return cli_print(&out, err);
}

static int print_version(struct error *err)
{
	auto_buf struct buf out = BUF_INIT;

	cli_version_text(&out, proc_seccomp_version());
	return cli_print(&out, err);
}

static int run(struct cli *cli, char **argv, struct error *err)
{
	size_t n;
	const struct cli_option *globals = cli_globals(&n);
	int r = cli_parse(globals, n, CLI_STOP_AT_FIRST, argv[0] ? argv + 1 : argv, cli->arena,
			  &cli->globals, err);

	if (r < 0)
		return bad_usage(NULL, r);
	if (cli_flag(&cli->globals, "version"))
		return print_version(err);
	if (cli->globals.help || cli->globals.n_operands == 0)
		return print_help(NULL, err);

	char **command = cli->globals.operands;
	const struct cli_verb *verb = find_verb(&command);

	if (verb && verb->flags & VERB_EXECUTES)
		guard_descriptors(cli);
	r = open_log(cli, err);
	if (r == 0)
		r = open_trace(cli, verb, err);
	if (r < 0)
		return r;
	if (!verb) { /* as if help for it had been asked for */
		cli->verb = cli_verb_find("help");
		cli->args = cli->globals;
		return cmd_help(cli, err);
	}
	cli->wants_json = verb->flags & VERB_JSON_ERRORS && asks_for_json(command);
	r = parse_command(cli, verb, command, err);
	if (r < 0)
		return r;
	if (cli->args.help)
		return print_help(verb, err);
	r = make_context(cli, argv, verb, err);
	if (r < 0)
		return r;
	cli->verb = verb;
	return verb->run(cli, err);
}

int cli_main(char **argv)
{
	static struct arena arena = ARENA_INIT; /* large: not on the stack */
	struct error err = ERROR_INIT;
	struct cli cli = {
		.arena = &arena,
		.log = { .fd = STDERR_FILENO, .level = LOG_WARNING, .format = LOG_TEXT },
	};
	int r = run(&cli, argv, &err);

	if (cli.ctx.trace && cli.verb)
		trace_span(cli.ctx.trace, cli.verb->name, cli.began);
	if (r >= 0)
		return r;
	if (cli.wants_json) {
		cli_report_json(&(struct report){ .log = &cli.log, .log_is_file = cli.log_is_file },
				&err);
		return 1;
	}
	cli_report_error(&(struct report){ .log = &cli.log,
					   .log_is_file = cli.log_is_file,
					   .prefix = cli.verb ? cli.verb->fails : NULL },
			 &err);
	if (cli.fail_status)
		return cli.fail_status;
	return cli.verb && cli.verb->fail_status ? cli.verb->fail_status : 1;
}
