/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Compiled filters, one file each, named by a hash of the profile's bytes.
 * libseccomp takes about 10 ms for an engine's default profile; an entry takes one
 * open and one read.
 *
 * The directory is ours and closed to others, so an entry is not hostile; but it
 * may be old, torn or of another profile with the same hash. A filter that is not
 * the profile's would be a hole, so an entry counts only when the whole profile, the
 * kernel, the library and the checksum agree. Everything else is a miss.
 */
#include "runtime/process/seccomp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/file.h"

/* Raise it whenever seccomp_compile.c, seccomp_newer.c or seccomp_enosys.c would write another program. */
#define CACHE_VERSION 2
#define CACHE_MAGIC "BHfilter"

struct header {
	char magic[8];
	uint32_t version;
	uint32_t n_insns;
	uint32_t flags;
	uint32_t notifies;
	uint64_t profile_len;
	uint64_t kernel; /* hash of uname() */
	struct proc_seccomp_lib_id lib;
	uint64_t checksum; /* of this header with 0 here, then the program */
};
_Static_assert(sizeof(struct header) % 8 == 0, "the profile follows without a gap");

uint64_t proc_seccomp_hash(uint64_t hash, const void *data, size_t n)
{
	const uint64_t prime = UINT64_C(0x100000001b3);
	const char *p = data;

	for (; n > 0; p += 8) {
		uint64_t word = 0;
		size_t take = n < 8 ? n : 8;

		memcpy(&word, p, take);
		hash = (hash ^ word) * prime;
		hash ^= hash >> 32; /* a product never carries downwards */
		n -= take;
	}
	return hash;
}

void proc_seccomp_cache_name(const struct spec_seccomp *profile,
			     char name[PROC_SECCOMP_CACHE_NAME_SIZE])
{
	snprintf(name, PROC_SECCOMP_CACHE_NAME_SIZE, "%016llx",
		 (unsigned long long)proc_seccomp_hash(PROC_SECCOMP_HASH_INIT, profile->raw,
						       profile->raw_len));
}

/* What the kernel supports decides which actions libseccomp writes. */
static uint64_t hash_kernel(void)
{
	struct utsname u;

	memset(&u, 0, sizeof(u));
	if (uname(&u) < 0)
		return 0;

	uint64_t hash = proc_seccomp_hash(PROC_SECCOMP_HASH_INIT, u.release, strlen(u.release));

	return proc_seccomp_hash(hash, u.machine, strlen(u.machine));
}

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static uint64_t checksum(const struct header *h, const void *insns)
{
	struct header zeroed = *h;

	zeroed.checksum = 0;

	uint64_t hash = proc_seccomp_hash(PROC_SECCOMP_HASH_INIT, &zeroed, sizeof(zeroed));

	return proc_seccomp_hash(hash, insns, h->n_insns * sizeof(struct sock_filter));
}

static ssize_t read_entry(int dir_fd, const char *name, char *buf, size_t size)
{
	auto_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -1;
	do
		n = read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n;
}

static bool is_valid(const struct header *h, size_t n, const struct spec_seccomp *profile)
{
	const char *bytes = (const char *)(h + 1);

	if (n < sizeof(*h) || memcmp(h->magic, CACHE_MAGIC, sizeof(h->magic)) != 0 ||
	    h->version != CACHE_VERSION || h->n_insns == 0 || h->n_insns > BPF_MAXINSNS ||
	    h->notifies > 1 || h->profile_len != profile->raw_len ||
	    n != sizeof(*h) + padded(h->profile_len) + h->n_insns * sizeof(struct sock_filter))
		return false;
	return memcmp(bytes, profile->raw, profile->raw_len) == 0 &&
	       h->checksum == checksum(h, bytes + padded(h->profile_len)) &&
	       h->kernel == hash_kernel() && proc_seccomp_lib_is_same(&h->lib);
}

int proc_seccomp_cache_get(int dir_fd, const struct spec_seccomp *profile, struct arena *a,
			   struct proc_seccomp *ret)
{
	/* One byte more than the largest entry, so that a larger file shows. */
	size_t size = sizeof(struct header) + padded(profile->raw_len) +
		      BPF_MAXINSNS * sizeof(struct sock_filter) + 1;
	char *buf = arena_alloc(a, size);
	char name[PROC_SECCOMP_CACHE_NAME_SIZE];

