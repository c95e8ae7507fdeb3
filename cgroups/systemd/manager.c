/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/manager.h"

/*
 * The connection. Root talks to systemd itself over its private socket, as systemctl
 * does: no bus daemon is in between that may be slow, full or not there. Where that socket
 * is not to be had, the system bus serves.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "spec/base/auto.h"
#include "spec/base/parse.h"

#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"

bool unit_host_has_systemd(void)
{
	return faccessat(AT_FDCWD, "/run/systemd/system", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int manager_error(struct unit_manager *m, int code, sd_bus_error *e, struct error *err, const char *goal,
		  const char *unit)
{
	int r;

	if (e->message)
		r = error_rule(err, code, "ask systemd to %s%s%s: %.300s", goal, *unit ? " " : "", unit, e->message);
	else
		r = error_set(err, code, "ask systemd to %s%s%s", goal, *unit ? " " : "", unit);
	m->lib.error_free(e);
	return r;
}

static int check_host(const struct cg_host *host, struct error *err)
{
	int r = 0;

	if (!unit_host_has_systemd()) {
		r = error_rule(err, ENOTSUP, "the systemd cgroup driver needs systemd, which does not run on this host "
			       "(there is no /run/systemd/system)");
		error_hint(err, "use the cgroupfs driver: leave out --systemd-cgroup; in Docker "
				"\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"], in the kubelet cgroupDriver: cgroupfs");
	} else if (host->layout != CG_UNIFIED) {
		r = error_rule(err, ENOTSUP, "the systemd cgroup driver needs a host with cgroup v2 alone; this one is %s",
			       cg_layout_text(host->layout));
		error_hint(err, "boot with systemd.unified_cgroup_hierarchy=1, or use the cgroupfs driver");
	} else if (getauxval(AT_EUID) != 0) {
		r = error_rule(err, ENOTSUP, "the systemd cgroup driver works for root only; a user's own systemd is not "
			       "supported yet");
		error_hint(err, "run it as root, or use the cgroupfs driver");
	}
	return r;
}

static int connect_private(struct unit_manager *m)
{
	sd_bus *bus = NULL;
	int r = m->lib.bus_new(&bus);

	if (r >= 0)
		r = m->lib.bus_set_address(bus, PRIVATE_ADDRESS);
	if (r >= 0)
		r = m->lib.bus_start(bus);
	if (r >= 0)
		m->bus = bus;
	else if (bus)
		m->lib.bus_flush_close_unref(bus);
	return r;
}

/* A manager on the bus sends signals to those who asked for them; on its private socket to all. */
static int connect_bus(struct unit_manager *m, struct error *err)
{
	sd_bus_error e = { NULL, NULL, 0 };
	sd_bus_message *call = NULL;
	sd_bus_message *reply = NULL;
	int r = m->lib.bus_open_system(&m->bus);

	if (r < 0) {
		error_set(err, -r, "connect to systemd at /run/systemd/private or on the system bus");
		error_hint(err, "is it reachable? `systemctl status` asks the same way");
		return r;
	}
	r = m->lib.message_new_method_call(m->bus, &call, MANAGER_NAME, MANAGER_PATH, MANAGER_INTERFACE, "Subscribe");
	if (r >= 0)
		r = m->lib.bus_call(m->bus, call, CALL_TIMEOUT_US, &e, &reply);
	m->lib.message_unref(call);
	m->lib.message_unref(reply);
	return r < 0 ? manager_error(m, -r, &e, err, "tell about jobs", "") : 0;
}

static int on_job_removed(sd_bus_message *msg, void *data, sd_bus_error *e)
{
	struct unit_manager *m = data;
	const char *job, *unit, *result;
	uint32_t id;

	(void)e;
	if (m->lib.message_read_basic(msg, 'u', &id) < 0 || m->lib.message_read_basic(msg, 'o', &job) < 0 ||
	    m->lib.message_read_basic(msg, 's', &unit) < 0 || m->lib.message_read_basic(msg, 's', &result) < 0)
		return 0;
	if (strcmp(job, m->job) == 0)
		snprintf(m->result, sizeof(m->result), "%s", *result ? result : "?");
	return 0;
}

static int ask(struct unit_manager *m, const char *property, char **ret, struct error *err)
{
	sd_bus_error e = { NULL, NULL, 0 };
	int r = m->lib.bus_get_property_string(m->bus, MANAGER_NAME, MANAGER_PATH, MANAGER_INTERFACE, property, &e, ret);

	return r < 0 ? manager_error(m, -r, &e, err, "tell its", property) : 0;
}

/* "252.38-1~deb12u1" → 252 */
static unsigned parse_version(char *text)
{
	uint32_t v;

	text[strspn(text, "0123456789")] = '\0';
	return parse_u32(text, &v) < 0 ? 0 : v;
}

static int learn(struct unit_manager *m, struct error *err)
{
	auto_free char *version = NULL;
	auto_free char *root = NULL;
	int r = ask(m, "Version", &version, err);

	if (r == 0)
		r = ask(m, "ControlGroup", &root, err);
	if (r < 0)
		return r;
	m->version = parse_version(version);

	/* systemd in a container without a cgroup namespace has its tree below that container's cgroup. */
	const char *path = root[0] == '/' ? root + 1 : root;

	if ((size_t)snprintf(m->root, sizeof(m->root), "%s", path) >= sizeof(m->root))
		return error_set(err, ENAMETOOLONG, "keep the path of systemd's cgroup");
	return 0;
}

int unit_connect(const struct cg_host *host, struct unit_manager **ret, struct error *err)
{
	int r = check_host(host, err);

	if (r < 0)
		return r;

	struct unit_manager *m = calloc(1, sizeof(*m));

	if (!m)
		return error_set(err, ENOMEM, "connect to systemd");
	r = sdbus_load(&m->lib, err);
	if (r < 0) {
		free(m);
		return error_wrap(err, r, "cannot talk to systemd");
	}

	bool is_private = connect_private(m) >= 0;

	if (!is_private)
		r = connect_bus(m, err);
	if (r >= 0) {
		/* Before the first call: no end of a job is missed. On a private connection nobody has a name. */
		r = m->lib.bus_match_signal(m->bus, NULL, is_private ? NULL : MANAGER_NAME, MANAGER_PATH,
					    MANAGER_INTERFACE, "JobRemoved", on_job_removed, m);
		if (r < 0)
			error_set(err, -r, "listen to what systemd tells of jobs");
	}
	if (r >= 0)
		r = learn(m, err);
	if (r < 0) {
		unit_disconnect(m);
		return error_wrap(err, r, "cannot talk to systemd");
	}
	*ret = m;
	return 0;
}

void unit_disconnect(struct unit_manager *m)
{
	if (!m)
		return;
	if (m->bus)
		m->lib.bus_flush_close_unref(m->bus);
	free(m);
}

unsigned unit_version(const struct unit_manager *m)
{
	return m->version;
}

const char *unit_root(const struct unit_manager *m)
{
	return m->root;
}
