/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which file args[0] means, found by the rules of execvp(3) but with the PATH of
 * the container's environment, not ours. The texts are matched by engines: Docker
 * turns the first two into exit status 127 and the last two into 126.
 */
#include "runtime/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* confstr(_CS_PATH) without asking a libc: what execvp(3) uses when there is no PATH. */
#define DEFAULT_PATH "/bin:/usr/bin"

/* A name may be longer than an error object; the text behind it must not be lost. */
#define SHOWN "%.256s"

/*
 * A filter that was loaded before us may know neither call: then it says nothing
 * about the file.
 */
static bool is_filtered(int code)
{
	return code == EPERM || code == ENOSYS;
}

/* 0 when the caller may execute path, -EPERM when that cannot be told, else -errno. */
static int check_program(const char *path, enum proc_find find)
{
	struct stat st;

	/* Effective ids, and it knows about noexec mounts. */
	int code = faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;

	if (code && code != EACCES && !is_filtered(code))
		return -code;
	if (!code && find == PROC_FIND_LIKELY)
		return 0;
	if (stat(path, &st) < 0)
		return is_filtered(errno) ? -EPERM : code == EACCES ? -EACCES : -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return S_ISREG(st.st_mode) && code != EACCES && (st.st_mode & 0111) ? 0 : -EACCES;
}

static const char *search_path(const struct spec_strings *env)
{
	const char *path = NULL;

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], "PATH=", 5) == 0)
			path = env->v[i] + 5; /* the last of several wins */
	return path ? path : DEFAULT_PATH;
}

static int search(const char *name, const char *path, char *buf, size_t size)
{
	int result = -ENOENT;

	for (const char *end;; path = end + 1) {
		end = strchrnul(path, ':');

		/* An empty element is the working directory. */
		int n = end == path ? snprintf(buf, size, "./%s", name)
				    : snprintf(buf, size, "%.*s/%s", (int)(end - path), path, name);

		if (n > 0 && (size_t)n < size) {
			int r = check_program(buf, PROC_FIND_SURE);

			if (r == 0)
				return 0;
			/* One that exists but may not be executed is the better explanation. */
			if (r == -EACCES || r == -EPERM)
				result = r;
		}
		if (!*end)
			return result;
	}
}

int proc_find_program(const struct spec_process *spec, enum proc_find find, char *buf, size_t size,
		      struct error *err)
{
	const char *name = spec->args.n > 0 ? spec->args.v[0] : NULL;
	int r;

	if (!name)
		return error_rule(err, EINVAL, "process.args is empty");

	if (strchr(name, '/')) {
		if (strlen(name) >= size)
			return error_set(err, ENAMETOOLONG, "exec \"" SHOWN "\"", name);
		memcpy(buf, name, strlen(name) + 1);
		r = check_program(buf, find);
		if (r == -EPERM)
			return 0; /* execve() will tell */
	} else {
		r = *name ? search(name, search_path(&spec->env), buf, size) : -ENOENT;
		if (r == -ENOENT) {
			error_rule(err, ENOENT,
				   "exec \"" SHOWN "\": executable file not found in $PATH", name);
			error_at(err, "/process/args/0");
			return r;
		}
	}
	if (r < 0) {
		error_set(err, -r, "exec \"" SHOWN "\"", name);
		if (r == -EPERM)
			error_hint(err, "the seccomp profile hides files from the search of $PATH: "
					"give the program's path");
		error_at(err, "/process/args/0");
	}
	return r;
}