	proc_seccomp_cache_name(profile, name);

	ssize_t n = read_entry(dir_fd, name, buf, size);
	const struct header *h = (const struct header *)buf;

	if (n < 0 || !is_valid(h, (size_t)n, profile))
		return 0;
	*ret = (struct proc_seccomp){
		.insns = buf + sizeof(*h) + padded(h->profile_len),
		.n_insns = h->n_insns,
		.flags = h->flags,
		.notifies = h->notifies,
	};
	return 1;
}

/* Entries, and what a crash between create and rename left. */
static bool is_ours(const char *name)
{
	return name[0] != '.' || (strlen(name) > 4 && strcmp(name + strlen(name) - 4, ".tmp") == 0);
}

/*
 * Removes the oldest entries until there is room for one more. Two commands at once
 * may remove one too many or too few, which the next one makes good.
 */
static void make_room(int dir_fd)
{
	for (int round = 0; round < PROC_SECCOMP_CACHE_ENTRIES; round++) {
		int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
		char oldest[256] = "";
		struct timespec when = { 0 };
		size_t n = 0;

		if (!dir) {
			if (fd >= 0)
				close(fd);
			return;
		}
		for (struct dirent *e; (e = readdir(dir));) {
			struct stat st;

			if (!is_ours(e->d_name) ||
			    fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
				continue;
			n++;
			if (!oldest[0] || st.st_mtim.tv_sec < when.tv_sec ||
			    (st.st_mtim.tv_sec == when.tv_sec &&
			     st.st_mtim.tv_nsec < when.tv_nsec)) {
				snprintf(oldest, sizeof(oldest), "%s", e->d_name);
				when = st.st_mtim;
			}
		}
		if (n < PROC_SECCOMP_CACHE_ENTRIES || unlinkat(dir_fd, oldest, 0) < 0)
			return;
	}
}

int proc_seccomp_cache_put(int dir_fd, const struct spec_seccomp *profile,
			   const struct proc_seccomp_lib_id *lib,
			   const struct proc_seccomp *program, struct error *err)
{
	size_t program_len = program->n_insns * sizeof(struct sock_filter);
	size_t at_program = sizeof(struct header) + padded(profile->raw_len);
	auto_free char *buf = calloc(1, at_program + program_len);
	char name[PROC_SECCOMP_CACHE_NAME_SIZE];

	if (!buf)
		return error_set(err, ENOMEM, "keep a seccomp filter");

	struct header *h = (struct header *)buf;

	memcpy(h->magic, CACHE_MAGIC, sizeof(h->magic));
	h->version = CACHE_VERSION;
	h->n_insns = program->n_insns;
	h->flags = program->flags;
	h->notifies = program->notifies;
	h->profile_len = profile->raw_len;
	h->kernel = hash_kernel();
	h->lib = *lib;
	memcpy(h + 1, profile->raw, profile->raw_len);
	memcpy(buf + at_program, program->insns, program_len);
	h->checksum = checksum(h, buf + at_program);

	proc_seccomp_cache_name(profile, name);
	make_room(dir_fd);
	return file_replace_at(dir_fd, name, 0600, buf, at_program + program_len, err);
}

int proc_seccomp_get(const struct spec_seccomp *profile, int cache_fd, struct arena *a,
		     const struct log *log, struct proc_seccomp *ret, struct error *err)
{
	bool cached = cache_fd >= 0 && profile->raw && profile->raw_len > 0;
	struct proc_seccomp program;
	struct proc_seccomp_lib lib;

	if (cached && proc_seccomp_cache_get(cache_fd, profile, a, ret) == 1)
		return 0;

	int r = proc_seccomp_lib_open(&lib, err);

	if (r >= 0)
		r = proc_seccomp_compile(&lib, profile, a, log, &program, err);
	if (r < 0)
		return r;
	if (cached) {
		struct proc_seccomp_lib_id id;
		struct error why = ERROR_INIT;

		proc_seccomp_lib_identify(&lib, &id);
		if (proc_seccomp_cache_put(cache_fd, profile, &id, &program, &why) < 0) {
			char line[512];

			error_line(&why, line, sizeof(line));
			log_debug(log, "seccomp: cannot keep the filter: %s", line);
		}
	}
	*ret = program;
	return 0;
}
