/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/host_ps.h"

static void add_json(struct buf *out, const pid_t *pids, size_t n)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%d", i ? "," : "", pids[i]);
	buf_puts(out, "]\n");
}

/* As ps -ef would in the guest. */
static void add_guest_table(struct buf *out, const struct rt_guest_process *v, size_t n)
{
	buf_printf(out, "%-8s %7s %7s %-5s %-8s %8s %s\n", "UID", "PID", "PPID", "STIME", "TTY", "TIME", "CMD");
	for (size_t i = 0; i < n; i++) {
		const struct rt_guest_process *p = &v[i];
		time_t start = (time_t)(p->start_ms / 1000);
		uint64_t used = p->cpu_ms / 1000;
		struct tm t;
		char clock[8] = "-";

		if (gmtime_r(&start, &t))
			strftime(clock, sizeof(clock), "%H:%M", &t);
		buf_printf(out, "%-8u %7u %7u %-5s %-8s %02u:%02u:%02u %s\n", p->uid, p->pid, p->ppid, clock, p->tty,
			   (unsigned)(used / 3600 % 100), (unsigned)(used / 60 % 60), (unsigned)(used % 60), p->command);
	}
}

static int print_guest(struct cli *cli, const struct rt_guest_process *v, size_t n, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;

	if (cli->args.n_operands > 1)
		return error_rule(err, ENOTSUP, "options for ps: the processes of a virtual machine are listed by its guest");
	add_guest_table(&out, v, n);
	return cli_print(&out, err);
}

/* Engines look these up in the host's /proc, so they are the host's pids behind either wall. */
static int print_host_pids(struct cli *cli, const char *id, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	pid_t *pids;
	size_t n;
	int r = rt_pids(&cli->ctx, id, cli->arena, &pids, &n, err);

	if (r < 0)
		return r;
	add_json(&out, pids, n);
	return cli_print(&out, err);
}

int cmd_ps(struct cli *cli, struct error *err)
{
	struct rt_guest_process *guests;
	bool is_vm;
	auto_buf struct buf table = BUF_INIT;
	auto_buf struct buf out = BUF_INIT;
	const char *format = cli_text(&cli->args, "format");
	const char *id = cli_id(cli, err);
	pid_t *pids;
	size_t n;

	if (!id)
		return -EINVAL;
	if (format && !strcmp(format, "json"))
		return print_host_pids(cli, id, err);

	int r = rt_guest_processes(&cli->ctx, id, cli->arena, &is_vm, &guests, &n, err);

	if (r < 0 || is_vm)
		return r < 0 ? r : print_guest(cli, guests, n, err);
	r = rt_pids(&cli->ctx, id, cli->arena, &pids, &n, err);

	if (r == 0)
		r = cli_ps_run(cli->args.operands + 1, cli->arena, &table, err);
	if (r == 0)
		r = cli_ps_filter(table.data ? table.data : "", pids, n, &out, err);
	return r < 0 ? r : cli_print(&out, err);
}
