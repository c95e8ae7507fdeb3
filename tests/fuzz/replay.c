/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds each file of the directories it is given to a fuzz target, as libFuzzer would: `make fuzz-replay`, without clang.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { MOST = 1 << 20 };

static void feed(int dir_fd, const char *name)
{
	static uint8_t buffer[MOST];
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer));

	if (n < 0) {
		perror(name);
		exit(1);
	}
	close(fd);

	/* Exactly as long as the input, so that a sanitizer sees a read beyond. */
	uint8_t *data = malloc(n ? (size_t)n : 1);

	for (ssize_t i = 0; i < n; i++)
		data[i] = buffer[i];
	LLVMFuzzerTestOneInput(data, (size_t)n);
	free(data);
}

int main(int argc, char **argv)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		if (!dir) {
			perror(argv[i]);
			return 1;
		}
		for (struct dirent *e; (e = readdir(dir)) != NULL;) {
			if (e->d_name[0] == '.')
				continue;
			feed(dirfd(dir), e->d_name);
			n++;
		}
		closedir(dir);
	}
	printf("%u inputs\n", n);
	return n == 0;
}
