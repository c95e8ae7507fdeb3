/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/keep_fds.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FROM = 100, TO = 120 };

/* Which of FROM … TO-1 are open afterwards, as bits. In a child: the test keeps its own. */
static unsigned left_open(int *keep, size_t n)
{
	int ends[2];
	unsigned open = 0;

	cr_assert_eq(pipe(ends), 0);

	pid_t pid = fork();

	if (pid == 0) {
		int out = fcntl(ends[1], F_DUPFD, FROM - 1); /* one of those to keep, too */
		int all[16] = { out };

		for (size_t i = 0; i < n; i++)
			all[i + 1] = keep[i];
		for (int fd = FROM; fd < TO; fd++)
			dup2(0, fd);
		if (keep_fds(all, n + 1, NULL) < 0)
			_exit(1);
		for (int fd = FROM; fd < TO; fd++)
			open |= fcntl(fd, F_GETFD) >= 0 ? 1U << (fd - FROM) : 0;
		_exit(write(out, &open, sizeof(open)) == sizeof(open) && fcntl(ends[0], F_GETFD) < 0 && fcntl(2, F_GETFD) >= 0 ? 0 : 2);
	}

	int status = 0;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(read(ends[0], &open, sizeof(open)), (ssize_t)sizeof(open));
	return open;
}

Test(keep_fds, all_others_are_closed, .timeout = 20)
{
	cr_expect_eq(left_open(NULL, 0), 0);
	cr_expect_eq(left_open((int[]){ 100, 103, 119 }, 3), 1U << 0 | 1U << 3 | 1U << 19);
}

Test(keep_fds, order_doubles_neighbours_and_none_do_not_matter, .timeout = 20)
{
	cr_expect_eq(left_open((int[]){ 105, -1, 104, 105, 2, 104, -1, 106, 0 }, 9), 1U << 4 | 1U << 5 | 1U << 6);
}
