/* SPDX-License-Identifier: Apache-2.0 */

/* The texts here are searched for by engines: Docker makes exit status 127 and 126 of them. */
#include "runtime/process/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spec/base/auto.h"

static char dir[64];

static void make(const char *name, mode_t mode)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (S_ISDIR(mode)) {
		cr_assert(mkdir(path, 0777) == 0);
	} else {
		int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

		cr_assert(fd >= 0);
		close(fd);
	}
	cr_assert(chmod(path, mode & 0777) == 0);
}

static void setup(void)
{
	strcpy(dir, "/tmp/find-program-XXXXXX");
	cr_assert(mkdtemp(dir) && chmod(dir, 0755) == 0);
	make("a", S_IFDIR | 0755);
	make("b", S_IFDIR | 0755);
	make("closed", S_IFDIR | 0700);
	make("a/data", 0644);
	make("b/data", 0755);
	make("a/only-data", 0644);
	make("a/dir", S_IFDIR | 0755);
	make("b/dir", 0755);
	make("a/alone", S_IFDIR | 0755);
	make("b/program", 0755);
	make("closed/program", 0755);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert(system(command) == 0);
}

TestSuite(find_program, .init = setup, .fini = teardown);

static int find(const char *name, const char *path, char *found, struct error *err)
{
	char env[PATH_MAX] = "PATH=";
	char *argv[] = { (char *)name, NULL };
	char *envp[] = { "PATH=/nowhere", env, NULL };
	struct spec_process spec = { .args = { argv, 1 }, .env = { envp, path ? 2 : 0 } };
	char *to = env + 5;

	/* '@' is the test's directory */
	for (const char *p = path ? path : ""; *p; p++)
		to += *p == '@' ? sprintf(to, "%s", dir) : sprintf(to, "%c", *p);
	*err = ERROR_INIT;
	found[0] = '\0';
	return proc_find_program(&spec, PROC_FIND_SURE, found, PATH_MAX, err);
}

static void expect_found(const char *name, const char *path, const char *expected)
{
	char found[PATH_MAX], want[PATH_MAX];
	struct error err;

	snprintf(want, sizeof(want), "%s%s", *expected == '@' ? dir : "",
		 expected + (*expected == '@'));
	cr_expect(find(name, path, found, &err) == 0, "%s: %s", name, err.text);
	cr_expect_str_eq(found, want);
}

static void expect_line(const char *name, const char *path, int r, const char *expected)
{
	char found[PATH_MAX], line[512];
	struct error err;

	cr_expect(find(name, path, found, &err) == r, "%s: %s", name, err.text);
	error_line(&err, line, sizeof(line));
	cr_expect(strstr(line, expected), "\"%s\" in \"%s\"", expected, line);
}

Test(find_program, searches_the_path_of_the_environment_in_order)
{
	expect_found("program", "@/a:@/b", "@/b/program");
	expect_found("program", "@/missing:/dev/null:@/b", "@/b/program");
	expect_found("program", "@/b/", "@/b//program");
}

Test(find_program, passes_over_what_cannot_be_executed)
{
	expect_found("data", "@/a:@/b", "@/b/data");
	expect_found("dir", "@/a:@/b", "@/b/dir");
}

Test(find_program, an_empty_element_is_the_working_directory)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/b", dir);
	cr_assert(chdir(path) == 0);
	expect_found("program", "", "./program");
	expect_found("program", "@/a:", "./program");
	expect_found("program", ":@/a", "./program");
	cr_assert(chdir("/") == 0);
}

Test(find_program, without_a_path_the_directories_of_execvp)
{
	expect_found("sh", NULL, "/bin/sh");
}

Test(find_program, a_slash_means_the_file_itself)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s/b/program", dir);
	expect_found(name, "@/a", name);
}

Test(find_program, what_is_nowhere_is_not_found_in_path)
{
	expect_line("no-such", "@/a:@/b", -ENOENT,
		    "exec \"no-such\": executable file not found in $PATH");
	expect_line("", "@/a", -ENOENT, "exec \"\": executable file not found in $PATH");
	expect_line("alone", "@/a", -ENOENT, "executable file not found in $PATH");
}

Test(find_program, a_missing_file_a_directory_and_a_file_without_permission)
{
	char name[PATH_MAX];

	expect_line("/no/such", "@/a", -ENOENT, "exec \"/no/such\": no such file or directory");
	expect_line("/", "@/a", -EISDIR, "exec \"/\": is a directory");
	snprintf(name, sizeof(name), "%s/a/only-data", dir);
	expect_line(name, "@/a", -EACCES, ": permission denied");
	expect_line("only-data", "@/a:@/b", -EACCES, "exec \"only-data\": permission denied");
	expect_line("/dev/null", "@/a", -EACCES, "permission denied");
}

Test(find_program, sees_with_the_eyes_of_the_calling_user)
{
	char name[PATH_MAX];
	int status;

	snprintf(name, sizeof(name), "%s/closed/program", dir);
	expect_found(name, "", name);

	pid_t pid = fork();

	if (pid == 0) {
		char found[PATH_MAX];
		struct error err;

		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(1);
		_exit(find(name, "", found, &err) == -EACCES &&
				      find("program", "@/closed:@/b", found, &err) == 0
			      ? 0
			      : 2);
	}
	cr_assert(waitpid(pid, &status, 0) == pid);
	cr_expect(status == 0, "%x", status);
}

Test(find_program, a_filter_that_hides_files_leaves_the_verdict_to_exec)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_faccessat2, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_faccessat, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_newfstatat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	char found[PATH_MAX];
	struct error err;
	int status;

	for (int without_stat = 0; without_stat < 2; without_stat++) {
		pid_t pid = fork();

		insns[3].jt = without_stat ? 0 : 1;
		if (pid == 0) {
			struct sock_fprog program = { ARRAY_SIZE(insns), insns };

			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
				_exit(1);
			if (find("/bin/sh", "", found, &err) != 0)
				_exit(2);
			if (without_stat)
				_exit(find("sh", "/bin", found, &err) == -EPERM && err.hint[0] ? 0
											       : 3);
			_exit(find("sh", "/bin", found, &err) == 0 &&
					      find("/etc/passwd", "", found, &err) == -EACCES
				      ? 0
				      : 4);
		}
		cr_assert(waitpid(pid, &status, 0) == pid);
		cr_expect(status == 0, "%d: %x", without_stat, status);
	}
}

Test(find_program, a_name_longer_than_a_path_is_refused)
{
	static char name[PATH_MAX + 10];

	memset(name, 'x', sizeof(name) - 1);
	expect_line(name, "@/a", -ENOENT, "executable file not found in $PATH");
	name[0] = '/';
	expect_line(name, "@/a", -ENAMETOOLONG, "file name too long");
}
