/* SPDX-License-Identifier: Apache-2.0 */

/* main - alone in its file, so that the unit tests can link everything else */

#include "cli/cli.h"

int main(int argc, char **argv)
{
	(void)argc; /* argv ends in NULL */
	return cli_main(argv);
}
