/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/internal.h"

/*
 * Pressure stall information (Documentation/accounting/psi.rst): lines such as
 * "some avg10=0.12 avg60=0.00 avg300=0.00 total=1234". Averages are percent and
 * are passed on digit by digit; total is microseconds.
 */

#include <string.h>

/* A JSON number as the kernel prints them: digits, at most one dot between digits. */
static size_t number_length(const char *s)
{
	size_t whole = strspn(s, "0123456789");
	size_t fraction = s[whole] == '.' ? strspn(s + whole + 1, "0123456789") : 0;

	return !whole ? 0 : fraction ? whole + 1 + fraction : whole;
}

static void write_line(struct json_w *w, const char *name, const char *line)
{
	size_t end = strcspn(line, "\n");

	json_w_open(w, name, '{');
	for (const char *s = line; s < line + end;) {
		char key[16];
		size_t n = strcspn(s, "= \n");

		if (s[n] == '=' && n < sizeof(key) && number_length(s + n + 1)) {
			memcpy(key, s, n);
			key[n] = '\0';
			json_w_raw(w, key, s + n + 1, number_length(s + n + 1));
		}
		s += n;
		s += strcspn(s, " \n");
		s += *s == ' ';
	}
	json_w_close(w, '}');
}

void cg_write_psi(int cg_fd, struct json_w *w, const char *file)
{
	char text[512];

	/* Absent, or switched off (psi=0, cgroup.pressure): EOPNOTSUPP. */
	if (cg_read(cg_fd, file, text, sizeof(text)) <= 0)
		return;

	json_w_open(w, "psi", '{');
	for (const char *line = text; *line;) {
		if (strncmp(line, "some ", 5) == 0)
			write_line(w, "some", line + 5);
		else if (strncmp(line, "full ", 5) == 0)
			write_line(w, "full", line + 5);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	json_w_close(w, '}');
}
