/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/keep_fds.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int keep_fds(int *keep, size_t n, struct error *err)
{
	unsigned from = 3; /* the lowest that is not looked at yet */

	qsort(keep, n, sizeof(keep[0]), compare);
	for (size_t i = 0; i <= n; i++) {
		unsigned to = i < n ? (unsigned)keep[i] - 1 : ~0U;

		if (i < n && (keep[i] < 3 || (unsigned)keep[i] < from))
			continue;
		if (to >= from && syscall(SYS_close_range, from, to, 0U) < 0)
			return error_set(err, errno, "close the runtime's descriptors");
		from = to + 2;
	}
	return 0;
}
