/* SPDX-License-Identifier: Apache-2.0 */

/* reader DIR FILE… - opens and reads the files of a cgroup and of those in it: the least that statistics ask of the kernel. */

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

static int read_all(int dir, char **files)
{
	static char text[4096];
	ssize_t n = 0;

	for (; *files && n >= 0; files++) {
		int fd = openat(dir, *files, O_RDONLY | O_CLOEXEC);

		n = fd < 0 ? -1 : read(fd, text, sizeof(text));
		close(fd);
	}
	return n < 0;
}

int main(int argc, char **argv)
{
	DIR *top = argc > 2 ? opendir(argv[1]) : NULL;
	int bad = !top || read_all(dirfd(top), argv + 2);

	for (struct dirent *e; !bad && (e = readdir(top));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;

		int dir = openat(dirfd(top), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		bad = dir < 0 || read_all(dir, argv + 2);
		close(dir);
	}
	return bad;
}
