/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/manager.h"

/*
 * What is asked of systemd about one unit: start, change, stop. Each is one call; starting
 * and stopping end with a job, whose end systemd announces.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cgroups/systemd/placeholder.h"
#include "spec/base/auto.h"

#define ERROR_EXISTS  MANAGER_NAME ".UnitExists"
#define ERROR_NO_UNIT MANAGER_NAME ".NoSuchUnit"

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* sd-bus functions answer -errno; the first failure is what counts. */
static int append_strings(struct sdbus *lib, sd_bus_message *msg, const struct unit_property *p, bool pairs)
{
	int r = lib->message_open_container(msg, 'a', p->type + 1);

	for (size_t i = 0; r >= 0 && i < p->n; i++) {
		if (pairs && i % 2 == 0)
			r = lib->message_open_container(msg, 'r', "ss");
		if (r >= 0)
			r = lib->message_append_basic(msg, 's', p->list[i]);
		if (r >= 0 && pairs && i % 2 == 1)
			r = lib->message_close_container(msg);
	}
	return r < 0 ? r : lib->message_close_container(msg);
}

static int append_value(struct sdbus *lib, sd_bus_message *msg, const struct unit_property *p)
{
	int32_t number = (int32_t)p->number;

	switch (p->type[0]) {
	case 's':
		return lib->message_append_basic(msg, 's', p->text);
	case 't':
		return lib->message_append_basic(msg, 't', &p->number);
	case 'b':
	case 'i':
		return lib->message_append_basic(msg, p->type[0], &number);
	default:
		if (strcmp(p->type, "ay") == 0)
			return lib->message_append_array(msg, 'y', p->bytes, p->n);
		return append_strings(lib, msg, p, strcmp(p->type, "a(ss)") == 0);
	}
}

static int open_property(struct sdbus *lib, sd_bus_message *msg, const char *name, const char *type)
{
	int r = lib->message_open_container(msg, 'r', "sv");

	if (r >= 0)
		r = lib->message_append_basic(msg, 's', name);
	return r < 0 ? r : lib->message_open_container(msg, 'v', type);
}

static int close_property(struct sdbus *lib, sd_bus_message *msg)
{
	int r = lib->message_close_container(msg);

	return r < 0 ? r : lib->message_close_container(msg);
}

/* a(sv); pid: of a scope's first process, 0 for none. */
static int append_properties(struct sdbus *lib, sd_bus_message *msg, const struct unit_plan *plan, pid_t pid)
{
	uint32_t first = (uint32_t)pid;
	int r = lib->message_open_container(msg, 'a', "(sv)");

	for (size_t i = 0; r >= 0 && i < plan->n; i++) {
		r = open_property(lib, msg, plan->v[i].name, plan->v[i].type);
		if (r >= 0)
			r = append_value(lib, msg, &plan->v[i]);
		if (r >= 0)
			r = close_property(lib, msg);
	}
	if (r >= 0 && pid) {
		r = open_property(lib, msg, "PIDs", "au");
		if (r >= 0)
			r = lib->message_append_array(msg, 'u', &first, sizeof(first));
		if (r >= 0)
			r = close_property(lib, msg);
	}
	return r < 0 ? r : lib->message_close_container(msg);
}

static int new_call(struct unit_manager *m, sd_bus_message **ret, const char *method, const char *unit)
{
	int r = m->lib.message_new_method_call(m->bus, ret, MANAGER_NAME, MANAGER_PATH, MANAGER_INTERFACE, method);

	return r < 0 ? r : m->lib.message_append_basic(*ret, 's', unit);
}

/* Sends the call; with a job in the answer, remembers it. -errno with e. */
static int do_call(struct unit_manager *m, sd_bus_message *call, bool has_job, sd_bus_error *e)
{
	sd_bus_message *reply = NULL;
	const char *job = NULL;
	int r = m->lib.bus_call(m->bus, call, CALL_TIMEOUT_US, e, &reply);

	if (r >= 0 && has_job) {
		r = m->lib.message_read_basic(reply, 'o', &job);
		if (r >= 0)
			snprintf(m->job, sizeof(m->job), "%s", job);
		m->result[0] = '\0';
	}
	m->lib.message_unref(reply);
	return r < 0 ? r : 0;
}

static int wait_for_job(struct unit_manager *m, const char *what, const char *unit, struct error *err)
{
	int64_t deadline = now_ms() + JOB_TIMEOUT_MS;

	while (!m->result[0]) {
		int r = m->lib.bus_process(m->bus, NULL);

		if (r == 0) {
			int64_t left = deadline - now_ms();

			if (left <= 0)
				return error_rule(err, ETIMEDOUT, "systemd has not %s unit %s within %d seconds", what, unit,
						  JOB_TIMEOUT_MS / 1000);
			r = m->lib.bus_wait(m->bus, (uint64_t)left * 1000);
		}
		if (r < 0 && r != -EINTR)
			return error_set(err, -r, "wait for systemd's job for unit %s", unit);
	}
	if (strcmp(m->result, "done") == 0)
		return 0;

	int r = error_rule(err, EIO, "systemd has not %s unit %s: its job ended with \"%s\"", what, unit, m->result);

	error_hint(err, "journalctl -u %.200s", unit);
	return r;
}

/* A unit that failed stays until somebody has looked; nobody has to look at a container's. Best effort. */
static void reset_failed(struct unit_manager *m, const char *unit)
{
	sd_bus_error e = { NULL, NULL, 0 };
	sd_bus_message *call = NULL;

	if (new_call(m, &call, "ResetFailedUnit", unit) >= 0)
		do_call(m, call, false, &e);
	m->lib.message_unref(call);
	m->lib.error_free(&e);
}

