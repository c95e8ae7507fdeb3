/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cgroups/scratch.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "cgroups/device_rules.h"

/*
 * Random rules against the model, with the kernel in between: the kernel
 * implements no BPF_PROG_TEST_RUN for programs of this type (ENOTSUPP, seen on 6.12
 * and 6.18), so a process in the cgroup asks by mknod and access. access(2) asks the
 * program what open(2) would, without a search for a driver (a modprobe each time).
 * The numbers are of the ranges for local and experimental use
 * (admin-guide/devices.txt), so no device is behind them.
 */

enum { R = SPEC_DEV_READ, W = SPEC_DEV_WRITE, M = SPEC_DEV_MKNOD };

static const unsigned majors[] = { 60, 61, 120 }, minors[] = { 1, 2, 4095 };

#define N_DEVICES (2 * ARRAY_SIZE(majors) * ARRAY_SIZE(minors))
#define ROUNDS    300

struct device {
	char type;
	unsigned major, minor;
};

/* What the process in the cgroup and the test say to each other. */
struct talk {
	char dir[32];
	int wake[2], done[2];                /* pipes: one byte a round */
	struct answer {
		unsigned granted;    /* R, W, M */
		bool both;           /* R and W at once */
		int unexpected;      /* errno that is neither yes nor no */
	} answer[N_DEVICES];
};

static struct talk *talk;
static struct arena a = ARENA_INIT;
static struct error err;

static void setup(void)
{
	err = ERROR_INIT;
}

static void teardown(void)
{
	arena_release(&a);
}

TestSuite(cg_device_kernel, .init = setup, .fini = teardown, .timeout = 120);

static struct device device_of(size_t i)
{
	return (struct device){
		.type = "bc"[i % 2],
		.major = majors[i / 2 % ARRAY_SIZE(majors)],
		.minor = minors[i / 2 / ARRAY_SIZE(majors)],
	};
}

