/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

static struct error err;

/* What a watch in a thread of its own has told, one word for each event. */
struct told {
	struct place *p;
	const char *name, *psi;
	int stop_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	char text[2048];
	int result;
	int end_after; /* events; 0: never */
	struct error err;
	double cpu;
};

static int take(const struct cpg_event *ev, void *data)
{
	static const char *const kinds[] = { "partition", "cpus", "populated", "frozen", "oom", "pressure", "gone" };
	struct told *t = data;
	size_t used;
	int end;

	pthread_mutex_lock(&t->lock);
	used = strlen(t->text);
	snprintf(t->text + used, sizeof(t->text) - used, "%s %s%s%s;", ev->group, kinds[ev->kind],
		 ev->after && ev->kind != CPG_EV_PRESSURE ? "=" : "",
		 ev->after && ev->kind != CPG_EV_PRESSURE ? ev->after : "");
	end = t->end_after && --t->end_after == 0 ? 77 : 0;
	pthread_mutex_unlock(&t->lock);
	return ev->time_ns > 0 ? end : 1;
}

static void *watch(void *data)
{
	struct told *t = data;
	struct rusage before;
	struct rusage after;

	getrusage(RUSAGE_THREAD, &before);
	t->result = cpg_watch(&t->p->cpg, t->name, t->psi, t->stop_fd, take, t, &t->err);
	getrusage(RUSAGE_THREAD, &after);
	t->cpu = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec -
			  before.ru_stime.tv_sec) +
		 (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
			  before.ru_stime.tv_usec) / 1e6;
	return NULL;
}

static void begin(struct told *t, struct place *p, const char *name, const char *psi)
{
	*t = (struct told){ .p = p, .name = name, .psi = psi, .stop_fd = eventfd(0, EFD_CLOEXEC) };
	pthread_mutex_init(&t->lock, NULL);
	cr_assert_eq(pthread_create(&t->thread, NULL, watch, t), 0);
	usleep(200000);
}

static bool has_told(struct told *t, const char *word)
{
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&t->lock);

		bool found = strstr(t->text, word) != NULL;

		pthread_mutex_unlock(&t->lock);
		if (found)
			return true;
		usleep(10000);
	}
	return false;
}

static void end(struct told *t)
{
	uint64_t one = 1;

	cr_assert_eq(write(t->stop_fd, &one, sizeof(one)), (ssize_t)sizeof(one));
	cr_assert_eq(pthread_join(t->thread, NULL), 0);
	close(t->stop_fd);
}

Test(cpg_watch, tells_who_comes_stops_and_goes_and_of_new_groups)
{
	struct place p;
	struct told t;

	place_open(&p);
	begin(&t, &p, NULL, NULL);

	pid_t pid = place_fork(&p, p.web_fd, pause);

	cr_assert(has_told(&t, "gold populated=1;"), "%s", t.text);
	assert_ok(cpg_freeze(&p.cpg, "gold", true, 5000, &err));
	cr_assert(has_told(&t, "gold frozen=1;"), "%s", t.text);
	assert_ok(cpg_freeze(&p.cpg, "gold", false, 5000, &err));
	cr_assert(has_told(&t, "gold frozen=0;"), "%s", t.text);
	kill(pid, SIGKILL);
	cr_assert(has_told(&t, "gold populated=0;"), "%s", t.text);

	/* A group that was not there at first. */
	close(place_group(&p, "iron"));
	usleep(1500000);

	auto_close int job = place_mkdir(&p, "iron/job");
	char path[128];

	pid = place_fork(&p, job, pause);
	cr_assert(has_told(&t, "iron populated=1;"), "%s", t.text);
	kill(pid, SIGKILL);
	cr_assert(has_told(&t, "iron populated=0;"), "%s", t.text);
	snprintf(path, sizeof(path), "%s/iron", p.s.path);
	assert_ok(cg_remove(&p.s.host, path, 5000, &err));
	cr_assert(has_told(&t, "iron gone;"), "%s", t.text);
	end(&t);
	cr_assert_eq(t.result, 0);
	cr_assert_null(strstr(t.text, "silver"), "%s", t.text);
	place_close(&p);
}

