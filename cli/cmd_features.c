/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "runtime/process/process.h"
#include "spec/spec.h"

int cmd_features(struct cli *cli, struct error *err)
{
	auto_buf struct buf out = BUF_INIT;
	struct spec_features_seccomp seccomp = { 0 };

	(void)cli;
	proc_seccomp_features(&seccomp);
	spec_write_features(&out, &seccomp, cli_version, cli_commit, proc_seccomp_version());
	if (out.len && out.data[out.len - 1] != '\n')
		buf_putc(&out, '\n');
	return cli_print(&out, err);
}
