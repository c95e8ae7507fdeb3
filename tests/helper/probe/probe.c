/* SPDX-License-Identifier: Apache-2.0 */
/* The program, and what its facts share. */
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	int number;
	const char *name;
} errnos[] = {
	{ EPERM, "EPERM" },     { ENOENT, "ENOENT" },   { EIO, "EIO" },       { ENXIO, "ENXIO" },
	{ EBADF, "EBADF" },     { EAGAIN, "EAGAIN" },   { ENOMEM, "ENOMEM" }, { EACCES, "EACCES" },
	{ EFAULT, "EFAULT" },   { EBUSY, "EBUSY" },     { EEXIST, "EEXIST" }, { EXDEV, "EXDEV" },
	{ ENODEV, "ENODEV" },   { ENOTDIR, "ENOTDIR" }, { EISDIR, "EISDIR" }, { EINVAL, "EINVAL" },
	{ ENFILE, "ENFILE" },   { EMFILE, "EMFILE" },   { ENOTTY, "ENOTTY" }, { ETXTBSY, "ETXTBSY" },
	{ EFBIG, "EFBIG" },     { ENOSPC, "ENOSPC" },   { EROFS, "EROFS" },   { EPIPE, "EPIPE" },
	{ ENOSYS, "ENOSYS" },   { ELOOP, "ELOOP" },     { ESRCH, "ESRCH" },   { ECHILD, "ECHILD" },
	{ EDQUOT, "EDQUOT" },   { ENOKEY, "ENOKEY" },   { EDOM, "EDOM" },     { ERANGE, "ERANGE" },
	{ EOVERFLOW, "EOVERFLOW" }, { ENOTSUP, "ENOTSUP" }, { EAFNOSUPPORT, "EAFNOSUPPORT" },
	{ EPROTONOSUPPORT, "EPROTONOSUPPORT" }, { ECONNREFUSED, "ECONNREFUSED" },
};

const char *errno_name(int number)
{
	static char text[16];
	for (size_t i = 0; i < sizeof(errnos) / sizeof(*errnos); i++) {
		if (errnos[i].number == number)
			return errnos[i].name;
	}
	snprintf(text, sizeof(text), "%d", number);
	return text;
}

int verdict(bool ok)
{
	puts(ok ? "ok" : errno_name(errno));
	return ok ? 0 : 1;
}

const char *arg(char **argv, int i, const char *otherwise)
{
	for (int n = 0; n <= i; n++) {
		if (!argv[n])
			return otherwise;
	}
	return argv[i];
}

long number(char **argv, int i, long otherwise)
{
	const char *text = arg(argv, i, NULL);
	return text ? strtol(text, NULL, 0) : otherwise;
}

int print_lines(const char *path, const char *const *names)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return verdict(false);
	char line[4096];
	while (fgets(line, sizeof(line), f)) {
		bool wanted = !names;
		for (size_t i = 0; names && names[i]; i++)
			wanted = wanted || !strncmp(line, names[i], strlen(names[i]));
		if (wanted)
			fputs(line, stdout);
	}
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	const struct fact *const all[] = { facts_of_self, facts_of_world, facts_of_file,
					   facts_of_call, facts_of_life,  facts_of_stream };

	if (argc < 2)
		return 2;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		for (const struct fact *f = all[i]; f->name; f++) {
			if (!strcmp(argv[1], f->name))
				return f->run(argv + 2);
		}
	}
	fprintf(stderr, "probe: no fact called %s\n", argv[1]);
	return 2;
}