Test(cpg_watch, ends_with_the_group_and_with_what_emit_returns)
{
	struct place p;
	struct told t;
	char path[128];

	place_open(&p);
	begin(&t, &p, "silver", NULL);
	snprintf(path, sizeof(path), "%s/silver", p.s.path);
	assert_ok(cg_remove(&p.s.host, path, 5000, &err));
	cr_assert_eq(pthread_join(t.thread, NULL), 0);
	cr_assert_eq(t.result, 0);
	cr_assert_str_eq(t.text, "silver gone;");
	close(t.stop_fd);

	begin(&t, &p, "gold", NULL);
	t.end_after = 1;
	place_fork(&p, p.web_fd, pause);
	cr_assert_eq(pthread_join(t.thread, NULL), 0);
	cr_assert_eq(t.result, 77);
	close(t.stop_fd);
	cr_assert_eq(cpg_watch(&p.cpg, "bronze", NULL, -1, take, &t, &err), -ENOENT);
	place_close(&p);
}

Test(cpg_watch, sleeps_when_nothing_happens)
{
	struct place p;
	struct told t;

	place_open(&p);
	place_fork(&p, p.web_fd, pause);
	begin(&t, &p, NULL, NULL);
	usleep(2500000);
	end(&t);
	cr_assert_str_eq(t.text, "");
	cr_assert_lt(t.cpu, 0.1);
	place_close(&p);
}

static int spin(void)
{
	for (;;)
		sched_yield();
	return 0;
}

Test(cpg_watch, tells_pressure_above_the_trigger, .timeout = 60)
{
	struct place p;
	struct told t;

	place_open(&p);
	if (faccessat(p.web_fd, "cpu.pressure", F_OK, 0) < 0) {
		place_close(&p);
		cr_skip_test("this kernel does not measure pressure");
	}
	begin(&t, &p, "gold", "some 1000 2000000");
	for (int i = 0; i < 8; i++)
		place_fork(&p, p.web_fd, spin);
	cr_assert(has_told(&t, "gold pressure;"), "%s %s", t.text, line_of(&t.err));
	end(&t);
	place_close(&p);
}

Test(cpg_watch, tells_partitions_and_the_cpus_that_are_left, .timeout = 60)
{
	struct place p;
	struct told t;

	place_open(&p);
	place_need(&p, CG_CPUSET);

	auto_close int gold = cpg_open(&p.cpg, "gold", false, &err);

	/* A remote partition: the way to it names the CPU (Linux 6.7). */
	if (cg_write_text(p.s.fd, "cpuset.cpus.exclusive", "1") < 0) {
		place_close(&p);
		cr_skip_test("this kernel has no cpuset.cpus.exclusive");
	}
	begin(&t, &p, NULL, NULL);
	cr_assert_eq(cg_write_text(gold, "cpuset.cpus", "1"), 0);
	cr_assert_eq(cg_write_text(gold, "cpuset.cpus.exclusive", "1"), 0);
	cr_assert_eq(cg_write_text(gold, "cpuset.cpus.partition", "root"), 0);
	cr_assert(has_told(&t, "gold partition=root;"), "%s", t.text);
	cr_assert(has_told(&t, "silver cpus=0;"), "%s", t.text);
	/* What the way does not name any more is lost. */
	cr_assert_eq(cg_write_text(p.s.fd, "cpuset.cpus.exclusive", "\n"), 0);
	cr_assert(has_told(&t, "gold partition=root invalid"), "%s", t.text);
	cr_assert(has_told(&t, "silver cpus=0-1;"), "%s", t.text);
	end(&t);
	place_close(&p);
}

static int eat_memory(void)
{
	for (;;) {
		char *m = malloc(1 << 20);

		if (m)
			memset(m, 1, 1 << 20);
	}
	return 0;
}

Test(cpg_watch, tells_of_the_out_of_memory_killer, .timeout = 60)
{
	struct place p;
	struct told t;

	place_open(&p);
	place_need(&p, CG_MEMORY);
	begin(&t, &p, "gold", NULL);
	cr_assert_eq(cg_write_text(p.web_fd, "memory.max", "8388608"), 0);
	place_fork(&p, p.web_fd, eat_memory);
	cr_assert(has_told(&t, "gold oom=1;"), "%s", t.text);
	end(&t);
	place_close(&p);
}