static int make_node(const char *word, size_t i, char *path, size_t size)
{
	struct device d = device_of(i);

	snprintf(path, size, "%s/%s%zu", talk->dir, word, i);
	return mknod(path, (d.type == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(d.major, d.minor));
}

static bool may(int result, struct answer *answer)
{
	if (result < 0 && errno != EPERM)
		answer->unexpected = errno;
	return result == 0;
}

static void ask(size_t i, struct answer *answer)
{
	char path[64];

	*answer = (struct answer){ 0 };
	if (may(make_node("new", i, path, sizeof(path)), answer)) {
		answer->granted |= M;
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/old%zu", talk->dir, i);
	answer->granted |= may(access(path, R_OK), answer) ? R : 0;
	answer->granted |= may(access(path, W_OK), answer) ? W : 0;
	answer->both = may(access(path, R_OK | W_OK), answer);
}

/* In the cgroup: asks for every access each time it is woken, until the pipe is closed. */
static int asker(void)
{
	char byte;

	close(talk->wake[1]);
	while (read(talk->wake[0], &byte, 1) == 1) {
		for (size_t i = 0; i < N_DEVICES; i++)
			ask(i, &talk->answer[i]);
		if (write(talk->done[1], &byte, 1) != 1)
			return 1;
	}
	return 0;
}

static void hear_answers(void)
{
	struct pollfd done = { .fd = talk->done[0], .events = POLLIN };
	char byte = 0;

	cr_assert_eq(write(talk->wake[1], &byte, 1), 1);
	cr_assert_eq(poll(&done, 1, 20000), 1, "the process in the cgroup does not answer");
	cr_assert_eq(read(talk->done[0], &byte, 1), 1);
}

/* Nodes that are there, made while nothing is restricted. */
static void make_place(void)
{
	char path[64];

	talk = mmap(NULL, sizeof(*talk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(talk != MAP_FAILED);
	strcpy(talk->dir, "/tmp/bulkhead-asked-XXXXXX");
	cr_assert_not_null(mkdtemp(talk->dir));
	cr_assert_eq(pipe2(talk->wake, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(talk->done, O_CLOEXEC), 0);
	for (size_t i = 0; i < N_DEVICES; i++)
		if (make_node("old", i, path, sizeof(path)) < 0) {
			rmdir(talk->dir);
			cr_skip_test("devices cannot be made in /tmp");
		}
}

static void remove_place(void)
{
	char path[64];

	for (size_t i = 0; i < N_DEVICES; i++) {
		snprintf(path, sizeof(path), "%s/old%zu", talk->dir, i);
		unlink(path);
	}
	rmdir(talk->dir);
	close(talk->wake[0]);
	close(talk->done[0]);
	close(talk->done[1]);
}

static struct spec_device_rule random_rule(unsigned *seed)
{
	static const int64_t some_majors[] = { -1, 60, 61, 120, 62 }, some_minors[] = { -1, 1, 2, 4095, 3 };

	return (struct spec_device_rule){
		.allow = rand_r(seed) & 1,
		.type = "abc"[rand_r(seed) % 3],
		.major = some_majors[rand_r(seed) % 5],
		.minor = some_minors[rand_r(seed) % 5],
		.access = 1 + (unsigned)rand_r(seed) % DEVICE_ANY,
	};
}

static void compare(const struct cg_device_rules *lists, size_t n_lists, int round)
{
	for (size_t i = 0; i < N_DEVICES; i++) {
		struct device d = device_of(i);
		const struct answer *answer = &talk->answer[i];

		cr_assert_eq(answer->unexpected, 0, "%c %u:%u: %s", d.type, d.major, d.minor,
			     strerror(answer->unexpected));
		for (unsigned asked = R; asked <= DEVICE_ANY; asked++) {
			bool granted = asked == (R | W) ? answer->both : !(asked & ~answer->granted);

			/* No system call asks for mknod along with another access. */
			if ((asked & M) && asked != M)
				continue;
			cr_assert_eq(granted, cg_device_allows(lists, n_lists, d.type, d.major, d.minor, asked),
				     "round %d: %c %u:%u access %u: the kernel says %d", round, d.type, d.major,
				     d.minor, asked, granted);
		}
	}
}

/* Each round replaces the program of the one before, as an update does. */
static void try_rules(const struct scratch *s, const struct cg_device_rules *lists, size_t n_lists, int round)
{
	void *insns;
	size_t n;

	assert_ok(cg_device_program(lists, n_lists, &a, &insns, &n, &err));

	int r = cg_device_attach(s->fd, CG_USED, insns, n, &err);

	if (r == -EPERM || r == -ENOSYS)
		cr_skip_test("this host lets nobody load device programs");
	assert_ok(r);
	hear_answers();
	compare(lists, n_lists, round);
	arena_release(&a);
}

Test(cg_device_kernel, random_rules_mean_to_processes_what_the_model_says)
{
	unsigned seed = 20251121;
	struct scratch s;

	make_place();
	scratch_open(&s);

	pid_t pid = scratch_fork(&s, asker);

	for (int round = 0; round < ROUNDS; round++) {
		struct spec_device_rule v[24];
		size_t n = 1 + (size_t)rand_r(&seed) % ARRAY_SIZE(v);
		struct cg_device_rules lists[] = { { v, n / 2 }, { v + n / 2, n - n / 2 } };

		for (size_t i = 0; i < n; i++)
			v[i] = random_rule(&seed);
		/* A list of engines starts by denying all; one that starts by allowing all is the other extreme. */
		if (round % 3)
			v[0] = (struct spec_device_rule){ .allow = round % 3 == 2, .type = 'a', .major = -1,
							  .minor = -1, .access = DEVICE_ANY };
		try_rules(&s, lists, 2, round);
	}
	close(talk->wake[1]);
	cr_assert_eq(wait_status(pid), 0);
	scratch_close(&s);
	remove_place();
}