static int start_once(struct unit_manager *m, const struct unit_name *name, const struct unit_plan *plan,
		      pid_t pid, sd_bus_error *e)
{
	sd_bus_message *call = NULL;
	int r = new_call(m, &call, "StartTransientUnit", name->unit);

	if (r >= 0)
		r = m->lib.message_append_basic(call, 's', "replace");
	if (r >= 0)
		r = append_properties(&m->lib, call, plan, pid);
	/* No further units. */
	if (r >= 0)
		r = m->lib.message_open_container(call, 'a', "(sa(sv))");
	if (r >= 0)
		r = m->lib.message_close_container(call);
	if (r >= 0)
		r = do_call(m, call, true, e);
	m->lib.message_unref(call);
	return r < 0 ? r : 0;
}

static int exists_error(const char *unit, struct error *err)
{
	int r = error_rule(err, EEXIST, "systemd has a unit %s already", unit);

	error_at(err, "/linux/cgroupsPath");
	error_hint(err, "`systemctl status %.150s` shows it; choose another cgroupsPath, or stop it", unit);
	return r;
}

static int start(struct unit_manager *m, const struct unit_name *name, const struct unit_plan *plan, pid_t pid,
		 struct error *err)
{
	sd_bus_error e = { NULL, NULL, 0 };
	int r = start_once(m, name, plan, pid, &e);

	if (r < 0 && e.name && strcmp(e.name, ERROR_EXISTS) == 0) {
		m->lib.error_free(&e);
		e = (sd_bus_error){ NULL, NULL, 0 };
		reset_failed(m, name->unit);
		r = start_once(m, name, plan, pid, &e);
	}
	if (r < 0 && e.name && strcmp(e.name, ERROR_EXISTS) == 0) {
		m->lib.error_free(&e);
		return exists_error(name->unit, err);
	}
	if (r < 0)
		return manager_error(m, -r, &e, err, "start unit", name->unit);
	r = wait_for_job(m, "started", name->unit, err);
	if (r < 0)
		unit_stop(m, name->unit, NULL);
	return r;
}

/* The kernel's word, not systemd's: is the placeholder where the container is going to be? */
static int verify_place(pid_t pid, const char *cgroup, struct error *err)
{
	char path[4096];
	int r = cg_path_of_pid(pid, path, sizeof(path), err);

	if (r == 0 && strcmp(path, cgroup) != 0)
		r = error_rule(err, EPROTO, "systemd has put the scope at cgroup /%s, not /%s", path, cgroup);
	return r;
}

int unit_start(struct unit_manager *m, const struct unit_name *name, const struct unit_plan *plan,
	       const char *cgroup, struct unit_placeholder *ret, struct error *err)
{
	struct unit_placeholder p = UNIT_PLACEHOLDER_INIT;
	int r = name->is_slice ? 0 : placeholder_make(&p, err);

	if (r == 0)
		r = start(m, name, plan, p.pid, err);
	if (r == 0 && p.pid) {
		r = verify_place(p.pid, cgroup, err);
		if (r < 0)
			unit_stop(m, name->unit, NULL);
	}
	if (r < 0) {
		unit_release(&p);
		return error_wrap(err, r, "cannot make unit %s", name->unit);
	}
	*ret = p;
	return 0;
}

int unit_set(struct unit_manager *m, const char *unit, const struct unit_plan *plan, struct error *err)
{
	sd_bus_error e = { NULL, NULL, 0 };
	sd_bus_message *call = NULL;
	int32_t runtime = 1;

	if (plan->n == 0)
		return 0;

	int r = new_call(m, &call, "SetUnitProperties", unit);

	if (r >= 0)
		r = m->lib.message_append_basic(call, 'b', &runtime);
	if (r >= 0)
		r = append_properties(&m->lib, call, plan, 0);
	if (r >= 0)
		r = do_call(m, call, false, &e);
	m->lib.message_unref(call);
	return r < 0 ? manager_error(m, -r, &e, err, "change unit", unit) : 0;
}

int unit_stop(struct unit_manager *m, const char *unit, struct error *err)
{
	sd_bus_error e = { NULL, NULL, 0 };
	sd_bus_message *call = NULL;
	int r = new_call(m, &call, "StopUnit", unit);

	if (r >= 0)
		r = m->lib.message_append_basic(call, 's', "replace");
	if (r >= 0)
		r = do_call(m, call, true, &e);
	m->lib.message_unref(call);
	if (r < 0 && e.name && strcmp(e.name, ERROR_NO_UNIT) == 0) {
		m->lib.error_free(&e);
		return 0;
	}
	if (r < 0)
		return manager_error(m, -r, &e, err, "stop unit", unit);
	r = wait_for_job(m, "stopped", unit, err);
	reset_failed(m, unit);
	return r;
}

bool unit_is_foreign(struct unit_manager *m, const char *unit, const char *id)
{
	static struct arena a = ARENA_INIT;
	sd_bus_error e = { NULL, NULL, 0 };
	auto_free char *path = NULL;
	auto_free char *text = NULL;
	int r = m->lib.bus_path_encode(MANAGER_PATH "/unit", unit, &path);

	if (r >= 0)
		r = m->lib.bus_get_property_string(m->bus, MANAGER_NAME, path, UNIT_INTERFACE, "Description", &e, &text);
	m->lib.error_free(&e);
	/* A unit that is not there is described by its name. */
	return r >= 0 && strcmp(text, unit) != 0 && strcmp(text, unit_description(id, &a)) != 0;
}
