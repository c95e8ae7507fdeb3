/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is what is read: a process object makes the way to a guest and back to a struct. */
#include <criterion/criterion.h>
#include <string.h>

#include "spec/base/auto.h"
#include "spec/base/json.h"
#include "spec/spec.h"

static struct arena a = ARENA_INIT;

static const char full[] =
	"{\"terminal\":true,\"consoleSize\":{\"height\":31,\"width\":91},"
	"\"user\":{\"uid\":1000,\"gid\":7,\"umask\":18,\"additionalGids\":[5,4294967294]},"
	"\"args\":[\"/bin/sh\",\"-c\",\"echo \\\"a\\\\b\\\" \\u0001\\t\\u00e9\"],\"env\":[\"A=1\",\"B=\"],\"cwd\":\"/tmp/x y\","
	"\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"effective\":[\"CAP_KILL\"],\"permitted\":[\"CAP_KILL\"],"
	"\"inheritable\":[\"CAP_CHOWN\"],\"ambient\":[]},"
	"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":10,\"hard\":18446744073709551615},{\"type\":\"RLIMIT_CORE\",\"soft\":0,\"hard\":0}],"
	"\"noNewPrivileges\":true,\"apparmorProfile\":\"p\",\"oomScoreAdj\":-17,"
	"\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"nice\":-3,\"priority\":0,\"flags\":[\"SCHED_FLAG_RECLAIM\"],"
	"\"runtime\":1000000,\"deadline\":2000000,\"period\":3000000},"
	"\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":4}}";

static struct spec_process *parse(const char *text, size_t n)
{
	struct error err = ERROR_INIT;
	struct spec_process *p = NULL;

	cr_assert_eq(spec_parse_process(text, n, &a, NULL, &p, &err), 0, "%s: %s", text, err.text);
	return p;
}

static struct spec_process *there_and_back(const struct spec_process *p, struct buf *text)
{
	struct json_w w = { .out = text };

	spec_write_process(&w, NULL, p);
	return parse(text->data, text->len);
}

static void same_strings(const struct spec_strings *x, const struct spec_strings *y)
{
	cr_assert_eq(x->n, y->n);
	for (size_t i = 0; i < x->n; i++)
		cr_expect_str_eq(x->v[i], y->v[i]);
}

Test(process_write, nothing_of_a_full_object_is_lost)
{
	auto_buf struct buf text = BUF_INIT;
	const struct spec_process *p = parse(full, sizeof(full) - 1), *q = there_and_back(p, &text);

	cr_expect(q->terminal && q->has_console_size && q->console_height == 31 && q->console_width == 91);
	cr_expect(q->user.uid == 1000 && q->user.gid == 7 && q->user.has_umask && q->user.umask == 18);
	cr_expect(q->user.n_additional_gids == 2 && q->user.additional_gids[1] == 4294967294);
	same_strings(&p->args, &q->args);
	same_strings(&p->env, &q->env);
	cr_expect_str_eq(q->cwd, "/tmp/x y");
	cr_expect_eq(memcmp(p->capabilities->set, q->capabilities->set, sizeof(p->capabilities->set)), 0);
	cr_expect_neq(q->capabilities->set[SPEC_CAP_BOUNDING], q->capabilities->set[SPEC_CAP_EFFECTIVE]);
	cr_assert_eq(q->n_rlimits, 2);
	cr_expect(q->rlimits[0].resource == p->rlimits[0].resource && q->rlimits[0].soft == 10 && q->rlimits[0].hard == UINT64_MAX);
	cr_expect(q->no_new_privileges && q->has_oom_score_adj && q->oom_score_adj == -17);
	cr_expect_str_eq(q->apparmor_profile, "p");
	cr_assert_not_null(q->scheduler);
	cr_expect(q->scheduler->policy == p->scheduler->policy && q->scheduler->nice == -3 && q->scheduler->flags == p->scheduler->flags);
	cr_expect(q->scheduler->runtime == 1000000 && q->scheduler->deadline == 2000000 && q->scheduler->period == 3000000);
	cr_assert_not_null(q->io_priority);
	cr_expect(q->io_priority->ioprio_class == p->io_priority->ioprio_class && q->io_priority->priority == 4);

	/* Nothing is added either: the second time is the first. */
	auto_buf struct buf again = BUF_INIT;

	there_and_back(q, &again);
	cr_expect_str_eq(text.data, again.data);
	arena_release(&a);
}

Test(process_write, what_is_absent_stays_absent)
{
	static const char least[] = "{\"args\":[\"a\"],\"cwd\":\"/\"}";
	auto_buf struct buf text = BUF_INIT;
	const struct spec_process *q = there_and_back(parse(least, sizeof(least) - 1), &text);

	cr_expect(!q->terminal && !q->has_console_size && !q->user.has_umask && !q->has_oom_score_adj && !q->no_new_privileges);
	cr_expect_null(q->capabilities);
	cr_expect_null(q->scheduler);
	cr_expect_null(q->io_priority);
	cr_expect_null(q->apparmor_profile);
	cr_expect_null(q->selinux_label);
	cr_expect_eq(q->n_rlimits + q->env.n + q->user.n_additional_gids, 0);
	arena_release(&a);
}
