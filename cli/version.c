/* SPDX-License-Identifier: Apache-2.0 */

/*
 * version - who we are
 *
 * Docker takes the word before "version" on the first line as the runtime's
 * name and the last word as its version, and looks for a line "commit:".
 */

#include "cli/cli.h"

const char cli_version[] = BULKHEAD_VERSION;
const char cli_commit[] = BULKHEAD_COMMIT;

void cli_version_text(struct buf *out, const char *libseccomp)
{
	buf_printf(out, CLI_NAME " version %s\ncommit: %s\nspec: %s\n", cli_version, cli_commit,
		   SPEC_VERSION);
	if (libseccomp)
		buf_printf(out, "libseccomp: %s\n", libseccomp);
}
